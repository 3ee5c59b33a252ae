#ifndef GE_METRICS_H
#define GE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * How good predictions are, row by row weighted.  The definitions are those of
 * scikit-learn, against whose numbers tests/unit/metrics.c holds these.
 */

/* Classes. */
enum ge_class_score {
	GE_SCORE_LOGLOSS,		/* nats; probabilities at least 2^-52 */
	GE_SCORE_BRIER,			/* of two classes: of the positive one;
					   of more: summed (Brier, 1950) */
	GE_SCORE_ACCURACY,
	GE_SCORE_PRECISION,		/* of two classes: of the positive one; */
	GE_SCORE_RECALL,		/* of more: the mean over those that */
	GE_SCORE_F1,			/* occur in y or are predicted */
	GE_SCORE_AUC,			/* area under the ROC curve (Fawcett,
					   2006); of more: each against the rest,
					   mean over those in y */
	GE_SCORE_AP,			/* average precision, likewise */
	GE_SCORE_ECE,			/* expected calibration error, 15 bins
					   (Guo et al., 2017): of the positive
					   class, or of the most probable */
	GE_CLASS_SCORES
};

struct ge_judge_classes {
	size_t k;			/* classes, 2 or more */
	size_t positive;		/* of two */
	const double *p;		/* [..][k] probabilities */
	const double *y;		/* [..] the class, 0..k-1 */
	const float *w;		/* [..] weights, or NULL */
	const uint32_t *said;		/* [..] class predicted; NULL: the most
					   probable, the first of equals */
	const uint32_t *row;		/* [n] rows looked at; NULL: 0..n-1 */
	size_t n;
};

/* Numbers. */
enum ge_number_score {
	GE_SCORE_RMSE,
	GE_SCORE_MAE,
	GE_SCORE_R2,			/* NaN if y is constant */
	GE_SCORE_NASA,			/* what is late costs more (Saxena et al.,
					   2008), summed */
	GE_NUMBER_SCORES
};

struct ge_judge_numbers {
	const double *p, *y;		/* [..] predicted, true */
	const float *w;		/* [..] weights, or NULL */
	const uint32_t *row;		/* [n] or NULL */
	size_t n;
};

/* Their names in reports: "logloss", "f1", "rmse", ... */
extern const char *const ge_class_score_name[GE_CLASS_SCORES];
extern const char *const ge_number_score_name[GE_NUMBER_SCORES];

/*
 * ge_judge_classes(j, out, e), ge_judge_numbers(j, out):
 * All scores; NaN where one has no meaning (no rows, one class only).  -1 without
 * memory: 16 bytes a row.
 */
int ge_judge_classes(const struct ge_judge_classes *j,
    double out[GE_CLASS_SCORES], struct ge_err *e);
void ge_judge_numbers(const struct ge_judge_numbers *j,
    double out[GE_NUMBER_SCORES]);

#endif
