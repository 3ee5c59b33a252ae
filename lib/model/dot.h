#ifndef GE_DOT_H
#define GE_DOT_H

#include <stddef.h>

/* ge_dot(x, y, n): the sum of products, in double, added in the same order always. */
double ge_dot(const double *x, const double *y, size_t n);

#endif
