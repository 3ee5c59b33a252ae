#ifndef GE_ANSWER_INT_H
#define GE_ANSWER_INT_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What servers answer and what files of credentials say.  All of it is
 * untrusted; nothing here does I/O.
 */

enum ge_answer_kind {
	GE_ANSWER_S3,		/* ListBucketResult */
	GE_ANSWER_DAV,		/* multistatus */
	GE_ANSWER_LS		/* lines as of ls -l */
};

/*
 * A listing as it comes in.  base is what names begin with: the prefix of the
 * keys (S3), the decoded path of the folder with "/" at its end (DAV).
 * entry as in struct ge_op: nonzero stops, ge_answer_feed then returns 1.
 */
struct ge_answer;

struct ge_answer *ge_answer_new(enum ge_answer_kind kind, const char *base,
    int (*entry)(void *arg, const char *name, size_t len, uint64_t size,
    int folder), void *arg, struct ge_err *e);
void ge_answer_free(struct ge_answer *a);

/* 0; 1: stopped by entry; -1: not a listing, or more than is allowed. */
int ge_answer_feed(struct ge_answer *a, const void *buf, size_t len,
    struct ge_err *e);

/*
 * ge_answer_end(a, token, e): the listing is whole.  *token: where it goes on
 * (S3; valid until ge_answer_free), or NULL.  0 or -1.
 */
int ge_answer_end(struct ge_answer *a, const char **token, struct ge_err *e);

/* ge_answer_count(a): entries so far. */
uint64_t ge_answer_count(const struct ge_answer *a);

/*
 * ge_answer_text(buf, len, root, field, out, cap):
 * The text of the first element `field` directly within the document's root, if
 * that is named `root`.  1 if it is there (cut to cap), 0 if not.
 */
int ge_answer_text(const char *buf, size_t len, const char *root,
    const char *field, char *out, size_t cap);

/*
 * ge_answer_range(s, first, last, total): "bytes 0-9/100"; a total of "*" is
 * UINT64_MAX; "bytes * /100" (without the blank) gives first > last.  0 or -1.
 */
int ge_answer_range(const char *s, uint64_t *first, uint64_t *last,
    uint64_t *total);

/* ge_answer_retry(s, seconds): Retry-After in seconds.  0 or -1. */
int ge_answer_retry(const char *s, double *seconds);

/*
 * ge_answer_ini(buf, len, section, key, out, cap):
 * A value of ~/.aws/credentials or config ([profile NAME] is NAME).  1 and the
 * value; 0: there is none; -1: it is longer than cap.
 */
int ge_answer_ini(const char *buf, size_t len, const char *section,
    const char *key, char *out, size_t cap);

/*
 * ge_answer_netrc(buf, len, host, user, login, lcap, password, pcap):
 * The login and password for a host, and for this user if not NULL.  1; 0: there
 * is none; -1: longer than the room.
 */
int ge_answer_netrc(const char *buf, size_t len, const char *host,
    const char *user, char *login, size_t lcap, char *password, size_t pcap);

/* ge_answer_unpercent(s, len, plus): decode in place; the new length. */
size_t ge_answer_unpercent(char *s, size_t len, int plus);

#endif
