/*
 * Headers: what is accepted has consistent lengths within the limits of
 * gefrag(5) and is the same bytes when written again.
 */
#include <string.h>

#include "frag/frag.h"
#include "fuzz.h"

static void
check_lengths(const struct ge_hdr *h)
{
	uint64_t coded = 0, blocks = 0;
	uint32_t s, c, b;

	must(h->k >= 1 && h->k <= h->n && h->n <= GE_N_MAX &&
	    h->index < h->n && h->nstripes <= GE_STRIPES_MAX &&
	    h->nwraps <= GE_WRAPS_MAX && h->ulen <= GE_SEGMENT_MAX &&
	    h->clen <= h->ulen, "header limits");
	must(h->off + h->ulen <= INT64_MAX, "offset");
	must(h->wraps <= h->commitment && h->commitment <= h->table &&
	    h->table <= h->records && h->records <= h->share &&
	    h->share <= h->len && h->len <= GE_HDR_MAX, "header offsets");
	for (s = 0; s < h->nstripes; s++) {
		c = ge_hdr_coded(h, s);
		b = ge_hdr_block(h, s);
		must(c > h->tag && b > 0 && b % 64 == 0 && b <= h->block &&
		    (uint64_t)b * (uint32_t)h->k >= c &&
		    (uint64_t)(b - 64) * (uint32_t)h->k < c, "stripe");
		must(s + 1 == h->nstripes || b == h->block, "full stripe");
		coded += c - h->tag;
		blocks += b;
	}
	must(coded == h->clen, "stripes hold the segment");
	must(h->fraglen == h->len + blocks, "length of the fragment");
}

static int
check(const uint8_t *buf, size_t len)
{
	uint8_t dh[32], root[32], *copy;
	struct ge_hdr h, again;
	struct ge_err e;

	if (ge_hdr_parse(&h, buf, len, 0, &e) == -1) {
		must(e.code == GE_ELOST, "code of a bad header");
		return (0);
	}
	must(h.len <= len, "header within the buffer");
	check_lengths(&h);
	must(ge_hdr_parse(&again, buf, h.share, 1, &e) == 0 &&
	    memcmp(&h, &again, sizeof(h)) == 0, "the same without share");
	must(ge_hdr_parse(&again, buf, h.share - 1, 1, &e) == -1 &&
	    ge_hdr_parse(&again, buf, h.len - 1, 0, &e) == -1, "cut short");
	copy = malloc(h.len);
	must(copy != NULL, "malloc");
	memcpy(copy, buf, h.len);
	ge_hdr_write(copy, &h);
	ge_hdr_seal(copy, &h);
	must(memcmp(copy, buf, h.len) == 0, "the same bytes again");
	free(copy);
	ge_hash_descriptor(dh, &h, buf);
	ge_hash_root(root, &h, buf, dh);
	return (1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct ge_hdr h;
	struct ge_err e;
	uint8_t *copy;

	if (check(buf, len) || ge_hdr_peek(&h, buf, len, &e) == -1)
		return (0);
	check_lengths(&h);
	if (len < h.share)
		return (0);
	/* Past the checksum, too. */
	copy = malloc(len);
	must(copy != NULL, "malloc");
	memcpy(copy, buf, len);
	ge_hdr_seal(copy, &h);
	(void)check(copy, len);
	free(copy);
	return (0);
}
