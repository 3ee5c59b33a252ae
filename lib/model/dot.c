#include "model/dot.h"

enum {
	LANES = 8			/* sums beside each other */
};

/* In lanes: fast without rounding in an order that the compiler chooses. */
double
ge_dot(const double *x, const double *y, size_t n)
{
	double s[LANES] = { 0 };
	size_t i, j;

	for (i = 0; i + LANES <= n; i += LANES)
		for (j = 0; j < LANES; j++)
			s[j] += x[i + j] * y[i + j];
	for (; i < n; i++)
		s[0] += x[i] * y[i];
	return (((s[0] + s[1]) + (s[2] + s[3])) +
	    ((s[4] + s[5]) + (s[6] + s[7])));
}
