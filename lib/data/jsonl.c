#include <string.h>

#include "data/jsonl.h"

enum {
	DEPTH_MAX = 512
};

struct json {
	const uint8_t *at, *end;
	const char *why;		/* it is not JSON, when that can be said */
	const uint8_t *text;		/* the member wanted: */
	size_t ntext;
	int found;
};

static int value(struct json *j, int depth);

static int
give_up(struct json *j, const char *why)
{

	j->why = why;
	return (-1);
}

static void
skip_blank(struct json *j)
{

	while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' ||
	    *j->at == '\n' || *j->at == '\r'))
		j->at++;
}

/* Is this character next?  Then go behind it. */
static int
take(struct json *j, int c)
{

	if (j->at == j->end || *j->at != c)
		return (0);
	j->at++;
	return (1);
}

static int
hex_digit(int c)
{

	if (c >= '0' && c <= '9')
		return (c - '0');
	c |= 0x20;
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/* Four hex digits; -1 if they are not. */
static int32_t
hex4(const uint8_t *s, const uint8_t *end)
{
	int32_t c = 0;
	int i, d;

	if (end - s < 4)
		return (-1);
	for (i = 0; i < 4; i++) {
		if ((d = hex_digit(s[i])) == -1)
			return (-1);
		c = c << 4 | d;
	}
	return (c);
}

/* Behind a backslash. */
static int
escape(struct json *j)
{
	int32_t c;

	if (j->at == j->end || strchr("\"\\/bfnrtu", *j->at) == NULL ||
	    *j->at == '\0')
		return (-1);
	if (*j->at++ != 'u')
		return (0);
	if ((c = hex4(j->at, j->end)) == -1)
		return (-1);
	j->at += 4;
	if (c < 0xd800 || c > 0xdfff)
		return (0);
	if (c > 0xdbff || j->end - j->at < 6 || j->at[0] != '\\' ||
	    j->at[1] != 'u' || (c = hex4(j->at + 2, j->end)) < 0xdc00 ||
	    c > 0xdfff)
		return (give_up(j, "half of a surrogate pair"));
	j->at += 6;
	return (0);
}

/* Eight bytes, none of which is a quote, a backslash or a control. */
static int
plain8(const uint8_t *s)
{
	const uint64_t one = 0x0101010101010101u, top = one << 7;
	uint64_t w, q, b;

	memcpy(&w, s, 8);
	q = w ^ one * '"';
	b = w ^ one * '\\';
	return (((((w - one * 0x20) & ~w) | ((q - one) & ~q) |
	    ((b - one) & ~b)) & top) == 0);
}

/* A string whose quote has been taken: its characters, as they are written. */
static int
string(struct json *j, const uint8_t **s, size_t *n)
{

	for (*s = j->at;;) {
		while (j->end - j->at >= 8 && plain8(j->at))
			j->at += 8;
		while (j->at < j->end && *j->at >= 0x20 && *j->at != '"' &&
		    *j->at != '\\')
			j->at++;
		*n = (size_t)(j->at - *s);
		if (take(j, '"'))
			return (0);
		if (!take(j, '\\') || escape(j) == -1)
			return (-1);
	}
}

static size_t
digits(struct json *j)
{
	const uint8_t *from = j->at;

	while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
		j->at++;
	return ((size_t)(j->at - from));
}

static int
number(struct json *j)
{

	(void)take(j, '-');
	if (!take(j, '0') && digits(j) == 0)
		return (-1);
	if (take(j, '.') && digits(j) == 0)
		return (-1);
	if (take(j, 'e') || take(j, 'E')) {
		if (!take(j, '+'))
			(void)take(j, '-');
		if (digits(j) == 0)
			return (-1);
	}
	return (0);
}

static int
word(struct json *j, const char *w)
{
	size_t n = strlen(w);

	if ((size_t)(j->end - j->at) < n || memcmp(j->at, w, n) != 0)
		return (-1);
	j->at += n;
	return (0);
}

/* Is this how "text" is written? */
static int
is_text(const uint8_t *s, size_t n)
{
	uint8_t plain[4 * 6];

	if (n < 4 || n > sizeof(plain))
		return (0);
	return (ge_jsonl_plain(plain, s, n) == 4 &&
	    memcmp(plain, "text", 4) == 0);
}

/* The value of a member of the line's object. */
static int
member(struct json *j, const uint8_t *key, size_t nkey)
{

	if (!is_text(key, nkey))
		return (value(j, 1));
	if (j->found)
		return (give_up(j, "more than one member \"text\""));
	if (!take(j, '"'))
		return (give_up(j, "its member \"text\" is no string"));
	j->found = 1;
	return (string(j, &j->text, &j->ntext));
}

/* What follows '{'; depth 0: the line's. */
static int
object(struct json *j, int depth)
{
	const uint8_t *key;
	size_t nkey;

	skip_blank(j);
	if (take(j, '}'))
		return (0);
	do {
		skip_blank(j);
		if (!take(j, '"') || string(j, &key, &nkey) == -1)
			return (-1);
		skip_blank(j);
		if (!take(j, ':'))
			return (-1);
		skip_blank(j);
		if ((depth == 0 ? member(j, key, nkey) :
		    value(j, depth + 1)) == -1)
			return (-1);
		skip_blank(j);
	} while (take(j, ','));
	return (take(j, '}') ? 0 : -1);
}

static int
array(struct json *j, int depth)
{

	skip_blank(j);
	if (take(j, ']'))
		return (0);
	do {
		skip_blank(j);
		if (value(j, depth + 1) == -1)
			return (-1);
		skip_blank(j);
	} while (take(j, ','));
	return (take(j, ']') ? 0 : -1);
}

static int
value(struct json *j, int depth)
{
	const uint8_t *s;
	size_t n;

	if (depth > DEPTH_MAX)
		return (give_up(j, "nested too deep"));
	if (take(j, '"'))
		return (string(j, &s, &n));
	if (take(j, '{'))
		return (object(j, depth));
	if (take(j, '['))
		return (array(j, depth));
	if (j->at == j->end)
		return (-1);
	switch (*j->at) {
	case 't':
		return (word(j, "true"));
	case 'f':
		return (word(j, "false"));
	case 'n':
		return (word(j, "null"));
	}
	return (number(j));
}

int
ge_jsonl_find(const uint8_t *s, size_t len, const uint8_t **text, size_t *n,
    struct ge_err *e)
{
	struct json j = { .at = s, .end = s + len };
	int rc;

	skip_blank(&j);
	if (j.at == j.end)
		return (0);
	rc = take(&j, '{') ? object(&j, 0) : -1;
	skip_blank(&j);
	if (j.why != NULL)
		return (ge_fail(e, GE_EREFUSED, "%s", j.why));
	if (rc == -1 || j.at != j.end)
		return (ge_fail(e, GE_EREFUSED, "no JSON object, at byte %zu",
		    (size_t)(j.at - s)));
	if (!j.found)
		return (ge_fail(e, GE_EREFUSED, "no member \"text\""));
	*text = j.text;
	*n = j.ntext;
	return (1);
}

static size_t
put_utf8(uint8_t *dst, uint32_t c)
{
	static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;

	for (i = n - 1; i > 0; i--, c >>= 6)
		dst[i] = (uint8_t)(0x80 | (c & 0x3f));
	dst[0] = (uint8_t)(first[n] | c);
	return (n);
}

/* The character of an escape at s, which has been looked at; *c; its bytes. */
static size_t
escaped(const uint8_t *s, const uint8_t *end, uint32_t *c)
{
	static const char name[] = "bfnrt", means[] = "\b\f\n\r\t";
	const char *p;

	if (s[1] != 'u') {
		p = strchr(name, s[1]);
		*c = p != NULL ? (uint8_t)means[p - name] : s[1];
		return (2);
	}
	*c = (uint32_t)hex4(s + 2, end);
	if (*c < 0xd800 || *c > 0xdfff)
		return (6);
	*c = 0x10000 + ((*c - 0xd800) << 10) + ((uint32_t)hex4(s + 8, end) -
	    0xdc00);
	return (12);
}

size_t
ge_jsonl_plain(uint8_t *dst, const uint8_t *src, size_t n)
{
	const uint8_t *s = src, *end = src + n, *next;
	uint8_t *d = dst;
	uint32_t c;
	size_t k;

	while (s < end) {
		next = memchr(s, '\\', (size_t)(end - s));
		k = (size_t)((next != NULL ? next : end) - s);
		if (d != s)
			memmove(d, s, k);
		d += k;
		s += k;
		if (next != NULL) {
			s += escaped(s, end, &c);
			d += put_utf8(d, c);
		}
	}
	return ((size_t)(d - dst));
}
