#include <stdio.h>
#include <string.h>

#include "store/heal_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"

/*
 * Fragments made again: payloads, headers, shares; put, and proved to be there.
 */
enum {
	MEMORY = 48 << 20,		/* rebuilt fragments of a segment; more go
					   to a spool file */
	WINDOWS = 24 << 20		/* of all payloads at a time */
};

/* A place for the finished fragments of the segment: memory, or a spool file. */
int
heal_room(struct healer *hl, size_t n, size_t each, struct ge_err *e)
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
int
heal_payloads(struct healer *hl, const struct making *mk, struct ge_err *e)
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

/* Headers of ours, with their shares, are not to lie about. */
static int
forget(struct healer *hl, const struct making *mk, struct ge_err *e)
{
	static const uint8_t zero[32];
	uint64_t at;
	int i;

	for (i = 0; i < mk->n && mk->shares != NULL; i++) {
		at = (uint64_t)i * mk->g->h.fraglen + mk->g->h.share;
		if (!mk->spooled)
			ge_wipe(hl->mem + at, sizeof(zero));
		else if (ge_pwrite(hl->spool, zero, sizeof(zero), at, e) == -1)
			return (ge_within(e, "spool file"));
	}
	return (0);
}

/* Is what was put there?  1, 0, -1. */
static int
arrived(struct healer *hl, const struct making *mk, int i, struct ge_op *op,
    struct ge_err *why)
{
	struct ge_op *one = op;
	struct ge_hdr own;
	enum ge_op_result code;
	int rc;

	*why = op->err;
	if (op->result != GE_OP_DONE && op->result != GE_OP_EXISTS)
		return (0);
	stamp(mk, mk->want[i], &own);
	rc = ge_object_proved(hl->st, op->site, op->name, &own, mk->hdr, 0,
	    &code, why);
	/* Absent, the report said; but it is there, and damaged. */
	if (rc == 0 && op->result == GE_OP_EXISTS && code == GE_OP_EXISTS &&
	    why->code == GE_EDEGRADED) {
		op->replace = 1;
		if (ge_op_run(hl->st->net, &one, 1, why) == -1) {
			rc = -1;
		} else {
			*why = op->err;
			if (op->result == GE_OP_DONE)
				rc = ge_object_proved(hl->st, op->site,
				    op->name, &own, mk->hdr, 0, &code, why);
		}
	}
	ge_wipe(mk->hdr + own.share, own.len - own.share);
	return (rc);
}

/*
 * Put what has been made to its sites and see that it is there.
 *
 *	site  [mk->n]  in/out  where to; -1 afterwards: it is not there
 *	over  [mk->n]  in      a bad object is in the way
 */
int
heal_put(struct healer *hl, const struct making *mk, int16_t *site,
    const uint8_t *over, struct ge_err *e)
{
	const struct ge_hdr *h = &mk->g->h;
	struct ge_hdr own;
	struct ge_op op[GE_N_MAX], *todo[GE_N_MAX];
	struct ge_err why, ignored;
	char name[GE_FRAG_NAME];
	int i, rc = -1, n = 0;

	memset(op, 0, sizeof(op));
	for (i = 0; i < mk->n; i++) {
		if (site[i] == -1)
			continue;
		stamp(mk, mk->want[i], &own);
		rc = keep(hl, mk, i, 0, mk->hdr, h->len, e);
		ge_wipe(mk->hdr + h->share, h->len - h->share);
		if (rc == -1)
			goto out;
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
		ge_past_send(&hl->past, h->segment, mk->want[i], mk->epoch,
		    site[i]);
	}
	rc = -1;
	if (ge_op_run(hl->st->net, todo, (size_t)n, e) == -1)
		goto out;
	for (i = 0; i < mk->n; i++) {
		if (site[i] == -1)
			continue;
		/* Whatever it says of it, it has been sent. */
		if (ge_past_add(&hl->past, h->segment, mk->want[i], mk->epoch,
		    site[i], e) == -1)
			goto out;
		switch (arrived(hl, mk, i, &op[i], &why)) {
		case -1:
			*e = why;
			goto out;
		case 0:
			ge_note(GE_WARN, "%s", why.msg);
			hl->barred[site[i]] = 1;
			site[i] = -1;
			continue;
		}
		if (op[i].result == GE_OP_DONE)
			hl->h->written += h->fraglen;
		ge_note(GE_SAY, "%s: at site '%s'", op[i].name,
		    hl->st->sites->site[site[i]].name);
	}
	rc = 0;
out:
	return (forget(hl, mk, rc == -1 ? &ignored : e) == -1 ? -1 : rc);
}

/* The shares of the segment: as they are, or of a new epoch if not 0.  0, -1. */
int
heal_shares(struct healer *hl, struct making *mk, int epoch,
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
	rc = n < h->k ? 0 : epoch > 0 ? ge_shares_refresh(h, mk->hdr,
	    mk->g->dh, idx, (const uint8_t (*)[32])some, epoch, all, e) :
	    ge_shares_all(h, mk->hdr, mk->g->dh, idx,
	    (const uint8_t (*)[32])some, all, e);
	if (epoch > 0 && rc == 0 && n == h->k)
		rc = 1;
	if (rc == 0)
		rc = ge_fail(e, GE_EREFUSED, "segment %lu: the shares "
		    "contradict the header", (unsigned long)h->segment);
	if (epoch > 0)
		mk->epoch = epoch;
	mk->shares = all;
	ge_secret_free(some, GE_N_MAX * sizeof(*some));
	return (rc == -1 ? -1 : 0);
}

/* Copies keep the share that they carry: 1; 0 if one has none that is good. */
int
heal_own_shares(struct making *mk, uint8_t (*all)[32])
{
	int i;

	mk->shares = NULL;
	if (mk->g->h.mode == GE_PLAIN)
		return (1);
	for (i = 0; i < mk->g->nheaders; i++) {
		if (!mk->g->frag[i].has_share ||
		    mk->g->frag[i].epoch != mk->epoch)
			return (0);
		memcpy(all[mk->g->frag[i].index], mk->g->frag[i].hdr +
		    mk->g->h.share, 32);
	}
	mk->shares = all;
	return (1);
}
