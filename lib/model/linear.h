#ifndef GE_LINEAR_H
#define GE_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/pool.h"

/*
 * What trees have to beat: ridge regression (Hoerl and Kennard, 1970) of a number, or
 * multinomial logistic regression of classes, on standardised inputs.  A category is
 * one input of 0 or 1 a word; what is missing is the mean, and an input more tells
 * so.  The same whatever the number of threads.
 */
enum {
	GE_LINEAR_WIDTH = 512		/* most inputs made of columns; what is
					   behind is left out */
};

struct ge_linear_opts {
	size_t classes;			/* 0: a number; else 2 or more */
	double ridge;			/* on standardised inputs: half of it times
					   the squares; 1 */
	struct ge_pool *pool;		/* or NULL */
};

struct ge_linear_data {
	const float *x;			/* [..][q] NaN: missing */
	size_t q;
	const uint32_t *words;		/* [q] 0: a number; else words, and x is
					   0..words-1; NULL: all numbers */
	const double *y;		/* [..] the class or the number */
	const float *w;		/* [..] weights, or NULL */
	const uint32_t *row;		/* [n] rows learnt from; NULL: 0..n-1 */
	size_t n;
};

struct ge_linear;

/*
 * ge_linear_new(o, d, e): NULL without memory, or if the hook stops it.  ge_linear_free.
 *
 * ge_linear_predict(l, x, out): x [q] of a row; out: the number, or [classes]
 * probabilities.  Thread-safe.
 */
struct ge_linear *ge_linear_new(const struct ge_linear_opts *o,
    const struct ge_linear_data *d, struct ge_err *e);
void ge_linear_free(struct ge_linear *l);
void ge_linear_predict(const struct ge_linear *l, const float *x, double *out);

#endif
