/*
 * ge_sha256_blocks and the incremental functions against EVP_Digest, in every
 * variant: children with GE_CPU=portable and noavx512, and this processor's.
 */
#include <openssl/evp.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/sha256.h"

enum {
	MOST = 11,		/* messages */
	LONGEST = 8192
};

static int bad;

static void
check(int good, const char *name)
{

	printf("%s %s: %s\n", good ? "ok" : "not ok", ge_sha256_variant(),
	    name);
	bad |= !good;
}

static uint8_t
noise(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return ((uint8_t)(x >> 32));
}

static void
reference(uint8_t out[32], const void *buf, size_t len)
{

	if (!EVP_Digest(buf, len, out, NULL, EVP_sha256(), NULL))
		abort();
}

/* n messages, each body of its own at `skew` bytes off alignment. */
static int
blocks_agree(size_t n, size_t len, size_t skew)
{
	static uint8_t msg[64 + LONGEST];
	static _Alignas(64) uint8_t room[MOST][LONGEST + 64];
	static uint8_t head[MOST][64], out[MOST + 1][32], want[32];
	const uint8_t *body[MOST] = { NULL };
	size_t i, j;
	int good = 1;

	for (i = 0; i < n; i++) {
		body[i] = room[i] + (skew * (i + 1)) % 64;
		for (j = 0; j < 64; j++)
			head[i][j] = noise();
		for (j = 0; j < len; j++)
			room[i][(skew * (i + 1)) % 64 + j] = noise();
	}
	memset(out, 0xa5, sizeof(out));
	ge_sha256_blocks(out, (const uint8_t (*)[64])head, body, len, n);
	for (i = 0; i < n; i++) {
		memcpy(msg, head[i], 64);
		memcpy(msg + 64, body[i], len);
		reference(want, msg, 64 + len);
		good &= memcmp(out[i], want, 32) == 0;
	}
	for (j = 0; j < 32; j++)
		good &= out[n][j] == 0xa5;
	return (good);
}

static void
test_blocks(void)
{
	static const size_t lens[] = { 0, 64, 128, 192, 1024, 4096, LONGEST };
	size_t i, n, skew;
	int good = 1;

	for (n = 0; n <= MOST; n++)
		for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
			good &= blocks_agree(n, lens[i], 0);
	check(good, "blocks equal EVP, 0 to 11 messages of 0 to 8192 bytes");
	good = 1;
	for (i = 0; i < 200; i++)
		for (n = 1; n <= 4; n++)
			good &= blocks_agree(n, i, i % 7);
	check(good, "blocks of any length");
	good = 1;
	for (skew = 1; skew < 64; skew++)
		for (n = 1; n <= 4; n++)
			good &= blocks_agree(n, 256, skew);
	check(good, "blocks of any alignment");
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW	1
#else
#define SLOW	0
#endif

/* The length in bits needs more than 32. */
static void
test_long(void)
{
	size_t i, len = ((size_t)1 << 29) - 64, part = (size_t)1 << 20;
	static uint8_t head[2][64];
	uint8_t out[2][32], want[32];
	struct ge_sha256 h;
	const uint8_t *body[2];
	uint8_t *buf;

	if ((buf = calloc(1, len)) == NULL)
		abort();
	body[0] = body[1] = buf;
	ge_sha256_blocks(out, (const uint8_t (*)[64])head, body, len, 2);
	ge_sha256_init(&h);
	for (i = 0; i < len + 64; i += part)
		ge_sha256_add(&h, buf, part);
	ge_sha256_end(&h, want);
	check(memcmp(out[0], want, 32) == 0 && memcmp(out[1], want, 32) == 0,
	    "blocks of 2^32 bits");
	free(buf);
}

static void
test_incremental(void)
{
	static const uint8_t abc[32] = {
		0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
		0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
		0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
		0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad
	};
	uint8_t buf[300], out[32], want[32];
	struct ge_sha256 h;
	size_t i, len;
	int good = 1;

	ge_sha256_init(&h);
	ge_sha256_add(&h, "ab", 2);
	ge_sha256_add(&h, "c", 1);
	ge_sha256_end(&h, out);
	check(memcmp(out, abc, 32) == 0, "the vector of FIPS 180-4");
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = noise();
	for (len = 0; len <= sizeof(buf); len++) {
		ge_sha256_init(&h);
		for (i = 0; i < len; i += 7)
			ge_sha256_add(&h, buf + i, len - i < 7 ? len - i : 7);
		ge_sha256_end(&h, out);
		reference(want, buf, len);
		good &= memcmp(out, want, 32) == 0;
	}
	check(good, "incremental equals EVP, 0 to 300 bytes in sevens");
}

static int
run(const char *cpu)
{

	if (cpu != NULL)
		setenv("GE_CPU", cpu, 1);
	else
		unsetenv("GE_CPU");
	if (cpu != NULL && strcmp(cpu, "portable") == 0)
		check(strcmp(ge_sha256_variant(), "portable") == 0,
		    "GE_CPU is honoured");
	test_blocks();
	test_incremental();
	if (cpu == NULL && !SLOW)
		test_long();
	return (bad);
}

int
main(void)
{
	static const char *const cpu[] = { "portable", "noavx512" };
	int i, status;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		if ((pid = fork()) == -1)
			abort();
		if (pid == 0)
			exit(run(cpu[i]));
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			printf("not ok GE_CPU=%s\n", cpu[i]);
			fflush(stdout);
			bad = 1;
		}
	}
	return (run(NULL) | bad);
}
