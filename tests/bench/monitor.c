/*
 * How fast a monitor learns and watches: monitor ROWS, of 52 variables.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model/monitor.h"

enum {
	P = 52
};

static void
die(const char *what)
{

	fprintf(stderr, "monitor: %s\n", what);
	exit(1);
}

/* Seconds of processor: other work on the machine does not count. */
static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec * 1e-9);
}

static double
gauss(void)
{
	static uint64_t x = 88172645463325252u;
	double s = 0;
	int i;

	for (i = 0; i < 12; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		s += (double)(x >> 11) / 9007199254740992.0;
	}
	return (s - 6);
}

static void
speed(size_t n)
{
	struct ge_monitor m;
	struct ge_monitor_opts o;
	struct ge_monitor_verdict v;
	struct ge_watch *w;
	struct ge_err e = { 0 };
	double *x, f[6] = { 0 }, t0;
	size_t i, j, hits = 0, again = 0;

	if ((x = malloc(n * P * sizeof(double))) == NULL)
		die("no memory");
	for (i = 0; i < n; i++) {
		for (j = 0; j < 6; j++)
			f[j] = 0.9 * f[j] + gauss();
		for (j = 0; j < P; j++)
			x[i * P + j] = f[j % 6] * (1 + (double)j / P) +
			    gauss();
	}
	ge_monitor_opts_init(&o);
	t0 = now();
	if (ge_monitor_fit(&m, x, n, P, &o, &e) == -1)
		die(e.msg);
	printf("fit %zu x %d: %.2f s; lags %zu hinges %d width %zu\n", n, P,
	    now() - t0, m.lags, m.hinges, m.width);
	if ((w = ge_watch_new(&m, &e)) == NULL)
		die(e.msg);
	t0 = now();
	do {
		for (i = 0; i < n; i++) {
			ge_watch_step(w, x + i * P, 0, &v);
			hits += (size_t)v.alarm;
		}
		again += n;
	} while (now() - t0 < 1);
	printf("%.0f rows a second of processor; alarms %.5f\n", (double)again /
	    (now() - t0), (double)hits / (double)again);
	ge_watch_free(w);
	ge_monitor_release(&m);
	free(x);
}

int
main(int argc, char **argv)
{

	if (argc != 2)
		die("how many rows?");
	speed(strtoul(argv[1], NULL, 10));
	return (0);
}
