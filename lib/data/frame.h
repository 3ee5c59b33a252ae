#ifndef GE_FRAME_H
#define GE_FRAME_H

#include "data/table.h"
#include "data/words.h"

/*
 * Tables held as numbers, one behind the other, one type a column: a number where
 * every value is one; a time (seconds since 1970) where every value is one of ISO 8601;
 * else a category, a place among the column's words.  A column of more or longer words
 * than are taken is text and holds nothing.  Missing: NaN; infinities are numbers.
 */
enum {
	GE_FRAME_WORDS = 4096,		/* most of a category, if not told */
	GE_FRAME_WORD = 1024		/* bytes of the longest */
};

enum ge_frame_type {
	GE_FRAME_NUMBER, GE_FRAME_TIME, GE_FRAME_CATEGORY, GE_FRAME_TEXT
};

struct ge_frame_col {
	char *name;
	enum ge_frame_type type;
	char **word;			/* [nwords] of a category, as first seen */
	size_t nwords;
	size_t place;			/* in the first table, from 1 */
	int aside;			/* held only because of opts.aside */
	uint64_t missing, numbers;	/* rows */
	char *first;			/* "'NAME:LINE:COLUMN': 'TEXT'" of the first
					   word; NULL: there is none */
	/* private */
	size_t cap, most;		/* of words */
	struct ge_words words;
	uint64_t instants, texts;
	int many;
};

struct ge_frame_opts {
	struct ge_table_opts table;
	size_t words;			/* most words of a category */
	const char *group;		/* column that may have more; or NULL */
	const char *const *only;	/* [nonly] columns to hold; none: all */
	size_t nonly;
	const char *const *skip;	/* [nskip] columns to pass over */
	size_t nskip;
	const char *const *keep;	/* [nkeep] to hold with those of only */
	size_t nkeep;
	const char *const *aside;	/* [naside] to hold in any case */
	size_t naside;
};

struct ge_frame {
	size_t ncols;
	struct ge_frame_col *col;
	size_t n;			/* rows */
	double *v;			/* [n][ncols] */
	uint8_t *fresh;			/* [n] at the end, 1: row that begins a
					   table; NULL: there was one table */
	size_t width;			/* columns of the first table */
	int header;			/* columns have names; else numbers */
	/* private */
	struct ge_frame_opts o;
	struct ge_table table;
	size_t *from;			/* [ncols] place in the table */
	size_t room, nstarts, starts_room;
	size_t *start;			/* [nstarts] first rows of tables */
	int ready;			/* from is of the table in hand */
};

/*
 * ge_frame_init(f, o): o is copied, its lists borrowed until ge_frame_end.
 * ge_frame_opts_init: as of ge_table_opts_init, GE_FRAME_WORDS.
 *
 * ge_frame_begin(f, name, e): a table; name is borrowed until ge_frame_end_table.
 * ge_frame_push(f, buf, len, e), ge_frame_end_table(f, e): as of a table.
 * ge_frame_end(f, e): no more tables; the types are known now.
 *
 * The first table says which columns there are; of a further one they are taken by name
 * and what else it has is passed over.  Members of only, skip and keep are names, or
 * numbers of columns from 1, or ranges of those (3-7).  -1 GE_EUSAGE when one is not
 * there, or there are no rows or no columns; GE_EREFUSED 'NAME:LINE:COLUMN' when a
 * table is not one, one holds times beside other words, or a number is written with
 * a comma; or when a further table lacks a column.
 *
 * Memory: 8 bytes a cell and less than 1/8 more.
 *
 * ge_frame_find(f, name): the column of this name, or of this place, or SIZE_MAX.
 */
void ge_frame_opts_init(struct ge_frame_opts *o);
void ge_frame_init(struct ge_frame *f, const struct ge_frame_opts *o);
int ge_frame_begin(struct ge_frame *f, const char *name, struct ge_err *e);
int ge_frame_push(struct ge_frame *f, const void *buf, size_t len,
    struct ge_err *e);
int ge_frame_end_table(struct ge_frame *f, struct ge_err *e);
int ge_frame_end(struct ge_frame *f, struct ge_err *e);
void ge_frame_release(struct ge_frame *f);
size_t ge_frame_find(const struct ge_frame *f, const char *name);

#endif
