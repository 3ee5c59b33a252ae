/*
 * lib/model/infer.c: the logits that ge_llama_loss has, whether tokens are fed one by
 * one or many at once; the same bits whatever the threads and the processor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/infer.h"
#include "model/ops.h"
#include "util/mem.h"

#define UNIT "infer"
#include "check.h"

enum {
	LEN = 113
};

static const struct ge_llama_dims dims[] = {
	{ 11, 8, 2, 4, 2, 4, 12, LEN, 0, 10000, 1e-5f, { 0, 0, 0, 0 } },
	{ 130, 33, 3, 3, 1, 70, 131, LEN, 1, 500, 1e-6f, { 8, 1, 4, 32 } },
	{ 67, 96, 2, 6, 3, 32, 256, LEN, 1, 10000, 1e-5f, { 0, 0, 0, 0 } }
}, faint = { 11, 8, 2, 4, 2, 4, 12, LEN, 0, 10000, 1e-30f, { 0, 0, 0, 0 } };
static int32_t token[LEN + 1];
/* What is carried from layer to layer is subnormal, and what comes of it is not. */
static const struct {
	const char *name;
	float times;
} tiny[] = {
	{ "embed", 1e-38f }, { "o_proj", 1e-16f }, { "lm_head", 1e25f }
};

static void
make_tiny(const struct ge_llama_dims *d, float *p)
{
	struct ge_tensor t;
	size_t i, j, k;

	for (i = 0; ge_llama_tensor(d, i, &t); i++)
		for (j = 0; j < sizeof(tiny) / sizeof(tiny[0]); j++)
			if (strstr(t.name, tiny[j].name) != NULL)
				for (k = 0; k < t.rows * t.cols; k++)
					p[t.off + k] *= tiny[j].times;
}

static double
whole(const struct ge_llama_dims *d, const float *p, enum ge_prec prec)
{
	static uint32_t begin[LEN];
	struct ge_llama_work *w;
	struct ge_err e;
	double loss;

	if ((w = ge_llama_work_new(d, 1, LEN, prec, NULL, &e)) == NULL)
		exit(1);
	loss = ge_llama_loss(w, p, NULL, token, token + 1, begin, 0);
	ge_llama_work_free(w);
	return (loss);
}

/*
 * The same by parts of the lengths in step, the last of them over and over: the loss
 * of each part's last token is that in want, if it is known, and put there if not.
 */
static int
by_parts(const struct ge_llama_dims *d, struct ge_infer *s, const size_t *step,
    float *want)
{
	float *row, loss;
	const float *logits;
	struct ge_err e;
	size_t at = 0, n;
	int good = 1;

	if ((row = ge_alloc(d->vocab * sizeof(*row), &e)) == NULL)
		exit(1);
	ge_infer_reset(s);
	for (; at < LEN; at += n) {
		n = *step < LEN - at ? *step : LEN - at;
		step += step[1] != 0;
		logits = ge_infer_feed(s, token + at, n);
		memcpy(row, logits, d->vocab * sizeof(*row));
		loss = ge_ops()->loss(row, d->vocab,
		    (size_t)token[at + n], 0);
		if (want[at + n - 1] < 0)
			want[at + n - 1] = loss;
		good &= want[at + n - 1] == loss;
	}
	good &= ge_infer_len(s) == LEN;
	ge_free(row);
	return (good);
}

static void
test(const struct ge_llama_dims *d, enum ge_prec prec, int small)
{
	static const size_t parts[][8] = { { 1 }, { LEN }, { 2, 95, 1, 5, 3 },
	    { 7 }, { 97, 1 } };
	static const char *const cpu[] = { "plain", "avx2", "avx512", "" };
	size_t n = ge_llama_params(d), i, v;
	float *p, *gone, want[LEN];
	double sum = 0, loss;
	struct ge_pool *pool;
	struct ge_infer *s;
	struct ge_err e;
	int jobs, parted = 1, same = 1;

	p = ge_alloc(n * sizeof(*p), &e);
	gone = ge_alloc(n * sizeof(*p), &e);
	if (p == NULL || gone == NULL)
		exit(1);
	for (i = 0; i < n; i++)
		p[i] = (float)((draw_part() - 0.5) * 0.8);
	if (small)
		make_tiny(d, p);
	for (i = 0; i <= LEN; i++)
		token[i] = (int32_t)(draw_part() * (double)d->vocab);
	for (i = 0; i < LEN; i++)
		want[i] = -1;
	setenv("GE_CPU", "", 1);
	loss = whole(d, p, prec);
	for (v = 0; v < 4; v++)
		for (jobs = v < 3 ? 2 : 1; jobs <= (v < 3 ? 2 : 3); jobs++) {
			setenv("GE_CPU", cpu[v], 1);
			memcpy(gone, p, n * sizeof(*p));
			if ((pool = ge_pool_new(jobs, &e)) == NULL ||
			    (s = ge_infer_new(d, gone, prec, LEN, pool, &e)) ==
			    NULL)
				exit(1);
			memset(gone, 0, n * sizeof(*p));
			same &= by_parts(d, s, parts[0], want);
			for (i = 1; i < sizeof(parts) / sizeof(parts[0]); i++)
				parted &= by_parts(d, s, parts[i], want);
			ge_infer_free(s);
			ge_pool_free(pool);
		}
	unsetenv("GE_CPU");
	for (i = 0; i < LEN; i++)
		sum += (double)want[i];
	printf("# loss %.9g, token by token %.9g\n", loss, sum);
	check(sum == loss, prec == GE_F32 ? "as ge_llama_loss, in f32" :
	    "as ge_llama_loss, in bf16");
	check(parted, "one by one or many at once");
	check(same, "any processor and number of threads");
	ge_free(p);
	ge_free(gone);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
		test(&dims[i], GE_F32, 0);
		test(&dims[i], GE_BF16, 0);
	}
	test(&faint, GE_F32, 1);
	test(&faint, GE_BF16, 1);
	return (bad);
}
