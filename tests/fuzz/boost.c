/*
 * model.json from untrusted bytes: refused, or trees that XGBoost can load and walk.
 */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "model/boost.h"
#include "util/mem.h"

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	static float x[64], out[64 * 64];
	struct ge_boost_shape s;
	struct ge_boost *b;
	struct ge_err e;
	size_t i, k;

	if (ge_boost_check(buf, len, &s, &e) == -1) {
		must(e.code == GE_EREFUSED && e.msg[0] != '\0', "code");
		return (0);
	}
	k = (size_t)s.classes;
	must(s.features > 0 && s.features <= GE_BOOST_COLS && k > 0 &&
	    k <= GE_BOOST_CLASSES && s.trees % k == 0, "shape");
	if (s.features >= 64 || k >= 64)
		return (0);
	if ((b = ge_boost_parse(buf, len, s.features, 1, &e)) == NULL) {
		must(e.code == GE_EREFUSED, "code of XGBoost's refusal");
		return (0);
	}
	for (i = 0; i < s.features; i++)
		x[i] = i % 3 == 2 ? NAN : (float)i;
	must(ge_boost_margins(b, x, 1, out, &e) == 0, "margins");
	must(ge_boost_shap(b, x, 1, out, &e) == 0, "contributions");
	ge_boost_free(b);
	return (0);
}
