#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "util/mem.h"
#include "util/thread.h"
#include "util/thread_int.h"

struct ge_thread {
	pthread_t id;
	void (*fn)(void *);
	void *arg;
};

struct ge_lock {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
};

int
ge_pthread_start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(t, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return (rc);
}

static void *
run(void *arg)
{
	struct ge_thread *t = arg;

	t->fn(t->arg);
	return (NULL);
}

struct ge_thread *
ge_thread_start(void (*fn)(void *), void *arg, struct ge_err *e)
{
	struct ge_thread *t;
	int rc;

	if ((t = ge_alloc(sizeof(*t), e)) == NULL)
		return (NULL);
	t->fn = fn;
	t->arg = arg;
	if ((rc = ge_pthread_start(&t->id, run, t)) != 0) {
		ge_fail(e, GE_EFAIL, "cannot start a thread: %s",
		    strerror(rc));
		ge_free(t);
		t = NULL;
	}
	return (t);
}

void
ge_thread_join(struct ge_thread *t)
{

	if (t == NULL)
		return;
	pthread_join(t->id, NULL);
	ge_free(t);
}

void
ge_thread_leave(struct ge_thread *t)
{

	pthread_detach(t->id);
	ge_free(t);
}

struct ge_lock *
ge_lock_new(struct ge_err *e)
{
	pthread_condattr_t a;
	struct ge_lock *l;

	if ((l = ge_alloc(sizeof(*l), e)) == NULL)
		return (NULL);
	pthread_mutex_init(&l->mutex, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&l->cond, &a);
	pthread_condattr_destroy(&a);
	return (l);
}

void
ge_lock_free(struct ge_lock *l)
{

	if (l == NULL)
		return;
	pthread_cond_destroy(&l->cond);
	pthread_mutex_destroy(&l->mutex);
	ge_free(l);
}

void
ge_lock_take(struct ge_lock *l)
{

	pthread_mutex_lock(&l->mutex);
}

void
ge_lock_drop(struct ge_lock *l)
{

	pthread_mutex_unlock(&l->mutex);
}

void
ge_lock_wait(struct ge_lock *l, double seconds)
{
	struct timespec ts;
	long ns;

	if (seconds < 0) {
		pthread_cond_wait(&l->cond, &l->mutex);
		return;
	}
	if (seconds > 1e6)
		seconds = 1e6;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ns = ts.tv_nsec + (long)((seconds - (double)(long)seconds) * 1e9);
	ts.tv_sec += (time_t)seconds + ns / 1000000000;
	ts.tv_nsec = ns % 1000000000;
	pthread_cond_timedwait(&l->cond, &l->mutex, &ts);
}

void
ge_lock_wake(struct ge_lock *l)
{

	pthread_cond_broadcast(&l->cond);
}

double
ge_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}
