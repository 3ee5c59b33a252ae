#ifndef GE_IO_H
#define GE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/err.h"

/*
 * Whole reads and writes over short ones and EINTR.  Messages name the call,
 * not the object: the caller says within what.
 */

/* ge_read(fd, buf, len, got, e): one read; *got = 0 at the end of file. */
int ge_read(int fd, void *buf, size_t len, size_t *got, struct ge_err *e);

/* ge_readfull: until len or end of file; *got says how many. */
int ge_readfull(int fd, void *buf, size_t len, size_t *got, struct ge_err *e);

/* ge_pread: the same at an offset. */
int ge_pread(int fd, void *buf, size_t len, uint64_t off, size_t *got,
    struct ge_err *e);

int ge_write(int fd, const void *buf, size_t len, struct ge_err *e);
int ge_pwrite(int fd, const void *buf, size_t len, uint64_t off,
    struct ge_err *e);

/*
 * ge_writev(fd, iov, n, e): all of it; iov is used up.  A signal stops a write
 * that waits for its reader only if fd does not block (cli_stdout).
 */
int ge_writev(int fd, struct iovec *iov, size_t n, struct ge_err *e);

/*
 * ge_pipe_widen(fd): a pipe of 64 KiB makes reader and writer take turns; of what is
 * no pipe nothing comes.
 */
void ge_pipe_widen(int fd);

#endif
