#ifndef GE_PILE_INT_H
#define GE_PILE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "frag/frag.h"
#include "frag/source_int.h"

/*
 * What the pile holds: set > segment > group > fragment.  A group is the
 * well-formed fragments of a segment whose common headers are the same bytes;
 * the segment root stands for those bytes.
 */
struct ge_frag {
	/* Where it lies: a file, memory, or the spool at off. */
	char *path;
	uint8_t *mem;
	uint64_t off;
	uint64_t size;			/* bytes there are; > fraglen: too many */
	uint8_t *share;			/* from a stream: [32], else NULL */
	int fd;				/* of an opened path, or -1 */
	int site;			/* operand */
	uint8_t index, epoch, has_share, share_ok;
	uint8_t dropped;		/* payload let go: only the header counts */
	uint8_t unreadable;		/* reading failed: as good as absent */
	uint32_t record;		/* into group->record */
};

struct ge_record {			/* epoch record */
	uint8_t id[32];			/* hash of epoch and commitments */
	int epoch;
	uint64_t valid;			/* indices with a valid share */
	uint64_t carried;		/* indices that carry it */
};

struct ge_group {
	uint8_t root[32];
	uint8_t setkey[32];		/* hash of bytes 0..35 and wraps */
	uint8_t dh[32];
	struct ge_hdr h;		/* index, share, epoch: of no one */
	uint64_t indices;
	struct ge_frag *frag;
	size_t nfrags, capfrags;
	struct ge_record *record;
	size_t nrecords, caprecords;
};

struct ge_seg {
	uint32_t number;
	int released;			/* its bytes are out */
	uint8_t root[32];		/* of the group released */
	struct ge_group *group;
	size_t ngroups, capgroups;
};

struct ge_set {
	uint8_t id[GE_SETID];
	int viable;			/* some segment has k of a group */
	struct ge_seg **seg;		/* by number */
	size_t nsegs, capsegs;
};

struct ge_found {			/* a manifest */
	struct ge_manifest m;
	int named;			/* the user named its file */
};

struct ge_lost {			/* what could not be read */
	char *path;
	char why[128];
	int site;
	int gone;			/* there is no such thing */
};

struct ge_buffer {
	uint8_t *buf;
	size_t cap;
	int used;
};

struct ge_pile {
	int flags;
	const struct ge_pins *pins;
	char **site;			/* operands, as given */
	size_t nsites, capsites, usable;
	struct ge_set *set;
	size_t nsets, capsets;
	struct ge_found *found;
	size_t nfound, capfound;
	struct ge_lost *lost;
	size_t nlost, caplost;
	size_t nunreachable;		/* of them, those not gone */
	size_t nstrays;			/* fragments with a damaged header */
	struct ge_room hdr;		/* for one header */

	/* Streams. */
	struct ge_inputs in;
	int spool;
	uint64_t spoolend;
	struct ge_buffer *buffer;
	size_t nbuffers, capbuffers, held;
	/*
	 * What a streaming join wants of the next fragment: payloads of segment
	 * `hot` in memory as long as they fit, of done segments not at all.
	 */
	int streaming;
	uint32_t hot;
	uint32_t last;			/* segment of the latest fragment */
	int (*wanted)(void *arg, const struct ge_hdr *h);
	void *arg;
};

/*
 * ge_pile_step(p, e):
 * Read one more entry of the archives noted.  1, 0 when there is no more, -1.
 */
int ge_pile_step(struct ge_pile *p, struct ge_err *e);

/* ge_pile_drop(p, seg): let go of the payloads of a segment from streams. */
void ge_pile_drop(struct ge_pile *p, struct ge_seg *seg);

struct ge_set *ge_pile_set(struct ge_pile *p, const uint8_t id[GE_SETID]);
struct ge_seg *ge_set_seg(const struct ge_set *set, uint32_t number);

/*
 * ge_pile_unread(p): could something that is there not be read?  Then what seems
 * lost may not be.
 */
int ge_pile_unread(const struct ge_pile *p);

/* ge_pile_site(p, f): the operand a fragment came from, or "-". */
const char *ge_pile_site(const struct ge_pile *p, const struct ge_frag *f);

/*
 * ge_frag_open(f, e): make it readable; 0 or -1.  ge_frag_close undoes it.
 * ge_frag_read(p, f, off, buf, len, got, e): bytes of the fragment.
 */
int ge_frag_open(struct ge_frag *f, struct ge_err *e);
void ge_frag_close(struct ge_frag *f);
int ge_frag_read(const struct ge_pile *p, const struct ge_frag *f, uint64_t off,
    void *buf, size_t len, size_t *got, struct ge_err *e);

/*
 * ge_group_open(g): open one fragment of each index, so that reading them opens
 * no file again; how many could not be (they are marked unreadable, with a note;
 * those that are merely one file too many are opened when they are read).
 */
int ge_group_open(struct ge_group *g);
void ge_group_close(struct ge_group *g);

/*
 * ge_frag_header(p, g, f, buf, e):
 * Read the header again into buf[g->h.len], share included, and make sure it
 * still belongs to the group.  1; 0 if not (anything may happen to a file between
 * two looks); -1.
 */
int ge_frag_header(const struct ge_pile *p, const struct ge_group *g,
    struct ge_frag *f, uint8_t *buf, struct ge_err *e);

static inline int
ge_popcount(uint64_t v)
{

	return (__builtin_popcountll(v));
}

/*
 * Which fragments count: gefrag(5), "Reading", 10.1 and 10.2.
 */
struct ge_choice {
	const struct ge_manifest *man;	/* evidence, or NULL */
	int rootsonly;			/* only its digest is known to be true:
					   nothing but its roots counts */
	struct ge_set *set;
	struct ge_group **group;	/* [n]; NULL: lost */
	size_t n, cap;
	int complete;			/* the last segment is known */
	struct ge_err err;		/* code 0: all accepted */
};

/*
 * ge_choose_manifest(c, p, pins, e): find the evidence (c->man).
 * ge_choose_set(c, p, pins, e): 10.1, after ge_choose_manifest.
 * ge_choose_group(c, number, g, e): 10.2 for one segment, without the chain.
 * ge_choose_chain(c, g, e): that g follows on c->group[0..n-1].
 * ge_choose_all(c, p, pins, tolerant, e): all of it.  With tolerant it goes on past
 * lost segments.  What is wrong with the set is in c->err; -1 only without
 * memory.
 */
int ge_choose_manifest(struct ge_choice *c, struct ge_pile *p,
    const struct ge_pins *pins, struct ge_err *e);
int ge_choose_set(struct ge_choice *c, struct ge_pile *p,
    const struct ge_pins *pins, struct ge_err *e);
int ge_choose_group(const struct ge_choice *c, uint32_t number,
    struct ge_group **g, struct ge_err *e);
int ge_choose_chain(const struct ge_choice *c, const struct ge_group *g,
    struct ge_err *e);
int ge_choose_all(struct ge_choice *c, struct ge_pile *p,
    const struct ge_pins *pins, int tolerant, struct ge_err *e);
void ge_choice_release(struct ge_choice *c);

/*
 * The manifest that -m names joins the pile; call before choosing.
 */
int ge_pile_manifest(struct ge_pile *p, const char *path, struct ge_err *e);

#endif
