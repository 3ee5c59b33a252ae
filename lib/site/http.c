#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "site/net_int.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/thread.h"
#include "util/world.h"

#define BRIEF	2000L		/* milliseconds */
#define SILENT	5.0		/* seconds for a site that has timed out */
#define SLACK	2.0		/* for libcurl to say by itself that it did */

enum {
	DROPPED = 1 << 20,	/* bytes of a body that nobody wants */
	ENTRIES = 1 << 22,	/* of a listing */
	ROOTED = 5		/* seconds that a folder is taken to be there */
};

int
ge_x_source(struct ge_op_int *x, uint64_t off, void *buf, size_t len,
    struct ge_err *e)
{
	size_t got;

	if (x->op->fd <= 0) {
		memcpy(buf, x->op->body + off, len);
		return (0);
	}
	if (ge_pread(x->op->fd, buf, len, x->op->fdoff + off, &got, e) == -1)
		return (-1);
	if (got != len)
		return (ge_fail(e, GE_EFAIL, "the file is too short"));
	return (0);
}

static size_t
give(char *buf, size_t size, size_t n, void *arg)
{
	struct ge_op_int *x = arg;
	uint64_t left = x->src_len - x->src_pos;
	struct ge_err e;

	n *= size;
	if (n > left)
		n = (size_t)left;
	if (n > 0 && x->post != NULL) {
		memcpy(buf, x->post + x->src_pos, n);
	} else if (n > 0 && ge_x_source(x, x->src_off + x->src_pos, buf, n,
	    &e) == -1) {
		snprintf(x->cause, sizeof(x->cause), "%.200s", e.msg);
		x->stopped = 1;
		return (CURL_READFUNC_ABORT);
	}
	x->src_pos += n;
	ge_x_moved(x, n, 0);
	return (n);
}

static int
rewind_body(void *arg, curl_off_t off, int origin)
{
	struct ge_op_int *x = arg;

	if (origin != SEEK_SET || off < 0 || (uint64_t)off > x->src_len)
		return (CURL_SEEKFUNC_FAIL);
	x->src_pos = (uint64_t)off;
	return (CURL_SEEKFUNC_OK);
}

/* The value, if the line is of this field. */
static const char *
field(const char *line, size_t len, const char *name, char *out, size_t cap)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return (NULL);
	for (line += n + 1, len -= n + 1; len > 0 &&
	    (*line == ' ' || *line == '\t'); line++)
		len--;
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	snprintf(out, cap, "%.*s", (int)(len < cap ? len : cap - 1), line);
	return (out);
}

static size_t
header(char *line, size_t size, size_t n, void *arg)
{
	struct ge_op_int *x = arg;
	struct ge_reply *r = &x->reply;
	char v[256];
	time_t t;

	n *= size;
	ge_x_beat(x);
	if (n >= 12 && strncmp(line, "HTTP/", 5) == 0) {
		char *p = memchr(line, ' ', n - 4);

		memset(r, 0, sizeof(*r));
		r->length = GE_OP_UNKNOWN;
		r->later = r->date = -1;
		r->status = p != NULL ? atoi(p + 1) : 0;
	} else if (field(line, n, "content-length", v, sizeof(v)) != NULL) {
		if (ge_num_parse(v, strlen(v), &r->length) == -1)
			r->length = GE_OP_UNKNOWN;
	} else if (field(line, n, "content-range", v, sizeof(v)) != NULL) {
		snprintf(r->range, sizeof(r->range), "%.95s", v);
	} else if (field(line, n, "content-encoding", v, sizeof(v)) != NULL) {
		r->encoded = strcasecmp(v, "identity") != 0 &&
		    strcasecmp(v, "aws-chunked") != 0 && v[0] != '\0';
	} else if (field(line, n, "retry-after", v, sizeof(v)) != NULL) {
		if (ge_answer_retry(v, &r->later) == -1)
			r->later = -1;
	} else if (field(line, n, "date", v, sizeof(v)) != NULL) {
		t = curl_getdate(v, NULL);
		r->date = (int64_t)t;
	} else if (field(line, n, "etag", v, sizeof(v)) != NULL) {
		snprintf(r->etag, sizeof(r->etag), "%.199s", v);
	}
	return (n);
}

static void
wrong(struct ge_op_int *x, const char *what)
{

	snprintf(x->cause, sizeof(x->cause), "a wrong answer: %.200s",
	    what);
	x->stopped = -1;
}

/* Is the reply to a ranged GET what was asked for?  The first byte is here. */
static void
check_range(struct ge_op_int *x)
{
	struct ge_reply *r = &x->reply;
	struct ge_op *op = x->op;
	uint64_t first, last, total;

	if (r->encoded) {
		wrong(x, "an encoding that was not asked for");
	} else if (r->status == 200) {
		if (op->off != 0)
			wrong(x, "the whole for a range");
		op->size = r->length;
	} else if (r->status != 206) {
		wrong(x, "a status that has no body");
	} else if (ge_answer_range(r->range, &first, &last, &total) == -1 ||
	    first != op->off || last < first || last - first >= op->len ||
	    (last - first + 1 < op->len && total != last + 1) ||
	    (r->length != GE_OP_UNKNOWN && r->length != last - first + 1)) {
		wrong(x, "another range than asked for");
	} else {
		op->size = total;
	}
}

static size_t
take_buf(struct ge_op_int *x, const char *buf, size_t n)
{
	uint64_t got = atomic_load(&x->got), room;

	if (x->reply.status != 0 && got == 0) {
		check_range(x);
		if (x->stopped)
			return (0);
	}
	room = x->op->len - got;
	if (n > room) {
		memcpy(x->op->buf + got, buf, (size_t)room);
		atomic_store(&x->got, x->op->len);
		if (x->reply.status == 206)
			wrong(x, "more than its range");
		else
			x->stopped = 1;
		return (0);
	}
	memcpy(x->op->buf + got, buf, n);
	got += n;
	atomic_store(&x->got, got);
	/* An answer that is longer than we want is not waited for. */
	if (got == x->op->len && x->reply.status == 200 &&
	    x->reply.length != got) {
		x->stopped = 1;
		return (0);
	}
	return (n);
}

static size_t
take(char *buf, size_t size, size_t n, void *arg)
{
	struct ge_op_int *x = arg;
	enum ge_sink sink = x->sink;
	struct ge_err e;
	size_t room;

	n *= size;
	ge_x_moved(x, 0, n);
	if (x->reply.status != 0 && x->reply.status / 100 != 2)
		sink = GE_SINK_TEXT;
	switch (sink) {
	case GE_SINK_BUF:
		return (n > 0 ? take_buf(x, buf, n) : 0);
	case GE_SINK_LIST:
		if (x->reply.encoded) {
			wrong(x, "an encoding that was not asked for");
			return (0);
		}
		switch (ge_answer_feed(x->list, buf, n, &e)) {
		case 0:
			return (n);
		case 1:
			if (x->stopped == 0)
				x->stopped = 1;
			return (0);
		default:
			wrong(x, e.msg);
			return (0);
		}
	case GE_SINK_TEXT:
		if (x->text == NULL &&
		    (x->text = ge_alloc(GE_X_TEXT + 1, &e)) == NULL) {
			x->nomem = 1;
			return (0);
		}
		room = GE_X_TEXT - x->ntext;
		memcpy(x->text + x->ntext, buf, n < room ? n : room);
		x->ntext += n < room ? n : room;
		break;
	case GE_SINK_DROP:
		break;
	}
	if ((x->dropped += n) > DROPPED) {
		wrong(x, "a body without end");
		return (0);
	}
	return (n);
}

/* A site of this machine is not asked for through a proxy. */
static int
loopback(const char *host)
{

	return (strcasecmp(host, "localhost") == 0 ||
	    strcmp(host, "[::1]") == 0 || strncmp(host, "127.", 4) == 0);
}

void
ge_x_limits(const struct ge_op_int *x, double *connect, double *stall)
{
	const struct ge_net_conf *c = ge_net_conf(x->net);

	*connect = c->connect;
	*stall = c->stall;
	if (x->s->silent && *connect > SILENT)
		*connect = SILENT;
	if (x->s->silent && *stall > SILENT)
		*stall = SILENT;
}

int
ge_x_fresh(struct ge_op_int *x)
{
	const struct ge_net_conf *c = ge_net_conf(x->net);
	const char *ca = x->s->site->ca != NULL ? x->s->site->ca : c->ca;
	double connect, seconds, left = c->total;
	long stall;
	CURL *h;

	if (x->easy == NULL)
		x->easy = curl_easy_init();
	else
		curl_easy_reset(x->easy);
	if ((h = x->easy) == NULL) {
		x->nomem = 1;
		return (-1);
	}
	curl_slist_free_all(x->headers);
	x->headers = NULL;
	memset(&x->reply, 0, sizeof(x->reply));
	x->reply.length = GE_OP_UNKNOWN;
	x->reply.later = x->reply.date = -1;
	x->sink = GE_SINK_DROP;
	x->stopped = 0;
	x->cause[0] = x->errbuf[0] = '\0';
	x->ntext = 0;
	x->dropped = 0;
	x->post = NULL;
	x->hostkey = 0;

	x->brief = 0;

	ge_x_limits(x, &connect, &seconds);
	x->patience = connect + seconds + SLACK;
	stall = (long)seconds;
	if (stall < seconds || stall < 1)
		stall++;
	if (x->op->kind == GE_OP_LIST)
		left -= ge_clock() - x->started;
	if (left < 0)
		left = 0;
	curl_easy_setopt(h, CURLOPT_PRIVATE, x);
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, x->errbuf);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https,sftp");
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(h, CURLOPT_USERAGENT, "getools");
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_BUFFERSIZE, 512L << 10);
	curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
	curl_easy_setopt(h, CURLOPT_EXPECT_100_TIMEOUT_MS, 200L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(connect * 1000) + 1);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, stall);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(left * 1000) + 1);
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, header);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
	if (loopback(x->s->site->host))
		curl_easy_setopt(h, CURLOPT_PROXY, "");
	if (ca != NULL) {
		curl_easy_setopt(h, CURLOPT_CAINFO, ca);
		curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	}
	return (0);
}

void
ge_x_brief(struct ge_op_int *x)
{
	long left = BRIEF;

	x->brief = 1;
	if (x->tidying)
		left = (long)((x->tidyby - ge_clock()) * 1000);
	curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, left > 1 ? left : 1L);
}

void
ge_x_header(struct ge_op_int *x, const char *fmt, ...)
{
	char line[GE_NET_SECRET + 64];
	struct curl_slist *l;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line) ||
	    (l = curl_slist_append(x->headers, line)) == NULL) {
		x->nomem = 1;
	} else {
		x->headers = l;
		curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, l);
	}
	ge_wipe(line, sizeof(line));
}

int
ge_x_encode(char *out, size_t cap, const char *s, const char *keep)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		int plain = (c < 0x80 && isalnum(c)) ||
		    strchr("-._~", c) != NULL || strchr(keep, c) != NULL;

		if (n + 4 > cap)
			return (-1);
		if (plain) {
			out[n++] = (char)c;
		} else {
			out[n++] = '%';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	out[n] = '\0';
	return (0);
}

int
ge_x_address(struct ge_op_int *x, char *out, size_t cap, const char *scheme,
    const char *path)
{
	const struct ge_site *s = x->s->site;
	char port[16] = "";
	int n;

	if (s->port != 0)
		snprintf(port, sizeof(port), ":%d", s->port);
	n = snprintf(out, cap, "%s://%s%s", scheme, s->host, port);
	if (n < 0 || (size_t)n >= cap ||
	    ge_x_encode(out + n, cap - (size_t)n, path, "/") == -1)
		return (-1);
	return (0);
}

void
ge_x_url(struct ge_op_int *x, const char *scheme, const char *path,
    const char *query)
{
	char url[3 * GE_X_PATH + 8192];
	size_t n;

	if (ge_x_address(x, url, sizeof(url), scheme, path) == -1) {
		x->nomem = 1;
		return;
	}
	n = strlen(url);
	if (query != NULL && (size_t)snprintf(url + n, sizeof(url) - n, "?%s",
	    query) >= sizeof(url) - n)
		x->nomem = 1;
	if (curl_easy_setopt(x->easy, CURLOPT_URL, url) != CURLE_OK)
		x->nomem = 1;
}

void
ge_x_send(struct ge_op_int *x, uint64_t off, uint64_t len)
{

	x->src_off = off;
	x->src_len = len;
	x->src_pos = 0;
	curl_easy_setopt(x->easy, CURLOPT_UPLOAD, 1L);
	/* A site that took the last one need not be waited for. */
	if (x->s->takes)
		curl_easy_setopt(x->easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
	x->s->takes = 0;
	curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_SEEKFUNCTION, rewind_body);
	curl_easy_setopt(x->easy, CURLOPT_SEEKDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len);
}

int
ge_x_path(struct ge_op_int *x, char out[GE_X_PATH], const char *name)
{
	int n = snprintf(out, GE_X_PATH, "%s/%.*s", x->s->site->path,
	    GE_OP_NAME - 1, name);

	if (n < 0 || n >= GE_X_PATH) {
		(void)ge_x_end(x, GE_OP_DENIED, "the path is too long");
		return (-1);
	}
	return (0);
}

int
ge_x_temporary(struct ge_op_int *x, char out[GE_X_PATH], const char *path)
{
	const char *base = strrchr(path, '/') + 1;
	struct ge_err e;
	uint8_t r[8];
	char hex[17];
	int n;

	if (ge_random(r, sizeof(r), &e) == -1) {
		(void)ge_x_end(x, GE_OP_FAILED, "%s", e.msg);
		return (-1);
	}
	n = snprintf(out, GE_X_PATH, "%.*s.%.100s.%ld-%s.tmp",
	    (int)(base - path), path, base, (long)getpid(),
	    ge_hex(hex, r, sizeof(r)));
	if (n < 0 || n >= GE_X_PATH) {
		(void)ge_x_end(x, GE_OP_DENIED, "the path is too long");
		return (-1);
	}
	return (0);
}

const char *
ge_x_plain(char *out, size_t cap, const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && n + 5 < cap; s++)
		if ((unsigned char)*s >= ' ' && (unsigned char)*s < 0x7f)
			out[n++] = *s;
		else
			n += (size_t)snprintf(out + n, cap - n, "\\x%02x",
			    (unsigned char)*s);
	out[n] = '\0';
	return (out);
}

enum ge_verdict
ge_x_curl(struct ge_op_int *x)
{
	char why[200];

	x->errbuf[strcspn(x->errbuf, "\r\n")] = '\0';
	ge_x_plain(why, sizeof(why), x->errbuf[0] != '\0' ? x->errbuf :
	    curl_easy_strerror(x->code));
	if (x->stopped) {
		memcpy(why, x->cause, sizeof(why) - 1);
		why[sizeof(why) - 1] = '\0';
		return (ge_x_end(x, GE_OP_FAILED, "%s", why));
	}
	switch (x->code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		if (x->s->site->transport == GE_SITE_SFTP)
			return (ge_x_end(x, GE_OP_DENIED, "%s '%s'",
			    x->hostkey == 1 ?
			    "its host key is another than in" :
			    "its host key is not in", x->s->knownhosts));
		return (ge_x_end(x, GE_OP_DENIED, "%s", why));
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_LOGIN_DENIED:
	case CURLE_REMOTE_ACCESS_DENIED:
	case CURLE_URL_MALFORMAT:
		return (ge_x_end(x, GE_OP_DENIED, "%s", why));
	case CURLE_REMOTE_DISK_FULL:
		return (ge_x_end(x, GE_OP_DENIED, "no room: %s", why));
	default:
		return (ge_x_end(x, GE_OP_FAILED, "%s", why));
	}
}

/* What an S3 error code means, whatever the status. */
static int
passes(const char *code)
{
	static const char *const again[] = {
		"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody",
		"RequestTimeout", "InternalError", "SlowDown",
		"ServiceUnavailable", "OperationAborted", "NoSuchUpload",
		"ConditionalRequestConflict"
	};
	size_t i;

	for (i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		if (strcmp(code, again[i]) == 0)
			return (1);
	return (0);
}

static int
full(const char *code)
{

	return (strcmp(code, "QuotaExceeded") == 0 ||
	    strcmp(code, "XMinioStorageFull") == 0 ||
	    strcmp(code, "EntityTooLarge") == 0);
}

enum ge_verdict
ge_x_status(struct ge_op_int *x, const char *name)
{
	int status = x->reply.status;
	char raw[64] = "", code[4 * sizeof(raw)] = "", said[160] = "";

	if (x->text != NULL)
		(void)ge_answer_text(x->text, x->ntext, "Error", "Code", raw,
		    sizeof(raw));
	ge_x_plain(code, sizeof(code), raw);
	if (strcmp(code, "NoSuchBucket") == 0)
		return (ge_x_rootless(x, x->s->site->path));
	snprintf(said, sizeof(said), "%s%sHTTP status %d%s%s",
	    name != NULL ? name : "", name != NULL ? ": " : "", status,
	    code[0] != '\0' ? " " : "", code);
	if ((status == 507 && x->op->kind == GE_OP_PUT) || full(code))
		return (ge_x_end(x, GE_OP_DENIED, "no room: %s", said));
	if (status / 100 == 3)
		return (ge_x_end(x, GE_OP_DENIED,
		    "it sends elsewhere, which is not followed: %s", said));
	if (passes(code) || status / 100 == 1 || status / 100 == 2)
		return (ge_x_end(x, GE_OP_FAILED, "%s", said));
	switch (status) {
	case 404:
	case 410:
		if (x->op->kind == GE_OP_PUT)
			return (ge_x_end(x, GE_OP_FAILED, "%s", said));
		return (ge_x_end(x, GE_OP_ABSENT, "there is no such object"));
	case 408:
	case 409:
	case 423:
	case 425:
	case 429:
		return (ge_x_end(x, GE_OP_FAILED, "%s", said));
	case 501:
	case 505:
		return (ge_x_end(x, GE_OP_DENIED, "%s", said));
	default:
		return (ge_x_end(x, status / 100 == 4 ? GE_OP_DENIED :
		    GE_OP_FAILED, "%s", said));
	}
}

int
ge_x_root(struct ge_op_int *x)
{

	if (x->op->result != GE_OP_ABSENT || (x->s->rooted > 0 &&
	    ge_clock() - x->s->rooted < ROOTED))
		return (0);
	x->result = x->op->result;
	memcpy(x->why, x->cause, sizeof(x->why));
	return (1);
}

enum ge_verdict
ge_x_rootless(struct ge_op_int *x, const char *path)
{
	enum ge_transport how = x->s->site->transport;
	size_t n = strlen(path);

	x->once = 1;
	if (how == GE_SITE_S3) {
		path++;
		n = strcspn(path, "/");
	}
	return (ge_x_end(x, GE_OP_FAILED, "there is no %s '%.*s': make it first",
	    how == GE_SITE_S3 ? "bucket" : "folder", (int)(n < 200 ? n : 200),
	    path));
}

enum ge_verdict
ge_x_rooted(struct ge_op_int *x, int there)
{

	if (!there)
		return (ge_x_rootless(x, x->s->site->path));
	x->s->rooted = ge_clock();
	return (ge_x_end(x, x->result, "%s", x->why));
}

void
ge_x_range(struct ge_op_int *x)
{
	char range[64];

	/* Nothing wanted is one byte not taken. */
	snprintf(range, sizeof(range), "%llu-%llu",
	    (unsigned long long)x->op->off, (unsigned long long)(x->op->off +
	    (x->op->len > 0 ? x->op->len - 1 : 0)));
	curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(x->easy, CURLOPT_RANGE, range);
	x->sink = GE_SINK_BUF;
}

enum ge_verdict
ge_x_got(struct ge_op_int *x)
{
	uint64_t got = atomic_load(&x->got), first, last, total;
	struct ge_op *op = x->op;

	if (x->stopped == 1 && got == op->len)
		return (ge_x_end(x, GE_OP_DONE, "done"));
	if (x->code != CURLE_OK)
		return (ge_x_curl(x));
	if (x->reply.status == 416) {
		if (ge_answer_range(x->reply.range, &first, &last,
		    &total) == 0 && first > last && total != UINT64_MAX) {
			if (total > op->off)
				return (ge_x_end(x, GE_OP_FAILED,
				    "a wrong answer: no such range"));
			op->size = total;
		}
		return (ge_x_end(x, GE_OP_DONE, "done"));
	}
	if (x->reply.status != 200 && x->reply.status != 206)
		return (ge_x_status(x, NULL));
	if (got == 0) {
		check_range(x);
		if (x->stopped)
			return (ge_x_curl(x));
		if (x->reply.status == 206)
			return (ge_x_end(x, GE_OP_FAILED, "an empty answer"));
	}
	/* Fewer than asked for only at the end. */
	if (x->reply.status == 206 && got < op->len &&
	    op->size != op->off + got)
		return (ge_x_end(x, GE_OP_FAILED, "the answer was cut"));
	if (op->size == GE_OP_UNKNOWN && got < op->len)
		op->size = op->off + got;
	return (ge_x_end(x, GE_OP_DONE, "done"));
}

enum ge_verdict
ge_x_headed(struct ge_op_int *x)
{

	if (x->code != CURLE_OK)
		return (ge_x_curl(x));
	if (x->reply.status != 200 && x->reply.status != 204)
		return (ge_x_status(x, NULL));
	if (x->reply.encoded)
		return (ge_x_end(x, GE_OP_FAILED, "a wrong answer: an "
		    "encoding that was not asked for"));
	x->op->size = x->reply.length;
	return (ge_x_end(x, GE_OP_DONE, "done"));
}

/* Is there any entry at all? */
static int
first(void *arg, const char *name, size_t len, uint64_t size, int folder)
{

	(void)arg;
	(void)name;
	(void)len;
	(void)size;
	(void)folder;
	return (1);
}

/*
 * An entry.  S3 lists keys in order, with or without pages, though what stands for
 * a folder may come behind the keys of its page.
 */
static int
entered(void *arg, const char *name, size_t len, uint64_t size, int folder)
{
	struct ge_op_int *x = arg;
	char key[GE_X_NAME];

	if (++x->entries > ENTRIES) {
		wrong(x, "a listing without end");
		return (1);
	}
	if (x->s->site->transport == GE_SITE_S3) {
		snprintf(key, sizeof(key), "%.*s%s", (int)(len < 4100 ? len :
		    4100), name, folder ? "/" : "");
		if (strcmp(key, x->last) < 0) {
			wrong(x, "the listing does not advance");
			return (1);
		}
		if (strcmp(key, x->high) > 0)
			memcpy(x->high, key, sizeof(key));
	}
	return (x->op->entry(x->op->arg, name, len, size, folder));
}

int
ge_x_paged(struct ge_op_int *x)
{

	if (ge_answer_count(x->list) > 0 && strcmp(x->high, x->last) <= 0) {
		(void)ge_x_end(x, GE_OP_FAILED,
		    "a wrong answer: the listing does not advance");
		return (-1);
	}
	memcpy(x->last, x->high, sizeof(x->last));
	return (0);
}

int
ge_x_list(struct ge_op_int *x, enum ge_answer_kind kind, const char *base)
{
	struct ge_err e;

	ge_answer_free(x->list);
	x->list = ge_answer_new(kind, base, x->op->kind == GE_OP_LIST ?
	    entered : first, x, &e);
	if (x->list == NULL)
		x->nomem = 1;
	x->sink = GE_SINK_LIST;
	return (x->list == NULL ? -1 : 0);
}
