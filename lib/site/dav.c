#include <stdio.h>
#include <string.h>

#include "site/net_int.h"
#include "util/mem.h"

/*
 * WebDAV (RFC 4918).  An object is sent under a temporary name in its folder and
 * moved, since not every server keeps half a PUT to itself, and not every one
 * knows If-None-Match; all know MOVE with Overwrite: F.
 *
 * What is replaced is removed only when the new is in its place, and the new under
 * its temporary name only when something is in that place: a server may do a MOVE
 * in steps, and an answer that did not come says nothing.
 */

enum step {
	D_BEGIN, D_GET, D_HEAD, D_LIST, D_EMPTY, D_REMOVE, D_PUT, D_MKCOL,
	D_MOVE, D_ASIDE, D_DROP, D_BACK, D_SEE, D_CLEAN, D_ROOT
};

static const char ask[] = "<?xml version=\"1.0\"?><propfind xmlns=\"DAV:\">"
    "<prop><getcontentlength/><resourcetype/></prop></propfind>";

static int
open_site(struct ge_net *net, struct ge_netsite *s, struct ge_err *e)
{
	const char *path = s->site->netrc;
	char home[4096], host[256], login[256], *buf;
	size_t len, n;
	int rc = -1, got;

	(void)net;
	if ((buf = ge_secret_alloc(2 * GE_NET_SECRET, e)) == NULL ||
	    (s->secret = ge_secret_alloc(GE_NET_SECRET, e)) == NULL)
		goto out;
	if (path == NULL) {
		if (ge_cred_home(home, sizeof(home), ".netrc", e) == -1)
			goto out;
		path = home;
	}
	got = ge_cred_read(path, 1, buf, 2 * GE_NET_SECRET, &len, e);
	if (got == -1)
		goto out;
	if (got == 0 && s->site->netrc != NULL) {
		ge_fail(e, GE_EUSAGE, "cannot open '%s'", path);
		goto out;
	}
	/* netrc has IPv6 addresses without brackets. */
	n = strlen(s->site->host);
	snprintf(host, sizeof(host), "%.*s", s->site->host[0] == '[' ?
	    (int)n - 2 : (int)n, s->site->host + (s->site->host[0] == '['));
	if (got == 1)
		got = ge_answer_netrc(buf, len, host, s->site->user, login,
		    sizeof(login), s->secret, GE_NET_SECRET);
	if (got == -1) {
		ge_fail(e, GE_EUSAGE, "'%s': a word is too long", path);
		goto out;
	}
	if (got == 0 && (s->site->netrc != NULL || s->site->user != NULL)) {
		ge_fail(e, GE_EUSAGE, "'%s' has no login and password for %s",
		    path, host);
		goto out;
	}
	if (got == 1 && (s->user = ge_strdup(login, e)) == NULL)
		goto out;
	rc = 0;
out:
	ge_secret_free(buf, 2 * GE_NET_SECRET);
	return (rc);
}

static const char *
scheme(const struct ge_op_int *x)
{

	return (x->s->site->tls ? "https" : "http");
}

/* The first x->part + 1 folders of the path of the object. */
static int
parent(const struct ge_op_int *x, char out[GE_X_PATH], const char *path)
{
	const char *p = path + strlen(x->s->site->path);
	uint64_t i;

	for (i = 0; i <= x->part; i++)
		if ((p = strchr(p + 1, '/')) == NULL || p[1] == '\0')
			return (0);
	snprintf(out, GE_X_PATH, "%.*s/", (int)(p - path), path);
	return (1);
}

static void
custom(struct ge_op_int *x, const char *method)
{

	curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, method);
}

static void
propfind(struct ge_op_int *x, const char *path, int depth)
{

	custom(x, "PROPFIND");
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, ask);
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE,
	    (long)sizeof(ask) - 1);
	ge_x_header(x, "Content-Type: application/xml");
	ge_x_header(x, "Depth: %d", depth);
	if (depth > 0)
		(void)ge_x_list(x, GE_ANSWER_DAV, path);
}

static void
move(struct ge_op_int *x, const char *to, int over)
{
	char url[4 * GE_X_PATH];

	custom(x, "MOVE");
	x->awaited = x->op->replace;
	if (ge_x_address(x, url, sizeof(url), scheme(x), to) == -1)
		x->nomem = 1;
	else
		ge_x_header(x, "Destination: %s", url);
	ge_x_header(x, "Overwrite: %s", over ? "T" : "F");
}

/* The request of this step. */
static enum ge_verdict
go(struct ge_op_int *x, enum step to)
{
	char path[GE_X_PATH], folder[GE_X_PATH];
	const char *at = path;

	x->step = (int)to;
	x->awaited = 0;
	if (ge_x_path(x, path, x->op->name) == -1)
		return (GE_X_END);
	if (ge_x_fresh(x) == -1)
		return (GE_X_REQUEST);
	switch (to) {
	case D_GET:
		ge_x_range(x);
		break;
	case D_SEE:
		ge_x_brief(x);
		/* FALLTHROUGH */
	case D_HEAD:
		curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
		break;
	case D_LIST:
	case D_EMPTY:
		propfind(x, path, 1);
		break;
	case D_REMOVE:
		custom(x, "DELETE");
		break;
	case D_DROP:
	case D_CLEAN:
		custom(x, "DELETE");
		ge_x_brief(x);
		at = to == D_DROP ? x->aside : x->tmp;
		break;
	case D_PUT:
		if (x->tmp[0] == '\0' &&
		    ge_x_temporary(x, x->tmp, path) == -1)
			return (GE_X_END);
		ge_x_send(x, 0, x->op->len);
		at = x->tmp;
		break;
	case D_MKCOL:
		if (!parent(x, folder, path))
			return (go(x, D_PUT));
		custom(x, "MKCOL");
		at = folder;
		break;
	case D_MOVE:
		move(x, path, x->op->replace);
		at = x->tmp;
		break;
	case D_ASIDE:
		if (ge_x_temporary(x, x->aside, path) == -1)
			return (GE_X_END);
		move(x, x->aside, 0);
		break;
	case D_BACK:
		move(x, path, 0);
		if (x->tidying)
			ge_x_brief(x);
		at = x->aside;
		break;
	case D_ROOT:
		snprintf(folder, sizeof(folder), "%.*s/",
		    GE_X_PATH - 2, x->s->site->path);
		propfind(x, folder, 0);
		at = folder;
		break;
	case D_BEGIN:
		break;
	}
	ge_x_url(x, scheme(x), at, NULL);
	if (x->s->user != NULL) {
		curl_easy_setopt(x->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(x->easy, CURLOPT_USERNAME, x->s->user);
		curl_easy_setopt(x->easy, CURLOPT_PASSWORD, x->s->secret);
	}
	return (GE_X_REQUEST);
}

static int
unreached(const struct ge_op_int *x)
{

	return (x->code == CURLE_COULDNT_CONNECT ||
	    x->code == CURLE_COULDNT_RESOLVE_HOST ||
	    x->code == CURLE_PEER_FAILED_VERIFICATION);
}

/* x->op->result and the cause stay; what was sent goes. */
static enum ge_verdict
clean(struct ge_op_int *x)
{

	if (unreached(x))
		return (GE_X_END);
	x->result = x->op->result;
	memcpy(x->why, x->cause, sizeof(x->why));
	return (go(x, D_CLEAN));
}

/* The same after a MOVE, which may have been done, or begun. */
static enum ge_verdict
undo(struct ge_op_int *x)
{

	if (!x->op->replace || unreached(x))
		return (clean(x));
	x->result = x->op->result;
	memcpy(x->why, x->cause, sizeof(x->why));
	return (go(x, x->aside[0] != '\0' ? D_BACK : D_SEE));
}

/* Something is there, or what was sent is left. */
static enum ge_verdict
seen(struct ge_op_int *x)
{

	if (x->code == CURLE_OK && x->reply.status / 100 == 2)
		return (go(x, D_CLEAN));
	if (x->aside[0] == '\0')
		return (ge_x_end(x, x->result, "%s", x->why));
	return (ge_x_end(x, x->result, "%.100s; what was there is perhaps "
	    "'%.140s' now", x->why, strrchr(x->aside, '/') + 1));
}

static int
fine(const struct ge_op_int *x)
{

	return (x->reply.status == 200 || x->reply.status == 201 ||
	    x->reply.status == 204);
}

static enum ge_verdict
putted(struct ge_op_int *x)
{
	int status = x->reply.status;

	if (x->code != CURLE_OK && status < 300) {
		(void)ge_x_curl(x);
		return (clean(x));
	}
	if (fine(x)) {
		x->s->takes = 1;
		return (go(x, D_MOVE));
	}
	if ((status == 404 || status == 409 || status == 403) && !x->mkdirs &&
	    strchr(x->op->name, '/') != NULL) {
		x->mkdirs = 1;
		x->part = 0;
		return (go(x, D_MKCOL));
	}
	(void)ge_x_status(x, x->mkdirs && status != 507 ?
	    "its folder cannot be made" : NULL);
	if (status == 404 || status == 409) {
		x->result = x->op->result;
		memcpy(x->why, x->cause, sizeof(x->why));
		return (go(x, D_ROOT));
	}
	return (status == 401 || status == 403 ? GE_X_END : clean(x));
}

static enum ge_verdict
moved(struct ge_op_int *x)
{
	int status = x->reply.status;

	if (x->code != CURLE_OK && status < 300) {
		(void)ge_x_curl(x);
		return (undo(x));
	}
	if (fine(x)) {
		(void)ge_x_end(x, GE_OP_DONE, "done");
		x->result = GE_OP_DONE;
		return (x->aside[0] != '\0' ? go(x, D_DROP) : GE_X_END);
	}
	if (status == 412 && !x->op->replace) {
		(void)ge_x_end(x, GE_OP_EXISTS, "it exists");
		return (clean(x));
	}
	/* Some servers never overwrite. */
	if (status == 412 && x->aside[0] == '\0')
		return (go(x, D_ASIDE));
	(void)ge_x_status(x, "naming it");
	/* These have no MOVE for us at all. */
	if (x->aside[0] == '\0' && (status == 401 || status == 403 ||
	    status == 405 || status == 501))
		return (clean(x));
	return (undo(x));
}

static enum ge_verdict
put_aside(struct ge_op_int *x)
{

	if (x->code == CURLE_OK && fine(x))
		return (go(x, D_MOVE));
	if (x->code != CURLE_OK && x->reply.status < 300)
		(void)ge_x_curl(x);
	else
		(void)ge_x_status(x, "making room for it");
	return (undo(x));
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
	if (x->reply.status != 207) {
		(void)ge_x_status(x, NULL);
		/* The site's own folder is another matter. */
		if (x->op->result != GE_OP_ABSENT)
			return (GE_X_END);
		if (x->op->name[0] == '\0')
			return (ge_x_rootless(x, x->s->site->path));
		return (ge_x_end(x, GE_OP_ABSENT, "there is no such folder"));
	}
	if (ge_answer_end(x->list, &token, &e) == -1)
		return (ge_x_end(x, GE_OP_FAILED, "a wrong answer: %s",
		    e.msg));
	return (ge_x_end(x, GE_OP_DONE, "done"));
}

/* A DELETE takes what is in a folder too. */
static enum ge_verdict
emptied(struct ge_op_int *x)
{

	(void)listed(x);
	if (x->op->result != GE_OP_DONE)
		return (GE_X_END);
	if (x->stopped == 1 || ge_answer_count(x->list) > 0)
		return (ge_x_end(x, GE_OP_DENIED, "it is not empty"));
	return (go(x, D_REMOVE));
}

static enum ge_verdict
begin(struct ge_op_int *x)
{
	struct ge_op *op = x->op;
	size_t len = strlen(op->name);

	switch (op->kind) {
	case GE_OP_GET:
		return (go(x, op->len > 0 ? D_GET : D_HEAD));
	case GE_OP_HEAD:
		return (go(x, D_HEAD));
	case GE_OP_LIST:
		return (go(x, D_LIST));
	case GE_OP_REMOVE:
		return (go(x, len > 0 && op->name[len - 1] == '/' ? D_EMPTY :
		    D_REMOVE));
	case GE_OP_PUT:
		break;
	}
	return (go(x, D_PUT));
}

static enum ge_verdict
look(struct ge_op_int *x)
{

	switch (x->step) {
	case D_BEGIN:
		return (begin(x));
	case D_GET:
		return (ge_x_got(x));
	case D_HEAD:
		return (ge_x_headed(x));
	case D_LIST:
		return (listed(x));
	case D_EMPTY:
		return (emptied(x));
	case D_REMOVE:
		if (x->code != CURLE_OK)
			return (ge_x_curl(x));
		if (fine(x))
			return (ge_x_end(x, GE_OP_DONE, "done"));
		return (ge_x_status(x, NULL));
	case D_PUT:
		return (putted(x));
	case D_MKCOL:
		if (x->code != CURLE_OK)
			return (ge_x_curl(x));
		/* 405: it is there.  The PUT will tell of all others. */
		x->part++;
		return (go(x, D_MKCOL));
	case D_MOVE:
		return (moved(x));
	case D_ASIDE:
		return (put_aside(x));
	case D_BACK:
		return (go(x, D_SEE));
	case D_SEE:
		return (seen(x));
	case D_ROOT:
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

	if (v == GE_X_END && x->step != D_ROOT && ge_x_root(x))
		return (go(x, D_ROOT));
	return (v);
}

static enum ge_verdict
tidy(struct ge_op_int *x)
{

	if (x->tmp[0] == '\0')
		return (GE_X_END);
	if (x->step == D_DROP)
		return (go(x, D_DROP));
	/* The MOVE of what has just arrived was not sent. */
	if (x->step == D_PUT || x->step == D_MKCOL || (x->step == D_MOVE &&
	    x->aside[0] == '\0' && x->code == CURLE_OK))
		return (clean(x));
	return (undo(x));
}

const struct ge_way ge_way_dav = { open_site, step, NULL, 0, tidy };
