#ifndef GE_MEM_H
#define GE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * The only allocator.  Each returns NULL with GE_EFAIL when there is no memory;
 * GE_FAILALLOC=i in the environment makes the i-th allocation fail (i from 1),
 * for tests.  Free with ge_free; NULL is fine.
 */
void *ge_alloc(size_t len, struct ge_err *e);		/* zeroed */
void *ge_resize(void *p, size_t len, struct ge_err *e);	/* p stays on failure */
char *ge_strdup(const char *s, struct ge_err *e);
void ge_free(void *p);

/*
 * ge_grow(p, cap, want, size, e):
 * Make room for at least `want` members of `size` bytes in the array at *p that
 * has room for *cap; doubles.  Return 0, or -1 with *p and *cap unchanged.
 */
int ge_grow(void *p, size_t *cap, size_t want, size_t size, struct ge_err *e);

/*
 * ge_append(p, n, cap, s, len, e):
 * len bytes more behind the *n at *p, which has room for *cap and grows.  Return 0, or
 * -1 with all unchanged.
 */
int ge_append(uint8_t **p, size_t *n, size_t *cap, const void *s, size_t len,
    struct ge_err *e);

/*
 * ge_block_alloc(len, e):
 * Bulk memory: 4096-byte aligned, not zeroed, huge pages where the system has
 * them.  Free with ge_block_free.
 */
void *ge_block_alloc(size_t len, struct ge_err *e);
void ge_block_free(void *p);

/*
 * ge_secret_alloc(len, e):
 * Memory for keys: zeroed, locked and out of core dumps where the system
 * allows it.  ge_secret_free wipes it.
 */
void *ge_secret_alloc(size_t len, struct ge_err *e);
void ge_secret_free(void *p, size_t len);
void ge_wipe(void *p, size_t len);

#endif
