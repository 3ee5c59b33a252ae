#ifndef GE_TREES_H
#define GE_TREES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "data/frame.h"
#include "data/outdir.h"
#include "data/schema.h"
#include "model/boost.h"
#include "model/calibrate.h"
#include "model/conformal.h"
#include "model/decide.h"
#include "model/features.h"
#include "model/metrics.h"
#include "util/energy.h"
#include "util/err.h"
#include "util/pool.h"

/*
 * A model of a table with a target, from rows to files: what `getrain trees` does, in
 * the order in which it does it.
 *
 * Folds are held out in turn.  What a fold holds out is foretold by as many of its rounds
 * as are best on what the others hold out (with one part held out: each fifth of it by
 * those that are best on the rest), and the model of all rows has as many as are best on
 * all of it.  Rows are dealt so that each fold has its share of every class; a group is
 * in one fold; with times, or features of the past, and no groups folds are blocks in
 * order, and each is foretold from those before it alone.  What is
 * told of the model (metrics, calibration, sets, intervals) comes of rows that were held
 * out.  Thresholds of numbers are quantiles of all rows, held out or not: of features,
 * never of the target.
 */
enum {
	GE_TREES_FOLDS = 100,
	GE_TREES_BY = 16,		/* columns to tell metrics by */
	GE_TREES_GROUPS = 20,		/* groups of one told, the largest */
	GE_TREES_DISTINCT = 10		/* whole numbers that are taken as classes */
};

enum ge_trees_setting {
	GE_TREES_DEPTH, GE_TREES_ETA, GE_TREES_MIN_CHILD, GE_TREES_SUBSAMPLE,
	GE_TREES_COLSAMPLE, GE_TREES_LAMBDA, GE_TREES_SETTINGS
};

enum ge_trees_task {
	GE_TREES_ANY,			/* classes if the target holds words, or at
					   most GE_TREES_DISTINCT whole numbers */
	GE_TREES_CLASSES,
	GE_TREES_NUMBER
};

struct ge_trees_opts {
	const char *version;		/* of the program */
	enum ge_trees_task task;
	const char *positive;		/* word of the class that F1 and such are of,
					   of two; NULL: the second in order */
	int balance;			/* each class weighs as much as another */
	int life;			/* the target is the time left in the group */
	double cap;			/* of it; INFINITY */
	const char *lags;		/* as ge_features_lags or a number; or NULL */
	size_t combine;			/* most products, ratios, differences */
	struct ge_boost_opts boost;	/* bins, colsample 0: as suits the
					   features */
	int rounds;			/* most */
	int patience;			/* rounds without a better one */
	int folds;			/* 0: all rows are learnt from, nothing is told */
	double hold;			/* > 0: one part held out instead of folds */
	int search;			/* settings tried, beside those given */
	unsigned int fixed;		/* 1u << GE_TREES_..., not searched */
	double minutes, joules;		/* for all of it; 0: no such limit */
	double coverage;
	struct ge_decide decide;	/* rule and threshold, of two classes */
	const char *by[GE_TREES_BY];	/* columns to tell metrics by */
	size_t nby;			/* 0: chosen */
	double gco2;			/* grams a kilowatt-hour; 0: not told */
	uint64_t seed;
	int jobs;
	json_t *said;			/* options of the table, for run.json; NULL */
};

/* What the margins of the trees mean: member "trees" of schema.json. */
struct ge_trees_meaning {
	size_t k;			/* classes; 0: a number */
	char **word;			/* [k] */
	int life;			/* the number is time left: from 0 to cap, */
	double cap;			/* which may be INFINITY */
	double shift;			/* a float; the number is more than its margin
					   by it; 0 of a life */
	struct ge_calibration calibration;	/* of classes */
	struct ge_decide decide;
	struct ge_conformal conformal;
};

/*
 * ge_trees_meaning_json(m): the member; NULL without memory.
 * ge_trees_meaning_parse(m, all, e): from schema.json as ge_schema_parse leaves it,
 * untrusted: -1 GE_EREFUSED.  ge_trees_meaning_release: of what is zeroed as well.
 *
 * ge_trees_number(m, x): the number that a margin or a bound says, less m->shift.
 */
json_t *ge_trees_meaning_json(const struct ge_trees_meaning *m);
int ge_trees_meaning_parse(struct ge_trees_meaning *m, const json_t *all,
    struct ge_err *e);
void ge_trees_meaning_release(struct ge_trees_meaning *m);
double ge_trees_number(const struct ge_trees_meaning *m, double x);

/* A model, or a baseline, on the rows held out. */
struct ge_trees_score {
	const char *name;		/* "constant", "linear", "trees" */
	double value[GE_CLASS_SCORES];	/* or [GE_NUMBER_SCORES] */
	double seconds, joules;
};

enum {
	GE_TREES_SCORES = 3
};

/* Where it is, for progress. */
struct ge_trees_state {
	int fold, folds, round, rounds, tried, search;
	double loss;			/* of the fold, the best so far */
};

struct ge_trees_size {
	uint64_t table;			/* gone when there are features */
	uint64_t features, matrix, gradients;	/* matrix: quantiles, twice */
};

struct ge_trees {
	struct ge_trees_opts o;
	struct ge_schema schema;
	struct ge_frame *f;		/* borrowed; its cells are freed early */
	struct ge_trees_meaning meaning;
	struct ge_boost *model;		/* of all rows */
	size_t n, dropped;		/* rows; those without a target */
	double *y;			/* [n] less meaning.shift */
	float *w;			/* [n] weights of the user, or NULL */
	float *wfit;			/* [n] those learnt with, 0: no target */
	uint32_t *unit;			/* [n] group; NULL: none */
	size_t nunits;
	int32_t *fold;			/* [n] -1: never held out */
	int folds;			/* those that are held out in turn */
	int forward;			/* folds learn from what is before them */
	/* How it went. */
	int rounds;
	int tried;
	size_t nheld;			/* rows held out */
	struct ge_trees_score score[GE_TREES_SCORES];
	size_t nscores;
	struct ge_conformal_held held;
	struct ge_energy energy;
	double began, seconds, joules;
	int64_t started;
	const char *stopped;
	struct ge_pool *pool;
	struct ge_trees_work *work;	/* private */
	void (*tell)(void *arg, const struct ge_trees_state *s);
	void *arg;
};

/*
 * ge_trees_opts_init(o).
 *
 * ge_trees_open(t, f, r, o, e):
 * The target and the folds of frame f, which stays the caller's, but whose cells are
 * freed when they are not needed.  o is copied, what it points to borrowed.
 * Notes (GE_WARN) tell of columns that are hardly what they are meant to be: words
 * among numbers, words that are never the same.
 * r names a target, or with o->life a time and no target.
 * -1 GE_EUSAGE when the target is missing or constant, or there are too few rows.
 *
 * ge_trees_bytes(t, z): what learning will hold, without features that are proposed or
 * of lags.
 *
 * ge_trees_fit(t, e): all of it; tell, if set, is called after each round.
 *
 * ge_trees_save(t, digest, set, out, e): model.json, schema.json, run.json and README.md
 * into out, which the caller commits; digest [32] and set are of the data.
 *
 * ge_trees_release(t): of what is zeroed as well.
 */
void ge_trees_opts_init(struct ge_trees_opts *o);
int ge_trees_open(struct ge_trees *t, struct ge_frame *f,
    const struct ge_roles *r, const struct ge_trees_opts *o, struct ge_err *e);
void ge_trees_bytes(const struct ge_trees *t, struct ge_trees_size *z);
int ge_trees_fit(struct ge_trees *t, struct ge_err *e);
int ge_trees_save(struct ge_trees *t, const uint8_t *digest, const char *set,
    struct ge_outdir *out, struct ge_err *e);
void ge_trees_release(struct ge_trees *t);

#endif
