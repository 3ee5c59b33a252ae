#ifndef GE_MONITOR_INT_H
#define GE_MONITOR_INT_H

#include "model/monitor.h"
#include "model/ops.h"

enum {
	SCALES = 2,			/* moving averages */
	PER_CHANNEL = GE_MONITOR_STATS / 2,
	LANES = 32
};

#define FIT_CLIP 6.0f			/* spreads, of values to learn from */
#define WATCH_CLIP 50.0f
#define SLOWEST 0.1f			/* of the moving averages */

/* All that moves from row to row, in one block of floats. */
struct ge_watch {
	const struct ge_monitor *m;
	const struct ge_ops *ops;
	float *v;
	size_t nv;

	float *z;		/* [p] scaled, as last seen */
	float *base;		/* [p] moving average of what wanders */
	float *slow;		/* [p] moving average that tells the mode */
	float *odd;		/* [p] 1: was far off in the last row */
	float *e[2][SCALES];	/* [p] averages of residuals */
	float *q[2][SCALES];	/* [p] of their squares */
	float *sum[2];		/* [SCALES] of the sum of squares */
	float *guilt[2];	/* [p] of this alarm */
	float *past;		/* [2] score of the last rows */
	float *a;		/* [width] predictors */

	float *r[2];		/* [p] residuals of this row */
	float *t;		/* [p] scratch */
	float *off;		/* [p] what was taken off in cleaning */
	int64_t *left;		/* [p] row of departure, -1 */
	uint8_t *missing;	/* [p] */
	uint32_t *at;		/* [width] predictors that are not 0 */

	size_t mode;		/* of this row */
	uint64_t row, since;
	uint32_t begun;		/* there was a row of this run */
	uint32_t have;		/* rows of the past in a */
	uint32_t scored;	/* of past */
	uint32_t alarm;
};

/* lin, width and stride of m, whose p, lags and hinges are set. */
void ge_monitor_extent(struct ge_monitor *m);
/* Shape m's arrays and allocate them, zeroed; p, lags, modes and hinges are set. */
int ge_monitor_shape(struct ge_monitor *m, struct ge_err *e);
/* The place in across of predictor j for variable i in channel c. */
float *ge_monitor_across(const struct ge_monitor *m, size_t c, size_t i,
    size_t j);
/* across and reach from the others; across is there to be filled. */
void ge_monitor_ready(struct ge_monitor *m);

/* Scale a row into w->a; 1 when enough of the past is there. */
int ge_watch_take(struct ge_watch *w, const double *row, int fresh);
/* w->r from w->a. */
void ge_watch_residuals(struct ge_watch *w);
/* Statistics of w->r, cube roots of them. */
void ge_watch_stats(struct ge_watch *w, float out[GE_MONITOR_STATS]);
/* The second largest of the last three, of score x as the newest. */
float ge_watch_run(struct ge_watch *w, float x);
float ge_monitor_score(const struct ge_monitor *m,
    const float st[GE_MONITOR_STATS]);

#endif
