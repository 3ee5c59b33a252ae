#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "data/docs.h"
#include "data/jsonl.h"
#include "data/text.h"
#include "data/walk_int.h"
#include "util/hook.h"
#include "util/mem.h"

enum {
	CHUNK = 1 << 20,
	NEAR_TIMES = 4,			/* caps->doc: an empty line is looked for */
	DOC_TIMES = 16,			/* a document at most */
	LINE_TIMES = 1024		/* a line of JSON lines */
};

struct docs {
	struct ge_docs_caps caps;
	struct ge_walk walk;
	int (*fn)(void *, const uint8_t *, size_t, struct ge_err *);
	void *arg;
	uint64_t given;
	/* The text in hand, one after another in the same memory: */
	const char *name;
	uint64_t line;
	uint8_t *buf;
	size_t len, cap;
	int ended;			/* there is no more than buf */
};

void
ge_docs_caps_init(struct ge_docs_caps *c)
{

	c->bytes = (uint64_t)1 << 40;
	c->entries = 10000000;
	c->ratio = 200;
	c->doc = 16 << 10;
}

static size_t
doc_max(const struct docs *d)
{

	return (DOC_TIMES * d->caps.doc);
}

static size_t
line_max(const struct docs *d)
{

	return (LINE_TIMES * d->caps.doc);
}

static uint64_t
count_lines(const uint8_t *s, size_t len)
{
	const uint8_t *end = s + len;
	uint64_t n = 0;

	for (; (s = memchr(s, '\n', (size_t)(end - s))) != NULL; s++)
		n++;
	return (n);
}

static int
emit(struct docs *d, const uint8_t *s, size_t len, struct ge_err *e)
{

	if (len == 0)
		return (0);
	d->given++;
	if (d->fn(d->arg, s, len, e) == -1) {
		d->walk.told = GE_WALK_STOPPED;
		return (-1);
	}
	return (ge_hook_tick(len, e));
}

static int
no_utf8(struct docs *d, const uint8_t *s, size_t good, struct ge_err *e)
{

	d->walk.told = GE_WALK_NAMED;
	return (ge_fail(e, GE_EREFUSED, "'%s:%lu': not UTF-8", d->name,
	    (unsigned long)(d->line + count_lines(s, good))));
}

/* Have at least len bytes in hand, if there are so many. */
static int
fill(struct docs *d, struct ge_flow *f, size_t len, struct ge_err *e)
{
	size_t got;

	if (len <= d->len || d->ended)
		return (0);
	if (ge_grow(&d->buf, &d->cap, len, 1, e) == -1 ||
	    ge_flow_read(f, d->buf + d->len, len - d->len, &got, e) == -1)
		return (-1);
	d->len += got;
	d->ended = d->len < len;
	return (0);
}

/* What lies before start is done with. */
static void
shift(struct docs *d, size_t start)
{

	d->len -= start;
	memmove(d->buf, d->buf + start, d->len);
}

/* Where the first empty line that begins not before from ends; 0: none. */
static size_t
empty_line(const uint8_t *s, size_t len, size_t from)
{
	const uint8_t *p;
	size_t i;

	for (i = from; i < len && (p = memchr(s + i, '\n', len - i)) != NULL;
	    i++) {
		i = (size_t)(p - s);
		if (i > 0 && (s[i - 1] == '\n' || (i > 1 && s[i - 1] == '\r' &&
		    s[i - 2] == '\n')))
			return (i + 1);
	}
	return (0);
}

/* The end of the last character that ends within len; only its tail is looked at. */
static size_t
character_end(const uint8_t *s, size_t len)
{
	size_t i = len - 1, n;

	while (len - i < 4 && (s[i] & 0xc0) == 0x80)
		i--;
	n = s[i] < 0xc0 ? 1 : s[i] < 0xe0 ? 2 : s[i] < 0xf0 ? 3 : 4;
	return (i + n > len ? i : len);
}

/* The bytes of the first document of a text; 0: it depends on what comes. */
static size_t
first_doc(const struct docs *d, const uint8_t *s, size_t len, int ended)
{
	size_t doc = d->caps.doc, max = doc_max(d), near = NEAR_TIMES * doc, cut;
	const uint8_t *p = NULL;

	if (len < max && !ended)
		return (0);
	if (len <= doc)
		return (len);
	if ((cut = empty_line(s, len < near ? len : near, doc)) > 0)
		return (cut);
	if (len >= near)
		p = memchr(s + doc, '\n', (len < max ? len : max) - doc);
	return (p != NULL ? (size_t)(p - s) + 1 : len < max ? len :
	    character_end(s, max));
}

static int
give(struct docs *d, const uint8_t *s, size_t len, struct ge_err *e)
{
	size_t good = ge_utf8_check(s, len);

	if (good < len)
		return (no_utf8(d, s, good, e));
	d->line += count_lines(s, len);
	return (emit(d, s, len, e));
}

static int
read_plain(struct docs *d, struct ge_flow *f, struct ge_err *e)
{
	size_t start, n;

	for (;;) {
		for (start = 0; (n = first_doc(d, d->buf + start, d->len -
		    start, d->ended)) > 0; start += n)
			if (give(d, d->buf + start, n, e) == -1)
				return (-1);
		if (d->ended)
			return (0);
		shift(d, start);
		if (fill(d, f, 8 * doc_max(d), e) == -1)
			return (-1);
	}
}

static int
emit_line(struct docs *d, const uint8_t *s, size_t len, struct ge_err *e)
{
	size_t n;

	if (len <= doc_max(d))
		return (emit(d, s, len, e));
	for (; len > 0; s += n, len -= n) {
		n = first_doc(d, s, len, 1);
		if (emit(d, s, n, e) == -1)
			return (-1);
	}
	return (0);
}

static int
long_line(struct docs *d, struct ge_err *e)
{

	d->walk.told = GE_WALK_NAMED;
	return (ge_fail(e, GE_EREFUSED, "'%s:%lu': a line of more than %zu "
	    "bytes: raise -O document= if that is meant", d->name,
	    (unsigned long)d->line, line_max(d)));
}

static int
read_line(struct docs *d, uint8_t *s, size_t len, struct ge_err *e)
{
	const uint8_t *text;
	size_t good, n;
	int rc;

	if (len > line_max(d))
		return (long_line(d, e));
	if ((good = ge_utf8_check(s, len)) < len)
		return (no_utf8(d, s, good, e));
	if ((rc = ge_jsonl_find(s, len, &text, &n, e)) == -1) {
		d->walk.told = GE_WALK_NAMED;
		return (ge_within(e, "'%s:%lu'", d->name,
		    (unsigned long)d->line));
	}
	if (rc == 0)
		return (0);
	/* No longer than it is written: in the line's own place. */
	return (emit_line(d, s, ge_jsonl_plain(s, text, n), e));
}

static int
read_lines(struct docs *d, struct ge_flow *f, struct ge_err *e)
{
	size_t start, n, seen = 0;
	uint8_t *s, *p;

	for (;;) {
		for (start = 0; start < d->len; start += n + 1, d->line++) {
			s = d->buf + start;
			p = memchr(s + seen, '\n', d->len - start - seen);
			if (p == NULL && !d->ended)
				break;
			n = (size_t)((p != NULL ? p : d->buf + d->len) - s);
			seen = 0;
			if (read_line(d, s, n, e) == -1)
				return (-1);
		}
		if (d->ended)
			return (0);
		shift(d, start);
		seen = d->len;
		if (d->len > line_max(d))
			return (long_line(d, e));
		if (fill(d, f, d->len + CHUNK, e) == -1)
			return (-1);
	}
}

/* Does the name, without the ending of a compression, end as that of JSON lines? */
static int
named_lines(const char *name)
{
	static const char *const packed[] = { ".gz", ".bz2", ".xz", ".zst",
	    ".lz4", ".lzma", ".lz", ".Z" };
	static const char *const lines[] = { ".jsonl", ".ndjson",
	    ".json-lines" };
	size_t len = strlen(name), i, n;

	for (i = 0; i < sizeof(packed) / sizeof(packed[0]); i++) {
		n = strlen(packed[i]);
		if (len > n && strcasecmp(name + len - n, packed[i]) == 0) {
			len -= n;
			break;
		}
	}
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		n = strlen(lines[i]);
		if (len >= n && strncasecmp(name + len - n, lines[i], n) == 0)
			return (1);
	}
	return (0);
}

/* Is the first line that is not blank one of JSON lines?  It stays in hand. */
static int
looks_lines(struct docs *d, struct ge_flow *f, int *yes, struct ge_err *e)
{
	const uint8_t *p = NULL, *text;
	struct ge_err no;
	size_t at = 0, seen, n;

	*yes = 0;
	while (at < d->len && memchr(" \t\r\n", d->buf[at], 4) != NULL)
		at++;
	if (at == d->len || d->buf[at] != '{')
		return (0);
	for (seen = at;;) {
		p = memchr(d->buf + seen, '\n', d->len - seen);
		if (p != NULL || d->ended || d->len > line_max(d))
			break;
		seen = d->len;
		if (fill(d, f, d->len + CHUNK, e) == -1)
			return (-1);
	}
	n = p != NULL ? (size_t)(p - d->buf) - at : d->len - at;
	*yes = ge_utf8_check(d->buf + at, n) == n &&
	    ge_jsonl_find(d->buf + at, n, &text, &n, &no) == 1;
	return (0);
}

static int
read_text(void *arg, struct ge_flow *f, const char *name, struct ge_err *e)
{
	struct docs *d = arg;
	uint8_t mark[3];
	size_t got;
	int lines;

	d->name = name;
	d->line = 1;
	d->len = 0;
	d->ended = 0;
	if (f->nhead >= 3 && memcmp(f->head, "\xef\xbb\xbf", 3) == 0 &&
	    ge_flow_read(f, mark, 3, &got, e) == -1)
		return (-1);
	if (fill(d, f, GE_FLOW_HEAD, e) == -1)
		return (-1);
	if ((lines = named_lines(name)) == 0 && looks_lines(d, f, &lines,
	    e) == -1)
		return (-1);
	return (lines ? read_lines(d, f, e) : read_plain(d, f, e));
}

static int
no_nul(const struct ge_flow *f)
{

	return (memchr(f->head, 0, f->nhead) == NULL);
}

int
ge_docs_read(int fd, const char *name, const struct ge_docs_caps *caps,
    int (*fn)(void *arg, const uint8_t *s, size_t len, struct ge_err *e),
    void *arg, struct ge_err *e)
{
	struct docs d = { .caps = *caps, .fn = fn, .arg = arg, .walk = {
		.sums = { .caps = caps }, .a = "text", .none = "no text",
		.read = read_text, .perhaps = no_nul
	} };
	int rc;

	if (d.caps.doc == 0)
		d.caps.doc = 1;
	d.walk.arg = &d;
	rc = ge_walk_read(&d.walk, fd, name, e);
	if (rc == 0 && d.given == 0)
		rc = ge_fail(e, GE_EUSAGE, "'%s': no text", name);
	ge_free(d.buf);
	return (rc);
}
