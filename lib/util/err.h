#ifndef GE_ERR_H
#define GE_ERR_H

/*
 * One error convention for the family: 0 / -1 or pointer / NULL, and the last
 * argument tells why.  The code is the exit status (ge.7), so that no layer
 * translates.  Reporting allocates nothing.
 */
enum {
	GE_OK = 0,
	GE_EFAIL = 1,		/* I/O, site, memory; trying again may help */
	GE_EUSAGE = 2,		/* wrong command line or configuration */
	GE_EDEGRADED = 3,	/* whole now, with loss that repair makes good */
	GE_ELOST = 4,		/* fewer than k good fragments of a segment */
	GE_EREFUSED = 5		/* authentication, ambiguity, policy */
};

struct ge_err {
	int code;		/* GE_E..., 0 while nothing failed */
	int sys;		/* errno of the cause, or 0 */
	char msg[512];		/* one line: control bytes are shown as '?' */
};

/*
 * ge_fail(e, code, fmt, ...):
 * Report a failure: set e->code and the message.  Return -1.
 */
int ge_fail(struct ge_err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * ge_failsys(e, fmt, ...):
 * The same for a failed system call: GE_EFAIL, and ": strerror(errno)" after
 * the message.  Return -1.
 */
int ge_failsys(struct ge_err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * ge_within(e, fmt, ...):
 * Put "context: " in front of the message that e holds.  Return -1.
 */
int ge_within(struct ge_err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
