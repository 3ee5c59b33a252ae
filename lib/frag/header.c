#include <stdio.h>
#include <string.h>

#include "code/code.h"
#include "frag/frag.h"
#include "seal/seal.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

static const uint8_t magic[8] = "GEFRAG1\n";

/* Offsets of the fixed part; gefrag(5), "Fragment". */
enum {
	O_SETID = 8, O_MODE = 24, O_CODE = 25, O_K = 26, O_N = 27, O_ALPHA = 28,
	O_WRAPS = 30, O_BLOCK = 32, O_SEGMENT = 36, O_OFF = 40, O_ULEN = 48,
	O_CLEN = 52, O_FLAGS = 56, O_INDEX = 57, O_HASSHARE = 58, O_EPOCH = 59,
	O_CHECKSUM = 60
};

void
ge_hdr_layout(struct ge_hdr *h)
{
	uint64_t last;

	h->tag = h->mode == GE_PLAIN ? 0 : GE_TAG;
	h->piece = (uint32_t)h->k * h->block - h->tag;
	h->nstripes = (uint32_t)(((uint64_t)h->clen + h->piece - 1) / h->piece);
	h->lastc = h->lastb = 0;
	if (h->nstripes > 0) {
		last = h->clen - (uint64_t)(h->nstripes - 1) * h->piece;
		h->lastc = (uint32_t)last + h->tag;
		h->lastb = (uint32_t)(64 * (((uint64_t)h->lastc +
		    64 * (uint32_t)h->k - 1) / (64 * (uint32_t)h->k)));
	}
	h->wraps = GE_HDR_FIXED;
	h->commitment = h->wraps + GE_WRAP * (size_t)h->nwraps;
	h->table = h->commitment + (h->mode == GE_PLAIN ? 0 : 32);
	h->records = h->table + 32 * (size_t)h->n * h->nstripes;
	h->share = h->records + (h->mode == GE_PLAIN ? 0 : 32 * (size_t)h->n);
	h->len = h->share + (h->mode == GE_PLAIN ? 0 : GE_KEY);
	h->fraglen = h->len;
	if (h->nstripes > 0)
		h->fraglen += (uint64_t)(h->nstripes - 1) * h->block + h->lastb;
}

static int
bad(struct ge_err *e, const char *what)
{

	return (ge_fail(e, GE_ELOST, "not a fragment: %s", what));
}

int
ge_hdr_peek(struct ge_hdr *h, const uint8_t *buf, size_t len, struct ge_err *e)
{

	memset(h, 0, sizeof(*h));
	if (len < sizeof(magic) || memcmp(buf, magic, sizeof(magic)) != 0)
		return (bad(e, "bad magic"));
	if (len < GE_HDR_FIXED)
		return (bad(e, "cut short in the header"));
	memcpy(h->setid, buf + O_SETID, GE_SETID);
	h->mode = buf[O_MODE];
	h->code = buf[O_CODE];
	h->k = buf[O_K];
	h->n = buf[O_N];
	h->alpha = ge_get16(buf + O_ALPHA);
	h->nwraps = ge_get16(buf + O_WRAPS);
	h->block = ge_get32(buf + O_BLOCK);
	h->segment = ge_get32(buf + O_SEGMENT);
	h->off = ge_get64(buf + O_OFF);
	h->ulen = ge_get32(buf + O_ULEN);
	h->clen = ge_get32(buf + O_CLEN);
	h->flags = buf[O_FLAGS];
	h->index = buf[O_INDEX];
	h->has_share = buf[O_HASSHARE];
	h->epoch = buf[O_EPOCH];

	if (h->mode > GE_PLAIN)
		return (bad(e, "unknown mode"));
	if (h->code != 1 || h->alpha != 1)
		return (bad(e, "unknown code"));
	if (h->k < (h->mode == GE_PLAIN ? 1 : 2) || h->k > h->n ||
	    h->n > GE_N_MAX)
		return (bad(e, "bad k or n"));
	if (h->block < GE_BLOCK_MIN || h->block > GE_BLOCK_MAX ||
	    (h->block & (h->block - 1)) != 0)
		return (bad(e, "bad block size"));
	if (h->nwraps > (h->mode == GE_PLAIN ? 0 : GE_WRAPS_MAX))
		return (bad(e, "too many wraps"));
	if ((h->flags & ~(GE_FLAG_LAST | GE_FLAG_DEFLATED)) != 0)
		return (bad(e, "unknown flag"));
	if (h->index >= h->n)
		return (bad(e, "index out of range"));
	if (h->has_share > 1 ||
	    (h->mode == GE_PLAIN && (h->has_share != 0 || h->epoch != 0)))
		return (bad(e, "bad share or epoch"));
	if (h->ulen > GE_SEGMENT_MAX)
		return (bad(e, "segment too long"));
	if ((h->flags & GE_FLAG_DEFLATED) != 0 ?
	    h->clen == 0 || h->clen >= h->ulen : h->clen != h->ulen)
		return (bad(e, "bad compressed length"));
	if (h->ulen == 0 &&
	    (h->segment != 0 || (h->flags & GE_FLAG_LAST) == 0))
		return (bad(e, "empty segment"));
	if ((h->off == 0) != (h->segment == 0) ||
	    h->off >= (uint64_t)INT64_MAX + 1 - h->ulen)
		return (bad(e, "bad offset"));
	ge_hdr_layout(h);
	if (h->nstripes > GE_STRIPES_MAX)
		return (bad(e, "too many stripes"));
	return (0);
}

static uint32_t
checksum(const struct ge_hdr *h, const uint8_t *buf)
{
	uint8_t fixed[GE_HDR_FIXED];
	uint32_t crc;

	memcpy(fixed, buf, sizeof(fixed));
	memset(fixed + O_CHECKSUM, 0, 4);
	crc = ge_crc32c(0, fixed, sizeof(fixed));
	return (ge_crc32c(crc, buf + GE_HDR_FIXED, h->share - GE_HDR_FIXED));
}

int
ge_hdr_parse(struct ge_hdr *h, const uint8_t *buf, size_t len, int noshare,
    struct ge_err *e)
{
	uint8_t any = 0;
	uint32_t i;

	if (ge_hdr_peek(h, buf, len, e) == -1)
		return (-1);
	if (len < (noshare ? h->share : h->len))
		return (bad(e, "cut short in the header"));
	if (ge_get32(buf + O_CHECKSUM) != checksum(h, buf))
		return (bad(e, "wrong checksum of the header"));
	for (i = 0; i < h->nwraps; i++) {
		const uint8_t *w = buf + h->wraps + GE_WRAP * (size_t)i;

		if (!ge_wrap_ok(w) ||
		    (w[0] == GE_WRAP_PASS && h->nwraps != 1))
			return (bad(e, "bad wrap"));
	}
	if (h->mode != GE_PLAIN && !h->has_share && !noshare) {
		for (i = 0; i < GE_KEY; i++)
			any |= buf[h->share + i];
		if (any != 0)
			return (bad(e, "share bytes without a share"));
	}
	return (0);
}

void
ge_hdr_write(uint8_t *buf, const struct ge_hdr *h)
{

	memset(buf, 0, GE_HDR_FIXED);
	memcpy(buf, magic, sizeof(magic));
	memcpy(buf + O_SETID, h->setid, GE_SETID);
	buf[O_MODE] = (uint8_t)h->mode;
	buf[O_CODE] = (uint8_t)h->code;
	buf[O_K] = (uint8_t)h->k;
	buf[O_N] = (uint8_t)h->n;
	ge_put16(buf + O_ALPHA, (uint16_t)h->alpha);
	ge_put16(buf + O_WRAPS, (uint16_t)h->nwraps);
	ge_put32(buf + O_BLOCK, h->block);
	ge_put32(buf + O_SEGMENT, h->segment);
	ge_put64(buf + O_OFF, h->off);
	ge_put32(buf + O_ULEN, h->ulen);
	ge_put32(buf + O_CLEN, h->clen);
	buf[O_FLAGS] = (uint8_t)h->flags;
	buf[O_INDEX] = (uint8_t)h->index;
	buf[O_HASSHARE] = (uint8_t)h->has_share;
	buf[O_EPOCH] = (uint8_t)h->epoch;
}

void
ge_hdr_seal(uint8_t *buf, const struct ge_hdr *h)
{

	ge_put32(buf + O_CHECKSUM, checksum(h, buf));
}

uint32_t
ge_hdr_coded(const struct ge_hdr *h, uint32_t stripe)
{

	return (stripe + 1 < h->nstripes ? (uint32_t)h->k * h->block :
	    h->lastc);
}

uint32_t
ge_hdr_block(const struct ge_hdr *h, uint32_t stripe)
{

	return (stripe + 1 < h->nstripes ? h->block : h->lastb);
}

void
ge_hash_descriptor(uint8_t dh[32], const struct ge_hdr *h, const uint8_t *buf)
{
	static const uint8_t domain = 5;
	struct ge_sha256 sha;

	ge_sha256_init(&sha);
	ge_sha256_add(&sha, &domain, 1);
	ge_sha256_add(&sha, buf, O_INDEX);
	ge_sha256_add(&sha, buf + h->wraps, GE_WRAP * (size_t)h->nwraps);
	ge_sha256_end(&sha, dh);
}

void
ge_hash_head(uint8_t head[64], int index, uint32_t stripe, const uint8_t dh[32])
{

	memset(head, 0, 32);
	head[0] = 2;
	head[1] = (uint8_t)index;
	ge_put32(head + 4, stripe);
	memcpy(head + 32, dh, 32);
}

/* RFC 6962 tree hash of n rows; the recursion is at most 10 deep. */
static void
tree(uint8_t out[32], const uint8_t *rows, size_t rowlen, uint32_t n)
{
	uint8_t domain = n <= 1 ? 0 : 1, sub[64];
	struct ge_sha256 sha;
	uint32_t left;

	ge_sha256_init(&sha);
	if (n == 1) {
		ge_sha256_add(&sha, &domain, 1);
		ge_sha256_add(&sha, rows, rowlen);
	} else if (n > 1) {
		for (left = 1; 2 * left < n; left *= 2)
			;
		tree(sub, rows, rowlen, left);
		tree(sub + 32, rows + rowlen * left, rowlen, n - left);
		ge_sha256_add(&sha, &domain, 1);
		ge_sha256_add(&sha, sub, 64);
	}
	ge_sha256_end(&sha, out);
}

void
ge_hash_root(uint8_t root[32], const struct ge_hdr *h, const uint8_t *buf,
    const uint8_t dh[32])
{
	static const uint8_t domain = 3, zero[32];
	struct ge_sha256 sha;
	uint8_t t[32];

	tree(t, buf + h->table, 32 * (size_t)h->n, h->nstripes);
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, &domain, 1);
	ge_sha256_add(&sha, dh, 32);
	ge_sha256_add(&sha, h->mode == GE_PLAIN ? zero : buf + h->commitment,
	    32);
	ge_sha256_add(&sha, t, 32);
	ge_sha256_end(&sha, root);
}

void
ge_hash_share(uint8_t out[32], const uint8_t dh[32], int epoch, int index,
    const uint8_t share[32])
{
	uint8_t head[35] = { 4 };
	struct ge_sha256 sha;

	memcpy(head + 1, dh, 32);
	head[33] = (uint8_t)epoch;
	head[34] = (uint8_t)index;
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, head, sizeof(head));
	ge_sha256_add(&sha, share, GE_KEY);
	ge_sha256_end(&sha, out);
	ge_wipe(&sha, sizeof(sha));
}

char *
ge_frag_name(char out[GE_FRAG_NAME], const uint8_t *setid, uint32_t segment,
    int index, int epoch)
{
	size_t at = 2 * GE_SETID;

	ge_hex(out, setid, GE_SETID);
	at += (size_t)snprintf(out + at, GE_FRAG_NAME - at, "/%010lu.%02d",
	    (unsigned long)segment, index & 63);
	if (epoch > 0)
		at += (size_t)snprintf(out + at, GE_FRAG_NAME - at, ".%03d",
		    epoch & 255);
	snprintf(out + at, GE_FRAG_NAME - at, ".gef");
	return (out);
}

/* `digits` decimal digits; -1 if they are not. */
static int64_t
decimal(const char *s, int digits)
{
	int64_t v = 0;

	for (; digits > 0; digits--, s++) {
		if (*s < '0' || *s > '9')
			return (-1);
		v = 10 * v + (*s - '0');
	}
	return (v);
}

/* "<32 hex>/<10>.<2>.gef" or "<32 hex>/<10>.<2>.<3>.gef" */
int
ge_frag_name_parse(const char *name, size_t len, uint8_t setid[GE_SETID],
    uint32_t *segment, int *index, int *epoch)
{
	enum { BASE = 2 * GE_SETID + 1, SHORT = BASE + 17, LONG = SHORT + 4 };
	char again[GE_FRAG_NAME];
	int64_t s, i, ep;

	if (len != SHORT && len != LONG)
		return (-1);
	s = decimal(name + BASE, 10);
	i = decimal(name + BASE + 11, 2);
	ep = len == SHORT ? 0 : decimal(name + BASE + 14, 3);
	if (s < 0 || s > UINT32_MAX || i < 0 || i >= GE_N_MAX || ep < 0 ||
	    ep > 255 || ge_unhex(setid, name, GE_SETID) == -1)
		return (-1);
	*segment = (uint32_t)s;
	*index = (int)i;
	*epoch = (int)ep;
	/* The rest by saying it again. */
	ge_frag_name(again, setid, *segment, *index, *epoch);
	return (strlen(again) == len && memcmp(again, name, len) == 0 ? 0 : -1);
}
