#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/curve.h"
#include "model/digits.h"
#include "util/mem.h"

#define FAR 1e300

int
ge_curve_new(struct ge_curve *u, size_t room, struct ge_err *e)
{

	u->n = 0;
	u->y = NULL;
	if ((u->x = ge_alloc(room * sizeof(*u->x), e)) != NULL &&
	    (u->y = ge_alloc(room * sizeof(*u->y), e)) != NULL)
		return (0);
	ge_curve_release(u);
	return (-1);
}

void
ge_curve_add(struct ge_curve *u, double x, double y)
{

	u->x[u->n] = ge_digits(x);
	u->y[u->n++] = ge_digits(y);
}

void
ge_curve_release(struct ge_curve *u)
{

	ge_free(u->x);
	ge_free(u->y);
	memset(u, 0, sizeof(*u));
}

double
ge_curve_at(const struct ge_curve *u, double x)
{
	size_t lo = 0, hi = u->n, mid;
	double part;

	if (!(x >= u->x[0]))
		return (u->y[0]);
	while (hi - lo > 1) {
		mid = (lo + hi) / 2;
		if (u->x[mid] <= x)
			lo = mid;
		else
			hi = mid;
	}
	if (hi == u->n)
		return (u->y[lo]);
	part = (x - u->x[lo]) / (u->x[hi] - u->x[lo]);
	return (u->y[lo] + part * (u->y[hi] - u->y[lo]));
}

static int
by_place(const void *a, const void *b)
{
	const struct ge_curve_pool *p = a, *q = b;

	if (p->first < q->first || p->first > q->first)
		return (p->first < q->first ? -1 : 1);
	if (p->y < q->y || p->y > q->y)
		return (p->y < q->y ? -1 : 1);
	return ((p->w > q->w) - (p->w < q->w));
}

/* b takes in what is behind it. */
static void
join(struct ge_curve_pool *b, const struct ge_curve_pool *next)
{
	double w = b->w + next->w;

	b->y = w > 0 ? (b->y * b->w + next->y * next->w) / w : b->y;
	b->w = w;
	b->last = next->last;
}

/* Those of the same place, made one. */
static size_t
join_equal(struct ge_curve_pool *b, size_t n)
{
	size_t i, top = 0;

	for (i = 0; i < n; i++)
		if (top > 0 && b[top - 1].last >= b[i].first)
			join(&b[top - 1], &b[i]);
		else
			b[top++] = b[i];
	return (top);
}

static size_t
join_violators(struct ge_curve_pool *b, size_t n)
{
	size_t i, top = 0;

	for (i = 0; i < n; i++) {
		b[top] = b[i];
		for (; top > 0 && b[top - 1].y >= b[top].y; top--)
			join(&b[top - 1], &b[top]);
		top++;
	}
	return (top);
}

int
ge_curve_rising(struct ge_curve *u, struct ge_curve_pool *b, size_t n,
    double edge, struct ge_err *e)
{
	size_t i, every;
	double y;

	if (ge_curve_new(u, GE_CURVE_POINTS, e) == -1)
		return (-1);
	qsort(b, n, sizeof(*b), by_place);
	n = join_violators(b, join_equal(b, n));
	/* Both ends of each pool; of very many, those of some and of the last. */
	every = n / (GE_CURVE_POINTS / 2 - 1) + 1;
	for (i = 0; i < n; i++) {
		if (i % every != 0 && i + 1 < n)
			continue;
		y = fmin(fmax(b[i].y, edge), 1 - edge);
		ge_curve_add(u, b[i].first, y);
		if (b[i].last > b[i].first)
			ge_curve_add(u, b[i].last, y);
	}
	return (0);
}

json_t *
ge_curve_json(const struct ge_curve *u)
{
	json_t *j = json_array();
	size_t i;

	for (i = 0; i < u->n; i++)
		json_array_append_new(j, json_pack("[ff]", u->x[i], u->y[i]));
	return (j);
}

static int
parse_point(struct ge_curve *u, const json_t *j, double min, double max)
{
	double least = u->n > 0 ? u->x[u->n - 1] : -FAR;

	if (json_array_size(j) != 2 ||
	    ge_digits_json(json_array_get(j, 0), least, FAR, &u->x[u->n]) ==
	    -1 || ge_digits_json(json_array_get(j, 1), min, max,
	    &u->y[u->n]) == -1)
		return (-1);
	u->n++;
	return (0);
}

int
ge_curve_parse(struct ge_curve *u, const json_t *j, double min, double max,
    int rising, struct ge_err *e)
{
	size_t n = json_array_size(j), i;

	memset(u, 0, sizeof(*u));
	if (n < 1 || n > GE_CURVE_POINTS)
		return (ge_fail(e, GE_EREFUSED, "a curve of %zu points", n));
	if (ge_curve_new(u, n, e) == -1)
		return (-1);
	for (i = 0; i < n; i++) {
		if (parse_point(u, json_array_get(j, i), min, max) == 0) {
			min = rising ? u->y[i] : min;
			continue;
		}
		ge_curve_release(u);
		return (ge_fail(e, GE_EREFUSED, "a curve of points that cannot "
		    "be"));
	}
	return (0);
}
