#ifndef GE_ESTIMATE_H
#define GE_ESTIMATE_H

#include <stdint.h>

#include "model/train.h"
#include "util/pool.h"

/* Bytes of memory that a training takes beside its tokens. */
struct ge_train_size {
	uint64_t weights;		/* with LoRA those of the base, and its own */
	uint64_t gradients;		/* of the shards that are being added */
	uint64_t moments;		/* with DiLoCo those of the exchanges, too */
	uint64_t activations;		/* of one shard; factors packed for products */
};

/*
 * ge_train_bytes(o, pool, z): what ge_train_new allocates, and of what products pack
 * as much as they use.
 *
 * ge_train_flops(o): of a step, a token: 6 for each parameter that is multiplied, and
 * 12 a layer for each number of a head and position (forward once, backward twice).
 */
void ge_train_bytes(const struct ge_train_opts *o, const struct ge_pool *pool,
    struct ge_train_size *z);
double ge_train_flops(const struct ge_train_opts *o);

#endif
