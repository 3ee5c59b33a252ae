/*
 * lib/data/outdir.c: a folder appears whole, replaces what it may, or leaves
 * nothing; a tar is the same bytes each time and has no end if it was not
 * finished.
 */
#define _DEFAULT_SOURCE		/* mkdtemp */
#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/outdir.h"
#include "util/file.h"
#include "util/mem.h"

#define UNIT "outdir"
#include "check.h"

static void
must(int good, const char *what)
{

	if (!good) {
		printf("not ok outdir: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

/* How many names there are in a folder; -1: there is none. */
static int
names(const char *path)
{
	DIR *dp = opendir(path);
	int n = -2;

	if (dp == NULL)
		return (-1);
	while (readdir(dp) != NULL)
		n++;
	closedir(dp);
	return (n);
}

static int
holds(const char *path, const char *want)
{
	struct ge_err e;
	uint8_t *buf;
	size_t len;
	int good;

	if (ge_slurp(path, 1 << 20, &buf, &len, &e) == -1)
		return (0);
	good = len == strlen(want) && memcmp(buf, want, len) == 0;
	ge_free(buf);
	return (good);
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	must(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, path);
}

/*
 * A folder with two files, config.json of this text; 0, or what it fails with.
 */
static int
make(const char *path, int force, const char *text, int commit)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_outdir *o = ge_outdir_new(path, -1, force, &e);

	if (o == NULL || ge_outdir_file(o, "config.json", text, strlen(text),
	    &e) == -1 || ge_outdir_begin(o, "two", 6, &e) == -1 ||
	    ge_outdir_write(o, "abc", 3, &e) == -1 || ge_outdir_write(o, "def",
	    3, &e) == -1 || (commit && ge_outdir_commit(o, &e) == -1))
		must(e.code != 0, "an error has a code");
	ge_outdir_free(o);
	return (e.code);
}

/* Names beside n that look like ours, and some that do not. */
static void
test_left(void)
{
	static const char *const left[] = { ".n.7-0.tmp", ".n.8-99.tmp" };
	static const char *const other[] = { ".n.7-100.tmp", ".n.7-0.tmp2",
	    ".n.x-0.tmp", ".nn.7-0.tmp", "n.7-0.tmp" };
	char file[64];
	size_t i;
	int fd, good = 1;

	for (i = 0; i < 2; i++) {
		must(mkdir(left[i], 0777) == 0, left[i]);
		snprintf(file, sizeof(file), "%s/config.json", left[i]);
		put(file, "half");
	}
	for (i = 0; i < 5; i++)
		must(mkdir(other[i], 0777) == 0, other[i]);
	must((fd = open(left[1], O_RDONLY | O_DIRECTORY)) != -1 &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0, left[1]);
	good &= make("n", 0, "1", 1) == 0 && names(left[0]) == -1 &&
	    names(left[1]) == 1;
	close(fd);
	good &= make("n", 1, "2", 1) == 0 && names(left[1]) == -1;
	for (i = 0; i < 5; i++)
		good &= rmdir(other[i]) == 0;
	check(good, "what a killed process has left is removed, no other");
	good = system("rm -r n") == 0 && names(".") == 0;
	check(good, "and nothing is left now");
}

static void
test_folder(void)
{
	struct ge_err e;
	struct ge_outdir *o;
	const char *dots[] = { "x/.", "x/..", "..", "/", "" };
	size_t i;
	int good = 1;

	check(make("m/", 0, "1", 1) == 0 && names(".") == 1 && names("m") ==
	    2 && holds("m/config.json", "1") && holds("m/two", "abcdef"),
	    "a folder with its files");
	check(make("m", 0, "2", 1) == GE_EUSAGE && names(".") == 1 &&
	    holds("m/config.json", "1"), "what exists stays");
	put("m/old", "x");
	check(make("m", 1, "2", 1) == 0 && names(".") == 1 && names("m") == 2 &&
	    holds("m/config.json", "2"), "by force it is replaced");
	check(make("n", 0, "1", 0) == 0 && make("m", 1, "3", 0) == 0 &&
	    names(".") == 1 && holds("m/config.json", "2"),
	    "not committed, nothing stays");
	for (i = 0; i < sizeof(dots) / sizeof(dots[0]); i++)
		good &= make(dots[i], 1, "1", 1) == GE_EUSAGE;
	check(good && make("no/m", 1, "1", 1) == GE_EUSAGE && names(".") == 1,
	    "places where no folder can be");

	/* One that appears meanwhile stays as well. */
	o = ge_outdir_new("late", -1, 0, &e);
	must(o != NULL && ge_outdir_file(o, "a", "b", 1, &e) == 0 &&
	    mkdir("late", 0777) == 0, "late");
	check(ge_outdir_commit(o, &e) == -1 && e.code == GE_EUSAGE &&
	    names("late") == 0, "what has appeared meanwhile stays");
	ge_outdir_free(o);
	check(names(".") == 2, "and nothing beside it");
	check(make("late", 1, "1", 1) == 0 && names("late") == 2,
	    "an empty folder is replaced");

	/* Nobody's home is removed. */
	must(mkdir("home", 0777) == 0, "home");
	put("home/letter", "dear");
	check(make("home", 1, "1", 1) == GE_EUSAGE && holds("home/letter",
	    "dear"), "a folder without config.json is not replaced");
	put("home/config.json", "1");
	must(mkdir("home/sub", 0777) == 0, "home/sub");
	check(make("home", 1, "1", 1) == GE_EUSAGE && names("home") == 3,
	    "nor one with folders in it");
	must(mkdir("adapter", 0777) == 0, "adapter");
	put("adapter/adapter_config.json", "1");
	check(make("adapter", 1, "1", 1) == 0 && names("adapter") == 2,
	    "an adapter is replaced");
	put("plain", "1");
	must(symlink("m", "link") == 0, "link");
	check(make("plain", 1, "1", 1) == GE_EUSAGE && make("link", 1, "1",
	    1) == GE_EUSAGE && names(".") == 6, "neither are files and links");
}

static int
tar(const char *path, int commit)
{
	struct ge_err e;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	struct ge_outdir *o = NULL;
	int rc;

	must(fd != -1 && (o = ge_outdir_new(NULL, fd, 0, &e)) != NULL &&
	    ge_outdir_file(o, "config.json", "{}", 2, &e) == 0 &&
	    ge_outdir_file(o, "empty", "", 0, &e) == 0, path);
	rc = commit ? ge_outdir_commit(o, &e) : 0;
	ge_outdir_free(o);
	must(close(fd) == 0, path);
	return (rc);
}

static void
test_tar(void)
{
	struct ge_err e;
	uint8_t *a, *b;
	size_t na, nb;
	int fd;
	struct ge_outdir *o;

	must(tar("a", 1) == 0 && tar("b", 1) == 0 && tar("c", 0) == 0, "tar");
	must(ge_slurp("a", 1 << 20, &a, &na, &e) == 0 && ge_slurp("b", 1 << 20,
	    &b, &nb, &e) == 0, "a");
	/* A header, a block, a header, and the end. */
	check(na == nb && na == 5 * 512 && memcmp(a, b, na) == 0,
	    "a tar of the same bytes");
	check(strcmp((char *)a, "model/config.json") == 0 && memcmp(a + 100,
	    "000644 \0" "000000 \0" "000000 \0" "00000000002 00000000000 ",
	    48) == 0 && memcmp(a + 512, "{}\0", 3) == 0 && strcmp((char *)a +
	    1024, "model/empty") == 0, "owner, mode and time are none");
	ge_free(b);
	must(ge_slurp("c", 1 << 20, &b, &nb, &e) == 0, "c");
	check(nb == 3 * 512, "without an end if it was not finished");
	ge_free(a);
	ge_free(b);
	if ((fd = open("/dev/full", O_WRONLY | O_CLOEXEC)) != -1) {
		o = ge_outdir_new(NULL, fd, 0, &e);
		check(o != NULL && (ge_outdir_file(o, "config.json", "{}", 2,
		    &e) == -1 || ge_outdir_commit(o, &e) == -1) && e.code ==
		    GE_EFAIL && e.sys == ENOSPC, "no room for a tar");
		ge_outdir_free(o);
		close(fd);
	}
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char top[4096], remove[4200];

	snprintf(top, sizeof(top), "%s/ge-outdir.XXXXXX", tmp != NULL &&
	    *tmp != '\0' ? tmp : "/tmp");
	must(mkdtemp(top) != NULL && chdir(top) == 0 && mkdir("f", 0777) == 0 &&
	    mkdir("t", 0777) == 0 && chdir("f") == 0, top);
	test_left();
	test_folder();
	must(chdir("../t") == 0, top);
	test_tar();
	snprintf(remove, sizeof(remove), "rm -rf '%s'", top);
	must(chdir("/") == 0 && system(remove) == 0, remove);
	return (bad);
}
