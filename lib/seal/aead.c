#include <assert.h>
#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "seal/seal.h"
#include "util/mem.h"

struct ge_aead {
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *ctx;
};

struct ge_aead *
ge_aead_new(struct ge_err *e)
{
	struct ge_aead *a;

	if ((a = ge_alloc(sizeof(*a), e)) == NULL)
		return (NULL);
	a->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	a->ctx = EVP_CIPHER_CTX_new();
	if (a->cipher == NULL || a->ctx == NULL) {
		ERR_clear_error();
		ge_fail(e, GE_EFAIL, "OpenSSL cannot start AES-256-GCM");
		ge_aead_free(a);
		return (NULL);
	}
	return (a);
}

void
ge_aead_free(struct ge_aead *a)
{
	if (a == NULL)
		return;
	EVP_CIPHER_CTX_free(a->ctx);
	EVP_CIPHER_free(a->cipher);
	ge_free(a);
}

int
ge_aead_key(struct ge_aead *a, const uint8_t key[GE_KEY], int seal,
    struct ge_err *e)
{
	if (EVP_CipherInit_ex2(a->ctx, a->cipher, key, NULL, seal ? 1 : 0,
	    NULL) != 1) {
		ERR_clear_error();
		return (ge_fail(e, GE_EFAIL, "OpenSSL refuses an AES key"));
	}
	return (0);
}

/* Start a stripe under the key that is set, and run its bytes through. */
static int
run(struct ge_aead *a, uint64_t stripe, uint8_t *buf, size_t len)
{
	uint8_t nonce[12];
	int i, n;

	assert(len <= INT_MAX);
	memset(nonce, 0, sizeof(nonce));
	for (i = 0; i < 8; i++)
		nonce[i] = (uint8_t)(stripe >> 8 * i);
	if (EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, -1, NULL) != 1)
		return (-1);
	if (len == 0)
		return (0);
	if (EVP_CipherUpdate(a->ctx, buf, &n, buf, (int)len) != 1 ||
	    (size_t)n != len)
		return (-1);
	return (0);
}

int
ge_aead_seal(struct ge_aead *a, uint64_t stripe, uint8_t *buf, size_t len,
    struct ge_err *e)
{
	int n;

	assert(EVP_CIPHER_CTX_is_encrypting(a->ctx));
	if (run(a, stripe, buf, len) == -1 ||
	    EVP_CipherFinal_ex(a->ctx, buf + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, GE_TAG,
	    buf + len) != 1) {
		ERR_clear_error();
		return (ge_fail(e, GE_EFAIL, "OpenSSL cannot encrypt"));
	}
	return (0);
}

int
ge_aead_open(struct ge_aead *a, uint64_t stripe, uint8_t *buf, size_t len,
    struct ge_err *e)
{
	uint8_t none[16];
	int n;

	assert(!EVP_CIPHER_CTX_is_encrypting(a->ctx));
	if (run(a, stripe, buf, len) == -1 ||
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, GE_TAG,
	    buf + len) != 1) {
		ERR_clear_error();
		ge_wipe(buf, len);
		return (ge_fail(e, GE_EFAIL, "OpenSSL cannot decrypt"));
	}
	if (EVP_CipherFinal_ex(a->ctx, none, &n) != 1) {
		ERR_clear_error();
		ge_wipe(buf, len);
		return (0);
	}
	return (1);
}
