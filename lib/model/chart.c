#include <math.h>
#include <string.h>

#include "model/chart.h"
#include "model/eigen.h"
#include "model/monitor_fit_int.h"
#include "util/mem.h"
#include "util/par.h"

#define VARIANCE 0.9			/* that the components hold */
#define LEAST 1e-9			/* of a component's variance */

struct fit {
	struct ge_fit f;		/* first, for ge_fit_walk */
	struct ge_chart *c;
	struct ge_chart fold[FOLDS];	/* components of their own */
	float *stat;			/* [nkept][GE_CHART_STATS] */
	float *score;			/* [nkept] */
	int scoring;
};

static void
components_release(struct ge_chart *c)
{

	ge_free(c->mean);
	ge_free(c->vec);
	ge_free(c->inverse);
	ge_free(c->t);
	c->mean = c->vec = c->inverse = c->t = NULL;
}

void
ge_chart_release(struct ge_chart *c)
{

	components_release(c);
	ge_monitor_release(&c->m);
	memset(c, 0, sizeof(*c));
}

/* Covariance of all stretches but b; the sums of values stand in column q. */
static void
covariance(const struct fit *t, size_t b, float *mean, double *a)
{
	const struct ge_fit *f = &t->f;
	const size_t q = t->c->q, k = f->m->width;
	const double *all = f->gram[FOLDS], *less = b < FOLDS ? f->gram[b] :
	    NULL;
	double n = f->count[FOLDS] - (less != NULL ? f->count[b] : 0), x;
	size_t i, j;

	for (i = 0; i < q; i++) {
		x = all[i * k + q] - (less != NULL ? less[i * k + q] : 0);
		mean[i] = (float)(x / n);
	}
	for (i = 0; i < q; i++)
		for (j = 0; j < q; j++) {
			x = all[i * k + j] -
			    (less != NULL ? less[i * k + j] : 0);
			a[i * q + j] = x / n - (double)mean[i] *
			    (double)mean[j];
		}
}

/* As many of the components as hold VARIANCE. */
static int
keep(struct ge_chart *c, const double *value, const double *z, struct ge_err *e)
{
	const size_t q = c->q;
	double all = 0, part = 0;
	size_t i;

	for (i = 0; i < q; i++)
		all += fmax(value[i], 0);
	for (c->k = 0; c->k < q && part < VARIANCE * all; c->k++)
		part += fmax(value[c->k], 0);
	if ((c->vec = ge_alloc(c->k * q * sizeof(float), e)) == NULL ||
	    (c->inverse = ge_alloc(c->k * sizeof(float), e)) == NULL)
		return (-1);
	for (i = 0; i < c->k * q; i++)
		c->vec[i] = (float)z[i];
	for (i = 0; i < c->k; i++)
		c->inverse[i] = (float)(1 / fmax(value[i], LEAST));
	return (0);
}

static int
components(void *arg, size_t b, int worker, struct ge_err *e)
{
	struct fit *t = arg;
	struct ge_chart *c = b < FOLDS ? &t->fold[b] : t->c;
	const size_t q = c->q;
	double *a = NULL, *z = NULL, *value = NULL;
	int rc = -1;

	(void)worker;
	if ((c->mean = ge_alloc(q * sizeof(float), e)) == NULL ||
	    (c->t = ge_alloc(q * sizeof(float), e)) == NULL ||
	    (a = ge_alloc(q * q * sizeof(*a), e)) == NULL ||
	    (z = ge_alloc(q * q * sizeof(*z), e)) == NULL ||
	    (value = ge_alloc(2 * q * sizeof(*value), e)) == NULL)
		goto out;
	covariance(t, b, c->mean, a);
	if (ge_eigen(a, q, value, z, value + q) == -1) {
		ge_fail(e, GE_EFAIL, "numbers that have no components");
		goto out;
	}
	rc = keep(c, value, z, e);
out:
	ge_free(value);
	ge_free(z);
	ge_free(a);
	return (rc);
}

/* T2 and SPE, or the largest distance, of the row that w has taken. */
static void
stats(const struct ge_chart *c, const struct ge_watch *w,
    float out[GE_CHART_STATS])
{
	float x, t2 = 0, spe, far = 0;
	size_t i;

	out[1] = 0;
	if (c->kind == GE_CHART_EACH) {
		for (i = 0; i < c->m.p; i++)
			far = fmaxf(far, fabsf(w->a[i]));
		out[0] = far;
		return;
	}
	for (i = 0; i < c->q; i++)
		c->t[i] = w->a[i] - c->mean[i];
	spe = w->ops->dot(c->t, c->t, c->q);
	for (i = 0; i < c->k; i++) {
		x = w->ops->dot(c->vec + i * c->q, c->t, c->q);
		t2 += x * x * c->inverse[i];
		spe -= x * x;
	}
	out[0] = cbrtf(t2);
	out[1] = cbrtf(fmaxf(spe, 0));
}

static float
score(const struct ge_chart *c, const float st[GE_CHART_STATS])
{
	float top = 0;
	size_t i;

	for (i = 0; i < GE_CHART_STATS; i++)
		top = fmaxf(top, (st[i] - c->middle[i]) /
		    (c->limit[i] - c->middle[i]));
	return (top);
}

static void
note(struct ge_fit *f, size_t b, struct ge_watch *w, size_t row)
{
	struct fit *t = (struct fit *)f;
	float st[GE_CHART_STATS], x;

	stats(&t->fold[b], w, st);
	x = t->scoring ? ge_watch_run(w, score(t->c, st)) : 0;
	if (row % f->stride != 0)
		return;
	row /= f->stride;
	if (t->scoring)
		t->score[row] = x;
	else
		memcpy(t->stat + row * GE_CHART_STATS, st, sizeof(st));
}

static int
walk(void *arg, size_t b, int worker, struct ge_err *e)
{
	struct fit *t = arg;

	(void)worker;
	return (ge_fit_walk(&t->f, b, &t->c->m, note, e));
}

static int
limits(struct fit *t, struct ge_err *e)
{
	struct ge_fit_tail tail = { .step = GE_CHART_STATS, .but = FOLDS,
	    .trust = 1 };
	struct ge_chart *c = t->c;
	float *x;
	double most;
	size_t i, k, n;
	int rc = -1;

	if ((x = ge_alloc(t->f.nkept * sizeof(*x), e)) == NULL)
		return (-1);
	for (k = 0; k < GE_CHART_STATS; k++) {
		for (n = 0, i = 0; i < t->f.nkept; i++)
			if (!isnan(t->stat[i * GE_CHART_STATS + k]))
				x[n++] = t->stat[i * GE_CHART_STATS + k];
		c->middle[k] = ge_fit_median(x, n);
		tail.x = t->stat + k;
		if (ge_fit_bound(&t->f, &tail, &most, e) == -1)
			goto out;
		c->limit[k] = fmaxf((float)most, c->middle[k] * 1.001f +
		    1e-6f);
	}
	rc = 0;
out:
	ge_free(x);
	return (rc);
}

/* The past of both passes is the folds' own; their limits are c's. */
static int
calibrate(struct fit *t, struct ge_err *e)
{
	struct ge_fit_tail score = { .step = 1, .but = FOLDS, .trust =
	    ge_fit_trust(t->f.n) };
	struct ge_fit *f = &t->f;
	double most;
	size_t i;

	f->stride = (f->n + KEPT - 1) / KEPT;
	f->nkept = (f->n + f->stride - 1) / f->stride;
	if ((t->stat = ge_alloc(f->nkept * GE_CHART_STATS * sizeof(float),
	    e)) == NULL ||
	    (t->score = ge_alloc(f->nkept * sizeof(float), e)) == NULL)
		return (-1);
	for (i = 0; i < f->nkept; i++)
		t->score[i] = t->stat[2 * i] = t->stat[2 * i + 1] = NAN;
	if (ge_par_each(f->o->jobs, FOLDS, walk, t, e) == -1 ||
	    limits(t, e) == -1)
		return (-1);
	t->scoring = 1;
	score.x = t->score;
	if (ge_par_each(f->o->jobs, FOLDS, walk, t, e) == -1 ||
	    ge_fit_bound(f, &score, &most, e) == -1)
		return (-1);
	t->c->bound = (float)fmax(most, 0.1);
	return (0);
}

/* Scales, as a monitor's, and no relations. */
static int
shape(struct fit *t, size_t lags, struct ge_err *e)
{
	struct ge_monitor *m = &t->c->m;
	size_t b;

	m->p = t->f.p;
	m->lags = lags;
	m->modes = 1;
	m->baseline = 1;
	if (ge_monitor_shape(m, e) == -1 ||
	    (t->f.skip = ge_alloc(t->f.n, e)) == NULL ||
	    ge_fit_scale(&t->f, e) == -1)
		return (-1);
	t->c->q = m->p * (lags + 1);
	for (b = 0; b < FOLDS; b++) {
		t->fold[b].kind = t->c->kind;
		t->fold[b].q = t->c->q;
		t->fold[b].m.p = m->p;
	}
	return (0);
}

static int
relate(struct fit *t, struct ge_err *e)
{

	if (t->c->kind == GE_CHART_EACH)
		return (0);
	t->c->m.clip = FIT_CLIP;
	if (ge_fit_gram_alloc(&t->f, e) == -1 || ge_fit_gram(&t->f, e) == -1)
		return (-1);
	return (ge_par_each(t->f.o->jobs, FOLDS + 1, components, t, e));
}

int
ge_chart_fit(struct ge_chart *c, enum ge_chart_kind kind, size_t lags,
    const double *rows, size_t n, size_t p, const struct ge_monitor_opts *o,
    struct ge_err *e)
{
	struct fit t = { .f = { .o = o, .rows = rows, .n = n, .p = p,
	    .m = &c->m }, .c = c };
	size_t b, past = lags;
	int rc = -1;

	memset(c, 0, sizeof(*c));
	c->kind = kind;
	if (ge_fit_past(&t.f, &past, e) == -1)
		return (-1);
	if (past < lags)
		return (ge_fail(e, GE_EUSAGE, "too few rows follow %zu others",
		    lags));
	if (kind == GE_CHART_COMPONENTS && p * (lags + 1) >
	    GE_CHART_PREDICTORS)
		return (ge_fail(e, GE_EUSAGE, "%zu columns are too many for "
		    "components", p));
	if (shape(&t, lags, e) == 0 && relate(&t, e) == 0) {
		c->m.clip = WATCH_CLIP;
		rc = calibrate(&t, e);
	}
	for (b = 0; b < FOLDS; b++)
		components_release(&t.fold[b]);
	ge_fit_gram_release(&t.f);
	ge_free(t.f.skip);
	ge_free(t.stat);
	ge_free(t.score);
	if (rc == -1)
		ge_chart_release(c);
	return (rc);
}

struct ge_watch *
ge_chart_watch(const struct ge_chart *c, struct ge_err *e)
{

	return (ge_watch_new(&c->m, e));
}

int
ge_chart_step(const struct ge_chart *c, struct ge_watch *w, const double *row,
    int fresh)
{
	float st[GE_CHART_STATS];

	if (!ge_watch_take(w, row, fresh))
		return (0);
	stats(c, w, st);
	return (ge_watch_run(w, score(c, st)) > c->bound);
}
