#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frag/frag.h"
#include "frag/source_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"

enum {
	DEPTH_MAX = 32
};

static int
by_name(const void *a, const void *b)
{

	return (strcmp(*(char *const *)a, *(char *const *)b));
}

static int walk(const struct ge_walk *w, const char *path, int depth,
    struct ge_err *e);

/*
 * Names that a walk passes over: what a repair has set aside (NAME.bad, NAME.bad1,
 * ...), and what a killed program may have left where files cannot be nameless
 * (.NAME.PID-N.tmp).  Named by the user they are read like any file.
 */
static int
set_aside(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (dot == NULL)
		return (0);
	if (strncmp(dot, ".bad", 4) == 0)
		return (dot[4 + strspn(dot + 4, "0123456789")] == '\0');
	return (name[0] == '.' && strcmp(dot, ".tmp") == 0);
}

static int
walk_entry(const struct ge_walk *w, const char *dir, const char *name,
    int depth, struct ge_err *e)
{
	struct stat st, at;
	char *path;
	int rc = 0;

	if (set_aside(name))
		return (0);
	if ((path = ge_path_join(dir, name, e)) == NULL)
		return (-1);
	if (lstat(path, &st) == -1 || stat(path, &at) == -1) {
		/* A dangling link, or gone since the folder was read. */
		if (errno != ENOENT) {
			ge_failsys(e, "cannot open");
			rc = w->lost(w->arg, path, e);
		}
	} else if (S_ISDIR(st.st_mode) || (S_ISDIR(at.st_mode) && depth == 0 &&
	    strspn(name, "0123456789abcdef") == 2 * GE_SETID &&
	    name[2 * GE_SETID] == '\0')) {
		/* A link is followed where a repair would write through it. */
		rc = walk(w, path, depth + 1, e);
	} else if (S_ISREG(at.st_mode)) {
		rc = w->file(w->arg, path, e);
	}
	ge_free(path);
	return (rc);
}

/* In the order of names, so that two runs see the same. */
static int
walk(const struct ge_walk *w, const char *path, int depth, struct ge_err *e)
{
	struct dirent *d;
	char **name = NULL;
	size_t n = 0, cap = 0, i;
	DIR *dir;
	int rc = -1;

	if (depth > DEPTH_MAX) {
		ge_note(GE_WARN, "'%s': too deep, not looked into", path);
		return (0);
	}
	if ((dir = opendir(path)) == NULL) {
		const char *base = strrchr(path, '/');

		/* Every file system has one, and it is root's. */
		if (base != NULL && strcmp(base, "/lost+found") == 0)
			return (0);
		ge_failsys(e, "cannot open");
		return (w->lost(w->arg, path, e));
	}
	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (ge_grow(&name, &cap, n + 1, sizeof(*name), e) == -1 ||
		    (name[n] = ge_strdup(d->d_name, e)) == NULL)
			goto out;
		n++;
	}
	if (errno != 0) {
		ge_failsys(e, "cannot read");
		if (w->lost(w->arg, path, e) == -1)
			goto out;
	}
	if (n > 0)
		qsort(name, n, sizeof(*name), by_name);
	for (i = 0; i < n; i++)
		if (walk_entry(w, path, name[i], depth, e) == -1 ||
		    ge_hook_tick(0, e) == -1)
			goto out;
	rc = 0;
out:
	for (i = 0; i < n; i++)
		ge_free(name[i]);
	ge_free(name);
	closedir(dir);
	return (rc);
}

int
ge_walk(const struct ge_walk *w, const char *dir, struct ge_err *e)
{

	return (walk(w, dir, 0, e));
}

int
ge_room_make(struct ge_room *r, size_t len, struct ge_err *e)
{
	uint8_t *bigger;

	if (len <= r->cap)
		return (0);
	if ((bigger = ge_alloc(2 * len, e)) == NULL)
		return (-1);
	if (r->buf != NULL)
		memcpy(bigger, r->buf, r->cap);
	ge_room_release(r);
	r->buf = bigger;
	r->cap = 2 * len;
	return (0);
}

void
ge_room_release(struct ge_room *r)
{

	if (r->buf != NULL)
		ge_wipe(r->buf, r->cap);
	ge_free(r->buf);
	r->buf = NULL;
	r->cap = 0;
}

static enum ge_kind
kind(const uint8_t *buf, size_t len)
{

	if (len >= 16 && memcmp(buf, "gefrag-manifest ", 16) == 0)
		return (GE_KIND_MANIFEST);
	if (len >= 8 && memcmp(buf, "GEFRAG1\n", 8) == 0)
		return (GE_KIND_FRAGMENT);
	return (GE_KIND_OTHER);
}

int
ge_file_probe(const char *path, struct ge_room *r, size_t *got, int *fd,
    uint64_t *size, struct ge_err *e)
{
	struct stat st;

	*got = 0;
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd == -1 || fstat(*fd, &st) == -1)
		return (ge_failsys(e, "cannot open"));
	*size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode))
		return (GE_KIND_OTHER);
	if (ge_room_make(r, GE_HDR_FIXED, e) == -1 ||
	    ge_pread(*fd, r->buf, GE_HDR_FIXED, 0, got, e) == -1)
		return (-1);
	return ((int)kind(r->buf, *got));
}

int
ge_file_header(int fd, size_t got, struct ge_hdr *h, struct ge_room *r,
    int noshare, struct ge_err *e)
{
	size_t want, more;
	int rc;

	if (ge_hdr_peek(h, r->buf, got, e) == -1)
		return (0);
	want = noshare ? h->share : h->len;
	if (ge_room_make(r, h->len, e) == -1)
		return (-1);
	rc = ge_pread(fd, r->buf + got, want - got, got, &more, e);
	if (rc == 0)
		rc = ge_hdr_parse(h, r->buf, got + more, noshare, e) == 0;
	if (rc != 1)
		ge_wipe(r->buf + h->share, h->len - h->share);
	return (rc);
}

int
ge_entry_header(struct ge_untar *u, struct ge_hdr *h, struct ge_room *r,
    size_t *got, struct ge_err *e)
{
	enum ge_kind what;
	size_t more;

	if (ge_room_make(r, GE_HDR_FIXED, e) == -1 ||
	    ge_untar_read(u, r->buf, GE_HDR_FIXED, got, e) == -1)
		return (-1);
	if ((what = kind(r->buf, *got)) != GE_KIND_FRAGMENT)
		return ((int)what);
	if (ge_hdr_peek(h, r->buf, *got, e) == -1)
		return (GE_KIND_STRAY);
	if (ge_room_make(r, h->len, e) == -1 ||
	    ge_untar_read(u, r->buf + *got, h->len - *got, &more, e) == -1)
		return (-1);
	*got += more;
	if (ge_hdr_parse(h, r->buf, *got, 0, e) == 0)
		return (GE_KIND_FRAGMENT);
	ge_wipe(r->buf + h->share, h->len - h->share);
	return (GE_KIND_STRAY);
}

int
ge_entry_manifest(struct ge_untar *u, struct ge_room *r, size_t *got,
    struct ge_err *e)
{
	const size_t step = 65536;
	size_t more;

	do {
		if (ge_room_make(r, *got + step, e) == -1 ||
		    ge_untar_read(u, r->buf + *got, step, &more, e) == -1)
			return (-1);
		*got += more;
	} while (more == step && *got <= GE_MANIFEST_MAX);
	return (0);
}

int
ge_inputs_add(struct ge_inputs *in, const char *path, int site,
    struct ge_err *e)
{
	struct ge_input *new;

	if (ge_grow(&in->input, &in->cap, in->n + 1, sizeof(*in->input), e) ==
	    -1)
		return (-1);
	new = &in->input[in->n];
	if ((new->path = ge_strdup(path, e)) == NULL)
		return (-1);
	new->what = strcmp(path, "-") == 0 ? "standard input" : new->path;
	new->site = site;
	in->n++;
	return (0);
}

static void
input_close(struct ge_inputs *in)
{

	ge_untar_close(in->untar);
	in->untar = NULL;
	if (in->fd > 0)
		close(in->fd);
	in->fd = -1;
}

int
ge_inputs_next(struct ge_inputs *in, struct ge_err *e)
{
	const struct ge_input *now;
	int rc;

	for (; in->at < in->n; in->at++) {
		now = &in->input[in->at];
		if (in->untar == NULL) {
			if (strcmp(now->path, "-") == 0) {
				in->fd = 0;
			} else if ((in->fd = open(now->path,
			    O_RDONLY | O_CLOEXEC | O_NOCTTY)) == -1) {
				ge_failsys(e, "cannot open '%s'", now->path);
				return (-1);
			}
			in->untar = ge_untar_open(in->fd, now->what, e);
			if (in->untar == NULL)
				return (-1);
		}
		if ((rc = ge_untar_next(in->untar, e)) != 0)
			return (rc);
		if (ge_untar_foreign(in->untar)) {
			in->foreign++;
			if (!in->sole)
				ge_note(GE_WARN, "'%s': neither a fragment nor "
				    "an archive", now->what);
		} else {
			in->cut |= ge_untar_cut(in->untar);
		}
		input_close(in);
	}
	return (0);
}

void
ge_inputs_release(struct ge_inputs *in)
{
	size_t i;

	input_close(in);
	for (i = 0; i < in->n; i++)
		ge_free(in->input[i].path);
	ge_free(in->input);
}
