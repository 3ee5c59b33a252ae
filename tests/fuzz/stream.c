/*
 * Any bytes as a stream, or as one file, through the pile: an audit of the set,
 * one of each fragment alone, a join.  No status is wrong here; a program must
 * only end with one.
 */
#define _GNU_SOURCE		/* memfd_create */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fixed/set.h"
#include "frag/frag.h"
#include "fuzz.h"

static struct ge_pile *
pile(int fd, int flags)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_pile *p;
	char path[SET_PATH];

	p = ge_pile_new(flags, NULL, &e);
	must(p != NULL && ge_pile_add(p, set_path(path, fd), &e) == 0, e.msg);
	return (p);
}

static void
audit(int fd, int flags, int alone)
{
	struct ge_audit a;
	struct ge_err e = { 0, 0, "" };
	struct ge_pile *p = pile(fd, flags);
	int rc;

	memset(&a, 0, sizeof(a));
	a.jobs = 1;
	a.alone = alone;
	rc = ge_audit_run(&a, p, &e);
	must(rc == 0 || (rc == -1 && e.code >= GE_EFAIL &&
	    e.code <= GE_EREFUSED), "status of an audit");
	must(rc == -1 || (a.bad == 0 && a.unreachable == 0 &&
	    a.checked == a.blocks), "all whole");
	ge_pile_free(p);
}

static void
join(int fd)
{
	struct ge_join j;
	struct ge_err e = { 0, 0, "" };
	struct ge_pile *p = pile(fd, 0);
	struct stat st;
	int rc;

	memset(&j, 0, sizeof(j));
	j.jobs = 1;
	j.out = set_open("", 0);
	rc = ge_join_run(&j, p, &e);
	must(rc == 0 || (rc == -1 && e.code >= GE_EFAIL &&
	    e.code <= GE_EREFUSED), "status of a join");
	must(fstat(j.out, &st) == 0 && (uint64_t)st.st_size == j.written,
	    "bytes written");
	close(j.out);
	ge_pile_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	static int begun;
	int fd;

	/* The spool in memory, where there is such a place. */
	if (!begun && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	begun = 1;
	fd = set_open(buf, len);
	audit(fd, 0, 0);
	audit(fd, GE_PILE_NOSHARES, 1);
	join(fd);
	close(fd);
	return (0);
}
