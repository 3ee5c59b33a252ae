#define _GNU_SOURCE		/* fallocate */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frag/frag.h"
#include "frag/pile_int.h"
#include "frag/stream_int.h"
#include "seal/seal.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

enum {
	POOL_MAX = 96 << 20,		/* payloads of a stream kept in memory */
	MANIFEST_MAX = 64 << 20,
	DEPTH_MAX = 32
};

static const char manifest_magic[] = "gefrag-manifest ";

struct ge_pile *
ge_pile_new(int flags, const struct ge_pins *pins, struct ge_err *e)
{
	struct ge_pile *p;

	if ((p = ge_alloc(sizeof(*p), e)) == NULL)
		return (NULL);
	p->flags = flags;
	p->pins = pins;
	p->fd = p->spool = -1;
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
	for (i = 0; i < p->ninputs; i++)
		ge_free(p->input[i].path);
	for (i = 0; i < p->nbuffers; i++)
		ge_block_free(p->buffer[i].buf);
	for (i = 0; i < p->nsites; i++)
		ge_free(p->site[i]);
	ge_untar_close(p->untar);
	if (p->fd > 0)
		close(p->fd);
	if (p->spool != -1)
		close(p->spool);
	if (p->hdr != NULL)
		ge_wipe(p->hdr, p->caphdr);
	ge_free(p->hdr);
	ge_free(p->set);
	ge_free(p->found);
	ge_free(p->lost);
	ge_free(p->input);
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
hdr_room(struct ge_pile *p, size_t len, struct ge_err *e)
{

	uint8_t *bigger;

	if (len <= p->caphdr)
		return (0);
	if ((bigger = ge_alloc(2 * len, e)) == NULL)
		return (-1);
	/* It may hold a share: no copy of it is left behind. */
	if (p->hdr != NULL) {
		memcpy(bigger, p->hdr, p->caphdr);
		ge_wipe(p->hdr, p->caphdr);
	}
	ge_free(p->hdr);
	p->hdr = bigger;
	p->caphdr = 2 * len;
	return (0);
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

	if (ge_slurp(path, MANIFEST_MAX, &buf, &len, e) == -1)
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

static int
note_input(struct ge_pile *p, const char *path, int site, struct ge_err *e)
{

	if (ge_grow(&p->input, &p->capinputs, p->ninputs + 1,
	    sizeof(*p->input), e) == -1 ||
	    (p->input[p->ninputs].path = ge_strdup(path, e)) == NULL)
		return (-1);
	p->input[p->ninputs++].site = site;
	return (0);
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
	struct stat st;
	uint8_t *buf = NULL;
	size_t got, want, len, share = 0;
	int fd, rc = -1;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1 || fstat(fd, &st) == -1) {
		ge_failsys(e, "cannot open");
		rc = note_lost(p, path, site, e);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = named ? note_input(p, path, site, e) : 0;
		goto out;
	}
	if (hdr_room(p, GE_HDR_FIXED, e) == -1)
		goto out;
	if (ge_pread(fd, p->hdr, GE_HDR_FIXED, 0, &got, e) == -1) {
		rc = note_lost(p, path, site, e);
		goto out;
	}
	if (got >= 16 && memcmp(p->hdr, manifest_magic, 16) == 0) {
		if (ge_slurp(path, MANIFEST_MAX, &buf, &len, e) == -1) {
			/* Unreadable; too long to be one; or no memory. */
			rc = e->sys != 0 ? note_lost(p, path, site, e) :
			    e->code == GE_EUSAGE ? 0 : -1;
			goto out;
		}
		rc = take_manifest(p, buf, len, 0, path, e);
		goto out;
	}
	if (got < 8 || memcmp(p->hdr, "GEFRAG1\n", 8) != 0) {
		if (!named)
			ge_note(GE_DETAIL, "'%s': ignored", path);
		rc = named ? note_input(p, path, site, e) : 0;
		goto out;
	}
	if (ge_hdr_peek(&h, p->hdr, got, e) == -1) {
		note_stray(p, path, e);
		rc = 0;
		goto out;
	}
	/* An auditor who must not read shares does not even fetch them. */
	want = (p->flags & GE_PILE_NOSHARES) != 0 ? h.share : h.len;
	if (hdr_room(p, h.len, e) == -1)
		goto out;
	share = h.mode == GE_PLAIN ? 0 : h.share;
	if (ge_pread(fd, p->hdr + got, want - got, got, &len, e) == -1) {
		rc = note_lost(p, path, site, e);
		goto out;
	}
	if (ge_hdr_parse(&h, p->hdr, got + len,
	    (p->flags & GE_PILE_NOSHARES) != 0, e) == -1) {
		note_stray(p, path, e);
		rc = 0;
		goto out;
	}
	if ((buf = (uint8_t *)ge_strdup(path, e)) == NULL ||
	    (f = take_frag(p, &h, p->hdr, site, &seg, e)) == NULL)
		goto out;
	f->path = (char *)buf;
	f->size = (uint64_t)st.st_size;
	buf = NULL;
	rc = 0;
out:
	if (p->hdr != NULL && share != 0)
		ge_wipe(p->hdr + share, GE_KEY);
	ge_free(buf);
	if (fd != -1)
		close(fd);
	return (rc);
}

static int
by_name(const void *a, const void *b)
{

	return (strcmp(*(char *const *)a, *(char *const *)b));
}

static int add_dir(struct ge_pile *p, const char *path, int site, int depth,
    struct ge_err *e);

/*
 * Names that a walk passes over: what a repair has set aside (NAME.bad, NAME.bad1,
 * ...), and what a killed program may have left where files cannot be nameless
 * (.NAME.PID-N.tmp).  Named by the user they are read like any file.
 */
static int
set_aside(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (dot == NULL)
		return (0);
	if (strncmp(dot, ".bad", 4) == 0)
		return (dot[4 + strspn(dot + 4, "0123456789")] == '\0');
	return (name[0] == '.' && strcmp(dot, ".tmp") == 0);
}

static int
add_entry(struct ge_pile *p, const char *dir, const char *name, int site,
    int depth, struct ge_err *e)
{
	size_t len = strlen(dir) + strlen(name) + 2;
	struct stat st, at;
	char *path;
	int rc = 0;

	if (set_aside(name))
		return (0);
	if ((path = ge_alloc(len, e)) == NULL)
		return (-1);
	snprintf(path, len, "%s/%s", dir, name);
	if (lstat(path, &st) == -1 || stat(path, &at) == -1) {
		/* A dangling link, or gone since the folder was read. */
		if (errno != ENOENT) {
			ge_failsys(e, "cannot open");
			rc = note_lost(p, path, site, e);
		}
	} else if (S_ISDIR(st.st_mode) || (S_ISDIR(at.st_mode) && depth == 0 &&
	    strspn(name, "0123456789abcdef") == 2 * GE_SETID &&
	    name[2 * GE_SETID] == '\0')) {
		/* A link is followed where a repair would write through it. */
		rc = add_dir(p, path, site, depth + 1, e);
	} else if (S_ISREG(at.st_mode)) {
		rc = add_file(p, path, site, 0, e);
	}
	ge_free(path);
	return (rc);
}

/* In the order of names, so that two runs see the same. */
static int
add_dir(struct ge_pile *p, const char *path, int site, int depth,
    struct ge_err *e)
{
	struct dirent *d;
	char **name = NULL;
	size_t n = 0, cap = 0, i;
	DIR *dir;
	int rc = -1;

	if (depth > DEPTH_MAX) {
		ge_note(GE_WARN, "'%s': too deep, not looked into", path);
		return (0);
	}
	if ((dir = opendir(path)) == NULL) {
		const char *base = strrchr(path, '/');

		/* Every file system has one, and it is root's. */
		if (base != NULL && strcmp(base, "/lost+found") == 0)
			return (0);
		ge_failsys(e, "cannot open");
		return (note_lost(p, path, site, e));
	}
	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (ge_grow(&name, &cap, n + 1, sizeof(*name), e) == -1 ||
		    (name[n] = ge_strdup(d->d_name, e)) == NULL)
			goto out;
		n++;
	}
	if (errno != 0) {
		ge_failsys(e, "cannot read");
		if (note_lost(p, path, site, e) == -1)
			goto out;
	}
	if (n > 0)
		qsort(name, n, sizeof(*name), by_name);
	for (i = 0; i < n; i++)
		if (add_entry(p, path, name[i], site, depth, e) == -1 ||
		    ge_hook_tick(0, e) == -1)
			goto out;
	rc = 0;
out:
	for (i = 0; i < n; i++)
		ge_free(name[i]);
	ge_free(name);
	closedir(dir);
	return (rc);
}

int
ge_pile_add(struct ge_pile *p, const char *path, struct ge_err *e)
{
	struct stat st;
	int site = (int)p->nsites;

	if (ge_grow(&p->site, &p->capsites, p->nsites + 1, sizeof(*p->site),
	    e) == -1 || (p->site[p->nsites] = ge_strdup(path, e)) == NULL)
		return (-1);
	p->nsites++;
	if (strcmp(path, "-") == 0 && (p->flags & GE_PILE_DIRS) == 0) {
		p->usable++;
		return (note_input(p, path, site, e));
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
	return (S_ISDIR(st.st_mode) ? add_dir(p, path, site, 0, e) :
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
		if (ge_untar_read(p->untar, buf, want, &got, e) == -1)
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
 * A fragment of a stream, its header at p->hdr.  The share stays out of the
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
		memcpy(share, p->hdr + h->share, GE_KEY);
	}
	if ((f = take_frag(p, h, p->hdr, site, &seg, e)) == NULL) {
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
		ge_wipe(p->hdr + h->share, GE_KEY);
	if (p->streaming && h->segment == p->hot) {
		e->code = 0;
		/* One byte more than there should be tells if there is more. */
		if ((mem = hold(p, len + 1, e)) == NULL && e->code != 0)
			return (-1);
	}
	if (mem != NULL) {
		memcpy(mem, p->hdr, h->len);
		if (ge_untar_read(p->untar, mem + h->len, len + 1 - h->len,
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
	if (ge_pwrite(p->spool, p->hdr, h->len, off, e) == -1)
		return (ge_within(e, "temporary file"));
	p->spoolend += h->len;
	if (spool(p, &size, h->fraglen + 1, e) == -1)
		return (-1);
	f->off = off;
	f->size = size;
	f->dropped = 0;
	return (0);
}

static int
stream_manifest(struct ge_pile *p, size_t got, const char *what,
    struct ge_err *e)
{
	size_t more;
	int rc;

	for (;;) {
		if (hdr_room(p, got + 65536, e) == -1)
			return (-1);
		if (ge_untar_read(p->untar, p->hdr + got, 65536, &more, e) ==
		    -1)
			return (-1);
		got += more;
		if (more < 65536 || got > MANIFEST_MAX)
			break;
	}
	rc = take_manifest(p, p->hdr, got, 0, what, e);
	return (rc);
}

static int
stream_entry(struct ge_pile *p, const struct ge_input *in, struct ge_err *e)
{
	const char *what = strcmp(in->path, "-") == 0 ? "standard input" :
	    in->path;
	struct ge_hdr h;
	size_t got, more;

	if (hdr_room(p, GE_HDR_FIXED, e) == -1 ||
	    ge_untar_read(p->untar, p->hdr, GE_HDR_FIXED, &got, e) == -1)
		return (-1);
	if (got >= 16 && memcmp(p->hdr, manifest_magic, 16) == 0)
		return (stream_manifest(p, got, what, e));
	if (got < 8 || memcmp(p->hdr, "GEFRAG1\n", 8) != 0)
		return (0);
	if (ge_hdr_peek(&h, p->hdr, got, e) == -1) {
		note_stray(p, what, e);
		return (0);
	}
	if (hdr_room(p, h.len, e) == -1 || ge_untar_read(p->untar,
	    p->hdr + got, h.len - got, &more, e) == -1)
		return (-1);
	if (ge_hdr_parse(&h, p->hdr, got + more, 0, e) == -1) {
		note_stray(p, what, e);
		return (0);
	}
	return (stream_frag(p, &h, in->site, e));
}

int
ge_pile_step(struct ge_pile *p, struct ge_err *e)
{
	struct ge_input *in;
	int rc;

	for (; p->atinput < p->ninputs; p->atinput++) {
		in = &p->input[p->atinput];
		if (p->untar == NULL) {
			if (strcmp(in->path, "-") == 0) {
				p->fd = 0;
			} else if ((p->fd = open(in->path,
			    O_RDONLY | O_CLOEXEC | O_NOCTTY)) == -1) {
				ge_failsys(e, "cannot open '%s'", in->path);
				return (-1);
			}
			p->untar = ge_untar_open(p->fd, p->fd == 0 ?
			    "standard input" : in->path, e);
			if (p->untar == NULL)
				return (-1);
		}
		if ((rc = ge_untar_next(p->untar, e)) == -1)
			return (-1);
		if (rc == 1)
			return (stream_entry(p, in, e) == -1 ? -1 : 1);
		ge_untar_close(p->untar);
		p->untar = NULL;
		if (p->fd > 0)
			close(p->fd);
		p->fd = -1;
	}
	return (0);
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
