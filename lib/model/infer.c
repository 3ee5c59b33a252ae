#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "model/gemm_int.h"
#include "model/infer.h"
#include "model/ops.h"
#include "model/row_int.h"
#include "util/mem.h"

/*
 * Matrices are packed once, into the panels that the kernels of ge_gemm take for b;
 * keys and values of each head lie in such panels too.  One token is multiplied by
 * the kernel for a row, many by that for blocks; both run through a sum in the same
 * order, and so does ge_llama_loss.
 */
enum {
	ROWS = 96,			/* at a time */
	SMALL = 1 << 16,		/* multiply-adds not worth a thread */
	PARTS = 8			/* of a product, a thread */
};

struct packed {
	uint8_t *v;			/* [panels][k][nr] */
	size_t in, k;			/* k: in, even for bf16 */
	size_t out, panels;
};

struct layer {
	float *norm1, *norm2;
	struct packed qkv, o, gu, down;
};

struct ge_infer {
	struct ge_llama_dims d;
	struct ge_pool *pool;
	const struct ge_kernel *kernel;
	const struct ge_row *row;
	const struct ge_ops *ops;
	enum ge_prec prec;
	size_t size;			/* bytes of a packed number */
	size_t ctx, n;			/* room; tokens */
	size_t q, qw;			/* width of a row of qkv; of its queries */
	struct layer *layer;
	struct packed head;
	float *embed, *last;
	float *cs, *sn;			/* [ctx][hd / 2] */
	uint8_t *weights;		/* what the packed lie in */
	uint8_t *keys, *values;		/* [layers][kv] */
	size_t keysize, valuesize;	/* bytes of one head */
	/* [ROWS][...] */
	float *x, *norm, *qkv, *att, *gu, *hidden;
	float *a;			/* a factor, packed */
	float *own;			/* [jobs][hd + ctx], rounded up */
	size_t ownsize;
	float *logits;
	float *loss;
	/* The call under way: */
	const int32_t *token, *target;
	size_t l, rows;
	const float *weight;		/* of a norm */
	const struct packed *w;
	const float *from;
	float *to;
	int add;
	size_t parts;
};

static size_t
up(size_t n, size_t to)
{

	return ((n + to - 1) / to * to);
}

static float
rounded(float x)
{
	union { uint32_t u; float f; } v = { (uint32_t)ge_bf16(x) << 16 };

	return (v.f);
}

/* Element (i, c) of panels of b or, with mr for w, (r, i) of those of a. */
static inline size_t
place(enum ge_prec prec, size_t i, size_t c, size_t w)
{

	return (prec == GE_BF16 ? (i / 2 * w + c) * 2 + i % 2 : i * w + c);
}

static inline void
put(enum ge_prec prec, uint8_t *v, size_t at, float x)
{

	if (prec == GE_BF16)
		((uint16_t *)(void *)v)[at] = ge_bf16(x);
	else
		((float *)(void *)v)[at] = x;
}

/* As VDPBF16PS does by itself: subnormal numbers are 0. */
static unsigned int
flush_on(const struct ge_infer *s)
{
	unsigned int was = 0;

#if defined(__x86_64__)
	was = _mm_getcsr();
	if (s->prec == GE_BF16)
		_mm_setcsr(was | 0x8040);
#endif
	(void)s;
	return (was);
}

static void
flush_off(unsigned int was)
{

#if defined(__x86_64__)
	_mm_setcsr(was);
#endif
	(void)was;
}

static void
multiply_row(const struct ge_infer *s, size_t k, const float *x,
    const uint8_t *b, float *y, int add)
{

	if (s->prec == GE_BF16)
		s->row->bf16(k, s->kernel->nr, x,
		    (const uint16_t *)(const void *)b, y, add);
	else
		s->row->f32(k, s->kernel->nr, x,
		    (const float *)(const void *)b, y, add);
}

static void
multiply_tile(const struct ge_infer *s, size_t k, const uint8_t *a,
    const uint8_t *b, float *c, size_t ldc, int add)
{

	if (s->prec == GE_BF16)
		s->kernel->bf16(k, (const uint16_t *)(const void *)a,
		    (const uint16_t *)(const void *)b, c, ldc, add);
	else
		s->kernel->f32(k, (const float *)(const void *)a,
		    (const float *)(const void *)b, c, ldc, add);
}

/* Rows r0.. of the product with panel p. */
static void
tile(const struct ge_infer *s, size_t r0, size_t p)
{
	const struct packed *w = s->w;
	size_t mr = s->kernel->mr, nr = s->kernel->nr, r, ldc = w->out;
	size_t rows = s->rows - r0 < mr ? s->rows - r0 : mr;
	size_t cols = w->out - p * nr < nr ? w->out - p * nr : nr;
	const uint8_t *b = w->v + p * nr * w->k * s->size;
	float t[GE_MR_MAX * GE_NR_MAX], *c = s->to + r0 * ldc + p * nr, *to = c;

	if (cols < nr || (rows < mr && s->rows > 1)) {
		to = t;
		ldc = nr;
		for (r = 0; r < rows && s->add; r++)
			memcpy(t + r * nr, c + r * w->out, cols * sizeof(*t));
	}
	if (s->rows == 1)
		multiply_row(s, w->k, s->a, b, to, s->add);
	else
		multiply_tile(s, w->k, (const uint8_t *)s->a + r0 * w->k *
		    s->size, b, to, ldc, s->add);
	for (r = 0; r < rows && to == t; r++)
		memcpy(c + r * w->out, t + r * nr, cols * sizeof(*t));
}

static void
product_part(void *arg, size_t i, int worker)
{
	struct ge_infer *s = arg;
	size_t p = i * s->w->panels / s->parts, r;
	size_t end = (i + 1) * s->w->panels / s->parts;
	unsigned int was = flush_on(s);

	(void)worker;
	for (; p < end; p++)
		for (r = 0; r < s->rows; r += s->kernel->mr)
			tile(s, r, p);
	flush_off(was);
}

/* A row of x, padded, as multiply_row takes it. */
static void
take_row(const struct ge_infer *s, float *to, const float *x, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		to[i] = s->prec == GE_BF16 ? rounded(x[i]) : x[i];
	if (n % 2 != 0)
		to[n] = 0;
}

static void
pack_rows(void *arg, size_t i, int worker)
{
	struct ge_infer *s = arg;
	const struct packed *w = s->w;
	size_t mr = s->kernel->mr, r, j, r0 = i * mr;
	uint8_t *to = (uint8_t *)s->a + r0 * w->k * s->size;
	size_t rows = s->rows - r0 < mr ? s->rows - r0 : mr;

	(void)worker;
	if (rows < mr || w->in < w->k)
		memset(to, 0, mr * w->k * s->size);
	for (r = 0; r < rows; r++)
		for (j = 0; j < w->in; j++)
			put(s->prec, to, place(s->prec, j, r, mr),
			    s->from[(r0 + r) * w->in + j]);
}

/* y = x W^T, or +=, of s->rows rows. */
static void
product(struct ge_infer *s, const struct packed *w, float *y, const float *x,
    int add)
{
	size_t most = PARTS * (size_t)ge_pool_jobs(s->pool);

	s->w = w;
	s->from = x;
	s->to = y;
	s->add = add;
	s->parts = s->rows * w->in * w->out <= SMALL ? 1 : w->panels < most ?
	    w->panels : most;
	if (s->rows == 1)
		take_row(s, s->a, x, w->in);
	else
		ge_pool_run(s->pool, up(s->rows, s->kernel->mr) /
		    s->kernel->mr, pack_rows, s);
	ge_pool_run(s->pool, s->parts, product_part, s);
}

static void
norm(void *arg, size_t r, int worker)
{
	struct ge_infer *s = arg;
	size_t c = s->d.dim;

	(void)worker;
	s->ops->norm(s->norm + r * c, s->x + r * c, s->weight, c, s->d.eps);
}

static void
norms(struct ge_infer *s, const float *weight)
{

	s->weight = weight;
	ge_pool_run(s->pool, s->rows, norm, s);
}

static void
rope(void *arg, size_t r, int worker)
{
	struct ge_infer *s = arg;
	size_t h, half = s->d.hd / 2, pos = s->n + r;

	(void)worker;
	for (h = 0; h < s->d.heads + s->d.kv; h++)
		s->ops->rope(s->qkv + r * s->q + h * s->d.hd,
		    s->cs + pos * half, s->sn + pos * half, s->d.hd, 0);
}

/* Keys and values of all rows of one head: a column of keys, a row of values. */
static void
keep(void *arg, size_t kv, int worker)
{
	struct ge_infer *s = arg;
	size_t hd = s->d.hd, nr = s->kernel->nr, at = s->l * s->d.kv + kv;
	size_t r, i, pos, panel;
	uint8_t *keys = s->keys + at * s->keysize;
	uint8_t *values = s->values + at * s->valuesize;
	const float *k, *v;

	(void)worker;
	for (r = 0; r < s->rows; r++) {
		pos = s->n + r;
		k = s->qkv + r * s->q + (s->d.heads + kv) * hd;
		v = k + s->d.kv * hd;
		for (i = 0; i < hd; i++) {
			put(s->prec, keys + pos / nr * hd * nr * s->size,
			    place(s->prec, i, pos % nr, nr), k[i]);
			panel = i / nr * up(s->ctx, 2) * nr * s->size;
			put(s->prec, values + panel,
			    place(s->prec, pos, i % nr, nr), v[i]);
			if (s->prec == GE_BF16 && pos % 2 == 0)
				put(s->prec, values + panel,
				    place(s->prec, pos + 1, i % nr, nr), 0);
		}
	}
}

static void
attend(void *arg, size_t i, int worker)
{
	struct ge_infer *s = arg;
	size_t hd = s->d.hd, nr = s->kernel->nr, h = i % s->d.heads;
	size_t r = i / s->d.heads, n = s->n + r + 1, j;
	size_t at = s->l * s->d.kv + h / (s->d.heads / s->d.kv);
	const uint8_t *keys = s->keys + at * s->keysize;
	const uint8_t *values = s->values + at * s->valuesize;
	float *q = s->own + (size_t)worker * s->ownsize, *p = q + up(hd, 16);
	float *to = s->att + r * s->qw + h * hd, t[GE_NR_MAX];
	unsigned int was = flush_on(s);

	take_row(s, q, s->qkv + r * s->q + h * hd, hd);
	for (j = 0; j < n; j += nr)
		multiply_row(s, hd, q, keys + j * hd * s->size, p + j, 0);
	flush_off(was);
	s->ops->softmax(p, n, 1 / sqrtf((float)hd));
	take_row(s, p, p, n);
	was = flush_on(s);
	for (j = 0; j < hd; j += nr) {
		multiply_row(s, s->prec == GE_BF16 ? up(n, 2) : n, p,
		    values + j * up(s->ctx, 2) * s->size, t, 0);
		memcpy(to + j, t, (hd - j < nr ? hd - j : nr) * sizeof(*t));
	}
	flush_off(was);
}

static void
swiglu(void *arg, size_t r, int worker)
{
	struct ge_infer *s = arg;
	size_t f = s->d.ff;
	const float *gu = s->gu + r * 2 * f;

	(void)worker;
	s->ops->swiglu(s->hidden + r * f, gu, gu + f, f);
}

/* s->rows tokens behind those there are. */
static void
forward(struct ge_infer *s)
{
	const struct layer *y;
	size_t c = s->d.dim, r;

	for (r = 0; r < s->rows; r++)
		memcpy(s->x + r * c, s->embed + (size_t)s->token[r] * c,
		    c * sizeof(float));
	for (s->l = 0; s->l < s->d.layers; s->l++) {
		y = &s->layer[s->l];
		norms(s, y->norm1);
		product(s, &y->qkv, s->qkv, s->norm, 0);
		ge_pool_run(s->pool, s->rows, rope, s);
		ge_pool_run(s->rows > 1 ? s->pool : NULL, s->d.kv, keep, s);
		ge_pool_run((s->n + s->rows) * s->rows * s->qw <= SMALL ? NULL :
		    s->pool, s->rows * s->d.heads, attend, s);
		product(s, &y->o, s->x, s->att, 1);
		norms(s, y->norm2);
		product(s, &y->gu, s->gu, s->norm, 0);
		ge_pool_run(s->pool, s->rows, swiglu, s);
		product(s, &y->down, s->x, s->hidden, 1);
	}
	s->n += s->rows;
}

const float *
ge_infer_feed(struct ge_infer *s, const int32_t *token, size_t n)
{
	size_t done;

	for (done = 0; done < n; done += s->rows) {
		s->rows = n - done < ROWS ? n - done : ROWS;
		s->token = token + done;
		forward(s);
	}
	memmove(s->x, s->x + (s->rows - 1) * s->d.dim,
	    s->d.dim * sizeof(*s->x));
	s->rows = 1;
	norms(s, s->last);
	product(s, &s->head, s->logits, s->norm, 0);
	return (s->logits);
}

static void
row_loss(void *arg, size_t r, int worker)
{
	struct ge_infer *s = arg;

	(void)worker;
	s->loss[r] = s->target[r] < 0 ? 0 : s->ops->loss(s->logits + r *
	    s->d.vocab, s->d.vocab, (size_t)s->target[r], 0);
}

double
ge_infer_loss(struct ge_infer *s, const int32_t *token, const int32_t *target,
    size_t n)
{
	double sum = 0;
	size_t done, r;

	for (done = 0; done < n; done += s->rows) {
		s->rows = n - done < ROWS ? n - done : ROWS;
		s->token = token + done;
		s->target = target + done;
		forward(s);
		for (r = 0; r < s->rows && s->target[r] < 0; r++)
			;
		if (r == s->rows)
			continue;
		norms(s, s->last);
		product(s, &s->head, s->logits, s->norm, 0);
		ge_pool_run(s->pool, s->rows, row_loss, s);
		for (r = 0; r < s->rows; r++)
			sum += (double)s->loss[r];
	}
	return (sum);
}

size_t
ge_infer_len(const struct ge_infer *s)
{

	return (s->n);
}

void
ge_infer_reset(struct ge_infer *s)
{

	s->n = 0;
}

static void
pack_panel(void *arg, size_t p, int worker)
{
	struct ge_infer *s = arg;
	const struct packed *w = s->w;
	size_t nr = s->kernel->nr, i, j, r, end;
	size_t cols = w->out - p * nr < nr ? w->out - p * nr : nr;
	uint8_t *to = w->v + p * nr * w->k * s->size;
	const float *v = s->from + p * nr * w->in;

	(void)worker;
	if (cols < nr || w->in < w->k)
		memset(to, 0, nr * w->k * s->size);
	for (i = 0; i < w->in; i = end) {
		end = w->in - i < 16 ? w->in : i + 16;
		for (r = 0; r < cols; r++)
			for (j = i; j < end; j++)
				put(s->prec, to, place(s->prec, j, r, nr),
				    v[r * w->in + j]);
	}
}

/* Shape a matrix; return the bytes that it takes. */
static size_t
shape(const struct ge_infer *s, struct packed *w, size_t in, size_t out)
{

	w->in = in;
	w->k = s->prec == GE_BF16 ? up(in, 2) : in;
	w->out = out;
	w->panels = up(out, s->kernel->nr) / s->kernel->nr;
	return (up(w->panels * s->kernel->nr * w->k * s->size, 64));
}

static uint8_t *
pack(struct ge_infer *s, struct packed *w, uint8_t *at, const float *from)
{

	w->v = at;
	s->w = w;
	s->from = from;
	ge_pool_run(s->pool, w->panels, pack_panel, s);
	return (at + up(w->panels * s->kernel->nr * w->k * s->size, 64));
}

/* Where a tensor of the model lies. */
static size_t
offset(const struct ge_llama_dims *d, size_t i)
{
	struct ge_tensor t;

	(void)ge_llama_tensor(d, i, &t);
	return (t.off);
}

enum {				/* tensors of a layer, as ge_llama_tensor has them */
	NORM1, Q, K, V, O, NORM2, GATE, UP, DOWN, EACH
};

static int
copy_weights(struct ge_infer *s, const float *params, struct ge_err *e)
{
	const struct ge_llama_dims *d = &s->d;
	size_t c = d->dim, bytes, l, first, tail = 1 + d->layers * EACH;
	struct layer *y;
	uint8_t *at;
	float *norms;

	bytes = shape(s, &s->head, c, d->vocab);
	for (l = 0; l < d->layers; l++) {
		y = &s->layer[l];
		bytes += shape(s, &y->qkv, c, s->q);
		bytes += shape(s, &y->o, s->qw, c);
		bytes += shape(s, &y->gu, c, 2 * d->ff);
		bytes += shape(s, &y->down, d->ff, c);
	}
	if ((s->weights = ge_block_alloc(bytes, e)) == NULL ||
	    (s->embed = ge_block_alloc((d->vocab + 2 * d->layers + 1) * c *
	    sizeof(float), e)) == NULL)
		return (-1);
	memcpy(s->embed, params, d->vocab * c * sizeof(float));
	norms = s->embed + d->vocab * c;
	at = s->weights;
	for (l = 0; l < d->layers; l++) {
		y = &s->layer[l];
		first = 1 + l * EACH;
		y->norm1 = norms;
		y->norm2 = norms + c;
		norms += 2 * c;
		memcpy(y->norm1, params + offset(d, first + NORM1),
		    c * sizeof(float));
		memcpy(y->norm2, params + offset(d, first + NORM2),
		    c * sizeof(float));
		at = pack(s, &y->qkv, at, params + offset(d, first + Q));
		at = pack(s, &y->o, at, params + offset(d, first + O));
		at = pack(s, &y->gu, at, params + offset(d, first + GATE));
		at = pack(s, &y->down, at, params + offset(d, first + DOWN));
	}
	s->last = norms;
	memcpy(norms, params + offset(d, tail), c * sizeof(float));
	pack(s, &s->head, at, params + (d->tied ? 0 : offset(d, tail + 1)));
	return (0);
}

/* The sizes of all floats, into their pointers if there are any. */
static size_t
lay_out(struct ge_infer *s, float *base)
{
	const struct ge_llama_dims *d = &s->d;
	size_t wide = d->dim > s->qw ? d->dim : s->qw, at = 0, i;
	const struct {
		float **p;
		size_t len;
	} all[] = {
		{ &s->cs, s->ctx * d->hd / 2 }, { &s->sn, s->ctx * d->hd / 2 },
		{ &s->x, ROWS * d->dim }, { &s->norm, ROWS * d->dim },
		{ &s->qkv, ROWS * s->q }, { &s->att, ROWS * s->qw },
		{ &s->gu, ROWS * 2 * d->ff }, { &s->hidden, ROWS * d->ff },
		{ &s->a, (ROWS + GE_MR_MAX) *
		    up(wide > d->ff ? wide : d->ff, 2) },
		{ &s->own, (size_t)ge_pool_jobs(s->pool) * s->ownsize },
		{ &s->logits, ROWS * d->vocab }, { &s->loss, ROWS }
	};

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (base != NULL)
			*all[i].p = base + at;
		at += up(all[i].len, 16);
	}
	return (at);
}

struct ge_infer *
ge_infer_new(const struct ge_llama_dims *d, const float *params,
    enum ge_prec prec, size_t ctx, struct ge_pool *pool, struct ge_err *e)
{
	struct ge_infer *s;
	size_t nr, heads = d->layers * d->kv;
	float *base;

	if ((s = ge_alloc(sizeof(*s), e)) == NULL)
		return (NULL);
	s->d = *d;
	s->pool = pool;
	s->kernel = ge_kernel_best();
	s->row = ge_row_of(s->kernel);
	s->ops = ge_ops();
	s->prec = prec;
	s->size = prec == GE_BF16 ? sizeof(uint16_t) : sizeof(float);
	s->ctx = ctx;
	s->q = (d->heads + 2 * d->kv) * d->hd;
	s->qw = d->heads * d->hd;
	nr = s->kernel->nr;
	s->ownsize = up(d->hd, 16) + up(ctx, nr) + 16;
	s->keysize = up(ctx, nr) * d->hd * s->size;
	s->valuesize = up(d->hd, nr) * up(ctx, 2) * s->size;
	if ((s->layer = ge_alloc(d->layers * sizeof(*s->layer), e)) == NULL ||
	    copy_weights(s, params, e) == -1 ||
	    (s->keys = ge_block_alloc(heads * s->keysize, e)) == NULL ||
	    (s->values = ge_block_alloc(heads * s->valuesize, e)) == NULL ||
	    (base = ge_block_alloc(lay_out(s, NULL) * sizeof(float), e)) ==
	    NULL) {
		ge_infer_free(s);
		return (NULL);
	}
	lay_out(s, base);
	ge_llama_angles(d, ctx, s->cs, s->sn);
	return (s);
}

void
ge_infer_free(struct ge_infer *s)
{

	if (s == NULL)
		return;
	ge_free(s->layer);
	ge_block_free(s->weights);
	ge_block_free(s->embed);
	ge_block_free(s->keys);
	ge_block_free(s->values);
	ge_block_free(s->cs);
	ge_free(s);
}
