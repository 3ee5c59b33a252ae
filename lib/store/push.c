#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/push_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

enum {
	CANDIDATES = 8,
	COMMON = 36			/* bytes that all headers of a set share */
};

struct segment *
push_segment(const struct push *pu, uint64_t s)
{
	struct segment *seg;

	if (s / SEGMENTS_A_CHUNK >= pu->nchunks ||
	    pu->chunk[s / SEGMENTS_A_CHUNK] == NULL)
		return (NULL);
	seg = (struct segment *)(void *)((char *)pu->chunk[s /
	    SEGMENTS_A_CHUNK] + s % SEGMENTS_A_CHUNK * pu->segsize);
	return (seg->begun ? seg : NULL);
}

void
push_found(const struct push *pu, enum ge_state state, uint32_t s, int index,
    const char *site, const char *detail)
{
	struct ge_finding f = { .state = state, .known = 1, .segment = s,
	    .index = index, .site = site, .detail = detail };

	memcpy(f.setid, pu->h.setid, GE_SETID);
	if (pu->p->found != NULL)
		pu->p->found(pu->p->arg, &f);
}

/* ge_rule_choose() with the history and bars of pu, to seg->at. */
static int
choose(struct push *pu, struct segment *seg, struct ge_err *e)
{
	int16_t now[GE_N_MAX];
	int i;

	for (i = 0; i < pu->h.n; i++)
		now[i] = seg->at[i] < NO_SITE ? NO_SITE : seg->at[i];
	if (ge_rule_choose(&pu->rule, pu->ever, now, pu->bar, e) == -1)
		return (-1);
	for (i = 0; i < pu->h.n; i++)
		if (seg->at[i] == UNASSIGNED)
			seg->at[i] = now[i];
	return (0);
}

int
push_assign(struct push *pu, struct segment *seg, uint32_t s, struct ge_err *e)
{
	int i, drop;

	push_history(pu, seg, s);
	if (choose(pu, seg, e) == 0)
		return (0);
	/*
	 * Where leftovers of an earlier run break the rule they are not built
	 * upon.
	 */
	while (e->code == GE_EREFUSED &&
	    (drop = ge_rule_breaker(&pu->rule, seg->at)) != -1 &&
	    (seg->done >> drop & 1) == 0) {
		seg->at[drop] = UNASSIGNED;
		if (choose(pu, seg, e) == 0)
			return (0);
	}
	snprintf(pu->why, sizeof(pu->why), "%.255s", e->msg);
	/* Else as many indices as possible get a site, the first ones. */
	for (i = pu->h.n - 1; i >= 0 && e->code == GE_EREFUSED; i--) {
		if (seg->at[i] != UNASSIGNED)
			continue;
		seg->at[i] = NO_SITE;
		if (choose(pu, seg, e) == 0)
			return (0);
	}
	return (e->code == GE_EREFUSED ? 0 : -1);
}

/* The first header: what set it is, and whether it can be placed at all. */
static int
begin_set(struct push *pu, const struct ge_item *it, struct ge_err *e)
{
	const struct ge_store *st = pu->st;
	const struct ge_hdr *h = &it->h;
	size_t nsites = st->sites->n;

	pu->h = *h;
	memcpy(pu->p->setid, h->setid, GE_SETID);
	if (pu->p->quorum == 0)
		pu->p->quorum = h->k < h->n ? h->k + 1 : h->n;
	if (pu->p->quorum < h->k || pu->p->quorum > h->n)
		return (ge_fail(e, GE_EUSAGE, "quorum=%d: the set is %d of %d",
		    pu->p->quorum, h->k, h->n));
	if ((pu->common = ge_alloc(COMMON + (size_t)96 * h->nwraps, e)) ==
	    NULL || (pu->barred = ge_alloc(nsites, e)) == NULL ||
	    (pu->row = ge_alloc(nsites, e)) == NULL ||
	    (pu->bar = ge_alloc(nsites, e)) == NULL ||
	    (pu->shut = ge_alloc(nsites, e)) == NULL ||
	    (pu->over = ge_alloc(nsites, e)) == NULL ||
	    (pu->ever = ge_alloc(nsites * sizeof(*pu->ever), e)) == NULL ||
	    (pu->claim = ge_alloc(nsites * sizeof(*pu->claim), e)) == NULL)
		return (-1);
	memcpy(pu->common, it->hdr, COMMON);
	memcpy(pu->common + COMMON, it->hdr + h->wraps, (size_t)96 * h->nwraps);
	pu->segsize = (offsetof(struct segment, at) +
	    (size_t)h->n * sizeof(int16_t) + 7) / 8 * 8;
	if (ge_rule_init(&pu->rule, st->sites, st->gone, h->k, h->n,
	    h->mode == GE_PLAIN, e) == -1)
		return (-1);
	pu->begun = 1;
	return (push_prior(pu, e));
}

static void
hash_record(uint8_t out[16], const struct ge_item *it)
{
	uint8_t hash[32], epoch = (uint8_t)it->h.epoch;
	struct ge_sha256 sha;

	ge_sha256_init(&sha);
	ge_sha256_add(&sha, &epoch, 1);
	ge_sha256_add(&sha, it->hdr + it->h.records,
	    it->h.share - it->h.records);
	ge_sha256_end(&sha, hash);
	memcpy(out, hash, 16);
}

/* Room for a segment's state, which begins as zeros. */
static struct segment *
new_segment(struct push *pu, uint32_t s, struct ge_err *e)
{
	size_t c = s / SEGMENTS_A_CHUNK;

	if (ge_grow(&pu->chunk, &pu->capchunks, c + 1, sizeof(*pu->chunk), e) ==
	    -1)
		return (NULL);
	while (pu->nchunks <= c)
		pu->chunk[pu->nchunks++] = NULL;
	if (pu->chunk[c] == NULL && (pu->chunk[c] = ge_alloc(SEGMENTS_A_CHUNK *
	    pu->segsize, e)) == NULL)
		return (NULL);
	return ((struct segment *)(void *)((char *)pu->chunk[c] +
	    s % SEGMENTS_A_CHUNK * pu->segsize));
}

static int
begin_segment(struct push *pu, const struct ge_item *it, const uint8_t root[32],
    struct segment **out, struct ge_err *e)
{
	const struct ge_hdr *h = &it->h;
	struct segment *seg;
	int16_t site[CANDIDATES];
	double w;
	int i;

	if (h->segment >= SEGMENTS_MAX)
		return (ge_fail(e, GE_EREFUSED, "%s: segment %" PRIu32 ": more "
		    "than a manifest has room for", it->where, h->segment));
	if ((pu->last != -1 && h->segment > (uint64_t)pu->last) ||
	    ((h->flags & GE_FLAG_LAST) != 0 && pu->nsegs > h->segment + 1))
		return (ge_fail(e, GE_EREFUSED, "%s: there are segments after "
		    "the one that says it is the last", it->where));
	if (pu->mapped && h->segment < pu->map.nsegs &&
	    pu->map.epoch[h->segment] > h->epoch)
		return (ge_fail(e, GE_EREFUSED, "segment %" PRIu32 ": the "
		    "shares are of epoch %d, the sites have epoch %d",
		    h->segment, h->epoch, pu->map.epoch[h->segment]));
	if ((seg = new_segment(pu, h->segment, e)) == NULL)
		return (-1);
	if ((h->flags & GE_FLAG_LAST) != 0)
		pu->last = h->segment;
	if (pu->nsegs <= h->segment)
		pu->nsegs = h->segment + 1;
	pu->nbegun++;
	seg->begun = 1;
	seg->ulen = h->ulen;
	seg->off = h->off;
	seg->epoch = (uint8_t)h->epoch;
	memcpy(seg->root, root, 32);
	hash_record(seg->record, it);
	for (i = 0; i < h->n; i++) {
		seg->at[i] = UNASSIGNED;
		if (push_expected(pu, seg, h->segment, i, site, CANDIDATES) == 0)
			continue;
		seg->at[i] = site[0];
		w = pu->st->sites->site[site[0]].weight;
		pu->rule.load[site[0]] += w > 0 ? 1 / w : 0;
	}
	*out = seg;
	return (push_assign(pu, seg, h->segment, e));
}

/* Is it of this set and segment?  1; 0 if it is to be passed over; -1. */
static int
accept_header(struct push *pu, const struct ge_item *it, struct segment **out,
    struct ge_err *e)
{
	char ours[2 * GE_SETID + 1], its[2 * GE_SETID + 1];
	const struct ge_pins *pins = &pu->st->pins;
	const struct ge_hdr *h = &it->h;
	uint8_t dh[32], root[32], record[16];
	struct segment *seg;

	if (pins->has_set && memcmp(h->setid, pins->set, GE_SETID) != 0)
		return (0);
	if (!pu->begun && begin_set(pu, it, e) == -1)
		return (-1);
	if (memcmp(h->setid, pu->h.setid, GE_SETID) != 0)
		return (ge_fail(e, GE_EREFUSED, "the input has several sets, "
		    "%s and %s: name one with -O set=",
		    ge_hex(ours, pu->h.setid, GE_SETID),
		    ge_hex(its, h->setid, GE_SETID)));
	if (memcmp(it->hdr, pu->common, COMMON) != 0 ||
	    memcmp(it->hdr + h->wraps, pu->common + COMMON,
	    (size_t)96 * h->nwraps) != 0)
		return (ge_fail(e, GE_EREFUSED, "%s: segment %" PRIu32
		    ": its header contradicts the set's first", it->where,
		    h->segment));
	ge_hash_descriptor(dh, h, it->hdr);
	ge_hash_root(root, h, it->hdr, dh);
	seg = push_segment(pu, h->segment);
	if (seg == NULL) {
		if (begin_segment(pu, it, root, &seg, e) == -1)
			return (-1);
	} else {
		hash_record(record, it);
		if (memcmp(seg->root, root, 32) != 0 ||
		    memcmp(seg->record, record, 16) != 0)
			return (ge_fail(e, GE_EREFUSED, "%s: the fragments of "
			    "segment %" PRIu32 " contradict each other",
			    it->where, h->segment));
	}
	*out = seg;
	/* A second copy is of use only if the first was none. */
	return ((seg->seen >> h->index & 1) == 0 ||
	    seg->at[h->index] == BROKEN || seg->at[h->index] == SHARELESS);
}

static int
plan(struct push *pu, const struct ge_item *it, struct segment *seg,
    struct ge_err *e)
{
	const struct ge_hdr *h = &it->h;
	int16_t site[CANDIDATES];
	char bytes[32];
	int at = seg->at[h->index];

	seg->seen |= (uint64_t)1 << h->index;
	snprintf(bytes, sizeof(bytes), "%" PRIu64, h->fraglen);
	if (at < 0)
		return (0);
	if (push_untellable(pu, seg, h->segment, h->index, at, e) == -1)
		return (-1);
	seg->done |= (uint64_t)1 << h->index;
	push_found(pu, push_told(pu, seg, h->segment, h->index, site,
	    CANDIDATES) > 0 && site[0] == at ? GE_STATE_OK : GE_STATE_MISSING,
	    h->segment, h->index, pu->st->sites->site[at].name, bytes);
	return (0);
}

/* A manifest in the input: for its label and date, and to be compared. */
static int
take_manifest(struct push *pu, const struct ge_item *it, struct ge_err *e)
{
	const struct ge_pins *pins = &pu->st->pins;
	struct ge_manifest m;
	int rc = -1;

	if (ge_manifest_parse(&m, it->text, (size_t)it->size, e) == -1) {
		if (e->code == GE_EREFUSED) {
			ge_note(GE_WARN, "%s: %s", it->where, e->msg);
			rc = 0;
		}
		goto out;
	}
	if (pins->has_set && memcmp(m.setid, pins->set, GE_SETID) != 0) {
		rc = 0;
		goto out;
	}
	if (pu->intext != NULL && (memcmp(m.setid, pu->in.setid, GE_SETID) !=
	    0 || memcmp(m.digest, pu->in.digest, 32) != 0 ||
	    (m.serial == pu->in.serial &&
	    memcmp(m.body, pu->in.body, 32) != 0))) {
		ge_fail(e, GE_EREFUSED, "%s: the manifests of the input "
		    "contradict each other", it->where);
		goto out;
	}
	if (pu->intext == NULL || m.serial > pu->in.serial) {
		ge_free(pu->intext);
		ge_manifest_release(&pu->in);
		if ((pu->intext = ge_alloc((size_t)it->size + 1, e)) == NULL)
			goto out;
		memcpy(pu->intext, it->text, (size_t)it->size);
		pu->inlen = (size_t)it->size;
		pu->in = m;
		memset(&m, 0, sizeof(m));
	}
	rc = 0;
out:
	ge_manifest_release(&m);
	return (rc);
}

/* The whole input, and until all that it gave is settled. */
static int
take_all(struct push *pu, struct ge_err *e)
{
	struct segment *seg = NULL;
	struct ge_item it;
	int rc;

	while ((rc = ge_feed_next(pu->feed, &it, e)) == 1) {
		if (it.manifest) {
			if (take_manifest(pu, &it, e) == -1)
				return (-1);
			continue;
		}
		if ((rc = accept_header(pu, &it, &seg, e)) == -1)
			return (-1);
		if (rc == 0)
			continue;
		if (pu->p->dry ? plan(pu, &it, seg, e) == -1 :
		    push_carry(pu, &it, seg, e) == -1 ||
		    push_wait(pu, 0, e) == -1)
			return (-1);
		if (ge_hook_tick(0, e) == -1)
			return (-1);
	}
	return (rc == -1 ? -1 : push_wait(pu, 1, e));
}

int
ge_push_run(struct ge_push *p, const struct ge_store *st, struct ge_err *e)
{
	struct push pu;
	size_t i;
	int rc = -1;

	memset(&pu, 0, sizeof(pu));
	pu.p = p;
	pu.st = st;
	pu.last = -1;
	pu.past.fd = -1;
	p->text = NULL;
	p->len = 0;
	p->fragments = p->placed = p->sent = p->resumed = 0;
	p->fewest = p->given_up = 0;
	if ((pu.feed = ge_feed_open(p->operand, p->noperands, e)) == NULL ||
	    take_all(&pu, e) == -1)
		goto out;
	rc = push_settle(&pu, e);
out:
	push_abandon(&pu);
	ge_feed_close(pu.feed);
	if (pu.begun || pu.rule.sites != NULL)
		ge_rule_release(&pu.rule);
	if (pu.mapped)
		ge_map_release(&pu.map);
	ge_past_close(&pu.past, pu.told);
	ge_known_release(&pu.kn);
	ge_survey_release(&pu.sv);
	ge_manifest_release(&pu.in);
	ge_free(pu.intext);
	for (i = 0; i < pu.nchunks; i++)
		ge_free(pu.chunk[i]);
	ge_free(pu.chunk);
	ge_free(pu.fail);
	ge_free(pu.barred);
	ge_free(pu.row);
	ge_free(pu.bar);
	ge_free(pu.shut);
	ge_free(pu.over);
	ge_free(pu.ever);
	ge_free(pu.claim);
	ge_free(pu.common);
	return (rc);
}
