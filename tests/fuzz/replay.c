/*
 * replay PATH ...: feed each file, and each file of a directory, to the fuzz
 * target this is linked with.  The inputs run in a child, so that one that
 * crashes is named and the rest still run.
 */
#define _DEFAULT_SOURCE		/* MAP_ANONYMOUS */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char **paths;
static size_t npaths;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
add(const char *path)
{
	if ((paths = realloc(paths, (npaths + 1) * sizeof(*paths))) == NULL ||
	    (paths[npaths++] = strdup(path)) == NULL)
		die("replay");
}

static void
add_dir(const char *dir)
{
	struct dirent *d;
	char *path;
	size_t len;
	DIR *dp;

	if ((dp = opendir(dir)) == NULL)
		die(dir);
	while ((d = readdir(dp)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		len = strlen(dir) + strlen(d->d_name) + 2;
		if ((path = malloc(len)) == NULL)
			die("replay");
		snprintf(path, len, "%s/%s", dir, d->d_name);
		add(path);
		free(path);
	}
	closedir(dp);
}

static int
by_name(const void *a, const void *b)
{
	return (strcmp(*(char *const *)a, *(char *const *)b));
}

/* The input lies in memory of just its size: a read past it is seen. */
static void
feed(const char *path)
{
	struct stat st;
	uint8_t *buf;
	size_t len;
	FILE *f;

	if ((f = fopen(path, "rb")) == NULL || fstat(fileno(f), &st) == -1)
		die(path);
	len = (size_t)st.st_size;
	if ((buf = malloc(len > 0 ? len : 1)) == NULL)
		die(path);
	if (fread(buf, 1, len, f) != len)
		die(path);
	fclose(f);
	LLVMFuzzerTestOneInput(buf, len);
	free(buf);
}

int
main(int argc, char **argv)
{
	volatile size_t *at;
	const char *name;
	struct stat st;
	int i, status, bad = 0;
	pid_t pid;

	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == -1)
			die(argv[i]);
		if (S_ISDIR(st.st_mode))
			add_dir(argv[i]);
		else
			add(argv[i]);
	}
	name = (name = strrchr(argv[0], '/')) != NULL ? name + 1 : argv[0];
	if (npaths == 0) {
		printf("not ok replay %s: no input\n", name);
		return (1);
	}
	qsort(paths, npaths, sizeof(*paths), by_name);
	if ((at = mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0)) == MAP_FAILED)
		die("replay");

	/* After a crash the next child goes on behind the input that did it. */
	for (*at = 0; *at < npaths; ++*at) {
		fflush(stdout);
		if ((pid = fork()) == -1)
			die("replay");
		if (pid == 0) {
			for (; *at < npaths; ++*at)
				feed(paths[*at]);
			exit(0);
		}
		if (waitpid(pid, &status, 0) == -1)
			die("replay");
		if (WIFSIGNALED(status))
			printf("not ok replay %s: signal %d\n",
			    *at < npaths ? paths[*at] : name, WTERMSIG(status));
		else if (WEXITSTATUS(status) != 0)
			printf("not ok replay %s: status %d\n",
			    *at < npaths ? paths[*at] : name,
			    WEXITSTATUS(status));
		else
			break;
		bad = 1;
	}
	if (!bad)
		printf("ok replay %s: %zu inputs\n", name, npaths);
	return (bad);
}
