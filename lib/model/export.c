#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/gguf.h"
#include "model/model_int.h"
#include "util/mem.h"

/*
 * What llama.cpp calls things, and its order of rows: it rotates neighbours
 * where Hugging Face rotates halves of a head.
 */
enum {
	NORMAL = 1, CONTROL = 3, UNUSED = 5	/* kinds of token */
};

/* How it cuts text; NULL: not as this does. */
static const char *
pre(const struct ge_bpe *b)
{

	switch (b->split) {
	case GE_SPLIT_LLAMA3:
		/* The same expression; only the first takes whole pieces. */
		return (b->whole ? "llama-bpe" : "dbrx");
	case GE_SPLIT_SMOLLM:
		return (b->whole ? NULL : "smollm");
	case GE_SPLIT_GPT2:
		return (b->whole ? NULL : "gpt-2");
	}
	return (NULL);
}

static int
by_text(const void *a, const void *b)
{

	return (strcmp(*(char *const *)a, *(char *const *)b));
}

/* It ends itself if two tokens have one name. */
static int
differ(char **name, size_t n, struct ge_err *e)
{
	char **sorted;
	size_t i;
	int rc = 0;

	if ((sorted = ge_alloc(n * sizeof(*sorted), e)) == NULL)
		return (-1);
	memcpy(sorted, name, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_text);
	for (i = 1; rc == 0 && i < n; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			rc = ge_fail(e, GE_EREFUSED, "two tokens are written "
			    "'%s'", sorted[i]);
	ge_free(sorted);
	return (rc);
}

static char *
name_of(const struct ge_bpe *b, size_t i, struct ge_err *e)
{
	char *s;

	if (i < b->ntokens && b->token[i].len > 0)
		return (ge_bpe_show(b, (int32_t)i, e));
	if ((s = ge_alloc(32, e)) != NULL)
		snprintf(s, 32, "[PAD%zu]", i);
	return (s);
}

/* As many as rows of the embedding. */
static int
tokens(struct ge_gguf *g, const struct ge_model *m, struct ge_err *e)
{
	const struct ge_bpe *b = &m->bpe;
	size_t n = m->dims.vocab, i;
	char **name;
	int32_t *type = NULL;
	int rc = -1;

	if ((name = ge_alloc(n * sizeof(*name), e)) == NULL ||
	    (type = ge_alloc(n * sizeof(*type), e)) == NULL)
		goto out;
	for (i = 0; i < n; i++) {
		if ((name[i] = name_of(b, i, e)) == NULL)
			goto out;
		type[i] = i >= b->ntokens || b->token[i].len == 0 ? UNUSED :
		    b->token[i].special ? CONTROL : NORMAL;
	}
	if (differ(name, n, e) == -1 ||
	    ge_gguf_strings(g, "tokenizer.ggml.tokens", n, e) == -1)
		goto out;
	for (i = 0; i < n; i++)
		if (ge_gguf_item(g, name[i], e) == -1)
			goto out;
	rc = ge_gguf_numbers(g, "tokenizer.ggml.token_type", type, n, e);
out:
	for (i = 0; name != NULL && i < n; i++)
		ge_free(name[i]);
	ge_free(name);
	ge_free(type);
	return (rc);
}

static int
merge(struct ge_gguf *g, const struct ge_bpe *b, const struct ge_bpe_merge *m,
    struct ge_err *e)
{
	char *l = ge_bpe_show(b, m->left, e), *r = NULL, *both = NULL;
	size_t len;
	int rc = -1;

	if (l == NULL || (r = ge_bpe_show(b, m->right, e)) == NULL)
		goto out;
	len = strlen(l) + strlen(r) + 2;
	if ((both = ge_alloc(len, e)) == NULL)
		goto out;
	snprintf(both, len, "%s %s", l, r);
	rc = ge_gguf_item(g, both, e);
out:
	ge_free(l);
	ge_free(r);
	ge_free(both);
	return (rc);
}

static int
tokenizer(struct ge_gguf *g, const struct ge_model *m, struct ge_err *e)
{
	const struct ge_bpe *b = &m->bpe;
	int32_t bos = m->bos >= 0 ? m->bos : m->eos;
	size_t i;

	if (b->ntokens > m->dims.vocab)
		return (ge_fail(e, GE_EREFUSED, "more tokens than the model "
		    "has"));
	if (pre(b) == NULL)
		return (ge_fail(e, GE_EREFUSED, "llama.cpp has no tokenizer "
		    "that cuts text like this"));
	if (ge_gguf_string(g, "tokenizer.ggml.model", "gpt2", e) == -1 ||
	    ge_gguf_string(g, "tokenizer.ggml.pre", pre(b), e) == -1 ||
	    tokens(g, m, e) == -1 ||
	    ge_gguf_strings(g, "tokenizer.ggml.merges", b->nmerges, e) == -1)
		return (-1);
	for (i = 0; i < b->nmerges; i++)
		if (merge(g, b, &b->merge[i], e) == -1)
			return (-1);
	if (bos >= 0 && ge_gguf_u32(g, "tokenizer.ggml.bos_token_id",
	    (uint64_t)bos, e) == -1)
		return (-1);
	if (m->eos >= 0 && ge_gguf_u32(g, "tokenizer.ggml.eos_token_id",
	    (uint64_t)m->eos, e) == -1)
		return (-1);
	return (ge_gguf_bool(g, "tokenizer.ggml.add_bos_token", b->begin >= 0,
	    e));
}

static int
numbers(struct ge_gguf *g, const struct ge_llama_dims *d, struct ge_err *e)
{
	const struct {
		const char *key;
		uint64_t v;
	} all[] = {
		{ "llama.vocab_size", d->vocab },
		{ "llama.context_length", d->ctx },
		{ "llama.embedding_length", d->dim },
		{ "llama.block_count", d->layers },
		{ "llama.feed_forward_length", d->ff },
		{ "llama.attention.head_count", d->heads },
		{ "llama.attention.head_count_kv", d->kv },
		{ "llama.attention.key_length", d->hd },
		{ "llama.attention.value_length", d->hd },
		{ "llama.rope.dimension_count", d->hd }
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (ge_gguf_u32(g, all[i].key, all[i].v, e) == -1)
			return (-1);
	return (ge_gguf_f32(g, "llama.attention.layer_norm_rms_epsilon",
	    d->eps, e) == -1 ? -1 : ge_gguf_f32(g, "llama.rope.freq_base",
	    d->theta, e));
}

/* blk.0.attn_q.weight of model.layers.0.self_attn.q_proj.weight. */
static void
rename_tensor(char out[64], const char *name)
{
	static const char *const map[][2] = {
		{ "model.embed_tokens.weight", "token_embd" },
		{ "model.norm.weight", "output_norm" },
		{ "lm_head.weight", "output" },
		{ "input_layernorm.weight", "attn_norm" },
		{ "self_attn.q_proj.weight", "attn_q" },
		{ "self_attn.k_proj.weight", "attn_k" },
		{ "self_attn.v_proj.weight", "attn_v" },
		{ "self_attn.o_proj.weight", "attn_output" },
		{ "post_attention_layernorm.weight", "ffn_norm" },
		{ "mlp.gate_proj.weight", "ffn_gate" },
		{ "mlp.up_proj.weight", "ffn_up" },
		{ "mlp.down_proj.weight", "ffn_down" }
	};
	char block[32] = "";
	unsigned int l;
	int n = 0;
	size_t i;

	if (sscanf(name, "model.layers.%u.%n", &l, &n) == 1 && n > 0)
		snprintf(block, sizeof(block), "blk.%u.", l);
	for (i = 0; strcmp(map[i][0], name + n) != 0; i++)
		;
	snprintf(out, 64, "%s%s.weight", block, map[i][1]);
}

static enum ge_dtype
type_of(const struct ge_tensor *t, enum ge_dtype dtype)
{

	return (t->cols == 0 ? GE_DTYPE_F32 : dtype);
}

static int
table(struct ge_gguf *g, const struct ge_llama_dims *d, enum ge_dtype dtype,
    struct ge_err *e)
{
	struct ge_tensor t;
	char name[64];
	size_t i;

	for (i = 0; ge_llama_tensor(d, i, &t); i++) {
		rename_tensor(name, t.name);
		if (ge_gguf_tensor(g, name, t.rows, t.cols, type_of(&t,
		    dtype), e) == -1)
			return (-1);
	}
	if (d->rope.factor <= 0)
		return (0);
	return (ge_gguf_tensor(g, "rope_freqs.weight", d->hd / 2, 0,
	    GE_DTYPE_F32, e));
}

/* Rows 0, half, 1, half + 1, ... of each head. */
static int
turned(struct ge_gguf *g, struct ge_outdir *out, const struct ge_tensor *t,
    const float *v, size_t hd, enum ge_dtype dtype, struct ge_err *e)
{
	size_t r, i;

	for (r = 0; r < t->rows; r++) {
		i = r % hd;
		i = r - i + i % 2 * (hd / 2) + i / 2;
		if (ge_gguf_write(g, out, v + i * t->cols, t->cols, dtype,
		    e) == -1)
			return (-1);
	}
	return (0);
}

static int
data(struct ge_gguf *g, const struct ge_model *m, enum ge_dtype dtype,
    struct ge_outdir *out, struct ge_err *e)
{
	struct ge_tensor t;
	const float *v;
	size_t i;
	int rc;

	for (i = 0; ge_llama_tensor(&m->dims, i, &t); i++) {
		v = m->params + t.off;
		if (strstr(t.name, ".q_proj.") != NULL ||
		    strstr(t.name, ".k_proj.") != NULL)
			rc = turned(g, out, &t, v, m->dims.hd, dtype, e);
		else
			rc = ge_gguf_write(g, out, v, t.rows * (t.cols > 0 ?
			    t.cols : 1), type_of(&t, dtype), e);
		if (rc == -1)
			return (e->code == GE_EREFUSED ? ge_within(e, "tensor "
			    "'%s'", t.name) : -1);
		if (ge_gguf_pad(g, out, e) == -1)
			return (-1);
	}
	return (0);
}

/* By what llama.cpp is to divide the angle of each pair. */
static int
slower(struct ge_gguf *g, const struct ge_llama_dims *d, struct ge_outdir *out,
    struct ge_err *e)
{
	struct ge_llama_dims plain = *d;
	float by;
	size_t i;

	plain.rope.factor = 0;
	if (d->rope.factor <= 0)
		return (0);
	for (i = 0; i < d->hd / 2; i++) {
		by = (float)(ge_llama_angle(&plain, i) / ge_llama_angle(d, i));
		if (ge_gguf_write(g, out, &by, 1, GE_DTYPE_F32, e) == -1)
			return (-1);
	}
	return (ge_gguf_pad(g, out, e));
}

int
ge_model_gguf(const struct ge_model *m, const char *name, enum ge_dtype dtype,
    struct ge_outdir *out, struct ge_err *e)
{
	static const uint32_t file_type[] = { 0, 1, 32 };
	struct ge_gguf g = { 0 };
	int rc = -1;

	if (ge_gguf_string(&g, "general.architecture", "llama", e) == 0 &&
	    ge_gguf_string(&g, "general.type", "model", e) == 0 &&
	    ge_gguf_string(&g, "general.name", name, e) == 0 &&
	    ge_gguf_u32(&g, "general.file_type", file_type[dtype], e) == 0 &&
	    numbers(&g, &m->dims, e) == 0 && tokenizer(&g, m, e) == 0 &&
	    table(&g, &m->dims, dtype, e) == 0 &&
	    ge_gguf_begin(&g, out, "model.gguf", e) == 0 &&
	    data(&g, m, dtype, out, e) == 0 &&
	    slower(&g, &m->dims, out, e) == 0)
		rc = 0;
	ge_gguf_release(&g);
	return (rc);
}
