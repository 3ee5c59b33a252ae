/*
 * Every subset of the fragments of a segment: k or more give the data, fewer are
 * lost (4) and give nothing.  For all 1 <= k <= n <= 7, and 3 and 6 of 10.
 */
#define _GNU_SOURCE		/* memfd_create */
#include <string.h>
#include <unistd.h>

#include "../fixed/set.h"
#include "frag/frag.h"

static uint8_t data[64 << 10];
static int bad;

/*
 * Join the fragments of the mask, in an order that depends on it, and see what
 * comes.
 */
static int
one(const struct set *s, const int *fd, unsigned int mask, int jobs, int hash)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_join j;
	struct ge_pile *p;
	char path[SET_PATH];
	uint8_t *out;
	size_t len;
	int i, idx, n = s->split.n, rc, good;

	memset(&j, 0, sizeof(j));
	j.jobs = jobs;
	j.out = set_open("", 0);
	if (hash) {
		j.pins.has_digest = 1;
		memcpy(j.pins.digest, s->split.digest, 32);
	}
	p = ge_pile_new(0, NULL, &e);
	set_must(p != NULL, e.msg);
	for (i = 0; i < n; i++) {
		idx = (i + (int)mask) % n;
		if ((mask >> idx & 1) != 0)
			set_must(ge_pile_add(p, set_path(path, fd[idx]),
			    &e) == 0, e.msg);
	}
	rc = ge_join_run(&j, p, &e);
	ge_pile_free(p);
	out = set_read(j.out, &len);
	close(j.out);
	if (__builtin_popcount(mask) >= s->split.k)
		good = rc == 0 && len == s->len &&
		    memcmp(out, s->data, len) == 0 && j.missing ==
		    (uint64_t)(n - __builtin_popcount(mask)) &&
		    j.damaged == 0;
	else
		good = rc == -1 && e.code == GE_ELOST && len == 0;
	free(out);
	if (!good)
		printf("# %d of %d, mode %d, fragments %#x: %s, %zu bytes\n",
		    s->split.k, n, s->split.mode, mask,
		    rc == 0 ? "done" : e.msg, len);
	return (good);
}

static int
subsets(int k, int n, int mode, int deflate)
{
	static struct set s;
	unsigned int mask;
	int fd[SET_FRAGS], i, good = 1;

	memset(&s, 0, sizeof(s));
	s.split.k = k;
	s.split.n = n;
	s.split.mode = mode;
	s.split.deflate = deflate;
	s.split.block = 4096;
	s.split.stripes = 2;
	/* A full stripe and a short one. */
	set_make(&s, data, 4096 * (size_t)k + 777);
	set_must(s.nfrags == (size_t)n, "one segment");
	for (i = 0; i < n; i++)
		fd[i] = set_open(s.frag[i].buf, s.frag[i].len);
	for (mask = 0; mask < 1u << n; mask++)
		good &= one(&s, fd, mask, mask % 16 == 15 ? 2 : 1,
		    mask % 2 == 0);
	for (i = 0; i < n; i++)
		close(fd[i]);
	set_release(&s);
	return (good);
}

int
main(void)
{
	uint32_t x = 1;
	size_t i;
	int k, n, mode, good;

	for (i = 0; i < sizeof(data); i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24 & 0x7f);
	}
	for (mode = 0; mode <= GE_PLAIN; mode++) {
		for (n = 1, good = 1; n <= 7; n++)
			for (k = mode == GE_PLAIN ? 1 : 2; k <= n; k++)
				good &= subsets(k, n, mode, (k + n) % 3 == 0);
		printf("%s exhaustive: all subsets, n up to 7, %s\n",
		    good ? "ok" : "not ok",
		    mode == GE_PLAIN ? "plain" : "encrypted");
		bad |= !good;
		good = subsets(6, 10, mode, 0) & subsets(3, 10, mode, 1);
		printf("%s exhaustive: all subsets of 6 of 10 and 3 of 10, "
		    "%s\n", good ? "ok" : "not ok",
		    mode == GE_PLAIN ? "plain" : "encrypted");
		bad |= !good;
	}
	return (bad);
}
