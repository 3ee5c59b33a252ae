#ifndef GE_CURVE_H
#define GE_CURVE_H

#include <jansson.h>
#include <stddef.h>

#include "util/err.h"

/*
 * A function of one number by some points of it: straight lines between, level outside.
 * Numbers are as ge_digits has them.
 */
enum {
	GE_CURVE_POINTS = 1024		/* most */
};

struct ge_curve {
	size_t n;			/* 1 at least, once it is one */
	double *x, *y;			/* [n] x does not fall */
};

struct ge_curve_pool {
	double first, last;		/* x */
	double y, w;
};

/*
 * ge_curve_rising(u, b, n, edge, e):
 * The nearest that does not fall, in weighted squares, to the points b [n], first ==
 * last in each, in any order: pools of adjacent violators (Ayer et al., 1955).  y is
 * kept in edge..1 - edge.  b is overwritten.  0; -1 without memory.
 *
 * ge_curve_new(u, room, e): without points yet, room for so many; ge_curve_add(u, x, y).
 * ge_curve_at(u, x).
 * ge_curve_release(u): of what is zeroed too.
 *
 * ge_curve_json(u): [[x, y], ...].
 * ge_curve_parse(u, j, min, max, rising, e): untrusted; y within min..max, and not
 * falling if rising.  -1 GE_EREFUSED.
 */
int ge_curve_rising(struct ge_curve *u, struct ge_curve_pool *b, size_t n,
    double edge, struct ge_err *e);
int ge_curve_new(struct ge_curve *u, size_t room, struct ge_err *e);
void ge_curve_add(struct ge_curve *u, double x, double y);
double ge_curve_at(const struct ge_curve *u, double x);
void ge_curve_release(struct ge_curve *u);
json_t *ge_curve_json(const struct ge_curve *u);
int ge_curve_parse(struct ge_curve *u, const json_t *j, double min, double max,
    int rising, struct ge_err *e);

#endif
