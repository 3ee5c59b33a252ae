#include <stdarg.h>
#include <stdio.h>

#include "util/mem.h"
#include "util/buf.h"

int
ge_buf_room(struct ge_buf *b, size_t more)
{

	if (b->rc == 0)
		b->rc = ge_grow(&b->s, &b->cap, b->len + more + 1, 1, b->e);
	return (b->rc);
}

void
ge_buf_put(struct ge_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || ge_buf_room(b, (size_t)n) == -1)
		return;
	va_start(ap, fmt);
	vsnprintf(b->s + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

int
ge_buf_done(struct ge_buf *b, char **s, size_t *len)
{

	if (b->rc == -1) {
		ge_free(b->s);
		b->s = NULL;
		b->len = 0;
	}
	*s = b->s;
	if (len != NULL)
		*len = b->len;
	return (b->rc);
}
