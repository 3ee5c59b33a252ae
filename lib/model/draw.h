#ifndef GE_DRAW_H
#define GE_DRAW_H

#include <stdint.h>

/* ge_draw(s): splitmix64 (Steele, Lea and Flood, 2014). */
static inline uint64_t
ge_draw(uint64_t *s)
{
	uint64_t x = *s += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (x ^ x >> 31);
}

/*
 * ge_draw_normal(s): normal numbers as a sum of twelve even ones: no function whose
 * last bit depends on the C library.
 */
static inline float
ge_draw_normal(uint64_t *s)
{
	int64_t sum = 0;
	int i;

	for (i = 0; i < 12; i++)
		sum += (int64_t)(ge_draw(s) >> 40);
	return ((float)(sum - ((int64_t)6 << 24)) * 0x1p-24f);
}

#endif
