#ifndef GE_DECIDE_H
#define GE_DECIDE_H

#include <jansson.h>
#include <stddef.h>

#include "util/err.h"

/*
 * Which class is said.  Of two, the positive one from a threshold of its probability
 * on; of more, the most probable.
 */
enum ge_decide_rule {
	GE_DECIDE_LIKELY,		/* 0.5 */
	GE_DECIDE_ACCURACY,		/* the threshold that is best at it, */
	GE_DECIDE_F1,			/* of the positive class, */
	GE_DECIDE_BALANCED,		/* mean of both recalls (Youden, 1950) */
	GE_DECIDE_GIVEN
};

struct ge_decide {
	enum ge_decide_rule rule;
	size_t k, positive;
	double threshold;		/* 0..1 */
};

/*
 * ge_decide_fit(d, p, y, w, n, e): d->threshold by d->rule, of two classes, from
 * probabilities [n][2] of rows that the model did not see: between the two
 * probabilities that it parts.  0; -1 without memory.
 *
 * ge_decide(d, p): the class, from p [k].
 *
 * ge_decide_named(s, d): d->rule (and threshold) from "likely", "accuracy", "f1",
 * "balanced" or a number in 0..1; -1 if s is none.
 *
 * The member "decide" of schema.json: {"rule", "positive", "threshold"}; untrusted, NULL
 * and null are "likely"; -1 GE_EREFUSED.
 */
int ge_decide_fit(struct ge_decide *d, const double *p, const double *y,
    const float *w, size_t n, struct ge_err *e);
size_t ge_decide(const struct ge_decide *d, const double *p);
int ge_decide_named(const char *s, struct ge_decide *d);
json_t *ge_decide_json(const struct ge_decide *d);
int ge_decide_parse(struct ge_decide *d, const json_t *j, size_t k,
    struct ge_err *e);

#endif
