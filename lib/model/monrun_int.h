#ifndef GE_MONRUN_INT_H
#define GE_MONRUN_INT_H

#include "model/monrun.h"

enum {
	GE_MON_NAMED = 8		/* columns of a note */
};

#define GE_MON_DAY 86400.0		/* seconds */

/*
 * ge_mon_learn(r, held, fit, arg, e): give the rows to learn from, those held too or
 * not, to fit, as ge_monitor_fit takes them.
 * ge_mon_self: such a fit; arg is the monitor.
 *
 * ge_mon_judge(r, step, arg, self, all, e): step says of one row after the other
 * whether there is an alarm; self: counted by group and mode too.
 */
int ge_mon_learn(struct ge_mon *r, int held, int (*fit)(void *arg,
    const double *rows, size_t n, size_t p, const struct ge_monitor_opts *o,
    struct ge_err *e), void *arg, struct ge_err *e);
int ge_mon_self(void *arg, const double *rows, size_t n, size_t p,
    const struct ge_monitor_opts *o, struct ge_err *e);
int ge_mon_judge(struct ge_mon *r, int (*step)(void *arg, const double *row,
    int fresh, size_t *mode), void *arg, int self, struct ge_mon_tally *all,
    struct ge_err *e);

#endif
