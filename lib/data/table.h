#ifndef GE_TABLE_H
#define GE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Tables as text after RFC 4180, taken as they come: fields between commas,
 * semicolons, tabs or runs of blanks, quoted fields with anything in them, LF or CR LF,
 * a byte order mark dropped, empty lines passed over.  Refused with place: NUL, a row
 * that is shorter or longer than the first, a quote that does not end, text behind
 * one, a CR alone, a name twice or not of UTF-8.
 */
enum ge_cell_kind {
	GE_CELL_MISSING,		/* empty, NA, N/A, NaN, null, none or ? */
	GE_CELL_NUMBER,
	GE_CELL_TEXT
};

struct ge_cell {
	enum ge_cell_kind kind;
	double num;			/* NaN unless a number */
	const char *s;			/* without quotes and outer blanks; not
					   ended by NUL */
	size_t len, col;		/* col: byte in its line, from 1 */
	int quoted;
};

struct ge_row {
	uint64_t line;			/* that it begins on, from 1 */
	size_t n;
	const struct ge_cell *cell;	/* borrowed until the row is done with */
};

enum ge_header {
	GE_HEADER_NO,			/* columns are 1, 2, ... */
	GE_HEADER_YES,			/* the first row names them */
	GE_HEADER_AUTO			/* it does, unless it is numbers and
					   missing values */
};

struct ge_table_opts {
	char sep;			/* ' ': runs of blanks; 0: found out */
	enum ge_header header;
	size_t cols, field;		/* most columns, bytes of a row's field */
	char *const *known;		/* [nknown] names, borrowed; or none */
	size_t nknown, width;		/* with them and GE_HEADER_AUTO a first
					   row of width fields, none of which is
					   known, does not name the columns */
};

struct ge_table {
	size_t ncols;			/* 0 before the first row */
	char **names;
	int header;			/* the first row named the columns */
	uint64_t rows;			/* without the header */
	/* private */
	struct ge_table_opts o;
	const char *name;
	int (*fn)(void *arg, const struct ge_row *row, struct ge_err *e);
	void *arg;
	char *buf;
	size_t have, cap;		/* bytes not taken apart yet */
	size_t retry;			/* have, to try again at, unless a line
					   ends outside quotes */
	int inside;			/* quotes at the end of what is there */
	uint64_t line;
	int begun;
	struct ge_cell *cell;
	size_t ncells, room;
};

/*
 * ge_table_init(t, o, name, fn, arg, e):
 * name is of messages (borrowed); fn is called with each row but the header, and
 * its failure is the reader's.  ge_table_opts_init: all found out, 65536 columns, fields
 * of 1 MiB.
 *
 * Found out of the first row: the separator that is most frequent in it; without
 * any, blanks if it is nothing but numbers between blanks.
 *
 * ge_table_push(t, buf, len, e): the next bytes, as many as there are.
 * ge_table_end(t, e): no more of them.  Rows are handed on as soon as they are whole.
 *
 * 0; -1 GE_EREFUSED with 'NAME:LINE:COLUMN', GE_EUSAGE when the table is empty.
 * Memory: of the longest row.  After a failure only ge_table_release.
 */
void ge_table_opts_init(struct ge_table_opts *o);
int ge_table_init(struct ge_table *t, const struct ge_table_opts *o,
    const char *name, int (*fn)(void *arg, const struct ge_row *row,
    struct ge_err *e), void *arg, struct ge_err *e);
int ge_table_push(struct ge_table *t, const void *buf, size_t len,
    struct ge_err *e);
int ge_table_end(struct ge_table *t, struct ge_err *e);
void ge_table_release(struct ge_table *t);

#endif
