/*
 * The members "calibration", "conformal" and "decide" of schema.json: refused, or what
 * comes of them are probabilities, sets and intervals, the same when written and read
 * again.  The first byte tells the number of classes; 1: a whole schema.json with its
 * member "trees".
 */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "model/calibrate.h"
#include "model/conformal.h"
#include "model/decide.h"
#include "model/trees.h"

enum {
	K = 5
};

static const float margins[][K] = {
	{ 0, 0, 0, 0, 0 }, { -1, 2, 0.5f, 3, -7 }, { 700, -700, 0, 1, 2 },
	{ 3e38f, -3e38f, 3e38f, 1, 0 }, { NAN, INFINITY, -INFINITY, 0, 1 }
};

enum {
	ROWS = sizeof(margins) / sizeof(margins[0])
};

static void
probabilities(const struct ge_calibration *c, const struct ge_decide *d)
{
	double p[K], sum;
	size_t i, k;

	for (i = 0; i < ROWS; i++) {
		ge_calibration_apply(c, margins[i], p);
		for (sum = 0, k = 0; k < c->k; k++) {
			must(p[k] >= 0 && p[k] <= 1, "a probability");
			sum += p[k];
		}
		must(fabs(sum - 1) < 1e-9, "they sum to 1");
		must(ge_decide(d, p) < c->k, "a class");
	}
}

static void
try_calibration(const json_t *j, const json_t *rule, size_t k)
{
	struct ge_calibration c, again;
	struct ge_decide d;
	struct ge_err e;
	json_t *back;

	if (ge_decide_parse(&d, rule, k, &e) == -1) {
		must(e.code == GE_EREFUSED, "code");
		return;
	}
	if (ge_calibration_parse(&c, j, k, &e) == -1) {
		must(e.code == GE_EREFUSED, "code");
		return;
	}
	probabilities(&c, &d);
	back = ge_calibration_json(&c);
	must(ge_calibration_parse(&again, back, k, &e) == 0 &&
	    again.kind == c.kind, "the same again");
	json_decref(back);
	ge_calibration_release(&c);
	ge_calibration_release(&again);
}

static void
try_conformal(const json_t *j, size_t k)
{
	struct ge_conformal c;
	unsigned char in[K];
	double low, high;
	struct ge_err e;
	json_t *back;
	size_t i;

	if (ge_conformal_parse(&c, j, k, &e) == -1) {
		must(e.code == GE_EREFUSED, "code");
		return;
	}
	for (i = 0; i < ROWS; i++) {
		if (c.kind == GE_CONFORMAL_SETS)
			must(ge_conformal_in(&c, margins[i], in) <= k, "a set");
		if (c.kind == GE_CONFORMAL_INTERVAL) {
			ge_conformal_bounds(&c, (double)margins[1][i], &low,
			    &high);
			must(low <= high, "an interval");
		}
	}
	back = ge_conformal_json(&c);
	ge_conformal_release(&c);
	must(ge_conformal_parse(&c, back, k, &e) == 0, "the same again");
	json_decref(back);
	ge_conformal_release(&c);
}

static void
try_meaning(const json_t *j)
{
	struct ge_trees_meaning m;
	struct ge_err e;
	json_t *back, *all;
	size_t k;

	if (ge_trees_meaning_parse(&m, j, &e) == -1) {
		must(e.code == GE_EREFUSED, "code");
		return;
	}
	k = m.k;
	must((k == 0) == (m.word == NULL) && (k == 0 || (k >= 2 &&
	    m.calibration.k == k && m.decide.k == k)), "classes");
	must((back = ge_trees_meaning_json(&m)) != NULL, "written");
	ge_trees_meaning_release(&m);
	must((all = json_pack("{s:o}", "trees", back)) != NULL &&
	    ge_trees_meaning_parse(&m, all, &e) == 0 && m.k == k,
	    "the same again");
	json_decref(all);
	ge_trees_meaning_release(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	json_t *j;
	size_t k;

	if (len == 0)
		return (0);
	k = buf[0] % (K + 1);
	if ((j = json_loadb((const char *)buf + 1, len - 1, 0, NULL)) == NULL)
		return (0);
	if (k >= 2)
		try_calibration(json_object_get(j, "calibration"),
		    json_object_get(j, "decide"), k);
	if (k == 1)
		try_meaning(j);
	else
		try_conformal(json_object_get(j, "conformal"), k);
	json_decref(j);
	return (0);
}
