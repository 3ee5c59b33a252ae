#ifndef GE_SOURCE_INT_H
#define GE_SOURCE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "frag/frag.h"
#include "frag/stream_int.h"

/*
 * Where fragments come from: folders are walked, files told apart by how they
 * begin, archives read one after the other.
 */
enum ge_kind {
	GE_KIND_OTHER, GE_KIND_MANIFEST, GE_KIND_FRAGMENT,
	GE_KIND_STRAY		/* begins as a fragment, and is none */
};

/*
 * ge_walk(w, dir, e):
 * Call w->file for every regular file below a folder, in the order of names, and
 * w->lost, with the reason in e, for what cannot be read.  Passed over is what
 * a repair has set aside and what a killed program has left.  0, or -1 if a call
 * or the hook said so, or without memory.
 */
struct ge_walk {
	int (*file)(void *arg, const char *path, struct ge_err *e);
	int (*lost)(void *arg, const char *path, struct ge_err *e);
	void *arg;
};
int ge_walk(const struct ge_walk *w, const char *dir, struct ge_err *e);

/* Room for a header, which may hold a share: no copy of it is left behind. */
struct ge_room {
	uint8_t *buf;
	size_t cap;
};
int ge_room_make(struct ge_room *r, size_t len, struct ge_err *e);
void ge_room_release(struct ge_room *r);

/*
 * ge_file_probe(path, r, got, fd, size, e):
 * Open a file and read its first 64 bytes into r; *got says how many there are.
 * What is no regular file is not read, and OTHER.  The caller closes *fd if it is
 * not -1.  The kind (never STRAY), or -1: without memory or, if e->sys is set,
 * because it cannot be read.
 */
int ge_file_probe(const char *path, struct ge_room *r, size_t *got, int *fd,
    uint64_t *size, struct ge_err *e);

/*
 * ge_file_header(fd, got, h, r, noshare, e):
 * The rest of the header of a fragment, and its check.  1; 0: stray, e says why;
 * -1 as above.  The share in r, at h->share, is the caller's to wipe.
 */
int ge_file_header(int fd, size_t got, struct ge_hdr *h, struct ge_room *r,
    int noshare, struct ge_err *e);

/*
 * ge_entry_header(u, h, r, got, e):
 * The same of an entry of an archive: its kind; of a fragment the whole header is
 * at r, else *got bytes.  -1: reading failed, or no memory.
 *
 * ge_entry_manifest(u, r, got, e):
 * The rest of a manifest behind the *got bytes at r; of one that is too long a
 * little more than GE_MANIFEST_MAX.
 */
int ge_entry_header(struct ge_untar *u, struct ge_hdr *h, struct ge_room *r,
    size_t *got, struct ge_err *e);
int ge_entry_manifest(struct ge_untar *u, struct ge_room *r, size_t *got,
    struct ge_err *e);

/*
 * Archives still to be read.
 */
struct ge_input {
	char *path;			/* "-": standard input */
	const char *what;		/* for messages */
	int site;
};

struct ge_inputs {
	struct ge_input *input;
	size_t n, cap, at;		/* at: the one being read */
	struct ge_untar *untar;
	int fd, cut;			/* cut: one ended early */
	int sole;			/* what is foreign the caller tells of */
	uint64_t foreign;		/* how many were nothing of ours */
};
#define GE_INPUTS_NONE { NULL, 0, 0, 0, NULL, -1, 0, 0, 0 }

/*
 * ge_inputs_add(in, path, site, e): one more.
 * ge_inputs_next(in, e): go to the next entry, of in->untar, in
 * in->input[in->at].  1, 0 when there is no more, -1.
 */
int ge_inputs_add(struct ge_inputs *in, const char *path, int site,
    struct ge_err *e);
int ge_inputs_next(struct ge_inputs *in, struct ge_err *e);
void ge_inputs_release(struct ge_inputs *in);

#endif
