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

/* A place line of another manifest of the set. */
struct rival {
	const struct ge_manifest *m;
	uint64_t mask;			/* its indices, less those that are left out */
	uint32_t line, order;
};

struct rivals {
	struct rival *v;
	size_t n, cap;
};

static uint64_t
line_mask(const struct ge_manifest *m, size_t line)
{
	const struct ge_place *pl = &m->place[line];
	uint64_t mask = 0;
	int q;

	for (q = 0; q < pl->n; q++)
		mask |= (uint64_t)1 << m->placeindex[pl->at + (size_t)q];
	return (mask);
}

/* The site that a line names for an index that it has. */
static const char *
line_site(const struct ge_manifest *m, size_t line, int index)
{
	size_t at = m->place[line].at;

	while (m->placeindex[at] != index)
		at++;
	return (m->sitename[m->placesite[at]]);
}

static int
by_content(const void *a, const void *b)
{
	const struct rival *x = a, *y = b;
	const struct ge_place *p = &x->m->place[x->line];
	const struct ge_place *q = &y->m->place[y->line];
	int i, c;

	if (p->epoch != q->epoch)
		return (p->epoch < q->epoch ? -1 : 1);
	if (p->first != q->first)
		return (p->first < q->first ? -1 : 1);
	if (p->last != q->last)
		return (p->last < q->last ? -1 : 1);
	if (x->mask != y->mask)
		return (x->mask < y->mask ? -1 : 1);
	for (i = 0; i < GE_N_MAX; i++)
		if ((x->mask >> i & 1) != 0 &&
		    (c = strcmp(line_site(x->m, x->line, i),
		    line_site(y->m, y->line, i))) != 0)
			return (c);
	return (0);
}

static int
by_order(const void *a, const void *b)
{
	const struct rival *x = a, *y = b;

	return (x->order < y->order ? -1 : x->order > y->order);
}

/*
 * In which of m's lines each index of each segment is told last: [nsegs][n], 1 more
 * than its number.
 */
static uint32_t *
last_lines(const struct ge_manifest *m, const struct ge_map *map,
    struct ge_err *e)
{
	const struct ge_place *pl;
	size_t p, s, n = (size_t)map->n;
	uint32_t *line;
	int q;

	if ((line = ge_alloc(map->nsegs * n * sizeof(*line), e)) == NULL)
		return (NULL);
	for (p = 0; p < m->nplaces; p++) {
		pl = &m->place[p];
		for (s = pl->first; s <= pl->last; s++)
			for (q = 0; q < pl->n; q++)
				line[s * n + m->placeindex[pl->at +
				    (size_t)q]] = (uint32_t)p + 1;
	}
	return (line);
}

/*
 * What of a line may be told: at sites of the sites file, and nothing that would
 * become the present of a newer epoch because m has no place of its own for it.
 */
static uint64_t
tellable(const struct ge_map *map, size_t from, size_t line,
    const uint32_t *last)
{
	const struct ge_manifest *m = map->from[from];
	const struct ge_place *pl = &m->place[line];
	uint64_t mask = line_mask(m, line);
	size_t s, idx;
	int q;

	for (q = 0; q < pl->n; q++) {
		if (map->site[from][m->placesite[pl->at + (size_t)q]] == -1)
			return (0);
		idx = m->placeindex[pl->at + (size_t)q];
		for (s = pl->first; s <= pl->last; s++)
			if (pl->epoch > map->epoch[s] &&
			    last[s * (size_t)map->n + idx] == 0)
				mask &= ~((uint64_t)1 << idx);
	}
	return (mask);
}

/* Leave each line once, and none that m has. */
static void
strike(struct rivals *rv, const struct ge_manifest *m)
{
	struct rival own = { .m = m }, *same;
	size_t i, n;

	qsort(rv->v, rv->n, sizeof(*rv->v), by_content);
	for (i = n = 0; i < rv->n; i++)
		if (n == 0 || by_content(&rv->v[n - 1], &rv->v[i]) != 0)
			rv->v[n++] = rv->v[i];
		else if (rv->v[i].order < rv->v[n - 1].order)
			rv->v[n - 1].order = rv->v[i].order;
	rv->n = n;
	for (i = 0; i < m->nplaces; i++) {
		own.line = (uint32_t)i;
		own.mask = line_mask(m, i);
		same = bsearch(&own, rv->v, rv->n, sizeof(own), by_content);
		if (same != NULL)
			same->order = UINT32_MAX;
	}
	qsort(rv->v, rv->n, sizeof(*rv->v), by_order);
	while (rv->n > 0 && rv->v[rv->n - 1].order == UINT32_MAX)
		rv->n--;
}

/*
 * Places are history, and history is not to be lost: what other manifests of the
 * set tell and kn's, of which map is, does not.
 */
static int
find_rivals(const struct healer *hl, const struct ge_known *kn,
    const struct ge_map *map, struct rivals *rv, struct ge_err *e)
{
	const struct ge_manifest *a;
	struct rival *r;
	uint64_t mask;
	uint32_t *last;
	size_t i, p;
	int rc = -1;

	if (kn->nalso == 0)
		return (0);
	if ((last = last_lines(&kn->m, map, e)) == NULL)
		return (-1);
	for (i = 0; i < kn->nalso; i++) {
		a = &kn->also[i];
		if (hl->st->pins.has_signer &&
		    ge_manifest_counts(a, &hl->st->pins) != 2)
			continue;
		for (p = 0; p < a->nplaces; p++) {
			if ((mask = tellable(map, i + 1, p, last)) == 0)
				continue;
			if (ge_grow(&rv->v, &rv->cap, rv->n + 1,
			    sizeof(*rv->v), e) == -1)
				goto out;
			r = &rv->v[rv->n];
			r->m = a;
			r->mask = mask;
			r->line = (uint32_t)p;
			r->order = (uint32_t)rv->n++;
		}
	}
	if (rv->n > 0)
		strike(rv, &kn->m);
	rc = 0;
out:
	ge_free(last);
	return (rc);
}

/* Of a segment the places of some indices once more, as m had them. */
static int
retell(struct healer *hl, struct ge_manifest *m, uint32_t segment,
    uint64_t indices, const uint32_t *last, struct ge_err *e)
{
	uint64_t mask;
	int i, epoch;

	while (indices != 0) {
		mask = 0;
		epoch = 0;
		for (i = 0; i < hl->map.n; i++) {
			if ((indices >> i & 1) == 0 || (mask != 0 &&
			    m->place[last[i] - 1].epoch != epoch))
				continue;
			epoch = m->place[last[i] - 1].epoch;
			mask |= (uint64_t)1 << i;
			hl->name[i] = line_site(m, last[i] - 1, i);
		}
		if (ge_manifest_place(m, epoch, segment, segment, mask,
		    hl->name, e) == -1)
			return (-1);
		indices &= ~mask;
	}
	return (0);
}

/*
 * The rivals' lines into m, as the past: what m tells of the same indices comes
 * after them again, or the word of another would be where they are now.
 */
static int
recall(struct healer *hl, struct ge_manifest *m, const struct ge_map *map,
    const struct rivals *rv, struct ge_err *e)
{
	const struct ge_place *pl;
	const struct rival *r;
	uint64_t *told = NULL;		/* [nsegs] */
	uint32_t *last, s;
	size_t i, n = (size_t)map->n;
	int idx, rc = -1;

	if ((last = last_lines(m, map, e)) == NULL ||
	    (told = ge_alloc(map->nsegs * sizeof(*told), e)) == NULL)
		goto out;
	for (i = 0; i < rv->n; i++) {
		r = &rv->v[i];
		pl = &r->m->place[r->line];
		for (idx = 0; idx < map->n; idx++) {
			if ((r->mask >> idx & 1) == 0)
				continue;
			hl->name[idx] = line_site(r->m, r->line, idx);
			for (s = pl->first; s <= pl->last; s++)
				if (last[s * n + (size_t)idx] != 0)
					told[s] |= (uint64_t)1 << idx;
		}
		/* As it stands, or it would not be found again. */
		m->settled = m->nplaces;
		if (ge_manifest_place(m, pl->epoch, pl->first, pl->last,
		    r->mask, hl->name, e) == -1)
			goto out;
	}
	m->settled = m->nplaces;
	for (s = 0; s < map->nsegs; s++)
		if (retell(hl, m, s, told[s], last + s * n, e) == -1)
			goto out;
	rc = 0;
out:
	ge_free(last);
	ge_free(told);
	return (rc);
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

/* Where an index is: of the lines of the map, else of those from `own` on. */
static long
current_pair(const struct ge_manifest *m, const struct ge_map *map, size_t own,
    uint32_t segment, int index, int *epoch)
{
	const struct ge_place *pl;
	const struct ge_mapline *l;
	uint32_t i;
	size_t p;
	int q;

	for (i = map->first[segment + 1]; i-- > map->first[segment]; ) {
		l = &map->line[i];
		pl = &m->place[l->place];
		for (q = 0; l->from == 0 && q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == index) {
				*epoch = pl->epoch;
				return ((long)pl->at + q);
			}
	}
	for (p = m->nplaces; p-- > own; ) {
		pl = &m->place[p];
		for (q = 0; segment >= pl->first && segment <= pl->last &&
		    q < pl->n; q++)
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

int
heal_unsigned(const struct healer *hl, const struct ge_known *kn)
{

	return (hl->st->signkey == NULL &&
	    (hl->st->pins.has_signer || kn->m.nsigners > 0));
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
    struct spots *past, const struct rivals *rv, struct ge_err *e)
{
	size_t own = kn->m.nplaces;

	if (ge_manifest_next(&kn->m, e) == -1)
		return (-1);
	if (rv->n > 0 && recall(hl, &kn->m, map, rv, e) == -1)
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
	struct rivals rv = { NULL, 0, 0 };
	struct ge_heal *h = hl->h;
	struct ge_map own, *map = &hl->map;
	int again, lacking, rc = -1;

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
	if (find_rivals(hl, kn, map, &rv, e) == -1 ||
	    untold(hl, map, &past, e) == -1)
		goto out;
	/* A signed one is not replaced by one that is not. */
	lacking = heal_unsigned(hl, kn);
	hl->untold = lacking && (past.n > 0 || hl->moved.n > 0);
	if (lacking && hl->moved.n > 0) {
		ge_fail(e, GE_EREFUSED, "the manifest that tells of other "
		    "places must be signed: give the key with -S");
		heal_worse(hl, e);
	}
	rc = lacking || (hl->moved.n == 0 && rv.n == 0 && past.n == 0 &&
	    !again) ? as_before(h, kn, e) :
	    successor(hl, kn, map, &past, &rv, e);
out:
	ge_map_release(&own);
	ge_free(rv.v);
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
