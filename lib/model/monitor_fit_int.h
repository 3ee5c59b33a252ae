#ifndef GE_MONITOR_FIT_INT_H
#define GE_MONITOR_FIT_INT_H

#include "model/monitor_int.h"

/*
 * A fit under way.  The rows are cut into FOLDS stretches; products of predictors are
 * summed for each, so that a model of all but one is a matter of subtraction.
 */
enum {
	FOLDS = 5,
	POINTS = 4096,			/* rows that modes are sought in */
	GE_FIT_TICK = 1024,		/* rows between looks at the clock */
	KEPT = 1 << 17			/* rows that limits are taken of */
};

#define SPREAD_LEAST 1e-3		/* of a residual, in spreads of its variable */

/* Columns of a row of predictors that a candidate uses. */
struct ge_fit_set {
	size_t n, *at;
};

struct ge_fit {
	const struct ge_monitor_opts *o;
	const double *rows;
	size_t n, p;
	struct ge_monitor *m;
	uint8_t *skip;			/* [n] outliers */
	struct ge_monitor fold[FOLDS];	/* arrays of m, relation and
					   innovation of their own */
	double *gram[FOLDS + 1];	/* [width][width]; the last: all */
	double count[FOLDS + 1];
	/* of the candidate in hand */
	struct ge_fit_set set;
	int channel;
	double ridge;
	double *coef[FOLDS + 1];	/* [p][set.n] */
	double *held[FOLDS];		/* [p] */
	/* of the passes over residuals */
	size_t nbins, bin, nsample, every, nkept, stride;
	double *bins;			/* [3][p][nbins] */
	double *moment;			/* [FOLDS][3][p][2] */
	float *sample;			/* [nsample][2 p] */
	uint8_t *sampled;		/* [nsample] */
	float *kept;			/* [nkept][STATS] */
	float *score;			/* [nkept] */
	float middle[FOLDS][GE_MONITOR_STATS], limit[FOLDS][GE_MONITOR_STATS];
	int pass;
	float off[2];			/* an outlier's statistics are beyond */
	float *point;			/* [npoints][p], where modes are sought */
	uint8_t stretch[POINTS];	/* that they are of */
	size_t npoints, apart;
};

struct ge_fit_choice {
	size_t lags;
	int hinges;
	double ridge[2], score[2];
};

/* The i-th row to learn from. */
const double *ge_fit_row(const struct ge_fit *f, size_t i);
/* The first row of stretch b. */
size_t ge_fit_edge(const struct ge_fit *f, size_t b);
/*
 * *lags, lowered to what enough rows have as their past; -1 GE_EUSAGE when too few
 * follow two others, as an alarm needs.
 */
int ge_fit_past(const struct ge_fit *f, size_t *lags, struct ge_err *e);
/* Each row of a stretch that has its past, taken by m, to fn. */
int ge_fit_walk(struct ge_fit *f, size_t b, const struct ge_monitor *m,
    void (*fn)(struct ge_fit *, size_t b, struct ge_watch *, size_t row),
    struct ge_err *e);

/* Centre and scale of f->m: -1 GE_EUSAGE when nothing moves. */
int ge_fit_scale(struct ge_fit *f, struct ge_err *e);
/* Of x [n], which is sorted then. */
float ge_fit_median(float *x, size_t n);
/*
 * The value that far of a new stretch's rows exceed: the tail of values less the
 * mean of their stretch, taken as exponential with what c independent exceedances
 * tell of its scale, on a level that allows for the spread between stretches.
 *
 * x [nkept], step apart, NaN is no value; stretch `but` is left out, FOLDS: none.
 * trust: exceedances are taken for so many times as many.
 */
struct ge_fit_tail {
	const float *x;
	size_t step, but;
	double trust;
};
/*
 * How much to trust exceedances of the score: as limits do in few rows, and twice that
 * from 400 on, since stretches of the score differ by the errors of limits already.
 */
double ge_fit_trust(size_t n);
int ge_fit_bound(const struct ge_fit *f, const struct ge_fit_tail *t,
    double *out, struct ge_err *e);

/* Room for the products as of f->m, and the products. */
int ge_fit_gram_alloc(struct ge_fit *f, struct ge_err *e);
void ge_fit_gram_release(struct ge_fit *f);
int ge_fit_gram(struct ge_fit *f, struct ge_err *e);

/*
 * A candidate: f->set by ge_fit_set, f->channel and f->ridge by hand; then
 * ge_fit_solve(f, b, worker, e), as ge_par_each calls it, finds f->coef[b] of all
 * stretches but b and what it leaves of b, f->held[b]; b FOLDS: of all.
 */
void ge_fit_set(struct ge_fit *f, size_t lags, int hinges);
int ge_fit_solve(void *f, size_t b, int worker, struct ge_err *e);

/* The best on held-out rows: lags, ridges, hinges; then modes, into f->m. */
int ge_fit_choose(struct ge_fit *f, struct ge_fit_choice *best,
    struct ge_err *e);
int ge_fit_modes(struct ge_fit *f, struct ge_fit_choice *c,
    struct ge_err *e);

#endif
