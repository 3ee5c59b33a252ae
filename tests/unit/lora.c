/*
 * lib/model/lora.c: merged weights and derivatives against doubles and central
 * differences, PEFT's names, the same bits whatever the threads and the processor.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/draw.h"
#include "model/lora.h"
#include "util/mem.h"

#define UNIT "lora"
#include "check.h"

enum {
	RANK = 3, SEQS = 2, LEN = 8, N = SEQS * LEN
};

static const struct ge_llama_dims dims = {
	23, 12, 2, 4, 2, 6, 20, LEN, 0, 10000, 1e-5f, { 0, 0, 0, 0 }
};
static const struct ge_lora lora = { RANK, 7 };
static struct ge_err e;
static size_t nparams, ntheta;
static float *base, *params, *dense, *theta, *grad, *again;
static float *
floats(size_t n)
{
	float *v = ge_alloc(n * sizeof(*v), &e);

	if (v == NULL)
		exit(1);
	return (v);
}

static void
fill(float *v, size_t n, uint64_t seed, float dev)
{
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = dev * ge_draw_normal(&seed);
}

static struct ge_lora_work *
work(int jobs, struct ge_pool **pool)
{
	struct ge_lora_work *w;

	if ((*pool = ge_pool_new(jobs, &e)) == NULL ||
	    (w = ge_lora_work_new(&dims, &lora, *pool, &e)) == NULL)
		exit(1);
	return (w);
}

static void
merge(int jobs)
{
	struct ge_pool *pool;
	struct ge_lora_work *w = work(jobs, &pool);

	ge_lora_merge(w, params, base, theta);
	ge_lora_work_free(w);
	ge_pool_free(pool);
}

static void
back(int jobs)
{
	struct ge_pool *pool;
	struct ge_lora_work *w = work(jobs, &pool);

	ge_lora_back(w, grad, dense, theta);
	ge_lora_work_free(w);
	ge_pool_free(pool);
}

/* A name that PEFT gives, and the tensor that Hugging Face names so. */
static int
same_name(const struct ge_tensor *t, const struct ge_tensor *w, char which)
{
	char want[160];

	snprintf(want, sizeof(want), "base_model.model.%.*s.lora_%c.weight",
	    (int)(strlen(w->name) - strlen(".weight")), w->name, which);
	return (strcmp(t->name, want) == 0);
}

static int
projects(const struct ge_tensor *w)
{

	return (strstr(w->name, "_proj") != NULL);
}

static void
test_tensors(void)
{
	struct ge_tensor w, a, b;
	size_t i, j = 0, at = 0;
	int good = 1, some;

	for (i = 0; ge_llama_tensor(&dims, i, &w); i++) {
		if (!projects(&w))
			continue;
		some = ge_lora_tensor(&dims, RANK, j, &a) &&
		    ge_lora_tensor(&dims, RANK, j + 1, &b);
		good &= some && same_name(&a, &w, 'A') &&
		    same_name(&b, &w, 'B') && a.rows == RANK &&
		    a.cols == w.cols && b.rows == w.rows && b.cols == RANK &&
		    a.off == at && b.off == at + RANK * w.cols;
		at += RANK * (w.rows + w.cols);
		j += 2;
	}
	good &= j == 2 * 7 * dims.layers && at == ntheta &&
	    !ge_lora_tensor(&dims, RANK, j, &a);
	check(good, "an A and a B for each projection, one after the other");
	good = ge_lora_tensor(&dims, RANK, 0, &a) && strcmp(a.name,
	    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
	    == 0 && ge_lora_tensor(&dims, RANK, 27, &a) && strcmp(a.name,
	    "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight")
	    == 0;
	check(good, "named as PEFT names them");
}

/* The sum of all merged weights, each times its number in dense. */
static double
sum(const float *t)
{
	struct ge_tensor w, a, b;
	double s = (double)lora.alpha / RANK, y, all = 0;
	size_t i, j = 0, r, c, k;

	for (i = 0; ge_llama_tensor(&dims, i, &w); i++) {
		if (!projects(&w))
			continue;
		ge_lora_tensor(&dims, RANK, j++, &a);
		ge_lora_tensor(&dims, RANK, j++, &b);
		for (r = 0; r < w.rows; r++)
			for (c = 0; c < w.cols; c++) {
				for (y = 0, k = 0; k < RANK; k++)
					y += (double)t[b.off + r * RANK + k] *
					    (double)t[a.off + k * w.cols + c];
				all += (double)dense[w.off + r * w.cols + c] *
				    (s * y);
			}
	}
	return (all);
}

static void
test_merge(void)
{
	double got = 0, want, size = 0, x;
	struct ge_tensor w;
	size_t i, j;
	int good = 1;

	merge(1);
	want = sum(theta);
	for (i = 0; i < nparams; i++) {
		x = (double)dense[i] * ((double)params[i] - (double)base[i]);
		got += x;
		size += fabs(x);
	}
	check(fabs(got - want) < 1e-5 * size, "what theta adds");
	for (i = 0; ge_llama_tensor(&dims, i, &w); i++)
		for (j = 0; j < w.rows * (w.cols > 0 ? w.cols : 1); j++)
			good &= (params[w.off + j] != base[w.off + j]) ==
			    projects(&w);
	check(good, "to projections, and to nothing else");
}

/* sum is linear in each number of theta: the step may be large. */
static void
test_back(void)
{
	double diff, worst = 0;
	size_t i;
	float keep;

	back(1);
	for (i = 0; i < ntheta; i++) {
		keep = theta[i];
		theta[i] = keep + 0.5f;
		diff = sum(theta);
		theta[i] = keep - 0.5f;
		diff -= sum(theta);
		theta[i] = keep;
		diff = fabs((double)grad[i] - diff) / (0.1 + fabs(diff));
		worst = diff > worst ? diff : worst;
	}
	printf("# worst of %zu derivatives: %.2g\n", ntheta, worst);
	check(worst < 1e-4, "every derivative");
}

/* Of the loss of a model, along the gradient. */
static double
loss(struct ge_llama_work *w, float *g)
{
	int32_t token[N], target[N];
	uint32_t begin[N] = { 0 };
	size_t i;

	for (i = 0; i < N; i++) {
		token[i] = (int32_t)(i * 7 % dims.vocab);
		target[i] = (int32_t)(i * i % dims.vocab);
	}
	merge(1);
	return (ge_llama_loss(w, params, g, token, target, begin, 1));
}

static void
test_loss(void)
{
	struct ge_llama_work *w = ge_llama_work_new(&dims, SEQS, LEN, GE_F32,
	    NULL, &e);
	double norm = 0, up, down, h;
	size_t i;

	if (w == NULL)
		exit(1);
	memset(dense, 0, nparams * sizeof(*dense));
	loss(w, dense);
	back(1);
	for (i = 0; i < ntheta; i++)
		norm += (double)grad[i] * (double)grad[i];
	h = 0.02 / norm;
	memcpy(again, theta, ntheta * sizeof(*theta));
	for (i = 0; i < ntheta; i++)
		theta[i] = again[i] + (float)h * grad[i];
	up = loss(w, NULL);
	for (i = 0; i < ntheta; i++)
		theta[i] = again[i] - (float)h * grad[i];
	down = loss(w, NULL);
	memcpy(theta, again, ntheta * sizeof(*theta));
	printf("# %.6g of 0.04\n", up - down);
	check(fabs(up - down - 0.04) < 4e-4, "the loss along its gradient");
	ge_llama_work_free(w);
}

static void
test_bits(void)
{
	static const char *const cpu[] = { "plain", "avx2", "avx512", "" };
	float *merged = floats(nparams);
	int jobs, good = 1;
	size_t v;

	fill(dense, nparams, 3, 1);
	merge(1);
	back(1);
	memcpy(merged, params, nparams * sizeof(*params));
	memcpy(again, grad, ntheta * sizeof(*grad));
	for (v = 0; v < 4; v++)
		for (jobs = 1; jobs <= 3; jobs++) {
			setenv("GE_CPU", cpu[v], 1);
			merge(jobs);
			back(jobs);
			good &= memcmp(merged, params, nparams *
			    sizeof(*params)) == 0 && memcmp(again, grad,
			    ntheta * sizeof(*grad)) == 0;
		}
	unsetenv("GE_CPU");
	check(good, "the same bits on any processor and number of threads");
	ge_free(merged);
}

static void
test_init(void)
{
	struct ge_tensor t;
	double s, ss;
	size_t i, j, n;
	int good = 1;

	ge_lora_init(&dims, RANK, theta, 5);
	for (i = 0; ge_lora_tensor(&dims, RANK, i, &t); i++) {
		n = t.rows * t.cols;
		for (s = ss = 0, j = 0; j < n; j++) {
			s += (double)theta[t.off + j];
			ss += (double)theta[t.off + j] *
			    (double)theta[t.off + j];
		}
		if (i % 2 == 1)
			good &= ss == 0;
		else
			good &= fabs(s / (double)n) < 0.2 && ss / (double)n *
			    3 * (double)t.cols > 0.3 && ss / (double)n * 3 *
			    (double)t.cols < 3;
	}
	check(good, "A as wide as PEFT's, B nothing");
}

static void
test_config(void)
{
	static const char *const name = "a \"model\"\n\\ d\xc3\xa9j\xc3\xa0";
	char *text;
	size_t len;
	json_t *j;

	if (ge_lora_config(&lora, name, &text, &len, &e) == -1)
		exit(1);
	j = json_loadb(text, len, 0, NULL);
	check(j != NULL && strcmp(json_string_value(json_object_get(j,
	    "base_model_name_or_path")), name) == 0 &&
	    json_integer_value(json_object_get(j, "r")) == RANK &&
	    json_number_value(json_object_get(j, "lora_alpha")) == 7 &&
	    json_array_size(json_object_get(j, "target_modules")) == 7 &&
	    strcmp(json_string_value(json_object_get(j, "peft_type")),
	    "LORA") == 0, "adapter_config.json");
	json_decref(j);
	ge_free(text);
}

static void
test_check(void)
{
	struct ge_lora l = { 12, 1 };
	int good = ge_lora_check(&dims, &l, &e) == 0;

	l.rank = 13;
	good &= ge_lora_check(&dims, &l, &e) == -1 && e.code == GE_EUSAGE &&
	    strcmp(e.msg, "rank 13 of LoRA is more than the 12 of the "
	    "smallest projection") == 0;
	l.rank = 2;
	l.alpha = 0;
	good &= ge_lora_check(&dims, &l, &e) == -1 && e.code == GE_EUSAGE;
	l.alpha = NAN;
	good &= ge_lora_check(&dims, &l, &e) == -1;
	check(good, "ranks and alphas that make no sense are refused");
}

int
main(void)
{

	nparams = ge_llama_params(&dims);
	ntheta = ge_lora_params(&dims, RANK);
	base = floats(nparams);
	params = floats(nparams);
	dense = floats(nparams);
	theta = floats(ntheta);
	grad = floats(ntheta);
	again = floats(ntheta);
	fill(base, nparams, 1, 0.5f);
	memcpy(params, base, nparams * sizeof(*base));
	fill(dense, nparams, 2, 1);
	fill(theta, ntheta, 4, 0.3f);
	test_tensors();
	test_merge();
	test_back();
	test_loss();
	test_bits();
	test_init();
	test_config();
	test_check();
	ge_free(base);
	ge_free(params);
	ge_free(dense);
	ge_free(theta);
	ge_free(grad);
	ge_free(again);
	return (bad);
}
