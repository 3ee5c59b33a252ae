#ifndef GE_BUF_H
#define GE_BUF_H

#include <stddef.h>

#include "util/err.h"

/*
 * Text that grows.  After a failure nothing more is added, so that only the end is to
 * be looked at.
 */
struct ge_buf {
	char *s;			/* NUL-terminated if len > 0 */
	size_t len, cap;
	struct ge_err *e;		/* set by the caller */
	int rc;				/* -1: no memory since */
};

/*
 * ge_buf_put(b, fmt, ...): more text.
 *
 * ge_buf_room(b, more): so many bytes, and a NUL, fit behind the text: 0, -1.
 *
 * ge_buf_done(b, s, len): the text becomes the caller's, to be freed with ge_free:
 * 0; or -1 and *s is NULL.  len may be NULL.
 */
void ge_buf_put(struct ge_buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int ge_buf_room(struct ge_buf *b, size_t more);
int ge_buf_done(struct ge_buf *b, char **s, size_t *len);

#endif
