/*
 * Parts of fragments against fragments that a split made: blocks checked,
 * payloads rebuilt, shares recomputed and refreshed; and the feed, over folders
 * and streams.
 */
#define _GNU_SOURCE		/* memfd_create */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fixed/set.h"
#include "frag/frag.h"

#define UNIT "part"
#include "check.h"

enum {
	LEN = 150000		/* of the input: three segments, one short */
};

static uint8_t data[LEN];
static void
make(struct set *s, int k, int n, int mode)
{
	size_t i;

	for (i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * i >> 5 ^ i >> 11);
	memset(s, 0, sizeof(*s));
	s->split.k = k;
	s->split.n = n;
	s->split.mode = mode;
	s->split.block = 4096;
	s->split.stripes = 5;
	set_make(s, data, LEN);
}

static void
parse(const struct set_file *f, struct ge_hdr *h, uint8_t dh[32])
{
	struct ge_err e;

	set_must(ge_hdr_parse(h, f->buf, f->len, 0, &e) == 0, "header");
	ge_hash_descriptor(dh, h, f->buf);
}

static void
test_blocks(void)
{
	struct set s;
	struct ge_hdr h, o;
	uint8_t dh[32], good[8], *p;
	uint32_t first, n, i, b;
	size_t f;
	int fine = 1, seen = 1;

	make(&s, 3, 5, 0);
	for (f = 0; f < s.nfrags; f++) {
		parse(&s.frag[f], &h, dh);
		set_must(h.nstripes <= 8, "stripes");
		/* By the table of a neighbour. */
		p = s.frag[f % (size_t)h.n == 0 ? f + 1 : f - 1].buf;
		for (first = 0; first < h.nstripes; first++)
			for (n = 0; n <= h.nstripes - first; n++) {
				memset(good, 9, sizeof(good));
				fine &= ge_blocks_check(&h, p, dh, h.index,
				    first, n, s.frag[f].buf + h.len +
				    (size_t)first * h.block, good) == n;
				for (i = 0; i < 8; i++)
					fine &= good[i] == (i < n ? 1 : 9);
			}
		for (b = 0; b < h.nstripes; b++) {
			p = s.frag[f].buf + h.len + (size_t)b * h.block;
			p += f % 2 == 0 ? 0 : ge_hdr_block(&h, b) - 1;
			*p ^= 4;
			seen &= ge_blocks_check(&h, s.frag[f].buf, dh, h.index,
			    0, h.nstripes, s.frag[f].buf + h.len, good) ==
			    h.nstripes - 1;
			for (i = 0; i < h.nstripes; i++)
				seen &= good[i] == (i != b);
			*p ^= 4;
		}
		o = h;
		seen &= ge_blocks_check(&o, s.frag[f].buf, dh, (h.index + 1) %
		    h.n, 0, h.nstripes, s.frag[f].buf + h.len, good) == 0;
	}
	check(fine, "blocks: good ones are, in every run of them");
	check(seen, "blocks: a byte flipped is one bad block, another's are all");
	set_release(&s);
}

/* Every choice of k of n, all the others rebuilt. */
static int
erasures(int k, int n, int mode)
{
	struct set s;
	struct ge_hdr h;
	struct ge_err e;
	struct set_file *seg;
	const uint8_t *src[GE_N_MAX];
	uint8_t dh[32], have[GE_N_MAX], want[GE_N_MAX], *dst[GE_N_MAX];
	uint8_t *room;
	unsigned int mask;
	size_t len, from, g;
	int i, nhave, nwant, good = 1;

	make(&s, k, n, mode);
	for (g = 0; g < s.nfrags; g += (size_t)n) {
		seg = &s.frag[g];
		parse(seg, &h, dh);
		room = malloc((size_t)n * (size_t)h.fraglen);
		set_must(room != NULL, "malloc");
		for (mask = 0; mask < 1u << n; mask++) {
			if (__builtin_popcount(mask) != k)
				continue;
			/* All of it, or from a block to the end. */
			from = mask % h.nstripes * h.block;
			len = (size_t)h.fraglen - h.len - from;
			for (i = nhave = nwant = 0; i < n; i++)
				if ((mask >> i & 1) != 0) {
					have[nhave] = (uint8_t)i;
					src[nhave++] = seg[i].buf + h.len +
					    from;
				} else {
					want[nwant] = (uint8_t)i;
					dst[nwant] = room + (size_t)nwant * len;
					nwant++;
				}
			good &= ge_payload_rebuild(k, n, have, src, want,
			    nwant, dst, len, &e) == 0;
			for (i = 0; i < nwant; i++)
				good &= memcmp(dst[i], seg[want[i]].buf +
				    h.len + from, len) == 0;
		}
		free(room);
	}
	set_release(&s);
	return (good);
}

static void
test_rebuild(void)
{
	struct ge_err e = { 0, 0, "" };
	static uint8_t buf[2][64];
	const uint8_t *src[2] = { buf[0], buf[0] };
	uint8_t *dst[1] = { buf[1] };
	static const uint8_t twice[2] = { 1, 1 }, want[1] = { 2 };

	check(erasures(2, 3, 0) && erasures(3, 7, 0) && erasures(1, 3,
	    GE_PLAIN) && erasures(4, 4, 0), "payloads of every k from every k");
	check(ge_payload_rebuild(2, 3, twice, src, want, 1, dst, 64, &e) ==
	    -1 && e.code == GE_ELOST, "no payload from one index twice");
}

static int
joins(uint8_t *const *frag, const struct set *s, const int *pick, int npick)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_join j;
	struct ge_pile *p;
	char path[SET_PATH];
	int fd[3 * GE_N_MAX], i, nfd = 0, rc, code;
	uint8_t *out;
	size_t g, len;

	memset(&j, 0, sizeof(j));
	j.jobs = 1;
	j.out = set_open("", 0);
	p = ge_pile_new(0, NULL, &e);
	set_must(p != NULL, e.msg);
	for (g = 0; g < s->nfrags; g += (size_t)s->split.n)
		for (i = 0; i < npick; i++) {
			fd[nfd] = set_open(frag[g + (size_t)pick[i]],
			    s->frag[g + (size_t)pick[i]].len);
			set_must(ge_pile_add(p, set_path(path, fd[nfd++]),
			    &e) == 0, e.msg);
		}
	rc = ge_join_run(&j, p, &e);
	code = rc == 0 ? 0 : e.code;
	ge_pile_free(p);
	out = set_read(j.out, &len);
	if (code == 0 && (len != s->len || memcmp(out, s->data, len) != 0))
		code = -1;
	free(out);
	close(j.out);
	while (nfd > 0)
		close(fd[--nfd]);
	return (code);
}

static void
test_shares(void)
{
	static const int three[3] = { 4, 1, 2 }, all5[5] = { 0, 1, 2, 3, 4 };
	struct set s;
	struct ge_hdr h, o;
	struct ge_err e = { 0, 0, "" };
	struct set_file *seg;
	uint8_t dh[32], some[3][32], all[5][32], idx[3], *hdr;
	uint8_t record[5][32], secret[32], same[32];
	uint8_t *fresh[SET_FRAGS], *mixed[SET_FRAGS], hash[32];
	size_t g;
	int i, good = 1, wrong = 1, stamp = 1, again = 1, valid = 1, old = 1;

	make(&s, 3, 5, 0);
	for (g = 0; g < s.nfrags; g += 5) {
		seg = &s.frag[g];
		parse(&seg[0], &h, dh);
		hdr = malloc(h.len);
		set_must(hdr != NULL, "malloc");
		memcpy(hdr, seg[0].buf, h.len);
		for (i = 0; i < 3; i++) {
			idx[i] = (uint8_t)three[i];
			memcpy(some[i], seg[three[i]].buf + h.share, 32);
		}
		good &= ge_shares_all(&h, hdr, dh, idx,
		    (const uint8_t (*)[32])some, all, &e) == 1;
		for (i = 0; i < 5; i++) {
			good &= memcmp(all[i], seg[i].buf + h.share, 32) == 0;
			ge_hdr_stamp(hdr, &h, i, 0, all[i]);
			stamp &= memcmp(hdr, seg[i].buf, h.len) == 0;
			ge_hdr_stamp(hdr, &h, i, 0, NULL);
			stamp &= ge_hdr_parse(&o, hdr, h.len, 0, &e) == 0 &&
			    o.index == i && !o.has_share;
			parse(&seg[i], &o, dh);
			valid &= ge_share_valid(&o, seg[i].buf, dh) == 1;
			seg[i].buf[h.share + 31] ^= 1;
			valid &= ge_share_valid(&o, seg[i].buf, dh) == 0;
			seg[i].buf[h.share + 31] ^= 1;
			valid &= ge_share_valid(&o, hdr, dh) == 0;
			o.has_share = 0;
			valid &= ge_share_valid(&o, seg[i].buf, dh) == 0;
		}
		good &= ge_shares_open(&h, hdr + h.commitment, dh, idx,
		    (const uint8_t (*)[32])some, record, secret, &e) == 1 &&
		    memcmp(record, hdr + h.records, sizeof(record)) == 0;
		/* A share, any commitment, the epoch, the key commitment. */
		some[1][0] ^= 1;
		wrong &= ge_shares_all(&h, hdr, dh, idx,
		    (const uint8_t (*)[32])some, all, &e) == 0;
		wrong &= ge_shares_refresh(&h, hdr, dh, idx,
		    (const uint8_t (*)[32])some, 1, all, &e) == -1 &&
		    e.code == GE_EREFUSED;
		wrong &= ge_shares_open(&h, hdr + h.commitment, dh, idx,
		    (const uint8_t (*)[32])some, record, same, &e) == 0 &&
		    memcmp(record, hdr + h.records, sizeof(record)) != 0;
		some[1][0] ^= 1;
		o = h;
		o.nwraps = 1;
		some[1][0] ^= 1;
		wrong &= ge_shares_open(&o, hdr + h.commitment, dh, idx,
		    (const uint8_t (*)[32])some, record, same, &e) == 1 &&
		    memcmp(same, secret, 32) != 0;
		some[1][0] ^= 1;
		for (i = 0; i < 6; i++) {
			uint8_t *at = hdr + (i < 5 ? h.records + 32 *
			    (size_t)i : h.commitment);

			*at ^= 0x80;
			wrong &= ge_shares_all(&h, hdr, dh, idx,
			    (const uint8_t (*)[32])some, all, &e) == 0;
			*at ^= 0x80;
		}
		o = h;
		o.epoch = 1;
		wrong &= ge_shares_all(&o, hdr, dh, idx,
		    (const uint8_t (*)[32])some, all, &e) == 0;

		again &= ge_shares_refresh(&h, hdr, dh, idx,
		    (const uint8_t (*)[32])some, 7, all, &e) == 0 &&
		    ge_hdr_parse(&o, hdr, h.len, 0, &e) == 0 && o.epoch == 7 &&
		    !o.has_share;
		ge_hash_descriptor(hash, &o, hdr);
		again &= memcmp(hash, dh, 32) == 0;
		for (i = 0; i < 5; i++) {
			fresh[g + (size_t)i] = malloc(seg[i].len);
			mixed[g + (size_t)i] = malloc(seg[i].len);
			set_must(fresh[g + (size_t)i] != NULL &&
			    mixed[g + (size_t)i] != NULL, "malloc");
			memcpy(fresh[g + (size_t)i], seg[i].buf, seg[i].len);
			ge_hdr_stamp(hdr, &h, i, 7, all[i]);
			memcpy(fresh[g + (size_t)i], hdr, h.len);
			again &= memcmp(all[i], seg[i].buf + h.share, 32) != 0;
			set_must(ge_hdr_parse(&o, hdr, h.len, 0, &e) == 0,
			    "fresh header");
			again &= ge_share_valid(&o, hdr, dh) == 1;
			/* An old share under the new record. */
			memcpy(mixed[g + (size_t)i], fresh[g + (size_t)i],
			    seg[i].len);
			if (i > 1)
				memcpy(mixed[g + (size_t)i] + h.share,
				    seg[i].buf + h.share, 32);
		}
		again &= ge_shares_all(&o, hdr, dh, idx,
		    (const uint8_t (*)[32])some, all, &e) == 0;
		for (i = 0; i < 3; i++)
			memcpy(some[i], fresh[g + (size_t)three[i]] + h.share,
			    32);
		again &= ge_shares_all(&o, hdr, dh, idx,
		    (const uint8_t (*)[32])some, all, &e) == 1;
		free(hdr);
	}
	again &= joins(fresh, &s, all5, 5) == 0 && joins(fresh, &s, three,
	    3) == 0;
	old = joins(mixed, &s, all5, 5) == GE_ELOST;
	check(good, "shares: all from k");
	check(stamp, "headers stamped as they were made");
	check(valid, "shares: valid or not");
	check(wrong, "shares: what contradicts is found");
	check(again, "refresh: the same key in new shares, and it joins");
	check(old, "refresh: old shares are no use to a new record");
	for (g = 0; g < s.nfrags; g++) {
		free(fresh[g]);
		free(mixed[g]);
	}
	set_release(&s);
}

static char top[128];

static const char *
in_top(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static const char *
in_top(const char *fmt, ...)
{
	static char path[256];
	size_t len = (size_t)snprintf(path, sizeof(path), "%s/", top);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + len, sizeof(path) - len, fmt, ap);
	va_end(ap);
	return (path);
}

static void
put_file(const char *path, const void *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	set_must(fd != -1 && write(fd, buf, len) == (ssize_t)len, path);
	close(fd);
}

/*
 * All that a feed gives.  Fragments must be those of s, their payloads too,
 * `cut` bytes of the last one missing; in order unless `any`.  How many.
 */
static size_t
feed(const struct set *s, const char *path, int any, size_t cut, int *manifests)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_feed *f;
	struct ge_item it;
	static uint8_t buf[1 << 16];
	size_t n = 0, got, at, want, i;
	int rc, good = 1;

	*manifests = 0;
	f = ge_feed_open(&path, 1, &e);
	set_must(f != NULL, e.msg);
	while ((rc = ge_feed_next(f, &it, &e)) == 1) {
		if (it.manifest) {
			++*manifests;
			good &= it.size == s->manifest.len && memcmp(it.text,
			    s->manifest.buf, it.size) == 0;
			continue;
		}
		i = it.h.segment * (size_t)s->split.n + (size_t)it.h.index;
		good &= any || i == n;
		n++;
		good &= memcmp(it.hdr, s->frag[i].buf, it.h.len) == 0 &&
		    it.size == s->frag[i].len;
		/* Odd steps; some not to the end, some not at all. */
		for (at = it.h.len; i % 4 != 3; at += got) {
			want = 1 + at % 4999;
			if (ge_feed_read(f, buf, want, &got, &e) == -1) {
				good = 0;
				break;
			}
			good &= at + got <= s->frag[i].len && memcmp(buf,
			    s->frag[i].buf + at, got) == 0;
			if (got < want) {
				good &= at + got == s->frag[i].len ||
				    (cut > 0 && ge_feed_cut(f) +
				    s->frag[i].len - at - got > 0);
				break;
			}
			if (i % 4 == 2 && at > 6000)
				break;
		}
	}
	good &= rc == 0 && ge_feed_unread(f) == 0 &&
	    ge_feed_cut(f) == (cut > 0);
	ge_feed_close(f);
	return (good ? n : SIZE_MAX);
}

static size_t
tar(const struct set *s, int backwards, const char *path)
{
	struct ge_err e;
	struct ge_tar *t;
	struct stat st;
	size_t i, j;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), good;

	set_must(fd != -1 && (t = ge_tar_open(fd, &e)) != NULL, path);
	good = 1;
	for (i = 0; i < s->nfrags; i++) {
		j = backwards ? s->nfrags - 1 - i : i;
		/* Names mean nothing. */
		good &= ge_tar_entry(t, i % 2 == 0 ? "../../etc/passwd" :
		    "/x\nmanifest", s->frag[j].len, &e) == 0 &&
		    ge_tar_add(t, s->frag[j].buf, s->frag[j].len, &e) == 0;
		good &= ge_tar_entry(t, "junk.gef", 7, &e) == 0 &&
		    ge_tar_add(t, "GEFRAG1", 7, &e) == 0;
	}
	good &= ge_tar_entry(t, "m", s->manifest.len, &e) == 0 &&
	    ge_tar_add(t, s->manifest.buf, s->manifest.len, &e) == 0 &&
	    ge_tar_close(t, &e) == 0;
	set_must(good && fstat(fd, &st) == 0, "tar");
	close(fd);
	return ((size_t)st.st_size);
}

static void
test_feed(void)
{
	static const char *const names[] = { "a", "x.gef", "..gef", "\n\033[2J",
		"manifest.gef", "%s%n" };
	const char *tmp = getenv("TMPDIR");
	struct ge_err e = { 0, 0, "" };
	struct ge_feed *f;
	struct ge_item it;
	struct set s;
	char path[256];
	const char *gone = path;
	size_t i, len, n;
	int manifests, good;

	make(&s, 3, 5, 0);
	snprintf(top, sizeof(top), "%s/ge-part.XXXXXX",
	    tmp != NULL && strlen(tmp) < sizeof(top) / 2 ? tmp : "/tmp");
	set_must(mkdtemp(top) != NULL, "mkdtemp");
	set_must(mkdir(in_top("d"), 0700) == 0 &&
	    mkdir(in_top("d/e"), 0700) == 0, "mkdir");
	put_file(in_top("d/0"), s.manifest.buf, s.manifest.len);
	for (i = 0; i < s.nfrags; i++)
		put_file(in_top("d/%s%s%zu", i % 3 == 0 ? "e/" : "",
		    names[i % 6], s.nfrags - i), s.frag[i].buf, s.frag[i].len);
	put_file(in_top("d/z.bad"), s.frag[0].buf, s.frag[0].len);
	put_file(in_top("d/stray"), s.frag[0].buf, 100);
	put_file(in_top("d/junk"), "GEFRAG1", 7);
	put_file(in_top("d/none"), "", 0);
	n = feed(&s, in_top("d"), 0, 0, &manifests);
	check(n == s.nfrags && manifests == 1,
	    "feed: a folder, in order, whatever the names");

	len = tar(&s, 0, in_top("t"));
	n = feed(&s, in_top("t"), 0, 0, &manifests);
	good = n == s.nfrags && manifests == 1;
	(void)tar(&s, 1, in_top("t"));
	n = feed(&s, in_top("t"), 1, 0, &manifests);
	check(good && n == s.nfrags && manifests == 1,
	    "feed: a stream, in its order");

	/* Cut in the payload of the last fragment but one, or its header. */
	(void)tar(&s, 0, in_top("t"));
	len = 0;
	for (i = 0; i + 2 < s.nfrags; i++)
		len += 512 + (s.frag[i].len + 511) / 512 * 512 + 1024;
	set_must(truncate(in_top("t"), (off_t)len + 512 + 9000) == 0, "cut");
	n = feed(&s, in_top("t"), 0, 1, &manifests);
	good = n == s.nfrags - 1 && manifests == 0;
	set_must(truncate(in_top("t"), (off_t)len + 512 + 100) == 0, "cut");
	n = feed(&s, in_top("t"), 0, 1, &manifests);
	check(good && n == s.nfrags - 2 && manifests == 0,
	    "feed: a stream that is cut");

	/* What is given is what there was, and what follows is not. */
	snprintf(path, sizeof(path), "%s", in_top("f"));
	put_file(path, s.frag[1].buf, s.frag[1].len - 100);
	f = ge_feed_open(&gone, 1, &e);
	good = f != NULL && ge_feed_next(f, &it, &e) == 1 &&
	    it.size == s.frag[1].len - 100 &&
	    ge_feed_read(f, data, LEN, &len, &e) == 0 &&
	    len == s.frag[1].len - 100 - it.h.len &&
	    ge_feed_next(f, &it, &e) == 0;
	ge_feed_close(f);
	s.frag[1].buf = realloc(s.frag[1].buf, s.frag[1].len + 10);
	set_must(s.frag[1].buf != NULL, "realloc");
	put_file(path, s.frag[1].buf, s.frag[1].len + 10);
	f = ge_feed_open(&gone, 1, &e);
	good &= f != NULL && ge_feed_next(f, &it, &e) == 1 &&
	    it.size == s.frag[1].len + 10 &&
	    ge_feed_read(f, data, LEN, &len, &e) == 0 &&
	    len == s.frag[1].len - it.h.len &&
	    ge_feed_read(f, data, LEN, &len, &e) == 0 && len == 0;
	ge_feed_close(f);
	check(good, "feed: a payload cut, and one with more behind it");

	/* Gone between the looks; never there. */
	f = ge_feed_open(&gone, 1, &e);
	unlink(path);
	good = f != NULL && ge_feed_next(f, &it, &e) == 0 &&
	    ge_feed_unread(f) == 1;
	ge_feed_close(f);
	good &= ge_feed_open(&gone, 1, &e) == NULL && e.code == GE_EUSAGE;
	check(good, "feed: what is gone is counted, nothing at all refused");

	snprintf(path, sizeof(path), "rm -rf '%s'", top);
	set_must(system(path) == 0, path);
	set_release(&s);
}

int
main(void)
{

	test_blocks();
	test_rebuild();
	test_shares();
	test_feed();
	return (bad);
}
