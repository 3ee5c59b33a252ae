/*
 * lib/store/rule.c: placements against brute force, never broken over random
 * histories, even within a segment and over many.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/rule_int.h"

#define UNIT "rule"
#include "check.h"

/* n sites, of so many operators and regions (0: one each); random or in turn. */
static void
make(struct ge_sites *s, unsigned int n, unsigned int ops, unsigned int regs,
    int mixed, unsigned int weights)
{
	static char text[1 << 16];
	size_t len = 0;
	unsigned int i;
	struct ge_err e;

	for (i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "s%u file:///s%u operator=o%u region=r%u country=%s "
		    "weight=%u\n", i, i, ops == 0 ? i : mixed ? draw(ops) :
		    i % ops, regs == 0 ? i : mixed ? draw(regs) : i / regs,
		    i % 2 ? "fr" : "de", 1 + i % weights);
	if (ge_sites_parse(s, text, len, &e) == -1) {
		printf("%s\n", e.msg);
		exit(1);
	}
}

/* The rule, in the words of gefrag(5). */
static int
holds(const struct ge_rule *r, const uint64_t *ever, const int16_t *now)
{
	const char *label, *v;
	const struct ge_sites *s = r->sites;
	size_t a, b, l;
	int i, have;
	uint64_t seen;

	for (l = 0; l <= s->ndomains; l++)
		for (a = 0; a < s->n; a++) {
			label = l > 0 ? s->domain[l - 1] : NULL;
			have = 0;
			seen = 0;
			for (b = 0; b < s->n; b++) {
				v = label != NULL ?
				    ge_site_label(&s->site[a], label) : NULL;
				if (v == NULL ? a != b : strcmp(v,
				    ge_site_label(&s->site[b], label)) != 0)
					continue;
				seen |= ever[b];
				for (i = 0; i < r->n; i++)
					if (now[i] == (int)b) {
						have++;
						seen |= (uint64_t)1 << i;
					}
			}
			if (have > r->n - r->k ||
			    (!r->plain && (have > r->k - 1 ||
			    __builtin_popcountll(seen) > r->k - 1)))
				return (0);
		}
	return (1);
}

static int
brute(const struct ge_rule *r, const uint64_t *ever, int16_t *now,
    const uint8_t *barred, int i)
{
	size_t s;
	int rc = 0;

	if (!holds(r, ever, now))
		return (0);
	while (i < r->n && now[i] != -1)
		i++;
	if (i == r->n)
		return (1);
	for (s = 0; s < r->sites->n && !rc; s++) {
		if (!r->usable[s] || barred[s])
			continue;
		now[i] = (int16_t)s;
		rc = brute(r, ever, now, barred, i + 1);
	}
	now[i] = -1;
	return (rc);
}

static void
test_brute(void)
{
	int16_t now[64], was[64];
	uint8_t gone[8], barred[8];
	uint64_t ever[8];
	struct ge_sites s;
	struct ge_rule r;
	struct ge_err e;
	int good = 1, kept = 1, i, k, n, plain, rc, want, yes = 0, no = 0, t;
	unsigned int j, ns;

	for (t = 0; t < 6000; t++) {
		ns = 2 + draw(5);
		n = 2 + (int)draw(5);
		plain = (int)draw(3) == 0;
		k = (plain ? 1 : 2) + (int)draw((unsigned int)n - 1);
		make(&s, ns, 1 + draw(ns), 1 + draw(ns), 1, 2);
		for (j = 0; j < ns; j++) {
			gone[j] = draw(8) == 0;
			barred[j] = draw(8) == 0;
			ever[j] = draw(2) ? 0 : draw(1u << n) & draw(1u << n) &
			    draw(1u << n);
		}
		for (i = 0; i < n; i++)
			was[i] = now[i] = draw(3) ? -1 : draw(4) == 0 ? -2 :
			    (int16_t)draw(ns);
		if (ge_rule_init(&r, &s, gone, k, n, plain, &e) == -1)
			exit(1);
		want = brute(&r, ever, now, barred, 0);
		rc = ge_rule_choose(&r, ever, now, barred, &e);
		if ((rc == 0) != want || (rc == -1 && e.code != GE_EREFUSED)) {
			printf("k %d n %d plain %d sites %u: %d, %d\n", k, n,
			    plain, ns, rc, want);
			good = 0;
		}
		yes += want;
		no += !want;
		for (i = 0; i < n; i++)
			kept &= was[i] != -1 || rc == -1 ? now[i] == was[i] :
			    now[i] >= 0 && r.usable[now[i]] &&
			    !barred[now[i]];
		if (rc == 0)
			good &= holds(&r, ever, now);
		good &= (ge_rule_check(&r, ever, now, &e) == 0) ==
		    holds(&r, ever, now);
		ge_rule_release(&r);
		ge_sites_release(&s);
	}
	check(good && yes > 500 && no > 500,
	    "a placement is found exactly if there is one");
	check(kept, "what has a site keeps it, what is refused is unchanged");
}

/* Sites fail, indices move, segment after segment; nothing ever breaks. */
static void
test_history(void)
{
	uint64_t ever[20], good_mask;
	uint8_t gone[20] = { 0 };
	struct ge_sites s;
	struct ge_rule r;
	struct ge_err e;
	int16_t now[20];
	int good = 1, i, t, step, moves = 0;

	make(&s, 20, 10, 2, 0, 3);
	for (t = 0; t < 200; t++) {
		memset(ever, 0, sizeof(ever));
		for (i = 0; i < 14; i++)
			now[i] = -1;
		if (ge_rule_init(&r, &s, gone, 10, 14, 0, &e) == -1)
			exit(1);
		for (step = 0; step < 30; step++) {
			if (ge_rule_choose(&r, ever, now, NULL, &e) == -1)
				break;
			moves++;
			good &= holds(&r, ever, now) &&
			    ge_rule_check(&r, ever, now, &e) == 0 &&
			    ge_rule_breaker(&r, now) == -1;
			good_mask = (1u << 14) - 1;
			good &= ge_rule_spare(&r, good_mask, now, NULL) >= 1 &&
			    ge_rule_spare(&r, good_mask, now, "region") >= 1;
			for (i = 0; i < 14; i++)
				ever[now[i]] |= (uint64_t)1 << i;
			now[draw(14)] = -1;
			now[draw(14)] = -1;
		}
		ge_rule_release(&r);
	}
	ge_sites_release(&s);
	check(good && moves > 2000, "no history breaks the rule");
}

static void
test_even(void)
{
	static const uint64_t ever[20];
	int16_t now[64], again[64];
	struct ge_sites s;
	struct ge_rule r;
	struct ge_err e;
	double least = 1e9, most = 0;
	int good = 1, i, t, n, ns, count[20], lo, hi;

	make(&s, 12, 0, 0, 0, 3);
	if (ge_rule_init(&r, &s, NULL, 6, 9, 0, &e) == -1)
		exit(1);
	for (t = 0; t < 1000; t++) {
		for (i = 0; i < 9; i++)
			now[i] = -1;
		good &= ge_rule_choose(&r, ever, now, NULL, &e) == 0;
	}
	for (i = 0; i < 12; i++) {
		least = r.load[i] < least ? r.load[i] : least;
		most = r.load[i] > most ? r.load[i] : most;
	}
	ge_rule_release(&r);
	ge_sites_release(&s);
	check(good && most - least <= 2 && least > 373 && most < 377,
	    "a thousand segments go to the sites by their weights");

	for (good = 1, ns = 3; ns <= 20; ns++)
		for (n = 3; n <= 20; n++) {
			make(&s, (unsigned int)ns, 0, 0, 0, 1);
			if (ge_rule_init(&r, &s, NULL, (n + 1) / 2, n, 0,
			    &e) == -1)
				exit(1);
			for (t = 0; t < 5; t++) {
				for (i = 0; i < n; i++)
					now[i] = again[i] = -1;
				memset(count, 0, sizeof(count));
				if (ge_rule_choose(&r, ever, now, NULL, &e) ==
				    -1)
					break;
				for (i = 0; i < n; i++)
					count[now[i]]++;
				lo = hi = count[0];
				for (i = 1; i < ns; i++) {
					lo = count[i] < lo ? count[i] : lo;
					hi = count[i] > hi ? count[i] : hi;
				}
				good &= hi - lo <= 1;
			}
			ge_rule_release(&r);
			ge_sites_release(&s);
		}
	check(good, "a segment is spread evenly");

	/* Two labels that cross, no room to spare. */
	make(&s, 20, 5, 4, 0, 1);
	for (i = 0; i < 64; i++)
		now[i] = again[i] = -1;
	good = ge_rule_init(&r, &s, NULL, 16, 20, 0, &e) == 0 &&
	    ge_rule_possible(&r, &e) == 0 && r.load[0] == 0 &&
	    ge_rule_choose(&r, ever, now, NULL, &e) == 0;
	ge_rule_release(&r);
	good &= ge_rule_init(&r, &s, NULL, 16, 20, 0, &e) == 0 &&
	    ge_rule_choose(&r, ever, again, NULL, &e) == 0 &&
	    memcmp(now, again, sizeof(now)) == 0 && holds(&r, ever, now);
	ge_rule_release(&r);
	ge_sites_release(&s);
	check(good, "a full house, the same twice");
}

static int
says(unsigned int sites, unsigned int ops, int k, int n, int plain,
    const char *want)
{
	struct ge_sites s;
	struct ge_rule r;
	struct ge_err e;
	int good;

	make(&s, sites, ops, 0, 0, 1);
	good = ge_rule_init(&r, &s, NULL, k, n, plain, &e) == 0;
	if (ge_rule_possible(&r, &e) == -1) {
		good &= want != NULL && e.code == GE_EREFUSED &&
		    strcmp(e.msg, want) == 0;
		if (!good)
			printf("%s\n", e.msg);
	} else {
		good &= want == NULL;
	}
	ge_rule_release(&r);
	ge_sites_release(&s);
	return (good);
}

static void
test_words(void)
{
	static const char nk[] =
	    "a set of 5 of 5 cannot be placed: any site lost would lose data";
	static const uint64_t ever[9];
	int16_t now[9] = { 0, 1, 2, 3, 4, 0, 0, 0, -1 };
	struct ge_sites s;
	struct ge_rule r;
	struct ge_err e;
	int good;

	check(says(9, 2, 6, 9, 0, "a set of 6 of 9 needs at least 3 values of "
	    "operator, there are 2") && says(9, 3, 6, 9, 0, NULL) &&
	    says(2, 1, 6, 9, 1, "a set of 6 of 9 needs at least 3 values of "
	    "region, there are 2") && says(9, 9, 5, 5, 0, nk) &&
	    says(9, 9, 5, 5, 1, nk) && says(3, 3, 1, 3, 1, NULL) &&
	    says(9, 9, 2, 9, 0, NULL) && says(8, 8, 2, 9, 0, "a set of 2 of "
	    "9 needs at least 9 values of region, there are 8"),
	    "what would be needed is said");
	make(&s, 9, 0, 0, 0, 1);
	good = ge_rule_init(&r, &s, NULL, 6, 9, 0, &e) == 0 &&
	    ge_rule_check(&r, ever, now, &e) == -1 &&
	    strcmp(e.msg, "site 's0' has 4 fragments of a segment, 3 are "
	    "allowed") == 0 && ge_rule_breaker(&r, now) == 7;
	now[7] = 1;
	good &= ge_rule_breaker(&r, now) == -1 &&
	    ge_rule_spare(&r, 0xff, now, NULL) == 0 &&
	    ge_rule_spare(&r, 0x1f, now, NULL) == -1;
	now[7] = 5;
	now[6] = 6;
	now[5] = 7;
	now[8] = 8;
	good &= ge_rule_spare(&r, 0x1ff, now, NULL) == 3 &&
	    ge_rule_spare(&r, 0x1ff, now, "country") == 0;
	ge_rule_release(&r);
	ge_sites_release(&s);
	check(good, "which domain has too much, and what may still vanish");
}

/* One of three sites of an operator says that it has had more than all may. */
static void
test_believe(void)
{
	uint64_t ever[9] = { [6] = 0x100 };
	uint64_t claim[9] = { 0x7f, 0x1f, 0, 0x103 };
	static const uint64_t want[9] = { 0xf, 0x1f, 0, 0x103, 0, 0, 0x100 };
	uint8_t over[9] = { [1] = 2 };
	int16_t now[9];
	struct ge_sites s;
	struct ge_rule r;
	struct ge_err e;
	int i, good;

	for (i = 0; i < 9; i++)
		now[i] = -2;
	make(&s, 9, 3, 0, 0, 1);
	good = ge_rule_init(&r, &s, NULL, 6, 9, 0, &e) == 0 &&
	    ge_rule_believe(&r, ever, claim, now, over, &e) == 0 &&
	    memcmp(ever, want, sizeof(ever)) == 0 && claim[0] == 0xf &&
	    claim[1] == 0x1f && claim[3] == 0x103 && over[0] == 1 &&
	    over[1] == 2 && over[3] == 0 &&
	    ge_rule_check(&r, ever, now, &e) == 0;
	/* Nothing new, nothing to ask. */
	over[0] = 0;
	good &= ge_rule_believe(&r, ever, claim, now, over, &e) == 0 &&
	    memcmp(ever, want, sizeof(ever)) == 0 && over[0] == 0;
	ge_rule_release(&r);
	ge_sites_release(&s);
	check(good, "who says to have had too much is believed up to the rule");
}

/* What a refusal says of a sites file of which not all sites count. */
static void
refusal(const char *text, const uint8_t *gone, const uint64_t *ever,
    const uint8_t *barred, const char *want)
{
	int16_t now[9];
	struct ge_sites s;
	struct ge_rule r;
	struct ge_err e;
	int i;

	for (i = 0; i < 9; i++)
		now[i] = i < 6 && ever != NULL ? (int16_t)(i / 3) : -1;
	if (ge_sites_parse(&s, text, strlen(text), &e) == -1 ||
	    ge_rule_init(&r, &s, gone, 6, 9, 0, &e) == -1 ||
	    ge_rule_choose(&r, ever, now, barred, &e) == 0 ||
	    strcmp(e.msg, want) != 0) {
		printf("%s\n", e.msg);
		check(0, want);
	}
	ge_rule_release(&r);
	ge_sites_release(&s);
}

static void
test_refusals(void)
{
	static const char four[] = ".within fr\n"
	    "a file:///a operator=x region=r1 country=fr\n"
	    "b file:///b operator=y region=r2 country=fr weight=0\n"
	    "c file:///c operator=z region=r3 country=de\n"
	    "d file:///d operator=u region=r4 country=fr\n";
	static const char three[] =
	    "a file:///a operator=x region=r1 country=fr\n"
	    "b file:///b operator=y region=r2 country=fr\n"
	    "c file:///c operator=z region=r3 country=fr\n";
	static const uint8_t gone[] = { 0, 0, 0, 1 };
	static const uint8_t barred[] = { 0, 0, 0, 1 };
	static const uint64_t ever[] = { 7, 7 << 3, 0x1f };

	refusal(four, gone, NULL, NULL, "a set of 6 of 9 needs at least 3 "
	    "values of region, there is 1; sites not counted: 1 of weight 0, "
	    "1 outside .within, 1 treated as gone");
	refusal(four, NULL, NULL, barred, "a set of 6 of 9 needs at least 3 "
	    "values of region, there is 1; sites not counted: 1 of weight 0, "
	    "1 outside .within, 1 that cannot be used now");
	/* Three of the domains are there; one has had too much. */
	refusal(three, NULL, ever, NULL, "a set of 6 of 9 needs at least 1 "
	    "more value of region: 3 of 9 fragments of a segment, there is "
	    "room for 0, each may have 3, 5 over time");
	check(!bad, "a refusal says which label is short, and what does not "
	    "count");
}

int
main(void)
{

	test_brute();
	test_history();
	test_even();
	test_words();
	test_believe();
	test_refusals();
	return (bad);
}
