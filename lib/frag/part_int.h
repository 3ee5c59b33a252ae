#ifndef GE_PART_INT_H
#define GE_PART_INT_H

#include <stdint.h>

#include "frag/frag.h"

enum {
	GE_BATCH = 3	/* blocks read and hashed together: what
			   ge_sha256_blocks interleaves */
};

/*
 * ge_blocks_hold(h, hdr, dh, index, stripe, body, n, good):
 * ge_blocks_check for 1 to GE_BATCH blocks of one length, from anywhere.
 *
 *	stripe  [n]  in
 *	body    [n]  in   block of stripe[i] at body[i]
 *	good    [n]  out  1 or 0
 */
void ge_blocks_hold(const struct ge_hdr *h, const uint8_t *hdr,
    const uint8_t dh[32], int index, const uint32_t *stripe,
    const uint8_t *const *body, int n, uint8_t *good);

#endif
