/*
 * lib/model/conformal.c: limits by hand; over 100 random splits sets and intervals hold
 * what is asked, 90 +- 2 %, each class too; a changing spread is taken where there is
 * one; what is saved is what is used; untrusted members are refused.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/conformal.h"
#include "model/draw.h"

#define UNIT "conformal"
#include "check.h"

enum {
	SPLITS = 100, LEARN = 400, TEST = 400, K = 3
};

static struct ge_err e;
static float margin[(LEARN + TEST) * K];
static double y[LEARN + TEST], p[LEARN + TEST];

static double
even(uint64_t *s)
{

	return ((double)(ge_draw(s) >> 11) * 0x1p-53);
}

static int
near(double a, double b, double off)
{

	if (!(fabs(a - b) <= off))
		printf("# %.9g, not %.9g\n", a, b);
	return (fabs(a - b) <= off);
}

static void
by_hand(void)
{
	/* Of class 0 nine rows, of class 1 nineteen; 90 % of 9 + 1 and of 19 + 1
	   are all but the last one and all but the last two. */
	struct ge_margins m = { 28, 2, margin, y, NULL, NULL };
	struct ge_conformal c;
	double low, high;
	float x;
	unsigned char in[2];
	size_t i;

	for (i = 0; i < 28; i++) {
		y[i] = i >= 9;
		margin[i] = i < 9 ? (float)i : (float)(9 - (int)i);
	}
	check(ge_conformal_sets(&c, 0.9, &m, NULL, &e) == 0 &&
	    near(c.least[0], -8, 0) && near(c.least[1], -17, 0),
	    "limits of classes, by hand");
	x = -8;
	check(ge_conformal_in(&c, &x, in) == 2 && in[0] && in[1],
	    "a set of both");
	x = 8.5f;
	check(ge_conformal_in(&c, &x, in) == 1 && !in[0] && in[1],
	    "a set of one");
	ge_conformal_release(&c);
	m.n = 8;
	check(ge_conformal_sets(&c, 0.9, &m, NULL, &e) == 0 &&
	    isinf(c.least[0]) && isinf(c.least[1]),
	    "a class of too few rows is in every set");
	ge_conformal_release(&c);
	for (i = 0; i < 19; i++) {
		p[i] = 10;
		y[i] = 10 + (i % 2 == 0 ? 1 : -1) * (double)(i + 1);
	}
	check(ge_conformal_interval(&c, 0.9, p, y, NULL, 19, NULL, &e) == 0 &&
	    near(c.radius, 18, 0) && c.spread.n == 0, "a radius, by hand");
	ge_conformal_bounds(&c, 5, &low, &high);
	check(near(low, -13, 0) && near(high, 23, 0), "an interval");
	ge_conformal_release(&c);
	check(ge_conformal_interval(&c, 0.9, p, y, NULL, 8, NULL, &e) == 0 &&
	    isinf(c.radius), "too few rows for a radius");
	ge_conformal_release(&c);
}

/* Rows of k classes, one of them rare; the second half is to be covered. */
static void
rows_of_classes(size_t k, uint64_t *s)
{
	size_t i, c, w = k == 2 ? 1 : k;
	double u;

	for (i = 0; i < LEARN + TEST; i++) {
		u = even(s);
		y[i] = u < 0.15 ? 0 : k == 2 || u < 0.5 ? 1 : 2;
		for (c = 0; c < w; c++)
			margin[i * w + c] = 1.5f * ge_draw_normal(s);
		if (k == 2)
			margin[i] += y[i] > 0.5 ? 2 : -2;
		else
			margin[i * w + (size_t)y[i]] += 2;
	}
}

struct tally {
	double in[K], rows[K], held, size;
};

/* As if folds had stopped at other rounds: in their mean the margins are as before. */
static void
uneven(size_t k, uint32_t fold[LEARN])
{
	static const float scale[] = { 0.1f, 0.4f, 0.7f, 1.3f, 2.5f };
	size_t i, c, w = k == 2 ? 1 : k;

	for (i = 0; i < LEARN; i++) {
		fold[i] = (uint32_t)draw(5);
		for (c = 0; c < w; c++)
			margin[i * w + c] *= scale[fold[i]];
	}
}

static void
split_of_classes(size_t k, int folds, uint64_t *s, struct tally *t)
{
	static uint32_t fold[LEARN];
	struct ge_margins m = { LEARN, k, margin, y, NULL, folds ? fold :
	    NULL };
	struct ge_conformal_held held;
	struct ge_conformal c;
	unsigned char in[K];
	size_t i;

	rows_of_classes(k, s);
	if (folds)
		uneven(k, fold);
	if (ge_conformal_sets(&c, 0.9, &m, &held, &e) == -1)
		abort();
	for (i = LEARN; i < LEARN + TEST; i++) {
		t->size += (double)ge_conformal_in(&c, margin + i * (k == 2 ? 1 :
		    k), in) / TEST / SPLITS;
		t->in[(size_t)y[i]] += in[(size_t)y[i]];
		t->rows[(size_t)y[i]]++;
	}
	t->held += held.coverage / SPLITS;
	ge_conformal_release(&c);
}

static void
cover_classes(size_t k, int folds, uint64_t seed, const char *name)
{
	struct tally t;
	double in = 0, rows = 0;
	size_t i;
	int good = 1, split;

	memset(&t, 0, sizeof(t));
	for (split = 0; split < SPLITS; split++)
		split_of_classes(k, folds, &seed, &t);
	for (i = 0; i < k; i++) {
		in += t.in[i];
		rows += t.rows[i];
		good &= near(t.in[i] / t.rows[i], 0.9, 0.02);
	}
	printf("# %s: %.4f, held %.4f, %.3f classes a set\n", name, in / rows,
	    t.held, t.size);
	check(good && near(in / rows, 0.9, 0.02) && near(t.held, 0.9, 0.02) &&
	    t.size < (double)k, name);
}

/* Numbers whose spread is that of the prediction, or the same for all. */
static void
rows_of_numbers(int spreads, uint64_t *s)
{
	size_t i;

	for (i = 0; i < LEARN + TEST; i++) {
		p[i] = 10 * even(s);
		y[i] = p[i] + (double)ge_draw_normal(s) * (spreads ?
		    0.2 + p[i] / 4 : 1);
	}
}

static void
cover_numbers(int spreads, uint64_t seed, const char *name)
{
	struct ge_conformal_held held;
	struct ge_conformal c;
	double in = 0, own = 0, low, high;
	int split, chosen = 0;
	size_t i;

	for (split = 0; split < SPLITS; split++) {
		rows_of_numbers(spreads, &seed);
		if (ge_conformal_interval(&c, 0.9, p, y, NULL, LEARN, &held,
		    &e) == -1)
			abort();
		chosen += c.spread.n > 0;
		own += held.coverage / SPLITS;
		for (i = LEARN; i < LEARN + TEST; i++) {
			ge_conformal_bounds(&c, p[i], &low, &high);
			in += (y[i] >= low && y[i] <= high) /
			    (double)(SPLITS * TEST);
		}
		ge_conformal_release(&c);
	}
	printf("# %s: %.4f, held %.4f, a changing spread %d times\n", name, in,
	    own, chosen);
	check(near(in, 0.9, 0.02) && near(own, 0.9, 0.02) &&
	    (spreads ? chosen == SPLITS : chosen < SPLITS / 5), name);
}

static int
again(const struct ge_conformal *c, struct ge_conformal *d, size_t k)
{
	json_t *j = ge_conformal_json(c), *back;
	char *text = json_dumps(j, JSON_REAL_PRECISION(7));
	int rc;

	back = json_loads(text, 0, NULL);
	rc = ge_conformal_parse(d, back, k, &e);
	free(text);
	json_decref(j);
	json_decref(back);
	return (rc == 0 && d->kind == c->kind);
}

static void
saved(void)
{
	struct ge_margins m = { LEARN, K, margin, y, NULL, NULL };
	unsigned char in[2][K];
	double bound[4];
	struct ge_conformal c, d;
	uint64_t s = 5;
	size_t i;
	int good;

	rows_of_classes(K, &s);
	ge_conformal_sets(&c, 0.9, &m, NULL, &e);
	c.least[1] = -INFINITY;
	good = again(&c, &d, K);
	for (i = 0; good && i < LEARN; i++) {
		ge_conformal_in(&c, margin + i * K, in[0]);
		ge_conformal_in(&d, margin + i * K, in[1]);
		good = memcmp(in[0], in[1], K) == 0;
	}
	check(good, "saved sets are those used");
	ge_conformal_release(&c);
	ge_conformal_release(&d);
	rows_of_numbers(1, &s);
	ge_conformal_interval(&c, 0.9, p, y, NULL, LEARN, NULL, &e);
	good = again(&c, &d, 0) && d.spread.n == c.spread.n;
	for (i = 0; good && i < LEARN; i++) {
		ge_conformal_bounds(&c, p[i], bound, bound + 1);
		ge_conformal_bounds(&d, p[i], bound + 2, bound + 3);
		good = memcmp(bound, bound + 2, 2 * sizeof(*bound)) == 0;
	}
	check(good, "saved intervals are those used");
	ge_conformal_release(&d);
	c.radius = INFINITY;
	check(again(&c, &d, 0) && isinf(d.radius), "a radius without end");
	ge_conformal_release(&c);
	ge_conformal_release(&d);
}

static int
refused(const char *text, size_t k)
{
	struct ge_conformal c;
	json_t *j = json_loads(text, 0, NULL);
	int good = j != NULL && ge_conformal_parse(&c, j, k, &e) == -1 &&
	    e.code == GE_EREFUSED;

	if (!good)
		printf("# %s\n", text);
	json_decref(j);
	return (good);
}

static void
untrusted(void)
{
	struct ge_conformal c;

	check(refused("[]", 2) && refused("{}", 2) && refused("{}", 0) &&
	    refused("{\"coverage\": 1, \"radius\": 1}", 0) &&
	    refused("{\"coverage\": 0.9, \"radius\": 1}", 1) &&
	    refused("{\"coverage\": 0.9, \"radius\": -1}", 0) &&
	    refused("{\"coverage\": 0.9, \"radius\": \"1\"}", 0) &&
	    refused("{\"coverage\": 0.9}", 0) &&
	    refused("{\"coverage\": 0.9, \"radius\": 1, \"spread\": []}", 0) &&
	    refused("{\"coverage\": 0.9, \"radius\": 1, "
	    "\"spread\": [[0, 0]]}", 0) &&
	    refused("{\"coverage\": 0.9, \"least\": [1]}", 2) &&
	    refused("{\"coverage\": 0.9, \"least\": [1, 2, 3]}", 2) &&
	    refused("{\"coverage\": 0.9, \"least\": [1, true]}", 2) &&
	    refused("{\"coverage\": 0.9, \"least\": []}", 5000),
	    "untrusted members are refused");
	check(ge_conformal_parse(&c, NULL, 2, &e) == 0 &&
	    c.kind == GE_CONFORMAL_NONE && ge_conformal_json(&c) == NULL,
	    "no member is none");
}

int
main(void)
{

	by_hand();
	cover_classes(2, 0, 1, "two classes over 100 splits");
	cover_classes(3, 0, 2, "three classes over 100 splits");
	cover_classes(2, 1, 6, "two classes, folds of uneven margins");
	cover_classes(3, 1, 7, "three classes, folds of uneven margins");
	cover_numbers(0, 3, "numbers over 100 splits");
	cover_numbers(1, 4, "numbers of changing spread over 100 splits");
	saved();
	untrusted();
	return (bad);
}
