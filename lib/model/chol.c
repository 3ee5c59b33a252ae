#include <math.h>
#include <string.h>

#include "model/chol.h"
#include "model/dot.h"

enum {
	BLOCK = 8
};

int
ge_chol(double *a, size_t n)
{
	double s;
	size_t i, j;

	for (i = 0; i < n; i++) {
		for (j = 0; j < i; j++)
			a[i * n + j] = (a[i * n + j] -
			    ge_dot(a + i * n, a + j * n, j)) / a[j * n + j];
		s = a[i * n + i] - ge_dot(a + i * n, a + i * n, i);
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
		b[i] = (b[i] - ge_dot(l + i * n + from, b + from, i - from)) /
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
			inv[i * n + j] = ge_dot(row + j,
			    inv + j * n + j, n - j);
	}
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			inv[i * n + j] = inv[j * n + i];
}

/* A row of a is read once for BLOCK rows of x. */
void
ge_chol_form(const double *a, size_t n, const double *x, size_t k, double *out)
{
	const double *row;
	size_t i, j, from, to;

	memset(out, 0, k * sizeof(*out));
	for (from = 0; from < k; from = to) {
		to = from + BLOCK < k ? from + BLOCK : k;
		for (i = 0; i < n; i++)
			for (j = from; j < to; j++) {
				if (x[j * n + i] == 0)
					continue;
				row = x + j * n;
				out[j] += row[i] * (a[i * n + i] * row[i] +
				    2 * ge_dot(a + i * n, row, i));
			}
	}
}
