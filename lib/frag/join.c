#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "code/code.h"
#include "frag/decode_int.h"
#include "frag/frag.h"
#include "frag/pile_int.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/par.h"

/*
 * Two stages: find and decode the next segment, write it.  Folders are judged
 * whole before the first byte leaves.  A stream is released segment by segment
 * as it comes, unless a pin must first be met, and judged again at its end.
 */
enum {
	SLOTS = 2
};

struct slot {
	uint8_t *buf;			/* stripes, as ge_decode lays them */
	size_t cap;
	uint8_t *plain;			/* of a deflated segment */
	size_t capplain;
	struct ge_hdr h;		/* of the segment; the group may move */
	uint32_t first, last;		/* stripes decoded */
	uint32_t from, to;		/* bytes of the segment to write */
};

struct joiner {
	struct ge_join *j;
	struct ge_pile *p;
	struct ge_decoder *d;
	struct ge_choice early;		/* what was released before the end */
	struct ge_choice all;		/* the judgement over everything */
	uint8_t setid[GE_SETID];	/* of what was released */
	int judged;			/* `all` is valid: no more will come */
	int hopeless;			/* the hot segment failed; wait for more */
	int contested;			/* manifests contradict; wait for the end */
	int over;			/* the last segment is out */
	uint64_t known;			/* where the latest segment ended */
	uint32_t next;			/* segment to release */
	uint64_t end;			/* of the range, or UINT64_MAX */
	struct slot slot[SLOTS];
	struct iovec *iov;
	size_t capiov;
	struct ge_piece *piece;
	size_t cappiece;
};

/* Does the range want something of this segment? */
static int
in_range(const struct joiner *jn, const struct ge_hdr *h)
{

	return (h->off < jn->end && (!jn->j->ranged ||
	    (h->off + h->ulen > jn->j->off && jn->j->len > 0)));
}

/*
 * For the pile: is this payload worth keeping?  Not of another set than the one
 * named, or than the one that is being released.
 */
static int
wanted(void *arg, const struct ge_hdr *h)
{
	const struct joiner *jn = arg;
	const uint8_t *set = jn->j->pins.has_set ? jn->j->pins.set :
	    jn->next > 0 ? jn->setid : NULL;

	return ((set == NULL || memcmp(h->setid, set, GE_SETID) == 0) &&
	    in_range(jn, h));
}

/*
 * Decode what is wanted of segment g into a slot.
 */
static int
load(struct joiner *jn, struct ge_group *g, struct slot *t, struct ge_err *e)
{
	const struct ge_hdr *h = &g->h;
	size_t need;

	t->h = *h;
	t->from = 0;
	t->to = h->ulen;
	if (jn->j->ranged) {
		if (jn->j->off > h->off)
			t->from = (uint32_t)(jn->j->off - h->off);
		if (jn->end - h->off < t->to)
			t->to = (uint32_t)(jn->end - h->off);
	}
	t->first = 0;
	t->last = h->nstripes == 0 ? 0 : h->nstripes - 1;
	if ((h->flags & GE_FLAG_DEFLATED) == 0 && t->from < t->to) {
		t->first = t->from / h->piece;
		t->last = (t->to - 1) / h->piece;
	}
	need = (size_t)(t->last - t->first + 1) * (size_t)h->k * h->block;
	if (t->cap < need) {
		ge_block_free(t->buf);
		t->cap = 0;
		if ((t->buf = ge_block_alloc(need, e)) == NULL)
			return (-1);
		t->cap = need;
	}
	return (ge_decode(jn->d, g, t->first, t->last, t->buf, e));
}

/* Everything is here: 10.1 and 10.2 over all of it. */
static int
judge(struct joiner *jn, struct ge_err *e)
{
	uint32_t i;

	/* A range may lie beyond a lost segment. */
	if (ge_choose_all(&jn->all, jn->p, &jn->j->pins, jn->j->ranged, e) ==
	    -1)
		return (-1);
	jn->judged = 1;
	for (i = 0; i < jn->next; i++) {
		const struct ge_seg *seg = ge_set_seg(jn->early.set, i);

		if (i < jn->all.n && jn->all.set == jn->early.set &&
		    jn->all.group[i] != NULL &&
		    memcmp(jn->all.group[i]->root, seg->root, 32) == 0)
			continue;
		if (jn->all.err.code != 0)
			return (ge_fail(e, GE_EREFUSED, "%s: the output is "
			    "void", jn->all.err.msg));
		return (ge_fail(e, GE_EREFUSED, "the end of the stream "
		    "contradicts what came before: the output is void"));
	}
	/* A digest is of the whole set: unless it fits, nothing is released. */
	if (jn->all.err.code != 0 && jn->j->pins.has_digest &&
	    jn->all.man == NULL) {
		*e = jn->all.err;
		return (-1);
	}
	if (jn->j->ranged && jn->all.complete &&
	    jn->all.group[jn->all.n - 1] != NULL) {
		const struct ge_hdr *h = &jn->all.group[jn->all.n - 1]->h;

		if (jn->j->off > h->off + h->ulen ||
		    jn->end > h->off + h->ulen)
			return (ge_fail(e, GE_EUSAGE, "the range ends beyond "
			    "the %llu bytes of the set",
			    (unsigned long long)(h->off + h->ulen)));
	}
	return (0);
}

/*
 * Before the end of the stream: is the hot segment there, and may it go?  The
 * group, or NULL: not yet.
 */
static struct ge_group *
ready(struct joiner *jn)
{
	const struct ge_pins *pins = &jn->j->pins;
	struct ge_choice *c = &jn->early;
	struct ge_group *g;
	struct ge_err why;

	if (jn->over || jn->contested)
		return (NULL);
	if ((pins->has_digest || pins->has_signer) && c->man == NULL &&
	    pins->manifest == NULL)
		return (NULL);
	if ((c->set == NULL || jn->next == 0) &&
	    (ge_choose_manifest(c, jn->p, pins, &why) == -1 ||
	    ge_choose_set(c, jn->p, pins, &why) == -1))
		return (NULL);
	if (ge_set_seg(c->set, jn->next) == NULL || jn->hopeless ||
	    ge_choose_group(c, jn->next, &g, &why) == -1 ||
	    ge_choose_chain(c, g, &why) == -1)
		return (NULL);
	/* All n are here, or the stream has gone on to other segments. */
	if (ge_popcount(g->indices) < g->h.n && jn->p->last == jn->next)
		return (NULL);
	return (g);
}

static int
released(struct joiner *jn, struct ge_group *g, struct ge_err *e)
{
	struct ge_choice *c = &jn->early;
	struct ge_seg *seg = ge_set_seg(jn->judged ? jn->all.set : c->set,
	    jn->next);

	if (!jn->judged) {
		if (ge_grow(&c->group, &c->cap, c->n + 1,
		    sizeof(struct ge_group *), e) == -1)
			return (-1);
		c->group[c->n++] = g;
	}
	memcpy(seg->root, g->root, 32);
	memcpy(jn->setid, g->h.setid, GE_SETID);
	seg->released = 1;
	ge_pile_drop(jn->p, seg);
	jn->over = (g->h.flags & GE_FLAG_LAST) != 0;
	jn->known = g->h.off + g->h.ulen;
	jn->next++;
	jn->p->hot = jn->next;
	jn->hopeless = 0;
	return (0);
}

/*
 * The group pointers of early.group move when a group array grows; only the last
 * is used (the chain), so fetch it anew.
 */
static void
refresh(struct joiner *jn)
{
	struct ge_choice *c = &jn->early;
	struct ge_seg *seg;
	size_t i;

	if (c->n == 0)
		return;
	seg = ge_set_seg(c->set, (uint32_t)(c->n - 1));
	for (i = 0; i < seg->ngroups; i++)
		if (memcmp(seg->group[i].root, seg->root, 32) == 0)
			c->group[c->n - 1] = &seg->group[i];
}

static int
step(struct joiner *jn, int *more, struct ge_err *e)
{
	struct ge_choice *c = &jn->early;
	uint8_t id[GE_SETID];
	size_t before = jn->p->nfound;
	int had = c->set != NULL;

	if (had)
		memcpy(id, c->set->id, GE_SETID);
	if ((*more = ge_pile_step(jn->p, e)) == -1)
		return (-1);
	/* The pile's arrays may have moved. */
	if (had)
		c->set = ge_pile_set(jn->p, id);
	refresh(jn);
	if (jn->p->nfound != before) {
		struct ge_err why;

		jn->contested = ge_choose_manifest(c, jn->p, &jn->j->pins,
		    &why) == -1;
	}
	if (jn->p->last == jn->next)
		jn->hopeless = 0;
	return (0);
}

/*
 * Segment jn->next is lost.  If the range does not touch the hole, go to what
 * lies behind it.
 */
static int
pass_hole(struct joiner *jn)
{
	const struct ge_group *g;
	uint32_t i = jn->next;

	if (!jn->j->ranged)
		return (0);
	while (i < jn->all.n && jn->all.group[i] == NULL)
		i++;
	g = i < jn->all.n ? jn->all.group[i] : NULL;
	if (jn->end > jn->known && (g == NULL || jn->j->off < g->h.off))
		return (0);
	jn->next = i;
	return (1);
}

static int
find_segment(void *arg, size_t item, size_t slot, struct ge_err *e)
{
	struct joiner *jn = arg;
	struct slot *t = &jn->slot[slot];
	struct ge_group *g = NULL;
	int more;

	(void)item;
	for (;;) {
		if (!jn->judged) {
			/* Of folders nothing is still to come. */
			if (jn->p->in.n == 0) {
				if (judge(jn, e) == -1)
					return (-1);
				continue;
			}
			if ((g = ready(jn)) == NULL) {
				if (step(jn, &more, e) == -1)
					return (-1);
				if (!more && judge(jn, e) == -1)
					return (-1);
				continue;
			}
		} else if (jn->next < jn->all.n) {
			g = jn->all.group[jn->next];
			if (g == NULL && pass_hole(jn))
				continue;
		} else {
			if (jn->all.err.code == 0 || (jn->end <= jn->known &&
			    jn->all.err.code == GE_ELOST))
				return (0);
			g = NULL;
		}
		if (g == NULL) {
			*e = jn->all.err;
			return (-1);
		}
		if (!in_range(jn, &g->h)) {
			if (released(jn, g, e) == -1)
				return (-1);
			continue;
		}
		if (load(jn, g, t, e) == 0) {
			if (released(jn, g, e) == -1)
				return (-1);
			return (1);
		}
		/* More fragments may come, and mend it. */
		if (jn->judged || e->code == GE_EFAIL)
			return (-1);
		jn->hopeless = 1;
	}
}

/* The decoded bytes as pieces, those of stripe first..last. */
static size_t
pieces(struct joiner *jn, const struct slot *t, struct ge_err *e)
{
	const struct ge_hdr *h = &t->h;
	uint32_t s;
	size_t n = 0;

	if (ge_grow(&jn->piece, &jn->cappiece, (size_t)h->nstripes + 1,
	    sizeof(*jn->piece), e) == -1 || ge_grow(&jn->iov, &jn->capiov,
	    (size_t)h->nstripes + 1, sizeof(*jn->iov), e) == -1)
		return (SIZE_MAX);
	for (s = t->first; h->nstripes > 0 && s <= t->last; s++) {
		jn->piece[n].buf = t->buf +
		    (size_t)(s - t->first) * (size_t)h->k * h->block;
		jn->piece[n++].len = ge_hdr_coded(h, s) - h->tag;
	}
	return (n);
}

static int
write_segment(void *arg, size_t item, size_t slot, struct ge_err *e)
{
	struct joiner *jn = arg;
	struct slot *t = &jn->slot[slot];
	const struct ge_hdr *h = &t->h;
	size_t i, n, at, skip, len, niov = 0;

	(void)item;
	if ((n = pieces(jn, t, e)) == SIZE_MAX)
		return (-1);
	at = (size_t)t->first * h->piece;
	if ((h->flags & GE_FLAG_DEFLATED) != 0) {
		if (t->capplain < h->ulen) {
			ge_block_free(t->plain);
			t->capplain = 0;
			if ((t->plain = ge_block_alloc(h->ulen, e)) == NULL)
				return (-1);
			t->capplain = h->ulen;
		}
		if (ge_inflate(t->plain, h->ulen, jn->piece, n, e) == -1)
			return (ge_within(e, "segment %lu",
			    (unsigned long)h->segment));
		jn->piece[0].buf = t->plain;
		jn->piece[0].len = h->ulen;
		n = 1;
		at = 0;
	}
	for (i = 0; i < n; at += jn->piece[i++].len) {
		skip = at < t->from ? t->from - at : 0;
		len = jn->piece[i].len;
		if (at + len > t->to)
			len = t->to > at ? t->to - at : 0;
		if (len <= skip)
			continue;
		jn->iov[niov].iov_base =
		    (void *)(uintptr_t)(jn->piece[i].buf + skip);
		jn->iov[niov++].iov_len = len - skip;
	}
	if (ge_writev(jn->j->out, jn->iov, niov, e) == -1)
		return (ge_within(e, "output"));
	jn->j->written += t->to - t->from;
	return (ge_hook_tick(t->to - t->from, e) == -1 ? -1 : 1);
}

/* What was missing, for those who may act on it. */
static void
tell_loss(struct joiner *jn)
{
	const struct ge_hdr *h;
	uint64_t all = 0;
	size_t i;

	jn->j->damaged = ge_decoder_damaged(jn->d);
	for (i = 0; i < jn->all.n; i++) {
		if (jn->all.group[i] == NULL)
			continue;
		h = &jn->all.group[i]->h;
		all += (uint64_t)h->n;
		jn->j->missing += (uint64_t)(h->n -
		    ge_popcount(jn->all.group[i]->indices));
	}
	if (jn->j->missing > 0)
		ge_note(GE_WARN, "fragments missing: %llu of %llu",
		    (unsigned long long)jn->j->missing,
		    (unsigned long long)all);
	if (jn->j->damaged > 0)
		ge_note(GE_WARN, "damaged blocks passed over: %llu",
		    (unsigned long long)jn->j->damaged);
}

int
ge_join_run(struct ge_join *j, struct ge_pile *p, struct ge_err *e)
{
	struct joiner jn;
	struct ge_pipe pipe = {
		.nstages = 2, .nslots = SLOTS,
		.stage = { find_segment, write_segment }, .arg = &jn
	};
	int i, rc = -1;

	memset(&jn, 0, sizeof(jn));
	jn.j = j;
	jn.p = p;
	jn.end = j->ranged ? j->off + j->len : UINT64_MAX;
	j->written = j->damaged = j->missing = 0;
	p->streaming = 1;
	p->wanted = wanted;
	p->arg = &jn;
	p->last = UINT32_MAX;
	if (j->jobs == 1)
		pipe.nslots = 1;
	/* A plain set is hashed in any case: nothing else vouches for it. */
	if ((jn.d = ge_decoder_new(p, j, j->pins.has_digest ||
	    j->pins.has_signer || j->pins.manifest != NULL, e)) == NULL)
		goto out;
	if (j->pins.manifest != NULL &&
	    ge_pile_manifest(p, j->pins.manifest, e) == -1)
		goto out;
	if (p->usable == 0 && p->nlost > 0) {
		ge_fail(e, GE_EUSAGE, "'%s': %s", p->lost[0].path,
		    p->lost[0].why);
		goto out;
	}
	rc = ge_pipe_run(&pipe, j->jobs > 1, e);
	if (rc == 0)
		tell_loss(&jn);
	/* Lost, or only out of reach? */
	if (rc == -1 && e->code == GE_ELOST &&
	    (ge_pile_unread(p) || ge_decoder_unread(jn.d) > 0)) {
		e->code = GE_EFAIL;
		ge_within(e, "not all could be read");
	}
out:
	ge_decoder_free(jn.d);
	ge_choice_release(&jn.early);
	ge_choice_release(&jn.all);
	for (i = 0; i < SLOTS; i++) {
		ge_block_free(jn.slot[i].buf);
		ge_block_free(jn.slot[i].plain);
	}
	ge_free(jn.iov);
	ge_free(jn.piece);
	return (rc);
}
