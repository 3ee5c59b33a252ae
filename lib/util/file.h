#ifndef GE_FILE_H
#define GE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * ge_input_open(path, e):
 * Descriptor of a file that the user named to be read, or -1 with GE_EUSAGE; a
 * folder is refused.
 */
int ge_input_open(const char *path, struct ge_err *e);

/*
 * ge_slurp(path, max, buf, len, e):
 * A whole file of at most max bytes into *buf, which the caller frees with
 * ge_free; a NUL follows the bytes.  Return 0, or -1: GE_EUSAGE if it cannot be
 * opened or is longer, and then *len is more than max.
 */
int ge_slurp(const char *path, size_t max, uint8_t **buf, size_t *len,
    struct ge_err *e);

/*
 * ge_slurp_into(path, buf, cap, len, e):
 * The same into the caller's memory: for secrets, which are not to be copied
 * about.  GE_EUSAGE if there are more than cap bytes.
 */
int ge_slurp_into(const char *path, uint8_t *buf, size_t cap, size_t *len,
    struct ge_err *e);

/*
 * A file that appears whole or not at all: a nameless file (a hidden temporary
 * name where the file system has no O_TMPFILE), fsync, its name, fsync of the
 * folder.  If the path is a device or a pipe it is simply written to.
 */
struct ge_file {
	int fd;			/* -1: none */
	int direct;		/* device or pipe: nothing to commit */
	char *path;
	char *tmp;		/* temporary name to remove, or NULL */
};

enum ge_over {			/* what lies at the path: */
	GE_OVER_NOTHING,	/* is in the way */
	GE_OVER_FILE,		/* is replaced if it is a file */
	GE_OVER_ALL		/* is replaced, even a device or a pipe */
};

/*
 * ge_file_open(f, path, over, e): with GE_OVER_NOTHING an existing file is
 * GE_EUSAGE.
 * ge_file_commit: give it its name; with GE_OVER_NOTHING it never overwrites.
 * ge_file_release: close; what was not committed is gone.  A zeroed struct is
 * not released: use GE_FILE_NONE.
 */
#define GE_FILE_NONE { -1, 0, NULL, NULL }
int ge_file_open(struct ge_file *f, const char *path, enum ge_over over,
    struct ge_err *e);
int ge_file_commit(struct ge_file *f, enum ge_over over, struct ge_err *e);
void ge_file_release(struct ge_file *f);

/* ge_path_join(dir, name, e): "dir/name"; ge_free it.  NULL without memory. */
char *ge_path_join(const char *dir, const char *name, struct ge_err *e);

/* ge_dir_make(path, e): mkdir with parents; existing is fine. */
int ge_dir_make(const char *path, struct ge_err *e);

/* ge_dir_sync(path, e): fsync a folder. */
int ge_dir_sync(const char *path, struct ge_err *e);

/*
 * ge_file_lock(fd, all): an advisory lock until the file is closed, shared or for
 * all: 1; 0 if others hold it for longer than a second, or there are no locks here.
 */
int ge_file_lock(int fd, int all);

/* ge_spool_open(e): descriptor of a nameless file in $TMPDIR or /var/tmp. */
int ge_spool_open(struct ge_err *e);

#endif
