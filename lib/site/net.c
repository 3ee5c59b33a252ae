#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "site/net_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/thread.h"
#include "util/world.h"

enum {
	MAXJOBS = 64
};
#define LARGE	((uint64_t)1 << 20)	/* worth a link of its own for a while */
#define WAKE	0.1	/* seconds between looks at the hook */
#define HANG	2.0	/* that work may take to notice that it is cancelled */
#define TIDY	2.0	/* to remove what an operation left */
#define LOOK	0.2	/* seconds between looks for what hangs */

struct ge_run {
	size_t left;		/* operations that have not come back */
};

struct ge_net {
	const struct ge_sites *sites;
	struct ge_net_conf conf;
	struct ge_netsite *site;
	CURLM *multi;
	struct ge_thread *thread, *worker[MAXJOBS];

	/* Guarded by the lock. */
	struct ge_lock *lock;		/* callers wait on it */
	struct ge_lock *work;		/* workers wait on it; guards them */
	struct ge_queue later;
	struct ge_op_int *live;		/* all that have not come back */
	struct ge_op_int *cancels;	/* of them; not yet seen to */
	struct ge_op *done, **donelast;
	uint64_t out;			/* for ge_net_next, not yet handed back */
	int running;
	size_t turn;			/* site that is looked at first */

	/* Guarded by `work`. */
	struct ge_queue todo, back;
	int nworkers, idle, stop;
	int alive;			/* workers */
	int orphans;			/* what they do for nobody */
	int left;			/* the last of them frees all */

	struct ge_op_int *hanging;	/* the loop's: cancelled, but at work */
	double looked;			/* the loop's: for what hangs */

	atomic_int quit;
	_Atomic uint64_t up, down;
};

static const char *const verb[] = {
	[GE_OP_PUT] = "store", [GE_OP_GET] = "read", [GE_OP_HEAD] = "look up",
	[GE_OP_LIST] = "list", [GE_OP_REMOVE] = "remove"
};

static void
append(struct ge_queue *q, struct ge_op_int *x)
{

	x->next = NULL;
	x->prev = q->last;
	if (q->last != NULL)
		q->last->next = x;
	else
		q->first = x;
	q->last = x;
}

static void
detach(struct ge_queue *q, struct ge_op_int *x)
{

	if (x->prev != NULL)
		x->prev->next = x->next;
	else
		q->first = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	else
		q->last = x->prev;
	x->next = x->prev = NULL;
}

const struct ge_net_conf *
ge_net_conf(const struct ge_net *net)
{

	return (&net->conf);
}

const struct ge_site *
ge_net_site(const struct ge_net *net, int site)
{

	return (&net->sites->site[site]);
}

int
ge_x_cancelled(struct ge_op_int *x)
{

	return (atomic_load(&x->cancel) || atomic_load(&x->net->quit) ||
	    atomic_load(&x->hold) == GE_X_GONE);
}

int
ge_x_hold(struct ge_op_int *x)
{
	int mine = GE_X_FREE;

	return (atomic_compare_exchange_strong(&x->hold, &mine, GE_X_HELD) ?
	    0 : -1);
}

void
ge_x_let(struct ge_op_int *x)
{

	atomic_store(&x->hold, GE_X_FREE);
}

void
ge_x_moved(struct ge_op_int *x, uint64_t up, uint64_t down)
{

	atomic_fetch_add_explicit(&x->net->up, up, memory_order_relaxed);
	atomic_fetch_add_explicit(&x->net->down, down, memory_order_relaxed);
	ge_x_beat(x);
}

void
ge_x_beat(struct ge_op_int *x)
{

	atomic_fetch_add_explicit(&x->beat, 1, memory_order_relaxed);
}

enum ge_verdict
ge_x_end(struct ge_op_int *x, enum ge_op_result result, const char *fmt, ...)
{
	va_list ap;

	x->op->result = result;
	va_start(ap, fmt);
	vsnprintf(x->cause, sizeof(x->cause), fmt, ap);
	va_end(ap);
	return (GE_X_END);
}

/* What belongs to one try. */
static void
release_try(struct ge_op_int *x)
{

	if (x->easy != NULL) {
		curl_easy_cleanup(x->easy);
		x->easy = NULL;
	}
	curl_slist_free_all(x->headers);
	x->headers = NULL;
	ge_answer_free(x->list);
	x->list = NULL;
	ge_free(x->text);
	x->text = NULL;
	ge_free(x->parts);
	x->parts = NULL;
	x->parts_cap = x->nparts_text = 0;
}

/* The caller's, when it is over.  The lock is held. */
static void
finish(struct ge_net *net, struct ge_op *op, struct ge_run *run,
    const char *cause)
{
	const char *name = net->sites->site[op->site].name;

	if (op->result != GE_OP_DONE && op->name[0] != '\0')
		ge_fail(&op->err, GE_EFAIL, "site '%s': '%.*s': cannot %s: %s",
		    name, GE_OP_NAME - 1, op->name, verb[op->kind], cause);
	else if (op->result != GE_OP_DONE)
		ge_fail(&op->err, GE_EFAIL, "site '%s': cannot %s: %s", name,
		    verb[op->kind], cause);
	if (run != NULL) {
		run->left--;
	} else {
		op->next = NULL;
		*net->donelast = op;
		net->donelast = &op->next;
	}
	ge_lock_wake(net->lock);
}

static void
unlist(struct ge_op_int **p, const struct ge_op_int *x)
{

	for (; *p != NULL; p = &(*p)->cnext)
		if (*p == x) {
			*p = x->cnext;
			return;
		}
}

/*
 * It is over; or, with `hung`, nobody waits for it any more: a worker still has
 * x->op.  The lock is held.
 */
static void
hand_back(struct ge_net *net, struct ge_op_int *x, int hung)
{
	struct ge_op *op = x->caller;

	release_try(x);
	if (atomic_load(&x->cancel)) {
		unlist(&net->cancels, x);
		unlist(&net->hanging, x);
	}
	if (x->lprev != NULL)
		x->lprev->lnext = x->lnext;
	else
		net->live = x->lnext;
	if (x->lnext != NULL)
		x->lnext->lprev = x->lprev;
	x->state = GE_X_OUT;
	if (hung)
		op->result = atomic_load(&x->cancel) ? GE_OP_CANCELLED :
		    GE_OP_FAILED;
	else
		op->result = x->op->result;
	if (!hung) {
		op->size = x->op->size;
		op->seconds = x->op->seconds;
		op->hashed = x->op->hashed;
		op->first = x->op->first;
		op->hashed = x->op->hashed;
		op->got = op->kind == GE_OP_GET ? atomic_load(&x->got) : 0;
	}
	finish(net, op, x->run, op->result == GE_OP_CANCELLED ? "cancelled" :
	    hung ? "no answer" : x->cause);
}

/* The caller and a worker may both have it. */
static void
drop(struct ge_op_int *x)
{

	if (x != NULL && atomic_fetch_sub(&x->refs, 1) == 1)
		ge_free(x);
}

static void
slot(struct ge_net *net, struct ge_op_int *x, int by)
{

	net->running += by;
	x->s->running += by;
	if (by > 0 && x->op->kind == GE_OP_PUT)
		x->s->sending = x;
	else if (x->s->sending == x)
		x->s->sending = NULL;
}

/* Retry-After, or ever longer, spread so that not all come at once. */
static double
backoff(const struct ge_op_int *x)
{
	struct ge_err e;
	uint16_t r = 32768;
	double t = 0.2;
	int i;

	(void)ge_random(&r, sizeof(r), &e);
	if (x->code == CURLE_COULDNT_CONNECT && x->tries == 1)
		return (0.05 + 0.1 * r / 65536.0);
	for (i = 1; i < x->tries && t < 10; i++)
		t *= 2;
	t = t < 10 ? t : 10;
	t *= 0.5 + r / 65536.0;
	if (x->reply.later > t)
		t = x->reply.later < 30 ? x->reply.later : 30;
	return (t);
}

/*
 * How often it may be begun.  A site that has timed out is asked once more, and
 * those that come after that are asked once, until one is answered.
 */
static int
tries(const struct ge_net *net, const struct ge_op_int *x)
{
	int most = x->op->tries > 0 ? x->op->tries : net->conf.tries;

	if (x->s->silent && (x->hushed || x->late > 1))
		return (1);
	if (x->op->kind == GE_OP_LIST &&
	    ge_clock() - x->started >= net->conf.total)
		return (1);
	return (x->once ? 1 : most);
}

/* A try is over, and it no longer belongs to curl or a worker. */
static void
try_over(struct ge_net *net, struct ge_op_int *x)
{
	struct ge_op *op = x->op;

	op->seconds = ge_clock() - x->began;
	op->first = x->first;
	ge_lock_take(net->lock);
	slot(net, x, -1);
	if (atomic_load(&x->cancel) && op->result != GE_OP_DONE)
		op->result = GE_OP_CANCELLED;
	if (op->result == GE_OP_FAILED && x->tries < tries(net, x) &&
	    !net->quit) {
		x->when = ge_clock() + backoff(x);
		release_try(x);
		x->state = GE_X_LATER;
		append(&net->later, x);
	} else {
		hand_back(net, x, 0);
	}
	ge_lock_drop(net->lock);
}

static void
dispose(struct ge_net *net)
{

	ge_free(net->site);
	ge_lock_free(net->work);
	ge_lock_free(net->lock);
	ge_free(net);
}

static void
work(void *arg)
{
	struct ge_net *net = arg;
	struct ge_op_int *x;
	int last;

	ge_lock_take(net->work);
	for (;;) {
		while ((x = net->todo.first) == NULL && !net->stop) {
			net->idle++;
			ge_lock_wait(net->work, -1);
			net->idle--;
		}
		if (x == NULL)
			break;
		detach(&net->todo, x);
		x->at = GE_X_TAKEN;
		ge_lock_drop(net->work);
		x->s->way->work(x);
		ge_lock_take(net->work);
		if (x->at == GE_X_ORPHAN) {
			net->orphans--;
			drop(x);
			continue;
		}
		x->at = GE_X_RETURNED;
		append(&net->back, x);
		curl_multi_wakeup(net->multi);
	}
	last = --net->alive == 0 && net->left;
	ge_lock_wake(net->work);
	ge_lock_drop(net->work);
	if (last)
		dispose(net);
}

/* A thread for each piece of work: one that hangs holds up no other. */
static int
to_worker(struct ge_net *net, struct ge_op_int *x)
{
	struct ge_err e;
	int rc = 0, waiting = 1;
	struct ge_op_int *y;

	x->state = GE_X_WORKING;
	x->heard = ge_clock();
	ge_lock_take(net->work);
	for (y = net->todo.first; y != NULL; y = y->next)
		waiting++;
	if (net->idle < waiting && net->nworkers < MAXJOBS) {
		net->worker[net->nworkers] = ge_thread_start(work, net, &e);
		if (net->worker[net->nworkers] != NULL) {
			net->nworkers++;
			net->alive++;
		} else if (net->alive == net->orphans) {
			rc = -1;
		}
	}
	if (rc == 0) {
		x->at = GE_X_TODO;
		append(&net->todo, x);
		ge_lock_wake(net->work);
	} else {
		(void)ge_x_end(x, GE_OP_FAILED, "%s", e.msg);
	}
	ge_lock_drop(net->work);
	return (rc);
}

static void
advance(struct ge_net *net, struct ge_op_int *x, enum ge_verdict v)
{

	if (v != GE_X_END && x->nomem)
		v = ge_x_end(x, GE_OP_FAILED, "out of memory");
	if (v != GE_X_END && atomic_load(&x->cancel) && !x->tidying) {
		v = ge_x_end(x, GE_OP_CANCELLED, "cancelled");
		x->tidying = 1;
		x->tidyby = ge_clock() + TIDY;
		if (x->s->way->tidy != NULL)
			v = x->s->way->tidy(x);
		if (x->nomem)
			v = GE_X_END;
	}
	if (v == GE_X_REQUEST) {
		if (curl_multi_add_handle(net->multi, x->easy) == CURLM_OK) {
			x->heard = ge_clock();
			x->state = GE_X_CURL;
			return;
		}
		v = ge_x_end(x, GE_OP_FAILED, "out of memory");
	} else if (v == GE_X_WORK && to_worker(net, x) == 0) {
		return;
	}
	try_over(net, x);
}

static void
begin(struct ge_net *net, struct ge_op_int *x)
{

	x->began = ge_clock();
	if (x->tries++ == 0) {
		x->started = x->began;
		x->hushed = x->s->silent;
	}
	x->first = 0;
	x->step = 0;
	x->code = CURLE_OK;
	x->mkdirs = x->cond = x->nomem = x->reset = 0;
	x->part = x->nparts = x->entries = 0;
	x->idle = 0;
	x->last[0] = x->high[0] = '\0';
	x->mark[0] = x->tmp[0] = x->aside[0] = '\0';
	x->reply.later = -1;
	x->op->size = GE_OP_UNKNOWN;
	atomic_store(&x->got, 0);
	if (x->op->kind == GE_OP_LIST && x->tries > 1)
		(void)x->op->entry(x->op->arg, NULL, 0, 0, 0);
	advance(net, x, x->s->way->step(x));
}

/*
 * Two that begin together share the link, end together and leave it idle while
 * both are confirmed.  So one begins when the other is half done.
 */
static int
too_soon(const struct ge_netsite *s, const struct ge_op_int *x)
{
	const struct ge_op_int *y = s->sending;

	return (x->op->kind == GE_OP_PUT && x->op->len >= LARGE && y != NULL &&
	    y->state == GE_X_CURL && y->nparts == 0 &&
	    y->src_pos < y->op->len / 2);
}

/* The next that may run, or NULL.  The lock is held. */
static struct ge_op_int *
choose(struct ge_net *net)
{
	struct ge_netsite *s;
	struct ge_op_int *x;
	size_t i;
	int urgent;

	if (net->running >= net->conf.jobs)
		return (NULL);
	for (urgent = 1; urgent >= 0; urgent--)
		for (i = 0; i < net->sites->n; i++) {
			s = &net->site[(net->turn + i) % net->sites->n];
			x = s->wait[urgent].first;
			if (x == NULL || s->running >= s->cap ||
			    too_soon(s, x))
				continue;
			net->turn = (net->turn + i + 1) % net->sites->n;
			detach(&s->wait[urgent], x);
			slot(net, x, 1);
			return (x);
		}
	return (NULL);
}

static void
take_back(struct ge_net *net)
{
	struct ge_op_int *x;

	for (;;) {
		ge_lock_take(net->work);
		if ((x = net->back.first) != NULL)
			detach(&net->back, x);
		ge_lock_drop(net->work);
		if (x == NULL)
			return;
		if (x->s->way->hangs)
			x->s->silent = 0;
		advance(net, x, x->s->way->step(x));
	}
}

/* A request that runs is taken from curl; what it has left is removed. */
static void
stop(struct ge_net *net, struct ge_op_int *x)
{

	x->state = GE_X_BACK;
	curl_multi_remove_handle(net->multi, x->easy);
	x->code = CURLE_ABORTED_BY_CALLBACK;
	advance(net, x, GE_X_REQUEST);
}

/* What waits is finished here, what runs is stopped, now or soon. */
static void
cancel(struct ge_net *net)
{
	struct ge_op_int *x, *list;

	ge_lock_take(net->lock);
	list = net->cancels;
	net->cancels = NULL;
	while ((x = list) != NULL) {
		list = x->cnext;
		switch (atomic_load(&x->state)) {
		case GE_X_WAITING:
		case GE_X_LATER:
			detach(x->state == GE_X_LATER ? &net->later :
			    &x->s->wait[x->op->urgent != 0], x);
			x->op->result = GE_OP_CANCELLED;
			hand_back(net, x, 0);
			break;
		case GE_X_CURL:
			if (x->tidying)
				break;
			if (!x->awaited) {
				ge_lock_drop(net->lock);
				stop(net, x);
				ge_lock_take(net->lock);
				break;
			}
			/* FALLTHROUGH */
		case GE_X_WORKING:
			x->when = ge_clock() + HANG;
			x->cnext = net->hanging;
			net->hanging = x;
			break;
		default:
			break;
		}
	}
	ge_lock_drop(net->lock);
}

/*
 * Work that hangs in the system, on a disk that is gone, is waited for no
 * longer: its operation comes back, and it keeps its worker.  Not while the worker
 * has the caller's memory in hand.
 */
static void
leave(struct ge_net *net, struct ge_op_int *x)
{
	int mine = GE_X_FREE, left = 0;

	ge_lock_take(net->work);
	if (x->at == GE_X_TODO) {
		detach(&net->todo, x);
		left = 1;
	} else if (x->at == GE_X_TAKEN && atomic_compare_exchange_strong(
	    &x->hold, &mine, GE_X_GONE)) {
		x->at = GE_X_ORPHAN;
		atomic_fetch_add(&x->refs, 1);
		net->orphans++;
		left = 1;
	}
	ge_lock_drop(net->work);
	if (!left)
		return;
	ge_lock_take(net->lock);
	slot(net, x, -1);
	hand_back(net, x, 1);
	ge_lock_drop(net->lock);
}

static void
leave_hanging(struct ge_net *net)
{
	struct ge_op_int *x, *next;

	for (x = net->hanging; x != NULL; x = next) {
		next = x->cnext;
		if (x->when > ge_clock())
			continue;
		if (x->state != GE_X_CURL)
			leave(net, x);
		else if (!x->tidying)
			stop(net, x);
	}
}

/* What curl has ended, or we for it, goes on. */
static void
replied(struct ge_net *net, struct ge_op_int *x)
{

	curl_multi_remove_handle(net->multi, x->easy);
	if (x->code == CURLE_OPERATION_TIMEDOUT && !x->brief) {
		x->late++;
		x->s->silent = 1;
	} else if (x->code == CURLE_OK || x->code == CURLE_QUOTE_ERROR ||
	    x->code == CURLE_REMOTE_FILE_NOT_FOUND || x->reply.status != 0) {
		x->s->silent = 0;
	}
	x->state = GE_X_BACK;
	advance(net, x, x->s->way->step(x));
}

/*
 * libcurl knows no limit for some of what it waits for, a disk for none.  The
 * first that has not moved for longer than it may, or NULL.
 */
static struct ge_op_int *
hung(struct ge_net *net)
{
	struct ge_op_int *x;
	double now = ge_clock();
	uint64_t beat;

	ge_lock_take(net->lock);
	for (x = net->live; x != NULL; x = x->lnext) {
		if (x->state != GE_X_CURL && !(x->state == GE_X_WORKING &&
		    x->s->way->hangs))
			continue;
		beat = atomic_load_explicit(&x->beat, memory_order_relaxed);
		if (beat != x->seen) {
			x->seen = beat;
			x->heard = now;
		} else if (now - x->heard > x->patience) {
			x->heard = now;
			break;
		}
	}
	ge_lock_drop(net->lock);
	return (x);
}

static void
watch(struct ge_net *net)
{
	struct ge_op_int *x;

	if (ge_clock() - net->looked < LOOK)
		return;
	net->looked = ge_clock();
	while ((x = hung(net)) != NULL)
		if (x->state == GE_X_WORKING) {
			x->s->silent = 1;
			leave(net, x);
		} else {
			snprintf(x->errbuf, sizeof(x->errbuf),
			    "no answer for %.0f seconds", x->patience);
			x->code = CURLE_OPERATION_TIMEDOUT;
			replied(net, x);
		}
}

/* What may run now is begun; milliseconds until something else may. */
static int
dispatch(struct ge_net *net)
{
	struct ge_op_int *x, *next;
	double now = ge_clock(), wait = 1;

	ge_lock_take(net->lock);
	for (x = net->later.first; x != NULL; x = next) {
		next = x->next;
		if (x->when <= now) {
			detach(&net->later, x);
			x->state = GE_X_WAITING;
			append(&x->s->wait[x->op->urgent != 0], x);
		} else if (x->when - now < wait) {
			wait = x->when - now;
		}
	}
	while ((x = choose(net)) != NULL) {
		/* ge_op_cancel may see it now; it will be looked at again. */
		x->state = GE_X_BACK;
		ge_lock_drop(net->lock);
		begin(net, x);
		ge_lock_take(net->lock);
	}
	ge_lock_drop(net->lock);
	return ((int)(wait * 1000) + 1);
}

/* What curl has finished goes on; how many. */
static void
reap(struct ge_net *net)
{
	struct ge_op_int *x;
	curl_off_t us;
	CURLMsg *m;
	char *p;
	int n;

	while ((m = curl_multi_info_read(net->multi, &n)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
		x = (struct ge_op_int *)(void *)p;
		x->code = m->data.result;
		if (x->first == 0 && curl_easy_getinfo(x->easy,
		    CURLINFO_STARTTRANSFER_TIME_T, &us) == CURLE_OK)
			x->first = (double)us / 1e6;
		replied(net, x);
	}
}

static void
loop(void *arg)
{
	struct ge_net *net = arg;
	int quit, n, ms;

	for (;;) {
		curl_multi_perform(net->multi, &n);
		reap(net);
		cancel(net);
		take_back(net);
		leave_hanging(net);
		watch(net);
		/* Last, for all of these make room. */
		ms = dispatch(net);
		ge_lock_take(net->lock);
		quit = net->quit && net->running == 0;
		ge_lock_drop(net->lock);
		if (quit)
			break;
		curl_multi_poll(net->multi, NULL, 0, ms, NULL);
	}
}

static int
open_sites(struct ge_net *net, struct ge_err *e)
{
	static const struct ge_way *const ways[] = {
		[GE_SITE_FILE] = &ge_way_folder, [GE_SITE_SFTP] = &ge_way_sftp,
		[GE_SITE_S3] = &ge_way_s3, [GE_SITE_DAV] = &ge_way_dav
	};
	int n = (int)net->sites->n, cap;
	struct ge_netsite *s;
	size_t i;

	/* No one site that hangs takes all the jobs. */
	cap = n > 0 ? (net->conf.jobs + n - 1) / n : 1;
	if (cap < 2)
		cap = 2;
	if (n > 1 && cap >= net->conf.jobs)
		cap = net->conf.jobs > 1 ? net->conf.jobs - 1 : 1;
	for (i = 0; i < net->sites->n; i++) {
		s = &net->site[i];
		s->site = &net->sites->site[i];
		s->way = ways[s->site->transport];
		s->cap = cap;
		if (s->way->open == NULL || s->way->open(net, s, e) == 0)
			continue;
		ge_within(e, "site '%s'", s->site->name);
		return (net->sites->file == NULL ? -1 : ge_within(e,
		    "'%s': line %lu", net->sites->file, s->site->line));
	}
	return (0);
}

struct ge_net *
ge_net_open(const struct ge_sites *s, const struct ge_net_conf *c,
    struct ge_err *e)
{
	struct ge_net *net;

	if ((net = ge_alloc(sizeof(*net), e)) == NULL)
		return (NULL);
	net->sites = s;
	net->conf = *c;
	if (net->conf.jobs < 1)
		net->conf.jobs = 1;
	if (net->conf.jobs > MAXJOBS)
		net->conf.jobs = MAXJOBS;
	if (net->conf.connect <= 0)
		net->conf.connect = 10;
	if (net->conf.stall <= 0)
		net->conf.stall = 20;
	if (net->conf.total <= 0)
		net->conf.total = 3600;
	if (net->conf.tries <= 0)
		net->conf.tries = 4;
	net->donelast = &net->done;
	if ((net->lock = ge_lock_new(e)) == NULL ||
	    (net->work = ge_lock_new(e)) == NULL ||
	    (net->site = ge_alloc(s->n * sizeof(*net->site), e)) == NULL ||
	    open_sites(net, e) == -1)
		goto fail;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (net->multi = curl_multi_init()) == NULL) {
		ge_fail(e, GE_EFAIL, "cannot start libcurl");
		goto fail;
	}
	curl_multi_setopt(net->multi, CURLMOPT_PIPELINING,
	    (long)CURLPIPE_NOTHING);
	curl_multi_setopt(net->multi, CURLMOPT_MAXCONNECTS,
	    (long)net->conf.jobs + (long)s->n);
	if ((net->thread = ge_thread_start(loop, net, e)) == NULL)
		goto fail;
	return (net);
fail:
	ge_net_close(net);
	return (NULL);
}

static void
mark_cancelled(struct ge_net *net, struct ge_op_int *x)
{

	if (atomic_exchange(&x->cancel, 1) == 0) {
		x->cnext = net->cancels;
		net->cancels = x;
	}
}

/* The lock is held. */
static void
cancel_all(struct ge_net *net)
{
	struct ge_op_int *x;

	for (x = net->live; x != NULL; x = x->lnext)
		mark_cancelled(net, x);
}

static void
close_site(struct ge_netsite *s)
{

	if (s->secret != NULL)
		ge_secret_free(s->secret, GE_NET_SECRET);
	if (s->token != NULL)
		ge_secret_free(s->token, GE_NET_SECRET);
	ge_free(s->user);
	ge_free(s->region);
	ge_free(s->key);
	ge_free(s->knownhosts);
}

void
ge_net_close(struct ge_net *net)
{
	struct ge_op *op;
	int w, hang = 0;
	size_t i;

	if (net == NULL)
		return;
	if (net->thread != NULL) {
		ge_lock_take(net->lock);
		net->quit = 1;
		cancel_all(net);
		ge_lock_drop(net->lock);
		curl_multi_wakeup(net->multi);
		ge_thread_join(net->thread);
	}
	while ((op = net->done) != NULL) {
		net->done = op->next;
		drop(op->in);
		op->in = NULL;
	}
	if (net->multi != NULL)
		curl_multi_cleanup(net->multi);
	for (i = 0; net->site != NULL && i < net->sites->n; i++)
		close_site(&net->site[i]);
	if (net->work != NULL) {
		ge_lock_take(net->work);
		net->stop = 1;
		ge_lock_wake(net->work);
		while (net->alive > net->orphans)
			ge_lock_wait(net->work, -1);
		net->left = hang = net->alive > 0;
		for (w = 0; hang && w < net->nworkers; w++)
			ge_thread_leave(net->worker[w]);
		ge_lock_drop(net->work);
	}
	if (hang)
		return;
	for (w = 0; w < net->nworkers; w++)
		ge_thread_join(net->worker[w]);
	dispose(net);
}

static void
start(struct ge_net *net, struct ge_op *op, struct ge_run *run)
{
	struct ge_op_int *x;
	struct ge_err e;

	op->next = NULL;
	op->got = 0;
	op->hashed = 0;
	op->size = GE_OP_UNKNOWN;
	op->seconds = op->first = 0;
	op->err.code = 0;
	op->in = x = ge_alloc(sizeof(*x), &e);
	ge_lock_take(net->lock);
	if (run == NULL)
		net->out++;
	if (x == NULL) {
		op->result = GE_OP_FAILED;
		finish(net, op, run, e.msg);
	} else {
		x->own = *op;
		x->op = &x->own;
		x->caller = op;
		x->net = net;
		x->s = &net->site[op->site];
		x->run = run;
		x->refs = 1;
		x->state = GE_X_WAITING;
		append(&x->s->wait[op->urgent != 0], x);
		if ((x->lnext = net->live) != NULL)
			x->lnext->lprev = x;
		net->live = x;
	}
	ge_lock_drop(net->lock);
	curl_multi_wakeup(net->multi);
}

void
ge_op_start(struct ge_net *net, struct ge_op *op)
{

	start(net, op, NULL);
}

void
ge_op_cancel(struct ge_net *net, struct ge_op *op)
{

	ge_lock_take(net->lock);
	if (op->in != NULL && op->in->state != GE_X_OUT)
		mark_cancelled(net, op->in);
	ge_lock_drop(net->lock);
	curl_multi_wakeup(net->multi);
}

uint64_t
ge_op_progress(struct ge_net *net, const struct ge_op *op)
{

	(void)net;
	return (op->in != NULL ? atomic_load(&op->in->got) : op->got);
}

int
ge_op_waits(struct ge_net *net, const struct ge_op *op)
{
	int waits;

	ge_lock_take(net->lock);
	waits = op->in != NULL && (op->in->state == GE_X_WAITING ||
	    op->in->state == GE_X_LATER);
	ge_lock_drop(net->lock);
	return (waits);
}

void
ge_net_moved(struct ge_net *net, uint64_t *up, uint64_t *down)
{

	*up = atomic_load(&net->up);
	*down = atomic_load(&net->down);
}

/* The first that has come back, or NULL.  The lock is held. */
static struct ge_op *
take_done(struct ge_net *net)
{
	struct ge_op *op = net->done;

	if (op == NULL)
		return (NULL);
	if ((net->done = op->next) == NULL)
		net->donelast = &net->done;
	net->out--;
	drop(op->in);
	op->in = NULL;
	op->next = NULL;
	return (op);
}

struct ge_op *
ge_net_reclaim(struct ge_net *net)
{
	struct ge_op *op;

	ge_lock_take(net->lock);
	cancel_all(net);
	curl_multi_wakeup(net->multi);
	while ((op = take_done(net)) == NULL && net->out > 0)
		ge_lock_wait(net->lock, WAKE);
	ge_lock_drop(net->lock);
	return (op);
}

int
ge_net_next(struct ge_net *net, double seconds, struct ge_op **op,
    struct ge_err *e)
{
	double until = seconds < 0 ? 0 : ge_clock() + seconds, left;
	int rc;

	for (;;) {
		if (ge_hook_tick(0, e) == -1)
			return (-1);
		rc = 2;
		ge_lock_take(net->lock);
		left = seconds < 0 ? WAKE : until - ge_clock();
		if (net->done == NULL && net->out > 0 && left > 0)
			ge_lock_wait(net->lock, left < WAKE ? left : WAKE);
		if ((*op = take_done(net)) != NULL) {
			rc = 1;
		} else if (net->out == 0 || left <= 0) {
			rc = 0;
		}
		ge_lock_drop(net->lock);
		if (rc != 2)
			return (rc);
	}
}

int
ge_op_run(struct ge_net *net, struct ge_op *const *op, size_t n,
    struct ge_err *e)
{
	struct ge_run run = { n };
	size_t i;
	int rc = 0;

	for (i = 0; i < n; i++)
		start(net, op[i], &run);
	ge_lock_take(net->lock);
	while (run.left > 0) {
		ge_lock_wait(net->lock, WAKE);
		if (rc == -1 || run.left == 0)
			continue;
		ge_lock_drop(net->lock);
		if ((rc = ge_hook_tick(0, e)) == -1)
			for (i = 0; i < n; i++)
				ge_op_cancel(net, op[i]);
		ge_lock_take(net->lock);
	}
	ge_lock_drop(net->lock);
	for (i = 0; i < n; i++) {
		drop(op[i]->in);
		op[i]->in = NULL;
	}
	return (rc);
}
