#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "data/text.h"
#include "model/complete.h"
#include "model/model.h"
#include "predict.h"
#include "util/file.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/quote.h"
#include "util/thread.h"

/* Language models: what follows a prompt, or what a text costs. */
enum {
	STOPS = 16,
	CTX = 4096,			/* tokens, unless asked for more */
	PROMPT_MAX = 16 << 20,		/* bytes of a line */
	TEXT_MAX = 1 << 30,		/* of a text */
	PATH = 4096
};

enum format {
	LINE, RAW, JSON
};

struct options {
	int ctx, length, nll, whole;
	enum format format;
	enum ge_prec prec;
	enum ge_rule rule;
	struct ge_sampling sampler;
	uint64_t seed;
	struct ge_stop stop[STOPS];
	size_t nstop;
};

/* What is to be read, by the line. */
struct reader {
	const char *name;
	int fd;
	uint8_t *buf;
	size_t from, n, cap;
	int end;
	uint64_t line;
};

/* What becomes of prompts, whatever the model is. */
struct output {
	int fd;
	uint8_t *buf;
	size_t n, cap;
};

static int
add_stop(struct options *o, const char *arg, struct ge_err *e)
{
	struct ge_stop *s = &o->stop[o->nstop];
	uint8_t *buf;

	if (*arg == '\0')
		return (ge_fail(e, GE_EUSAGE, "stop: an empty one"));
	if (o->nstop == STOPS)
		return (ge_fail(e, GE_EUSAGE, "stop '%s': more than %d", arg,
		    STOPS));
	if ((buf = ge_alloc(strlen(arg), e)) == NULL)
		return (-1);
	s->len = ge_unquote(arg, buf);
	s->s = buf;
	o->nstop++;
	return (0);
}

static int
fraction(const char *opt, const char *arg, double min, double max, float *out,
    struct ge_err *e)
{
	double v;

	if (cli_fraction(opt, arg, min, max, &v, e) == -1)
		return (-1);
	*out = (float)v;
	return (0);
}

static int
temperature(float *out, const char *arg, struct ge_err *e)
{

	if (fraction("temperature", arg, 0, 100, out, e) == -1)
		return (-1);
	return (*out > 0 && *out < 0.01f ? ge_fail(e, GE_EUSAGE, "temperature "
	    "'%s': 0, or at least 0.01", arg) : 0);
}

static int
rare(struct options *o, const char *arg, struct ge_err *e)
{
	static const char *const format[] = { "line", "raw", "json" };
	static const char *const prec[] = { "f32", "bf16" };
	static const char *const rule[] = { "half", "llama.cpp" };
	const char *v;
	int n, rc;

	if (strcmp(arg, "nll") == 0)
		return ((o->nll = 1) - 1);
	if (strcmp(arg, "whole") == 0)
		return ((o->whole = 1) - 1);
	if ((v = cli_option(arg, "ctx")) != NULL)
		return (cli_number("ctx", v, 2, 1 << 20, &o->ctx, e));
	if ((v = cli_option(arg, "length")) != NULL)
		return (cli_number("length", v, 1, 1000000, &o->length, e));
	if ((v = cli_option(arg, "stop")) != NULL)
		return (add_stop(o, v, e));
	if ((v = cli_option(arg, "temperature")) != NULL)
		return (temperature(&o->sampler.temperature, v, e));
	if ((v = cli_option(arg, "top-p")) != NULL)
		return (fraction("top-p", v, 0, 1, &o->sampler.top_p, e));
	if ((v = cli_option(arg, "top-k")) != NULL) {
		rc = cli_number("top-k", v, 0, 1 << 20, &n, e);
		o->sampler.top_k = rc == 0 ? (size_t)n : 0;
		return (rc);
	}
	if ((v = cli_option(arg, "seed")) != NULL)
		return (ge_num_parse(v, strlen(v), &o->seed) == 0 ? 0 :
		    ge_fail(e, GE_EUSAGE, "seed '%s': not a number below "
		    "2^64", v));
	n = 0;
	if ((v = cli_option(arg, "format")) != NULL) {
		rc = cli_word("format", v, format, 3, &n, e);
		o->format = (enum format)n;
		return (rc);
	}
	if ((v = cli_option(arg, "prec")) != NULL) {
		rc = cli_word("prec", v, prec, 2, &n, e);
		o->prec = (enum ge_prec)n;
		return (rc);
	}
	if ((v = cli_option(arg, "rule")) != NULL) {
		rc = cli_word("rule", v, rule, 2, &n, e);
		o->rule = (enum ge_rule)n;
		return (rc);
	}
	return (cli_unknown(arg, e));
}

/* What excludes what. */
static int
check(const struct options *o, struct ge_err *e)
{

	if (o->rule != GE_RULE_HALF && !o->nll)
		return (ge_fail(e, GE_EUSAGE, "rule: it is for -O nll"));
	if (o->nll && o->whole)
		return (ge_fail(e, GE_EUSAGE, "nll and whole: one of them"));
	return (0);
}

static int
reader_open(struct reader *r, const char *path, struct ge_err *e)
{

	memset(r, 0, sizeof(*r));
	r->name = strcmp(path, "-") == 0 ? "standard input" : path;
	r->fd = strcmp(path, "-") == 0 ? 0 : ge_input_open(path, e);
	return (r->fd == -1 ? -1 : 0);
}

static void
reader_close(struct reader *r)
{

	if (r->fd > 0)
		close(r->fd);
	ge_free(r->buf);
	r->buf = NULL;
	r->fd = 0;
}

/* More bytes behind those there are, at most so many in all. */
static int
more(struct reader *r, size_t most, struct ge_err *e)
{
	size_t got;

	if (r->n - r->from > most)
		return (ge_fail(e, GE_EUSAGE, "'%s': more than %zu MiB%s",
		    r->name, most >> 20, most == PROMPT_MAX ? " on a line" :
		    ""));
	if (r->from > 0) {
		memmove(r->buf, r->buf + r->from, r->n - r->from);
		r->n -= r->from;
		r->from = 0;
	}
	if (ge_grow(&r->buf, &r->cap, r->n + (64 << 10), 1, e) == -1)
		return (-1);
	if (ge_read(r->fd, r->buf + r->n, r->cap - r->n, &got, e) == -1)
		return (ge_within(e, "'%s'", r->name));
	r->n += got;
	r->end = got == 0;
	return (0);
}

static int
checked(const struct reader *r, const uint8_t *s, size_t len,
    struct ge_err *e)
{
	size_t good = ge_utf8_check(s, len);

	if (good == len)
		return (0);
	if (r->line > 0)
		return (ge_fail(e, GE_EREFUSED, "'%s': line %llu: not UTF-8",
		    r->name, (unsigned long long)r->line));
	return (ge_fail(e, GE_EREFUSED, "'%s': not UTF-8 at byte %zu", r->name,
	    good));
}

/* The next line, checked: 1, 0 behind the last, -1. */
static int
next_line(struct reader *r, const uint8_t **s, size_t *len, struct ge_err *e)
{
	const uint8_t *nl;
	size_t seen = 0;

	for (;;) {
		nl = r->n - r->from == seen ? NULL : memchr(r->buf + r->from +
		    seen, '\n', r->n - r->from - seen);
		if (nl != NULL || r->end)
			break;
		seen = r->n - r->from;
		if (more(r, PROMPT_MAX, e) == -1)
			return (-1);
	}
	if (nl == NULL && r->n == r->from)
		return (0);
	*s = r->buf + r->from;
	*len = nl != NULL ? (size_t)(nl - *s) : r->n - r->from;
	r->from += *len + (nl != NULL);
	r->line++;
	return (checked(r, *s, *len, e) == -1 ? -1 : 1);
}

/* All of it, checked. */
static int
all(struct reader *r, const uint8_t **s, size_t *len, struct ge_err *e)
{

	while (!r->end)
		if (more(r, TEXT_MAX, e) == -1)
			return (-1);
	*s = r->buf;
	*len = r->n;
	return (checked(r, *s, *len, e));
}

static int
flush(struct output *out, struct ge_err *e)
{
	size_t n = out->n;

	out->n = 0;
	return (ge_write(out->fd, out->buf, n, e) == -1 ? ge_within(e,
	    "output") : 0);
}

static int
emit(void *arg, const uint8_t *s, size_t len, struct ge_err *e)
{
	struct output *out = arg;

	return (ge_write(out->fd, s, len, e) == -1 ? ge_within(e, "output") :
	    0);
}

static int
put(struct output *out, const char *s, struct ge_err *e)
{

	return (ge_append(&out->buf, &out->n, &out->cap, s, strlen(s), e));
}

/* What became of a prompt, in the format. */
static int
tell(struct output *out, const struct options *o, const struct ge_completer *c,
    const uint8_t *prompt, size_t len, struct ge_err *e)
{
	static const char *const why[] = { "end", "length", "stop" };
	char rest[80];

	if (o->format == JSON) {
		snprintf(rest, sizeof(rest), ", \"tokens\": %zu, "
		    "\"stop\": \"%s\"}", c->tokens, why[c->why]);
		if (put(out, "{\"prompt\": ", e) == -1 ||
		    ge_quote_json(prompt, len, &out->buf, &out->n, &out->cap,
		    e) == -1 || put(out, ", \"text\": ", e) == -1 ||
		    ge_quote_json(c->text, c->len, &out->buf, &out->n,
		    &out->cap, e) == -1 || put(out, rest, e) == -1)
			return (-1);
	} else if (o->format == LINE && ge_quote_line(c->text, c->len,
	    &out->buf, &out->n, &out->cap, e) == -1) {
		return (-1);
	}
	return (put(out, "\n", e) == -1 ? -1 : flush(out, e));
}

struct run {
	const struct options *o;
	struct ge_completer c;
	struct output out;
	uint64_t prompts, tokens;
};

static int
complete_file(struct run *y, struct reader *r, struct ge_err *e)
{
	const uint8_t *s;
	size_t len;
	int rc;

	for (;;) {
		rc = y->o->whole ? r->end ? 0 : all(r, &s, &len, e) == -1 ? -1 :
		    1 : next_line(r, &s, &len, e);
		if (rc <= 0)
			return (rc);
		if (y->o->whole && len > 0 && s[len - 1] == '\n')
			len--;
		if (ge_complete(&y->c, s, len, y->prompts++, e) == -1 ||
		    tell(&y->out, y->o, &y->c, s, len, e) == -1)
			return (-1);
		y->tokens += y->c.tokens;
	}
}

static int
score_file(struct run *y, struct reader *r, struct ge_err *e)
{
	char name[PATH], line[PATH + 160];
	const uint8_t *s;
	struct ge_score sc;
	double each, bits;
	size_t len;

	if (all(r, &s, &len, e) == -1)
		return (-1);
	if (len == 0)
		return (ge_fail(e, GE_EUSAGE, "'%s': no text", r->name));
	if (ge_score(&y->c, y->o->rule, s, len, &sc, e) == -1)
		return (ge_within(e, "'%s'", r->name));
	if (!isfinite(sc.nats))
		return (ge_fail(e, GE_EREFUSED, "what the model says is not a "
		    "number"));
	if (ge_percent(name, sizeof(name), r->fd == 0 ? "-" : r->name,
	    r->fd == 0 ? 1 : strlen(r->name), 0) == -1)
		strcpy(name, "?");
	each = sc.tokens > 0 ? sc.nats / (double)sc.tokens : 0;
	bits = sc.bytes > 0 ? sc.nats / log(2) / (double)sc.bytes : 0;
	snprintf(line, sizeof(line), "%s\t%llu\t%llu\t%.4f\t%.6f\t%.6f\t%.4f\n",
	    name, (unsigned long long)sc.bytes, (unsigned long long)sc.tokens,
	    sc.nats, each, bits, exp(each));
	y->tokens += sc.tokens;
	y->prompts++;
	return (put(&y->out, line, e) == -1 ? -1 : flush(&y->out, e));
}

static int
each_file(struct run *y, int n, char **file, struct ge_err *e)
{
	struct reader r;
	int i, rc = 0;

	if (y->o->nll && put(&y->out, "#text\tbytes\ttokens\tnats\tnats/token\t"
	    "bits/byte\tperplexity\n", e) == -1)
		return (-1);
	for (i = 0; i < (n > 0 ? n : 1) && rc == 0; i++) {
		if (reader_open(&r, n > 0 ? file[i] : "-", e) == -1)
			return (-1);
		rc = y->o->nll ? score_file(y, &r, e) : complete_file(y, &r,
		    e);
		reader_close(&r);
	}
	return (rc);
}

static int
set_ctx(struct run *y, const struct ge_model *model, const char *name,
    struct ge_err *e)
{
	size_t most = model->dims.ctx;

	if (most < 2)
		return (ge_fail(e, GE_EREFUSED, "'%s': a context of %zu tokens",
		    name, most));
	if (y->o->ctx > 0 && (size_t)y->o->ctx > most)
		return (ge_fail(e, GE_EUSAGE, "ctx '%d': the model has %zu",
		    y->o->ctx, most));
	y->c.ctx = y->o->ctx > 0 ? (size_t)y->o->ctx : most < CTX ? most : CTX;
	return (0);
}

static int
apply(const struct options *o, const struct predict *p, struct ge_err *e)
{
	struct ge_model model;
	struct ge_pool *pool = NULL;
	struct run y;
	double began, took;
	int rc = -1;

	memset(&model, 0, sizeof(model));
	memset(&y, 0, sizeof(y));
	y.o = o;
	y.out.fd = cli_stdout();
	if (ge_model_load(&model, p->model, e) == -1 ||
	    set_ctx(&y, &model, p->model, e) == -1 ||
	    (pool = ge_pool_new(p->jobs, e)) == NULL ||
	    (y.c.infer = ge_infer_new(&model.dims, model.params, o->prec,
	    y.c.ctx, pool, e)) == NULL)
		goto out;
	ge_block_free(model.params);
	model.params = NULL;
	y.c.bpe = &model.bpe;
	y.c.vocab = model.bpe.ntokens < model.dims.vocab ? model.bpe.ntokens :
	    model.dims.vocab;
	y.c.first = model.bpe.begin;
	y.c.empty = model.bos >= 0 ? model.bos : model.bpe.end;
	y.c.sampler = o->sampler;
	y.c.seed = o->seed;
	y.c.length = (size_t)o->length;
	y.c.stop = o->stop;
	y.c.nstop = o->nstop;
	y.c.emit = o->format == RAW ? emit : NULL;
	y.c.arg = &y.out;
	began = ge_clock();
	if (each_file(&y, p->n, p->file, e) == -1)
		goto out;
	took = ge_clock() - began;
	if (cli_verbosity() > 0 && !cli_is_quiet())
		cli_say("%llu %s%s, %llu tokens, %.1f tokens/s",
		    (unsigned long long)y.prompts, o->nll ? "text" : "prompt",
		    cli_plural(y.prompts), (unsigned long long)y.tokens,
		    took > 0 ? (double)y.tokens / took : 0);
	rc = 0;
out:
	ge_complete_release(&y.c);
	ge_free(y.out.buf);
	ge_infer_free(y.c.infer);
	ge_pool_free(pool);
	ge_model_release(&model);
	return (rc);
}

static int
run(const struct predict *p, struct ge_err *e)
{
	struct options o;
	size_t i;
	int rc = 0;

	memset(&o, 0, sizeof(o));
	o.length = 128;
	o.sampler.temperature = 0.8f;
	o.sampler.top_p = 0.95f;
	for (i = 0; i < p->nopts && rc == 0; i++)
		rc = rare(&o, p->opt[i], e);
	if (rc == 0 && (rc = check(&o, e)) == 0)
		rc = apply(&o, p, e);
	while (o.nstop > 0)
		ge_free((void *)(uintptr_t)o.stop[--o.nstop].s);
	return (rc);
}

static const char *const names[] = {
	"ctx", "format", "length", "nll", "prec", "rule", "seed", "stop",
	"temperature", "top-k", "top-p", "whole", NULL
};

const struct predict_family predict_lm = { "config.json", names, run };
