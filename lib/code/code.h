#ifndef GE_CODE_H
#define GE_CODE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Coding: GF(2^8) with polynomial 0x11d, Reed-Solomon, CRC32C, DEFLATE.
 * Pure kernels: no I/O, no state between calls.
 */

enum {
	GE_RS_MAX = 64		/* most fragments of a code */
};

/*
 * ge_gf_mul(a, b):
 * Product in GF(2^8)/0x11d by masks: no branch and no table look-up depends on
 * a or b, so it may be fed secrets.
 */
uint8_t ge_gf_mul(uint8_t a, uint8_t b);

/*
 * ge_gf_inv(a):
 * Inverse of a (a^254), in constant time; 0 for 0.
 */
uint8_t ge_gf_inv(uint8_t a);

/*
 * Systematic Cauchy Reed-Solomon code, k of n (gefrag(5), code 1): block i < k
 * is data block i, block i >= k is the sum over j of 1/(i xor j) * data block j.
 * Every k rows of the matrix are invertible, which ISA-L's gf_gen_rs_matrix
 * does not give (6 of 12 and 10 of 15 have singular choices).
 * For k = 1 all blocks equal the data.
 */
struct ge_rs {
	int k, n;
	uint8_t matrix[GE_RS_MAX * GE_RS_MAX];	/* [n][k] */
	uint8_t *tables;	/* ISA-L's, 32 k (n-k) bytes; NULL if n = k */
};

/*
 * ge_rs_init(c, k, n, e):
 * Prepare the code; 1 <= k <= n <= 64.  Return 0, or -1 (no memory).
 * ge_rs_release frees; releasing a zeroed struct is fine.
 */
int ge_rs_init(struct ge_rs *c, int k, int n, struct ge_err *e);
void ge_rs_release(struct ge_rs *c);

/*
 * ge_rs_encode(c, data, parity, len):
 * Make the parity blocks of a stripe.
 *
 *	data    [k]    in   k blocks of len bytes
 *	parity  [n-k]  out  n-k blocks of len bytes; no overlap with data
 *	len            bytes, a multiple of 64
 *
 * Thread-safe; allocates nothing; O(k (n-k) len).  The upper halves of vector
 * registers are clean on return (ISA-L 2.30 leaves them dirty, which halves
 * the speed of the SSE code that follows).
 */
void ge_rs_encode(const struct ge_rs *c, const uint8_t *const *data,
    uint8_t *const *parity, size_t len);

/*
 * How to make some blocks of a stripe from k others; one plan serves every
 * stripe that lost the same blocks.
 */
struct ge_rs_plan {
	int k, nwant;
	uint8_t *tables;	/* 32 k nwant bytes; NULL if nwant = 0 */
	uint8_t rows[GE_RS_MAX * GE_RS_MAX];	/* [nwant][k] coefficients */
};

/*
 * ge_rs_plan_init(p, c, have, want, nwant, e):
 *
 *	have  [k]      in  places of the blocks at hand, 0..n-1, distinct; untrusted
 *	want  [nwant]  in  places to rebuild, 0..n-1; 0 <= nwant <= n
 *
 * Return 0, or -1: GE_ELOST if a place is out of range, or repeated in have,
 * GE_EFAIL without memory.  ge_rs_plan_release frees; zeroed is fine.
 */
int ge_rs_plan_init(struct ge_rs_plan *p, const struct ge_rs *c,
    const uint8_t *have, const uint8_t *want, int nwant, struct ge_err *e);
void ge_rs_plan_release(struct ge_rs_plan *p);

/*
 * ge_rs_rebuild(p, src, dst, len):
 *
 *	src  [k]      in   the blocks at hand, in the order of have
 *	dst  [nwant]  out  the blocks wanted, in the order of want; no overlap
 *	len           bytes, a multiple of 64
 *
 * Thread-safe; allocates nothing; vector registers as in ge_rs_encode.
 * After Plank (1997) with the 2003 correction.
 */
void ge_rs_rebuild(const struct ge_rs_plan *p, const uint8_t *const *src,
    uint8_t *const *dst, size_t len);

/*
 * ge_crc32c(crc, buf, len):
 * CRC32C (Castagnoli) as in RFC 3720, continued from crc, 0 at the start:
 * ge_crc32c(0, "123456789", 9) = 0xe3069283.
 */
uint32_t ge_crc32c(uint32_t crc, const void *buf, size_t len);

/*
 * ge_deflate(dst, cap, src, len, last, outlen, e):
 * Compress a chunk into raw DEFLATE (RFC 1951) that ends on a byte boundary,
 * so that the chunks of a run, each compressed on its own, join into one
 * stream; `last` marks the chunk that ends it.
 *
 * Return 1 with *outlen set; 0 if it does not fit in cap bytes with one
 * to spare; -1 without memory.  Same input, same bytes.  Thread-safe.
 */
int ge_deflate(uint8_t *dst, size_t cap, const uint8_t *src, size_t len,
    int last, size_t *outlen, struct ge_err *e);

/*
 * ge_inflate(dst, len, src, npieces, e):
 * Expand one raw DEFLATE stream that lies in npieces pieces, ends exactly with
 * the last byte of the last, and yields exactly len bytes.  Writes nothing
 * beyond dst[len-1].  The input is untrusted.
 *
 * Return 0, or -1 with dst unspecified: GE_EREFUSED if the stream is not
 * exactly that, GE_EFAIL without memory.
 */
struct ge_piece {
	const uint8_t *buf;
	size_t len;
};
int ge_inflate(uint8_t *dst, size_t len, const struct ge_piece *src,
    size_t npieces, struct ge_err *e);

#endif
