#ifndef GE_CONFORMAL_H
#define GE_CONFORMAL_H

#include <jansson.h>
#include <stddef.h>

#include "model/calibrate.h"
#include "util/err.h"

/*
 * Sets and intervals that hold the truth as often as asked, if rows to come are like
 * those learnt from (Vovk, Gammerman and Shafer, 2005).  From predictions of rows by
 * models of other folds, and used with the model of all rows: cross-conformal in the
 * simple way, of which Barber et al. (2021) tell when it is exact.
 *
 * Classes: each class whose score is at least that class's own limit, so that each is
 * covered as often as asked, the rare one too (least ambiguous sets with class-specific
 * coverage: Sadinle, Lei and Wasserman, 2019; label-conditional in Vovk's words).
 * Chosen before adaptive sets (Romano, Sesia and Candes, 2020), which are larger and
 * hold exactly what is asked only if drawn by lot.  A set may be empty: a row like none
 * of a class.  Scores are margins before calibration, whose curves make equal what
 * differs; those of each fold are taken in the mean scale of all.
 *
 * Numbers: the prediction and as much on both sides, times a spread that may change with
 * the prediction where that makes intervals better (Lei et al., 2018).
 */
enum ge_conformal_kind {
	GE_CONFORMAL_NONE,
	GE_CONFORMAL_SETS,
	GE_CONFORMAL_INTERVAL
};

struct ge_conformal {
	enum ge_conformal_kind kind;
	double coverage;		/* 0 < coverage < 1 */
	size_t k;			/* classes */
	double *least;			/* [k] of the score; -INFINITY: too few rows
					   of the class, it is in every set */
	double radius;			/* INFINITY: too few rows */
	struct ge_curve spread;		/* by prediction; n == 0: 1 */
};

/* How often it held, and how much: classes in a set, or width of an interval. */
struct ge_conformal_held {
	double coverage, size;
};

/*
 * ge_conformal_sets(c, coverage, m, held, e):
 * ge_conformal_interval(c, coverage, p, y, fold, n, held, e):
 * Learn from rows; weights are not looked at, since what is to be held often is a row to
 * come, and of those no weight is known.  fold as in ge_margins.  held, if not
 * NULL: each fold with limits from the others.  0; -1 without memory.
 *
 * ge_conformal_in(c, margin, in): in [k], 1 for each class of the set; its size.
 * ge_conformal_bounds(c, p, low, high): of a prediction; may be infinite.
 */
int ge_conformal_sets(struct ge_conformal *c, double coverage,
    const struct ge_margins *m, struct ge_conformal_held *held,
    struct ge_err *e);
int ge_conformal_interval(struct ge_conformal *c, double coverage,
    const double *p, const double *y, const uint32_t *fold, size_t n,
    struct ge_conformal_held *held, struct ge_err *e);
size_t ge_conformal_in(const struct ge_conformal *c, const float *margin,
    unsigned char *in);
void ge_conformal_bounds(const struct ge_conformal *c, double p, double *low,
    double *high);
void ge_conformal_release(struct ge_conformal *c);

/*
 * The member "conformal": {"coverage", "least": [number or null, ...]} or
 * {"coverage", "radius": number or null, "spread": [[x, s], ...]}.
 *
 * ge_conformal_parse(c, j, k, e): untrusted; k classes, 0 for numbers; NULL and
 * null are none.
 */
json_t *ge_conformal_json(const struct ge_conformal *c);
int ge_conformal_parse(struct ge_conformal *c, const json_t *j, size_t k,
    struct ge_err *e);

#endif
