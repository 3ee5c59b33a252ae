#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/store_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"
#include "util/thread.h"

enum {
	FIRST = 1 << 18,		/* bytes asked of every site at once */
	KEPT = 16 << 20,		/* of manifests, before one has been chosen */
	ALSO = 64 << 20,		/* and of others that are had again then, */
	ALSO_LINES = 1 << 22,		/* or counted for their places */
	TOGETHER = 96 << 20,		/* read from several sites at once */
	SETS_MAX = 1 << 18,		/* that a site may list */
	DOUBTFUL = 16,			/* sets that too few sites list, asked for
					   their labels; */
	DOUBTFUL_PROVED = 1024,		/* if a manifest can prove itself */
	PREFIX_MIN = 4			/* digits that may stand for a set id */
};

/* A manifest that somebody has, and who. */
struct candidate {
	struct ge_manifest m;		/* without text only its numbers */
	char *text;			/* or NULL: it was too much to keep */
	size_t len;
	uint8_t lengths[32];		/* hash of those of the segments */
	int named;			/* by the user */
	int first;			/* site that serves it, or -1 */
	int rank;			/* 3 named, 2 signed by the key named, 1 its
					   digest, 0 a site's word */
	int sites;			/* that serve it */
	int credible;			/* no site alone can make it so */
	uint8_t *at;			/* [sites->n] */
};

struct search {
	const struct ge_store *st;
	struct candidate *cand;
	size_t n, cap;
	size_t kept;			/* bytes of texts */
	double took;			/* seconds, to have them all */
	uint8_t *answered, *has_any;
	int asked, silent;
};

static void
candidate_release(struct candidate *c)
{

	ge_manifest_release(&c->m);
	ge_free(c->text);
	ge_free(c->at);
}

static void
search_release(struct search *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		candidate_release(&s->cand[i]);
	ge_free(s->cand);
	ge_free(s->answered);
	ge_free(s->has_any);
}

static void
hash_lengths(uint8_t out[32], const struct ge_manifest *m)
{
	struct ge_sha256 sha;
	uint8_t len[8];
	uint64_t i;

	ge_sha256_init(&sha);
	for (i = 0; i < m->nsegments; i++) {
		ge_put64(len, m->segment[i].ulen);
		ge_sha256_add(&sha, len, sizeof(len));
	}
	ge_sha256_end(&sha, out);
}

static struct candidate *
known_hash(struct search *s, const uint8_t hash[32])
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (memcmp(s->cand[i].m.hash, hash, 32) == 0)
			return (&s->cand[i]);
	return (NULL);
}

static void
serves(struct search *s, struct candidate *c, int site)
{

	if (site == -1)
		return;
	s->has_any[site] = 1;
	c->at[site] = 1;
	c->sites++;
	if (c->first == -1)
		c->first = site;
}

/*
 * Take a manifest's text (ours from here on) from a site, or if site is -1 from
 * the user.  What is malformed, or of another set, a site might as well not have.
 * Of long ones only the numbers are kept, or liars could fill the memory.
 */
static int
consider(struct search *s, const uint8_t *setid, uint8_t *text, size_t len,
    int site, struct ge_err *e)
{
	struct ge_sha256 sha;
	struct candidate c, *same;
	uint8_t hash[32];
	int rc = -1;

	memset(&c, 0, sizeof(c));
	c.text = (char *)text;
	c.len = len;
	c.first = -1;
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, text, len);
	ge_sha256_end(&sha, hash);
	if ((same = known_hash(s, hash)) != NULL) {
		serves(s, same, site);
		rc = 0;
		goto out;
	}
	if (ge_manifest_parse(&c.m, text, len, e) == -1) {
		if (e->code == GE_EREFUSED && site != -1) {
			ge_note(GE_WARN, "site '%s': manifest: %s",
			    s->st->sites->site[site].name, e->msg);
			rc = 0;
		}
		goto out;
	}
	if (setid != NULL && memcmp(c.m.setid, setid, GE_SETID) != 0) {
		ge_note(GE_WARN, "site '%s': manifest of another set",
		    s->st->sites->site[site].name);
		rc = 0;
		goto out;
	}
	c.named = site == -1;
	c.rank = c.named ? 3 : ge_manifest_counts(&c.m, &s->st->pins);
	hash_lengths(c.lengths, &c.m);
	if ((c.at = ge_alloc(s->st->sites->n, e)) == NULL ||
	    ge_grow(&s->cand, &s->cap, s->n + 1, sizeof(c), e) == -1)
		goto out;
	if (!c.named && len > KEPT - s->kept) {
		ge_free(c.text);
		c.text = NULL;
		ge_manifest_shed(&c.m);
	} else if (!c.named) {
		s->kept += len;
	}
	serves(s, &c, site);
	s->cand[s->n++] = c;
	memset(&c, 0, sizeof(c));
	rc = 0;
out:
	candidate_release(&c);
	return (rc);
}

/* A manifest that is being read from a site. */
struct reading {
	struct ge_op op;		/* brings the next bytes */
	uint8_t *buf;
	size_t len, room;
	uint64_t total;			/* as was said first: it might grow as fast
					   as it is read; or GE_OP_UNKNOWN */
};

static int
start_reading(struct reading *r, int site, const uint8_t *setid,
    struct ge_err *e)
{
	char id[2 * GE_SETID + 1];

	memset(r, 0, sizeof(*r));
	if ((r->buf = ge_alloc(FIRST, e)) == NULL)
		return (-1);
	r->room = FIRST;
	r->op.kind = GE_OP_GET;
	r->op.site = site;
	r->op.tries = 1;
	r->op.buf = r->buf;
	r->op.len = FIRST;
	snprintf(r->op.name, sizeof(r->op.name), "%s/manifest",
	    ge_hex(id, setid, GE_SETID));
	return (0);
}

/* Does it begin as a manifest of the set? */
static int
begins(const uint8_t *text, size_t n, const uint8_t *setid)
{
	char head[sizeof("gefrag-manifest 1\nset \n") + 2 * GE_SETID];
	char id[2 * GE_SETID + 1];
	int len;

	len = snprintf(head, sizeof(head), "gefrag-manifest 1\nset %s\n",
	    ge_hex(id, setid, GE_SETID));
	return (n >= (size_t)len && memcmp(text, head, (size_t)len) == 0);
}

/* Count what has come.  Is there more to be read? */
static int
unfinished(const struct ge_store *st, struct reading *r, const uint8_t *setid)
{

	if (r->op.result != GE_OP_DONE)
		return (0);
	if (r->len == 0)
		r->total = r->op.size;
	r->len += (size_t)r->op.got;
	if (r->op.got < r->op.len || r->len >= r->total ||
	    !begins(r->buf, r->len, setid))
		return (0);
	if (r->len <= GE_MANIFEST_MAX && (r->total == GE_OP_UNKNOWN ||
	    r->total <= GE_MANIFEST_MAX))
		return (1);
	r->op.result = GE_OP_FAILED;
	ge_fail(&r->op.err, GE_EFAIL, "site '%s': '%s': too long for a "
	    "manifest", st->sites->site[r->op.site].name, r->op.name);
	return (0);
}

/* Bytes that will have been read after the next step. */
static size_t
next_end(const struct reading *r)
{
	const uint64_t want = r->total != GE_OP_UNKNOWN ? r->total :
	    4 * (uint64_t)r->len;

	return (want > GE_MANIFEST_MAX ? (size_t)GE_MANIFEST_MAX + 1 :
	    (size_t)want);
}

/* Make the operation one that brings the rest, or more of it. */
static int
read_on(struct reading *r, struct ge_err *e)
{
	const size_t want = next_end(r);

	if (ge_grow(&r->buf, &r->room, want, 1, e) == -1)
		return (-1);
	r->op.buf = r->buf + r->len;
	r->op.off = r->len;
	r->op.len = want - r->len;
	return (0);
}

int
ge_manifest_get(const struct ge_store *st, int site, const uint8_t *setid,
    double limit, uint8_t **buf, size_t *len, struct ge_err *e)
{
	struct ge_asking as = { .of = 1, .began = ge_clock() };
	struct reading r;
	struct ge_op *one = &r.op;
	int rc = -1;

	*buf = NULL;
	as.limit = as.began + limit;
	if (start_reading(&r, site, setid, e) == -1)
		goto out;
	r.op.tries = 0;
	do {
		if (r.len > 0 && read_on(&r, e) == -1)
			goto out;
		if (ge_ask_some(st, &one, 1, &as, NULL, NULL, e) == -1)
			goto out;
	} while (unfinished(st, &r, setid));
	if ((rc = r.op.result == GE_OP_DONE) == 1) {
		*buf = r.buf;
		*len = r.len;
		r.buf = NULL;
	}
out:
	ge_free(r.buf);
	return (rc);
}

/* What was too much to keep, from a site that has it: 1, 0, -1. */
static int
have_again(const struct search *s, struct candidate *c, struct ge_err *e)
{
	const int nsites = (int)s->st->sites->n;
	struct ge_manifest m;
	uint8_t *buf;
	size_t len;
	int i, rc;

	if (c->text != NULL)
		return (1);
	/* First as fast as it was; if nobody is, slower. */
	for (i = 0; i < 2 * nsites; i++) {
		if (!c->at[i % nsites])
			continue;
		rc = ge_manifest_get(s->st, i % nsites, c->m.setid, i < nsites ?
		    1 + 2 * s->took : GE_MANIFEST_WAIT, &buf, &len, e);
		if (rc == -1)
			return (-1);
		if (rc == 0)
			continue;
		rc = ge_manifest_parse(&m, buf, len, e);
		if (rc == 0 && memcmp(m.hash, c->m.hash, 32) == 0) {
			ge_manifest_release(&c->m);
			c->m = m;
			c->text = (char *)buf;
			return (1);
		}
		ge_manifest_release(&m);
		ge_free(buf);
		if (rc == -1 && e->code != GE_EREFUSED)
			return (-1);
	}
	return (0);
}

/* What a site has given, or why it has not. */
static int
settle(struct search *s, struct reading *r, const uint8_t *setid,
    struct ge_err *e)
{
	uint8_t *text = r->buf;
	const char *name = s->st->sites->site[r->op.site].name;

	if (r->op.result == GE_OP_CANCELLED) {
		ge_note(GE_SAY, "a slow site was not waited for");
		s->silent++;
	} else if (r->op.result != GE_OP_DONE && r->op.result !=
	    GE_OP_ABSENT) {
		ge_note(GE_WARN, "%s", r->op.err.msg);
		s->silent++;
	} else {
		s->answered[r->op.site] = 1;
	}
	r->buf = NULL;
	if (r->op.result == GE_OP_DONE && r->total > r->len &&
	    !begins(text, r->len, setid))
		ge_note(GE_WARN, "site '%s': what is there is no manifest of "
		    "the set", name);
	else if (r->op.result == GE_OP_DONE)
		return (consider(s, setid, text, r->len, r->op.site, e));
	ge_free(text);
	return (0);
}

static int
by_total(const void *a, const void *b)
{
	const struct reading *x = *(struct reading *const *)a;
	const struct reading *y = *(struct reading *const *)b;

	return (x->total != y->total ? (x->total > y->total) -
	    (x->total < y->total) : x->op.site - y->op.site);
}

/*
 * The rests of those that are long, so many at once as memory has room for, small
 * ones first.  When more than half of all that serve one have given it the others
 * are not waited for much longer.
 */
static int
read_rests(struct search *s, struct reading **r, size_t n, struct ge_asking *as,
    const uint8_t *setid, struct ge_err *e)
{
	struct ge_op **op;
	size_t i, left, nops, room;
	int rc = -1;

	if ((op = ge_alloc(n * sizeof(struct ge_op *) + 1, e)) == NULL)
		goto out;
	if (n > 0)
		qsort(r, n, sizeof(struct reading *), by_total);
	while (n > 0) {
		for (nops = room = 0; nops < n; nops++) {
			room += next_end(r[nops]);
			if (nops > 0 && room > TOGETHER)
				break;
			if (read_on(r[nops], e) == -1)
				goto out;
			op[nops] = &r[nops]->op;
		}
		as->limit = ge_clock() + GE_MANIFEST_WAIT;
		if (ge_ask_some(s->st, op, nops, as, NULL, NULL, e) == -1)
			goto out;
		for (i = left = 0; i < n; i++) {
			if (i >= nops || unfinished(s->st, r[i], setid)) {
				r[left++] = r[i];
				continue;
			}
			as->had += r[i]->op.result == GE_OP_DONE;
			if (settle(s, r[i], setid, e) == -1)
				goto out;
		}
		n = left;
	}
	rc = 0;
out:
	ge_free(op);
	return (rc);
}

/* The manifests of one set that the sites have. */
static int
ask_manifests(struct search *s, const uint8_t setid[GE_SETID], struct ge_err *e)
{
	struct ge_asking as = { .began = ge_clock(), .least = 1 };
	const struct ge_store *st = s->st;
	struct reading *r = NULL, **more = NULL;
	struct ge_op **op = NULL;
	size_t i, n = 0, nmore = 0;
	int rc = -1;

	if ((r = ge_alloc(st->sites->n * sizeof(*r), e)) == NULL ||
	    (more = ge_alloc(st->sites->n * sizeof(struct reading *), e)) ==
	    NULL ||
	    (op = ge_alloc(st->sites->n * sizeof(struct ge_op *), e)) == NULL)
		goto out;
	for (i = 0; i < st->sites->n; i++) {
		if (st->gone[i])
			continue;
		if (start_reading(&r[n], (int)i, setid, e) == -1)
			goto out;
		op[n] = &r[n].op;
		n++;
	}
	s->asked = (int)n;
	if (ge_ask_all(st, op, n, 1, NULL, NULL, e) == -1)
		goto out;
	for (i = 0; i < n; i++) {
		as.of += r[i].op.result == GE_OP_DONE;
		if (unfinished(st, &r[i], setid)) {
			more[nmore++] = &r[i];
			continue;
		}
		as.had += r[i].op.result == GE_OP_DONE;
		if (settle(s, &r[i], setid, e) == -1)
			goto out;
	}
	if (read_rests(s, more, nmore, &as, setid, e) == -1)
		goto out;
	s->took = ge_clock() - as.began;
	rc = 0;
out:
	for (i = 0; r != NULL && i < st->sites->n; i++)
		ge_free(r[i].buf);
	ge_free(op);
	ge_free(more);
	ge_free(r);
	return (rc);
}

/*
 * Do two manifests tell of the same bytes?  The digest covers roots and the sum of
 * the lengths; a root, but unseen, the length.
 */
static int
same_set(const struct candidate *x, const struct candidate *y)
{
	const struct ge_manifest *a = &x->m, *b = &y->m;

	return (memcmp(a->digest, b->digest, 32) == 0 && a->mode == b->mode &&
	    a->k == b->k && a->n == b->n && a->block == b->block &&
	    a->nrecipients == b->nrecipients &&
	    a->nsegments == b->nsegments &&
	    memcmp(x->lengths, y->lengths, 32) == 0);
}

/*
 * The digest that counts: of what is known to be true, else that which most
 * sites serve.
 */
static const struct candidate *
anchor(const struct search *s)
{
	const struct candidate *best = NULL;
	size_t i, j;
	int votes, most = 0, rank = 0;

	for (i = 0; i < s->n; i++) {
		for (j = 0, votes = 0; j < s->n; j++)
			if (same_set(&s->cand[i], &s->cand[j]))
				votes += s->cand[j].sites;
		if (best == NULL || s->cand[i].rank > rank ||
		    (s->cand[i].rank == rank && votes > most)) {
			best = &s->cand[i];
			rank = best->rank;
			most = votes;
		}
	}
	return (best);
}

/* More than half of the sites that answered, and no site alone. */
static int
most(const struct search *s, int sites)
{

	return (2 * sites > s->asked - s->silent &&
	    (sites > 1 || s->asked == 1));
}

/* Is it more than a site's word that the set has the label of this manifest? */
static int
labelled(const struct search *s, const struct candidate *c)
{
	const struct candidate *d;
	int votes = 0;
	size_t i;

	if (c->credible || c->rank > 0 || s->st->pins.has_set)
		return (1);
	for (i = 0; i < s->n; i++) {
		d = &s->cand[i];
		if (d->m.name != NULL && c->m.name != NULL &&
		    strcmp(d->m.name, c->m.name) == 0 && same_set(d, c))
			votes += d->sites;
	}
	return (most(s, votes));
}

/* Can no minority of sites have made it up?  1, 0, -1. */
static int
vouched(const struct search *s, const struct candidate *c, struct ge_err *e)
{
	const struct ge_pins *pins = &s->st->pins;

	if (c->credible ||
	    (pins->has_signer && ge_manifest_counts(&c->m, pins) == 2))
		return (1);
	return (s->st->signkey == NULL ? 0 :
	    ge_manifest_signed(&c->m, s->st->signkey, e));
}

/* Is there room for its places? */
static int
affordable(const struct candidate *c, size_t *budget)
{

	if (c->text != NULL)
		return (1);
	if (c->len > *budget)
		return (0);
	*budget -= c->len;
	return (1);
}

/*
 * What others say of places is history all the same, but history cannot be taken
 * back: two sites that lie would make a set of which no site may have anything
 * more.  So only what is vouched for counts; where a signer is named only what he
 * signed, and the user's own.  That gives up what a repair told fewer than half of
 * the sites before it was killed: the journal of its machine and the lists of the
 * sites remember that.
 */
static int
others_too(struct search *s, const struct candidate *best, struct ge_known *kn,
    size_t *named, struct ge_err *e)
{
	const struct ge_pins *pins = &s->st->pins;
	size_t i, bytes = ALSO, left_out = 0;
	uint64_t lines = ALSO_LINES, n;
	struct candidate *c;
	int rc;

	for (i = 0; i < s->n; i++) {
		c = &s->cand[i];
		if (c == best)
			continue;
		if (ge_grow(&kn->lost, &kn->caplost, kn->nlost + 1, 32,
		    e) == -1)
			return (-1);
		memcpy(kn->lost[kn->nlost++], c->m.hash, 32);
		if (!same_set(c, best) || (!c->named && pins->has_signer &&
		    ge_manifest_counts(&c->m, pins) != 2))
			continue;
		if ((rc = vouched(s, c, e)) == -1)
			return (-1);
		if (rc == 0)
			continue;
		rc = affordable(c, &bytes);
		if (rc == 1 && (rc = have_again(s, c, e)) == -1)
			return (-1);
		if (rc == 0 || (n = ge_map_lines(&c->m, lines)) > lines) {
			left_out++;
			continue;
		}
		lines -= n;
		if (ge_grow(&kn->also, &kn->capalso, kn->nalso + 1,
		    sizeof(*kn->also), e) == -1)
			return (-1);
		kn->also[kn->nalso++] = c->m;
		if (c->named)
			*named = kn->nalso;	/* + 1 */
		memset(&c->m, 0, sizeof(c->m));
		ge_free(c->text);
		c->text = NULL;
	}
	if (left_out > 0)
		ge_note(GE_WARN, "manifests too long to be counted as history: "
		    "%zu", left_out);
	return (0);
}

/* The user's own, then those that most sites serve. */
static int
by_sites(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->named != y->named)
		return (y->named - x->named);
	if (x->sites != y->sites)
		return (y->sites - x->sites);
	return (x->first - y->first);
}

/*
 * Of those that agree with the anchor the highest serial, then the one that most
 * sites serve.  The serial of one that is not signed is a site's word: what the
 * user has named, we have seen before or more than half of the sites serve comes
 * first, and without any such the one that most serve; where a signer is named only
 * what he signed.
 */
static int
decide(struct search *s, struct ge_known *kn, struct ge_err *e)
{
	const struct ge_pins *pins = &s->st->pins;
	const struct candidate *an;
	struct candidate *best = NULL, *c;
	size_t i, others = 0, votes = 0, named = 0;
	uint8_t hash[32];
	uint64_t serial;
	int fork = 0, seen;

	if (s->n > 0)
		qsort(s->cand, s->n, sizeof(*s->cand), by_sites);
	an = anchor(s);
	if (an == NULL && (pins->has_signer || pins->has_digest))
		return (s->silent > 0 ? ge_fail(e, GE_EFAIL, "no manifest "
		    "that fits; %d of %d sites did not answer", s->silent,
		    s->asked) : ge_fail(e, GE_ELOST, "no manifest that fits"));
	if (an == NULL)
		return (0);
	if (pins->has_digest && memcmp(an->m.digest, pins->digest, 32) != 0)
		return (ge_fail(e, GE_EREFUSED,
		    "no manifest has the digest named"));
	if (pins->has_set && memcmp(an->m.setid, pins->set, GE_SETID) != 0)
		return (ge_fail(e, GE_EREFUSED,
		    "the manifest is of another set than the one named"));
	seen = ge_state_seen(s->st, an->m.setid, &serial, hash, e);
	if (seen == -1)
		return (-1);
	for (i = 0; i < s->n; i++) {
		c = &s->cand[i];
		if (!same_set(c, an)) {
			others++;
			continue;
		}
		c->credible = c->named || most(s, c->sites) ||
		    (seen && memcmp(c->m.hash, hash, 32) == 0);
		votes += (size_t)c->sites;
		if (pins->has_signer && ge_manifest_counts(&c->m, pins) != 2)
			continue;
		if (!pins->has_signer && best != NULL &&
		    c->credible != best->credible) {
			if (best->credible)
				continue;
		} else if (!pins->has_signer && best != NULL &&
		    !c->credible && c->sites < best->sites) {
			continue;
		} else if (best != NULL && c->m.serial == best->m.serial) {
			fork |= pins->has_signer &&
			    memcmp(c->m.body, best->m.body, 32) != 0;
			if (c->rank < best->rank || (c->rank == best->rank &&
			    c->sites <= best->sites))
				continue;
		} else if (best != NULL && c->m.serial < best->m.serial) {
			continue;
		} else {
			fork = 0;
		}
		best = c;
	}
	if (others > 0)
		ge_note(GE_WARN, "%zu manifest%s of other content under this "
		    "set's name", others, others == 1 ? "" : "s");
	if (best == NULL)
		return (ge_fail(e, s->silent > 0 ? GE_EFAIL : GE_EREFUSED,
		    "no manifest is signed by the key named"));
	if (fork)
		return (ge_fail(e, GE_EREFUSED, "two different manifests with "
		    "serial %llu are signed: the set has been forked",
		    (unsigned long long)best->m.serial));
	kn->evidence = an->rank > 0;
	kn->labelled = labelled(s, best);
	kn->agreed = 2 * votes > s->st->sites->n;
	switch (have_again(s, best, e)) {
	case -1:
		return (-1);
	case 0:
		return (ge_fail(e, GE_EFAIL, "the manifest cannot be had "
		    "again"));
	}
	if ((kn->credible = vouched(s, best, e)) == -1 ||
	    others_too(s, best, kn, &named, e) == -1)
		return (-1);
	memcpy(kn->setid, best->m.setid, GE_SETID);
	kn->has = 1;
	kn->m = best->m;
	kn->text = best->text;
	kn->len = best->len;
	kn->current = best->at;
	memset(&best->m, 0, sizeof(best->m));
	best->text = NULL;
	best->at = NULL;
	if (ge_state_check(s->st, &kn->m, e) == -1)
		return (-1);
	/* A site alone could make us remember a serial that never was. */
	if (best->named)
		ge_state_keep(s->st, &kn->m);
	else if (!ge_state_heard(s->st, &kn->m, best->sites) && named > 0)
		ge_state_keep(s->st, &kn->also[named - 1]);
	return (0);
}

/* The label that most sites give it, whatever is valid of what they say. */
static int
bear(const struct search *s, struct ge_known *kn, struct ge_err *e)
{
	const char *name;
	size_t i, j;
	int votes;

	for (i = 0; i < s->n; i++) {
		if ((name = s->cand[i].m.name) == NULL)
			continue;
		for (j = 0, votes = 0; j < s->n; j++)
			if (s->cand[j].m.name != NULL &&
			    strcmp(s->cand[j].m.name, name) == 0)
				votes += s->cand[j].sites;
		if (most(s, votes)) {
			kn->borne = ge_strdup(name, e);
			return (kn->borne == NULL ? -1 : 0);
		}
	}
	return (0);
}

/* Everything about one set; `named` is the user's own manifest, or NULL. */
static int
load(const struct ge_store *st, const uint8_t setid[GE_SETID], uint8_t *named,
    size_t namedlen, struct ge_known *kn, struct ge_err *e)
{
	struct search s;
	int rc = -1;

	memset(kn, 0, sizeof(*kn));
	memset(&s, 0, sizeof(s));
	s.st = st;
	memcpy(kn->setid, setid, GE_SETID);
	if ((s.answered = ge_alloc(st->sites->n, e)) == NULL ||
	    (s.has_any = ge_alloc(st->sites->n, e)) == NULL) {
		ge_free(named);
		goto out;
	}
	if (named != NULL && consider(&s, setid, named, namedlen, -1, e) == -1)
		goto out;
	if (ask_manifests(&s, setid, e) == -1 || bear(&s, kn, e) == -1 ||
	    decide(&s, kn, e) == -1)
		goto out;
	if (kn->current == NULL &&
	    (kn->current = ge_alloc(st->sites->n, e)) == NULL)
		goto out;
	kn->answered = s.answered;
	kn->has_any = s.has_any;
	s.answered = s.has_any = NULL;
	rc = 0;
out:
	search_release(&s);
	return (rc);
}

int
ge_known_load(const struct ge_store *st, const uint8_t setid[GE_SETID],
    struct ge_known *kn, struct ge_err *e)
{

	return (load(st, setid, NULL, 0, kn, e));
}

void
ge_known_forget(struct ge_known *kn)
{

	while (kn->nalso > 0)
		ge_manifest_release(&kn->also[--kn->nalso]);
	ge_free(kn->also);
	kn->also = NULL;
	kn->capalso = 0;
}

void
ge_known_release(struct ge_known *kn)
{

	ge_known_forget(kn);
	ge_manifest_release(&kn->m);
	ge_free(kn->lost);
	ge_free(kn->text);
	ge_free(kn->borne);
	ge_free(kn->answered);
	ge_free(kn->current);
	ge_free(kn->has_any);
	memset(kn, 0, sizeof(*kn));
}

int
ge_manifest_named(const char *operand, struct ge_err *e)
{
	struct stat sb;

	/* A folder may well have the name of a set. */
	if (strcmp(operand, "-") == 0 ||
	    (stat(operand, &sb) == 0 && !S_ISDIR(sb.st_mode)))
		return (1);
	return (strchr(operand, '/') == NULL ? 0 : ge_fail(e, GE_EUSAGE,
	    "'%s': no such file", operand));
}

static int
within(const char *path, struct ge_err *e)
{

	return (strcmp(path, "-") == 0 ? ge_within(e, "standard input") :
	    ge_within(e, "'%s'", path));
}

int
ge_manifest_slurp(const char *path, uint8_t **text, size_t *len,
    uint8_t setid[GE_SETID], struct ge_err *e)
{
	static const char word[] = "gefrag-manifest ";
	struct ge_manifest m;
	int rc;

	if (ge_slurp(strcmp(path, "-") == 0 ? "/dev/stdin" : path,
	    GE_MANIFEST_MAX, text, len, e) == -1)
		return (-1);
	if (*len < sizeof(word) - 1 ||
	    memcmp(*text, word, sizeof(word) - 1) != 0) {
		rc = ge_fail(e, GE_EUSAGE, "%s", *len == 0 ?
		    "it is empty, and no manifest" : "not a manifest");
	} else {
		rc = ge_manifest_parse(&m, *text, *len, e);
		memcpy(setid, m.setid, GE_SETID);
		ge_manifest_release(&m);
	}
	if (rc == 0)
		return (0);
	ge_free(*text);
	*text = NULL;
	return (within(path, e));
}

static int
named_file(const struct ge_store *st, const char *path, struct ge_known *kn,
    struct ge_err *e)
{
	uint8_t *text, setid[GE_SETID];
	size_t len;
	int rc;

	if (ge_manifest_slurp(path, &text, &len, setid, e) == -1)
		return (-1);
	rc = load(st, setid, text, len, kn, e);
	kn->full = 1;
	return (rc == -1 ? within(path, e) : 0);
}

/*
 * Ids of the sets that a site lists.
 */
struct ids {
	uint8_t (*id)[GE_SETID];
	size_t n, cap;
	struct ge_err err;
	int failed;
};

/* A set, and how many sites list it. */
struct listed {
	uint8_t setid[GE_SETID];
	int sites;
};

/* What all sites list, each set once. */
struct listing {
	struct listed *set;
	size_t n, cap;
	int answers;			/* sites that have said what they have */
	int silent;
};

static int
note_id(void *arg, const char *name, size_t len, uint64_t size, int folder)
{
	struct ids *ids = arg;

	(void)size;
	(void)folder;
	if (name == NULL) {
		ids->n = 0;
		return (0);
	}
	if (len != 2 * GE_SETID)
		return (0);
	if (ids->n == SETS_MAX) {
		ge_fail(&ids->err, GE_EFAIL, "too many sets");
		return (1);
	}
	if (ge_grow(&ids->id, &ids->cap, ids->n + 1, GE_SETID,
	    &ids->err) == -1) {
		ids->failed = 1;
		return (1);
	}
	if (ge_unhex(ids->id[ids->n], name, GE_SETID) == 0)
		ids->n++;
	return (0);
}

static int
by_id(const void *a, const void *b)
{

	return (memcmp(a, b, GE_SETID));
}

/* Those that most sites list come first. */
static int
by_listers(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return (x->sites != y->sites ? y->sites - x->sites :
	    memcmp(x->setid, y->setid, GE_SETID));
}

/* Of what one site lists each set counts once. */
static int
add_ids(struct listing *ls, struct ids *ids, struct ge_err *e)
{
	size_t i;

	if (ids->n == 0)
		return (0);
	if (ge_grow(&ls->set, &ls->cap, ls->n + ids->n, sizeof(*ls->set),
	    e) == -1)
		return (-1);
	qsort(ids->id, ids->n, GE_SETID, by_id);
	for (i = 0; i < ids->n; i++) {
		if (i > 0 && by_id(ids->id[i - 1], ids->id[i]) == 0)
			continue;
		memcpy(ls->set[ls->n].setid, ids->id[i], GE_SETID);
		ls->set[ls->n++].sites = 1;
	}
	return (0);
}

static void
sum_up(struct listing *ls)
{
	size_t i, n = 0;

	if (ls->n == 0)
		return;
	qsort(ls->set, ls->n, sizeof(*ls->set), by_id);
	for (i = 0; i < ls->n; i++)
		if (n > 0 && by_id(&ls->set[n - 1], &ls->set[i]) == 0)
			ls->set[n - 1].sites++;
		else
			ls->set[n++] = ls->set[i];
	ls->n = n;
	qsort(ls->set, ls->n, sizeof(*ls->set), by_listers);
}

/* The sets that the sites list; the caller frees ls->set. */
static int
list_sets(const struct ge_store *st, struct listing *ls, struct ge_err *e)
{
	struct ge_op *op = NULL, **each = NULL;
	struct ids *ids;
	size_t i, n = 0;
	int rc = -1;

	memset(ls, 0, sizeof(*ls));
	if ((ids = ge_alloc(st->sites->n * sizeof(*ids), e)) == NULL ||
	    (op = ge_alloc(st->sites->n * sizeof(*op), e)) == NULL ||
	    (each = ge_alloc(st->sites->n * sizeof(struct ge_op *), e)) == NULL)
		goto out;
	for (i = 0; i < st->sites->n; i++) {
		if (st->gone[i])
			continue;
		each[n] = &op[n];
		op[n].kind = GE_OP_LIST;
		op[n].site = (int)i;
		op[n].tries = 1;
		op[n].entry = note_id;
		op[n].arg = &ids[n];
		n++;
	}
	if (ge_ask_all(st, each, n, 1, NULL, NULL, e) == -1)
		goto out;
	for (i = 0; i < n; i++) {
		if (ids[i].failed) {
			*e = ids[i].err;
			goto out;
		}
		if (ids[i].err.code != 0) {
			ge_note(GE_WARN, "site '%s': %s",
			    st->sites->site[op[i].site].name, ids[i].err.msg);
			ls->silent++;
			continue;
		}
		if (op[i].result != GE_OP_DONE &&
		    op[i].result != GE_OP_ABSENT) {
			if (op[i].result != GE_OP_CANCELLED)
				ge_note(GE_WARN, "%s", op[i].err.msg);
			ls->silent++;
			continue;
		}
		ls->answers++;
		if (add_ids(ls, &ids[i], e) == -1)
			goto out;
	}
	sum_up(ls);
	rc = 0;
out:
	for (i = 0; ids != NULL && i < st->sites->n; i++)
		ge_free(ids[i].id);
	ge_free(ids);
	ge_free(each);
	ge_free(op);
	return (rc);
}

/* Is there such a set by more than the word of one site, or of few? */
static int
is_there(const struct listing *ls, const struct listed *l)
{

	return (2 * l->sites > ls->answers &&
	    (l->sites > 1 || ls->answers + ls->silent == 1));
}

/* A label as it stands in a manifest, or NULL if it is none. */
static const char *
as_label(char out[GE_NAME_ROOM], const char *operand)
{
	struct ge_err ignored;

	return (ge_label_check(operand, &ignored) == -1 ||
	    ge_percent(out, GE_NAME_ROOM, operand, strlen(operand), 1) == -1 ?
	    NULL : out);
}

/* Ids that a message names: the first two. */
struct naming {
	char text[2 * (2 * GE_SETID + 2) + sizeof(" and others")];
	int n;
};

static void
name_id(struct naming *nm, const uint8_t setid[GE_SETID])
{
	char hex[2 * GE_SETID + 1];

	if (nm->n < 2) {
		strcat(nm->text, nm->n > 0 ? ", " : "");
		strcat(nm->text, ge_hex(hex, setid, GE_SETID));
	} else if (nm->n == 2) {
		strcat(nm->text, " and others");
	}
	nm->n++;
}

/*
 * Is it worth asking for its manifests?  What too few sites list has a label only
 * if it is signed or has been seen before: of these some are asked, those that
 * more sites list first, for one site can list any number.
 */
static int
worth(const struct ge_store *st, const struct listing *ls,
    const struct listed *l, size_t *doubtful)
{
	const size_t max = st->pins.has_signer || st->pins.has_digest ?
	    DOUBTFUL_PROVED : DOUBTFUL;
	struct ge_err ignored;
	uint64_t serial;
	uint8_t hash[32];

	return (is_there(ls, l) || ++*doubtful <= max ||
	    ge_state_seen(st, l->setid, &serial, hash, &ignored) == 1);
}

/*
 * The set of these that has the label: 1, 0, or -1.  Who serves a manifest chooses
 * what label is in it: one site alone can neither give a set a label nor make
 * another's ambiguous.
 */
static int
by_label(const struct ge_store *st, const char *operand,
    const struct listing *ls, struct ge_known *kn, struct ge_err *e)
{
	struct naming sure = { "", 0 }, doubtful = { "", 0 };
	struct ge_err unclear = { 0, 0, "" }, refused = { 0, 0, "" };
	char label[GE_NAME_ROOM];
	struct ge_known other;
	const uint8_t *id;
	size_t i, few = 0, left_out = 0;

	if (as_label(label, operand) == NULL)
		return (0);
	for (i = 0; i < ls->n; i++) {
		id = ls->set[i].setid;
		if (!worth(st, ls, &ls->set[i], &few)) {
			left_out++;
			continue;
		}
		if (load(st, id, NULL, 0, &other, e) == -1) {
			if (e->code == GE_EREFUSED && other.borne != NULL &&
			    strcmp(other.borne, label) == 0)
				refused = *e;
			ge_known_release(&other);
			if (e->code != GE_EFAIL)
				continue;
			unclear = *e;
			if (ge_hook_tick(0, e) == -1)
				return (-1);
			if (!st->pins.has_signer && !st->pins.has_digest &&
			    is_there(ls, &ls->set[i])) {
				*e = unclear;
				return (-1);
			}
			continue;
		}
		if (other.has && other.m.name != NULL &&
		    strcmp(other.m.name, label) == 0) {
			name_id(other.labelled ? &sure : &doubtful, id);
			if (other.labelled && sure.n == 1) {
				*kn = other;
				continue;
			}
		}
		ge_known_release(&other);
	}
	if (left_out > 0)
		ge_note(GE_WARN, "sets that too few sites list to be asked for "
		    "their labels: %zu", left_out);
	if (sure.n > 1)
		return (ge_fail(e, GE_EREFUSED, "'%s': several sets have this "
		    "label: name one by its id: %s", operand, sure.text));
	if (sure.n == 0 && doubtful.n > 0)
		return (ge_fail(e, GE_EREFUSED, "'%s': too few sites say that "
		    "this label is of %s: name a set by its id", operand,
		    doubtful.text));
	if (doubtful.n > 0)
		ge_note(GE_WARN, "'%s': too few sites say that this label is "
		    "of %s as well", operand, doubtful.text);
	if (sure.n > 0)
		return (1);
	if (unclear.code == 0 && refused.code == 0)
		return (0);
	*e = unclear.code != 0 ? unclear : refused;
	return (unclear.code != 0 ? -1 : ge_within(e, "'%s'", operand));
}

/*
 * The set whose id begins so: 1, 0, or -1.  There may be one; one that too few
 * sites list is none, but *few.
 */
static int
by_prefix(const struct listing *ls, const char *operand, uint8_t id[GE_SETID],
    const struct listed **few, struct ge_err *e)
{
	char hex[2 * GE_SETID + 1];
	struct naming nm = { "", 0 };
	size_t i;

	*few = NULL;
	for (i = 0; i < ls->n; i++) {
		if (strncmp(ge_hex(hex, ls->set[i].setid, GE_SETID), operand,
		    strlen(operand)) != 0)
			continue;
		if (is_there(ls, &ls->set[i])) {
			memcpy(id, ls->set[i].setid, GE_SETID);
			name_id(&nm, id);
		} else if (*few == NULL) {
			*few = &ls->set[i];
		}
	}
	return (nm.n > 1 ? ge_fail(e, GE_EREFUSED, "'%s': several sets begin "
	    "so: %s", operand, nm.text) : nm.n);
}

/* Neither a label nor the beginning of an id. */
static int
not_found(const struct listing *ls, const char *operand, int hex,
    const struct listed *few, struct ge_err *e)
{
	char id[2 * GE_SETID + 1];

	if (few != NULL)
		return (ge_fail(e, GE_EREFUSED, "'%s': only %d of %d sites "
		    "list %s: give the whole id", operand, few->sites,
		    ls->answers + ls->silent, ge_hex(id, few->setid, GE_SETID)));
	if (hex && strlen(operand) < PREFIX_MIN)
		return (ge_fail(e, ls->silent > 0 ? GE_EFAIL : GE_ELOST,
		    "'%s': no such file or label; at least %d digits of a set "
		    "id are wanted", operand, PREFIX_MIN));
	return (ls->silent > 0 ? ge_fail(e, GE_EFAIL, "'%s': no such set; "
	    "%d sites did not answer", operand, ls->silent) :
	    ge_fail(e, GE_ELOST, "'%s': no such file, set or label", operand));
}

/* Among the sets that the sites list. */
static int
find_listed(const struct ge_store *st, const char *operand, int hex,
    struct ge_known *kn, struct ge_err *e)
{
	char one[2 * GE_SETID + 1], two[2 * GE_SETID + 1];
	const struct listed *few = NULL;
	uint8_t id[GE_SETID];
	struct listing ls;
	int begins = 0, found, rc = -1;

	if (list_sets(st, &ls, e) == -1)
		goto out;
	if (hex && strlen(operand) >= PREFIX_MIN && (begins = by_prefix(&ls,
	    operand, id, &few, e)) == -1)
		goto out;
	found = by_label(st, operand, &ls, kn, e);
	if (found == -1 && (begins == 0 || e->code != GE_EFAIL))
		goto out;
	if (found == 1 && begins == 1 && memcmp(id, kn->setid, GE_SETID) != 0) {
		ge_fail(e, GE_EREFUSED, "'%s': the beginning of %s and the "
		    "label of %s: name one by its whole id", operand,
		    ge_hex(one, id, GE_SETID),
		    ge_hex(two, kn->setid, GE_SETID));
		goto out;
	}
	rc = found == 1 ? 0 : begins == 1 ? ge_known_load(st, id, kn, e) :
	    not_found(&ls, operand, hex, few, e);
out:
	ge_free(ls.set);
	return (rc);
}

int
ge_known_find(const struct ge_store *st, const char *operand,
    struct ge_known *kn, struct ge_err *e)
{
	size_t len = strlen(operand);
	uint8_t setid[GE_SETID];
	int hex, rc;

	memset(kn, 0, sizeof(*kn));
	hex = len > 0 && len <= 2 * GE_SETID &&
	    strspn(operand, "0123456789abcdef") == len;
	if ((rc = ge_manifest_named(operand, e)) != 0)
		return (rc == -1 ? -1 : named_file(st, operand, kn, e));
	if (hex && len == 2 * GE_SETID) {
		(void)ge_unhex(setid, operand, GE_SETID);
		rc = ge_known_load(st, setid, kn, e);
		kn->full = 1;
		return (rc);
	}
	return (find_listed(st, operand, hex, kn, e));
}
