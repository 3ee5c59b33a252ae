#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/chol.h"
#include "model/gemm.h"
#include "model/monitor_fit_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/par.h"

enum {
	CHUNK = 256,			/* rows of a product */
	RIDGES = 8,
	LARGE = 256,			/* system, to solve sparingly */
	LOOKED = 256,			/* variables that a choice looks at */
	TURNS = 20
};

/*
 * Laid down: hinges and modes must gain so many nats a value on held-out rows, modes of
 * few rows more, since what drifts comes back by chance, too.
 */
#define HINGE_GAIN 0.02
#define MODE_GAIN 0.05
#define MODE_GAIN_ROWS 20.0		/* over the number of rows, besides */
#define APART 0.6			/* distance to the nearest mode, by the next */
#define NEAR 0.01			/* as good, in nats a value */

static const double ridges[RIDGES] = {
	0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1
};

struct heap {
	struct ge_gemm *g;
	float *a, *c;
	size_t n, width;
	double *gram;
};

static void
heap_add(struct heap *h)
{
	const struct ge_mat left = { h->a, 1, h->width };
	const struct ge_mat right = { h->a, h->width, 1 };
	size_t i;

	if (h->n == 0)
		return;
	ge_gemm(h->g, h->width, h->width, h->n, left, right, h->c, h->width,
	    0);
	for (i = 0; i < h->width * h->width; i++)
		h->gram[i] += (double)h->c[i];
	h->n = 0;
}

static int
gram_fold(void *arg, size_t b, int worker, struct ge_err *e)
{
	struct ge_fit *f = arg;
	struct ge_monitor *m = f->m;
	struct heap h = { .width = m->width, .gram = f->gram[b] };
	struct ge_watch *w = NULL;
	size_t i, k = m->width;
	int fresh = 0, rc = -1;

	(void)worker;
	if ((h.g = ge_gemm_new(NULL, GE_F32, (k + 64) * (size_t)(CHUNK + 1),
	    e)) == NULL ||
	    (h.a = ge_block_alloc(CHUNK * k * sizeof(float), e)) == NULL ||
	    (h.c = ge_block_alloc(k * k * sizeof(float), e)) == NULL ||
	    (w = ge_watch_new(m, e)) == NULL)
		goto out;
	memset(f->gram[b], 0, k * k * sizeof(double));
	f->count[b] = 0;
	for (i = ge_fit_edge(f, b); i < ge_fit_edge(f, b + 1); i++) {
		fresh |= f->o->fresh != NULL ? f->o->fresh[i] : 0;
		if (f->skip[i]) {
			fresh |= GE_MONITOR_LATER;
			continue;
		}
		if (i % GE_FIT_TICK == 0 && ge_hook_tick(0, e) == -1)
			goto out;
		if (ge_watch_take(w, ge_fit_row(f, i), fresh)) {
			memcpy(h.a + h.n++ * k, w->a, k * sizeof(float));
			f->count[b]++;
		}
		if (h.n == CHUNK)
			heap_add(&h);
		fresh = 0;
	}
	heap_add(&h);
	rc = 0;
out:
	ge_watch_free(w);
	ge_block_free(h.c);
	ge_block_free(h.a);
	ge_gemm_free(h.g);
	return (rc);
}

int
ge_fit_gram(struct ge_fit *f, struct ge_err *e)
{
	size_t b, i, k = f->m->width;

	if (ge_par_each(f->o->jobs, FOLDS, gram_fold, f, e) == -1)
		return (-1);
	memset(f->gram[FOLDS], 0, k * k * sizeof(double));
	f->count[FOLDS] = 0;
	for (b = 0; b < FOLDS; b++) {
		for (i = 0; i < k * k; i++)
			f->gram[FOLDS][i] += f->gram[b][i];
		f->count[FOLDS] += f->count[b];
	}
	return (0);
}

/* The products of all stretches but b, over their number, and the ridge. */
static void
system_of(const struct ge_fit *f, size_t b, double *a)
{
	const size_t *at = f->set.at, n = f->set.n, k = f->m->width;
	double count = f->count[FOLDS] - (b < FOLDS ? f->count[b] : 0), x;
	size_t i, j, from;

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++) {
			from = at[i] * k + at[j];
			x = f->gram[FOLDS][from];
			if (b < FOLDS)
				x -= f->gram[b][from];
			a[i * n + j] = x / count;
		}
	for (i = 0; i < n; i++)
		a[i * n + i] += at[i] == f->p * (f->m->lags + 1) ? 1e-6 :
		    f->ridge;
}

/* Whether predictor `at` is of variable j. */
static int
own(const struct ge_fit *f, size_t at, size_t j)
{
	const struct ge_monitor *m = f->m;

	if (at < f->p * (m->lags + 1))
		return (at % f->p == j);
	return (at >= m->lin && at < m->lin + 2 * f->p &&
	    (at - m->lin) % f->p == j);
}

/*
 * Each variable by all that is not its own: its row of the inverse, from which its
 * own other predictors are taken out by elimination.
 */
static int
relation(const struct ge_fit *f, double *a, double *inv, double *out)
{
	const size_t n = f->set.n;
	size_t i, j, c, d, ns, s[GE_MONITOR_LAGS + 2];
	double small[(GE_MONITOR_LAGS + 2) * (GE_MONITOR_LAGS + 2)];
	double y[GE_MONITOR_LAGS + 2], *row;

	if (ge_chol(a, n) == -1)
		return (-1);
	ge_chol_inverse(a, n, inv, out);
	for (j = 0; j < f->p; j++) {
		row = out + j * n;
		memcpy(row, inv + j * n, n * sizeof(*row));
		for (ns = 0, i = 0; i < n; i++)
			if (i != j && own(f, f->set.at[i], j))
				s[ns++] = i;
		for (c = 0; c < ns; c++) {
			y[c] = inv[s[c] * n + j];
			for (d = 0; d < ns; d++)
				small[c * ns + d] = inv[s[c] * n + s[d]];
		}
		if (ge_chol(small, ns) == -1)
			return (-1);
		ge_chol_solve(small, ns, y);
		for (c = 0; c < ns; c++)
			for (i = 0; i < n; i++)
				row[i] -= y[c] * inv[s[c] * n + i];
		for (c = 0; c < ns; c++)
			row[s[c]] = 0;
		for (d = n, i = 0; i < n; i++)
			if (i != j)
				row[i] /= row[j];
		row[j] = 1;
	}
	return (0);
}

/* Each variable by the past of all: the first p of the set are the present. */
static int
innovation(const struct ge_fit *f, double *a, double *past, double *out)
{
	const size_t n = f->set.n, p = f->p, k = n - p;
	size_t i, j;
	double *row;

	for (i = 0; i < k; i++)
		for (j = 0; j < k; j++)
			past[i * k + j] = a[(p + i) * n + p + j];
	if (ge_chol(past, k) == -1)
		return (-1);
	for (j = 0; j < p; j++) {
		row = out + j * n;
		memset(row, 0, p * sizeof(*row));
		for (i = 0; i < k; i++)
			row[p + i] = a[j * n + p + i];
		ge_chol_solve(past, k, row + p);
		for (i = 0; i < k; i++)
			row[p + i] = -row[p + i];
		row[j] = 1;
	}
	return (0);
}

/* The products of stretch b alone, lower half, of the candidate's predictors. */
static void
products(const struct ge_fit *f, size_t b, double *a)
{
	const size_t *at = f->set.at, n = f->set.n, k = f->m->width;
	size_t i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j <= i; j++)
			a[i * n + j] = f->gram[b][at[i] * k + at[j]];
}

/* Residuals of one variable after the other, `apart` apart, on stretch b. */
static void
look(const struct ge_fit *f, size_t b, double *a)
{
	const size_t apart = (f->p + LOOKED - 1) / LOOKED;
	size_t j;

	products(f, b, a);
	if (apart == 1) {
		ge_chol_form(a, f->set.n, f->coef[b], f->p, f->held[b]);
		return;
	}
	for (j = 0; j < f->p; j += apart)
		ge_chol_form(a, f->set.n, f->coef[b] + j * f->set.n, 1,
		    f->held[b] + j);
}

int
ge_fit_solve(void *arg, size_t b, int worker, struct ge_err *e)
{
	struct ge_fit *f = arg;
	const size_t n = f->set.n;
	double *a = NULL, *t = NULL;
	int rc = -1;

	(void)worker;
	if (ge_hook_tick(0, e) == -1 ||
	    (a = ge_alloc(n * n * sizeof(*a), e)) == NULL ||
	    (t = ge_alloc(n * n * sizeof(*t), e)) == NULL)
		goto out;
	system_of(f, b, a);
	if ((f->channel == 0 ? relation(f, a, t, f->coef[b]) :
	    innovation(f, a, t, f->coef[b])) == -1) {
		ge_fail(e, GE_EFAIL, "numbers that cannot be fitted");
		goto out;
	}
	if (b < FOLDS)
		look(f, b, a);
	rc = 0;
out:
	ge_free(t);
	ge_free(a);
	return (rc);
}

void
ge_fit_set(struct ge_fit *f, size_t lags, int hinges)
{
	const struct ge_monitor *m = f->m;
	struct ge_fit_set *s = &f->set;
	size_t i;

	s->n = 0;
	for (i = 0; i < f->p * (lags + 1); i++)
		s->at[s->n++] = i;
	s->at[s->n++] = f->p * (m->lags + 1);
	for (i = 0; hinges && i < 2 * f->p; i++)
		s->at[s->n++] = m->lin + i;
}

/* Held-out score of a candidate, in nats a value. */
static int
try(struct ge_fit *f, int channel, size_t lags, int hinges, double ridge,
    double *score, struct ge_err *e)
{
	double s, count = 0;
	size_t b, j;

	ge_fit_set(f, lags, hinges && channel == 0);
	f->channel = channel;
	f->ridge = ridge;
	if (ge_par_each(f->o->jobs, FOLDS, ge_fit_solve, f, e) == -1)
		return (-1);
	*score = 0;
	for (j = 0; j < f->p; j += (f->p + LOOKED - 1) / LOOKED) {
		if (f->m->inverse[j] <= 0)
			continue;
		for (s = 0, b = 0; b < FOLDS; b++)
			s += f->held[b][j];
		s = s / f->count[FOLDS];
		*score += log((s > 0 ? s : 0) + SPREAD_LEAST * SPREAD_LEAST) /
		    2;
		count++;
	}
	*score /= count > 0 ? count : 1;
	return (0);
}

/*
 * The heaviest ridge that is about as good as the best one; of large systems only
 * every second is tried.
 */
static int
tune(struct ge_fit *f, struct ge_fit_choice *c, int channel, struct ge_err *e)
{
	size_t step = f->p * (c->lags + 1) > LARGE ? 2 : 1, i;
	double score[RIDGES], best = INFINITY;

	for (i = 0; i < RIDGES; i += step) {
		if (try(f, channel, c->lags, c->hinges, ridges[i], &score[i],
		    e) == -1)
			return (-1);
		best = fmin(best, score[i]);
	}
	for (i -= step; i > 0 && score[i] > best + NEAR; i -= step)
		;
	c->score[channel] = score[i];
	c->ridge[channel] = ridges[i];
	return (0);
}

int
ge_fit_choose(struct ge_fit *f, struct ge_fit_choice *best, struct ge_err *e)
{
	struct ge_fit_choice c, bent;
	size_t lags;

	memset(&c, 0, sizeof(c));
	memset(best, 0, sizeof(*best));
	best->score[0] = best->score[1] = INFINITY;
	for (lags = 0; lags <= f->m->lags; lags++) {
		c.lags = lags;
		if (tune(f, &c, 0, e) == -1 || tune(f, &c, 1, e) == -1)
			return (-1);
		if (c.score[0] + c.score[1] <
		    best->score[0] + best->score[1] - 2 * NEAR)
			*best = c;
	}
	if (!f->m->hinges)
		return (0);
	bent = *best;
	bent.hinges = 1;
	if (tune(f, &bent, 0, e) == -1)
		return (-1);
	if (bent.score[0] < best->score[0] - HINGE_GAIN)
		*best = bent;
	return (0);
}

/* Where the process is, slowly: a point a row. */
static void
note_point(struct ge_fit *f, size_t b, struct ge_watch *w, size_t row)
{

	if (row % f->apart != 0 || f->npoints == POINTS)
		return;
	f->stretch[f->npoints] = (uint8_t)b;
	memcpy(f->point + f->npoints++ * f->p, w->slow, f->p * sizeof(float));
}

static double
distance(const float *x, const float *y, size_t n)
{
	double d = 0;
	size_t i;

	for (i = 0; i < n; i++)
		d += (double)(x[i] - y[i]) * (double)(x[i] - y[i]);
	return (d);
}

/* The nearest of k centres; *near and *next: squared distances. */
static size_t
nearest(const float *centre, size_t k, const float *x, size_t p, double *near,
    double *next)
{
	double d;
	size_t c, best = 0;

	*near = *next = INFINITY;
	for (c = 0; c < k; c++) {
		d = distance(centre + c * p, x, p);
		if (d < *near) {
			*next = *near;
			*near = d;
			best = c;
		} else if (d < *next)
			*next = d;
	}
	return (best);
}

/*
 * Lloyd's means of the points, from the ones farthest from those before.  Returns
 * how far apart they are: mean of the distance to the nearest over that to the next.
 */
static double
means(const struct ge_fit *f, float *centre, size_t k, double *sum)
{
	const size_t p = f->p;
	double near, next, far, ratio = 0, *s;
	size_t c, i, j, t, best;

	memcpy(centre, f->point, p * sizeof(float));
	for (c = 1; c < k; c++) {
		for (far = -1, best = 0, i = 0; i < f->npoints; i++) {
			nearest(centre, c, f->point + i * p, p, &near, &next);
			if (near > far) {
				far = near;
				best = i;
			}
		}
		memcpy(centre + c * p, f->point + best * p,
		    p * sizeof(float));
	}
	for (t = 0; t < TURNS; t++) {
		memset(sum, 0, k * (p + 1) * sizeof(*sum));
		for (ratio = 0, i = 0; i < f->npoints; i++) {
			c = nearest(centre, k, f->point + i * p, p, &near,
			    &next);
			ratio += next > 0 ? sqrt(near / next) : 1;
			s = sum + c * (p + 1);
			for (j = 0; j < p; j++)
				s[j] += (double)f->point[i * p + j];
			s[p]++;
		}
		for (c = 0; c < k; c++)
			for (s = sum + c * (p + 1), j = 0; j < p; j++)
				if (s[p] > 0)
					centre[c * p + j] =
					    (float)(s[j] / s[p]);
	}
	return (ratio / (double)f->npoints);
}

/* Whether each mode is seen in two stretches at least: else it is no habit. */
static int
recur(const struct ge_fit *f, const float *centre, size_t k)
{
	size_t in[GE_MONITOR_MODES][FOLDS] = { { 0 } }, all[FOLDS] = { 0 };
	size_t b, c, i, n;
	double near, next;

	for (i = 0; i < f->npoints; i++) {
		c = nearest(centre, k, f->point + i * f->p, f->p, &near,
		    &next);
		in[c][f->stretch[i]]++;
		all[f->stretch[i]]++;
	}
	for (c = 0; c < k; c++) {
		for (n = 0, b = 0; b < FOLDS; b++)
			n += in[c][b] * 20 > all[b];
		if (n < 2)
			return (0);
	}
	return (1);
}

/* More modes, as long as they stand apart and help on held-out rows. */
int
ge_fit_modes(struct ge_fit *f, struct ge_fit_choice *c, struct ge_err *e)
{
	struct ge_monitor *m = f->m;
	float *best = NULL;
	double *sum = NULL, s[2];
	const double gain = MODE_GAIN + MODE_GAIN_ROWS / (double)f->n;
	size_t b, k, p = f->p, now = 1;
	int rc = -1;

	f->apart = (f->n + POINTS - 1) / POINTS;
	f->npoints = 0;
	if ((f->point = ge_alloc(POINTS * p * sizeof(float), e)) == NULL ||
	    (best = ge_alloc(GE_MONITOR_MODES * p * sizeof(float), e)) ==
	    NULL || (sum = ge_alloc(GE_MONITOR_MODES * (p + 1) *
	    sizeof(*sum), e)) == NULL)
		goto out;
	for (b = 0; b < FOLDS; b++)
		if (ge_fit_walk(f, b, m, note_point, e) == -1)
			goto out;
	for (k = 2; k <= f->o->modes && k <= GE_MONITOR_MODES &&
	    f->npoints > 10 * k; k++) {
		m->modes = k;
		if (means(f, m->mode, k, sum) > APART ||
		    !recur(f, m->mode, k))
			continue;
		if (ge_fit_gram(f, e) == -1 || try(f, 0, c->lags, c->hinges,
		    c->ridge[0], &s[0], e) == -1 || try(f, 1, c->lags,
		    c->hinges, c->ridge[1], &s[1], e) == -1)
			goto out;
		if (s[0] + s[1] > c->score[0] + c->score[1] - 2 * gain)
			continue;
		memcpy(c->score, s, sizeof(s));
		memcpy(best, m->mode, k * p * sizeof(float));
		now = k;
	}
	m->modes = now;
	memcpy(m->mode, best, GE_MONITOR_MODES * p * sizeof(float));
	if (ge_fit_gram(f, e) == -1)
		goto out;
	rc = 0;
out:
	ge_free(sum);
	ge_free(best);
	ge_free(f->point);
	f->point = NULL;
	return (rc);
}

void
ge_fit_gram_release(struct ge_fit *f)
{
	size_t b;

	for (b = 0; b <= FOLDS; b++) {
		ge_free(f->gram[b]);
		ge_free(f->coef[b]);
		f->gram[b] = f->coef[b] = NULL;
		if (b < FOLDS) {
			ge_free(f->held[b]);
			f->held[b] = NULL;
		}
	}
	ge_free(f->set.at);
	f->set.at = NULL;
}

int
ge_fit_gram_alloc(struct ge_fit *f, struct ge_err *e)
{
	const size_t k = f->m->width;
	size_t b;

	if ((f->set.at = ge_alloc(k * sizeof(size_t), e)) == NULL)
		return (-1);
	for (b = 0; b <= FOLDS; b++)
		if ((f->gram[b] = ge_alloc(k * k * sizeof(double), e)) ==
		    NULL || (f->coef[b] = ge_alloc(f->p * k * sizeof(double),
		    e)) == NULL || (b < FOLDS && (f->held[b] =
		    ge_alloc(f->p * sizeof(double), e)) == NULL))
			return (-1);
	return (0);
}
