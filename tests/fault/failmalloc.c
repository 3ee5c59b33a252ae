/*
 * failmalloc.so, for LD_PRELOAD: make one allocation of a program fail, those
 * of its libraries included.  glibc only.
 *
 *	FAILMALLOC=i		the i-th since main began fails
 *	FAILMALLOC_LIST=file	none fails; a line for each distinct place, known
 *				by its call stack, says "i libcrypto" if the i-th
 *				is the first from there and libcrypto is in it,
 *				else "i -"
 *
 * One thread; a program with more must not be asked for a list.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DEPTH = 64,
	PLACES = 1 << 15	/* a power of two, more than there are */
};

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
int __libc_start_main(int (*)(int, char **, char **), int, char **,
    void (*)(void), void (*)(void), void (*)(void), void *);

static int (*program)(int, char **, char **);
static atomic_long count;
static long fail;
static int list = -1, begun, inside;
static uint64_t place[PLACES];

/* Have we been called from here before?  Remember that we were. */
static int
known(void *const *stack, int depth)
{
	uint64_t h = 1469598103934665603u;
	size_t at;
	int i;

	for (i = 0; i < depth; i++)
		h = (h ^ (uint64_t)(uintptr_t)stack[i]) * 1099511628211u;
	h |= 1;
	for (at = (h >> 20) & (PLACES - 1); place[at] != 0;
	    at = (at + 1) & (PLACES - 1))
		if (place[at] == h)
			return (1);
	place[at] = h;
	return (0);
}

static void
note(long i)
{
	void *stack[DEPTH];
	const char *lib = "-";
	Dl_info info;
	int depth, f;

	inside = 1;
	depth = backtrace(stack, DEPTH);
	if (!known(stack, depth)) {
		for (f = 0; f < depth; f++)
			if (dladdr(stack[f], &info) != 0 &&
			    strstr(info.dli_fname, "libcrypto") != NULL)
				lib = "libcrypto";
		dprintf(list, "%ld %s\n", i, lib);
	}
	inside = 0;
}

static int
fails(void)
{
	long i;

	if (!begun || inside)
		return (0);
	i = atomic_fetch_add(&count, 1) + 1;
	if (list != -1)
		note(i);
	if (i != fail)
		return (0);
	errno = ENOMEM;
	return (1);
}

void *
malloc(size_t len)
{

	return (fails() ? NULL : __libc_malloc(len));
}

void *
calloc(size_t n, size_t len)
{

	return (fails() ? NULL : __libc_calloc(n, len));
}

void *
realloc(void *p, size_t len)
{

	return (fails() ? NULL : __libc_realloc(p, len));
}

void *
aligned_alloc(size_t align, size_t len)
{

	return (fails() ? NULL : __libc_memalign(align, len));
}

int
posix_memalign(void **p, size_t align, size_t len)
{

	if (fails())
		return (ENOMEM);
	*p = __libc_memalign(align, len);
	return (*p == NULL ? ENOMEM : 0);
}

/* Here the program begins, all libraries being ready. */
static int
begin(int argc, char **argv, char **envp)
{
	const char *s;
	void *stack[1];

	if ((s = getenv("FAILMALLOC")) != NULL)
		fail = atol(s);
	if ((s = getenv("FAILMALLOC_LIST")) != NULL) {
		list = open(s, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		(void)backtrace(stack, 1);	/* loads what it needs */
	}
	begun = 1;
	return (program(argc, argv, envp));
}

int
__libc_start_main(int (*fn)(int, char **, char **), int argc, char **argv,
    void (*init)(void), void (*fini)(void), void (*ldfini)(void), void *end)
{
	int (*real)(int (*)(int, char **, char **), int, char **,
	    void (*)(void), void (*)(void), void (*)(void), void *);

	*(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
	program = fn;
	return (real(begin, argc, argv, init, fini, ldfini, end));
}
