#include <string.h>

#include "model/ranks.h"

int
ge_ranks_open(struct ge_ranks **r, struct ge_err *e)
{

	(void)e;
	*r = NULL;
	return (0);
}

int
ge_ranks_rank(const struct ge_ranks *r)
{

	(void)r;
	return (0);
}

int
ge_ranks_size(const struct ge_ranks *r)
{

	(void)r;
	return (1);
}

void
ge_ranks_close(struct ge_ranks *r)
{

	(void)r;
}

void
ge_ranks_abort(struct ge_ranks *r, int status)
{

	(void)r;
	(void)status;
}

int
ge_ranks_share(struct ge_ranks *r, void *p, size_t len, struct ge_err *e)
{

	(void)r;
	(void)p;
	(void)len;
	(void)e;
	return (0);
}

int
ge_ranks_gather(struct ge_ranks *r, void *p, size_t each, struct ge_err *e)
{

	(void)r;
	(void)p;
	(void)each;
	(void)e;
	return (0);
}

int
ge_ranks_most(struct ge_ranks *r, int *v, struct ge_err *e)
{

	(void)r;
	(void)v;
	(void)e;
	return (0);
}

int
ge_ranks_agree(struct ge_ranks *r, int rc, struct ge_err *e)
{

	(void)r;
	(void)e;
	return (rc);
}

void
ge_ranks_part(const struct ge_ranks *r, size_t n, size_t unit, size_t *from,
    size_t *len)
{

	(void)r;
	(void)unit;
	*from = 0;
	*len = n;
}

int
ge_ranks_sum(struct ge_ranks *r, float *x, size_t n, size_t unit,
    struct ge_pool *pool, struct ge_err *e)
{

	(void)r;
	(void)x;
	(void)n;
	(void)unit;
	(void)pool;
	(void)e;
	return (0);
}

int
ge_ranks_spread(struct ge_ranks *r, void *p, size_t n, size_t size,
    size_t unit, struct ge_err *e)
{

	(void)r;
	(void)p;
	(void)n;
	(void)size;
	(void)unit;
	(void)e;
	return (0);
}
