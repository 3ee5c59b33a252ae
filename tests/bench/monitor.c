/*
 * What the monitor reaches on published data: Tennessee Eastman (d00.dat to learn
 * from, d00_te.dat for false alarms, dNN_te.dat with a fault from row 161 on) and
 * SKAB (each file by itself: the first 400 rows to learn from, the rest to judge).
 *
 *	monitor tep DIR | skab FILE... | speed
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/monitor.h"

enum {
	P = 52, FAULTS = 21, FROM = 160, NOMINAL = 400, SKAB = 8
};

struct table {
	double *v, *label;
	size_t n, p;
};

/*
 * What counts as the source of a fault, by number of column from 1 (XMEAS 1..41, then
 * XMV): the variable that is disturbed where it is measured, or else the
 * controlled variable and the valve next to it; after Downs and Vogel (1993), table
 * 8, and Chiang, Russell and Braatz (2001), chapter 8.
 */
static const struct {
	int fault;
	const char *what;
	int col[8];
} source[] = {
	{ 1, "A/C ratio of stream 4", { 1, 4, 23, 25, 44, 45 } },
	{ 2, "B in stream 4", { 4, 10, 24, 30, 45, 47 } },
	{ 4, "reactor cooling water inlet", { 9, 21, 51 } },
	{ 5, "condenser cooling water inlet", { 11, 22, 52 } },
	{ 6, "A feed lost", { 1, 44 } },
	{ 7, "C header pressure", { 4, 45 } },
	{ 8, "A, B, C in stream 4", { 1, 4, 23, 24, 25, 44, 45 } },
	{ 10, "C feed temperature", { 18, 19, 50 } },
	{ 11, "reactor cooling water inlet", { 9, 21, 51 } },
	{ 12, "condenser cooling water inlet", { 11, 22, 52 } },
	{ 13, "reaction kinetics", { 7, 8, 9, 21, 51 } },
	{ 14, "reactor cooling water valve", { 9, 21, 51 } }
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

static void
load(struct table *t, const char *dir, const char *name)
{
	char path[1024];
	double *v;
	size_t cap = 0, i, j;
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((fp = fopen(path, "r")) == NULL)
		die(path);
	memset(t, 0, sizeof(*t));
	t->p = P;
	for (i = 0;; i++) {
		if (i == cap && (t->v = realloc(t->v, (cap = 2 * cap + 4096) *
		    sizeof(double))) == NULL)
			die("no memory");
		if (fscanf(fp, "%lf", &t->v[i]) != 1)
			break;
	}
	fclose(fp);
	t->n = i / P;
	if (strcmp(name, "d00.dat") != 0)
		return;
	if ((v = malloc(i * sizeof(double))) == NULL)
		die("no memory");
	for (i = 0; i < t->n; i++)
		for (j = 0; j < P; j++)
			v[i * P + j] = t->v[j * t->n + i];
	free(t->v);
	t->v = v;
}

static void
name_of(char *buf, size_t len, size_t col)
{

	if (col < 41)
		snprintf(buf, len, "x%zu", col + 1);
	else
		snprintf(buf, len, "u%zu", col - 40);
}

static int
guilty(int fault, const struct ge_monitor_verdict *v)
{
	size_t i, j, k;

	for (i = 0; i < sizeof(source) / sizeof(source[0]); i++)
		for (j = 0; source[i].fault == fault && j < 8; j++)
			for (k = 0; k < 3 && k < v->ncauses; k++)
				if ((size_t)source[i].col[j] ==
				    v->cause[k].col + 1)
					return (1);
	return (0);
}

static int
documented(int fault)
{
	size_t i;

	for (i = 0; i < sizeof(source) / sizeof(source[0]); i++)
		if (source[i].fault == fault)
			return (1);
	return (0);
}

static struct ge_watch *
watch(const struct ge_monitor *m)
{
	struct ge_err e;
	struct ge_watch *w = ge_watch_new(m, &e);

	if (w == NULL)
		die(e.msg);
	return (w);
}

static void
tep(const char *dir, const char *suffix, size_t from)
{
	struct ge_monitor m;
	struct ge_monitor_opts o;
	struct ge_monitor_verdict v;
	struct ge_watch *w;
	struct ge_err e = { 0 };
	struct table t;
	char file[32], who[24];
	double t0 = now(), sum = 0;
	size_t i, hits, before, all = 0, seen, firsts = 0, tenths = 0, n = 0;
	long delay;
	int fault, at1, at10;

	load(&t, dir, "d00.dat");
	ge_monitor_opts_init(&o);
	if (ge_monitor_fit(&m, t.v, t.n, t.p, &o, &e) == -1)
		die(e.msg);
	printf("fit: %.2f s, lags %zu, hinges %d, modes %zu, ridge %g %g, "
	    "held-out %.3f %.3f, dropped %zu, limit %.3f\n", now() - t0,
	    m.lags, m.hinges, m.modes, m.ridge[0], m.ridge[1], m.held[0],
	    m.held[1], m.dropped, (double)m.bound);
	free(t.v);
	load(&t, dir, "d00_te.dat");
	w = watch(&m);
	for (hits = 0, i = 0; i < t.n; i++) {
		ge_watch_step(w, t.v + i * P, 0, &v);
		hits += (size_t)v.alarm;
	}
	ge_watch_free(w);
	w = watch(&m);
	for (t0 = now(), n = 0; now() - t0 < 0.3; n += t.n)
		for (i = 0; i < t.n; i++)
			ge_watch_step(w, t.v + i * P, 0, &v);
	printf("%.0f rows a second of processor\n", (double)n / (now() - t0));
	ge_watch_free(w);
	n = 0;
	free(t.v);
	printf("false alarms: %zu of %zu rows, %.2f %%\n", hits, i,
	    100 * (double)hits / (double)i);
	printf("fault detected delay before causes at the 1st and 10th row\n");
	for (fault = 1; fault <= FAULTS; fault++) {
		snprintf(file, sizeof(file), "d%02d%s.dat", fault, suffix);
		load(&t, dir, file);
		w = watch(&m);
		hits = before = seen = 0;
		delay = -1;
		at1 = at10 = 0;
		printf("%5d ", fault);
		char text[200] = "";
		for (i = 0; i < t.n; i++) {
			ge_watch_step(w, t.v + i * P, 0, &v);
			if (!v.alarm)
				continue;
			if (i < from) {
				before++;
				continue;
			}
			hits++;
			if (delay < 0)
				delay = (long)(i - from);
			seen++;
			if (seen == 1)
				at1 = guilty(fault, &v);
			if (seen == 10)
				at10 = guilty(fault, &v);
			if (seen == 1 || seen == 10) {
				size_t k;

				for (k = 0; k < 3 && k < v.ncauses; k++) {
					name_of(who, sizeof(who),
					    v.cause[k].col);
					snprintf(text + strlen(text),
					    sizeof(text) - strlen(text),
					    " %s:%.2f", who,
					    v.cause[k].share);
				}
				strcat(text, " |");
			}
		}
		printf("%8.3f %5ld %6zu %s%s%s\n", (double)hits /
		    (double)(t.n - from), delay, before, text,
		    documented(fault) ? at1 ? " yes" : " no" : "",
		    documented(fault) ? at10 ? " yes" : " no" : "");
		all += before;
		if (fault != 3 && fault != 9 && fault != 15) {
			sum += (double)hits / (double)(t.n - from);
			n++;
		}
		firsts += (size_t)at1;
		tenths += (size_t)at10;
		ge_watch_free(w);
		free(t.v);
	}
	printf("mean of %zu: %.4f; source found %zu and %zu of %zu; "
	    "before the fault %.2f %%\n", n, sum / (double)n, firsts, tenths,
	    sizeof(source) / sizeof(source[0]), from ? 100 * (double)all /
	    (double)(FAULTS * from) : 0);
	ge_monitor_release(&m);
}

static void
skab_load(struct table *t, const char *path)
{
	char line[512], *s;
	size_t cap = 0, j;
	double *x;
	FILE *fp;

	if ((fp = fopen(path, "r")) == NULL)
		die(path);
	memset(t, 0, sizeof(*t));
	t->p = SKAB;
	if (fgets(line, sizeof(line), fp) == NULL)
		die(path);
	while (fgets(line, sizeof(line), fp) != NULL) {
		if (t->n == cap) {
			cap = 2 * cap + 1024;
			t->v = realloc(t->v, cap * SKAB * sizeof(double));
			t->label = realloc(t->label, cap * sizeof(double));
			if (t->v == NULL || t->label == NULL)
				die("no memory");
		}
		x = t->v + t->n * SKAB;
		s = strchr(line, ';');
		for (j = 0; j < SKAB + 1; j++) {
			double d = strtod(s + 1, &s);

			if (j < SKAB)
				x[j] = d;
			else
				t->label[t->n] = d;
		}
		t->n++;
	}
	fclose(fp);
}

static void
skab(int argc, char **argv)
{
	struct ge_monitor m;
	struct ge_monitor_opts o;
	struct ge_monitor_verdict v;
	struct ge_watch *w;
	struct ge_err e = { 0 };
	struct table t;
	size_t c[2][2], all[2][2] = { { 0 } }, i;
	int a;

	ge_monitor_opts_init(&o);
	for (a = 0; a < argc; a++) {
		skab_load(&t, argv[a]);
		if (ge_monitor_fit(&m, t.v, NOMINAL, t.p, &o, &e) == -1)
			die(e.msg);
		w = watch(&m);
		memset(c, 0, sizeof(c));
		for (i = 0; i < t.n; i++) {
			ge_watch_step(w, t.v + i * t.p, 0, &v);
			if (i >= NOMINAL)
				c[t.label[i] > 0][v.alarm]++;
		}
		ge_watch_free(w);
		printf("%-8s lags %zu hinges %d modes %zu ridge %g %g: false "
		    "%.2f detected %.2f\n", strrchr(argv[a], '/') + 1, m.lags,
		    m.hinges, m.modes, m.ridge[0], m.ridge[1],
		    (double)c[0][1] / (double)(c[0][0] + c[0][1]),
		    (double)c[1][1] / (double)(c[1][0] + c[1][1]));
		for (i = 0; i < 4; i++)
			all[i / 2][i % 2] += c[i / 2][i % 2];
		ge_monitor_release(&m);
		free(t.v);
		free(t.label);
	}
	printf("F1 %.3f, false alarms %.2f %%, missed %.2f %%\n",
	    2 * (double)all[1][1] / (double)(2 * all[1][1] + all[0][1] +
	    all[1][0]), 100 * (double)all[0][1] / (double)(all[0][0] +
	    all[0][1]), 100 * (double)all[1][0] / (double)(all[1][0] +
	    all[1][1]));
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
	w = watch(&m);
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

	if (argc == 3 && strcmp(argv[1], "tep") == 0)
		tep(argv[2], "_te", FROM);
	else if (argc == 3 && strcmp(argv[1], "tep-train") == 0)
		tep(argv[2], "", 0);
	else if (argc > 2 && strcmp(argv[1], "skab") == 0)
		skab(argc - 2, argv + 2);
	else if (argc == 3 && strcmp(argv[1], "speed") == 0)
		speed(strtoul(argv[2], NULL, 10));
	else
		die("tep DIR, skab FILE... or speed ROWS");
	return (0);
}
