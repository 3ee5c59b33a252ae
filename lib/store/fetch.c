#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/store_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/sha256.h"
#include "util/thread.h"

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

struct tried {				/* places: site << 8 | epoch */
	uint32_t *place;
	size_t n, cap;
};

struct job {				/* one index of one segment */
	struct ge_slot *slot;		/* NULL: nobody waits for it any more */
	int index, epoch, site;
	struct tried tried;
	int headeronly, running, hedged;
	int again;			/* its header was longer than thought */
	enum { JOB_ASKED, JOB_WHOLE, JOB_HURT, JOB_DEAD } state;
	int beyond;			/* hurt, and could not be mended */
	struct ge_hdr h;
	uint8_t *hdr;			/* [h.len], when it has come */
	uint8_t root[32], group[32];
	int share_ok;
	uint8_t *obj;			/* memory: the object; spool: one part */
	size_t region;			/* spool: which stretch of it */
	uint8_t *good;			/* [T] */
	uint32_t bad;			/* blocks damaged */
	uint32_t next;			/* stripe to be asked for next */
	uint32_t asked;			/* stripes under way */
	struct ge_op op;
	uint64_t counted;		/* bytes of it the site's speed knows of */
	double began;
};

struct ge_slot {
	struct ge_want want;
	struct job *job[GE_N_MAX];	/* by index */
	int need, shares;		/* -1: not known yet */
	const struct job *model;	/* of the group that leads, or NULL */
	int done, unanswered;
	int undecided;			/* no header has a majority yet */
	int desperate;			/* mend whatever there is */
	int epoch;			/* that most sites list; -1: not counted */
	struct ge_err why;
};

struct speed {
	double rate;			/* bytes a second; 0: not known */
	double first;			/* seconds until the first byte */
	uint64_t under_way;		/* bytes asked of it and not here */
	double busy, since;		/* seconds of this sample; up to when */
	uint64_t bytes;			/* of this sample */
	int begun;			/* under way, not waiting for their turn */
	int fails;
	int harm;			/* gave what was damaged, or no fragment */
};

struct ge_fetch {
	const struct ge_store *st;
	const struct ge_known *kn;
	const struct ge_map *map;
	int (*next)(void *arg, struct ge_want *w);
	void *arg;
	int ended;
	struct ge_survey survey;
	int surveyed;			/* 1: those that are quick; 2: all */
	int evidence;			/* the manifest's roots are true */
	struct speed *speed;		/* [sites] */
	uint8_t *vote;			/* [sites] */
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
	int running, leaving;		/* under way; of them nobody waits for */
	struct ge_slot *out;		/* given to the caller */
	uint64_t received, damaged, hedged;
};

static int job_done(struct ge_fetch *f, struct job *j, struct ge_err *e);

/* Something else has come back while the sites were asked. */
static int
came_back(void *arg, struct ge_op *op, struct ge_err *e)
{

	return (job_done(arg, op->tag, e));
}

/*
 * Which fragments do sites list?  At first nobody waits for those that are slow to
 * say.
 */
static int
survey(struct ge_fetch *f, int patient, struct ge_err *e)
{
	struct ge_survey sv;
	size_t i;

	if ((patient ? ge_survey_run(f->st, f->kn->setid, &sv, e) :
	    ge_survey_soon(f->st, f->kn->setid, &sv, came_back, f, e)) == -1) {
		ge_survey_release(&sv);
		return (-1);
	}
	ge_survey_release(&f->survey);
	f->survey = sv;
	f->surveyed = 2;
	for (i = 0; i < f->st->sites->n; i++)
		if (!patient && !sv.answered[i] && !f->st->gone[i])
			f->surveyed = 1;
	for (i = 0; i < f->nopen; i++)
		f->slot[i]->epoch = -1;
	return (0);
}

/*
 * Sizes: with a manifest they follow from it, if nothing is compressed; else from
 * what the sites list.
 */
static int
measure(struct ge_fetch *f, int *k, int *n, struct ge_err *e)
{
	const struct ge_manifest *m = &f->kn->m;
	const struct ge_seen *seen;
	struct ge_hdr h;
	uint64_t i, most = 0;
	uint32_t most_u = 0;

	if (f->kn->has) {
		for (i = 0; i < m->nsegments; i++)
			if (m->segment[i].ulen > most_u)
				most_u = m->segment[i].ulen;
		memset(&h, 0, sizeof(h));
		h.mode = m->mode;
		h.k = *k = m->k;
		h.n = *n = m->n;
		h.block = m->block;
		h.alpha = 1;
		h.nwraps = (uint32_t)m->nrecipients;
		h.clen = most_u;
		ge_hdr_layout(&h);
		f->objmax = (size_t)h.fraglen;
		f->hdrmax = h.len;
		return (0);
	}
	if (survey(f, 0, e) == -1)
		return (-1);
	*k = *n = 1;
	for (i = 0; i < f->survey.nseen; i++) {
		seen = &f->survey.seen[i];
		if (seen->index >= *n)
			*k = *n = seen->index + 1;
		if (seen->size > most)
			most = seen->size;	/* GE_OP_UNKNOWN is a lot */
	}
	f->hdrmax = 1 << 16;
	f->objmax = most < f->hdrmax ? f->hdrmax : most >
	    (uint64_t)2 * GE_SEGMENT_MAX ? (size_t)2 * GE_SEGMENT_MAX :
	    (size_t)most;
	return (0);
}

static size_t buf_size(const struct ge_fetch *f);

struct ge_fetch *
ge_fetch_new(const struct ge_store *st, const struct ge_known *kn,
    const struct ge_map *map, size_t pool,
    int (*next)(void *arg, struct ge_want *w), void *arg, struct ge_err *e)
{
	struct ge_fetch *f;
	size_t each, headers;
	int k, n;

	if ((f = ge_alloc(sizeof(*f), e)) == NULL)
		return (NULL);
	f->st = st;
	f->kn = kn;
	f->map = map;
	f->next = next;
	f->arg = arg;
	f->spool = -1;
	f->evidence = kn->has && (kn->evidence || kn->agreed);
	f->k = kn->has ? kn->m.k : 0;
	if ((f->speed = ge_alloc(st->sites->n * sizeof(*f->speed), e)) ==
	    NULL || (f->vote = ge_alloc(st->sites->n, e)) == NULL ||
	    measure(f, &k, &n, e) == -1)
		goto fail;
	each = f->objmax + f->hdrmax;
	f->nslots = SLOTS_MAX;
	if (each <= pool / (size_t)(2 * k > n ? 2 * k : n)) {
		/* All n of one segment find room, if the others step back. */
		f->nbufs = pool / each;
		f->partbytes = UINT32_MAX;
		if (f->nslots > (f->nbufs - (size_t)(n - k)) / (size_t)k)
			f->nslots = (f->nbufs - (size_t)(n - k)) / (size_t)k +
			    1;
	} else {
		if ((f->spool = ge_spool_open(e)) == -1)
			goto fail;
		f->partbytes = SPOOL_PART;
		headers = (size_t)n * f->hdrmax;
		f->nslots = 4 * headers <= pool ? 2 : 1;
		f->nbufs = f->nslots * headers < pool ?
		    (pool - f->nslots * headers) / buf_size(f) : 0;
		if (f->nbufs < 4)
			f->nbufs = 4;
		f->nregions = 4 * GE_N_MAX;
		if ((f->region = ge_alloc(f->nregions, e)) == NULL)
			goto fail;
	}
	return (f);
fail:
	ge_fetch_free(f);
	return (NULL);
}

static size_t
buf_size(const struct ge_fetch *f)
{

	return (f->spool == -1 ? f->objmax : f->hdrmax + SPOOL_PART);
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
	/* The key share. */
	ge_wipe(b, f->hdrmax < buf_size(f) ? f->hdrmax : buf_size(f));
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
	ge_free(j->tried.place);
	ge_free(j);
}

/* Nobody waits for it any more; what is under way comes back some time. */
static void
job_leave(struct ge_fetch *f, struct job *j)
{

	if (j == NULL)
		return;
	j->slot = NULL;
	if (j->running) {
		f->leaving++;
		ge_op_cancel(f->st->net, &j->op);
	} else {
		job_free(f, j);
	}
}

static void
slot_empty(struct ge_fetch *f, struct ge_slot *s)
{
	int i;

	for (i = 0; i < GE_N_MAX; i++) {
		job_leave(f, s->job[i]);
		s->job[i] = NULL;
	}
	s->model = NULL;
	s->done = s->unanswered = s->desperate = 0;
}

static void
slot_free(struct ge_fetch *f, struct ge_slot *s)
{

	if (s == NULL)
		return;
	slot_empty(f, s);
	ge_free(s);
}

/*
 * Is there a buffer for this slot?  The first gets those of the last, which begins
 * anew when there is room again.
 */
static int
room(struct ge_fetch *f, const struct ge_slot *s)
{
	size_t i;
	int j;

	/* The last one takes what is left, and leaves some to the first. */
	if (f->bufs_out + (s != f->slot[0] && f->spool == -1 ? 2 : 0) <
	    f->nbufs)
		return (1);
	if (s != f->slot[0] || f->spool != -1 || f->leaving > 0)
		return (0);
	for (i = f->nopen; --i > 0;)
		for (j = 0; j < GE_N_MAX; j++)
			if (f->slot[i]->job[j] != NULL) {
				slot_empty(f, f->slot[i]);
				return (f->bufs_out < f->nbufs);
			}
	return (0);
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
	    0.5 * s->harm + (s->fails >= DOWN_AFTER ? 1e6 : 0) +
	    (f->st->gone[site] ? 1e7 : 0));
}

static int
was_tried(const struct tried *t, int site, int epoch)
{
	size_t i;

	for (i = 0; t != NULL && i < t->n; i++)
		if (t->place[i] == ((uint32_t)site << 8 | (uint32_t)epoch))
			return (1);
	return (0);
}

/* The epoch that comes first: the manifest's; else that which most sites list. */
static int
first_epoch(const struct ge_fetch *f, struct ge_slot *s)
{
	const struct ge_seen *seen;
	uint32_t segment = s->want.segment;
	int i, e, best = 0, count[256] = { 0 };
	size_t j, n;

	if (s->epoch != -1)
		return (s->epoch);
	if (f->map != NULL && segment < f->map->nsegs) {
		best = f->map->epoch[segment];
	} else if (f->surveyed) {
		/* Each site once for each epoch: it lists what it likes. */
		for (e = 0; e < 256; e++) {
			memset(f->vote, 0, f->st->sites->n);
			for (i = 0; i < GE_N_MAX; i++) {
				seen = ge_survey_find(&f->survey, segment, i,
				    &n);
				for (j = 0; j < n; j++)
					if (seen[j].epoch == e &&
					    !f->vote[seen[j].site]) {
						f->vote[seen[j].site] = 1;
						count[e]++;
					}
			}
			if (count[e] > 0 && count[e] >= count[best])
				best = e;
		}
	}
	s->epoch = best;
	return (best);
}

/*
 * The best place of an index that has not been tried: where the manifest says;
 * when the sites have been asked, what is listed, of the epoch that comes first,
 * from where it would be here soonest.  Returns the site, or -1 when there are no
 * more.
 */
static int
place(const struct ge_fetch *f, struct ge_slot *s, int index,
    const struct tried *tried, int *epoch)
{
	const struct ge_seen *seen;
	uint32_t segment = s->want.segment;
	int at = -1, best = -1, first;
	double t, least = 0;
	size_t i, n;

	*epoch = 0;
	if (f->map != NULL && segment < f->map->nsegs && index < f->map->n) {
		at = f->map->at[(size_t)segment * (size_t)f->map->n +
		    (size_t)index];
		*epoch = f->map->epoch[segment];
		if (at != -1 && ((f->st->gone[at] && !s->want.gone) ||
		    was_tried(tried, at, *epoch)))
			at = -1;
	}
	if (!f->surveyed || s->want.brief)
		return (at);
	first = first_epoch(f, s);
	seen = ge_survey_find(&f->survey, segment, index, &n);
	for (i = 0; i < n; i++) {
		if (f->st->gone[seen[i].site] ||
		    was_tried(tried, seen[i].site, seen[i].epoch))
			continue;
		t = promise(f, seen[i].site, f->objmax) +
		    (seen[i].epoch == first ? 0 : 1e8 - seen[i].epoch * 1e3);
		if (best == -1 || t < least) {
			best = (int)i;
			least = t;
		}
	}
	if (best == -1)
		return (at);
	*epoch = seen[best].epoch;
	return (seen[best].site);
}

/* The index to ask for next: the soonest; -1: none left. */
static int
soonest(const struct ge_fetch *f, struct ge_slot *s, double *seconds)
{
	double t;
	int i, best = -1, site, epoch;

	for (i = 0; i < GE_N_MAX; i++) {
		if (s->job[i] != NULL || (s->want.allowed >> i & 1) == 0)
			continue;
		if ((site = place(f, s, i, NULL, &epoch)) == -1 ||
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

/*
 * A site's speed is what has come from it in the time in which something was asked
 * of it, by samples of a tenth of a second.
 */
static void
sample(struct speed *sp)
{
	double t = ge_clock(), r;

	if (sp->begun > 0)
		sp->busy += t - sp->since;
	sp->since = t;
	if (sp->busy < 0.1)
		return;
	r = (double)(sp->bytes + 1) / sp->busy;
	sp->rate = sp->rate > 0 ? 0.75 * sp->rate + 0.25 * r : r;
	sp->busy = 0;
	sp->bytes = 0;
}

/* This much of what was asked for is here. */
static void
came(struct speed *sp, struct job *j, uint64_t len)
{

	if (len > j->op.len)
		len = j->op.len;
	if (len > j->counted) {
		sp->bytes += len - j->counted;
		sp->under_way -= len - j->counted;
		j->counted = len;
	}
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
	j->began = ge_clock();
	j->counted = 0;
	j->running = 1;
	f->running++;
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

/*
 * Ask for an index at its next place; the first part brings the header.  1, 0 if
 * there are no more, -1.
 */
static int
job_ask(struct ge_fetch *f, struct job *j, struct ge_err *e)
{
	struct ge_slot *s = j->slot;
	struct tried *t = &j->tried;

	if (s->want.brief && t->n > 0)
		return (0);
	if ((j->site = place(f, s, j->index, t, &j->epoch)) == -1)
		return (0);
	if (ge_grow(&t->place, &t->cap, t->n + 1, sizeof(*t->place), e) == -1 ||
	    (j->obj == NULL && (j->obj = buf_take(f, e)) == NULL))
		return (-1);
	t->place[t->n++] = (uint32_t)j->site << 8 | (uint32_t)j->epoch;
	j->state = JOB_ASKED;
	ask(f, j, 0, first_len(f, j), j->obj);
	return (1);
}

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
	j->state = JOB_DEAD;
	s->job[index] = j;
	return (job_ask(f, j, e) == -1 ? -1 : 0);
}

/* The stripes of the segment that are wanted; none: first > last. */
static void
stripes(const struct ge_want *w, const struct ge_hdr *h, uint32_t *first,
    uint32_t *last)
{
	uint64_t from, to;

	*first = 1;
	*last = 0;
	if (h->nstripes == 0)
		return;
	if (w->all || (h->flags & GE_FLAG_DEFLATED) != 0) {
		*first = 0;
		*last = h->nstripes - 1;
		return;
	}
	from = w->off > h->off ? w->off - h->off : 0;
	to = w->off + w->len > h->off ? w->off + w->len - h->off : 0;
	if (to > h->ulen)
		to = h->ulen;
	if (from >= to)
		return;
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

static void
job_dead(struct ge_fetch *f, struct job *j)
{

	j->state = JOB_DEAD;
	buf_give(f, j->obj);
	j->obj = NULL;
}

/* It is no use; its other places may be.  0, -1. */
static int
job_fail(struct ge_fetch *f, struct job *j, const char *why, struct ge_err *e)
{
	int rc;

	ge_note(GE_SAY, "segment %lu, fragment %d: %s",
	    (unsigned long)j->slot->want.segment, j->index, why);
	if (j->op.result == GE_OP_DONE)
		f->speed[j->site].harm++;
	else if (j->op.result != GE_OP_ABSENT && !f->st->gone[j->site])
		j->slot->unanswered = 1;
	if (j->hdr != NULL)
		ge_wipe(j->hdr, j->h.len);
	ge_free(j->hdr);
	ge_free(j->good);
	j->hdr = j->good = NULL;
	j->next = j->asked = j->bad = 0;
	j->again = j->beyond = 0;
	if ((rc = job_ask(f, j, e)) == 0)
		job_dead(f, j);
	return (rc == -1 ? -1 : 0);
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
	if (!j->again && len == j->op.len &&
	    ge_hdr_peek(&h, buf, len, &why) == 0) {
		need = blind ? h.share : h.len;
		if (need > len && need <= buf_size(f)) {
			j->again = 1;
			ask(f, j, 0, need, j->obj);
			return (0);
		}
	}
	if (ge_hdr_parse(&h, buf, len, blind, &why) == -1)
		return (job_fail(f, j, why.msg, e));
	if (memcmp(h.setid, f->kn->setid, GE_SETID) != 0 || h.segment != seg ||
	    h.index != j->index)
		return (job_fail(f, j, "another fragment is in its place", e));
	if (h.fraglen > f->objmax)
		return (job_fail(f, j, "larger than it should be", e));
	if ((j->hdr = ge_alloc(h.len, e)) == NULL ||
	    (j->good = ge_alloc((size_t)h.nstripes + 1, e)) == NULL)
		return (-1);
	memcpy(j->hdr, buf, blind ? h.share : h.len);
	j->h = h;
	j->h.has_share &= !blind;
	identify(j);
	if (f->evidence && (seg >= m->nsegments ||
	    memcmp(j->root, m->segment[seg].root, 32) != 0))
		return (job_fail(f, j,
		    "its header is not what the manifest says", e));
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
		j->bad += n - good;
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
	struct speed *sp = &f->speed[j->site];
	uint32_t first, last, n;
	uint8_t *buf;

	stripes(&j->slot->want, &j->h, &first, &last);
	if (j->headeronly || first > last || j->next > last) {
		if (j->state == JOB_HURT)
			sp->harm++;
		else if (sp->harm > 0)
			sp->harm--;
		if (j->state == JOB_ASKED)
			j->state = JOB_WHOLE;
		if (f->spool != -1 || j->headeronly) {
			buf_give(f, j->obj);
			j->obj = NULL;
		}
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
	uint32_t first, last, n;
	uint64_t got = j->op.got;
	int rc;

	came(sp, j, got);
	sample(sp);
	sp->under_way -= j->op.len - j->counted;
	if (sp->begun > 0)
		sp->begun--;
	j->running = 0;
	f->running--;
	f->received += got;
	if (j->op.first > 0)
		sp->first = sp->first > 0 ? (sp->first + j->op.first) / 2 :
		    j->op.first;
	if (j->op.result == GE_OP_DONE)
		sp->fails = 0;
	if (j->slot == NULL) {
		f->leaving--;
		job_free(f, j);
		return (0);
	}
	if (j->op.result != GE_OP_DONE) {
		if (j->op.result != GE_OP_ABSENT &&
		    ++sp->fails == DOWN_AFTER)
			ge_note(f->st->gone[j->site] ? GE_SAY : GE_WARN,
			    "%s: passed over from now on", j->op.err.msg);
		return (job_fail(f, j, j->op.err.msg, e));
	}
	if (j->hdr == NULL) {
		if ((rc = take_header(f, j, j->obj, (size_t)got, e)) != 1)
			return (rc);
		stripes(&j->slot->want, &j->h, &first, &last);
		j->next = first;
		if (first == 0 && first <= last && !j->headeronly &&
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
 * Is it certain whose header is true?  With the manifest's root at hand it is; else
 * more than half of the sites that have a fragment, or may have one, must agree: a
 * site is one witness, whatever it serves.
 */
static int
certain(struct ge_fetch *f, struct ge_slot *s, const struct job *best)
{
	enum { NONE, ASKED, OTHER, AGREES };
	size_t i, n[4] = { 0 };
	int idx, site, epoch, v;

	if (f->evidence)
		return (1);
	(void)first_epoch(f, s);	/* has its own use of f->vote */
	memset(f->vote, NONE, f->st->sites->n);
	for (idx = 0; idx < GE_N_MAX; idx++) {
		const struct job *j = s->job[idx];

		if (j == NULL) {
			site = place(f, s, idx, NULL, &epoch);
			v = ASKED;
		} else {
			site = j->hdr != NULL || j->running ? j->site : -1;
			v = j->hdr == NULL ? ASKED : memcmp(j->root,
			    best->root, 32) == 0 ? AGREES : OTHER;
		}
		if (site != -1 && f->vote[site] < v)
			f->vote[site] = (uint8_t)v;
	}
	for (i = 0; i < f->st->sites->n; i++)
		n[f->vote[i]]++;
	return (n[AGREES] > n[ASKED] + n[OTHER]);
}

/*
 * Which header and record lead among those that have come.
 */
static void
lead(struct ge_fetch *f, struct ge_slot *s)
{
	const struct job *best = NULL;
	int i, j, roots, groups, mostroots = 0, mostgroups = 0;

	for (i = 0; i < GE_N_MAX; i++) {
		if (s->job[i] == NULL || s->job[i]->hdr == NULL)
			continue;
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
	s->undecided = best != NULL && !certain(f, s, best);
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
borrow(struct ge_fetch *f, struct ge_slot *s, int index, uint32_t first,
    uint32_t n, uint8_t *buf, uint8_t *good, struct ge_err *e)
{
	const struct job *like = s->model;
	struct tried tried = { NULL, 0, 0 };
	char id[GE_FRAG_NAME];
	uint8_t dh[32];
	struct ge_op op, *one = &op;
	int site, epoch, rc = -1;

	ge_hash_descriptor(dh, &like->h, like->hdr);
	while ((site = place(f, s, index, &tried, &epoch)) != -1) {
		if (ge_grow(&tried.place, &tried.cap, tried.n + 1,
		    sizeof(*tried.place), e) == -1)
			goto out;
		tried.place[tried.n++] = (uint32_t)site << 8 |
		    (uint32_t)epoch;
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
			goto out;
		f->received += op.got;
		if (op.result == GE_OP_DONE && op.got == op.len &&
		    ge_blocks_check(&like->h, like->hdr, dh, index, first, n,
		    buf, good) == n) {
			rc = 1;
			goto out;
		}
		if (op.result != GE_OP_DONE && op.result != GE_OP_ABSENT)
			f->speed[site].fails++;
	}
	rc = 0;
out:
	ge_free(tried.place);
	return (rc);
}

/* Of the indices not in the mask the one that would be here soonest, or -1. */
static int
nearest(const struct ge_fetch *f, struct ge_slot *s, uint64_t but)
{
	int i, site, epoch, best = -1;
	double t, least = 0;

	for (i = 0; i < s->model->h.n; i++) {
		if ((but >> i & 1) != 0 ||
		    (site = place(f, s, i, NULL, &epoch)) == -1)
			continue;
		t = promise(f, site, s->model->h.block);
		if (best == -1 || t < least) {
			best = i;
			least = t;
		}
	}
	return (best);
}

/* Rebuild stripes first..first+n-1 of a damaged fragment.  1, 0, -1. */
static int
mend_run(struct ge_fetch *f, struct ge_slot *s, struct job *j, uint32_t first,
    uint32_t n, struct ge_err *e)
{
	const struct ge_hdr *h = &j->h;
	const uint8_t *src[GE_N_MAX];
	size_t len = (size_t)run_len(h, first, n);
	uint8_t *tmp[GE_N_MAX] = { NULL }, *dst = NULL, have[GE_N_MAX];
	uint8_t want = (uint8_t)j->index, dh[32];
	uint64_t used = (uint64_t)1 << j->index;
	int i, rc = -1, got = 0, r;

	for (i = 0; i < h->n && got < h->k; i++) {
		if ((used >> i & 1) != 0 || !leads(s, s->job[i]) ||
		    !all_good(s->job[i], first, n))
			continue;
		used |= (uint64_t)1 << i;
		have[got] = (uint8_t)i;
		if (f->spool == -1) {
			src[got++] = s->job[i]->obj + h->len +
			    block_at(h, first);
			continue;
		}
		if ((tmp[got] = ge_block_alloc(len, e)) == NULL ||
		    job_read(f, s->job[i], block_at(h, first), tmp[got], len,
		    e) == -1)
			goto out;
		src[got] = tmp[got];
		got++;
	}
	while (got < h->k && (i = nearest(f, s, used)) != -1) {
		used |= (uint64_t)1 << i;
		if (tmp[got] == NULL &&
		    (tmp[got] = ge_block_alloc(len, e)) == NULL)
			goto out;
		if ((r = borrow(f, s, i, first, n, tmp[got], j->good + first,
		    e)) == -1)
			goto out;
		if (r == 0)
			continue;
		src[got] = tmp[got];
		have[got++] = (uint8_t)i;
	}
	memset(j->good + first, 0, n);
	if (got < h->k) {
		rc = 0;
		goto out;
	}
	if ((dst = ge_block_alloc(len, e)) == NULL ||
	    ge_payload_rebuild(h->k, h->n, have, src, &want, 1, &dst, len,
	    e) == -1)
		goto out;
	ge_hash_descriptor(dh, h, j->hdr);
	r = ge_blocks_check(h, j->hdr, dh, j->index, first, n, dst,
	    j->good + first) == n;
	if (r && job_write(f, j, block_at(h, first), dst, len, e) == -1)
		goto out;
	rc = r;
out:
	for (i = 0; i < GE_N_MAX; i++)
		ge_block_free(tmp[i]);
	ge_block_free(dst);
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

/*
 * Is it damaged, but so that it is worth mending?  What is bad throughout is not,
 * as long as others can be asked.
 */
static int
mendable(const struct ge_slot *s, const struct job *j)
{
	uint32_t first, last;

	if (j->state != JOB_HURT || j->beyond || j->headeronly)
		return (0);
	stripes(&s->want, &j->h, &first, &last);
	return (s->desperate || j->bad <= 1 + (last - first + 1) / 4);
}

/* Is the segment complete?  1, 0, -1. */
static int
settle(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	int i, whole = 0, hurt = 0, shares = 0, rc;
	struct job *j;

	lead(f, s);
	if (s->model == NULL || s->undecided)
		return (0);
	for (i = 0; i < GE_N_MAX; i++) {
		if (!leads(s, j = s->job[i]))
			continue;
		shares += j->share_ok;
		whole += j->state == JOB_WHOLE && !j->headeronly;
		hurt += !j->running && mendable(s, j);
	}
	for (i = 0; i < GE_N_MAX && whole < s->need &&
	    whole + hurt >= s->need; i++) {
		if (!leads(s, j = s->job[i]) || j->running || !mendable(s, j))
			continue;
		if ((rc = mend(f, s, j, e)) == -1)
			return (-1);
		hurt--;
		whole += rc;
		j->beyond = rc == 0;
	}
	return (whole >= s->need && shares >= s->shares);
}

/* Other places of dead jobs, that the survey has brought to light. */
static int
revive(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	int i, n = 0, rc;

	for (i = 0; i < GE_N_MAX && room(f, s); i++) {
		if (s->job[i] == NULL || s->job[i]->state != JOB_DEAD)
			continue;
		if ((rc = job_ask(f, s->job[i], e)) == -1)
			return (-1);
		n += rc;
	}
	return (n);
}

static void
give_up(const struct ge_fetch *f, struct ge_slot *s)
{
	unsigned long seg = s->want.segment;
	int i, whole = 0, silent = s->unanswered, code;
	struct ge_err *e = &s->why;
	size_t site;

	for (i = 0; i < GE_N_MAX; i++)
		whole += leads(s, s->job[i]) && s->job[i]->state ==
		    JOB_WHOLE && !s->job[i]->headeronly;
	for (site = 0; site < f->st->sites->n && f->surveyed; site++)
		silent |= !f->survey.answered[site] && !f->st->gone[site];
	code = silent ? GE_EFAIL : GE_ELOST;
	if (s->undecided && !silent)
		ge_fail(e, whole >= s->need ? GE_EREFUSED : GE_ELOST,
		    "segment %lu: the headers of its fragments contradict each "
		    "other", seg);
	else if (s->model != NULL && whole >= s->need)
		ge_fail(e, code, s->undecided ? "segment %lu: too few sites "
		    "answer to tell which of its fragments are true" :
		    "segment %lu: fewer than %d key shares of one epoch can be "
		    "had", seg, s->shares);
	else
		ge_fail(e, code, "segment %lu: %d good fragments are needed, "
		    "%d can be had%s", seg, s->need, whole, silent ?
		    "; some sites do not answer" : "");
}

/*
 * Nothing is under way and it is not enough: look elsewhere, with ever more
 * patience.  0, -1; s->why.code set: it cannot be had.
 */
static int
look_further(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	double t;
	int i, n;

	while (!s->want.brief && f->surveyed < 2) {
		ge_note(GE_SAY, "segment %lu: looking for fragments elsewhere",
		    (unsigned long)s->want.segment);
		if (survey(f, f->surveyed, e) == -1)
			return (-1);
		if ((n = revive(f, s, e)) != 0)
			return (n == -1 ? -1 : 0);
		if (soonest(f, s, &t) != -1)
			return (0);
	}
	if ((n = s->want.brief ? 0 : revive(f, s, e)) != 0)
		return (n == -1 ? -1 : 0);
	if (soonest(f, s, &t) != -1)
		return (0);
	for (i = 0; i < GE_N_MAX && !s->desperate; i++)
		if (s->job[i] != NULL)
			s->job[i]->beyond = 0;
	if (s->desperate || s->want.brief)
		give_up(f, s);
	s->desperate = 1;
	return (0);
}

/* Ask for what is still needed.  0, -1; s->why.code set: it cannot be had. */
static int
schedule(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	int i, hope = 0, shares = 0, running = 0, idx, site, epoch;
	double t;

	for (i = 0; i < GE_N_MAX; i++) {
		const struct job *j = s->job[i];

		if (j == NULL)
			continue;
		running += j->running;
		if (j->hdr == NULL ? j->running : leads(s, j)) {
			hope += !j->headeronly && j->state != JOB_DEAD &&
			    (j->state != JOB_HURT || mendable(s, j));
			shares += j->hdr == NULL || j->share_ok;
		}
	}
	for (; hope < s->need; hope++, shares++, running++) {
		if ((idx = soonest(f, s, &t)) == -1)
			break;
		if (!room(f, s))
			return (0);
		if (job_start(f, s, idx, 0, e) == -1)
			return (-1);
	}
	for (; shares < s->shares && hope >= s->need; shares++, running++) {
		if ((idx = soonest(f, s, &t)) == -1)
			break;
		if (!room(f, s))
			return (0);
		if (job_start(f, s, idx, 1, e) == -1)
			return (-1);
	}
	/* More witnesses, one index of each site. */
	for (i = 0; s->undecided && hope >= s->need && i < GE_N_MAX; i++) {
		if (s->job[i] != NULL ||
		    (site = place(f, s, i, NULL, &epoch)) == -1 ||
		    f->vote[site] > 1)
			continue;
		if (!room(f, s))
			return (0);
		f->vote[site] = 2;
		if (job_start(f, s, i, 1, e) == -1)
			return (-1);
		running++;
	}
	return (running > 0 ? 0 : look_further(f, s, e));
}

/*
 * What crawls: if another index would be here long before, ask for that too.  But
 * not while most of the segment is still to come: then all may be slow.
 */
static int
hedge(struct ge_fetch *f, struct ge_slot *s, struct ge_err *e)
{
	struct speed *sp;
	struct job *j;
	double t, left, other;
	uint64_t got;
	int i, idx, whole = 0;

	for (i = 0; i < GE_N_MAX; i++)
		whole += leads(s, s->job[i]) && s->job[i]->state == JOB_WHOLE;
	for (i = 0; i < GE_N_MAX; i++) {
		j = s->job[i];
		if (j == NULL || !j->running || j->hedged)
			continue;
		sp = &f->speed[j->site];
		if (ge_op_waits(f->st->net, &j->op)) {
			/* Its turn has not come: its site has others to do. */
			j->began = ge_clock();
			if (sp->rate == 0)
				continue;
			left = (double)sp->under_way / sp->rate;
			t = 0;
		} else {
			t = ge_clock() - j->began;
			got = j->counted;
			if (t < 0.15 || (got == 0 && t < 0.5))
				continue;
			left = got > 0 ? t * (double)(j->op.len - got) /
			    (double)got : 1e9;
		}
		if ((idx = soonest(f, s, &other)) == -1 ||
		    left < 2 * other + 0.2 || (2 * whole < s->need && t < 1 &&
		    left < 4 * other) || !room(f, s))
			continue;
		ge_note(GE_DETAIL, "site '%s' is slow: segment %lu, fragment "
		    "%d asked for as well", f->st->sites->site[j->site].name,
		    (unsigned long)s->want.segment, idx);
		if (job_start(f, s, idx, j->headeronly, e) == -1)
			return (-1);
		j->hedged = 1;
		f->hedged++;
	}
	return (0);
}

/* What has come of all that is under way. */
static void
measure_all(struct ge_fetch *f)
{
	struct job *j;
	size_t i;
	int k;

	for (i = 0; i < f->st->sites->n; i++) {
		sample(&f->speed[i]);
		f->speed[i].begun = 0;
	}
	for (i = 0; i < f->nopen; i++)
		for (k = 0; k < GE_N_MAX; k++) {
			j = f->slot[i]->job[k];
			if (j == NULL || !j->running)
				continue;
			came(&f->speed[j->site], j,
			    ge_op_progress(f->st->net, &j->op));
			f->speed[j->site].begun += !ge_op_waits(f->st->net,
			    &j->op);
		}
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
		s->epoch = -1;
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
		measure_all(f);
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
	ge_free(f->vote);
	if (f->spool != -1)
		close(f->spool);
	ge_free(f);
}
