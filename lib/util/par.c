#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "util/hook.h"
#include "util/par.h"
#include "util/thread_int.h"

enum {
	MAXJOBS = 256
};

struct each {
	pthread_mutex_t lock;
	size_t n, next, failed;
	int workers;
	int (*fn)(void *, size_t, int, struct ge_err *);
	void *arg;
	struct ge_err *e;
};

static void
each_work(struct each *w, int worker)
{
	struct ge_err e;
	size_t i;
	int rc;

	for (;;) {
		pthread_mutex_lock(&w->lock);
		i = w->failed == SIZE_MAX ? w->next++ : w->n;
		pthread_mutex_unlock(&w->lock);
		if (i >= w->n)
			return;
		e.code = 0;
		rc = w->fn(w->arg, i, worker, &e);
		if (rc == 0)
			continue;
		pthread_mutex_lock(&w->lock);
		if (i < w->failed) {
			w->failed = i;
			*w->e = e;
		}
		pthread_mutex_unlock(&w->lock);
	}
}

static void *
each_thread(void *arg)
{
	struct each *w = arg;
	int worker;

	pthread_mutex_lock(&w->lock);
	worker = w->workers++;
	pthread_mutex_unlock(&w->lock);
	each_work(w, worker);
	return (NULL);
}

int
ge_par_each(int jobs, size_t n,
    int (*fn)(void *arg, size_t i, int worker, struct ge_err *e), void *arg,
    struct ge_err *e)
{
	struct each w = { .n = n, .failed = SIZE_MAX, .workers = 1, .fn = fn,
	    .arg = arg, .e = e };
	pthread_t t[MAXJOBS];
	int i, nt = 0;

	if (jobs > MAXJOBS)
		jobs = MAXJOBS;
	if ((size_t)jobs > n)
		jobs = (int)n;
	pthread_mutex_init(&w.lock, NULL);
	/* A thread that cannot be had is work for the others. */
	while (nt + 1 < jobs &&
	    ge_pthread_start(&t[nt], each_thread, &w) == 0)
		nt++;
	each_work(&w, 0);
	for (i = 0; i < nt; i++)
		pthread_join(t[i], NULL);
	pthread_mutex_destroy(&w.lock);
	return (w.failed == SIZE_MAX ? 0 : -1);
}

struct pipe_state {
	const struct ge_pipe *p;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	size_t done[GE_PIPE_STAGES];	/* items that each stage has finished */
	size_t limit;			/* items there are, as far as known */
	size_t failed;			/* first failing item */
	struct ge_err *e;
};

struct pipe_thread {
	struct pipe_state *s;
	int stage;
};

static int
ready(const struct pipe_state *s, int stage, size_t item)
{

	if (item >= s->limit)
		return (1);
	if (stage > 0)
		return (s->done[stage - 1] > item);
	return (s->done[s->p->nstages - 1] + s->p->nslots > item);
}

static void
pipe_stage(struct pipe_state *s, int stage)
{
	struct ge_err e;
	size_t item;
	int rc;

	for (item = 0;; item++) {
		pthread_mutex_lock(&s->lock);
		while (!ready(s, stage, item))
			pthread_cond_wait(&s->moved, &s->lock);
		rc = item < s->limit;
		pthread_mutex_unlock(&s->lock);
		if (!rc)
			return;
		e.code = 0;
		rc = s->p->stage[stage](s->p->arg, item, item % s->p->nslots,
		    &e);
		pthread_mutex_lock(&s->lock);
		if (rc == 1) {
			s->done[stage] = item + 1;
		} else if (item < s->limit) {
			s->limit = item;
			if (rc == -1) {
				s->failed = item;
				*s->e = e;
			}
		}
		if (rc == -1 && stage > 0)
			ge_hook_cancel(1);
		pthread_cond_broadcast(&s->moved);
		pthread_mutex_unlock(&s->lock);
	}
}

static void *
pipe_thread(void *arg)
{
	struct pipe_thread *t = arg;

	pipe_stage(t->s, t->stage);
	return (NULL);
}

static int
pipe_plain(const struct ge_pipe *p, struct ge_err *e)
{
	size_t item;
	int rc, stage;

	for (item = 0;; item++)
		for (stage = 0; stage < p->nstages; stage++) {
			rc = p->stage[stage](p->arg, item, item % p->nslots, e);
			if (rc != 1)
				return (rc);
		}
}

int
ge_pipe_run(const struct ge_pipe *p, int threads, struct ge_err *e)
{
	struct pipe_state s = { .p = p, .limit = SIZE_MAX, .failed = SIZE_MAX,
	    .e = e };
	struct pipe_thread a[GE_PIPE_STAGES];
	pthread_t t[GE_PIPE_STAGES];
	int i, nt = 0, rc;

	if (!threads || p->nstages == 1)
		return (pipe_plain(p, e));
	pthread_mutex_init(&s.lock, NULL);
	pthread_cond_init(&s.moved, NULL);
	for (i = 1; i < p->nstages; i++) {
		a[i].s = &s;
		a[i].stage = i;
		rc = ge_pthread_start(&t[i], pipe_thread, &a[i]);
		if (rc != 0) {
			pthread_mutex_lock(&s.lock);
			s.limit = 0;
			s.failed = 0;
			ge_fail(e, GE_EFAIL, "cannot start a thread: %s",
			    strerror(rc));
			pthread_cond_broadcast(&s.moved);
			pthread_mutex_unlock(&s.lock);
			break;
		}
		nt++;
	}
	pipe_stage(&s, 0);
	for (i = 1; i <= nt; i++)
		pthread_join(t[i], NULL);
	pthread_cond_destroy(&s.moved);
	pthread_mutex_destroy(&s.lock);
	ge_hook_cancel(0);
	return (s.failed == SIZE_MAX ? 0 : -1);
}
