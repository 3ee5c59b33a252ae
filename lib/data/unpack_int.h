#ifndef GE_UNPACK_INT_H
#define GE_UNPACK_INT_H

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stddef.h>
#include <stdint.h>

#include "data/docs.h"
#include "util/err.h"

enum {
	GE_FLOW_HEAD = 8192
};

/* What has come of a stream, against its caps. */
struct ge_flow_sums {
	const struct ge_docs_caps *caps;
	uint64_t packed, unpacked, entries;
};

/* Bytes that come: of a descriptor, or of the entry that an archive is at. */
struct ge_flow {
	struct ge_flow_sums *sums;
	int fd, pipe;			/* or -1: */
	int live;			/* peek stops behind a line of text */
	struct archive *a;
	const struct ge_err *why;	/* that could not be read */
	uint64_t begin, at;		/* in the file, of the entry */
	int ended, hole;		/* the entry: zeros left out */
	uint8_t *buf;			/* of the descriptor */
	uint8_t head[GE_FLOW_HEAD];	/* the first bytes, once peeked at: */
	size_t nhead;
	const uint8_t *next;		/* what has come and not been taken */
	size_t nnext;
	const uint8_t *rest;		/* what came behind the head */
	size_t nrest;
};

/*
 * ge_flow_open(f, sums, fd, e): of a descriptor; ge_flow_release: of what is zeroed as
 * well.
 *
 * ge_flow_peek(f, e): the first bytes into f->head, fewer only if there are no more, or
 * f->live is set and they are text with a whole line.  Once, before any is taken.
 *
 * ge_flow_text(s, len): does so long a head look as text does?  No archive and nothing
 * compressed does.
 *
 * ge_flow_pull(f, p, n, e): a block, borrowed until the next; *n = 0 at the end.
 * ge_flow_read(f, buf, len, got, e): fewer than len only at the end.
 * ge_flow_drain(f, e): to the end.
 *
 * Beyond a cap -1 with GE_EREFUSED.
 */
int ge_flow_open(struct ge_flow *f, struct ge_flow_sums *sums, int fd,
    struct ge_err *e);
void ge_flow_release(struct ge_flow *f);
int ge_flow_peek(struct ge_flow *f, struct ge_err *e);
int ge_flow_text(const uint8_t *s, size_t len);
int ge_flow_pull(struct ge_flow *f, const uint8_t **p, size_t *n,
    struct ge_err *e);
int ge_flow_read(struct ge_flow *f, uint8_t *buf, size_t len, size_t *got,
    struct ge_err *e);
int ge_flow_drain(struct ge_flow *f, struct ge_err *e);

/* An archive, in a flow. */
struct ge_unpack {
	struct ge_flow *from;
	struct archive *a;
	struct archive_entry *entry;
	struct ge_flow flow;		/* the entry's bytes */
	const char *name;
	locale_t utf8;			/* or 0 where there is none */
	int fd, spool;			/* for what must be sought in, or -1 */
	uint64_t begin, size, at;	/* in it */
	uint8_t *buf;
	uint64_t entries;		/* so far */
	struct ge_err why;		/* of a failed read */
};

/*
 * ge_unpack_open(u, from, e): from has been peeked at and is u's from here on;
 * ge_unpack_release: whether it was opened or not.
 * ge_unpack_next(u, e): 1 when u->flow is the next regular file, peeked at; 0 when
 * there is none.  What was left of the last is drained.
 * ge_unpack_raw(u): is it no archive, its one "file" what was compressed, if it was?
 * ge_unpack_name(u): of the file, borrowed until the next.
 */
int ge_unpack_open(struct ge_unpack *u, struct ge_flow *from,
    struct ge_err *e);
void ge_unpack_release(struct ge_unpack *u);
int ge_unpack_next(struct ge_unpack *u, struct ge_err *e);
int ge_unpack_raw(const struct ge_unpack *u);
const char *ge_unpack_name(const struct ge_unpack *u);

#endif
