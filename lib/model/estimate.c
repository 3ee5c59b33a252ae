#include "model/estimate.h"

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
