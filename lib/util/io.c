#define _GNU_SOURCE		/* F_SETPIPE_SZ */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "util/hook.h"
#include "util/io.h"

enum {
	BATCH = 512		/* pieces a writev; POSIX lets 16, Linux 1024 */
};

/*
 * Wait until fd can be read or written, or the hook wants to stop.  A pipe may
 * be silent for hours; only so do a signal or a failed neighbour get through.
 */
static int
wait_for(int fd, short events, struct ge_err *e)
{
	struct pollfd p[2] = {
		{ .fd = fd, .events = events },
		{ .fd = ge_hook_fd(), .events = POLLIN }
	};
	int n;

	if (p[1].fd == -1)
		return (0);
	for (;;) {
		if (events == POLLIN && ge_hook_cancelled())
			return (ge_fail(e, GE_EFAIL, "interrupted"));
		n = poll(p, 2, -1);
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return (ge_failsys(e, "cannot wait for data"));
		if (n == -1 || p[1].revents != 0) {
			if (!ge_hook_cancelled())
				ge_hook_drain();
			if (ge_hook_tick(0, e) == -1) {
				ge_hook_poke();		/* the next one too */
				return (-1);
			}
		}
		if (n != -1 && p[0].revents != 0)
			return (0);
	}
}

int
ge_read(int fd, void *buf, size_t len, size_t *got, struct ge_err *e)
{
	ssize_t n;

	do {
		if (wait_for(fd, POLLIN, e) == -1)
			return (-1);
		n = read(fd, buf, len < INT_MAX ? len : INT_MAX);
	} while (n == -1 && (errno == EINTR || errno == EAGAIN));
	if (n == -1)
		return (ge_failsys(e, "cannot read"));
	*got = (size_t)n;
	return (0);
}

int
ge_readfull(int fd, void *buf, size_t len, size_t *got, struct ge_err *e)
{
	uint8_t *p = buf;
	size_t n;

	for (*got = 0; *got < len; *got += n) {
		if (ge_read(fd, p + *got, len - *got, &n, e) == -1)
			return (-1);
		if (n == 0)
			break;
	}
	return (0);
}

int
ge_pread(int fd, void *buf, size_t len, uint64_t off, size_t *got,
    struct ge_err *e)
{
	uint8_t *p = buf;
	ssize_t n;

	for (*got = 0; *got < len; *got += (size_t)n) {
		n = pread(fd, p + *got, len - *got, (off_t)(off + *got));
		if (n == -1 && errno == EINTR) {
			n = 0;
			continue;
		}
		if (n == -1)
			return (ge_failsys(e, "cannot read"));
		if (n == 0)
			break;
	}
	return (0);
}

int
ge_write(int fd, const void *buf, size_t len, struct ge_err *e)
{
	struct iovec v = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };

	return (ge_writev(fd, &v, 1, e));
}

int
ge_pwrite(int fd, const void *buf, size_t len, uint64_t off, struct ge_err *e)
{
	const uint8_t *p = buf;
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, p, len, (off_t)off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return (ge_failsys(e, "cannot write"));
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return (0);
}

int
ge_writev(int fd, struct iovec *iov, size_t n, struct ge_err *e)
{
	ssize_t done;

	for (;;) {
		while (n > 0 && iov->iov_len == 0) {
			iov++;
			n--;
		}
		if (n == 0)
			return (0);
		if (wait_for(fd, POLLOUT, e) == -1)
			return (-1);
		done = writev(fd, iov, n < BATCH ? (int)n : BATCH);
		if (done == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (done == -1)
			return (ge_failsys(e, "cannot write"));
		while (done > 0) {
			size_t take = (size_t)done < iov->iov_len ?
			    (size_t)done : iov->iov_len;

			iov->iov_base = (uint8_t *)iov->iov_base + take;
			iov->iov_len -= take;
			done -= (ssize_t)take;
			if (iov->iov_len == 0 && n > 1) {
				iov++;
				n--;
			}
		}
	}
}

void
ge_pipe_widen(int fd)
{
#ifdef F_SETPIPE_SZ
	(void)fcntl(fd, F_SETPIPE_SZ, 1 << 20);
#else
	(void)fd;
#endif
}
