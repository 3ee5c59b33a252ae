/*
 * lib/data/tokenizer.c: the tokens that Hugging Face's own library makes
 * (tokenizer_ids.h), what is written read again, what is refused and why.
 *
 * tokenizer KIND: print the tokenizer.json that contrib/ref/tokenizer-ids asks
 * that library about: a split, or 3, SmolLM's without a token for three bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/tokenizer.h"
#include "tokenizer_ids.h"
#include "util/mem.h"

#define UNIT "tokenizer"
#include "check.h"

static void
must(int rc, const struct ge_err *e)
{

	if (rc != -1)
		return;
	printf("# %s\n", e->msg);
	exit(1);
}

static const char sample[] =
    "La lune blanche luit dans les bois; de chaque branche part une voix sous la "
    "ram\303\251e. L'\303\251tang refl\303\250te, profond miroir, la silhouette du saule "
    "noir o\303\271 le vent pleure. It isn't what they'll have said in 1871 or in 1871, "
    "and we're sure that isn't the end:  the end of the long, long day.\n\n"
    "L'eau de l'\303\251tang, l'eau de la lune, la voix du vent dans la branche; they'll "
    "say that the long day is the day of the moon. (1) (2) (3).\n  \344\270\255\346\226"
    "\207\344\270\255\346\226\207 \360\237\230\200\360\237\230\201 --- ===\n";

static void
learn(struct ge_bpe *b, int kind)
{
	struct ge_bpe_count *c;
	struct ge_err e;

	c = ge_bpe_count_new(kind == 3 ? GE_SPLIT_SMOLLM : (enum ge_split)kind,
	    &e);
	must(c == NULL ? -1 : ge_bpe_count_add(c, (const uint8_t *)sample,
	    sizeof(sample) - 1, &e), &e);
	must(ge_bpe_train(b, c, 320, &e), &e);
	b->whole = kind == GE_SPLIT_LLAMA3;
	ge_bpe_count_free(c);
}

/* The tokenizer.json of b, a string. */
static char *
printed(const struct ge_bpe *b)
{
	struct ge_err e;
	size_t len;
	char *s;

	must(ge_tokenizer_print(b, &s, &len, &e), &e);
	if (strlen(s) != len)
		exit(1);
	return (s);
}

/* s, which goes, with `with` where `what` is first. */
static char *
changed(char *s, const char *what, const char *with)
{
	char *at = strstr(s, what), *out;
	struct ge_err e;

	if (at == NULL) {
		printf("# no %s\n", what);
		exit(1);
	}
	if ((out = ge_alloc(strlen(s) + strlen(with) + 1, &e)) == NULL)
		must(-1, &e);
	sprintf(out, "%.*s%s%s", (int)(at - s), s, with, at + strlen(what));
	ge_free(s);
	return (out);
}

/* What learn learnt; of kind 3 without all tokens of three bytes. */
static char *
made(int kind)
{
	static const uint8_t gone[] = { 0x9f, 0xa0, 0xad };
	struct ge_bpe b, c;
	struct ge_err e;
	int32_t to[512];
	size_t i, k;
	char *s;

	learn(&b, kind);
	if (kind != 3) {
		s = printed(&b);
		ge_bpe_release(&b);
		return (s);
	}
	memset(&c, 0, sizeof(c));
	c.split = b.split;
	c.begin = c.end = -1;
	for (i = 0; i < b.ntokens; i++) {
		for (k = 0; k < sizeof(gone) && memchr(b.bytes +
		    b.token[i].off, gone[k], b.token[i].len) == NULL; k++)
			;
		to[i] = k < sizeof(gone) ? -1 : ge_bpe_add(&c, b.bytes +
		    b.token[i].off, b.token[i].len, b.token[i].special, &e);
	}
	for (i = 0; i < b.nmerges; i++)
		if (to[b.merge[i].both] != -1)
			ge_bpe_join(&c, to[b.merge[i].left],
			    to[b.merge[i].right], to[b.merge[i].both], &e);
	s = printed(&c);
	ge_bpe_release(&b);
	ge_bpe_release(&c);
	return (s);
}

static void
print(int kind)
{
	char *s = made(kind);

	fputs(s, stdout);
	ge_free(s);
}

static void
parsed(struct ge_bpe *b, const char *s)
{
	struct ge_err e;

	must(ge_tokenizer_parse(b, s, strlen(s), &e), &e);
}

static int
encodes(const struct ge_bpe *b, const char *text, size_t len, const char *ids)
{
	char got[4096] = "";
	int32_t *id = NULL;
	size_t n = 0, cap = 0, i, at = 0;
	struct ge_err e;
	int good;

	must(ge_bpe_encode(b, (const uint8_t *)text, len, &id, &n, &cap, &e),
	    &e);
	for (i = 0; i < n && at < sizeof(got) - 16; i++)
		at += (size_t)sprintf(got + at, "%s%d", i > 0 ? " " : "",
		    id[i]);
	ge_free(id);
	if (!(good = strcmp(got, ids) == 0))
		printf("# wanted %s\n#    got %s\n", ids, got);
	return (good);
}

static void
test_known(void)
{
	static const char *const name[] = { "cut as by GPT-2",
	    "cut as by Llama 3", "cut as by SmolLM",
	    "bytes without a token" };
	struct ge_bpe b;
	char line[128], *s;
	size_t i;
	int kind, good;

	for (kind = 0; kind < 4; kind++) {
		s = made(kind);
		parsed(&b, s);
		ge_free(s);
		good = b.missing == (kind == 3 ? 3 : 0);
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (known[i].kind == kind)
				good &= encodes(&b, known[i].text,
				    known[i].len, known[i].ids);
		ge_bpe_release(&b);
		snprintf(line, sizeof(line), "the tokens of its own library: "
		    "%s", name[kind]);
		check(good, line);
	}
}

/* What is read and written again is the same; and so are the fields. */
static void
test_again(void)
{
	struct ge_bpe b, c;
	char *s, *t;
	int kind, good = 1;

	for (kind = 0; kind < 4; kind++) {
		if (kind == 3) {
			s = made(3);
			parsed(&b, s);
			ge_free(s);
		} else {
			learn(&b, kind);
		}
		b.begin = kind == 1 ? b.end : -1;
		s = printed(&b);
		parsed(&c, s);
		t = printed(&c);
		good &= strcmp(s, t) == 0 && b.split == c.split &&
		    b.whole == c.whole && b.begin == c.begin &&
		    b.end == c.end && b.missing == c.missing &&
		    b.ntokens == c.ntokens && b.nmerges == c.nmerges;
		ge_free(s);
		ge_free(t);
		ge_bpe_release(&b);
		ge_bpe_release(&c);
	}
	check(good, "written, read and written again");
}

#define DIGITS "{\"type\": \"Digits\", \"individual_digits\": true}"
#define BYTES "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
#define LONG "'(?:[sdmt]|ll|ve|re)| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}" \
	"\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+"
#define PRE "\"pre_tokenizer\": {\"type\": "
#define SEQ PRE "\"Sequence\", \"pretokenizers\": ["
#define POST "\"post_processor\": {\"type\": "
#define END "319"

/* GPT-2's kind with one or two words changed: the same, or refused and why. */
static const struct {
	const char *what, *with, *what2, *with2, *why;
} words[] = {
	{ "\"type\": \"BPE\",", "", NULL, NULL, NULL },
	{ "\"byte_fallback\": false,", "", NULL, NULL, NULL },
	{ "\"ignore_merges\": false,", "", NULL, NULL, NULL },
	{ "\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"\"", NULL,
	    NULL, NULL },
	{ "\"unk_token\": null", "\"unk_token\": \"a\"", NULL, NULL, NULL },
	{ "\"\304\240 l\"", "[\"\304\240\", \"l\"]", NULL, NULL, NULL },
	{ "\"padding\": null", "\"padding\": {\"x\": 1e3}", NULL, NULL, NULL },
	{ "\"normalizer\": null", "\"normalizer\": {\"type\": \"Sequence\", "
	    "\"normalizers\": []}", NULL, NULL, NULL },
	{ "\"trim_offsets\": true, \"use_regex\": true", "\"trim_offsets\": "
	    "false", NULL, NULL, NULL },
	{ PRE, SEQ "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" LONG
	    "\"}, \"behavior\": \"Removed\", \"invert\": true}, " BYTES
	    "\"use_regex\": false}], \"was\": {\"type\": ", "true},\n  \"post",
	    "true}},\n  \"post", NULL },
	{ ",\n      \"<|endoftext|>\": " END, "", NULL, NULL, NULL },
	{ POST "\"ByteLevel\"", POST "\"Sequence\", \"processors\": [{\"type\": "
	    "\"ByteLevel\"}]", NULL, NULL, NULL },
	{ "\"decoder\": {\"type\": \"ByteLevel\"", "\"decoder\": null, \"x\": "
	    "{\"type\": \"ByteLevel\"", NULL, NULL, NULL },

	{ "{", "", NULL, NULL, "not a tokenizer: '[' or '{' expected near '\"version\"'" },
	{ "{", "[{", "\n  }\n}\n", "}}]", "not a tokenizer" },
	{ "\"version\"", "\"padding\"", NULL, NULL, "not a tokenizer: "
	    "duplicate object key" },
	{ "null", "\"\\ud800\"", NULL, NULL, "not a tokenizer: invalid Unicode "
	    "'\\uD800'" },
	{ "\"model\"", "\"mode\"", NULL, NULL, "its model is none that is known "
	    "here" },
	{ "\"BPE\"", "\"Unigram\"", NULL, NULL, "its model 'Unigram' is none "
	    "that is known here" },
	{ "\"dropout\": null", "\"dropout\": 0.1", NULL, NULL, "its model has a "
	    "'dropout'" },
	{ "\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"",
	    NULL, NULL, "its model has a 'end_of_word_suffix'" },
	{ "\"byte_fallback\": false", "\"byte_fallback\": true", NULL, NULL,
	    "its model falls back to bytes: not a byte-level one" },
	{ "\"vocab\": {", "\"vocab\": 1, \"was\": {", NULL, NULL, "its model "
	    "has no vocabulary" },
	{ "\"merges\"", "\"merge\"", NULL, NULL, "its model has no merges" },
	{ "\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", NULL,
	    NULL, "its normalizer 'NFC' is none that is known here" },
	{ PRE "\"ByteLevel\"", PRE "\"Metaspace\"", NULL, NULL,
	    "its pre_tokenizer 'Metaspace' is none that is known here" },
	{ "\"add_prefix_space\": false", "\"add_prefix_space\": true", NULL,
	    NULL, "its pre_tokenizer 'ByteLevel' is none that is known here" },
	{ PRE, SEQ "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\s+"
	    "\"}, \"behavior\": \"Isolated\", \"invert\": false}, " BYTES
	    "\"use_regex\": false}], \"was\": {\"type\": ", "true},\n  \"post",
	    "true}},\n  \"post", "it cuts text neither as GPT-2 nor as Llama 3 "
	    "nor as SmolLM" },
	{ PRE, SEQ DIGITS ", " DIGITS ", " BYTES "\"use_regex\": true}], "
	    "\"was\": {\"type\": ", "true},\n  \"post", "true}},\n  \"post",
	    "its pre_tokenizer 'Sequence' is none that is known here" },
	{ "\"decoder\": {\"type\": \"ByteLevel\"", "\"decoder\": {\"type\": "
	    "\"WordPiece\"", NULL, NULL, "its decoder 'WordPiece' is none that "
	    "is known here" },
	{ POST "\"ByteLevel\"", POST "\"BertProcessing\"", NULL, NULL, "its "
	    "post_processor 'BertProcessing' is none that is known here" },
	{ POST "\"ByteLevel\"", POST "\"TemplateProcessing\"", NULL, NULL, "its "
	    "template has no place for text" },
	{ POST "\"ByteLevel\"", POST "\"TemplateProcessing\", \"single\": [{"
	    "\"SpecialToken\": {\"id\": \"a\"}}, {\"Sequence\": {}}], "
	    "\"special_tokens\": {\"a\": {\"ids\": [" END "00]}}", NULL, NULL,
	    "its template is none that is known here" },
	{ "\"added_tokens\": [", "\"added_tokens\": {}, \"was\": [", NULL,
	    NULL, "its added tokens are no list" },
	{ "\"special\": true", "\"special\": false", NULL, NULL, "added token "
	    "'<|endoftext|>' is not a special one" },
	{ "{\"id\": " END, "{\"id\": 1", NULL, NULL, "added token "
	    "'<|endoftext|>' has two numbers" },
	{ "{\"id\": " END, "{\"no\": 1", NULL, NULL, "added token 0 has no name "
	    "or no number" },
	{ "\"added_tokens\": [", "\"added_tokens\": [{\"id\": 320, \"content\": "
	    "\"x\\u0007%\", \"special\": true}, {\"id\": 320, \"content\": "
	    "\"yy\", \"special\": true},", NULL, NULL, "two tokens have the "
	    "number 320" },
	{ "\"#\": 2,", "", NULL, NULL, "token '<|endoftext|>' has the number "
	    "319: 319 tokens leave holes" },
	{ "\"#\": 2,", "\"#\": 3,", NULL, NULL, "two tokens have the number "
	    "3" },
	{ "\"#\": 2,", "\"#\": -2,", NULL, NULL, "token '#' has no number" },
	{ "\"#\": 2,", "\"#\": 2.0,", NULL, NULL, "token '#' has no number" },
	{ "\"#\": 2,", "\"#\": 4294967298,", NULL, NULL, "token '#' has the "
	    "number 4294967298: 320 tokens leave holes" },
	{ "\"#\": 2,", "\"#\": 99999999999999999999,", NULL, NULL, "not a "
	    "tokenizer: too big integer" },
	{ "\"#\": 2,", "\"#\": 2, \"#\": 2,", NULL, NULL, "not a tokenizer: "
	    "duplicate object key" },
	{ "\"#\": 2,", "\"##\": 2,", NULL, NULL, "the byte 35 has no token" },
	{ "\"\304\212\": 198,", "\"\304\212\304\212\": 198,", NULL, NULL,
	    "the byte 10 has no token" },
	{ "\"\304\200\": 188,", "\"\304\200\304\200\": 188,",
	    "\"unk_token\": null", "\"unk_token\": \"a\"", "it has a token for "
	    "the unknown" },
	{ "\"#\": 2,", "\"\346\226\207\": 2,", NULL, NULL, "token '%E6%96%87' "
	    "is not of GPT-2's characters for bytes" },
	{ "\"#\": 2,", "\"\": 2,", NULL, NULL, "token '' is not of GPT-2's "
	    "characters for bytes" },
	{ "\"\304\240 l\"", "\"\304\240l\"", NULL, NULL, "merge 0 is not of two "
	    "tokens" },
	{ "\"\304\240 l\"", "[\"\304\240\", 5]", NULL, NULL, "merge 0 is not of "
	    "two tokens" },
	{ "\"\304\240 l\"", "\"\304\240 no\"", NULL, NULL, "merge 0 is of an "
	    "unknown token" },
	{ "\"\304\240 l\"", "\"z z\"", NULL, NULL, "merge 0 makes an unknown "
	    "token" },
	{ "\"\304\240 l\"", "\"h e\"", NULL, NULL, "merge 1 comes twice" },
	{ "\"\304\240 l\"", "\"< |endoftext|>\"", NULL, NULL, "merge 0 is of an "
	    "unknown token" },
	{ "\"content\": \"<|endoftext|>\"", "\"content\": \"\304\240l\"",
	    "{\"id\": " END, "{\"id\": 256", "merge 0 is of no tokens of text" }
};

static void
test_words(void)
{
	char *s, *t, *want = made(0), line[64];
	const char *why;
	struct ge_bpe b;
	struct ge_err e;
	size_t i;
	int good, rc;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		s = changed(made(0), words[i].what, words[i].with);
		if (words[i].what2 != NULL)
			s = changed(s, words[i].what2, words[i].with2);
		rc = ge_tokenizer_parse(&b, s, strlen(s), &e);
		ge_free(s);
		if ((why = words[i].why) != NULL) {
			good = rc == -1 && e.code == GE_EREFUSED &&
			    strncmp(e.msg, why, strlen(why)) == 0;
			check(good, why);
		} else if ((good = rc == 0)) {
			t = printed(&b);
			good = strcmp(t, want) == 0;
			ge_free(t);
		}
		if (why == NULL) {
			snprintf(line, sizeof(line), "the same in other words, "
			    "%zu", i + 1);
			check(good, line);
		}
		if (!good)
			printf("# %s\n", rc == -1 ? e.msg : "other tokens");
		ge_bpe_release(&b);
	}
	ge_free(want);
}

static void
test_template(void)
{
	char *s = changed(made(0), POST "\"ByteLevel\"", POST "\"Sequence\", "
	    "\"processors\": [{\"type\": \"ByteLevel\"}, {\"type\": "
	    "\"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
	    "\"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", "
	    "\"type_id\": 0}}, {\"SpecialToken\": {\"id\": \"</s>\"}}], "
	    "\"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [320], "
	    "\"tokens\": [\"<s>\"]}, \"</s>\": {\"ids\": [321]}}}]");
	struct ge_bpe b;

	s = changed(s, "\"added_tokens\": [", "\"added_tokens\": [{\"id\": 321, "
	    "\"content\": \"</s>\", \"special\": true}, {\"id\": 320, "
	    "\"content\": \"<s>\", \"special\": true},");
	parsed(&b, s);
	ge_free(s);
	check(b.ntokens == 322 && b.begin == 320 && b.end == 321 &&
	    b.token[320].special, "tokens around text, as the template says");
	ge_bpe_release(&b);
}

static void
test_deep(void)
{
	static char deep[100000];
	struct ge_bpe b;
	struct ge_err e;

	memset(deep, '[', sizeof(deep));
	check(ge_tokenizer_parse(&b, deep, sizeof(deep), &e) == -1 && e.code ==
	    GE_EREFUSED, "brackets in brackets");
	check(ge_tokenizer_parse(&b, deep, 0, &e) == -1 && e.code ==
	    GE_EREFUSED, "nothing");
	check(ge_tokenizer_parse(&b, deep, (size_t)GE_TOKENIZER_MAX + 1, &e) ==
	    -1 && e.code == GE_EREFUSED, "too much");
}

/* The tokens of a text make up the text; a name is what GPT-2 would write. */
static void
test_bytes(void)
{
	char text[2000] = "", *s;
	int32_t *id = NULL;
	size_t n = 0, cap = 0, i, len, at = 0;
	const uint8_t *p;
	struct ge_bpe b;
	struct ge_err e;
	int good;

	learn(&b, 1);
	must(ge_bpe_encode(&b, (const uint8_t *)sample, sizeof(sample) - 1,
	    &id, &n, &cap, &e), &e);
	for (i = 0; i < n; i++) {
		p = ge_bpe_bytes(&b, id[i], &len);
		memcpy(text + at, p, len);
		at += len;
	}
	check(at == sizeof(sample) - 1 && memcmp(text, sample, at) == 0,
	    "bytes of tokens");
	ge_bpe_visible(text, (const uint8_t *)"a \n\0~\177\200\240\241\255\377",
	    11);
	good = strcmp(text, "a\304\240\304\212\304\200~\304\241\304\242\305\202"
	    "\302\241\305\203\303\277") == 0;
	s = ge_bpe_show(&b, b.end, &e);
	good &= s != NULL && strcmp(s, "<|endoftext|>") == 0;
	ge_free(s);
	s = ge_bpe_show(&b, b.byte[' '], &e);
	check(good && s != NULL && strcmp(s, "\304\240") == 0,
	    "names of tokens");
	ge_free(s);
	ge_free(id);
	ge_bpe_release(&b);
}

static void
test_config(void)
{
	struct ge_bpe b;
	struct ge_err e;
	size_t len;
	char *s;

	learn(&b, 0);
	must(ge_tokenizer_config_print(&b, 1024, &s, &len, &e), &e);
	check(strlen(s) == len && strcmp(s, "{\n"
	    "  \"bos_token\": \"<|endoftext|>\",\n"
	    "  \"eos_token\": \"<|endoftext|>\",\n"
	    "  \"clean_up_tokenization_spaces\": false,\n"
	    "  \"model_max_length\": 1024,\n"
	    "  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n") == 0,
	    "tokenizer_config.json");
	ge_free(s);
	ge_bpe_release(&b);
}

/* Without memory, each time a little later. */
static int
starved(const char *json, size_t len)
{
	struct ge_err e = { 0 };
	struct ge_bpe b;
	char *s = NULL;
	size_t n;
	int rc;

	rc = ge_tokenizer_parse(&b, json, len, &e);
	if (rc == 0 && (rc = ge_tokenizer_print(&b, &s, &n, &e)) == 0) {
		ge_free(s);
		s = NULL;
	}
	ge_bpe_release(&b);
	return (rc == 0 ? 0 : e.code == GE_EFAIL && s == NULL ? 1 : 2);
}

static void
test_memory(void)
{
	static char json[65536];
	char number[16];
	size_t len = 0;
	ssize_t n;
	int i, status = 1, good = 1, fd[2];
	pid_t pid;

	/* Allocations are counted from the first one in a process. */
	if (pipe(fd) == -1)
		exit(1);
	if ((pid = fork()) == 0) {
		dup2(fd[1], STDOUT_FILENO);
		print(1);
		exit(0);
	}
	close(fd[1]);
	while ((n = read(fd[0], json + len, sizeof(json) - len)) > 0)
		len += (size_t)n;
	close(fd[0]);
	waitpid(pid, NULL, 0);
	for (i = 1; status == 1 && i < 5000; i++) {
		if ((pid = fork()) == 0) {
			snprintf(number, sizeof(number), "%d", i);
			setenv("GE_FAILALLOC", number, 1);
			_exit(starved(json, len));
		}
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			exit(1);
		status = WEXITSTATUS(status);
		good &= status != 2;
	}
	check(good && status == 0 && i > 10, "no memory");
}

int
main(int argc, char **argv)
{

	if (argc == 2) {
		print(atoi(argv[1]));
		return (0);
	}
	test_memory();
	test_known();
	test_again();
	test_words();
	test_template();
	test_deep();
	test_bytes();
	test_config();
	return (bad);
}
