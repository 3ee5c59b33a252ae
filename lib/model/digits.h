#ifndef GE_DIGITS_H
#define GE_DIGITS_H

#include <jansson.h>

/*
 * ge_digits(x): x to 7 decimal digits, as files of a model hold it: what was learnt is
 * used as it will be read, and the last bits of a processor's exponentials are not in
 * it.  x is finite.
 *
 * ge_digits_down(x), ge_digits_up(x): to the 7 digits that are not above, or below, x.
 *
 * ge_digits_json(j, min, max, out): an untrusted number; -1 if it is none, or not
 * within min..max.
 */
double ge_digits(double x);
double ge_digits_down(double x);
double ge_digits_up(double x);
int ge_digits_json(const json_t *j, double min, double max, double *out);

#endif
