#ifndef GE_PAR_H
#define GE_PAR_H

#include <stddef.h>

#include "util/err.h"

/*
 * Work on many threads; results never depend on how many.
 */

/*
 * ge_par_each(jobs, n, fn, arg, e):
 * Call fn(arg, i, worker, e) for i in 0..n-1 on up to `jobs` threads, the caller
 * being one; worker in 0..jobs-1 tells which, for scratch of its own.  jobs = 1
 * starts no thread.  fn returns 0 or -1; after a failure no new i is begun, and
 * the error of the smallest failing i is the one reported.
 */
int ge_par_each(int jobs, size_t n,
    int (*fn)(void *arg, size_t i, int worker, struct ge_err *e), void *arg,
    struct ge_err *e);

/*
 * A pipeline of stages over numbered items, each stage in order, stages of
 * different items at the same time.
 */
enum {
	GE_PIPE_STAGES = 3
};

struct ge_pipe {
	int nstages;		/* 1..GE_PIPE_STAGES */
	size_t nslots;		/* items under way at most: arg's slots */
	/*
	 * stage[s](arg, item, slot, e), slot = item % nslots: 1 when done; 0
	 * (stage 0 only) when there is no such item; -1 on failure.
	 */
	int (*stage[GE_PIPE_STAGES])(void *arg, size_t item, size_t slot,
	    struct ge_err *e);
	void *arg;
};

/*
 * ge_pipe_run(p, threads, e):
 * Run all items.  Without threads the stages of an item run one after another
 * in the caller.  On a failure at item i the later stages still finish all items
 * before i, the first failing item is the one reported, and a stage 0
 * that is blocked in ge_read is woken.
 */
int ge_pipe_run(const struct ge_pipe *p, int threads, struct ge_err *e);

#endif
