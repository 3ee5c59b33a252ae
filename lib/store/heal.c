#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"

/*
 * What is not whole is made again where it belongs; what is on a site that is to
 * be treated as gone, or where the rule forbids it, gets another.  The segments
 * are fetched one after the other, k fragments of each; from a site that is being
 * emptied and still answers, the fragment itself.
 */

enum {
	POOL = 96 << 20,
	MEMORY = 48 << 20,		/* rebuilt fragments of a segment; more go
					   to a spool file */
	WINDOWS = 24 << 20,		/* of all payloads at a time */
	EPOCH_MAX = 255
};

/* A fragment to be made, or moved. */
struct task {
	uint32_t segment;
	uint8_t index;
	uint8_t bad;			/* not to be read */
	uint8_t move;			/* to another site */
	uint8_t there;			/* a bad object is in the way */
	int16_t site;			/* where it came to be; -1: nowhere yet */
};

struct stale {				/* an old share to be destroyed */
	uint32_t segment;
	uint8_t index, epoch;
	int16_t site;
};

struct healer {
	struct ge_heal *h;
	const struct ge_store *st;
	struct ge_known *kn;
	struct ge_map map;
	struct ge_rule rule;
	struct task *task;
	size_t ntasks, captasks, at;	/* next to be fetched */
	int copying;			/* this pass reads the fragments themselves */
	uint64_t left;			/* fragments that stay as they are */
	uint64_t unreachable;
	struct ge_err why;		/* the worst of what stays */
	struct ge_report_line *found;	/* of our own check */
	size_t nfound, capfound;
	int nomem;
	/* What has come to another place, for the manifest: */
	struct moved {
		uint32_t segment;
		uint8_t index, epoch;
		int16_t site;
	} *moved;
	size_t nmoved, capmoved;
	struct stale *stale;
	size_t nstale, capstale;
	uint64_t *ever;			/* [sites] */
	uint8_t *barred;		/* [sites] */
	const char **name;		/* [GE_N_MAX] of sites */
	int spool;
	/* The segment at work. */
	uint8_t *mem;
	size_t memlen;
};

static void
worse(struct healer *hl, const struct ge_err *e)
{
	static const int rank[] = { [GE_EFAIL] = 2, [GE_EDEGRADED] = 1,
	    [GE_ELOST] = 3, [GE_EREFUSED] = 4, [GE_EUSAGE] = 0 };

	if (hl->why.code == 0 || rank[e->code] > rank[hl->why.code])
		hl->why = *e;
}

static int
add_task(struct healer *hl, uint32_t segment, int index,
    enum ge_state state, struct ge_err *e)
{
	int16_t at = hl->map.at[(size_t)segment * (size_t)hl->map.n +
	    (size_t)index];
	struct task *t;

	if (ge_grow(&hl->task, &hl->captasks, hl->ntasks + 1,
	    sizeof(*hl->task), e) == -1)
		return (-1);
	t = &hl->task[hl->ntasks++];
	memset(t, 0, sizeof(*t));
	t->segment = segment;
	t->index = (uint8_t)index;
	t->site = -1;
	t->move = state == GE_STATE_MISPLACED || at == -1 ||
	    hl->st->gone[at];
	/* Of a site that is treated as gone nobody has asked. */
	t->bad = !(at != -1 && hl->st->gone[at]) &&
	    (state == GE_STATE_MISSING || state == GE_STATE_CORRUPT ||
	    state == GE_STATE_STALE);
	t->there = t->bad && state == GE_STATE_CORRUPT;
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
	return (y->bad - x->bad);
}

static void
note_finding(void *arg, const struct ge_finding *f)
{
	struct healer *hl = arg;
	struct ge_report_line *l;
	struct ge_err ignored;

	if (!f->known || f->state == GE_STATE_OK)
		return;
	if (ge_grow(&hl->found, &hl->capfound, hl->nfound + 1,
	    sizeof(*hl->found), &ignored) == -1) {
		hl->nomem = 1;
		return;
	}
	l = &hl->found[hl->nfound++];
	l->state = f->state;
	memcpy(l->setid, f->setid, GE_SETID);
	l->segment = f->segment;
	l->index = f->index;
}

/* What is to be done: of the report, or of a check of our own; and what -x says. */
static int
plan(struct healer *hl, struct ge_err *e)
{
	const struct ge_report_line *l = hl->h->report;
	struct ge_check check;
	size_t i, o, n = hl->h->nreport;
	int16_t at;

	if (l == NULL) {
		memset(&check, 0, sizeof(check));
		check.noshares = hl->h->blind;
		check.found = note_finding;
		check.arg = hl;
		if (ge_check_run(&check, hl->st, hl->kn, e) == -1 &&
		    (e->code == GE_EREFUSED || (hl->nfound == 0 &&
		    e->code != GE_EDEGRADED)))
			return (-1);
		hl->h->read += check.received;
		if (hl->nomem)
			return (ge_fail(e, GE_EFAIL, "out of memory"));
		l = hl->found;
		n = hl->nfound;
	}
	for (i = 0; i < n; i++) {
		if (l[i].segment >= hl->map.nsegs || l[i].index >= hl->map.n)
			continue;
		at = hl->map.at[(size_t)l[i].segment * (size_t)hl->map.n +
		    (size_t)l[i].index];
		if (l[i].state == GE_STATE_OK)
			continue;
		if (l[i].state == GE_STATE_UNREACHABLE && at != -1 &&
		    !hl->st->gone[at]) {
			hl->unreachable++;
			continue;
		}
		if (add_task(hl, l[i].segment, l[i].index, l[i].state, e) == -1)
			return (-1);
	}
	for (i = 0; i < hl->map.nsegs * (size_t)hl->map.n; i++)
		if ((hl->map.at[i] == -1 || hl->st->gone[hl->map.at[i]]) &&
		    add_task(hl, (uint32_t)(i / (size_t)hl->map.n),
		    (int)(i % (size_t)hl->map.n), GE_STATE_OK, e) == -1)
			return (-1);
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

static int16_t *
places(const struct healer *hl, uint32_t segment)
{

	return (&hl->map.at[(size_t)segment * (size_t)hl->map.n]);
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
	return (hl->kn->evidence);
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
		w->shares = hl->copying || hl->h->blind ? -1 : 0;
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
	enum ge_op_result code;
	struct ge_err why;
	char name[GE_FRAG_NAME];
	int i, rc, n = 0;

	memset(op, 0, sizeof(op));
	for (i = 0; i < mk->n; i++) {
		if (site[i] == -1)
			continue;
		stamp(mk, mk->want[i], &own);
		rc = keep(hl, mk, i, 0, mk->hdr, h->len, e);
		ge_wipe(mk->hdr + h->share, h->len - h->share);
		if (rc == -1)
			return (-1);
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
	if (ge_op_run(hl->st->net, todo, (size_t)n, e) == -1)
		return (-1);
	for (i = 0; i < mk->n; i++) {
		if (site[i] == -1)
			continue;
		code = op[i].result;
		why = op[i].err;
		stamp(mk, mk->want[i], &own);
		rc = code == GE_OP_DONE || code == GE_OP_EXISTS ?
		    ge_object_proved(hl->st, site[i], op[i].name, &own, mk->hdr,
		    0, &code, &why) : 0;
		/* Absent, the report said; but it is there, and damaged. */
		if (rc == 0 && op[i].result == GE_OP_EXISTS &&
		    code == GE_OP_EXISTS && why.code == GE_EDEGRADED) {
			struct ge_op *again = &op[i];

			op[i].replace = 1;
			rc = ge_op_run(hl->st->net, &again, 1, e);
			why = op[i].err;
			if (rc == 0 && op[i].result == GE_OP_DONE)
				rc = ge_object_proved(hl->st, site[i],
				    op[i].name, &own, mk->hdr, 0, &code,
				    &why);
		}
		ge_wipe(mk->hdr + h->share, h->len - h->share);
		if (rc == -1) {
			*e = why;
			return (-1);
		}
		if (rc == 0) {
			ge_note(GE_WARN, "%s", why.msg);
			hl->barred[site[i]] = 1;
			site[i] = -1;
			continue;
		}
		hl->h->written += h->fraglen;
		ge_note(GE_SAY, "%s: at site '%s'", op[i].name,
		    hl->st->sites->site[site[i]].name);
	}
	return (0);
}

static int
remember(struct healer *hl, const struct making *mk, int index, int16_t site,
    struct ge_err *e)
{
	struct moved *d;

	if (ge_grow(&hl->moved, &hl->capmoved, hl->nmoved + 1, sizeof(*hl->moved),
	    e) == -1)
		return (-1);
	d = &hl->moved[hl->nmoved++];
	d->segment = mk->g->h.segment;
	d->index = (uint8_t)index;
	d->epoch = (uint8_t)mk->epoch;
	d->site = site;
	return (0);
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
	ge_map_ever(&hl->map, hl->task[i].segment, epoch, hl->ever);
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

/* The shares of the segment: as they are, or of a new epoch.  0, -1. */
static int
make_shares(struct healer *hl, struct making *mk, int refresh,
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
	rc = n < h->k ? 0 : refresh ? ge_shares_refresh(h, mk->hdr, mk->g->dh,
	    idx, (const uint8_t (*)[32])some, mk->epoch + 1, all, e) :
	    ge_shares_all(h, mk->hdr, mk->g->dh, idx,
	    (const uint8_t (*)[32])some, all, e);
	if (refresh && rc == 0 && n == h->k)
		rc = 1;
	if (rc == 0)
		rc = ge_fail(e, GE_EREFUSED, "segment %lu: the shares "
		    "contradict the header", (unsigned long)h->segment);
	mk->epoch += refresh;
	mk->shares = all;
	ge_secret_free(some, GE_N_MAX * sizeof(*some));
	return (rc == -1 ? -1 : 0);
}

/* Copies keep the share that they carry. */
static void
own_shares(struct making *mk, uint8_t (*all)[32])
{
	int i;

	mk->shares = NULL;
	if (mk->g->h.mode == GE_PLAIN)
		return;
	for (i = 0; i < mk->g->nheaders; i++)
		if (mk->g->frag[i].has_share) {
			memcpy(all[mk->g->frag[i].index], mk->g->frag[i].hdr +
			    mk->g->h.share, 32);
			mk->shares = all;
		}
}

/*
 * All n in a new epoch, beside the old; the old go when the manifest tells of the
 * new ones.
 */
static int
refresh(struct healer *hl, struct making *mk, const int16_t *now,
    struct ge_err *e)
{
	const int16_t *at = places(hl, mk->g->h.segment);
	uint8_t want[GE_N_MAX];
	int16_t site[GE_N_MAX];
	struct stale *s;
	int i, placed = 0;

	for (i = 0; i < mk->g->h.n; i++) {
		want[i] = (uint8_t)i;
		site[i] = now[i] < 0 ? -1 : now[i];
	}
	mk->want = want;
	mk->n = mk->g->h.n;
	if ((mk->spooled = room(hl, (size_t)mk->n, mk->g->h.fraglen, e)) ==
	    -1 || make_payloads(hl, mk, e) == -1 ||
	    put_all(hl, mk, site, NULL, e) == -1)
		return (-1);
	for (i = 0; i < mk->n; i++)
		placed += site[i] != -1;
	if (placed < mk->n) {
		ge_fail(e, GE_EDEGRADED, "segment %lu: new shares reached %d "
		    "of %d sites; the old stay", (unsigned long)
		    mk->g->h.segment, placed, mk->n);
		worse(hl, e);
		hl->left++;
		return (0);
	}
	for (i = 0; i < mk->n; i++) {
		if (remember(hl, mk, i, site[i], e) == -1 ||
		    ge_grow(&hl->stale, &hl->capstale, hl->nstale + 1,
		    sizeof(*hl->stale), e) == -1)
			return (-1);
		if (at[i] == -1)
			continue;
		s = &hl->stale[hl->nstale++];
		s->segment = mk->g->h.segment;
		s->index = (uint8_t)i;
		s->epoch = (uint8_t)(mk->epoch - 1);
		s->site = at[i];
	}
	hl->h->refreshed++;
	return (0);
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
	if ((fresh = sites_for(hl, i, n, mk.epoch, now, e)) == -1)
		goto out;
	if (fresh == 1 && hl->copying) {
		rc = 0;			/* the other pass does it */
		goto out;
	}
	if (fresh == 1 && mk.epoch == EPOCH_MAX) {
		ge_fail(e, GE_EREFUSED, "segment %lu has used up its epochs: "
		    "make a new set", (unsigned long)g->h.segment);
		goto out;
	}
	if (hl->copying)
		own_shares(&mk, all);
	else if (make_shares(hl, &mk, fresh, all, e) == -1)
		goto out;
	if (fresh == 1) {
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
	for (round = 0; round < 4; round++) {
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
			if (site[j] != at[want[j]] &&
			    remember(hl, &mk, want[j], site[j], e) == -1)
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
			ge_note(GE_WARN, "%s", e->msg);
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

static int
by_place(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;

	if (x->segment != y->segment)
		return (x->segment < y->segment ? -1 : 1);
	return (x->index - y->index);
}

/* The new manifest: what has been done, on top of the newest there is. */
static int
write_manifest(struct healer *hl, struct ge_err *e)
{
	struct ge_known newer;
	struct ge_known *kn = hl->kn;
	uint64_t mask;
	size_t i, j;
	int stored, rc = -1;

	memset(&newer, 0, sizeof(newer));
	/* Another repair may have been here. */
	if (hl->nmoved > 0 && ge_known_load(hl->st, kn->setid, &newer, e) ==
	    0 && newer.has && newer.m.serial > kn->m.serial &&
	    memcmp(newer.m.digest, kn->m.digest, 32) == 0)
		kn = &newer;
	if (hl->nmoved > 0) {
		qsort(hl->moved, hl->nmoved, sizeof(*hl->moved), by_place);
		ge_manifest_next(&kn->m);
	}
	for (i = 0; i < hl->nmoved; i = j) {
		for (j = i, mask = 0; j < hl->nmoved && hl->moved[j].segment ==
		    hl->moved[i].segment; j++) {
			mask |= (uint64_t)1 << hl->moved[j].index;
			hl->name[hl->moved[j].index] =
			    hl->st->sites->site[hl->moved[j].site].name;
		}
		if (ge_manifest_place(&kn->m, hl->moved[i].epoch,
		    hl->moved[i].segment, hl->moved[i].segment, mask, hl->name,
		    e) == -1)
			goto out;
	}
	if (hl->nmoved > 0) {
		if (kn->m.nsigners > 0 && hl->st->signkey == NULL)
			ge_note(GE_WARN, "the new manifest is not signed: "
			    "give the key with -S");
		if (ge_manifest_format(&kn->m, hl->st->signkey, &hl->h->text,
		    &hl->h->len, e) == -1)
			goto out;
	} else {
		if ((hl->h->text = ge_alloc(kn->len + 1, e)) == NULL)
			goto out;
		memcpy(hl->h->text, kn->text, kn->len);
		hl->h->len = kn->len;
	}
	rc = ge_manifest_publish(hl->st, &kn->m, hl->h->text, hl->h->len,
	    &stored, e);
out:
	ge_known_release(&newer);
	return (rc);
}

/* Old shares, when nothing needs them any more. */
static int
destroy_stale(struct healer *hl, struct ge_err *e)
{
	char name[GE_FRAG_NAME];
	struct ge_op op, *one = &op;
	size_t i;

	for (i = 0; i < hl->nstale; i++) {
		memset(&op, 0, sizeof(op));
		op.kind = GE_OP_REMOVE;
		op.site = hl->stale[i].site;
		snprintf(op.name, sizeof(op.name), "%s", ge_frag_name(name,
		    hl->kn->setid, hl->stale[i].segment, hl->stale[i].index,
		    hl->stale[i].epoch));
		if (ge_op_run(hl->st->net, &one, 1, e) == -1)
			return (-1);
		if (op.result != GE_OP_DONE && op.result != GE_OP_ABSENT)
			ge_note(GE_WARN, "%s: an old share is still there",
			    op.err.msg);
	}
	return (0);
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

int
ge_heal_run(struct ge_heal *h, const struct ge_store *st, struct ge_known *kn,
    struct ge_err *e)
{
	struct healer hl = { .h = h, .st = st, .kn = kn, .spool = -1 };
	int rc = -1;

	if (!kn->has)
		return (ge_fail(e, GE_ELOST, "no manifest of this set is to be "
		    "had: gepull and gepush it anew"));
	if ((hl.ever = ge_alloc(st->sites->n * sizeof(*hl.ever), e)) == NULL ||
	    (hl.barred = ge_alloc(st->sites->n, e)) == NULL ||
	    (hl.name = ge_alloc(GE_N_MAX * sizeof(*hl.name), e)) == NULL ||
	    ge_map_init(&hl.map, st->sites, kn, e) == -1 ||
	    ge_rule_init(&hl.rule, st->sites, st->gone, kn->m.k, kn->m.n,
	    kn->m.mode == GE_PLAIN, e) == -1 || plan(&hl, e) == -1)
		goto out;
	if (h->dry) {
		tell_plan(&hl);
		rc = 0;
		goto out;
	}
	if (hl.ntasks > 0 && (pass(&hl, 1, e) == -1 || pass(&hl, 0, e) == -1))
		goto out;
	if (write_manifest(&hl, e) == -1 || destroy_stale(&hl, e) == -1)
		goto out;
	if (hl.why.code != 0) {
		*e = hl.why;
		goto out;
	}
	if (hl.unreachable > 0) {
		ge_fail(e, GE_EFAIL, "%llu fragments are at sites that do not "
		    "answer and were left: -x SITE gives them another",
		    (unsigned long long)hl.unreachable);
		goto out;
	}
	if (h->blind && kn->m.mode != GE_PLAIN && h->rebuilt > 0) {
		ge_fail(e, GE_EDEGRADED, "rebuilt without key shares: %llu",
		    (unsigned long long)h->rebuilt);
		goto out;
	}
	rc = 0;
out:
	ge_map_release(&hl.map);
	ge_rule_release(&hl.rule);
	ge_free(hl.task);
	ge_free(hl.found);
	ge_free(hl.moved);
	ge_free(hl.stale);
	ge_free(hl.ever);
	ge_free(hl.barred);
	ge_free(hl.name);
	ge_block_free(hl.mem);
	if (hl.spool != -1)
		close(hl.spool);
	return (rc);
}
