#ifndef GE_JSONL_H
#define GE_JSONL_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * JSON lines (jsonlines.org): an object a line (RFC 8259), of which the string "text"
 * is wanted.  The line is looked at to its end, and nothing is made of the rest.
 */

/*
 * ge_jsonl_find(s, len, text, n, e):
 * One line of checked UTF-8: *text is where the characters of the string begin, as
 * they are written, and *n how many bytes.  1; 0 if the line is blank; -1 GE_EREFUSED
 * if it is no object, there is no such string or more than one, a surrogate is alone,
 * or things are nested more than 512 deep.
 *
 * ge_jsonl_plain(dst, src, n):
 * What such characters mean: at most n bytes into dst, which may be src; how many.
 *
 * Both thread-safe, allocate nothing, O(len).
 */
int ge_jsonl_find(const uint8_t *s, size_t len, const uint8_t **text,
    size_t *n, struct ge_err *e);
size_t ge_jsonl_plain(uint8_t *dst, const uint8_t *src, size_t n);

#endif
