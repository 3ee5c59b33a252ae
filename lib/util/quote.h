#ifndef GE_QUOTE_H
#define GE_QUOTE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Text on one line: what printf(1) turns back with %b, and JSON.  Each appends to
 * *to, which grows: *n bytes of room for *cap; ge_free it.  0, or -1 without memory.
 *
 * ge_quote_line: \\, \a, \b, \f, \n, \r, \t, \v and, of other control characters, \0
 * and three octal digits.
 * ge_quote_json: well-formed UTF-8 as a string, with its quotation marks.
 *
 * ge_unquote(s, out): the inverse of ge_quote_line in place of out [strlen(s)]; what
 * else a backslash stands before stays as it is.  Return the bytes.
 */
int ge_quote_line(const uint8_t *s, size_t len, uint8_t **to, size_t *n,
    size_t *cap, struct ge_err *e);
int ge_quote_json(const uint8_t *s, size_t len, uint8_t **to, size_t *n,
    size_t *cap, struct ge_err *e);
size_t ge_unquote(const char *s, uint8_t *out);

#endif
