#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "seal/seal.h"
#include "util/file.h"
#include "util/mem.h"

enum {
	FILEMAX = 16384		/* a key has some hundred bytes */
};

/* The key in the DER of a PEM block, or NULL.  Never asks for a password. */
static EVP_PKEY *
decode(const char *name, const uint8_t *der, long len)
{
	PKCS8_PRIV_KEY_INFO *p8;
	EVP_PKEY *key = NULL;

	if (strcmp(name, PEM_STRING_PUBLIC) == 0)
		return (d2i_PUBKEY(NULL, &der, len));
	if (strcmp(name, PEM_STRING_PKCS8INF) == 0 &&
	    (p8 = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, len)) != NULL) {
		key = EVP_PKCS82PKEY(p8);
		PKCS8_PRIV_KEY_INFO_free(p8);
	}
	return (key);
}

/* The first block of the file is the key; what follows it is not looked at. */
static int
load(uint8_t raw[GE_KEY], const char *type, int private, const char *path,
    struct ge_err *e)
{
	uint8_t *text, *der = NULL;
	char *name = NULL, *header = NULL;
	BIO *bio = NULL;
	EVP_PKEY *key = NULL;
	size_t got, rawlen = GE_KEY;
	long len = 0;
	int rc = -1;

	if ((text = ge_secret_alloc(FILEMAX, e)) == NULL)
		return (-1);
	if (ge_slurp_into(path, text, FILEMAX, &got, e) == -1)
		goto out;
	if ((bio = BIO_new_mem_buf(text, (int)got)) == NULL) {
		ge_fail(e, GE_EFAIL, "'%s': OpenSSL has no memory", path);
		goto out;
	}
	if (PEM_read_bio_ex(bio, &name, &header, &der, &len,
	    PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) != 1) {
		ge_fail(e, GE_EUSAGE, "'%s' is not a PEM key", path);
		goto out;
	}
	if (strcmp(name, PEM_STRING_PKCS8) == 0 ||
	    strstr(header, "ENCRYPTED") != NULL) {
		ge_fail(e, GE_EUSAGE, "'%s' is an encrypted private key: "
		    "decrypt it with openssl pkey", path);
		goto out;
	}
	if ((private != 0) != (strcmp(name, PEM_STRING_PKCS8INF) == 0) ||
	    (key = decode(name, der, len)) == NULL ||
	    !EVP_PKEY_is_a(key, type) ||
	    (private ? EVP_PKEY_get_raw_private_key(key, raw, &rawlen) :
	    EVP_PKEY_get_raw_public_key(key, raw, &rawlen)) != 1) {
		ge_fail(e, GE_EUSAGE, "'%s' is not an %s %s key", path, type,
		    private ? "private" : "public");
		goto out;
	}
	rc = 0;
out:
	ERR_clear_error();
	EVP_PKEY_free(key);
	OPENSSL_secure_free(name);
	OPENSSL_secure_free(header);
	OPENSSL_secure_clear_free(der, (size_t)len);
	BIO_free(bio);
	ge_secret_free(text, FILEMAX);
	return (rc);
}

int
ge_pem_x25519_public(uint8_t key[GE_KEY], const char *path, struct ge_err *e)
{
	return (load(key, "X25519", 0, path, e));
}

int
ge_pem_x25519_private(uint8_t key[GE_KEY], const char *path, struct ge_err *e)
{
	return (load(key, "X25519", 1, path, e));
}

int
ge_pem_ed25519_public(uint8_t key[GE_KEY], const char *path, struct ge_err *e)
{
	return (load(key, "Ed25519", 0, path, e));
}

int
ge_pem_ed25519_private(uint8_t key[GE_KEY], const char *path, struct ge_err *e)
{
	return (load(key, "Ed25519", 1, path, e));
}
