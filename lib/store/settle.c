#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/push_int.h"
#include "util/hook.h"
#include "util/mem.h"

/*
 * What came of a push: the manifest, with places for what is proved and for
 * nothing else.
 */

static int
count(uint64_t mask)
{
	int n = 0;

	for (; mask != 0; mask &= mask - 1)
		n++;
	return (n);
}

/* Has all of the set come, as far as can be told? */
static int
complete(const struct push *pu, struct ge_err *e)
{
	const struct segment *seg;
	uint64_t s, off = 0;

	if (!pu->begun)
		return (ge_fail(e, GE_EFAIL, "the stream ended early: there is "
		    "no fragment in it"));
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
	if (ge_feed_unread(pu->feed) > 0 && pu->intext == NULL)
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

/*
 * Append places for what is proved and not told of by `old`, the places that m
 * has already.  Returns 1 if there were any, 0, -1.
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
			if (old != NULL && old->epoch[s] == seg->epoch &&
			    old->at[s * (uint64_t)old->n + (uint64_t)i] ==
			    seg->at[i])
				new &= ~((uint64_t)1 << i);
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

/*
 * The manifest to go by: that of the sites if it is newer than that of the
 * input; else one is made.  Then what is new is added to it.
 */
static int
make_manifest(struct push *pu, struct ge_manifest *m,
    const struct ge_manifest *headers, struct ge_err *e)
{
	struct ge_known base = { .has = 0 };
	struct ge_map old;
	char *text = NULL;
	size_t len = 0;
	int ours, any, over, rc = -1;

	memset(&old, 0, sizeof(old));
	if (pu->kn.has && agrees(&pu->kn.m, headers) &&
	    (pu->intext == NULL || pu->kn.m.serial >= pu->in.serial)) {
		text = pu->kn.text;
		len = pu->kn.len;
		pu->kn.text = NULL;
	} else if (pu->intext != NULL) {
		text = pu->intext;
		len = pu->inlen;
		pu->intext = NULL;
	}
	if (text == NULL) {
		if (from_headers(pu, m, e) == -1 ||
		    add_places(pu, m, NULL, e) == -1 ||
		    ge_manifest_write(m, pu->st->signkey, &pu->p->text,
		    &pu->p->len, e) == -1 ||
		    (over = overtake(pu, m, e)) == -1)
			goto out;
		if (over) {
			ge_free(pu->p->text);
			pu->p->text = NULL;
			if (ge_manifest_next(m, e) == -1 ||
			    ge_manifest_format(m, pu->st->signkey,
			    &pu->p->text, &pu->p->len, e) == -1)
				goto out;
		}
		rc = 0;
		goto out;
	}
	if (ge_manifest_parse(m, (uint8_t *)text, len, e) == -1)
		goto out;
	base.m = *m;
	if (ge_map_init(&old, pu->st->sites, &base, e) == -1 ||
	    (any = add_places(pu, NULL, &old, e)) == -1 ||
	    (ours = pu->st->signkey == NULL ? 1 :
	    ge_manifest_signed(m, pu->st->signkey, e)) == -1 ||
	    (over = overtake(pu, m, e)) == -1)
		goto out;
	if (!any && ours && !over) {
		pu->p->text = text;
		pu->p->len = len;
		text = NULL;
		rc = 0;
		goto out;
	}
	if (m->nsigners > 0 && pu->st->signkey == NULL)
		ge_note(GE_WARN, "the manifest was signed and is not any more: "
		    "-S signs it");
	if (ge_manifest_next(m, e) == -1 ||
	    add_places(pu, m, &old, e) == -1 || ge_manifest_format(m,
	    pu->st->signkey, &pu->p->text, &pu->p->len, e) == -1)
		goto out;
	rc = 0;
out:
	ge_map_release(&old);
	ge_free(text);
	return (rc);
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
	p->fewest = pu->h.n;
	*worst = 0;
	for (s = 0; s < pu->nsegs; s++) {
		seg = push_segment(pu, s);
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
		if (contested == 0)
			(void)ge_state_heard(pu->st, &m, stored);
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
	ge_manifest_release(&headers);
	ge_manifest_release(&m);
	return (rc);
}
