#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/store_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * The journal: "<state>/<set id>.tried", a line "EPOCH SEGMENT INDEX SITE" each.
 * Whoever adds to it holds a shared lock; to remove it takes the only one.
 */
enum {
	HEADS = 1 << 14,
	JOURNAL_MAX = 1 << 30
};

static uint32_t *
head(const struct ge_past *past, uint32_t segment)
{

	return (&past->head[segment % HEADS]);
}

int
ge_past_has(const struct ge_past *past, uint32_t segment, int index, int epoch,
    int site)
{
	const struct ge_try *t;
	uint32_t i;

	if (past->n == 0)
		return (0);
	for (i = *head(past, segment); i != 0; i = t->before) {
		t = &past->v[i - 1];
		if (t->segment == segment && t->index == index &&
		    t->epoch == epoch && t->site == site)
			return (1);
	}
	return (0);
}

int
ge_past_add(struct ge_past *past, uint32_t segment, int index, int epoch,
    int site, struct ge_err *e)
{
	struct ge_try *t;

	if (ge_past_has(past, segment, index, epoch, site))
		return (0);
	if ((past->head == NULL && (past->head = ge_alloc(HEADS *
	    sizeof(*past->head), e)) == NULL) ||
	    ge_grow(&past->v, &past->cap, past->n + 1, sizeof(*past->v), e) ==
	    -1)
		return (-1);
	t = &past->v[past->n++];
	t->segment = segment;
	t->index = (uint8_t)index;
	t->epoch = (uint8_t)epoch;
	t->site = (int16_t)site;
	t->before = *head(past, segment);
	*head(past, segment) = (uint32_t)past->n;
	return (0);
}

void
ge_past_ever(const struct ge_past *past, uint32_t segment, int epoch,
    uint64_t *ever)
{
	const struct ge_try *t;
	uint32_t i;

	if (past->n == 0)
		return;
	for (i = *head(past, segment); i != 0; i = t->before) {
		t = &past->v[i - 1];
		if (t->segment == segment && t->epoch == epoch)
			ever[t->site] |= (uint64_t)1 << t->index;
	}
}

int
ge_past_newest(const struct ge_past *past, uint32_t segment)
{
	const struct ge_try *t;
	uint32_t i;
	int epoch = 0;

	if (past->n == 0)
		return (0);
	for (i = *head(past, segment); i != 0; i = t->before) {
		t = &past->v[i - 1];
		if (t->segment == segment && t->epoch > epoch)
			epoch = t->epoch;
	}
	return (epoch);
}

/* One line: what is none (the last may be torn) is passed over.  0, -1. */
static int
take_line(struct ge_past *past, char *line, struct ge_err *e)
{
	static const uint64_t max[] = { 255, UINT32_MAX, GE_N_MAX - 1 };
	uint64_t num[3];
	char *end;
	int i, site;

	for (i = 0; i < 3; i++, line = end + 1)
		if ((end = strchr(line, ' ')) == NULL || ge_num_parse(line,
		    (size_t)(end - line), &num[i]) == -1 || num[i] > max[i])
			return (0);
	if ((site = ge_sites_find(past->sites, line)) == -1) {
		past->unknown = 1;
		return (0);
	}
	return (ge_past_add(past, (uint32_t)num[1], (int)num[2], (int)num[0],
	    site, e));
}

static int
take_all(struct ge_past *past, char *text, size_t len, struct ge_err *e)
{
	char *line, *nl;

	for (line = text; (nl = memchr(line, '\n', len - (size_t)(line -
	    text))) != NULL; line = nl + 1) {
		*nl = '\0';
		if (take_line(past, line, e) == -1)
			return (-1);
	}
	return (0);
}

static void
not_kept(const struct ge_err *why)
{

	ge_note(GE_WARN, "if this is killed, what it has sent will not be "
	    "remembered: %s", why->msg);
}

/* Open it and hold it: 1; 0 if it has just been removed by another; -1. */
static int
hold(struct ge_past *past, struct ge_err *e)
{
	struct stat sb;

	past->fd = open(past->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (past->fd == -1)
		return (ge_failsys(e, "'%s'", past->path));
	(void)ge_file_lock(past->fd, 0);
	if (fstat(past->fd, &sb) == -1)
		return (ge_failsys(e, "'%s'", past->path));
	if (sb.st_nlink > 0)
		return (1);
	close(past->fd);
	past->fd = -1;
	return (0);
}

int
ge_past_open(struct ge_past *past, const struct ge_store *st,
    const uint8_t *setid, int adding, struct ge_err *e)
{
	size_t room, len;
	char id[2 * GE_SETID + 1];
	uint8_t *text = NULL;
	struct ge_err why;
	int rc = -1, held = 0;

	memset(past, 0, sizeof(*past));
	past->sites = st->sites;
	past->fd = -1;
	if (st->state == NULL)
		return (0);
	room = strlen(st->state) + sizeof(id) + sizeof("/.tried");
	if ((past->path = ge_alloc(room, e)) == NULL)
		return (-1);
	snprintf(past->path, room, "%s/%s.tried", st->state,
	    ge_hex(id, setid, GE_SETID));
	if (adding) {
		if (ge_dir_make(st->state, &why) == 0)
			while ((held = hold(past, &why)) == 0)
				continue;
		if (held != 1)
			not_kept(&why);
	}
	if (access(past->path, F_OK) == -1) {
		rc = 0;
		goto out;
	}
	if (ge_slurp(past->path, JOURNAL_MAX, &text, &len, e) == -1 ||
	    take_all(past, (char *)text, len, e) == -1)
		goto out;
	/* Nothing is added to a line that was torn. */
	if (past->fd != -1 && len > 0 && text[len - 1] != '\n' &&
	    ge_write(past->fd, "\n", 1, e) == -1) {
		ge_within(e, "'%s'", past->path);
		goto out;
	}
	rc = 0;
out:
	ge_free(text);
	return (rc);
}

/* One second of it may be lost with the power, nothing with the program. */
void
ge_past_send(struct ge_past *past, uint32_t segment, int index, int epoch,
    int site)
{
	char line[GE_PAST_LINE];
	struct timespec now;
	struct ge_err why;
	int len;

	if (past->fd == -1 || ge_past_has(past, segment, index, epoch, site))
		return;
	len = snprintf(line, sizeof(line), "%d %" PRIu32 " %d %s\n", epoch,
	    segment, index, past->sites->site[site].name);
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (ge_write(past->fd, line, (size_t)len, &why) == -1 ||
	    (now.tv_sec != past->synced && fdatasync(past->fd) == -1 &&
	    ge_failsys(&why, "'%s'", past->path) == -1)) {
		not_kept(&why);
		close(past->fd);
		past->fd = -1;
	}
	past->synced = now.tv_sec;
}

void
ge_past_close(struct ge_past *past, int told)
{
	struct stat sb;

	if (past->path != NULL && past->fd != -1) {
		/* Where another adds to it, it is left to that one. */
		if (fstat(past->fd, &sb) == 0 && (sb.st_size == 0 ||
		    (told && !past->unknown)) &&
		    flock(past->fd, LOCK_EX | LOCK_NB) == 0 &&
		    fstat(past->fd, &sb) == 0)
			(void)unlink(past->path);
		close(past->fd);
	}
	ge_free(past->path);
	ge_free(past->v);
	ge_free(past->head);
	memset(past, 0, sizeof(*past));
	past->fd = -1;
}
