#include <stdio.h>
#include <string.h>

#include "store/look_int.h"
#include "store/store_int.h"
#include "util/hook.h"
#include "util/mem.h"

/*
 * An audit at the sites.  A window of segments goes over the set; of each the
 * fragments are looked at as lanes get free, in any order, and the segments are
 * judged and reported from the oldest on.  A look needs nothing but the header of
 * the very fragment, so that of a segment only what the looks found is kept until
 * all have come.
 */
enum {
	PIECES = 1 << 14,		/* fragments in the window */
	PART = 8 << 20,
	BUDGET = 112 << 20,		/* bytes of all lanes */
	GUESS = 16 << 10		/* of a header of which nothing is known */
};

struct piece {
	enum { WAITING, BUSY, DONE } stage;
	int tried;			/* places */
	int listed;			/* taken for good, for it is listed */
	int rank;
	struct ge_look look;		/* the best so far */
	uint8_t pick[GE_STRIPES_MAX / 8];
	int picks;
};

struct segment {
	uint32_t number;
	int epoch;			/* of the names it should have */
	uint64_t size;			/* that most of its fragments have */
	uint32_t nstripes;		/* by that */
	int left;			/* pieces not done */
	int waiting;
	struct piece *piece;		/* [n] */
};

struct sitestate {
	int failed, denied, answers;	/* in a row; ever */
	int busy;
	int down;
	char why[GE_WHY];
};

struct check {
	struct ge_check *c;
	const struct ge_store *st;
	const struct ge_known *kn;
	struct ge_map map;
	struct ge_survey sv;
	struct ge_rule rule;
	struct ge_hdr shape;
	int blind;			/* shares are not looked at */
	int sampling, complete;		/* every site has listed all */
	struct ge_sampler sampler;
	size_t cursor;			/* segment, or into sv.seen, to come */

	struct segment *win;		/* [nwin] a ring */
	struct piece *pieces;
	size_t nwin, first, held;

	struct ge_lane *lane;
	size_t nlanes, busy;
	size_t *idle, nidle;
	struct sitestate *site;

	int16_t now[GE_N_MAX];
	uint64_t *ever, *claim;		/* [sites] */
	uint8_t *over;			/* [sites] list more than the rule bears: 1;
					   3 once that is told */
	uint8_t wraps[32];		/* of the first segment */
	uint64_t off;			/* that the next segment should have, */
	int contiguous;			/* if the one before was seen */
	uint32_t expected;		/* its number */
	int last;			/* the last one has been accepted */
	uint64_t history;		/* segments whose past breaks the rule */
	struct ge_err why, maybe;
};

/*
 * Where fragments may be.
 */

/* The site that the manifest names, also if the sites file does not. */
static const char *
place_name(const struct check *ck, uint32_t segment, int index)
{
	const struct ge_manifest *m = &ck->kn->m;
	const struct ge_place *pl;
	const char *name = NULL;
	uint32_t i;
	int q;

	if (!ck->kn->has)
		return (NULL);
	for (i = ck->map.first[segment]; i < ck->map.first[segment + 1]; i++) {
		if (ck->map.line[i].from != 0)
			continue;
		pl = &m->place[ck->map.line[i].place];
		for (q = 0; q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == index)
				name = m->sitename[m->placesite[pl->at +
				    (size_t)q]];
	}
	return (name);
}

static int
place(const struct check *ck, uint32_t segment, int index)
{

	if (!ck->kn->has)
		return (-1);
	return (ck->map.at[(size_t)segment * (size_t)ck->map.n +
	    (size_t)index]);
}

/*
 * The j-th place to look: the manifest's, then where it is listed, the newest
 * epoch first.  0 if there is none.
 */
static int
candidate(const struct check *ck, const struct segment *s, int index, int j,
    int *site, int *epoch, uint64_t *size)
{
	const struct ge_seen *seen;
	int at = place(ck, s->number, index);
	size_t n;

	seen = ge_survey_find(&ck->sv, s->number, index, &n);
	if (at >= 0 && j == 0) {
		*site = at;
		*epoch = s->epoch;
		*size = GE_OP_UNKNOWN;
		for (; n > 0; n--, seen++)
			if (seen->site == at && seen->epoch == s->epoch)
				*size = seen->size;
		return (1);
	}
	j -= at >= 0;
	while (n-- > 0) {
		if (seen[n].site == at && seen[n].epoch == s->epoch)
			continue;
		if (j-- > 0)
			continue;
		*site = seen[n].site;
		*epoch = seen[n].epoch;
		*size = seen[n].size;
		return (1);
	}
	return (0);
}

/*
 * What a segment should be, by the manifest and by what is listed.
 */

/* The stripes of a fragment that is so long. */
static uint32_t
stripes(const struct check *ck, uint64_t size, uint32_t most)
{
	struct ge_hdr h = ck->shape;
	uint32_t lo = 0, hi = most, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		h.clen = mid;
		ge_hdr_layout(&h);
		if (h.fraglen < size)
			lo = mid + 1;
		else
			hi = mid;
	}
	h.clen = lo;
	ge_hdr_layout(&h);
	return (h.nstripes < GE_STRIPES_MAX ? h.nstripes : GE_STRIPES_MAX);
}

static void
expect(const struct check *ck, struct segment *s, uint32_t number)
{
	const struct ge_seen *seen;
	uint64_t size[GE_N_MAX];
	size_t n, q, j;
	int i, epoch[256] = { 0 }, count, best = 0, known = 0;
	uint32_t most = GE_SEGMENT_MAX;

	s->number = number;
	s->epoch = 0;
	s->size = GE_OP_UNKNOWN;
	for (i = 0; i < ck->shape.n; i++) {
		seen = ge_survey_find(&ck->sv, number, i, &n);
		for (q = 0; q < n; q++)
			if (q == 0 || seen[q].epoch != seen[q - 1].epoch)
				epoch[seen[q].epoch]++;
	}
	if (ck->kn->has) {
		s->epoch = ck->map.epoch[number];
		most = ck->kn->m.segment[number].ulen;
	} else {
		for (i = 0; i < 256; i++)
			if (epoch[i] >= ck->shape.k)
				s->epoch = i;
	}
	for (i = 0; i < ck->shape.n; i++) {
		seen = ge_survey_find(&ck->sv, number, i, &n);
		for (q = 0; q < n; q++)
			if (seen[q].epoch == s->epoch &&
			    seen[q].size != GE_OP_UNKNOWN) {
				size[known++] = seen[q].size;
				break;
			}
	}
	for (i = 0; i < known; i++) {
		for (count = 0, j = 0; j < (size_t)known; j++)
			count += size[j] == size[i];
		if (count > best) {
			best = count;
			s->size = size[i];
		}
	}
	s->nstripes = stripes(ck, s->size, most);
	if (s->size == GE_OP_UNKNOWN && !ck->kn->has)
		s->nstripes = 1;
}

/* The number of the next segment: 1, or 0 at the end. */
static int
next_segment(struct check *ck, uint32_t *number)
{
	uint32_t now;

	if (ck->kn->has) {
		if (ck->cursor == ck->kn->m.nsegments)
			return (0);
		*number = (uint32_t)ck->cursor++;
		return (1);
	}
	if (ck->cursor == ck->sv.nseen)
		return (0);
	now = ck->sv.seen[ck->cursor].segment;
	while (ck->cursor < ck->sv.nseen &&
	    ck->sv.seen[ck->cursor].segment == now)
		ck->cursor++;
	*number = now;
	return (1);
}

/*
 * What is known of the set without a manifest: what most headers of the first
 * segment say that can be read.
 */
static int
probe(struct check *ck, struct ge_err *e)
{
	enum { MOST = 64 };
	struct ge_op op[MOST], *list[MOST];
	uint8_t buf[MOST][GE_HDR_FIXED];
	struct ge_hdr h[MOST];
	char name[GE_FRAG_NAME];
	size_t at = 0, n, i, j, count, best = 0;
	uint32_t number;

	while (at < ck->sv.nseen) {
		number = ck->sv.seen[at].segment;
		for (n = 0; at < ck->sv.nseen &&
		    ck->sv.seen[at].segment == number; at++) {
			if (n == MOST)
				continue;
			memset(&op[n], 0, sizeof(op[n]));
			op[n].kind = GE_OP_GET;
			op[n].site = ck->sv.seen[at].site;
			op[n].tries = 2;
			op[n].buf = buf[n];
			op[n].len = GE_HDR_FIXED;
			ge_frag_name(name, ck->kn->setid, number,
			    ck->sv.seen[at].index, ck->sv.seen[at].epoch);
			memcpy(op[n].name, name, sizeof(name));
			list[n] = &op[n];
			n++;
		}
		if (ge_op_run(ck->st->net, list, n, e) == -1)
			return (-1);
		for (i = j = 0; i < n; i++)
			if (op[i].result == GE_OP_DONE && ge_hdr_peek(&h[j],
			    buf[i], (size_t)op[i].got, e) == 0)
				j++;
		for (n = j, i = 0; i < n; i++) {
			for (count = 0, j = 0; j < n; j++)
				count += h[j].mode == h[i].mode &&
				    h[j].k == h[i].k && h[j].n == h[i].n &&
				    h[j].block == h[i].block &&
				    h[j].nwraps == h[i].nwraps;
			if (count > best) {
				best = count;
				ck->shape = h[i];
			}
		}
		if (best > 0)
			return (0);
	}
	return (0);
}

static int
shape(struct check *ck, struct ge_err *e)
{
	const struct ge_manifest *m = &ck->kn->m;

	if (!ck->kn->has)
		return (probe(ck, e));
	ck->shape.mode = m->mode;
	ck->shape.k = m->k;
	ck->shape.n = m->n;
	ck->shape.block = m->block;
	ck->shape.nwraps = (uint32_t)m->nrecipients;
	return (0);
}

/*
 * The lanes.
 */
static int
open_lanes(struct check *ck, struct ge_err *e)
{
	struct ge_hdr h = ck->shape;
	size_t part = 0, hmax, n = 64, i;
	uint32_t most = 0;

	h.clen = 0;
	if (ck->kn->has) {
		for (i = 0; i < ck->kn->m.nsegments; i++)
			if (ck->kn->m.segment[i].ulen > most)
				most = ck->kn->m.segment[i].ulen;
		h.clen = most;
		ge_hdr_layout(&h);
		hmax = h.len;
	} else {
		ge_hdr_layout(&h);
		hmax = h.len + 32 * (size_t)h.n * GE_STRIPES_MAX;
	}
	part = h.block;
	if (!ck->sampling)
		while (2 * part <= PART && (2 * part + 2 * hmax) * n <= BUDGET)
			part *= 2;
	while (n > 1 && (part + 2 * hmax) * n > BUDGET)
		n--;
	if ((ck->lane = ge_alloc(n * sizeof(*ck->lane), e)) == NULL ||
	    (ck->idle = ge_alloc(n * sizeof(*ck->idle), e)) == NULL)
		return (-1);
	for (i = 0; i < n; i++) {
		ck->nlanes++;
		if (ge_lane_init(&ck->lane[i], hmax, part, e) == -1)
			return (-1);
		ck->lane[i].shape = &ck->shape;
		ck->lane[i].noshares = ck->blind && h.mode != GE_PLAIN;
		memcpy(ck->lane[i].setid, ck->kn->setid, GE_SETID);
		ck->idle[ck->nidle++] = n - 1 - i;
	}
	return (0);
}

/* How good a look is, 0 the best, for one that is better elsewhere. */
static int
rank(const struct check *ck, const struct segment *s, const struct ge_look *k)
{

	switch (k->got) {
	case GE_LOOK_NOTHING:
		return (10);
	case GE_LOOK_ABSENT:
		return (9);
	case GE_LOOK_LOST:
		return (8);
	case GE_LOOK_BAD:
		return (7);
	default:
		break;
	}
	if (ck->kn->evidence && memcmp(k->root,
	    ck->kn->m.segment[s->number].root, 32) != 0)
		return (6);
	if (k->h.epoch < s->epoch)
		return (5);
	if (k->size < k->h.fraglen)
		return (4);
	if (k->nbad > 0)
		return (3);
	if (k->size != GE_OP_UNKNOWN && k->size > k->h.fraglen)
		return (2);
	return (k->h.mode != GE_PLAIN && (!k->h.has_share ||
	    (!ck->blind && !k->share_ok)));
}

/* A look is over. */
static void
looked(struct check *ck, struct segment *s, int index, const struct ge_look *k)
{
	struct piece *p = &s->piece[index];
	int r = rank(ck, s, k);

	if (p->tried == 0 || r < p->rank) {
		p->look = *k;
		p->rank = r;
	}
	p->tried++;
	p->stage = WAITING;
	s->waiting++;
}

/*
 * What is the next thing to do for a fragment?  1: a lane is wanted, for site and
 * epoch; 0: its site is busy; -1: nothing more, it is done.
 */
static int
next_place(struct check *ck, struct segment *s, int index, int *site,
    int *epoch, uint64_t *size)
{
	struct piece *p = &s->piece[index];
	struct sitestate *ss;
	struct ge_look none;
	int most;

	while (p->rank > 1 && candidate(ck, s, index, p->tried, site, epoch,
	    size)) {
		ss = &ck->site[*site];
		if (!ck->st->gone[*site] && !ss->down) {
			most = ss->failed > 0 || (ss->answers == 0 &&
			    ck->sv.answered[*site] == 0) ? 1 :
			    ck->nlanes > 3 ? (int)ck->nlanes / 2 : 2;
			return (ss->busy < most);
		}
		memset(&none, 0, sizeof(none));
		none.site = (int16_t)*site;
		none.size = GE_OP_UNKNOWN;
		if (!ck->st->gone[*site]) {
			none.got = GE_LOOK_LOST;
			memcpy(none.why, ss->why, sizeof(none.why));
		}
		looked(ck, s, index, &none);
		s->waiting--;
	}
	p->stage = DONE;
	s->waiting--;
	s->left--;
	return (-1);
}

/* Give lanes to what waits, the oldest first. */
static void
give_lanes(struct check *ck)
{
	struct segment *s;
	struct ge_lane *l;
	size_t w;
	uint64_t size;
	int i, site, epoch;

	for (w = 0; w < ck->held && ck->nidle > 0; w++) {
		s = &ck->win[(ck->first + w) % ck->nwin];
		for (i = 0; i < ck->shape.n && s->waiting > 0; i++) {
			if (s->piece[i].stage != WAITING)
				continue;
			if (ck->nidle == 0)
				return;
			if (next_place(ck, s, i, &site, &epoch, &size) != 1)
				continue;
			l = &ck->lane[ck->idle[--ck->nidle]];
			l->root = ck->kn->evidence ?
			    ck->kn->m.segment[s->number].root : NULL;
			l->pick = s->piece[i].pick;
			l->whole = !ck->sampling;
			l->segment = s->number;
			l->index = i;
			l->epoch = epoch;
			l->size = size;
			l->guess = GUESS;
			if (ck->kn->has) {
				struct ge_hdr h = ck->shape;

				h.clen = ck->kn->m.segment[s->number].ulen;
				ge_hdr_layout(&h);
				l->guess = h.len;
			}
			l->tag = s;
			s->piece[i].stage = BUSY;
			s->waiting--;
			ck->site[site].busy++;
			ge_lane_begin(l, site);
			ge_op_start(ck->st->net, &l->op);
			ck->busy++;
		}
	}
}

/* A site that does not answer is not asked again for each of its fragments. */
static void
site_answered(struct check *ck, const struct ge_op *op)
{
	struct sitestate *ss = &ck->site[op->site];
	size_t i;

	switch (op->result) {
	case GE_OP_FAILED:
		ss->failed++;
		break;
	case GE_OP_DENIED:
		ss->failed = 0;
		ss->denied++;
		break;
	case GE_OP_CANCELLED:
		return;
	default:
		ss->failed = ss->denied = 0;
		ss->answers++;
		return;
	}
	if (ss->down || (ss->failed < 2 && (ss->denied < 16 ||
	    ss->answers > 0)))
		return;
	ss->down = 1;
	ge_op_why(op, ss->why);
	ge_note(GE_WARN, "site '%s': taken for unreachable: %s",
	    ck->st->sites->site[op->site].name, ss->why);
	for (i = 0; i < ck->nlanes; i++)
		if (ck->lane[i].tag != NULL && &ck->lane[i].op != op &&
		    ck->lane[i].op.site == op->site)
			ge_op_cancel(ck->st->net, &ck->lane[i].op);
}

static int
finished(struct check *ck, struct ge_lane *l, struct ge_err *e)
{
	struct segment *s = l->tag;
	struct sitestate *ss = &ck->site[l->op.site];

	ck->busy--;
	site_answered(ck, &l->op);
	if (ge_hook_tick(l->op.got, e) == -1)
		return (-1);
	if (ge_lane_step(l) == 1) {
		ge_op_start(ck->st->net, &l->op);
		ck->busy++;
		return (0);
	}
	if (l->look.got == GE_LOOK_LOST && ss->down)
		memcpy(l->look.why, ss->why, sizeof(ss->why));
	ss->busy--;
	l->tag = NULL;
	ck->idle[ck->nidle++] = (size_t)(l - ck->lane);
	ck->c->checked += l->look.checked;
	looked(ck, s, l->index, &l->look);
	return (0);
}

/*
 * The window.
 */

/* May this fragment be taken for good because it is listed as it should be? */
static int
listed(const struct check *ck, const struct segment *s, int index,
    struct ge_look *k)
{
	int site, epoch;
	uint64_t size;

	/* Without a manifest the last segment tells that it is the last. */
	if (s->piece[index].picks > 0 ||
	    (!ck->kn->has && ck->cursor == ck->sv.nseen) ||
	    !candidate(ck, s, index, 0, &site, &epoch, &size) ||
	    ck->st->gone[site] || epoch != s->epoch ||
	    size == GE_OP_UNKNOWN || size != s->size)
		return (0);
	k->site = (int16_t)site;
	k->size = size;
	return (1);
}

static int
enter(struct check *ck, uint32_t number, struct ge_err *e)
{
	size_t slot = (ck->first + ck->held) % ck->nwin;
	struct segment *s = &ck->win[slot];
	uint8_t pick[GE_STRIPES_MAX];
	struct piece *p;
	uint32_t t;
	int i;

	s->piece = ck->pieces + slot * (size_t)ck->shape.n;
	expect(ck, s, number);
	s->left = s->waiting = 0;
	for (i = 0; i < ck->shape.n; i++) {
		p = &s->piece[i];
		memset(p, 0, sizeof(*p));
		p->look.site = -1;
		p->rank = 10;
		p->stage = DONE;
		if (ck->sampling) {
			if (ge_sampler_pick(&ck->sampler, pick, s->nstripes,
			    e) == -1)
				return (-1);
			for (t = 0; t < s->nstripes; t++)
				if (pick[t]) {
					p->pick[t / 8] |=
					    (uint8_t)(1 << t % 8);
					p->picks++;
				}
			if ((p->listed = listed(ck, s, i, &p->look)))
				continue;
		}
		p->stage = WAITING;
		s->left++;
		s->waiting++;
	}
	ck->held++;
	return (0);
}

/*
 * Judgement.
 */

struct verdict {
	enum ge_state state;
	int epoch;
	const char *site;
	char detail[192];
};

/* Which root counts: that of a piece, or NULL. */
static const uint8_t *
accept(struct check *ck, const struct segment *s, const struct ge_look **like,
    struct ge_err *why)
{
	const struct ge_look *k, *q;
	const uint8_t *root = ck->kn->has ?
	    ck->kn->m.segment[s->number].root : NULL;
	int i, j, n = ck->shape.n, count, all = 0, best = 0, mine = 0;
	const struct ge_look *most = NULL;

	*like = NULL;
	for (i = 0; i < n; i++) {
		k = &s->piece[i].look;
		if (k->got != GE_LOOK_HEADER)
			continue;
		all++;
		for (count = 0, j = 0; j < n; j++) {
			q = &s->piece[j].look;
			count += q->got == GE_LOOK_HEADER &&
			    memcmp(q->root, k->root, 32) == 0;
		}
		if (count > best) {
			best = count;
			most = k;
		}
		if (root != NULL && memcmp(k->root, root, 32) == 0) {
			*like = k;
			mine = count;
		}
	}
	if (root != NULL && (ck->kn->evidence || ck->sampling)) {
		if (!ck->sampling && mine < ck->shape.k &&
		    best >= ck->shape.k && best > mine)
			ge_fail(why, GE_EREFUSED, "segment %lu: its fragments "
			    "are not those of the manifest",
			    (unsigned long)s->number);
		return (root);
	}
	if (most == NULL)
		return (NULL);
	*like = most;
	if (best >= ck->shape.k && 2 * best <= all)
		ge_fail(why, GE_EREFUSED, "segment %lu: the headers contradict "
		    "each other", (unsigned long)s->number);
	else if (best >= ck->shape.k && root != NULL &&
	    memcmp(most->root, root, 32) != 0)
		ge_fail(why, GE_EREFUSED, "segment %lu: its fragments are not "
		    "those of the manifest", (unsigned long)s->number);
	return (most->root);
}

/* Of the accepted group the newest epoch record with k fragments, or NULL. */
static const struct ge_look *
current(const struct check *ck, const struct segment *s, const uint8_t *root,
    int *valid)
{
	const struct ge_look *k, *q, *best = NULL;
	int i, j, n = ck->shape.n, count;

	*valid = 0;
	for (i = 0; i < n; i++) {
		k = &s->piece[i].look;
		if (k->got != GE_LOOK_HEADER || memcmp(k->root, root, 32) != 0)
			continue;
		for (count = 0, j = 0; j < n; j++) {
			q = &s->piece[j].look;
			count += q->got == GE_LOOK_HEADER &&
			    memcmp(q->root, root, 32) == 0 &&
			    memcmp(q->record, k->record, 32) == 0 &&
			    (ck->blind || q->share_ok);
		}
		if (count >= ck->shape.k &&
		    (best == NULL || k->h.epoch > best->h.epoch)) {
			best = k;
			*valid = count;
		}
	}
	return (best);
}

static void
missing(struct check *ck, const struct segment *s, int index,
    struct verdict *v)
{
	const struct ge_look *k = &s->piece[index].look;
	const char *name = place_name(ck, s->number, index);
	int at = place(ck, s->number, index);

	v->state = GE_STATE_MISSING;
	snprintf(v->detail, sizeof(v->detail), "-");
	if (k->got == GE_LOOK_ABSENT)
		return;
	if (at >= 0) {
		v->site = name;
		snprintf(v->detail, sizeof(v->detail), "its site is taken as "
		    "gone");
	} else if (name != NULL) {
		v->state = GE_STATE_UNREACHABLE;
		v->site = name;
		snprintf(v->detail, sizeof(v->detail), "the sites file does "
		    "not name its site");
	} else if (!ck->complete) {
		v->state = GE_STATE_UNREACHABLE;
		snprintf(v->detail, sizeof(v->detail), "not found, and not all "
		    "sites answered");
	}
}

static void
judge(struct check *ck, const struct segment *s, int index,
    const uint8_t *root, const struct ge_look *record, struct verdict *v)
{
	const struct piece *p = &s->piece[index];
	const struct ge_look *k = &p->look;
	const struct ge_hdr *h = &k->h;

	v->site = k->site < 0 ? "-" : ck->st->sites->site[k->site].name;
	v->epoch = p->listed ? s->epoch : k->h.epoch;
	v->state = GE_STATE_OK;
	snprintf(v->detail, sizeof(v->detail), "-");
	if (p->listed)
		return;
	v->state = GE_STATE_CORRUPT;
	switch (k->got) {
	case GE_LOOK_NOTHING:
	case GE_LOOK_ABSENT:
		missing(ck, s, index, v);
		return;
	case GE_LOOK_LOST:
		v->state = GE_STATE_UNREACHABLE;
		/* FALLTHROUGH */
	case GE_LOOK_BAD:
		snprintf(v->detail, sizeof(v->detail), "%s", k->why);
		return;
	case GE_LOOK_HEADER:
		break;
	}
	if (root == NULL || memcmp(k->root, root, 32) != 0)
		snprintf(v->detail, sizeof(v->detail), "its header contradicts "
		    "the %s", ck->kn->has && (ck->kn->evidence ||
		    ck->sampling) ? "manifest" : "others");
	else if (h->mode != GE_PLAIN && (record != NULL ?
	    memcmp(k->record, record->record, 32) != 0 :
	    h->epoch < s->epoch)) {
		v->state = GE_STATE_STALE;
		snprintf(v->detail, sizeof(v->detail), "epoch %d, the segment "
		    "is at epoch %d", h->epoch, record != NULL ?
		    record->h.epoch : s->epoch);
	} else if (k->size < h->fraglen)
		snprintf(v->detail, sizeof(v->detail), "cut after %llu of %llu "
		    "bytes", (unsigned long long)k->size,
		    (unsigned long long)h->fraglen);
	else if (k->nbad > 0)
		snprintf(v->detail, sizeof(v->detail), "%lu of %lu blocks "
		    "damaged", (unsigned long)k->nbad,
		    (unsigned long)h->nstripes);
	else if (k->size != GE_OP_UNKNOWN && k->size > h->fraglen)
		snprintf(v->detail, sizeof(v->detail), "bytes after the "
		    "payload");
	else if (h->mode != GE_PLAIN && !h->has_share)
		snprintf(v->detail, sizeof(v->detail), "no key share");
	else if (h->mode != GE_PLAIN && !ck->blind && !k->share_ok)
		snprintf(v->detail, sizeof(v->detail), "wrong key share");
	else {
		v->state = GE_STATE_OK;
		snprintf(v->detail, sizeof(v->detail), "-");
	}
}

/* The fragments of the stripe that has the fewest good blocks. */
static int
fewest(const struct check *ck, const struct segment *s, const uint8_t *root,
    uint32_t nstripes)
{
	const struct ge_look *k;
	int i, count, least = 0;
	uint32_t t;

	for (t = 0; t < nstripes || t == 0; t++) {
		for (count = 0, i = 0; i < ck->shape.n; i++) {
			k = &s->piece[i].look;
			count += k->got == GE_LOOK_HEADER &&
			    memcmp(k->root, root, 32) == 0 &&
			    (k->bad[t / 8] >> t % 8 & 1) == 0;
		}
		if (t == 0 || count < least)
			least = count;
	}
	return (least);
}

/*
 * What a site lists is its own word: if that is more than the rule bears, that is no
 * fault of the set's.
 */
static int
weigh_lists(struct check *ck, const struct segment *s, int epoch,
    const int16_t *now, struct ge_err *e)
{
	const struct ge_seen *seen;
	size_t n, q;
	int i;

	memset(ck->claim, 0, ck->st->sites->n * sizeof(*ck->claim));
	for (i = 0; i < ck->shape.n; i++) {
		seen = ge_survey_find(&ck->sv, s->number, i, &n);
		for (q = 0; q < n; q++)
			if (seen[q].epoch == epoch)
				ck->claim[seen[q].site] |= (uint64_t)1 << i;
	}
	if (ge_rule_believe(&ck->rule, ck->ever, ck->claim, now, ck->over,
	    e) == -1)
		return (-1);
	for (q = 0; q < ck->st->sites->n; q++) {
		if (ck->over[q] != 1)
			continue;
		ck->over[q] |= 2;
		ge_note(GE_WARN, "site '%s' lists more of segment %lu than the "
		    "placement rule bears", ck->st->sites->site[q].name,
		    (unsigned long)s->number);
	}
	return (0);
}

/* What is whole, and breaks the placement rule where it is. */
static int
placement(struct check *ck, const struct segment *s, int epoch,
    struct verdict *v, struct ge_err *e)
{
	int16_t now[GE_N_MAX];
	const char *name;
	int i, n = ck->shape.n, at;

	memset(ck->ever, 0, ck->st->sites->n * sizeof(*ck->ever));
	if (ck->kn->has)
		ge_map_ever(&ck->map, s->number, epoch, ck->ever);
	for (i = 0; i < n; i++) {
		now[i] = ck->now[i];
		/* It has been read there, and not only listed. */
		if (now[i] >= 0 && !s->piece[i].listed)
			ck->ever[now[i]] |= (uint64_t)1 << i;
		if (v[i].state != GE_STATE_OK || ck->now[i] < 0)
			continue;
		name = place_name(ck, s->number, i);
		at = place(ck, s->number, i);
		if (!ge_rule_within(ck->st->sites,
		    &ck->st->sites->site[ck->now[i]])) {
			v[i].state = GE_STATE_MISPLACED;
			snprintf(v[i].detail, sizeof(v[i].detail), "the site "
			    "is not within the countries allowed");
		} else if (name != NULL && at != ck->now[i]) {
			v[i].state = GE_STATE_MISPLACED;
			snprintf(v[i].detail, sizeof(v[i].detail), "the "
			    "manifest says it is at '%s'", name);
		}
	}
	while (ge_rule_check(&ck->rule, ck->ever, now, e) == -1) {
		if (e->code != GE_EREFUSED)
			return (-1);
		if ((i = ge_rule_breaker(&ck->rule, now)) == -1 || now[i] < 0) {
			if (ck->history++ == 0)
				ge_note(GE_WARN, "segment %lu: %s",
				    (unsigned long)s->number, e->msg);
			return (0);
		}
		now[i] = -1;
		if (v[i].state == GE_STATE_OK) {
			v[i].state = GE_STATE_MISPLACED;
			snprintf(v[i].detail, sizeof(v[i].detail), "%.*s",
			    (int)sizeof(v[i].detail) - 1, e->msg);
		}
	}
	return (weigh_lists(ck, s, epoch, now, e));
}

static void
spare(struct check *ck, uint64_t good)
{
	struct ge_check *c = ck->c;
	size_t d;
	int n;

	n = ge_rule_spare(&ck->rule, good, ck->now, NULL);
	if (n < c->spare_sites)
		c->spare_sites = n;
	for (d = 0; d < ck->st->sites->ndomains; d++) {
		n = ge_rule_spare(&ck->rule, good, ck->now,
		    ck->st->sites->domain[d]);
		if (n < c->spare_domains) {
			c->spare_domains = n;
			c->worst_label = ck->st->sites->domain[d];
		}
	}
}

static void
tell(struct check *ck, uint32_t number, int index, const struct verdict *v)
{
	struct ge_check *c = ck->c;
	struct ge_finding f = { .state = v->state, .known = 1,
	    .segment = number, .index = index, .epoch = v->epoch,
	    .site = v->site, .detail = v->detail };

	c->fragments++;
	if (v->state == GE_STATE_UNREACHABLE)
		c->unreachable++;
	else if (v->state == GE_STATE_MISPLACED)
		c->misplaced++;
	else if (v->state != GE_STATE_OK)
		c->bad++;
	memcpy(f.setid, ck->kn->setid, GE_SETID);
	if (c->found != NULL)
		c->found(c->arg, &f);
}

/*
 * Shares of older epochs beside the fragments: k of them open the segment as the
 * new ones do.
 */
static void
old_shares(struct check *ck, const struct segment *s, int epoch,
    const struct verdict *v)
{
	struct ge_finding f = { .state = GE_STATE_STALE, .known = 1,
	    .beside = 1, .segment = s->number, .detail = GE_OLD_SHARE };
	const struct ge_seen *seen;
	size_t n, q;

	memcpy(f.setid, ck->kn->setid, GE_SETID);
	for (f.index = 0; f.index < ck->shape.n; f.index++) {
		seen = ge_survey_find(&ck->sv, s->number, f.index, &n);
		for (q = 0; q < n; q++) {
			f.epoch = seen[q].epoch;
			f.site = ck->st->sites->site[seen[q].site].name;
			if (f.epoch >= epoch || (v[f.index].epoch == f.epoch &&
			    v[f.index].site == f.site))
				continue;
			ck->c->old++;
			if (ck->c->found != NULL)
				ck->c->found(ck->c->arg, &f);
		}
	}
}

/* Where the first reason why the set is lost goes, or is perhaps; or NULL. */
static struct ge_err *
lost(struct check *ck, int perhaps)
{
	struct ge_err *e = perhaps ? &ck->maybe : &ck->why;

	return (e->code == 0 ? e : NULL);
}

/*
 * Does a segment follow on those before?  For sets without a manifest; a sample has
 * not seen the headers of all.
 */
static void
follows(struct check *ck, uint32_t number, const struct ge_look *k)
{

	if (ck->kn->has)
		return;
	if (number != ck->expected && ck->why.code == 0)
		ge_fail(&ck->why, GE_ELOST, "segment %lu: no site lists it",
		    (unsigned long)ck->expected);
	ck->contiguous = ck->contiguous && number == ck->expected;
	ck->expected = number + 1;
	ck->last = 0;
	if (k == NULL) {
		ck->contiguous = 0;
		return;
	}
	if (ck->why.code == 0 && ((ck->contiguous && k->h.off != ck->off) ||
	    (ck->off > 0 && memcmp(ck->wraps, k->wraps, 32) != 0)))
		ge_fail(&ck->why, GE_EREFUSED, "segment %lu: it does not "
		    "follow on the one before", (unsigned long)number);
	memcpy(ck->wraps, k->wraps, sizeof(ck->wraps));
	ck->off = k->h.off + k->h.ulen;
	ck->contiguous = 1;
	ck->last = (k->h.flags & GE_FLAG_LAST) != 0;
}

static int
report(struct check *ck, struct segment *s, struct ge_err *e)
{
	struct ge_check *c = ck->c;
	struct verdict v[GE_N_MAX];
	const struct ge_look *like, *record = NULL, *k;
	const uint8_t *root;
	struct ge_err why = { 0, 0, "" }, *worst;
	struct ge_hdr h = ck->shape;
	uint64_t good = 0;
	int i, n = h.n, left, valid = n, unreachable = 0, needs, perhaps;

	root = accept(ck, s, &like, &why);
	needs = root != NULL && h.mode != GE_PLAIN && !ck->sampling;
	if (needs)
		record = current(ck, s, root, &valid);
	for (i = 0; i < n; i++) {
		k = &s->piece[i].look;
		judge(ck, s, i, root, record, &v[i]);
		ck->now[i] = v[i].state == GE_STATE_OK ? k->site : -1;
		unreachable += v[i].state == GE_STATE_UNREACHABLE;
		if (s->piece[i].listed || k->got == GE_LOOK_HEADER)
			c->blocks += k->got == GE_LOOK_HEADER ?
			    k->h.nstripes : s->nstripes;
		if (v[i].state == GE_STATE_OK)
			good |= (uint64_t)1 << i;
	}
	if (placement(ck, s, record != NULL ? record->h.epoch : s->epoch, v,
	    e) == -1)
		return (-1);
	for (i = 0; i < n; i++)
		tell(ck, s->number, i, &v[i]);
	old_shares(ck, s, record != NULL ? record->h.epoch : s->epoch, v);
	if (ck->sampling || root == NULL)
		for (left = i = 0; i < n; i++)
			left += good >> i & 1;
	else
		left = fewest(ck, s, root, like != NULL ? like->h.nstripes : 0);
	if (why.code != 0 && ck->why.code == 0)
		ck->why = why;
	if (left < h.k) {
		perhaps = left + unreachable >= h.k;
		if ((worst = lost(ck, perhaps)) != NULL)
			ge_fail(worst, perhaps ? GE_EFAIL : GE_ELOST, "segment "
			    "%lu: %d good fragments or blocks of a stripe, %d "
			    "are needed", (unsigned long)s->number, left, h.k);
	} else if (needs && valid < h.k) {
		perhaps = valid + unreachable >= h.k;
		if ((worst = lost(ck, perhaps)) != NULL)
			ge_fail(worst, perhaps ? GE_EFAIL : GE_ELOST, "segment "
			    "%lu: fewer than %d valid key shares of one epoch",
			    (unsigned long)s->number, h.k);
	}
	if (needs && valid < left)
		left = valid;
	if (left < c->worst)
		c->worst = left;
	spare(ck, good);
	follows(ck, s->number, like);
	if (like != NULL)
		c->stored += (uint64_t)n * like->h.fraglen;
	else if (s->size != GE_OP_UNKNOWN)
		c->stored += (uint64_t)n * s->size;
	c->length = ck->kn->has ? ck->kn->m.length : ck->off;
	c->nsegments++;
	return (0);
}

/* Names that are nothing of the set, or nothing that it still needs. */
static void
count_strays(struct check *ck)
{
	size_t i;

	ck->c->strays = ck->sv.leftovers;
	for (i = 0; i < ck->sv.nseen; i++)
		ck->c->strays += ck->sv.seen[i].index >= ck->shape.n ||
		    (ck->kn->has && ck->sv.seen[i].segment >=
		    ck->kn->m.nsegments);
}

static void
lacking(struct check *ck)
{
	size_t i;

	for (i = 0; i < ck->st->sites->n; i++) {
		if (ck->st->gone[i] || !ck->kn->answered[i] ||
		    (ck->kn->has && ck->kn->current[i]))
			continue;
		ck->c->manifests++;
		if (!ck->kn->has)
			continue;
		ge_note(GE_WARN, "site '%s': %s", ck->st->sites->site[i].name,
		    ck->kn->has_any[i] ? "it has another manifest of the set" :
		    "it lacks the manifest");
	}
}

static int
begin(struct check *ck, struct ge_err *e)
{
	struct ge_check *c = ck->c;
	const struct ge_sites *sites = ck->st->sites;
	struct segment s;
	uint64_t all = 0;
	uint32_t number;
	size_t i;

	if (ge_survey_run(ck->st, ck->kn->setid, &ck->sv, e) == -1)
		return (-1);
	ck->complete = 1;
	for (i = 0; i < sites->n; i++)
		if (!ck->st->gone[i] && ck->sv.answered[i] == 0)
			ck->complete = 0;
	if (shape(ck, e) == -1)
		return (-1);
	if (ck->shape.n == 0)
		return (ck->complete ? ge_fail(e, GE_ELOST, "no site has a "
		    "fragment or a manifest of the set") :
		    ge_fail(e, GE_EFAIL, "no site that answered has a "
		    "fragment or a manifest of the set"));
	if ((ck->kn->has && ge_map_init(&ck->map, sites, ck->kn, e) == -1) ||
	    ge_rule_init(&ck->rule, sites, ck->st->gone, ck->shape.k,
	    ck->shape.n, ck->shape.mode == GE_PLAIN, e) == -1 ||
	    (ck->ever = ge_alloc(sites->n * sizeof(*ck->ever), e)) == NULL ||
	    (ck->claim = ge_alloc(sites->n * sizeof(*ck->claim), e)) == NULL ||
	    (ck->over = ge_alloc(sites->n, e)) == NULL ||
	    (ck->site = ge_alloc(sites->n * sizeof(*ck->site), e)) == NULL)
		return (-1);
	c->k = ck->shape.k;
	c->n = ck->shape.n;
	c->mode = ck->shape.mode;
	c->worst = GE_N_MAX;
	c->spare_sites = c->spare_domains = (int)sites->n;
	ck->blind = c->noshares;
	if (c->confidence > 0) {
		while (next_segment(ck, &number)) {
			expect(ck, &s, number);
			all += (uint64_t)ck->shape.n * s.nstripes;
		}
		ck->cursor = 0;
		ck->sampling = ge_sampler_init(&ck->sampler, c->confidence,
		    c->share, all);
		if (!ck->sampling)
			c->confidence = 0;
	}
	ck->nwin = PIECES / (size_t)ck->shape.n;
	if ((ck->win = ge_alloc(ck->nwin * sizeof(*ck->win), e)) == NULL ||
	    (ck->pieces = ge_alloc(ck->nwin * (size_t)ck->shape.n *
	    sizeof(*ck->pieces), e)) == NULL)
		return (-1);
	return (open_lanes(ck, e));
}

static int
work(struct check *ck, struct ge_err *e)
{
	struct ge_op *op;
	uint32_t number;
	int more = 1, rc;

	for (;;) {
		while (more && ck->held < ck->nwin) {
			if ((more = next_segment(ck, &number)) &&
			    enter(ck, number, e) == -1)
				return (-1);
		}
		give_lanes(ck);
		while (ck->held > 0 && ck->win[ck->first].left == 0) {
			if (report(ck, &ck->win[ck->first], e) == -1)
				return (-1);
			ck->first = (ck->first + 1) % ck->nwin;
			ck->held--;
		}
		if (ck->held == 0 && !more)
			return (0);
		if (ck->busy == 0)
			continue;
		if ((rc = ge_net_next(ck->st->net, -1, &op, e)) == -1)
			return (-1);
		if (rc == 1 && finished(ck, op->tag, e) == -1)
			return (-1);
	}
}

static int
verdict(struct check *ck, struct ge_err *e)
{
	struct ge_check *c = ck->c;

	if (!ck->kn->has && ck->why.code == 0 && !ck->last)
		ge_fail(&ck->why, ck->complete ? GE_ELOST : GE_EFAIL,
		    "no site lists segment %lu", (unsigned long)ck->expected);
	if (!ck->kn->has && ck->why.code == GE_ELOST && !ck->complete)
		ck->why.code = GE_EFAIL;
	c->spare = ck->why.code == GE_ELOST || ck->maybe.code != 0 ? -1 :
	    c->worst - c->k;
	if (ck->history > 0)
		ge_note(GE_WARN, "segments of which a domain has had too many "
		    "fragments over time: %llu",
		    (unsigned long long)ck->history);
	if (ck->why.code != 0) {
		*e = ck->why;
		return (-1);
	}
	if (ck->maybe.code != 0) {
		*e = ck->maybe;
		return (ge_within(e, "not all sites answered"));
	}
	if (c->bad + c->misplaced > 0)
		return (ge_fail(e, GE_EDEGRADED, "fragments not whole or not "
		    "in their place: %llu",
		    (unsigned long long)(c->bad + c->misplaced)));
	if (c->old > 0)
		return (ge_fail(e, GE_EDEGRADED, "old shares that are still "
		    "there: %llu", (unsigned long long)c->old));
	if (c->manifests > 0 && !ck->kn->has)
		return (ge_fail(e, GE_EDEGRADED, "no site has a manifest of "
		    "the set: gerepair(1) tells how to make one"));
	if (c->manifests > 0)
		return (ge_fail(e, GE_EDEGRADED, "sites without the manifest: "
		    "%llu", (unsigned long long)c->manifests));
	if (ck->history > 0)
		return (ge_fail(e, GE_EDEGRADED, "the places of the past "
		    "break the placement rule"));
	if (c->unreachable > 0)
		return (ge_fail(e, GE_EFAIL, "not all sites answered"));
	return (0);
}

/* The net has memory of ours until all is back. */
static void
stop(struct check *ck)
{

	while (ck->busy > 0 && ge_net_reclaim(ck->st->net) != NULL)
		ck->busy--;
}

int
ge_check_run(struct ge_check *c, const struct ge_store *st,
    const struct ge_known *kn, struct ge_err *e)
{
	struct check *ck;
	uint64_t up, before, after;
	size_t i;
	int rc = -1;

	ge_net_moved(st->net, &up, &before);
	c->spare = c->spare_sites = c->spare_domains = -1;
	if ((ck = ge_alloc(sizeof(*ck), e)) == NULL)
		return (-1);
	ck->c = c;
	ck->st = st;
	ck->kn = kn;
	if (begin(ck, e) == -1 || work(ck, e) == -1)
		goto out;
	count_strays(ck);
	lacking(ck);
	rc = verdict(ck, e);
out:
	stop(ck);
	ge_net_moved(st->net, &up, &after);
	c->received = after - before;
	c->history = ck->history;
	for (i = 0; i < ck->nlanes; i++)
		ge_lane_release(&ck->lane[i]);
	ge_free(ck->lane);
	ge_free(ck->idle);
	ge_free(ck->win);
	ge_free(ck->pieces);
	ge_free(ck->site);
	ge_free(ck->ever);
	ge_free(ck->claim);
	ge_free(ck->over);
	ge_rule_release(&ck->rule);
	ge_survey_release(&ck->sv);
	ge_map_release(&ck->map);
	ge_free(ck);
	return (rc);
}
