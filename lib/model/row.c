#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "model/row_int.h"

static float
wide(uint16_t x)
{
	union { uint32_t u; float f; } v = { (uint32_t)x << 16 };

	return (v.f);
}

static void
plain_f32(size_t k, size_t nr, const float *x, const float *b, float *y,
    int add)
{
	size_t i, q;

	if (!add)
		memset(y, 0, nr * sizeof(*y));
	for (i = 0; i < k; i++)
		for (q = 0; q < nr; q++)
			y[q] = fmaf(x[i], b[i * nr + q], y[q]);
}

static void
plain_bf16(size_t k, size_t nr, const float *x, const uint16_t *b, float *y,
    int add)
{
	const uint16_t *w = b;
	size_t i, q;

	if (!add)
		memset(y, 0, nr * sizeof(*y));
	for (i = 0; i < k; i += 2)
		for (q = 0; q < nr; q++, w += 2)
			y[q] = fmaf(x[i], wide(w[0]),
			    fmaf(x[i + 1], wide(w[1]), y[q]));
}

static const struct ge_row plain = { plain_f32, plain_bf16 };

#if defined(__x86_64__)
enum {
	W = 8, NV = 4			/* numbers a vector; vectors at a time */
};

#define AVX2 __attribute__((target("avx2,fma")))

/* nv vectors of columns. */
AVX2 static inline __attribute__((always_inline)) void
strip_f32(size_t k, size_t nr, const float *x, const float *b, float *y,
    int add, int nv)
{
	__m256 s[NV], a;
	size_t i;
	int v;

	_Pragma("GCC unroll 4")
	for (v = 0; v < nv; v++)
		s[v] = add ? _mm256_loadu_ps(y + v * W) : _mm256_setzero_ps();
	for (i = 0; i < k; i++, b += nr) {
		a = _mm256_broadcast_ss(x + i);
		_Pragma("GCC unroll 4")
		for (v = 0; v < nv; v++)
			s[v] = _mm256_fmadd_ps(a, _mm256_loadu_ps(b + v * W),
			    s[v]);
	}
	_Pragma("GCC unroll 4")
	for (v = 0; v < nv; v++)
		_mm256_storeu_ps(y + v * W, s[v]);
}

AVX2 static inline __attribute__((always_inline)) void
strip_bf16(size_t k, size_t nr, const float *x, const uint16_t *b, float *y,
    int add, int nv)
{
	const __m256i odd = _mm256_set1_epi32((int)0xffff0000);
	__m256 s[NV], a0, a1;
	__m256i w;
	size_t i;
	int v;

	_Pragma("GCC unroll 4")
	for (v = 0; v < nv; v++)
		s[v] = add ? _mm256_loadu_ps(y + v * W) : _mm256_setzero_ps();
	for (i = 0; i < k; i += 2, b += 2 * nr) {
		a0 = _mm256_broadcast_ss(x + i);
		a1 = _mm256_broadcast_ss(x + i + 1);
		_Pragma("GCC unroll 4")
		for (v = 0; v < nv; v++) {
			w = _mm256_loadu_si256((const __m256i *)
			    (const void *)(b + 2 * v * W));
			s[v] = _mm256_fmadd_ps(a1, _mm256_castsi256_ps(
			    _mm256_and_si256(w, odd)), s[v]);
			s[v] = _mm256_fmadd_ps(a0, _mm256_castsi256_ps(
			    _mm256_slli_epi32(w, 16)), s[v]);
		}
	}
	_Pragma("GCC unroll 4")
	for (v = 0; v < nv; v++)
		_mm256_storeu_ps(y + v * W, s[v]);
}

AVX2 static void
avx2_f32(size_t k, size_t nr, const float *x, const float *b, float *y,
    int add)
{
	size_t q;

	for (q = 0; q + NV * W <= nr; q += NV * W)
		strip_f32(k, nr, x, b + q, y + q, add, NV);
	for (; q + 2 * W <= nr; q += 2 * W)
		strip_f32(k, nr, x, b + q, y + q, add, 2);
	for (; q < nr; q += W)
		strip_f32(k, nr, x, b + q, y + q, add, 1);
}

AVX2 static void
avx2_bf16(size_t k, size_t nr, const float *x, const uint16_t *b, float *y,
    int add)
{
	size_t q;

	for (q = 0; q + NV * W <= nr; q += NV * W)
		strip_bf16(k, nr, x, b + 2 * q, y + q, add, NV);
	for (; q + 2 * W <= nr; q += 2 * W)
		strip_bf16(k, nr, x, b + 2 * q, y + q, add, 2);
	for (; q < nr; q += W)
		strip_bf16(k, nr, x, b + 2 * q, y + q, add, 1);
}

static const struct ge_row avx2 = { avx2_f32, avx2_bf16 };
#endif

const struct ge_row *
ge_row_of(const struct ge_kernel *kernel)
{

#if defined(__x86_64__)
	if (kernel != &ge_kernel_plain && kernel->nr % W == 0)
		return (&avx2);
#endif
	(void)kernel;
	return (&plain);
}
