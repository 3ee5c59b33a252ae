#ifndef GE_RANKS_H
#define GE_RANKS_H

#include <stddef.h>

#include "util/err.h"
#include "util/pool.h"

/*
 * Processes that train together, started by mpirun or srun: a power of 2 of them.
 * No ranks, NULL, is this process alone.  All ranks make the same calls in the same
 * order, from one thread each; after a call that failed at one of them for a reason
 * of its own the others wait in vain: ge_ranks_agree, or ge_ranks_abort.
 */
struct ge_ranks;

/*
 * ge_ranks_open(r, e):
 * *r is NULL if this process was not started as one of several, which its
 * environment tells: MPI is not even begun then.  0; -1 GE_EUSAGE if there are
 * ranks and it cannot be one of them; *r then is only good for ge_ranks_rank (so
 * that one rank prints the message) and ge_ranks_close.
 *
 * ge_ranks_rank(r), ge_ranks_size(r): 0 of 1 for NULL.
 * ge_ranks_close(r): when all ranks are done; NULL is fine.
 * ge_ranks_abort(r, status): ends all ranks, and does not return; for NULL it does.
 */
int ge_ranks_open(struct ge_ranks **r, struct ge_err *e);
int ge_ranks_rank(const struct ge_ranks *r);
int ge_ranks_size(const struct ge_ranks *r);
void ge_ranks_close(struct ge_ranks *r);
void ge_ranks_abort(struct ge_ranks *r, int status);

/*
 * ge_ranks_share(r, p, len, e): len bytes at p from rank 0 to all.
 *
 * ge_ranks_gather(r, p, each, e): p is [size][each] bytes, of which a rank has set
 * its own; all get all.
 *
 * ge_ranks_most(r, v, e): *v becomes the greatest of all ranks.
 *
 * ge_ranks_agree(r, rc, e): 0 unless rc is -1 somewhere; then -1 everywhere, with the
 * error of the lowest rank where it is.
 */
int ge_ranks_share(struct ge_ranks *r, void *p, size_t len, struct ge_err *e);
int ge_ranks_gather(struct ge_ranks *r, void *p, size_t each,
    struct ge_err *e);
int ge_ranks_most(struct ge_ranks *r, int *v, struct ge_err *e);
int ge_ranks_agree(struct ge_ranks *r, int rc, struct ge_err *e);

/*
 * Each rank has a part of n things in a row, cut at multiples of unit.
 *
 * ge_ranks_part(r, n, unit, from, len): which; all of them for NULL.
 *
 * ge_ranks_sum(r, x, n, unit, pool, e):
 * The part of x that is this rank's becomes the sum of all ranks, neighbours first,
 * then pairs of neighbours, and so on; the rest of x is lost.  Half of x is sent,
 * then a quarter, and so on; needs a few MiB beside x.
 *
 * ge_ranks_spread(r, p, n, size, unit, e):
 * The parts of n things of size bytes from each rank to all.
 */
void ge_ranks_part(const struct ge_ranks *r, size_t n, size_t unit,
    size_t *from, size_t *len);
int ge_ranks_sum(struct ge_ranks *r, float *x, size_t n, size_t unit,
    struct ge_pool *pool, struct ge_err *e);
int ge_ranks_spread(struct ge_ranks *r, void *p, size_t n, size_t size,
    size_t unit, struct ge_err *e);

#endif
