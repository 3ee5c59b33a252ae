/*
 * lib/store/past.c: what was sent is remembered over runs, torn lines and rubbish
 * cost nothing else, two runs at once keep each other's lines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_int.h"
#include "util/num.h"

#define UNIT "past"
#include "check.h"

static const char sites_text[] = "a file:///a operator=x region=r country=fr\n"
    "b file:///b operator=y region=r country=fr\n"
    "c file:///c operator=z region=r country=fr\n";
static const uint8_t setid[GE_SETID] = { 0xab };
static struct ge_sites sites;
static struct ge_store store;
static char dir[128], path[256];
static void
begin(struct ge_past *past)
{
	struct ge_err e;

	if (ge_past_open(past, &store, setid, 1, &e) == -1) {
		printf("# %s\n", e.msg);
		exit(1);
	}
}

static void
scribble(const char *text)
{
	FILE *f = fopen(path, "a");

	if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF)
		exit(1);
}

static void
test_runs(void)
{
	struct ge_past one, two;
	uint64_t ever[3] = { 0, 0, 0 };

	begin(&one);
	check(one.n == 0, "nothing at first");
	ge_past_send(&one, 7, 3, 0, 1);
	ge_past_send(&one, 7, 63, 2, 2);
	ge_past_send(&one, 7 + (1 << 14), 1, 0, 0);
	ge_past_close(&one, 0);

	begin(&one);
	ge_past_ever(&one, 7, 0, ever);
	check(one.n == 3 && ever[0] == 0 && ever[1] == 8 && ever[2] == 0 &&
	    ge_past_has(&one, 7, 63, 2, 2) && !ge_past_has(&one, 7, 63, 0, 2) &&
	    !ge_past_has(&one, 8, 3, 0, 1), "what was sent, and no more");

	begin(&two);
	ge_past_send(&two, 9, 0, 0, 0);
	ge_past_close(&one, 1);
	check(access(path, F_OK) == 0, "another run's lines stay");
	ge_past_close(&two, 1);
	check(access(path, F_OK) == -1, "removed when a manifest tells");
	begin(&one);
	ge_past_close(&one, 0);
	check(access(path, F_OK) == -1, "nothing leaves nothing");
}

static void
test_rubbish(void)
{
	struct ge_past past;

	scribble("0 1 2 a\n0 1 64 a\n256 1 2 a\n0 4294967296 2 a\n 0 1 2 b\n"
	    "0 1 2\n-1 1 2 b\n\n0 1 3 gone\n0 5 6 ");
	begin(&past);
	check(past.n == 1 && ge_past_has(&past, 1, 2, 0, 0),
	    "lines that are none are passed over");
	ge_past_send(&past, 5, 7, 0, 1);
	ge_past_close(&past, 1);
	begin(&past);
	check(past.n == 2 && ge_past_has(&past, 5, 7, 0, 1),
	    "nothing is lost behind a torn line, nor with a site unknown");
	ge_past_close(&past, 0);
	unlink(path);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char id[2 * GE_SETID + 1];
	struct ge_err e;
	struct ge_past past;

	snprintf(dir, sizeof(dir), "%s/ge-past.XXXXXX", tmp != NULL ? tmp :
	    "/tmp");
	if (mkdtemp(dir) == NULL || ge_sites_parse(&sites, sites_text,
	    sizeof(sites_text) - 1, &e) == -1)
		return (1);
	store.sites = &sites;
	begin(&past);
	ge_past_send(&past, 1, 1, 0, 1);
	check(past.n == 0, "without a folder there is no memory");
	ge_past_close(&past, 1);
	store.state = dir;
	snprintf(path, sizeof(path), "%s/%s.tried", dir, ge_hex(id, setid,
	    GE_SETID));
	test_runs();
	test_rubbish();
	ge_sites_release(&sites);
	if (rmdir(dir) == -1)
		check(0, "the folder is empty in the end");
	return (bad);
}
