#ifndef GE_WORLD_H
#define GE_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What makes two runs differ: random bytes and the time of day.  They stand in
 * a file of their own so that tests can link others in their place; no shipped
 * program has a switch for that.
 */

/*
 * ge_random(buf, len, e):
 * Fill buf from the operating system's generator (getrandom(2)).
 * Return 0, or -1 with GE_EFAIL.
 */
int ge_random(void *buf, size_t len, struct ge_err *e);

/*
 * ge_now():
 * Seconds since 1970 UTC.
 */
int64_t ge_now(void);

#endif
