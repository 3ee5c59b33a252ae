#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/monrun_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/thread.h"

enum {
	TICK = 1024,			/* rows */
	WARM = 1000			/* rows before those that are judged */
};

#define DAY 86400.0

double
ge_mon_f1(const struct ge_mon_tally *t)
{
	double hit = 2 * (double)t->right;

	return (hit > 0 ? hit / (hit + (double)t->wrong +
	    (double)(t->faulty - t->right)) : 0);
}

double
ge_mon_a_day(const struct ge_mon *r, const struct ge_mon_tally *t)
{

	return (r->step > 0 && t->nominal > 0 ? (double)t->wrong * DAY /
	    ((double)t->nominal * r->step) : NAN);
}

/* Where a judge is in the rows. */
struct place {
	int fault, found;		/* in a stretch of faulty rows */
	int alarm;			/* in the row before */
	uint64_t rows;			/* of the stretch so far */
};

static void
count(struct ge_mon_tally *t, const struct place *at, enum ge_mon_use use,
    int alarm)
{

	if (use == GE_MON_HELD) {
		t->nominal++;
		t->wrong += (uint64_t)alarm;
		t->events += alarm && !at->alarm;
	}
	if (use != GE_MON_FAULT)
		return;
	t->faulty++;
	t->right += (uint64_t)alarm;
	t->faults += !at->fault;
	if (alarm && !(at->fault && at->found)) {
		t->found++;
		t->delay += at->fault ? (double)at->rows : 0;
	}
}

static void
move(struct place *at, enum ge_mon_use use, int alarm)
{
	int fault = use == GE_MON_FAULT;

	at->rows = fault ? (at->fault ? at->rows : 0) + 1 : 0;
	at->found = fault && (alarm || (at->fault && at->found));
	at->fault = fault;
	at->alarm = alarm;
}

/* The first row from k on that counts, or n. */
static size_t
next(const struct ge_mon *r, size_t k)
{

	while (k < r->n && r->use[k] != GE_MON_HELD &&
	    r->use[k] != GE_MON_FAULT)
		k++;
	return (k);
}

int
ge_mon_judge(struct ge_mon *r, int (*step)(void *arg, const double *row,
    int fresh, size_t *mode), void *arg, int self, struct ge_mon_tally *all,
    struct ge_err *e)
{
	struct place at = { 0 };
	size_t k, ahead = next(r, 0), mode = 0, g;
	int alarm, gap = 1;

	for (k = 0; k < r->n; k++) {
		if (k % TICK == 0 && ge_hook_tick(0, e) == -1)
			return (-1);
		if (k > ahead)
			ahead = next(r, k);
		gap |= r->fresh[k];
		if (ahead - k > WARM)
			continue;
		g = r->group != NULL ? r->group[k] : 0;
		if (k == 0 || (r->group != NULL && g != r->group[k - 1]))
			memset(&at, 0, sizeof(at));
		alarm = step(arg, r->frame.v + r->row[k] * r->p, gap, &mode);
		gap = 0;
		count(all, &at, r->use[k], alarm);
		if (self) {
			count(&r->by_mode[mode], &at, r->use[k], alarm);
			count(&r->by_group[g], &at, r->use[k], alarm);
		}
		move(&at, r->use[k], alarm);
	}
	return (0);
}

static int
step_self(void *arg, const double *row, int fresh, size_t *mode)
{
	struct ge_monitor_verdict v;

	ge_watch_step(arg, row, fresh, &v);
	*mode = v.mode;
	return (v.alarm);
}

static int
measure_self(struct ge_mon *r, struct ge_err *e)
{
	struct ge_watch *w;
	int rc;

	if ((r->by_group = ge_alloc(r->ngroups * sizeof(*r->by_group), e)) ==
	    NULL || (w = ge_watch_new(r->tried ? &r->trial : &r->m, e)) ==
	    NULL)
		return (-1);
	rc = ge_mon_judge(r, step_self, w, 1, &r->self.tally, e);
	ge_watch_free(w);
	return (rc);
}

/* A table that is too short for both is learnt from whole. */
static int
try(struct ge_mon *r, struct ge_err *e)
{

	if (ge_mon_learn(r, &r->trial, 0, e) == 0)
		return (0);
	if (e->code != GE_EUSAGE)
		return (-1);
	r->tried = 0;
	return (0);
}

int
ge_mon_measure(struct ge_mon *r, struct ge_err *e)
{
	int was = r->tried;

	if (r->count[GE_MON_HELD] == 0 && r->count[GE_MON_FAULT] == 0)
		return (0);
	r->stage = "measuring";
	if (was && try(r, e) == -1)
		return (-1);
	if (was && !r->tried)
		return (0);
	return (measure_self(r, e));
}
