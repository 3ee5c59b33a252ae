/*
 * Join of n: the input is a recipe (recipe.h) that spoils a small true set.  What
 * gefrag(5), "Promised, and not", says has to hold:
 *
 *  - nothing pinned but the set, at most n-k fragments that lie, k honest ones of
 *    each segment: all bytes, right;
 *  - the manifest at hand, k honest ones of each segment: the same, however many
 *    lie;
 *  - the digest or the manifest pinned: never a byte but a prefix of whole true
 *    segments, whatever the rest.
 */
#define _GNU_SOURCE		/* memfd_create */
#include <string.h>
#include <unistd.h>

#include "frag/stream_int.h"
#include "recipe.h"

/* The pile as one stream, or as so many files. */
static struct ge_pile *
pile(int files, int *fd, size_t *nfds)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_pile *p = ge_pile_new(0, NULL, &e);
	struct ge_tar *tar;
	char path[SET_PATH];
	size_t i;

	must(p != NULL, e.msg);
	*nfds = 0;
	if (files) {
		for (i = 0; i < nthings; i++) {
			fd[i] = set_open(thing[i].buf, thing[i].len);
			must(ge_pile_add(p, set_path(path, fd[i]), &e) == 0,
			    e.msg);
		}
		*nfds = nthings;
		return (p);
	}
	fd[(*nfds)++] = set_open("", 0);
	tar = ge_tar_open(fd[0], &e);
	must(tar != NULL, e.msg);
	for (i = 0; i < nthings; i++)
		must(ge_tar_entry(tar, "x", thing[i].len, &e) == 0 &&
		    ge_tar_add(tar, thing[i].buf, thing[i].len, &e) == 0,
		    e.msg);
	must(ge_tar_close(tar, &e) == 0, e.msg);
	must(lseek(fd[0], 0, SEEK_SET) == 0, "lseek");
	must(ge_pile_add(p, set_path(path, fd[0]), &e) == 0, e.msg);
	return (p);
}

static void
unpile(struct ge_pile *p, const int *fd, size_t nfds)
{

	ge_pile_free(p);
	while (nfds > 0)
		close(fd[--nfds]);
}

/* Does `len` end where a true segment ends? */
static int
whole_segments(uint64_t len)
{
	uint64_t at = 0;
	struct ge_hdr h;
	struct ge_err e;
	size_t i;

	for (i = 0; i < set->nfrags && at < len; i++) {
		if (set->frag[i].index != 0)
			continue;
		must(ge_hdr_peek(&h, set->frag[i].buf, set->frag[i].len,
		    &e) == 0, e.msg);
		at += h.ulen;
	}
	return (at == len);
}

static void
run(int flags, size_t off, size_t len)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_pile *p;
	struct ge_join j;
	struct ge_audit a;
	struct facts f;
	char path[SET_PATH];
	uint8_t *out;
	size_t got, nfds, want = set->len;
	int fd[THINGS], rc, man, certain, true_pin;
	const uint8_t *right = set->data;

	look(&f);
	man = set_open(set->manifest.buf, set->manifest.len);
	true_pin = (flags & (F_DIGEST | F_MANIFEST)) == F_DIGEST ||
	    (flags & (F_DIGEST | F_MANIFEST)) == F_MANIFEST;
	certain = promised(&f, flags);

	memset(&j, 0, sizeof(j));
	pins(&j.pins, flags, set_path(path, man));
	j.jobs = (flags & F_THREADS) != 0 ? 2 : 1;
	if ((flags & F_RANGE) != 0) {
		j.ranged = 1;
		j.off = off;
		j.len = len;
		right += off;
		want = len;
	}
	j.out = set_open("", 0);
	p = pile(flags & F_FILES, fd, &nfds);
	rc = ge_join_run(&j, p, &e);
	unpile(p, fd, nfds);
	out = set_read(j.out, &got);
	close(j.out);
	must(rc == 0 || (rc == -1 && e.code >= GE_EFAIL &&
	    e.code <= GE_EREFUSED), "status of a join");
	if (certain) {
		must(rc == 0, e.msg);
		must(j.written == got, "bytes written");
	}
	if (certain || true_pin)
		must(got <= want && memcmp(out, right, got) == 0 &&
		    (rc == -1 || got == want), "only true bytes");
	if (true_pin && !j.ranged)
		must(whole_segments(got), "whole segments");
	free(out);

	memset(&a, 0, sizeof(a));
	pins(&a.pins, flags, path);
	a.jobs = 1;
	p = pile(flags & F_FILES, fd, &nfds);
	rc = ge_audit_run(&a, p, &e);
	unpile(p, fd, nfds);
	must(rc == 0 || (rc == -1 && e.code >= GE_EFAIL &&
	    e.code <= GE_EREFUSED), "status of an audit");
	if (certain)
		must(rc == 0 || e.code == GE_EDEGRADED, e.msg);
	if (certain && f.untouched)
		must(rc == 0 && a.spare == a.n - a.k, "all whole");
	close(man);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	size_t off, n;
	int flags = recipe_begin(buf, len, &off, &n);

	run(flags, off, n);
	recipe_end();
	return (0);
}
