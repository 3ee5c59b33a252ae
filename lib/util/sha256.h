#ifndef GE_SHA256_H
#define GE_SHA256_H

#include <stddef.h>
#include <stdint.h>

/*
 * SHA-256 (FIPS 180-4).  None of these can fail or allocate.
 */
struct ge_sha256 {
	uint64_t opaque[16];	/* OpenSSL's SHA256_CTX */
};

void ge_sha256_init(struct ge_sha256 *h);
void ge_sha256_add(struct ge_sha256 *h, const void *buf, size_t len);
void ge_sha256_end(struct ge_sha256 *h, uint8_t out[32]);

/*
 * ge_sha256_blocks(out, head, body, len, n):
 * Hash n messages of the same length, each a 64-byte head and a body.  On a
 * processor with SHA extensions three messages are interleaved, since one alone
 * leaves the unit idle most of the time (it waits for the latency of
 * SHA256RNDS2).  So n = 3, 6, 9 ... is best.
 *
 *	out   [n][32]  out
 *	head  [n][64]  in
 *	body  [n]      in   n pointers to len bytes each; any alignment
 *	len            bytes, 0 allowed; one at a time if len % 64 > 55
 *
 * Thread-safe.  GE_CPU=portable in the environment forces OpenSSL's code,
 * GE_CPU=noavx512 the kernel in SSE registers.
 */
void ge_sha256_blocks(uint8_t (*out)[32], const uint8_t (*head)[64],
    const uint8_t *const *body, size_t len, size_t n);

/*
 * ge_sha256_variant():
 * The name of the kernel in use: "sha-ni x3 avx512", "sha-ni x3", "portable".
 */
const char *ge_sha256_variant(void);

#endif
