#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/sha256.h"

/*
 * Segments are fetched some at a time, each from the k places that promise to be
 * done soonest.  What a site promises is learned from what it has done, also from
 * what is still under way: when another index would be here long before one that
 * crawls, both are asked for, and the first counts.
 *
 * A fragment is fetched in parts into memory, or, if the segments are so large
 * that two of them would not fit, into a spool file.
 */

enum {
	SPOOL_PART = 4 << 20,
	SLOTS_MAX = 16,
	RUN_MAX = 4 << 20,		/* of a damaged stretch, mended at once */
	DOWN_AFTER = 2			/* failures in a row */
};

struct job {				/* one index of one segment */
	struct ge_slot *slot;		/* NULL: nobody waits for it any more */
	int index, epoch, site;
	size_t attempt;			/* places asked before this one */
	int headeronly, running, hedged;
	enum { JOB_ASKED, JOB_WHOLE, JOB_HURT, JOB_DEAD } state;
	int beyond;			/* hurt, and could not be mended */
	struct ge_hdr h;
	uint8_t *hdr;			/* [h.len], when it has come */
	uint8_t root[32], group[32];
	int share_ok;
	uint8_t *obj;			/* memory: the object; spool: one part */
	size_t region;			/* spool: which stretch of it */
	uint8_t *good;			/* [T] */
	uint32_t next;			/* stripe to be asked for next */
	uint32_t asked;			/* stripes under way */
	struct ge_op op;
	double began;
};

struct ge_slot {
	struct ge_want want;
	struct job *job[GE_N_MAX];	/* by index */
	int need, shares;		/* -1: not known yet */
	const struct job *model;	/* of the group that leads, or NULL */
	int done, unanswered, contradicted;
	struct ge_err why;
};

struct speed {
	double rate;			/* bytes a second; 0: not known */
	double first;			/* seconds until the first byte */
	uint64_t under_way;		/* bytes asked of it */
	int running, fails;
};

struct ge_fetch {
	const struct ge_store *st;
	const struct ge_known *kn;
	const struct ge_map *map;
	int (*next)(void *arg, struct ge_want *w);
	void *arg;
	int ended;
	struct ge_survey survey;
	int surveyed;
	struct speed *speed;		/* [sites] */
	size_t objmax, hdrmax;		/* bytes of a fragment, of its header */
	uint32_t partbytes;		/* payload of a part */
	int spool;			/* descriptor, or -1: in memory */
	size_t nslots, nbufs, bufs_out;
	int k;				/* of segments before; 0: not known */
	uint8_t **freebuf;
	size_t nfree, capfree;
	uint8_t *region;		/* [nregions] in use */
	size_t nregions;
	struct ge_slot *slot[SLOTS_MAX];	/* head first */
	size_t nopen;
	int running;
	struct ge_slot *out;		/* given to the caller */
	uint64_t received, damaged, hedged;
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec / 1e9);
}

/*
 * Sizes: with a manifest they follow from it, if nothing is compressed; else from
 * what the sites list.
 */
static int
measure(struct ge_fetch *f, struct ge_err *e)
{
	const struct ge_manifest *m = &f->kn->m;
	struct ge_hdr h;
	uint64_t i, most = 0;
	uint32_t most_u = 0;

	if (f->kn->has) {
		for (i = 0; i < m->nsegments; i++)
			if (m->segment[i].ulen > most_u)
				most_u = m->segment[i].ulen;
		memset(&h, 0, sizeof(h));
		h.mode = m->mode;
		h.k = m->k;
		h.n = m->n;
		h.block = m->block;
		h.alpha = 1;
		h.nwraps = (uint32_t)m->nrecipients;
		h.clen = most_u;
		ge_hdr_layout(&h);
		f->objmax = (size_t)h.fraglen;
		f->hdrmax = h.len;
		return (0);
	}
	if (ge_survey_run(f->st, f->kn->setid, &f->survey, e) == -1)
		return (-1);
	f->surveyed = 1;
	for (i = 0; i < f->survey.nseen; i++)
		if (f->survey.seen[i].size != GE_OP_UNKNOWN &&
		    f->survey.seen[i].size > most)
			most = f->survey.seen[i].size;
	f->hdrmax = 1 << 16;
	f->objmax = most < f->hdrmax ? f->hdrmax : most >
	    (uint64_t)2 * GE_SEGMENT_MAX ? (size_t)2 * GE_SEGMENT_MAX :
	    (size_t)most;
	return (0);
}

struct ge_fetch *
ge_fetch_new(const struct ge_store *st, const struct ge_known *kn,
    const struct ge_map *map, size_t pool,
    int (*next)(void *arg, struct ge_want *w), void *arg, struct ge_err *e)
{
	struct ge_fetch *f;
	size_t k = kn->has ? (size_t)kn->m.k : 8;

	if ((f = ge_alloc(sizeof(*f), e)) == NULL)
		return (NULL);
	f->st = st;
	f->kn = kn;
	f->map = map;
	f->next = next;
	f->arg = arg;
	f->spool = -1;
	if ((f->speed = ge_alloc(st->sites->n * sizeof(*f->speed), e)) ==
	    NULL || measure(f, e) == -1)
		goto fail;
	if (2 * k * f->objmax <= pool) {
		f->nbufs = pool / f->objmax;
		f->partbytes = UINT32_MAX;
		f->nslots = f->nbufs / k;
	} else {
		if ((f->spool = ge_spool_open(e)) == -1)
			goto fail;
		f->partbytes = SPOOL_PART;
		f->nbufs = pool / (f->hdrmax + GE_BLOCK_MAX + SPOOL_PART);
		f->nslots = 2;
		f->nregions = 4 * GE_N_MAX;
		if ((f->region = ge_alloc(f->nregions, e)) == NULL)
			goto fail;
	}
	if (f->nslots > SLOTS_MAX)
		f->nslots = SLOTS_MAX;
	return (f);
fail:
	ge_fetch_free(f);
	return (NULL);
}

static size_t
buf_size(const struct ge_fetch *f)
{

	return (f->spool == -1 ? f->objmax : f->hdrmax + GE_BLOCK_MAX +
	    SPOOL_PART);
}

static uint8_t *
buf_take(struct ge_fetch *f, struct ge_err *e)
{
	uint8_t *b;

	if (f->nfree > 0)
		b = f->freebuf[--f->nfree];
	else
		b = ge_block_alloc(buf_size(f), e);
	f->bufs_out += b != NULL;
	return (b);
}

static void
buf_give(struct ge_fetch *f, uint8_t *b)
{
	struct ge_err ignored;

	if (b == NULL)
		return;
	f->bufs_out--;
	if (ge_grow(&f->freebuf, &f->capfree, f->nfree + 1,
	    sizeof(*f->freebuf), &ignored) == -1)
		ge_block_free(b);
	else
		f->freebuf[f->nfree++] = b;
}

static void
job_free(struct ge_fetch *f, struct job *j)
{

	if (j == NULL)
		return;
	buf_give(f, j->obj);
	if (j->region > 0)
		f->region[j->region - 1] = 0;
	if (j->hdr != NULL)
		ge_wipe(j->hdr, j->h.len);
	ge_free(j->hdr);
	ge_free(j->good);
	ge_free(j);
}

/* Nobody waits for it any more; what is under way comes back some time. */
static void
job_leave(struct ge_fetch *f, struct job *j)
{

	if (j == NULL)
		return;
	j->slot = NULL;
	if (j->running)
		ge_op_cancel(f->st->net, &j->op);
	else
		job_free(f, j);
}

static void
slot_free(struct ge_fetch *f, struct ge_slot *s)
{
	int i;

	if (s == NULL)
		return;
	for (i = 0; i < GE_N_MAX; i++)
		job_leave(f, s->job[i]);
	ge_free(s);
}

/*
 * The places of an index, in the order in which they are asked: the manifest's,
 * then those that have been seen.  Returns the site, or -1 when there are no
 * more.
 */
static int
place(const struct ge_fetch *f, uint32_t segment, int index, size_t attempt,
    int *epoch)
{
	const struct ge_seen *seen;
	int at = -1;
	size_t i, n;

	*epoch = 0;
	if (f->map != NULL && segment < f->map->nsegs && index < f->map->n) {
		at = f->map->at[(size_t)segment * (size_t)f->map->n +
		    (size_t)index];
		*epoch = f->map->epoch[segment];
		if (at != -1 && attempt-- == 0)
			return (at);
	}
	if (!f->surveyed)
		return (-1);
	seen = ge_survey_find(&f->survey, segment, index, &n);
	for (i = n; i-- > 0;) {		/* the newest epoch first */
		if (seen[i].site == at && seen[i].epoch == *epoch)
			continue;
		if (attempt-- == 0) {
			*epoch = seen[i].epoch;
			return (seen[i].site);
		}
	}
	return (-1);
}

static double
typical_rate(const struct ge_fetch *f)
{
	double sum = 0;
	size_t i, n = 0;

	for (i = 0; i < f->st->sites->n; i++)
		if (f->speed[i].rate > 0) {
			sum += f->speed[i].rate;
			n++;
		}
	return (n == 0 ? 1e8 : sum / (double)n);
}

/* Seconds until `len` more bytes would be here from a site. */
static double
promise(const struct ge_fetch *f, int site, size_t len)
{
	const struct speed *s = &f->speed[site];
	double rate = s->rate > 0 ? s->rate : typical_rate(f);

	return (s->first + (double)(s->under_way + len) / rate +
	    (s->fails >= DOWN_AFTER ? 1e6 : 0) +
	    (f->st->gone[site] ? 1e7 : 0));
}

/* The index to ask for next: the soonest; -1: none left. */
static int
soonest(const struct ge_fetch *f, const struct ge_slot *s, double *seconds)
{
	double t;
	int i, best = -1, site, epoch;

	for (i = 0; i < GE_N_MAX; i++) {
		if (s->job[i] != NULL || (s->want.allowed >> i & 1) == 0)
			continue;
		if ((site = place(f, s->want.segment, i, 0, &epoch)) == -1 ||
		    (s->want.brief && f->speed[site].fails >= DOWN_AFTER))
			continue;
		t = promise(f, site, f->objmax);
		if (best == -1 || t < *seconds) {
			best = i;
			*seconds = t;
		}
	}
	return (best);
}

static void
ask(struct ge_fetch *f, struct job *j, uint64_t off, size_t len, uint8_t *buf)
{
	char id[GE_FRAG_NAME];

	memset(&j->op, 0, sizeof(j->op));
	j->op.kind = GE_OP_GET;
	j->op.site = j->site;
	snprintf(j->op.name, sizeof(j->op.name), "%s", ge_frag_name(id,
	    f->kn->setid, j->slot->want.segment, j->index, j->epoch));
	j->op.tries = f->speed[j->site].fails > 0 ? 1 : 2;
	j->op.urgent = f->nopen > 0 && j->slot == f->slot[0];
	j->op.off = off;
	j->op.len = len;
	j->op.buf = buf;
	j->op.tag = j;
	j->began = now();
	j->running = 1;
	f->running++;
	f->speed[j->site].running++;
	f->speed[j->site].under_way += len;
	ge_op_start(f->st->net, &j->op);
}

/* What is asked for first of a fragment, which brings the header. */
static size_t
first_len(const struct ge_fetch *f, const struct job *j)
{

	if (j->slot->want.blind)
		return (GE_HDR_FIXED);
	if (j->headeronly || !j->slot->want.all)
		return (f->hdrmax);
	return (f->spool != -1 && f->objmax > f->hdrmax + SPOOL_PART ?
	    f->hdrmax + SPOOL_PART : f->objmax);
}

/* Begin with an index; its first part brings the header. */
static int
job_start(struct ge_fetch *f, struct ge_slot *s, int index, int headeronly,
    struct ge_err *e)
{
	struct job *j;

	if ((j = ge_alloc(sizeof(*j), e)) == NULL)
		return (-1);
	j->slot = s;
	j->index = index;
	j->headeronly = headeronly;
	j->site = place(f, s->want.segment, index, 0, &j->epoch);
	if ((j->obj = buf_take(f, e)) == NULL) {
		job_free(f, j);
		return (-1);
	}
	s->job[index] = j;
	ask(f, j, 0, first_len(f, j), j->obj);
	return (0);
}

/* The stripes of the segment that are wanted. */
static void
stripes(const struct ge_want *w, const struct ge_hdr *h, uint32_t *first,
    uint32_t *last)
{
	uint64_t from, to;

	*first = 0;
	*last = h->nstripes - 1;	/* none: first > last after the test */
	if (w->all || (h->flags & GE_FLAG_DEFLATED) != 0 || h->nstripes == 0)
		return;
	from = w->off > h->off ? w->off - h->off : 0;
	to = w->off + w->len - h->off;
	if (to > h->ulen)
		to = h->ulen;
	*first = (uint32_t)(from / h->piece);
	*last = (uint32_t)((to - 1) / h->piece);
}

static uint64_t
block_at(const struct ge_hdr *h, uint32_t stripe)
{

	return ((uint64_t)stripe * h->block);
}

static uint64_t
run_len(const struct ge_hdr *h, uint32_t first, uint32_t n)
{

	return ((uint64_t)(n - 1) * h->block + ge_hdr_block(h, first + n - 1));
}

/* Payload of a job that is here, checked or not. */
static int
job_read(const struct ge_fetch *f, const struct job *j, uint64_t off, void *buf,
    size_t len, struct ge_err *e)
{
	size_t got;

	if (f->spool == -1) {
		memcpy(buf, j->obj + j->h.len + off, len);
		return (0);
	}
	if (ge_pread(f->spool, buf, len, (j->region - 1) *
	    (uint64_t)f->objmax + off, &got, e) == -1)
		return (ge_within(e, "spool file"));
	return (got == len ? 0 : ge_fail(e, GE_EFAIL, "spool file: cut"));
}

static int
job_write(struct ge_fetch *f, struct job *j, uint64_t off, const uint8_t *buf,
    size_t len, struct ge_err *e)
{
	size_t i;

	if (f->spool == -1) {
		if (buf != j->obj + j->h.len + off)
			memcpy(j->obj + j->h.len + off, buf, len);
		return (0);
	}
	for (i = 0; j->region == 0 && i < f->nregions; i++)
		if (!f->region[i]) {
			f->region[i] = 1;
			j->region = i + 1;
		}
	if (j->region == 0)
		return (ge_fail(e, GE_EFAIL, "spool file: no room"));
	return (ge_pwrite(f->spool, buf, len, (j->region - 1) *
	    (uint64_t)f->objmax + off, e) == -1 ?
	    ge_within(e, "spool file") : 0);
}

/* It is no use; its other places may be. */
static int
job_fail(struct ge_fetch *f, struct job *j, int unanswered, const char *why)
{
	struct ge_slot *s = j->slot;
	int site, epoch;

	ge_note(GE_SAY, "segment %lu, fragment %d: %s",
	    (unsigned long)s->want.segment, j->index, why);
	if (unanswered)
		s->unanswered = 1;
	if (j->hdr != NULL)
		ge_wipe(j->hdr, j->h.len);
	ge_free(j->hdr);
	ge_free(j->good);
	j->hdr = j->good = NULL;
	j->next = j->asked = 0;
	j->state = JOB_ASKED;
	site = place(f, s->want.segment, j->index, ++j->attempt, &epoch);
	if (site == -1 || s->want.brief) {
		j->state = JOB_DEAD;
		buf_give(f, j->obj);
		j->obj = NULL;
		return (0);
	}
	j->site = site;
	j->epoch = epoch;
	ask(f, j, 0, first_len(f, j), j->obj);
	return (0);
}

/* Group: the common header and the epoch record, by their hashes. */
static void
identify(struct job *j)
{
	uint8_t dh[32], epoch = (uint8_t)j->h.epoch;
	struct ge_sha256 sha;

	ge_hash_descriptor(dh, &j->h, j->hdr);
	ge_hash_root(j->root, &j->h, j->hdr, dh);
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, j->root, 32);
	if (j->h.mode != GE_PLAIN) {
		ge_sha256_add(&sha, &epoch, 1);
		ge_sha256_add(&sha, j->hdr + j->h.records,
		    32 * (size_t)j->h.n);
		j->share_ok = j->h.has_share &&
		    ge_share_valid(&j->h, j->hdr, dh);
	}
	ge_sha256_end(&sha, j->group);
}

/* The header has come, at the beginning of buf.  1, 0 if it is no good, -1. */
static int
take_header(struct ge_fetch *f, struct job *j, const uint8_t *buf, size_t len,
    struct ge_err *e)
{
	struct ge_hdr h;
	struct ge_err why;
	const struct ge_manifest *m = &f->kn->m;
	uint32_t seg = j->slot->want.segment;
	int blind = j->slot->want.blind;
	size_t need;

	/* A long header, of which only the beginning was asked for. */
	if (len == j->op.len && ge_hdr_peek(&h, buf, len, &why) == 0) {
		need = blind ? h.share : h.len;
		if (need > len && need <= buf_size(f)) {
			ask(f, j, 0, need, j->obj);
			return (0);
		}
	}
	if (ge_hdr_parse(&h, buf, len, blind, &why) == -1)
		return (job_fail(f, j, 0, why.msg));
	if (memcmp(h.setid, f->kn->setid, GE_SETID) != 0 || h.segment != seg ||
	    h.index != j->index)
		return (job_fail(f, j, 0, "another fragment is in its place"));
	if (h.fraglen > f->objmax)
		return (job_fail(f, j, 0, "larger than it should be"));
	if ((j->hdr = ge_alloc(h.len, e)) == NULL ||
	    (j->good = ge_alloc((size_t)h.nstripes + 1, e)) == NULL)
		return (-1);
	memcpy(j->hdr, buf, blind ? h.share : h.len);
	j->h = h;
	j->h.has_share &= !blind;
	identify(j);
	if (f->kn->has && f->kn->evidence && memcmp(j->root,
	    m->segment[seg].root, 32) != 0)
		return (job_fail(f, j, 0,
		    "its header is not what the manifest says"));
	return (1);
}

/* Blocks first..first+n-1 have come at buf, len bytes of them. */
static int
take_blocks(struct ge_fetch *f, struct job *j, uint32_t first, uint32_t n,
    const uint8_t *buf, uint64_t len, struct ge_err *e)
{
	uint8_t dh[32];
	uint32_t whole = 0, good = 0;

	while (whole < n && run_len(&j->h, first, whole + 1) <= len)
		whole++;
	if (whole > 0) {
		ge_hash_descriptor(dh, &j->h, j->hdr);
		good = ge_blocks_check(&j->h, j->hdr, dh, j->index, first,
		    whole, buf, j->good + first);
		if (job_write(f, j, block_at(&j->h, first), buf,
		    run_len(&j->h, first, whole), e) == -1)
			return (-1);
	}
	if (good < n) {
		j->state = JOB_HURT;
		f->damaged += n - good;
		ge_note(GE_SAY, "site '%s': segment %lu, fragment %d: %lu of "
		    "%lu blocks damaged", f->st->sites->site[j->site].name,
		    (unsigned long)j->h.segment, j->index,
		    (unsigned long)(n - good), (unsigned long)n);
	}
	j->next = first + n;
	return (0);
}

/* Ask for the next part, or see that it is all here. */
static void
job_go_on(struct ge_fetch *f, struct job *j)
{
	uint32_t first, last, n;
	uint8_t *buf;

	stripes(&j->slot->want, &j->h, &first, &last);
	if (j->h.nstripes == 0 || j->headeronly || j->next > last) {
		if (j->state == JOB_ASKED)
			j->state = JOB_WHOLE;
		return;
	}
	n = last - j->next + 1;
	if (n > f->partbytes / j->h.block)
		n = f->partbytes / j->h.block;
	if (n == 0)
		n = 1;
	j->asked = n;
	buf = f->spool == -1 ? j->obj + j->h.len + block_at(&j->h, j->next) :
	    j->obj;
	ask(f, j, j->h.len + block_at(&j->h, j->next),
	    (size_t)run_len(&j->h, j->next, n), buf);
}

/* What was asked for has come back. */
static int
job_done(struct ge_fetch *f, struct job *j, struct ge_err *e)
{
	struct speed *sp = &f->speed[j->site];
	double t = now() - j->began;
	uint32_t first, last, n;
	uint64_t got = j->op.got;
	int rc;

	j->running = 0;
	f->running--;
	sp->running--;
	sp->under_way -= j->op.len;
	f->received += got;
	/* Also what was called off has shown how fast it was. */
	if (got > 65536 || (t > 0.5 && j->op.result == GE_OP_CANCELLED)) {
		double r = (double)(got + 1) / (t + 1e-6) *
		    (double)(sp->running + 1);

		sp->rate = sp->rate > 0 ? 0.6 * sp->rate + 0.4 * r : r;
		if (j->op.first > 0)
			sp->first = sp->first > 0 ?
			    (sp->first + j->op.first) / 2 : j->op.first;
	}
	if (j->op.result == GE_OP_DONE)
		sp->fails = 0;
	if (j->slot == NULL) {
		job_free(f, j);
		return (0);
	}
	if (j->op.result != GE_OP_DONE) {
		if (j->op.result != GE_OP_ABSENT &&
		    ++sp->fails == DOWN_AFTER)
			ge_note(GE_WARN, "%s: passed over from now on",
			    j->op.err.msg);
		return (job_fail(f, j, j->op.result != GE_OP_ABSENT,
		    j->op.err.msg));
	}
	if (j->hdr == NULL) {
		if ((rc = take_header(f, j, j->obj, (size_t)got, e)) != 1)
			return (rc);
		stripes(&j->slot->want, &j->h, &first, &last);
		j->next = first;
		if (first == 0 && j->h.nstripes > 0 && !j->headeronly &&
		    j->slot->want.all) {
			/* As many whole blocks as were asked for. */
			for (n = 0; n <= last && j->h.len + run_len(&j->h, 0,
			    n + 1) <= j->op.len; n++)
				;
			if (n > 0 && take_blocks(f, j, 0, n, j->obj +
			    j->h.len, got - j->h.len, e) == -1)
				return (-1);
		}
	} else if (take_blocks(f, j, j->next, j->asked, j->op.buf, got,
	    e) == -1) {
		return (-1);
	}
	job_go_on(f, j);
	return (0);
}


/*
 * Which header and record lead among those that have come: with a manifest that
 * is evidence its root; else, as gefrag(5) reads, more than half of all.
 */
static void
lead(struct ge_fetch *f, struct ge_slot *s)
{
	const struct job *best = NULL;
	int i, j, all = 0, roots, groups, mostroots = 0, mostgroups = 0;

	for (i = 0; i < GE_N_MAX; i++) {
		if (s->job[i] == NULL || s->job[i]->hdr == NULL)
			continue;
		all++;
		for (j = 0, roots = groups = 0; j < GE_N_MAX; j++) {
			if (s->job[j] == NULL || s->job[j]->hdr == NULL)
				continue;
			roots += memcmp(s->job[j]->root, s->job[i]->root,
			    32) == 0;
			groups += memcmp(s->job[j]->group, s->job[i]->group,
			    32) == 0;
		}
		if (best == NULL || roots > mostroots ||
		    (roots == mostroots && (groups > mostgroups ||
		    (groups == mostgroups && s->job[i]->epoch >
		    best->epoch)))) {
			best = s->job[i];
			mostroots = roots;
			mostgroups = groups;
		}
	}
	s->model = best;
	s->need = s->want.need > 0 ? s->want.need : best != NULL ?
	    best->h.k : f->k > 0 ? f->k : 1;
	s->shares = best == NULL || best->h.mode == GE_PLAIN ||
	    s->want.shares == -1 ? 0 : s->want.shares > 0 ? s->want.shares :
	    best->h.k;
	s->contradicted = best != NULL && !f->kn->evidence &&
	    (mostroots < best->h.k || 2 * mostroots <= all);
}

static int
leads(const struct ge_slot *s, const struct job *j)
{

	return (j != NULL && j->hdr != NULL && s->model != NULL &&
	    memcmp(j->group, s->model->group, 32) == 0);
}

static int
all_good(const struct job *j, uint32_t first, uint32_t n)
{

	return (!j->headeronly && j->state != JOB_DEAD && !j->running &&
	    memchr(j->good + first, 0, n) == NULL);
}

/*
 * A stretch of another index's payload, from wherever it can be had.  1, 0, -1.
 */
static int
borrow(struct ge_fetch *f, const struct ge_slot *s, int index, uint32_t first,
    uint32_t n, uint8_t *buf, uint8_t *good, struct ge_err *e)
{
	const struct job *like = s->model;
	char id[GE_FRAG_NAME];
	uint8_t dh[32];
	struct ge_op op, *one = &op;
	size_t attempt;
	int site, epoch;

	ge_hash_descriptor(dh, &like->h, like->hdr);
	for (attempt = 0; (site = place(f, s->want.segment, index, attempt,
	    &epoch)) != -1; attempt++) {
		if (f->speed[site].fails >= DOWN_AFTER)
			continue;
		memset(&op, 0, sizeof(op));
		op.kind = GE_OP_GET;
		op.site = site;
		snprintf(op.name, sizeof(op.name), "%s", ge_frag_name(id,
		    f->kn->setid, s->want.segment, index, epoch));
		op.tries = 1;
		op.urgent = 1;
		op.off = like->h.len + block_at(&like->h, first);
		op.len = run_len(&like->h, first, n);
		op.buf = buf;
		if (ge_op_run(f->st->net, &one, 1, e) == -1)
			return (-1);
		f->received += op.got;
		if (op.result == GE_OP_DONE && op.got == op.len &&
		    ge_blocks_check(&like->h, like->hdr, dh, index, first, n,
		    buf, good) == n)
			return (1);
		if (op.result != GE_OP_DONE && op.result != GE_OP_ABSENT)
			f->speed[site].fails++;
	}
	return (0);
}

/* Rebuild stripes first..first+n-1 of a damaged fragment.  1, 0, -1. */
static int
mend_run(struct ge_fetch *f, struct ge_slot *s, struct job *j, uint32_t first,
    uint32_t n, struct ge_err *e)
{
	const struct ge_hdr *h = &j->h;
	const uint8_t *src[GE_N_MAX];
	size_t len = (size_t)run_len(h, first, n);
	uint8_t *tmp, *dst, have[GE_N_MAX], want = (uint8_t)j->index, dh[32];
	uint64_t used = (uint64_t)1 << j->index;
	int i, rc = -1, got = 0, r;

	if ((tmp = ge_block_alloc(((size_t)h->k + 1) * len, e)) == NULL)
		return (-1);
	dst = tmp + (size_t)h->k * len;
	for (i = 0; i < h->n && got < h->k; i++) {
		if ((used >> i & 1) != 0 || !leads(s, s->job[i]) ||
		    !all_good(s->job[i], first, n))
			continue;
		src[got] = tmp + (size_t)got * len;
		if (job_read(f, s->job[i], block_at(h, first), tmp +
		    (size_t)got * len, len, e) == -1)
			goto out;
		used |= (uint64_t)1 << i;
		have[got++] = (uint8_t)i;
	}
	for (i = 0; i < h->n && got < h->k; i++) {
		if ((used >> i & 1) != 0)
			continue;
		src[got] = tmp + (size_t)got * len;
		if ((r = borrow(f, s, i, first, n, tmp + (size_t)got * len,
		    j->good + first, e)) == -1)
			goto out;
		if (r == 1)
			have[got++] = (uint8_t)i;
	}
	memset(j->good + first, 0, n);
	rc = 0;
	if (got < h->k)
		goto out;
	rc = -1;
	if (ge_payload_rebuild(h->k, h->n, have, src, &want, 1, &dst, len,
	    e) == -1)
		goto out;
	ge_hash_descriptor(dh, h, j->hdr);
	if (ge_blocks_check(h, j->hdr, dh, j->index, first, n, dst,
	    j->good + first) == n) {
		if (job_write(f, j, block_at(h, first), dst, len, e) == -1)
			goto out;
		rc = 1;
	} else {
		rc = 0;
	}
out:
	ge_block_free(tmp);
	return (rc);
}

/* Make a damaged fragment whole, block by block.  1, 0, -1. */
static int
mend(struct ge_fetch *f, struct ge_slot *s, struct job *j, struct ge_err *e)
{
	const struct ge_hdr *h = &j->h;
	uint32_t at, first, last, n, most;
	int rc;

	most = (uint32_t)(RUN_MAX / h->block / (uint32_t)h->k);
	if (most == 0)
		most = 1;
	stripes(&s->want, h, &first, &last);
	for (at = first; at <= last; at += n) {
		for (n = 0; at + n <= last && n < most && !j->good[at + n]; n++)
			;
		if (n == 0) {
			n = 1;
			continue;
		}
		rc = mend_run(f, s, j, at, n, e);
		/* Together they found no k sources; one by one they may. */
		if (rc == 0 && n > 1)
			rc = mend_run(f, s, j, at, n = 1, e);
		if (rc != 1)
			return (rc);
	}
	j->state = JOB_WHOLE;
	return (1);
}

/* Is the segment complete?  1, 0, -1. */
static int
settle(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	int i, whole = 0, hurt = 0, shares = 0, rc;

	lead(f, s);
	if (s->model == NULL || s->contradicted)
		return (0);
	for (i = 0; i < GE_N_MAX; i++) {
		const struct job *j = s->job[i];

		if (!leads(s, j))
			continue;
		shares += j->share_ok;
		whole += j->state == JOB_WHOLE && !j->headeronly;
		hurt += j->state == JOB_HURT && !j->running && !j->beyond;
	}
	for (i = 0; i < GE_N_MAX && whole < s->need &&
	    whole + hurt >= s->need; i++) {
		if (!leads(s, s->job[i]) || s->job[i]->state != JOB_HURT ||
		    s->job[i]->running || s->job[i]->beyond)
			continue;
		if ((rc = mend(f, s, s->job[i], e)) == -1)
			return (-1);
		hurt--;
		whole += rc;
		s->job[i]->beyond = rc == 0;
	}
	return (whole >= s->need && shares >= s->shares);
}

/* Places of dead jobs that the survey has brought to light. */
static int
revive(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	struct job *j;
	int i, n = 0, epoch;

	for (i = 0; i < GE_N_MAX; i++) {
		j = s->job[i];
		if (j == NULL || j->state != JOB_DEAD || (j->site = place(f,
		    s->want.segment, i, j->attempt, &epoch)) == -1)
			continue;
		if ((j->obj = buf_take(f, e)) == NULL)
			return (-1);
		j->epoch = epoch;
		j->state = JOB_ASKED;
		ask(f, j, 0, first_len(f, j), j->obj);
		n++;
	}
	return (n);
}

static int
give_up(const struct ge_slot *s, struct ge_err *e)
{
	unsigned long seg = s->want.segment;
	int i, whole = 0;

	for (i = 0; i < GE_N_MAX; i++)
		whole += leads(s, s->job[i]) && s->job[i]->state ==
		    JOB_WHOLE && !s->job[i]->headeronly;
	if (s->contradicted && !s->unanswered)
		return (ge_fail(e, s->model->h.k > whole ? GE_ELOST :
		    GE_EREFUSED, "segment %lu: the headers of its fragments "
		    "contradict each other", seg));
	if (s->model != NULL && whole >= s->need)
		return (ge_fail(e, s->unanswered ? GE_EFAIL : GE_ELOST,
		    "segment %lu: fewer than %d key shares of one epoch can be "
		    "had", seg, s->shares));
	return (ge_fail(e, s->unanswered ? GE_EFAIL : GE_ELOST,
	    "segment %lu: %d good fragments are needed, %d can be had%s", seg,
	    s->need, whole, s->unanswered ? "; some sites do not answer" :
	    ""));
}

/* Ask for what is still needed.  0, -1; s->why.code set: it cannot be had. */
static int
schedule(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	int i, hope = 0, shares = 0, running = 0, idx, head = s == f->slot[0];
	double t;

	for (i = 0; i < GE_N_MAX; i++) {
		const struct job *j = s->job[i];

		if (j == NULL)
			continue;
		running += j->running;
		if (j->hdr == NULL ? j->running : leads(s, j)) {
			hope += !j->headeronly && j->state != JOB_DEAD &&
			    !j->beyond;
			shares += j->hdr == NULL || j->share_ok;
		}
	}
	if (s->contradicted && running == 0 && hope >= s->need)
		hope = s->need - 1;
	for (; hope < s->need && (head || f->bufs_out < f->nbufs); hope++) {
		if ((idx = soonest(f, s, &t)) == -1)
			break;
		if (job_start(f, s, idx, 0, e) == -1)
			return (-1);
		running++;
		shares++;
	}
	for (; shares < s->shares && hope >= s->need; shares++) {
		if ((idx = soonest(f, s, &t)) == -1)
			break;
		if (job_start(f, s, idx, 1, e) == -1)
			return (-1);
		running++;
	}
	if (running > 0 || (!head && f->bufs_out >= f->nbufs))
		return (0);
	if (!f->surveyed && !s->want.brief) {
		ge_note(GE_SAY, "segment %lu: looking for fragments elsewhere",
		    (unsigned long)s->want.segment);
		f->surveyed = 1;
		if (ge_survey_run(f->st, f->kn->setid, &f->survey, e) == -1)
			return (-1);
	}
	if (!s->want.brief && (i = revive(f, s, e)) != 0)
		return (i == -1 ? -1 : 0);
	if (soonest(f, s, &t) == -1)
		give_up(s, &s->why);
	return (0);
}

/*
 * What crawls: if another index would be here long before, ask for that too.
 */
static int
hedge(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	struct speed *sp;
	struct job *j;
	double t, left, other;
	uint64_t got;
	int i, idx;

	for (i = 0; i < GE_N_MAX; i++) {
		j = s->job[i];
		if (j == NULL || !j->running || j->headeronly)
			continue;
		t = now() - j->began;
		got = ge_op_progress(f->st->net, &j->op);
		sp = &f->speed[j->site];
		if (t > 0.3 && (sp->rate == 0 || (double)(got + 1) / t *
		    sp->running < sp->rate / 2))
			sp->rate = (double)(got + 1) / t * sp->running;
		if (j->hedged || t < 0.15 || (got == 0 && t < 0.5))
			continue;
		left = got > 0 ? t * (double)(j->op.len - got) / (double)got :
		    1e9;
		if ((idx = soonest(f, s, &other)) == -1 ||
		    left < 1.5 * other + 0.1)
			continue;
		ge_note(GE_DETAIL, "site '%s' is slow: segment %lu, fragment "
		    "%d asked for as well", f->st->sites->site[j->site].name,
		    (unsigned long)s->want.segment, idx);
		if (job_start(f, s, idx, 0, e) == -1)
			return (-1);
		j->hedged = 1;
		f->hedged++;
	}
	return (0);
}

static int
open_slots(struct ge_fetch *f, struct ge_err *e)
{
	struct ge_slot *s;
	int rc;

	while (!f->ended && f->nopen < f->nslots) {
		if ((s = ge_alloc(sizeof(*s), e)) == NULL)
			return (-1);
		if ((rc = f->next(f->arg, &s->want)) != 1) {
			ge_free(s);
			f->ended = 1;
			return (0);
		}
		f->slot[f->nopen++] = s;
	}
	return (0);
}

/* The chosen fragments, those with payload first, by index. */
static void
present(struct ge_fetch *f, struct ge_slot *s, struct ge_fetched *got)
{
	int i, pass, need = s->need, shares = 0;

	got->want = s->want;
	got->h = s->model->h;
	got->h.index = got->h.has_share = got->h.epoch = 0;
	ge_hash_descriptor(got->dh, &s->model->h, s->model->hdr);
	memcpy(got->root, s->model->root, 32);
	stripes(&s->want, &got->h, &got->first, &got->last);
	got->slot = s;
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < GE_N_MAX; i++) {
			struct job *j = s->job[i];

			if (!leads(s, j))
				continue;
			if (pass == 0 && (got->nfrags == need ||
			    j->state != JOB_WHOLE || j->headeronly))
				continue;
			if (pass == 1 && (shares >= s->shares ||
			    !j->share_ok || (j->state == JOB_WHOLE &&
			    !j->headeronly)))
				continue;
			shares += j->share_ok;
			got->frag[got->nheaders].index = i;
			got->frag[got->nheaders].epoch = j->h.epoch;
			got->frag[got->nheaders].has_share = j->share_ok;
			got->frag[got->nheaders++].hdr = j->hdr;
			got->nfrags += pass == 0;
		}
	f->k = s->model->h.k;
}

int
ge_fetch_next(struct ge_fetch *f, struct ge_fetched *got, struct ge_err *e)
{
	struct ge_op *op;
	struct ge_slot *s;
	size_t i;
	int j, rc;

	memset(got, 0, sizeof(*got));
	slot_free(f, f->out);
	f->out = NULL;
	for (;;) {
		if (open_slots(f, e) == -1)
			return (-1);
		if (f->nopen == 0)
			return (0);
		for (i = 0; i < f->nopen; i++) {
			s = f->slot[i];
			if (s->done || s->why.code != 0)
				continue;
			if ((rc = settle(f, s, e)) == -1)
				return (-1);
			s->done = rc;
			for (j = 0; s->done && j < GE_N_MAX; j++)
				if (s->job[j] != NULL && s->job[j]->running) {
					job_leave(f, s->job[j]);
					s->job[j] = NULL;
				}
			if (!s->done && (schedule(f, s, e) == -1 ||
			    (i < 2 && hedge(f, s, e) == -1)))
				return (-1);
		}
		s = f->slot[0];
		if (s->done || s->why.code != 0)
			break;
		rc = ge_net_next(f->st->net, 0.05, &op, e);
		for (; rc == 1; rc = ge_net_next(f->st->net, 0, &op, e))
			if (job_done(f, op->tag, e) == -1)
				return (-1);
		if (rc == -1)
			return (-1);
	}
	memmove(&f->slot[0], &f->slot[1], (f->nopen - 1) * sizeof(s));
	f->nopen--;
	f->out = s;
	if (s->why.code != 0) {
		got->want = s->want;
		got->slot = s;
		*e = s->why;
		return (-1);
	}
	present(f, s, got);
	return (1);
}

int
ge_fetched_read(struct ge_fetch *f, const struct ge_fetched *got, int i,
    uint64_t off, void *buf, size_t len, struct ge_err *e)
{

	return (job_read(f, got->slot->job[got->frag[i].index], off, buf, len,
	    e));
}

void
ge_fetch_counts(const struct ge_fetch *f, uint64_t *received,
    uint64_t *damaged, uint64_t *hedged)
{

	*received = f->received;
	*damaged = f->damaged;
	*hedged = f->hedged;
}

void
ge_fetch_free(struct ge_fetch *f)
{
	struct ge_op *op;
	size_t i;

	if (f == NULL)
		return;
	slot_free(f, f->out);
	for (i = 0; i < f->nopen; i++)
		slot_free(f, f->slot[i]);
	/* The net has memory of ours until they are back. */
	while (f->running > 0 && (op = ge_net_reclaim(f->st->net)) != NULL) {
		f->running--;
		job_free(f, op->tag);
	}
	for (i = 0; i < f->nfree; i++)
		ge_block_free(f->freebuf[i]);
	ge_free(f->freebuf);
	ge_free(f->region);
	ge_survey_release(&f->survey);
	ge_free(f->speed);
	if (f->spool != -1)
		close(f->spool);
	ge_free(f);
}
