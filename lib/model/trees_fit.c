#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/digits.h"
#include "model/propose.h"
#include "model/trees_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/thread.h"
#include "util/world.h"

enum {
	FEW = 8				/* features that a tree sees all of */
};

void
ge_trees_opts_init(struct ge_trees_opts *o)
{

	memset(o, 0, sizeof(*o));
	ge_boost_opts_init(&o->boost);
	o->boost.bins = 0;
	o->boost.eta = 0.1;
	o->boost.subsample = 0.8;
	o->boost.colsample = 0;
	o->cap = INFINITY;
	o->rounds = 1000;
	o->patience = 50;
	o->folds = 5;
	o->coverage = 0.9;
	o->decide.rule = GE_DECIDE_LIKELY;
	o->decide.threshold = 0.5;
	o->gco2 = 0;
	o->seed = 1;
	o->jobs = 1;
}

/* The share of what it may use that is used. */
double
ge_trees_used(struct ge_trees *t)
{
	double time = 0, energy = 0;

	if (t->o.minutes > 0)
		time = (ge_clock() - t->began) / 60 / t->o.minutes;
	if (t->o.joules > 0)
		energy = ge_energy_joules(&t->energy) / t->o.joules;
	return (time > energy ? time : energy);
}

const char *
ge_trees_limit(struct ge_trees *t)
{

	return (t->o.joules > 0 && ge_energy_joules(&t->energy) /
	    t->o.joules >= (t->o.minutes > 0 ? (ge_clock() - t->began) / 60 /
	    t->o.minutes : 0) ? "joules" : "minutes");
}

static void
set_objective(struct ge_trees *t)
{
	struct ge_boost_opts *b = &t->o.boost;

	b->objective = t->meaning.k == 0 ? GE_SQUARED : t->meaning.k == 2 ?
	    GE_LOGISTIC : GE_SOFTMAX;
	b->classes = (int)t->meaning.k;
	b->jobs = t->o.jobs;
	b->seed = t->o.seed;
}

int
ge_trees_open(struct ge_trees *t, struct ge_frame *f,
    const struct ge_roles *r, const struct ge_trees_opts *o, struct ge_err *e)
{

	memset(t, 0, sizeof(*t));
	t->o = *o;
	t->f = f;
	t->n = f->n;
	t->began = ge_clock();
	t->started = ge_now();
	t->stopped = "rounds";
	ge_energy_start(&t->energy);
	if (t->n > UINT32_MAX)
		return (ge_fail(e, GE_EUSAGE, "more than %u rows", UINT32_MAX));
	if ((t->work = ge_alloc(sizeof(*t->work), e)) == NULL ||
	    (t->o.jobs > 1 && (t->pool = ge_pool_new(t->o.jobs, e)) == NULL) ||
	    ge_schema_of(&t->schema, "trees", f, r, e) == -1 ||
	    ge_trees_target(t, e) == -1 || ge_trees_deal(t, e) == -1)
		return (-1);
	set_objective(t);
	t->work->k = ge_boost_k(&t->o.boost);
	return (ge_trees_by_open(t, e));
}

void
ge_trees_bytes(const struct ge_trees *t, struct ge_trees_size *z)
{
	uint64_t n = t->n, q = 0;
	size_t j;
	int bins = t->o.boost.bins;

	for (j = 0; j < t->schema.ncols; j++)
		q += t->schema.col[j].role == GE_ROLE_INPUT;
	if (bins == 0)
		bins = ge_propose_bins(t->n, (size_t)q);
	z->table = n * t->schema.ncols * sizeof(double);
	z->features = n * q * sizeof(float);
	z->matrix = 2 * n * q * (bins > 256 ? 2 : 1);
	z->gradients = 4 * n * t->work->k * sizeof(float);
}

void
ge_trees_release(struct ge_trees *t)
{

	ge_boost_free(t->model);
	if (t->work != NULL) {
		ge_trees_view_release(t->work);
		ge_free(t->work->margin);
		ge_trees_by_release(t->work);
		ge_free(t->work);
	}
	ge_pool_free(t->pool);
	ge_trees_meaning_release(&t->meaning);
	ge_schema_release(&t->schema);
	ge_free(t->y);
	ge_free(t->w);
	ge_free(t->wfit);
	ge_free(t->unit);
	ge_free(t->fold);
	memset(t, 0, sizeof(*t));
}

void
ge_trees_weights(const struct ge_trees *t, int f, float *w)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		w[i] = ge_trees_learns(t, i, f) ? t->wfit[i] : 0;
}

static double
mean(const struct ge_trees *t, const float *w)
{
	double sum = 0, all = 0;
	size_t i;

	for (i = 0; i < t->n; i++) {
		sum += (double)w[i] * t->y[i];
		all += (double)w[i];
	}
	return (all > 0 ? sum / all : 0);
}

/* A fold while it is learnt: what it has held out, and how well that is foretold. */
struct trial {
	struct ge_trees *t;
	const struct ge_boost_opts *o;
	uint32_t *row;			/* [n] held out */
	size_t n;
	size_t parts;			/* row j is of part j % parts, */
	struct ge_trees_curve *curve;	/* [parts] each with its losses */
	const float *margin;		/* [t->n][k] */
	double *sum;			/* [chunks][parts] losses */
	double weight, loss;		/* of all; its least loss */
};

enum {
	CHUNK = 1 << 14
};

static double
row_weight(const struct ge_trees *t, size_t i)
{

	return (t->w != NULL ? (double)t->w[i] : 1);
}

static double
row_loss(const struct trial *r, size_t i)
{
	const float *m = r->margin + i * r->t->work->k;
	double p[GE_BOOST_CLASSES], d;

	if (r->o->objective == GE_SQUARED) {
		d = (double)m[0] - r->t->y[i];
		return (d * d);
	}
	ge_boost_probability(r->o, m, p);
	d = p[(size_t)r->t->y[i]];
	return (-log(d > 0x1p-52 ? d : 0x1p-52));
}

static void
chunk_loss(void *arg, size_t c, int worker)
{
	struct trial *r = arg;
	double *sum = r->sum + c * r->parts;
	size_t j;

	(void)worker;
	memset(sum, 0, r->parts * sizeof(*sum));
	for (j = c * CHUNK; j < r->n && j < (c + 1) * CHUNK; j++)
		sum[j % r->parts] += row_weight(r->t, r->row[j]) *
		    row_loss(r, r->row[j]);
}

/* Each curve a round further, and the mean of all. */
static int
held_loss(struct trial *r, double *loss, struct ge_err *e)
{
	size_t c, p, chunks = (r->n + CHUNK - 1) / CHUNK;
	struct ge_trees_curve *k;

	*loss = 0;
	ge_pool_run(r->t->pool, chunks, chunk_loss, r);
	for (p = 0; p < r->parts; p++) {
		k = &r->curve[p];
		if (ge_grow(&k->sum, &k->cap, k->n + 1, sizeof(*k->sum), e) ==
		    -1)
			return (-1);
		k->sum[k->n] = 0;
		for (c = 0; c < chunks; c++)
			k->sum[k->n] += r->sum[c * r->parts + p];
		*loss += k->sum[k->n++];
	}
	*loss = r->weight > 0 ? *loss / r->weight : 0;
	return (0);
}

static void
tell(struct ge_trees *t, int fold, int round, double loss)
{
	struct ge_trees_state *s = &t->work->state;

	s->fold = fold;
	s->folds = t->folds;
	s->round = round;
	s->rounds = fold == -1 ? t->rounds : t->o.rounds;
	s->tried = t->tried;
	s->search = t->o.search;
	s->loss = loss;
	if (t->tell != NULL)
		t->tell(t->arg, s);
}

/* Rounds until none has been better for long, or the limit of used is reached. */
static int
boost_fold(struct trial *r, struct ge_boost *b, int f, double limit,
    struct ge_err *e)
{
	double loss;
	int i, best = 0;

	r->loss = INFINITY;
	for (i = 1; i <= r->t->o.rounds && i - best <= r->t->o.patience; i++) {
		if (ge_boost_round(b, e) == -1 ||
		    (r->margin = ge_boost_fitted(b, e)) == NULL ||
		    held_loss(r, &loss, e) == -1)
			return (-1);
		if (loss < r->loss) {
			r->loss = loss;
			best = i;
		}
		tell(r->t, f, i, r->loss);
		if (ge_trees_used(r->t) > limit) {
			r->t->work->cut |= GE_TREES_CUT_FOLDS;
			r->t->stopped = ge_trees_limit(r->t);
			break;
		}
	}
	return (0);
}

/*
 * What is not set is as it suits the features: of few every tree must see all, since
 * what it does not see it cannot weigh against the rest.
 */
static void
suit(const struct ge_trees_view *v, struct ge_boost_opts *o)
{
	double share = (double)FEW / (double)v->q;

	o->bins = v->bins;
	if (!(o->colsample > 0))
		o->colsample = ge_digits(share > 1 ? 1 : share > 0.5 ? share :
		    0.5);
}

/* Proposals may take half of what is left until the limit. */
static int
matrix(struct ge_trees *t, int f, double limit, struct ge_err *e)
{

	t->work->deadline = (ge_trees_used(t) + limit) / 2;
	return (ge_trees_matrix(t, f, e));
}

/* The trees of fold f with settings r->o into *b, their losses into the curves. */
static int
fit_fold(struct trial *r, int f, double limit, struct ge_boost **b,
    struct ge_err *e)
{
	struct ge_trees *t = r->t;
	struct ge_boost_opts o = *r->o;
	float *w;
	int rc = -1;

	if (matrix(t, f, limit, e) == -1 ||
	    (w = ge_alloc(t->n * sizeof(*w), e)) == NULL)
		return (-1);
	ge_trees_weights(t, f, w);
	suit(ge_trees_view(t, f), &o);
	if (o.objective == GE_SQUARED)
		o.base = mean(t, w);
	*b = ge_boost_new(ge_trees_view(t, f)->data, t->y, w, &o, e);
	if (*b != NULL && boost_fold(r, *b, f, limit, e) == 0)
		rc = ge_boost_rest(*b, e);
	ge_free(w);
	ge_trees_leave(t, f);
	return (rc);
}

void
ge_trees_outcome_release(struct ge_trees_outcome *c)
{
	size_t i;

	for (i = 0; i < GE_TREES_FOLDS; i++) {
		ge_boost_free(c->model[i]);
		ge_free(c->curve[i].sum);
	}
}

static void
held_rows(const struct ge_trees *t, int f, uint32_t *row, size_t *n)
{
	size_t i;

	for (*n = i = 0; i < t->n; i++)
		if (t->fold[i] == f)
			row[(*n)++] = (uint32_t)i;
}

/* The rows of fold f into r, and their weights into the curves. */
static void
begin_fold(struct trial *r, int f, struct ge_trees_curve *curve)
{
	size_t j;
	double w;

	held_rows(r->t, f, r->row, &r->n);
	r->curve = curve;
	r->weight = 0;
	for (j = 0; j < r->n; j++) {
		w = row_weight(r->t, r->row[j]);
		curve[j % r->parts].weight += w;
		r->weight += w;
	}
}

static size_t
parts(const struct ge_trees *t)
{

	return (t->folds > 1 ? 1 : GE_TREES_PARTS);
}

static int
trial_alloc(struct trial *r, struct ge_err *e)
{
	size_t n = r->t->nheld;

	r->row = ge_alloc((n + 1) * sizeof(*r->row), e);
	r->sum = ge_alloc((n / CHUNK + 1) * r->parts * sizeof(*r->sum), e);
	return (r->row != NULL && r->sum != NULL ? 0 : -1);
}

/*
 * The number of rounds after which the curves [n], but for that of `except`, have the
 * least mean, which is put into *loss.  A curve that has stopped keeps its last value.
 */
int
ge_trees_rounds(const struct ge_trees_curve *curve, size_t n, size_t except,
    double *loss)
{
	double sum, weight, least = INFINITY;
	size_t i, p, longest = 0, best = 0;

	for (p = 0; p < n; p++)
		if (p != except && curve[p].n > longest)
			longest = curve[p].n;
	for (i = 0; i < longest; i++) {
		sum = weight = 0;
		for (p = 0; p < n; p++) {
			if (p == except || curve[p].n == 0)
				continue;
			sum += curve[p].sum[i < curve[p].n ? i : curve[p].n -
			    1];
			weight += curve[p].weight;
		}
		sum = weight > 0 ? sum / weight : 0;
		if (sum < least) {
			least = sum;
			best = i;
		}
	}
	*loss = least;
	return ((int)best + 1);
}

/*
 * All folds with settings o into c: 1; 0 when it is given up, since after some folds
 * it is clearly worse than the best so far.
 */
int
ge_trees_try(struct ge_trees *t, const struct ge_boost_opts *o,
    const struct ge_trees_outcome *best, struct ge_trees_outcome *c,
    struct ge_err *e)
{
	struct trial r = { .t = t, .o = o, .parts = parts(t) };
	double limit, sum = 0, so_far = 0;
	int f, rc = trial_alloc(&r, e) == 0 ? 1 : -1;

	memset(c, 0, sizeof(*c));
	for (f = 0; rc == 1 && f < t->folds; f++) {
		begin_fold(&r, f, &c->curve[f]);
		limit = best != NULL ? GE_TREES_FOLD_SHARE :
		    GE_TREES_FOLD_SHARE * (f + 1.0) / t->folds;
		if (fit_fold(&r, f, limit, &c->model[f], e) == -1) {
			rc = -1;
			break;
		}
		sum += c->least[f] = r.loss;
		if (best == NULL)
			continue;
		so_far += best->least[f];
		if (sum > 1.05 * so_far || (ge_trees_used(t) >
		    GE_TREES_FOLD_SHARE && f + 1 < t->folds))
			rc = 0;
	}
	if (rc == 1)
		ge_trees_rounds(c->curve, (size_t)t->folds * r.parts, SIZE_MAX,
		    &c->loss);
	ge_free(r.row);
	ge_free(r.sum);
	return (rc);
}

/* Every step-th of the rows that fold f holds out, from the first-th on: [*n]. */
static void
part_rows(const struct ge_trees *t, int f, size_t first, size_t step,
    uint32_t *row, size_t *n)
{
	size_t all, j;

	held_rows(t, f, row, &all);
	for (*n = 0, j = first; j < all; j += step)
		row[(*n)++] = row[j];
}

static int
part_margins(struct ge_trees *t, int f, struct ge_boost *b, int rounds,
    const uint32_t *row, size_t n, struct ge_err *e)
{
	size_t j, k = t->work->k, q = ge_trees_view(t, f)->q;
	float *x = ge_block_alloc((n * q + 1) * sizeof(*x), e);
	float *out = ge_alloc((n * k + 1) * sizeof(*out), e);
	int rc = -1;

	if (x != NULL && out != NULL &&
	    ge_trees_rows(t, f, row, n, x, e) == 0 &&
	    ge_boost_margins_at(b, x, n, rounds, out, e) == 0)
		rc = 0;
	for (j = 0; rc == 0 && j < n; j++)
		memcpy(t->work->margin + row[j] * k, out + j * k,
		    k * sizeof(*out));
	ge_block_free(x);
	ge_free(out);
	return (rc);
}

/*
 * Margins of the rows held out, each after as many rounds as were best on those of the
 * other folds: were it its own, what is told would be the best of many, and noise would
 * seem to be foretold.
 */
static int
held_margins(struct ge_trees *t, const struct ge_trees_outcome *c,
    struct ge_err *e)
{
	size_t p, n, each = parts(t), all = (size_t)t->folds * each;
	uint32_t *row;
	double loss;
	int f, rounds, rc = 0;

	t->work->margin = ge_alloc((t->n + 1) * t->work->k * sizeof(float), e);
	row = ge_alloc((t->nheld + 1) * sizeof(*row), e);
	if (t->work->margin == NULL || row == NULL)
		rc = -1;
	for (p = 0; rc == 0 && p < all; p++) {
		f = (int)(p / each);
		part_rows(t, f, p % each, each, row, &n);
		rounds = ge_trees_rounds(c->curve, all, p, &loss);
		ge_note(GE_DETAIL, "fold %zu: %d of %d rounds", p + 1, rounds,
		    ge_boost_rounds(c->model[f]));
		if (rounds > ge_boost_rounds(c->model[f]))
			rounds = ge_boost_rounds(c->model[f]);
		rc = part_margins(t, f, c->model[f], rounds, row, n, e);
	}
	ge_free(row);
	return (rc);
}

/* The folds, and so how many rounds are best. */
static int
folds(struct ge_trees *t, struct ge_err *e)
{
	struct ge_trees_outcome c;
	double loss;
	int rc = -1;

	if (ge_trees_try(t, &t->o.boost, NULL, &c, e) == -1 ||
	    ge_trees_search(t, &c, e) == -1)
		goto out;
	t->rounds = ge_trees_rounds(c.curve, (size_t)t->folds * parts(t),
	    SIZE_MAX, &loss);
	if (t->rounds < t->o.rounds && strcmp(t->stopped, "rounds") == 0)
		t->stopped = "patience";
	rc = held_margins(t, &c, e);
out:
	ge_trees_outcome_release(&c);
	return (rc);
}

/* The model of all rows. */
static int
finish(struct ge_trees *t, struct ge_err *e)
{
	struct ge_boost_opts o = t->o.boost;
	int i;

	if (matrix(t, -1, 1, e) == -1)
		return (-1);
	suit(ge_trees_view(t, -1), &o);
	t->o.boost = o;
	o.shift = t->meaning.shift;
	if (o.objective == GE_SQUARED && !(fabs(o.shift) > 0))
		o.base = mean(t, t->wfit);
	if ((t->model = ge_boost_new(ge_trees_view(t, -1)->data, t->y, t->wfit,
	    &o, e)) == NULL)
		return (-1);
	for (i = 1; i <= t->rounds; i++) {
		if (ge_boost_round(t->model, e) == -1)
			return (-1);
		tell(t, -1, i, NAN);
		if (ge_trees_used(t) > 1 && i < t->rounds) {
			t->work->cut |= GE_TREES_CUT_MODEL;
			t->stopped = ge_trees_limit(t);
			t->rounds = i;
		}
	}
	return (0);
}

static void
tell_cut(const struct ge_trees *t)
{
	static const char *const what[] = {
		NULL, "proposals", "folds", "proposals and folds", "the model",
		"proposals and the model", "folds and the model",
		"proposals, folds and the model"
	};

	if (t->work->cut != 0)
		ge_note(GE_WARN, "-O %s= cut short %s: %d round%s",
		    t->stopped, what[t->work->cut], t->rounds, t->rounds == 1 ?
		    "" : "s");
}

int
ge_trees_fit(struct ge_trees *t, struct ge_err *e)
{

	t->rounds = t->o.rounds;
	if (ge_trees_view_open(t, e) == -1 ||
	    (t->nheld > 0 && folds(t, e) == -1) || finish(t, e) == -1)
		return (-1);
	tell_cut(t);
	t->seconds = ge_clock() - t->began;
	t->joules = ge_energy_joules(&t->energy);
	return (t->nheld > 0 ? ge_trees_judge(t, e) : 0);
}
