#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "frag/frag.h"
#include "frag/stream_int.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"

enum {
	CHUNK = 1 << 20,
	HEADER = 512			/* of tar */
};

struct ge_untar {
	struct archive *a;
	struct archive_entry *entry;
	const char *what;
	int fd, opened, ended, foreign;
	uint64_t filled;		/* bytes of it read so far: */
	uint8_t head[2 * GE_SETID];	/* the first of them */
	uint8_t *buf;
	/* The entry: the rest of a block of libarchive's, bytes so far. */
	const uint8_t *block;
	size_t left;
	uint64_t at;
	int eof;
	struct ge_err why;		/* of a failed read */
};

static la_ssize_t
untar_fill(struct archive *a, void *arg, const void **buf)
{
	struct ge_untar *u = arg;
	size_t got, i;

	*buf = u->buf;
	if (ge_read(u->fd, u->buf, CHUNK, &got, &u->why) == -1) {
		archive_set_error(a, EIO, "%s", u->why.msg);
		return (-1);
	}
	for (i = 0; i < got && u->filled + i < sizeof(u->head); i++)
		u->head[u->filled + i] = u->buf[i];
	u->filled += got;
	return ((la_ssize_t)got);
}

static int (*const support[])(struct archive *) = {
	archive_read_support_filter_gzip,
	archive_read_support_filter_bzip2,
	archive_read_support_filter_compress,
	archive_read_support_filter_xz,
	archive_read_support_filter_lzma,
	archive_read_support_filter_lzip,
	archive_read_support_filter_lz4,
	archive_read_support_filter_zstd,
	archive_read_support_format_tar,
	archive_read_support_format_cpio,
	archive_read_support_format_zip,
	archive_read_support_format_7zip,
	archive_read_support_format_ar,
	archive_read_support_format_iso9660,
	archive_read_support_format_xar,
	archive_read_support_format_empty
};

struct ge_untar *
ge_untar_open(int fd, const char *what, struct ge_err *e)
{
	struct ge_untar *u;
	struct archive *a;
	size_t i;

	if ((u = ge_alloc(sizeof(*u), e)) == NULL)
		return (NULL);
	u->fd = fd;
	u->what = what;
	ge_pipe_widen(fd);
	if ((u->buf = ge_block_alloc(CHUNK, e)) == NULL)
		goto fail;
	if ((a = u->a = archive_read_new()) == NULL ||
	    (u->entry = archive_entry_new()) == NULL) {
		ge_fail(e, GE_EFAIL, "out of memory");
		goto fail;
	}
	for (i = 0; i < sizeof(support) / sizeof(support[0]); i++)
		if (support[i](a) < ARCHIVE_WARN) {
			ge_fail(e, GE_EFAIL, "'%s': out of memory", what);
			goto fail;
		}
	return (u);
fail:
	ge_untar_close(u);
	return (NULL);
}

/*
 * It is no archive: is it nothing of ours either?  Of a stream that was cut in its
 * first header there is the beginning of a name, the set's id.
 */
static int
is_foreign(const struct ge_untar *u)
{
	size_t i;

	for (i = 0; i < sizeof(u->head) && i < u->filled; i++)
		if (!isxdigit(u->head[i]))
			return (1);
	return (u->filled >= HEADER);
}

/* Reading failed (-1), or the archive is damaged here and ends (0). */
static int
untar_end(struct ge_untar *u, struct ge_err *e)
{
	const char *s = archive_error_string(u->a);

	u->ended = 1;
	if (u->why.code != 0) {
		*e = u->why;
		return (ge_within(e, "'%s'", u->what));
	}
	/* When it opens, it finds words for everything but want of memory. */
	if (archive_errno(u->a) == ENOMEM || (s == NULL && u->opened < 2))
		return (ge_fail(e, GE_EFAIL, "'%s': out of memory", u->what));
	if (archive_file_count(u->a) == 0 && is_foreign(u))
		u->foreign = 1;
	else if (archive_file_count(u->a) == 0)
		ge_note(GE_WARN, "'%s': neither a fragment nor an archive: %s",
		    u->what, s != NULL ? s : "unknown format");
	else
		ge_note(GE_WARN, "'%s': the stream is cut or damaged: %s",
		    u->what, s != NULL ? s : "unknown format");
	return (0);
}

int
ge_untar_next(struct ge_untar *u, struct ge_err *e)
{
	int rc;

	if (u->ended)
		return (0);
	if (!u->opened) {
		u->opened = 1;
		/* archive_read_open() would not notice want of memory. */
		if (archive_read_set_read_callback(u->a, untar_fill) !=
		    ARCHIVE_OK || archive_read_set_callback_data(u->a, u) !=
		    ARCHIVE_OK || archive_read_open1(u->a) != ARCHIVE_OK)
			return (untar_end(u, e));
		u->opened = 2;
	}
	for (;;) {
		rc = archive_read_next_header2(u->a, u->entry);
		if (rc == ARCHIVE_EOF)
			return (0);
		if (rc == ARCHIVE_RETRY)
			continue;
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return (untar_end(u, e));
		/* A link has no data of its own: what it names comes itself. */
		if (archive_entry_filetype(u->entry) == AE_IFREG &&
		    archive_entry_hardlink(u->entry) == NULL) {
			u->left = 0;
			u->at = 0;
			u->eof = 0;
			return (1);
		}
	}
}

/*
 * By blocks: archive_read_data throws away what it has when the archive is cut
 * within a call, and that may be whole blocks of a fragment.
 */
int
ge_untar_read(struct ge_untar *u, void *buf, size_t len, size_t *got,
    struct ge_err *e)
{
	const void *block;
	la_int64_t off;
	size_t n;
	int rc;

	for (*got = 0; *got < len; *got += n) {
		if (u->left == 0) {
			if (u->eof || u->ended)
				break;
			rc = archive_read_data_block(u->a, &block, &u->left,
			    &off);
			n = 0;
			if (rc == ARCHIVE_EOF)
				u->eof = 1;
			if (rc == ARCHIVE_EOF || rc == ARCHIVE_RETRY) {
				u->left = 0;
				continue;
			}
			if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) {
				u->left = 0;
				if (untar_end(u, e) == -1)
					return (-1);
				continue;
			}
			/* A hole of a sparse file: no fragment has one. */
			if ((uint64_t)off != u->at) {
				u->left = 0;
				u->eof = 1;
				continue;
			}
			u->at += u->left;
			u->block = block;
			continue;
		}
		n = u->left < len - *got ? u->left : len - *got;
		memcpy((uint8_t *)buf + *got, u->block, n);
		u->block += n;
		u->left -= n;
	}
	return (0);
}

int
ge_untar_size(const struct ge_untar *u, uint64_t *size)
{
	la_int64_t n = archive_entry_size(u->entry);

	if (!archive_entry_size_is_set(u->entry) || n < 0)
		return (0);
	*size = (uint64_t)n;
	return (1);
}

int
ge_untar_cut(const struct ge_untar *u)
{

	return (u->ended);
}

int
ge_untar_foreign(const struct ge_untar *u)
{

	return (u->foreign);
}

void
ge_untar_close(struct ge_untar *u)
{

	if (u == NULL)
		return;
	if (u->a != NULL)
		archive_read_free(u->a);
	if (u->entry != NULL)
		archive_entry_free(u->entry);
	ge_block_free(u->buf);
	ge_free(u);
}
