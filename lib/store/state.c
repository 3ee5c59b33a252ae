#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * The memory of a user: a file a set, named by its id, that holds "serial SP hash
 * LF" of the newest manifest seen.
 */
enum {
	LINE = 20 + 1 + 64 + 1
};

static char *
path_of(const struct ge_store *st, const uint8_t *setid, struct ge_err *e)
{
	char id[2 * GE_SETID + 1];

	return (ge_path_join(st->state, ge_hex(id, setid, GE_SETID), e));
}

int
ge_state_seen(const struct ge_store *st, const uint8_t *setid,
    uint64_t *serial, uint8_t hash[32], struct ge_err *e)
{
	uint8_t *buf = NULL;
	char *path = NULL, *space;
	size_t len;
	int rc = -1;

	if (st->state == NULL)
		return (0);
	if ((path = path_of(st, setid, e)) == NULL)
		goto out;
	if (access(path, F_OK) == -1 && (errno == ENOENT || errno == ENOTDIR)) {
		rc = 0;
		goto out;
	}
	if (ge_slurp(path, LINE, &buf, &len, e) == -1)
		goto out;
	if ((space = memchr(buf, ' ', len)) == NULL ||
	    ge_num_parse((char *)buf, (size_t)(space - (char *)buf), serial) ==
	    -1 || len != (size_t)(space - (char *)buf) + 66 ||
	    ge_unhex(hash, space + 1, 32) == -1 || buf[len - 1] != '\n') {
		ge_fail(e, GE_EUSAGE, "'%s': not what was seen of a set: "
		    "remove it if you know why", path);
		goto out;
	}
	rc = 1;
out:
	ge_free(buf);
	ge_free(path);
	return (rc);
}

int
ge_state_check(const struct ge_store *st, const struct ge_manifest *m,
    struct ge_err *e)
{
	char id[2 * GE_SETID + 1];
	uint8_t hash[32];
	uint64_t serial;
	int rc;

	if ((rc = ge_state_seen(st, m->setid, &serial, hash, e)) != 1)
		return (rc);
	if (m->serial < serial)
		return (ge_fail(e, GE_EREFUSED, "set %s: the manifest is older "
		    "than what was seen (serial %" PRIu64 ", %" PRIu64 " was "
		    "seen)", ge_hex(id, m->setid, GE_SETID), m->serial,
		    serial));
	if (m->serial == serial && memcmp(m->hash, hash, 32) != 0)
		return (ge_fail(e, GE_EREFUSED, "set %s has been forked: "
		    "another manifest of serial %" PRIu64 " was seen",
		    ge_hex(id, m->setid, GE_SETID), serial));
	/* Who has signed it may have seen more than we. */
	if (serial < UINT64_MAX && m->serial == serial + 1 &&
	    memcmp(m->previous, hash, 32) != 0 &&
	    ge_manifest_counts(m, &st->pins) != 2)
		return (ge_fail(e, GE_EREFUSED, "set %s has been forked: the "
		    "manifest does not follow on that of serial %" PRIu64
		    " that was seen", ge_hex(id, m->setid, GE_SETID), serial));
	return (0);
}

/* Other programs of the user wait until it is closed, if not for ever. */
static int
lock(const char *dir, struct ge_err *e)
{
	int fd;

	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return (ge_failsys(e, "cannot open '%s'", dir));
	(void)ge_file_lock(fd, 1);
	return (fd);
}

static int
keep(const struct ge_store *st, const struct ge_manifest *m, struct ge_err *e)
{
	struct ge_file f = GE_FILE_NONE;
	char line[LINE + 1], hex[65], *path = NULL;
	uint8_t hash[32];
	uint64_t serial;
	int dir = -1, len, seen, rc = -1;

	if ((path = path_of(st, m->setid, e)) == NULL ||
	    ge_dir_make(st->state, e) == -1 ||
	    (dir = lock(st->state, e)) == -1 ||
	    (seen = ge_state_seen(st, m->setid, &serial, hash, e)) == -1)
		goto out;
	/* Another program may have seen as new a one since. */
	if (seen == 1 && serial >= m->serial) {
		rc = 0;
		goto out;
	}
	len = snprintf(line, sizeof(line), "%" PRIu64 " %s\n", m->serial,
	    ge_hex(hex, m->hash, 32));
	if (ge_file_open(&f, path, 1, e) == -1)
		goto out;
	if (fchmod(f.fd, 0600) == -1) {
		ge_failsys(e, "'%s'", path);
		goto out;
	}
	if (ge_write(f.fd, line, (size_t)len, e) == -1 ||
	    ge_file_commit(&f, 1, e) == -1)
		goto out;
	rc = 0;
out:
	ge_file_release(&f);
	if (dir != -1)
		close(dir);
	ge_free(path);
	return (rc);
}

void
ge_state_keep(const struct ge_store *st, const struct ge_manifest *m)
{
	static int told;
	struct ge_err e = { 0, 0, "" };

	if (st->state == NULL || keep(st, m, &e) == 0 || told)
		return;
	told = 1;
	ge_note(GE_WARN, "an older manifest will not be noticed: %s", e.msg);
}

int
ge_state_heard(const struct ge_store *st, const struct ge_manifest *m,
    int sites)
{
	size_t i, n = 0;

	for (i = 0; i < st->sites->n; i++)
		n += !st->gone[i];
	if (2 * (size_t)sites <= n && (sites == 0 ||
	    ge_manifest_counts(m, &st->pins) != 2))
		return (0);
	ge_state_keep(st, m);
	return (1);
}
