/*
 * tests/mpi.bats: training on several ranks, started by mpirun.
 *
 *	ranks wires		the messages between ranks, by themselves
 *	ranks train [name=number ...]	train, and rank 0 prints what came out
 */
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/draw.h"
#include "model/train.h"
#include "util/mem.h"

enum {
	N = 3000001, TOKENS = 6000, VOCAB = 40, LEN = 16
};

static struct ge_ranks *r;
static struct ge_err e;
static int32_t token[TOKENS];

/* The options of train. */
static struct {
	const char *name;
	double v;
} o[] = {
	{ "steps", 12 }, { "shards", 8 }, { "jobs", 1 }, { "lora", 0 },
	{ "outer", 0 }, { "lr", 0.003 }, { "stop", 0 }, { "bad", 0 }, { "die", 0 },
	{ "alike", 0 }, { "together", 0 }
};

static double
opt(const char *name)
{
	size_t i;

	for (i = 0; strcmp(o[i].name, name) != 0; i++)
		;
	return (o[i].v);
}

/* The one line of what is wrong, once. */
static int
fail(void)
{
	int code = e.code;

	if (ge_ranks_rank(r) == 0)
		fprintf(stderr, "ranks: %s\n", e.msg);
	ge_ranks_close(r);
	return (code);
}

static void
must(int good, const char *what)
{

	if (good)
		return;
	fprintf(stderr, "rank %d: %s\n", ge_ranks_rank(r), what);
	ge_ranks_abort(r, 9);
	exit(9);
}

/* What rank i has at place j: sums that depend on their order. */
static float
value(int i, size_t j)
{
	uint64_t s = (uint64_t)i << 32 | j;

	return (ge_draw_normal(&s) * (float)(1 + (j + (size_t)i) % 1000));
}

/* Neighbours first. */
static float
tree(int from, int n, size_t j)
{

	return (n == 1 ? value(from, j) : tree(from, n / 2, j) +
	    tree(from + n / 2, n / 2, j));
}

static void
sums(float *x, size_t n, size_t unit)
{
	int rank = ge_ranks_rank(r), size = ge_ranks_size(r), good = 1;
	size_t from, len, i;

	for (i = 0; i < n; i++)
		x[i] = value(rank, i);
	must(ge_ranks_sum(r, x, n, unit, NULL, &e) == 0, e.msg);
	ge_ranks_part(r, n, unit, &from, &len);
	must(from % unit == 0 || len == 0, "a part begins inside a unit");
	for (i = 0; i < n; i++)
		if (i - from >= len)
			x[i] = -1;
	must(ge_ranks_spread(r, x, n, sizeof(*x), unit, &e) == 0, e.msg);
	for (i = 0; i < n; i++)
		good &= x[i] == tree(0, size, i);
	must(good, "sums differ");
}

static int
wires(void)
{
	static const size_t most[] = { 0, 1, 2, 3, 5, 64, 1000, N };
	int rank = ge_ranks_rank(r), size = ge_ranks_size(r), v = rank * 7 % 5;
	float *x = ge_alloc(N * sizeof(*x), &e);
	int32_t *all = ge_alloc((size_t)size * sizeof(*all), &e);
	size_t i;

	must(x != NULL && all != NULL, e.msg);
	for (i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		sums(x, most[i], 1);
		sums(x, most[i], 64);
	}
	for (i = 0; i < N; i++)
		x[i] = rank == 0 ? value(9, i) : 0;
	must(ge_ranks_share(r, x, N * sizeof(*x), &e) == 0, e.msg);
	for (i = 0; i < N; i++)
		must(x[i] == value(9, i), "not what rank 0 shared");
	all[rank] = 100 + rank;
	must(ge_ranks_gather(r, all, sizeof(*all), &e) == 0, e.msg);
	for (i = 0; i < (size_t)size; i++)
		must(all[i] == 100 + (int32_t)i, "not what was gathered");
	must(ge_ranks_most(r, &v, &e) == 0, e.msg);
	for (i = 0; i < (size_t)size; i++)
		must(v >= (int)(i * 7 % 5), "not the most");
	must(ge_ranks_agree(r, 0, &e) == 0, "agreed on nothing");
	ge_fail(&e, GE_ELOST, "rank %d says so", rank);
	must(ge_ranks_agree(r, size == 1 || rank > size / 2 - 1 ? -1 : 0,
	    &e) == -1 && e.code == GE_ELOST, "did not agree");
	if (rank == 0)
		printf("%s\n", e.msg);
	ge_free(x);
	ge_free(all);
	ge_ranks_close(r);
	return (0);
}

/* FNV-1a, to compare by. */
static uint64_t
mark(const float *v, size_t n)
{
	const uint8_t *b = (const uint8_t *)v;
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < n * sizeof(*v); i++)
		h = (h ^ b[i]) * 0x100000001b3u;
	return (h);
}

static void
set_opts(struct ge_train_opts *t)
{
	const struct ge_train_opts base = {
		.dims = { VOCAB, 128, 2, 4, 2, 32, 352, 32, 1, 10000, 1e-5f },
		.seed = 7, .batch = 16, .len = LEN, .warmup = 3,
		.schedule = GE_WSD, .lr_end = 1e-4f, .b1 = 0.9f, .b2 = 0.95f,
		.eps = 1e-8f, .decay = 0.1f, .clip = 1, .outer_lr = 0.7f,
		.outer_momentum = 0.9f
	};

	*t = base;
	t->shards = (size_t)opt("shards");
	t->steps = (uint64_t)opt("steps");
	t->lr = (float)opt("lr");
	t->lora.rank = (size_t)opt("lora");
	t->lora.alpha = 8;
	t->outer = (uint64_t)opt("outer");
	t->together = (uint64_t)opt("together");
	t->ranks = r;
}

/* As if it had been stopped and begun anew from what was saved. */
static struct ge_train *
again(struct ge_train *t, const struct ge_train_opts *opts,
    const struct ge_tokens *data, struct ge_pool *pool)
{
	struct ge_train *u = ge_train_new(opts, data, pool, &e);
	size_t len = t->ntheta * sizeof(float);

	must(u != NULL && ge_train_whole(t, &e) == 0, e.msg);
	if (ge_ranks_rank(r) == 0 || opts->outer > 0) {
		memcpy(u->theta, t->theta, len);
		memcpy(u->m, t->m, len);
		memcpy(u->v, t->v, len);
		u->step = t->step;
		u->b1t = t->b1t;
		u->b2t = t->b2t;
		if (t->outer != NULL) {
			memcpy(u->outer, t->outer, len);
			memcpy(u->outer_m, t->outer_m, len);
		}
	}
	must(ge_train_changed(u, &e) == 0, e.msg);
	ge_train_free(t);
	return (u);
}

static int
train(void)
{
	struct ge_tokens data = { token, TOKENS * 9 / 10, 0 };
	struct ge_tokens val = { token + data.n, TOKENS - data.n, 0 };
	struct ge_train_opts opts;
	struct ge_pool *pool = ge_pool_new((int)opt("jobs"), &e);
	struct ge_train *t;
	uint64_t s = 3;
	double nats;
	size_t i;

	for (i = 0; i < TOKENS; i++)
		token[i] = opt("alike") > 0 ? (int32_t)(1 + i % LEN * 5 %
		    (VOCAB - 1)) : i % 37 == 36 ? 0 : 1 + (int32_t)((i * i +
		    ge_draw(&s) % 3) % (VOCAB - 1));
	set_opts(&opts);
	if ((t = ge_train_new(&opts, &data, pool, &e)) == NULL)
		return (fail());
	while (t->step < opts.steps) {
		if (t->step > 0 && t->step == (uint64_t)opt("stop"))
			t = again(t, &opts, &data, pool);
		if (t->step > 0 && t->step == (uint64_t)opt("bad") &&
		    ge_ranks_rank(r) == ge_ranks_size(r) - 1)
			t->params[0] = NAN;
		if (t->step > 0 && t->step == (uint64_t)opt("die") &&
		    ge_ranks_rank(r) == ge_ranks_size(r) - 1)
			raise(SIGKILL);
		if (ge_train_step(t, &e) == -1)
			return (fail());
	}
	if (ge_train_eval(t, &val, UINT64_MAX, &nats, &e) == -1 ||
	    ge_train_whole(t, &e) == -1)
		return (fail());
	if (ge_ranks_rank(r) == 0)
		printf("%016llx %016llx %016llx %.17g %.17g %.17g\n",
		    (unsigned long long)mark(t->params, t->nparams),
		    (unsigned long long)mark(t->m, t->ntheta),
		    (unsigned long long)mark(t->v, t->ntheta),
		    t->loss, t->norm, nats);
	ge_train_free(t);
	ge_pool_free(pool);
	ge_ranks_close(r);
	return (0);
}

int
main(int argc, char **argv)
{
	size_t i;
	int a;

	for (a = 2; a < argc; a++)
		for (i = 0; i < sizeof(o) / sizeof(o[0]); i++)
			if (strncmp(argv[a], o[i].name, strlen(o[i].name)) ==
			    0)
				o[i].v = strtod(strchr(argv[a], '=') + 1,
				    NULL);
	if (ge_ranks_open(&r, &e) == -1)
		return (fail());
	return (argc > 1 && strcmp(argv[1], "wires") == 0 ? wires() : train());
}
