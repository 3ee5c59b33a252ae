/*
 * tokenizer.json, in which @ stands for the vocabulary of the single bytes
 * 0..255 in GPT-2's order: what is accepted keeps what bpe.h says, is written
 * and read again as the same, and gives text back; what is not is refused in
 * one line.
 */
#include <string.h>

#include "data/tokenizer.h"
#include "fuzz.h"
#include "util/mem.h"

enum {
	ENTRY = 24			/* bytes of one of the vocabulary, at most */
};

static char *
expand(const uint8_t *buf, size_t len, size_t *n)
{
	char *out, name[8];
	size_t i, k;
	uint8_t c;
	int q;

	for (i = k = 0; i < len; i++)
		k += buf[i] == '@';
	if ((out = malloc(len + 1 + (k < 4 ? k : 4) * 256 * ENTRY)) == NULL)
		abort();
	for (i = k = *n = 0; i < len; i++) {
		if (buf[i] != '@' || k++ >= 4) {
			out[(*n)++] = (char)buf[i];
			continue;
		}
		for (q = 0; q < 256; q++) {
			c = ge_bpe_gpt2_byte(q);
			ge_bpe_visible(name, &c, 1);
			*n += (size_t)snprintf(out + *n, ENTRY,
			    "%s\"%s%s\":%d", q > 0 ? "," : "", c == '"' ||
			    c == '\\' ? "\\" : "", name, q);
		}
	}
	return (out);
}

static void
gives_back(const struct ge_bpe *b)
{
	static const char text[] = "L'\303\251t\303\251, it's 1234.  \n\n"
	    "\360\237\230\200aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	int32_t *id = NULL;
	size_t n = 0, cap = 0, i, at = 0, len;
	const uint8_t *s;
	struct ge_err e;

	must(ge_bpe_encode(b, (const uint8_t *)text, sizeof(text) - 1, &id, &n,
	    &cap, &e) == 0, "text is encoded");
	for (i = 0; i < n; i++) {
		must(id[i] >= 0 && (size_t)id[i] < b->ntokens &&
		    !b->token[id[i]].special, "a token of text");
		s = ge_bpe_bytes(b, id[i], &len);
		must(b->missing > 0 || (at + len < sizeof(text) &&
		    memcmp(text + at, s, len) == 0), "the bytes of text");
		at += len;
	}
	must(at == sizeof(text) - 1 || b->missing > 0, "all of text");
	ge_free(id);
}

static void
again(const struct ge_bpe *b)
{
	struct ge_bpe c;
	struct ge_err e;
	char *s, *t;
	size_t n, k;

	must(ge_tokenizer_print(b, &s, &n, &e) == 0, "written");
	must(ge_tokenizer_parse(&c, s, n, &e) == 0, "read again");
	must(ge_tokenizer_print(&c, &t, &k, &e) == 0, "written again");
	must(n == k && memcmp(s, t, n) == 0, "the same");
	ge_free(t);
	ge_free(s);
	must(ge_tokenizer_config_print(b, 256, &s, &n, &e) == 0 &&
	    strlen(s) == n, "its configuration");
	ge_free(s);
	ge_bpe_release(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct ge_bpe b;
	struct ge_err e;
	size_t n;
	char *s = expand(buf, len, &n);

	e.code = 0;
	if (ge_tokenizer_parse(&b, s, n, &e) == 0) {
		must(b.begin >= -1 && b.begin < (int32_t)b.ntokens &&
		    b.end >= -1 && b.end < (int32_t)b.ntokens, "its ends");
		gives_back(&b);
		again(&b);
	} else {
		must(e.code == GE_EREFUSED && e.msg[0] != '\0',
		    "code of a bad one");
	}
	ge_bpe_release(&b);
	free(s);
	return (0);
}
