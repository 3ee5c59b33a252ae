#include "model/draw.h"
#include "model/trees_int.h"

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
int
ge_trees_search(struct ge_trees *t, struct ge_trees_outcome *best,
    struct ge_err *e)
{
	struct ge_trees_outcome other;
	struct ge_boost_opts o;
	uint64_t s = t->o.seed ^ 0x7365617263680000u;
	double cost = ge_trees_used(t);
	int rc;

	for (t->tried = 0; t->tried < t->o.search; t->tried++) {
		if (ge_trees_used(t) + cost / t->folds > GE_TREES_FOLD_SHARE) {
			t->stopped = ge_trees_limit(t);
			break;
		}
		draw_settings(t, &s, &o);
		rc = ge_trees_try(t, &o, best, &other, e);
		if (rc != 1 || !(other.loss < best->loss)) {
			ge_trees_outcome_release(&other);
			if (rc == -1)
				return (-1);
			continue;
		}
		ge_trees_outcome_release(best);
		*best = other;
		t->o.boost = o;
	}
	return (0);
}
