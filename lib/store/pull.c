#include <string.h>

#include "store/store_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	CHUNK = 1 << 20,
	POOL = 184 << 20
};

struct puller {
	struct ge_pull *p;
	const struct ge_known *kn;
	uint64_t at;			/* offset of the next segment */
	uint64_t next, end;		/* segments to come */
};

/* Has the segment at..at+len-1 something of the range?  An empty one has a place. */
static int
touches(const struct puller *pl, uint64_t len)
{
	const struct ge_pull *p = pl->p;

	if (!p->ranged || !pl->kn->has)
		return (1);
	if (p->len == 0)
		return (p->off >= pl->at && (p->off - pl->at < len ||
		    pl->next + 1 == pl->end));
	return (pl->at < p->off + p->len && p->off < pl->at + len);
}

/* The segments that are wanted, as the manifest cuts them. */
static int
next_want(void *arg, struct ge_want *w)
{
	struct puller *pl = arg;
	const struct ge_pull *p = pl->p;
	uint64_t len;

	for (; pl->next < pl->end; pl->at += len, pl->next++) {
		len = pl->kn->has ? pl->kn->m.segment[pl->next].ulen : 0;
		if (!touches(pl, len))
			continue;
		memset(w, 0, sizeof(*w));
		w->segment = (uint32_t)pl->next++;
		w->allowed = UINT64_MAX;
		w->all = !p->ranged;
		w->off = p->off;
		w->len = p->len;
		pl->at += len;
		return (1);
	}
	return (0);
}

static int
zeros(struct ge_tar *t, uint8_t *buf, uint64_t len, struct ge_err *e)
{
	size_t n;

	memset(buf, 0, len < CHUNK ? (size_t)len : CHUNK);
	for (; len > 0; len -= n) {
		n = len < CHUNK ? (size_t)len : CHUNK;
		if (ge_tar_add(t, buf, n, e) == -1)
			return (-1);
	}
	return (0);
}

/*
 * One fragment.  Of a range only some stripes are here: zeros stand for those
 * before, and what comes after is cut off.
 */
static int
put_fragment(struct ge_tar *t, struct ge_fetch *f, const struct ge_fetched *g,
    int i, uint8_t *buf, struct ge_err *e)
{
	const struct ge_hdr *h = &g->h;
	uint64_t from = 0, to = 0, n;
	char name[GE_FRAG_NAME];

	if (i < g->nfrags && g->first <= g->last) {
		from = (uint64_t)g->first * h->block;
		to = (uint64_t)g->last * h->block + ge_hdr_block(h, g->last);
	}
	if (ge_tar_entry(t, ge_frag_name(name, h->setid, h->segment,
	    g->frag[i].index, g->frag[i].epoch), h->len + to, e) == -1 ||
	    ge_tar_add(t, g->frag[i].hdr, h->len, e) == -1 ||
	    zeros(t, buf, from, e) == -1)
		return (-1);
	for (; from < to; from += n) {
		n = to - from < CHUNK ? to - from : CHUNK;
		if (ge_fetched_read(f, g, i, from, buf, (size_t)n, e) == -1 ||
		    ge_tar_add(t, buf, (size_t)n, e) == -1)
			return (-1);
	}
	return (0);
}

static int
put_segment(struct ge_pull *p, struct ge_tar *t, struct ge_fetch *f,
    const struct ge_fetched *g, uint8_t *buf, struct ge_err *e)
{
	uint64_t done = 0;
	int idx, i;

	for (idx = 0; idx < g->h.n; idx++)
		for (i = 0; i < g->nheaders; i++)
			if (g->frag[i].index == idx &&
			    put_fragment(t, f, g, i, buf, e) == -1)
				return (ge_within(e, "output"));
	p->segments++;
	for (i = 0; i < g->nfrags; i++)
		done += g->h.fraglen;
	return (ge_hook_tick(done, e));
}

/*
 * Without a manifest the segments are those that sites list, and the first header
 * tells how long they are.
 */
static int
bounds(struct puller *pl, const struct ge_store *st, struct ge_err *e)
{
	struct ge_survey sv;
	struct ge_fetch *f = NULL;
	struct ge_fetched g;
	struct puller probe;
	struct ge_pull one;
	uint64_t ulen;
	size_t i;
	int silent = 0, rc = -1;

	pl->end = pl->kn->m.nsegments;
	if (pl->kn->has)
		return (!pl->p->ranged || pl->p->off + pl->p->len <=
		    pl->kn->m.length ? 0 : ge_fail(e, GE_EUSAGE, "the range "
		    "ends beyond the %llu bytes of the set",
		    (unsigned long long)pl->kn->m.length));
	memset(&sv, 0, sizeof(sv));
	if (ge_survey_soon(st, pl->kn->setid, &sv, NULL, NULL, e) == -1)
		goto out;
	if (sv.nseen == 0) {
		ge_survey_release(&sv);
		if (ge_survey_run(st, pl->kn->setid, &sv, e) == -1)
			goto out;
	}
	for (i = 0; i < st->sites->n; i++)
		silent += !sv.answered[i] && !st->gone[i];
	if (sv.nseen == 0) {
		(void)(silent > 0 ? ge_fail(e, GE_EFAIL, "no site that answers "
		    "has a fragment of this set; %d of %zu do not answer",
		    silent, st->sites->n) : ge_fail(e, GE_ELOST,
		    "no site has a fragment of this set"));
		goto out;
	}
	pl->end = (uint64_t)sv.seen[sv.nseen - 1].segment + 1;
	if (pl->p->ranged) {
		memset(&one, 0, sizeof(one));
		one.ranged = 1;
		one.len = 1;
		probe = *pl;
		probe.p = &one;
		probe.end = 1;
		if ((f = ge_fetch_new(st, pl->kn, NULL, POOL, next_want,
		    &probe, e)) == NULL || (rc = ge_fetch_next(f, &g, e)) != 1)
			goto out;
		ulen = g.h.ulen > 0 ? g.h.ulen : 1;
		pl->next = pl->p->off / ulen;
		if (pl->next >= pl->end)
			pl->next = pl->end - 1;
		if (pl->p->len == 0)
			pl->end = pl->next + 1;
		else if ((pl->p->off + pl->p->len - 1) / ulen + 1 < pl->end)
			pl->end = (pl->p->off + pl->p->len - 1) / ulen + 1;
	}
	rc = 0;
out:
	ge_fetch_free(f);
	ge_survey_release(&sv);
	return (rc);
}

int
ge_pull_run(struct ge_pull *p, const struct ge_store *st,
    const struct ge_known *kn, struct ge_err *e)
{
	struct puller pl = { .p = p, .kn = kn };
	struct ge_fetch *f = NULL;
	struct ge_fetched g;
	struct ge_map map;
	struct ge_tar *t = NULL;
	uint8_t *buf = NULL;
	char name[2 * GE_SETID + 1 + sizeof("/manifest")];
	int rc = -1, more = 0, last = 0;

	memset(&map, 0, sizeof(map));
	if (p->ranged && p->len > UINT64_MAX - p->off)
		p->len = UINT64_MAX - p->off;
	if (kn->has && ge_map_init(&map, st->sites, kn, e) == -1)
		goto out;
	if ((buf = ge_block_alloc(CHUNK, e)) == NULL ||
	    bounds(&pl, st, e) == -1 ||
	    (f = ge_fetch_new(st, kn, kn->has ? &map : NULL, POOL, next_want,
	    &pl, e)) == NULL || (t = ge_tar_open(p->out, e)) == NULL)
		goto out;
	/* Without a manifest a site may list segments that never were. */
	while ((kn->has || !last) && (more = ge_fetch_next(f, &g, e)) == 1) {
		last = (g.h.flags & GE_FLAG_LAST) != 0;
		if (put_segment(p, t, f, &g, buf, e) == -1)
			goto out;
	}
	if (more == -1)
		goto out;
	if (!kn->has && !p->ranged && !last) {
		ge_fail(e, GE_ELOST, "the last segments are nowhere to be "
		    "found");
		goto out;
	}
	if (kn->has) {
		ge_hex(name, kn->setid, GE_SETID);
		strcat(name, "/manifest");
		if (ge_tar_entry(t, name, kn->len, e) == -1 ||
		    ge_tar_add(t, kn->text, kn->len, e) == -1) {
			ge_within(e, "output");
			goto out;
		}
	}
	rc = ge_tar_close(t, e);
	t = NULL;
	if (rc == -1)
		ge_within(e, "output");
out:
	if (f != NULL)
		ge_fetch_counts(f, &p->received, &p->damaged, &p->hedged);
	ge_tar_abort(t);
	ge_fetch_free(f);
	ge_block_free(buf);
	ge_map_release(&map);
	return (rc);
}
