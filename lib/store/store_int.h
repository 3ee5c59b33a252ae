#ifndef GE_STORE_INT_H
#define GE_STORE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "frag/frag.h"
#include "site/site.h"
#include "store/rule_int.h"
#include "store/store.h"

/*
 * What the jobs of the store share.
 */

/*
 * Where the fragments of a set are, and have been: the place lines of a manifest
 * as numbers of the sites file.
 */
struct ge_map {
	const struct ge_sites *sites;
	size_t nsegs;
	int n;
	int16_t *at;			/* [nsegs][n] site now; -1: nowhere known */
	uint8_t *epoch;			/* [nsegs] the newest of what is now */
	/* The lines that cover each segment, of all manifests. */
	const struct ge_manifest **from;	/* [nfrom] */
	int16_t **site;			/* [nfrom] of each of its site names */
	size_t nfrom;
	uint32_t *first;		/* [nsegs + 1] into line */
	struct ge_mapline {
		uint32_t place;
		uint16_t from;
	} *line;
	int unknown;			/* names that the sites file lacks */
};

/*
 * ge_map_init(map, sites, kn, e): of kn->m and, as history, of kn->also, borrowed
 * until ge_map_release.  0, -1.
 *
 * ge_map_lines(m, max): place lines times the segments they cover; more than max
 * is not counted.
 */
int ge_map_init(struct ge_map *map, const struct ge_sites *sites,
    const struct ge_known *kn, struct ge_err *e);
uint64_t ge_map_lines(const struct ge_manifest *m, uint64_t max);
void ge_map_release(struct ge_map *map);

/*
 * ge_map_ever(map, segment, epoch, ever):
 * What each site has ever had of a segment in this epoch, by all lines.
 *
 *	ever  [sites->n]  out  masks of indices
 */
void ge_map_ever(const struct ge_map *map, size_t segment, int epoch,
    uint64_t *ever);

/*
 * A survey: what sites list of a set.  No proof of anything.
 */
struct ge_seen {
	uint32_t segment;
	uint8_t index, epoch;
	int16_t site;
	uint64_t size;			/* or GE_OP_UNKNOWN */
};

/* A name in the set's folder that is neither a fragment's nor the manifest's. */
struct ge_stray {
	char *name;			/* bytes outside printable ASCII as %XX */
	int16_t site;
	uint8_t safe;			/* it is as it stands, and can be named to
					   a site: [0-9A-Za-z._-] */
	uint8_t folder;
	uint8_t part;			/* of a fragment that was being put, key
					   share and all: */
	uint8_t index, epoch;
	uint32_t segment;
};

struct ge_survey {
	struct ge_seen *seen;		/* by segment, index, epoch, site; each once */
	size_t nseen, cap;
	uint8_t *answered;		/* [sites->n] 1: listed it all; 2: says that
					   there is no such folder */
	uint8_t *manifest;		/* [sites->n] lists a manifest */
	struct ge_err *why;		/* [sites->n] why it did not answer; code 0
					   if not asked */
	struct ge_stray *stray;		/* by site, name; at most GE_SURVEY_STRAYS
					   of a site */
	size_t nstray, capstray;
	uint64_t leftovers;		/* names that are not fragments', all */
	uint64_t bytes;			/* of everything listed */
};

enum {
	GE_SURVEY_MAX = 1 << 24,	/* fragments that one site may list */
	GE_SURVEY_STRAYS = 1 << 14	/* other names of a site that are kept */
};

/*
 * ge_survey_run(st, setid, sv, e): ask all sites (not those gone).  16 bytes a
 * fragment.  0, also if sites do not answer (nothing is said of that: sv->why);
 * -1.  sv is released by ge_survey_release in any case.
 *
 * ge_survey_many(st, setid, n, sv, e): the same of n sets at once.
 */
int ge_survey_run(const struct ge_store *st, const uint8_t setid[GE_SETID],
    struct ge_survey *sv, struct ge_err *e);
int ge_survey_many(const struct ge_store *st, const uint8_t (*setid)[GE_SETID],
    size_t n, struct ge_survey *sv, struct ge_err *e);
void ge_survey_release(struct ge_survey *sv);

/*
 * ge_survey_soon(st, setid, sv, other, arg, e): the same of one set, as
 * ge_ask_all.
 *
 * ge_ask_all(st, op, n, least, other, arg, e):
 * Start operations, one a site.  When more than half of the sites have answered,
 * the others get as long again, but at least so many seconds; then they are
 * cancelled.
 *
 *	op     their tags are overwritten
 *	other  is given what else comes back meanwhile; NULL if nothing can
 *
 * 0; -1 if told to stop or other failed: they have come back even so.
 *
 * ge_ask_some(st, op, n, as, other, arg, e): the same of a part of the sites that
 * were asked.
 */
struct ge_asking {
	size_t of;			/* sites, more than half of which it takes; */
	size_t had;			/* so many have answered before */
	double began;			/* as ge_clock tells: the first question */
	double least;			/* seconds */
	double limit;			/* cancel by then whatever has come; or -1 */
};

int ge_survey_soon(const struct ge_store *st, const uint8_t setid[GE_SETID],
    struct ge_survey *sv,
    int (*other)(void *arg, struct ge_op *op, struct ge_err *e), void *arg,
    struct ge_err *e);
int ge_ask_all(const struct ge_store *st, struct ge_op *const *op, size_t n,
    double least, int (*other)(void *arg, struct ge_op *op, struct ge_err *e),
    void *arg, struct ge_err *e);
int ge_ask_some(const struct ge_store *st, struct ge_op *const *op, size_t n,
    const struct ge_asking *as,
    int (*other)(void *arg, struct ge_op *op, struct ge_err *e), void *arg,
    struct ge_err *e);

/*
 * ge_survey_peek(st, setid, sv, h, n, e):
 * What the first 64 bytes of fragments say, of one fragment a site.
 *
 *	h  [sites->n]  out  *n of them, of this set and well formed as far as that
 *	                    goes; nobody vouches for them
 *
 * 0; -1 if told to stop, or without memory.
 */
int ge_survey_peek(const struct ge_store *st, const uint8_t setid[GE_SETID],
    const struct ge_survey *sv, struct ge_hdr *h, size_t *n, struct ge_err *e);

/* ge_survey_find(sv, segment, index): the first of them, or NULL; *n of them. */
const struct ge_seen *ge_survey_find(const struct ge_survey *sv,
    uint32_t segment, int index, size_t *n);

/*
 * ge_manifest_named(operand, e):
 * Is it a manifest's file ("-": standard input), and no id or label?  1, 0, -1 with
 * GE_EUSAGE.
 *
 * ge_manifest_slurp(path, text, len, setid, e):
 * Such a file, to be freed, and the set that it is of.  0; -1: GE_EUSAGE if it is
 * no manifest, GE_EREFUSED if it is malformed.
 */
int ge_manifest_named(const char *operand, struct ge_err *e);
int ge_manifest_slurp(const char *path, uint8_t **text, size_t *len,
    uint8_t setid[GE_SETID], struct ge_err *e);

/*
 * ge_manifest_get(st, site, setid, limit, buf, len, e):
 * What a site has as the manifest of a set, not looked at, but only the beginning
 * of what does not begin as one; the caller frees *buf.
 * 1; 0 if it does not give it in `limit` seconds, or it is longer than any; -1.
 */
enum {
	GE_MANIFEST_WAIT = 60		/* seconds, for a slow site */
};

int ge_manifest_get(const struct ge_store *st, int site, const uint8_t *setid,
    double limit, uint8_t **buf, size_t *len, struct ge_err *e);

/*
 * ge_manifest_publish(st, kn, m, text, len, stored, contested, e):
 * Put a manifest to every site that is not gone, each in one step, read it back.
 * Of others that are as new, or newer, those are replaced
 * that kn has seen and judged (kn->lost) and that no signer named vouches for;
 * one of a newer format stays.
 * *stored: how many have it; *contested: how many keep another.  0, -1 only if
 * told to stop.
 */
int ge_manifest_publish(const struct ge_store *st, const struct ge_known *kn,
    const struct ge_manifest *m, const char *text, size_t len, int *stored,
    int *contested, struct ge_err *e);

/*
 * ge_state_check(st, m, e): is m older than, another of the same serial as, or the
 * next but no successor of, what was seen of its set?  0, or -1 GE_EREFUSED.
 * ge_state_keep(st, m): remember it; a note if that fails, once.
 * ge_state_heard(st, m, sites): the same of what so many sites have, if that is
 * more than half of those not gone or the signer named vouches for it.  Was it so?
 * ge_state_seen(st, setid, serial, hash, e): what is remembered of a set: 1; 0 if
 * nothing; -1.
 */
int ge_state_check(const struct ge_store *st, const struct ge_manifest *m,
    struct ge_err *e);
void ge_state_keep(const struct ge_store *st, const struct ge_manifest *m);
int ge_state_heard(const struct ge_store *st, const struct ge_manifest *m,
    int sites);
int ge_state_seen(const struct ge_store *st, const uint8_t *setid,
    uint64_t *serial, uint8_t hash[32], struct ge_err *e);

/*
 * The past of a set that no manifest tells: what this machine has sent to a site,
 * or was about to, proved or not.  A site that has taken a fragment and denies it
 * has it all the same, and the rule counts it.  It is written down before a byte
 * leaves, so that a run that is killed has not forgotten.
 */
struct ge_past {
	const struct ge_sites *sites;
	struct ge_try {
		uint32_t segment;
		uint32_t before;	/* 1 + the one before it in its chain */
		int16_t site;
		uint8_t index, epoch;
	} *v;				/* of earlier runs first, then of ge_past_add */
	size_t n, cap;
	uint32_t *head;
	char *path;			/* of the journal; NULL: none is kept */
	int fd;
	int unknown;			/* it names sites that the sites file lacks */
	int64_t synced;
};

enum {
	GE_PAST_LINE = 128
};

/*
 * ge_past_open(past, st, setid, adding, e):
 * What earlier runs have left.  Without a folder to remember things in there is
 * nothing; where it cannot be written a note says so.  0, -1.
 *
 * ge_past_send(past, segment, index, epoch, site):
 * Into the journal: this is about to be sent there.  If that fails a note says so.
 *
 * ge_past_add(past, ...): count it: 0, -1.  ge_past_has: is it counted?
 *
 * ge_past_ever(past, segment, epoch, ever):
 * Add what each site may have had.
 *
 *	ever  [sites->n]  in/out  masks of indices
 *
 * ge_past_newest(past, segment): the newest epoch in it, or 0.
 *
 * ge_past_close(past, told):
 * With told a manifest that more than half of the sites have tells of all of it:
 * the journal is removed, unless another run adds to it.  A struct of zeros, or
 * one that is closed, may be closed.
 */
int ge_past_open(struct ge_past *past, const struct ge_store *st,
    const uint8_t *setid, int adding, struct ge_err *e);
void ge_past_send(struct ge_past *past, uint32_t segment, int index, int epoch,
    int site);
int ge_past_add(struct ge_past *past, uint32_t segment, int index, int epoch,
    int site, struct ge_err *e);
int ge_past_has(const struct ge_past *past, uint32_t segment, int index,
    int epoch, int site);
void ge_past_ever(const struct ge_past *past, uint32_t segment, int epoch,
    uint64_t *ever);
int ge_past_newest(const struct ge_past *past, uint32_t segment);
void ge_past_close(struct ge_past *past, int told);

/*
 * ge_object_proved(st, site, name, h, hdr, full, code, e):
 * Is this very fragment at the site?  The header is read back and compared, the
 * size, and the last block (with full all blocks) checked against the table.
 * 1; 0 if not, *code telling why: GE_OP_ABSENT, GE_OP_FAILED (no answer),
 * GE_OP_EXISTS (something else is there; e says what); -1 if told to stop.
 */
int ge_object_proved(const struct ge_store *st, int site, const char *name,
    const struct ge_hdr *h, const uint8_t *hdr, int full,
    enum ge_op_result *code, struct ge_err *e);

/*
 * Fetch: good fragments of segments, in order, from the sites that give them
 * soonest.
 */
struct ge_want {
	uint32_t segment;
	uint64_t allowed;		/* indices that may be read */
	int need;			/* fragments wanted; 0: k of them */
	int shares;			/* key shares wanted; 0: k; -1: none */
	int blind;			/* read none either; needs shares -1 */
	int all;			/* 0: only the stripes that off, len need */
	uint64_t off, len;		/* of the original */
	int gone;			/* sites treated as gone may be asked as well,
					   after all others */
	int brief;			/* only where the map says, and not from a
					   site that has failed before */
};

struct ge_fetched {
	struct ge_want want;
	struct ge_hdr h;		/* common */
	uint8_t dh[32], root[32];
	uint32_t first, last;		/* stripes that are there; last < first: none */
	int nfrags;			/* with their payload, first; then those of
					   which there is only the header */
	int nheaders;			/* all of them */
	struct ge_got {
		int index, epoch, has_share;
		uint8_t *hdr;		/* [h.len] */
	} frag[GE_N_MAX];		/* by index within each kind */
	struct ge_slot *slot;
};

struct ge_fetch;

/*
 * ge_fetch_new(st, kn, map, pool, next, arg, e):
 * map may be NULL (no manifest); pool: bytes of memory for fragments.  next(arg, w)
 * names the segments, in the order in which they are to come: 1, or 0 at the end.
 * All borrowed until ge_fetch_free.
 *
 * ge_fetch_next(f, got, e):
 * The next segment, until the following call: 1; 0 at the end; -1: GE_ELOST,
 * GE_EREFUSED (headers contradict each other), GE_EFAIL (sites did not answer).
 * If then got->slot is not NULL only this segment (got->want) failed, and the next
 * call goes on.
 *
 * ge_fetched_read(f, got, i, off, buf, len, e):
 * Bytes of the payload of got->frag[i], i < nfrags, all checked against the table;
 * off from the payload's beginning, within stripes first..last.
 */
struct ge_fetch *ge_fetch_new(const struct ge_store *st,
    const struct ge_known *kn, const struct ge_map *map, size_t pool,
    int (*next)(void *arg, struct ge_want *w), void *arg, struct ge_err *e);
int ge_fetch_next(struct ge_fetch *f, struct ge_fetched *got,
    struct ge_err *e);
int ge_fetched_read(struct ge_fetch *f, const struct ge_fetched *got, int i,
    uint64_t off, void *buf, size_t len, struct ge_err *e);
void ge_fetch_free(struct ge_fetch *f);

/* Bytes received, damaged blocks met, fragments asked for twice. */
void ge_fetch_counts(const struct ge_fetch *f, uint64_t *received,
    uint64_t *damaged, uint64_t *hedged);

#endif
