/*
 * schema.json with features: refused, or the same when written and read again, and good
 * for rows of any values.
 */
#include <math.h>
#include <string.h>

#include "data/schema.h"
#include "fuzz.h"
#include "model/features.h"
#include "util/mem.h"

enum {
	ROWS = 12
};

/* Values of few kinds: groups come again, numbers are missing or have no end. */
static double
value(const uint8_t *buf, size_t len, size_t i)
{
	static const double rare[] = { NAN, INFINITY, -INFINITY, 1e308, 0 };
	uint8_t b = buf[(i * 7 + 3) % len];

	return (b < 240 ? b % 16 : rare[b % 5]);
}

static void
rows(const struct ge_features *F, const struct ge_schema *s,
    const uint8_t *buf, size_t len)
{
	struct ge_series *S;
	struct ge_err e;
	double *v;
	float *out;
	size_t i, j;

	v = malloc((s->ncols + 1) * sizeof(*v));
	out = malloc((F->n + 1) * sizeof(*out));
	S = ge_series_new(F, &e);
	must(v != NULL && out != NULL && S != NULL, "memory");
	for (i = 0; i < ROWS; i++) {
		for (j = 0; j < s->ncols; j++)
			v[j] = value(buf, len, i * s->ncols + j);
		must(ge_features_row(F, S, v, out, &e) == 0 ||
		    e.code == GE_EREFUSED, "a row");
		for (j = 0; j < F->n; j++)
			must(!isinf(out[j]), "no infinity");
		if (!ge_features_in_time(F))
			must(ge_features_row(F, NULL, v, out, &e) == 0,
			    "a row without series");
	}
	ge_series_free(S);
	free(out);
	free(v);
}

static void
again(const struct ge_features *F, const struct ge_schema *s)
{
	struct ge_features H;
	struct ge_err e;
	json_t *a, *b;
	size_t i;

	must((a = ge_features_json(F)) != NULL, "written");
	must(ge_features_parse(&H, a, s, &e) == 0 && H.n == F->n, "read");
	for (i = 0; i < F->n; i++)
		must(strcmp(F->f[i].name, H.f[i].name) == 0, "a name");
	must((b = ge_features_json(&H)) != NULL && json_equal(a, b),
	    "the same again");
	json_decref(a);
	json_decref(b);
	ge_features_release(&H);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct ge_features F;
	struct ge_schema s;
	struct ge_err e = { 0 };
	json_t *all;

	if (ge_schema_parse(&s, buf, len, &all, &e) == -1)
		return (0);
	if (ge_features_parse(&F, json_object_get(all, "features"), &s, &e) ==
	    -1) {
		must(e.code == GE_EREFUSED && e.msg[0] != '\0' && F.f == NULL,
		    "status");
	} else {
		again(&F, &s);
		rows(&F, &s, buf, len);
	}
	ge_features_release(&F);
	ge_schema_release(&s);
	json_decref(all);
	return (0);
}
