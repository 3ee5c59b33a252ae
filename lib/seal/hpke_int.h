#ifndef GE_HPKE_INT_H
#define GE_HPKE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "seal/seal.h"

/*
 * ge_hpke_base(key, dh, kemctx, info, infolen, e):
 * RFC 9180 from the X25519 result to the key and base nonce: DHKEM(X25519,
 * HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode.  Not static so that the
 * unit test can give it the vector of the RFC, whose info is not ours.
 *
 *	key     [32+12]  out  AES key, base nonce
 *	dh      [32]     in   X25519 of one private key and the other public one
 *	kemctx  [64]     in   ephemeral public key, the recipient's public key
 *	info    [infolen <= 64]  in
 *
 * Return 0, or -1 with GE_EFAIL.
 */
int ge_hpke_base(uint8_t key[GE_KEY + 12], const uint8_t dh[GE_KEY],
    const uint8_t kemctx[2 * GE_KEY], const void *info, size_t infolen,
    struct ge_err *e);

#endif
