#include <string.h>

#include "util/num.h"
#include "util/sha256.h"
#include "util/world.h"

#include <stdlib.h>

/*
 * In place of lib/util/world.c: the test random stream of gefrag(5),
 * H(seed || LE64(0)) || H(seed || LE64(1)) || ..., seed from GE_TEST_SEED, and
 * one moment in time, GE_TEST_NOW or 2025-11-21T06:00:00Z.  Linked into test programs only.
 */
int
ge_random(void *buf, size_t len, struct ge_err *e)
{
	static uint64_t at;
	const char *seed = getenv("GE_TEST_SEED");
	struct ge_sha256 sha;
	uint8_t *p = buf, block[32], ctr[8];

	if (seed == NULL)
		return (ge_fail(e, GE_EFAIL, "GE_TEST_SEED is not set"));
	for (; len > 0; len--, at++) {
		ge_put64(ctr, at / 32);
		ge_sha256_init(&sha);
		ge_sha256_add(&sha, seed, strlen(seed));
		ge_sha256_add(&sha, ctr, sizeof(ctr));
		ge_sha256_end(&sha, block);
		*p++ = block[at % 32];
	}
	return (0);
}

int64_t
ge_now(void)
{
	const char *now = getenv("GE_TEST_NOW");

	return (now != NULL ? strtoll(now, NULL, 10) : 1763704800);
}
