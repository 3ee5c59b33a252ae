#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/checkpoint.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

extern char **environ;

#define BEFORE	"checkpoint-"
#define BEHIND	".safetensors"
#define HEAD	"{\"__metadata__\":{\"format\":\"getools\",\"sha256\":\""

enum {
	PIECES = 5,
	PART = 1 << 18			/* floats read or written at once */
};

struct piece {
	const char *name;
	float *v;			/* [ntheta] */
};

/* What a state is made of: how many pieces. */
static size_t
pieces(const struct ge_train *t, struct piece p[PIECES])
{

	p[0] = (struct piece){ "theta", t->theta };
	p[1] = (struct piece){ "m", t->m };
	p[2] = (struct piece){ "v", t->v };
	if (t->outer == NULL)
		return (3);
	p[3] = (struct piece){ "outer", t->outer };
	p[4] = (struct piece){ "outer_m", t->outer_m };
	return (5);
}

static void
name(char buf[64], uint64_t step)
{

	snprintf(buf, 64, BEFORE "%08" PRIu64 BEHIND, step);
}

char *
ge_checkpoint_path(const char *dir, uint64_t step, struct ge_err *e)
{
	char file[64];

	name(file, step);
	return (ge_path_join(dir, file, e));
}

/* Writing. */

/* The header with 0 for its digest; a multiple of 8 bytes long. */
static size_t
header(char buf[4096], const struct ge_train *t, const uint8_t ident[32],
    const struct ge_progress *p)
{
	uint64_t each = (uint64_t)t->ntheta * sizeof(float);
	struct piece piece[PIECES];
	size_t i, n = pieces(t, piece), at = 8;
	char hex[65];

	at += (size_t)sprintf(buf + at, HEAD "%064d\",\"ident\":\"%s\","
	    "\"step\":\"%" PRIu64 "\",\"steps\":\"%" PRIu64 "\","
	    "\"tokens\":\"%" PRIu64 "\",", 0, ge_hex(hex, ident, 32),
	    t->step, p->steps, p->tokens);
	at += (size_t)sprintf(buf + at, "\"seconds\":\"%a\",\"joules\":\"%a\","
	    "\"loss\":\"%a\",\"val\":\"%a\",\"b1t\":\"%a\",\"b2t\":\"%a\"}",
	    p->seconds, p->joules, p->loss, p->val, t->b1t, t->b2t);
	for (i = 0; i < n; i++)
		at += (size_t)sprintf(buf + at, ",\"%s\":{\"dtype\":\"F32\","
		    "\"shape\":[%zu],\"data_offsets\":[%" PRIu64 ",%" PRIu64
		    "]}", piece[i].name, t->ntheta, i * each, (i + 1) * each);
	buf[at++] = '}';
	while (at % 8 != 0)
		buf[at++] = ' ';
	ge_put64((uint8_t *)buf, at - 8);
	return (at);
}

static int
put_floats(int fd, uint64_t off, const float *v, size_t n, uint8_t *buf,
    struct ge_sha256 *h, struct ge_err *e)
{
	union { float f; uint32_t u; } x;
	size_t i, j, some;

	for (i = 0; i < n; i += some) {
		some = n - i < PART ? n - i : PART;
		for (j = 0; j < some; j++) {
			x.f = v[i + j];
			ge_put32(buf + 4 * j, x.u);
		}
		ge_sha256_add(h, buf, 4 * some);
		if (ge_pwrite(fd, buf, 4 * some, off + 4 * i, e) == -1)
			return (-1);
	}
	return (0);
}

static int
put(int fd, const struct ge_train *t, const uint8_t ident[32],
    const struct ge_progress *p, struct ge_err *e)
{
	struct piece piece[PIECES];
	size_t i, n = pieces(t, piece), len;
	uint8_t *buf, digest[32];
	struct ge_sha256 h;
	char head[4096], hex[65];
	int rc = -1;

	len = header(head, t, ident, p);
	ge_sha256_init(&h);
	ge_sha256_add(&h, head, len);
	if ((buf = ge_alloc(4 * PART, e)) == NULL ||
	    ge_pwrite(fd, head, len, 0, e) == -1)
		goto out;
	for (i = 0; i < n; i++)
		if (put_floats(fd, len + i * t->ntheta * sizeof(float),
		    piece[i].v, t->ntheta, buf, &h, e) == -1)
			goto out;
	ge_sha256_end(&h, digest);
	if (ge_pwrite(fd, ge_hex(hex, digest, 32), 64, GE_CHECKPOINT_DIGEST,
	    e) == -1)
		goto out;
	rc = 0;
out:
	ge_free(buf);
	return (rc);
}

/* 1 and its step, or 0. */
static int
is_checkpoint(const char *file, uint64_t *step)
{
	const char *s = file + strlen(BEFORE);
	char want[64];

	if (strncmp(file, BEFORE, strlen(BEFORE)) != 0)
		return (0);
	while (s[0] == '0' && s[1] >= '0' && s[1] <= '9')
		s++;
	if (ge_num_parse(s, strspn(s, "0123456789"), step) == -1)
		return (0);
	name(want, *step);
	return (strcmp(file, want) == 0);
}

/* A temporary name of ge_file_open's. */
static int
is_left(const char *file)
{
	size_t len = strlen(file);

	return (strncmp(file, "." BEFORE, 1 + strlen(BEFORE)) == 0 &&
	    strstr(file, BEHIND ".") != NULL && strcmp(file + len - 4,
	    ".tmp") == 0);
}

static int
by_step(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

/* The steps of the checkpoints in dir, smallest first. */
static int
list(const char *dir, uint64_t **steps, size_t *n, struct ge_err *e)
{
	struct dirent *d;
	size_t cap = 0;
	uint64_t step;
	DIR *f;
	int rc = -1;

	*steps = NULL;
	*n = 0;
	if ((f = opendir(dir)) == NULL)
		return (errno == ENOENT ? 0 : ge_failsys(e,
		    "cannot open folder '%s'", dir));
	for (errno = 0; (d = readdir(f)) != NULL; errno = 0) {
		if (!is_checkpoint(d->d_name, &step))
			continue;
		if (ge_grow(steps, &cap, *n + 1, sizeof(**steps), e) == -1)
			goto out;
		(*steps)[(*n)++] = step;
	}
	if (errno != 0) {
		ge_failsys(e, "cannot read folder '%s'", dir);
		goto out;
	}
	if (*n > 0)
		qsort(*steps, *n, sizeof(**steps), by_step);
	rc = 0;
out:
	closedir(f);
	return (rc);
}

static void
drop(const char *path)
{

	if (unlink(path) == -1 && errno != ENOENT)
		ge_note(GE_WARN, "cannot remove '%s': %s", path,
		    strerror(errno));
}

static void
drop_left(const char *dir)
{
	struct dirent *d;
	char *path;
	struct ge_err e;
	DIR *f;

	if ((f = opendir(dir)) == NULL)
		return;
	while ((d = readdir(f)) != NULL) {
		if (!is_left(d->d_name))
			continue;
		if ((path = ge_path_join(dir, d->d_name, &e)) == NULL)
			break;
		drop(path);
		ge_free(path);
	}
	closedir(f);
}

/*
 * All before the last one before step.  What cannot be listed stays: the new
 * one is there all the same.
 */
static void
drop_old(const char *dir, uint64_t step)
{
	uint64_t *steps;
	struct ge_err e;
	size_t i, n;
	char *path;

	if (list(dir, &steps, &n, &e) == 0)
		for (i = 0; i + 1 < n && steps[i + 1] < step; i++)
			if ((path = ge_checkpoint_path(dir, steps[i], &e)) !=
			    NULL) {
				drop(path);
				ge_free(path);
			}
	ge_free(steps);
}

int
ge_checkpoint_any(const char *dir, struct ge_err *e)
{
	uint64_t *steps;
	size_t n;
	int rc;

	rc = list(dir, &steps, &n, e);
	ge_free(steps);
	return (rc == -1 ? -1 : n > 0);
}

int
ge_checkpoint_clear(const char *dir, struct ge_err *e)
{
	uint64_t *steps;
	char *path;
	size_t i, n;
	int rc;

	rc = list(dir, &steps, &n, e);
	for (i = 0; rc == 0 && i < n; i++) {
		if ((path = ge_checkpoint_path(dir, steps[i], e)) == NULL ||
		    unlink(path) == -1)
			rc = path == NULL ? -1 : ge_failsys(e,
			    "cannot remove '%s'", path);
		ge_free(path);
	}
	ge_free(steps);
	return (rc);
}

int
ge_checkpoint_write(const char *dir, const struct ge_train *t,
    const uint8_t ident[32], const struct ge_progress *p, struct ge_err *e)
{
	struct ge_file f = GE_FILE_NONE;
	char *path = NULL;
	int rc = -1;

	if (ge_dir_make(dir, e) == -1)
		goto out;
	drop_left(dir);
	if ((path = ge_checkpoint_path(dir, t->step, e)) == NULL ||
	    ge_file_open(&f, path, GE_OVER_ALL, e) == -1)
		goto out;
	if (put(f.fd, t, ident, p, e) == -1) {
		ge_within(e, "checkpoint '%s'", path);
		goto out;
	}
	if (ge_file_commit(&f, GE_OVER_ALL, e) == -1)
		goto out;
	drop_old(dir, t->step);
	rc = 0;
out:
	ge_file_release(&f);
	ge_free(path);
	return (rc);
}

/* Reading. */

static int
get_whole(const json_t *meta, const char *key, uint64_t *out)
{
	const char *s = json_string_value(json_object_get(meta, key));

	return (s == NULL ? -1 : ge_num_parse(s, strlen(s), out));
}

static int
get_real(const json_t *meta, const char *key, double *out)
{
	const char *s = json_string_value(json_object_get(meta, key));
	char *end;

	if (s == NULL || *s == '\0')
		return (-1);
	*out = strtod(s, &end);
	return (*end == '\0' ? 0 : -1);
}

static int
get_bytes(const json_t *meta, const char *key, uint8_t out[32])
{
	const char *s = json_string_value(json_object_get(meta, key));

	return (s == NULL || strlen(s) != 64 ? -1 : ge_unhex(out, s, 32));
}

static int
get_meta(struct ge_checkpoint *c, const json_t *meta, struct ge_err *e)
{
	struct ge_progress *p = &c->progress;

	if (get_bytes(meta, "sha256", c->digest) == -1 ||
	    get_bytes(meta, "ident", c->ident) == -1 ||
	    get_whole(meta, "step", &p->step) == -1 ||
	    get_whole(meta, "steps", &p->steps) == -1 ||
	    get_whole(meta, "tokens", &p->tokens) == -1 ||
	    get_real(meta, "seconds", &p->seconds) == -1 ||
	    get_real(meta, "joules", &p->joules) == -1 ||
	    get_real(meta, "loss", &p->loss) == -1 ||
	    get_real(meta, "val", &p->val) == -1 ||
	    get_real(meta, "b1t", &c->b1t) == -1 ||
	    get_real(meta, "b2t", &c->b2t) == -1 ||
	    !(c->b1t >= 0 && c->b1t <= 1 && c->b2t >= 0 && c->b2t <= 1) ||
	    !(p->seconds >= 0 && isfinite(p->seconds)) ||
	    !(p->joules >= 0 && isfinite(p->joules)))
		return (ge_fail(e, GE_EREFUSED, "not a checkpoint: its "
		    "metadata"));
	return (0);
}

int
ge_checkpoint_parse(struct ge_checkpoint *c, const uint8_t *buf, size_t len,
    uint64_t total, struct ge_err *e)
{
	size_t head = strlen(HEAD);
	json_t *root;
	int rc;

	memset(c, 0, sizeof(*c));
	if (len < 8 + head || memcmp(buf + 8, HEAD, head) != 0 ||
	    ge_get64(buf) > GE_CHECKPOINT_HEADER_MAX)
		return (ge_fail(e, GE_EREFUSED, "not a checkpoint"));
	if (ge_st_parse(&c->st, buf, len, total, e) == -1)
		return (-1);
	if ((root = json_loadb((const char *)buf + 8, c->st.header - 8,
	    JSON_REJECT_DUPLICATES, NULL)) == NULL)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	rc = get_meta(c, json_object_get(root, "__metadata__"), e);
	json_decref(root);
	return (rc);
}

void
ge_checkpoint_release(struct ge_checkpoint *c)
{

	ge_st_release(&c->st);
	memset(c, 0, sizeof(*c));
}

/* A file at hand. */
struct source {
	int fd;
	uint64_t total;
	uint8_t *buf;			/* 4 * PART bytes */
	struct ge_checkpoint c;
};

static int
get_header(struct source *s, struct ge_err *e)
{
	size_t got, most = 8 + GE_CHECKPOINT_HEADER_MAX;
	struct stat st;

	if (fstat(s->fd, &st) == -1)
		return (ge_failsys(e, "cannot read"));
	if (!S_ISREG(st.st_mode))
		return (ge_fail(e, GE_EREFUSED, "not a file"));
	s->total = (uint64_t)st.st_size;
	if (ge_pread(s->fd, s->buf, most, 0, &got, e) == -1)
		return (-1);
	return (ge_checkpoint_parse(&s->c, s->buf, got, s->total, e));
}

/* Is the file the one that was written? */
static int
get_digest(struct source *s, struct ge_err *e)
{
	size_t got, want, some = 4 * PART;
	struct ge_sha256 h;
	uint8_t digest[32];
	uint64_t at;

	ge_sha256_init(&h);
	for (at = 0; at < s->total; at += got) {
		want = s->total - at < some ? (size_t)(s->total - at) : some;
		if (ge_hook_tick(0, e) == -1 || ge_pread(s->fd, s->buf, want,
		    at, &got, e) == -1)
			return (-1);
		if (got != want)
			break;
		if (at == 0)
			memset(s->buf + GE_CHECKPOINT_DIGEST, '0', 64);
		ge_sha256_add(&h, s->buf, got);
	}
	ge_sha256_end(&h, digest);
	if (memcmp(digest, s->c.digest, 32) != 0)
		return (ge_fail(e, GE_EREFUSED, "its digest is another"));
	return (0);
}

static int
get_floats(struct source *s, const struct piece *p, size_t n,
    struct ge_err *e)
{
	const struct ge_st_tensor *y = ge_st_find(&s->c.st, p->name);
	size_t i, some, got;

	if (y == NULL || y->dtype != GE_DTYPE_F32 || y->ndims != 1 ||
	    y->dim[0] != n)
		return (ge_fail(e, GE_EREFUSED, "tensor '%s' is missing or of "
		    "another size", p->name));
	for (i = 0; i < n; i += some) {
		some = n - i < PART ? n - i : PART;
		if (ge_pread(s->fd, s->buf, 4 * some, s->c.st.header +
		    y->off + 4 * i, &got, e) == -1)
			return (-1);
		if (got != 4 * some)
			return (ge_fail(e, GE_EREFUSED, "it ends early"));
		ge_st_floats(p->v + i, s->buf, some, GE_DTYPE_F32);
	}
	return (0);
}

static int
get_state(struct source *s, struct ge_train *t, struct ge_err *e)
{
	struct piece piece[PIECES];
	size_t i, n = pieces(t, piece);

	for (i = 0; i < n; i++)
		if (get_floats(s, &piece[i], t->ntheta, e) == -1)
			return (-1);
	t->step = s->c.progress.step;
	t->b1t = s->c.b1t;
	t->b2t = s->c.b2t;
	return (0);
}

/*
 * One checkpoint: TAKEN, or e tells why not; -1 if there is no use in looking at
 * others.
 */
enum { DAMAGED, TAKEN, OTHER };

static int
take(const char *path, struct ge_train *t, const uint8_t ident[32],
    struct ge_progress *p, struct ge_err *e)
{
	struct source s = { .fd = -1 };
	int rc = -1;

	if ((s.buf = ge_alloc(4 * PART, e)) == NULL)
		goto out;
	rc = DAMAGED;
	if ((s.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1) {
		ge_failsys(e, "cannot open it");
	} else if (get_header(&s, e) == 0 && get_digest(&s, e) == 0) {
		if (memcmp(s.c.ident, ident, 32) != 0) {
			ge_fail(e, GE_EREFUSED, "checkpoint '%s' is of "
			    "other data or options", path);
			rc = OTHER;
			goto out;
		}
		if (get_state(&s, t, e) == 0) {
			*p = s.c.progress;
			rc = TAKEN;
			goto out;
		}
	}
	ge_within(e, "checkpoint '%s'", path);
	/* No memory, or stopped. */
	if (e->code != GE_EREFUSED && e->sys == 0)
		rc = -1;
out:
	ge_checkpoint_release(&s.c);
	ge_free(s.buf);
	if (s.fd != -1)
		close(s.fd);
	return (rc);
}

/*
 * A run that was started anew beside what a longer one has left finds its own
 * checkpoints below the other's.
 */
int
ge_checkpoint_resume_at(const char *dir, uint64_t most, struct ge_train *t,
    const uint8_t ident[32], struct ge_progress *p, struct ge_err *e)
{
	struct ge_err other = { 0 };
	uint64_t *steps;
	size_t n, seen = 0;
	char *path;
	int rc = -1;

	if (list(dir, &steps, &n, e) == -1)
		goto out;
	for (rc = DAMAGED; (rc == DAMAGED || rc == OTHER) && n > 0; n--) {
		if (steps[n - 1] > most)
			continue;
		if (seen++ > 0)
			ge_note(GE_WARN, "%s; the one before is tried",
			    e->msg);
		if ((path = ge_checkpoint_path(dir, steps[n - 1], e)) == NULL)
			rc = -1;
		else
			rc = take(path, t, ident, p, e);
		ge_free(path);
		if (rc == OTHER && other.code == 0)
			other = *e;
	}
	if (seen > 0 && rc != -1 && rc != TAKEN) {
		if (other.code != 0)
			*e = other;
		rc = -1;
	}
out:
	ge_free(steps);
	return (rc);
}

int
ge_checkpoint_resume(const char *dir, struct ge_train *t,
    const uint8_t ident[32], struct ge_progress *p, struct ge_err *e)
{

	return (ge_checkpoint_resume_at(dir, UINT64_MAX, t, ident, p, e));
}

/* Another program. */

/* What main ignores is not ignored there. */
static int
start(pid_t *pid, const char *command, int fd)
{
	char sh[] = "sh", c[] = "-c";
	char *const argv[] = { sh, c, (char *)(uintptr_t)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t set;
	int sys;

	if ((sys = posix_spawn_file_actions_init(&files)) != 0)
		return (sys);
	if ((sys = posix_spawnattr_init(&how)) != 0) {
		posix_spawn_file_actions_destroy(&files);
		return (sys);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGXFSZ);
	posix_spawnattr_setsigdefault(&how, &set);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF);
	if ((sys = posix_spawn_file_actions_adddup2(&files, fd, 0)) == 0 &&
	    (sys = posix_spawn_file_actions_adddup2(&files, 2, 1)) == 0)
		sys = posix_spawn(pid, "/bin/sh", &files, &how, argv,
		    environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return (sys);
}

int
ge_checkpoint_pipe(const char *command, const char *path, struct ge_err *e)
{
	int fd, status, sys;
	pid_t pid, got;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (ge_failsys(e, "cannot open '%s'", path));
	sys = start(&pid, command, fd);
	close(fd);
	if (sys != 0) {
		errno = sys;
		return (ge_failsys(e, "cannot run '%.300s'", command));
	}
	while ((got = waitpid(pid, &status, 0)) == -1 && errno == EINTR)
		;
	if (got == -1)
		return (ge_failsys(e, "cannot wait for '%.300s'", command));
	if (WIFSIGNALED(status))
		return (ge_fail(e, GE_EFAIL, "'%.300s': ended by signal %d",
		    command, WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		return (ge_fail(e, GE_EFAIL, "'%.300s': status %d", command,
		    WEXITSTATUS(status)));
	return (0);
}
