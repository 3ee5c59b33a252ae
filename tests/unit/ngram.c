/*
 * lib/model/ngram.c: probabilities against those that tests/vectors/ngram.py
 * computes in fractions; they sum to one; documents are apart.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/ngram.h"
#include "util/hook.h"

#define UNIT "ngram"
#include "check.h"

enum {
	VOCAB = 13, END = 12, MOST = 2000, NVAL = 300
};

static int32_t room[MOST], valroom[NVAL];
static void
die(const struct ge_err *e)
{

	fprintf(stderr, "ngram: %s\n", e->msg);
	exit(1);
}

/* stream() of ngram.py. */
static struct ge_tokens
stream(int32_t *v, uint32_t x, size_t n)
{
	int32_t last = 0;
	uint32_t r;
	size_t i;

	for (i = 0; i < n; i++) {
		x = (x * 1103515245u + 12345) & 0x7fffffff;
		r = x >> 16;
		last = r % 11 == 0 ? END : r % 3 == 0 ? (last * 5 + 1) % 12 :
		    (int32_t)((r >> 4) * (r >> 4) % 12);
		v[i] = last;
	}
	return ((struct ge_tokens){ v, n, END });
}

static struct ge_ngram *
model(const struct ge_tokens *t)
{
	struct ge_ngram *g;
	struct ge_err e;

	if ((g = ge_ngram_new(t, VOCAB, &e)) == NULL)
		die(&e);
	return (g);
}

static int
near(double a, double b)
{

	return (fabs(a - b) < 1e-12);
}

static int
sums_to_one(const struct ge_ngram *g)
{
	int32_t u, v, w;
	double p, sum;
	int good = 1;

	for (u = 0; u < VOCAB; u++)
		for (v = 0; v < VOCAB; v++) {
			for (sum = 0, w = 0; w < VOCAB; w++) {
				p = ge_ngram_prob(g, u, v, w);
				good &= p > 0;
				sum += p;
			}
			good &= near(sum, 1);
		}
	return (good);
}

static void
test_vectors(void)
{
	static const struct {
		size_t n;
		double unigram, trigram, p[3];
	} want[] = {
		{ 3, 2.37617344506335, 2.53346332153664,
		    { 0.205128205128205, 0.0384615384615385,
		    0.0384615384615385 } },
		{ 40, 2.13461771566587, 2.11953745009614,
		    { 0.609223602484472, 0.305211180124224,
		    0.0169875776397516 } },
		{ 2000, 1.89131846907607, 1.63355866756692,
		    { 0.183987441130298, 0.296289910968945,
		    0.121928283362615 } }
	};
	struct ge_tokens train, val = stream(valroom, 7, NVAL);
	struct ge_baseline b[3];
	struct ge_ngram *g;
	struct ge_err e;
	int good = 1, sums = 1;
	size_t i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		train = stream(room, 1, want[i].n);
		if (ge_baselines(&train, &val, VOCAB, b, &e) == -1)
			die(&e);
		g = model(&train);
		good &= near(b[0].nats, log(VOCAB)) &&
		    near(b[1].nats, want[i].unigram) &&
		    near(b[2].nats, want[i].trigram) &&
		    near(ge_ngram_prob(g, END, 3, 4), want[i].p[0]) &&
		    near(ge_ngram_prob(g, 1, 6, 7), want[i].p[1]) &&
		    near(ge_ngram_prob(g, 9, 0, END), want[i].p[2]);
		good &= strcmp(b[0].name, "constant") == 0 &&
		    strcmp(b[1].name, "unigram") == 0 &&
		    strcmp(b[2].name, "trigram") == 0 &&
		    b[2].bytes == ge_ngram_bytes(g) && b[2].seconds >= 0;
		sums &= sums_to_one(g);
		ge_ngram_free(g);
	}
	good &= ge_tokens_wanted(&val) == NVAL - 1;
	check(good, "as computed in fractions");
	check(sums, "probabilities are positive and sum to one");
}

/* The documents of the stream, the last one first. */
static struct ge_tokens
reversed(const struct ge_tokens *t, int32_t *v)
{
	size_t i, to = t->n, at = 0;

	for (i = t->n; i-- > 0;)
		if (i == 0 || t->v[i - 1] == END) {
			memcpy(v + at, t->v + i, (to - i) * sizeof(*v));
			at += to - i;
			to = i;
		}
	return ((struct ge_tokens){ v, t->n, END });
}

static void
test_documents(void)
{
	static int32_t other[MOST];
	struct ge_tokens train = stream(room, 1, MOST), back;
	struct ge_ngram *g, *h;
	int32_t u, v, w;
	int good = 1;

	room[MOST - 1] = END;
	back = reversed(&train, other);
	g = model(&train);
	h = model(&back);
	for (u = 0; u < VOCAB; u++)
		for (v = 0; v < VOCAB; v++)
			for (w = 0; w < VOCAB; w++)
				good &= ge_ngram_prob(g, u, v, w) ==
				    ge_ngram_prob(h, u, v, w);
	check(good && memcmp(room, other, sizeof(room)) != 0,
	    "documents are apart: their order changes no bit");
	ge_ngram_free(g);
	ge_ngram_free(h);
}

/* More words than the tables begin with have room for. */
static void
test_large(void)
{
	enum { WORDS = 5000, N = 200000 };
	static int32_t v[N];
	struct ge_tokens t = { v, N, WORDS - 1 };
	uint64_t x = 88172645463325252u;
	double sum = 0, first;
	struct ge_ngram *g, *h;
	struct ge_err e;
	int32_t w;
	size_t i;

	for (i = 0; i < N; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v[i] = (int32_t)(x % WORDS);
	}
	if ((g = ge_ngram_new(&t, WORDS, &e)) == NULL || (h = ge_ngram_new(&t,
	    WORDS, &e)) == NULL)
		die(&e);
	first = ge_ngram_prob(g, v[500], v[501], v[502]);
	for (w = 0; w < WORDS; w++)
		sum += ge_ngram_prob(g, v[500], v[501], w);
	check(near(sum, 1) && first > 0.01 && first == ge_ngram_prob(h,
	    v[500], v[501], v[502]) && ge_ngram_bytes(g) < N * 80,
	    "tables that grow keep all, the same each time");
	ge_ngram_free(g);
	ge_ngram_free(h);
}

static void
test_nothing(void)
{
	struct ge_tokens none = { room, 0, END }, one = { room, 1, END };
	struct ge_tokens val = stream(valroom, 7, NVAL);
	struct ge_baseline b[3];
	struct ge_err e;
	int good;

	good = ge_baselines(&none, &val, VOCAB, b, &e) == 0 &&
	    near(b[1].nats, log(VOCAB)) && near(b[2].nats, log(VOCAB)) &&
	    ge_baselines(&val, &none, VOCAB, b, &e) == 0 && b[0].nats == 0 &&
	    b[1].nats == 0 && b[2].nats == 0 &&
	    ge_baselines(&one, &one, VOCAB, b, &e) == 0 &&
	    ge_tokens_wanted(&none) == 0 && ge_tokens_wanted(&one) == 0;
	check(good, "no tokens to learn from, or to score");
}

static int
stop(void)
{

	return (1);
}

static void
test_stopped(void)
{
	struct ge_tokens t = stream(room, 1, MOST);
	struct ge_baseline b[3];
	struct ge_err e;

	if (ge_hook_open(stop, &e) == -1)
		die(&e);
	check(ge_baselines(&t, &t, VOCAB, b, &e) == -1 &&
	    e.code == GE_EFAIL && strcmp(e.msg, "interrupted") == 0,
	    "the hook stops it");
}

int
main(void)
{

	test_vectors();
	test_documents();
	test_large();
	test_nothing();
	test_stopped();
	return (bad);
}
