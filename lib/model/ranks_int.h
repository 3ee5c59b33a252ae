#ifndef GE_RANKS_INT_H
#define GE_RANKS_INT_H

#include <stddef.h>

#include "util/err.h"

enum {
	GE_MESSAGE = 4 << 20		/* bytes at most */
};

/* What carries messages between ranks. */
struct ge_transport {
	const char *name;
	int (*begin)(int *rank, int *size, struct ge_err *e);
	void (*end)(void);
	void (*stop)(int status);
	/*
	 * A message to peer and one from it, either of which may be empty and then
	 * is none, on their way in slot 0 or 1 until wait.
	 */
	int (*start)(int slot, int peer, const void *out, size_t outlen,
	    void *in, size_t inlen, struct ge_err *e);
	int (*wait)(int slot, struct ge_err *e);
};

/* ge_transport(): NULL if this was built without any. */
const struct ge_transport *ge_transport(void);

#endif
