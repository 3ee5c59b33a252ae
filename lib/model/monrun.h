#ifndef GE_MONRUN_H
#define GE_MONRUN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "data/frame.h"
#include "data/outdir.h"
#include "data/schema.h"
#include "model/monitor.h"
#include "util/energy.h"
#include "util/err.h"

/*
 * A monitor from a table to files: what `getrain monitor` does, in the order in which
 * it does it.
 */
struct ge_mon_opts {
	const char *version;		/* of the program */

	/* Columns that are no variables, or NULL. */
	const char *time, *group, *mark;
	const char *value;		/* of the mark in nominal rows */
	uint64_t first, last;		/* nominal rows, from 1; 0: all are */

	double far;			/* false alarms a row, or a day */
	int daily;
	size_t lags, modes;		/* most tried */
	int hinges, jobs;
	double hold;			/* share of nominal rows kept back */

	const char *digest;		/* the user's name of the data, or NULL */
	double gco2;			/* grams a kilowatt-hour; 0: not told */
	json_t *said;			/* other options, for run.json; or NULL */
};

/* What a row is for. */
enum ge_mon_use {
	GE_MON_LEARN,			/* nominal */
	GE_MON_HELD,			/* nominal; the model that is measured has
					   not seen it */
	GE_MON_FAULT,			/* marked as not nominal */
	GE_MON_OTHER			/* nobody says */
};

/* Rows that were judged by a model that did not learn from them. */
struct ge_mon_tally {
	uint64_t nominal, wrong;	/* rows; false alarms among them */
	uint64_t events;		/* false alarms, of any length */
	uint64_t faulty, right;		/* rows; alarms among them */
	uint64_t faults, found;		/* stretches of faulty rows */
	double delay;			/* rows until they were found, summed */
};

struct ge_mon_method {
	const char *name;		/* NULL: was not tried */
	struct ge_mon_tally tally;
	double seconds, joules;
};

enum {
	GE_MON_BASELINES = 3		/* constant, static and dynamic PCA */
};

struct ge_mon {
	struct ge_mon_opts o;
	struct ge_frame frame;		/* v is [n][p] now */
	struct ge_schema schema;
	uint8_t data[32];		/* digest */
	uint64_t count[4];		/* rows of each use */
	size_t p;

	/* Rows in order, those of a group behind each other. */
	size_t n;
	uint32_t *row;			/* [n] in the frame */
	uint8_t *use, *fresh;		/* [n] */
	uint32_t *group;		/* [n], or NULL: there is one */
	size_t ngroups;
	char **name;			/* [ngroups], or NULL */
	double step;			/* seconds between rows; 0: not known */
	double far;			/* a row */

	struct ge_monitor m, trial;	/* of all nominal rows; of those not held */
	int apart;			/* those held are never learnt from */
	int tried;			/* trial is what was measured */
	struct ge_mon_method self, base[GE_MON_BASELINES];
	struct ge_mon_tally *by_group;	/* [ngroups], or NULL */
	struct ge_mon_tally by_mode[GE_MONITOR_MODES];

	struct ge_energy energy;
	double seconds, joules;		/* in all */
	double began;			/* by ge_clock */
	int64_t started;		/* seconds since 1970 */
	const char *stage;		/* what is done now */
};

/* What learning would take. */
struct ge_mon_cost {
	uint64_t table;			/* bytes */
	struct ge_monitor_size fit;
	double seconds, joules;
};

/*
 * ge_mon_open(r, o): o is copied, what it points to borrowed.  r->frame and r->data
 * are the caller's to fill then.  ge_mon_release: of what is zeroed as well.
 *
 * ge_mon_ready(r, e):
 * Roles of the columns and uses of the rows; what cannot be a variable is left out
 * of the frame, with a note.  -1 GE_EUSAGE when nothing is left.
 *
 * ge_mon_try(r, c, e): what it would take, by learning from few rows; instead of:
 *
 * ge_mon_fit(r, e): the model.
 *
 * ge_mon_measure(r, e): how good it is, and what simpler ones reach, if there are rows
 * to tell; after ge_mon_fit.
 *
 * ge_mon_save(r, out, e): everything into out, which the caller commits.
 *
 * ge_mon_measured(r): are there rows to measure on?
 */
void ge_mon_open(struct ge_mon *r, const struct ge_mon_opts *o);
void ge_mon_release(struct ge_mon *r);
int ge_mon_ready(struct ge_mon *r, struct ge_err *e);
int ge_mon_try(struct ge_mon *r, struct ge_mon_cost *c, struct ge_err *e);
int ge_mon_measure(struct ge_mon *r, struct ge_err *e);
int ge_mon_fit(struct ge_mon *r, struct ge_err *e);
int ge_mon_save(struct ge_mon *r, struct ge_outdir *out, struct ge_err *e);
int ge_mon_measured(const struct ge_mon *r);

/*
 * ge_mon_f1(t): of the rows of a tally.
 * ge_mon_a_day(r, t): false alarms a day, NaN when it is not known.
 */
double ge_mon_f1(const struct ge_mon_tally *t);
double ge_mon_a_day(const struct ge_mon *r, const struct ge_mon_tally *t);

/*
 * ge_mon_report(r, e): run.json, and ge_mon_card(r, e): the model card; text that
 * the caller frees with ge_free, or NULL.
 */
char *ge_mon_report(const struct ge_mon *r, struct ge_err *e);
char *ge_mon_card(const struct ge_mon *r, struct ge_err *e);

#endif
