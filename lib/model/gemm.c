#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "model/gemm.h"
#include "model/gemm_int.h"
#include "util/mem.h"

/*
 * The smaller factor is packed into panels as a whole before the first product.
 * Then each task packs some panels of the other, a part of the inner index at a
 * time, and multiplies them by all of the first: a panel of b stays in the first
 * cache, what the task has packed in the second.  After Goto and van de Geijn
 * (2008).
 */
enum {
	PANEL_BYTES = 28 << 10,		/* of b, a part of the inner index */
	BLOCK = 192,			/* rows or columns of a task */
	GROUP = 8,			/* panels of a task that packs */
	TASKS = 4			/* at least so many a thread */
};

struct factor {
	struct ge_mat m;		/* a, or b with rows for columns */
	size_t rows, w, panels;
};

struct ge_gemm {
	struct ge_pool *pool;
	const struct ge_kernel *kernel;
	enum ge_prec prec;
	size_t size;			/* bytes of a packed element */
	size_t step;			/* of the inner index, even */
	uint8_t *whole, *own;		/* packed: [room]; [jobs][share] */
	size_t share;
	/* The product under way: */
	size_t k, inner;		/* padded; as it came */
	struct factor a, b;
	int across;			/* tasks are columns of b, not rows of a */
	size_t each;			/* panels a task */
	float *c;
	size_t ldc;
	int add;
};

const struct ge_kernel *
ge_kernel_best(void)
{
	const char *cpu = getenv("GE_CPU");
	int best = 3;

	if (cpu != NULL)
		best = strcmp(cpu, "avx512") == 0 ? 2 : strcmp(cpu, "avx2") ==
		    0 ? 1 : strcmp(cpu, "plain") == 0 || strcmp(cpu,
		    "portable") == 0 ? 0 : 3;
#if defined(__x86_64__)
	if (best >= 3 && __builtin_cpu_supports("avx512bf16") &&
	    __builtin_cpu_supports("avx512f"))
		return (&ge_kernel_avx512bf16);
	if (best >= 2 && __builtin_cpu_supports("avx512f"))
		return (&ge_kernel_avx512);
	if (best >= 1 && __builtin_cpu_supports("avx2") &&
	    __builtin_cpu_supports("fma"))
		return (&ge_kernel_avx2);
#endif
	(void)best;
	return (&ge_kernel_plain);
}

static size_t
size_of(enum ge_prec prec)
{

	return (prec == GE_BF16 ? sizeof(uint16_t) : sizeof(float));
}

static size_t
step(const struct ge_kernel *kn, enum ge_prec prec)
{

	return (PANEL_BYTES / (kn->nr * size_of(prec)) / 32 * 32);
}

/* What a worker packs into. */
static size_t
share(const struct ge_kernel *kn, enum ge_prec prec)
{

	return (BLOCK * step(kn, prec) * size_of(prec));
}

struct ge_gemm *
ge_gemm_new(struct ge_pool *pool, enum ge_prec prec, size_t room,
    struct ge_err *e)
{
	struct ge_gemm *g;

	if ((g = ge_alloc(sizeof(*g), e)) == NULL)
		return (NULL);
	g->pool = pool;
	g->prec = prec;
	g->kernel = ge_kernel_best();
	g->size = size_of(prec);
	g->step = step(g->kernel, prec);
	g->share = share(g->kernel, prec);
	if ((g->whole = ge_block_alloc(room * g->size, e)) == NULL ||
	    (g->own = ge_block_alloc((size_t)ge_pool_jobs(pool) * g->share,
	    e)) == NULL) {
		ge_gemm_free(g);
		return (NULL);
	}
	return (g);
}

void
ge_gemm_free(struct ge_gemm *g)
{

	if (g == NULL)
		return;
	ge_block_free(g->whole);
	ge_block_free(g->own);
	ge_free(g);
}

size_t
ge_gemm_bytes(int jobs, enum ge_prec prec, size_t room)
{

	const struct ge_kernel *kn = ge_kernel_best();

	return (room * size_of(prec) + (size_t)jobs * share(kn, prec));
}

const char *
ge_gemm_variant(const struct ge_gemm *g)
{

	return (g->kernel->name);
}

/*
 * A panel of w: dst[k][w] or, in bfloat16, dst[k / 2][w][2], from n rows of k
 * numbers; what is not there is 0.
 */
static void
plain_f32(float *dst, struct ge_mat m, size_t w, size_t n, size_t k)
{
	size_t i, r;

	for (i = 0; i < k; i++)
		for (r = 0; r < w; r++)
			dst[i * w + r] = r < n ? m.v[r * m.rs + i * m.cs] : 0;
}

static void
plain_bf16(uint16_t *dst, struct ge_mat m, size_t w, size_t n, size_t k)
{
	size_t i, r;

	for (i = 0; i < (k + 1) / 2 * 2; i++)
		for (r = 0; r < w; r++)
			dst[(i / 2 * w + r) * 2 + i % 2] = r < n && i < k ?
			    ge_bf16(m.v[r * m.rs + i * m.cs]) : 0;
}

static void
pack_f32(const struct ge_kernel *kn, float *dst, size_t stride,
    struct ge_mat m, size_t w, size_t n, size_t k)
{
	size_t some;

	if (m.rs == 1 && kn->cols_f32 != NULL) {
		kn->cols_f32(dst, stride, m.v, m.cs, w, n, k);
		return;
	}
	for (; n > 0; n -= some, dst += stride, m.v += some * m.rs) {
		some = n < w ? n : w;
		if (m.cs == 1 && kn->rows_f32 != NULL)
			kn->rows_f32(dst, m.v, m.rs, w, some, k);
		else
			plain_f32(dst, m, w, some, k);
	}
}

static void
pack_bf16(const struct ge_kernel *kn, uint16_t *dst, size_t stride,
    struct ge_mat m, size_t w, size_t n, size_t k)
{
	size_t some;

	if (m.rs == 1 && kn->cols_bf16 != NULL) {
		kn->cols_bf16(dst, stride, m.v, m.cs, w, n, k);
		return;
	}
	for (; n > 0; n -= some, dst += stride, m.v += some * m.rs) {
		some = n < w ? n : w;
		if (m.cs == 1 && kn->rows_bf16 != NULL)
			kn->rows_bf16(dst, m.v, m.rs, w, some, k);
		else
			plain_bf16(dst, m, w, some, k);
	}
}

/*
 * Panels from..end-1 of a factor, of the inner index what lies from at on and is k
 * long when padded; a panel every stride elements.
 */
static void
pack(const struct ge_gemm *g, const struct factor *f, size_t from, size_t end,
    size_t at, size_t k, uint8_t *dst, size_t stride)
{
	struct ge_mat m = f->m;
	size_t n = (end * f->w < f->rows ? end * f->w : f->rows) - from * f->w;

	k = g->inner - at < k ? g->inner - at : k;
	m.v += from * f->w * m.rs + at * m.cs;
	if (g->prec == GE_F32)
		pack_f32(g->kernel, (float *)(void *)dst, stride, m, f->w, n,
		    k);
	else
		pack_bf16(g->kernel, (uint16_t *)(void *)dst, stride, m, f->w,
		    n, k);
}

static size_t
parts(size_t n, size_t each)
{

	return ((n + each - 1) / each);
}

static size_t
least(size_t a, size_t b)
{

	return (a < b ? a : b);
}

/* A part of the factor that is packed as a whole. */
static void
pack_whole(void *arg, size_t i, int worker)
{
	struct ge_gemm *g = arg;
	const struct factor *f = g->across ? &g->a : &g->b;
	size_t down = parts(g->k, g->step);
	size_t from = i / down * GROUP, at = i % down * g->step;

	(void)worker;
	pack(g, f, from, least(from + GROUP, f->panels), at,
	    least(g->step, g->k - at), g->whole + (from * g->k + at) * f->w *
	    g->size, g->k * f->w);
}

/* A tile of C, of which so many columns are wanted. */
static void
multiply(const struct ge_gemm *g, size_t k, const uint8_t *a,
    const uint8_t *b, float *c, size_t ldc, int add, size_t cols)
{
	const struct ge_kernel *kn = g->kernel;
	int half = cols <= kn->nr / 2 && kn->f32_half != NULL;

	if (g->prec == GE_F32)
		(half ? kn->f32_half : kn->f32)(k, (const float *)(const void *)
		    a, (const float *)(const void *)b, c, ldc, add);
	else
		(half ? kn->bf16_half : kn->bf16)(k, (const uint16_t *)(const
		    void *)a, (const uint16_t *)(const void *)b, c, ldc, add);
}

/* A tile of C that is not all inside. */
static void
edge(const struct ge_gemm *g, size_t k, const uint8_t *a, const uint8_t *b,
    size_t r0, size_t c0, int add)
{
	float t[GE_MR_MAX * GE_NR_MAX];
	size_t mr = g->a.w, nr = g->b.w, r;
	size_t rows = least(g->a.rows - r0, mr);
	size_t cols = least(g->b.rows - c0, nr);

	for (r = 0; r < rows && add; r++)
		memcpy(t + r * nr, g->c + (r0 + r) * g->ldc + c0,
		    cols * sizeof(*t));
	multiply(g, k, a, b, t, nr, add, cols);
	for (r = 0; r < rows; r++)
		memcpy(g->c + (r0 + r) * g->ldc + c0, t + r * nr,
		    cols * sizeof(*t));
}

/* Packed panels of a factor: those from `from` to `end`, a part of each. */
struct panels {
	const uint8_t *v;
	size_t from, end, stride;	/* in bytes */
};

static void
block(const struct ge_gemm *g, size_t k, const struct panels *a,
    const struct panels *b, int add)
{
	size_t mr = g->a.w, nr = g->b.w, p, q, cols;
	const uint8_t *x, *y;
	int inside;

	for (q = b->from; q < b->end; q++) {
		y = b->v + (q - b->from) * b->stride;
		cols = least(g->b.rows - q * nr, nr);
		inside = cols == nr || (cols == nr / 2 &&
		    g->kernel->f32_half != NULL);
		for (p = a->from; p < a->end; p++) {
			x = a->v + (p - a->from) * a->stride;
			if (inside && (p + 1) * mr <= g->a.rows)
				multiply(g, k, x, y, g->c + p * mr * g->ldc +
				    q * nr, g->ldc, add, cols);
			else
				edge(g, k, x, y, p * mr, q * nr, add);
		}
	}
}

static void
task(void *arg, size_t i, int worker)
{
	const struct ge_gemm *g = arg;
	const struct factor *f = g->across ? &g->b : &g->a;
	const struct factor *o = g->across ? &g->a : &g->b;
	uint8_t *mine = g->own + (size_t)worker * g->share;
	struct panels own = { mine, i * g->each,
	    least((i + 1) * g->each, f->panels), 0 };
	struct panels whole = { NULL, 0, o->panels, g->k * o->w * g->size };
	size_t at, k;
#if defined(__x86_64__)
	unsigned int was = _mm_getcsr();

	/* As VDPBF16PS does by itself. */
	if (g->prec == GE_BF16)
		_mm_setcsr(was | 0x8040);
#endif
	for (at = 0; at < g->k; at += k) {
		k = least(g->step, g->k - at);
		pack(g, f, own.from, own.end, at, k, mine, k * f->w);
		own.stride = k * f->w * g->size;
		whole.v = g->whole + at * o->w * g->size;
		block(g, k, g->across ? &whole : &own, g->across ? &own :
		    &whole, at > 0 || g->add);
	}
#if defined(__x86_64__)
	_mm_setcsr(was);
#endif
}

static struct factor
factor(struct ge_mat m, size_t rows, size_t w)
{
	struct factor f = { m, rows, w, parts(rows, w) };

	return (f);
}

void
ge_gemm(struct ge_gemm *g, size_t m, size_t n, size_t k, struct ge_mat a,
    struct ge_mat b, float *c, size_t ldc, int add)
{
	size_t jobs = (size_t)ge_pool_jobs(g->pool), r;
	struct ge_mat turned = { b.v, b.cs, b.rs };
	const struct factor *own, *whole;

	if (k == 0 || m == 0 || n == 0) {
		for (r = 0; r < m && !add && n > 0; r++)
			memset(c + r * ldc, 0, n * sizeof(*c));
		return;
	}
	g->inner = k;
	g->k = g->prec == GE_BF16 ? (k + 1) / 2 * 2 : k;
	g->a = factor(a, m, g->kernel->mr);
	g->b = factor(turned, n, g->kernel->nr);
	g->c = c;
	g->ldc = ldc;
	g->add = add;
	g->across = n > m;
	own = g->across ? &g->b : &g->a;
	whole = g->across ? &g->a : &g->b;
	g->each = BLOCK / own->w;
	if (jobs > 1)
		g->each = least(g->each, parts(own->panels, TASKS * jobs));
	ge_pool_run(g->pool, parts(whole->panels, GROUP) * parts(g->k,
	    g->step), pack_whole, g);
	ge_pool_run(g->pool, parts(own->panels, g->each), task, g);
}
