#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/decimal.h"
#include "data/frame.h"
#include "data/text.h"
#include "util/buf.h"
#include "util/mem.h"
#include "util/num.h"

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
	o->words = GE_FRAME_WORDS;
}

/* It is text: nothing of it is kept. */
static void
give_up(struct ge_frame_col *c)
{

	c->many = 1;
	ge_words_release(&c->words);
	for (; c->nwords > 0; c->nwords--)
		ge_free(c->word[c->nwords - 1]);
}

/* The place of a word in its column, from 1; 0 when there are too many. */
static int
place(struct ge_frame_col *c, const char *s, size_t len, uint32_t *at,
    struct ge_err *e)
{
	char *w;

	if ((*at = ge_words_find(&c->words, c->word, s, len)) != 0)
		return (0);
	if (c->nwords == c->most || len > GE_FRAME_WORD) {
		give_up(c);
		return (0);
	}
	if (ge_grow(&c->word, &c->cap, c->nwords + 1, sizeof(*c->word), e) ==
	    -1 || (w = ge_alloc(len + 1, e)) == NULL)
		return (-1);
	memcpy(w, s, len);
	c->word[c->nwords++] = w;
	*at = (uint32_t)c->nwords;
	return (ge_words_add(&c->words, c->word, c->nwords, e));
}

/* A number of a column, from 1. */
static int
number(const char *s, size_t len, size_t most, size_t *out)
{
	uint64_t n;

	if (ge_num_parse(s, len, &n) == -1 || n < 1 || n > most)
		return (-1);
	*out = (size_t)n - 1;
	return (0);
}

/* Columns first..last that an item of a list means. */
static int
meant(const struct ge_table *t, const struct ge_words *names,
    const char *item, size_t *first, size_t *last, struct ge_err *e)
{
	const char *dash = strchr(item, '-');
	size_t len = strlen(item), at = ge_words_find(names, t->names, item,
	    len);

	if (at > 0) {
		*first = *last = at - 1;
		return (0);
	}
	if (number(item, len, t->ncols, first) == 0) {
		*last = *first;
		return (0);
	}
	if (dash != NULL && number(item, (size_t)(dash - item), t->ncols,
	    first) == 0 && number(dash + 1, strlen(dash + 1), t->ncols,
	    last) == 0 && *first <= *last)
		return (0);
	return (ge_fail(e, GE_EUSAGE, "'%s': no column '%s'", t->name, item));
}

/* to [ncols] of the columns that a list means becomes is. */
static int
mark(const struct ge_table *t, const struct ge_words *names,
    const char *const *list, size_t n, uint8_t *to, uint8_t is,
    struct ge_err *e)
{
	size_t i, first = 0, last = 0;

	for (i = 0; i < n; i++) {
		if (meant(t, names, list[i], &first, &last, e) == -1)
			return (-1);
		memset(to + first, is, last - first + 1);
	}
	return (0);
}

static int
hold(struct ge_frame *f, const struct ge_words *names, uint8_t *held,
    uint8_t *aside, struct ge_err *e)
{
	const struct ge_frame_opts *o = &f->o;
	const struct ge_table *t = &f->table;
	struct ge_frame_col *c;
	size_t j, group = SIZE_MAX;

	memset(held, o->nonly == 0, t->ncols);
	if (o->group != NULL && meant(t, names, o->group, &group, &j, e) == -1)
		return (-1);
	if (mark(t, names, o->only, o->nonly, held, 1, e) == -1 ||
	    mark(t, names, o->keep, o->nkeep, held, 1, e) == -1 ||
	    mark(t, names, o->skip, o->nskip, held, 0, e) == -1 ||
	    mark(t, names, o->aside, o->naside, aside, 1, e) == -1)
		return (-1);
	for (j = 0; j < t->ncols; j++) {
		if (!held[j] && !aside[j])
			continue;
		c = f->col + f->ncols;
		c->aside = !held[j];
		if ((c->name = ge_strdup(t->names[j], e)) == NULL)
			return (-1);
		c->place = j + 1;
		c->most = j == group ? UINT32_MAX : o->words;
		f->from[f->ncols++] = j;
	}
	return (0);
}

/* The columns to hold, of the first table. */
static int
columns(struct ge_frame *f, struct ge_err *e)
{
	const struct ge_table *t = &f->table;
	struct ge_words names;
	uint8_t *held = NULL;		/* [2][ncols] */
	size_t twice;
	int rc = -1;

	if (ge_words_index(&names, t->names, t->ncols, &twice, e) != -1 &&
	    (f->col = ge_alloc(t->ncols * sizeof(*f->col), e)) != NULL &&
	    (f->from = ge_alloc(t->ncols * sizeof(*f->from), e)) != NULL &&
	    (held = ge_alloc(2 * t->ncols, e)) != NULL)
		rc = hold(f, &names, held, held + t->ncols, e);
	ge_free(held);
	ge_words_release(&names);
	f->header = t->header;
	f->width = t->ncols;
	return (rc);
}

/* Where they are in a further one. */
static int
columns_again(struct ge_frame *f, struct ge_err *e)
{
	const struct ge_table *t = &f->table;
	struct ge_words names;
	size_t j, at, twice;
	int rc = 0;

	if (ge_words_index(&names, t->names, t->ncols, &twice, e) == -1)
		rc = -1;
	for (j = 0; rc == 0 && j < f->ncols; j++) {
		at = ge_words_find(&names, t->names, f->col[j].name,
		    strlen(f->col[j].name));
		f->from[j] = at - 1;
		if (at == 0)
			rc = ge_fail(e, GE_EREFUSED, "'%s': no column '%s', "
			    "which the first table has", t->name,
			    f->col[j].name);
	}
	ge_words_release(&names);
	return (rc);
}

/* 1,5 or the like. */
static int
with_comma(const struct ge_cell *c)
{
	const char *s = c->s, *end = s + c->len, *comma;

	if (s < end && (*s == '-' || *s == '+'))
		s++;
	for (comma = s; comma < end && *comma >= '0' && *comma <= '9'; comma++)
		;
	if (comma == s || comma == end || *comma != ',')
		return (0);
	for (s = comma + 1; s < end && *s >= '0' && *s <= '9'; s++)
		;
	return (s == end && s > comma + 1);
}

static int
value(struct ge_frame_col *c, const struct ge_cell *cell, double *out,
    struct ge_err *e)
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
	if (place(c, cell->s, cell->len, &at, e) == -1)
		return (-1);
	*out = tagged(at);
	return (0);
}

/* Where the first word of a column stands, and what it is. */
static int
tell_first(const struct ge_frame *f, struct ge_frame_col *c,
    const struct ge_row *r, const struct ge_cell *cell, struct ge_err *e)
{
	struct ge_buf b = { .e = e };

	ge_buf_put(&b, "'%s:%llu:%zu': '%.*s'", f->table.name,
	    (unsigned long long)r->line, cell->col,
	    (int)(cell->len < 40 ? cell->len : 40), cell->s);
	return (ge_buf_done(&b, &c->first, NULL));
}

/* A cell that is no number, into its column: is it of one kind with the rest? */
static int
put(struct ge_frame *f, struct ge_frame_col *c, const struct ge_row *r,
    const struct ge_cell *cell, double *out, struct ge_err *e)
{
	const char *table = f->table.name;
	unsigned long long line = r->line;
	size_t words = c->nwords;

	if (value(c, cell, out, e) == -1)
		return (-1);
	if (c->texts > 0 && c->first == NULL &&
	    tell_first(f, c, r, cell, e) == -1)
		return (-1);
	if (c->instants > 0 && c->texts + c->numbers > 0)
		return (ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': column '%s' "
		    "holds times and other values", table, line, cell->col,
		    c->name));
	if (cell->kind == GE_CELL_TEXT && with_comma(cell))
		return (ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': '%.*s' is no "
		    "number: a point stands before decimals", table, line,
		    cell->col, (int)(cell->len < 40 ? cell->len : 40),
		    cell->s));
	if (c->nwords > words && ge_utf8_check((const uint8_t *)cell->s,
	    cell->len) < cell->len)
		return (ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': a word that is "
		    "not UTF-8", table, line, cell->col));
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

	if (!f->ready && (f->col == NULL ? columns(f, e) :
	    columns_again(f, e)) == -1)
		return (-1);
	f->ready = 1;
	if (ge_grow(&f->v, &f->room, (f->n + 1) * f->ncols, sizeof(*f->v),
	    e) == -1)
		return (-1);
	v = f->v + f->n * f->ncols;
	for (j = 0; j < f->ncols; j++) {
		c = f->col + j;
		cell = r->cell + f->from[j];
		if (cell->kind == GE_CELL_NUMBER && c->instants == 0) {
			c->numbers++;
			v[j] = cell->num;
		} else if (put(f, c, r, cell, v + j, e) == -1)
			return (-1);
	}
	f->n++;
	return (0);
}

void
ge_frame_init(struct ge_frame *f, const struct ge_frame_opts *o)
{

	memset(f, 0, sizeof(*f));
	f->o = *o;
}

int
ge_frame_begin(struct ge_frame *f, const char *name, struct ge_err *e)
{

	if (ge_grow(&f->start, &f->starts_room, f->nstarts + 1,
	    sizeof(*f->start), e) == -1)
		return (-1);
	f->start[f->nstarts++] = f->n;
	f->ready = 0;
	ge_table_release(&f->table);
	return (ge_table_init(&f->table, &f->o.table, name, take, f, e));
}

int
ge_frame_push(struct ge_frame *f, const void *buf, size_t len,
    struct ge_err *e)
{

	return (ge_table_push(&f->table, buf, len, e));
}

int
ge_frame_end_table(struct ge_frame *f, struct ge_err *e)
{

	if (ge_table_end(&f->table, e) == -1)
		return (-1);
	if (f->table.rows == 0)
		return (ge_fail(e, GE_EUSAGE, "'%s': a header and no rows",
		    f->table.name));
	if (f->ncols == 0)
		return (ge_fail(e, GE_EUSAGE, "'%s': no column is left",
		    f->table.name));
	return (0);
}

/* A number among words is a word. */
static int
number_word(struct ge_frame_col *c, double x, uint32_t *at,
    struct ge_err *e)
{
	char s[32];

	ge_decimal_print(s, x);
	return (place(c, s, strlen(s), at, e));
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
		if (!isnan(*x) && number_word(c, *x, &at, e) == -1)
			return (-1);
		*x = at > 0 ? (double)(at - 1) : tagged(0);
	}
	if (!c->many)
		return (0);
	c->type = GE_FRAME_TEXT;
	for (i = 0; i < f->n; i++)
		f->v[i * f->ncols + j] = tagged(0);
	return (0);
}

/* Which rows begin a table. */
static int
begins(struct ge_frame *f, struct ge_err *e)
{
	size_t i;

	if (f->nstarts < 2)
		return (0);
	if ((f->fresh = ge_alloc(f->n, e)) == NULL)
		return (-1);
	for (i = 0; i < f->nstarts; i++)
		f->fresh[f->start[i]] = 1;
	return (0);
}

int
ge_frame_end(struct ge_frame *f, struct ge_err *e)
{
	double *v;
	size_t j;

	if (f->n == 0)
		return (ge_fail(e, GE_EUSAGE, "no table"));
	if ((v = ge_resize(f->v, f->n * f->ncols * sizeof(*v), e)) == NULL)
		return (-1);
	f->v = v;
	for (j = 0; j < f->ncols; j++)
		if (settle(f, j, e) == -1)
			return (-1);
	return (begins(f, e));
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
		ge_words_release(&c->words);
		ge_free(c->first);
		ge_free(c->name);
	}
	ge_free(f->col);
	ge_free(f->from);
	ge_free(f->fresh);
	ge_free(f->start);
	ge_free(f->v);
	ge_table_release(&f->table);
	memset(f, 0, sizeof(*f));
}

size_t
ge_frame_find(const struct ge_frame *f, const char *name)
{
	size_t j, at;

	for (j = 0; j < f->ncols; j++)
		if (strcmp(f->col[j].name, name) == 0)
			return (j);
	if (number(name, strlen(name), SIZE_MAX, &at) == 0)
		for (j = 0; j < f->ncols; j++)
			if (f->col[j].place == at + 1)
				return (j);
	return (SIZE_MAX);
}
