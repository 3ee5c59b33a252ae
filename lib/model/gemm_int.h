#ifndef GE_GEMM_INT_H
#define GE_GEMM_INT_H

#include <stddef.h>
#include <stdint.h>

/*
 * A kernel multiplies a panel of mr rows by a panel of nr columns:
 *
 *	a  f32: [k][mr]; bf16: [k / 2][mr][2], pairs in order
 *	b  f32: [k][nr]; bf16: [k / 2][nr][2]
 *	c  [mr][ldc]	add: what is there goes first into the sums
 *
 * bf16: k is even, and the caller's processor flushes subnormals.
 */
struct ge_kernel {
	const char *name;
	size_t mr, nr;
	void (*f32)(size_t k, const float *a, const float *b, float *c,
	    size_t ldc, int add);
	void (*bf16)(size_t k, const uint16_t *a, const uint16_t *b, float *c,
	    size_t ldc, int add);
	/* The same for the first half of the columns alone; or NULL. */
	void (*f32_half)(size_t k, const float *a, const float *b, float *c,
	    size_t ldc, int add);
	void (*bf16_half)(size_t k, const uint16_t *a, const uint16_t *b,
	    float *c, size_t ldc, int add);
	/*
	 * Packing, NULL where plain code does it.  rows: one panel of w from n rows
	 * of k numbers, v[r * ld + i]; cols: panels of w, one every stride elements,
	 * from k rows of n numbers, v[i * ld + r].  Up to w and, in bfloat16, to
	 * an even k there are zeros.
	 */
	void (*rows_f32)(float *dst, const float *v, size_t ld, size_t w,
	    size_t n, size_t k);
	void (*rows_bf16)(uint16_t *dst, const float *v, size_t ld, size_t w,
	    size_t n, size_t k);
	void (*cols_f32)(float *dst, size_t stride, const float *v, size_t ld,
	    size_t w, size_t n, size_t k);
	void (*cols_bf16)(uint16_t *dst, size_t stride, const float *v,
	    size_t ld, size_t w, size_t n, size_t k);
};

enum {
	GE_MR_MAX = 16, GE_NR_MAX = 64
};

/* ge_kernel_best(): here, as GE_CPU allows. */
const struct ge_kernel *ge_kernel_best(void);

extern const struct ge_kernel ge_kernel_plain;
#if defined(__x86_64__)
extern const struct ge_kernel ge_kernel_avx2, ge_kernel_avx512,
    ge_kernel_avx512bf16;
#endif

#endif
