/*
 * lib/frag without I/O: the layout of headers against another reckoning, the
 * worked example of gefrag(5), names, labels, manifests and their places written
 * and read back, the model of durability.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frag/frag.h"
#include "seal/seal.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

#define UNIT "frag"
#include "check.h"

/*
 * gefrag(5), "Fragment", by going through the input piece by piece.
 */
static int
layout_is(const struct ge_hdr *h)
{
	uint64_t left = h->clen, header, payload = 0, c, b;
	uint64_t t = h->mode == GE_PLAIN ? 0 : 16;
	uint64_t piece = (uint64_t)h->k * h->block - t;
	uint32_t stripes = 0;
	int good = 1;

	for (; left > 0; stripes++) {
		c = (left < piece ? left : piece) + t;
		left -= c - t;
		for (b = 64; b * (uint64_t)h->k < c; b += 64)
			;
		payload += b;
		good &= ge_hdr_coded(h, stripes) == c &&
		    ge_hdr_block(h, stripes) == b &&
		    (left == 0 || b == h->block);
	}
	header = 64 + 96 * (uint64_t)h->nwraps +
	    32 * (uint64_t)h->n * stripes;
	if (h->mode != GE_PLAIN)
		header += 32 + 32 * (uint64_t)h->n + 32;
	return (good && h->nstripes == stripes && h->piece == piece &&
	    h->tag == t && h->len == header &&
	    h->fraglen == header + payload && h->wraps == 64 &&
	    h->commitment == 64 + 96 * (size_t)h->nwraps &&
	    h->table == h->commitment + (t != 0 ? 32 : 0) &&
	    h->records == h->table + 32 * (size_t)h->n * stripes &&
	    h->share == h->len - (t != 0 ? 32 : 0));
}

static void
test_layout(void)
{
	static const int ks[] = { 1, 2, 3, 5, 6, 10, 32, 63, 64 };
	static const uint32_t blocks[] = { 4096, 8192, 262144, 4194304 };
	static const int wraps[] = { 0, 1, 16 };
	struct ge_hdr h;
	uint64_t piece, len[12];
	size_t k, b, w, l;
	int n, good = 1;

	memset(&h, 0, sizeof(h));
	for (k = 0; k < sizeof(ks) / sizeof(ks[0]); k++)
	for (n = ks[k]; n <= GE_N_MAX; n += n < 12 ? 1 : 13)
	for (h.mode = 0; h.mode <= 1; h.mode++)
	for (b = 0; b < 4; b++)
	for (w = 0; w < (h.mode == GE_PLAIN ? 1 : 3); w++) {
		h.k = ks[k];
		h.n = n;
		h.block = blocks[b];
		h.nwraps = (uint32_t)wraps[w];
		piece = (uint64_t)h.k * h.block - (h.mode ? 0 : 16);
		len[0] = 0;
		len[1] = 1;
		len[2] = 48;
		len[3] = 64 * (uint64_t)h.k - 16;
		len[4] = 64 * (uint64_t)h.k - 15;
		len[5] = piece - 1;
		len[6] = piece;
		len[7] = piece + 1;
		len[8] = 3 * piece - 64;
		len[9] = 7 * piece;
		len[10] = 7 * piece + 12345;
		len[11] = 1024 * piece;
		for (l = 0; l < 12; l++) {
			if (len[l] > GE_SEGMENT_MAX)
				continue;
			h.clen = (uint32_t)len[l];
			ge_hdr_layout(&h);
			good &= layout_is(&h);
		}
	}
	check(good, "lengths and offsets of headers");

	/* The figures of gefrag(5), "Limits". */
	memset(&h, 0, sizeof(h));
	h.block = 262144;
	h.k = 6;
	h.n = 9;
	h.clen = 32 * (6 * 262144 - 16);
	ge_hdr_layout(&h);
	good = h.len == 9632 && h.nstripes == 32 && h.fraglen == 9632 +
	    (8 << 20);
	h.k = 10;
	h.n = 14;
	h.clen = 32 * (10 * 262144 - 16);
	ge_hdr_layout(&h);
	good &= h.len == 14912;
	h.k = 2;
	h.n = 64;
	h.block = 4096;
	h.nwraps = GE_WRAPS_MAX;
	h.clen = 1024 * (2 * 4096 - 16);
	ge_hdr_layout(&h);
	good &= h.len == GE_HDR_MAX && h.nstripes == GE_STRIPES_MAX;
	check(good, "the figures of the limits");
}

/* gefrag(5), "Example": fragment 0. */
static const char example[] =
    "474546524147310a1146ac5c21bbb4ed78c10b380d5ef4750001020301000000"
    "001000000000000000000000000000000d0000000d00000001000100e5866fd8"
    "4be4688191c50b57c19730e61fe93e2c2521b0e5279018175c6cf07999276c7e"
    "9a8d61f7f814a2836db9d3733d5eb4e96649313094240435d4672b84395bd1ec"
    "9886fe228a0f3589819e6325a4cc9c4e3c8af010d6cc0b007b884bdc3b1f8d6a"
    "7d636a24fcdb2a56d115880556a5908e80b8c2f4bc3ace6b619882378cd8eb98"
    "be4a2b163c36ab276a7345caaf5a6f205e7f516dd0d251bb0108c2b382a25db3"
    "ffa67f13afbb62ebddd92faabd55a8c60385a52c086a0535f489b6f3e308ab52"
    "c2ae87df9ac5b594be14c4f343a1c01e437c092bb79c78685477aaabd76feee1"
    "e8a4a1df36f10e0c78b0e0fc506f92152f2d5c5d8a4c8a87033a32243b031a9a"
    "3ab41bc2dc0398d93f952ab88cd2051244baf717e8b8c16b188f4785aa000000"
    "0000000000000000000000000000000000000000000000000000000000000000";

static int
is(const uint8_t hash[32], const char *hex)
{
	char out[65];

	return (strcmp(ge_hex(out, hash, 32), hex) == 0);
}

static void
test_example(void)
{
	uint8_t buf[384], dh[32], hash[1][32], head[1][64], shares[3][32];
	uint8_t idx[2] = { 2, 0 }, key[32], commitment[32], made[384];
	static const uint8_t none[32];
	const uint8_t *body[1];
	struct ge_manseg seg;
	struct ge_hdr h;
	struct ge_err e;
	char name[GE_FRAG_NAME];
	size_t i;
	int good;

	good = ge_unhex(buf, example, sizeof(buf)) == 0 &&
	    ge_hdr_parse(&h, buf, sizeof(buf), 0, &e) == 0 && h.k == 2 &&
	    h.n == 3 && h.block == 4096 && h.segment == 0 && h.ulen == 13 &&
	    h.clen == 13 && h.flags == GE_FLAG_LAST && h.index == 0 &&
	    h.has_share == 1 && h.epoch == 0 && h.nstripes == 1 &&
	    h.len == 320 && h.fraglen == 384 && h.lastc == 29 &&
	    h.lastb == 64 && h.share == 288;
	check(good, "example: the header");

	ge_hash_descriptor(dh, &h, buf);
	good = is(dh, "92dfa83dde0b773e23cb26a3771ad1c6"
	    "c9e8a8dc8dfff8e371e36f0163cdd4f7");
	ge_hash_root(seg.root, &h, buf, dh);
	good &= is(seg.root, "7e3f17201b5f3ab9b54145d8cec37a42"
	    "1c6e28ec0d1e31cb54be9a329f745bc6");
	seg.ulen = 13;
	ge_set_digest(hash[0], h.setid, &seg, 1);
	good &= is(hash[0], "0f3dd4ee01577e55bc0be3e3507a8a97"
	    "e7461b437c97e1fb6191179d5ca03955");
	check(good, "example: descriptor, root, digest");

	ge_hash_head(head[0], 0, 0, dh);
	body[0] = buf + h.len;
	ge_sha256_blocks(hash, (const uint8_t (*)[64])head, body, 64, 1);
	good = memcmp(hash[0], buf + h.table, 32) == 0;
	ge_hash_share(hash[0], dh, 0, 0, buf + h.share);
	good &= memcmp(hash[0], buf + h.records, 32) == 0;
	check(good, "example: block hash, share commitment");

	memcpy(shares[1], buf + h.share, 32);
	good = ge_unhex(shares[0], "d4314d44b058b7f674506b343472c138"
	    "fc29b25879b2e9ca1a20213eac9e9cde", 32) == 0;
	ge_share_at(hash[0], 0, idx, (const uint8_t (*)[32])shares, 2);
	good &= is(hash[0], "f660d71c752bdc717ec02b9862ef358d"
	    "c82f2bd17d33352f8137b529fec359b8");
	good &= ge_key_derive(key, commitment, hash[0], none, dh, &e) == 0 &&
	    is(key, "12d9f83bae3dc71d021b2dafc2d2554296a188c144f04be0ab21a737"
	    "aee32e58") && memcmp(commitment, buf + h.commitment, 32) == 0;
	ge_share_at(hash[0], 2, idx, (const uint8_t (*)[32])shares, 2);
	good &= is(hash[0], "caf53b87f382658b7220a05006f266a0"
	    "1b2bc5d48ecd5662982da633695edffc");
	check(good, "example: shares, message key, key commitment");

	memcpy(made, buf, sizeof(made));
	memset(made, 0xee, 64);
	ge_hdr_write(made, &h);
	ge_hdr_seal(made, &h);
	check(memcmp(made, buf, sizeof(made)) == 0,
	    "example: written as it was read");

	/* Any bit but the share's and the payload's. */
	for (i = 0, good = 1; i < 8 * h.share; i++) {
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
		good &= ge_hdr_parse(&h, buf, sizeof(buf), 0, &e) == -1 &&
		    e.code == GE_ELOST;
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	(void)ge_hdr_parse(&h, buf, sizeof(buf), 0, &e);
	for (i = 0; i < h.len; i++)
		good &= ge_hdr_parse(&h, buf, i, 0, &e) == -1;
	good &= ge_hdr_parse(&h, buf, 320, 0, &e) == 0 &&
	    ge_hdr_parse(&h, buf, 288, 1, &e) == 0 &&
	    ge_hdr_parse(&h, buf, 287, 1, &e) == -1;
	check(good, "example: no bit flipped, no byte less");

	good = strcmp(ge_frag_name(name, h.setid, 0, 0, 0),
	    "1146ac5c21bbb4ed78c10b380d5ef475/0000000000.00.gef") == 0 &&
	    strcmp(ge_frag_name(name, h.setid, UINT32_MAX, 63, 0),
	    "1146ac5c21bbb4ed78c10b380d5ef475/4294967295.63.gef") == 0 &&
	    strcmp(ge_frag_name(name, h.setid, 17, 8, 1),
	    "1146ac5c21bbb4ed78c10b380d5ef475/0000000017.08.001.gef") == 0 &&
	    strcmp(ge_frag_name(name, h.setid, 17, 8, 255),
	    "1146ac5c21bbb4ed78c10b380d5ef475/0000000017.08.255.gef") == 0 &&
	    strlen(name) < GE_FRAG_NAME;
	check(good, "names");
}

/* What is read back is what was written; no other text is a name. */
static void
test_names(void)
{
	static const uint32_t segments[] = { 0, 1, 9, 10, 4294967294,
		UINT32_MAX };
	static const char *const refused[] = {
		"1146ac5c21bbb4ed78c10b380d5ef475/4294967296.00.gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/0000000000.64.gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/0000000000.99.gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/0000000000.00.000.gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/0000000000.00.256.gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/0000000000.00.999.gef",
		"1146AC5c21bbb4ed78c10b380d5ef475/0000000000.00.gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/-000000001.00.gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/+000000001.00.gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/0000000000.00.gefx",
		"1146ac5c21bbb4ed78c10b380d5ef475/0000000000.00.gef/gef",
		"1146ac5c21bbb4ed78c10b380d5ef475/manifest", ""
	};
	uint8_t id[GE_SETID], back[GE_SETID];
	char name[GE_FRAG_NAME], again[GE_FRAG_NAME];
	uint32_t segment;
	int index, epoch, i, ep, c, good = 1, odd = 1;
	size_t s, len, at, j;

	for (s = 0; s < sizeof(segments) / sizeof(segments[0]); s++)
	for (i = 0; i < GE_N_MAX; i++)
	for (ep = 0; ep < 256; ep++) {
		for (j = 0; j < GE_SETID; j++)
			id[j] = (uint8_t)(segments[s] + (uint32_t)ep * 7 +
			    (uint32_t)j * 31);
		ge_frag_name(name, id, segments[s], i, ep);
		len = strlen(name);
		good &= ge_frag_name_parse(name, len, back, &segment, &index,
		    &epoch) == 0 && memcmp(back, id, GE_SETID) == 0 &&
		    segment == segments[s] && index == i && epoch == ep;
		good &= ge_frag_name_parse(name, len - 1, back, &segment,
		    &index, &epoch) == -1;
		good &= ge_frag_name_parse(name, len + 1, back, &segment,
		    &index, &epoch) == -1;
	}
	check(good, "names: read as they were written");
	/* Any byte another: refused, or the name of another. */
	for (ep = 0; ep < 256; ep += 15) {
		ge_frag_name(name, id, 90, 7, ep);
		len = strlen(name);
		for (at = 0; at < len; at++)
			for (c = 0; c < 256; c++) {
				memcpy(again, name, len + 1);
				again[at] = (char)c;
				if (ge_frag_name_parse(again, len, back,
				    &segment, &index, &epoch) == -1)
					continue;
				ge_frag_name(name, back, segment, index,
				    epoch);
				odd &= strlen(name) == len &&
				    memcmp(name, again, len) == 0;
				ge_frag_name(name, id, 90, 7, ep);
			}
	}
	for (j = 0; j < sizeof(refused) / sizeof(refused[0]); j++)
		odd &= ge_frag_name_parse(refused[j], strlen(refused[j]), back,
		    &segment, &index, &epoch) == -1;
	check(odd, "names: no other text is one");
}

static int
label(const char *s)
{
	struct ge_err e = { 0, 0, "" };
	int rc = ge_label_check(s, &e);

	return (rc == 0 ? 1 : rc == -1 && e.code == GE_EUSAGE ? 0 : -1);
}

static void
test_label(void)
{
	static const char *const fine[] = {
		"a", " ", "100% final.tar", "\xc2\x80", "\xdf\xbf",
		"\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\nb", "\x7f"
	};
	static const char *const refused[] = {
		"", "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2x",
		"\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82",
		"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xff", "ok\xe2\x82\xac\xff"
	};
	char longest[GE_NAME_MAX + 2];
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		good &= label(fine[i]) == 1;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		good &= label(refused[i]) == 0;
	check(good, "labels are UTF-8");
	memset(longest, 'x', sizeof(longest));
	longest[GE_NAME_MAX] = '\0';
	good = label(longest) == 1;
	longest[GE_NAME_MAX] = 'x';
	longest[GE_NAME_MAX + 1] = '\0';
	good &= label(longest) == 0;
	/* Escaped each takes three of 8187 bytes. */
	memset(longest, '%', sizeof(longest));
	longest[8187 / 3] = '\0';
	good &= label(longest) == 1;
	longest[8187 / 3] = '%';
	longest[8187 / 3 + 1] = '\0';
	good &= label(longest) == 0;
	check(good, "labels fit a line of a manifest");
}

static void
fill(struct ge_manifest *m, struct ge_manseg *seg, size_t n, char *name)
{
	size_t i, j;

	memset(m, 0, sizeof(*m));
	memset(m->setid, 0x5a, GE_SETID);
	m->name = name;
	m->k = 6;
	m->n = 9;
	m->block = 262144;
	m->nrecipients = 3;
	memset(m->recipient, GE_WRAP_X25519, 3);
	m->nsegments = n;
	m->segment = seg;
	for (i = 0; i < n; i++) {
		seg[i].ulen = (uint32_t)(GE_SEGMENT_MAX - i);
		for (j = 0; j < 32; j++)
			seg[i].root[j] = (uint8_t)(i + 7 * j);
	}
}

static void
test_manifest(void)
{
	static struct ge_manseg seg[300];
	static char name[] = "a label 100%25";
	static const uint8_t private[32] = { 1, 2, 3 };
	uint8_t public[32], sig[64] = { 0 }, was;
	struct ge_manifest m, r;
	struct ge_err e;
	char *text = NULL;
	size_t len = 0, i, n;
	int good, sign;

	good = ge_sign_make(sig, public, private, sig, 0, &e) == 0;
	for (sign = 0; sign < 2; sign++)
		for (n = 1; n <= 300; n += n < 3 ? 1 : 297) {
			fill(&m, seg, n, n == 2 ? NULL : name);
			if (ge_manifest_write(&m, sign ? private : NULL, &text,
			    &len, &e) == -1) {
				good = 0;
				continue;
			}
			good &= ge_manifest_parse(&r, (uint8_t *)text, len,
			    &e) == 0 && r.nsegments == n && r.serial == 0 &&
			    r.mode == 0 && r.code == 1 && r.alpha == 1 &&
			    r.k == 6 && r.n == 9 && r.block == 262144 &&
			    r.nrecipients == 3 && r.recipient[2] ==
			    GE_WRAP_X25519 && r.length == m.length &&
			    r.nplaces == 0 && r.nsigners == sign &&
			    memcmp(r.setid, m.setid, GE_SETID) == 0 &&
			    memcmp(r.digest, m.digest, 32) == 0 &&
			    memcmp(r.segment, seg, n * sizeof(seg[0])) == 0 &&
			    strcmp(r.created, m.created) == 0 &&
			    (n == 2 ? r.name == NULL : r.name != NULL &&
			    strcmp(r.name, name) == 0) &&
			    (!sign || memcmp(r.signer[0], public, 32) == 0);
			ge_manifest_release(&r);
			ge_free(text);
		}
	check(good, "manifest: read as it was written");

	/* What is signed cannot be touched, nor cut, nor lengthened. */
	fill(&m, seg, 2, name);
	good = ge_manifest_write(&m, private, &text, &len, &e) == 0;
	for (i = 0; good && i < len; i++) {
		was = (uint8_t)text[i];
		text[i] = (char)(was ^ 1);
		good &= ge_manifest_parse(&r, (uint8_t *)text, len, &e) == -1 &&
		    e.code == GE_EREFUSED;
		ge_manifest_release(&r);
		text[i] = (char)was;
	}
	check(good, "manifest: any byte changed is refused when signed");
	n = (size_t)(strstr(text, "signature ") - text);
	for (i = 0, good = 1; i < len; i++) {
		good &= ge_manifest_parse(&r, (uint8_t *)text, i, &e) ==
		    (i == n ? 0 : -1);
		ge_manifest_release(&r);
	}
	check(good, "manifest: cut anywhere but before the signature");
	ge_free(text);
}

/* Does the text of m, as it is, read back as the same text, places and all? */
static int
goes_round(struct ge_manifest *m, const uint8_t *key, const char *tail)
{
	struct ge_manifest r = { .setid = { 0 } };
	struct ge_err e;
	char *text = NULL, *again = NULL;
	size_t len, n, body, i;
	int good;

	good = ge_manifest_format(m, key, &text, &len, &e) == 0 &&
	    ge_manifest_parse(&r, (uint8_t *)text, len, &e) == 0 &&
	    r.nplaces == m->nplaces && r.npairs == m->npairs &&
	    r.nsigners == (key != NULL) && memcmp(r.hash, m->hash, 32) == 0 &&
	    memcmp(r.body, m->body, 32) == 0;
	if (good) {
		body = key == NULL ? len :
		    (size_t)(strstr(text, "\nsignature ") + 1 - text);
		good = body >= strlen(tail) && memcmp(text + body -
		    strlen(tail), tail, strlen(tail)) == 0;
		for (i = 0; i < m->npairs; i++)
			good &= m->placeindex[i] == r.placeindex[i] &&
			    strcmp(m->sitename[m->placesite[i]],
			    r.sitename[r.placesite[i]]) == 0;
		good &= ge_manifest_format(&r, NULL, &again, &n, &e) == 0 &&
		    n == body && memcmp(again, text, n) == 0;
	}
	ge_manifest_release(&r);
	ge_free(text);
	ge_free(again);
	return (good);
}

static void
release_places(struct ge_manifest *m)
{

	/* Segments and name are not of the heap. */
	m->segment = NULL;
	m->name = NULL;
	ge_manifest_release(m);
}

static void
test_places(void)
{
	static struct ge_manseg seg[300];
	static const uint8_t private[32] = { 1, 2, 3 };
	static char name[] = "x";
	static char many[64][64];
	const char *site[GE_N_MAX] = { "ams", "fra", "hel", "osl" };
	const char *other[GE_N_MAX] = { "ams", "fra", "osl", "osl" };
	uint8_t hash[32];
	struct ge_manifest m;
	struct ge_err e;
	char *text = NULL, *p;
	size_t len, i, n = 200000;
	int good, j;

	fill(&m, seg, 300, name);
	memcpy(m.created, "2025-11-21T06:00:00Z", 21);
	good = ge_manifest_place(&m, 0, 0, 0, 7, site, &e) == 0 &&
	    ge_manifest_place(&m, 0, 1, 1, 7, site, &e) == 0 &&
	    ge_manifest_place(&m, 0, 2, 9, 7, site, &e) == 0 &&
	    /* Not the next; other pairs, indices, epoch. */
	    ge_manifest_place(&m, 0, 11, 12, 7, site, &e) == 0 &&
	    ge_manifest_place(&m, 0, 13, 13, 7, other, &e) == 0 &&
	    ge_manifest_place(&m, 0, 14, 14, 14, other, &e) == 0 &&
	    ge_manifest_place(&m, 1, 15, 15, 14, other, &e) == 0 &&
	    ge_manifest_place(&m, 1, 15, 15, 1, other, &e) == 0 &&
	    m.nplaces == 6 && m.nsitenames == 4;
	good &= goes_round(&m, NULL,
	    "place 0 0-9 0=ams 1=fra 2=hel\n"
	    "place 0 11-12 0=ams 1=fra 2=hel\n"
	    "place 0 13-13 0=ams 1=fra 2=osl\n"
	    "place 0 14-14 1=fra 2=osl 3=osl\n"
	    "place 1 15-15 1=fra 2=osl 3=osl\n"
	    "place 1 15-15 0=ams\n");
	check(good, "places: appended, and joined where they follow on");

	/* What is in a file stays as it is. */
	memcpy(hash, m.hash, 32);
	good = ge_manifest_next(&m, &e) == 0 && m.serial == 1 && memcmp(m.previous, hash, 32) == 0 &&
	    ge_manifest_place(&m, 1, 16, 16, 1, other, &e) == 0 &&
	    ge_manifest_place(&m, 1, 17, 17, 1, other, &e) == 0 &&
	    m.nplaces == 7 && goes_round(&m, private,
	    "place 1 15-15 0=ams\nplace 1 16-17 0=ams\n");
	m.serial = UINT64_MAX;
	good &= ge_manifest_next(&m, &e) == -1 && e.code == GE_EREFUSED;
	check(good && m.serial == UINT64_MAX,
	    "places: the successor of a file leaves its lines alone");
	release_places(&m);

	/* The longest line. */
	fill(&m, seg, 300, NULL);
	memcpy(m.created, "2025-11-21T06:00:00Z", 21);
	m.k = m.n = GE_N_MAX;
	for (j = 0; j < GE_N_MAX; j++) {
		memset(many[j], 'a' + j % 26, 63);
		many[j][62] = (char)('0' + j / 26);
		site[j] = many[j];
	}
	good = ge_manifest_place(&m, 255, 0, 299, UINT64_MAX, site, &e) == 0 &&
	    m.npairs == 64 && m.nsitenames == 64 && goes_round(&m, NULL, "");
	check(good, "places: 64 indices and names of 63 characters");
	release_places(&m);

	/* Names alike, names many: each is kept once. */
	fill(&m, seg, 1, NULL);
	memcpy(m.created, "2025-11-21T06:00:00Z", 21);
	for (i = 0, good = 1; i < 2 * n; i++) {
		snprintf(many[0], sizeof(many[0]), "s%zu", i % n);
		site[0] = many[0];
		good &= ge_manifest_place(&m, (int)(i / n), 0, 0, 1, site,
		    &e) == 0 && m.placesite[i] == i % n;
	}
	good &= m.nsitenames == n && m.nplaces == 2 * n &&
	    goes_round(&m, NULL, "=s199999\n");
	check(good, "places: many names, each once");

	/* A line that breaks a rule is malformed where it stands. */
	good = ge_manifest_format(&m, NULL, &text, &len, &e) == 0;
	release_places(&m);
	if (good) {
		p = strstr(text, "place 1 0-0 0=s5\n");
		good = p != NULL && p[14] == 's';
		if (good) {
			p[14] = '-';
			good = ge_manifest_parse(&m, (uint8_t *)text, len,
			    &e) == -1 && e.code == GE_EREFUSED;
			ge_manifest_release(&m);
		}
	}
	check(good, "places: a name that is none is refused");
	ge_free(text);
}

static int
near(double a, double b)
{

	return (fabs(a - b) <= 1e-9 * fabs(b));
}

static void
test_durability(void)
{
	static const double afrs[] = { 0.001, 0.01, 0.05, 0.2, 0.9 };
	static const double days[] = { 0.01, 1, 7, 30, 365 };
	double last, p;
	size_t a, d;
	int k, n, good = 1;

	/* One of one, or all of all: lost with the first, however fast. */
	for (a = 0; a < 5; a++)
		for (d = 0; d < 5; d++) {
			good &= near(ge_durability(1, 1, 1, afrs[a], days[d],
			    0), afrs[a]);
			good &= near(ge_durability(3, 3, 3, afrs[a], days[d],
			    0), 1 - pow(1 - afrs[a], 3));
			good &= near(ge_durability(1, 1, 1, afrs[a], days[d],
			    0.5), 1 - (1 - afrs[a]) * 0.5);
		}
	check(good, "durability: without redundancy the yearly rate");

	/* One period of a year: a plain binomial tail. */
	for (a = 0, good = 1; a < 5; a++) {
		p = afrs[a];
		good &= near(ge_durability(1, 2, 2, p, 365.25, 0), p * p);
		good &= near(ge_durability(2, 3, 3, p, 365.25, 0),
		    3 * p * p * (1 - p) + p * p * p);
		good &= near(ge_durability(2, 3, 2, p, 365.25, 0),
		    1 - (1 - p) * (1 - p));
	}
	/* Two: the first from what is left, the second from the whole. */
	p = 1 - sqrt(0.9);
	good &= near(ge_durability(1, 2, 1, 0.1, 365.25 / 2, 0),
	    1 - (1 - p) * (1 - p * p));
	check(good, "durability: one period and two by hand");

	for (k = 1, good = 1; k <= 10; k++)
		for (a = 0; a < 4; a++) {
			for (n = k, last = 1; n <= 20; n++) {
				p = ge_durability(k, n, n, afrs[a], 7, 1e-12);
				good &= p <= last && p >= 1e-9;
				last = p;
			}
			for (n = k, last = 1; n <= 20; n++) {
				p = ge_durability(k, 20, n, afrs[a], 30, 0);
				good &= p <= last;
				last = p;
			}
			for (d = 0, last = 0; d < 5; d++) {
				p = ge_durability(k, k + 2, k + 2, afrs[a],
				    days[d], 0);
				good &= p >= last;
				last = p;
			}
			good &= ge_durability(k, k + 2, k + 2, afrs[a], 7, 0) <=
			    ge_durability(k, k + 2, k + 2, afrs[a + 1], 7, 0);
		}
	check(good, "durability: better with more fragments, fewer losses, "
	    "faster repair");
	good = ge_durability(6, 9, 5, 0.01, 7, 0) == 1 &&
	    ge_durability(6, 9, 0, 0.01, 7, 0) == 1 &&
	    ge_durability(1, 64, 64, 0.01, 1, 0) == 1e-9 &&
	    ge_durability(1, 64, 64, 0, 1, 0) == 1e-9 &&
	    near(ge_durability(1, 64, 64, 0.01, 1, 1e-6), 1e-6);
	check(good, "durability: lost is lost, and never more than nine nines");
}

int
main(void)
{

	test_layout();
	test_example();
	test_names();
	test_label();
	test_manifest();
	test_places();
	test_durability();
	return (bad);
}
