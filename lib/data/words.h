#ifndef GE_WORDS_H
#define GE_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Which place a word has in a list that grows at its end.  The list is the caller's:
 * word [n], each NUL-terminated.
 */
struct ge_words {
	/* private */
	uint32_t *slot;
	size_t nslots;
};

/*
 * ge_words_find(x, word, s, len): place from 1 of the word that is s [len]; 0: none.
 *
 * ge_words_add(x, word, n, e): word[n - 1], which is not among those before, is there
 * too from now on.  0, or -1 without memory.
 *
 * ge_words_index(x, word, n, twice, e): all n at once; 1 when they are; 0 when one is
 * there twice, the second at *twice; -1.
 *
 * ge_words_hash(s, len): FNV-1a, 64 bits, folded.
 */
uint32_t ge_words_find(const struct ge_words *x, char *const *word,
    const char *s, size_t len);
int ge_words_add(struct ge_words *x, char *const *word, size_t n,
    struct ge_err *e);
int ge_words_index(struct ge_words *x, char *const *word, size_t n,
    size_t *twice, struct ge_err *e);
void ge_words_release(struct ge_words *x);
uint64_t ge_words_hash(const char *s, size_t len);

#endif
