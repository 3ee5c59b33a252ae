#include <string.h>

#include "data/bpe.h"
#include "util/mem.h"

enum {
	SHORT = 48			/* bytes of a piece that is merged by looking
					   at all of its pairs */
};

static uint64_t
mix(uint64_t x)
{

	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	return (x * 0xbf58476d1ce4e5b9u >> 17);
}

static uint64_t
hash_bytes(const uint8_t *s, size_t len)
{
	uint64_t h = len, w;

	for (; len >= 8; s += 8, len -= 8) {
		memcpy(&w, s, 8);
		h = mix(h ^ w) ^ h << 32;
	}
	for (w = 0; len > 0; len--)
		w = w << 8 | s[len - 1];
	return (mix(h ^ w));
}

static uint64_t
hash_pair(int32_t left, int32_t right)
{

	return (mix((uint64_t)(uint32_t)left << 32 | (uint32_t)right));
}

int32_t
ge_bpe_add(struct ge_bpe *b, const void *s, size_t len, int special,
    struct ge_err *e)
{
	struct ge_bpe_token *t;

	if (b->ntokens >= INT32_MAX || len > UINT32_MAX - b->nbytes) {
		ge_fail(e, GE_EREFUSED, "a tokenizer of too many tokens");
		return (-1);
	}
	if (ge_grow(&b->token, &b->captokens, b->ntokens + 1,
	    sizeof(*b->token), e) == -1 || ge_grow(&b->bytes, &b->capbytes,
	    b->nbytes + len + 1, 1, e) == -1)
		return (-1);
	t = &b->token[b->ntokens++];
	t->off = (uint32_t)b->nbytes;
	t->len = (uint32_t)len;
	t->special = special;
	memcpy(b->bytes + b->nbytes, s, len);
	b->nbytes += len;
	return ((int32_t)b->ntokens - 1);
}

int
ge_bpe_join(struct ge_bpe *b, int32_t left, int32_t right, int32_t both,
    struct ge_err *e)
{
	struct ge_bpe_merge *m;

	if (ge_grow(&b->merge, &b->capmerges, b->nmerges + 1,
	    sizeof(*b->merge), e) == -1)
		return (-1);
	m = &b->merge[b->nmerges++];
	m->left = left;
	m->right = right;
	m->both = both;
	return (0);
}

static const uint8_t *
bytes_of(const struct ge_bpe *b, int32_t id)
{

	return (b->bytes + b->token[id].off);
}

/* The place of a pair, or where it would go. */
static uint32_t *
pair_slot(const struct ge_bpe *b, int32_t left, int32_t right)
{
	const struct ge_bpe_merge *m;
	size_t i;

	for (i = hash_pair(left, right) & (b->npair - 1); b->pair[i] != 0;
	    i = (i + 1) & (b->npair - 1)) {
		m = &b->merge[b->pair[i] - 1];
		if (m->left == left && m->right == right)
			break;
	}
	return (&b->pair[i]);
}

static uint32_t *
piece_slot(const struct ge_bpe *b, const uint8_t *s, size_t len)
{
	const struct ge_bpe_token *t;
	size_t i;

	for (i = hash_bytes(s, len) & (b->npiece - 1); b->piece[i] != 0;
	    i = (i + 1) & (b->npiece - 1)) {
		t = &b->token[b->piece[i] - 1];
		if (t->len == len && memcmp(b->bytes + t->off, s, len) == 0)
			break;
	}
	return (&b->piece[i]);
}

static size_t
power_over(size_t n)
{
	size_t p = 16;

	while (p < 2 * n)
		p *= 2;
	return (p);
}

void
ge_bpe_release(struct ge_bpe *b)
{

	ge_free(b->token);
	ge_free(b->bytes);
	ge_free(b->merge);
	ge_free(b->pair);
	ge_free(b->piece);
	memset(b, 0, sizeof(*b));
}

/* The number of the merge of two neighbours; UINT32_MAX: none. */
static uint32_t
rank(const struct ge_bpe *b, int32_t left, int32_t right)
{

	return (*pair_slot(b, left, right) - 1);
}

/* In place: id becomes the tokens, of which there are fewer. */
static size_t
merge_short(const struct ge_bpe *b, int32_t *id, size_t n)
{
	uint32_t r[SHORT], best;
	size_t i, at;

	for (i = 0; i + 1 < n; i++)
		r[i] = rank(b, id[i], id[i + 1]);
	while (n > 1) {
		best = UINT32_MAX;
		for (i = at = 0; i + 1 < n; i++)
			if (r[i] < best) {
				best = r[i];
				at = i;
			}
		if (best == UINT32_MAX)
			break;
		id[at] = b->merge[best].both;
		n--;
		memmove(id + at + 1, id + at + 2, (n - at - 1) * sizeof(*id));
		memmove(r + at, r + at + 1, (n - at) * sizeof(*r));
		if (at + 1 < n)
			r[at] = rank(b, id[at], id[at + 1]);
		if (at > 0)
			r[at - 1] = rank(b, id[at - 1], id[at]);
	}
	return (n);
}

/*
 * The same for long pieces: a heap of pairs, lowest rank first, then leftmost.
 */
struct long_pair {
	uint32_t rank, at;
	int32_t left, right;
};

struct long_piece {
	struct long_pair *heap;
	size_t n, cap;
	int32_t *id;			/* -1: joined to the one before */
	uint32_t *before, *after;
};

static int
less(const struct long_pair *a, const struct long_pair *b)
{

	return (a->rank != b->rank ? a->rank < b->rank : a->at < b->at);
}

static int
push(const struct ge_bpe *b, struct long_piece *l, uint32_t at, uint32_t end,
    struct ge_err *e)
{
	struct long_pair p;
	size_t i;

	if (at == UINT32_MAX || l->after[at] >= end)
		return (0);
	p.at = at;
	p.left = l->id[at];
	p.right = l->id[l->after[at]];
	if ((p.rank = rank(b, p.left, p.right)) == UINT32_MAX)
		return (0);
	if (ge_grow(&l->heap, &l->cap, l->n + 1, sizeof(*l->heap), e) == -1)
		return (-1);
	for (i = l->n++; i > 0 && less(&p, &l->heap[(i - 1) / 2]);
	    i = (i - 1) / 2)
		l->heap[i] = l->heap[(i - 1) / 2];
	l->heap[i] = p;
	return (0);
}

static struct long_pair
pop(struct long_piece *l)
{
	struct long_pair top = l->heap[0], p = l->heap[--l->n];
	size_t i = 0, c;

	for (; (c = 2 * i + 1) < l->n; i = c) {
		c += c + 1 < l->n && less(&l->heap[c + 1], &l->heap[c]);
		if (!less(&l->heap[c], &p))
			break;
		l->heap[i] = l->heap[c];
	}
	if (l->n > 0)
		l->heap[i] = p;
	return (top);
}

static int
merge_long(const struct ge_bpe *b, int32_t *id, size_t *n, struct ge_err *e)
{
	struct long_piece l = { .id = id };
	struct long_pair p;
	uint32_t i, end = (uint32_t)*n, o;
	int rc = -1;

	if ((l.before = ge_alloc(*n * sizeof(*l.before), e)) == NULL ||
	    (l.after = ge_alloc(*n * sizeof(*l.after), e)) == NULL)
		goto out;
	for (i = 0; i < end; i++) {
		l.before[i] = i - 1;
		l.after[i] = i + 1;
	}
	for (i = 0; i < end; i++)
		if (push(b, &l, i, end, e) == -1)
			goto out;
	while (l.n > 0) {
		p = pop(&l);
		o = l.after[p.at];
		if (id[p.at] != p.left || o >= end || id[o] != p.right)
			continue;
		id[p.at] = b->merge[p.rank].both;
		id[o] = -1;
		l.after[p.at] = l.after[o];
		if (l.after[o] < end)
			l.before[l.after[o]] = p.at;
		if (push(b, &l, p.at, end, e) == -1 ||
		    push(b, &l, l.before[p.at], end, e) == -1)
			goto out;
	}
	for (i = o = 0; i < end; i++)
		if (id[i] != -1)
			id[o++] = id[i];
	*n = o;
	rc = 0;
out:
	ge_free(l.heap);
	ge_free(l.before);
	ge_free(l.after);
	return (rc);
}

/* The tokens of one piece at id, which has room for len. */
static int
merge(const struct ge_bpe *b, const uint8_t *s, size_t len, int32_t *id,
    size_t *n, struct ge_err *e)
{
	size_t i;

	for (i = *n = 0; i < len; i++)
		if ((id[*n] = b->byte[s[i]]) != -1)
			++*n;
	if (*n > SHORT)
		return (merge_long(b, id, n, e));
	*n = merge_short(b, id, *n);
	return (0);
}

/*
 * Whether all of a piece is looked up: the merges are to make the same of it.
 */
static int
look_alone(struct ge_bpe *b, size_t token, struct ge_err *e)
{
	struct ge_bpe_token *t = &b->token[token];
	int32_t few[SHORT], *id = few;
	size_t n;
	int rc = 0;

	t->alone = b->whole;
	if (t->special || t->len == 0 || b->whole)
		return (0);
	if (t->len > SHORT && (id = ge_alloc(t->len * sizeof(*id), e)) == NULL)
		return (-1);
	rc = merge(b, b->bytes + t->off, t->len, id, &n, e);
	t->alone = rc == 0 && n == 1 && id[0] == (int32_t)token;
	if (id != few)
		ge_free(id);
	return (rc);
}

static int
ready_tokens(struct ge_bpe *b, struct ge_err *e)
{
	const struct ge_bpe_token *t;
	uint32_t *slot;
	int missing = 0;
	size_t i;

	for (i = 0; i < 256; i++)
		b->byte[i] = -1;
	for (i = 0; i < b->ntokens; i++) {
		t = &b->token[i];
		if (t->special || t->len == 0)
			continue;
		if (t->len == 1)
			b->byte[b->bytes[t->off]] = (int32_t)i;
		slot = piece_slot(b, b->bytes + t->off, t->len);
		if (*slot != 0)
			return (ge_fail(e, GE_EREFUSED, "tokens %u and %zu are "
			    "the same", *slot - 1, i));
		*slot = (uint32_t)i + 1;
	}
	for (i = 0; i < 256; i++)
		if (b->byte[i] == -1 && ++missing > b->missing)
			return (ge_fail(e, GE_EREFUSED, "the byte %zu has no "
			    "token", i));
	return (0);
}

/* A token that text can have. */
static int
is_of_text(const struct ge_bpe *b, int32_t id)
{

	return (id >= 0 && (size_t)id < b->ntokens && b->token[id].len > 0 &&
	    !b->token[id].special);
}

static int
ready_merges(struct ge_bpe *b, struct ge_err *e)
{
	const struct ge_bpe_merge *m;
	uint32_t *slot, l, r;
	size_t i;

	for (i = 0; i < b->nmerges; i++) {
		m = &b->merge[i];
		if (!is_of_text(b, m->left) || !is_of_text(b, m->right) ||
		    !is_of_text(b, m->both))
			return (ge_fail(e, GE_EREFUSED, "merge %zu is of no "
			    "tokens of text", i));
		slot = pair_slot(b, m->left, m->right);
		if (*slot != 0)
			return (ge_fail(e, GE_EREFUSED, "merge %zu comes "
			    "twice", i));
		l = b->token[m->left].len;
		r = b->token[m->right].len;
		if (l + r != b->token[m->both].len || memcmp(bytes_of(b,
		    m->both), bytes_of(b, m->left), l) != 0 ||
		    memcmp(bytes_of(b, m->both) + l, bytes_of(b, m->right),
		    r) != 0)
			return (ge_fail(e, GE_EREFUSED, "merge %zu does not "
			    "make its token", i));
		*slot = (uint32_t)i + 1;
	}
	return (0);
}

int
ge_bpe_ready(struct ge_bpe *b, struct ge_err *e)
{
	size_t i;

	b->npair = power_over(b->nmerges);
	b->npiece = power_over(b->ntokens);
	if ((b->pair = ge_alloc(b->npair * sizeof(*b->pair), e)) == NULL ||
	    (b->piece = ge_alloc(b->npiece * sizeof(*b->piece), e)) == NULL ||
	    ready_tokens(b, e) == -1 || ready_merges(b, e) == -1)
		return (-1);
	for (i = 0; i < b->ntokens; i++)
		if (look_alone(b, i, e) == -1)
			return (-1);
	return (0);
}

int
ge_bpe_encode(const struct ge_bpe *b, const uint8_t *s, size_t len,
    int32_t **out, size_t *n, size_t *cap, struct ge_err *e)
{
	size_t at, now, made;
	uint32_t whole;

	for (at = 0; at < len; at += now) {
		now = ge_split_next(b->split, s + at, len - at);
		if (ge_grow(out, cap, *n + now, sizeof(**out), e) == -1)
			return (-1);
		whole = *piece_slot(b, s + at, now);
		if (whole != 0 && b->token[whole - 1].alone) {
			(*out)[(*n)++] = (int32_t)whole - 1;
			continue;
		}
		if (merge(b, s + at, now, *out + *n, &made, e) == -1)
			return (-1);
		*n += made;
	}
	return (0);
}

const uint8_t *
ge_bpe_bytes(const struct ge_bpe *b, int32_t token, size_t *len)
{

	*len = b->token[token].len;
	return (bytes_of(b, token));
}

void
ge_bpe_visible(char *out, const uint8_t *s, size_t len)
{
	uint32_t c;
	size_t i;

	for (i = 0; i < len; i++) {
		c = s[i];
		if (c <= 0x20)
			c += 0x100;
		else if (c >= 0x7f && c <= 0xa0)
			c += 0x121 - 0x7f;
		else if (c == 0xad)
			c = 0x143;
		if (c >= 0x80) {
			*out++ = (char)(0xc0 | c >> 6);
			c = 0x80 | (c & 0x3f);
		}
		*out++ = (char)c;
	}
	*out = '\0';
}

char *
ge_bpe_show(const struct ge_bpe *b, int32_t token, struct ge_err *e)
{
	size_t len;
	const uint8_t *s = ge_bpe_bytes(b, token, &len);
	char *out;

	if ((out = ge_alloc(2 * len + 1, e)) == NULL)
		return (NULL);
	if (b->token[token].special)
		memcpy(out, s, len);
	else
		ge_bpe_visible(out, s, len);
	return (out);
}

uint8_t
ge_bpe_gpt2_byte(int i)
{
	/* What prints comes first: ! to ~, then two ranges of Latin-1. */
	if (i < 94)
		return ((uint8_t)(i + '!'));
	if (i < 106)
		return ((uint8_t)(i - 94 + 0xa1));
	if (i < 188)
		return ((uint8_t)(i - 106 + 0xae));
	if (i < 221)
		return ((uint8_t)(i - 188));
	return (i < 255 ? (uint8_t)(i - 221 + 0x7f) : 0xad);
}
