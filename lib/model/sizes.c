#include <string.h>

#include "model/sizes.h"

const struct ge_size ge_sizes[] = {
	{ "1m", 1024, 256, 2, 8, 2, 32, 256, 256 },
	{ "3m", 4096, 256, 4, 8, 2, 32, 512, 256 },
	{ "10m", 8192, 256, 10, 8, 2, 32, 768, 512 },
	{ "30m", 8192, 512, 10, 8, 2, 64, 1280, 512 },
	{ "60m", 16384, 768, 8, 12, 4, 64, 2048, 1024 },
	{ "124m", 32768, 768, 16, 12, 4, 64, 2048, 1024 },
	{ "350m", 32768, 1024, 28, 16, 4, 64, 2816, 1024 },
	{ NULL, 0, 0, 0, 0, 0, 0, 0, 0 }
};

int
ge_size_find(const char *name, size_t vocab, struct ge_llama_dims *d)
{
	const struct ge_size *s;

	for (s = ge_sizes; s->name != NULL; s++)
		if (strcmp(s->name, name) == 0)
			break;
	if (s->name == NULL)
		return (-1);
	*d = (struct ge_llama_dims){
		.vocab = vocab > 0 ? vocab : s->vocab, .dim = s->dim,
		.layers = s->layers, .heads = s->heads, .kv = s->kv,
		.hd = s->hd, .ff = s->ff, .ctx = s->ctx, .tied = 1,
		.theta = 10000, .eps = 1e-5f
	};
	return (0);
}

const char *
ge_size_names(void)
{

	return ("1m, 3m, 10m, 30m, 60m, 124m and 350m");
}
