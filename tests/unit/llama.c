/*
 * lib/model/llama.c: the loss and every derivative against a reference in double
 * with central differences; the same bits whatever the threads and the processor.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/llama.h"
#include "util/mem.h"

#define UNIT "llama"
#include "check.h"

enum {
	SEQS = 2, LEN = 9, N = SEQS * LEN, WIDE = 64
};

static const struct ge_llama_dims dims[] = {
	{ 11, 8, 2, 4, 2, 4, 12, LEN, 0, 10000, 1e-5f, { 0, 0, 0, 0 } },
	{ 13, 6, 1, 3, 3, 2, 7, LEN, 1, 500, 1e-6f, { 0, 0, 0, 0 } },
	{ 37, 16, 3, 2, 1, 10, 20, LEN, 1, 10000, 1e-5f, { 0, 0, 0, 0 } },
	{ 11, 8, 1, 1, 1, 8, 12, LEN, 1, 20, 1e-5f, { 8, 0.25f, 0.75f, 10 } }
};
static int32_t token[N], target[N];
static uint32_t begin[N];
/* The tensors of a layer, found by their names. */
static const double *
tensor(const struct ge_llama_dims *d, const double *p, const char *name, ...)
{
	struct ge_tensor t;
	size_t i;

	for (i = 0; ge_llama_tensor(d, i, &t); i++)
		if (strcmp(t.name, name) == 0)
			return (p + t.off);
	printf("# no tensor %s\n", name);
	exit(1);
}

static const double *
of_layer(const struct ge_llama_dims *d, const double *p, size_t l,
    const char *what)
{
	char name[96];

	snprintf(name, sizeof(name), "model.layers.%zu.%s.weight", l, what);
	return (tensor(d, p, name));
}

static void
times(double *y, const double *w, const double *x, size_t out, size_t in)
{
	size_t i, j;

	for (i = 0; i < out; i++)
		for (y[i] = 0, j = 0; j < in; j++)
			y[i] += w[i * in + j] * x[j];
}

static void
norm(double *y, const double *x, const double *w, const struct ge_llama_dims *d)
{
	double s = 0;
	size_t i;

	for (i = 0; i < d->dim; i++)
		s += x[i] * x[i];
	for (i = 0; i < d->dim; i++)
		y[i] = x[i] / sqrt(s / (double)d->dim + (double)d->eps) * w[i];
}

/* As Hugging Face has it, by the length of a wave. */
static double
angle(const struct ge_llama_dims *d, size_t i)
{
	double a = 1 / pow((double)d->theta, 2.0 * (double)i / (double)d->hd);
	double wave = 2 * acos(-1) / a, ctx = (double)d->rope.ctx, smooth;

	if (d->rope.factor <= 0 || wave < ctx / (double)d->rope.high)
		return (a);
	if (wave > ctx / (double)d->rope.low)
		return (a / (double)d->rope.factor);
	smooth = (ctx / wave - (double)d->rope.low) / ((double)d->rope.high -
	    (double)d->rope.low);
	return ((1 - smooth) * a / (double)d->rope.factor + smooth * a);
}

static void
turn(double *x, size_t pos, const struct ge_llama_dims *d)
{
	size_t i, half = d->hd / 2;
	double a, u, v;

	for (i = 0; i < half; i++) {
		a = (double)pos * angle(d, i);
		u = x[i];
		v = x[i + half];
		x[i] = u * cos(a) - v * sin(a);
		x[i + half] = v * cos(a) + u * sin(a);
	}
}

/* One sequence, as one would write it down from the paper. */
static double
reference(const struct ge_llama_dims *d, const double *p, size_t seq)
{
	static double x[LEN][WIDE], q[LEN][WIDE], k[LEN][WIDE], v[LEN][WIDE];
	double y[WIDE], z[WIDE], g[WIDE], u[WIDE], s[LEN], sum, loss = 0;
	const double *head;
	size_t t, l, h, i, j, at, qw = d->heads * d->hd, kw = d->kv * d->hd;

	for (t = 0; t < LEN; t++)
		memcpy(x[t], tensor(d, p, "model.embed_tokens.weight") +
		    (size_t)token[seq * LEN + t] * d->dim,
		    d->dim * sizeof(double));
	for (l = 0; l < d->layers; l++) {
		for (t = 0; t < LEN; t++) {
			norm(y, x[t], of_layer(d, p, l, "input_layernorm"), d);
			times(q[t], of_layer(d, p, l, "self_attn.q_proj"), y,
			    qw, d->dim);
			times(k[t], of_layer(d, p, l, "self_attn.k_proj"), y,
			    kw, d->dim);
			times(v[t], of_layer(d, p, l, "self_attn.v_proj"), y,
			    kw, d->dim);
			for (h = 0; h < d->heads; h++)
				turn(q[t] + h * d->hd, t, d);
			for (h = 0; h < d->kv; h++)
				turn(k[t] + h * d->hd, t, d);
		}
		for (t = 0; t < LEN; t++) {
			memset(y, 0, sizeof(y));
			for (h = 0; h < d->heads; h++) {
				at = h / (d->heads / d->kv) * d->hd;
				for (sum = 0, j = begin[seq * LEN + t]; j <= t;
				    j++) {
					for (s[j] = 0, i = 0; i < d->hd; i++)
						s[j] += q[t][h * d->hd + i] *
						    k[j][at + i];
					s[j] = exp(s[j] / sqrt((double)d->hd));
					sum += s[j];
				}
				for (j = begin[seq * LEN + t]; j <= t; j++)
					for (i = 0; i < d->hd; i++)
						y[h * d->hd + i] += s[j] / sum *
						    v[j][at + i];
			}
			times(z, of_layer(d, p, l, "self_attn.o_proj"), y,
			    d->dim, qw);
			for (i = 0; i < d->dim; i++)
				x[t][i] += z[i];
			norm(y, x[t], of_layer(d, p, l,
			    "post_attention_layernorm"), d);
			times(g, of_layer(d, p, l, "mlp.gate_proj"), y, d->ff,
			    d->dim);
			times(u, of_layer(d, p, l, "mlp.up_proj"), y, d->ff,
			    d->dim);
			for (i = 0; i < d->ff; i++)
				g[i] = g[i] / (1 + exp(-g[i])) * u[i];
			times(z, of_layer(d, p, l, "mlp.down_proj"), g, d->dim,
			    d->ff);
			for (i = 0; i < d->dim; i++)
				x[t][i] += z[i];
		}
	}
	head = tensor(d, p, d->tied ? "model.embed_tokens.weight" :
	    "lm_head.weight");
	for (t = 0; t < LEN; t++) {
		if (target[seq * LEN + t] < 0)
			continue;
		norm(y, x[t], tensor(d, p, "model.norm.weight"), d);
		times(z, head, y, d->vocab, d->dim);
		for (sum = 0, i = 0; i < d->vocab; i++)
			sum += exp(z[i]);
		loss += log(sum) - z[target[seq * LEN + t]];
	}
	return (loss);
}

static double
all(const struct ge_llama_dims *d, const double *p)
{
	double loss = 0;
	size_t s;

	for (s = 0; s < SEQS; s++)
		loss += reference(d, p, s);
	return (loss);
}

/* A document begins at 0 and at two other places; some targets are none. */
static void
make_rows(const struct ge_llama_dims *d)
{
	size_t i, t;

	for (i = 0; i < N; i++) {
		t = i % LEN;
		token[i] = (int32_t)(draw_part() * (double)d->vocab);
		target[i] = t == 3 ? -1 : (int32_t)(draw_part() *
		    (double)d->vocab);
		begin[i] = t >= 6 ? 6 : t >= 4 && i >= LEN ? 4 : 0;
	}
}

static double
run(const struct ge_llama_dims *d, const float *p, float *g,
    enum ge_prec prec, int jobs)
{
	struct ge_pool *pool;
	struct ge_llama_work *w;
	struct ge_err e;
	double loss;

	if ((pool = ge_pool_new(jobs, &e)) == NULL || (w = ge_llama_work_new(d,
	    SEQS, LEN, prec, pool, &e)) == NULL)
		exit(1);
	loss = ge_llama_loss(w, p, g, token, target, begin, 0.5f);
	ge_llama_work_free(w);
	ge_pool_free(pool);
	return (loss);
}

static void
test(const struct ge_llama_dims *d)
{
	static const char *const cpu[] = { "plain", "avx2", "avx512", "" };
	size_t n = ge_llama_params(d), i, v;
	double *p, want, worst = 0, h = 1e-4, diff, loss, keep;
	float *f, *g, *again;
	struct ge_err e;
	enum ge_prec prec;
	int jobs, good = 1;

	p = ge_alloc(n * sizeof(*p), &e);
	f = ge_alloc(n * sizeof(*f), &e);
	g = ge_alloc(n * sizeof(*g), &e);
	again = ge_alloc(n * sizeof(*g), &e);
	if (p == NULL || f == NULL || g == NULL || again == NULL)
		exit(1);
	for (i = 0; i < n; i++) {
		f[i] = (float)((draw_part() - 0.5) * 1.2);
		p[i] = (double)f[i];
		g[i] = 1;
	}
	make_rows(d);
	loss = run(d, f, g, GE_F32, 1);
	want = all(d, p);
	check(fabs(loss - want) < 1e-4 * want, "the loss");
	for (i = 0; i < n; i++) {
		keep = p[i];
		p[i] = keep + h;
		diff = all(d, p);
		p[i] = keep - h;
		diff = (diff - all(d, p)) / (2 * h);
		p[i] = keep;
		diff = fabs((double)g[i] - 1 - 0.5 * diff) /
		    (0.01 + fabs(0.5 * diff));
		worst = diff > worst ? diff : worst;
	}
	printf("# worst of %zu derivatives: %.2g\n", n, worst);
	check(worst < 1e-3, "every derivative");

	for (prec = GE_F32; prec <= GE_BF16; prec++) {
		for (i = 0; i < n; i++)
			g[i] = 0;
		setenv("GE_CPU", "", 1);
		loss = run(d, f, g, prec, 1);
		for (v = 0; v < 4; v++)
			for (jobs = 1; jobs <= 3; jobs++) {
				setenv("GE_CPU", cpu[v], 1);
				memset(again, 0, n * sizeof(*again));
				keep = run(d, f, again, prec, jobs);
				good &= memcmp(&keep, &loss, sizeof(loss)) ==
				    0 && memcmp(again, g, n * sizeof(*g)) == 0;
			}
		check(fabs(loss - want) < 0.02 * want, prec == GE_F32 ?
		    "the loss in f32" : "the loss in bf16");
	}
	check(good, "the same bits on any processor and number of threads");
	unsetenv("GE_CPU");
	ge_free(p);
	ge_free(f);
	ge_free(g);
	ge_free(again);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
		test(&dims[i]);
	return (bad);
}
