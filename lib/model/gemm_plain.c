#include <math.h>
#include <string.h>

#include "model/gemm_int.h"

/*
 * The kernel that says what the others must give.
 */
enum {
	MR = 4, NR = 8
};

static void
f32(size_t k, const float *a, const float *b, float *c, size_t ldc, int add)
{
	float s;
	size_t i, r, q;

	for (r = 0; r < MR; r++)
		for (q = 0; q < NR; q++) {
			s = add ? c[r * ldc + q] : 0;
			for (i = 0; i < k; i++)
				s = fmaf(a[i * MR + r], b[i * NR + q], s);
			c[r * ldc + q] = s;
		}
}

static float
wide(uint16_t x)
{
	union { uint32_t u; float f; } v = { (uint32_t)x << 16 };

	return (v.f);
}

static void
bf16(size_t k, const uint16_t *a, const uint16_t *b, float *c, size_t ldc,
    int add)
{
	const uint16_t *x, *y;
	float s;
	size_t i, r, q;

	for (r = 0; r < MR; r++)
		for (q = 0; q < NR; q++) {
			s = add ? c[r * ldc + q] : 0;
			for (i = 0; i < k / 2; i++) {
				x = a + (i * MR + r) * 2;
				y = b + (i * NR + q) * 2;
				s = fmaf(wide(x[0]), wide(y[0]),
				    fmaf(wide(x[1]), wide(y[1]), s));
			}
			c[r * ldc + q] = s;
		}
}

const struct ge_kernel ge_kernel_plain = { "plain", MR, NR, f32, bf16, NULL,
    NULL, NULL, NULL, NULL, NULL };
