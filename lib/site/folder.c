#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "site/net_int.h"
#include "util/file.h"
#include "util/io.h"
#include "util/mem.h"

/*
 * Folders.  The site's own folder is never made: if it is not there, a disk is
 * not mounted, and nothing can be said of what is in it.
 *
 * A system call may hang until long after the operation was given back, and even
 * the net closed.  So what is the caller's is touched only between ge_x_hold and
 * ge_x_let, where nothing but the file that is sent is waited for; and of the
 * sites nothing after the start.
 */

enum {
	CHUNK = 1 << 20,
	SYNC = 64 << 20,	/* written, before the disk must have it */
	SLOWEST = 1 << 20	/* bytes a second that a disk takes */
};

struct job {
	struct ge_op_int *x;
	char path[GE_X_PATH];	/* of the object */
	char root[GE_X_PATH];	/* of the site */
};

/* Is the site's folder there?  0, or -1 with the end of x. */
static int
mounted(const struct job *j)
{
	const char *path = j->root[0] != '\0' ? j->root : "/";
	struct ge_op_int *x = j->x;
	struct stat st;
	int rc;

	rc = stat(path, &st);
	if (ge_x_cancelled(x))
		(void)ge_x_end(x, GE_OP_CANCELLED, "cancelled");
	else if (rc == -1 && (errno == ENOENT || errno == ENOTDIR))
		(void)ge_x_end(x, GE_OP_FAILED,
		    "there is no folder '%.200s': mount or make it first",
		    path);
	else if (rc == -1)
		(void)ge_x_end(x, GE_OP_FAILED, "folder '%s': %s", path,
		    strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		(void)ge_x_end(x, GE_OP_FAILED, "'%s' is no folder", path);
	else
		return (0);
	return (-1);
}

/* What errno (or that of e) means. */
static void
failed(const struct job *j, int sys, const char *why)
{
	struct ge_op_int *x = j->x;

	if (ge_x_cancelled(x)) {
		(void)ge_x_end(x, GE_OP_CANCELLED, "cancelled");
		return;
	}
	if (why == NULL)
		why = strerror(sys);
	switch (sys) {
	case ENOENT:
	case ENOTDIR:
		if (mounted(j) == 0)
			(void)ge_x_end(x, x->op->kind == GE_OP_PUT ?
			    GE_OP_FAILED : GE_OP_ABSENT, "%s", why);
		break;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		(void)ge_x_end(x, GE_OP_DENIED, "no room: %s", why);
		break;
	case EACCES:
	case EPERM:
	case EROFS:
	case ELOOP:
	case EISDIR:
	case ENAMETOOLONG:
		(void)ge_x_end(x, GE_OP_DENIED, "%s", why);
		break;
	default:
		(void)ge_x_end(x, GE_OP_FAILED, "%s", why);
	}
}

/* The folders between the site's and the object. */
static int
make_parents(struct job *j, struct ge_err *e)
{
	size_t root = strlen(j->root);
	char *path = j->path, *p, *last = path;
	int made;

	for (p = strchr(path + root + 1, '/'); p != NULL;
	    p = strchr(p + 1, '/')) {
		*p = '\0';
		made = mkdir(path, 0700) == 0;
		if (!made && errno != EEXIST) {
			ge_failsys(e, "cannot make folder '%s'", path);
			*p = '/';
			return (-1);
		}
		*p = '/';
		if (made) {
			char *slash = last == path ? path + root : last, was;

			was = *slash;
			*slash = '\0';
			made = ge_dir_sync(path[0] != '\0' ? path : "/", e);
			*slash = was;
			if (made == -1)
				return (-1);
		}
		last = p;
	}
	return (0);
}

/* The next piece of what is sent: 0, or -1, also if it was given back. */
static int
fetch(struct ge_op_int *x, uint64_t at, uint8_t *buf, size_t n,
    struct ge_err *e)
{
	int rc = 0;

	if (ge_x_hold(x) == -1)
		return (ge_fail(e, GE_EFAIL, "cancelled"));
	if (ge_x_cancelled(x))
		rc = ge_fail(e, GE_EFAIL, "cancelled");
	else
		rc = ge_x_source(x, at, buf, n, e);
	ge_x_let(x);
	return (rc);
}

static int
copy_in(struct ge_op_int *x, int fd, struct ge_err *e)
{
	uint64_t at = 0, synced = 0, len = x->op->len;
	uint8_t *buf;
	size_t n;
	int rc = -1;

	if ((buf = ge_block_alloc(len < CHUNK ? (size_t)len + 1 : CHUNK, e)) ==
	    NULL)
		return (-1);
	for (; at < len; at += n) {
		n = len - at < CHUNK ? (size_t)(len - at) : CHUNK;
		if (fetch(x, at, buf, n, e) == -1 ||
		    ge_write(fd, buf, n, e) == -1)
			goto out;
		ge_x_moved(x, n, 0);
		if (at + n - synced < SYNC)
			continue;
		synced = at + n;
		if (fdatasync(fd) == -1 && errno != EINVAL) {
			ge_failsys(e, "cannot write");
			goto out;
		}
		ge_x_beat(x);
	}
	rc = 0;
out:
	ge_block_free(buf);
	return (rc);
}

static void
put(struct job *j)
{
	struct ge_op_int *x = j->x;
	const char *path = j->path;
	struct ge_file f = GE_FILE_NONE;
	int replace = x->op->replace ? 2 : 0, rc;
	struct ge_err e;
	struct stat st;

	if (mounted(j) == -1)
		return;
	if (!replace && lstat(path, &st) == 0) {
		(void)ge_x_end(x, GE_OP_EXISTS, "it exists");
		return;
	}
	e.sys = 0;
	rc = ge_file_open(&f, path, replace, &e);
	if (rc == -1 && e.sys == ENOENT) {
		ge_file_release(&f);
		if (make_parents(j, &e) == 0)
			rc = ge_file_open(&f, path, replace, &e);
	}
	/* There may be shares of keys in it. */
	if (rc == 0 && !f.direct && fchmod(f.fd, 0600) == -1)
		rc = ge_failsys(&e, "cannot create '%s'", path);
	if (rc == 0 && f.direct) {
		(void)ge_x_end(x, GE_OP_EXISTS, "it exists");
	} else if (rc == -1 || copy_in(x, f.fd, &e) == -1 ||
	    ge_x_cancelled(x) || ge_file_commit(&f, replace, &e) == -1) {
		if (!replace && (e.code == GE_EUSAGE || e.sys == EEXIST))
			(void)ge_x_end(x, GE_OP_EXISTS, "it exists");
		else
			failed(j, e.sys, e.msg);
	} else {
		(void)ge_x_end(x, GE_OP_DONE, "done");
	}
	ge_file_release(&f);
}

/*
 * As ge_pread, but a bad sector is damage, which a repair replaces, and not
 * silence, which would be left alone for ever: what is before it is read, and
 * *bad is set.  It is asked for twice, since what passes is none.
 */
static int
read_piece(struct ge_op_int *x, int fd, uint8_t *buf, size_t n, uint64_t off,
    size_t *got, int *bad, struct ge_err *e)
{
	size_t more;

	if (ge_pread(fd, buf, n, off, got, e) == 0)
		return (0);
	if (e->sys != EIO)
		return (-1);
	ge_x_beat(x);
	if (ge_pread(fd, buf + *got, n - *got, off + *got, &more, e) == -1 &&
	    e->sys != EIO)
		return (-1);
	*got += more;
	*bad = *got < n;
	return (0);
}

static void
get(const struct job *j)
{
	struct ge_op_int *x = j->x;
	struct ge_op *op = x->op;
	uint64_t got = 0, want;
	uint8_t *buf = NULL;
	struct ge_err e;
	struct stat st;
	int fd, bad = 0;
	size_t n, m;

	fd = open(j->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1) {
		failed(j, errno, NULL);
		return;
	}
	if (fstat(fd, &st) == -1) {
		failed(j, errno, NULL);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)ge_x_end(x, S_ISDIR(st.st_mode) ? GE_OP_ABSENT :
		    GE_OP_DENIED, "it is no file");
		goto out;
	}
	op->size = (uint64_t)st.st_size;
	want = op->off >= op->size ? 0 : op->size - op->off;
	if (want > op->len)
		want = op->len;
	if (op->kind == GE_OP_HEAD)
		want = 0;
	if (want > 0 && (buf = ge_block_alloc(want < CHUNK ? (size_t)want :
	    CHUNK, &e)) == NULL) {
		failed(j, e.sys, e.msg);
		goto out;
	}
	for (; got < want && !bad; got += m) {
		n = want - got < CHUNK ? (size_t)(want - got) : CHUNK;
		if (read_piece(x, fd, buf, n, op->off + got, &m, &bad, &e) ==
		    -1) {
			failed(j, e.sys, NULL);
			goto out;
		}
		/* Unless it is the whole disk that is gone. */
		if (bad && mounted(j) == -1)
			goto out;
		if (ge_x_hold(x) == -1)
			goto out;
		memcpy(op->buf + got, buf, m);
		ge_x_let(x);
		if (ge_x_cancelled(x)) {
			(void)ge_x_end(x, GE_OP_CANCELLED, "cancelled");
			goto out;
		}
		ge_x_moved(x, 0, m);
		atomic_store(&x->got, got + m);
		if (m != n && !bad) {
			(void)ge_x_end(x, GE_OP_FAILED, "it became shorter");
			goto out;
		}
	}
	(void)ge_x_end(x, GE_OP_DONE, "done");
out:
	ge_block_free(buf);
	close(fd);
}

/* 0; 1: enough; -1: nobody is there to be told. */
static int
tell(struct ge_op_int *x, const char *name, const struct stat *st)
{
	struct ge_op *op = x->op;
	int enough = -1;

	if (ge_x_hold(x) == -1)
		return (-1);
	if (!ge_x_cancelled(x))
		enough = op->entry(op->arg, name, strlen(name),
		    S_ISREG(st->st_mode) ? (uint64_t)st->st_size :
		    GE_OP_UNKNOWN, S_ISDIR(st->st_mode)) != 0;
	ge_x_let(x);
	return (enough);
}

static void
list(const struct job *j)
{
	struct ge_op_int *x = j->x;
	struct dirent *d;
	struct stat st;
	DIR *dir;
	int stop = 0;

	if ((dir = opendir(j->path)) == NULL) {
		failed(j, errno, NULL);
		return;
	}
	while (stop == 0) {
		ge_x_beat(x);
		errno = 0;
		if ((d = readdir(dir)) == NULL)
			break;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, 0) == -1) {
			if (errno == ENOENT && fstatat(dirfd(dir), d->d_name,
			    &st, AT_SYMLINK_NOFOLLOW) == -1)
				continue;
			st.st_mode = 0;
		}
		stop = tell(x, d->d_name, &st);
	}
	if (stop == -1)
		(void)ge_x_end(x, GE_OP_CANCELLED, "cancelled");
	else if (stop == 0 && errno != 0)
		failed(j, errno, NULL);
	else
		(void)ge_x_end(x, GE_OP_DONE, "done");
	closedir(dir);
}

static void
delete(struct job *j)
{
	struct ge_op_int *x = j->x;
	char *path = j->path;
	size_t len = strlen(path);
	int folder = path[len - 1] == '/', rc;
	struct ge_err e;

	if (folder)
		path[len - 1] = '\0';
	rc = folder ? rmdir(path) : unlink(path);
	if (rc == -1) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			(void)ge_x_end(x, GE_OP_DENIED, "it is not empty");
		else
			failed(j, errno, NULL);
		return;
	}
	*strrchr(path, '/') = '\0';
	if (ge_dir_sync(path[0] != '\0' ? path : "/", &e) == -1)
		failed(j, e.sys, e.msg);
	else
		(void)ge_x_end(x, GE_OP_DONE, "done");
}

static void
work(struct ge_op_int *x)
{
	struct job j = { .x = x };

	x->step = 1;
	if (ge_x_path(x, j.path, x->op->name) == -1)
		return;
	snprintf(j.root, sizeof(j.root), "%s", x->s->site->path);
	switch (x->op->kind) {
	case GE_OP_PUT:
		put(&j);
		break;
	case GE_OP_GET:
	case GE_OP_HEAD:
		get(&j);
		break;
	case GE_OP_LIST:
		list(&j);
		break;
	case GE_OP_REMOVE:
		delete(&j);
		break;
	}
}

static enum ge_verdict
step(struct ge_op_int *x)
{
	double connect;

	if (x->step != 0)
		return (GE_X_END);
	ge_x_limits(x, &connect, &x->patience);
	if (x->op->kind == GE_OP_PUT)
		x->patience += (double)(x->op->len < SYNC ? x->op->len :
		    SYNC) / SLOWEST;
	return (GE_X_WORK);
}

const struct ge_way ge_way_folder = { NULL, step, work, 1, NULL };
