/*
 * No branch depends on a secret: run under valgrind with every secret marked
 * undefined, memcheck reports each conditional jump that looks at one.  With
 * the argument `leaky` there is such a branch, to show that it is found.  See
 * tests/lint/consttime.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "seal/seal.h"

#ifdef __has_include
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_MAKE_MEM_UNDEFINED
#define VALGRIND_MAKE_MEM_UNDEFINED(p, len)	((void)(p))
#define VALGRIND_MAKE_MEM_DEFINED(p, len)	((void)(p))
#endif

enum {
	K = 6,
	N = 9
};

int
main(int argc, char **argv)
{
	static const uint8_t idx[K] = { 8, 0, 5, 2, 7, 3 };
	uint8_t secret[GE_KEY], coef[K - 1][GE_KEY], shares[N][GE_KEY];
	uint8_t some[K][GE_KEY], out[GE_KEY], again[GE_KEY];
	int i, differ;

	for (i = 0; i < GE_KEY; i++)
		secret[i] = (uint8_t)(37 * i + 11);
	for (i = 0; i < (int)sizeof(coef); i++)
		coef[i / GE_KEY][i % GE_KEY] = (uint8_t)(101 * i + i / 7);
	VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof(secret));
	VALGRIND_MAKE_MEM_UNDEFINED(coef, sizeof(coef));

	ge_share_split(shares, secret, (const uint8_t (*)[GE_KEY])coef, K, N);
	for (i = 0; i < K; i++)
		memcpy(some[i], shares[idx[i]], GE_KEY);
	ge_share_at(out, 0, idx, (const uint8_t (*)[GE_KEY])some, K);
	ge_share_at(again, 5, idx, (const uint8_t (*)[GE_KEY])some, K);
	if (argc > 1 && strcmp(argv[1], "leaky") == 0 && out[0] > 10)
		(void)getppid();

	/* Whether they are equal is no secret; where they differ is. */
	differ = CRYPTO_memcmp(out, secret, GE_KEY) |
	    CRYPTO_memcmp(again, shares[4], GE_KEY);
	VALGRIND_MAKE_MEM_DEFINED(&differ, sizeof(differ));
	printf("%s seal: constant time\n", differ ? "not ok" : "ok");
	return (differ != 0);
}
