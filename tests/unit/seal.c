/*
 * The seal layer: the worked example of gefrag(5), published vectors, and
 * properties.  Prints a line a test; exits 1 if one failed.
 *
 * Vectors marked "python" were made with hmac, hashlib and python3-cryptography
 * from the formulas of gefrag(5) and RFC 9180, over keys of rising bytes; the
 * type 1 wrap was also opened by cryptography.hazmat.primitives.hpke.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "code/code.h"
#include "seal/hpke_int.h"
#include "seal/seal.h"

typedef uint8_t keybuf[GE_KEY];

static int failed;

static void
report(const char *name, int good)
{
	/* What OpenSSL had to say is never left to whoever looks next. */
	if (ERR_peek_error() != 0) {
		ERR_clear_error();
		good = 0;
	}
	printf("%s %s\n", good ? "ok" : "not ok", name);
	failed |= !good;
}

static void
unhex(void *dst, const char *hex, size_t len)
{
	uint8_t *p = dst;
	unsigned b;
	size_t i;

	if (strlen(hex) != 2 * len)
		abort();
	for (i = 0; i < len; i++) {
		if (sscanf(hex + 2 * i, "%2x", &b) != 1)
			abort();
		p[i] = (uint8_t)b;
	}
}

static int
same(const void *buf, const char *hex, size_t len)
{
	uint8_t want[256];

	unhex(want, hex, len);
	return (memcmp(buf, want, len) == 0);
}

/* len rising bytes */
static void
rise(uint8_t *p, uint8_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(from + i);
}

/* The test random stream of gefrag(5): H(seed || LE64(0)) || ... */
static void
stream(uint8_t *dst, size_t len, const char *seed)
{
	uint8_t in[64], h[32];
	size_t i, n = strlen(seed);

	memcpy(in, seed, n);
	memset(in + n, 0, 8);
	for (i = 0; i < len; i++) {
		if (i % 32 == 0) {
			in[n] = (uint8_t)(i / 32);
			if (EVP_Digest(in, n + 8, h, NULL, EVP_sha256(),
			    NULL) != 1)
				abort();
		}
		dst[i] = h[i % 32];
	}
}

/* Does every byte of p equal b? */
static int
all(const uint8_t *p, uint8_t b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != b)
			return (0);
	return (1);
}

static void
example(void)
{
	static const char *const shares[3] = {
	    "e8a4a1df36f10e0c78b0e0fc506f92152f2d5c5d8a4c8a87033a32243b031a9a",
	    "caf53b87f382658b7220a05006f266a01b2bc5d48ecd5662982da633695edffc",
	    "d4314d44b058b7f674506b343472c138fc29b25879b2e9ca1a20213eac9e9cde"
	};
	static const char stripe[] =
	    "3ab41bc2dc0398d93f952ab88cd2051244baf717e8b8c16b188f4785aa";
	uint8_t s[16 + 2 * GE_KEY], key[GE_KEY], com[GE_KEY], dh[32], out[32];
	uint8_t buf[13 + GE_TAG], pair[2], zero[GE_KEY] = { 0 };
	keybuf sh[3], two[2];
	struct ge_aead *a;
	struct ge_err e;
	int good, i, j, x;

	stream(s, sizeof(s), "frag tiny");
	report("example: set id and K_thr",
	    same(s, "1146ac5c21bbb4ed78c10b380d5ef475", 16) &&
	    same(s + 16, "f660d71c752bdc717ec02b9862ef358dc82f2bd17d33352f8137"
	    "b529fec359b8", GE_KEY));

	ge_share_split(sh, s + 16, (const keybuf *)(s + 16 + GE_KEY), 2, 3);
	good = 1;
	for (i = 0; i < 3; i++)
		good &= same(sh[i], shares[i], GE_KEY);
	report("example: shares", good);

	good = 1;
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++) {
			if (i == j)
				continue;
			pair[0] = (uint8_t)i;
			pair[1] = (uint8_t)j;
			memcpy(two[0], sh[i], GE_KEY);
			memcpy(two[1], sh[j], GE_KEY);
			ge_share_at(out, 0, pair, (const keybuf *)two, 2);
			good &= memcmp(out, s + 16, GE_KEY) == 0;
			for (x = 1; x <= 3; x++) {
				ge_share_at(out, x, pair,
				    (const keybuf *)two, 2);
				good &= memcmp(out, sh[x - 1], GE_KEY) == 0;
			}
		}
	}
	report("example: any two shares give K_thr and all shares", good);

	unhex(dh, "92dfa83dde0b773e23cb26a3771ad1c6c9e8a8dc8dfff8e371e36f0163cd"
	    "d4f7", 32);
	good = ge_key_derive(key, com, s + 16, zero, dh, &e) == 0;
	report("example: message key", good && same(key, "12d9f83bae3dc71d021b2"
	    "dafc2d2554296a188c144f04be0ab21a737aee32e58", GE_KEY));
	report("example: key commitment", good && same(com, "4be4688191c50b57c1"
	    "9730e61fe93e2c2521b0e5279018175c6cf07999276c7e", GE_KEY));

	if ((a = ge_aead_new(&e)) == NULL)
		abort();
	memcpy(buf, "hello, world\n", 13);
	report("example: stripe sealed", ge_aead_key(a, key, 1, &e) == 0 &&
	    ge_aead_seal(a, 0, buf, 13, &e) == 0 &&
	    same(buf, stripe, sizeof(buf)));
	report("example: stripe opened", ge_aead_key(a, key, 0, &e) == 0 &&
	    ge_aead_open(a, 0, buf, 13, &e) == 1 &&
	    memcmp(buf, "hello, world\n", 13) == 0);
	ge_aead_free(a);
}

static void
derive(void)
{
	uint8_t thr[GE_KEY], rcp[GE_KEY], dh[32], key[GE_KEY], com[GE_KEY];
	struct ge_err e;
	int good;

	rise(thr, 0x20, GE_KEY);
	rise(rcp, 0x60, GE_KEY);
	rise(dh, 0xa0, 32);
	good = ge_key_derive(key, com, thr, rcp, dh, &e) == 0;
	report("key: HKDF-SHA-512 with a recipient key (python)", good &&
	    same(key, "73feb9cd7693333d830f9700d4dd3325c516cefbc8344087fde880b4"
	    "bf8ad2bf", GE_KEY) && same(com, "c8c20bae0e1e2eec8d05b770f2062d705"
	    "1fb8a9e530546f57c7e45c99c76d5a9", GE_KEY));
}

/* f(x) for one byte, by the plain multiplication of the code layer */
static uint8_t
horner(uint8_t secret, const keybuf *coef, int byte, int k, int x)
{
	uint8_t y = 0;
	int j;

	for (j = k - 2; j >= 0; j--)
		y = ge_gf_mul(y, (uint8_t)x) ^ coef[j][byte];
	return (ge_gf_mul(y, (uint8_t)x) ^ secret);
}

/* Every k of every n up to 8 gives f at every x. */
static int
choices(int k, int n)
{
	uint8_t s[8 * GE_KEY], out[GE_KEY], idx[8];
	keybuf sh[8], some[8];
	const keybuf *coef = (const keybuf *)(s + GE_KEY);
	char seed[32];
	unsigned set;
	int b, i, m, x;

	snprintf(seed, sizeof(seed), "choices %d %d", k, n);
	stream(s, (size_t)k * GE_KEY, seed);
	ge_share_split(sh, s, coef, k, n);
	for (i = 0; i < n; i++)
		for (b = 0; b < GE_KEY; b++)
			if (sh[i][b] != horner(s[b], coef, b, k, i + 1))
				return (0);
	for (set = 0; set < 1u << n; set++) {
		/* highest index first, to show that order is free */
		for (m = 0, i = n - 1; i >= 0; i--) {
			if ((set >> i & 1) == 0)
				continue;
			idx[m] = (uint8_t)i;
			memcpy(some[m++], sh[i], GE_KEY);
		}
		if (m != k)
			continue;
		for (x = 0; x <= n; x++) {
			ge_share_at(out, x, idx, (const keybuf *)some, k);
			if (memcmp(out, x == 0 ? s : sh[x - 1], GE_KEY) != 0)
				return (0);
		}
		ge_share_at(out, 255, idx, (const keybuf *)some, k);
		for (b = 0; b < GE_KEY; b++)
			if (out[b] != horner(s[b], coef, b, k, 255))
				return (0);
	}
	return (1);
}

static void
sharing(void)
{
	static uint8_t seen[256][256];
	keybuf secret, coef, sh[64], zero = { 0 }, large[64];
	uint8_t s[33 * GE_KEY], idx[33], out[GE_KEY];
	int good, k, n, c, i, j, v;

	good = 1;
	for (n = 1; n <= 8; n++)
		for (k = 1; k <= n; k++)
			good &= choices(k, n);
	report("shamir: any k of n <= 8 give secret and shares", good);

	good = 1;
	for (c = 0; c < 256; c += GE_KEY) {
		rise(coef, (uint8_t)c, GE_KEY);
		ge_share_split(sh, zero, (const keybuf *)&coef, 2, 64);
		for (i = 0; i < 64; i++)
			for (j = 0; j < GE_KEY; j++)
				good &= sh[i][j] == ge_gf_mul(coef[j],
				    (uint8_t)(i + 1));
	}
	report("shamir: product as ge_gf_mul", good);

	stream(s, sizeof(s), "33 of 64");
	ge_share_split(sh, s, (const keybuf *)(s + GE_KEY), 33, 64);
	for (i = 0; i < 33; i++) {
		idx[i] = (uint8_t)(63 - i);
		memcpy(large[i], sh[63 - i], GE_KEY);
	}
	ge_share_at(out, 0, idx, (const keybuf *)large, 33);
	good = memcmp(out, s, GE_KEY) == 0;
	ge_share_at(out, 1, idx, (const keybuf *)large, 33);
	good &= memcmp(out, sh[0], GE_KEY) == 0;
	report("shamir: 33 of 64", good);

	/*
	 * 2 of n: whatever value v a share has, each of the 256 secrets is
	 * behind it for exactly one coefficient.
	 */
	memset(seen, 0, sizeof(seen));
	for (v = 0; v < 256; v++) {
		memset(secret, v, GE_KEY);
		for (c = 0; c < 256; c += GE_KEY) {
			rise(coef, (uint8_t)c, GE_KEY);
			ge_share_split(sh, secret, (const keybuf *)&coef, 2,
			    3);
			for (i = 0; i < 3; i++)
				for (j = 0; j < GE_KEY; j++)
					seen[sh[i][j]][v] |=
					    (uint8_t)(1 << i);
		}
	}
	good = 1;
	for (v = 0; v < 256; v++)
		good &= all(seen[v], 7, 256);
	report("shamir: one share of two tells nothing", good);
}

static void
stripes(void)
{
	enum { LEN = 8192 };
	static uint8_t buf[LEN + GE_TAG], first[LEN + GE_TAG];
	uint8_t key[GE_KEY], other[GE_KEY], small[33 + GE_TAG], cut[GE_TAG];
	const uint64_t far = 0x0102030405060708;
	struct ge_aead *a, *b;
	struct ge_err e;
	size_t i;
	int good;

	rise(key, 0x20, GE_KEY);
	rise(other, 0x21, GE_KEY);
	if ((a = ge_aead_new(&e)) == NULL || (b = ge_aead_new(&e)) == NULL)
		abort();
	good = ge_aead_key(a, key, 1, &e) == 0 &&
	    ge_aead_key(b, key, 0, &e) == 0;
	rise(small, 0, 33);
	report("gcm: nonce is the stripe, little-endian (python)", good &&
	    ge_aead_seal(a, far, small, 33, &e) == 0 &&
	    same(small, "ec8e2555a91dc71468672bf61b1fe9a00a30f56069b541865b9624"
	    "ec91591a291c42665c7a05a79be3070d7d60f981b8aa", sizeof(small)));
	report("gcm: nothing but a tag (python)",
	    ge_aead_seal(a, far, cut, 0, &e) == 0 &&
	    same(cut, "9ea4304e8b8c1c796a6411b8ef08c018", GE_TAG) &&
	    ge_aead_open(b, far, cut, 0, &e) == 1 &&
	    (cut[15] ^= 1, ge_aead_open(b, far, cut, 0, &e) == 0));

	good = 1;
	for (i = 0; i < sizeof(small) * 8; i++) {
		uint8_t t[sizeof(small)];

		memcpy(t, small, sizeof(t));
		t[i / 8] ^= (uint8_t)(1 << i % 8);
		good &= ge_aead_open(b, far, t, 33, &e) == 0 && all(t, 0, 33);
	}
	report("gcm: every flipped bit is found, and the buffer wiped", good);

	memcpy(buf, small, sizeof(small));
	good = ge_aead_open(b, far + 1, buf, 33, &e) == 0;
	memcpy(buf, small, sizeof(small));
	memcpy(buf + 32, small + 33, GE_TAG);
	good &= ge_aead_open(b, far, buf, 32, &e) == 0;
	memcpy(buf, small, sizeof(small));
	good &= ge_aead_key(b, other, 0, &e) == 0 &&
	    ge_aead_open(b, far, buf, 33, &e) == 0;
	report("gcm: another stripe, length or key does not open", good);

	/* One key for many stripes is the same as a key for each. */
	good = ge_aead_key(a, other, 1, &e) == 0;
	for (i = 0; i < 5; i++) {
		memset(buf, 0x5a, LEN);
		good &= ge_aead_seal(a, i % 3, buf, LEN - i % 3, &e) == 0;
		if (i == 0)
			memcpy(first, buf, sizeof(buf));
		if (i == 3)
			good &= memcmp(first, buf, sizeof(buf)) == 0;
		good &= ge_aead_open(b, i % 3, buf, LEN - i % 3, &e) == 1 &&
		    all(buf, 0x5a, LEN - i % 3);
	}
	report("gcm: one key, many stripes, any order", good);
	ge_aead_free(a);
	ge_aead_free(b);
	ge_aead_free(NULL);
}

/* AES-256-GCM with aad, straight from OpenSSL. */
static int
gcm_aad(uint8_t *out, const uint8_t *key, const uint8_t *nonce,
    const char *aad, const char *text)
{
	EVP_CIPHER_CTX *ctx;
	int n, len = (int)strlen(text), good;

	good = (ctx = EVP_CIPHER_CTX_new()) != NULL &&
	    EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) &&
	    EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)aad,
	    (int)strlen(aad)) &&
	    EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)text, len) &&
	    EVP_EncryptFinal_ex(ctx, out + n, &n) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + len);
	EVP_CIPHER_CTX_free(ctx);
	return (good);
}

/*
 * The vector with kem_id 32, kdf_id 1, aead_id 2, mode 0 of test-vectors.json
 * that RFC 9180 points to (appendix A): skEm 179d4b53.., skRm 497b4502..; its
 * first encryption.  dh is X25519(skEm, pkRm), by python3-cryptography.
 */
static void
rfc9180(void)
{
	static const char info[] = "Ode on a Grecian Urn";
	uint8_t key[GE_KEY + 12], dh[GE_KEY], ctx[2 * GE_KEY], ct[45];
	struct ge_err e;

	unhex(dh, "98fdfbcb860bc6c218a3fd783062ae1f37af6e3581619eea9591818d746a"
	    "a50b", GE_KEY);
	unhex(ctx, "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7"
	    "fc256430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c"
	    "00c", sizeof(ctx));
	report("hpke: RFC 9180 vector", ge_hpke_base(key, dh, ctx, info,
	    strlen(info), &e) == 0 &&
	    gcm_aad(ct, key, key + GE_KEY, "Count-0",
	    "Beauty is truth, truth beauty") &&
	    same(ct, "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512"
	    "be9931980a41de125a925cdad859d5b7a", sizeof(ct)));
}

static void
wrap_x25519(void)
{
	/* RFC 7748: points of small order */
	static const char *const low[] = {
	    "0000000000000000000000000000000000000000000000000000000000000000",
	    "0100000000000000000000000000000000000000000000000000000000000000",
	    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
	};
	uint8_t sid[16], sec[GE_KEY], pub[GE_KEY], eph[GE_KEY], rcp[GE_KEY];
	uint8_t wrap[GE_WRAP], bad[GE_WRAP], out[GE_KEY];
	struct ge_err e;
	size_t i;
	int good;

	rise(sid, 0, 16);
	rise(sec, 0x20, GE_KEY);
	rise(eph, 0x40, GE_KEY);
	rise(rcp, 0x60, GE_KEY);
	unhex(pub, "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1"
	    "66254", GE_KEY);
	good = ge_wrap_seal_x25519(wrap, sid, pub, eph, rcp, &e) == 0;
	report("wrap: X25519 recipient (python)", good && same(wrap,
	    "01000000000000000000000000000000"
	    "79a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51a"
	    "71e7c6df5fd201e6172bbee65548fae4f5de689724f0bed5d3f634ba96c27fa4"
	    "f3b573afb0f41b9005e04ba97b7a3d07", GE_WRAP));
	report("wrap: the recipient opens it", ge_wrap_ok(wrap) &&
	    ge_wrap_open_x25519(out, wrap, sid, sec, &e) == 1 &&
	    memcmp(out, rcp, GE_KEY) == 0);

	good = 1;
	for (i = 0; i < GE_WRAP; i++) {
		memcpy(bad, wrap, GE_WRAP);
		bad[i] ^= 0x10;
		good &= ge_wrap_open_x25519(out, bad, sid, sec, &e) == 0 &&
		    all(out, 0, GE_KEY);
	}
	report("wrap: altered, it does not open", good);
	good = ge_wrap_open_x25519(out, wrap, sid, eph, &e) == 0 &&
	    all(out, 0, GE_KEY);
	sid[15] ^= 1;
	good &= ge_wrap_open_x25519(out, wrap, sid, sec, &e) == 0;
	sid[15] ^= 1;
	report("wrap: another key or set does not open it", good);

	good = 1;
	for (i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
		unhex(pub, low[i], GE_KEY);
		memset(&e, 0, sizeof(e));
		good &= ge_wrap_seal_x25519(bad, sid, pub, eph, rcp,
		    &e) == -1 && e.code == GE_EUSAGE;
		memcpy(bad, wrap, GE_WRAP);
		memcpy(bad + 16, pub, GE_KEY);
		good &= ge_wrap_open_x25519(out, bad, sid, sec, &e) == 0;
	}
	report("wrap: a zero X25519 result is refused", good);
}

static void
wrap_pass(void)
{
	static const uint8_t pass[] = "correct horse";
	uint8_t sid[16], salt[GE_KEY], rcp[GE_KEY], out[GE_KEY];
	uint8_t wrap[GE_WRAP], bad[GE_WRAP], want[16] = { 2, 10 };
	struct ge_err e;
	int good;

	rise(sid, 0, 16);
	rise(salt, 0x80, GE_KEY);
	rise(rcp, 0x60, GE_KEY);
	good = ge_wrap_seal_pass(wrap, sid, pass, 13, salt, 10, rcp, &e) == 0;
	report("wrap: passphrase (python)", good && ge_wrap_ok(wrap) &&
	    memcmp(wrap, want, 16) == 0 &&
	    memcmp(wrap + 16, salt, GE_KEY) == 0 && same(wrap + 48,
	    "df3559e390ce84b2f950a02b76f3c415780362afea02842f4d925e47164cfdeb"
	    "38afa11b1f56aeeb7a0f894b638eea3c", 48));
	report("wrap: the passphrase opens it",
	    ge_wrap_open_pass(out, wrap, sid, pass, 13, &e) == 1 &&
	    memcmp(out, rcp, GE_KEY) == 0);
	good = ge_wrap_open_pass(out, wrap, sid, pass, 12, &e) == 0 &&
	    all(out, 0, GE_KEY);
	sid[0] ^= 1;
	good &= ge_wrap_open_pass(out, wrap, sid, pass, 13, &e) == 0;
	sid[0] ^= 1;
	memcpy(bad, wrap, GE_WRAP);
	bad[95] ^= 1;
	good &= ge_wrap_open_pass(out, bad, sid, pass, 13, &e) == 0;
	memcpy(bad, wrap, GE_WRAP);
	bad[1] = 11;
	good &= ge_wrap_open_pass(out, bad, sid, pass, 13, &e) == 0;
	bad[1] = 21;
	good &= ge_wrap_open_pass(out, bad, sid, pass, 13, &e) == 0;
	good &= ge_wrap_open_x25519(out, wrap, sid, salt, &e) == 0;
	report("wrap: another passphrase, set or wrap does not open", good);

	/* 64 MiB: above what OpenSSL allows when it is not told */
	good = ge_wrap_seal_pass(wrap, sid, NULL, 0, salt, 16, rcp, &e) == 0 &&
	    ge_wrap_open_pass(out, wrap, sid, pass, 0, &e) == 1 &&
	    memcmp(out, rcp, GE_KEY) == 0;
	report("wrap: empty passphrase, N = 2^16 (python)", good &&
	    same(wrap + 48,
	    "3047e93d9c486132f357f916bcf5f9a695b68f5da49face6ad013196ff0e5627"
	    "6466efc1d9946dfd68baaed63e2dba3f", 48));
}

static void
wrap_form(void)
{
	uint8_t wrap[GE_WRAP];
	int good = 1, type, i;

	for (type = 0; type < 256; type++) {
		for (i = 0; i < 256; i++) {
			memset(wrap, 0xff, GE_WRAP);
			memset(wrap, 0, 16);
			wrap[0] = (uint8_t)type;
			wrap[1] = (uint8_t)i;
			good &= ge_wrap_ok(wrap) == ((type == 1 && i == 0) ||
			    (type == 2 && i >= 10 && i <= 20));
		}
	}
	for (i = 2; i < 16; i++) {
		memset(wrap, 0, 16);
		wrap[0] = 1;
		wrap[i] = 0x80;
		good &= !ge_wrap_ok(wrap);
	}
	report("wrap: what is well formed", good);
}

static void
signing(void)
{
	/* RFC 8032, 7.1, tests 1 to 3 */
	static const struct {
		const char *private, *public, *text, *sig;
		size_t len;
	} v[] = { {
	    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	    "",
	    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
	    0
	}, {
	    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
	    "72",
	    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
	    1
	}, {
	    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
	    "af82",
	    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
	    2
	} };
	uint8_t sec[GE_KEY], pub[GE_KEY], sig[64], text[2];
	struct ge_err e;
	size_t i;
	int good = 1, wrong = 1, b;

	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		unhex(sec, v[i].private, GE_KEY);
		unhex(text, v[i].text, v[i].len);
		good &= ge_sign_make(sig, pub, sec, text, v[i].len, &e) == 0 &&
		    same(pub, v[i].public, GE_KEY) &&
		    same(sig, v[i].sig, 64) &&
		    ge_sign_verify(sig, pub, text, v[i].len, &e) == 1;
		for (b = 0; b < 512; b += 3) {
			sig[b / 8] ^= (uint8_t)(1 << b % 8);
			wrong &= ge_sign_verify(sig, pub, text, v[i].len,
			    &e) == 0;
			sig[b / 8] ^= (uint8_t)(1 << b % 8);
		}
	}
	report("sign: RFC 8032 vectors", good);
	text[0] ^= 1;
	wrong &= ge_sign_verify(sig, pub, text, 2, &e) == 0;
	text[0] ^= 1;
	wrong &= ge_sign_verify(sig, pub, text, 1, &e) == 0;
	wrong &= ge_sign_verify(sig, sec, text, 2, &e) == 0;
	memset(pub, 0xff, GE_KEY);
	wrong &= ge_sign_verify(sig, pub, text, 2, &e) == 0;
	report("sign: anything else does not verify", wrong);
}

/* PEM files, in a directory that goes again */
static char dir[256];

static const char *
at(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return (path);
}

static FILE *
create(const char *name)
{
	FILE *fp;

	if ((fp = fopen(at(name), "w")) == NULL)
		abort();
	return (fp);
}

static void
done(FILE *fp, int good)
{
	if (!good || fclose(fp) != 0)
		abort();
}

/* NAME.key, NAME.pub, NAME.enc as openssl genpkey and pkey write them */
static void
keyfiles(const char *name, const EVP_PKEY *key)
{
	char file[32];
	FILE *fp;

	snprintf(file, sizeof(file), "%s.key", name);
	fp = create(file);
	done(fp, PEM_write_PrivateKey(fp, key, NULL, NULL, 0, NULL, NULL));
	snprintf(file, sizeof(file), "%s.pub", name);
	fp = create(file);
	done(fp, PEM_write_PUBKEY(fp, key));
	snprintf(file, sizeof(file), "%s.enc", name);
	fp = create(file);
	done(fp, PEM_write_PrivateKey(fp, key, EVP_aes_256_cbc(),
	    (const unsigned char *)"pass", 4, NULL, NULL));
}

static EVP_PKEY *
raw_key(const char *type, const uint8_t *private)
{
	EVP_PKEY *key;

	if ((key = EVP_PKEY_new_raw_private_key_ex(NULL, type, NULL, private,
	    GE_KEY)) == NULL)
		abort();
	return (key);
}

typedef int loader(uint8_t *, const char *, struct ge_err *);

/* Loading fails with 2 and exactly the message, '%s' being the path. */
static int
refuses(loader *load, const char *name, const char *fmt)
{
	uint8_t key[GE_KEY];
	char want[700];
	const char *path = at(name), *s = strstr(fmt, "%s");
	struct ge_err e = { .code = 0 };

	snprintf(want, sizeof(want), "%.*s%s%s", (int)(s - fmt), fmt, path,
	    s + 2);
	if (load(key, path, &e) == -1 && e.code == GE_EUSAGE &&
	    strcmp(e.msg, want) == 0)
		return (1);
	printf("# %s: status %d: %s\n", name, e.code, e.msg);
	return (0);
}

static void
pem_write_odd(void)
{
	EVP_PKEY *key;
	FILE *fp;
	unsigned char *der = NULL;
	X509_SIG *sig;
	int i, len;

	done(create("empty"), 1);
	fp = create("text");
	done(fp, fputs("no key here\n", fp) >= 0);
	fp = create("cut");
	done(fp, fputs("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vu\n", fp) >=
	    0);
	fp = create("junk");
	done(fp, fputs("-----BEGIN PRIVATE KEY-----\nAAAA\n"
	    "-----END PRIVATE KEY-----\n", fp) >= 0);
	fp = create("old");
	done(fp, fputs("-----BEGIN EC PRIVATE KEY-----\n"
	    "Proc-Type: 4,ENCRYPTED\n"
	    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n"
	    "-----END EC PRIVATE KEY-----\n", fp) >= 0);
	fp = create("long");
	for (i = 0; i < 70000; i++)
		fputc('\n', fp);
	done(fp, 1);
	if ((key = EVP_EC_gen("P-256")) == NULL)
		abort();
	keyfiles("p256", key);
	EVP_PKEY_free(key);

	/* an encrypted key that says it is not */
	if ((fp = fopen(at("x.enc"), "r")) == NULL ||
	    (sig = PEM_read_PKCS8(fp, NULL, NULL, NULL)) == NULL ||
	    (len = i2d_X509_SIG(sig, &der)) <= 0)
		abort();
	done(fp, 1);
	fp = create("posing");
	done(fp, PEM_write(fp, "PRIVATE KEY", "", der, len) > 0);
	OPENSSL_free(der);
	X509_SIG_free(sig);
}

static void
pem(void)
{
	static const char *const files[] = { "x.key", "x.pub", "x.enc",
	    "e.key", "e.pub", "e.enc", "p256.key", "p256.pub", "p256.enc",
	    "empty", "text", "cut", "junk", "old", "long", "posing", "note" };
	static const char no_pem[] = "'%s' is not a PEM key";
	static const char xpub[] = "'%s' is not an X25519 public key";
	static const char xkey[] = "'%s' is not an X25519 private key";
	static const char epub[] = "'%s' is not an Ed25519 public key";
	static const char ekey[] = "'%s' is not an Ed25519 private key";
	static const char locked[] = "'%s' is an encrypted private key: "
	    "decrypt it with openssl pkey";
	const char *tmp = getenv("TMPDIR");
	uint8_t x[GE_KEY], ed[GE_KEY], got[GE_KEY], pub[GE_KEY], sig[64];
	struct ge_err e;
	EVP_PKEY *key;
	FILE *fp;
	size_t i, len;
	int good;

	snprintf(dir, sizeof(dir), "%s/seal.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		abort();
	rise(x, 0x20, GE_KEY);
	rise(ed, 0x40, GE_KEY);
	key = raw_key("X25519", x);
	keyfiles("x", key);
	len = GE_KEY;
	if (EVP_PKEY_get_raw_public_key(key, pub, &len) != 1)
		abort();
	EVP_PKEY_free(key);
	report("pem: X25519 private key",
	    ge_pem_x25519_private(got, at("x.key"), &e) == 0 &&
	    memcmp(got, x, GE_KEY) == 0);
	report("pem: X25519 public key",
	    ge_pem_x25519_public(got, at("x.pub"), &e) == 0 &&
	    memcmp(got, pub, GE_KEY) == 0);

	key = raw_key("ED25519", ed);
	keyfiles("e", key);
	EVP_PKEY_free(key);
	report("pem: Ed25519 private key",
	    ge_pem_ed25519_private(got, at("e.key"), &e) == 0 &&
	    memcmp(got, ed, GE_KEY) == 0);
	report("pem: Ed25519 public key",
	    ge_sign_make(sig, pub, ed, NULL, 0, &e) == 0 &&
	    ge_pem_ed25519_public(got, at("e.pub"), &e) == 0 &&
	    memcmp(got, pub, GE_KEY) == 0);

	fp = create("note");
	fputs("my key\n", fp);
	done(fp, fputs("-----BEGIN PRIVATE KEY-----\n"
	    "MC4CAQAwBQYDK2VuBCIEIKOocupEFbLMrYtpK9T20o8Q6xUaCTIzpEiNqtgvNICC\n"
	    "-----END PRIVATE KEY-----\n", fp) >= 0);
	report("pem: text before the key", ge_pem_x25519_private(got,
	    at("note"), &e) == 0 && got[0] == 0xa3 && got[31] == 0x82);

	pem_write_odd();
	good = refuses(ge_pem_x25519_public, "x.key", xpub) &
	    refuses(ge_pem_x25519_public, "e.pub", xpub) &
	    refuses(ge_pem_x25519_public, "p256.pub", xpub) &
	    refuses(ge_pem_x25519_private, "x.pub", xkey) &
	    refuses(ge_pem_x25519_private, "e.key", xkey) &
	    refuses(ge_pem_x25519_private, "p256.key", xkey) &
	    refuses(ge_pem_x25519_private, "junk", xkey) &
	    refuses(ge_pem_x25519_private, "posing", xkey) &
	    refuses(ge_pem_ed25519_public, "x.pub", epub) &
	    refuses(ge_pem_ed25519_public, "e.key", epub) &
	    refuses(ge_pem_ed25519_private, "x.key", ekey) &
	    refuses(ge_pem_ed25519_private, "e.pub", ekey);
	report("pem: another kind of key is refused by name", good);
	good = refuses(ge_pem_x25519_private, "x.enc", locked) &
	    refuses(ge_pem_ed25519_private, "e.enc", locked) &
	    refuses(ge_pem_x25519_public, "p256.enc", locked) &
	    refuses(ge_pem_x25519_private, "old", locked);
	report("pem: an encrypted key is refused without a question", good);
	good = refuses(ge_pem_x25519_private, "empty", no_pem) &
	    refuses(ge_pem_x25519_private, "text", no_pem) &
	    refuses(ge_pem_x25519_public, "cut", no_pem) &
	    refuses(ge_pem_x25519_public, "long",
	    "'%s' is too long: more than 16384 bytes");
	report("pem: what is no PEM", good);
	good = refuses(ge_pem_x25519_private, "none",
	    "cannot open '%s': No such file or directory") &
	    refuses(ge_pem_x25519_private, ".",
	    "cannot open '%s': Is a directory") &
	    refuses(ge_pem_x25519_private, "text/x",
	    "cannot open '%s': Not a directory");
	report("pem: what cannot be opened", good);

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(at(files[i]));
	report("pem: nothing left behind", rmdir(dir) == 0);
}

int
main(void)
{
	example();
	derive();
	sharing();
	stripes();
	rfc9180();
	wrap_x25519();
	wrap_pass();
	wrap_form();
	signing();
	pem();
	if (fflush(stdout) != 0)
		return (1);
	return (failed);
}
