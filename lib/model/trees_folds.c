#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/draw.h"
#include "model/trees_int.h"
#include "util/hook.h"
#include "util/mem.h"

/*
 * Which rows are held out together.
 */

/* A row or a group to deal, in an order that has nothing to do with the table's. */
struct item {
	uint64_t first, second;
	uint32_t at;
};

static int
compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->first != y->first)
		return (x->first < y->first ? -1 : 1);
	if (x->second != y->second)
		return (x->second < y->second ? -1 : 1);
	return (x->at < y->at ? -1 : x->at > y->at);
}

static size_t
class_of(const struct ge_trees *t, size_t i)
{

	return (t->meaning.k > 0 ? (size_t)t->y[i] : 0);
}

/* Rows class by class, each class shuffled, like cards; or a share of each class. */
static void
deal_rows(struct ge_trees *t, struct item *item, size_t n)
{
	uint64_t s;
	size_t j, from, len;

	for (j = 0; j < n; j++) {
		s = t->o.seed * 0x9e3779b97f4a7c15u + item[j].at;
		item[j].first = class_of(t, item[j].at);
		item[j].second = ge_draw(&s);
	}
	qsort(item, n, sizeof(*item), compare);
	for (j = 0; j < n && !(t->o.hold > 0); j++)
		t->fold[item[j].at] = (int32_t)(j % (size_t)t->folds);
	for (from = 0; from < n && t->o.hold > 0; from += len) {
		for (len = 0; from + len < n && item[from + len].first ==
		    item[from].first; len++)
			;
		for (j = 0; j < (size_t)(t->o.hold * (double)len + 0.5); j++)
			t->fold[item[from + j].at] = 0;
	}
}

/*
 * Blocks of equal length in the order of time.  Of blocks 0..folds the first is never
 * held out.  Rows of one time stay together.
 */
static void
deal_blocks(struct ge_trees *t, struct item *item, size_t n,
    const double *time)
{
	size_t j, block, before = 0;
	double first = t->o.hold > 0 ? 1 - t->o.hold : 1.0 / (t->folds + 1);
	double at;

	for (j = 0; j < n; j++) {
		at = (double)j / (double)n - first;
		block = at < 0 ? 0 : 1 + (size_t)(at / (1 - first) *
		    (double)t->folds);
		if (j > 0 && time[item[j].at] == time[item[j - 1].at])
			block = before;
		before = block;
		t->fold[item[j].at] = (int32_t)block - 1;
	}
}

static int
deal_times(struct ge_trees *t, struct item *item, size_t n, size_t col,
    struct ge_err *e)
{
	double *time;
	size_t i;

	if ((time = ge_alloc(t->n * sizeof(*time), e)) == NULL)
		return (-1);
	for (i = 0; i < t->n; i++)
		time[i] = t->f->v[i * t->f->ncols + col];
	/* Doubles in order are these integers in order; missing ones come last. */
	for (i = 0; i < n; i++) {
		union { double d; uint64_t u; } v = { time[item[i].at] + 0.0 };

		item[i].first = isnan(v.d) ? UINT64_MAX : v.u >> 63 ? ~v.u :
		    v.u | (uint64_t)1 << 63;
		item[i].second = 0;
	}
	qsort(item, n, sizeof(*item), compare);
	t->forward = 1;
	deal_blocks(t, item, n, time);
	ge_free(time);
	return (0);
}

/*
 * Groups, the largest first, each to the fold where it makes the shares of the classes
 * most even: the sum of their squares.
 */
struct deal {
	size_t k, folds;
	double *unit;			/* [nunits][k] rows of a class */
	double *fold;			/* [folds][k] */
	double *all;			/* [k] */
};

static size_t
best_fold(const struct deal *d, const double *unit)
{
	double cost, least = INFINITY, a, b;
	size_t f, c, best = 0;

	for (f = 0; f < d->folds; f++) {
		cost = 0;
		for (c = 0; c < d->k; c++) {
			if (d->all[c] == 0)
				continue;
			a = d->fold[f * d->k + c] / d->all[c];
			b = unit[c] / d->all[c];
			cost += (a + b) * (a + b) - a * a;
		}
		if (cost < least) {
			least = cost;
			best = f;
		}
	}
	return (best);
}

static int
deal_units(struct ge_trees *t, const struct item *row, size_t n,
    struct deal *d, struct ge_err *e)
{
	struct item *item;
	uint32_t *to;
	uint64_t s;
	size_t i, c, f;

	item = ge_alloc(t->nunits * sizeof(*item), e);
	to = ge_alloc(t->nunits * sizeof(*to), e);
	if (item == NULL || to == NULL) {
		ge_free(item);
		ge_free(to);
		return (-1);
	}
	for (i = 0; i < t->nunits; i++) {
		s = t->o.seed * 0x9e3779b97f4a7c15u + i;
		item[i].first = UINT64_MAX;
		item[i].second = ge_draw(&s);
		item[i].at = (uint32_t)i;
	}
	for (i = 0; i < n; i++) {
		c = class_of(t, row[i].at);
		d->unit[t->unit[row[i].at] * d->k + c]++;
		d->all[c]++;
		item[t->unit[row[i].at]].first--;
	}
	qsort(item, t->nunits, sizeof(*item), compare);
	for (i = 0; i < t->nunits; i++) {
		f = best_fold(d, d->unit + item[i].at * d->k);
		to[item[i].at] = (uint32_t)f;
		for (c = 0; c < d->k; c++)
			d->fold[f * d->k + c] += d->unit[item[i].at * d->k +
			    c];
	}
	for (i = 0; i < n; i++) {
		f = to[t->unit[row[i].at]];
		t->fold[row[i].at] = t->o.hold > 0 && f > 0 ? -1 : (int32_t)f;
	}
	ge_free(item);
	ge_free(to);
	return (0);
}

static int
deal_groups(struct ge_trees *t, const struct item *row, size_t n,
    struct ge_err *e)
{
	struct deal d = { .k = t->meaning.k > 0 ? t->meaning.k : 1 };
	int rc = -1;

	if (t->nunits < 2)
		return (ge_fail(e, GE_EUSAGE, "all rows are of one group: none "
		    "can be held out, only -O folds=0 is left"));
	d.folds = (size_t)t->folds;
	if (t->o.hold > 0)
		d.folds = (size_t)(1 / t->o.hold + 0.5);
	if (d.folds > t->nunits)
		d.folds = t->nunits;
	if (t->o.hold <= 0)
		t->folds = (int)d.folds;
	if ((d.unit = ge_alloc(t->nunits * d.k * sizeof(double), e)) != NULL &&
	    (d.fold = ge_alloc(d.folds * d.k * sizeof(double), e)) != NULL &&
	    (d.all = ge_alloc(d.k * sizeof(double), e)) != NULL)
		rc = deal_units(t, row, n, &d, e);
	ge_free(d.unit);
	ge_free(d.fold);
	ge_free(d.all);
	return (rc);
}

/* A class that some fold lacks is learnt, but not measured well. */
static int
tell_rare(const struct ge_trees *t, const struct item *row, size_t n,
    struct ge_err *e)
{
	size_t i, c, *count;

	if ((count = ge_alloc((t->meaning.k + 1) * sizeof(*count), e)) == NULL)
		return (-1);
	for (i = 0; i < n; i++)
		count[class_of(t, row[i].at)]++;
	for (c = 0; c < t->meaning.k; c++)
		if (count[c] < (size_t)t->folds)
			ge_note(GE_WARN, "class '%s' is in %zu row%s, for %d "
			    "folds: what is told of it is worth little",
			    t->meaning.word[c], count[c], count[c] == 1 ? "" :
			    "s", t->folds);
	ge_free(count);
	return (0);
}

int
ge_trees_deal(struct ge_trees *t, struct ge_err *e)
{
	size_t time = ge_schema_find(&t->schema, GE_ROLE_TIME);
	struct item *item;
	size_t i, n = 0;
	int rc = 0;

	if ((t->fold = ge_alloc(t->n * sizeof(*t->fold), e)) == NULL ||
	    (item = ge_alloc(t->n * sizeof(*item), e)) == NULL)
		return (-1);
	for (i = 0; i < t->n; i++) {
		t->fold[i] = -1;
		if (t->wfit[i] > 0)
			item[n++].at = (uint32_t)i;
	}
	t->folds = t->o.hold > 0 ? 1 : t->o.folds;
	if (n < 2)
		rc = ge_fail(e, GE_EUSAGE, "one row to learn from: there is "
		    "nothing to learn");
	else if ((size_t)t->folds > n)
		t->folds = (int)n;
	if (rc == 0 && t->folds > 0 &&
	    (rc = tell_rare(t, item, n, e)) == 0) {
		if (t->unit != NULL)
			rc = deal_groups(t, item, n, e);
		else if (time != SIZE_MAX)
			rc = deal_times(t, item, n, time, e);
		else
			deal_rows(t, item, n);
	}
	for (i = 0; i < t->n; i++)
		t->nheld += t->fold[i] >= 0;
	ge_free(item);
	return (rc);
}
