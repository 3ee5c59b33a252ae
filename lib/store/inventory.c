#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	PREFIX_MIN = 4,			/* digits that may stand for a set id */
	TOGETHER = 8,			/* sets surveyed at once, */
	QUESTIONS = 256,		/* if they are not more questions, */
	ENTRIES = 1 << 20,		/* nor more fragments, than this */
	FOREIGN = 1000,			/* names of a site that are shown */
	LONE = 100,			/* sets looked at that no other site lists */
	SHOWN = 255,			/* of each */
	PATIENCE = 5			/* seconds, for a site slower than most */
};

/*
 * What the folder of one site lists.
 */
struct lister {
	struct ge_op op;
	uint8_t (*id)[GE_SETID];
	size_t n, cap;
	char **foreign;
	size_t nforeign, capforeign;
	uint64_t others;
	struct ge_err err;
};

/* A set that was listed, by so many sites. */
struct found {
	uint8_t setid[GE_SETID];
	int sites;
	int first;			/* one of them */
	int passed;			/* it is only shown */
};

struct inventory {
	struct ge_inventory *iv;
	struct ge_store st;		/* as ours, but gone: */
	uint8_t *silent;		/* 1: did not answer; 2: gone */
	struct found *set;
	size_t nsets, cap;
	uint8_t *meant;			/* [noperands] it was of use */
	uint8_t *isfile;		/* [noperands] a manifest's file, of the set */
	uint8_t (*named)[GE_SETID];	/* [noperands] with this id */
	int refused, failed;		/* sets that are listed */
	int unclear;			/* others: their labels could not be had */
	int answers;			/* sites that have listed theirs */
	uint32_t *lone;			/* [sites->n] sets that no other lists */
	int passed;			/* of them not looked at, all */
};

/* A set that is being looked at. */
struct look {
	const struct found *f;
	struct ge_known kn;
	int nothing;			/* its manifests could not be had */
};

static void
forget(struct lister *l)
{

	while (l->nforeign > 0)
		ge_free(l->foreign[--l->nforeign]);
	l->n = 0;
	l->others = 0;
}

static int
entry(void *arg, const char *name, size_t len, uint64_t size, int folder)
{
	char shown[3 * SHOWN + 1];
	struct lister *l = arg;
	uint8_t id[GE_SETID];

	(void)size;
	if (name == NULL) {
		forget(l);
		return (0);
	}
	if (folder && len == 2 * GE_SETID &&
	    ge_unhex(id, name, GE_SETID) == 0) {
		if (l->n == GE_SURVEY_MAX) {
			ge_fail(&l->err, GE_EFAIL, "too many names");
			return (1);
		}
		if (ge_grow(&l->id, &l->cap, l->n + 1, GE_SETID, &l->err) == -1)
			return (1);
		memcpy(l->id[l->n++], id, GE_SETID);
		return (0);
	}
	if (l->others++ >= FOREIGN)
		return (0);
	(void)ge_percent(shown, sizeof(shown), name, len < SHOWN ? len : SHOWN,
	    0);
	if (ge_grow(&l->foreign, &l->capforeign, l->nforeign + 1,
	    sizeof(*l->foreign), &l->err) == -1 ||
	    (l->foreign[l->nforeign] = ge_strdup(shown, &l->err)) == NULL)
		return (1);
	l->nforeign++;
	return (0);
}

static int
by_id(const void *a, const void *b)
{

	return (memcmp(a, b, GE_SETID));
}

static int
by_text(const void *a, const void *b)
{

	return (strcmp(*(char *const *)a, *(char *const *)b));
}

char *
ge_site_names(char out[GE_SITE_NAMES], const struct ge_sites *sites,
    const uint8_t *which)
{
	static const size_t more = sizeof(" and 65535 more");
	size_t i, len = 0, left = 0;
	int n;

	out[0] = '\0';
	for (i = 0; i < sites->n; i++) {
		if (which[i] != 1)
			continue;
		n = snprintf(out + len, GE_SITE_NAMES - len, " %s",
		    sites->site[i].name);
		if (left > 0 || len + (size_t)n + more > GE_SITE_NAMES)
			left++;
		else
			len += (size_t)n;
	}
	if (left > 0)
		snprintf(out + len, GE_SITE_NAMES - len, " and %zu more", left);
	return (out);
}

/* A site that has not answered is not asked again. */
static void
silence(struct inventory *in, size_t site, const char *why)
{

	if (in->silent[site])
		return;
	in->silent[site] = 1;
	in->iv->unanswered++;
	ge_note(GE_WARN, "%s", why);
}

/* Take the ids of one site, each once. */
static int
take(struct inventory *in, struct lister *l, struct ge_err *e)
{
	const char *name = in->st.sites->site[l->op.site].name;
	size_t i;

	if (l->n > 0)
		qsort(l->id, l->n, GE_SETID, by_id);
	if (ge_grow(&in->set, &in->cap, in->nsets + l->n, sizeof(*in->set), e)
	    == -1)
		return (-1);
	for (i = 0; i < l->n; i++) {
		if (i > 0 && memcmp(l->id[i - 1], l->id[i], GE_SETID) == 0)
			continue;
		memcpy(in->set[in->nsets].setid, l->id[i], GE_SETID);
		in->set[in->nsets].first = l->op.site;
		in->set[in->nsets++].sites = 1;
	}
	if (l->nforeign > 0)
		qsort(l->foreign, l->nforeign, sizeof(*l->foreign), by_text);
	for (i = 0; i < l->nforeign; i++)
		ge_note(GE_SAY, "site '%s': '%s' is no set", name,
		    l->foreign[i]);
	if (l->others > l->nforeign)
		ge_note(GE_SAY, "site '%s': %llu more names are no sets", name,
		    (unsigned long long)(l->others - l->nforeign));
	in->iv->foreign += l->others;
	in->answers++;
	return (0);
}

/* What sets are there, by the word of the sites? */
static int
list_sets(struct inventory *in, struct ge_err *e)
{
	size_t i, n, nsites = in->st.sites->n, nops = 0;
	struct lister *l = NULL, *one;
	struct ge_op **op = NULL;
	int rc = -1;

	if ((l = ge_alloc(nsites * sizeof(*l) + 1, e)) == NULL ||
	    (op = ge_alloc(nsites * sizeof(struct ge_op *) + 1, e)) == NULL)
		goto out;
	for (i = 0; i < nsites; i++) {
		if (in->silent[i])
			continue;
		l[i].op.kind = GE_OP_LIST;
		l[i].op.site = (int)i;
		l[i].op.tries = 1;
		l[i].op.entry = entry;
		l[i].op.arg = &l[i];
		op[nops++] = &l[i].op;
	}
	if (ge_ask_all(&in->st, op, nops, PATIENCE, NULL, NULL, e) == -1)
		goto out;
	for (i = 0; i < nops; i++) {
		one = op[i]->arg;
		if (one->err.code != 0 && one->n < GE_SURVEY_MAX) {
			*e = one->err;
			goto out;
		}
		if (one->err.code != 0 || (op[i]->result != GE_OP_DONE &&
		    op[i]->result != GE_OP_ABSENT)) {
			if (one->err.code != 0)
				ge_within(&one->err, "site '%s'",
				    in->st.sites->site[op[i]->site].name);
			silence(in, (size_t)op[i]->site, one->err.code != 0 ?
			    one->err.msg : op[i]->err.msg);
			continue;
		}
		if (take(in, one, e) == -1)
			goto out;
	}
	if (in->nsets > 0)
		qsort(in->set, in->nsets, sizeof(*in->set), by_id);
	for (i = n = 0; i < in->nsets; i++)
		if (n > 0 && by_id(&in->set[n - 1], &in->set[i]) == 0)
			in->set[n - 1].sites++;
		else
			in->set[n++] = in->set[i];
	in->nsets = n;
	rc = 0;
out:
	for (i = 0; l != NULL && i < nsites; i++) {
		forget(&l[i]);
		ge_free(l[i].foreign);
		ge_free(l[i].id);
	}
	ge_free(l);
	ge_free(op);
	return (rc);
}

/* The sets of which manifests' files are named. */
static int
read_files(struct inventory *in, struct ge_err *e)
{
	uint8_t *text;
	const char *o;
	size_t i, len;
	int rc;

	for (i = 0; i < in->iv->noperands; i++) {
		o = in->iv->operand[i];
		if ((rc = ge_manifest_named(o, e)) == -1)
			return (-1);
		if (rc == 0)
			continue;
		if (ge_manifest_slurp(o, &text, &len, in->named[i], e) == -1)
			return (-1);
		ge_free(text);
		in->isfile[i] = 1;
	}
	return (0);
}

/* Does an operand mean this set, by its file, its id or, if kn is given, its label? */
static int
wanted(struct inventory *in, const uint8_t *setid, const struct ge_known *kn)
{
	char hex[2 * GE_SETID + 1], label[GE_NAME_ROOM];
	const char *o, *name = NULL;
	size_t i, len;
	int yes = in->iv->noperands == 0;

	if (kn != NULL)
		name = kn->has ? kn->m.name : kn->borne;
	ge_hex(hex, setid, GE_SETID);
	for (i = 0; i < in->iv->noperands; i++) {
		if (in->isfile[i]) {
			if (memcmp(in->named[i], setid, GE_SETID) == 0)
				yes = in->meant[i] = 1;
			continue;
		}
		o = in->iv->operand[i];
		len = strlen(o);
		if ((len >= PREFIX_MIN && strncmp(hex, o, len) == 0) ||
		    (name != NULL &&
		    ge_percent(label, sizeof(label), o, len, 1) == 0 &&
		    strcmp(label, name) == 0))
			yes = in->meant[i] = 1;
	}
	return (yes);
}

/*
 * How healthy it is, and what of it is listed, by a manifest.  A segment is there
 * while k indices are listed, and whole if all n of one epoch are.
 */
static void
measure(const struct ge_manifest *m, const struct ge_survey *sv, int heard_all,
    struct ge_entry *en)
{
	uint64_t there = 0, whole = 0, any, of[256] = { 0 };
	uint64_t all = UINT64_MAX >> (GE_N_MAX - m->n);
	const struct ge_seen *s;
	size_t i, j, end;
	int complete, n;

	for (i = 0; i < sv->nseen && sv->seen[i].segment < m->nsegments;
	    i = end) {
		any = 0;
		complete = 0;
		for (end = i; end < sv->nseen && sv->seen[end].segment ==
		    sv->seen[i].segment; end++) {
			s = &sv->seen[end];
			if (s->size < GE_HDR_FIXED || s->index >= m->n)
				continue;
			any |= (uint64_t)1 << s->index;
			of[s->epoch] |= (uint64_t)1 << s->index;
			complete |= of[s->epoch] == all;
		}
		for (j = i; j < end; j++)
			of[sv->seen[j].epoch] = 0;
		for (n = 0; any != 0; any &= any - 1)
			n++;
		en->listed += (uint64_t)n;
		there += n >= m->k;
		whole += (uint64_t)complete;
	}
	en->k = m->k;
	en->n = m->n;
	en->name = m->name;
	en->created = m->created;
	en->length = m->length;
	en->expected = m->nsegments * (uint64_t)m->n;
	en->health = whole == m->nsegments ? GE_HEALTH_WHOLE :
	    !heard_all ? GE_HEALTH_UNKNOWN :
	    there < m->nsegments ? GE_HEALTH_LOST : GE_HEALTH_DEGRADED;
}

/*
 * The same without one: fragments are counted, and k and n are what most of the
 * headers say that are looked at.
 */
static int
guess(struct inventory *in, const uint8_t *setid, const struct ge_survey *sv,
    struct ge_entry *en, struct ge_err *e)
{
	struct ge_hdr *h;
	size_t i, j, nh, votes, most = 0;
	int rc = -1;

	for (i = 0; i < sv->nseen; i++)
		en->listed += i == 0 ||
		    sv->seen[i].segment != sv->seen[i - 1].segment ||
		    sv->seen[i].index != sv->seen[i - 1].index;
	if ((h = ge_alloc(in->st.sites->n * sizeof(*h) + 1, e)) == NULL ||
	    ge_survey_peek(&in->st, setid, sv, h, &nh, e) == -1)
		goto out;
	for (i = 0; i < nh; i++) {
		for (j = 0, votes = 0; j < nh; j++)
			votes += h[j].k == h[i].k && h[j].n == h[i].n;
		if (votes <= most)
			continue;
		most = votes;
		en->k = h[i].k;
		en->n = h[i].n;
	}
	rc = 0;
out:
	ge_free(h);
	return (rc);
}

static void
show_strays(const struct inventory *in, const uint8_t *setid,
    const struct ge_survey *sv)
{
	char hex[2 * GE_SETID + 1];
	size_t i;

	ge_hex(hex, setid, GE_SETID);
	for (i = 0; i < sv->nstray; i++)
		ge_note(GE_SAY, "site '%s': '%s/%s' is left over",
		    in->st.sites->site[sv->stray[i].site].name, hex,
		    sv->stray[i].name);
}

/* All about a set that has been surveyed. */
static int
report(struct inventory *in, const struct look *l, const struct ge_survey *sv,
    struct ge_err *e)
{
	struct ge_entry en;
	int heard_all;
	size_t i;

	memset(&en, 0, sizeof(en));
	for (i = 0; i < in->st.sites->n; i++)
		if (sv->answered[i] == 0 && sv->why[i].code != 0)
			silence(in, i, sv->why[i].msg);
	heard_all = in->iv->unanswered == 0;
	memcpy(en.setid, l->f->setid, GE_SETID);
	en.length = GE_OP_UNKNOWN;
	en.stored = sv->bytes;
	en.nsites = l->f->sites;
	if (l->kn.has) {
		measure(&l->kn.m, sv, heard_all, &en);
	} else {
		if (guess(in, en.setid, sv, &en, e) == -1)
			return (-1);
		en.health = heard_all && !l->nothing ? GE_HEALTH_PARTIAL :
		    GE_HEALTH_UNKNOWN;
	}
	en.leftovers = sv->leftovers + sv->nseen - en.listed;
	show_strays(in, en.setid, sv);
	in->iv->sets++;
	return (in->iv->entry(in->iv->arg, &en, e));
}

/*
 * The manifest of a set: 1 if the set is one of those asked for, 0, or -1.
 */
static int
look_up(struct inventory *in, struct look *l, int labels, struct ge_err *e)
{
	char hex[2 * GE_SETID + 1];
	int rc, yes;

	if (!labels && !wanted(in, l->f->setid, NULL))
		return (0);
	rc = ge_known_load(&in->st, l->f->setid, &l->kn, e);
	if (rc == -1 && ge_hook_tick(0, e) == -1)
		return (-1);
	yes = wanted(in, l->f->setid, &l->kn);
	if (rc == -1) {
		ge_known_release(&l->kn);
		if (e->code == GE_EREFUSED || e->code == GE_EFAIL) {
			in->refused += e->code == GE_EREFUSED && yes;
			in->failed += e->code == GE_EFAIL && yes;
			in->unclear += e->code == GE_EFAIL && !yes;
			l->nothing = 1;
			ge_note(yes ? GE_WARN : GE_SAY, "set %s: %s",
			    ge_hex(hex, l->f->setid, GE_SETID), e->msg);
		}
	}
	return (yes);
}

/*
 * One site can list sets without end: those of one that no other lists are only
 * shown after the first so many, but for those that are named in full.
 */
static int
to_be_passed(struct inventory *in, const struct found *f)
{
	char hex[2 * GE_SETID + 1];
	size_t i;

	if (f->sites > 1 || in->answers < 2 || in->lone[f->first]++ < LONE)
		return (0);
	ge_hex(hex, f->setid, GE_SETID);
	for (i = 0; i < in->iv->noperands; i++)
		if (in->isfile[i] ? memcmp(in->named[i], f->setid,
		    GE_SETID) == 0 : strcmp(in->iv->operand[i], hex) == 0)
			return (0);
	return (1);
}

static int
pass(struct inventory *in, const struct found *f, struct ge_err *e)
{
	struct ge_entry en;

	in->passed++;
	if (!wanted(in, f->setid, NULL))
		return (0);
	memset(&en, 0, sizeof(en));
	memcpy(en.setid, f->setid, GE_SETID);
	en.length = GE_OP_UNKNOWN;
	en.nsites = f->sites;
	en.health = GE_HEALTH_UNKNOWN;
	in->iv->sets++;
	return (in->iv->entry(in->iv->arg, &en, e));
}

static void
show_passed(const struct inventory *in)
{
	size_t i;

	for (i = 0; i < in->st.sites->n; i++)
		if (in->answers > 1 && in->lone[i] > LONE)
			ge_note(GE_WARN, "site '%s': %u sets that no other "
			    "site lists: the first %d were looked at",
			    in->st.sites->site[i].name, in->lone[i], LONE);
}

/* Some sets from the first-th on, as many as can be had at once; *next. */
static int
look_at(struct inventory *in, size_t first, size_t *next, int labels,
    struct ge_err *e)
{
	uint8_t id[TOGETHER][GE_SETID];
	struct ge_survey sv[TOGETHER];
	struct look look[TOGETHER];
	uint64_t fragments = 0;
	size_t i, n = 0;
	int yes, rc = -1;

	memset(look, 0, sizeof(look));
	memset(sv, 0, sizeof(sv));
	for (*next = first; *next < in->nsets && n < TOGETHER &&
	    n * in->st.sites->n < QUESTIONS && fragments < ENTRIES; ++*next) {
		if (in->set[*next].passed) {
			if (n > 0)
				break;
			if (pass(in, &in->set[*next], e) == -1)
				goto out;
			continue;
		}
		look[n].f = &in->set[*next];
		if ((yes = look_up(in, &look[n], labels, e)) == -1)
			goto out;
		if (!yes) {
			ge_known_release(&look[n].kn);
			continue;
		}
		fragments += look[n].kn.has ? look[n].kn.m.nsegments *
		    (uint64_t)look[n].kn.m.n : 0;
		memcpy(id[n], look[n].f->setid, GE_SETID);
		n++;
	}
	if (n > 0 && ge_survey_many(&in->st, (const uint8_t (*)[GE_SETID])id,
	    n, sv, e) == -1)
		goto out;
	for (i = 0; i < n; i++)
		if (report(in, &look[i], &sv[i], e) == -1)
			goto out;
	rc = 0;
out:
	for (i = 0; i < TOGETHER; i++) {
		ge_known_release(&look[i].kn);
		ge_survey_release(&sv[i]);
	}
	return (rc);
}

/* What there is to say in the end. */
static int
result(const struct inventory *in, struct ge_err *e)
{
	const struct ge_inventory *iv = in->iv;
	char silent[GE_SITE_NAMES];
	size_t i;

	(void)ge_site_names(silent, in->st.sites, in->silent);
	if (in->refused > 0)
		return (ge_fail(e, GE_EREFUSED, "sets whose manifests are "
		    "refused: %d", in->refused));
	for (i = 0; i < iv->noperands && in->meant[i]; i++)
		;
	if (i < iv->noperands && in->failed + in->unclear > 0)
		return (ge_fail(e, GE_EFAIL, "'%s': no such set or label; "
		    "sets whose manifests could not be had: %d",
		    iv->operand[i], in->failed + in->unclear));
	if (i < iv->noperands && in->passed > 0)
		return (ge_fail(e, GE_EFAIL, "'%s': no such set or label; "
		    "sets that were not looked at: %d", iv->operand[i],
		    in->passed));
	if (i < iv->noperands && iv->unanswered == 0)
		return (ge_fail(e, GE_ELOST, "'%s': no such set or label",
		    iv->operand[i]));
	if (i < iv->noperands)
		return (ge_fail(e, GE_EFAIL, "'%s': no such set or label; "
		    "sites that did not answer:%s", iv->operand[i], silent));
	if (in->failed > 0)
		return (ge_fail(e, GE_EFAIL, "sets whose manifests could not "
		    "be had: %d%s%s", in->failed, iv->unanswered > 0 ?
		    "; sites that did not answer:" : "", silent));
	if (iv->unanswered > 0)
		return (ge_fail(e, GE_EFAIL, "sites that did not answer:%s",
		    silent));
	return (0);
}

int
ge_inventory_run(struct ge_inventory *iv, const struct ge_store *st,
    struct ge_err *e)
{
	struct inventory in;
	size_t i, next;
	int labels = 0, rc = -1;

	memset(&in, 0, sizeof(in));
	iv->sets = iv->foreign = 0;
	iv->unanswered = 0;
	in.iv = iv;
	in.st = *st;
	if ((in.silent = ge_alloc(st->sites->n + 1, e)) == NULL ||
	    (in.lone = ge_alloc((st->sites->n + 1) * sizeof(*in.lone), e)) ==
	    NULL ||
	    (in.meant = ge_alloc(iv->noperands + 1, e)) == NULL ||
	    (in.isfile = ge_alloc(iv->noperands + 1, e)) == NULL ||
	    (in.named = ge_alloc((iv->noperands + 1) * GE_SETID, e)) == NULL ||
	    read_files(&in, e) == -1)
		goto out;
	for (i = 0; i < st->sites->n; i++)
		in.silent[i] = st->gone[i] ? 2 : 0;
	in.st.gone = in.silent;
	if (list_sets(&in, e) == -1)
		goto out;
	/* Only what is no id may be a label, which takes all manifests. */
	for (i = 0; i < in.nsets; i++)
		(void)wanted(&in, in.set[i].setid, NULL);
	for (i = 0; i < iv->noperands; i++)
		labels |= !in.meant[i];
	for (i = 0; i < in.nsets; i++)
		in.set[i].passed = to_be_passed(&in, &in.set[i]);
	show_passed(&in);
	for (i = 0; i < in.nsets; i = next)
		if (look_at(&in, i, &next, labels, e) == -1)
			goto out;
	rc = result(&in, e);
out:
	ge_free(in.set);
	ge_free(in.silent);
	ge_free(in.lone);
	ge_free(in.meant);
	ge_free(in.isfile);
	ge_free(in.named);
	return (rc);
}
