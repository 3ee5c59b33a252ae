#ifndef GE_FEATURES_H
#define GE_FEATURES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "data/schema.h"
#include "util/err.h"

/*
 * What trees see of a row: its columns, products, ratios and differences of them, and
 * what they were in the rows of its group before it.
 */
enum {
	GE_FEATURES_MOST = 65536,	/* GE_BOOST_COLS */
	GE_FEATURES_ROWS = 65536,	/* widest window */
	GE_FEATURES_CELLS = 1 << 18,	/* most that a group is remembered by */
	GE_SERIES_GROUPS = 65536,	/* groups remembered at once, */
	GE_SERIES_BYTES = 64 << 20	/* and all of them together; one at least */
};

enum ge_feature_op {
	GE_F_COLUMN,		/* a; of a category the place of its word */
	GE_F_PRODUCT,		/* a * b */
	GE_F_RATIO,		/* a / b; missing where b is 0 */
	GE_F_DIFFERENCE,	/* a - b */
	GE_F_LAG,		/* a, w rows ago */
	GE_F_MEAN,		/* of a over the last w rows, this one among them */
	GE_F_SLOPE,		/* of a a row, least squares over the last w rows */
	GE_F_SPREAD,		/* standard deviation (of w) over the last w rows */
	GE_F_START,		/* GE_F_MEAN less the mean of the group's first b rows */
	GE_F_AGE,		/* time since the group's first row; rows, without time */
	GE_F_OPS
};

struct ge_feature {
	enum ge_feature_op op;
	uint32_t a, b;		/* columns of the schema, where the op has them */
	uint32_t w;		/* rows: from 1; of GE_F_SLOPE and GE_F_SPREAD 2 */
	char *name;
};

struct ge_features {
	size_t n;
	struct ge_feature *f;		/* [n] */
	uint32_t ncols;			/* of the schema */
	uint32_t time, group;		/* its columns; GE_F_NONE: it has none */
	/* private */
	size_t cap, cells, names;
};

#define GE_F_NONE UINT32_MAX

/*
 * ge_features_plain(F, s, e): one feature a column whose role is input.
 *
 * ge_features_add(F, s, op, a, b, w, e): one more.  -1 GE_EUSAGE when a or b is no
 * column of numbers, w or b is out of range, or there are too many.
 *
 * ge_features_age(F, s, e): GE_F_AGE, unless it is there.
 *
 * ge_features_lags(F, s, spec, e): of each input column of numbers what spec names, words
 * separated by commas: lag:W mean:W slope:W spread:W start:W/B age.  GE_EUSAGE.
 *
 * ge_features_lags_check(spec, e): whether there can be such windows.  GE_EUSAGE.
 *
 * ge_features_copy(to, F, s, e): to is as from ge_features_plain.
 *
 * ge_features_release(F): what a failed call has left too.
 *
 * ge_features_in_time(F): is there an op that needs the rows before?
 *
 * ge_features_categories(F, s, is): is [n] 1 where a feature is a category.
 */
int ge_features_plain(struct ge_features *F, const struct ge_schema *s,
    struct ge_err *e);
int ge_features_add(struct ge_features *F, const struct ge_schema *s,
    enum ge_feature_op op, uint32_t a, uint32_t b, uint32_t w,
    struct ge_err *e);
int ge_features_age(struct ge_features *F, const struct ge_schema *s,
    struct ge_err *e);
int ge_features_lags(struct ge_features *F, const struct ge_schema *s,
    const char *spec, struct ge_err *e);
int ge_features_lags_check(const char *spec, struct ge_err *e);
int ge_features_copy(struct ge_features *to, const struct ge_features *F,
    const struct ge_schema *s, struct ge_err *e);
void ge_features_release(struct ge_features *F);
int ge_features_in_time(const struct ge_features *F);
void ge_features_categories(const struct ge_features *F,
    const struct ge_schema *s, uint8_t *is);

/*
 * ge_features_json(F): the array that is member "features" of schema.json; NULL
 * without memory.
 *
 * ge_features_parse(F, a, s, e): from that array, untrusted (NULL: it is not there).
 * -1 GE_EREFUSED, and F holds nothing.
 */
json_t *ge_features_json(const struct ge_features *F);
int ge_features_parse(struct ge_features *F, const json_t *a,
    const struct ge_schema *s, struct ge_err *e);

/*
 * What is remembered of the groups that rows came from, keyed by the value of the
 * group's column; rows of groups may alternate.  Without such a column all rows are one
 * group.  A group is flat memory; when there is no room for one more, that which was
 * seen longest ago is forgotten (and begins anew if it comes again).
 *
 * ge_series_new(F, e): F is borrowed until ge_series_free.
 *
 * ge_series_restart(S): forget all; for a table that begins, if there is no group.
 *
 * ge_series_forgotten(S): so many groups had to go.
 */
struct ge_series;

struct ge_series *ge_series_new(const struct ge_features *F, struct ge_err *e);
void ge_series_free(struct ge_series *S);
void ge_series_restart(struct ge_series *S);
uint64_t ge_series_forgotten(const struct ge_series *S);

/*
 * ge_features_row(F, S, v, out, e):
 * The features out [n] of the row v [ncols], the next of its group.  S may be NULL if
 * not ge_features_in_time(F).  Missing is NaN on both sides; windows pass over it, and
 * what is wanted of rows before a group's first is missing.  What is beyond 1e38 is that,
 * since XGBoost takes no infinities.  -1 never without S; GE_EREFUSED when the schema has
 * times and this row's is before that of the last row of its group.
 *
 * ge_features_rows(F, v, n, fresh, row, nrows, out, e):
 * Of rows row[0] < row[1] < ... of the table v [n][ncols], into out [nrows][F->n]; row
 * may be NULL: of the first nrows; fresh [n] (or NULL) as of a frame.  No group is
 * forgotten, however many there are.  GE_EREFUSED "row N: ..." as above, GE_EFAIL when a
 * signal came, too.
 */
int ge_features_row(const struct ge_features *F, struct ge_series *S,
    const double *v, float *out, struct ge_err *e);
int ge_features_rows(const struct ge_features *F, const double *v, size_t n,
    const uint8_t *fresh, const uint32_t *row, size_t nrows, float *out,
    struct ge_err *e);

#endif
