#ifndef GE_CORPUS_H
#define GE_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#include "data/bpe.h"
#include "util/err.h"
#include "util/sha256.h"

/*
 * Documents to train on, read once: their bytes lie in a nameless file under $TMPDIR
 * (ge_spool_open), 8 bytes for each in memory, up to 16 while there come more.
 *
 * A document is for validation if the first eight bytes of the SHA-256 of its bytes,
 * big-endian, are less than val of 2^64: whatever the order, equal documents are on the
 * same side.
 */
struct ge_corpus {
	uint64_t ndocs, nval, bytes;	/* nval of the ndocs are for validation */
	uint8_t digest[32];		/* when done: SHA-256 of each document's
					   length (8 bytes, little-endian) and bytes,
					   in the order of arrival */
	/* Private: */
	double val;
	int spool;			/* 1 + descriptor; 0: none, or mapped */
	uint64_t *end;			/* [ndocs] where it ends; top bit: val */
	size_t cap;
	uint8_t *buf;			/* not yet written */
	size_t nbuf;
	const uint8_t *map;
	struct ge_sha256 hash;		/* of the digest, so far */
};

/*
 * ge_corpus_open(c, val, e): no documents; val in 0..1.
 * ge_corpus_add(c, s, len, e): one more, as ge_docs_read gives them; an empty one is
 * none.
 * ge_corpus_done(c, e): after the last; what follows is for then.
 * ge_corpus_release(c): of what is zeroed or failed to open as well.
 * -1 with GE_EFAIL without memory or room in $TMPDIR.
 */
int ge_corpus_open(struct ge_corpus *c, double val, struct ge_err *e);
int ge_corpus_add(void *c, const uint8_t *s, size_t len, struct ge_err *e);
int ge_corpus_done(struct ge_corpus *c, struct ge_err *e);
void ge_corpus_release(struct ge_corpus *c);

/*
 * ge_corpus_doc(c, i, len, val): document i < ndocs; *val: is it for validation?
 * Borrowed until c is released.  Thread-safe.
 *
 * ge_corpus_count(c, count, e): the documents to train on, into count.
 */
const uint8_t *ge_corpus_doc(const struct ge_corpus *c, uint64_t i,
    size_t *len, int *val);
int ge_corpus_count(const struct ge_corpus *c, struct ge_bpe_count *count,
    struct ge_err *e);

/* Tokens, in a nameless file as well: read-only; NULL if there are none. */
struct ge_token_file {
	const int32_t *v;
	uint64_t n;
	uint64_t bytes;			/* of text that they stand for */
	/* Private: */
	int spool;			/* 1 + descriptor while it is written */
};

/*
 * ge_corpus_tokens(c, b, jobs, train, val, e):
 * All documents in their order, those for validation into val, the others into train,
 * each followed by b->end.  The same whatever jobs; some 10 MiB of memory a job, and
 * some 32 bytes for each of the longest documents there may be at a time.  -1: both
 * hold nothing.
 * ge_token_file_release: of what is zeroed as well.
 *
 * ge_token_file_room(f, n, e): f is for n tokens that the caller writes; NULL without
 * memory.
 */
int ge_corpus_tokens(const struct ge_corpus *c, const struct ge_bpe *b,
    int jobs, struct ge_token_file *train, struct ge_token_file *val,
    struct ge_err *e);
void ge_token_file_release(struct ge_token_file *f);
int32_t *ge_token_file_room(struct ge_token_file *f, uint64_t n,
    struct ge_err *e);

#endif
