#ifndef GE_BOOST_H
#define GE_BOOST_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Gradient-boosted trees (Friedman, 2001; Chen and Guestrin, 2016) by XGBoost's
 * "hist" method, behind a header of ours: nothing else knows libxgboost.
 *
 * The same bytes whatever the number of threads.  XGBoost adds gradients up in an
 * order that depends on it, so gradients come from us, rounded to multiples of a
 * power of 2 so small that each sum of them is exact in a double; rows are sampled
 * and weighted by us too, in the gradients.
 *
 * Categories are XGBoost's own: seen to work with exact SHAP, JSON and quantised
 * matrices in 1.7.4, against one-hot columns that cost a column a word.
 *
 * A row of features is float x [q], by ge_boost_value; missing is NaN; a category is its
 * number 0, 1, ... as a float, below GE_BOOST_WORDS.  k below is the number of margins a
 * row: 1, or the classes of GE_SOFTMAX.  Everything here is called from one thread.
 */
enum {
	GE_BOOST_COLS = 65536,		/* most features */
	GE_BOOST_WORDS = 65536,		/* most words of a category */
	GE_BOOST_CLASSES = 1024,
	GE_BOOST_DEPTH = 32,		/* deepest tree */
	GE_BOOST_BYTES = 256 << 20	/* of model.json: XGBoost takes many times
					   as much to read it */
};

enum ge_boost_objective {
	GE_LOGISTIC,			/* margin: log odds of class 1 */
	GE_SOFTMAX,			/* margins: logits of the classes */
	GE_SQUARED			/* margin: the value */
};

struct ge_boost_opts {
	enum ge_boost_objective objective;
	int classes;			/* of GE_SOFTMAX, 2 at least */
	int depth;			/* 1..GE_BOOST_DEPTH */
	int bins;			/* quantiles of a feature, 2..65535 */
	int jobs;			/* threads */
	double eta;			/* learning rate */
	double lambda, alpha, gamma;	/* L2, L1 of leaves; least gain of a split */
	double min_child;		/* least sum of second derivatives of a leaf */
	double subsample;		/* share of the rows a round sees, 0 < s <= 1 */
	double colsample;		/* of the features that a tree sees */
	double base;			/* margin before the first round */
	double shift;			/* GE_SQUARED: values are less this float, which
					   is far from 0 where margins, being
					   floats, would not tell them apart */
	uint64_t seed;			/* of both samples */
};

/*
 * ge_boost_value(v): a feature as trees see it.  Only the order of values matters to
 * them, so what is beyond the range is at its end; NaN stays.
 */
#define GE_BOOST_FAR	1e38f

static inline float
ge_boost_value(double v)
{

	return (v > (double)GE_BOOST_FAR ? GE_BOOST_FAR :
	    v < -(double)GE_BOOST_FAR ? -GE_BOOST_FAR : (float)v);
}

/*
 * ge_boost_opts_init(o): XGBoost's own defaults: squared loss, depth 6, 256 bins, one
 * thread, eta 0.3, lambda 1, min_child 1, all rows and features, base 0, seed 1.
 *
 * ge_boost_k(o): margins a row.
 */
void ge_boost_opts_init(struct ge_boost_opts *o);
size_t ge_boost_k(const struct ge_boost_opts *o);

/*
 * ge_boost_data_new(x, q, row, nrows, category, o, e):
 * A quantised matrix of rows row[0], row[1], ... of x, one or two bytes a cell.
 *
 *	x         [..][q]  features, borrowed during the call only
 *	row       [nrows]  places of rows in x; NULL: the first nrows rows of x
 *	category  [q]      1 where a feature is a category; NULL: none is
 *	o                  bins and jobs
 *
 * NULL with GE_EREFUSED for a value beyond GE_BOOST_FAR or a category that is none,
 * GE_EFAIL (memory).  It may be used for any number of models.
 */
struct ge_boost_data;

struct ge_boost_data *ge_boost_data_new(const float *x, size_t q,
    const uint32_t *row, size_t nrows, const uint8_t *category,
    const struct ge_boost_opts *o, struct ge_err *e);
void ge_boost_data_free(struct ge_boost_data *d);

/*
 * ge_boost_new(d, y, w, o, e):
 * A model without trees yet, to be learnt from d.
 *
 *	y  [nrows]  class 0, 1, ... or value, of each row of d
 *	w  [nrows]  weights >= 0, or NULL: 1.  A row of weight 0 is not learnt from,
 *	            but ge_boost_fitted tells its margins: this is how a fold is held
 *	            out
 *
 * d, y and w are borrowed until ge_boost_free.
 *
 * ge_boost_round(b, e): a round more: a tree, or one a class.
 * ge_boost_rounds(b): so many there are.
 *
 * ge_boost_fitted(b, e): margins [nrows][k] of the rows of d, borrowed until the next
 * call on b; cheap.
 */
struct ge_boost;

struct ge_boost *ge_boost_new(struct ge_boost_data *d, const double *y,
    const float *w, const struct ge_boost_opts *o, struct ge_err *e);
int ge_boost_round(struct ge_boost *b, struct ge_err *e);
int ge_boost_rounds(const struct ge_boost *b);
const float *ge_boost_fitted(struct ge_boost *b, struct ge_err *e);
void ge_boost_free(struct ge_boost *b);

/*
 * ge_boost_rest(b, e): it learns no more, and lets go of d, y, w and what it holds of
 * each row.
 *
 * ge_boost_margins(b, x, n, out, e): of rows x [n][q] into out [n][k].
 * ge_boost_margins_at(b, x, n, rounds, out, e): as they were after so many, 1 at least.
 *
 * ge_boost_shap(b, x, n, out, e):
 * Exact contributions (Lundberg and others, 2018) into out [n][k][q + 1], the last
 * the mean margin; a row of them adds up to the margin.
 *
 * ge_boost_gain(b, gain, e): gain [q], by how much splits on each feature lowered the
 * loss of the rows learnt from, in all.
 */
int ge_boost_rest(struct ge_boost *b, struct ge_err *e);
int ge_boost_margins(struct ge_boost *b, const float *x, size_t n, float *out,
    struct ge_err *e);
int ge_boost_margins_at(struct ge_boost *b, const float *x, size_t n,
    int rounds, float *out, struct ge_err *e);
int ge_boost_shap(struct ge_boost *b, const float *x, size_t n, float *out,
    struct ge_err *e);
int ge_boost_gain(struct ge_boost *b, double *gain, struct ge_err *e);

/*
 * ge_boost_probability(o, margin, p): p [classes] (two of GE_LOGISTIC) of margins [k].
 */
void ge_boost_probability(const struct ge_boost_opts *o, const float *margin,
    double *p);

/*
 * ge_boost_save(b, names, buf, len, e): model.json, which XGBoost 1.7 and later load,
 * with names [q] of the features (or NULL); *buf is freed with ge_free.  What XGBoost
 * makes of it has the shift in it.
 *
 * ge_boost_parse(buf, len, q, jobs, e): from untrusted bytes, a model of q features;
 * NULL with GE_EREFUSED.  ge_boost_opts_of(b): its objective and classes.
 *
 * ge_boost_rebase(b, base, e): margins of GE_SQUARED begin from base, not from what the
 * bytes say.
 */
int ge_boost_save(struct ge_boost *b, const char *const *names, uint8_t **buf,
    size_t *len, struct ge_err *e);
struct ge_boost *ge_boost_parse(const uint8_t *buf, size_t len, size_t q,
    int jobs, struct ge_err *e);
int ge_boost_rebase(struct ge_boost *b, double base, struct ge_err *e);
const struct ge_boost_opts *ge_boost_opts_of(const struct ge_boost *b);

/*
 * ge_boost_check(buf, len, s, e):
 * Whether bytes are a model.json whose trees can be walked: every array has the length
 * it must, every child comes after its parent and has only that one, every feature and
 * class is one there is, no tree is deeper than GE_BOOST_DEPTH.  XGBoost itself
 * believes what it reads.  Pure; 0, or -1 GE_EREFUSED; memory of the largest tree.
 */
struct ge_boost_shape {
	enum ge_boost_objective objective;
	int classes;			/* 1 unless GE_SOFTMAX */
	size_t features, trees;
};

int ge_boost_check(const uint8_t *buf, size_t len, struct ge_boost_shape *s,
    struct ge_err *e);

#endif
