#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "data/tokenizer.h"
#include "model/lm.h"
#include "model/sizes.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"
#include "util/world.h"

enum {
	TOKENIZER_MAX = 256 << 20,	/* bytes of tokenizer.json */
	CHECKPOINT_SECONDS = 600
};

static int
first(const struct ge_lm *lm)
{

	return (ge_ranks_rank(lm->ranks) == 0);
}

int
ge_lm_open(struct ge_lm *lm, const struct ge_lm_opts *o, struct ge_err *e)
{

	memset(lm, 0, sizeof(*lm));
	lm->o = *o;
	lm->started = ge_now();
	clock_gettime(CLOCK_MONOTONIC, &lm->began);
	ge_energy_start(&lm->energy);
	if (ge_ranks_open(&lm->ranks, e) == -1)
		return (-1);
	if (o->jobs > 1 && (lm->pool = ge_pool_new(o->jobs, e)) == NULL)
		return (-1);
	return (0);
}

void
ge_lm_release(struct ge_lm *lm)
{

	ge_train_free(lm->t);
	ge_token_file_release(&lm->train_file);
	ge_token_file_release(&lm->val_file);
	ge_model_release(&lm->model);
	ge_corpus_release(&lm->corpus);
	ge_pool_free(lm->pool);
	ge_ranks_close(lm->ranks);
	memset(lm, 0, sizeof(*lm));
}

static double
seconds(const struct ge_lm *lm)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((double)(now.tv_sec - lm->began.tv_sec) +
	    (double)(now.tv_nsec - lm->began.tv_nsec) * 1e-9);
}

/*
 * What is read.
 */

static int
documents(struct ge_lm *lm, struct ge_err *e)
{
	const struct ge_lm_opts *o = &lm->o;
	size_t i;
	int fd, rc;

	if (ge_corpus_open(&lm->corpus, o->val, e) == -1)
		return (-1);
	if (o->npaths == 0 && ge_docs_read(0, "standard input", &o->caps,
	    ge_corpus_add, &lm->corpus, e) == -1)
		return (-1);
	for (i = 0; i < o->npaths; i++) {
		if (strcmp(o->path[i], "-") == 0) {
			if (ge_docs_read(0, "standard input", &o->caps,
			    ge_corpus_add, &lm->corpus, e) == -1)
				return (-1);
			continue;
		}
		if ((fd = ge_input_open(o->path[i], e)) == -1)
			return (-1);
		rc = ge_docs_read(fd, o->path[i], &o->caps, ge_corpus_add,
		    &lm->corpus, e);
		close(fd);
		if (rc == -1)
			return (-1);
	}
	if (ge_corpus_done(&lm->corpus, e) == -1)
		return (-1);
	memcpy(lm->data, lm->corpus.digest, sizeof(lm->data));
	return (0);
}

static int
learn_tokenizer(struct ge_lm *lm, struct ge_err *e)
{
	struct ge_bpe_count *count;
	int rc = -1;

	if ((count = ge_bpe_count_new(lm->o.split, e)) == NULL)
		return (-1);
	if (ge_corpus_count(&lm->corpus, count, e) == 0 &&
	    ge_bpe_train(&lm->model.bpe, count, lm->o.vocab, e) == 0)
		rc = 0;
	ge_bpe_count_free(count);
	return (rc);
}

static int
load_tokenizer(struct ge_lm *lm, struct ge_err *e)
{
	uint8_t *buf;
	size_t len;
	int rc;

	if (ge_slurp(lm->o.tokenizer, TOKENIZER_MAX, &buf, &len, e) == -1)
		return (-1);
	rc = ge_tokenizer_parse(&lm->model.bpe, (const char *)buf, len, e);
	if (rc == -1)
		ge_within(e, "'%s'", lm->o.tokenizer);
	ge_free(buf);
	return (rc);
}

static int
tokenizer(struct ge_lm *lm, struct ge_err *e)
{
	struct ge_sha256 h;
	char *buf;
	size_t len;

	if (lm->o.base == NULL && (lm->o.tokenizer != NULL ?
	    load_tokenizer(lm, e) : learn_tokenizer(lm, e)) == -1)
		return (-1);
	if (ge_tokenizer_print(&lm->model.bpe, &buf, &len, e) == -1)
		return (-1);
	ge_sha256_init(&h);
	ge_sha256_add(&h, buf, len);
	ge_sha256_end(&h, lm->tokenizer);
	ge_free(buf);
	if (lm->model.bpe.end == -1)
		return (ge_fail(e, GE_EREFUSED, "the tokenizer has no token "
		    "for the end of a text"));
	if (lm->o.base == NULL)
		lm->model.bos = lm->model.eos = lm->model.bpe.end;
	return (0);
}

/* What rank 0 has read, to those who have not. */
static int
share(struct ge_lm *lm, struct ge_err *e)
{
	struct {
		struct ge_llama_dims dims;
		uint64_t n[2], bytes[2];
		int32_t end;
		size_t ntokens;
	} s;
	struct ge_token_file *f[2] = { &lm->train_file, &lm->val_file };
	int i;

	memset(&s, 0, sizeof(s));
	s.dims = lm->model.dims;
	s.end = lm->model.bpe.end;
	s.ntokens = lm->model.bpe.ntokens;
	for (i = 0; i < 2; i++) {
		s.n[i] = f[i]->n;
		s.bytes[i] = f[i]->bytes;
	}
	ge_ranks_share(lm->ranks, &s, sizeof(s));
	ge_ranks_share(lm->ranks, lm->data, sizeof(lm->data));
	ge_ranks_share(lm->ranks, lm->tokenizer, sizeof(lm->tokenizer));
	lm->model.dims = s.dims;
	lm->model.bpe.end = s.end;
	lm->o.vocab = s.ntokens;
	for (i = 0; i < 2; i++) {
		if (!first(lm) && ge_token_file_room(f[i], s.n[i], e) == -1)
			return (-1);
		f[i]->bytes = s.bytes[i];
		ge_ranks_share(lm->ranks, f[i]->room, s.n[i] *
		    sizeof(*f[i]->v));
	}
	return (0);
}

int
ge_lm_read(struct ge_lm *lm, struct ge_err *e)
{
	struct ge_token_file *t = &lm->train_file, *v = &lm->val_file;

	if (lm->o.base != NULL && ge_model_load(&lm->model, lm->o.base, e) ==
	    -1)
		return (-1);
	if (first(lm) && (documents(lm, e) == -1 || tokenizer(lm, e) == -1 ||
	    ge_corpus_tokens(&lm->corpus, &lm->model.bpe, lm->o.jobs, t, v,
	    e) == -1))
		return (-1);
	if (share(lm, e) == -1)
		return (-1);
	lm->train.v = t->v;
	lm->train.n = t->n;
	lm->val.v = v->v;
	lm->val.n = v->n;
	lm->train.end = lm->val.end = lm->model.bpe.end;
	return (0);
}

/*
 * What it will be.
 */

static int
dimensions(struct ge_lm *lm, struct ge_err *e)
{
	const struct ge_llama_dims *o = &lm->o.dims;
	struct ge_llama_dims *d = &lm->model.dims;

	if (lm->o.base != NULL)
		return (0);
	if (ge_size_find(lm->o.size, lm->o.vocab, d) == -1)
		return (ge_fail(e, GE_EUSAGE, "size '%s': no such size; there "
		    "are %s", lm->o.size, ge_size_names()));
	d->dim = o->dim > 0 ? o->dim : d->dim;
	d->layers = o->layers > 0 ? o->layers : d->layers;
	d->ff = o->ff > 0 ? o->ff : d->ff;
	if (o->heads > 0) {
		d->heads = o->heads;
		d->kv = o->heads;
	}
	d->kv = o->kv > 0 ? o->kv : d->kv;
	d->hd = o->hd > 0 ? o->hd : o->heads > 0 || o->dim > 0 ?
	    d->dim / d->heads : d->hd;
	d->ctx = o->ctx > 0 ? o->ctx : d->ctx;
	d->theta = o->theta > 0 ? o->theta : d->theta;
	if (lm->o.tied != -1)
		d->tied = lm->o.tied;
	return (ge_llama_check(d, e));
}

/* The smallest limit in steps, 0 if there is none, and its name. */
static uint64_t
planned(const struct ge_lm *lm, const char **why)
{
	const struct ge_lm_opts *o = &lm->o;
	double a_step = (double)(o->train.batch * o->train.len), n;
	uint64_t most = UINT64_MAX, i;
	const struct {
		const char *name;
		double steps;
	} limit[] = {
		{ "steps", (double)o->steps },
		{ "tokens", (double)o->tokens / a_step },
		{ "epochs", o->epochs * (double)lm->train.n / a_step },
		{ "minutes", lm->step_seconds > 0 ?
		    o->minutes * 60 / lm->step_seconds : 0 },
		{ "joules", lm->step_joules > 0 ?
		    o->joules / lm->step_joules : 0 }
	};

	for (i = 0; i < sizeof(limit) / sizeof(limit[0]); i++) {
		n = ceil(limit[i].steps);
		if (n > 0 && n < (double)most) {
			most = (uint64_t)n;
			*why = limit[i].name;
		}
	}
	return (most);
}

static void
defaults(struct ge_lm *lm)
{
	struct ge_lm_opts *o = &lm->o;
	struct ge_train_opts *t = &o->train;

	t->dims = lm->model.dims;
	if (t->len == 0)
		t->len = t->dims.ctx;
	if (t->lr <= 0)
		t->lr = t->lora > 0 ? 3e-4f : o->base != NULL ? 1e-4f :
		    ge_llama_params(&t->dims) < 60000000 ? 1e-3f : 6e-4f;
	if (t->lr_end < 0)
		t->lr_end = t->lr / 10;
	if (o->steps == 0 && o->tokens == 0 && o->epochs <= 0 &&
	    o->minutes <= 0 && o->joules <= 0)
		o->epochs = 1;
	t->base = lm->model.params;
	t->ranks = lm->ranks;
}

/*
 * Everything that the weights depend on but the number of steps, which a limit in
 * minutes or joules leaves open until it has been seen how fast we are.
 */
static int
identity(struct ge_lm *lm, struct ge_err *e)
{
	const struct ge_train_opts *t = &lm->o.train;
	const struct ge_llama_dims *d = &t->dims;
	char text[1024], data[65], tok[65];
	struct ge_sha256 h;
	int n, ranks = t->outer > 0 ? ge_ranks_size(lm->ranks) : 1;

	n = snprintf(text, sizeof(text), "data %s tokenizer %s val %a vocab %zu "
	    "dim %zu layers %zu heads %zu kv %zu head %zu ff %zu ctx %zu tied "
	    "%d theta %a eps %a prec %d seed %" PRIu64 " batch %zu len %zu "
	    "shards %zu warmup %" PRIu64 " schedule %d lr %a %a beta %a %a "
	    "eps %a decay %a clip %a lora %zu %a outer %zu ranks %d limits %"
	    PRIu64 " %" PRIu64 " %a %a %a", ge_hex(data, lm->data, 32),
	    ge_hex(tok, lm->tokenizer, 32), lm->o.val, d->vocab, d->dim,
	    d->layers, d->heads, d->kv, d->hd, d->ff, d->ctx, d->tied,
	    (double)d->theta, (double)d->eps, (int)t->prec, t->seed, t->batch,
	    t->len, t->shards, t->warmup, (int)t->schedule, (double)t->lr,
	    (double)t->lr_end, (double)t->b1, (double)t->b2, (double)t->eps,
	    (double)t->decay, (double)t->clip, t->lora, (double)t->alpha,
	    t->outer, ranks, lm->o.steps, lm->o.tokens, lm->o.epochs,
	    lm->o.minutes, lm->o.joules);
	if (n < 0 || (size_t)n >= sizeof(text))
		return (ge_fail(e, GE_EFAIL, "the options are too long"));
	ge_sha256_init(&h);
	ge_sha256_add(&h, text, (size_t)n);
	if (lm->model.params != NULL)
		ge_sha256_add(&h, lm->model.params, ge_llama_params(d) *
		    sizeof(float));
	ge_sha256_end(&h, lm->ident);
	return (0);
}

/* One step's work, undone, and what it took. */
static void
rehearse(struct ge_lm *lm)
{
	double s = seconds(lm), j = ge_energy_joules(&lm->energy);

	ge_train_rehearse(lm->t);
	lm->step_seconds = seconds(lm) - s;
	lm->step_joules = ge_energy_joules(&lm->energy) - j;
	ge_ranks_share(lm->ranks, &lm->step_seconds, sizeof(double));
	ge_ranks_share(lm->ranks, &lm->step_joules, sizeof(double));
}

static int
resume(struct ge_lm *lm, struct ge_err *e)
{
	int rc = 0;

	if (lm->o.checkpoints == NULL || !lm->o.resume)
		return (0);
	rc = ge_checkpoint_resume(lm->o.checkpoints, lm->t, lm->ident, &lm->s.p,
	    e);
	if (rc == 1) {
		lm->before_seconds = lm->s.p.seconds;
		lm->before_joules = lm->s.p.joules;
		lm->s.steps = lm->s.p.steps;
	}
	return (rc == -1 ? -1 : 0);
}

int
ge_lm_ready(struct ge_lm *lm, struct ge_err *e)
{
	struct ge_train_opts *t = &lm->o.train;

	if (dimensions(lm, e) == -1)
		return (-1);
	defaults(lm);
	if (t->len > t->dims.ctx)
		return (ge_fail(e, GE_EUSAGE, "len %zu is more than the %zu "
		    "positions of the model", t->len, t->dims.ctx));
	if (identity(lm, e) == -1 ||
	    (lm->t = ge_train_new(t, &lm->train, lm->pool, e)) == NULL ||
	    resume(lm, e) == -1)
		return (-1);
	if (lm->s.p.step == 0 || lm->s.p.step < lm->s.steps)
		rehearse(lm);
	if (lm->s.steps == 0)
		lm->s.steps = planned(lm, &lm->stopped);
	else
		planned(lm, &lm->stopped);
	lm->s.p.steps = lm->t->o.steps = lm->s.steps;
	if (lm->t->o.warmup == 0)
		lm->t->o.warmup = lm->s.steps / 20 < 200 ? lm->s.steps / 20 + 1 :
		    200;
	if (lm->o.every == 0)
		lm->o.every = lm->step_seconds > 0 ? 1 + (uint64_t)
		    (CHECKPOINT_SECONDS / lm->step_seconds) : 1;
	if (lm->o.eval == 0)
		lm->o.eval = lm->s.steps / 20 + 1;
	return (0);
}

/*
 * Steps.
 */

static int
checkpoint(struct ge_lm *lm, struct ge_err *e)
{
	char path[4096];
	int rc;

	if (lm->o.checkpoints == NULL || !first(lm))
		return (0);
	ge_hook_hold(1);
	rc = ge_checkpoint_write(lm->o.checkpoints, lm->t, lm->ident,
	    &lm->s.p, path, sizeof(path), e);
	if (rc == 0 && lm->o.command != NULL)
		rc = ge_checkpoint_pipe(lm->o.command, path, e);
	ge_hook_hold(0);
	return (rc);
}

/* After a step: figures for people. */
static void
count(struct ge_lm *lm, double took)
{
	struct ge_progress *p = &lm->s.p;
	double tokens = (double)(lm->o.train.batch * lm->o.train.len);

	p->step = lm->t->step;
	p->tokens += lm->o.train.batch * lm->o.train.len;
	p->seconds = lm->before_seconds + seconds(lm);
	p->joules = lm->before_joules + ge_energy_joules(&lm->energy);
	p->loss = lm->t->loss;
	lm->s.lr = ge_train_lr(&lm->t->o, p->step - 1);
	lm->s.speed = lm->s.speed > 0 ? 0.8 * lm->s.speed + 0.2 * tokens /
	    took : tokens / took;
	lm->s.eta = (double)(lm->s.steps - p->step) * tokens / lm->s.speed;
}

/* Is it time to stop?  All ranks do what the first says. */
enum { GO, LIMIT, INTERRUPTED };

static int
verdict(struct ge_lm *lm, struct ge_err *e)
{
	const struct ge_progress *p = &lm->s.p;
	int v = GO;

	if (ge_hook_tick(0, e) == -1)
		v = INTERRUPTED;
	else if (p->step >= lm->s.steps)
		v = LIMIT;
	else if (lm->o.minutes > 0 && p->seconds >= lm->o.minutes * 60) {
		v = LIMIT;
		lm->stopped = "minutes";
	} else if (lm->o.joules > 0 && p->joules >= lm->o.joules) {
		v = LIMIT;
		lm->stopped = "joules";
	}
	ge_ranks_share(lm->ranks, &v, sizeof(v));
	return (v);
}

int
ge_lm_train(struct ge_lm *lm, void (*tell)(void *, const struct ge_lm_state *),
    void *arg, struct ge_err *e)
{
	double at;
	uint64_t step;
	int v = lm->s.p.step >= lm->s.steps ? LIMIT : GO;

	while (v == GO) {
		at = seconds(lm);
		if (ge_train_step(lm->t, e) == -1)
			return (-1);
		count(lm, seconds(lm) - at);
		step = lm->s.p.step;
		lm->s.evaluated = lm->val.n > 0 && (step % lm->o.eval == 0 ||
		    step == lm->s.steps);
		if (lm->s.evaluated)
			lm->s.p.val = ge_train_eval(lm->t, &lm->val,
			    step == lm->s.steps ? UINT64_MAX : 64);
		tell(arg, &lm->s);
		v = verdict(lm, e);
		if ((v == INTERRUPTED || step % lm->o.every == 0) &&
		    checkpoint(lm, e) == -1)
			return (-1);
	}
	if (v == INTERRUPTED)
		return (ge_fail(e, GE_EFAIL, "interrupted"));
	if (!lm->s.evaluated && lm->val.n > 0)
		lm->s.p.val = ge_train_eval(lm->t, &lm->val, UINT64_MAX);
	return (checkpoint(lm, e));
}

int
ge_lm_compare(struct ge_lm *lm, struct ge_err *e)
{

	if (lm->val.n == 0 || !first(lm))
		return (0);
	return (ge_baselines(&lm->train, &lm->val, lm->model.dims.vocab,
	    lm->base, e));
}

double
ge_lm_bits(const struct ge_lm *lm, double nats)
{

	return (lm->val_file.bytes > 0 ? nats * (double)lm->val.n /
	    (double)lm->val_file.bytes / 0.69314718055994530942 : 0);
}

int
ge_lm_save(struct ge_lm *lm, struct ge_outdir *out, struct ge_err *e)
{
	struct ge_save s = { .dtype = lm->o.dtype, .gguf = lm->o.gguf };
	struct ge_model m = lm->model;
	char *run, *card = NULL;
	int rc = -1;

	m.params = lm->t->params;
	if ((run = ge_lm_report(lm, e)) != NULL &&
	    (card = ge_lm_card(lm, e)) != NULL) {
		s.run = run;
		s.card = card;
		rc = ge_model_save(&m, &s, out, e);
	}
	ge_free(run);
	ge_free(card);
	return (rc);
}
