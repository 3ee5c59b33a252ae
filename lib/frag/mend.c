#define _GNU_SOURCE		/* copy_file_range */
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "code/code.h"
#include "frag/assess_int.h"
#include "frag/decode_int.h"
#include "frag/frag.h"
#include "frag/pile_int.h"
#include "seal/seal.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/par.h"
#include "util/sha256.h"

/*
 * First every segment in question is assessed, and only if none is lost is
 * anything written.  A segment is then rebuilt stripe by stripe into nameless
 * files, which take their names when all of their blocks have been checked.
 */

/* A segment that needs work. */
struct patient {
	struct ge_assess as;
	struct ge_group *g;
	uint8_t want[GE_N_MAX];		/* indices to write */
	int nwant;
};

struct target {
	struct ge_file file;
	char *path;
	struct ge_frag *old;		/* what lies there and is damaged */
	int keep;			/* take over the header of `old` unread */
};

struct worker {
	uint8_t *buf;			/* [k + nwant][B] */
	struct ge_rs_plan plan;
	uint8_t have[GE_N_MAX], need[GE_N_MAX];
	int nneed, planned;
};

struct mender {
	struct ge_mend *m;
	struct ge_pile *p;
	struct ge_choice c;
	struct patient *patient;
	size_t npatients, cappatients;
	int home[GE_N_MAX];		/* operand for each index, or -1 */
	int *load;			/* [nsites] indices at home there */
	int shareless;			/* a fragment stays without a share */
	/* The patient at work. */
	struct patient *now;
	struct target target[GE_N_MAX];	/* [nwant] */
	struct worker *worker;		/* [jobs] */
	struct ge_rs rs;
	uint8_t *hdr;			/* of the chosen record */
	uint8_t (*shares)[GE_KEY];	/* [n], secret */
	_Atomic uint64_t read;
};

/*
 * 12.2: the first record, newest first, whose n shares recomputed from k match
 * all its commitments, and whose key the header commits to if that can be told.
 * -2: none.
 */
static int64_t
sound_record(struct mender *md, struct ge_group *g, uint8_t (*shares)[GE_KEY],
    uint8_t *hdr, struct ge_err *e)
{
	struct ge_hdr own = g->h;
	uint8_t idx[GE_N_MAX], (*some)[GE_KEY] = NULL;
	uint32_t *order = NULL;
	int64_t rc = -1;
	size_t r, n, f;
	int i, got;

	if ((some = ge_secret_alloc(GE_N_MAX * GE_KEY, e)) == NULL ||
	    (order = ge_alloc(g->nrecords * sizeof(*order), e)) == NULL)
		goto out;
	e->sys = 0;
	n = ge_records_order(g, order);
	for (r = 0; r < n; r++) {
		got = ge_shares_gather(md->p, g, order[r], idx, some, e);
		if (got == -1)
			goto out;
		/* The header with this record's commitments. */
		for (f = 0, i = 0; f < g->nfrags && got == 1 && i != 1; f++)
			if (g->frag[f].record == order[r] &&
			    (i = ge_frag_header(md->p, g, &g->frag[f], hdr,
			    e)) == -1)
				goto out;
		if (got == 0 || i != 1)
			continue;
		own.epoch = g->record[order[r]].epoch;
		i = ge_shares_all(&own, hdr, g->dh, idx,
		    (const uint8_t (*)[GE_KEY])some, shares, e);
		if (i == -1)
			goto out;
		if (i == 0)
			continue;
		rc = order[r];
		goto out;
	}
	/* A header that could not be opened contradicts nothing. */
	rc = e->sys == EMFILE || e->sys == ENFILE ? -1 : -2;
out:
	ge_wipe(hdr + own.share, GE_KEY);
	if (some != NULL)
		ge_secret_free(some, GE_N_MAX * GE_KEY);
	ge_free(order);
	return (rc);
}

/* Does the report name this fragment; with -1, any of the segment? */
static int
listed(const struct ge_mend *m, const struct ge_hdr *h, int index)
{
	size_t lo = 0, hi = m->nreport, mid;

	if (m->report == NULL)
		return (1);
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (m->report[mid].segment < h->segment ||
		    (m->report[mid].segment == h->segment &&
		    m->report[mid].index < index))
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo < m->nreport && m->report[lo].segment == h->segment &&
	    (index == -1 || m->report[lo].index == index));
}

/*
 * Assess one segment; it becomes a patient if it needs work.
 */
static int
examine(struct mender *md, struct ge_group *g, struct ge_err *e)
{
	const struct ge_hdr *h = &g->h;
	struct patient *pt;
	uint8_t (*shares)[GE_KEY] = NULL, *hdr = NULL;
	int64_t record = -1;
	uint64_t whole;
	int i, rc = -1, secret = h->mode != GE_PLAIN && !md->m->blind;

	if (secret) {
		if ((shares = ge_secret_alloc(GE_N_MAX * GE_KEY, e)) == NULL ||
		    (hdr = ge_alloc(h->len, e)) == NULL)
			goto out;
		if ((record = sound_record(md, g, shares, hdr, e)) == -1)
			goto out;
	}
	if (ge_grow(&md->patient, &md->cappatients, md->npatients + 1,
	    sizeof(*md->patient), e) == -1)
		goto out;
	pt = &md->patient[md->npatients++];
	memset(pt, 0, sizeof(*pt));
	pt->g = g;
	if (ge_assess_run(&pt->as, md->p, g, record == -2 ? -1 : record,
	    md->m->jobs, NULL, e) == -1)
		goto out;
	atomic_fetch_add(&md->read, pt->as.checked * h->block);
	if (ge_assess_lost(&pt->as)) {
		ge_fail(e, GE_ELOST, "segment %lu is lost: nothing was "
		    "written", (unsigned long)h->segment);
		goto out;
	}
	/* Without looking at shares a body is all there is to make. */
	whole = pt->as.whole;
	if (h->mode != GE_PLAIN && md->m->blind) {
		whole = pt->as.body;
		md->shareless |= pt->as.whole != whole;
	}
	for (i = 0; i < h->n; i++)
		if ((whole >> i & 1) == 0 && listed(md->m, h, i))
			pt->want[pt->nwant++] = (uint8_t)i;
	if (pt->nwant > 0 && record == -2) {
		ge_fail(e, GE_EREFUSED, "segment %lu: the shares contradict "
		    "the header", (unsigned long)h->segment);
		goto out;
	}
	if (pt->nwant == 0) {
		ge_assess_release(&pt->as);
		md->npatients--;
	} else if (!md->m->dry) {
		ge_assess_trim(&pt->as);
	}
	rc = 0;
out:
	if (shares != NULL)
		ge_secret_free(shares, GE_N_MAX * GE_KEY);
	ge_free(hdr);
	return (rc);
}

/*
 * Does the fragment show that its index was given to the operand it lies in?  A
 * header alone is no proof: any host can write the header of any index.  A valid
 * share is one; where shares are not read or there are none, nothing is given
 * away by believing it.
 */
static int
at_home(const struct mender *md, const struct ge_group *g,
    const struct ge_frag *f)
{

	return (f->path != NULL &&
	    (g->h.mode == GE_PLAIN || md->m->blind || f->share_ok));
}

/*
 * Where each index lives: the operand that has it in most segments; an index that
 * is nowhere goes where the fewest are.
 */
static int
find_homes(struct mender *md, struct ge_err *e)
{
	size_t nsites = md->p->nsites, s, f;
	const struct ge_hdr *h = &md->c.group[0]->h;
	uint32_t *votes;
	int i, site, best;

	if ((votes = ge_alloc(GE_N_MAX * nsites * sizeof(*votes), e)) == NULL ||
	    (md->load = ge_alloc(nsites * sizeof(*md->load), e)) == NULL) {
		ge_free(votes);
		return (-1);
	}
	for (s = 0; s < md->c.n; s++)
		for (f = 0; f < md->c.group[s]->nfrags; f++) {
			const struct ge_frag *fr = &md->c.group[s]->frag[f];

			if (at_home(md, md->c.group[s], fr))
				votes[fr->index * nsites + (size_t)fr->site]++;
		}
	for (i = 0; i < h->n; i++) {
		const uint32_t *v = votes + (size_t)i * nsites;

		for (best = 0, site = 1; (size_t)site < nsites; site++)
			if (v[site] > v[best] || (v[site] == v[best] &&
			    md->load[site] < md->load[best]))
				best = site;
		md->home[i] = best;
		/* Those that have a place first, then the others. */
		if (v[best] > 0)
			md->load[best]++;
		else
			md->home[i] = -1;
	}
	for (i = 0; i < h->n; i++) {
		if (md->home[i] != -1)
			continue;
		for (best = 0, site = 1; (size_t)site < nsites; site++)
			if (md->load[site] < md->load[best])
				best = site;
		md->home[i] = best;
		md->load[best]++;
	}
	ge_free(votes);
	return (0);
}

/* Say so if a repair gives one of several operands as many as can be read. */
static void
warn_of_hoards(const struct mender *md)
{
	const struct ge_hdr *h = &md->c.group[0]->h;
	uint64_t wanted = 0, told = 0;
	size_t i;
	int j;

	for (i = 0; i < md->npatients; i++)
		for (j = 0; j < md->patient[i].nwant; j++)
			wanted |= (uint64_t)1 << md->patient[i].want[j];
	for (j = 0; j < h->n; j++) {
		int site = md->home[j];

		if (md->p->nsites < 2 || h->mode == GE_PLAIN ||
		    (wanted >> j & 1) == 0 || md->load[site] < h->k ||
		    (told >> (site & 63) & 1) != 0)
			continue;
		told |= (uint64_t)1 << (site & 63);
		ge_note(GE_WARN, "'%s' gets %d of %d fragments: enough to "
		    "read the set", md->p->site[site], md->load[site], h->n);
	}
}

/*
 * The damaged fragment that a rebuilt one may replace where it lies: of this
 * index and record, under its own name, and rightly there.
 */
static struct ge_frag *
replaces(const struct mender *md, const struct patient *pt, int index)
{
	struct ge_group *g = pt->g;
	char name[GE_FRAG_NAME];
	const char *base;
	size_t i;

	for (i = 0; i < g->nfrags; i++) {
		struct ge_frag *f = &g->frag[i];

		if (f->index != index || f->record != (uint32_t)pt->as.record ||
		    f->path == NULL || (f->site != md->home[index] &&
		    (md->m->blind || !at_home(md, g, f))))
			continue;
		ge_frag_name(name, g->h.setid, g->h.segment, index, f->epoch);
		base = strrchr(f->path, '/');
		base = base == NULL ? f->path : base + 1;
		if (strcmp(base, strchr(name, '/') + 1) == 0)
			return (f);
	}
	return (NULL);
}

/* The path of index i: where its damaged fragment lies, or its proper place. */
static int
aim(struct mender *md, struct target *t, int index, int epoch, struct ge_err *e)
{
	const struct ge_hdr *h = &md->now->g->h;
	const char *dir = md->p->site[md->home[index]], *base;
	char name[GE_FRAG_NAME], id[2 * GE_SETID + 1], *real;
	size_t len;
	int rc = 0;

	t->old = replaces(md, md->now, index);
	t->keep = t->old != NULL && md->m->blind && h->mode != GE_PLAIN &&
	    t->old->has_share;
	md->shareless |= md->m->blind && h->mode != GE_PLAIN && !t->keep;
	if (t->old != NULL)
		return ((t->path = ge_strdup(t->old->path, e)) == NULL ? -1 :
		    0);
	/* DIR/<set>/NAME, or DIR/NAME if DIR is called <set> itself. */
	ge_frag_name(name, h->setid, h->segment, index, epoch);
	ge_hex(id, h->setid, GE_SETID);
	len = strlen(dir) + 2 + sizeof(name);
	if ((t->path = ge_alloc(len, e)) == NULL)
		return (-1);
	real = realpath(dir, NULL);
	base = real == NULL ? NULL : strrchr(real, '/');
	if (base != NULL && strcmp(base + 1, id) == 0) {
		snprintf(t->path, len, "%s/%s", dir, strchr(name, '/') + 1);
	} else {
		snprintf(t->path, len, "%s/%s", dir, id);
		rc = ge_dir_make(t->path, e);
		snprintf(t->path, len, "%s/%s", dir, name);
	}
	free(real);
	return (rc);
}

/*
 * The well-formed fragment that lies at path; *rejected if a majority or a pin
 * has overruled its header.
 */
static struct ge_frag *
lying_at(struct mender *md, const char *path, int *rejected)
{
	struct ge_seg *seg;
	size_t i, s, g, j;

	for (i = 0; i < md->p->nsets; i++)
		for (s = 0; s < md->p->set[i].nsegs; s++) {
			seg = md->p->set[i].seg[s];
			for (g = 0; g < seg->ngroups; g++)
				for (j = 0; j < seg->group[g].nfrags; j++) {
					struct ge_frag *f =
					    &seg->group[g].frag[j];

					if (f->path == NULL ||
					    strcmp(f->path, path) != 0)
						continue;
					*rejected = &md->p->set[i] ==
					    md->c.set && seg->number <
					    md->c.n && md->c.group[seg->number]
					    != &seg->group[g];
					return (f);
				}
		}
	return (NULL);
}

/*
 * Repair deletes nothing that it does not understand.  What stands under a name
 * that we need and is not the damaged fragment itself is kept: as NAME.kept if it
 * is a fragment that may count, else as NAME.bad, which no walk reads.
 */
static int
step_aside(struct mender *md, const struct target *t, struct ge_err *e)
{
	size_t len = strlen(t->path) + 16;
	struct ge_frag *f;
	struct stat st;
	const char *suffix;
	char *aside = NULL;
	int i, rejected = 1, rc = -1;

	if (t->old != NULL)
		return (0);
	if (lstat(t->path, &st) == -1)
		return (errno == ENOENT ? 0 :
		    ge_failsys(e, "cannot look at '%s'", t->path));
	f = lying_at(md, t->path, &rejected);
	suffix = f != NULL && !rejected ? "kept" : "bad";
	if ((aside = ge_alloc(len, e)) == NULL)
		return (-1);
	for (i = 0; i < 1000; i++) {
		snprintf(aside, len, i == 0 ? "%s.%s" : "%s.%s%d", t->path,
		    suffix, i);
		/* Not everything, and not everywhere, can be linked. */
		if (link(t->path, aside) == 0 || (errno != EEXIST &&
		    lstat(aside, &st) == -1 && rename(t->path, aside) == 0)) {
			ge_note(GE_WARN, "'%s': not what belongs there, kept "
			    "as '%s'", t->path, aside);
			rc = 0;
			if (f != NULL) {
				ge_free(f->path);
				f->path = aside;
				aside = NULL;
			}
			goto out;
		}
		if (errno != EEXIST)
			break;
	}
	ge_failsys(e, "cannot keep '%s' as '%s'", t->path, aside);
out:
	ge_free(aside);
	return (rc);
}

/* Mode and owner as of the fragment replaced, or of a neighbour. */
static void
dress(const struct mender *md, const struct target *t, int index)
{
	const struct ge_group *g = md->now->g;
	const struct ge_frag *like = t->old;
	struct stat st;
	size_t i;

	for (i = 0; like == NULL && i < g->nfrags; i++)
		if (g->frag[i].site == md->home[index] &&
		    g->frag[i].path != NULL)
			like = &g->frag[i];
	if (like == NULL || stat(like->path, &st) == -1)
		return;
	/* Who may not give files away keeps them. */
	if (fchown(t->file.fd, st.st_uid, st.st_gid) == 0 ||
	    st.st_uid == geteuid())
		(void)fchmod(t->file.fd, st.st_mode & 0777);
}

/* Copy the header of the old fragment without looking at its share. */
static int
copy_header(struct target *t, size_t len, struct ge_err *e)
{
	off_t from = 0, to = 0;
	ssize_t n;

	if (ge_frag_open(t->old, e) == -1)
		return (-1);
	while ((size_t)to < len) {
		n = copy_file_range(t->old->fd, &from, t->file.fd, &to,
		    len - (size_t)to, 0);
		/* Not between these file systems: sendfile does it too. */
		if (n == -1 && errno != EINTR && errno != EIO && to == 0 &&
		    lseek(t->file.fd, 0, SEEK_SET) == 0 &&
		    (n = sendfile(t->file.fd, t->old->fd, &from, len)) > 0)
			to = n;
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return (ge_failsys(e, "cannot copy the header of '%s'",
			    t->old->path));
		if (n == 0)
			return (ge_fail(e, GE_EFAIL, "'%s' became shorter "
			    "while it was read", t->old->path));
	}
	return (0);
}

static int
write_header(struct mender *md, struct target *t, int index, struct ge_err *e)
{
	const struct ge_hdr *h = &md->now->g->h;
	int plain = h->mode == GE_PLAIN;

	if (t->keep)
		return (copy_header(t, h->len, e));
	ge_hdr_stamp(md->hdr, h, index, plain ? 0 :
	    md->now->g->record[md->now->as.record].epoch,
	    plain || md->m->blind ? NULL : md->shares[index]);
	if (ge_pwrite(t->file.fd, md->hdr, h->len, 0, e) == -1)
		return (ge_within(e, "'%s'", t->path));
	return (0);
}

/* A good block of an index, by the assessment; the fragment, or NULL. */
static struct ge_frag *
source(const struct mender *md, int index, uint32_t s)
{
	struct ge_group *g = md->now->g;
	size_t i;

	for (i = 0; i < g->nfrags; i++)
		if (g->frag[i].index == index &&
		    md->now->as.good[i * g->h.nstripes + s])
			return (&g->frag[i]);
	return (NULL);
}

/*
 * One stripe of all the fragments wanted: their own good blocks are copied, the
 * others rebuilt, all are checked.
 */
static int
mend_stripe(void *arg, size_t stripe, int worker, struct ge_err *e)
{
	struct mender *md = arg;
	struct worker *w = &md->worker[worker];
	const struct patient *pt = md->now;
	const struct ge_hdr *h = &pt->g->h;
	const uint8_t *src[GE_N_MAX], *out[GE_N_MAX];
	uint8_t *dst[GE_N_MAX], have[GE_N_MAX], need[GE_N_MAX];
	uint8_t head[GE_N_MAX][64], hash[GE_N_MAX][32];
	struct ge_frag *from[GE_N_MAX];
	uint32_t s = (uint32_t)stripe;
	size_t got, b = ge_hdr_block(h, s);
	uint64_t taken = 0;
	int i, n = 0, nneed = 0, pass;

	/* The wanted fragments' own good blocks first: they are needed anyway. */
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < (pass == 0 ? pt->nwant : h->n) && n < h->k;
		    i++) {
			int idx = pass == 0 ? pt->want[i] : i;

			if ((taken >> idx & 1) != 0 ||
			    (from[n] = source(md, idx, s)) == NULL)
				continue;
			taken |= (uint64_t)1 << idx;
			have[n++] = (uint8_t)idx;
		}
	for (i = 0; i < n; i++) {
		uint8_t *buf = w->buf + (size_t)i * h->block;

		if (ge_frag_read(md->p, from[i], h->len + (uint64_t)s *
		    h->block, buf, b, &got, e) == -1)
			return (-1);
		if (got < b)
			return (ge_fail(e, GE_EFAIL, "'%s' changed while it "
			    "was read", from[i]->path));
		src[i] = buf;
	}
	atomic_fetch_add(&md->read, (uint64_t)n * b);
	for (i = 0; i < pt->nwant; i++) {
		int at;

		ge_hash_head(head[i], pt->want[i], s, pt->g->dh);
		for (at = 0; at < n && have[at] != pt->want[i]; at++)
			;
		if (at < n) {
			out[i] = src[at];
			continue;
		}
		need[nneed] = pt->want[i];
		out[i] = dst[nneed++] = w->buf +
		    (size_t)(h->k + i) * h->block;
	}
	if (nneed > 0) {
		if (!w->planned || w->nneed != nneed ||
		    memcmp(w->have, have, (size_t)n) != 0 ||
		    memcmp(w->need, need, (size_t)nneed) != 0) {
			ge_rs_plan_release(&w->plan);
			w->planned = 0;
			if (ge_rs_plan_init(&w->plan, &md->rs, have, need,
			    nneed, e) == -1)
				return (-1);
			memcpy(w->have, have, (size_t)n);
			memcpy(w->need, need, (size_t)nneed);
			w->nneed = nneed;
			w->planned = 1;
		}
		ge_rs_rebuild(&w->plan, src, dst, b);
	}
	ge_sha256_blocks(hash, (const uint8_t (*)[64])head, out, b,
	    (size_t)pt->nwant);
	for (i = 0; i < pt->nwant; i++) {
		if (memcmp(hash[i], md->hdr + h->table + 32 *
		    ((size_t)h->n * s + pt->want[i]), 32) != 0)
			return (ge_fail(e, GE_EREFUSED, "segment %lu, fragment "
			    "%d: rebuilt block %lu contradicts the header",
			    (unsigned long)h->segment, pt->want[i],
			    (unsigned long)s));
		if (ge_pwrite(md->target[i].file.fd, out[i], b,
		    h->len + (uint64_t)s * h->block, e) == -1)
			return (ge_within(e, "'%s'", md->target[i].path));
	}
	return (ge_hook_tick((uint64_t)pt->nwant * b, e));
}

static int
rooms(struct mender *md, const struct patient *pt, struct ge_err *e)
{
	const struct ge_hdr *h = &pt->g->h;
	int j;

	for (j = 0; j < md->m->jobs; j++) {
		struct worker *w = &md->worker[j];

		ge_block_free(w->buf);
		w->planned = 0;
		if ((w->buf = ge_block_alloc((size_t)(h->k + pt->nwant) *
		    h->block, e)) == NULL)
			return (-1);
	}
	return (0);
}

static int
mend_segment(struct mender *md, struct patient *pt, struct ge_err *e)
{
	struct ge_group *g = pt->g;
	const struct ge_hdr *h = &g->h;
	int epoch = h->mode == GE_PLAIN ? 0 : g->record[pt->as.record].epoch;
	int i, rc = -1;
	int64_t record;
	size_t f;

	md->now = pt;
	memset(md->target, 0, sizeof(md->target));
	for (i = 0; i < pt->nwant; i++)
		md->target[i].file.fd = -1;
	ge_free(md->hdr);
	if ((md->hdr = ge_alloc(h->len, e)) == NULL)
		return (-1);
	if (h->mode != GE_PLAIN && !md->m->blind) {
		record = sound_record(md, g, md->shares, md->hdr, e);
		if (record == -1)
			goto out;
		if (record != pt->as.record) {
			ge_fail(e, GE_EFAIL, "segment %lu changed while it was "
			    "repaired", (unsigned long)h->segment);
			goto out;
		}
	} else {
		for (f = 0; f < g->nfrags; f++) {
			if (g->frag[f].record != (uint32_t)pt->as.record)
				continue;
			if ((rc = ge_frag_header(md->p, g, &g->frag[f],
			    md->hdr, e)) == -1)
				goto out;
			if (rc == 1)
				break;
		}
		rc = -1;
		if (f == g->nfrags) {
			ge_fail(e, GE_EFAIL, "segment %lu changed while it was "
			    "repaired", (unsigned long)h->segment);
			goto out;
		}
	}
	if (rooms(md, pt, e) == -1)
		goto out;
	(void)ge_group_open(g);
	for (i = 0; i < pt->nwant; i++)
		if (aim(md, &md->target[i], pt->want[i], epoch, e) == -1 ||
		    ge_file_open(&md->target[i].file, md->target[i].path,
		    GE_OVER_ALL, e) == -1)
			goto out;
	if (ge_par_each(md->m->jobs, h->nstripes, mend_stripe, md, e) == -1)
		goto out;
	for (i = 0; i < pt->nwant; i++) {
		struct target *t = &md->target[i];

		dress(md, t, pt->want[i]);
		if (write_header(md, t, pt->want[i], e) == -1 ||
		    step_aside(md, t, e) == -1 ||
		    ge_file_commit(&t->file, GE_OVER_ALL, e) == -1)
			goto out;
		ge_note(GE_SAY, "'%s': rebuilt", t->path);
		md->m->rebuilt++;
		md->m->bytes += h->fraglen;
	}
	rc = 0;
out:
	for (i = 0; i < pt->nwant; i++) {
		ge_file_release(&md->target[i].file);
		ge_free(md->target[i].path);
	}
	ge_group_close(g);
	ge_wipe(md->hdr, h->len);
	return (rc);
}

static void
plan(struct mender *md)
{
	struct ge_finding f = { .known = 1 };
	const struct ge_frag *old;
	size_t s;
	int i;

	for (s = 0; s < md->npatients; s++)
		for (i = 0; i < md->patient[s].nwant; i++) {
			int idx = md->patient[s].want[i];

			f.state = md->patient[s].as.row[idx].state;
			memcpy(f.setid, md->patient[s].g->h.setid, GE_SETID);
			f.segment = md->patient[s].g->h.segment;
			f.index = idx;
			old = replaces(md, &md->patient[s], idx);
			f.site = md->p->site[old != NULL ? old->site :
			    md->home[idx]];
			f.detail = md->patient[s].as.row[idx].detail;
			if (md->m->planned != NULL)
				md->m->planned(md->m->arg, &f);
		}
}

static int
mend_all(struct mender *md, struct ge_err *e)
{
	struct ge_group *g;
	size_t i;

	if (ge_choose_all(&md->c, md->p, &md->m->pins, 0, e) == -1)
		return (-1);
	if (md->c.err.code != 0) {
		*e = md->c.err;
		return (-1);
	}
	for (i = 0; i < md->c.n; i++)
		if (listed(md->m, &md->c.group[i]->h, -1) &&
		    examine(md, md->c.group[i], e) == -1)
			return (-1);
	if (find_homes(md, e) == -1)
		return (-1);
	warn_of_hoards(md);
	if (md->m->dry) {
		plan(md);
		return (0);
	}
	g = md->c.group[0];
	if ((md->worker = ge_alloc((size_t)md->m->jobs * sizeof(*md->worker),
	    e)) == NULL || ge_rs_init(&md->rs, g->h.k, g->h.n, e) == -1 ||
	    (md->shares = ge_secret_alloc(GE_N_MAX * GE_KEY, e)) == NULL)
		return (-1);
	for (i = 0; i < md->npatients; i++)
		if (mend_segment(md, &md->patient[i], e) == -1)
			return (-1);
	if (md->shareless)
		return (ge_fail(e, GE_EDEGRADED, "the bodies are whole, but "
		    "some fragments have no key share"));
	return (0);
}

int
ge_mend_run(struct ge_mend *m, struct ge_pile *p, struct ge_err *e)
{
	struct mender *md;
	size_t i;
	int j, rc = -1;

	m->rebuilt = m->bytes = m->read = 0;
	if ((md = ge_alloc(sizeof(*md), e)) == NULL)
		return (-1);
	md->m = m;
	md->p = p;
	if (m->pins.manifest == NULL ||
	    ge_pile_manifest(p, m->pins.manifest, e) == 0)
		rc = mend_all(md, e);
	/* Lost, or only out of reach? */
	if (rc == -1 && e->code == GE_ELOST && ge_pile_unread(p)) {
		e->code = GE_EFAIL;
		ge_within(e, "not all could be read");
	}
	m->read = atomic_load(&md->read);
	for (i = 0; i < md->npatients; i++)
		ge_assess_release(&md->patient[i].as);
	for (j = 0; md->worker != NULL && j < m->jobs; j++) {
		ge_block_free(md->worker[j].buf);
		ge_rs_plan_release(&md->worker[j].plan);
	}
	if (md->shares != NULL)
		ge_secret_free(md->shares, GE_N_MAX * GE_KEY);
	ge_free(md->worker);
	ge_free(md->load);
	ge_free(md->patient);
	ge_free(md->hdr);
	ge_rs_release(&md->rs);
	ge_choice_release(&md->c);
	ge_free(md);
	return (rc);
}
