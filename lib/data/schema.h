#ifndef GE_SCHEMA_H
#define GE_SCHEMA_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "data/frame.h"
#include "util/err.h"

/*
 * What the columns of a table are to a model: schema.json.  In the order of the
 * table that it was made from.
 */
enum {
	GE_SCHEMA_VERSION = 1,
	GE_SCHEMA_MAX = 16 << 20	/* bytes of a schema.json */
};

enum ge_role {
	GE_ROLE_INPUT, GE_ROLE_TIME, GE_ROLE_GROUP, GE_ROLE_TARGET,
	GE_ROLE_WEIGHT, GE_ROLE_MARK, GE_ROLE_NONE
};

struct ge_schema_col {
	char *name, *unit;		/* unit: NULL if the name has none */
	size_t place;			/* in the table, from 1 */
	enum ge_frame_type type;
	enum ge_role role;
	char **word;			/* [nwords] of a category; a group's are
					   not kept */
	size_t nwords;
};

struct ge_schema {
	char *family;
	size_t ncols, width;		/* width: columns of the table, those
					   passed over too */
	struct ge_schema_col *col;
	int header;			/* columns have names; else numbers */
};

/* Names of columns that are something else than an input; NULL: there is none. */
struct ge_roles {
	const char *time, *group, *target, *weight, *mark;
};

/*
 * ge_schema_of(s, family, f, r, e):
 * Of a frame that is read.  Columns of text, and of times but the one of r->time, have
 * no role: as inputs they are of no use.  unit is what the name ends with in brackets
 * or parentheses.  -1 GE_EUSAGE when a column of r is not there or one has two roles, the
 * time is a category, a group text, or a weight is no number.
 *
 * ge_schema_find(s, role): the first column of this role, or SIZE_MAX.
 *
 * ge_schema_json(s): the object, to which the family adds members of its own; to be
 * dumped with JSON_REAL_PRECISION(17); NULL without memory.
 *
 * ge_schema_parse(s, buf, len, all, e):
 * buf is untrusted.  *all is the whole object (json_decref).  -1 GE_EREFUSED, and then
 * *all is NULL and s holds nothing.
 */
int ge_schema_of(struct ge_schema *s, const char *family,
    const struct ge_frame *f, const struct ge_roles *r, struct ge_err *e);
size_t ge_schema_find(const struct ge_schema *s, enum ge_role role);
json_t *ge_schema_json(const struct ge_schema *s);
int ge_schema_parse(struct ge_schema *s, const uint8_t *buf, size_t len,
    json_t **all, struct ge_err *e);
void ge_schema_release(struct ge_schema *s);

/*
 * Rows of further tables as the schema has them, columns in any order.
 *
 * ge_bind_init(b, s, want, e): s is borrowed until ge_bind_release; want: the roles,
 * 1u << GE_ROLE_..., whose columns must be there.  An input is always one.
 *
 * ge_bind_table(b, t, e): for rows of t from here on, whose names are known (call it
 * with a table's first row); borrowed until the next.  Columns without names are taken by
 * their places if the table has the schema's width.  -1 GE_EREFUSED naming a column that
 * is missing.
 *
 * ge_bind_row(b, row, v, e): v [ncols] of s.  A number; a time in seconds; of a
 * category the place of its word; of a group its number or a hash of its text, good for
 * comparing.  NaN: missing, text, no such column, or a word never seen, which is
 * counted in b->unseen if the column is an input.  -1 GE_EREFUSED 'NAME:LINE:COLUMN'
 * when an input, time or weight holds a word where numbers or times belong.
 *
 * b->from[j]: the cell of row that column j is in, SIZE_MAX if there is none: its text
 * is row->cell[b->from[j]].s.
 */
struct ge_bind {
	const struct ge_schema *s;
	size_t *from;			/* [ncols] */
	uint64_t unseen;		/* cells so far */
	/* private */
	unsigned int want;
	struct ge_words *words;		/* [ncols] */
	const struct ge_table *t;
};

int ge_bind_init(struct ge_bind *b, const struct ge_schema *s,
    unsigned int want, struct ge_err *e);
int ge_bind_table(struct ge_bind *b, const struct ge_table *t,
    struct ge_err *e);
int ge_bind_row(struct ge_bind *b, const struct ge_row *row, double *v,
    struct ge_err *e);
void ge_bind_release(struct ge_bind *b);

#endif
