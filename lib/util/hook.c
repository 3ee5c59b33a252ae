#define _GNU_SOURCE		/* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "util/hook.h"

static int wake[2] = { -1, -1 };
static int (*hook)(void);
static void (*note)(int, const char *);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t done;
static atomic_int cancelled;

int
ge_hook_open(int (*fn)(void), struct ge_err *e)
{

	if (wake[0] == -1 && pipe2(wake, O_CLOEXEC | O_NONBLOCK) == -1)
		return (ge_failsys(e, "cannot make a pipe"));
	hook = fn;
	return (0);
}

void
ge_hook_poke(void)
{
	int sys = errno;

	/* A full pipe wakes as well as one more byte. */
	if (wake[1] != -1 && write(wake[1], "", 1) == -1)
		errno = sys;
	errno = sys;
}

int
ge_hook_tick(uint64_t n, struct ge_err *e)
{
	int stop = 0;

	atomic_fetch_add(&done, n);
	if (hook == NULL)
		return (0);
	pthread_mutex_lock(&lock);
	stop = hook();
	pthread_mutex_unlock(&lock);
	if (stop)
		return (ge_fail(e, GE_EFAIL, "interrupted"));
	return (0);
}

uint64_t
ge_hook_done(void)
{

	return (atomic_load(&done));
}

int
ge_hook_fd(void)
{

	return (wake[0]);
}

void
ge_hook_drain(void)
{
	char buf[64];

	while (read(wake[0], buf, sizeof(buf)) > 0)
		;
}

void
ge_hook_cancel(int on)
{

	atomic_store(&cancelled, on);
	if (on)
		ge_hook_poke();
}

int
ge_hook_cancelled(void)
{

	return (atomic_load(&cancelled));
}

void
ge_note_open(void (*fn)(int level, const char *line))
{

	note = fn;
}

void
ge_note(int level, const char *fmt, ...)
{
	char line[512], *s;
	va_list ap;

	if (note == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (s = line; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	pthread_mutex_lock(&lock);
	note(level, line);
	pthread_mutex_unlock(&lock);
}
