#ifndef GE_TALLY_H
#define GE_TALLY_H

#include <stdint.h>
#include <stdio.h>

#include "frag/frag.h"
#include "store/store.h"

/*
 * What an audit of one set came to, here or at the sites, and how it is told: to
 * people, as JSON, to Prometheus.
 */
struct tally {
	const char *what;		/* as the user named it, or NULL */
	char *label;			/* of the manifest (escaped), or NULL */
	int chosen;			/* the set is known: */
	uint8_t setid[GE_SETID];
	int k, n;
	uint64_t nsegments, length, stored;
	uint64_t count[GE_STATES];	/* fragments */
	uint64_t blocks, checked;
	double confidence;		/* > 0: as asked for */
	int blind;
	int spare, worst;
	/* At the sites only: */
	int remote;
	uint64_t received, manifests, strays;
	int spare_sites, spare_domains;
	const char *worst_label;

	int status;
	char message[512];		/* why it is not 0 */
	int64_t time;			/* when it ended */
	double seconds;
};

struct assumptions {
	double afr, days, common;
};

/* tally_finding(t, f): count it. */
void tally_finding(struct tally *t, const struct ge_finding *f);

/* tally_summary(t, as): for people, on standard error. */
void tally_summary(const struct tally *t, const struct assumptions *as);

/* A line of JSON for a fragment, for a set. */
void json_finding(FILE *out, const struct ge_finding *f);
void json_tally(FILE *out, const struct tally *t);

/* Metrics of n sets, in the text format of Prometheus. */
void prometheus(FILE *out, const struct tally *t, size_t n);

#endif
