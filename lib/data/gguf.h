#ifndef GE_GGUF_H
#define GE_GGUF_H

#include <stddef.h>
#include <stdint.h>

#include "data/outdir.h"
#include "data/safetensors.h"
#include "util/err.h"

/*
 * GGUF, version 3, as llama.cpp reads it: keys with values, a table of tensors,
 * and their numbers, each tensor from a multiple of 32 bytes on.  Only written.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
struct ge_gguf {
	uint8_t *key, *table;		/* as they are in the file */
	size_t nkey, capkey, ntable, captable;
	uint64_t keys, tensors;
	uint64_t at;			/* bytes of the tensors so far */
};

/*
 * A zeroed struct is one without keys; release it whatever happens.  Keys and
 * names are this program's own.  Each returns 0, or -1 without memory.
 *
 * ge_gguf_strings(g, key, n, e): n of ge_gguf_item follow.
 */
int ge_gguf_u32(struct ge_gguf *g, const char *key, uint64_t v,
    struct ge_err *e);
int ge_gguf_f32(struct ge_gguf *g, const char *key, float v, struct ge_err *e);
int ge_gguf_bool(struct ge_gguf *g, const char *key, int v, struct ge_err *e);
int ge_gguf_string(struct ge_gguf *g, const char *key, const char *s,
    struct ge_err *e);
int ge_gguf_numbers(struct ge_gguf *g, const char *key, const int32_t *v,
    size_t n, struct ge_err *e);
int ge_gguf_strings(struct ge_gguf *g, const char *key, size_t n,
    struct ge_err *e);
int ge_gguf_item(struct ge_gguf *g, const char *s, struct ge_err *e);
void ge_gguf_release(struct ge_gguf *g);

/*
 * ge_gguf_tensor(g, name, rows, cols, dtype, e): one more; cols 0: a vector.
 *
 * ge_gguf_begin(g, out, name, e): the file, up to the first tensor.
 *
 * ge_gguf_write(g, out, v, n, dtype, e): numbers of a tensor, then others.
 * ge_gguf_pad(g, out, e): behind the last of each.
 *
 * -1: GE_EREFUSED if a number is none or too large for its type.
 */
int ge_gguf_tensor(struct ge_gguf *g, const char *name, size_t rows,
    size_t cols, enum ge_dtype dtype, struct ge_err *e);
int ge_gguf_begin(struct ge_gguf *g, struct ge_outdir *out, const char *name,
    struct ge_err *e);
int ge_gguf_write(struct ge_gguf *g, struct ge_outdir *out, const float *v,
    size_t n, enum ge_dtype dtype, struct ge_err *e);
int ge_gguf_pad(struct ge_gguf *g, struct ge_outdir *out, struct ge_err *e);

#endif
