#ifndef GE_COMPLETE_H
#define GE_COMPLETE_H

#include <stddef.h>
#include <stdint.h>

#include "data/bpe.h"
#include "model/infer.h"
#include "model/sampling.h"
#include "util/err.h"

/*
 * Text that goes on where a prompt ends, and what a text costs a model.
 */
enum ge_why {				/* a completion ends */
	GE_WHY_END,			/* the model says so: a special token */
	GE_WHY_LENGTH, GE_WHY_STOP
};

/* A zeroed one with the first part filled in. */
struct ge_completer {
	struct ge_infer *infer;
	const struct ge_bpe *bpe;
	size_t ctx;			/* the room of infer, at least 2 */
	size_t vocab;			/* tokens to choose from */
	int32_t first;			/* what a text begins with, -1: nothing */
	int32_t empty;			/* what an empty one begins with, or -1 */
	struct ge_sampling sampler;
	uint64_t seed;
	size_t length;			/* tokens at most */
	const struct ge_stop {
		const uint8_t *s;
		size_t len;
	} *stop;			/* what ends it, no part of it */
	size_t nstop;
	/* Text as it comes, whole characters; NULL is fine.  -1 ends all. */
	int (*emit)(void *arg, const uint8_t *s, size_t len, struct ge_err *e);
	void *arg;

	/* What has come of it: well-formed UTF-8. */
	uint8_t *text;
	size_t len;
	size_t tokens;			/* drawn; an end counts */
	enum ge_why why;

	/* Private: */
	size_t captext, emitted;
	uint8_t *raw;			/* bytes that are no character yet */
	size_t nraw, capraw;
	int32_t *token;			/* those in infer */
	size_t n, cap;
	float *p;
	uint32_t *order;
};

/*
 * ge_complete(c, prompt, len, number, e):
 * Go on from a prompt, checked text, with the random numbers of the stream number.
 * When the context is full it begins anew with the last half of its tokens.  A
 * prompt that is too long is noted and cut at its beginning.
 * 0; -1 GE_EUSAGE for an empty prompt where the model has no token to begin with,
 * GE_EREFUSED if what the model says is no number.
 */
int ge_complete(struct ge_completer *c, const uint8_t *prompt, size_t len,
    uint64_t number, struct ge_err *e);
void ge_complete_release(struct ge_completer *c);

/*
 * How a text is scored:
 *
 *	GE_RULE_HALF	every token, with all the context that there is, and behind the
 *			first ctx tokens at least half of ctx
 *	GE_RULE_LLAMACPP	pieces of ctx tokens, a shorter rest left out, the first
 *			of each replaced by that which a text begins with, if there is
 *			one; the second half of each without its first token is
 *			scored: the perplexity of llama.cpp
 */
enum ge_rule {
	GE_RULE_HALF, GE_RULE_LLAMACPP
};

struct ge_score {
	double nats;
	uint64_t tokens, bytes;		/* that are scored */
};

/*
 * ge_score(c, rule, text, len, out, e):
 * Of c only infer, bpe, ctx, first and empty count; with GE_RULE_HALF the text
 * begins with first or, if that is -1, with empty, so that all is scored if there is
 * either.  0; -1 GE_EUSAGE if there are fewer than ctx tokens for llama.cpp's rule.
 */
int ge_score(struct ge_completer *c, enum ge_rule rule, const uint8_t *text,
    size_t len, struct ge_score *out, struct ge_err *e);

#endif
