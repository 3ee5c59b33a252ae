/*
 * The speed of reading a table of numbers, and what holding it takes: table [MIB], of
 * six digits and of all that a double has, taken apart and held as a frame; table
 * FILE, a file or what it is unpacked to.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "data/frame.h"
#include "data/tabular.h"

enum {
	COLS = 28
};

static int
sum(void *arg, const struct ge_row *r, struct ge_err *e)
{
	size_t i;

	(void)e;
	for (i = 0; i < r->n; i++)
		*(double *)arg += r->cell[i].num;
	return (0);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec * 1e-9);
}

/* Bytes of memory that were in use at most. */
static double
peak(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (1024.0 * (double)u.ru_maxrss);
}

static void
fail(const struct ge_err *e)
{

	fprintf(stderr, "table: %s\n", e->msg);
	exit(1);
}

/* A piece of a table of whole rows, to be read again and again. */
static size_t
make(char *s, size_t room, int digits)
{
	size_t n = 0, i = 0;

	while (n + 64 * COLS < room || i % COLS != 0) {
		n += (size_t)snprintf(s + n, room - n, digits > 17 ? "%.*e" :
		    "%.*g", digits, (double)(rand() % 2000000 - 1000000) /
		    (rand() % 4 == 0 ? 999e6 : 999.0));
		s[n++] = ++i % COLS == 0 ? '\n' : ',';
	}
	return (n);
}

static void
take_apart(const char *s, size_t n, int times)
{
	struct ge_table t;
	struct ge_table_opts o;
	struct ge_err e;
	double all = 0, t0 = now();
	int i;

	ge_table_opts_init(&o);
	if (ge_table_init(&t, &o, "bench", sum, &all, &e) == -1)
		fail(&e);
	for (i = 0; i < times; i++)
		if (ge_table_push(&t, s, n, &e) == -1)
			fail(&e);
	if (ge_table_end(&t, &e) == -1)
		fail(&e);
	printf("taken apart: %.0f MB/s of processor, %llu rows (sum %g)\n",
	    (double)n * times / 1e6 / (now() - t0), (unsigned long long)t.rows,
	    all);
	ge_table_release(&t);
}

static void
tell(const struct ge_frame *f, double bytes, double t0, double before)
{

	printf("held: %.0f MB/s of processor, %zu rows of %zu, %.2f times 8 "
	    "bytes a cell\n", bytes / 1e6 / (now() - t0), f->n, f->ncols,
	    (peak() - before) / (8.0 * (double)(f->n * f->ncols)));
}

static void
hold(const char *s, size_t n, int times)
{
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e;
	double t0 = now(), before = peak();
	int i;

	ge_frame_opts_init(&o);
	ge_frame_init(&f, &o);
	if (ge_frame_begin(&f, "bench", &e) == -1)
		fail(&e);
	for (i = 0; i < times; i++)
		if (ge_frame_push(&f, s, n, &e) == -1)
			fail(&e);
	if (ge_frame_end_table(&f, &e) == -1 || ge_frame_end(&f, &e) == -1)
		fail(&e);
	tell(&f, (double)n * times, t0, before);
	ge_frame_release(&f);
}

static double unpacked;

static int
begin(void *f, const char *name, struct ge_err *e)
{

	return (ge_frame_begin(f, name, e));
}

static int
push(void *f, const void *buf, size_t len, struct ge_err *e)
{

	unpacked += (double)len;
	return (ge_frame_push(f, buf, len, e));
}

static int
end(void *f, struct ge_err *e)
{

	return (ge_frame_end_table(f, e));
}

static void
hold_file(const char *path)
{
	static const struct ge_tables_fn fn = { begin, push, end };
	struct ge_docs_caps caps;
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e;
	double t0 = now(), before = peak();
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ge_docs_caps_init(&caps);
	ge_frame_opts_init(&o);
	ge_frame_init(&f, &o);
	if (ge_tables_read(fd, path, &caps, &fn, &f, &e) == -1 ||
	    ge_frame_end(&f, &e) == -1)
		fail(&e);
	tell(&f, unpacked, t0, before);
	ge_frame_release(&f);
	close(fd);
}

int
main(int argc, char **argv)
{
	enum { ROOM = 1 << 20 };
	int times = argc > 1 ? atoi(argv[1]) : 250, digits[] = { 6, 17, 18 }, i;
	char *s = malloc(ROOM);
	size_t n;

	if (s == NULL)
		return (1);
	if (argc > 1 && times == 0) {
		hold_file(argv[1]);
		free(s);
		return (0);
	}
	for (i = 0; i < 3; i++) {
		n = make(s, ROOM, digits[i]);
		printf("%d digits\n", digits[i]);
		take_apart(s, n, times);
		hold(s, n, times);
	}
	free(s);
	return (0);
}
