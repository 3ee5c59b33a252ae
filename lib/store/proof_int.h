#ifndef GE_PROOF_INT_H
#define GE_PROOF_INT_H

#include <stddef.h>
#include <stdint.h>

#include "frag/frag.h"
#include "site/site.h"

/*
 * Proof that a fragment is at a site: its header is read back and compared, its
 * end must be where it belongs, and the last block (with full: each) must match
 * the table.  Where the site itself has checked the hash of all that it took, the
 * header and the end will do.  One operation at a time, for a loop that drives
 * many; for a small fragment one is enough.
 */
struct ge_proof {
	const struct ge_hdr *h;		/* borrowed, with hdr and dh */
	const uint8_t *hdr, *dh;
	int full, hashed;		/* hashed: by the site; not with full */
	uint8_t *buf;			/* [cap] the caller's */
	size_t cap;
	int body;			/* the header has been compared */
	int whole;			/* all of it is asked for at once */
	uint32_t stripe, nstripes;	/* asked for now */
};

/* ge_proof_room(h, full): the least cap. */
size_t ge_proof_room(const struct ge_hdr *h, int full);

/* ge_proof_begin(p, op): set the operation up; op->site and name are set. */
void ge_proof_begin(struct ge_proof *p, struct ge_op *op);

/*
 * ge_proof_step(p, op, code, e):
 * Judge what has come back.  2: op is set up to ask for more; 1: proved; 0: not,
 * and *code and e tell why, as with ge_object_proved().
 */
int ge_proof_step(struct ge_proof *p, struct ge_op *op,
    enum ge_op_result *code, struct ge_err *e);

#endif
