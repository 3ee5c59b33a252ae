/*
 * lib/model/monitor*.c and chol.c: on processes whose truth is known.
 */
#define _DEFAULT_SOURCE			/* mkdtemp */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/chol.h"
#include "model/monitor.h"
#include "util/mem.h"

enum {
	P = 6, N = 1500, MORE = 6000
};

static double rows[N * P], more[MORE * P];
static int bad;

static void
check(int good, const char *name)
{

	printf("%s monitor: %s\n", good ? "ok" : "not ok", name);
	bad |= !good;
}

static uint64_t seed;

static double
uniform(void)
{

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((double)(seed >> 11) / 9007199254740992.0);
}

static double
normal(void)
{
	double s = 0;
	int i;

	for (i = 0; i < 12; i++)
		s += uniform();
	return (s - 6);
}

/* Two slow causes, three variables each, and noise; far from 0. */
static void
process(double *x, size_t n, uint64_t start)
{
	double f = 0, g = 0;
	size_t i, j;

	seed = start;
	for (i = 0; i < n; i++) {
		f = 0.8 * f + normal();
		g = 0.5 * g + normal();
		for (j = 0; j < P; j++)
			x[i * P + j] = 1000 + (j < 3 ? f : g) *
			    (1 + 0.2 * (double)j) + 0.3 * normal();
	}
}

static int
learn(struct ge_monitor *m, const double *x, size_t n, size_t p)
{
	struct ge_monitor_opts o;
	struct ge_err e = { 0 };

	ge_monitor_opts_init(&o);
	if (ge_monitor_fit(m, x, n, p, &o, &e) == 0)
		return (0);
	printf("# %s\n", e.msg);
	return (e.code);
}

struct count {
	size_t alarms, first, cause[P];
	uint64_t hash;
};

static uint64_t
hash(uint64_t h, const void *buf, size_t len)
{
	const unsigned char *b = buf;

	while (len-- > 0)
		h = (h ^ *b++) * 0x100000001b3u;
	return (h);
}

static void
note(struct count *c, const struct ge_monitor_verdict *v, size_t i)
{
	size_t k;

	c->hash = hash(c->hash, &v->score, sizeof(v->score));
	for (k = 0; k < v->ncauses; k++)
		c->hash = hash(c->hash, &v->cause[k].share, sizeof(double));
	if (!v->alarm)
		return;
	if (c->alarms++ == 0)
		c->first = i;
	c->cause[v->cause[0].col]++;
}

static struct count
look(const struct ge_monitor *m, const double *x, size_t n)
{
	struct count c = { 0 };
	struct ge_monitor_verdict v;
	struct ge_err e;
	struct ge_watch *w = ge_watch_new(m, &e);
	size_t i;

	for (i = 0; i < n; i++) {
		ge_watch_step(w, x + i * m->p, 0, &v);
		note(&c, &v, i);
	}
	ge_watch_free(w);
	return (c);
}

static void
chol(void)
{
	enum { K = 23 };
	double a[K * K], l[K * K], inv[K * K], b[K], row[K], s, worst = 0;
	size_t i, j, k;

	seed = 5;
	for (i = 0; i < K; i++)
		for (j = 0; j <= i; j++)
			a[i * K + j] = a[j * K + i] = normal() +
			    (i == j ? 30 : 0);
	memcpy(l, a, sizeof(a));
	check(ge_chol(l, K) == 0, "a factor");
	ge_chol_inverse(l, K, inv, row);
	for (i = 0; i < K; i++)
		for (j = 0; j < K; j++) {
			for (s = 0, k = 0; k < K; k++)
				s += a[i * K + k] * inv[k * K + j];
			worst = fmax(worst, fabs(s - (i == j)));
		}
	check(worst < 1e-13, "A times its inverse is one");
	for (i = 0; i < K; i++)
		for (b[i] = 0, j = 0; j < K; j++)
			b[i] += a[i * K + j] * (double)(j + 1);
	ge_chol_solve(l, K, b);
	for (worst = 0, i = 0; i < K; i++)
		worst = fmax(worst, fabs(b[i] - (double)(i + 1)));
	check(worst < 1e-12, "A x = b gives x again");
	memcpy(l, a, sizeof(a));
	l[K * 7 + 7] = -1;
	check(ge_chol(l, K) == -1, "what is not positive definite is told");
	memcpy(l, a, sizeof(a));
	l[0] = NAN;
	check(ge_chol(l, K) == -1, "nor is NaN");
}

/* x0 = x1 + noise, x2 alone: coefficients from normal equations by hand. */
static void
coefficients(void)
{
	struct ge_monitor m;
	struct ge_monitor_opts o;
	struct ge_err e = { 0 };
	double x[400 * 3], z[3], g[3][4] = { { 0 } }, q, want1, want2, got1,
	    got2;
	size_t i, j, k;

	seed = 77;
	for (i = 0; i < 400; i++) {
		x[i * 3 + 1] = normal();
		x[i * 3 + 2] = normal();
		x[i * 3] = x[i * 3 + 1] + 0.5 * normal();
	}
	ge_monitor_opts_init(&o);
	o.lags = 0;
	o.hinges = 0;
	o.modes = 1;
	if (ge_monitor_fit(&m, x, 400, 3, &o, &e) == -1) {
		check(0, e.msg);
		return;
	}
	/* x0 by x1, x2 and 1: unknowns in this order */
	for (i = 0; i < 400; i++) {
		for (j = 0; j < 3; j++) {
			z[j] = (x[i * 3 + j] - (double)m.centre[j] -
			    (double)m.centre[3 + j]) * (double)m.inverse[j];
			z[j] = fmin(fmax(z[j], -6), 6);
		}
		q = z[0];
		z[0] = z[1];
		z[1] = z[2];
		z[2] = 1;
		for (j = 0; j < 3; j++) {
			for (k = 0; k < 3; k++)
				g[j][k] += z[j] * z[k] / 400;
			g[j][3] += z[j] * q / 400;
		}
	}
	g[0][0] += m.ridge[0];
	g[1][1] += m.ridge[0];
	g[2][2] += 1e-6;
	for (i = 0; i < 3; i++)
		for (j = 0; j < 3; j++) {
			if (j == i)
				continue;
			q = g[j][i] / g[i][i];
			for (k = 0; k < 4; k++)
				g[j][k] -= q * g[i][k];
		}
	want1 = g[0][3] / g[0][0];
	want2 = g[1][3] / g[1][1];
	got1 = -(double)(m.relation[1] / m.relation[0]);
	got2 = -(double)(m.relation[2] / m.relation[0]);
	check(fabs(got1 - want1) < 1e-5 && fabs(got2 - want2) < 1e-5,
	    "coefficients as of the normal equations");
	check(want1 > 0.7 && fabs(want2) < 0.1, "and as the truth is");
	ge_monitor_release(&m);
}

static void
faults(const struct ge_monitor *m)
{
	static double x[2000 * P];
	struct count c;
	double drift;
	size_t i;

	process(more, MORE, 99);
	memcpy(x, more, sizeof(x));
	for (i = 1000; i < 2000; i++)
		x[i * P + 4] += 2;
	c = look(m, x, 2000);
	printf("# bias: %zu from %zu, %zu blame it\n", c.alarms, c.first,
	    c.cause[4]);
	check(c.first >= 1000 && c.first < 1015 && c.alarms > 900 &&
	    c.cause[4] > 900, "a biased sensor is seen, stays seen, and named");

	memcpy(x, more, sizeof(x));
	for (i = 1000; i < 2000; i++) {
		drift = 3 * (double)(i - 1000) / 1000;
		x[i * P + 1] += drift;
	}
	c = look(m, x, 2000);
	printf("# drift: %zu from %zu, %zu blame it\n", c.alarms, c.first,
	    c.cause[1]);
	check(c.first >= 1000 && c.first < 1450 && c.alarms > 550 &&
	    c.cause[1] * 10 > c.alarms * 9, "a slow drift");

	memcpy(x, more, sizeof(x));
	for (i = 1000; i < 2000; i++)
		x[i * P + 2] += 1.5 * normal();
	c = look(m, x, 2000);
	printf("# noise: %zu from %zu, %zu blame it\n", c.alarms, c.first,
	    c.cause[2]);
	check(c.first >= 1000 && c.first < 1020 && c.alarms > 900 &&
	    c.cause[2] * 10 > c.alarms * 9, "a noisy sensor");

	memcpy(x, more, sizeof(x));
	for (i = 1000; i < 2000; i++)
		x[i * P] = x[1000 * P];
	c = look(m, x, 2000);
	printf("# stuck: %zu from %zu, %zu blame it\n", c.alarms, c.first,
	    c.cause[0]);
	check(c.first >= 1000 && c.first < 1050 && c.alarms > 700 &&
	    c.cause[0] * 10 > c.alarms * 7, "a sensor that is stuck");

	memcpy(x, more, sizeof(x));
	for (i = 1000; i < 2000; i += 97)
		x[i * P + 3] += 500;
	c = look(m, x, 2000);
	printf("# outliers: %zu alarms, %zu without\n", c.alarms,
	    look(m, more, 2000).alarms);
	check(c.alarms <= look(m, more, 2000).alarms + 5,
	    "outliers one by one are no alarm");

	memcpy(x, more, sizeof(x));
	for (i = 0; i < 2000; i += 3)
		x[i * P + i % P] = NAN;
	for (i = 500; i < 1000; i++)
		x[i * P + 5] = i % 2 ? INFINITY : NAN;
	c = look(m, x, 2000);
	printf("# gaps: %zu alarms\n", c.alarms);
	check(c.alarms < 100, "missing values are no alarm by themselves");
	x[1 * P] = 1e308;
	x[2 * P] = -1e308;
	c = look(m, x, 2000);
	check(c.hash != 0, "the largest numbers pass");
}

/* Of one model chance decides; of many together the stated rate holds. */
static void
stated(void)
{
	struct ge_monitor m;
	size_t alarms = 0, i;

	for (i = 0; i < 8; i++) {
		process(rows, N, 200 + i);
		process(more, MORE, 300 + i);
		if (learn(&m, rows, N, P) != 0)
			return;
		alarms += look(&m, more, MORE).alarms;
		ge_monitor_release(&m);
	}
	printf("# %zu false alarms of %d\n", alarms, 8 * MORE);
	check(alarms > 0 && alarms <= 3 * 8 * MORE / 1000,
	    "about as many false alarms as stated");
	process(rows, N, 1);
}

/* One variable after the other by itself, each with so much memory. */
static void
alone(double *x, size_t n, size_t p, double memory, uint64_t start)
{
	double now[P] = { 0 };
	size_t i, j;

	seed = 88172645463325252u ^ start * 0x9e3779b97f4a7c15u;
	for (i = 0; i < n + 100; i++)
		for (j = 0; j < p; j++) {
			now[j] = memory * now[j] +
			    sqrt(1 - memory * memory) * normal();
			if (i >= 100)
				x[(i - 100) * p + j] = now[j];
		}
}

/* Mean rate of false alarms over many short tables, over the stated one. */
static double
excess(size_t n, size_t p, double memory)
{
	enum { TABLES = 40, LOOK = 2000 };
	struct ge_monitor m;
	size_t i, alarms = 0, looked = 0;

	for (i = 1; i <= TABLES; i++) {
		alone(more, n + LOOK, p, memory, i);
		if (learn(&m, more, n, p) != 0)
			continue;
		alarms += look(&m, more + n * p, LOOK).alarms;
		looked += LOOK;
		ge_monitor_release(&m);
	}
	printf("# %zu rows, %zu columns, memory %g: %.2f times\n", n, p,
	    memory, (double)alarms / (double)looked / 0.001);
	return ((double)alarms / (double)looked / 0.001);
}

static void
few(void)
{

	check(excess(200, 2, 0) < 2.5 && excess(200, 5, 0) < 2.5 &&
	    excess(400, 5, 0) < 2 && excess(800, 5, 0) < 2,
	    "few rows keep about the stated rate");
	check(excess(200, 5, 0.8) < 8 && excess(400, 2, 0.8) < 2.5 &&
	    excess(400, 5, 0.8) < 2.5 && excess(800, 5, 0.8) < 2,
	    "of variables with memory, too");
	check(excess(GE_MONITOR_ROWS, 2, 0) < 60,
	    "the fewest rows do not alarm on everything");
	process(more, MORE, 99);
}

static void
saved(const struct ge_monitor *m)
{
	struct ge_monitor_array a[GE_MONITOR_ARRAYS], b[GE_MONITOR_ARRAYS];
	struct ge_monitor l;
	struct ge_err e = { 0 };
	struct count c, d;
	float set[16], old;
	size_t i, refused = 0;

	ge_monitor_arrays(m, set, a);
	for (i = 0; i < GE_MONITOR_ARRAYS; i++)
		b[i] = a[GE_MONITOR_ARRAYS - 1 - i];
	check(ge_monitor_load(&l, b, GE_MONITOR_ARRAYS, &e) == 0,
	    "loaded from its arrays in any order");
	c = look(m, more, 1000);
	d = look(&l, more, 1000);
	check(c.hash == d.hash, "and judges alike");
	ge_monitor_release(&l);
	for (i = 0; i < GE_MONITOR_ARRAYS; i++) {
		memcpy(b, a, sizeof(a));
		b[i].name = "other";
		refused += ge_monitor_load(&l, b, GE_MONITOR_ARRAYS, &e) ==
		    -1 && e.code == GE_EREFUSED;
		b[i] = a[i];
		b[i].dim[0]++;
		refused += ge_monitor_load(&l, b, GE_MONITOR_ARRAYS, &e) ==
		    -1 && e.code == GE_EREFUSED;
		b[i] = a[i];
		old = a[i].v[0];
		a[i].v[0] = NAN;
		refused += ge_monitor_load(&l, a, GE_MONITOR_ARRAYS, &e) ==
		    -1 && e.code == GE_EREFUSED;
		a[i].v[0] = old;
	}
	check(refused == 3 * GE_MONITOR_ARRAYS,
	    "an array missing, of another shape, or not of numbers is refused");
	old = m->limit[4];
	m->limit[4] = m->middle[4];
	check(ge_monitor_load(&l, a, GE_MONITOR_ARRAYS, &e) == -1 &&
	    e.code == GE_EREFUSED, "so is a limit that cannot be");
	m->limit[4] = old;
}

static uint64_t
digest(const struct ge_monitor *m)
{
	struct ge_monitor_array a[GE_MONITOR_ARRAYS];
	float set[16];
	uint64_t h = 0;
	size_t i;

	ge_monitor_arrays(m, set, a);
	for (i = 0; i < GE_MONITOR_ARRAYS; i++)
		h = hash(h, a[i].v, a[i].dim[0] * a[i].dim[1] *
		    sizeof(float));
	return (h);
}

/* The same through a file. */
static void
filed(const struct ge_monitor *m)
{
	const char *tmp = getenv("TMPDIR");
	char dir[200], path[240], name[280];
	struct ge_monitor l;
	struct ge_err e = { 0 };
	struct ge_outdir *o = NULL;
	static uint8_t buf[1 << 18];
	size_t len = 0, i, refused = 0;
	FILE *f;

	snprintf(dir, sizeof(dir), "%.150s/ge-monitor.XXXXXX",
	    tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL) {
		check(0, "a folder to save in");
		return;
	}
	snprintf(path, sizeof(path), "%s/model", dir);
	snprintf(name, sizeof(name), "%s/monitor.safetensors", path);
	check((o = ge_outdir_new(path, -1, 0, &e)) != NULL &&
	    ge_monitor_save(m, o, "monitor.safetensors", &e) == 0 &&
	    ge_outdir_commit(o, &e) == 0, "saved");
	ge_outdir_free(o);
	if ((f = fopen(name, "rb")) != NULL) {
		len = fread(buf, 1, sizeof(buf), f);
		fclose(f);
	}
	unlink(name);
	rmdir(path);
	rmdir(dir);
	check(ge_monitor_parse(&l, buf, len, &e) == 0 &&
	    digest(&l) == digest(m), "parsed");
	ge_monitor_release(&l);
	for (i = 0; i < len; i += 97)
		refused += ge_monitor_parse(&l, buf, i, &e) == -1 &&
		    e.code == GE_EREFUSED;
	check(refused == (len + 96) / 97, "cut short it is refused");
}

static void
resumed(const struct ge_monitor *m)
{
	static double x[600 * P];
	struct ge_monitor_verdict v, u;
	struct ge_err e = { 0 };
	struct ge_watch *w, *r;
	uint8_t *buf;
	size_t len, i, differ = 0, taken = 0;

	memcpy(x, more, sizeof(x));
	for (i = 250; i < 600; i++)
		x[i * P + 4] += 3;
	w = ge_watch_new(m, &e);
	r = ge_watch_new(m, &e);
	for (i = 0; i < 300; i++)
		ge_watch_step(w, x + i * P, 0, &v);
	if (ge_watch_save(w, &buf, &len, &e) == -1 ||
	    ge_watch_resume(r, buf, len, &e) == -1) {
		check(0, e.msg);
		return;
	}
	for (; i < 600; i++) {
		memset(&v, 0, sizeof(v));
		memset(&u, 0, sizeof(u));
		ge_watch_step(w, x + i * P, 0, &v);
		ge_watch_step(r, x + i * P, 0, &u);
		differ += memcmp(&v, &u, sizeof(v)) != 0;
	}
	check(v.alarm && differ == 0, "a watch goes on where it was saved");
	for (i = 0; i < len; i++)
		taken += ge_watch_resume(r, buf, i, &e) == 0;
	check(taken == 0, "a state cut anywhere is refused");
	for (i = 0; i < 40; i++) {
		buf[i] ^= 0x80;
		if (ge_watch_resume(r, buf, len, &e) == 0)
			ge_watch_step(r, x, 0, &v);
		buf[i] ^= 0x80;
	}
	memset(buf + 40, 0xff, len - 40);
	check(ge_watch_resume(r, buf, len, &e) == -1 &&
	    e.code == GE_EREFUSED, "and NaN in it");
	ge_free(buf);
	ge_watch_free(w);
	ge_watch_free(r);
}

static void
same(const struct ge_monitor *m)
{
	struct ge_monitor l;
	struct ge_monitor_opts o;
	struct ge_err e = { 0 };
	uint64_t many;
	int good;

	ge_monitor_opts_init(&o);
	o.jobs = 4;
	good = ge_monitor_fit(&l, rows, N, P, &o, &e) == 0 &&
	    digest(&l) == digest(m);
	check(good, "the same bits on four threads");
	ge_monitor_release(&l);
	good = ge_monitor_fit(&l, more, MORE - 1, P, &o, &e) == 0;
	many = digest(&l);
	ge_monitor_release(&l);
	o.jobs = 1;
	good = good && ge_monitor_fit(&l, more, MORE - 1, P, &o, &e) == 0 &&
	    digest(&l) == many;
	check(good, "of an odd number of rows, too");
	ge_monitor_release(&l);
	setenv("GE_CPU", "portable", 1);
	good = ge_monitor_fit(&l, rows, N, P, &o, &e) == 0 &&
	    digest(&l) == digest(m) &&
	    look(&l, more, 500).hash == look(m, more, 500).hash;
	unsetenv("GE_CPU");
	check(good, "the same bits with portable code");
	ge_monitor_release(&l);
}

static void
dirty(const struct ge_monitor *clean)
{
	static double x[N * P];
	struct ge_monitor m;
	size_t i, j;

	memcpy(x, rows, sizeof(x));
	for (i = 700; i < 715; i++)
		for (j = 0; j < P; j++)
			x[i * P + j] += j % 2 ? 30 : -30;
	if (learn(&m, x, N, P) != 0) {
		check(0, "learning with outliers");
		return;
	}
	printf("# %zu rows dropped, alarms %zu\n", m.dropped,
	    look(&m, more, MORE).alarms);
	check(m.dropped >= 14 && m.dropped < 30 &&
	    fabsf(m.bound - clean->bound) < 0.2f,
	    "a disturbance among the rows is left out");
	ge_monitor_release(&m);
}

/*
 * A fault in 1 % of more rows than limits are taken of; and one that comes again in
 * each fifth of them.
 */
static void
contaminated(void)
{
	enum { MANY = 140001 };
	double *x = malloc((size_t)MANY * P * sizeof(*x));
	struct ge_monitor m;
	size_t i, j;

	if (x == NULL)
		exit(1);
	process(x, MANY, 31);
	for (i = 50000; i < 51400; i++)
		for (j = 0; j < P; j++)
			x[i * P + j] += j % 2 ? 30 : -30;
	check(learn(&m, x, MANY, P) == 0 && m.dropped >= 1390 &&
	    m.dropped < 1500 && m.recurring == 0,
	    "a fault in one of a hundred of very many rows is left out");
	printf("# %zu dropped, bound %g\n", m.dropped, (double)m.bound);
	process(more, MORE, 32);
	for (i = 0; i < 500; i++)
		for (j = 0; j < P; j++)
			more[i * P + j] += j % 2 ? 30 : -30;
	check(look(&m, more, 500).alarms > 480, "and so is seen later");
	ge_monitor_release(&m);
	for (i = 0; i < 20000; i++)
		if (i % 2000 < 20)
			for (j = 0; j < P; j++)
				x[i * P + j] += j % 2 ? 30 : -30;
	check(learn(&m, x, 20000, P) == 0 && m.dropped == 0 &&
	    m.recurring >= 190 && m.recurring < 230,
	    "what comes again and again is learnt, and counted");
	ge_monitor_release(&m);
	free(x);
	process(more, MORE, 99);
}

/* |x| cannot be told from x by lines; a mode shifts what nothing else tells. */
static void
bent(void)
{
	struct ge_monitor m;
	size_t i;

	process(rows, N, 3);
	for (i = 0; i < N; i++)
		rows[i * P + 5] = fabs(rows[i * P] - 1000) + 0.1 * normal();
	check(learn(&m, rows, N, P) == 0 && m.hinges == 1,
	    "hinges where a line does not do");
	ge_monitor_release(&m);
	process(rows, N, 1);
	check(learn(&m, rows, N, P) == 0 && m.hinges == 0 && m.modes == 1,
	    "and none where it does");
	ge_monitor_release(&m);
}

/* Two plants in one: relations of opposite signs about distant points. */
static void
modal(void)
{
	struct ge_monitor m;
	struct count c;
	double f = 0;
	size_t i, j;
	int mode = 0;

	seed = 8;
	for (i = 0; i < MORE; i++) {
		if (uniform() < 0.02)
			mode = !mode;
		f = 0.5 * f + normal();
		for (j = 0; j < P; j++)
			more[i * P + j] = normal() + (j < 2 ? 5 * f : 0) +
			    (mode ? j % 3 ? 40 : -40 : 0);
	}
	if (learn(&m, more, MORE / 2, P) != 0) {
		check(0, "learning two modes");
		return;
	}
	c = look(&m, more + MORE / 2 * P, MORE / 2);
	printf("# modes %zu, held-out %.3f %.3f, alarms %zu\n", m.modes,
	    m.held[0], m.held[1], c.alarms);
	check(c.alarms < 30, "a known mode of operation is no alarm");
	for (i = MORE / 2; i < MORE; i++)
		for (j = 0; j < P; j++)
			more[i * P + j] += j % 2 ? 20 : -20;
	c = look(&m, more + MORE / 2 * P, MORE / 2);
	check(c.alarms > MORE / 2 * 9 / 10, "an unknown one is");
	ge_monitor_release(&m);
}

/* A level that nothing else tells, but the last rows do. */
static void
levels(void)
{
	struct ge_monitor m;
	struct count c;
	size_t i, j;
	int mode = 0;

	seed = 18;
	for (i = 0; i < MORE; i++) {
		if (uniform() < 0.02)
			mode = !mode;
		for (j = 0; j < P; j++)
			more[i * P + j] = normal() +
			    (j == 0 && mode ? 16 : 0);
	}
	if (learn(&m, more, MORE / 2, P) != 0) {
		check(0, "learning two levels");
		return;
	}
	c = look(&m, more + MORE / 2 * P, MORE / 2);
	printf("# modes %zu, held-out %.3f %.3f, alarms %zu\n", m.modes,
	    m.held[0], m.held[1], c.alarms);
	check(m.modes == 2 && c.alarms < 60, "two levels are two modes");
	for (i = MORE / 2 + 1000; i < MORE; i++)
		more[i * P] += 5;
	c = look(&m, more + MORE / 2 * P, MORE / 2);
	printf("# %zu from %zu, %zu blame it\n", c.alarms, c.first,
	    c.cause[0]);
	check(c.alarms > 1500 && c.cause[0] > 1500, "levels beside them are none");
	ge_monitor_release(&m);
}

static void
wanderer(void)
{
	static double x[MORE * P];
	struct ge_monitor m;
	struct count c;
	double walk = 0;
	size_t i;

	process(x, MORE, 21);
	for (i = 0; i < MORE; i++) {
		walk += 0.3 * normal();
		x[i * P + 5] = walk;
	}
	if (learn(&m, x, N, P) != 0) {
		check(0, "learning with a random walk");
		return;
	}
	c = look(&m, x + N * P, MORE - N);
	printf("# wander %g, alarms %zu of %d\n", (double)m.wander[5],
	    c.alarms, MORE - N);
	check(m.wander[5] > 0 && m.wander[0] <= 0 &&
	    c.alarms < (MORE - N) / 50, "a variable that wanders may");
	for (i = N; i < MORE; i += 211)
		x[i * P + 5] = 1e6;
	printf("# with outliers %zu\n", look(&m, x + N * P, MORE - N).alarms);
	check(look(&m, x + N * P, MORE - N).alarms < c.alarms + 40,
	    "with outliers, too");
	ge_monitor_release(&m);
}

static void
gaps(void)
{
	static const double t[] = { 10, 11, 12, 14, 15, 16, 22, 23, 23, 20,
	    21, NAN, 22 };
	static const uint8_t want[] = { 2, 0, 0, 0, 0, 0, 2, 0, 0, 2, 0, 0,
	    0 };
	uint8_t fresh[sizeof(want)];
	struct ge_err e = { 0 };
	double step;

	check(ge_monitor_gaps(t, sizeof(want), fresh, &step, &e) == 0 &&
	    step > 0.99 && step < 1.01 && memcmp(fresh, want, sizeof(want)) ==
	    0, "gaps between times");
}

/* Runs of so few rows that not all have a past. */
static void
short_runs(void)
{
	static uint8_t fresh[N];
	struct ge_monitor_opts o;
	struct ge_monitor m;
	struct ge_err e = { 0 };
	size_t run, i;
	int good = 1;

	process(rows, N, 1);
	for (run = 1; run <= 8; run++) {
		for (i = 0; i < N; i++)
			fresh[i] = i % run == 0 ? GE_MONITOR_APART : 0;
		ge_monitor_opts_init(&o);
		o.fresh = fresh;
		e.code = 0;
		if (ge_monitor_fit(&m, rows, N, P, &o, &e) == 0)
			good &= run > 2 && m.lags <= run - 3;
		else
			good &= run <= 2 && e.code == GE_EUSAGE;
		ge_monitor_release(&m);
	}
	check(good, "lags are no more than what most rows have before them");
}

static void
odd(void)
{
	static double x[N * P];
	struct ge_monitor m;
	struct ge_monitor_opts o;
	struct ge_err e = { 0 };
	size_t i;

	ge_monitor_opts_init(&o);
	o.far = 0;
	check(ge_monitor_fit(&m, rows, N, P, &o, &e) == -1 &&
	    e.code == GE_EUSAGE, "no false alarms at all");
	check(learn(&m, rows, 1, P) == GE_EUSAGE, "one row is too few");
	check(learn(&m, rows, N, 0) == GE_EUSAGE, "no columns");
	check(learn(&m, rows, 1, 100000) == GE_EUSAGE, "too many columns");
	for (i = 0; i < N * P; i++)
		x[i] = 5;
	check(learn(&m, x, N, P) == GE_EUSAGE, "nothing that moves");
	for (i = 0; i < N * P; i++)
		x[i] = NAN;
	check(learn(&m, x, N, P) == GE_EUSAGE, "nothing at all");
	memcpy(x, rows, sizeof(x));
	for (i = 0; i < N; i++) {
		x[i * P] = 7;
		x[i * P + 1] = NAN;
		x[i * P + 2] = i % 100 ? x[i * P + 2] : 1e308;
		x[i * P + 3] *= 1e300;
	}
	check(learn(&m, x, N, P) == 0 && m.inverse[0] <= 0 &&
	    m.inverse[1] <= 0 && m.inverse[2] > 0,
	    "columns that are constant or missing are left out");
	check(look(&m, x, 100).alarms < 10, "and looked past");
	ge_monitor_release(&m);
	for (i = 0; i < N * P; i++)
		x[i] = (double)(i / P) * (double)(i % P + 1) + normal();
	check(learn(&m, x, GE_MONITOR_ROWS, P) == GE_EUSAGE || m.p == P,
	    "nothing but drift");
	ge_monitor_release(&m);
	check(learn(&m, rows, GE_MONITOR_ROWS, P) == 0, "the fewest rows");
	ge_monitor_release(&m);
	check(learn(&m, rows, N, 1) == 0, "one column");
	ge_monitor_release(&m);
}

/* Each allocation failing in turn, in a process of its own. */
static void
starved(void)
{
	char number[24];
	int i, status, seen = 0, good = 1;

	for (i = 1; i < 400 && good; i += i < 40 ? 1 : 13) {
		fflush(stdout);
		switch (fork()) {
		case -1:
			good = 0;
			continue;
		case 0:
			execl("/proc/self/exe", "monitor", (snprintf(number,
			    sizeof(number), "%d", i), number), (char *)NULL);
			_exit(9);
		}
		if (wait(&status) == -1 || !WIFEXITED(status))
			good = 0;
		else if (WEXITSTATUS(status) == GE_EFAIL)
			seen++;
		else if (WEXITSTATUS(status) != 0)
			good = 0;
	}
	check(good && seen > 40, "each allocation may fail");
}

int
main(int argc, char **argv)
{
	struct ge_monitor m;

	process(rows, N, 1);
	if (argc == 2) {
		setenv("GE_FAILALLOC", argv[1], 1);
		return (learn(&m, rows, 200, P));
	}
	chol();
	coefficients();
	if (learn(&m, rows, N, P) != 0)
		return (1);
	faults(&m);
	saved(&m);
	filed(&m);
	resumed(&m);
	same(&m);
	dirty(&m);
	ge_monitor_release(&m);
	bent();
	contaminated();
	few();
	stated();
	gaps();
	short_runs();
	odd();
	modal();
	levels();
	wanderer();
	starved();
	return (bad);
}
