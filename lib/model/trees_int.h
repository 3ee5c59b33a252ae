#ifndef GE_TREES_INT_H
#define GE_TREES_INT_H

#include "model/trees.h"

/*
 * Inside of trees*.c.
 */

#define GE_TREES_FOLD_SHARE	0.8	/* of what minutes and joules allow */

enum {
	GE_TREES_PARTS = 5,		/* of what one split has held out */
	GE_TREES_CUT_FEATURES = 1,	/* what minutes and joules cut short */
	GE_TREES_CUT_FOLDS = 2,
	GE_TREES_CUT_MODEL = 4
};

/* What trees see: of all folds the same, unless features are proposed for each. */
struct ge_trees_view {
	struct ge_features features;
	float *x;			/* [n][q]; NULL: let go of */
	size_t q;			/* 0: not chosen yet */
	int bins;
	struct ge_boost_data *data;	/* NULL: let go of */
};

/* How the loss on rows held out goes with the rounds. */
struct ge_trees_curve {
	double *sum;			/* [n] after each */
	size_t n, cap;
	double weight;			/* of the rows */
};

/* What one setting reaches. */
struct ge_trees_outcome {
	struct ge_boost *model[GE_TREES_FOLDS];
	struct ge_trees_curve curve[GE_TREES_FOLDS];	/* or of parts of one split */
	double least[GE_TREES_FOLDS];	/* loss of a fold, at its best */
	double loss;			/* of all together, at their best */
};

/* A column that metrics are told by: places of groups, and their names. */
struct ge_trees_by {
	const char *name;		/* the column's, borrowed */
	uint32_t *of;			/* [n] group of a row; UINT32_MAX: none */
	size_t n;
	char **word;			/* [n] */
	double (*value)[GE_CLASS_SCORES];	/* [n] */
	double *rows;			/* [n] */
};

struct ge_trees_work {
	struct ge_trees_view *view;	/* [nviews]: one, or one a fold and the last
					   of all rows */
	size_t nviews;
	size_t k;			/* margins a row */
	float *margin;			/* [n][k] of rows held out */
	struct ge_trees_by *by;		/* [nby] */
	size_t nby;
	struct ge_trees_state state;
	double deadline;		/* of proposals, of what may be used */
	unsigned int cut;		/* GE_TREES_CUT_... */
};

/* trees_target.c: y, w, wfit, unit, meaning.word. */
int ge_trees_target(struct ge_trees *t, struct ge_err *e);

/* trees_folds.c: fold, folds, forward; from y and unit. */
int ge_trees_deal(struct ge_trees *t, struct ge_err *e);

/* Does fold f learn from row i?  f = -1: the model of all rows. */
static inline int
ge_trees_learns(const struct ge_trees *t, size_t i, int f)
{

	return (t->wfit[i] > 0 && (f == -1 || (t->forward ? t->fold[i] < f :
	    t->fold[i] != f)));
}

/*
 * trees_view.c: what fold f sees; f = -1: the model of all rows.
 *
 * ge_trees_view_open(t, e): nothing is chosen yet.
 * ge_trees_view(t, f): as far as it is there.
 * ge_trees_matrix(t, f, e): its features chosen, and its matrix there, which
 * ge_trees_leave(t, f) lets go of if each fold has one of its own.
 * ge_trees_hold(t, f, e): x of all rows, while that of other folds is let go of.
 * ge_trees_rows(t, f, row, n, out, e): features of some rows, ascending, out [n][q].
 */
int ge_trees_view_open(struct ge_trees *t, struct ge_err *e);
void ge_trees_view_release(struct ge_trees_work *k);
const struct ge_trees_view *ge_trees_view(const struct ge_trees *t, int f);
int ge_trees_matrix(struct ge_trees *t, int f, struct ge_err *e);
void ge_trees_leave(struct ge_trees *t, int f);
int ge_trees_hold(struct ge_trees *t, int f, struct ge_err *e);
int ge_trees_rows(const struct ge_trees *t, int f, const uint32_t *row, size_t n,
    float *out, struct ge_err *e);

/*
 * trees_fit.c: w [n] are the weights that fold f learns with; the share of what may be
 * used that is; which of the limits is nearer.
 *
 * ge_trees_try(t, o, best, c, e): all folds with settings o into c, which is released
 * whatever comes of it: 1; 0 when it is given up, since it is worse than best (or NULL).
 */
void ge_trees_weights(const struct ge_trees *t, int f, float *w);
double ge_trees_used(struct ge_trees *t);
const char *ge_trees_limit(struct ge_trees *t);
int ge_trees_rounds(const struct ge_trees_curve *curve, size_t n,
    size_t except, double *loss);
int ge_trees_try(struct ge_trees *t, const struct ge_boost_opts *o,
    const struct ge_trees_outcome *best, struct ge_trees_outcome *c,
    struct ge_err *e);
void ge_trees_outcome_release(struct ge_trees_outcome *c);

/* trees_search.c */
int ge_trees_search(struct ge_trees *t, struct ge_trees_outcome *best,
    struct ge_err *e);

/* trees_by.c: the groups, while the frame has its cells; nothing with folds=0. */
int ge_trees_by_open(struct ge_trees *t, struct ge_err *e);
void ge_trees_by_release(struct ge_trees_work *k);

/* trees_judge.c: what is told of margins, of baselines; meaning. */
int ge_trees_judge(struct ge_trees *t, struct ge_err *e);

#endif
