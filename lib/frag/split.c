#include <sys/stat.h>
#include <sys/uio.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "code/code.h"
#include "frag/frag.h"
#include "frag/stream_int.h"
#include "seal/seal.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/par.h"
#include "util/sha256.h"
#include "util/world.h"

/*
 * Three stages: read a segment, work on its stripes, write its fragments.  A
 * segment is read straight to where it is encrypted, in place: stripe s lies at
 * s k B, k blocks one after another, with room for the tag; its parity at
 * s (n-k) B.  So the data is touched by the cipher, the code and the hash, and
 * copied by nobody.
 */
enum {
	SLOTS = 3,
	DEFLATE_CHUNK = 1 << 20,
	DEFLATE_ROOM = DEFLATE_CHUNK + 1024,	/* stored, it grows a little */
	MANIFEST_SEGMENTS = 690000	/* what 64 MiB of manifest have room for */
};

struct slot {
	uint8_t *data;			/* [stripes][k][B] */
	uint8_t *parity;		/* [stripes][n-k][B] */
	uint8_t *header;		/* common header; share and index of 0 */
	uint8_t (*shares)[GE_KEY];	/* [n], secret */
	struct ge_hdr h;
	int unread;			/* the work stage reads it, at h.off */
};

struct work {
	struct ge_split *s;
	struct ge_rs rs;
	struct ge_aead **aead;		/* [jobs] */
	struct slot slot[SLOTS];
	int nslots;
	uint8_t *deflated;		/* [chunks][DEFLATE_ROOM]; or NULL */
	size_t *chunklen;
	uint8_t (*secret)[GE_KEY];	/* thr, coefficients, rcp, key */
	uint8_t *wraps;
	uint8_t dh[32];
	struct slot *now;		/* of the work stage */
	/* Reading. */
	uint64_t off;
	int ended, has_ahead;
	uint8_t ahead;
	uint64_t base, sure;		/* of a file: where it begins; bytes
					   that are there beyond doubt */
	/* Writing. */
	struct ge_tar *tar;
	char *setdir;
	uint64_t placed;		/* segments that setdir may hold part of */
	struct ge_manseg *segs;
	size_t nsegs, capsegs;
};

enum {				/* rows of w->secret */
	S_THR = 0, S_RCP = 1, S_KEY = 2, S_COEF = 3
};

static uint8_t *
stripe_data(const struct work *w, const struct slot *t, uint32_t stripe)
{

	return (t->data + (size_t)stripe * (size_t)w->s->k * w->s->block);
}

static uint8_t *
stripe_parity(const struct work *w, const struct slot *t, uint32_t stripe)
{

	return (t->parity +
	    (size_t)stripe * (size_t)(w->s->n - w->s->k) * w->s->block);
}

/*
 * What is known beforehand of the input.  As long as more than a segment of a
 * file is left, the segment need not be read to know that it is not the last:
 * each worker reads the stripe that it works on, and finds it in its cache.  The
 * rest is read to its end as from a pipe, however long the file said it is.
 */
static void
size_up(struct work *w)
{
	struct stat st;
	off_t at;

	w->sure = 0;
	if (fstat(w->s->in, &st) == -1 || !S_ISREG(st.st_mode) ||
	    (at = lseek(w->s->in, 0, SEEK_CUR)) == -1 || at > st.st_size)
		return;
	w->base = (uint64_t)at;
	w->sure = (uint64_t)(st.st_size - at);
}

/* Part of an unread segment: exactly len bytes at off of the input. */
static int
read_part(const struct work *w, uint64_t off, uint8_t *buf, size_t len,
    struct ge_err *e)
{
	size_t got;

	if (ge_pread(w->s->in, buf, len, w->base + off, &got, e) == -1)
		return (ge_within(e, "input"));
	if (got < len)
		return (ge_fail(e, GE_EFAIL,
		    "input: became shorter while it was read"));
	return (0);
}

/*
 * Read up to len bytes, beginning with the byte that was read ahead.
 */
static int
take(struct work *w, uint8_t *buf, size_t len, size_t *got, struct ge_err *e)
{
	size_t more;

	*got = 0;
	if (w->has_ahead) {
		buf[0] = w->ahead;
		*got = 1;
		w->has_ahead = 0;
	}
	if (ge_readfull(w->s->in, buf + *got, len - *got, &more, e) == -1)
		return (ge_within(e, "input"));
	*got += more;
	return (0);
}

static int
read_segment(void *arg, size_t item, size_t slot, struct ge_err *e)
{
	struct work *w = arg;
	struct slot *t = &w->slot[slot];
	size_t piece = (size_t)w->s->k * w->s->block -
	    (w->s->mode == GE_PLAIN ? 0 : GE_TAG);
	size_t got, total = 0;
	uint32_t s;

	if (w->ended)
		return (0);
	if (item >= MANIFEST_SEGMENTS)
		return (ge_fail(e, GE_EFAIL, "input has too many segments for "
		    "a manifest: use a larger -b or -O payload"));
	t->unread = w->sure > w->off + piece * w->s->stripes;
	if (t->unread) {
		total = piece * w->s->stripes;
		goto known;
	}
	if (w->sure > 0 && lseek(w->s->in, (off_t)(w->base + w->off),
	    SEEK_SET) == -1)
		return (ge_failsys(e, "input: cannot seek"));
	w->sure = 0;
	if (w->deflated != NULL) {
		if (take(w, t->data, piece * w->s->stripes, &total, e) == -1)
			return (-1);
	} else {
		for (s = 0; s < w->s->stripes; s++) {
			if (take(w, stripe_data(w, t, s), piece, &got, e) == -1)
				return (-1);
			total += got;
			if (got < piece)
				break;
		}
	}
	/* Whether this is the last segment stands in its header. */
	if (total < piece * w->s->stripes) {
		w->ended = 1;
	} else {
		if (ge_readfull(w->s->in, &w->ahead, 1, &got, e) == -1)
			return (ge_within(e, "input"));
		w->has_ahead = got == 1;
		w->ended = got == 0;
	}
known:
	t->h.segment = (uint32_t)item;
	t->h.off = w->off;
	t->h.ulen = t->h.clen = (uint32_t)total;
	t->h.flags = w->ended ? GE_FLAG_LAST : 0;
	w->off += total;
	return (1);
}

static int
deflate_chunk(void *arg, size_t i, int worker, struct ge_err *e)
{
	struct work *w = arg;
	size_t from = i * DEFLATE_CHUNK, left = w->now->h.ulen - from;
	int rc, last = left <= DEFLATE_CHUNK;

	(void)worker;
	if (w->now->unread && read_part(w, w->now->h.off + from,
	    w->now->data + from, last ? left : DEFLATE_CHUNK, e) == -1)
		return (-1);
	rc = ge_deflate(w->deflated + i * DEFLATE_ROOM, DEFLATE_ROOM,
	    w->now->data + from, last ? left : DEFLATE_CHUNK, last,
	    &w->chunklen[i], e);
	if (rc == 0)
		w->chunklen[i] = SIZE_MAX;	/* does not get smaller */
	return (rc == -1 ? -1 : 0);
}

/*
 * Compress the segment, which lies in one run at t->data, and lay it out in
 * stripes: compressed if that is shorter, else as it is.
 */
static int
deflate_segment(struct work *w, struct slot *t, struct ge_err *e)
{
	size_t chunks = (t->h.ulen + (size_t)DEFLATE_CHUNK - 1) / DEFLATE_CHUNK;
	size_t piece, i, total = 0, at, len, room;
	uint32_t s;

	if (ge_par_each(w->s->jobs, chunks, deflate_chunk, w, e) == -1)
		return (-1);
	for (i = 0; i < chunks && total != SIZE_MAX; i++)
		total = w->chunklen[i] == SIZE_MAX ? SIZE_MAX :
		    total + w->chunklen[i];
	piece = (size_t)w->s->k * w->s->block -
	    (w->s->mode == GE_PLAIN ? 0 : GE_TAG);
	if (total >= t->h.ulen) {
		for (s = (uint32_t)((t->h.ulen + piece - 1) / piece); s-- > 0;)
			memmove(stripe_data(w, t, s), t->data + s * piece,
			    t->h.ulen - s * piece < piece ?
			    t->h.ulen - s * piece : piece);
		return (0);
	}
	t->h.flags |= GE_FLAG_DEFLATED;
	t->h.clen = (uint32_t)total;
	for (i = 0, s = 0, room = piece; i < chunks; i++)
		for (at = 0; at < w->chunklen[i]; at += len, room -= len) {
			if (room == 0) {
				s++;
				room = piece;
			}
			len = w->chunklen[i] - at < room ?
			    w->chunklen[i] - at : room;
			memcpy(stripe_data(w, t, s) + (piece - room),
			    w->deflated + i * DEFLATE_ROOM + at, len);
		}
	return (0);
}

static int
work_stripe(void *arg, size_t stripe, int worker, struct ge_err *e)
{
	struct work *w = arg;
	struct slot *t = w->now;
	const struct ge_hdr *h = &t->h;
	uint32_t s = (uint32_t)stripe, c = ge_hdr_coded(h, s);
	size_t b = ge_hdr_block(h, s);
	uint8_t *data = stripe_data(w, t, s), *parity = stripe_parity(w, t, s);
	const uint8_t *block[GE_N_MAX];
	uint8_t *out[GE_N_MAX], heads[GE_N_MAX][64];
	int i;

	if (t->unread && w->deflated == NULL && read_part(w, h->off +
	    (uint64_t)s * h->piece, data, c - h->tag, e) == -1)
		return (-1);
	if (h->mode != GE_PLAIN &&
	    ge_aead_seal(w->aead[worker], s, data, c - h->tag, e) == -1)
		return (-1);
	memset(data + c, 0, b * (size_t)h->k - c);
	for (i = 0; i < h->n; i++) {
		if (i < h->k)
			block[i] = data + b * (size_t)i;
		else
			block[i] = out[i - h->k] =
			    parity + b * (size_t)(i - h->k);
		ge_hash_head(heads[i], i, s, w->dh);
	}
	ge_rs_encode(&w->rs, block, out, b);
	ge_sha256_blocks((uint8_t (*)[32])(t->header + h->table +
	    32 * (size_t)h->n * s), (const uint8_t (*)[64])heads, block, b,
	    (size_t)h->n);
	return (ge_hook_tick(0, e));
}

static int
work_segment(void *arg, size_t item, size_t slot, struct ge_err *e)
{
	struct work *w = arg;
	struct ge_split *o = w->s;
	struct slot *t = &w->slot[slot];
	struct ge_hdr *h = &t->h;
	struct ge_manseg *seg;
	int i, j;

	w->now = t;
	if (w->deflated != NULL && deflate_segment(w, t, e) == -1)
		return (-1);
	memcpy(h->setid, o->setid, GE_SETID);
	h->mode = o->mode;
	h->code = 1;
	h->k = o->k;
	h->n = o->n;
	h->alpha = 1;
	h->block = o->block;
	h->nwraps = o->pass != NULL ? 1 : (uint32_t)o->nrecipients;
	h->index = h->has_share = h->epoch = 0;
	ge_hdr_layout(h);
	ge_hdr_write(t->header, h);
	memcpy(t->header + h->wraps, w->wraps, GE_WRAP * (size_t)h->nwraps);
	ge_hash_descriptor(w->dh, h, t->header);

	if (h->mode != GE_PLAIN) {
		if (ge_random(w->secret[S_THR], GE_KEY, e) == -1)
			return (-1);
		for (i = 0; i < o->k - 1; i++)
			if (ge_random(w->secret[S_COEF + i], GE_KEY, e) == -1)
				return (-1);
		if (ge_key_derive(w->secret[S_KEY], t->header + h->commitment,
		    w->secret[S_THR], w->secret[S_RCP], w->dh, e) == -1)
			return (-1);
		ge_share_split(t->shares, w->secret[S_THR],
		    (const uint8_t (*)[GE_KEY])&w->secret[S_COEF], o->k, o->n);
		for (i = 0; i < o->n; i++)
			ge_hash_share(t->header + h->records + 32 * (size_t)i,
			    w->dh, 0, i, t->shares[i]);
		for (j = 0; j < o->jobs; j++)
			if (ge_aead_key(w->aead[j], w->secret[S_KEY], 1, e) ==
			    -1)
				return (-1);
		ge_wipe(w->secret[S_THR], GE_KEY);
		ge_wipe(w->secret[S_KEY], GE_KEY);
	}
	if (ge_par_each(o->jobs, h->nstripes, work_stripe, w, e) == -1)
		return (-1);

	if (ge_grow(&w->segs, &w->capsegs, item + 1, sizeof(*w->segs), e) == -1)
		return (-1);
	seg = &w->segs[item];
	seg->ulen = h->ulen;
	ge_hash_root(seg->root, h, t->header, w->dh);
	w->nsegs = item + 1;
	return (1);
}

/* The header of one fragment into buf[h->len]. */
static void
own_header(const struct slot *t, uint8_t *buf, int index)
{
	struct ge_hdr h = t->h;

	memcpy(buf, t->header, h.share);
	h.index = index;
	if (h.mode != GE_PLAIN) {
		h.has_share = 1;
		memcpy(buf + h.share, t->shares[index], GE_KEY);
	}
	ge_hdr_write(buf, &h);
	ge_hdr_seal(buf, &h);
}

static const uint8_t *
block_of(const struct work *w, const struct slot *t, uint32_t s, int index)
{
	size_t b = ge_hdr_block(&t->h, s);

	return (index < w->s->k ?
	    stripe_data(w, t, s) + b * (size_t)index :
	    stripe_parity(w, t, s) + b * (size_t)(index - w->s->k));
}

static int
write_file(struct work *w, const struct slot *t, int index, struct ge_err *e)
{
	struct ge_file f = GE_FILE_NONE;
	struct iovec *v = NULL;
	char name[GE_FRAG_NAME], path[4096 + GE_FRAG_NAME];
	uint8_t *buf = NULL;
	uint32_t s;
	int rc = -1;

	ge_frag_name(name, t->h.setid, t->h.segment, index, 0);
	snprintf(path, sizeof(path), "%s/%s", w->s->dir, name);
	if ((buf = ge_alloc(t->h.len, e)) == NULL ||
	    (v = ge_alloc((t->h.nstripes + 1) * sizeof(*v), e)) == NULL)
		goto out;
	own_header(t, buf, index);
	v[0].iov_base = buf;
	v[0].iov_len = t->h.len;
	for (s = 0; s < t->h.nstripes; s++) {
		v[s + 1].iov_base =
		    (void *)(uintptr_t)block_of(w, t, s, index);
		v[s + 1].iov_len = ge_hdr_block(&t->h, s);
	}
	if (ge_file_open(&f, path, GE_OVER_NOTHING, e) == -1)
		goto out;
	if (ge_writev(f.fd, v, t->h.nstripes + 1, e) == -1) {
		ge_within(e, "'%s'", path);
		goto out;
	}
	rc = ge_file_commit(&f, GE_OVER_NOTHING, e);
out:
	ge_file_release(&f);
	ge_free(v);
	if (buf != NULL)
		ge_wipe(buf, t->h.len);
	ge_free(buf);
	return (rc);
}

static int
write_entry(struct work *w, const struct slot *t, int index, struct ge_err *e)
{
	char name[GE_FRAG_NAME];
	uint8_t *buf;
	uint32_t s;
	int rc = -1;

	ge_frag_name(name, t->h.setid, t->h.segment, index, 0);
	if ((buf = ge_alloc(t->h.len, e)) == NULL)
		return (-1);
	own_header(t, buf, index);
	if (ge_tar_entry(w->tar, name, t->h.fraglen, e) == -1 ||
	    ge_tar_add(w->tar, buf, t->h.len, e) == -1)
		goto out;
	for (s = 0; s < t->h.nstripes; s++)
		if (ge_tar_add(w->tar, block_of(w, t, s, index),
		    ge_hdr_block(&t->h, s), e) == -1)
			goto out;
	rc = 0;
out:
	ge_wipe(buf, t->h.len);
	ge_free(buf);
	return (rc);
}

static int
write_one(void *arg, size_t index, int worker, struct ge_err *e)
{
	struct work *w = arg;
	const struct slot *t = &w->slot[w->placed % (size_t)w->nslots];

	(void)worker;
	return (write_file(w, t, (int)index, e));
}

static int
write_segment(void *arg, size_t item, size_t slot, struct ge_err *e)
{
	struct work *w = arg;
	const struct slot *t = &w->slot[slot];
	int i;

	if (w->tar != NULL) {
		for (i = 0; i < w->s->n; i++)
			if (write_entry(w, t, i, e) == -1)
				return (ge_within(e, "output"));
	} else {
		w->placed = item;
		if (ge_par_each(w->s->jobs, (size_t)w->s->n, write_one, w, e) ==
		    -1)
			return (-1);
	}
	w->s->stored += (uint64_t)w->s->n * t->h.fraglen;
	return (ge_hook_tick(t->h.ulen, e) == -1 ? -1 : 1);
}

/* The set's identity: id, K_rcp and its wraps, in this order of drawing. */
static int
draw_set(struct work *w, struct ge_err *e)
{
	struct ge_split *o = w->s;
	uint8_t *rcp = w->secret[S_RCP], own[GE_KEY];
	int i, rc = -1;

	if (ge_random(o->setid, GE_SETID, e) == -1)
		return (-1);
	if (o->pass == NULL && o->nrecipients == 0)
		return (0);
	if (ge_random(rcp, GE_KEY, e) == -1)
		return (-1);
	if (o->pass != NULL) {
		if (ge_random(own, GE_KEY, e) == -1 ||
		    ge_wrap_seal_pass(w->wraps, o->setid, o->pass, o->passlen,
		    own, GE_PASS_LOGN, rcp, e) == -1)
			goto out;
	}
	for (i = 0; i < o->nrecipients; i++)
		if (ge_random(own, GE_KEY, e) == -1 ||
		    ge_wrap_seal_x25519(w->wraps + GE_WRAP * (size_t)i,
		    o->setid, o->recipient[i], own, rcp, e) == -1)
			goto out;
	rc = 0;
out:
	ge_wipe(own, sizeof(own));
	return (rc);
}

static int
open_output(struct work *w, struct ge_err *e)
{
	char id[2 * GE_SETID + 1];
	size_t len;

	if (w->s->dir == NULL) {
		if ((w->tar = ge_tar_open(w->s->out, e)) == NULL)
			return (-1);
		return (0);
	}
	len = strlen(w->s->dir) + 1 + sizeof(id);
	if (len > 4096)
		return (ge_fail(e, GE_EUSAGE, "'%.60s...': name too long",
		    w->s->dir));
	if ((w->setdir = ge_alloc(len, e)) == NULL)
		return (-1);
	snprintf(w->setdir, len, "%s/%s", w->s->dir,
	    ge_hex(id, w->s->setid, GE_SETID));
	if (ge_dir_make(w->setdir, e) == -1)
		return (-1);
	return (ge_dir_sync(w->s->dir, e));
}

static int
write_manifest(struct work *w, struct ge_err *e)
{
	struct ge_split *o = w->s;
	struct ge_manifest m;
	struct ge_file f = GE_FILE_NONE;
	char name[GE_FRAG_NAME], id[2 * GE_SETID + 1];
	char path[4096 + GE_FRAG_NAME], label[GE_NAME_ROOM], *text = NULL;
	size_t len;
	int i, rc = -1;

	memset(&m, 0, sizeof(m));
	memcpy(m.setid, o->setid, GE_SETID);
	m.mode = o->mode;
	m.k = o->k;
	m.n = o->n;
	m.block = o->block;
	m.nrecipients = o->pass != NULL ? 1 : o->nrecipients;
	for (i = 0; i < m.nrecipients; i++)
		m.recipient[i] = o->pass != NULL ? GE_WRAP_PASS :
		    GE_WRAP_X25519;
	m.nsegments = w->nsegs;
	m.segment = w->segs;
	if (o->name != NULL) {
		if (ge_percent(label, sizeof(label), o->name,
		    strlen(o->name), 1) == -1) {
			ge_fail(e, GE_EUSAGE, "label too long");
			goto out;
		}
		m.name = label;
	}
	if (ge_manifest_write(&m, o->signkey, &text, &len, e) == -1)
		goto out;
	memcpy(o->digest, m.digest, 32);
	o->length = m.length;
	o->nsegments = m.nsegments;
	o->stored += len;
	snprintf(name, sizeof(name), "%s/manifest",
	    ge_hex(id, o->setid, GE_SETID));
	if (w->tar != NULL) {
		if (ge_tar_entry(w->tar, name, len, e) == -1 ||
		    ge_tar_add(w->tar, text, len, e) == -1) {
			ge_within(e, "output");
			goto out;
		}
		rc = ge_tar_close(w->tar, e);
		w->tar = NULL;
		if (rc == -1)
			ge_within(e, "output");
		goto out;
	}
	snprintf(path, sizeof(path), "%s/%s", o->dir, name);
	if (ge_file_open(&f, path, GE_OVER_NOTHING, e) == -1)
		goto out;
	if (ge_write(f.fd, text, len, e) == -1) {
		ge_within(e, "'%s'", path);
		goto out;
	}
	rc = ge_file_commit(&f, GE_OVER_NOTHING, e);
out:
	ge_file_release(&f);
	ge_free(text);
	return (rc);
}

/* Leave nothing of a set that did not come to its end. */
static void
unplace(struct work *w)
{
	char name[GE_FRAG_NAME], path[4096 + GE_FRAG_NAME];
	uint64_t seg;
	int i;

	if (w->setdir == NULL)
		return;
	snprintf(path, sizeof(path), "%s/manifest", w->setdir);
	(void)unlink(path);
	for (seg = w->placed + 1; seg-- > 0;)
		for (i = 0; i < w->s->n; i++) {
			ge_frag_name(name, w->s->setid, (uint32_t)seg, i, 0);
			snprintf(path, sizeof(path), "%s/%s", w->s->dir, name);
			(void)unlink(path);
		}
	(void)rmdir(w->setdir);
}

static int
prepare(struct work *w, struct ge_err *e)
{
	struct ge_split *o = w->s;
	size_t full = (size_t)o->stripes * o->block;
	struct ge_hdr biggest;
	struct slot *t;
	int i;

	memset(&biggest, 0, sizeof(biggest));
	biggest.mode = o->mode;
	biggest.k = o->k;
	biggest.n = o->n;
	biggest.block = o->block;
	biggest.nwraps = o->pass != NULL ? 1 : (uint32_t)o->nrecipients;
	biggest.clen = (uint32_t)((size_t)o->stripes * ((size_t)o->k *
	    o->block - (o->mode == GE_PLAIN ? 0 : GE_TAG)));
	ge_hdr_layout(&biggest);

	if (ge_rs_init(&w->rs, o->k, o->n, e) == -1 ||
	    (w->secret = ge_secret_alloc((S_COEF + (size_t)o->k) * GE_KEY,
	    e)) == NULL ||
	    (w->wraps = ge_alloc(GE_WRAP * GE_WRAPS_MAX, e)) == NULL ||
	    (w->aead = ge_alloc((size_t)o->jobs * sizeof(*w->aead), e)) == NULL)
		return (-1);
	for (i = 0; i < o->jobs; i++)
		if ((w->aead[i] = ge_aead_new(e)) == NULL)
			return (-1);
	/* Before the big buffers: scrypt takes 256 MiB for itself. */
	if (draw_set(w, e) == -1)
		return (-1);
	for (t = w->slot; t < w->slot + w->nslots; t++)
		if ((t->data = ge_block_alloc(full * (size_t)o->k, e)) == NULL ||
		    (t->parity = ge_block_alloc(full * (size_t)(o->n - o->k),
		    e)) == NULL ||
		    (t->header = ge_alloc(biggest.len, e)) == NULL ||
		    (t->shares = ge_secret_alloc((size_t)o->n * GE_KEY, e)) ==
		    NULL)
			return (-1);
	if (o->deflate) {
		size_t chunks = full * (size_t)o->k / DEFLATE_CHUNK + 1;

		if ((w->deflated = ge_block_alloc(chunks * DEFLATE_ROOM,
		    e)) == NULL ||
		    (w->chunklen = ge_alloc(chunks * sizeof(size_t), e)) ==
		    NULL)
			return (-1);
	}
	return (0);
}

int
ge_split_run(struct ge_split *o, struct ge_err *e)
{
	struct work w;
	struct ge_pipe pipe = {
		.nstages = 3,
		.stage = { read_segment, work_segment, write_segment },
		.arg = &w
	};
	struct slot *t;
	int i, rc = -1;

	memset(&w, 0, sizeof(w));
	w.s = o;
	size_up(&w);
	/*
	 * A file is read by those who work on it; compression needs a buffer
	 * more: one slot less.
	 */
	w.nslots = o->jobs == 1 ? 1 :
	    o->deflate || w.sure > 0 ? SLOTS - 1 : SLOTS;
	pipe.nslots = (size_t)w.nslots;
	o->stored = 0;
	if (2 * o->k <= o->n)
		ge_note(GE_WARN, "k is not more than half of n: without a "
		    "manifest, digest or signer to go by, forged fragments "
		    "can make this set unreadable");
	if (prepare(&w, e) == -1 || open_output(&w, e) == -1)
		goto out;
	if (ge_pipe_run(&pipe, o->jobs > 1, e) == -1)
		goto out;
	rc = write_manifest(&w, e);
out:
	ge_tar_abort(w.tar);
	if (rc == -1)
		unplace(&w);
	for (t = w.slot; t < w.slot + w.nslots; t++) {
		ge_block_free(t->data);
		ge_block_free(t->parity);
		ge_free(t->header);
		if (t->shares != NULL)
			ge_secret_free(t->shares, (size_t)o->n * GE_KEY);
	}
	for (i = 0; w.aead != NULL && i < o->jobs; i++)
		ge_aead_free(w.aead[i]);
	ge_free(w.aead);
	if (w.secret != NULL)
		ge_secret_free(w.secret, (S_COEF + (size_t)o->k) * GE_KEY);
	ge_rs_release(&w.rs);
	ge_block_free(w.deflated);
	ge_free(w.chunklen);
	ge_free(w.wraps);
	ge_free(w.segs);
	ge_free(w.setdir);
	return (rc);
}
