#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/push_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * What came of a push: the manifest, with places for what is proved and for
 * nothing else.
 */

/* What a manifest goes on from. */
struct base {
	char *text;			/* NULL: nothing */
	size_t len;
	struct ge_map map;		/* its places, as known tells them */
	struct ge_known known;
};

static int
count(uint64_t mask)
{
	int n = 0;

	for (; mask != 0; mask &= mask - 1)
		n++;
	return (n);
}

/* Nothing has come: was it cut or unreadable, or is it the wrong input? */
static int
nothing(const struct push *pu, struct ge_err *e)
{
	const struct ge_push *p = pu->p;
	const char *only = pu->intext != NULL ? ", only a manifest" : "";
	const char *sole = p->noperands == 1 ? p->operand[0] : "-";
	char ours[2 * GE_SETID + 1];

	if (ge_feed_cut(pu->feed))
		return (ge_fail(e, GE_EFAIL, "the stream ended early: there is "
		    "no fragment in it"));
	if (ge_feed_unread(pu->feed) > 0)
		return (ge_fail(e, GE_EFAIL, "no fragment could be read"));
	if (p->noperands <= 1 && ge_feed_foreign(pu->feed) > 0)
		return (ge_fail(e, GE_EUSAGE, strcmp(sole, "-") == 0 ?
		    "standard input: neither a fragment nor an archive" :
		    "'%s': neither a fragment nor an archive", sole));
	if (pu->st->pins.has_set)
		return (ge_fail(e, GE_EUSAGE, "no fragment of set %s in the "
		    "input%s", ge_hex(ours, pu->st->pins.set, GE_SETID),
		    only));
	if (p->noperands > 1)
		return (ge_fail(e, GE_EUSAGE, "no fragment in the %zu operands"
		    "%s", p->noperands, only));
	if (strcmp(sole, "-") == 0)
		return (ge_fail(e, GE_EUSAGE, "standard input: no fragment in "
		    "it%s", only));
	return (ge_fail(e, GE_EUSAGE, "'%s': no fragment in it%s", sole,
	    only));
}

/* Has all of the set come, as far as can be told? */
static int
complete(const struct push *pu, struct ge_err *e)
{
	const struct segment *seg;
	uint64_t s, off = 0;

	if (!pu->begun)
		return (nothing(pu, e));
	if (pu->nbegun < pu->nsegs)
		for (s = 0; s < pu->nsegs; s++)
			if (push_segment(pu, s) == NULL)
				return (ge_fail(e, GE_EFAIL, "the stream ended "
				    "early: nothing of segment %" PRIu64
				    " has come", s));
	if (pu->last == -1)
		return (ge_fail(e, GE_EFAIL, "the stream ended early: after "
		    "segment %" PRIu64 " there must be more",
		    pu->nsegs - 1));
	if (ge_feed_cut(pu->feed))
		return (ge_fail(e, GE_EFAIL, "the stream ended early: it is "
		    "cut short"));
	/* What could not be read may have been the manifest, with its label. */
	if (ge_feed_unread(pu->feed) + ge_feed_foreign(pu->feed) > 0 &&
	    pu->intext == NULL)
		return (ge_fail(e, GE_EFAIL, "not all of the input could be "
		    "read, and there is no manifest in the rest"));
	for (s = 0; s < pu->nsegs; s++) {
		seg = push_segment(pu, s);
		if (seg->off != off)
			return (ge_fail(e, GE_EREFUSED, "segment %" PRIu64
			    ": its offset is not the sum of what is before it",
			    s));
		off += seg->ulen;
	}
	return (0);
}

/* What headers say of the set. */
static int
from_headers(const struct push *pu, struct ge_manifest *m, struct ge_err *e)
{
	const struct segment *seg;
	uint64_t s;

	memset(m, 0, sizeof(*m));
	memcpy(m->setid, pu->h.setid, GE_SETID);
	m->mode = pu->h.mode;
	m->code = pu->h.code;
	m->k = pu->h.k;
	m->n = pu->h.n;
	m->alpha = (int)pu->h.alpha;
	m->block = pu->h.block;
	m->nrecipients = (int)pu->h.nwraps;
	for (s = 0; s < pu->h.nwraps; s++)
		m->recipient[s] = pu->common[36 + 96 * s];
	m->nsegments = pu->nsegs;
	if ((m->segment = ge_alloc((size_t)pu->nsegs * sizeof(*m->segment),
	    e)) == NULL)
		return (-1);
	for (s = 0; s < pu->nsegs; s++) {
		seg = push_segment(pu, s);
		m->segment[s].ulen = seg->ulen;
		memcpy(m->segment[s].root, seg->root, 32);
	}
	ge_set_digest(m->digest, m->setid, m->segment, m->nsegments);
	return (0);
}

static int
agrees(const struct ge_manifest *m, const struct ge_manifest *headers)
{

	return (memcmp(m->setid, headers->setid, GE_SETID) == 0 &&
	    memcmp(m->digest, headers->digest, 32) == 0 &&
	    m->mode == headers->mode && m->code == headers->code &&
	    m->k == headers->k && m->n == headers->n &&
	    m->block == headers->block &&
	    m->nrecipients == headers->nrecipients &&
	    memcmp(m->recipient, headers->recipient,
	    (size_t)m->nrecipients) == 0);
}

/* Is this where the fragment is now? */
static int
is_there(const struct push *pu, uint32_t s, int index, int epoch, int site)
{
	const struct segment *seg = push_segment(pu, s);

	return (seg->epoch == epoch && (seg->done >> index & 1) != 0 &&
	    seg->at[index] == site);
}

/*
 * Append places for what is proved and not told of by `old`, the places that m
 * has already, or told before a line of the past.  Returns 1 if there were any, 0,
 * -1.
 */
static int
add_places(const struct push *pu, struct ge_manifest *m,
    const struct ge_map *old, struct ge_err *e)
{
	const char *site[GE_N_MAX];
	const struct segment *seg;
	uint64_t s, new;
	int i, any = 0;

	for (s = 0; s < pu->nsegs; s++) {
		seg = push_segment(pu, s);
		new = seg->done;
		for (i = 0; i < pu->h.n; i++) {
			if ((seg->done >> i & 1) == 0)
				continue;
			site[i] = pu->st->sites->site[seg->at[i]].name;
			if (old->nsegs > 0 && old->epoch[s] == seg->epoch &&
			    old->at[s * (uint64_t)old->n + (uint64_t)i] ==
			    seg->at[i])
				new &= ~((uint64_t)1 << i) | seg->past;
		}
		if (new == 0)
			continue;
		any = 1;
		if (m != NULL && ge_manifest_place(m, seg->epoch, (uint32_t)s,
		    (uint32_t)s, new, site, e) == -1)
			return (-1);
	}
	return (any);
}

static int
by_place(const void *a, const void *b)
{
	const struct ge_try *x = a, *y = b;

	if (x->segment != y->segment)
		return (x->segment < y->segment ? -1 : 1);
	if (x->epoch != y->epoch)
		return (x->epoch < y->epoch ? -1 : 1);
	if (x->index != y->index)
		return (x->index < y->index ? -1 : 1);
	return (x->site < y->site ? -1 : x->site > y->site);
}

/*
 * Of all that was sent leave what no place line tells, or will tell, sorted.
 * *all: 0 if some of it cannot be told: not of the segments that there are, or of
 * an epoch to come.
 */
static void
untold(struct push *pu, const struct ge_map *old, int *all)
{
	struct ge_past *past = &pu->past;
	const struct ge_try *t, *last = NULL;
	size_t i, n = 0;

	*all = 1;
	if (past->n > 0)
		qsort(past->v, past->n, sizeof(*past->v), by_place);
	for (i = 0; i < past->n; i++) {
		t = &past->v[i];
		if (t->segment >= pu->nsegs || t->index >= pu->h.n ||
		    t->epoch > push_segment(pu, t->segment)->epoch) {
			*all = 0;
			continue;
		}
		if (is_there(pu, t->segment, t->index, t->epoch, t->site))
			continue;
		if (old->nsegs > 0 && (last == NULL || last->segment !=
		    t->segment || last->epoch != t->epoch))
			ge_map_ever(old, t->segment, t->epoch, pu->ever);
		last = t;
		if (old->nsegs > 0 &&
		    (pu->ever[t->site] >> t->index & 1) != 0)
			continue;
		past->v[n++] = *t;
	}
	past->n = n;
}

/* The last line about an index that m had before `lines`: its site, or NULL. */
static const char *
was_at(const struct ge_manifest *m, size_t lines, uint32_t s, int index,
    int *epoch)
{
	const struct ge_place *pl;
	int q;

	while (lines-- > 0) {
		pl = &m->place[lines];
		if (s < pl->first || s > pl->last)
			continue;
		for (q = 0; q < pl->n; q++) {
			if (m->placeindex[pl->at + (size_t)q] != index)
				continue;
			*epoch = pl->epoch;
			return (m->sitename[m->placesite[pl->at + (size_t)q]]);
		}
	}
	return (NULL);
}

/*
 * What was sent and not proved to be there is history, and history comes before
 * what is now: where m told that already it is told again.
 */
static int
add_past(struct push *pu, struct ge_manifest *m, struct ge_err *e)
{
	const struct ge_past *past = &pu->past;
	const char *site[GE_N_MAX];
	const struct ge_try *t;
	struct segment *seg;
	size_t i, j, lines = m->nplaces;
	uint64_t mask;
	int epoch;

	for (i = 0; i < past->n; i = j) {
		mask = 0;
		for (j = i, t = &past->v[i]; j < past->n &&
		    past->v[j].segment == t->segment && past->v[j].epoch ==
		    t->epoch && (mask >> past->v[j].index & 1) == 0; j++) {
			mask |= (uint64_t)1 << past->v[j].index;
			site[past->v[j].index] =
			    pu->st->sites->site[past->v[j].site].name;
		}
		if (ge_manifest_place(m, t->epoch, t->segment, t->segment,
		    mask, site, e) == -1)
			return (-1);
		push_segment(pu, t->segment)->past |= mask;
	}
	for (i = 0; i < past->n; i++) {
		t = &past->v[i];
		seg = push_segment(pu, t->segment);
		if ((i > 0 && past->v[i - 1].segment == t->segment &&
		    past->v[i - 1].index == t->index) ||
		    (seg->done >> t->index & 1) != 0 ||
		    (site[t->index] = was_at(m, lines, t->segment, t->index,
		    &epoch)) == NULL)
			continue;
		if (ge_manifest_place(m, epoch, t->segment, t->segment,
		    (uint64_t)1 << t->index, site, e) == -1)
			return (-1);
	}
	return (0);
}

/*
 * What was once seen of the set is newer than what we go by: the sites have lost
 * it.  Ours becomes its successor, or no reader with a memory would have it.
 */
static int
overtake(const struct push *pu, struct ge_manifest *m, struct ge_err *e)
{
	uint8_t hash[32];
	uint64_t serial;
	int rc;

	rc = ge_state_seen(pu->st, m->setid, &serial, hash, e);
	if (rc != 1 || serial < m->serial ||
	    (serial == m->serial && memcmp(hash, m->hash, 32) == 0))
		return (rc == -1 ? -1 : 0);
	m->serial = serial;
	memcpy(m->hash, hash, 32);
	return (1);
}

/* What a manifest says of places, where we have proved nothing, is history. */
static int
take_past(struct push *pu, const struct ge_manifest *m, struct ge_err *e)
{
	const struct ge_place *pl;
	uint32_t s;
	size_t p;
	int q, index, site;

	for (p = 0; p < m->nplaces; p++) {
		pl = &m->place[p];
		for (q = 0; q < pl->n; q++) {
			index = m->placeindex[pl->at + (size_t)q];
			site = ge_sites_find(pu->st->sites, m->sitename[
			    m->placesite[pl->at + (size_t)q]]);
			for (s = pl->first; site != -1 && s <= pl->last &&
			    s < pu->nsegs; s++)
				if (!is_there(pu, s, index, pl->epoch, site) &&
				    ge_past_add(&pu->past, s, index, pl->epoch,
				    site, e) == -1)
					return (-1);
		}
	}
	return (0);
}

/*
 * Whether to go on from the manifest of the sites.  Any site that has a header of
 * each segment can make one: only a credible one is gone on from, and gives its
 * places.  What we sign is to be our word: of one that we have not signed only the
 * past is taken.  1, 0, -1.
 */
static int
goes_on(struct push *pu, const struct ge_manifest *headers, struct ge_err *e)
{
	struct ge_known *kn = &pu->kn;
	size_t i;
	int ours = 1;

	if (!kn->has || !agrees(&kn->m, headers))
		return (0);
	for (i = 0; i < kn->nalso; i++)
		if (take_past(pu, &kn->also[i], e) == -1)
			return (-1);
	if (pu->st->signkey != NULL && (ours = ge_manifest_signed(&kn->m,
	    pu->st->signkey, e)) == -1)
		return (-1);
	if (kn->credible && ours &&
	    (pu->intext == NULL || kn->m.serial >= pu->in.serial))
		return (1);
	if (kn->credible && take_past(pu, &kn->m, e) == -1)
		return (-1);
	if (kn->credible && ours)
		return (0);
	/* It is judged: a greater serial does not keep it. */
	if (ge_grow(&kn->lost, &kn->caplost, kn->nlost + 1, 32, e) == -1)
		return (-1);
	memcpy(kn->lost[kn->nlost++], kn->m.hash, 32);
	return (0);
}

/*
 * The manifest to go on from: that of the sites if it is newer than that of the
 * input; else one is made of what headers say.
 */
static int
begin_manifest(struct push *pu, struct base *b, struct ge_manifest *m,
    const struct ge_manifest *headers, struct ge_err *e)
{
	int on;

	if ((on = goes_on(pu, headers, e)) == -1)
		return (-1);
	if (on) {
		b->text = pu->kn.text;
		b->len = pu->kn.len;
		pu->kn.text = NULL;
	} else if (pu->intext != NULL) {
		b->text = pu->intext;
		b->len = pu->inlen;
		pu->intext = NULL;
	} else {
		return (from_headers(pu, m, e));
	}
	if (ge_manifest_parse(m, (uint8_t *)b->text, b->len, e) == -1)
		return (-1);
	b->known.m = *m;
	return (ge_map_init(&b->map, pu->st->sites, &b->known, e));
}

/*
 * What m has to come after though it does not go on from it: what was once seen,
 * and what most sites have now.  1 if m has become the latter's like; 0, -1.
 */
static int
follow(const struct push *pu, struct ge_manifest *m, struct ge_err *e)
{
	const struct ge_manifest *there = &pu->kn.m;
	int over = 0, seen;

	if (pu->kn.has && there->serial > m->serial &&
	    memcmp(there->digest, m->digest, 32) == 0 && pu->kn.credible) {
		m->serial = there->serial;
		memcpy(m->hash, there->hash, 32);
		over = 1;
	}
	if ((seen = overtake(pu, m, e)) == -1)
		return (-1);
	return (over || seen);
}

/* Then what is new is added to it. */
static int
make_manifest(struct push *pu, struct ge_manifest *m,
    const struct ge_manifest *headers, struct ge_err *e)
{
	struct base b;
	int ours = 1, any, over, all, rc = -1;

	memset(&b, 0, sizeof(b));
	if (begin_manifest(pu, &b, m, headers, e) == -1)
		goto out;
	untold(pu, &b.map, &all);
	if (b.text == NULL) {
		if (add_past(pu, m, e) == -1 ||
		    add_places(pu, m, &b.map, e) == -1 ||
		    ge_manifest_write(m, pu->st->signkey, &pu->p->text,
		    &pu->p->len, e) == -1 || (over = follow(pu, m, e)) == -1)
			goto out;
		if (over) {
			ge_free(pu->p->text);
			pu->p->text = NULL;
			if (ge_manifest_next(m, e) == -1 ||
			    ge_manifest_format(m, pu->st->signkey,
			    &pu->p->text, &pu->p->len, e) == -1)
				goto out;
		}
		pu->told = all;
		rc = 0;
		goto out;
	}
	if ((any = add_places(pu, NULL, &b.map, e)) == -1 ||
	    (pu->st->signkey != NULL && (ours = ge_manifest_signed(m,
	    pu->st->signkey, e)) == -1) || (over = follow(pu, m, e)) == -1)
		goto out;
	/* For the past alone a signed one is not replaced by one that is not. */
	if (m->nsigners > 0 && pu->st->signkey == NULL && pu->past.n > 0 &&
	    !any && !over) {
		pu->past.n = 0;
		all = 0;
	}
	if (any || pu->past.n > 0 || !ours || over) {
		if (m->nsigners > 0 && pu->st->signkey == NULL)
			ge_note(GE_WARN, "the manifest was signed and is not "
			    "any more: -S signs it");
		if (ge_manifest_next(m, e) == -1 || add_past(pu, m, e) == -1 ||
		    add_places(pu, m, &b.map, e) == -1 || ge_manifest_format(m,
		    pu->st->signkey, &pu->p->text, &pu->p->len, e) == -1)
			goto out;
	} else {
		pu->p->text = b.text;
		pu->p->len = b.len;
		b.text = NULL;
	}
	pu->told = all;
	rc = 0;
out:
	ge_map_release(&b.map);
	ge_free(b.text);
	return (rc);
}

/* What may still vanish of a segment, if that is less than of those before it. */
static void
spare(const struct push *pu, const struct segment *seg)
{
	const struct ge_sites *sites = pu->st->sites;
	struct ge_push *p = pu->p;
	size_t d;
	int n;

	n = ge_rule_spare(&pu->rule, seg->done, seg->at, NULL);
	if (n < p->spare_sites)
		p->spare_sites = n;
	for (d = 0; d < sites->ndomains; d++) {
		n = ge_rule_spare(&pu->rule, seg->done, seg->at,
		    sites->domain[d]);
		if (n < p->spare_domains) {
			p->spare_domains = n;
			p->worst_label = sites->domain[d];
		}
	}
}

/* Tell what is not placed; count. */
static void
tally(const struct push *pu, uint64_t *worst)
{
	const struct segment *seg;
	struct ge_push *p = pu->p;
	char why[320];
	uint64_t s;
	int i, n;

	p->fragments = pu->nsegs * (uint64_t)pu->h.n;
	p->fewest = p->spare_sites = p->spare_domains = pu->h.n;
	*worst = 0;
	for (s = 0; s < pu->nsegs; s++) {
		seg = push_segment(pu, s);
		spare(pu, seg);
		n = count(seg->done);
		p->placed += (uint64_t)n;
		if (n < p->fewest) {
			p->fewest = n;
			*worst = s;
		}
		for (i = 0; i < pu->h.n && n < pu->h.n; i++) {
			if ((seg->done >> i & 1) != 0)
				continue;
			if ((seg->seen >> i & 1) == 0)
				snprintf(why, sizeof(why), "not in the input");
			else if (seg->at[i] == BROKEN)
				snprintf(why, sizeof(why),
				    "damaged in the input");
			else if (seg->at[i] == SHARELESS)
				snprintf(why, sizeof(why),
				    "without its key share in the input");
			else
				snprintf(why, sizeof(why), "no site left: %s",
				    pu->why);
			push_found(pu, seg->at[i] == BROKEN ||
			    seg->at[i] == SHARELESS ? GE_STATE_CORRUPT :
			    GE_STATE_MISSING, (uint32_t)s, i, "-", why);
		}
	}
}

static size_t
reachable(const struct ge_store *st)
{
	size_t i, n = 0;

	for (i = 0; i < st->sites->n; i++)
		n += !st->gone[i];
	return (n);
}

/* Nothing was overwritten, and that is the worst; what became of the data follows. */
static int
refuse_foreign(const struct push *pu, int rc, struct ge_err *e)
{
	struct ge_err what = *e;

	if (rc == -1)
		return (ge_fail(e, GE_EREFUSED, "%s; %s", pu->foreign.msg,
		    what.msg));
	return (ge_fail(e, GE_EREFUSED, "%s; all %" PRIu64 " fragments are "
	    "placed elsewhere", pu->foreign.msg, pu->p->placed));
}

int
push_settle(struct push *pu, struct ge_err *e)
{
	struct ge_manifest headers, m;
	struct ge_push *p = pu->p;
	struct ge_store open = *pu->st;
	uint64_t worst;
	int stored = 0, contested, rc = -1;

	memset(&headers, 0, sizeof(headers));
	memset(&m, 0, sizeof(m));
	if (complete(pu, e) == -1 || from_headers(pu, &headers, e) == -1)
		goto out;
	if (pu->st->pins.has_digest &&
	    memcmp(headers.digest, pu->st->pins.digest, 32) != 0) {
		ge_fail(e, GE_EREFUSED, "the input has not the digest named");
		goto out;
	}
	if (pu->intext != NULL && !agrees(&pu->in, &headers)) {
		ge_fail(e, GE_EREFUSED, "the input's manifest contradicts its "
		    "fragments");
		goto out;
	}
	tally(pu, &worst);
	if (!p->dry && p->placed > 0) {
		/* Those that were given up have been named. */
		open.gone = pu->barred;
		if (make_manifest(pu, &m, &headers, e) == -1 ||
		    ge_manifest_publish(&open, &pu->kn, &m, p->text, p->len,
		    &stored, &contested, e) == -1)
			goto out;
		/* What is not safe is to keep nobody from what was there before. */
		if (contested == 0 && p->fewest >= p->quorum)
			(void)ge_state_heard(pu->st, &m, stored);
		pu->told = pu->told && 2 * (size_t)stored > reachable(pu->st);
	}
	if (p->fewest < p->quorum)
		ge_fail(e, GE_EFAIL, "the data is NOT safe: segment %" PRIu64
		    " has %d of %d fragments placed, %d are wanted", worst,
		    p->fewest, pu->h.n, p->quorum);
	else if (!p->dry && stored == 0)
		ge_fail(e, GE_EFAIL, "no site has taken the manifest: keep it");
	else if (p->placed < p->fragments)
		ge_fail(e, GE_EDEGRADED, "%" PRIu64 " of %" PRIu64
		    " fragments are not at a site", p->fragments - p->placed,
		    p->fragments);
	else
		rc = 0;
out:
	if (pu->foreign.code != 0)
		rc = refuse_foreign(pu, rc, e);
	ge_manifest_release(&headers);
	ge_manifest_release(&m);
	return (rc);
}
