#include <isa-l/erasure_code.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "code/code.h"
#include "util/mem.h"

/*
 * Bytes of each block done at a time: ISA-L counts in int, and a code with more
 * than 4 parity blocks, which takes several passes, finds its sources in cache.
 */
enum {
	CHUNK = 16384
};

typedef void encode_fn(int, int, int, unsigned char *, unsigned char **,
    unsigned char **);

#if defined(__x86_64__)
__attribute__((target("avx"), noinline)) static void
zeroupper(void)
{

	_mm256_zeroupper();
}
#endif

/* Threads that come first at once all choose the same. */
static encode_fn *
chosen(void)
{
	static encode_fn *_Atomic cached;
	encode_fn *fn;
	const char *cpu;

	fn = atomic_load_explicit(&cached, memory_order_relaxed);
	if (fn == NULL) {
		cpu = getenv("GE_CPU");
		fn = cpu != NULL && strcmp(cpu, "portable") == 0 ?
		    ec_encode_data_base : ec_encode_data;
		atomic_store_explicit(&cached, fn, memory_order_relaxed);
	}
	return (fn);
}

/* dst[r] is the sum over j of the coefficient (r, j) times src[j]. */
static void
combine(uint8_t *tables, int k, int rows, const uint8_t *const *src,
    uint8_t *const *dst, size_t len)
{
	unsigned char *s[GE_RS_MAX], *d[GE_RS_MAX];
	encode_fn *encode = chosen();
	size_t now, off;
	int i;

	if (rows == 0)
		return;
	for (off = 0; off < len; off += now) {
		now = len - off < CHUNK ? len - off : CHUNK;
		for (i = 0; i < k; i++)
			s[i] = (unsigned char *)(uintptr_t)src[i] + off;
		for (i = 0; i < rows; i++)
			d[i] = dst[i] + off;
		encode((int)now, k, rows, tables, s, d);
	}
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx"))
		zeroupper();
#endif
}

int
ge_rs_init(struct ge_rs *c, int k, int n, struct ge_err *e)
{
	int i, j;

	assert(1 <= k && k <= n && n <= GE_RS_MAX);
	memset(c, 0, sizeof(*c));
	c->k = k;
	c->n = n;
	for (i = 0; i < n; i++)
		for (j = 0; j < k; j++)
			c->matrix[i * k + j] = i < k ? i == j :
			    k == 1 ? 1 : ge_gf_inv((uint8_t)(i ^ j));
	if (n == k)
		return (0);
	c->tables = ge_alloc(32 * (size_t)k * (size_t)(n - k), e);
	if (c->tables == NULL)
		return (-1);
	ec_init_tables(k, n - k, c->matrix + k * k, c->tables);
	return (0);
}

void
ge_rs_release(struct ge_rs *c)
{

	ge_free(c->tables);
	c->tables = NULL;
}

void
ge_rs_encode(const struct ge_rs *c, const uint8_t *const *data,
    uint8_t *const *parity, size_t len)
{

	combine(c->tables, c->k, c->n - c->k, data, parity, len);
}

/*
 * The blocks at hand are A times the data, A the rows `have` of the matrix; so
 * the blocks wanted are the rows `want` times the inverse of A times those.
 */
int
ge_rs_plan_init(struct ge_rs_plan *p, const struct ge_rs *c,
    const uint8_t *have, const uint8_t *want, int nwant, struct ge_err *e)
{
	uint8_t a[GE_RS_MAX * GE_RS_MAX], inv[GE_RS_MAX * GE_RS_MAX];
	uint8_t seen[GE_RS_MAX] = { 0 }, *row;
	const uint8_t *from;
	int i, j, k = c->k, l;

	assert(0 <= nwant && nwant <= c->n);
	memset(p, 0, sizeof(*p));
	for (i = 0; i < k; i++) {
		if (have[i] >= c->n || seen[have[i]]++)
			return (ge_fail(e, GE_ELOST,
			    "block %d of the stripe: %s", have[i],
			    have[i] >= c->n ? "no such place" : "given twice"));
		memcpy(a + i * k, c->matrix + have[i] * k, (size_t)k);
	}
	for (i = 0; i < nwant; i++)
		if (want[i] >= c->n)
			return (ge_fail(e, GE_ELOST,
			    "block %d of the stripe: no such place", want[i]));
	p->k = k;
	p->nwant = nwant;
	if (nwant == 0)
		return (0);
	if (gf_invert_matrix(a, inv, k) != 0)
		return (ge_fail(e, GE_ELOST, "singular choice of blocks"));
	for (i = 0; i < nwant; i++) {
		from = c->matrix + want[i] * k;
		row = p->rows + i * k;
		for (l = 0; l < k; l++)
			for (j = 0; from[l] != 0 && j < k; j++)
				row[j] ^= ge_gf_mul(from[l], inv[l * k + j]);
	}
	p->tables = ge_alloc(32 * (size_t)k * (size_t)nwant, e);
	if (p->tables == NULL)
		return (-1);
	ec_init_tables(k, nwant, p->rows, p->tables);
	return (0);
}

void
ge_rs_plan_release(struct ge_rs_plan *p)
{

	ge_free(p->tables);
	p->tables = NULL;
}

void
ge_rs_rebuild(const struct ge_rs_plan *p, const uint8_t *const *src,
    uint8_t *const *dst, size_t len)
{

	combine(p->tables, p->k, p->nwant, src, dst, len);
}
