/*
 * notmpfile.so, for LD_PRELOAD: a file system without O_TMPFILE, so that files
 * grow under temporary names.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

int
open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode = 0;

	if ((flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return (-1);
	}
	if ((flags & O_CREAT) != 0) {
		va_start(ap, flags);
		mode = (mode_t)va_arg(ap, unsigned);
		va_end(ap);
	}
	return ((int)syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
