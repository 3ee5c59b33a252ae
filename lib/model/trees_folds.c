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

/* Rows class by class, each class shuffled, like cards; or a share of each, never all. */
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
		for (j = 0; j + 1 < len && j < (size_t)(t->o.hold *
		    (double)len + 0.5); j++)
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

/* In the order of column col, or of the rows. */
static int
deal_times(struct ge_trees *t, struct item *item, size_t n, size_t col,
    struct ge_err *e)
{
	double *time;
	size_t i;

	if ((time = ge_alloc(t->n * sizeof(*time), e)) == NULL)
		return (-1);
	for (i = 0; i < t->n; i++)
		time[i] = col == SIZE_MAX ? (double)i :
		    t->f->v[i * t->f->ncols + col];
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
 * most even: the sum of their squares.  Held out once, there are two parts: what is
 * held out and what is learnt from.
 */
struct deal {
	size_t k, folds, nunits;	/* units that have rows */
	double share[GE_TREES_FOLDS];	/* of the rows that a fold is to have */
	double rows[GE_TREES_FOLDS];
	double *unit;			/* [t->nunits][k] rows of a class */
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
			cost += (2 * a + b) * b / d->share[f];
		}
		if (cost < least || (cost <= least && d->rows[f] <
		    d->rows[best])) {
			least = cost;
			best = f;
		}
	}
	return (best);
}

/* A fold without rows if there are no more units than such folds, or folds. */
static size_t
empty_fold(const struct deal *d, size_t units)
{
	size_t f, n = 0, last = d->folds;

	for (f = 0; f < d->folds; f++)
		if (d->rows[f] <= 0) {
			last = f;
			n++;
		}
	return (n < units ? d->folds : last);
}

static size_t
add_unit(struct deal *d, size_t unit, size_t left)
{
	const double *rows = d->unit + unit * d->k;
	size_t c, f = empty_fold(d, left);

	if (f == d->folds)
		f = best_fold(d, rows);
	for (c = 0; c < d->k; c++) {
		d->fold[f * d->k + c] += rows[c];
		d->rows[f] += rows[c];
	}
	return (f);
}

/* Units in the order in which they are dealt, those without rows last. */
static void
order_units(const struct ge_trees *t, const struct item *row, size_t n,
    struct deal *d, struct item *item)
{
	size_t i, c;
	uint64_t s;

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
		d->nunits += item[t->unit[row[i].at]].first-- == UINT64_MAX;
	}
	qsort(item, t->nunits, sizeof(*item), compare);
}

static void
share_out(struct ge_trees *t, struct deal *d)
{
	size_t f;

	d->folds = t->o.hold > 0 ? 2 : (size_t)t->folds;
	if (d->folds > d->nunits)
		d->folds = d->nunits;
	if (t->o.hold <= 0)
		t->folds = (int)d->folds;
	for (f = 0; f < d->folds; f++)
		d->share[f] = t->o.hold <= 0 ? 1 : f == 0 ? t->o.hold :
		    1 - t->o.hold;
}

static int
deal_units(struct ge_trees *t, const struct item *row, size_t n,
    struct deal *d, struct ge_err *e)
{
	struct item *item;
	uint32_t *to;
	size_t i, f;
	int rc = -1;

	item = ge_alloc(t->nunits * sizeof(*item), e);
	to = ge_alloc(t->nunits * sizeof(*to), e);
	if (item == NULL || to == NULL)
		goto out;
	order_units(t, row, n, d, item);
	if (d->nunits < 2) {
		ge_fail(e, GE_EUSAGE, "all rows are of one group: none can be "
		    "held out, only -O folds=0 is left");
		goto out;
	}
	share_out(t, d);
	for (i = 0; i < d->nunits; i++)
		to[item[i].at] = (uint32_t)add_unit(d, item[i].at,
		    d->nunits - i);
	for (i = 0; i < n; i++) {
		f = to[t->unit[row[i].at]];
		t->fold[row[i].at] = t->o.hold > 0 && f > 0 ? -1 : (int32_t)f;
	}
	rc = 0;
out:
	ge_free(item);
	ge_free(to);
	return (rc);
}

static int
deal_groups(struct ge_trees *t, const struct item *row, size_t n,
    struct ge_err *e)
{
	struct deal d = { .k = t->meaning.k > 0 ? t->meaning.k : 1 };
	size_t most = t->folds > 2 ? (size_t)t->folds : 2;
	int rc = -1;

	if ((d.unit = ge_alloc(t->nunits * d.k * sizeof(double), e)) != NULL &&
	    (d.fold = ge_alloc(most * d.k * sizeof(double), e)) != NULL &&
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
	size_t i, c, *count, *held;

	count = ge_alloc((t->meaning.k + 1) * sizeof(*count), e);
	held = ge_alloc((t->meaning.k + 1) * sizeof(*held), e);
	if (count == NULL || held == NULL) {
		ge_free(count);
		ge_free(held);
		return (-1);
	}
	for (i = 0; i < n; i++) {
		count[class_of(t, row[i].at)]++;
		held[class_of(t, row[i].at)] += t->fold[row[i].at] >= 0;
	}
	for (c = 0; c < t->meaning.k; c++)
		if (t->folds > 1 && count[c] < (size_t)t->folds)
			ge_note(GE_WARN, "class '%s' is in %zu row%s, for %d "
			    "folds: what is told of it is worth little",
			    t->meaning.word[c], count[c], count[c] == 1 ? "" :
			    "s", t->folds);
		else if (held[c] == 0 || (t->folds == 1 && held[c] == count[c]))
			ge_note(GE_WARN, "class '%s' is in %zu row%s, of which "
			    "%zu are held out: what is told of it is worth "
			    "little", t->meaning.word[c], count[c],
			    count[c] == 1 ? "" : "s", held[c]);
	ge_free(count);
	ge_free(held);
	return (0);
}

/*
 * Folds that hold out nothing, since many rows are of one time, or would learn from
 * less than two rows are none; the others are numbered anew.
 */
static int
settle(struct ge_trees *t, size_t n, struct ge_err *e)
{
	size_t held[GE_TREES_FOLDS] = { 0 }, before = n, i;
	int32_t to[GE_TREES_FOLDS];
	int f, kept = 0;

	for (i = 0; i < t->n; i++)
		if (t->fold[i] >= 0) {
			held[t->fold[i]]++;
			before--;
		}
	for (f = 0; f < t->folds; f++) {
		to[f] = held[f] > 0 && (t->forward ? before : n - held[f]) >= 2 ?
		    kept++ : -1;
		before += held[f];
	}
	if (kept == 0)
		return (ge_fail(e, GE_EUSAGE, "of %zu rows none can be held out "
		    "so that two are learnt from: only -O folds=0 is left", n));
	t->folds = kept;
	for (i = 0; i < t->n; i++)
		if (t->fold[i] >= 0) {
			t->fold[i] = to[t->fold[i]];
			t->nheld += t->fold[i] >= 0;
		}
	return (0);
}

static int
deal(struct ge_trees *t, struct item *item, size_t n, struct ge_err *e)
{
	size_t time = ge_schema_find(&t->schema, GE_ROLE_TIME);
	int rc = 0;

	if (t->unit != NULL)
		rc = deal_groups(t, item, n, e);
	else if (time != SIZE_MAX || t->o.lags != NULL)
		rc = deal_times(t, item, n, time, e);
	else
		deal_rows(t, item, n);
	return (rc == -1 || settle(t, n, e) == -1 ? -1 :
	    tell_rare(t, item, n, e));
}

int
ge_trees_deal(struct ge_trees *t, struct ge_err *e)
{
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
	if (rc == 0 && t->folds > 0)
		rc = deal(t, item, n, e);
	ge_free(item);
	return (rc);
}
