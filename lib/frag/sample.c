#include <math.h>
#include <string.h>

#include "frag/frag.h"
#include "util/world.h"

int
ge_sampler_init(struct ge_sampler *s, double confidence, double share,
    uint64_t all)
{
	double want = ceil(log1p(-confidence) / log1p(-share));

	memset(s, 0, sizeof(*s));
	s->all = all;
	s->want = want < (double)all ? (uint64_t)want : all;
	return (s->want < all);
}

static int
uniform(struct ge_sampler *s, double *u, struct ge_err *e)
{

	if (s->left == 0) {
		if (ge_random(s->pool, sizeof(s->pool), e) == -1)
			return (-1);
		s->left = sizeof(s->pool) / sizeof(s->pool[0]);
	}
	*u = (double)(s->pool[--s->left] >> 11) / 9007199254740992.0;
	return (0);
}

/* Selection sampling: Knuth, algorithm S. */
int
ge_sampler_pick(struct ge_sampler *s, uint8_t *pick, size_t n,
    struct ge_err *e)
{
	double u;
	size_t i;

	for (i = 0; i < n; i++, s->seen++) {
		if (uniform(s, &u, e) == -1)
			return (-1);
		pick[i] = (double)(s->all - s->seen) * u <
		    (double)(s->want - s->chosen);
		s->chosen += pick[i];
	}
	return (0);
}
