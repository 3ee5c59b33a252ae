#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/tokenizer.h"
#include "model/lmrun.h"
#include "model/sizes.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"
#include "util/thread.h"
#include "util/world.h"

enum {
	CHECKPOINT_SECONDS = 600,
	EVAL_WINDOWS = 64,		/* looked at while training */
	VOCAB = 8192
};

static int
first(const struct ge_lm *lm)
{

	return (ge_ranks_rank(lm->ranks) == 0);
}

/* With DiLoCo each rank has a state, and a folder for it, of its own. */
static int
apart(const struct ge_lm *lm)
{

	return (lm->o.train.outer > 0 && lm->ranks != NULL);
}

static int
set_dir(struct ge_lm *lm, struct ge_err *e)
{
	char rank[32] = "";

	if (lm->o.checkpoints == NULL)
		return (0);
	if (apart(lm))
		snprintf(rank, sizeof(rank), "rank-%d",
		    ge_ranks_rank(lm->ranks));
	lm->dir = rank[0] == '\0' ? ge_strdup(lm->o.checkpoints, e) :
	    ge_path_join(lm->o.checkpoints, rank, e);
	return (lm->dir == NULL ? -1 : 0);
}

/* What another training has left would be taken for ours: it is in the way. */
static int
others(struct ge_lm *lm, struct ge_err *e)
{
	int any;

	if (lm->dir == NULL || lm->o.resume || lm->o.anew)
		return (0);
	if ((any = ge_checkpoint_any(lm->dir, e)) != 1)
		return (any);
	return (ge_fail(e, GE_EUSAGE, "'%s' has checkpoints: -O resume goes on "
	    "from them, -f removes them", lm->dir));
}

int
ge_lm_open(struct ge_lm *lm, const struct ge_lm_opts *o, struct ge_err *e)
{

	memset(lm, 0, sizeof(*lm));
	lm->o = *o;
	lm->started = ge_now();
	lm->began = ge_clock();
	ge_energy_start(&lm->energy);
	if (ge_ranks_open(&lm->ranks, e) == -1)
		return (-1);
	return (ge_ranks_agree(lm->ranks, (o->jobs > 1 && (lm->pool =
	    ge_pool_new(o->jobs, e)) == NULL) || set_dir(lm, e) == -1 ||
	    others(lm, e) == -1 ? -1 : 0, e));
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
	ge_free(lm->dir);
	ge_ranks_close(lm->ranks);
	memset(lm, 0, sizeof(*lm));
}

static double
seconds(const struct ge_lm *lm)
{

	return (ge_clock() - lm->began);
}

/*
 * What is read.
 */

static int
documents_of(struct ge_lm *lm, const char *path, struct ge_err *e)
{
	int in = strcmp(path, "-") == 0, fd, rc;

	if ((fd = in ? 0 : ge_input_open(path, e)) == -1)
		return (-1);
	rc = ge_docs_read(fd, in ? "standard input" : path, &lm->o.caps,
	    ge_corpus_add, &lm->corpus, e);
	if (!in)
		close(fd);
	return (rc);
}

static int
documents(struct ge_lm *lm, struct ge_err *e)
{
	size_t i;

	if (ge_corpus_open(&lm->corpus, lm->o.val, e) == -1 ||
	    (lm->o.npaths == 0 && documents_of(lm, "-", e) == -1))
		return (-1);
	for (i = 0; i < lm->o.npaths; i++)
		if (documents_of(lm, lm->o.path[i], e) == -1)
			return (-1);
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
	    ge_bpe_train(&lm->model.bpe, count, lm->o.vocab > 0 ? lm->o.vocab :
	    VOCAB, e) == 0)
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

	if (ge_slurp(lm->o.tokenizer, GE_TOKENIZER_MAX, &buf, &len, e) == -1)
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
		uint64_t n[2], bytes[2];
		size_t ntokens;
		int32_t end;
		uint8_t data[32], tokenizer[32];
	} s;
	struct ge_token_file *f[2] = { &lm->train_file, &lm->val_file };
	int32_t *v;
	int i;

	if (lm->ranks == NULL)
		return (0);
	memset(&s, 0, sizeof(s));
	for (i = 0; i < 2; i++) {
		s.n[i] = f[i]->n;
		s.bytes[i] = f[i]->bytes;
	}
	s.ntokens = lm->o.vocab;
	s.end = lm->model.bpe.end;
	memcpy(s.data, lm->data, sizeof(s.data));
	memcpy(s.tokenizer, lm->tokenizer, sizeof(s.tokenizer));
	if (ge_ranks_share(lm->ranks, &s, sizeof(s), e) == -1)
		return (-1);
	lm->o.vocab = s.ntokens;
	lm->model.bpe.end = s.end;
	memcpy(lm->data, s.data, sizeof(s.data));
	memcpy(lm->tokenizer, s.tokenizer, sizeof(s.tokenizer));
	for (i = 0; i < 2; i++) {
		v = first(lm) ? (int32_t *)(uintptr_t)f[i]->v :
		    ge_token_file_room(f[i], s.n[i], e);
		if (ge_ranks_agree(lm->ranks, first(lm) || v != NULL ? 0 : -1,
		    e) == -1 || ge_ranks_share(lm->ranks, v, s.n[i] *
		    sizeof(*v), e) == -1)
			return (-1);
		f[i]->bytes = s.bytes[i];
	}
	return (0);
}

static int
read_all(struct ge_lm *lm, struct ge_err *e)
{

	if (lm->o.base != NULL && ge_model_load(&lm->model, lm->o.base, e) ==
	    -1)
		return (-1);
	if (!first(lm))
		return (0);
	if (documents(lm, e) == -1 || tokenizer(lm, e) == -1 ||
	    ge_corpus_tokens(&lm->corpus, &lm->model.bpe, lm->o.jobs,
	    &lm->train_file, &lm->val_file, e) == -1)
		return (-1);
	lm->o.vocab = lm->model.bpe.ntokens;
	return (0);
}

int
ge_lm_read(struct ge_lm *lm, struct ge_err *e)
{

	if (ge_ranks_agree(lm->ranks, read_all(lm, e), e) == -1 ||
	    share(lm, e) == -1)
		return (-1);
	lm->train.v = lm->train_file.v;
	lm->train.n = lm->train_file.n;
	lm->val.v = lm->val_file.v;
	lm->val.n = lm->val_file.n;
	lm->train.end = lm->val.end = lm->model.bpe.end;
	return (0);
}

/*
 * What it will be.
 */

static int
dimensions(struct ge_lm *lm, struct ge_err *e)
{
	const char *size = lm->o.size != NULL ? lm->o.size : "3m";
	const struct ge_llama_dims *o = &lm->o.dims;
	struct ge_llama_dims *d = &lm->model.dims;

	if (lm->o.base != NULL)
		return (0);
	if (ge_size_find(size, lm->o.vocab, d) == -1)
		return (ge_fail(e, GE_EUSAGE, "size '%s': no such size; there "
		    "are %s", size, ge_size_names()));
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

/* What is left of a limit in steps of which each takes so much; 0: no limit. */
static double
left(double limit, double spent, double step)
{

	if (limit <= 0 || step <= 0)
		return (0);
	return (limit > spent + step ? (limit - spent) / step : 1);
}

/* The smallest limit in steps, and its name; clock: those of time and energy too. */
static uint64_t
planned(const struct ge_lm *lm, int clock, const char **why)
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
		{ "minutes", floor(left(o->minutes * 60, lm->s.p.seconds,
		    lm->step_seconds)) },
		{ "joules", floor(left(o->joules, lm->s.p.joules,
		    lm->step_joules)) }
	};

	*why = o->joules > 0 ? "joules" : "minutes";
	for (i = 0; i < (clock ? 5 : 3); i++) {
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
		t->lr = t->lora.rank > 0 ? 3e-4f : o->base != NULL ? 1e-4f :
		    ge_llama_params(&t->dims) < 60000000 ? 1e-3f : 6e-4f;
	if (t->lr_end < 0)
		t->lr_end = t->lr / 10;
	if (o->steps == 0 && o->tokens == 0 && o->epochs <= 0 &&
	    o->minutes <= 0 && o->joules <= 0)
		o->epochs = 1;
	if (t->lora.rank > 0 && t->lora.alpha <= 0)
		t->lora.alpha = 2 * (float)t->lora.rank;
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
	    "eps %a decay %a clip %a lora %zu %a outer %" PRIu64 " %"
	    PRIu64 " ranks %d course %" PRIu64 " limits %" PRIu64 " %" PRIu64
	    " %a %a %a", ge_hex(data, lm->data, 32),
	    ge_hex(tok, lm->tokenizer, 32), lm->o.val, d->vocab, d->dim,
	    d->layers, d->heads, d->kv, d->hd, d->ff, d->ctx, d->tied,
	    (double)d->theta, (double)d->eps, (int)t->prec, t->seed, t->batch,
	    t->len, t->shards, t->warmup, (int)t->schedule, (double)t->lr,
	    (double)t->lr_end, (double)t->b1, (double)t->b2, (double)t->eps,
	    (double)t->decay, (double)t->clip, t->lora.rank,
	    (double)t->lora.alpha, t->outer, lm->o.together, ranks,
	    lm->o.course, lm->o.steps, lm->o.tokens, lm->o.epochs, lm->o.minutes, lm->o.joules);
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

/*
 * One step's work, undone, and what it took; the first time it takes longer, as the
 * memory is new.
 */
static int
rehearse(struct ge_lm *lm, struct ge_err *e)
{
	double s, j, took[4] = { 0, 0, 0, 0 };
	int i;

	for (i = 0; i < 2; i++) {
		s = seconds(lm);
		j = ge_energy_joules(&lm->energy);
		if (ge_train_rehearse(lm->t, e) == -1)
			return (-1);
		took[0] = seconds(lm) - s;
		took[1] = ge_energy_joules(&lm->energy) - j;
	}
	if (lm->s.p.step == 0) {
		lm->s.p.seconds = seconds(lm);
		lm->s.p.joules = ge_energy_joules(&lm->energy);
	}
	took[2] = lm->s.p.seconds;
	took[3] = lm->s.p.joules;
	if (ge_ranks_share(lm->ranks, took, sizeof(took), e) == -1)
		return (-1);
	lm->step_seconds = took[0];
	lm->step_joules = took[1];
	lm->s.p.seconds = took[2];
	lm->s.p.joules = took[3];
	return (0);
}

/* Towards how many steps the learning rate falls, whatever ends the run. */
static uint64_t
course(const struct ge_lm *lm)
{

	return (lm->o.course > 0 ? lm->o.course : lm->s.steps);
}

/* As soon as it is known how many steps there are. */
static void
set_together(struct ge_lm *lm)
{

	lm->t->o.together = lm->o.together != UINT64_MAX ? lm->o.together :
	    lm->o.base != NULL ? 0 : course(lm) / 10;
}

/* The newest checkpoint that all ranks have. */
static int
resume_together(struct ge_lm *lm, struct ge_err *e)
{
	int rc, older;

	rc = ge_checkpoint_resume(lm->dir, lm->t, lm->ident, &lm->s.p, e);
	if (ge_ranks_agree(lm->ranks, rc, e) == -1)
		return (-1);
	older = -(int)lm->s.p.step;
	if (ge_ranks_most(lm->ranks, &older, e) == -1)
		return (-1);
	if (lm->s.p.step > (uint64_t)-older)
		rc = ge_checkpoint_resume_at(lm->dir, (uint64_t)-older, lm->t,
		    lm->ident, &lm->s.p, e);
	if (rc != -1 && lm->s.p.step != (uint64_t)-older)
		rc = ge_fail(e, GE_EREFUSED, "'%s': its step %" PRIu64 " is "
		    "that of no other rank", lm->dir, lm->s.p.step);
	return (rc);
}

/* With -f what another one has left goes, now that ours begins. */
static int
begin(struct ge_lm *lm, struct ge_err *e)
{
	int rc = 0;

	if (lm->dir != NULL && (first(lm) || apart(lm)))
		rc = lm->o.anew ? ge_checkpoint_clear(lm->dir, e) :
		    others(lm, e);
	return (ge_ranks_agree(lm->ranks, rc, e));
}

static int
resume(struct ge_lm *lm, struct ge_err *e)
{
	int rc = 0;

	if (apart(lm))
		rc = resume_together(lm, e);
	else if (first(lm))
		rc = ge_checkpoint_resume(lm->dir, lm->t, lm->ident, &lm->s.p,
		    e);
	if (ge_ranks_agree(lm->ranks, rc, e) == -1 ||
	    ge_ranks_share(lm->ranks, &rc, sizeof(rc), e) == -1 ||
	    ge_ranks_share(lm->ranks, &lm->s.p, sizeof(lm->s.p), e) == -1)
		return (-1);
	if (rc == 0)
		return (0);
	lm->before_seconds = lm->s.p.seconds;
	lm->before_joules = lm->s.p.joules;
	lm->s.steps = lm->s.p.steps;
	set_together(lm);
	return (ge_train_changed(lm->t, e));
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
	    (lm->o.resume ? resume(lm, e) : begin(lm, e)) == -1)
		return (-1);
	if ((lm->s.p.step == 0 || lm->s.p.step < lm->s.steps) &&
	    rehearse(lm, e) == -1)
		return (-1);
	if (lm->s.steps == 0)
		lm->s.steps = planned(lm, 1, &lm->stopped);
	else if (planned(lm, 0, &lm->stopped) != lm->s.steps)
		lm->stopped = lm->o.minutes > 0 ? "minutes" : "joules";
	lm->s.p.steps = lm->s.steps;
	lm->t->o.steps = course(lm);
	set_together(lm);
	if (lm->t->o.warmup == 0)
		lm->t->o.warmup = course(lm) / 20 < 200 ? course(lm) / 20 + 1 :
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
write_checkpoint(struct ge_lm *lm, struct ge_err *e)
{
	char *path;
	int rc;

	if (!first(lm) && !apart(lm))
		return (0);
	if (ge_checkpoint_write(lm->dir, lm->t, lm->ident, &lm->s.p, e) == -1)
		return (-1);
	if (lm->o.command == NULL)
		return (0);
	if ((path = ge_checkpoint_path(lm->dir, lm->t->step, e)) == NULL)
		return (-1);
	rc = ge_checkpoint_pipe(lm->o.command, path, e);
	ge_free(path);
	return (rc);
}

static int
checkpoint(struct ge_lm *lm, struct ge_err *e)
{

	if (lm->dir == NULL)
		return (0);
	if (ge_train_whole(lm->t, e) == -1)
		return (-1);
	return (ge_ranks_agree(lm->ranks, write_checkpoint(lm, e), e));
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

/* Is it time to stop?  What one rank says holds for all. */
enum { GO, LIMIT, INTERRUPTED };

static int
met(const struct ge_lm *lm)
{
	const struct ge_progress *p = &lm->s.p;

	return (p->step > 0 && (p->step >= lm->s.steps || (lm->o.minutes > 0 &&
	    p->seconds >= lm->o.minutes * 60) || (lm->o.joules > 0 &&
	    p->joules >= lm->o.joules)) ? LIMIT : GO);
}

static int
verdict(struct ge_lm *lm, int *v, struct ge_err *e)
{

	*v = ge_hook_tick(0, e) == -1 ? INTERRUPTED : met(lm);
	return (ge_ranks_most(lm->ranks, v, e));
}

/* By what the run has ended: the clock may have been before the plan. */
static const char *
stopped_by(const struct ge_lm *lm)
{

	if (lm->s.p.step >= lm->s.steps)
		return (lm->stopped);
	return (lm->o.minutes <= 0 || (lm->o.joules > 0 && lm->s.p.joules >=
	    lm->o.joules) ? "joules" : "minutes");
}

static int
evaluate(struct ge_lm *lm, uint64_t most, struct ge_err *e)
{

	lm->s.evaluated = lm->val.n > 0;
	if (!lm->s.evaluated)
		return (0);
	if (ge_train_eval(lm->t, &lm->val, most, &lm->s.p.val, e) == -1)
		return (-1);
	return (isfinite(lm->s.p.val) ? 0 : ge_fail(e, GE_EFAIL, "step %" PRIu64
	    ": the loss on what is held out is not a number", lm->s.p.step));
}

int
ge_lm_train(struct ge_lm *lm, void (*tell)(void *, const struct ge_lm_state *),
    void *arg, struct ge_err *e)
{
	uint64_t step, began = lm->s.p.step;
	double at;
	int v = met(lm);

	while (v == GO) {
		at = seconds(lm);
		if (ge_train_step(lm->t, e) == -1)
			return (-1);
		count(lm, seconds(lm) - at);
		step = lm->s.p.step;
		lm->s.evaluated = 0;
		if (verdict(lm, &v, e) == -1 || (v == GO && step % lm->o.eval ==
		    0 && evaluate(lm, EVAL_WINDOWS, e) == -1) || (v == LIMIT &&
		    ge_train_join(lm->t, e) == -1))
			return (-1);
		if (v != LIMIT)
			tell(arg, &lm->s);
		if ((v != GO || step % lm->o.every == 0) && checkpoint(lm, e) ==
		    -1)
			return (-1);
	}
	if (v == INTERRUPTED)
		return (ge_fail(e, GE_EFAIL, "interrupted"));
	/* This can take long: the checkpoint is written. */
	if (evaluate(lm, UINT64_MAX, e) == -1)
		return (-1);
	if (lm->s.p.step > began)
		tell(arg, &lm->s);
	lm->stopped = stopped_by(lm);
	return (0);
}

static int
compare(struct ge_lm *lm, struct ge_err *e)
{
	double s = seconds(lm), j = ge_energy_joules(&lm->energy);

	if (lm->val.n == 0 || !first(lm))
		return (0);
	if (ge_baselines(&lm->train, &lm->val, lm->model.dims.vocab, lm->base,
	    e) == -1)
		return (-1);
	s = seconds(lm) - s;
	lm->base_watts = s > 0 ? (ge_energy_joules(&lm->energy) - j) / s : 0;
	return (0);
}

int
ge_lm_compare(struct ge_lm *lm, struct ge_err *e)
{

	return (ge_ranks_agree(lm->ranks, compare(lm, e), e));
}

double
ge_lm_bits(const struct ge_lm *lm, double nats)
{

	return (lm->val_file.bytes > 0 ? nats *
	    (double)ge_tokens_wanted(&lm->val) / (double)lm->val_file.bytes /
	    0.69314718055994530942 : 0);
}

/* What PEFT loads onto the base. */
static int
save_adapter(struct ge_lm *lm, const struct ge_save *s, struct ge_outdir *out,
    struct ge_err *e)
{
	const struct ge_lora *l = &lm->o.train.lora;
	struct ge_st st = { 0 };
	const float **data = NULL;
	struct ge_tensor y;
	char *config = NULL;
	size_t n, i, len;
	int rc = -1;

	for (n = 0; ge_train_tensor(lm->t, n, &y); n++)
		;
	if ((st.tensor = ge_alloc(n * sizeof(*st.tensor), e)) == NULL ||
	    (data = ge_alloc(n * sizeof(*data), e)) == NULL)
		goto out;
	for (i = 0; ge_train_tensor(lm->t, i, &y); i++) {
		if ((st.tensor[i].name = ge_strdup(y.name, e)) == NULL)
			goto out;
		st.ntensors = i + 1;
		st.tensor[i].dtype = s->dtype;
		st.tensor[i].ndims = 2;
		st.tensor[i].dim[0] = y.rows;
		st.tensor[i].dim[1] = y.cols;
		data[i] = lm->t->theta + y.off;
	}
	if (ge_lora_config(l, lm->o.base, &config, &len, e) == -1 ||
	    ge_outdir_file(out, "adapter_config.json", config, len, e) == -1 ||
	    ge_outdir_file(out, "run.json", s->run, strlen(s->run), e) == -1 ||
	    ge_outdir_file(out, "README.md", s->card, strlen(s->card), e) ==
	    -1)
		goto out;
	rc = ge_st_write(&st, data, out, "adapter_model.safetensors", e);
out:
	ge_free(config);
	ge_free(data);
	ge_st_release(&st);
	return (rc);
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
		rc = lm->o.adapter ? save_adapter(lm, &s, out, e) :
		    ge_model_save(&m, &s, out, e);
	}
	ge_free(run);
	ge_free(card);
	return (rc);
}
