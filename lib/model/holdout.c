#include "model/holdout.h"

static int
differ(const uint32_t *fold, size_t n)
{
	size_t i;

	for (i = 1; fold != NULL && i < n; i++)
		if (fold[i] % GE_HOLDOUT_PARTS != fold[0] % GE_HOLDOUT_PARTS)
			return (1);
	return (0);
}

static size_t
pick(const uint32_t *fold, size_t n, size_t part, int in, uint32_t *row)
{
	size_t i, got = 0;

	for (i = 0; i < n; i++)
		if (((fold != NULL ? fold[i] : i) % GE_HOLDOUT_PARTS == part)
		    == in)
			row[got++] = (uint32_t)i;
	return (got);
}

size_t
ge_holdout(const uint32_t *fold, size_t n, size_t part, uint32_t *row)
{
	size_t got;

	if (!differ(fold, n))
		fold = NULL;
	got = pick(fold, n, part, 1, row);
	pick(fold, n, part, 0, row + got);
	return (got);
}
