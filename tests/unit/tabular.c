/*
 * lib/data/tabular.c and frame.c on streams: plain, compressed and archives give the
 * same tables; a pipe is read as it comes; several tables stand in one frame.
 */
#define _GNU_SOURCE		/* memfd_create */
#include <archive.h>
#include <archive_entry.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/frame.h"
#include "data/tabular.h"
#include "util/hook.h"

#define UNIT "tabular"
#include "check.h"

/* What came: "<name>bytes;" a table. */
struct seen {
	char text[8192];
	size_t len, pushes;
	int fail;			/* 1 at begin, 2 at push, 3 at end */
	char note[600];
	struct ge_err e;
	int rc;
};

static struct seen *now;

static void
hear(int level, const char *line)
{

	if (level == GE_WARN)
		snprintf(now->note, sizeof(now->note), "%s", line);
}

static void
put(struct seen *k, const void *s, size_t len)
{

	if (len > sizeof(k->text) - 1 - k->len)
		len = sizeof(k->text) - 1 - k->len;
	memcpy(k->text + k->len, s, len);
	k->len += len;
	k->text[k->len] = '\0';
}

static int
begin(void *arg, const char *name, struct ge_err *e)
{
	struct seen *k = arg;

	put(k, "<", 1);
	put(k, name, strlen(name));
	put(k, ">", 1);
	return (k->fail == 1 ? ge_fail(e, GE_EFAIL, "enough") : 0);
}

static int
push(void *arg, const void *buf, size_t len, struct ge_err *e)
{
	struct seen *k = arg;

	k->pushes++;
	put(k, buf, len);
	return (k->fail == 2 ? ge_fail(e, GE_EFAIL, "enough") : 0);
}

static int
end(void *arg, struct ge_err *e)
{
	struct seen *k = arg;

	put(k, ";", 1);
	return (k->fail == 3 ? ge_fail(e, GE_EFAIL, "enough") : 0);
}

static const struct ge_tables_fn keep = { begin, push, end };

static int
file_of(const void *s, size_t len)
{
	int fd = memfd_create("tables", MFD_CLOEXEC);

	if (fd == -1 || write(fd, s, len) != (ssize_t)len ||
	    lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return (fd);
}

/* An archive of files, their names and texts by turns; NULL ends. */
struct packing {
	int (*format)(struct archive *), (*filter)(struct archive *);
};

static size_t
pack(char *out, size_t room, const struct packing *how,
    const char *const *file)
{
	struct archive *a = archive_write_new();
	struct archive_entry *n;
	size_t used = 0;

	archive_write_set_bytes_in_last_block(a, 1);
	if (how->format(a) != ARCHIVE_OK || (how->filter != NULL &&
	    how->filter(a) != ARCHIVE_OK) ||
	    archive_write_open_memory(a, out, room, &used) != ARCHIVE_OK)
		abort();
	for (; *file != NULL; file += 2) {
		n = archive_entry_new();
		archive_entry_set_pathname(n, file[0]);
		archive_entry_set_filetype(n, AE_IFREG);
		archive_entry_set_perm(n, 0644);
		archive_entry_set_size(n, (la_int64_t)strlen(file[1]));
		if (archive_write_header(a, n) != ARCHIVE_OK ||
		    archive_write_data(a, file[1], strlen(file[1])) !=
		    (la_ssize_t)strlen(file[1]))
			abort();
		archive_entry_free(n);
	}
	if (archive_write_close(a) != ARCHIVE_OK)
		abort();
	archive_write_free(a);
	return (used);
}

static void
read_bytes(struct seen *k, const void *s, size_t len)
{
	struct ge_docs_caps caps;
	int fd = file_of(s, len);

	ge_docs_caps_init(&caps);
	now = k;
	ge_note_open(hear);
	k->rc = ge_tables_read(fd, "in", &caps, &keep, k, &k->e);
	ge_note_open(NULL);
	close(fd);
}

static int
gives(const void *s, size_t len, const char *want, const char *note)
{
	struct seen k = { .len = 0 };

	read_bytes(&k, s, len);
	if (k.rc == 0 && strcmp(k.text, want) == 0 && strcmp(k.note, note) == 0)
		return (1);
	printf("# %d %s, '%s', note '%s'\n", k.rc, k.e.msg, k.text, k.note);
	return (0);
}

static int
refuses(const void *s, size_t len, int code, const char *msg)
{
	struct seen k = { .len = 0 };

	read_bytes(&k, s, len);
	if (k.rc == -1 && k.e.code == code && strcmp(k.e.msg, msg) == 0)
		return (1);
	printf("# %d %d '%s'\n", k.rc, k.e.code, k.e.msg);
	return (0);
}

static void
streams(void)
{
	static const char text[] = "a,b\n1,2\n";
	static const struct packing gz = { archive_write_set_format_raw,
	    archive_write_add_filter_gzip };
	static const struct packing xz = { archive_write_set_format_raw,
	    archive_write_add_filter_xz };
	static const struct packing tar = { archive_write_set_format_ustar,
	    archive_write_add_filter_gzip };
	static const struct packing zip = { archive_write_set_format_zip,
	    NULL };
	static const char *const one[] = { "x", text, NULL };
	static const char *const some[] = { "d/a.csv", text, "d/README.md",
	    "# what\n", "d/b.TSV", "a\n7\n", NULL };
	static const char *const none[] = { "x.md", "hello\n", NULL };
	char buf[65536];
	size_t n;

	check(gives(text, sizeof(text) - 1, "<in>a,b\n1,2\n;", ""), "plain");
	check(gives("", 0, "<in>;", ""), "nothing is a table to who takes it");
	n = pack(buf, sizeof(buf), &gz, one);
	check(gives(buf, n, "<in>a,b\n1,2\n;", ""), "gzip");
	check(refuses(buf, n - 6, GE_EREFUSED,
	    "'in': cannot be unpacked: cut or damaged"), "cut");
	n = pack(buf, sizeof(buf), &xz, one);
	check(gives(buf, n, "<in>a,b\n1,2\n;", ""), "xz");
	n = pack(buf, sizeof(buf), &tar, some);
	check(gives(buf, n, "<d/a.csv>a,b\n1,2\n;<d/b.TSV>a\n7\n;",
	    "'in': entries passed over, as no table: 1, the first "
	    "'d/README.md'"), "tables of an archive, and what is none");
	n = pack(buf, sizeof(buf), &zip, some);
	check(gives(buf, n, "<d/a.csv>a,b\n1,2\n;<d/b.TSV>a\n7\n;",
	    "'in': entries passed over, as no table: 1, the first "
	    "'d/README.md'"), "of a zip");
	n = pack(buf, sizeof(buf), &tar, none);
	check(refuses(buf, n, GE_EUSAGE, "'in': no table"),
	    "an archive without any");
	check(refuses("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, GE_EREFUSED,
	    "'in': neither a table nor an archive"), "binary");
}

static void
failures(void)
{
	struct seen k;
	int i, good = 1;

	for (i = 1; i <= 3; i++) {
		memset(&k, 0, sizeof(k));
		k.fail = i;
		read_bytes(&k, "a\n1\n", 4);
		good &= k.rc == -1 && strcmp(k.e.msg, "enough") == 0;
	}
	check(good, "whoever takes the tables may stop");
}

/* A pipe: each line is written only when the one before has been handed on. */
struct live {
	int fd;
	size_t got, next;
};

static int
live_push(void *arg, const void *buf, size_t len, struct ge_err *e)
{
	static const char *const line[] = { "2\n", "3\n", "4\n" };
	struct live *l = arg;

	(void)buf;
	(void)e;
	l->got += len;
	if (l->fd == -1)
		return (0);
	if (l->next == 3) {
		close(l->fd);
		l->fd = -1;
	} else if (write(l->fd, line[l->next++], 2) != 2)
		abort();
	return (0);
}

static int
live_begin(void *arg, const char *name, struct ge_err *e)
{

	(void)arg;
	(void)name;
	(void)e;
	return (0);
}

static int
live_end(void *arg, struct ge_err *e)
{

	(void)arg;
	(void)e;
	return (0);
}

static void
live(void)
{
	static const struct ge_tables_fn fn = { live_begin, live_push,
	    live_end };
	struct ge_docs_caps caps;
	struct ge_err e = { 0 };
	struct live l = { -1, 0, 0 };
	int fd[2], rc;

	ge_docs_caps_init(&caps);
	if (pipe(fd) == -1 || write(fd[1], "a\n1\n", 4) != 4)
		abort();
	l.fd = fd[1];
	alarm(20);			/* would wait for ever */
	rc = ge_tables_read(fd[0], "in", &caps, &fn, &l, &e);
	alarm(0);
	check(rc == 0 && l.got == 10, "a pipe is read as it comes");
	close(fd[0]);
}

static int
add(struct ge_frame *f, const char *name, const char *text, struct ge_err *e)
{

	return (ge_frame_begin(f, name, e) == -1 || ge_frame_push(f, text,
	    strlen(text), e) == -1 || ge_frame_end_table(f, e) == -1 ? -1 : 0);
}

static void
several(void)
{
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e = { 0 };

	ge_frame_opts_init(&o);
	ge_frame_init(&f, &o);
	check(add(&f, "1.csv", "a,b\n1,x\n2,y\n", &e) == 0 &&
	    add(&f, "2.csv", "c;b;a\n0;y;3\n", &e) == 0 &&
	    add(&f, "3.csv", "a\tb\n4\tz\n5\tx\n", &e) == 0 &&
	    ge_frame_end(&f, &e) == 0 && f.n == 5 && f.ncols == 2 &&
	    memcmp(f.fresh, "\1\0\1\1\0", 5) == 0 && f.header &&
	    f.v[4] > 2.5 && f.v[4] < 3.5 && f.v[5] > 0.5 && f.v[7] > 1.5 &&
	    f.v[9] < 0.5 && f.col[1].nwords == 3,
	    "several tables, columns by name");
	ge_frame_release(&f);
	ge_frame_init(&f, &o);
	check(add(&f, "1.csv", "a,b\n1,x\n", &e) == 0 && f.fresh == NULL &&
	    add(&f, "2.csv", "a,c\n1,x\n", &e) == -1 && e.code ==
	    GE_EREFUSED && strcmp(e.msg, "'2.csv': no column 'b', which the "
	    "first table has") == 0, "one that lacks a column");
	ge_frame_release(&f);
	ge_frame_init(&f, &o);
	check(add(&f, "1.csv", "a,b\n1,2\n", &e) == 0 &&
	    add(&f, "2.csv", "a,b\n1,2,3\n", &e) == -1 &&
	    strcmp(e.msg, "'2.csv:2:5': 3 fields in a table of 2 columns") ==
	    0, "the place is of the table in hand");
	ge_frame_release(&f);
	ge_frame_init(&f, &o);
	check(add(&f, "1.csv", "1,2\n3,4\n", &e) == 0 && !f.header && f.n ==
	    2 && ge_frame_find(&f, "2") == 1 &&
	    add(&f, "2.csv", "x,y\n3,4\n", &e) == -1 && strcmp(e.msg,
	    "'2.csv': no column '1', which the first table has") == 0,
	    "numbers alone are no header");
	ge_frame_release(&f);
	ge_frame_init(&f, &o);
	check(ge_frame_end(&f, &e) == -1 && e.code == GE_EUSAGE,
	    "no table at all");
	ge_frame_release(&f);
}

int
main(void)
{

	streams();
	failures();
	live();
	several();
	return (bad);
}
