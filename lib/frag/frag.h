#ifndef GE_FRAG_H
#define GE_FRAG_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/tar.h"

/*
 * Fragments: headers, manifests, the pile of what was found, and the four jobs:
 * split, join, audit, mend.  Words and bytes as in gefrag(5).
 */

enum {
	GE_HDR_FIXED = 64,
	GE_HDR_MAX = 2100864,
	GE_SETID = 16,
	GE_WRAPS_MAX = 16,
	GE_SIGNERS_MAX = 16,
	GE_N_MAX = 64,
	GE_STRIPES_MAX = 1024,
	GE_BLOCK_MIN = 4096,
	GE_BLOCK_MAX = 4194304,
	GE_SEGMENT_MAX = 1 << 30,
	GE_NAME_MAX = 4096,		/* characters of a user's label */
	GE_NAME_ROOM = 8188,		/* bytes of it escaped, and a NUL */
	GE_FRAG_NAME = 64,		/* room for a fragment's name */
	GE_FLAG_LAST = 1,
	GE_FLAG_DEFLATED = 2,
	GE_PLAIN = 1			/* mode */
};

/*
 * A fragment's header, and what follows from it.
 */
struct ge_hdr {
	uint8_t setid[GE_SETID];
	int mode, code, k, n, flags;
	int index, has_share, epoch;
	uint32_t alpha, nwraps, block, segment;
	uint64_t off;			/* of the segment's first byte */
	uint32_t ulen, clen;		/* U and L of gefrag(5) */

	uint32_t nstripes;		/* T */
	uint32_t piece;			/* Z: input bytes of a full stripe */
	uint32_t tag;			/* t: 16, or 0 in plain mode */
	uint32_t lastc, lastb;		/* c and b of the last stripe */
	size_t wraps, commitment, table, records, share;	/* offsets */
	size_t len;			/* of the header */
	uint64_t fraglen;		/* of the whole fragment */
};

/*
 * ge_hdr_peek(h, buf, len, e):
 * Check the first 64 bytes of what may be a fragment and derive its lengths, so
 * that the rest of the header can be read.  Pure; the input is untrusted.
 *
 * Return 0, or -1 with GE_ELOST and the first rule that is broken.
 */
int ge_hdr_peek(struct ge_hdr *h, const uint8_t *buf, size_t len,
    struct ge_err *e);

/*
 * ge_hdr_parse(h, buf, len, noshare, e):
 * The whole check of gefrag(5), "Fragment", in its order.  With noshare the
 * last 32 bytes of the header may be absent and are not looked at.
 */
int ge_hdr_parse(struct ge_hdr *h, const uint8_t *buf, size_t len, int noshare,
    struct ge_err *e);

/*
 * ge_hdr_layout(h):
 * Derive lengths and offsets from mode, k, n, block, nwraps and clen, which the
 * caller has set and checked; for writers.
 */
void ge_hdr_layout(struct ge_hdr *h);

/*
 * ge_hdr_write(buf, h):
 * Write the fixed part into buf[64], checksum zero; ge_hdr_seal(buf, h) sets the
 * checksum when all of the header but the share is in place.
 */
void ge_hdr_write(uint8_t *buf, const struct ge_hdr *h);
void ge_hdr_seal(uint8_t *buf, const struct ge_hdr *h);

/* c(s) and b(s): bytes coded in stripe s, and length of its blocks. */
uint32_t ge_hdr_coded(const struct ge_hdr *h, uint32_t stripe);
uint32_t ge_hdr_block(const struct ge_hdr *h, uint32_t stripe);

/*
 * Hashes of gefrag(5), "Hashes".  buf is the whole header.
 */
void ge_hash_descriptor(uint8_t dh[32], const struct ge_hdr *h,
    const uint8_t *buf);
void ge_hash_head(uint8_t head[64], int index, uint32_t stripe,
    const uint8_t dh[32]);
void ge_hash_root(uint8_t root[32], const struct ge_hdr *h, const uint8_t *buf,
    const uint8_t dh[32]);
void ge_hash_share(uint8_t out[32], const uint8_t dh[32], int epoch, int index,
    const uint8_t share[32]);

/*
 * ge_frag_name(out, setid, segment, index, epoch):
 * The canonical name "<set id>/<segment>.<index>[.<epoch>].gef".
 */
char *ge_frag_name(char out[GE_FRAG_NAME], const uint8_t *setid,
    uint32_t segment, int index, int epoch);

/*
 * ge_frag_name_parse(name, len, setid, segment, index, epoch):
 * Is this such a name, in every byte as ge_frag_name writes it?  Pure; untrusted.
 * 0, or -1.
 */
int ge_frag_name_parse(const char *name, size_t len, uint8_t setid[GE_SETID],
    uint32_t *segment, int *index, int *epoch);

/*
 * A manifest: ge-manifest(5).
 */
struct ge_manseg {
	uint32_t ulen;
	uint8_t root[32];
};

/*
 * A place line: the fragments of segments first..last with these indices were put
 * at these sites.
 */
struct ge_place {
	uint32_t first, last;
	uint8_t epoch, n;		/* n pairs */
	uint32_t at;			/* of the first pair in placeindex, placesite */
};

struct ge_manifest {
	uint8_t setid[GE_SETID];
	uint64_t serial;
	uint8_t previous[32];		/* if serial > 0 */
	char *name;			/* as in the file (escaped), or NULL */
	char created[21];
	int mode, code, k, n, alpha;
	uint32_t block;
	int nrecipients;
	uint8_t recipient[GE_WRAPS_MAX];	/* wrap types */
	uint64_t length;
	uint64_t nsegments;
	struct ge_manseg *segment;
	uint8_t digest[32];
	struct ge_place *place;		/* [nplaces], as in the file */
	size_t nplaces, capplaces;
	uint8_t *placeindex;		/* [npairs] */
	uint32_t *placesite;		/* [npairs], into sitename */
	size_t npairs, cappairs, cappairsites;
	char (*sitename)[64];		/* each name once */
	size_t nsitenames, capsitenames;
	uint32_t *nameslot;		/* [nnameslots] number + 1 of a name */
	size_t nnameslots;
	uint64_t namekey;		/* where in them */
	size_t settled;			/* place lines that are history */
	int nsigners;			/* at most GE_SIGNERS_MAX */
	uint8_t (*signer)[32];		/* keys of the signatures, all good */
	uint8_t hash[32];		/* of the file */
	uint8_t body[32];		/* of what the signatures cover */
};

enum {
	GE_MANIFEST_MAX = 64 << 20	/* bytes of the file */
};

/*
 * ge_manifest_parse(m, buf, len, e):
 * Read and check a manifest, its signatures included.  Pure; the input is
 * untrusted.  m is released by ge_manifest_release also after a failure.
 *
 * Return 0, or -1: GE_EREFUSED with the line and the rule, GE_EFAIL without
 * memory.
 *
 * ge_manifest_shed(m): let go of segments and places; name and signers stay.
 */
int ge_manifest_parse(struct ge_manifest *m, const uint8_t *buf, size_t len,
    struct ge_err *e);
void ge_manifest_shed(struct ge_manifest *m);
void ge_manifest_release(struct ge_manifest *m);

/*
 * ge_manifest_place(m, epoch, first, last, indices, site, e):
 * Append a place line: index i of the mask `indices` is at site[i].
 *
 *	site  [n]  in  names; only those of `indices` are looked at; copied
 *
 * A line that follows on the one before it (same epoch and pairs, next segment)
 * is joined to it if that was appended after ge_manifest_next.  0, or -1
 * GE_EFAIL without memory.
 */
int ge_manifest_place(struct ge_manifest *m, int epoch, uint32_t first,
    uint32_t last, uint64_t indices, const char *const *site,
    struct ge_err *e);

/*
 * ge_manifest_next(m, e): make m the successor of the file it was read from or
 * last written to (its hash): serial + 1, previous, no signers.  0, or -1
 * GE_EREFUSED after the greatest serial: m is as it was.
 */
int ge_manifest_next(struct ge_manifest *m, struct ge_err *e);

/*
 * ge_manifest_signed(m, key, e): is one of its signatures by this private key?
 * 1, 0, -1.
 */
int ge_manifest_signed(const struct ge_manifest *m, const uint8_t *key,
    struct ge_err *e);

/*
 * ge_manifest_format(m, key, out, len, e):
 * The text of m as it is, with its places, signed anew if key is not NULL; sets
 * m->digest, hash and body.  ge_manifest_write() is this for a new set: it sets
 * created and serial 0 first.
 */
int ge_manifest_format(struct ge_manifest *m, const uint8_t *key, char **out,
    size_t *len, struct ge_err *e);

/*
 * ge_manifest_write(m, key, out, len, e):
 * The text of a new set's manifest, signed if key (an Ed25519 private key) is not
 * NULL.  The digest is computed here.  The caller frees *out.
 */
int ge_manifest_write(struct ge_manifest *m, const uint8_t *key, char **out,
    size_t *len, struct ge_err *e);

/*
 * ge_label_check(name, e):
 * Whether a user's label can stand in a manifest: UTF-8, at most 4096 characters
 * and 8187 bytes when escaped.  0, or -1 GE_EUSAGE.
 */
int ge_label_check(const char *name, struct ge_err *e);

/* ge_set_digest: gefrag(5), "Hashes". */
void ge_set_digest(uint8_t out[32], const uint8_t *setid,
    const struct ge_manseg *seg, uint64_t nseg);

/*
 * Split: a stream into fragments.
 */
struct ge_split {
	int k, n, mode, jobs, deflate;
	uint32_t block;
	uint32_t stripes;		/* of a full segment */
	const char *name;		/* the user's label, raw UTF-8, or NULL */
	const uint8_t (*recipient)[32];	/* X25519 public keys */
	int nrecipients;
	const uint8_t *pass;		/* passphrase, or NULL */
	size_t passlen;
	const uint8_t *signkey;		/* Ed25519 private key, or NULL */
	int in;				/* descriptor to read */
	int out;			/* descriptor for the stream, or -1: */
	const char *dir;		/* folder for the fragments */

	/* Results. */
	uint8_t setid[GE_SETID], digest[32];
	uint64_t length, nsegments, stored;
};

/*
 * ge_split_run(s, e):
 * Do it.  On failure the fragments already put into dir are removed.  Memory:
 * (with jobs > 1 three, else one) segments and their parity.
 */
int ge_split_run(struct ge_split *s, struct ge_err *e);

/*
 * What the user knows beforehand (gefrag(5), "Reading").
 */
struct ge_pins {
	int has_set, has_digest, has_signer;
	uint8_t set[GE_SETID], digest[32], signer[32];
	const char *manifest;		/* path of a manifest, or NULL */
};

/*
 * ge_manifest_counts(m, pins): is a manifest that was found evidence for these
 * pins?  2 if it is signed by the key named, 1 if only its digest is the one
 * named, else 0.
 */
int ge_manifest_counts(const struct ge_manifest *m, const struct ge_pins *pins);

/*
 * The pile: everything that was found, and which of it counts.
 */
struct ge_pile;

enum {
	GE_PILE_NOSHARES = 1,		/* neither read nor check shares */
	GE_PILE_DIRS = 2		/* operands are folders only */
};

/*
 * ge_pile_new(flags, pins, e):
 * An empty pile.  Of the manifests that turn up only those that the pins make
 * evidence are kept, all if pins is NULL; borrowed until ge_pile_free.
 */
struct ge_pile *ge_pile_new(int flags, const struct ge_pins *pins,
    struct ge_err *e);
void ge_pile_free(struct ge_pile *p);

/*
 * ge_pile_add(p, path, e):
 * Add what lies at path: a folder (walked), a fragment, a manifest, or an archive
 * ("-": standard input).  Archives are only noted here and are read by the job
 * that follows, so that a join may stream them.  Operands are numbered from 0 in
 * the order of these calls; the number is the "site" of a fragment.
 *
 * Return 0, or -1: GE_EUSAGE if there is no such path, GE_EFAIL.
 */
int ge_pile_add(struct ge_pile *p, const char *path, struct ge_err *e);

/*
 * Join: fragments into bytes.
 */
struct ge_join {
	struct ge_pins pins;
	const uint8_t (*identity)[32];	/* X25519 private keys */
	int nidentities;
	const uint8_t *pass;
	size_t passlen;
	int jobs;
	int ranged;			/* only bytes off..off+len-1 */
	uint64_t off, len;
	int out;			/* descriptor to write */

	uint64_t written, damaged;	/* results: damaged blocks met */
	uint64_t missing;		/* fragments not found */
};

/*
 * ge_join_run(j, p, e):
 * Write the bytes of the set, whole verified segments in order.  Loss that did
 * no harm is told by ge_note.  Return 0, or -1 with the code of gefrag(5).
 */
int ge_join_run(struct ge_join *j, struct ge_pile *p, struct ge_err *e);

/*
 * Audit: what is whole, and what is not.
 */
enum ge_state {
	GE_STATE_OK, GE_STATE_MISSING, GE_STATE_CORRUPT, GE_STATE_STALE,
	GE_STATE_UNREACHABLE,
	GE_STATE_MISPLACED		/* whole, where it should not be: sites only */
};

enum {
	GE_STATES = GE_STATE_MISPLACED + 1
};

struct ge_finding {
	enum ge_state state;
	int known;			/* set, segment and index are known */
	uint8_t setid[GE_SETID];
	uint32_t segment;
	int index;
	int epoch;			/* at sites: of what is there */
	int beside;			/* at sites: an old share, the fragment itself
					   has a finding of its own */
	const char *site;		/* operand, or "-" */
	const char *detail;
};

struct ge_audit {
	struct ge_pins pins;
	int jobs;
	double confidence;		/* > 0: sample; see `share` */
	double share;			/* share of loss to be seen so */
	int alone;			/* each fragment by its own table */
	void (*found)(void *arg, const struct ge_finding *f);
	void *arg;

	/* Results. */
	int chosen;			/* a set was chosen: */
	uint8_t setid[GE_SETID];
	int k, n, mode;
	uint64_t nsegments, length, stored;
	uint64_t fragments, bad, unreachable;
	uint64_t blocks, checked;	/* there are, were read */
	int spare;			/* fragments of the worst segment that may
					   still be lost; -1: lost */
	int worst;			/* good fragments of that segment */
};

/*
 * ge_audit_run(a, p, e):
 * Report every fragment that should be there through a->found, in order of
 * segment and index.  Return 0 if all are whole, else -1 with the code of
 * gefrag(5) (GE_EDEGRADED, GE_ELOST, GE_EREFUSED) or GE_EFAIL.
 */
int ge_audit_run(struct ge_audit *a, struct ge_pile *p, struct ge_err *e);

/*
 * A sample of blocks: each of all with the same probability, none twice, in one
 * pass.
 */
struct ge_sampler {
	uint64_t seen, all, chosen, want;
	uint64_t pool[32];
	size_t left;
};

/*
 * ge_sampler_init(s, confidence, share, all):
 * As many of `all` blocks as show damage with this confidence if this share of
 * them is damaged.  1; 0 if that is all of them.
 *
 * ge_sampler_pick(s, pick, n, e):
 * Whether each of the next n blocks is in the sample.  0, or -1.
 */
int ge_sampler_init(struct ge_sampler *s, double confidence, double share,
    uint64_t all);
int ge_sampler_pick(struct ge_sampler *s, uint8_t *pick, size_t n,
    struct ge_err *e);

/*
 * Reports: what an audit printed, read back.
 */
struct ge_report_line {
	enum ge_state state;
	uint8_t setid[GE_SETID];
	uint32_t segment;
	int index;
	int beside;			/* as of ge_finding: it says GE_OLD_SHARE */
};

#define GE_OLD_SHARE "an old share is still there"

/*
 * ge_report_parse(l, line, len, e):
 * One line without its newline.  Pure; untrusted.  Return 1 with *l, 0 for a
 * comment or a line that names no fragment, -1 GE_EUSAGE.
 */
int ge_report_parse(struct ge_report_line *l, const char *line, size_t len,
    struct ge_err *e);

/* The word of a state: "ok", "missing", ... */
const char *ge_state_name(enum ge_state s);

/*
 * Mend: rebuild what is lost, in folders.
 */
struct ge_mend {
	struct ge_pins pins;
	int jobs, blind, dry;
	/*
	 * What to mend, sorted by segment and index, all of the set pinned;
	 * NULL: audit all.
	 */
	const struct ge_report_line *report;
	size_t nreport;
	void (*planned)(void *arg, const struct ge_finding *f);
	void *arg;

	uint64_t rebuilt, bytes, read;	/* results: fragments, written, read */
};

/*
 * ge_mend_run(m, p, e):
 * Each fragment that is not whole (of those that the report names, if there is
 * one) is rebuilt, checked against the accepted header, and takes its place by
 * rename(2).  With dry it is only told by
 * m->planned.  Return 0, or -1 with the code of gefrag(5).
 */
int ge_mend_run(struct ge_mend *m, struct ge_pile *p, struct ge_err *e);

/*
 * Feed: what a fragment stream, an archive or folders hold, one thing after the
 * other, for those who pass it on.
 */
struct ge_feed;

struct ge_item {
	int manifest;			/* a manifest, not a fragment */
	struct ge_hdr h;		/* fragment: */
	const uint8_t *hdr;		/* [h.len] whole header, checked; until the
					   next call; holds a share */
	uint64_t size;			/* of the object, header and all; in an
					   archive as that says: it may be cut */
	const uint8_t *text;		/* manifest: [size], not yet checked; until
					   the next call */
	const char *where;		/* for messages */
};

/*
 * ge_feed_open(path, n, e):
 * Operands as of ge_pile_add; none: standard input.  GE_EUSAGE if not one of them
 * is there.  Memory: some 40 bytes a file.
 *
 * ge_feed_next(f, it, e):
 * The next fragment with a well-formed header, or manifest; the rest is passed
 * over with a note, as the pile does.  Files come first, in order of segment,
 * index and epoch, their manifests last; then the archives, as they are.  1; 0 at
 * the end; -1.  What could not be read is told by a note and counted by
 * ge_feed_unread; an archive that cannot be is -1.  So is, by ge_feed_foreign, an
 * operand that is neither a fragment nor an archive; of the only one there is no note.
 *
 * ge_feed_read(f, buf, len, got, e):
 * The payload of the fragment, from where the last call ended; fewer than len
 * bytes only where it ends, or is cut.  What follows a payload is not given.
 */
struct ge_feed *ge_feed_open(const char *const *path, size_t n,
    struct ge_err *e);
int ge_feed_next(struct ge_feed *f, struct ge_item *it, struct ge_err *e);
int ge_feed_read(struct ge_feed *f, void *buf, size_t len, size_t *got,
    struct ge_err *e);
uint64_t ge_feed_unread(const struct ge_feed *f);
uint64_t ge_feed_foreign(const struct ge_feed *f);
int ge_feed_cut(const struct ge_feed *f);	/* an archive ended early */
void ge_feed_close(struct ge_feed *f);

/*
 * Parts of one fragment, for those who have them from afar.  `hdr` is any header
 * of the segment's accepted common header, h what it says.
 */

/*
 * ge_blocks_check(h, hdr, dh, index, first, n, buf, good):
 * Check the blocks of stripes first..first+n-1 of one fragment against the table.
 *
 *	dh    [32]  in   descriptor hash (ge_hash_descriptor)
 *	buf         in   the blocks as they lie in the payload, stripe s at
 *			 (s - first) B
 *	good  [n]   out  1 or 0
 *
 * Returns how many are good.  Thread-safe; allocates nothing.
 */
uint32_t ge_blocks_check(const struct ge_hdr *h, const uint8_t *hdr,
    const uint8_t dh[32], int index, uint32_t first, uint32_t n,
    const uint8_t *buf, uint8_t *good);

/*
 * ge_payload_rebuild(k, n, have, src, want, nwant, dst, len, e):
 * The same stretch of the payloads of other indices, from that of k.
 *
 *	have  [k]           in   their indices, distinct
 *	src   [k][len]      in
 *	want  [nwant]       in   indices to make, none of `have`
 *	dst   [nwant][len]  out
 *	len                 bytes: whole blocks, from a block's beginning
 *
 * 0, or -1: GE_ELOST if indices are out of range or repeated, GE_EFAIL without
 * memory.
 */
int ge_payload_rebuild(int k, int n, const uint8_t *have,
    const uint8_t *const *src, const uint8_t *want, int nwant,
    uint8_t *const *dst, size_t len, struct ge_err *e);

/*
 * ge_hdr_stamp(hdr, h, index, epoch, share):
 * Make the header in hdr that of another index: index, epoch, has share and share
 * (NULL: none), checksum.  Commitments must be in place.
 */
void ge_hdr_stamp(uint8_t *hdr, const struct ge_hdr *h, int index, int epoch,
    const uint8_t *share);

/*
 * ge_shares_all(h, hdr, dh, idx, some, all, e):
 * gefrag(5), "Repair": from k valid shares of the epoch record in hdr all n, if
 * they match all its commitments and, with w = 0, the key commitment fits.
 *
 *	idx   [k]      in   distinct indices
 *	some  [k][32]  in   their shares     secret
 *	all   [n][32]  out                   secret
 *
 * 1; 0 if they contradict; -1 without memory.
 */
int ge_shares_all(const struct ge_hdr *h, const uint8_t *hdr,
    const uint8_t dh[32], const uint8_t *idx, const uint8_t (*some)[32],
    uint8_t (*all)[32], struct ge_err *e);

/*
 * ge_shares_open(h, commitment, dh, idx, some, record, secret, e):
 * What k valid shares of the epoch in h give: the commitments that its record must
 * have, and the secret that they share.
 *
 *	commitment  [32]     in   the header's key commitment
 *	idx, some            in   as above; secret
 *	record      [n][32]  out
 *	secret      [32]     out  secret
 *
 * 1; 0 if with w = 0 the key commitment does not fit; -1 without memory.
 */
int ge_shares_open(const struct ge_hdr *h, const uint8_t commitment[32],
    const uint8_t dh[32], const uint8_t *idx, const uint8_t (*some)[32],
    uint8_t (*record)[32], uint8_t secret[32], struct ge_err *e);

/*
 * ge_shares_refresh(h, hdr, dh, idx, some, epoch, all, e):
 * New shares of the same key for a new epoch, h->epoch < epoch <= 255: draws
 * coefficients, gives the n shares and puts epoch and commitments into hdr, which
 * is then a header without a share (ge_hdr_stamp does the rest).  Arguments as
 * above.  0, or -1: GE_EREFUSED if the old shares contradict, GE_EFAIL.
 */
int ge_shares_refresh(const struct ge_hdr *h, uint8_t *hdr,
    const uint8_t dh[32], const uint8_t *idx, const uint8_t (*some)[32],
    int epoch, uint8_t (*all)[32], struct ge_err *e);

/* ge_share_valid(h, hdr, dh): does the header's own share match its commitment? */
int ge_share_valid(const struct ge_hdr *h, const uint8_t *hdr,
    const uint8_t dh[32]);

/*
 * ge_durability(k, n, alive, afr, days, common):
 * Probability that a segment with `alive` good fragments left is lost within a
 * year, if each site is lost independently at the yearly rate afr, losses are
 * repaired in a batch every `days` days, and a common cause ends everything at
 * the yearly rate `common`; never below 1e-9 (nine nines).  Batch Markov model.
 */
double ge_durability(int k, int n, int alive, double afr, double days,
    double common);

#endif
