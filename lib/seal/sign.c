#include <openssl/err.h>
#include <openssl/evp.h>

#include "seal/seal.h"

int
ge_sign_make(uint8_t sig[64], uint8_t public[GE_KEY],
    const uint8_t private[GE_KEY], const uint8_t *buf, size_t len,
    struct ge_err *e)
{
	EVP_PKEY *key;
	EVP_MD_CTX *ctx;
	size_t siglen = 64, publen = GE_KEY;
	int rc = -1;

	key = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, private,
	    GE_KEY);
	ctx = EVP_MD_CTX_new();
	if (key == NULL || ctx == NULL ||
	    EVP_PKEY_get_raw_public_key(key, public, &publen) != 1 ||
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, sig, &siglen, buf, len) != 1) {
		ERR_clear_error();
		ge_fail(e, GE_EFAIL, "OpenSSL cannot sign with Ed25519");
		goto out;
	}
	rc = 0;
out:
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return (rc);
}

int
ge_sign_verify(const uint8_t sig[64], const uint8_t public[GE_KEY],
    const uint8_t *buf, size_t len, struct ge_err *e)
{
	EVP_PKEY *key;
	EVP_MD_CTX *ctx;
	int rc = -1;

	key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, public,
	    GE_KEY);
	ctx = EVP_MD_CTX_new();
	if (key == NULL || ctx == NULL ||
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    (rc = EVP_DigestVerify(ctx, sig, 64, buf, len)) < 0) {
		rc = -1;
		ge_fail(e, GE_EFAIL, "OpenSSL cannot verify with Ed25519");
	}
	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return (rc);
}
