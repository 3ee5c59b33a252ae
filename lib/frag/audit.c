#include <stdio.h>
#include <string.h>

#include "frag/assess_int.h"
#include "frag/frag.h"
#include "frag/pile_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

static const char *const state_name[] = {
	"ok", "missing", "corrupt", "stale", "unreachable", "misplaced"
};

const char *
ge_state_name(enum ge_state s)
{

	return (state_name[s]);
}

int
ge_report_parse(struct ge_report_line *l, const char *line, size_t len,
    struct ge_err *e)
{
	const char *field[6], *p = line, *end = line + len, *tab;
	size_t flen[6], i, n;
	uint64_t v;

	if (len == 0 || line[0] == '#')
		return (0);
	for (n = 0; n < 6; n++) {
		tab = memchr(p, '\t', (size_t)(end - p));
		field[n] = p;
		flen[n] = (size_t)((tab != NULL ? tab : end) - p);
		if (tab == NULL)
			break;
		p = tab + 1;
	}
	if (n != 5)
		goto bad;
	for (i = 0; i < sizeof(state_name) / sizeof(state_name[0]); i++)
		if (flen[0] == strlen(state_name[i]) &&
		    memcmp(field[0], state_name[i], flen[0]) == 0)
			break;
	if (i == sizeof(state_name) / sizeof(state_name[0]))
		goto bad;
	l->state = (enum ge_state)i;
	if (flen[1] == 1 && field[1][0] == '-')
		return (0);
	if (flen[1] != 2 * GE_SETID ||
	    ge_unhex(l->setid, field[1], GE_SETID) == -1 ||
	    ge_num_parse(field[2], flen[2], &v) == -1 || v > UINT32_MAX)
		goto bad;
	l->segment = (uint32_t)v;
	if (ge_num_parse(field[3], flen[3], &v) == -1 || v >= GE_N_MAX)
		goto bad;
	l->index = (int)v;
	l->beside = l->state == GE_STATE_STALE &&
	    flen[5] == strlen(GE_OLD_SHARE) &&
	    memcmp(field[5], GE_OLD_SHARE, flen[5]) == 0;
	return (1);
bad:
	return (ge_fail(e, GE_EUSAGE, "not a line of a report: '%.*s'",
	    (int)(len < 60 ? len : 60), line));
}

static void
tell(struct ge_audit *a, const struct ge_pile *p, const struct ge_hdr *h,
    int index, enum ge_state state, const struct ge_frag *at,
    const char *detail)
{
	struct ge_finding f = { .state = state, .known = 1,
	    .segment = h->segment, .index = index, .detail = detail };

	a->fragments++;
	if (state == GE_STATE_UNREACHABLE)
		a->unreachable++;
	else if (state != GE_STATE_OK)
		a->bad++;
	memcpy(f.setid, h->setid, GE_SETID);
	f.site = ge_pile_site(p, at);
	if (a->found != NULL)
		a->found(a->arg, &f);
}

/* Rows for a segment that cannot be read at all. */
static void
tell_lost(struct ge_audit *a, const struct ge_pile *p,
    const struct ge_choice *c, uint32_t number)
{
	const struct ge_seg *seg = ge_set_seg(c->set, number);
	const struct ge_group *g, *best = NULL;
	struct ge_hdr h;
	int i;

	for (g = seg == NULL ? NULL : seg->group;
	    g != NULL && g < seg->group + seg->ngroups; g++)
		if (best == NULL ||
		    ge_popcount(g->indices) > ge_popcount(best->indices))
			best = g;
	if (best == NULL && c->set->nsegs > 0)
		h = c->set->seg[0]->group[0].h;
	else if (best != NULL)
		h = best->h;
	else
		return;
	h.segment = number;
	for (i = 0; i < h.n; i++)
		if (best == NULL || (best->indices >> i & 1) == 0)
			tell(a, p, &h, i, GE_STATE_MISSING, NULL,
			    "the segment is lost");
}

static void
tell_unreachable(struct ge_audit *a, const struct ge_pile *p)
{
	struct ge_finding f = { .state = GE_STATE_UNREACHABLE };
	char detail[512];
	size_t i;

	for (i = 0; i < p->nlost; i++) {
		snprintf(detail, sizeof(detail), "%s: %s", p->lost[i].path,
		    p->lost[i].why);
		f.site = p->site[p->lost[i].site];
		f.detail = detail;
		if (a->found != NULL)
			a->found(a->arg, &f);
	}
	a->unreachable += p->nunreachable;
}

static int
audit_segment(struct ge_audit *a, struct ge_pile *p, struct ge_group *g,
    struct ge_sampler *s, struct ge_err *why, struct ge_err *e)
{
	struct ge_assess as;
	const struct ge_hdr *h = &g->h;
	uint8_t *pick = NULL;
	int i, left, rc = -1;

	memset(&as, 0, sizeof(as));
	if (s != NULL) {
		if ((pick = ge_alloc(g->nfrags * h->nstripes, e)) == NULL ||
		    ge_sampler_pick(s, pick, g->nfrags * h->nstripes,
		    e) == -1)
			goto out;
	}
	if (ge_assess_run(&as, p, g, -1, a->jobs, pick, e) == -1)
		goto out;
	for (i = 0; i < h->n; i++)
		tell(a, p, h, i, as.row[i].state, as.row[i].best, as.row[i].detail);
	a->checked += as.checked;
	left = as.fewest < as.shares ? as.fewest : as.shares;
	if (left < a->worst)
		a->worst = left;
	if (ge_assess_lost(&as) && why->code == 0) {
		if (as.fewest < h->k)
			ge_fail(why, GE_ELOST, "segment %lu: a stripe has %d "
			    "good blocks of the %d needed",
			    (unsigned long)h->segment, as.fewest, h->k);
		else
			ge_fail(why, GE_ELOST, "segment %lu: fewer than %d "
			    "valid key shares of one epoch",
			    (unsigned long)h->segment, h->k);
	}
	rc = 0;
out:
	ge_assess_release(&as);
	ge_free(pick);
	return (rc);
}

/* Name the fragments that a majority or a pin overruled. */
static void
tell_liars(const struct ge_pile *p, const struct ge_choice *c)
{
	const struct ge_seg *seg;
	size_t s, g, f;

	for (s = 0; s < c->set->nsegs; s++) {
		seg = c->set->seg[s];
		if (seg->number >= c->n || c->group[seg->number] == NULL)
			continue;
		for (g = 0; g < seg->ngroups; g++)
			for (f = 0; f < seg->group[g].nfrags; f++)
				if (&seg->group[g] != c->group[seg->number])
					ge_note(GE_WARN, "'%s': segment %lu, "
					    "fragment %d: its header "
					    "contradicts the others",
					    seg->group[g].frag[f].path != NULL ?
					    seg->group[g].frag[f].path :
					    ge_pile_site(p,
					    &seg->group[g].frag[f]),
					    (unsigned long)seg->number,
					    seg->group[g].frag[f].index);
	}
}

static int
audit_set(struct ge_audit *a, struct ge_pile *p, struct ge_err *e)
{
	struct ge_choice c;
	struct ge_sampler s;
	struct ge_err why;
	size_t i;
	int sampling, rc = -1;

	if (ge_choose_all(&c, p, &a->pins, 1, e) == -1)
		goto out;
	why = c.err;
	if (c.set == NULL)
		goto judged;
	tell_liars(p, &c);
	a->chosen = 1;
	memcpy(a->setid, c.set->id, GE_SETID);
	a->worst = GE_N_MAX;
	for (i = 0; i < c.n; i++) {
		const struct ge_hdr *h;

		if (c.group[i] == NULL)
			continue;
		h = &c.group[i]->h;
		a->k = h->k;
		a->n = h->n;
		a->mode = h->mode;
		a->length += h->ulen;
		a->stored += (uint64_t)h->n * h->fraglen;
		a->blocks += (uint64_t)c.group[i]->nfrags * h->nstripes;
	}
	a->nsegments = c.n;
	sampling = a->confidence > 0 && ge_sampler_init(&s, a->confidence,
	    a->share, a->blocks);
	for (i = 0; i < c.n; i++) {
		if (c.group[i] == NULL) {
			tell_lost(a, p, &c, (uint32_t)i);
			continue;
		}
		if (audit_segment(a, p, c.group[i], sampling ? &s : NULL,
		    &why, e) == -1)
			goto out;
	}
	a->spare = why.code == GE_ELOST || a->n == 0 ? -1 : a->worst - a->k;
judged:
	tell_unreachable(a, p);
	if (why.code != 0) {
		*e = why;
		if (why.code == GE_ELOST && a->unreachable > 0) {
			e->code = GE_EFAIL;
			ge_within(e, "not all could be read");
		}
	} else if (a->bad > 0) {
		ge_fail(e, GE_EDEGRADED, "fragments not whole: %llu",
		    (unsigned long long)a->bad);
	} else if (a->unreachable > 0) {
		ge_fail(e, GE_EFAIL, "not all could be read");
	} else {
		rc = 0;
	}
out:
	ge_choice_release(&c);
	return (rc);
}

/*
 * Each fragment against its own header: what a host can say of what it holds,
 * without the others.
 */
static int
audit_alone(struct ge_audit *a, struct ge_pile *p, struct ge_err *e)
{
	struct ge_assess as;
	struct ge_group one, *g;
	size_t s, i, j, f;

	for (s = 0; s < p->nsets; s++)
		for (i = 0; i < p->set[s].nsegs; i++)
			for (j = 0; j < p->set[s].seg[i]->ngroups; j++) {
				g = &p->set[s].seg[i]->group[j];
				for (f = 0; f < g->nfrags; f++) {
					struct ge_frag *frag = &g->frag[f];

					one = *g;
					one.frag = frag;
					one.nfrags = 1;
					if (ge_assess_run(&as, p, &one,
					    frag->record, a->jobs, NULL, e) ==
					    -1) {
						ge_assess_release(&as);
						return (-1);
					}
					tell(a, p, &g->h, frag->index,
					    as.row[frag->index].state, frag,
					    as.row[frag->index].detail);
					a->checked += as.checked;
					a->blocks += g->h.nstripes;
					ge_assess_release(&as);
				}
			}
	tell_unreachable(a, p);
	if (a->fragments == 0 && p->nstrays == 0 && a->unreachable == 0)
		return (ge_fail(e, GE_ELOST, "no fragments found"));
	if (a->bad > 0 || p->nstrays > 0)
		return (ge_fail(e, GE_EDEGRADED, "fragments not whole: %llu",
		    (unsigned long long)(a->bad + p->nstrays)));
	if (a->unreachable > 0)
		return (ge_fail(e, GE_EFAIL, "not all could be read"));
	return (0);
}

int
ge_audit_run(struct ge_audit *a, struct ge_pile *p, struct ge_err *e)
{
	int rc;

	a->chosen = 0;
	a->spare = -1;
	while ((rc = ge_pile_step(p, e)) == 1)
		;
	if (rc == -1)
		return (-1);
	if (p->usable == 0 && p->nlost > 0)
		return (ge_fail(e, GE_EUSAGE, "'%s': %s", p->lost[0].path,
		    p->lost[0].why));
	if (a->pins.manifest != NULL &&
	    ge_pile_manifest(p, a->pins.manifest, e) == -1)
		return (-1);
	return (a->alone ? audit_alone(a, p, e) : audit_set(a, p, e));
}
