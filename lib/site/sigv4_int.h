#ifndef GE_SIGV4_INT_H
#define GE_SIGV4_INT_H

#include <stddef.h>
#include <stdint.h>

/*
 * AWS Signature Version 4, as the header Authorization carries it.  Pure.
 */
struct ge_sigv4 {
	const char *id, *secret;
	const char *region, *service;	/* "us-east-1", "s3" */
	const char *date;		/* of ge_sigv4_date */
	const char *method;
	const char *path;		/* encoded, as it is sent */
	const char *query;		/* encoded and sorted; "" */
	const char *const *header;	/* "name:value", lower case, sorted;
					   host, x-amz-*; NULL ends */
	const char *sha;		/* of the body, in hex, or what
					   x-amz-content-sha256 says */
};

enum {
	GE_SIGV4_DATE = 17
};

/* ge_sigv4_date(out, now): "20150830T123600Z" of seconds since 1970. */
void ge_sigv4_date(char out[GE_SIGV4_DATE], int64_t now);

/*
 * ge_sigv4_sign(out, cap, r):
 * The value of Authorization.  0, or -1: there is not room, or no memory.
 * After "Signature Version 4 signing process", AWS General Reference; its
 * examples are in tests/unit/net.c.
 */
int ge_sigv4_sign(char *out, size_t cap, const struct ge_sigv4 *r);

#endif
