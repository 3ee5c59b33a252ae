/*
 * lib/model/calibrate.c and decide.c: curves against scikit-learn and scipy, whose
 * numbers tests/vectors/scores.py prints; the kind that fits is found; what is saved is
 * what is used; untrusted members are refused.
 */
#include <math.h>
#include <string.h>

#include "model/calibrate.h"
#include "model/decide.h"
#include "model/digits.h"

#define UNIT "calibrate"
#include "check.h"

enum {
	MOST = 4000
};

static float margin[MOST * 3], w[MOST];
static double y[MOST];
static uint32_t state;
static struct ge_err e;

/* The stream of scores.py. */
static uint32_t
next(void)
{

	state = (state * 1103515245u + 12345) & 0x7fffffff;
	return (state >> 16);
}

static float
next_margin(void)
{

	return ((float)((int)(next() % 2001) - 1000) / 256);
}

static double
truth(int kind, double m)
{

	if (kind == GE_CALIBRATION_NONE)
		return (1 / (1 + exp(-m)));
	if (kind == GE_CALIBRATION_SIGMOID)
		return (1 / (1 + exp(1.25 - 2.5 * m)));
	return (m < -1 ? 0.1 : m < 1 ? 0.35 : 0.85);
}

static struct ge_margins
two(int kind, size_t n, uint32_t seed)
{
	size_t i;

	state = seed;
	for (i = 0; i < n; i++) {
		margin[i] = next_margin();
		y[i] = (double)(next() % 10000) / 10000 < truth(kind,
		    (double)margin[i]);
		w[i] = (float)(1 + next() % 4);
	}
	return ((struct ge_margins){ n, 2, margin, y, NULL, NULL });
}

static struct ge_margins
many(size_t n, uint32_t seed, double slope)
{
	double u, p[3], sum;
	size_t i, c;

	state = seed;
	for (i = 0; i < n; i++) {
		for (sum = 0, c = 0; c < 3; c++) {
			margin[i * 3 + c] = next_margin();
			sum += p[c] = exp(slope * (double)margin[i * 3 + c]);
		}
		u = (double)(next() % 10000) / 10000;
		y[i] = (p[0] / sum <= u) + ((p[0] + p[1]) / sum <= u);
	}
	return ((struct ge_margins){ n, 3, margin, y, NULL, NULL });
}

static int
near(double a, double b, double off)
{

	if (!(fabs(a - b) <= off))
		printf("# %.12g, not %.12g\n", a, b);
	return (fabs(a - b) <= off);
}

static int
follows(const struct ge_calibration *c, const double *want)
{
	static const float at[] = { -5, -3.5f, -2, -1, -0.25f, 0, 0.5f, 1,
	    2.25f, 3.5f, 5 };
	double p[2];
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		ge_calibration_apply(c, &at[i], p);
		good &= near(p[1], want[i], 1e-5);	/* x has 7 digits */
	}
	return (good);
}

static const struct {
	double line[2], curve[11], weighted[11];
} of_two[] = {
	{ { 1.01303541833, -0.021721044345 },
	    { 0.000998003992016, 0.000998003992016, 0.151515151515,
	    0.166666666667, 0.368421052632, 0.483870967742, 0.621621621622,
	    0.753846153846, 0.93137254902, 0.969696969697, 0.999001996008 },
	    { 0.000998003992016, 0.000998003992016, 0.131313131313,
	    0.156462585034, 0.387434554974, 0.473684210526, 0.647727272727,
	    0.683760683761, 0.92, 0.966850828729, 0.999001996008 } },
	{ { 2.2569875955, -1.01206102246 },
	    { 0.000998003992016, 0.000998003992016, 0.000998003992016,
	    0.0117647058824, 0.211538461538, 0.211538461538, 0.44,
	    0.827586206897, 0.999001996008, 0.999001996008,
	    0.999001996008 },
	    { 0.000998003992016, 0.000998003992016, 0.000998003992016,
	    0.00975609756098, 0.235772357724, 0.235772357724, 0.407407407407,
	    0.855072463768, 0.999001996008, 0.999001996008,
	    0.999001996008 } },
	{ { 0.754711083675, -0.282649648422 },
	    { 0.000998003992016, 0.0645161290323, 0.134831460674,
	    0.359154929577, 0.359154929577, 0.359154929577, 0.43661971831,
	    0.690476190476, 0.865, 0.866666666667, 0.999001996008 },
	    { 0.000998003992016, 0.0621890547264, 0.131067961165, 0.31875,
	    0.342696629213, 0.342696629213, 0.476394849785, 0.681818181818,
	    0.854901960784, 0.874538745387, 0.999001996008 } }
};

static void
two_classes(void)
{
	static const int world[] = { GE_CALIBRATION_NONE,
	    GE_CALIBRATION_SIGMOID, GE_CALIBRATION_ISOTONIC };
	int lines = 1, curves = 1, weighted = 1, kinds = 1;
	struct ge_calibration c;
	struct ge_margins m;
	size_t i;

	for (i = 0; i < 3; i++) {
		m = two(world[i], 1000, (uint32_t)(11 + i));
		lines &= ge_calibration_as(&c, GE_CALIBRATION_SIGMOID, &m,
		    &e) == 1 && near(c.slope, of_two[i].line[0], 1e-4) &&
		    near(c.shift, of_two[i].line[1], 1e-4);
		ge_calibration_release(&c);
		curves &= ge_calibration_as(&c, GE_CALIBRATION_ISOTONIC, &m,
		    &e) == 1 && follows(&c, of_two[i].curve);
		ge_calibration_release(&c);
		m.w = w;
		weighted &= ge_calibration_as(&c, GE_CALIBRATION_ISOTONIC, &m,
		    &e) == 1 && follows(&c, of_two[i].weighted);
		ge_calibration_release(&c);
		m.w = NULL;
		kinds &= ge_calibration_fit(&c, &m, &e) == 0 &&
		    (int)c.kind == world[i];
		ge_calibration_release(&c);
	}
	check(lines, "two classes: slope and shift");
	check(curves, "two classes: the rising curve");
	check(weighted, "two classes: the rising curve, weighted");
	check(kinds, "two classes: the kind that fits is found");
}

static int
gives(const struct ge_calibration *c, const float m[3], const double want[3])
{
	double p[3];

	ge_calibration_apply(c, m, p);
	return (near(p[0], want[0], 1e-6) && near(p[1], want[1], 1e-6) &&
	    near(p[2], want[2], 1e-6));
}

static void
many_classes(void)
{
	struct ge_margins m = many(600, 21, 0.4);
	struct ge_calibration c;

	check(ge_calibration_as(&c, GE_CALIBRATION_TEMPERATURE, &m, &e) == 1 &&
	    near(c.slope, 0.423108264988, 1e-6), "three classes: temperature");
	ge_calibration_release(&c);
	check(ge_calibration_as(&c, GE_CALIBRATION_ISOTONIC, &m, &e) == 1 &&
	    gives(&c, (float[]){ 0, 0, 0 }, (double[]){ 0.354385380214,
	    0.360495472977, 0.285119146809 }) &&
	    gives(&c, (float[]){ 2, -1, 0.5f }, (double[]){ 0.605841244395,
	    0.140971369887, 0.253187385718 }) &&
	    gives(&c, (float[]){ -3, 3, 1 }, (double[]){ 0.0267113658484,
	    0.695901373418, 0.277387260733 }), "three classes: curves");
	ge_calibration_release(&c);
	check(ge_calibration_fit(&c, &m, &e) == 0 &&
	    c.kind == GE_CALIBRATION_TEMPERATURE,
	    "three classes: the kind that fits");
	ge_calibration_release(&c);
	check(ge_calibration_as(&c, GE_CALIBRATION_SIGMOID, &m, &e) == 0 &&
	    c.kind == GE_CALIBRATION_NONE, "three classes have no sigmoid");
}

/* A row of weight 3 is three rows. */
static void
repeated(void)
{
	struct ge_calibration a, b;
	struct ge_margins m = two(GE_CALIBRATION_SIGMOID, 500, 31);
	size_t i, k, n = 0;
	float more[MOST];
	double z[MOST];

	for (i = 0; i < m.n; i++)
		for (k = 0; k < (size_t)w[i]; k++) {
			more[n] = margin[i];
			z[n++] = y[i];
		}
	m.w = w;
	ge_calibration_as(&a, GE_CALIBRATION_SIGMOID, &m, &e);
	m = (struct ge_margins){ n, 2, more, z, NULL, NULL };
	ge_calibration_as(&b, GE_CALIBRATION_SIGMOID, &m, &e);
	check(near(a.slope, b.slope, 1e-6) && near(a.shift, b.shift, 1e-6),
	    "weights are repetitions");
}

static void
rises(void)
{
	struct ge_margins m = two(GE_CALIBRATION_ISOTONIC, MOST, 41);
	struct ge_calibration c;
	double p[2], last = 0;
	float x;
	int good = 1;

	for (size_t i = 0; i < MOST; i++)
		margin[i] += (float)i / 65536;
	ge_calibration_as(&c, GE_CALIBRATION_ISOTONIC, &m, &e);
	for (x = -6; x < 6; x += 0.001f) {
		ge_calibration_apply(&c, &x, p);
		good &= p[1] >= last && p[1] > 0 && p[1] < 1 &&
		    near(p[0] + p[1], 1, 1e-15);
		last = p[1];
	}
	check(good && c.curve->n <= GE_CURVE_POINTS, "it rises");
	x = NAN;
	ge_calibration_apply(&c, &x, p);
	check(p[1] > 0 && p[1] < 1, "of a margin that is none");
	ge_calibration_release(&c);
}

/* Margins that are in the wrong order are left alone. */
static void
contrary(void)
{
	struct ge_margins m = two(GE_CALIBRATION_SIGMOID, 500, 51);
	struct ge_calibration c;
	size_t i;

	for (i = 0; i < m.n; i++)
		margin[i] = -margin[i];
	check(ge_calibration_as(&c, GE_CALIBRATION_SIGMOID, &m, &e) == 0 &&
	    c.kind == GE_CALIBRATION_NONE, "a slope never falls");
	for (i = 0; i < m.n; i++)
		y[i] = 1;
	check(ge_calibration_fit(&c, &m, &e) == 0, "one class only");
	ge_calibration_release(&c);
	m.n = 0;
	check(ge_calibration_fit(&c, &m, &e) == 0 &&
	    c.kind == GE_CALIBRATION_NONE, "no rows");
	m.n = 3;
	m.fold = (const uint32_t[]){ 4, 4, 4 };
	check(ge_calibration_fit(&c, &m, &e) == 0, "one fold only");
	ge_calibration_release(&c);
}

static void
saved(void)
{
	static const int kind[] = { GE_CALIBRATION_NONE, GE_CALIBRATION_SIGMOID,
	    GE_CALIBRATION_ISOTONIC };
	struct ge_margins m = two(GE_CALIBRATION_ISOTONIC, 1000, 61);
	struct ge_calibration c, d;
	double p[2], q[2];
	json_t *j, *k;
	char *text;
	size_t i, n;
	int good = 1;

	for (i = 0; i < 3; i++) {
		ge_calibration_as(&c, (enum ge_calibration_kind)kind[i], &m,
		    &e);
		j = ge_calibration_json(&c);
		text = json_dumps(j, JSON_REAL_PRECISION(7));
		k = json_loads(text, 0, NULL);
		good &= ge_calibration_parse(&d, k, 2, &e) == 0 &&
		    d.kind == c.kind;
		for (n = 0; n < m.n; n++) {
			ge_calibration_apply(&c, margin + n, p);
			ge_calibration_apply(&d, margin + n, q);
			good &= memcmp(p, q, sizeof(p)) == 0;
		}
		free(text);
		json_decref(j);
		json_decref(k);
		ge_calibration_release(&c);
		ge_calibration_release(&d);
	}
	check(good, "what is saved, in 7 digits, is what is used");
}

static int
refused(const char *text, size_t k)
{
	struct ge_calibration c;
	json_t *j = json_loads(text, 0, NULL);
	int good = j != NULL && ge_calibration_parse(&c, j, k, &e) == -1 &&
	    e.code == GE_EREFUSED;

	if (!good)
		printf("# %s\n", text);
	json_decref(j);
	return (good);
}

static void
untrusted(void)
{
	struct ge_calibration c;

	check(refused("[]", 2) && refused("{}", 2) &&
	    refused("{\"kind\": \"none\"}", 1) &&
	    refused("{\"kind\": \"none\"}", 2000) &&
	    refused("{\"kind\": 3}", 2) &&
	    refused("{\"kind\": \"temperature\", \"slope\": 1}", 2) &&
	    refused("{\"kind\": \"sigmoid\", \"slope\": 1, \"shift\": 0}", 3) &&
	    refused("{\"kind\": \"sigmoid\", \"slope\": -1, \"shift\": 0}",
	    2) && refused("{\"kind\": \"sigmoid\", \"slope\": 1}", 2) &&
	    refused("{\"kind\": \"isotonic\"}", 2) &&
	    refused("{\"kind\": \"isotonic\", \"curves\": [[]]}", 2) &&
	    refused("{\"kind\": \"isotonic\", \"curves\": [[[0, 0.5]]]}", 3) &&
	    refused("{\"kind\": \"isotonic\", \"curves\": [[[0, 1.5]]]}", 2) &&
	    refused("{\"kind\": \"isotonic\", \"curves\": "
	    "[[[0, 0.5], [1, 0.4]]]}", 2) &&
	    refused("{\"kind\": \"isotonic\", \"curves\": "
	    "[[[0, 0.5], [-1, 0.6]]]}", 2) &&
	    refused("{\"kind\": \"isotonic\", \"curves\": [[[0]]]}", 2),
	    "untrusted members are refused");
	check(ge_calibration_parse(&c, NULL, 2, &e) == 0 &&
	    c.kind == GE_CALIBRATION_NONE, "no member is none");
}

/* The best of all thresholds, by trying each. */
static double
best_f1(const double *p, size_t n)
{
	double best = 0, t, in, out, all;
	size_t i;
	int step;

	for (step = 1; step < 1000; step++) {
		t = step / 1000.0;
		in = out = all = 0;
		for (i = 0; i < n; i++) {
			all += y[i];
			in += p[2 * i + 1] >= t ? y[i] : 0;
			out += p[2 * i + 1] >= t ? 1 - y[i] : 0;
		}
		best = fmax(best, in > 0 ? 2 * in / (in + out + all) : 0);
	}
	return (best);
}

static double
f1_of(const struct ge_decide *d, const double *p, size_t n)
{
	double in = 0, out = 0, all = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		all += y[i];
		if (ge_decide(d, p + 2 * i) == 1)
			*(y[i] > 0.5 ? &in : &out) += 1;
	}
	return (2 * in / (in + out + all));
}

static void
decides(void)
{
	struct ge_decide d = { GE_DECIDE_F1, 2, 1, 0 }, f;
	static double p[2000];
	static const double four[] = { 0.9, 0.1, 0.8, 0.2, 0.4, 0.6, 0.7,
	    0.3 }, is[] = { 0, 0, 1, 1 };
	static const float heavy[] = { 1, 9, 1, 1 };
	json_t *j;
	size_t i;

	state = 71;
	for (i = 0; i < 1000; i++) {
		p[2 * i + 1] = (double)(next() % 1000) / 1000;
		p[2 * i] = 1 - p[2 * i + 1];
		y[i] = (double)(next() % 3000) / 1000 < p[2 * i + 1];
	}
	check(ge_decide_fit(&d, p, y, NULL, 1000, &e) == 0 &&
	    near(f1_of(&d, p, 1000), best_f1(p, 1000), 1e-12),
	    "no threshold has a better F1");
	/* By hand: of 0.6 and 0.3 true, 0.2 and 0.1 false. */
	d.rule = GE_DECIDE_ACCURACY;
	ge_decide_fit(&d, four, is, NULL, 4, &e);
	check(near(d.threshold, 0.25, 1e-9), "accuracy, by hand");
	check(near((d.rule = GE_DECIDE_BALANCED, ge_decide_fit(&d, four, is,
	    heavy, 4, &e), d.threshold), 0.25, 1e-9), "balanced, by hand");
	d.positive = 0;
	d.rule = GE_DECIDE_F1;
	ge_decide_fit(&d, four, is, NULL, 4, &e);
	check(near(d.threshold, 0.75, 1e-9) && ge_decide(&d, four) == 0 &&
	    ge_decide(&d, four + 4) == 1, "the other class, by hand");
	check(ge_decide_named("0.125", &d) == 0 && d.rule == GE_DECIDE_GIVEN &&
	    near(d.threshold, 0.125, 0) && ge_decide_named("f1", &f) == 0 &&
	    f.rule == GE_DECIDE_F1 && ge_decide_named("given", &f) == -1 &&
	    ge_decide_named("1.5", &f) == -1 && ge_decide_named("", &f) == -1 &&
	    ge_decide_named("0.5x", &f) == -1, "names");
	j = ge_decide_json(&d);
	check(ge_decide_parse(&f, j, 2, &e) == 0 && f.rule == d.rule &&
	    f.positive == 0 && near(f.threshold, 0.125, 0), "saved");
	json_object_set_new(j, "positive", json_integer(2));
	check(ge_decide_parse(&f, j, 2, &e) == -1 && e.code == GE_EREFUSED,
	    "a class that is none");
	json_decref(j);
	check(ge_decide_parse(&f, NULL, 3, &e) == 0 && ge_decide(&f,
	    (double[]){ 0.2, 0.5, 0.3 }) == 1, "the most probable of three");
}

static void
digits(void)
{
	double x, d, u;
	size_t i;
	int good = 1;

	for (i = 0; i < 10000; i++) {
		x = (draw_part() - 0.5) * pow(10, (double)draw(40) - 20);
		d = ge_digits_down(x);
		u = ge_digits_up(x);
		good &= d <= x && x <= u && u - d <= 2.1e-6 * fabs(x) &&
		    memcmp(&d, (double[]){ ge_digits(d) }, sizeof(d)) == 0;
	}
	check(good && near(ge_digits(2.0 / 3), 0.6666667, 0) &&
	    near(ge_digits_down(2.0 / 3), 0.6666660, 1e-6) &&
	    near(ge_digits(0), 0, 0), "seven digits, below and above");
}

int
main(void)
{

	two_classes();
	many_classes();
	repeated();
	rises();
	contrary();
	saved();
	untrusted();
	decides();
	digits();
	return (bad);
}
