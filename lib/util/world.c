#include <sys/random.h>

#include <errno.h>
#include <time.h>

#include "util/world.h"

int
ge_random(void *buf, size_t len, struct ge_err *e)
{
	unsigned char *p = buf;
	ssize_t n;

	while (len > 0) {
		n = getrandom(p, len < 256 ? len : 256, 0);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return (ge_failsys(e, "cannot get random bytes"));
		p += n;
		len -= (size_t)n;
	}
	return (0);
}

int64_t
ge_now(void)
{

	return ((int64_t)time(NULL));
}
