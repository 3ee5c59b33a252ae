/*
 * lib/util: numbers and text, arrays that grow, work in parallel and in
 * pipelines, files that appear whole, the hook.
 */
#define _GNU_SOURCE		/* pipe2 */
#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/par.h"

#define UNIT "util"
#include "check.h"

static char tmp[4096];		/* a folder of our own */

static void
die(const char *what)
{

	perror(what);
	exit(1);
}

/* Numbers and text. */

static void
test_num(void)
{
	static const char *const refused[] = {
		"", " 1", "1 ", "+1", "-1", "01", "00", "0x1", "1a",
		"18446744073709551616", "18446744073709551620",
		"28446744073709551615", "99999999999999999999",
		"100000000000000000000"
	};
	static const struct {
		const char *s;
		uint64_t v;
	} fine[] = {
		{ "0", 0 }, { "9", 9 }, { "10", 10 },
		{ "18446744073709551615", UINT64_MAX },
		{ "18446744073709551609", UINT64_MAX - 6 }
	};
	uint64_t v;
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		good &= ge_num_parse(refused[i], strlen(refused[i]), &v) == -1;
	for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		good &= ge_num_parse(fine[i].s, strlen(fine[i].s), &v) == 0 &&
		    v == fine[i].v;
	/* Exactly len characters, whatever follows. */
	good &= ge_num_parse("123", 2, &v) == 0 && v == 12;
	good &= ge_num_parse("1\0002", 3, &v) == -1;
	check(good, "canonical numbers");
}

static void
test_size(void)
{
	static const char *const refused[] = {
		"", "k", "9x", "1kk", "1 k", "-1", "+1", " 1", "1.5m", "0x10",
		"1kb", "1p", "1\v", "9223372036854775808",
		"18446744073709551616", "9007199254740992k", "8796093022208m",
		"8589934592g", "8388608t", "99999999999999999999999999t"
	};
	static const struct {
		const char *s;
		uint64_t v;
	} fine[] = {
		{ "0", 0 }, { "0t", 0 }, { "08", 8 }, { "0001k", 1024 },
		{ "1K", 1024 }, { "3m", 3145728 }, { "2G", 2147483648 },
		{ "1t", 1099511627776 },
		{ "9223372036854775807", INT64_MAX },
		{ "9007199254740991k", 9223372036854774784 },
		{ "8388607t", 9223370937343148032 }
	};
	uint64_t v;
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		good &= ge_size_parse(refused[i], &v) == -1;
	for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		good &= ge_size_parse(fine[i].s, &v) == 0 && v == fine[i].v;
	check(good, "sizes as users write them, below 2^63");
}

static void
test_text(void)
{
	static const uint8_t bytes[4] = { 0x00, 0x9f, 0xa0, 0xff };
	uint8_t back[4], little[8];
	char out[64];
	size_t cap;
	int good;

	good = strcmp(ge_hex(out, bytes, 4), "009fa0ff") == 0 &&
	    ge_unhex(back, out, 4) == 0 && memcmp(back, bytes, 4) == 0 &&
	    strcmp(ge_hex(out, bytes, 0), "") == 0 &&
	    ge_unhex(back, "0G", 1) == -1 && ge_unhex(back, "A0", 1) == -1 &&
	    ge_unhex(back, "a:", 1) == -1 && ge_unhex(back, "0`", 1) == -1 &&
	    ge_unhex(back, "", 0) == 0;
	check(good, "hex, lower case");

	ge_put64(little, 0x0123456789abcdef);
	good = little[0] == 0xef && little[7] == 0x01 &&
	    ge_get64(little) == 0x0123456789abcdef &&
	    ge_get32(little) == 0x89abcdef && ge_get16(little) == 0xcdef;
	memset(little, 0xff, 8);
	good &= ge_get64(little) == UINT64_MAX && ge_get32(little) ==
	    UINT32_MAX && ge_get16(little) == UINT16_MAX;
	check(good, "little-endian integers");

	good = ge_percent(out, sizeof(out), "a b%\n\x7f\xc3", 7, 0) == 0 &&
	    strcmp(out, "a%20b%25%0A%7F%C3") == 0 &&
	    ge_percent(out, sizeof(out), "a b", 3, 1) == 0 &&
	    strcmp(out, "a b") == 0 &&
	    ge_percent(out, sizeof(out), "\0", 1, 1) == 0 &&
	    strcmp(out, "%00") == 0 &&
	    ge_percent(out, 1, "", 0, 0) == 0 && out[0] == '\0' &&
	    ge_percent(out, 0, "", 0, 0) == -1;
	/* "a%25" needs five bytes and writes no sixth. */
	for (cap = 0; cap < 8; cap++) {
		memset(out, '!', sizeof(out));
		good &= ge_percent(out, cap, "a%", 2, 0) == (cap < 5 ? -1 : 0);
		good &= out[cap] == '!';
	}
	check(good, "percent escapes, never beyond the room");
}

static void
test_grow(void)
{
	struct ge_err e = { 0, 0, "" };
	uint32_t *a = NULL;
	size_t cap = 0, was, i;
	int good = 1;

	for (i = 0; i < 1000 && good; i++) {
		was = cap;
		good &= ge_grow(&a, &cap, i + 1, sizeof(*a), &e) == 0 &&
		    cap > i && (cap == was || cap >= 2 * was);
		if (good)
			a[i] = (uint32_t)i;
	}
	for (i = 0; i < 1000 && good; i++)
		good &= a[i] == i;
	check(good, "an array grows and keeps what it has");
	was = cap;
	good = ge_grow(&a, &cap, SIZE_MAX / 4 + 2, 4, &e) == -1 &&
	    e.code == GE_EFAIL && cap == was && a[999] == 999;
	good &= ge_grow(&a, &cap, SIZE_MAX, 4, &e) == -1 && cap == was;
	check(good, "an array too large is refused and unchanged");
	ge_free(a);
}

/* Work in parallel. */

enum {
	EACH = 200
};

struct each {
	atomic_int count[EACH];
	atomic_int strange;		/* worker out of range, another thread */
	atomic_int failed;
	size_t first;			/* of 1 and 2: fails first */
	pthread_t self;
	int jobs;
};

static int
each_count(void *arg, size_t i, int worker, struct ge_err *e)
{
	struct each *t = arg;

	(void)e;
	atomic_fetch_add(&t->count[i], 1);
	if (worker < 0 || worker >= t->jobs ||
	    (t->jobs == 1 && !pthread_equal(pthread_self(), t->self)))
		atomic_fetch_add(&t->strange, 1);
	return (0);
}

/* 1 and 2 are under way together, and fail one after the other. */
static int
each_fail(void *arg, size_t i, int worker, struct ge_err *e)
{
	struct each *t = arg;
	long spin;

	(void)worker;
	atomic_fetch_add(&t->count[i], 1);
	if (i == 0)
		return (0);
	atomic_fetch_add(&t->failed, i == t->first ? 2 : 1);
	/* The one until the other is there, and that until the one is gone. */
	for (spin = 0; spin < 100000000 && atomic_load(&t->failed) < 3; spin++)
		sched_yield();
	for (spin = 0; i != t->first && spin < 1000; spin++)
		sched_yield();
	return (ge_fail(e, i == 1 ? GE_EREFUSED : GE_ELOST, "item %zu", i));
}

static void
test_each(void)
{
	static struct each t;
	struct ge_err e = { 0, 0, "" };
	int jobs, i, good = 1, n;

	for (jobs = 1; jobs <= 8; jobs++)
		for (n = 0; n <= EACH; n += n < 10 ? 1 : 95) {
			memset(&t, 0, sizeof(t));
			t.jobs = jobs;
			t.self = pthread_self();
			good &= ge_par_each(jobs, (size_t)n, each_count, &t,
			    &e) == 0 && atomic_load(&t.strange) == 0;
			for (i = 0; i < EACH; i++)
				good &= atomic_load(&t.count[i]) == (i < n);
		}
	check(good, "each index once, jobs 1 in the caller");

	for (i = 0, good = 1; i < 20; i++) {
		memset(&t, 0, sizeof(t));
		t.first = 1 + (size_t)i % 2;
		good &= ge_par_each(2, EACH, each_fail, &t, &e) == -1 &&
		    e.code == GE_EREFUSED && strcmp(e.msg, "item 1") == 0;
		/* Nothing is begun after a failure: two were under way. */
		for (n = 0, jobs = 0; jobs < EACH; jobs++)
			n += atomic_load(&t.count[jobs]);
		good &= n == 3;
	}
	check(good, "the error of the smallest failing index, then no more");
	memset(&t, 0, sizeof(t));
	atomic_store(&t.failed, 3);
	good = ge_par_each(1, EACH, each_fail, &t, &e) == -1 &&
	    strcmp(e.msg, "item 1") == 0 && atomic_load(&t.count[2]) == 0;
	check(good, "jobs 1 stops at the first failure");
}

/* Pipelines. */

enum {
	ITEMS = 100,
	SLOTS = 3
};

struct pipe_test {
	size_t slot[SLOTS];		/* which item lies there; TSan watches */
	size_t next[GE_PIPE_STAGES];	/* item that each stage expects */
	size_t items;
	int fail_stage[2];
	size_t fail_item[2];
	int fd;				/* stage 0 blocks on it from item 1 on */
	int strange[GE_PIPE_STAGES];
};

static int
odd(const struct pipe_test *t)
{

	return (t->strange[0] | t->strange[1] | t->strange[2]);
}

static int
stage(struct pipe_test *t, int s, size_t item, size_t slot, struct ge_err *e)
{
	size_t got;
	char c;
	int i;

	t->strange[s] |= item != t->next[s] || slot != item % SLOTS;
	if (s == 0)
		t->slot[slot] = item;
	else
		t->strange[s] |= t->slot[slot] != item;
	for (i = 0; i < 2; i++)
		if (t->fail_stage[i] == s && t->fail_item[i] == item)
			return (ge_fail(e, GE_ELOST, "stage %d item %zu", s,
			    item));
	if (s == 0 && item == t->items)
		return (0);
	if (s == 0 && t->fd != -1 && item > 0 &&
	    ge_read(t->fd, &c, 1, &got, e) == -1)
		return (-1);
	t->next[s] = item + 1;
	return (1);
}

static int
stage0(void *arg, size_t item, size_t slot, struct ge_err *e)
{

	return (stage(arg, 0, item, slot, e));
}

static int
stage1(void *arg, size_t item, size_t slot, struct ge_err *e)
{

	return (stage(arg, 1, item, slot, e));
}

static int
stage2(void *arg, size_t item, size_t slot, struct ge_err *e)
{

	return (stage(arg, 2, item, slot, e));
}

static int
run_pipe(struct pipe_test *t, int nstages, int threads, struct ge_err *e)
{
	struct ge_pipe p = { .nstages = nstages, .nslots = SLOTS,
	    .stage = { stage0, stage1, stage2 }, .arg = t };

	e->code = 0;
	return (ge_pipe_run(&p, threads, e));
}

static void
fresh(struct pipe_test *t)
{

	memset(t, 0, sizeof(*t));
	t->items = ITEMS;
	t->fail_stage[0] = t->fail_stage[1] = -1;
	t->fd = -1;
}

static void
test_pipe(void)
{
	struct pipe_test t;
	struct ge_err e;
	char want[64];
	int threads, n, s, r, good = 1, fd[2];
	size_t i;

	for (threads = 0; threads < 2; threads++)
		for (n = 1; n <= GE_PIPE_STAGES; n++)
			for (i = 0; i <= ITEMS; i += i < 8 ? 1 : 46) {
				fresh(&t);
				t.items = i;
				good &= run_pipe(&t, n, threads, &e) == 0 &&
				    !odd(&t);
				for (s = 0; s < n; s++)
					good &= t.next[s] == i;
			}
	check(good, "pipeline: all items, in order, each in its slot");

	for (threads = 0, good = 1; threads < 2; threads++)
		for (s = 0; s < GE_PIPE_STAGES; s++)
			for (i = 0; i < 8; i++)
				for (r = 0; r < 10; r++) {
					fresh(&t);
					t.fail_stage[0] = s;
					t.fail_item[0] = i;
					snprintf(want, sizeof(want),
					    "stage %d item %zu", s, i);
					good &= run_pipe(&t, 3, threads, &e) ==
					    -1 && e.code == GE_ELOST &&
					    strcmp(e.msg, want) == 0 &&
					    t.next[2] == i && !odd(&t);
				}
	check(good, "pipeline: what comes before a failure is finished");

	for (threads = 0, good = 1; threads < 2; threads++)
		for (r = 0; r < 50; r++) {
			fresh(&t);
			t.fail_stage[0] = 0;
			t.fail_item[0] = 4;
			t.fail_stage[1] = 2;
			t.fail_item[1] = 2;
			good &= run_pipe(&t, 3, threads, &e) == -1 &&
			    strcmp(e.msg, "stage 2 item 2") == 0 &&
			    t.next[2] == 2;
		}
	check(good, "pipeline: the first failing item is reported");

	/* A silent pipe: only the failure behind it ends the run. */
	if (pipe2(fd, O_CLOEXEC) == -1)
		die("pipe");
	for (s = 1, good = 1; s < GE_PIPE_STAGES; s++)
		for (r = 0; r < 20; r++) {
			fresh(&t);
			t.fd = fd[0];
			t.fail_stage[0] = s;
			good &= run_pipe(&t, 3, 1, &e) == -1 &&
			    e.code == GE_ELOST && !odd(&t) &&
			    !ge_hook_cancelled();
		}
	check(good, "pipeline: a failure wakes the first stage out of a read");

	/* And the next run reads again. */
	fresh(&t);
	t.fd = fd[0];
	t.items = 5;
	good = write(fd[1], "abcd", 4) == 4 && run_pipe(&t, 3, 1, &e) == 0 &&
	    t.next[2] == 5;
	check(good, "pipeline: the next one is not cancelled");
	close(fd[0]);
	close(fd[1]);
}

/* Files. */

static const char *
path(const char *name)
{
	static char buf[8192];

	snprintf(buf, sizeof(buf), "%s/%s", tmp, name);
	return (buf);
}

/* Names in the folder, hidden ones too. */
static int
entries(void)
{
	struct dirent *d;
	DIR *dir;
	int n = 0;

	if ((dir = opendir(tmp)) == NULL)
		die(tmp);
	while ((d = readdir(dir)) != NULL)
		n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	closedir(dir);
	return (n);
}

static int
holds(const char *name, const char *want)
{
	struct ge_err e;
	uint8_t *buf;
	size_t len;
	int good;

	if (ge_slurp(path(name), 4096, &buf, &len, &e) == -1)
		return (0);
	good = len == strlen(want) && memcmp(buf, want, len) == 0 &&
	    buf[len] == '\0';
	ge_free(buf);
	return (good);
}

static int
put(const char *name, const char *text, enum ge_over over, int commit,
    struct ge_err *e)
{
	struct ge_file f = GE_FILE_NONE;
	int rc = -1;

	e->code = 0;
	if (ge_file_open(&f, path(name), over, e) == 0 &&
	    ge_write(f.fd, text, strlen(text), e) == 0 &&
	    (!commit || ge_file_commit(&f, over, e) == 0))
		rc = 0;
	ge_file_release(&f);
	ge_file_release(&f);
	return (rc);
}

static void
test_file(void)
{
	struct ge_file f = GE_FILE_NONE;
	struct ge_err e;
	struct stat st;
	int good;

	ge_file_release(&f);
	check(put("a", "one", GE_OVER_NOTHING, 0, &e) == 0 && entries() == 0,
	    "a file not committed is gone");
	check(put("a", "one", GE_OVER_NOTHING, 1, &e) == 0 && entries() == 1 &&
	    holds("a", "one") && stat(path("a"), &st) == 0 &&
	    (st.st_mode & 0111) == 0, "a file appears");
	check(put("a", "two", GE_OVER_NOTHING, 1, &e) == -1 &&
	    e.code == GE_EUSAGE && entries() == 1 && holds("a", "one"),
	    "an existing file is refused");
	check(put("a", "two", GE_OVER_FILE, 0, &e) == 0 && entries() == 1 &&
	    holds("a", "one"), "a replacement not committed changes nothing");
	check(put("a", "two", GE_OVER_FILE, 1, &e) == 0 && entries() == 1 &&
	    holds("a", "two"), "a file is replaced");
	check(put("b", "three", GE_OVER_FILE, 1, &e) == 0 && entries() == 2 &&
	    holds("b", "three"), "nothing to replace is fine");

	/* Another comes first. */
	good = ge_file_open(&f, path("c"), GE_OVER_NOTHING, &e) == 0 &&
	    ge_write(f.fd, "late", 4, &e) == 0 &&
	    put("c", "early", GE_OVER_NOTHING, 1, &e) == 0 &&
	    ge_file_commit(&f, GE_OVER_NOTHING, &e) == -1 && e.code == GE_EFAIL;
	ge_file_release(&f);
	check(good && entries() == 3 && holds("c", "early"),
	    "a commit without leave to replace never overwrites");

	good = ge_file_open(&f, "/dev/null", GE_OVER_NOTHING, &e) == 0 &&
	    f.direct &&
	    ge_write(f.fd, "x", 1, &e) == 0 &&
	    ge_file_commit(&f, GE_OVER_NOTHING, &e) == 0;
	ge_file_release(&f);
	check(good, "a device is written to");
	good = ge_file_open(&f, "/dev/full", GE_OVER_NOTHING, &e) == 0 &&
	    f.direct &&
	    ge_write(f.fd, "x", 1, &e) == -1 && e.code == GE_EFAIL;
	ge_file_release(&f);
	check(good, "a full device fails");
	good = ge_file_open(&f, path("none/x"), GE_OVER_NOTHING, &e) == -1 &&
	    e.code == GE_EFAIL;
	ge_file_release(&f);
	good &= ge_file_open(&f, path("a/x"), GE_OVER_NOTHING, &e) == -1;
	ge_file_release(&f);
	check(good && entries() == 3, "no folder, no file");

	check(ge_dir_make(path("d/e//f/"), &e) == 0 &&
	    ge_dir_make(path("d/e/f"), &e) == 0 &&
	    stat(path("d/e/f"), &st) == 0 && S_ISDIR(st.st_mode) &&
	    ge_dir_make(path("a/x"), &e) == -1 && e.code == GE_EFAIL &&
	    ge_dir_make(path("a"), &e) == -1 &&
	    ge_dir_sync(path("d"), &e) == 0 &&
	    ge_dir_sync(path("a"), &e) == -1, "folders");
	(void)rmdir(path("d/e/f"));
	(void)rmdir(path("d/e"));
	(void)rmdir(path("d"));
}

static void
test_slurp(void)
{
	struct ge_err e;
	uint8_t *buf, small[4];
	size_t len, i;
	int good = 1, fd;

	good = ge_slurp(path("a"), 3, &buf, &len, &e) == 0 && len == 3;
	ge_free(buf);
	good &= ge_slurp(path("a"), 2, &buf, &len, &e) == -1 &&
	    e.code == GE_EUSAGE && buf == NULL;
	good &= ge_slurp(path("none"), 9, &buf, &len, &e) == -1 &&
	    e.code == GE_EUSAGE && buf == NULL;
	good &= ge_slurp(tmp, 9, &buf, &len, &e) == -1 && buf == NULL;
	/* Around the size that is read at once. */
	for (i = 65534; i <= 65537; i++) {
		fd = open(path("long"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd == -1 || ftruncate(fd, (off_t)i) == -1 || close(fd) ==
		    -1)
			die("long");
		good &= ge_slurp(path("long"), i, &buf, &len, &e) == 0 &&
		    len == i && buf[len] == '\0';
		ge_free(buf);
		good &= ge_slurp(path("long"), i - 1, &buf, &len, &e) == -1;
	}
	(void)unlink(path("long"));
	check(good, "whole files, up to a limit");
	good = ge_slurp_into(path("a"), small, 3, &len, &e) == 0 && len == 3 &&
	    memcmp(small, "two", 3) == 0 &&
	    ge_slurp_into(path("a"), small, 4, &len, &e) == 0 && len == 3 &&
	    ge_slurp_into(path("a"), small, 2, &len, &e) == -1 &&
	    e.code == GE_EUSAGE;
	check(good, "whole files into memory at hand");
}

static void
test_spool(void)
{
	struct ge_err e;
	char buf[5];
	size_t got;
	int fd, before = entries(), good;
	char *was = getenv("TMPDIR");

	was = was == NULL ? NULL : strdup(was);
	setenv("TMPDIR", tmp, 1);
	fd = ge_spool_open(&e);
	good = fd != -1 && entries() == before &&
	    ge_pwrite(fd, "hello", 5, 1 << 20, &e) == 0 &&
	    ge_pread(fd, buf, 5, 1 << 20, &got, &e) == 0 && got == 5 &&
	    memcmp(buf, "hello", 5) == 0 &&
	    ge_pread(fd, buf, 5, (1 << 20) + 3, &got, &e) == 0 && got == 2 &&
	    ge_pread(fd, buf, 5, 1 << 21, &got, &e) == 0 && got == 0;
	if (fd != -1)
		close(fd);
	check(good, "a spool without a name");
	setenv("TMPDIR", path("none"), 1);
	check(ge_spool_open(&e) == -1 && e.code == GE_EFAIL,
	    "a spool nowhere");
	if (was != NULL)
		setenv("TMPDIR", was, 1);
	else
		unsetenv("TMPDIR");
	free(was);
}

/* The hook. */

static atomic_int hooked;
static int stop_at;

static int
hook(void)
{

	return (atomic_fetch_add(&hooked, 1) + 1 == stop_at);
}

static char said[512];
static int said_level = -1;

static void
note(int level, const char *line)
{

	said_level = level;
	snprintf(said, sizeof(said), "%s", line);
}

static void
test_hook(void)
{
	struct ge_err e = { 0, 0, "" };
	uint64_t before = ge_hook_done();
	size_t got;
	int good, fd[2];
	char c;

	atomic_store(&hooked, 0);
	good = ge_hook_tick(5, &e) == 0 && ge_hook_tick(0, &e) == 0 &&
	    ge_hook_tick(1000, &e) == 0 && ge_hook_done() == before + 1005 &&
	    atomic_load(&hooked) == 3;
	check(good, "ticks are counted and heard");
	stop_at = 4;
	good = ge_hook_tick(1, &e) == -1 && e.code == GE_EFAIL &&
	    ge_hook_done() == before + 1006 && ge_hook_tick(1, &e) == 0;
	check(good, "the hook stops the work");

	/* As a signal does: a read that would block comes back. */
	if (pipe2(fd, O_CLOEXEC) == -1)
		die("pipe");
	stop_at = atomic_load(&hooked) + 1;
	ge_hook_poke();
	good = ge_read(fd[0], &c, 1, &got, &e) == -1 && e.code == GE_EFAIL;
	/* It stays so for whoever reads next, until the hook is content. */
	good &= write(fd[1], "x", 1) == 1 &&
	    ge_read(fd[0], &c, 1, &got, &e) == 0 && got == 1 && c == 'x';
	close(fd[1]);
	good &= ge_read(fd[0], &c, 1, &got, &e) == 0 && got == 0;
	close(fd[0]);
	check(good, "a poke wakes a read");

	ge_note(GE_WARN, "nobody listens");
	ge_note_open(note);
	ge_note(GE_SAY, "a\tb%c\x7f%s", '\n', "c");
	good = said_level == GE_SAY && strcmp(said, "a?b??c") == 0;
	ge_note_open(NULL);
	check(good, "a note is one line");
}

static void
test_err(void)
{
	struct ge_err e;
	char *longest = malloc(5001);
	int good;

	if (longest == NULL)
		die("malloc");
	memset(longest, 'y', 5000);
	longest[5000] = '\0';
	good = ge_fail(&e, GE_ELOST, "'%s'", "a\nb") == -1 &&
	    e.code == GE_ELOST && e.sys == 0 && strcmp(e.msg, "'a?b'") == 0 &&
	    ge_within(&e, "in %d", 7) == -1 && e.code == GE_ELOST &&
	    strcmp(e.msg, "in 7: 'a?b'") == 0;
	good &= ge_fail(&e, GE_EFAIL, "%s", longest) == -1 &&
	    strlen(e.msg) == sizeof(e.msg) - 1 &&
	    ge_within(&e, "%s", longest) == -1 &&
	    strlen(e.msg) == sizeof(e.msg) - 1;
	free(longest);
	check(good, "messages: one line, with context, cut to their room");
}

int
main(void)
{
	struct ge_err e;
	const char *dir = getenv("TMPDIR");

	/* What hangs, fails. */
	alarm(300);
	snprintf(tmp, sizeof(tmp), "%s/util.XXXXXX",
	    dir != NULL && *dir != '\0' ? dir : "/tmp");
	if (mkdtemp(tmp) == NULL)
		die(tmp);
	test_num();
	test_size();
	test_text();
	test_grow();
	test_each();
	test_err();
	if (ge_hook_open(hook, &e) == -1)
		die("hook");
	test_pipe();
	test_file();
	test_slurp();
	test_spool();
	test_hook();
	(void)unlink(path("a"));
	(void)unlink(path("b"));
	(void)unlink(path("c"));
	if (rmdir(tmp) == -1)
		die(tmp);
	return (bad);
}
