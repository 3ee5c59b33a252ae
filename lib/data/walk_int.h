#ifndef GE_WALK_INT_H
#define GE_WALK_INT_H

#include "data/unpack_int.h"

/*
 * The texts of a stream, one after the other: it is one, or an archive of such, or
 * compressed, nested once.  Nothing is extracted; what is no regular file is passed
 * over, as are, with a note, entries that are not wanted.
 */
enum ge_walk_told {
	GE_WALK_NOT,			/* the error does not say where */
	GE_WALK_NAMED,			/* it names its text: what that is in is added */
	GE_WALK_STOPPED			/* nothing is to be added */
};

struct ge_walk {
	struct ge_flow_sums sums;	/* its caps: the caller's */
	const char *a, *none;		/* "text", "no text": of messages */
	int live;			/* of a pipe: take what comes at once */
	/* A text, peeked at; a failure may set told. */
	int (*read)(void *arg, struct ge_flow *f, const char *name,
	    struct ge_err *e);
	/* May this be one, though it does not look so? */
	int (*perhaps)(const struct ge_flow *f);
	/* Is an entry of an archive to be read?  NULL: all are. */
	int (*wanted)(const char *name);
	void *arg;
	enum ge_walk_told told;
	/* private */
	uint64_t given, passed;
	char first[256];		/* entry that was passed over */
};

/*
 * ge_walk_read(w, fd, name, e): fd to its end.  0; -1 GE_EUSAGE if there is no text,
 * GE_EREFUSED of what is neither, of a damaged archive, beyond a cap.
 */
int ge_walk_read(struct ge_walk *w, int fd, const char *name,
    struct ge_err *e);

#endif
