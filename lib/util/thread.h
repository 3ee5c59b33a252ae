#ifndef GE_THREAD_H
#define GE_THREAD_H

#include "util/err.h"

/*
 * Threads and what they wait on, for what par.h cannot do: work that comes and
 * goes by itself.  A thread of ours never runs a signal handler: main does.
 */
struct ge_thread;

/*
 * ge_thread_start(fn, arg, e): NULL with GE_EFAIL if there is none to be had.
 * ge_thread_join: wait for its end and free it; NULL is fine.
 * ge_thread_leave: free it and do not wait; it has begun.
 */
struct ge_thread *ge_thread_start(void (*fn)(void *arg), void *arg,
    struct ge_err *e);
void ge_thread_join(struct ge_thread *t);
void ge_thread_leave(struct ge_thread *t);

/* A lock, and something to wait for while it is let go. */
struct ge_lock;

struct ge_lock *ge_lock_new(struct ge_err *e);
void ge_lock_free(struct ge_lock *l);			/* NULL is fine */
void ge_lock_take(struct ge_lock *l);
void ge_lock_drop(struct ge_lock *l);

/*
 * ge_lock_wait(l, seconds): let the lock go until ge_lock_wake or so many seconds
 * have passed (< 0: no end), and take it again.  It may return early.
 */
void ge_lock_wait(struct ge_lock *l, double seconds);
void ge_lock_wake(struct ge_lock *l);			/* all who wait */

/* ge_clock(): seconds of a clock that nobody sets. */
double ge_clock(void);

#endif
