#ifndef GE_PUSH_INT_H
#define GE_PUSH_INT_H

#include <stddef.h>
#include <stdint.h>

#include "store/proof_int.h"
#include "store/store_int.h"

/*
 * A push under way: push.c reads the input, prior.c knows what was before, carry.c
 * takes single fragments to sites, settle.c writes down what came of it.
 */

/* Why an index has no site. */
enum {
	UNASSIGNED = -1,
	NO_SITE = -2,			/* none that the rule allows */
	BROKEN = -3,			/* damaged or cut in the input */
	SHARELESS = -4			/* no key share, or a wrong one */
};

struct segment {
	uint32_t ulen;
	uint32_t fail;			/* 1 + its newest in push.fail; 0: none */
	uint64_t off;
	uint64_t seen, done;		/* indices taken up; proved */
	uint64_t past;			/* of which a line of the past is written */
	uint8_t root[32];
	uint8_t record[16];		/* of the epoch record, to compare */
	uint8_t begun, epoch;
	int16_t at[];			/* [n] site, or why none */
};

/* An attempt that left nothing that could be proved. */
struct failure {
	uint32_t segment, before;	/* before: as segment.fail */
	int16_t site;
	uint8_t index;
	uint8_t foreign;		/* something else is there */
};

struct task;

enum {
	SPARES = 64
};

struct push {
	struct ge_push *p;
	const struct ge_store *st;
	struct ge_feed *feed;

	/* The set, once a header has come. */
	int begun;
	struct ge_hdr h;
	uint8_t *common;		/* [36 + 96 w] equal in all its headers */
	struct ge_rule rule;
	struct ge_known kn;
	struct ge_map map;
	int mapped;
	struct ge_survey sv;
	struct ge_past past;		/* with what has failed in this run */
	int fresh;			/* nothing was known or listed of it */
	int told;			/* the manifest tells all of the past, and more
					   than half of the sites have it */
	struct ge_manifest in;		/* of the input */
	char *intext;
	size_t inlen;

	struct segment **chunk;		/* of SEGMENTS_A_CHUNK */
	size_t nchunks, capchunks, segsize;
	uint64_t nsegs;			/* the highest + 1 */
	uint64_t nbegun;
	int64_t last;			/* the one that says it is; -1 */

	struct failure *fail;
	size_t nfail, capfail;
	uint8_t *barred;		/* [nsites] for all of this run */
	uint8_t *shut;			/* [nsites] take nothing that their domains
					   have not had */
	uint8_t *over;			/* [nsites] list more than the rule bears */
	uint8_t *row;			/* [nsites] failures in a row */
	uint8_t *bar;			/* [nsites] scratch */
	uint64_t *ever, *claim;		/* [nsites] scratch */
	char why[256];			/* why the rule allowed no site */
	struct ge_err foreign;		/* the first object of other content */

	struct task *task;		/* under way */
	struct task *joined[3];		/* wait to be hashed at once */
	int njoined;
	size_t ntasks;
	uint64_t room;			/* bytes that they hold, or that are spare: */
	struct spare {
		uint8_t *buf;
		size_t len;
	} spare[SPARES];
	size_t nspares;
};

enum {
	SEGMENTS_A_CHUNK = 1024,
	SEGMENTS_MAX = 1 << 20		/* more than a manifest has room for */
};

/* push_segment(pu, s): NULL if nothing of it has come. */
struct segment *push_segment(const struct push *pu, uint64_t s);

/*
 * push_assign(pu, seg, s, e): give a site to each index of a segment, as far as
 * the rule allows.
 */
int push_assign(struct push *pu, struct segment *seg, uint32_t s,
    struct ge_err *e);

/*
 * push_prior(pu, e): find out what was before: manifest, lists, journal.  0; -1:
 * GE_EREFUSED if the rule is broken by what manifest or journal tell, or cannot be
 * kept.
 * push_history(pu, seg, s): pu->ever and pu->bar for this segment.
 * push_told: sites that a manifest or their own list says to have a fragment.
 * push_expected: those, then where it was sent once.
 * push_untellable(pu, seg, s, index, site, e): would only a manifest tell of this
 * place that has to be signed, without a key?  -1 GE_EREFUSED; 0.
 */
int push_prior(struct push *pu, struct ge_err *e);
void push_history(struct push *pu, const struct segment *seg, uint32_t s);
int push_told(const struct push *pu, const struct segment *seg, uint32_t s,
    int index, int16_t *site, int max);
int push_expected(const struct push *pu, const struct segment *seg, uint32_t s,
    int index, int16_t *site, int max);
int push_untellable(const struct push *pu, const struct segment *seg, uint32_t s,
    int index, int site, struct ge_err *e);

/*
 * push_carry(pu, it, seg, e): read a fragment's payload, start to carry it.
 * push_wait(pu, all, e): handle what has come back; with all, until all has.
 * push_abandon: cancel what is under way.
 */
int push_carry(struct push *pu, const struct ge_item *it, struct segment *seg,
    struct ge_err *e);
int push_wait(struct push *pu, int all, struct ge_err *e);
void push_abandon(struct push *pu);

/* push_settle(pu, e): manifest, list of what is missing, status. */
int push_settle(struct push *pu, struct ge_err *e);

/* push_found(pu, state, s, index, site, detail): tell. */
void push_found(const struct push *pu, enum ge_state state, uint32_t s,
    int index, const char *site, const char *detail);

#endif
