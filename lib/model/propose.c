#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/draw.h"
#include "model/propose.h"
#include "util/hook.h"
#include "util/mem.h"

enum {
	FOLDS = 3,
	SAMPLE = 16384,			/* rows that suffice; half, of series */
	ROUNDS = 60, PATIENCE = 8, DEPTH = 5,
	FINE = 1024,			/* bins that suffice for pairs */
	COARSE = 64,			/* bins that suffice for windows */
	WIDTHS = 4,
	COLUMNS = 9			/* of whose pairs there are proposals */
};

#define ETA 0.2
#define NEAR 1.02			/* losses so close are the same */
#define WORTH 0.95			/* windows have to lower it to this */

/* The rows to choose by, and which are held out together. */
struct court {
	const struct ge_schema *s;
	const struct ge_training *t;
	uint32_t *row;			/* [n] of the table, ascending */
	size_t n;
	uint8_t *fold;			/* [n] */
	int coarse;			/* windows are what is weighed */
	double *y;			/* [n] */
	float *w[FOLDS];		/* [n] each, 0 where held out */
	double base;			/* margin to begin with */
	uint32_t *col;			/* [ncols] of numbers that vary */
	size_t ncols;
};

int
ge_propose_bins(size_t nrows, size_t q)
{
	size_t bins = q == 0 ? 4096 : 65536 / q;

	if (nrows > 100000 || bins < 256)
		return (256);
	return (bins > 4096 ? 4096 : (int)bins);
}

/* Places 0..n-1 in an order drawn by seed. */
static void
shuffle(uint32_t *p, size_t n, uint64_t seed)
{
	size_t i, k;
	uint32_t x;

	for (i = 0; i < n; i++)
		p[i] = (uint32_t)i;
	for (i = n; i > 1; i--) {
		k = (size_t)(ge_draw(&seed) % i);
		x = p[i - 1];
		p[i - 1] = p[k];
		p[k] = x;
	}
}

/* Rows of a class are dealt out in turn, in the order p. */
static void
deal_rows(struct court *c, const uint32_t *p)
{
	uint32_t turn[GE_BOOST_CLASSES] = { 0 };
	size_t i, k;

	for (i = 0; i < c->n; i++) {
		k = c->t->boost->objective == GE_SQUARED ? 0 :
		    (size_t)c->y[p[i]];
		c->fold[p[i]] = (uint8_t)(turn[k % GE_BOOST_CLASSES]++ %
		    FOLDS);
	}
}

/* Groups are dealt out in turn, in the order in which p comes to them. */
static int
deal_units(struct court *c, const uint32_t *p, struct ge_err *e)
{
	uint32_t units = 0, turn = 0, u;
	uint8_t *fold;
	size_t i;

	for (i = 0; i < c->n; i++)
		if (units <= c->t->unit[c->row[i]])
			units = c->t->unit[c->row[i]] + 1;
	if ((fold = ge_alloc(units, e)) == NULL)
		return (-1);
	for (i = 0; i < c->n; i++) {
		u = c->t->unit[c->row[p[i]]];
		if (fold[u] == 0)
			fold[u] = (uint8_t)(1 + turn++ % FOLDS);
		c->fold[p[i]] = fold[u] - 1;
	}
	ge_free(fold);
	return (0);
}

/* Rows beside each other in time are alike, so of a series it is blocks. */
static int
deal(struct court *c, int series, struct ge_err *e)
{
	uint32_t *p;
	size_t i;
	int rc = 0;

	if (c->t->unit == NULL && series) {
		for (i = 0; i < c->n; i++)
			c->fold[i] = (uint8_t)(i * FOLDS / c->n);
		return (0);
	}
	if ((p = ge_alloc(c->n * sizeof(*p), e)) == NULL)
		return (-1);
	shuffle(p, c->n, c->t->seed);
	if (c->t->unit != NULL)
		rc = deal_units(c, p, e);
	else
		deal_rows(c, p);
	ge_free(p);
	return (rc);
}

static void
court_release(struct court *c)
{
	int k;

	ge_free(c->row);
	ge_free(c->fold);
	ge_free(c->y);
	ge_free(c->col);
	for (k = 0; k < FOLDS; k++)
		ge_free(c->w[k]);
}

/* Is column j one of numbers of which there are two? */
static int
varies(const struct court *c, uint32_t j)
{
	const struct ge_schema_col *col = &c->s->col[j];
	const double *v = c->t->v + j;
	double first = NAN;
	size_t i;

	if (col->role != GE_ROLE_INPUT || col->type != GE_FRAME_NUMBER)
		return (0);
	for (i = 0; i < c->n; i++) {
		if (isnan(first))
			first = v[c->row[i] * c->s->ncols];
		else if (v[c->row[i] * c->s->ncols] < first ||
		    v[c->row[i] * c->s->ncols] > first)
			return (1);
	}
	return (0);
}

static int
columns(struct court *c, struct ge_err *e)
{
	uint32_t j;

	if ((c->col = ge_alloc((c->s->ncols + 1) * sizeof(*c->col), e)) ==
	    NULL)
		return (-1);
	for (j = 0; j < c->s->ncols; j++)
		if (varies(c, j))
			c->col[c->ncols++] = j;
	return (0);
}

/* The mean, or the log odds: not to its last bit, which is the C library's. */
static double
base(const struct court *c)
{
	double sum = 0, all = 0, w;
	size_t i;

	for (i = 0; i < c->n; i++) {
		w = c->t->w == NULL ? 1 : (double)c->t->w[c->row[i]];
		sum += w * c->y[i];
		all += w;
	}
	if (c->t->boost->objective == GE_SQUARED)
		return (all > 0 ? sum / all : 0);
	if (c->t->boost->objective == GE_SOFTMAX || sum <= 0 || sum >= all)
		return (0);
	return (round(log(sum / (all - sum)) * 64) / 64);
}

static int
court_init(struct court *c, const struct ge_schema *s,
    const struct ge_training *t, int series, struct ge_err *e)
{
	size_t i;
	int k;

	memset(c, 0, sizeof(*c));
	c->s = s;
	c->t = t;
	c->n = series ? SAMPLE / 2 : SAMPLE;
	if (c->n > t->nrows)
		c->n = t->nrows;
	if ((c->row = ge_alloc(c->n * sizeof(*c->row), e)) == NULL ||
	    (c->fold = ge_alloc(c->n, e)) == NULL ||
	    (c->y = ge_alloc(c->n * sizeof(*c->y), e)) == NULL)
		return (-1);
	for (i = 0; i < c->n; i++) {
		c->row[i] = t->row[(uint64_t)i * t->nrows / c->n];
		c->y[i] = t->y[c->row[i]];
	}
	c->base = base(c);
	if (columns(c, e) == -1 || deal(c, series, e) == -1)
		return (-1);
	for (k = 0; k < FOLDS; k++) {
		if ((c->w[k] = ge_alloc(c->n * sizeof(**c->w), e)) == NULL)
			return (-1);
		for (i = 0; i < c->n; i++)
			c->w[k][i] = c->fold[i] == k ? 0 : t->w == NULL ? 1 :
			    t->w[c->row[i]];
	}
	return (0);
}

/* The loss of one row from its margins. */
static double
loss_of(const struct ge_boost_opts *o, const float *margin, double y)
{
	double p[GE_BOOST_CLASSES], q;

	if (o->objective == GE_SQUARED)
		return ((margin[0] - y) * (margin[0] - y));
	ge_boost_probability(o, margin, p);
	q = p[(size_t)y];
	return (-log(q < 1e-15 ? 1e-15 : q));
}

/* What fold k's trees lose on the rows they did not see, added to *sum. */
static int
held_out(const struct court *c, struct ge_boost *b,
    const struct ge_boost_opts *o, int k, double *sum, double *weight,
    struct ge_err *e)
{
	const float *m;
	size_t i, each = ge_boost_k(o);
	double w;

	if ((m = ge_boost_fitted(b, e)) == NULL)
		return (-1);
	for (i = 0; i < c->n; i++) {
		if (c->fold[i] != k)
			continue;
		w = c->t->w == NULL ? 1 : c->t->w[c->row[i]];
		*sum += w * loss_of(o, m + i * each, c->y[i]);
		*weight += w;
	}
	return (0);
}

/* A round in each fold; the mean loss then. */
static int
advance(const struct court *c, struct ge_boost **b,
    const struct ge_boost_opts *o, double *loss, struct ge_err *e)
{
	double sum = 0, weight = 0;
	int k;

	for (k = 0; k < FOLDS; k++)
		if (ge_hook_tick(0, e) == -1 ||
		    ge_boost_round(b[k], e) == -1 ||
		    held_out(c, b[k], o, k, &sum, &weight, e) == -1)
			return (-1);
	*loss = weight > 0 ? sum / weight : 0;
	return (0);
}

static int
add_gains(struct ge_boost **b, size_t q, double *gain, struct ge_err *e)
{
	double *one;
	size_t i;
	int k, rc = -1;

	if ((one = ge_alloc(q * sizeof(*one), e)) == NULL)
		return (-1);
	memset(gain, 0, q * sizeof(*gain));
	for (k = 0; k < FOLDS; k++) {
		if (ge_boost_gain(b[k], one, e) == -1)
			goto out;
		for (i = 0; i < q; i++)
			gain[i] += one[i];
	}
	rc = 0;
out:
	ge_free(one);
	return (rc);
}

static int
late(const struct court *c)
{

	return (c->t->late != NULL && c->t->late(c->t->arg));
}

/* Rounds until it has not become better for a while. */
static int
grow(const struct court *c, struct ge_boost **b, const struct ge_boost_opts *o,
    double *best, struct ge_err *e)
{
	double loss;
	int i, since = 0;

	*best = HUGE_VAL;
	for (i = 0; i < ROUNDS && since < PATIENCE && (i == 0 || !late(c));
	    i++) {
		if (advance(c, b, o, &loss, e) == -1)
			return (-1);
		since++;
		if (loss < *best) {
			*best = loss;
			since = 0;
		}
	}
	return (0);
}

static struct ge_boost_data *
quantise(const struct court *c, const struct ge_features *F,
    const struct ge_boost_opts *o, struct ge_err *e)
{
	struct ge_boost_data *d = NULL;
	uint8_t *is = NULL;
	float *x;

	if ((x = ge_block_alloc(c->n * F->n * sizeof(*x), e)) == NULL ||
	    (is = ge_alloc(F->n, e)) == NULL)
		goto out;
	ge_features_categories(F, c->s, is);
	if (ge_features_rows(F, c->t->v, c->t->n, c->t->fresh, c->row, c->n,
	    x, e) == 0)
		d = ge_boost_data_new(x, F->n, NULL, c->n, is, o, e);
out:
	ge_free(is);
	ge_block_free(x);
	return (d);
}

/* To choose by, somewhat coarser thresholds do. */
static int
few_bins(int bins)
{

	return (bins < FINE ? bins : FINE);
}

static void
settings(const struct court *c, size_t q, struct ge_boost_opts *o)
{

	ge_boost_opts_init(o);
	o->objective = c->t->boost->objective;
	o->classes = c->t->boost->classes;
	o->jobs = 1;			/* few rows: threads would wait */
	o->base = c->base;
	o->bins = c->t->boost->bins;
	if (c->coarse)
		o->bins = COARSE;
	else if (o->bins == 0)
		o->bins = few_bins(ge_propose_bins(c->n, q));
	o->eta = ETA;
	o->depth = DEPTH;
}

/*
 * The loss on held-out rows of trees that see the features F; the gains [F->n] of all
 * folds if gain is not NULL.
 */
static int
judge(const struct court *c, const struct ge_features *F, double *loss,
    double *gain, struct ge_err *e)
{
	struct ge_boost *b[FOLDS] = { NULL };
	struct ge_boost_data *d;
	struct ge_boost_opts o;
	int k, rc = -1;

	settings(c, F->n, &o);
	if ((d = quantise(c, F, &o, e)) == NULL)
		return (-1);
	for (k = 0; k < FOLDS; k++)
		if ((b[k] = ge_boost_new(d, c->y, c->w[k], &o, e)) == NULL)
			goto out;
	if (grow(c, b, &o, loss, e) == -1 ||
	    (gain != NULL && add_gains(b, F->n, gain, e) == -1))
		goto out;
	rc = 0;
out:
	for (k = 0; k < FOLDS; k++)
		ge_boost_free(b[k]);
	ge_boost_data_free(d);
	return (rc);
}

/* A thing and what it is worth, to be sorted: the best first, then the first. */
struct worth {
	double gain;
	uint32_t i;
};

static int
by_gain(const void *a, const void *b)
{
	const struct worth *p = a, *q = b;

	if (p->gain != q->gain)
		return (p->gain > q->gain ? -1 : 1);
	return (p->i < q->i ? -1 : p->i > q->i);
}

/* Features from..F->n-1 by their gains among all of F. */
static int
rank(const struct court *c, const struct ge_features *F, size_t from,
    struct worth *w, struct ge_err *e)
{
	double *gain, loss;
	size_t i;
	int rc;

	if ((gain = ge_alloc(F->n * sizeof(*gain), e)) == NULL)
		return (-1);
	rc = judge(c, F, &loss, gain, e);
	for (i = from; rc == 0 && i < F->n; i++)
		w[i - from] = (struct worth){ gain[i], (uint32_t)i };
	ge_free(gain);
	if (rc == 0)
		qsort(w, F->n - from, sizeof(*w), by_gain);
	return (rc);
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *p = a, *q = b;

	return (*p < *q ? -1 : *p > *q);
}

/* Of many columns those that trees use most, in their order. */
static int
fewer(struct court *c, struct ge_err *e)
{
	struct ge_features plain = { 0 };
	struct worth *w = NULL;
	int rc = -1;
	size_t i;

	if (c->ncols <= COLUMNS)
		return (0);
	if (ge_features_plain(&plain, c->s, e) == -1 ||
	    (w = ge_alloc(plain.n * sizeof(*w), e)) == NULL ||
	    rank(c, &plain, 0, w, e) == -1)
		goto out;
	for (i = 0, c->ncols = 0; i < plain.n && c->ncols < COLUMNS; i++)
		if (varies(c, plain.f[w[i].i].a))
			c->col[c->ncols++] = plain.f[w[i].i].a;
	qsort(c->col, c->ncols, sizeof(*c->col), by_number);
	rc = 0;
out:
	ge_free(w);
	ge_features_release(&plain);
	return (rc);
}

static int
comparable(const struct ge_schema_col *a, const struct ge_schema_col *b)
{

	return (a->unit == NULL || b->unit == NULL ||
	    strcmp(a->unit, b->unit) == 0);
}

static int
pairs(struct court *c, struct ge_features *F, struct ge_err *e)
{
	const struct ge_schema *s = c->s;
	uint32_t a, b;
	size_t i, k;

	if (fewer(c, e) == -1)
		return (-1);
	for (i = 0; i < c->ncols; i++)
		for (k = i + 1; k < c->ncols; k++) {
			a = c->col[i];
			b = c->col[k];
			if (ge_features_add(F, s, GE_F_PRODUCT, a, b, 0, e) ==
			    -1 ||
			    ge_features_add(F, s, GE_F_RATIO, a, b, 0, e) ==
			    -1 ||
			    (comparable(&s->col[a], &s->col[b]) &&
			    ge_features_add(F, s, GE_F_DIFFERENCE, a, b, 0,
			    e) == -1))
				return (-1);
		}
	return (0);
}

/* To F features w[from] to w[to - 1] of all. */
static int
take(struct ge_features *F, const struct ge_schema *s,
    const struct ge_features *all, const struct worth *w, size_t from,
    size_t to, struct ge_err *e)
{
	const struct ge_feature *f;

	for (; from < to; from++) {
		f = &all->f[w[from].i];
		if (ge_features_add(F, s, f->op, f->a, f->b, f->w, e) == -1)
			return (-1);
	}
	return (0);
}

/* 0 1 2 3 4 6 8 12 16 24 ... most */
static size_t
next_count(size_t k, size_t most)
{

	if (k < most && k < 4)
		return (k + 1);
	k += (k & (k - 1)) == 0 ? k / 2 : k / 3;
	return (k < most ? k : most);
}

/* How many of the ranked proposals to keep. */
static int
prune(const struct court *c, const struct ge_features *F,
    const struct ge_features *all, const struct worth *w, size_t most,
    size_t *keep, struct ge_err *e)
{
	struct ge_features G = { 0 };
	double loss[64], best = HUGE_VAL;
	size_t count[64], n = 0, i, k = 0;
	int rc = -1;

	if (ge_features_copy(&G, F, c->s, e) == -1)
		goto out;
	for (;;) {
		if (judge(c, &G, &loss[n], NULL, e) == -1)
			goto out;
		ge_note(GE_DETAIL, "proposals: %zu: loss %.6g", k, loss[n]);
		if (loss[n] < best)
			best = loss[n];
		count[n++] = k;
		if (k == most || late(c))
			break;
		i = k;
		k = next_count(k, most);
		if (take(&G, c->s, all, w, i, k, e) == -1)
			goto out;
	}
	for (i = 0; loss[i] > best * NEAR; i++)
		;
	*keep = count[i];
	rc = 0;
out:
	ge_features_release(&G);
	return (rc);
}

int
ge_propose(struct ge_features *F, const struct ge_schema *s,
    const struct ge_training *t, size_t most, struct ge_err *e)
{
	struct ge_features all = { 0 };
	struct worth *w = NULL;
	struct court c;
	size_t n, keep = 0;
	int rc = -1;

	if (court_init(&c, s, t, F->time != GE_F_NONE, e) == -1 ||
	    ge_features_copy(&all, F, s, e) == -1 ||
	    pairs(&c, &all, e) == -1)
		goto out;
	n = all.n - F->n;
	if (n > 0 && most > 0) {
		if ((w = ge_alloc(n * sizeof(*w), e)) == NULL ||
		    rank(&c, &all, F->n, w, e) == -1)
			goto out;
		while (n > 0 && w[n - 1].gain <= 0)
			n--;
		if (prune(&c, F, &all, w, n < most ? n : most, &keep, e) == -1)
			goto out;
	}
	rc = take(F, s, &all, w, 0, keep, e);
out:
	ge_free(w);
	ge_features_release(&all);
	court_release(&c);
	return (rc);
}

/* Windows of one kind, of each column. */
struct block {
	enum ge_feature_op op;
	uint32_t b, w;
};

static int
add_block(const struct court *c, struct ge_features *F, const struct block *k,
    struct ge_err *e)
{
	size_t i;

	for (i = 0; i < c->ncols; i++)
		if (ge_features_add(F, c->s, k->op, c->col[i], k->b, k->w,
		    e) == -1)
			return (-1);
	return (0);
}

static int
add_blocks(const struct court *c, struct ge_features *F,
    const struct block *k, size_t n, struct ge_err *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (add_block(c, F, &k[i], e) == -1)
			return (-1);
	return (0);
}

/* The loss with n blocks beside F. */
static int
weigh(const struct court *c, const struct ge_features *F,
    const struct block *k, size_t n, double *loss, struct ge_err *e)
{
	struct ge_features G = { 0 };
	int rc = -1;

	if (ge_features_copy(&G, F, c->s, e) == -1 ||
	    add_blocks(c, &G, k, n, e) == -1 ||
	    judge(c, &G, loss, NULL, e) == -1)
		goto out;
	ge_note(GE_DETAIL, "windows: %s: loss %.6g", G.n > F->n ?
	    G.f[G.n - 1].name : "none", *loss);
	rc = 0;
out:
	ge_features_release(&G);
	return (rc);
}

/*
 * Means, less the start where there is one, over the narrowest width that is about as
 * good as the best: what is wide has to be waited for.
 */
static int
smooth(const struct court *c, struct ge_features *F, uint32_t longest,
    double *best, uint32_t *width, struct ge_err *e)
{
	static const uint32_t part[WIDTHS] = { 6, 3, 2, 1 };
	struct block k[WIDTHS][2];
	double loss[WIDTHS], least = *best;
	size_t i, n = c->t->unit != NULL ? 2 : 1;
	uint32_t w;

	for (i = 0; i < WIDTHS; i++) {
		w = longest / part[i];
		k[i][0] = (struct block){ GE_F_MEAN, 0, w };
		k[i][1] = (struct block){ GE_F_START, w, w };
		loss[i] = HUGE_VAL;
		if (w >= 2 && !late(c) && weigh(c, F, k[i], n, &loss[i], e) == -1)
			return (-1);
		if (loss[i] < least)
			least = loss[i];
	}
	*width = 1;
	if (least >= *best * WORTH)
		return (0);
	for (i = 0; loss[i] * WORTH > least; i++)
		;
	*best = loss[i];
	*width = k[i][0].w;
	return (add_blocks(c, F, k[i], n, e));
}

/* Further blocks one after the other, each if it helps. */
static int
enrich(const struct court *c, struct ge_features *F, uint32_t longest,
    uint32_t width, double *best, struct ge_err *e)
{
	const struct block k[] = {
		{ GE_F_LAG, 0, 1 }, { GE_F_LAG, 0, longest },
		{ GE_F_SLOPE, 0, longest }, { GE_F_SPREAD, 0, longest },
		{ GE_F_START, 2 * width, width }
	};
	double loss;
	size_t i;

	for (i = 0; i < sizeof(k) / sizeof(*k) && !late(c); i++) {
		if ((k[i].op == GE_F_START && (c->t->unit == NULL ||
		    k[i].b > GE_FEATURES_ROWS)) || (i > 0 && longest < 2))
			continue;
		if (weigh(c, F, &k[i], 1, &loss, e) == -1)
			return (-1);
		if (loss < *best * WORTH) {
			*best = loss;
			if (add_block(c, F, &k[i], e) == -1)
				return (-1);
		}
	}
	return (0);
}

int
ge_propose_lags(struct ge_features *F, const struct ge_schema *s,
    const struct ge_training *t, uint32_t longest, struct ge_err *e)
{
	struct court c;
	uint32_t width;
	double best;
	int rc = -1;

	if (court_init(&c, s, t, 1, e) == -1)
		goto out;
	c.coarse = 1;
	if (t->unit != NULL && ge_features_age(F, s, e) == -1)
		goto out;
	if (c.ncols > 0 && (judge(&c, F, &best, NULL, e) == -1 ||
	    smooth(&c, F, longest, &best, &width, e) == -1 ||
	    enrich(&c, F, longest, width, &best, e) == -1))
		goto out;
	rc = 0;
out:
	court_release(&c);
	return (rc);
}
