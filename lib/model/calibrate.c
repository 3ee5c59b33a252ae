#include <math.h>
#include <string.h>

#include "model/calibrate.h"
#include "model/digits.h"
#include "model/holdout.h"
#include "model/softmax.h"
#include "util/hook.h"
#include "util/mem.h"

enum {
	STEPS = 100			/* of Newton's method, at most */
};

#define FAR 1e30			/* of a margin that can be reckoned with */
#define BETTER 1e-6			/* share of the loss that a kind must save */

/* Some of the rows. */
struct part {
	const struct ge_margins *m;
	const uint32_t *row;
	size_t n;
};

static size_t
width(size_t k)
{

	return (k == 2 ? 1 : k);
}

static double
sane(float margin)
{

	return (isnan(margin) ? 0 : fmin(fmax(margin, -FAR), FAR));
}

static double
logistic(double x)
{

	return (x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)));
}

static double
weight(const struct ge_margins *m, size_t row)
{

	return (m->w != NULL ? (double)m->w[row] : 1);
}

static void
softmax(const float *margin, size_t k, double slope, double *p)
{
	size_t c;

	for (c = 0; c < k; c++)
		p[c] = slope * sane(margin[c]);
	ge_softmax(p, k);
}

/*
 * Slope and shift of two classes, by Newton's method as Lin, Lin and Weng write it,
 * with Platt's targets: not quite 0 and 1.
 */

struct line {
	double slope, shift;
	double high, low;		/* targets */
};

static double
line_loss(const struct part *a, const struct line *l)
{
	double f, t, sum = 0;
	size_t i, row;

	for (i = 0; i < a->n; i++) {
		row = a->row[i];
		f = l->slope * sane(a->m->margin[row]) + l->shift;
		t = a->m->y[row] > 0.5 ? l->high : l->low;
		sum += weight(a->m, row) * ((f >= 0 ? (1 - t) * f : -t * f) +
		    log1p(exp(-fabs(f))));
	}
	return (sum);
}

/* Gradient g and the three numbers of the second derivatives. */
static void
line_slopes(const struct part *a, const struct line *l, double g[2],
    double h[3])
{
	double x, p, d, t, w;
	size_t i, row;

	g[0] = g[1] = h[1] = 0;
	h[0] = h[2] = 1e-12;
	for (i = 0; i < a->n; i++) {
		row = a->row[i];
		w = weight(a->m, row);
		x = sane(a->m->margin[row]);
		t = a->m->y[row] > 0.5 ? l->high : l->low;
		p = logistic(l->slope * x + l->shift);
		d = w * (p - t);
		g[0] += d * x;
		g[1] += d;
		d = w * p * (1 - p);
		h[0] += d * x * x;
		h[1] += d * x;
		h[2] += d;
	}
}

/* A step of Newton's: 1, or 0 where nothing better was found. */
static int
line_step(const struct part *a, struct line *l, double *loss)
{
	double g[2], h[3], det, da, db, now, s;
	struct line next;

	line_slopes(a, l, g, h);
	if (hypot(g[0], g[1]) < 1e-10 * (double)a->n)
		return (0);
	det = h[0] * h[2] - h[1] * h[1];
	da = -(h[2] * g[0] - h[1] * g[1]) / det;
	db = -(h[0] * g[1] - h[1] * g[0]) / det;
	for (s = 1; s > 1e-10; s /= 2) {
		next = *l;
		next.slope += s * da;
		next.shift += s * db;
		now = line_loss(a, &next);
		if (now < *loss) {
			*l = next;
			*loss = now;
			return (1);
		}
	}
	return (0);
}

static int
fit_sigmoid(struct ge_calibration *c, const struct part *a)
{
	double in = 0, out = 0, loss;
	struct line l;
	size_t i;
	int step;

	for (i = 0; i < a->n; i++)
		*(a->m->y[a->row[i]] > 0.5 ? &in : &out) += weight(a->m,
		    a->row[i]);
	if (!(in > 0) || !(out > 0))
		return (0);
	l.high = (in + 1) / (in + 2);
	l.low = 1 / (out + 2);
	l.slope = 0;
	l.shift = log((in + 1) / (out + 1));
	loss = line_loss(a, &l);
	for (step = 0; step < STEPS && line_step(a, &l, &loss); step++)
		;
	c->slope = ge_digits(l.slope);
	c->shift = ge_digits(l.shift);
	return (c->slope > 1e-6 && c->slope < 1e6 && fabs(c->shift) < 1e6);
}

/*
 * One slope of many classes: the loss is convex in it.
 */

static double
slope_loss(const struct part *a, double slope, double *p, double *g, double *h)
{
	size_t k = a->m->k, i, c, y;
	double loss = 0, mean, sq, w, x;
	const float *margin;

	*g = 0;
	*h = 1e-12;
	for (i = 0; i < a->n; i++) {
		margin = a->m->margin + a->row[i] * k;
		w = weight(a->m, a->row[i]);
		y = (size_t)a->m->y[a->row[i]];
		softmax(margin, k, slope, p);
		for (mean = sq = 0, c = 0; c < k; c++) {
			x = sane(margin[c]) - sane(margin[y]);
			mean += p[c] * x;
			sq += p[c] * x * x;
		}
		loss -= w * log(fmax(p[y], 1e-300));
		*g += w * mean;
		*h += w * (sq - mean * mean);
	}
	return (loss);
}

static int
fit_temperature(struct ge_calibration *c, const struct part *a, double *p)
{
	double slope = 1, loss, g, h, to, now, g1, h1;
	int step;

	loss = slope_loss(a, slope, p, &g, &h);
	for (step = 0; step < STEPS && fabs(g) > 1e-10 * (double)a->n;) {
		to = fmin(fmax(slope - g / h, slope / 4), slope * 4);
		while ((now = slope_loss(a, to, p, &g1, &h1)) > loss &&
		    step++ < STEPS)
			to = (to + slope) / 2;
		if (!(now < loss))
			break;
		slope = to;
		loss = now;
		g = g1;
		h = h1;
		step++;
	}
	c->slope = ge_digits(slope);
	return (c->slope > 1e-6 && c->slope < 1e6);
}

/* Where a row stands on the curve of class c; p is scratch. */
static double
place(const struct ge_margins *m, size_t row, size_t c, double *p)
{

	if (m->k == 2)
		return (sane(m->margin[row]));
	softmax(m->margin + row * m->k, m->k, 1, p);
	return (p[c]);
}

/* 1; 0 if no row weighs anything. */
static int
fit_curve(struct ge_curve *u, const struct part *a, size_t c, double *p,
    struct ge_err *e)
{
	size_t want = a->m->k == 2 ? 1 : c, i, row, n = 0;
	struct ge_curve_pool *b;
	double x;
	int rc = 0;

	if ((b = ge_alloc((a->n + 1) * sizeof(*b), e)) == NULL)
		return (-1);
	for (i = 0; i < a->n; i++) {
		row = a->row[i];
		if (!(weight(a->m, row) > 0))
			continue;
		x = place(a->m, row, c, p);
		b[n++] = (struct ge_curve_pool){ x, x,
		    (size_t)a->m->y[row] == want, weight(a->m, row) };
	}
	if (n > 0)
		rc = ge_curve_rising(u, b, n, 1 / ((double)n + 2), e) == -1 ?
		    -1 : 1;
	ge_free(b);
	return (rc);
}

static int
curves_alloc(struct ge_calibration *c, struct ge_err *e)
{

	c->curve = ge_alloc(width(c->k) * sizeof(*c->curve), e);
	return (c->curve == NULL ? -1 : 0);
}

static int
fit_isotonic(struct ge_calibration *c, const struct part *a, double *p,
    struct ge_err *e)
{
	size_t i;
	int rc = 1;

	if (curves_alloc(c, e) == -1)
		return (-1);
	for (i = 0; i < width(c->k) && rc == 1; i++)
		rc = fit_curve(&c->curve[i], a, i, p, e);
	return (rc);
}

static void
none(struct ge_calibration *c, size_t k)
{

	memset(c, 0, sizeof(*c));
	c->k = k;
	c->slope = 1;
}

/* As ge_calibration_as, of some rows; p [k] is scratch. */
static int
fit(struct ge_calibration *c, enum ge_calibration_kind kind,
    const struct part *a, double *p, struct ge_err *e)
{
	int rc = 1;

	none(c, a->m->k);
	if (kind == GE_CALIBRATION_SIGMOID)
		rc = a->m->k == 2 && fit_sigmoid(c, a);
	else if (kind == GE_CALIBRATION_TEMPERATURE)
		rc = a->m->k > 2 && fit_temperature(c, a, p);
	else if (kind == GE_CALIBRATION_ISOTONIC)
		rc = fit_isotonic(c, a, p, e);
	if (rc == 1) {
		c->kind = kind;
	} else {
		ge_calibration_release(c);
		none(c, a->m->k);
	}
	return (rc);
}

void
ge_calibration_apply(const struct ge_calibration *c, const float *margin,
    double *p)
{
	double sum = 0;
	size_t i;

	if (c->k == 2) {
		p[1] = c->kind == GE_CALIBRATION_ISOTONIC ? ge_curve_at(c->curve,
		    sane(*margin)) : logistic(c->slope * sane(*margin) +
		    c->shift);
		p[0] = 1 - p[1];
		return;
	}
	softmax(margin, c->k, c->slope, p);
	if (c->kind != GE_CALIBRATION_ISOTONIC)
		return;
	for (i = 0; i < c->k; i++)
		sum += p[i] = ge_curve_at(&c->curve[i], p[i]);
	for (i = 0; i < c->k; i++)
		p[i] = sum > 0 ? p[i] / sum : 1 / (double)c->k;
}

static double
loss(const struct ge_calibration *c, const struct part *a, double *p)
{
	double sum = 0;
	size_t i, row;

	for (i = 0; i < a->n; i++) {
		row = a->row[i];
		ge_calibration_apply(c, a->m->margin + row * width(c->k), p);
		sum -= weight(a->m, row) * log(fmax(p[(size_t)a->m->y[row]],
		    1e-15));
	}
	return (sum);
}

/* What a kind loses on folds that it is not learnt from; INFINITY: not to be had. */
static int
held_loss(const struct ge_margins *m, enum ge_calibration_kind kind,
    uint32_t *row, double *p, double *out, struct ge_err *e)
{
	struct ge_calibration c;
	struct part held, others;
	size_t f, n;
	int rc = 1;

	*out = 0;
	for (f = 0; f < GE_HOLDOUT_PARTS && rc == 1; f++) {
		n = ge_holdout(m->fold, m->n, f, row);
		if (n == 0)
			continue;
		held = (struct part){ m, row, n };
		others = (struct part){ m, row + n, m->n - n };
		if (ge_hook_tick(0, e) == -1 ||
		    (rc = fit(&c, kind, &others, p, e)) == -1)
			return (-1);
		*out += loss(&c, &held, p);
		ge_calibration_release(&c);
	}
	if (rc == 0)
		*out = INFINITY;
	return (0);
}

static uint32_t *
all_rows(const struct ge_margins *m, struct ge_err *e)
{
	uint32_t *row = ge_alloc((m->n + 1) * sizeof(*row), e);
	size_t i;

	for (i = 0; row != NULL && i < m->n; i++)
		row[i] = (uint32_t)i;
	return (row);
}

int
ge_calibration_as(struct ge_calibration *c, enum ge_calibration_kind kind,
    const struct ge_margins *m, struct ge_err *e)
{
	struct part a = { m, NULL, m->n };
	uint32_t *row;
	double *p = NULL;
	int rc = -1;

	none(c, m->k);
	if ((row = all_rows(m, e)) != NULL &&
	    (p = ge_alloc(m->k * sizeof(*p), e)) != NULL) {
		a.row = row;
		rc = fit(c, kind, &a, p, e);
	}
	ge_free(row);
	ge_free(p);
	return (rc);
}

int
ge_calibration_fit(struct ge_calibration *c, const struct ge_margins *m,
    struct ge_err *e)
{
	int kind, best = GE_CALIBRATION_NONE, rc = -1;
	double *p = NULL, now, least = INFINITY;
	uint32_t *row;

	none(c, m->k);
	if ((row = ge_alloc((m->n + 1) * sizeof(*row), e)) == NULL ||
	    (p = ge_alloc(m->k * sizeof(*p), e)) == NULL)
		goto out;
	for (kind = 0; kind <= GE_CALIBRATION_ISOTONIC; kind++) {
		if (held_loss(m, (enum ge_calibration_kind)kind, row, p, &now,
		    e) == -1)
			goto out;
		if (now < least - BETTER * fabs(now)) {
			best = kind;
			least = now;
		}
	}
	rc = ge_calibration_as(c, (enum ge_calibration_kind)best, m, e);
out:
	ge_free(row);
	ge_free(p);
	return (rc == -1 ? -1 : 0);
}

void
ge_calibration_release(struct ge_calibration *c)
{
	size_t i;

	for (i = 0; c->curve != NULL && i < width(c->k); i++)
		ge_curve_release(&c->curve[i]);
	ge_free(c->curve);
	c->curve = NULL;
	c->kind = GE_CALIBRATION_NONE;
}

/*
 * In schema.json.
 */

static const char *const kind_name[] = {
	"none", "sigmoid", "temperature", "isotonic"
};

json_t *
ge_calibration_json(const struct ge_calibration *c)
{
	json_t *j = json_object(), *all;
	size_t i;

	json_object_set_new(j, "kind", json_string(kind_name[c->kind]));
	if (c->kind == GE_CALIBRATION_SIGMOID ||
	    c->kind == GE_CALIBRATION_TEMPERATURE)
		json_object_set_new(j, "slope", json_real(c->slope));
	if (c->kind == GE_CALIBRATION_SIGMOID)
		json_object_set_new(j, "shift", json_real(c->shift));
	if (c->kind != GE_CALIBRATION_ISOTONIC)
		return (j);
	all = json_array();
	for (i = 0; i < width(c->k); i++)
		json_array_append_new(all, ge_curve_json(&c->curve[i]));
	json_object_set_new(j, "curves", all);
	return (j);
}

static int
parse_curves(struct ge_calibration *c, const json_t *j, struct ge_err *e)
{
	size_t i;

	if (json_array_size(j) != width(c->k))
		return (ge_fail(e, GE_EREFUSED, "calibration: %zu curves, not "
		    "%zu", json_array_size(j), width(c->k)));
	if (curves_alloc(c, e) == -1)
		return (-1);
	for (i = 0; i < width(c->k); i++)
		if (ge_curve_parse(&c->curve[i], json_array_get(j, i), 0, 1, 1,
		    e) == -1)
			return (ge_within(e, "calibration"));
	return (0);
}

static int
parse_kind(struct ge_calibration *c, const json_t *j, struct ge_err *e)
{
	const char *kind = json_string_value(json_object_get(j, "kind"));
	int i;

	for (i = 0; kind != NULL && i <= GE_CALIBRATION_ISOTONIC; i++)
		if (strcmp(kind, kind_name[i]) == 0)
			break;
	if (kind == NULL || i > GE_CALIBRATION_ISOTONIC ||
	    (i == GE_CALIBRATION_SIGMOID && c->k != 2) ||
	    (i == GE_CALIBRATION_TEMPERATURE && c->k == 2))
		return (ge_fail(e, GE_EREFUSED, "calibration: of no known kind"));
	c->kind = (enum ge_calibration_kind)i;
	return (0);
}

static int
parse_calibration(struct ge_calibration *c, const json_t *j, struct ge_err *e)
{

	if (parse_kind(c, j, e) == -1)
		return (-1);
	if (c->kind == GE_CALIBRATION_ISOTONIC)
		return (parse_curves(c, json_object_get(j, "curves"), e));
	if (c->kind == GE_CALIBRATION_NONE)
		return (0);
	if (ge_digits_json(json_object_get(j, "slope"), 1e-6, 1e6,
	    &c->slope) == -1 || (c->kind == GE_CALIBRATION_SIGMOID &&
	    ge_digits_json(json_object_get(j,
	    "shift"), -1e6, 1e6, &c->shift) == -1))
		return (ge_fail(e, GE_EREFUSED, "calibration: a slope or shift "
		    "that cannot be"));
	return (0);
}

int
ge_calibration_parse(struct ge_calibration *c, const json_t *j, size_t k,
    struct ge_err *e)
{

	none(c, k);
	if (k < 2 || k > GE_CLASSES)
		return (ge_fail(e, GE_EREFUSED, "calibration: %zu classes", k));
	if (j == NULL || json_is_null(j) || parse_calibration(c, j, e) == 0)
		return (0);
	ge_calibration_release(c);
	return (-1);
}
