#ifndef GE_SAMPLING_H
#define GE_SAMPLING_H

#include <stddef.h>
#include <stdint.h>

/*
 * The next token, drawn by what the model says.  The same from the same state on any
 * machine: sums run in one order, exponentials are our own.
 */
struct ge_sampling {
	float temperature;		/* 0: the likeliest, of equals the first */
	float top_p;			/* the likeliest that make up so much; 1: all */
	size_t top_k;			/* before that, so many; 0: all */
	uint64_t state;			/* of the random numbers */
};

/*
 * ge_sampling_seed(s, seed, n): the n-th stream of random numbers of a seed.
 *
 * ge_sampling_next(s, logits, vocab, p, order): p and order [vocab] are scratch.
 * -1: the logits are not numbers.
 */
void ge_sampling_seed(struct ge_sampling *s, uint64_t seed, uint64_t n);
int32_t ge_sampling_next(struct ge_sampling *s, const float *logits,
    size_t vocab, float *p, uint32_t *order);

#endif
