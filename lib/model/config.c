#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "util/mem.h"

enum {
	MOST = 1 << 20			/* of any dimension */
};

static int
cannot(struct ge_err *e, const char *name)
{

	return (ge_fail(e, GE_EREFUSED, "this '%s' cannot be done here", name));
}

/* The member, or NULL if it is not there or null. */
static json_t *
member(json_t *o, const char *name)
{
	json_t *v = json_object_get(o, name);

	return (json_is_null(v) ? NULL : v);
}

/* A number from 1 on; not there it is `without`, or refused if that is 0. */
static int
count(json_t *o, const char *name, size_t without, size_t *out,
    struct ge_err *e)
{
	json_t *v = member(o, name);

	if (v == NULL && without != 0) {
		*out = without;
		return (0);
	}
	if (v == NULL)
		return (ge_fail(e, GE_EREFUSED, "no '%s'", name));
	if (!json_is_integer(v) || json_integer_value(v) < 1 ||
	    json_integer_value(v) > MOST)
		return (ge_fail(e, GE_EREFUSED, "'%s' is no number from 1 to "
		    "%d", name, MOST));
	*out = (size_t)json_integer_value(v);
	return (0);
}

/* A number between two; not there it is `without`, if that is one of them. */
static int
real(json_t *o, const char *name, double without, double least, double most,
    float *out, struct ge_err *e)
{
	json_t *v = member(o, name);
	double x = without;

	if (v == NULL && x < least)
		return (ge_fail(e, GE_EREFUSED, "no '%s'", name));
	if (v != NULL && !json_is_number(v))
		return (ge_fail(e, GE_EREFUSED, "'%s' is no number", name));
	if (v != NULL)
		x = json_number_value(v);
	if (!(x >= least && x <= most))
		return (ge_fail(e, GE_EREFUSED, "'%s' is not from %g to %g",
		    name, least, most));
	*out = (float)x;
	return (0);
}

/* What has to be this if it is there. */
static int
same(json_t *o, const char *name, const char *want, struct ge_err *e)
{
	json_t *v = member(o, name);

	if (v != NULL && (!json_is_string(v) ||
	    strcmp(json_string_value(v), want) != 0))
		return (cannot(e, name));
	return (0);
}

static int
none(json_t *o, const char *name, struct ge_err *e)
{
	json_t *v = member(o, name);

	return (v == NULL || json_is_false(v) ? 0 : cannot(e, name));
}

static int
token(json_t *o, const char *name, size_t vocab, int32_t *out,
    struct ge_err *e)
{
	json_t *v = member(o, name);

	*out = -1;
	if (json_is_array(v))
		v = json_array_get(v, 0);
	if (v == NULL)
		return (0);
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (size_t)json_integer_value(v) >= vocab)
		return (ge_fail(e, GE_EREFUSED, "'%s' is no token", name));
	*out = (int32_t)json_integer_value(v);
	return (0);
}

/* How positions are slowed: rope_scaling, or rope_parameters. */
static int
scaling(struct ge_llama_dims *d, json_t *o, const char *name,
    struct ge_err *e)
{
	json_t *v = member(o, name), *type;
	const char *s;

	if (v == NULL)
		return (0);
	if (!json_is_object(v))
		return (cannot(e, name));
	if ((type = member(v, "rope_type")) == NULL)
		type = member(v, "type");
	s = json_string_value(type);
	if (type == NULL || (s != NULL && strcmp(s, "default") == 0))
		return (0);
	if (s == NULL || strcmp(s, "llama3") != 0)
		return (cannot(e, name));
	if (real(v, "factor", 0, 1, 1 << 20, &d->rope.factor, e) == -1 ||
	    real(v, "low_freq_factor", 0, 1e-6, 1e6, &d->rope.low, e) == -1 ||
	    real(v, "high_freq_factor", 0, 1e-6, 1e6, &d->rope.high, e) ==
	    -1 || count(v, "original_max_position_embeddings", 0,
	    &d->rope.ctx, e) == -1)
		return (ge_within(e, "'%s'", name));
	if (d->rope.low >= d->rope.high)
		return (cannot(e, name));
	return (0);
}

static int
positions(struct ge_llama_dims *d, json_t *o, struct ge_err *e)
{
	json_t *p = member(o, "rope_parameters");

	/* Newer files have theta there as well. */
	if (member(p, "rope_theta") == NULL)
		p = o;
	if (real(p, "rope_theta", 10000, 1, 1e12, &d->theta, e) == -1 ||
	    scaling(d, o, "rope_scaling", e) == -1 ||
	    scaling(d, o, "rope_parameters", e) == -1)
		return (-1);
	p = member(o, "partial_rotary_factor");
	if (p != NULL && (!json_is_number(p) || json_number_value(p) != 1))
		return (cannot(e, "partial_rotary_factor"));
	return (0);
}

static int
kind(json_t *o, struct ge_err *e)
{
	json_t *v = member(o, "architectures");

	if (member(o, "model_type") == NULL)
		return (ge_fail(e, GE_EREFUSED, "no 'model_type'"));
	if (same(o, "model_type", "llama", e) == -1)
		return (-1);
	if (v != NULL && (json_array_size(v) != 1 || !json_is_string(
	    json_array_get(v, 0)) || strcmp(json_string_value(json_array_get(v,
	    0)), "LlamaForCausalLM") != 0))
		return (cannot(e, "architectures"));
	if (same(o, "hidden_act", "silu", e) == -1 ||
	    none(o, "attention_bias", e) == -1 ||
	    none(o, "mlp_bias", e) == -1 ||
	    none(o, "rope_interleaved", e) == -1 ||
	    none(o, "quantization_config", e) == -1)
		return (-1);
	return (0);
}

static int
dimensions(struct ge_llama_dims *d, json_t *o, struct ge_err *e)
{
	json_t *tied = member(o, "tie_word_embeddings");

	if (count(o, "vocab_size", 0, &d->vocab, e) == -1 ||
	    count(o, "hidden_size", 0, &d->dim, e) == -1 ||
	    count(o, "intermediate_size", 0, &d->ff, e) == -1 ||
	    count(o, "num_hidden_layers", 0, &d->layers, e) == -1 ||
	    count(o, "num_attention_heads", 0, &d->heads, e) == -1 ||
	    count(o, "num_key_value_heads", d->heads, &d->kv, e) == -1 ||
	    count(o, "max_position_embeddings", 2048, &d->ctx, e) == -1 ||
	    real(o, "rms_norm_eps", 1e-6, 1e-12, 1, &d->eps, e) == -1)
		return (-1);
	if (member(o, "head_dim") == NULL && d->dim % d->heads != 0)
		return (ge_fail(e, GE_EREFUSED, "'hidden_size' is no multiple "
		    "of 'num_attention_heads'"));
	if (count(o, "head_dim", d->dim / d->heads, &d->hd, e) == -1)
		return (-1);
	if (tied != NULL && !json_is_boolean(tied))
		return (cannot(e, "tie_word_embeddings"));
	d->tied = json_is_true(tied);
	if (ge_llama_check(d, e) == -1) {
		e->code = GE_EREFUSED;
		return (-1);
	}
	return (0);
}

int
ge_config_parse(struct ge_llama_dims *d, int32_t *bos, int32_t *eos,
    const char *buf, size_t len, struct ge_err *e)
{
	json_error_t why;
	json_t *o;
	int rc = -1;

	memset(d, 0, sizeof(*d));
	*bos = *eos = -1;
	if (len > GE_CONFIG_MAX)
		return (ge_fail(e, GE_EREFUSED, "it is too long"));
	o = json_loadb(buf, len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(o))
		ge_fail(e, GE_EREFUSED, "no JSON object%s%.100s", o == NULL ?
		    ": " : "", o == NULL ? why.text : "");
	else if (kind(o, e) == 0 && dimensions(d, o, e) == 0 &&
	    positions(d, o, e) == 0 &&
	    token(o, "bos_token_id", d->vocab, bos, e) == 0 &&
	    token(o, "eos_token_id", d->vocab, eos, e) == 0)
		rc = 0;
	json_decref(o);
	return (rc);
}

/* The shortest decimal that is this number again. */
static const char *
shortest(char out[32], float x)
{
	int digits = 1;

	if (x >= 1 && x < 1e6f && x == (float)(int)x) {
		snprintf(out, 32, "%d.0", (int)x);
		return (out);
	}
	do
		snprintf(out, 32, "%.*g", digits, (double)x);
	while (strtof(out, NULL) != x && digits++ < 9);
	return (out);
}

static const char *
id(char out[16], int32_t t)
{

	snprintf(out, 16, "%" PRId32, t);
	return (t < 0 ? "null" : out);
}

int
ge_config_print(const struct ge_llama_dims *d, int32_t bos, int32_t eos,
    enum ge_dtype dtype, char **buf, size_t *len, struct ge_err *e)
{
	enum { ROOM = 4096 };
	static const char *const type[] = { "float32", "float16", "bfloat16" };
	char f[4][32], rope[400] = "null", t[2][16];
	int n;

	if (d->rope.factor > 0)
		snprintf(rope, sizeof(rope), "{\n"
		    "    \"factor\": %s,\n"
		    "    \"high_freq_factor\": %s,\n"
		    "    \"low_freq_factor\": %s,\n"
		    "    \"original_max_position_embeddings\": %zu,\n"
		    "    \"rope_type\": \"llama3\"\n"
		    "  }", shortest(f[0], d->rope.factor),
		    shortest(f[1], d->rope.high), shortest(f[2], d->rope.low),
		    d->rope.ctx);
	if ((*buf = ge_alloc(ROOM, e)) == NULL)
		return (-1);
	n = snprintf(*buf, ROOM, "{\n"
	    "  \"architectures\": [\n    \"LlamaForCausalLM\"\n  ],\n"
	    "  \"attention_bias\": false,\n"
	    "  \"attention_dropout\": 0.0,\n"
	    "  \"bos_token_id\": %s,\n"
	    "  \"eos_token_id\": %s,\n"
	    "  \"head_dim\": %zu,\n"
	    "  \"hidden_act\": \"silu\",\n"
	    "  \"hidden_size\": %zu,\n"
	    "  \"initializer_range\": 0.02,\n"
	    "  \"intermediate_size\": %zu,\n"
	    "  \"max_position_embeddings\": %zu,\n"
	    "  \"mlp_bias\": false,\n"
	    "  \"model_type\": \"llama\",\n"
	    "  \"num_attention_heads\": %zu,\n"
	    "  \"num_hidden_layers\": %zu,\n"
	    "  \"num_key_value_heads\": %zu,\n"
	    "  \"pretraining_tp\": 1,\n"
	    "  \"rms_norm_eps\": %s,\n"
	    "  \"rope_scaling\": %s,\n"
	    "  \"rope_theta\": %s,\n"
	    "  \"tie_word_embeddings\": %s,\n"
	    "  \"torch_dtype\": \"%s\",\n"
	    "  \"use_cache\": true,\n"
	    "  \"vocab_size\": %zu\n"
	    "}\n", id(t[0], bos), id(t[1], eos), d->hd, d->dim, d->ff, d->ctx,
	    d->heads, d->layers, d->kv, shortest(f[0], d->eps), rope,
	    shortest(f[1], d->theta), d->tied ? "true" : "false", type[dtype],
	    d->vocab);
	*len = (size_t)n;
	return (0);
}
