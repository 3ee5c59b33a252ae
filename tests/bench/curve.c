/*
 * curve DIR f32|bf16 STEPS JOBS <text: train a small model on text, print what it
 * learns, and leave in DIR all that contrib/ref/train.py needs to do the same
 * without any code of ours: first.safetensors, the weights before the first step;
 * train.i32 and val.i32, the tokens; order.u32, the windows of the training tokens
 * in the order in which they are taken; config.json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/bpe.h"
#include "model/train.h"
#include "util/mem.h"
#include "util/pool.h"

enum {
	DOC = 4096			/* bytes, and on to the end of a line */
};

static const struct ge_train_opts first = {
	.dims = { .vocab = 1024, .dim = 128, .layers = 3, .heads = 4, .kv = 2,
	    .hd = 32, .ff = 256, .ctx = 128, .tied = 1, .theta = 10000,
	    .eps = 1e-5f },
	.seed = 1, .batch = 8, .len = 128, .shards = 2, .warmup = 50,
	.schedule = GE_COSINE, .lr = 2e-3f, .lr_end = 2e-4f, .b1 = 0.9f,
	.b2 = 0.95f, .eps = 1e-8f, .decay = 0.1f, .clip = 1
};

struct tokens {
	int32_t *v;
	size_t n, cap;
};

static void
die(const char *msg)
{
	fprintf(stderr, "curve: %s\n", msg);
	exit(1);
}

struct text {
	uint8_t *v;
	size_t n, cap;
};

static void
slurp(struct text *t)
{
	struct ge_err e;
	size_t got;

	do {
		if (ge_grow(&t->v, &t->cap, t->n + (1 << 20), 1, &e) == -1)
			die(e.msg);
		got = fread(t->v + t->n, 1, 1 << 20, stdin);
		t->n += got;
	} while (got > 0);
}

/* The length of the document that begins at s. */
static size_t
document(const uint8_t *s, size_t len)
{
	const uint8_t *end;

	if (len <= DOC || (end = memchr(s + DOC, '\n', len - DOC)) == NULL)
		return (len);
	return ((size_t)(end - s) + 1);
}

static void
make_bpe(struct ge_bpe *b, const uint8_t *s, size_t len)
{
	struct ge_bpe_count *c;
	struct ge_err e;
	size_t at, n;

	if ((c = ge_bpe_count_new(GE_SPLIT_GPT2, &e)) == NULL)
		die(e.msg);
	for (at = 0; at < len; at += n) {
		n = document(s + at, len - at);
		if (ge_bpe_count_add(c, s + at, n, &e) == -1)
			die(e.msg);
	}
	if (ge_bpe_train(b, c, first.dims.vocab, &e) == -1)
		die(e.msg);
	ge_bpe_count_free(c);
}

/* Every twentieth document is for validation. */
static void
encode(const struct ge_bpe *b, const uint8_t *s, size_t len,
    struct tokens t[2])
{
	struct tokens *y;
	struct ge_err e;
	size_t at, n, i;

	for (at = i = 0; at < len; at += n, i++) {
		n = document(s + at, len - at);
		y = &t[i % 20 == 19];
		if (ge_bpe_encode(b, s + at, n, &y->v, &y->n, &y->cap, &e) ==
		    -1 || ge_grow(&y->v, &y->cap, y->n + 1, sizeof(*y->v),
		    &e) == -1)
			die(e.msg);
		y->v[y->n++] = b->end;
	}
}

static FILE *
open_file(const char *dir, const char *name)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((f = fopen(path, "wb")) == NULL)
		die("cannot write there");
	return (f);
}

static void
dump(const char *dir, const char *name, const void *v, size_t size, size_t n)
{
	FILE *f = open_file(dir, name);

	if (fwrite(v, size, n, f) != n || fclose(f) != 0)
		die("cannot write there");
}

static void
dump_weights(const char *dir, const struct ge_llama_dims *d, const float *v)
{
	FILE *f = open_file(dir, "first.safetensors");
	static char head[1 << 16];
	struct ge_tensor t;
	uint64_t len;
	size_t i, n, at = 0;

	for (i = 0; ge_llama_tensor(d, i, &t); i++) {
		n = t.rows * (t.cols > 0 ? t.cols : 1) + t.off;
		at += (size_t)snprintf(head + at, sizeof(head) - at, "%c\"%s\":"
		    "{\"dtype\":\"F32\",\"shape\":[%zu", i == 0 ? '{' : ',',
		    t.name, t.rows);
		if (t.cols > 0)
			at += (size_t)snprintf(head + at, sizeof(head) - at,
			    ",%zu", t.cols);
		at += (size_t)snprintf(head + at, sizeof(head) - at,
		    "],\"data_offsets\":[%zu,%zu]}", 4 * t.off, 4 * n);
	}
	head[at++] = '}';
	while (at % 8 != 0)
		head[at++] = ' ';
	len = at;
	n = ge_llama_params(d);
	if (fwrite(&len, sizeof(len), 1, f) != 1 || fwrite(head, at, 1, f) !=
	    1 || fwrite(v, sizeof(*v), n, f) != n || fclose(f) != 0)
		die("cannot write there");
}

static void
dump_config(const char *dir, const struct ge_train_opts *o, int32_t end)
{
	const struct ge_llama_dims *d = &o->dims;
	FILE *f = open_file(dir, "config.json");

	fprintf(f, "{\"vocab\": %zu, \"dim\": %zu, \"layers\": %zu, "
	    "\"heads\": %zu, \"kv\": %zu, \"hd\": %zu, \"ff\": %zu, "
	    "\"theta\": %.9g, \"norm_eps\": %.9g,\n", d->vocab, d->dim,
	    d->layers, d->heads, d->kv, d->hd, d->ff, (double)d->theta,
	    (double)d->eps);
	fprintf(f, "\"batch\": %zu, \"len\": %zu, \"steps\": %llu, "
	    "\"warmup\": %llu, \"lr\": %.9g, \"lr_end\": %.9g, \"b1\": %.9g, "
	    "\"b2\": %.9g, \"eps\": %.9g, \"decay\": %.9g, \"clip\": %.9g, "
	    "\"end\": %d}\n", o->batch, o->len, (unsigned long long)o->steps,
	    (unsigned long long)o->warmup, (double)o->lr, (double)o->lr_end,
	    (double)o->b1, (double)o->b2, (double)o->eps, (double)o->decay,
	    (double)o->clip, (int)end);
	if (fclose(f) != 0)
		die("cannot write there");
}

static void
train(struct ge_train *t, const struct ge_tokens *val)
{
	struct ge_err e;
	double nats;
	uint64_t i;

	for (i = 1; i <= t->o.steps; i++) {
		if (ge_train_step(t, &e) == -1)
			die(e.msg);
		if (i % 50 == 0 || i == 1)
			printf("getools %s step %llu loss %.5f\n",
			    t->o.prec == GE_F32 ? "f32" : "bf16",
			    (unsigned long long)i, t->loss);
	}
	if (ge_train_eval(t, val, UINT64_MAX, &nats, &e) == -1)
		die(e.msg);
	printf("getools %s validation %.5f\n", t->o.prec == GE_F32 ? "f32" :
	    "bf16", nats);
}

int
main(int argc, char **argv)
{
	struct ge_train_opts o = first;
	struct ge_tokens data, val;
	struct tokens t[2] = { { NULL, 0, 0 }, { NULL, 0, 0 } };
	struct ge_bpe b = { 0 };
	struct ge_train *y;
	struct ge_pool *pool;
	struct ge_err e;
	struct text text = { NULL, 0, 0 };

	if (argc != 5)
		die("DIR f32|bf16 STEPS JOBS <text");
	o.prec = strcmp(argv[2], "f32") == 0 ? GE_F32 : GE_BF16;
	o.steps = strtoull(argv[3], NULL, 10);
	slurp(&text);
	make_bpe(&b, text.v, text.n);
	encode(&b, text.v, text.n, t);
	data = (struct ge_tokens){ t[0].v, t[0].n, b.end };
	val = (struct ge_tokens){ t[1].v, t[1].n, b.end };
	pool = ge_pool_new(atoi(argv[4]), &e);
	if (pool == NULL || (y = ge_train_new(&o, &data, pool, &e)) == NULL)
		die(e.msg);
	if (y->nwindows < o.steps * o.batch)
		die("too little text for so many steps in one epoch");
	dump(argv[1], "train.i32", t[0].v, sizeof(int32_t), t[0].n);
	dump(argv[1], "val.i32", t[1].v, sizeof(int32_t), t[1].n);
	dump_weights(argv[1], &o.dims, y->params);
	dump_config(argv[1], &o, b.end);
	train(y, &val);
	dump(argv[1], "order.u32", y->order, sizeof(uint32_t), y->nwindows);
	ge_train_free(y);
	ge_pool_free(pool);
	ge_bpe_release(&b);
	ge_free(t[0].v);
	ge_free(t[1].v);
	ge_free(text.v);
	return (0);
}
