#ifndef GE_SITE_H
#define GE_SITE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Sites: where objects, named bytes, can be put and had back.  One interface over
 * folders, SFTP, S3 and WebDAV; what the bytes mean is not known here.  The sites
 * file is gesites(5).
 */

enum ge_transport {
	GE_SITE_FILE, GE_SITE_SFTP, GE_SITE_S3, GE_SITE_DAV
};

struct ge_label {
	char *key, *value;
};

struct ge_site {
	char *name;			/* as in manifests: 1..63 of A-Za-z0-9._- */
	unsigned long line;		/* of the sites file */
	enum ge_transport transport;
	int tls;			/* S3, DAV */
	char *user;			/* of the URL (sftp), or NULL */
	char *host;			/* NULL for folders; IPv6 with brackets */
	int port;			/* 0: the protocol's own */
	char *path;			/* decoded: "/bucket/prefix", "/srv/ge"; no
					   "/" at its end, no "//", ".", ".." */
	struct ge_label *label;		/* operator, region, country, ... */
	size_t nlabels;
	double weight;			/* share of new fragments; default 1; 0: none */
	/* Options; NULL or 0 if not given. */
	char *profile;			/* of ~/.aws/credentials and config */
	char *awsregion;		/* default us-east-1 */
	char *ca;			/* PEM file, instead of the system's */
	char *key;			/* ssh private key file */
	char *knownhosts;		/* ssh; default ~/.ssh/known_hosts */
	char *netrc;			/* default ~/.netrc */
	uint64_t part;			/* S3: larger objects go in parts of this */
};

struct ge_sites {
	char *file;			/* it was read from, or NULL */
	struct ge_site *site;
	size_t n;
	char **domain;			/* labels whose values are domains */
	size_t ndomains;
	char **within;			/* countries; none: anywhere */
	size_t nwithin;
};

enum {
	GE_SITES_MAX = 1024,		/* sites of a file */
	GE_SITES_BYTES = 4 << 20	/* of a file */
};

/*
 * ge_sites_parse(s, buf, len, e):
 * A sites file, gesites(5).  Pure; untrusted.  s is released by
 * ge_sites_release in any case.  0, or -1 GE_EUSAGE with the line and the rule,
 * GE_EFAIL without memory.
 */
int ge_sites_parse(struct ge_sites *s, const char *buf, size_t len,
    struct ge_err *e);

/*
 * ge_sites_read(s, path, e):
 * The same from a file; the files that it names as secrets (key, netrc) must not
 * be readable for others: GE_EUSAGE with the line.
 */
int ge_sites_read(struct ge_sites *s, const char *path, struct ge_err *e);
void ge_sites_release(struct ge_sites *s);

/* ge_sites_find(s, name): its number, or -1. */
int ge_sites_find(const struct ge_sites *s, const char *name);

/* ge_site_label(site, key): the value, or NULL. */
const char *ge_site_label(const struct ge_site *s, const char *key);

/*
 * The net: transfers to and from the sites of a file, as many at once as the
 * program has jobs, on connections that are kept.  An operation is started, runs
 * on a thread of the net's, and comes back finished.
 */
enum ge_op_kind {
	GE_OP_PUT,		/* an object, whole or not at all */
	GE_OP_GET,		/* bytes of an object */
	GE_OP_HEAD,		/* is it there, and how long is it? */
	GE_OP_LIST,		/* names below a folder, not those below them */
	GE_OP_REMOVE		/* an object; a folder ("name/") that is empty */
};

enum ge_op_result {
	GE_OP_DONE,
	GE_OP_ABSENT,		/* the site says that there is no such object: its
				   word, no proof */
	GE_OP_EXISTS,		/* PUT without `replace`: something is there */
	GE_OP_DENIED,		/* it answered and will not: credentials, rights,
				   a certificate or host key that is not right, a
				   redirect, no room; trying again is no use */
	GE_OP_FAILED,		/* no answer, a wrong one, cut, too slow; after
				   all tries */
	GE_OP_CANCELLED
};

enum {
	GE_OP_NAME = 128
};
#define GE_OP_UNKNOWN UINT64_MAX

struct ge_op {
	/* Set by the caller, who owns all of it; zero the rest. */
	enum ge_op_kind kind;
	int site;			/* number in the sites file */
	char name[GE_OP_NAME];		/* below the site's path: [0-9A-Za-z._-] and
					   "/"; LIST: "" or "folder/" */
	int tries;			/* at most; 0: as the net was opened.  A site
					   that has timed out is asked once */
	int urgent;			/* before those that wait */
	int replace;			/* PUT: over what is there, in one step where
					   the site can */
	int unseen;			/* PUT without `replace`: the site has listed
					   that nothing is there, so one that cannot
					   refuse by itself is not asked again */
	/* PUT: len bytes from memory, or if fd > 0 of that file at fdoff. */
	const uint8_t *body;
	int fd;
	uint64_t fdoff;
	uint64_t len;			/* PUT: of the object; GET: bytes wanted */
	int has_sha;			/* PUT: sha256 of the body is given */
	uint8_t sha256[32];
	/* GET: bytes off..off+len-1 into buf; fewer only at the object's end. */
	uint8_t *buf;
	uint64_t off;
	/*
	 * LIST: called for each entry from a thread of the net's, the op being
	 * under way: a name below the folder (untrusted, without "/" at its end,
	 * temporary names ".*.tmp" too), its size (or GE_OP_UNKNOWN).  Nonzero
	 * stops: the op is DONE.  After a failed try all entries come again, after
	 * a call with name NULL.  A folder that is not there is ABSENT; S3, which
	 * has none, lists nothing.
	 */
	int (*entry)(void *arg, const char *name, size_t len, uint64_t size,
	    int folder);
	void *arg;
	void *tag;			/* the caller's own */

	/* Results, valid when it has come back. */
	enum ge_op_result result;
	struct ge_err err;		/* why, naming site and object; if not DONE */
	uint64_t got;			/* GET: bytes in buf */
	int hashed;			/* PUT: the site has checked the SHA-256 of
					   all that it took */
	uint64_t size;			/* GET, HEAD: of the object, or
					   GE_OP_UNKNOWN */
	double seconds;			/* of the last try */
	double first;			/* of them until the first byte came */

	struct ge_op_int *in;		/* the net's own */
	struct ge_op *next;		/* the net's own */
};

struct ge_net_conf {
	int jobs;		/* transfers at once, 1..64 */
	const char *ca;		/* PEM file for sites that name none, or NULL */
	int s3unsigned;		/* do not hash what is sent by TLS */
	double connect;		/* seconds to connect; 0: 10 */
	double stall;		/* seconds without a byte (averaged); 0: 20 */
	double total;		/* seconds for a request, whatever comes, and for
				   all of a LIST; 0: 3600 */
	int tries;		/* 0: 4 */
};

struct ge_net;

/*
 * ge_net_open(s, c, e): s is borrowed until ge_net_close, which cancels what is
 * under way and leaves a thread that hangs in the system; c is copied.  NULL:
 * GE_EFAIL, or GE_EUSAGE, with the line of the sites file, for credentials that
 * cannot be found or are readable for others.
 */
struct ge_net *ge_net_open(const struct ge_sites *s,
    const struct ge_net_conf *c, struct ge_err *e);
void ge_net_close(struct ge_net *net);

/*
 * ge_op_start(net, op): it belongs to the net until ge_net_next or ge_op_run gives
 * it back.  Never fails: what cannot be started comes back FAILED.
 */
void ge_op_start(struct ge_net *net, struct ge_op *op);

/*
 * ge_op_cancel(net, op): let it come back soon, CANCELLED if not finished; in
 * some seconds if what it left is to be removed, or it hangs in the system.
 */
void ge_op_cancel(struct ge_net *net, struct ge_op *op);

/* ge_op_progress(net, op): bytes that have come so far; any time. */
uint64_t ge_op_progress(struct ge_net *net, const struct ge_op *op);

/* ge_op_waits(net, op): it has not begun, or its next try has not. */
int ge_op_waits(struct ge_net *net, const struct ge_op *op);

/*
 * ge_net_next(net, seconds, op, e):
 * Wait until an operation has come back: 1 and *op; 0 after so many seconds (< 0:
 * no end), or at once if none is under way; -1 if the program is to stop.
 */
int ge_net_next(struct ge_net *net, double seconds, struct ge_op **op,
    struct ge_err *e);

/*
 * ge_net_reclaim(net): cancel what is under way and wait for one of them to come
 * back, also if the program is to stop; NULL: there is none.  For those who are
 * about to free what the net still uses.
 */
struct ge_op *ge_net_reclaim(struct ge_net *net);

/*
 * ge_op_run(net, op, n, e): start n operations and wait for them all (and for no
 * others: those stay for ge_net_next).  0; -1 if the program is to stop (they
 * have come back even so).
 */
int ge_op_run(struct ge_net *net, struct ge_op *const *op, size_t n,
    struct ge_err *e);

/*
 * ge_net_moved(net, up, down): bytes of bodies sent and received by all tries so
 * far.
 */
void ge_net_moved(struct ge_net *net, uint64_t *up, uint64_t *down);

/*
 * ge_net_hashes(net, site, len): does a PUT of so many bytes carry the SHA-256 of
 * them all?  Who knows it spares the net the work: op->has_sha.
 */
int ge_net_hashes(const struct ge_net *net, int site, uint64_t len);

#endif
