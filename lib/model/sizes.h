#ifndef GE_SIZES_H
#define GE_SIZES_H

#include <stddef.h>

#include "model/llama.h"

/*
 * Models that have names.  Rows of all matrices are multiples of 256 numbers
 * long, as the K-quantisations of llama.cpp want; embeddings are tied; four
 * queries share a key (three in "60m" and "124m").  A name tells how many
 * parameters there are in all with so large a vocabulary.
 */
struct ge_size {
	const char *name;
	size_t vocab;
	size_t dim, layers, heads, kv, hd, ff, ctx;
};

/* The smallest first; behind the last one the name is NULL. */
extern const struct ge_size ge_sizes[];

/*
 * ge_size_find(name, vocab, d): its dimensions, with a vocabulary of so many;
 * 0: its own.  0; -1 if there is no such name.
 *
 * ge_size_names(): all of them, in words: "1m, ... and 350m".
 */
int ge_size_find(const char *name, size_t vocab, struct ge_llama_dims *d);
const char *ge_size_names(void);

#endif
