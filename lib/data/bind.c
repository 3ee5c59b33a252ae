#include <math.h>
#include <string.h>

#include "data/decimal.h"
#include "data/schema.h"
#include "util/mem.h"

void
ge_bind_release(struct ge_bind *b)
{
	size_t j;

	for (j = 0; b->words != NULL && j < b->s->ncols; j++)
		ge_words_release(b->words + j);
	ge_free(b->words);
	ge_free(b->from);
	memset(b, 0, sizeof(*b));
}

int
ge_bind_init(struct ge_bind *b, const struct ge_schema *s,
    unsigned int want, struct ge_err *e)
{
	const struct ge_schema_col *c;
	size_t j, twice;

	memset(b, 0, sizeof(*b));
	b->s = s;
	b->want = want | 1u << GE_ROLE_INPUT;
	if ((b->from = ge_alloc(s->ncols * sizeof(*b->from), e)) == NULL ||
	    (b->words = ge_alloc(s->ncols * sizeof(*b->words), e)) == NULL) {
		ge_bind_release(b);
		return (-1);
	}
	for (j = 0; j < s->ncols; j++) {
		c = s->col + j;
		if (ge_words_index(b->words + j, c->word, c->nwords, &twice,
		    e) == -1) {
			ge_bind_release(b);
			return (-1);
		}
	}
	return (0);
}

/* Columns without names, as many as there were. */
static int
by_place(struct ge_bind *b, const struct ge_table *t)
{
	size_t j;

	if (!b->s->header || t->header || t->ncols != b->s->width)
		return (0);
	for (j = 0; j < b->s->ncols; j++)
		b->from[j] = b->s->col[j].place - 1;
	return (1);
}

int
ge_bind_table(struct ge_bind *b, const struct ge_table *t, struct ge_err *e)
{
	const struct ge_schema *s = b->s;
	struct ge_words names;
	size_t j, at, twice;
	int rc = 0;

	b->t = t;
	if (by_place(b, t))
		return (0);
	if (ge_words_index(&names, t->names, t->ncols, &twice, e) == -1)
		rc = -1;
	for (j = 0; rc == 0 && j < s->ncols; j++) {
		at = ge_words_find(&names, t->names, s->col[j].name,
		    strlen(s->col[j].name));
		b->from[j] = at > 0 ? at - 1 : SIZE_MAX;
		if (at == 0 && (b->want >> s->col[j].role & 1) != 0)
			rc = ge_fail(e, GE_EREFUSED, "'%s': no column '%s', "
			    "which the model reads", t->name, s->col[j].name);
	}
	ge_words_release(&names);
	return (rc);
}

/* Where the word of a category has its place; NaN: never seen. */
static double
word(struct ge_bind *b, size_t j, const struct ge_cell *cell)
{
	const struct ge_schema_col *c = b->s->col + j;
	char text[32];
	const char *s = cell->s;
	size_t len = cell->len;
	uint32_t at;

	if (cell->kind == GE_CELL_NUMBER) {
		s = ge_decimal_print(text, cell->num);
		len = strlen(s);
	}
	if ((at = ge_words_find(b->words + j, c->word, s, len)) > 0)
		return (at - 1);
	b->unseen += c->role == GE_ROLE_INPUT;
	return ((double)NAN);
}

/* A group is compared, no more. */
static double
group(const struct ge_cell *cell)
{

	return (cell->kind == GE_CELL_NUMBER ? cell->num :
	    (double)(ge_words_hash(cell->s, cell->len) >> 11));
}

static int
misfit(const struct ge_bind *b, const struct ge_row *row, size_t j,
    struct ge_err *e)
{
	const struct ge_schema_col *c = b->s->col + j;
	const struct ge_cell *cell = row->cell + b->from[j];

	return (ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': '%.*s' where column "
	    "'%s' has %s", b->t->name, (unsigned long long)row->line,
	    cell->col, (int)(cell->len < 40 ? cell->len : 40), cell->s,
	    c->name, c->type == GE_FRAME_TIME ? "times" : "numbers"));
}

/* A number or a time: 0, or -1 when it is neither. */
static int
measure(enum ge_frame_type type, const struct ge_cell *cell, double *v)
{

	if (type == GE_FRAME_TIME)
		return (cell->kind == GE_CELL_TEXT ? ge_instant(cell->s,
		    cell->len, v) : -1);
	*v = cell->num;
	return (cell->kind == GE_CELL_NUMBER ? 0 : -1);
}

static int
must_suit(enum ge_role role)
{

	return (role == GE_ROLE_INPUT || role == GE_ROLE_TIME ||
	    role == GE_ROLE_WEIGHT);
}

int
ge_bind_row(struct ge_bind *b, const struct ge_row *row, double *v,
    struct ge_err *e)
{
	const struct ge_schema_col *c;
	const struct ge_cell *cell;
	size_t j;

	for (j = 0; j < b->s->ncols; j++) {
		v[j] = (double)NAN;
		if (b->from[j] == SIZE_MAX)
			continue;
		c = b->s->col + j;
		cell = row->cell + b->from[j];
		if (cell->kind == GE_CELL_MISSING || c->type == GE_FRAME_TEXT)
			continue;
		if (c->role == GE_ROLE_GROUP)
			v[j] = group(cell);
		else if (c->type == GE_FRAME_CATEGORY)
			v[j] = word(b, j, cell);
		else if (measure(c->type, cell, v + j) == -1) {
			if (must_suit(c->role))
				return (misfit(b, row, j, e));
			v[j] = (double)NAN;
		}
	}
	return (0);
}
