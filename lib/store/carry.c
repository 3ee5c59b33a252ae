#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/push_int.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/sha256.h"

/*
 * One fragment on its way.  It is first looked for where it should be already;
 * else put; and what was put, or is said to be there, is proved.  When a site
 * fails it goes to another, as often as the rule finds one.
 */
enum {
	ROOM = 144 << 20,		/* bytes that all tasks may hold */
	SPOOLED = 48 << 20,		/* larger fragments lie in a file */
	TASKS = 256,
	STRETCH = 1 << 20,		/* of the input, read at once */
	ABREAST = 3,			/* messages that SHA-256 takes in one go */
	CANDIDATES = 8,
	ROW = 3				/* failures that close a site */
};

enum stage {
	LOOK,				/* is it where it should be already? */
	PUT,
	THERE,				/* PUT says that something is there */
	CONFIRM				/* PUT says that it is there now */
};

struct task {
	struct ge_op op;
	struct task *next, **link;
	enum stage stage;
	struct ge_hdr h;
	struct segment *seg;
	uint8_t dh[32];
	uint8_t *buf;			/* header, payload unless in fd */
	int fd;				/* spool, or 0 */
	int flying;			/* the net has op */
	int whole;			/* the payload is whole and in hand */
	int absent;			/* candidate 0 has not got it */
	struct ge_sha256 sha;
	struct ge_proof proof;
	int16_t cand[CANDIDATES];
	int ncand, atcand;
	size_t held, cap;		/* of buf, proof.buf */
};

static const char *
site_name(const struct push *pu, int site)
{

	return (pu->st->sites->site[site].name);
}

/*
 * Memory of tasks that are done is kept for those to come, which want as much: new
 * memory must be cleared by the system first.
 */
static uint8_t *
block_take(struct push *pu, size_t len, struct ge_err *e)
{
	struct spare *s;
	uint8_t *buf;
	size_t i;

	for (i = pu->nspares; i-- > 0; ) {
		s = &pu->spare[i];
		if (s->len != len)
			continue;
		buf = s->buf;
		*s = pu->spare[--pu->nspares];
		return (buf);
	}
	if ((buf = ge_block_alloc(len, e)) != NULL)
		pu->room += len;
	return (buf);
}

static void
block_give(struct push *pu, uint8_t *buf, size_t len, size_t secret)
{

	if (buf == NULL)
		return;
	ge_wipe(buf, secret);
	if (pu->nspares == SPARES) {
		ge_block_free(buf);
		pu->room -= len;
		return;
	}
	pu->spare[pu->nspares].buf = buf;
	pu->spare[pu->nspares++].len = len;
}

/* Could a task have these two blocks?  What is in the way and spare is freed. */
static int
room_for(struct push *pu, size_t held, size_t cap)
{
	size_t i, want = held + cap;
	int left[2] = { 1, 1 };

	for (i = 0; i < pu->nspares; i++)
		if (left[0] && pu->spare[i].len == held) {
			left[0] = 0;
			want -= held;
		} else if (left[1] && pu->spare[i].len == cap) {
			left[1] = 0;
			want -= cap;
		}
	for (i = 0; i < pu->nspares && pu->room + want > ROOM; )
		if (pu->spare[i].len == held || pu->spare[i].len == cap) {
			i++;
		} else {
			pu->room -= pu->spare[i].len;
			ge_block_free(pu->spare[i].buf);
			pu->spare[i] = pu->spare[--pu->nspares];
		}
	return (pu->room + want <= ROOM);
}

static void
task_free(struct push *pu, struct task *t)
{
	static const uint8_t nothing[32];
	struct ge_err ignored;

	if (t == NULL)
		return;
	if (t->link != NULL) {
		*t->link = t->next;
		if (t->next != NULL)
			t->next->link = t->link;
		pu->ntasks--;
	}
	block_give(pu, t->buf, t->held, t->h.len);
	block_give(pu, t->proof.buf, t->cap, t->h.len);
	if (t->fd > 0) {
		/* The file has no name, but its blocks would be left. */
		if (t->h.mode != GE_PLAIN)
			(void)ge_pwrite(t->fd, nothing, sizeof(nothing),
			    t->h.share, &ignored);
		close(t->fd);
	}
	ge_free(t);
}

/* Nothing more goes to this site in this run; what is on its way comes back. */
static void
close_site(struct push *pu, int site, const char *why)
{
	struct task *t;

	if (pu->barred[site])
		return;
	pu->barred[site] = 1;
	pu->p->given_up++;
	ge_note(GE_WARN, "site '%s' is given up: %s", site_name(pu, site), why);
	for (t = pu->task; t != NULL; t = t->next)
		if (t->flying && t->op.site == site)
			ge_op_cancel(pu->st->net, &t->op);
}

/* A site did not answer as it should. */
static void
count_failure(struct push *pu, int site, enum ge_op_result result,
    const char *why)
{

	ge_note(GE_SAY, "%s", why);
	if (result == GE_OP_CANCELLED)
		return;
	if (++pu->row[site] >= ROW || result == GE_OP_DENIED)
		close_site(pu, site, why);
}

/* Do two sites have a domain in common, and may so be one liar? */
static int
related(const struct ge_rule *r, int a, int b)
{
	size_t l;

	for (l = 0; l < r->persite; l++)
		if (r->of[(size_t)a * r->persite + l] ==
		    r->of[(size_t)b * r->persite + l])
			return (1);
	return (0);
}

/*
 * A site has something else under a fragment's name: its own word.  If another says
 * the same of the segment there is another set of this id: -1.
 */
static int
foreign(struct push *pu, const struct task *t, const struct ge_err *why,
    struct ge_err *e)
{
	const struct failure *f;
	int site = t->op.site;
	uint32_t i;

	ge_fail(e, GE_EREFUSED, "site '%s': %s", site_name(pu, site), why->msg);
	for (i = t->seg->fail; i != 0; i = f->before) {
		f = &pu->fail[i - 1];
		if (f->foreign && !related(&pu->rule, f->site, site))
			return (-1);
	}
	if (pu->foreign.code == 0)
		pu->foreign = *e;
	ge_note(GE_WARN, "%s", e->msg);
	if (++pu->row[site] >= ROW)
		close_site(pu, site, why->msg);
	return (0);
}

/*
 * Something of it, or something else under its name, may be at the site of t: for the
 * rule it is.
 */
static int
remember(struct push *pu, const struct task *t, int other, struct ge_err *e)
{
	struct failure *f;

	if (ge_past_add(&pu->past, t->h.segment, t->h.index, t->h.epoch,
	    t->op.site, e) == -1 || ge_grow(&pu->fail, &pu->capfail,
	    pu->nfail + 1, sizeof(*f), e) == -1)
		return (-1);
	f = &pu->fail[pu->nfail++];
	f->segment = t->h.segment;
	f->index = (uint8_t)t->h.index;
	f->site = (int16_t)t->op.site;
	f->foreign = (uint8_t)other;
	f->before = t->seg->fail;
	t->seg->fail = (uint32_t)pu->nfail;
	return (0);
}

static int
closed(const struct push *pu, const struct segment *seg, int site)
{
	uint32_t f;

	for (f = seg->fail; f != 0; f = pu->fail[f - 1].before)
		if (pu->fail[f - 1].site == site)
			return (1);
	return (pu->barred[site]);
}

static void
start(struct push *pu, struct task *t)
{

	if (t->link == NULL) {
		if ((t->next = pu->task) != NULL)
			t->next->link = &t->next;
		t->link = &pu->task;
		pu->task = t;
		pu->ntasks++;
	}
	t->flying = 1;
	ge_op_start(pu->st->net, &t->op);
}

static void
look(struct push *pu, struct task *t, int site, enum stage stage)
{

	t->op.site = site;
	t->stage = stage;
	t->proof.hashed = stage == CONFIRM && t->op.hashed;
	ge_proof_begin(&t->proof, &t->op);
	start(pu, t);
}

/* Send it where it is to go, elsewhere if that site is closed by now. */
static int
send_to(struct push *pu, struct task *t, struct ge_err *e)
{
	int16_t *at = &t->seg->at[t->h.index];

	if (!t->whole) {
		*at = BROKEN;
		task_free(pu, t);
		return (0);
	}
	if (*at < 0 || closed(pu, t->seg, *at)) {
		*at = UNASSIGNED;
		if (push_assign(pu, t->seg, t->h.segment, e) == -1)
			return (-1);
		if (*at < 0) {
			task_free(pu, t);
			return (0);
		}
	}
	if (push_untellable(pu, t->seg, t->h.segment, t->h.index, *at, e) == -1)
		return (-1);
	t->op.site = *at;
	t->op.kind = GE_OP_PUT;
	t->op.urgent = 0;
	t->op.replace = 0;
	t->op.unseen = pu->fresh;
	t->op.body = t->fd > 0 ? NULL : t->buf;
	t->op.fd = t->fd;
	t->op.fdoff = 0;
	t->op.len = t->h.fraglen;
	t->stage = PUT;
	ge_past_send(&pu->past, t->h.segment, t->h.index, t->h.epoch, *at);
	start(pu, t);
	return (0);
}

static void
placed(struct push *pu, struct task *t)
{
	int sent = t->stage == CONFIRM;

	pu->row[t->op.site] = 0;
	t->seg->at[t->h.index] = (int16_t)t->op.site;
	t->seg->done |= (uint64_t)1 << t->h.index;
	if (sent)
		pu->p->sent += t->h.fraglen;
	else
		pu->p->resumed++;
	push_found(pu, GE_STATE_OK, t->h.segment, t->h.index,
	    site_name(pu, t->op.site), sent ? "sent" : "was there");
	task_free(pu, t);
}

/* It is not where it was expected: where else it is, or is to go. */
static int
look_further(struct push *pu, struct task *t, struct ge_err *e)
{
	int16_t *at = &t->seg->at[t->h.index];
	struct ge_err ignored;

	push_history(pu, t->seg, t->h.segment);
	while (++t->atcand < t->ncand) {
		*at = t->cand[t->atcand];
		if (closed(pu, t->seg, *at) || ge_rule_check(&pu->rule,
		    pu->ever, t->seg->at, &ignored) == -1)
			continue;
		look(pu, t, *at, LOOK);
		return (0);
	}
	*at = t->absent && !closed(pu, t->seg, t->cand[0]) &&
	    pu->rule.usable[t->cand[0]] ? t->cand[0] : UNASSIGNED;
	return (send_to(pu, t, e));
}

/* What a proof says. */
static int
judge(struct push *pu, struct task *t, struct ge_err *e)
{
	enum ge_op_result was = t->op.result, code;
	struct ge_err why = { 0, 0, "" };
	int site = t->op.site, other;

	switch (ge_proof_step(&t->proof, &t->op, &code, &why)) {
	case 2:
		start(pu, t);
		return (0);
	case 1:
		placed(pu, t);
		return (0);
	}
	other = t->stage != CONFIRM && code == GE_OP_EXISTS &&
	    why.code == GE_EREFUSED;
	if (other && foreign(pu, t, &why, e) == -1)
		return (-1);
	if (code == GE_OP_FAILED)
		count_failure(pu, site, was, why.msg);
	else if (!other && code == GE_OP_EXISTS && t->stage != CONFIRM)
		ge_note(GE_WARN, "site '%s': %s", site_name(pu, site), why.msg);
	else if (t->stage == CONFIRM) {
		/* It said that all was well, and it was not. */
		ge_note(GE_WARN, "site '%s' took '%s' and does not have it: %s",
		    site_name(pu, site), t->op.name, why.msg);
		count_failure(pu, site, GE_OP_FAILED, why.msg);
	}
	if (t->stage == LOOK && code == GE_OP_ABSENT) {
		if (t->atcand == 0)
			t->absent = 1;
		return (look_further(pu, t, e));
	}
	if (remember(pu, t, other, e) == -1)
		return (-1);
	if (t->stage == LOOK)
		return (look_further(pu, t, e));
	t->seg->at[t->h.index] = UNASSIGNED;
	return (send_to(pu, t, e));
}

/* An operation has come back. */
static int
advance(struct push *pu, struct task *t, struct ge_err *e)
{

	if (t->stage != PUT)
		return (judge(pu, t, e));
	if (t->op.result == GE_OP_DONE || t->op.result == GE_OP_EXISTS) {
		look(pu, t, t->op.site, t->op.result == GE_OP_DONE ? CONFIRM :
		    THERE);
		return (0);
	}
	count_failure(pu, t->op.site, t->op.result, t->op.err.msg);
	if (remember(pu, t, 0, e) == -1)
		return (-1);
	t->seg->at[t->h.index] = UNASSIGNED;
	return (send_to(pu, t, e));
}

/* Handle what comes back within so many seconds: 1 if something did; 0; -1. */
static int
handle(struct push *pu, double seconds, struct ge_err *e)
{
	struct ge_op *op;
	struct task *t;
	int rc;

	if (pu->ntasks == 0)
		return (0);
	if ((rc = ge_net_next(pu->st->net, seconds, &op, e)) == 1) {
		t = op->tag;
		t->flying = 0;
		return (advance(pu, t, e) == -1 ? -1 : 1);
	}
	assert(rc != 0 || seconds >= 0);
	return (rc);
}

/*
 * Where a site wants the hash of the whole object three of a length are hashed at
 * once, in little more time than one.
 */
static int
may_join(const struct push *pu, const struct task *t)
{
	int at = t->seg->at[t->h.index];

	return (t->whole && t->fd <= 0 && at >= 0 &&
	    ge_net_hashes(pu->st->net, at, t->h.fraglen));
}

/* Those that have joined go on their way. */
static int
send_joined(struct push *pu, struct ge_err *e)
{
	const uint8_t *body[ABREAST];
	uint8_t head[ABREAST][64], hash[ABREAST][32];
	struct task *t;
	int i, n = pu->njoined, rc = 0;

	for (i = 0; i < n && n == ABREAST; i++) {
		memcpy(head[i], pu->joined[i]->buf, sizeof(head[i]));
		body[i] = pu->joined[i]->buf + sizeof(head[i]);
	}
	if (n == ABREAST)
		ge_sha256_blocks(hash, (const uint8_t (*)[64])head, body,
		    (size_t)pu->joined[0]->h.fraglen - sizeof(head[0]), ABREAST);
	pu->njoined = 0;
	for (i = 0; i < n; i++) {
		t = pu->joined[i];
		if (n == ABREAST) {
			memcpy(t->op.sha256, hash[i], sizeof(hash[i]));
			t->op.has_sha = 1;
		}
		if (rc == -1 || (rc = send_to(pu, t, e)) == -1)
			task_free(pu, t);
	}
	return (rc);
}

static int
join(struct push *pu, struct task *t, struct ge_err *e)
{

	if (pu->njoined > 0 && pu->joined[0]->h.fraglen != t->h.fraglen &&
	    send_joined(pu, e) == -1) {
		task_free(pu, t);
		return (-1);
	}
	pu->joined[pu->njoined++] = t;
	return (pu->njoined == ABREAST ? send_joined(pu, e) : 0);
}

int
push_wait(struct push *pu, int all, struct ge_err *e)
{
	int rc;

	if (all && send_joined(pu, e) == -1)
		return (-1);
	while ((rc = handle(pu, all ? -1 : 0, e)) == 1)
		;
	return (rc);
}

void
push_abandon(struct push *pu)
{
	struct ge_op *op;
	struct task *t, *next;

	while (pu->njoined > 0)
		task_free(pu, pu->joined[--pu->njoined]);
	for (t = pu->task; t != NULL; t = next) {
		next = t->next;
		if (!t->flying)
			task_free(pu, t);
	}
	/* Only what has come back can be freed, and its key share wiped. */
	while (pu->task != NULL &&
	    (op = ge_net_reclaim(pu->st->net)) != NULL)
		task_free(pu, op->tag);
	while (pu->nspares > 0)
		ge_block_free(pu->spare[--pu->nspares].buf);
}

/*
 * The payload, checked block by block as it comes.  t->whole tells the outcome.
 */
static int
take_payload(struct push *pu, struct task *t, const char *where,
    struct ge_err *e)
{
	uint8_t good[GE_STRIPES_MAX], *to;
	const struct ge_hdr *h = &t->h;
	uint32_t s, n, most = STRETCH / h->block;
	uint64_t off = h->len;
	size_t len, got;

	if (most < ABREAST && t->fd <= 0)
		most = ABREAST;
	if (most == 0)
		most = 1;
	if (t->fd > 0 && ge_pwrite(t->fd, t->buf, h->len, 0, e) == -1)
		return (ge_within(e, "spool"));
	for (s = 0; s < h->nstripes; s += n, off += len) {
		n = h->nstripes - s < most ? h->nstripes - s : most;
		len = s + n < h->nstripes ? (size_t)n * h->block :
		    (size_t)(h->fraglen - off);
		to = t->fd > 0 ? t->proof.buf : t->buf + off;
		if (ge_feed_read(pu->feed, to, len, &got, e) == -1)
			return (-1);
		if (got < len || ge_blocks_check(h, t->buf, t->dh, h->index, s,
		    n, to, good) != n) {
			ge_note(GE_WARN, "%s: segment %" PRIu32 " index %d: %s",
			    where, h->segment, h->index, got < len ?
			    "cut short" : "damaged");
			return (0);
		}
		if (t->fd > 0) {
			ge_sha256_add(&t->sha, to, len);
			if (ge_pwrite(t->fd, to, len, off, e) == -1)
				return (ge_within(e, "spool"));
		}
		if (push_wait(pu, 0, e) == -1)
			return (-1);
	}
	t->whole = 1;
	return (0);
}

static struct task *
task_new(struct push *pu, const struct ge_item *it, struct segment *seg,
    struct ge_err *e)
{
	const struct ge_hdr *h = &it->h;
	int spool = h->fraglen > SPOOLED;
	size_t held = spool ? h->len : (size_t)h->fraglen, cap;
	struct task *t;

	cap = ge_proof_room(h, pu->p->full || spool);
	if (cap <= STRETCH)
		cap = spool ? STRETCH + 1 : cap;
	if (!room_for(pu, held, cap) && send_joined(pu, e) == -1)
		return (NULL);
	while ((!room_for(pu, held, cap) || pu->ntasks >= TASKS) &&
	    pu->ntasks > 0)
		if (handle(pu, -1, e) == -1)
			return (NULL);
	if ((t = ge_alloc(sizeof(*t), e)) == NULL)
		return (NULL);
	t->op.tag = t;
	t->h = *h;
	t->seg = seg;
	t->held = held;
	t->cap = cap;
	t->proof.h = &t->h;
	t->proof.dh = t->dh;
	t->proof.full = pu->p->full;
	t->proof.cap = cap;
	if ((t->buf = block_take(pu, held, e)) == NULL ||
	    (t->proof.buf = block_take(pu, cap, e)) == NULL ||
	    (spool && (t->fd = ge_spool_open(e)) == -1)) {
		task_free(pu, t);
		return (NULL);
	}
	memcpy(t->buf, it->hdr, h->len);
	t->proof.hdr = t->buf;
	ge_hash_descriptor(t->dh, h, t->buf);
	ge_frag_name(t->op.name, h->setid, h->segment, h->index, h->epoch);
	if (spool) {
		ge_sha256_init(&t->sha);
		ge_sha256_add(&t->sha, t->buf, h->len);
	}
	return (t);
}

int
push_carry(struct push *pu, const struct ge_item *it, struct segment *seg,
    struct ge_err *e)
{
	const struct ge_hdr *h = &it->h;
	struct task *t;

	if ((t = task_new(pu, it, seg, e)) == NULL)
		return (-1);
	seg->seen |= (uint64_t)1 << h->index;
	if (seg->at[h->index] == BROKEN || seg->at[h->index] == SHARELESS)
		seg->at[h->index] = UNASSIGNED;
	if (h->mode != GE_PLAIN && (!h->has_share ||
	    !ge_share_valid(h, t->buf, t->dh))) {
		ge_note(GE_WARN, "%s: segment %" PRIu32 " index %d: %s",
		    it->where, h->segment, h->index, h->has_share ?
		    "the key share is damaged" : "without its key share");
		seg->at[h->index] = SHARELESS;
		task_free(pu, t);
		return (0);
	}
	if (take_payload(pu, t, it->where, e) == -1) {
		task_free(pu, t);
		return (-1);
	}
	if (t->fd > 0 && t->whole) {
		ge_sha256_end(&t->sha, t->op.sha256);
		t->op.has_sha = 1;
	}
	if (ge_hook_tick(h->fraglen, e) == -1) {
		task_free(pu, t);
		return (-1);
	}
	t->ncand = push_expected(pu, seg, h->segment, h->index, t->cand,
	    CANDIDATES);
	if (t->ncand > 0 && seg->at[h->index] == t->cand[0] &&
	    !closed(pu, seg, t->cand[0]))
		look(pu, t, t->cand[0], LOOK);
	else if (may_join(pu, t))
		return (join(pu, t, e));
	else if (send_to(pu, t, e) == -1) {
		task_free(pu, t);
		return (-1);
	}
	return (0);
}
