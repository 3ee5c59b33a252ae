#ifndef GE_MONRUN_INT_H
#define GE_MONRUN_INT_H

#include "model/monrun.h"

/*
 * ge_mon_rows(r, held, row, fresh, e): the rows to learn from, those held too or not,
 * as ge_monitor_fit takes them: *row, *fresh are the caller's.  How many, or -1.
 *
 * ge_mon_learn(r, m, held, e): m from them.
 *
 * ge_mon_judge(r, step, arg, self, all, e): step says of one row after the other
 * whether there is an alarm; self: counted by group and mode too.
 */
int ge_mon_learn(struct ge_mon *r, struct ge_monitor *m, int held,
    struct ge_err *e);
int ge_mon_judge(struct ge_mon *r, int (*step)(void *arg, const double *row,
    int fresh, size_t *mode), void *arg, int self, struct ge_mon_tally *all,
    struct ge_err *e);

#endif
