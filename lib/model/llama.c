#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/llama.h"
#include "model/ops.h"
#include "util/mem.h"

/*
 * A row is a token, sequence after sequence.  What backward needs and cannot make
 * again for little is kept: the input of each half of each layer, queries, keys and
 * values, the output of attention, gate and up.
 */
enum {
	ROWS = 64,			/* of a task */
	QUERIES = 96,			/* of a task of attention */
	HEAD_ROWS = 256,		/* of logits at a time, at least */
	HEAD_FLOATS = 1 << 25,		/* more rows up to so many of them */
	COLS = 64
};

struct layer {				/* offsets into the parameters */
	size_t norm1, qkv, o, norm2, gu, down;
};

struct ge_llama_work {
	struct ge_llama_dims d;
	struct ge_pool *pool;
	const struct ge_ops *ops;
	struct ge_gemm *gemm, **own;	/* own: [jobs] */
	int jobs;
	size_t nseqs, len, n;		/* n: rows */
	size_t q, qw;			/* width of a row of qkv; of its queries */
	size_t head_rows;
	float *cs, *sn;			/* [len][hd / 2] */
	/* Kept, for each layer: */
	float *x1, *x2;			/* [layers][n][dim] */
	float *qkv, *att, *gu;		/* [layers][n][q], [qw], [2 ff] */
	float *lse;			/* [layers][n][heads] */
	float *rstd;			/* [2 layers + 1][n] */
	/* Made anew in each: */
	float *x;			/* [n][dim] */
	float *norm, *dnorm, *dx;	/* [n][dim] */
	float *hidden;			/* [n][ff] */
	float *dqkv, *datt;		/* [n][q], [n][qw] */
	float *logits;			/* [head_rows][vocab] */
	float *part;			/* [n / ROWS][dim] */
	float *scores;			/* [jobs][2][QUERIES][len] */
	double *loss;			/* [n] */
	/* The call under way: */
	const float *params;
	float *grad;
	const int32_t *token, *target;
	const uint32_t *begin;
	float scale;
	size_t l, at, rows;
};

static size_t
qkv_width(const struct ge_llama_dims *d)
{

	return ((d->heads + 2 * d->kv) * d->hd);
}

static void
layer_at(const struct ge_llama_dims *d, size_t l, struct layer *y)
{
	size_t q = qkv_width(d), qw = d->heads * d->hd, c = d->dim;
	size_t each = 2 * c + (q + qw) * c + 3 * d->ff * c;

	y->norm1 = d->vocab * c + l * each;
	y->qkv = y->norm1 + c;
	y->o = y->qkv + q * c;
	y->norm2 = y->o + qw * c;
	y->gu = y->norm2 + c;
	y->down = y->gu + 2 * d->ff * c;
}

static size_t
last_norm(const struct ge_llama_dims *d)
{
	struct layer y;

	layer_at(d, d->layers, &y);
	return (y.norm1);
}

static size_t
head_at(const struct ge_llama_dims *d)
{

	return (d->tied ? 0 : last_norm(d) + d->dim);
}

size_t
ge_llama_params(const struct ge_llama_dims *d)
{

	return (last_norm(d) + d->dim + (d->tied ? 0 : d->vocab * d->dim));
}

int
ge_llama_check(const struct ge_llama_dims *d, struct ge_err *e)
{
	static const size_t most = 1 << 20;

	if (d->vocab < 2 || d->dim == 0 || d->layers == 0 || d->heads == 0 ||
	    d->kv == 0 || d->hd == 0 || d->ff == 0 || d->ctx == 0)
		return (ge_fail(e, GE_EUSAGE, "a dimension of the model is 0"));
	if (d->vocab > most || d->dim > most || d->ff > most ||
	    d->ctx > most || d->layers > GE_LLAMA_LAYERS ||
	    d->heads > most / d->hd || d->kv > d->heads)
		return (ge_fail(e, GE_EUSAGE, "a dimension of the model is too "
		    "large"));
	if (d->hd % 2 != 0 || d->heads % d->kv != 0)
		return (ge_fail(e, GE_EUSAGE, "the heads of the model do not "
		    "come out even"));
	return (0);
}

int
ge_llama_tensor(const struct ge_llama_dims *d, size_t i, struct ge_tensor *t)
{
	static const char *const what[] = { "input_layernorm",
	    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
	    "self_attn.o_proj", "post_attention_layernorm", "mlp.gate_proj",
	    "mlp.up_proj", "mlp.down_proj" };
	enum { EACH = sizeof(what) / sizeof(what[0]) };
	size_t qw = d->heads * d->hd, kw = d->kv * d->hd, c = d->dim, j;
	const size_t shape[EACH][2] = { { c, 0 }, { qw, c }, { kw, c },
	    { kw, c }, { c, qw }, { c, 0 }, { d->ff, c }, { d->ff, c },
	    { c, d->ff } };
	struct layer y;

	if (i == 0 || i == d->layers * EACH + 2) {
		if (i > 0 && d->tied)
			return (0);
		snprintf(t->name, sizeof(t->name), "%s", i == 0 ?
		    "model.embed_tokens.weight" : "lm_head.weight");
		t->off = i == 0 ? 0 : head_at(d);
		t->rows = d->vocab;
		t->cols = c;
		return (1);
	}
	if (i == d->layers * EACH + 1) {
		snprintf(t->name, sizeof(t->name), "model.norm.weight");
		t->off = last_norm(d);
		t->rows = c;
		t->cols = 0;
		return (1);
	}
	if (--i >= d->layers * EACH)
		return (0);
	layer_at(d, i / EACH, &y);
	t->off = y.norm1;
	for (j = 0; j < i % EACH; j++)
		t->off += shape[j][0] * (shape[j][1] > 0 ? shape[j][1] : 1);
	t->rows = shape[j][0];
	t->cols = shape[j][1];
	snprintf(t->name, sizeof(t->name), "model.layers.%zu.%s.weight",
	    i / EACH, what[j]);
	return (1);
}

/*
 * Llama 3.1 stretches what turns less than `low` times in its first context by
 * `factor`, leaves what turns more than `high` times, and between them mixes both.
 */
double
ge_llama_angle(const struct ge_llama_dims *d, size_t i)
{
	double a = pow((double)d->theta, -2.0 * (double)i / (double)d->hd);
	double turns, mix;

	if (d->rope.factor <= 0)
		return (a);
	turns = (double)d->rope.ctx * a / (2 * 3.14159265358979323846);
	mix = (turns - (double)d->rope.low) /
	    ((double)d->rope.high - (double)d->rope.low);
	mix = mix < 0 ? 0 : mix > 1 ? 1 : mix;
	return ((1 - mix) * a / (double)d->rope.factor + mix * a);
}

static struct ge_mat
mat(const float *v, size_t ld)
{
	struct ge_mat m = { v, ld, 1 };

	return (m);
}

static struct ge_mat
turned(const float *v, size_t ld)
{
	struct ge_mat m = { v, 1, ld };

	return (m);
}

/* y = x W^T (or +=), W [out][in]. */
static void
linear(struct ge_llama_work *w, float *y, const float *x, size_t wt,
    size_t rows, size_t in, size_t out, int add)
{

	ge_gemm(w->gemm, rows, out, in, mat(x, in), turned(w->params + wt, in),
	    y, out, add);
}

/* dx = dy W (or +=), dW += dy^T x. */
static void
linear_back(struct ge_llama_work *w, float *dx, const float *dy,
    const float *x, size_t wt, size_t rows, size_t in, size_t out, int add)
{

	ge_gemm(w->gemm, out, in, rows, turned(dy, out), mat(x, in),
	    w->grad + wt, in, 1);
	ge_gemm(w->gemm, rows, in, out, mat(dy, out),
	    mat(w->params + wt, in), dx, in, add);
}

static void
each_rows(struct ge_llama_work *w, size_t n,
    void (*fn)(void *, size_t, int))
{

	ge_pool_run(w->pool, (n + ROWS - 1) / ROWS, fn, w);
}

/* The rows of task i. */
static size_t
rows_of(const struct ge_llama_work *w, size_t i, size_t *from)
{

	*from = i * ROWS;
	return (*from + ROWS < w->n ? *from + ROWS : w->n);
}

static void
embed(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t r, end = rows_of(w, i, &r), c = w->d.dim;

	(void)worker;
	for (; r < end; r++)
		memcpy(w->x1 + r * c, w->params + (size_t)w->token[r] * c,
		    c * sizeof(float));
}

/* Norms of w->x by the weights at w->at into w->norm, rstd of place w->l. */
static void
norm(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t r, end = rows_of(w, i, &r), c = w->d.dim;

	(void)worker;
	for (; r < end; r++)
		w->rstd[w->l * w->n + r] = w->ops->norm(w->norm + r * c,
		    w->x + r * c, w->params + w->at, c, w->d.eps);
}

static void
norms(struct ge_llama_work *w, float *x, size_t weights, size_t place)
{

	w->x = x;
	w->at = weights;
	w->l = place;
	each_rows(w, w->n, norm);
}

static void
norm_back(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t r, end = rows_of(w, i, &r), c = w->d.dim;
	float *part = w->part + i * c;

	(void)worker;
	memset(part, 0, c * sizeof(*part));
	for (; r < end; r++)
		w->ops->norm_back(w->dx + r * c, part, w->dnorm + r * c,
		    w->x + r * c, w->params + w->at,
		    w->rstd[w->l * w->n + r], c);
}

/* dx += what dnorm means behind the norm of place. */
static void
norms_back(struct ge_llama_work *w, float *x, size_t weights, size_t place)
{
	size_t i;

	w->x = x;
	w->at = weights;
	w->l = place;
	each_rows(w, w->n, norm_back);
	for (i = 0; i < (w->n + ROWS - 1) / ROWS; i++)
		w->ops->add(w->grad + weights, w->part + i * w->d.dim,
		    w->d.dim);
}

static void
rope_row(const struct ge_llama_work *w, float *row, size_t pos, int back)
{
	size_t h, half = w->d.hd / 2;

	for (h = 0; h < w->d.heads + w->d.kv; h++)
		w->ops->rope(row + h * w->d.hd, w->cs + pos * half,
		    w->sn + pos * half, w->d.hd, back);
}

static void
rope(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t r, end = rows_of(w, i, &r);

	(void)worker;
	for (; r < end; r++)
		rope_row(w, w->qkv + (w->l * w->n + r) * w->q, r % w->len, 0);
}

static void
rope_back(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t r, end = rows_of(w, i, &r);

	(void)worker;
	for (; r < end; r++)
		rope_row(w, w->dqkv + r * w->q, r % w->len, 1);
}

/*
 * Attention by blocks of queries: the scores of a block over all keys that one of
 * them sees, so memory grows with the length and not with its square.
 */
struct head {
	const float *q, *k, *v;		/* first row of the sequence; ld w->q */
	const uint32_t *begin;
	size_t from, rows, first, keys;	/* of queries; of keys */
};

static void
head_of(const struct ge_llama_work *w, size_t seq, size_t h, size_t from,
    struct head *y)
{
	size_t group = h / (w->d.heads / w->d.kv), r;
	const float *base = w->qkv + (w->l * w->n + seq * w->len) * w->q;

	y->q = base + h * w->d.hd;
	y->k = base + (w->d.heads + group) * w->d.hd;
	y->v = y->k + w->d.kv * w->d.hd;
	y->begin = w->begin + seq * w->len;
	y->from = from;
	y->rows = w->len - from < QUERIES ? w->len - from : QUERIES;
	y->first = y->begin[from];
	for (r = from; r < from + y->rows; r++)
		if (y->begin[r] < y->first)
			y->first = y->begin[r];
	y->keys = from + y->rows - y->first;
}

/* Of a row of scores, what it does not see is 0. */
static void
hide(const struct head *y, float *s, size_t r, size_t *lo, size_t *n)
{
	size_t pos = y->from + r;

	*lo = y->begin[pos] - y->first;
	*n = pos + 1 - y->begin[pos];
	memset(s, 0, *lo * sizeof(*s));
	memset(s + *lo + *n, 0, (y->keys - *lo - *n) * sizeof(*s));
}

static size_t
blocks_of(const struct ge_llama_work *w)
{

	return ((w->len + QUERIES - 1) / QUERIES);
}

static void
attend(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t hd = w->d.hd, nb = blocks_of(w), r, lo, n;
	size_t seq = i / nb / w->d.heads, h = i / nb % w->d.heads;
	float *s = w->scores + (size_t)worker * 2 * QUERIES * w->len, *row;
	float scale = 1 / sqrtf((float)hd);
	struct ge_gemm *g = w->own[worker];
	struct head y;

	head_of(w, seq, h, i % nb * QUERIES, &y);
	ge_gemm(g, y.rows, y.keys, hd, mat(y.q + y.from * w->q, w->q),
	    turned(y.k + y.first * w->q, w->q), s, w->len, 0);
	for (r = 0; r < y.rows; r++) {
		row = s + r * w->len;
		hide(&y, row, r, &lo, &n);
		w->lse[(w->l * w->n + seq * w->len + y.from + r) * w->d.heads +
		    h] = w->ops->softmax(row + lo, n, scale);
	}
	ge_gemm(g, y.rows, hd, y.keys, mat(s, w->len),
	    mat(y.v + y.first * w->q, w->q), w->att + (w->l * w->n + seq *
	    w->len + y.from) * w->qw + h * hd, w->qw, 0);
}

/* All queries that one head of keys and values serves, in one order. */
static void
attend_back(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t hd = w->d.hd, seq = i / w->d.kv, kv = i % w->d.kv;
	size_t each = w->d.heads / w->d.kv, h, from, r, lo, n, at;
	float *p = w->scores + (size_t)worker * 2 * QUERIES * w->len;
	float *dp = p + QUERIES * w->len, scale = 1 / sqrtf((float)hd), d;
	float *dq, *dk, *dv;
	const float *o, *dout;
	struct ge_gemm *g = w->own[worker];
	struct head y;

	dk = w->dqkv + seq * w->len * w->q + (w->d.heads + kv) * hd;
	dv = dk + w->d.kv * hd;
	for (r = 0; r < w->len; r++) {
		memset(dk + r * w->q, 0, hd * sizeof(*dk));
		memset(dv + r * w->q, 0, hd * sizeof(*dv));
	}
	for (h = kv * each; h < (kv + 1) * each; h++)
		for (from = 0; from < w->len; from += QUERIES) {
			head_of(w, seq, h, from, &y);
			at = seq * w->len + from;
			o = w->att + (w->l * w->n + at) * w->qw + h * hd;
			dout = w->datt + at * w->qw + h * hd;
			dq = w->dqkv + at * w->q + h * hd;
			ge_gemm(g, y.rows, y.keys, hd, mat(y.q + from * w->q,
			    w->q), turned(y.k + y.first * w->q, w->q), p,
			    w->len, 0);
			ge_gemm(g, y.rows, y.keys, hd, mat(dout, w->qw),
			    turned(y.v + y.first * w->q, w->q), dp, w->len, 0);
			for (r = 0; r < y.rows; r++) {
				hide(&y, p + r * w->len, r, &lo, &n);
				hide(&y, dp + r * w->len, r, &lo, &n);
				w->ops->softmax_again(p + r * w->len + lo, n,
				    scale, w->lse[(w->l * w->n + at + r) *
				    w->d.heads + h]);
				d = w->ops->dot(o + r * w->qw, dout + r *
				    w->qw, hd);
				w->ops->softmax_back(dp + r * w->len + lo,
				    p + r * w->len + lo, n, d, scale);
			}
			ge_gemm(g, y.rows, hd, y.keys, mat(dp, w->len),
			    mat(y.k + y.first * w->q, w->q), dq, w->q, 0);
			ge_gemm(g, y.keys, hd, y.rows, turned(dp, w->len),
			    mat(y.q + from * w->q, w->q),
			    dk + y.first * w->q, w->q, 1);
			ge_gemm(g, y.keys, hd, y.rows, turned(p, w->len),
			    mat(dout, w->qw), dv + y.first * w->q, w->q, 1);
		}
}

static void
swiglu(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t r, end = rows_of(w, i, &r), f = w->d.ff;
	float *gu;

	(void)worker;
	for (; r < end; r++) {
		gu = w->gu + (w->l * w->n + r) * 2 * f;
		w->ops->swiglu(w->hidden + r * f, gu, gu + f, f);
	}
}

/* hidden holds its gradient; gate and up become theirs. */
static void
swiglu_back(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t r, end = rows_of(w, i, &r), f = w->d.ff;
	float *gu;

	(void)worker;
	for (; r < end; r++) {
		gu = w->gu + (w->l * w->n + r) * 2 * f;
		w->ops->swiglu_back(gu, gu + f, w->hidden + r * f, gu, gu + f,
		    f);
	}
}

static void
row_loss(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t r = w->at + i, v = w->d.vocab;
	float *row = w->logits + i * v;

	(void)worker;
	w->loss[r] = 0;
	if (w->target[r] >= 0)
		w->loss[r] = w->ops->loss(row, v, (size_t)w->target[r],
		    w->scale);
	else if (w->grad != NULL)
		memset(row, 0, v * sizeof(*row));
}

/* The loss of w->norm; with a gradient also dnorm. */
static void
head(struct ge_llama_work *w)
{
	size_t c = w->d.dim, v = w->d.vocab, rows, at, wt = head_at(&w->d);

	for (at = 0; at < w->n; at += rows) {
		rows = w->n - at < w->head_rows ? w->n - at : w->head_rows;
		linear(w, w->logits, w->norm + at * c, wt, rows, c, v, 0);
		w->at = at;
		ge_pool_run(w->pool, rows, row_loss, w);
		if (w->grad != NULL)
			linear_back(w, w->dnorm + at * c, w->logits,
			    w->norm + at * c, wt, rows, c, v, 0);
	}
}

static void
forward(struct ge_llama_work *w)
{
	size_t l, c = w->d.dim, size = w->n * c;
	struct layer y;
	float *x1, *x2, *next;

	each_rows(w, w->n, embed);
	for (l = 0; l < w->d.layers; l++) {
		layer_at(&w->d, l, &y);
		x1 = w->x1 + l * size;
		x2 = w->x2 + l * size;
		next = x1 + size;
		norms(w, x1, y.norm1, 2 * l);
		linear(w, w->qkv + l * w->n * w->q, w->norm, y.qkv, w->n, c,
		    w->q, 0);
		w->l = l;
		each_rows(w, w->n, rope);
		ge_pool_run(w->pool, w->nseqs * w->d.heads * blocks_of(w),
		    attend, w);
		memcpy(x2, x1, size * sizeof(*x2));
		linear(w, x2, w->att + l * w->n * w->qw, y.o, w->n, w->qw, c,
		    1);
		norms(w, x2, y.norm2, 2 * l + 1);
		linear(w, w->gu + l * w->n * 2 * w->d.ff, w->norm, y.gu, w->n,
		    c, 2 * w->d.ff, 0);
		w->l = l;
		each_rows(w, w->n, swiglu);
		memcpy(next, x2, size * sizeof(*next));
		linear(w, next, w->hidden, y.down, w->n, w->d.ff, c, 1);
	}
	norms(w, w->x1 + l * size, last_norm(&w->d), 2 * l);
}

static void
embed_back(void *arg, size_t i, int worker)
{
	struct ge_llama_work *w = arg;
	size_t c = w->d.dim, from = i * COLS, r;
	size_t n = c - from < COLS ? c - from : COLS;

	(void)worker;
	for (r = 0; r < w->n; r++)
		w->ops->add(w->grad + (size_t)w->token[r] * c + from,
		    w->dx + r * c + from, n);
}

static void
backward(struct ge_llama_work *w)
{
	size_t l, c = w->d.dim, size = w->n * c;
	struct layer y;
	float *gu;

	memset(w->dx, 0, size * sizeof(*w->dx));
	norms_back(w, w->x1 + w->d.layers * size, last_norm(&w->d),
	    2 * w->d.layers);
	for (l = w->d.layers; l-- > 0; ) {
		layer_at(&w->d, l, &y);
		gu = w->gu + l * w->n * 2 * w->d.ff;
		w->l = l;
		each_rows(w, w->n, swiglu);
		linear_back(w, w->hidden, w->dx, w->hidden, y.down, w->n,
		    w->d.ff, c, 0);
		each_rows(w, w->n, swiglu_back);
		norms(w, w->x2 + l * size, y.norm2, 2 * l + 1);
		linear_back(w, w->dnorm, gu, w->norm, y.gu, w->n, c,
		    2 * w->d.ff, 0);
		norms_back(w, w->x2 + l * size, y.norm2, 2 * l + 1);

		linear_back(w, w->datt, w->dx, w->att + l * w->n * w->qw, y.o,
		    w->n, w->qw, c, 0);
		w->l = l;
		ge_pool_run(w->pool, w->nseqs * w->d.kv, attend_back, w);
		each_rows(w, w->n, rope_back);
		norms(w, w->x1 + l * size, y.norm1, 2 * l);
		linear_back(w, w->dnorm, w->dqkv, w->norm, y.qkv, w->n, c,
		    w->q, 0);
		norms_back(w, w->x1 + l * size, y.norm1, 2 * l);
	}
	ge_pool_run(w->pool, (c + COLS - 1) / COLS, embed_back, w);
}

double
ge_llama_loss(struct ge_llama_work *w, const float *params, float *grad,
    const int32_t *token, const int32_t *target, const uint32_t *begin,
    float scale)
{
	double sum = 0;
	size_t i;

	w->params = params;
	w->grad = grad;
	w->token = token;
	w->target = target;
	w->begin = begin;
	w->scale = grad != NULL ? scale : 0;
	forward(w);
	head(w);
	for (i = 0; i < w->n; i++)
		sum += w->loss[i];
	if (grad != NULL)
		backward(w);
	return (sum);
}

/* The sizes of all that a work has, into its pointers if there are any. */
static size_t
lay_out(struct ge_llama_work *w, float *base)
{
	const struct ge_llama_dims *d = &w->d;
	size_t n = w->n, c = d->dim, l = d->layers, at = 0, i;
	const struct {
		float **p;
		size_t len;
	} all[] = {
		{ &w->cs, w->len * d->hd / 2 }, { &w->sn, w->len * d->hd / 2 },
		{ &w->x1, (l + 1) * n * c }, { &w->x2, l * n * c },
		{ &w->qkv, l * n * w->q }, { &w->att, l * n * w->qw },
		{ &w->gu, l * n * 2 * d->ff }, { &w->lse, l * n * d->heads },
		{ &w->rstd, (2 * l + 1) * n }, { &w->norm, n * c },
		{ &w->dnorm, n * c }, { &w->dx, n * c },
		{ &w->hidden, n * d->ff }, { &w->dqkv, n * w->q },
		{ &w->datt, n * w->qw }, { &w->logits, w->head_rows * d->vocab },
		{ &w->part, (n + ROWS - 1) / ROWS * c },
		{ &w->scores, (size_t)w->jobs * 2 * QUERIES * w->len }
	};

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (base != NULL)
			*all[i].p = base + at;
		at += (all[i].len + 15) / 16 * 16;
	}
	return (at);
}

static size_t
larger(size_t a, size_t b)
{

	return (a > b ? a : b);
}

static size_t
smaller(size_t a, size_t b)
{

	return (a < b ? a : b);
}

/* Even pieces of all rows, so that no pair of them is parted. */
static size_t
head_rows(size_t n, size_t vocab)
{
	size_t most = larger(HEAD_ROWS, HEAD_FLOATS / vocab);
	size_t pieces = (n + most - 1) / most;

	return (((n + pieces - 1) / pieces + 1) / 2 * 2);
}

static void
set_sizes(struct ge_llama_work *w, const struct ge_llama_dims *d,
    size_t nseqs, size_t len, int jobs)
{

	w->d = *d;
	w->nseqs = nseqs;
	w->len = len;
	w->n = nseqs * len;
	w->head_rows = head_rows(w->n, d->vocab);
	w->q = qkv_width(d);
	w->qw = d->heads * d->hd;
	w->jobs = jobs;
}

/* As ge_gemm_new wants it. */
static size_t
gemm_room(size_t m, size_t n, size_t k)
{

	return ((smaller(m, n) + 64) * (k + 1));
}

/* That of linear and of linear_back. */
static size_t
linear_room(size_t rows, size_t in, size_t out)
{

	return (larger(gemm_room(rows, out, in), larger(gemm_room(rows, in,
	    out), gemm_room(out, in, rows))));
}

/* What the products of all rows need, and those of a head. */
static size_t
room(const struct ge_llama_work *w)
{
	const struct ge_llama_dims *d = &w->d;
	size_t c = d->dim, each;

	each = larger(larger(linear_room(w->n, c, w->q), linear_room(w->n,
	    w->qw, c)), larger(linear_room(w->n, c, 2 * d->ff),
	    linear_room(w->n, d->ff, c)));
	return (larger(each, linear_room(w->head_rows, c, d->vocab)));
}

static size_t
own_room(const struct ge_llama_work *w)
{
	size_t hd = w->d.hd, len = w->len;

	return (larger(gemm_room(QUERIES, len, hd), larger(gemm_room(QUERIES,
	    hd, len), gemm_room(len, hd, QUERIES))));
}

size_t
ge_llama_work_bytes(const struct ge_llama_dims *d, size_t nseqs, size_t len,
    enum ge_prec prec, int jobs)
{
	struct ge_llama_work w;

	memset(&w, 0, sizeof(w));
	set_sizes(&w, d, nseqs, len, jobs);
	return (lay_out(&w, NULL) * sizeof(float) + w.n * sizeof(double) +
	    ge_gemm_bytes(jobs, prec, room(&w)) + (size_t)jobs *
	    ge_gemm_bytes(1, prec, own_room(&w)));
}

void
ge_llama_angles(const struct ge_llama_dims *d, size_t len, float *cs,
    float *sn)
{
	size_t half = d->hd / 2, t, i;
	double a;

	for (t = 0; t < len; t++)
		for (i = 0; i < half; i++) {
			a = (double)t * ge_llama_angle(d, i);
			cs[t * half + i] = (float)cos(a);
			sn[t * half + i] = (float)sin(a);
		}
}

struct ge_llama_work *
ge_llama_work_new(const struct ge_llama_dims *d, size_t nseqs, size_t len,
    enum ge_prec prec, struct ge_pool *pool, struct ge_err *e)
{
	struct ge_llama_work *w;
	float *base;
	int i;

	if ((w = ge_alloc(sizeof(*w), e)) == NULL)
		return (NULL);
	set_sizes(w, d, nseqs, len, ge_pool_jobs(pool));
	w->pool = pool;
	if ((w->own = ge_alloc((size_t)w->jobs * sizeof(struct ge_gemm *), e)) ==
	    NULL || (w->loss = ge_alloc(w->n * sizeof(*w->loss), e)) == NULL ||
	    (base = ge_block_alloc(lay_out(w, NULL) * sizeof(float), e)) ==
	    NULL)
		goto fail;
	lay_out(w, base);
	w->ops = ge_ops();
	ge_llama_angles(d, len, w->cs, w->sn);
	if ((w->gemm = ge_gemm_new(pool, prec, room(w), e)) == NULL)
		goto fail;
	for (i = 0; i < w->jobs; i++)
		if ((w->own[i] = ge_gemm_new(NULL, prec, own_room(w), e)) ==
		    NULL)
			goto fail;
	return (w);
fail:
	ge_llama_work_free(w);
	return (NULL);
}

void
ge_llama_work_free(struct ge_llama_work *w)
{
	int i;

	if (w == NULL)
		return;
	for (i = 0; w->own != NULL && i < w->jobs; i++)
		ge_gemm_free(w->own[i]);
	ge_free(w->own);
	ge_gemm_free(w->gemm);
	ge_block_free(w->cs);
	ge_free(w->loss);
	ge_free(w);
}
