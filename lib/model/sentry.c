#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/sentry.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

enum {
	SLOTS = 2 * GE_SENTRY_GROUPS,	/* a power of 2 */
	MAGIC = 0x324e5347,		/* "GSN2" */
	TAIL = 32,			/* of SHA-256 */
	NAMED = 4,			/* most causes in a sentence */
	HOLD = 5,			/* rows that another must be the first */
	CALM = 5			/* rows without alarm that end one */
};

/* What parts of the greatest share make much to blame, and little; clearly more. */
#define MUCH 0.25
#define LITTLE 0.05
#define CLEARLY 1.5

/* A process that is watched. */
struct post {
	struct ge_watch *w;
	struct ge_stamp *left;		/* [p] when each left its relation */
	uint8_t *gone;			/* [p] rows without a value */
	char key[GE_SENTRY_KEY];
	size_t len;
	uint64_t seen;			/* row that it was last seen at */
	double last;			/* time of that, NaN: none */
	uint32_t fresh;			/* how its next row does not follow */

	/* Of the alarm, while there is one. */
	uint32_t alarm;
	uint32_t told;			/* variable that was named as the first */
	uint32_t other, held;		/* another one, for so many rows */
	uint32_t calm;			/* rows without alarm since the last */
	struct ge_stamp since, began;
	double most;
};

struct ge_sentry {
	const struct ge_monitor *m;
	double step;
	uint8_t model[32];
	uint64_t rows, alarms;
	struct post *post, *at;		/* at: of the last row */
	size_t nposts, cap;
	size_t *turned;			/* [p] of a sight */
	int full;			/* told that some are forgotten */
	uint16_t slot[SLOTS];		/* of post, from 1 */
};

struct ge_sentry *
ge_sentry_new(const struct ge_monitor *m, double step, const uint8_t model[32],
    struct ge_err *e)
{
	struct ge_sentry *s;

	if ((s = ge_alloc(sizeof(*s), e)) == NULL)
		return (NULL);
	if ((s->turned = ge_alloc(m->p * sizeof(*s->turned), e)) == NULL) {
		ge_free(s);
		return (NULL);
	}
	s->m = m;
	s->step = step;
	memcpy(s->model, model, 32);
	return (s);
}

static void
dismiss(struct post *o)
{

	ge_watch_free(o->w);
	ge_free(o->left);
	ge_free(o->gone);
	o->w = NULL;
	o->left = NULL;
	o->gone = NULL;
}

void
ge_sentry_free(struct ge_sentry *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->nposts; i++)
		dismiss(&s->post[i]);
	ge_free(s->post);
	ge_free(s->turned);
	ge_free(s);
}

uint64_t
ge_sentry_rows(const struct ge_sentry *s)
{

	return (s->rows);
}

uint64_t
ge_sentry_alarms(const struct ge_sentry *s)
{

	return (s->alarms);
}

size_t
ge_sentry_raised(const struct ge_sentry *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->nposts; i++)
		n += s->post[i].alarm;
	return (n);
}

void
ge_sentry_break(struct ge_sentry *s)
{
	size_t i;

	for (i = 0; i < s->nposts; i++)
		s->post[i].fresh = GE_MONITOR_APART;
}

const struct ge_stamp *
ge_sentry_left(const struct ge_sentry *s, size_t i)
{

	return (&s->at->left[i]);
}

int
ge_sentry_gone(const struct ge_sentry *s, size_t i)
{

	return (s->at->gone[i] == GE_SENTRY_GONE);
}

static uint16_t *
slot(struct ge_sentry *s, const char *key, size_t len)
{
	const struct post *o;
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ (unsigned char)key[i]) * 0x100000001b3u;
	for (i = (h ^ h >> 32) & (SLOTS - 1); s->slot[i] != 0;
	    i = (i + 1) & (SLOTS - 1)) {
		o = &s->post[s->slot[i] - 1];
		if (o->len == len && memcmp(o->key, key, len) == 0)
			break;
	}
	return (&s->slot[i]);
}

static void
index_posts(struct ge_sentry *s)
{
	size_t i;

	memset(s->slot, 0, sizeof(s->slot));
	for (i = 0; i < s->nposts; i++)
		*slot(s, s->post[i].key, s->post[i].len) = (uint16_t)(i + 1);
}

static int
new_post(struct ge_sentry *s, struct post *o, const char *key, size_t len,
    struct ge_err *e)
{

	memset(o, 0, sizeof(*o));
	if ((o->w = ge_watch_new(s->m, e)) == NULL ||
	    (o->left = ge_alloc(s->m->p * sizeof(*o->left), e)) == NULL ||
	    (o->gone = ge_alloc(s->m->p, e)) == NULL) {
		dismiss(o);
		return (-1);
	}
	memcpy(o->key, key, len);
	o->len = len;
	o->last = (double)NAN;
	return (0);
}

/* The post for one more process: a new one, or that which was idle for longest. */
static struct post *
another(struct ge_sentry *s, const char *key, size_t len, struct ge_err *e)
{
	struct post now, *o;
	size_t i;

	if (s->nposts < GE_SENTRY_GROUPS && ge_grow(&s->post, &s->cap,
	    s->nposts + 1, sizeof(*s->post), e) == -1)
		return (NULL);
	if (new_post(s, &now, key, len, e) == -1)
		return (NULL);
	if (s->nposts < GE_SENTRY_GROUPS) {
		o = &s->post[s->nposts++];
	} else {
		if (!s->full)
			ge_note(GE_WARN, "more than %d groups: what was not "
			    "seen for longest is forgotten", GE_SENTRY_GROUPS);
		s->full = 1;
		for (o = s->post, i = 1; i < s->nposts; i++)
			if (s->post[i].seen < o->seen)
				o = &s->post[i];
		dismiss(o);
	}
	*o = now;
	index_posts(s);
	return (o);
}

/* A name that is too long to be kept: its beginning, and a hash of all of it. */
static void
shorten(char to[GE_SENTRY_KEY], const char *key, size_t len)
{
	struct ge_sha256 h;
	uint8_t sum[TAIL];

	ge_sha256_init(&h);
	ge_sha256_add(&h, key, len);
	ge_sha256_end(&h, sum);
	memcpy(to, key, GE_SENTRY_KEY - TAIL);
	memcpy(to + GE_SENTRY_KEY - TAIL, sum, TAIL);
}

static struct post *
find(struct ge_sentry *s, const char *key, size_t len, struct ge_err *e)
{
	char kept[GE_SENTRY_KEY];
	uint16_t *x;

	if (len > GE_SENTRY_KEY) {
		shorten(kept, key, len);
		key = kept;
		len = GE_SENTRY_KEY;
	}
	if (s->at != NULL && s->at->len == len &&
	    memcmp(s->at->key, key, len) == 0)
		return (s->at);
	x = slot(s, key, len);
	return (*x != 0 ? &s->post[*x - 1] : another(s, key, len, e));
}

static void
stamp(struct ge_stamp *to, uint64_t row, const struct ge_sentry_row *r)
{
	size_t i, n = r->timelen < GE_SENTRY_STAMP ? r->timelen :
	    GE_SENTRY_STAMP - 1;

	to->row = row;
	memset(to->time, 0, sizeof(to->time));
	for (i = 0; i < n; i++)
		to->time[i] = r->time[i] >= ' ' && r->time[i] < 0x7f ?
		    r->time[i] : '?';
}

/* Whether a row follows the one before it, by its time. */
static int
follows(const struct ge_sentry *s, const struct post *o, double t)
{

	if (isnan(t) || isnan(o->last))
		return (1);
	return (t >= o->last && (s->step <= 0 ||
	    t - o->last <= GE_MONITOR_GAP * s->step));
}

static double
greatest(const struct ge_sight *g)
{
	double top = 0;
	size_t i;

	for (i = 0; i < g->v.ncauses; i++)
		if (g->v.cause[i].share > top)
			top = g->v.cause[i].share;
	return (top);
}

/* Whether cause a left its relation before cause b, if they did. */
static int
before(const struct post *o, const struct ge_monitor_cause *a,
    const struct ge_monitor_cause *b)
{

	if (a->since < 0 || b->since < 0)
		return (a->since >= 0 && b->since < 0);
	return (o->left[a->col].row < o->left[b->col].row);
}

/* Those much to blame, by when they left their relation, then by their share. */
static void
arrange(const struct post *o, struct ge_sight *g)
{
	const struct ge_monitor_cause *c = g->v.cause;
	const double top = greatest(g);
	size_t i, j;

	for (i = 0; i < g->v.ncauses && g->norder < NAMED; i++) {
		if (c[i].share < MUCH * top)
			continue;
		for (j = g->norder++; j > 0 &&
		    before(o, &c[i], &c[g->order[j - 1]]); j--)
			g->order[j] = g->order[j - 1];
		g->order[j] = i;
	}
}

/* Who was the first, and since when. */
static void
name_first(struct post *o, struct ge_sight *g)
{
	const struct ge_monitor_cause *c = &g->v.cause[g->order[0]];

	o->told = (uint32_t)c->col;
	o->held = 0;
	o->since = c->since >= 0 ? o->left[c->col] : o->began;
}

/* Whether a, who was named, still is the first beside b. */
static int
stays(const struct post *o, const struct ge_monitor_cause *a,
    const struct ge_monitor_cause *b, double little)
{

	if (a->share < little || before(o, b, a))
		return (0);
	return (before(o, a, b) || CLEARLY * a->share >= b->share);
}

static int
changed(struct post *o, const struct ge_sight *g)
{
	const struct ge_monitor_cause *c = g->v.cause, *b = &c[g->order[0]];
	const double little = LITTLE * greatest(g);
	size_t i;

	for (i = 0; i < g->v.ncauses; i++)
		if (c[i].col == o->told && stays(o, &c[i], b, little)) {
			o->held = 0;
			return (0);
		}
	o->held = o->held > 0 && b->col == o->other ? o->held + 1 : 1;
	o->other = (uint32_t)b->col;
	return (o->held == HOLD);
}

static void
raise_alarm(struct post *o, const struct ge_sentry_row *r,
    struct ge_sight *g)
{
	double times = g->v.score / g->v.limit;

	arrange(o, g);
	if (!o->alarm) {
		o->alarm = 1;
		o->most = 0;
		stamp(&o->began, g->row, r);
		g->event = GE_EVENT_BEGIN;
	} else if (g->norder > 0 && changed(o, g)) {
		g->event = GE_EVENT_CHANGE;
	}
	if (g->event != GE_EVENT_NONE && g->norder > 0)
		name_first(o, g);
	else if (g->event == GE_EVENT_BEGIN)
		o->since = o->began;
	o->calm = 0;
	o->most = times > o->most ? times : o->most;
}

/* Which variables have no value; of which there is none any more, or one again. */
static void
look(const struct ge_sentry *s, const double *x, struct ge_sight *g)
{
	uint8_t *gone = s->at->gone;
	size_t i;
	int was;

	g->missing = g->nturned = 0;
	g->turned = s->turned;
	for (i = 0; i < s->m->p; i++) {
		was = gone[i] == GE_SENTRY_GONE;
		if (isfinite(x[i]))
			gone[i] = 0;
		else if (!was)
			gone[i]++;
		g->missing += !isfinite(x[i]);
		if (was != (gone[i] == GE_SENTRY_GONE))
			s->turned[g->nturned++] = i;
	}
}

int
ge_sentry_step(struct ge_sentry *s, const struct ge_sentry_row *r,
    struct ge_sight *g, struct ge_err *e)
{
	const int64_t *left;
	struct post *o;
	size_t i;

	if ((o = find(s, r->group, r->grouplen, e)) == NULL)
		return (-1);
	s->at = o;
	look(s, r->x, g);
	if (!follows(s, o, r->t))
		o->fresh = GE_MONITOR_APART;
	ge_watch_step(o->w, r->x, (int)o->fresh, &g->v);
	o->seen = g->row = ++s->rows;
	if (!isnan(r->t))
		o->last = r->t;
	left = ge_watch_left(o->w);
	for (i = 0; i < s->m->p; i++)
		if ((left[i] >= 0) != (o->left[i].row > 0)) {
			if (left[i] >= 0)
				stamp(&o->left[i], g->row, r);
			else
				o->left[i].row = 0;
		}
	g->event = GE_EVENT_NONE;
	g->norder = 0;
	if (g->v.alarm) {
		s->alarms++;
		raise_alarm(o, r, g);
	} else if (o->alarm && (o->fresh != 0 ||
	    (g->v.score > 0 && ++o->calm == CALM))) {
		o->alarm = 0;
		g->event = GE_EVENT_END;
	}
	o->fresh = 0;
	g->since = o->since;
	g->most = o->most;
	return (0);
}

/*
 * A state: MAGIC, p, the model's digest, rows, alarms, the number of posts; the posts;
 * SHA-256 of all that.  Numbers are little-endian.
 */
struct writer {
	uint8_t *buf;
	size_t n, cap;
	struct ge_err *e;
	int rc;
};

static void
put(struct writer *w, const void *s, size_t len)
{

	if (w->rc == 0)
		w->rc = ge_append(&w->buf, &w->n, &w->cap, s, len, w->e);
}

static void
put_number(struct writer *w, uint64_t v)
{
	uint8_t b[8];

	ge_put64(b, v);
	put(w, b, 8);
}

static void
put_real(struct writer *w, double v)
{
	union { double d; uint64_t u; } x = { v };

	put_number(w, x.u);
}

static void
put_stamp(struct writer *w, const struct ge_stamp *t)
{

	put_number(w, t->row);
	put(w, t->time, GE_SENTRY_STAMP);
}

static void
put_post(struct writer *w, const struct post *o, size_t p)
{
	uint8_t *watch = NULL;
	size_t i, len = 0;

	put_number(w, o->len);
	put(w, o->key, o->len);
	put_number(w, o->seen);
	put_real(w, o->last);
	put_number(w, o->fresh);
	put_number(w, o->alarm);
	put_number(w, o->told);
	put_number(w, o->other);
	put_number(w, o->held);
	put_number(w, o->calm);
	put_stamp(w, &o->since);
	put_stamp(w, &o->began);
	put_real(w, o->most);
	for (i = 0; i < p; i++)
		put_stamp(w, &o->left[i]);
	if (w->rc == 0)
		w->rc = ge_watch_save(o->w, &watch, &len, w->e);
	put_number(w, len);
	put(w, watch, len);
	ge_free(watch);
	put(w, o->gone, p);
}

int
ge_sentry_save(const struct ge_sentry *s, uint8_t **buf, size_t *len,
    struct ge_err *e)
{
	struct writer w = { .e = e };
	struct ge_sha256 h;
	uint8_t sum[32];
	size_t i;

	put_number(&w, MAGIC);
	put_number(&w, s->m->p);
	put(&w, s->model, 32);
	put_number(&w, s->rows);
	put_number(&w, s->alarms);
	put_number(&w, s->nposts);
	for (i = 0; i < s->nposts; i++)
		put_post(&w, &s->post[i], s->m->p);
	ge_sha256_init(&h);
	ge_sha256_add(&h, w.buf, w.n);
	ge_sha256_end(&h, sum);
	put(&w, sum, sizeof(sum));
	*buf = w.buf;
	*len = w.n;
	if (w.rc == -1) {
		ge_free(w.buf);
		*buf = NULL;
	}
	return (w.rc);
}

/* Bytes that are taken off; beyond the end all is 0 and bad is set. */
struct reader {
	const uint8_t *p;
	size_t left;
	int bad;
};

static const uint8_t *
get(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > r->left) {
		r->bad = 1;
		return (NULL);
	}
	r->p += len;
	r->left -= len;
	return (p);
}

/* At most `most`. */
static uint64_t
get_number(struct reader *r, uint64_t most)
{
	const uint8_t *p = get(r, 8);
	uint64_t v = p != NULL ? ge_get64(p) : 0;

	if (v > most)
		r->bad = 1;
	return (r->bad ? 0 : v);
}

static double
get_real(struct reader *r)
{
	union { uint64_t u; double d; } x = { get_number(r, UINT64_MAX) };

	if (isinf(x.d))
		r->bad = 1;
	return (x.d);
}

static void
get_stamp(struct reader *r, struct ge_stamp *t, uint64_t rows)
{
	const uint8_t *p;
	size_t i, n;

	t->row = get_number(r, rows);
	if ((p = get(r, GE_SENTRY_STAMP)) == NULL)
		return;
	for (n = 0; n < GE_SENTRY_STAMP && p[n] >= ' ' && p[n] < 0x7f; n++)
		;
	for (i = n; i < GE_SENTRY_STAMP; i++)
		r->bad |= p[i] != 0;
	r->bad |= n == GE_SENTRY_STAMP;
	memcpy(t->time, p, GE_SENTRY_STAMP);
}

/* A post whose watch is new; the watch's own bytes are judged by it. */
static int
get_post(struct reader *r, struct post *o, const struct ge_sentry *s,
    struct ge_err *e)
{
	const uint8_t *watch, *gone;
	size_t i, len;

	o->seen = get_number(r, s->rows);
	o->last = get_real(r);
	o->fresh = (uint32_t)get_number(r, GE_MONITOR_APART);
	o->alarm = (uint32_t)get_number(r, 1);
	o->told = (uint32_t)get_number(r, s->m->p - 1);
	o->other = (uint32_t)get_number(r, s->m->p - 1);
	o->held = (uint32_t)get_number(r, UINT32_MAX);
	o->calm = (uint32_t)get_number(r, CALM);
	get_stamp(r, &o->since, s->rows);
	get_stamp(r, &o->began, s->rows);
	o->most = get_real(r);
	r->bad |= isnan(o->most);
	for (i = 0; i < s->m->p; i++)
		get_stamp(r, &o->left[i], s->rows);
	len = (size_t)get_number(r, SIZE_MAX);
	watch = get(r, len);
	if ((gone = get(r, s->m->p)) == NULL)
		return (ge_fail(e, GE_EREFUSED, "bad state of a monitor"));
	memcpy(o->gone, gone, s->m->p);
	for (i = 0; i < s->m->p; i++)
		r->bad |= gone[i] > GE_SENTRY_GONE;
	return (ge_watch_resume(o->w, watch, len, e));
}

static int
get_posts(struct reader *r, struct ge_sentry *s, size_t n, struct ge_err *e)
{
	const char *key;
	struct post *o;
	size_t len;

	while (n-- > 0) {
		len = (size_t)get_number(r, GE_SENTRY_KEY);
		key = (const char *)get(r, len);
		if (key == NULL || *slot(s, key, len) != 0)
			return (ge_fail(e, GE_EREFUSED,
			    "bad state of a monitor"));
		if ((o = another(s, key, len, e)) == NULL ||
		    get_post(r, o, s, e) == -1)
			return (-1);
	}
	return (r->bad || r->left > 0 ? ge_fail(e, GE_EREFUSED,
	    "bad state of a monitor") : 0);
}

int
ge_sentry_resume(struct ge_sentry *s, const uint8_t *buf, size_t len,
    struct ge_err *e)
{
	struct reader r = { buf, len - TAIL, 0 };
	struct ge_sha256 h;
	uint8_t sum[32];

	if (len < 16 + 32 + 24 + TAIL || ge_get64(buf) != MAGIC)
		return (ge_fail(e, GE_EREFUSED, "not the state of a monitor"));
	ge_sha256_init(&h);
	ge_sha256_add(&h, buf, len - TAIL);
	ge_sha256_end(&h, sum);
	if (memcmp(sum, buf + len - TAIL, TAIL) != 0)
		return (ge_fail(e, GE_EREFUSED,
		    "the state of a monitor, but damaged"));
	(void)get(&r, 8);
	if (get_number(&r, UINT64_MAX) != s->m->p ||
	    memcmp(get(&r, 32), s->model, 32) != 0)
		return (ge_fail(e, GE_EREFUSED, "the state of another model"));
	s->rows = get_number(&r, INT64_MAX);
	s->alarms = get_number(&r, s->rows);
	return (get_posts(&r, s, (size_t)get_number(&r, GE_SENTRY_GROUPS), e));
}
