/*
 * lib/code: the field, Reed-Solomon, CRC32C and DEFLATE, in both variants: a
 * child with GE_CPU=portable, and whatever this processor has.  With the
 * argument `gf` the field alone, for valgrind: products of undefined bytes show
 * any branch or look-up that depends on them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "code/code.h"

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
	LONGEST = 2 * 16384 + 192,	/* of a block */
	ROOM = 400000			/* for DEFLATE */
};

static const char *variant = "";
static int bad;

static void
check(int good, const char *name)
{

	printf("%s %s%s\n", good ? "ok" : "not ok", variant, name);
	bad |= !good;
}

static uint32_t
noise(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return ((uint32_t)(x >> 32));
}

/* The product as polynomials, then the remainder by long division. */
static uint8_t
slow_mul(unsigned int a, unsigned int b)
{
	unsigned int i, r = 0;

	for (i = 0; i < 8; i++)
		if (b & 1u << i)
			r ^= a << i;
	for (i = 14; i >= 8; i--)
		if (r & 1u << i)
			r ^= 0x11du << (i - 8);
	return ((uint8_t)r);
}

static void
test_gf(void)
{
	unsigned int a, b;
	uint8_t p, q, r;
	int good = 1, inverse = ge_gf_inv(0) == 0;

	for (a = 0; a < 256; a++)
		for (b = 0; b < 256; b++) {
			p = (uint8_t)a;
			q = (uint8_t)b;
			VALGRIND_MAKE_MEM_UNDEFINED(&p, 1);
			VALGRIND_MAKE_MEM_UNDEFINED(&q, 1);
			r = ge_gf_mul(p, q);
			VALGRIND_MAKE_MEM_DEFINED(&r, 1);
			good &= r == slow_mul(a, b);
		}
	for (a = 1; a < 256; a++) {
		p = (uint8_t)a;
		VALGRIND_MAKE_MEM_UNDEFINED(&p, 1);
		r = ge_gf_inv(p);
		VALGRIND_MAKE_MEM_DEFINED(&r, 1);
		inverse &= slow_mul(a, r) == 1;
	}
	check(good, "gf: the 65,536 products");
	check(inverse, "gf: the inverses, 0 for 0");
}

/* A stripe whose blocks are encoded, and what was rebuilt of it. */
static _Alignas(64) uint8_t block[GE_RS_MAX][LONGEST];
static _Alignas(64) uint8_t rebuilt[GE_RS_MAX][LONGEST];

static int
open_stripe(struct ge_rs *c, int k, int n, size_t len)
{
	const uint8_t *data[GE_RS_MAX];
	uint8_t *parity[GE_RS_MAX];
	struct ge_err e;
	size_t j;
	int i;

	if (ge_rs_init(c, k, n, &e) == -1)
		return (0);
	for (i = 0; i < n; i++) {
		for (j = 0; j < len; j++)
			block[i][j] = (uint8_t)noise();
		if (i < k)
			data[i] = block[i];
		else
			parity[i - k] = block[i];
	}
	ge_rs_encode(c, data, parity, len);
	return (1);
}

/* All n blocks from the k at the places `have`. */
static int
rebuilds(const struct ge_rs *c, const uint8_t *have, size_t len)
{
	uint8_t want[GE_RS_MAX], *dst[GE_RS_MAX];
	const uint8_t *src[GE_RS_MAX];
	struct ge_rs_plan p;
	struct ge_err e;
	int good = 1, i;

	for (i = 0; i < c->k; i++)
		src[i] = block[have[i]];
	for (i = 0; i < c->n; i++) {
		want[i] = (uint8_t)i;
		dst[i] = rebuilt[i];
		memset(dst[i], 0, len);
	}
	if (ge_rs_plan_init(&p, c, have, want, c->n, &e) == -1)
		return (0);
	ge_rs_rebuild(&p, src, dst, len);
	for (i = 0; i < c->n; i++)
		good &= memcmp(rebuilt[i], block[i], len) == 0;
	ge_rs_plan_release(&p);
	return (good);
}

/* Every choice of k blocks of n. */
static int
every_pattern(int k, int n)
{
	uint8_t have[GE_RS_MAX];
	struct ge_rs c;
	int good = open_stripe(&c, k, n, 64), i, j;

	for (i = 0; i < k; i++)
		have[i] = (uint8_t)i;
	while (good) {
		good &= rebuilds(&c, have, 64);
		for (i = k - 1; i >= 0 && have[i] == n - k + i; i--)
			;
		if (i < 0)
			break;
		have[i]++;
		for (j = i + 1; j < k; j++)
			have[j] = (uint8_t)(have[j - 1] + 1);
	}
	ge_rs_release(&c);
	return (good);
}

static int
random_patterns(int n, int times)
{
	uint8_t have[GE_RS_MAX], t;
	struct ge_rs c;
	int good = 1, i, j, k;

	while (good && times-- > 0) {
		k = 1 + (int)(noise() % (uint32_t)n);
		good &= open_stripe(&c, k, n, 64);
		for (i = 0; i < n; i++)
			have[i] = (uint8_t)i;
		for (i = n - 1; i > 0; i--) {
			j = (int)(noise() % (uint32_t)(i + 1));
			t = have[i];
			have[i] = have[j];
			have[j] = t;
		}
		good &= rebuilds(&c, have, 64);
		ge_rs_release(&c);
	}
	return (good);
}

static int
matrix_is_cauchy(int k, int n)
{
	struct ge_rs c;
	struct ge_err e;
	uint8_t x;
	int good = 1, i, j;

	if (ge_rs_init(&c, k, n, &e) == -1)
		return (0);
	for (i = 0; i < n; i++)
		for (j = 0; j < k; j++) {
			x = c.matrix[i * k + j];
			if (i < k)
				good &= x == (i == j);
			else if (k == 1)
				good &= x == 1;
			else
				good &= slow_mul(x, (unsigned)(i ^ j)) == 1;
		}
	good &= (c.tables == NULL) == (n == k);
	ge_rs_release(&c);
	return (good);
}

/* The parity that ISA-L makes is that of the matrix and ge_gf_mul. */
static int
encodes_plainly(int k, int n, size_t len)
{
	struct ge_rs c;
	size_t x;
	uint8_t sum;
	int good = open_stripe(&c, k, n, len), i, j;

	for (i = k; i < n; i++)
		for (x = 0; x < len; x++) {
			sum = 0;
			for (j = 0; j < k; j++)
				sum ^= ge_gf_mul(c.matrix[i * k + j],
				    block[j][x]);
			good &= sum == block[i][x];
		}
	ge_rs_release(&c);
	return (good);
}

static void
test_rs(void)
{
	static const uint8_t order[6] = { 8, 1, 7, 0, 4, 6 };
	struct ge_rs none = { 0, 0, { 0 }, NULL }, c;
	int good, k, n;
	size_t len;

	for (good = 1, n = 1; n <= GE_RS_MAX; n++)
		for (k = 1; k <= n; k++)
			good &= matrix_is_cauchy(k, n);
	check(good, "rs: the matrix is 1/(i xor j)");
	for (good = 1, n = 1; n <= 10; n++)
		for (k = 1; k <= n; k++)
			good &= every_pattern(k, n);
	check(good, "rs: every pattern of every k <= n <= 10");
	check(every_pattern(6, 12), "rs: every pattern of 6 of 12");
	check(every_pattern(10, 15), "rs: every pattern of 10 of 15");
	check(random_patterns(64, 50), "rs: random patterns of k of 64");
	for (good = 1, len = 64; len <= 4096; len += 128)
		good &= encodes_plainly(6, 9, len);
	check(good, "rs: parity is plain arithmetic, 64 to 4032 bytes");
	good = encodes_plainly(1, 3, 64) && encodes_plainly(10, 15, 192) &&
	    encodes_plainly(32, 64, 64) && encodes_plainly(3, 64, 64);
	check(good, "rs: parity is plain arithmetic, other k and n");
	check(encodes_plainly(6, 9, LONGEST), "rs: longer than a chunk");
	good = open_stripe(&c, 6, 9, LONGEST) && rebuilds(&c, order, LONGEST);
	check(good, "rs: rebuild in any order, longer than a chunk");
	ge_rs_release(&c);
	ge_rs_release(&none);
}

static int
plan_says(const struct ge_rs *c, int h0, int h1, int want)
{
	uint8_t have[2] = { (uint8_t)h0, (uint8_t)h1 }, w = (uint8_t)want;
	struct ge_err e = { 0, 0, "" };
	struct ge_rs_plan p;

	if (ge_rs_plan_init(&p, c, have, &w, want >= 0, &e) == 0)
		e.code = 0;
	ge_rs_plan_release(&p);
	return (e.code);
}

static void
test_plan(void)
{
	struct ge_rs c;
	struct ge_err e;

	if (ge_rs_init(&c, 2, 4, &e) == -1)
		abort();
	check(plan_says(&c, 3, 1, 0) == 0 && plan_says(&c, 3, 1, -1) == 0,
	    "rs: a plan, and one that wants nothing");
	check(plan_says(&c, 1, 1, 0) == GE_ELOST &&
	    plan_says(&c, 1, 1, -1) == GE_ELOST, "rs: a place given twice");
	check(plan_says(&c, 1, 4, 0) == GE_ELOST &&
	    plan_says(&c, 255, 0, 0) == GE_ELOST &&
	    plan_says(&c, 0, 1, 4) == GE_ELOST, "rs: no such place");
	ge_rs_release(&c);
}

static void
test_crc32c(void)
{
	static const char digits[] = "123456789";
	uint8_t buf[300];
	uint32_t crc;
	size_t i, j, len;
	int good = 1;

	check(ge_crc32c(0, digits, 9) == 0xe3069283 &&
	    ge_crc32c(ge_crc32c(0, digits, 4), digits + 4, 5) == 0xe3069283,
	    "crc32c: the check value, whole and in two");
	memset(buf, 0, 32);
	check(ge_crc32c(0, buf, 32) == 0x8a9136aa, "crc32c: RFC 3720, zeros");
	memset(buf, 0xff, 32);
	check(ge_crc32c(0, buf, 32) == 0x62a8ab43, "crc32c: RFC 3720, ones");
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)noise();
	for (len = 0; len < sizeof(buf); len++) {
		crc = 0xffffffff;
		for (i = 0; i < len; i++)
			for (crc ^= buf[i], j = 0; j < 8; j++)
				crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		good &= ge_crc32c(0, buf, len) == ~crc;
	}
	check(good, "crc32c: bit by bit, 0 to 299 bytes");
}

static uint8_t plain[ROOM], packed[ROOM + 1000], again[ROOM + 1000];

/* ge_inflate of what is packed, given in pieces: its verdict, 0 if as plain. */
static int
verdict(size_t len, const struct ge_piece *src, size_t npieces)
{
	struct ge_err e = { 0, 0, "" };

	memset(again, 0x5a, len + 1);
	if (ge_inflate(again, len, src, npieces, &e) == -1)
		return (again[len] == 0x5a ? e.code : -1);
	return (again[len] == 0x5a && memcmp(again, plain, len) == 0 ? 0 : -1);
}

static int
expands(size_t len, size_t packedlen)
{
	struct ge_piece whole = { packed, packedlen };

	return (verdict(len, &whole, 1));
}

static int
zlib_accepts(size_t len, size_t packedlen)
{
	z_stream z = { .next_in = packed, .avail_in = (uInt)packedlen,
	    .next_out = again, .avail_out = (uInt)len + 1 };
	int good;

	if (inflateInit2(&z, -15) != Z_OK)
		return (0);
	good = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0 &&
	    z.total_out == len && memcmp(again, plain, len) == 0;
	inflateEnd(&z);
	return (good);
}

static void
fill(int shape, size_t len)
{
	static const char text[] = "block by block, and stripe by stripe\n";
	size_t i;

	for (i = 0; i < len; i++)
		switch (shape) {
		case 0:
			plain[i] = 0;
			break;
		case 1:
			plain[i] = (uint8_t)noise();
			break;
		case 2:
			plain[i] = (uint8_t)(i * i >> 7);
			break;
		case 3:
			plain[i] = (uint8_t)text[(i + noise() % 5) % 37];
			break;
		default:
			plain[i] = i % 40000 < 20000 ? 'x' : (uint8_t)noise();
		}
}

/* plain[0..len-1] in chunks; the last chunk may be empty.  0 if it failed. */
static size_t
pack(size_t len, size_t chunk)
{
	size_t n = 0, now, off = 0, out;
	struct ge_err e;
	int last;

	do {
		now = len - off < chunk ? len - off : chunk;
		last = now < chunk;
		if (ge_deflate(packed + n, sizeof(packed) - n, plain + off,
		    now, last, &out, &e) != 1)
			return (0);
		off += now;
		n += out;
	} while (!last);
	return (n);
}

static void
test_shapes(void)
{
	static const size_t lens[] = {
		0, 1, 2, 63, 64, 255, 1000, 32768, 65535, 65536, 262144, 300001
	};
	static const size_t chunks[] = { ROOM, 65536, 50000 };
	size_t c, i, n;
	int chunked = 1, good = 1, grows = 0, shape, z = 1;

	for (shape = 0; shape < 5; shape++)
		for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
			for (c = 0; c < 3; c++) {
				fill(shape, lens[i]);
				n = pack(lens[i], chunks[c]);
				z &= n > 0 && zlib_accepts(lens[i], n);
				if (c == 0)
					good &= expands(lens[i], n) == 0;
				else
					chunked &= expands(lens[i], n) == 0;
				grows |= n > lens[i] + lens[i] / 1000 + 64;
			}
	check(good, "deflate: round trips");
	check(chunked, "deflate: chunks join");
	check(z, "deflate: zlib reads it");
	check(!grows, "deflate: noise grows little");
}

static void
test_deflate(void)
{
	static uint8_t first[ROOM];
	size_t cap, n, out;
	struct ge_err e;
	int good = 1, last;

	fill(4, 100000);
	n = pack(100000, 30000);
	memcpy(first, packed, n);
	memset(packed, 0xee, sizeof(packed));
	check(pack(100000, 30000) == n && memcmp(first, packed, n) == 0,
	    "deflate: same input, same bytes");
	fill(3, 3000);
	for (last = 0; last < 2; last++) {
		if (ge_deflate(packed, ROOM, plain, 3000, last, &n, &e) != 1)
			abort();
		for (cap = 0; cap <= n + 1; cap++) {
			packed[cap] = 0xa5;
			good &= ge_deflate(packed, cap, plain, 3000, last,
			    &out, &e) == (cap > n);
			good &= packed[cap] == 0xa5;
		}
	}
	check(good, "deflate: 0 for every room too small");
}

static void
test_inflate(void)
{
	static struct ge_piece bytes[ROOM];
	struct ge_piece two[3];
	size_t i, len = 5000, n;
	int good;

	fill(3, len);
	n = pack(len, 2000);
	for (good = 1, i = 0; i < n; i++)
		good &= expands(len, i) == GE_EREFUSED;
	check(good, "inflate: refuses every truncation");
	packed[n] = 0;
	good = expands(len, n + 1) == GE_EREFUSED;
	packed[n] = 3;
	packed[n + 1] = 0;
	good &= expands(len, n + 2) == GE_EREFUSED;
	check(good, "inflate: refuses what trails");
	check(expands(len - 1, n) == GE_EREFUSED &&
	    expands(len + 1, n) == GE_EREFUSED &&
	    expands(0, n) == GE_EREFUSED, "inflate: refuses another length");
	for (good = 1, i = 0; i <= n; i++) {
		two[0] = (struct ge_piece){ packed, i };
		two[1] = (struct ge_piece){ packed + i, n - i };
		two[2] = (struct ge_piece){ NULL, 0 };
		good &= verdict(len, two, 3) == 0;
		two[2] = (struct ge_piece){ packed, 1 };
		good &= verdict(len, two, 3) == GE_EREFUSED;
	}
	for (i = 0; i < n; i++)
		bytes[i] = (struct ge_piece){ packed + i, 1 };
	good &= verdict(len, bytes, n) == 0;
	good &= verdict(len, bytes, n - 1) == GE_EREFUSED;
	check(good, "inflate: pieces cut anywhere");
	good = verdict(0, NULL, 0) == GE_EREFUSED;
	memcpy(packed, "\003\000", 2);
	good &= expands(0, 2) == 0 && expands(1, 2) == GE_EREFUSED;
	memcpy(packed, "\000\000\000\377\377\003\000", 7);
	good &= expands(0, 7) == 0 && expands(0, 5) == GE_EREFUSED;
	check(good, "inflate: streams of nothing");
}

/* With a bit flipped, ge_inflate accepts what zlib does, and nothing else. */
static void
test_hostile(void)
{
	/* zlib says "incomplete set of codes"; ISA-L makes a byte of it */
	static const uint8_t incomplete[] = {
		0x05, 0xc1, 0x81, 0x00, 0x00, 0x00, 0x00, 0x80,
		0x20, 0xa5, 0x95, 0xf2, 0x97, 0xb8, 0x4d
	};
	size_t i, len = 700, n;
	int good = 1, shape;

	for (shape = 2; shape < 5; shape++) {
		fill(shape, len);
		n = pack(len, 400);
		for (i = 0; i < 8 * n; i++) {
			packed[i / 8] ^= (uint8_t)(1 << i % 8);
			good &= (expands(len, n) == 0) == zlib_accepts(len, n);
			packed[i / 8] ^= (uint8_t)(1 << i % 8);
		}
	}
	check(good, "inflate: flipped bits");
	memcpy(packed, incomplete, sizeof(incomplete));
	check(expands(1, sizeof(incomplete)) == GE_EREFUSED,
	    "inflate: refuses an incomplete code");
}

static int
run(int portable)
{

	if (portable) {
		setenv("GE_CPU", "portable", 1);
		variant = "portable: ";
	} else
		unsetenv("GE_CPU");
	test_rs();
	test_plan();
	test_crc32c();
	if (!portable) {
		test_shapes();
		test_deflate();
		test_inflate();
		test_hostile();
	}
	return (bad);
}

int
main(int argc, char **argv)
{
	int status;
	pid_t pid;

	test_gf();
	if (argc > 1 && strcmp(argv[1], "gf") == 0)
		return (bad);
	fflush(stdout);
	if ((pid = fork()) == -1)
		abort();
	if (pid == 0)
		exit(run(1));
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		printf("not ok portable\n");
		bad = 1;
	}
	return (run(0));
}
