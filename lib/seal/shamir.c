#include <assert.h>
#include <string.h>

#include "seal/seal.h"
#include "util/mem.h"

enum {
	WORDS = GE_KEY / 8
};

/*
 * y = a * y + b in each of the eight bytes of a word.  Only y and b are
 * secret; a, the place of a share, is public.  The product is by masks all the
 * same: no branch and no table.
 */
static uint64_t
muladd(uint8_t a, uint64_t y, uint64_t b)
{
	const uint64_t top = 0x8080808080808080;
	uint64_t hi;
	int i;

	for (i = 0; i < 8; i++) {
		b ^= y & -(uint64_t)(a >> i & 1);
		hi = y & top;
		y = (y ^ hi) << 1 ^ (hi >> 7) * 0x1d;
	}
	return (b);
}

static uint8_t
mul(uint8_t a, uint8_t b)
{
	return ((uint8_t)muladd(a, b, 0));
}

/* The inverse, a^254; 0 for 0. */
static uint8_t
inv(uint8_t a)
{
	uint8_t r = 1;
	int i;

	for (i = 0; i < 7; i++) {
		a = mul(a, a);
		r = mul(r, a);
	}
	return (r);
}

/* y[] = a * y[] + row */
static void
step(uint64_t y[WORDS], uint8_t a, const uint8_t row[GE_KEY])
{
	uint64_t b;
	int i;

	for (i = 0; i < WORDS; i++) {
		memcpy(&b, row + 8 * i, 8);
		y[i] = muladd(a, y[i], b);
	}
	ge_wipe(&b, sizeof(b));
}

void
ge_share_split(uint8_t (*shares)[GE_KEY], const uint8_t secret[GE_KEY],
    const uint8_t (*coef)[GE_KEY], int k, int n)
{
	uint64_t y[WORDS];
	int i, j;

	assert(k >= 1 && k <= n && n <= 255);
	for (i = 0; i < n; i++) {
		memset(y, 0, sizeof(y));
		for (j = k - 2; j >= 0; j--)
			step(y, (uint8_t)(i + 1), coef[j]);
		step(y, (uint8_t)(i + 1), secret);
		memcpy(shares[i], y, GE_KEY);
	}
	ge_wipe(y, sizeof(y));
}

void
ge_share_at(uint8_t out[GE_KEY], int x, const uint8_t *idx,
    const uint8_t (*shares)[GE_KEY], int k)
{
	uint64_t sum[WORDS], y[WORDS];
	uint8_t num, den, xi, xj;
	int i, j;

	assert(k >= 1 && x >= 0 && x <= 255);
	memset(sum, 0, sizeof(sum));
	for (i = 0; i < k; i++) {
		num = den = 1;
		xi = (uint8_t)(idx[i] + 1);
		for (j = 0; j < k; j++) {
			if (j == i)
				continue;
			xj = (uint8_t)(idx[j] + 1);
			num = mul(num, (uint8_t)x ^ xj);
			den = mul(den, xi ^ xj);
		}
		num = mul(num, inv(den));
		memcpy(y, shares[i], GE_KEY);
		for (j = 0; j < WORDS; j++)
			sum[j] = muladd(num, y[j], sum[j]);
	}
	memcpy(out, sum, GE_KEY);
	ge_wipe(sum, sizeof(sum));
	ge_wipe(y, sizeof(y));
}
