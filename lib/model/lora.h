#ifndef GE_LORA_H
#define GE_LORA_H

#include <stddef.h>
#include <stdint.h>

#include "model/llama.h"
#include "util/err.h"
#include "util/pool.h"

/*
 * Low-rank adaptation (Hu et al., 2021): each projection W of a layer, [out][in],
 * stays as it is, and W + alpha / rank * B A is used, A [rank][in], B [out][rank].
 * Embeddings, norms and the head stay as they are.  Theta is all A and B in one
 * block of floats, A before B, in the order of the projections.
 */
struct ge_lora {
	size_t rank;			/* 0: none */
	float alpha;
};

/*
 * ge_lora_check(d, l, e): can such a model be adapted so?  0, -1 GE_EUSAGE.
 * ge_lora_params(d, rank): floats of theta.
 * ge_lora_tensor(d, rank, i, t): the i-th tensor of theta, named as PEFT names it
 * in adapter_model.safetensors: 1; 0 behind the last.
 */
int ge_lora_check(const struct ge_llama_dims *d, const struct ge_lora *l,
    struct ge_err *e);
size_t ge_lora_params(const struct ge_llama_dims *d, size_t rank);
int ge_lora_tensor(const struct ge_llama_dims *d, size_t rank, size_t i,
    struct ge_tensor *t);

/*
 * ge_lora_config(l, base, text, len, e): PEFT's adapter_config.json for the model
 * of the name or path base; ge_free *text.  0, -1.
 */
int ge_lora_config(const struct ge_lora *l, const char *base, char **text,
    size_t *len, struct ge_err *e);

/*
 * ge_lora_init(d, rank, theta, seed): A normal, with the variance 1 / (3 in) that
 * PEFT's has; B 0, so that the model is what it was.
 *
 * ge_lora_merge(w, params, base, theta):
 * params [ge_llama_params] become base with what theta adds.
 *
 * ge_lora_back(w, grad, dense, theta):
 * grad [ge_lora_params] becomes what dense [ge_llama_params], the gradient of the
 * merged weights, means for theta.
 *
 * Both are products in f32: the same bits on any number of threads and processor.
 */
struct ge_lora_work;
struct ge_lora_work *ge_lora_work_new(const struct ge_llama_dims *d,
    const struct ge_lora *l, struct ge_pool *pool, struct ge_err *e);
void ge_lora_work_free(struct ge_lora_work *w);
size_t ge_lora_work_bytes(const struct ge_llama_dims *d, size_t rank,
    int jobs);
void ge_lora_init(const struct ge_llama_dims *d, size_t rank, float *theta,
    uint64_t seed);
void ge_lora_merge(struct ge_lora_work *w, float *params, const float *base,
    const float *theta);
void ge_lora_back(struct ge_lora_work *w, float *grad, const float *dense,
    const float *theta);

#endif
