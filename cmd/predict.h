#ifndef GE_PREDICT_H
#define GE_PREDICT_H

#include <jansson.h>

#include "data/schema.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/sha256.h"

/*
 * What gepredict is told: the model's folder, the operands behind it (none: standard
 * input) and what was given to -O, in order, which is the family's to take apart.
 */
struct predict {
	const char *model;
	int jobs;
	char **opt;
	size_t nopts;
	char **file;
	int n;
};

/*
 * A family of models: the file of its folder that it is known by, the names that
 * its -O takes [ends with NULL], and what is done with a model of it.
 */
struct predict_family {
	const char *file;
	const char *const *names;
	int (*run)(const struct predict *p, struct ge_err *e);
};

extern const struct predict_family predict_lm, predict_monitor, predict_trees;

/*
 * A report that goes out whenever the input pauses.  After a failure nothing more is
 * added, as of struct ge_buf.
 *
 * report_put(o, s, len): more of it; o->b takes ge_buf_put too.
 * report_name(o, s): a name in a list: control characters, blanks, comma, colon and %
 *	as %XX, what is no UTF-8 and control characters beyond ASCII too.
 * report_quoted(o, s, len): a string of JSON; what is no UTF-8 as %XX.
 * report_count(o, n); report_fixed(o, x): a number with six digits behind the point, or
 *	fewer when the last are 0.
 *
 * report_flush(o, e): write what there is; nothing after it failed once.
 * report_last(o): when a signal has come: what is taken at once.  0 if that was all.
 */
struct report {
	int fd;
	struct ge_buf b;		/* b.e is set by the caller */
	size_t done;			/* of b, written */
	int failed;			/* to write */
};

void report_put(struct report *o, const char *s, size_t len);
void report_name(struct report *o, const char *s, size_t len);
void report_quoted(struct report *o, const char *s, size_t len);
void report_count(struct report *o, uint64_t n);
void report_fixed(struct report *o, double x);
int report_flush(struct report *o, struct ge_err *e);
int report_last(struct report *o);
void report_release(struct report *o);

/* A row of the input, as the model's schema has it. */
struct predict_row {
	const double *v;		/* [ncols] as of ge_bind_row */
	const char *time, *group;	/* as they stand there; "" without */
	size_t timelen, grouplen;
	const char *key;		/* [keylen] what the group is compared by:
					   "" if it is missing, 1.0 as 1 */
	size_t keylen;
	int first;			/* of its table */
};

/*
 * predict_slurp(p, name, max, buf, len, sha, e): a file of the model's folder, as of
 * ge_slurp, but GE_EREFUSED if it is longer; its bytes go into sha.
 *
 * predict_rows(p, s, want, o, fn, e): the rows of the operands' tables, in order.  o:
 * of -O; want: the roles that must be there, as of ge_bind_init; fn->row is called with
 * each row, fn->pause when all that was read is done.  A table without names
 * (what tail -f shows of one) has its columns in the order of s.
 */
struct table_options;

struct predict_fn {
	int (*row)(void *arg, const struct predict_row *row, struct ge_err *e);
	int (*pause)(void *arg, struct ge_err *e);
	void *arg;
};

int predict_slurp(const struct predict *p, const char *name, size_t max,
    uint8_t **buf, size_t *len, struct ge_sha256 *sha, struct ge_err *e);
int predict_rows(const struct predict *p, const struct ge_schema *s,
    unsigned int want, const struct table_options *o,
    const struct predict_fn *fn, struct ge_err *e);

#endif
