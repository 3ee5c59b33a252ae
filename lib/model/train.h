#ifndef GE_TRAIN_H
#define GE_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "model/llama.h"
#include "util/err.h"
#include "util/pool.h"

/*
 * Training of a language model: steps of AdamW over batches of sequences.  A batch is
 * cut into shards, whose gradients are added in a fixed binary tree: the same bits on
 * any number of threads, processors and ranks.
 */
enum ge_schedule {
	GE_COSINE,			/* down to lr_end over all steps */
	GE_WSD				/* steady, then down over the last fifth */
};

struct ge_train_opts {
	struct ge_llama_dims dims;
	enum ge_prec prec;
	uint64_t seed;
	size_t batch, len;		/* sequences a step; their tokens */
	size_t shards;			/* a power of 2 that divides batch */
	uint64_t steps, warmup;
	enum ge_schedule schedule;
	float lr, lr_end;
	float b1, b2, eps, decay, clip;	/* clip 0: none */
};

/* Tokens of documents, one after the other, each with an end token behind it. */
struct ge_tokens {
	const int32_t *v;
	uint64_t n;
	int32_t end;
};

enum {
	GE_TRAIN_LEVELS = 16
};

struct ge_train {
	struct ge_train_opts o;
	struct ge_tokens data;
	struct ge_pool *pool;
	struct ge_llama_work *work;
	size_t nparams;
	float *params, *m, *v;		/* [nparams] */
	float *tree;			/* [nbufs][nparams] */
	size_t nbufs;			/* 1 + log2 shards */
	float *level[GE_TRAIN_LEVELS];
	double *sums;			/* squares, by parts of the parameters */
	double b1t, b2t;		/* b1^step, b2^step */
	int32_t *token, *target;	/* [shard's sequences][len] */
	uint32_t *begin;
	uint32_t *order;		/* of the windows, in this epoch */
	uint64_t nwindows, epoch;
	uint64_t step;			/* steps done */
	double loss, norm;		/* of the last: nats a token; of the gradient */
};

/*
 * ge_train_new(o, data, pool, e): with weights at random (normal, 0.02, those that
 * write to the residual stream less); data and pool are borrowed until ge_train_free.
 * NULL: GE_EUSAGE if there are fewer tokens than one window.
 *
 * ge_train_step(t): one step.  Cannot fail; t->loss may be no number.
 *
 * ge_train_eval(t, data, most): nats a token of other data, at most so many windows.
 *
 * ge_train_lr(o, step): what the schedule says.
 */
struct ge_train *ge_train_new(const struct ge_train_opts *o,
    const struct ge_tokens *data, struct ge_pool *pool, struct ge_err *e);
void ge_train_free(struct ge_train *t);
void ge_train_step(struct ge_train *t);
double ge_train_eval(struct ge_train *t, const struct ge_tokens *data,
    uint64_t most);
float ge_train_lr(const struct ge_train_opts *o, uint64_t step);

#endif
