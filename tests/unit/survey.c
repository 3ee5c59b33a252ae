/*
 * lib/store/survey.c over folders: names of every kind, a hundred thousand
 * fragments a site, and the memory that takes.
 */
#define _GNU_SOURCE		/* wait4 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_int.h"
#include "util/num.h"

#define UNIT "survey"
#include "check.h"

enum {
	SITES = 9,
	MANY = 100000,		/* fragments, */
	EACH = 9,		/* so many of a segment */
	MEMORY = 64 << 10	/* KiB for all of them, nine times */
};

static char tmp[4096];
static const uint8_t setid[GE_SETID] = { 1, 2, 3, 255 };

static void
die(const char *what)
{

	perror(what);
	exit(1);
}

/* An empty file in the set's folder. */
static void
put(const char *name)
{
	char hex[2 * GE_SETID + 1], path[8192];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", tmp,
	    ge_hex(hex, setid, GE_SETID), name);
	if ((fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) == -1 ||
	    close(fd) == -1)
		die(path);
}

/* So many sites, all in the one folder. */
static void
open_sites(struct ge_store *st, struct ge_sites *sites, struct ge_err *e)
{
	static struct ge_site site[SITES];
	static char name[SITES][8];
	static uint8_t gone[SITES];
	struct ge_net_conf conf = { .jobs = SITES };
	size_t i;

	memset(sites, 0, sizeof(*sites));
	memset(gone, 0, sizeof(gone));
	for (i = 0; i < SITES; i++) {
		snprintf(name[i], sizeof(name[i]), "s%zu", i);
		site[i].name = name[i];
		site[i].transport = GE_SITE_FILE;
		site[i].path = tmp;
		site[i].weight = 1;
	}
	sites->site = site;
	sites->n = SITES;
	memset(st, 0, sizeof(*st));
	st->sites = sites;
	st->gone = gone;
	if ((st->net = ge_net_open(sites, &conf, e)) == NULL) {
		fprintf(stderr, "%s\n", e->msg);
		exit(1);
	}
}

static void
remove_all(void)
{
	char command[8192];

	snprintf(command, sizeof(command), "rm -rf '%s'", tmp);
	if (system(command) != 0)
		die(command);
}

static void
test_names(void)
{
	/* In the order of bytes: what is listed as it stands. */
	static const char *const stray[] = {
		".0000000000.00.gef.tmp", "0000000000.0.gef",
		"0000000000.00.000.gef", "0000000000.00.256.gef",
		"0000000000.00.gef.bad", "0000000000.64.gef",
		"00000000000.00.gef", "4294967296.00.gef", "A.b_c-9",
		"a b\n%", "manifest.bad", "manifests"
	};
	const char *name;
	struct ge_survey sv;
	struct ge_sites sites;
	struct ge_store st;
	struct ge_err e;
	const struct ge_seen *s;
	size_t i, n;
	int good = 1;

	put("0000000000.00.gef");
	put("0000000001.63.gef");
	put("0000000001.63.255.gef");
	put("4294967295.07.001.gef");
	put("manifest");
	for (i = 0; i < sizeof(stray) / sizeof(stray[0]); i++)
		put(stray[i]);
	open_sites(&st, &sites, &e);
	st.gone[3] = 1;
	if (ge_survey_run(&st, setid, &sv, &e) == -1) {
		printf("%s\n", e.msg);
		check(0, "it can be asked");
		ge_net_close(st.net);
		return;
	}
	check(sv.nseen == 4 * (SITES - 1) && sv.bytes == 0 &&
	    sv.leftovers == (SITES - 1) *
	    (sizeof(stray) / sizeof(stray[0])) && sv.nstray == sv.leftovers,
	    "fragments are told from what is none");
	for (i = 0; i < SITES; i++)
		good &= sv.answered[i] == (i != 3) && sv.manifest[i] ==
		    (i != 3) && sv.why[i].code == 0;
	check(good, "who answered, who was not asked");
	for (good = 1, i = 0; i < sizeof(stray) / sizeof(stray[0]); i++) {
		name = strchr(stray[i], ' ') != NULL ? "a%20b%0A%25" : stray[i];
		good &= strcmp(sv.stray[i].name, name) == 0 &&
		    sv.stray[i].safe == (name == stray[i]) &&
		    !sv.stray[i].folder && sv.stray[i].site == 0;
	}
	check(good, "the others by site and name, harmless");
	s = ge_survey_find(&sv, 1, 63, &n);
	check(s != NULL && n == 2 * (SITES - 1) && s[0].epoch == 0 &&
	    s[0].site == 0 && s[n - 1].epoch == 255 &&
	    s[n - 1].site == SITES - 1 &&
	    ge_survey_find(&sv, 1, 62, &n) == NULL && n == 0 &&
	    ge_survey_find(&sv, UINT32_MAX, 8, &n) == NULL,
	    "what is looked for is found");
	ge_survey_release(&sv);
	ge_net_close(st.net);
}

/* In a process of its own, for its memory. */
static int
ask_many(void)
{
	struct ge_survey sv;
	struct ge_sites sites;
	struct ge_store st;
	struct ge_err e;
	size_t i, n;
	int good;

	open_sites(&st, &sites, &e);
	good = ge_survey_run(&st, setid, &sv, &e) == 0 &&
	    sv.nseen >= (size_t)MANY * SITES;
	for (i = 0; good && i < MANY; i += 997)
		good = ge_survey_find(&sv, (uint32_t)(10 + i / EACH),
		    (int)(i % EACH), &n) != NULL && n == SITES;
	ge_survey_release(&sv);
	ge_net_close(st.net);
	return (good);
}

static long
run(int (*fn)(void))
{
	struct rusage ru;
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == -1)
		die("fork");
	if (pid == 0)
		_exit(fn() ? 0 : 1);
	if (wait4(pid, &status, 0, &ru) == -1)
		die("wait4");
	return (status == 0 ? ru.ru_maxrss : -1);
}

static void
test_many(void)
{
	char name[GE_FRAG_NAME];
	long few, many;
	size_t i;

	few = run(ask_many);	/* fails, but shows what it takes to ask */
	check(few == -1, "too few are noticed");
	for (i = 0; i < MANY; i++) {
		ge_frag_name(name, setid, (uint32_t)(10 + i / EACH),
		    (int)(i % EACH), 0);
		put(name + 2 * GE_SETID + 1);
	}
	many = run(ask_many);
	printf("# %d fragments at each of %d sites: %ld KiB\n", MANY, SITES,
	    many);
	check(many != -1, "a hundred thousand a site");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	check(many != -1 && many < MEMORY, "and the memory for them");
#endif
}

int
main(void)
{
	char hex[2 * GE_SETID + 1], path[8192];
	const char *dir = getenv("TMPDIR");

	snprintf(tmp, sizeof(tmp), "%s/survey.XXXXXX", dir != NULL ? dir :
	    "/tmp");
	if (mkdtemp(tmp) == NULL)
		die(tmp);
	snprintf(path, sizeof(path), "%s/%s", tmp, ge_hex(hex, setid,
	    GE_SETID));
	if (mkdir(path, 0755) == -1)
		die(path);
	test_names();
	test_many();
	remove_all();
	return (bad);
}
