#include <math.h>
#include <string.h>

#include "model/ops.h"
#include "model/train.h"
#include "util/mem.h"

enum {
	PART = 1 << 16			/* parameters of a task */
};

/* splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t
draw(uint64_t *s)
{
	uint64_t x = *s += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (x ^ x >> 31);
}

/*
 * Normal numbers as a sum of twelve even ones: no function whose last bit depends on
 * the C library.
 */
static float
normal(uint64_t *s)
{
	int64_t sum = 0;
	int i;

	for (i = 0; i < 12; i++)
		sum += (int64_t)(draw(s) >> 40);
	return ((float)(sum - ((int64_t)6 << 24)) * 0x1p-24f);
}

static int
writes_residual(const char *name)
{

	return (strstr(name, "o_proj") != NULL ||
	    strstr(name, "down_proj") != NULL);
}

static void
first_weights(struct ge_train *t)
{
	float less = 0.02f / sqrtf(2 * (float)t->o.dims.layers), dev;
	uint64_t seed = t->o.seed;
	struct ge_tensor y;
	size_t i, j, n;

	for (i = 0; ge_llama_tensor(&t->o.dims, i, &y); i++) {
		n = y.rows * (y.cols > 0 ? y.cols : 1);
		dev = writes_residual(y.name) ? less : 0.02f;
		for (j = 0; j < n; j++)
			t->params[y.off + j] = y.cols == 0 ? 1 :
			    dev * normal(&seed);
	}
}

/* The windows of an epoch in an order of their own (Fisher and Yates). */
static void
shuffle(struct ge_train *t)
{
	uint64_t seed = t->o.seed ^ (t->epoch + 1) * 0x9e3779b97f4a7c15u, i, j;
	uint32_t keep;

	for (i = 0; i < t->nwindows; i++)
		t->order[i] = (uint32_t)i;
	for (i = t->nwindows; i > 1; i--) {
		j = draw(&seed) % i;
		keep = t->order[i - 1];
		t->order[i - 1] = t->order[j];
		t->order[j] = keep;
	}
}

/* One sequence of data from window w on. */
static void
fill(const struct ge_train *t, const struct ge_tokens *data, uint64_t w,
    size_t seq)
{
	size_t i, len = t->o.len, at = seq * len;
	const int32_t *v = data->v + w * len;
	uint32_t begin = 0;

	for (i = 0; i < len; i++) {
		t->token[at + i] = v[i];
		t->target[at + i] = v[i] == data->end ? -1 : v[i + 1];
		t->begin[at + i] = begin;
		if (v[i] == data->end)
			begin = (uint32_t)i + 1;
	}
}

static uint64_t
windows(const struct ge_tokens *data, size_t len)
{

	return (data->n > len ? (data->n - 1) / len : 0);
}

float
ge_train_lr(const struct ge_train_opts *o, uint64_t step)
{
	double lr = (double)o->lr, end = (double)o->lr_end, x;
	uint64_t from = o->schedule == GE_COSINE ? o->warmup : o->steps -
	    o->steps / 5;

	if (step < o->warmup)
		return ((float)(lr * (double)(step + 1) / (double)o->warmup));
	if (step < from || o->steps <= from)
		return (o->lr);
	x = (double)(step - from) / (double)(o->steps - from);
	if (o->schedule == GE_COSINE)
		x = (1 - cos(x * 3.14159265358979323846)) / 2;
	return ((float)(lr + (end - lr) * (x > 1 ? 1 : x)));
}

struct part {
	struct ge_train *t;
	float *to;
	const float *from;
	double *sum;
	const struct ge_ops *ops;
	struct ge_adamw adamw;
	size_t off, n;			/* of a tensor */
};

static void
add_part(void *arg, size_t i, int worker)
{
	struct part *p = arg;
	size_t at = i * PART, n = p->n - at < PART ? p->n - at : PART;

	(void)worker;
	p->ops->add(p->to + at, p->from + at, n);
}

static void
square_part(void *arg, size_t i, int worker)
{
	struct part *p = arg;
	size_t at = i * PART, n = p->n - at < PART ? p->n - at : PART;

	(void)worker;
	p->sum[i] = (double)p->ops->dot(p->from + at, p->from + at, n);
}

static void
update_part(void *arg, size_t i, int worker)
{
	struct part *p = arg;
	size_t at = p->off + i * PART;
	size_t left = p->off + p->n - at, n = left < PART ? left : PART;

	(void)worker;
	p->ops->adamw(p->t->params + at, p->t->m + at, p->t->v + at,
	    p->from + at, n, &p->adamw);
}

static size_t
parts(size_t n)
{

	return ((n + PART - 1) / PART);
}

/* The gradient of one shard, into g. */
static double
shard(struct ge_train *t, uint64_t first, float *g)
{
	size_t seqs = t->o.batch / t->o.shards, i;
	float scale = 1 / (float)(t->o.batch * t->o.len);
	uint64_t w;

	for (i = 0; i < seqs; i++) {
		w = first + i;
		if (w / t->nwindows != t->epoch) {
			t->epoch = w / t->nwindows;
			shuffle(t);
		}
		fill(t, &t->data, t->order[w % t->nwindows], i);
	}
	memset(g, 0, t->nparams * sizeof(*g));
	return (ge_llama_loss(t->work, t->params, g, t->token, t->target,
	    t->begin, scale));
}

/*
 * Two shards make a pair, two pairs four, and so on: like the digits of a counter.
 * t->level[i] is the sum of 2^i shards, if there is one; the last spare is the sum.
 */
static float *
gradient(struct ge_train *t, struct part *p)
{
	size_t s, i, seqs = t->o.batch / t->o.shards;
	float *sum = NULL, *spare[GE_TRAIN_LEVELS];
	size_t nspare = 0;

	for (i = 0; i < t->nbufs; i++)
		spare[nspare++] = t->tree + i * t->nparams;
	t->loss = 0;
	for (s = 0; s < t->o.shards; s++) {
		sum = spare[--nspare];
		t->loss += shard(t, t->step * t->o.batch + s * seqs, sum);
		for (i = 0; (s >> i & 1) != 0; i++) {
			p->to = sum;
			p->from = t->level[i];
			p->n = t->nparams;
			ge_pool_run(t->pool, parts(p->n), add_part, p);
			spare[nspare++] = t->level[i];
		}
		t->level[i] = sum;
	}
	return (sum);
}

/* Matrices decay, norms do not. */
static void
update(struct ge_train *t, struct part *p)
{
	struct ge_tensor y;
	float decay = t->o.decay;
	size_t i;

	for (i = 0; ge_llama_tensor(&t->o.dims, i, &y); i++) {
		p->off = y.off;
		p->n = y.rows * (y.cols > 0 ? y.cols : 1);
		p->adamw.decay = y.cols > 0 ? decay : 0;
		ge_pool_run(t->pool, parts(p->n), update_part, p);
	}
}

static size_t
wanted(const struct ge_tokens *data, uint64_t w, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		n += data->v[w * len + i] != data->end;
	return (n);
}

void
ge_train_step(struct ge_train *t)
{
	struct part p = { .t = t, .sum = t->sums, .ops = ge_ops() };
	double norm = 0;
	size_t i;

	p.from = gradient(t, &p);
	p.n = t->nparams;
	ge_pool_run(t->pool, parts(p.n), square_part, &p);
	for (i = 0; i < parts(p.n); i++)
		norm += p.sum[i];
	t->norm = sqrt(norm);
	t->loss /= (double)(t->o.batch * t->o.len);
	t->b1t *= (double)t->o.b1;
	t->b2t *= (double)t->o.b2;
	p.adamw.lr = ge_train_lr(&t->o, t->step);
	p.adamw.b1 = t->o.b1;
	p.adamw.b2 = t->o.b2;
	p.adamw.eps = t->o.eps;
	p.adamw.clip = t->o.clip > 0 && t->norm > (double)t->o.clip ?
	    (float)((double)t->o.clip / t->norm) : 1;
	p.adamw.c1 = (float)(1 - t->b1t);
	p.adamw.c2 = (float)(1 - t->b2t);
	update(t, &p);
	t->step++;
}

double
ge_train_eval(struct ge_train *t, const struct ge_tokens *data, uint64_t most)
{
	size_t seqs = t->o.batch / t->o.shards, i;
	uint64_t n = windows(data, t->o.len), w, tokens = 0;
	double loss = 0;

	n = n < most ? n : most;
	for (w = 0; w < n; w += seqs) {
		for (i = 0; i < seqs; i++) {
			fill(t, data, w + i < n ? w + i : w, i);
			if (w + i < n)
				tokens += wanted(data, w + i, t->o.len);
			else
				memset(t->target + i * t->o.len, 0xff,
				    t->o.len * sizeof(*t->target));
		}
		loss += ge_llama_loss(t->work, t->params, NULL, t->token,
		    t->target, t->begin, 0);
	}
	return (tokens > 0 ? loss / (double)tokens : 0);
}

struct ge_train *
ge_train_new(const struct ge_train_opts *o, const struct ge_tokens *data,
    struct ge_pool *pool, struct ge_err *e)
{
	struct ge_train *t;
	size_t seqs = o->batch / o->shards, n, rows = seqs * o->len;

	if (windows(data, o->len) == 0 || windows(data, o->len) > UINT32_MAX) {
		ge_fail(e, GE_EUSAGE, "%s of data for sequences of %zu",
		    data->n <= o->len ? "too few tokens" : "too many tokens",
		    o->len);
		return (NULL);
	}
	if ((t = ge_alloc(sizeof(*t), e)) == NULL)
		return (NULL);
	t->o = *o;
	t->data = *data;
	t->pool = pool;
	t->nwindows = windows(data, o->len);
	t->epoch = UINT64_MAX;
	t->b1t = t->b2t = 1;
	t->nparams = n = ge_llama_params(&o->dims);
	for (t->nbufs = 1; o->shards >> t->nbufs != 0; t->nbufs++)
		;
	if ((t->params = ge_block_alloc(3 * n * sizeof(float), e)) == NULL ||
	    (t->tree = ge_block_alloc(t->nbufs * n * sizeof(float), e)) ==
	    NULL || (t->sums = ge_alloc(parts(n) * sizeof(*t->sums), e)) ==
	    NULL || (t->order = ge_alloc(t->nwindows * sizeof(*t->order),
	    e)) == NULL || (t->token = ge_alloc(rows * sizeof(*t->token),
	    e)) == NULL || (t->target = ge_alloc(rows * sizeof(*t->target),
	    e)) == NULL || (t->begin = ge_alloc(rows * sizeof(*t->begin),
	    e)) == NULL || (t->work = ge_llama_work_new(&o->dims, seqs,
	    o->len, o->prec, pool, e)) == NULL) {
		ge_train_free(t);
		return (NULL);
	}
	t->m = t->params + n;
	t->v = t->m + n;
	memset(t->m, 0, 2 * n * sizeof(float));
	first_weights(t);
	return (t);
}

void
ge_train_free(struct ge_train *t)
{

	if (t == NULL)
		return;
	ge_llama_work_free(t->work);
	ge_block_free(t->params);
	ge_block_free(t->tree);
	ge_free(t->sums);
	ge_free(t->order);
	ge_free(t->token);
	ge_free(t->target);
	ge_free(t->begin);
	ge_free(t);
}
