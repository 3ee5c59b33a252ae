#ifndef GE_SEAL_H
#define GE_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Secrets: key schedule, authenticated encryption, secret sharing, wrapped
 * keys, signatures.  Byte-exact as in gefrag(5), sections "Keys" and "Stripes".
 * Memory for keys comes from ge_secret_alloc; nothing here prints or keeps a
 * secret after it returns.
 */

enum {
	GE_KEY = 32,		/* bytes of a key, share, commitment */
	GE_TAG = 16,		/* bytes of an AES-GCM tag */
	GE_WRAP = 96,		/* bytes of a wrap */
	GE_WRAP_X25519 = 1,
	GE_WRAP_PASS = 2,
	GE_PASS_LOGN_MIN = 10,
	GE_PASS_LOGN_MAX = 20,
	GE_PASS_LOGN = 18	/* what writers use: 256 MiB, about a second */
};

/*
 * ge_share_split(shares, secret, coef, k, n):
 * Shamir's secret sharing over GF(2^8)/0x11d, byte by byte: share i is f(i+1),
 * f(0) the secret, f of degree k-1.
 *
 *	shares  [n][32]    out  secret
 *	secret  [32]       in
 *	coef    [k-1][32]  in   coefficients of x, x^2, ...: uniform random bytes
 *
 * Constant time in all bytes.  Shamir (1979).
 */
void ge_share_split(uint8_t (*shares)[GE_KEY], const uint8_t secret[GE_KEY],
    const uint8_t (*coef)[GE_KEY], int k, int n);

/*
 * ge_share_at(out, x, idx, shares, k):
 * Interpolate f(x) from k shares: x = 0 gives the secret, x = i+1 share i.
 *
 *	out     [32]     out
 *	idx     [k]      in  indices of the shares, distinct, 0..63 (public)
 *	shares  [k][32]  in
 *
 * Constant time in the shares.
 */
void ge_share_at(uint8_t out[GE_KEY], int x, const uint8_t *idx,
    const uint8_t (*shares)[GE_KEY], int k);

/*
 * ge_key_derive(key, commitment, thr, rcp, dh, e):
 * Key schedule of gefrag(5): PRK = HKDF-Extract-SHA-512("gefrag/v1", thr || rcp),
 * key || commitment = HKDF-Expand-SHA-512(PRK, "gefrag/v1 segment" 00 || dh, 64).
 * Return 0, or -1 (OpenSSL has no memory).
 */
int ge_key_derive(uint8_t key[GE_KEY], uint8_t commitment[GE_KEY],
    const uint8_t thr[GE_KEY], const uint8_t rcp[GE_KEY], const uint8_t dh[32],
    struct ge_err *e);

/*
 * AES-256-GCM with the stripe number as nonce (LE64(stripe) || 0^4, no aad).
 * One ge_aead per thread.
 */
struct ge_aead;
struct ge_aead *ge_aead_new(struct ge_err *e);
void ge_aead_free(struct ge_aead *a);

/* ge_aead_key(a, key, seal, e): set the key, to seal (1) or to open (0). */
int ge_aead_key(struct ge_aead *a, const uint8_t key[GE_KEY], int seal,
    struct ge_err *e);

/*
 * ge_aead_seal(a, stripe, buf, len, e):
 * Encrypt buf in place; the tag goes to buf[len..len+15].  len < 2^31.
 * Return 0, or -1 with GE_EFAIL.
 */
int ge_aead_seal(struct ge_aead *a, uint64_t stripe, uint8_t *buf, size_t len,
    struct ge_err *e);

/*
 * ge_aead_open(a, stripe, buf, len, e):
 * Decrypt buf in place; len counts the ciphertext without its tag, which is at
 * buf[len..len+15].
 * Return 1, 0 if the tag is wrong (buf is then wiped), -1 with GE_EFAIL.
 */
int ge_aead_open(struct ge_aead *a, uint64_t stripe, uint8_t *buf, size_t len,
    struct ge_err *e);

/*
 * Keys from the PEM files that openssl(1) genpkey and pkey -pubout write.
 * Raw 32 bytes out.  GE_EUSAGE with the file named if it cannot be opened, is
 * no PEM, or holds another kind of key; an encrypted private key is refused with
 * a message that says so (no prompt).  The caller wipes private keys.
 */
int ge_pem_x25519_public(uint8_t key[GE_KEY], const char *path,
    struct ge_err *e);
int ge_pem_x25519_private(uint8_t key[GE_KEY], const char *path,
    struct ge_err *e);
int ge_pem_ed25519_public(uint8_t key[GE_KEY], const char *path,
    struct ge_err *e);
int ge_pem_ed25519_private(uint8_t key[GE_KEY], const char *path,
    struct ge_err *e);

/*
 * ge_wrap_seal_x25519(wrap, setid, public, ephemeral, rcp, e):
 * Wrap the set's recipient key for one X25519 public key: RFC 9180 base mode,
 * single shot, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, info
 * "gefrag/v1 recipient" 00 || setid, empty aad.
 *
 *	wrap       [96]  out  type 1, 0^15, enc, sealed key
 *	ephemeral  [32]  in   random; the X25519 private key of this wrap
 *	rcp        [32]  in   K_rcp
 *
 * Return 0, or -1: GE_EUSAGE if the public key gives a zero secret.
 */
int ge_wrap_seal_x25519(uint8_t wrap[GE_WRAP], const uint8_t setid[16],
    const uint8_t public[GE_KEY], const uint8_t ephemeral[GE_KEY],
    const uint8_t rcp[GE_KEY], struct ge_err *e);

/*
 * ge_wrap_open_x25519(rcp, wrap, setid, private, e):
 * Return 1 with K_rcp, 0 if this key does not open this wrap or the wrap is of
 * the other type (rcp is then zero), -1 GE_EFAIL.
 */
int ge_wrap_open_x25519(uint8_t rcp[GE_KEY], const uint8_t wrap[GE_WRAP],
    const uint8_t setid[16], const uint8_t private[GE_KEY], struct ge_err *e);

/*
 * The same with a passphrase (any bytes): scrypt(pass, "gefrag/v1 passphrase"
 * 00 || setid || salt, N = 2^logn, r = 8, p = 1), AES-256-GCM, nonce 0^12.
 * Memory: 2^(logn+10) bytes while it runs; logn 10..20.
 */
int ge_wrap_seal_pass(uint8_t wrap[GE_WRAP], const uint8_t setid[16],
    const uint8_t *pass, size_t passlen, const uint8_t salt[GE_KEY], int logn,
    const uint8_t rcp[GE_KEY], struct ge_err *e);
int ge_wrap_open_pass(uint8_t rcp[GE_KEY], const uint8_t wrap[GE_WRAP],
    const uint8_t setid[16], const uint8_t *pass, size_t passlen,
    struct ge_err *e);

/*
 * ge_wrap_ok(wrap):
 * Whether the 96 bytes are a well-formed wrap (gefrag(5), "Wraps"): type 1 or 2,
 * byte 1 zero or log2 N in 10..20, 14 zero bytes.  Pure.
 */
int ge_wrap_ok(const uint8_t wrap[GE_WRAP]);

/*
 * Ed25519 over any bytes.  The signature is 64 bytes.
 * ge_sign_verify returns 1, 0 if the signature is wrong, -1 GE_EFAIL.
 */
int ge_sign_make(uint8_t sig[64], uint8_t public[GE_KEY],
    const uint8_t private[GE_KEY], const uint8_t *buf, size_t len,
    struct ge_err *e);
int ge_sign_verify(const uint8_t sig[64], const uint8_t public[GE_KEY],
    const uint8_t *buf, size_t len, struct ge_err *e);

#endif
