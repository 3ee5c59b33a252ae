#ifndef GE_DECODE_INT_H
#define GE_DECODE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "frag/frag.h"
#include "frag/pile_int.h"

/*
 * One accepted segment back into its bytes: gefrag(5), 10.3 and 10.4.
 */
struct ge_decoder;

/*
 * ge_decoder_new(p, j, hash, e):
 * With `hash` every block is hashed before it is used; without, the tag decides,
 * and only when it fails the blocks are hashed.  p and j are borrowed until
 * ge_decoder_free.
 */
struct ge_decoder *ge_decoder_new(const struct ge_pile *p,
    const struct ge_join *j, int hash, struct ge_err *e);
void ge_decoder_free(struct ge_decoder *d);

/*
 * ge_decode(d, g, first, last, dst, e):
 * Stripes first..last of segment g into dst, stripe s at
 * (s - first) k B, ge_hdr_coded(s) - tag bytes of it.
 *
 *	dst  out  (last - first + 1) k B bytes
 *
 * Return 0, or -1: GE_ELOST, GE_EREFUSED, GE_EFAIL.
 */
int ge_decode(struct ge_decoder *d, struct ge_group *g, uint32_t first,
    uint32_t last, uint8_t *dst, struct ge_err *e);

/* Damaged blocks that were met; reads that failed. */
uint64_t ge_decoder_damaged(const struct ge_decoder *d);
uint64_t ge_decoder_unread(const struct ge_decoder *d);

/*
 * ge_shares_gather(p, g, record, idx, shares, e):
 * k distinct valid shares of one epoch record.  1; 0 if there are fewer; -1.
 *
 *	idx     [k]      out
 *	shares  [k][32]  out  secret
 */
int ge_shares_gather(const struct ge_pile *p, struct ge_group *g,
    uint32_t record, uint8_t *idx, uint8_t (*shares)[32], struct ge_err *e);

/*
 * ge_records_order(g, order):
 * Records with at least k valid shares, newest epoch first; returns how many.
 * order has room for g->nrecords.
 */
size_t ge_records_order(const struct ge_group *g, uint32_t *order);

/*
 * ge_group_header(p, g, buf, e):
 * The common header of the group, from any fragment that still has it, into
 * buf[g->h.len].  0, or -1 GE_ELOST.
 */
int ge_group_header(const struct ge_pile *p, struct ge_group *g, uint8_t *buf,
    struct ge_err *e);

#endif
