#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/decimal.h"
#include "data/frame.h"
#include "util/mem.h"

enum {
	SLOTS = 64
};

/*
 * Until the types are known a word is a NaN that carries its place, from 1, in the low
 * bits; the NaN of a missing value carries 0.
 */
static double
tagged(uint32_t word)
{
	union { uint64_t u; double d; } x = { 0x7ff8000000000000u | word };

	return (x.d);
}

static uint32_t
tag(double d)
{
	union { double d; uint64_t u; } x = { d };

	return (isnan(d) ? (uint32_t)x.u : 0);
}

void
ge_frame_opts_init(struct ge_frame_opts *o)
{

	memset(o, 0, sizeof(*o));
	ge_table_opts_init(&o->table);
	o->words = 4096;
}

static uint64_t
hash(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; len > 0; len--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	return (h ^ h >> 32);
}

static uint32_t *
slot(const struct ge_frame_col *c, const char *s, size_t len)
{
	size_t i = hash(s, len) & (c->nslots - 1);
	const char *w;

	while (c->slot[i] != 0) {
		w = c->word[c->slot[i] - 1];
		if (strlen(w) == len && memcmp(w, s, len) == 0)
			break;
		i = (i + 1) & (c->nslots - 1);
	}
	return (c->slot + i);
}

static int
more_slots(struct ge_frame_col *c, struct ge_err *e)
{
	uint32_t *slots, *old = c->slot;
	size_t i, n = c->nslots > 0 ? 2 * c->nslots : SLOTS;

	if ((slots = ge_alloc(n * sizeof(*slots), e)) == NULL)
		return (-1);
	c->slot = slots;
	c->nslots = n;
	for (i = 0; i < c->nwords; i++)
		*slot(c, c->word[i], strlen(c->word[i])) = (uint32_t)i + 1;
	ge_free(old);
	return (0);
}

/* The place of a word in its column, from 1; 0 when there are too many. */
static int
place(struct ge_frame_col *c, const char *s, size_t len, size_t most,
    uint32_t *at, struct ge_err *e)
{
	uint32_t *x;
	char *w;

	if (2 * (c->nwords + 1) > c->nslots && more_slots(c, e) == -1)
		return (-1);
	x = slot(c, s, len);
	if (*x == 0) {
		*at = 0;
		if (c->nwords == most) {
			c->many = 1;
			return (0);
		}
		if (ge_grow(&c->word, &c->cap, c->nwords + 1,
		    sizeof(*c->word), e) == -1 ||
		    (w = ge_alloc(len + 1, e)) == NULL)
			return (-1);
		memcpy(w, s, len);
		c->word[c->nwords] = w;
		*x = (uint32_t)++c->nwords;
	}
	*at = *x;
	return (0);
}

static int
listed(const char *const *list, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return (1);
	return (0);
}

static int
there(const struct ge_table *t, const char *const *list, size_t n,
    struct ge_err *e)
{
	size_t i, j;

	for (i = 0; i < n; i++) {
		for (j = 0; j < t->ncols && strcmp(t->names[j], list[i]) != 0;
		    j++)
			;
		if (j == t->ncols)
			return (ge_fail(e, GE_EREFUSED,
			    "'%s': no column '%s'", t->name, list[i]));
	}
	return (0);
}

/* The columns to hold, once their names are known. */
static int
columns(struct ge_frame *f, struct ge_err *e)
{
	const struct ge_table *t = &f->table;
	size_t j;

	if (there(t, f->o.only, f->o.nonly, e) == -1 ||
	    there(t, f->o.skip, f->o.nskip, e) == -1)
		return (-1);
	if ((f->col = ge_alloc(t->ncols * sizeof(*f->col), e)) == NULL ||
	    (f->from = ge_alloc(t->ncols * sizeof(*f->from), e)) == NULL)
		return (-1);
	for (j = 0; j < t->ncols; j++) {
		if ((f->o.only != NULL && !listed(f->o.only, f->o.nonly,
		    t->names[j])) || listed(f->o.skip, f->o.nskip,
		    t->names[j]))
			continue;
		if ((f->col[f->ncols].name = ge_strdup(t->names[j], e)) ==
		    NULL)
			return (-1);
		f->from[f->ncols++] = j;
	}
	return (0);
}

static int
value(struct ge_frame *f, struct ge_frame_col *c, const struct ge_cell *cell,
    double *out, struct ge_err *e)
{
	uint32_t at;

	*out = tagged(0);
	switch (cell->kind) {
	case GE_CELL_MISSING:
		c->missing++;
		return (0);
	case GE_CELL_NUMBER:
		c->numbers++;
		*out = cell->num;
		return (0);
	case GE_CELL_TEXT:
		break;
	}
	if (c->texts == 0 && ge_instant(cell->s, cell->len, out) == 0) {
		c->instants++;
		return (0);
	}
	c->texts++;
	if (c->many)
		return (0);
	if (place(c, cell->s, cell->len, f->o.words, &at, e) == -1)
		return (-1);
	*out = tagged(at);
	return (0);
}

static int
take(void *arg, const struct ge_row *r, struct ge_err *e)
{
	struct ge_frame *f = arg;
	struct ge_frame_col *c;
	const struct ge_cell *cell;
	double *v;
	size_t j;

	if (f->col == NULL && columns(f, e) == -1)
		return (-1);
	if (ge_grow(&f->v, &f->room, (f->n + 1) * f->ncols, sizeof(*f->v),
	    e) == -1)
		return (-1);
	v = f->v + f->n * f->ncols;
	for (j = 0; j < f->ncols; j++) {
		c = f->col + j;
		cell = r->cell + f->from[j];
		if (value(f, c, cell, v + j, e) == -1)
			return (-1);
		if (c->instants > 0 && c->texts + c->numbers > 0)
			return (ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': column "
			    "'%s' holds times and other values",
			    f->table.name, (unsigned long long)r->line,
			    cell->col, c->name));
	}
	f->n++;
	return (0);
}

int
ge_frame_init(struct ge_frame *f, const struct ge_frame_opts *o,
    const char *name, struct ge_err *e)
{

	memset(f, 0, sizeof(*f));
	f->o = *o;
	return (ge_table_init(&f->table, &o->table, name, take, f, e));
}

int
ge_frame_push(struct ge_frame *f, const void *buf, size_t len,
    struct ge_err *e)
{

	return (ge_table_push(&f->table, buf, len, e));
}

/* A number among words is a word: the shortest text that is this number. */
static int
number_word(struct ge_frame *f, struct ge_frame_col *c, double x,
    uint32_t *at, struct ge_err *e)
{
	char s[32];
	double y;
	int digits = 0;

	do
		snprintf(s, sizeof(s), "%.*g", ++digits, x);
	while (digits < 17 && (ge_decimal(s, &y) == NULL || y < x || y > x));
	return (place(c, s, strlen(s), f->o.words, at, e));
}

static int
settle(struct ge_frame *f, size_t j, struct ge_err *e)
{
	struct ge_frame_col *c = f->col + j;
	uint32_t at;
	double *x;
	size_t i;

	if (c->texts == 0) {
		c->type = c->instants > 0 ? GE_FRAME_TIME : GE_FRAME_NUMBER;
		return (0);
	}
	c->type = GE_FRAME_CATEGORY;
	for (i = 0; i < f->n && !c->many; i++) {
		x = f->v + i * f->ncols + j;
		at = tag(*x);
		if (!isnan(*x) && number_word(f, c, *x, &at, e) == -1)
			return (-1);
		*x = at > 0 ? (double)(at - 1) : tagged(0);
	}
	if (!c->many)
		return (0);
	c->type = GE_FRAME_TEXT;
	for (i = 0; i < f->n; i++)
		f->v[i * f->ncols + j] = tagged(0);
	for (i = 0; i < c->nwords; i++)
		ge_free(c->word[i]);
	c->nwords = 0;
	return (0);
}

int
ge_frame_end(struct ge_frame *f, struct ge_err *e)
{
	size_t j;

	if (ge_table_end(&f->table, e) == -1)
		return (-1);
	if (f->n == 0)
		return (ge_fail(e, GE_EUSAGE, "'%s': a header and no rows",
		    f->table.name));
	if (f->ncols == 0)
		return (ge_fail(e, GE_EUSAGE, "'%s': no column is left",
		    f->table.name));
	for (j = 0; j < f->ncols; j++)
		if (settle(f, j, e) == -1)
			return (-1);
	return (0);
}

void
ge_frame_release(struct ge_frame *f)
{
	struct ge_frame_col *c;
	size_t i, j;

	for (j = 0; f->col != NULL && j < f->ncols; j++) {
		c = f->col + j;
		for (i = 0; i < c->nwords; i++)
			ge_free(c->word[i]);
		ge_free(c->word);
		ge_free(c->slot);
		ge_free(c->name);
	}
	ge_free(f->col);
	ge_free(f->from);
	ge_free(f->v);
	ge_table_release(&f->table);
	memset(f, 0, sizeof(*f));
}

size_t
ge_frame_find(const struct ge_frame *f, const char *name)
{
	size_t j;

	for (j = 0; j < f->ncols; j++)
		if (strcmp(f->col[j].name, name) == 0)
			return (j);
	return (SIZE_MAX);
}
