#ifndef GE_CHECKPOINT_H
#define GE_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "data/safetensors.h"
#include "model/train.h"
#include "util/err.h"

/*
 * The state of a training in a file, from which the same bytes of weights come
 * as if it had never stopped.  DIR/checkpoint-00000500.safetensors holds theta,
 * m and v, with DiLoCo outer and outer_m, in f32; in __metadata__ are
 *
 *	format		getools
 *	sha256		of the file with these 64 digits as '0'; comes first
 *	ident		what tells data and options apart, 64 hex digits
 *	step steps tokens
 *			whole numbers
 *	seconds joules loss val b1t b2t
 *			as C's %a writes them, exact
 */
struct ge_progress {
	uint64_t step, steps;		/* done; of how many */
	uint64_t tokens;
	double seconds, joules;
	double loss, val;
};

/*
 * ge_checkpoint_write(dir, t, ident, p, e):
 * Write one, named after t->step; dir is made, and is of one training.  It
 * appears whole and durable or not at all; then all older ones but the last are
 * removed.  What a killed process has left goes first.  The hook does not stop
 * it.  With ranks: after ge_train_whole, on rank 0; with DiLoCo each its own
 * folder.  0, -1 GE_EFAIL.
 *
 * ge_checkpoint_path(dir, step, e): its name; ge_free it.
 */
int ge_checkpoint_write(const char *dir, const struct ge_train *t,
    const uint8_t ident[32], const struct ge_progress *p, struct ge_err *e);
char *ge_checkpoint_path(const char *dir, uint64_t step, struct ge_err *e);

/*
 * Before a training that begins anew: what another one has left would be taken for its
 * own later.
 *
 * ge_checkpoint_any(dir, e): 1 if there are checkpoints, 0, -1.
 * ge_checkpoint_clear(dir, e): no more.  0, -1.
 */
int ge_checkpoint_any(const char *dir, struct ge_err *e);
int ge_checkpoint_clear(const char *dir, struct ge_err *e);

/*
 * ge_checkpoint_resume(dir, t, ident, p, e):
 * Take up the newest of this ident that is whole: 1, and the caller calls
 * ge_train_changed, on all ranks; 0 if dir has none at all.  Others are passed
 * over with a warning.  -1: GE_EREFUSED if there are only others; t is then
 * unspecified.
 *
 * ge_checkpoint_resume_at(dir, most, ...): the newest of at most so many steps.
 */
int ge_checkpoint_resume(const char *dir, struct ge_train *t,
    const uint8_t ident[32], struct ge_progress *p, struct ge_err *e);
int ge_checkpoint_resume_at(const char *dir, uint64_t most,
    struct ge_train *t, const uint8_t ident[32], struct ge_progress *p,
    struct ge_err *e);

/*
 * ge_checkpoint_pipe(command, path, e):
 * Run command with sh, the file its standard input, its standard output where
 * standard error goes, and wait for it.  0; -1 GE_EFAIL unless its status is 0.
 */
int ge_checkpoint_pipe(const char *command, const char *path,
    struct ge_err *e);

/* What stands in front of the tensors. */
struct ge_checkpoint {
	struct ge_st st;
	struct ge_progress progress;
	double b1t, b2t;
	uint8_t ident[32], digest[32];
};

enum {
	GE_CHECKPOINT_DIGEST = 54,	/* where its digits are in the file */
	GE_CHECKPOINT_HEADER_MAX = 1 << 16
};

/*
 * ge_checkpoint_parse(c, buf, len, total, e): as ge_st_parse; untrusted.  0; -1
 * GE_EREFUSED.  ge_checkpoint_release: of what is zeroed as well.
 */
int ge_checkpoint_parse(struct ge_checkpoint *c, const uint8_t *buf,
    size_t len, uint64_t total, struct ge_err *e);
void ge_checkpoint_release(struct ge_checkpoint *c);

#endif
