#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/decimal.h"
#include "model/monrun_int.h"
#include "model/order.h"
#include "util/buf.h"
#include "util/hook.h"
#include "util/mem.h"

#define LEVEL 1e-9			/* of a value: less is no change */

/* The value of row i in column j. */
static double
cell(const struct ge_mon *r, size_t i, size_t j)
{

	return (r->frame.v[i * r->frame.ncols + j]);
}

/*
 * Groups.
 */

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
	qsort(v, all, sizeof(*v), ge_order_numbers);
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
	const double *at = isnan(x) ? NULL : bsearch(&x, v, n,
	    sizeof(*v), ge_order_numbers);

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

static int
no_row(const struct ge_mon *r, size_t j, struct ge_err *e)
{

	return (ge_fail(e, GE_EUSAGE, "no row whose '%s' is '%s'",
	    r->frame.col[j].name, r->o.value));
}

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
	return (no_row(r, j, e));
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
	if (r->count[GE_MON_LEARN] + r->count[GE_MON_HELD] == 0 &&
	    j != SIZE_MAX)
		return (no_row(r, j, e));
	if (r->o.last > r->n)
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
		if (r->use[k] != GE_MON_LEARN || !(fabs(x) < GE_MONITOR_MOST))
			continue;
		low = fmin(low, x);
		high = fmax(high, x);
		n++;
	}
	return (n > 0 && 2 * n >= r->count[GE_MON_LEARN] &&
	    high - low > 1 / GE_MONITOR_MOST &&
	    high - low > LEVEL * fmax(fabs(low), fabs(high)));
}

/* A column is passed over: its name is told, once for all of them. */
static void
leave(struct ge_mon *r, size_t j, size_t *n, struct ge_buf *list)
{
	const struct ge_frame_col *c = r->frame.col + j;

	r->schema.col[j].role = GE_ROLE_NONE;
	if ((*n)++ < GE_MON_NAMED)
		ge_buf_put(list, "%s'%s'", *n > 1 ? ", " : "",
		    r->schema.col[j].name);
	if (*n <= GE_MON_NAMED && c->numbers > 0 && c->first != NULL)
		ge_buf_put(list, " (numbers but for %s)", c->first);
}

static int
tell_left(size_t n, struct ge_buf *list, const char *why, struct ge_err *e)
{
	char *s;

	if (n > GE_MON_NAMED)
		ge_buf_put(list, " and %zu more", n - GE_MON_NAMED);
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
	if (tell_left(nstill, &still, "as constant, missing or beyond 1e30",
	    e) == -1 || rc == -1)
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
	r->far = r->o.far * r->step / GE_MON_DAY;
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
