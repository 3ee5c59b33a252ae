#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/text.h"
#include "data/unpack_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"

enum {
	CHUNK = 1 << 20,
	RATIO_FROM = 64 << 20
};

static int
beyond(struct ge_err *e, const char *before, uint64_t cap, const char *after,
    const char *option)
{

	return (ge_fail(e, GE_EREFUSED, "%s %lu %s: raise -O %s= if that is "
	    "meant", before, (unsigned long)cap, after, option));
}

static int
count(struct ge_flow_sums *s, uint64_t packed, uint64_t unpacked,
    struct ge_err *e)
{
	const struct ge_docs_caps *c = s->caps;

	s->packed += packed;
	s->unpacked += unpacked;
	if (c->bytes > 0 && (s->packed > c->bytes || s->unpacked > c->bytes))
		return (beyond(e, "more than", c->bytes, "bytes", "unpacked"));
	if (c->ratio > 0 && s->unpacked > RATIO_FROM &&
	    s->unpacked / c->ratio > s->packed)
		return (beyond(e, "unpacked more than", c->ratio,
		    "times as large", "ratio"));
	return (ge_hook_tick(0, e));
}

int
ge_flow_open(struct ge_flow *f, struct ge_flow_sums *sums, int fd,
    struct ge_err *e)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	memset(f, 0, sizeof(*f));
	f->sums = sums;
	f->fd = fd;
	f->pipe = at == -1;
	f->begin = at > 0 ? (uint64_t)at : 0;
	return ((f->buf = ge_block_alloc(CHUNK, e)) == NULL ? -1 : 0);
}

void
ge_flow_release(struct ge_flow *f)
{

	ge_block_free(f->buf);
	f->buf = NULL;
}

/*
 * libarchive failed: why is what made it, if that was reading.  errno was 0 before:
 * by itself it does not always tell want of memory from damage.
 */
static int
damaged(struct archive *a, const struct ge_err *why, struct ge_err *e)
{
	const char *s = archive_error_string(a);

	if (why->code != 0) {
		*e = *why;
		return (-1);
	}
	if (errno == ENOMEM || archive_errno(a) == ENOMEM)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	return (ge_fail(e, GE_EREFUSED, "cannot be unpacked: %s",
	    s != NULL ? s : "cut or damaged"));
}

static int
pull_entry(struct ge_flow *f, struct ge_err *e)
{
	const void *block;
	la_int64_t off;
	int rc;

	f->nnext = 0;
	while (!f->ended && f->nnext == 0) {
		errno = 0;
		rc = archive_read_data_block(f->a, &block, &f->nnext, &off);
		if (rc == ARCHIVE_EOF)
			f->ended = 1;
		if (rc == ARCHIVE_EOF || rc == ARCHIVE_RETRY) {
			f->nnext = 0;
			continue;
		}
		/* A warning is of a wrong checksum or length. */
		if (rc != ARCHIVE_OK) {
			f->nnext = 0;
			return (damaged(f->a, f->why, e));
		}
		f->hole |= (uint64_t)off != f->at;
		f->next = block;
		f->at = (uint64_t)off + f->nnext;
	}
	return (count(f->sums, 0, f->nnext, e));
}

/* Have something next, unless at the end. */
static int
pull(struct ge_flow *f, struct ge_err *e)
{

	if (f->nnext > 0)
		return (0);
	if (f->nrest > 0) {
		f->next = f->rest;
		f->nnext = f->nrest;
		f->nrest = 0;
		return (0);
	}
	if (f->fd == -1)
		return (pull_entry(f, e));
	f->next = f->buf;
	if (ge_read(f->fd, f->buf, CHUNK, &f->nnext, e) == -1)
		return (-1);
	return (count(f->sums, f->nnext, 0, e));
}

int
ge_flow_text(const uint8_t *s, size_t len)
{
	static const char ar[] = "!<arch>\n", warc[] = "WARC/";

	if ((len >= 8 && memcmp(s, ar, 8) == 0) ||
	    (len >= 5 && memcmp(s, warc, 5) == 0))
		return (0);
	return (memchr(s, 0, len) == NULL && ge_utf8_check(s, len) + 3 >= len);
}

static int
begins(const struct ge_flow *f, const char *s)
{
	size_t n = strlen(s);

	return (f->nhead >= n && memcmp(f->head, s, n) == 0);
}

/* A whole line has come of what is text however it goes on. */
static int
line_came(const struct ge_flow *f)
{

	return (memchr(f->head, '\n', f->nhead) != NULL &&
	    !begins(f, "BZh") && !begins(f, "0707") &&
	    ge_flow_text(f->head, f->nhead));
}

int
ge_flow_peek(struct ge_flow *f, struct ge_err *e)
{
	size_t n;

	f->nhead = 0;
	while (f->nhead < sizeof(f->head) && !(f->live && line_came(f))) {
		if (pull(f, e) == -1)
			return (-1);
		if (f->nnext == 0)
			break;
		n = sizeof(f->head) - f->nhead;
		if (n > f->nnext)
			n = f->nnext;
		memcpy(f->head + f->nhead, f->next, n);
		f->nhead += n;
		f->next += n;
		f->nnext -= n;
	}
	f->rest = f->next;
	f->nrest = f->nnext;
	f->next = f->head;
	f->nnext = f->nhead;
	return (0);
}

static int
whole(const struct ge_flow *f, struct ge_err *e)
{

	return (f->hole ? ge_fail(e, GE_EREFUSED, "a file with holes") : 0);
}

int
ge_flow_pull(struct ge_flow *f, const uint8_t **p, size_t *n,
    struct ge_err *e)
{

	if (pull(f, e) == -1 || whole(f, e) == -1)
		return (-1);
	*p = f->next;
	*n = f->nnext;
	f->nnext = 0;
	return (0);
}

int
ge_flow_read(struct ge_flow *f, uint8_t *buf, size_t len, size_t *got,
    struct ge_err *e)
{
	size_t n;

	for (*got = 0; *got < len; *got += n) {
		if (pull(f, e) == -1 || whole(f, e) == -1)
			return (-1);
		if (f->nnext == 0)
			break;
		n = f->nnext < len - *got ? f->nnext : len - *got;
		memcpy(buf + *got, f->next, n);
		f->next += n;
		f->nnext -= n;
	}
	return (0);
}

int
ge_flow_drain(struct ge_flow *f, struct ge_err *e)
{

	do {
		f->nnext = 0;
		if (pull(f, e) == -1)
			return (-1);
	} while (f->nnext > 0);
	return (0);
}

/* No program is run, and nothing that plain text may look like. */
static int (*const support[])(struct archive *) = {
	archive_read_support_filter_gzip,
	archive_read_support_filter_bzip2,
	archive_read_support_filter_compress,
	archive_read_support_filter_xz,
	archive_read_support_filter_lzma,
	archive_read_support_filter_lzip,
	archive_read_support_filter_lz4,
	archive_read_support_filter_zstd,
	archive_read_support_filter_rpm,
	archive_read_support_format_tar,
	archive_read_support_format_cpio,
	archive_read_support_format_zip,
	archive_read_support_format_7zip,
	archive_read_support_format_ar,
	archive_read_support_format_cab,
	archive_read_support_format_iso9660,
	archive_read_support_format_lha,
	archive_read_support_format_rar,
	archive_read_support_format_rar5,
	archive_read_support_format_warc,
	archive_read_support_format_xar,
	archive_read_support_format_empty,
	archive_read_support_format_raw
};

static la_ssize_t
failed(struct ge_unpack *u)
{

	archive_set_error(u->a, EIO, "%s", u->why.msg);
	return (-1);
}

static la_ssize_t
fill_flow(struct archive *a, void *arg, const void **buf)
{
	struct ge_unpack *u = arg;
	const uint8_t *p = NULL;
	size_t n;

	(void)a;
	if (ge_flow_pull(u->from, &p, &n, &u->why) == -1)
		return (failed(u));
	*buf = p;
	return ((la_ssize_t)n);
}

static la_ssize_t
fill_file(struct archive *a, void *arg, const void **buf)
{
	struct ge_unpack *u = arg;
	size_t got;

	(void)a;
	if (ge_hook_tick(0, &u->why) == -1 || ge_pread(u->fd, u->buf, CHUNK,
	    u->begin + u->at, &got, &u->why) == -1)
		return (failed(u));
	u->at += got;
	*buf = u->buf;
	return ((la_ssize_t)got);
}

static la_int64_t
seek_file(struct archive *a, void *arg, la_int64_t off, int whence)
{
	struct ge_unpack *u = arg;
	la_int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ?
	    (la_int64_t)u->at : (la_int64_t)u->size;

	/* Behind the end there is nothing, which it will see. */
	if (off < -from || off > INT64_MAX - from) {
		archive_set_error(a, EINVAL, "a place that cannot be");
		return (ARCHIVE_FATAL);
	}
	u->at = (uint64_t)(from + off);
	return ((la_int64_t)u->at);
}

/* Has it its table at the end? */
static int
must_seek(const struct ge_flow *f)
{
	static const char zip[] = "PK", sevenzip[] = "7z\xbc\xaf\x27\x1c";

	return (f->nhead >= 6 && (memcmp(f->head, zip, 2) == 0 ||
	    memcmp(f->head, sevenzip, 6) == 0));
}

/* A file to seek in, of the flow: itself, or all of it in a spool. */
static int
have_file(struct ge_unpack *u, struct ge_err *e)
{
	struct ge_flow *f = u->from;
	const uint8_t *p;
	struct stat st;
	size_t n;

	if ((u->buf = ge_block_alloc(CHUNK, e)) == NULL)
		return (-1);
	if (f->fd != -1 && fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size >= f->begin) {
		u->fd = f->fd;
		u->begin = f->begin;
		u->size = (uint64_t)st.st_size - f->begin;
		if (f->sums->packed < u->size)
			f->sums->packed = u->size;
		return (0);
	}
	if ((u->fd = u->spool = ge_spool_open(e)) == -1)
		return (-1);
	for (;; u->size += n) {
		if (ge_flow_pull(f, &p, &n, e) == -1)
			return (-1);
		if (n == 0)
			return (0);
		if (ge_write(u->fd, p, n, e) == -1)
			return (ge_within(e, "a temporary file (TMPDIR)"));
	}
}

int
ge_unpack_open(struct ge_unpack *u, struct ge_flow *from, struct ge_err *e)
{
	size_t i;

	memset(u, 0, sizeof(*u));
	u->from = from;
	u->fd = u->spool = -1;
	if (must_seek(from) && have_file(u, e) == -1)
		return (-1);
	if ((u->a = archive_read_new()) == NULL ||
	    (u->entry = archive_entry_new()) == NULL)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	for (i = 0; i < sizeof(support) / sizeof(support[0]); i++)
		if (support[i](u->a) < ARCHIVE_WARN)
			return (ge_fail(e, GE_EFAIL, "out of memory"));
	/* archive_read_open() would not notice want of memory. */
	if (archive_read_set_read_callback(u->a, u->fd == -1 ? fill_flow :
	    fill_file) != ARCHIVE_OK ||
	    (u->fd != -1 && archive_read_set_seek_callback(u->a, seek_file) !=
	    ARCHIVE_OK) || archive_read_set_callback_data(u->a, u) !=
	    ARCHIVE_OK)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	u->flow.sums = from->sums;
	u->flow.fd = -1;
	u->flow.a = u->a;
	u->flow.why = &u->why;
	u->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return (0);
}

void
ge_unpack_release(struct ge_unpack *u)
{

	if (u->a != NULL)
		archive_read_free(u->a);
	if (u->entry != NULL)
		archive_entry_free(u->entry);
	if (u->spool != -1)
		close(u->spool);
	if (u->utf8 != (locale_t)0)
		freelocale(u->utf8);
	ge_block_free(u->buf);
}

/* Nothing of the last entry may come as the next one's. */
static void
rewind_flow(struct ge_flow *f)
{

	f->at = 0;
	f->ended = f->hole = 0;
	f->nhead = f->nnext = f->nrest = 0;
}

/* libarchive gives names in the characters of the locale, or none: let it be UTF-8. */
static int
read_header(struct ge_unpack *u)
{
	locale_t was = (locale_t)0;
	int rc;

	if (u->utf8 != (locale_t)0)
		was = uselocale(u->utf8);
	errno = 0;
	do {
		rc = archive_read_next_header2(u->a, u->entry);
	} while (rc == ARCHIVE_RETRY);
	if (rc == ARCHIVE_OK || rc == ARCHIVE_WARN)
		u->name = archive_entry_pathname(u->entry);
	if (u->utf8 != (locale_t)0)
		uselocale(was);
	return (rc);
}

/* The next header: 1, or 0 if there is none. */
static int
next_header(struct ge_unpack *u, struct ge_err *e)
{
	int rc;

	errno = 0;
	if (u->entries == 0 && archive_read_open1(u->a) != ARCHIVE_OK)
		return (damaged(u->a, &u->why, e));
	rc = read_header(u);
	if (rc == ARCHIVE_EOF && errno != ENOMEM)
		return (0);
	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return (damaged(u->a, &u->why, e));
	return (1);
}

int
ge_unpack_next(struct ge_unpack *u, struct ge_err *e)
{
	struct ge_flow_sums *s = u->from->sums;
	int rc;

	for (;;) {
		if (u->entries > 0 && ge_flow_drain(&u->flow, e) == -1)
			return (-1);
		if ((rc = next_header(u, e)) != 1)
			return (rc);
		u->entries++;
		if (++s->entries > s->caps->entries && s->caps->entries > 0)
			return (beyond(e, "more than", s->caps->entries,
			    "entries", "entries"));
		rewind_flow(&u->flow);
		if (archive_entry_filetype(u->entry) == AE_IFREG &&
		    archive_entry_hardlink(u->entry) == NULL)
			return (1);
	}
}

int
ge_unpack_raw(const struct ge_unpack *u)
{

	return (archive_format(u->a) == ARCHIVE_FORMAT_RAW);
}

const char *
ge_unpack_name(const struct ge_unpack *u)
{

	return (u->name != NULL ? u->name : "?");
}
