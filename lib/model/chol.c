#include <math.h>
#include <string.h>

#include "model/chol.h"

/* In four lanes: fast without rounding in an order that the compiler chooses. */
static double
dot(const double *x, const double *y, size_t n)
{
	double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
	size_t i;

	for (i = 0; i + 4 <= n; i += 4) {
		s0 += x[i] * y[i];
		s1 += x[i + 1] * y[i + 1];
		s2 += x[i + 2] * y[i + 2];
		s3 += x[i + 3] * y[i + 3];
	}
	for (; i < n; i++)
		s0 += x[i] * y[i];
	return ((s0 + s1) + (s2 + s3));
}

int
ge_chol(double *a, size_t n)
{
	double s;
	size_t i, j;

	for (i = 0; i < n; i++) {
		for (j = 0; j < i; j++)
			a[i * n + j] = (a[i * n + j] -
			    dot(a + i * n, a + j * n, j)) / a[j * n + j];
		s = a[i * n + i] - dot(a + i * n, a + i * n, i);
		if (!(s > 0) || !isfinite(s))
			return (-1);
		a[i * n + i] = sqrt(s);
	}
	return (0);
}

static void
forward(const double *l, size_t n, double *b, size_t from)
{
	size_t i;

	for (i = from; i < n; i++)
		b[i] = (b[i] - dot(l + i * n + from, b + from, i - from)) /
		    l[i * n + i];
}

void
ge_chol_solve(const double *l, size_t n, double *b)
{
	size_t i, j;

	forward(l, n, b, 0);
	for (i = n; i-- > 0;) {
		b[i] /= l[i * n + i];
		for (j = 0; j < i; j++)
			b[j] -= l[i * n + j] * b[i];
	}
}

/*
 * Row i of inv is first column i of the inverse of L, which is 0 before its place
 * i; the product of that matrix with its transpose is the inverse.
 */
void
ge_chol_inverse(const double *l, size_t n, double *inv, double *row)
{
	size_t i, j;

	for (i = 0; i < n; i++) {
		memset(row, 0, n * sizeof(*row));
		row[i] = 1;
		forward(l, n, row, i);
		memcpy(inv + i * n, row, n * sizeof(*row));
	}
	for (i = 0; i < n; i++) {
		memcpy(row, inv + i * n, n * sizeof(*row));
		for (j = i; j < n; j++)
			inv[i * n + j] = dot(row + j, inv + j * n + j, n - j);
	}
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			inv[i * n + j] = inv[j * n + i];
}
