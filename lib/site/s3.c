#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "site/net_int.h"
#include "site/sigv4_int.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"
#include "util/world.h"

/*
 * S3, path style, signed with AWS Signature Version 4 (sigv4.c).  Each request
 * says the hash of its body.
 */

#define PART	((uint64_t)1 << 30)
#define EMPTY	"e3b0c44298fc1c149afbf4c8996fb924" \
	"27ae41e4649b934ca495991b7852b855"

enum {
	PARTS = 10000,
	CHUNK = 1 << 20,
	SMALL = 65536,		/* hashed without ado */
	SKEW = 60,		/* seconds that a clock may be wrong */
	DAY = 86400,
	IDLE = 100		/* pages of a list without an entry */
};

enum step {
	S_BEGIN, S_GET, S_HEAD, S_REMOVE, S_LIST, S_PEEK, S_HASH, S_PUT,
	S_START, S_HASHPART, S_PART, S_COMPLETE, S_ABORT, S_ROOT
};

static int
copy(char **to, const char *s, struct ge_err *e)
{

	ge_free(*to);
	return ((*to = ge_strdup(s, e)) == NULL ? -1 : 0);
}

/* Keys from a file; 1 if they are there. */
static int
from_file(struct ge_netsite *s, const char *profile, struct ge_err *e)
{
	const char *path = getenv("AWS_SHARED_CREDENTIALS_FILE");
	char home[4096], id[256], *buf;
	size_t len;
	int rc = -1, got;

	if ((buf = ge_secret_alloc(2 * GE_NET_SECRET, e)) == NULL)
		return (-1);
	if (path == NULL) {
		if (ge_cred_home(home, sizeof(home), ".aws/credentials", e) ==
		    -1)
			goto out;
		path = home;
	}
	if ((got = ge_cred_read(path, 1, buf, 2 * GE_NET_SECRET, &len, e)) !=
	    1) {
		rc = got;
		goto out;
	}
	if (ge_answer_ini(buf, len, profile, "aws_access_key_id", id,
	    sizeof(id)) != 1 ||
	    ge_answer_ini(buf, len, profile, "aws_secret_access_key",
	    s->secret, GE_NET_SECRET) != 1) {
		rc = 0;
		goto out;
	}
	(void)ge_answer_ini(buf, len, profile, "aws_session_token", s->token,
	    GE_NET_SECRET);
	if (copy(&s->user, id, e) == 0)
		rc = 1;
out:
	ge_secret_free(buf, 2 * GE_NET_SECRET);
	return (rc);
}

static int
from_environment(struct ge_netsite *s, struct ge_err *e)
{
	const char *id = getenv("AWS_ACCESS_KEY_ID");
	const char *key = getenv("AWS_SECRET_ACCESS_KEY");
	const char *token = getenv("AWS_SESSION_TOKEN");

	if (id == NULL || key == NULL || id[0] == '\0' || key[0] == '\0')
		return (0);
	if (strlen(key) >= GE_NET_SECRET ||
	    (token != NULL && strlen(token) >= GE_NET_SECRET))
		return (ge_fail(e, GE_EUSAGE, "AWS_SECRET_ACCESS_KEY or "
		    "AWS_SESSION_TOKEN is too long"));
	memcpy(s->secret, key, strlen(key) + 1);
	if (token != NULL)
		memcpy(s->token, token, strlen(token) + 1);
	return (copy(&s->user, id, e) == 0 ? 1 : -1);
}

static int
find_region(struct ge_netsite *s, const char *profile, struct ge_err *e)
{
	const char *path = getenv("AWS_CONFIG_FILE"), *r;
	char home[4096], region[64] = "", *buf;
	size_t len;
	int rc = -1, got;

	if (s->site->awsregion != NULL)
		return (copy(&s->region, s->site->awsregion, e));
	if (((r = getenv("AWS_REGION")) != NULL && r[0] != '\0') ||
	    ((r = getenv("AWS_DEFAULT_REGION")) != NULL && r[0] != '\0'))
		return (copy(&s->region, r, e));
	if ((buf = ge_secret_alloc(2 * GE_NET_SECRET, e)) == NULL)
		return (-1);
	if (path == NULL) {
		if (ge_cred_home(home, sizeof(home), ".aws/config", e) == -1)
			goto out;
		path = home;
	}
	got = ge_cred_read(path, 0, buf, 2 * GE_NET_SECRET, &len, e);
	if (got == -1)
		goto out;
	if (got == 0 || ge_answer_ini(buf, len, profile, "region", region,
	    sizeof(region)) != 1)
		snprintf(region, sizeof(region), "us-east-1");
	rc = copy(&s->region, region, e);
out:
	ge_secret_free(buf, 2 * GE_NET_SECRET);
	return (rc);
}

static int
open_site(struct ge_net *net, struct ge_netsite *s, struct ge_err *e)
{
	const char *profile = s->site->profile, *path;
	int got = 0;

	(void)net;
	if ((s->secret = ge_secret_alloc(GE_NET_SECRET, e)) == NULL ||
	    (s->token = ge_secret_alloc(GE_NET_SECRET, e)) == NULL)
		return (-1);
	if (profile == NULL && (got = from_environment(s, e)) == -1)
		return (-1);
	if (profile == NULL)
		profile = getenv("AWS_PROFILE");
	if (profile == NULL || profile[0] == '\0')
		profile = "default";
	if (got == 0 && (got = from_file(s, profile, e)) == -1)
		return (-1);
	if (got == 0)
		return (ge_fail(e, GE_EUSAGE,
		    "no credentials for S3: %s profile '%s' in '%s'",
		    s->site->profile == NULL ?
		    "neither AWS_ACCESS_KEY_ID nor" : "no", profile,
		    (path = getenv("AWS_SHARED_CREDENTIALS_FILE")) != NULL ?
		    path : "~/.aws/credentials"));
	return (find_region(s, profile, e));
}

static int
unsigned_body(const struct ge_op_int *x)
{

	return (ge_net_conf(x->net)->s3unsigned && x->s->site->tls);
}

static uint64_t
part_size(const struct ge_op_int *x)
{
	uint64_t part = x->s->site->part != 0 ? x->s->site->part : PART;

	while (x->op->len / part >= PARTS)
		part *= 2;
	return (part);
}

int
ge_net_hashes(const struct ge_net *net, int site, uint64_t len)
{
	const struct ge_site *s = ge_net_site(net, site);

	return (s->transport == GE_SITE_S3 &&
	    !(ge_net_conf(net)->s3unsigned && s->tls) &&
	    len <= (s->part != 0 ? s->part : PART));
}

static void
hash(struct ge_op_int *x, uint64_t off, uint64_t len)
{
	struct ge_sha256 h;
	struct ge_err e;
	uint8_t *buf = NULL;
	uint64_t at;
	size_t n;

	x->has_sha = 0;
	x->why[0] = '\0';
	if (x->op->fd > 0 && (buf = ge_block_alloc(CHUNK, &e)) == NULL) {
		snprintf(x->why, sizeof(x->why), "%.250s", e.msg);
		return;
	}
	ge_sha256_init(&h);
	for (at = 0; at < len && !ge_x_cancelled(x); at += n) {
		n = len - at < CHUNK ? (size_t)(len - at) : CHUNK;
		if (ge_x_hold(x) == -1)
			goto out;
		if (buf == NULL)
			ge_sha256_add(&h, x->op->body + off + at, n);
		else if (ge_x_source(x, off + at, buf, n, &e) == -1)
			snprintf(x->why, sizeof(x->why), "%.250s", e.msg);
		else
			ge_sha256_add(&h, buf, n);
		ge_x_let(x);
		if (x->why[0] != '\0')
			goto out;
	}
	ge_sha256_end(&h, x->sha);
	x->has_sha = 1;
out:
	ge_block_free(buf);
}

/* The bytes that the next PUT carries. */
static void
span(const struct ge_op_int *x, uint64_t *off, uint64_t *len)
{

	*off = 0;
	*len = x->op->len;
	if (x->step == S_HASHPART || x->step == S_PART) {
		*off = x->part * part_size(x);
		*len -= *off;
		if (*len > part_size(x))
			*len = part_size(x);
	}
}

static void
work(struct ge_op_int *x)
{
	uint64_t off, len;

	span(x, &off, &len);
	hash(x, off, len);
}

/* "/bucket", and the prefix of our keys: "" or "a/b/". */
static int
bucket(struct ge_op_int *x, char path[GE_X_PATH], char prefix[GE_X_PATH])
{
	const char *p = x->s->site->path, *slash = strchr(p + 1, '/');
	int n;

	n = snprintf(path, GE_X_PATH, "%.*s",
	    slash != NULL ? (int)(slash - p) : (int)strlen(p), p);
	if (n < 0 || n >= GE_X_PATH)
		return (-1);
	n = snprintf(prefix, GE_X_PATH, "%s%s%.*s",
	    slash != NULL ? slash + 1 : "", slash != NULL ? "/" : "",
	    GE_OP_NAME - 1, x->op->name);
	return (n < 0 || n >= GE_X_PATH ? -1 : 0);
}

static void
list_query(struct ge_op_int *x, char path[GE_X_PATH], char *query, size_t cap)
{
	char prefix[GE_X_PATH], enc[3 * GE_X_PATH], mark[3 * sizeof(x->mark)];

	if (bucket(x, path, prefix) == -1 ||
	    ge_x_encode(enc, sizeof(enc), prefix, "") == -1 ||
	    ge_x_encode(mark, sizeof(mark), x->mark, "") == -1 ||
	    (size_t)snprintf(query, cap, "%s%s%sdelimiter=%%2F&"
	    "encoding-type=url&list-type=2&max-keys=1000&prefix=%s",
	    x->mark[0] != '\0' ? "continuation-token=" : "", mark,
	    x->mark[0] != '\0' ? "&" : "", enc) >= cap)
		x->nomem = 1;
	else
		(void)ge_x_list(x, GE_ANSWER_S3, prefix);
}

/* "host:port", as libcurl says it. */
static void
authority(const struct ge_site *s, char *out, size_t cap)
{

	if (s->port == 0 || s->port == (s->tls ? 443 : 80))
		snprintf(out, cap, "%s", s->host);
	else
		snprintf(out, cap, "%s:%d", s->host, s->port);
}

/* All headers are sent as they are signed. */
static void
sign(struct ge_op_int *x, const char *method, const char *path,
    const char *query, const char *sha)
{
	char date[GE_SIGV4_DATE], host[320], when[64], body[96], auth[1024];
	char enc[3 * GE_X_PATH], token[GE_NET_SECRET + 32];
	struct ge_netsite *s = x->s;
	const char *h[6];
	struct ge_sigv4 r = {
		.id = s->user, .secret = s->secret, .region = s->region,
		.service = "s3", .date = date, .method = method, .path = enc,
		.query = query, .header = h, .sha = sha
	};
	size_t n = 0, i;

	memcpy(host, "host:", 6);
	authority(s->site, host + 5, sizeof(host) - 5);
	x->skew = s->skew;
	ge_sigv4_date(date, ge_now() + x->skew);
	snprintf(when, sizeof(when), "x-amz-date:%s", date);
	snprintf(body, sizeof(body), "x-amz-content-sha256:%s", sha);
	h[n++] = host;
	if (x->cond)
		h[n++] = "if-none-match:*";
	h[n++] = body;
	h[n++] = when;
	if (s->token[0] != '\0') {
		snprintf(token, sizeof(token), "x-amz-security-token:%s",
		    s->token);
		h[n++] = token;
	}
	h[n] = NULL;
	if (ge_x_encode(enc, sizeof(enc), path, "/") == -1 ||
	    ge_sigv4_sign(auth, sizeof(auth), &r) == -1) {
		x->nomem = 1;
	} else {
		for (i = 0; i < n; i++)
			ge_x_header(x, "%s", h[i]);
		ge_x_header(x, "Authorization: %s", auth);
	}
	ge_wipe(token, sizeof(token));
}

/* The request of this step. */
static enum ge_verdict
request(struct ge_op_int *x)
{
	char path[GE_X_PATH], query[4 * GE_X_PATH] = "", mark[3 * 1100];
	char hex[65];
	const char *sha = EMPTY, *method = "GET";
	struct ge_op *op = x->op;
	uint64_t off, len;

	if (ge_x_path(x, path, op->name) == -1)
		return (GE_X_END);
	if (ge_x_fresh(x) == -1)
		return (GE_X_REQUEST);
	if (ge_x_encode(mark, sizeof(mark), x->mark, "") == -1)
		x->nomem = 1;
	x->cond = 0;
	x->awaited = x->step == S_START;
	switch (x->step) {
	case S_GET:
		ge_x_range(x);
		break;
	case S_ROOT:
		if (bucket(x, path, query) == -1)
			x->nomem = 1;
		query[0] = '\0';
		/* FALLTHROUGH */
	case S_HEAD:
	case S_PEEK:
		method = "HEAD";
		curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
		break;
	case S_REMOVE:
		method = "DELETE";
		curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, method);
		break;
	case S_LIST:
		list_query(x, path, query, sizeof(query));
		break;
	case S_PUT:
	case S_PART:
		method = "PUT";
		span(x, &off, &len);
		ge_x_send(x, off, len);
		sha = "UNSIGNED-PAYLOAD";
		if (x->step == S_PUT && op->has_sha)
			sha = ge_hex(hex, op->sha256, 32);
		else if (!unsigned_body(x))
			sha = ge_hex(hex, x->sha, 32);
		x->sink = GE_SINK_TEXT;
		if (x->step == S_PART)
			snprintf(query, sizeof(query),
			    "partNumber=%" PRIu64 "&uploadId=%s", x->part + 1,
			    mark);
		else
			x->cond = !op->replace && !x->s->nocond;
		break;
	case S_START:
		method = "POST";
		curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE, 0L);
		snprintf(query, sizeof(query), "uploads=");
		x->sink = GE_SINK_TEXT;
		break;
	case S_COMPLETE: {
		struct ge_sha256 h;
		uint8_t digest[32];

		ge_sha256_init(&h);
		ge_sha256_add(&h, x->parts, x->nparts_text);
		ge_sha256_end(&h, digest);
		sha = ge_hex(hex, digest, 32);
		method = "POST";
		x->cond = !op->replace && !x->s->nocond;
		curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, x->parts);
		curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)x->nparts_text);
		snprintf(query, sizeof(query), "uploadId=%s", mark);
		x->sink = GE_SINK_TEXT;
		/* Joining may take long, without a byte. */
		curl_easy_setopt(x->easy, CURLOPT_LOW_SPEED_LIMIT, 0L);
		x->patience = ge_net_conf(x->net)->total;
		break;
	}
	case S_ABORT:
		ge_x_brief(x);
		method = "DELETE";
		curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, method);
		snprintf(query, sizeof(query), "uploadId=%s", mark);
		break;
	}
	ge_x_url(x, x->s->site->tls ? "https" : "http", path,
	    query[0] != '\0' ? query : NULL);
	sign(x, method, path, query, sha);
	return (GE_X_REQUEST);
}

static enum ge_verdict
go(struct ge_op_int *x, enum step to)
{
	int part = to == S_PART;
	uint64_t off, len;

	x->step = (int)to;
	if ((to == S_PUT && !x->op->has_sha && !unsigned_body(x)) ||
	    (part && !unsigned_body(x))) {
		x->step = part ? S_HASHPART : S_HASH;
		span(x, &off, &len);
		if (len > SMALL)
			return (GE_X_WORK);
		hash(x, off, len);
		if (!x->has_sha)
			return (ge_x_end(x, GE_OP_FAILED, "%s", x->why));
		x->step = (int)to;
	}
	return (request(x));
}

static enum ge_verdict
begin(struct ge_op_int *x)
{
	struct ge_op *op = x->op;

	switch (op->kind) {
	case GE_OP_GET:
		return (go(x, op->len > 0 ? S_GET : S_HEAD));
	case GE_OP_HEAD:
		return (go(x, S_HEAD));
	case GE_OP_LIST:
		return (go(x, S_LIST));
	case GE_OP_REMOVE:
		return (go(x, S_REMOVE));
	case GE_OP_PUT:
		break;
	}
	x->nparts = op->len > part_size(x) ?
	    (op->len + part_size(x) - 1) / part_size(x) : 0;
	if (!op->replace && !op->unseen && (x->nparts > 0 || x->s->nocond))
		return (go(x, S_PEEK));
	return (go(x, x->nparts > 0 ? S_START : S_PUT));
}

static int
add_text(struct ge_op_int *x, const char *s)
{
	size_t len = strlen(s);
	struct ge_err e;

	if (ge_grow(&x->parts, &x->parts_cap, x->nparts_text + len + 1, 1,
	    &e) == -1) {
		x->nomem = 1;
		return (-1);
	}
	memcpy(x->parts + x->nparts_text, s, len + 1);
	x->nparts_text += len;
	return (0);
}

/* An upload in parts has failed: tell the server to forget it. */
static enum ge_verdict
abandon(struct ge_op_int *x)
{

	x->result = x->op->result;
	memcpy(x->why, x->cause, sizeof(x->why));
	return (go(x, S_ABORT));
}

static enum ge_verdict
tidy(struct ge_op_int *x)
{

	return (x->op->kind == GE_OP_PUT && x->mark[0] != '\0' ?
	    abandon(x) : GE_X_END);
}

static int
refused(const struct ge_op_int *x)
{

	return (x->code != CURLE_OK && x->reply.status < 300);
}

static enum ge_verdict
putted(struct ge_op_int *x)
{
	int status = x->reply.status;

	if (refused(x))
		return (ge_x_curl(x));
	if (status == 412 && !x->op->replace)
		return (ge_x_end(x, GE_OP_EXISTS, "it exists"));
	if (status == 501 && x->cond) {
		x->s->nocond = 1;
		return (go(x, x->op->unseen ? S_PUT : S_PEEK));
	}
	if (status != 200 && status != 201 && status != 204)
		return (ge_x_status(x, NULL));
	if (x->ntext > 0)
		return (ge_x_end(x, GE_OP_FAILED,
		    "a wrong answer: it has a body"));
	x->op->hashed = x->op->has_sha || !unsigned_body(x);
	x->s->takes = 1;
	return (ge_x_end(x, GE_OP_DONE, "done"));
}

static enum ge_verdict
parted(struct ge_op_int *x)
{
	const char *p;
	char text[512], c[2] = "";

	if (refused(x) || x->reply.status != 200 || x->reply.etag[0] == '\0') {
		(void)(refused(x) ? ge_x_curl(x) : ge_x_status(x, "a part"));
		return (abandon(x));
	}
	snprintf(text, sizeof(text), "<Part><PartNumber>%" PRIu64
	    "</PartNumber><ETag>", x->part + 1);
	if (x->part == 0 && add_text(x, "<CompleteMultipartUpload>") == -1)
		return (GE_X_REQUEST);
	if (add_text(x, text) == -1)
		return (GE_X_REQUEST);
	for (p = x->reply.etag; *p != '\0'; p++) {
		c[0] = *p;
		if (add_text(x, *p == '"' ? "&quot;" : *p == '&' ? "&amp;" :
		    *p == '<' ? "&lt;" : c) == -1)
			return (GE_X_REQUEST);
	}
	if (add_text(x, "</ETag></Part>") == -1)
		return (GE_X_REQUEST);
	if (++x->part < x->nparts)
		return (go(x, S_PART));
	if (add_text(x, "</CompleteMultipartUpload>") == -1)
		return (GE_X_REQUEST);
	/* Not every server that takes a condition heeds it here. */
	return (go(x, x->op->replace ? S_COMPLETE : S_PEEK));
}

/* Is the name free?  Asked before an upload in parts, and at its end. */
static enum ge_verdict
peeked(struct ge_op_int *x)
{

	if (x->code != CURLE_OK)
		(void)ge_x_curl(x);
	else if (x->reply.status == 200)
		(void)ge_x_end(x, GE_OP_EXISTS, "it exists");
	else if (x->reply.status != 404)
		(void)ge_x_status(x, NULL);
	else if (x->nparts == 0)
		return (go(x, S_PUT));
	else
		return (go(x, x->part < x->nparts ? S_START : S_COMPLETE));
	return (x->mark[0] != '\0' ? abandon(x) : GE_X_END);
}

static enum ge_verdict
completed(struct ge_op_int *x)
{
	char etag[200];

	if (!refused(x) && x->reply.status == 501 && x->cond) {
		x->s->nocond = 1;
		return (go(x, S_COMPLETE));
	}
	if (refused(x))
		(void)ge_x_curl(x);
	else if (x->reply.status == 412 && x->cond)
		(void)ge_x_end(x, GE_OP_EXISTS, "it exists");
	else if (x->reply.status != 200 || x->text == NULL ||
	    !ge_answer_text(x->text, x->ntext,
	    "CompleteMultipartUploadResult", "ETag", etag, sizeof(etag)))
		(void)ge_x_status(x, "joining the parts");
	else {
		x->op->hashed = !unsigned_body(x);
		return (ge_x_end(x, GE_OP_DONE, "done"));
	}
	return (abandon(x));
}

static enum ge_verdict
listed(struct ge_op_int *x)
{
	const char *token;
	struct ge_err e;

	if (x->stopped == 1)
		return (ge_x_end(x, GE_OP_DONE, "done"));
	if (x->code != CURLE_OK)
		return (ge_x_curl(x));
	if (x->reply.status != 200) {
		(void)ge_x_status(x, NULL);
		/* There are no folders, so none can be missing. */
		if (x->op->result == GE_OP_ABSENT)
			(void)ge_x_rootless(x, x->s->site->path);
		return (GE_X_END);
	}
	if (ge_answer_end(x->list, &token, &e) == -1)
		return (ge_x_end(x, GE_OP_FAILED, "a wrong answer: %s",
		    e.msg));
	if (token == NULL)
		return (ge_x_end(x, GE_OP_DONE, "done"));
	if (strlen(token) >= sizeof(x->mark) || strcmp(token, x->mark) == 0 ||
	    (ge_answer_count(x->list) == 0 && ++x->idle > IDLE))
		return (ge_x_end(x, GE_OP_FAILED,
		    "a wrong answer: the listing does not advance"));
	if (ge_x_paged(x) == -1)
		return (GE_X_END);
	memcpy(x->mark, token, strlen(token) + 1);
	return (go(x, S_LIST));
}

static enum ge_verdict
look(struct ge_op_int *x)
{
	int64_t skew;

	if (x->step == S_BEGIN)
		return (begin(x));
	if (x->step == S_HASH || x->step == S_HASHPART) {
		if (!x->has_sha)
			return (ge_x_end(x, GE_OP_FAILED, "%s", x->why));
		x->step = x->step == S_HASH ? S_PUT : S_PART;
		return (request(x));
	}
	/* A request is signed with the time; a server may mind that of ours. */
	if (x->reply.status == 403 && x->reply.date > 0) {
		skew = x->reply.date - ge_now();
		if (llabs(skew - x->skew) > SKEW && !x->reset &&
		    llabs(skew) <= DAY) {
			x->reset = 1;
			x->s->skew = skew;
			return (request(x));
		}
		if (llabs(skew - x->skew) > SKEW)
			return (ge_x_end(x, GE_OP_DENIED, "its clock and ours "
			    "differ by %lld seconds", llabs(skew)));
	}
	switch (x->step) {
	case S_GET:
		return (ge_x_got(x));
	case S_HEAD:
		return (ge_x_headed(x));
	case S_REMOVE:
		if (x->code != CURLE_OK)
			return (ge_x_curl(x));
		if (x->reply.status == 200 || x->reply.status == 204)
			return (ge_x_end(x, GE_OP_DONE, "done"));
		return (ge_x_status(x, NULL));
	case S_LIST:
		return (listed(x));
	case S_PEEK:
		return (peeked(x));
	case S_PUT:
		return (putted(x));
	case S_START:
		if (x->code != CURLE_OK)
			return (ge_x_curl(x));
		if (x->reply.status != 200 || x->text == NULL ||
		    !ge_answer_text(x->text, x->ntext,
		    "InitiateMultipartUploadResult", "UploadId", x->mark,
		    sizeof(x->mark)))
			return (ge_x_status(x, "an upload in parts"));
		x->part = x->nparts_text = 0;
		return (go(x, S_PART));
	case S_PART:
		return (parted(x));
	case S_COMPLETE:
		return (completed(x));
	case S_ROOT:
		return (ge_x_rooted(x, x->code != CURLE_OK ||
		    x->reply.status != 404));
	default:
		return (ge_x_end(x, x->result, "%s", x->why));
	}
}

static enum ge_verdict
step(struct ge_op_int *x)
{
	enum ge_verdict v = look(x);

	if (v == GE_X_END && x->step != S_ROOT && ge_x_root(x))
		return (go(x, S_ROOT));
	return (v);
}

const struct ge_way ge_way_s3 = { open_site, step, work, 0, tidy };
