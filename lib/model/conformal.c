#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/conformal.h"
#include "model/digits.h"
#include "model/holdout.h"
#include "util/hook.h"
#include "util/mem.h"

enum {
	KNOTS = 16,
	KNOT_ROWS = 50,			/* at least, of a knot */
	FOLDS = 128			/* told apart */
};

#define BETTER 0.01			/* share that a changing spread must save */
#define LEAST 0.05			/* of a spread, in their mean */
#define FAR 1e300

static int
rising(const void *a, const void *b)
{
	const double *p = a, *q = b;

	return ((*p > *q) - (*p < *q));
}

/*
 * Sets of classes.
 */

/* The margins of a row, seen from the largest: it, and the sum of the others. */
struct view {
	const float *margin;
	double scale;			/* what they are multiplied by */
	size_t k, best;
	double most, rest;
};

static double
margin_at(const struct view *v, size_t c)
{

	return (isfinite(v->margin[c]) ? v->scale * (double)v->margin[c] : 0);
}

static struct view
look(const float *margin, size_t k, double scale)
{
	struct view v = { margin, scale, k, 0, 0, 0 };
	size_t c;

	for (c = 1; k > 2 && c < k; c++)
		if (margin_at(&v, c) > margin_at(&v, v.best))
			v.best = c;
	v.most = margin_at(&v, v.best);
	for (c = 0; k > 2 && c < k; c++)
		v.rest += c == v.best ? 0 : exp(margin_at(&v, c) - v.most);
	return (v);
}

/* The log odds of two classes, the log probability of one of more. */
static double
score(const struct view *v, size_t c)
{

	if (v->k == 2)
		return (c == 1 ? v->most : -v->most);
	return (margin_at(v, c) - v->most - log1p(v->rest));
}

static const float *
margin_of(const struct ge_margins *m, size_t row)
{

	return (m->margin + row * (m->k == 2 ? 1 : m->k));
}

/* How far the margins of a row are apart. */
static double
reach(const struct ge_margins *m, size_t row)
{
	struct view v = look(margin_of(m, row), m->k, 1);
	double sum = 0;
	size_t c;

	if (m->k == 2)
		return (fabs(v.most));
	for (c = 0; c < m->k; c++)
		sum += v.most - margin_at(&v, c);
	return (sum / (double)m->k);
}

/*
 * Models of folds with more rounds have larger margins; the model of all rows has the
 * mean of their rounds.  So margins are taken in the mean scale of the folds.
 */
static void
level(const struct ge_margins *m, double scale[FOLDS])
{
	double sum[FOLDS] = { 0 }, rows[FOLDS] = { 0 }, mean = 0;
	size_t i, f, n = 0;

	for (i = 0; m->fold != NULL && i < m->n; i++) {
		sum[m->fold[i] % FOLDS] += reach(m, i);
		rows[m->fold[i] % FOLDS]++;
	}
	for (f = 0; f < FOLDS; f++)
		if (sum[f] > 0) {
			mean += sum[f] / rows[f];
			n++;
		}
	for (f = 0; f < FOLDS; f++)
		scale[f] = sum[f] > 0 ? mean / (double)n * rows[f] / sum[f] :
		    1;
}

struct scores {
	const struct ge_margins *m;
	double scale[FOLDS];
	double *own;			/* [n] scratch */
};

static struct view
look_row(const struct scores *s, size_t row)
{
	const struct ge_margins *m = s->m;

	return (look(margin_of(m, row), m->k, s->scale[m->fold != NULL ?
	    m->fold[row] % FOLDS : 0]));
}

/* What all but a share of n sorted scores are at least. */
static double
least_of(const double *s, size_t n, double coverage)
{
	size_t r = (size_t)floor((double)(n + 1) * (1 - coverage) + 1e-9);

	return (r == 0 ? -INFINITY : ge_digits_down(s[r - 1]));
}

static void
learn_sets(struct ge_conformal *c, const struct scores *s,
    const uint32_t *row, size_t n)
{
	struct view v;
	size_t k, i, got;

	for (k = 0; k < c->k; k++) {
		for (got = i = 0; i < n; i++) {
			if ((size_t)s->m->y[row[i]] != k)
				continue;
			v = look_row(s, row[i]);
			s->own[got++] = score(&v, k);
		}
		qsort(s->own, got, sizeof(*s->own), rising);
		c->least[k] = least_of(s->own, got, c->coverage);
	}
}

static size_t
in_set(const struct ge_conformal *c, const struct view *v, unsigned char *in)
{
	size_t k, size = 0;
	int yes;

	for (k = 0; k < c->k; k++) {
		yes = score(v, k) >= c->least[k];
		size += (size_t)yes;
		if (in != NULL)
			in[k] = (unsigned char)yes;
	}
	return (size);
}

static int
held_sets(struct ge_conformal *c, const struct scores *s, uint32_t *row,
    struct ge_conformal_held *held, struct ge_err *e)
{
	const struct ge_margins *m = s->m;
	struct view v;
	size_t f, n, i, y;

	held->coverage = held->size = 0;
	for (f = 0; f < GE_HOLDOUT_PARTS; f++) {
		n = ge_holdout(m->fold, m->n, f, row);
		if (ge_hook_tick(0, e) == -1)
			return (-1);
		learn_sets(c, s, row + n, m->n - n);
		for (i = 0; i < n; i++) {
			v = look_row(s, row[i]);
			y = (size_t)s->m->y[row[i]];
			held->size += (double)in_set(c, &v, NULL);
			held->coverage += score(&v, y) >= c->least[y];
		}
	}
	held->coverage /= (double)m->n;
	held->size /= (double)m->n;
	return (0);
}

static int
begin(struct ge_conformal *c, enum ge_conformal_kind kind, double coverage,
    size_t k, struct ge_err *e)
{

	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->coverage = coverage;
	c->k = k;
	c->radius = INFINITY;
	if (k > 0 && (c->least = ge_alloc(k * sizeof(*c->least), e)) == NULL)
		return (-1);
	return (0);
}

static void
all_rows(uint32_t *row, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		row[i] = (uint32_t)i;
}

int
ge_conformal_sets(struct ge_conformal *c, double coverage,
    const struct ge_margins *m, struct ge_conformal_held *held,
    struct ge_err *e)
{
	struct scores s = { .m = m };
	uint32_t *row = NULL;
	int rc = -1;

	level(m, s.scale);
	if (begin(c, GE_CONFORMAL_SETS, coverage, m->k, e) == -1 ||
	    (row = ge_alloc((m->n + 1) * sizeof(*row), e)) == NULL ||
	    (s.own = ge_alloc((m->n + 1) * sizeof(*s.own), e)) == NULL ||
	    (held != NULL && held_sets(c, &s, row, held, e) == -1))
		goto out;
	all_rows(row, m->n);
	learn_sets(c, &s, row, m->n);
	rc = 0;
out:
	ge_free(row);
	ge_free(s.own);
	if (rc == -1)
		ge_conformal_release(c);
	return (rc);
}

size_t
ge_conformal_in(const struct ge_conformal *c, const float *margin,
    unsigned char *in)
{
	struct view v = look(margin, c->k, 1);

	return (in_set(c, &v, in));
}

/*
 * Intervals.
 */

struct numbers {
	const double *p, *y;
};

/* Prediction and what it was off by. */
struct off {
	double p, off;
};

static int
by_prediction(const void *a, const void *b)
{
	const struct off *x = a, *y = b;

	if (x->p < y->p || x->p > y->p)
		return (x->p < y->p ? -1 : 1);
	return ((x->off > y->off) - (x->off < y->off));
}

static double
spread(const struct ge_conformal *c, double p)
{

	return (c->spread.n > 0 ? ge_curve_at(&c->spread, p) : 1);
}

/* Means of p and off of n rows, one after the other in p. */
static struct off
mean_off(const struct off *o, size_t n)
{
	struct off sum = { 0, 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		sum.p += o[i].p / (double)n;
		sum.off += o[i].off / (double)n;
	}
	return (sum);
}

/* As many knots as there are rows for; none if they are too few or are all right. */
static int
learn_spread(struct ge_conformal *c, struct off *o, size_t n,
    struct ge_err *e)
{
	size_t knots = n / KNOT_ROWS < KNOTS ? n / KNOT_ROWS : KNOTS, i;
	double all = mean_off(o, n).off;
	struct off at;

	if (knots < 2 || !(all > 0) || !isfinite(all))
		return (0);
	qsort(o, n, sizeof(*o), by_prediction);
	if (ge_curve_new(&c->spread, KNOTS, e) == -1)
		return (-1);
	for (i = 0; i < knots; i++) {
		at = mean_off(o + i * n / knots, (i + 1) * n / knots - i * n /
		    knots);
		ge_curve_add(&c->spread, at.p, fmax(at.off, LEAST * all));
	}
	return (0);
}

/* The radius of n rows that are off by so much, in spreads. */
static void
learn_radius(struct ge_conformal *c, const struct off *o, size_t n,
    double *own)
{
	size_t r = (size_t)ceil((double)(n + 1) * c->coverage - 1e-9), i;

	for (i = 0; i < n; i++)
		own[i] = o[i].off / spread(c, o[i].p);
	qsort(own, n, sizeof(*own), rising);
	c->radius = r > n || !isfinite(own[r - 1]) ? INFINITY :
	    ge_digits_up(own[r - 1]);
}

/* From n rows; o and own [n] are scratch. */
static int
learn_interval(struct ge_conformal *c, int spreads, const struct numbers *d,
    const uint32_t *row, size_t n, struct off *o, double *own,
    struct ge_err *e)
{
	size_t i;

	ge_curve_release(&c->spread);
	for (i = 0; i < n; i++)
		o[i] = (struct off){ d->p[row[i]],
		    fabs(d->y[row[i]] - d->p[row[i]]) };
	if (spreads && learn_spread(c, o, n, e) == -1)
		return (-1);
	learn_radius(c, o, n, own);
	return (0);
}

/* Interval scores of rows (Gneiting and Raftery, 2007), summed, and what they hold. */
static double
judge(const struct ge_conformal *c, const struct numbers *d,
    const uint32_t *row, size_t n, struct ge_conformal_held *held)
{
	double low, high, y, out, sum = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		ge_conformal_bounds(c, d->p[row[i]], &low, &high);
		y = d->y[row[i]];
		out = fmax(fmax(low - y, y - high), 0);
		held->coverage += y >= low && y <= high;
		held->size += high - low;
		sum += high - low + out * 2 / (1 - c->coverage);
	}
	return (sum);
}

struct scratch {
	uint32_t *row;
	struct off *o;
	double *own;
};

/* The interval score with limits from other folds. */
static int
held_interval(struct ge_conformal *c, int spreads, const struct numbers *d,
    const uint32_t *fold, size_t n, const struct scratch *t,
    struct ge_conformal_held *held, double *score, struct ge_err *e)
{
	size_t f, got;

	*held = (struct ge_conformal_held){ 0, 0 };
	*score = 0;
	for (f = 0; f < GE_HOLDOUT_PARTS; f++) {
		got = ge_holdout(fold, n, f, t->row);
		if (ge_hook_tick(0, e) == -1 || learn_interval(c, spreads, d,
		    t->row + got, n - got, t->o, t->own, e) == -1)
			return (-1);
		*score += judge(c, d, t->row, got, held);
	}
	held->coverage /= (double)n;
	held->size /= (double)n;
	return (0);
}

static int
choose_interval(struct ge_conformal *c, const struct numbers *d,
    const uint32_t *fold, size_t n, const struct scratch *t,
    struct ge_conformal_held *held, struct ge_err *e)
{
	struct ge_conformal_held with;
	double plain, spreads;
	int better;

	if (held_interval(c, 0, d, fold, n, t, held, &plain, e) == -1 ||
	    held_interval(c, 1, d, fold, n, t, &with, &spreads, e) == -1)
		return (-1);
	better = spreads < (1 - BETTER) * plain;
	if (better)
		*held = with;
	all_rows(t->row, n);
	return (learn_interval(c, better, d, t->row, n, t->o, t->own, e));
}

int
ge_conformal_interval(struct ge_conformal *c, double coverage,
    const double *p, const double *y, const uint32_t *fold, size_t n,
    struct ge_conformal_held *held, struct ge_err *e)
{
	struct numbers d = { p, y };
	struct scratch t = { NULL, NULL, NULL };
	struct ge_conformal_held own;
	int rc = -1;

	if (begin(c, GE_CONFORMAL_INTERVAL, coverage, 0, e) == 0 &&
	    (t.row = ge_alloc((n + 1) * sizeof(*t.row), e)) != NULL &&
	    (t.o = ge_alloc((n + 1) * sizeof(*t.o), e)) != NULL &&
	    (t.own = ge_alloc((n + 1) * sizeof(*t.own), e)) != NULL)
		rc = choose_interval(c, &d, fold, n, &t, held != NULL ? held :
		    &own, e);
	ge_free(t.row);
	ge_free(t.o);
	ge_free(t.own);
	if (rc == -1)
		ge_conformal_release(c);
	return (rc);
}

void
ge_conformal_bounds(const struct ge_conformal *c, double p, double *low,
    double *high)
{
	double r = c->radius * spread(c, p);

	*low = p - r;
	*high = p + r;
}

void
ge_conformal_release(struct ge_conformal *c)
{

	ge_free(c->least);
	ge_curve_release(&c->spread);
	memset(c, 0, sizeof(*c));
}

/*
 * In schema.json.
 */

static json_t *
number_or_null(double v)
{

	return (isfinite(v) ? json_real(v) : json_null());
}

json_t *
ge_conformal_json(const struct ge_conformal *c)
{
	json_t *j, *a;
	size_t k;

	if (c->kind == GE_CONFORMAL_NONE)
		return (NULL);
	j = json_pack("{s:f}", "coverage", c->coverage);
	if (c->kind == GE_CONFORMAL_INTERVAL) {
		json_object_set_new(j, "radius", number_or_null(c->radius));
		if (c->spread.n > 0)
			json_object_set_new(j, "spread",
			    ge_curve_json(&c->spread));
		return (j);
	}
	a = json_array();
	for (k = 0; k < c->k; k++)
		json_array_append_new(a, number_or_null(c->least[k]));
	json_object_set_new(j, "least", a);
	return (j);
}

static int
parse_sets(struct ge_conformal *c, const json_t *j, struct ge_err *e)
{
	const json_t *a = json_object_get(j, "least"), *v;
	size_t k;

	if (json_array_size(a) != c->k)
		return (ge_fail(e, GE_EREFUSED, "conformal: %zu limits, not %zu",
		    json_array_size(a), c->k));
	for (k = 0; k < c->k; k++) {
		v = json_array_get(a, k);
		c->least[k] = -INFINITY;
		if (!json_is_null(v) && ge_digits_json(v, -FAR, FAR,
		    &c->least[k]) == -1)
			return (ge_fail(e, GE_EREFUSED, "conformal: a limit that "
			    "is no number"));
	}
	return (0);
}

static int
parse_interval(struct ge_conformal *c, const json_t *j, struct ge_err *e)
{
	const json_t *r = json_object_get(j, "radius"), *s =
	    json_object_get(j, "spread");

	if (!json_is_null(r) && ge_digits_json(r, 0, FAR, &c->radius) == -1)
		return (ge_fail(e, GE_EREFUSED, "conformal: a radius that cannot "
		    "be"));
	if (s != NULL && ge_curve_parse(&c->spread, s, 1e-300, FAR, 0, e) ==
	    -1)
		return (ge_within(e, "conformal"));
	return (0);
}

static int
parse(struct ge_conformal *c, const json_t *j, size_t k, struct ge_err *e)
{
	double coverage;

	if (ge_digits_json(json_object_get(j, "coverage"), 1e-9, 1 - 1e-9,
	    &coverage) == -1)
		return (ge_fail(e, GE_EREFUSED, "conformal: a coverage that "
		    "cannot be"));
	if (begin(c, k > 0 ? GE_CONFORMAL_SETS : GE_CONFORMAL_INTERVAL,
	    coverage, k, e) == -1)
		return (-1);
	return (k > 0 ? parse_sets(c, j, e) : parse_interval(c, j, e));
}

int
ge_conformal_parse(struct ge_conformal *c, const json_t *j, size_t k,
    struct ge_err *e)
{

	memset(c, 0, sizeof(*c));
	if (k == 1 || k > GE_CLASSES)
		return (ge_fail(e, GE_EREFUSED, "conformal: %zu class%s", k,
		    k == 1 ? "" : "es"));
	if (j == NULL || json_is_null(j) || parse(c, j, k, e) == 0)
		return (0);
	ge_conformal_release(c);
	return (-1);
}
