#include <inttypes.h>
#include <string.h>

#include "store/push_int.h"
#include "util/hook.h"

/*
 * What was before a push: the manifest at the sites, what they list, and what this
 * machine has sent.
 */

/* What was sent of a segment in an epoch, as manifest and journal tell it. */
static void
told(struct push *pu, uint32_t s, int epoch)
{

	if (pu->mapped)
		ge_map_ever(&pu->map, s, epoch, pu->ever);
	else
		memset(pu->ever, 0, pu->st->sites->n * sizeof(*pu->ever));
	ge_past_ever(&pu->past, s, epoch, pu->ever);
}

/* What each site may have had of a segment in an epoch: into pu->ever. */
static void
history(struct push *pu, uint32_t s, int epoch)
{
	const struct ge_seen *seen;
	size_t n;
	int i;

	told(pu, s, epoch);
	for (i = 0; i < pu->h.n && pu->sv.nseen > 0; i++)
		for (seen = ge_survey_find(&pu->sv, s, i, &n); n > 0;
		    seen++, n--)
			if (seen->epoch == epoch)
				pu->ever[seen->site] |= (uint64_t)1 << i;
}

void
push_history(struct push *pu, const struct segment *seg, uint32_t s)
{
	uint32_t f;
	size_t i;

	history(pu, s, seg->epoch);
	for (i = 0; i < pu->st->sites->n; i++)
		pu->bar[i] = pu->barred[i] | pu->shut[i];
	for (f = seg->fail; f != 0; f = pu->fail[f - 1].before)
		pu->bar[pu->fail[f - 1].site] = 1;
}

int
push_told(const struct push *pu, const struct segment *seg, uint32_t s,
    int index, int16_t *site, int max)
{
	const struct ge_seen *seen;
	size_t nseen;
	int n = 0, at = -1;

	if (pu->mapped && s < pu->map.nsegs && pu->map.epoch[s] == seg->epoch)
		at = pu->map.at[(size_t)s * (size_t)pu->map.n + (size_t)index];
	if (at != -1 && !pu->st->gone[at] && !pu->barred[at])
		site[n++] = (int16_t)at;
	for (seen = ge_survey_find(&pu->sv, s, index, &nseen); nseen > 0 &&
	    n < max; seen++, nseen--)
		if (seen->epoch == seg->epoch && seen->site != at &&
		    !pu->barred[seen->site])
			site[n++] = seen->site;
	return (n);
}

int
push_expected(const struct push *pu, const struct segment *seg, uint32_t s,
    int index, int16_t *site, int max)
{
	int n = push_told(pu, seg, s, index, site, max), told = n, i;
	size_t at;

	for (at = 0; at < pu->st->sites->n && n < max && pu->past.n > 0; at++) {
		for (i = 0; i < told && site[i] != (int16_t)at; i++)
			;
		if (i == told && !pu->barred[at] && ge_past_has(&pu->past, s,
		    index, seg->epoch, (int)at))
			site[n++] = (int16_t)at;
	}
	return (n);
}

int
push_untellable(const struct push *pu, const struct segment *seg, uint32_t s,
    int index, int site, struct ge_err *e)
{
	const struct ge_map *map = &pu->map;

	/* A few sites may have invented that it was signed. */
	if (pu->st->signkey != NULL || !pu->mapped || pu->kn.m.nsigners == 0 ||
	    !pu->kn.credible)
		return (0);
	if (s < map->nsegs && map->epoch[s] == seg->epoch &&
	    map->at[(size_t)s * (size_t)map->n + (size_t)index] == site)
		return (0);
	return (ge_fail(e, GE_EREFUSED, "fragments need other places, and the "
	    "manifest that tells so must be signed: give the key with -S"));
}

static int
epoch_of(const struct push *pu, uint32_t s)
{

	return (pu->mapped && s < pu->map.nsegs ? pu->map.epoch[s] :
	    pu->h.epoch);
}

static void
nowhere_yet(const struct push *pu, int16_t *now)
{
	int i;

	for (i = 0; i < pu->h.n; i++)
		now[i] = NO_SITE;
}

/* Of these names of a segment, those of an epoch: what is too much has no site. */
static int
weigh_epoch(struct push *pu, struct ge_seen *seen, size_t n, int epoch,
    struct ge_err *e)
{
	int16_t nowhere[GE_N_MAX];
	struct ge_err why;
	size_t i;

	nowhere_yet(pu, nowhere);
	told(pu, seen->segment, epoch);
	/* Then nothing of it is sent, whoever says what. */
	if (ge_rule_check(&pu->rule, pu->ever, nowhere, &why) == -1)
		return (0);
	memset(pu->claim, 0, pu->st->sites->n * sizeof(*pu->claim));
	for (i = 0; i < n; i++)
		if (seen[i].epoch == epoch && seen[i].index < pu->h.n)
			pu->claim[seen[i].site] |= (uint64_t)1 << seen[i].index;
	if (ge_rule_believe(&pu->rule, pu->ever, pu->claim, nowhere, pu->over,
	    e) == -1)
		return (-1);
	for (i = 0; i < n; i++)
		if (seen[i].epoch == epoch && seen[i].index < pu->h.n &&
		    (pu->claim[seen[i].site] >> seen[i].index & 1) == 0)
			seen[i].site = NO_SITE;
	return (0);
}

static int
weigh_segment(struct push *pu, struct ge_seen *seen, size_t n,
    struct ge_err *e)
{
	uint8_t has[256] = { 0 };
	size_t i;
	int epoch;

	for (i = 0; i < n; i++)
		has[seen[i].epoch] = 1;
	for (epoch = 0; epoch < 256; epoch++)
		if (has[epoch] && weigh_epoch(pu, seen, n, epoch, e) == -1)
			return (-1);
	return (0);
}

/*
 * What a site lists is its own word: if that is more than the rule bears, it gets
 * nothing more, the rest of it is passed over, and nobody else is hindered.
 */
static int
weigh_lists(struct push *pu, struct ge_err *e)
{
	struct ge_seen *v = pu->sv.seen;
	size_t i, j, n = 0;

	for (i = 0; i < pu->sv.nseen; i = j) {
		for (j = i; j < pu->sv.nseen && v[j].segment == v[i].segment;
		    j++)
			;
		if (weigh_segment(pu, v + i, j - i, e) == -1)
			return (-1);
	}
	for (i = 0; i < pu->sv.nseen; i++)
		if (v[i].site != NO_SITE)
			v[n++] = v[i];
	pu->sv.nseen = n;
	for (i = 0; i < pu->st->sites->n; i++) {
		if (!pu->over[i])
			continue;
		pu->shut[i] = 1;
		ge_note(GE_WARN, "nothing new goes to site '%s': it lists more "
		    "of a segment than the placement rule bears",
		    pu->st->sites->site[i].name);
	}
	return (0);
}

/* Has no domain had enough of this segment to read it?  0, -1. */
static int
unbroken(struct push *pu, uint32_t s, struct ge_err *e)
{
	int16_t nowhere[GE_N_MAX];

	nowhere_yet(pu, nowhere);
	history(pu, s, epoch_of(pu, s));
	if (ge_rule_check(&pu->rule, pu->ever, nowhere, e) == 0)
		return (0);
	ge_within(e, "segment %" PRIu32, s);
	if (e->code == GE_EREFUSED)
		ge_within(e, "make a new set: the past of this one breaks the "
		    "placement rule");
	return (-1);
}

/* Nothing leaves for a set of which some domain can read a segment already. */
static int
all_unbroken(struct push *pu, struct ge_err *e)
{
	const struct ge_survey *sv = &pu->sv;
	size_t i;

	for (i = 0; pu->mapped && i < pu->map.nsegs; i++)
		if (unbroken(pu, (uint32_t)i, e) == -1)
			return (-1);
	for (i = 0; i < sv->nseen; i++)
		if ((i == 0 || sv->seen[i].segment != sv->seen[i -
		    1].segment) && unbroken(pu, sv->seen[i].segment, e) == -1)
			return (-1);
	for (i = 0; i < pu->past.n; i++)
		if ((i == 0 || pu->past.v[i].segment != pu->past.v[i -
		    1].segment) && unbroken(pu, pu->past.v[i].segment, e) == -1)
			return (-1);
	return (0);
}

/* Could all segments that the manifest tells of be placed, with what is there? */
static int
all_placeable(struct push *pu, struct ge_err *e)
{
	int16_t now[GE_N_MAX];
	size_t s, i;
	int idx;

	for (s = 0; s < pu->map.nsegs; s++) {
		history(pu, (uint32_t)s, pu->map.epoch[s]);
		for (idx = 0; idx < pu->h.n; idx++) {
			now[idx] = pu->map.at[s * (size_t)pu->h.n +
			    (size_t)idx];
			if (now[idx] != -1 && pu->barred[now[idx]])
				now[idx] = -1;
		}
		if (ge_rule_choose(&pu->rule, pu->ever, now, NULL, e) == -1)
			return (-1);
	}
	/* It was only asked whether. */
	for (i = 0; i < pu->st->sites->n; i++)
		pu->rule.load[i] = 0;
	return (0);
}

/*
 * Has anybody else sent fragments of which no manifest tells: another machine, or
 * we, and have lost the memory of it?
 */
static int
others_sent(struct push *pu)
{
	const struct ge_seen *seen = pu->sv.seen, *last = NULL;
	size_t i;

	for (i = 0; i < pu->sv.nseen; i++) {
		if (ge_past_has(&pu->past, seen[i].segment, seen[i].index,
		    seen[i].epoch, seen[i].site))
			continue;
		if (!pu->mapped)
			return (1);
		if (last == NULL || last->segment != seen[i].segment ||
		    last->epoch != seen[i].epoch)
			ge_map_ever(&pu->map, seen[i].segment, seen[i].epoch,
			    pu->ever);
		last = &seen[i];
		if ((pu->ever[seen[i].site] >> seen[i].index & 1) == 0)
			return (1);
	}
	return (0);
}

/*
 * A silent site may then have as much as the rule allows its domains: nothing but
 * what they have had comes to other sites of them.
 */
static void
shut_domains(struct push *pu)
{
	const struct ge_rule *r = &pu->rule;
	size_t mute, s, l, n = pu->st->sites->n;
	uint32_t d;

	for (mute = 0; mute < n; mute++) {
		if (pu->sv.answered[mute])
			continue;
		for (s = 0; s < n; s++)
			for (l = 1; l < r->persite && !pu->barred[s]; l++) {
				d = r->of[s * r->persite + l];
				if (d != r->of[mute * r->persite + l] ||
				    pu->shut[s])
					continue;
				pu->shut[s] = 1;
				ge_note(GE_WARN, "nothing new goes to site "
				    "'%s': what '%s' has, of the same %s, "
				    "nobody tells", pu->st->sites->site[s].name,
				    pu->st->sites->site[mute].name,
				    r->domain[d].label);
			}
	}
}

/* The manifest at the sites, and their lists. */
static int
ask_sites(struct push *pu, struct ge_err *e)
{
	struct ge_store free_of_pins = *pu->st;
	const struct ge_store *st = pu->st;
	const struct ge_hdr *h = &pu->h;
	size_t i;

	/* A set may be new: then there is no manifest that the pins could fit. */
	memset(&free_of_pins.pins, 0, sizeof(free_of_pins.pins));
	if (ge_known_load(&free_of_pins, h->setid, &pu->kn, e) == -1)
		return (-1);
	if (pu->kn.has && (pu->kn.m.k != h->k || pu->kn.m.n != h->n ||
	    pu->kn.m.mode != h->mode))
		ge_note(GE_WARN, "a manifest at the sites is of other content");
	else if (pu->kn.has) {
		pu->mapped = 1;
		if (ge_map_init(&pu->map, st->sites, &pu->kn, e) == -1)
			return (-1);
	}
	if (ge_survey_run(st, h->setid, &pu->sv, e) == -1)
		return (-1);
	for (i = 0; i < st->sites->n; i++) {
		pu->barred[i] = st->gone[i] || !pu->sv.answered[i];
		if (!pu->barred[i] || st->gone[i])
			continue;
		pu->p->given_up++;
		ge_note(GE_WARN, "site '%s' is passed over%s%s",
		    st->sites->site[i].name, pu->kn.answered[i] ? ": " : "",
		    pu->kn.answered[i] ? pu->sv.why[i].msg : "");
	}
	return (0);
}

int
push_prior(struct push *pu, struct ge_err *e)
{
	uint8_t hash[32];
	uint64_t serial;
	struct ge_err why;
	int possible;

	possible = ge_rule_possible(&pu->rule, &why) == 0;
	/* A memory that cannot be read is found out now, not in the end. */
	if (ge_state_seen(pu->st, pu->h.setid, &serial, hash, e) == -1 ||
	    ask_sites(pu, e) == -1 || ge_past_open(&pu->past, pu->st,
	    pu->h.setid, !pu->p->dry, e) == -1)
		return (-1);
	pu->fresh = !pu->kn.has && pu->sv.nseen == 0 && pu->past.n == 0;
	if (pu->h.mode != GE_PLAIN && weigh_lists(pu, e) == -1)
		return (-1);
	/* What is there stays there, also where nothing new may go. */
	if (!possible && (!pu->mapped || all_placeable(pu, e) == -1)) {
		*e = why;
		return (-1);
	}
	if (pu->h.mode == GE_PLAIN)
		return (0);
	if (others_sent(pu))
		shut_domains(pu);
	return (all_unbroken(pu, e));
}
