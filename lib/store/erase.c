#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * Removing a set.  What is done to a site's objects is decided by what it lists,
 * in five sweeps over all sites; a sweep ends before the next begins.
 */
enum sweep {
	FIRST = 1,		/* fragments of the n-k+1 indices, and what was
				   to become one of them */
	LATER,			/* the others */
	STRAYS, MANIFEST, FOLDER
};

enum {
	BATCH = 256,		/* removals begun together */
	SHARE = 64,		/* of them at one site */
	FAILURES = 3,		/* in a row: it does not answer any more */
	DENIALS = 16		/* in a row: it will not */
};

struct eraser {
	struct ge_erase *r;
	const struct ge_store *st;
	const uint8_t *setid;
	char id[2 * GE_SETID + 1];
	struct ge_survey sv;
	uint8_t *sweep;			/* [nseen] FIRST or LATER; 0: could not be
					   removed, and said so */
	uint32_t *order;		/* [nseen] by site */
	uint8_t *holds, *silent;	/* [sites->n] it lists something; did not
					   answer */
	struct part {
		uint32_t segment, stray;
	} *part;			/* [nparts] by segment */
	size_t nparts;
	uint8_t *early;			/* [nstray] goes with FIRST */
	struct at {
		size_t first, end;	/* of order */
		size_t next;		/* of what is swept */
		int failures, denials;	/* in a row */
		int dead;
		int keeps;		/* something is left that we tried */
		int told;		/* that its manifest is */
	} *at;				/* [sites->n] */
};

struct removal {
	struct ge_op op;
	size_t seen;			/* which of sv.seen; SIZE_MAX: none */
};

static void
tell(const struct eraser *er, int site, const char *name, const char *why)
{
	char full[4 * GE_OP_NAME + 800];

	if (er->r->removed == NULL)
		return;
	snprintf(full, sizeof(full), "%s/%s", er->id, name);
	er->r->removed(er->r->arg, er->st->sites->site[site].name, full, why);
}

static void
leave(struct eraser *er, int site, const char *name, const char *why)
{

	er->r->left++;
	er->at[site].keeps = 1;
	tell(er, site, name, why);
}

static const struct ge_stray *
part_of(const struct eraser *er, size_t i)
{

	return (&er->sv.stray[er->part[i].stray]);
}

/*
 * Which fragments go first: of each segment those of n-k+1 listed indices, from
 * another one on in each, for all sites to have work.  Without knowledge of k
 * all.
 */
static void
choose(struct eraser *er, int k, int n)
{
	const struct ge_survey *sv = &er->sv;
	size_t i, j, p, end, pend;
	uint64_t listed, chosen;
	uint32_t segment;
	int take, from, idx;

	for (i = p = 0; i < sv->nseen || p < er->nparts; i = end, p = pend) {
		listed = chosen = 0;
		segment = UINT32_MAX;
		if (i < sv->nseen)
			segment = sv->seen[i].segment;
		if (p < er->nparts && part_of(er, p)->segment < segment)
			segment = part_of(er, p)->segment;
		for (end = i; end < sv->nseen && sv->seen[end].segment ==
		    segment; end++)
			listed |= (uint64_t)1 << sv->seen[end].index;
		for (pend = p; pend < er->nparts && part_of(er, pend)->segment
		    == segment; pend++)
			listed |= (uint64_t)1 << part_of(er, pend)->index;
		from = (int)(segment % GE_N_MAX);
		take = k == 0 ? GE_N_MAX : n - k + 1;
		if (k != 0)
			from %= n;
		for (j = 0; j < GE_N_MAX && take > 0; j++) {
			idx = (int)((size_t)from + j) % GE_N_MAX;
			if ((listed >> idx & 1) == 0)
				continue;
			chosen |= (uint64_t)1 << idx;
			take--;
		}
		for (j = i; j < end; j++)
			er->sweep[j] = (chosen >> sv->seen[j].index & 1) != 0 ?
			    FIRST : LATER;
		for (j = p; j < pend; j++)
			er->early[er->part[j].stray] = (chosen >> part_of(er,
			    j)->index & 1) != 0;
	}
}

/*
 * k and n for that: of all that the manifest and the headers say, and the indices
 * that are listed, what makes most go first.
 */
static int
bounds(struct eraser *er, int *k, int *n, struct ge_err *e)
{
	struct ge_hdr *h;
	size_t i, nh;
	int rc = -1;

	*k = er->r->k;
	*n = er->r->n;
	if ((h = ge_alloc(er->st->sites->n * sizeof(*h) + 1, e)) == NULL ||
	    ge_survey_peek(er->st, er->setid, &er->sv, h, &nh, e) == -1)
		goto out;
	for (i = 0; i < nh; i++) {
		if (*k == 0 || h[i].k < *k)
			*k = h[i].k;
		if (h[i].n > *n)
			*n = h[i].n;
	}
	for (i = 0; i < er->sv.nseen; i++)
		if (er->sv.seen[i].index >= *n)
			*n = er->sv.seen[i].index + 1;
	for (i = 0; i < er->nparts; i++)
		if (part_of(er, i)->index >= *n)
			*n = part_of(er, i)->index + 1;
	rc = 0;
out:
	ge_free(h);
	return (rc);
}

static int
by_segment(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return (x->segment < y->segment ? -1 : x->segment > y->segment);
}

/* What was to become a fragment, by segment. */
static int
arrange_parts(struct eraser *er, struct ge_err *e)
{
	const struct ge_survey *sv = &er->sv;
	size_t i;

	if ((er->early = ge_alloc(sv->nstray + 1, e)) == NULL ||
	    (er->part = ge_alloc((sv->nstray + 1) * sizeof(*er->part), e)) ==
	    NULL)
		return (-1);
	for (i = 0; i < sv->nstray; i++)
		if (sv->stray[i].part && sv->stray[i].safe) {
			er->part[er->nparts].segment = sv->stray[i].segment;
			er->part[er->nparts++].stray = (uint32_t)i;
		}
	if (er->nparts > 0)
		qsort(er->part, er->nparts, sizeof(*er->part), by_segment);
	return (0);
}

/* The fragments by site. */
static int
arrange(struct eraser *er, struct ge_err *e)
{
	const struct ge_survey *sv = &er->sv;
	size_t i, sum = 0, nsites = er->st->sites->n;
	struct at *at;

	if (sv->nseen > UINT32_MAX)
		return (ge_fail(e, GE_EFAIL, "too many fragments"));
	if ((er->sweep = ge_alloc(sv->nseen + 1, e)) == NULL ||
	    (er->order = ge_alloc((sv->nseen + 1) * sizeof(*er->order), e)) ==
	    NULL)
		return (-1);
	for (i = 0; i < sv->nseen; i++)
		er->at[sv->seen[i].site].end++;
	for (i = 0; i < nsites; i++) {
		at = &er->at[i];
		at->first = sum;
		sum += at->end;
		at->end = at->first;
	}
	for (i = 0; i < sv->nseen; i++)
		er->order[er->at[sv->seen[i].site].end++] = (uint32_t)i;
	return (0);
}

/* The next name that this sweep is to remove from a site: 1, or 0. */
static int
next_name(struct eraser *er, enum sweep sweep, int site,
    char name[GE_OP_NAME], size_t *seen)
{
	struct at *at = &er->at[site];
	const struct ge_seen *s;
	const struct ge_stray *t;
	size_t i;

	*seen = SIZE_MAX;
	switch (sweep) {
	case FIRST:
	case LATER:
		for (; at->first + at->next < at->end; ) {
			*seen = er->order[at->first + at->next++];
			if (er->sweep[*seen] != sweep)
				continue;
			s = &er->sv.seen[*seen];
			ge_frag_name(name, er->setid, s->segment, s->index,
			    s->epoch);
			return (1);
		}
		*seen = SIZE_MAX;
		while (sweep == FIRST && at->first + at->next <
		    at->end + er->sv.nstray) {
			i = at->first + at->next++ - at->end;
			t = &er->sv.stray[i];
			if (t->site != site || !er->early[i])
				continue;
			snprintf(name, GE_OP_NAME, "%s/%s", er->id, t->name);
			return (1);
		}
		return (0);
	case STRAYS:
		while (at->next < er->sv.nstray) {
			i = at->next++;
			t = &er->sv.stray[i];
			if (t->site != site || !t->safe || t->folder ||
			    er->early[i])
				continue;
			snprintf(name, GE_OP_NAME, "%s/%s", er->id, t->name);
			return (1);
		}
		return (0);
	case MANIFEST:
		/* One that it does not list may be there all the same. */
		if (at->next++ > 0 || er->sv.answered[site] == 0 || at->keeps ||
		    (er->r->dry && !er->sv.manifest[site]))
			return (0);
		snprintf(name, GE_OP_NAME, "%s/manifest", er->id);
		return (1);
	case FOLDER:
		if (at->next++ > 0 || er->sv.answered[site] != 1 || at->keeps ||
		    er->r->dry)
			return (0);
		snprintf(name, GE_OP_NAME, "%s/", er->id);
		return (1);
	}
	return (0);
}

/* What became of a removal. */
static void
finish(struct eraser *er, enum sweep sweep, const struct removal *m)
{
	const struct ge_op *op = &m->op;
	struct at *at = &er->at[op->site];
	const char *name = op->name + 2 * GE_SETID + 1;

	if (op->result == GE_OP_DONE || op->result == GE_OP_ABSENT) {
		at->failures = at->denials = 0;
		/* S3 says so of what was never there. */
		if (op->result == GE_OP_DONE && sweep != FOLDER &&
		    (sweep != MANIFEST || er->sv.manifest[op->site])) {
			er->r->objects++;
			tell(er, op->site, name, NULL);
		}
		return;
	}
	if (sweep == FOLDER)
		return;		/* an empty folder is nobody's loss */
	if (op->result == GE_OP_DENIED)
		at->dead |= ++at->denials == DENIALS;
	else
		at->dead |= ++at->failures == FAILURES;
	at->told |= sweep == MANIFEST;
	leave(er, op->site, name, op->err.msg);
	if (m->seen != SIZE_MAX)
		er->sweep[m->seen] = 0;
}

/* What a site that has died keeps is not tried one by one. */
static void
give_up(struct eraser *er, enum sweep sweep, int site)
{
	char name[GE_OP_NAME], why[160];
	unsigned long long n = 0;
	size_t seen;

	while (next_name(er, sweep, site, name, &seen)) {
		if (seen != SIZE_MAX)
			er->sweep[seen] = 0;
		n++;
	}
	if (n == 0)
		return;
	snprintf(why, sizeof(why), "%llu more not tried after so many failures",
	    n);
	leave(er, site, "", why);
	er->r->left += n - 1;
}

static int
sweep_all(struct eraser *er, enum sweep sweep, struct ge_err *e)
{
	size_t i, j, n, given, nsites = er->st->sites->n;
	struct removal *m = NULL, *one;
	struct ge_op *op[BATCH];
	char name[GE_OP_NAME];
	int rc = -1;

	for (i = 0; i < nsites; i++)
		er->at[i].next = 0;
	if (er->r->dry) {
		for (i = 0; i < nsites; i++)
			while (next_name(er, sweep, (int)i, name, &j))
				tell(er, (int)i, name + 2 * GE_SETID + 1, NULL);
		return (0);
	}
	if ((m = ge_alloc(BATCH * sizeof(*m), e)) == NULL)
		goto out;
	do {
		/* One a site in turn. */
		memset(m, 0, BATCH * sizeof(*m));
		for (n = j = 0, given = 1; given > 0 && j < SHARE; j++)
			for (given = i = 0; i < nsites && n < BATCH; i++) {
				one = &m[n];
				if (er->at[i].dead || !next_name(er, sweep,
				    (int)i, one->op.name, &one->seen))
					continue;
				one->op.kind = GE_OP_REMOVE;
				one->op.site = (int)i;
				op[n++] = &one->op;
				given++;
			}
		if (ge_op_run(er->st->net, op, n, e) == -1)
			goto out;
		for (i = 0; i < n; i++)
			finish(er, sweep, &m[i]);
	} while (n > 0);
	for (i = 0; i < nsites; i++)
		if (er->at[i].dead && sweep != FOLDER)
			give_up(er, sweep, (int)i);
	rc = 0;
out:
	ge_free(m);
	return (rc);
}

/* Names that cannot be removed, whatever is tried. */
static void
unremovable(struct eraser *er)
{
	const struct ge_stray *t;
	size_t i;

	for (i = 0; i < er->sv.nstray; i++) {
		t = &er->sv.stray[i];
		if (t->safe && !t->folder)
			continue;
		er->r->left++;
		tell(er, t->site, t->name, t->folder ?
		    "a folder, which no set has" :
		    "not a name that a site can be asked for");
	}
	if (er->sv.leftovers > er->sv.nstray)
		ge_note(GE_WARN, "there are %llu more names that no set has",
		    (unsigned long long)(er->sv.leftovers - er->sv.nstray));
}

static int
same(const struct ge_seen *a, const struct ge_seen *b)
{

	return (a->segment == b->segment && a->index == b->index &&
	    a->epoch == b->epoch && a->site == b->site);
}

/* How was this fragment dealt with?  LATER if we had not seen it. */
static int
swept(const struct eraser *er, const struct ge_seen *s)
{
	const struct ge_seen *f;
	size_t i, n;

	f = ge_survey_find(&er->sv, s->segment, s->index, &n);
	for (i = 0; i < n; i++)
		if (same(&f[i], s))
			return (er->sweep[&f[i] - er->sv.seen]);
	return (LATER);
}

/* Ask again: what is still there? */
static int
look_again(struct eraser *er, struct ge_err *e)
{
	char name[GE_FRAG_NAME];
	struct ge_survey now;
	struct ge_erase *r = er->r;
	const struct ge_seen *s;
	const struct ge_stray *t;
	size_t i;
	int how, rc = -1;

	if (ge_survey_run(er->st, er->setid, &now, e) == -1)
		goto out;
	for (i = 0; i < now.nseen; i++) {
		s = &now.seen[i];
		how = swept(er, s);
		if (how == 0 || (r->shares && how != FIRST))
			continue;
		ge_frag_name(name, er->setid, s->segment, s->index, s->epoch);
		leave(er, s->site, name + 2 * GE_SETID + 1,
		    "it is listed still");
	}
	for (i = 0; i < now.nstray && !r->shares; i++) {
		t = &now.stray[i];
		if (t->safe && !t->folder && !er->at[t->site].keeps)
			leave(er, t->site, t->name, "it is listed still");
	}
	for (i = 0; i < er->st->sites->n; i++) {
		if (now.manifest[i] && !r->shares && !er->at[i].told)
			leave(er, (int)i, "manifest", er->at[i].keeps ?
			    "kept, as something else is left" :
			    "it is listed still");
		/* It went silent while we were at it. */
		if (er->sv.answered[i] != 0 && now.answered[i] == 0) {
			leave(er, (int)i, "", now.why[i].msg);
			er->silent[i] = 1;
			r->unanswered++;
		}
	}
	rc = 0;
out:
	ge_survey_release(&now);
	return (rc);
}

/* Count what there is, and name the sites that do not say. */
static void
count(struct eraser *er)
{
	const struct ge_survey *sv = &er->sv;
	struct ge_erase *r = er->r;
	size_t i;

	r->found = sv->nseen;
	r->bytes = sv->bytes;
	for (i = 0; i < sv->nstray; i++)
		er->holds[sv->stray[i].site] = 1;
	for (i = 0; i < er->st->sites->n; i++) {
		er->holds[i] |= er->at[i].end > er->at[i].first ||
		    sv->manifest[i];
		r->sites += er->holds[i];
		if (sv->answered[i] != 0)
			continue;
		if (er->st->gone[i]) {
			ge_note(GE_SAY, "site '%s' was not asked",
			    er->st->sites->site[i].name);
			continue;
		}
		er->silent[i] = 1;
		r->unanswered++;
		ge_note(GE_WARN, "site '%s' did not answer: what it holds is "
		    "still there", er->st->sites->site[i].name);
		tell(er, (int)i, "", sv->why[i].msg);
	}
}

static int
result(const struct eraser *er, struct ge_err *e)
{
	const struct ge_erase *r = er->r;
	unsigned long long left = r->left;
	char silent[GE_SITE_NAMES];

	(void)ge_site_names(silent, er->st->sites, er->silent);
	if (left > 0 && r->unanswered > 0)
		return (ge_fail(e, GE_EFAIL, "set %s: objects left: %llu; "
		    "sites that did not answer:%s", er->id, left, silent));
	if (left > 0)
		return (ge_fail(e, GE_EFAIL, "set %s: objects left: %llu",
		    er->id, left));
	if (r->unanswered > 0)
		return (ge_fail(e, GE_EFAIL, "set %s: sites that did not "
		    "answer:%s", er->id, silent));
	return (0);
}

int
ge_erase_run(struct ge_erase *r, const struct ge_store *st,
    const uint8_t setid[GE_SETID], struct ge_err *e)
{
	static const enum sweep order[] = {
		FIRST, LATER, STRAYS, MANIFEST, FOLDER
	};
	struct eraser er;
	size_t i;
	int k, n, rc = -1;

	memset(&er, 0, sizeof(er));
	er.r = r;
	er.st = st;
	er.setid = setid;
	ge_hex(er.id, setid, GE_SETID);
	r->found = r->bytes = r->objects = r->left = 0;
	r->sites = r->unanswered = 0;
	if ((er.at = ge_alloc(st->sites->n * sizeof(*er.at) + 1, e)) == NULL ||
	    (er.holds = ge_alloc(st->sites->n + 1, e)) == NULL ||
	    (er.silent = ge_alloc(st->sites->n + 1, e)) == NULL ||
	    ge_survey_run(st, setid, &er.sv, e) == -1 ||
	    arrange(&er, e) == -1 || arrange_parts(&er, e) == -1)
		goto out;
	count(&er);
	if (bounds(&er, &k, &n, e) == -1)
		goto out;
	if (k == 0 && er.sv.nseen > 0 && r->shares) {
		ge_fail(e, GE_EREFUSED, "set %s: nothing tells k and n", er.id);
		goto out;
	}
	choose(&er, k, n);
	r->holds = er.holds;
	if (r->ask != NULL && !r->ask(r->arg, r)) {
		ge_fail(e, GE_EREFUSED, "set %s: not removed: the answer was "
		    "no", er.id);
		goto out;
	}
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (r->shares && order[i] != FIRST)
			break;
		if (order[i] == STRAYS)
			unremovable(&er);
		if (sweep_all(&er, order[i], e) == -1)
			goto out;
	}
	if (!r->dry && look_again(&er, e) == -1)
		goto out;
	rc = result(&er, e);
out:
	ge_survey_release(&er.sv);
	ge_free(er.sweep);
	ge_free(er.order);
	ge_free(er.holds);
	ge_free(er.silent);
	ge_free(er.part);
	ge_free(er.early);
	ge_free(er.at);
	r->holds = NULL;
	return (rc);
}
