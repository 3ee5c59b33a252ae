#ifndef GE_INFER_H
#define GE_INFER_H

#include <stddef.h>
#include <stdint.h>

#include "model/gemm.h"
#include "model/llama.h"
#include "util/err.h"
#include "util/pool.h"

/*
 * What a model says next: one sequence, token after token, with the keys and values
 * of those before kept.  Every sum has the order of ge_gemm: the same logits whether
 * tokens are fed one by one or many at once, on any number of threads and any
 * processor, and those that ge_llama_loss has.
 */
struct ge_infer;

/*
 * ge_infer_new(d, params, prec, ctx, pool, e):
 * With room for ctx tokens.  The weights are copied, as prec has them: params may go.
 * pool is borrowed until ge_infer_free (NULL is fine).
 *
 * ge_infer_feed(s, token, n):
 * Append n tokens, 0..vocab-1, n > 0; with those before at most ctx.  Return the
 * logits [vocab] of what follows the last, good until the next call.  Cannot fail.
 *
 * ge_infer_loss(s, token, target, n):
 * The same, of all n: the sum of the losses of the targets in nats; -1: none is wanted.
 *
 * ge_infer_len(s): how many tokens there are.
 * ge_infer_reset(s): begin anew.
 */
struct ge_infer *ge_infer_new(const struct ge_llama_dims *d,
    const float *params, enum ge_prec prec, size_t ctx, struct ge_pool *pool,
    struct ge_err *e);
void ge_infer_free(struct ge_infer *s);
const float *ge_infer_feed(struct ge_infer *s, const int32_t *token, size_t n);
double ge_infer_loss(struct ge_infer *s, const int32_t *token,
    const int32_t *target, size_t n);
size_t ge_infer_len(const struct ge_infer *s);
void ge_infer_reset(struct ge_infer *s);

#endif
