#ifndef GE_CALIBRATE_H
#define GE_CALIBRATE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "model/curve.h"
#include "util/err.h"

/*
 * Probabilities that come true, from the margins of a model: learnt from rows that
 * the model did not see, every one by the model of another fold.
 */
enum {
	GE_CLASSES = 1024		/* most */
};

/* Margins of rows, one of two classes (log odds of the second), else one a class. */
struct ge_margins {
	size_t n, k;			/* rows; classes, 2 or more */
	const float *margin;		/* [n][k == 2 ? 1 : k] */
	const double *y;		/* [n] the class, 0..k-1 */
	const float *w;		/* [n] weights, or NULL */
	const uint32_t *fold;		/* [n] any numbers; NULL: every fifth row */
};

enum ge_calibration_kind {
	GE_CALIBRATION_NONE,		/* the logistic function or softmax alone */
	GE_CALIBRATION_SIGMOID,		/* slope and shift (Platt, 1999; Lin,
					   Lin and Weng, 2007); two classes */
	GE_CALIBRATION_TEMPERATURE,	/* slope (Guo et al., 2017); more than two */
	GE_CALIBRATION_ISOTONIC		/* a rising curve (Zadrozny and Elkan,
					   2002); of more than two classes one
					   each of its probability, then divided
					   by their sum */
};

struct ge_calibration {
	enum ge_calibration_kind kind;
	size_t k;
	double slope, shift;
	struct ge_curve *curve;		/* [k == 2 ? 1 : k], or NULL */
};

/*
 * ge_calibration_fit(c, m, e):
 * The kind with the least log loss on folds that it is not learnt from; the simpler one
 * of equals.  The kind is chosen on all rows, so what is then told of them by
 * ge_calibration_as on other folds is too good by what choosing one of three kinds may
 * gain.  Rising always.  0; -1 without memory.
 *
 * ge_calibration_as(c, kind, m, e): that kind.  1 if it is one; 0 if it is not to be had
 * of these rows, c is then of kind none.
 *
 * ge_calibration_apply(c, margin, p): p [k] from the margins of a row; sums to 1.
 */
int ge_calibration_fit(struct ge_calibration *c, const struct ge_margins *m,
    struct ge_err *e);
int ge_calibration_as(struct ge_calibration *c, enum ge_calibration_kind kind,
    const struct ge_margins *m, struct ge_err *e);
void ge_calibration_apply(const struct ge_calibration *c, const float *margin,
    double *p);
void ge_calibration_release(struct ge_calibration *c);

/*
 * The member "calibration" of schema.json: {"kind": "none", "sigmoid",
 * "temperature" or "isotonic", "slope", "shift", "curves": [[[x, y], ...], ...]}.
 *
 * ge_calibration_parse(c, j, k, e): untrusted; NULL and null are none.  -1 GE_EREFUSED
 * when a number is not what it can be, or a curve falls.
 */
json_t *ge_calibration_json(const struct ge_calibration *c);
int ge_calibration_parse(struct ge_calibration *c, const json_t *j, size_t k,
    struct ge_err *e);

#endif
