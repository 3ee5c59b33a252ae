#define _DEFAULT_SOURCE		/* MAP_ANONYMOUS, madvise */
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/mem.h"

#define HUGE	((size_t)2 << 20)

static int
allowed(size_t len, struct ge_err *e)
{
	static atomic_long count;
	static atomic_long fail = -1;
	const char *s;
	long f;

	if ((f = atomic_load(&fail)) == -1) {
		f = (s = getenv("GE_FAILALLOC")) != NULL ? atol(s) : 0;
		atomic_store(&fail, f);
	}
	if (f > 0 && atomic_fetch_add(&count, 1) + 1 == f) {
		ge_fail(e, GE_EFAIL, "out of memory (%zu bytes)", len);
		return (0);
	}
	return (1);
}

static void *
check(void *p, size_t len, struct ge_err *e)
{

	if (p == NULL)
		ge_fail(e, GE_EFAIL, "out of memory (%zu bytes)", len);
	return (p);
}

void *
ge_alloc(size_t len, struct ge_err *e)
{

	if (!allowed(len, e))
		return (NULL);
	return (check(calloc(1, len != 0 ? len : 1), len, e));
}

void *
ge_resize(void *p, size_t len, struct ge_err *e)
{

	if (!allowed(len, e))
		return (NULL);
	return (check(realloc(p, len != 0 ? len : 1), len, e));
}

char *
ge_strdup(const char *s, struct ge_err *e)
{
	size_t len = strlen(s) + 1;
	char *p;

	if ((p = ge_alloc(len, e)) != NULL)
		memcpy(p, s, len);
	return (p);
}

void
ge_free(void *p)
{

	free(p);
}

int
ge_grow(void *p, size_t *cap, size_t want, size_t size, struct ge_err *e)
{
	void **array = p, *q;
	size_t n = *cap;

	if (want <= n)
		return (0);
	while (n < want)
		n = n < 8 ? 8 : n <= SIZE_MAX / 2 ? 2 * n : want;
	if (n > SIZE_MAX / size)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	if ((q = ge_resize(*array, n * size, e)) == NULL)
		return (-1);
	*array = q;
	*cap = n;
	return (0);
}

int
ge_append(uint8_t **p, size_t *n, size_t *cap, const void *s, size_t len,
    struct ge_err *e)
{

	if (len == 0)
		return (0);
	if (ge_grow(p, cap, *n + len, 1, e) == -1)
		return (-1);
	memcpy(*p + *n, s, len);
	*n += len;
	return (0);
}

void *
ge_block_alloc(size_t len, struct ge_err *e)
{
	void *p;

	if (!allowed(len, e))
		return (NULL);
	if (posix_memalign(&p, len >= HUGE ? HUGE : 4096,
	    len != 0 ? len : 1) != 0)
		return (check(NULL, len, e));
#ifdef MADV_HUGEPAGE
	if (len >= HUGE)
		(void)madvise(p, len / HUGE * HUGE, MADV_HUGEPAGE);
#endif
	return (p);
}

void
ge_block_free(void *p)
{

	free(p);
}

/*
 * The secure heap exists if the program made it (cli.c); without it OpenSSL
 * gives ordinary memory, still wiped when freed.
 */
void *
ge_secret_alloc(size_t len, struct ge_err *e)
{

	if (!allowed(len, e))
		return (NULL);
	return (check(OPENSSL_secure_zalloc(len != 0 ? len : 1), len, e));
}

void
ge_secret_free(void *p, size_t len)
{

	OPENSSL_secure_clear_free(p, len);
}

void
ge_wipe(void *p, size_t len)
{

	OPENSSL_cleanse(p, len);
}
