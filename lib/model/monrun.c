#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/decimal.h"
#include "model/monrun_int.h"
#include "util/buf.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/thread.h"
#include "util/world.h"

enum {
	NAMED = 8,			/* columns of a note */
	PIECE = 4096			/* rows to try with */
};

#define DAY 86400.0
#define LEVEL 1e-9			/* of a value: less is no change */

void
ge_mon_open(struct ge_mon *r, const struct ge_mon_opts *o)
{

	memset(r, 0, sizeof(*r));
	r->o = *o;
	r->started = ge_now();
	r->began = ge_clock();
	r->stage = "reading";
	ge_energy_start(&r->energy);
}

void
ge_mon_release(struct ge_mon *r)
{
	size_t g;

	for (g = 0; r->name != NULL && g < r->ngroups; g++)
		ge_free(r->name[g]);
	ge_free(r->name);
	ge_free(r->row);
	ge_free(r->use);
	ge_free(r->fresh);
	ge_free(r->group);
	ge_free(r->by_group);
	ge_monitor_release(&r->m);
	ge_monitor_release(&r->trial);
	ge_schema_release(&r->schema);
	ge_frame_release(&r->frame);
	memset(r, 0, sizeof(*r));
}

/* The value of row i in column j. */
static double
cell(const struct ge_mon *r, size_t i, size_t j)
{

	return (r->frame.v[i * r->frame.ncols + j]);
}

/*
 * Groups.
 */

static int
up(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return ((x > y) - (x < y));
}

static char *
group_name(const struct ge_frame_col *c, double x, struct ge_err *e)
{
	char s[32];

	if (c->type == GE_FRAME_CATEGORY)
		return (ge_strdup(c->word[(size_t)x], e));
	snprintf(s, sizeof(s), "%.15g", x);
	return (ge_strdup(s, e));
}

/* The values of column j that differ, sorted; those missing are a group "-". */
static int
group_values(struct ge_mon *r, size_t j, double *v, size_t *n, struct ge_err *e)
{
	size_t i, all = 0, missing;

	*n = 0;
	for (i = 0; i < r->n; i++)
		if (!isnan(cell(r, i, j)))
			v[all++] = cell(r, i, j);
	missing = all < r->n;
	qsort(v, all, sizeof(*v), up);
	for (i = 0; i < all; i++)
		if (i == 0 || v[i] > v[i - 1])
			v[(*n)++] = v[i];
	if ((r->name = ge_alloc((*n + missing) * sizeof(*r->name), e)) == NULL)
		return (-1);
	for (; r->ngroups < *n; r->ngroups++)
		if ((r->name[r->ngroups] = group_name(r->frame.col + j,
		    v[r->ngroups], e)) == NULL)
			return (-1);
	if (missing && (r->name[r->ngroups++] = ge_strdup("-", e)) == NULL)
		return (-1);
	return (0);
}

static uint32_t
group_of(const struct ge_mon *r, double x, const double *v, size_t n)
{
	const double *at = isnan(x) ? NULL : bsearch(&x, v, n, sizeof(*v), up);

	return ((uint32_t)(at == NULL ? r->ngroups - 1 : (size_t)(at - v)));
}

/* Rows of a group behind each other, in the order in which they came. */
static int
order_by(struct ge_mon *r, size_t j, struct ge_err *e)
{
	double *v = NULL;
	size_t *at = NULL, i, n, g;
	int rc = -1;

	if ((v = ge_alloc(r->n * sizeof(*v), e)) == NULL ||
	    (r->group = ge_alloc(r->n * sizeof(*r->group), e)) == NULL ||
	    group_values(r, j, v, &n, e) == -1 ||
	    (at = ge_alloc((r->ngroups + 1) * sizeof(*at), e)) == NULL)
		goto out;
	for (i = 0; i < r->n; i++)
		at[group_of(r, cell(r, i, j), v, n) + 1]++;
	for (g = 0; g < r->ngroups; g++)
		at[g + 1] += at[g];
	for (i = 0; i < r->n; i++)
		r->row[at[group_of(r, cell(r, i, j), v, n)]++] = (uint32_t)i;
	for (i = 0; i < r->n; i++)
		r->group[i] = group_of(r, cell(r, r->row[i], j), v, n);
	rc = 0;
out:
	ge_free(at);
	ge_free(v);
	return (rc);
}

static int
order(struct ge_mon *r, struct ge_err *e)
{
	size_t i, j = ge_schema_find(&r->schema, GE_ROLE_GROUP);

	if ((r->row = ge_alloc(r->n * sizeof(*r->row), e)) == NULL)
		return (-1);
	if (j != SIZE_MAX)
		return (order_by(r, j, e));
	for (i = 0; i < r->n; i++)
		r->row[i] = (uint32_t)i;
	r->ngroups = 1;
	return (0);
}

/*
 * Which rows follow the one before.
 */

/* Is row k the first of its group, or of a table? */
static int
begins(const struct ge_mon *r, size_t k)
{
	uint32_t i;

	if (k == 0 || (r->group != NULL && r->group[k] != r->group[k - 1]))
		return (1);
	for (i = r->row[k]; r->frame.fresh != NULL && i > r->row[k - 1]; i--)
		if (r->frame.fresh[i])
			return (1);
	return (0);
}

static void
tell_backwards(const struct ge_mon *r, const double *t)
{
	size_t k, n = 0, first = 0;

	for (k = 1; k < r->n; k++)
		if (!begins(r, k) && t[k] < t[k - 1] && n++ == 0)
			first = r->row[k] + (size_t)1;
	if (n > 0)
		ge_note(GE_WARN, "row %zu: '%s' runs backwards, %zu time%s in "
		    "all: what is behind does not follow what is before",
		    first, r->o.time, n, n == 1 ? "" : "s");
}

static int
follow(struct ge_mon *r, struct ge_err *e)
{
	size_t j = ge_schema_find(&r->schema, GE_ROLE_TIME), k;
	double *t = NULL;
	int rc = -1;

	if ((r->fresh = ge_alloc(r->n, e)) == NULL)
		return (-1);
	if (j != SIZE_MAX) {
		if ((t = ge_alloc(r->n * sizeof(*t), e)) == NULL)
			goto out;
		for (k = 0; k < r->n; k++)
			t[k] = cell(r, r->row[k], j);
		if (ge_monitor_gaps(t, r->n, r->fresh, &r->step, e) == -1)
			goto out;
		tell_backwards(r, t);
	}
	for (k = 0; k < r->n; k++)
		if (begins(r, k))
			r->fresh[k] = GE_MONITOR_APART;
	rc = 0;
out:
	ge_free(t);
	return (rc);
}

/*
 * What rows are for.
 */

/* The value that the mark has in nominal rows, as the frame has it. */
static int
nominal(const struct ge_mon *r, size_t j, double *x, struct ge_err *e)
{
	const struct ge_frame_col *c = r->frame.col + j;
	const char *end;
	size_t i;

	if (c->type == GE_FRAME_NUMBER) {
		if ((end = ge_decimal(r->o.value, x)) != NULL && *end == '\0')
			return (0);
	} else {
		for (i = 0; i < c->nwords; i++)
			if (strcmp(c->word[i], r->o.value) == 0) {
				*x = (double)i;
				return (0);
			}
	}
	return (ge_fail(e, GE_EUSAGE, "no row whose '%s' is '%s'", c->name,
	    r->o.value));
}

static int
uses(struct ge_mon *r, struct ge_err *e)
{
	size_t j = ge_schema_find(&r->schema, GE_ROLE_MARK), k;
	double x, want = 0;
	int in;

	if ((r->use = ge_alloc(r->n, e)) == NULL ||
	    (j != SIZE_MAX && nominal(r, j, &want, e) == -1))
		return (-1);
	for (k = 0; k < r->n; k++) {
		in = r->o.last == 0 || (r->row[k] + (uint64_t)1 >= r->o.first &&
		    r->row[k] < r->o.last);
		x = j != SIZE_MAX ? cell(r, r->row[k], j) : want;
		if (j != SIZE_MAX && !isnan(x) && (x < want || x > want))
			r->use[k] = GE_MON_FAULT;
		else if (isnan(x) || (j == SIZE_MAX && !in))
			r->use[k] = GE_MON_OTHER;
		else
			r->use[k] = in ? GE_MON_LEARN : GE_MON_HELD;
		r->count[r->use[k]]++;
	}
	if (r->o.last > 0 && r->o.first > r->n)
		return (ge_fail(e, GE_EUSAGE, "rows %" PRIu64 "-%" PRIu64
		    ": there are %zu", r->o.first, r->o.last, r->n));
	return (0);
}

/*
 * Which rows are kept back from the model that is measured, if the table does not
 * have nominal rows that nobody learns from: the last ones of each group.
 */
static void
hold(struct ge_mon *r)
{
	size_t g, k, n, end;
	double keep = (1 - r->o.hold) * (double)r->count[GE_MON_LEARN];

	r->apart = r->count[GE_MON_HELD] > 0;
	if (r->apart || r->o.hold <= 0 || keep < GE_MONITOR_ROWS)
		return;
	for (k = 0; k < r->n; k = end) {
		g = r->group != NULL ? r->group[k] : 0;
		for (n = 0, end = k; end < r->n && (r->group == NULL ||
		    r->group[end] == g); end++)
			n += r->use[end] == GE_MON_LEARN;
		n -= (size_t)(r->o.hold * (double)n);
		for (; k < end; k++)
			if (r->use[k] == GE_MON_LEARN && n > 0)
				n--;
			else if (r->use[k] == GE_MON_LEARN)
				r->use[k] = GE_MON_HELD;
	}
	for (k = 0; k < r->n; k++)
		r->count[GE_MON_HELD] += r->use[k] == GE_MON_HELD;
	r->count[GE_MON_LEARN] -= r->count[GE_MON_HELD];
	r->tried = r->count[GE_MON_HELD] > 0;
}

/*
 * Which columns are variables.
 */

/* Do nominal rows hold values of column j, half of them at least, that differ? */
static int
moves(const struct ge_mon *r, size_t j)
{
	double x, low = INFINITY, high = -INFINITY;
	uint64_t n = 0;
	size_t k;

	for (k = 0; k < r->n; k++) {
		x = cell(r, r->row[k], j);
		if (r->use[k] != GE_MON_LEARN || !isfinite(x))
			continue;
		low = fmin(low, x);
		high = fmax(high, x);
		n++;
	}
	return (n > 0 && 2 * n >= r->count[GE_MON_LEARN] &&
	    high - low > LEVEL * fmax(fabs(low), fabs(high)));
}

/* A column is passed over: its name is told, once for all of them. */
static void
leave(struct ge_mon *r, size_t j, size_t *n, struct ge_buf *list)
{

	r->schema.col[j].role = GE_ROLE_NONE;
	if ((*n)++ < NAMED)
		ge_buf_put(list, "%s'%s'", *n > 1 ? ", " : "",
		    r->schema.col[j].name);
}

static int
tell_left(size_t n, struct ge_buf *list, const char *why, struct ge_err *e)
{
	char *s;

	if (n > NAMED)
		ge_buf_put(list, " and %zu more", n - NAMED);
	if (ge_buf_done(list, &s, NULL) == -1)
		return (-1);
	if (n > 0)
		ge_note(GE_WARN, "left out, %s: %s", why, s);
	ge_free(s);
	(void)e;
	return (0);
}

static int
variables(struct ge_mon *r, struct ge_err *e)
{
	struct ge_buf words = { .e = e }, still = { .e = e };
	struct ge_schema_col *c;
	size_t j, nwords = 0, nstill = 0;
	int rc;

	for (j = 0; j < r->schema.ncols; j++) {
		c = r->schema.col + j;
		if (c->role == GE_ROLE_NONE || (c->role == GE_ROLE_INPUT &&
		    c->type != GE_FRAME_NUMBER))
			leave(r, j, &nwords, &words);
		else if (c->role == GE_ROLE_INPUT && !moves(r, j))
			leave(r, j, &nstill, &still);
		r->p += c->role == GE_ROLE_INPUT;
	}
	rc = tell_left(nwords, &words, "as words or times", e);
	if (tell_left(nstill, &still, "as constant or missing", e) == -1 ||
	    rc == -1)
		return (-1);
	if (r->p == 0)
		return (ge_fail(e, GE_EUSAGE,
		    "no column of numbers that change in nominal rows"));
	return (0);
}

/* The frame becomes [n][p]. */
static void
pack(struct ge_mon *r)
{
	struct ge_frame *f = &r->frame;
	const double *from = f->v;
	double *to = f->v, *less;
	struct ge_err e;
	size_t i, j;

	for (i = 0; i < f->n; i++, from += f->ncols)
		for (j = 0; j < f->ncols; j++)
			if (r->schema.col[j].role == GE_ROLE_INPUT)
				*to++ = from[j];
	if ((less = ge_resize(f->v, f->n * r->p * sizeof(*f->v), &e)) != NULL)
		f->v = less;
}

static int
rate(struct ge_mon *r, struct ge_err *e)
{

	r->far = r->o.far;
	if (!r->o.daily)
		return (0);
	if (r->o.time == NULL)
		return (ge_fail(e, GE_EUSAGE, "-O far=%g/day needs the times "
		    "of the rows: -O time=column", r->o.far));
	if (!(r->step > 0))
		return (ge_fail(e, GE_EUSAGE, "'%s' never moves on: false "
		    "alarms a day cannot be told", r->o.time));
	r->far = r->o.far * r->step / DAY;
	return (0);
}

int
ge_mon_ready(struct ge_mon *r, struct ge_err *e)
{
	const struct ge_roles roles = { .time = r->o.time,
	    .group = r->o.group, .mark = r->o.mark };

	r->n = r->frame.n;
	if (r->n >= UINT32_MAX)
		return (ge_fail(e, GE_EUSAGE, "%zu rows are too many", r->n));
	if (r->o.mark != NULL && ge_frame_find(&r->frame, r->o.mark) ==
	    SIZE_MAX)
		return (ge_fail(e, GE_EUSAGE, "-O nominal=: no column '%s'",
		    r->o.mark));
	if (ge_schema_of(&r->schema, "monitor", &r->frame, &roles, e) == -1 ||
	    order(r, e) == -1 || follow(r, e) == -1 || uses(r, e) == -1 ||
	    rate(r, e) == -1 || variables(r, e) == -1)
		return (-1);
	pack(r);
	hold(r);
	return (0);
}

/*
 * Learning.
 */

/* The rows of these uses, and whether they follow each other. */
static void
rows_of(struct ge_mon *r, int held, uint32_t *row, uint8_t *fresh, size_t *n)
{
	size_t k;
	int gap = 0;

	for (*n = 0, k = 0; k < r->n; k++) {
		gap |= r->fresh[k];
		if (r->use[k] == GE_MON_LEARN ||
		    (held && r->use[k] == GE_MON_HELD)) {
			fresh[*n] = (uint8_t)gap;
			row[(*n)++] = r->row[k];
			gap = 0;
		} else {
			gap |= GE_MONITOR_LATER;
		}
	}
}

static void
options(const struct ge_mon *r, struct ge_monitor_opts *o)
{

	ge_monitor_opts_init(o);
	o->far = r->far;
	o->lags = r->o.lags;
	o->modes = r->o.modes;
	o->hinges = r->o.hinges;
	o->jobs = r->o.jobs;
}

int
ge_mon_learn(struct ge_mon *r, int held, int (*fit)(void *arg,
    const double *rows, size_t n, size_t p, const struct ge_monitor_opts *o,
    struct ge_err *e), void *arg, struct ge_err *e)
{
	struct ge_monitor_opts o;
	uint32_t *row = NULL;
	uint8_t *fresh = NULL;
	size_t n;
	int rc = -1;

	if ((row = ge_alloc(r->n * sizeof(*row), e)) == NULL ||
	    (fresh = ge_alloc(r->n, e)) == NULL)
		goto out;
	rows_of(r, held, row, fresh, &n);
	options(r, &o);
	o.fresh = fresh;
	o.row = row;
	rc = fit(arg, r->frame.v, n, r->p, &o, e);
out:
	ge_free(fresh);
	ge_free(row);
	return (rc);
}

int
ge_mon_self(void *arg, const double *rows, size_t n, size_t p,
    const struct ge_monitor_opts *o, struct ge_err *e)
{

	return (ge_monitor_fit(arg, rows, n, p, o, e));
}

/* Learning from the first rows only; seconds of it into arg. */
struct piece {
	size_t rows;
	double seconds;
};

static int
fit_piece(void *arg, const double *rows, size_t n, size_t p,
    const struct ge_monitor_opts *o, struct ge_err *e)
{
	struct piece *a = arg;
	struct ge_monitor m;
	double began = ge_clock();

	if (ge_monitor_fit(&m, rows, n < a->rows ? n : a->rows, p, o, e) == -1)
		return (-1);
	a->seconds = ge_clock() - began;
	ge_monitor_release(&m);
	return (0);
}

/* Seconds are taken to grow evenly with the rows behind those of a piece. */
int
ge_mon_try(struct ge_mon *r, struct ge_mon_cost *c, struct ge_err *e)
{
	const double n = (double)(r->count[GE_MON_LEARN] +
	    (r->apart ? 0 : r->count[GE_MON_HELD]));
	struct piece a = { .rows = PIECE }, b = { .rows = 2 * PIECE };
	double j = ge_energy_joules(&r->energy), s = ge_clock();
	struct ge_monitor_opts o;

	r->stage = "trying";
	options(r, &o);
	c->table = r->frame.n * r->p * sizeof(double) +
	    r->n * (2 * sizeof(uint32_t) + 3);
	ge_monitor_bytes(&c->fit, (size_t)n, r->p, &o);
	if (ge_mon_learn(r, !r->apart, fit_piece, &a, e) == -1)
		return (-1);
	c->seconds = a.seconds;
	if (n > 2 * PIECE) {
		if (ge_mon_learn(r, !r->apart, fit_piece, &b, e) == -1)
			return (-1);
		c->seconds += fmax(b.seconds - a.seconds, 0) * (n - PIECE) /
		    PIECE;
	}
	s = ge_clock() - s;
	j = ge_energy_joules(&r->energy) - j;
	if (r->tried)
		c->seconds *= 2 - r->o.hold;
	c->joules = s > 0 ? c->seconds * j / s : 0;
	return (0);
}

int
ge_mon_fit(struct ge_mon *r, struct ge_err *e)
{
	double s = ge_clock(), j = ge_energy_joules(&r->energy);

	r->stage = "learning";
	if (ge_mon_learn(r, !r->apart, ge_mon_self, &r->m, e) == -1)
		return (-1);
	r->self.name = "this";
	r->self.seconds = ge_clock() - s;
	r->self.joules = ge_energy_joules(&r->energy) - j;
	return (0);
}

int
ge_mon_measured(const struct ge_mon *r)
{

	return (r->self.tally.nominal > 0 || r->self.tally.faulty > 0);
}

/*
 * Files.
 */

static int
save_schema(const struct ge_mon *r, struct ge_outdir *out, struct ge_err *e)
{
	json_t *j = ge_schema_json(&r->schema);
	char *text = NULL;
	int rc = -1;

	if (j != NULL && json_object_set_new(j, "monitor", json_pack(
	    "{s:f, s:f}", "far", r->far, "step", r->step)) == 0)
		text = json_dumps(j, JSON_INDENT(2) |
		    JSON_REAL_PRECISION(17));
	if (text == NULL)
		ge_fail(e, GE_EFAIL, "out of memory");
	else
		rc = ge_outdir_file(out, "schema.json", text, strlen(text), e);
	free(text);
	json_decref(j);
	return (rc);
}

static int
save_text(char *text, const char *name, struct ge_outdir *out, struct ge_err *e)
{
	int rc;

	if (text == NULL)
		return (-1);
	rc = ge_outdir_file(out, name, text, strlen(text), e);
	ge_free(text);
	return (rc);
}

int
ge_mon_save(struct ge_mon *r, struct ge_outdir *out, struct ge_err *e)
{

	r->stage = "writing";
	r->seconds = ge_clock() - r->began;
	r->joules = ge_energy_joules(&r->energy);
	if (ge_monitor_save(&r->m, out, "monitor.safetensors", e) == -1 ||
	    save_schema(r, out, e) == -1 ||
	    save_text(ge_mon_report(r, e), "run.json", out, e) == -1)
		return (-1);
	return (save_text(ge_mon_card(r, e), "README.md", out, e));
}
