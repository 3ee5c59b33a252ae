#define _GNU_SOURCE		/* fallocate */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frag/frag.h"
#include "frag/pile_int.h"
#include "frag/source_int.h"
#include "seal/seal.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

enum {
	POOL_MAX = 96 << 20		/* payloads of a stream kept in memory */
};

struct ge_pile *
ge_pile_new(int flags, const struct ge_pins *pins, struct ge_err *e)
{
	struct ge_pile *p;

	if ((p = ge_alloc(sizeof(*p), e)) == NULL)
		return (NULL);
	p->flags = flags;
	p->pins = pins;
	p->in = (struct ge_inputs)GE_INPUTS_NONE;
	p->spool = -1;
	return (p);
}

static void
frag_release(struct ge_frag *f)
{

	ge_frag_close(f);
	if (f->share != NULL) {
		ge_wipe(f->share, GE_KEY);
		ge_free(f->share);
	}
	ge_free(f->path);
}

static void
set_release(struct ge_set *set)
{
	size_t s, g, f;

	for (s = 0; s < set->nsegs; s++) {
		struct ge_seg *seg = set->seg[s];

		for (g = 0; g < seg->ngroups; g++) {
			for (f = 0; f < seg->group[g].nfrags; f++)
				frag_release(&seg->group[g].frag[f]);
			ge_free(seg->group[g].frag);
			ge_free(seg->group[g].record);
		}
		ge_free(seg->group);
		ge_free(seg);
	}
	ge_free(set->seg);
}

void
ge_pile_free(struct ge_pile *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->nsets; i++)
		set_release(&p->set[i]);
	for (i = 0; i < p->nfound; i++)
		ge_manifest_release(&p->found[i].m);
	for (i = 0; i < p->nlost; i++)
		ge_free(p->lost[i].path);
	for (i = 0; i < p->nbuffers; i++)
		ge_block_free(p->buffer[i].buf);
	for (i = 0; i < p->nsites; i++)
		ge_free(p->site[i]);
	ge_inputs_release(&p->in);
	if (p->spool != -1)
		close(p->spool);
	ge_room_release(&p->hdr);
	ge_free(p->set);
	ge_free(p->found);
	ge_free(p->lost);
	ge_free(p->buffer);
	ge_free(p->site);
	ge_free(p);
}

struct ge_set *
ge_pile_set(struct ge_pile *p, const uint8_t id[GE_SETID])
{
	size_t i;

	for (i = 0; i < p->nsets; i++)
		if (memcmp(p->set[i].id, id, GE_SETID) == 0)
			return (&p->set[i]);
	return (NULL);
}

/* Where segment `number` stands, or would stand, in set->seg. */
static size_t
place(const struct ge_set *set, uint32_t number)
{
	size_t lo = 0, hi = set->nsegs, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (set->seg[mid]->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo);
}

struct ge_seg *
ge_set_seg(const struct ge_set *set, uint32_t number)
{
	size_t i = place(set, number);

	return (i < set->nsegs && set->seg[i]->number == number ?
	    set->seg[i] : NULL);
}

int
ge_pile_unread(const struct ge_pile *p)
{
	const struct ge_seg *seg;
	size_t i, s, g, f;

	if (p->nunreachable > 0)
		return (1);
	for (i = 0; i < p->nsets; i++)
		for (s = 0; s < p->set[i].nsegs; s++) {
			seg = p->set[i].seg[s];
			for (g = 0; g < seg->ngroups; g++)
				for (f = 0; f < seg->group[g].nfrags; f++)
					if (seg->group[g].frag[f].unreadable)
						return (1);
		}
	return (0);
}

const char *
ge_pile_site(const struct ge_pile *p, const struct ge_frag *f)
{

	return (f == NULL ? "-" : p->site[f->site]);
}

static struct ge_seg *
take_seg(struct ge_pile *p, const struct ge_hdr *h, struct ge_err *e)
{
	struct ge_set *set;
	struct ge_seg *seg;
	size_t i;

	if ((set = ge_pile_set(p, h->setid)) == NULL) {
		if (ge_grow(&p->set, &p->capsets, p->nsets + 1,
		    sizeof(*p->set), e) == -1)
			return (NULL);
		set = &p->set[p->nsets++];
		memset(set, 0, sizeof(*set));
		memcpy(set->id, h->setid, GE_SETID);
	}
	if ((seg = ge_set_seg(set, h->segment)) != NULL)
		return (seg);
	if (ge_grow(&set->seg, &set->capsegs, set->nsegs + 1,
	    sizeof(struct ge_seg *), e) == -1 ||
	    (seg = ge_alloc(sizeof(*seg), e)) == NULL)
		return (NULL);
	seg->number = h->segment;
	i = place(set, h->segment);
	memmove(&set->seg[i + 1], &set->seg[i],
	    (set->nsegs - i) * sizeof(struct ge_seg *));
	set->seg[i] = seg;
	set->nsegs++;
	return (seg);
}

static struct ge_group *
take_group(struct ge_seg *seg, const struct ge_hdr *h, const uint8_t *buf,
    struct ge_err *e)
{
	uint8_t dh[32], root[32];
	struct ge_group *g;
	struct ge_sha256 sha;
	size_t i;

	ge_hash_descriptor(dh, h, buf);
	ge_hash_root(root, h, buf, dh);
	for (i = 0; i < seg->ngroups; i++)
		if (memcmp(seg->group[i].root, root, 32) == 0)
			return (&seg->group[i]);
	if (ge_grow(&seg->group, &seg->capgroups, seg->ngroups + 1,
	    sizeof(*seg->group), e) == -1)
		return (NULL);
	g = &seg->group[seg->ngroups++];
	memset(g, 0, sizeof(*g));
	memcpy(g->root, root, 32);
	memcpy(g->dh, dh, 32);
	g->h = *h;
	g->h.index = g->h.has_share = g->h.epoch = 0;
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, buf, 36);
	ge_sha256_add(&sha, buf + h->wraps, GE_WRAP * (size_t)h->nwraps);
	ge_sha256_end(&sha, g->setkey);
	return (g);
}

static int
take_record(struct ge_group *g, const struct ge_hdr *h, const uint8_t *buf,
    uint32_t *record, struct ge_err *e)
{
	uint8_t id[32] = { 0 }, epoch = (uint8_t)h->epoch;
	struct ge_sha256 sha;
	uint32_t i;

	if (h->mode != GE_PLAIN) {
		ge_sha256_init(&sha);
		ge_sha256_add(&sha, &epoch, 1);
		ge_sha256_add(&sha, buf + h->records, 32 * (size_t)h->n);
		ge_sha256_end(&sha, id);
	}
	for (i = 0; i < g->nrecords; i++)
		if (memcmp(g->record[i].id, id, 32) == 0)
			break;
	if (i == g->nrecords) {
		if (ge_grow(&g->record, &g->caprecords, g->nrecords + 1,
		    sizeof(*g->record), e) == -1)
			return (-1);
		memset(&g->record[i], 0, sizeof(g->record[i]));
		memcpy(g->record[i].id, id, 32);
		g->record[i].epoch = h->epoch;
		g->nrecords++;
	}
	*record = i;
	return (0);
}

/*
 * Put a fragment with the checked header at buf where it belongs.  The caller
 * fills in where it lies.  NULL without memory.
 */
static struct ge_frag *
take_frag(struct ge_pile *p, const struct ge_hdr *h, const uint8_t *buf,
    int site, struct ge_seg **segp, struct ge_err *e)
{
	struct ge_seg *seg;
	struct ge_group *g;
	struct ge_frag *f;
	uint32_t record;

	if ((seg = take_seg(p, h, e)) == NULL ||
	    (g = take_group(seg, h, buf, e)) == NULL ||
	    take_record(g, h, buf, &record, e) == -1 ||
	    ge_grow(&g->frag, &g->capfrags, g->nfrags + 1, sizeof(*g->frag),
	    e) == -1)
		return (NULL);
	f = &g->frag[g->nfrags++];
	memset(f, 0, sizeof(*f));
	f->fd = -1;
	f->site = site;
	f->index = (uint8_t)h->index;
	f->epoch = (uint8_t)h->epoch;
	f->has_share = (uint8_t)h->has_share;
	f->record = record;
	if ((p->flags & GE_PILE_NOSHARES) == 0)
		f->share_ok = (uint8_t)ge_share_valid(h, buf, g->dh);
	g->indices |= (uint64_t)1 << h->index;
	if (ge_popcount(g->indices) >= h->k)
		ge_pile_set(p, h->setid)->viable = 1;
	g->record[record].carried |= (uint64_t)1 << h->index;
	if (f->share_ok)
		g->record[record].valid |= (uint64_t)1 << h->index;
	*segp = seg;
	return (f);
}

static int
take_manifest(struct ge_pile *p, const uint8_t *buf, size_t len, int named,
    const char *path, struct ge_err *e)
{
	struct ge_manifest m;

	if (!named && p->pins != NULL && !p->pins->has_signer &&
	    !p->pins->has_digest)
		return (0);
	if (ge_manifest_parse(&m, buf, len, e) == 0) {
		if (!named && p->pins != NULL &&
		    !ge_manifest_counts(&m, p->pins)) {
			ge_manifest_release(&m);
			return (0);
		}
		/* The array moves only when its number shows it. */
		if (ge_grow(&p->found, &p->capfound, p->nfound + 1,
		    sizeof(*p->found), e) == -1) {
			ge_manifest_release(&m);
			return (-1);
		}
		p->found[p->nfound].m = m;
		p->found[p->nfound++].named = named;
		return (0);
	}
	ge_manifest_release(&m);
	ge_within(e, "'%s'", path);
	if (named || e->code != GE_EREFUSED)
		return (-1);
	ge_note(GE_SAY, "%s", e->msg);
	return (0);
}

int
ge_pile_manifest(struct ge_pile *p, const char *path, struct ge_err *e)
{
	uint8_t *buf;
	size_t len;
	int rc;

	if (ge_slurp(path, GE_MANIFEST_MAX, &buf, &len, e) == -1)
		return (-1);
	rc = take_manifest(p, buf, len, 1, path, e);
	ge_free(buf);
	return (rc);
}

static int
note_lost(struct ge_pile *p, const char *path, int site, struct ge_err *e)
{
	int gone = e->sys == ENOENT || e->sys == ENOTDIR;
	char why[128];

	snprintf(why, sizeof(why), "%s", e->sys != 0 ? strerror(e->sys) :
	    "cannot be read");
	ge_note(GE_WARN, "'%s': %s", path, why);
	if (ge_grow(&p->lost, &p->caplost, p->nlost + 1, sizeof(*p->lost), e) ==
	    -1 || (p->lost[p->nlost].path = ge_strdup(path, e)) == NULL)
		return (-1);
	memcpy(p->lost[p->nlost].why, why, sizeof(why));
	p->lost[p->nlost].site = site;
	p->lost[p->nlost].gone = gone;
	p->nlost++;
	p->nunreachable += !gone;
	return (0);
}

static void
note_stray(struct ge_pile *p, const char *path, const struct ge_err *why)
{

	p->nstrays++;
	ge_note(GE_WARN, "'%s': %s", path, why->msg);
}

/*
 * One regular file.  `named` by the user it may be an archive, and is worth a
 * word if it is nothing.
 */
static int
add_file(struct ge_pile *p, const char *path, int site, int named,
    struct ge_err *e)
{
	struct ge_hdr h;
	struct ge_frag *f;
	struct ge_seg *seg;
	uint8_t *buf = NULL;
	uint64_t size;
	size_t got, len;
	int fd, kind, whole = 0, rc = -1;

	kind = ge_file_probe(path, &p->hdr, &got, &fd, &size, e);
	if (kind == -1) {
		rc = e->sys != 0 ? note_lost(p, path, site, e) : -1;
	} else if (kind == GE_KIND_OTHER) {
		if (!named)
			ge_note(GE_DETAIL, "'%s': ignored", path);
		rc = named ? ge_inputs_add(&p->in, path, site, e) : 0;
	} else if (kind == GE_KIND_MANIFEST) {
		if (ge_slurp(path, GE_MANIFEST_MAX, &buf, &len, e) == -1)
			/* Unreadable; too long to be one; or no memory. */
			rc = e->sys != 0 ? note_lost(p, path, site, e) :
			    e->code == GE_EUSAGE ? 0 : -1;
		else
			rc = take_manifest(p, buf, len, 0, path, e);
	} else {
		/* An auditor who must not read shares does not fetch them. */
		whole = ge_file_header(fd, got, &h, &p->hdr,
		    (p->flags & GE_PILE_NOSHARES) != 0, e);
		if (whole == 0) {
			note_stray(p, path, e);
			rc = 0;
		}
		if (whole == -1)
			rc = e->sys != 0 ? note_lost(p, path, site, e) : -1;
	}
	if (whole != 1)
		goto out;
	if ((buf = (uint8_t *)ge_strdup(path, e)) == NULL ||
	    (f = take_frag(p, &h, p->hdr.buf, site, &seg, e)) == NULL)
		goto out;
	f->path = (char *)buf;
	f->size = size;
	buf = NULL;
	rc = 0;
out:
	if (whole == 1)
		ge_wipe(p->hdr.buf + h.share, h.len - h.share);
	ge_free(buf);
	if (fd != -1)
		close(fd);
	return (rc);
}

/* For ge_walk: the operand that was added last. */
static int
walked_file(void *arg, const char *path, struct ge_err *e)
{
	struct ge_pile *p = arg;

	return (add_file(p, path, (int)p->nsites - 1, 0, e));
}

static int
walked_lost(void *arg, const char *path, struct ge_err *e)
{
	struct ge_pile *p = arg;

	return (note_lost(p, path, (int)p->nsites - 1, e));
}

int
ge_pile_add(struct ge_pile *p, const char *path, struct ge_err *e)
{
	const struct ge_walk walk = { walked_file, walked_lost, p };
	struct stat st;
	int site = (int)p->nsites;

	if (ge_grow(&p->site, &p->capsites, p->nsites + 1, sizeof(*p->site),
	    e) == -1 || (p->site[p->nsites] = ge_strdup(path, e)) == NULL)
		return (-1);
	p->nsites++;
	if (strcmp(path, "-") == 0 && (p->flags & GE_PILE_DIRS) == 0) {
		p->usable++;
		return (ge_inputs_add(&p->in, path, site, e));
	}
	if (stat(path, &st) == -1) {
		ge_failsys(e, "'%s'", path);
		/* A host that burnt down is no reason to give up. */
		if ((p->flags & GE_PILE_DIRS) == 0)
			return (note_lost(p, path, site, e));
		e->code = GE_EUSAGE;
		return (-1);
	}
	if ((p->flags & GE_PILE_DIRS) != 0 && !S_ISDIR(st.st_mode))
		return (ge_fail(e, GE_EUSAGE, "'%s': not a folder", path));
	p->usable++;
	return (S_ISDIR(st.st_mode) ? ge_walk(&walk, path, e) :
	    add_file(p, path, site, 1, e));
}

/* A buffer of len bytes for a payload, or NULL with no error: use the spool. */
static uint8_t *
hold(struct ge_pile *p, size_t len, struct ge_err *e)
{
	struct ge_buffer *b;
	size_t i;

	for (i = 0; i < p->nbuffers; i++) {
		b = &p->buffer[i];
		if (!b->used && b->cap >= len && b->cap / 2 <= len) {
			b->used = 1;
			return (b->buf);
		}
	}
	if (len > POOL_MAX || p->held > POOL_MAX - len ||
	    ge_grow(&p->buffer, &p->capbuffers, p->nbuffers + 1,
	    sizeof(*p->buffer), e) == -1)
		return (NULL);
	b = &p->buffer[p->nbuffers];
	if ((b->buf = ge_block_alloc(len, e)) == NULL)
		return (NULL);
	b->cap = len;
	b->used = 1;
	p->nbuffers++;
	p->held += len;
	return (b->buf);
}

static void
unhold(struct ge_pile *p, const uint8_t *buf)
{
	size_t i;

	for (i = 0; i < p->nbuffers; i++)
		if (p->buffer[i].buf == buf)
			p->buffer[i].used = 0;
}

void
ge_pile_drop(struct ge_pile *p, struct ge_seg *seg)
{
	struct ge_frag *f;
	size_t g, i;

	for (g = 0; g < seg->ngroups; g++)
		for (i = 0; i < seg->group[g].nfrags; i++) {
			f = &seg->group[g].frag[i];
			if (f->path != NULL)
				continue;
			if (f->mem != NULL)
				unhold(p, f->mem);
#ifdef FALLOC_FL_PUNCH_HOLE
			else if (!f->dropped)
				(void)fallocate(p->spool, FALLOC_FL_PUNCH_HOLE |
				    FALLOC_FL_KEEP_SIZE, (off_t)f->off,
				    (off_t)f->size);
#endif
			f->mem = NULL;
			f->dropped = 1;
			if (f->share != NULL)
				ge_wipe(f->share, GE_KEY);
			ge_free(f->share);
			f->share = NULL;
		}
}

/*
 * Copy what is left of the entry to the spool, *size counts; no more than
 * `most`, for an entry may be as long as it likes.
 */
static int
spool(struct ge_pile *p, uint64_t *size, uint64_t most, struct ge_err *e)
{
	enum { CHUNK = 256 << 10 };
	uint8_t *buf;
	size_t got, want;
	int rc = -1;

	if ((buf = ge_block_alloc(CHUNK, e)) == NULL)
		return (-1);
	do {
		want = most - *size < CHUNK ? (size_t)(most - *size) : CHUNK;
		if (ge_untar_read(p->in.untar, buf, want, &got, e) == -1)
			goto out;
		if (ge_pwrite(p->spool, buf, got, p->spoolend, e) == -1) {
			ge_within(e, "temporary file");
			goto out;
		}
		p->spoolend += got;
		*size += got;
		if (ge_hook_tick(0, e) == -1)
			goto out;
	} while (got == want && *size < most);
	rc = 0;
out:
	ge_block_free(buf);
	return (rc);
}

/*
 * A fragment of a stream, its header at p->hdr.buf.  The share stays out of the
 * spool: k of them beside the ciphertext would be the plaintext.
 */
static int
stream_frag(struct ge_pile *p, const struct ge_hdr *h, int site,
    struct ge_err *e)
{
	struct ge_frag *f;
	struct ge_seg *seg;
	uint8_t *share = NULL, *mem = NULL;
	size_t got, len = (size_t)h->fraglen;
	uint64_t off, size = h->len;

	if (h->mode != GE_PLAIN) {
		if ((share = ge_alloc(GE_KEY, e)) == NULL)
			return (-1);
		memcpy(share, p->hdr.buf + h->share, GE_KEY);
	}
	if ((f = take_frag(p, h, p->hdr.buf, site, &seg, e)) == NULL) {
		ge_free(share);
		return (-1);
	}
	f->share = share;
	f->dropped = 1;
	f->size = h->fraglen;
	p->last = h->segment;
	if (seg->released || (p->wanted != NULL && !p->wanted(p->arg, h)))
		return (0);
	if (h->mode != GE_PLAIN)
		ge_wipe(p->hdr.buf + h->share, GE_KEY);
	if (p->streaming && h->segment == p->hot) {
		e->code = 0;
		/* One byte more than there should be tells if there is more. */
		if ((mem = hold(p, len + 1, e)) == NULL && e->code != 0)
			return (-1);
	}
	if (mem != NULL) {
		memcpy(mem, p->hdr.buf, h->len);
		if (ge_untar_read(p->in.untar, mem + h->len, len + 1 - h->len,
		    &got, e) == -1)
			return (-1);
		f->mem = mem;
		f->size = h->len + got;
		f->dropped = 0;
		return (0);
	}
	if (p->spool == -1 && (p->spool = ge_spool_open(e)) == -1)
		return (-1);
	off = p->spoolend;
	if (ge_pwrite(p->spool, p->hdr.buf, h->len, off, e) == -1)
		return (ge_within(e, "temporary file"));
	p->spoolend += h->len;
	if (spool(p, &size, h->fraglen + 1, e) == -1)
		return (-1);
	f->off = off;
	f->size = size;
	f->dropped = 0;
	return (0);
}

int
ge_pile_step(struct ge_pile *p, struct ge_err *e)
{
	const struct ge_input *in;
	struct ge_hdr h;
	size_t got;
	int rc;

	if ((rc = ge_inputs_next(&p->in, e)) != 1)
		return (rc);
	in = &p->in.input[p->in.at];
	switch (ge_entry_header(p->in.untar, &h, &p->hdr, &got, e)) {
	case GE_KIND_FRAGMENT:
		rc = stream_frag(p, &h, in->site, e);
		break;
	case GE_KIND_MANIFEST:
		if ((rc = ge_entry_manifest(p->in.untar, &p->hdr, &got, e)) !=
		    -1)
			rc = take_manifest(p, p->hdr.buf, got, 0, in->what, e);
		break;
	case GE_KIND_STRAY:
		note_stray(p, in->what, e);
		/* FALLTHROUGH */
	case GE_KIND_OTHER:
		rc = 0;
		break;
	default:
		rc = -1;
	}
	return (rc == -1 ? -1 : 1);
}

int
ge_frag_open(struct ge_frag *f, struct ge_err *e)
{

	if (f->path == NULL)
		return (f->dropped ? ge_fail(e, GE_EFAIL, "not kept") : 0);
	if (f->fd == -1 && (f->fd = open(f->path, O_RDONLY | O_CLOEXEC |
	    O_NONBLOCK | O_NOCTTY)) == -1)
		return (ge_failsys(e, "'%s'", f->path));
	return (0);
}

void
ge_frag_close(struct ge_frag *f)
{

	if (f->fd != -1)
		close(f->fd);
	f->fd = -1;
}

int
ge_group_open(struct ge_group *g)
{
	uint64_t open_now = 0;
	struct ge_err e;
	size_t i;
	int failed = 0;

	for (i = 0; i < g->nfrags; i++) {
		struct ge_frag *f = &g->frag[i];

		if (f->path == NULL || f->unreadable ||
		    (open_now >> f->index & 1) != 0)
			continue;
		if (ge_frag_open(f, &e) == 0) {
			open_now |= (uint64_t)1 << f->index;
		} else if (e.sys != EMFILE && e.sys != ENFILE) {
			ge_note(GE_WARN, "%s", e.msg);
			f->unreadable = 1;
			failed += e.sys != ENOENT;
		}
	}
	return (failed);
}

void
ge_group_close(struct ge_group *g)
{
	size_t i;

	for (i = 0; i < g->nfrags; i++)
		ge_frag_close(&g->frag[i]);
}

/* From a file that is not open: the second copies of an index. */
static int
read_closed(const struct ge_frag *f, uint64_t off, void *buf, size_t len,
    size_t *got, struct ge_err *e)
{
	int fd, rc;

	if ((fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	    O_NOCTTY)) == -1)
		return (ge_failsys(e, "'%s'", f->path));
	if ((rc = ge_pread(fd, buf, len, off, got, e)) == -1)
		ge_within(e, "'%s'", f->path);
	close(fd);
	return (rc);
}

int
ge_frag_read(const struct ge_pile *p, const struct ge_frag *f, uint64_t off,
    void *buf, size_t len, size_t *got, struct ge_err *e)
{

	if (f->path != NULL) {
		if (f->fd == -1)
			return (read_closed(f, off, buf, len, got, e));
		if (ge_pread(f->fd, buf, len, off, got, e) == -1)
			return (ge_within(e, "'%s'", f->path));
		return (0);
	}
	*got = off >= f->size ? 0 : f->size - off < len ?
	    (size_t)(f->size - off) : len;
	if (f->mem != NULL) {
		memcpy(buf, f->mem + off, *got);
		return (0);
	}
	if (ge_pread(p->spool, buf, *got, f->off + off, got, e) == -1)
		return (ge_within(e, "temporary file"));
	return (0);
}

int
ge_frag_header(const struct ge_pile *p, const struct ge_group *g,
    struct ge_frag *f, uint8_t *buf, struct ge_err *e)
{
	size_t want = (p->flags & GE_PILE_NOSHARES) != 0 ? g->h.share :
	    g->h.len;
	struct ge_hdr h;
	uint8_t dh[32], root[32];
	size_t got;

	if (f->unreadable || (f->path == NULL && f->dropped) ||
	    ge_frag_read(p, f, 0, buf, want, &got, e) == -1) {
		if (!f->unreadable && (f->path != NULL || !f->dropped)) {
			ge_note(GE_WARN, "%s", e->msg);
			f->unreadable = e->sys != EMFILE && e->sys != ENFILE;
		}
		return (0);
	}
	if (f->share != NULL)
		memcpy(buf + g->h.share, f->share, GE_KEY);
	if (ge_hdr_parse(&h, buf, got, (p->flags & GE_PILE_NOSHARES) != 0,
	    e) == -1 || h.len != g->h.len || h.index != f->index)
		return (0);
	ge_hash_descriptor(dh, &h, buf);
	ge_hash_root(root, &h, buf, dh);
	return (memcmp(root, g->root, 32) == 0);
}
