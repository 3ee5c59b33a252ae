#ifndef GE_TOKENIZER_H
#define GE_TOKENIZER_H

#include <stddef.h>

#include "data/bpe.h"
#include "util/err.h"

/*
 * tokenizer.json and tokenizer_config.json, as Hugging Face's tokenizers and
 * transformers read and write them, of byte-level BPE that cuts text as GPT-2,
 * Llama 3 or SmolLM does.
 */
enum {
	GE_TOKENIZER_MAX = 128 << 20	/* bytes of a tokenizer.json */
};

/*
 * ge_tokenizer_parse(b, buf, len, e):
 * A tokenizer.json.  The tokens of text are those of its own library; what
 * stands for a special token there is plain text here.
 *
 *	b      out  b->begin as its template says; b->end too, or without that
 *	            the first of <|endoftext|>, <|end_of_text|> and </s> that
 *	            is there, else -1; b->missing > 0 deserves a warning.
 *	            Release it whatever happens.
 *	buf    untrusted
 *
 * Return 0, or -1 with GE_EREFUSED and what it is that this cannot do, or what
 * is wrong.  Memory some 20 times len.
 */
int ge_tokenizer_parse(struct ge_bpe *b, const char *buf, size_t len,
    struct ge_err *e);

/*
 * ge_tokenizer_print(b, buf, len, e):
 * The same tokenizer as a tokenizer.json.  All tokens are in its vocabulary,
 * special ones too, so that no reader numbers them anew.
 *
 * ge_tokenizer_config_print(b, ctx, buf, len, e):
 * The tokenizer_config.json beside it; ctx tokens are the longest text.
 *
 * *buf is NUL-terminated behind *len bytes; ge_free; NULL on failure.
 */
int ge_tokenizer_print(const struct ge_bpe *b, char **buf, size_t *len,
    struct ge_err *e);
int ge_tokenizer_config_print(const struct ge_bpe *b, size_t ctx, char **buf,
    size_t *len, struct ge_err *e);

#endif
