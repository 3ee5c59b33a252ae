/*
 * Any bytes as a stream of documents: within their bounds, checked, the same by a pipe
 * as by a file; and of plain text nothing is lost.
 */
#define _GNU_SOURCE		/* memfd_create */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/docs.h"
#include "data/text.h"
#include "fuzz.h"

enum {
	DOC = 24, ROOM = 1 << 20
};

struct seen {
	uint8_t *s;
	size_t len, ndocs;
	uint32_t cuts;
};

static int
keep(void *arg, const uint8_t *s, size_t len, struct ge_err *e)
{
	struct seen *k = arg;

	(void)e;
	must(len > 0 && len <= 16 * DOC, "length");
	must(ge_utf8_check(s, len) == len, "UTF-8");
	must(len <= ROOM - k->len, "all of it");
	memcpy(k->s + k->len, s, len);
	k->len += len;
	k->ndocs++;
	k->cuts = k->cuts * 31 + (uint32_t)k->len;
	return (0);
}

static int
take(int fd, struct seen *k, struct ge_err *e)
{
	static const struct ge_docs_caps caps = { .bytes = ROOM, .entries = 50,
	    .ratio = 200, .doc = DOC };
	int rc;

	k->len = k->ndocs = 0;
	k->cuts = 0;
	e->code = 0;
	rc = ge_docs_read(fd, "in", &caps, keep, k, e);
	close(fd);
	must((rc == 0 && k->ndocs > 0) || (rc == -1 && e->code >= GE_EFAIL &&
	    e->code <= GE_EREFUSED && strncmp(e->msg, "'in", 3) == 0),
	    "status");
	return (rc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	static struct seen file, pipes;
	struct ge_err e, again;
	int fd, by[2], rc;

	if (file.s == NULL) {
		/* The spool in memory, where there is such a place. */
		if (access("/dev/shm", W_OK) == 0)
			setenv("TMPDIR", "/dev/shm", 0);
		file.s = malloc(ROOM);
		pipes.s = malloc(ROOM);
		must(file.s != NULL && pipes.s != NULL, "malloc");
	}
	fd = memfd_create("docs", MFD_CLOEXEC);
	must(fd != -1 && write(fd, buf, len) == (ssize_t)len &&
	    lseek(fd, 0, SEEK_SET) == 0, "memfd");
	rc = take(fd, &file, &e);
	/* A file without JSON lines is its documents. */
	if (rc == 0 && memchr(buf, 0, len) == NULL && memchr(buf, '{', len) ==
	    NULL && ge_utf8_check(buf, len) == len && len > 8 &&
	    memcmp(buf, "!<arch>", 7) != 0 && memcmp(buf, "WARC/", 5) != 0) {
		if (memcmp(buf, "\xef\xbb\xbf", 3) == 0) {
			buf += 3;
			len -= 3;
		}
		must(file.len == len && memcmp(file.s, buf, len) == 0,
		    "the same text");
	}
	if (len > 60000 || pipe(by) == -1)
		return (0);
	must(write(by[1], buf, len) == (ssize_t)len, "pipe");
	close(by[1]);
	must(take(by[0], &pipes, &again) == rc, "by a pipe as well");
	must(rc == -1 ? strcmp(e.msg, again.msg) == 0 : file.len == pipes.len &&
	    file.cuts == pipes.cuts && memcmp(file.s, pipes.s, file.len) == 0,
	    "the same by a pipe");
	return (0);
}
