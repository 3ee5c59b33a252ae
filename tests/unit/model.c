/*
 * lib/model/{config,model,save,export}.c, lib/data/{safetensors,gguf}.c: what
 * is saved is loaded again, what does not agree is refused by name, and GGUF
 * says what a reader of its own finds there.
 */
#define _DEFAULT_SOURCE		/* mkdtemp */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/config.h"
#include "model/model.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/num.h"

#define UNIT "model"
#include "check.h"

static void
must(int good, const char *what)
{

	if (!good) {
		printf("not ok model: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

/* config.json */

#define NEEDED "\"model_type\":\"llama\",\"hidden_size\":12," \
	"\"intermediate_size\":20,\"num_hidden_layers\":2," \
	"\"num_attention_heads\":3,\"vocab_size\":300"

static int
parse(const char *text, struct ge_llama_dims *d, int32_t *bos, int32_t *eos,
    struct ge_err *e)
{

	return (ge_config_parse(d, bos, eos, text, strlen(text), e));
}

static void
test_config(void)
{
	struct ge_llama_dims d, again;
	int32_t bos, eos, b, s;
	struct ge_err e;
	char *text;
	size_t len;
	int good;

	check(parse("{" NEEDED "}", &d, &bos, &eos, &e) == 0 &&
	    d.vocab == 300 && d.dim == 12 && d.ff == 20 && d.layers == 2 && d.heads == 3 &&
	    d.kv == 3 && d.hd == 4 && d.ctx == 2048 && !d.tied &&
	    d.theta == 10000 && d.eps == 1e-6f && d.rope.factor == 0 &&
	    bos == -1 && eos == -1, "config: what it does not say");
	good = parse("{" NEEDED ",\"architectures\":[\"LlamaForCausalLM\"],"
	    "\"head_dim\":6,\"num_key_value_heads\":1,\"hidden_act\":\"silu\","
	    "\"max_position_embeddings\":77,\"rms_norm_eps\":1e-05,"
	    "\"rope_theta\":500000,\"tie_word_embeddings\":true,"
	    "\"attention_bias\":false,\"mlp_bias\":false,\"other\":[{}],"
	    "\"bos_token_id\":null,\"eos_token_id\":[7,8],"
	    "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
	    "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
	    "\"original_max_position_embeddings\":64}}", &d, &bos, &eos, &e) ==
	    0 && d.hd == 6 && d.kv == 1 && d.ctx == 77 && d.tied && d.theta ==
	    500000 && d.eps == 1e-5f && bos == -1 && eos == 7 &&
	    d.rope.factor == 8 && d.rope.low == 1 && d.rope.high == 4 &&
	    d.rope.ctx == 64;
	check(good, "config: what it says");
	must(ge_config_print(&d, bos, eos, GE_DTYPE_BF16, &text, &len, &e) == 0,
	    "config");
	check(len == strlen(text) && strstr(text, "\"rms_norm_eps\": 1e-05,") !=
	    NULL && strstr(text, "\"rope_theta\": 500000.0,") != NULL &&
	    strstr(text, "\"torch_dtype\": \"bfloat16\"") != NULL &&
	    strstr(text, "\"bos_token_id\": null,") != NULL &&
	    parse(text, &again, &b, &s, &e) == 0 && memcmp(&d, &again,
	    sizeof(d)) == 0 && b == bos && s == eos, "config: and again");
	ge_free(text);
	check(parse("{" NEEDED ",\"rope_parameters\":{\"rope_theta\":20.5,"
	    "\"rope_type\":\"default\"}}", &d, &bos, &eos, &e) == 0 &&
	    d.theta == 20.5f && d.rope.factor == 0 &&
	    parse("{" NEEDED ",\"rope_parameters\":{\"rope_theta\":20.5,"
	    "\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":0.5,"
	    "\"high_freq_factor\":3,\"original_max_position_embeddings\":9}}",
	    &d, &bos, &eos, &e) == 0 && d.theta == 20.5f && d.rope.high == 3,
	    "config: positions as newer files have them");
}

static void
test_config_refused(void)
{
	static const struct { const char *text, *why; } no[] = {
		{ "", "no JSON object" }, { "[]", "no JSON object" },
		{ "{}", "no 'model_type'" },
		{ "{\"model_type\":\"mistral\"}", "'model_type'" },
		{ "{\"model_type\":\"llama\"}", "no 'vocab_size'" },
		{ "{" NEEDED ",\"vocab_size\":300}", "duplicate" },
		{ "{" NEEDED ",\"architectures\":[\"LlamaModel\"]}",
		    "'architectures'" },
		{ "{" NEEDED ",\"hidden_act\":\"gelu\"}", "'hidden_act'" },
		{ "{" NEEDED ",\"attention_bias\":true}", "'attention_bias'" },
		{ "{" NEEDED ",\"mlp_bias\":true}", "'mlp_bias'" },
		{ "{" NEEDED ",\"rope_interleaved\":true}",
		    "'rope_interleaved'" },
		{ "{" NEEDED ",\"quantization_config\":{}}",
		    "'quantization_config'" },
		{ "{" NEEDED ",\"head_dim\":3}", "even" },
		{ "{" NEEDED ",\"head_dim\":0}", "'head_dim'" },
		{ "{" NEEDED ",\"head_dim\":4.0}", "'head_dim'" },
		{ "{" NEEDED ",\"head_dim\":-4}", "'head_dim'" },
		{ "{" NEEDED ",\"head_dim\":\"4\"}", "'head_dim'" },
		{ "{" NEEDED ",\"head_dim\":4294967300}", "'head_dim'" },
		{ "{" NEEDED ",\"head_dim\":1000000}", "too large" },
		{ "{" NEEDED ",\"head_dim\":99999999999999999999}",
		    "no JSON object" },
		{ "{" NEEDED ",\"num_key_value_heads\":2}", "even" },
		{ "{" NEEDED ",\"num_key_value_heads\":6}", "too large" },
		{ "{" NEEDED ",\"tie_word_embeddings\":1}",
		    "'tie_word_embeddings'" },
		{ "{" NEEDED ",\"rms_norm_eps\":0}", "'rms_norm_eps'" },
		{ "{" NEEDED ",\"rms_norm_eps\":\"x\"}", "'rms_norm_eps'" },
		{ "{" NEEDED ",\"rope_theta\":-1}", "'rope_theta'" },
		{ "{" NEEDED ",\"rope_theta\":1e300}", "'rope_theta'" },
		{ "{" NEEDED ",\"eos_token_id\":300}", "'eos_token_id'" },
		{ "{" NEEDED ",\"bos_token_id\":-2}", "'bos_token_id'" },
		{ "{" NEEDED ",\"eos_token_id\":[1.5]}", "'eos_token_id'" },
		{ "{" NEEDED ",\"partial_rotary_factor\":0.5}",
		    "'partial_rotary_factor'" },
		{ "{" NEEDED ",\"rope_scaling\":3}", "'rope_scaling'" },
		{ "{" NEEDED ",\"rope_scaling\":{\"type\":\"yarn\"}}",
		    "'rope_scaling'" },
		{ "{" NEEDED ",\"rope_parameters\":{\"type\":\"linear\"}}",
		    "'rope_parameters'" },
		{ "{" NEEDED ",\"rope_scaling\":{\"type\":\"llama3\"}}",
		    "no 'factor'" },
		{ "{" NEEDED ",\"rope_scaling\":{\"type\":\"llama3\","
		    "\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4,"
		    "\"original_max_position_embeddings\":64}}",
		    "'rope_scaling'" }
	};
	struct ge_llama_dims d;
	int32_t bos, eos;
	struct ge_err e;
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		e.code = 0;
		if (parse(no[i].text, &d, &bos, &eos, &e) == -1 && e.code ==
		    GE_EREFUSED && strstr(e.msg, no[i].why) != NULL)
			continue;
		printf("# %s: %s\n", no[i].text, e.code == 0 ? "taken" : e.msg);
		good = 0;
	}
	check(good, "config: what is refused, by name");
}

/* Numbers */

static float
of(const uint8_t *p, enum ge_dtype dtype)
{
	float f;

	ge_st_floats(&f, p, 1, dtype);
	return (f);
}

/* No number of the type lies nearer; of two the even one. */
static int
nearest(float x, enum ge_dtype dtype)
{
	uint8_t p[2], q[2];
	double near, far;
	uint16_t bits;
	int step;

	if (ge_st_bytes(p, &x, 1, dtype) == -1)
		return (0);
	bits = ge_get16(p);
	near = fabs((double)of(p, dtype) - (double)x);
	for (step = -1; step <= 1; step += 2) {
		ge_put16(q, (uint16_t)(bits + step));
		far = fabs((double)of(q, dtype) - (double)x);
		/* Zero's neighbour below has the other sign. */
		if ((bits & 0x7fff) == 0 && step == -1)
			continue;
		if (far < near || (far == near && bits % 2 != 0))
			return (0);
	}
	return (signbit(of(p, dtype)) == signbit(x));
}

static void
test_numbers(void)
{
	static const float over[] = { 65520, -65520, 1e30f, 3.4e38f };
	union { uint32_t u; float f; } v;
	enum ge_dtype dtype;
	uint8_t p[4], q[4];
	uint32_t i;
	int good = 1;
	float f;

	for (dtype = GE_DTYPE_F16; dtype <= GE_DTYPE_BF16; dtype++)
		for (i = 0; i < 65536; i++) {
			ge_put16(p, (uint16_t)i);
			f = of(p, dtype);
			if (isfinite(f))
				good &= ge_st_bytes(q, &f, 1, dtype) == 0 &&
				    memcmp(p, q, 2) == 0;
			else
				good &= ge_st_bytes(q, &f, 1, dtype) == -1;
		}
	check(good, "numbers: all of f16 and bf16 there and back");
	ge_put16(p, 0x3c01);
	ge_put16(p + 2, 0x0001);
	check(of(p, GE_DTYPE_F16) == 1 + 0x1p-10f && of(p + 2, GE_DTYPE_F16) ==
	    0x1p-24f && of((const uint8_t *)"\x80\x3f", GE_DTYPE_BF16) == 1,
	    "numbers: what some are");
	good = 1;
	for (i = 0; i < 200000; i++) {
		f = (float)ldexp(draw_part() - 0.5, (int)(draw_part() * 44) - 27);
		good &= nearest(f, GE_DTYPE_F16) && nearest(f, GE_DTYPE_BF16);
		/* In the middle between two. */
		v.f = f;
		v.u = (v.u & 0xffffe000) | 0x1000;
		good &= nearest(v.f, GE_DTYPE_F16);
		v.u = (v.u & 0xffff0000) | 0x8000;
		good &= nearest(v.f, GE_DTYPE_BF16);
	}
	check(good, "numbers: the nearest one, of two the even");
	good = 1;
	for (i = 0; i < 4; i++)
		good &= ge_st_bytes(p, &over[i], 1, GE_DTYPE_F16) == -1;
	f = 65519;
	good &= ge_st_bytes(p, &f, 1, GE_DTYPE_F16) == 0;
	f = 3.4e38f;
	good &= ge_st_bytes(p, &f, 1, GE_DTYPE_BF16) == -1;
	f = NAN;
	good &= ge_st_bytes(p, &f, 1, GE_DTYPE_F32) == -1;
	check(good, "numbers: too large, or none");
}

/* Directories */

static const struct ge_llama_dims dims[] = {
	{ .vocab = 300, .dim = 12, .layers = 2, .heads = 3, .kv = 1, .hd = 8,
	    .ff = 20, .ctx = 64, .theta = 500, .eps = 1e-5f },
	{ .vocab = 263, .dim = 8, .layers = 1, .heads = 2, .kv = 2, .hd = 4,
	    .ff = 12, .ctx = 32, .tied = 1, .theta = 10000, .eps = 1e-6f,
	    .rope = { 8, 1, 4, 64 } }
};

static void
make(struct ge_model *m, const struct ge_llama_dims *d)
{
	static const char text[] = "low low lower lower newest newest \xc3\xa9"
	    "t\xc3\xa9 \xc3\xa9t\xc3\xa9";
	struct ge_bpe_count *c;
	struct ge_err e;
	size_t i, n = ge_llama_params(d);

	memset(m, 0, sizeof(*m));
	m->dims = *d;
	must((c = ge_bpe_count_new(GE_SPLIT_GPT2, &e)) != NULL &&
	    ge_bpe_count_add(c, (const uint8_t *)text, strlen(text), &e) ==
	    0 && ge_bpe_train(&m->bpe, c, 263, &e) == 0, "tokenizer");
	ge_bpe_count_free(c);
	m->bos = m->eos = m->bpe.end;
	must((m->params = ge_block_alloc(n * sizeof(float), &e)) != NULL,
	    "params");
	for (i = 0; i < n; i++)
		m->params[i] = (float)(draw_part() - 0.5);
}

static int
save(const struct ge_model *m, const char *path, enum ge_dtype dtype, int gguf,
    struct ge_err *e)
{
	struct ge_save s = { dtype, gguf, "n", "{}\n", "# card\n" };
	struct ge_outdir *o = ge_outdir_new(path, -1, 1, e);
	int rc = -1;

	if (o != NULL && ge_model_save(m, &s, o, e) == 0)
		rc = ge_outdir_commit(o, e);
	ge_outdir_free(o);
	return (rc);
}

static uint8_t *
slurp(const char *path, size_t *len)
{
	struct ge_err e;
	uint8_t *p;

	must(ge_slurp(path, 1 << 24, &p, len, &e) == 0, path);
	return (p);
}

static void
put(const char *path, const void *buf, size_t len)
{
	FILE *f = fopen(path, "wb");

	must(f != NULL && fwrite(buf, 1, len, f) == len && fclose(f) == 0,
	    path);
}

/* In a file, the first `from` becomes `to`; the rest moves. */
static void
edit(const char *path, const char *from, const char *to)
{
	size_t len, at, n = strlen(from);
	uint8_t *p = slurp(path, &len);
	FILE *f;

	for (at = 0; at + n <= len && memcmp(p + at, from, n) != 0; at++)
		;
	must(at + n <= len && (f = fopen(path, "wb")) != NULL &&
	    fwrite(p, 1, at, f) == at && fputs(to, f) >= 0 &&
	    fwrite(p + at + n, 1, len - at - n, f) == len - at - n &&
	    fclose(f) == 0, from);
	ge_free(p);
}

static void
test_again(void)
{
	static const enum ge_dtype type[] = { GE_DTYPE_F32, GE_DTYPE_F16,
	    GE_DTYPE_BF16 };
	struct ge_model m, l;
	struct ge_err e;
	size_t i, q, k, n;
	uint8_t b[2];
	float f;
	int good;

	for (i = 0; i < 2; i++)
		for (q = 0; q < 3; q++) {
			make(&m, &dims[i]);
			n = ge_llama_params(&m.dims);
			good = save(&m, "m", type[q], 0, &e) == 0 &&
			    ge_model_load(&l, "m", &e) == 0;
			must(good, e.msg);
			good = memcmp(&m.dims, &l.dims, sizeof(m.dims)) == 0 &&
			    l.bos == m.bos && l.eos == m.eos && l.bpe.end ==
			    m.eos && l.bpe.ntokens == m.bpe.ntokens &&
			    l.bpe.nmerges == m.bpe.nmerges;
			for (k = 0; k < n; k++) {
				f = m.params[k];
				if (q > 0) {
					ge_st_bytes(b, &f, 1, type[q]);
					f = of(b, type[q]);
				}
				good &= l.params[k] == f;
			}
			check(good, q == 0 ? "saved in f32, loaded" : q == 1 ?
			    "saved in f16, loaded" : "saved in bf16, loaded");
			ge_model_release(&m);
			ge_model_release(&l);
		}
	ge_model_release(&l);
}

/* Saved anew, changed, and refused with this in the message. */
static int
refused(const struct ge_model *m, void (*spoil)(void), int code,
    const char *why)
{
	struct ge_model l;
	struct ge_err e = { 0, 0, "" };
	int good;

	must(system("rm -rf m") == 0 && save(m, "m", GE_DTYPE_F32, 0, &e) == 0,
	    "save");
	spoil();
	good = ge_model_load(&l, "m", &e) == -1 && e.code == code &&
	    strstr(e.msg, why) != NULL && l.params == NULL;
	if (!good)
		printf("# %s: %s\n", why, e.code == 0 ? "taken" : e.msg);
	return (good);
}

static void
no_config(void)
{

	must(unlink("m/config.json") == 0, "config.json");
}

static void
no_tokenizer(void)
{

	must(unlink("m/tokenizer.json") == 0, "tokenizer.json");
}

static void
no_weights(void)
{

	must(unlink("m/model.safetensors") == 0, "model.safetensors");
}

static void
wider(void)
{

	edit("m/config.json", "\"hidden_size\": 12", "\"hidden_size\": 24");
}

static void
more_layers(void)
{

	edit("m/config.json", "\"num_hidden_layers\": 2",
	    "\"num_hidden_layers\": 3");
}

static void
fewer_layers(void)
{

	edit("m/config.json", "\"num_hidden_layers\": 2",
	    "\"num_hidden_layers\": 1");
}

static void
not_tied(void)
{

	edit("m/model.safetensors", "lm_head.weight", "lm_h%ad.weight");
}

static void
tied(void)
{

	edit("m/config.json", "\"tie_word_embeddings\": false",
	    "\"tie_word_embeddings\": true");
}

static void
few_tokens(void)
{

	edit("m/config.json", "\"vocab_size\": 300", "\"vocab_size\": 262");
	edit("m/config.json", "\"eos_token_id\": 262", "\"eos_token_id\": 1");
	edit("m/config.json", "\"bos_token_id\": 262", "\"bos_token_id\": 1");
}

static void
no_end(void)
{

	edit("m/config.json", "\"eos_token_id\": 262", "\"eos_token_id\": 270");
}

static void
turned(void)
{

	edit("m/model.safetensors", "[12,24]", "[24,12]");
}

static void
other_type(void)
{

	edit("m/model.safetensors", "F32", "I32");
}

static void
longer(void)
{
	FILE *f = fopen("m/model.safetensors", "ab");

	must(f != NULL && fputs("x", f) >= 0 && fclose(f) == 0, "longer");
}

static void
shorter(void)
{

	must(truncate("m/model.safetensors", 20) == 0, "shorter");
}

static void
empty(void)
{

	must(truncate("m/model.safetensors", 0) == 0, "empty");
}

static void
no_number(void)
{
	int fd = open("m/model.safetensors", O_WRONLY | O_CLOEXEC);
	struct stat st;

	must(fd != -1 && fstat(fd, &st) == 0 && pwrite(fd, "\0\0\xc0\x7f", 4,
	    st.st_size - 4) == 4 && close(fd) == 0, "NaN");
}

static void
infinite(void)
{
	int fd = open("m/model.safetensors", O_WRONLY | O_CLOEXEC);
	struct stat st;

	must(fd != -1 && fstat(fd, &st) == 0 && pwrite(fd, "\0\0\x80\xff", 4,
	    st.st_size - 4) == 4 && close(fd) == 0, "infinity");
}

static void
index_says(const char *text)
{

	put("m/model.safetensors.index.json", text, strlen(text));
	must(rename("m/model.safetensors", "m/w") == 0, "w");
}

static void
index_outside(void)
{

	index_says("{\"weight_map\":{\"a\":\"../m/w\"}}");
}

static void
index_below(void)
{

	index_says("{\"weight_map\":{\"a\":\"sub/w\"}}");
}

static void
index_other(void)
{

	index_says("{\"weight_map\":{\"a\":\"w\","
	    "\"model.embed_tokens.weight\":\"other\"}}");
	must(link("m/w", "m/other") == 0, "other");
}

static void
index_none(void)
{

	index_says("{}");
}

static void
index_gone(void)
{

	index_says("{\"weight_map\":{\"a\":\"gone\"}}");
}

static void
index_lies(void)
{

	index_says("{\"weight_map\":{\"a\":\"w\"}}");
}

static void
test_refused(void)
{
	static const struct {
		void (*spoil)(void);
		int code;
		const char *why;
	} all[] = {
		{ no_config, GE_EUSAGE, "cannot open 'm/config.json'" },
		{ no_tokenizer, GE_EUSAGE, "cannot open 'm/tokenizer.json'" },
		{ no_weights, GE_EUSAGE, "cannot open 'm/model.safetensors'" },
		{ wider, GE_EREFUSED, "'m': tensor 'model.embed_tokens.weight' "
		    "is 300x12, by its config.json 300x24" },
		{ more_layers, GE_EREFUSED, "'m': there is no tensor "
		    "'model.layers.2.input_layernorm.weight'" },
		{ fewer_layers, GE_EREFUSED, "has no tensor 'model.layers.1." },
		{ not_tied, GE_EREFUSED, "has no tensor 'lm_h%25ad.weight'" },
		{ tied, GE_EREFUSED, "'lm_head.weight': it is not the "
		    "embedding" },
		{ few_tokens, GE_EREFUSED, "'m/tokenizer.json': 263 tokens" },
		{ no_end, GE_EREFUSED, "no token 270" },
		{ turned, GE_EREFUSED, "o_proj.weight' is 24x12, by its "
		    "config.json 12x24" },
		{ other_type, GE_EREFUSED, "tensor 'model.embed_tokens.weight' "
		    "is of a type" },
		{ longer, GE_EREFUSED, "bytes" },
		{ shorter, GE_EREFUSED, "the length of its header" },
		{ empty, GE_EREFUSED, "the length of its header" },
		{ no_number, GE_EREFUSED, "'m/model.safetensors': tensor "
		    "'lm_head.weight': a weight is no number" },
		{ infinite, GE_EREFUSED, "a weight is no number" },
		{ index_outside, GE_EREFUSED, "no name in this folder" },
		{ index_below, GE_EREFUSED, "no name in this folder" },
		{ index_other, GE_EREFUSED, "'model.embed_tokens.weight' is "
		    "not where the index says" },
		{ index_none, GE_EREFUSED, "no 'weight_map'" },
		{ index_gone, GE_EUSAGE, "cannot open 'm/gone'" },
		{ index_lies, GE_EREFUSED, "not where the index says" }
	};
	struct ge_model m;
	size_t i;
	int good = 1;

	make(&m, &dims[0]);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		good &= refused(&m, all[i].spoil, all[i].code, all[i].why);
	check(good, "directories that are refused, by name");
	ge_model_release(&m);
}

/*
 * Files of other people: tensor i in file i % n, of type i % 3, and in the
 * first of them what is passed over.
 */
static void
shards(const struct ge_model *m, size_t nfiles)
{
	static const char *const types[] = { "F32", "F16", "BF16" };
	char *head = NULL, *index = NULL, name[64];
	uint8_t *data = NULL, len8[8];
	size_t f, i, n, len, at, x;
	struct ge_tensor t;
	enum ge_dtype type;
	FILE *out;

	must((head = malloc(1 << 16)) != NULL && (data = malloc(1 << 20)) !=
	    NULL && (index = malloc(1 << 16)) != NULL, "malloc");
	x = (size_t)sprintf(index, "{\"metadata\":{\"total_size\":1},"
	    "\"weight_map\":{\"a.rotary_emb.inv_freq\":"
	    "\"model-0.safetensors\"");
	data[0] = 7;
	for (f = 0; f < nfiles; f++) {
		at = f == 0;
		len = (size_t)sprintf(head, "{\"__metadata__\":{\"format\":"
		    "\"pt\"}%s", f > 0 ? "" : ",\"a.rotary_emb.inv_freq\":"
		    "{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":"
		    "[0,1]}");
		for (i = f; ge_llama_tensor(&m->dims, i, &t); i += nfiles) {
			type = (enum ge_dtype)(i % 3);
			n = t.rows * (t.cols > 0 ? t.cols : 1);
			must(ge_st_bytes(data + at, m->params + t.off, n,
			    type) == 0, "bytes");
			n *= ge_st_size(type);
			len += (size_t)sprintf(head + len, ",\"%s\":{\"dtype\":"
			    "\"%s\",\"shape\":[%zu", t.name, types[type],
			    t.rows);
			if (t.cols > 0)
				len += (size_t)sprintf(head + len, ",%zu",
				    t.cols);
			len += (size_t)sprintf(head + len,
			    "],\"data_offsets\":[%zu,%zu]}", at, at + n);
			at += n;
			x += (size_t)sprintf(index + x,
			    ",\"%s\":\"model-%zu.safetensors\"", t.name, f);
		}
		head[len++] = '}';
		ge_put64(len8, len);
		snprintf(name, sizeof(name), "m/model-%zu.safetensors", f);
		must((out = fopen(name, "wb")) != NULL && fwrite(len8, 1, 8,
		    out) == 8 && fwrite(head, 1, len, out) == len &&
		    fwrite(data, 1, at, out) == at && fclose(out) == 0, name);
	}
	x += (size_t)sprintf(index + x, "}}");
	put("m/model.safetensors.index.json", index, x);
	free(head);
	free(data);
	free(index);
}

static void
test_shards(void)
{
	struct ge_model m, l;
	struct ge_tensor t;
	struct ge_err e;
	enum ge_dtype type;
	size_t i, k, n;
	uint8_t b[4];
	int good;

	make(&m, &dims[0]);
	must(system("rm -rf m") == 0 && save(&m, "m", GE_DTYPE_F32, 0, &e) ==
	    0 && unlink("m/model.safetensors") == 0, "save");
	shards(&m, 3);
	if (ge_model_load(&l, "m", &e) == -1) {
		printf("# %s\n", e.msg);
		check(0, "three files of several types");
		return;
	}
	for (good = 1, i = 0; ge_llama_tensor(&m.dims, i, &t); i++) {
		type = (enum ge_dtype)(i % 3);
		n = t.rows * (t.cols > 0 ? t.cols : 1);
		for (k = t.off; k < t.off + n; k++) {
			ge_st_bytes(b, m.params + k, 1, type);
			good &= l.params[k] == of(b, type);
		}
	}
	check(good, "three files of several types");
	ge_model_release(&l);
	must(save(&m, "one", GE_DTYPE_F32, 0, &e) == 0 &&
	    rename("one/model.safetensors", "m/model.safetensors") == 0, "one");
	check(ge_model_load(&l, "m", &e) == 0 && memcmp(l.params, m.params,
	    ge_llama_params(&m.dims) * sizeof(float)) == 0,
	    "one file goes before an index");
	ge_model_release(&l);
	ge_model_release(&m);
}

/* A head beside a tied embedding, as some files have it. */
static void
test_tied_head(void)
{
	struct ge_model m, l;
	struct ge_llama_dims d = dims[0];
	struct ge_tensor t;
	struct ge_err e;
	size_t i;

	make(&m, &d);
	for (i = 0; ge_llama_tensor(&d, i, &t); i++)
		;
	must(strcmp(t.name, "lm_head.weight") == 0, t.name);
	memcpy(m.params + t.off, m.params, t.rows * t.cols * sizeof(float));
	must(save(&m, "m", GE_DTYPE_F32, 0, &e) == 0, "save");
	tied();
	check(ge_model_load(&l, "m", &e) == 0 && l.dims.tied && memcmp(m.params,
	    l.params, ge_llama_params(&l.dims) * sizeof(float)) == 0,
	    "a head that is the embedding once more");
	ge_model_release(&l);
	ge_model_release(&m);
}

static void
test_not_saved(void)
{
	struct ge_model m;
	struct ge_err e;
	int good;

	make(&m, &dims[0]);
	must(system("rm -rf m") == 0, "m");
	m.params[5] = NAN;
	good = save(&m, "m", GE_DTYPE_F32, 0, &e) == -1 && e.code ==
	    GE_EREFUSED && strstr(e.msg, "'model.embed_tokens.weight'") != NULL;
	m.params[5] = 70000;
	good &= save(&m, "m", GE_DTYPE_F16, 0, &e) == -1 && e.code ==
	    GE_EREFUSED;
	m.params[5] = 0;
	m.bpe.whole = 1;
	good &= save(&m, "m", GE_DTYPE_F32, 1, &e) == -1 && e.code ==
	    GE_EREFUSED && strstr(e.msg, "model.gguf: llama.cpp") != NULL;
	check(good && access("m", F_OK) == -1, "what cannot be saved is not");
	ge_model_release(&m);
}

/*
 * A reader of GGUF, from its specification.  Values of arrays are kept as where
 * they begin.
 */
struct reader {
	const uint8_t *p;
	size_t len, at;
	struct {
		char key[64];
		uint32_t type, of;
		uint64_t n;
		size_t at;
	} kv[40];
	struct {
		char name[64];
		uint32_t ndims, type;
		uint64_t dim[4], off;
	} tensor[40];
	uint64_t nkv, ntensors;
	size_t data;
};

static uint64_t
get(struct reader *r, size_t n)
{
	uint64_t v = 0;
	size_t i;

	must(r->at + n <= r->len, "gguf is cut");
	for (i = 0; i < n; i++)
		v |= (uint64_t)r->p[r->at++] << 8 * i;
	return (v);
}

static void
get_name(struct reader *r, char out[64])
{
	uint64_t n = get(r, 8);

	must(n < 64 && r->at + n <= r->len, "a name");
	memcpy(out, r->p + r->at, n);
	out[n] = '\0';
	r->at += n;
}

static void
skip(struct reader *r, uint32_t type)
{
	static const uint8_t size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
	uint64_t n;

	must(type < sizeof(size) && type != 9, "type");
	n = type == 8 ? get(r, 8) : size[type];
	must(n <= r->len - r->at, "a value");
	r->at += n;
}

static void
read_gguf(struct reader *r)
{
	uint64_t i, k;

	must(r->len > 24 && memcmp(r->p, "GGUF\3\0\0\0", 8) == 0, "magic");
	r->at = 8;
	r->ntensors = get(r, 8);
	r->nkv = get(r, 8);
	must(r->ntensors <= 40 && r->nkv <= 40, "counts");
	for (i = 0; i < r->nkv; i++) {
		get_name(r, r->kv[i].key);
		r->kv[i].of = r->kv[i].type = (uint32_t)get(r, 4);
		r->kv[i].n = 1;
		if (r->kv[i].type == 9) {
			r->kv[i].of = (uint32_t)get(r, 4);
			r->kv[i].n = get(r, 8);
		}
		r->kv[i].at = r->at;
		for (k = 0; k < r->kv[i].n; k++)
			skip(r, r->kv[i].of);
	}
	for (i = 0; i < r->ntensors; i++) {
		get_name(r, r->tensor[i].name);
		r->tensor[i].ndims = (uint32_t)get(r, 4);
		must(r->tensor[i].ndims <= 4, "dimensions");
		for (k = 0; k < r->tensor[i].ndims; k++)
			r->tensor[i].dim[k] = get(r, 8);
		r->tensor[i].type = (uint32_t)get(r, 4);
		r->tensor[i].off = get(r, 8);
	}
	r->data = (r->at + 31) / 32 * 32;
}

/* Where a value is; 0: there is none of this type. */
static size_t
value(const struct reader *r, const char *key, uint32_t type, uint64_t n)
{
	uint64_t i;

	for (i = 0; i < r->nkv; i++)
		if (strcmp(r->kv[i].key, key) == 0)
			return (r->kv[i].of == type && r->kv[i].n == n ?
			    r->kv[i].at : 0);
	return (0);
}

static int
is_u32(const struct reader *r, const char *key, uint32_t v)
{
	size_t at = value(r, key, 4, 1);

	return (at != 0 && ge_get32(r->p + at) == v);
}

static int
is_f32(const struct reader *r, const char *key, float v)
{
	size_t at = value(r, key, 6, 1);

	return (at != 0 && of(r->p + at, GE_DTYPE_F32) == v);
}

/* The i-th of n strings. */
static int
is_string(struct reader *r, const char *key, uint64_t n, uint64_t i,
    const char *v)
{
	uint64_t len;

	if ((r->at = value(r, key, 8, n)) == 0)
		return (0);
	while (i-- > 0)
		skip(r, 8);
	len = get(r, 8);
	return (len == strlen(v) && memcmp(r->p + r->at, v, len) == 0);
}

static uint64_t
find(const struct reader *r, const char *name, uint32_t ndims, uint64_t d0,
    uint64_t d1, uint32_t type)
{
	uint64_t i;

	for (i = 0; i < r->ntensors; i++)
		if (strcmp(r->tensor[i].name, name) == 0)
			break;
	if (i == r->ntensors || r->tensor[i].ndims != ndims ||
	    r->tensor[i].dim[0] != d0 || (ndims > 1 && r->tensor[i].dim[1] !=
	    d1) || r->tensor[i].type != type || r->tensor[i].off % 32 != 0) {
		printf("# %s\n", name);
		return (r->len);
	}
	return (r->data + r->tensor[i].off);
}

static const float *
named(const struct ge_model *m, const char *name)
{
	struct ge_tensor t;
	size_t i;

	for (i = 0; ge_llama_tensor(&m->dims, i, &t); i++)
		if (strcmp(t.name, name) == 0)
			return (m->params + t.off);
	must(0, name);
	return (NULL);
}

/* A matrix as it was, of rows that were `row[i]`, or in their order. */
static int
matrix(const struct reader *r, const char *name, const struct ge_model *m,
    const char *hf, size_t rows, size_t cols, const size_t *row,
    enum ge_dtype dtype)
{
	static const uint32_t type[] = { 0, 1, 30 };
	const float *v = named(m, hf);
	uint64_t at = find(r, name, 2, cols, rows, type[dtype]);
	size_t size = dtype == GE_DTYPE_F32 ? 4 : 2, i, k;
	uint8_t b[4];

	for (i = 0; i < rows; i++)
		for (k = 0; k < cols; k++, at += size) {
			must(ge_st_bytes(b, v + (row != NULL ? row[i] : i) *
			    cols + k, 1, dtype) == 0, hf);
			if (at + size > r->len || memcmp(r->p + at, b, size) !=
			    0)
				return (0);
		}
	return (1);
}

static int
vector(const struct reader *r, const char *name, const struct ge_model *m,
    const char *hf, size_t rows)
{
	uint64_t at = find(r, name, 1, rows, 0, 0);
	const float *v = named(m, hf);
	size_t i;

	for (i = 0; i < rows; i++, at += 4)
		if (at + 4 > r->len || of(r->p + at, GE_DTYPE_F32) != v[i])
			return (0);
	return (1);
}

static void
test_gguf(void)
{
	/* Heads of 8: halves become neighbours. */
	static const size_t q[] = { 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10,
	    14, 11, 15, 16, 20, 17, 21, 18, 22, 19, 23 };
	struct reader r;
	struct ge_model m;
	struct ge_err e;
	uint8_t *p;
	size_t i, type;
	uint64_t n;
	int good;

	make(&m, &dims[0]);
	must(save(&m, "m", GE_DTYPE_BF16, 1, &e) == 0, e.msg);
	memset(&r, 0, sizeof(r));
	r.p = p = slurp("m/model.gguf", &r.len);
	read_gguf(&r);
	check(is_string(&r, "general.architecture", 1, 0, "llama") &&
	    is_string(&r, "general.name", 1, 0, "n") &&
	    is_u32(&r, "general.file_type", 32) &&
	    is_u32(&r, "llama.context_length", 64) &&
	    is_u32(&r, "llama.embedding_length", 12) &&
	    is_u32(&r, "llama.block_count", 2) &&
	    is_u32(&r, "llama.feed_forward_length", 20) &&
	    is_u32(&r, "llama.attention.head_count", 3) &&
	    is_u32(&r, "llama.attention.head_count_kv", 1) &&
	    is_u32(&r, "llama.attention.key_length", 8) &&
	    is_u32(&r, "llama.attention.value_length", 8) &&
	    is_u32(&r, "llama.rope.dimension_count", 8) &&
	    is_u32(&r, "llama.vocab_size", 300) &&
	    is_f32(&r, "llama.rope.freq_base", 500) && is_f32(&r,
	    "llama.attention.layer_norm_rms_epsilon", 1e-5f),
	    "gguf: the model's numbers");
	good = m.bpe.ntokens == 263 && m.bpe.nmerges == 6;
	check(good && is_string(&r, "tokenizer.ggml.model", 1, 0, "gpt2") &&
	    is_string(&r, "tokenizer.ggml.pre", 1, 0, "gpt-2") &&
	    is_string(&r, "tokenizer.ggml.tokens", 300, 0, "!") &&
	    is_string(&r, "tokenizer.ggml.tokens", 300, 220, "\xc4\xa0") &&
	    is_string(&r, "tokenizer.ggml.tokens", 300, 262,
	    "<|endoftext|>") &&
	    is_string(&r, "tokenizer.ggml.tokens", 300, 299, "[PAD299]") &&
	    is_string(&r, "tokenizer.ggml.merges", 6, 0, "l o") &&
	    is_u32(&r, "tokenizer.ggml.eos_token_id", 262) &&
	    is_u32(&r, "tokenizer.ggml.bos_token_id", 262),
	    "gguf: the tokenizer");
	i = value(&r, "tokenizer.ggml.token_type", 5, 300);
	good = i != 0 && ge_get32(p + i) == 1 && ge_get32(p + i + 4 * 262) ==
	    3 && ge_get32(p + i + 4 * 263) == 5;
	i = value(&r, "tokenizer.ggml.add_bos_token", 7, 1);
	check(good && i != 0 && p[i] == 0, "gguf: kinds of tokens");
	check(r.ntensors == 3 + 2 * 9 && matrix(&r, "token_embd.weight", &m,
	    "model.embed_tokens.weight", 300, 12, NULL, GE_DTYPE_BF16) &&
	    matrix(&r, "output.weight", &m, "lm_head.weight", 300, 12, NULL,
	    GE_DTYPE_BF16) && vector(&r, "output_norm.weight", &m,
	    "model.norm.weight", 12) && vector(&r, "blk.1.attn_norm.weight",
	    &m, "model.layers.1.input_layernorm.weight", 12) && vector(&r,
	    "blk.0.ffn_norm.weight", &m,
	    "model.layers.0.post_attention_layernorm.weight", 12) && matrix(&r,
	    "blk.1.attn_q.weight", &m, "model.layers.1.self_attn.q_proj.weight",
	    24, 12, q, GE_DTYPE_BF16) && matrix(&r, "blk.1.attn_k.weight", &m,
	    "model.layers.1.self_attn.k_proj.weight", 8, 12, q,
	    GE_DTYPE_BF16) && matrix(&r, "blk.1.attn_v.weight", &m,
	    "model.layers.1.self_attn.v_proj.weight", 8, 12, NULL,
	    GE_DTYPE_BF16) && matrix(&r, "blk.0.attn_output.weight", &m,
	    "model.layers.0.self_attn.o_proj.weight", 12, 24, NULL,
	    GE_DTYPE_BF16) && matrix(&r, "blk.0.ffn_gate.weight", &m,
	    "model.layers.0.mlp.gate_proj.weight", 20, 12, NULL,
	    GE_DTYPE_BF16) && matrix(&r, "blk.0.ffn_up.weight", &m,
	    "model.layers.0.mlp.up_proj.weight", 20, 12, NULL,
	    GE_DTYPE_BF16) && matrix(&r, "blk.1.ffn_down.weight", &m,
	    "model.layers.1.mlp.down_proj.weight", 12, 20, NULL,
	    GE_DTYPE_BF16), "gguf: every tensor, heads turned");
	/* No gap, nothing behind the last. */
	for (n = 0, i = 0; i < r.ntensors; i++) {
		type = r.tensor[i].type == 0 ? 4 : 2;
		good &= r.tensor[i].off == n;
		n += (r.tensor[i].dim[0] * (r.tensor[i].ndims > 1 ?
		    r.tensor[i].dim[1] : 1) * type + 31) / 32 * 32;
	}
	check(good && r.len == r.data + n, "gguf: one behind the other");
	ge_free(p);
	ge_model_release(&m);

	make(&m, &dims[1]);
	must(save(&m, "m", GE_DTYPE_F32, 1, &e) == 0, e.msg);
	r.p = p = slurp("m/model.gguf", &r.len);
	read_gguf(&r);
	/*
	 * Pairs of 10000^0 and 10000^-1/2, over 64 positions: 10.2 turns, so
	 * left alone, and 0.1, so eight times slower.
	 */
	n = find(&r, "rope_freqs.weight", 1, 2, 0, 0);
	check(n + 8 <= r.len && of(p + n, GE_DTYPE_F32) == 1 &&
	    of(p + n + 4, GE_DTYPE_F32) == 8 && r.ntensors == 3 + 9 &&
	    is_u32(&r, "general.file_type", 0) && matrix(&r,
	    "token_embd.weight", &m, "model.embed_tokens.weight", 263, 8,
	    NULL, GE_DTYPE_F32), "gguf: tied, with slower positions");
	ge_free(p);
	ge_model_release(&m);
}

static void
test_files(void)
{
	static const char *const want[] = { "config.json", "README.md",
	    "generation_config.json", "run.json", "tokenizer.json",
	    "tokenizer_config.json", "model.safetensors", "model.gguf" };
	struct ge_model m;
	struct ge_err e;
	char path[64];
	uint8_t *a, *b;
	size_t na, nb, i;
	int good = 1;

	make(&m, &dims[1]);
	must(save(&m, "m", GE_DTYPE_BF16, 1, &e) == 0 && save(&m, "m2",
	    GE_DTYPE_BF16, 1, &e) == 0, e.msg);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		snprintf(path, sizeof(path), "m/%s", want[i]);
		a = slurp(path, &na);
		snprintf(path, sizeof(path), "m2/%s", want[i]);
		b = slurp(path, &nb);
		good &= na == nb && memcmp(a, b, na) == 0;
		ge_free(a);
		ge_free(b);
	}
	check(good, "all files, of the same bytes");
	a = slurp("m/model.safetensors", &na);
	check((8 + ge_get64(a)) % 8 == 0 && memcmp(a + 8,
	    "{\"__metadata__\":{\"format\":\"pt\"},"
	    "\"model.embed_tokens.weight\":{\"dtype\":\"BF16\","
	    "\"shape\":[263,8],\"data_offsets\":[0,4208]},", 103) == 0,
	    "the header that others read");
	ge_free(a);
	ge_model_release(&m);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char top[4096], remove[4200];

	snprintf(top, sizeof(top), "%s/ge-model.XXXXXX", tmp != NULL &&
	    *tmp != '\0' ? tmp : "/tmp");
	must(mkdtemp(top) != NULL && chdir(top) == 0, top);
	test_config();
	test_config_refused();
	test_numbers();
	test_again();
	test_refused();
	test_shards();
	test_tied_head();
	test_not_saved();
	test_gguf();
	test_files();
	snprintf(remove, sizeof(remove), "rm -rf '%s'", top);
	must(chdir("/") == 0 && system(remove) == 0, remove);
	return (bad);
}
