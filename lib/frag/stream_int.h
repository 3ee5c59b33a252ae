#ifndef GE_STREAM_INT_H
#define GE_STREAM_INT_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Fragment streams: POSIX ustar written, any safe archive read (libarchive).
 */

/*
 * ge_untar_open(fd, what, e):
 * A stream reader on fd, which it does not close; `what` names it in messages
 * (borrowed).  Formats that make libarchive open other files (mtree) or start
 * programs (lrzip, grzip) are not among those it takes.
 *
 * ge_untar_next(u, e):
 * Go to the next regular file.  1; 0 at the end; -1 GE_EFAIL if reading
 * failed.  A damaged or cut archive ends where the damage begins, with a note;
 * what is no archive ends at once; of that nothing is said if it is foreign.
 *
 * ge_untar_read(u, buf, len, got, e):
 * Data of the entry; fewer than len bytes only at its end, or where the archive
 * is cut.
 *
 * ge_untar_size(u, size): whether the archive says how long the entry is, or
 * should be.
 *
 * ge_untar_cut(u): whether it ended where there was damage.
 * ge_untar_foreign(u): whether it is no archive, nor the beginning of ours.
 */
struct ge_untar;
struct ge_untar *ge_untar_open(int fd, const char *what, struct ge_err *e);
int ge_untar_next(struct ge_untar *u, struct ge_err *e);
int ge_untar_read(struct ge_untar *u, void *buf, size_t len, size_t *got,
    struct ge_err *e);
int ge_untar_size(const struct ge_untar *u, uint64_t *size);
int ge_untar_cut(const struct ge_untar *u);
int ge_untar_foreign(const struct ge_untar *u);
void ge_untar_close(struct ge_untar *u);

#endif
