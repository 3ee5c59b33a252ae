#include <stdio.h>
#include <string.h>

#include "frag/assess_int.h"
#include "frag/decode_int.h"
#include "frag/frag.h"
#include "frag/part_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/par.h"

struct ge_aworker {
	uint8_t *buf;			/* [GE_BATCH][B] */
	uint64_t checked;
};

/* The newest record that can be worked with. */
static int64_t
current(const struct ge_pile *p, const struct ge_group *g)
{
	int64_t best = -1;
	uint64_t have;
	size_t r;

	for (r = 0; r < g->nrecords; r++) {
		have = (p->flags & GE_PILE_NOSHARES) != 0 ||
		    g->h.mode == GE_PLAIN ? g->record[r].carried :
		    g->record[r].valid;
		if (ge_popcount(have) >= g->h.k && (best == -1 ||
		    g->record[r].epoch > g->record[best].epoch))
			best = (int64_t)r;
	}
	return (best);
}

/* Read and hash up to GE_BATCH blocks of one fragment. */
static int
check_batch(struct ge_assess *a, struct ge_aworker *w, size_t i,
    const uint32_t *stripe, int n)
{
	struct ge_frag *f = &a->g->frag[i];
	const struct ge_hdr *h = &a->g->h;
	uint8_t good[GE_BATCH];
	const uint8_t *body[GE_BATCH];
	struct ge_err e;
	size_t got, b = ge_hdr_block(h, stripe[0]);
	int j;

	for (j = 0; j < n; j++) {
		body[j] = w->buf + (size_t)j * h->block;
		if (ge_frag_read(a->p, f, h->len + (uint64_t)stripe[j] *
		    h->block, w->buf + (size_t)j * h->block, b, &got, &e) ==
		    -1) {
			ge_note(GE_WARN, "%s", e.msg);
			f->unreadable = 1;
			return (-1);
		}
		/* Cut since it was measured. */
		if (got < b)
			memset(w->buf + (size_t)j * h->block + got, 0, b - got);
	}
	w->checked += (uint64_t)n;
	ge_blocks_hold(h, a->hdr, a->g->dh, f->index, stripe, body, n, good);
	for (j = 0; j < n; j++)
		a->good[i * h->nstripes + stripe[j]] = good[j];
	return (0);
}

static int
check_frag(void *arg, size_t i, int worker, struct ge_err *e)
{
	struct ge_assess *a = arg;
	struct ge_frag *f = &a->g->frag[i];
	const struct ge_hdr *h = &a->g->h;
	uint8_t *good = a->good + i * h->nstripes;
	uint32_t s, todo[GE_BATCH];
	int n = 0;

	if (f->unreadable || f->dropped)
		return (0);
	if (ge_frag_open(f, e) == -1) {
		ge_note(GE_WARN, "%s", e->msg);
		f->unreadable = 1;
		return (0);
	}
	for (s = 0; s < h->nstripes; s++) {
		good[s] = f->size >= h->len + (uint64_t)s * h->block +
		    ge_hdr_block(h, s);
		if (!good[s] || (a->pick != NULL &&
		    !a->pick[i * h->nstripes + s]))
			continue;
		/* Blocks of a batch have the same length. */
		if (n > 0 && ge_hdr_block(h, s) != ge_hdr_block(h, todo[0])) {
			if (check_batch(a, &a->worker[worker], i, todo, n) == -1)
				goto unreadable;
			n = 0;
		}
		todo[n++] = s;
		if (n == GE_BATCH) {
			if (check_batch(a, &a->worker[worker], i, todo, n) == -1)
				goto unreadable;
			n = 0;
			if (ge_hook_tick((uint64_t)GE_BATCH * h->block, e) ==
			    -1)
				return (-1);
		}
	}
	if (n > 0 && check_batch(a, &a->worker[worker], i, todo, n) == -1)
		goto unreadable;
	ge_frag_close(f);
	return (ge_hook_tick(0, e));
unreadable:
	memset(good, 0, h->nstripes);
	ge_frag_close(f);
	return (0);
}

static int
count_bad(const struct ge_assess *a, size_t i)
{
	uint32_t s;
	int bad = 0;

	for (s = 0; s < a->g->h.nstripes; s++)
		bad += !a->good[i * a->g->h.nstripes + s];
	return (bad);
}

/*
 * What is wrong with one fragment, in the words of a report: 0 nothing, 1 only
 * its share; the greater, the worse.
 */
static int
judge(const struct ge_assess *a, size_t i, enum ge_state *state, char *detail,
    size_t len)
{
	const struct ge_group *g = a->g;
	const struct ge_frag *f = &g->frag[i];
	const struct ge_hdr *h = &g->h;
	int bad = count_bad(a, i);

	*state = GE_STATE_CORRUPT;
	if (f->unreadable) {
		*state = GE_STATE_UNREACHABLE;
		snprintf(detail, len, "cannot be read");
		return (6);
	}
	if (a->record >= 0 && f->record != (uint32_t)a->record) {
		*state = GE_STATE_STALE;
		snprintf(detail, len, "epoch %d, the segment is at epoch %d",
		    f->epoch, g->record[a->record].epoch);
		return (5);
	}
	if (f->size < h->fraglen) {
		snprintf(detail, len, "cut after %llu of %llu bytes",
		    (unsigned long long)f->size,
		    (unsigned long long)h->fraglen);
		return (4);
	}
	if (bad > 0) {
		snprintf(detail, len, "%d of %lu blocks damaged", bad,
		    (unsigned long)h->nstripes);
		return (3);
	}
	if (f->size > h->fraglen) {
		snprintf(detail, len, "bytes after the payload");
		return (2);
	}
	if (h->mode != GE_PLAIN && !f->has_share) {
		snprintf(detail, len, "no key share");
		return (1);
	}
	if (h->mode != GE_PLAIN && !f->share_ok &&
	    (a->p->flags & GE_PILE_NOSHARES) == 0) {
		snprintf(detail, len, "wrong key share");
		return (1);
	}
	*state = GE_STATE_OK;
	snprintf(detail, len, "-");
	return (0);
}

/* Was a fragment with this index dropped because its header is another? */
static const struct ge_frag *
rejected(const struct ge_assess *a, int index)
{
	const struct ge_seg *seg;
	size_t i, j, s;

	for (s = 0; s < a->p->nsets; s++) {
		if (memcmp(a->p->set[s].id, a->g->h.setid, GE_SETID) != 0)
			continue;
		seg = ge_set_seg(&a->p->set[s], a->g->h.segment);
		for (i = 0; seg != NULL && i < seg->ngroups; i++)
			for (j = 0; j < seg->group[i].nfrags; j++)
				if (&seg->group[i] != a->g &&
				    seg->group[i].frag[j].index == index)
					return (&seg->group[i].frag[j]);
	}
	return (NULL);
}

static void
by_index(struct ge_assess *a)
{
	const struct ge_group *g = a->g;
	const struct ge_hdr *h = &g->h;
	const struct ge_frag *liar;
	char detail[sizeof(a->row[0].detail)];
	enum ge_state state;
	uint64_t have;
	int idx, count, worst, rank;
	uint32_t s;
	size_t i;

	for (idx = 0; idx < h->n; idx++) {
		worst = 9;
		for (i = 0; i < g->nfrags; i++) {
			if (g->frag[i].index != idx)
				continue;
			rank = judge(a, i, &state, detail, sizeof(detail));
			if (rank >= worst)
				continue;
			worst = rank;
			a->row[idx].state = state;
			a->row[idx].best = &g->frag[i];
			memcpy(a->row[idx].detail, detail, sizeof(detail));
		}
		if (worst == 0)
			a->whole |= (uint64_t)1 << idx;
		if (worst <= 1)
			a->body |= (uint64_t)1 << idx;
		if (worst < 9)
			continue;
		if ((liar = rejected(a, idx)) != NULL) {
			a->row[idx].state = GE_STATE_CORRUPT;
			a->row[idx].best = liar;
			snprintf(a->row[idx].detail, sizeof(a->row[idx].detail),
			    "its header contradicts the others");
		} else if (a->p->nunreachable > 0) {
			a->row[idx].state = GE_STATE_UNREACHABLE;
			snprintf(a->row[idx].detail, sizeof(a->row[idx].detail),
			    "not found, and not all could be read");
		} else {
			a->row[idx].state = GE_STATE_MISSING;
			snprintf(a->row[idx].detail, sizeof(a->row[idx].detail), "-");
		}
	}
	a->fewest = ge_popcount(g->indices);
	for (s = 0; s < h->nstripes; s++) {
		have = 0;
		for (i = 0; i < g->nfrags; i++)
			if (a->good[i * h->nstripes + s])
				have |= (uint64_t)1 << g->frag[i].index;
		count = ge_popcount(have);
		if (count < a->fewest)
			a->fewest = count;
	}
	a->shares = h->n;
	if (h->mode != GE_PLAIN && (a->p->flags & GE_PILE_NOSHARES) == 0)
		a->shares = a->record == -1 ? 0 :
		    ge_popcount(g->record[a->record].valid);
}

int
ge_assess_run(struct ge_assess *a, const struct ge_pile *p, struct ge_group *g,
    int64_t record, int jobs, const uint8_t *pick, struct ge_err *e)
{
	int j, rc = -1;

	memset(a, 0, sizeof(*a));
	a->p = p;
	a->g = g;
	a->jobs = jobs;
	a->pick = pick;
	a->record = record != -1 ? record : current(p, g);
	if ((a->good = ge_alloc(g->nfrags * g->h.nstripes, e)) == NULL ||
	    (a->hdr = ge_alloc(g->h.len, e)) == NULL ||
	    (a->row = ge_alloc((size_t)g->h.n * sizeof(*a->row), e)) == NULL ||
	    (a->worker = ge_alloc((size_t)jobs * sizeof(*a->worker), e)) ==
	    NULL)
		return (-1);
	for (j = 0; j < jobs; j++)
		if ((a->worker[j].buf = ge_block_alloc(GE_BATCH *
		    (size_t)g->h.block, e)) == NULL)
			goto out;
	e->code = 0;
	if (ge_group_header(p, g, a->hdr, e) == -1) {
		if (e->code != GE_ELOST)
			goto out;
		/* Every fragment has gone since the folders were read. */
		ge_note(GE_WARN, "%s", e->msg);
		for (j = 0; (size_t)j < g->nfrags; j++)
			g->frag[j].unreadable = 1;
	}
	ge_wipe(a->hdr + g->h.share, g->h.len - g->h.share);
	if (ge_par_each(jobs, g->nfrags, check_frag, a, e) == -1)
		goto out;
	by_index(a);
	rc = 0;
out:
	for (j = 0; j < jobs; j++) {
		a->checked += a->worker[j].checked;
		ge_block_free(a->worker[j].buf);
	}
	ge_free(a->worker);
	a->worker = NULL;
	return (rc);
}

void
ge_assess_release(struct ge_assess *a)
{

	ge_assess_trim(a);
	ge_free(a->good);
	a->good = NULL;
}

void
ge_assess_trim(struct ge_assess *a)
{

	ge_free(a->row);
	ge_free(a->hdr);
	a->row = NULL;
	a->hdr = NULL;
}

int
ge_assess_lost(const struct ge_assess *a)
{

	return (a->fewest < a->g->h.k || a->shares < a->g->h.k ||
	    (a->record == -1 && a->g->h.mode != GE_PLAIN));
}
