#include <math.h>
#include <string.h>

#include "model/dot.h"
#include "model/eigen.h"

enum {
	STEPS = 60			/* for a value, at most */
};

static void
add(double *x, const double *y, size_t n, double by)
{
	size_t i;

	for (i = 0; i < n; i++)
		x[i] += by * y[i];
}

/*
 * Mirror rows and columns behind k so that of column k only what is next to the
 * diagonal stays, *off; its normal v is left in row k, scaled so that the mirror is
 * 1 - v v'.  w is scratch.
 */
static void
mirror(double *a, size_t n, size_t k, double *w, double *off)
{
	const size_t len = n - k - 1;
	double *v = a + k * n + k + 1, norm = sqrt(ge_dot(v, v, len)), half;
	double first = v[0];
	size_t i;

	*off = first > 0 ? -norm : norm;
	if (!(norm > 0)) {
		memset(v, 0, len * sizeof(*v));
		return;
	}
	v[0] -= *off;
	half = 1 / sqrt(norm * (norm + fabs(first)));
	for (i = 0; i < len; i++)
		v[i] *= half;
	for (i = 0; i < len; i++)
		w[i] = ge_dot(a + (k + 1 + i) * n + k + 1, v, len);
	add(w, v, len, -ge_dot(w, v, len) / 2);
	for (i = 0; i < len; i++) {
		add(a + (k + 1 + i) * n + k + 1, v, len, -w[i]);
		add(a + (k + 1 + i) * n + k + 1, w, len, -v[i]);
	}
}

/* To three diagonals, d [n] and off [n - 1], by z. */
static void
reduce(double *a, size_t n, double *d, double *off, double *z)
{
	const double *v;
	size_t k, i;

	for (k = 0; k + 1 < n; k++)
		mirror(a, n, k, d, off + k);
	memset(z, 0, n * n * sizeof(*z));
	for (k = 0; k < n; k++) {
		z[k * n + k] = 1;
		d[k] = a[k * n + k];
	}
	for (k = n - 1; k-- > 0;)
		for (v = a + k * n + k + 1, i = k + 1; i < n; i++)
			add(z + i * n + k + 1, v, n - k - 1,
			    -ge_dot(z + i * n + k + 1, v, n - k - 1));
}

static void
turn(double *x, double *y, size_t n, double c, double s)
{
	double t;
	size_t i;

	for (i = 0; i < n; i++) {
		t = x[i];
		x[i] = c * t + s * y[i];
		y[i] = c * y[i] - s * t;
	}
}

/* The eigenvalue of the last two rows of lo..hi that is closer to the last one. */
static double
shift(const double *d, const double *off, size_t hi)
{
	double half = (d[hi - 1] - d[hi]) / 2, e = off[hi - 1];

	return (d[hi] - e * e / (half + copysign(hypot(half, e), half)));
}

static void
step(double *d, double *off, size_t lo, size_t hi, double *z, size_t n)
{
	double x = d[lo] - shift(d, off, hi), y = off[lo], r, c, s, a, b, e;
	size_t k;

	for (k = lo; k < hi; k++) {
		r = hypot(x, y);
		c = r > 0 ? x / r : 1;
		s = r > 0 ? y / r : 0;
		if (k > lo)
			off[k - 1] = r;
		a = d[k];
		b = d[k + 1];
		e = off[k];
		d[k] = c * c * a + 2 * c * s * e + s * s * b;
		d[k + 1] = s * s * a - 2 * c * s * e + c * c * b;
		off[k] = c * s * (b - a) + (c * c - s * s) * e;
		if (k + 1 < hi) {
			x = off[k];
			y = s * off[k + 1];
			off[k + 1] *= c;
		}
		turn(z + k * n, z + (k + 1) * n, n, c, s);
	}
}

static int
small(const double *d, const double *off, size_t k)
{

	return (fabs(off[k]) <= 1e-15 * (fabs(d[k]) + fabs(d[k + 1])) ||
	    fabs(off[k]) < 1e-290);
}

static void
sort(double *d, double *z, size_t n)
{
	double t;
	size_t i, j, top;

	for (i = 0; i < n; i++) {
		for (top = i, j = i + 1; j < n; j++)
			if (d[j] > d[top])
				top = j;
		if (top == i)
			continue;
		t = d[i];
		d[i] = d[top];
		d[top] = t;
		turn(z + i * n, z + top * n, n, 0, 1);
	}
}

int
ge_eigen(double *a, size_t n, double *value, double *z, double *off)
{
	size_t hi, lo, left = STEPS * n;

	reduce(a, n, value, off, z);
	if (!isfinite(ge_dot(value, value, n)))
		return (-1);
	for (hi = n - 1; hi > 0;) {
		if (small(value, off, hi - 1)) {
			hi--;
			continue;
		}
		if (left-- == 0)
			return (-1);
		for (lo = hi - 1; lo > 0 && !small(value, off, lo - 1); lo--)
			;
		step(value, off, lo, hi, z, n);
	}
	sort(value, z, n);
	return (0);
}
