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
	/*
	 * Panels of w columns from rows that lie one after the other (rows: v[r *
	 * ld + i], r < w, i < k, transposed) or side by side (cols: v[i * ld +
	 * r]).  They do whole blocks and return how many of k they have done, an
	 * even number; the rest is done by plain code.  NULL: all of it.
	 */
	size_t (*rows_f32)(float *dst, const float *v, size_t ld, size_t w,
	    size_t k);
	size_t (*rows_bf16)(uint16_t *dst, const float *v, size_t ld, size_t w,
	    size_t k);
	size_t (*cols_bf16)(uint16_t *dst, const float *v, size_t ld, size_t w,
	    size_t k);
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
