#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/chol.h"
#include "model/gemm.h"
#include "model/monitor_int.h"
#include "util/mem.h"
#include "util/par.h"

enum {
	FOLDS = 5,
	CHUNK = 256,			/* rows of a product */
	RIDGES = 8,
	SAMPLE = 1 << 16,		/* rows that quantiles are taken of */
	KEPT = 1 << 17,			/* rows that limits are taken of */
	PREDICTORS = 1024,		/* most of a linear relation */
	LARGE = 256,			/* system, to solve sparingly */
	HINGED = 128,			/* most variables to bend */
	POINTS = 4096,			/* rows that modes are sought in */
	TURNS = 20
};

/*
 * What is not learnt but laid down: a residual counts when these rows hold so many
 * independent values of it; Student's 95 % point for a fifth stretch beyond
 * FOLDS others; a row is an outlier beyond so many spreads; hinges and modes must gain
 * so many nats a value on held-out rows.
 */
#define INDEPENDENT 30.0
#define STUDENT 2.132
#define OUTLIER 6.0
#define OUTLIERS_MOST 0.05
#define HINGE_GAIN 0.02
#define MODE_GAIN 0.05
#define APART 0.6			/* distance to the nearest mode, by the next */
#define NEAR 0.01			/* as good, in nats a value */
#define SPREAD_LEAST 1e-3

static const double ridges[RIDGES] = {
	0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1
};

/* Columns of a row of predictors that a candidate uses. */
struct set {
	size_t n, *at;
};

struct fit {
	const struct ge_monitor_opts *o;
	const double *rows;
	size_t n, p;
	struct ge_monitor *m;
	uint8_t *skip;			/* [n] outliers */
	struct ge_monitor fold[FOLDS];	/* arrays of m, relation and
					   innovation of their own */
	double *gram[FOLDS + 1];	/* [width][width]; the last: all */
	double count[FOLDS + 1];
	/* of the candidate in hand */
	struct set set;
	int channel;
	double ridge;
	double *coef[FOLDS + 1];	/* [p][set.n] */
	double *held[FOLDS];		/* [p] */
	/* of the passes over residuals */
	size_t nbins, bin, nsample, every, nkept, stride;
	double *bins;			/* [3][p][nbins] */
	double *moment;			/* [FOLDS][3][p][2] */
	float *sample;			/* [nsample][2 p] */
	uint8_t *sampled;		/* [nsample] */
	float *kept;			/* [nkept][STATS] */
	float *score;			/* [nkept] */
	int pass;
	float *point;			/* [npoints][p], where modes are sought */
	uint8_t stretch[POINTS];	/* that they are of */
	size_t npoints, apart;
};

void
ge_monitor_opts_init(struct ge_monitor_opts *o)
{

	memset(o, 0, sizeof(*o));
	o->far = 0.001;
	o->lags = 3;
	o->modes = GE_MONITOR_MODES;
	o->hinges = 1;
	o->jobs = 1;
}

static size_t
edge(const struct fit *f, size_t b)
{

	return (f->n / FOLDS * b + f->n % FOLDS * b / FOLDS);
}

static int
up(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return ((x > y) - (x < y));
}

static int
upf(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return ((x > y) - (x < y));
}

/* Median, and the spread between the 5 % and 95 % points, as of a normal variable. */
static int
scale(struct fit *f, struct ge_err *e)
{
	struct ge_monitor *m = f->m;
	size_t every = (f->n + SAMPLE - 1) / SAMPLE, i, j, n, moving = 0;
	double *x, mean, sd, c, s;

	if ((x = ge_alloc((f->n / every + 1) * sizeof(*x), e)) == NULL)
		return (-1);
	for (j = 0; j < f->p; j++) {
		mean = sd = 0;
		for (n = 0, i = 0; i < f->n; i += every) {
			x[n] = f->rows[i * f->p + j];
			if (isfinite(x[n]) && fabs(x[n]) < 1e30)
				n++;
		}
		if (n == 0)
			continue;
		qsort(x, n, sizeof(*x), up);
		c = n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
		for (i = 0; i < n; i++)
			mean += (x[i] - c) / (double)n;
		for (i = 0; i < n; i++)
			sd += (x[i] - c - mean) * (x[i] - c - mean) /
			    (double)n;
		sd = sqrt(sd);
		s = (x[(n - 1) * 19 / 20] - x[(n - 1) / 20]) / 3.29;
		if (s < sd / 5)
			s = sd;
		if (n < f->n / every / 2 || s < 1e-9 * fabs(c) || s < 1e-30)
			s = 0;
		m->centre[j] = (float)c;
		m->centre[f->p + j] = (float)(c - (double)m->centre[j]);
		m->inverse[j] = s > 0 ? (float)(1 / s) : 0;
		moving += s > 0;
	}
	ge_free(x);
	if (moving == 0)
		return (ge_fail(e, GE_EUSAGE,
		    "no column of numbers that change"));
	return (0);
}

/* The walk over a stretch: each row that has its past, taken by fn. */
static int
walk(struct fit *f, size_t b, const struct ge_monitor *m,
    void (*fn)(struct fit *, size_t b, struct ge_watch *, size_t row),
    struct ge_err *e)
{
	struct ge_watch *w;
	size_t i;
	int fresh = 0;

	if ((w = ge_watch_new(m, e)) == NULL)
		return (-1);
	for (i = edge(f, b); i < edge(f, b + 1); i++) {
		fresh |= f->o->fresh != NULL && f->o->fresh[i];
		if (f->skip[i]) {
			fresh = 1;
			continue;
		}
		if (ge_watch_take(w, f->rows + i * f->p, fresh))
			fn(f, b, w, i);
		fresh = 0;
	}
	ge_watch_free(w);
	return (0);
}

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
	struct fit *f = arg;
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
	for (i = edge(f, b); i < edge(f, b + 1); i++) {
		fresh |= f->o->fresh != NULL && f->o->fresh[i];
		if (f->skip[i]) {
			fresh = 1;
			continue;
		}
		if (ge_watch_take(w, f->rows + i * f->p, fresh)) {
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

static int
gram_all(struct fit *f, struct ge_err *e)
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
system_of(const struct fit *f, size_t b, double *a)
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
own(const struct fit *f, size_t at, size_t j)
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
relation(const struct fit *f, double *a, double *inv, double *out)
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
innovation(const struct fit *f, double *a, double *past, double *out)
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

/* Mean square of the residual of coefficients row over stretch b. */
static double
square(const struct fit *f, size_t b, const double *row)
{
	const size_t *at = f->set.at, n = f->set.n, k = f->m->width;
	double all = 0, s;
	size_t i, j;

	for (i = 0; i < n; i++) {
		if (row[i] == 0)
			continue;
		for (s = 0, j = 0; j < n; j++)
			s += f->gram[b][at[i] * k + at[j]] * row[j];
		all += row[i] * s;
	}
	return (all);
}

static int
solve_fold(void *arg, size_t b, int worker, struct ge_err *e)
{
	struct fit *f = arg;
	const size_t n = f->set.n;
	double *a = NULL, *t = NULL;
	size_t j;
	int rc = -1;

	(void)worker;
	if ((a = ge_alloc(n * n * sizeof(*a), e)) == NULL ||
	    (t = ge_alloc(n * n * sizeof(*t), e)) == NULL)
		goto out;
	system_of(f, b, a);
	if ((f->channel == 0 ? relation(f, a, t, f->coef[b]) :
	    innovation(f, a, t, f->coef[b])) == -1) {
		ge_fail(e, GE_EFAIL, "numbers that cannot be fitted");
		goto out;
	}
	for (j = 0; b < FOLDS && j < f->p; j++)
		f->held[b][j] = square(f, b, f->coef[b] + j * n);
	rc = 0;
out:
	ge_free(t);
	ge_free(a);
	return (rc);
}

static void
choose_set(struct fit *f, size_t lags, int hinges)
{
	const struct ge_monitor *m = f->m;
	struct set *s = &f->set;
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
try(struct fit *f, int channel, size_t lags, int hinges, double ridge,
    double *score, struct ge_err *e)
{
	double s, count = 0;
	size_t b, j;

	choose_set(f, lags, hinges && channel == 0);
	f->channel = channel;
	f->ridge = ridge;
	if (ge_par_each(f->o->jobs, FOLDS, solve_fold, f, e) == -1)
		return (-1);
	*score = 0;
	for (j = 0; j < f->p; j++) {
		if (f->m->inverse[j] <= 0)
			continue;
		for (s = 0, b = 0; b < FOLDS; b++)
			s += f->held[b][j];
		s = s / f->count[FOLDS];
		*score += log((s > 0 ? s : 0) + SPREAD_LEAST * SPREAD_LEAST) /
		    2;
		count++;
	}
	*score /= count;
	return (0);
}

struct choice {
	size_t lags;
	int hinges;
	double ridge[2], score[2];
};

/*
 * The heaviest ridge that is about as good as the best one; of large systems only
 * every second is tried.
 */
static int
tune(struct fit *f, struct choice *c, int channel, struct ge_err *e)
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

static int
choose(struct fit *f, struct choice *best, struct ge_err *e)
{
	struct choice c, bent;
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
note_point(struct fit *f, size_t b, struct ge_watch *w, size_t row)
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
means(const struct fit *f, float *centre, size_t k, double *sum)
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
recur(const struct fit *f, const float *centre, size_t k)
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
static int
modes(struct fit *f, struct choice *c, struct ge_err *e)
{
	struct ge_monitor *m = f->m;
	float *best = NULL;
	double *sum = NULL, s[2];
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
		if (walk(f, b, m, note_point, e) == -1)
			goto out;
	for (k = 2; k <= f->o->modes && f->npoints > 10 * k; k++) {
		m->modes = k;
		if (means(f, m->mode, k, sum) > APART ||
		    !recur(f, m->mode, k))
			continue;
		if (gram_all(f, e) == -1 || try(f, 0, c->lags, c->hinges,
		    c->ridge[0], &s[0], e) == -1 || try(f, 1, c->lags,
		    c->hinges, c->ridge[1], &s[1], e) == -1)
			goto out;
		if (s[0] + s[1] > c->score[0] + c->score[1] - 2 * MODE_GAIN)
			continue;
		memcpy(c->score, s, sizeof(s));
		memcpy(best, m->mode, k * p * sizeof(float));
		now = k;
	}
	m->modes = now;
	memcpy(m->mode, best, GE_MONITOR_MODES * p * sizeof(float));
	if (gram_all(f, e) == -1)
		goto out;
	rc = 0;
out:
	ge_free(sum);
	ge_free(best);
	ge_free(f->point);
	f->point = NULL;
	return (rc);
}

static void
gram_release(struct fit *f)
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

static int
gram_alloc(struct fit *f, struct ge_err *e)
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

/* Coefficients over the set, into rows of the shape of `to`. */
static void
place(const struct fit *f, const double *coef, const struct ge_monitor *to,
    float *out)
{
	const struct ge_monitor *m = f->m;
	size_t i, j, at;

	memset(out, 0, f->p * to->width * sizeof(float));
	for (j = 0; j < f->p; j++)
		for (i = 0; i < f->set.n; i++) {
			at = f->set.at[i];
			if (at == f->p * (m->lags + 1))
				at = f->p * (to->lags + 1);
			else if (at >= m->lin)
				at = at - m->lin + to->lin;
			out[j * to->width + at] =
			    (float)coef[j * f->set.n + i];
		}
}

/* The folds share what rows are scaled by; residuals are their own. */
static int
fold_models(struct fit *f, const struct choice *c, struct ge_monitor *to,
    struct ge_err *e)
{
	struct ge_monitor *m;
	float *out;
	size_t b, i;
	int ch;

	for (b = 0; b < FOLDS; b++) {
		m = &f->fold[b];
		*m = *to;
		m->relation = m->innovation = m->used = NULL;
		m->reach = m->across = NULL;
		if ((m->relation = ge_alloc(f->p * to->width * sizeof(float),
		    e)) == NULL || (m->innovation = ge_alloc(f->p *
		    to->width * sizeof(float), e)) == NULL ||
		    (m->used = ge_alloc(2 * f->p * sizeof(float), e)) ==
		    NULL || (m->across = ge_alloc(2 * to->width * to->stride *
		    sizeof(float), e)) == NULL)
			return (-1);
		for (i = 0; i < 2 * f->p; i++)
			m->used[i] = to->inverse[i % f->p] > 0;
	}
	for (ch = 0; ch < 2; ch++) {
		choose_set(f, c->lags, c->hinges && ch == 0);
		f->channel = ch;
		f->ridge = c->ridge[ch];
		if (ge_par_each(f->o->jobs, FOLDS + 1, solve_fold, f, e) ==
		    -1)
			return (-1);
		for (b = 0; b <= FOLDS; b++) {
			m = b < FOLDS ? &f->fold[b] : to;
			out = ch == 0 ? m->relation : m->innovation;
			place(f, f->coef[b], to, out);
		}
	}
	for (b = 0; b < FOLDS; b++)
		ge_monitor_ready(&f->fold[b]);
	return (0);
}

static void
fold_release(struct fit *f)
{
	size_t b;

	for (b = 0; b < FOLDS; b++) {
		ge_free(f->fold[b].relation);
		ge_free(f->fold[b].innovation);
		ge_free(f->fold[b].used);
		ge_free(f->fold[b].across);
		memset(&f->fold[b], 0, sizeof(f->fold[b]));
	}
}

/* Pass 0: memory and a sample of residuals, of values themselves too. */
static void
note_residuals(struct fit *f, size_t b, struct ge_watch *w, size_t row)
{
	const size_t p = f->p, bin = row / f->bin;
	double x, *mo = f->moment + b * 6 * p;
	size_t c, i;

	ge_watch_residuals(w);
	for (c = 0; c < 3; c++)
		for (i = 0; i < p; i++) {
			x = (double)(c < 2 ? w->r[c][i] : w->a[i]);
			if (x > 50)
				x = 50;
			if (x < -50)
				x = -50;
			f->bins[(c * p + i) * f->nbins + bin] += x;
			mo[(c * p + i) * 2] += x;
			mo[(c * p + i) * 2 + 1] += x * x;
		}
	if (row % f->every == 0) {
		f->sampled[row / f->every] = 1;
		for (c = 0; c < 2; c++)
			memcpy(f->sample + (row / f->every * 2 + c) * p,
			    w->r[c], p * sizeof(float));
	}
}

/* Pass 1: statistics, pass 2: the score of the run rule. */
static void
note_stats(struct fit *f, size_t b, struct ge_watch *w, size_t row)
{
	float st[GE_MONITOR_STATS], x = 0;

	(void)b;
	ge_watch_residuals(w);
	ge_watch_stats(w, st);
	if (f->pass == 2)
		x = ge_watch_run(w, ge_monitor_score(w->m, st));
	if (row % f->stride != 0)
		return;
	row /= f->stride;
	if (f->pass == 2)
		f->score[row] = x;
	else
		memcpy(f->kept + row * GE_MONITOR_STATS, st, sizeof(st));
}

static int
pass_fold(void *arg, size_t b, int worker, struct ge_err *e)
{
	struct fit *f = arg;

	(void)worker;
	return (walk(f, b, &f->fold[b], f->pass == 0 ? note_residuals :
	    note_stats, e));
}

/*
 * How many independent values a residual's bins hold: the variance of the mean of
 * correlated values, by the sum of correlations up to the first small one.
 */
static double
independent(const struct fit *f, size_t c, size_t j)
{
	const size_t p = f->p, n = f->nbins;
	const double *x = f->bins + (c * p + j) * n;
	double sum = 0, sq = 0, count = 0, v, mean, var, mem = 1, rho;
	size_t b, i, k;

	for (b = 0; b < FOLDS; b++) {
		sum += f->moment[((b * 3 + c) * p + j) * 2];
		sq += f->moment[((b * 3 + c) * p + j) * 2 + 1];
		count += f->count[b];
	}
	v = sq / count - sum / count * (sum / count);
	if (!(v > 0))
		return (0);
	for (mean = 0, i = 0; i < n; i++)
		mean += x[i] / (double)n;
	for (var = 0, i = 0; i < n; i++)
		var += (x[i] - mean) * (x[i] - mean) / (double)n;
	if (!(var > 0))
		return (count);
	for (k = 1; k < n / 2; k++) {
		for (rho = 0, i = k; i < n; i++)
			rho += (x[i] - mean) * (x[i - k] - mean);
		rho /= (double)n * var;
		if (rho < 0.05)
			break;
		mem += 2 * rho;
	}
	/* bins are sums of f->bin values */
	return (count / (mem * var / ((double)f->bin * v)));
}

/* Variables that neither stay at a level nor follow the others. */
static size_t
find_wanderers(struct fit *f)
{
	size_t j, n = 0;

	for (j = 0; j < f->p; j++)
		if (f->m->inverse[j] > 0 && f->m->wander[j] <= 0 &&
		    independent(f, 2, j) < INDEPENDENT &&
		    independent(f, 0, j) < INDEPENDENT) {
			f->m->wander[j] = 1;
			n++;
		}
	return (n);
}

/* Spread of a residual: root mean square, squares cut at 36 times their median. */
static int
spread(struct fit *f, struct ge_monitor *to, struct ge_err *e)
{
	const size_t p = f->p;
	float *x;
	double cut, s;
	size_t b, c, i, j, k, n, w = to->width;
	float *out;

	if ((x = ge_alloc(f->nsample * sizeof(*x), e)) == NULL)
		return (-1);
	for (c = 0; c < 2; c++)
		for (j = 0; j < p; j++) {
			for (n = 0, i = 0; i < f->nsample; i++)
				if (f->sampled[i])
					x[n++] = fabsf(f->sample[(i * 2 + c) *
					    p + j]);
			qsort(x, n, sizeof(*x), upf);
			cut = n > 0 ? 36 * (double)x[n / 2] * (double)x[n / 2] +
			    1e-12 : 1;
			for (s = 0, i = 0; i < n; i++)
				s += fmin((double)x[i] * (double)x[i], cut) /
				    (double)n;
			s = fmax(sqrt(s), SPREAD_LEAST);
			to->used[c * p + j] = to->inverse[j] > 0 &&
			    independent(f, c, j) >= INDEPENDENT;
			for (b = 0; b <= FOLDS; b++) {
				out = b < FOLDS ? (c ? f->fold[b].innovation :
				    f->fold[b].relation) : (c ?
				    to->innovation : to->relation);
				for (k = 0; k < w; k++)
					out[j * w + k] /= (float)s;
				if (b < FOLDS)
					f->fold[b].used[c * p + j] =
					    to->used[c * p + j];
			}
		}
	for (b = 0; b < FOLDS; b++)
		ge_monitor_ready(&f->fold[b]);
	ge_free(x);
	return (0);
}

static float
median(float *x, size_t n)
{

	qsort(x, n, sizeof(*x), upf);
	return (n > 0 ? x[n / 2] : 0);
}

/*
 * The value that far of a new stretch's rows exceed: the tail of values less the
 * mean of their stretch, taken as exponential, on a level that allows for
 * the spread between stretches.  x [nkept], step apart; NaN is no value.
 */
static int
bound(const struct fit *f, const float *x, size_t step, double *out,
    struct ge_err *e)
{
	double mean[FOLDS], all = 0, var = 0, share, beyond = 0, u;
	size_t b, i, n = 0, k, from, to, m;
	float *t;

	if ((t = ge_alloc(f->nkept * sizeof(*t), e)) == NULL)
		return (-1);
	for (b = 0; b < FOLDS; b++) {
		from = (edge(f, b) + f->stride - 1) / f->stride;
		to = (edge(f, b + 1) + f->stride - 1) / f->stride;
		mean[b] = 0;
		for (m = 0, i = from; i < to; i++)
			if (!isnan(x[i * step])) {
				mean[b] += (double)x[i * step];
				m++;
			}
		mean[b] /= m > 0 ? (double)m : 1;
		for (i = from; i < to; i++)
			if (!isnan(x[i * step]))
				t[n++] = (float)((double)x[i * step] -
				    mean[b]);
		all += mean[b] / FOLDS;
	}
	for (b = 0; b < FOLDS; b++)
		var += (mean[b] - all) * (mean[b] - all) / (FOLDS - 1);
	qsort(t, n, sizeof(*t), upf);
	share = fmin(0.1, fmax(50 / (double)n, 5 * f->o->far));
	k = (size_t)(share * (double)n);
	if (k < 1)
		k = 1;
	u = n > k ? (double)t[n - k - 1] : 0;
	for (i = n > k ? n - k : 0; i < n; i++)
		beyond += ((double)t[i] - u) / (double)k;
	*out = all + u + beyond * log(fmax(share / f->o->far, 1)) +
	    STUDENT * sqrt(var * (1 + 1.0 / FOLDS));
	ge_free(t);
	return (0);
}

static int
limits(struct fit *f, struct ge_monitor *to, struct ge_err *e)
{
	float *t;
	double x;
	size_t i, k, n;

	if ((t = ge_alloc(f->nkept * sizeof(*t), e)) == NULL)
		return (-1);
	for (k = 0; k < GE_MONITOR_STATS; k++) {
		for (n = 0, i = 0; i < f->nkept; i++)
			if (!isnan(f->kept[i * GE_MONITOR_STATS + k]))
				t[n++] = f->kept[i * GE_MONITOR_STATS + k];
		to->middle[k] = median(t, n);
		if (bound(f, f->kept + k, GE_MONITOR_STATS, &x, e) == -1)
			break;
		to->limit[k] = (float)x;
		if (!(to->limit[k] > to->middle[k] * 1.001f + 1e-6f))
			to->limit[k] = to->middle[k] * 1.001f + 1e-6f;
	}
	ge_free(t);
	return (k == GE_MONITOR_STATS ? 0 : -1);
}

/*
 * Rows far off by themselves, if they are few and of few stretches, are left out of
 * what is learnt from: what comes again and again belongs to the process.
 */
static int
find_outliers(struct fit *f, size_t *found, struct ge_err *e)
{
	float *t, mid, mad;
	size_t b, c, i, n, in = 0;

	*found = 0;
	if (f->stride > 1)
		return (0);
	if ((t = ge_alloc(f->nkept * sizeof(*t), e)) == NULL)
		return (-1);
	for (c = 0; c < 2; c++) {
		const float *x = f->kept + c * PER_CHANNEL;

		for (n = 0, i = 0; i < f->nkept; i++)
			if (!isnan(x[i * GE_MONITOR_STATS]))
				t[n++] = x[i * GE_MONITOR_STATS];
		mid = median(t, n);
		for (i = 0; i < n; i++)
			t[i] = fabsf(t[i] - mid);
		mad = median(t, n) * 1.4826f;
		for (i = 0; i < f->nkept; i++)
			if (x[i * GE_MONITOR_STATS] > mid +
			    (float)OUTLIER * mad && !f->skip[i]) {
				f->skip[i] = 1;
				++*found;
			}
	}
	ge_free(t);
	for (b = 0; b < FOLDS; b++)
		in += memchr(f->skip + edge(f, b), 1, edge(f, b + 1) -
		    edge(f, b)) != NULL;
	if (in > FOLDS / 2 || (double)*found > OUTLIERS_MOST * (double)f->n) {
		memset(f->skip, 0, f->n);
		*found = 0;
	}
	return (0);
}

static int
passes_alloc(struct fit *f, struct ge_err *e)
{
	const size_t p = f->p;
	size_t i, most = (1 << 18) / p;

	if (most > 4096)
		most = 4096;
	f->bin = (f->n + most - 1) / most;
	f->nbins = (f->n + f->bin - 1) / f->bin;
	f->every = (f->n * p + (1 << 20) - 1) >> 20;
	f->nsample = (f->n + f->every - 1) / f->every;
	f->stride = (f->n + KEPT - 1) / KEPT;
	f->nkept = (f->n + f->stride - 1) / f->stride;
	if ((f->bins = ge_alloc(3 * p * f->nbins * sizeof(double), e)) ==
	    NULL || (f->moment = ge_alloc(FOLDS * 6 * p * sizeof(double),
	    e)) == NULL || (f->sample = ge_alloc(f->nsample * 2 * p *
	    sizeof(float), e)) == NULL ||
	    (f->sampled = ge_alloc(f->nsample, e)) == NULL ||
	    (f->kept = ge_alloc(f->nkept * GE_MONITOR_STATS * sizeof(float),
	    e)) == NULL || (f->score = ge_alloc(f->nkept * sizeof(float),
	    e)) == NULL)
		return (-1);
	for (i = 0; i < f->nkept * GE_MONITOR_STATS; i++)
		f->kept[i] = NAN;
	for (i = 0; i < f->nkept; i++)
		f->score[i] = NAN;
	return (0);
}

static void
passes_release(struct fit *f)
{

	ge_free(f->bins);
	ge_free(f->moment);
	ge_free(f->sample);
	ge_free(f->sampled);
	ge_free(f->kept);
	ge_free(f->score);
	f->bins = f->moment = NULL;
	f->sample = f->kept = f->score = NULL;
	f->sampled = NULL;
}

static int
pass(struct fit *f, int k, struct ge_err *e)
{

	f->pass = k;
	return (ge_par_each(f->o->jobs, FOLDS, pass_fold, f, e));
}

static int
carry(struct ge_monitor *to, const struct ge_monitor *from,
    const struct choice *c, struct ge_err *e)
{
	size_t p = from->p;

	*to = *from;
	to->lags = c->lags;
	to->hinges = c->hinges;
	to->centre = to->inverse = to->wander = to->mode = to->relation = NULL;
	to->innovation = to->used = to->middle = to->limit = NULL;
	to->reach = to->across = NULL;
	if (ge_monitor_shape(to, e) == -1)
		return (-1);
	memcpy(to->centre, from->centre, 2 * p * sizeof(float));
	memcpy(to->inverse, from->inverse, p * sizeof(float));
	memcpy(to->wander, from->wander, p * sizeof(float));
	memcpy(to->mode, from->mode, from->modes * p * sizeof(float));
	memcpy(to->ridge, c->ridge, sizeof(to->ridge));
	memcpy(to->held, c->score, sizeof(to->held));
	return (0);
}

/*
 * All of it once; *again: with what was found out the rows look different.
 */
static int
round_of(struct fit *f, struct ge_monitor *to, int *again, int turn,
    struct ge_err *e)
{
	struct choice c;
	size_t b, found;
	double x;
	int rc = -1;

	*again = 0;
	f->m->clip = FIT_CLIP;
	f->m->modes = 1;
	memset(f->m->mode, 0, GE_MONITOR_MODES * f->p * sizeof(float));
	if (gram_alloc(f, e) == -1 || gram_all(f, e) == -1 ||
	    choose(f, &c, e) == -1 || modes(f, &c, e) == -1 || carry(to, f->m, &c, e) == -1)
		goto out;
	to->clip = WATCH_CLIP;
	if (fold_models(f, &c, to, e) == -1 || passes_alloc(f, e) == -1 ||
	    pass(f, 0, e) == -1)
		goto out;
	if (turn == 0 && find_wanderers(f) > 0) {
		*again = 1;
		rc = 0;
		goto out;
	}
	if (spread(f, to, e) == -1 || pass(f, 1, e) == -1)
		goto out;
	if (turn <= 1) {
		if (find_outliers(f, &found, e) == -1)
			goto out;
		f->m->dropped = found;
		if (found > 0) {
			*again = 2;
			rc = 0;
			goto out;
		}
	}
	if (limits(f, to, e) == -1)
		goto out;
	for (b = 0; b < FOLDS; b++) {
		f->fold[b].middle = to->middle;
		f->fold[b].limit = to->limit;
	}
	if (pass(f, 2, e) == -1 || bound(f, f->score, 1, &x, e) == -1)
		goto out;
	to->bound = (float)fmax(x, 0.1);
	ge_monitor_ready(to);
	rc = 0;
out:
	passes_release(f);
	fold_release(f);
	gram_release(f);
	return (rc);
}

int
ge_monitor_gaps(const double *t, size_t n, uint8_t *fresh, double *step,
    struct ge_err *e)
{
	double *d;
	size_t i, k = 0;

	*step = 0;
	if ((d = ge_alloc((n + 1) * sizeof(*d), e)) == NULL)
		return (-1);
	for (i = 1; i < n; i++)
		if (t[i] > t[i - 1])
			d[k++] = t[i] - t[i - 1];
	qsort(d, k, sizeof(*d), up);
	*step = k > 0 ? d[k / 2] : 0;
	for (i = 0; i < n; i++)
		fresh[i] = i == 0 || !(t[i] >= t[i - 1] &&
		    t[i] - t[i - 1] <= GE_MONITOR_GAP * *step);
	ge_free(d);
	return (0);
}

int
ge_monitor_fit(struct ge_monitor *m, const double *rows, size_t n, size_t p,
    const struct ge_monitor_opts *o, struct ge_err *e)
{
	struct ge_monitor front;
	struct fit f = { .o = o, .rows = rows, .n = n, .p = p, .m = &front };
	int again, turn, rc = -1;

	memset(m, 0, sizeof(*m));
	memset(&front, 0, sizeof(front));
	if (p < 1 || p > GE_MONITOR_COLS)
		return (ge_fail(e, GE_EUSAGE,
		    "%zu columns of numbers: 1 to %d are possible", p,
		    GE_MONITOR_COLS));
	if (n < GE_MONITOR_ROWS)
		return (ge_fail(e, GE_EUSAGE,
		    "%zu rows of nominal operation: %d are needed at least",
		    n, GE_MONITOR_ROWS));
	front.p = p;
	front.lags = o->lags < GE_MONITOR_LAGS ? o->lags : GE_MONITOR_LAGS;
	if ((front.lags + 1) * p > PREDICTORS)
		front.lags = PREDICTORS / p - 1;
	front.modes = GE_MONITOR_MODES;
	front.hinges = o->hinges && p <= HINGED;
	front.far = o->far;
	front.baseline = SLOWEST / 3;
	front.rows = n;
	if (ge_monitor_shape(&front, e) == -1 || scale(&f, e) == -1 ||
	    (f.skip = ge_alloc(n, e)) == NULL)
		goto out;
	for (again = 1, turn = 0; again != 0; turn = again) {
		ge_monitor_release(m);
		if (round_of(&f, m, &again, turn, e) == -1)
			goto out;
	}
	rc = 0;
out:
	ge_free(f.skip);
	ge_monitor_release(&front);
	if (rc == -1)
		ge_monitor_release(m);
	return (rc);
}
