#ifndef GE_MONITOR_H
#define GE_MONITOR_H

#include <stddef.h>
#include <stdint.h>

#include "data/outdir.h"
#include "util/err.h"

/*
 * A model of a process at work as it should be, learnt from rows of it alone, and the
 * watch over further rows.
 *
 * Each variable has two residuals: "relation", its value less what the others tell now
 * and told in the last rows (its own past left out, so that a lasting shift stays
 * visible), and "innovation", its value less what the past of all tells.  Both are
 * ridge regressions on scaled values, the first if need be with hinges (piecewise
 * linear) of the others.  Sums, sums of squares and largest ones of residuals, of
 * their moving averages and of those of their squares are compared with limits.
 *
 * Limits come from residuals of stretches of the rows, each by a model of the others
 * (blocked cross-fitting).  Allowed for are the spread between stretches, by Student's
 * t, and how few exceedances tell of the tail, which is taken as exponential: its scale
 * from c independent ones is uncertain, so that far of new rows are beyond
 * scale * c * ((share / far)^(1/c) - 1) above the point that a share is beyond, which
 * for large c is scale * log(share / far) (the predictive quantile; Geisser, Predictive
 * Inference, 1993); c by the extremal index of Ferro and Segers (J. R. Statist. Soc. B
 * 65, 2003).  Few rows are scored by limits of the other stretches alone.  A
 * residual whose memory is too long for these rows to tell its spread is
 * left out, and a variable that wanders freely is taken relative to its own moving
 * average.  Chosen on held-out rows: lags, ridge, hinges, modes.
 */
enum {
	GE_MONITOR_COLS = 1024,		/* most variables */
	GE_MONITOR_ROWS = 64,		/* fewest rows to learn from */
	GE_MONITOR_FEW = 400,		/* fewer may not keep the rate of alarms, */
	GE_MONITOR_EACH = 20,		/* nor fewer than so many a variable, */
	GE_MONITOR_MANY = 1000,		/* but so many do */
	GE_MONITOR_LAGS = 8,		/* most */
	GE_MONITOR_MODES = 4,		/* most modes of operation */
	GE_MONITOR_GAP = 5,		/* steps that rows follow within */
	GE_MONITOR_CAUSES = 8,
	GE_MONITOR_STATS = 20,
	GE_MONITOR_ARRAYS = 11
};

#define GE_MONITOR_MOST 1e30		/* numbers beyond it are as missing */

/* How a row does not follow the one before it. */
enum {
	GE_MONITOR_LATER = 1,	/* there were rows between them */
	GE_MONITOR_APART = 2	/* it is of another run, or machine */
};

struct ge_monitor_opts {
	double far;		/* false alarms a row, 0 < far < 0.1 */
	size_t lags;		/* most lags tried, 0..GE_MONITOR_LAGS */
	size_t modes;		/* most modes tried, 1..GE_MONITOR_MODES */
	int hinges;		/* whether they may be chosen */
	int jobs;		/* threads; the result is the same */
	const uint8_t *fresh;	/* [n], or NULL: 0, or GE_MONITOR_LATER or
				   _APART, of each row */
	const uint32_t *row;	/* [n], or NULL: the i-th row is rows[row[i]] */
};

struct ge_monitor {
	size_t p, lags, modes;
	int hinges;
	size_t lin, width;	/* of a row of predictors: linear part, all */
	double far, baseline;
	float clip;

	float *centre;		/* [2][p] high and low part */
	float *inverse;		/* [p] one over the scale; 0: constant */
	float *wander;		/* [p] 1: relative to its moving average */
	float *mode;		/* [modes][p] */
	float *relation;	/* [p][width] residuals over their spread */
	float *innovation;	/* [p][width] */
	float *used;		/* [2][p] 1 or 0: relation, innovation */
	float *middle, *limit;	/* [GE_MONITOR_STATS] of cube roots */
	float bound;		/* of the score */

	/* Made of those. */
	size_t stride;		/* p rounded up */
	float *across;		/* [2][stride / 32][width][32] relation,
				   innovation */
	float *reach;		/* [p] squared length of a fault's mark */
	/* How it was found; in "settings" too. */
	double ridge[2], held[2];	/* held-out score, nats a value; lower
					   is better */
	size_t rows, dropped;		/* learnt from; left out as outliers */
	size_t recurring;		/* far off, but learnt from: not saved */
};

/*
 * ge_monitor_fit(m, rows, n, p, o, e):
 * Learn from rows [n][p], one after the other in time; NaN and infinities are missing
 * values.  A few outlying rows are left out, unless they are of most of five stretches
 * or more than 5 %: then they belong to the process (recurring).  Memory beside the
 * rows: below theirs for many rows.  0; -1 GE_EUSAGE when there is nothing to learn (too few rows,
 * no variable that moves), GE_EFAIL.  ge_monitor_release: of what is zeroed as well.
 */
void ge_monitor_opts_init(struct ge_monitor_opts *o);
int ge_monitor_fit(struct ge_monitor *m, const double *rows, size_t n,
    size_t p, const struct ge_monitor_opts *o, struct ge_err *e);
void ge_monitor_release(struct ge_monitor *m);

/*
 * ge_monitor_bytes(z, n, p, o): what ge_monitor_fit takes of memory, at most.
 */
struct ge_monitor_size {
	uint64_t models, products, samples;
};
void ge_monitor_bytes(struct ge_monitor_size *z, size_t n, size_t p,
    const struct ge_monitor_opts *o);

/*
 * ge_monitor_gaps(t, n, fresh, step, e): fresh [n] for ge_monitor_fit from times [n] in
 * seconds: GE_MONITOR_APART behind a gap of more than GE_MONITOR_GAP steps, or a time
 * that runs backwards; a row without a time follows.  *step is the median of the
 * steps, 0 if there is none.
 */
int ge_monitor_gaps(const double *t, size_t n, uint8_t *fresh, double *step,
    struct ge_err *e);

/* A model as arrays of float with names: what is saved of it. */
struct ge_monitor_array {
	const char *name;
	int ndims;
	size_t dim[2];
	float *v;
};

/*
 * ge_monitor_arrays(m, settings, a): m as arrays, borrowed from m and settings [16].
 *
 * ge_monitor_load(m, a, n, e): from arrays of any order, copied, untrusted: -1
 * GE_EREFUSED when one is missing, or a shape or number is not what it can be.
 */
void ge_monitor_arrays(const struct ge_monitor *m, float *settings,
    struct ge_monitor_array a[GE_MONITOR_ARRAYS]);
int ge_monitor_load(struct ge_monitor *m, const struct ge_monitor_array *a,
    size_t n, struct ge_err *e);

/*
 * ge_monitor_save(m, out, name, e): those arrays as a safetensors file.
 * ge_monitor_parse(m, buf, len, e): from the bytes of one, untrusted; -1 GE_EREFUSED.
 */
int ge_monitor_save(const struct ge_monitor *m, struct ge_outdir *out,
    const char *name, struct ge_err *e);
int ge_monitor_parse(struct ge_monitor *m, const uint8_t *buf, size_t len,
    struct ge_err *e);

struct ge_monitor_cause {
	size_t col;
	double share;		/* of the guilt, all together 1 */
	double sigma;		/* its residual now, in spreads, signed */
	int64_t since;		/* row that it left its relation at; -1: not yet */
};

struct ge_monitor_verdict {
	int alarm;
	size_t mode;		/* of operation, 0..modes - 1 */
	double score, limit;	/* alarm: score > limit */
	uint64_t since;		/* row that the alarm began at */
	size_t ncauses;		/* most guilty first; 0 without alarm */
	struct ge_monitor_cause cause[GE_MONITOR_CAUSES];
};

/*
 * The watch.  m is borrowed until ge_watch_free.
 *
 * ge_watch_step(w, row, fresh, v): the next row [p]; fresh: 0, or how it does not
 * follow the one before.  Cannot fail, allocates nothing.  An alarm needs two of three rows over
 * the limit.
 *
 * ge_watch_left(w): [p] rows, from 0, that variables left their relations at; -1: not
 * now.  Borrowed.
 *
 * ge_watch_save(w, buf, len, e): where it stands, *len bytes, ge_free.
 * ge_watch_resume(w, buf, len, e): bytes that are untrusted; -1 GE_EREFUSED.
 */
struct ge_watch;

struct ge_watch *ge_watch_new(const struct ge_monitor *m, struct ge_err *e);
void ge_watch_step(struct ge_watch *w, const double *row, int fresh,
    struct ge_monitor_verdict *v);
const int64_t *ge_watch_left(const struct ge_watch *w);
int ge_watch_save(const struct ge_watch *w, uint8_t **buf, size_t *len,
    struct ge_err *e);
int ge_watch_resume(struct ge_watch *w, const uint8_t *buf, size_t len,
    struct ge_err *e);
void ge_watch_free(struct ge_watch *w);

#endif
