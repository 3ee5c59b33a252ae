#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "store/heal_int.h"
#include "util/hook.h"
#include "util/mem.h"

/*
 * New shares for a segment, and the end of the old ones.
 */
enum {
	BATCH = 64
};

/* Of new shares that are too few to go on with, nothing stays. */
static int
withdraw(struct healer *hl, const struct making *mk, const int16_t *site,
    struct ge_err *e)
{
	struct ge_op op[GE_N_MAX], *todo[GE_N_MAX];
	char name[GE_FRAG_NAME];
	size_t n = 0;
	int i;

	memset(op, 0, sizeof(op));
	for (i = 0; i < mk->n; i++) {
		if (site[i] == -1)
			continue;
		op[n].kind = GE_OP_REMOVE;
		op[n].site = site[i];
		snprintf(op[n].name, sizeof(op[n].name), "%s", ge_frag_name(
		    name, hl->kn->setid, mk->g->h.segment, i, mk->epoch));
		todo[n] = &op[n];
		n++;
	}
	return (n == 0 ? 0 : ge_op_run(hl->st->net, todo, n, e));
}

/*
 * All n to where now says; what a site does not take goes to another, under the
 * rule.  How many are there; -1.
 */
static int
put_anywhere(struct healer *hl, const struct making *mk, int16_t *now,
    struct ge_err *e)
{
	int16_t site[GE_N_MAX], at[GE_N_MAX];
	struct ge_err why;
	int i, round, placed = 0, lacking = 0;

	for (i = 0; i < mk->n; i++) {
		at[i] = -1;
		lacking |= now[i] < 0;
		if (now[i] < 0)
			now[i] = -1;
	}
	for (round = 0; round < HEAL_ROUNDS && placed < mk->n; round++) {
		if (round > 0 || lacking) {
			if (heal_history(hl, mk->g->h.segment, mk->epoch,
			    now, e) == -1)
				return (-1);
			if (ge_rule_choose(&hl->rule, hl->ever, now,
			    hl->shut, &why) == -1)
				break;
		}
		for (i = 0; i < mk->n; i++)
			site[i] = at[i] != -1 || now[i] < 0 ? -1 : now[i];
		if (heal_put(hl, mk, site, NULL, e) == -1)
			return (-1);
		for (i = placed = 0; i < mk->n; i++) {
			if (site[i] != -1)
				at[i] = site[i];
			now[i] = at[i];
			placed += at[i] != -1;
		}
	}
	return (placed);
}

/*
 * All n in a new epoch, beside the old; the old go when the manifest tells of the
 * new ones.
 */
int
heal_refresh(struct healer *hl, struct making *mk, int16_t *now,
    struct ge_err *e)
{
	const struct ge_hdr *h = &mk->g->h;
	uint8_t want[GE_N_MAX];
	struct fresh *fr;
	int i, placed;

	for (i = 0; i < h->n; i++)
		want[i] = (uint8_t)i;
	mk->want = want;
	mk->n = h->n;
	if ((mk->spooled = heal_room(hl, (size_t)mk->n, h->fraglen, e)) == -1 ||
	    heal_payloads(hl, mk, e) == -1 ||
	    (placed = put_anywhere(hl, mk, now, e)) == -1)
		return (-1);
	if (placed < mk->n) {
		if (placed < h->k && withdraw(hl, mk, now, e) == -1)
			return (-1);
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
	memcpy(fr->root, mk->g->root, 32);
	memcpy(fr->site, now, (size_t)h->n * sizeof(*fr->site));
	heal_record(fr->record, h, mk->hdr + h->records, mk->g->root);
	for (i = 0; i < mk->n; i++)
		if (heal_add_spot(&hl->moved, h->segment, i, mk->epoch, now[i],
		    e) == -1)
			return (-1);
	hl->h->refreshed++;
	return (0);
}

/* Are all n that this run has made at their sites? */
static int
settled(struct healer *hl, const struct fresh *fr, struct ge_err *e)
{
	struct heads hd;
	int i, rc = -1;

	if (heal_heads_init(&hd, hl, fr->segment, fr->epoch, fr->site, e) ==
	    -1)
		goto out;
	hd.root = fr->root;
	if (heal_heads(&hd, e) == -1)
		goto out;
	for (i = 0, rc = 1; i < hl->map.n; i++)
		if ((hd.good >> i & 1) == 0 ||
		    memcmp(hd.record[i], fr->record, 32) != 0)
			rc = 0;
out:
	heal_heads_free(&hd);
	return (rc);
}

/* What a survey lists of a segment that is older than an epoch. */
static int
listed(const struct healer *hl, const struct ge_survey *sv, struct spots *sp,
    uint32_t segment, int epoch, struct ge_err *e)
{
	const struct ge_seen *seen;
	size_t n;
	int idx;

	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(sv, segment, idx, &n);
		while (n-- > 0)
			if (seen[n].epoch < epoch && heal_add_spot(sp, segment,
			    idx, seen[n].epoch, seen[n].site, e) == -1)
				return (-1);
	}
	return (0);
}

/* What sites that are treated as gone may have, which nobody has asked. */
static int
unasked(struct healer *hl, struct spots *sp, uint32_t segment, int epoch,
    struct ge_err *e)
{
	const struct ge_mapline *l;
	const struct ge_manifest *m;
	const struct ge_place *pl;
	uint32_t i;
	int q, site;

	for (i = hl->map.first[segment]; i < hl->map.first[segment + 1]; i++) {
		l = &hl->map.line[i];
		m = hl->map.from[l->from];
		pl = &m->place[l->place];
		for (q = 0; pl->epoch < epoch && q < pl->n; q++) {
			site = hl->map.site[l->from][m->placesite[pl->at +
			    (size_t)q]];
			if (site != -1 && hl->st->gone[site] &&
			    heal_add_spot(sp, segment, m->placeindex[pl->at +
			    (size_t)q], pl->epoch, site, e) == -1)
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

/* Of segments that this run has given new shares. */
static int
replaced(struct healer *hl, struct spots *old, struct ge_err *e)
{
	const struct fresh *fr;
	size_t i;

	for (i = 0; i < hl->nfresh; i++) {
		fr = &hl->fresh[i];
		switch (settled(hl, fr, e)) {
		case -1:
			return (-1);
		case 0:
			ge_fail(e, GE_EDEGRADED, "segment %lu: the new shares "
			    "are not all there; the old stay",
			    (unsigned long)fr->segment);
			heal_worse(hl, e);
			continue;
		}
		if (listed(hl, &hl->sv, old, fr->segment, fr->epoch, e) ==
		    -1 || unasked(hl, old, fr->segment, fr->epoch, e) == -1)
			return (-1);
	}
	return (0);
}

/* What sites treated as gone list, if they answer. */
static int
ask_gone(const struct healer *hl, struct ge_survey *sv, struct ge_err *e)
{
	struct ge_store st = *hl->st;
	size_t i, n = st.sites->n;
	int rc;

	if ((st.gone = ge_alloc(n, e)) == NULL)
		return (-1);
	for (i = 0; i < n; i++)
		st.gone[i] = !hl->st->gone[i];
	rc = memchr(st.gone, 0, n) == NULL ? 0 :
	    ge_survey_soon(&st, hl->kn->setid, sv, NULL, NULL, e);
	ge_free(st.gone);
	return (rc);
}

/* Old shares of a segment, read back. */
struct relics {
	const struct spot *v;		/* [n] where they are */
	size_t n;
	uint8_t *state;			/* [n] */
	uint8_t (*record)[32];		/* [n] */
	uint8_t (*share)[32];		/* [n] secret */
};

enum {
	RELIC_UNASKED, RELIC_BAD, RELIC_UNREAD, RELIC_GOOD
};

static int
read_relics(struct healer *hl, struct relics *r, struct ge_err *e)
{
	int16_t site[GE_N_MAX];
	size_t from[GE_N_MAX], i, j;
	struct heads hd;
	int idx, rc;

	for (i = 0; i < r->n; i++) {
		if (r->state[i] != RELIC_UNASKED)
			continue;
		for (idx = 0; idx < hl->map.n; idx++)
			site[idx] = -1;
		for (j = i; j < r->n; j++) {
			idx = r->v[j].index;
			if (r->state[j] != RELIC_UNASKED ||
			    r->v[j].epoch != r->v[i].epoch || site[idx] != -1)
				continue;
			site[idx] = r->v[j].site;
			from[idx] = j;
		}
		rc = heal_heads_init(&hd, hl, r->v[i].segment, r->v[i].epoch,
		    site, e) == -1 ? -1 : heal_heads(&hd, e);
		for (idx = 0; idx < hl->map.n && rc == 0; idx++) {
			if (site[idx] == -1)
				continue;
			j = from[idx];
			r->state[j] = (hd.good >> idx & 1) != 0 ? RELIC_GOOD :
			    (hd.unread >> idx & 1) != 0 ? RELIC_UNREAD :
			    RELIC_BAD;
			memcpy(r->record[j], hd.record[idx], 32);
			memcpy(r->share[j], hd.share[idx], 32);
		}
		heal_heads_free(&hd);
		if (rc == -1)
			return (-1);
	}
	return (0);
}

/*
 * The secret of the record of relic i.  1; 0 if fewer than k have it, or they are
 * of no polynomial; -1.
 */
static int
relic_secret(const struct relics *r, size_t i, const struct heads *hd,
    uint8_t secret[32], struct ge_err *e)
{
	uint8_t (*some)[32], idx[GE_N_MAX];
	uint64_t have = 0;
	size_t j;
	int n = 0, rc;

	if ((some = ge_secret_alloc(GE_N_MAX * sizeof(*some), e)) == NULL)
		return (-1);
	for (j = 0; j < r->n && n < hd->h.k; j++) {
		if (r->state[j] != RELIC_GOOD ||
		    r->v[j].epoch != r->v[i].epoch ||
		    memcmp(r->record[j], r->record[i], 32) != 0 ||
		    (have >> r->v[j].index & 1) != 0)
			continue;
		have |= (uint64_t)1 << r->v[j].index;
		memcpy(some[n], r->share[j], 32);
		idx[n++] = r->v[j].index;
	}
	rc = n < hd->h.k ? 0 : heal_opens(hd, r->v[i].epoch, idx,
	    (const uint8_t (*)[32])some, r->record[i], secret, e);
	ge_secret_free(some, GE_N_MAX * sizeof(*some));
	return (rc);
}

/* Has each site said what it has? */
static int
all_answered(const struct healer *hl, const struct ge_survey *gone)
{
	size_t i;

	for (i = 0; i < hl->st->sites->n; i++)
		if (!(hl->st->gone[i] ? gone : &hl->sv)->answered[i])
			return (0);
	return (1);
}

/*
 * With recipients no header tells the secret, and the old shares are asked: do they
 * give another, or are they too few for any?
 */
static int
of_one_secret(struct healer *hl, const struct heads *hd, const struct spot *v,
    size_t n, const struct ge_survey *gone, uint8_t (*secret)[32],
    struct ge_err *e)
{
	struct relics r = { .v = v, .n = n };
	int rc = -1, same = 0, good = 1, got;
	size_t i;

	if ((r.state = ge_alloc(n, e)) == NULL ||
	    (r.record = ge_alloc(n * sizeof(*r.record), e)) == NULL ||
	    (r.share = ge_secret_alloc(n * sizeof(*r.share), e)) == NULL ||
	    read_relics(hl, &r, e) == -1)
		goto out;
	for (i = 0; i < n; i++) {
		good &= r.state[i] != RELIC_UNREAD;
		if (r.state[i] != RELIC_GOOD)
			continue;
		if ((got = relic_secret(&r, i, hd, secret[1], e)) == -1)
			goto out;
		if (got == 0)
			continue;
		if (CRYPTO_memcmp(secret[0], secret[1], 32) == 0)
			same = 1;
		else
			good = 0;
	}
	rc = good && (same || all_answered(hl, gone));
out:
	ge_free(r.state);
	ge_free(r.record);
	if (r.share != NULL)
		ge_secret_free(r.share, n * sizeof(*r.share));
	return (rc);
}

/*
 * Are all n of the epoch that the manifest tells at their sites, of one record, and
 * do they share what the old ones v[n] share?
 */
static int
replaces(struct healer *hl, uint32_t segment, const struct spot *v, size_t n,
    const struct ge_survey *gone, struct ge_err *e)
{
	uint8_t (*secret)[32];
	struct heads hd;
	uint64_t mask = 0;
	int rc = -1;

	if ((secret = ge_secret_alloc(2 * sizeof(*secret), e)) == NULL)
		return (-1);
	if (heal_heads_init(&hd, hl, segment, hl->map.epoch[segment],
	    heal_places(hl, segment), e) == 0)
		rc = heal_secret(&hd, hl->map.n, &mask, secret[0], e);
	if (rc == 1 && hl->kn->m.nrecipients > 0)
		rc = of_one_secret(hl, &hd, v, n, gone, secret, e);
	if (rc == 0 && mask == UINT64_MAX >> (64 - hl->map.n)) {
		ge_fail(e, GE_EREFUSED, "segment %lu: whether the shares of "
		    "epoch %d are of its key cannot be told: the old ones "
		    "stay", (unsigned long)segment, hl->map.epoch[segment]);
		heal_worse(hl, e);
	}
	heal_heads_free(&hd);
	ge_secret_free(secret, 2 * sizeof(*secret));
	return (rc);
}

/*
 * Are all fragments of a segment, of which the tasks begin at t, at their sites?
 * Our own check found them, or each was confirmed or made.
 */
static int
whole_now(const struct healer *hl, size_t segment, size_t t)
{
	int n = 0;

	for (; t < hl->ntasks && hl->task[t].segment == segment; t++, n++)
		if (hl->task[t].site == -1)
			return (0);
	return (n == hl->map.n || n + hl->whole[segment] == hl->map.n);
}

/* Left behind by a repair that was killed. */
static int
left_behind(struct healer *hl, struct spots *old, struct ge_err *e)
{
	struct ge_survey gone;
	size_t s, t = 0, before;
	int rc = -1, epoch;

	memset(&gone, 0, sizeof(gone));
	for (s = 0; s < hl->map.nsegs && hl->map.epoch[s] == 0; s++)
		;
	if (s == hl->map.nsegs || hl->whole == NULL)
		return (0);
	if (ask_gone(hl, &gone, e) == -1)
		goto out;
	for (; s < hl->map.nsegs; s++) {
		while (t < hl->ntasks && hl->task[t].segment < s)
			t++;
		epoch = hl->map.epoch[s];
		if (epoch == 0 || !whole_now(hl, s, t))
			continue;
		before = old->n;
		if (listed(hl, &hl->sv, old, (uint32_t)s, epoch, e) == -1 ||
		    listed(hl, &gone, old, (uint32_t)s, epoch, e) == -1)
			goto out;
		if (old->n == before)
			continue;
		switch (replaces(hl, (uint32_t)s, old->v + before, old->n -
		    before, &gone, e)) {
		case -1:
			goto out;
		case 0:
			old->n = before;
		}
	}
	rc = 0;
out:
	ge_survey_release(&gone);
	return (rc);
}

/*
 * Old shares, when nothing needs them any more: all n of a newer epoch are there
 * with good shares, and more than half of the sites have the manifest that says
 * so.  Who reads no shares cannot tell.
 */
int
heal_destroy_old(struct healer *hl, int stored, struct ge_err *e)
{
	struct spots old = { NULL, 0, 0 };
	int rc = -1;

	if (hl->h->blind || hl->kn->m.mode == GE_PLAIN)
		return (0);
	if (2 * (size_t)stored <= hl->st->sites->n) {
		if (hl->nfresh > 0)
			ge_note(GE_WARN, "too few sites have the new manifest: "
			    "the old shares stay");
		return (0);
	}
	if (replaced(hl, &old, e) == 0 && left_behind(hl, &old, e) == 0)
		rc = remove_all(hl, &old, e);
	ge_free(old.v);
	return (rc);
}
