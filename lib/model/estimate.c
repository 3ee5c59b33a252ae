#include "model/estimate.h"

static uint64_t
less(uint64_t a, uint64_t b)
{

	return (a < b ? a : b);
}

static uint64_t
more(uint64_t a, uint64_t b)
{

	return (a > b ? a : b);
}

/*
 * Of the factors of a product the smaller one is packed as a whole: of n rows of
 * activations with a matrix, of their gradients with it, and of both for its own.
 */
static uint64_t
packed(const struct ge_llama_dims *d, uint64_t n)
{
	struct ge_tensor t;
	uint64_t most = 0;
	size_t i;

	for (i = 0; ge_llama_tensor(d, i, &t); i++) {
		if (t.cols == 0 || t.rows == d->vocab)
			continue;
		most = more(most, less(n, t.rows) * t.cols);
		most = more(most, less(n, t.cols) * t.rows);
		most = more(most, less(t.rows, t.cols) * n);
	}
	return (most);
}

void
ge_train_bytes(const struct ge_train_opts *o, const struct ge_pool *pool,
    struct ge_train_size *z)
{
	const struct ge_llama_dims *d = &o->dims;
	uint64_t n = ge_llama_params(d), theta = n, size = sizeof(float);
	uint64_t shards = o->shards / (uint64_t)ge_ranks_size(o->ranks);
	uint64_t seqs = o->batch / o->shards, bufs = 1;
	uint64_t number = o->prec == GE_BF16 ? 2 : 4;

	while (shards >> bufs != 0)
		bufs++;
	if (o->lora.rank > 0)
		theta = ge_lora_params(d, o->lora.rank);
	z->weights = n * size;
	z->gradients = bufs * theta * size;
	z->moments = (o->outer > 0 ? 4 : 2) * theta * size;
	if (o->lora.rank > 0) {
		z->weights += (n + theta) * size +
		    ge_lora_work_bytes(d, o->lora.rank);
		z->gradients += n * size;
	}
	z->activations = ge_llama_work_bytes(d, (size_t)seqs, o->len) +
	    packed(d, seqs * o->len) * number +
	    (uint64_t)ge_pool_jobs(pool) * o->len * (d->hd + 64) * number;
}

double
ge_train_flops(const struct ge_train_opts *o)
{
	const struct ge_llama_dims *d = &o->dims;
	double n = (double)ge_llama_params(d);

	/* Rows of an embedding that is no head are looked up. */
	if (!d->tied)
		n -= (double)d->vocab * (double)d->dim;
	return (6 * n + 12 * (double)d->layers * (double)o->len *
	    (double)(d->heads * d->hd));
}
