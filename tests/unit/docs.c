/*
 * lib/data/jsonl.c, docs.c and unpack.c: what documents come of text, JSON lines and
 * archives, however they arrive; and what is refused.
 */
#define _GNU_SOURCE		/* memfd_create */
#include <archive.h>
#include <archive_entry.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "data/docs.h"
#include "data/jsonl.h"
#include "data/text.h"
#include "util/hook.h"
#include "util/mem.h"

#define UNIT "docs"
#include "check.h"

/* Bytes that grow, for inputs. */
struct bytes {
	uint8_t *s;
	size_t len, cap;
};

static void
add(struct bytes *b, const void *s, size_t len)
{

	while (b->len + len >= b->cap) {
		b->cap = b->cap > 0 ? 2 * b->cap : 4096;
		if ((b->s = realloc(b->s, b->cap)) == NULL)
			abort();
	}
	if (len > 0)
		memcpy(b->s + b->len, s, len);
	b->len += len;
}

static struct bytes
text(const char *s)
{
	struct bytes b = { NULL, 0, 0 };

	add(&b, s, strlen(s));
	return (b);
}

static struct bytes
run_of(int c, size_t n)
{
	struct bytes b = { NULL, 0, 0 };

	b.cap = b.len = n;
	if ((b.s = malloc(n + 1)) == NULL)
		abort();
	memset(b.s, c, n);
	return (b);
}

/* Documents, each with a | behind it, and how reading them ended. */
struct seen {
	struct bytes docs;
	size_t ndocs, longest, stop;
	int rc;
	struct ge_err e;
	char note[600];
};

static struct seen *now;

static void
hear(int level, const char *line)
{

	if (level == GE_WARN)
		snprintf(now->note, sizeof(now->note), "%s", line);
}

static int
keep(void *arg, const uint8_t *s, size_t len, struct ge_err *e)
{
	struct seen *k = arg;

	if (k->stop > 0 && k->ndocs == k->stop)
		return (ge_fail(e, GE_EFAIL, "enough"));
	k->ndocs++;
	if (len > k->longest)
		k->longest = len;
	add(&k->docs, s, len);
	add(&k->docs, "|", 1);
	return (0);
}

static int
file_of(const struct bytes *b)
{
	int fd = memfd_create("docs", MFD_CLOEXEC);

	if (fd == -1 || write(fd, b->s, b->len) != (ssize_t)b->len ||
	    lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return (fd);
}

/* A pipe into which a child writes it, so many bytes at a time. */
static int
pipe_of(const struct bytes *b, size_t step)
{
	size_t at, n;
	int fd[2];

	fflush(stdout);
	if (pipe(fd) == -1)
		abort();
	if (fork() == 0) {
		close(fd[0]);
		for (at = 0; at < b->len; at += n) {
			n = b->len - at < step ? b->len - at : step;
			if (write(fd[1], b->s + at, n) != (ssize_t)n)
				_exit(1);
		}
		_exit(0);
	}
	close(fd[1]);
	return (fd[0]);
}

static void
forget(struct seen *k)
{

	free(k->docs.s);
	memset(k, 0, sizeof(*k));
}

static void
read_fd(struct seen *k, int fd, const char *name,
    const struct ge_docs_caps *caps)
{

	now = k;
	ge_note_open(hear);
	k->rc = ge_docs_read(fd, name, caps, keep, k, &k->e);
	add(&k->docs, "", 1);
	close(fd);
}

static void
read_bytes(struct seen *k, const struct bytes *b, const char *name,
    const struct ge_docs_caps *caps)
{

	forget(k);
	read_fd(k, file_of(b), name, caps);
}

static struct ge_docs_caps
caps_of(size_t doc)
{
	struct ge_docs_caps c;

	ge_docs_caps_init(&c);
	c.doc = doc;
	return (c);
}

/* Does this input under this name give these documents, or this error? */
static int
gives(const struct bytes *b, const char *name, size_t doc, const char *want)
{
	struct ge_docs_caps c = caps_of(doc);
	struct seen k = { .rc = 0 };
	int good;

	read_bytes(&k, b, name, &c);
	good = k.rc == 0 && strcmp((char *)k.docs.s, want) == 0;
	if (!good)
		printf("# %s: %d %s, documents %s\n", name, k.rc, k.e.msg,
		    k.docs.s);
	forget(&k);
	return (good);
}

static int
refuses(const struct bytes *b, const char *name, const struct ge_docs_caps *c,
    int code, const char *msg)
{
	struct seen k = { .rc = 0 };
	int good;

	read_bytes(&k, b, name, c);
	good = k.rc == -1 && k.e.code == code && strcmp(k.e.msg, msg) == 0;
	if (!good)
		printf("# %s: %d %d '%s', not '%s'\n", name, k.rc, k.e.code,
		    k.e.msg, msg);
	forget(&k);
	return (good);
}

static int
text_gives(const char *s, const char *name, size_t doc, const char *want)
{
	struct bytes b = text(s);
	int good = gives(&b, name, doc, want);

	free(b.s);
	return (good);
}

static int
text_refuses(const char *s, const char *name, int code, const char *msg)
{
	struct ge_docs_caps c = caps_of(64);
	struct bytes b = text(s);
	int good = refuses(&b, name, &c, code, msg);

	free(b.s);
	return (good);
}

static void
test_plain(void)
{

	check(text_gives("abc\n", "in", 64, "abc\n|") &&
	    text_gives("a\r\nb", "in", 64, "a\r\nb|") &&
	    text_gives("\xef\xbb\xbf" "abc\xef\xbb\xbf", "in", 64,
	    "abc\xef\xbb\xbf|") &&
	    text_gives("l'\xc3\xa9t\xc3\xa9", "in", 64, "l'\xc3\xa9t\xc3\xa9|"),
	    "a text is a document, without its byte order mark");
	/* From byte 4 on, behind the first empty line. */
	check(text_gives("a\n\nb\n\nc\n\nd\n\n", "in", 4,
	    "a\n\nb\n\n|c\n\nd\n\n|") &&
	    text_gives("a\n\nb\n\nc\nd\n\ne", "in", 4,
	    "a\n\nb\n\n|c\nd\n\n|e|") &&
	    text_gives("abcdefg\r\n\r\nh\n", "in", 4, "abcdefg\r\n\r\n|h\n|") &&
	    text_gives("abc\n\nd", "in", 4, "abc\n\n|d|") &&
	    text_gives("ab\n\ncd", "in", 4, "ab\n\ncd|"),
	    "a long text is cut behind the first empty line");
	check(text_gives("ab\ncd\nef\ngh\nij", "in", 2,
	    "ab\n|cd\n|ef\n|gh\nij|") &&
	    text_gives("ab\ncdefg\n\nh", "in", 2, "ab\n|cdefg\n\n|h|"),
	    "or, where there is none for long, behind the first line");
	/* Two bytes a character, cut at 16: one more before, and none is. */
	check(text_gives("aaaaaaaaaaaaaaaaaa", "in", 1,
	    "aaaaaaaaaaaaaaaa|aa|") &&
	    text_gives("aaaaaaaaaaaaaaa\xc3\xa9z", "in", 1,
	    "aaaaaaaaaaaaaaa|\xc3\xa9z|") &&
	    text_gives("aaaaaaaaaaaaaa\xc3\xa9z", "in", 1,
	    "aaaaaaaaaaaaaa\xc3\xa9|z|") &&
	    text_gives("aaaaaaaaaaaaa\xf0\x9f\x98\x80z", "in", 1,
	    "aaaaaaaaaaaaa|\xf0\x9f\x98\x80z|") &&
	    text_gives("aaaaaaaaaaaa\xf0\x9f\x98\x80", "in", 1,
	    "aaaaaaaaaaaa\xf0\x9f\x98\x80|"),
	    "one without is cut at a character");
}

static void
test_bad_text(void)
{
	struct ge_docs_caps c = caps_of(64);
	struct seen k = { .rc = 0 };
	struct bytes b;
	size_t i;
	int good;

	check(text_refuses("ab\ncd\n\xff\n", "in", GE_EREFUSED,
	    "'in:3': not UTF-8") && text_refuses("a\xc3", "in", GE_EREFUSED,
	    "'in:1': not UTF-8") && text_refuses("caf\xe9", "in", GE_EREFUSED,
	    "'in:1': not UTF-8") && text_refuses("\xed\xa0\x80", "in",
	    GE_EREFUSED, "'in:1': not UTF-8"),
	    "what is not UTF-8 is refused, with its line");
	b = run_of('a', 64);
	for (i = 0, good = 1; i < 61; i++) {
		memcpy(b.s + i, "\xf0\x9f\x98\x80", 4);
		good &= ge_utf8_check(b.s, 64) == 64;
		b.s[i + 3] = 'a';
		good &= ge_utf8_check(b.s, 64) == i;
		memset(b.s + i, 'a', 4);
	}
	check(good, "wherever it is");
	free(b.s);
	/* Late, behind what the head shows and behind other documents. */
	b = run_of('a', 100000);
	for (i = 99; i < b.len; i += 100)
		b.s[i] = '\n';
	b.s[90050] = 0xc3;
	good = refuses(&b, "in", &c, GE_EREFUSED, "'in:901': not UTF-8");
	b.s[90050] = 'a';
	b.s[b.len - 1] = 0xe2;
	good &= refuses(&b, "in", &c, GE_EREFUSED, "'in:1000': not UTF-8");
	check(good, "the line is right far behind the beginning");
	b.s[8191] = 0;
	good = refuses(&b, "in", &c, GE_EREFUSED,
	    "'in': neither text nor an archive");
	b.s[8191] = 'a';
	b.s[b.len - 1] = '\n';
	b.s[8192] = 0;
	c.doc = 1 << 20;
	read_bytes(&k, &b, "in", &c);
	good &= k.rc == 0 && k.longest == b.len;
	forget(&k);
	check(good, "a NUL in the first 8 KiB is binary");
	free(b.s);
	check(text_refuses("", "in", GE_EUSAGE, "'in': no text") &&
	    text_refuses("\n \n\n", "in.jsonl", GE_EUSAGE,
	    "'in.jsonl': no text") && text_refuses("{\"text\":\"\"}\n", "in",
	    GE_EUSAGE, "'in': no text") && text_refuses("\xef\xbb\xbf", "in",
	    GE_EUSAGE, "'in': no text"), "nothing is no text");
}

/* The same documents however the bytes come. */
static void
test_arrival(void)
{
	static const size_t step[] = { 1, 7, 4096, 65536, 1000000 };
	struct ge_docs_caps c = caps_of(300);
	struct seen whole = { .rc = 0 }, k = { .rc = 0 };
	struct bytes b = { NULL, 0, 0 }, j = { NULL, 0, 0 }, *in;
	char line[200];
	unsigned int x = 1;
	size_t i;
	int good = 1, which, status;

	for (i = 0; i < 60000; i++) {
		x = x * 1664525 + 1013904223;
		add(&b, x >> 24 < 6 ? "\n\n" : x >> 24 < 128 ? "\xe2\x82\xac" :
		    "ab", x >> 24 < 6 || x >> 24 >= 128 ? 2 : 3);
		if (i % 20 == 0) {
			snprintf(line, sizeof(line), "{\"n\":%zu,\"text\":"
			    "\"%08x\\n\\u20ac%.*s\"}\n%s", i, x, (int)(i % 50),
			    "pppppppppppppppppppppppppppppppppppppppppppppppp",
			    i % 3 == 0 ? " \n" : "");
			add(&j, line, strlen(line));
		}
	}
	for (which = 0; which < 2; which++) {
		in = which == 0 ? &b : &j;
		read_bytes(&whole, in, "in", &c);
		good &= whole.rc == 0 && whole.longest <= 16 * 300;
		good &= which == 0 || whole.ndocs == 3000;
		for (i = which == 0 ? 0 : 1; i < 5; i++) {
			forget(&k);
			read_fd(&k, pipe_of(in, step[i]), "in", &c);
			good &= wait(&status) != -1 && status == 0 &&
			    k.rc == 0 && k.docs.len == whole.docs.len &&
			    memcmp(k.docs.s, whole.docs.s, k.docs.len) == 0;
		}
	}
	check(good, "the same documents from a file and from any pipe");
	forget(&whole);
	forget(&k);
	free(b.s);
	free(j.s);
}

static void
test_lines(void)
{
	struct ge_docs_caps c = caps_of(64);
	struct seen k = { .rc = 0 };
	struct bytes b;
	int good, fd;

	check(text_gives("{\"text\": \"a\"}\n\n  \t\r\n{ \"x\" : [1, {\"text\":2}"
	    ", -0.5e+3, true, null], \"text\":\"b\\n\" }\r\n{\"text\":\"\"}\n"
	    "{\"t\\u0065xt\":\"c\"}", "in", 64, "a|b\n|c|"),
	    "a document a line, blank ones and empty strings passed over");
	check(text_gives("{\"text\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9"
	    "\\u20AC\\ud83d\\uDE00\xc3\xa9\"}", "in", 64,
	    "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9|"),
	    "escapes, and surrogates in pairs");
	check(text_gives("\n\n {\"text\":\"a\"}\n", "in", 64, "a|") &&
	    text_gives("{\"texts\":\"a\"}\n", "in", 64, "{\"texts\":\"a\"}\n|") &&
	    text_gives("{\"text\":7}\n", "in", 64, "{\"text\":7}\n|") &&
	    text_gives("{\n\"text\":\"a\"}", "in", 64, "{\n\"text\":\"a\"}|") &&
	    text_gives("\xef\xbb\xbf{\"text\":\"a\"}", "in", 64, "a|"),
	    "JSON lines are known by their first, else it is text");
	check(text_gives("{\"text\":\"a\"}", "in.jsonl", 64, "a|") &&
	    text_gives("\n{\"text\":\"a\"}", "x/in.NDJSON.gz", 64, "a|") &&
	    text_refuses("abc", "in.json-lines", GE_EREFUSED,
	    "'in.json-lines:1': no JSON object, at byte 0") &&
	    text_refuses("abc", "in.NDJSON.Zst", GE_EREFUSED,
	    "'in.NDJSON.Zst:1': no JSON object, at byte 0"),
	    "or by their name");
	check(text_refuses("{\"text\":\"a\"}\n\n{\"tex\":\"b\"}\n", "in",
	    GE_EREFUSED, "'in:3': no member \"text\"") &&
	    text_refuses("{\"text\":\"a\"}\n{\"text\":7}\n", "in", GE_EREFUSED,
	    "'in:2': its member \"text\" is no string") &&
	    text_refuses("{\"text\":\"a\",\"text\":\"b\"}\n", "in.jsonl",
	    GE_EREFUSED, "'in.jsonl:1': more than one member \"text\"") &&
	    text_refuses("{\"text\":\"a\"}\n{\"text\":\"\\ud83d\"}\n", "in",
	    GE_EREFUSED, "'in:2': half of a surrogate pair") &&
	    text_refuses("{\"text\":\"a\"}\n{\"text\":\"b\"", "in", GE_EREFUSED,
	    "'in:2': no JSON object, at byte 11") &&
	    text_refuses("{\"text\":\"a\"}\n{\"text\":\"\xc3\"}", "in",
	    GE_EREFUSED, "'in:2': not UTF-8"), "bad lines are named");
	b = run_of(' ', 64 * 1024 + 20);
	memcpy(b.s, "{\"text\":\"a\"}\n{\"text\":\"b\"}", 25);
	b.len = 64 * 1024 + 13;
	good = gives(&b, "in", 64, "a|b|");
	b.len++;
	good &= refuses(&b, "in", &c, GE_EREFUSED, "'in:2': a line of more than "
	    "65536 bytes: raise -O document= if that is meant");
	check(good, "a line has its longest");
	free(b.s);
	/* Nobody waits for its end. */
	b = run_of(' ', 8 << 20);
	fd = file_of(&b);
	good = ge_docs_read(fd, "in.jsonl", &c, keep, &k, &k.e) == -1 &&
	    lseek(fd, 0, SEEK_CUR) < 4 << 20;
	check(good, "and is read no further than that");
	close(fd);
	free(b.s);
	/* 1024 characters at most are 16 times 64. */
	b = run_of('x', 2000);
	memcpy(b.s, "{\"text\":\"", 9);
	memcpy(b.s + 9 + 1024, "\"}", 2);
	b.len = 9 + 1024 + 2;
	read_bytes(&k, &b, "in", &c);
	good = k.rc == 0 && k.ndocs == 1 && k.longest == 1024;
	memset(b.s + 9 + 1024, 'x', 76);
	memcpy(b.s + 9 + 1100, "\"}", 2);
	memcpy(b.s + 200, "\\n\\n", 4);
	b.len = 9 + 1100 + 2;
	read_bytes(&k, &b, "in", &c);
	good &= k.rc == 0 && k.ndocs == 2 && k.longest == 1100 - 2 - 193;
	forget(&k);
	check(good, "a long document of JSON lines is cut as text is");
	free(b.s);
}

static void
test_json(void)
{
	static const char *const no[] = { "{", "{}", "[]", "\"text\"", "{\"text\""
	    ":\"a\"}x", "{\"text\":\"a\"},", "{\"text\":\"a\",}", "{,\"text\":"
	    "\"a\"}", "{\"text\" \"a\"}", "{text:\"a\"}", "{'text':\"a\"}",
	    "{\"text\":\"a\" \"b\":1}", "{\"text\":\"a\n\"}", "{\"text\":\"\\x\"}",
	    "{\"text\":\"\\u12g4\"}", "{\"text\":\"\\u123\"}",
	    "{\"text\":\"\\ud800\\u0041\"}", "{\"text\":\"\\udc00\"}",
	    "{\"text\":\"\\ud800\\ud800\"}", "{\"text\":\"\\udc00\\udc00\"}", "{\"text\":\"a\\\"}",
	    "{\"b\":01,\"text\":\"\"}", "{\"b\":+1,\"text\":\"\"}",
	    "{\"b\":1.,\"text\":\"\"}", "{\"b\":.5,\"text\":\"\"}",
	    "{\"b\":1e,\"text\":\"\"}", "{\"b\":-,\"text\":\"\"}",
	    "{\"b\":tru,\"text\":\"\"}", "{\"b\":nulll,\"text\":\"\"}",
	    "{\"b\":[1,],\"text\":\"\"}", "{\"b\":[1 2],\"text\":\"\"}",
	    "{\"b\":{\"text\":\"a\"}}", "{\"b\":[}],\"text\":\"\"}",
	    "{\"b\":NaN,\"text\":\"\"}", "{\"b\":,\"text\":\"\"}",
	    "{\"b\"}", "{1:\"text\"}", "{\"text\":null}", "{\"text\":[\"a\"]}",
	    "{\"text\":\"a\"}\v", "nul", "7", "{\"\\u0000text\":\"a\"}" };
	static const char *const yes[] = { "{\"text\":\"ab\"}",
	    " {\t\"text\" : \"ab\" \r\n} ", "{\"b\":-0.0E-10,\"text\":\"ab\"}",
	    "{\"b\":[],\"c\":{},\"d\":[[{}],[]],\"text\":\"ab\",\"e\":0}",
	    "{\"\\u0074\\u0065\\u0078\\u0074\":\"ab\"}",
	    "{\"text\":\"\\u0061\\u0062\"}", "{\"\":\"text\",\"text\":\"ab\"}",
	    "{\"b\":\"\\\"text\\\":\",\"text\":\"ab\"}",
	    "{\"texttexttexttexttexttexttexttext\":\"b\",\"text\":\"ab\"}" };
	const uint8_t *at;
	uint8_t line[4096], plain[64];
	struct ge_err e = { 0, 0, "" };
	size_t i, n;
	int good = 1, d;

	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (ge_jsonl_find((const uint8_t *)no[i], strlen(no[i]), &at,
		    &n, &e) != -1 || e.code != GE_EREFUSED) {
			printf("# %s\n", no[i]);
			good = 0;
		}
	check(good, "no line with a text");
	good = 1;
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (ge_jsonl_find((const uint8_t *)yes[i], strlen(yes[i]), &at,
		    &n, &e) != 1 || n > sizeof(plain) ||
		    ge_jsonl_plain(plain, at, n) != 2 ||
		    memcmp(plain, "ab", 2) != 0) {
			printf("# %s: %s\n", yes[i], e.msg);
			good = 0;
		}
	check(good, "lines with a text");
	good = 1;
	for (d = 511; d <= 513; d++) {
		n = 0;
		memcpy(line, "{\"b\":", 5);
		memset(line + 5, '[', (size_t)d);
		memset(line + 5 + d, ']', (size_t)d);
		memcpy(line + 5 + 2 * d, ",\"text\":\"\"}", 11);
		good &= ge_jsonl_find(line, 5 + 2 * (size_t)d + 11, &at, &n,
		    &e) == (d <= 512 ? 1 : -1);
	}
	check(good && strcmp(e.msg, "nested too deep") == 0,
	    "nested 512 deep and no deeper");
}

/* Archives, by libarchive's own hand. */
struct maker {
	struct archive *a;
	struct bytes out;
};

static la_ssize_t
made(struct archive *a, void *arg, const void *s, size_t len)
{

	(void)a;
	add(&((struct maker *)arg)->out, s, len);
	return ((la_ssize_t)len);
}

static void
begin(struct maker *m, const char *format, int filter)
{

	memset(m, 0, sizeof(*m));
	if ((m->a = archive_write_new()) == NULL ||
	    archive_write_set_format_by_name(m->a, format) != ARCHIVE_OK ||
	    archive_write_add_filter(m->a, filter) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(m->a, 1) != ARCHIVE_OK ||
	    archive_write_open(m->a, m, NULL, made, NULL) != ARCHIVE_OK)
		abort();
}

static void
put(struct maker *m, const char *name, int type, const char *link,
    const void *s, size_t len)
{
	struct archive_entry *x = archive_entry_new();
	la_ssize_t n;

	archive_entry_set_pathname(x, name);
	archive_entry_set_filetype(x, (unsigned int)type);
	archive_entry_set_perm(x, 0644);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(x, link);
	else if (link != NULL)
		archive_entry_set_hardlink(x, link);
	archive_entry_set_size(x, (la_int64_t)len);
	if (archive_write_header(m->a, x) < ARCHIVE_WARN)
		abort();
	for (; len > 0; s = (const uint8_t *)s + n, len -= (size_t)n)
		if ((n = archive_write_data(m->a, s, len)) <= 0)
			abort();
	archive_entry_free(x);
}

static void
put_text(struct maker *m, const char *name, const char *s)
{

	put(m, name, AE_IFREG, NULL, s, strlen(s));
}

static struct bytes
end(struct maker *m)
{

	if (archive_write_close(m->a) != ARCHIVE_OK)
		abort();
	archive_write_free(m->a);
	return (m->out);
}

static struct bytes
two_texts(const char *format, int filter)
{
	struct maker m;

	begin(&m, format, filter);
	put_text(&m, "a.txt", "first\n");
	put_text(&m, "b.jsonl", "{\"text\":\"second\"}\n{\"text\":\"third\"}\n");
	return (end(&m));
}

static struct bytes
packed(const struct bytes *b, int filter)
{
	struct maker m;

	begin(&m, "raw", filter);
	put(&m, "data", AE_IFREG, NULL, b->s, b->len);
	return (end(&m));
}

/* A tar of a file with data from off on, and of another; zeros are not written. */
static struct bytes
sparse(size_t off, size_t len)
{
	struct archive_entry *x = archive_entry_new();
	struct bytes b = run_of('a', len);
	struct maker m;

	memset(b.s, 'a', len);
	begin(&m, "pax", ARCHIVE_FILTER_NONE);
	archive_entry_set_pathname(x, "holes");
	archive_entry_set_filetype(x, AE_IFREG);
	archive_entry_set_size(x, (la_int64_t)len);
	archive_entry_sparse_add_entry(x, 0, off > 0 ? 10000 : 0);
	archive_entry_sparse_add_entry(x, (la_int64_t)off + 20000, 10000);
	if (archive_write_header(m.a, x) != ARCHIVE_OK ||
	    archive_write_data(m.a, b.s, len) != (la_ssize_t)len)
		abort();
	archive_entry_free(x);
	free(b.s);
	put_text(&m, "y", "y");
	return (end(&m));
}

/* From a file and from a pipe. */
static int
gives_both(const struct bytes *b, const char *name, const char *want)
{
	struct ge_docs_caps c = caps_of(64);
	struct seen k = { .rc = 0 };
	int status, good = gives(b, name, 64, want);

	read_fd(&k, pipe_of(b, 1000), name, &c);
	good &= wait(&status) != -1 && status == 0 && k.rc == 0 &&
	    strcmp((char *)k.docs.s, want) == 0;
	if (!good)
		printf("# %s by a pipe: %s %s\n", name, k.e.msg, k.docs.s);
	forget(&k);
	return (good);
}

static void
test_archives(void)
{
	static const struct {
		const char *format;
		int filter;
		const char *name;
	} kind[] = {
		{ "ustar", ARCHIVE_FILTER_NONE, "tar" },
		{ "pax", ARCHIVE_FILTER_GZIP,
		    "tar.gz" },
		{ "gnutar", ARCHIVE_FILTER_XZ, "tar.xz" },
		{ "ustar", ARCHIVE_FILTER_ZSTD, "tar.zst" },
		{ "ustar", ARCHIVE_FILTER_BZIP2, "tar.bz2" },
		{ "ustar", ARCHIVE_FILTER_LZ4, "tar.lz4" },
		{ "zip", ARCHIVE_FILTER_NONE, "zip" },
		{ "7zip", ARCHIVE_FILTER_NONE, "7z" },
		{ "newc", ARCHIVE_FILTER_NONE, "cpio" },
		{ "arbsd", ARCHIVE_FILTER_NONE, "ar" },
		{ "iso9660", ARCHIVE_FILTER_NONE, "iso" }
	};
	static const char want[] = "first\n|second|third|";
	struct bytes b, n;
	struct maker m;
	char what[64];
	size_t i;
	int good;

	for (i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		b = two_texts(kind[i].format, kind[i].filter);
		snprintf(what, sizeof(what), "%s", kind[i].name);
		check(gives_both(&b, "in", want), what);
		/* And in one another. */
		begin(&m, "zip", ARCHIVE_FILTER_NONE);
		put(&m, "x", AE_IFREG, NULL, b.s, b.len);
		put_text(&m, "y", "last");
		n = end(&m);
		snprintf(what, sizeof(what), "%s in a zip", kind[i].name);
		check(gives_both(&n, "in", "first\n|second|third|last|"), what);
		free(n.s);
		begin(&m, "ustar", ARCHIVE_FILTER_GZIP);
		put(&m, "x", AE_IFREG, NULL, b.s, b.len);
		put_text(&m, "y", "last");
		n = end(&m);
		snprintf(what, sizeof(what), "%s in a tar.gz", kind[i].name);
		check(gives_both(&n, "in", "first\n|second|third|last|"), what);
		free(n.s);
		free(b.s);
	}
	good = 1;
	for (i = 1; i < 6; i++) {
		b = text("{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
		n = packed(&b, kind[i].filter);
		good &= gives_both(&n, "in", "a|b|");
		free(n.s);
		b.len = 5;
		n = packed(&b, kind[i].filter);
		good &= gives_both(&n, "in", "{\"tex|");
		begin(&m, "ustar", ARCHIVE_FILTER_NONE);
		put(&m, "x.gz", AE_IFREG, NULL, n.s, n.len);
		free(n.s);
		n = end(&m);
		good &= gives_both(&n, "in", "{\"tex|");
		free(n.s);
		free(b.s);
	}
	check(good, "one text compressed, alone and in a tar");
}

static void
test_entries(void)
{
	static const uint8_t png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
	struct ge_docs_caps c = caps_of(64);
	struct seen k = { .rc = 0 };
	struct bytes b, n;
	struct maker m;
	int good, format;

	for (format = 0, good = 1; format < 3; format++) {
		begin(&m, format == 0 ? "ustar" : format == 1 ?
		    "zip" : "7zip",
		    ARCHIVE_FILTER_NONE);
		put(&m, "d", AE_IFDIR, NULL, "", 0);
		put(&m, "link", AE_IFLNK, "/etc/passwd", "", 0);
		if (format == 0)
			put(&m, "hard", AE_IFREG, "../../etc/passwd", "", 0);
		put_text(&m, "../../tmp/docs-traversal", "a");
		put_text(&m, "/tmp/docs-absolute", "b");
		put_text(&m, "empty", "");
		put(&m, "x.png", AE_IFREG, NULL, png, sizeof(png));
		put(&m, "y.png", AE_IFREG, NULL, png, sizeof(png));
		b = end(&m);
		good &= gives_both(&b, "in", "a|b|");
		read_bytes(&k, &b, "in", &c);
		good &= strcmp(k.note, "'in': entries passed over, as "
		    "no text: 2, the first 'x.png'") == 0;
		free(b.s);
	}
	check(good && access("/tmp/docs-traversal", F_OK) == -1 &&
	    access("/tmp/docs-absolute", F_OK) == -1,
	    "links and what is no text are passed over, names are only names");
	b = text("caf\xe9\n");
	begin(&m, "zip", ARCHIVE_FILTER_NONE);
	put_text(&m, "a", "a\n");
	put(&m, "d/b.txt", AE_IFREG, NULL, b.s, b.len);
	n = end(&m);
	check(refuses(&n, "in", &c, GE_EREFUSED,
	    "'in': 'd/b.txt:1': not UTF-8"), "a bad entry is named");
	free(b.s);
	b = n;
	begin(&m, "ustar", ARCHIVE_FILTER_GZIP);
	put(&m, "x.zip", AE_IFREG, NULL, b.s, b.len);
	n = end(&m);
	check(refuses(&n, "in", &c, GE_EREFUSED,
	    "'in': 'x.zip': 'd/b.txt:1': not UTF-8"),
	    "with the archives that it is in");
	free(b.s);
	free(n.s);
	/* Three deep: not opened. */
	b = two_texts("ustar", ARCHIVE_FILTER_GZIP);
	begin(&m, "zip", ARCHIVE_FILTER_NONE);
	put(&m, "x.tar.gz", AE_IFREG, NULL, b.s, b.len);
	put_text(&m, "y", "y");
	free(b.s);
	b = end(&m);
	begin(&m, "ustar", ARCHIVE_FILTER_NONE);
	put(&m, "x.zip", AE_IFREG, NULL, b.s, b.len);
	free(b.s);
	b = end(&m);
	good = gives_both(&b, "in", "y|");
	read_bytes(&k, &b, "in", &c);
	check(good && strcmp(k.note, "'in': entries passed over, as "
	    "no text: 1, the first 'x.tar.gz'") == 0,
	    "an archive in an archive in an archive is passed over");
	free(b.s);
	b = sparse(0, 50000);
	check(gives_both(&b, "in", "y|"), "as is a file that begins with a hole");
	free(b.s);
	b = sparse(10000, 50000);
	check(refuses(&b, "in", &c, GE_EREFUSED, "'in': 'holes': a file with "
	    "holes"), "text with a hole is refused");
	free(b.s);
	begin(&m, "ustar", ARCHIVE_FILTER_NONE);
	put(&m, "x.png", AE_IFREG, NULL, png, sizeof(png));
	b = end(&m);
	check(refuses(&b, "in", &c, GE_EUSAGE, "'in': no text"),
	    "an archive without a text has none");
	free(b.s);
	forget(&k);
}

/* A name that no C locale has, marked as UTF-8 in both headers of a zip. */
static void
test_name(void)
{
	struct ge_docs_caps c = caps_of(64);
	struct bytes b;
	struct maker m;
	size_t i;

	begin(&m, "zip", ARCHIVE_FILTER_NONE);
	put_text(&m, "xx.jsonl", "abc\n");
	b = end(&m);
	for (i = 0; i + 10 < b.len; i++) {
		if (memcmp(b.s + i, "PK\3\4", 4) == 0)
			b.s[i + 7] |= 8;
		if (memcmp(b.s + i, "PK\1\2", 4) == 0)
			b.s[i + 9] |= 8;
		if (memcmp(b.s + i, "xx.jsonl", 8) == 0)
			memcpy(b.s + i, "\xc3\xa9", 2);
	}
	check(refuses(&b, "in", &c, GE_EREFUSED, "'in': '\xc3\xa9.jsonl:1': no "
	    "JSON object, at byte 0"), "names are UTF-8");
	free(b.s);
}

static void
test_damage(void)
{
	static const char *const format[] = { "ustar",
	    "zip", "7zip" };
	struct ge_docs_caps c = caps_of(64);
	struct seen k = { .rc = 0 };
	struct bytes b, big = run_of('a', 200000), n;
	struct maker m;
	unsigned int x = 1;
	size_t i, j, len;
	int good = 1;

	for (i = 0; i < big.len; i++) {
		x = x * 1664525 + 1013904223;
		big.s[i] = (uint8_t)('a' + (x >> 24) % 26);
	}
	for (i = 0; i < 3; i++) {
		begin(&m, format[i], i == 0 ? ARCHIVE_FILTER_GZIP :
		    ARCHIVE_FILTER_NONE);
		put(&m, "a", AE_IFREG, NULL, big.s, big.len);
		put(&m, "b", AE_IFREG, NULL, big.s, big.len);
		b = end(&m);
		len = b.len;
		for (j = 1; j < 16; j++) {
			b.len = len * j / 16;
			read_bytes(&k, &b, "in", &c);
			good &= k.rc == -1 && k.e.code == GE_EREFUSED &&
			    strncmp(k.e.msg, "'in': ", 6) == 0;
			if (!good)
				printf("# %zu of %zu: %d %s\n", b.len, len,
				    k.rc, k.e.msg);
		}
		free(b.s);
	}
	check(good, "a cut archive is refused");
	b = two_texts("ustar", ARCHIVE_FILTER_GZIP);
	begin(&m, "zip", ARCHIVE_FILTER_NONE);
	put(&m, "x.tgz", AE_IFREG, NULL, b.s, b.len - 20);
	free(b.s);
	b = end(&m);
	read_bytes(&k, &b, "in", &c);
	check(k.rc == -1 && k.e.code == GE_EREFUSED && strncmp(k.e.msg,
	    "'in': 'x.tgz': ", 15) == 0, "and one in another");
	free(b.s);
	begin(&m, "zip", ARCHIVE_FILTER_NONE);
	put(&m, "a", AE_IFREG, NULL, big.s, big.len);
	b = end(&m);
	/* The checksum in the table at the end. */
	for (i = b.len - 4; memcmp(b.s + i, "PK\1\2", 4) != 0; i--)
		;
	b.s[i + 16] ^= 1;
	read_bytes(&k, &b, "in", &c);
	check(k.rc == -1 && k.e.code == GE_EREFUSED && strstr(k.e.msg,
	    "'in': 'a': cannot be unpacked: ") == k.e.msg,
	    "a wrong checksum is refused");
	free(b.s);
	n = text("\x1f\x8b\x08\x00 no gzip at all, and then some");
	read_bytes(&k, &n, "in", &c);
	check(k.rc == -1 && k.e.code == GE_EREFUSED, "nor is a false gzip text");
	free(n.s);
	free(big.s);
	forget(&k);
}

/* So many times 16 MiB, an x and zeros or letters, compressed to next to nothing. */
static struct bytes
bomb(int c, size_t times)
{
	struct bytes b = { NULL, 0, 0 }, from = run_of(c, 16 << 20);
	uint8_t out[65536];
	z_stream z;

	from.s[0] = 'x';
	memset(&z, 0, sizeof(z));
	z.next_in = from.s;
	z.avail_in = (uInt)from.len;
	z.next_out = out;
	z.avail_out = sizeof(out);
	if (deflateInit2(&z, 6, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	while (times-- > 0)
		add(&b, out, sizeof(out) - z.avail_out);
	deflateEnd(&z);
	free(from.s);
	return (b);
}

static void
test_bombs(void)
{
	static const char ratio[] = "unpacked more than 200 times as large: "
	    "raise -O ratio= if that is meant";
	struct ge_docs_caps c = caps_of(64 << 10);
	struct seen k = { .rc = 0 };
	struct bytes b, n;
	struct maker m;
	char msg[200], name[16];
	int i, good;

	b = bomb('a', 64);
	snprintf(msg, sizeof(msg), "'in': %s", ratio);
	check(refuses(&b, "in", &c, GE_EREFUSED, msg),
	    "a gibibyte in a megabyte is refused");
	begin(&m, "zip", ARCHIVE_FILTER_NONE);
	put(&m, "x.gz", AE_IFREG, NULL, b.s, b.len);
	n = end(&m);
	snprintf(msg, sizeof(msg), "'in': 'x.gz': %s", ratio);
	check(refuses(&n, "in", &c, GE_EREFUSED, msg), "in a zip too");
	free(n.s);
	free(b.s);
	/* What is passed over counts as well. */
	b = bomb(0, 64);
	begin(&m, "ustar", ARCHIVE_FILTER_NONE);
	put(&m, "x.gz", AE_IFREG, NULL, b.s, b.len);
	put_text(&m, "y", "y");
	n = end(&m);
	check(refuses(&n, "in", &c, GE_EREFUSED, msg), "and of zeros");
	free(n.s);
	free(b.s);
	/* Zeros alone are the end of a tar. */
	b = run_of(0, 1 << 20);
	begin(&m, "zip", ARCHIVE_FILTER_NONE);
	put(&m, "x", AE_IFREG, NULL, b.s, b.len);
	put_text(&m, "y", "y");
	n = end(&m);
	read_bytes(&k, &n, "in", &c);
	check(k.rc == 0 && k.ndocs == 1 && strcmp(k.note, "'in': entries passed "
	    "over, as no text: 1, the first 'x'") == 0 &&
	    refuses(&b, "in", &c, GE_EUSAGE, "'in': no text"),
	    "an empty archive is no text");
	free(n.s);
	free(b.s);
	/* Just below: 48 MiB, and 128 MiB with the cap raised. */
	b = bomb('a', 3);
	read_bytes(&k, &b, "in", &c);
	good = k.rc == 0 && k.longest == 1 << 20;
	free(b.s);
	b = bomb('a', 8);
	c.ratio = 2000;
	read_bytes(&k, &b, "in", &c);
	good &= k.rc == 0 && k.docs.len == ((size_t)128 << 20) + 128 + 1;
	check(good, "a cap may be raised");
	c.bytes = 100 << 20;
	check(refuses(&b, "in", &c, GE_EREFUSED, "'in': more than 104857600 "
	    "bytes: raise -O unpacked= if that is meant"),
	    "bytes unpacked have a cap");
	free(b.s);
	b = text("abcdefghij");
	c.bytes = 10;
	good = gives(&b, "in", 64, "abcdefghij|");
	c.bytes = 9;
	good &= refuses(&b, "in", &c, GE_EREFUSED, "'in': more than 9 bytes: "
	    "raise -O unpacked= if that is meant");
	free(b.s);
	check(good, "and those of plain text");
	ge_docs_caps_init(&c);
	begin(&m, "ustar", ARCHIVE_FILTER_NONE);
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "%d", i);
		put_text(&m, name, "a");
	}
	b = end(&m);
	begin(&m, "ustar", ARCHIVE_FILTER_NONE);
	put(&m, "x", AE_IFREG, NULL, b.s, b.len);
	n = end(&m);
	c.entries = 11;
	read_bytes(&k, &n, "in", &c);
	good = k.rc == 0 && k.ndocs == 10;
	c.entries = 10;
	good &= refuses(&n, "in", &c, GE_EREFUSED, "'in': 'x': more than 10 "
	    "entries: raise -O entries= if that is meant");
	check(good, "entries have a cap, at all levels together");
	free(n.s);
	free(b.s);
	forget(&k);
}

static void
test_long_line(void)
{
	struct ge_docs_caps c = caps_of(64 << 10);
	struct seen k = { .rc = 0 };
	struct bytes b = run_of('a', (size_t)80 << 20);
	int good;

	read_bytes(&k, &b, "in", &c);
	good = k.rc == 0 && k.ndocs == 80 && k.longest == 1 << 20;
	check(good, "one huge line is cut");
	b.s[0] = '{';
	read_bytes(&k, &b, "in", &c);
	good = k.rc == 0 && k.ndocs == 80 && k.longest == 1 << 20;
	check(good, "though it begins as JSON");
	check(refuses(&b, "in.jsonl", &c, GE_EREFUSED, "'in.jsonl:1': a line "
	    "of more than 67108864 bytes: raise -O document= if that is meant"),
	    "but of JSON lines it is refused");
	free(b.s);
	forget(&k);
}

static void
test_stop(void)
{
	struct bytes b = two_texts("zip", ARCHIVE_FILTER_NONE);
	struct ge_docs_caps c = caps_of(64);
	struct seen k = { .stop = 2 };
	struct bytes n = text("xyz");
	int fd;

	read_fd(&k, file_of(&b), "in", &c);
	check(k.rc == -1 && k.e.code == GE_EFAIL && strcmp(k.e.msg, "enough") ==
	    0 && k.ndocs == 2, "who takes the documents may stop");
	forget(&k);
	add(&n, b.s, b.len);
	fd = file_of(&n);
	lseek(fd, 3, SEEK_SET);
	read_fd(&k, fd, "in", &c);
	check(k.rc == 0 && k.ndocs == 3, "a file is read from where it is");
	forget(&k);
	free(b.s);
	free(n.s);
}

int
main(void)
{

	test_plain();
	test_bad_text();
	test_json();
	test_lines();
	test_arrival();
	test_archives();
	test_entries();
	test_name();
	test_damage();
	test_bombs();
	test_long_line();
	test_stop();
	return (bad);
}
