#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "seal/seal.h"
#include "util/mem.h"

enum {
	HASH = 64		/* bytes of SHA-512: one round of expansion */
};

int
ge_key_derive(uint8_t key[GE_KEY], uint8_t commitment[GE_KEY],
    const uint8_t thr[GE_KEY], const uint8_t rcp[GE_KEY], const uint8_t dh[32],
    struct ge_err *e)
{
	static const char salt[] = "gefrag/v1", info[] = "gefrag/v1 segment";
	uint8_t in[2 * GE_KEY], prk[HASH], out[HASH];
	uint8_t text[sizeof(info) + 32 + 1];	/* the 00 ends the string */
	int rc = -1;

	memcpy(in, thr, GE_KEY);
	memcpy(in + GE_KEY, rcp, GE_KEY);
	memcpy(text, info, sizeof(info));
	memcpy(text + sizeof(info), dh, 32);
	text[sizeof(text) - 1] = 1;
	if (HMAC(EVP_sha512(), salt, sizeof(salt) - 1, in, sizeof(in), prk,
	    NULL) == NULL ||
	    HMAC(EVP_sha512(), prk, sizeof(prk), text, sizeof(text), out,
	    NULL) == NULL) {
		ERR_clear_error();
		ge_fail(e, GE_EFAIL, "OpenSSL cannot compute HMAC-SHA-512");
		goto out;
	}
	memcpy(key, out, GE_KEY);
	memcpy(commitment, out + GE_KEY, GE_KEY);
	rc = 0;
out:
	ge_wipe(in, sizeof(in));
	ge_wipe(prk, sizeof(prk));
	ge_wipe(out, sizeof(out));
	return (rc);
}
