#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frag/frag.h"
#include "frag/source_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"

/*
 * Files are noted first, a few bytes each, and opened again in order; then come
 * the archives, as they are.
 */
struct noted {
	size_t dir, name;		/* of its path, into f->text */
	uint32_t segment;
	uint8_t index, epoch;
	uint8_t manifest;
};

struct ge_feed {
	struct noted *noted;
	size_t nnoted, capnoted, at;
	char *text;			/* names of folders and of files in them */
	size_t len, cap;
	size_t dir;			/* the folder noted last */
	struct ge_inputs in;
	uint64_t unread;

	/* The item at hand. */
	struct ge_room hdr;		/* or a manifest of an archive */
	size_t share, sharelen;		/* in it */
	uint8_t *man;			/* a manifest from a file */
	char *path;			/* of a file */
	int fd;				/* of a fragment's file, or -1 */
	int inarchive;
	uint64_t next, end;		/* of its payload: read so far, in all */
};

static int
lost(void *arg, const char *path, struct ge_err *e)
{
	struct ge_feed *f = arg;

	ge_note(GE_WARN, "'%s': %s", path, e->sys != 0 ? strerror(e->sys) :
	    "cannot be read");
	f->unread++;
	return (0);
}

static void
stray(const char *where, const struct ge_err *why)
{

	ge_note(GE_WARN, "'%s': %s", where, why->msg);
}

/* Keep len bytes of s and a NUL; where they are. */
static int
keep(struct ge_feed *f, const char *s, size_t len, size_t *at, struct ge_err *e)
{

	if (ge_grow(&f->text, &f->cap, f->len + len + 1, 1, e) == -1)
		return (-1);
	*at = f->len;
	memcpy(f->text + f->len, s, len);
	f->text[f->len + len] = '\0';
	f->len += len + 1;
	return (0);
}

static int
note_path(struct ge_feed *f, struct noted *n, const char *path,
    struct ge_err *e)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash + 1 - path);

	/* Those of a folder come one after the other. */
	if ((f->len == 0 || strlen(f->text + f->dir) != len ||
	    memcmp(f->text + f->dir, path, len) != 0) &&
	    keep(f, path, len, &f->dir, e) == -1)
		return (-1);
	n->dir = f->dir;
	return (keep(f, path + len, strlen(path + len), &n->name, e));
}

static int
note_file(struct ge_feed *f, const char *path, int named, struct ge_err *e)
{
	struct noted n = { 0 };
	struct ge_hdr h;
	uint64_t size;
	size_t got;
	int fd, rc = -1;

	switch (ge_file_probe(path, &f->hdr, &got, &fd, &size, e)) {
	case -1:
		rc = e->sys != 0 ? lost(f, path, e) : -1;
		goto out;
	case GE_KIND_OTHER:
		if (!named)
			ge_note(GE_DETAIL, "'%s': ignored", path);
		rc = named ? ge_inputs_add(&f->in, path, 0, e) : 0;
		goto out;
	case GE_KIND_MANIFEST:
		n.manifest = 1;
		break;
	default:
		if (ge_hdr_peek(&h, f->hdr.buf, got, e) == -1) {
			stray(path, e);
			rc = 0;
			goto out;
		}
		n.segment = h.segment;
		n.index = (uint8_t)h.index;
		n.epoch = (uint8_t)h.epoch;
	}
	if (ge_grow(&f->noted, &f->capnoted, f->nnoted + 1, sizeof(*f->noted),
	    e) == -1 || note_path(f, &n, path, e) == -1)
		goto out;
	f->noted[f->nnoted++] = n;
	rc = 0;
out:
	if (fd != -1)
		close(fd);
	return (rc);
}

static int
walked(void *arg, const char *path, struct ge_err *e)
{

	return (note_file(arg, path, 0, e));
}

/* Manifests last; what is alike as it was found. */
static int
by_place(const void *va, const void *vb)
{
	const struct noted *a = va, *b = vb;

	if (a->manifest != b->manifest)
		return (a->manifest < b->manifest ? -1 : 1);
	if (a->segment != b->segment)
		return (a->segment < b->segment ? -1 : 1);
	if (a->index != b->index)
		return (a->index < b->index ? -1 : 1);
	if (a->epoch != b->epoch)
		return (a->epoch < b->epoch ? -1 : 1);
	return (a->name < b->name ? -1 : a->name > b->name);
}

/* 1; 0 if there is no such thing; -1. */
static int
operand(struct ge_feed *f, const char *path, struct ge_err *e)
{
	const struct ge_walk walk = { walked, lost, f };
	struct stat st;

	if (strcmp(path, "-") == 0)
		return (ge_inputs_add(&f->in, path, 0, e) == -1 ? -1 : 1);
	if (stat(path, &st) == -1) {
		ge_failsys(e, "'%s'", path);
		return (0);
	}
	if (S_ISDIR(st.st_mode))
		return (ge_walk(&walk, path, e) == -1 ? -1 : 1);
	return (note_file(f, path, 1, e) == -1 ? -1 : 1);
}

struct ge_feed *
ge_feed_open(const char *const *path, size_t n, struct ge_err *e)
{
	struct ge_feed *f;
	size_t i, usable = 0;
	int rc;

	if ((f = ge_alloc(sizeof(*f), e)) == NULL)
		return (NULL);
	f->in = (struct ge_inputs)GE_INPUTS_NONE;
	f->in.sole = n <= 1;
	f->fd = -1;
	if (n == 0 && operand(f, "-", e) == -1)
		goto fail;
	for (i = 0; i < n; i++) {
		if ((rc = operand(f, path[i], e)) == -1)
			goto fail;
		usable += (size_t)rc;
		/* If there is nothing at all the last is the one that is told. */
		if (rc == 0 && (usable > 0 || i + 1 < n))
			(void)lost(f, path[i], e);
	}
	/* e is of the last. */
	if (n > 0 && usable == 0) {
		e->code = GE_EUSAGE;
		goto fail;
	}
	if (f->nnoted > 0)
		qsort(f->noted, f->nnoted, sizeof(*f->noted), by_place);
	return (f);
fail:
	ge_feed_close(f);
	return (NULL);
}

/* Let go of the item at hand. */
static void
done(struct ge_feed *f)
{

	if (f->sharelen > 0)
		ge_wipe(f->hdr.buf + f->share, f->sharelen);
	f->sharelen = 0;
	ge_free(f->man);
	ge_free(f->path);
	if (f->fd != -1)
		close(f->fd);
	f->man = NULL;
	f->path = NULL;
	f->fd = -1;
	f->next = f->end = 0;
	f->inarchive = 0;
}

/* The next file: 1, 0 if it is not what it was, -1. */
static int
next_file(struct ge_feed *f, struct ge_item *it, struct ge_err *e)
{
	const struct noted *n = &f->noted[f->at];
	const char *dir = f->text + n->dir, *name = f->text + n->name;
	size_t got, len = strlen(dir) + strlen(name);
	int rc;

	if ((f->path = ge_alloc(len + 1, e)) == NULL)
		return (-1);
	memcpy(f->path, dir, strlen(dir));
	memcpy(f->path + strlen(dir), name, strlen(name));
	it->where = f->path;
	switch (ge_file_probe(f->path, &f->hdr, &got, &f->fd, &it->size, e)) {
	case GE_KIND_FRAGMENT:
		rc = ge_file_header(f->fd, got, &it->h, &f->hdr, 0, e);
		if (rc == 0)
			stray(f->path, e);
		it->manifest = 0;
		it->hdr = f->hdr.buf;
		break;
	case GE_KIND_MANIFEST:
		rc = ge_slurp(f->path, GE_MANIFEST_MAX, &f->man, &got, e) ==
		    0 ? 1 : -1;
		if (rc == -1 && e->sys == 0 && e->code == GE_EUSAGE) {
			stray(f->path, e);
			rc = 0;
		}
		it->manifest = 1;
		it->text = f->man;
		it->size = got;
		break;
	case -1:
		rc = -1;
		break;
	default:
		ge_note(GE_WARN, "'%s': changed while it was read", f->path);
		rc = 0;
	}
	return (rc == -1 && e->sys != 0 ? lost(f, f->path, e) : rc);
}

/* What the next entry of an archive is: 1, 0 if nothing of ours, -1. */
static int
next_entry(struct ge_feed *f, struct ge_item *it, struct ge_err *e)
{
	size_t got;

	it->where = f->in.input[f->in.at].what;
	switch (ge_entry_header(f->in.untar, &it->h, &f->hdr, &got, e)) {
	case GE_KIND_FRAGMENT:
		it->manifest = 0;
		it->hdr = f->hdr.buf;
		it->size = it->h.fraglen;
		(void)ge_untar_size(f->in.untar, &it->size);
		f->inarchive = 1;
		return (1);
	case GE_KIND_MANIFEST:
		if (ge_entry_manifest(f->in.untar, &f->hdr, &got, e) == -1)
			return (-1);
		if (got > GE_MANIFEST_MAX) {
			ge_note(GE_WARN, "'%s': manifest too long", it->where);
			return (0);
		}
		it->manifest = 1;
		it->text = f->hdr.buf;
		it->size = got;
		return (1);
	case GE_KIND_STRAY:
		stray(it->where, e);
		/* FALLTHROUGH */
	case GE_KIND_OTHER:
		return (0);
	}
	return (-1);
}

int
ge_feed_next(struct ge_feed *f, struct ge_item *it, struct ge_err *e)
{
	int rc;

	do {
		done(f);
		memset(it, 0, sizeof(*it));
		if (ge_hook_tick(0, e) == -1)
			return (-1);
		if (f->at < f->nnoted) {
			rc = next_file(f, it, e);
			f->at++;
		} else if ((rc = ge_inputs_next(&f->in, e)) == 1) {
			rc = next_entry(f, it, e);
		} else {
			return (rc);
		}
	} while (rc == 0);
	if (rc == 1 && !it->manifest) {
		f->share = it->h.share;
		f->sharelen = it->h.len - it->h.share;
		f->next = it->h.len;
		f->end = it->h.fraglen;
	}
	return (rc);
}

int
ge_feed_read(struct ge_feed *f, void *buf, size_t len, size_t *got,
    struct ge_err *e)
{

	if (len > f->end - f->next)
		len = (size_t)(f->end - f->next);
	*got = 0;
	if (f->inarchive) {
		if (ge_untar_read(f->in.untar, buf, len, got, e) == -1)
			return (-1);
	} else if (f->fd != -1) {
		if (ge_pread(f->fd, buf, len, f->next, got, e) == -1)
			return (ge_within(e, "'%s'", f->path));
	}
	f->next += *got;
	return (0);
}

uint64_t
ge_feed_unread(const struct ge_feed *f)
{

	return (f->unread);
}

uint64_t
ge_feed_foreign(const struct ge_feed *f)
{

	return (f->in.foreign);
}

int
ge_feed_cut(const struct ge_feed *f)
{

	return (f->in.cut);
}

void
ge_feed_close(struct ge_feed *f)
{

	if (f == NULL)
		return;
	done(f);
	ge_room_release(&f->hdr);
	ge_inputs_release(&f->in);
	ge_free(f->noted);
	ge_free(f->text);
	ge_free(f);
}
