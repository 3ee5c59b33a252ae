/*
 * The low-level functions of OpenSSL are deprecated in favour of EVP, whose
 * contexts are allocated and whose calls can fail.  These can do neither, and
 * they use the processor's SHA extensions just the same.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/sha.h>

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "util/sha256.h"

_Static_assert(sizeof(struct ge_sha256) >= sizeof(SHA256_CTX),
    "struct ge_sha256 is too small");

struct variant {
	const char *name;
	void (*blocks)(uint8_t (*)[32], const uint8_t (*)[64],
	    const uint8_t *const *, size_t, size_t);
};

void
ge_sha256_init(struct ge_sha256 *h)
{

	SHA256_Init((SHA256_CTX *)h->opaque);
}

void
ge_sha256_add(struct ge_sha256 *h, const void *buf, size_t len)
{

	SHA256_Update((SHA256_CTX *)h->opaque, buf, len);
}

void
ge_sha256_end(struct ge_sha256 *h, uint8_t out[32])
{

	SHA256_Final(out, (SHA256_CTX *)h->opaque);
}

static void
blocks_portable(uint8_t (*out)[32], const uint8_t (*head)[64],
    const uint8_t *const *body, size_t len, size_t n)
{
	struct ge_sha256 h;
	size_t i;

	for (i = 0; i < n; i++) {
		ge_sha256_init(&h);
		ge_sha256_add(&h, head[i], 64);
		if (len > 0)
			ge_sha256_add(&h, body[i], len);
		ge_sha256_end(&h, out[i]);
	}
}

static const struct variant portable = { "portable", blocks_portable };

#if defined(__x86_64__)

enum {
	LANES = 3,			/* messages side by side: see shani() */
	TAIL = 55			/* bytes that share a block with the length */
};

static const uint32_t iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
};

static const uint32_t rk[64] __attribute__((aligned(64))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5,
	0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
	0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
	0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
	0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t
ror(uint32_t x, int r)
{

	return (x >> r | x << (32 - r));
}

/*
 * The last block of a message of `bytes` bytes, a multiple of 64, is the same
 * for all of them: its schedule with the round constants already added.
 */
static void
padding(uint32_t wk[64], uint64_t bytes)
{
	uint32_t w[64] = { 0x80000000 };
	int i;

	w[14] = (uint32_t)(bytes >> 29);
	w[15] = (uint32_t)(bytes << 3);
	for (i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		    (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) +
		    (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (i = 0; i < 64; i++)
		wk[i] = w[i] + rk[i];
}

/* The last blocks of messages that do not fill theirs. */
static void
tails(uint8_t last[LANES][64], const uint8_t *const *body, size_t len,
    size_t n)
{
	uint64_t bits = (64 + (uint64_t)len) * 8;
	size_t i, j, rest = len % 64;

	memset(last, 0, LANES * 64);
	for (i = 0; i < n; i++) {
		memcpy(last[i], body[i] + len - rest, rest);
		last[i][rest] = 0x80;
		for (j = 0; j < 8; j++)
			last[i][63 - j] = (uint8_t)(bits >> 8 * j);
	}
}

/*
 * n messages, n a constant once inlined and the loops over s and i unrolled, so
 * that every array member is a register.  The state of a message is ABEF and
 * CDGH; w[s] is a ring of the last 16 words of its schedule.
 *
 * SHA256RNDS2 takes 4 cycles, so a message alone costs 128 cycles a block.  The
 * unit starts one each cycle (Zen 4) or each second cycle (Intel): messages
 * side by side fill the gaps, and the schedule runs on other ports.  More than
 * three gain 1% at most (Zen 4), and lose where there are 16 registers.
 */
__attribute__((target("sha,sse4.1"), always_inline)) static inline void
shani(int n, uint8_t (*out)[32], const uint8_t (*head)[64],
    const uint8_t *const *body, size_t len, const uint32_t *pad,
    const uint8_t (*tail)[64])
{
	__m128i abef[LANES], cdgh[LANES], w[LANES][4], a[LANES], c[LANES];
	__m128i t, wk;
	const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11,
	    4, 5, 6, 7, 0, 1, 2, 3);
	const uint8_t *p[LANES];
	size_t off;
	int i, s;

#pragma GCC unroll 4
	for (s = 0; s < n; s++) {
		p[s] = head[s];
		abef[s] = _mm_set_epi32((int)iv[0], (int)iv[1], (int)iv[4],
		    (int)iv[5]);
		cdgh[s] = _mm_set_epi32((int)iv[2], (int)iv[3], (int)iv[6],
		    (int)iv[7]);
	}
	for (off = 0;; off += 64) {
#pragma GCC unroll 4
		for (s = 0; s < n; s++) {
			a[s] = abef[s];
			c[s] = cdgh[s];
#pragma GCC unroll 4
			for (i = 0; i < 4; i++)
				w[s][i] = _mm_shuffle_epi8(_mm_loadu_si128(
				    (const __m128i *)(p[s] + 16 * i)), swap);
		}
#pragma GCC unroll 16
		for (i = 0; i < 16; i++)
#pragma GCC unroll 4
			for (s = 0; s < n; s++) {
				wk = _mm_add_epi32(w[s][i & 3], _mm_load_si128(
				    (const __m128i *)&rk[4 * i]));
				cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s],
				    abef[s], wk);
				if (i >= 3 && i < 15) {
					t = _mm_alignr_epi8(w[s][i & 3],
					    w[s][(i + 3) & 3], 4);
					t = _mm_add_epi32(w[s][(i + 1) & 3], t);
					w[s][(i + 1) & 3] =
					    _mm_sha256msg2_epu32(t,
					    w[s][i & 3]);
				}
				wk = _mm_shuffle_epi32(wk, 0x0e);
				abef[s] = _mm_sha256rnds2_epu32(abef[s],
				    cdgh[s], wk);
				if (i >= 1 && i < 13)
					w[s][(i + 3) & 3] =
					    _mm_sha256msg1_epu32(
					    w[s][(i + 3) & 3], w[s][i & 3]);
			}
#pragma GCC unroll 4
		for (s = 0; s < n; s++) {
			abef[s] = _mm_add_epi32(abef[s], a[s]);
			cdgh[s] = _mm_add_epi32(cdgh[s], c[s]);
		}
		if (off >= len) {
			if (off > len || tail == NULL)
				break;
#pragma GCC unroll 4
			for (s = 0; s < n; s++)
				p[s] = tail[s];
			continue;
		}
#pragma GCC unroll 4
		for (s = 0; s < n; s++)
			p[s] = body[s] + off;
	}
#pragma GCC unroll 4
	for (s = 0; s < n; s++) {
		a[s] = tail == NULL ? abef[s] : _mm_setzero_si128();
		c[s] = tail == NULL ? cdgh[s] : _mm_setzero_si128();
	}
	for (i = 0; i < 16 && tail == NULL; i++) {
		t = _mm_loadu_si128((const __m128i *)&pad[4 * i]);
		wk = _mm_shuffle_epi32(t, 0x0e);
#pragma GCC unroll 4
		for (s = 0; s < n; s++) {
			cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], t);
			abef[s] = _mm_sha256rnds2_epu32(abef[s], cdgh[s], wk);
		}
	}
#pragma GCC unroll 4
	for (s = 0; s < n; s++) {
		a[s] = _mm_shuffle_epi32(_mm_add_epi32(abef[s], a[s]), 0x1b);
		c[s] = _mm_shuffle_epi32(_mm_add_epi32(cdgh[s], c[s]), 0xb1);
		t = _mm_blend_epi16(a[s], c[s], 0xf0);
		_mm_storeu_si128((__m128i *)out[s], _mm_shuffle_epi8(t, swap));
		t = _mm_alignr_epi8(c[s], a[s], 8);
		_mm_storeu_si128((__m128i *)(out[s] + 16),
		    _mm_shuffle_epi8(t, swap));
	}
}

/*
 * SSE instructions are slow while the upper halves of the vector registers are
 * in use, and SHA256RNDS2 is one.
 */
__attribute__((target("avx"), noinline)) static void
zeroupper(void)
{

	_mm256_zeroupper();
}

/*
 * The same code twice: AVX-512's 16 more registers hold what otherwise goes
 * through memory.  Each kernel is a function of its own, or the compiler gives
 * them fewer registers.  Four messages are better as 2 + 2 than as 3 + 1.
 */
#define KERNEL(name, isa, n)						\
__attribute__((target(isa), noinline)) static void			\
name(uint8_t (*out)[32], const uint8_t (*head)[64],			\
    const uint8_t *const *body, size_t len, const uint32_t *pad,	\
    const uint8_t (*tail)[64])						\
{									\
									\
	shani(n, out, head, body, len, pad, tail);			\
}

#define BLOCKS(name, isa)						\
KERNEL(name##_1, isa, 1)						\
KERNEL(name##_2, isa, 2)						\
KERNEL(name##_3, isa, 3)						\
static void								\
name(uint8_t (*out)[32], const uint8_t (*head)[64],			\
    const uint8_t *const *body, size_t len, size_t n)			\
{									\
	uint8_t last[LANES][64];					\
	uint32_t pad[64];						\
	size_t now, rest = len % 64;					\
									\
	if (rest > TAIL) {						\
		blocks_portable(out, head, body, len, n);		\
		return;							\
	}								\
	if (__builtin_cpu_supports("avx"))				\
		zeroupper();						\
	if (rest == 0)							\
		padding(pad, 64 + (uint64_t)len);			\
	for (; n > 0; n -= now, out += now, head += now, body += now) {	\
		now = n == 4 ? 2 : n >= LANES ? LANES : n;		\
		if (rest > 0)						\
			tails(last, body, len, now);			\
		if (now == 3)						\
			name##_3(out, head, body, len - rest, pad,	\
			    rest > 0 ? last : NULL);			\
		else if (now == 2)					\
			name##_2(out, head, body, len - rest, pad,	\
			    rest > 0 ? last : NULL);			\
		else							\
			name##_1(out, head, body, len - rest, pad,	\
			    rest > 0 ? last : NULL);			\
	}								\
}

BLOCKS(sse, "sha,sse4.1")
BLOCKS(avx512, "sha,avx512vl")

static const struct variant shani_sse = { "sha-ni x3", sse };
static const struct variant shani_avx512 = { "sha-ni x3 avx512", avx512 };

/* __builtin_cpu_supports learns "sha" only in GCC 14. */
static int
has_sha(void)
{
	unsigned int a, b, c, d;

	return (__get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 29 & 1);
}

#endif

static const struct variant *
choose(void)
{
	const char *cpu = getenv("GE_CPU");

	if (cpu != NULL && strcmp(cpu, "portable") == 0)
		return (&portable);
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (has_sha() && __builtin_cpu_supports("avx512vl") &&
	    (cpu == NULL || strcmp(cpu, "noavx512") != 0))
		return (&shani_avx512);
	if (has_sha() && __builtin_cpu_supports("sse4.1"))
		return (&shani_sse);
#endif
	return (&portable);
}

/* Threads that come first at once all choose the same. */
static const struct variant *
chosen(void)
{
	static const struct variant *_Atomic cached;
	const struct variant *v;

	v = atomic_load_explicit(&cached, memory_order_acquire);
	if (v == NULL) {
		v = choose();
		atomic_store_explicit(&cached, v, memory_order_release);
	}
	return (v);
}

void
ge_sha256_blocks(uint8_t (*out)[32], const uint8_t (*head)[64],
    const uint8_t *const *body, size_t len, size_t n)
{

	chosen()->blocks(out, head, body, len, n);
}

const char *
ge_sha256_variant(void)
{

	return (chosen()->name);
}
