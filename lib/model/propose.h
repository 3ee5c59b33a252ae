#ifndef GE_PROPOSE_H
#define GE_PROPOSE_H

#include <stddef.h>
#include <stdint.h>

#include "data/schema.h"
#include "model/boost.h"
#include "model/features.h"
#include "util/err.h"

/*
 * Features that the tool proposes by itself, and keeps only where trees fitted on some of
 * the rows it is given foretell the others better.  To be called for the training rows
 * of each fold, and for all rows in the end: then no row that a metric is taken on has a
 * say in it (nested, as Varma and Simon, 2006, ask).
 *
 * Whoever calls: the thresholds of such features (a power, a strain) are sharp, so that
 * 256 quantiles of few rows blur them: on AI4I 2020 they cost 0.05 of F1.  So unless
 * told otherwise `bins` is to be ge_propose_bins; the other defaults that the figures
 * need are eta 0.05, depth 5, min_child 1, lambda 1, subsample 0.8, colsample 0.5, at
 * most 1000 rounds, and patience for 50.  A life is foretold within 0 and its cap.  For
 * the time left: ge_features_age, then lags, then pairs.
 */
struct ge_training {
	const double *v;		/* [n][s->ncols], of a frame */
	size_t n;
	const uint8_t *fresh;		/* [n] or NULL, of a frame */
	const uint32_t *row;		/* [nrows] those to learn from, ascending */
	size_t nrows;
	const double *y;		/* [n] class or value, as of ge_boost_new */
	const float *w;			/* [n] weights or NULL */
	const uint32_t *unit;		/* [n] number of the group or NULL: rows of one
					   are held out together */
	const struct ge_boost_opts *boost;	/* objective, classes, bins (0: by
					   ge_propose_bins) */
	uint64_t seed;
	int (*late)(void *arg);		/* NULL, or whether to end with what is known */
	void *arg;
};

/*
 * ge_propose_bins(nrows, q): quantiles a feature, of q, that cost little and blur little.
 *
 * ge_propose(F, s, t, most, e):
 * Add at most `most` products, ratios and differences of two input columns of numbers.
 * Differences only where both have the same unit or one has none.  Among many columns
 * those count that trees use most.  Proposals are ranked by their gain in trees that see
 * all of them; the fewest are kept whose loss on held-out rows is within 2 % of the least.
 *
 * ge_propose_lags(F, s, t, longest, e):
 * Add, for each input column of numbers, the windows (means, slopes, spreads, means less
 * those of the group's first rows; none wider than `longest` rows) that lower the loss on
 * held-out rows by 5 %, narrow ones first; and GE_F_AGE where there is a group.
 *
 * -1 as of ge_boost_*, or GE_EFAIL without memory or when a signal came; F is then to be
 * released.  On the caller's thread alone: the rows are few.
 */
int ge_propose_bins(size_t nrows, size_t q);
int ge_propose(struct ge_features *F, const struct ge_schema *s,
    const struct ge_training *t, size_t most, struct ge_err *e);
int ge_propose_lags(struct ge_features *F, const struct ge_schema *s,
    const struct ge_training *t, uint32_t longest, struct ge_err *e);

#endif
