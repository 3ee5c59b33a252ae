#define _GNU_SOURCE		/* renameat2 */
#include <sys/file.h>
#include <sys/stat.h>

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/outdir.h"
#include "util/file.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/tar.h"

enum {
	ASIDE = 100			/* number of a name, behind those tried */
};

struct ge_outdir {
	struct ge_tar *tar;		/* or: */
	char *path, *parent;
	char *tmp;			/* NULL: not made yet */
	int dir, fd;			/* of tmp; of the file under way */
	int force;
	char name[256];			/* of the file under way */
	uint64_t left;			/* bytes of it to come */
};

/* A hidden name beside path, the n-th of this process. */
static char *
hidden(const struct ge_outdir *o, unsigned int n, struct ge_err *e)
{
	const char *slash = strrchr(o->path, '/');
	int head = slash == NULL ? 0 : (int)(slash + 1 - o->path);
	size_t len = strlen(o->path) + 48;
	char *s;

	if ((s = ge_alloc(len, e)) != NULL)
		snprintf(s, len, "%.*s.%.200s.%ld-%u.tmp", head, o->path,
		    o->path + head, (long)getpid(), n);
	return (s);
}

/* Whether a model is known by a file of this name. */
static int
tells(const char *name)
{
	static const char *const files[] = { "config.json",
	    "adapter_config.json", "monitor.safetensors", "model.json" };
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(name, files[i]) == 0)
			return (1);
	return (0);
}

/* Is it a folder that we may remove: plain files, ours by the look of them? */
static int
look(const char *path, struct ge_err *e)
{
	struct dirent *d;
	struct stat st;
	int other = 0, some = 0, ours = 0;
	DIR *dp;

	if ((dp = opendir(path)) == NULL)
		return (ge_failsys(e, "cannot replace '%s'", path));
	while ((d = readdir(dp)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		some = 1;
		ours |= tells(d->d_name);
		other |= fstatat(dirfd(dp), d->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) == -1 || S_ISDIR(st.st_mode);
	}
	closedir(dp);
	if (other || (some && !ours))
		return (ge_fail(e, GE_EUSAGE, "'%s' is no model: not replaced",
		    path));
	return (0);
}

static int
check(struct ge_outdir *o, struct ge_err *e)
{
	const char *slash = strrchr(o->path, '/');
	const char *base = slash == NULL ? o->path : slash + 1;
	struct stat st;

	if (*base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return (ge_fail(e, GE_EUSAGE, "'%s' names no new folder",
		    o->path));
	if (lstat(o->path, &st) == 0) {
		if (!o->force)
			return (ge_fail(e, GE_EUSAGE, "'%s' exists (-f "
			    "overwrites it)", o->path));
		if (!S_ISDIR(st.st_mode))
			return (ge_fail(e, GE_EUSAGE, "'%s' is no folder",
			    o->path));
		if (look(o->path, e) == -1)
			return (-1);
	}
	if (access(o->parent, W_OK | X_OK) == -1) {
		ge_failsys(e, "cannot create '%s'", o->path);
		e->code = GE_EUSAGE;
		return (-1);
	}
	return (0);
}

struct ge_outdir *
ge_outdir_new(const char *path, int fd, int force, struct ge_err *e)
{
	struct ge_outdir *o;
	char *slash;
	size_t len;

	if ((o = ge_alloc(sizeof(*o), e)) == NULL)
		return (NULL);
	o->dir = o->fd = -1;
	o->force = force;
	if (path == NULL) {
		if ((o->tar = ge_tar_open(fd, e)) == NULL)
			goto fail;
		return (o);
	}
	if ((o->path = ge_strdup(path, e)) == NULL)
		goto fail;
	for (len = strlen(path); len > 1 && o->path[len - 1] == '/'; len--)
		o->path[len - 1] = '\0';
	slash = strrchr(o->path, '/');
	if ((o->parent = ge_strdup(slash == NULL ? "." : o->path, e)) == NULL)
		goto fail;
	if (slash != NULL)
		o->parent[slash == o->path ? 1 : slash - o->path] = '\0';
	if (check(o, e) == -1)
		goto fail;
	return (o);
fail:
	ge_outdir_free(o);
	return (NULL);
}

/* Remove a folder of plain files. */
static void
clear(const char *path)
{
	struct dirent *d;
	DIR *dp;

	if ((dp = opendir(path)) != NULL) {
		while ((d = readdir(dp)) != NULL)
			if (strcmp(d->d_name, ".") != 0 &&
			    strcmp(d->d_name, "..") != 0)
				(void)unlinkat(dirfd(dp), d->d_name, 0);
		closedir(dp);
	}
	(void)rmdir(path);
}

/* A name of hidden()'s, but not that of a model that was put aside. */
static int
is_left(const struct ge_outdir *o, const char *file)
{
	const char *slash = strrchr(o->path, '/');
	const char *base = slash == NULL ? o->path : slash + 1;
	size_t len = strnlen(base, 200);
	unsigned int n;
	long pid;
	int end = 0;

	return (file[0] == '.' && strncmp(file + 1, base, len) == 0 &&
	    sscanf(file + 1 + len, ".%ld-%u.tmp%n", &pid, &n, &end) == 2 &&
	    end > 0 && file[1 + len + (size_t)end] == '\0' && n < ASIDE);
}

/* What a killed process has left; one that lives holds a lock on its folder. */
static void
drop_left(const struct ge_outdir *o)
{
	struct dirent *d;
	char path[4096];
	DIR *dp;
	int fd, n;

	if ((dp = opendir(o->parent)) == NULL)
		return;
	while ((d = readdir(dp)) != NULL) {
		if (!is_left(o, d->d_name) || (fd = openat(dirfd(dp),
		    d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC)) == -1)
			continue;
		n = snprintf(path, sizeof(path), "%s/%s", o->parent,
		    d->d_name);
		if (n > 0 && (size_t)n < sizeof(path) && flock(fd, LOCK_EX |
		    LOCK_NB) == 0)
			clear(path);
		close(fd);
	}
	closedir(dp);
}

/* Only with the first file, so that a long training leaves nothing. */
static int
make(struct ge_outdir *o, struct ge_err *e)
{
	unsigned int n = 0;
	char *tmp;

	drop_left(o);
	do {
		if ((tmp = hidden(o, n++, e)) == NULL)
			return (-1);
		if (mkdir(tmp, 0777) == 0)
			o->tmp = tmp;
		else
			ge_free(tmp);
	} while (o->tmp == NULL && errno == EEXIST && n < ASIDE);
	if (o->tmp == NULL || (o->dir = open(o->tmp, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC)) == -1)
		return (ge_failsys(e, "cannot create '%s'", o->path));
	(void)flock(o->dir, LOCK_EX | LOCK_NB);
	return (0);
}

static int
end_file(struct ge_outdir *o, struct ge_err *e)
{
	int rc = 0;

	assert(o->left == 0);
	if (o->fd == -1)
		return (0);
	if (fsync(o->fd) == -1)
		rc = ge_failsys(e, "cannot write '%s/%s'", o->path, o->name);
	if (close(o->fd) == -1 && rc == 0)
		rc = ge_failsys(e, "cannot write '%s/%s'", o->path, o->name);
	o->fd = -1;
	return (rc);
}

int
ge_outdir_begin(struct ge_outdir *o, const char *name, uint64_t size,
    struct ge_err *e)
{
	char full[300];

	assert(strchr(name, '/') == NULL && strlen(name) < sizeof(o->name));
	if (end_file(o, e) == -1)
		return (-1);
	snprintf(o->name, sizeof(o->name), "%s", name);
	o->left = size;
	if (o->tar != NULL) {
		snprintf(full, sizeof(full), "model/%s", name);
		return (ge_tar_entry(o->tar, full, size, e));
	}
	if (o->tmp == NULL && make(o, e) == -1)
		return (-1);
	o->fd = openat(o->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0666);
	if (o->fd == -1)
		return (ge_failsys(e, "cannot create '%s/%s'", o->path, name));
	return (0);
}

int
ge_outdir_write(struct ge_outdir *o, const void *buf, size_t len,
    struct ge_err *e)
{

	assert(len <= o->left);
	o->left -= len;
	if (o->tar != NULL)
		return (ge_tar_add(o->tar, buf, len, e));
	if (ge_write(o->fd, buf, len, e) == -1)
		return (ge_within(e, "'%s/%s'", o->path, o->name));
	return (0);
}

int
ge_outdir_file(struct ge_outdir *o, const char *name, const void *buf,
    size_t len, struct ge_err *e)
{

	if (ge_outdir_begin(o, name, len, e) == -1)
		return (-1);
	return (ge_outdir_write(o, buf, len, e));
}

/* Where names cannot be exchanged; the old one comes back if that fails. */
static int
aside(struct ge_outdir *o, struct ge_err *e)
{
	char *old;
	int sys, rc = -1;

	if ((old = hidden(o, ASIDE, e)) == NULL)
		return (-1);
	if (rename(o->path, old) == -1) {
		ge_failsys(e, "cannot replace '%s'", o->path);
	} else if (rename(o->tmp, o->path) == -1) {
		sys = errno;
		(void)rename(old, o->path);
		errno = sys;
		ge_failsys(e, "cannot create '%s'", o->path);
	} else {
		ge_free(o->tmp);
		o->tmp = old;
		return (0);
	}
	ge_free(old);
	return (rc);
}

/* The folder gets its name; o->tmp becomes what is to be removed, or NULL. */
static int
give_name(struct ge_outdir *o, struct ge_err *e)
{
	struct stat st;
	int there = lstat(o->path, &st) == 0;

	if (there && (!o->force || !S_ISDIR(st.st_mode)))
		return (ge_fail(e, GE_EUSAGE, "'%s' exists (-f overwrites it)",
		    o->path));
	if (there && look(o->path, e) == -1)
		return (-1);
#ifdef RENAME_EXCHANGE
	if (renameat2(AT_FDCWD, o->tmp, AT_FDCWD, o->path, there ?
	    RENAME_EXCHANGE : RENAME_NOREPLACE) == 0) {
		if (!there) {
			ge_free(o->tmp);
			o->tmp = NULL;
		}
		return (0);
	}
	if (errno != EINVAL && errno != ENOSYS)
		return (ge_failsys(e, "cannot create '%s'", o->path));
#endif
	if (there)
		return (aside(o, e));
	if (rename(o->tmp, o->path) == -1)
		return (ge_failsys(e, "cannot create '%s'", o->path));
	ge_free(o->tmp);
	o->tmp = NULL;
	return (0);
}

int
ge_outdir_commit(struct ge_outdir *o, struct ge_err *e)
{
	struct ge_tar *t = o->tar;

	if (end_file(o, e) == -1)
		return (-1);
	if (t != NULL) {
		o->tar = NULL;
		return (ge_tar_close(t, e));
	}
	if (o->tmp == NULL && make(o, e) == -1)
		return (-1);
	if (ge_dir_sync(o->tmp, e) == -1 || give_name(o, e) == -1 ||
	    ge_dir_sync(o->parent, e) == -1)
		return (-1);
	return (0);
}

void
ge_outdir_free(struct ge_outdir *o)
{

	if (o == NULL)
		return;
	ge_tar_abort(o->tar);
	if (o->fd != -1)
		close(o->fd);
	if (o->dir != -1)
		close(o->dir);
	if (o->tmp != NULL)
		clear(o->tmp);
	ge_free(o->tmp);
	ge_free(o->path);
	ge_free(o->parent);
	ge_free(o);
}
