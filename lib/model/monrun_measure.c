#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/chart.h"
#include "model/monrun_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/thread.h"

enum {
	TICK = 1024,			/* rows */
	WARM = 1000			/* rows before those that are judged */
};

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

	return (r->step > 0 && t->nominal > 0 ? (double)t->wrong * GE_MON_DAY /
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
	int alarm, gap = 0;

	for (k = 0; k < r->n; k++) {
		if (k % TICK == 0 && ge_hook_tick(0, e) == -1)
			return (-1);
		if (k > ahead)
			ahead = next(r, k);
		gap |= r->fresh[k];
		if (ahead - k > WARM) {
			gap = GE_MONITOR_APART;
			continue;
		}
		if (gap & GE_MONITOR_APART)
			memset(&at, 0, sizeof(at));
		g = r->group != NULL ? r->group[k] : 0;
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

	if (ge_mon_learn(r, 0, ge_mon_self, &r->trial, e) == 0)
		return (0);
	if (e->code != GE_EUSAGE)
		return (-1);
	r->tried = 0;
	return (0);
}

/*
 * What simpler ones reach.
 */

struct rival {
	struct ge_chart chart;
	enum ge_chart_kind kind;
	size_t lags;
	struct ge_watch *w;
};

static int
fit_rival(void *arg, const double *rows, size_t n, size_t p,
    const struct ge_monitor_opts *o, struct ge_err *e)
{
	struct rival *v = arg;

	return (ge_chart_fit(&v->chart, v->kind, v->lags, rows, n, p, o, e));
}

static int
step_rival(void *arg, const double *row, int fresh, size_t *mode)
{
	struct rival *v = arg;

	(void)mode;
	return (ge_chart_step(&v->chart, v->w, row, fresh));
}

/* One that cannot be had of this table is left out. */
static int
measure_rival(struct ge_mon *r, struct ge_mon_method *m, struct rival *v,
    const char *name, struct ge_err *e)
{
	double s = ge_clock(), j = ge_energy_joules(&r->energy);
	int rc;

	if (ge_mon_learn(r, 0, fit_rival, v, e) == -1)
		return (e->code == GE_EUSAGE ? 0 : -1);
	m->name = name;
	m->seconds = ge_clock() - s;
	m->joules = ge_energy_joules(&r->energy) - j;
	rc = (v->w = ge_chart_watch(&v->chart, e)) == NULL ? -1 :
	    ge_mon_judge(r, step_rival, v, 0, &m->tally, e);
	ge_watch_free(v->w);
	ge_chart_release(&v->chart);
	return (rc);
}

static int
measure_rivals(struct ge_mon *r, struct ge_err *e)
{
	static const struct {
		const char *name;
		enum ge_chart_kind kind;
		size_t lags;
	} rivals[GE_MON_BASELINES] = {
		{ "constant", GE_CHART_EACH, 0 },
		{ "linear, static", GE_CHART_COMPONENTS, 0 },
		{ "linear, dynamic", GE_CHART_COMPONENTS, 2 }
	};
	struct rival v;
	size_t i;

	for (i = 0; i < GE_MON_BASELINES; i++) {
		r->stage = rivals[i].name;
		memset(&v, 0, sizeof(v));
		v.kind = rivals[i].kind;
		v.lags = rivals[i].lags;
		if (measure_rival(r, &r->base[i], &v, rivals[i].name, e) == -1)
			return (-1);
	}
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
	return (measure_self(r, e) == -1 ? -1 : measure_rivals(r, e));
}
