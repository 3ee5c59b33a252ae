#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "model/gemm.h"
#include "model/gemm_int.h"
#include "util/mem.h"

/*
 * Both factors are packed into panels, all of them before the first product; then
 * each task computes a block of C over the whole inner index, a part of it at a
 * time, so that a panel of b stays in the first cache and a block of a in the
 * second.  After Goto and van de Geijn (2008).
 */
enum {
	PANEL_BYTES = 24 << 10,		/* of b */
	ROWS = 192,			/* of a block */
	TASKS = 4			/* at least so many a thread */
};

struct ge_gemm {
	struct ge_pool *pool;
	const struct ge_kernel *kernel;
	enum ge_prec prec;
	size_t size;			/* bytes of a packed element */
	size_t room;
	uint8_t *a, *b;			/* packed */
	/* The product under way: */
	size_t m, n, k;			/* k: padded */
	size_t inner;			/* as it came */
	struct ge_mat am, bm;
	size_t apanels, bpanels;
	size_t rows, cols;		/* panels of a block of C */
	float *c;
	size_t ldc;
	int add;
};

static const struct ge_kernel *
choose(void)
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

struct ge_gemm *
ge_gemm_new(struct ge_pool *pool, enum ge_prec prec, size_t room,
    struct ge_err *e)
{
	struct ge_gemm *g;

	if ((g = ge_alloc(sizeof(*g), e)) == NULL)
		return (NULL);
	g->pool = pool;
	g->prec = prec;
	g->kernel = choose();
	g->size = prec == GE_BF16 ? sizeof(uint16_t) : sizeof(float);
	g->room = room;
	if ((g->a = ge_block_alloc(room * g->size, e)) == NULL ||
	    (g->b = ge_block_alloc(room * g->size, e)) == NULL) {
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
	ge_block_free(g->a);
	ge_block_free(g->b);
	ge_free(g);
}

size_t
ge_gemm_bytes(int jobs, enum ge_prec prec, size_t room)
{

	(void)jobs;
	return (2 * room * (prec == GE_BF16 ? sizeof(uint16_t) :
	    sizeof(float)));
}

const char *
ge_gemm_variant(const struct ge_gemm *g)
{

	return (g->kernel->name);
}

/* Rows r0.. of m, as a panel of w: dst[k][w]. */
static void
pack_f32(const struct ge_kernel *kn, float *dst, struct ge_mat m, size_t r0,
    size_t rows, size_t w, size_t k)
{
	const float *v = m.v + r0 * m.rs;
	size_t i, r, from = 0;

	if (rows < w)
		memset(dst, 0, k * w * sizeof(*dst));
	if (m.rs == 1) {
		for (i = 0; i < k; i++)
			memcpy(dst + i * w, v + i * m.cs, rows * sizeof(*dst));
		return;
	}
	if (rows == w && kn->rows_f32 != NULL)
		from = kn->rows_f32(dst, v, m.rs, w, k);
	for (r = 0; r < rows; r++)
		for (i = from; i < k; i++)
			dst[i * w + r] = v[r * m.rs + i];
}

/* The same in bfloat16, dst[k / 2][w][2]; inner: of k, what there is. */
static void
pack_bf16(const struct ge_kernel *kn, uint16_t *dst, struct ge_mat m,
    size_t r0, size_t rows, size_t w, size_t inner, size_t k)
{
	const float *v = m.v + r0 * m.rs;
	size_t i, r, from = 0;

	if (rows < w || inner < k)
		memset(dst, 0, k * w * sizeof(*dst));
	if (m.rs == 1) {
		if (rows == w && kn->cols_bf16 != NULL)
			from = kn->cols_bf16(dst, v, m.cs, w, inner);
		for (i = from; i < inner; i++)
			for (r = 0; r < rows; r++)
				dst[(i / 2 * w + r) * 2 + i % 2] =
				    ge_bf16(v[i * m.cs + r]);
		return;
	}
	if (rows == w && kn->rows_bf16 != NULL)
		from = kn->rows_bf16(dst, v, m.rs, w, inner);
	for (r = 0; r < rows; r++)
		for (i = from; i < inner; i++)
			dst[(i / 2 * w + r) * 2 + i % 2] =
			    ge_bf16(v[r * m.rs + i]);
}

static void
pack(void *arg, size_t i, int worker)
{
	struct ge_gemm *g = arg;
	struct ge_mat m = g->am;
	size_t w = g->kernel->mr, rows = g->m, r0;
	uint8_t *dst = g->a;

	(void)worker;
	if (i >= g->apanels) {
		i -= g->apanels;
		m = g->bm;
		m.rs = g->bm.cs;
		m.cs = g->bm.rs;
		w = g->kernel->nr;
		rows = g->n;
		dst = g->b;
	}
	r0 = i * w;
	rows = rows - r0 < w ? rows - r0 : w;
	dst += i * w * g->k * g->size;
	if (g->prec == GE_F32)
		pack_f32(g->kernel, (float *)(void *)dst, m, r0, rows, w,
		    g->k);
	else
		pack_bf16(g->kernel, (uint16_t *)(void *)dst, m, r0, rows, w,
		    g->inner, g->k);
}

static void
multiply(const struct ge_gemm *g, size_t k, const uint8_t *a,
    const uint8_t *b, float *c, size_t ldc, int add)
{

	if (g->prec == GE_F32)
		g->kernel->f32(k, (const float *)(const void *)a,
		    (const float *)(const void *)b, c, ldc, add);
	else
		g->kernel->bf16(k, (const uint16_t *)(const void *)a,
		    (const uint16_t *)(const void *)b, c, ldc, add);
}

/* A tile of C that is not all inside. */
static void
edge(const struct ge_gemm *g, size_t k, const uint8_t *a, const uint8_t *b,
    size_t r0, size_t c0, int add)
{
	float t[GE_MR_MAX * GE_NR_MAX];
	size_t mr = g->kernel->mr, nr = g->kernel->nr, r;
	size_t rows = g->m - r0 < mr ? g->m - r0 : mr;
	size_t cols = g->n - c0 < nr ? g->n - c0 : nr;

	for (r = 0; r < rows && add; r++)
		memcpy(t + r * nr, g->c + (r0 + r) * g->ldc + c0,
		    cols * sizeof(*t));
	multiply(g, k, a, b, t, nr, add);
	for (r = 0; r < rows; r++)
		memcpy(g->c + (r0 + r) * g->ldc + c0, t + r * nr,
		    cols * sizeof(*t));
}

static void
block(void *arg, size_t i, int worker)
{
	const struct ge_gemm *g = arg;
	size_t mr = g->kernel->mr, nr = g->kernel->nr;
	size_t across = (g->bpanels + g->cols - 1) / g->cols;
	size_t i0 = i / across * g->rows, j0 = i % across * g->cols;
	size_t i1 = i0 + g->rows < g->apanels ? i0 + g->rows : g->apanels;
	size_t j1 = j0 + g->cols < g->bpanels ? j0 + g->cols : g->bpanels;
	size_t step = PANEL_BYTES / (nr * g->size) / 2 * 2, p, q, at, k;
	const uint8_t *a, *b;
	int add;
#if defined(__x86_64__)
	unsigned int was = _mm_getcsr();

	/* As VDPBF16PS does by itself. */
	if (g->prec == GE_BF16)
		_mm_setcsr(was | 0x8040);
#endif
	(void)worker;
	for (at = 0; at < g->k; at += k) {
		k = g->k - at < step ? g->k - at : step;
		add = at > 0 || g->add;
		for (q = j0; q < j1; q++) {
			b = g->b + (q * g->k + at) * nr * g->size;
			for (p = i0; p < i1; p++) {
				a = g->a + (p * g->k + at) * mr * g->size;
				if ((p + 1) * mr <= g->m &&
				    (q + 1) * nr <= g->n)
					multiply(g, k, a, b, g->c + p * mr *
					    g->ldc + q * nr, g->ldc, add);
				else
					edge(g, k, a, b, p * mr, q * nr, add);
			}
		}
	}
#if defined(__x86_64__)
	_mm_setcsr(was);
#endif
}

void
ge_gemm(struct ge_gemm *g, size_t m, size_t n, size_t k, struct ge_mat a,
    struct ge_mat b, float *c, size_t ldc, int add)
{
	size_t least = TASKS * (size_t)ge_pool_jobs(g->pool), down, r;

	if (k == 0 || m == 0 || n == 0) {
		for (r = 0; r < m && !add && n > 0; r++)
			memset(c + r * ldc, 0, n * sizeof(*c));
		return;
	}
	g->m = m;
	g->n = n;
	g->inner = k;
	g->k = g->prec == GE_BF16 ? (k + 1) / 2 * 2 : k;
	g->am = a;
	g->bm = b;
	g->apanels = (m + g->kernel->mr - 1) / g->kernel->mr;
	g->bpanels = (n + g->kernel->nr - 1) / g->kernel->nr;
	g->c = c;
	g->ldc = ldc;
	g->add = add;
	g->rows = ROWS / g->kernel->mr;
	g->cols = g->bpanels;
	down = (g->apanels + g->rows - 1) / g->rows;
	if (down < least) {
		g->cols = g->bpanels * down / least;
		if (g->cols == 0)
			g->cols = 1;
	}
	ge_pool_run(g->pool, g->apanels + g->bpanels, pack, g);
	ge_pool_run(g->pool, down * ((g->bpanels + g->cols - 1) / g->cols),
	    block, g);
}
