/*
 * Any bytes as a stream of tables in a frame: within bounds, a place or a name at every
 * refusal, and the same by a pipe as by a file.
 */
#define _GNU_SOURCE		/* memfd_create */
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/frame.h"
#include "data/tabular.h"
#include "fuzz.h"

static int
begin(void *arg, const char *name, struct ge_err *e)
{

	return (ge_frame_begin(arg, name, e));
}

static int
push(void *arg, const void *buf, size_t len, struct ge_err *e)
{

	must(len > 0, "some bytes");
	return (ge_frame_push(arg, buf, len, e));
}

static int
end(void *arg, struct ge_err *e)
{

	return (ge_frame_end_table(arg, e));
}

/* What the frame holds, in a number. */
static uint64_t
sum(const struct ge_frame *f)
{
	uint64_t h = f->n, u;
	size_t i, j;
	double x;

	for (i = 0; i < f->n; i++)
		for (j = 0; j < f->ncols; j++) {
			x = f->v[i * f->ncols + j];
			must(f->col[j].type != GE_FRAME_TEXT || isnan(x),
			    "text holds nothing");
			must(f->col[j].type != GE_FRAME_CATEGORY || isnan(x) ||
			    (x >= 0 && x < (double)f->col[j].nwords),
			    "a word");
			memcpy(&u, &x, sizeof(u));
			h = (h ^ (isnan(x) ? 1 : u)) * 0x100000001b3u;
		}
	must(f->fresh == NULL || f->fresh[0] == 1, "the first row begins");
	return (h);
}

static int
take(int fd, uint64_t *h, struct ge_err *e)
{
	static const struct ge_docs_caps caps = { .bytes = 1 << 20,
	    .entries = 50, .ratio = 200 };
	static const struct ge_tables_fn fn = { begin, push, end };
	struct ge_frame_opts o;
	struct ge_frame f;
	int rc;

	e->code = 0;
	ge_frame_opts_init(&o);
	o.words = 5;
	o.table.cols = 300;
	o.table.field = 4096;
	ge_frame_init(&f, &o);
	rc = ge_tables_read(fd, "in", &caps, &fn, &f, e);
	if (rc == 0)
		rc = ge_frame_end(&f, e);
	must(rc == 0 || (e->code >= GE_EFAIL && e->code <= GE_EREFUSED &&
	    e->msg[0] == '\''), "status");
	*h = rc == 0 ? sum(&f) : 0;
	ge_frame_release(&f);
	close(fd);
	return (rc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct ge_err e, again;
	uint64_t h, other;
	int fd, by[2], rc;

	/* The spool in memory, where there is such a place. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	fd = memfd_create("tables", MFD_CLOEXEC);
	must(fd != -1 && write(fd, buf, len) == (ssize_t)len &&
	    lseek(fd, 0, SEEK_SET) == 0, "memfd");
	rc = take(fd, &h, &e);
	if (len > 60000 || pipe(by) == -1)
		return (0);
	must(write(by[1], buf, len) == (ssize_t)len, "pipe");
	close(by[1]);
	must(take(by[0], &other, &again) == rc && h == other && (rc == 0 ||
	    strcmp(e.msg, again.msg) == 0), "the same by a pipe");
	return (0);
}
