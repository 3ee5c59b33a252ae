#include <stdio.h>
#include <string.h>

#include "store/store_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * A manifest to every site.  What is there is read before it is replaced, and what
 * was put is read back: all sites go one step at a time, so many at once that
 * their buffers stay small.
 */
enum {
	ABREAST = 64,			/* sites */
	CHUNK = 1 << 18			/* bytes compared at once */
};

enum step {
	COMPARE,			/* is it there already? */
	PUT,
	CONFIRM,			/* is it there now? */
	STORED, GIVEN_UP, CONTESTED
};

struct copy {
	struct ge_op op;
	enum step step;
	uint64_t off;			/* bytes found equal */
	uint8_t *buf;			/* [CHUNK] */
};

struct work {
	const struct ge_store *st;
	const struct ge_known *kn;
	const struct ge_manifest *m;
	const char *text;
	size_t len;
};

/* Ask for the next bytes; the last time, for one that must not be. */
static void
ask(const struct work *w, struct copy *c)
{
	uint64_t left = w->len + 1 - c->off;

	c->op.kind = GE_OP_GET;
	c->op.buf = c->buf;
	c->op.off = c->off;
	c->op.len = left < CHUNK ? left : CHUNK;
}

static void
put(const struct work *w, struct copy *c)
{

	c->step = PUT;
	c->op.kind = GE_OP_PUT;
	c->op.replace = 1;
	c->op.body = (const uint8_t *)w->text;
	c->op.len = w->len;
}

static void
give_up(const struct work *w, struct copy *c, const char *why)
{

	c->step = GIVEN_UP;
	ge_note(GE_WARN, "site '%s' has not got the manifest: %s",
	    w->st->sites->site[c->op.site].name, why);
}

static int
judged(const struct work *w, const struct ge_manifest *m)
{
	size_t i;

	for (i = 0; i < w->kn->nlost; i++)
		if (memcmp(w->kn->lost[i], m->hash, 32) == 0)
			return (ge_manifest_counts(m, &w->st->pins) < 2);
	return (0);
}

/* Does it begin as a manifest of a format that we do not know? */
static int
unknown_format(const uint8_t *buf, size_t len)
{
	static const char word[] = "gefrag-manifest ";
	const char *p = (const char *)buf + sizeof(word) - 1, *nl;
	uint64_t version;

	return (len > sizeof(word) - 1 &&
	    memcmp(buf, word, sizeof(word) - 1) == 0 &&
	    (nl = memchr(p, '\n', len - (sizeof(word) - 1))) != NULL &&
	    ge_num_parse(p, (size_t)(nl - p), &version) == 0 && version > 1);
}

/*
 * Something else is there.  A manifest of the set that is as new as ours, or
 * newer, stays unless it has been judged; an older one, or what is none, is
 * replaced.  The rank keeps a forged one from staying if there is a signer to tell
 * by.  What a newer program has written stays; writing again would not help.
 */
static int
other(const struct work *w, struct copy *c, struct ge_err *e)
{
	static const char head[] = "gefrag-manifest 1\nset ";
	const char *serial, *nl;
	struct ge_manifest m;
	struct ge_err bad;
	uint8_t *buf = NULL;
	uint64_t theirs;
	size_t len;
	int rc = -1;

	memset(&m, 0, sizeof(m));
	if (c->off == 0 && unknown_format(c->buf, (size_t)c->op.got)) {
		give_up(w, c, "one of a newer format is there");
		return (0);
	}
	if (c->off == 0) {
		/* The serial stands at a fixed place of the third line. */
		len = sizeof(head) - 1 + 2 * GE_SETID + 1;
		serial = (const char *)c->buf + len + 7;
		if (c->op.got < len + 8 ||
		    memcmp(c->buf, head, sizeof(head) - 1) != 0 ||
		    (nl = memchr(serial, '\n', (size_t)c->op.got - len - 7)) ==
		    NULL || ge_num_parse(serial, (size_t)(nl - serial),
		    &theirs) == -1 || theirs < w->m->serial) {
			put(w, c);
			return (0);
		}
	}
	switch (ge_manifest_get(w->st, c->op.site, w->m->setid,
	    GE_MANIFEST_WAIT, &buf, &len, e)) {
	case -1:
		goto out;
	case 0:
		give_up(w, c, "what is there cannot be read");
		rc = 0;
		goto out;
	}
	if (ge_manifest_parse(&m, buf, len, &bad) == -1) {
		if (bad.code != GE_EREFUSED) {
			*e = bad;
			goto out;
		}
		put(w, c);
	} else if (memcmp(m.setid, w->m->setid, GE_SETID) != 0 ||
	    m.serial < w->m->serial || judged(w, &m) ||
	    ge_manifest_counts(&m, &w->st->pins) <
	    ge_manifest_counts(w->m, &w->st->pins)) {
		put(w, c);
	} else if (m.serial > w->m->serial) {
		give_up(w, c, "a newer one is there");
		c->step = CONTESTED;
	} else {
		give_up(w, c, "another one with the same serial is there");
		c->step = CONTESTED;
	}
	rc = 0;
out:
	ge_manifest_release(&m);
	ge_free(buf);
	return (rc);
}

/* Judge what has come back and say what comes next. */
static int
advance(const struct work *w, struct copy *c, struct ge_err *e)
{
	size_t same;

	if (c->step == PUT) {
		if (c->op.result != GE_OP_DONE) {
			give_up(w, c, c->op.err.msg);
			return (0);
		}
		c->step = CONFIRM;
		c->off = 0;
		ask(w, c);
		return (0);
	}
	if (c->op.result == GE_OP_ABSENT && c->step == COMPARE) {
		put(w, c);
		return (0);
	}
	if (c->op.result != GE_OP_DONE) {
		give_up(w, c, c->op.err.msg);
		return (0);
	}
	same = w->len - c->off < c->op.len ? (size_t)(w->len - c->off) :
	    (size_t)c->op.len;
	if (c->op.got == same &&
	    memcmp(c->buf, w->text + c->off, same) == 0) {
		c->off += same;
		if (c->op.len > same)
			c->step = STORED;
		else
			ask(w, c);
		return (0);
	}
	if (c->step == COMPARE)
		return (other(w, c, e));
	give_up(w, c, "what it gives back is not what was put");
	return (0);
}

int
ge_manifest_publish(const struct ge_store *st, const struct ge_known *kn,
    const struct ge_manifest *m, const char *text, size_t len, int *stored,
    int *contested, struct ge_err *e)
{
	struct work w = { .st = st, .kn = kn, .m = m, .text = text, .len = len };
	char id[2 * GE_SETID + 1];
	struct ge_op *op[ABREAST];
	struct copy *c = NULL;
	size_t site, n, i, nops;
	int rc = -1;

	*stored = *contested = 0;
	if ((c = ge_alloc(ABREAST * sizeof(*c), e)) == NULL)
		goto out;
	for (site = 0; site < st->sites->n; ) {
		for (n = 0; n < ABREAST && site < st->sites->n; site++) {
			if (st->gone[site])
				continue;
			if (c[n].buf == NULL &&
			    (c[n].buf = ge_alloc(CHUNK, e)) == NULL)
				goto out;
			memset(&c[n].op, 0, sizeof(c[n].op));
			c[n].op.site = (int)site;
			snprintf(c[n].op.name, sizeof(c[n].op.name),
			    "%s/manifest", ge_hex(id, m->setid, GE_SETID));
			c[n].step = COMPARE;
			c[n].off = 0;
			ask(&w, &c[n++]);
		}
		do {
			for (i = nops = 0; i < n; i++)
				if (c[i].step < STORED)
					op[nops++] = &c[i].op;
			if (nops > 0 && ge_op_run(st->net, op, nops, e) == -1)
				goto out;
			for (i = 0; i < n; i++)
				if (c[i].step < STORED &&
				    advance(&w, &c[i], e) == -1)
					goto out;
		} while (nops > 0);
		for (i = 0; i < n; i++) {
			*stored += c[i].step == STORED;
			*contested += c[i].step == CONTESTED;
		}
	}
	rc = 0;
out:
	for (i = 0; c != NULL && i < ABREAST; i++)
		ge_free(c[i].buf);
	ge_free(c);
	return (rc);
}
