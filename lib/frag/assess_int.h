#ifndef GE_ASSESS_INT_H
#define GE_ASSESS_INT_H

#include <stddef.h>
#include <stdint.h>

#include "frag/pile_int.h"

/*
 * How one accepted segment is: which blocks of which fragments are good, and
 * from that the state of each index.  Audit reports it, repair acts on it.
 */
struct ge_assess {
	const struct ge_pile *p;
	struct ge_group *g;
	int jobs;
	/*
	 * [nfrags][nstripes]; nonzero: a whole block, not found to be damaged.
	 * `pick`, if not NULL, is as large: only blocks with pick are read.
	 */
	uint8_t *good;
	const uint8_t *pick;
	uint8_t *hdr;			/* common header */
	int64_t record;			/* the current one, or -1: none */
	uint64_t whole;			/* indices that are whole */
	uint64_t body;			/* those, or whole but for their share */
	int fewest;			/* good blocks of the worst stripe */
	int shares;			/* valid shares of the record; n if none
					   are needed */
	uint64_t checked;		/* blocks read */
	struct ge_row *row;		/* [n] */
	struct ge_aworker *worker;
};

struct ge_row {				/* of one index */
	enum ge_state state;
	char detail[96];
	const struct ge_frag *best;	/* or NULL */
};

/*
 * ge_assess_run(a, p, g, record, jobs, pick, e):
 * Assess g against epoch record `record` (-1: the newest with k valid shares, or
 * carried by k fragments where shares are not read).  a is released by
 * ge_assess_release in any case.
 */
int ge_assess_run(struct ge_assess *a, const struct ge_pile *p,
    struct ge_group *g, int64_t record, int jobs, const uint8_t *pick,
    struct ge_err *e);
void ge_assess_release(struct ge_assess *a);

/* ge_assess_trim(a): give up rows and header, keep what a repair goes by. */
void ge_assess_trim(struct ge_assess *a);

/* Lost: some stripe, or the key, cannot be had from what there is. */
int ge_assess_lost(const struct ge_assess *a);

#endif
