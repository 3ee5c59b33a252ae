#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "data/safetensors.h"
#include "util/mem.h"
#include "util/num.h"

static const struct {
	const char *name;
	enum ge_dtype dtype;
	int bytes;
} dtypes[] = {
	{ "F32", GE_DTYPE_F32, 4 }, { "F16", GE_DTYPE_F16, 2 },
	{ "BF16", GE_DTYPE_BF16, 2 }, { "F64", GE_DTYPE_OTHER, 8 },
	{ "I64", GE_DTYPE_OTHER, 8 }, { "U64", GE_DTYPE_OTHER, 8 },
	{ "I32", GE_DTYPE_OTHER, 4 }, { "U32", GE_DTYPE_OTHER, 4 },
	{ "I16", GE_DTYPE_OTHER, 2 }, { "U16", GE_DTYPE_OTHER, 2 },
	{ "I8", GE_DTYPE_OTHER, 1 }, { "U8", GE_DTYPE_OTHER, 1 },
	{ "BOOL", GE_DTYPE_OTHER, 1 }, { "F8_E4M3", GE_DTYPE_OTHER, 1 },
	{ "F8_E5M2", GE_DTYPE_OTHER, 1 }
};

static int
whole(json_t *j, uint64_t *out)
{

	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return (-1);
	*out = (uint64_t)json_integer_value(j);
	return (0);
}

/* One tensor's entry; the message names no more than what is wrong. */
static int
take(struct ge_st_tensor *t, json_t *v, struct ge_err *e)
{
	json_t *shape = json_object_get(v, "shape");
	json_t *range = json_object_get(v, "data_offsets");
	const char *type = json_string_value(json_object_get(v, "dtype"));
	uint64_t end, size;
	size_t i;

	for (i = 0; type != NULL && i < sizeof(dtypes) / sizeof(dtypes[0]);
	    i++)
		if (strcmp(type, dtypes[i].name) == 0)
			break;
	if (type == NULL || i == sizeof(dtypes) / sizeof(dtypes[0]))
		return (ge_fail(e, GE_EREFUSED, "its type is unknown"));
	t->dtype = dtypes[i].dtype;
	size = (uint64_t)dtypes[i].bytes;
	if (!json_is_array(shape) || json_array_size(shape) > GE_ST_DIMS)
		return (ge_fail(e, GE_EREFUSED, "its shape is none"));
	t->ndims = (int)json_array_size(shape);
	for (i = 0; i < (size_t)t->ndims; i++) {
		if (whole(json_array_get(shape, i), &t->dim[i]) == -1)
			return (ge_fail(e, GE_EREFUSED, "its shape is none"));
		if (t->dim[i] != 0 && size > UINT64_MAX / 2 / t->dim[i])
			return (ge_fail(e, GE_EREFUSED, "its shape is too "
			    "large"));
		size *= t->dim[i];
	}
	if (!json_is_array(range) || json_array_size(range) != 2 ||
	    whole(json_array_get(range, 0), &t->off) == -1 ||
	    whole(json_array_get(range, 1), &end) == -1 || end < t->off)
		return (ge_fail(e, GE_EREFUSED, "its place is none"));
	t->len = end - t->off;
	if (t->len != size)
		return (ge_fail(e, GE_EREFUSED, "its shape wants %" PRIu64
		    " bytes, it has %" PRIu64, size, t->len));
	return (0);
}

static int
by_place(const void *a, const void *b)
{
	const struct ge_st_tensor *x = a, *y = b;

	if (x->off != y->off)
		return (x->off < y->off ? -1 : 1);
	return (x->len < y->len ? -1 : x->len > y->len);
}

static int
take_all(struct ge_st *st, json_t *root, uint64_t data, struct ge_err *e)
{
	char name[64];
	const char *key, *format;
	uint64_t at = 0;
	json_t *v;
	size_t i;

	if ((st->tensor = ge_alloc((json_object_size(root) + 1) *
	    sizeof(*st->tensor), e)) == NULL)
		return (-1);
	json_object_foreach(root, key, v) {
		if (strcmp(key, "__metadata__") == 0) {
			format = json_string_value(json_object_get(v,
			    "format"));
			if (format != NULL && (st->meta = ge_strdup(format,
			    e)) == NULL)
				return (-1);
			continue;
		}
		if ((st->tensor[st->ntensors].name = ge_strdup(key, e)) ==
		    NULL)
			return (-1);
		if (take(&st->tensor[st->ntensors++], v, e) == -1) {
			if (ge_percent(name, sizeof(name), key, strlen(key),
			    1) == -1)
				snprintf(name, sizeof(name), "...");
			return (ge_within(e, "tensor '%s'", name));
		}
	}
	qsort(st->tensor, st->ntensors, sizeof(*st->tensor), by_place);
	for (i = 0; i < st->ntensors; i++) {
		if (st->tensor[i].off != at)
			return (ge_fail(e, GE_EREFUSED, "its tensors overlap "
			    "or leave gaps"));
		at += st->tensor[i].len;
	}
	if (at != data)
		return (ge_fail(e, GE_EREFUSED, "its tensors have %" PRIu64
		    " bytes, %" PRIu64 " are there", at, data));
	return (0);
}

int
ge_st_parse(struct ge_st *st, const uint8_t *buf, size_t len, uint64_t total,
    struct ge_err *e)
{
	json_error_t why;
	json_t *root = NULL;
	uint64_t n;
	int rc = -1;

	memset(st, 0, sizeof(*st));
	if (len < 8 || (n = ge_get64(buf)) > GE_ST_HEADER_MAX || n > len - 8 ||
	    n + 8 > total)
		return (ge_fail(e, GE_EREFUSED, "not safetensors: the length "
		    "of its header"));
	root = json_loadb((const char *)buf + 8, (size_t)n,
	    JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(root)) {
		ge_fail(e, GE_EREFUSED, "not safetensors: its header%s%.100s",
		    root == NULL ? ": " : "", root == NULL ? why.text : "");
		goto out;
	}
	st->header = n + 8;
	rc = take_all(st, root, total - st->header, e);
out:
	json_decref(root);
	return (rc);
}

void
ge_st_release(struct ge_st *st)
{
	size_t i;

	for (i = 0; i < st->ntensors; i++)
		ge_free(st->tensor[i].name);
	ge_free(st->tensor);
	ge_free(st->meta);
	memset(st, 0, sizeof(*st));
}

const struct ge_st_tensor *
ge_st_find(const struct ge_st *st, const char *name)
{
	size_t i;

	for (i = 0; i < st->ntensors; i++)
		if (strcmp(st->tensor[i].name, name) == 0)
			return (&st->tensor[i]);
	return (NULL);
}

int
ge_st_header(struct ge_st *st, uint8_t **head, size_t *len, struct ge_err *e)
{
	static const char *const type[] = { "F32", "F16", "BF16" };
	struct ge_st_tensor *t;
	uint64_t at = 0;
	size_t i, cap = 0, n = 8;
	int q;

	*head = NULL;
	if (ge_grow(head, &cap, 1024, 1, e) == -1)
		return (-1);
	n += (size_t)sprintf((char *)*head + n,
	    "{\"__metadata__\":{\"format\":\"pt\"}");
	for (i = 0; i < st->ntensors; i++) {
		t = &st->tensor[i];
		t->off = at;
		at += t->len;
		if (ge_grow(head, &cap, n + strlen(t->name) + 400, 1, e) == -1) {
			ge_free(*head);
			*head = NULL;
			return (-1);
		}
		n += (size_t)sprintf((char *)*head + n, ",\"%s\":"
		    "{\"dtype\":\"%s\",\"shape\":[", t->name,
		    type[t->dtype]);
		for (q = 0; q < t->ndims; q++)
			n += (size_t)sprintf((char *)*head + n, "%s%" PRIu64,
			    q > 0 ? "," : "", t->dim[q]);
		n += (size_t)sprintf((char *)*head + n, "],\"data_offsets\":[%"
		    PRIu64 ",%" PRIu64 "]}", t->off, at);
	}
	(*head)[n++] = '}';
	while (n % 8 != 0)
		(*head)[n++] = ' ';
	ge_put64(*head, n - 8);
	*len = n;
	return (0);
}

static float
half(uint16_t x)
{
	union { uint32_t u; float f; } v;
	uint32_t sign = (uint32_t)(x & 0x8000) << 16, man = x & 0x3ff;
	uint32_t exp = x >> 10 & 0x1f;

	if (exp == 0) {
		v.f = (float)man * 0x1p-24f;
		v.u |= sign;
	} else {
		v.u = sign | (exp == 31 ? 0x7f800000 : (exp + 112) << 23) |
		    man << 13;
	}
	return (v.f);
}

void
ge_st_floats(float *dst, const uint8_t *src, size_t n, enum ge_dtype dtype)
{
	union { uint32_t u; float f; } v;
	size_t i;

	for (i = 0; i < n; i++) {
		v.u = dtype == GE_DTYPE_F32 ? ge_get32(src + 4 * i) :
		    (uint32_t)ge_get16(src + 2 * i) << 16;
		dst[i] = dtype == GE_DTYPE_F16 ? half((uint16_t)(v.u >> 16)) :
		    v.f;
	}
}

/* To nearest even; what is below the normal range has one exponent. */
static uint16_t
to_half(uint32_t u)
{
	union { uint32_t u; float f; } v;
	uint32_t sign = u >> 16 & 0x8000;

	v.u = u & 0x7fffffff;
	if (v.u >= 0x477ff000)
		return ((uint16_t)(sign | 0x7c00));
	if (v.u < 0x38800000) {
		v.f += 0.5f;
		return ((uint16_t)(sign | (v.u - 0x3f000000)));
	}
	v.u += 0xfff + (v.u >> 13 & 1);
	return ((uint16_t)(sign | (v.u - 0x38000000) >> 13));
}

int
ge_st_bytes(uint8_t *dst, const float *src, size_t n, enum ge_dtype dtype)
{
	uint32_t infinite = dtype == GE_DTYPE_F16 ? 0x7c00 : 0x7f80;
	union { uint32_t u; float f; } v;
	uint16_t x;
	size_t i;

	for (i = 0; i < n; i++) {
		v.f = src[i];
		if ((v.u & 0x7f800000) == 0x7f800000)
			return (-1);
		if (dtype == GE_DTYPE_F32) {
			ge_put32(dst + 4 * i, v.u);
			continue;
		}
		x = dtype == GE_DTYPE_F16 ? to_half(v.u) :
		    (uint16_t)((v.u + 0x7fff + (v.u >> 16 & 1)) >> 16);
		if ((x & infinite) == infinite)
			return (-1);
		ge_put16(dst + 2 * i, x);
	}
	return (0);
}

size_t
ge_st_size(enum ge_dtype dtype)
{

	return (dtype == GE_DTYPE_F32 ? 4 : 2);
}

static int
write_data(const struct ge_st *st, const float *const *data,
    struct ge_outdir *out, struct ge_err *e)
{
	enum { EACH = 1 << 16 };
	const struct ge_st_tensor *t;
	size_t i, size, at, n, all;
	uint8_t *buf;
	int rc = 0;

	if ((buf = ge_alloc(EACH * 4, e)) == NULL)
		return (-1);
	for (i = 0; rc == 0 && i < st->ntensors; i++) {
		t = &st->tensor[i];
		size = ge_st_size(t->dtype);
		all = (size_t)t->len / size;
		for (at = 0; rc == 0 && at < all; at += n) {
			n = all - at < EACH ? all - at : EACH;
			rc = ge_st_bytes(buf, data[i] + at, n, t->dtype);
			if (rc == -1)
				ge_fail(e, GE_EREFUSED, "tensor '%s': a number "
				    "is none, or too large", t->name);
			else
				rc = ge_outdir_write(out, buf, n * size, e);
		}
	}
	ge_free(buf);
	return (rc);
}

int
ge_st_write(struct ge_st *st, const float *const *data,
    struct ge_outdir *out, const char *name, struct ge_err *e)
{
	struct ge_st_tensor *t;
	uint64_t total = 0;
	uint8_t *head;
	size_t i, len;
	int q, rc = -1;

	for (i = 0; i < st->ntensors; i++) {
		t = &st->tensor[i];
		t->len = ge_st_size(t->dtype);
		for (q = 0; q < t->ndims; q++)
			t->len *= t->dim[q];
		total += t->len;
	}
	if (ge_st_header(st, &head, &len, e) == -1)
		return (-1);
	if (ge_outdir_begin(out, name, len + total, e) == 0 &&
	    ge_outdir_write(out, head, len, e) == 0)
		rc = write_data(st, data, out, e);
	ge_free(head);
	return (rc);
}
