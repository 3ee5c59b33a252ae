#include <stdlib.h>
#include <string.h>

#include "model/propose.h"
#include "model/trees_int.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	LONGEST = 64			/* widest window proposed for a life */
};

/* Whether features depend on the rows that are learnt from. */
static int
proposes(const struct ge_trees *t)
{
	uint64_t w;

	return (t->o.combine > 0 || (t->o.life && t->o.lags == NULL) ||
	    (t->o.lags != NULL && ge_num_parse(t->o.lags, strlen(t->o.lags),
	    &w) == 0));
}

int
ge_trees_view_open(struct ge_trees *t, struct ge_err *e)
{
	struct ge_trees_work *k = t->work;

	k->nviews = proposes(t) ? (size_t)t->folds + 1 : 1;
	k->view = ge_alloc(k->nviews * sizeof(*k->view), e);
	return (k->view != NULL ? 0 : -1);
}

static struct ge_trees_view *
view_of(const struct ge_trees *t, int f)
{
	const struct ge_trees_work *k = t->work;

	return (&k->view[f == -1 || k->nviews == 1 ? k->nviews - 1 :
	    (size_t)f]);
}

const struct ge_trees_view *
ge_trees_view(const struct ge_trees *t, int f)
{

	return (view_of(t, f));
}

static void
let_go(struct ge_trees_view *v)
{

	ge_boost_data_free(v->data);
	v->data = NULL;
	ge_block_free(v->x);
	v->x = NULL;
}

void
ge_trees_view_release(struct ge_trees_work *k)
{
	size_t i;

	for (i = 0; k->view != NULL && i < k->nviews; i++) {
		let_go(&k->view[i]);
		ge_features_release(&k->view[i].features);
	}
	ge_free(k->view);
}

void
ge_trees_leave(struct ge_trees *t, int f)
{

	if (t->work->nviews > 1)
		let_go(view_of(t, f));
}

static int
late(void *arg)
{
	struct ge_trees *t = arg;

	if (!(ge_trees_used(t) > t->work->deadline))
		return (0);
	t->work->cut |= GE_TREES_CUT_FEATURES;
	t->stopped = ge_trees_limit(t);
	return (1);
}

/* Features that fold f proposes, from the rows that it learns from. */
static int
propose(struct ge_trees *t, int f, struct ge_features *F, struct ge_err *e)
{
	struct ge_training g = { .v = t->f->v, .n = t->n, .fresh = t->f->fresh,
	    .y = t->y, .w = t->wfit, .unit = t->unit, .boost = &t->o.boost,
	    .seed = t->o.seed, .late = late, .arg = t };
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
choose_features(struct ge_trees *t, int f, struct ge_features *F,
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
make_x(struct ge_trees *t, struct ge_trees_view *v, struct ge_err *e)
{

	if (v->x != NULL)
		return (0);
	v->x = ge_block_alloc(t->n * v->q * sizeof(float), e);
	if (v->x == NULL || ge_features_rows(&v->features, t->f->v, t->n,
	    t->f->fresh, NULL, t->n, v->x, e) == -1)
		return (-1);
	/* The cells are a table's worth of memory. */
	if (t->work->nviews == 1) {
		ge_free(t->f->v);
		t->f->v = NULL;
	}
	return (0);
}

int
ge_trees_hold(struct ge_trees *t, int f, struct ge_err *e)
{
	struct ge_trees_view *v = view_of(t, f);
	size_t i;

	for (i = 0; i < t->work->nviews; i++)
		if (&t->work->view[i] != v) {
			ge_block_free(t->work->view[i].x);
			t->work->view[i].x = NULL;
		}
	return (make_x(t, v, e));
}

int
ge_trees_matrix(struct ge_trees *t, int f, struct ge_err *e)
{
	struct ge_trees_view *v = view_of(t, f);
	struct ge_boost_opts o = t->o.boost;
	uint8_t *category;

	if (v->data != NULL)
		return (0);
	if (v->q == 0 && choose_features(t, f, &v->features, e) == -1)
		return (-1);
	v->q = v->features.n;
	if ((category = ge_alloc(v->q, e)) == NULL)
		return (-1);
	ge_features_categories(&v->features, &t->schema, category);
	v->bins = o.bins = o.bins > 0 ? o.bins : ge_propose_bins(t->n, v->q);
	if (make_x(t, v, e) == 0)
		v->data = ge_boost_data_new(v->x, v->q, NULL, t->n, category,
		    &o, e);
	ge_free(category);
	if (t->work->nviews > 1) {
		ge_block_free(v->x);
		v->x = NULL;
	}
	return (v->data != NULL ? 0 : -1);
}

int
ge_trees_rows(const struct ge_trees *t, int f, const uint32_t *row, size_t n,
    float *out, struct ge_err *e)
{
	const struct ge_trees_view *v = view_of(t, f);
	size_t i;

	if (v->x == NULL)
		return (ge_features_rows(&v->features, t->f->v, t->n,
		    t->f->fresh, row, n, out, e));
	for (i = 0; i < n; i++)
		memcpy(out + i * v->q, v->x + row[i] * v->q,
		    v->q * sizeof(float));
	return (0);
}
