#ifndef GE_TRAIN_H
#define GE_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "model/llama.h"
#include "model/lora.h"
#include "model/ranks.h"
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
	const float *base;		/* weights to begin with, copied; NULL: random */
	struct ge_lora lora;		/* rank 0: the weights themselves are trained */
	uint64_t outer;			/* DiLoCo: steps between exchanges; 0: none */
	uint64_t together;		/* steps before the ranks go apart, for DiLoCo */
	float outer_lr, outer_momentum;
	struct ge_ranks *ranks;		/* NULL: alone */
};

/*
 * Tokens of documents, one after the other, each with an end token behind it, after
 * which the next one is learnt to begin: nothing before that is seen.
 */
struct ge_tokens {
	const int32_t *v;
	uint64_t n;
	int32_t end;
};

enum {
	GE_TRAIN_LEVELS = 16
};

/*
 * What is trained, theta, is the weights themselves, or the matrices of LoRA: then
 * params are base and what theta adds to it.
 */
struct ge_train {
	struct ge_train_opts o;
	struct ge_tokens data;
	struct ge_pool *pool;
	struct ge_llama_work *work;
	struct ge_lora_work *lora;	/* NULL: theta is params */
	size_t nparams, ntheta;
	float *params, *base;		/* [nparams]; base NULL without LoRA */
	float *theta, *m, *v;		/* [ntheta] */
	float *outer, *outer_m;		/* [ntheta]; NULL without DiLoCo */
	float *dense;			/* [nparams]; NULL without LoRA */
	float *tree;			/* [nbufs][ntheta] */
	size_t nbufs;			/* 1 + log2 of the shards of a rank */
	float *level[GE_TRAIN_LEVELS];
	size_t from, own;		/* the part of theta that this rank updates */
	double *sums;			/* squares, by parts of theta */
	double *losses;			/* of the shards */
	double b1t, b2t;		/* b1^step, b2^step */
	int32_t *token, *target;	/* [shard's sequences][len] */
	uint32_t *begin;
	uint32_t *order;		/* of the windows, in this epoch */
	uint64_t nwindows, epoch;
	uint64_t step;			/* steps done */
	uint64_t joined;		/* steps done at the last exchange */
	double loss, norm;		/* of the last: nats a token; of the gradient */
	struct ge_err bad;		/* of a step alone, until the exchange */
};

/* Bytes. */
struct ge_train_size {
	uint64_t weights;		/* with what LoRA begins from and adds */
	uint64_t gradients;		/* of the shards that wait to be added, too */
	uint64_t moments;		/* with those of DiLoCo */
	uint64_t activations;		/* and room for products */
};

/*
 * ge_train_new(o, data, pool, e): with the weights o->base, or at random (normal,
 * 0.02, those that write to the residual stream less); data, pool and o->ranks are
 * borrowed until ge_train_free.  NULL: GE_EUSAGE if there are fewer tokens than one
 * window, or if the ranks do not come out even.
 *
 * ge_train_step(t, e): one step.  0; -1 GE_EFAIL if the loss or the gradient is no
 * number: theta, the moments and t->step are what they were before.
 *
 * ge_train_rehearse(t, e): all work of a step but its last, so that nothing has
 * changed but t->loss and t->norm.  As ge_train_step.
 *
 * ge_train_eval(t, data, most, nats, e): nats a token of other data, at most so many
 * windows; UINT64_MAX: all, and -1 if the program is to stop (util/hook.h).  0, -1.
 *
 * ge_train_lr(o, step): what the schedule says.
 *
 * ge_train_tensor(t, i, y): the i-th tensor of theta: 1; 0 behind the last.
 *
 * ge_train_bytes(o, pool, z): what ge_train_new takes, all but a number for each
 * window of data.
 *
 * With ranks, all of them make the same calls, and get the same weights and, from
 * new, step and eval, the same answer.
 *
 * ge_train_whole(t, e): before the state is saved: a rank keeps the moments of its
 * own part alone up to date, and this brings them together.  0, -1.
 *
 * ge_train_changed(t, e): theta, m, v, outer, outer_m, step, b1t and b2t have been
 * set to a state that was saved, at least on rank 0, whose are given to all; params
 * follow.  0, -1.
 *
 * With DiLoCo (Douillard et al., 2023) the ranks are as one for o->together steps;
 * then each has theta and moments of its own, and after each outer-th step and the
 * last they exchange: Nesterov's momentum goes on from the mean of what they found.
 * Each rank saves its own state and sets its own again; what comes out depends on the
 * number of ranks.  Weights at random want o->together to be a tenth of the steps or
 * more: means of models that never were one are bad.  t->loss is that of this rank's part of the batch.
 *
 * ge_train_join(t, e): the exchange that is due before the weights are used, if one
 * is: all ranks have the same then.  0, -1.
 */
struct ge_train *ge_train_new(const struct ge_train_opts *o,
    const struct ge_tokens *data, struct ge_pool *pool, struct ge_err *e);
void ge_train_free(struct ge_train *t);
int ge_train_step(struct ge_train *t, struct ge_err *e);
int ge_train_rehearse(struct ge_train *t, struct ge_err *e);
int ge_train_eval(struct ge_train *t, const struct ge_tokens *data,
    uint64_t most, double *nats, struct ge_err *e);
float ge_train_lr(const struct ge_train_opts *o, uint64_t step);
int ge_train_tensor(const struct ge_train *t, size_t i, struct ge_tensor *y);
void ge_train_bytes(const struct ge_train_opts *o, const struct ge_pool *pool,
    struct ge_train_size *z);
int ge_train_whole(struct ge_train *t, struct ge_err *e);
int ge_train_changed(struct ge_train *t, struct ge_err *e);
int ge_train_join(struct ge_train *t, struct ge_err *e);

#endif
