#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/decimal.h"
#include "data/table.h"
#include "data/text.h"
#include "data/words.h"
#include "util/mem.h"

enum {
	PIECE = 64 << 10,
	CELLS = 64,
	ROW = 16			/* longest row, in longest fields */
};

void
ge_table_opts_init(struct ge_table_opts *o)
{

	o->sep = 0;
	o->header = GE_HEADER_AUTO;
	o->known = NULL;
	o->nknown = o->width = 0;
	o->cols = 65536;
	o->field = 1 << 20;
}

int
ge_table_init(struct ge_table *t, const struct ge_table_opts *o,
    const char *name, int (*fn)(void *arg, const struct ge_row *row,
    struct ge_err *e), void *arg, struct ge_err *e)
{

	memset(t, 0, sizeof(*t));
	t->o = *o;
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	t->line = 1;
	t->cap = 2 * PIECE;
	t->room = CELLS;
	if ((t->buf = ge_alloc(t->cap, e)) == NULL ||
	    (t->cell = ge_alloc(t->room * sizeof(*t->cell), e)) == NULL) {
		ge_table_release(t);
		return (-1);
	}
	return (0);
}

void
ge_table_release(struct ge_table *t)
{
	size_t i;

	for (i = 0; t->names != NULL && i < t->ncols; i++)
		ge_free(t->names[i]);
	ge_free(t->names);
	ge_free(t->cell);
	ge_free(t->buf);
	memset(t, 0, sizeof(*t));
}

/* A row that is being taken apart. */
struct cursor {
	const char *p, *end;
	const char *start;		/* of the line that p is on */
	uint64_t line;
};

static int
refuse(const struct ge_table *t, const struct cursor *c, const char *at,
    const char *what, struct ge_err *e)
{

	return (ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': %s", t->name,
	    (unsigned long long)c->line, (size_t)(at - c->start) + 1, what));
}

/* The end of the first line, line feeds within quotes passed over; NULL: not there. */
static const char *
first_line(const char *s, const char *end)
{
	int inside = 0;

	for (; s < end; s++) {
		inside ^= *s == '"';
		if (!inside && *s == '\n')
			return (s);
	}
	return (NULL);
}

static int
blank(char c)
{

	return (c == ' ' || c == '\t');
}

/* At least two numbers between blanks? */
static int
blanks_part(const char *s, const char *end)
{
	double x;
	size_t n;

	for (n = 0;; n++) {
		while (s < end && (blank(*s) || *s == '\r'))
			s++;
		if (s == end)
			return (n > 1);
		if ((s = ge_decimal(s, &x)) == NULL || s > end ||
		    (s < end && !blank(*s) && *s != '\r'))
			return (0);
	}
}

/* The most frequent of them outside quotes in the first line. */
static char
separator(const char *s, size_t len)
{
	static const char may[3] = { '\t', ';', ',' };
	const char *end = s + (len < PIECE ? len : PIECE), *stop, *p;
	size_t n[3] = { 0 }, i, best = 2;
	int inside = 0;

	if ((stop = first_line(s, end)) == NULL)
		stop = end;
	for (p = s; p < stop; p++) {
		inside ^= *p == '"';
		for (i = 0; i < 3 && !inside; i++)
			n[i] += *p == may[i];
	}
	for (i = 0; i < 3; i++)
		if (n[i] > n[best])
			best = i;
	return (n[best] == 0 && blanks_part(s, stop) ? ' ' : may[best]);
}

static int
word(const char *s, size_t len, const char *is)
{

	for (; len > 0 && *is != '\0'; s++, is++, len--)
		if ((*s | 0x20) != *is)
			return (0);
	return (len == 0 && *is == '\0');
}

static int
missing(const char *s, size_t len)
{

	return (len == 0 || (len == 1 && *s == '?') || word(s, len, "na") ||
	    (len == 3 && word(s, 1, "n") && s[1] == '/' &&
	    word(s + 2, 1, "a")) || word(s, len, "nan") ||
	    word(s, len, "null") || word(s, len, "none"));
}

static int
infinite(const char *s, size_t len, double *x)
{
	int minus = *s == '-';

	if (*s == '-' || *s == '+') {
		s++;
		len--;
	}
	if (!word(s, len, "inf") && !word(s, len, "infinity"))
		return (0);
	*x = minus ? -(double)INFINITY : (double)INFINITY;
	return (1);
}

/* What a field says, behind which is a byte that is no part of a number. */
static void
judge(struct ge_cell *c)
{
	const char *s = c->s, *end = s + c->len;

	while (s < end && blank(*s))
		s++;
	while (end > s && blank(end[-1]))
		end--;
	c->s = s;
	c->len = (size_t)(end - s);
	c->num = (double)NAN;
	c->kind = GE_CELL_TEXT;
	if (missing(s, c->len))
		c->kind = GE_CELL_MISSING;
	else if (ge_decimal(s, &c->num) == end ||
	    infinite(s, c->len, &c->num))
		c->kind = GE_CELL_NUMBER;
	else
		c->num = (double)NAN;
}

static int
more_cells(struct ge_table *t, const struct cursor *c, struct ge_err *e)
{

	if (t->ncells == t->o.cols)
		return (refuse(t, c, c->p, "more columns than are taken", e));
	return (ge_grow(&t->cell, &t->room, t->ncells + 1, sizeof(*t->cell),
	    e));
}

static void
pass_blanks(struct cursor *c)
{

	while (c->p < c->end && blank(*c->p))
		c->p++;
}

/* Is what a row with blanks between fields goes on with one more? */
static int
field_follows(const struct cursor *c)
{

	return (c->p < c->end && *c->p != '\n' && *c->p != '\r');
}

/* Behind the end of a field: 1 if the row goes on, 0 if it ends, -1. */
static int
field_end(const struct ge_table *t, struct cursor *c, int final,
    struct ge_err *e)
{

	if (t->o.sep == ' ' && c->p < c->end && blank(*c->p)) {
		pass_blanks(c);
		if (field_follows(c))
			return (1);
	} else if (c->p < c->end && *c->p == t->o.sep) {
		c->p++;
		return (1);
	}
	if (c->p == c->end || *c->p == '\n')
		return (0);
	if (*c->p == '\r' && (c->p + 1 == c->end ? final : c->p[1] == '\n')) {
		c->p++;
		return (0);
	}
	if (*c->p == '\r' && c->p + 1 == c->end) {
		c->p = c->end;
		return (0);
	}
	return (refuse(t, c, c->p, *c->p == '\0' ? "a NUL byte" :
	    *c->p == '\r' ? "a carriage return without a line feed" :
	    *c->p == '"' ? "a quote inside a field" :
	    "text behind a closing quote", e));
}

/*
 * A quoted field, p behind its quote.  1 when it ends, 0 when the buffer does, -1.
 * Its quotes are made single only when the row is whole: len is of what is written.
 */
static int
quoted(const struct ge_table *t, struct cursor *c, struct ge_cell *cell,
    struct ge_err *e)
{
	const char *p = c->p, *open = p - 1, *line = c->start;
	uint64_t n = c->line;

	for (cell->s = p;; p++) {
		if ((size_t)(p - cell->s) > t->o.field)
			return (refuse(t, c, open,
			    "a field longer than is taken", e));
		if (p >= c->end)
			return (0);
		if (*p == '\0')
			return (refuse(t, c, open,
			    "a NUL byte in a quoted field", e));
		if (*p == '\n') {
			n++;
			line = p + 1;
		}
		if (*p != '"')
			continue;
		if (p + 1 < c->end && p[1] == '"')
			p++;
		else
			break;
	}
	cell->len = (size_t)(p - cell->s);
	c->p = p + 1;
	c->line = n;
	c->start = line;
	return (1);
}

static void
unquote(struct ge_cell *c)
{
	char *to = (char *)(uintptr_t)c->s;
	size_t i, n = 0;

	for (i = 0; i < c->len; i++) {
		to[n++] = c->s[i];
		if (c->s[i] == '"')
			i++;
	}
	if (n < c->len)
		to[n] = '"';
	c->len = n;
}

/* The plain field at p, up to what ends it. */
static void
plain(const struct ge_table *t, struct cursor *c, struct ge_cell *cell)
{
	const char *p = c->p, sep = t->o.sep, also = sep == ' ' ? '\t' : sep;

	while (*p != sep && *p != '\n' && *p != '\r' && *p != '"' &&
	    *p != '\0' && *p != also)
		p++;
	cell->s = c->p;
	cell->len = (size_t)(p - c->p);
	c->p = p;
	judge(cell);
}

/* Most fields: a number with a separator or the line's end behind it.  Is it one? */
static int
number(const struct ge_table *t, struct cursor *c, struct ge_cell *cell)
{
	const char *p = ge_decimal(c->p, &cell->num);

	if (p == NULL || (*p != t->o.sep && *p != '\n') || p >= c->end ||
	    (size_t)(p - c->p) > t->o.field)
		return (0);
	cell->kind = GE_CELL_NUMBER;
	cell->s = c->p;
	cell->len = (size_t)(p - c->p);
	c->p = p;
	return (1);
}

/* What is behind it, as of field_end. */
static int
number_end(const struct ge_table *t, struct cursor *c, int final,
    struct ge_err *e)
{

	if (t->o.sep == ' ')
		return (field_end(t, c, final, e));
	if (*c->p == '\n')
		return (0);
	c->p++;
	return (1);
}

enum {
	CUT = 2				/* the buffer ends within quotes */
};

/* Any other field, and what is behind it, as of field_end; or CUT. */
static int
other(const struct ge_table *t, struct cursor *c, struct ge_cell *cell,
    int final, struct ge_err *e)
{
	int rc;

	if (*c->p != '"' || c->p == c->end) {
		plain(t, c, cell);
		if (cell->len > t->o.field)
			return (refuse(t, c, c->start + cell->col - 1,
			    "a field longer than is taken", e));
		return (field_end(t, c, final, e));
	}
	c->p++;
	if ((rc = quoted(t, c, cell, e)) == -1)
		return (-1);
	if (rc == 0)
		return (final ? refuse(t, c, cell->s - 1,
		    "a quote that does not end", e) : CUT);
	cell->quoted = 1;
	return (field_end(t, c, final, e));
}

/* Of a row that is whole: single quotes, and what they hold. */
static void
open_quotes(struct ge_table *t)
{
	size_t i;

	for (i = 0; i < t->ncells; i++)
		if (t->cell[i].quoted) {
			unquote(t->cell + i);
			judge(t->cell + i);
		}
}

/*
 * The row at c->p, into t->cell.  1; 0 when it is not whole yet; -1.  At c->end
 * is a line feed that is not of the table.
 */
static int
row(struct ge_table *t, struct cursor *c, int final, struct ge_err *e)
{
	struct ge_cell *cell;
	int rc, quotes = 0;

	t->ncells = 0;
	if (t->o.sep == ' ')
		pass_blanks(c);
	do {
		if ((t->ncells >= t->room || t->ncells >= t->o.cols) &&
		    more_cells(t, c, e) == -1)
			return (-1);
		cell = t->cell + t->ncells++;
		cell->col = (size_t)(c->p - c->start) + 1;
		cell->quoted = 0;
		rc = number(t, c, cell) ? number_end(t, c, final, e) :
		    other(t, c, cell, final, e);
		quotes |= cell->quoted;
	} while (rc == 1);
	if (rc == -1)
		return (-1);
	if (rc == CUT || (c->p >= c->end && !final))
		return (0);
	if (quotes)
		open_quotes(t);
	return (1);
}

static char *
number_name(size_t i, struct ge_err *e)
{
	char s[24];

	snprintf(s, sizeof(s), "%zu", i + 1);
	return (ge_strdup(s, e));
}

static char *
text_name(const struct ge_table *t, const struct cursor *c,
    const struct ge_cell *cell, struct ge_err *e)
{
	char *s;

	if (ge_utf8_check((const uint8_t *)cell->s, cell->len) < cell->len) {
		ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': a name that is not "
		    "UTF-8", t->name, (unsigned long long)c->line, cell->col);
		return (NULL);
	}
	if ((s = ge_alloc(cell->len + 1, e)) != NULL)
		memcpy(s, cell->s, cell->len);
	return (s);
}

static int
unique(const struct ge_table *t, const struct cursor *c, struct ge_err *e)
{
	struct ge_words index;
	size_t twice = 0;
	int rc;

	rc = ge_words_index(&index, t->names, t->ncols, &twice, e);
	ge_words_release(&index);
	if (rc != 0)
		return (rc == 1 ? 0 : -1);
	return (ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': column '%s' is there "
	    "twice", t->name, (unsigned long long)c->line, t->cell[twice].col,
	    t->names[twice]));
}

/* Is a field of the first row a name that is known?  1, 0, or -1. */
static int
knows(const struct ge_table *t, struct ge_err *e)
{
	struct ge_words index;
	size_t i, twice;
	int rc;

	rc = ge_words_index(&index, t->o.known, t->o.nknown, &twice, e) == -1 ?
	    -1 : 0;
	for (i = 0; rc == 0 && i < t->ncells; i++)
		rc = ge_words_find(&index, t->o.known, t->cell[i].s,
		    t->cell[i].len) > 0;
	ge_words_release(&index);
	return (rc);
}

/* Does the first row name the columns?  1, 0, or -1. */
static int
titled(const struct ge_table *t, struct ge_err *e)
{
	size_t i, numbers = 0;

	if (t->o.header != GE_HEADER_AUTO)
		return (t->o.header == GE_HEADER_YES);
	if (t->o.nknown > 0)
		return (t->ncells != t->o.width ? 1 : knows(t, e));
	for (i = 0; i < t->ncells; i++) {
		if (t->cell[i].kind == GE_CELL_TEXT)
			return (1);
		numbers += t->cell[i].kind == GE_CELL_NUMBER;
	}
	return (numbers == 0);
}

/* The first row: how many columns there are and what they are called. */
static int
title(struct ge_table *t, const struct cursor *c, struct ge_err *e)
{
	size_t i;

	t->ncols = t->ncells;
	if ((t->header = titled(t, e)) == -1 ||
	    (t->names = ge_alloc(t->ncols * sizeof(*t->names), e)) == NULL)
		return (-1);
	for (i = 0; i < t->ncols; i++) {
		t->names[i] = t->header && t->cell[i].len > 0 ?
		    text_name(t, c, t->cell + i, e) : number_name(i, e);
		if (t->names[i] == NULL)
			return (-1);
	}
	return (unique(t, c, e));
}

static int
hand_on(struct ge_table *t, const struct cursor *c, uint64_t line,
    struct ge_err *e)
{
	struct ge_row r = { line, t->ncells, t->cell };

	if (t->ncells == 1 && t->cell[0].len == 0 && !t->cell[0].quoted &&
	    t->ncols != 1)
		return (0);
	if (t->ncols == 0) {
		if (title(t, c, e) == -1)
			return (-1);
		if (t->header)
			return (0);
	}
	if (t->ncells != t->ncols)
		return (ge_fail(e, GE_EREFUSED, "'%s:%llu:%zu': %zu field%s "
		    "in a table of %zu column%s", t->name,
		    (unsigned long long)c->line, t->ncells > t->ncols ?
		    t->cell[t->ncols].col : (size_t)(c->p - c->start) + 1,
		    t->ncells, t->ncells == 1 ? "" : "s", t->ncols,
		    t->ncols == 1 ? "" : "s"));
	t->rows++;
	return (t->fn(t->arg, &r, e));
}

/* Of a row that is longer than a piece: does a line end outside quotes in the last n? */
static int
ended(struct ge_table *t, size_t n)
{
	const char *end = t->buf + t->have, *s = end - n;

	for (; s < end; s++) {
		t->inside ^= *s == '"';
		if (!t->inside && *s == '\n')
			return (1);
	}
	return (0);
}

/* All rows that are whole, out of the buffer. */
static int
rows(struct ge_table *t, int final, struct ge_err *e)
{
	struct cursor c;
	const char *from = t->buf;
	int rc = 0;

	t->buf[t->have] = '\n';
	c.end = t->buf + t->have;
	while (from < c.end) {
		c.p = c.start = from;
		c.line = t->line;
		if ((rc = row(t, &c, final, e)) != 1)
			break;
		if ((rc = hand_on(t, &c, t->line, e)) == -1)
			break;
		from = c.p < c.end ? c.p + 1 : c.end;
		t->line = c.line + 1;
	}
	t->have = (size_t)(c.end - from);
	memmove(t->buf, from, t->have);
	t->retry = t->have < PIECE ? 0 : 2 * t->have;
	t->inside = 0;
	if (t->retry > 0)
		(void)ended(t, t->have);
	if (rc != -1 && t->have > ROW * t->o.field)
		rc = ge_fail(e, GE_EREFUSED,
		    "'%s:%llu:1': a row longer than is taken", t->name,
		    (unsigned long long)t->line);
	return (rc == -1 ? -1 : 0);
}

/* The mark of UTF-8 and the separator, once the first line is there. */
static void
begin(struct ge_table *t)
{

	if (t->have >= 3 && memcmp(t->buf, "\xef\xbb\xbf", 3) == 0) {
		t->have -= 3;
		memmove(t->buf, t->buf + 3, t->have);
	}
	t->buf[t->have] = '\n';
	if (t->o.sep == 0)
		t->o.sep = separator(t->buf, t->have);
	t->begun = 1;
}

static int
take(struct ge_table *t, size_t n, int final, struct ge_err *e)
{

	if (!t->begun) {
		if (!final && t->have < PIECE + 3 &&
		    first_line(t->buf, t->buf + t->have) == NULL)
			return (0);
		begin(t);
	}
	if (!final && t->retry > 0 && !ended(t, n) && t->have < t->retry)
		return (0);
	return (rows(t, final, e));
}

int
ge_table_push(struct ge_table *t, const void *buf, size_t len,
    struct ge_err *e)
{
	const char *s = buf;
	size_t n;

	for (; len > 0; s += n, len -= n) {
		n = len < PIECE ? len : PIECE;
		if (ge_grow(&t->buf, &t->cap, t->have + n + 1, 1, e) == -1)
			return (-1);
		memcpy(t->buf + t->have, s, n);
		t->have += n;
		if (take(t, n, 0, e) == -1)
			return (-1);
	}
	return (0);
}

int
ge_table_end(struct ge_table *t, struct ge_err *e)
{

	if (take(t, 0, 1, e) == -1)
		return (-1);
	if (t->ncols == 0)
		return (ge_fail(e, GE_EUSAGE, "'%s': no table", t->name));
	return (0);
}
