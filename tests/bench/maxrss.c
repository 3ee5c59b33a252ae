/*
 * maxrss FILE command [argument ...]: run the command and append to FILE a line
 * "seconds<TAB>processor seconds<TAB>KiB": the time it took, user and system
 * time of it and its children, and the most memory that one of them had
 * resident.  The status is the command's.
 */
#define _DEFAULT_SOURCE		/* wait4 */
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int
fail(const char *what)
{

	fprintf(stderr, "maxrss: %s: %s\n", what, strerror(errno));
	return (127);
}

static double
seconds(struct timeval t)
{

	return ((double)t.tv_sec + (double)t.tv_usec * 1e-6);
}

int
main(int argc, char **argv)
{
	struct timespec begin, end;
	struct rusage use;
	FILE *out;
	pid_t pid;
	int status;

	if (argc < 3) {
		fprintf(stderr, "usage: maxrss file command [argument ...]\n");
		return (2);
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if ((pid = fork()) == -1)
		return (fail("fork"));
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		_exit(fail(argv[2]));
	}
	while (wait4(pid, &status, 0, &use) == -1)
		if (errno != EINTR)
			return (fail("wait4"));
	clock_gettime(CLOCK_MONOTONIC, &end);
	if ((out = fopen(argv[1], "a")) == NULL)
		return (fail(argv[1]));
	fprintf(out, "%.6f\t%.6f\t%ld\n",
	    (double)(end.tv_sec - begin.tv_sec) +
	    (double)(end.tv_nsec - begin.tv_nsec) * 1e-9,
	    seconds(use.ru_utime) + seconds(use.ru_stime), use.ru_maxrss);
	if (fclose(out) == EOF)
		return (fail(argv[1]));
	return (WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status));
}
