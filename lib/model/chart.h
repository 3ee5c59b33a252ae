#ifndef GE_CHART_H
#define GE_CHART_H

#include "model/monitor.h"

/*
 * What a monitor is compared with: control charts.  "Each": every variable by itself,
 * the largest distance from its centre in spreads (Shewhart, 1931).  "Components": of
 * the principal components of the variables, now and lags rows before, that hold 90 %
 * of their variance, T2 of those and SPE, the squared length of the rest (Jackson
 * and Mudholkar, 1979; Ku, Storer and Georgakis, 1995).  Limits are found as a
 * monitor's are: blocked cross-fitting for the same rate of false alarms, two of three
 * rows over the limit.
 */
enum ge_chart_kind {
	GE_CHART_EACH, GE_CHART_COMPONENTS
};

enum {
	GE_CHART_STATS = 2,
	GE_CHART_PREDICTORS = 512	/* most variables times rows */
};

struct ge_chart {
	enum ge_chart_kind kind;
	struct ge_monitor m;		/* what scales rows and holds their past */
	size_t q, k;			/* predictors, components */
	float *mean;			/* [q] */
	float *vec;			/* [k][q] */
	float *inverse;			/* [k] one over the variance */
	float *t;			/* [q] scratch */
	float middle[GE_CHART_STATS], limit[GE_CHART_STATS];
	float bound;
};

/*
 * ge_chart_fit(c, kind, lags, rows, n, p, o, e): as ge_monitor_fit; of o it takes far,
 * jobs, fresh and row.  -1 GE_EUSAGE also when p (lags + 1) is more than
 * GE_CHART_PREDICTORS, for components.  ge_chart_release: of what is zeroed as well.
 *
 * ge_chart_watch(c, e): the state of one who looks (ge_watch_free); c is borrowed.
 * ge_chart_step(c, w, row, fresh): is there an alarm?
 */
int ge_chart_fit(struct ge_chart *c, enum ge_chart_kind kind, size_t lags,
    const double *rows, size_t n, size_t p, const struct ge_monitor_opts *o,
    struct ge_err *e);
void ge_chart_release(struct ge_chart *c);
struct ge_watch *ge_chart_watch(const struct ge_chart *c, struct ge_err *e);
int ge_chart_step(const struct ge_chart *c, struct ge_watch *w,
    const double *row, int fresh);

#endif
