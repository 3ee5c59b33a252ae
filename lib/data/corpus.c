#define _DEFAULT_SOURCE		/* MAP_ANONYMOUS */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/corpus.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/par.h"
#include "util/sha256.h"

#define IS_VAL	((uint64_t)1 << 63)

enum {
	BUF = 1 << 20,
	BATCH = 256 << 10,		/* bytes of text encoded at a time */
	JOB_BATCHES = 8
};

static int
open_spool(int *spool, struct ge_err *e)
{

	*spool = ge_spool_open(e) + 1;
	return (*spool > 0 ? 0 : -1);
}

static void
close_spool(int *spool)
{

	if (*spool > 0)
		close(*spool - 1);
	*spool = 0;
}

static int
write_spool(int spool, const void *buf, size_t len, struct ge_err *e)
{

	if (ge_write(spool - 1, buf, len, e) == -1)
		return (ge_within(e, "a temporary file (TMPDIR)"));
	return (0);
}

/* Read from now on where it lies; NULL if it is empty. */
static int
map_spool(int *spool, uint64_t len, const void **map, struct ge_err *e)
{
	void *p = NULL;

	if (len > SIZE_MAX)
		return (ge_fail(e, GE_EFAIL, "too much to be mapped"));
	if (len > 0) {
		p = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, *spool - 1,
		    0);
		if (p == MAP_FAILED)
			return (ge_failsys(e, "cannot map a temporary file"));
	}
	close_spool(spool);
	*map = p;
	return (0);
}

static void
unmap(const void *map, uint64_t len)
{

	if (map != NULL)
		munmap((void *)(uintptr_t)map, (size_t)len);
}

int
ge_corpus_open(struct ge_corpus *c, double val, struct ge_err *e)
{

	memset(c, 0, sizeof(*c));
	c->val = val;
	ge_sha256_init(&c->hash);
	if (open_spool(&c->spool, e) == -1)
		return (-1);
	return ((c->buf = ge_block_alloc(BUF, e)) == NULL ? -1 : 0);
}

void
ge_corpus_release(struct ge_corpus *c)
{

	close_spool(&c->spool);
	unmap(c->map, c->bytes);
	ge_block_free(c->buf);
	ge_free(c->end);
	memset(c, 0, sizeof(*c));
}

static int
flush(struct ge_corpus *c, struct ge_err *e)
{
	size_t n = c->nbuf;

	c->nbuf = 0;
	return (write_spool(c->spool, c->buf, n, e));
}

static int
store(struct ge_corpus *c, const uint8_t *s, size_t len, struct ge_err *e)
{

	if (len > BUF - c->nbuf && flush(c, e) == -1)
		return (-1);
	if (len > BUF)
		return (write_spool(c->spool, s, len, e));
	memcpy(c->buf + c->nbuf, s, len);
	c->nbuf += len;
	return (0);
}

/* The hash of a document as a fraction. */
static double
fraction(const uint8_t *s, size_t len)
{
	struct ge_sha256 h;
	uint8_t out[32];
	uint64_t x = 0;
	int i;

	ge_sha256_init(&h);
	ge_sha256_add(&h, s, len);
	ge_sha256_end(&h, out);
	for (i = 0; i < 8; i++)
		x = x << 8 | out[i];
	/* The 53 bits that a double holds. */
	return ((double)(x >> 11) / (double)((uint64_t)1 << 53));
}

int
ge_corpus_add(void *corpus, const uint8_t *s, size_t len, struct ge_err *e)
{
	struct ge_corpus *c = corpus;
	uint8_t head[8];
	int val;

	if (len == 0)
		return (0);
	if (ge_grow(&c->end, &c->cap, c->ndocs + 1, sizeof(*c->end), e) == -1 ||
	    store(c, s, len, e) == -1)
		return (-1);
	ge_put64(head, len);
	ge_sha256_add(&c->hash, head, sizeof(head));
	ge_sha256_add(&c->hash, s, len);
	val = fraction(s, len) < c->val;
	c->bytes += len;
	c->nval += (uint64_t)val;
	c->end[c->ndocs++] = c->bytes | (val ? IS_VAL : 0);
	return (0);
}

int
ge_corpus_done(struct ge_corpus *c, struct ge_err *e)
{
	const void *map;

	if (flush(c, e) == -1 || map_spool(&c->spool, c->bytes, &map, e) == -1)
		return (-1);
	c->map = map;
	ge_block_free(c->buf);
	c->buf = NULL;
	ge_sha256_end(&c->hash, c->digest);
	return (0);
}

static uint64_t
end_of(const struct ge_corpus *c, uint64_t i)
{

	return (c->end[i] & ~IS_VAL);
}

static uint64_t
begin_of(const struct ge_corpus *c, uint64_t i)
{

	return (i > 0 ? end_of(c, i - 1) : 0);
}

const uint8_t *
ge_corpus_doc(const struct ge_corpus *c, uint64_t i, size_t *len, int *val)
{
	uint64_t begin = begin_of(c, i);

	*len = (size_t)(end_of(c, i) - begin);
	*val = (c->end[i] & IS_VAL) != 0;
	return (c->map + begin);
}

int
ge_corpus_count(const struct ge_corpus *c, struct ge_bpe_count *count,
    struct ge_err *e)
{
	const uint8_t *s;
	uint64_t i;
	size_t len;
	int val;

	for (i = 0; i < c->ndocs; i++) {
		s = ge_corpus_doc(c, i, &len, &val);
		if (!val && (ge_bpe_count_add(count, s, len, e) == -1 ||
		    ge_hook_tick(0, e) == -1))
			return (-1);
	}
	return (0);
}

/* Neighbours that are encoded together; tokens to train on, and for validation. */
struct batch {
	uint64_t first, stop;
	int32_t *v[2];
	size_t n[2], cap[2];
};

struct encoder {
	const struct ge_corpus *c;
	const struct ge_bpe *b;
	struct batch *batch;
};

static int
encode(void *arg, size_t at, int worker, struct ge_err *e)
{
	const struct encoder *n = arg;
	struct batch *b = &n->batch[at];
	const uint8_t *s;
	uint64_t i;
	size_t len;
	int k;

	(void)worker;
	b->n[0] = b->n[1] = 0;
	for (i = b->first; i < b->stop; i++) {
		s = ge_corpus_doc(n->c, i, &len, &k);
		if (ge_bpe_encode(n->b, s, len, &b->v[k], &b->n[k], &b->cap[k],
		    e) == -1 || ge_grow(&b->v[k], &b->cap[k], b->n[k] + 1,
		    sizeof(*b->v[k]), e) == -1)
			return (-1);
		b->v[k][b->n[k]++] = n->b->end;
	}
	return (ge_hook_tick(0, e));
}

/* Where the batch that begins with a document stops. */
static uint64_t
batch_stop(const struct ge_corpus *c, uint64_t first)
{
	uint64_t i = first + 1;

	while (i < c->ndocs && end_of(c, i) - begin_of(c, first) <= BATCH)
		i++;
	return (i);
}

static int
append(struct ge_token_file *f, const struct batch *b, int k,
    struct ge_err *e)
{

	f->n += b->n[k];
	return (write_spool(f->spool, b->v[k], b->n[k] * sizeof(*b->v[k]), e));
}

/* One job after another takes a batch, as many as there are; then all are written. */
static int
encode_all(struct encoder *n, int jobs, struct ge_token_file *train,
    struct ge_token_file *val, struct ge_err *e)
{
	size_t most = JOB_BATCHES * (size_t)jobs, nb, i;
	uint64_t at;

	for (at = 0; at < n->c->ndocs;) {
		for (nb = 0; nb < most && at < n->c->ndocs; nb++) {
			n->batch[nb].first = at;
			at = n->batch[nb].stop = batch_stop(n->c, at);
		}
		if (ge_par_each(jobs, nb, encode, n, e) == -1)
			return (-1);
		for (i = 0; i < nb; i++)
			if (append(train, &n->batch[i], 0, e) == -1 ||
			    append(val, &n->batch[i], 1, e) == -1)
				return (-1);
	}
	return (0);
}

static int
finish(struct ge_token_file *f, struct ge_err *e)
{
	const void *map;

	if (map_spool(&f->spool, f->n * sizeof(*f->v), &map, e) == -1)
		return (-1);
	f->v = map;
	return (0);
}

static void
count_bytes(const struct ge_corpus *c, uint64_t *train, uint64_t *val)
{
	uint64_t i;
	size_t len;
	int k;

	for (i = 0; i < c->ndocs; i++) {
		(void)ge_corpus_doc(c, i, &len, &k);
		*(k ? val : train) += len;
	}
}

int
ge_corpus_tokens(const struct ge_corpus *c, const struct ge_bpe *b, int jobs,
    struct ge_token_file *train, struct ge_token_file *val, struct ge_err *e)
{
	struct encoder n = { .c = c, .b = b };
	size_t i, most;
	int rc = -1;

	if (jobs < 1)
		jobs = 1;
	most = JOB_BATCHES * (size_t)jobs;
	memset(train, 0, sizeof(*train));
	memset(val, 0, sizeof(*val));
	if ((n.batch = ge_alloc(most * sizeof(*n.batch), e)) == NULL ||
	    open_spool(&train->spool, e) == -1 ||
	    open_spool(&val->spool, e) == -1 ||
	    encode_all(&n, jobs, train, val, e) == -1 ||
	    finish(train, e) == -1 || finish(val, e) == -1)
		goto out;
	count_bytes(c, &train->bytes, &val->bytes);
	rc = 0;
out:
	for (i = 0; n.batch != NULL && i < most; i++) {
		ge_free(n.batch[i].v[0]);
		ge_free(n.batch[i].v[1]);
	}
	ge_free(n.batch);
	if (rc == -1) {
		ge_token_file_release(train);
		ge_token_file_release(val);
	}
	return (rc);
}

void
ge_token_file_release(struct ge_token_file *f)
{

	close_spool(&f->spool);
	unmap(f->v, f->n * sizeof(*f->v));
	memset(f, 0, sizeof(*f));
}

int32_t *
ge_token_file_room(struct ge_token_file *f, uint64_t n, struct ge_err *e)
{
	void *p;

	memset(f, 0, sizeof(*f));
	p = n > SIZE_MAX / sizeof(*f->v) ? MAP_FAILED : mmap(NULL,
	    (size_t)(n > 0 ? n : 1) * sizeof(*f->v), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		ge_fail(e, GE_EFAIL, "out of memory");
		return (NULL);
	}
	f->v = p;
	f->n = n;
	return (p);
}
