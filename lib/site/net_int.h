#ifndef GE_NET_INT_H
#define GE_NET_INT_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "site/answer_int.h"
#include "site/site.h"

/*
 * Inside the net.  An operation is a sequence of requests: its transport sets up
 * one on the easy handle (step), the net runs it, step looks at the reply and
 * sets up the next one or says how it ended.  All that happens on the one
 * thread that runs curl; what blocks or computes (work) is done by others.
 */
enum ge_verdict {
	GE_X_END,		/* x->op->result is set (ge_x_end) */
	GE_X_REQUEST,		/* run the easy handle, then step */
	GE_X_WORK		/* call work on a thread of its own, then step */
};

enum ge_sink {
	GE_SINK_DROP,		/* no body is wanted */
	GE_SINK_BUF,		/* into op->buf */
	GE_SINK_TEXT,		/* into x->text */
	GE_SINK_LIST		/* through x->list */
};

enum {
	GE_X_TEXT = 16384,
	GE_X_PATH = 8192,
	GE_X_NAME = 4200	/* of a listing, with "/" */
};

struct ge_net;

struct ge_reply {
	int status;		/* of HTTP; 0: none */
	uint64_t length;	/* Content-Length, or GE_OP_UNKNOWN */
	char range[96];		/* Content-Range */
	int encoded;		/* Content-Encoding */
	double later;		/* Retry-After, seconds; < 0: none */
	int64_t date;		/* of the server, or -1 */
	char etag[200];
};

struct ge_queue {
	struct ge_op_int *first, *last;
};

struct ge_netsite {
	const struct ge_site *site;
	const struct ge_way *way;
	int cap, running;	/* operations under way */
	struct ge_queue wait[2];	/* [urgent] */
	char *secret;		/* GE_NET_SECRET bytes: what `user` signs with */
	char *token;
	char *user;
	char *region;
	char *key, *knownhosts;	/* ssh */
	double rooted;		/* its folder was seen then */
	int nocond;		/* S3: knows no If-None-Match */
	int64_t skew;		/* S3: its clock less ours, if it minds */
	int takes;		/* HTTP: took what was sent to it last */
	int silent;		/* what was asked last has timed out */
	const struct ge_op_int *sending;	/* the PUT begun last, if it runs */
};

enum {
	GE_NET_SECRET = 8192	/* of both secret and token */
};

struct ge_way {
	/* Find credentials.  0, or -1. */
	int (*open)(struct ge_net *net, struct ge_netsite *s, struct ge_err *e);
	/* x->step == 0 begins a try. */
	enum ge_verdict (*step)(struct ge_op_int *x);
	void (*work)(struct ge_op_int *x);
	int hangs;		/* work may, in the system; then it is left */
	/* It was cancelled: remove what is left of it.  NULL: nothing is. */
	enum ge_verdict (*tidy)(struct ge_op_int *x);
};

enum ge_x_state {
	GE_X_WAITING,		/* in its site's queue */
	GE_X_LATER,		/* until x->when */
	GE_X_CURL,
	GE_X_WORKING,
	GE_X_BACK,		/* from work */
	GE_X_OUT		/* finished */
};

/* Where work is, guarded by the lock of the workers. */
enum ge_x_at {
	GE_X_TODO, GE_X_TAKEN, GE_X_RETURNED,
	GE_X_ORPHAN		/* with a worker, and nobody waits for it */
};

/*
 * Who has what is the caller's (body, buf, fd, entry): a worker only while it
 * holds it, and never once the operation was given back without it.
 */
enum ge_x_hold {
	GE_X_FREE, GE_X_HELD, GE_X_GONE
};

struct ge_run;

struct ge_op_int {
	struct ge_op *op;	/* &own: the caller's is not touched */
	struct ge_op own;
	struct ge_op *caller;
	struct ge_net *net;
	struct ge_netsite *s;
	struct ge_op_int *next, *prev;	/* of the queue it is in */
	struct ge_op_int *cnext;	/* of those to be cancelled */
	struct ge_op_int *lnext, *lprev;	/* of those that live */
	struct ge_run *run;
	_Atomic int state;	/* enum ge_x_state */
	enum ge_x_at at;
	atomic_int refs;
	atomic_int cancel;
	int tidying;
	int awaited;		/* the reply says what is to be removed */
	double tidyby;		/* and it is to be done by then */
	_Atomic uint64_t got;
	int tries;		/* begun */
	int once;		/* no use to try again */
	int late;		/* tries that timed out */
	int hushed;		/* the site was silent when it began */
	double when, started, began, first;
	_Atomic int hold;	/* enum ge_x_hold */
	_Atomic uint64_t beat;	/* grows while something moves */
	uint64_t seen;		/* of it, at the time `heard` */
	double heard;
	double patience;	/* seconds without a beat */

	/* A try. */
	int step;
	CURL *easy;
	CURLcode code;		/* of the last request */
	char errbuf[CURL_ERROR_SIZE];
	struct curl_slist *headers;
	int nomem;
	int brief;		/* ge_x_brief */
	struct ge_reply reply;
	enum ge_sink sink;
	int stopped;		/* we cut it: enough, or wrong (cause) */
	char cause[256];
	char *text;		/* GE_X_TEXT + 1 bytes, or NULL */
	size_t ntext;
	uint64_t dropped;
	struct ge_answer *list;
	uint64_t src_off, src_len, src_pos;	/* of what is sent */
	const char *post;	/* sent instead, if not NULL */

	/* Of a transport. */
	char tmp[GE_X_PATH];	/* temporary name */
	char aside[GE_X_PATH];
	char mark[1100];	/* upload id, continuation token */
	int mkdirs;
	int reset;		/* S3: the clock was */
	int64_t skew;		/* S3: with which it was signed */
	int cond;		/* S3: sent If-None-Match */
	enum ge_op_result result;	/* when cleaning is done */
	char why[256];
	uint64_t part, nparts;
	char *parts;		/* the list of them, in XML */
	size_t nparts_text, parts_cap;
	int has_sha;
	uint8_t sha[32];
	uint64_t entries;	/* of a listing, all pages */
	char last[GE_X_NAME];	/* the highest key of the pages before */
	char high[GE_X_NAME];	/* and so far; S3 */
	int idle;		/* pages without an entry */
	int hostkey;		/* ssh: 1 another, 2 unknown */
};

extern const struct ge_way ge_way_folder, ge_way_sftp, ge_way_s3, ge_way_dav;

const struct ge_net_conf *ge_net_conf(const struct ge_net *net);
const struct ge_site *ge_net_site(const struct ge_net *net, int site);

/*
 * ge_cred_home(out, cap, name, e): $HOME "/" name.
 * ge_cred_read(path, secret, buf, cap, len, e): a file of credentials into the
 * caller's memory.  1; 0 if there is none; -1: cannot be read, or is secret and
 * others may read it: GE_EUSAGE.
 */
int ge_cred_home(char *out, size_t cap, const char *name, struct ge_err *e);
int ge_cred_read(const char *path, int secret, char *buf, size_t cap,
    size_t *len, struct ge_err *e);

/*
 * ge_x_end(x, result, fmt, ...): how it ended and, if not DONE, why.
 * Returns GE_X_END.
 */
enum ge_verdict ge_x_end(struct ge_op_int *x, enum ge_op_result result,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ge_x_fresh(x): an easy handle with what all requests share.  0, or -1. */
int ge_x_fresh(struct ge_op_int *x);
void ge_x_header(struct ge_op_int *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ge_x_url(x, scheme, path, query): path is raw, the query encoded or NULL. */
void ge_x_url(struct ge_op_int *x, const char *scheme, const char *path,
    const char *query);

/*
 * ge_x_encode(out, cap, s, keep): what is not a letter, digit, one of -._~ or in
 * keep becomes %XX.  ge_x_address: the URL without a query.  0, or -1: no room.
 */
int ge_x_encode(char *out, size_t cap, const char *s, const char *keep);
int ge_x_address(struct ge_op_int *x, char *out, size_t cap,
    const char *scheme, const char *path);

/*
 * ge_x_brief(x): the request only removes what is left; it is not waited for
 * long.
 */
void ge_x_brief(struct ge_op_int *x);

/* ge_x_send(x, off, len): the request carries these bytes of the object. */
void ge_x_send(struct ge_op_int *x, uint64_t off, uint64_t len);
int ge_x_source(struct ge_op_int *x, uint64_t off, void *buf, size_t len,
    struct ge_err *e);

/* ge_x_path(x, out, name): site's path "/" name.  0, or -1: too long. */
int ge_x_path(struct ge_op_int *x, char out[GE_X_PATH], const char *name);

/* ge_x_cancelled(x): it is not worth going on. */
int ge_x_cancelled(struct ge_op_int *x);

/*
 * ge_x_moved(x, up, down): count, and progress of a GET; ge_x_beat(x): it moves.
 */
void ge_x_moved(struct ge_op_int *x, uint64_t up, uint64_t down);
void ge_x_beat(struct ge_op_int *x);

/*
 * ge_x_hold(x): what is the caller's may be touched until ge_x_let.  0, or -1:
 * the operation was given back.
 */
int ge_x_hold(struct ge_op_int *x);
void ge_x_let(struct ge_op_int *x);

/* ge_x_limits(x, connect, stall): seconds; few of them for a silent site. */
void ge_x_limits(const struct ge_op_int *x, double *connect, double *stall);

/*
 * ge_x_temporary(x, out, path): a hidden name beside path that nobody uses.
 */
int ge_x_temporary(struct ge_op_int *x, char out[GE_X_PATH], const char *path);

/*
 * ge_x_plain(out, cap, s): what a server said, fit for a terminal: what is not
 * printable ASCII becomes \xXX.  Returns out.
 */
const char *ge_x_plain(char *out, size_t cap, const char *s);

/* ge_x_curl(x): the end that a failure of curl's, x->code, means. */
enum ge_verdict ge_x_curl(struct ge_op_int *x);

/* ge_x_status(x, name): the end that an HTTP status and S3 error code mean. */
enum ge_verdict ge_x_status(struct ge_op_int *x, const char *name);

/*
 * ge_x_root(x): an ABSENT is worth something only if the site's own folder is
 * there.  1: ask, for that was not done lately.  ge_x_rooted(x, there): so it is,
 * or not; the end.
 */
int ge_x_root(struct ge_op_int *x);
enum ge_verdict ge_x_rooted(struct ge_op_int *x, int there);

/*
 * ge_x_rootless(x, path): the end: the site's own folder, or its bucket, is not
 * there, and trying again will not make it.
 */
enum ge_verdict ge_x_rootless(struct ge_op_int *x, const char *path);

/* The whole of GET over HTTP, after its request is set up; and its reply. */
void ge_x_range(struct ge_op_int *x);
enum ge_verdict ge_x_got(struct ge_op_int *x);
enum ge_verdict ge_x_headed(struct ge_op_int *x);

/*
 * ge_x_list(x, kind, base): entries will come through x->list.
 * ge_x_paged(x): a page has come; did it lead on?  0, or -1.
 */
int ge_x_list(struct ge_op_int *x, enum ge_answer_kind kind, const char *base);
int ge_x_paged(struct ge_op_int *x);

#endif
