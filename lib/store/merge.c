#include <stdlib.h>
#include <string.h>

#include "store/heal_int.h"
#include "util/hook.h"
#include "util/mem.h"

/*
 * The history of a segment is what the manifests tell, what the sites list, for a
 * repair may have been killed before it could tell, and what this run has tried.
 * What comes of a repair goes into the manifest that comes next.
 */
enum {
	EPOCH_MAX = 255,
	AGAIN = 8			/* manifests in a row, if others write too */
};

int
heal_add_spot(struct spots *sp, uint32_t segment, int index, int epoch, int site,
    struct ge_err *e)
{
	struct spot *v;

	if (ge_grow(&sp->v, &sp->cap, sp->n + 1, sizeof(*sp->v), e) == -1)
		return (-1);
	v = &sp->v[sp->n++];
	v->segment = segment;
	v->index = (uint8_t)index;
	v->epoch = (uint8_t)epoch;
	v->site = (int16_t)site;
	return (0);
}

/* The same of what the sites list, and may say for nothing: into hl->claim. */
static void
claims(struct healer *hl, uint32_t segment, int epoch)
{
	const struct ge_seen *seen;
	const struct ge_stray *t;
	size_t n, i;
	int idx;

	memset(hl->claim, 0, hl->st->sites->n * sizeof(*hl->claim));
	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		for (i = 0; i < n; i++)
			if (seen[i].epoch == epoch)
				hl->claim[seen[i].site] |= (uint64_t)1 << idx;
	}
	/* What came only half, came. */
	for (i = 0; i < hl->sv.nstray; i++) {
		t = &hl->sv.stray[i];
		if (t->part && t->segment == segment && t->epoch == epoch)
			hl->claim[t->site] |= (uint64_t)1 << t->index;
	}
}

/*
 * What each site has, or may have, had of a segment in an epoch: into hl->ever.
 * What a site lists is its own word: if that is more than the rule bears, it gets
 * nothing more, and nobody else is hindered.
 */
int
heal_history(struct healer *hl, uint32_t segment, int epoch,
    const int16_t *now, struct ge_err *e)
{
	uint64_t before;
	size_t s;
	int known;

	ge_map_ever(&hl->map, segment, epoch, hl->ever);
	ge_past_ever(&hl->past, segment, epoch, hl->ever);
	claims(hl, segment, epoch);
	memcpy(hl->shut, hl->barred, hl->st->sites->n);
	known = ge_rule_check(&hl->rule, hl->ever, now, e) == 0;
	if (!known && e->code != GE_EREFUSED)
		return (-1);
	for (s = 0; s < hl->st->sites->n; s++) {
		before = hl->ever[s];
		hl->ever[s] |= hl->claim[s];
		if (!known || hl->ever[s] == before ||
		    ge_rule_check(&hl->rule, hl->ever, now, e) == 0)
			continue;
		if (e->code != GE_EREFUSED)
			return (-1);
		hl->ever[s] = before;
		hl->shut[s] = 1;
	}
	return (0);
}

/* The newest epoch that manifests tell of, or that we have sent something in. */
static int
newest_told(const struct healer *hl, uint32_t segment)
{
	const struct ge_mapline *l;
	const struct ge_place *pl;
	uint32_t i;
	int tried, epoch = hl->map.epoch[segment];

	for (i = hl->map.first[segment]; i < hl->map.first[segment + 1]; i++) {
		l = &hl->map.line[i];
		pl = &hl->map.from[l->from]->place[l->place];
		if (pl->epoch > epoch)
			epoch = pl->epoch;
	}
	tried = ge_past_newest(&hl->past, segment);
	return (tried > epoch ? tried : epoch);
}

/* The newest epoch that anybody knows of. */
int
heal_newest(const struct healer *hl, uint32_t segment)
{
	const struct ge_seen *seen;
	size_t n;
	int idx, epoch = newest_told(hl, segment);

	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		while (n-- > 0)
			if (seen[n].epoch > epoch)
				epoch = seen[n].epoch;
	}
	return (epoch);
}

/* How many sites list something of an epoch? */
static int
sites_listing(struct healer *hl, uint32_t segment, int epoch)
{
	const struct ge_seen *seen;
	size_t n;
	int idx, sites = 0;

	memset(hl->vote, 0, hl->st->sites->n);
	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		while (n-- > 0)
			if (seen[n].epoch == epoch &&
			    !hl->vote[seen[n].site]) {
				hl->vote[seen[n].site] = 1;
				sites++;
			}
	}
	return (sites);
}

/*
 * A name in a list is cheap: what one site invents must not use up the numbers.  So
 * of those after what is told the first that the fewest sites list.
 */
int
heal_new_epoch(struct healer *hl, uint32_t segment)
{
	int epoch, sites, best = -1, least = 0;

	for (epoch = newest_told(hl, segment) + 1; epoch <= EPOCH_MAX;
	    epoch++) {
		sites = sites_listing(hl, segment, epoch);
		if (best != -1 && sites >= least)
			continue;
		best = epoch;
		if ((least = sites) == 0)
			break;
	}
	return (best);
}

static int
by_place(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;

	if (x->segment != y->segment)
		return (x->segment < y->segment ? -1 : 1);
	if (x->epoch != y->epoch)
		return (x->epoch - y->epoch);
	if (x->index != y->index)
		return (x->index - y->index);
	return (x->site - y->site);
}

/* Place lines of fragments, one site an index. */
static int
append(struct healer *hl, struct ge_manifest *m, struct spots *sp,
    struct ge_err *e)
{
	const struct spot *v = sp->v;
	uint64_t mask, bit;
	size_t i, j;

	if (sp->n > 0)
		qsort(sp->v, sp->n, sizeof(*sp->v), by_place);
	for (i = 0; i < sp->n; i = j) {
		for (j = i, mask = 0; j < sp->n && v[j].segment ==
		    v[i].segment && v[j].epoch == v[i].epoch; j++) {
			bit = (uint64_t)1 << v[j].index;
			if ((mask & bit) != 0)
				break;
			mask |= bit;
			hl->name[v[j].index] =
			    hl->st->sites->site[v[j].site].name;
		}
		if (ge_manifest_place(m, v[i].epoch, v[i].segment,
		    v[i].segment, mask, hl->name, e) == -1)
			return (-1);
	}
	return (0);
}

static int
same_line(const struct ge_manifest *a, size_t i, const struct ge_manifest *b,
    size_t j)
{
	const struct ge_place *x = &a->place[i], *y = &b->place[j];
	int q;

	if (x->epoch != y->epoch || x->first != y->first ||
	    x->last != y->last || x->n != y->n)
		return (0);
	for (q = 0; q < x->n; q++)
		if (a->placeindex[x->at + (size_t)q] !=
		    b->placeindex[y->at + (size_t)q] ||
		    strcmp(a->sitename[a->placesite[x->at + (size_t)q]],
		    b->sitename[b->placesite[y->at + (size_t)q]]) != 0)
			return (0);
	return (1);
}

/* The last of the first n lines about an index of a segment: its pair, or -1. */
static long
last_pair(const struct ge_manifest *m, size_t n, uint32_t segment, int index,
    int *epoch)
{
	const struct ge_place *pl;
	int q;

	while (n-- > 0) {
		pl = &m->place[n];
		if (segment < pl->first || segment > pl->last)
			continue;
		for (q = 0; q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == index) {
				*epoch = pl->epoch;
				return ((long)pl->at + q);
			}
	}
	return (-1);
}

/* A line of the past into m, of which the first n lines tell what is now. */
static int
recall(struct healer *hl, struct ge_manifest *m, size_t n,
    const struct ge_manifest *from, size_t line, uint64_t *budget,
    struct ge_err *e)
{
	const struct ge_place *pl = &from->place[line];
	uint64_t mask = 0;
	uint32_t s;
	long pair;
	int q, idx, epoch;

	for (q = 0; q < pl->n; q++) {
		idx = from->placeindex[pl->at + (size_t)q];
		mask |= (uint64_t)1 << idx;
		hl->name[idx] = from->sitename[from->placesite[pl->at +
		    (size_t)q]];
	}
	if (ge_manifest_place(m, pl->epoch, pl->first, pl->last, mask,
	    hl->name, e) == -1)
		return (-1);
	for (q = 0; q < pl->n; q++) {
		idx = from->placeindex[pl->at + (size_t)q];
		for (s = pl->first; s <= pl->last && s < hl->map.nsegs; s++) {
			if (*budget < n)
				return (ge_fail(e, GE_EREFUSED, "the manifests "
				    "at the sites contradict each other too "
				    "much"));
			*budget -= n;
			pair = last_pair(m, n, s, idx, &epoch);
			if (pair == -1 || epoch < pl->epoch)
				continue;
			hl->name[idx] = m->sitename[m->placesite[pair]];
			if (ge_manifest_place(m, epoch, s, s, (uint64_t)1 <<
			    idx, hl->name, e) == -1)
				return (-1);
		}
	}
	return (0);
}

/* Is every site of a place line one of the sites file? */
static int
all_known(const struct healer *hl, const struct ge_manifest *m, size_t line)
{
	const struct ge_place *pl = &m->place[line];
	int q;

	for (q = 0; q < pl->n; q++)
		if (ge_sites_find(hl->st->sites, m->sitename[m->placesite[
		    pl->at + (size_t)q]]) == -1)
			return (0);
	return (1);
}

/*
 * Places are history, and history is not to be lost: lines of other manifests of
 * the set that m lacks (another repair has written at the same time, or a site
 * invents a successor) come into it, as the past.  How many; -1.
 */
static long
merge(struct healer *hl, struct ge_known *kn, int next, struct ge_err *e)
{
	uint64_t budget = (uint64_t)1 << 30;
	const struct ge_manifest *a;
	size_t i, p, o, n = kn->m.nplaces;
	long lines = 0;

	for (i = 0; i < kn->nalso; i++) {
		a = &kn->also[i];
		if (hl->st->pins.has_signer &&
		    ge_manifest_counts(a, &hl->st->pins) != 2)
			continue;
		for (p = 0; p < a->nplaces && p < n && same_line(a, p,
		    &kn->m, p); p++)
			;
		for (; p < a->nplaces; p++) {
			for (o = 0; o < kn->m.nplaces && !same_line(a, p,
			    &kn->m, o); o++)
				;
			if (o < kn->m.nplaces || !all_known(hl, a, p))
				continue;
			lines++;
			if (next && recall(hl, &kn->m, n, a, p, &budget,
			    e) == -1)
				return (-1);
		}
	}
	return (lines);
}

/* Does one of the manifest's own lines tell of it? */
static int
told(const struct ge_map *map, const struct ge_try *t)
{
	const struct ge_manifest *m = map->from[0];
	const struct ge_mapline *l;
	const struct ge_place *pl;
	uint32_t i;
	int q;

	for (i = map->first[t->segment]; i < map->first[t->segment + 1]; i++) {
		l = &map->line[i];
		pl = &m->place[l->place];
		for (q = 0; l->from == 0 && pl->epoch == t->epoch &&
		    q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == t->index &&
			    map->site[0][m->placesite[pl->at + (size_t)q]] ==
			    t->site)
				return (1);
	}
	return (0);
}

/* What may have come to a site, and neither the manifest nor a move tells of it. */
static int
untold(const struct healer *hl, const struct ge_map *map, struct spots *sp,
    struct ge_err *e)
{
	const struct ge_try *t;
	struct spot at;
	size_t i;

	for (i = 0; i < hl->past.n; i++) {
		t = &hl->past.v[i];
		if (t->segment >= map->nsegs || t->index >= map->n ||
		    told(map, t))
			continue;
		at.segment = t->segment;
		at.index = t->index;
		at.epoch = t->epoch;
		at.site = t->site;
		if ((hl->moved.n == 0 || bsearch(&at, hl->moved.v, hl->moved.n,
		    sizeof(at), by_place) == NULL) &&
		    heal_add_spot(sp, t->segment, t->index, t->epoch, t->site,
		    e) == -1)
			return (-1);
	}
	return (0);
}

/* Where an index is: of the lines from `own` on, else of those of the map. */
static long
current_pair(const struct ge_manifest *m, const struct ge_map *map, size_t own,
    uint32_t segment, int index, int *epoch)
{
	const struct ge_place *pl;
	const struct ge_mapline *l;
	uint32_t i;
	size_t p;
	int q;

	for (p = m->nplaces; p-- > own; ) {
		pl = &m->place[p];
		for (q = 0; segment >= pl->first && segment <= pl->last &&
		    q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == index) {
				*epoch = pl->epoch;
				return ((long)pl->at + q);
			}
	}
	for (i = map->first[segment + 1]; i-- > map->first[segment]; ) {
		l = &map->line[i];
		pl = &m->place[l->place];
		for (q = 0; l->from == 0 && q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == index) {
				*epoch = pl->epoch;
				return ((long)pl->at + q);
			}
	}
	return (-1);
}

struct now {
	uint32_t segment;
	uint8_t index, epoch;
	uint32_t name;			/* in the manifest */
};

/* Lines of the past into m, and again those of what is now, which they follow. */
static int
append_past(struct healer *hl, struct ge_manifest *m,
    const struct ge_map *map, size_t own, struct spots *sp, struct ge_err *e)
{
	struct now *now;
	size_t i, j, n = 0;
	uint64_t mask;
	long pair;
	int epoch, rc = -1;

	if (sp->n == 0)
		return (0);
	qsort(sp->v, sp->n, sizeof(*sp->v), by_place);
	if ((now = ge_alloc(sp->n * sizeof(*now), e)) == NULL)
		return (-1);
	for (i = 0; i < sp->n; i++) {
		if ((pair = current_pair(m, map, own, sp->v[i].segment,
		    sp->v[i].index, &epoch)) == -1)
			continue;
		now[n].segment = sp->v[i].segment;
		now[n].index = sp->v[i].index;
		now[n].epoch = (uint8_t)epoch;
		now[n++].name = m->placesite[pair];
	}
	if (append(hl, m, sp, e) == -1)
		goto out;
	for (i = 0; i < n; i = j) {
		for (j = i, mask = 0; j < n && now[j].segment ==
		    now[i].segment && now[j].epoch == now[i].epoch; j++) {
			mask |= (uint64_t)1 << now[j].index;
			hl->name[now[j].index] = m->sitename[now[j].name];
		}
		if (ge_manifest_place(m, now[i].epoch, now[i].segment,
		    now[i].segment, mask, hl->name, e) == -1)
			goto out;
	}
	rc = 0;
out:
	ge_free(now);
	return (rc);
}

/* kn's own manifest, as there is nothing to tell. */
static int
as_before(struct ge_heal *h, const struct ge_known *kn, struct ge_err *e)
{

	if ((h->text = ge_alloc(kn->len + 1, e)) == NULL)
		return (-1);
	memcpy(h->text, kn->text, kn->len);
	h->len = kn->len;
	return (0);
}

/* The manifest that comes after kn's, of which map is. */
static int
successor(struct healer *hl, struct ge_known *kn, const struct ge_map *map,
    struct spots *past, long lines, struct ge_err *e)
{
	size_t own = kn->m.nplaces;

	if (kn->m.nsigners > 0 && hl->st->signkey == NULL)
		ge_note(GE_WARN, "the new manifest is not signed: give the "
		    "key with -S");
	if (ge_manifest_next(&kn->m, e) == -1)
		return (-1);
	if (lines > 0 && merge(hl, kn, 1, e) == -1)
		return (-1);
	return (append_past(hl, &kn->m, map, own, past, e) == -1 ||
	    append(hl, &kn->m, &hl->moved, e) == -1 ||
	    ge_manifest_format(&kn->m, hl->st->signkey, &hl->h->text,
	    &hl->h->len, e) == -1 ? -1 : 0);
}

/* The manifest that comes after kn's, or kn's own if there is nothing to tell. */
static int
compose(struct healer *hl, struct ge_known *kn, struct ge_err *e)
{
	struct spots past = { NULL, 0, 0 };
	struct ge_heal *h = hl->h;
	struct ge_map own, *map = &hl->map;
	long lines;
	int again, rc = -1;

	memset(&own, 0, sizeof(own));
	/* The one that some sites would not have. */
	again = h->text != NULL && h->len == kn->len &&
	    memcmp(h->text, kn->text, kn->len) == 0;
	ge_free(h->text);
	h->text = NULL;
	if (kn != hl->kn) {
		if (ge_map_init(&own, hl->st->sites, kn, e) == -1)
			goto out;
		map = &own;
	}
	if (hl->moved.n > 0)
		qsort(hl->moved.v, hl->moved.n, sizeof(*hl->moved.v), by_place);
	if ((lines = merge(hl, kn, 0, e)) == -1 ||
	    untold(hl, map, &past, e) == -1)
		goto out;
	if (hl->st->pins.has_signer && hl->st->signkey == NULL)
		lines = again = 0;
	/* For the past alone a signed one is not replaced by one that is not. */
	hl->untold = past.n > 0 && hl->moved.n == 0 &&
	    hl->st->signkey == NULL &&
	    (kn->m.nsigners > 0 || hl->st->pins.has_signer);
	if (hl->untold)
		past.n = 0;
	rc = hl->moved.n == 0 && lines == 0 && past.n == 0 && !again ?
	    as_before(h, kn, e) : successor(hl, kn, map, &past, lines, e);
out:
	ge_map_release(&own);
	ge_free(past.v);
	return (rc);
}

/*
 * The new manifest: what has been done, on top of the newest there is.  Another
 * repair may be doing the same: then ours goes on top of its.
 */
int
heal_tell(struct healer *hl, int *stored, struct ge_err *e)
{
	struct ge_known newer;
	struct ge_known *kn = hl->kn;
	int contested = 1, round, rc = -1;

	memset(&newer, 0, sizeof(newer));
	for (round = 0; round < AGAIN && contested > 0; round++) {
		if (round > 0 || hl->moved.n > 0 || hl->past.n > 0) {
			ge_known_release(&newer);
			if (ge_known_load(hl->st, hl->kn->setid, &newer,
			    e) == 0 && newer.has && memcmp(newer.m.digest,
			    hl->kn->m.digest, 32) == 0 && (round > 0 ||
			    newer.m.serial > hl->kn->m.serial))
				kn = &newer;
			else if (round > 0)
				break;
			if (ge_hook_tick(0, e) == -1)
				goto out;
		}
		if (compose(hl, kn, e) == -1 || ge_manifest_publish(hl->st,
		    kn, &kn->m, hl->h->text, hl->h->len, stored, &contested,
		    e) == -1)
			goto out;
	}
	if (contested == 0)
		(void)ge_state_heard(hl->st, &kn->m, *stored);
	if (contested > 0) {
		ge_fail(e, GE_EFAIL, "%d sites keep another manifest: run "
		    "again", contested);
		heal_worse(hl, e);
	}
	rc = 0;
out:
	ge_known_release(&newer);
	return (rc);
}
