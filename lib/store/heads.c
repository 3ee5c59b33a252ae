#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "store/heal_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/sha256.h"

/*
 * Headers of one epoch of a segment, read back from the sites, before anything is
 * built upon them, or destroyed for them.  The segment's root does not cover the
 * shares: that those of an epoch are of the segment's key must be proved.
 */
enum {
	ABREAST = 16 << 20		/* bytes of headers at once */
};

void
heal_record(uint8_t out[32], const struct ge_hdr *h, const uint8_t *records,
    const uint8_t root[32])
{
	struct ge_sha256 sha;

	ge_sha256_init(&sha);
	ge_sha256_add(&sha, root, 32);
	ge_sha256_add(&sha, records, 32 * (size_t)h->n);
	ge_sha256_end(&sha, out);
}

int
heal_heads_init(struct heads *hd, struct healer *hl, uint32_t segment,
    int epoch, const int16_t *site, struct ge_err *e)
{

	memset(hd, 0, sizeof(*hd));
	hd->hl = hl;
	hd->segment = segment;
	hd->epoch = epoch;
	hd->site = site;
	hd->root = hl->kn->m.segment[segment].root;
	return ((hd->share = ge_secret_alloc(GE_N_MAX * sizeof(*hd->share),
	    e)) == NULL ? -1 : 0);
}

void
heal_heads_free(struct heads *hd)
{

	if (hd->share != NULL)
		ge_secret_free(hd->share, GE_N_MAX * sizeof(*hd->share));
	hd->share = NULL;
}

static void
ask(const struct heads *hd, struct ge_op *op, int i, uint8_t *buf, size_t len)
{
	char name[GE_FRAG_NAME];

	memset(op, 0, sizeof(*op));
	op->kind = GE_OP_GET;
	op->site = hd->site[i];
	op->tries = hd->hl->st->gone[op->site] ? 1 : 0;
	snprintf(op->name, sizeof(op->name), "%s", ge_frag_name(name,
	    hd->hl->kn->setid, hd->segment, i, hd->epoch));
	op->buf = buf;
	op->len = len;
}

static int
ours(const struct heads *hd, const struct ge_hdr *h, int i)
{
	const struct ge_manifest *m = &hd->hl->kn->m;

	return (memcmp(h->setid, hd->hl->kn->setid, GE_SETID) == 0 &&
	    h->segment == hd->segment && h->index == i &&
	    h->epoch == hd->epoch && h->mode == m->mode &&
	    (h->has_share || h->mode == GE_PLAIN) &&
	    h->n == m->n && h->k == m->k);
}

static void
judge(struct heads *hd, const struct ge_op *op, int i)
{
	uint8_t dh[32], root[32];
	struct ge_hdr h;
	struct ge_err bad;

	if (op->result != GE_OP_DONE && op->result != GE_OP_ABSENT)
		hd->unread |= (uint64_t)1 << i;
	if (op->result != GE_OP_DONE ||
	    ge_hdr_parse(&h, op->buf, (size_t)op->got, 0, &bad) == -1 ||
	    !ours(hd, &h, i) ||
	    (op->size != GE_OP_UNKNOWN && op->size != h.fraglen))
		return;
	ge_hash_descriptor(dh, &h, op->buf);
	ge_hash_root(root, &h, op->buf, dh);
	if (memcmp(root, hd->root, 32) != 0)
		return;
	if (h.mode != GE_PLAIN) {
		if (!ge_share_valid(&h, op->buf, dh))
			return;
		heal_record(hd->record[i], &h, op->buf + h.records, root);
		memcpy(hd->share[i], op->buf + h.share, 32);
		memcpy(hd->commitment, op->buf + h.commitment, 32);
	}
	/* What the root covers is the same in all of them. */
	hd->h = h;
	memcpy(hd->dh, dh, 32);
	hd->good |= (uint64_t)1 << i;
}

/* How long are the headers?  0: nothing that is of the segment answers. */
static int
length(struct heads *hd, size_t *len, struct ge_err *e)
{
	uint8_t buf[GE_HDR_FIXED];
	struct ge_op op, *one = &op;
	struct ge_err bad;
	struct ge_hdr h;
	int i;

	*len = 0;
	for (i = 0; i < hd->hl->map.n; i++) {
		if (hd->site[i] == -1)
			continue;
		ask(hd, &op, i, buf, sizeof(buf));
		if (ge_op_run(hd->hl->st->net, &one, 1, e) == -1)
			return (-1);
		if (op.result != GE_OP_DONE && op.result != GE_OP_ABSENT)
			hd->unread |= (uint64_t)1 << i;
		if (op.result == GE_OP_DONE && ge_hdr_peek(&h, buf,
		    (size_t)op.got, &bad) == 0 && ours(hd, &h, i) &&
		    h.len > *len && h.len <= GE_HDR_MAX) {
			*len = h.len;
			break;
		}
	}
	return (0);
}

int
heal_heads(struct heads *hd, struct ge_err *e)
{
	const struct healer *hl = hd->hl;
	struct ge_op op[GE_N_MAX], *todo[GE_N_MAX];
	size_t len, most, n;
	uint8_t *buf = NULL;
	int i, first, which[GE_N_MAX], rc = -1;

	hd->good = hd->unread = 0;
	if (length(hd, &len, e) == -1)
		return (-1);
	if (len == 0)
		return (0);
	most = ABREAST / len > 0 ? ABREAST / len : 1;
	if (most > GE_N_MAX)
		most = GE_N_MAX;
	if ((buf = ge_alloc(most * len, e)) == NULL)
		return (-1);
	for (first = 0; first < hl->map.n; ) {
		for (n = 0; n < most && first < hl->map.n; first++) {
			if (hd->site[first] == -1)
				continue;
			ask(hd, &op[n], first, buf + n * len, len);
			which[n] = first;
			todo[n] = &op[n];
			n++;
		}
		if (n > 0 && ge_op_run(hl->st->net, todo, n, e) == -1)
			goto out;
		for (i = 0; i < (int)n; i++)
			judge(hd, &op[i], which[i]);
	}
	rc = 0;
out:
	ge_wipe(buf, most * len);
	ge_free(buf);
	return (rc);
}

static int
count(uint64_t mask)
{
	int n = 0;

	for (; mask != 0; mask &= mask - 1)
		n++;
	return (n);
}

/* The most of one record. */
static uint64_t
agreeing(const struct heads *hd)
{
	uint64_t mask, best = 0;
	int i, j;

	for (i = 0; i < hd->hl->map.n; i++) {
		for (j = 0, mask = 0; j < hd->hl->map.n &&
		    (hd->good >> i & 1) != 0; j++)
			if ((hd->good >> j & 1) != 0 && memcmp(hd->record[i],
			    hd->record[j], 32) == 0)
				mask |= (uint64_t)1 << j;
		if (count(mask) > count(best))
			best = mask;
	}
	return (best);
}

int
heal_opens(const struct heads *hd, int epoch, const uint8_t *idx,
    const uint8_t (*some)[32], const uint8_t record[32], uint8_t secret[32],
    struct ge_err *e)
{
	uint8_t all[GE_N_MAX][32], should[32];
	struct ge_hdr h = hd->h;
	int rc;

	h.epoch = epoch;
	if ((rc = ge_shares_open(&h, hd->commitment, hd->dh, idx, some, all,
	    secret, e)) != 1)
		return (rc);
	heal_record(should, &h, all[0], hd->root);
	return (memcmp(should, record, 32) == 0);
}

/* The secret of k or more of one record, if it is one polynomial. */
static int
opens(const struct heads *hd, uint64_t mask, uint8_t secret[32],
    struct ge_err *e)
{
	uint8_t (*some)[32], idx[GE_N_MAX];
	int i, n, rc, first = -1;

	if ((some = ge_secret_alloc(GE_N_MAX * sizeof(*some), e)) == NULL)
		return (-1);
	for (i = n = 0; i < hd->hl->map.n && n < hd->h.k; i++) {
		if ((mask >> i & 1) == 0)
			continue;
		first = first == -1 ? i : first;
		memcpy(some[n], hd->share[i], 32);
		idx[n++] = (uint8_t)i;
	}
	rc = n < hd->h.k ? 0 : heal_opens(hd, hd->epoch, idx,
	    (const uint8_t (*)[32])some, hd->record[first], secret, e);
	ge_secret_free(some, GE_N_MAX * sizeof(*some));
	return (rc);
}

/*
 * The secret of the epoch that the manifest tells, where it tells that it is.  1;
 * 0 if it is not to be had, or not without doubt; -1.
 */
static int
witness(struct healer *hl, uint32_t segment, uint8_t secret[32],
    struct ge_err *e)
{
	struct heads hd;
	uint64_t mask;
	int rc = -1;

	if (heal_heads_init(&hd, hl, segment, hl->told[segment],
	    heal_places(hl, segment), e) == -1 || heal_heads(&hd, e) == -1)
		goto out;
	mask = agreeing(&hd);
	rc = count(mask) < hl->kn->m.k ||
	    count(hd.good & ~mask) >= hl->kn->m.k ? 0 :
	    opens(&hd, mask, secret, e);
out:
	heal_heads_free(&hd);
	return (rc);
}

int
heal_secret(struct heads *hd, int least, uint64_t *mask, uint8_t secret[32],
    struct ge_err *e)
{

	if (heal_heads(hd, e) == -1)
		return (-1);
	*mask = agreeing(hd);
	return (count(*mask) < least ? 0 : opens(hd, *mask, secret, e));
}

int
heal_proved(struct healer *hl, uint32_t segment, int epoch, int least,
    int16_t *site, uint8_t record[32], struct ge_err *e)
{
	uint8_t (*secret)[32];
	struct heads hd;
	uint64_t mask;
	int i, known = 1, rc = -1;

	if (least < hl->kn->m.k)
		least = hl->kn->m.k;
	if ((secret = ge_secret_alloc(2 * sizeof(*secret), e)) == NULL)
		return (-1);
	if (heal_heads_init(&hd, hl, segment, epoch, site, e) == -1 ||
	    (rc = heal_secret(&hd, least, &mask, secret[0], e)) == -1 ||
	    count(mask) < least)
		goto out;
	if (rc == 1 && hl->kn->m.nrecipients > 0) {
		if ((known = witness(hl, segment, secret[1], e)) == -1) {
			rc = -1;
			goto out;
		}
		rc = known && CRYPTO_memcmp(secret[0], secret[1], 32) == 0;
	}
	if (!known) {
		ge_fail(e, GE_EREFUSED, "segment %lu: whether the shares of "
		    "epoch %d are of its key cannot be told: they are left "
		    "alone", (unsigned long)segment, epoch);
		heal_worse(hl, e);
	} else if (rc == 0) {
		ge_note(GE_WARN, "segment %lu: the shares that sites have of "
		    "epoch %d are not of its key: they are left alone",
		    (unsigned long)segment, epoch);
	}
	for (i = 0; i < hl->map.n && rc == 1; i++) {
		if ((mask >> i & 1) == 0)
			site[i] = -1;
		else
			memcpy(record, hd.record[i], 32);
	}
out:
	heal_heads_free(&hd);
	ge_secret_free(secret, 2 * sizeof(*secret));
	return (rc);
}

int
heal_whole(struct healer *hl, uint32_t segment, int index, int epoch, int site,
    const uint8_t *record, struct ge_err *e)
{
	int16_t at[GE_N_MAX];
	enum ge_op_result code;
	uint8_t *buf = NULL;
	struct ge_op op, *one = &op;
	struct heads hd;
	struct ge_err why;
	size_t len = 0;
	int i, rc = -1;

	for (i = 0; i < GE_N_MAX; i++)
		at[i] = i == index ? (int16_t)site : -1;
	if (heal_heads_init(&hd, hl, segment, epoch, at, e) == -1 ||
	    length(&hd, &len, e) == -1)
		goto out;
	if (len == 0) {
		rc = 0;
		goto out;
	}
	if ((buf = ge_alloc(len, e)) == NULL)
		goto out;
	ask(&hd, &op, index, buf, len);
	if (ge_op_run(hl->st->net, &one, 1, e) == -1)
		goto out;
	judge(&hd, &op, index);
	if (hd.good == 0 || (record != NULL && memcmp(hd.record[index],
	    record, 32) != 0)) {
		rc = 0;
		goto out;
	}
	if ((rc = ge_object_proved(hl->st, site, op.name, &hd.h, buf, 1, &code,
	    &why)) == -1)
		*e = why;
out:
	if (buf != NULL)
		ge_wipe(buf, len);
	ge_free(buf);
	heal_heads_free(&hd);
	return (rc);
}
