/*
 * lib/model/complete.c, sampling.c, lib/util/quote.c: what follows a prompt is what the
 * model says, in whole characters; scores are those of each token by itself.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/complete.h"
#include "model/ops.h"
#include "util/mem.h"
#include "util/quote.h"

#define UNIT "complete"
#include "check.h"

enum {
	END = 256, VOCAB = 257, LEN = 150
};

static struct ge_err e;
static struct ge_bpe bpe;
static void *
need(void *p)
{

	if (p != NULL)
		return (p);
	printf("# %s\n", e.msg);
	exit(1);
}

/* Each byte is the token of its number. */
static void
make_bpe(void)
{
	uint8_t c;
	int i;

	for (i = 0; i < 256; i++) {
		c = (uint8_t)i;
		if (ge_bpe_add(&bpe, &c, 1, 0, &e) != i)
			exit(1);
	}
	if (ge_bpe_add(&bpe, "<end>", 5, 1, &e) != END ||
	    ge_bpe_ready(&bpe, &e) == -1)
		exit(1);
	bpe.begin = -1;
	bpe.end = END;
}

/*
 * A model that knows of each token the next, all others alike: its layer adds nothing,
 * tokens are apart from each other, and the head tells how sure it is, in nats.
 */
static struct ge_infer *
chain(const int *next, double sure, size_t ctx)
{
	const struct ge_llama_dims d = { VOCAB, VOCAB, 1, 1, 1, 2, 1, ctx, 0,
	    10000, 0, { 0, 0, 0, 0 } };
	size_t n = ge_llama_params(&d), i, j;
	struct ge_infer *s;
	struct ge_tensor t;
	float *p;

	p = need(ge_alloc(n * sizeof(*p), &e));
	for (i = 0; ge_llama_tensor(&d, i, &t); i++) {
		if (strcmp(t.name, "model.embed_tokens.weight") == 0)
			for (j = 0; j < VOCAB; j++)
				p[t.off + j * VOCAB + j] = 1;
		if (strcmp(t.name, "lm_head.weight") == 0)
			for (j = 0; j < VOCAB; j++)
				p[t.off + (size_t)next[j] * VOCAB + j] =
				    (float)(sure / sqrt(VOCAB));
		if (strcmp(t.name, "model.norm.weight") == 0)
			for (j = 0; j < VOCAB; j++)
				p[t.off + j] = 1;
	}
	s = need(ge_infer_new(&d, p, GE_F32, ctx, NULL, &e));
	ge_free(p);
	return (s);
}

/* Bytes that follow each other; the last is the last of all. */
static void
follow(int *next, const uint8_t *s, size_t len)
{
	size_t i;

	for (i = 0; i < VOCAB; i++)
		next[i] = END;
	for (i = 0; i + 1 < len; i++)
		next[s[i]] = s[i + 1];
}

static uint8_t seen[1000];
static size_t nseen;
static int whole;

static int
see(void *arg, const uint8_t *s, size_t len, struct ge_err *why)
{

	(void)arg;
	(void)why;
	whole &= len > 0 && ge_utf8_check(s, len) == len;
	memcpy(seen + nseen, s, len);
	nseen += len;
	return (0);
}

static int
gives(struct ge_completer *c, const char *prompt, const char *want,
    enum ge_why why, size_t tokens)
{

	nseen = 0;
	if (ge_complete(c, (const uint8_t *)prompt, strlen(prompt), 0, &e) ==
	    -1) {
		printf("# %s\n", e.msg);
		return (0);
	}
	if (c->len != strlen(want) || memcmp(c->text, want, c->len) != 0 ||
	    c->why != why || c->tokens != tokens || nseen != c->len ||
	    memcmp(seen, want, nseen) != 0) {
		printf("# '%s': '%.*s', %zu tokens, %d\n", prompt, (int)c->len,
		    (char *)c->text, c->tokens, (int)c->why);
		return (0);
	}
	return (1);
}

static void
test_text(void)
{
	static const uint8_t path[] = "ab\xc3\xa9" "c\xff" "d\xe2\x82"
	    "e\xf0\x9f\x98\x80" "fg\xe3";
	static const struct ge_stop stop[] = { { (const uint8_t *)"gz", 2 },
	    { (const uint8_t *)"fg", 2 }, { (const uint8_t *)"e\xf0", 2 } };
	struct ge_completer c;
	int next[VOCAB], good;

	memset(&c, 0, sizeof(c));
	follow(next, path, sizeof(path) - 1);
	next[0x82] = 'e';
	next['!'] = '!';
	c.infer = chain(next, 30, 8);
	c.bpe = &bpe;
	c.ctx = 8;
	c.vocab = VOCAB;
	c.first = -1;
	c.empty = 'e';
	c.length = 100;
	c.emit = see;
	whole = 1;
	check(gives(&c, "xa", "b\xc3\xa9" "c\xef\xbf\xbd" "d\xef\xbf\xbd"
	    "e\xf0\x9f\x98\x80" "fg", GE_WHY_END, 17),
	    "characters whole, what is none replaced, a rest dropped");
	check(gives(&c, "", "\xf0\x9f\x98\x80" "fg", GE_WHY_END, 8),
	    "an empty prompt begins with a token");
	good = 1;
	for (c.length = 1; c.length <= 3; c.length++)
		good &= gives(&c, "e", "", GE_WHY_LENGTH, c.length);
	check(good && gives(&c, "e", "\xf0\x9f\x98\x80", GE_WHY_LENGTH, 4),
	    "the length, no half of a character");
	c.length = 100;
	c.stop = stop;
	c.nstop = 1;
	check(gives(&c, "e", "\xf0\x9f\x98\x80" "fg", GE_WHY_END, 8),
	    "half of a stop is text");
	c.nstop = 3;
	check(gives(&c, "e", "\xf0\x9f\x98\x80", GE_WHY_STOP, 6),
	    "a stop ends it and is no part of it");
	c.nstop = 0;
	c.first = 'a';
	check(gives(&c, "", "b\xc3\xa9" "c\xef\xbf\xbd" "d\xef\xbf\xbd"
	    "e\xf0\x9f\x98\x80" "fg", GE_WHY_END, 17),
	    "what begins a text comes first");
	c.length = 40;
	check(gives(&c, "!", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
	    GE_WHY_LENGTH, 40) && gives(&c, "0123456789012345678e",
	    "\xf0\x9f\x98\x80" "fg", GE_WHY_END, 8),
	    "longer than the context");
	check(whole, "emitted in whole characters");
	c.first = c.empty = -1;
	check(ge_complete(&c, NULL, 0, 0, &e) == -1 && e.code == GE_EUSAGE,
	    "nothing to begin with");
	ge_complete_release(&c);
	ge_infer_free(c.infer);
}

/* Each token costs by itself: all of them are scored, and once. */
static void
test_score(void)
{
	uint8_t text[LEN];
	int next[VOCAB];
	struct ge_completer c;
	struct ge_score sc;
	double sure = 3, miss = log(exp(sure) + VOCAB - 1), want = 0;
	size_t i, ctx, n = 0;
	int good = 1;

	memset(&c, 0, sizeof(c));
	for (i = 0; i < VOCAB; i++)
		next[i] = (int)(i + 1) % 7 + 'a';
	for (i = 0; i < LEN; i++)
		text[i] = i % 3 == 0 || i == 0 ? (uint8_t)('a' + i % 7) :
		    (uint8_t)next[text[i - 1]];
	c.bpe = &bpe;
	c.vocab = VOCAB;
	c.first = -1;
	c.empty = END;
	for (i = 0; i < LEN; i++)
		want += miss - (next[i == 0 ? END : text[i - 1]] == text[i] ?
		    sure : 0);
	for (ctx = 2; ctx < LEN + 20; ctx += ctx / 2 + 1) {
		c.infer = chain(next, sure, ctx);
		c.ctx = ctx;
		good &= ge_score(&c, GE_RULE_HALF, text, LEN, &sc, &e) == 0 &&
		    sc.tokens == LEN && sc.bytes == LEN &&
		    fabs(sc.nats - want) < 1e-4 * want;
		if (ctx == 14) {
			for (want = 0, i = 0; i < LEN / 14 * 14; i++) {
				if (i % 14 <= 7)
					continue;
				n++;
				want += miss - (next[text[i - 1]] == text[i] ?
				    sure : 0);
			}
			check(ge_score(&c, GE_RULE_LLAMACPP, text, LEN, &sc,
			    &e) == 0 && sc.tokens == n && sc.bytes == n &&
			    fabs(sc.nats - want) < 1e-4 * want,
			    "the second half of each context");
			for (want = 0, i = 0; i < LEN; i++)
				want += miss - (next[i == 0 ? END :
				    text[i - 1]] == text[i] ? sure : 0);
		}
		ge_infer_free(c.infer);
	}
	check(good, "every token scored once");
	c.infer = chain(next, sure, LEN + 1);
	c.ctx = LEN + 1;
	check(ge_score(&c, GE_RULE_LLAMACPP, text, LEN, &sc, &e) == -1 &&
	    e.code == GE_EUSAGE, "a text shorter than the context");
	ge_complete_release(&c);
	ge_infer_free(c.infer);
}

/* -ln p of token[i + 1] after token[from..i]. */
static double
alone(struct ge_infer *s, const int32_t *token, size_t from, size_t i)
{
	float row[VOCAB];

	ge_infer_reset(s);
	memcpy(row, ge_infer_feed(s, token + from, i + 1 - from), sizeof(row));
	return ((double)ge_ops()->loss(row, VOCAB, (size_t)token[i + 1], 0));
}

/* The likeliest tokens behind the prompt, each from all that it may see. */
static int
continues(struct ge_completer *c, const char *prompt, int head)
{
	int32_t token[LEN];
	const float *logits;
	size_t n = strlen(prompt), i, j, from = 0, most;

	c->first = head;
	if (ge_complete(c, (const uint8_t *)prompt, n, 0, &e) == -1)
		return (0);
	for (i = 0; i < n; i++)
		token[i] = (uint8_t)prompt[i];
	for (i = 0; i < c->length; i++, n++) {
		if (n - from + (head >= 0) > c->ctx)
			from = n - c->ctx / 2;
		ge_infer_reset(c->infer);
		if (head >= 0)
			ge_infer_feed(c->infer, &head, 1);
		logits = ge_infer_feed(c->infer, token + from, n - from);
		for (most = j = 0; j < c->vocab; j++)
			if (logits[j] > logits[most])
				most = j;
		if (c->text[i] != most)
			return (0);
		token[n] = (int32_t)most;
	}
	return (c->len == c->length);
}

/* With a model that looks back, what each token sees. */
static void
test_context(void)
{
	enum { CTX = 20 };
	const struct ge_llama_dims d = { VOCAB, 16, 2, 2, 1, 8, 24, CTX, 1,
	    10000, 1e-5f, { 0, 0, 0, 0 } };
	size_t n = ge_llama_params(&d), i, from;
	int32_t token[LEN + 1] = { END };
	uint8_t text[LEN];
	struct ge_completer c;
	struct ge_score half, cpp;
	double want = 0, other = 0;
	float *p;

	memset(&c, 0, sizeof(c));
	srand(3);
	p = need(ge_alloc(n * sizeof(*p), &e));
	for (i = 0; i < n; i++)
		p[i] = (float)(rand() % 2001 - 1000) / 1500;
	for (i = 0; i < LEN; i++)
		token[i + 1] = text[i] = (uint8_t)(rand() % 128);
	c.infer = need(ge_infer_new(&d, p, GE_F32, CTX, NULL, &e));
	c.bpe = &bpe;
	c.vocab = VOCAB;
	c.ctx = CTX;
	c.first = -1;
	c.empty = END;
	for (i = 0; i < LEN; i++) {
		from = i < CTX ? 0 : (i - CTX) / (CTX / 2) * (CTX / 2) +
		    CTX / 2;
		want += alone(c.infer, token, from, i);
		if (i / CTX < LEN / CTX && i % CTX >= CTX / 2 &&
		    i % CTX < CTX - 1)
			other += alone(c.infer, token + 1, i / CTX * CTX, i);
	}
	check(ge_score(&c, GE_RULE_HALF, text, LEN, &half, &e) == 0 &&
	    fabs(half.nats - want) < 1e-9 * want, "half of the context at least");
	check(ge_score(&c, GE_RULE_LLAMACPP, text, LEN, &cpp, &e) == 0 &&
	    fabs(cpp.nats - other) < 1e-9 * other, "as llama.cpp does");
	c.first = token[0] = token[CTX] = token[2 * CTX] = 'q';
	for (i = 0; i + 1 < LEN; i++)
		token[i + 1] = text[i];
	for (i = CTX; i <= LEN; i += CTX)
		token[i] = 'q';
	for (other = 0, i = 0; i < LEN / CTX * CTX; i++)
		if (i % CTX >= CTX / 2 && i % CTX < CTX - 1)
			other += alone(c.infer, token, i / CTX * CTX, i);
	check(ge_score(&c, GE_RULE_LLAMACPP, text, LEN, &cpp, &e) == 0 &&
	    fabs(cpp.nats - other) < 1e-9 * other,
	    "as llama.cpp does where a text begins with a token");
	c.vocab = 128;
	c.length = 100;
	check(continues(&c, "begun", -1) && continues(&c, "begun", 'q'),
	    "a full context begins anew with its last half");
	ge_complete_release(&c);
	ge_infer_free(c.infer);
	ge_free(p);
}

enum {
	KINDS = 6, DRAWS = 40000
};

/* Draws against probabilities p, of which they sum to what is kept. */
static int
drawn(struct ge_sampling s, const double *p)
{
	static const float logits[KINDS] = { 1, 3, -2, 3, 0.5f, 2 };
	float scratch[KINDS];
	uint32_t order[KINDS];
	int count[KINDS] = { 0 }, i, good = 1;
	double sigma;

	for (i = 0; i < DRAWS; i++) {
		ge_sampling_seed(&s, 5, (uint64_t)i);
		count[ge_sampling_next(&s, logits, KINDS, scratch, order)]++;
	}
	for (i = 0; i < KINDS; i++) {
		sigma = sqrt(DRAWS * p[i] * (1 - p[i]));
		good &= fabs(count[i] - DRAWS * p[i]) <= 5 * sigma + 1e-6;
	}
	return (good);
}

static void
test_sampling(void)
{
	/* exp(l / 2) over their sum, with Python. */
	static const double half[] = { 0.11004471, 0.29913252, 0.02455429,
	    0.29913252, 0.0857029, 0.18143305 };
	struct ge_sampling s = { 2, 1, 0, 0 };
	double p[KINDS];
	float logits[3] = { 1, 2, NAN }, scratch[3];
	uint32_t order[3];
	size_t i;

	for (i = 0; i < KINDS; i++)
		p[i] = half[i];
	check(drawn(s, p), "drawn as often as the model says");
	s.top_k = 3;
	for (i = 0; i < KINDS; i++)
		p[i] = i == 1 || i == 3 || i == 5 ? half[i] / (half[1] +
		    half[3] + half[5]) : 0;
	check(drawn(s, p), "of the likeliest three");
	s.top_k = 0;
	s.top_p = 0.7f;
	check(drawn(s, p), "of those that make up 0.7");
	s.top_k = 3;
	s.top_p = 0.4f;
	for (i = 0; i < KINDS; i++)
		p[i] = i == 1 || i == 3 ? 0.5 : 0;
	check(drawn(s, p), "of those that make up 0.4 of the likeliest three");
	s.top_k = 1;
	p[1] = 1;
	p[3] = 0;
	check(drawn(s, p), "of equal ones the first is the likelier");
	s.top_k = 0;
	s.top_p = 0;
	check(drawn(s, p), "one at least");
	s.temperature = 0;
	s.top_p = 1;
	check(drawn(s, p), "temperature 0");
	check(ge_sampling_next(&s, logits, 3, scratch, order) == -1,
	    "no number");
}

static void
test_quote(void)
{
	static const char text[] = "a\\b\n\t\033\177\"\xc3\xa9";
	static const char line[] = "a\\\\b\\n\\t\\0033\\0177\"\xc3\xa9";
	static const char json[] = "\"a\\\\b\\n\\u0009\\u001b\\u007f\\\"\xc3\xa9\"";
	uint8_t *to = NULL, every[256], back[256], plain[8];
	size_t n = 0, cap = 0, i;
	int good;

	good = ge_quote_line((const uint8_t *)text, strlen(text), &to, &n, &cap,
	    &e) == 0 && n == strlen(line) && memcmp(to, line, n) == 0;
	n = 0;
	good &= ge_quote_json((const uint8_t *)text, strlen(text), &to, &n,
	    &cap, &e) == 0 && n == strlen(json) && memcmp(to, json, n) == 0;
	check(good, "on one line");
	for (i = 0; i < 256; i++)
		every[i] = (uint8_t)i;
	n = 0;
	if (ge_quote_line(every, 256, &to, &n, &cap, &e) == -1 ||
	    ge_grow(&to, &cap, n + 1, 1, &e) == -1)
		exit(1);
	to[n] = '\0';
	good = memchr(to, '\n', n) == NULL &&
	    ge_unquote((char *)to, back) == 256 && memcmp(back, every, 256) == 0;
	n = ge_unquote("\\q\\0477\\", plain);
	good &= n == 8 && memcmp(plain, "\\q\\0477\\", n) == 0;
	check(good, "and back");
	ge_free(to);
}

int
main(void)
{

	make_bpe();
	test_text();
	test_score();
	test_context();
	test_sampling();
	test_quote();
	ge_bpe_release(&bpe);
	return (bad);
}
