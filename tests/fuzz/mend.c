/*
 * Repair: the input is a recipe (recipe.h) that spoils a small true set, which is
 * then laid out in two folders, or, with F_FILES, under each other's names.
 * Whatever lies there, a true fragment stays; and where gefrag(5) promises that
 * the set can be read, all of it is there afterwards.
 */
#define _GNU_SOURCE		/* memfd_create, nftw */
#include <sys/stat.h>

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <unistd.h>

#include "recipe.h"

static char home[256];
static uint8_t kept[SET_FRAGS];		/* true fragments seen in the folders */

static void
put(const char *path, const struct thing *t)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	must(fd != -1 && write(fd, t->buf, t->len) == (ssize_t)t->len &&
	    close(fd) == 0, path);
}

/* Under the name that the header, or another's, claims, if that is free. */
static void
lay_out(int crossed)
{
	char path[512], name[GE_FRAG_NAME];
	struct ge_hdr h;
	struct ge_err e;
	const struct thing *as;
	size_t i, at;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%zu", home, i);
		must(mkdir(path, 0700) == 0, path);
	}
	for (i = 0; i < nthings; i++) {
		as = crossed ? &thing[(i + 1) % nthings] : &thing[i];
		at = crossed ? 0 : i & 1;
		snprintf(path, sizeof(path), "%s/%zu/x%zu", home, at, i);
		if (ge_hdr_parse(&h, as->buf, as->len, 0, &e) == 0) {
			ge_frag_name(name, h.setid, h.segment, h.index,
			    h.epoch);
			name[2 * GE_SETID] = '\0';
			snprintf(path, sizeof(path), "%s/%zu/%s", home, at,
			    name);
			(void)mkdir(path, 0700);
			name[2 * GE_SETID] = '/';
			snprintf(path, sizeof(path), "%s/%zu/%s", home, at,
			    name);
			if (access(path, F_OK) == 0)
				snprintf(path, sizeof(path), "%s/%zu/x%zu",
				    home, at, i);
		}
		put(path, &thing[i]);
	}
}

static int
see(const char *path, const struct stat *st, int type, struct FTW *unused)
{
	uint8_t *buf;
	size_t i, len;
	int fd;

	(void)unused;
	if (type != FTW_F)
		return (0);
	must(strstr(path, ".tmp") == NULL, "temporary file left");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd != -1, path);
	buf = set_read(fd, &len);
	close(fd);
	must((off_t)len == st->st_size, path);
	for (i = 0; i < set->nfrags; i++)
		if (len == set->frag[i].len &&
		    memcmp(buf, set->frag[i].buf, len) == 0)
			kept[i] = 1;
	free(buf);
	return (0);
}

static int
discard(const char *path, const struct stat *st, int type, struct FTW *f)
{

	(void)st;
	(void)type;
	if (f->level > 0)
		(void)remove(path);
	return (0);
}

static struct ge_pile *
pile(int flags)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_pile *p = ge_pile_new(flags, NULL, &e);
	char path[512];
	int i;

	must(p != NULL, e.msg);
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%d", home, i);
		must(ge_pile_add(p, path, &e) == 0, e.msg);
	}
	return (p);
}

static void
run(int flags)
{
	struct ge_err e = { 0, 0, "" };
	uint8_t before[SET_FRAGS];
	struct ge_mend m;
	struct ge_audit a;
	struct ge_pile *p;
	struct facts f;
	char path[SET_PATH];
	int man, rc, certain, how = GE_PILE_DIRS;
	size_t i;

	look(&f);
	certain = promised(&f, flags);
	lay_out((flags & F_FILES) != 0);
	memset(kept, 0, sizeof(kept));
	must(nftw(home, see, 16, FTW_PHYS) == 0, "nftw");
	memcpy(before, kept, sizeof(kept));

	man = set_open(set->manifest.buf, set->manifest.len);
	memset(&m, 0, sizeof(m));
	pins(&m.pins, flags, set_path(path, man));
	m.jobs = (flags & F_THREADS) != 0 ? 2 : 1;
	m.blind = (flags & F_BLIND) != 0;
	/* Who does not look at shares cannot see a wrong one. */
	how |= m.blind ? GE_PILE_NOSHARES : 0;
	p = pile(how);
	rc = ge_mend_run(&m, p, &e);
	ge_pile_free(p);
	must(rc == 0 || (rc == -1 && e.code >= GE_EFAIL &&
	    e.code <= GE_EREFUSED), "status of a repair");
	must(rc == 0 || e.code != GE_ELOST || m.rebuilt == 0,
	    "nothing is written when a segment is lost");
	if (certain)
		must(rc == 0 || (m.blind && e.code == GE_EDEGRADED), e.msg);

	memset(kept, 0, sizeof(kept));
	must(nftw(home, see, 16, FTW_PHYS) == 0, "nftw");
	for (i = 0; i < set->nfrags; i++) {
		must(kept[i] >= before[i], "a true fragment stays");
		must(!certain || m.blind || kept[i], "all fragments");
	}
	if (certain && rc == 0) {
		memset(&a, 0, sizeof(a));
		pins(&a.pins, flags, path);
		a.jobs = 1;
		p = pile(how);
		rc = ge_audit_run(&a, p, &e);
		ge_pile_free(p);
		must((rc == 0 || e.code == GE_EDEGRADED) && a.bad == 0 &&
		    a.spare == a.n - a.k, "whole afterwards");
	}
	close(man);
	must(nftw(home, discard, 16, FTW_DEPTH | FTW_PHYS) == 0, "nftw");
}

static void
leave(void)
{

	(void)rmdir(home);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	size_t off, n;
	int flags = recipe_begin(buf, len, &off, &n);

	if (home[0] == '\0') {
		snprintf(home, sizeof(home), "%s/mend.XXXXXX",
		    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
		must(mkdtemp(home) != NULL, home);
		atexit(leave);
	}
	run(flags);
	recipe_end();
	return (0);
}
