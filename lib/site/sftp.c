#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "site/net_int.h"
#include "util/mem.h"

/*
 * SFTP, version 3.  An object is sent under a temporary name and renamed, which
 * there fails if the new name is taken.  Then the old is renamed first, and back if
 * the new cannot take its place; the one is removed when the other is there.
 * (libcurl knows nothing of posix-rename@openssh.com.)
 */

enum step {
	P_BEGIN, P_GET, P_HEAD, P_LIST, P_REMOVE, P_PUT, P_MKDIR, P_PEEK,
	P_SWAP, P_BACK, P_CLEAN, P_ROOT
};

static int
open_site(struct ge_net *net, struct ge_netsite *s, struct ge_err *e)
{
	static const char *const keys[] = { ".ssh/id_ed25519",
	    ".ssh/id_ecdsa", ".ssh/id_rsa" };
	const struct ge_site *site = s->site;
	struct passwd pw, *found = NULL;
	char home[4096], buf[4096];
	size_t i;

	(void)net;
	if (site->knownhosts == NULL && ge_cred_home(home, sizeof(home),
	    ".ssh/known_hosts", e) == -1)
		return (-1);
	/* Without a file libssh2 would believe any host. */
	s->knownhosts = ge_strdup(site->knownhosts != NULL ?
	    site->knownhosts : home, e);
	if (s->knownhosts == NULL)
		return (-1);
	if (site->key != NULL && (s->key = ge_strdup(site->key, e)) == NULL)
		return (-1);
	for (i = 0; s->key == NULL && i < sizeof(keys) / sizeof(keys[0]);
	    i++) {
		if (ge_cred_home(home, sizeof(home), keys[i], e) == -1)
			return (-1);
		if (access(home, R_OK) == 0 &&
		    (s->key = ge_strdup(home, e)) == NULL)
			return (-1);
	}
	if (site->user != NULL) {
		s->user = ge_strdup(site->user, e);
	} else if (getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) != 0 ||
	    found == NULL) {
		return (ge_fail(e, GE_EUSAGE,
		    "you have no login name; write sftp://user@host"));
	} else {
		s->user = ge_strdup(found->pw_name, e);
	}
	return (s->user == NULL ? -1 : 0);
}

/* curl's callback: the key is right, or we do not go on. */
static int
host_key(CURL *easy, const struct curl_khkey *known,
    const struct curl_khkey *found, enum curl_khmatch match, void *arg)
{
	struct ge_op_int *x = arg;

	(void)easy;
	(void)known;
	(void)found;
	if (match == CURLKHMATCH_OK)
		return (CURLKHSTAT_FINE);
	x->hostkey = match == CURLKHMATCH_MISMATCH ? 1 : 2;
	return (CURLKHSTAT_REJECT);
}

/* A command with one or two paths, quoted; "/~/" is the login folder. */
static struct curl_slist *
command(struct ge_op_int *x, struct curl_slist *l, const char *verb,
    const char *a, const char *b)
{
	char line[4 * GE_X_PATH];
	const char *path[2], *p;
	struct curl_slist *more;
	size_t n, i;

	path[0] = a;
	path[1] = b;
	n = (size_t)snprintf(line, sizeof(line), "%s", verb);
	for (i = 0; i < 2 && path[i] != NULL; i++) {
		p = path[i];
		if (strncmp(p, "/~/", 3) == 0)
			p += 3;
		line[n++] = ' ';
		line[n++] = '"';
		for (; *p != '\0' && n + 8 < sizeof(line); p++) {
			if (*p == '"' || *p == '\\')
				line[n++] = '\\';
			line[n++] = *p;
		}
		line[n++] = '"';
	}
	line[n] = '\0';
	if ((more = curl_slist_append(l, line)) == NULL) {
		x->nomem = 1;
		return (l);
	}
	return (more);
}

static struct curl_slist *
parents(struct ge_op_int *x, char *path)
{
	struct curl_slist *l = NULL;
	char *p = path + strlen(x->s->site->path);

	while ((p = strchr(p + 1, '/')) != NULL) {
		*p = '\0';
		l = command(x, l, "*mkdir", path, NULL);
		*p = '/';
	}
	return (l);
}

/* Only commands: of a folder that is then not listed. */
static void
quote(struct ge_op_int *x, struct curl_slist *l)
{
	char root[GE_X_PATH];

	x->headers = l;
	curl_easy_setopt(x->easy, CURLOPT_QUOTE, l);
	curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
	snprintf(root, sizeof(root), "%.4096s/", x->s->site->path);
	ge_x_url(x, "sftp", root, NULL);
}

/* The request of this step. */
static enum ge_verdict
go(struct ge_op_int *x, enum step to)
{
	char path[GE_X_PATH];
	struct curl_slist *l = NULL;
	size_t len;

	x->step = (int)to;
	x->awaited = to == P_SWAP;
	if (ge_x_path(x, path, x->op->name) == -1)
		return (GE_X_END);
	if (ge_x_fresh(x) == -1)
		return (GE_X_REQUEST);
	len = strlen(path);
	switch (to) {
	case P_GET:
		ge_x_range(x);
		ge_x_url(x, "sftp", path, NULL);
		break;
	case P_HEAD:
	case P_PEEK:
		curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
		ge_x_url(x, "sftp", path, NULL);
		break;
	case P_LIST:
		ge_x_url(x, "sftp", path, NULL);
		(void)ge_x_list(x, GE_ANSWER_LS, "");
		break;
	case P_REMOVE:
		if (path[len - 1] == '/') {
			path[len - 1] = '\0';
			l = command(x, l, "rmdir", path, NULL);
		} else {
			l = command(x, l, "rm", path, NULL);
		}
		quote(x, l);
		break;
	case P_PUT:
		if (x->tmp[0] == '\0' &&
		    ge_x_temporary(x, x->tmp, path) == -1)
			return (GE_X_END);
		ge_x_send(x, 0, x->op->len);
		/* There may be shares of keys in it. */
		curl_easy_setopt(x->easy, CURLOPT_NEW_FILE_PERMS, 0600L);
		l = command(x, l, "rename", x->tmp, path);
		x->headers = l;
		curl_easy_setopt(x->easy, CURLOPT_POSTQUOTE, l);
		ge_x_url(x, "sftp", x->tmp, NULL);
		break;
	case P_MKDIR:
		quote(x, parents(x, path));
		curl_easy_setopt(x->easy, CURLOPT_NEW_DIRECTORY_PERMS, 0700L);
		break;
	case P_SWAP:
		if (ge_x_temporary(x, x->aside, path) == -1)
			return (GE_X_END);
		l = command(x, l, "rename", path, x->aside);
		l = command(x, l, "rename", x->tmp, path);
		quote(x, command(x, l, "*rm", x->aside, NULL));
		break;
	case P_BACK:
		x->headers = command(x, l, "*rename", x->aside, path);
		curl_easy_setopt(x->easy, CURLOPT_QUOTE, x->headers);
		curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
		ge_x_url(x, "sftp", path, NULL);
		if (x->tidying)
			ge_x_brief(x);
		break;
	case P_CLEAN:
		quote(x, command(x, l, "*rm", x->tmp, NULL));
		ge_x_brief(x);
		break;
	case P_ROOT:
		curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
		ge_x_url(x, "sftp", x->s->site->path, NULL);
		break;
	case P_BEGIN:
		break;
	}
	curl_easy_setopt(x->easy, CURLOPT_SSH_KNOWNHOSTS, x->s->knownhosts);
	curl_easy_setopt(x->easy, CURLOPT_SSH_KEYFUNCTION, host_key);
	curl_easy_setopt(x->easy, CURLOPT_SSH_KEYDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_SSH_AUTH_TYPES,
	    (long)((x->s->key != NULL ? CURLSSH_AUTH_PUBLICKEY : 0) |
	    CURLSSH_AUTH_AGENT));
	curl_easy_setopt(x->easy, CURLOPT_USERNAME, x->s->user);
	if (x->s->key != NULL)
		curl_easy_setopt(x->easy, CURLOPT_SSH_PRIVATE_KEYFILE,
		    x->s->key);
	return (GE_X_REQUEST);
}

static int
says(const struct ge_op_int *x, const char *what)
{

	return (strstr(x->errbuf, what) != NULL);
}

/* The end that x->code means. */
static enum ge_verdict
ended(struct ge_op_int *x)
{
	char why[200];

	if (x->code == CURLE_OK)
		return (ge_x_end(x, GE_OP_DONE, "done"));
	if (x->stopped != 0)
		return (ge_x_curl(x));
	if (x->code == CURLE_REMOTE_FILE_NOT_FOUND ||
	    (x->code == CURLE_QUOTE_ERROR && says(x, "No such file")))
		return (ge_x_end(x, x->op->kind == GE_OP_PUT ? GE_OP_FAILED :
		    GE_OP_ABSENT, "no such file or folder"));
	if (x->code == CURLE_QUOTE_ERROR && (says(x, "ermission denied") ||
	    says(x, "not empty")))
		return (ge_x_end(x, GE_OP_DENIED, "%s",
		    ge_x_plain(why, sizeof(why), x->errbuf)));
	if (x->code == CURLE_QUOTE_ERROR && x->op->kind == GE_OP_REMOVE)
		return (ge_x_end(x, GE_OP_DENIED, "%s",
		    ge_x_plain(why, sizeof(why), x->errbuf)));
	return (ge_x_curl(x));
}

static int
unreached(const struct ge_op_int *x)
{

	return (x->code == CURLE_COULDNT_CONNECT ||
	    x->code == CURLE_COULDNT_RESOLVE_HOST ||
	    x->code == CURLE_PEER_FAILED_VERIFICATION ||
	    x->code == CURLE_LOGIN_DENIED);
}

/* x->op->result and the cause stay; what was sent goes, and the old comes back. */
static enum ge_verdict
clean(struct ge_op_int *x)
{

	if (unreached(x))
		return (GE_X_END);
	x->result = x->op->result;
	memcpy(x->why, x->cause, sizeof(x->why));
	return (go(x, x->aside[0] != '\0' ? P_BACK : P_CLEAN));
}

static enum ge_verdict
putted(struct ge_op_int *x)
{

	if (x->code == CURLE_QUOTE_ERROR && !x->stopped)
		return (go(x, x->op->replace ? P_SWAP : P_PEEK));
	if (x->code == CURLE_REMOTE_FILE_NOT_FOUND && !x->mkdirs &&
	    strchr(x->op->name, '/') != NULL) {
		x->mkdirs = 1;
		return (go(x, P_MKDIR));
	}
	(void)ended(x);
	if (x->code == CURLE_REMOTE_FILE_NOT_FOUND) {
		x->result = x->op->result;
		memcpy(x->why, x->cause, sizeof(x->why));
		return (go(x, P_ROOT));
	}
	return (x->op->result == GE_OP_DONE ? GE_X_END : clean(x));
}

static enum ge_verdict
got(struct ge_op_int *x)
{
	uint64_t n = atomic_load(&x->got);
	curl_off_t length = -1;

	/* The range begins past the end. */
	if (x->code == CURLE_BAD_DOWNLOAD_RESUME)
		return (ge_x_end(x, GE_OP_DONE, "done"));
	if (x->code != CURLE_OK && !(x->stopped == 1 && n == x->op->len))
		return (ended(x));
	curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
	    &length);
	if (length > 0 && n < x->op->len && (uint64_t)length != n)
		return (ge_x_end(x, GE_OP_FAILED, "the answer was cut"));
	if (n < x->op->len)
		x->op->size = n > 0 ? x->op->off + n : GE_OP_UNKNOWN;
	if (n == 0 && x->op->off == 0)
		x->op->size = 0;
	return (ge_x_end(x, GE_OP_DONE, "done"));
}

static enum ge_verdict
headed(struct ge_op_int *x)
{
	curl_off_t length = -1;

	if (x->code != CURLE_OK)
		return (ended(x));
	curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
	    &length);
	/* libcurl tells no length of an empty file. */
	x->op->size = length > 0 ? (uint64_t)length : 0;
	return (ge_x_end(x, GE_OP_DONE, "done"));
}

static enum ge_verdict
listed(struct ge_op_int *x)
{
	const char *token;
	struct ge_err e;

	if (x->stopped == 1)
		return (ge_x_end(x, GE_OP_DONE, "done"));
	if (x->code != CURLE_OK) {
		(void)ended(x);
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

static enum ge_verdict
begin(struct ge_op_int *x)
{

	switch (x->op->kind) {
	case GE_OP_GET:
		return (go(x, x->op->len > 0 ? P_GET : P_HEAD));
	case GE_OP_HEAD:
		return (go(x, P_HEAD));
	case GE_OP_LIST:
		return (go(x, P_LIST));
	case GE_OP_REMOVE:
		return (go(x, P_REMOVE));
	case GE_OP_PUT:
		break;
	}
	return (go(x, P_PUT));
}

static enum ge_verdict
look(struct ge_op_int *x)
{

	switch (x->step) {
	case P_BEGIN:
		return (begin(x));
	case P_GET:
		return (got(x));
	case P_HEAD:
		return (headed(x));
	case P_LIST:
		return (listed(x));
	case P_REMOVE:
		return (ended(x));
	case P_PUT:
		return (putted(x));
	case P_MKDIR:
		if (x->code != CURLE_OK)
			return (ended(x));
		return (go(x, P_PUT));
	case P_PEEK:
		if (x->code == CURLE_OK)
			(void)ge_x_end(x, GE_OP_EXISTS, "it exists");
		else
			(void)ge_x_end(x, GE_OP_FAILED, "it cannot be named");
		return (clean(x));
	case P_SWAP:
		(void)ended(x);
		return (x->op->result == GE_OP_DONE ? GE_X_END : clean(x));
	case P_BACK:
		if (x->code == CURLE_OK)
			return (go(x, P_CLEAN));
		return (ge_x_end(x, x->result, "%.100s; what was there is "
		    "perhaps '%.140s' now", x->why,
		    strrchr(x->aside, '/') + 1));
	case P_ROOT:
		return (ge_x_rooted(x,
		    x->code != CURLE_REMOTE_FILE_NOT_FOUND));
	default:
		return (ge_x_end(x, x->result, "%s", x->why));
	}
}

static enum ge_verdict
step(struct ge_op_int *x)
{
	enum ge_verdict v = look(x);

	if (v == GE_X_END && x->step != P_ROOT && ge_x_root(x))
		return (go(x, P_ROOT));
	return (v);
}

static enum ge_verdict
tidy(struct ge_op_int *x)
{

	return (x->tmp[0] != '\0' ? clean(x) : GE_X_END);
}

const struct ge_way ge_way_sftp = { open_site, step, NULL, 0, tidy };
