#ifndef GE_STORE_H
#define GE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "frag/frag.h"
#include "site/site.h"
#include "util/err.h"

/*
 * The store: fragments at sites.  The only layer that knows both.
 */

/*
 * What every job over sites is given.
 */
struct ge_store {
	const struct ge_sites *sites;
	struct ge_net *net;
	uint8_t *gone;			/* [sites->n] -x: treat as gone */
	struct ge_pins pins;		/* has_set, has_digest, has_signer */
	const uint8_t *signkey;		/* Ed25519, to sign manifests; or NULL */
	const char *state;		/* folder where serials are remembered */
};

/*
 * A set as manifests tell of it.
 */
struct ge_known {
	uint8_t setid[GE_SETID];
	int full;			/* the operand is its whole id, or a file of
					   its manifest; also if that is refused */
	int has;			/* there is a manifest: */
	struct ge_manifest m;		/* the one that counts */
	char *text;			/* its bytes */
	size_t len;
	int evidence;			/* its roots are true: the user named the file,
					   its digest or its signer */
	int labelled;			/* its label is no site's word alone */
	int agreed;			/* more than half of all sites serve a
					   manifest with its roots */
	char *borne;			/* the label that most sites give it, or NULL;
					   also if its manifests are refused */
	int credible;			/* the user named it or its signer, our key
					   signed it, it is what we remember, or more
					   than half of the sites that answered, and
					   not one alone, serve it */
	/* [sites->n] what each site said: */
	uint8_t *answered;		/* it answered */
	uint8_t *current;		/* it has this very manifest */
	uint8_t *has_any;		/* it has some manifest of the set */
	/*
	 * Other manifests of the set, valid but not the one that counts, that are
	 * credible as well: their place lines are history all the same.  With a
	 * signer named only what he signed and the user's own; not what is too long.
	 */
	struct ge_manifest *also;
	size_t nalso, capalso;
	/* Hashes of all that were seen and do not count. */
	uint8_t (*lost)[32];
	size_t nlost, caplost;
};

/*
 * ge_known_find(st, operand, kn, e):
 * The set that the operand means: a manifest's file ("-": standard input), a set
 * id or at least 4 digits of its beginning, or a label; and its manifest, the
 * newest valid one of the operand and the sites.  Valid is what the pins allow.
 * kn is released by ge_known_release in any case.
 *
 * Return 0; -1: GE_EUSAGE for a file that cannot be read or is no manifest; GE_EREFUSED if the
 * operand means several sets, too few sites vouch for the label, the manifests contradict a pin, the set has
 * been forked, or all that can be reached is older than what was seen before; GE_ELOST if no site knows it,
 * GE_EFAIL if not all sites answered.  A full set id is never unknown: it may
 * have no manifest (kn->has 0).
 *
 * ge_known_load(st, setid, kn, e): the same for a set id.
 * ge_known_forget(kn): let go of kn->also, which only those need who write.
 *
 * Memory: twice the longest manifest, which is 64 MiB, and 16 MiB.
 */
int ge_known_find(const struct ge_store *st, const char *operand,
    struct ge_known *kn, struct ge_err *e);
int ge_known_load(const struct ge_store *st, const uint8_t setid[GE_SETID],
    struct ge_known *kn, struct ge_err *e);
void ge_known_forget(struct ge_known *kn);
void ge_known_release(struct ge_known *kn);

/*
 * ge_site_names(out, sites, which):
 * " a b c": the names of the sites for which which [sites->n] is 1, or as many as
 * there is room for.  Returns out.
 */
enum {
	GE_SITE_NAMES = 140
};
char *ge_site_names(char out[GE_SITE_NAMES], const struct ge_sites *sites,
    const uint8_t *which);

/*
 * Push: fragments to sites.
 */
struct ge_push {
	const char *const *operand;	/* as of ge_feed_open */
	size_t noperands;
	int quorum;			/* fragments a segment to call it safe */
	int full;			/* read everything back */
	int dry;
	/* Told of each fragment: placed (state ok) or not; with dry, planned. */
	void (*found)(void *arg, const struct ge_finding *f);
	void *arg;

	/* Results. */
	char *text;			/* the manifest; ge_free it */
	size_t len;
	uint8_t setid[GE_SETID];
	uint64_t fragments, placed;	/* should be, are proved to be */
	uint64_t sent, resumed;		/* bytes sent; fragments there before */
	int fewest;			/* placed fragments of the worst segment */
	int given_up;			/* sites, since it began */
	int spare_sites, spare_domains;	/* as of ge_check; -1: data would be lost */
	const char *worst_label;
};

/*
 * ge_push_run(p, st, e):
 * 0: all n of every segment are at sites and the manifest is at every site that
 * answers.  -1: GE_EDEGRADED some are not (p->text is still the manifest of
 * those that are); GE_EFAIL fewer than the quorum; GE_EREFUSED the rule cannot be
 * kept, or an object of another content is there: the message then says what became
 * of the data, and p->text is as above; others.
 */
int ge_push_run(struct ge_push *p, const struct ge_store *st,
    struct ge_err *e);

/*
 * Pull: just enough fragments, as a stream.
 */
struct ge_pull {
	int out;			/* descriptor */
	int ranged;			/* only what bytes off..off+len-1 need */
	uint64_t off, len;

	uint64_t segments, received, damaged, hedged;	/* results */
};
int ge_pull_run(struct ge_pull *p, const struct ge_store *st,
    const struct ge_known *kn, struct ge_err *e);

/*
 * Verify at the sites.  The results of a->... are those of ge_audit_run, and:
 */
struct ge_check {
	double confidence;		/* > 0: sample; set to 0 if that is all */
	double share;
	int noshares;			/* do not fetch key shares */
	void (*found)(void *arg, const struct ge_finding *f);
	void *arg;

	/* Results. */
	int k, n, mode;
	uint64_t nsegments, length, stored;
	uint64_t fragments, bad, unreachable, misplaced, strays;
	uint64_t blocks, checked;
	uint64_t received;		/* bytes */
	int spare, worst;		/* as of ge_audit */
	int spare_sites;		/* sites that may still vanish, worst first */
	int spare_domains;		/* the same of the worst domain label */
	const char *worst_label;	/* that label (of the sites file), or NULL */
	uint64_t manifests;		/* sites that lack the manifest */
	uint64_t old;			/* shares of older epochs */
	uint64_t history;		/* segments of which a domain has had too many
					   fragments over time */
};
int ge_check_run(struct ge_check *c, const struct ge_store *st,
    const struct ge_known *kn, struct ge_err *e);

/*
 * Heal: make whole what is not, at the sites.
 */
struct ge_heal {
	int blind, dry;
	const struct ge_report_line *report;	/* as of ge_mend; NULL: check first */
	size_t nreport;
	void (*planned)(void *arg, const struct ge_finding *f);
	void *arg;

	/* Results: fragments made again, copied, found elsewhere; segments given
	   new shares; objects of old shares destroyed. */
	uint64_t rebuilt, copied, adopted, refreshed, destroyed;
	uint64_t audited, read, written;	/* bytes: of the check, of the rest */
	char *text;			/* the new manifest, or NULL; ge_free it */
	size_t len;
};

/*
 * ge_heal_run(h, st, kn, e):
 * 0: what was named (or found) is whole, and all sites that answer have the
 * manifest.  -1: GE_ELOST some segment is lost (the others have been mended);
 * GE_EFAIL fragments are at sites that do not answer; GE_EDEGRADED something has
 * found no place, or was rebuilt blind; GE_EREFUSED.  h->text is the manifest
 * also then, if there is one.
 *
 * A fragment is put and proved, then the manifest is published, then old shares
 * are destroyed; killed anywhere and run again it goes on.
 */
int ge_heal_run(struct ge_heal *h, const struct ge_store *st,
    struct ge_known *kn, struct ge_err *e);

/*
 * Inventory: what sets the sites hold.
 */
enum ge_health {
	GE_HEALTH_WHOLE, GE_HEALTH_DEGRADED, GE_HEALTH_LOST,
	GE_HEALTH_PARTIAL,		/* no manifest: an interrupted push, or a set
					   whose manifests are gone */
	GE_HEALTH_UNKNOWN		/* not all sites answered */
};

struct ge_entry {
	uint8_t setid[GE_SETID];
	const char *name;		/* as in the manifest, or NULL */
	const char *created;		/* or NULL */
	uint64_t length;		/* of the data; GE_OP_UNKNOWN */
	uint64_t stored;		/* bytes that the sites list */
	int k, n;			/* 0: unknown */
	uint64_t expected, listed;	/* fragments */
	uint64_t leftovers;		/* names that are not fragments of the set */
	int nsites;			/* that hold something of it */
	enum ge_health health;
};

/*
 * ge_inventory_run(iv, st, e):
 * What sets there are, in the order of ids; a site's word is taken for what it
 * has.  Sites that do not answer are named by a note, once.
 *
 * 0; -1: GE_EFAIL if sites did not answer, GE_ELOST if an operand means nothing,
 * GE_EREFUSED if the manifests of some set are refused: all that is known has
 * been told to entry even so.
 */
struct ge_inventory {
	const char *const *operand;	/* manifests' files ("-": standard input),
					   ids, or 4 digits of their beginning, or
					   labels; none: all sets */
	size_t noperands;
	int (*entry)(void *arg, const struct ge_entry *en, struct ge_err *e);
	void *arg;

	uint64_t sets, foreign;		/* told; names that no set has */
	int unanswered;			/* sites */
};
int ge_inventory_run(struct ge_inventory *iv, const struct ge_store *st,
    struct ge_err *e);

/*
 * Erase: remove a set from every site.
 */
struct ge_erase {
	int dry;
	int shares;			/* only so many indices that none can read it */
	int k, n;			/* as the manifest says; 0: unknown */
	/* Asked when it is known what there is: 1 goes on.  NULL: yes. */
	int (*ask)(void *arg, const struct ge_erase *r);
	/*
	 * Told of each object that is removed (with dry: would be), why NULL, or
	 * cannot be, and why.  name has unsafe bytes as %XX.
	 */
	void (*removed)(void *arg, const char *site, const char *name,
	    const char *why);
	void *arg;

	/* Results. */
	uint64_t found, bytes;		/* fragments that are listed; of everything */
	int sites;			/* that list something: */
	const uint8_t *holds;		/* [sites->n] these; ours while ask runs */
	uint64_t objects, left;		/* removed; could not be */
	int unanswered;			/* sites: what they hold is there still */
};

/*
 * ge_erase_run(r, st, setid, e):
 * First n-k+1 indices of every segment, so that after that nobody can read it;
 * then the other fragments; then what else lies in the set's folder; then the
 * manifests, but not of a site that keeps something; then the folders.  Killed and
 * run again it goes on.  Nothing outside "<set id>/" is named to a site.
 *
 * 0: the sites list nothing of it any more (with shares: nothing of those
 * indices).  -1: GE_EFAIL if something is left or a site did not answer;
 * GE_EREFUSED if r->ask said no.
 */
int ge_erase_run(struct ge_erase *r, const struct ge_store *st,
    const uint8_t setid[GE_SETID], struct ge_err *e);

#endif
