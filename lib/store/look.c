#include <stdio.h>
#include <string.h>

#include "store/look_int.h"
#include "util/mem.h"
#include "util/sha256.h"

enum {
	FIXED,				/* the first 64 bytes, to find the share */
	HEAD,				/* the header, and what comes with it */
	BODY
};

void
ge_op_why(const struct ge_op *op, char why[GE_WHY])
{
	const char *msg = op->err.msg, *p;

	if ((p = strstr(msg, op->name)) != NULL &&
	    (p = strstr(p, "': ")) != NULL)
		msg = p + 3;
	snprintf(why, GE_WHY, "%.*s", GE_WHY - 1, msg);
}

int
ge_lane_init(struct ge_lane *l, size_t hmax, size_t part, struct ge_err *e)
{

	l->hmax = hmax;
	l->part = part;
	if ((l->hdr = ge_alloc(hmax, e)) == NULL ||
	    (l->buf = ge_block_alloc(hmax + part + 1, e)) == NULL)
		return (-1);
	return (0);
}

void
ge_lane_release(struct ge_lane *l)
{

	ge_free(l->hdr);
	ge_block_free(l->buf);
}

static void
request(struct ge_lane *l, int stage, uint64_t off, uint64_t len)
{
	struct ge_op *op = &l->op;
	int site = op->site;
	char name[GE_OP_NAME];

	memcpy(name, op->name, sizeof(name));
	memset(op, 0, sizeof(*op));
	memcpy(op->name, name, sizeof(name));
	op->kind = GE_OP_GET;
	op->site = site;
	op->tries = 2;
	op->buf = l->buf;
	op->off = off;
	op->len = len;
	op->tag = l;
	l->stage = stage;
}

void
ge_lane_begin(struct ge_lane *l, int site)
{
	char name[GE_FRAG_NAME];
	size_t len = l->guess;

	memset(&l->look, 0, sizeof(l->look));
	l->look.site = (int16_t)site;
	l->look.size = l->size;
	l->next = 0;
	l->op.site = site;
	ge_frag_name(name, l->setid, l->segment, l->index, l->epoch);
	snprintf(l->op.name, sizeof(l->op.name), "%s", name);
	if (len < GE_HDR_FIXED)
		len = GE_HDR_FIXED;
	if (len > l->hmax)
		len = l->hmax;
	if (l->noshares)
		request(l, FIXED, 0, GE_HDR_FIXED);
	else
		request(l, HEAD, 0, len + (l->whole ? l->part : 0));
}

static int
bad(struct ge_look *k, const char *why)
{

	k->got = GE_LOOK_BAD;
	snprintf(k->why, sizeof(k->why), "%.*s", (int)sizeof(k->why) - 1, why);
	return (0);
}

static void
hash(uint8_t out[32], const void *a, size_t alen, const void *b, size_t blen)
{
	struct ge_sha256 sha;

	ge_sha256_init(&sha);
	ge_sha256_add(&sha, a, alen);
	ge_sha256_add(&sha, b, blen);
	ge_sha256_end(&sha, out);
}

static int
picked(const struct ge_lane *l, uint32_t s)
{

	return (l->whole || (l->pick[s / 8] >> s % 8 & 1) != 0);
}

static void
damaged(struct ge_look *k, uint32_t s)
{

	k->bad[s / 8] |= (uint8_t)(1 << s % 8);
	k->nbad++;
}

/* What is in buf from stripe l->next on: check as many whole blocks. */
static void
check_blocks(struct ge_lane *l, const uint8_t *buf, size_t len, uint32_t most)
{
	const struct ge_hdr *h = &l->look.h;
	uint8_t good[GE_STRIPES_MAX];
	uint32_t n = 0, i;
	size_t at = 0;

	while (n < most && l->next + n < h->nstripes &&
	    len - at >= ge_hdr_block(h, l->next + n))
		at += ge_hdr_block(h, l->next + n++);
	ge_blocks_check(h, l->hdr, l->dh, h->index, l->next, n, buf, good);
	for (i = 0; i < n; i++)
		if (!good[i])
			damaged(&l->look, l->next + i);
	l->look.checked += n;
	l->next += n;
}

/* The next part of the payload, if there is any to be looked at. */
static int
next_part(struct ge_lane *l)
{
	const struct ge_hdr *h = &l->look.h;
	uint64_t off, len;
	uint32_t n;

	while (l->next < h->nstripes && !picked(l, l->next))
		l->next++;
	if (l->next == h->nstripes)
		return (0);
	off = h->len + (uint64_t)l->next * h->block;
	if (l->look.size != GE_OP_UNKNOWN &&
	    off + ge_hdr_block(h, l->next) > l->look.size) {
		/* It ends before. */
		for (; l->next < h->nstripes; l->next++)
			damaged(&l->look, l->next);
		return (0);
	}
	for (n = 1, len = ge_hdr_block(h, l->next);
	    l->next + n < h->nstripes && picked(l, l->next + n) &&
	    len + ge_hdr_block(h, l->next + n) <= l->part; n++)
		len += ge_hdr_block(h, l->next + n);
	/* One byte more tells whether it ends there. */
	if (l->look.size == GE_OP_UNKNOWN && l->next + n == h->nstripes)
		len++;
	request(l, BODY, off, len);
	return (1);
}

static int
head(struct ge_lane *l)
{
	struct ge_look *k = &l->look;
	struct ge_hdr *h = &k->h;
	const struct ge_hdr *s = l->shape;
	struct ge_err e;
	size_t need;

	if (ge_hdr_peek(h, l->buf, (size_t)l->op.got, &e) == -1)
		return (bad(k, e.msg));
	if (h->mode != s->mode || h->k != s->k || h->n != s->n ||
	    h->block != s->block || h->nwraps != s->nwraps || h->len > l->hmax)
		return (bad(k, "its header contradicts the others"));
	need = l->noshares ? h->share : h->len;
	if (l->op.got < need && l->op.got == l->op.len) {
		request(l, HEAD, 0, need);
		return (1);
	}
	if (ge_hdr_parse(h, l->buf, (size_t)l->op.got, l->noshares, &e) == -1)
		return (bad(k, e.msg));
	if (memcmp(h->setid, l->setid, GE_SETID) != 0 ||
	    h->segment != l->segment || h->index != l->index ||
	    h->epoch != l->epoch)
		return (bad(k, "it is another fragment"));
	memset(l->hdr, 0, h->len);
	memcpy(l->hdr, l->buf, need);
	ge_hash_descriptor(l->dh, h, l->hdr);
	ge_hash_root(k->root, h, l->hdr, l->dh);
	hash(k->record, &l->buf[59], 1, l->hdr + h->records,
	    h->share - h->records);
	hash(k->wraps, &l->buf[24], 4, l->hdr + h->wraps,
	    h->commitment - h->wraps);
	if (h->mode != GE_PLAIN && !l->noshares) {
		k->share_ok = h->has_share && ge_share_valid(h, l->hdr, l->dh);
		ge_wipe(l->hdr + h->share, h->len - h->share);
		ge_wipe(l->buf + h->share, h->len - h->share);
	}
	k->got = GE_LOOK_HEADER;
	/* What lies about its blocks is not worth reading. */
	if (l->root != NULL && memcmp(l->root, k->root, 32) != 0)
		return (0);
	if (l->whole && !l->noshares)
		check_blocks(l, l->buf + h->len, (size_t)l->op.got - h->len,
		    h->nstripes);
	return (next_part(l));
}

static int
body(struct ge_lane *l)
{
	struct ge_look *k = &l->look;
	const struct ge_hdr *h = &k->h;
	uint64_t end = l->op.off + l->op.got;
	uint32_t before = l->next;

	check_blocks(l, l->buf, (size_t)l->op.got, h->nstripes);
	if (k->size == GE_OP_UNKNOWN && l->op.got < l->op.len)
		k->size = end;
	else if (k->size == GE_OP_UNKNOWN && l->next == h->nstripes)
		k->size = end;
	if (l->next == before && l->op.got < l->op.len)
		for (; l->next < h->nstripes; l->next++)
			if (picked(l, l->next))
				damaged(k, l->next);
	return (next_part(l));
}

int
ge_lane_step(struct ge_lane *l)
{
	struct ge_look *k = &l->look;
	struct ge_err e;

	switch (l->op.result) {
	case GE_OP_DONE:
		break;
	case GE_OP_ABSENT:
		k->got = GE_LOOK_ABSENT;
		return (0);
	default:
		k->got = GE_LOOK_LOST;
		ge_op_why(&l->op, k->why);
		return (0);
	}
	if (l->op.size != GE_OP_UNKNOWN)
		k->size = l->op.size;
	if (l->stage == BODY)
		return (body(l));
	if (l->stage == HEAD)
		return (head(l));
	/* Only as far as the share. */
	if (ge_hdr_peek(&k->h, l->buf, (size_t)l->op.got, &e) == -1)
		return (bad(k, e.msg));
	if (k->h.len > l->hmax)
		return (bad(k, "its header contradicts the others"));
	request(l, HEAD, 0, k->h.share);
	return (1);
}
