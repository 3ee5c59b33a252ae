#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "data/text.h"
#include "predict.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/quote.h"

enum {
	PATIENCE = 1000			/* ms, for a reader when a signal came */
};

void
report_put(struct report *o, const char *s, size_t len)
{

	if (ge_buf_room(&o->b, len) == -1)
		return;
	memcpy(o->b.s + o->b.len, s, len);
	o->b.len += len;
}

void
report_name(struct report *o, const char *s, size_t len)
{
	const uint8_t *u = (const uint8_t *)s;
	size_t good = ge_utf8_check(u, len), n, i;
	uint32_t c;

	while (len > 0) {
		n = good > 0 ? ge_utf8_next(u, good, &c) : 1;
		if (good > 0 && c > ' ' && !(c >= 0x7f && c <= 0x9f) &&
		    c != '%' && c != ',' && c != ':')
			report_put(o, (const char *)u, n);
		else
			for (i = 0; i < n; i++)
				ge_buf_put(&o->b, "%%%02X", u[i]);
		u += n;
		len -= n;
		good = good > 0 ? good - n : ge_utf8_check(u, len);
	}
}

void
report_quoted(struct report *o, const char *s, size_t len)
{
	uint8_t *q = NULL;
	size_t n = 0, cap = 0, good;

	good = ge_utf8_check((const uint8_t *)s, len);
	if (good < len) {
		report_put(o, "\"", 1);
		report_name(o, s, len);
		report_put(o, "\"", 1);
		return;
	}
	if (o->b.rc == 0)
		o->b.rc = ge_quote_json((const uint8_t *)s, len, &q, &n, &cap,
		    o->b.e);
	report_put(o, (const char *)q, n);
	ge_free(q);
}

void
report_count(struct report *o, uint64_t n)
{
	char s[20];
	size_t i = sizeof(s);

	do {
		s[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	report_put(o, s + i, sizeof(s) - i);
}

void
report_fixed(struct report *o, double x)
{
	char s[8] = ".000000";
	uint64_t n;
	size_t i;

	if (!(fabs(x) < 1e9)) {
		ge_buf_put(&o->b, "%.9g", x);
		return;
	}
	n = (uint64_t)(fabs(x) * 1e6 + 0.5);
	if (x < 0 && n > 0)
		report_put(o, "-", 1);
	report_count(o, n / 1000000);
	n %= 1000000;
	if (n == 0)
		return;
	for (i = 6; i > 0; i--, n /= 10)
		s[i] = (char)('0' + n % 10);
	for (i = 6; s[i] == '0'; i--)
		;
	report_put(o, s, i + 1);
}

int
report_flush(struct report *o, struct ge_err *e)
{
	struct iovec v = { o->b.s + o->done, o->b.len - o->done };
	int rc;

	if (o->b.rc == -1)
		return (-1);
	if (v.iov_len == 0 || o->failed)
		return (0);
	if ((rc = ge_writev(o->fd, &v, 1, e)) == -1) {
		ge_within(e, "output");
		o->failed = 1;
	}
	o->done = o->b.len - v.iov_len;
	if (rc == 0)
		o->b.len = o->done = 0;
	return (rc);
}

int
report_last(struct report *o)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	ssize_t n;

	while (o->b.rc == 0 && o->done < o->b.len) {
		if (poll(&p, 1, PATIENCE) == 0)
			return (-1);
		n = write(o->fd, o->b.s + o->done, o->b.len - o->done);
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return (-1);
		o->done += n > 0 ? (size_t)n : 0;
	}
	return (o->b.rc);
}

void
report_release(struct report *o)
{

	ge_free(o->b.s);
	o->b.s = NULL;
}
