#ifndef GE_RULE_INT_H
#define GE_RULE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "site/site.h"

/*
 * The placement rule: gefrag(5), "Placement".  A domain is all sites with one
 * value of a domain label; each site is one too.  Of each segment
 *
 *	a domain has now at most min(k-1, n-k) indices (plain: n-k), and
 *	has ever had, of one epoch, at most k-1 (encrypted).
 */
struct ge_rule {
	const struct ge_sites *sites;	/* borrowed */
	int k, n, plain;
	int now_max, ever_max;		/* the two bounds; ever_max n if plain */
	size_t ndomains;
	struct ge_domain *domain;	/* [ndomains] */
	uint32_t *of;			/* [nsites][persite] domains of each site */
	size_t persite;
	uint8_t *usable;		/* [nsites] may take new fragments: within
					   the countries, weight > 0, not gone */
	double *load;			/* [nsites] fragments given so far / weight */
};

struct ge_domain {
	const char *label, *value;	/* "site", its name; "operator", "sdv" */
	size_t nsites;			/* usable ones */
};

/*
 * ge_rule_init(r, sites, gone, k, n, plain, e):
 * gone[i] nonzero: site i takes nothing new.  r is released by ge_rule_release in
 * any case.  0; -1 GE_EFAIL; GE_EUSAGE if a site lacks a label that is a
 * domain.
 */
int ge_rule_init(struct ge_rule *r, const struct ge_sites *sites,
    const uint8_t *gone, int k, int n, int plain, struct ge_err *e);
void ge_rule_release(struct ge_rule *r);

/* ge_rule_within(sites, t): may site t hold fragments, by its country? */
int ge_rule_within(const struct ge_sites *sites, const struct ge_site *t);

/*
 * ge_rule_choose(r, ever, now, barred, e):
 * Give a site to each index that has none, so that the rule holds for all of the
 * segment: the sites with the least load for their weight first, indices of a
 * segment spread as evenly as the sites allow.  Deterministic.  What has a site
 * keeps it.
 *
 *	ever    [nsites]  in      mask of indices that each site has ever had in
 *	                          this epoch (those of `now` need not be in it)
 *	now     [n]       in/out  number of the site, or -1: to be chosen; -2: to
 *	                          be left without one
 *	barred  [nsites]  in      nonzero: not for this segment; NULL: none
 *
 * Counts what it gives into r->load.  0; -1: GE_EREFUSED if no choice keeps the
 * rule, saying what would be needed ("a set of 6 of 9 needs at least 3 values of
 * operator, there are 2"); now is then unchanged.
 */
int ge_rule_choose(struct ge_rule *r, const uint64_t *ever, int16_t *now,
    const uint8_t *barred, struct ge_err *e);

/*
 * ge_rule_check(r, ever, now, e):
 * Does a segment keep the rule?  Arguments as above, now[i] < 0: nowhere.  0; -1
 * GE_EREFUSED naming the domain and how many it has.
 *
 * ge_rule_breaker(r, ever, now): an index whose move elsewhere would mend the
 * first bound that is broken by `now`, or -1.
 */
int ge_rule_check(const struct ge_rule *r, const uint64_t *ever,
    const int16_t *now, struct ge_err *e);
int ge_rule_breaker(const struct ge_rule *r, const int16_t *now);

/*
 * ge_rule_believe(r, ever, claim, now, over, e):
 * What sites say themselves to have had comes into ever, as far as the rule bears
 * it: of who says more than that some indices are left out.  Nobody is left short
 * by a site that is over by itself.  Keep the rule before: ge_rule_check.
 *
 *	ever   [nsites]  in/out  as above
 *	claim  [nsites]  in/out  masks; what is left out is taken from them
 *	over   [nsites]  out     bit 0 is set for those of whom something is
 *
 * 0; -1 GE_EFAIL.
 */
int ge_rule_believe(const struct ge_rule *r, uint64_t *ever, uint64_t *claim,
    const int16_t *now, uint8_t *over, struct ge_err *e);

/*
 * ge_rule_possible(r, e): could a fresh segment be placed at all?  Changes
 * nothing.  0, or -1 as ge_rule_choose.
 */
int ge_rule_possible(struct ge_rule *r, struct ge_err *e);

/*
 * ge_rule_spare(r, good, now, label):
 * How many more domains of this label (NULL: sites) may vanish, the worst first,
 * before fewer than k of the good indices (mask) are left; -1: already.
 */
int ge_rule_spare(const struct ge_rule *r, uint64_t good, const int16_t *now,
    const char *label);

#endif
