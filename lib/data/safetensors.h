#ifndef GE_SAFETENSORS_H
#define GE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "data/outdir.h"
#include "util/err.h"

/*
 * The safetensors format: eight bytes of length, so much JSON, and the tensors, row
 * after row, little-endian.  https://github.com/huggingface/safetensors
 */
enum ge_dtype {
	GE_DTYPE_F32, GE_DTYPE_F16, GE_DTYPE_BF16, GE_DTYPE_OTHER
};

enum {
	GE_ST_DIMS = 8,
	GE_ST_HEADER_MAX = 100 << 20
};

struct ge_st_tensor {
	char *name;
	enum ge_dtype dtype;
	int ndims;
	uint64_t dim[GE_ST_DIMS];
	uint64_t off, len;		/* bytes behind the header */
};

struct ge_st {
	struct ge_st_tensor *tensor;	/* by off */
	size_t ntensors;
	uint64_t header;		/* bytes of length and JSON */
	char *meta;			/* "format" of __metadata__, or NULL */
};

/*
 * ge_st_parse(st, buf, len, total, e):
 * The first len bytes of a file of total bytes; they must hold the header.  Tensors
 * must cover all that is behind it, without gaps or overlaps.  0; -1 GE_EREFUSED.
 * ge_st_release: of what is zeroed as well.
 *
 * ge_st_find(st, name): NULL if there is none.
 */
int ge_st_parse(struct ge_st *st, const uint8_t *buf, size_t len,
    uint64_t total, struct ge_err *e);
void ge_st_release(struct ge_st *st);
const struct ge_st_tensor *ge_st_find(const struct ge_st *st,
    const char *name);

/*
 * ge_st_header(st, head, len, e):
 * The header of tensors in their order, off set from len: *head of *len bytes, a
 * multiple of 8; ge_free it.
 */
int ge_st_header(struct ge_st *st, uint8_t **head, size_t *len,
    struct ge_err *e);

/*
 * ge_st_size(dtype): bytes of a number; dtype not OTHER, here and below.
 *
 * ge_st_floats(dst, src, n, dtype): n numbers as float.
 *
 * ge_st_bytes(dst, src, n, dtype):
 * The nearest of that type, of two the even one.  0; -1 if one is no number or
 * infinite, or too large for the type.
 */
size_t ge_st_size(enum ge_dtype dtype);
void ge_st_floats(float *dst, const uint8_t *src, size_t n,
    enum ge_dtype dtype);
int ge_st_bytes(uint8_t *dst, const float *src, size_t n, enum ge_dtype dtype);

/*
 * ge_st_write(st, data, out, name, e):
 * A file of tensors in their order, off and len set from dtype and dim; data
 * [ntensors]: the numbers of each.  GE_EREFUSED if there is one that is none.
 */
int ge_st_write(struct ge_st *st, const float *const *data,
    struct ge_outdir *out, const char *name, struct ge_err *e);

#endif
