#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "model/gemm_int.h"

/*
 * The sums of a tile stay in registers.  AVX-512: 12 x 32 leaves room for two of b
 * and one of a among 32 registers; AVX2: 6 x 16 for the same among 16.  The tile
 * that is below this one comes next, and is fetched meanwhile.
 */
#define KERNEL(isa, name, type, STEP, MR, NV, W, vec, xvec, LOAD, STORE,	\
    ZERO, XLOAD, XSET, MULADD)						\
__attribute__((target(isa)))						\
static void								\
name(size_t k, const type *a, const type *b, float *c, size_t ldc,	\
    int add)								\
{									\
	vec s[MR][NV];							\
	xvec y[NV], x;							\
	size_t i;							\
	int r, q;							\
									\
	_Pragma("GCC unroll 12")					\
	for (r = 0; r < MR; r++)					\
		_Pragma("GCC unroll 2")					\
		for (q = 0; q < NV; q++)				\
			s[r][q] = add ? LOAD(c + (size_t)r * ldc +	\
			    q * W) : ZERO();				\
	_Pragma("GCC unroll 12")					\
	for (r = 0; r < MR; r++)					\
		_Pragma("GCC unroll 2")					\
		for (q = 0; q < NV; q++)				\
			__builtin_prefetch(c + (size_t)(MR + r) * ldc +	\
			    q * W, 1);					\
	for (i = 0; i < k; i += STEP) {					\
		_Pragma("GCC unroll 2")					\
		for (q = 0; q < NV; q++)				\
			y[q] = XLOAD(b + q * W * STEP);			\
		_Pragma("GCC unroll 12")				\
		for (r = 0; r < MR; r++) {				\
			x = XSET(a + r * STEP);				\
			_Pragma("GCC unroll 2")				\
			for (q = 0; q < NV; q++)			\
				s[r][q] = MULADD(x, y[q], s[r][q]);	\
		}							\
		a += MR * STEP;						\
		b += 2 * W * STEP;					\
	}								\
	_Pragma("GCC unroll 12")					\
	for (r = 0; r < MR; r++)					\
		_Pragma("GCC unroll 2")					\
		for (q = 0; q < NV; q++)				\
			STORE(c + (size_t)r * ldc + q * W, s[r][q]);	\
}

static inline int32_t
pair(const uint16_t *a)
{
	int32_t v;

	memcpy(&v, a, sizeof(v));
	return (v);
}

/* AVX2: two bfloat16 of each lane apart, the odd ones first into the sum. */
__attribute__((target("avx2,fma")))
static inline __m256
dot2(__m256i x, __m256i y, __m256 s)
{
	const __m256i odd = _mm256_set1_epi32((int)0xffff0000);

	s = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(x, odd)),
	    _mm256_castsi256_ps(_mm256_and_si256(y, odd)), s);
	return (_mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
	    _mm256_castsi256_ps(_mm256_slli_epi32(y, 16)), s));
}

__attribute__((target("avx512f")))
static inline __m512
dot2wide(__m512i x, __m512i y, __m512 s)
{
	const __m512i odd = _mm512_set1_epi32((int)0xffff0000);

	s = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(x, odd)),
	    _mm512_castsi512_ps(_mm512_and_si512(y, odd)), s);
	return (_mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(x, 16)),
	    _mm512_castsi512_ps(_mm512_slli_epi32(y, 16)), s));
}

#define PAIR256(p) _mm256_set1_epi32(pair(p))
#define PAIR512(p) _mm512_set1_epi32(pair(p))
#define LOADI256(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define LOADI512(p) _mm512_loadu_si512((const void *)(p))
#define DPBF16(x, y, s) _mm512_dpbf16_ps(s, (__m512bh)(x), (__m512bh)(y))
#define SET256(p) _mm256_broadcast_ss(p)
#define SET512(p) _mm512_set1_ps(*(p))

/* A tile as wide as its panel, and one of half of it. */
#define KERNELS(isa, name, type, STEP, MR, W, vec, xvec, LOAD, STORE, ZERO,	\
    XLOAD, XSET, MULADD)						\
KERNEL(isa, name, type, STEP, MR, 2, W, vec, xvec, LOAD, STORE, ZERO,	\
    XLOAD, XSET, MULADD)						\
KERNEL(isa, name##_half, type, STEP, MR, 1, W, vec, xvec, LOAD, STORE,	\
    ZERO, XLOAD, XSET, MULADD)

KERNELS("avx2,fma", avx2_f32, float, 1, 6, 8, __m256, __m256,
    _mm256_loadu_ps, _mm256_storeu_ps, _mm256_setzero_ps, _mm256_loadu_ps,
    SET256, _mm256_fmadd_ps)
KERNELS("avx2,fma", avx2_bf16, uint16_t, 2, 6, 8, __m256, __m256i,
    _mm256_loadu_ps, _mm256_storeu_ps, _mm256_setzero_ps, LOADI256, PAIR256,
    dot2)
KERNELS("avx512f", avx512_f32, float, 1, 12, 16, __m512, __m512,
    _mm512_loadu_ps, _mm512_storeu_ps, _mm512_setzero_ps, _mm512_loadu_ps,
    SET512, _mm512_fmadd_ps)
KERNELS("avx512f", avx512_bf16, uint16_t, 2, 12, 16, __m512, __m512i,
    _mm512_loadu_ps, _mm512_storeu_ps, _mm512_setzero_ps, LOADI512, PAIR512,
    dot2wide)
KERNELS("avx512f,avx512bf16", avx512bf16_bf16, uint16_t, 2, 12, 16, __m512,
    __m512i, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_setzero_ps, LOADI512,
    PAIR512, DPBF16)

/* 16 x 16 of 32 bits, in place: x[r] lane i becomes x[i] lane r. */
__attribute__((target("avx512f")))
static inline void
transpose(__m512i x[16])
{
	__m512i y[16];
	int i;

	_Pragma("GCC unroll 8")
	for (i = 0; i < 16; i += 2) {
		y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
		y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
	}
	_Pragma("GCC unroll 4")
	for (i = 0; i < 16; i += 4) {
		x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
		x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
		x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
		x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
	}
	_Pragma("GCC unroll 4")
	for (i = 0; i < 4; i++) {
		y[i] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88);
		y[i + 4] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xdd);
		y[i + 8] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
		y[i + 12] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xdd);
	}
	_Pragma("GCC unroll 4")
	for (i = 0; i < 4; i++) {
		x[i] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0x88);
		x[i + 8] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0xdd);
		x[i + 4] = _mm512_shuffle_i32x4(y[i + 4], y[i + 12], 0x88);
		x[i + 12] = _mm512_shuffle_i32x4(y[i + 4], y[i + 12], 0xdd);
	}
}

/* 16 words of a row from v on, of which n are there. */
__attribute__((target("avx512f")))
static inline __m512i
words(const float *v, size_t n)
{

	return (_mm512_maskz_loadu_epi32((__mmask16)(n < 16 ? (1u << n) - 1 :
	    0xffff), v));
}

/* The same of 32 numbers, halved. */
__attribute__((target("avx512f,avx512bf16")))
static inline __m512i
halves(const float *v, size_t n)
{

	return ((__m512i)_mm512_cvtne2ps_pbh((__m512)words(v + 16, n > 16 ?
	    n - 16 : 0), (__m512)words(v, n)));
}

/* The next panel's numbers come while this one's are turned. */
#define AHEAD(v, n)							\
	do {								\
		__builtin_prefetch(v, 0, 2);					\
		if ((n) > 16)						\
			__builtin_prefetch((v) + 16, 0, 2);			\
	} while (0)

/* Of up to 16 rows `step` numbers each make a line of 16 words; those turned. */
#define ROWS(isa, name, type, step, LINE)				\
__attribute__((target(isa)))						\
static void								\
name(type *dst, const float *v, size_t ld, size_t w, size_t n, size_t k)	\
{									\
	enum { EACH = step / 16 };					\
	__m512i x[16];							\
	size_t i, r, q, lines;						\
	__mmask16 some;							\
									\
	for (i = 0; i < k; i += step) {					\
		lines = k - i < step ? (k - i + EACH - 1) / EACH : 16;	\
		for (r = 0; r < w; r += 16) {				\
			some = (__mmask16)((w - r < 16 ? 1u << (w - r) :	\
			    1u << 16) - 1);				\
			_Pragma("GCC unroll 16")			\
			for (q = 0; q < 16; q++)			\
				x[q] = r + q < n ? LINE(v + (r + q) * ld +	\
				    i, k - i) : _mm512_setzero_si512();	\
			_Pragma("GCC unroll 16")			\
			for (q = 0; q < 16; q++)			\
				if (r + q < w)				\
					AHEAD(v + (w + r + q) * ld + i,	\
					    step);			\
			transpose(x);					\
			_Pragma("GCC unroll 16")			\
			for (q = 0; q < 16; q++)			\
				if (q < lines)				\
					_mm512_mask_storeu_epi32(dst + (i *	\
					    w / EACH + q * w + r) * EACH,	\
					    some, x[q]);		\
		}							\
	}								\
}

ROWS("avx512f", avx512_rows, float, 16, words)
ROWS("avx512f,avx512bf16", avx512bf16_rows, uint16_t, 32, halves)

enum {
	RUN = 16			/* rows that go into a panel at once */
};

__attribute__((target("avx512f")))
static void
avx512_cols(float *dst, size_t stride, const float *v, size_t ld, size_t w,
    size_t n, size_t k)
{
	size_t i, r, q, at, end;
	__mmask16 some;

	for (at = 0; at < k; at = end) {
		end = k - at < RUN ? k : at + RUN;
		for (r = 0; r < n; r += w)
			for (q = 0; q < w; q += 16) {
				some = (__mmask16)((w - q < 16 ? 1u << (w -
				    q) : 1u << 16) - 1);
				for (i = at; i < end; i++)
					_mm512_mask_storeu_ps(dst + r / w *
					    stride + i * w + q, some, (__m512)
					    words(v + i * ld + r + q, r + q <
					    n ? n - r - q : 0));
			}
	}
}

__attribute__((target("avx512f,avx512bw,avx512bf16")))
static void
avx512bf16_cols(uint16_t *dst, size_t stride, const float *v, size_t ld,
    size_t w, size_t n, size_t k)
{
	/* Of two rows of 16 in turn one word of each. */
	static const uint16_t turn[32] = { 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
	    21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
	    30, 15, 31 };
	const __m512i index = _mm512_loadu_si512((const void *)turn);
	const float *x;
	size_t i, r, q, at, end, have;
	__mmask16 some;
	__m512bh both;

	for (at = 0; at < k; at = end) {
		end = k - at < RUN ? k : at + RUN;
		for (r = 0; r < n; r += w)
			for (q = 0; q < w; q += 16) {
				some = (__mmask16)((w - q < 16 ? 1u << (w -
				    q) : 1u << 16) - 1);
				have = r + q < n ? n - r - q : 0;
				for (i = at; i < end; i += 2) {
					x = v + i * ld + r + q;
					__builtin_prefetch(x + RUN * ld, 0, 2);
					__builtin_prefetch(x + (RUN + 1) * ld,
					    0, 2);
					both = _mm512_cvtne2ps_pbh((__m512)
					    words(x + ld, i + 1 < k ? have :
					    0), (__m512)words(x, have));
					_mm512_mask_storeu_epi32(dst + r / w *
					    stride + i * w + 2 * q, some,
					    _mm512_permutexvar_epi16(index,
					    (__m512i)both));
				}
			}
	}
}

const struct ge_kernel ge_kernel_avx2 = { "avx2", 6, 16, avx2_f32, avx2_bf16,
    avx2_f32_half, avx2_bf16_half, NULL, NULL, NULL, NULL };
const struct ge_kernel ge_kernel_avx512 = { "avx512", 12, 32, avx512_f32,
    avx512_bf16, avx512_f32_half, avx512_bf16_half, avx512_rows, NULL,
    avx512_cols, NULL };
const struct ge_kernel ge_kernel_avx512bf16 = { "avx512bf16", 12, 32,
    avx512_f32, avx512bf16_bf16, avx512_f32_half, avx512bf16_bf16_half,
    avx512_rows, avx512bf16_rows, avx512_cols, avx512bf16_cols };
#endif
