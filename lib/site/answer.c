#include <expat.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "site/answer_int.h"
#include "site/site.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	TEXT = 4096,		/* of one element; of a line */
	DEPTH = 16,
	TOKEN = 65536		/* of XML that is not finished */
};

struct ge_answer {
	enum ge_answer_kind kind;
	char *base;
	size_t nbase;
	int (*entry)(void *, const char *, size_t, uint64_t, int);
	void *arg;
	uint64_t count, fed;
	XML_Parser xml;
	int depth, stop;
	const char *wrong;
	char name[DEPTH][24];	/* of the elements that are open */
	char text[TEXT + 1];
	size_t ntext;

	/* The entry at hand. */
	char key[TEXT + 1];
	size_t nkey;
	int have, folder;
	uint64_t size;

	/* S3: of the page. */
	int encoded, truncated;
	char token[1100];
};

static int
hexdigit(char c)
{

	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

size_t
ge_answer_unpercent(char *s, size_t len, int plus)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		if (s[i] == '%' && i + 2 < len && hexdigit(s[i + 1]) >= 0 &&
		    hexdigit(s[i + 2]) >= 0) {
			s[n++] = (char)(hexdigit(s[i + 1]) << 4 |
			    hexdigit(s[i + 2]));
			i += 2;
		} else {
			s[n++] = plus && s[i] == '+' ? ' ' : s[i];
		}
	return (n);
}

static void
halt(struct ge_answer *a, const char *wrong)
{

	if (a->wrong == NULL)
		a->wrong = wrong;
	a->stop = -1;
	if (a->xml != NULL)
		XML_StopParser(a->xml, XML_FALSE);
}

static void
give(struct ge_answer *a, const char *name, size_t len, uint64_t size,
    int folder)
{

	a->count++;
	if (a->entry(a->arg, name, len, size, folder) != 0 && a->stop == 0) {
		a->stop = 1;
		if (a->xml != NULL)
			XML_StopParser(a->xml, XML_FALSE);
	}
}

/* The local name of "namespace|local". */
static const char *
local(const char *s)
{
	const char *p = strrchr(s, '|');

	return (p != NULL ? p + 1 : s);
}

static int
within(const struct ge_answer *a, int up, const char *name)
{

	return (a->depth > up && a->depth - 1 - up < DEPTH &&
	    strcmp(a->name[a->depth - 1 - up], name) == 0);
}

static void
open_element(void *arg, const char *s, const char **attr)
{
	struct ge_answer *a = arg;
	const char *name = local(s);

	(void)attr;
	if (a->stop != 0)
		return;
	if (a->depth >= DEPTH) {
		halt(a, "too deep");
		return;
	}
	snprintf(a->name[a->depth++], sizeof(a->name[0]), "%.23s", name);
	a->ntext = 0;
	if (a->depth == 1 && strcmp(name, a->kind == GE_ANSWER_S3 ?
	    "ListBucketResult" : "multistatus") != 0)
		halt(a, "not a listing");
	if (a->depth == 2) {
		a->have = a->folder = 0;
		a->nkey = 0;
		a->size = GE_OP_UNKNOWN;
	}
	if (a->kind == GE_ANSWER_DAV && within(a, 0, "collection") &&
	    within(a, 1, "resourcetype"))
		a->folder = 1;
}

static void
text(void *arg, const char *s, int len)
{
	struct ge_answer *a = arg;

	if (a->stop != 0)
		return;
	if ((size_t)len > TEXT - a->ntext) {
		halt(a, "a name without end");
		return;
	}
	memcpy(a->text + a->ntext, s, (size_t)len);
	a->ntext += (size_t)len;
}

static void
keep_key(struct ge_answer *a)
{

	memcpy(a->key, a->text, a->ntext);
	a->nkey = a->ntext;
	a->have = 1;
}

static void
end_s3(struct ge_answer *a)
{
	int folder = within(a, 0, "Prefix") && within(a, 1, "CommonPrefixes");

	a->text[a->ntext] = '\0';
	if (a->depth == 3 && (folder || (within(a, 0, "Key") &&
	    within(a, 1, "Contents")))) {
		keep_key(a);
		a->folder = folder;
	} else if (a->depth == 3 && within(a, 0, "Size") &&
	    within(a, 1, "Contents")) {
		if (ge_num_parse(a->text, a->ntext, &a->size) == -1)
			halt(a, "a size that is no number");
	} else if (a->depth == 2 && within(a, 0, "EncodingType")) {
		a->encoded = strcmp(a->text, "url") == 0;
	} else if (a->depth == 2 && within(a, 0, "IsTruncated")) {
		a->truncated = strcmp(a->text, "true") == 0;
	} else if (a->depth == 2 && within(a, 0, "NextContinuationToken")) {
		if (a->ntext >= sizeof(a->token))
			halt(a, "a token without end");
		else
			memcpy(a->token, a->text, a->ntext + 1);
	} else if (a->depth == 2 && a->have) {
		size_t n = a->nkey;

		/* We asked for it; not every server does it. */
		if (a->encoded)
			n = ge_answer_unpercent(a->key, n, 1);
		if (n < a->nbase || memcmp(a->key, a->base, a->nbase) != 0) {
			halt(a, "a key that was not asked for");
			return;
		}
		n -= a->nbase;
		if (a->folder && n > 0 && a->key[a->nbase + n - 1] == '/')
			n--;
		if (n > 0)
			give(a, a->key + a->nbase, n, a->folder ?
			    GE_OP_UNKNOWN : a->size, a->folder);
	}
}

static void
end_dav(struct ge_answer *a)
{
	const char *p = a->key, *q;
	size_t n;

	a->text[a->ntext] = '\0';
	if (a->depth == 3 && within(a, 0, "href") &&
	    within(a, 1, "response")) {
		keep_key(a);
	} else if (within(a, 0, "getcontentlength") && a->ntext > 0) {
		if (ge_num_parse(a->text, a->ntext, &a->size) == -1)
			a->size = GE_OP_UNKNOWN;
	} else if (a->depth == 2 && a->have && within(a, 0, "response")) {
		n = a->nkey;
		while (n > 0 && strchr(" \t\r\n", p[n - 1]) != NULL)
			n--;
		while (n > 0 && strchr(" \t\r\n", *p) != NULL)
			p++, n--;
		/* "http://host/path" or "/path" */
		if (n > 0 && *p != '/') {
			for (q = p; q + 2 < p + n && memcmp(q, "://", 3) != 0;)
				q++;
			q = q + 3 < p + n ? q + 3 : p + n;
			while (q < p + n && *q != '/')
				q++;
			n -= (size_t)(q - p);
			p = q;
		}
		memmove(a->key, p, n);
		n = ge_answer_unpercent(a->key, n, 0);
		if (n > 0 && a->key[n - 1] == '/') {
			a->folder = 1;
			n--;
		}
		/* The folder itself. */
		if (n + 1 == a->nbase && memcmp(a->key, a->base, n) == 0)
			return;
		if (n <= a->nbase || memcmp(a->key, a->base, a->nbase) != 0 ||
		    memchr(a->key + a->nbase, '/', n - a->nbase) != NULL) {
			halt(a, "a name that was not asked for");
			return;
		}
		give(a, a->key + a->nbase, n - a->nbase, a->folder ?
		    GE_OP_UNKNOWN : a->size, a->folder);
	}
}

static void
close_element(void *arg, const char *s)
{
	struct ge_answer *a = arg;

	(void)s;
	if (a->stop != 0 || a->depth == 0)
		return;
	if (a->kind == GE_ANSWER_S3)
		end_s3(a);
	else
		end_dav(a);
	a->depth--;
	a->ntext = 0;
}

/* Nobody needs a document type, and it can be used to do harm. */
static void
doctype(void *arg, const char *s, const char *system, const char *public,
    int internal)
{

	(void)s;
	(void)system;
	(void)public;
	(void)internal;
	halt(arg, "a document type");
}

struct ge_answer *
ge_answer_new(enum ge_answer_kind kind, const char *base,
    int (*entry)(void *arg, const char *name, size_t len, uint64_t size,
    int folder), void *arg, struct ge_err *e)
{
	struct ge_answer *a;

	if ((a = ge_alloc(sizeof(*a), e)) == NULL)
		return (NULL);
	a->kind = kind;
	a->entry = entry;
	a->arg = arg;
	if ((a->base = ge_strdup(base, e)) == NULL)
		goto fail;
	a->nbase = strlen(base);
	if (kind == GE_ANSWER_LS)
		return (a);
	if ((a->xml = XML_ParserCreateNS(NULL, '|')) == NULL) {
		ge_fail(e, GE_EFAIL, "out of memory");
		goto fail;
	}
	XML_SetUserData(a->xml, a);
	XML_SetElementHandler(a->xml, open_element, close_element);
	XML_SetCharacterDataHandler(a->xml, text);
	XML_SetStartDoctypeDeclHandler(a->xml, doctype);
	return (a);
fail:
	ge_answer_free(a);
	return (NULL);
}

void
ge_answer_free(struct ge_answer *a)
{

	if (a == NULL)
		return;
	if (a->xml != NULL)
		XML_ParserFree(a->xml);
	ge_free(a->base);
	ge_free(a);
}

/*
 * -rw-r--r--    1 user     group        1234 Nov 21 10:00 name
 * A line that is not like this, such as the rest of a name with a line feed in
 * it, is passed over.
 */
static void
ls_line(struct ge_answer *a)
{
	const char *s = a->text, *end = s + a->ntext, *word[9], *p;
	uint64_t size = GE_OP_UNKNOWN, v;
	size_t len[9];
	int i;

	for (i = 0, p = s; i < 8; i++) {
		while (p < end && *p == ' ')
			p++;
		word[i] = p;
		while (p < end && *p != ' ')
			p++;
		len[i] = (size_t)(p - word[i]);
	}
	if (p >= end || strchr("-dlbcps", *s) == NULL || *s == '\0' ||
	    len[0] < 10)
		return;
	p++;
	if (*s == '-' && ge_num_parse(word[4], len[4], &v) == 0)
		size = v;
	if (p == end || (p[0] == '.' && (p + 1 == end ||
	    (p[1] == '.' && p + 2 == end))))
		return;
	if (*s == 'l') {
		const char *q;

		for (q = p; q + 4 <= end; q++)
			if (memcmp(q, " -> ", 4) == 0) {
				end = q;
				break;
			}
		if (p == end)
			return;
	}
	give(a, p, (size_t)(end - p), size, *s == 'd');
}

static int
feed_ls(struct ge_answer *a, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len && a->stop == 0; i++) {
		if (s[i] == '\n') {
			a->text[a->ntext] = '\0';
			ls_line(a);
			a->ntext = 0;
		} else if (a->ntext == TEXT) {
			halt(a, "a line without end");
		} else {
			a->text[a->ntext++] = s[i];
		}
	}
	return (a->stop);
}

int
ge_answer_feed(struct ge_answer *a, const void *buf, size_t len,
    struct ge_err *e)
{
	const char *s = buf;
	XML_Index at;
	size_t n;

	while (len > 0 && a->stop == 0) {
		n = len < 32768 ? len : 32768;
		if (a->kind == GE_ANSWER_LS) {
			feed_ls(a, s, n);
		} else if (XML_Parse(a->xml, s, (int)n, 0) ==
		    XML_STATUS_ERROR && a->stop == 0) {
			halt(a, XML_ErrorString(XML_GetErrorCode(a->xml)));
		}
		a->fed += n;
		s += n;
		len -= n;
		if (a->stop != 0 || a->xml == NULL)
			continue;
		at = XML_GetCurrentByteIndex(a->xml);
		if (at >= 0 && a->fed - (uint64_t)at > TOKEN)
			halt(a, "a tag without end");
	}
	if (a->stop == -1)
		ge_fail(e, GE_EFAIL, "%s", a->wrong);
	return (a->stop);
}

int
ge_answer_end(struct ge_answer *a, const char **token, struct ge_err *e)
{

	*token = NULL;
	if (a->stop == 1)
		return (0);
	if (a->stop == 0 && a->xml != NULL &&
	    XML_Parse(a->xml, "", 0, 1) == XML_STATUS_ERROR && a->stop == 0)
		halt(a, "it is cut");
	if (a->stop == 0 && a->xml == NULL && a->ntext > 0)
		halt(a, "it is cut");
	if (a->stop == 0 && a->truncated && a->token[0] == '\0')
		halt(a, "it goes on nowhere");
	if (a->stop == -1)
		return (ge_fail(e, GE_EFAIL, "%s", a->wrong));
	if (a->truncated)
		*token = a->token;
	return (0);
}

uint64_t
ge_answer_count(const struct ge_answer *a)
{

	return (a->count);
}

struct pick {
	XML_Parser xml;
	const char *root, *field;
	char *out;
	size_t cap, n;
	int depth, state;	/* 1: in it, 2: done */
};

static void
pick_open(void *arg, const char *s, const char **attr)
{
	struct pick *p = arg;

	(void)attr;
	p->depth++;
	if (p->depth == 1 && strcmp(local(s), p->root) != 0)
		XML_StopParser(p->xml, XML_FALSE);
	if (p->depth == 2 && p->state == 0 && strcmp(local(s), p->field) == 0)
		p->state = 1;
}

static void
pick_text(void *arg, const char *s, int len)
{
	struct pick *p = arg;
	int i;

	for (i = 0; p->state == 1 && i < len && p->n + 1 < p->cap; i++)
		p->out[p->n++] = s[i];
}

static void
pick_close(void *arg, const char *s)
{
	struct pick *p = arg;

	(void)s;
	if (p->depth-- == 2 && p->state == 1)
		p->state = 2;
}

static void
pick_doctype(void *arg, const char *s, const char *system, const char *public,
    int internal)
{
	struct pick *p = arg;

	(void)s;
	(void)system;
	(void)public;
	(void)internal;
	XML_StopParser(p->xml, XML_FALSE);
}

int
ge_answer_text(const char *buf, size_t len, const char *root,
    const char *field, char *out, size_t cap)
{
	struct pick p = { .root = root, .field = field, .out = out,
	    .cap = cap };

	out[0] = '\0';
	if (len > INT32_MAX || (p.xml = XML_ParserCreateNS(NULL, '|')) == NULL)
		return (0);
	XML_SetUserData(p.xml, &p);
	XML_SetElementHandler(p.xml, pick_open, pick_close);
	XML_SetCharacterDataHandler(p.xml, pick_text);
	XML_SetStartDoctypeDeclHandler(p.xml, pick_doctype);
	(void)XML_Parse(p.xml, buf, (int)len, 0);
	XML_ParserFree(p.xml);
	out[p.n] = '\0';
	return (p.state == 2);
}

int
ge_answer_range(const char *s, uint64_t *first, uint64_t *last,
    uint64_t *total)
{
	const char *dash, *slash;

	if (strncasecmp(s, "bytes ", 6) != 0)
		return (-1);
	s += 6;
	if ((slash = strchr(s, '/')) == NULL)
		return (-1);
	*total = UINT64_MAX;
	if (strcmp(slash + 1, "*") != 0 &&
	    ge_num_parse(slash + 1, strlen(slash + 1), total) == -1)
		return (-1);
	if (slash == s + 1 && *s == '*') {
		*first = 1;
		*last = 0;
		return (0);
	}
	if ((dash = memchr(s, '-', (size_t)(slash - s))) == NULL ||
	    ge_num_parse(s, (size_t)(dash - s), first) == -1 ||
	    ge_num_parse(dash + 1, (size_t)(slash - dash - 1), last) == -1 ||
	    *first > *last || *last >= *total)
		return (-1);
	return (0);
}

int
ge_answer_retry(const char *s, double *seconds)
{
	uint64_t v;

	if (ge_num_parse(s, strlen(s), &v) == -1)
		return (-1);
	*seconds = v < 86400 ? (double)v : 86400;
	return (0);
}

/* The next line of [*s, end) without blanks around it, or 0. */
static int
next_line(const char **s, const char *end, const char **line, size_t *len)
{
	const char *p = *s, *q;

	if (p >= end)
		return (0);
	if ((q = memchr(p, '\n', (size_t)(end - p))) == NULL)
		q = end;
	*s = q < end ? q + 1 : end;
	while (p < q && (*p == ' ' || *p == '\t'))
		p++;
	while (p < q && strchr(" \t\r", q[-1]) != NULL && q[-1] != '\0')
		q--;
	*line = p;
	*len = (size_t)(q - p);
	return (1);
}

int
ge_answer_ini(const char *buf, size_t len, const char *section,
    const char *key, char *out, size_t cap)
{
	const char *s = buf, *end = buf + len, *line, *eq;
	size_t n, k, nsec = strlen(section), nkey = strlen(key);
	int here = 0;

	while (next_line(&s, end, &line, &n)) {
		if (n == 0 || *line == '#' || *line == ';')
			continue;
		if (*line == '[') {
			if (line[n - 1] != ']') {
				here = 0;
				continue;
			}
			line++;
			n -= 2;
			if (n > 8 && memcmp(line, "profile ", 8) == 0) {
				line += 8;
				n -= 8;
			}
			here = n == nsec && memcmp(line, section, n) == 0;
			continue;
		}
		if (!here || (eq = memchr(line, '=', n)) == NULL)
			continue;
		for (k = (size_t)(eq - line); k > 0 &&
		    strchr(" \t", line[k - 1]) != NULL; k--)
			;
		if (k != nkey || strncasecmp(line, key, k) != 0)
			continue;
		for (eq++; eq < line + n && (*eq == ' ' || *eq == '\t'); eq++)
			;
		n -= (size_t)(eq - line);
		if (n >= cap || memchr(eq, '\0', n) != NULL)
			return (-1);
		memcpy(out, eq, n);
		out[n] = '\0';
		return (1);
	}
	return (0);
}

/* The next word, perhaps in "quotes" with backslashes; -1: too long; 0: end. */
static int
next_word(const char **s, const char *end, char *out, size_t cap)
{
	const char *p = *s;
	size_t n = 0;
	int quoted;

	while (p < end && strchr(" \t\r\n", *p) != NULL && *p != '\0')
		p++;
	if (p == end) {
		*s = end;
		return (0);
	}
	quoted = *p == '"';
	for (p += quoted; p < end; p++) {
		if (quoted ? *p == '"' : *p != '\0' &&
		    strchr(" \t\r\n", *p) != NULL)
			break;
		if (quoted && *p == '\\' && p + 1 < end)
			p++;
		if (n + 1 < cap)
			out[n] = *p;
		n++;
	}
	*s = quoted && p < end ? p + 1 : p;
	out[n < cap ? n : cap - 1] = '\0';
	return (n < cap ? 1 : -1);
}

/* A macro ends with an empty line. */
static void
skip_macro(const char **s, const char *end)
{

	for (; *s < end; ++*s)
		if (**s == '\n' && (*s + 1 == end || (*s)[1] == '\n'))
			break;
}

int
ge_answer_netrc(const char *buf, size_t len, const char *host,
    const char *user, char *login, size_t lcap, char *password, size_t pcap)
{
	const char *s = buf, *end = buf + len;
	char word[300];
	int here = 0, got, have = 0, bad = 0;

	login[0] = password[0] = '\0';
	for (;;) {
		if ((got = next_word(&s, end, word, sizeof(word))) == 0 ||
		    strcmp(word, "machine") == 0 ||
		    strcmp(word, "default") == 0) {
			if (here && bad)
				return (-1);
			if (here && have == 3 && (user == NULL ||
			    strcmp(user, login) == 0))
				return (1);
			if (got == 0)
				break;
			have = bad = 0;
			here = 1;
			if (word[0] == 'm')
				here = next_word(&s, end, word,
				    sizeof(word)) == 1 &&
				    strcasecmp(word, host) == 0;
		} else if (strcmp(word, "macdef") == 0) {
			skip_macro(&s, end);
		} else if (!here) {
			continue;
		} else if (strcmp(word, "login") == 0) {
			bad |= next_word(&s, end, login, lcap) == -1;
			have |= 1;
		} else if (strcmp(word, "password") == 0) {
			bad |= next_word(&s, end, password, pcap) == -1;
			have |= 2;
		} else if (strcmp(word, "account") == 0) {
			(void)next_word(&s, end, word, sizeof(word));
		}
	}
	login[0] = '\0';
	if (pcap > 0)
		ge_wipe(password, pcap);
	return (0);
}
