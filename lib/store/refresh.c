#include <stdio.h>
#include <string.h>

#include "store/heal_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/sha256.h"

/*
 * New shares for a segment, and the end of the old ones.
 */
enum {
	BATCH = 64
};

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
int
heal_refresh(struct healer *hl, struct making *mk, const int16_t *now,
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
	if ((mk->spooled = heal_room(hl, (size_t)mk->n, h->fraglen, e)) == -1 ||
	    heal_payloads(hl, mk, e) == -1 ||
	    heal_put(hl, mk, site, NULL, e) == -1)
		return (-1);
	for (i = 0; i < mk->n; i++)
		placed += site[i] != -1;
	if (placed < mk->n) {
		ge_fail(e, GE_EDEGRADED, "segment %lu: new shares reached %d "
		    "of %d sites; the old stay", (unsigned long)h->segment,
		    placed, mk->n);
		heal_worse(hl, e);
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
		if (heal_add_spot(&hl->moved, h->segment, i, mk->epoch, site[i],
		    e) == -1)
			return (-1);
	hl->h->refreshed++;
	return (0);
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
			if (seen[n].epoch < epoch && heal_add_spot(sp, segment, idx,
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
			if (site != -1 && hl->st->gone[site] && heal_add_spot(sp,
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
int
heal_destroy_old(struct healer *hl, int stored, struct ge_err *e)
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
			heal_worse(hl, e);
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
