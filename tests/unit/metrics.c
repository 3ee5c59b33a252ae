/*
 * lib/model/metrics.c against scikit-learn 1.2: the numbers are those that
 * tests/vectors/scores.py prints; and cases without meaning.
 */
#include <math.h>
#include <string.h>

#include "model/metrics.h"

#define UNIT "metrics"
#include "check.h"

enum {
	MOST = 400, CLASSES = 4
};

static double p[MOST * CLASSES], y[MOST];
static float w[MOST];
static uint32_t state;

/* The stream of scores.py. */
static uint32_t
next(void)
{

	state = (state * 1103515245u + 12345) & 0x7fffffff;
	return (state >> 16);
}

static void
classes(size_t k, size_t n, uint32_t seed)
{
	double sum;
	size_t i, c;

	state = seed;
	for (i = 0; i < n; i++) {
		y[i] = next() % k;
		for (sum = 0, c = 0; c < k; c++)
			p[i * k + c] = 1 + next() % 20;
		p[i * k + (size_t)y[i]] += next() % 15;
		for (c = 0; c < k; c++)
			sum += p[i * k + c];
		for (c = 0; c < k; c++)
			p[i * k + c] /= sum;
		w[i] = (float)(1 + next() % 4);
	}
}

static void
numbers(size_t n, uint32_t seed)
{
	size_t i;

	state = seed;
	for (i = 0; i < n; i++) {
		y[i] = next() % 125;
		p[i] = y[i] + next() % 41 - 20;
		w[i] = (float)(1 + next() % 4);
	}
}

static int
near(const double *a, const double *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!(fabs(a[i] - b[i]) <= 1e-10 * fmax(1, fabs(b[i])))) {
			printf("# %zu: %.12g, not %.12g\n", i, a[i], b[i]);
			return (0);
		}
	return (1);
}

static void
judge(struct ge_judge_classes j, const double *want, const char *name)
{
	double out[GE_CLASS_SCORES];
	struct ge_err e;

	j.p = p;
	j.y = y;
	check(ge_judge_classes(&j, out, &e) == 0 && near(out, want,
	    GE_CLASS_SCORES), name);
}

static void
two_classes(void)
{
	static const double plain[] = { 0.542046000466, 0.180334836633,
	    0.756666666667, 0.759259259259, 0.783439490446, 0.771159874608,
	    0.818939022761, 0.814279785635, 0.099231259809 };
	static const double weighted[] = { 0.530739749213, 0.176118306755,
	    0.754054054054, 0.762962962963, 0.782278481013, 0.7725,
	    0.828303063658, 0.836674865115, 0.0970537005613 };
	static const double early[] = { 0.530739749213, 0.176118306755,
	    0.637837837838, 0.598755832037, 0.974683544304, 0.741811175337,
	    0.828303063658, 0.836674865115, 0.0970537005613 };
	static const double third[] = { 0.52429117472, 0.172066053914,
	    0.76170212766, 0.728571428571, 0.85, 0.784615384615,
	    0.852210144928, 0.835917831359, 0.14589561891 };
	static uint32_t said[300], row[100];
	struct ge_judge_classes j = { .k = 2, .positive = 1, .n = 300 };
	size_t i;

	classes(2, 300, 1);
	judge(j, plain, "two classes");
	j.w = w;
	judge(j, weighted, "two classes, weighted");
	for (i = 0; i < 300; i++)
		said[i] = p[2 * i + 1] >= 0.3;
	j.said = said;
	judge(j, early, "two classes, another threshold");
	for (i = 0; i < 100; i++)
		row[i] = (uint32_t)(3 * i);
	j.said = NULL;
	j.row = row;
	j.n = 100;
	judge(j, third, "two classes, a third of the rows");
}

static void
many_classes(void)
{
	static const double plain[] = { 1.1050429679, 0.600271398016, 0.59,
	    0.589534367356, 0.588558042139, 0.588099396443, 0.803574221413,
	    0.612191334437, 0.175237861893 };
	static const double weighted[] = { 1.0953999533, 0.59476904055,
	    0.588526211672, 0.587291434501, 0.587457538846, 0.586897573836,
	    0.808746960564, 0.624806087046, 0.175481848443 };
	struct ge_judge_classes j = { .k = 4, .n = 400 };

	classes(4, 400, 2);
	judge(j, plain, "four classes");
	j.w = w;
	judge(j, weighted, "four classes, weighted");
}

static void
of_numbers(void)
{
	static const double plain[] = { 11.6073252733, 9.97, 0.889483238783,
	    349.230008745 };
	static const double weighted[] = { 11.300165928, 9.66875,
	    0.898429327263, 801.964939546 };
	struct ge_judge_numbers j = { .p = p, .y = y, .n = 200 };
	double out[GE_NUMBER_SCORES];

	numbers(200, 3);
	ge_judge_numbers(&j, out);
	check(near(out, plain, GE_NUMBER_SCORES), "numbers");
	j.w = w;
	ge_judge_numbers(&j, out);
	check(near(out, weighted, GE_NUMBER_SCORES), "numbers, weighted");
	for (j.n = 0; j.n < 50; j.n++)
		y[j.n] = 4;
	ge_judge_numbers(&j, out);
	check(isnan(out[GE_SCORE_R2]) && out[GE_SCORE_RMSE] > 0,
	    "r2 of a constant is none");
	j.n = 0;
	ge_judge_numbers(&j, out);
	check(isnan(out[GE_SCORE_RMSE]) && isnan(out[GE_SCORE_NASA]),
	    "no numbers");
}

static void
without_meaning(void)
{
	struct ge_judge_classes j = { .k = 2, .positive = 1, .p = p, .y = y };
	double out[GE_CLASS_SCORES];
	struct ge_err e;
	size_t i, none = 0;

	classes(2, 20, 5);
	ge_judge_classes(&j, out, &e);
	for (i = 0; i < GE_CLASS_SCORES; i++)
		none += isnan(out[i]);
	check(none == GE_CLASS_SCORES, "no rows");
	for (i = 0; i < 20; i++)
		y[i] = 0;
	j.n = 20;
	ge_judge_classes(&j, out, &e);
	check(isnan(out[GE_SCORE_AUC]) && isnan(out[GE_SCORE_AP]) &&
	    out[GE_SCORE_F1] >= 0, "one class has no curve");
	for (i = 0; i < 20; i++) {
		y[i] = (double)(i % 2);
		p[2 * i] = i % 2;
		p[2 * i + 1] = 1 - p[2 * i];
	}
	ge_judge_classes(&j, out, &e);
	check(isfinite(out[GE_SCORE_LOGLOSS]) && out[GE_SCORE_LOGLOSS] > 30 &&
	    out[GE_SCORE_AUC] <= 0 && out[GE_SCORE_BRIER] >= 1,
	    "all wrong and sure of it");
	for (i = 0; i < 40; i++)
		p[i] = NAN;
	ge_judge_classes(&j, out, &e);
	check(isnan(out[GE_SCORE_ECE]), "probabilities that are none");
	check(strcmp(ge_class_score_name[GE_SCORE_ECE], "ece") == 0 &&
	    strcmp(ge_number_score_name[GE_SCORE_NASA], "nasa_score") == 0,
	    "names");
}

int
main(void)
{

	two_classes();
	many_classes();
	of_numbers();
	without_meaning();
	return (bad);
}
