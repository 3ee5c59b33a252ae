/*
 * lib/site: what servers answer, taken apart; the net over folders.
 */
#define _GNU_SOURCE		/* syscall */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "site/answer_int.h"
#include "site/sigv4_int.h"
#include "site/site.h"
#include "util/hook.h"

#define UNIT "net"
#include "check.h"

static char tmp[256];

static void
die(const char *what)
{

	perror(what);
	exit(1);
}

/* What came of a listing, as text. */
static char said[4096];
static int most;

static int
entry(void *arg, const char *name, size_t len, uint64_t size, int folder)
{
	size_t n = strlen(said);

	(void)arg;
	if (name == NULL) {
		said[0] = '\0';
		return (0);
	}
	snprintf(said + n, sizeof(said) - n, "%.*s", (int)len, name);
	n = strlen(said);
	if (folder)
		snprintf(said + n, sizeof(said) - n, "/;");
	else if (size == GE_OP_UNKNOWN)
		snprintf(said + n, sizeof(said) - n, " ?;");
	else
		snprintf(said + n, sizeof(said) - n, " %llu;",
		    (unsigned long long)size);
	return (most > 0 && --most == 0);
}

/* In pieces of every length. */
static int
listing(enum ge_answer_kind kind, const char *base, const char *text,
    const char *want, const char *goes_on)
{
	size_t len = strlen(text), piece, at, n;
	struct ge_answer *a;
	const char *token;
	struct ge_err e;
	int rc, good = 1;

	for (piece = 1; piece <= len; piece += piece < 9 ? 1 : len / 3 + 1) {
		said[0] = '\0';
		token = NULL;
		a = ge_answer_new(kind, base, entry, NULL, &e);
		if (a == NULL)
			die("memory");
		for (at = 0, rc = 0; rc == 0 && at < len; at += n) {
			n = len - at < piece ? len - at : piece;
			rc = ge_answer_feed(a, text + at, n, &e);
		}
		if (rc == 0)
			rc = ge_answer_end(a, &token, &e);
		if (want == NULL)
			good &= rc == -1;
		else
			good &= rc == 0 && strcmp(said, want) == 0 &&
			    (goes_on == NULL) == (token == NULL) &&
			    (token == NULL || strcmp(token, goes_on) == 0);
		ge_answer_free(a);
	}
	return (good);
}

#define S3(inner) "<?xml version=\"1.0\"?><ListBucketResult xmlns=" \
	"\"http://s3.amazonaws.com/doc/2006-03-01/\">" inner \
	"</ListBucketResult>"
#define KEY(k, n) "<Contents><Key>" k "</Key><Size>" n "</Size><Owner><ID>" \
	"x</ID></Owner></Contents>"

static void
test_s3(void)
{
	int good;

	good = listing(GE_ANSWER_S3, "p/", S3(KEY("p/a", "3") KEY("p/", "0")
	    "<CommonPrefixes><Prefix>p/d/</Prefix></CommonPrefixes>"
	    "<Prefix>p/</Prefix><IsTruncated>false</IsTruncated>"),
	    "a 3;d/;", NULL);
	good &= listing(GE_ANSWER_S3, "", S3(""), "", NULL);
	good &= listing(GE_ANSWER_S3, "p/",
	    S3("<EncodingType>url</EncodingType>" KEY("p%2Fa%0Ab+%2B", "1")),
	    "a\nb + 1;", NULL);
	good &= listing(GE_ANSWER_S3, "", S3(KEY("..&lt;", "1")
	    "<NextContinuationToken>a&amp;b</NextContinuationToken>"
	    "<IsTruncated>true</IsTruncated>"), "..< 1;", "a&b");
	check(good, "S3 listings");
	good = listing(GE_ANSWER_S3, "p/", S3(KEY("q/a", "3")), NULL, NULL);
	good &= listing(GE_ANSWER_S3, "", S3(KEY("a", "-3")), NULL, NULL);
	good &= listing(GE_ANSWER_S3, "", S3("<IsTruncated>true"
	    "</IsTruncated>"), NULL, NULL);
	good &= listing(GE_ANSWER_S3, "", "<Error><Code>x</Code></Error>",
	    NULL, NULL);
	good &= listing(GE_ANSWER_S3, "", "<ListBucketResult>", NULL, NULL);
	good &= listing(GE_ANSWER_S3, "", "", NULL, NULL);
	good &= listing(GE_ANSWER_S3, "", "<!DOCTYPE x [<!ENTITY a \"b\">]>"
	    "<ListBucketResult></ListBucketResult>", NULL, NULL);
	check(good, "S3 listings that are none");
}

#define DAV(inner) "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">" \
	inner "</D:multistatus>"
#define RESPONSE(href, prop) "<D:response><D:href>" href "</D:href>" \
	"<D:propstat><D:prop>" prop "</D:prop></D:propstat></D:response>"
#define FOLDER "<D:resourcetype><D:collection/></D:resourcetype>"
#define LENGTH(n) "<D:resourcetype/><D:getcontentlength>" n \
	"</D:getcontentlength>"

static void
test_dav(void)
{
	int good;

	good = listing(GE_ANSWER_DAV, "/x y/", DAV(RESPONSE("/x%20y/", FOLDER)
	    RESPONSE("/x%20y/a", LENGTH("7"))
	    RESPONSE("http://h:1/x%20y/d/", FOLDER)
	    RESPONSE("\n/x%20y/%e2%82%ac\n", "")), "a 7;d/;\xe2\x82\xac ?;",
	    NULL);
	good &= listing(GE_ANSWER_DAV, "/", DAV(RESPONSE("/", FOLDER)), "",
	    NULL);
	check(good, "DAV listings");
	good = listing(GE_ANSWER_DAV, "/x/", DAV(RESPONSE("/y/a",
	    LENGTH("7"))), NULL, NULL);
	good &= listing(GE_ANSWER_DAV, "/x/", DAV(RESPONSE("/x/a/b",
	    LENGTH("7"))), NULL, NULL);
	good &= listing(GE_ANSWER_DAV, "/x/", DAV(RESPONSE("/x/a%2Fb",
	    LENGTH("7"))), NULL, NULL);
	good &= listing(GE_ANSWER_DAV, "/x/", DAV(RESPONSE("http://", "")),
	    NULL, NULL);
	good &= listing(GE_ANSWER_DAV, "/x/", "<html></html>", NULL, NULL);
	check(good, "DAV listings that are none");
}

static void
test_ls(void)
{

	check(listing(GE_ANSWER_LS, "",
	    "-rw-r--r--    1 root     root         1234 Nov 21 10:00 a b\n"
	    "drwxr-xr-x    2 root     root         4096 Nov 21  2025 d\n"
	    "drwxr-xr-x    2 root     root         4096 Nov 21  2025 .\n"
	    "drwxr-xr-x    2 root     root         4096 Nov 21  2025 ..\n"
	    "lrwxrwxrwx    1 root     root            1 Nov 21 10:00 l -> a\n"
	    "the rest of a name\n"
	    "lrwxrwxrwx    1 root     root            1 Nov 21 10:00  -> a\n"
	    "\n", "a b 1234;d/;l ?;", NULL) &&
	    listing(GE_ANSWER_LS, "", "-rw-r--r--", NULL, NULL),
	    "listings of SFTP");
}

static void
test_endless(void)
{
	static char junk[1 << 20];
	struct ge_answer *a;
	struct ge_err e;
	int rc, good = 1, k;
	size_t i;

	for (k = 0; k < 3; k++) {
		a = ge_answer_new(k == 0 ? GE_ANSWER_LS : GE_ANSWER_S3, "",
		    entry, NULL, &e);
		if (a == NULL)
			die("memory");
		memset(junk, 'x', sizeof(junk));
		if (k == 1)
			memcpy(junk, "<ListBucketResult x=\"", 21);
		if (k == 2)
			memcpy(junk, "<ListBucketResult><Key>", 23);
		for (i = 0, rc = 0; rc == 0 && i < 64; i++)
			rc = ge_answer_feed(a, junk, i == 0 ? 100 :
			    sizeof(junk), &e);
		good &= rc == -1 && i < 3;
		ge_answer_free(a);
	}
	check(good, "an answer without end is not kept");
}

static void
test_small(void)
{
	static const char ini[] = "# x\n[default]\naws_access_key_id = A\n"
	    " aws_secret_access_key=b/c= \n[profile p]\r\nregion = r\r\n"
	    "[q\naws_access_key_id = no\n";
	static const char net[] = "machine a.b login u password p\n"
	    "machine h login v password \"q r\\\"\" macdef m\n machine x "
	    "login y\n\nmachine h login w password 2\ndefault login d "
	    "password e";
	uint64_t a, b, c;
	char out[64], pw[64];
	double s;
	int good;

	good = ge_answer_range("bytes 0-9/10", &a, &b, &c) == 0 && a == 0 &&
	    b == 9 && c == 10;
	good &= ge_answer_range("bytes 5-5/*", &a, &b, &c) == 0 && a == 5 &&
	    c == UINT64_MAX;
	good &= ge_answer_range("bytes */7", &a, &b, &c) == 0 && a > b &&
	    c == 7;
	good &= ge_answer_range("bytes 0-10/10", &a, &b, &c) == -1 &&
	    ge_answer_range("bytes 9-0/10", &a, &b, &c) == -1 &&
	    ge_answer_range("bytes 0-9", &a, &b, &c) == -1 &&
	    ge_answer_range("bytes 0-/10", &a, &b, &c) == -1 &&
	    ge_answer_range("bytes=0-9/10", &a, &b, &c) == -1 &&
	    ge_answer_range("", &a, &b, &c) == -1 &&
	    ge_answer_range("bytes 0-99999999999999999999/*", &a, &b, &c) ==
	    -1;
	check(good, "Content-Range");
	good = ge_answer_retry("7", &s) == 0 && s == 7 &&
	    ge_answer_retry("-1", &s) == -1 && ge_answer_retry("", &s) == -1;
	check(good, "Retry-After");
	good = ge_answer_ini(ini, sizeof(ini) - 1, "default",
	    "aws_access_key_id", out, 64) == 1 && strcmp(out, "A") == 0;
	good &= ge_answer_ini(ini, sizeof(ini) - 1, "default",
	    "aws_secret_access_key", out, 64) == 1 && strcmp(out, "b/c=") == 0;
	good &= ge_answer_ini(ini, sizeof(ini) - 1, "p", "region", out, 64) ==
	    1 && strcmp(out, "r") == 0;
	good &= ge_answer_ini(ini, sizeof(ini) - 1, "default", "region", out,
	    64) == 0;
	good &= ge_answer_ini(ini, sizeof(ini) - 1, "q", "aws_access_key_id",
	    out, 64) == 0;
	good &= ge_answer_ini(ini, sizeof(ini) - 1, "default",
	    "aws_secret_access_key", out, 4) == -1;
	check(good, "credential files of AWS");
	good = ge_answer_netrc(net, sizeof(net) - 1, "h", NULL, out, 64, pw,
	    64) == 1 && strcmp(out, "v") == 0 && strcmp(pw, "q r\"") == 0;
	good &= ge_answer_netrc(net, sizeof(net) - 1, "h", "w", out, 64, pw,
	    64) == 1 && strcmp(pw, "2") == 0;
	good &= ge_answer_netrc(net, sizeof(net) - 1, "zz", NULL, out, 64, pw,
	    64) == 1 && strcmp(pw, "e") == 0;
	good &= ge_answer_netrc(net, sizeof(net) - 1, "a.b", "v", out, 64, pw,
	    64) == 0 && pw[0] == '\0';
	check(good, ".netrc");
	good = ge_answer_text("<Error><Code>A</Code><Code>B</Code>", 36,
	    "Error", "Code", out, 64) == 1 && strcmp(out, "A") == 0;
	good &= ge_answer_text("<Other><Code>A</Code>", 21, "Error", "Code",
	    out, 64) == 0;
	good &= ge_answer_text("<Error><x><Code>A</Code></x>", 28, "Error",
	    "Code", out, 64) == 0;
	check(good, "error documents");
}

/*
 * The examples of Amazon: get-vanilla of the aws4_testsuite, and "Signature
 * Calculations for the Authorization Header" of the S3 API Reference.
 */
static int
signs(struct ge_sigv4 *r, const char *names, const char *signature)
{
	char out[1024], want[1024];

	snprintf(want, sizeof(want), "AWS4-HMAC-SHA256 Credential=%s/%.8s/"
	    "us-east-1/%s/aws4_request, SignedHeaders=%s, Signature=%s", r->id,
	    r->date, r->service, names, signature);
	return (ge_sigv4_sign(out, sizeof(out), r) == 0 &&
	    strcmp(out, want) == 0 &&
	    ge_sigv4_sign(out, strlen(want) + 1, r) == 0 &&
	    ge_sigv4_sign(out, strlen(want), r) == -1);
}

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BODY "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define HOST "host:examplebucket.s3.amazonaws.com"
#define DATE "x-amz-date:20130524T000000Z"
#define NAMES "host;x-amz-content-sha256;x-amz-date"

static void
test_sigv4(void)
{
	static const char *const vanilla[] = { "host:example.amazonaws.com",
	    "x-amz-date:20150830T123600Z", NULL };
	static const char *const get[] = { HOST, "range:bytes=0-9",
	    "x-amz-content-sha256:" EMPTY, DATE, NULL };
	static const char *const put[] = {
	    "date:Fri, 24 May 2013 00:00:00 GMT", HOST,
	    "x-amz-content-sha256:" BODY, DATE,
	    "x-amz-storage-class:REDUCED_REDUNDANCY", NULL };
	static const char *const list[] = { HOST,
	    "x-amz-content-sha256:" EMPTY, DATE, NULL };
	static char longkey[9000];
	struct ge_sigv4 r = {
		.id = "AKIDEXAMPLE",
		.secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		.region = "us-east-1", .service = "service",
		.date = "20150830T123600Z", .method = "GET", .path = "/",
		.query = "", .header = vanilla, .sha = EMPTY
	};
	char date[GE_SIGV4_DATE], out[1024];
	int good;

	good = signs(&r, "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e"
	    "8372ff2a2260956d9b8aae1d763fbf31");
	r.query = "Param1=value1&Param2=value2";
	good &= signs(&r, "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f45"
	    "8b799221646efd99d3219ec94cdf2500");
	check(good, "SigV4: examples of its test suite");
	r.id = "AKIAIOSFODNN7EXAMPLE";
	r.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
	r.service = "s3";
	r.date = "20130524T000000Z";
	r.path = "/test.txt";
	r.query = "";
	r.header = get;
	good = signs(&r, "host;range;x-amz-content-sha256;x-amz-date",
	    "f0e8bdb87c964420e857bd35b5d6ed31"
	    "0bd44f0170aba48dd91039c6036bdb41");
	r.header = list;
	r.path = "/";
	r.query = "lifecycle=";
	good &= signs(&r, NAMES, "fea454ca298b7da1c68078a5d1bdbfbb"
	    "e0d65c699e0f91ac7a200a0136783543");
	r.query = "max-keys=2&prefix=J";
	good &= signs(&r, NAMES, "34b48302e7b5fa45bde8084f4b7868a8"
	    "6f0a534bc59db6670ed5711ef69dc6f7");
	r.header = put;
	r.method = "PUT";
	r.path = "/test%24file.text";
	r.query = "";
	r.sha = BODY;
	good &= signs(&r, "date;host;x-amz-content-sha256;x-amz-date;"
	    "x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238"
	    "d841ea1380cd77a1b5971af0ece108bd");
	check(good, "SigV4: examples of S3");
	memset(longkey, 'x', sizeof(longkey) - 1);
	r.secret = longkey;
	good = ge_sigv4_sign(out, sizeof(out), &r) == -1;
	ge_sigv4_date(date, 1369353600);
	good &= strcmp(date, "20130524T000000Z") == 0;
	ge_sigv4_date(date, INT64_MAX);
	good &= strlen(date) == 16;
	check(good, "SigV4: dates, and no room");
}

/* Folders. */

static struct ge_net *net;
static struct ge_op op;
static uint8_t buf[1 << 16];

static enum ge_op_result
run(enum ge_op_kind kind, int site, const char *name)
{
	struct ge_op *one = &op;
	struct ge_err e;

	op.kind = kind;
	op.site = site;
	snprintf(op.name, sizeof(op.name), "%s", name);
	op.entry = entry;
	op.buf = buf;
	said[0] = '\0';
	if (ge_op_run(net, &one, 1, &e) == -1)
		die(e.msg);
	return (op.result);
}

static enum ge_op_result
put(int site, const char *name, const char *body, int replace)
{

	memset(&op, 0, sizeof(op));
	op.body = (const uint8_t *)body;
	op.len = strlen(body);
	op.replace = replace;
	return (run(GE_OP_PUT, site, name));
}

static enum ge_op_result
get(int site, const char *name, uint64_t off, uint64_t len)
{

	memset(&op, 0, sizeof(op));
	op.off = off;
	op.len = len;
	return (run(GE_OP_GET, site, name));
}

static enum ge_op_result
simple(enum ge_op_kind kind, int site, const char *name)
{

	memset(&op, 0, sizeof(op));
	return (run(kind, site, name));
}

static void
test_folder(void)
{
	char path[512];
	struct stat st;
	int good;

	good = put(0, "d/e/a", "hello", 0) == GE_OP_DONE;
	good &= put(0, "d/e/a", "other", 0) == GE_OP_EXISTS &&
	    strstr(op.err.msg, "site 's0': 'd/e/a': cannot store: ") != NULL;
	good &= get(0, "d/e/a", 0, 100) == GE_OP_DONE && op.got == 5 &&
	    op.size == 5 && memcmp(buf, "hello", 5) == 0;
	good &= put(0, "d/e/a", "replaced", 1) == GE_OP_DONE;
	good &= get(0, "d/e/a", 2, 3) == GE_OP_DONE && op.got == 3 &&
	    op.size == 8 && memcmp(buf, "pla", 3) == 0;
	good &= get(0, "d/e/a", 8, 3) == GE_OP_DONE && op.got == 0;
	good &= get(0, "d/e/a", 80, 3) == GE_OP_DONE && op.got == 0;
	good &= simple(GE_OP_HEAD, 0, "d/e/a") == GE_OP_DONE && op.size == 8;
	good &= simple(GE_OP_HEAD, 0, "d/e/b") == GE_OP_ABSENT;
	good &= simple(GE_OP_HEAD, 0, "d/e") == GE_OP_ABSENT;
	good &= get(0, "d/e/b", 0, 1) == GE_OP_ABSENT;
	snprintf(path, sizeof(path), "%s/s0/d/e/a", tmp);
	good &= stat(path, &st) == 0 && (st.st_mode & 07777) == 0600;
	snprintf(path, sizeof(path), "%s/s0/d", tmp);
	good &= stat(path, &st) == 0 && (st.st_mode & 07777) == 0700;
	check(good, "folders: put, get, head");
	good = put(0, "d/z", "", 0) == GE_OP_DONE;
	good &= simple(GE_OP_LIST, 0, "") == GE_OP_DONE &&
	    strcmp(said, "d/;") == 0;
	good &= simple(GE_OP_LIST, 0, "d/") == GE_OP_DONE &&
	    (strcmp(said, "e/;z 0;") == 0 || strcmp(said, "z 0;e/;") == 0);
	most = 1;
	good &= simple(GE_OP_LIST, 0, "d/") == GE_OP_DONE &&
	    strlen(said) < 5;
	most = 0;
	good &= simple(GE_OP_LIST, 0, "q/") == GE_OP_ABSENT;
	good &= simple(GE_OP_REMOVE, 0, "d/e/") == GE_OP_DENIED;
	good &= simple(GE_OP_REMOVE, 0, "d/e/a") == GE_OP_DONE;
	good &= simple(GE_OP_REMOVE, 0, "d/e/a") == GE_OP_ABSENT;
	good &= simple(GE_OP_REMOVE, 0, "d/e/") == GE_OP_DONE;
	good &= simple(GE_OP_REMOVE, 0, "d/z") == GE_OP_DONE;
	good &= simple(GE_OP_REMOVE, 0, "d/") == GE_OP_DONE;
	good &= simple(GE_OP_LIST, 0, "") == GE_OP_DONE && said[0] == '\0';
	check(good, "folders: list, remove");
	snprintf(path, sizeof(path), "%s/s0/pipe", tmp);
	if (mkfifo(path, 0600) == -1)
		die("mkfifo");
	good = get(0, "pipe", 0, 1) == GE_OP_DENIED &&
	    put(0, "pipe", "x", 0) == GE_OP_EXISTS &&
	    simple(GE_OP_REMOVE, 0, "pipe") == GE_OP_DONE;
	check(good, "folders: a pipe is not waited for");
	good = put(1, "a", "x", 0) == GE_OP_FAILED &&
	    put(1, "d/a", "x", 0) == GE_OP_FAILED &&
	    get(1, "a", 0, 1) == GE_OP_FAILED &&
	    simple(GE_OP_HEAD, 1, "a") == GE_OP_FAILED &&
	    simple(GE_OP_LIST, 1, "") == GE_OP_FAILED &&
	    simple(GE_OP_LIST, 1, "d/") == GE_OP_FAILED &&
	    simple(GE_OP_REMOVE, 1, "a") == GE_OP_FAILED;
	snprintf(path, sizeof(path), "site 's1': 'a': cannot remove: there is "
	    "no folder '%s/s1': mount or make it first", tmp);
	good &= strcmp(op.err.msg, path) == 0;
	snprintf(path, sizeof(path), "%s/s1", tmp);
	good &= access(path, F_OK) == -1;
	check(good, "folders: the site's own is neither made nor missed");
}

static void
test_many(void)
{
	enum { N = 300 };
	static struct ge_op many[N];
	static uint8_t body[N][64], back[N][64];
	struct ge_op *o, *none;
	struct ge_err e;
	int i, n, good = 1;
	uint64_t up, down;

	for (i = 0; i < N; i++) {
		memset(body[i], i, 64);
		memset(&many[i], 0, sizeof(many[i]));
		many[i].kind = GE_OP_PUT;
		many[i].site = i % 2 * 2;
		many[i].body = body[i];
		many[i].len = 64;
		many[i].tag = &body[i];
		many[i].urgent = i % 3 == 0;
		snprintf(many[i].name, sizeof(many[i].name), "m%d/%d", i % 7,
		    i);
		ge_op_start(net, &many[i]);
	}
	/* Others do not get in the way. */
	good &= simple(GE_OP_HEAD, 0, "nothing") == GE_OP_ABSENT;
	for (n = 0; ge_net_next(net, -1, &o, &e) == 1; n++)
		good &= o->result == GE_OP_DONE && o->in == NULL &&
		    o->tag == &body[o - many];
	good &= n == N && ge_net_next(net, -1, &none, &e) == 0;
	for (i = 0; i < N; i++) {
		many[i].kind = GE_OP_GET;
		many[i].buf = back[i];
		ge_op_start(net, &many[i]);
	}
	for (n = 0; ge_net_next(net, -1, &o, &e) == 1; n++)
		good &= o->result == GE_OP_DONE && o->got == 64 &&
		    ge_op_progress(net, o) == 64 &&
		    memcmp(o->buf, body[o - many], 64) == 0;
	ge_net_moved(net, &up, &down);
	good &= n == N && up >= N * 64 && down >= N * 64;
	check(good, "many operations at once");
	for (i = 0; i < N; i++)
		ge_op_start(net, &many[i]);
	for (i = 0; i < N; i++)
		ge_op_cancel(net, &many[i]);
	good = 1;
	for (n = 0; ge_net_next(net, -1, &o, &e) == 1; n++)
		good &= o->result == GE_OP_DONE ||
		    o->result == GE_OP_CANCELLED;
	check(good && n == N, "cancelled operations return");
}

/* What is under way, or waits to be tried again, ends with the net. */
static void
test_close(const struct ge_sites *s)
{
	struct ge_net_conf c = { .jobs = 2, .tries = 50 };
	static struct ge_op many[20];
	struct ge_op *o;
	struct ge_net *n;
	struct ge_err e;
	int i, good;

	if ((n = ge_net_open(s, &c, &e)) == NULL)
		die(e.msg);
	for (i = 0; i < 20; i++) {
		many[i].kind = GE_OP_HEAD;
		many[i].site = 1;
		ge_op_start(n, &many[i]);
	}
	good = ge_net_next(n, 0, &o, &e) == 0;
	ge_op_cancel(n, &many[7]);
	good &= ge_net_next(n, -1, &o, &e) == 1 && o == &many[7] &&
	    o->result == GE_OP_CANCELLED;
	ge_net_close(n);
	check(good, "a net is closed while it waits");
}

static void
put_big(void)
{
	static char big[1 << 16];

	memset(big, 'b', sizeof(big) - 1);
	if (put(0, "big", big, 0) != GE_OP_DONE ||
	    put(2, "big", big, 0) != GE_OP_DONE)
		die("big");
}

/*
 * A disk that hangs: what reads or writes a file tells gate[1], and goes on when
 * gate[0] says so.
 */
static int gate[2], asked, go;
static atomic_int hangs;	/* 1: reads, 2: writes */
static atomic_int leaked;	/* what was written was no longer to be */

/* A disk with a bad sector, there in any file; 0: none.  It fails so often. */
static atomic_int sector, failures;

static void
pass(void)
{
	char c;

	if (syscall(SYS_write, gate[1], "x", 1) != 1 ||
	    syscall(SYS_read, gate[0], &c, 1) != 1)
		_exit(1);
}

ssize_t
pread(int fd, void *p, size_t len, off_t off)
{

	if (atomic_load(&hangs) == 1)
		pass();
	if (atomic_load(&sector) > 0 && off + (off_t)len > sector) {
		if (off < sector) {
			len = (size_t)(sector - off);
		} else if (failures-- > 0) {
			errno = EIO;
			return (-1);
		}
	}
	return (syscall(SYS_pread64, fd, p, len, off));
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	const uint8_t *b = v[0].iov_base;

	if (atomic_load(&hangs) == 2) {
		pass();
		if (b[0] == 'S' || b[v[0].iov_len - 1] == 'S')
			atomic_store(&leaked, 1);
	}
	return (syscall(SYS_writev, fd, v, n));
}

/* The far ends of the gate. */
static void
build_gate(void)
{
	int in[2], out[2];

	if (pipe(in) == -1 || pipe(out) == -1)
		die("pipe");
	gate[0] = out[0];
	gate[1] = in[1];
	asked = in[0];
	go = out[1];
}

static void
await(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		die("pipe");
}

static void
release(int fd, int n)
{

	while (n-- > 0)
		if (syscall(SYS_write, fd, "x", 1) != 1)
			die("pipe");
}

/* What of a file cannot be read is damage: the site has answered. */
static void
test_sector(void)
{
	struct ge_op get, *o = &get;
	struct ge_err e;
	int good;

	memset(&get, 0, sizeof(get));
	get.kind = GE_OP_GET;
	get.len = sizeof(buf);
	get.buf = buf;
	snprintf(get.name, sizeof(get.name), "big");
	sector = 1000;
	failures = 99;
	good = ge_op_run(net, &o, 1, &e) == 0 && get.result == GE_OP_DONE &&
	    get.got == 1000 && get.size == (1 << 16) - 1;
	get.off = 1000;
	good &= ge_op_run(net, &o, 1, &e) == 0 && get.result == GE_OP_DONE &&
	    get.got == 0;
	failures = 1;
	get.off = 1;
	get.len = 2000;
	good &= ge_op_run(net, &o, 1, &e) == 0 && get.result == GE_OP_DONE &&
	    get.got == 2000;
	sector = 0;
	check(good, "a bad sector is damage, and no silence");
}

/*
 * A worker that is in the system for ever, as on a disk that is gone: one that
 * was cancelled comes back without it, and the net can be closed.
 */
static void
test_hang(const struct ge_sites *s)
{
	struct ge_net_conf c = { .jobs = 4 };
	static struct ge_op many[3];
	static uint8_t back[3][64];
	int i, n, good = 1;
	struct ge_op *o;
	struct ge_net *hung;
	struct ge_err e;

	if ((hung = ge_net_open(s, &c, &e)) == NULL)
		die(e.msg);
	atomic_store(&hangs, 1);
	for (i = 0; i < 3; i++) {
		many[i].kind = GE_OP_GET;
		many[i].site = i % 2 * 2;
		many[i].len = 64;
		many[i].buf = back[i];
		snprintf(many[i].name, sizeof(many[i].name), "big");
		ge_op_start(hung, &many[i]);
		await(asked);
	}
	ge_op_cancel(hung, &many[1]);
	good &= ge_net_next(hung, -1, &o, &e) == 1 && o == &many[1] &&
	    o->result == GE_OP_CANCELLED && o->in == NULL;
	for (n = 0; ge_net_reclaim(hung) != NULL; n++)
		;
	good &= n == 2;
	ge_net_close(hung);
	check(good, "a worker that hangs holds up nobody");
	/* The last of them frees what it had. */
	memset(back, 7, sizeof(back));
	release(go, 3);
	atomic_store(&hangs, 0);
}

/*
 * The same when nobody cancels: in the time that a site has to say something it
 * has failed, and its site is asked once by those that come after.  What was sent
 * is the caller's again.
 */
static void
test_stalled(const struct ge_sites *s)
{
	struct ge_net_conf c = { .jobs = 6, .stall = 0.1 };
	enum { LEN = 3 << 20 };
	struct ge_op one, *o = &one;
	int good;
	struct ge_net *hung;
	struct ge_err e;
	uint8_t *body;

	if ((hung = ge_net_open(s, &c, &e)) == NULL ||
	    (body = malloc(LEN)) == NULL)
		die("memory");
	memset(&one, 0, sizeof(one));
	one.kind = GE_OP_GET;
	one.len = sizeof(buf);
	one.buf = buf;
	snprintf(one.name, sizeof(one.name), "big");
	atomic_store(&hangs, 1);
	ge_op_start(hung, &one);
	await(asked);
	good = ge_net_next(hung, -1, &o, &e) == 1 &&
	    o->result == GE_OP_FAILED && strcmp(o->err.msg,
	    "site 's0': 'big': cannot read: no answer") == 0;
	memset(buf, 0, sizeof(buf));
	atomic_store(&hangs, 0);
	release(go, 1);
	/* A disk that comes back is a site again. */
	good &= ge_op_run(hung, &o, 1, &e) == 0 && one.result == GE_OP_DONE &&
	    buf[0] == 'b';
	check(good, "a disk that hangs is not waited for");
	memset(body, 'b', LEN);
	memset(&one, 0, sizeof(one));
	one.kind = GE_OP_PUT;
	one.body = body;
	one.len = LEN;
	snprintf(one.name, sizeof(one.name), "sent");
	atomic_store(&hangs, 2);
	ge_op_start(hung, &one);
	await(asked);
	release(go, 1);
	await(asked);
	good = ge_net_next(hung, -1, &o, &e) == 1 &&
	    o->result == GE_OP_FAILED;
	memset(body, 'S', LEN);
	free(body);
	release(go, 1);
	ge_net_close(hung);
	atomic_store(&hangs, 0);
	check(good && !atomic_load(&leaked) && simple(GE_OP_HEAD, 0, "sent") ==
	    GE_OP_ABSENT, "what was given back is not sent");
}

/* A socket that takes connections and says nothing; its port. */
static int
mute(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, 128) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) == -1)
		die("socket");
	*port = ntohs(a.sin_port);
	return (fd);
}

/* Such a site is asked twice by the first, once by each that comes after. */
static void
test_mute(void)
{
	static const enum ge_transport how[] = { GE_SITE_DAV, GE_SITE_S3,
	    GE_SITE_SFTP };
	static char name[] = "mute", host[] = "127.0.0.1", path[] = "/x";
	enum { N = 3, EACH = 3 };
	struct ge_net_conf c = { .jobs = 12, .stall = 0.5, .connect = 0.5 };
	struct ge_site site[N];
	struct ge_sites s = { .site = site, .n = N };
	static struct ge_op ask[N], *ops[N];
	int fd[N], k, i, n, good = 1;
	struct ge_net *quiet;
	struct ge_err e;

	setenv("AWS_ACCESS_KEY_ID", "i", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "k", 1);
	setenv("HOME", tmp, 1);
	memset(site, 0, sizeof(site));
	for (i = 0; i < N; i++) {
		fd[i] = mute(&site[i].port);
		site[i].transport = how[i];
		site[i].name = name;
		site[i].host = host;
		site[i].path = path;
		site[i].user = how[i] == GE_SITE_SFTP ? name : NULL;
	}
	if ((quiet = ge_net_open(&s, &c, &e)) == NULL)
		die(e.msg);
	for (k = 0; k < EACH; k++) {
		memset(ask, 0, sizeof(ask));
		for (i = 0; i < N; i++) {
			ask[i].kind = GE_OP_HEAD;
			ask[i].site = i;
			snprintf(ask[i].name, sizeof(ask[i].name), "o");
			ops[i] = &ask[i];
		}
		if (ge_op_run(quiet, ops, N, &e) == -1)
			die(e.msg);
		for (i = 0; i < N; i++)
			good &= ask[i].result == GE_OP_FAILED;
	}
	ge_net_close(quiet);
	for (i = 0; i < N; i++) {
		for (n = 0; (k = accept(fd[i], NULL, NULL)) != -1; n++)
			close(k);
		if (n != EACH + 1)
			printf("site %d was asked %d times\n", i, n);
		good &= n == EACH + 1;
		close(fd[i]);
	}
	check(good, "a site that says nothing is not asked again and again");
}

static int stop;

static int
hook(void)
{

	return (stop);
}

static void
test_hook(const struct ge_sites *s)
{
	struct ge_net_conf c = { .jobs = 2, .tries = 50 };
	struct ge_op one, *o = &one;
	struct ge_net *n;
	struct ge_err e;
	int good;

	if (ge_hook_open(hook, &e) == -1 ||
	    (n = ge_net_open(s, &c, &e)) == NULL)
		die(e.msg);
	memset(&one, 0, sizeof(one));
	one.kind = GE_OP_HEAD;
	one.site = 1;
	stop = 1;
	good = ge_op_run(n, &o, 1, &e) == -1 && one.in == NULL &&
	    one.result != GE_OP_DONE;
	good &= ge_net_next(n, -1, &o, &e) == -1;
	stop = 0;
	ge_net_close(n);
	check(good, "a program that is to stop does not wait");
}

int
main(void)
{
	struct ge_net_conf c = { .jobs = 6, .tries = 1 };
	struct ge_site site[3];
	struct ge_sites s = { .site = site, .n = 3 };
	char names[3][8], paths[3][300], cmd[300];
	const char *dir = getenv("TMPDIR");
	struct ge_err e;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	test_s3();
	test_dav();
	test_ls();
	test_endless();
	test_small();
	test_sigv4();

	snprintf(tmp, sizeof(tmp), "%.200s/ge-net.XXXXXX",
	    dir != NULL && dir[0] != '\0' ? dir : "/tmp");
	if (mkdtemp(tmp) == NULL)
		die(tmp);
	memset(site, 0, sizeof(site));
	for (i = 0; i < 3; i++) {
		snprintf(names[i], sizeof(names[i]), "s%d", i);
		snprintf(paths[i], sizeof(paths[i]), "%s/s%d", tmp, i);
		site[i].name = names[i];
		site[i].path = paths[i];
		site[i].transport = GE_SITE_FILE;
		if (i != 1 && mkdir(paths[i], 0777) == -1)
			die(paths[i]);
	}
	if ((net = ge_net_open(&s, &c, &e)) == NULL)
		die(e.msg);
	build_gate();
	test_folder();
	test_many();
	put_big();
	test_sector();
	test_stalled(&s);
	ge_net_close(net);
	test_close(&s);
	test_hook(&s);
	test_hang(&s);
	test_mute();
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", tmp);
	if (system(cmd) != 0)
		bad = 1;
	return (bad);
}
