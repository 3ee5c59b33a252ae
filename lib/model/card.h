#ifndef GE_CARD_H
#define GE_CARD_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What is said of a model of tables beside its numbers: README.md, a model card after
 * Mitchell et al. (2019), and run.json.  The family fills the struct; a text that is
 * NULL, a number that is NaN and a table without lines are left out.
 */
enum {
	GE_CARD_METRICS = 12
};

/* A line of a table: a baseline, this model, a group of rows. */
struct ge_card_line {
	const char *name;		/* any text; a group's word */
	double rows;			/* NaN: the same for all */
	double value[GE_CARD_METRICS];	/* [nmetrics] NaN: none */
	double seconds, joules;		/* to fit and to score; NaN: not of a
					   group */
};

/* The metrics again, by the words of a column. */
struct ge_card_table {
	const char *by;			/* the column */
	size_t n;
	const struct ge_card_line *line;	/* [n] */
};

struct ge_card {
	const char *family;		/* "monitor", "trees" */
	const char *version;		/* of the program */
	const char *library;		/* that loads it: "xgboost", or NULL */
	const char *task;		/* "tabular-classification" */
	const char *title, *about;	/* about: Markdown */

	/* The data. */
	uint8_t digest[32];		/* SHA-256 of the bytes read */
	const char *set;		/* the user's name of them, or NULL */
	uint64_t rows, cols;		/* rows learnt from */
	const char *data;		/* more of it, Markdown */

	/* The fit. */
	int64_t started;		/* seconds since 1970 */
	const uint64_t *seed;		/* NULL: nothing is drawn */
	double seconds, joules, gco2;	/* gco2: grams a kilowatt-hour, or NaN */
	const char *energy;		/* ge_energy_method */
	const char *stopped;		/* by what: "rounds", "minutes", ... */
	json_t *options;		/* an object, borrowed */

	/* What it reaches. */
	const char *on;			/* "5 folds, each held out once" */
	const char *const *metric;	/* [nmetrics] "f1" */
	size_t nmetrics;		/* 0: nothing was measured */
	const struct ge_card_line *line;	/* [nlines] baselines, then this */
	size_t nlines;
	const struct ge_card_table *table;	/* [ntables] */
	size_t ntables;

	const char *use;		/* how to use it, Markdown */
	const char *limits;		/* what it is not good for, Markdown */
};

/*
 * ge_card_print(c, e): the card; ge_free.  NULL without memory.
 *
 * ge_card_run(c, e): run.json as an object, to which a family may add; json_decref.
 * Its members: family program started data options seed result, where result holds
 * seconds joules energy_method stopped_by gco2 measured_on metrics baselines groups.
 *
 * ge_card_text(j, e): the bytes of such a file, with a newline at the end; ge_free.
 * Numbers have 7 digits; NULL of NULL.
 */
char *ge_card_print(const struct ge_card *c, struct ge_err *e);
json_t *ge_card_run(const struct ge_card *c, struct ge_err *e);
char *ge_card_text(const json_t *j, struct ge_err *e);

#endif
