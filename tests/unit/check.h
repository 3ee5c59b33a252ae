/* What the unit tests share; each says UNIT, its name, before. */
#include <stdint.h>
#include <stdio.h>

static int bad;				/* what main returns */

static void
check(int good, const char *name)
{

	printf("%s " UNIT ": %s\n", good ? "ok" : "not ok", name);
	bad |= !good;
}

/* xorshift64 (Marsaglia, 2003): the same numbers each time. */
static inline uint64_t
draw_bits(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (x);
}

/* 0..n-1 */
static inline unsigned int
draw(unsigned int n)
{

	return ((unsigned int)(draw_bits() >> 33) % n);
}

/* 0 up to 1, and not 1. */
static inline double
draw_part(void)
{

	return ((double)(draw_bits() >> 11) / 9007199254740992.0);
}
