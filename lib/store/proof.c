#include <string.h>

#include "store/proof_int.h"
#include "store/store_int.h"
#include "util/mem.h"

enum {
	STRETCH = 1 << 20,		/* read at once when all is read */
	SMALL = 64 << 10		/* read whole */
};

size_t
ge_proof_room(const struct ge_hdr *h, int full)
{
	size_t room = (size_t)h->block + 1;

	if (full && room < STRETCH + 1)
		room = STRETCH + 1;
	if (h->fraglen <= SMALL && room <= h->fraglen)
		room = (size_t)h->fraglen + 1;
	return (room > h->len + 1 ? room : h->len + 1);
}

static void
ask(struct ge_proof *p, struct ge_op *op, uint64_t off, uint64_t len)
{

	op->kind = GE_OP_GET;
	op->buf = p->buf;
	op->off = off;
	op->len = len;
	op->urgent = 1;
}

/* Ask for the next stripes; with the last, for a byte that must not be. */
static void
ask_body(struct ge_proof *p, struct ge_op *op)
{
	const struct ge_hdr *h = p->h;
	uint32_t most = (uint32_t)((p->cap - 1) / h->block);
	uint64_t off, end;

	p->nstripes = h->nstripes - p->stripe < most ?
	    h->nstripes - p->stripe : most;
	off = h->len + (uint64_t)p->stripe * h->block;
	end = p->stripe + p->nstripes == h->nstripes ? h->fraglen + 1 :
	    off + (uint64_t)p->nstripes * h->block;
	ask(p, op, off, end - off);
}

void
ge_proof_begin(struct ge_proof *p, struct ge_op *op)
{

	p->body = 0;
	p->stripe = p->full || p->h->nstripes == 0 ? 0 : p->h->nstripes - 1;
	p->whole = (p->h->fraglen <= SMALL || p->h->nstripes == 0) &&
	    p->h->fraglen < p->cap;
	ask(p, op, 0, p->whole ? p->h->fraglen + 1 : p->h->len);
}

/*
 * What is there and is ours, but not whole, must be told from what is not ours:
 * only the latter is GE_EREFUSED.
 */
static int
damaged(const struct ge_op *op, enum ge_op_result *code, struct ge_err *e,
    const char *how)
{

	*code = GE_OP_EXISTS;
	ge_fail(e, GE_EDEGRADED, "'%s': the copy there is %s", op->name, how);
	return (0);
}

/* All of it is here, and the header is right. */
static int
whole(const struct ge_proof *p, const struct ge_op *op,
    enum ge_op_result *code, struct ge_err *e)
{
	uint8_t good[GE_STRIPES_MAX];
	const struct ge_hdr *h = p->h;
	uint32_t n = h->nstripes - p->stripe;

	if (op->got != h->fraglen)
		return (damaged(op, code, e, op->got < h->fraglen ?
		    "cut short" : "too long"));
	if (n > 0 && ge_blocks_check(h, p->hdr, p->dh, h->index, p->stripe, n,
	    op->buf + h->len + (uint64_t)p->stripe * h->block, good) != n)
		return (damaged(op, code, e, "damaged"));
	return (1);
}

int
ge_proof_step(struct ge_proof *p, struct ge_op *op, enum ge_op_result *code,
    struct ge_err *e)
{
	uint8_t good[GE_STRIPES_MAX];
	const struct ge_hdr *h = p->h;
	uint64_t want;

	if (op->result == GE_OP_ABSENT) {
		*code = GE_OP_ABSENT;
		*e = op->err;
		return (0);
	}
	if (op->result != GE_OP_DONE) {
		*code = GE_OP_FAILED;
		*e = op->err;
		return (0);
	}
	if (!p->body) {
		if (memcmp(op->buf, p->hdr, op->got < h->len ?
		    (size_t)op->got : h->len) != 0) {
			*code = GE_OP_EXISTS;
			ge_fail(e, GE_EREFUSED, "'%s' is already there with "
			    "other content", op->name);
			return (0);
		}
		if (op->got < h->len)
			return (damaged(op, code, e, "cut short"));
		if (op->size != GE_OP_UNKNOWN && op->size != h->fraglen)
			return (damaged(op, code, e, op->size < h->fraglen ?
			    "cut short" : "too long"));
		if (p->whole)
			return (whole(p, op, code, e));
		if (p->hashed && !p->full && op->size == h->fraglen)
			return (1);
		p->body = 1;
		ask_body(p, op);
		return (2);
	}
	want = op->len - (p->stripe + p->nstripes == h->nstripes);
	if (op->got != want)
		return (damaged(op, code, e, op->got < want ? "cut short" :
		    "too long"));
	if (ge_blocks_check(h, p->hdr, p->dh, h->index, p->stripe, p->nstripes,
	    op->buf, good) != p->nstripes)
		return (damaged(op, code, e, "damaged"));
	p->stripe += p->nstripes;
	if (p->stripe == h->nstripes)
		return (1);
	ask_body(p, op);
	return (2);
}

int
ge_object_proved(const struct ge_store *st, int site, const char *name,
    const struct ge_hdr *h, const uint8_t *hdr, int full,
    enum ge_op_result *code, struct ge_err *e)
{
	struct ge_proof p = { .h = h, .hdr = hdr, .full = full };
	struct ge_op op, *ops = &op;
	uint8_t dh[32];
	int rc = -1;

	memset(&op, 0, sizeof(op));
	op.site = site;
	memcpy(op.name, name, strlen(name) + 1);
	ge_hash_descriptor(dh, h, hdr);
	p.dh = dh;
	p.cap = ge_proof_room(h, full);
	if ((p.buf = ge_block_alloc(p.cap, e)) == NULL) {
		*code = GE_OP_FAILED;
		return (-1);
	}
	ge_proof_begin(&p, &op);
	do {
		if (ge_op_run(st->net, &ops, 1, e) == -1)
			goto out;
	} while ((rc = ge_proof_step(&p, &op, code, e)) == 2);
out:
	ge_wipe(p.buf, h->len);
	ge_block_free(p.buf);
	return (rc);
}
