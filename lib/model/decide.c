#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/decimal.h"
#include "model/decide.h"
#include "model/digits.h"
#include "model/order.h"
#include "util/mem.h"

static const char *const rule_name[] = {
	"likely", "accuracy", "f1", "balanced", "given"
};

/* What a threshold is worth of which `in` positives and `out` others are above. */
static double
worth(enum ge_decide_rule rule, double in, double out, double all_in,
    double all_out)
{

	if (rule == GE_DECIDE_F1)
		return (2 * in / (in + out + all_in));
	if (rule == GE_DECIDE_BALANCED)
		return (in / all_in - out / all_out);
	return (in - out);
}

static void
decide_sweep(struct ge_decide *d, const struct ge_order *o, const double *y,
    const float *w, size_t n)
{
	double sum[2] = { 0, 0 }, at[2] = { 0, 0 }, best, now;
	size_t i;

	for (i = 0; i < n; i++)
		sum[(size_t)y[i] == d->positive] += w != NULL ?
		    (double)w[i] : 1;
	if (!(sum[0] > 0) || !(sum[1] > 0))
		return;
	best = d->rule == GE_DECIDE_ACCURACY ? 0 : -INFINITY;
	if (d->rule == GE_DECIDE_ACCURACY)
		d->threshold = (1 + o[0].x) / 2;
	for (i = 0; i < n; i++) {
		at[(size_t)y[o[i].i] == d->positive] += w != NULL ?
		    (double)w[o[i].i] : 1;
		if (i + 1 < n && o[i + 1].x >= o[i].x)
			continue;
		now = worth(d->rule, at[1], at[0], sum[1], sum[0]);
		if (now > best + 1e-12 * fabs(now)) {
			best = now;
			d->threshold = (o[i].x + (i + 1 < n ? o[i + 1].x :
			    0)) / 2;
		}
	}
	d->threshold = ge_digits(d->threshold);
}

int
ge_decide_fit(struct ge_decide *d, const double *p, const double *y,
    const float *w, size_t n, struct ge_err *e)
{
	struct ge_order *o;
	size_t i;

	if (d->rule == GE_DECIDE_GIVEN)
		return (0);
	d->threshold = 0.5;
	if (d->rule == GE_DECIDE_LIKELY || n == 0)
		return (0);
	if ((o = ge_alloc(n * sizeof(*o), e)) == NULL)
		return (-1);
	for (i = 0; i < n; i++)
		o[i] = (struct ge_order){ p[2 * i + d->positive], (uint32_t)i };
	qsort(o, n, sizeof(*o), ge_order_falling);
	decide_sweep(d, o, y, w, n);
	ge_free(o);
	return (0);
}

size_t
ge_decide(const struct ge_decide *d, const double *p)
{
	size_t c, best = 0;

	if (d->k == 2)
		return (p[d->positive] >= d->threshold ? d->positive :
		    1 - d->positive);
	for (c = 1; c < d->k; c++)
		if (p[c] > p[best])
			best = c;
	return (best);
}

int
ge_decide_named(const char *s, struct ge_decide *d)
{
	const char *end;
	double v;
	int i;

	for (i = 0; i < GE_DECIDE_GIVEN; i++)
		if (strcmp(s, rule_name[i]) == 0) {
			d->rule = (enum ge_decide_rule)i;
			d->threshold = 0.5;
			return (0);
		}
	if ((end = ge_decimal(s, &v)) == NULL || *end != '\0' || !(v >= 0) ||
	    v > 1)
		return (-1);
	d->rule = GE_DECIDE_GIVEN;
	d->threshold = ge_digits(v);
	return (0);
}

json_t *
ge_decide_json(const struct ge_decide *d)
{

	return (json_pack("{s:s, s:I, s:f}", "rule", rule_name[d->rule],
	    "positive", (json_int_t)d->positive, "threshold", d->threshold));
}

int
ge_decide_parse(struct ge_decide *d, const json_t *j, size_t k,
    struct ge_err *e)
{
	const char *rule = json_string_value(json_object_get(j, "rule"));
	const json_t *positive = json_object_get(j, "positive");
	int i;

	*d = (struct ge_decide){ GE_DECIDE_LIKELY, k, k == 2, 0.5 };
	if (j == NULL || json_is_null(j))
		return (0);
	for (i = 0; rule != NULL && i <= GE_DECIDE_GIVEN; i++)
		if (strcmp(rule, rule_name[i]) == 0)
			break;
	if (rule == NULL || i > GE_DECIDE_GIVEN ||
	    !json_is_integer(positive) || json_integer_value(positive) < 0 ||
	    (uint64_t)json_integer_value(positive) >= k ||
	    ge_digits_json(json_object_get(j, "threshold"), 0, 1,
	    &d->threshold) == -1)
		return (ge_fail(e, GE_EREFUSED, "decide: not a rule, a class and "
		    "a threshold"));
	d->rule = (enum ge_decide_rule)i;
	d->positive = (size_t)json_integer_value(positive);
	return (0);
}
