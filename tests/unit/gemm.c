/*
 * lib/model/gemm*.c: each element is the chain of gemm.h bit for bit, whatever the
 * kernel, the threads, the layout of the factors and the edges.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "model/gemm.h"

#define UNIT "gemm"
#include "check.h"

enum {
	M = 100, N = 140, K = 700
};

static float a[M * K], b[K * N], c0[M * N], want[M * N], got[M * N];
/* Of all sizes, down to subnormal ones. */
static void
fill(float *v, size_t n)
{
	static const float scale[] = { 1, 1, 1, 1, 1e-20f, 3e-38f, 1e-41f,
	    65536 };

	while (n-- > 0)
		*v++ = ((float)draw(1 << 24) / (1 << 24) - 0.5f) *
		    scale[draw(8)];
}

static float
rounded(float x)
{
	union { uint32_t u; float f; } v = { (uint32_t)ge_bf16(x) << 16 };

	return (v.f);
}

static float
at(struct ge_mat x, size_t r, size_t q)
{

	return (x.v[r * x.rs + q * x.cs]);
}

static void
chain(enum ge_prec prec, size_t m, size_t n, size_t k, struct ge_mat x,
    struct ge_mat y, int add)
{
	size_t r, q, i;
	float s;

	for (r = 0; r < m; r++)
		for (q = 0; q < n; q++) {
			s = add ? c0[r * N + q] : 0;
			for (i = 0; prec == GE_F32 && i < k; i++)
				s = fmaf(at(x, r, i), at(y, i, q), s);
			for (i = 0; prec == GE_BF16 && i < k; i += 2) {
				if (i + 1 < k)
					s = fmaf(rounded(at(x, r, i + 1)),
					    rounded(at(y, i + 1, q)), s);
				s = fmaf(rounded(at(x, r, i)),
				    rounded(at(y, i, q)), s);
			}
			want[r * N + q] = s;
		}
}

static int
same(const struct ge_mat *x, const struct ge_mat *y, size_t m, size_t n,
    size_t k, int add, struct ge_gemm *g)
{
	size_t r;

	memcpy(got, c0, sizeof(got));
	ge_gemm(g, m, n, k, *x, *y, got, N, add);
	for (r = 0; r < m; r++)
		if (memcmp(got + r * N, want + r * N, n * sizeof(*got)) != 0 ||
		    memcmp(got + r * N + n, c0 + r * N + n,
		    (N - n) * sizeof(*got)) != 0)
			return (0);
	return (1);
}

static int
all_kernels(enum ge_prec prec, struct ge_mat x, struct ge_mat y, size_t m,
    size_t n, size_t k, int add)
{
	static const char *const cpu[] = { "plain", "avx2", "avx512", "" };
	struct ge_gemm *g;
	struct ge_pool *p;
	struct ge_err e;
	size_t v;
	int jobs, good = 1;

	for (v = 0; v < 4; v++)
		for (jobs = 1; jobs <= 3; jobs += 2) {
			setenv("GE_CPU", cpu[v], 1);
			if ((p = ge_pool_new(jobs, &e)) == NULL ||
			    (g = ge_gemm_new(p, prec, 192 * (K + 1), &e)) ==
			    NULL)
				exit(1);
			if (!same(&x, &y, m, n, k, add, g)) {
				printf("# %s: %zu x %zu x %zu\n",
				    ge_gemm_variant(g), m, n, k);
				good = 0;
			}
			ge_gemm_free(g);
			ge_pool_free(p);
		}
	return (good);
}

static void
test_chain(enum ge_prec prec, const char *name)
{
	struct ge_mat x = { a, 0, 0 }, y = { b, 0, 0 };
	size_t m, n, k;
	int t, form, good = 1;

	for (t = 0; t < 12; t++) {
		m = 1 + draw(M);
		n = 1 + draw(N);
		k = t == 0 ? 0 : 1 + draw(t % 3 ? 90 : K);
		for (form = 0; form < 8; form++) {
			x.rs = form & 1 ? 1 : k;
			x.cs = form & 1 ? m : 1;
			y.rs = form & 2 ? 1 : n;
			y.cs = form & 2 ? k : 1;
			chain(prec, m, n, k, x, y, form >> 2);
			good &= all_kernels(prec, x, y, m, n, k, form >> 2);
		}
	}
	check(good, name);
}

static void
test_bf16(void)
{
	static const struct { uint32_t u; uint16_t v; } some[] = {
		{ 0x3f800000, 0x3f80 }, { 0x3f808000, 0x3f80 },
		{ 0x3f818000, 0x3f82 }, { 0x3f808001, 0x3f81 },
		{ 0x7f7fffff, 0x7f80 }, { 0xff800000, 0xff80 },
		{ 0x007fffff, 0x0000 }, { 0x80000001, 0x8000 },
		{ 0x00800000, 0x0080 }, { 0x7f800001, 0x7fc0 },
		{ 0xffffffff, 0xffff }
	};
	union { uint32_t u; float f; } x;
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		x.u = some[i].u;
		good &= ge_bf16(x.f) == some[i].v;
	}
	check(good, "bfloat16 is rounded to nearest, ties to even");
}

int
main(void)
{

#if defined(__x86_64__)
	/* What gemm.h says of subnormal numbers, for the chain here as well. */
	_mm_setcsr(_mm_getcsr() | 0x8040);
#endif
	fill(a, M * K);
	fill(b, K * N);
	fill(c0, M * N);
	test_bf16();
	test_chain(GE_BF16, "bf16, every kernel, layout and number of threads");
#if defined(__x86_64__)
	_mm_setcsr(_mm_getcsr() & ~0x8040u);
#endif
	test_chain(GE_F32, "f32, every kernel, layout and number of threads");
	return (bad);
}
