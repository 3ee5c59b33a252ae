#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "model/draw.h"
#include "model/ops.h"
#include "model/train.h"
#include "util/hook.h"
#include "util/mem.h"

enum {
	PART = 1 << 16			/* parameters of a task */
};

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
			    dev * ge_draw_normal(&seed);
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
		j = ge_draw(&seed) % i;
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
		t->target[at + i] = v[i + 1];
		if (v[i] == data->end)
			begin = (uint32_t)i;
		t->begin[at + i] = begin;
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
	x = x > 1 ? 1 : x;
	if (o->schedule == GE_COSINE)
		x = (1 - cos(x * 3.14159265358979323846)) / 2;
	return ((float)(lr + (end - lr) * x));
}

struct part {
	struct ge_train *t;
	float *to;
	const float *from;
	double *sum;
	const struct ge_ops *ops;
	struct ge_adamw adamw;
	size_t off, n;			/* of to and from; of a tensor */
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
	size_t at = p->off + i * PART;
	size_t left = p->off + p->n - at, n = left < PART ? left : PART;

	(void)worker;
	p->sum[at / PART] = (double)p->ops->dot(p->from + at, p->from + at, n);
}

static void
update_part(void *arg, size_t i, int worker)
{
	struct part *p = arg;
	size_t at = p->off + i * PART;
	size_t left = p->off + p->n - at, n = left < PART ? left : PART;

	(void)worker;
	p->ops->adamw(p->t->theta + at, p->t->m + at, p->t->v + at,
	    p->from + at, n, &p->adamw);
}

static size_t
parts(size_t n)
{

	return ((n + PART - 1) / PART);
}

/* The gradient of one shard, into g. */
static double
shard(struct ge_train *t, uint64_t first, float scale, float *g)
{
	size_t seqs = t->o.batch / t->o.shards, i;
	float *dense = t->lora != NULL ? t->dense : g;
	double loss;
	uint64_t w;

	for (i = 0; i < seqs; i++) {
		w = first + i;
		if (w / t->nwindows != t->epoch) {
			t->epoch = w / t->nwindows;
			shuffle(t);
		}
		fill(t, &t->data, t->order[w % t->nwindows], i);
	}
	memset(dense, 0, t->nparams * sizeof(*dense));
	loss = ge_llama_loss(t->work, t->params, dense, t->token, t->target,
	    t->begin, scale);
	if (t->lora != NULL)
		ge_lora_back(t->lora, g, dense, t->theta);
	return (loss);
}

static size_t
shards_here(const struct ge_train_opts *o)
{

	return (o->shards / (size_t)ge_ranks_size(o->ranks));
}

/* Do the ranks go each its own way until the next exchange? */
static int
apart(const struct ge_train *t)
{

	return (t->o.outer > 0 && t->step >= t->o.together &&
	    ge_ranks_size(t->o.ranks) > 1);
}

/* The part of theta that this rank updates. */
static void
own(struct ge_train *t)
{

	t->from = 0;
	t->own = t->ntheta;
	if (!apart(t))
		ge_ranks_part(t->o.ranks, t->ntheta, PART, &t->from, &t->own);
}

/*
 * The shards of this rank.  Two make a pair, two pairs four, and so on: like the
 * digits of a counter.  t->level[i] is the sum of 2^i shards, if there is one; the
 * last spare is the sum.
 */
static float *
gradient(struct ge_train *t, struct part *p)
{
	size_t s, i, seqs = t->o.batch / t->o.shards, nspare = 0;
	size_t size = (size_t)ge_ranks_size(t->o.ranks);
	size_t n = shards_here(&t->o);
	size_t first = (size_t)ge_ranks_rank(t->o.ranks) * n;
	float *sum = NULL, *spare[GE_TRAIN_LEVELS];
	float scale = 1 / (float)(t->o.batch / (apart(t) ? size : 1) *
	    t->o.len);

	for (i = 0; i < t->nbufs; i++)
		spare[nspare++] = t->tree + i * t->ntheta;
	for (s = 0; s < n; s++) {
		sum = spare[--nspare];
		t->losses[first + s] = shard(t, t->step * t->o.batch +
		    (first + s) * seqs, scale, sum);
		for (i = 0; (s >> i & 1) != 0; i++) {
			p->to = sum;
			p->from = t->level[i];
			p->n = t->ntheta;
			ge_pool_run(t->pool, parts(p->n), add_part, p);
			spare[nspare++] = t->level[i];
		}
		t->level[i] = sum;
	}
	return (sum);
}

int
ge_train_tensor(const struct ge_train *t, size_t i, struct ge_tensor *y)
{

	return (t->lora != NULL ? ge_lora_tensor(&t->o.dims, t->o.lora.rank, i,
	    y) : ge_llama_tensor(&t->o.dims, i, y));
}

/* The part of theta that is this rank's.  Matrices decay, norms do not. */
static void
update(struct ge_train *t, struct part *p)
{
	struct ge_tensor y;
	float decay = t->o.decay;
	size_t i, end;

	for (i = 0; ge_train_tensor(t, i, &y); i++) {
		end = y.off + y.rows * (y.cols > 0 ? y.cols : 1);
		if (end > t->from + t->own)
			end = t->from + t->own;
		p->off = y.off > t->from ? y.off : t->from;
		if (p->off >= end)
			continue;
		p->n = end - p->off;
		p->adamw.decay = y.cols > 0 ? decay : 0;
		ge_pool_run(t->pool, parts(p->n), update_part, p);
	}
}

/* What the shards and the parts of the gradient came to, here or everywhere. */
static int
add_up(struct ge_train *t, float *g, struct part *p, struct ge_err *e)
{
	struct ge_ranks *r = apart(t) ? NULL : t->o.ranks;
	size_t n = shards_here(&t->o), first, i;
	double norm = 0;

	if (ge_ranks_gather(r, t->losses, n * sizeof(*t->losses), e) == -1 ||
	    ge_ranks_sum(r, g, t->ntheta, PART, t->pool, e) == -1)
		return (-1);
	p->from = g;
	p->off = t->from;
	p->n = t->own;
	ge_pool_run(t->pool, parts(p->n), square_part, p);
	if (ge_ranks_spread(r, t->sums, parts(t->ntheta), sizeof(*t->sums), 1,
	    e) == -1)
		return (-1);
	for (i = 0; i < parts(t->ntheta); i++)
		norm += t->sums[i];
	t->norm = sqrt(norm);
	first = apart(t) ? (size_t)ge_ranks_rank(t->o.ranks) * n : 0;
	n = apart(t) ? n : t->o.shards;
	for (t->loss = 0, i = first; i < first + n; i++)
		t->loss += t->losses[i];
	t->loss /= (double)(t->o.batch / t->o.shards * n * t->o.len);
	if (isfinite(t->loss) && isfinite(t->norm))
		return (0);
	return (ge_fail(e, GE_EFAIL, "step %" PRIu64 ": the %s is not a "
	    "number", t->step + 1, isfinite(t->loss) ? "gradient" : "loss"));
}

/* A step of AdamW. */
static int
descend(struct ge_train *t, struct part *p, struct ge_err *e)
{

	t->b1t *= (double)t->o.b1;
	t->b2t *= (double)t->o.b2;
	p->adamw.lr = ge_train_lr(&t->o, t->step);
	p->adamw.b1 = t->o.b1;
	p->adamw.b2 = t->o.b2;
	p->adamw.eps = t->o.eps;
	p->adamw.clip = t->o.clip > 0 && t->norm > (double)t->o.clip ?
	    (float)((double)t->o.clip / t->norm) : 1;
	p->adamw.c1 = (float)(1 - t->b1t);
	p->adamw.c2 = (float)(1 - t->b2t);
	update(t, p);
	return (ge_ranks_spread(apart(t) ? NULL : t->o.ranks, t->theta,
	    t->ntheta, sizeof(*t->theta), PART, e));
}

static void
merge(struct ge_train *t)
{

	if (t->lora != NULL)
		ge_lora_merge(t->lora, t->params, t->base, t->theta);
}

static void
difference_part(void *arg, size_t i, int worker)
{
	struct part *p = arg;
	size_t at = i * PART, end = p->n - at < PART ? p->n : at + PART;

	(void)worker;
	for (; at < end; at++)
		p->to[at] = p->t->outer[at] - p->t->theta[at];
}

/* Nesterov's momentum, as in Sutskever et al. (2013). */
static void
outer_part(void *arg, size_t i, int worker)
{
	struct part *p = arg;
	struct ge_train *t = p->t;
	size_t at = p->off + i * PART;
	size_t end = p->off + p->n - at < PART ? p->off + p->n : at + PART;
	float mean = 1 / (float)ge_ranks_size(t->o.ranks), x;

	(void)worker;
	for (; at < end; at++) {
		x = p->from[at] * mean;
		t->outer_m[at] = t->o.outer_momentum * t->outer_m[at] + x;
		t->outer[at] -= t->o.outer_lr * (x + t->o.outer_momentum *
		    t->outer_m[at]);
	}
}

/* From the mean of what the ranks found out, each alone, since the last time. */
static int
exchange(struct ge_train *t, struct ge_err *e)
{
	struct part p = { .t = t, .to = t->tree, .from = t->tree,
	    .n = t->ntheta };
	int bad = t->bad.code != 0;

	if (bad)
		*e = t->bad;
	if (ge_ranks_agree(t->o.ranks, -bad, e) == -1)
		return (-1);
	ge_pool_run(t->pool, parts(p.n), difference_part, &p);
	if (ge_ranks_sum(t->o.ranks, t->tree, t->ntheta, PART, t->pool, e) ==
	    -1)
		return (-1);
	ge_ranks_part(t->o.ranks, t->ntheta, PART, &p.off, &p.n);
	ge_pool_run(t->pool, parts(p.n), outer_part, &p);
	if (ge_ranks_spread(t->o.ranks, t->outer, t->ntheta,
	    sizeof(*t->outer), PART, e) == -1)
		return (-1);
	memcpy(t->theta, t->outer, t->ntheta * sizeof(*t->theta));
	merge(t);
	t->joined = t->step;
	return (0);
}

/* The ranks are alike so far, and go apart from here if the time has come. */
static int
go_apart(struct ge_train *t, struct ge_err *e)
{
	size_t n = t->ntheta, size = sizeof(float);

	t->joined = t->step;
	if (t->step < t->o.together)
		return (0);
	memcpy(t->outer, t->theta, n * size);
	if (ge_ranks_spread(t->o.ranks, t->m, n, size, PART, e) == -1)
		return (-1);
	return (ge_ranks_spread(t->o.ranks, t->v, n, size, PART, e));
}

int
ge_train_step(struct ge_train *t, struct ge_err *e)
{
	struct part p = { .t = t, .sum = t->sums, .ops = ge_ops() };
	float *g;

	own(t);
	g = gradient(t, &p);
	if (t->bad.code != 0)
		;
	else if (add_up(t, g, &p, apart(t) ? &t->bad : e) == -1) {
		if (!apart(t))
			return (-1);
	} else if (descend(t, &p, e) == -1)
		return (-1);
	else
		merge(t);
	t->step++;
	if (t->o.outer == 0)
		return (0);
	if (t->step <= t->o.together)
		return (go_apart(t, e));
	return (t->step % t->o.outer == 0 || t->step == t->o.steps ?
	    exchange(t, e) : 0);
}

int
ge_train_rehearse(struct ge_train *t, struct ge_err *e)
{
	struct part p = { .t = t, .sum = t->sums, .ops = ge_ops() };

	own(t);
	return (ge_ranks_agree(t->o.ranks, add_up(t, gradient(t, &p), &p, e),
	    e));
}

int
ge_train_join(struct ge_train *t, struct ge_err *e)
{

	return (t->o.outer > 0 && t->joined != t->step ? exchange(t, e) : 0);
}

int
ge_train_whole(struct ge_train *t, struct ge_err *e)
{
	struct ge_ranks *r = t->o.ranks;
	size_t n = t->ntheta, size = sizeof(float);

	if (apart(t))
		return (0);
	if (ge_ranks_spread(r, t->m, n, size, PART, e) == -1)
		return (-1);
	return (ge_ranks_spread(r, t->v, n, size, PART, e));
}

/* Ranks that went each its own way have saved what they had each. */
static int
same_step(struct ge_train *t, struct ge_err *e)
{
	uint64_t step = t->step;
	int differ;

	if (ge_ranks_share(t->o.ranks, &step, sizeof(step), e) == -1)
		return (-1);
	differ = step != t->step;
	if (ge_ranks_most(t->o.ranks, &differ, e) == -1)
		return (-1);
	if (differ)
		return (ge_fail(e, GE_EREFUSED, "the ranks do not go on from "
		    "the same step"));
	t->joined = step <= t->o.together || memcmp(t->theta, t->outer,
	    t->ntheta * sizeof(*t->theta)) == 0 ? step : UINT64_MAX;
	return (ge_ranks_share(t->o.ranks, &t->joined, sizeof(t->joined), e));
}

int
ge_train_changed(struct ge_train *t, struct ge_err *e)
{
	struct ge_ranks *r = t->o.ranks;
	size_t len = t->ntheta * sizeof(float);

	t->epoch = UINT64_MAX;
	if (t->o.outer > 0) {
		if (same_step(t, e) == -1)
			return (-1);
	} else if (ge_ranks_share(r, t->theta, len, e) == -1 ||
	    ge_ranks_share(r, t->m, len, e) == -1 ||
	    ge_ranks_share(r, t->v, len, e) == -1 ||
	    ge_ranks_share(r, &t->step, sizeof(t->step), e) == -1 ||
	    ge_ranks_share(r, &t->b1t, sizeof(t->b1t), e) == -1 ||
	    ge_ranks_share(r, &t->b2t, sizeof(t->b2t), e) == -1)
		return (-1);
	merge(t);
	return (0);
}

/* The sum of the losses of the windows from w on of a shard's worth. */
static double
eval_shard(struct ge_train *t, const struct ge_tokens *data, uint64_t w,
    uint64_t n)
{
	size_t seqs = t->o.batch / t->o.shards, i;

	for (i = 0; i < seqs; i++) {
		fill(t, data, w + i < n ? w + i : w, i);
		if (w + i >= n)
			memset(t->target + i * t->o.len, 0xff,
			    t->o.len * sizeof(*t->target));
	}
	return (ge_llama_loss(t->work, t->params, NULL, t->token, t->target,
	    t->begin, 0));
}

int
ge_train_eval(struct ge_train *t, const struct ge_tokens *data, uint64_t most,
    double *nats, struct ge_err *e)
{
	struct ge_ranks *r = apart(t) && t->joined != t->step ? NULL :
	    t->o.ranks;
	uint64_t n = windows(data, t->o.len);
	size_t seqs = t->o.batch / t->o.shards, i, each, first;
	double *loss, sum = 0;
	int rc = -1, stop = 0;

	n = n < most ? n : most;
	each = (n + seqs - 1) / seqs;
	each = (each + (size_t)ge_ranks_size(r) - 1) /
	    (size_t)ge_ranks_size(r);
	first = each * (size_t)ge_ranks_rank(r);
	loss = ge_alloc(each * (size_t)ge_ranks_size(r) * sizeof(*loss), e);
	if (ge_ranks_agree(r, loss == NULL ? -1 : 0, e) == -1)
		goto out;
	for (i = first; i < first + each && i * seqs < n && !stop; i++) {
		loss[i] = eval_shard(t, data, i * seqs, n);
		stop = most == UINT64_MAX && ge_hook_tick(0, e) == -1;
	}
	if (ge_ranks_agree(r, -stop, e) == -1 ||
	    ge_ranks_gather(r, loss, each * sizeof(*loss), e) == -1)
		goto out;
	for (i = 0; i * seqs < n; i++)
		sum += loss[i];
	*nats = n > 0 ? sum / (double)(n * t->o.len) : 0;
	rc = 0;
out:
	ge_free(loss);
	return (rc);
}

static int
check(const struct ge_train_opts *o, const struct ge_tokens *data,
    struct ge_err *e)
{
	uint64_t n = windows(data, o->len);

	if (n == 0 || n > UINT32_MAX)
		return (ge_fail(e, GE_EUSAGE, "%s of data for sequences of %zu",
		    n == 0 ? "too few tokens" : "too many tokens", o->len));
	if (o->shards == 0 || (o->shards & (o->shards - 1)) != 0 ||
	    o->shards >> (GE_TRAIN_LEVELS - 1) != 0 ||
	    o->batch % o->shards != 0)
		return (ge_fail(e, GE_EUSAGE, "a batch of %zu cannot be cut "
		    "into %zu shards", o->batch, o->shards));
	if (o->shards % (size_t)ge_ranks_size(o->ranks) != 0)
		return (ge_fail(e, GE_EUSAGE, "%d ranks are too many for %zu "
		    "shards", ge_ranks_size(o->ranks), o->shards));
	return (o->lora.rank > 0 ? ge_lora_check(&o->dims, &o->lora, e) : 0);
}

static float *
floats(size_t n, struct ge_err *e)
{
	float *v = ge_block_alloc(n * sizeof(*v), e);

	if (v != NULL)
		memset(v, 0, n * sizeof(*v));
	return (v);
}

static int
make_lora(struct ge_train *t, struct ge_err *e)
{

	if ((t->lora = ge_lora_work_new(&t->o.dims, &t->o.lora, t->pool, e)) ==
	    NULL || (t->base = floats(t->nparams, e)) == NULL ||
	    (t->dense = ge_block_alloc(t->nparams * sizeof(float), e)) ==
	    NULL || (t->theta = floats(t->ntheta, e)) == NULL)
		return (-1);
	return (0);
}

static int
make(struct ge_train *t, struct ge_err *e)
{
	size_t rows = t->o.batch / t->o.shards * t->o.len, n = t->ntheta;

	if ((t->params = ge_block_alloc(t->nparams * sizeof(float), e)) ==
	    NULL || (t->o.lora.rank > 0 && make_lora(t, e) == -1) ||
	    (t->m = floats(n, e)) == NULL || (t->v = floats(n, e)) == NULL ||
	    (t->tree = ge_block_alloc(t->nbufs * n * sizeof(float), e)) ==
	    NULL || (t->sums = ge_alloc(parts(n) * sizeof(*t->sums), e)) ==
	    NULL || (t->losses = ge_alloc(t->o.shards * sizeof(*t->losses),
	    e)) == NULL || (t->order = ge_alloc(t->nwindows *
	    sizeof(*t->order), e)) == NULL || (t->token = ge_alloc(rows *
	    sizeof(*t->token), e)) == NULL || (t->target = ge_alloc(rows *
	    sizeof(*t->target), e)) == NULL || (t->begin = ge_alloc(rows *
	    sizeof(*t->begin), e)) == NULL || (t->work = ge_llama_work_new(
	    &t->o.dims, t->o.batch / t->o.shards, t->o.len, t->o.prec,
	    t->pool, e)) == NULL)
		return (-1);
	if (t->o.outer > 0 && ((t->outer = floats(n, e)) == NULL ||
	    (t->outer_m = floats(n, e)) == NULL))
		return (-1);
	return (0);
}

static void
begin(struct ge_train *t)
{
	size_t len = t->nparams * sizeof(float);

	if (t->o.base != NULL)
		memcpy(t->params, t->o.base, len);
	else
		first_weights(t);
	t->o.base = NULL;
	if (t->lora == NULL) {
		t->theta = t->params;
	} else {
		memcpy(t->base, t->params, len);
		ge_lora_init(&t->o.dims, t->o.lora.rank, t->theta, t->o.seed);
	}
	if (t->outer != NULL)
		memcpy(t->outer, t->theta, t->ntheta * sizeof(*t->outer));
}

/* Buffers for the sums of n shards. */
static size_t
buffers(size_t n)
{
	size_t b;

	for (b = 1; n >> b != 0; b++)
		;
	return (b);
}

static size_t
thetas(const struct ge_train_opts *o)
{

	return (o->lora.rank > 0 ? ge_lora_params(&o->dims, o->lora.rank) :
	    ge_llama_params(&o->dims));
}

void
ge_train_bytes(const struct ge_train_opts *o, const struct ge_pool *pool,
    struct ge_train_size *z)
{
	size_t n = ge_llama_params(&o->dims), theta = thetas(o);
	size_t seqs = o->batch / o->shards, lora = o->lora.rank > 0;
	int jobs = ge_pool_jobs(pool);

	z->weights = sizeof(float) * (lora ? 2 * n + theta : n);
	z->gradients = sizeof(float) * (buffers(shards_here(o)) * theta +
	    (lora ? n : 0));
	z->moments = sizeof(float) * theta * (o->outer > 0 ? 4 : 2);
	z->activations = ge_llama_work_bytes(&o->dims, seqs, o->len, o->prec,
	    jobs) + 12 * seqs * o->len + (lora ? ge_lora_work_bytes(&o->dims,
	    o->lora.rank, jobs) : 0);
}

struct ge_train *
ge_train_new(const struct ge_train_opts *o, const struct ge_tokens *data,
    struct ge_pool *pool, struct ge_err *e)
{
	struct ge_train *t;

	if (check(o, data, e) == -1)
		return (NULL);
	if ((t = ge_alloc(sizeof(*t), e)) != NULL) {
		t->o = *o;
		t->data = *data;
		t->pool = pool;
		t->nwindows = windows(data, o->len);
		t->epoch = UINT64_MAX;
		t->b1t = t->b2t = 1;
		t->nparams = ge_llama_params(&o->dims);
		t->ntheta = thetas(o);
		t->nbufs = buffers(shards_here(o));
		if (make(t, e) == -1) {
			ge_train_free(t);
			t = NULL;
		}
	}
	if (ge_ranks_agree(o->ranks, t == NULL ? -1 : 0, e) == -1) {
		ge_train_free(t);
		return (NULL);
	}
	begin(t);
	return (t);
}

void
ge_train_free(struct ge_train *t)
{

	if (t == NULL)
		return;
	ge_llama_work_free(t->work);
	ge_lora_work_free(t->lora);
	if (t->theta != t->params)
		ge_block_free(t->theta);
	ge_block_free(t->params);
	ge_block_free(t->base);
	ge_block_free(t->m);
	ge_block_free(t->v);
	ge_block_free(t->outer);
	ge_block_free(t->outer_m);
	ge_block_free(t->dense);
	ge_block_free(t->tree);
	ge_free(t->sums);
	ge_free(t->losses);
	ge_free(t->order);
	ge_free(t->token);
	ge_free(t->target);
	ge_free(t->begin);
	ge_free(t);
}
