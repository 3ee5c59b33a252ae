#ifndef GE_TREES_INT_H
#define GE_TREES_INT_H

#include "model/trees.h"

/*
 * Inside of trees*.c.
 */

/* What trees see: of all folds the same, unless features are proposed for each. */
struct ge_trees_view {
	struct ge_features features;
	float *x;			/* [n][q] */
	size_t q;
	int bins;
	struct ge_boost_data *data;
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
};

/* trees_target.c: y, w, wfit, unit, meaning.word. */
int ge_trees_target(struct ge_trees *t, struct ge_err *e);

/* trees_words.c: columns that hold words as they should not are told of. */
void ge_trees_words(const struct ge_trees *t);

/* trees_folds.c: fold, folds, forward; from y and unit. */
int ge_trees_deal(struct ge_trees *t, struct ge_err *e);

/* Does fold f learn from row i?  f = -1: the model of all rows. */
static inline int
ge_trees_learns(const struct ge_trees *t, size_t i, int f)
{

	return (t->wfit[i] > 0 && (f == -1 || (t->forward ? t->fold[i] < f :
	    t->fold[i] != f)));
}

/* trees_fit.c: w [n] are the weights that fold f learns with. */
void ge_trees_weights(const struct ge_trees *t, int f, float *w);
const struct ge_trees_view *ge_trees_view(const struct ge_trees *t, int f);
double ge_trees_used(struct ge_trees *t);

/* trees_by.c: the groups, while the frame has its cells; nothing with folds=0. */
int ge_trees_by_open(struct ge_trees *t, struct ge_err *e);
void ge_trees_by_release(struct ge_trees_work *k);

/* trees_judge.c: what is told of margins, of baselines; meaning. */
int ge_trees_judge(struct ge_trees *t, struct ge_err *e);

#endif
