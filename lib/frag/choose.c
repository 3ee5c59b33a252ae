#include <stdio.h>
#include <string.h>

#include "frag/frag.h"
#include "frag/pile_int.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * Which fragments count: gefrag(5), "Reading".  Everything here is a judgement
 * over headers; no payload is looked at.
 */

enum {
	GAP_MAX = 65536		/* lost segments in a row that are believed */
};

static int
viable(const struct ge_group *g)
{

	return (ge_popcount(g->indices) >= g->h.k);
}

static int
signed_by(const struct ge_manifest *m, const uint8_t key[32])
{
	int i;

	for (i = 0; i < m->nsigners; i++)
		if (memcmp(m->signer[i], key, 32) == 0)
			return (1);
	return (0);
}

int
ge_manifest_counts(const struct ge_manifest *m, const struct ge_pins *pins)
{

	if (pins->has_set && memcmp(m->setid, pins->set, GE_SETID) != 0)
		return (0);
	if (pins->has_signer && signed_by(m, pins->signer))
		return (2);
	return (pins->has_digest && memcmp(m->digest, pins->digest, 32) == 0);
}

/*
 * The named manifest and those of the signer come before those that merely have
 * the digest: anybody can write one of these, and all that it proves is its
 * roots.  Of equals the highest serial counts.
 */
int
ge_choose_manifest(struct ge_choice *c, struct ge_pile *p,
    const struct ge_pins *pins, struct ge_err *e)
{
	const struct ge_manifest *best = NULL, *named = NULL, *m;
	int fork = 0, attested = 0, by, rank, bestrank = 0;
	size_t i;

	c->man = NULL;
	for (i = 0; i < p->nfound; i++)
		if (p->found[i].named)
			named = &p->found[i].m;
	for (i = 0; i < p->nfound; i++) {
		m = &p->found[i].m;
		rank = ge_manifest_counts(m, pins);
		by = rank == 2 || (p->found[i].named && pins->has_signer &&
		    signed_by(m, pins->signer));
		if (p->found[i].named)
			rank = 2;
		if (rank == 0 || (named != NULL &&
		    memcmp(m->setid, named->setid, GE_SETID) != 0))
			continue;
		attested |= by;
		if (best != NULL && memcmp(m->setid, best->setid,
		    GE_SETID) != 0)
			return (ge_fail(e, GE_EREFUSED, "there are manifests "
			    "of more than one set: name one with -O set=ID"));
		if (best == NULL || rank > bestrank ||
		    (rank == bestrank && m->serial > best->serial)) {
			best = m;
			bestrank = rank;
			fork = 0;
		} else if (rank == bestrank && m->serial == best->serial &&
		    memcmp(m->body, best->body, 32) != 0) {
			fork |= by && signed_by(best, pins->signer);
			if (by)
				best = m;
		}
	}
	c->rootsonly = bestrank == 1;
	if (pins->has_signer && !attested)
		return (ge_fail(e, p->nunreachable > 0 ? GE_EFAIL : GE_EREFUSED,
		    "%sno manifest is signed by the key named",
		    p->nunreachable > 0 ? "not all could be read: " : ""));
	if (fork)
		return (ge_fail(e, GE_EREFUSED, "two different manifests "
		    "with serial %llu are signed: the set has been forked",
		    (unsigned long long)best->serial));
	if (best != NULL && pins->has_set &&
	    memcmp(best->setid, pins->set, GE_SETID) != 0)
		return (ge_fail(e, GE_EREFUSED,
		    "the manifest is of another set than the one named"));
	if (best != NULL && pins->has_digest &&
	    memcmp(best->digest, pins->digest, 32) != 0)
		return (ge_fail(e, GE_EREFUSED,
		    "the manifest has another digest than the one named"));
	if (named != NULL && memcmp(best->digest, named->digest, 32) != 0)
		return (ge_fail(e, GE_EREFUSED,
		    "the manifest named and the signer's contradict each other"));
	c->man = best;
	return (0);
}

/* "1 4 7": the indices of which there is no fragment. */
static const char *
absent(char out[4 * GE_N_MAX], const struct ge_group *g)
{
	size_t len = 0;
	int i;

	for (i = 0; i < g->h.n; i++)
		if ((g->indices >> i & 1) == 0)
			len += (size_t)snprintf(out + len, 4 * GE_N_MAX - len,
			    len == 0 ? "%d" : " %d", i);
	return (out);
}

int
ge_choose_set(struct ge_choice *c, struct ge_pile *p,
    const struct ge_pins *pins, struct ge_err *e)
{
	const uint8_t *pinned = pins->has_set ? pins->set :
	    c->man != NULL ? c->man->setid : NULL;
	char id[2 * GE_SETID + 1], which[4 * GE_N_MAX];
	const struct ge_group *g;
	struct ge_set *set;
	size_t i;

	c->set = NULL;
	if (pinned != NULL) {
		if ((c->set = ge_pile_set(p, pinned)) == NULL)
			return (ge_fail(e, GE_ELOST,
			    "set %s: no fragments found",
			    ge_hex(id, pinned, GE_SETID)));
		return (0);
	}
	for (i = 0; i < p->nsets; i++) {
		set = &p->set[i];
		if (!set->viable)
			continue;
		if (c->set != NULL)
			return (ge_fail(e, GE_EREFUSED, "more than one set is "
			    "here: name one with -O set=ID"));
		c->set = set;
	}
	if (c->set != NULL)
		return (0);
	if (p->nsets == 0)
		return (ge_fail(e, GE_ELOST, "no fragments found"));
	set = &p->set[0];
	g = &set->seg[0]->group[0];
	return (ge_fail(e, GE_ELOST, "set %s: %d fragments are needed, "
	    "%d found (missing %s)", ge_hex(id, set->id, GE_SETID), g->h.k,
	    ge_popcount(g->indices), absent(which, g)));
}

/* Does the accepted group agree with what the manifest says of all? */
static int
agrees(const struct ge_choice *c, const struct ge_hdr *h)
{
	const struct ge_manifest *m = c->man;

	if (c->rootsonly)
		return ((h->segment + 1 == m->nsegments) ==
		    ((h->flags & GE_FLAG_LAST) != 0));
	return (m->mode == h->mode && m->code == h->code && m->k == h->k &&
	    m->n == h->n && m->block == h->block &&
	    (uint32_t)m->alpha == h->alpha && h->segment < m->nsegments &&
	    m->segment[h->segment].ulen == h->ulen &&
	    (h->segment + 1 == m->nsegments) ==
	    ((h->flags & GE_FLAG_LAST) != 0));
}

/*
 * The group of a segment that fell short: how many of its indices are there.
 */
static int
too_few(uint32_t number, const struct ge_group *g, struct ge_err *e)
{
	char which[4 * GE_N_MAX];

	if (g == NULL)
		return (ge_fail(e, GE_ELOST, "segment %lu: no fragments",
		    (unsigned long)number));
	return (ge_fail(e, GE_ELOST, "segment %lu: %d fragments are needed, "
	    "%d found (missing %s)", (unsigned long)number, g->h.k,
	    ge_popcount(g->indices), absent(which, g)));
}

int
ge_choose_group(const struct ge_choice *c, uint32_t number,
    struct ge_group **gp, struct ge_err *e)
{
	struct ge_seg *seg = ge_set_seg(c->set, number);
	struct ge_group *g, *best = NULL, *pinned = NULL;
	int count, most = 0, all = 0, any = 0;

	*gp = NULL;
	if (c->man != NULL && number >= c->man->nsegments)
		return (ge_fail(e, GE_EREFUSED, "segment %lu: the manifest "
		    "has only %llu", (unsigned long)number,
		    (unsigned long long)c->man->nsegments));
	if (seg == NULL)
		return (too_few(number, NULL, e));
	for (g = seg->group; g < seg->group + seg->ngroups; g++) {
		count = ge_popcount(g->indices);
		all += count;
		any |= viable(g);
		if (count > most) {
			most = count;
			best = g;
		}
		if (c->man != NULL && memcmp(g->root,
		    c->man->segment[number].root, 32) == 0)
			pinned = g;
	}
	if (c->man != NULL) {
		if (pinned != NULL && viable(pinned)) {
			if (!agrees(c, &pinned->h))
				return (ge_fail(e, GE_EREFUSED, "segment %lu: "
				    "the header contradicts the manifest",
				    (unsigned long)number));
			*gp = pinned;
			return (0);
		}
		if (any)
			return (ge_fail(e, GE_EREFUSED, "segment %lu: the "
			    "fragments are not those of the manifest",
			    (unsigned long)number));
		return (too_few(number, pinned, e));
	}
	if (!any)
		return (too_few(number, best, e));
	if (!viable(best) || 2 * most <= all)
		return (ge_fail(e, GE_EREFUSED, "segment %lu: the fragments "
		    "contradict each other, and none has a majority: pin a "
		    "manifest, digest or signer", (unsigned long)number));
	*gp = best;
	return (0);
}

int
ge_choose_chain(const struct ge_choice *c, const struct ge_group *g,
    struct ge_err *e)
{
	const struct ge_group *last = NULL;
	uint64_t off;
	size_t i, gap = 0;

	for (i = c->n; i-- > 0 && last == NULL;)
		if ((last = c->group[i]) == NULL)
			gap++;
	if (last == NULL)
		return (0);
	off = last->h.off + last->h.ulen;
	/* Every lost segment in between held at least a byte. */
	if (memcmp(g->setkey, last->setkey, 32) != 0 ||
	    (gap == 0 ? g->h.off != off : g->h.off < off + gap))
		return (ge_fail(e, GE_EREFUSED, "segment %lu does not belong "
		    "to the segments before it", (unsigned long)g->h.segment));
	return (0);
}

static int
append(struct ge_choice *c, struct ge_group *g, struct ge_err *e)
{

	if (ge_grow(&c->group, &c->cap, c->n + 1, sizeof(struct ge_group *),
	    e) == -1)
		return (-1);
	c->group[c->n++] = g;
	return (0);
}

/* The number of a segment at or after c->n that can be read, if any. */
static int
another(const struct ge_choice *c, uint32_t *number)
{
	const struct ge_seg *seg;
	size_t s, g;

	for (s = 0; s < c->set->nsegs; s++) {
		seg = c->set->seg[s];
		if (seg->number < c->n)
			continue;
		for (g = 0; g < seg->ngroups; g++)
			if (viable(&seg->group[g])) {
				*number = seg->number;
				return (1);
			}
	}
	return (0);
}

/* 0, or -1 with c->err (the set is at fault) or e (we are). */
static int
segments(struct ge_choice *c, int tolerant, struct ge_err *e)
{
	struct ge_err why;
	struct ge_group *g;
	uint32_t number;

	while (!c->complete) {
		why.code = 0;
		if (ge_choose_group(c, (uint32_t)c->n, &g, &why) == 0) {
			if (ge_choose_chain(c, g, &why) == -1) {
				c->err = why;
				return (-1);
			}
			if (append(c, g, e) == -1)
				return (-1);
			c->complete = (g->h.flags & GE_FLAG_LAST) != 0;
			continue;
		}
		if (c->err.code == 0)
			c->err = why;
		if (why.code != GE_ELOST || !tolerant) {
			c->err = why;
			return (-1);
		}
		/* Look what there is beyond the hole. */
		if (c->man != NULL) {
			c->complete = c->n + 1 == c->man->nsegments;
			if (append(c, NULL, e) == -1)
				return (-1);
			continue;
		}
		if (!another(c, &number)) {
			/* What there is of it can still be told. */
			number = c->set->nsegs == 0 ? 0 :
			    c->set->seg[c->set->nsegs - 1]->number;
			while (number - c->n < GAP_MAX && c->n <= number)
				if (append(c, NULL, e) == -1)
					return (-1);
			return (-1);
		}
		if (number - c->n > GAP_MAX) {
			ge_fail(&c->err, GE_EREFUSED, "segments %lu to %lu "
			    "are missing: not believed", (unsigned long)c->n,
			    (unsigned long)number - 1);
			return (-1);
		}
		while (c->n < number)
			if (append(c, NULL, e) == -1)
				return (-1);
		/* A segment without a majority stays lost to us. */
	}
	return (c->err.code == 0 ? 0 : -1);
}

static int
digest_is(const struct ge_choice *c, const uint8_t digest[32], int *is,
    struct ge_err *e)
{
	struct ge_manseg *seg;
	uint8_t out[32];
	size_t i;

	if ((seg = ge_alloc(c->n * sizeof(*seg), e)) == NULL)
		return (-1);
	for (i = 0; i < c->n; i++) {
		seg[i].ulen = c->group[i]->h.ulen;
		memcpy(seg[i].root, c->group[i]->root, 32);
	}
	ge_set_digest(out, c->set->id, seg, c->n);
	*is = memcmp(out, digest, 32) == 0;
	ge_free(seg);
	return (0);
}

int
ge_choose_all(struct ge_choice *c, struct ge_pile *p,
    const struct ge_pins *pins, int tolerant, struct ge_err *e)
{
	int is;

	memset(c, 0, sizeof(*c));
	e->code = 0;
	if (ge_choose_manifest(c, p, pins, &c->err) == -1)
		return (0);
	if (ge_choose_set(c, p, pins, &c->err) == -1) {
		/* A single set that is lost: which of it is missing? */
		if (!tolerant || c->err.code != GE_ELOST || p->nsets != 1 ||
		    pins->has_set || c->man != NULL)
			return (0);
		c->set = &p->set[0];
	}
	if (segments(c, tolerant, e) == -1)
		return (c->err.code != 0 && e->code == 0 ? 0 : -1);
	if (pins->has_digest && c->man == NULL) {
		if (digest_is(c, pins->digest, &is, e) == -1)
			return (-1);
		if (!is)
			ge_fail(&c->err, GE_EREFUSED,
			    "the set has another digest than the one named");
	}
	return (0);
}

void
ge_choice_release(struct ge_choice *c)
{

	ge_free(c->group);
	c->group = NULL;
	c->n = c->cap = 0;
}
