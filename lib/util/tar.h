#ifndef GE_TAR_H
#define GE_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Streams written: POSIX ustar.  ge_tar_entry begins an entry of `size` bytes,
 * ge_tar_add gives its data, ge_tar_close ends the archive and frees; after a
 * failure ge_tar_abort frees, and the archive has no end.  The same bytes for
 * the same entries.
 */
struct ge_tar;
struct ge_tar *ge_tar_open(int fd, struct ge_err *e);
int ge_tar_entry(struct ge_tar *t, const char *name, uint64_t size,
    struct ge_err *e);
int ge_tar_add(struct ge_tar *t, const void *buf, size_t len, struct ge_err *e);
int ge_tar_close(struct ge_tar *t, struct ge_err *e);
void ge_tar_abort(struct ge_tar *t);

#endif
