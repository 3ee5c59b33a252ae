#ifndef GE_LOOK_INT_H
#define GE_LOOK_INT_H

#include <stddef.h>
#include <stdint.h>

#include "frag/frag.h"
#include "site/site.h"

/*
 * A look at one object that should be a fragment: its header, and all or some of
 * its blocks, by range reads.
 */
enum {
	GE_WHY = 160
};

enum ge_look_got {
	GE_LOOK_NOTHING,		/* nowhere to look */
	GE_LOOK_ABSENT,			/* the site says that it is not there */
	GE_LOOK_LOST,			/* the site did not answer */
	GE_LOOK_BAD,			/* no fragment, or not the one named */
	GE_LOOK_HEADER			/* its header and what hangs on it */
};

struct ge_look {
	int16_t site;			/* -1: none */
	enum ge_look_got got;
	int share_ok;
	struct ge_hdr h;
	uint64_t size;			/* of the object, or GE_OP_UNKNOWN */
	uint8_t root[32];
	uint8_t record[32];		/* hash of the epoch record */
	uint8_t wraps[32];		/* hash of the wraps */
	uint32_t nbad, checked;		/* blocks */
	uint8_t bad[GE_STRIPES_MAX / 8];
	char why[GE_WHY];
};

/*
 * A lane: what one look needs.  The first block is the caller's.
 */
struct ge_lane {
	const struct ge_hdr *shape;	/* mode, k, n, block, nwraps of the set */
	const uint8_t *root;		/* the only one of interest, or NULL */
	const uint8_t *pick;		/* bits: blocks to check */
	int whole;			/* all of them */
	int noshares;
	size_t guess;			/* bytes of the header, perhaps */
	uint64_t size;			/* as listed, or GE_OP_UNKNOWN */
	uint8_t setid[GE_SETID];
	uint32_t segment;
	int index, epoch;

	struct ge_op op;		/* to be started */
	struct ge_look look;
	uint8_t *hdr, *buf;
	size_t hmax, part;		/* bytes of the longest header, of a part */
	uint8_t dh[32];
	uint32_t next;			/* stripe */
	int stage;
	void *tag;			/* the caller's */
};

/*
 * ge_op_why(op, why): why it failed, without the names of site and object.
 */
void ge_op_why(const struct ge_op *op, char why[GE_WHY]);

/*
 * ge_lane_init(l, hmax, part, e): memory, hmax + hmax + part and a little.  0, -1.
 * ge_lane_begin(l, site): prepare l->op for the first request.
 * ge_lane_step(l): l->op has come back.  1: l->op is prepared for another; 0:
 * l->look is complete.  Touches nothing but l.
 */
int ge_lane_init(struct ge_lane *l, size_t hmax, size_t part, struct ge_err *e);
void ge_lane_release(struct ge_lane *l);
void ge_lane_begin(struct ge_lane *l, int site);
int ge_lane_step(struct ge_lane *l);

#endif
