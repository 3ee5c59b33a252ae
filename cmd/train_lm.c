#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "families.h"
#include "model/lmrun.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

struct options {
	struct ge_lm_opts lm;
	const char *out, *log;
	char *checkpoints;		/* made of out */
	int force, try;
};

/* An option of -O: a number into what `to` points to, or text. */
struct setting {
	const char *name;
	enum { COUNT, LONG, REAL, FLOAT, TEXT, FLAG } kind;
	double min, max;
	void *to;
};

static int
set_number(const struct setting *s, const char *v, struct ge_err *e)
{
	uint64_t n;
	double x;

	if (s->kind == REAL || s->kind == FLOAT) {
		if (cli_fraction(s->name, v, s->min, s->max, &x, e) == -1)
			return (-1);
		if (s->kind == REAL)
			*(double *)s->to = x;
		else
			*(float *)s->to = (float)x;
		return (0);
	}
	if (ge_size_parse(v, &n) == -1 || n < (uint64_t)s->min ||
	    n > (uint64_t)s->max)
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not a number from %.0f "
		    "to %.0f", s->name, v, s->min, s->max));
	if (s->kind == COUNT)
		*(size_t *)s->to = n;
	else
		*(uint64_t *)s->to = n;
	return (0);
}

static int
set(struct options *o, const char *arg, struct ge_err *e)
{
	static const char *const precs[] = { "f32", "bf16" };
	static const char *const schedules[] = { "cosine", "wsd" };
	static const char *const splits[] = { "gpt2", "llama3" };
	static const char *const bools[] = { "no", "yes" };
	struct ge_lm_opts *l = &o->lm;
	struct ge_train_opts *t = &l->train;
	const struct setting table[] = {
		{ "adapter", FLAG, 0, 0, &l->adapter },
		{ "alpha", FLOAT, 0, 1e6, &t->lora.alpha },
		{ "batch", COUNT, 1, 1e6, &t->batch },
		{ "beta1", FLOAT, 0, 0.999999, &t->b1 },
		{ "beta2", FLOAT, 0, 0.999999, &t->b2 },
		{ "checkpoint", TEXT, 0, 0, &l->command },
		{ "checkpoints", TEXT, 0, 0, &l->checkpoints },
		{ "clip", FLOAT, 0, 1e6, &t->clip },
		{ "course", LONG, 1, 1e15, &l->course },
		{ "ctx", COUNT, 1, 1e7, &l->dims.ctx },
		{ "decay", FLOAT, 0, 10, &t->decay },
		{ "digest", TEXT, 0, 0, &l->digest },
		{ "dim", COUNT, 1, 1e6, &l->dims.dim },
		{ "document", COUNT, 1024, 1e8, &l->caps.doc },
		{ "entries", LONG, 1, 1e18, &l->caps.entries },
		{ "epochs", REAL, 1e-9, 1e9, &l->epochs },
		{ "eps", FLOAT, 1e-20, 1, &t->eps },
		{ "eval", LONG, 1, 1e12, &l->eval },
		{ "every", LONG, 1, 1e12, &l->every },
		{ "ff", COUNT, 1, 1e7, &l->dims.ff },
		{ "gco2", REAL, 0, 1e6, &l->gco2 },
		{ "gguf", FLAG, 0, 0, &l->gguf },
		{ "head", COUNT, 2, 1e5, &l->dims.hd },
		{ "heads", COUNT, 1, 1e5, &l->dims.heads },
		{ "joules", REAL, 1e-9, 1e18, &l->joules },
		{ "kv", COUNT, 1, 1e5, &l->dims.kv },
		{ "layers", COUNT, 1, GE_LLAMA_LAYERS, &l->dims.layers },
		{ "len", COUNT, 2, 1e7, &t->len },
		{ "log", TEXT, 0, 0, &o->log },
		{ "lora", COUNT, 1, 4096, &t->lora.rank },
		{ "lr", FLOAT, 0, 10, &t->lr },
		{ "lr-end", FLOAT, 0, 10, &t->lr_end },
		{ "minutes", REAL, 1e-9, 1e9, &l->minutes },
		{ "outer", LONG, 1, 1e6, &t->outer },
		{ "ratio", LONG, 1, 1e12, &l->caps.ratio },
		{ "resume", FLAG, 0, 0, &l->resume },
		{ "seed", LONG, 0, 1e18, &t->seed },
		{ "shards", COUNT, 1, 1 << 15, &t->shards },
		{ "size", TEXT, 0, 0, &l->size },
		{ "steps", LONG, 1, 1e15, &l->steps },
		{ "theta", FLOAT, 1, 1e9, &l->dims.theta },
		{ "together", LONG, 0, 1e15, &l->together },
		{ "tokenizer", TEXT, 0, 0, &l->tokenizer },
		{ "tokens", LONG, 1, 1e18, &l->tokens },
		{ "unpacked", LONG, 1, 1e18, &l->caps.bytes },
		{ "val", REAL, 0, 0.5, &l->val },
		{ "vocab", COUNT, 257, 1e6, &l->vocab },
		{ "warmup", LONG, 1, 1e15, &t->warmup }
	};
	const char *v;
	size_t i;
	int n, rc;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if ((v = cli_option(arg, table[i].name)) == NULL)
			continue;
		if (table[i].kind == FLAG) {
			if (*v != '\0')
				return (ge_fail(e, GE_EUSAGE, "-O '%s': takes "
				    "no value", arg));
			*(int *)table[i].to = 1;
			return (0);
		}
		if (cli_needs(arg, v, e) == -1)
			return (-1);
		if (table[i].kind == TEXT) {
			*(const char **)table[i].to = v;
			return (0);
		}
		return (set_number(&table[i], v, e));
	}
	if ((v = cli_option(arg, "prec")) != NULL) {
		if ((rc = cli_word("prec", v, precs, 2, &n, e)) == 0)
			t->prec = n == 1 ? GE_BF16 : GE_F32;
	} else if ((v = cli_option(arg, "schedule")) != NULL) {
		if ((rc = cli_word("schedule", v, schedules, 2, &n, e)) == 0)
			t->schedule = n == 1 ? GE_WSD : GE_COSINE;
	} else if ((v = cli_option(arg, "split")) != NULL) {
		if ((rc = cli_word("split", v, splits, 2, &n, e)) == 0)
			l->split = n == 1 ? GE_SPLIT_LLAMA3 : GE_SPLIT_GPT2;
	} else if ((v = cli_option(arg, "dtype")) != NULL) {
		if ((rc = cli_word("dtype", v, precs, 2, &n, e)) == 0)
			l->dtype = n == 1 ? GE_DTYPE_BF16 : GE_DTYPE_F32;
	} else if ((v = cli_option(arg, "tied")) != NULL) {
		if ((rc = cli_word("tied", v, bools, 2, &n, e)) == 0)
			l->tied = n;
	} else {
		return (cli_unknown(arg, e));
	}
	return (rc);
}

/* What excludes what. */
static int
check(const struct options *o, struct ge_err *e)
{
	const struct ge_lm_opts *l = &o->lm;
	const struct ge_llama_dims *d = &l->dims;
	const struct ge_train_opts *t = &l->train;

	if (l->base != NULL && (l->size != NULL || l->tokenizer != NULL ||
	    l->vocab > 0 || d->dim + d->layers + d->heads + d->kv + d->hd +
	    d->ff + d->ctx > 0 || d->theta > 0 || l->tied != -1))
		return (ge_fail(e, GE_EUSAGE, "-i has a size and a tokenizer of "
		    "its own: none can be given"));
	if (l->tokenizer != NULL && l->vocab > 0)
		return (ge_fail(e, GE_EUSAGE, "a tokenizer has a vocabulary of "
		    "its own: -O vocab= cannot be given"));
	if (t->lora.rank > 0 && l->base == NULL)
		return (ge_fail(e, GE_EUSAGE, "-O lora needs a base: -i"));
	if (l->adapter && t->lora.rank == 0)
		return (ge_fail(e, GE_EUSAGE, "-O adapter needs -O lora=rank"));
	if ((t->shards & (t->shards - 1)) != 0 || t->batch % t->shards != 0)
		return (ge_fail(e, GE_EUSAGE, "shards %zu: not a power of 2 "
		    "that divides the batch of %zu", t->shards, t->batch));
	if (l->checkpoints == NULL && (l->command != NULL || l->resume ||
	    l->every > 0))
		return (ge_fail(e, GE_EUSAGE, "checkpoints need a place: -o or "
		    "-O checkpoints=dir"));
	if (o->out == NULL && !o->force && !o->try && isatty(1))
		return (ge_fail(e, GE_EUSAGE, "standard output is a terminal: "
		    "redirect it, or use -o"));
	return (0);
}

/* Beside the model that they lead to, unless the user says where. */
static int
place_checkpoints(struct options *o, struct ge_err *e)
{
	size_t len;

	if (o->out == NULL || o->lm.checkpoints != NULL)
		return (0);
	len = strlen(o->out) + sizeof(".checkpoints");
	while (len > sizeof(".checkpoints") + 1 &&
	    o->out[len - sizeof(".checkpoints") - 1] == '/')
		len--;
	if ((o->checkpoints = ge_alloc(len, e)) == NULL)
		return (-1);
	snprintf(o->checkpoints, len, "%.*s.checkpoints",
	    (int)(len - sizeof(".checkpoints")), o->out);
	o->lm.checkpoints = o->checkpoints;
	return (0);
}

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c;

	while ((c = getopt(argc, argv, ":fi:j:O:o:qtv")) != -1) {
		switch (c) {
		case 'f':
			o->force = o->lm.anew = 1;
			break;
		case 'i':
			if (cli_once("-i", o->lm.base, e) == -1)
				return (-1);
			o->lm.base = optarg;
			break;
		case 'j':
			if (cli_number("-j", optarg, 1, 64, &o->lm.jobs, e) ==
			    -1)
				return (-1);
			break;
		case 'O':
			if (set(o, optarg, e) == -1)
				return (-1);
			break;
		case 'o':
			o->out = optarg;
			break;
		case 'q':
			cli_quiet();
			break;
		case 't':
			o->try = 1;
			break;
		case 'v':
			cli_verbose();
			break;
		default:
			cli_usage(c);
		}
	}
	if (cli_order(argc, argv, e) == -1 || place_checkpoints(o, e) == -1)
		return (-1);
	o->lm.path = (const char *const *)argv + optind;
	o->lm.npaths = (size_t)(argc - optind);
	if (check(o, e) == -1)
		return (-1);
	if (o->try && !o->lm.resume)
		o->lm.checkpoints = NULL;
	return (0);
}

static void
tell_plan(const struct ge_lm *lm)
{
	const struct ge_llama_dims *d = &lm->model.dims;
	uint64_t left = lm->s.steps - lm->s.p.step;
	char when[32];

	if (cli_is_quiet())
		return;
	cli_say("%.1f M parameters; %" PRIu64 " tokens, %" PRIu64 " held out",
	    (double)ge_llama_params(d) / 1e6, lm->train.n, lm->val.n);
	if (lm->o.val > 0 && (lm->val.n == 0 || lm->val.n > lm->train.n / 2))
		cli_say("%s of %" PRIu64 " document%s is held out: choose with "
		    "-O val", lm->val.n == 0 ? "none" : "much", lm->corpus.ndocs,
		    cli_plural(lm->corpus.ndocs));
	if (lm->s.p.step > 0)
		cli_say("going on from step %" PRIu64, lm->s.p.step);
	cli_say("%" PRIu64 " step%s of %zu tokens: about %s, %.3g J (%s)", left,
	    cli_plural(left), lm->o.train.batch * lm->o.train.len,
	    cli_duration(when, (double)left * lm->step_seconds),
	    (double)left * lm->step_joules, ge_energy_method(&lm->energy));
}

/* -t: and what it would take of memory. */
static void
tell_memory(const struct ge_lm *lm)
{
	struct ge_train_size z;
	char b[32];

	ge_train_bytes(&lm->t->o, lm->pool, &z);
	printf("#part\tbytes\n");
	printf("weights\t%" PRIu64 "\n", z.weights);
	printf("gradients\t%" PRIu64 "\n", z.gradients);
	printf("moments\t%" PRIu64 "\n", z.moments);
	printf("activations\t%" PRIu64 "\n", z.activations);
	printf("tokens\t%" PRIu64 "\n", 4 * (lm->train.n + lm->val.n));
	if (!cli_is_quiet())
		cli_say("%s of memory", cli_bytes(b, z.weights + z.gradients +
		    z.moments + z.activations));
}

static void
tell_result(const struct ge_lm *lm)
{
	const struct ge_progress *p = &lm->s.p;
	char when[32];
	size_t i;

	if (cli_is_quiet())
		return;
	for (i = 0; i < GE_BASELINES && lm->base[i].name != NULL; i++)
		cli_say("%s: %.4f nats a token, %.3f bits a byte, %.2f s, "
		    "%.3g J", lm->base[i].name, lm->base[i].nats,
		    ge_lm_bits(lm, lm->base[i].nats), lm->base[i].seconds,
		    lm->base[i].seconds * lm->base_watts);
	if (lm->val.n > 0)
		cli_say("this model: %.4f nats a token, %.3f bits a byte, %s, "
		    "%.3g J (%s)", p->val, ge_lm_bits(lm, p->val),
		    cli_duration(when, p->seconds), p->joules,
		    ge_energy_method(&lm->energy));
	else
		cli_say("loss %.4f, nothing held out; %s, %.3g J (%s)", p->loss,
		    cli_duration(when, p->seconds), p->joules,
		    ge_energy_method(&lm->energy));
	if (lm->o.gco2 > 0)
		cli_say("%.3g g of CO2", p->joules / 3.6e6 * lm->o.gco2);
}

/* Progress: of a step, for people (-v) and for the log. */
struct teller {
	FILE *log;
	int sys;			/* why the log could not be written, or 0 */
	const struct ge_lm_state *s;
};

static struct teller teller;

static void
progress(char *out, size_t cap)
{
	const struct ge_lm_state *s = teller.s;
	char when[32];

	if (s == NULL)
		snprintf(out, cap, "reading");
	else
		snprintf(out, cap, "step %" PRIu64 " of %" PRIu64 ", loss %.4f, "
		    "%.0f tokens/s, %s left", s->p.step, s->steps, s->p.loss,
		    s->speed, cli_duration(when, s->eta));
}

static void
line(char *out, size_t cap, const struct ge_lm_state *s)
{
	char val[32] = "-";

	if (s->evaluated)
		snprintf(val, sizeof(val), "%.5f", s->p.val);
	snprintf(out, cap, "%" PRIu64 "\t%.5f\t%s\t%.3e\t%.0f\t%.1f\t%.0f",
	    s->p.step, s->p.loss, val, (double)s->lr, s->speed, s->p.joules,
	    s->eta);
}

static void
tell(void *arg, const struct ge_lm_state *s)
{
	struct teller *t = arg;
	char text[256];

	t->s = s;
	line(text, sizeof(text), s);
	if (t->log != NULL && fprintf(t->log, "%s\n", text) < 0)
		t->sys = errno;
	if (cli_verbosity() > 0 && !cli_is_quiet())
		cli_say("%s", text);
}

static int
open_log(const struct options *o, const struct ge_lm *lm, struct ge_err *e)
{
	static const char head[] = "#step\tloss\tval\tlr\ttok/s\tJ\teta";
	int more = lm->s.p.step > 0;

	if (cli_verbosity() > 0 && !cli_is_quiet())
		cli_say("%s", head);
	if (o->log == NULL || ge_ranks_rank(lm->ranks) != 0)
		return (0);
	if ((teller.log = fopen(o->log, more ? "ae" : "we")) == NULL)
		return (ge_failsys(e, "cannot write '%s'", o->log));
	setvbuf(teller.log, NULL, _IOLBF, 0);
	if (!more && fprintf(teller.log, "%s\n", head) < 0)
		teller.sys = errno;
	return (0);
}

static int
close_log(const struct options *o, struct ge_err *e)
{

	if (teller.log == NULL)
		return (0);
	if (fclose(teller.log) == EOF)
		teller.sys = errno;
	teller.log = NULL;
	errno = teller.sys;
	return (errno != 0 ? ge_failsys(e, "cannot write '%s'", o->log) : 0);
}

/* A log that cannot be written is told when the model is safe. */
static int
train(struct options *o, struct ge_lm *lm, struct ge_outdir *out,
    struct ge_err *e)
{
	struct ge_err log;
	int rc, logged;

	if (ge_ranks_agree(lm->ranks, open_log(o, lm, e), e) == -1)
		return (-1);
	rc = ge_lm_train(lm, tell, &teller, e);
	logged = close_log(o, &log);
	if (rc == -1 || ge_lm_compare(lm, e) == -1)
		return (-1);
	if (out != NULL && (ge_lm_save(lm, out, e) == -1 ||
	    ge_outdir_commit(out, e) == -1))
		return (-1);
	tell_result(lm);
	if (logged == -1)
		*e = log;
	return (logged);
}

static int
open_out(const struct options *o, const struct ge_lm *lm,
    struct ge_outdir **out, struct ge_err *e)
{

	int rc = 0;

	if (ge_ranks_rank(lm->ranks) == 0 && !o->try && (*out =
	    ge_outdir_new(o->out, o->out == NULL ? cli_stdout() : -1, o->force,
	    e)) == NULL)
		rc = -1;
	return (ge_ranks_agree(lm->ranks, rc, e));
}

/*
 * Of several ranks the first says it, and before any ends: mpirun may end the
 * others then.
 */
static void
tell_once(const struct ge_lm *lm, struct ge_err *e)
{
	struct ge_err stopped;

	if (lm->ranks == NULL)
		return;
	if (ge_ranks_rank(lm->ranks) == 0 && ge_hook_tick(0, &stopped) == 0)
		cli_say("%s", e->msg);
	e->msg[0] = '\0';
}

static int
run(struct options *o, struct ge_err *e)
{
	struct ge_outdir *out = NULL;
	struct ge_lm lm;
	int rc = -1, first;

	if (ge_lm_open(&lm, &o->lm, e) == -1)
		goto out;
	if ((first = ge_ranks_rank(lm.ranks) == 0) == 0)
		cli_quiet();
	if (open_out(o, &lm, &out, e) == -1 || ge_lm_read(&lm, e) == -1 ||
	    ge_lm_ready(&lm, e) == -1)
		goto out;
	tell_plan(&lm);
	if (o->try && first)
		tell_memory(&lm);
	rc = o->try ? 0 : train(o, &lm, out, e);
out:
	teller.s = NULL;
	ge_outdir_free(out);
	if (rc == -1)
		tell_once(&lm, e);
	ge_lm_release(&lm);
	return (rc);
}

int
lm_main(int argc, char **argv)
{
	struct options o = { 0 };
	struct ge_train_opts *t = &o.lm.train;
	struct ge_err e = { 0 };
	int rc;

	ge_docs_caps_init(&o.lm.caps);
	o.lm.version = cli_version();
	o.lm.val = 0.05;
	o.lm.tied = -1;
	o.lm.together = UINT64_MAX;
	o.lm.jobs = cli_jobs();
	o.lm.dtype = GE_DTYPE_BF16;
	t->prec = GE_BF16;
	t->batch = 16;
	t->shards = 4;
	t->seed = 1;
	t->b1 = 0.9f;
	t->b2 = 0.95f;
	t->eps = 1e-8f;
	t->decay = 0.1f;
	t->clip = 1;
	t->lr_end = -1;
	t->outer_lr = 0.7f;
	t->outer_momentum = 0.9f;
	cli_progress(progress);
	rc = parse(&o, argc, argv, &e);
	if (rc == 0)
		rc = run(&o, &e);
	ge_free(o.checkpoints);
	return (cli_end(rc, &e));
}
