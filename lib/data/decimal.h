#ifndef GE_DECIMAL_H
#define GE_DECIMAL_H

#include <stddef.h>

/*
 * ge_decimal(s, out):
 * The decimal number that begins at s: sign, digits with a point among them or not,
 * exponent or not; no blanks, no hexadecimal, no words.  Behind it must be a byte that
 * can be no part of it.  Correctly rounded, as strtod; locale-free.  Returns
 * where it ends, or NULL if there is none.
 *
 * ge_decimal_print(s, x): the shortest text, NUL-terminated, that ge_decimal reads as x;
 * returns s.
 *
 * ge_instant(s, len, out): a date or time of ISO 8601 (calendar dates, to a fraction
 * of a second, T or a blank between, Z or an offset; without one it is taken as
 * UTC), as seconds since 1970-01-01.  0, or -1 if s is none.
 */
const char *ge_decimal(const char *s, double *out);
char *ge_decimal_print(char s[32], double x);
int ge_instant(const char *s, size_t len, double *out);

#endif
