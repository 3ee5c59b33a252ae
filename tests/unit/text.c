/*
 * lib/data/text.c and bpe*.c: well-formed UTF-8, pieces, pairs learnt and applied, by
 * definition and by hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/bpe.h"
#include "util/mem.h"

#define UNIT "text"
#include "check.h"

static void
test_utf8(void)
{
	static const struct { const char *s; size_t good; } some[] = {
		{ "abc", 3 }, { "\xc3\xa9t\xc3\xa9", 5 }, { "a\xc0\x80", 1 },
		{ "\xe0\x9f\xbf", 0 }, { "\xed\xa0\x80", 0 },
		{ "\xef\xbf\xbf", 3 }, { "\xf0\x8f\xbf\xbf", 0 },
		{ "\xf4\x8f\xbf\xbf", 4 }, { "\xf4\x90\x80\x80", 0 },
		{ "ab\xe2\x82", 2 }, { "\x80", 0 }, { "x\xff", 1 },
		{ "\xe2\x82\xac\xe2\x28\xa1", 3 }
	};
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		good &= ge_utf8_check((const uint8_t *)some[i].s,
		    strlen(some[i].s)) == some[i].good;
	check(good, "what is well-formed UTF-8, and up to where");
}

/* Text with | where it is to be cut. */
static int
cuts(enum ge_split kind, const char *with)
{
	char s[256];
	size_t n = 0, at, now;
	const char *p;

	for (p = with; *p != '\0'; p++)
		if (*p != '|')
			s[n++] = *p;
	for (at = 0, p = with; at < n; at += now) {
		now = ge_split_next(kind, (uint8_t *)s + at, n - at);
		if (now == 0 || strcspn(p, "|") != now) {
			printf("# %s: at %zu %zu\n", with, at, now);
			return (0);
		}
		p += now + (p[now] == '|');
	}
	return (*p == '\0');
}

static void
test_split(void)
{
	static const char *const gpt2[] = { "It|'s| 2024|,| isn|'t| it|?",
	    "l|'|\xc3\xa9t\xc3\xa9| d|'|une| ann\xc3\xa9" "e", "a|  | b",
	    "a| \n\n|\t|b", "x|   ", "1234567| 89", "I|'|M| we|'ll|'ve|'re",
	    "\xc2\xa0|a|\xe2\x80\xa8", "\xe4\xb8\xad\xe6\x96\x87|\xef\xbc\x8c| !?",
	    "\xc2\xbd|x", "e|\xcc\x81", " \n" };
	static const char *const llama3[] = { "It|'S| |202|4|,| isn|'t",
	    "a|  | b", "a| \n\n|\tb", "(abc|).\n\n|x", "x| \n| y",
	    "1|-|1", " |123|456|7", "'\xc5\xbf|a", "I|'m|n", "\r\n|a" };
	static const char *const smollm[] = { "in| |1|8|7|1|,| x|2|y", "a|  |1",
	    "a| | -|1| |\xc2\xbd| b", " |7", "\n |3", "I|'ve|2|'s|  | a" };
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(gpt2) / sizeof(gpt2[0]); i++)
		good &= cuts(GE_SPLIT_GPT2, gpt2[i]);
	check(good, "pieces as of GPT-2");
	good = 1;
	for (i = 0; i < sizeof(llama3) / sizeof(llama3[0]); i++)
		good &= cuts(GE_SPLIT_LLAMA3, llama3[i]);
	check(good, "pieces as of Llama 3");
	good = 1;
	for (i = 0; i < sizeof(smollm) / sizeof(smollm[0]); i++)
		good &= cuts(GE_SPLIT_SMOLLM, smollm[i]);
	check(good, "pieces as of SmolLM");
}

/* By definition: of all pairs that merge the first in rank, then the leftmost. */
static size_t
by_definition(const struct ge_bpe *b, int32_t *id, size_t n)
{
	size_t i, m, at, best;

	for (;;) {
		best = b->nmerges;
		for (i = at = 0; i + 1 < n; i++)
			for (m = 0; m < best; m++)
				if (b->merge[m].left == id[i] &&
				    b->merge[m].right == id[i + 1]) {
					best = m;
					at = i;
				}
		if (best == b->nmerges)
			return (n);
		id[at] = b->merge[best].both;
		n--;
		memmove(id + at + 1, id + at + 2, (n - at - 1) * sizeof(*id));
	}
}

static int
encodes(const struct ge_bpe *b, const uint8_t *s, size_t len)
{
	int32_t *id = NULL, want[4096];
	size_t n = 0, cap = 0, at, now, i, w = 0;
	struct ge_err e;
	int good;

	if (ge_bpe_encode(b, s, len, &id, &n, &cap, &e) == -1)
		exit(1);
	for (at = 0; at < len; at += now) {
		now = ge_split_next(b->split, s + at, len - at);
		for (i = 0; i < now; i++)
			want[w + i] = b->byte[s[at + i]];
		w += by_definition(b, want + w, now);
	}
	good = n == w && memcmp(id, want, n * sizeof(*id)) == 0;
	ge_free(id);
	return (good);
}

static int
learn(struct ge_bpe *b, const char *const *doc, size_t n, size_t vocab,
    int backwards)
{
	struct ge_bpe_count *c;
	struct ge_err e;
	size_t i;
	const char *d;

	if ((c = ge_bpe_count_new(GE_SPLIT_GPT2, &e)) == NULL)
		exit(1);
	for (i = 0; i < n; i++) {
		d = doc[backwards ? n - 1 - i : i];
		if (ge_bpe_count_add(c, (const uint8_t *)d, strlen(d), &e) ==
		    -1)
			exit(1);
	}
	if (ge_bpe_train(b, c, vocab, &e) == -1) {
		printf("# %s\n", e.msg);
		exit(1);
	}
	ge_bpe_count_free(c);
	return (1);
}

static int
token_is(const struct ge_bpe *b, size_t i, const char *s)
{

	return (i < b->ntokens && b->token[i].len == strlen(s) && memcmp(
	    b->bytes + b->token[i].off, s, strlen(s)) == 0);
}

static void
test_hand(void)
{
	static const char *const doc[] = { "low low low low low lower lower "
	    "newest newest newest newest newest newest widest widest widest" };
	struct ge_bpe b;

	/*
	 * "es" and "st" come 9 times each, and of the two the smaller numbers win: e
	 * is 68, s is 82, so es; then est, then " low" by and by.
	 */
	learn(&b, doc, 1, 256 + 4 + 1, 0);
	check(b.ntokens == 261 && token_is(&b, 256, "es") &&
	    token_is(&b, 257, "est") && token_is(&b, 258, "lo") &&
	    token_is(&b, 259, "low") && token_is(&b, 260, "<|endoftext|>") &&
	    b.end == 260 && b.token[260].special, "the textbook's example");
	ge_bpe_release(&b);
	learn(&b, doc, 1, 5000, 0);
	check(b.ntokens < 300 && encodes(&b, (const uint8_t *)" newest", 7),
	    "no more tokens than pairs that come twice");
	ge_bpe_release(&b);
}

static void
test_random(void)
{
	static char text[40][1200];
	const char *doc[40];
	struct ge_bpe b, c;
	size_t i, j, len;
	uint8_t s[3000];
	int good = 1;

	for (i = 0; i < 40; i++) {
		len = draw(1100);
		for (j = 0; j < len; j++)
			text[i][j] = "aaabbc  d'\n"[draw(11)];
		text[i][len] = '\0';
		doc[i] = text[i];
	}
	learn(&b, doc, 40, 400, 0);
	learn(&c, doc, 40, 400, 1);
	check(b.ntokens == c.ntokens && b.nbytes == c.nbytes && memcmp(b.bytes,
	    c.bytes, b.nbytes) == 0, "the same whatever the order");
	for (i = 0; i < 60; i++) {
		len = 1 + draw(i % 3 == 0 ? 2999 : 200);
		/* Some pieces long, most short. */
		for (j = 0; j < len; j++)
			s[j] = (uint8_t)(i % 3 == 0 ? "ab"[draw(2)] :
			    "aabcd '"[draw(7)]);
		good &= encodes(&b, s, len);
	}
	check(good, "tokens by definition, of short pieces and long");
	ge_bpe_release(&b);
	ge_bpe_release(&c);
}

/* "bc" goes before "ab", so that merges never make "abc"; looking it up does. */
static void
test_whole(void)
{
	static const char *const more[] = { "bc", "ab", "abc" };
	int32_t *id = NULL;
	size_t n, cap = 0;
	struct ge_bpe b;
	struct ge_err e;
	uint8_t c;
	int i, k, good = 1;

	for (i = 0; i < 2; i++) {
		memset(&b, 0, sizeof(b));
		b.whole = i;
		for (k = 0; k < 256; k++) {
			c = (uint8_t)k;
			ge_bpe_add(&b, &c, 1, 0, &e);
		}
		for (k = 0; k < 3; k++)
			ge_bpe_add(&b, more[k], strlen(more[k]), 0, &e);
		ge_bpe_join(&b, 'b', 'c', 256, &e);
		ge_bpe_join(&b, 'a', 'b', 257, &e);
		ge_bpe_join(&b, 257, 'c', 258, &e);
		n = 0;
		good &= ge_bpe_ready(&b, &e) == 0 && ge_bpe_encode(&b,
		    (const uint8_t *)"abc", 3, &id, &n, &cap, &e) == 0;
		good &= i == 0 ? n == 2 && id[0] == 'a' && id[1] == 256 :
		    n == 1 && id[0] == 258;
		ge_bpe_release(&b);
	}
	ge_free(id);
	check(good, "a piece that is a token, merged or looked up");
}

static void
test_refused(void)
{
	struct ge_bpe b;
	struct ge_err e;
	uint8_t c;
	int i, good;

	memset(&b, 0, sizeof(b));
	for (i = 0; i < 255; i++) {
		c = (uint8_t)i;
		ge_bpe_add(&b, &c, 1, 0, &e);
	}
	good = ge_bpe_ready(&b, &e) == -1 && e.code == GE_EREFUSED;
	ge_bpe_release(&b);
	for (i = 0; i < 256; i++) {
		c = (uint8_t)i;
		ge_bpe_add(&b, &c, 1, 0, &e);
	}
	ge_bpe_add(&b, "ab", 2, 0, &e);
	ge_bpe_join(&b, 'a', 'c', 256, &e);
	good &= ge_bpe_ready(&b, &e) == -1 && e.code == GE_EREFUSED;
	ge_bpe_release(&b);
	for (i = 0; i < 257; i++) {
		c = (uint8_t)i;
		ge_bpe_add(&b, &c, 1, 0, &e);
	}
	good &= ge_bpe_ready(&b, &e) == -1 && e.code == GE_EREFUSED;
	ge_bpe_release(&b);
	check(good, "a byte without token, a merge that lies, a token twice");
}

int
main(void)
{

	test_utf8();
	test_split();
	test_hand();
	test_random();
	test_whole();
	test_refused();
	return (bad);
}
