#ifndef GE_OUTDIR_H
#define GE_OUTDIR_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Where a model goes: a folder that appears whole or not at all, or a tar on a
 * descriptor, of the same bytes for the same files.
 */
struct ge_outdir;

/*
 * ge_outdir_new(path, fd, force, e):
 * The folder path, made under a hidden name beside it; with path NULL a tar of
 * "model/..." on fd, which is borrowed.  What exists is GE_EUSAGE; with force a
 * folder of plain files is replaced if a model is known by one of them (config.json,
 * adapter_config.json, monitor.safetensors, model.json), or there are none.
 *
 * ge_outdir_begin(o, name, size, e): the next file, of size bytes.
 * ge_outdir_write(o, buf, len, e): some of them.
 * ge_outdir_file(o, name, buf, len, e): all of it at once.
 *
 * ge_outdir_commit(o, e):
 * All files are there and safe: give the folder its name.  At each moment there
 * is the old folder or the new one, where the system can exchange them.
 *
 * ge_outdir_free(o): gone if not committed; a tar has no end then.
 */
struct ge_outdir *ge_outdir_new(const char *path, int fd, int force,
    struct ge_err *e);
int ge_outdir_begin(struct ge_outdir *o, const char *name, uint64_t size,
    struct ge_err *e);
int ge_outdir_write(struct ge_outdir *o, const void *buf, size_t len,
    struct ge_err *e);
int ge_outdir_file(struct ge_outdir *o, const char *name, const void *buf,
    size_t len, struct ge_err *e);
int ge_outdir_commit(struct ge_outdir *o, struct ge_err *e);
void ge_outdir_free(struct ge_outdir *o);

#endif
