#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/lmrun.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/buf.h"

static const char *
precision(const struct ge_lm *lm)
{

	return (lm->o.train.prec == GE_BF16 ? "bf16" : "f32");
}

static double
grams(const struct ge_lm *lm)
{

	return (lm->s.p.joules / 3.6e6 * lm->o.gco2);
}

static json_t *
data(const struct ge_lm *lm)
{
	char hex[65];
	json_t *j;

	j = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f}",
	    "sha256", ge_hex(hex, lm->data, 32),
	    "documents", (json_int_t)lm->corpus.ndocs,
	    "held_out", (json_int_t)lm->corpus.nval,
	    "bytes", (json_int_t)lm->corpus.bytes,
	    "tokens", (json_int_t)lm->train.n,
	    "tokens_held_out", (json_int_t)lm->val.n,
	    "share_held_out", lm->o.val);
	if (j != NULL && lm->o.digest != NULL)
		json_object_set_new(j, "set_digest",
		    json_string(lm->o.digest));
	return (j);
}

static json_t *
dimensions(const struct ge_lm *lm)
{
	const struct ge_llama_dims *d = &lm->model.dims;

	return (json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:b, s:f}",
	    "parameters", (json_int_t)ge_llama_params(d),
	    "vocab", (json_int_t)d->vocab, "dim", (json_int_t)d->dim,
	    "layers", (json_int_t)d->layers, "heads", (json_int_t)d->heads,
	    "kv", (json_int_t)d->kv, "head", (json_int_t)d->hd,
	    "ff", (json_int_t)d->ff, "ctx", (json_int_t)d->ctx,
	    "tied", d->tied, "theta", (double)d->theta));
}

static json_t *
options(const struct ge_lm *lm)
{
	const struct ge_train_opts *t = &lm->t->o;
	json_t *j;

	j = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, "
	    "s:f, s:f, s:f, s:f, s:f}",
	    "prec", precision(lm), "seed", (json_int_t)t->seed,
	    "batch", (json_int_t)t->batch, "len", (json_int_t)t->len,
	    "shards", (json_int_t)t->shards, "steps",
	    (json_int_t)lm->s.p.step, "course", (json_int_t)t->steps,
	    "warmup", (json_int_t)t->warmup,
	    "schedule", t->schedule == GE_WSD ? "wsd" : "cosine",
	    "lr", (double)t->lr, "lr-end", (double)t->lr_end,
	    "beta1", (double)t->b1, "beta2", (double)t->b2,
	    "eps", (double)t->eps, "decay", (double)t->decay,
	    "clip", (double)t->clip);
	if (j != NULL && t->lora.rank > 0) {
		json_object_set_new(j, "lora", json_integer(
		    (json_int_t)t->lora.rank));
		json_object_set_new(j, "alpha",
		    json_real((double)t->lora.alpha));
	}
	if (j != NULL && t->outer > 0) {
		json_object_set_new(j, "outer",
		    json_integer((json_int_t)t->outer));
		json_object_set_new(j, "together",
		    json_integer((json_int_t)t->together));
		json_object_set_new(j, "ranks",
		    json_integer(ge_ranks_size(lm->ranks)));
	}
	return (j);
}

static json_t *
baselines(const struct ge_lm *lm)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < GE_BASELINES && lm->base[i].name != NULL; i++)
		json_array_append_new(a, json_pack(
		    "{s:s, s:f, s:f, s:f, s:f, s:I}",
		    "name", lm->base[i].name, "nats", lm->base[i].nats,
		    "bits_a_byte", ge_lm_bits(lm, lm->base[i].nats),
		    "seconds", lm->base[i].seconds,
		    "joules", lm->base[i].seconds * lm->base_watts,
		    "memory", (json_int_t)lm->base[i].bytes));
	return (a);
}

static json_t *
result(const struct ge_lm *lm)
{
	const struct ge_progress *p = &lm->s.p;
	json_t *j;

	j = json_pack("{s:I, s:I, s:s, s:f, s:f, s:f, s:s}",
	    "steps", (json_int_t)p->step, "tokens", (json_int_t)p->tokens,
	    "stopped_by", lm->stopped, "loss", p->loss,
	    "seconds", p->seconds, "joules", p->joules,
	    "energy_method", ge_energy_method(&lm->energy));
	if (j == NULL)
		return (NULL);
	if (lm->val.n > 0) {
		json_object_set_new(j, "val", json_real(p->val));
		json_object_set_new(j, "val_bits_a_byte",
		    json_real(ge_lm_bits(lm, p->val)));
		json_object_set_new(j, "baselines", baselines(lm));
	}
	if (lm->o.gco2 > 0)
		json_object_set_new(j, "gco2", json_real(grams(lm)));
	return (j);
}

char *
ge_lm_report(const struct ge_lm *lm, struct ge_err *e)
{
	char *text = NULL, *out = NULL, hex[65];
	json_t *j;

	j = json_pack("{s:s, s:s+, s:I, s:o?, s:s, s:o?, s:o?, s:o?}",
	    "family", "lm", "program", "getools ", lm->o.version,
	    "started", (json_int_t)lm->started,
	    "data", data(lm), "tokenizer_sha256",
	    ge_hex(hex, lm->tokenizer, 32), "model", dimensions(lm),
	    "options", options(lm), "result", result(lm));
	if (j != NULL && lm->o.base != NULL)
		json_object_set_new(j, "base", json_string(lm->o.base));
	if (j != NULL)
		text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
	if (text == NULL)
		ge_fail(e, GE_EFAIL, "out of memory");
	else if ((out = ge_alloc(strlen(text) + 2, e)) != NULL)
		sprintf(out, "%s\n", text);
	json_decref(j);
	free(text);
	return (out);
}

/*
 * The card: Markdown with the head that Hugging Face reads.
 */

static void
put_results(struct ge_buf *t, const struct ge_lm *lm)
{
	const struct ge_progress *p = &lm->s.p;
	size_t i;

	ge_buf_put(t, "## Results\n\nOn %" PRIu64 " of %" PRIu64 " documents, "
	    "held out by a hash of each:\n\n| model | nats a token | bits a byte | "
	    "seconds | joules |\n|---|---|---|---|---|\n", lm->corpus.nval,
	    lm->corpus.ndocs);
	for (i = 0; i < GE_BASELINES && lm->base[i].name != NULL; i++)
		ge_buf_put(t, "| %s | %.4f | %.4f | %.2f | %.3g |\n",
		    lm->base[i].name,
		    lm->base[i].nats, ge_lm_bits(lm, lm->base[i].nats),
		    lm->base[i].seconds, lm->base[i].seconds * lm->base_watts);
	ge_buf_put(t, "| **this** | **%.4f** | **%.4f** | %.2f | %.3g |\n\n",
	    p->val,
	    ge_lm_bits(lm, p->val), p->seconds, p->joules);
}

char *
ge_lm_card(const struct ge_lm *lm, struct ge_err *e)
{
	const struct ge_llama_dims *d = &lm->model.dims;
	const struct ge_progress *p = &lm->s.p;
	struct ge_buf t = { .e = e };
	char hex[65], *card;

	ge_buf_put(&t, "---\nlibrary_name: transformers\npipeline_tag: "
	    "text-generation\ntags:\n- llama\n- getools\n---\n\n"
	    "# A language model of %.1f million parameters\n\n",
	    (double)ge_llama_params(d) / 1e6);
	ge_buf_put(&t, "Llama architecture: %zu layers, width %zu, %zu heads (%zu "
	    "of keys and values), hidden width %zu, %zu positions, a vocabulary "
	    "of %zu byte-level tokens.\n\n", d->layers, d->dim, d->heads,
	    d->kv, d->ff, d->ctx, d->vocab);
	ge_buf_put(&t, "## Data\n\n%" PRIu64 " documents, %" PRIu64 " bytes, %"
	    PRIu64 " tokens to train on; SHA-256 `%s`%s%s%s.\n\n",
	    lm->corpus.ndocs, lm->corpus.bytes, lm->train.n,
	    ge_hex(hex, lm->data, 32),
	    lm->o.digest != NULL ? "; fragment set `" : "",
	    lm->o.digest != NULL ? lm->o.digest : "",
	    lm->o.digest != NULL ? "`" : "");
	ge_buf_put(&t, "## Training\n\n%s%s%s%" PRIu64 " steps of %zu sequences "
	    "of %zu tokens, %s, seed %" PRIu64 ", by getools %s; stopped "
	    "by: %s. All options are in run.json.\n\n",
	    lm->o.base != NULL ? "Continued from `" : "",
	    lm->o.base != NULL ? lm->o.base : "",
	    lm->o.base != NULL ? "`. " : "", p->step, lm->o.train.batch,
	    lm->o.train.len, precision(lm), lm->o.train.seed, lm->o.version,
	    lm->stopped);
	ge_buf_put(&t, "It took %.0f seconds and %.0f joules (method: %s)",
	    p->seconds, p->joules, ge_energy_method(&lm->energy));
	if (lm->o.gco2 > 0)
		ge_buf_put(&t, ", %.3g grams of CO2 at %g grams a "
		    "kilowatt-hour",
		    grams(lm), lm->o.gco2);
	ge_buf_put(&t, ".\n\n");
	if (lm->val.n > 0)
		put_results(&t, lm);
	ge_buf_put(&t, "## Limits\n\nIt writes what looks like the text that "
	    "it learnt from, true or not. Nobody has examined it for bias or for "
	    "personal data that it may repeat.\n");
	(void)ge_buf_done(&t, &card, NULL);
	return (card);
}
