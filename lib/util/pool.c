#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "util/mem.h"
#include "util/pool.h"
#include "util/thread_int.h"

enum {
	MAXJOBS = 256
};

struct ge_pool {
	pthread_mutex_t lock;
	pthread_cond_t work, rest;
	pthread_t thread[MAXJOBS];
	int nthreads, workers, busy, stop;
	uint64_t turn;			/* jobs begun so far */
	/* The job: */
	size_t n;
	atomic_size_t next;
	void (*fn)(void *, size_t, int);
	void *arg;
};

static void
take_part(struct ge_pool *p, int worker)
{
	size_t i;

	while ((i = atomic_fetch_add(&p->next, 1)) < p->n)
		p->fn(p->arg, i, worker);
}

static void *
work(void *arg)
{
	struct ge_pool *p = arg;
	uint64_t seen = 0;
	int me;

	pthread_mutex_lock(&p->lock);
	me = ++p->workers;
	for (;;) {
		while (!p->stop && p->turn == seen)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->stop)
			break;
		seen = p->turn;
		/* Who wakes late finds the job done. */
		if (atomic_load(&p->next) >= p->n)
			continue;
		p->busy++;
		pthread_mutex_unlock(&p->lock);
		take_part(p, me);
		pthread_mutex_lock(&p->lock);
		if (--p->busy == 0)
			pthread_cond_signal(&p->rest);
	}
	pthread_mutex_unlock(&p->lock);
	return (NULL);
}

struct ge_pool *
ge_pool_new(int jobs, struct ge_err *e)
{
	struct ge_pool *p;

	if ((p = ge_alloc(sizeof(*p), e)) == NULL)
		return (NULL);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->rest, NULL);
	while (p->nthreads + 1 < jobs && p->nthreads < MAXJOBS &&
	    ge_pthread_start(&p->thread[p->nthreads], work, p) == 0)
		p->nthreads++;
	return (p);
}

void
ge_pool_free(struct ge_pool *p)
{
	int i;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = 1;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->nthreads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->rest);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	ge_free(p);
}

int
ge_pool_jobs(const struct ge_pool *p)
{

	return (p == NULL ? 1 : p->nthreads + 1);
}

void
ge_pool_run(struct ge_pool *p, size_t n,
    void (*fn)(void *arg, size_t i, int worker), void *arg)
{
	size_t i;

	if (p == NULL || p->nthreads == 0 || n < 2) {
		for (i = 0; i < n; i++)
			fn(arg, i, 0);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->n = n;
	p->fn = fn;
	p->arg = arg;
	atomic_store(&p->next, 0);
	p->turn++;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	take_part(p, 0);
	pthread_mutex_lock(&p->lock);
	while (p->busy > 0)
		pthread_cond_wait(&p->rest, &p->lock);
	pthread_mutex_unlock(&p->lock);
}
