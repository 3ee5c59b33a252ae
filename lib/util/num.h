#ifndef GE_NUM_H
#define GE_NUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Little-endian integers in byte buffers, numbers and hex in text.
 */
static inline uint16_t
ge_get16(const uint8_t *p)
{
	return ((uint16_t)(p[0] | p[1] << 8));
}

static inline uint32_t
ge_get32(const uint8_t *p)
{
	return (ge_get16(p) | (uint32_t)ge_get16(p + 2) << 16);
}

static inline uint64_t
ge_get64(const uint8_t *p)
{
	return (ge_get32(p) | (uint64_t)ge_get32(p + 4) << 32);
}

static inline void
ge_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void
ge_put32(uint8_t *p, uint32_t v)
{
	ge_put16(p, (uint16_t)v);
	ge_put16(p + 2, (uint16_t)(v >> 16));
}

static inline void
ge_put64(uint8_t *p, uint64_t v)
{
	ge_put32(p, (uint32_t)v);
	ge_put32(p + 4, (uint32_t)(v >> 32));
}

/*
 * ge_num_parse(s, len, out):
 * A canonical decimal number of exactly len characters: digits only, no leading
 * zero, below 2^64.  Return 0, or -1.
 */
int ge_num_parse(const char *s, size_t len, uint64_t *out);

/*
 * ge_size_parse(s, out):
 * A size as users write it: digits and an optional k, m, g or t (either case),
 * powers of 1024; below 2^63.  Return 0, or -1.
 */
int ge_size_parse(const char *s, uint64_t *out);

/*
 * ge_hex(out, buf, len):
 * Lower-case hex and a NUL into out[2 len + 1]; returns out.
 */
char *ge_hex(char *out, const uint8_t *buf, size_t len);

/*
 * ge_unhex(out, s, len):
 * Read len bytes from exactly 2 len lower-case hex digits.  Return 0, or -1.
 */
int ge_unhex(uint8_t *out, const char *s, size_t len);

/*
 * ge_percent(out, cap, s, len, keepblank):
 * Write s in printable ASCII: every byte outside 0x21..0x7e, 0x20 too unless
 * keepblank, and % itself become %XX.  NUL-terminated; return 0, or -1 if
 * it does not fit in cap.
 */
int ge_percent(char *out, size_t cap, const char *s, size_t len, int keepblank);

#endif
