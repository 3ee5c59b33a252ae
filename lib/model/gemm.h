#ifndef GE_GEMM_H
#define GE_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/pool.h"

/*
 * Products of matrices of which every sum has one order: the same bits on any
 * number of threads and on any processor.  An element of C is a chain of fused
 * multiply-adds over the inner index, from 0 or from what C holds:
 *
 *	GE_F32	c = fma(a[i], b[i], c)			i = 0, 1, 2, ...
 *	GE_BF16	c = fma(a[i], b[i], fma(a[i+1], b[i+1], c))	i = 0, 2, 4, ...
 *
 * with a and b rounded to bfloat16 (to nearest, ties to even), subnormal numbers
 * taken for 0 everywhere, and a last odd element followed by 0: what VDPBF16PS does.
 */
enum ge_prec {
	GE_F32, GE_BF16
};

/* A matrix in float: the element (r, c) is v[r * rs + c * cs]; rs or cs is 1. */
struct ge_mat {
	const float *v;
	size_t rs, cs;
};

struct ge_gemm;

/*
 * ge_gemm_new(pool, prec, room, e):
 * room: the most that (m or n, whichever is less, plus 64) * (k plus 1) comes to.
 * pool is borrowed until ge_gemm_free (NULL is fine).
 *
 * ge_gemm(g, m, n, k, a, b, c, ldc, add):
 * C = A B, or C += A B with add.
 *
 *	a  m x k, b  k x n	in
 *	c  [m][ldc]	in/out	first n of each row; overlaps neither a nor b
 *
 * Cannot fail, allocates nothing.
 */
struct ge_gemm *ge_gemm_new(struct ge_pool *pool, enum ge_prec prec,
    size_t room, struct ge_err *e);
void ge_gemm_free(struct ge_gemm *g);
void ge_gemm(struct ge_gemm *g, size_t m, size_t n, size_t k,
    struct ge_mat a, struct ge_mat b, float *c, size_t ldc, int add);

/* ge_gemm_bytes(jobs, prec, room): what ge_gemm_new takes with a pool of jobs. */
size_t ge_gemm_bytes(int jobs, enum ge_prec prec, size_t room);

/*
 * ge_gemm_variant(g): the kernel in use: "avx512bf16", "avx512", "avx2", "plain".
 * GE_CPU=plain, avx2 or avx512 in the environment of ge_gemm_new forbids better
 * ones ("portable" is plain).
 */
const char *ge_gemm_variant(const struct ge_gemm *g);

/* ge_bf16(x): x rounded to bfloat16, as the upper half of a float. */
static inline uint16_t
ge_bf16(float x)
{
	union { float f; uint32_t u; } v = { x };

	if ((v.u & 0x7f800000) == 0)
		return ((uint16_t)(v.u >> 16 & 0x8000));
	if ((v.u & 0x7fffffff) > 0x7f800000)
		return ((uint16_t)(v.u >> 16 | 0x40));
	return ((uint16_t)((v.u + 0x7fff + (v.u >> 16 & 1)) >> 16));
}

#endif
