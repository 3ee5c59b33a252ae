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

/* What each site has, or may have, had of a segment in an epoch: into hl->ever. */
void
heal_history(struct healer *hl, uint32_t segment, int epoch)
{
	const struct ge_seen *seen;
	const struct spot *v;
	size_t n, i;
	int idx;

	ge_map_ever(&hl->map, segment, epoch, hl->ever);
	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		for (i = 0; i < n; i++)
			if (seen[i].epoch == epoch)
				hl->ever[seen[i].site] |= (uint64_t)1 << idx;
	}
	for (i = hl->tried.n; i-- > 0; ) {
		v = &hl->tried.v[i];
		if (v->segment == segment && v->epoch == epoch)
			hl->ever[v->site] |= (uint64_t)1 << v->index;
	}
}

/* The newest epoch that anybody knows of. */
int
heal_newest(const struct healer *hl, uint32_t segment)
{
	const struct ge_seen *seen;
	const struct ge_mapline *l;
	uint32_t i;
	size_t n;
	int idx, epoch = hl->map.epoch[segment];

	for (i = hl->map.first[segment]; i < hl->map.first[segment + 1]; i++) {
		l = &hl->map.line[i];
		if (hl->map.from[l->from]->place[l->place].epoch > epoch)
			epoch = hl->map.from[l->from]->place[l->place].epoch;
	}
	for (idx = 0; idx < hl->map.n; idx++) {
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		while (n-- > 0)
			if (seen[n].epoch > epoch)
				epoch = seen[n].epoch;
	}
	return (epoch);
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
		/* One site alone may invent, or have rotted. */
		if (!hl->st->pins.has_signer && kn->alsosites[i] < 2)
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

/* The manifest that comes after kn's, or kn's own if there is nothing to tell. */
static int
compose(struct healer *hl, struct ge_known *kn, struct ge_err *e)
{
	struct ge_heal *h = hl->h;
	size_t i, o;
	long lines;
	int again;

	/* The one that some sites would not have. */
	again = h->text != NULL && h->len == kn->len &&
	    memcmp(h->text, kn->text, kn->len) == 0;
	ge_free(h->text);
	h->text = NULL;
	if ((lines = merge(hl, kn, 0, e)) == -1)
		return (-1);
	if (hl->st->pins.has_signer && hl->st->signkey == NULL)
		lines = again = 0;
	if (hl->moved.n == 0 && lines == 0 && !again) {
		if ((h->text = ge_alloc(kn->len + 1, e)) == NULL)
			return (-1);
		memcpy(h->text, kn->text, kn->len);
		h->len = kn->len;
		return (0);
	}
	if (kn->m.nsigners > 0 && hl->st->signkey == NULL)
		ge_note(GE_WARN, "the new manifest is not signed: give the "
		    "key with -S");
	ge_manifest_next(&kn->m);
	if (lines > 0 && merge(hl, kn, 1, e) == -1)
		return (-1);
	/* Where one may be that has found another place: the past as well. */
	if (hl->moved.n > 0)
		qsort(hl->moved.v, hl->moved.n, sizeof(*hl->moved.v), by_place);
	for (i = o = 0; i < hl->tried.n; i++) {
		struct spot *t = &hl->tried.v[i], at = *t;
		size_t lo = 0, hi = hl->moved.n, mid;

		at.site = -1;
		while (lo < hi) {
			mid = lo + (hi - lo) / 2;
			if (by_place(&hl->moved.v[mid], &at) < 0)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < hl->moved.n && hl->moved.v[lo].segment ==
		    t->segment && hl->moved.v[lo].epoch == t->epoch &&
		    hl->moved.v[lo].index == t->index)
			hl->tried.v[o++] = *t;
	}
	hl->tried.n = o;
	return (append(hl, &kn->m, &hl->tried, e) == -1 ||
	    append(hl, &kn->m, &hl->moved, e) == -1 ||
	    ge_manifest_format(&kn->m, hl->st->signkey, &h->text, &h->len,
	    e) == -1 ? -1 : 0);
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
		if (round > 0 || hl->moved.n > 0) {
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
