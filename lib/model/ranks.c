#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/ops.h"
#include "model/ranks.h"
#include "model/ranks_int.h"
#include "util/mem.h"

struct ge_ranks {
	const struct ge_transport *via;	/* NULL if there is none */
	int rank, size;
	uint8_t *room[2];		/* [GE_MESSAGE] */
};

enum {
	TASK = 1 << 15			/* floats */
};

static int
number(const char *name)
{
	const char *s = name != NULL ? getenv(name) : NULL;

	return (s != NULL ? atoi(s) : -1);
}

/*
 * As one of how many was this process started, and as which?  0: alone; -1: only
 * MPI can tell.
 */
static int
started(int *rank)
{
	static const struct {
		const char *size, *rank;
	} by[] = {
		{ "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK" },
		{ "PMI_SIZE", "PMI_RANK" },
		{ "SLURM_STEP_NUM_TASKS", "SLURM_PROCID" }
	};
	size_t i;
	int size;

	for (i = 0; i < sizeof(by) / sizeof(by[0]); i++)
		if ((size = number(by[i].size)) > 0) {
			*rank = number(by[i].rank);
			return (size > 1 ? size : 0);
		}
	*rank = number("PMIX_RANK");
	return (*rank >= 0 ? -1 : 0);
}

static int
join(struct ge_ranks *r, int size, struct ge_err *e)
{

	if (ge_transport() == NULL)
		return (ge_fail(e, GE_EUSAGE, "started as one of several "
		    "ranks, but built without MPI"));
	if (ge_transport()->begin(&r->rank, &r->size, e) == -1)
		return (-1);
	r->via = ge_transport();
	if (size > 1 && r->size != size)
		return (ge_fail(e, GE_EUSAGE, "started as one of %d ranks, of "
		    "which MPI finds %d: by another MPI than it was built "
		    "with", size, r->size));
	if ((r->size & (r->size - 1)) != 0)
		return (ge_fail(e, GE_EUSAGE, "%d ranks are no power of 2",
		    r->size));
	return (0);
}

int
ge_ranks_open(struct ge_ranks **r, struct ge_err *e)
{
	int rank, size = started(&rank), i, rc;

	*r = NULL;
	if (size == 0)
		return (0);
	if ((*r = ge_alloc(sizeof(**r), e)) == NULL)
		return (-1);
	(*r)->rank = rank;
	(*r)->size = size;
	if (join(*r, size, e) == -1) {
		(*r)->rank = rank;
		return (-1);
	}
	if ((*r)->size == 1) {
		ge_ranks_close(*r);
		*r = NULL;
		return (0);
	}
	for (rc = 0, i = 0; i < 2 && rc == 0; i++)
		if (((*r)->room[i] = ge_block_alloc(GE_MESSAGE, e)) == NULL)
			rc = -1;
	return (ge_ranks_agree(*r, rc, e));
}

void
ge_ranks_close(struct ge_ranks *r)
{

	if (r == NULL)
		return;
	if (r->via != NULL)
		r->via->end();
	ge_block_free(r->room[0]);
	ge_block_free(r->room[1]);
	ge_free(r);
}

void
ge_ranks_abort(struct ge_ranks *r, int status)
{

	if (r != NULL && r->via != NULL)
		r->via->stop(status);
}

int
ge_ranks_rank(const struct ge_ranks *r)
{

	return (r != NULL ? r->rank : 0);
}

int
ge_ranks_size(const struct ge_ranks *r)
{

	return (r != NULL ? r->size : 1);
}

static size_t
less(size_t a, size_t b)
{

	return (a < b ? a : b);
}

/* Bytes to a rank and bytes from it. */
static int
swap(struct ge_ranks *r, int peer, const void *out, size_t outlen, void *in,
    size_t inlen, struct ge_err *e)
{
	const uint8_t *from = out;
	uint8_t *to = in;
	size_t m, n;

	while (outlen > 0 || inlen > 0) {
		m = less(outlen, GE_MESSAGE);
		n = less(inlen, GE_MESSAGE);
		if (r->via->start(0, peer, from, m, to, n, e) == -1 ||
		    r->via->wait(0, e) == -1)
			return (-1);
		from += m;
		outlen -= m;
		to += n;
		inlen -= n;
	}
	return (0);
}

int
ge_ranks_share(struct ge_ranks *r, void *p, size_t len, struct ge_err *e)
{
	int d, place;

	for (d = ge_ranks_size(r) / 2; d > 0; d /= 2) {
		place = r->rank % (2 * d);
		if (place == 0 && swap(r, r->rank + d, p, len, NULL, 0, e) ==
		    -1)
			return (-1);
		if (place == d && swap(r, r->rank - d, NULL, 0, p, len, e) ==
		    -1)
			return (-1);
	}
	return (0);
}

int
ge_ranks_gather(struct ge_ranks *r, void *p, size_t each, struct ge_err *e)
{
	size_t len = each, mine, theirs;
	uint8_t *v = p;
	int d;

	for (d = 1; d < ge_ranks_size(r); d *= 2, len *= 2) {
		mine = (size_t)(r->rank / d) * len;
		theirs = (size_t)((r->rank ^ d) / d) * len;
		if (swap(r, r->rank ^ d, v + mine, len, v + theirs, len, e) ==
		    -1)
			return (-1);
	}
	return (0);
}

int
ge_ranks_most(struct ge_ranks *r, int *v, struct ge_err *e)
{
	int d, theirs;

	for (d = 1; d < ge_ranks_size(r); d *= 2) {
		if (swap(r, r->rank ^ d, v, sizeof(*v), &theirs,
		    sizeof(theirs), e) == -1)
			return (-1);
		*v = theirs > *v ? theirs : *v;
	}
	return (0);
}

int
ge_ranks_agree(struct ge_ranks *r, int rc, struct ge_err *e)
{
	struct {
		int rank;
		struct ge_err e;
	} first, theirs;
	int d;

	if (r == NULL)
		return (rc == -1 ? -1 : 0);
	memset(&first, 0, sizeof(first));
	first.rank = rc == -1 ? r->rank : r->size;
	if (rc == -1)
		first.e = *e;
	for (d = 1; d < r->size; d *= 2) {
		if (swap(r, r->rank ^ d, &first, sizeof(first), &theirs,
		    sizeof(theirs), e) == -1)
			return (-1);
		if (theirs.rank < first.rank)
			first = theirs;
	}
	if (first.rank == r->size)
		return (0);
	*e = first.e;
	return (-1);
}

/*
 * n things are halved as often as there are bits in the number of ranks.  The half
 * that a rank keeps at depth l tells bit l of its number; len is what it keeps,
 * other what the rank that differs in that bit has.
 */
struct half {
	size_t from, len, other, otherlen;
};

static void
halve(const struct ge_ranks *r, size_t n, size_t unit, int depth,
    struct half *h)
{
	size_t units = (n + unit - 1) / unit, from = 0, left, mid, end;
	int l;

	for (l = 0; l < depth; l++) {
		left = units - units / 2;
		if ((r->rank >> l & 1) != 0) {
			from += left;
			units /= 2;
		} else {
			units = left;
		}
	}
	mid = less((from + units - units / 2) * unit, n);
	end = less((from + units) * unit, n);
	from = less(from * unit, n);
	if ((r->rank >> depth & 1) != 0)
		*h = (struct half){ mid, end - mid, from, mid - from };
	else
		*h = (struct half){ from, mid - from, mid, end - mid };
}

static int
depths(const struct ge_ranks *r)
{
	int l = 0;

	while (ge_ranks_size(r) >> l > 1)
		l++;
	return (l);
}

void
ge_ranks_part(const struct ge_ranks *r, size_t n, size_t unit, size_t *from,
    size_t *len)
{
	struct half h = { 0, n, 0, 0 };

	if (depths(r) > 0)
		halve(r, n, unit, depths(r) - 1, &h);
	*from = h.from;
	*len = h.len;
}

struct sum {
	float *to;
	const float *from;
	size_t n;
	const struct ge_ops *ops;
};

static void
add(void *arg, size_t i, int worker)
{
	struct sum *s = arg;
	size_t at = i * TASK;

	(void)worker;
	s->ops->add(s->to + at, s->from + at, less(s->n - at, TASK));
}

/* A message's worth at floats from the beginnings of both halves. */
static int
start(struct ge_ranks *r, int depth, float *x, const struct half *h,
    size_t at, struct ge_err *e)
{
	size_t most = GE_MESSAGE / sizeof(*x), one = sizeof(*x);
	size_t out = at < h->otherlen ? less(h->otherlen - at, most) : 0;
	size_t in = at < h->len ? less(h->len - at, most) : 0;
	int slot = at / most % 2;

	return (r->via->start(slot, r->rank ^ 1 << depth, x + h->other + at,
	    out * one, r->room[slot], in * one, e));
}

/* Half of x goes out while the other comes in and is added. */
static int
sum(struct ge_ranks *r, int depth, float *x, const struct half *h,
    struct ge_pool *pool, struct ge_err *e)
{
	size_t most = GE_MESSAGE / sizeof(*x), at;
	size_t end = h->len > h->otherlen ? h->len : h->otherlen;
	struct sum s = { .ops = ge_ops() };

	if (end > 0 && start(r, depth, x, h, 0, e) == -1)
		return (-1);
	for (at = 0; at < end; at += most) {
		if (at + most < end && start(r, depth, x, h, at + most, e) ==
		    -1)
			return (-1);
		if (r->via->wait(at / most % 2, e) == -1)
			return (-1);
		if (at >= h->len)
			continue;
		s.to = x + h->from + at;
		s.from = (const float *)(const void *)r->room[at / most % 2];
		s.n = less(h->len - at, most);
		ge_pool_run(pool, (s.n + TASK - 1) / TASK, add, &s);
	}
	return (0);
}

int
ge_ranks_sum(struct ge_ranks *r, float *x, size_t n, size_t unit,
    struct ge_pool *pool, struct ge_err *e)
{
	struct half h;
	int l;

	for (l = 0; l < depths(r); l++) {
		halve(r, n, unit, l, &h);
		if (sum(r, l, x, &h, pool, e) == -1)
			return (-1);
	}
	return (0);
}

int
ge_ranks_spread(struct ge_ranks *r, void *p, size_t n, size_t size,
    size_t unit, struct ge_err *e)
{
	uint8_t *v = p;
	struct half h;
	int l;

	for (l = depths(r); l-- > 0; ) {
		halve(r, n, unit, l, &h);
		if (swap(r, r->rank ^ 1 << l, v + h.from * size,
		    h.len * size, v + h.other * size, h.otherlen * size, e) ==
		    -1)
			return (-1);
	}
	return (0);
}
