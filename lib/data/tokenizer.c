#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "data/tokenizer.h"
#include "util/mem.h"
#include "util/buf.h"
#include "util/num.h"

#define GPT2_TAIL "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/*
 * The expressions that are known by heart; of each kind the first is written.
 */
static const struct {
	enum ge_split split;
	const char *regex;
} regexes[] = {
	{ GE_SPLIT_GPT2, "'s|'t|'re|'ve|'m|'ll|'d" GPT2_TAIL },
	{ GE_SPLIT_GPT2, "'(?:[sdmt]|ll|ve|re)" GPT2_TAIL },
	{ GE_SPLIT_LLAMA3, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
	    "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
	    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" }
};

struct reader {
	struct ge_bpe *b;
	json_t *root, *model, *vocab, *added;
	size_t n;			/* tokens */
	const char **name;		/* [n] borrowed of root */
	char *special;			/* [n] */
	char *pair;			/* room for the names of a merge */
	size_t cappair;
};

/* A name for a message. */
static const char *
shown(char *out, size_t cap, const char *s)
{
	size_t n = strlen(s);

	if (ge_percent(out, cap, s, n > 40 ? 40 : n, 1) == -1)
		snprintf(out, cap, "...");
	return (out);
}

static const char *
string_of(const json_t *j, const char *key)
{

	return (json_string_value(json_object_get(j, key)));
}

/* Absent and null are nothing. */
static int
nothing(const json_t *j)
{

	return (j == NULL || json_is_null(j));
}

static int
is_type(const json_t *j, const char *type)
{
	const char *s = string_of(j, "type");

	return (s != NULL && strcmp(s, type) == 0);
}

static int
unknown(const json_t *j, const char *what, struct ge_err *e)
{
	const char *s = string_of(j, "type");
	char out[128];

	return (ge_fail(e, GE_EREFUSED, "its %s%s%s%s is none that is known "
	    "here", what, s != NULL ? " '" : "", s != NULL ? shown(out,
	    sizeof(out), s) : "", s != NULL ? "'" : ""));
}

static int
take_model(struct reader *r, struct ge_err *e)
{
	static const char *const none[] = { "dropout",
	    "continuing_subword_prefix", "end_of_word_suffix" };
	json_t *j;
	size_t i;

	r->model = json_object_get(r->root, "model");
	if (!json_is_object(r->model) || (json_object_get(r->model, "type") !=
	    NULL && !is_type(r->model, "BPE")))
		return (unknown(r->model, "model", e));
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		j = json_object_get(r->model, none[i]);
		if (!nothing(j) && json_string_length(j) +
		    !json_is_string(j) > 0)
			return (ge_fail(e, GE_EREFUSED, "its model has a '%s'",
			    none[i]));
	}
	if (json_is_true(json_object_get(r->model, "byte_fallback")))
		return (ge_fail(e, GE_EREFUSED, "its model falls back to "
		    "bytes: not a byte-level one"));
	r->b->whole = json_is_true(json_object_get(r->model,
	    "ignore_merges"));
	r->vocab = json_object_get(r->model, "vocab");
	if (!json_is_object(r->vocab))
		return (ge_fail(e, GE_EREFUSED, "its model has no "
		    "vocabulary"));
	return (0);
}

static int
is_byte_level(const json_t *j, int regex)
{
	const json_t *use = json_object_get(j, "use_regex");

	return (is_type(j, "ByteLevel") && json_is_false(json_object_get(j,
	    "add_prefix_space")) && (use == NULL || json_is_true(use)) ==
	    regex);
}

/* What a Split keeps: the pieces that match, and they are all of the text. */
static int
is_isolated(const json_t *j)
{
	const char *how = string_of(j, "behavior");
	int invert = json_is_true(json_object_get(j, "invert"));

	return (how != NULL && ((strcmp(how, "Isolated") == 0 && !invert) ||
	    (strcmp(how, "Removed") == 0 && invert)));
}

static int
take_split(struct reader *r, struct ge_err *e)
{
	const json_t *j = json_object_get(r->root, "pre_tokenizer");
	const json_t *all = json_object_get(j, "pretokenizers");
	const json_t *first = json_array_get(all, 0);
	const json_t *last = json_array_get(all, 1);
	const char *regex;
	size_t i;

	if (is_byte_level(j, 1)) {
		r->b->split = GE_SPLIT_GPT2;
		return (0);
	}
	if (!is_type(j, "Sequence") || json_array_size(all) != 2)
		return (unknown(j, "pre_tokenizer", e));
	if (is_type(first, "Digits") && json_is_true(json_object_get(first,
	    "individual_digits")) && is_byte_level(last, 1)) {
		r->b->split = GE_SPLIT_SMOLLM;
		return (0);
	}
	regex = string_of(json_object_get(first, "pattern"), "Regex");
	if (!is_type(first, "Split") || regex == NULL || !is_isolated(first) ||
	    !is_byte_level(last, 0))
		return (unknown(j, "pre_tokenizer", e));
	for (i = 0; i < sizeof(regexes) / sizeof(regexes[0]); i++)
		if (strcmp(regex, regexes[i].regex) == 0) {
			r->b->split = regexes[i].split;
			return (0);
		}
	return (ge_fail(e, GE_EREFUSED, "it cuts text neither as GPT-2 nor as "
	    "Llama 3 nor as SmolLM"));
}

/* What is done to text before, and to tokens after: nothing. */
static int
take_rest(struct reader *r, struct ge_err *e)
{
	const json_t *norm = json_object_get(r->root, "normalizer");
	const json_t *dec = json_object_get(r->root, "decoder");

	if (!nothing(norm) && !(is_type(norm, "Sequence") &&
	    json_array_size(json_object_get(norm, "normalizers")) == 0))
		return (unknown(norm, "normalizer", e));
	if (!nothing(dec) && !is_type(dec, "ByteLevel"))
		return (unknown(dec, "decoder", e));
	return (0);
}

static int
place(struct reader *r, const char *name, const json_t *id, struct ge_err *e)
{
	json_int_t i = json_integer_value(id);
	char out[128];

	shown(out, sizeof(out), name);
	if (!json_is_integer(id) || i < 0)
		return (ge_fail(e, GE_EREFUSED, "token '%s' has no number",
		    out));
	if ((uint64_t)i >= r->n)
		return (ge_fail(e, GE_EREFUSED, "token '%s' has the number %"
		    PRId64 ": %zu tokens leave holes", out, (int64_t)i, r->n));
	if (r->name[i] != NULL)
		return (ge_fail(e, GE_EREFUSED, "two tokens have the number %"
		    PRId64, (int64_t)i));
	r->name[i] = name;
	return (0);
}

/* One added token; *fresh if it is not in the vocabulary. */
static int
look_added(struct reader *r, size_t i, const char **name, const json_t **id,
    int *fresh, struct ge_err *e)
{
	const json_t *j = json_array_get(r->added, i), *known;
	char out[128];

	*name = string_of(j, "content");
	*id = json_object_get(j, "id");
	if (*name == NULL || **name == '\0' || !json_is_integer(*id))
		return (ge_fail(e, GE_EREFUSED, "added token %zu has no name "
		    "or no number", i));
	if (!json_is_true(json_object_get(j, "special")))
		return (ge_fail(e, GE_EREFUSED, "added token '%s' is not a "
		    "special one", shown(out, sizeof(out), *name)));
	known = json_object_get(r->vocab, *name);
	*fresh = known == NULL;
	if (known != NULL && !json_equal(known, *id))
		return (ge_fail(e, GE_EREFUSED, "added token '%s' has two "
		    "numbers", shown(out, sizeof(out), *name)));
	return (0);
}

static int
number(struct reader *r, struct ge_err *e)
{
	const char *name;
	const json_t *id;
	json_t *v;
	size_t i, nadded;
	int fresh;

	r->added = json_object_get(r->root, "added_tokens");
	if (!nothing(r->added) && !json_is_array(r->added))
		return (ge_fail(e, GE_EREFUSED, "its added tokens are no "
		    "list"));
	nadded = json_array_size(r->added);
	r->n = json_object_size(r->vocab);
	for (i = 0; i < nadded; i++) {
		if (look_added(r, i, &name, &id, &fresh, e) == -1)
			return (-1);
		r->n += (size_t)fresh;
	}
	if ((r->name = ge_alloc((r->n + 1) * sizeof(*r->name), e)) == NULL ||
	    (r->special = ge_alloc(r->n + 1, e)) == NULL)
		return (-1);
	json_object_foreach(r->vocab, name, v)
		if (place(r, name, v, e) == -1)
			return (-1);
	for (i = 0; i < nadded; i++) {
		if (look_added(r, i, &name, &id, &fresh, e) == -1 ||
		    (fresh && place(r, name, id, e) == -1))
			return (-1);
		r->special[json_integer_value(id)] = 1;
	}
	return (0);
}

/* In place: the bytes of visible characters; SIZE_MAX if it is not of those. */
static size_t
unvisible(uint8_t *out, const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t len = strlen(s), i, n = 0;
	uint32_t c;

	for (i = 0; i < len; n++) {
		i += ge_utf8_next(p + i, len - i, &c);
		if ((c > 0x20 && c < 0x7f) || (c > 0xa0 && c < 0x100 &&
		    c != 0xad))
			out[n] = (uint8_t)c;
		else if (c >= 0x100 && c < 0x144)
			out[n] = ge_bpe_gpt2_byte((int)c - 0x100 + 188);
		else
			return (SIZE_MAX);
	}
	return (n);
}

static int
take_token(struct reader *r, size_t i, struct ge_err *e)
{
	const char *name = r->name[i];
	size_t len = strlen(name);
	char out[128];

	if (r->special[i])
		return (ge_bpe_add(r->b, name, len, 1, e) == -1 ? -1 : 0);
	if (ge_grow(&r->pair, &r->cappair, len + 1, 1, e) == -1)
		return (-1);
	len = unvisible((uint8_t *)r->pair, name);
	if (len == SIZE_MAX || len == 0)
		return (ge_fail(e, GE_EREFUSED, "token '%s' is not of GPT-2's "
		    "characters for bytes", shown(out, sizeof(out), name)));
	return (ge_bpe_add(r->b, r->pair, len, 0, e) == -1 ? -1 : 0);
}

static int
take_tokens(struct reader *r, struct ge_err *e)
{
	size_t i;

	if (number(r, e) == -1)
		return (-1);
	for (i = 0; i < r->n; i++)
		if (take_token(r, i, e) == -1)
			return (-1);
	return (0);
}

static int32_t
find(const struct reader *r, const char *name)
{
	const json_t *id = json_object_get(r->vocab, name);

	return (id == NULL ? -1 : (int32_t)json_integer_value(id));
}

/* "a b" or ["a", "b"]: at r->pair a, its NUL, b, its NUL. */
static int
cut_merge(struct reader *r, const json_t *j, size_t *la, size_t *lb,
    struct ge_err *e)
{
	const char *a = json_string_value(j), *b;

	if (a != NULL) {
		if ((b = strchr(a, ' ')) == NULL)
			return (0);
		*la = (size_t)(b++ - a);
	} else {
		a = json_string_value(json_array_get(j, 0));
		b = json_string_value(json_array_get(j, 1));
		if (json_array_size(j) != 2 || a == NULL || b == NULL)
			return (0);
		*la = strlen(a);
	}
	*lb = strlen(b);
	if (ge_grow(&r->pair, &r->cappair, *la + *lb + 2, 1, e) == -1)
		return (-1);
	memcpy(r->pair, a, *la);
	r->pair[*la] = '\0';
	memcpy(r->pair + *la + 1, b, *lb + 1);
	return (1);
}

static int
take_merge(struct reader *r, size_t i, const json_t *j, struct ge_err *e)
{
	size_t la, lb;
	int32_t a, b;
	int rc;

	if ((rc = cut_merge(r, j, &la, &lb, e)) != 1)
		return (rc == -1 ? -1 : ge_fail(e, GE_EREFUSED, "merge %zu is "
		    "not of two tokens", i));
	a = find(r, r->pair);
	b = find(r, r->pair + la + 1);
	memmove(r->pair + la, r->pair + la + 1, lb + 1);
	if (a == -1 || b == -1)
		return (ge_fail(e, GE_EREFUSED, "merge %zu is of an unknown "
		    "token", i));
	if (find(r, r->pair) == -1)
		return (ge_fail(e, GE_EREFUSED, "merge %zu makes an unknown "
		    "token", i));
	return (ge_bpe_join(r->b, a, b, find(r, r->pair), e));
}

static int
take_merges(struct reader *r, struct ge_err *e)
{
	const json_t *all = json_object_get(r->model, "merges"), *j;
	size_t i;

	if (!json_is_array(all))
		return (ge_fail(e, GE_EREFUSED, "its model has no merges"));
	json_array_foreach(all, i, j)
		if (take_merge(r, i, j, e) == -1)
			return (-1);
	return (0);
}

/* The one token of a special piece of a template; -1 if it is none. */
static int32_t
template_token(const struct reader *r, const json_t *post, const json_t *item)
{
	const char *name = string_of(json_object_get(item, "SpecialToken"),
	    "id");
	const json_t *ids, *id;

	if (name == NULL)
		return (-1);
	ids = json_object_get(json_object_get(json_object_get(post,
	    "special_tokens"), name), "ids");
	id = json_array_get(ids, 0);
	if (json_array_size(ids) != 1 || !json_is_integer(id) ||
	    json_integer_value(id) < 0 || (uint64_t)json_integer_value(id) >=
	    r->n || !r->special[json_integer_value(id)])
		return (-1);
	return ((int32_t)json_integer_value(id));
}

/* Text with at most one special token before it and one behind. */
static int
take_template(struct reader *r, const json_t *post, struct ge_err *e)
{
	const json_t *item, *all = json_object_get(post, "single");
	int32_t *at = &r->b->begin;
	size_t i;

	json_array_foreach(all, i, item) {
		if (json_object_get(item, "Sequence") != NULL &&
		    at == &r->b->begin) {
			at = &r->b->end;
			continue;
		}
		if (*at != -1 || (*at = template_token(r, post, item)) == -1)
			return (ge_fail(e, GE_EREFUSED, "its template is none "
			    "that is known here"));
	}
	return (at == &r->b->end ? 0 : ge_fail(e, GE_EREFUSED, "its template "
	    "has no place for text"));
}

static int
take_post(struct reader *r, const json_t *post, int inner, struct ge_err *e)
{
	const json_t *j, *all = json_object_get(post, "processors");
	size_t i;

	if (nothing(post) || is_type(post, "ByteLevel"))
		return (0);
	if (is_type(post, "TemplateProcessing"))
		return (take_template(r, post, e));
	if (inner || !is_type(post, "Sequence") || !json_is_array(all))
		return (unknown(post, "post_processor", e));
	json_array_foreach(all, i, j)
		if (take_post(r, j, 1, e) == -1)
			return (-1);
	return (0);
}

static int32_t
find_end(const struct ge_bpe *b)
{
	static const char *const name[] = { "<|endoftext|>",
	    "<|end_of_text|>", "</s>" };
	size_t i, t;

	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		for (t = 0; t < b->ntokens; t++)
			if (b->token[t].special && b->token[t].len ==
			    strlen(name[i]) && memcmp(b->bytes +
			    b->token[t].off, name[i], strlen(name[i])) == 0)
				return ((int32_t)t);
	return (-1);
}

/*
 * Bytes that its training never saw may have no token (SmolLM2); those that any
 * text has must.
 */
static int
take_missing(struct reader *r, struct ge_err *e)
{
	struct ge_bpe *b = r->b;
	char there[256] = { 0 };
	size_t i;

	for (i = 0; i < b->ntokens; i++)
		if (!b->token[i].special && b->token[i].len == 1)
			there[b->bytes[b->token[i].off]] = 1;
	for (i = 0; i < 256; i++)
		if (!there[i] && (i == '\n' || (i >= ' ' && i < 0x7f)))
			return (ge_fail(e, GE_EREFUSED, "the byte %zu has no "
			    "token", i));
	for (i = 0; i < 256; i++)
		b->missing += !there[i];
	if (b->missing > 0 && !nothing(json_object_get(r->model, "unk_token")))
		return (ge_fail(e, GE_EREFUSED, "it has a token for the "
		    "unknown"));
	return (0);
}

int
ge_tokenizer_parse(struct ge_bpe *b, const char *buf, size_t len,
    struct ge_err *e)
{
	struct reader r = { .b = b };
	json_error_t why;
	int rc = -1;

	memset(b, 0, sizeof(*b));
	b->begin = b->end = -1;
	if (len > GE_TOKENIZER_MAX)
		return (ge_fail(e, GE_EREFUSED, "a tokenizer of more than %d "
		    "bytes", GE_TOKENIZER_MAX));
	r.root = json_loadb(buf, len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(r.root)) {
		ge_fail(e, GE_EREFUSED, "not a tokenizer%s%.100s",
		    r.root == NULL ? ": " : "", r.root == NULL ? why.text : "");
		goto out;
	}
	if (take_model(&r, e) == -1 || take_split(&r, e) == -1 ||
	    take_rest(&r, e) == -1 || take_tokens(&r, e) == -1 ||
	    take_merges(&r, e) == -1 || take_post(&r, json_object_get(r.root,
	    "post_processor"), 0, e) == -1 || take_missing(&r, e) == -1)
		goto out;
	if (b->end == -1)
		b->end = find_end(b);
	rc = ge_bpe_ready(b, e);
out:
	ge_free(r.name);
	ge_free(r.special);
	ge_free(r.pair);
	json_decref(r.root);
	return (rc);
}

/* A token inside of a JSON string. */
static void
put_token(struct ge_buf *w, const struct ge_bpe *b, size_t i)
{
	const struct ge_bpe_token *t = &b->token[i];
	char *s, *p;

	if ((s = ge_bpe_show(b, (int32_t)i, w->e)) == NULL) {
		w->rc = -1;
		return;
	}
	if (ge_buf_room(w, 12 * (size_t)t->len) == 0)
		for (p = s; *p != '\0'; p++) {
			if ((unsigned char)*p < 0x20) {
				w->len += (size_t)sprintf(w->s + w->len,
				    "\\u%04x", *p);
				continue;
			}
			if (*p == '"' || *p == '\\')
				w->s[w->len++] = '\\';
			w->s[w->len++] = *p;
		}
	ge_free(s);
}

/* A string with a name. */
static void
put_named(struct ge_buf *w, const char *name, const struct ge_bpe *b,
    int32_t token, const char *after)
{

	if (token == -1)
		return;
	ge_buf_put(w, "\"%s\": \"", name);
	put_token(w, b, (size_t)token);
	ge_buf_put(w, "\"%s", after);
}

static void
put_added(struct ge_buf *w, const struct ge_bpe *b)
{
	const char *sep = "";
	size_t i;

	ge_buf_put(w, "  \"added_tokens\": [");
	for (i = 0; i < b->ntokens; i++) {
		if (!b->token[i].special)
			continue;
		ge_buf_put(w, "%s\n    {\"id\": %zu, ", sep, i);
		put_named(w, "content", b, (int32_t)i, ", \"single_word\": "
		    "false, \"lstrip\": false, \"rstrip\": false, "
		    "\"normalized\": false, \"special\": true}");
		sep = ",";
	}
	ge_buf_put(w, "\n  ],\n");
}

static const char *
regex_of(enum ge_split split)
{
	size_t i;

	for (i = 0; regexes[i].split != split; i++)
		;
	return (regexes[i].regex);
}

static void
put_json(struct ge_buf *w, const char *s)
{

	for (; *s != '\0'; s++)
		ge_buf_put(w, "%s%c", *s == '\\' || *s == '"' ? "\\" : "",
		    *s);
}

#define BYTE_LEVEL "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, " \
	"\"trim_offsets\": true, \"use_regex\": %s}"

static void
put_split(struct ge_buf *w, const struct ge_bpe *b)
{

	ge_buf_put(w, "  \"normalizer\": null,\n  \"pre_tokenizer\": ");
	if (b->split != GE_SPLIT_GPT2)
		ge_buf_put(w, "{\"type\": \"Sequence\", "
		    "\"pretokenizers\": [\n    ");
	if (b->split == GE_SPLIT_SMOLLM) {
		ge_buf_put(w, "{\"type\": \"Digits\", "
		    "\"individual_digits\": true},\n    ");
	} else if (b->split == GE_SPLIT_LLAMA3) {
		ge_buf_put(w, "{\"type\": \"Split\", "
		    "\"pattern\": {\"Regex\": \"");
		put_json(w, regex_of(b->split));
		ge_buf_put(w, "\"}, \"behavior\": \"Isolated\", "
		    "\"invert\": false},\n    ");
	}
	ge_buf_put(w, BYTE_LEVEL, b->split == GE_SPLIT_LLAMA3 ? "false" :
	    "true");
	ge_buf_put(w, b->split != GE_SPLIT_GPT2 ? "\n  ]},\n" : ",\n");
}

static void
put_special(struct ge_buf *w, const struct ge_bpe *b, const char *type)
{

	ge_buf_put(w, "{\"SpecialToken\": {");
	put_named(w, "id", b, b->begin, ", ");
	ge_buf_put(w, "\"type_id\": %s}}, {\"Sequence\": {\"id\": \"%s\", "
	    "\"type_id\": %s}}", type, *type == '0' ? "A" : "B", type);
}

static void
put_post(struct ge_buf *w, const struct ge_bpe *b)
{

	ge_buf_put(w, "  \"post_processor\": ");
	if (b->begin == -1) {
		ge_buf_put(w, BYTE_LEVEL ",\n", "true");
		return;
	}
	ge_buf_put(w, "{\"type\": \"TemplateProcessing\",\n    \"single\": [");
	put_special(w, b, "0");
	ge_buf_put(w, "],\n    \"pair\": [");
	put_special(w, b, "0");
	ge_buf_put(w, ", ");
	put_special(w, b, "1");
	ge_buf_put(w, "],\n    \"special_tokens\": {\"");
	put_token(w, b, (size_t)b->begin);
	ge_buf_put(w, "\": {");
	put_named(w, "id", b, b->begin, ", ");
	ge_buf_put(w, "\"ids\": [%" PRId32 "], \"tokens\": [\"", b->begin);
	put_token(w, b, (size_t)b->begin);
	ge_buf_put(w, "\"]}}},\n");
}

static void
put_model(struct ge_buf *w, const struct ge_bpe *b)
{
	size_t i;

	ge_buf_put(w, "  \"model\": {\n    \"type\": \"BPE\",\n"
	    "    \"dropout\": null,\n    \"unk_token\": null,\n"
	    "    \"continuing_subword_prefix\": null,\n"
	    "    \"end_of_word_suffix\": null,\n"
	    "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n"
	    "    \"ignore_merges\": %s,\n    \"vocab\": {", b->whole ? "true" :
	    "false");
	for (i = 0; i < b->ntokens; i++) {
		ge_buf_put(w, "%s\n      \"", i > 0 ? "," : "");
		put_token(w, b, i);
		ge_buf_put(w, "\": %zu", i);
	}
	ge_buf_put(w, "\n    },\n    \"merges\": [");
	for (i = 0; i < b->nmerges; i++) {
		ge_buf_put(w, "%s\n      \"", i > 0 ? "," : "");
		put_token(w, b, (size_t)b->merge[i].left);
		ge_buf_put(w, " ");
		put_token(w, b, (size_t)b->merge[i].right);
		ge_buf_put(w, "\"");
	}
	ge_buf_put(w, "\n    ]\n  }\n}\n");
}

int
ge_tokenizer_print(const struct ge_bpe *b, char **buf, size_t *len,
    struct ge_err *e)
{
	struct ge_buf w = { .e = e };

	ge_buf_put(&w, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n"
	    "  \"padding\": null,\n");
	put_added(&w, b);
	put_split(&w, b);
	put_post(&w, b);
	ge_buf_put(&w, "  \"decoder\": " BYTE_LEVEL ",\n", "true");
	put_model(&w, b);
	return (ge_buf_done(&w, buf, len));
}

int
ge_tokenizer_config_print(const struct ge_bpe *b, size_t ctx, char **buf,
    size_t *len, struct ge_err *e)
{
	struct ge_buf w = { .e = e };

	ge_buf_put(&w, "{\n  ");
	put_named(&w, "bos_token", b, b->begin != -1 ? b->begin : b->end,
	    ",\n  ");
	put_named(&w, "eos_token", b, b->end, ",\n  ");
	ge_buf_put(&w, "\"clean_up_tokenization_spaces\": false,\n"
	    "  \"model_max_length\": %zu,\n"
	    "  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n", ctx);
	return (ge_buf_done(&w, buf, len));
}
