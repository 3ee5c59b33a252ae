#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/sha256.h"

/*
 * What is not whole is made again where it belongs; what is on a site that is to
 * be treated as gone, or where the rule forbids it, gets another.  The segments
 * are fetched one after the other, k fragments of each; from a site that is being
 * emptied and still answers, the fragment itself.
 *
 * The history of a segment is what the manifests tell, what the sites list, for a
 * repair may have been killed before it could tell, and what this run has tried.
 */

enum {
	POOL = 96 << 20,
	MEMORY = 48 << 20,		/* rebuilt fragments of a segment; more go
					   to a spool file */
	WINDOWS = 24 << 20,		/* of all payloads at a time */
	EPOCH_MAX = 255,
	ROUNDS = 4,			/* other sites for a fragment */
	BATCH = 64,
	AGAIN = 8			/* manifests in a row, if others write too */
};

/* A fragment to be made, or moved. */
struct task {
	uint32_t segment;
	uint8_t index;
	uint8_t bad;			/* not to be read */
	uint8_t move;			/* to another site */
	uint8_t there;			/* a bad object is in the way */
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
	uint8_t record[32];
	size_t hlen;			/* of a header */
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
	struct ge_err why;		/* the worst of what stays */
	struct found *found;
	size_t nfound, capfound;
	uint8_t *told;			/* [nsegs] epochs as the manifest has them */
	uint8_t *whole;			/* [nsegs] fragments that our check found
					   whole and of the segment's epoch */
	int nomem;
	struct spots moved;		/* has come to another place */
	struct spots tried;		/* no answer: it may have come there */
	struct fresh *fresh;
	size_t nfresh, capfresh;
	uint64_t *ever;			/* [sites] */
	uint8_t *barred;		/* [sites] */
	const char **name;		/* [GE_N_MAX] of sites */
	int spool;
	/* The segment at work. */
	uint8_t *mem;
	size_t memlen;
};

/* The worst is the last message; the others are told as they come. */
static void
worse(struct healer *hl, const struct ge_err *e)
{
	static const int rank[] = { [GE_EFAIL] = 2, [GE_EDEGRADED] = 1,
	    [GE_ELOST] = 3, [GE_EREFUSED] = 4, [GE_EUSAGE] = 0 };

	if (hl->why.code != 0 && rank[e->code] <= rank[hl->why.code]) {
		ge_note(GE_WARN, "%s", e->msg);
		return;
	}
	if (hl->why.code != 0)
		ge_note(GE_WARN, "%s", hl->why.msg);
	hl->why = *e;
}

static int16_t *
places(const struct healer *hl, uint32_t segment)
{

	return (&hl->map.at[(size_t)segment * (size_t)hl->map.n]);
}

static int
add_spot(struct spots *sp, uint32_t segment, int index, int epoch, int site,
    struct ge_err *e)
{
	struct spot *v;

	if (ge_grow(&sp->v, &sp->cap, sp->n + 1, sizeof(*sp->v), e) == -1)
		return (-1);
	v = &sp->v[sp->n++];
	v->segment = segment;
	v->index = (uint8_t)index;
	v->epoch = (uint8_t)epoch;
	v->site = (int16_t)site;
	return (0);
}

/* What each site has, or may have, had of a segment in an epoch: into hl->ever. */
static void
history(struct healer *hl, uint32_t segment, int epoch)
{
	const struct ge_seen *seen;
	const struct spot *v;
	size_t n, i;
	int idx;

	ge_map_ever(&hl->map, segment, epoch, hl->ever);
	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		for (i = 0; i < n; i++)
			if (seen[i].epoch == epoch)
				hl->ever[seen[i].site] |= (uint64_t)1 << idx;
	}
	for (i = hl->tried.n; i-- > 0; ) {
		v = &hl->tried.v[i];
		if (v->segment == segment && v->epoch == epoch)
			hl->ever[v->site] |= (uint64_t)1 << v->index;
	}
}

/* The newest epoch that anybody knows of. */
static int
newest(const struct healer *hl, uint32_t segment)
{
	const struct ge_seen *seen;
	const struct ge_mapline *l;
	uint32_t i;
	size_t n;
	int idx, epoch = hl->map.epoch[segment];

	for (i = hl->map.first[segment]; i < hl->map.first[segment + 1]; i++) {
		l = &hl->map.line[i];
		if (hl->map.from[l->from]->place[l->place].epoch > epoch)
			epoch = hl->map.from[l->from]->place[l->place].epoch;
	}
	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		while (n-- > 0)
			if (seen[n].epoch > epoch)
				epoch = seen[n].epoch;
	}
	return (epoch);
}

/* Is it said to be at a site that the sites file does not name? */
static int
elsewhere(const struct healer *hl, uint32_t segment, int index)
{
	const struct ge_manifest *m = &hl->kn->m;
	const struct ge_mapline *l;
	const struct ge_place *pl;
	uint32_t i;
	int q;

	if (places(hl, segment)[index] != -1 || hl->map.unknown == 0)
		return (0);
	for (i = hl->map.first[segment]; i < hl->map.first[segment + 1]; i++) {
		l = &hl->map.line[i];
		pl = &m->place[l->place];
		for (q = 0; l->from == 0 && q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == index)
				return (1);
	}
	return (0);
}

static int
add_task(struct healer *hl, const struct found *f, struct ge_err *e)
{
	int16_t at = places(hl, f->segment)[f->index];
	int gone = at != -1 && hl->st->gone[at];
	struct task *t;

	if (ge_grow(&hl->task, &hl->captasks, hl->ntasks + 1,
	    sizeof(*hl->task), e) == -1)
		return (-1);
	t = &hl->task[hl->ntasks++];
	memset(t, 0, sizeof(*t));
	t->segment = f->segment;
	t->index = (uint8_t)f->index;
	t->site = -1;
	t->found = -1;
	t->move = f->state == GE_STATE_MISPLACED || at == -1 || gone;
	/* Of a site that is treated as gone nobody has asked. */
	t->bad = !gone && (f->state == GE_STATE_MISSING ||
	    f->state == GE_STATE_CORRUPT || f->state == GE_STATE_STALE);
	t->there = t->bad && f->state == GE_STATE_CORRUPT;
	if (f->state == GE_STATE_MISPLACED && (f->site != at ||
	    f->epoch > hl->map.epoch[f->segment])) {
		t->found = f->site;
		t->epoch = (uint8_t)f->epoch;
	}
	return (0);
}

static int
by_fragment(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	if (x->segment != y->segment)
		return (x->segment < y->segment ? -1 : 1);
	if (x->index != y->index)
		return (x->index < y->index ? -1 : 1);
	/* Of two that name one fragment the one that knows more. */
	if (x->bad != y->bad)
		return (y->bad - x->bad);
	return (y->found - x->found);
}

static void
note_finding(void *arg, const struct ge_finding *f)
{
	struct healer *hl = arg;
	struct found *l;
	struct ge_err ignored;
	int later;

	/* Old shares go when all new ones are known to be there. */
	if (!f->known || f->beside || f->segment >= hl->map.nsegs ||
	    f->index >= hl->map.n)
		return;
	/* New shares of which a repair that was killed could not tell. */
	later = f->state == GE_STATE_OK &&
	    f->epoch > hl->map.epoch[f->segment];
	if (f->state == GE_STATE_OK && !later) {
		hl->whole[f->segment] += f->epoch ==
		    hl->map.epoch[f->segment];
		return;
	}
	if (ge_grow(&hl->found, &hl->capfound, hl->nfound + 1,
	    sizeof(*hl->found), &ignored) == -1) {
		hl->nomem = 1;
		return;
	}
	l = &hl->found[hl->nfound++];
	l->state = later ? GE_STATE_MISPLACED : f->state;
	l->segment = f->segment;
	l->index = f->index;
	l->epoch = f->epoch;
	l->site = (int16_t)ge_sites_find(hl->st->sites, f->site);
}

/* What our own check finds.  0, -1. */
static int
audit(struct healer *hl, struct ge_err *e)
{
	struct ge_check check;
	int rc;

	memset(&check, 0, sizeof(check));
	check.noshares = hl->h->blind;
	check.found = note_finding;
	check.arg = hl;
	if ((hl->whole = ge_alloc(hl->map.nsegs, e)) == NULL)
		return (-1);
	rc = ge_check_run(&check, hl->st, hl->kn, e);
	hl->h->audited = check.received;
	if (hl->nomem)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	if (rc == -1 && (e->code == GE_EREFUSED || ge_hook_tick(0, e) == -1 ||
	    (hl->nfound == 0 && e->code != GE_EDEGRADED)))
		return (-1);
	/* What has been cannot be mended. */
	if (rc == -1 && check.history > 0) {
		ge_fail(e, GE_EDEGRADED, "the places of the past break the "
		    "placement rule: make a new set");
		worse(hl, e);
	}
	return (0);
}

static int
take_report(struct healer *hl, struct ge_err *e)
{
	const struct ge_report_line *l = hl->h->report;
	struct ge_finding f = { .known = 1, .site = "-" };
	size_t i;

	for (i = 0; i < hl->h->nreport; i++) {
		f.state = l[i].state;
		f.segment = l[i].segment;
		f.index = l[i].index;
		if (f.state != GE_STATE_OK)
			note_finding(hl, &f);
	}
	return (hl->nomem ? ge_fail(e, GE_EFAIL, "out of memory") : 0);
}

/* Does the report tell of old shares?  What else there is decides if they go. */
static int
old_reported(const struct ge_heal *h)
{
	size_t i;

	for (i = 0; i < h->nreport && !h->report[i].beside; i++)
		;
	return (i < h->nreport);
}

/* What is to be done: of the report, or of a check of our own; and what -x says. */
static int
plan(struct healer *hl, struct ge_err *e)
{
	struct found *f, gone;
	size_t i, o;
	int16_t at;

	if ((hl->h->report != NULL && !old_reported(hl->h) ?
	    take_report(hl, e) : audit(hl, e)) == -1)
		return (-1);
	for (i = 0; i < hl->nfound; i++) {
		f = &hl->found[i];
		at = places(hl, f->segment)[f->index];
		if (f->state == GE_STATE_UNREACHABLE && (at != -1 ?
		    !hl->st->gone[at] : elsewhere(hl, f->segment, f->index)))
			hl->unreachable++;
		else if (add_task(hl, f, e) == -1)
			return (-1);
	}
	memset(&gone, 0, sizeof(gone));
	gone.state = GE_STATE_OK;
	for (i = 0; i < hl->map.nsegs * (size_t)hl->map.n; i++) {
		gone.segment = (uint32_t)(i / (size_t)hl->map.n);
		gone.index = (int)(i % (size_t)hl->map.n);
		at = hl->map.at[i];
		if ((at == -1 ? !elsewhere(hl, gone.segment, gone.index) :
		    hl->st->gone[at]) && add_task(hl, &gone, e) == -1)
			return (-1);
	}
	if (hl->ntasks > 0)
		qsort(hl->task, hl->ntasks, sizeof(*hl->task), by_fragment);
	for (i = o = 0; i < hl->ntasks; i++)
		if (o == 0 || hl->task[o - 1].segment != hl->task[i].segment ||
		    hl->task[o - 1].index != hl->task[i].index)
			hl->task[o++] = hl->task[i];
	hl->ntasks = o;
	return (0);
}

/* The tasks of one segment begin at i; how many? */
static size_t
together(const struct healer *hl, size_t i)
{
	size_t n = 1;

	while (i + n < hl->ntasks &&
	    hl->task[i + n].segment == hl->task[i].segment)
		n++;
	return (n);
}

/*
 * Could all tasks of a segment be done by copying: each lies whole on a site that
 * is being emptied?
 */
static int
copyable(const struct healer *hl, size_t i, size_t n)
{
	size_t j;

	for (j = i; j < i + n; j++)
		if (hl->task[j].bad || hl->task[j].site != -1 || places(hl,
		    hl->task[j].segment)[hl->task[j].index] == -1)
			return (0);
	return (hl->kn->evidence && (!hl->h->blind ||
	    hl->kn->m.mode == GE_PLAIN));
}

static int
done(const struct healer *hl, size_t i, size_t n)
{
	size_t j;

	for (j = i; j < i + n; j++)
		if (hl->task[j].site == -1)
			return (0);
	return (1);
}

static int
next_want(void *arg, struct ge_want *w)
{
	struct healer *hl = arg;
	size_t i, j, n;

	while ((i = hl->at) < hl->ntasks) {
		n = together(hl, i);
		hl->at += n;
		if (hl->copying ? !copyable(hl, i, n) : done(hl, i, n))
			continue;
		memset(w, 0, sizeof(*w));
		w->segment = hl->task[i].segment;
		w->all = 1;
		w->allowed = hl->copying ? 0 : UINT64_MAX;
		for (j = i; j < i + n; j++) {
			if (hl->copying)
				w->allowed |= (uint64_t)1 << hl->task[j].index;
			else if (hl->task[j].bad)
				w->allowed &= ~((uint64_t)1 <<
				    hl->task[j].index);
		}
		w->need = hl->copying ? (int)n : 0;
		w->brief = hl->copying;
		w->gone = 1;
		w->shares = hl->copying || hl->h->blind ? -1 : 0;
		w->blind = hl->h->blind && hl->kn->m.mode != GE_PLAIN;
		return (1);
	}
	return (0);
}

/* A place for the finished fragments of the segment: memory, or a spool file. */
static int
room(struct healer *hl, size_t n, size_t each, struct ge_err *e)
{
	if (n * each > MEMORY) {
		if (hl->spool == -1)
			hl->spool = ge_spool_open(e);
		return (hl->spool == -1 ? -1 : 1);
	}
	if (n * each > hl->memlen) {
		ge_block_free(hl->mem);
		hl->memlen = 0;
		if ((hl->mem = ge_block_alloc(n * each, e)) == NULL)
			return (-1);
		hl->memlen = n * each;
	}
	return (0);
}

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

static int
keep(struct healer *hl, const struct making *mk, int i, uint64_t off,
    const uint8_t *buf, size_t len, struct ge_err *e)
{
	uint64_t at = (uint64_t)i * mk->g->h.fraglen + off;

	if (mk->spooled)
		return (ge_pwrite(hl->spool, buf, len, at, e) == -1 ?
		    ge_within(e, "spool file") : 0);
	memcpy(hl->mem + at, buf, len);
	return (0);
}

static int
fetched_as(const struct ge_fetched *g, int index)
{
	int i;

	for (i = 0; i < g->nfrags; i++)
		if (g->frag[i].index == index)
			return (i);
	return (-1);
}

/* The payloads, a window of whole blocks at a time, checked against the table. */
static int
make_payloads(struct healer *hl, const struct making *mk, struct ge_err *e)
{
	const struct ge_hdr *h = &mk->g->h;
	uint8_t have[GE_N_MAX], want[GE_N_MAX], *dst[GE_N_MAX];
	const uint8_t *src[GE_N_MAX];
	uint8_t *buf, good[GE_STRIPES_MAX];
	size_t step = h->block, len;
	uint64_t off, all = h->fraglen - h->len;
	int i, at, n = 0, k = mk->g->nfrags, rc = -1, back[GE_N_MAX];
	uint32_t first, blocks;

	while (2 * step * (size_t)(k + mk->n) <= WINDOWS)
		step *= 2;
	if ((buf = ge_block_alloc((size_t)(k + mk->n) * step, e)) == NULL)
		return (-1);
	for (i = 0; i < k; i++) {
		have[i] = (uint8_t)mk->g->frag[i].index;
		src[i] = buf + (size_t)i * step;
	}
	for (i = 0; i < mk->n; i++)
		if (fetched_as(mk->g, mk->want[i]) == -1) {
			back[n] = i;
			dst[n] = buf + (size_t)(k + n) * step;
			want[n++] = mk->want[i];
		}
	for (off = 0; off < all; off += len) {
		len = all - off < step ? (size_t)(all - off) : step;
		first = (uint32_t)(off / h->block);
		blocks = (uint32_t)((len + h->block - 1) / h->block);
		for (i = 0; i < k; i++)
			if (ge_fetched_read(mk->f, mk->g, i, off,
			    buf + (size_t)i * step, len, e) == -1)
				goto out;
		if (n > 0 && ge_payload_rebuild(h->k, h->n, have, src, want, n,
		    dst, len, e) == -1)
			goto out;
		for (i = 0; i < n; i++) {
			if (ge_blocks_check(h, mk->hdr, mk->g->dh, want[i],
			    first, blocks, dst[i], good) != blocks) {
				ge_fail(e, GE_EREFUSED, "segment %lu: what was "
				    "rebuilt is not what the header says",
				    (unsigned long)h->segment);
				goto out;
			}
			if (keep(hl, mk, back[i], h->len + off, dst[i], len,
			    e) == -1)
				goto out;
		}
		for (i = 0; i < mk->n; i++)
			if ((at = fetched_as(mk->g, mk->want[i])) != -1 &&
			    keep(hl, mk, i, h->len + off, src[at], len, e) ==
			    -1)
				goto out;
		if (ge_hook_tick(len * (size_t)mk->n, e) == -1)
			goto out;
	}
	rc = 0;
out:
	ge_block_free(buf);
	return (rc);
}

/* The header of one index, in mk->hdr and as h says. */
static void
stamp(const struct making *mk, int index, struct ge_hdr *h)
{

	*h = mk->g->h;
	h->index = index;
	h->epoch = h->mode == GE_PLAIN ? 0 : mk->epoch;
	h->has_share = mk->shares != NULL;
	ge_hdr_stamp(mk->hdr, &mk->g->h, index, mk->epoch, mk->shares != NULL ?
	    mk->shares[index] : NULL);
}

/* Headers of ours, with their shares, are not to lie about. */
static int
forget(struct healer *hl, const struct making *mk, struct ge_err *e)
{
	static const uint8_t zero[32];
	uint64_t at;
	int i;

	for (i = 0; i < mk->n && mk->shares != NULL; i++) {
		at = (uint64_t)i * mk->g->h.fraglen + mk->g->h.share;
		if (!mk->spooled)
			ge_wipe(hl->mem + at, sizeof(zero));
		else if (ge_pwrite(hl->spool, zero, sizeof(zero), at, e) == -1)
			return (ge_within(e, "spool file"));
	}
	return (0);
}

/* Is what was put there?  1, 0, -1. */
static int
arrived(struct healer *hl, const struct making *mk, int i, struct ge_op *op,
    struct ge_err *why)
{
	struct ge_op *one = op;
	struct ge_hdr own;
	enum ge_op_result code;
	int rc;

	*why = op->err;
	if (op->result != GE_OP_DONE && op->result != GE_OP_EXISTS)
		return (0);
	stamp(mk, mk->want[i], &own);
	rc = ge_object_proved(hl->st, op->site, op->name, &own, mk->hdr, 0,
	    &code, why);
	/* Absent, the report said; but it is there, and damaged. */
	if (rc == 0 && op->result == GE_OP_EXISTS && code == GE_OP_EXISTS &&
	    why->code == GE_EDEGRADED) {
		op->replace = 1;
		if (ge_op_run(hl->st->net, &one, 1, why) == -1) {
			rc = -1;
		} else {
			*why = op->err;
			if (op->result == GE_OP_DONE)
				rc = ge_object_proved(hl->st, op->site,
				    op->name, &own, mk->hdr, 0, &code, why);
		}
	}
	ge_wipe(mk->hdr + own.share, own.len - own.share);
	return (rc);
}

/*
 * Put what has been made to its sites and see that it is there.
 *
 *	site  [mk->n]  in/out  where to; -1 afterwards: it is not there
 *	over  [mk->n]  in      a bad object is in the way
 */
static int
put_all(struct healer *hl, const struct making *mk, int16_t *site,
    const uint8_t *over, struct ge_err *e)
{
	const struct ge_hdr *h = &mk->g->h;
	struct ge_hdr own;
	struct ge_op op[GE_N_MAX], *todo[GE_N_MAX];
	struct ge_err why;
	char name[GE_FRAG_NAME];
	int i, rc = -1, n = 0;

	memset(op, 0, sizeof(op));
	for (i = 0; i < mk->n; i++) {
		if (site[i] == -1)
			continue;
		stamp(mk, mk->want[i], &own);
		rc = keep(hl, mk, i, 0, mk->hdr, h->len, e);
		ge_wipe(mk->hdr + h->share, h->len - h->share);
		if (rc == -1)
			goto out;
		op[i].kind = GE_OP_PUT;
		op[i].site = site[i];
		snprintf(op[i].name, sizeof(op[i].name), "%s", ge_frag_name(
		    name, h->setid, h->segment, mk->want[i], mk->epoch));
		op[i].replace = over != NULL && over[i];
		op[i].len = h->fraglen;
		if (mk->spooled) {
			op[i].fd = hl->spool;
			op[i].fdoff = (uint64_t)i * h->fraglen;
		} else {
			op[i].body = hl->mem + (size_t)i * h->fraglen;
		}
		todo[n++] = &op[i];
	}
	rc = -1;
	if (ge_op_run(hl->st->net, todo, (size_t)n, e) == -1)
		goto out;
	for (i = 0; i < mk->n; i++) {
		if (site[i] == -1)
			continue;
		switch (arrived(hl, mk, i, &op[i], &why)) {
		case -1:
			*e = why;
			goto out;
		case 0:
			ge_note(GE_WARN, "%s", why.msg);
			hl->barred[site[i]] = 1;
			if (op[i].result != GE_OP_DENIED &&
			    add_spot(&hl->tried, h->segment, mk->want[i],
			    mk->epoch, site[i], e) == -1)
				goto out;
			site[i] = -1;
			continue;
		}
		if (op[i].result == GE_OP_DONE)
			hl->h->written += h->fraglen;
		ge_note(GE_SAY, "%s: at site '%s'", op[i].name,
		    hl->st->sites->site[site[i]].name);
	}
	rc = 0;
out:
	return (forget(hl, mk, rc == -1 ? &why : e) == -1 ? -1 : rc);
}

/*
 * Sites for the tasks i..i+n-1 of a segment; those that stay keep theirs.
 *
 *	now  [n of the set]  out
 *
 * 1 if that takes a new epoch: in this one some domain would have held enough to
 * read.
 */
static int
sites_for(struct healer *hl, size_t i, size_t n, int epoch, int16_t *now,
    struct ge_err *e)
{
	const int16_t *at = places(hl, hl->task[i].segment);
	struct ge_err why;
	size_t j;
	int idx;

	for (idx = 0; idx < hl->map.n; idx++)
		now[idx] = at[idx] == -1 || hl->st->gone[at[idx]] ? -2 :
		    at[idx];
	for (j = i; j < i + n; j++)
		if (hl->task[j].site == -1 && (hl->task[j].move ||
		    (at[hl->task[j].index] != -1 &&
		    hl->barred[at[hl->task[j].index]])))
			now[hl->task[j].index] = -1;
		else if (hl->task[j].site != -1)
			now[hl->task[j].index] = hl->task[j].site;
	history(hl, hl->task[i].segment, epoch);
	if (ge_rule_choose(&hl->rule, hl->ever, now, hl->barred, e) == 0)
		return (0);
	if (e->code != GE_EREFUSED || hl->kn->m.mode == GE_PLAIN ||
	    hl->h->blind)
		return (-1);
	memset(hl->ever, 0, hl->st->sites->n * sizeof(*hl->ever));
	why = *e;
	if (ge_rule_choose(&hl->rule, hl->ever, now, hl->barred, e) == 0)
		return (1);
	*e = why;
	return (-1);
}

/* The shares of the segment: as they are, or of a new epoch if not 0.  0, -1. */
static int
make_shares(struct healer *hl, struct making *mk, int epoch,
    uint8_t (*all)[32], struct ge_err *e)
{
	struct ge_hdr own = mk->g->h;
	const struct ge_hdr *h = &own;
	uint8_t (*some)[32] = NULL, idx[GE_N_MAX];
	int i, n = 0, rc = -1;

	mk->shares = NULL;
	if (h->mode == GE_PLAIN || hl->h->blind)
		return (0);
	own.epoch = mk->epoch;
	if ((some = ge_secret_alloc(GE_N_MAX * sizeof(*some), e)) == NULL)
		return (-1);
	for (i = 0; i < mk->g->nheaders && n < h->k; i++) {
		if (!mk->g->frag[i].has_share)
			continue;
		memcpy(some[n], mk->g->frag[i].hdr + h->share, 32);
		idx[n++] = (uint8_t)mk->g->frag[i].index;
	}
	rc = n < h->k ? 0 : epoch > 0 ? ge_shares_refresh(h, mk->hdr,
	    mk->g->dh, idx, (const uint8_t (*)[32])some, epoch, all, e) :
	    ge_shares_all(h, mk->hdr, mk->g->dh, idx,
	    (const uint8_t (*)[32])some, all, e);
	if (epoch > 0 && rc == 0 && n == h->k)
		rc = 1;
	if (rc == 0)
		rc = ge_fail(e, GE_EREFUSED, "segment %lu: the shares "
		    "contradict the header", (unsigned long)h->segment);
	if (epoch > 0)
		mk->epoch = epoch;
	mk->shares = all;
	ge_secret_free(some, GE_N_MAX * sizeof(*some));
	return (rc == -1 ? -1 : 0);
}

/* Copies keep the share that they carry: 1; 0 if one has none that is good. */
static int
own_shares(struct making *mk, uint8_t (*all)[32])
{
	int i;

	mk->shares = NULL;
	if (mk->g->h.mode == GE_PLAIN)
		return (1);
	for (i = 0; i < mk->g->nheaders; i++) {
		if (!mk->g->frag[i].has_share ||
		    mk->g->frag[i].epoch != mk->epoch)
			return (0);
		memcpy(all[mk->g->frag[i].index], mk->g->frag[i].hdr +
		    mk->g->h.share, 32);
	}
	mk->shares = all;
	return (1);
}

static void
hash_record(uint8_t out[32], const struct ge_hdr *h, const uint8_t *hdr,
    const uint8_t root[32])
{
	struct ge_sha256 sha;

	ge_sha256_init(&sha);
	ge_sha256_add(&sha, root, 32);
	ge_sha256_add(&sha, hdr + h->records, 32 * (size_t)h->n);
	ge_sha256_end(&sha, out);
}

/*
 * All n in a new epoch, beside the old; the old go when the manifest tells of the
 * new ones.
 */
static int
refresh(struct healer *hl, struct making *mk, const int16_t *now,
    struct ge_err *e)
{
	const struct ge_hdr *h = &mk->g->h;
	uint8_t want[GE_N_MAX];
	int16_t site[GE_N_MAX];
	struct fresh *fr;
	int i, placed = 0;

	for (i = 0; i < h->n; i++) {
		want[i] = (uint8_t)i;
		site[i] = now[i] < 0 ? -1 : now[i];
	}
	mk->want = want;
	mk->n = h->n;
	if ((mk->spooled = room(hl, (size_t)mk->n, h->fraglen, e)) == -1 ||
	    make_payloads(hl, mk, e) == -1 ||
	    put_all(hl, mk, site, NULL, e) == -1)
		return (-1);
	for (i = 0; i < mk->n; i++)
		placed += site[i] != -1;
	if (placed < mk->n) {
		ge_fail(e, GE_EDEGRADED, "segment %lu: new shares reached %d "
		    "of %d sites; the old stay", (unsigned long)h->segment,
		    placed, mk->n);
		worse(hl, e);
		hl->left++;
		return (0);
	}
	if (ge_grow(&hl->fresh, &hl->capfresh, hl->nfresh + 1,
	    sizeof(*hl->fresh), e) == -1)
		return (-1);
	fr = &hl->fresh[hl->nfresh];
	if ((fr->site = ge_alloc((size_t)h->n * sizeof(*fr->site), e)) == NULL)
		return (-1);
	hl->nfresh++;
	fr->segment = h->segment;
	fr->epoch = (uint8_t)mk->epoch;
	fr->hlen = h->len;
	memcpy(fr->site, site, (size_t)h->n * sizeof(*fr->site));
	hash_record(fr->record, h, mk->hdr, mk->g->root);
	for (i = 0; i < mk->n; i++)
		if (add_spot(&hl->moved, h->segment, i, mk->epoch, site[i],
		    e) == -1)
			return (-1);
	hl->h->refreshed++;
	return (0);
}

/* Has the segment come to this epoch since we looked? */
static int
overtaken(const struct healer *hl, uint32_t segment, int epoch)
{

	return (hl->kn->m.mode != GE_PLAIN && epoch != hl->map.epoch[segment] &&
	    epoch > newest(hl, segment));
}

/* Tasks i..i+n-1, of which the segment has been fetched. */
static int
treat(struct healer *hl, struct ge_fetch *f, const struct ge_fetched *g,
    size_t i, size_t n, struct ge_err *e)
{
	struct making mk = { .f = f, .g = g, .epoch = g->frag[0].epoch };
	const int16_t *at = places(hl, g->h.segment);
	int16_t now[GE_N_MAX], site[GE_N_MAX];
	uint8_t want[GE_N_MAX], over[GE_N_MAX], (*all)[32] = NULL;
	size_t j;
	int fresh, round, c, rc = -1;

	memset(hl->barred, 0, hl->st->sites->n);
	if ((all = ge_secret_alloc(GE_N_MAX * sizeof(*all), e)) == NULL ||
	    (mk.hdr = ge_alloc(g->h.len, e)) == NULL)
		goto out;
	memcpy(mk.hdr, g->frag[0].hdr, g->h.len);
	if (overtaken(hl, g->h.segment, mk.epoch)) {
		ge_fail(e, GE_EFAIL, "segment %lu has been given new shares "
		    "meanwhile: run again", (unsigned long)g->h.segment);
		goto out;
	}
	if ((fresh = sites_for(hl, i, n, mk.epoch, now, e)) == -1)
		goto out;
	/* A number that nobody has used: a repair that was killed may have. */
	if (fresh == 1)
		fresh = newest(hl, g->h.segment) + 1;
	if (fresh > EPOCH_MAX) {
		ge_fail(e, GE_EREFUSED, "segment %lu has used up its epochs: "
		    "make a new set", (unsigned long)g->h.segment);
		goto out;
	}
	if (hl->copying && (fresh > 0 || !own_shares(&mk, all))) {
		rc = 0;			/* the other pass does it */
		goto out;
	}
	if (!hl->copying && make_shares(hl, &mk, fresh, all, e) == -1)
		goto out;
	if (fresh > 0) {
		if ((rc = refresh(hl, &mk, now, e)) == 0)
			for (j = i; j < i + n; j++)
				hl->task[j].site = now[hl->task[j].index];
		goto out;
	}
	for (j = 0; j < n; j++)
		want[j] = hl->task[i + j].index;
	mk.want = want;
	mk.n = (int)n;
	if ((mk.spooled = room(hl, n, g->h.fraglen, e)) == -1 ||
	    make_payloads(hl, &mk, e) == -1)
		goto out;
	/* A site that fails is passed over for another. */
	for (round = 0; round < ROUNDS; round++) {
		for (j = 0, c = 0; j < n; j++) {
			site[j] = hl->task[i + j].site != -1 ? -1 :
			    now[want[j]];
			over[j] = hl->task[i + j].there &&
			    site[j] == at[want[j]];
			c += site[j] >= 0;
		}
		if (c == 0)
			break;
		if (put_all(hl, &mk, site, over, e) == -1)
			goto out;
		for (j = 0, c = 0; j < n; j++) {
			if (hl->task[i + j].site != -1)
				continue;
			if (site[j] == -1) {
				c++;
				continue;
			}
			hl->task[i + j].site = site[j];
			if (hl->copying)
				hl->h->copied++;
			else
				hl->h->rebuilt++;
			if ((site[j] != at[want[j]] ||
			    mk.epoch != hl->told[g->h.segment]) &&
			    add_spot(&hl->moved, g->h.segment, want[j],
			    mk.epoch, site[j], e) == -1)
				goto out;
		}
		if (c == 0 || sites_for(hl, i, n, mk.epoch, now, e) != 0)
			break;
	}
	for (j = 0; j < n && !hl->copying; j++)
		if (hl->task[i + j].site == -1) {
			hl->left++;
			ge_fail(e, GE_EDEGRADED, "segment %lu, fragment %d: "
			    "no site takes it", (unsigned long)g->h.segment,
			    want[j]);
			worse(hl, e);
		}
	rc = 0;
out:
	if (mk.hdr != NULL)
		ge_wipe(mk.hdr, g->h.len);
	ge_free(mk.hdr);
	if (all != NULL)
		ge_secret_free(all, GE_N_MAX * sizeof(*all));
	return (rc);
}

/* One pass over the tasks: by copying, or by rebuilding. */
static int
pass(struct healer *hl, int copying, struct ge_err *e)
{
	struct ge_fetch *f;
	struct ge_fetched g;
	uint64_t received, damaged, hedged;
	size_t i = 0, n;
	int rc;

	hl->copying = copying;
	hl->at = 0;
	if ((f = ge_fetch_new(hl->st, hl->kn, &hl->map, POOL, next_want, hl,
	    e)) == NULL)
		return (-1);
	while ((rc = ge_fetch_next(f, &g, e)) != 0) {
		if (rc == -1 && g.slot == NULL)
			break;
		while (hl->task[i].segment != g.want.segment)
			i++;
		n = together(hl, i);
		if (rc == -1 && copying)
			continue;
		if (rc == 1)
			rc = treat(hl, f, &g, i, n, e);
		if (rc == -1 && e->code == GE_EFAIL && g.slot != NULL &&
		    ge_hook_tick(0, e) == -1)
			break;
		if (rc == -1) {
			worse(hl, e);
			hl->left += n;
		}
		rc = 0;
	}
	ge_fetch_counts(f, &received, &damaged, &hedged);
	hl->h->read += received;
	ge_fetch_free(f);
	return (rc);
}

/*
 * What is whole at another place than the manifest's is there, if the rule allows
 * it: so a repair that was killed goes on.
 */
static int
adopt(struct healer *hl, struct ge_err *e)
{
	int16_t now[GE_N_MAX];
	struct task *t;
	size_t i, j, n;
	int idx;

	for (i = 0; i < hl->ntasks; i += n) {
		n = together(hl, i);
		for (idx = 0; idx < hl->map.n; idx++)
			now[idx] = places(hl, hl->task[i].segment)[idx];
		for (idx = 0; idx < hl->map.n; idx++)
			if (now[idx] != -1 && hl->st->gone[now[idx]])
				now[idx] = -1;
		for (j = i; j < i + n; j++)
			if (hl->task[j].move)
				now[hl->task[j].index] = -1;
		for (j = i; j < i + n; j++) {
			t = &hl->task[j];
			if (t->found == -1)
				continue;
			if (t->epoch > hl->map.epoch[t->segment])
				hl->map.epoch[t->segment] = t->epoch;
			if (!hl->rule.usable[t->found])
				continue;
			history(hl, t->segment, t->epoch);
			for (idx = 0; idx < hl->map.n; idx++)
				if (now[idx] == -1)
					now[idx] = -2;
			now[t->index] = t->found;
			if (ge_rule_check(&hl->rule, hl->ever, now, e) == -1) {
				if (e->code != GE_EREFUSED)
					return (-1);
				now[t->index] = -2;
				continue;
			}
			t->site = t->found;
			places(hl, t->segment)[t->index] = t->found;
			hl->h->adopted++;
			if (add_spot(&hl->moved, t->segment, t->index,
			    t->epoch, t->site, e) == -1)
				return (-1);
		}
	}
	return (0);
}

static int
by_place(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;

	if (x->segment != y->segment)
		return (x->segment < y->segment ? -1 : 1);
	if (x->epoch != y->epoch)
		return (x->epoch - y->epoch);
	if (x->index != y->index)
		return (x->index - y->index);
	return (x->site - y->site);
}

/* Place lines of fragments, one site an index. */
static int
append(struct healer *hl, struct ge_manifest *m, struct spots *sp,
    struct ge_err *e)
{
	const struct spot *v = sp->v;
	uint64_t mask, bit;
	size_t i, j;

	if (sp->n > 0)
		qsort(sp->v, sp->n, sizeof(*sp->v), by_place);
	for (i = 0; i < sp->n; i = j) {
		for (j = i, mask = 0; j < sp->n && v[j].segment ==
		    v[i].segment && v[j].epoch == v[i].epoch; j++) {
			bit = (uint64_t)1 << v[j].index;
			if ((mask & bit) != 0)
				break;
			mask |= bit;
			hl->name[v[j].index] =
			    hl->st->sites->site[v[j].site].name;
		}
		if (ge_manifest_place(m, v[i].epoch, v[i].segment,
		    v[i].segment, mask, hl->name, e) == -1)
			return (-1);
	}
	return (0);
}

static int
same_line(const struct ge_manifest *a, size_t i, const struct ge_manifest *b,
    size_t j)
{
	const struct ge_place *x = &a->place[i], *y = &b->place[j];
	int q;

	if (x->epoch != y->epoch || x->first != y->first ||
	    x->last != y->last || x->n != y->n)
		return (0);
	for (q = 0; q < x->n; q++)
		if (a->placeindex[x->at + (size_t)q] !=
		    b->placeindex[y->at + (size_t)q] ||
		    strcmp(a->sitename[a->placesite[x->at + (size_t)q]],
		    b->sitename[b->placesite[y->at + (size_t)q]]) != 0)
			return (0);
	return (1);
}

/* The last of the first n lines about an index of a segment: its pair, or -1. */
static long
last_pair(const struct ge_manifest *m, size_t n, uint32_t segment, int index,
    int *epoch)
{
	const struct ge_place *pl;
	int q;

	while (n-- > 0) {
		pl = &m->place[n];
		if (segment < pl->first || segment > pl->last)
			continue;
		for (q = 0; q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == index) {
				*epoch = pl->epoch;
				return ((long)pl->at + q);
			}
	}
	return (-1);
}

/* A line of the past into m, of which the first n lines tell what is now. */
static int
recall(struct healer *hl, struct ge_manifest *m, size_t n,
    const struct ge_manifest *from, size_t line, uint64_t *budget,
    struct ge_err *e)
{
	const struct ge_place *pl = &from->place[line];
	uint64_t mask = 0;
	uint32_t s;
	long pair;
	int q, idx, epoch;

	for (q = 0; q < pl->n; q++) {
		idx = from->placeindex[pl->at + (size_t)q];
		mask |= (uint64_t)1 << idx;
		hl->name[idx] = from->sitename[from->placesite[pl->at +
		    (size_t)q]];
	}
	if (ge_manifest_place(m, pl->epoch, pl->first, pl->last, mask,
	    hl->name, e) == -1)
		return (-1);
	for (q = 0; q < pl->n; q++) {
		idx = from->placeindex[pl->at + (size_t)q];
		for (s = pl->first; s <= pl->last && s < hl->map.nsegs; s++) {
			if (*budget < n)
				return (ge_fail(e, GE_EREFUSED, "the manifests "
				    "at the sites contradict each other too "
				    "much"));
			*budget -= n;
			pair = last_pair(m, n, s, idx, &epoch);
			if (pair == -1 || epoch < pl->epoch)
				continue;
			hl->name[idx] = m->sitename[m->placesite[pair]];
			if (ge_manifest_place(m, epoch, s, s, (uint64_t)1 <<
			    idx, hl->name, e) == -1)
				return (-1);
		}
	}
	return (0);
}

/* Is every site of a place line one of the sites file? */
static int
all_known(const struct healer *hl, const struct ge_manifest *m, size_t line)
{
	const struct ge_place *pl = &m->place[line];
	int q;

	for (q = 0; q < pl->n; q++)
		if (ge_sites_find(hl->st->sites, m->sitename[m->placesite[
		    pl->at + (size_t)q]]) == -1)
			return (0);
	return (1);
}

/*
 * Places are history, and history is not to be lost: lines of other manifests of
 * the set that m lacks (another repair has written at the same time, or a site
 * invents a successor) come into it, as the past.  How many; -1.
 */
static long
merge(struct healer *hl, struct ge_known *kn, int next, struct ge_err *e)
{
	uint64_t budget = (uint64_t)1 << 30;
	const struct ge_manifest *a;
	size_t i, p, o, n = kn->m.nplaces;
	long lines = 0;

	for (i = 0; i < kn->nalso; i++) {
		a = &kn->also[i];
		if (hl->st->pins.has_signer &&
		    ge_manifest_counts(a, &hl->st->pins) != 2)
			continue;
		/* One site alone may invent, or have rotted. */
		if (!hl->st->pins.has_signer && kn->alsosites[i] < 2)
			continue;
		for (p = 0; p < a->nplaces && p < n && same_line(a, p,
		    &kn->m, p); p++)
			;
		for (; p < a->nplaces; p++) {
			for (o = 0; o < kn->m.nplaces && !same_line(a, p,
			    &kn->m, o); o++)
				;
			if (o < kn->m.nplaces || !all_known(hl, a, p))
				continue;
			lines++;
			if (next && recall(hl, &kn->m, n, a, p, &budget,
			    e) == -1)
				return (-1);
		}
	}
	return (lines);
}

/* The manifest that comes after kn's, or kn's own if there is nothing to tell. */
static int
compose(struct healer *hl, struct ge_known *kn, struct ge_err *e)
{
	struct ge_heal *h = hl->h;
	size_t i, o;
	long lines;
	int again;

	/* The one that some sites would not have. */
	again = h->text != NULL && h->len == kn->len &&
	    memcmp(h->text, kn->text, kn->len) == 0;
	ge_free(h->text);
	h->text = NULL;
	if ((lines = merge(hl, kn, 0, e)) == -1)
		return (-1);
	if (hl->st->pins.has_signer && hl->st->signkey == NULL)
		lines = again = 0;
	if (hl->moved.n == 0 && lines == 0 && !again) {
		if ((h->text = ge_alloc(kn->len + 1, e)) == NULL)
			return (-1);
		memcpy(h->text, kn->text, kn->len);
		h->len = kn->len;
		return (0);
	}
	if (kn->m.nsigners > 0 && hl->st->signkey == NULL)
		ge_note(GE_WARN, "the new manifest is not signed: give the "
		    "key with -S");
	if (ge_manifest_next(&kn->m, e) == -1)
		return (-1);
	if (lines > 0 && merge(hl, kn, 1, e) == -1)
		return (-1);
	/* Where one may be that has found another place: the past as well. */
	if (hl->moved.n > 0)
		qsort(hl->moved.v, hl->moved.n, sizeof(*hl->moved.v), by_place);
	for (i = o = 0; i < hl->tried.n; i++) {
		struct spot *t = &hl->tried.v[i], at = *t;
		size_t lo = 0, hi = hl->moved.n, mid;

		at.site = -1;
		while (lo < hi) {
			mid = lo + (hi - lo) / 2;
			if (by_place(&hl->moved.v[mid], &at) < 0)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < hl->moved.n && hl->moved.v[lo].segment ==
		    t->segment && hl->moved.v[lo].epoch == t->epoch &&
		    hl->moved.v[lo].index == t->index)
			hl->tried.v[o++] = *t;
	}
	hl->tried.n = o;
	return (append(hl, &kn->m, &hl->tried, e) == -1 ||
	    append(hl, &kn->m, &hl->moved, e) == -1 ||
	    ge_manifest_format(&kn->m, hl->st->signkey, &h->text, &h->len,
	    e) == -1 ? -1 : 0);
}

/*
 * The new manifest: what has been done, on top of the newest there is.  Another
 * repair may be doing the same: then ours goes on top of its.
 */
static int
write_manifest(struct healer *hl, int *stored, struct ge_err *e)
{
	struct ge_known newer;
	struct ge_known *kn = hl->kn;
	int contested = 1, round, rc = -1;

	memset(&newer, 0, sizeof(newer));
	for (round = 0; round < AGAIN && contested > 0; round++) {
		if (round > 0 || hl->moved.n > 0) {
			ge_known_release(&newer);
			if (ge_known_load(hl->st, hl->kn->setid, &newer,
			    e) == 0 && newer.has && memcmp(newer.m.digest,
			    hl->kn->m.digest, 32) == 0 && (round > 0 ||
			    newer.m.serial > hl->kn->m.serial))
				kn = &newer;
			else if (round > 0)
				break;
			if (ge_hook_tick(0, e) == -1)
				goto out;
		}
		if (compose(hl, kn, e) == -1 || ge_manifest_publish(hl->st,
		    kn, &kn->m, hl->h->text, hl->h->len, stored, &contested,
		    e) == -1)
			goto out;
	}
	if (contested == 0)
		(void)ge_state_heard(hl->st, &kn->m, *stored);
	if (contested > 0) {
		ge_fail(e, GE_EFAIL, "%d sites keep another manifest: run "
		    "again", contested);
		worse(hl, e);
	}
	rc = 0;
out:
	ge_known_release(&newer);
	return (rc);
}

/* Are all n of the new epoch at their sites, now that the old are to go? */
static int
settled(struct healer *hl, const struct fresh *fr, struct ge_err *e)
{
	char name[GE_FRAG_NAME];
	struct ge_hdr h;
	struct ge_op op, *one = &op;
	uint8_t *buf, dh[32], root[32], record[32];
	size_t room = fr->hlen;
	int i, rc = -1;

	if ((buf = ge_alloc(room, e)) == NULL)
		return (-1);
	for (i = 0; i < hl->map.n; i++) {
		memset(&op, 0, sizeof(op));
		op.kind = GE_OP_GET;
		op.site = fr->site[i];
		snprintf(op.name, sizeof(op.name), "%s", ge_frag_name(name,
		    hl->kn->setid, fr->segment, i, fr->epoch));
		op.buf = buf;
		op.len = room;
		if (ge_op_run(hl->st->net, &one, 1, e) == -1)
			goto out;
		if (op.result != GE_OP_DONE || ge_hdr_parse(&h, buf,
		    (size_t)op.got, 0, e) == -1 || h.index != i ||
		    h.epoch != fr->epoch || !h.has_share ||
		    (op.size != GE_OP_UNKNOWN && op.size != h.fraglen))
			break;
		ge_hash_descriptor(dh, &h, buf);
		ge_hash_root(root, &h, buf, dh);
		hash_record(record, &h, buf, root);
		if (memcmp(record, fr->record, 32) != 0 ||
		    !ge_share_valid(&h, buf, dh))
			break;
	}
	rc = i == hl->map.n;
out:
	ge_wipe(buf, room);
	ge_free(buf);
	return (rc);
}

/* Objects of a segment that are older than an epoch, at every site that may. */
static int
outdated(struct healer *hl, struct spots *sp, uint32_t segment, int epoch,
    struct ge_err *e)
{
	const struct ge_seen *seen;
	const struct ge_mapline *l;
	const struct ge_manifest *m;
	const struct ge_place *pl;
	uint32_t i;
	size_t n;
	int idx, q, site;

	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		while (n-- > 0)
			if (seen[n].epoch < epoch && add_spot(sp, segment, idx,
			    seen[n].epoch, seen[n].site, e) == -1)
				return (-1);
	}
	/* What is treated as gone has not been asked what it has. */
	for (i = hl->map.first[segment]; i < hl->map.first[segment + 1]; i++) {
		l = &hl->map.line[i];
		m = hl->map.from[l->from];
		pl = &m->place[l->place];
		for (q = 0; pl->epoch < epoch && q < pl->n; q++) {
			site = hl->map.site[l->from][m->placesite[pl->at +
			    (size_t)q]];
			if (site != -1 && hl->st->gone[site] && add_spot(sp,
			    segment, m->placeindex[pl->at + (size_t)q],
			    pl->epoch, site, e) == -1)
				return (-1);
		}
	}
	return (0);
}

static int
remove_all(struct healer *hl, const struct spots *sp, struct ge_err *e)
{
	char name[GE_FRAG_NAME];
	struct ge_op op[BATCH], *todo[BATCH];
	uint64_t kept = 0;
	size_t i, n;

	memset(hl->barred, 0, hl->st->sites->n);
	for (i = 0; i < sp->n; ) {
		for (n = 0; n < BATCH && i < sp->n; i++) {
			if (hl->barred[sp->v[i].site]) {
				kept++;
				continue;
			}
			memset(&op[n], 0, sizeof(op[n]));
			op[n].kind = GE_OP_REMOVE;
			op[n].site = sp->v[i].site;
			op[n].tries = hl->st->gone[op[n].site] ? 1 : 0;
			snprintf(op[n].name, sizeof(op[n].name), "%s",
			    ge_frag_name(name, hl->kn->setid,
			    sp->v[i].segment, sp->v[i].index,
			    sp->v[i].epoch));
			todo[n] = &op[n];
			n++;
		}
		if (n > 0 && ge_op_run(hl->st->net, todo, n, e) == -1)
			return (-1);
		while (n-- > 0) {
			if (op[n].result == GE_OP_DONE) {
				hl->h->destroyed++;
				ge_note(GE_SAY, "%s: old share destroyed at "
				    "site '%s'", op[n].name, hl->st->sites->
				    site[op[n].site].name);
			} else if (op[n].result != GE_OP_ABSENT) {
				kept++;
				if (!hl->barred[op[n].site])
					ge_note(GE_WARN, "%s", op[n].err.msg);
				hl->barred[op[n].site] = 1;
			}
		}
	}
	if (kept > 0)
		ge_note(GE_WARN, "%llu old shares could not be destroyed",
		    (unsigned long long)kept);
	return (0);
}

/*
 * Old shares, when nothing needs them any more: all n of a newer epoch are there,
 * and more than half of the sites have the manifest that says so.
 */
static int
destroy_old(struct healer *hl, int stored, struct ge_err *e)
{
	struct spots old = { NULL, 0, 0 };
	size_t s, sites = 0;
	int rc = -1, there;

	for (s = 0; s < hl->st->sites->n; s++)
		sites += !hl->st->gone[s];
	if (2 * (size_t)stored <= sites) {
		if (hl->nfresh > 0)
			ge_note(GE_WARN, "too few sites have the new manifest: "
			    "the old shares stay");
		return (0);
	}
	for (s = 0; s < hl->nfresh; s++) {
		if ((there = settled(hl, &hl->fresh[s], e)) == -1)
			goto out;
		if (there == 0) {
			ge_fail(e, GE_EDEGRADED, "segment %lu: the new shares "
			    "are not all there; the old stay",
			    (unsigned long)hl->fresh[s].segment);
			worse(hl, e);
			continue;
		}
		if (outdated(hl, &old, hl->fresh[s].segment,
		    hl->fresh[s].epoch, e) == -1)
			goto out;
	}
	/* Left behind by a repair that was killed. */
	for (s = 0; hl->whole != NULL && s < hl->map.nsegs; s++)
		if (hl->whole[s] == hl->map.n && hl->map.epoch[s] > 0 &&
		    outdated(hl, &old, (uint32_t)s, hl->map.epoch[s], e) == -1)
			goto out;
	rc = remove_all(hl, &old, e);
out:
	ge_free(old.v);
	return (rc);
}

static void
tell_plan(struct healer *hl)
{
	struct ge_finding fd = { .known = 1, .detail = "-" };
	size_t i;
	int16_t at;

	memcpy(fd.setid, hl->kn->setid, GE_SETID);
	for (i = 0; i < hl->ntasks && hl->h->planned != NULL; i++) {
		at = places(hl, hl->task[i].segment)[hl->task[i].index];
		fd.state = hl->task[i].there ? GE_STATE_CORRUPT :
		    hl->task[i].move && at != -1 ? GE_STATE_MISPLACED :
		    GE_STATE_MISSING;
		fd.segment = hl->task[i].segment;
		fd.index = hl->task[i].index;
		fd.site = at == -1 ? "-" : hl->st->sites->site[at].name;
		fd.detail = hl->task[i].move ? "to another site" : "in place";
		hl->h->planned(hl->h->arg, &fd);
	}
}

static int
begin(struct healer *hl, struct ge_err *e)
{
	const struct ge_store *st = hl->st;
	const struct ge_manifest *m = &hl->kn->m;

	if ((hl->ever = ge_alloc(st->sites->n * sizeof(*hl->ever), e)) ==
	    NULL || (hl->barred = ge_alloc(st->sites->n, e)) == NULL ||
	    (hl->name = ge_alloc(GE_N_MAX * sizeof(*hl->name), e)) == NULL ||
	    ge_map_init(&hl->map, st->sites, hl->kn, e) == -1 ||
	    (hl->told = ge_alloc(hl->map.nsegs, e)) == NULL)
		return (-1);
	memcpy(hl->told, hl->map.epoch, hl->map.nsegs);
	if (ge_rule_init(&hl->rule, st->sites, st->gone, m->k, m->n,
	    m->mode == GE_PLAIN, e) == -1)
		return (-1);
	return (plan(hl, e));
}

/* Before a byte moves. */
static int
may_move(const struct healer *hl, struct ge_err *e)
{
	size_t i;

	if (hl->map.unknown > 0 && hl->ntasks > 0)
		ge_note(GE_WARN, "the sites file lacks %d sites of the "
		    "manifest: what their domains have had cannot be counted",
		    hl->map.unknown);
	if (!hl->st->pins.has_signer || hl->st->signkey != NULL)
		return (0);
	for (i = 0; i < hl->ntasks; i++)
		if (hl->task[i].move)
			return (ge_fail(e, GE_EREFUSED, "fragments need other "
			    "places, and the manifest that tells so must be "
			    "signed: give the key with -S"));
	return (0);
}

static int
work(struct healer *hl, struct ge_err *e)
{
	if (ge_survey_run(hl->st, hl->kn->setid, &hl->sv, e) == -1 ||
	    adopt(hl, e) == -1)
		return (-1);
	if (hl->ntasks > 0 && (pass(hl, 1, e) == -1 || pass(hl, 0, e) == -1))
		return (-1);
	return (0);
}

/* What is to be said at the end. */
static int
verdict(struct healer *hl, int stored, struct ge_err *e)
{
	const struct ge_known *kn = hl->kn;
	int lacking = -stored;
	size_t i;

	for (i = 0; i < hl->st->sites->n; i++)
		lacking += kn->answered[i] && !hl->st->gone[i];
	if (stored == 0)
		return (ge_fail(e, GE_EFAIL, "no site has taken the manifest: "
		    "keep it"));
	if (hl->why.code != 0 && (hl->why.code != GE_EDEGRADED ||
	    hl->unreachable == 0)) {
		*e = hl->why;
		return (-1);
	}
	if (hl->why.code != 0)
		ge_note(GE_WARN, "%s", hl->why.msg);
	if (hl->unreachable > 0)
		return (ge_fail(e, GE_EFAIL, "%llu fragments are at sites that "
		    "do not answer and were left: -x SITE gives them another",
		    (unsigned long long)hl->unreachable));
	if (lacking > 0)
		return (ge_fail(e, GE_EDEGRADED, "sites without the manifest: "
		    "%d", lacking));
	if (hl->h->blind && kn->m.mode != GE_PLAIN && hl->h->rebuilt > 0)
		return (ge_fail(e, GE_EDEGRADED, "rebuilt without key shares: "
		    "%llu", (unsigned long long)hl->h->rebuilt));
	return (0);
}

int
ge_heal_run(struct ge_heal *h, const struct ge_store *st, struct ge_known *kn,
    struct ge_err *e)
{
	struct healer hl = { .h = h, .st = st, .kn = kn, .spool = -1 };
	int stored, rc = -1;
	size_t i;

	if (!kn->has)
		return (ge_fail(e, GE_ELOST, "no manifest of this set is to be "
		    "had: gepull and gepush it anew"));
	if (begin(&hl, e) == -1)
		goto out;
	if (h->dry) {
		tell_plan(&hl);
		rc = 0;
		goto out;
	}
	if (may_move(&hl, e) == -1 || work(&hl, e) == -1 ||
	    write_manifest(&hl, &stored, e) == -1 ||
	    destroy_old(&hl, stored, e) == -1)
		goto out;
	rc = verdict(&hl, stored, e);
out:
	ge_map_release(&hl.map);
	ge_rule_release(&hl.rule);
	ge_survey_release(&hl.sv);
	for (i = 0; i < hl.nfresh; i++)
		ge_free(hl.fresh[i].site);
	ge_free(hl.fresh);
	ge_free(hl.task);
	ge_free(hl.found);
	ge_free(hl.told);
	ge_free(hl.whole);
	ge_free(hl.moved.v);
	ge_free(hl.tried.v);
	ge_free(hl.ever);
	ge_free(hl.barred);
	ge_free(hl.name);
	ge_block_free(hl.mem);
	if (hl.spool != -1)
		close(hl.spool);
	return (rc);
}
