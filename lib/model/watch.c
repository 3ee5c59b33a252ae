#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/monitor_int.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	STATE_HEAD = 40,
	STATE_MAGIC = 0x31574d47,	/* "GMW1" */
	QUIET = 10			/* rows after which a departure is over */
};

/*
 * The spread in which residuals are cut off: for one row, and for averages, where
 * one row alone must not raise an alarm.
 */
#define CUT_ROW 8.0f
#define CUT_AVERAGE 3.0f
#define GUILT_KEPT 0.95f
#define MODE_RATE 0.3f
#define HINGE 0.674f			/* the quartile of a normal variable */

/* Beyond all that a watch computes. */
#define STATE_MOST 2e9f

static const float rate[SCALES] = { 0.3f, SLOWEST };

/*
 * As if there had been no rows; only their count goes on.  What is 1 on average
 * starts there: in a few rows it would not come up to it from 0.
 */
static void
forget(struct ge_watch *w)
{
	const size_t p = w->m->p;
	const float *used = w->m->used;
	size_t c, i, k;

	memset(w->v, 0, w->nv * sizeof(*w->v));
	for (c = 0; c < 2; c++, used += p)
		for (k = 0; k < SCALES; k++)
			for (i = 0; i < p; i++)
				if (used[i] > 0)
					w->q[c][k][i] = w->sum[c][k] = 1;
	for (i = 0; i < p; i++)
		w->left[i] = -1;
	w->begun = w->have = w->scored = w->alarm = 0;
}

struct ge_watch *
ge_watch_new(const struct ge_monitor *m, struct ge_err *e)
{
	struct ge_watch *w;
	const size_t p = m->p;
	size_t c, i;
	float *v;

	if ((w = ge_alloc(sizeof(*w), e)) == NULL)
		return (NULL);
	w->m = m;
	w->ops = ge_ops();
	w->nv = p * (4 + 2 * (2 * SCALES + 1)) + 2 * SCALES + 2 + m->width;
	if ((w->v = ge_alloc((w->nv + 2 * m->stride + 2 * p) * sizeof(float),
	    e)) == NULL ||
	    (w->left = ge_alloc(p * sizeof(*w->left), e)) == NULL ||
	    (w->missing = ge_alloc(p, e)) == NULL ||
	    (w->at = ge_alloc(m->width * sizeof(*w->at), e)) == NULL) {
		ge_watch_free(w);
		return (NULL);
	}
	v = w->v;
	w->a = v;
	v += m->width;
	w->z = v;
	w->base = v + p;
	w->slow = v + 2 * p;
	w->odd = v + 3 * p;
	v += 4 * p;
	for (c = 0; c < 2; c++) {
		for (i = 0; i < SCALES; i++, v += 2 * p) {
			w->e[c][i] = v;
			w->q[c][i] = v + p;
		}
		w->guilt[c] = v;
		v += p;
		w->sum[c] = v;
		v += SCALES;
	}
	w->past = v;
	v += 2;
	w->r[0] = v;
	w->r[1] = v + m->stride;
	w->t = v + 2 * m->stride;
	w->off = w->t + p;
	forget(w);
	return (w);
}

void
ge_watch_free(struct ge_watch *w)
{

	if (w == NULL)
		return;
	ge_free(w->v);
	ge_free(w->left);
	ge_free(w->missing);
	ge_free(w->at);
	ge_free(w);
}

static float
within(float x, float most)
{

	return (x > most ? most : x < -most ? -most : x);
}

static size_t
mode_of(const struct ge_watch *w)
{
	const struct ge_monitor *m = w->m;
	float d, x, least = INFINITY;
	size_t best = 0, i, k;

	if (m->modes == 1)
		return (best);
	for (k = 0; k < m->modes; k++) {
		for (d = 0, i = 0; i < m->p; i++) {
			x = w->slow[i] - m->mode[k * m->p + i];
			d += x * x;
		}
		if (d < least) {
			least = d;
			best = k;
		}
	}
	return (best);
}

static void
bend(struct ge_watch *w, size_t i)
{
	const struct ge_monitor *m = w->m;
	float *h = w->a + m->lin, x = w->a[i];

	if (!m->hinges)
		return;
	h[i] = x > HINGE ? x - HINGE : 0;
	h[m->p + i] = x < -HINGE ? -x - HINGE : 0;
}

int
ge_watch_take(struct ge_watch *w, const double *row, int fresh)
{
	const struct ge_monitor *m = w->m;
	const size_t p = m->p;
	const float clip = m->clip;
	const float *mode;
	float x;
	double d;
	size_t i;
	int first;

	if (fresh & GE_MONITOR_APART)
		forget(w);
	if (fresh)
		w->have = 0;
	first = !w->begun;
	w->begun = 1;
	w->mode = mode_of(w);
	mode = m->mode + w->mode * p;
	memmove(w->a + p, w->a, m->lags * p * sizeof(float));
	for (i = 0; i < p; i++) {
		d = row[i] - (double)m->centre[i] - (double)m->centre[p + i];
		d *= (double)m->inverse[i];
		w->missing[i] = !isfinite(d);
		if (!w->missing[i])
			w->z[i] = d > 1e9 ? 1e9f : d < -1e9 ? -1e9f : (float)d;
		x = w->z[i];
		if (m->wander[i] > 0) {
			if (first)
				w->base[i] = fabsf(x) < WATCH_CLIP ? x : 0;
			x -= w->base[i];
			w->base[i] += (float)m->baseline *
			    within(x, FIT_CLIP);
		}
		x = within(x, clip);
		w->slow[i] += (first ? 1 : MODE_RATE) *
		    (within(x, FIT_CLIP) - w->slow[i]);
		w->a[i] = x - mode[i];
	}
	w->a[p * (m->lags + 1)] = 1;
	for (i = 0; i < p; i++)
		bend(w, i);
	w->row++;
	if (w->have < m->lags) {
		w->have++;
		return (0);
	}
	return (1);
}

static void
multiply(struct ge_watch *w, size_t from, size_t to, size_t predictors)
{
	const struct ge_monitor *m = w->m;
	size_t b, j, n = 0;

	for (j = 0; j < predictors; j++)
		if (w->a[j] != 0)
			w->at[n++] = (uint32_t)j;
	for (b = from; b < to; b += LANES)
		w->ops->mix(w->r[0] + b, m->across + b * m->width, w->a,
		    w->at, n);
}

static void
take_off(struct ge_watch *w, size_t i, float off)
{
	float x = within(w->a[i] - off, w->m->clip);

	w->off[i] += w->a[i] - x;
	w->a[i] = x;
	bend(w, i);
}

/*
 * What is missing, or far off for the first time, is for the others what the past
 * lets expect: a single outlier spoils no relation but its own.
 */
static size_t
doubt(struct ge_watch *w)
{
	const struct ge_monitor *m = w->m;
	const size_t p = m->p;
	float r;
	size_t i, n = 0;

	for (i = 0; i < p; i++) {
		r = w->r[1][i];
		w->off[i] = 0;
		if (!w->missing[i] && (fabsf(r) <= CUT_ROW || w->odd[i] > 0)) {
			w->odd[i] = fabsf(r) > CUT_ROW;
			continue;
		}
		w->odd[i] = !w->missing[i];
		if (m->used[p + i] <= 0)
			continue;
		take_off(w, i, r / m->innovation[i * m->width + i]);
		n++;
	}
	return (n);
}

/* And what the others let expect, once they are told. */
static void
amend(struct ge_watch *w)
{
	const struct ge_monitor *m = w->m;
	size_t i;

	for (i = 0; i < m->p; i++)
		if (w->off[i] != 0 && m->used[i] > 0)
			take_off(w, i, w->r[0][i] /
			    m->relation[i * m->width + i]);
	multiply(w, 0, m->stride, m->width);
}

/* Innovations know nothing of hinges, most of which are 0. */
void
ge_watch_residuals(struct ge_watch *w)
{
	const struct ge_monitor *m = w->m;
	size_t i, n;

	multiply(w, m->stride, 2 * m->stride, m->lin);
	n = doubt(w);
	multiply(w, 0, m->stride, m->width);
	if (n > 0)
		amend(w);
	for (i = 0; i < m->p; i++)
		if (w->missing[i])
			w->r[0][i] = w->r[1][i] = 0;
		else
			w->r[0][i] += *ge_monitor_across(m, 0, i, i) * w->off[i];
}

static float
most(const float *x, size_t n)
{
	float y, top = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		y = fabsf(x[i]);
		top = y > top ? y : top;
	}
	return (top);
}

static size_t
channel_stats(struct ge_watch *w, size_t c, float *out)
{
	const struct ge_monitor *m = w->m;
	const size_t p = m->p;
	const float *r = w->r[c], *used = m->used + c * p;
	float *t = w->t, *e, *q, a, square, n = 0, unit;
	size_t i, k, s = 0;

	for (i = 0; i < p; i++) {
		n += used[i];
		t[i] = within(r[i], CUT_ROW);
	}
	if (n == 0) {
		memset(out, 0, PER_CHANNEL * sizeof(*out));
		return (PER_CHANNEL);
	}
	out[s++] = w->ops->dot(t, t, p) / n;
	out[s++] = most(t, p);
	for (i = 0; i < p; i++)
		t[i] = within(r[i], CUT_AVERAGE);
	square = w->ops->dot(t, t, p) / n;
	for (k = 0; k < SCALES; k++) {
		a = rate[k];
		unit = sqrtf(a / (2 - a));
		e = w->e[c][k];
		q = w->q[c][k];
		for (i = 0; i < p; i++) {
			e[i] += a * (t[i] - e[i]);
			q[i] += a * (t[i] * t[i] - q[i]);
		}
		w->sum[c][k] += a * (square - w->sum[c][k]);
		out[s++] = w->sum[c][k];
		out[s++] = most(e, p) / unit;
		out[s++] = w->ops->dot(e, e, p) / (n * unit * unit);
		out[s++] = most(q, p);
	}
	return (s);
}

void
ge_watch_stats(struct ge_watch *w, float out[GE_MONITOR_STATS])
{
	size_t i, n;

	n = channel_stats(w, 0, out);
	channel_stats(w, 1, out + n);
	for (i = 0; i < GE_MONITOR_STATS; i++)
		out[i] = cbrtf(out[i]);
}

float
ge_monitor_score(const struct ge_monitor *m, const float st[GE_MONITOR_STATS])
{
	float x, top = 0;
	size_t i;

	for (i = 0; i < GE_MONITOR_STATS; i++) {
		x = (st[i] - m->middle[i]) / (m->limit[i] - m->middle[i]);
		top = x > top ? x : top;
	}
	return (top);
}

float
ge_watch_run(struct ge_watch *w, float x)
{
	float a = w->past[0], b = w->past[1], run;

	run = a > b ? a : b;
	run = w->scored < 2 ? 0 : x < run ? x : run;
	if (w->scored < 2)
		w->scored++;
	w->past[1] = a;
	w->past[0] = x;
	return (run);
}

/* A cube root of statistic `at` of channel c, as a value to compare q with. */
static float
cube(float x)
{

	return (x * x * x);
}

/* When each variable left its normal relation, on its own account. */
static void
departures(struct ge_watch *w)
{
	const struct ge_monitor *m = w->m;
	const size_t p = m->p;
	float shift[2], spread[2], unit;
	size_t c, i;
	int out;

	unit = sqrtf(rate[0] / (2 - rate[0]));
	for (c = 0; c < 2; c++) {
		shift[c] = cube(m->limit[c * PER_CHANNEL + 3]) * unit;
		spread[c] = cube(m->limit[c * PER_CHANNEL + 5]);
	}
	for (i = 0; i < p; i++) {
		for (out = 0, c = 0; c < 2; c++)
			if (m->used[c * p + i] > 0)
				out |= fabsf(w->e[c][0][i]) > shift[c] ||
				    w->q[c][0][i] > spread[c] ||
				    fabsf(w->r[c][i]) > CUT_ROW;
		if (out && w->left[i] < 0)
			w->left[i] = (int64_t)w->row - 1;
		else if (!out && w->left[i] >= 0 && !w->alarm &&
		    (int64_t)w->row - w->left[i] > QUIET)
			w->left[i] = -1;
	}
}

/*
 * Guilt: how much of all relations' residuals a fault of one variable alone would
 * explain (reconstruction, after Alcala and Qin 2009), and how far it left its own
 * past; each summed over the alarm, older rows fading.
 */
static void
accuse(struct ge_watch *w)
{
	const struct ge_monitor *m = w->m;
	const size_t p = m->p;
	float *t = w->t, r;
	size_t i;

	memset(t, 0, p * sizeof(*t));
	for (i = 0; i < p; i++)
		if (w->r[0][i] != 0)
			w->ops->scaled(t, m->relation + i * m->width, p,
			    within(w->r[0][i], WATCH_CLIP));
	for (i = 0; i < p; i++) {
		r = within(w->r[1][i], 20);
		w->guilt[0][i] = GUILT_KEPT * w->guilt[0][i] +
		    (m->reach[i] > 0 ? t[i] * t[i] / m->reach[i] : 0);
		w->guilt[1][i] = GUILT_KEPT * w->guilt[1][i] + r * r;
	}
}

static void
rank(const struct ge_watch *w, struct ge_monitor_verdict *v)
{
	const size_t p = w->m->p;
	struct ge_monitor_cause c, *at = v->cause;
	double sum[2] = { 1e-9, 1e-9 }, all = 0;
	float a, b;
	size_t i, j, k;

	for (i = 0; i < p; i++) {
		sum[0] += (double)w->guilt[0][i];
		sum[1] += (double)w->guilt[1][i];
	}
	for (i = 0; i < p; i++) {
		if (w->guilt[0][i] + w->guilt[1][i] <= 0)
			continue;
		c.col = i;
		c.share = sqrt(((double)w->guilt[0][i] / sum[0] + 1e-3) *
		    ((double)w->guilt[1][i] / sum[1] + 1e-3));
		a = w->r[0][i];
		b = w->r[1][i];
		c.sigma = (double)(fabsf(a) > fabsf(b) ? a : b);
		c.since = w->left[i];
		all += c.share;
		for (j = 0; j < v->ncauses && at[j].share >= c.share; j++)
			;
		if (j == GE_MONITOR_CAUSES)
			continue;
		if (v->ncauses < GE_MONITOR_CAUSES)
			v->ncauses++;
		for (k = v->ncauses - 1; k > j; k--)
			at[k] = at[k - 1];
		at[j] = c;
	}
	for (i = 0; i < v->ncauses; i++)
		at[i].share /= all;
}

void
ge_watch_step(struct ge_watch *w, const double *row, int fresh,
    struct ge_monitor_verdict *v)
{
	const struct ge_monitor *m = w->m;
	float st[GE_MONITOR_STATS];

	v->alarm = 0;
	v->score = 0;
	v->limit = (double)m->bound;
	v->mode = 0;
	v->since = 0;
	v->ncauses = 0;
	if (!ge_watch_take(w, row, fresh))
		return;
	v->mode = w->mode;
	ge_watch_residuals(w);
	ge_watch_stats(w, st);
	v->score = (double)ge_watch_run(w, ge_monitor_score(m, st));
	departures(w);
	if (!(v->score > v->limit)) {
		w->alarm = 0;
		return;
	}
	if (!w->alarm) {
		memset(w->guilt[0], 0, m->p * sizeof(float));
		memset(w->guilt[1], 0, m->p * sizeof(float));
		w->since = w->row - 1;
		w->alarm = 1;
	}
	accuse(w);
	v->alarm = 1;
	v->since = w->since;
	rank(w, v);
}

const int64_t *
ge_watch_left(const struct ge_watch *w)
{

	return (w->left);
}

int
ge_watch_save(const struct ge_watch *w, uint8_t **buf, size_t *len,
    struct ge_err *e)
{
	const size_t p = w->m->p;
	uint8_t *b;
	size_t i;
	union { float f; uint32_t u; } x;

	*len = STATE_HEAD + w->nv * 4 + p * 8;
	if ((*buf = b = ge_alloc(*len, e)) == NULL)
		return (-1);
	ge_put32(b, STATE_MAGIC);
	ge_put32(b + 4, (uint32_t)p);
	ge_put64(b + 8, w->nv);
	ge_put64(b + 16, w->row);
	ge_put64(b + 24, w->since);
	ge_put32(b + 32, w->have);
	ge_put32(b + 36, w->scored | w->alarm << 8 |
	    w->begun << 16);
	for (b += STATE_HEAD, i = 0; i < w->nv; i++, b += 4) {
		x.f = w->v[i];
		ge_put32(b, x.u);
	}
	for (i = 0; i < p; i++, b += 8)
		ge_put64(b, (uint64_t)w->left[i]);
	return (0);
}

int
ge_watch_resume(struct ge_watch *w, const uint8_t *buf, size_t len,
    struct ge_err *e)
{
	const size_t p = w->m->p;
	const uint8_t *b = buf + STATE_HEAD;
	union { float f; uint32_t u; } x;
	uint32_t flags;
	int64_t left;
	size_t i;

	if (len != STATE_HEAD + w->nv * 4 + p * 8 ||
	    ge_get32(buf) != STATE_MAGIC || ge_get32(buf + 4) != p ||
	    ge_get64(buf + 8) != w->nv)
		return (ge_fail(e, GE_EREFUSED,
		    "not the state of a watch with this model"));
	flags = ge_get32(buf + 36);
	if (ge_get32(buf + 32) > w->m->lags || (flags & 0xff) > 2 ||
	    (flags >> 8 & 0xff) > 1 || flags >> 16 > 1 || ge_get64(buf + 16) > INT64_MAX ||
	    ge_get64(buf + 24) > ge_get64(buf + 16))
		return (ge_fail(e, GE_EREFUSED, "bad state of a watch"));
	for (i = 0; i < w->nv; i++) {
		x.u = ge_get32(b + 4 * i);
		if (!(fabsf(x.f) <= STATE_MOST))
			return (ge_fail(e, GE_EREFUSED,
			    "bad state of a watch"));
	}
	for (i = 0; i < p; i++) {
		left = (int64_t)ge_get64(b + 4 * w->nv + 8 * i);
		if (left < -1 || (left >= 0 &&
		    (uint64_t)left >= ge_get64(buf + 16)))
			return (ge_fail(e, GE_EREFUSED,
			    "bad state of a watch"));
	}
	for (i = 0; i < w->nv; i++) {
		x.u = ge_get32(b + 4 * i);
		w->v[i] = x.f;
	}
	for (i = 0; i < p; i++)
		w->left[i] = (int64_t)ge_get64(b + 4 * w->nv + 8 * i);
	w->row = ge_get64(buf + 16);
	w->since = ge_get64(buf + 24);
	w->have = ge_get32(buf + 32);
	w->scored = flags & 0xff;
	w->alarm = flags >> 8 & 1;
	w->begun = flags >> 16;
	return (0);
}
