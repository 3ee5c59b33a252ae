#ifndef GE_NGRAM_H
#define GE_NGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "model/train.h"
#include "util/err.h"

/*
 * What a model has to beat: interpolated modified Kneser-Ney smoothing of order
 * 3 (Chen and Goodman, 1999), down to the uniform distribution.  What is
 * counted is what a model learns: every token after at most two others of its
 * document, in front of which stands an end.
 *
 * Memory is bounded, at about 700 MB (900 while a table grows): after 8 million
 * different pairs, or 25 million different triples, new ones are not counted.
 */
struct ge_ngram;

/*
 * ge_ngram_new(data, vocab, e): tokens are below vocab.  NULL: no memory, or
 * the hook stops it.
 * ge_ngram_bytes(g): what it takes.
 *
 * ge_ngram_prob(g, u, v, w): of w after u and v, in that order; u is data->end
 * where v begins its document, and so is v where w does.  Positive; the sum over all w is 1.
 */
struct ge_ngram *ge_ngram_new(const struct ge_tokens *data, size_t vocab,
    struct ge_err *e);
void ge_ngram_free(struct ge_ngram *g);
uint64_t ge_ngram_bytes(const struct ge_ngram *g);
double ge_ngram_prob(const struct ge_ngram *g, int32_t u, int32_t v,
    int32_t w);

enum {
	GE_BASELINES = 3
};

struct ge_baseline {
	const char *name;
	double nats;			/* a token of val */
	double seconds;			/* to train and to score */
	uint64_t bytes;			/* of memory */
};

/*
 * ge_baselines(train, val, vocab, out, e):
 * "constant", every token as likely as any other; "unigram", its share of
 * train, one added to each count; "trigram", as above.  nats is 0 if val wants
 * no token.
 *
 * ge_tokens_wanted(data): how many tokens are scored, so that nats * this is
 * what all of data costs.
 */
int ge_baselines(const struct ge_tokens *train, const struct ge_tokens *val,
    size_t vocab, struct ge_baseline out[GE_BASELINES], struct ge_err *e);
uint64_t ge_tokens_wanted(const struct ge_tokens *data);

#endif
