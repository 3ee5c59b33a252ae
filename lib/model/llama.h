#ifndef GE_LLAMA_H
#define GE_LLAMA_H

#include <stddef.h>
#include <stdint.h>

#include "model/gemm.h"
#include "util/err.h"
#include "util/pool.h"

/*
 * The Llama architecture: its parameters in one block of floats, the loss, and its
 * gradient.  After Touvron et al. (2023): RMSNorm before each half of a layer, rotary
 * positions on halves of a head, SwiGLU, grouped-query attention.
 */
struct ge_llama_dims {
	size_t vocab, dim, layers;
	size_t heads, kv;		/* of queries; of keys and values */
	size_t hd;			/* numbers a head, even */
	size_t ff, ctx;			/* hidden width; positions */
	int tied;			/* the head is the embedding */
	float theta, eps;		/* of the positions; of the norms */
	struct {			/* slower positions, as of Llama 3 */
		float factor, low, high;	/* factor 0: none */
		size_t ctx;		/* positions before they were made slower */
	} rope;
};

enum {
	GE_LLAMA_LAYERS = 1024		/* at most */
};

/* A tensor of the block. */
struct ge_tensor {
	char name[80];			/* as Hugging Face names it */
	size_t off, rows, cols;		/* cols 0: a vector of rows */
};

/*
 * ge_llama_check(d, e): are these dimensions that a model can have?  0, -1 GE_EUSAGE.
 *
 * ge_llama_params(d): how many floats the block has.
 * ge_llama_tensor(d, i, t): the i-th tensor, in the order in which they lie:
 * 1; 0 behind the last.
 *
 * ge_llama_angle(d, i): by how much a position turns pair i of a head, of hd / 2.
 * ge_llama_angles(d, len, cs, sn): cosines and sines of len positions, [len][hd / 2].
 */
int ge_llama_check(const struct ge_llama_dims *d, struct ge_err *e);
size_t ge_llama_params(const struct ge_llama_dims *d);
int ge_llama_tensor(const struct ge_llama_dims *d, size_t i,
    struct ge_tensor *t);
double ge_llama_angle(const struct ge_llama_dims *d, size_t i);
void ge_llama_angles(const struct ge_llama_dims *d, size_t len, float *cs,
    float *sn);

/*
 * Room for the activations of so many sequences of len tokens.
 *
 * ge_llama_work_new(d, nseqs, len, prec, pool, e): pool is borrowed until
 * ge_llama_work_free (NULL is fine).
 * ge_llama_work_bytes(d, nseqs, len, prec, jobs): what that takes with a pool of jobs.
 */
struct ge_llama_work;
struct ge_llama_work *ge_llama_work_new(const struct ge_llama_dims *d,
    size_t nseqs, size_t len, enum ge_prec prec, struct ge_pool *pool,
    struct ge_err *e);
void ge_llama_work_free(struct ge_llama_work *w);
size_t ge_llama_work_bytes(const struct ge_llama_dims *d, size_t nseqs,
    size_t len, enum ge_prec prec, int jobs);

/*
 * ge_llama_loss(w, params, grad, token, target, begin, scale):
 * The sum of the losses of all targets, in nats; with grad, what scale times
 * that sum means for each parameter is added to it.
 *
 *	params, grad  [ge_llama_params]
 *	token   [nseqs][len]  in  0..vocab-1
 *	target  [nseqs][len]  in  what follows; -1: none is wanted
 *	begin   [nseqs][len]  in  where in its sequence the document of a token
 *	                          begins: it sees nothing before that
 *
 * Cannot fail.  The same bits on any number of threads and any processor.
 */
double ge_llama_loss(struct ge_llama_work *w, const float *params, float *grad,
    const int32_t *token, const int32_t *target, const uint32_t *begin,
    float scale);

#endif
