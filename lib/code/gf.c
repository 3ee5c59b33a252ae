#include <stdint.h>

#include "code/code.h"

uint8_t
ge_gf_mul(uint8_t a, uint8_t b)
{
	unsigned int i, r = 0, x = a;

	for (i = 0; i < 8; i++) {
		r ^= x & -((unsigned int)b >> i & 1);
		x = x << 1 ^ (0x11d & -(x >> 7));
	}
	return ((uint8_t)r);
}

/* 254 = 2 + 4 + ... + 128 */
uint8_t
ge_gf_inv(uint8_t a)
{
	uint8_t r = 1;
	int i;

	for (i = 1; i < 8; i++) {
		a = ge_gf_mul(a, a);
		r = ge_gf_mul(r, a);
	}
	return (r);
}
