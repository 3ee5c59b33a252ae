#ifndef RECIPE_H
#define RECIPE_H

#include <string.h>
#include <unistd.h>

#include "../fixed/set.h"
#include "frag/frag.h"
#include "fuzz.h"
#include "util/num.h"
#include "util/sha256.h"

/*
 * Recipes: fuzz input that loses, repeats, cuts, swaps and forges the fragments
 * of a small true set.  World, flags, with a range two u16 for it, then
 * operations of an opcode, a fragment and their own arguments; what is missing
 * is zero.
 */
enum {
	THINGS = 48,		/* in the pile at most */
	STEPS = 32,		/* of a recipe at most */
	EXTRA = 4096		/* bytes a fragment may grow by in all */
};

/* Flags of a recipe. */
enum {
	F_DIGEST = 1, F_MANIFEST = 2,	/* pins; both: the set */
	F_FILES = 4, F_THREADS = 8, F_RANGE = 16, F_LISTED = 32, F_BLIND = 64
};

enum op {
	OP_DROP, OP_REPEAT, OP_CUT, OP_XOR, OP_SPLICE, OP_FIELD, OP_APPEND,
	OP_FORGE, OP_COMMON, OP_SWAP, OP_LIST, OP_SEAL, NOPS
};

struct thing {
	uint8_t *buf;
	size_t len, cap;
};

static struct set world[4];
static uint8_t data[4][2 * 5 * 4096 * 2];

/* The recipe, and the pile it makes. */
static const uint8_t *recipe, *recipe_stop;
static struct thing thing[THINGS];
static size_t nthings;
static const struct set *set;

static inline void
begin(void)
{
	static const struct ge_split like[4] = {
		{ .k = 2, .n = 3, .block = 4096, .stripes = 2 },
		{ .k = 2, .n = 3, .block = 4096, .stripes = 2, .deflate = 1 },
		{ .k = 3, .n = 5, .block = 4096, .stripes = 1 },
		{ .k = 2, .n = 3, .mode = GE_PLAIN, .block = 4096,
		    .stripes = 1 }
	};
	uint32_t x = 1;
	size_t w, i, full;

	setenv("GE_TEST_SEED", "fuzz join", 1);
	/* The spool in memory, where there is such a place. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	for (w = 0; w < 4; w++) {
		world[w].split = like[w];
		full = like[w].stripes * ((size_t)like[w].k * 4096 -
		    (like[w].mode == GE_PLAIN ? 0 : 16));
		for (i = 0; i < full + 100; i++) {
			x = x * 1664525 + 1013904223;
			data[w][i] = like[w].deflate ? (uint8_t)(x >> 31) :
			    (uint8_t)(x >> 24);
		}
		set_make(&world[w], data[w], full + 100);
	}
}

static inline uint8_t
take(void)
{

	return (recipe < recipe_stop ? *recipe++ : 0);
}

static inline size_t
take16(void)
{
	size_t v = take();

	return (v | (size_t)take() << 8);
}

static inline void
add(const uint8_t *buf, size_t len)
{
	struct thing *t;

	if (nthings == THINGS)
		return;
	t = &thing[nthings++];
	t->len = len;
	t->cap = len + EXTRA;
	t->buf = calloc(1, t->cap);
	must(t->buf != NULL, "calloc");
	memcpy(t->buf, buf, len);
}

static inline void
drop(size_t i)
{

	free(thing[i].buf);
	thing[i] = thing[--nthings];
}

/* Put the checksum right, if this still is a header. */
static inline void
seal(struct thing *t)
{
	struct ge_hdr h;
	struct ge_err e;

	if (ge_hdr_peek(&h, t->buf, t->len, &e) == 0 && h.share <= t->len)
		ge_hdr_seal(t->buf, &h);
}

/* A lie that is consistent: table and commitment fit what the fragment has. */
static inline void
forge(struct thing *t)
{
	uint8_t dh[32], head[1][64];
	const uint8_t *body[1];
	struct ge_hdr h;
	struct ge_err e;
	uint32_t s;

	if (ge_hdr_peek(&h, t->buf, t->len, &e) == -1 || h.len > t->len)
		return;
	ge_hash_descriptor(dh, &h, t->buf);
	for (s = 0; s < h.nstripes; s++) {
		body[0] = t->buf + h.len + (size_t)s * h.block;
		if (t->len < h.len + (size_t)s * h.block + ge_hdr_block(&h, s))
			break;
		ge_hash_head(head[0], h.index, s, dh);
		ge_sha256_blocks((uint8_t (*)[32])(t->buf + h.table + 32 *
		    ((size_t)h.n * s + (size_t)h.index)),
		    (const uint8_t (*)[64])head, body, ge_hdr_block(&h, s), 1);
	}
	if (h.mode != GE_PLAIN)
		ge_hash_share(t->buf + h.records + 32 * (size_t)h.index, dh,
		    h.epoch, h.index, t->buf + h.share);
	ge_hdr_seal(t->buf, &h);
}

/* t takes over the common header and epoch record of `from`. */
static inline void
common(struct thing *t, const struct thing *from)
{
	struct ge_hdr h, g;
	struct ge_err e;
	int index, has_share;

	if (ge_hdr_peek(&h, t->buf, t->len, &e) == -1 ||
	    ge_hdr_peek(&g, from->buf, from->len, &e) == -1 ||
	    h.len != g.len || h.share != g.share || h.len > t->len ||
	    g.len > from->len || h.index >= g.n)
		return;
	index = h.index;
	has_share = h.has_share;
	memcpy(t->buf, from->buf, h.share);
	g.index = index;
	g.has_share = g.mode == GE_PLAIN ? 0 : has_share;
	ge_hdr_write(t->buf, &g);
	ge_hdr_seal(t->buf, &g);
}

static inline void
field(struct thing *t)
{
	static const uint8_t at[] = {
		24, 25, 26, 27, 28, 30, 32, 33, 36, 37, 40, 41, 47, 48, 49, 50,
		52, 53, 54, 56, 57, 58, 59, 8, 60, 64
	};
	uint8_t where = at[take() % sizeof(at)], v = take();

	if (where < t->len)
		t->buf[where] = v;
}

static inline void
step(void)
{
	enum op op = (enum op)(take() % NOPS);
	struct thing *t, *u, was;
	size_t i, off, len, n;
	uint8_t how;

	if (nthings == 0) {
		if (op == OP_LIST)
			add(set->manifest.buf, set->manifest.len);
		return;
	}
	i = take() % nthings;
	t = &thing[i];
	switch (op) {
	case OP_DROP:
		drop(i);
		break;
	case OP_REPEAT:
		add(t->buf, t->len);
		break;
	case OP_CUT:
		off = take16();
		if (off < t->len)
			t->len = off;
		break;
	case OP_XOR:
		off = take16();
		how = take();
		for (n = 1 + how % 8; n > 0; n--, off++)
			if (off < t->len)
				t->buf[off] ^= take();
		if ((how & 64) != 0)
			forge(t);
		else if ((how & 128) != 0)
			seal(t);
		break;
	case OP_SPLICE:
		u = &thing[take() % nthings];
		off = take16();
		len = take16();
		for (n = off; n < off + len && n < t->len && n < u->len; n++)
			t->buf[n] = u->buf[n];
		seal(t);
		break;
	case OP_FIELD:
		field(t);
		seal(t);
		break;
	case OP_APPEND:
		for (n = 1 + take16() % 1024; n > 0 && t->len < t->cap; n--)
			t->buf[t->len++] = 0x5a;
		break;
	case OP_FORGE:
		forge(t);
		break;
	case OP_COMMON:
		common(t, &thing[take() % nthings]);
		break;
	case OP_SWAP:
		u = &thing[take() % nthings];
		was = *t;
		*t = *u;
		*u = was;
		break;
	case OP_LIST:
		add(set->manifest.buf, set->manifest.len);
		break;
	case OP_SEAL:
	case NOPS:
		seal(t);
		break;
	}
}

/* What the pile is, in the words of the promises. */
struct facts {
	size_t liars;		/* neither a true fragment nor the manifest */
	size_t listed;		/* true manifests */
	size_t forgeries;	/* false ones */
	int enough;		/* k honest fragments of each segment */
	int untouched;
};

static inline void
look(struct facts *f)
{
	uint64_t seen[SET_FRAGS] = { 0 };
	size_t i, j, s;

	memset(f, 0, sizeof(*f));
	for (i = 0; i < nthings; i++) {
		const struct thing *t = &thing[i];

		for (j = 0; j < set->nfrags; j++)
			if (t->len == set->frag[j].len &&
			    memcmp(t->buf, set->frag[j].buf, t->len) == 0)
				break;
		if (j < set->nfrags)
			seen[set->frag[j].segment] |=
			    (uint64_t)1 << set->frag[j].index;
		else if (t->len == set->manifest.len &&
		    memcmp(t->buf, set->manifest.buf, t->len) == 0)
			f->listed++;
		else if (t->len >= 16 &&
		    memcmp(t->buf, "gefrag-manifest ", 16) == 0)
			f->forgeries++;
		else
			f->liars++;
	}
	f->enough = 1;
	f->untouched = f->liars == 0 && nthings == set->nfrags + f->listed;
	for (s = 0; s < set->split.nsegments; s++) {
		int n = __builtin_popcountll(seen[s]);

		f->enough &= n >= set->split.k;
		f->untouched &= n == set->split.n;
	}
}

static inline void
pins(struct ge_pins *pin, int flags, const char *manifest)
{

	memset(pin, 0, sizeof(*pin));
	switch (flags & (F_DIGEST | F_MANIFEST)) {
	case F_DIGEST:
		pin->has_digest = 1;
		memcpy(pin->digest, set->split.digest, 32);
		break;
	case F_MANIFEST:
		pin->manifest = manifest;
		break;
	case F_DIGEST | F_MANIFEST:
		pin->has_set = 1;
		memcpy(pin->set, set->split.setid, GE_SETID);
		break;
	}
}

/* Read a recipe and do what it says;  Afterwards recipe_end(). */
static inline int
recipe_begin(const uint8_t *buf, size_t len, size_t *off, size_t *n)
{
	size_t i;
	int flags;

	if (set == NULL)
		begin();
	recipe = buf;
	recipe_stop = buf + len;
	set = &world[take() % 4];
	flags = take();
	*off = *n = 0;
	if ((flags & F_RANGE) != 0) {
		*off = take16() % (set->len + 1);
		*n = take16() % (set->len - *off + 1);
	}
	for (i = 0; i < set->nfrags; i++)
		add(set->frag[i].buf, set->frag[i].len);
	if ((flags & F_LISTED) != 0)
		add(set->manifest.buf, set->manifest.len);
	for (i = 0; i < STEPS && recipe < recipe_stop; i++)
		step();
	return (flags);
}

static inline void
recipe_end(void)
{

	while (nthings > 0)
		drop(0);
}

/*
 * Has the set to be found, read and mended, whatever else there is?
 */
static inline int
promised(const struct facts *f, int flags)
{
	int few = f->liars <= (size_t)(set->split.n - set->split.k);

	switch (flags & (F_DIGEST | F_MANIFEST)) {
	case F_MANIFEST:
		return (f->enough);
	case F_DIGEST:
		/* A false manifest with the true digest may stop us. */
		return (f->enough && f->forgeries == 0 &&
		    (f->listed > 0 || few));
	}
	return (f->enough && few);
}

#endif
