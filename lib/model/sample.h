#ifndef GE_SAMPLE_H
#define GE_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The next token, drawn by what the model says.  The same from the same state on any
 * machine: sums run in one order, exponentials are our own.
 */
struct ge_sampler {
	float temperature;		/* 0: the likeliest, of equals the first */
	float top_p;			/* the likeliest that make up so much; 1: all */
	size_t top_k;			/* before that, so many; 0: all */
	uint64_t state;			/* of the random numbers */
};

/*
 * ge_sampler_seed(s, seed, n): the n-th stream of random numbers of a seed.
 *
 * ge_sample(s, logits, vocab, p, order): p and order [vocab] are scratch.
 * -1: the logits are not numbers.
 */
void ge_sampler_seed(struct ge_sampler *s, uint64_t seed, uint64_t n);
int32_t ge_sample(struct ge_sampler *s, const float *logits, size_t vocab,
    float *p, uint32_t *order);

#endif
