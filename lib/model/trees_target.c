#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/trees_int.h"
#include "util/mem.h"

/* Squares of what is larger are no floats to XGBoost. */
static const double most = 1e15;
/* What is smaller gains less than XGBoost makes a split for. */
static const double least = 1e-12;

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y ? 1 : isnan(x) - isnan(y));
}

/*
 * The values of column j that differ, in order, NaN once at the end: into *v, *n of
 * them.
 */
static int
distinct(const struct ge_trees *t, size_t j, double **v, size_t *n,
    struct ge_err *e)
{
	size_t i;

	if ((*v = ge_alloc(t->n * sizeof(**v), e)) == NULL)
		return (-1);
	for (i = 0; i < t->n; i++)
		(*v)[i] = t->f->v[i * t->f->ncols + j];
	qsort(*v, t->n, sizeof(**v), compare);
	for (*n = i = 0; i < t->n; i++)
		if (*n == 0 || compare(*v + *n - 1, *v + i) != 0)
			(*v)[(*n)++] = (*v)[i];
	return (0);
}

static size_t
place(const double *v, size_t n, double x)
{
	const double *at = bsearch(&x, v, n, sizeof(x), compare);

	return ((size_t)(at - v));
}

static int
by_text(const void *a, const void *b)
{

	return (strcmp(*(char *const *)a, *(char *const *)b));
}

/* Classes of words: in the order of their bytes. */
static int
word_classes(struct ge_trees *t, size_t j, struct ge_err *e)
{
	const struct ge_frame_col *c = &t->f->col[j];
	size_t i, k, *rank;

	t->meaning.k = c->nwords;
	if ((t->meaning.word = ge_alloc((c->nwords + 1) * sizeof(char *), e)) ==
	    NULL || (rank = ge_alloc((c->nwords + 1) * sizeof(*rank), e)) ==
	    NULL)
		return (-1);
	for (k = 0; k < c->nwords; k++)
		if ((t->meaning.word[k] = ge_strdup(c->word[k], e)) == NULL) {
			ge_free(rank);
			return (-1);
		}
	qsort(t->meaning.word, c->nwords, sizeof(char *), by_text);
	for (k = 0; k < c->nwords; k++)
		rank[k] = (size_t)((char **)bsearch(&c->word[k],
		    t->meaning.word, c->nwords, sizeof(char *), by_text) -
		    t->meaning.word);
	for (i = 0; i < t->n; i++)
		if (!isnan(t->y[i]))
			t->y[i] = (double)rank[(size_t)t->y[i]];
	ge_free(rank);
	return (0);
}

/* Classes of numbers [n]. */
static int
number_classes(struct ge_trees *t, const double *v, size_t n,
    struct ge_err *e)
{
	char text[32];
	size_t i;

	if (n > GE_BOOST_CLASSES)
		return (0);
	t->meaning.k = n;
	if ((t->meaning.word = ge_alloc(n * sizeof(char *), e)) == NULL)
		return (-1);
	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%.15g", v[i]);
		if ((t->meaning.word[i] = ge_strdup(text, e)) == NULL)
			return (-1);
	}
	for (i = 0; i < t->n; i++)
		if (!isnan(t->y[i]))
			t->y[i] = (double)place(v, n, t->y[i]);
	return (0);
}

/* Whether numbers are classes, if nobody has said. */
static int
like_classes(const double *v, size_t n)
{
	size_t i;

	if (n > GE_TREES_DISTINCT)
		return (0);
	for (i = 0; i < n; i++)
		if (v[i] != rint(v[i]))
			return (0);
	return (1);
}

static int
column_target(struct ge_trees *t, size_t j, struct ge_err *e)
{
	const struct ge_frame_col *c = &t->f->col[j];
	enum ge_trees_task task = t->o.task;
	double *v = NULL;
	size_t i, n;
	int rc = -1;

	if (c->type == GE_FRAME_TEXT)
		return (ge_fail(e, GE_EUSAGE, "target '%s' has more words than "
		    "there can be classes", c->name));
	if (c->type == GE_FRAME_TIME)
		return (ge_fail(e, GE_EUSAGE, "target '%s' holds times",
		    c->name));
	if (c->type == GE_FRAME_CATEGORY && task == GE_TREES_NUMBER)
		return (ge_fail(e, GE_EUSAGE, "target '%s' holds words, no "
		    "numbers", c->name));
	for (i = 0; i < t->n; i++)
		t->y[i] = t->f->v[i * t->f->ncols + j];
	if (distinct(t, j, &v, &n, e) == -1)
		return (-1);
	if (n > 0 && isnan(v[n - 1]))
		n--;
	if (n < 2)
		ge_fail(e, GE_EUSAGE, n == 0 ? "target '%s' is missing in "
		    "every row" : "target '%s' is constant", c->name);
	else if (c->type == GE_FRAME_CATEGORY)
		rc = word_classes(t, j, e);
	else if (task == GE_TREES_CLASSES || (task == GE_TREES_ANY &&
	    like_classes(v, n)))
		rc = number_classes(t, v, n, e);
	else
		rc = 0;
	if (rc == 0 && (t->meaning.k > GE_BOOST_CLASSES || (task ==
	    GE_TREES_CLASSES && t->meaning.k == 0)))
		rc = ge_fail(e, GE_EUSAGE, "target '%s' has more than %d "
		    "classes", c->name, GE_BOOST_CLASSES);
	ge_free(v);
	return (rc);
}

/* Groups are numbered, those without one are one more. */
static int
units(struct ge_trees *t, size_t j, struct ge_err *e)
{
	double *v = NULL;
	size_t i;

	if ((t->unit = ge_alloc(t->n * sizeof(*t->unit), e)) == NULL)
		return (-1);
	if (j == SIZE_MAX) {
		for (i = 0; i < t->n; i++) {
			t->nunits += i == 0 || (t->f->fresh != NULL &&
			    t->f->fresh[i]);
			t->unit[i] = (uint32_t)t->nunits - 1;
		}
		return (0);
	}
	if (distinct(t, j, &v, &t->nunits, e) == -1)
		return (-1);
	for (i = 0; i < t->n; i++)
		t->unit[i] = (uint32_t)place(v, t->nunits,
		    t->f->v[i * t->f->ncols + j]);
	ge_free(v);
	return (0);
}

/* What remains of each group's time. */
static int
life_target(struct ge_trees *t, size_t time, struct ge_err *e)
{
	double *last, v;
	size_t i;

	if ((last = ge_alloc(t->nunits * sizeof(*last), e)) == NULL)
		return (-1);
	for (i = 0; i < t->nunits; i++)
		last[i] = NAN;
	for (i = 0; i < t->n; i++) {
		v = t->f->v[i * t->f->ncols + time];
		if (!(v <= last[t->unit[i]]) && !isnan(v))
			last[t->unit[i]] = v;
	}
	for (i = 0; i < t->n; i++) {
		v = last[t->unit[i]] - t->f->v[i * t->f->ncols + time];
		t->y[i] = v > t->o.cap ? t->o.cap : v;
	}
	ge_free(last);
	t->meaning.life = 1;
	t->meaning.cap = t->o.cap;
	return (0);
}

static int
check_weight(const char *name, size_t i, double v, struct ge_err *e)
{

	if (isnan(v))
		return (ge_fail(e, GE_EREFUSED, "column '%s', row %zu: its "
		    "weight is missing", name, i + 1));
	return (v >= 0 && v <= most ? 0 : ge_fail(e, GE_EREFUSED, "column '%s', "
	    "row %zu: weight %g is not from 0 to %g", name, i + 1, v, most));
}

static int
weights(struct ge_trees *t, size_t j, struct ge_err *e)
{
	size_t i;
	double v;

	if (j == SIZE_MAX)
		return (0);
	if ((t->w = ge_alloc(t->n * sizeof(*t->w), e)) == NULL)
		return (-1);
	for (i = 0; i < t->n; i++) {
		v = t->f->v[i * t->f->ncols + j];
		if (check_weight(t->schema.col[j].name, i, v, e) == -1)
			return (-1);
		t->w[i] = (float)v;
	}
	return (0);
}

/* What each row weighs in learning; a row without a target nothing. */
static int
learning_weights(struct ge_trees *t, struct ge_err *e)
{
	double *sum, all = 0, factor;
	size_t i, k = t->meaning.k > 0 ? t->meaning.k : 1, c;

	if ((t->wfit = ge_alloc(t->n * sizeof(*t->wfit), e)) == NULL ||
	    (sum = ge_alloc(k * sizeof(*sum), e)) == NULL)
		return (-1);
	for (i = 0; i < t->n; i++) {
		if (isnan(t->y[i])) {
			t->dropped++;
			t->y[i] = 0;
			continue;
		}
		t->wfit[i] = t->w != NULL ? t->w[i] : 1;
		sum[t->meaning.k > 0 ? (size_t)t->y[i] : 0] +=
		    (double)t->wfit[i];
	}
	for (c = 0; c < k; c++)
		all += sum[c];
	for (i = 0; t->o.balance && i < t->n; i++) {
		c = t->meaning.k > 0 ? (size_t)t->y[i] : 0;
		if (!(t->wfit[i] > 0))
			continue;
		factor = all / (double)k / sum[c];
		t->wfit[i] = (float)((double)t->wfit[i] * factor);
	}
	ge_free(sum);
	return (all > 0 ? 0 : ge_fail(e, GE_EUSAGE, "no row has a target and a "
	    "weight"));
}

/* j: the target, or the time of which it is what remains. */
static int
check_values(const struct ge_trees *t, size_t j, struct ge_err *e)
{
	size_t i;

	for (i = 0; t->meaning.k == 0 && i < t->n; i++)
		if (fabs(t->y[i]) > most)
			return (ge_fail(e, GE_EREFUSED, "column '%s', row %zu: "
			    "target %g is beyond %g", t->schema.col[j].name,
			    i + 1, t->y[i], most));
	return (0);
}

/*
 * Margins are floats: what is far from 0 is learnt as if 0 were its mean.  What varies
 * by less than any split must gain would be learnt as a constant.
 */
static int
recentre(struct ge_trees *t, struct ge_err *e)
{
	double sum = 0, all = 0, far = 0;
	size_t i;

	if (t->meaning.k > 0 || t->meaning.life)
		return (0);
	for (i = 0; i < t->n; i++) {
		sum += (double)t->wfit[i] * t->y[i];
		all += (double)t->wfit[i];
	}
	t->meaning.shift = (double)(float)(sum / all);
	for (i = 0; i < t->n; i++) {
		if (!(t->wfit[i] > 0))
			continue;
		t->y[i] -= t->meaning.shift;
		far = fmax(far, fabs(t->y[i]));
	}
	return (far >= least ? 0 : ge_fail(e, GE_EUSAGE, "target: it "
	    "varies by less than %g: another unit is needed", least));
}

static int
find_positive(struct ge_trees *t, struct ge_err *e)
{
	struct ge_decide *d = &t->meaning.decide;
	size_t i;

	*d = t->o.decide;
	d->k = t->meaning.k;
	d->positive = 1;
	if (d->rule != GE_DECIDE_LIKELY && t->meaning.k != 2)
		return (ge_fail(e, GE_EUSAGE, "-O decide= is of two classes, "
		    "not %zu", t->meaning.k));
	if (t->o.balance && t->meaning.k == 0)
		return (ge_fail(e, GE_EUSAGE, "-O balance is of classes, not "
		    "of a number"));
	if (t->o.positive == NULL)
		return (0);
	if (t->meaning.k != 2)
		return (ge_fail(e, GE_EUSAGE, "-O positive= is of two "
		    "classes, not %zu", t->meaning.k));
	for (i = 0; i < 2; i++)
		if (strcmp(t->meaning.word[i], t->o.positive) == 0) {
			d->positive = i;
			return (0);
		}
	return (ge_fail(e, GE_EUSAGE, "positive '%s': the classes are '%s' and "
	    "'%s'", t->o.positive, t->meaning.word[0], t->meaning.word[1]));
}

int
ge_trees_target(struct ge_trees *t, struct ge_err *e)
{
	size_t target = ge_schema_find(&t->schema, GE_ROLE_TARGET);
	size_t time = ge_schema_find(&t->schema, GE_ROLE_TIME);
	size_t group = ge_schema_find(&t->schema, GE_ROLE_GROUP);

	if ((t->y = ge_alloc(t->n * sizeof(*t->y), e)) == NULL)
		return (-1);
	if ((group != SIZE_MAX || t->o.life) && units(t, group, e) == -1)
		return (-1);
	if ((t->o.life ? life_target(t, time, e) : column_target(t, target,
	    e)) == -1 || find_positive(t, e) == -1 ||
	    check_values(t, t->o.life ? time : target, e) == -1 ||
	    weights(t, ge_schema_find(&t->schema, GE_ROLE_WEIGHT), e) == -1)
		return (-1);
	return (learning_weights(t, e) == -1 ? -1 : recentre(t, e));
}
