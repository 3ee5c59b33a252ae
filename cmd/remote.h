#ifndef GE_REMOTE_H
#define GE_REMOTE_H

#include "store/store.h"

/*
 * What the programs that talk to sites share.
 */
struct remote {
	const char *path;		/* -s, or NULL */
	const char *away[64];		/* -x */
	size_t naway;
	int jobs;			/* -j; 0: two a site */
	const char *state;		/* -O state= */
	uint8_t *signkey;		/* -S, secret memory */
	struct ge_net_conf conf;
	struct ge_sites sites;
	struct ge_store st;
};

/*
 * remote_option(r, c, e): -j, -S, -s, -V, -x; 1 if c was one of them, 0, -1.
 * remote_rare(r, arg, e): -O ca=, connect=, stall=, state=, total=, tries=, set=,
 * digest=; likewise.  remote_writer: s3-unsigned also, for those who put objects.
 * remote_open(r, e): read the sites file ("-s is missing": GE_EUSAGE), open the
 * net.  remote_close: everything, r zeroed or not.
 */
int remote_option(struct remote *r, int c, struct ge_err *e);
int remote_rare(struct remote *r, const char *arg, struct ge_err *e);
int remote_writer(struct remote *r, const char *arg, struct ge_err *e);
int remote_open(struct remote *r, struct ge_err *e);
void remote_close(struct remote *r);

#endif
