#include <assert.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "seal/hpke_int.h"
#include "seal/seal.h"
#include "util/mem.h"

enum {
	HASH = 32,		/* bytes of SHA-256 */
	NONCE = 12,
	SETID = 16,
	ENC = 16,		/* where enc, or the salt, is in a wrap */
	SEALED = 48,		/* where the sealed key is */
	TEXTMAX = 160		/* enough for any labelled text below */
};

/* What HMAC is run over, put together piece by piece. */
struct text {
	uint8_t buf[TEXTMAX];
	size_t len;
};

struct suite {
	uint8_t id[10];
	size_t len;
};

static const struct suite kem = { { 'K', 'E', 'M', 0x00, 0x20 }, 5 };
static const struct suite hpke = {
	{ 'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01, 0x00, 0x02 }, 10
};

static const uint8_t zero[NONCE];

static void
put(struct text *t, const void *p, size_t len)
{
	assert(len <= sizeof(t->buf) - t->len);
	if (len != 0)
		memcpy(t->buf + t->len, p, len);
	t->len += len;
}

static void
put_label(struct text *t, const struct suite *s, const char *label)
{
	put(t, "HPKE-v1", 7);
	put(t, s->id, s->len);
	put(t, label, strlen(label));
}

/* out [32] = HMAC-SHA-256(key, t); the text is wiped. */
static int
mac(uint8_t out[HASH], const void *key, size_t keylen, struct text *t,
    struct ge_err *e)
{
	int rc = 0;

	if (HMAC(EVP_sha256(), key, (int)keylen, t->buf, t->len, out,
	    NULL) == NULL) {
		ERR_clear_error();
		rc = ge_fail(e, GE_EFAIL,
		    "OpenSSL cannot compute HMAC-SHA-256");
	}
	ge_wipe(t, sizeof(*t));
	return (rc);
}

/* LabeledExtract.  salt is 32 bytes, or NULL for none. */
static int
extract(uint8_t prk[HASH], const uint8_t *salt, const struct suite *s,
    const char *label, const void *ikm, size_t ikmlen, struct ge_err *e)
{
	struct text t = { .len = 0 };

	put_label(&t, s, label);
	put(&t, ikm, ikmlen);
	if (salt == NULL)
		return (mac(prk, "", 0, &t, e));
	return (mac(prk, salt, HASH, &t, e));
}

/* LabeledExpand to len <= 32 bytes, which is one round; out has room for 32. */
static int
expand(uint8_t out[HASH], size_t len, const uint8_t prk[HASH],
    const struct suite *s, const char *label, const struct text *info,
    struct ge_err *e)
{
	const uint8_t be[2] = { 0, (uint8_t)len }, one = 1;
	struct text t = { .len = 0 };

	assert(len <= HASH);
	put(&t, be, 2);
	put_label(&t, s, label);
	put(&t, info->buf, info->len);
	put(&t, &one, 1);
	return (mac(out, prk, HASH, &t, e));
}

int
ge_hpke_base(uint8_t key[GE_KEY + NONCE], const uint8_t dh[GE_KEY],
    const uint8_t kemctx[2 * GE_KEY], const void *info, size_t infolen,
    struct ge_err *e)
{
	static const uint8_t base = 0;
	struct text ctx = { .len = 0 }, schedule = { .len = 0 };
	uint8_t prk[HASH], shared[HASH], h[HASH];
	int rc = -1;

	put(&ctx, kemctx, 2 * GE_KEY);
	if (extract(prk, NULL, &kem, "eae_prk", dh, GE_KEY, e) == -1 ||
	    expand(shared, HASH, prk, &kem, "shared_secret", &ctx, e) == -1)
		goto out;
	put(&schedule, &base, 1);
	if (extract(h, NULL, &hpke, "psk_id_hash", "", 0, e) == -1)
		goto out;
	put(&schedule, h, HASH);
	if (extract(h, NULL, &hpke, "info_hash", info, infolen, e) == -1)
		goto out;
	put(&schedule, h, HASH);
	if (extract(prk, shared, &hpke, "secret", "", 0, e) == -1 ||
	    expand(key, GE_KEY, prk, &hpke, "key", &schedule, e) == -1 ||
	    expand(h, NONCE, prk, &hpke, "base_nonce", &schedule, e) == -1)
		goto out;
	memcpy(key + GE_KEY, h, NONCE);
	rc = 0;
out:
	ge_wipe(prk, sizeof(prk));
	ge_wipe(shared, sizeof(shared));
	ge_wipe(h, sizeof(h));
	return (rc);
}

/*
 * X25519: the shared secret with peer, and our public key; either may be NULL.
 * Return 1, 0 if the secret is zero, -1 with GE_EFAIL.
 */
static int
x25519(uint8_t *dh, const uint8_t *peer, uint8_t *public,
    const uint8_t private[GE_KEY], struct ge_err *e)
{
	EVP_PKEY *ours, *theirs = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	size_t len = GE_KEY;
	uint8_t any = 0;
	int i, rc = -1;

	ours = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, private,
	    GE_KEY);
	if (ours == NULL || (public != NULL &&
	    EVP_PKEY_get_raw_public_key(ours, public, &len) != 1))
		goto out;
	rc = 1;
	if (dh == NULL)
		goto out;
	rc = -1;
	len = GE_KEY;
	if ((theirs = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL,
	    peer, GE_KEY)) == NULL ||
	    (ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL)) == NULL ||
	    EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, theirs) != 1)
		goto out;
	/* It fails on a zero secret; looked at again, should it not. */
	rc = 0;
	if (EVP_PKEY_derive(ctx, dh, &len) != 1)
		goto out;
	for (i = 0; i < GE_KEY; i++)
		any |= dh[i];
	rc = any != 0;
out:
	if (rc == -1)
		ge_fail(e, GE_EFAIL, "OpenSSL cannot compute X25519");
	ERR_clear_error();
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(ours);
	return (rc);
}

/*
 * AES-256-GCM over the 32 bytes of a key, which its tag follows; in place.
 * Return 1, 0 if the tag is wrong, -1 with GE_EFAIL.
 */
static int
gcm(uint8_t buf[GE_KEY + GE_TAG], const uint8_t key[GE_KEY],
    const uint8_t nonce[NONCE], int seal, struct ge_err *e)
{
	EVP_CIPHER_CTX *ctx;
	uint8_t *tag = buf + GE_KEY, none[16];
	int n, rc = -1;

	if ((ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_CipherInit_ex2(ctx, EVP_aes_256_gcm(), key, nonce, seal,
	    NULL) != 1 ||
	    EVP_CipherUpdate(ctx, buf, &n, buf, GE_KEY) != 1 || n != GE_KEY ||
	    (!seal && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GE_TAG,
	    tag) != 1))
		goto out;
	if (EVP_CipherFinal_ex(ctx, none, &n) != 1) {
		rc = seal ? -1 : 0;
		goto out;
	}
	if (seal && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GE_TAG,
	    tag) != 1)
		goto out;
	rc = 1;
out:
	if (rc != 1)
		ge_wipe(buf, GE_KEY + GE_TAG);
	if (rc == -1)
		ge_fail(e, GE_EFAIL, "OpenSSL cannot run AES-256-GCM");
	ERR_clear_error();
	EVP_CIPHER_CTX_free(ctx);
	return (rc);
}

/* The key and nonce of a type 1 wrap.  Returns what x25519() does. */
static int
recipient(uint8_t key[GE_KEY + NONCE], const uint8_t private[GE_KEY],
    const uint8_t peer[GE_KEY], const uint8_t kemctx[2 * GE_KEY],
    const uint8_t setid[SETID], struct ge_err *e)
{
	static const char label[] = "gefrag/v1 recipient"; /* and its 00 */
	struct text info = { .len = 0 };
	uint8_t dh[GE_KEY];
	int rc;

	put(&info, label, sizeof(label));
	put(&info, setid, SETID);
	rc = x25519(dh, peer, NULL, private, e);
	if (rc == 1 &&
	    ge_hpke_base(key, dh, kemctx, info.buf, info.len, e) == -1)
		rc = -1;
	ge_wipe(dh, sizeof(dh));
	return (rc);
}

int
ge_wrap_seal_x25519(uint8_t wrap[GE_WRAP], const uint8_t setid[16],
    const uint8_t public[GE_KEY], const uint8_t ephemeral[GE_KEY],
    const uint8_t rcp[GE_KEY], struct ge_err *e)
{
	uint8_t key[GE_KEY + NONCE], kemctx[2 * GE_KEY];
	int r, rc = -1;

	if (x25519(NULL, NULL, kemctx, ephemeral, e) == -1)
		goto out;
	memcpy(kemctx + GE_KEY, public, GE_KEY);
	r = recipient(key, ephemeral, public, kemctx, setid, e);
	if (r == -1)
		goto out;
	if (r == 0) {
		ge_fail(e, GE_EUSAGE, "the X25519 public key is of low order");
		goto out;
	}
	memset(wrap, 0, GE_WRAP);
	wrap[0] = GE_WRAP_X25519;
	memcpy(wrap + ENC, kemctx, GE_KEY);
	memcpy(wrap + SEALED, rcp, GE_KEY);
	if (gcm(wrap + SEALED, key, key + GE_KEY, 1, e) == -1)
		goto out;
	rc = 0;
out:
	ge_wipe(key, sizeof(key));
	return (rc);
}

/* Open a wrap with its key; zeros if that fails.  Returns what gcm() does. */
static int
unseal(uint8_t rcp[GE_KEY], const uint8_t wrap[GE_WRAP],
    const uint8_t key[GE_KEY], const uint8_t nonce[NONCE], struct ge_err *e)
{
	uint8_t buf[GE_KEY + GE_TAG];
	int rc;

	memcpy(buf, wrap + SEALED, sizeof(buf));
	rc = gcm(buf, key, nonce, 0, e);
	memcpy(rcp, buf, GE_KEY);
	ge_wipe(buf, sizeof(buf));
	return (rc);
}

int
ge_wrap_open_x25519(uint8_t rcp[GE_KEY], const uint8_t wrap[GE_WRAP],
    const uint8_t setid[16], const uint8_t private[GE_KEY], struct ge_err *e)
{
	uint8_t key[GE_KEY + NONCE], kemctx[2 * GE_KEY];
	int rc = 0;

	memset(rcp, 0, GE_KEY);
	if (!ge_wrap_ok(wrap) || wrap[0] != GE_WRAP_X25519)
		goto out;
	memcpy(kemctx, wrap + ENC, GE_KEY);
	rc = x25519(NULL, NULL, kemctx + GE_KEY, private, e);
	if (rc == 1)
		rc = recipient(key, private, kemctx, kemctx, setid, e);
	if (rc == 1)
		rc = unseal(rcp, wrap, key, key + GE_KEY, e);
out:
	ge_wipe(key, sizeof(key));
	return (rc);
}

/* The key that seals a type 2 wrap. */
static int
stretch(uint8_t key[GE_KEY], const uint8_t *pass, size_t passlen,
    const uint8_t setid[SETID], const uint8_t salt[GE_KEY], int logn,
    struct ge_err *e)
{
	static const char label[] = "gefrag/v1 passphrase"; /* and its 00 */
	const uint64_t r = 8, p = 1, n = (uint64_t)1 << logn;
	struct text t = { .len = 0 };

	put(&t, label, sizeof(label));
	put(&t, setid, SETID);
	put(&t, salt, GE_KEY);
	/* OpenSSL stops at 32 MiB unasked; it counts N + 2 + p times 128 r. */
	if (EVP_PBE_scrypt((const char *)pass, passlen, t.buf, t.len, n, r, p,
	    128 * r * (n + 2 + p), key, GE_KEY) != 1) {
		ERR_clear_error();
		return (ge_fail(e, GE_EFAIL, "OpenSSL cannot run scrypt in "
		    "%llu KiB", (unsigned long long)n));
	}
	return (0);
}

int
ge_wrap_seal_pass(uint8_t wrap[GE_WRAP], const uint8_t setid[16],
    const uint8_t *pass, size_t passlen, const uint8_t salt[GE_KEY], int logn,
    const uint8_t rcp[GE_KEY], struct ge_err *e)
{
	uint8_t key[GE_KEY];
	int rc = -1;

	assert(logn >= GE_PASS_LOGN_MIN && logn <= GE_PASS_LOGN_MAX);
	if (stretch(key, pass, passlen, setid, salt, logn, e) == -1)
		goto out;
	memset(wrap, 0, GE_WRAP);
	wrap[0] = GE_WRAP_PASS;
	wrap[1] = (uint8_t)logn;
	memcpy(wrap + ENC, salt, GE_KEY);
	memcpy(wrap + SEALED, rcp, GE_KEY);
	if (gcm(wrap + SEALED, key, zero, 1, e) == -1)
		goto out;
	rc = 0;
out:
	ge_wipe(key, sizeof(key));
	return (rc);
}

int
ge_wrap_open_pass(uint8_t rcp[GE_KEY], const uint8_t wrap[GE_WRAP],
    const uint8_t setid[16], const uint8_t *pass, size_t passlen,
    struct ge_err *e)
{
	uint8_t key[GE_KEY];
	int rc = 0;

	memset(rcp, 0, GE_KEY);
	if (!ge_wrap_ok(wrap) || wrap[0] != GE_WRAP_PASS)
		goto out;
	rc = stretch(key, pass, passlen, setid, wrap + ENC, wrap[1], e);
	if (rc == 0)
		rc = unseal(rcp, wrap, key, zero, e);
out:
	ge_wipe(key, sizeof(key));
	return (rc);
}

int
ge_wrap_ok(const uint8_t wrap[GE_WRAP])
{
	int i;

	for (i = 2; i < ENC; i++)
		if (wrap[i] != 0)
			return (0);
	if (wrap[0] == GE_WRAP_X25519)
		return (wrap[1] == 0);
	return (wrap[0] == GE_WRAP_PASS && wrap[1] >= GE_PASS_LOGN_MIN &&
	    wrap[1] <= GE_PASS_LOGN_MAX);
}
