#include <openssl/crypto.h>
#include <stdatomic.h>
#include <string.h>

#include "code/code.h"
#include "frag/decode_int.h"
#include "seal/seal.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/par.h"
#include "util/sha256.h"

/* A worker's own things. */
struct bench {
	struct ge_aead *aead;
	uint8_t *parity;		/* [min(k, n-k)][B] */
	size_t paritylen;
	struct ge_rs_plan plan;		/* of the blocks in `have` */
	uint8_t have[GE_N_MAX];
	int planned;
	uint8_t *tried;			/* [nfrags] */
	size_t captried;
};

struct ge_decoder {
	const struct ge_pile *p;
	const struct ge_join *j;
	int hash;
	struct bench *bench;		/* [jobs] */
	struct ge_rs rs;
	uint8_t *hdr;			/* common header of the segment */
	size_t caphdr;
	uint8_t (*secret)[GE_KEY];	/* rcp, thr, key, k shares */
	int has_rcp;
	uint8_t rcpkey[32];		/* setkey of the headers it is from */
	_Atomic uint64_t damaged, unread;
	/* The segment in work. */
	struct ge_group *g;
	uint32_t first;
	uint8_t *dst;
	struct ge_frag **order;		/* members by index */
	size_t caporder;
};

enum {				/* rows of d->secret */
	S_RCP = 0, S_THR = 1, S_KEY = 2, S_SHARES = 3
};

struct ge_decoder *
ge_decoder_new(const struct ge_pile *p, const struct ge_join *j, int hash,
    struct ge_err *e)
{
	struct ge_decoder *d;
	int i;

	if ((d = ge_alloc(sizeof(*d), e)) == NULL)
		return (NULL);
	d->p = p;
	d->j = j;
	d->hash = hash;
	if ((d->secret = ge_secret_alloc((S_SHARES + GE_N_MAX) * GE_KEY,
	    e)) == NULL ||
	    (d->bench = ge_alloc((size_t)j->jobs * sizeof(*d->bench), e)) ==
	    NULL)
		goto fail;
	for (i = 0; i < j->jobs; i++)
		if ((d->bench[i].aead = ge_aead_new(e)) == NULL)
			goto fail;
	return (d);
fail:
	ge_decoder_free(d);
	return (NULL);
}

void
ge_decoder_free(struct ge_decoder *d)
{
	int i;

	if (d == NULL)
		return;
	for (i = 0; d->bench != NULL && i < d->j->jobs; i++) {
		ge_aead_free(d->bench[i].aead);
		ge_block_free(d->bench[i].parity);
		ge_rs_plan_release(&d->bench[i].plan);
		ge_free(d->bench[i].tried);
	}
	ge_free(d->bench);
	ge_rs_release(&d->rs);
	if (d->hdr != NULL)
		ge_wipe(d->hdr, d->caphdr);
	ge_free(d->hdr);
	if (d->secret != NULL)
		ge_secret_free(d->secret, (S_SHARES + GE_N_MAX) * GE_KEY);
	ge_free(d->order);
	ge_free(d);
}

uint64_t
ge_decoder_damaged(const struct ge_decoder *d)
{

	return (atomic_load(&d->damaged));
}

uint64_t
ge_decoder_unread(const struct ge_decoder *d)
{

	return (atomic_load(&d->unread));
}

int
ge_group_header(const struct ge_pile *p, struct ge_group *g, uint8_t *buf,
    struct ge_err *e)
{
	size_t i;
	int rc;

	for (i = 0; i < g->nfrags; i++) {
		if (g->frag[i].path == NULL && g->frag[i].dropped)
			continue;
		rc = ge_frag_header(p, g, &g->frag[i], buf, e);
		if (rc != 0)
			return (rc == 1 ? 0 : -1);
	}
	return (ge_fail(e, GE_ELOST, "segment %lu: no header is readable now",
	    (unsigned long)g->h.segment));
}

size_t
ge_records_order(const struct ge_group *g, uint32_t *order)
{
	size_t n = 0, at;
	uint32_t r;

	for (r = 0; r < g->nrecords; r++) {
		if (ge_popcount(g->record[r].valid) < g->h.k)
			continue;
		for (at = n++; at > 0 && g->record[order[at - 1]].epoch <
		    g->record[r].epoch; at--)
			order[at] = order[at - 1];
		order[at] = r;
	}
	return (n);
}

int
ge_shares_gather(const struct ge_pile *p, struct ge_group *g, uint32_t record,
    uint8_t *idx, uint8_t (*shares)[GE_KEY], struct ge_err *e)
{
	uint8_t *buf, commitment[32];
	uint64_t got = 0;
	size_t i;
	int n = 0, rc = 0;

	if ((buf = ge_alloc(g->h.len, e)) == NULL)
		return (-1);
	for (i = 0; i < g->nfrags && n < g->h.k; i++) {
		struct ge_frag *f = &g->frag[i];

		if (f->record != record || !f->share_ok ||
		    (f->path == NULL && f->dropped && f->share == NULL) ||
		    (got >> f->index & 1) != 0)
			continue;
		if ((rc = ge_frag_header(p, g, f, buf, e)) == -1)
			goto out;
		/* The file may have changed since its share was checked. */
		ge_hash_share(commitment, g->dh, f->epoch, f->index,
		    buf + g->h.share);
		if (rc == 0 || memcmp(commitment, buf + g->h.records +
		    32 * (size_t)f->index, 32) != 0)
			continue;
		memcpy(shares[n], buf + g->h.share, GE_KEY);
		idx[n++] = f->index;
		got |= (uint64_t)1 << f->index;
	}
	rc = n == g->h.k;
out:
	ge_wipe(buf, g->h.len);
	ge_free(buf);
	return (rc);
}

/* 10.3, first half: K_rcp, once for the set.  d->hdr has the wraps. */
static int
unwrap(struct ge_decoder *d, const struct ge_hdr *h, struct ge_err *e)
{
	const struct ge_join *j = d->j;
	const uint8_t *wrap;
	uint32_t w;
	int i, rc, pass = 0;

	if (h->nwraps == 0) {
		ge_wipe(d->secret[S_RCP], GE_KEY);
		d->has_rcp = 0;
		return (0);
	}
	/* Once for the set; but another group may bring other wraps. */
	if (d->has_rcp && memcmp(d->rcpkey, d->g->setkey, 32) == 0)
		return (0);
	d->has_rcp = 0;
	for (w = 0; w < h->nwraps; w++) {
		wrap = d->hdr + h->wraps + GE_WRAP * (size_t)w;
		if (wrap[0] == GE_WRAP_PASS) {
			pass = 1;
			if (j->pass == NULL)
				continue;
			rc = ge_wrap_open_pass(d->secret[S_RCP], wrap, h->setid,
			    j->pass, j->passlen, e);
			if (rc == -1)
				return (-1);
			if (rc == 1)
				goto found;
			continue;
		}
		for (i = 0; i < j->nidentities; i++) {
			rc = ge_wrap_open_x25519(d->secret[S_RCP], wrap,
			    h->setid, j->identity[i], e);
			if (rc == -1)
				return (-1);
			if (rc == 1)
				goto found;
		}
	}
	if (pass)
		return (ge_fail(e, GE_EREFUSED, j->pass == NULL ?
		    "the set wants a passphrase (-P)" : "wrong passphrase"));
	return (ge_fail(e, GE_EREFUSED, j->nidentities == 0 ?
	    "the set wants a recipient's identity (-i)" :
	    "the identity is not one of the set's recipients"));
found:
	d->has_rcp = 1;
	memcpy(d->rcpkey, d->g->setkey, 32);
	return (0);
}

/* 10.3, second half: the segment's key, for every worker. */
static int
unlock(struct ge_decoder *d, struct ge_err *e)
{
	struct ge_group *g = d->g;
	uint8_t idx[GE_N_MAX], commitment[32];
	uint32_t *order;
	size_t i, n;
	int w, rc = -1, got;

	if (unwrap(d, &g->h, e) == -1)
		return (-1);
	if ((order = ge_alloc(g->nrecords * sizeof(*order), e)) == NULL)
		return (-1);
	n = ge_records_order(g, order);
	e->code = 0;
	for (i = 0; i < n; i++) {
		got = ge_shares_gather(d->p, g, order[i], idx,
		    &d->secret[S_SHARES], e);
		if (got == -1)
			goto out;
		if (got == 0)
			continue;
		ge_share_at(d->secret[S_THR], 0, idx,
		    (const uint8_t (*)[GE_KEY])&d->secret[S_SHARES], g->h.k);
		if (ge_key_derive(d->secret[S_KEY], commitment,
		    d->secret[S_THR], d->secret[S_RCP], g->dh, e) == -1)
			goto out;
		if (CRYPTO_memcmp(commitment, d->hdr + g->h.commitment, 32) !=
		    0) {
			ge_fail(e, GE_EREFUSED, "segment %lu: the shares do "
			    "not give the key that the header commits to",
			    (unsigned long)g->h.segment);
			continue;
		}
		for (w = 0; w < d->j->jobs; w++)
			if (ge_aead_key(d->bench[w].aead, d->secret[S_KEY], 0,
			    e) == -1)
				goto out;
		rc = 0;
		goto out;
	}
	if (e->code != GE_EREFUSED)
		ge_fail(e, GE_ELOST, "segment %lu: fewer than %d valid key "
		    "shares of one epoch", (unsigned long)g->h.segment,
		    g->h.k);
out:
	ge_wipe(d->secret[S_THR], (1 + 1 + GE_N_MAX) * GE_KEY);
	ge_free(order);
	return (rc);
}

/*
 * One stripe.  `have` holds places, `at` their blocks.
 */
struct stripe {
	uint32_t s, c;
	size_t b;
	uint8_t *dst;
	int n;
	uint8_t have[GE_N_MAX];
	const uint8_t *at[GE_N_MAX];
	uint64_t mask;
	uint64_t used;			/* slots of bench->parity */
};

/*
 * Read untried blocks of indices not at hand, until there are k; returns how
 * many were added.
 */
static int
fetch(struct ge_decoder *d, struct bench *bench, struct stripe *t)
{
	struct ge_group *g = d->g;
	uint64_t off = g->h.len + (uint64_t)t->s * g->h.block;
	struct ge_err e;
	uint8_t *buf;
	size_t i, got;
	int slot = 0, added = 0;

	for (i = 0; i < g->nfrags && t->n < g->h.k; i++) {
		struct ge_frag *f = d->order[i];

		if (bench->tried[i] || (t->mask >> f->index & 1) != 0)
			continue;
		bench->tried[i] = 1;
		if (f->unreadable || f->dropped || f->size < off + t->b)
			continue;
		if (f->index < g->h.k) {
			buf = t->dst + t->b * f->index;
		} else {
			for (slot = 0; (t->used >> slot & 1) != 0; slot++)
				;
			buf = bench->parity + g->h.block * (size_t)slot;
		}
		if (ge_frag_read(d->p, f, off, buf, t->b, &got, &e) == -1) {
			ge_note(GE_WARN, "%s", e.msg);
			atomic_fetch_add(&d->unread, 1);
			continue;
		}
		if (got < t->b)
			continue;
		if (f->index >= g->h.k)
			t->used |= (uint64_t)1 << slot;
		t->mask |= (uint64_t)1 << f->index;
		t->at[t->n] = buf;
		t->have[t->n++] = f->index;
		added++;
	}
	return (added);
}

/* Drop those of the last `added` blocks that are not what the table says. */
static void
sieve(struct ge_decoder *d, struct bench *bench, struct stripe *t, int added)
{
	uint8_t head[GE_N_MAX][64], hash[GE_N_MAX][32];
	const struct ge_hdr *h = &d->g->h;
	int i, from = t->n - added, kept = from;

	for (i = 0; i < added; i++)
		ge_hash_head(head[i], t->have[from + i], t->s, d->g->dh);
	ge_sha256_blocks(hash, (const uint8_t (*)[64])head, &t->at[from], t->b,
	    (size_t)added);
	for (i = 0; i < added; i++) {
		int idx = t->have[from + i];
		const uint8_t *at = t->at[from + i];

		if (memcmp(hash[i], d->hdr + h->table + 32 *
		    ((size_t)h->n * t->s + (size_t)idx), 32) == 0) {
			t->have[kept] = (uint8_t)idx;
			t->at[kept++] = at;
			continue;
		}
		atomic_fetch_add(&d->damaged, 1);
		ge_note(GE_SAY, "segment %lu, fragment %d: block %lu is "
		    "damaged", (unsigned long)h->segment, idx,
		    (unsigned long)t->s);
		t->mask &= ~((uint64_t)1 << idx);
		if (idx >= h->k)
			t->used &= ~((uint64_t)1 << ((size_t)(at -
			    bench->parity) / h->block));
	}
	t->n = kept;
}

/* Make the data blocks that are missing from those at hand. */
static int
complete(struct ge_decoder *d, struct bench *bench, const struct stripe *t,
    struct ge_err *e)
{
	uint8_t want[GE_N_MAX], *dst[GE_N_MAX];
	int i, k = d->g->h.k, n = 0;

	for (i = 0; i < k; i++)
		if ((t->mask >> i & 1) == 0) {
			dst[n] = t->dst + t->b * (size_t)i;
			want[n++] = (uint8_t)i;
		}
	if (n == 0)
		return (0);
	if (!bench->planned || memcmp(bench->have, t->have, (size_t)k) != 0) {
		ge_rs_plan_release(&bench->plan);
		bench->planned = 0;
		if (ge_rs_plan_init(&bench->plan, &d->rs, t->have, want, n,
		    e) == -1)
			return (-1);
		memcpy(bench->have, t->have, (size_t)k);
		bench->planned = 1;
	}
	ge_rs_rebuild(&bench->plan, t->at, dst, t->b);
	return (0);
}

static int
decode_stripe(void *arg, size_t i, int worker, struct ge_err *e)
{
	struct ge_decoder *d = arg;
	struct bench *bench = &d->bench[worker];
	const struct ge_hdr *h = &d->g->h;
	struct stripe t;
	size_t z;
	uint8_t any;
	int added, hash = d->hash || h->mode == GE_PLAIN, ok;

again:
	memset(&t, 0, sizeof(t));
	t.s = d->first + (uint32_t)i;
	t.c = ge_hdr_coded(h, t.s);
	t.b = ge_hdr_block(h, t.s);
	t.dst = d->dst + i * (size_t)h->k * h->block;
	memset(bench->tried, 0, d->g->nfrags);
	while (t.n < h->k) {
		if ((added = fetch(d, bench, &t)) == 0)
			return (ge_fail(e, GE_ELOST, "segment %lu: stripe %lu "
			    "has %d good blocks of the %d needed",
			    (unsigned long)h->segment, (unsigned long)t.s, t.n,
			    h->k));
		if (hash)
			sieve(d, bench, &t, added);
	}
	if (complete(d, bench, &t, e) == -1)
		return (-1);
	for (z = t.c, any = 0; z < t.b * (size_t)h->k; z++)
		any |= t.dst[z];
	ok = any == 0;
	if (ok && h->mode != GE_PLAIN) {
		ok = ge_aead_open(bench->aead, t.s, t.dst, t.c - h->tag, e);
		if (ok == -1)
			return (-1);
	}
	if (!ok && !hash) {
		hash = 1;
		goto again;
	}
	if (!ok)
		return (ge_fail(e, GE_EREFUSED, "segment %lu: stripe %lu is "
		    "not what was sealed: wrong %s", (unsigned long)h->segment,
		    (unsigned long)t.s, any != 0 ? "padding" : "tag"));
	return (ge_hook_tick(0, e));
}

/* Members in the order of their index. */
static int
sort_members(struct ge_decoder *d, struct ge_err *e)
{
	struct ge_group *g = d->g;
	size_t i, n = 0;
	int idx;

	if (ge_grow(&d->order, &d->caporder, g->nfrags,
	    sizeof(struct ge_frag *), e) == -1)
		return (-1);
	for (idx = 0; idx < g->h.n; idx++)
		for (i = 0; i < g->nfrags; i++)
			if (g->frag[i].index == idx)
				d->order[n++] = &g->frag[i];
	return (0);
}

int
ge_decode(struct ge_decoder *d, struct ge_group *g, uint32_t first,
    uint32_t last, uint8_t *dst, struct ge_err *e)
{
	int k = g->h.k, n = g->h.n, w, rc = -1;
	size_t need = g->h.block * (size_t)(n - k < k ? n - k : k);

	d->g = g;
	d->first = first;
	d->dst = dst;
	if (d->rs.k != k || d->rs.n != n) {
		ge_rs_release(&d->rs);
		if (ge_rs_init(&d->rs, k, n, e) == -1)
			return (-1);
	}
	if (ge_grow(&d->hdr, &d->caphdr, g->h.len, 1, e) == -1 ||
	    sort_members(d, e) == -1 ||
	    ge_group_header(d->p, g, d->hdr, e) == -1)
		goto out;
	if (g->h.mode != GE_PLAIN)
		ge_wipe(d->hdr + g->h.share, GE_KEY);
	atomic_fetch_add(&d->unread, (uint64_t)ge_group_open(g));
	if (g->h.mode != GE_PLAIN && unlock(d, e) == -1)
		goto out;
	for (w = 0; w < d->j->jobs; w++) {
		struct bench *b = &d->bench[w];

		b->planned = 0;
		if (ge_grow(&b->tried, &b->captried, g->nfrags, 1, e) == -1)
			goto out;
		if (b->paritylen >= need)
			continue;
		ge_block_free(b->parity);
		b->paritylen = 0;
		if ((b->parity = ge_block_alloc(need, e)) == NULL)
			goto out;
		b->paritylen = need;
	}
	if (g->h.nstripes > 0 && ge_par_each(d->j->jobs, last - first + 1,
	    decode_stripe, d, e) == -1)
		goto out;
	rc = 0;
out:
	ge_group_close(g);
	return (rc);
}
