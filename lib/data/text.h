#ifndef GE_TEXT_H
#define GE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Text: UTF-8, and the pieces that a byte-level tokenizer looks at.
 */

/*
 * ge_utf8_check(s, len): how many bytes at the beginning are well-formed UTF-8
 * and not a part of a character: len if all are (RFC 3629).
 *
 * ge_utf8_next(s, len, c): the character at s, of text that has been checked:
 * its bytes, 1..4; len > 0.
 */
size_t ge_utf8_check(const uint8_t *s, size_t len);
size_t ge_utf8_next(const uint8_t *s, size_t len, uint32_t *c);

/*
 * How text is cut before pairs are merged; no token crosses a cut.  The regular
 * expressions of GPT-2 and of Llama 3, and that of GPT-2 between single digits,
 * as SmolLM has it:
 *
 *	GE_SPLIT_GPT2	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|
 *			 ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *	GE_SPLIT_LLAMA3	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|
 *			\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
 *			\s+(?!\S)|\s+
 *	GE_SPLIT_SMOLLM	\p{N}, and what is between them as GE_SPLIT_GPT2
 */
enum ge_split {
	GE_SPLIT_GPT2, GE_SPLIT_LLAMA3, GE_SPLIT_SMOLLM
};

/*
 * ge_split_next(kind, s, len): bytes of the first piece of checked text, where
 * len > 0; what follows s + len is not looked at, so s is to hold the whole
 * document.
 */
size_t ge_split_next(enum ge_split kind, const uint8_t *s, size_t len);

#endif
