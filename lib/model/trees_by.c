#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/trees_int.h"
#include "util/mem.h"

enum {
	CHOSEN = 3,			/* columns, if none is named */
	BANDS = 4			/* of numbers that are many */
};

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y);
}

static double
cell(const struct ge_trees *t, size_t i, size_t j)
{

	return (t->f->v[i * t->f->ncols + j]);
}

static int
name_group(struct ge_trees_by *b, const char *text, struct ge_err *e)
{

	if ((b->word[b->n] = ge_strdup(text, e)) == NULL)
		return (-1);
	b->n++;
	return (0);
}

/* Groups of a category: its most frequent words. */
static int
by_word(const struct ge_trees *t, size_t j, struct ge_trees_by *b,
    struct ge_err *e)
{
	const struct ge_frame_col *c = &t->f->col[j];
	size_t i, g, best, *count;
	uint32_t *to;
	int rc = -1;

	count = ge_alloc((c->nwords + 1) * sizeof(*count), e);
	to = ge_alloc((c->nwords + 1) * sizeof(*to), e);
	if (count == NULL || to == NULL)
		goto out;
	for (i = 0; i < t->n; i++)
		if (!isnan(cell(t, i, j)))
			count[(size_t)cell(t, i, j)]++;
	memset(to, 0xff, (c->nwords + 1) * sizeof(*to));
	while (b->n < GE_TREES_GROUPS) {
		for (best = g = 0; g < c->nwords; g++)
			if (count[g] > count[best])
				best = g;
		if (c->nwords == 0 || count[best] == 0)
			break;
		to[best] = (uint32_t)b->n;
		count[best] = 0;
		if (name_group(b, c->word[best], e) == -1)
			goto out;
	}
	for (i = 0; i < t->n; i++)
		if (!isnan(cell(t, i, j)))
			b->of[i] = to[(size_t)cell(t, i, j)];
	rc = 0;
out:
	ge_free(count);
	ge_free(to);
	return (rc);
}

/* Groups of numbers: each of a few, or bands of as many rows each. */
static int
by_number(const struct ge_trees *t, size_t j, struct ge_trees_by *b,
    struct ge_err *e)
{
	double *v, top[GE_TREES_GROUPS];
	char text[64];
	size_t i, n = 0, distinct = 0, g;
	int rc = -1;

	if ((v = ge_alloc((t->n + 1) * sizeof(*v), e)) == NULL)
		return (-1);
	for (i = 0; i < t->n; i++)
		if (!isnan(cell(t, i, j)))
			v[n++] = cell(t, i, j);
	qsort(v, n, sizeof(*v), compare);
	for (i = 0; i < n; i++)
		if (i == 0 || v[i] != v[i - 1]) {
			if (distinct < GE_TREES_GROUPS)
				top[distinct] = v[i];
			distinct++;
		}
	if (distinct > GE_TREES_GROUPS)
		for (i = 0; i < BANDS; i++)
			top[i] = v[(i + 1) * n / BANDS - 1];
	for (i = 0; i < (distinct > GE_TREES_GROUPS ? BANDS : distinct); i++) {
		if (distinct <= GE_TREES_GROUPS)
			snprintf(text, sizeof(text), "%.9g", top[i]);
		else
			snprintf(text, sizeof(text), "%s%.9g", i + 1 < BANDS ?
			    "<= " : "> ", top[i + 1 < BANDS ? i : i - 1]);
		if (name_group(b, text, e) == -1)
			goto out;
	}
	for (i = 0; i < t->n; i++) {
		if (isnan(cell(t, i, j)))
			continue;
		for (g = 0; g + 1 < b->n && cell(t, i, j) > top[g]; g++)
			;
		b->of[i] = (uint32_t)g;
	}
	rc = 0;
out:
	ge_free(v);
	return (rc);
}

static int
by_column(struct ge_trees *t, size_t j, struct ge_err *e)
{
	struct ge_trees_by *b = &t->work->by[t->work->nby++];

	b->name = t->f->col[j].name;
	if ((b->of = ge_alloc(t->n * sizeof(*b->of), e)) == NULL ||
	    (b->word = ge_alloc(GE_TREES_GROUPS * sizeof(char *), e)) == NULL)
		return (-1);
	memset(b->of, 0xff, t->n * sizeof(*b->of));
	return (t->f->col[j].type == GE_FRAME_CATEGORY ? by_word(t, j, b, e) :
	    by_number(t, j, b, e));
}

static int
named(struct ge_trees *t, struct ge_err *e)
{
	size_t i, j;

	for (i = 0; i < t->o.nby; i++) {
		if ((j = ge_frame_find(t->f, t->o.by[i])) == SIZE_MAX)
			return (ge_fail(e, GE_EUSAGE, "-O by: there is no "
			    "column '%s'", t->o.by[i]));
		if (by_column(t, j, e) == -1)
			return (-1);
	}
	return (0);
}

static int
chosen(struct ge_trees *t, struct ge_err *e)
{
	const struct ge_frame_col *c;
	size_t j;

	for (j = 0; j < t->f->ncols && t->work->nby < CHOSEN; j++) {
		c = &t->f->col[j];
		if (c->type == GE_FRAME_CATEGORY && t->schema.col[j].role ==
		    GE_ROLE_INPUT && c->nwords > 1 && c->nwords <=
		    GE_TREES_GROUPS && by_column(t, j, e) == -1)
			return (-1);
	}
	return (0);
}

int
ge_trees_by_open(struct ge_trees *t, struct ge_err *e)
{

	if ((t->work->by = ge_alloc((t->o.nby + CHOSEN) *
	    sizeof(*t->work->by), e)) == NULL)
		return (-1);
	if (t->o.nby > 0)
		return (named(t, e));
	return (t->nheld > 0 ? chosen(t, e) : 0);
}

void
ge_trees_by_release(struct ge_trees_work *k)
{
	size_t i, g;

	for (i = 0; i < k->nby; i++) {
		for (g = 0; g < k->by[i].n; g++)
			ge_free(k->by[i].word[g]);
		ge_free(k->by[i].word);
		ge_free(k->by[i].of);
		ge_free(k->by[i].value);
		ge_free(k->by[i].rows);
	}
	ge_free(k->by);
}
