#include <math.h>
#include <string.h>

#include "model/chol.h"
#include "model/dot.h"
#include "model/linear.h"
#include "model/softmax.h"
#include "util/hook.h"
#include "util/mem.h"

/*
 * A column of x becomes inputs: of numbers the value, standardised, and 1 where it is
 * missing, if it ever is; of a category 1 for its word.  The first input is 1: the
 * intercept, which is not held small.
 */
enum {
	PARTS = 16,			/* of the rows, each summed by itself */
	MEMORY = 10,			/* steps that L-BFGS remembers */
	STEPS = 200			/* of it at most */
};

#define DONE 1e-8			/* slope a row that is flat enough */

struct column {
	uint32_t words;			/* 0: a number */
	size_t at, n;			/* inputs; n 0: none of it is used */
	double mean, inverse;		/* of numbers; 1 / standard deviation */
};

struct ge_linear {
	size_t q, width, classes, outs;
	struct column *col;		/* [q] */
	double *coef;			/* [outs][width] */
	double middle;			/* mean of y of numbers: what is learnt is
					   y less it */
};

struct fit {
	struct ge_linear *l;
	const struct ge_linear_opts *o;
	const struct ge_linear_data *d;
	double *in;			/* [PARTS][width] a row's inputs */
	double *p;			/* [PARTS][outs] */
	double *gram;			/* [PARTS][width][width] upper half */
	double *grad;			/* [PARTS][outs][width] */
	double loss[PARTS];
	double sum;			/* of the weights */
	const double *at;		/* coefficients looked at */
	struct ge_err *e;
};

static size_t
row_of(const struct ge_linear_data *d, size_t i)
{

	return (d->row != NULL ? d->row[i] : i);
}

static double
weight(const struct ge_linear_data *d, size_t row)
{

	return (d->w != NULL ? (double)d->w[row] : 1);
}

static size_t
first_of(const struct fit *f, size_t part)
{

	return (part * f->d->n / PARTS);
}

/* The inputs that are not 0 are few where there are many words, but that is rare. */
static void
expand(const struct ge_linear *l, const float *x, double *in)
{
	const struct column *c;
	size_t j;

	memset(in, 0, l->width * sizeof(*in));
	in[0] = 1;
	for (j = 0; j < l->q; j++) {
		c = &l->col[j];
		if (c->n == 0)
			continue;
		if (c->words > 0) {
			if (x[j] >= 0 && x[j] < (float)c->n)
				in[c->at + (size_t)x[j]] = 1;
		} else if (isfinite(x[j])) {
			in[c->at] = ((double)x[j] - c->mean) * c->inverse;
		} else if (c->n == 2) {
			in[c->at + 1] = 1;
		}
	}
}

static void
add(double *to, const double *from, double times, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		to[i] += times * from[i];
}

/*
 * What columns look like.
 */

static void
measure(struct column *c, const struct ge_linear_data *d, size_t j,
    int *missing)
{
	double sum = 0, sq = 0, w, x, all = 0;
	size_t i, row;

	*missing = 0;
	for (i = 0; i < d->n; i++) {
		row = row_of(d, i);
		x = (double)d->x[row * d->q + j];
		if (!isfinite(x)) {
			*missing = 1;
			continue;
		}
		w = weight(d, row);
		all += w;
		sum += w * x;
	}
	c->mean = all > 0 ? sum / all : 0;
	for (i = 0; i < d->n; i++) {
		row = row_of(d, i);
		x = (double)d->x[row * d->q + j] - c->mean;
		sq += isfinite(x) ? weight(d, row) * x * x : 0;
	}
	c->inverse = sq > 0 && isfinite(sq) ? sqrt(all / sq) : 0;
	if (fabs(c->mean) * c->inverse > 1e12)	/* a constant, but for rounding */
		c->inverse = 0;
}

static int
look(struct ge_linear *l, const struct ge_linear_data *d, struct ge_err *e)
{
	struct column *c;
	size_t j, want;
	int missing;

	l->width = 1;
	for (j = 0; j < l->q; j++) {
		c = &l->col[j];
		c->words = d->words != NULL ? d->words[j] : 0;
		if (c->words == 0)
			measure(c, d, j, &missing);
		want = c->words > 0 ? c->words : 1 + (size_t)missing;
		c->at = l->width;
		c->n = want < GE_LINEAR_WIDTH - l->width ? want :
		    GE_LINEAR_WIDTH - l->width;
		l->width += c->n;
		if (ge_hook_tick(0, e) == -1)
			return (-1);
	}
	return (0);
}

/*
 * Sums over rows, a part at a time: the order is the same for any number of threads.
 */

static void
gram_part(void *arg, size_t part, int worker)
{
	struct fit *f = arg;
	size_t n = f->l->width, i, j, row;
	double *in = f->in + part * n, *g = f->gram + part * n * n;
	double *b = f->grad + part * f->l->outs * n, w;

	(void)worker;
	for (i = first_of(f, part); i < first_of(f, part + 1); i++) {
		row = row_of(f->d, i);
		expand(f->l, f->d->x + row * f->l->q, in);
		w = weight(f->d, row);
		for (j = 0; j < n; j++)
			if (in[j] > 0 || in[j] < 0)
				add(g + j * n + j, in + j, w * in[j], n - j);
		if (f->l->classes == 0)
			add(b, in, w * (f->d->y[row] - f->l->middle), n);
	}
}

/* Margins of a row made chances; what it loses. */
static double
chances(const struct fit *f, const double *in, size_t y, double *p)
{
	size_t k = f->l->outs, c;

	for (c = 0; c < k; c++)
		p[c] = ge_dot(f->at + c * f->l->width, in, f->l->width);
	ge_softmax(p, k);
	return (-log(fmax(p[y], 1e-300)));
}

static void
slope_part(void *arg, size_t part, int worker)
{
	struct fit *f = arg;
	size_t n = f->l->width, k = f->l->outs, i, c, row, y;
	double *in = f->in + part * n, *p = f->p + part * k, w;
	double *g = f->grad + part * k * n;

	(void)worker;
	f->loss[part] = 0;
	memset(g, 0, k * n * sizeof(*g));
	for (i = first_of(f, part); i < first_of(f, part + 1); i++) {
		row = row_of(f->d, i);
		expand(f->l, f->d->x + row * f->l->q, in);
		w = weight(f->d, row);
		y = (size_t)f->d->y[row];
		f->loss[part] += w * chances(f, in, y, p);
		for (c = 0; c < k; c++)
			add(g + c * n, in, w * (p[c] - (c == y)), n);
	}
}

static void
gather(double *parts, size_t n)
{
	size_t i;

	for (i = 1; i < PARTS; i++)
		add(parts, parts + i * n, 1, n);
}

/* X'X of all rows, the ridge on its diagonal but for the intercept, factored. */
static int
factor(struct fit *f, double share, struct ge_err *e)
{
	size_t n = f->l->width, i, j;

	ge_pool_run(f->o->pool, PARTS, gram_part, f);
	if (ge_hook_tick(0, e) == -1)
		return (-1);
	gather(f->gram, n * n);
	for (i = 0; i < n; i++) {
		for (j = i; j < n; j++)
			f->gram[j * n + i] = f->gram[i * n + j] *= share;
		f->gram[i * n + i] += i > 0 ? f->o->ridge : 1e-9 * f->sum;
	}
	return (ge_chol(f->gram, n) == -1 ? ge_fail(e, GE_EFAIL, "the linear "
	    "model: numbers too large") : 0);
}

static int
fit_number(struct fit *f, struct ge_err *e)
{

	if (factor(f, 1, e) == -1)
		return (-1);
	gather(f->grad, f->l->width);
	memcpy(f->l->coef, f->grad, f->l->width * sizeof(*f->l->coef));
	ge_chol_solve(f->gram, f->l->width, f->l->coef);
	return (0);
}

/*
 * Classes: L-BFGS (Liu and Nocedal, 1989), begun from a bound of the second derivatives
 * that holds everywhere, half of X'X (Boehning, 1992).
 */

struct lbfgs {
	size_t n, have;
	double *x, *g, *to, *next, *way;	/* [n] point, slope; the next; where to */
	double *s, *y;				/* [MEMORY][n] the newest first */
	double rho[MEMORY];
	double loss;
};

static double
loss_at(struct fit *f, const double *x, double *g)
{
	size_t n = f->l->width, k = f->l->outs, c, i;
	double loss = 0;

	f->at = x;
	ge_pool_run(f->o->pool, PARTS, slope_part, f);
	gather(f->grad, n * k);
	for (i = 0; i < PARTS; i++)
		loss += f->loss[i];
	memcpy(g, f->grad, n * k * sizeof(*g));
	for (c = 0; c < k; c++) {
		add(g + c * n + 1, x + c * n + 1, f->o->ridge, n - 1);
		loss += f->o->ridge / 2 * ge_dot(x + c * n + 1, x + c * n + 1,
		    n - 1);
	}
	return (loss);
}

static void
direction(const struct fit *f, struct lbfgs *b)
{
	double a[MEMORY];
	size_t i, c;

	memcpy(b->way, b->g, b->n * sizeof(*b->way));
	for (i = 0; i < b->have; i++) {
		a[i] = b->rho[i] * ge_dot(b->s + i * b->n, b->way, b->n);
		add(b->way, b->y + i * b->n, -a[i], b->n);
	}
	for (c = 0; c < f->l->outs; c++)
		ge_chol_solve(f->gram, f->l->width, b->way + c * f->l->width);
	for (i = b->have; i-- > 0;)
		add(b->way, b->s + i * b->n, a[i] - b->rho[i] * ge_dot(b->y + i *
		    b->n, b->way, b->n), b->n);
	for (i = 0; i < b->n; i++)
		b->way[i] = -b->way[i];
}

/* The step from x to `to` is remembered, unless it bends the wrong way. */
static void
remember(struct lbfgs *b)
{
	size_t n = b->n, last = MEMORY - 1, i;
	double sy;

	memmove(b->s + n, b->s, last * n * sizeof(*b->s));
	memmove(b->y + n, b->y, last * n * sizeof(*b->y));
	memmove(b->rho + 1, b->rho, last * sizeof(*b->rho));
	for (i = 0; i < n; i++) {
		b->s[i] = b->to[i] - b->x[i];
		b->y[i] = b->next[i] - b->g[i];
	}
	sy = ge_dot(b->s, b->y, n);
	b->rho[0] = sy > 0 ? 1 / sy : 0;
	b->have = sy > 0 ? b->have < MEMORY ? b->have + 1 : MEMORY : 0;
	memcpy(b->x, b->to, n * sizeof(*b->x));
	memcpy(b->g, b->next, n * sizeof(*b->g));
}

/* 1; 0 where it goes down no further. */
static int
step(struct fit *f, struct lbfgs *b)
{
	double slope, loss, part;

	direction(f, b);
	if (!((slope = ge_dot(b->way, b->g, b->n)) < 0))
		return (0);
	for (part = 1; part > 1e-6; part /= 2) {
		memcpy(b->to, b->x, b->n * sizeof(*b->to));
		add(b->to, b->way, part, b->n);
		loss = loss_at(f, b->to, b->next);
		if (loss <= b->loss + 1e-4 * part * slope) {
			b->loss = loss;
			remember(b);
			return (1);
		}
	}
	return (0);
}

static int
flat(const struct fit *f, const struct lbfgs *b)
{
	double most = 0;
	size_t i;

	for (i = 0; i < b->n; i++)
		most = fmax(most, fabs(b->g[i]));
	return (most <= DONE * f->sum);
}

static int
descend(struct fit *f, struct lbfgs *b, struct ge_err *e)
{
	int i;

	b->loss = loss_at(f, b->x, b->g);
	for (i = 0; i < STEPS && !flat(f, b); i++) {
		if (ge_hook_tick(0, e) == -1)
			return (-1);
		if (!step(f, b))
			break;
	}
	memcpy(f->l->coef, b->x, b->n * sizeof(*b->x));
	return (0);
}

static int
fit_classes(struct fit *f, struct ge_err *e)
{
	struct lbfgs b;
	double *all;
	int rc;

	memset(&b, 0, sizeof(b));
	b.n = f->l->width * f->l->outs;
	if (factor(f, 0.5, e) == -1 || (all = ge_alloc((5 + 2 * MEMORY) * b.n *
	    sizeof(*all), e)) == NULL)
		return (-1);
	b.x = all;
	b.g = all + b.n;
	b.to = all + 2 * b.n;
	b.next = all + 3 * b.n;
	b.way = all + 4 * b.n;
	b.s = all + 5 * b.n;
	b.y = b.s + MEMORY * b.n;
	rc = descend(f, &b, e);
	ge_free(all);
	return (rc);
}

static double
middle(const struct ge_linear_data *d, double sum)
{
	double y = 0;
	size_t i;

	for (i = 0; i < d->n; i++)
		y += weight(d, row_of(d, i)) * d->y[row_of(d, i)];
	return (sum > 0 ? y / sum : 0);
}

static int
fit(struct fit *f, struct ge_err *e)
{
	size_t n = f->l->width, k = f->l->outs, i;
	int rc = -1;

	for (i = 0; i < f->d->n; i++)
		f->sum += weight(f->d, row_of(f->d, i));
	if (f->l->classes == 0)
		f->l->middle = middle(f->d, f->sum);
	if ((f->in = ge_alloc(PARTS * n * sizeof(double), e)) != NULL &&
	    (f->p = ge_alloc(PARTS * k * sizeof(double), e)) != NULL &&
	    (f->gram = ge_alloc(PARTS * n * n * sizeof(double), e)) != NULL &&
	    (f->grad = ge_alloc(PARTS * k * n * sizeof(double), e)) != NULL &&
	    (f->l->coef = ge_alloc(k * n * sizeof(double), e)) != NULL)
		rc = f->l->classes == 0 ? fit_number(f, e) : fit_classes(f, e);
	ge_free(f->in);
	ge_free(f->p);
	ge_free(f->gram);
	ge_free(f->grad);
	return (rc);
}

struct ge_linear *
ge_linear_new(const struct ge_linear_opts *o, const struct ge_linear_data *d,
    struct ge_err *e)
{
	struct ge_linear *l;
	struct fit f;

	memset(&f, 0, sizeof(f));
	if ((l = ge_alloc(sizeof(*l), e)) == NULL)
		return (NULL);
	l->q = d->q;
	l->classes = o->classes;
	l->outs = o->classes == 0 ? 1 : o->classes;
	f.l = l;
	f.o = o;
	f.d = d;
	if ((l->col = ge_alloc((l->q + 1) * sizeof(*l->col), e)) != NULL &&
	    look(l, d, e) == 0 && fit(&f, e) == 0)
		return (l);
	ge_linear_free(l);
	return (NULL);
}

void
ge_linear_free(struct ge_linear *l)
{

	if (l == NULL)
		return;
	ge_free(l->col);
	ge_free(l->coef);
	ge_free(l);
}

void
ge_linear_predict(const struct ge_linear *l, const float *x, double *out)
{
	double in[GE_LINEAR_WIDTH];
	size_t c;

	expand(l, x, in);
	for (c = 0; c < l->outs; c++)
		out[c] = ge_dot(l->coef + c * l->width, in, l->width);
	if (l->classes > 0)
		ge_softmax(out, l->outs);
	else
		out[0] += l->middle;
}
