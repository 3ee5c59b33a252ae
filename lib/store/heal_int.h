#ifndef GE_HEAL_INT_H
#define GE_HEAL_INT_H

#include <stddef.h>
#include <stdint.h>

#include "store/store_int.h"

/*
 * A repair under way: heal.c plans and goes through the segments, remake.c makes
 * and puts fragments, refresh.c gives new shares and destroys old ones, heads.c
 * reads headers back, resume.c finds new shares that are not told of, merge.c knows the history and writes the manifest.
 */

enum {
	HEAL_ROUNDS = 4			/* other sites for a fragment */
};

/* A fragment to be made, or moved. */
struct task {
	uint32_t segment;
	uint8_t index;
	uint8_t bad;			/* not to be read */
	uint8_t move;			/* to another site */
	uint8_t there;			/* a bad object is in the way */
	uint8_t later;			/* whole in a newer epoch than is told */
	uint8_t passed;			/* stale, next to such */
	uint8_t epoch;			/* found: its epoch */
	int16_t found;			/* whole, at this site; -1: not seen */
	int16_t site;			/* where it came to be; -1: nowhere yet */
};

/* A fragment at a site, or something that may be there. */
struct spot {
	uint32_t segment;
	uint8_t index, epoch;
	int16_t site;
};

struct spots {
	struct spot *v;
	size_t n, cap;
};

struct found {				/* of the report, or of our own check */
	enum ge_state state;
	uint32_t segment;
	int index, epoch;
	int16_t site;			/* -1: not told */
};

/* A segment of a new epoch: what its headers have in common. */
struct fresh {
	uint32_t segment;
	uint8_t epoch;
	uint8_t root[32], record[32];
	int16_t *site;			/* [n] */
};

struct healer {
	struct ge_heal *h;
	const struct ge_store *st;
	struct ge_known *kn;
	struct ge_map map;
	struct ge_rule rule;
	struct ge_survey sv;
	struct task *task;
	size_t ntasks, captasks, at;	/* next to be fetched */
	int copying;			/* this pass reads the fragments themselves */
	uint64_t left;			/* fragments that stay as they are */
	uint64_t unreachable;
	uint64_t strangers;		/* of them at sites that the file lacks */
	struct ge_err why;		/* the worst of what stays */
	struct found *found;
	size_t nfound, capfound;
	uint8_t *told;			/* [nsegs] epochs as the manifest has them */
	uint8_t *later;			/* [nsegs] our check goes by a newer epoch */
	uint8_t *whole;			/* [nsegs] fragments that our check found
					   whole and of the segment's epoch */
	int nomem;
	struct spots moved;		/* has come to another place */
	struct ge_past past;		/* what sites may have that no manifest tells */
	int untold;			/* some of it the manifest does not tell either */
	struct fresh *fresh;
	size_t nfresh, capfresh;
	uint64_t *ever, *claim;		/* [sites] */
	uint8_t *barred;		/* [sites] */
	uint8_t *shut;			/* [sites] barred, or claims to have too much */
	uint8_t *vote;			/* [sites] */
	const char **name;		/* [GE_N_MAX] of sites */
	int spool;
	/* The segment at work. */
	uint8_t *mem;
	size_t memlen;
};

struct making {
	struct ge_fetch *f;
	const struct ge_fetched *g;
	const uint8_t *want;		/* [n] indices */
	int n;
	int spooled;
	uint8_t *hdr;			/* of the epoch, room for stamping */
	int epoch;
	uint8_t (*shares)[32];		/* [n of the set], or NULL */
};

/* heal_worse(hl, e): to be told at the end, or now if something else is worse. */
void heal_worse(struct healer *hl, const struct ge_err *e);

/* heal_places(hl, segment): [n] site now of each index; -1: nowhere known. */
int16_t *heal_places(const struct healer *hl, uint32_t segment);

int heal_add_spot(struct spots *sp, uint32_t segment, int index, int epoch,
    int site, struct ge_err *e);

/*
 * heal_history(hl, segment, epoch, now, e): what each site has, or may have, had of
 * it: into hl->ever; into hl->shut who is barred, or says that it has had more than
 * the rule bears.
 * heal_newest(hl, segment): the newest epoch that anybody knows of.
 * heal_new_epoch(hl, segment): a number for new shares that nobody has used; -1 if
 * there is none.
 * heal_unsigned(hl, kn): must what comes after kn's manifest be signed, and there is
 * no key?
 * heal_tell(hl, stored, e): write the manifest; *stored: sites that have it.
 */
int heal_history(struct healer *hl, uint32_t segment, int epoch,
    const int16_t *now, struct ge_err *e);
int heal_newest(const struct healer *hl, uint32_t segment);
int heal_new_epoch(struct healer *hl, uint32_t segment);
int heal_unsigned(const struct healer *hl, const struct ge_known *kn);
int heal_tell(struct healer *hl, int *stored, struct ge_err *e);

/*
 * heal_room(hl, n, each, e): room for finished fragments: 0 in memory, 1 in the
 * spool file, -1.
 * heal_payloads(hl, mk, e): make them there.
 * heal_shares(hl, mk, epoch, all, e): the shares, of a new epoch if not 0.
 * heal_own_shares(mk, all): those that came with what is copied: 1; 0 if one has
 * none that is good.
 * heal_put(hl, mk, site, over, e): put them and see that they are there.
 *
 *	site  [mk->n]  in/out  where to; -1 afterwards: it is not there
 *	over  [mk->n]  in      a bad object is in the way; or NULL
 */
int heal_room(struct healer *hl, size_t n, size_t each, struct ge_err *e);
int heal_payloads(struct healer *hl, const struct making *mk,
    struct ge_err *e);
int heal_shares(struct healer *hl, struct making *mk, int epoch,
    uint8_t (*all)[32], struct ge_err *e);
int heal_own_shares(struct making *mk, uint8_t (*all)[32]);
int heal_put(struct healer *hl, const struct making *mk, int16_t *site,
    const uint8_t *over, struct ge_err *e);

/* Headers of one epoch of a segment. */
struct heads {
	struct healer *hl;
	uint32_t segment;
	int epoch;
	const int16_t *site;		/* [n] where each is; -1: not asked */
	const uint8_t *root;
	uint64_t good;			/* of the root, with a valid share, and the
					   object as long as it says */
	uint64_t unread;		/* it may be there: the site failed */
	uint8_t record[GE_N_MAX][32];	/* of those that are good, as are: */
	uint8_t (*share)[32];		/* secret */
	struct ge_hdr h;		/* of any of them */
	uint8_t dh[32], commitment[32];
};

/*
 * heal_record(out, h, records, root): a hash of what all n of an epoch share.
 *
 * heal_heads(hd, e): read headers back.  heal_heads_init, heal_heads_free; site is
 * borrowed.
 *
 * heal_opens(hd, epoch, idx, some, record, secret, e): do these k shares give all of
 * this record, and the segment's key as far as its headers can tell?  The secret
 * that they share.  1, 0, -1.
 *
 * heal_secret(hd, least, mask, secret, e): heal_heads, then the same of the most
 * that are of one record, if they are so many (k at least).
 *
 * heal_proved(hl, segment, epoch, least, site, record, e):
 * Are there so many (and k) good headers of one record, and is the secret that they
 * share that of the segment?  With recipients the shares of the told epoch, where
 * the manifest has them, must say so.  1, 0, -1.
 *
 *	site    [n]   in/out  1: -1 for those that are not of the record
 *	record  [32]  out
 *
 * heal_whole(hl, segment, index, epoch, site, record, e): is this fragment there,
 * of this record (NULL: it has none), all of it as the segment's root says?  1, 0,
 * -1.
 */
void heal_record(uint8_t out[32], const struct ge_hdr *h,
    const uint8_t *records, const uint8_t root[32]);
int heal_heads_init(struct heads *hd, struct healer *hl, uint32_t segment,
    int epoch, const int16_t *site, struct ge_err *e);
void heal_heads_free(struct heads *hd);
int heal_heads(struct heads *hd, struct ge_err *e);
int heal_opens(const struct heads *hd, int epoch, const uint8_t *idx,
    const uint8_t (*some)[32], const uint8_t record[32], uint8_t secret[32],
    struct ge_err *e);
int heal_secret(struct heads *hd, int least, uint64_t *mask,
    uint8_t secret[32], struct ge_err *e);
int heal_proved(struct healer *hl, uint32_t segment, int epoch, int least,
    int16_t *site, uint8_t record[32], struct ge_err *e);
int heal_whole(struct healer *hl, uint32_t segment, int index, int epoch,
    int site, const uint8_t *record, struct ge_err *e);

/*
 * heal_resume(hl, segment, least, epoch, site, e):
 * Is there a newer epoch than is told, proved with at least so many fragments (and
 * k)?  1, 0, -1.
 *
 *	site  [n]  out  where they are; -1: not there
 */
int heal_resume(struct healer *hl, uint32_t segment, int least, int *epoch,
    int16_t *site, struct ge_err *e);

/*
 * heal_refresh(hl, mk, now, e): all n of a segment in a new epoch, where now says,
 * or at other sites if some fail: now tells afterwards.
 * heal_destroy_old(hl, stored, e): objects of old epochs that nothing needs.
 */
int heal_refresh(struct healer *hl, struct making *mk, int16_t *now,
    struct ge_err *e);
int heal_destroy_old(struct healer *hl, int stored, struct ge_err *e);

#endif
