#define _GNU_SOURCE		/* O_TMPFILE */
#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/file.h"
#include "util/io.h"
#include "util/mem.h"

/* The folder of a path: "." if it names none.  The caller frees it. */
static char *
folder(const char *path, struct ge_err *e)
{
	const char *slash = strrchr(path, '/');
	char *dir;

	if (slash == NULL)
		return (ge_strdup(".", e));
	if ((dir = ge_strdup(path, e)) != NULL)
		dir[slash == path ? 1 : slash - path] = '\0';
	return (dir);
}

/* A hidden name beside path that nobody else uses now. */
static char *
hidden(const char *path, struct ge_err *e)
{
	static atomic_uint count;
	const char *slash = strrchr(path, '/');
	size_t head = slash == NULL ? 0 : (size_t)(slash + 1 - path);
	size_t len = strlen(path) + 48;
	char *tmp;

	if ((tmp = ge_alloc(len, e)) != NULL)
		snprintf(tmp, len, "%.*s.%.200s.%ld-%u.tmp", (int)head, path,
		    path + head, (long)getpid(),
		    atomic_fetch_add(&count, 1));
	return (tmp);
}

int
ge_file_open(struct ge_file *f, const char *path, enum ge_over over,
    struct ge_err *e)
{
	struct stat st;
	char *dir = NULL;
	int rc = -1;

	f->fd = -1;
	f->direct = 0;
	f->tmp = NULL;
	if ((f->path = ge_strdup(path, e)) == NULL)
		return (-1);
	if (over != GE_OVER_ALL && stat(path, &st) == 0 &&
	    !S_ISREG(st.st_mode)) {
		f->direct = 1;
		f->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (f->fd == -1)
			ge_failsys(e, "cannot open '%s'", path);
		return (f->fd == -1 ? -1 : 0);
	}
	if (over == GE_OVER_NOTHING && lstat(path, &st) == 0)
		return (ge_fail(e, GE_EUSAGE,
		    "'%s' exists (-f overwrites it)", path));
	if ((dir = folder(path, e)) == NULL)
		goto out;
#ifdef O_TMPFILE
	/* Its name is given through /proc, so that must be there. */
	if (access("/proc/self/fd", X_OK) == 0)
		f->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
#endif
	if (f->fd == -1) {
		if ((f->tmp = hidden(path, e)) == NULL)
			goto out;
		f->fd = open(f->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		    0666);
		if (f->fd == -1) {
			ge_failsys(e, "cannot create '%s'", path);
			ge_free(f->tmp);
			f->tmp = NULL;
			goto out;
		}
	}
	rc = 0;
out:
	ge_free(dir);
	return (rc);
}

int
ge_file_commit(struct ge_file *f, enum ge_over over, struct ge_err *e)
{
	char proc[64], *dir = NULL;
	int rc = -1;

	if (f->direct) {
		rc = close(f->fd);
		f->fd = -1;
		if (rc == -1)
			ge_failsys(e, "cannot write '%s'", f->path);
		return (rc);
	}
	if (fsync(f->fd) == -1) {
		ge_failsys(e, "cannot write '%s'", f->path);
		goto out;
	}
	if (f->tmp == NULL) {
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", f->fd);
		if (linkat(AT_FDCWD, proc, AT_FDCWD, f->path,
		    AT_SYMLINK_FOLLOW) == 0)
			goto named;
		if (errno != EEXIST || over == GE_OVER_NOTHING) {
			ge_failsys(e, "cannot create '%s'", f->path);
			goto out;
		}
		if ((f->tmp = hidden(f->path, e)) == NULL)
			goto out;
		if (linkat(AT_FDCWD, proc, AT_FDCWD, f->tmp,
		    AT_SYMLINK_FOLLOW) == -1) {
			ge_failsys(e, "cannot create '%s'", f->path);
			ge_free(f->tmp);
			f->tmp = NULL;
			goto out;
		}
	}
	if (over != GE_OVER_NOTHING) {
		if (rename(f->tmp, f->path) == -1) {
			ge_failsys(e, "cannot create '%s'", f->path);
			goto out;
		}
	} else if (link(f->tmp, f->path) == -1) {
		ge_failsys(e, "cannot create '%s'", f->path);
		goto out;
	} else {
		(void)unlink(f->tmp);
	}
	ge_free(f->tmp);
	f->tmp = NULL;
named:
	/* From here on the file is there: only its durability can fail. */
	if ((dir = folder(f->path, e)) == NULL ||
	    ge_dir_sync(dir, e) == -1)
		goto out;
	rc = close(f->fd);
	f->fd = -1;
	if (rc == -1)
		ge_failsys(e, "cannot write '%s'", f->path);
out:
	ge_free(dir);
	return (rc);
}

void
ge_file_release(struct ge_file *f)
{

	if (f->fd != -1)
		close(f->fd);
	if (f->tmp != NULL)
		(void)unlink(f->tmp);
	ge_free(f->tmp);
	ge_free(f->path);
	f->fd = -1;
	f->tmp = f->path = NULL;
}

char *
ge_path_join(const char *dir, const char *name, struct ge_err *e)
{
	size_t len = strlen(dir) + strlen(name) + 2;
	char *path;

	if ((path = ge_alloc(len, e)) != NULL)
		snprintf(path, len, "%s/%s", dir, name);
	return (path);
}

int
ge_dir_make(const char *path, struct ge_err *e)
{
	struct stat st;
	char *p, *copy, *parent = NULL;
	int sys, rc = -1;

	if ((copy = ge_strdup(path, e)) == NULL)
		return (-1);
	for (p = copy + 1; p[-1] != '\0'; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char was = *p;

		*p = '\0';
		sys = mkdir(copy, 0777) == -1 ? errno : 0;
		if (sys != 0 &&
		    (stat(copy, &st) == -1 || !S_ISDIR(st.st_mode))) {
			errno = sys == EEXIST ? ENOTDIR : sys;
			ge_failsys(e, "cannot make folder '%s'", path);
			goto out;
		}
		/* A folder that nobody finds after a crash was not made. */
		if (sys == 0 && ((parent = folder(copy, e)) == NULL ||
		    ge_dir_sync(parent, e) == -1))
			goto out;
		ge_free(parent);
		parent = NULL;
		*p = was;
	}
	rc = 0;
out:
	ge_free(parent);
	ge_free(copy);
	return (rc);
}

int
ge_dir_sync(const char *path, struct ge_err *e)
{
	int fd, rc;

	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return (ge_failsys(e, "cannot open folder '%s'", path));
	rc = fsync(fd);
	/* Some file systems cannot sync a folder; they need not. */
	if (rc == -1 && errno == EINVAL)
		rc = 0;
	if (rc == -1)
		ge_failsys(e, "cannot sync folder '%s'", path);
	close(fd);
	return (rc);
}

int
ge_file_lock(int fd, int all)
{
	const struct timespec pause = { 0, 10000000 };
	int i;

	for (i = 0; i < 100; i++) {
		if (flock(fd, (all ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
			return (1);
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return (0);
}

int
ge_spool_open(struct ge_err *e)
{
	const char *dir = getenv("TMPDIR");
	char *path;
	size_t len;
	int fd = -1;

	if (dir == NULL || *dir == '\0')
		dir = "/var/tmp";
#ifdef O_TMPFILE
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd != -1)
		return (fd);
#endif
	len = strlen(dir) + 16;
	if ((path = ge_alloc(len, e)) == NULL)
		return (-1);
	snprintf(path, len, "%s/ge.XXXXXX", dir);
	if ((fd = mkostemp(path, O_CLOEXEC)) == -1)
		ge_failsys(e, "cannot make a temporary file in '%s'", dir);
	else
		(void)unlink(path);
	ge_free(path);
	return (fd);
}

int
ge_input_open(const char *path, struct ge_err *e)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd != -1 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		fd = -1;
		errno = EISDIR;
	}
	if (fd == -1) {
		ge_failsys(e, "cannot open '%s'", path);
		e->code = GE_EUSAGE;
	}
	return (fd);
}

int
ge_slurp(const char *path, size_t max, uint8_t **buf, size_t *len,
    struct ge_err *e)
{
	size_t cap = 0, got;
	int fd, rc = -1;

	*buf = NULL;
	*len = 0;
	if ((fd = ge_input_open(path, e)) == -1)
		return (-1);
	do {
		if (ge_grow(buf, &cap, *len + 65536, 1, e) == -1)
			goto out;
		if (ge_readfull(fd, *buf + *len, cap - *len - 1, &got, e) ==
		    -1) {
			ge_within(e, "'%s'", path);
			goto out;
		}
		*len += got;
		if (*len > max) {
			ge_fail(e, GE_EUSAGE, "'%s' is too long: more than "
			    "%zu bytes", path, max);
			goto out;
		}
	} while (*len == cap - 1);
	(*buf)[*len] = '\0';
	rc = 0;
out:
	if (rc == -1) {
		ge_free(*buf);
		*buf = NULL;
	}
	close(fd);
	return (rc);
}

int
ge_slurp_into(const char *path, uint8_t *buf, size_t cap, size_t *len,
    struct ge_err *e)
{
	uint8_t more;
	size_t got = 0;
	int fd, rc = -1;

	if ((fd = ge_input_open(path, e)) == -1)
		return (-1);
	if (ge_readfull(fd, buf, cap, len, e) == -1 ||
	    (*len == cap && ge_readfull(fd, &more, 1, &got, e) == -1))
		ge_within(e, "'%s'", path);
	else if (got != 0)
		ge_fail(e, GE_EUSAGE, "'%s' is too long: more than %zu bytes",
		    path, cap);
	else
		rc = 0;
	close(fd);
	return (rc);
}
