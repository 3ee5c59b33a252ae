#ifndef GE_FRAME_H
#define GE_FRAME_H

#include "data/table.h"

/*
 * A table held as numbers, one type a column: a number where every value is one; a
 * time (seconds since 1970) where every value is one of ISO 8601; else a category, a
 * place among the column's words.  A column of more words than are taken is text and
 * holds nothing.  Missing: NaN.
 */
enum ge_frame_type {
	GE_FRAME_NUMBER, GE_FRAME_TIME, GE_FRAME_CATEGORY, GE_FRAME_TEXT
};

struct ge_frame_col {
	char *name;
	enum ge_frame_type type;
	char **word;			/* [nwords] of a category, as first seen */
	size_t nwords;
	uint64_t missing;
	/* private */
	size_t cap, nslots;
	uint32_t *slot;
	uint64_t numbers, instants, texts;
	int many;
};

struct ge_frame_opts {
	struct ge_table_opts table;
	size_t words;			/* most words of a category */
	const char *const *only;	/* [nonly] columns to hold; NULL: all */
	size_t nonly;
	const char *const *skip;	/* [nskip] columns to pass over */
	size_t nskip;
};

struct ge_frame {
	size_t ncols;
	struct ge_frame_col *col;
	size_t n;			/* rows */
	double *v;			/* [n][ncols] */
	/* private */
	struct ge_frame_opts o;
	struct ge_table table;
	size_t *from;			/* [ncols] place in the table */
	size_t room;
};

/*
 * ge_frame_init(f, o, name, e): o is copied, its lists and name borrowed until
 * ge_frame_end.  ge_frame_opts_init: as of ge_table_opts_init, 4096 words.
 *
 * ge_frame_push(f, buf, len, e), ge_frame_end(f, e): as of a table; the types are
 * known at the end.  -1 GE_EREFUSED too when a column of only or skip is not there,
 * or one holds times beside other words; GE_EUSAGE when there are no rows.
 *
 * ge_frame_find(f, name): its number, or SIZE_MAX.
 */
void ge_frame_opts_init(struct ge_frame_opts *o);
int ge_frame_init(struct ge_frame *f, const struct ge_frame_opts *o,
    const char *name, struct ge_err *e);
int ge_frame_push(struct ge_frame *f, const void *buf, size_t len,
    struct ge_err *e);
int ge_frame_end(struct ge_frame *f, struct ge_err *e);
void ge_frame_release(struct ge_frame *f);
size_t ge_frame_find(const struct ge_frame *f, const char *name);

#endif
