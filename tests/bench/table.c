/*
 * The speed of reading a table of numbers: table [MIB], of six digits and of all that
 * a double has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "data/table.h"

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

static void
measure(const char *what, const char *format, size_t room)
{
	struct ge_table t;
	struct ge_table_opts o;
	struct ge_err e;
	char *s = malloc(room);
	size_t n = 0, i = 0;
	double all = 0, t0;

	if (s == NULL)
		exit(1);
	while (n + 64 < room) {
		n += (size_t)snprintf(s + n, room - n, format,
		    (double)(rand() % 2000000 - 1000000) / 999.0);
		s[n++] = ++i % 52 == 0 ? '\n' : ',';
	}
	while (s[n - 1] != '\n')
		n--;
	ge_table_opts_init(&o);
	o.header = 0;
	t0 = now();
	if (ge_table_init(&t, &o, "bench", sum, &all, &e) == -1 ||
	    ge_table_push(&t, s, n, &e) == -1 || ge_table_end(&t, &e) == -1) {
		fprintf(stderr, "table: %s\n", e.msg);
		exit(1);
	}
	printf("%s: %.0f MB/s of processor, %llu rows (sum %g)\n", what,
	    (double)n / 1e6 / (now() - t0), (unsigned long long)t.rows, all);
	ge_table_release(&t);
	free(s);
}

int
main(int argc, char **argv)
{
	size_t room = (size_t)(argc > 1 ? atoi(argv[1]) : 100) << 20;

	measure("six digits", "%.6g", room);
	measure("seventeen digits", "%.17g", room);
	return (0);
}
