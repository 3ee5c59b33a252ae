/*
 * lib/model/features.c, series.c and propose.c: features of rows by hand, series of
 * groups that alternate, what is written and read back, and proposals where the truth is
 * known.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/features.h"
#include "model/propose.h"
#include "util/mem.h"

#define UNIT "features"
#include "check.h"

enum {
	T, G, A, B, C, K, NCOLS,	/* time, group, A and B in K, C, a category */
	N = 1200
};

static char name[NCOLS][8] = {
	"t", "g", "a [K]", "b [K]", "c [rpm]", "k"
};
static char kelvin[] = "K", speed[] = "rpm", red[] = "red", blue[] = "blue";
static char family[] = "trees", *word[] = { red, blue };
#define NUMBER(j, of, in) \
	{ .name = name[j], .unit = in, .type = GE_FRAME_NUMBER, .role = of }

static struct ge_schema_col col[NCOLS] = {
	NUMBER(T, GE_ROLE_TIME, NULL), NUMBER(G, GE_ROLE_GROUP, NULL),
	NUMBER(A, GE_ROLE_INPUT, kelvin), NUMBER(B, GE_ROLE_INPUT, kelvin),
	NUMBER(C, GE_ROLE_INPUT, speed),
	{ .name = name[K], .type = GE_FRAME_CATEGORY, .role = GE_ROLE_INPUT,
	    .word = word, .nwords = 2 },
};
static struct ge_schema schema = { .family = family, .ncols = NCOLS,
    .width = NCOLS, .col = col, .header = 1 };
static struct ge_err e;

static double v[N * NCOLS], y[N];
static uint32_t row[N], unit[N];

static int
same(double a, double b)
{

	return (isnan(a) ? isnan(b) : fabs(a - b) <= 1e-6 * (1 + fabs(b)));
}

static void
of_a_row(void)
{
	struct ge_features F;
	double r[NCOLS] = { 0, 0, 300, 290, 0, 1 };
	float out[8];
	uint8_t is[8];

	check(ge_features_plain(&F, &schema, &e) == 0 && F.n == 4 &&
	    ge_features_add(&F, &schema, GE_F_PRODUCT, A, B, 0, &e) == 0 &&
	    ge_features_add(&F, &schema, GE_F_RATIO, A, C, 0, &e) == 0 &&
	    ge_features_add(&F, &schema, GE_F_RATIO, C, A, 0, &e) == 0 &&
	    ge_features_add(&F, &schema, GE_F_DIFFERENCE, A, B, 0, &e) == 0 &&
	    F.n == 8 && !ge_features_in_time(&F), "columns and pairs of them");
	check(strcmp(F.f[4].name, "a [K] * b [K]") == 0 &&
	    strcmp(F.f[5].name, "a [K] / c [rpm]") == 0 &&
	    strcmp(F.f[7].name, "a [K] - b [K]") == 0, "their names");
	ge_features_categories(&F, &schema, is);
	check(is[3] == 1 && is[0] + is[1] + is[2] + is[4] + is[5] + is[6] +
	    is[7] == 0, "which are categories");
	check(ge_features_row(&F, NULL, r, out, &e) == 0 && out[0] == 300 &&
	    out[3] == 1 && out[4] == 87000 && isnan(out[5]) && out[6] == 0 &&
	    out[7] == 10, "their values; a part of 0 is missing");
	r[A] = NAN;
	r[B] = -INFINITY;
	r[C] = 1e308;
	ge_features_row(&F, NULL, r, out, &e);
	check(isnan(out[0]) && out[1] == -1e38f && out[2] == 1e38f &&
	    isnan(out[4]) && isnan(out[7]),
	    "missing stays missing, no infinities");
	ge_features_release(&F);
}

static void
refused(void)
{
	struct ge_features F;
	static const char *const spec[] = {
		"", "mean", "mean:", "mean:0", "slope:1", "mean:65537",
		"start:3", "start:3/0", "mean:3/3", "median:3", "mean:3,",
		"column:3", "age:3", "mean:-1", "product"
	};
	size_t i, n = 0;

	ge_features_plain(&F, &schema, &e);
	check(ge_features_add(&F, &schema, GE_F_PRODUCT, A, K, 0, &e) == -1 &&
	    e.code == GE_EUSAGE &&
	    ge_features_add(&F, &schema, GE_F_RATIO, T, A, 0, &e) == -1 &&
	    ge_features_add(&F, &schema, GE_F_MEAN, NCOLS, 0, 3, &e) == -1 &&
	    ge_features_add(&F, &schema, GE_F_MEAN, A, 0, 0, &e) == -1 &&
	    F.n == 4, "only inputs of numbers have pairs and windows");
	for (i = 0; i < sizeof(spec) / sizeof(*spec); i++)
		n += ge_features_lags(&F, &schema, spec[i], &e) == -1 &&
		    e.code == GE_EUSAGE &&
		    ge_features_lags_check(spec[i], &e) == -1;
	check(n == i && ge_features_lags_check("age,mean:3,start:2/2", &e) ==
	    0, "windows that are none");
	for (i = 0; ge_features_add(&F, &schema, GE_F_MEAN, A, 0,
	    GE_FEATURES_ROWS, &e) == 0; i++)
		;
	check(i > 1 && i <= GE_FEATURES_CELLS / GE_FEATURES_ROWS,
	    "what a group is remembered by has an end");
	ge_features_release(&F);
}

/* Rows of groups 1 and 2 in turn: a is 1, 4, 9 ... and 100, 99, ... */
static void
alternate(size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		k = i / 2;
		v[i * NCOLS + T] = 1000 * (double)(i % 2) + 3 * (double)k;
		v[i * NCOLS + G] = 1 + (double)(i % 2);
		v[i * NCOLS + A] = i % 2 == 0 ? (double)((k + 1) * (k + 1)) :
		    100 - (double)k;
		v[i * NCOLS + B] = k == 2 ? NAN : (double)k;
		v[i * NCOLS + C] = 5;
		v[i * NCOLS + K] = 0;
	}
}

static void
in_time(void)
{
	struct ge_features F;
	static float x[20 * 32];
	float *g, *h;
	double mean;
	size_t n;

	alternate(12);
	check(ge_features_plain(&F, &schema, &e) == 0 &&
	    ge_features_lags(&F, &schema,
	    "age,lag:2,mean:3,slope:3,spread:3,start:2/2", &e) == 0 &&
	    F.n == 4 + 1 + 5 * 3 && ge_features_in_time(&F), "windows");
	n = F.n;
	check(ge_features_rows(&F, v, 12, NULL, NULL, 12, x, &e) == 0,
	    "of a table");
	g = x + 10 * n;			/* group 1, its sixth row: 36 */
	h = x + 11 * n;			/* group 2: 95 */
	check(g[4] == 15 && h[4] == 15, "age is time since the first row");
	check(g[5] == 16 && h[5] == 97, "a lag");
	check(same(g[8], (16 + 25 + 36) / 3.0) && same(h[8], 96), "a mean");
	check(same(g[11], 10) && same(h[11], -1), "a slope a row");
	mean = (16 + 25 + 36) / 3.0;
	check(same(g[14], sqrt(((16 - mean) * (16 - mean) + (25 - mean) *
	    (25 - mean) + (36 - mean) * (36 - mean)) / 3)) &&
	    same(h[14], sqrt(2 / 3.0)), "a spread");
	check(same(g[17], 30.5 - 2.5) && same(h[17], 95.5 - 99.5),
	    "what has changed since the start");
	g = x + 4 * n;			/* third row of group 1: b is missing */
	check(isnan(g[1]) && same(g[9], 0.5) && g[6] == 0 &&
	    isnan(x[0 * n + 5]) && isnan(x[2 * n + 5]) && x[4 * n + 5] == 1 &&
	    isnan(x[11]) && same(x[2 * n + 11], 3),
	    "what is missing, and the first rows");
	ge_features_release(&F);
}

/* Of some rows it is what it is of all; of a table after the other, anew. */
static void
some_rows(void)
{
	struct ge_features F;
	static float all[12 * 32], some[12 * 32];
	static const uint32_t r[] = { 3, 4, 9 };
	uint8_t fresh[12] = { 1 };
	struct ge_schema alone = schema;
	struct ge_schema_col c[NCOLS];
	size_t i, n = 0;

	alternate(12);
	ge_features_plain(&F, &schema, &e);
	ge_features_lags(&F, &schema, "mean:3,lag:1", &e);
	ge_features_rows(&F, v, 12, NULL, NULL, 12, all, &e);
	ge_features_rows(&F, v, 12, NULL, r, 3, some, &e);
	for (i = 0; i < 3; i++)
		n += memcmp(some + i * F.n, all + r[i] * F.n,
		    F.n * sizeof(*all)) == 0;
	check(n == 3, "some rows");
	ge_features_release(&F);
	memcpy(c, col, sizeof(c));
	c[G].role = c[T].role = GE_ROLE_NONE;
	alone.col = c;
	fresh[6] = 1;
	ge_features_plain(&F, &alone, &e);
	ge_features_lags(&F, &alone, "lag:1", &e);
	ge_features_rows(&F, v, 12, fresh, NULL, 12, all, &e);
	check(F.group == GE_F_NONE && all[1 * F.n + 4] == 1 && isnan(
	    all[6 * F.n + 4]) && all[7 * F.n + 4] == 16,
	    "a table that begins begins a series");
	ge_features_release(&F);
}

/* More groups than are remembered: those seen longest ago go. */
static void
many_groups(void)
{
	struct ge_features F;
	struct ge_series *S;
	double r[NCOLS] = { 0 };
	float out[8];
	size_t i, good = 0;
	int before;

	ge_features_plain(&F, &schema, &e);
	ge_features_lags(&F, &schema, "lag:1", &e);
	S = ge_series_new(&F, &e);
	for (i = 0; i < GE_SERIES_GROUPS + 10; i++) {
		r[G] = (double)i;
		r[A] = (double)i + 0.5;
		good += ge_features_row(&F, S, r, out, &e) == 0;
		r[G] = 0;		/* always seen, never forgotten */
		ge_features_row(&F, S, r, out, &e);
	}
	before = ge_series_forgotten(S) == 10;
	r[G] = GE_SERIES_GROUPS + 5;
	ge_features_row(&F, S, r, out, &e);
	check(good == GE_SERIES_GROUPS + 10 && before &&
	    out[4] == GE_SERIES_GROUPS + 5.5f, "a bound on groups");
	r[G] = 3;
	ge_features_row(&F, S, r, out, &e);
	check(isnan(out[4]) && ge_series_forgotten(S) == 11,
	    "what was forgotten begins anew");
	r[G] = 0;
	ge_features_row(&F, S, r, out, &e);
	check(!isnan(out[4]), "what is seen is remembered");
	r[G] = NAN;
	r[A] = 7;
	ge_features_row(&F, S, r, out, &e);
	r[G] = -NAN;
	ge_features_row(&F, S, r, out, &e);
	check(out[4] == 7, "rows of no group are one");
	ge_series_free(S);
	ge_features_release(&F);
}

/* As many groups as rows of each time: none is forgotten of a table. */
static void
many_groups_of_a_table(void)
{
	enum { GROUPS = GE_SERIES_GROUPS + 10, ROWS = 2 * GROUPS };
	struct ge_features F;
	double *t = calloc((size_t)ROWS * NCOLS, sizeof(*t));
	float *x = calloc((size_t)ROWS * 8, sizeof(*x));
	static const uint32_t few[] = { 7, GROUPS + 7, ROWS - 1 };
	size_t i, good = 0;

	ge_features_plain(&F, &schema, &e);
	ge_features_lags(&F, &schema, "lag:1", &e);
	for (i = 0; i < ROWS; i++) {
		t[i * NCOLS + T] = (double)(i / GROUPS);
		t[i * NCOLS + G] = (double)(i % GROUPS);
		t[i * NCOLS + A] = (double)i;
	}
	check(ge_features_rows(&F, t, ROWS, NULL, NULL, ROWS, x, &e) == 0,
	    "very many groups of a table");
	for (i = GROUPS; i < ROWS; i++)
		good += x[i * F.n + 4] == (float)(i - GROUPS);
	check(good == GROUPS && isnan(x[4]), "each of them is remembered");
	t[7 * NCOLS + G] = INFINITY;	/* as far back as those of none */
	t[8 * NCOLS + G] = NAN;
	t[(GROUPS + 7) * NCOLS + G] = INFINITY;
	t[(GROUPS + 8) * NCOLS + G] = NAN;
	ge_features_rows(&F, t, ROWS, NULL, few, 3, x, &e);
	check(x[F.n] == GROUPS + 7 && x[F.n + 4] == 7 &&
	    x[2 * F.n + 4] == GROUPS - 1, "some rows of them, one of infinity");
	free(t);
	free(x);
	ge_features_release(&F);
}

/* What is before cannot be told of rows whose times run back. */
static void
out_of_order(void)
{
	struct ge_features F;
	struct ge_series *S;
	float x[12 * 32];
	double r[NCOLS] = { 5, 1 };

	alternate(12);
	ge_features_plain(&F, &schema, &e);
	v[9 * NCOLS + T] = v[7 * NCOLS + T] - 1;
	check(ge_features_rows(&F, v, 12, NULL, NULL, 12, x, &e) == 0,
	    "times do not matter where nothing looks back");
	ge_features_lags(&F, &schema, "lag:1", &e);
	check(ge_features_rows(&F, v, 12, NULL, NULL, 12, x, &e) == -1 &&
	    e.code == GE_EREFUSED && strcmp(e.msg, "row 10: time runs back in "
	    "its group") == 0, "a time before the last is refused");
	v[9 * NCOLS + T] = v[7 * NCOLS + T];
	v[8 * NCOLS + T] = NAN;
	check(ge_features_rows(&F, v, 12, NULL, NULL, 12, x, &e) == 0,
	    "the same time again, or none, is none before");
	S = ge_series_new(&F, &e);
	check(ge_features_row(&F, S, r, x, &e) == 0, "a row");
	r[T] = NAN;
	ge_features_row(&F, S, r, x, &e);
	r[T] = 4;
	check(ge_features_row(&F, S, r, x, &e) == -1 && e.code == GE_EREFUSED,
	    "before the last time that is known");
	r[G] = 2;
	check(ge_features_row(&F, S, r, x, &e) == 0, "of another group");
	ge_series_restart(S);
	r[G] = 1;
	check(ge_features_row(&F, S, r, x, &e) == 0, "after a restart");
	ge_series_free(S);
	ge_features_release(&F);
}

static void
written(void)
{
	struct ge_features F, H;
	json_t *a, *b;
	size_t i;

	ge_features_plain(&F, &schema, &e);
	ge_features_add(&F, &schema, GE_F_RATIO, C, A, 0, &e);
	ge_features_lags(&F, &schema, "age,lag:2,start:2/3", &e);
	a = ge_features_json(&F);
	check(ge_features_parse(&H, a, &schema, &e) == 0 && H.n == F.n &&
	    H.time == T && H.group == G, "written and read");
	for (i = 0; i < F.n && i < H.n; i++)
		if (strcmp(F.f[i].name, H.f[i].name) != 0)
			break;
	check(i == F.n, "the same features");
	b = ge_features_json(&H);
	check(json_equal(a, b), "the same again");
	json_decref(a);
	json_decref(b);
	ge_features_release(&F);
	ge_features_release(&H);
}

static void
unreadable(void)
{
	static const char *const bad_ones[] = {
		"[]", "{}", "[7]", "[{\"op\":\"column\"}]",
		"[{\"op\":\"column\",\"of\":[6]}]",
		"[{\"op\":\"column\",\"of\":[-1]}]",
		"[{\"op\":\"column\",\"of\":[4294967298]}]",
		"[{\"op\":\"column\",\"of\":[0]}]",
		"[{\"op\":\"column\",\"of\":[2,3]}]",
		"[{\"op\":\"product\",\"of\":[2]}]",
		"[{\"op\":\"product\",\"of\":[2,5]}]",
		"[{\"op\":\"mean\",\"of\":[2]}]",
		"[{\"op\":\"mean\",\"of\":[2],\"rows\":0}]",
		"[{\"op\":\"mean\",\"of\":[2],\"rows\":1e9}]",
		"[{\"op\":\"mean\",\"of\":[2],\"rows\":100000}]",
		"[{\"op\":\"start\",\"of\":[2],\"rows\":3}]",
		"[{\"op\":\"start\",\"of\":[2],\"rows\":3,\"first\":0}]",
		"[{\"op\":\"age\",\"of\":[0]}]",
		"[{\"op\":\"sum\",\"of\":[2,3]}]",
	};
	struct ge_features F;
	size_t i, n = 0;
	json_t *a;

	for (i = 0; i < sizeof(bad_ones) / sizeof(*bad_ones); i++) {
		a = json_loads(bad_ones[i], 0, NULL);
		n += ge_features_parse(&F, a, &schema, &e) == -1 &&
		    e.code == GE_EREFUSED && F.f == NULL;
		json_decref(a);
	}
	check(n == i && ge_features_parse(&F, NULL, &schema, &e) == -1 &&
	    e.code == GE_EREFUSED, "features that are none");
}

static void
training(struct ge_training *t, struct ge_boost_opts *o)
{
	size_t i;

	for (i = 0; i < N; i++)
		row[i] = (uint32_t)i;
	ge_boost_opts_init(o);
	o->bins = 0;
	*t = (struct ge_training){ v, N, NULL, row, N, y, NULL, NULL, o, 1,
	    NULL, NULL };
}

static int
has(const struct ge_features *F, const char *what)
{
	size_t i;

	for (i = 0; i < F->n; i++)
		if (strcmp(F->f[i].name, what) == 0)
			return (1);
	return (0);
}

/* What decides is b * c and a - b, each with a sharp threshold. */
static void
pairs(void)
{
	struct ge_schema_col c[NCOLS];
	struct ge_schema s = schema;
	struct ge_boost_opts o;
	struct ge_training t;
	struct ge_features F, H;
	json_t *one, *other;
	size_t i;
	double *r;

	memcpy(c, col, sizeof(c));
	c[T].role = c[G].role = GE_ROLE_NONE;
	s.col = c;
	training(&t, &o);
	for (i = 0; i < N; i++) {
		r = v + i * NCOLS;
		r[A] = 10 * draw_part();
		r[B] = 10 * draw_part();
		r[C] = 1 + 9 * draw_part();
		r[K] = draw(2);
		y[i] = r[A] - r[B] > 3 || r[B] * r[C] < 6;
	}
	o.objective = GE_LOGISTIC;
	ge_features_plain(&F, &s, &e);
	check(ge_propose(&F, &s, &t, 6, &e) == 0 && F.n > 4 && F.n <= 10 &&
	    has(&F, "a [K] - b [K]"), "the difference that decides is found");
	check(!has(&F, "a [K] - c [rpm]") && !has(&F, "b [K] - c [rpm]"),
	    "kelvins are not taken from revolutions");
	o.jobs = 3;
	ge_features_plain(&H, &s, &e);
	ge_propose(&H, &s, &t, 6, &e);
	one = ge_features_json(&F);
	other = ge_features_json(&H);
	check(json_equal(one, other), "the same whatever the threads");
	json_decref(one);
	json_decref(other);
	ge_features_release(&F);
	ge_features_release(&H);
	for (i = 0; i < N; i++)
		y[i] = v[i * NCOLS + A] > 5;
	ge_features_plain(&F, &s, &e);
	check(ge_propose(&F, &s, &t, 6, &e) == 0 && F.n == 4,
	    "nothing is proposed where a column says all");
	ge_features_release(&F);
}

/* Rows that are not learnt from have no say. */
static void
nested(void)
{
	struct ge_schema_col c[NCOLS];
	struct ge_schema s = schema;
	struct ge_boost_opts o;
	struct ge_training t;
	struct ge_features F, H;
	json_t *one, *other;
	size_t i;

	memcpy(c, col, sizeof(c));
	c[T].role = c[G].role = GE_ROLE_NONE;
	s.col = c;
	training(&t, &o);
	o.objective = GE_LOGISTIC;
	for (i = 0; i < N; i++)
		y[i] = v[i * NCOLS + A] - v[i * NCOLS + B] > 3;
	t.nrows = N / 2;
	ge_features_plain(&F, &s, &e);
	ge_propose(&F, &s, &t, 6, &e);
	for (i = N / 2; i < N; i++) {
		y[i] = draw(2);
		v[i * NCOLS + A] = draw_part() * 1e6;
	}
	ge_features_plain(&H, &s, &e);
	ge_propose(&H, &s, &t, 6, &e);
	one = ge_features_json(&F);
	other = ge_features_json(&H);
	check(F.n > 4 && json_equal(one, other),
	    "rows that are held out have no say");
	json_decref(one);
	json_decref(other);
	ge_features_release(&F);
	ge_features_release(&H);
}

/* Each unit wears from a level of its own, behind noise. */
static void
lags(void)
{
	struct ge_boost_opts o;
	struct ge_training t;
	struct ge_features F;
	size_t i, k, onset = 0, worn;
	double *r, level = 0;

	training(&t, &o);
	for (i = 0; i < N; i++) {
		k = i % 60;
		if (k == 0) {
			level = 10 * draw_part();
			onset = 5 + draw(40);
		}
		worn = k > onset ? k - onset : 0;
		r = v + i * NCOLS;
		r[T] = (double)k + 5;
		r[G] = unit[i] = (uint32_t)(i / 60);
		r[A] = level + 0.1 * (double)worn + draw_part();
		r[B] = draw_part();
		r[C] = 7;
		r[K] = draw(2);
		y[i] = 60 - (double)worn;
	}
	o.objective = GE_SQUARED;
	t.unit = unit;
	ge_features_plain(&F, &schema, &e);
	check(ge_propose_lags(&F, &schema, &t, 12, &e) == 0 &&
	    has(&F, "age"), "age is there");
	check(has(&F, "age") && F.n > 5, "windows that help are found");
	for (i = k = 0; i < F.n; i++)
		k += F.f[i].op > GE_F_COLUMN && F.f[i].op != GE_F_AGE &&
		    (F.f[i].a == C || F.f[i].w > 12);
	check(k == 0, "none of what is constant, none wider than was said");
	ge_features_release(&F);
}

/* One group, one row, nothing that varies: no features, and no failure. */
static void
little(void)
{
	struct ge_boost_opts o;
	struct ge_training t;
	struct ge_features F;
	size_t i, n;

	training(&t, &o);
	t.unit = unit;
	for (i = 0; i < N; i++)
		unit[i] = 0;
	for (n = 1; n <= 40; n += 39) {
		t.n = t.nrows = n;
		ge_features_plain(&F, &schema, &e);
		check(ge_propose_lags(&F, &schema, &t, 3, &e) == 0 &&
		    ge_propose(&F, &schema, &t, 3, &e) == 0 && F.n >= 5,
		    n == 1 ? "one row" : "one group");
		ge_features_release(&F);
	}
	for (i = 0; i < N * NCOLS; i++)
		v[i] = 1;
	ge_features_plain(&F, &schema, &e);
	t.unit = NULL;
	check(ge_propose_lags(&F, &schema, &t, 1, &e) == 0 &&
	    ge_propose(&F, &schema, &t, 3, &e) == 0 && F.n == 4,
	    "nothing that varies");
	ge_features_release(&F);
}

int
main(void)
{

	of_a_row();
	refused();
	in_time();
	some_rows();
	many_groups();
	many_groups_of_a_table();
	out_of_order();
	written();
	unreadable();
	pairs();
	nested();
	lags();
	little();
	return (bad);
}
