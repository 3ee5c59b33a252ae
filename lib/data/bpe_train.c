#include <stdlib.h>
#include <string.h>

#include "data/bpe.h"
#include "util/mem.h"

/*
 * Words, each with how often it comes, and for each pair of neighbours how often that
 * comes and in which words; the most frequent pair is merged in just those.
 */
enum {
	WORD_MAX = 1000
};

struct word {
	uint64_t off;			/* into bytes, later into symbols */
	uint32_t len;
	uint64_t count;
};

struct ge_bpe_count {
	enum ge_split split;
	uint8_t *bytes;
	size_t nbytes, capbytes;
	struct word *word;
	size_t nwords, capwords;
	uint32_t *slot;			/* 1 + number of a word */
	size_t nslots;
};

struct pair {
	int32_t left, right;
	int64_t count;
	uint32_t *in;			/* words; some twice, some no more */
	uint32_t nin, capin;
};

struct top {
	int64_t count;
	uint32_t pair;
};

struct trainer {
	struct ge_bpe_count *c;
	int32_t *id;			/* [symbols of all words] */
	struct pair *pair;
	size_t npairs, cappairs;
	uint32_t *slot;
	size_t nslots;
	struct top *heap;
	size_t nheap, capheap;
	uint32_t *touched;		/* pairs whose count has grown */
	size_t ntouched, captouched;
	uint32_t *made;			/* hash table: 1 + number of a token */
	size_t nmade;
};

static uint64_t
hash_word(const uint8_t *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u ^ len, w;

	for (; len >= 8; s += 8, len -= 8) {
		memcpy(&w, s, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	for (w = 0; len > 0; len--)
		w = w << 8 | s[len - 1];
	h = (h ^ w) * 0x9e3779b97f4a7c15u;
	return (h ^ h >> 29);
}

struct ge_bpe_count *
ge_bpe_count_new(enum ge_split split, struct ge_err *e)
{
	struct ge_bpe_count *c;

	if ((c = ge_alloc(sizeof(*c), e)) == NULL)
		return (NULL);
	c->split = split;
	c->nslots = 1 << 16;
	if ((c->slot = ge_alloc(c->nslots * sizeof(*c->slot), e)) == NULL) {
		ge_free(c);
		return (NULL);
	}
	return (c);
}

void
ge_bpe_count_free(struct ge_bpe_count *c)
{

	if (c == NULL)
		return;
	ge_free(c->bytes);
	ge_free(c->word);
	ge_free(c->slot);
	ge_free(c);
}

static uint32_t *
word_slot(const struct ge_bpe_count *c, const uint8_t *s, size_t len)
{
	const struct word *w;
	size_t i;

	for (i = hash_word(s, len) & (c->nslots - 1); c->slot[i] != 0;
	    i = (i + 1) & (c->nslots - 1)) {
		w = &c->word[c->slot[i] - 1];
		if (w->len == len && memcmp(c->bytes + w->off, s, len) == 0)
			break;
	}
	return (&c->slot[i]);
}

static int
widen(struct ge_bpe_count *c, struct ge_err *e)
{
	uint32_t *slot;
	size_t i;

	if ((slot = ge_alloc(2 * c->nslots * sizeof(*slot), e)) == NULL)
		return (-1);
	ge_free(c->slot);
	c->slot = slot;
	c->nslots *= 2;
	for (i = 0; i < c->nwords; i++)
		*word_slot(c, c->bytes + c->word[i].off, c->word[i].len) =
		    (uint32_t)i + 1;
	return (0);
}

static int
count_word(struct ge_bpe_count *c, const uint8_t *s, size_t len,
    struct ge_err *e)
{
	uint32_t *slot = word_slot(c, s, len);
	struct word *w;

	if (*slot != 0) {
		c->word[*slot - 1].count++;
		return (0);
	}
	if (c->nwords >= UINT32_MAX - 1)
		return (ge_fail(e, GE_EFAIL, "too many words"));
	if (ge_grow(&c->word, &c->capwords, c->nwords + 1, sizeof(*c->word),
	    e) == -1 || ge_grow(&c->bytes, &c->capbytes, c->nbytes + len, 1,
	    e) == -1)
		return (-1);
	w = &c->word[c->nwords++];
	w->off = c->nbytes;
	w->len = (uint32_t)len;
	w->count = 1;
	memcpy(c->bytes + c->nbytes, s, len);
	c->nbytes += len;
	*slot = (uint32_t)c->nwords;
	return (2 * c->nwords > c->nslots ? widen(c, e) : 0);
}

int
ge_bpe_count_add(struct ge_bpe_count *c, const uint8_t *s, size_t len,
    struct ge_err *e)
{
	size_t at, now;

	for (at = 0; at < len; at += now) {
		now = ge_split_next(c->split, s + at, len - at);
		if (now > 1 && now <= WORD_MAX && count_word(c, s + at, now,
		    e) == -1)
			return (-1);
	}
	return (0);
}

static uint32_t *
pair_slot(const struct trainer *t, int32_t left, int32_t right)
{
	uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) *
	    0x9e3779b97f4a7c15u;
	const struct pair *p;
	size_t i;

	for (i = (h ^ h >> 29) & (t->nslots - 1); t->slot[i] != 0;
	    i = (i + 1) & (t->nslots - 1)) {
		p = &t->pair[t->slot[i] - 1];
		if (p->left == left && p->right == right)
			break;
	}
	return (&t->slot[i]);
}

static int
widen_pairs(struct trainer *t, struct ge_err *e)
{
	uint32_t *slot;
	size_t i, n = t->nslots > 0 ? 2 * t->nslots : 1 << 16;

	if ((slot = ge_alloc(n * sizeof(*slot), e)) == NULL)
		return (-1);
	ge_free(t->slot);
	t->slot = slot;
	t->nslots = n;
	for (i = 0; i < t->npairs; i++)
		*pair_slot(t, t->pair[i].left, t->pair[i].right) =
		    (uint32_t)i + 1;
	return (0);
}

/* A pair comes `by` more times (or fewer) in word w. */
static int
count_pair(struct trainer *t, int32_t left, int32_t right, int64_t by,
    uint32_t w, struct ge_err *e)
{
	uint32_t *slot, in;
	struct pair *p;
	size_t cap;

	if (2 * t->npairs >= t->nslots && widen_pairs(t, e) == -1)
		return (-1);
	slot = pair_slot(t, left, right);
	if (*slot == 0) {
		if (ge_grow(&t->pair, &t->cappairs, t->npairs + 1,
		    sizeof(*t->pair), e) == -1)
			return (-1);
		p = &t->pair[t->npairs++];
		memset(p, 0, sizeof(*p));
		p->left = left;
		p->right = right;
		*slot = (uint32_t)t->npairs;
	}
	in = *slot - 1;
	p = &t->pair[in];
	p->count += by;
	if (by < 0)
		return (0);
	if (ge_grow(&t->touched, &t->captouched, t->ntouched + 1,
	    sizeof(*t->touched), e) == -1)
		return (-1);
	t->touched[t->ntouched++] = in;
	if (p->nin > 0 && p->in[p->nin - 1] == w)
		return (0);
	cap = p->capin;
	if (ge_grow(&p->in, &cap, (size_t)p->nin + 1, sizeof(*p->in), e) == -1)
		return (-1);
	p->capin = (uint32_t)cap;
	p->in[p->nin++] = w;
	return (0);
}

/* Does a go before b? */
static int
before(const struct trainer *t, const struct top *a, const struct top *b)
{
	const struct pair *x = &t->pair[a->pair], *y = &t->pair[b->pair];

	if (a->count != b->count)
		return (a->count > b->count);
	return (x->left != y->left ? x->left < y->left : x->right < y->right);
}

static int
push(struct trainer *t, uint32_t pair, struct ge_err *e)
{
	struct top p = { t->pair[pair].count, pair };
	size_t i;

	if (p.count < 2)
		return (0);
	if (ge_grow(&t->heap, &t->capheap, t->nheap + 1, sizeof(*t->heap),
	    e) == -1)
		return (-1);
	for (i = t->nheap++; i > 0 && before(t, &p, &t->heap[(i - 1) / 2]);
	    i = (i - 1) / 2)
		t->heap[i] = t->heap[(i - 1) / 2];
	t->heap[i] = p;
	return (0);
}

static struct top
pop(struct trainer *t)
{
	struct top top = t->heap[0], p = t->heap[--t->nheap];
	size_t i = 0, c;

	for (; (c = 2 * i + 1) < t->nheap; i = c) {
		c += c + 1 < t->nheap && before(t, &t->heap[c + 1],
		    &t->heap[c]);
		if (!before(t, &t->heap[c], &p))
			break;
		t->heap[i] = t->heap[c];
	}
	if (t->nheap > 0)
		t->heap[i] = p;
	return (top);
}

/* The pairs whose count has grown, each once, into the heap. */
static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y ? -1 : x > y);
}

static int
push_touched(struct trainer *t, struct ge_err *e)
{
	size_t i;

	if (t->ntouched > 0)
		qsort(t->touched, t->ntouched, sizeof(*t->touched), by_number);
	for (i = 0; i < t->ntouched; i++)
		if ((i == 0 || t->touched[i] != t->touched[i - 1]) &&
		    push(t, t->touched[i], e) == -1)
			return (-1);
	t->ntouched = 0;
	return (0);
}

static int
begin(struct trainer *t, const struct ge_bpe *b, struct ge_err *e)
{
	struct ge_bpe_count *c = t->c;
	uint64_t i, w;
	struct word *wd;

	if ((t->id = ge_alloc((c->nbytes + 1) * sizeof(*t->id), e)) == NULL)
		return (-1);
	for (i = 0; i < c->nbytes; i++)
		t->id[i] = b->byte[c->bytes[i]];
	for (w = 0; w < c->nwords; w++) {
		wd = &c->word[w];
		for (i = wd->off; i + 1 < wd->off + wd->len; i++)
			if (count_pair(t, t->id[i], t->id[i + 1],
			    (int64_t)wd->count, (uint32_t)w, e) == -1)
				return (-1);
	}
	return (push_touched(t, e));
}

/* Merge a pair in one word. */
static int
merge_in(struct trainer *t, uint32_t w, int32_t left, int32_t right,
    int32_t both, struct ge_err *e)
{
	struct word *wd = &t->c->word[w];
	int32_t *id = t->id + wd->off;
	int64_t count = (int64_t)wd->count;
	uint32_t i, o = 0;

	for (i = 0; i < wd->len; i++) {
		if (i + 1 == wd->len || id[i] != left || id[i + 1] != right) {
			id[o++] = id[i];
			continue;
		}
		if (o > 0 && (count_pair(t, id[o - 1], left, -count, w, e) ==
		    -1 || count_pair(t, id[o - 1], both, count, w, e) == -1))
			return (-1);
		if (i + 2 < wd->len && (count_pair(t, right, id[i + 2], -count,
		    w, e) == -1 || count_pair(t, both, id[i + 2], count, w,
		    e) == -1))
			return (-1);
		id[o++] = both;
		i++;
	}
	wd->len = o;
	return (0);
}

static int
merge_all(struct trainer *t, uint32_t pair, int32_t both, struct ge_err *e)
{
	int32_t left = t->pair[pair].left, right = t->pair[pair].right;
	uint32_t *in = t->pair[pair].in, n = t->pair[pair].nin, i;
	int rc = 0;

	t->pair[pair].in = NULL;
	t->pair[pair].nin = t->pair[pair].capin = 0;
	for (i = 0; i < n && rc == 0; i++)
		rc = merge_in(t, in[i], left, right, both, e);
	t->pair[pair].count = 0;
	ge_free(in);
	return (rc == 0 ? push_touched(t, e) : -1);
}

static int
first_tokens(struct ge_bpe *b, struct ge_err *e)
{
	uint8_t byte;
	int i;

	for (i = 0; i < 256; i++) {
		byte = ge_bpe_gpt2_byte(i);
		if (ge_bpe_add(b, &byte, 1, 0, e) == -1)
			return (-1);
		b->byte[byte] = i;
	}
	return (0);
}

/*
 * A token of two, in memory of its own, for what is added may move the bytes.  Another
 * pair may have made the same before.
 */
static int32_t
join(struct trainer *t, struct ge_bpe *b, const struct pair *p,
    struct ge_err *e)
{
	uint8_t s[WORD_MAX];
	uint32_t l = b->token[p->left].len, r = b->token[p->right].len;
	const struct ge_bpe_token *k;
	int32_t both;
	size_t i;

	memcpy(s, b->bytes + b->token[p->left].off, l);
	memcpy(s + l, b->bytes + b->token[p->right].off, r);
	for (i = hash_word(s, l + r) % t->nmade; t->made[i] != 0;
	    i = (i + 1) % t->nmade) {
		k = &b->token[t->made[i] - 1];
		if (k->len == l + r && memcmp(b->bytes + k->off, s, l + r) == 0)
			break;
	}
	both = t->made[i] != 0 ? (int32_t)t->made[i] - 1 :
	    ge_bpe_add(b, s, l + r, 0, e);
	if (both == -1 || ge_bpe_join(b, p->left, p->right, both, e) == -1)
		return (-1);
	t->made[i] = (uint32_t)both + 1;
	return (both);
}

int
ge_bpe_train(struct ge_bpe *b, struct ge_bpe_count *c, size_t vocab,
    struct ge_err *e)
{
	struct trainer t = { .c = c, .nmade = 2 * vocab + 1 };
	struct top top;
	int32_t both;
	size_t i;
	int rc = -1;

	memset(b, 0, sizeof(*b));
	b->split = c->split;
	b->begin = -1;
	if ((t.made = ge_alloc(t.nmade * sizeof(*t.made), e)) == NULL ||
	    first_tokens(b, e) == -1 || begin(&t, b, e) == -1)
		goto out;
	while (b->ntokens + 1 < vocab && t.nheap > 0) {
		top = pop(&t);
		if (t.pair[top.pair].count != top.count) {
			/* It has become rarer. */
			if (t.pair[top.pair].count < top.count &&
			    push(&t, top.pair, e) == -1)
				goto out;
			continue;
		}
		if ((both = join(&t, b, &t.pair[top.pair], e)) == -1 ||
		    merge_all(&t, top.pair, both, e) == -1)
			goto out;
	}
	if ((b->end = ge_bpe_add(b, "<|endoftext|>", 13, 1, e)) == -1)
		goto out;
	rc = ge_bpe_ready(b, e);
out:
	ge_free(t.id);
	for (i = 0; i < t.npairs; i++)
		ge_free(t.pair[i].in);
	ge_free(t.pair);
	ge_free(t.slot);
	ge_free(t.heap);
	ge_free(t.touched);
	ge_free(t.made);
	return (rc);
}
