#include <archive.h>
#include <archive_entry.h>

#include "util/io.h"
#include "util/mem.h"
#include "util/tar.h"

struct ge_tar {
	struct archive *a;
	struct archive_entry *entry;
	int fd, dead;			/* dead: what comes goes nowhere */
	struct ge_err why;		/* of a failed write */
};

/* A libarchive that is told of a failure leaks: we keep it to ourselves. */
static la_ssize_t
tar_write(struct archive *a, void *arg, const void *buf, size_t len)
{
	struct ge_tar *t = arg;

	(void)a;
	if (!t->dead && ge_write(t->fd, buf, len, &t->why) == -1)
		t->dead = 1;
	return ((la_ssize_t)len);
}

static int
tar_fail(struct ge_tar *t, struct ge_err *e)
{
	const char *s;

	if (t->why.code != 0) {
		*e = t->why;
		return (-1);
	}
	s = archive_error_string(t->a);
	return (ge_fail(e, GE_EFAIL, "cannot write the stream: %s",
	    s != NULL ? s : "no memory"));
}

struct ge_tar *
ge_tar_open(int fd, struct ge_err *e)
{
	struct ge_tar *t;

	if ((t = ge_alloc(sizeof(*t), e)) == NULL)
		return (NULL);
	t->fd = fd;
	ge_pipe_widen(fd);
	if ((t->a = archive_write_new()) == NULL ||
	    (t->entry = archive_entry_new()) == NULL) {
		ge_fail(e, GE_EFAIL, "out of memory");
		goto fail;
	}
	/* Unblocked: libarchive hands our buffers straight to tar_write. */
	if (archive_write_set_format_ustar(t->a) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(t->a, 0) != ARCHIVE_OK ||
	    archive_write_open(t->a, t, NULL, tar_write, NULL) != ARCHIVE_OK) {
		tar_fail(t, e);
		goto fail;
	}
	return (t);
fail:
	ge_tar_abort(t);
	return (NULL);
}

int
ge_tar_entry(struct ge_tar *t, const char *name, uint64_t size,
    struct ge_err *e)
{

	archive_entry_clear(t->entry);
	archive_entry_set_pathname(t->entry, name);
	archive_entry_set_filetype(t->entry, AE_IFREG);
	archive_entry_set_perm(t->entry, 0644);
	archive_entry_set_size(t->entry, (la_int64_t)size);
	archive_entry_set_mtime(t->entry, 0, 0);
	if (archive_write_header(t->a, t->entry) != ARCHIVE_OK || t->dead)
		return (tar_fail(t, e));
	return (0);
}

int
ge_tar_add(struct ge_tar *t, const void *buf, size_t len, struct ge_err *e)
{

	if (archive_write_data(t->a, buf, len) != (la_ssize_t)len || t->dead)
		return (tar_fail(t, e));
	return (0);
}

int
ge_tar_close(struct ge_tar *t, struct ge_err *e)
{
	int rc = 0;

	if (archive_write_close(t->a) != ARCHIVE_OK || t->dead)
		rc = tar_fail(t, e);
	ge_tar_abort(t);
	return (rc);
}

void
ge_tar_abort(struct ge_tar *t)
{

	if (t == NULL)
		return;
	/* Freeing would first write the end of the archive. */
	t->dead = 1;
	if (t->a != NULL)
		archive_write_free(t->a);
	if (t->entry != NULL)
		archive_entry_free(t->entry);
	ge_free(t);
}
