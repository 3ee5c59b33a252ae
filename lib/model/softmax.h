#ifndef GE_SOFTMAX_H
#define GE_SOFTMAX_H

#include <math.h>
#include <stddef.h>

/* ge_softmax(p, k): log probabilities p [k], but for what is common to all, made those. */
static inline void
ge_softmax(double *p, size_t k)
{
	double most = p[0], sum = 0;
	size_t i;

	for (i = 1; i < k; i++)
		most = fmax(most, p[i]);
	for (i = 0; i < k; i++)
		sum += p[i] = exp(p[i] - most);
	for (i = 0; i < k; i++)
		p[i] /= sum;
}

#endif
