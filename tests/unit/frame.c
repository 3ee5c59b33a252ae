/*
 * lib/data/frame.c: types of columns, words, and what is refused.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/frame.h"
#include "util/mem.h"

#define UNIT "frame"
#include "check.h"

static int
load(struct ge_frame *f, const struct ge_frame_opts *o, const char *s,
    struct ge_err *e)
{
	size_t i, len = strlen(s);

	ge_frame_init(f, o);
	if (ge_frame_begin(f, "f.csv", e) == -1)
		return (-1);
	for (i = 0; i < len; i++)
		if (ge_frame_push(f, s + i, 1, e) == -1)
			return (-1);
	return (ge_frame_end_table(f, e) == -1 ? -1 : ge_frame_end(f, e));
}

static int
is(double x, double want)
{

	return (isnan(want) ? isnan(x) : x >= want && x <= want);
}

static void
types(void)
{
	static const char text[] =
	    "n,when,what,mixed,none\n"
	    "1,2024-01-01T00:00:00Z,red,1,\n"
	    "NA,2024-01-01 00:00:01.5,blue,x,NA\n"
	    "-2.5,,red,1.0,?\n"
	    "1e3,2024-01-01,,0.1,\n";
	static const double want[4][5] = {
		{ 1, 1704067200, 0, 1, NAN },
		{ NAN, 1704067201.5, 1, 0, NAN },
		{ -2.5, NAN, 0, 1, NAN },
		{ 1000, 1704067200, NAN, 2, NAN }
	};
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e = { 0 };
	size_t i, j;
	int good;

	ge_frame_opts_init(&o);
	if (load(&f, &o, text, &e) == -1) {
		check(0, e.msg);
		return;
	}
	check(f.ncols == 5 && f.n == 4 && f.col[0].type == GE_FRAME_NUMBER &&
	    f.col[1].type == GE_FRAME_TIME &&
	    f.col[2].type == GE_FRAME_CATEGORY &&
	    f.col[3].type == GE_FRAME_CATEGORY &&
	    f.col[4].type == GE_FRAME_NUMBER && f.col[4].missing == 4,
	    "types");
	for (good = 1, i = 0; i < 4; i++)
		for (j = 0; j < 5; j++)
			good &= is(f.v[i * 5 + j], want[i][j]);
	check(good, "values");
	check(f.col[2].nwords == 2 && strcmp(f.col[2].word[1], "blue") == 0 &&
	    f.col[3].nwords == 3 && strcmp(f.col[3].word[0], "x") == 0 &&
	    strcmp(f.col[3].word[1], "1") == 0 &&
	    strcmp(f.col[3].word[2], "0.1") == 0, "words");
	check(ge_frame_find(&f, "what") == 2 &&
	    ge_frame_find(&f, "nothing") == SIZE_MAX, "found by name");
	ge_frame_release(&f);
}

static void
lists(void)
{
	static const char *const only[] = { "c", "a" };
	static const char *const skip[] = { "a" };
	static const char *const wrong[] = { "z" };
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e = { 0 };

	ge_frame_opts_init(&o);
	o.only = only;
	o.nonly = 2;
	check(load(&f, &o, "a,b,c\n1,x,3\n", &e) == 0 && f.ncols == 2 &&
	    is(f.v[0], 1) && is(f.v[1], 3), "only some columns");
	ge_frame_release(&f);
	o.skip = skip;
	o.nskip = 1;
	check(load(&f, &o, "a,b,c\n1,x,3\n", &e) == 0 && f.ncols == 1 &&
	    is(f.v[0], 3), "without others");
	ge_frame_release(&f);
	o.skip = wrong;
	check(load(&f, &o, "a,b,c\n1,x,3\n", &e) == -1 &&
	    e.code == GE_EUSAGE &&
	    strcmp(e.msg, "'f.csv': no column 'z'") == 0,
	    "a column that is not there");
	ge_frame_release(&f);
	o.skip = only;
	o.nskip = 2;
	check(load(&f, &o, "a,b,c\n1,x,3\n", &e) == -1 &&
	    e.code == GE_EUSAGE, "none left");
	ge_frame_release(&f);
}

/* The names of the columns held, each with a blank behind it. */
static const char *
held(const struct ge_frame_opts *o, struct ge_err *e)
{
	static char names[256];
	struct ge_frame f;
	size_t j;

	names[0] = '\0';
	if (load(&f, o, "a,b,3,d,e\n1,x,3,4,5\n", e) == 0)
		for (j = 0; j < f.ncols; j++)
			strcat(strcat(names, f.col[j].name), " ");
	ge_frame_release(&f);
	return (names);
}

static void
choices(void)
{
	static const char *const range[] = { "2-4" };
	static const char *const place[] = { "5", "3" };
	static const char *const keep[] = { "a", "e" };
	static const char *const wrong[] = { "4-2" }, *const far[] = { "6" };
	struct ge_frame_opts o;
	struct ge_err e = { 0 };

	ge_frame_opts_init(&o);
	o.skip = range;
	o.nskip = 1;
	check(strcmp(held(&o, &e), "a e ") == 0, "a range of columns");
	o.skip = place;
	o.nskip = 2;
	check(strcmp(held(&o, &e), "a b d ") == 0,
	    "a name comes before a number");
	o.nskip = 0;
	o.only = range;
	o.nonly = 1;
	o.keep = keep;
	o.nkeep = 2;
	check(strcmp(held(&o, &e), "a b 3 d e ") == 0, "some and those kept");
	o.skip = wrong;
	o.nskip = 1;
	check(*held(&o, &e) == '\0' && e.code == GE_EUSAGE &&
	    strcmp(e.msg, "'f.csv': no column '4-2'") == 0, "no range");
	o.skip = far;
	check(*held(&o, &e) == '\0' && strcmp(e.msg,
	    "'f.csv': no column '6'") == 0, "behind the last");
}

static void
kinds(void)
{
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e = { 0 };

	ge_frame_opts_init(&o);
	check(load(&f, &o, "a;b\n1;2\n2;1,5\n", &e) == -1 &&
	    e.code == GE_EREFUSED && strcmp(e.msg, "'f.csv:3:3': '1,5' is no "
	    "number: a point stands before decimals") == 0,
	    "a comma before decimals");
	ge_frame_release(&f);
	check(load(&f, &o, "a,b\n1,x\n2,\xe9t\xe9\n", &e) == -1 &&
	    e.code == GE_EREFUSED && strcmp(e.msg, "'f.csv:3:3': a word "
	    "that is not UTF-8") == 0, "words of other characters");
	ge_frame_release(&f);
	check(load(&f, &o, "a;b;c\n1;,5;1,\n2;1,5x;x1,5\n", &e) == 0,
	    "what is not quite one");
	ge_frame_release(&f);
	check(load(&f, &o, "a,b,c,d,e\n1,,1,x,inf\n1,,2,x,1e308\n"
	    "NA,,1,,-inf\n", &e) == 0 && f.col[1].missing == 3 &&
	    isinf(f.v[4]) && is(f.v[9], 1e308),
	    "missing columns, infinities, 1e308");
	ge_frame_release(&f);
	check(load(&f, &o, "a\n5\n", &e) == 0 && f.n == 1 && is(f.v[0], 5),
	    "one row");
	ge_frame_release(&f);
	o.words = 1;
	o.group = "2";
	check(load(&f, &o, "a,b\nx,u\ny,v\n", &e) == 0 && f.col[0].type ==
	    GE_FRAME_TEXT && f.col[1].type == GE_FRAME_CATEGORY &&
	    is(f.v[3], 1) && ge_frame_find(&f, "2") == 1,
	    "groups may be many");
	ge_frame_release(&f);
}

static void
limits(void)
{
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e = { 0 };
	char s[40000];
	size_t i, n = 2;

	ge_frame_opts_init(&o);
	check(load(&f, &o, "a,b\n", &e) == -1 && e.code == GE_EUSAGE &&
	    strcmp(e.msg, "'f.csv': a header and no rows") == 0,
	    "a header and no rows");
	ge_frame_release(&f);
	check(load(&f, &o, "a,b\n2024-01-01,1\nx,2\n", &e) == -1 &&
	    strcmp(e.msg, "'f.csv:3:1': column 'a' holds times and other "
	    "values") == 0, "times and words");
	ge_frame_release(&f);
	memcpy(s, "a\n", 3);
	for (i = 0; i < 2000; i++)
		n += (size_t)snprintf(s + n, sizeof(s) - n, "w%zu\n", i);
	check(load(&f, &o, s, &e) == 0 && f.col[0].nwords == 2000 &&
	    is(f.v[1999], 1999) && strcmp(f.col[0].word[1234], "w1234") == 0,
	    "two thousand words");
	ge_frame_release(&f);
	o.words = 1999;
	check(load(&f, &o, s, &e) == 0 && f.col[0].type == GE_FRAME_TEXT &&
	    isnan(f.v[0]) && f.col[0].nwords == 0, "one too many");
	ge_frame_release(&f);
	memset(s, 'x', 1030);
	memcpy(s, "a\ny\n", 4);
	memcpy(s + 1028, "\n", 2);
	check(load(&f, &o, s, &e) == 0 && f.col[0].type ==
	    GE_FRAME_CATEGORY, "a long word");
	ge_frame_release(&f);
	memcpy(s + 1028, "x\n", 3);
	check(load(&f, &o, s, &e) == 0 && f.col[0].type == GE_FRAME_TEXT &&
	    isnan(f.v[0]) && isnan(f.v[1]), "and one too long");
	ge_frame_release(&f);
}

/* Each allocation failing in turn, in a process of its own. */
static int
starve(const char *i)
{
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e = { 0 };

	setenv("GE_FAILALLOC", i, 1);
	ge_frame_opts_init(&o);
	if (load(&f, &o, "a,b\nx,1\ny,z\n", &e) == 0)
		e.code = 0;
	ge_frame_release(&f);
	return (e.code);
}

static void
starved(void)
{
	char number[24];
	int i, status, seen = 0, good = 1;

	for (i = 1; i < 60 && good; i++) {
		fflush(stdout);
		snprintf(number, sizeof(number), "%d", i);
		switch (fork()) {
		case -1:
			good = 0;
			continue;
		case 0:
			_exit(starve(number));
		}
		if (wait(&status) == -1 || !WIFEXITED(status))
			good = 0;
		else if (WEXITSTATUS(status) == GE_EFAIL)
			seen++;
		else if (WEXITSTATUS(status) != 0)
			good = 0;
	}
	check(good && seen > 10, "each allocation may fail");
}

int
main(void)
{

	starved();
	types();
	lists();
	choices();
	kinds();
	limits();
	return (bad);
}
