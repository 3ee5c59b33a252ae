#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/monitor_fit_int.h"
#include "model/order.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/par.h"

enum {
	SAMPLE = 1 << 16,		/* rows that quantiles are taken of */
	PREDICTORS = 1024,		/* most of a linear relation */
	CROSSED = 4096,			/* rows of which limits are crosswise */
	HINGED = 128,			/* most variables to bend */
	PAST = GE_MONITOR_LAGS + 3	/* rows before, and itself */
};

/*
 * What is not learnt but laid down: a residual counts when these rows hold so many
 * independent values of it; Student's 95 % point for a stretch beyond FOLDS others; a
 * row is an outlier beyond so many spreads.
 */
#define INDEPENDENT 30.0
#define STUDENT 2.132
#define STUDENT_LESS 2.353		/* beyond one less */
#define OUTLIER 6.0
#define OUTLIERS_MOST 0.05

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

const double *
ge_fit_row(const struct ge_fit *f, size_t i)
{

	return (f->rows + (f->o->row != NULL ? f->o->row[i] : i) * f->p);
}

size_t
ge_fit_edge(const struct ge_fit *f, size_t b)
{

	return (f->n / FOLDS * b + f->n % FOLDS * b / FOLDS);
}

/* How many rows of each stretch have k others before them. */
static void
pasts(const struct ge_fit *f, size_t count[FOLDS][PAST])
{
	size_t b, i, k, past;

	memset(count, 0, FOLDS * sizeof(*count));
	for (b = 0; b < FOLDS; b++)
		for (past = 0, i = ge_fit_edge(f, b); i < ge_fit_edge(f, b + 1);
		    i++, past++) {
			if (f->o->fresh != NULL && f->o->fresh[i])
				past = 0;
			for (k = 0; k < PAST && k <= past; k++)
				count[b][k]++;
		}
}

int
ge_fit_past(const struct ge_fit *f, size_t *lags, struct ge_err *e)
{
	size_t count[FOLDS][PAST], all[PAST] = { 0 }, most, b, k;

	pasts(f, count);
	for (k = 0; k < PAST; k++)
		for (b = 0; b < FOLDS; b++)
			all[k] += count[b][k];
	for (k = *lags + 1; k-- > 0; ) {
		for (most = 0, b = 0; b < FOLDS; b++)
			most = count[b][k] > most ? count[b][k] : most;
		if (all[k] - most < GE_MONITOR_ROWS / 2 ||
		    all[k + 2] * 4 < f->n)
			continue;
		*lags = k;
		return (0);
	}
	return (ge_fail(e, GE_EUSAGE, "of %zu rows of nominal operation %zu "
	    "follow two others: too few to learn from, or not in the order of "
	    "time", f->n, all[2]));
}

/* The walk over a stretch: each row that has its past, taken by fn. */
int
ge_fit_walk(struct ge_fit *f, size_t b, const struct ge_monitor *m,
    void (*fn)(struct ge_fit *, size_t b, struct ge_watch *, size_t row),
    struct ge_err *e)
{
	struct ge_watch *w;
	size_t i;
	int fresh = 0, rc = -1;

	if ((w = ge_watch_new(m, e)) == NULL)
		return (-1);
	for (i = ge_fit_edge(f, b); i < ge_fit_edge(f, b + 1); i++) {
		fresh |= f->o->fresh != NULL ? f->o->fresh[i] : 0;
		if (f->skip[i]) {
			fresh |= GE_MONITOR_LATER;
			continue;
		}
		if (i % GE_FIT_TICK == 0 && ge_hook_tick(0, e) == -1)
			goto out;
		if (ge_watch_take(w, ge_fit_row(f, i), fresh))
			fn(f, b, w, i);
		fresh = 0;
	}
	rc = 0;
out:
	ge_watch_free(w);
	return (rc);
}

static int
upf(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return ((x > y) - (x < y));
}

/* Median, and the spread between the 5 % and 95 % points, as of a normal variable. */
int
ge_fit_scale(struct ge_fit *f, struct ge_err *e)
{
	struct ge_monitor *m = f->m;
	size_t every = (f->n + SAMPLE - 1) / SAMPLE, i, j, n, moving = 0;
	double *x, mean, sd, c, s;

	if ((x = ge_alloc((f->n / every + 1) * sizeof(*x), e)) == NULL)
		return (-1);
	for (j = 0; j < f->p; j++) {
		mean = sd = 0;
		for (n = 0, i = 0; i < f->n; i += every) {
			x[n] = ge_fit_row(f, i)[j];
			if (isfinite(x[n]) && fabs(x[n]) < GE_MONITOR_MOST)
				n++;
		}
		if (n == 0)
			continue;
		qsort(x, n, sizeof(*x), ge_order_numbers);
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
		if (n < f->n / every / 2 || s < 1e-9 * fabs(c) ||
		    s < 1 / GE_MONITOR_MOST)
			s = 0;
		m->centre[j] = (float)c;
		m->centre[f->p + j] = (float)(c - (double)m->centre[j]);
		m->inverse[j] = s > 0 ? (float)(1 / s) : 0;
		moving += s > 0;
	}
	ge_free(x);
	if (moving == 0)
		return (ge_fail(e, GE_EUSAGE,
		    "no column of numbers that change, from %g to %g",
		    1 / GE_MONITOR_MOST, GE_MONITOR_MOST));
	return (0);
}

/* Coefficients over the set, into rows of the shape of `to`. */
static void
place(const struct ge_fit *f, const double *coef, const struct ge_monitor *to,
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
fold_models(struct ge_fit *f, const struct ge_fit_choice *c, struct ge_monitor *to,
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
		ge_fit_set(f, c->lags, c->hinges && ch == 0);
		f->channel = ch;
		f->ridge = c->ridge[ch];
		if (ge_par_each(f->o->jobs, FOLDS + 1, ge_fit_solve, f, e) ==
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
fold_release(struct ge_fit *f)
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
note_residuals(struct ge_fit *f, size_t b, struct ge_watch *w, size_t row)
{
	const size_t p = f->p;
	const size_t bin = b * f->nbins / FOLDS +
	    (row - ge_fit_edge(f, b)) / f->bin;
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

static uint8_t
is_off(const struct ge_fit *f, const float st[GE_MONITOR_STATS])
{

	return (st[0] > f->off[0] || st[PER_CHANNEL] > f->off[1]);
}

/* Pass 1: statistics, pass 2: the score of the run rule, pass 3: outliers. */
static void
note_stats(struct ge_fit *f, size_t b, struct ge_watch *w, size_t row)
{
	float st[GE_MONITOR_STATS], x = 0;

	(void)b;
	ge_watch_residuals(w);
	ge_watch_stats(w, st);
	if (f->pass == 3) {
		f->skip[row] = is_off(f, st);
		return;
	}
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
	struct ge_fit *f = arg;

	(void)worker;
	return (ge_fit_walk(f, b, &f->fold[b], f->pass == 0 ? note_residuals :
	    note_stats, e));
}

/*
 * How many independent values a residual's bins hold: the variance of the mean of
 * correlated values, by the sum of correlations up to the first small one.
 */
static double
independent(const struct ge_fit *f, size_t c, size_t j)
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
find_wanderers(struct ge_fit *f)
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
spread(struct ge_fit *f, struct ge_monitor *to, struct ge_err *e)
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

static int
judged(const struct ge_monitor *m)
{
	size_t i;

	for (i = 0; i < 2 * m->p; i++)
		if (m->used[i] > 0)
			return (1);
	return (0);
}

float
ge_fit_median(float *x, size_t n)
{

	qsort(x, n, sizeof(*x), upf);
	return (n > 0 ? x[n / 2] : 0);
}

/* The first kept row of stretch b. */
static size_t
kept_edge(const struct ge_fit *f, size_t b)
{

	return ((ge_fit_edge(f, b) + f->stride - 1) / f->stride);
}

/* Means of the stretches, and values less those into v: how many. */
static size_t
level(const struct ge_fit *f, const struct ge_fit_tail *t,
    double mean[FOLDS], float *v)
{
	size_t b, i, m, n = 0;

	for (b = 0; b < FOLDS; b++) {
		mean[b] = 0;
		if (b == t->but)
			continue;
		for (m = 0, i = kept_edge(f, b); i < kept_edge(f, b + 1); i++)
			if (!isnan(t->x[i * t->step])) {
				mean[b] += (double)t->x[i * t->step];
				m++;
			}
		mean[b] /= m > 0 ? (double)m : 1;
		for (i = kept_edge(f, b); i < kept_edge(f, b + 1); i++)
			if (!isnan(t->x[i * t->step]))
				v[n++] = (float)((double)t->x[i * t->step] -
				    mean[b]);
	}
	return (n);
}

/* The level of a new stretch: mean of the means and Student's allowance. */
static double
new_level(const struct ge_fit_tail *t, const double mean[FOLDS])
{
	const double n = t->but < FOLDS ? FOLDS - 1 : FOLDS;
	double all = 0, var = 0;
	size_t b;

	for (b = 0; b < FOLDS; b++)
		all += mean[b] / n;
	for (b = 0; b < FOLDS; b++)
		if (b != t->but)
			var += (mean[b] - all) * (mean[b] - all) / (n - 1);
	return (all + (t->but < FOLDS ? STUDENT_LESS : STUDENT) *
	    sqrt(var * (1 + 1 / n)));
}

/*
 * How many independent exceedances of u there are: their number times the extremal
 * index by the intervals estimator (Ferro and Segers 2003).
 */
static double
independents(const struct ge_fit *f, const struct ge_fit_tail *t,
    const double mean[FOLDS], double u)
{
	double gap, sum = 0, square = 0, n = 0;
	size_t b, i, last;

	for (b = 0; b < FOLDS; b++) {
		last = SIZE_MAX;
		for (i = kept_edge(f, b); b != t->but && i < kept_edge(f, b + 1);
		    i++) {
			if (!((double)t->x[i * t->step] - mean[b] > u))
				continue;
			if (last != SIZE_MAX) {
				gap = (double)(i - last) - 1;
				sum += gap;
				square += gap * (gap - 1);
			}
			last = i;
			n++;
		}
	}
	return (fmax(1, square > 0 ? fmin(n, 2 * sum * sum / square) : n));
}

double
ge_fit_trust(size_t n)
{

	return (fmin(2, fmax(1, (double)n / 200)));
}

int
ge_fit_bound(const struct ge_fit *f, const struct ge_fit_tail *t, double *out,
    struct ge_err *e)
{
	double mean[FOLDS], share, scale = 0, u, c;
	size_t i, k, n;
	float *v;

	if ((v = ge_alloc(f->nkept * sizeof(*v), e)) == NULL)
		return (-1);
	n = level(f, t, mean, v);
	qsort(v, n, sizeof(*v), upf);
	share = fmin(0.1, fmax(50 / (double)n, 5 * f->o->far));
	k = (size_t)(share * (double)n);
	if (k < 1)
		k = 1;
	u = n > k ? (double)v[n - k - 1] : 0;
	for (i = n > k ? n - k : 0; i < n; i++)
		scale += ((double)v[i] - u) / (double)k;
	c = t->trust * independents(f, t, mean, u);
	*out = new_level(t, mean) + u + scale * c *
	    (pow(fmax(share / f->o->far, 1), 1 / c) - 1);
	ge_free(v);
	return (0);
}

/* Limits of the statistics, by all stretches but one. */
static int
limits(struct ge_fit *f, size_t but, float *middle, float *limit,
    struct ge_err *e)
{
	struct ge_fit_tail tail = { .step = GE_MONITOR_STATS, .but = but,
	    .trust = 1 };
	float *t;
	double x;
	size_t b, i, k, n;

	if ((t = ge_alloc(f->nkept * sizeof(*t), e)) == NULL)
		return (-1);
	for (k = 0; k < GE_MONITOR_STATS; k++) {
		tail.x = f->kept + k;
		for (n = 0, b = 0; b < FOLDS; b++)
			for (i = kept_edge(f, b); b != but &&
			    i < kept_edge(f, b + 1); i++)
				if (!isnan(tail.x[i * GE_MONITOR_STATS]))
					t[n++] = tail.x[i * GE_MONITOR_STATS];
		middle[k] = ge_fit_median(t, n);
		if (ge_fit_bound(f, &tail, &x, e) == -1)
			break;
		limit[k] = (float)fmax(x, (double)(middle[k] * 1.001f + 1e-6f));
	}
	ge_free(t);
	return (k == GE_MONITOR_STATS ? 0 : -1);
}

/*
 * The limits; and those that a stretch is scored by, of the others alone if that is
 * not all the same, as of very many rows.
 */
static int
all_limits(struct ge_fit *f, struct ge_monitor *to, struct ge_err *e)
{
	size_t b;

	if (limits(f, FOLDS, to->middle, to->limit, e) == -1)
		return (-1);
	for (b = 0; b < FOLDS; b++) {
		f->fold[b].middle = f->n > CROSSED ? to->middle : f->middle[b];
		f->fold[b].limit = f->n > CROSSED ? to->limit : f->limit[b];
		if (f->n <= CROSSED && limits(f, b, f->middle[b],
		    f->limit[b], e) == -1)
			return (-1);
	}
	return (0);
}

/* Room of the passes. */
static void
passes_size(struct ge_fit *f)
{
	size_t most = (1 << 18) / f->p;

	if (most > 4096)
		most = 4096;
	f->bin = (f->n + most - 1) / most;
	f->nbins = FOLDS * ((f->n / FOLDS + f->bin) / f->bin);
	f->every = (f->n * f->p + (1 << 20) - 1) >> 20;
	f->nsample = (f->n + f->every - 1) / f->every;
	f->stride = (f->n + KEPT - 1) / KEPT;
	f->nkept = (f->n + f->stride - 1) / f->stride;
}

static int
passes_alloc(struct ge_fit *f, struct ge_err *e)
{
	const size_t p = f->p;
	size_t i;

	passes_size(f);
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
passes_release(struct ge_fit *f)
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
pass(struct ge_fit *f, int k, struct ge_err *e)
{

	f->pass = k;
	return (ge_par_each(f->o->jobs, FOLDS, pass_fold, f, e));
}

/* Beyond what a row is an outlier, by channel, from the rows that were kept. */
static int
find_off(struct ge_fit *f, struct ge_err *e)
{
	const float *x = f->kept;
	float *t, mid;
	size_t c, i, n;

	if ((t = ge_alloc(f->nkept * sizeof(*t), e)) == NULL)
		return (-1);
	for (c = 0; c < 2; c++, x += PER_CHANNEL) {
		for (n = 0, i = 0; i < f->nkept; i++)
			if (!isnan(x[i * GE_MONITOR_STATS]))
				t[n++] = x[i * GE_MONITOR_STATS];
		mid = ge_fit_median(t, n);
		for (i = 0; i < n; i++)
			t[i] = fabsf(t[i] - mid);
		f->off[c] = mid + (float)OUTLIER * 1.4826f *
		    ge_fit_median(t, n);
	}
	ge_free(t);
	return (0);
}

static int
mark_outliers(struct ge_fit *f, struct ge_err *e)
{
	size_t i;

	if (find_off(f, e) == -1)
		return (-1);
	if (f->stride > 1)
		return (pass(f, 3, e));
	for (i = 0; i < f->n; i++)
		f->skip[i] = is_off(f, f->kept + i * GE_MONITOR_STATS);
	return (0);
}

/*
 * Rows far off by themselves, if they are few and of few stretches, are left out of
 * what is learnt from: what comes again and again belongs to the process.
 */
static int
find_outliers(struct ge_fit *f, struct ge_monitor *to, struct ge_err *e)
{
	size_t b, i, in = 0, found = 0;

	if (mark_outliers(f, e) == -1)
		return (-1);
	for (i = 0; i < f->n; i++)
		found += f->skip[i];
	for (b = 0; b < FOLDS; b++)
		in += memchr(f->skip + ge_fit_edge(f, b), 1, ge_fit_edge(f, b + 1) -
		    ge_fit_edge(f, b)) != NULL;
	if (in > FOLDS / 2 || (double)found > OUTLIERS_MOST * (double)f->n) {
		memset(f->skip, 0, f->n);
		to->recurring = found;
		return (0);
	}
	f->m->dropped = found;
	return (0);
}

static int
carry(struct ge_monitor *to, const struct ge_monitor *from,
    const struct ge_fit_choice *c, struct ge_err *e)
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
round_of(struct ge_fit *f, struct ge_monitor *to, int *again, int turn,
    struct ge_err *e)
{
	struct ge_fit_choice c;
	struct ge_fit_tail score = { .step = 1, .but = FOLDS, .trust =
	    ge_fit_trust(f->n) };
	double x;
	int rc = -1;

	*again = 0;
	f->m->clip = FIT_CLIP;
	f->m->modes = 1;
	memset(f->m->mode, 0, GE_MONITOR_MODES * f->p * sizeof(float));
	if (ge_fit_gram_alloc(f, e) == -1 || ge_fit_gram(f, e) == -1 ||
	    ge_fit_choose(f, &c, e) == -1 || ge_fit_modes(f, &c, e) == -1 || carry(to, f->m, &c, e) == -1)
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
	if (spread(f, to, e) == -1)
		goto out;
	if (!judged(to)) {
		ge_fail(e, GE_EUSAGE, "%zu rows are too few to tell what is "
		    "nominal: every column still drifts", f->n);
		goto out;
	}
	if (pass(f, 1, e) == -1)
		goto out;
	if (turn <= 1) {
		if (find_outliers(f, to, e) == -1)
			goto out;
		if (f->m->dropped > 0) {
			*again = 2;
			rc = 0;
			goto out;
		}
	}
	score.x = f->score;
	if (all_limits(f, to, e) == -1 || pass(f, 2, e) == -1 ||
	    ge_fit_bound(f, &score, &x, e) == -1)
		goto out;
	to->bound = (float)fmax(x, 0.1);
	ge_monitor_ready(to);
	rc = 0;
out:
	passes_release(f);
	fold_release(f);
	ge_fit_gram_release(f);
	return (rc);
}

int
ge_monitor_gaps(const double *t, size_t n, uint8_t *fresh, double *step,
    struct ge_err *e)
{
	double *d, last;
	size_t i, k = 0;

	*step = 0;
	if ((d = ge_alloc((n + 1) * sizeof(*d), e)) == NULL)
		return (-1);
	for (last = (double)NAN, i = 0; i < n; i++) {
		if (t[i] > last)
			d[k++] = t[i] - last;
		last = isnan(t[i]) ? last : t[i];
	}
	qsort(d, k, sizeof(*d), ge_order_numbers);
	*step = k > 0 ? d[k / 2] : 0;
	for (last = (double)NAN, i = 0; i < n; i++) {
		fresh[i] = i == 0 || t[i] < last ||
		    t[i] - last > GE_MONITOR_GAP * *step ?
		    GE_MONITOR_APART : 0;
		last = isnan(t[i]) ? last : t[i];
	}
	ge_free(d);
	return (0);
}

/* The largest model that is tried. */
static void
front_of(struct ge_monitor *m, size_t n, size_t p,
    const struct ge_monitor_opts *o)
{

	memset(m, 0, sizeof(*m));
	m->p = p;
	m->lags = o->lags < GE_MONITOR_LAGS ? o->lags : GE_MONITOR_LAGS;
	if ((m->lags + 1) * p > PREDICTORS)
		m->lags = PREDICTORS / p - 1;
	m->modes = GE_MONITOR_MODES;
	m->hinges = o->hinges && p <= HINGED;
	m->far = o->far;
	m->baseline = SLOWEST / 3;
	m->rows = n;
}

void
ge_monitor_bytes(struct ge_monitor_size *z, size_t n, size_t p,
    const struct ge_monitor_opts *o)
{
	struct ge_monitor m;
	struct ge_fit f = { .n = n, .p = p };
	const uint64_t jobs = (uint64_t)(o->jobs < FOLDS + 1 ? o->jobs :
	    FOLDS + 1);
	uint64_t w;

	front_of(&m, n, p, o);
	ge_monitor_extent(&m);
	passes_size(&f);
	w = m.width;
	z->models = (FOLDS + 2) * (2 * p + 2 * m.stride) * w * sizeof(float);
	z->products = (FOLDS + 1) * (w + p) * w * sizeof(double) +
	    2 * jobs * w * w * sizeof(double);
	z->samples = (3 * p * f.nbins + POINTS * p / 2) * sizeof(double) +
	    f.nsample * 2 * p * sizeof(float) +
	    f.nkept * (GE_MONITOR_STATS + 2) * sizeof(float) + n;
}

int
ge_monitor_fit(struct ge_monitor *m, const double *rows, size_t n, size_t p,
    const struct ge_monitor_opts *o, struct ge_err *e)
{
	struct ge_monitor front = { 0 };
	struct ge_fit f = { .o = o, .rows = rows, .n = n, .p = p, .m = &front };
	int again, turn, rc = -1;

	memset(m, 0, sizeof(*m));
	if (p < 1 || p > GE_MONITOR_COLS)
		return (ge_fail(e, GE_EUSAGE,
		    "%zu columns of numbers: 1 to %d are possible", p,
		    GE_MONITOR_COLS));
	if (!(o->far > 0 && o->far < 0.1))
		return (ge_fail(e, GE_EUSAGE,
		    "a false-alarm rate of %g a row: above 0 and below 0.1 is "
		    "possible", o->far));
	if (n < GE_MONITOR_ROWS)
		return (ge_fail(e, GE_EUSAGE,
		    "%zu rows of nominal operation: %d are needed at least",
		    n, GE_MONITOR_ROWS));
	front_of(&front, n, p, o);
	if (ge_fit_past(&f, &front.lags, e) == -1)
		return (-1);
	if (ge_monitor_shape(&front, e) == -1 || ge_fit_scale(&f, e) == -1 ||
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
