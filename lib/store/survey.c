#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_int.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/thread.h"

enum {
	SHOWN = 255		/* of a name that is nothing of ours, this much */
};

/*
 * What one site lists of one set, gathered by the net's thread.
 */
struct lister {
	struct ge_op op;
	char id[2 * GE_SETID + 1];
	struct ge_seen *seen;
	size_t nseen, capseen;
	struct ge_stray *stray;
	size_t nstray, capstray;
	uint64_t leftovers, bytes;
	int manifest;
	struct ge_err err;		/* why we stopped, not the site */
};

static void
forget(struct lister *l)
{

	while (l->nstray > 0)
		ge_free(l->stray[--l->nstray].name);
	l->nseen = 0;
	l->leftovers = l->bytes = 0;
	l->manifest = 0;
}

/* Can it be named below a set's folder? */
static int
safe(const char *name, size_t len)
{
	size_t i;
	char c;

	if (len == 0 || 2 * GE_SETID + 1 + len >= GE_OP_NAME ||
	    (len == 1 && name[0] == '.') ||
	    (len == 2 && name[0] == '.' && name[1] == '.'))
		return (0);
	for (i = 0; i < len; i++) {
		c = name[i];
		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-'))
			return (0);
	}
	return (1);
}

/* A fragment's name below its set's folder.  0, -1. */
static int
fragment(const struct lister *l, const char *name, size_t len,
    uint32_t *segment, int *index, int *epoch)
{
	char full[GE_FRAG_NAME];
	uint8_t setid[GE_SETID];

	if (2 * GE_SETID + 1 + len > sizeof(full))
		return (-1);
	memcpy(full, l->id, 2 * GE_SETID);
	full[2 * GE_SETID] = '/';
	memcpy(full + 2 * GE_SETID + 1, name, len);
	return (ge_frag_name_parse(full, 2 * GE_SETID + 1 + len, setid,
	    segment, index, epoch));
}

/*
 * ".NAME.PID-HEX.tmp", as files are called while they are written, of the name of
 * a fragment.  0, -1.
 */
static int
unfinished(const struct lister *l, const char *name, size_t len,
    uint32_t *segment, int *index, int *epoch)
{
	static const char end[] = ".tmp";
	size_t at;

	if (len < sizeof(end) || name[0] != '.' || memcmp(name + len -
	    (sizeof(end) - 1), end, sizeof(end) - 1) != 0)
		return (-1);
	len -= sizeof(end) - 1;
	for (at = len; at > 1 && strchr("0123456789abcdef-", name[at - 1]) !=
	    NULL && name[at - 1] != '\0'; at--)
		;
	return (at < 3 || at == len || name[at - 1] != '.' ? -1 :
	    fragment(l, name + 1, at - 2, segment, index, epoch));
}

static int
add_stray(struct lister *l, const char *name, size_t len, int folder)
{
	int index, epoch;
	struct ge_stray *s;
	char shown[3 * SHOWN + 1];

	l->leftovers++;
	if (l->nstray == GE_SURVEY_STRAYS)
		return (0);
	(void)ge_percent(shown, sizeof(shown), name, len < SHOWN ? len : SHOWN,
	    0);
	if (ge_grow(&l->stray, &l->capstray, l->nstray + 1, sizeof(*s),
	    &l->err) == -1)
		return (1);
	s = &l->stray[l->nstray];
	if ((s->name = ge_strdup(shown, &l->err)) == NULL)
		return (1);
	s->site = (int16_t)l->op.site;
	s->safe = (uint8_t)safe(name, len);
	s->folder = (uint8_t)folder;
	s->part = !folder && unfinished(l, name, len, &s->segment, &index,
	    &epoch) == 0;
	if (s->part) {
		s->index = (uint8_t)index;
		s->epoch = (uint8_t)epoch;
	}
	l->nstray++;
	return (0);
}

/* One entry; the name is whatever the site likes to say. */
static int
entry(void *arg, const char *name, size_t len, uint64_t size, int folder)
{
	struct lister *l = arg;
	struct ge_seen *s;
	uint32_t segment;
	int index, epoch;

	if (name == NULL) {
		forget(l);
		return (0);
	}
	if (size != GE_OP_UNKNOWN)
		l->bytes = size < UINT64_MAX / 2 - l->bytes ? l->bytes + size :
		    UINT64_MAX / 2;
	if (!folder && len == 8 && memcmp(name, "manifest", 8) == 0) {
		l->manifest = 1;
		return (0);
	}
	if (folder || fragment(l, name, len, &segment, &index, &epoch) == -1)
		return (add_stray(l, name, len, folder));
	if (l->nseen == GE_SURVEY_MAX) {
		ge_fail(&l->err, GE_EFAIL, "it lists more than %d names",
		    GE_SURVEY_MAX);
		return (1);
	}
	if (ge_grow(&l->seen, &l->capseen, l->nseen + 1, sizeof(*s), &l->err) ==
	    -1)
		return (1);
	s = &l->seen[l->nseen++];
	s->segment = segment;
	s->index = (uint8_t)index;
	s->epoch = (uint8_t)epoch;
	s->site = (int16_t)l->op.site;
	s->size = size;
	return (0);
}

static int
by_place(const void *a, const void *b)
{
	const struct ge_seen *x = a, *y = b;

	if (x->segment != y->segment)
		return (x->segment < y->segment ? -1 : 1);
	if (x->index != y->index)
		return (x->index < y->index ? -1 : 1);
	if (x->epoch != y->epoch)
		return (x->epoch < y->epoch ? -1 : 1);
	return (x->site < y->site ? -1 : x->site > y->site);
}

static int
by_name(const void *a, const void *b)
{
	const struct ge_stray *x = a, *y = b;

	if (x->site != y->site)
		return (x->site < y->site ? -1 : 1);
	return (strcmp(x->name, y->name));
}

static void
release(struct lister *l)
{

	forget(l);
	ge_free(l->stray);
	ge_free(l->seen);
	l->stray = NULL;
	l->seen = NULL;
}

/*
 * Put together what the sites listed, each letting go of its own as it is taken:
 * pages of the whole that are not yet written cost nothing.
 */
static int
merge(struct ge_survey *sv, struct lister *l, size_t nsites, struct ge_err *e)
{
	size_t i, n = 0, strays = 0;

	for (i = 0; i < nsites; i++) {
		n += l[i].nseen;
		strays += l[i].nstray;
	}
	if (ge_grow(&sv->seen, &sv->cap, n, sizeof(*sv->seen), e) == -1 ||
	    ge_grow(&sv->stray, &sv->capstray, strays, sizeof(*sv->stray), e) ==
	    -1)
		return (-1);
	for (i = 0; i < nsites; i++) {
		if (l[i].nseen > 0)
			memcpy(sv->seen + sv->nseen, l[i].seen,
			    l[i].nseen * sizeof(*sv->seen));
		sv->nseen += l[i].nseen;
		if (l[i].nstray > 0)
			memcpy(sv->stray + sv->nstray, l[i].stray,
			    l[i].nstray * sizeof(*sv->stray));
		sv->nstray += l[i].nstray;
		l[i].nstray = 0;	/* the names are the survey's now */
		sv->leftovers += l[i].leftovers;
		sv->bytes += l[i].bytes < UINT64_MAX / 2 - sv->bytes ?
		    l[i].bytes : 0;
		release(&l[i]);
	}
	if (sv->nseen > 0)
		qsort(sv->seen, sv->nseen, sizeof(*sv->seen), by_place);
	if (sv->nstray > 0)
		qsort(sv->stray, sv->nstray, sizeof(*sv->stray), by_name);
	for (n = i = 0; i < sv->nseen; i++)
		if (n == 0 || by_place(&sv->seen[n - 1], &sv->seen[i]) != 0)
			sv->seen[n++] = sv->seen[i];
	sv->nseen = n;
	return (0);
}

/* What became of the question to one site. */
static int
judge(struct ge_survey *sv, struct lister *l, const char *name,
    struct ge_err *e)
{
	int site = l->op.site;

	if (l->err.code != 0) {
		/* Not the site's fault, unless it talks without end. */
		if (l->nseen < GE_SURVEY_MAX) {
			*e = l->err;
			return (-1);
		}
		forget(l);
		sv->why[site] = l->err;
		ge_within(&sv->why[site], "site '%s': '%s'", name, l->id);
		return (0);
	}
	switch (l->op.result) {
	case GE_OP_DONE:
		sv->answered[site] = 1;
		sv->manifest[site] = (uint8_t)l->manifest;
		break;
	case GE_OP_ABSENT:
		forget(l);
		sv->answered[site] = 2;
		break;
	default:
		forget(l);
		sv->why[site] = l->op.err;
		if (sv->why[site].code == 0)
			ge_fail(&sv->why[site], GE_EFAIL, "site '%s': '%s': no "
			    "answer", name, l->id);
	}
	return (0);
}

/* When those that have not answered are no longer waited for; -1: not yet known. */
static double
patience(const struct ge_asking *as, size_t answers)
{
	double now = ge_clock(), took = now - as->began, end;

	if (answers <= as->of / 2)
		return (as->limit);
	end = now + (took > as->least ? took : as->least);
	return (as->limit >= 0 && as->limit < end ? as->limit : end);
}

int
ge_ask_all(const struct ge_store *st, struct ge_op *const *op, size_t n,
    double least, int (*other)(void *arg, struct ge_op *op, struct ge_err *e), void *arg,
    struct ge_err *e)
{
	const struct ge_asking as = { .of = n, .began = ge_clock(),
	    .least = least, .limit = -1 };

	return (ge_ask_some(st, op, n, &as, other, arg, e));
}

int
ge_ask_some(const struct ge_store *st, struct ge_op *const *op, size_t n,
    const struct ge_asking *as,
    int (*other)(void *arg, struct ge_op *op, struct ge_err *e), void *arg,
    struct ge_err *e)
{
	struct ge_err ignored;
	size_t i, under_way = n, answers = as->had;
	double end = patience(as, answers), left;
	struct ge_op *done;
	int rc = 0, r;

	for (i = 0; i < n; i++) {
		op[i]->tag = (void *)(uintptr_t)op;
		ge_op_start(st->net, op[i]);
	}
	while (under_way > 0) {
		left = end < 0 ? -1 : end - ge_clock();
		r = rc == -1 || (end >= 0 && left <= 0) ? 0 :
		    ge_net_next(st->net, left, &done, e);
		if (r == 1 && done->tag != op) {
			if (other(arg, done, e) == -1)
				rc = -1;
			continue;
		}
		if (r == 1) {
			under_way--;
			if (done->result != GE_OP_DONE &&
			    done->result != GE_OP_ABSENT)
				continue;
			if (++answers == as->of / 2 + 1)
				end = patience(as, answers);
			continue;
		}
		if (r == -1)
			rc = -1;
		for (i = 0; i < n; i++)
			ge_op_cancel(st->net, op[i]);
		break;
	}
	/* Only ours are waited for now; they come soon. */
	while (under_way > 0 && rc == 0) {
		if ((r = ge_net_next(st->net, -1, &done, e)) == -1)
			rc = -1;
		else if (done->tag == op)
			under_way--;
		else if (other(arg, done, e) == -1)
			rc = -1;
	}
	while (under_way > 0 && (done = ge_net_reclaim(st->net)) != NULL) {
		if (done->tag == op)
			under_way--;
		else
			(void)other(arg, done, &ignored);
	}
	return (rc);
}

static int
many(const struct ge_store *st, const uint8_t (*setid)[GE_SETID], size_t n,
    struct ge_survey *sv, int soon,
    int (*other)(void *arg, struct ge_op *op, struct ge_err *e), void *arg,
    struct ge_err *e)
{
	size_t nsites = st->sites->n, set, i, nops = 0;
	struct lister *l = NULL, *one;
	struct ge_op **op = NULL;
	int rc = -1;

	memset(sv, 0, n * sizeof(*sv));
	if ((l = ge_alloc(n * nsites * sizeof(*l) + 1, e)) == NULL ||
	    (op = ge_alloc(n * nsites * sizeof(struct ge_op *) + 1, e)) == NULL)
		goto out;
	for (set = 0; set < n; set++) {
		if ((sv[set].answered = ge_alloc(nsites + 1, e)) == NULL ||
		    (sv[set].manifest = ge_alloc(nsites + 1, e)) == NULL ||
		    (sv[set].why = ge_alloc(nsites * sizeof(struct ge_err) + 1,
		    e)) == NULL)
			goto out;
		for (i = 0; i < nsites; i++) {
			if (st->gone != NULL && st->gone[i])
				continue;
			one = &l[set * nsites + i];
			ge_hex(one->id, setid[set], GE_SETID);
			one->op.kind = GE_OP_LIST;
			one->op.site = (int)i;
			snprintf(one->op.name, sizeof(one->op.name), "%s/",
			    one->id);
			one->op.entry = entry;
			one->op.arg = one;
			one->op.tries = soon ? 1 : 0;
			op[nops++] = &one->op;
		}
	}
	if ((soon ? ge_ask_all(st, op, nops, 1, other, arg, e) :
	    ge_op_run(st->net, op, nops, e)) == -1)
		goto out;
	for (i = 0; i < nops; i++) {
		one = op[i]->arg;
		if (judge(&sv[(size_t)(one - l) / nsites], one,
		    st->sites->site[one->op.site].name, e) == -1)
			goto out;
	}
	for (set = 0; set < n; set++)
		if (merge(&sv[set], &l[set * nsites], nsites, e) == -1)
			goto out;
	rc = 0;
out:
	for (i = 0; l != NULL && i < n * nsites; i++)
		release(&l[i]);
	ge_free(l);
	ge_free(op);
	return (rc);
}

int
ge_survey_many(const struct ge_store *st, const uint8_t (*setid)[GE_SETID],
    size_t n, struct ge_survey *sv, struct ge_err *e)
{

	return (many(st, setid, n, sv, 0, NULL, NULL, e));
}

int
ge_survey_soon(const struct ge_store *st, const uint8_t setid[GE_SETID],
    struct ge_survey *sv,
    int (*other)(void *arg, struct ge_op *op, struct ge_err *e), void *arg,
    struct ge_err *e)
{

	return (many(st, (const uint8_t (*)[GE_SETID])setid, 1, sv, 1, other,
	    arg, e));
}

int
ge_survey_run(const struct ge_store *st, const uint8_t setid[GE_SETID],
    struct ge_survey *sv, struct ge_err *e)
{

	return (ge_survey_many(st, (const uint8_t (*)[GE_SETID])setid, 1, sv,
	    e));
}

void
ge_survey_release(struct ge_survey *sv)
{

	while (sv->nstray > 0)
		ge_free(sv->stray[--sv->nstray].name);
	ge_free(sv->stray);
	ge_free(sv->seen);
	ge_free(sv->answered);
	ge_free(sv->manifest);
	ge_free(sv->why);
	memset(sv, 0, sizeof(*sv));
}

const struct ge_seen *
ge_survey_find(const struct ge_survey *sv, uint32_t segment, int index,
    size_t *n)
{
	size_t lo = 0, hi = sv->nseen, mid;
	const struct ge_seen *s;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		s = &sv->seen[mid];
		if (s->segment < segment ||
		    (s->segment == segment && s->index < index))
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*n = 0; lo + *n < sv->nseen && sv->seen[lo + *n].segment ==
	    segment && sv->seen[lo + *n].index == index; ++*n)
		;
	return (*n > 0 ? &sv->seen[lo] : NULL);
}

int
ge_survey_peek(const struct ge_store *st, const uint8_t setid[GE_SETID],
    const struct ge_survey *sv, struct ge_hdr *h, size_t *n, struct ge_err *e)
{
	struct peek {
		struct ge_op op;
		uint8_t buf[GE_HDR_FIXED];
	} *p;
	struct ge_op **op = NULL;
	const struct ge_seen *s;
	struct ge_err ignored;
	size_t i, nops = 0;
	int rc = -1;

	*n = 0;
	if ((p = ge_alloc(st->sites->n * sizeof(*p) + 1, e)) == NULL ||
	    (op = ge_alloc(st->sites->n * sizeof(struct ge_op *) + 1, e)) ==
	    NULL)
		goto out;
	for (i = 0; i < sv->nseen && nops < st->sites->n; i++) {
		s = &sv->seen[i];
		if (p[s->site].op.buf != NULL || s->size < GE_HDR_FIXED)
			continue;
		op[nops] = &p[s->site].op;
		op[nops]->kind = GE_OP_GET;
		op[nops]->site = s->site;
		op[nops]->tries = 2;
		op[nops]->buf = p[s->site].buf;
		op[nops]->len = GE_HDR_FIXED;
		ge_frag_name(op[nops++]->name, setid, s->segment, s->index,
		    s->epoch);
	}
	if (ge_op_run(st->net, op, nops, e) == -1)
		goto out;
	for (i = 0; i < nops; i++)
		if (op[i]->result == GE_OP_DONE &&
		    op[i]->got == GE_HDR_FIXED && ge_hdr_peek(&h[*n],
		    op[i]->buf, GE_HDR_FIXED, &ignored) == 0 &&
		    memcmp(h[*n].setid, setid, GE_SETID) == 0)
			++*n;
	rc = 0;
out:
	ge_free(op);
	ge_free(p);
	return (rc);
}
