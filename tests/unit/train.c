/*
 * lib/model/train.c: steps against a reference in doubles, the schedules, what is
 * kept when a loss is no number, DiLoCo alone, memory, and that it learns.
 */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/draw.h"
#include "model/ops.h"
#include "model/train.h"
#include "util/mem.h"

#define UNIT "train"
#include "check.h"

enum {
	VOCAB = 19, BATCH = 8, LEN = 12, ROWS = BATCH * LEN
};

static const struct ge_train_opts opts = {
	.dims = { VOCAB, 16, 2, 4, 2, 4, 24, LEN, 1, 10000, 1e-5f },
	.seed = 3, .batch = BATCH, .len = LEN, .shards = 4, .steps = 100,
	.warmup = 3, .lr = 0.01f, .lr_end = 0.001f, .b1 = 0.9f, .b2 = 0.95f,
	.eps = 1e-4f, .decay = 0.1f, .outer_lr = 0.7f, .outer_momentum = 0.9f
};
static int32_t token[ROWS + 1];
static const struct ge_tokens data = { token, ROWS + 1, 0 };
static struct ge_err e;
static void *
room(size_t n, size_t size)
{
	void *p = ge_alloc(n * size, &e);

	if (p == NULL)
		exit(1);
	return (p);
}

static struct ge_train *
make(const struct ge_train_opts *o, const struct ge_tokens *from)
{
	struct ge_train *t = ge_train_new(o, from, NULL, &e);

	if (t == NULL) {
		printf("# %s\n", e.msg);
		exit(1);
	}
	return (t);
}

static void
steps(struct ge_train *t, uint64_t n)
{

	while (t->step < n)
		if (ge_train_step(t, &e) == -1) {
			printf("# %s\n", e.msg);
			exit(1);
		}
}

static int
near(double x, double want, double part)
{

	return (fabs(x - want) <= part * fabs(want));
}

static void
test_schedules(void)
{
	struct ge_train_opts o = { .lr = 1, .lr_end = 0.1f, .warmup = 10,
	    .steps = 100 };
	uint64_t s;
	int good;

	good = near((double)ge_train_lr(&o, 0), 0.1, 1e-6) &&
	    near((double)ge_train_lr(&o, 4), 0.5, 1e-6) &&
	    near((double)ge_train_lr(&o, 9), 1, 0) &&
	    near((double)ge_train_lr(&o, 10), 1, 0) &&
	    near((double)ge_train_lr(&o, 40), 0.1 + 0.9 * 0.75, 1e-6) &&
	    near((double)ge_train_lr(&o, 55), 0.55, 1e-6) &&
	    near((double)ge_train_lr(&o, 70), 0.1 + 0.9 * 0.25, 1e-6) &&
	    near((double)ge_train_lr(&o, 100), 0.1, 1e-6) &&
	    near((double)ge_train_lr(&o, 145), 0.1, 1e-6) &&
	    near((double)ge_train_lr(&o, 1000), 0.1, 1e-6);
	for (s = 10; s < 100; s++)
		good &= ge_train_lr(&o, s) >= ge_train_lr(&o, s + 1);
	check(good, "up in a line, down along a cosine");
	o.schedule = GE_WSD;
	good = near((double)ge_train_lr(&o, 4), 0.5, 1e-6) &&
	    near((double)ge_train_lr(&o, 10), 1, 0) &&
	    near((double)ge_train_lr(&o, 80), 1, 0) &&
	    near((double)ge_train_lr(&o, 90), 0.55, 1e-6) &&
	    near((double)ge_train_lr(&o, 100), 0.1, 1e-6) &&
	    near((double)ge_train_lr(&o, 101), 0.1, 1e-6);
	check(good, "up, steady, down over the last fifth");
	o.warmup = 200;
	good = near((double)ge_train_lr(&o, 99), 0.5, 1e-6);
	o.schedule = GE_COSINE;
	good &= near((double)ge_train_lr(&o, 99), 0.5, 1e-6) &&
	    near((double)ge_train_lr(&o, 200), 1, 0);
	o.warmup = 0;
	good &= near((double)ge_train_lr(&o, 0), 1, 0);
	check(good, "a warm-up longer than all steps, and none");
}

/* The paper's algorithm 2, a number at a time. */
struct adam {
	double w, m, v;
};

static void
adam_step(struct adam *a, double g, double lr, int t,
    const struct ge_train_opts *o, double decay)
{
	double b1 = (double)o->b1, b2 = (double)o->b2;

	a->m = b1 * a->m + (1 - b1) * g;
	a->v = b2 * a->v + (1 - b2) * g * g;
	a->w -= lr * (a->m / (1 - pow(b1, t)) / (sqrt(a->v / (1 -
	    pow(b2, t))) + (double)o->eps) + decay * a->w);
}

static void
test_adamw(void)
{
	enum { N = 37, STEPS = 200 };
	struct adam want[N];
	float w[N], m[N] = { 0 }, v[N] = { 0 }, g[N];
	struct ge_adamw a = { .lr = 0.003f, .b1 = opts.b1, .b2 = opts.b2,
	    .eps = opts.eps, .decay = 0.1f, .clip = 0.25f };
	uint64_t seed = 9;
	double worst = 0, off;
	int t, i;

	for (i = 0; i < N; i++) {
		w[i] = ge_draw_normal(&seed);
		want[i] = (struct adam){ (double)w[i], 0, 0 };
	}
	for (t = 1; t <= STEPS; t++) {
		for (i = 0; i < N; i++) {
			g[i] = ge_draw_normal(&seed) * (float)(1 + i);
			adam_step(&want[i], 0.25 * (double)g[i], 0.003, t,
			    &opts, 0.1);
		}
		a.c1 = (float)(1 - pow((double)a.b1, t));
		a.c2 = (float)(1 - pow((double)a.b2, t));
		ge_ops()->adamw(w, m, v, g, N, &a);
	}
	for (i = 0; i < N; i++) {
		off = fabs((double)w[i] - want[i].w);
		worst = off > worst ? off : worst;
	}
	printf("# off by %.2g\n", worst);
	check(worst < 2e-5, "AdamW as it is written");
}

/* All windows of data at once; the order in which they come is no matter. */
static double
gradient(const struct ge_train_opts *o, const float *params, float *g)
{
	static int32_t target[ROWS];
	static uint32_t begin[ROWS];
	struct ge_llama_work *w;
	double loss;
	size_t i;

	for (i = 0; i < ROWS; i++) {
		target[i] = token[i + 1];
		begin[i] = i % LEN == 0 ? 0 : token[i] == data.end ?
		    (uint32_t)(i % LEN) : begin[i - 1];
	}
	if ((w = ge_llama_work_new(&o->dims, BATCH, LEN, GE_F32, NULL, &e)) ==
	    NULL)
		exit(1);
	loss = ge_llama_loss(w, params, g, token, target, begin,
	    1 / (float)ROWS);
	ge_llama_work_free(w);
	return (loss);
}

static void
reference_step(const struct ge_train_opts *o, struct adam *a, float *p,
    float *g, size_t n, int t, double *loss, double *norm)
{
	struct ge_tensor y;
	double s = 0, clip;
	size_t i, j;

	for (i = 0; i < n; i++)
		p[i] = (float)a[i].w;
	memset(g, 0, n * sizeof(*g));
	*loss = gradient(o, p, g) / ROWS;
	for (i = 0; i < n; i++)
		s += (double)g[i] * (double)g[i];
	*norm = sqrt(s);
	clip = o->clip > 0 && *norm > (double)o->clip ? (double)o->clip /
	    *norm : 1;
	for (i = 0; ge_llama_tensor(&o->dims, i, &y); i++)
		for (j = y.off; j < y.off + y.rows * (y.cols > 0 ? y.cols :
		    1); j++)
			adam_step(&a[j], clip * (double)g[j],
			    (double)ge_train_lr(o, (uint64_t)t - 1), t, o,
			    strstr(y.name, "norm") == NULL ?
			    (double)o->decay : 0);
}

static void
test_steps(float clip, size_t shards, const char *name)
{
	struct ge_train_opts o = opts;
	struct ge_train *t;
	struct adam *a;
	float *p, *g;
	double loss, norm, off, worst = 0;
	size_t i, n;
	int s, good = 1;

	o.clip = clip;
	o.shards = shards;
	t = make(&o, &data);
	n = t->nparams;
	a = room(n, sizeof(*a));
	p = room(n, sizeof(*p));
	g = room(n, sizeof(*g));
	for (i = 0; i < n; i++)
		a[i].w = (double)t->params[i];
	for (s = 1; s <= 6; s++) {
		reference_step(&o, a, p, g, n, s, &loss, &norm);
		steps(t, (uint64_t)s);
		good &= near(t->loss, loss, 1e-5) && near(t->norm, norm, 1e-4);
		good &= clip == 0 || norm > (double)clip;
	}
	for (i = 0; i < n; i++) {
		off = fabs((double)t->params[i] - a[i].w);
		worst = off > worst ? off : worst;
	}
	printf("# off by %.2g\n", worst);
	check(good && worst < 2e-5, name);
	ge_train_free(t);
	ge_free(a);
	ge_free(p);
	ge_free(g);
}

/* What a training is, to compare by. */
static int
same(const struct ge_train *t, const struct ge_train *u)
{
	size_t len = t->ntheta * sizeof(float);

	return (t->step == u->step && memcmp(&t->b1t, &u->b1t,
	    sizeof(t->b1t)) == 0 && memcmp(t->theta, u->theta, len) == 0 &&
	    memcmp(t->m, u->m, len) == 0 && memcmp(t->v, u->v, len) == 0 &&
	    memcmp(t->params, u->params, t->nparams * sizeof(float)) == 0);
}

static void
test_not_a_number(void)
{
	struct ge_train *t = make(&opts, &data), *u = make(&opts, &data);
	struct ge_train_opts o = opts;
	float keep, *base;
	size_t i;
	int good;

	steps(t, 4);
	steps(u, 4);
	keep = t->params[7];
	t->params[7] = NAN;
	good = ge_train_step(t, &e) == -1 && e.code == GE_EFAIL &&
	    strcmp(e.msg, "step 5: the loss is not a number") == 0 &&
	    isnan(t->loss);
	t->params[7] = keep;
	check(good && same(t, u), "a loss that is no number changes nothing");
	steps(t, 9);
	steps(u, 9);
	check(same(t, u), "and training can go on");

	base = room(u->nparams, sizeof(*base));
	memcpy(base, u->params, u->nparams * sizeof(*base));
	for (i = 0; i < (size_t)VOCAB * o.dims.dim; i++)
		base[i] *= 1e-20f;
	o.dims.eps = 1e-38f;
	o.dims.layers = 1;
	o.base = base;
	for (i = (size_t)VOCAB * o.dims.dim; i < u->nparams; i++)
		base[i] *= i % 3 == 0 ? 1e-12f : 1e-9f;
	ge_train_free(t);
	t = make(&o, &data);
	for (i = t->nparams - o.dims.dim; i < t->nparams; i++)
		t->params[i] = 1e30f;
	good = ge_train_step(t, &e) == -1 && isfinite(t->loss) &&
	    strcmp(e.msg, "step 1: the gradient is not a number") == 0;
	check(good && t->step == 0, "nor does such a gradient");
	ge_train_free(t);
	ge_train_free(u);
	ge_free(base);
}

static void
test_base(void)
{
	struct ge_train_opts o = opts;
	size_t n = ge_llama_params(&o.dims), i;
	float *base = room(n, sizeof(*base));
	struct ge_train *t;
	uint64_t seed = 1;
	int good;

	for (i = 0; i < n; i++)
		base[i] = i % 5 == 0 ? -0.0f : 0.1f * ge_draw_normal(&seed);
	o.base = base;
	t = make(&o, &data);
	check(memcmp(t->params, base, n * sizeof(*base)) == 0,
	    "begins from the weights given");
	ge_train_free(t);
	o.lora = (struct ge_lora){ 2, 4 };
	t = make(&o, &data);
	good = memcmp(t->params, base, n * sizeof(*base)) == 0;
	check(good && t->ntheta == ge_lora_params(&o.dims, 2),
	    "with LoRA too, to the bit");
	ge_train_free(t);
	ge_free(base);
}

static void
copy(struct ge_train *u, const struct ge_train *t)
{
	size_t len = t->ntheta * sizeof(float);

	memcpy(u->theta, t->theta, len);
	memcpy(u->m, t->m, len);
	memcpy(u->v, t->v, len);
	u->step = t->step;
	u->b1t = t->b1t;
	u->b2t = t->b2t;
	if (t->outer == NULL)
		return;
	memcpy(u->outer, t->outer, len);
	memcpy(u->outer_m, t->outer_m, len);
}

static void
test_go_on(size_t lora, uint64_t outer, const char *name)
{
	struct ge_train_opts o = opts;
	struct ge_train *t, *u;

	o.lora = (struct ge_lora){ lora, 4 };
	o.outer = outer;
	t = make(&o, &data);
	u = make(&o, &data);
	steps(t, 5);
	if (ge_train_whole(t, &e) == -1)
		exit(1);
	copy(u, t);
	if (ge_train_changed(u, &e) == -1)
		exit(1);
	steps(t, 12);
	steps(u, 12);
	check(same(t, u), name);
	ge_train_free(t);
	ge_train_free(u);
}

/* Two rounds of three steps, the first two with AdamW's own state known. */
static void
test_outer(void)
{
	struct ge_train_opts o = opts, plain = opts;
	struct ge_train *t, *u;
	double *w, *m, x, off, worst = 0;
	size_t i, n;
	int round;

	o.outer = 3;
	t = make(&o, &data);
	u = make(&plain, &data);
	n = t->ntheta;
	w = room(n, sizeof(*w));
	m = room(n, sizeof(*m));
	for (i = 0; i < n; i++)
		w[i] = (double)u->theta[i];
	for (round = 1; round <= 3; round++) {
		steps(u, 3 * (uint64_t)round);
		for (i = 0; i < n; i++) {
			x = w[i] - (double)u->theta[i];
			m[i] = 0.9 * m[i] + x;
			w[i] -= 0.7 * (x + 0.9 * m[i]);
			u->theta[i] = (float)w[i];
		}
		steps(t, 3 * (uint64_t)round - 1);
		check(t->joined != t->step, "an exchange is due");
		steps(t, 3 * (uint64_t)round);
		check(t->joined == t->step, "and made");
	}
	for (i = 0; i < n; i++) {
		off = fabs((double)t->theta[i] - w[i]);
		worst = off > worst ? off : worst;
	}
	printf("# off by %.2g\n", worst);
	check(worst < 1e-5, "Nesterov's momentum between rounds");
	steps(t, 10);
	check(ge_train_join(t, &e) == 0 && t->joined == 10 &&
	    memcmp(t->theta, t->outer, n * sizeof(float)) == 0,
	    "an exchange before its time");
	ge_train_free(t);
	ge_train_free(u);
	ge_free(w);
	ge_free(m);
}

static void
test_eval(void)
{
	struct ge_train *t = make(&opts, &data);
	struct ge_tokens some = { token, 5 * LEN + 1, 0 };
	double nats, want, part;

	want = gradient(&opts, t->params, NULL) / ROWS;
	check(ge_train_eval(t, &data, UINT64_MAX, &nats, &e) == 0 &&
	    near(nats, want, 1e-6), "nats a token");
	check(ge_train_eval(t, &some, UINT64_MAX, &part, &e) == 0 &&
	    ge_train_eval(t, &data, 5, &nats, &e) == 0 && near(part, nats, 0)
	    && !near(part, want, 1e-6), "of so many windows");
	some.n = LEN;
	check(ge_train_eval(t, &some, 9, &nats, &e) == 0 && near(nats, 0, 0),
	    "none of nothing");
	ge_train_free(t);
}

static void
test_rehearse(void)
{
	struct ge_train *t = make(&opts, &data), *u = make(&opts, &data);

	steps(t, 3);
	steps(u, 3);
	check(ge_train_rehearse(t, &e) == 0 && same(t, u),
	    "a rehearsal changes nothing");
	steps(t, 6);
	steps(u, 6);
	check(same(t, u), "nor what comes after it");
	ge_train_free(t);
	ge_train_free(u);
}

static void
refused(struct ge_train_opts o, const struct ge_tokens *from, const char *why)
{
	struct ge_train *t = ge_train_new(&o, from, NULL, &e);

	check(t == NULL && e.code == GE_EUSAGE && strcmp(e.msg, why) == 0,
	    why);
	ge_train_free(t);
}

static void
test_refused(void)
{
	struct ge_tokens few = { token, LEN, 0 };
	struct ge_train_opts o = opts;

	refused(o, &few, "too few tokens of data for sequences of 12");
	o.shards = 3;
	refused(o, &data, "a batch of 8 cannot be cut into 3 shards");
	o.shards = 16;
	refused(o, &data, "a batch of 8 cannot be cut into 16 shards");
	o.shards = 0;
	refused(o, &data, "a batch of 8 cannot be cut into 0 shards");
	o.shards = 4;
	o.lora = (struct ge_lora){ 2, NAN };
	refused(o, &data, "alpha of LoRA is not above 0");
}

static size_t
used(void)
{
	struct mallinfo2 m = mallinfo2();

	return (m.uordblks + m.hblkhd);
}

static void
test_bytes(size_t lora, uint64_t outer, enum ge_prec prec, int jobs)
{
	enum { NTOKENS = 1001 };
	const struct ge_llama_dims d = { 20000, 256, 4, 8, 4, 32, 768, 1000, 0,
	    10000, 1e-5f, { 0, 0, 0, 0 } };
	struct ge_pool *pool = ge_pool_new(jobs, &e);
	struct ge_train_opts o = opts;
	struct ge_train_size z;
	struct ge_train *t;
	size_t before, took, told;
	int32_t *v;

	v = room(NTOKENS, sizeof(*v));
	o.dims = d;
	o.len = 1000;
	o.prec = prec;
	o.lora = (struct ge_lora){ lora, 1 };
	o.outer = outer;
	before = used();
	t = ge_train_new(&o, &(struct ge_tokens){ v, NTOKENS, 0 }, pool, &e);
	took = used() - before;
	ge_train_bytes(&o, pool, &z);
	told = z.weights + z.gradients + z.moments + z.activations;
	printf("# %zu taken, %zu told: %zu %zu %zu %zu\n", took, told,
	    (size_t)z.weights, (size_t)z.gradients, (size_t)z.moments,
	    (size_t)z.activations);
	/* Blocks are aligned; a sanitizer's malloc does not say. */
	check(t != NULL && (before == 0 || near((double)told, (double)took,
	    0.03)), "what it takes is what it says");
	ge_train_free(t);
	ge_pool_free(pool);
	ge_free(v);
}

enum {
	DOCS = 10, EACH = 10, NDOCS = DOCS * EACH + 1
};

/*
 * Each begins with a token that is nowhere else, which cannot be known; all that
 * follows can.
 */
static void
write_docs(int32_t *docs, uint64_t seed)
{
	size_t i;

	for (i = 0; i < NDOCS; i++)
		docs[i] = (int32_t)(i % EACH == EACH - 1 ? 0 : i % EACH == 0 ?
		    VOCAB - 1 - i / EACH % DOCS : 1 + ge_draw(&seed) %
		    (VOCAB - 1 - DOCS));
}

static void
test_overfit(void)
{
	static int32_t docs[NDOCS];
	const struct ge_tokens from = { docs, NDOCS, 0 };
	struct ge_train_opts o = opts;
	struct ge_train *t, *u;
	double first;

	write_docs(docs, 11);
	o.batch = DOCS;
	o.len = EACH;
	o.shards = 2;
	o.steps = 600;
	o.decay = 0;
	o.clip = 1;
	o.eps = 1e-8f;
	t = make(&o, &from);
	steps(t, o.steps);
	printf("# loss %.3g\n", t->loss);
	check(near(t->loss, log(DOCS) / EACH, 0.01), "ten documents by heart");

	write_docs(docs, 12);
	o.lora = (struct ge_lora){ 8, 16 };
	o.base = t->params;
	u = make(&o, &from);
	steps(u, 1);
	first = u->loss;
	steps(u, o.steps);
	printf("# loss %.3g, then %.3g\n", first, u->loss);
	check(u->loss < first / 10, "and ten others with LoRA");
	check(memcmp(u->base, t->params, u->nparams * sizeof(float)) == 0 &&
	    memcmp(u->params, t->params, (size_t)VOCAB * o.dims.dim *
	    sizeof(float)) == 0, "which leaves the base and the embedding");
	ge_train_free(t);
	ge_train_free(u);
}

int
main(void)
{
	uint64_t seed = 2;
	size_t i;

	for (i = 0; i <= ROWS; i++)
		token[i] = (int32_t)(i % 17 == 16 ? 0 : ge_draw(&seed) % 5 +
		    i % 9);
	test_schedules();
	test_adamw();
	test_steps(0, 1, "steps as the reference takes them");
	test_steps(0.1f, 1, "clipped ones");
	test_steps(0.1f, 8, "in shards");
	test_not_a_number();
	test_base();
	test_go_on(0, 0, "goes on as if it had not stopped");
	test_go_on(3, 0, "with LoRA");
	test_go_on(0, 4, "with rounds");
	test_outer();
	test_eval();
	test_rehearse();
	test_refused();
	test_bytes(0, 0, GE_F32, 1);
	test_bytes(0, 5, GE_BF16, 2);
	test_bytes(8, 0, GE_BF16, 3);
	test_overfit();
	return (bad);
}
