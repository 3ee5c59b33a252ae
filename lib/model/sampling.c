#include <math.h>
#include <string.h>

#include "model/draw.h"
#include "model/ops.h"
#include "model/sampling.h"

void
ge_sampling_seed(struct ge_sampling *s, uint64_t seed, uint64_t n)
{

	s->state = seed;
	s->state = ge_draw(&s->state) ^ n;
	s->state = ge_draw(&s->state);
}

/* The likeliest; vocab if there is one that is no number. */
static size_t
likeliest(const float *logits, size_t vocab)
{
	size_t i, most = 0;

	for (i = 0; i < vocab; i++) {
		if (!isfinite(logits[i]))
			return (vocab);
		if (logits[i] > logits[most])
			most = i;
	}
	return (most);
}

static int
before(const float *p, uint32_t a, uint32_t b)
{

	return (p[a] > p[b] || (p[a] == p[b] && a < b));
}

static void
sift(const float *p, uint32_t *heap, size_t i, size_t n)
{
	uint32_t x = heap[i];
	size_t j;

	for (; (j = 2 * i + 1) < n; i = j) {
		if (j + 1 < n && before(p, heap[j + 1], heap[j]))
			j++;
		if (!before(p, heap[j], x))
			break;
		heap[i] = heap[j];
	}
	heap[i] = x;
}

/*
 * The first that the random number falls on, of n in this order; sum is that of their
 * probabilities.
 */
static uint32_t
fall(struct ge_sampling *s, const float *p, const uint32_t *order, size_t n,
    double sum)
{
	double u = (double)(ge_draw(&s->state) >> 11) / 9007199254740992.0 * sum;
	size_t i;

	for (i = 0; i + 1 < n; i++) {
		u -= (double)p[order[i]];
		if (u < 0)
			break;
	}
	return (order[i]);
}

int32_t
ge_sampling_next(struct ge_sampling *s, const float *logits, size_t vocab,
    float *p, uint32_t *order)
{
	size_t n, k = s->top_k == 0 || s->top_k > vocab ? vocab : s->top_k;
	size_t most = likeliest(logits, vocab), i;
	double sum = 0, part = 0;
	uint32_t x;

	if (most == vocab)
		return (-1);
	if (s->temperature <= 0)
		return ((int32_t)most);
	memcpy(p, logits, vocab * sizeof(*p));
	ge_ops()->softmax(p, vocab, 1 / s->temperature);
	for (i = 0; i < vocab; i++) {
		order[i] = (uint32_t)i;
		sum += (double)p[i];
	}
	if (k == vocab && s->top_p >= 1)
		return ((int32_t)fall(s, p, order, vocab, sum));

	/* Taken from a heap, the likeliest first, to the end of the array. */
	for (i = vocab / 2; i-- > 0; )
		sift(p, order, i, vocab);
	if (k < vocab)
		sum = 0;
	for (n = 0; n < k; n++) {
		if (k == vocab && n > 0 && part >= (double)s->top_p * sum)
			break;
		x = order[0];
		i = vocab - 1 - n;
		order[0] = order[i];
		sift(p, order, 0, i);
		order[i] = x;
		part += (double)p[x];
	}
	if (k < vocab)
		sum = part;
	order += vocab - n;
	for (i = 0; i < n / 2; i++) {
		x = order[i];
		order[i] = order[n - 1 - i];
		order[n - 1 - i] = x;
	}
	for (k = n, n = 0, part = 0; n < k && (n == 0 ||
	    part < (double)s->top_p * sum); n++)
		part += (double)p[order[n]];
	return ((int32_t)fall(s, p, order, n, part));
}
