#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/heal_int.h"
#include "util/hook.h"
#include "util/mem.h"

/*
 * What is not whole is made again where it belongs; what is on a site that is to
 * be treated as gone, or where the rule forbids it, gets another.  The segments
 * are fetched one after the other, k fragments of each; from a site that is being
 * emptied and still answers, the fragment itself.
 */

enum {
	POOL = 96 << 20
};

/* The worst is the last message; the others are told as they come. */
void
heal_worse(struct healer *hl, const struct ge_err *e)
{
	static const int rank[] = { [GE_EFAIL] = 2, [GE_EDEGRADED] = 1,
	    [GE_ELOST] = 3, [GE_EREFUSED] = 4, [GE_EUSAGE] = 0 };

	if (hl->why.code != 0 && rank[e->code] <= rank[hl->why.code]) {
		ge_note(GE_WARN, "%s", e->msg);
		return;
	}
	if (hl->why.code != 0)
		ge_note(GE_WARN, "%s", hl->why.msg);
	hl->why = *e;
}

int16_t *
heal_places(const struct healer *hl, uint32_t segment)
{

	return (&hl->map.at[(size_t)segment * (size_t)hl->map.n]);
}

/* Is it said to be at a site that the sites file does not name? */
static int
elsewhere(const struct healer *hl, uint32_t segment, int index)
{
	const struct ge_manifest *m = &hl->kn->m;
	const struct ge_mapline *l;
	const struct ge_place *pl;
	uint32_t i;
	int q;

	if (heal_places(hl, segment)[index] != -1 || hl->map.unknown == 0)
		return (0);
	for (i = hl->map.first[segment]; i < hl->map.first[segment + 1]; i++) {
		l = &hl->map.line[i];
		pl = &m->place[l->place];
		for (q = 0; l->from == 0 && q < pl->n; q++)
			if (m->placeindex[pl->at + (size_t)q] == index)
				return (1);
	}
	return (0);
}

static int
add_task(struct healer *hl, const struct found *f, struct ge_err *e)
{
	int16_t at = heal_places(hl, f->segment)[f->index];
	int gone = at != -1 && hl->st->gone[at];
	int strays = f->state == GE_STATE_MISPLACED && f->site != at;
	struct task *t;

	if (ge_grow(&hl->task, &hl->captasks, hl->ntasks + 1,
	    sizeof(*hl->task), e) == -1)
		return (-1);
	t = &hl->task[hl->ntasks++];
	memset(t, 0, sizeof(*t));
	t->segment = f->segment;
	t->index = (uint8_t)f->index;
	t->site = -1;
	t->found = -1;
	t->move = f->state == GE_STATE_MISPLACED || at == -1 || gone;
	/* Where no manifest can tell of another place it comes to its own again. */
	if (strays && at != -1 && !gone && heal_unsigned(hl, hl->kn)) {
		t->move = 0;
		t->bad = 1;
		return (0);
	}
	/* Of a site that is treated as gone nobody has asked. */
	t->later = f->state == GE_STATE_OK &&
	    f->epoch > hl->map.epoch[f->segment];
	t->passed = f->state == GE_STATE_STALE && hl->later[f->segment] &&
	    f->epoch == hl->map.epoch[f->segment];
	t->bad = !gone && (f->state == GE_STATE_MISSING ||
	    f->state == GE_STATE_CORRUPT || f->state == GE_STATE_STALE ||
	    t->later);
	t->there = t->bad && f->state == GE_STATE_CORRUPT;
	if (strays && f->epoch == hl->map.epoch[f->segment]) {
		t->found = f->site;
		t->epoch = (uint8_t)f->epoch;
	}
	return (0);
}

static int
by_fragment(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	if (x->segment != y->segment)
		return (x->segment < y->segment ? -1 : 1);
	if (x->index != y->index)
		return (x->index < y->index ? -1 : 1);
	/* Of two that name one fragment the one that knows more. */
	if (x->bad != y->bad)
		return (y->bad - x->bad);
	return (y->found - x->found);
}

static void
note_finding(void *arg, const struct ge_finding *f)
{
	struct healer *hl = arg;
	struct found *l;
	struct ge_err ignored;

	/* Old shares go when all new ones are known to be there. */
	if (!f->known || f->beside || f->segment >= hl->map.nsegs ||
	    f->index >= hl->map.n)
		return;
	/* New shares, true or not, next to which those that are told are stale. */
	if (f->state != GE_STATE_STALE)
		hl->later[f->segment] |= f->epoch >
		    hl->map.epoch[f->segment];
	if (f->state == GE_STATE_OK) {
		hl->whole[f->segment] += f->epoch ==
		    hl->map.epoch[f->segment];
		if (f->epoch <= hl->map.epoch[f->segment])
			return;
	}
	if (ge_grow(&hl->found, &hl->capfound, hl->nfound + 1,
	    sizeof(*hl->found), &ignored) == -1) {
		hl->nomem = 1;
		return;
	}
	l = &hl->found[hl->nfound++];
	l->state = f->state;
	l->segment = f->segment;
	l->index = f->index;
	l->epoch = f->epoch;
	l->site = (int16_t)ge_sites_find(hl->st->sites, f->site);
}

/* What our own check finds.  0, -1. */
static int
audit(struct healer *hl, struct ge_err *e)
{
	struct ge_check check;
	int rc;

	memset(&check, 0, sizeof(check));
	check.noshares = hl->h->blind;
	check.found = note_finding;
	check.arg = hl;
	if ((hl->whole = ge_alloc(hl->map.nsegs, e)) == NULL)
		return (-1);
	rc = ge_check_run(&check, hl->st, hl->kn, e);
	hl->h->audited = check.received;
	if (hl->nomem)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	if (rc == -1 && (e->code == GE_EREFUSED || ge_hook_tick(0, e) == -1 ||
	    (hl->nfound == 0 && e->code != GE_EDEGRADED)))
		return (-1);
	/* What has been cannot be mended. */
	if (rc == -1 && check.history > 0) {
		ge_fail(e, GE_EREFUSED, "the places of the past break the "
		    "placement rule: make a new set");
		heal_worse(hl, e);
	}
	return (0);
}

static int
take_report(struct healer *hl, struct ge_err *e)
{
	const struct ge_report_line *l = hl->h->report;
	struct ge_finding f = { .known = 1, .site = "-" };
	size_t i;

	for (i = 0; i < hl->h->nreport; i++) {
		f.state = l[i].state;
		f.segment = l[i].segment;
		f.index = l[i].index;
		if (f.state != GE_STATE_OK)
			note_finding(hl, &f);
	}
	return (hl->nomem ? ge_fail(e, GE_EFAIL, "out of memory") : 0);
}

/* In order, each fragment once. */
static void
arrange(struct healer *hl)
{
	size_t i, o;

	if (hl->ntasks > 0)
		qsort(hl->task, hl->ntasks, sizeof(*hl->task), by_fragment);
	for (i = o = 0; i < hl->ntasks; i++)
		if (o == 0 || hl->task[o - 1].segment != hl->task[i].segment ||
		    hl->task[o - 1].index != hl->task[i].index)
			hl->task[o++] = hl->task[i];
	hl->ntasks = o;
}

/* A segment that goes on in a newer epoch: what is of it and what lacks. */
static int
go_on(struct healer *hl, uint32_t segment, int epoch, const int16_t *site,
    struct ge_err *e)
{
	struct task *t;
	int i;

	for (i = 0; i < hl->map.n; i++) {
		if (ge_grow(&hl->task, &hl->captasks, hl->ntasks + 1,
		    sizeof(*hl->task), e) == -1)
			return (-1);
		t = &hl->task[hl->ntasks++];
		memset(t, 0, sizeof(*t));
		t->segment = segment;
		t->index = (uint8_t)i;
		t->epoch = (uint8_t)epoch;
		t->bad = site[i] == -1;
		t->move = 1;
		t->found = site[i];
		t->site = -1;
	}
	return (0);
}

/*
 * New shares that a repair could not finish: of what is to be worked upon, if no
 * fewer of them are whole than of those that they replace.  If they are not
 * believed, what they replace is not stale.
 */
static int
take_up(struct healer *hl, struct ge_err *e)
{
	size_t s, i = 0, n, o = 0, before = hl->ntasks, kept = 0;
	int16_t site[GE_N_MAX];
	int epoch, lacking, rc;

	if (hl->kn->m.mode == GE_PLAIN)
		return (0);
	for (s = 0; s < hl->map.nsegs; s++, i += n) {
		for (n = 0, lacking = 0; i + n < before &&
		    hl->task[i + n].segment == s; n++)
			lacking += !hl->task[i + n].later;
		rc = n == 0 || hl->h->blind ? 0 : heal_resume(hl,
		    (uint32_t)s, hl->map.n - lacking, &epoch, site, e);
		if (rc == -1 || (rc == 1 && go_on(hl, (uint32_t)s, epoch,
		    site, e) == -1))
			return (-1);
		for (o = i; rc == 0 && o < i + n; o++)
			if (!hl->task[o].passed)
				hl->task[kept++] = hl->task[o];
	}
	if (kept < before)
		memmove(&hl->task[kept], &hl->task[before],
		    (hl->ntasks - before) * sizeof(*hl->task));
	hl->ntasks -= before - kept;
	arrange(hl);
	return (0);
}

/* Does the report tell of old shares?  What else there is decides if they go. */
static int
old_reported(const struct ge_heal *h)
{
	size_t i;

	for (i = 0; i < h->nreport && !h->report[i].beside; i++)
		;
	return (i < h->nreport);
}

/* What is to be done: of the report, or of a check of our own; and what -x says. */
static int
plan(struct healer *hl, struct ge_err *e)
{
	struct found *f, gone;
	size_t i;
	int16_t at;

	if ((hl->h->report != NULL && !old_reported(hl->h) ?
	    take_report(hl, e) : audit(hl, e)) == -1)
		return (-1);
	for (i = 0; i < hl->nfound; i++) {
		f = &hl->found[i];
		at = heal_places(hl, f->segment)[f->index];
		if (f->state == GE_STATE_UNREACHABLE && (at != -1 ?
		    !hl->st->gone[at] : elsewhere(hl, f->segment, f->index))) {
			hl->unreachable++;
			hl->strangers += at == -1;
		} else if (add_task(hl, f, e) == -1) {
			return (-1);
		}
	}
	memset(&gone, 0, sizeof(gone));
	gone.state = GE_STATE_OK;
	for (i = 0; i < hl->map.nsegs * (size_t)hl->map.n; i++) {
		gone.segment = (uint32_t)(i / (size_t)hl->map.n);
		gone.index = (int)(i % (size_t)hl->map.n);
		at = hl->map.at[i];
		if ((at == -1 ? !elsewhere(hl, gone.segment, gone.index) :
		    hl->st->gone[at]) && add_task(hl, &gone, e) == -1)
			return (-1);
	}
	arrange(hl);
	return (take_up(hl, e));
}

/* The tasks of one segment begin at i; how many? */
static size_t
together(const struct healer *hl, size_t i)
{
	size_t n = 1;

	while (i + n < hl->ntasks &&
	    hl->task[i + n].segment == hl->task[i].segment)
		n++;
	return (n);
}

/*
 * Could all tasks of a segment be done by copying: each lies whole on a site that
 * is being emptied?
 */
static int
copyable(const struct healer *hl, size_t i, size_t n)
{
	size_t j;

	for (j = i; j < i + n; j++)
		if (hl->task[j].bad || hl->task[j].site != -1 || heal_places(hl,
		    hl->task[j].segment)[hl->task[j].index] == -1)
			return (0);
	return (hl->kn->evidence && (!hl->h->blind ||
	    hl->kn->m.mode == GE_PLAIN));
}

static int
done(const struct healer *hl, size_t i, size_t n)
{
	size_t j;

	for (j = i; j < i + n; j++)
		if (hl->task[j].site == -1)
			return (0);
	return (1);
}

static int
next_want(void *arg, struct ge_want *w)
{
	struct healer *hl = arg;
	size_t i, j, n;

	while ((i = hl->at) < hl->ntasks) {
		n = together(hl, i);
		hl->at += n;
		if (hl->copying ? !copyable(hl, i, n) : done(hl, i, n))
			continue;
		memset(w, 0, sizeof(*w));
		w->segment = hl->task[i].segment;
		w->all = 1;
		w->allowed = hl->copying ? 0 : UINT64_MAX;
		for (j = i; j < i + n; j++) {
			if (hl->copying)
				w->allowed |= (uint64_t)1 << hl->task[j].index;
			else if (hl->task[j].bad)
				w->allowed &= ~((uint64_t)1 <<
				    hl->task[j].index);
		}
		w->need = hl->copying ? (int)n : 0;
		w->brief = hl->copying;
		w->gone = 1;
		w->shares = hl->copying || hl->h->blind ? -1 : 0;
		w->blind = hl->h->blind && hl->kn->m.mode != GE_PLAIN;
		return (1);
	}
	return (0);
}

static int
no_key(struct ge_err *e)
{

	return (ge_fail(e, GE_EREFUSED, "fragments need other places, and the "
	    "manifest that tells so must be signed: give the key with -S"));
}

/*
 * Sites for the tasks i..i+n-1 of a segment; those that stay keep theirs.
 *
 *	now  [n of the set]  out
 *
 * 1 if that takes a new epoch: in this one some domain would have held enough to
 * read.
 */
static int
sites_for(struct healer *hl, size_t i, size_t n, int epoch, int16_t *now,
    struct ge_err *e)
{
	const int16_t *at = heal_places(hl, hl->task[i].segment);
	struct ge_err why;
	size_t j;
	int idx, lost = heal_unsigned(hl, hl->kn) ? -2 : -1;

	for (idx = 0; idx < hl->map.n; idx++)
		now[idx] = at[idx] == -1 || hl->st->gone[at[idx]] ? -2 :
		    at[idx];
	for (j = i; j < i + n; j++)
		if (hl->task[j].site == -1 && (hl->task[j].move ||
		    (at[hl->task[j].index] != -1 &&
		    hl->barred[at[hl->task[j].index]])))
			now[hl->task[j].index] = lost;
		else if (hl->task[j].site != -1)
			now[hl->task[j].index] = hl->task[j].site;
	if (heal_history(hl, hl->task[i].segment, epoch, now, e) == -1)
		return (-1);
	if (ge_rule_choose(&hl->rule, hl->ever, now, hl->shut, e) == 0)
		return (0);
	if (e->code != GE_EREFUSED || hl->kn->m.mode == GE_PLAIN ||
	    hl->h->blind)
		return (-1);
	if (lost == -2)
		return (no_key(e));
	memset(hl->ever, 0, hl->st->sites->n * sizeof(*hl->ever));
	why = *e;
	if (ge_rule_choose(&hl->rule, hl->ever, now, hl->barred, e) == 0)
		return (1);
	*e = why;
	return (-1);
}

/* Is it of an epoch that came since we looked, or that is not proved? */
static int
overtaken(const struct healer *hl, uint32_t segment, int epoch)
{

	return (hl->kn->m.mode != GE_PLAIN && epoch > hl->map.epoch[segment]);
}

/* Tasks i..i+n-1, of which the segment has been fetched. */
static int
treat(struct healer *hl, struct ge_fetch *f, const struct ge_fetched *g,
    size_t i, size_t n, struct ge_err *e)
{
	struct making mk = { .f = f, .g = g, .epoch = g->frag[0].epoch };
	const int16_t *at = heal_places(hl, g->h.segment);
	int16_t now[GE_N_MAX], site[GE_N_MAX];
	uint8_t want[GE_N_MAX], over[GE_N_MAX], (*all)[32] = NULL;
	size_t j;
	int fresh, round, c, rc = -1;

	memset(hl->barred, 0, hl->st->sites->n);
	if ((all = ge_secret_alloc(GE_N_MAX * sizeof(*all), e)) == NULL ||
	    (mk.hdr = ge_alloc(g->h.len, e)) == NULL)
		goto out;
	memcpy(mk.hdr, g->frag[0].hdr, g->h.len);
	if (overtaken(hl, g->h.segment, mk.epoch)) {
		if (mk.epoch > heal_newest(hl, g->h.segment))
			ge_fail(e, GE_EFAIL, "segment %lu has been given new "
			    "shares meanwhile: run again",
			    (unsigned long)g->h.segment);
		else
			ge_fail(e, GE_EREFUSED, "segment %lu: shares of epoch "
			    "%d are not proved to be of its key: left alone",
			    (unsigned long)g->h.segment, mk.epoch);
		goto out;
	}
	if ((fresh = sites_for(hl, i, n, mk.epoch, now, e)) == -1)
		goto out;
	if (fresh == 1)
		fresh = heal_new_epoch(hl, g->h.segment);
	if (fresh == -1) {
		ge_fail(e, GE_EREFUSED, "segment %lu has used up its epochs: "
		    "make a new set", (unsigned long)g->h.segment);
		goto out;
	}
	if (hl->copying && (fresh > 0 || !heal_own_shares(&mk, all))) {
		rc = 0;			/* the other pass does it */
		goto out;
	}
	if (!hl->copying && heal_shares(hl, &mk, fresh, all, e) == -1)
		goto out;
	if (fresh > 0) {
		if ((rc = heal_refresh(hl, &mk, now, e)) == 0)
			for (j = i; j < i + n; j++)
				hl->task[j].site = now[hl->task[j].index];
		goto out;
	}
	for (j = 0; j < n; j++)
		want[j] = hl->task[i + j].index;
	mk.want = want;
	mk.n = (int)n;
	if ((mk.spooled = heal_room(hl, n, g->h.fraglen, e)) == -1 ||
	    heal_payloads(hl, &mk, e) == -1)
		goto out;
	/* A site that fails is passed over for another. */
	for (round = 0; round < HEAL_ROUNDS; round++) {
		for (j = 0, c = 0; j < n; j++) {
			site[j] = hl->task[i + j].site != -1 ||
			    now[want[j]] < 0 ? -1 : now[want[j]];
			over[j] = hl->task[i + j].there &&
			    site[j] == at[want[j]];
			c += site[j] >= 0;
		}
		if (c == 0)
			break;
		if (heal_put(hl, &mk, site, over, e) == -1)
			goto out;
		for (j = 0, c = 0; j < n; j++) {
			if (hl->task[i + j].site != -1)
				continue;
			if (site[j] == -1) {
				c++;
				continue;
			}
			hl->task[i + j].site = site[j];
			if (hl->copying)
				hl->h->copied++;
			else
				hl->h->rebuilt++;
			if ((site[j] != at[want[j]] ||
			    mk.epoch != hl->told[g->h.segment]) &&
			    heal_add_spot(&hl->moved, g->h.segment, want[j],
			    mk.epoch, site[j], e) == -1)
				goto out;
		}
		if (c == 0 || sites_for(hl, i, n, mk.epoch, now, e) != 0)
			break;
	}
	for (j = 0; j < n && !hl->copying; j++)
		if (hl->task[i + j].site == -1) {
			hl->left++;
			ge_fail(e, GE_EDEGRADED, "segment %lu, fragment %d: "
			    "no site takes it", (unsigned long)g->h.segment,
			    want[j]);
			heal_worse(hl, e);
		}
	rc = 0;
out:
	if (mk.hdr != NULL)
		ge_wipe(mk.hdr, g->h.len);
	ge_free(mk.hdr);
	if (all != NULL)
		ge_secret_free(all, GE_N_MAX * sizeof(*all));
	return (rc);
}

/* One pass over the tasks: by copying, or by rebuilding. */
static int
pass(struct healer *hl, int copying, struct ge_err *e)
{
	struct ge_fetch *f;
	struct ge_fetched g;
	uint64_t received, damaged, hedged;
	size_t i = 0, n;
	int rc;

	hl->copying = copying;
	hl->at = 0;
	if ((f = ge_fetch_new(hl->st, hl->kn, &hl->map, POOL, next_want, hl,
	    e)) == NULL)
		return (-1);
	while ((rc = ge_fetch_next(f, &g, e)) != 0) {
		if (rc == -1 && g.slot == NULL)
			break;
		while (hl->task[i].segment != g.want.segment)
			i++;
		n = together(hl, i);
		if (rc == -1 && copying)
			continue;
		if (rc == 1)
			rc = treat(hl, f, &g, i, n, e);
		if (rc == -1 && e->code == GE_EFAIL && g.slot != NULL &&
		    ge_hook_tick(0, e) == -1)
			break;
		if (rc == -1) {
			heal_worse(hl, e);
			hl->left += n;
		}
		rc = 0;
	}
	ge_fetch_counts(f, &received, &damaged, &hedged);
	hl->h->read += received;
	ge_fetch_free(f);
	return (rc);
}

/*
 * Which of the fragments i..i+n-1 that were found elsewhere are there: of the record
 * that is proved, and all of each.  The others have not been found.  1; 0 if the
 * segment was to go on in an epoch of which that is not so any more; -1.
 */
static int
confirm(struct healer *hl, size_t i, size_t n, struct ge_err *e)
{
	int16_t site[GE_N_MAX];
	uint8_t record[32];
	int plain = hl->kn->m.mode == GE_PLAIN, rc = 1, any = 0, idx;
	struct task *t = &hl->task[i];
	size_t j;

	for (idx = 0; idx < hl->map.n; idx++)
		site[idx] = heal_places(hl, t->segment)[idx];
	for (j = 0; j < n; j++)
		if (t[j].found != -1) {
			site[t[j].index] = t[j].found;
			any = 1 + t[j].epoch;
		}
	if (any == 0)
		return (1);
	if (!plain)
		rc = hl->h->blind ? 0 : heal_proved(hl, t->segment, any - 1, 0,
		    site, record, e);
	if (rc == -1 || (rc == 0 && any - 1 > hl->map.epoch[t->segment]))
		return (rc);
	for (j = 0; j < n; j++) {
		if (t[j].found == -1)
			continue;
		if (rc == 0 || site[t[j].index] != t[j].found) {
			t[j].found = -1;
			continue;
		}
		switch (heal_whole(hl, t->segment, t[j].index, any - 1,
		    t[j].found, plain ? NULL : record, e)) {
		case -1:
			return (-1);
		case 0:
			t[j].found = -1;
		}
	}
	return (1);
}

/* The tasks i..i+n-1 are left. */
static void
leave(struct healer *hl, size_t i, size_t n)
{
	struct ge_err e;

	ge_fail(&e, GE_EFAIL, "segment %lu: its new shares are not what they "
	    "were: run again", (unsigned long)hl->task[i].segment);
	heal_worse(hl, &e);
	hl->left += n;
	memmove(&hl->task[i], &hl->task[i + n], (hl->ntasks - i - n) *
	    sizeof(*hl->task));
	hl->ntasks -= n;
}

/*
 * What is whole at another place than the manifest's is there, if the rule allows
 * it: so a repair that was killed goes on.
 */
static int
adopt(struct healer *hl, struct ge_err *e)
{
	int16_t now[GE_N_MAX];
	struct task *t;
	size_t i, j, n;
	int idx;

	for (i = 0; i < hl->ntasks; i += n) {
		n = together(hl, i);
		switch (confirm(hl, i, n, e)) {
		case -1:
			return (-1);
		case 0:
			leave(hl, i, n);
			n = 0;
			continue;
		}
		for (idx = 0; idx < hl->map.n; idx++)
			now[idx] = heal_places(hl, hl->task[i].segment)[idx];
		for (idx = 0; idx < hl->map.n; idx++)
			if (now[idx] != -1 && hl->st->gone[now[idx]])
				now[idx] = -1;
		for (j = i; j < i + n; j++)
			if (hl->task[j].move)
				now[hl->task[j].index] = -1;
		for (j = i; j < i + n; j++) {
			t = &hl->task[j];
			if (t->found == -1)
				continue;
			if (t->epoch > hl->map.epoch[t->segment])
				hl->map.epoch[t->segment] = t->epoch;
			if (!hl->rule.usable[t->found])
				continue;
			for (idx = 0; idx < hl->map.n; idx++)
				if (now[idx] == -1)
					now[idx] = -2;
			now[t->index] = t->found;
			if (heal_history(hl, t->segment, t->epoch, now, e) ==
			    -1)
				return (-1);
			if (ge_rule_check(&hl->rule, hl->ever, now, e) == -1) {
				if (e->code != GE_EREFUSED)
					return (-1);
				now[t->index] = -2;
				continue;
			}
			t->site = t->found;
			heal_places(hl, t->segment)[t->index] = t->found;
			hl->h->adopted++;
			if (heal_add_spot(&hl->moved, t->segment, t->index,
			    t->epoch, t->site, e) == -1)
				return (-1);
		}
	}
	return (0);
}

/* Would the rule allow it?  Segments that it does not allow stay as they are. */
static int
foresee(struct healer *hl, struct ge_err *e)
{
	int16_t now[GE_N_MAX];
	size_t i, j, n, o = 0;

	for (i = 0; i < hl->ntasks; i += n) {
		n = together(hl, i);
		memset(hl->barred, 0, hl->st->sites->n);
		if (sites_for(hl, i, n, hl->map.epoch[hl->task[i].segment],
		    now, e) == -1) {
			if (e->code != GE_EREFUSED)
				return (-1);
			heal_worse(hl, e);
			continue;
		}
		for (j = i; j < i + n; j++)
			hl->task[o++] = hl->task[j];
	}
	hl->ntasks = o;
	return (0);
}

static void
tell_plan(struct healer *hl)
{
	struct ge_finding fd = { .known = 1, .detail = "-" };
	size_t i;
	int16_t at;

	memcpy(fd.setid, hl->kn->setid, GE_SETID);
	for (i = 0; i < hl->ntasks && hl->h->planned != NULL; i++) {
		at = heal_places(hl, hl->task[i].segment)[hl->task[i].index];
		fd.state = hl->task[i].there ? GE_STATE_CORRUPT :
		    hl->task[i].move && at != -1 ? GE_STATE_MISPLACED :
		    GE_STATE_MISSING;
		fd.segment = hl->task[i].segment;
		fd.index = hl->task[i].index;
		fd.site = at == -1 ? "-" : hl->st->sites->site[at].name;
		fd.detail = hl->task[i].move ? "to another site" : "in place";
		hl->h->planned(hl->h->arg, &fd);
	}
}

static int
begin(struct healer *hl, struct ge_err *e)
{
	const struct ge_store *st = hl->st;
	const struct ge_manifest *m = &hl->kn->m;

	if (ge_past_open(&hl->past, st, hl->kn->setid, !hl->h->dry, e) == -1 ||
	    (hl->ever = ge_alloc(st->sites->n * sizeof(*hl->ever), e)) ==
	    NULL || (hl->barred = ge_alloc(st->sites->n, e)) == NULL ||
	    (hl->claim = ge_alloc(st->sites->n * sizeof(*hl->claim), e)) ==
	    NULL || (hl->shut = ge_alloc(st->sites->n, e)) == NULL ||
	    (hl->vote = ge_alloc(st->sites->n, e)) == NULL ||
	    (hl->name = ge_alloc(GE_N_MAX * sizeof(*hl->name), e)) == NULL ||
	    ge_map_init(&hl->map, st->sites, hl->kn, e) == -1 ||
	    (hl->told = ge_alloc(hl->map.nsegs, e)) == NULL ||
	    (hl->later = ge_alloc(hl->map.nsegs, e)) == NULL ||
	    ge_survey_run(st, hl->kn->setid, &hl->sv, e) == -1)
		return (-1);
	memcpy(hl->told, hl->map.epoch, hl->map.nsegs);
	if (ge_rule_init(&hl->rule, st->sites, st->gone, m->k, m->n,
	    m->mode == GE_PLAIN, e) == -1)
		return (-1);
	return (plan(hl, e));
}

/* Before a byte moves. */
static int
may_move(const struct healer *hl, struct ge_err *e)
{
	size_t i;

	if (hl->map.unknown > 0 && hl->ntasks > 0)
		ge_note(GE_WARN, "the sites file lacks %d sites of the "
		    "manifest: what their domains have had cannot be counted",
		    hl->map.unknown);
	if (!heal_unsigned(hl, hl->kn))
		return (0);
	for (i = 0; i < hl->ntasks; i++)
		if (hl->task[i].move)
			return (no_key(e));
	return (0);
}

static int
work(struct healer *hl, struct ge_err *e)
{
	if (adopt(hl, e) == -1)
		return (-1);
	if (hl->ntasks > 0 && (pass(hl, 1, e) == -1 || pass(hl, 0, e) == -1))
		return (-1);
	return (0);
}

/* What is to be said at the end. */
static int
verdict(struct healer *hl, int stored, struct ge_err *e)
{
	const struct ge_known *kn = hl->kn;
	int lacking = -stored;
	size_t i;

	for (i = 0; i < hl->st->sites->n; i++)
		lacking += kn->answered[i] && !hl->st->gone[i];
	if (stored == 0)
		return (ge_fail(e, GE_EFAIL, "no site has taken the manifest: "
		    "keep it"));
	if (hl->why.code != 0 && (hl->why.code != GE_EDEGRADED ||
	    hl->unreachable == 0)) {
		*e = hl->why;
		return (-1);
	}
	if (hl->why.code != 0)
		ge_note(GE_WARN, "%s", hl->why.msg);
	if (hl->unreachable > 0 && hl->strangers == hl->unreachable)
		return (ge_fail(e, GE_EFAIL, "%llu fragments are at sites that "
		    "the sites file lacks and were left: add their lines; "
		    "then -x SITE gives them another",
		    (unsigned long long)hl->unreachable));
	if (hl->unreachable > 0)
		return (ge_fail(e, GE_EFAIL, "%llu fragments are at sites that "
		    "do not answer and were left: -x SITE gives them another",
		    (unsigned long long)hl->unreachable));
	if (lacking > 0)
		return (ge_fail(e, GE_EDEGRADED, "sites without the manifest: "
		    "%d", lacking));
	if (hl->h->blind && kn->m.mode != GE_PLAIN && hl->h->rebuilt > 0)
		return (ge_fail(e, GE_EDEGRADED, "rebuilt without key shares: "
		    "%llu", (unsigned long long)hl->h->rebuilt));
	return (0);
}

static int
dry_run(struct healer *hl, struct ge_err *e)
{

	if (may_move(hl, e) == -1 || foresee(hl, e) == -1)
		return (-1);
	tell_plan(hl);
	if (hl->why.code != GE_EREFUSED)
		return (0);
	*e = hl->why;
	return (-1);
}

/* More than half of the sites that are not gone? */
static int
most(const struct healer *hl, int stored)
{
	size_t i, n = 0;

	for (i = 0; i < hl->st->sites->n; i++)
		n += !hl->st->gone[i];
	return (2 * (size_t)stored > n);
}

int
ge_heal_run(struct ge_heal *h, const struct ge_store *st, struct ge_known *kn,
    struct ge_err *e)
{
	struct healer hl = { .h = h, .st = st, .kn = kn, .spool = -1 };
	int stored, told = 0, rc = -1;
	size_t i;

	if (!kn->has)
		return (ge_fail(e, GE_ELOST, "no manifest of this set is to be "
		    "had: gerepair(1) tells how to make one"));
	if (begin(&hl, e) == -1)
		goto out;
	if (h->dry) {
		rc = dry_run(&hl, e);
		goto out;
	}
	if (may_move(&hl, e) == -1 || work(&hl, e) == -1 ||
	    heal_tell(&hl, &stored, e) == -1)
		goto out;
	told = !hl.untold && most(&hl, stored);
	if (heal_destroy_old(&hl, stored, e) == -1)
		goto out;
	rc = verdict(&hl, stored, e);
out:
	ge_past_close(&hl.past, told);
	ge_map_release(&hl.map);
	ge_rule_release(&hl.rule);
	ge_survey_release(&hl.sv);
	for (i = 0; i < hl.nfresh; i++)
		ge_free(hl.fresh[i].site);
	ge_free(hl.fresh);
	ge_free(hl.task);
	ge_free(hl.found);
	ge_free(hl.told);
	ge_free(hl.later);
	ge_free(hl.whole);
	ge_free(hl.moved.v);
	ge_free(hl.ever);
	ge_free(hl.claim);
	ge_free(hl.barred);
	ge_free(hl.shut);
	ge_free(hl.vote);
	ge_free(hl.name);
	ge_block_free(hl.mem);
	if (hl.spool != -1)
		close(hl.spool);
	return (rc);
}
