#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/draw.h"
#include "model/propose.h"
#include "model/trees_int.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/thread.h"
#include "util/world.h"

enum {
	FEW = 8,			/* features that a tree sees all of */
	LONGEST = 64			/* widest window proposed for a life */
};

static const double fold_share = 0.8;	/* of what minutes and joules allow */

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

static const char *
limit_name(struct ge_trees *t)
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
	ge_trees_words(t);
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

static void
view_release(struct ge_trees_view *v)
{

	ge_boost_data_free(v->data);
	ge_block_free(v->x);
	ge_features_release(&v->features);
}

void
ge_trees_release(struct ge_trees *t)
{
	size_t i;

	ge_boost_free(t->model);
	if (t->work != NULL) {
		for (i = 0; i < t->work->nviews; i++)
			view_release(&t->work->view[i]);
		ge_free(t->work->view);
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

/* Whether features depend on the rows that are learnt from. */
static int
proposes(const struct ge_trees *t)
{
	uint64_t w;

	return (t->o.combine > 0 || (t->o.life && t->o.lags == NULL) ||
	    (t->o.lags != NULL && ge_num_parse(t->o.lags, strlen(t->o.lags),
	    &w) == 0));
}

/* Features that fold f proposes, from the rows that it learns from. */
static int
propose(struct ge_trees *t, int f, struct ge_features *F, struct ge_err *e)
{
	struct ge_training g = { .v = t->f->v, .n = t->n, .fresh = t->f->fresh,
	    .y = t->y, .w = t->wfit, .unit = t->unit, .boost = &t->o.boost,
	    .seed = t->o.seed };
	uint64_t longest = LONGEST;
	uint32_t *row;
	size_t i;
	int rc = 0;

	if ((row = ge_alloc(t->n * sizeof(*row), e)) == NULL)
		return (-1);
	for (i = 0; i < t->n; i++)
		if (ge_trees_learns(t, i, f))
			row[g.nrows++] = (uint32_t)i;
	g.row = row;
	if ((t->o.life && t->o.lags == NULL) || (t->o.lags != NULL &&
	    ge_num_parse(t->o.lags, strlen(t->o.lags), &longest) == 0))
		rc = longest < 1 || longest > GE_FEATURES_ROWS ? ge_fail(e,
		    GE_EUSAGE, "lags '%s': not from 1 to %d rows", t->o.lags,
		    GE_FEATURES_ROWS) : ge_propose_lags(F, &t->schema, &g,
		    (uint32_t)longest, e);
	if (rc == 0 && t->o.combine > 0)
		rc = ge_propose(F, &t->schema, &g, t->o.combine, e);
	ge_free(row);
	return (rc);
}

static int
view_features(struct ge_trees *t, int f, struct ge_features *F,
    struct ge_err *e)
{
	uint64_t w;

	if (ge_features_plain(F, &t->schema, e) == -1 ||
	    (t->o.life && ge_features_age(F, &t->schema, e) == -1))
		return (-1);
	if (t->o.lags != NULL && ge_num_parse(t->o.lags, strlen(t->o.lags),
	    &w) == -1 && ge_features_lags(F, &t->schema, t->o.lags, e) == -1)
		return (-1);
	if (proposes(t) && propose(t, f, F, e) == -1)
		return (-1);
	return (F->n > 0 ? 0 : ge_fail(e, GE_EUSAGE, "there is no column to "
	    "learn from"));
}

static int
view_make(struct ge_trees *t, int f, struct ge_trees_view *v,
    struct ge_err *e)
{
	struct ge_boost_opts o = t->o.boost;
	uint8_t *category;

	if (view_features(t, f, &v->features, e) == -1)
		return (-1);
	v->q = v->features.n;
	v->x = ge_block_alloc(t->n * v->q * sizeof(float), e);
	if (v->x == NULL || ge_features_rows(&v->features, t->f->v, t->n,
	    t->f->fresh, NULL, t->n, v->x, e) == -1)
		return (-1);
	/* The cells are a table's worth of memory. */
	if (!proposes(t)) {
		ge_free(t->f->v);
		t->f->v = NULL;
	}
	if ((category = ge_alloc(v->q, e)) == NULL)
		return (-1);
	ge_features_categories(&v->features, &t->schema, category);
	v->bins = o.bins = o.bins > 0 ? o.bins : ge_propose_bins(t->n, v->q);
	v->data = ge_boost_data_new(v->x, v->q, NULL, t->n, category, &o, e);
	ge_free(category);
	return (v->data != NULL ? 0 : -1);
}

static int
views_make(struct ge_trees *t, struct ge_err *e)
{
	struct ge_trees_work *k = t->work;
	size_t i, n = proposes(t) ? (size_t)t->folds + 1 : 1;

	if ((k->view = ge_alloc(n * sizeof(*k->view), e)) == NULL)
		return (-1);
	k->nviews = n;
	for (i = 0; i < n; i++)
		if (view_make(t, i + 1 < n ? (int)i : -1, &k->view[i], e) == -1)
			return (-1);
	return (0);
}

const struct ge_trees_view *
ge_trees_view(const struct ge_trees *t, int f)
{
	const struct ge_trees_work *k = t->work;

	return (&k->view[f == -1 || k->nviews == 1 ? k->nviews - 1 :
	    (size_t)f]);
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
	const uint32_t *row;		/* [n] held out */
	size_t n;
	const float *margin;		/* [t->n][k] */
	double *part;			/* [chunks][2] loss, weight */
	float *keep;			/* [n][k] margins of the best round */
	int best;
	double loss;
};

enum {
	CHUNK = 1 << 14
};

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
	size_t j, i;
	double w;

	(void)worker;
	r->part[2 * c] = r->part[2 * c + 1] = 0;
	for (j = c * CHUNK; j < r->n && j < (c + 1) * CHUNK; j++) {
		i = r->row[j];
		w = r->t->w != NULL ? (double)r->t->w[i] : 1;
		r->part[2 * c] += w * row_loss(r, i);
		r->part[2 * c + 1] += w;
	}
}

static double
held_loss(struct trial *r)
{
	size_t c, chunks = (r->n + CHUNK - 1) / CHUNK;
	double sum = 0, all = 0;

	ge_pool_run(r->t->pool, chunks, chunk_loss, r);
	for (c = 0; c < chunks; c++) {
		sum += r->part[2 * c];
		all += r->part[2 * c + 1];
	}
	return (sum / all);
}

static void
keep_margins(struct trial *r)
{
	size_t j, k = r->t->work->k;

	for (j = 0; j < r->n; j++)
		memcpy(r->keep + j * k, r->margin + r->row[j] * k,
		    k * sizeof(float));
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
	int i;

	r->loss = INFINITY;
	for (i = 1; i <= r->t->o.rounds && i - r->best <= r->t->o.patience;
	    i++) {
		if (ge_boost_round(b, e) == -1 ||
		    (r->margin = ge_boost_fitted(b, e)) == NULL)
			return (-1);
		loss = held_loss(r);
		if (loss < r->loss || i == 1) {
			r->loss = loss;
			r->best = i;
			keep_margins(r);
		}
		tell(r->t, f, i, r->loss);
		if (ge_trees_used(r->t) > limit) {
			r->t->stopped = limit_name(r->t);
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
		o->colsample = share > 1 ? 1 : share > 0.5 ? share : 0.5;
}

/* Fold f with settings o: its best round, loss and margins into r. */
static int
fit_fold(struct trial *r, int f, double limit, struct ge_err *e)
{
	struct ge_trees *t = r->t;
	struct ge_boost_opts o = *r->o;
	struct ge_boost *b = NULL;
	float *w;
	int rc = -1;

	r->best = 0;
	if ((w = ge_alloc(t->n * sizeof(*w), e)) == NULL)
		return (-1);
	ge_trees_weights(t, f, w);
	suit(ge_trees_view(t, f), &o);
	if (o.objective == GE_SQUARED)
		o.base = mean(t, w);
	if ((b = ge_boost_new(ge_trees_view(t, f)->data, t->y, w, &o, e)) !=
	    NULL)
		rc = boost_fold(r, b, f, limit, e);
	ge_boost_free(b);
	ge_free(w);
	return (rc);
}

/* What one setting reaches. */
struct outcome {
	int best[GE_TREES_FOLDS];
	double loss[GE_TREES_FOLDS], sum;
	float *margin;			/* [t->n][k] */
};

static void
spread_margins(const struct trial *r, float *margin)
{
	size_t j, k = r->t->work->k;

	for (j = 0; j < r->n; j++)
		memcpy(margin + r->row[j] * k, r->keep + j * k,
		    k * sizeof(float));
}

static void
held_rows(const struct ge_trees *t, int f, uint32_t *row, size_t *n)
{
	size_t i;

	for (*n = i = 0; i < t->n; i++)
		if (t->fold[i] == f)
			row[(*n)++] = (uint32_t)i;
}

static int
trial_alloc(struct trial *r, struct ge_err *e)
{
	struct ge_trees *t = r->t;
	uint32_t *row;

	r->row = row = ge_alloc((t->nheld + 1) * sizeof(*row), e);
	r->part = ge_alloc((t->nheld / CHUNK + 1) * 2 * sizeof(*r->part), e);
	r->keep = ge_alloc((t->nheld + 1) * t->work->k * sizeof(float), e);
	return (row != NULL && r->part != NULL && r->keep != NULL ? 0 : -1);
}

static void
trial_free(struct trial *r)
{

	ge_free((void *)(uintptr_t)r->row);
	ge_free(r->part);
	ge_free(r->keep);
}

/*
 * All folds with settings o into c: 1; 0 when it is given up, since after some folds
 * it is clearly worse than the best so far.
 */
static int
try_settings(struct ge_trees *t, const struct ge_boost_opts *o,
    const struct outcome *best, struct outcome *c, struct ge_err *e)
{
	struct trial r = { .t = t, .o = o };
	double limit, so_far = 0;
	int f, rc = trial_alloc(&r, e) == 0 ? 1 : -1;

	c->sum = 0;
	for (f = 0; rc == 1 && f < t->folds; f++) {
		held_rows(t, f, (uint32_t *)(uintptr_t)r.row, &r.n);
		limit = best != NULL ? fold_share : fold_share *
		    (f + 1.0) / t->folds;
		if (fit_fold(&r, f, limit, e) == -1) {
			rc = -1;
			break;
		}
		c->best[f] = r.best;
		c->loss[f] = r.loss;
		c->sum += r.loss;
		spread_margins(&r, c->margin);
		if (best == NULL)
			continue;
		so_far += best->loss[f];
		if (c->sum > 1.05 * so_far || (ge_trees_used(t) > fold_share &&
		    f + 1 < t->folds))
			rc = 0;
	}
	trial_free(&r);
	return (rc);
}

static double
pick(uint64_t *s, const double *from, size_t n)
{

	return (from[ge_draw(s) % n]);
}

#define PICK(s, list)	pick(s, list, sizeof(list) / sizeof((list)[0]))

/* Settings by lot (Bergstra and Bengio, 2012), but for those that are fixed. */
static void
draw_settings(const struct ge_trees *t, uint64_t *s, struct ge_boost_opts *o)
{
	static const double eta[] = { 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2,
	    0.3 };
	static const double child[] = { 0.5, 1, 2, 3, 5, 10, 20 };
	static const double share[] = { 0.5, 0.6, 0.7, 0.8, 0.9, 1 };
	static const double cols[] = { 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1 };
	static const double ridge[] = { 0.1, 0.3, 1, 3, 10 };
	static const double depth[] = { 3, 4, 5, 6, 7, 8, 9, 10 };
	double v[GE_TREES_SETTINGS];

	v[GE_TREES_DEPTH] = PICK(s, depth);
	v[GE_TREES_ETA] = PICK(s, eta);
	v[GE_TREES_MIN_CHILD] = PICK(s, child);
	v[GE_TREES_SUBSAMPLE] = PICK(s, share);
	v[GE_TREES_COLSAMPLE] = PICK(s, cols);
	v[GE_TREES_LAMBDA] = PICK(s, ridge);
	*o = t->o.boost;
	if ((t->o.fixed & 1u << GE_TREES_DEPTH) == 0)
		o->depth = (int)v[GE_TREES_DEPTH];
	if ((t->o.fixed & 1u << GE_TREES_ETA) == 0)
		o->eta = v[GE_TREES_ETA];
	if ((t->o.fixed & 1u << GE_TREES_MIN_CHILD) == 0)
		o->min_child = v[GE_TREES_MIN_CHILD];
	if ((t->o.fixed & 1u << GE_TREES_SUBSAMPLE) == 0)
		o->subsample = v[GE_TREES_SUBSAMPLE];
	if ((t->o.fixed & 1u << GE_TREES_COLSAMPLE) == 0)
		o->colsample = v[GE_TREES_COLSAMPLE];
	if ((t->o.fixed & 1u << GE_TREES_LAMBDA) == 0)
		o->lambda = v[GE_TREES_LAMBDA];
}

/* Others than the settings given, while there is time; *best is what is kept. */
static int
search(struct ge_trees *t, struct outcome *best, struct outcome *other,
    struct ge_err *e)
{
	struct ge_boost_opts o;
	struct outcome swap;
	uint64_t s = t->o.seed ^ 0x7365617263680000u;
	double cost = ge_trees_used(t);
	int rc;

	for (t->tried = 0; t->tried < t->o.search; t->tried++) {
		if (ge_trees_used(t) + cost / t->folds > fold_share) {
			t->stopped = limit_name(t);
			break;
		}
		draw_settings(t, &s, &o);
		if ((rc = try_settings(t, &o, best, other, e)) == -1)
			return (-1);
		if (rc == 0 || other->sum >= best->sum)
			continue;
		swap = *best;
		*best = *other;
		*other = swap;
		t->o.boost = o;
	}
	return (0);
}

/* The folds, and so how many rounds are best. */
static int
folds(struct ge_trees *t, struct ge_err *e)
{
	struct outcome c[2] = { { .margin = NULL }, { .margin = NULL } };
	size_t cells = (t->n + 1) * t->work->k * sizeof(float);
	double sum = 0;
	int f, rc = -1;

	if ((c[0].margin = ge_alloc(cells, e)) == NULL || (t->o.search > 0 &&
	    (c[1].margin = ge_alloc(cells, e)) == NULL))
		goto out;
	if (try_settings(t, &t->o.boost, NULL, &c[0], e) == -1 ||
	    search(t, &c[0], &c[1], e) == -1)
		goto out;
	for (f = 0; f < t->folds; f++)
		sum += c[0].best[f];
	t->rounds = (int)(sum / t->folds + 0.5);
	if (t->rounds < t->o.rounds && strcmp(t->stopped, "rounds") == 0)
		t->stopped = "patience";
	t->work->margin = c[0].margin;
	c[0].margin = NULL;
	rc = 0;
out:
	ge_free(c[0].margin);
	ge_free(c[1].margin);
	return (rc);
}

/* The model of all rows. */
static int
finish(struct ge_trees *t, struct ge_err *e)
{
	struct ge_boost_opts o = t->o.boost;
	int i;

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
			t->stopped = limit_name(t);
			t->rounds = i;
		}
	}
	return (0);
}

int
ge_trees_fit(struct ge_trees *t, struct ge_err *e)
{

	t->rounds = t->o.rounds;
	if (views_make(t, e) == -1 || (t->nheld > 0 && folds(t, e) == -1) ||
	    finish(t, e) == -1)
		return (-1);
	t->seconds = ge_clock() - t->began;
	t->joules = ge_energy_joules(&t->energy);
	return (t->nheld > 0 ? ge_trees_judge(t, e) : 0);
}
