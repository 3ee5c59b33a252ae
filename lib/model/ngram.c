#include <math.h>
#include <string.h>

#include "model/ngram.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/thread.h"

#define NONE	UINT32_MAX

enum {
	PAIRS_MOST = 1 << 23,
	TRIPLES_MOST = 3 << 23,
	PART = 1 << 16			/* tokens between calls of the hook */
};

/* A context: how often, and how many words followed once, twice, more often. */
struct after {
	uint32_t total, n[3];
};

/*
 * A pair is counted by the number of different words before it, a word by that
 * of the pairs it ends.
 */
struct pair {
	uint32_t left, right;
	uint32_t count;
	struct after after;
};

struct word {
	uint32_t count;
	struct after after;
};

struct triple {
	uint32_t context;		/* 1 + its pair; 0: free */
	uint32_t right;
	uint32_t count;
};

struct ge_ngram {
	size_t vocab;
	struct word *word;		/* [vocab] */
	struct pair *pair;
	size_t npairs, cappairs;
	uint32_t *index;		/* hash table: 1 + number of a pair */
	size_t nindex;
	struct triple *triple;		/* hash table */
	size_t ntriples, nslots;
	struct after after;		/* nothing */
	double discount[3][3];		/* of order - 1; of 1, 2, more */
};

static size_t
hash(uint32_t a, uint32_t b)
{
	uint64_t x = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
	return ((size_t)(x ^ x >> 32));
}

/* Where the pair is in the index, or would be. */
static size_t
pair_slot(const struct ge_ngram *g, uint32_t left, uint32_t right)
{
	size_t i = hash(left, right) & (g->nindex - 1);
	const struct pair *p;

	for (; g->index[i] != 0; i = (i + 1) & (g->nindex - 1)) {
		p = &g->pair[g->index[i] - 1];
		if (p->left == left && p->right == right)
			break;
	}
	return (i);
}

static uint32_t
find_pair(const struct ge_ngram *g, uint32_t left, uint32_t right)
{

	return (g->index[pair_slot(g, left, right)] - 1);
}

static size_t
triple_slot(const struct triple *t, size_t n, uint32_t context,
    uint32_t right)
{
	size_t i = hash(context, right) & (n - 1);

	while (t[i].context != 0 && (t[i].context != context ||
	    t[i].right != right))
		i = (i + 1) & (n - 1);
	return (i);
}

static uint32_t
find_triple(const struct ge_ngram *g, uint32_t pair, uint32_t right)
{

	return (g->triple[triple_slot(g->triple, g->nslots, pair + 1,
	    right)].count);
}

static int
grow_index(struct ge_ngram *g, struct ge_err *e)
{
	uint32_t *index;
	size_t i;

	if ((index = ge_alloc(2 * g->nindex * sizeof(*index), e)) == NULL)
		return (-1);
	ge_free(g->index);
	g->index = index;
	g->nindex *= 2;
	for (i = 0; i < g->npairs; i++)
		index[pair_slot(g, g->pair[i].left, g->pair[i].right)] =
		    (uint32_t)i + 1;
	return (0);
}

static int
grow_triples(struct ge_ngram *g, struct ge_err *e)
{
	struct triple *t, *old = g->triple;
	size_t i, n = 2 * g->nslots;

	if ((t = ge_alloc(n * sizeof(*t), e)) == NULL)
		return (-1);
	for (i = 0; i < g->nslots; i++)
		if (old[i].context != 0)
			t[triple_slot(t, n, old[i].context, old[i].right)] =
			    old[i];
	ge_free(old);
	g->triple = t;
	g->nslots = n;
	return (0);
}

/* The number of the pair, NONE if there is no room for it. */
static int
add_pair(struct ge_ngram *g, uint32_t left, uint32_t right, uint32_t *out,
    struct ge_err *e)
{
	size_t i = pair_slot(g, left, right);

	if (g->index[i] == 0 && g->npairs < PAIRS_MOST) {
		if (ge_grow(&g->pair, &g->cappairs, g->npairs + 1,
		    sizeof(*g->pair), e) == -1)
			return (-1);
		if (g->npairs >= g->nindex / 2) {
			if (grow_index(g, e) == -1)
				return (-1);
			i = pair_slot(g, left, right);
		}
		g->pair[g->npairs] = (struct pair){ left, right, 0,
		    { 0, { 0 } } };
		g->index[i] = (uint32_t)++g->npairs;
	}
	*out = g->index[i] - 1;
	return (0);
}

/* One more of a triple; of its kind the first is one more of its last pair. */
static int
add_triple(struct ge_ngram *g, uint32_t context, uint32_t pair,
    struct ge_err *e)
{
	uint32_t right = g->pair[pair].right;
	size_t i = triple_slot(g->triple, g->nslots, context + 1, right);

	if (g->triple[i].context == 0) {
		if (g->ntriples == TRIPLES_MOST)
			return (0);
		if (g->ntriples >= g->nslots / 4 * 3) {
			if (grow_triples(g, e) == -1)
				return (-1);
			i = triple_slot(g->triple, g->nslots, context + 1,
			    right);
		}
		g->triple[i] = (struct triple){ context + 1, right, 0 };
		g->ntriples++;
		g->pair[pair].count++;
	}
	g->triple[i].count++;
	return (0);
}

static int
count(struct ge_ngram *g, const struct ge_tokens *data, struct ge_err *e)
{
	uint64_t i, n = data->n < UINT32_MAX ? data->n : UINT32_MAX;
	uint32_t context = NONE, pair, end = (uint32_t)data->end, last = end;

	for (i = 0; i < n; i++) {
		if (i % PART == 0 && ge_hook_tick(0, e) == -1)
			return (-1);
		if (last == end && add_pair(g, end, end, &context, e) == -1)
			return (-1);
		if (add_pair(g, last, (uint32_t)data->v[i], &pair, e) == -1)
			return (-1);
		if (context != NONE && pair != NONE &&
		    add_triple(g, context, pair, e) == -1)
			return (-1);
		context = pair;
		last = (uint32_t)data->v[i];
	}
	return (0);
}

static void
follow(struct after *a, uint32_t n, uint64_t kinds[4])
{

	if (n == 0)
		return;
	a->total += n;
	a->n[n < 3 ? n - 1 : 2]++;
	if (n <= 4)
		kinds[n - 1]++;
}

/*
 * Chen and Goodman's estimate from how many have the counts 1 to 4; halves
 * where there are too few to estimate from; never nothing, lest something be
 * impossible.
 */
static void
discount(double d[3], const uint64_t n[4])
{
	double y;
	int i;

	y = n[0] == 0 ? 0 : (double)n[0] / (double)(n[0] + 2 * n[1]);
	for (i = 0; i < 3; i++) {
		d[i] = n[0] == 0 || n[1] == 0 || n[2] == 0 ? 0.5 * (i + 1) :
		    i + 1 - (i + 2) * y * (double)n[i + 1] / (double)n[i];
		d[i] = d[i] < 0.1 ? 0.1 : d[i];
	}
}

static void
sum_up(struct ge_ngram *g)
{
	uint64_t kinds[3][4] = { { 0 } };
	const struct triple *t;
	const struct pair *p;
	size_t i;

	for (i = 0; i < g->nslots; i++) {
		t = &g->triple[i];
		if (t->context != 0)
			follow(&g->pair[t->context - 1].after, t->count,
			    kinds[2]);
	}
	for (i = 0; i < g->npairs; i++) {
		p = &g->pair[i];
		follow(&g->word[p->left].after, p->count, kinds[1]);
		g->word[p->right].count += p->count > 0;
	}
	for (i = 0; i < g->vocab; i++)
		follow(&g->after, g->word[i].count, kinds[0]);
	for (i = 0; i < 3; i++)
		discount(g->discount[i], kinds[i]);
}

struct ge_ngram *
ge_ngram_new(const struct ge_tokens *data, size_t vocab, struct ge_err *e)
{
	struct ge_ngram *g;

	if ((g = ge_alloc(sizeof(*g), e)) == NULL)
		return (NULL);
	g->vocab = vocab;
	g->nindex = g->nslots = 1024;
	if ((g->word = ge_alloc(vocab * sizeof(*g->word), e)) == NULL ||
	    (g->index = ge_alloc(g->nindex * sizeof(*g->index), e)) == NULL ||
	    (g->triple = ge_alloc(g->nslots * sizeof(*g->triple), e)) ==
	    NULL || count(g, data, e) == -1) {
		ge_ngram_free(g);
		return (NULL);
	}
	sum_up(g);
	return (g);
}

void
ge_ngram_free(struct ge_ngram *g)
{

	if (g == NULL)
		return;
	ge_free(g->word);
	ge_free(g->pair);
	ge_free(g->index);
	ge_free(g->triple);
	ge_free(g);
}

uint64_t
ge_ngram_bytes(const struct ge_ngram *g)
{

	return (sizeof(*g) + g->vocab * sizeof(*g->word) + g->cappairs *
	    sizeof(*g->pair) + g->nindex * sizeof(*g->index) + g->nslots *
	    sizeof(*g->triple));
}

/* What is taken off the counts after a context goes to the shorter one's p. */
static double
interpolate(const struct after *a, const double d[3], uint32_t n, double p)
{
	double kept = n == 0 ? 0 : (double)n - d[n < 3 ? n - 1 : 2];

	if (a->total == 0)
		return (p);
	return ((kept + (d[0] * a->n[0] + d[1] * a->n[1] + d[2] * a->n[2]) *
	    p) / a->total);
}

/* context: the pair of the two before; pair: of the last of them and w. */
static double
prob(const struct ge_ngram *g, uint32_t context, uint32_t pair, int32_t v,
    int32_t w)
{
	double p = 1 / (double)g->vocab;

	p = interpolate(&g->after, g->discount[0], g->word[w].count, p);
	p = interpolate(&g->word[v].after, g->discount[1], pair == NONE ? 0 :
	    g->pair[pair].count, p);
	if (context == NONE)
		return (p);
	return (interpolate(&g->pair[context].after, g->discount[2],
	    find_triple(g, context, (uint32_t)w), p));
}

double
ge_ngram_prob(const struct ge_ngram *g, int32_t u, int32_t v, int32_t w)
{

	return (prob(g, find_pair(g, (uint32_t)u, (uint32_t)v), find_pair(g,
	    (uint32_t)v, (uint32_t)w), v, w));
}

uint64_t
ge_tokens_wanted(const struct ge_tokens *data)
{

	return (data->n > 0 ? data->n - 1 : 0);
}

static int
trigram(struct ge_baseline *b, const struct ge_tokens *train,
    const struct ge_tokens *val, size_t vocab, struct ge_err *e)
{
	struct ge_ngram *g;
	uint32_t context = NONE, pair;
	const int32_t *v = val->v;
	double nats = 0;
	uint64_t i;
	int rc = -1;

	if ((g = ge_ngram_new(train, vocab, e)) == NULL)
		return (-1);
	for (i = 0; i + 1 < val->n; i++) {
		if (i % PART == 0 && ge_hook_tick(0, e) == -1)
			goto out;
		if (i == 0 || v[i] == val->end)
			context = find_pair(g, (uint32_t)val->end,
			    (uint32_t)v[i]);
		pair = find_pair(g, (uint32_t)v[i], (uint32_t)v[i + 1]);
		nats -= log(prob(g, context, pair, v[i], v[i + 1]));
		context = pair;
	}
	b->nats = nats;
	b->bytes = ge_ngram_bytes(g);
	rc = 0;
out:
	ge_ngram_free(g);
	return (rc);
}

static int
unigram(struct ge_baseline *b, const struct ge_tokens *train,
    const struct ge_tokens *val, size_t vocab, struct ge_err *e)
{
	uint64_t *n, i, sum = vocab + train->n;
	double nats = 0;

	b->bytes = vocab * sizeof(*n);
	if ((n = ge_alloc((size_t)b->bytes, e)) == NULL)
		return (-1);
	for (i = 0; i < train->n; i++)
		n[train->v[i]]++;
	for (i = 0; i + 1 < val->n; i++)
		nats -= log((double)(n[val->v[i + 1]] + 1) / (double)sum);
	b->nats = nats;
	ge_free(n);
	return (0);
}

int
ge_baselines(const struct ge_tokens *train, const struct ge_tokens *val,
    size_t vocab, struct ge_baseline out[GE_BASELINES], struct ge_err *e)
{
	uint64_t wanted = ge_tokens_wanted(val);
	double begin = ge_clock(), end;

	out[0] = (struct ge_baseline){ "constant", wanted > 0 ?
	    log((double)vocab) : 0, 0, 0 };
	out[1] = (struct ge_baseline){ "unigram", 0, 0, 0 };
	out[2] = (struct ge_baseline){ "trigram", 0, 0, 0 };
	if (unigram(&out[1], train, val, vocab, e) == -1)
		return (-1);
	end = ge_clock();
	out[1].seconds = end - begin;
	if (trigram(&out[2], train, val, vocab, e) == -1)
		return (-1);
	out[2].seconds = ge_clock() - end;
	if (wanted > 0) {
		out[1].nats /= (double)wanted;
		out[2].nats /= (double)wanted;
	}
	return (0);
}
