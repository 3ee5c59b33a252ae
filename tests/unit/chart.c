/*
 * lib/model/eigen.c and chart.c: on matrices and processes whose truth is known.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/chart.h"
#include "model/eigen.h"
#include "util/mem.h"

#define UNIT "chart"
#include "check.h"

enum {
	MOST = 60, P = 6, N = 2000
};

static double a[MOST * MOST], b[MOST * MOST], z[MOST * MOST], value[MOST],
    off[MOST], rows[4 * N * P];

static double
normal(void)
{
	double s = 0;
	int i;

	for (i = 0; i < 12; i++)
		s += draw_part();
	return (s - 6);
}

/* The worst of A z = value z and of z z' = 1, of b, which is left alone. */
static double
wrong(size_t n)
{
	double worst = 0, s;
	size_t i, j, k;

	memcpy(a, b, sizeof(a));
	if (ge_eigen(a, n, value, z, off) == -1)
		return (INFINITY);
	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++) {
			for (s = 0, k = 0; k < n; k++)
				s += b[j * n + k] * z[i * n + k];
			worst = fmax(worst, fabs(s - value[i] * z[i * n + j]));
			for (s = 0, k = 0; k < n; k++)
				s += z[i * n + k] * z[j * n + k];
			worst = fmax(worst, fabs(s - (i == j)));
		}
	for (i = 1; i < n; i++)
		if (value[i] > value[i - 1])
			return (INFINITY);
	return (worst);
}

static void
by_hand(void)
{
	const double m[9] = { 2, 1, 0, 1, 2, 0, 0, 0, 5 };

	memcpy(b, m, sizeof(m));
	check(wrong(3) < 1e-14 && fabs(value[0] - 5) < 1e-14 &&
	    fabs(value[1] - 3) < 1e-14 && fabs(value[2] - 1) < 1e-14,
	    "eigenvalues of a matrix by hand: 5, 3, 1");
	b[0] = -7;
	check(wrong(1) < 1e-15 && fabs(value[0] + 7) < 1e-15, "one number");
	memset(b, 0, sizeof(b));
	check(wrong(9) < 1e-15 && fabs(value[8]) < 1e-15, "nothing at all");
	b[0] = b[10] = b[20] = 4;
	check(wrong(9) < 1e-15 && fabs(value[2] - 4) < 1e-15,
	    "equal ones");
	b[1] = b[9] = NAN;
	memcpy(a, b, sizeof(a));
	check(ge_eigen(a, 9, value, z, off) == -1, "NaN is told");
}

/* Sum and sum of squares of eigenvalues are trace and sum of squares of A. */
static void
at_random(void)
{
	double worst = 0, trace, square, sum, sums;
	size_t i, j, n;

	for (n = 2; n <= MOST; n += 1 + n / 4) {
		trace = square = sum = sums = 0;
		for (i = 0; i < n; i++)
			for (j = 0; j <= i; j++)
				b[i * n + j] = b[j * n + i] = normal();
		for (i = 0; i < n; i++) {
			trace += b[i * n + i];
			for (j = 0; j < n; j++)
				square += b[i * n + j] * b[i * n + j];
		}
		worst = fmax(worst, wrong(n));
		for (i = 0; i < n; i++) {
			sum += value[i];
			sums += value[i] * value[i];
		}
		worst = fmax(worst, fabs(sum - trace));
		worst = fmax(worst, fabs(sums - square) / square);
	}
	printf("# worst %.2g\n", worst);
	check(worst < 1e-12, "vectors, trace and squares of random matrices");
}

/* Two causes, three variables each, and little noise. */
static void
process(double *x, size_t n)
{
	double f = 0, g = 0;
	size_t i, j;

	for (i = 0; i < n; i++) {
		f = 0.7 * f + normal();
		g = 0.4 * g + normal();
		for (j = 0; j < P; j++)
			x[i * P + j] = 100 + (j < 3 ? f : g) + 0.2 * normal();
	}
}

static size_t
alarms(const struct ge_chart *c, const double *x, size_t n)
{
	struct ge_err e;
	struct ge_watch *w = ge_chart_watch(c, &e);
	size_t i, all = 0;

	for (i = 0; i < n; i++)
		all += (size_t)ge_chart_step(c, w, x + i * P, i == 0);
	ge_watch_free(w);
	return (all);
}

static int
fit(struct ge_chart *c, enum ge_chart_kind kind, size_t lags, int jobs)
{
	struct ge_monitor_opts o;
	struct ge_err e = { 0 };

	ge_monitor_opts_init(&o);
	o.jobs = jobs;
	if (ge_chart_fit(c, kind, lags, rows, N, P, &o, &e) == 0)
		return (0);
	printf("# %s\n", e.msg);
	return (e.code);
}

/* A sensor that leaves its companions, but not the range in which it always is. */
static void
faults(void)
{
	static const struct {
		enum ge_chart_kind kind;
		size_t lags;
		int sees;
	} t[] = {
		{ GE_CHART_EACH, 0, 0 },
		{ GE_CHART_COMPONENTS, 0, 1 },
		{ GE_CHART_COMPONENTS, 2, 1 }
	};
	static double x[N * P];
	struct ge_chart c, d;
	size_t i, k, false_ones, right;

	process(rows, 4 * N);
	memcpy(x, rows + N * P, sizeof(x));
	for (i = 0; i < N; i++)
		x[i * P + 1] = 200 - x[i * P + 1];
	for (k = 0; k < 3; k++) {
		if (fit(&c, t[k].kind, t[k].lags, 1) != 0 ||
		    fit(&d, t[k].kind, t[k].lags, 3) != 0) {
			check(0, "a chart");
			return;
		}
		false_ones = alarms(&c, rows + N * P, 3 * N);
		right = alarms(&c, x, N);
		printf("# kind %zu: %zu of %d false, %zu of %d found, %zu of "
		    "%zu components\n", k, false_ones, 3 * N, right, N, c.k,
		    c.q);
		check(false_ones <= 3 * 3 * N / 1000,
		    "not many more false alarms than stated");
		check(t[k].sees ? right > N / 4 : right < N / 50,
		    "a broken relation, seen by who looks at relations");
		check(c.kind == GE_CHART_EACH || (c.k >= 2 &&
		    c.k < c.q / 2 + 1), "as many components as there are");
		check(!(c.bound > d.bound) && !(c.bound < d.bound) &&
		    memcmp(c.limit, d.limit, sizeof(c.limit)) == 0,
		    "the same on three threads");
		ge_chart_release(&c);
		ge_chart_release(&d);
	}
}

static void
refused(void)
{
	struct ge_monitor_opts o;
	struct ge_chart c;
	struct ge_err e = { 0 };

	ge_monitor_opts_init(&o);
	check(ge_chart_fit(&c, GE_CHART_COMPONENTS, 2, rows, 20, 300, &o,
	    &e) == -1 && e.code == GE_EUSAGE, "too many variables");
}

/* In a process of its own, before the first allocation of this one. */
static int
starve(const char *i)
{
	struct ge_monitor_opts o;
	struct ge_chart c;
	struct ge_err e = { 0 };

	setenv("GE_FAILALLOC", i, 1);
	ge_monitor_opts_init(&o);
	if (ge_chart_fit(&c, GE_CHART_COMPONENTS, 1, rows, 300, P, &o, &e) ==
	    0)
		e.code = 0;
	ge_chart_release(&c);
	return (e.code);
}

static void
starved(void)
{
	char number[24];
	int i, status, seen = 0, good = 1;

	process(rows, 300);
	for (i = 1; i < 300 && good; i++) {
		fflush(stdout);
		snprintf(number, sizeof(number), "%d", i);
		switch (fork()) {
		case -1:
			good = 0;
			continue;
		case 0:
			_exit(starve(number));
		}
		if (wait(&status) == -1 || !WIFEXITED(status))
			good = 0;
		else if (WEXITSTATUS(status) == GE_EFAIL)
			seen++;
		else if (WEXITSTATUS(status) != 0)
			good = 0;
	}
	printf("# %d allocations\n", seen);
	check(good && seen > 50 && seen < 299, "each allocation may fail");
}

int
main(void)
{

	starved();
	by_hand();
	at_random();
	faults();
	refused();
	return (bad);
}
