#ifndef GE_SENTRY_H
#define GE_SENTRY_H

#include "model/monitor.h"

/*
 * A monitor on duty: rows as they come, of one process or of several in turns, each with
 * a watch of its own; what is to be said of them; and where it stands, as bytes, to go
 * on from another day.
 */
enum {
	GE_SENTRY_GROUPS = 1024,	/* most processes watched at once */
	GE_SENTRY_KEY = 256,		/* bytes kept of a process's name; of a
					   longer one its hash with them */
	GE_SENTRY_STAMP = 40,		/* bytes kept of a row's time, and NUL */
	GE_SENTRY_GONE = 100		/* rows without a value of a variable, to
					   be told of */
};

/* A row, from 1, and its time as it stood there; row 0: none. */
struct ge_stamp {
	uint64_t row;
	char time[GE_SENTRY_STAMP];
};

struct ge_sentry_row {
	const double *x;		/* [p] NaN: missing */
	double t;			/* its time, as a number; NaN: none */
	const char *time;		/* [timelen] as it stands */
	size_t timelen;
	const char *group;		/* [grouplen] the process */
	size_t grouplen;
};

/* What is worth a sentence. */
enum ge_event {
	GE_EVENT_NONE,
	GE_EVENT_BEGIN,			/* an alarm */
	GE_EVENT_CHANGE,		/* another variable was the first */
	GE_EVENT_END			/* some rows were without alarm, or a row
					   begins anew */
};

struct ge_sight {
	uint64_t row;			/* from 1, over all processes */
	struct ge_monitor_verdict v;
	enum ge_event event;
	/* Of an event: */
	struct ge_stamp since;		/* when the first left its relation */
	size_t order[GE_MONITOR_CAUSES];	/* [norder] of v.cause: those much
						   to blame, in time */
	size_t norder;
	double most;			/* score over limit, so far */

	size_t missing;			/* variables without a value */
	/* Those that are without one for GE_SENTRY_GONE rows, or have one again
	   behind as many; borrowed until the next step. */
	const size_t *turned;
	size_t nturned;
};

struct ge_sentry;

/*
 * ge_sentry_new(m, step, model, e):
 *
 *	m	borrowed until ge_sentry_free
 *	step	of the time between rows, 0 if not known: a row more than
 *		GE_MONITOR_GAP of them behind the one before it of its process, or
 *		earlier, begins anew; one without a time follows
 *	model	[32] digest of the model, which its states are bound to
 *
 * ge_sentry_step(s, r, g, e): the next row.  When there are more processes than are
 * watched, the one that was not seen for longest is forgotten, which is noted once.  0,
 * or -1 without memory.
 *
 * ge_sentry_break(s): no row from here on follows one before.
 *
 * ge_sentry_left(s, i): when variable i of the last row's process left its relation.
 * ge_sentry_gone(s, i): whether it has had no value for GE_SENTRY_GONE rows.
 * ge_sentry_rows, ge_sentry_alarms: rows so far, and with alarm.
 * ge_sentry_raised: processes with an alarm now.
 *
 * ge_sentry_save(s, buf, len, e): where it stands, *len bytes, ge_free.
 * ge_sentry_resume(s, buf, len, e): of a new sentry, from bytes that are untrusted; -1
 * GE_EREFUSED when they are not a state, or one of another model.
 */
struct ge_sentry *ge_sentry_new(const struct ge_monitor *m, double step,
    const uint8_t model[32], struct ge_err *e);
int ge_sentry_step(struct ge_sentry *s, const struct ge_sentry_row *r,
    struct ge_sight *g, struct ge_err *e);
void ge_sentry_break(struct ge_sentry *s);
const struct ge_stamp *ge_sentry_left(const struct ge_sentry *s, size_t i);
int ge_sentry_gone(const struct ge_sentry *s, size_t i);
uint64_t ge_sentry_rows(const struct ge_sentry *s);
uint64_t ge_sentry_alarms(const struct ge_sentry *s);
size_t ge_sentry_raised(const struct ge_sentry *s);
int ge_sentry_save(const struct ge_sentry *s, uint8_t **buf, size_t *len,
    struct ge_err *e);
int ge_sentry_resume(struct ge_sentry *s, const uint8_t *buf, size_t len,
    struct ge_err *e);
void ge_sentry_free(struct ge_sentry *s);

#endif
