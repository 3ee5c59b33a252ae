#ifndef GE_ROW_INT_H
#define GE_ROW_INT_H

#include <stddef.h>
#include <stdint.h>

#include "model/gemm_int.h"

/*
 * What a kernel does to a panel of b, for one row: memory is what it waits for.
 *
 *	x  [k]		bf16: rounded to it already
 *	b  [k][nr], bf16 [k / 2][nr][2]
 *	y  [nr]
 */
struct ge_row {
	void (*f32)(size_t k, size_t nr, const float *x, const float *b,
	    float *y, int add);
	void (*bf16)(size_t k, size_t nr, const float *x, const uint16_t *b,
	    float *y, int add);
};

/* ge_row_of(kernel): the one that goes with it. */
const struct ge_row *ge_row_of(const struct ge_kernel *kernel);

#endif
