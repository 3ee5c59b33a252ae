#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/draw.h"
#include "model/gemm.h"
#include "model/lora.h"
#include "util/mem.h"

enum {
	EACH = 7			/* projections of a layer */
};

struct ge_lora_work {
	struct ge_llama_dims d;
	struct ge_lora l;
	struct ge_gemm *gemm;
	float *scaled;			/* a B times alpha / rank */
};

/* A projection, and where its A and B lie in theta. */
struct pair {
	struct ge_tensor w;
	size_t a, b;
};

static int
pair(const struct ge_llama_dims *d, size_t rank, size_t i, struct pair *p)
{
	/* Among a layer's tensors are two norms; before all is the embedding. */
	static const size_t place[EACH] = { 1, 2, 3, 4, 6, 7, 8 };
	size_t layer = i / EACH * EACH, j;

	if (i >= d->layers * EACH)
		return (0);
	p->b = p->a = ge_lora_params(d, rank) / d->layers * (i / EACH);
	for (j = layer; j <= i; j++) {
		p->a = j > layer ? p->b + p->w.rows * rank : p->b;
		ge_llama_tensor(d, 1 + j / EACH * (EACH + 2) +
		    place[j % EACH], &p->w);
		p->b = p->a + rank * p->w.cols;
	}
	return (1);
}

size_t
ge_lora_params(const struct ge_llama_dims *d, size_t rank)
{
	size_t qw = d->heads * d->hd, kw = d->kv * d->hd, c = d->dim;

	return (d->layers * rank * (2 * (qw + c) + 2 * (kw + c) +
	    3 * (d->ff + c)));
}

int
ge_lora_tensor(const struct ge_llama_dims *d, size_t rank, size_t i,
    struct ge_tensor *t)
{
	struct pair p;
	int len;

	if (!pair(d, rank, i / 2, &p))
		return (0);
	len = (int)(strlen(p.w.name) - strlen(".weight"));
	snprintf(t->name, sizeof(t->name), "base_model.model.%.*s.lora_%c"
	    ".weight", len, p.w.name, i % 2 == 0 ? 'A' : 'B');
	t->off = i % 2 == 0 ? p.a : p.b;
	t->rows = i % 2 == 0 ? rank : p.w.rows;
	t->cols = i % 2 == 0 ? p.w.cols : rank;
	return (1);
}

int
ge_lora_check(const struct ge_llama_dims *d, const struct ge_lora *l,
    struct ge_err *e)
{
	size_t qw = d->heads * d->hd, kw = d->kv * d->hd, most = d->dim;

	most = qw < most ? qw : most;
	most = kw < most ? kw : most;
	most = d->ff < most ? d->ff : most;
	if (l->rank > most)
		return (ge_fail(e, GE_EUSAGE, "rank %zu of LoRA is more than "
		    "the %zu of the smallest projection", l->rank, most));
	if (!isfinite(l->alpha) || l->alpha <= 0)
		return (ge_fail(e, GE_EUSAGE, "alpha of LoRA is not above 0"));
	return (0);
}

/* The most that a factor of a product here has, as ge_gemm_new counts. */
static size_t
room(const struct ge_llama_dims *d, size_t rank)
{
	size_t i, n, most = 0;
	struct pair p;

	for (i = 0; i < EACH && pair(d, rank, i, &p); i++) {
		n = (p.w.rows + 64) * (p.w.cols + 64);
		most = n > most ? n : most;
	}
	n = (rank + 64) * (rank + 64);
	return (n > most ? n : most);
}

static size_t
widest(const struct ge_llama_dims *d)
{
	size_t qw = d->heads * d->hd;

	return (qw > d->ff ? qw > d->dim ? qw : d->dim :
	    d->ff > d->dim ? d->ff : d->dim);
}

struct ge_lora_work *
ge_lora_work_new(const struct ge_llama_dims *d, const struct ge_lora *l,
    struct ge_pool *pool, struct ge_err *e)
{
	struct ge_lora_work *w;

	if ((w = ge_alloc(sizeof(*w), e)) == NULL)
		return (NULL);
	w->d = *d;
	w->l = *l;
	if ((w->scaled = ge_alloc(widest(d) * l->rank * sizeof(float), e)) ==
	    NULL || (w->gemm = ge_gemm_new(pool, GE_F32, room(d, l->rank),
	    e)) == NULL) {
		ge_lora_work_free(w);
		return (NULL);
	}
	return (w);
}

void
ge_lora_work_free(struct ge_lora_work *w)
{

	if (w == NULL)
		return;
	ge_gemm_free(w->gemm);
	ge_free(w->scaled);
	ge_free(w);
}

size_t
ge_lora_work_bytes(const struct ge_llama_dims *d, size_t rank, int jobs)
{

	return (widest(d) * rank * sizeof(float) + ge_gemm_bytes(jobs, GE_F32,
	    room(d, rank)));
}

void
ge_lora_init(const struct ge_llama_dims *d, size_t rank, float *theta,
    uint64_t seed)
{
	struct pair p;
	size_t i, j;
	float dev;

	for (i = 0; pair(d, rank, i, &p); i++) {
		dev = 1 / sqrtf(3 * (float)p.w.cols);
		for (j = 0; j < rank * p.w.cols; j++)
			theta[p.a + j] = dev * ge_draw_normal(&seed);
		memset(theta + p.b, 0, p.w.rows * rank * sizeof(*theta));
	}
}

/* B of a projection times alpha / rank. */
static void
scale(struct ge_lora_work *w, const struct pair *p, const float *theta)
{
	float s = w->l.alpha / (float)w->l.rank;
	size_t i;

	for (i = 0; i < p->w.rows * w->l.rank; i++)
		w->scaled[i] = s * theta[p->b + i];
}

/* v [][ld], and the same turned. */
static struct ge_mat
mat(const float *v, size_t ld)
{
	struct ge_mat y = { v, ld, 1 };

	return (y);
}

static struct ge_mat
turned(const float *v, size_t ld)
{
	struct ge_mat y = { v, 1, ld };

	return (y);
}

void
ge_lora_merge(struct ge_lora_work *w, float *params, const float *base,
    const float *theta)
{
	size_t i, in, r = w->l.rank;
	struct pair p;

	for (i = 0; pair(&w->d, r, i, &p); i++) {
		in = p.w.cols;
		scale(w, &p, theta);
		memcpy(params + p.w.off, base + p.w.off,
		    p.w.rows * in * sizeof(*params));
		ge_gemm(w->gemm, p.w.rows, in, r, mat(w->scaled, r),
		    mat(theta + p.a, in), params + p.w.off, in, 1);
	}
}

/* dA = s B^T dW, dB = s dW A^T. */
void
ge_lora_back(struct ge_lora_work *w, float *grad, const float *dense,
    const float *theta)
{
	size_t i, j, in, out, r = w->l.rank;
	float s = w->l.alpha / (float)r;
	struct pair p;

	for (i = 0; pair(&w->d, r, i, &p); i++) {
		in = p.w.cols;
		out = p.w.rows;
		scale(w, &p, theta);
		ge_gemm(w->gemm, r, in, out, turned(w->scaled, r),
		    mat(dense + p.w.off, in), grad + p.a, in, 0);
		ge_gemm(w->gemm, out, r, in, mat(dense + p.w.off, in),
		    turned(theta + p.a, in), grad + p.b, r, 0);
		for (j = 0; j < out * r; j++)
			grad[p.b + j] *= s;
	}
}

/* A string in JSON; how long it is if there is no room. */
static size_t
quote(char *to, size_t cap, const char *s)
{
	size_t n = 0;
	char c[8];

	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == '"' || *s == '\\')
			snprintf(c, sizeof(c), "\\u%04x", (unsigned char)*s);
		else
			snprintf(c, sizeof(c), "%c", *s);
		if (n + strlen(c) < cap)
			memcpy(to + n, c, strlen(c) + 1);
		n += strlen(c);
	}
	return (n);
}

int
ge_lora_config(const struct ge_lora *l, const char *base, char **text,
    size_t *len, struct ge_err *e)
{
	size_t cap = 6 * strlen(base) + 1;
	char *name;
	int n;

	*text = NULL;
	if ((name = ge_alloc(cap, e)) == NULL ||
	    (*text = ge_alloc(cap + 1024, e)) == NULL) {
		ge_free(name);
		return (-1);
	}
	quote(name, cap, base);
	n = snprintf(*text, cap + 1024, "{\n"
	    "  \"base_model_name_or_path\": \"%s\",\n"
	    "  \"bias\": \"none\",\n"
	    "  \"fan_in_fan_out\": false,\n"
	    "  \"inference_mode\": true,\n"
	    "  \"init_lora_weights\": true,\n"
	    "  \"lora_alpha\": %.9g,\n"
	    "  \"lora_dropout\": 0.0,\n"
	    "  \"modules_to_save\": null,\n"
	    "  \"peft_type\": \"LORA\",\n"
	    "  \"r\": %zu,\n"
	    "  \"target_modules\": [\"q_proj\", \"k_proj\", \"v_proj\", "
	    "\"o_proj\", \"gate_proj\", \"up_proj\", \"down_proj\"],\n"
	    "  \"task_type\": \"CAUSAL_LM\"\n}\n", name, (double)l->alpha,
	    l->rank);
	*len = (size_t)n;
	ge_free(name);
	return (0);
}
