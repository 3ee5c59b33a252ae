#ifndef GE_POOL_H
#define GE_POOL_H

#include <stddef.h>

#include "util/err.h"

/*
 * Threads that wait, asleep, for many short jobs one after another.  Which thread
 * does which part is left to chance; what is done must not depend on it.
 */
struct ge_pool;

/*
 * ge_pool_new(jobs, e): jobs - 1 threads beside the caller; fewer if there are none
 * to be had.  ge_pool_free: NULL is fine.  ge_pool_jobs: how many, with the caller.
 * No pool, NULL, is the caller alone.
 *
 * ge_pool_run(p, n, fn, arg):
 * Call fn(arg, i, worker) for i in 0..n-1, worker in 0..jobs-1 telling which scratch
 * is free; returns when all have.  From one thread at a time.
 */
struct ge_pool *ge_pool_new(int jobs, struct ge_err *e);
void ge_pool_free(struct ge_pool *p);
int ge_pool_jobs(const struct ge_pool *p);
void ge_pool_run(struct ge_pool *p, size_t n,
    void (*fn)(void *arg, size_t i, int worker), void *arg);

#endif
