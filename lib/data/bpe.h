#ifndef GE_BPE_H
#define GE_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "data/text.h"
#include "util/err.h"

/*
 * Byte-level byte-pair encoding (Sennrich, Haddow and Birch, 2016; Radford et
 * al., 2019): tokens are strings of bytes; the 256 single bytes are among them,
 * and a merge joins two tokens into a third.
 */
struct ge_bpe_merge {
	int32_t left, right, both;
};

struct ge_bpe {
	enum ge_split split;
	int whole;			/* a piece that is a token is not cut
					   (Llama 3) */
	size_t ntokens;
	struct ge_bpe_token {
		uint32_t off, len;	/* into bytes */
		int special;		/* never comes of text */
		int alone;		/* made of a piece that is its bytes;
					   by ge_bpe_ready */
	} *token;			/* [ntokens]; len 0: a hole */
	uint8_t *bytes;
	size_t nbytes, captokens, capbytes;
	struct ge_bpe_merge *merge;	/* first merges first */
	size_t nmerges, capmerges;
	int32_t begin, end;		/* the special tokens before text and
					   between documents; -1: none */
	int missing;			/* bytes without token: left out of
					   text, as its own library does */
	/* Made by ge_bpe_ready: */
	int32_t byte[256];		/* the token of a single byte */
	uint32_t *pair, *piece;		/* hash tables: 1 + number of a merge,
					   of a token */
	size_t npair, npiece;
};

/*
 * ge_bpe_add(b, s, len, special, e): one more token, its number; -1 without
 * memory.
 * ge_bpe_join(b, left, right, both, e): one more merge.
 * ge_bpe_ready(b, e): after all of them: 0; -1 GE_EREFUSED if more than
 * b->missing bytes have no token, a merge does not make what it says or is of
 * special tokens, or two tokens or merges are the same.
 * ge_bpe_release: of what is zeroed as well.
 */
int32_t ge_bpe_add(struct ge_bpe *b, const void *s, size_t len, int special,
    struct ge_err *e);
int ge_bpe_join(struct ge_bpe *b, int32_t left, int32_t right, int32_t both,
    struct ge_err *e);
int ge_bpe_ready(struct ge_bpe *b, struct ge_err *e);
void ge_bpe_release(struct ge_bpe *b);

/*
 * ge_bpe_encode(b, s, len, out, n, cap, e):
 * Append the tokens of checked text to *out, which grows; *n of room for *cap;
 * the caller frees it.  len at most 2^31.  Thread-safe.
 */
int ge_bpe_encode(const struct ge_bpe *b, const uint8_t *s, size_t len,
    int32_t **out, size_t *n, size_t *cap, struct ge_err *e);

/*
 * Training: documents, then the tokens.  The same for the same documents in any
 * order.  Pieces of more than 1000 bytes are left out.
 */
struct ge_bpe_count;

struct ge_bpe_count *ge_bpe_count_new(enum ge_split split, struct ge_err *e);
int ge_bpe_count_add(struct ge_bpe_count *c, const uint8_t *s, size_t len,
    struct ge_err *e);
void ge_bpe_count_free(struct ge_bpe_count *c);

/*
 * ge_bpe_train(b, c, vocab, e):
 * The most frequent pair is merged, of equal ones that of the smaller numbers,
 * until there are vocab tokens, with the special "<|endoftext|>" as the last,
 * or no pair comes twice.  Numbers 0..255 are bytes in GPT-2's order.
 */
int ge_bpe_train(struct ge_bpe *b, struct ge_bpe_count *c, size_t vocab,
    struct ge_err *e);

/*
 * ge_bpe_bytes(b, token, len): the bytes of a token, 0 <= token < b->ntokens;
 * borrowed until the next ge_bpe_add.
 *
 * ge_bpe_show(b, token, e): a token as tokenizer.json and GGUF write it, in
 * UTF-8: its bytes in visible characters, or a special token's own name;
 * ge_free.
 *
 * ge_bpe_visible(out, s, len): GPT-2's visible characters for bytes, and a NUL,
 * into out[2 len + 1].
 *
 * ge_bpe_gpt2_byte(i): the i-th byte in GPT-2's order.
 */
const uint8_t *ge_bpe_bytes(const struct ge_bpe *b, int32_t token, size_t *len);
char *ge_bpe_show(const struct ge_bpe *b, int32_t token, struct ge_err *e);
void ge_bpe_visible(char *out, const uint8_t *s, size_t len);
uint8_t ge_bpe_gpt2_byte(int i);

#endif
