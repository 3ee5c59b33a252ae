#include <stdio.h>
#include <string.h>

#include "store/heal_int.h"
#include "util/mem.h"
#include "util/sha256.h"

/*
 * Headers of one epoch of a segment, read back from the sites, before anything is
 * built upon them, or destroyed for them.
 */
enum {
	ABREAST = 16 << 20		/* bytes of headers at once */
};

struct heads {
	struct healer *hl;
	uint32_t segment;
	int epoch;
	const int16_t *site;
	const uint8_t *root;
	uint8_t (*record)[32];
	uint64_t good;
};

void
heal_record(uint8_t out[32], const struct ge_hdr *h, const uint8_t *hdr,
    const uint8_t root[32])
{
	struct ge_sha256 sha;

	ge_sha256_init(&sha);
	ge_sha256_add(&sha, root, 32);
	ge_sha256_add(&sha, hdr + h->records, 32 * (size_t)h->n);
	ge_sha256_end(&sha, out);
}

static void
ask(const struct heads *hd, struct ge_op *op, int i, uint8_t *buf, size_t len)
{
	char name[GE_FRAG_NAME];

	memset(op, 0, sizeof(*op));
	op->kind = GE_OP_GET;
	op->site = hd->site[i];
	snprintf(op->name, sizeof(op->name), "%s", ge_frag_name(name,
	    hd->hl->kn->setid, hd->segment, i, hd->epoch));
	op->buf = buf;
	op->len = len;
}

static int
ours(const struct heads *hd, const struct ge_hdr *h, int i)
{

	return (memcmp(h->setid, hd->hl->kn->setid, GE_SETID) == 0 &&
	    h->segment == hd->segment && h->index == i &&
	    h->epoch == hd->epoch && h->has_share &&
	    h->n == hd->hl->map.n && h->k == hd->hl->kn->m.k);
}

static void
judge(struct heads *hd, const struct ge_op *op, int i)
{
	uint8_t dh[32], root[32];
	struct ge_hdr h;
	struct ge_err bad;

	if (op->result != GE_OP_DONE ||
	    ge_hdr_parse(&h, op->buf, (size_t)op->got, 0, &bad) == -1 ||
	    !ours(hd, &h, i) ||
	    (op->size != GE_OP_UNKNOWN && op->size != h.fraglen))
		return;
	ge_hash_descriptor(dh, &h, op->buf);
	ge_hash_root(root, &h, op->buf, dh);
	if (memcmp(root, hd->root, 32) != 0 ||
	    !ge_share_valid(&h, op->buf, dh))
		return;
	heal_record(hd->record[i], &h, op->buf, root);
	hd->good |= (uint64_t)1 << i;
}

/* How long are the headers?  0: nothing that is of the segment answers. */
static int
length(const struct heads *hd, size_t *len, struct ge_err *e)
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
heal_heads(struct healer *hl, uint32_t segment, int epoch,
    const int16_t *site, const uint8_t root[32], uint8_t (*record)[32],
    uint64_t *good, struct ge_err *e)
{
	struct heads hd = { .hl = hl, .segment = segment, .epoch = epoch,
	    .site = site, .root = root, .record = record };
	struct ge_op op[GE_N_MAX], *todo[GE_N_MAX];
	size_t len, most, n;
	uint8_t *buf = NULL;
	int i, first, which[GE_N_MAX], rc = -1;

	*good = 0;
	if (length(&hd, &len, e) == -1)
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
			if (site[first] == -1)
				continue;
			ask(&hd, &op[n], first, buf + n * len, len);
			which[n] = first;
			todo[n] = &op[n];
			n++;
		}
		if (n > 0 && ge_op_run(hl->st->net, todo, n, e) == -1)
			goto out;
		for (i = 0; i < (int)n; i++)
			judge(&hd, &op[i], which[i]);
	}
	*good = hd.good;
	rc = 0;
out:
	ge_wipe(buf, most * len);
	ge_free(buf);
	return (rc);
}
