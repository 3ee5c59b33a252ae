#include <string.h>

#include "data/words.h"
#include "util/mem.h"

enum {
	SLOTS = 64
};

uint64_t
ge_words_hash(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; len > 0; len--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	return (h ^ h >> 32);
}

/* The slot of the word, or the free one where it belongs. */
static uint32_t *
slot(const struct ge_words *x, char *const *word, const char *s, size_t len)
{
	size_t i = ge_words_hash(s, len) & (x->nslots - 1);
	const char *w;

	while (x->slot[i] != 0) {
		w = word[x->slot[i] - 1];
		if (strncmp(w, s, len) == 0 && w[len] == '\0')
			break;
		i = (i + 1) & (x->nslots - 1);
	}
	return (x->slot + i);
}

static int
more_slots(struct ge_words *x, char *const *word, size_t n,
    struct ge_err *e)
{
	uint32_t *slots, *old = x->slot;
	size_t i, nslots = x->nslots > 0 ? 2 * x->nslots : SLOTS;

	if ((slots = ge_alloc(nslots * sizeof(*slots), e)) == NULL)
		return (-1);
	x->slot = slots;
	x->nslots = nslots;
	for (i = 0; i < n; i++)
		*slot(x, word, word[i], strlen(word[i])) = (uint32_t)i + 1;
	ge_free(old);
	return (0);
}

uint32_t
ge_words_find(const struct ge_words *x, char *const *word, const char *s,
    size_t len)
{

	return (x->nslots == 0 ? 0 : *slot(x, word, s, len));
}

int
ge_words_add(struct ge_words *x, char *const *word, size_t n,
    struct ge_err *e)
{
	const char *w = word[n - 1];

	if (n > UINT32_MAX)
		return (ge_fail(e, GE_EFAIL, "more words than can be counted"));
	if (2 * n > x->nslots && more_slots(x, word, n - 1, e) == -1)
		return (-1);
	*slot(x, word, w, strlen(w)) = (uint32_t)n;
	return (0);
}

int
ge_words_index(struct ge_words *x, char *const *word, size_t n,
    size_t *twice, struct ge_err *e)
{
	size_t i;

	memset(x, 0, sizeof(*x));
	for (i = 0; i < n; i++) {
		if (ge_words_find(x, word, word[i], strlen(word[i])) != 0) {
			*twice = i;
			return (0);
		}
		if (ge_words_add(x, word, i + 1, e) == -1)
			return (-1);
	}
	return (1);
}

void
ge_words_release(struct ge_words *x)
{

	ge_free(x->slot);
	memset(x, 0, sizeof(*x));
}
