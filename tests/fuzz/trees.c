/*
 * schema.json of trees from untrusted bytes: refused, or features and a meaning that rows
 * and margins can be put through.
 */
#include <math.h>
#include <string.h>

#include "data/schema.h"
#include "fuzz.h"
#include "model/features.h"
#include "model/trees.h"

static void
use(const struct ge_trees_meaning *m)
{
	static float margin[GE_BOOST_CLASSES];
	static double p[GE_BOOST_CLASSES];
	static unsigned char in[GE_BOOST_CLASSES];
	double low, high, sum = 0;
	size_t i;

	if (m->k == 0) {
		ge_conformal_bounds(&m->conformal, 3, &low, &high);
		must(low <= 3 && high >= 3, "bounds");
		return;
	}
	for (i = 0; i < m->k; i++)
		margin[i] = (float)i - 2;
	ge_calibration_apply(&m->calibration, margin, p);
	for (i = 0; i < m->k; i++) {
		must(p[i] >= 0 && p[i] <= 1, "probability");
		sum += p[i];
	}
	must(fabs(sum - 1) < 1e-6, "sum");
	must(ge_decide(&m->decide, p) < m->k, "class");
	if (m->conformal.kind == GE_CONFORMAL_SETS)
		must(ge_conformal_in(&m->conformal, margin, in) <= m->k, "set");
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct ge_trees_meaning m;
	struct ge_features F;
	struct ge_schema s;
	struct ge_err e;
	json_t *all;

	if (ge_schema_parse(&s, buf, len, &all, &e) == -1)
		return (0);
	if (ge_trees_meaning_parse(&m, all, &e) == 0)
		use(&m);
	else
		must(e.code == GE_EREFUSED && e.msg[0] != '\0', "code");
	ge_trees_meaning_release(&m);
	if (ge_features_parse(&F, json_object_get(all, "features"), &s, &e) ==
	    -1)
		must(e.code == GE_EREFUSED, "code of features");
	ge_features_release(&F);
	json_decref(all);
	ge_schema_release(&s);
	return (0);
}
