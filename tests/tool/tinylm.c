/*
 * tinylm STEPS DIR: a very small language model of the lines on standard input, each a
 * document, trained for so many steps, as a new folder.  In a line \n is a new line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/train.h"
#include "util/mem.h"
#include "util/quote.h"

enum {
	VOCAB = 280, TIMES = 40, LINES = 64
};

static struct ge_err e;

static void *
need(void *p)
{

	if (p != NULL)
		return (p);
	fprintf(stderr, "tinylm: %s\n", e.msg);
	exit(1);
}

static void
must(int rc)
{

	(void)need(rc == -1 ? NULL : &e);
}

int
main(int argc, char **argv)
{
	static char line[LINES][1000];
	struct ge_train_opts o;
	struct ge_model m;
	struct ge_save save;
	struct ge_tokens data;
	struct ge_bpe_count *count;
	struct ge_outdir *dir;
	struct ge_train *t;
	int32_t *v = NULL;
	size_t n = 0, cap = 0, lines = 0, i, j;

	if (argc != 3)
		return (2);
	memset(&o, 0, sizeof(o));
	memset(&m, 0, sizeof(m));
	memset(&save, 0, sizeof(save));
	memset(&data, 0, sizeof(data));
	count = need(ge_bpe_count_new(GE_SPLIT_GPT2, &e));
	while (lines < LINES && fgets(line[lines], sizeof(line[0]), stdin) !=
	    NULL) {
		line[lines][strcspn(line[lines], "\n")] = '\0';
		line[lines][ge_unquote(line[lines], (uint8_t *)line[lines])] =
		    '\0';
		must(ge_bpe_count_add(count, (uint8_t *)line[lines],
		    strlen(line[lines]), &e));
		lines++;
	}
	must(ge_bpe_train(&m.bpe, count, VOCAB, &e));
	for (i = 0; i < TIMES * lines; i++) {
		j = i % lines;
		must(ge_bpe_encode(&m.bpe, (uint8_t *)line[j],
		    strlen(line[j]), &v, &n, &cap, &e));
		must(ge_grow(&v, &cap, n + 1, sizeof(*v), &e));
		v[n++] = m.bpe.end;
	}
	m.bos = -1;
	m.eos = m.bpe.end;
	m.dims = (struct ge_llama_dims){ m.bpe.ntokens, 64, 2, 4, 2, 16, 128,
	    64, 1, 10000, 1e-5f, { 0, 0, 0, 0 } };
	o.dims = m.dims;
	o.seed = 1;
	o.batch = 4;
	o.len = 32;
	o.shards = 1;
	o.steps = strtoul(argv[1], NULL, 10);
	o.warmup = 10;
	o.lr = 5e-3f;
	o.lr_end = 5e-4f;
	o.b1 = 0.9f;
	o.b2 = 0.95f;
	o.eps = 1e-8f;
	o.clip = 1;
	data.v = v;
	data.n = n;
	data.end = m.bpe.end;
	t = need(ge_train_new(&o, &data, NULL, &e));
	for (i = 0; i < o.steps; i++)
		must(ge_train_step(t, &e));
	m.params = t->params;
	save.dtype = GE_DTYPE_F32;
	dir = need(ge_outdir_new(argv[2], -1, 0, &e));
	must(ge_model_save(&m, &save, dir, &e));
	must(ge_outdir_commit(dir, &e));
	ge_outdir_free(dir);
	ge_train_free(t);
	ge_bpe_count_free(count);
	ge_bpe_release(&m.bpe);
	ge_free(v);
	return (0);
}
