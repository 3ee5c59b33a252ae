#include <stdio.h>
#include <string.h>

#include "store/rule_int.h"
#include "util/mem.h"

enum {
	INDICES = 64,
	SEARCH = 4 << 20	/* sites looked at before a search gives up */
};

/* A segment under way. */
struct state {
	const struct ge_rule *r;
	size_t nsites;
	uint64_t *seen;		/* [ndomains] indices that it has ever had */
	int *have;		/* [ndomains] indices that it has now */
	int *sum;		/* [ndomains] scratch of room, zero */
	int *given;		/* [nsites] indices given to it here */
	int *low, *high;	/* [nsites] its fair share, rounded down and up */
	uint8_t *open;		/* [nsites] may take an index of this segment */
	uint8_t *tried;		/* [nsites] */
	int todo[INDICES];	/* indices to be placed, those with a history */
	int ntodo, nold;	/* first: nold of them */
	int site[INDICES];	/* of todo[] */
	long budget;
};

static int
bits(uint64_t v)
{

	return (__builtin_popcountll(v));
}

static const uint32_t *
domains_of(const struct ge_rule *r, size_t site)
{

	return (r->of + site * r->persite);
}

int
ge_rule_within(const struct ge_sites *sites, const struct ge_site *t)
{
	const char *c = ge_site_label(t, "country");
	size_t i;

	for (i = 0; i < sites->nwithin; i++)
		if (c != NULL && strcmp(c, sites->within[i]) == 0)
			return (1);
	return (sites->nwithin == 0);
}

/* The domain of this label and value, a new one if need be. */
static uint32_t
domain_of(struct ge_rule *r, size_t first, const char *label,
    const char *value)
{
	size_t d;

	for (d = first; d < r->ndomains; d++)
		if (strcmp(r->domain[d].value, value) == 0)
			return ((uint32_t)d);
	r->domain[d].label = label;
	r->domain[d].value = value;
	r->ndomains++;
	return ((uint32_t)d);
}

int
ge_rule_init(struct ge_rule *r, const struct ge_sites *sites,
    const uint8_t *gone, int k, int n, int plain, struct ge_err *e)
{
	size_t s, l, first;
	const char *value;
	const struct ge_site *t;

	memset(r, 0, sizeof(*r));
	r->sites = sites;
	r->k = k;
	r->n = n;
	r->plain = plain;
	r->now_max = !plain && k - 1 < n - k ? k - 1 : n - k;
	r->ever_max = plain ? n : k - 1;
	r->persite = 1 + sites->ndomains;
	if ((r->domain = ge_alloc(sites->n * r->persite * sizeof(*r->domain),
	    e)) == NULL ||
	    (r->of = ge_alloc(sites->n * r->persite * sizeof(*r->of), e)) ==
	    NULL || (r->usable = ge_alloc(sites->n, e)) == NULL ||
	    (r->load = ge_alloc(sites->n * sizeof(*r->load), e)) == NULL)
		return (-1);
	/* Site s is domain s. */
	for (s = 0; s < sites->n; s++) {
		t = &sites->site[s];
		r->usable[s] = t->weight > 0 && ge_rule_within(sites, t) &&
		    (gone == NULL || !gone[s]);
		r->domain[s].label = "site";
		r->domain[s].value = t->name;
		r->domain[s].nsites = r->usable[s];
		r->of[s * r->persite] = (uint32_t)s;
	}
	r->ndomains = sites->n;
	for (l = 0; l < sites->ndomains; l++) {
		first = r->ndomains;
		for (s = 0; s < sites->n; s++) {
			uint32_t *d = &r->of[s * r->persite + 1 + l];

			t = &sites->site[s];
			value = ge_site_label(t, sites->domain[l]);
			if (value == NULL)
				return (ge_fail(e, GE_EUSAGE,
				    "site '%s' lacks %s", t->name,
				    sites->domain[l]));
			*d = domain_of(r, first, sites->domain[l], value);
			r->domain[*d].nsites += r->usable[s];
		}
	}
	return (0);
}

void
ge_rule_release(struct ge_rule *r)
{

	ge_free(r->domain);
	ge_free(r->of);
	ge_free(r->usable);
	ge_free(r->load);
	memset(r, 0, sizeof(*r));
}

static void
state_release(struct state *st)
{

	ge_free(st->seen);
	ge_free(st->have);
	ge_free(st->sum);
	ge_free(st->given);
	ge_free(st->low);
	ge_free(st->high);
	ge_free(st->open);
	ge_free(st->tried);
}

/* Put index i at site s; return in which of its domains that is a first. */
static uint32_t
put(struct state *st, int i, size_t s)
{
	const uint32_t *d = domains_of(st->r, s);
	uint64_t bit = (uint64_t)1 << i;
	uint32_t first = 0;
	size_t l;

	for (l = 0; l < st->r->persite; l++) {
		if ((st->seen[d[l]] & bit) == 0)
			first |= (uint32_t)1 << l;
		st->seen[d[l]] |= bit;
		st->have[d[l]]++;
	}
	st->given[s]++;
	return (first);
}

static void
take(struct state *st, int i, size_t s, uint32_t first)
{
	const uint32_t *d = domains_of(st->r, s);
	size_t l;

	for (l = 0; l < st->r->persite; l++) {
		if (first & (uint32_t)1 << l)
			st->seen[d[l]] &= ~((uint64_t)1 << i);
		st->have[d[l]]--;
	}
	st->given[s]--;
}

static int
may(const struct state *st, int i, size_t s)
{
	const uint32_t *d = domains_of(st->r, s);
	size_t l;

	if (!st->open[s])
		return (0);
	for (l = 0; l < st->r->persite; l++)
		if (st->have[d[l]] >= st->r->now_max ||
		    ((st->seen[d[l]] >> i & 1) == 0 &&
		    bits(st->seen[d[l]]) >= st->r->ever_max))
			return (0);
	return (1);
}

/*
 * The share of each open site by its weight, none above what a site may have:
 * what those lose the others get.
 */
static void
fair_shares(struct state *st, int n)
{
	const struct ge_site *site = st->r->sites->site;
	double weight, rest, q;
	int again = 1;
	size_t s;

	for (s = 0; s < st->nsites; s++)
		st->low[s] = -1;
	while (again) {
		weight = 0;
		rest = n;
		again = 0;
		for (s = 0; s < st->nsites; s++) {
			if (!st->open[s])
				continue;
			if (st->low[s] == -1)
				weight += site[s].weight;
			else
				rest -= st->r->now_max;
		}
		for (s = 0; s < st->nsites; s++) {
			if (!st->open[s] || st->low[s] != -1)
				continue;
			q = rest > 0 ? rest * site[s].weight / weight : 0;
			if (q < st->r->now_max)
				continue;
			st->low[s] = st->high[s] = st->r->now_max;
			again = 1;
		}
	}
	for (s = 0; s < st->nsites; s++) {
		if (st->low[s] != -1)
			continue;
		q = st->open[s] && rest > 0 ?
		    rest * site[s].weight / weight : 0;
		st->low[s] = (int)(q + 1e-9);
		st->high[s] = st->low[s] + (q - st->low[s] > 1e-9);
	}
}

static int
state_init(struct state *st, const struct ge_rule *r, const uint64_t *ever,
    const int16_t *now, const uint8_t *barred, struct ge_err *e)
{
	size_t s, l, nsites = r->sites->n;
	int i, old, pass, shared = 0;
	uint64_t before = 0;

	memset(st, 0, sizeof(*st));
	st->r = r;
	st->nsites = nsites;
	st->budget = SEARCH;
	if ((st->seen = ge_alloc(r->ndomains * sizeof(*st->seen), e)) ==
	    NULL ||
	    (st->have = ge_alloc(r->ndomains * sizeof(*st->have), e)) ==
	    NULL ||
	    (st->sum = ge_alloc(r->ndomains * sizeof(*st->sum), e)) == NULL ||
	    (st->given = ge_alloc(nsites * sizeof(*st->given), e)) == NULL ||
	    (st->low = ge_alloc(nsites * sizeof(*st->low), e)) == NULL ||
	    (st->high = ge_alloc(nsites * sizeof(*st->high), e)) == NULL ||
	    (st->open = ge_alloc(nsites, e)) == NULL ||
	    (st->tried = ge_alloc(nsites, e)) == NULL)
		return (-1);
	for (s = 0; s < nsites; s++) {
		st->open[s] = r->usable[s] && (barred == NULL || !barred[s]);
		if (ever == NULL || r->plain)
			continue;
		before |= ever[s];
		for (l = 0; l < r->persite; l++)
			st->seen[domains_of(r, s)[l]] |= ever[s];
	}
	for (i = 0; i < r->n; i++) {
		if (now[i] < 0)
			continue;
		put(st, i, (size_t)now[i]);
		shared += st->open[now[i]];
	}
	memset(st->given, 0, nsites * sizeof(*st->given));
	for (pass = 1; pass >= 0; pass--)
		for (i = 0; i < r->n; i++) {
			old = (int)(before >> i & 1);
			if (now[i] != -1 || old != pass)
				continue;
			st->nold += old;
			st->todo[st->ntodo++] = i;
		}
	fair_shares(st, st->ntodo + shared);
	return (0);
}

static int
state_check(const struct state *st, struct ge_err *e)
{
	const struct ge_rule *r = st->r;
	size_t d;

	for (d = 0; d < r->ndomains; d++) {
		if (st->have[d] > r->now_max)
			return (ge_fail(e, GE_EREFUSED, "%s '%s' has %d "
			    "fragments of a segment, %d are allowed",
			    r->domain[d].label, r->domain[d].value,
			    st->have[d], r->now_max));
		if (bits(st->seen[d]) > r->ever_max)
			return (ge_fail(e, GE_EREFUSED, "%s '%s' has had %d "
			    "fragments of a segment, %d are allowed",
			    r->domain[d].label, r->domain[d].value,
			    bits(st->seen[d]), r->ever_max));
	}
	return (0);
}

/*
 * Is a better than b for index i?  First what is below its fair share of the
 * segment; then where the index adds least to what a domain has ever seen; then
 * the least load.
 */
static int
better(const struct state *st, int i, size_t a, size_t b)
{
	size_t s[2] = { a, b }, l;
	int excess[2], fresh[2], j;
	double load[2];

	for (j = 0; j < 2; j++) {
		int have = st->have[s[j]];

		excess[j] = have < st->low[s[j]] ? 0 :
		    have < st->high[s[j]] ? 1 : 2 + have - st->high[s[j]];
		fresh[j] = 0;
		for (l = 0; l < st->r->persite; l++)
			fresh[j] += (st->seen[domains_of(st->r, s[j])[l]] >>
			    i & 1) == 0;
		load[j] = st->r->load[s[j]] + (st->given[s[j]] + 1) /
		    st->r->sites->site[s[j]].weight;
	}
	if (excess[0] != excess[1])
		return (excess[0] < excess[1]);
	if (fresh[0] != fresh[1])
		return (fresh[0] < fresh[1]);
	return (load[0] < load[1]);
}

/* The best site for index i that is not tried, or -1. */
static int
best(const struct state *st, int i)
{
	int b = -1;
	size_t s;

	for (s = 0; s < st->nsites; s++)
		if (!st->tried[s] && may(st, i, s) &&
		    (b == -1 || better(st, i, s, (size_t)b)))
			b = (int)s;
	return (b);
}

/* One index after another to the best site: nearly always that will do. */
static int
greedy(struct state *st)
{
	uint32_t first[INDICES];
	int j;

	for (j = 0; j < st->ntodo; j++) {
		if ((st->site[j] = best(st, st->todo[j])) == -1)
			break;
		first[j] = put(st, st->todo[j], (size_t)st->site[j]);
	}
	if (j == st->ntodo)
		return (1);
	while (j-- > 0)
		take(st, st->todo[j], (size_t)st->site[j], first[j]);
	return (0);
}

static int
slack(const struct state *st, uint32_t d, int fresh)
{
	int a = st->r->now_max - st->have[d];
	int b = st->r->ever_max - bits(st->seen[d]);

	return (fresh && b < a ? b : a);
}

/*
 * How many more fit at sites from..., of all labels only the l-th looked at?  Fresh
 * indices count in the history of every domain.
 */
static int
room(struct state *st, size_t from, int fresh, size_t l)
{
	const struct ge_rule *r = st->r;
	const uint32_t *d;
	int total = 0, most, rest;
	size_t m, s;

	for (s = from; s < st->nsites; s++) {
		if (!st->open[s])
			continue;
		d = domains_of(r, s);
		rest = slack(st, d[l], fresh) - st->sum[d[l]];
		for (m = 0; m < r->persite; m++)
			if ((most = slack(st, d[m], fresh)) < rest)
				rest = most;
		if (rest > 0) {
			st->sum[d[l]] += rest;
			total += rest;
		}
	}
	for (s = from; s < st->nsites; s++)
		st->sum[domains_of(r, s)[l]] = 0;
	return (total);
}

static int
may_fit(struct state *st, int count, size_t from, int fresh)
{
	size_t l;

	for (l = 0; l < st->r->persite; l++)
		if (room(st, from, fresh, l) < count)
			return (0);
	return (1);
}

/* Does it make no difference which of two indices is where? */
static int
alike(const struct state *st, int j, int i)
{
	size_t s;

	if (j >= st->nold && i >= st->nold)
		return (1);
	if (j >= st->nold || i >= st->nold)
		return (0);
	for (s = 0; s < st->r->ndomains; s++)
		if ((st->seen[s] >> st->todo[j] & 1) !=
		    (st->seen[s] >> st->todo[i] & 1))
			return (0);
	return (1);
}

/*
 * Find sites for todo[j...], any that keep the rule: 1, 0 if there are none, -1
 * if the budget is spent.  Of indices that are alike the later goes to no
 * earlier site.
 */
static int
search(struct state *st, int j, size_t from, int *site)
{
	int i, rc, same;
	uint32_t first;
	size_t s;

	if (j == st->ntodo)
		return (1);
	if ((st->budget -= (long)st->nsites) < 0)
		return (-1);
	if (!may_fit(st, st->ntodo - j, j >= st->nold ? from : 0,
	    j >= st->nold))
		return (0);
	i = st->todo[j];
	same = j + 1 < st->ntodo && alike(st, j, j + 1);
	for (s = from; s < st->nsites; s++) {
		if (!may(st, i, s))
			continue;
		first = put(st, i, s);
		site[j] = (int)s;
		rc = search(st, j + 1, same ? s : 0, site);
		take(st, i, s, first);
		if (rc != 0)
			return (rc);
	}
	return (0);
}

/*
 * As greedy, but an index goes only where the rest can still be placed.  A whole
 * placement is at hand at every moment, so this cannot fail once begun.
 */
static int
careful(struct state *st)
{
	int other[INDICES], j, s, rc;
	uint32_t first;

	if ((rc = search(st, 0, 0, st->site)) != 1)
		return (rc);
	for (j = 0; j < st->ntodo; j++) {
		memset(st->tried, 0, st->nsites);
		while ((s = best(st, st->todo[j])) != -1 && s != st->site[j]) {
			st->tried[s] = 1;
			first = put(st, st->todo[j], (size_t)s);
			if (search(st, j + 1, 0, other) == 1) {
				memcpy(st->site + j + 1, other + j + 1,
				    (size_t)(st->ntodo - j - 1) *
				    sizeof(other[0]));
				st->site[j] = s;
				take(st, st->todo[j], (size_t)s, first);
				break;
			}
			take(st, st->todo[j], (size_t)s, first);
		}
		put(st, st->todo[j], (size_t)st->site[j]);
	}
	return (1);
}

/* Domains of the l-th label with a site that is open. */
static int
open_domains(const struct state *st, size_t l)
{
	const struct ge_rule *r = st->r;
	size_t s, o;
	int n = 0;

	for (s = 0; s < st->nsites; s++) {
		if (!st->open[s])
			continue;
		for (o = 0; o < s; o++)
			if (st->open[o] && domains_of(r, o)[l] ==
			    domains_of(r, s)[l])
				break;
		n += o == s;
	}
	return (n);
}

/* "sites", "values of operator". */
static const char *
things(const struct state *st, size_t l, int n, char buf[128])
{

	if (l == 0)
		snprintf(buf, 128, "site%s", n == 1 ? "" : "s");
	else
		snprintf(buf, 128, "value%s of %.100s", n == 1 ? "" : "s",
		    st->r->sites->domain[l - 1]);
	return (buf);
}

/* What has no part in it, so that it can be changed: "; not counted: ...". */
static const char *
left_out(const struct state *st, char buf[128])
{
	static const char *const why[] = { "of weight 0", "outside .within",
	    "treated as gone", "that cannot be used now" };
	const struct ge_sites *sites = st->r->sites;
	int count[4] = { 0 };
	size_t s, i, len = 0;

	for (s = 0; s < st->nsites; s++)
		if (!st->open[s])
			count[!(sites->site[s].weight > 0) ? 0 :
			    !ge_rule_within(sites, &sites->site[s]) ? 1 :
			    !st->r->usable[s] ? 2 : 3]++;
	buf[0] = '\0';
	for (i = 0; i < 4; i++)
		if (count[i] > 0)
			len += (size_t)snprintf(buf + len, 128 - len,
			    "%s%d %s", len == 0 ? "; sites not counted: " :
			    ", ", count[i], why[i]);
	return (buf);
}

/* Why there is no placement, as far as counting tells, and what it would take. */
static int
refuse(struct state *st, struct ge_err *e)
{
	const struct ge_rule *r = st->r;
	char what[128], rest[128], ever[32] = "";
	int need, there, fit, more;
	size_t l;

	if (r->now_max == 0)
		return (ge_fail(e, GE_EREFUSED, "a set of %d of %d cannot be "
		    "placed: any site lost would lose data", r->k, r->n));
	(void)left_out(st, rest);
	need = (r->n + r->now_max - 1) / r->now_max;
	for (l = r->persite; l-- > 0;)
		if ((there = open_domains(st, l)) < need)
			return (ge_fail(e, GE_EREFUSED, "a set of %d of %d "
			    "needs at least %d %s, there %s %d%s", r->k, r->n,
			    need, things(st, l, need, what), there == 1 ?
			    "is" : "are", there, rest));
	if (!r->plain)
		snprintf(ever, sizeof(ever), ", %d over time", r->ever_max);
	for (l = r->persite; l-- > 0;) {
		fit = room(st, 0, st->nold == 0, l);
		if (fit >= st->ntodo)
			continue;
		more = (st->ntodo - fit + r->now_max - 1) / r->now_max;
		return (ge_fail(e, GE_EREFUSED, "a set of %d of %d needs at "
		    "least %d more %s: %d of %d fragments of a segment, there "
		    "is room for %d, each may have %d%s%s", r->k, r->n, more,
		    things(st, l, more, what), st->ntodo, r->n, fit,
		    r->now_max, ever, rest));
	}
	return (ge_fail(e, GE_EREFUSED, "a set of %d of %d needs more sites of "
	    "other domains: no choice of them for %d fragments of a segment "
	    "leaves each domain at most %d%s%s", r->k, r->n, st->ntodo,
	    r->now_max, ever, rest));
}

static int
choose(struct state *st, struct ge_err *e)
{

	if (st->r->now_max == 0 && st->ntodo > 0)
		return (refuse(st, e));
	if (state_check(st, e) == -1)
		return (-1);
	if (!greedy(st) && careful(st) != 1)
		return (refuse(st, e));
	return (0);
}

int
ge_rule_choose(struct ge_rule *r, const uint64_t *ever, int16_t *now,
    const uint8_t *barred, struct ge_err *e)
{
	struct state st;
	int j, s, rc = -1;

	if (state_init(&st, r, ever, now, barred, e) == -1 ||
	    choose(&st, e) == -1)
		goto out;
	for (j = 0; j < st.ntodo; j++) {
		s = st.site[j];
		now[st.todo[j]] = (int16_t)s;
		r->load[s] += 1 / r->sites->site[s].weight;
	}
	rc = 0;
out:
	state_release(&st);
	return (rc);
}

int
ge_rule_check(const struct ge_rule *r, const uint64_t *ever,
    const int16_t *now, struct ge_err *e)
{
	struct state st;
	int rc = -1;

	if (state_init(&st, r, ever, now, NULL, e) == 0)
		rc = state_check(&st, e);
	state_release(&st);
	return (rc);
}

/* Is there room in ever for more at site s?  1: then it is in it; 0; -1. */
static int
admit(const struct ge_rule *r, uint64_t *ever, size_t s, uint64_t more,
    const int16_t *now, struct ge_err *e)
{
	uint64_t before = ever[s];

	ever[s] |= more;
	if (ge_rule_check(r, ever, now, e) == 0)
		return (1);
	ever[s] = before;
	return (e->code == GE_EREFUSED ? 0 : -1);
}

/* Of each site all or, if some is too much, as many as there is room for. */
static int
admit_each(const struct ge_rule *r, uint64_t *ever, uint64_t *claim,
    const int16_t *now, uint8_t *over, struct ge_err *e)
{
	uint64_t bit;
	size_t s, n = r->sites->n;
	int i, rc;

	for (s = 0; s < n; s++)
		if ((claim[s] & ~ever[s]) != 0 &&
		    admit(r, ever, s, claim[s], now, e) == -1)
			return (-1);
	for (s = 0; s < n; s++)
		for (i = 0; (claim[s] & ~ever[s]) != 0 && i < r->n; i++) {
			bit = (uint64_t)1 << i;
			if ((claim[s] & ~ever[s] & bit) == 0)
				continue;
			if ((rc = admit(r, ever, s, bit, now, e)) == -1)
				return (-1);
			if (rc == 0) {
				claim[s] &= ~bit;
				over[s] |= 1;
			}
		}
	return (0);
}

int
ge_rule_believe(const struct ge_rule *r, uint64_t *ever, uint64_t *claim,
    const int16_t *now, uint8_t *over, struct ge_err *e)
{
	uint64_t *all, more = 0;
	size_t s, n = r->sites->n;
	int rc = -1;

	for (s = 0; s < n; s++)
		more |= claim[s] & ~ever[s];
	if (more == 0)
		return (0);
	if ((all = ge_alloc(n * sizeof(*all), e)) == NULL)
		return (-1);
	for (s = 0; s < n; s++)
		all[s] = ever[s] | claim[s];
	if (ge_rule_check(r, all, now, e) == 0) {
		memcpy(ever, all, n * sizeof(*all));
		rc = 0;
	} else if (e->code == GE_EREFUSED) {
		rc = admit_each(r, ever, claim, now, over, e);
	}
	ge_free(all);
	return (rc);
}

int
ge_rule_breaker(const struct ge_rule *r, const int16_t *now)
{
	int count, i, last;
	size_t d, l;

	for (d = 0; d < r->ndomains; d++) {
		count = 0;
		last = -1;
		for (i = 0; i < r->n; i++) {
			if (now[i] < 0)
				continue;
			for (l = 0; l < r->persite; l++)
				if (domains_of(r, (size_t)now[i])[l] == d)
					break;
			if (l == r->persite)
				continue;
			count++;
			last = i;
		}
		if (count > r->now_max)
			return (last);
	}
	return (-1);
}

int
ge_rule_possible(struct ge_rule *r, struct ge_err *e)
{
	int16_t now[INDICES];
	struct state st;
	int i, rc = -1;

	for (i = 0; i < r->n; i++)
		now[i] = -1;
	if (state_init(&st, r, NULL, now, NULL, e) == 0)
		rc = choose(&st, e);
	state_release(&st);
	return (rc);
}

/* The value of a label at a site; NULL is the site itself. */
static const char *
value_of(const struct ge_rule *r, int site, const char *label)
{
	const struct ge_site *t = &r->sites->site[site];
	const char *v = label != NULL ? ge_site_label(t, label) : NULL;

	return (v != NULL ? v : t->name);
}

int
ge_rule_spare(const struct ge_rule *r, uint64_t good, const int16_t *now,
    const char *label)
{
	const char *value[INDICES];
	int count[INDICES], nvalues = 0, left = 0, i, v, most, spare = 0;

	for (i = 0; i < r->n; i++) {
		const char *own;

		if ((good >> i & 1) == 0 || now[i] < 0)
			continue;
		left++;
		own = value_of(r, now[i], label);
		for (v = 0; v < nvalues; v++)
			if (strcmp(value[v], own) == 0)
				break;
		if (v == nvalues) {
			value[nvalues] = own;
			count[nvalues++] = 0;
		}
		count[v]++;
	}
	if (left < r->k)
		return (-1);
	for (;; spare++) {
		for (most = 0, v = 1; v < nvalues; v++)
			if (count[v] > count[most])
				most = v;
		if ((left -= count[most]) < r->k)
			return (spare);
		count[most] = 0;
	}
}
