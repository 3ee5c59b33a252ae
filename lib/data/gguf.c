#include <string.h>

#include "data/gguf.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	ALIGN = 32,
	VERSION = 3,
	U32 = 4, I32 = 5, F32 = 6, BOOL = 7, STRING = 8, ARRAY = 9
};

struct bytes {
	uint8_t **p;
	size_t *n, *cap;
};

static struct bytes
keys(struct ge_gguf *g)
{
	struct bytes b = { &g->key, &g->nkey, &g->capkey };

	return (b);
}

static int
put(struct bytes b, const void *p, size_t len, struct ge_err *e)
{

	return (ge_append(b.p, b.n, b.cap, p, len, e));
}

static int
put32(struct bytes b, uint32_t v, struct ge_err *e)
{
	uint8_t x[4];

	ge_put32(x, v);
	return (put(b, x, sizeof(x), e));
}

static int
put64(struct bytes b, uint64_t v, struct ge_err *e)
{
	uint8_t x[8];

	ge_put64(x, v);
	return (put(b, x, sizeof(x), e));
}

static int
put_string(struct bytes b, const char *s, struct ge_err *e)
{
	size_t len = strlen(s);

	return (put64(b, len, e) == -1 ? -1 : put(b, s, len, e));
}

static int
key_of(struct ge_gguf *g, const char *key, uint32_t type, struct ge_err *e)
{

	g->keys++;
	return (put_string(keys(g), key, e) == -1 ? -1 :
	    put32(keys(g), type, e));
}

int
ge_gguf_u32(struct ge_gguf *g, const char *key, uint64_t v, struct ge_err *e)
{

	return (key_of(g, key, U32, e) == -1 ? -1 :
	    put32(keys(g), (uint32_t)v, e));
}

int
ge_gguf_f32(struct ge_gguf *g, const char *key, float v, struct ge_err *e)
{
	union { uint32_t u; float f; } x;

	x.f = v;
	return (key_of(g, key, F32, e) == -1 ? -1 : put32(keys(g), x.u, e));
}

int
ge_gguf_bool(struct ge_gguf *g, const char *key, int v, struct ge_err *e)
{
	uint8_t x = v != 0;

	return (key_of(g, key, BOOL, e) == -1 ? -1 : put(keys(g), &x, 1, e));
}

int
ge_gguf_string(struct ge_gguf *g, const char *key, const char *s,
    struct ge_err *e)
{

	return (key_of(g, key, STRING, e) == -1 ? -1 :
	    put_string(keys(g), s, e));
}

static int
array(struct ge_gguf *g, const char *key, uint32_t type, size_t n,
    struct ge_err *e)
{

	return (key_of(g, key, ARRAY, e) == -1 || put32(keys(g), type, e) ==
	    -1 ? -1 : put64(keys(g), n, e));
}

int
ge_gguf_numbers(struct ge_gguf *g, const char *key, const int32_t *v, size_t n,
    struct ge_err *e)
{
	size_t i;

	if (array(g, key, I32, n, e) == -1)
		return (-1);
	for (i = 0; i < n; i++)
		if (put32(keys(g), (uint32_t)v[i], e) == -1)
			return (-1);
	return (0);
}

int
ge_gguf_strings(struct ge_gguf *g, const char *key, size_t n, struct ge_err *e)
{

	return (array(g, key, STRING, n, e));
}

int
ge_gguf_item(struct ge_gguf *g, const char *s, struct ge_err *e)
{

	return (put_string(keys(g), s, e));
}

void
ge_gguf_release(struct ge_gguf *g)
{

	ge_free(g->key);
	ge_free(g->table);
	memset(g, 0, sizeof(*g));
}

static uint64_t
padded(uint64_t n)
{

	return ((n + ALIGN - 1) / ALIGN * ALIGN);
}

int
ge_gguf_tensor(struct ge_gguf *g, const char *name, size_t rows, size_t cols,
    enum ge_dtype dtype, struct ge_err *e)
{
	static const uint32_t type[] = { 0, 1, 30 };
	struct bytes b = { &g->table, &g->ntable, &g->captable };

	/* The dimension that runs fastest comes first. */
	if (put_string(b, name, e) == -1 ||
	    put32(b, cols > 0 ? 2 : 1, e) == -1 ||
	    (cols > 0 && put64(b, cols, e) == -1) || put64(b, rows, e) == -1 ||
	    put32(b, type[dtype], e) == -1 || put64(b, g->at, e) == -1)
		return (-1);
	g->tensors++;
	g->at += padded((uint64_t)rows * (cols > 0 ? cols : 1) *
	    ge_st_size(dtype));
	return (0);
}

int
ge_gguf_begin(struct ge_gguf *g, struct ge_outdir *out, const char *name,
    struct ge_err *e)
{
	uint64_t len = 24 + g->nkey + g->ntable;
	uint8_t head[24], zeros[ALIGN] = { 0 };

	memcpy(head, "GGUF", 4);
	ge_put32(head + 4, VERSION);
	ge_put64(head + 8, g->tensors);
	ge_put64(head + 16, g->keys);
	if (ge_outdir_begin(out, name, padded(len) + g->at, e) == -1 ||
	    ge_outdir_write(out, head, sizeof(head), e) == -1 ||
	    ge_outdir_write(out, g->key, g->nkey, e) == -1 ||
	    ge_outdir_write(out, g->table, g->ntable, e) == -1)
		return (-1);
	g->at = 0;
	return (ge_outdir_write(out, zeros, (size_t)(padded(len) - len), e));
}

int
ge_gguf_write(struct ge_gguf *g, struct ge_outdir *out, const float *v,
    size_t n, enum ge_dtype dtype, struct ge_err *e)
{
	enum { EACH = 4096 };
	uint8_t buf[EACH * 4];
	size_t size = ge_st_size(dtype), now;

	for (; n > 0; v += now, n -= now) {
		now = n < EACH ? n : EACH;
		if (ge_st_bytes(buf, v, now, dtype) == -1)
			return (ge_fail(e, GE_EREFUSED, "a number is none, or "
			    "too large"));
		if (ge_outdir_write(out, buf, now * size, e) == -1)
			return (-1);
		g->at += now * size;
	}
	return (0);
}

int
ge_gguf_pad(struct ge_gguf *g, struct ge_outdir *out, struct ge_err *e)
{
	uint8_t zeros[ALIGN] = { 0 };
	size_t n = (size_t)(padded(g->at) - g->at);

	g->at += n;
	return (ge_outdir_write(out, zeros, n, e));
}
