/*
 * lib/model/linear.c against Ridge and LogisticRegression of scikit-learn: the numbers
 * are those that tests/vectors/scores.py prints; the same whatever the threads;
 * columns that tell nothing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/linear.h"

#define UNIT "linear"
#include "check.h"

enum {
	N = 300, Q = 3, WIDE = 700
};

static float x[N * Q], w[N];
static double y[N], class[N];
static uint32_t state;
static struct ge_err e;
static const uint32_t words[Q] = { 0, 0, 3 };

/* The stream of scores.py. */
static uint32_t
next(void)
{

	state = (state * 1103515245u + 12345) & 0x7fffffff;
	return (state >> 16);
}

static void
table(void)
{
	uint32_t a, b, c;
	size_t i;

	state = 81;
	for (i = 0; i < N; i++) {
		a = next() % 100;
		b = next() % 50;
		c = next() % 3;
		y[i] = 2.0 * a - 3.0 * b + 40.0 * (c == 1) + next() % 60;
		x[i * Q] = (float)a;
		x[i * Q + 1] = next() % 5 == 0 ? NAN : (float)b + 1000;
		x[i * Q + 2] = (float)c;
		w[i] = (float)(1 + next() % 4);
	}
}

static void
cut(size_t k)
{
	size_t i;

	for (i = 0; i < N; i++)
		class[i] = k == 2 ? y[i] >= 40 : (y[i] >= 0) + (y[i] >= 80);
}

static struct ge_linear *
model(size_t k, const float *weights, struct ge_pool *pool)
{
	struct ge_linear_opts o = { k, 1, pool };
	struct ge_linear_data d = { x, Q, words, k == 0 ? y : class, weights,
	    NULL, N };
	struct ge_linear *l;

	cut(k);
	if ((l = ge_linear_new(&o, &d, &e)) == NULL)
		abort();
	return (l);
}

static int
gives(struct ge_linear *l, size_t k, const double *want, size_t rows,
    double off)
{
	double out[4];
	size_t i, c;
	int good = 1;

	for (i = 0; i < rows; i++) {
		ge_linear_predict(l, x + i * Q, out);
		for (c = 0; c < k; c++)
			if (!(fabs(out[c] - want[i * k + c]) <= off)) {
				printf("# %.12g, not %.12g\n", out[c],
				    want[i * k + c]);
				good = 0;
			}
	}
	ge_linear_free(l);
	return (good);
}

static void
references(void)
{
	static const double number[] = { -14.175183787, 115.652820877,
	    148.071276778, 70.4243412819, 74.9614865256, 2.0945877634 };
	static const double two[] = { 0.932394605358, 0.0676053946424,
	    0.00395097269711, 0.996049027303, 0.00054090600366, 0.999459093996
	    };
	static const double three[] = { 0.557902205, 0.434909181858,
	    0.00718861314129, 0.00047724887634, 0.164618568079, 0.834904183044,
	    2.63425527028e-05, 0.0410824212308, 0.958891236217 };
	static const double wnumber[] = { -17.5045036386, 112.922417062,
	    145.745749283, 70.8167079978, 75.2448112793, 2.64025894461 };
	static const double wtwo[] = { 0.94771037833, 0.0522896216703,
	    0.00305676556694, 0.996943234433, 0.000338422509995, 0.99966157749
	    };
	static const double wthree[] = { 0.636778834456, 0.360325729953,
	    0.00289543559112, 0.000394019798265, 0.190373438499, 0.809232541703,
	    1.46267144917e-05, 0.0396862653505, 0.960299107935 };

	table();
	check(gives(model(0, NULL, NULL), 1, number, 6, 1e-6), "a number");
	check(gives(model(0, w, NULL), 1, wnumber, 6, 1e-6),
	    "a number, weighted");
	check(gives(model(2, NULL, NULL), 2, two, 3, 1e-6), "two classes");
	check(gives(model(2, w, NULL), 2, wtwo, 3, 1e-6),
	    "two classes, weighted");
	check(gives(model(3, NULL, NULL), 3, three, 3, 1e-6), "three classes");
	check(gives(model(3, w, NULL), 3, wthree, 3, 1e-6),
	    "three classes, weighted");
}

/* The same model of what is far from 0. */
static void
far(void)
{
	struct ge_linear *l;
	double near[6], out;
	size_t i, good = 0;

	table();
	l = model(0, w, NULL);
	for (i = 0; i < 6; i++)
		ge_linear_predict(l, x + i * Q, near + i);
	ge_linear_free(l);
	for (i = 0; i < N; i++)
		y[i] += 1e12;
	l = model(0, w, NULL);
	for (i = 0; i < 6; i++) {
		ge_linear_predict(l, x + i * Q, &out);
		good += fabs(out - 1e12 - near[i]) < 1e-2;
	}
	ge_linear_free(l);
	check(good == 6, "a number far from 0");
}

static void
threads(void)
{
	double out[2][3];
	struct ge_linear *l[2];
	struct ge_pool *pool;
	int jobs, good = 1;
	size_t i, k;

	for (jobs = 2; jobs <= 3; jobs++)
		for (k = 0; k <= 3; k += 3) {
			pool = ge_pool_new(jobs, &e);
			l[0] = model(k, w, NULL);
			l[1] = model(k, w, pool);
			for (i = 0; i < N; i++) {
				ge_linear_predict(l[0], x + i * Q, out[0]);
				ge_linear_predict(l[1], x + i * Q, out[1]);
				good &= memcmp(out[0], out[1], (k + !k) *
				    sizeof(double)) == 0;
			}
			ge_linear_free(l[0]);
			ge_linear_free(l[1]);
			ge_pool_free(pool);
		}
	check(good, "the same bytes whatever the threads");
}

/* Rows by number are those rows alone. */
static void
some_rows(void)
{
	static uint32_t row[N / 3];
	struct ge_linear_opts o = { 0, 1, NULL };
	struct ge_linear_data d = { x, Q, words, y, NULL, row, N / 3 };
	struct ge_linear *l;
	double a, b;
	size_t i;

	for (i = 0; i < N / 3; i++)
		row[i] = (uint32_t)(3 * i);
	l = ge_linear_new(&o, &d, &e);
	ge_linear_predict(l, x, &a);
	ge_linear_free(l);
	for (i = 0; i < N / 3; i++) {
		memmove(x + i * Q, x + 3 * i * Q, Q * sizeof(*x));
		y[i] = y[3 * i];
	}
	d.row = NULL;
	l = ge_linear_new(&o, &d, &e);
	ge_linear_predict(l, x, &b);
	ge_linear_free(l);
	check(fabs(a - b) < 1e-12, "some of the rows");
}

static void
nothing_to_learn(void)
{
	static const float odd[4 * 4] = {
		7, NAN, INFINITY, 1, 7, NAN, 1, 1, 7, NAN, 2, 0, 7, NAN, 3, 5
	};
	static const double z[] = { 1, 2, 3, 4 }, one[] = { 1, 1, 1, 1 };
	static const uint32_t of[] = { 0, 0, 0, 3 };
	struct ge_linear_opts o = { 0, 1, NULL };
	struct ge_linear_data d = { odd, 4, of, z, NULL, NULL, 4 };
	struct ge_linear *l;
	double out[2];
	int good;

	l = ge_linear_new(&o, &d, &e);
	good = l != NULL;
	if (good)
		ge_linear_predict(l, odd, out);
	ge_linear_free(l);
	check(good && isfinite(out[0]), "columns that tell nothing");
	d.y = one;
	o.classes = 2;
	l = ge_linear_new(&o, &d, &e);
	good = l != NULL;
	if (good)
		ge_linear_predict(l, odd, out);
	ge_linear_free(l);
	check(good && out[1] > 0.9 && fabs(out[0] + out[1] - 1) < 1e-12,
	    "one class only");
	d.q = 0;
	o.classes = 0;
	d.y = z;
	l = ge_linear_new(&o, &d, &e);
	ge_linear_predict(l, odd, out);
	ge_linear_free(l);
	check(fabs(out[0] - 2.5) < 1e-6, "no columns: the mean");
}

static void
too_wide(void)
{
	static float many[40 * 2];
	static double z[40];
	static const uint32_t of[] = { WIDE, 0 };
	struct ge_linear_opts o = { 0, 1, NULL };
	struct ge_linear_data d = { many, 2, of, z, NULL, NULL, 40 };
	struct ge_linear *l;
	double out;
	size_t i;

	for (i = 0; i < 40; i++) {
		many[2 * i] = (float)(i * (WIDE - 1) / 39);
		many[2 * i + 1] = (float)i;
		z[i] = (double)i;
	}
	l = ge_linear_new(&o, &d, &e);
	check(l != NULL, "more words than inputs");
	ge_linear_predict(l, many + 78, &out);
	check(isfinite(out), "one of them");
	ge_linear_free(l);
}

int
main(void)
{

	references();
	far();
	threads();
	some_rows();
	nothing_to_learn();
	too_wide();
	return (bad);
}
