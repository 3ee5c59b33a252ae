/*
 * lib/model/boost*.c: trees on data whose truth is known, the same bytes on any number
 * of threads, and what is refused.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/boost.h"
#include "util/mem.h"

#define UNIT "boost"
#include "check.h"

enum {
	N = 40000, Q = 5, WORDS = 12
};

static float x[N * Q];
static double y[N], z[N], c[N], far[N];
static float w[N];
static const uint8_t category[Q] = { 0, 0, 0, 1, 0 };

/* Two numbers with an interaction, one useless with gaps, a category, a constant. */
static void
make(void)
{
	double v, effect[WORDS];
	size_t i, k;

	for (k = 0; k < WORDS; k++)
		effect[k] = draw_part() * 2 - 1;
	for (i = 0; i < N; i++) {
		float *r = x + i * Q;

		r[0] = (float)(draw_part() * 2 - 1);
		r[1] = (float)(draw_part() * 2 - 1);
		r[2] = draw(10) == 0 ? NAN : (float)draw_part();
		r[3] = draw(20) == 0 ? NAN : (float)draw(WORDS);
		r[4] = 7;
		v = (double)r[0] * (double)r[1] * 4 +
		    (isnan(r[3]) ? 2 : effect[(int)r[3]]);
		z[i] = v * 100 + 5000;
		y[i] = v + draw_part() - 0.5 > 0;
		far[i] = z[i] + (i % 501 == 1 ? draw_part() * 1e14 : 0);
		c[i] = v < -0.5 ? 0 : v < 0.7 ? 1 : 2;
		w[i] = i % 5 == 0 ? 0 : (float)(1 + draw(3)) / 3;
	}
}

static struct ge_boost *
learn(struct ge_boost_data *d, const double *t, const float *weight,
    const struct ge_boost_opts *o, int rounds)
{
	struct ge_err e = { 0 };
	struct ge_boost *b = ge_boost_new(d, t, weight, o, &e);

	while (b != NULL && rounds-- > 0)
		if (ge_boost_round(b, &e) == -1) {
			ge_boost_free(b);
			b = NULL;
		}
	if (b == NULL)
		printf("# %s\n", e.msg);
	return (b);
}

/*
 * model.json of 5 rounds with all that draws lots, on so many threads.  Values have
 * outliers, so that sums of doubles depend on their order.
 */
static uint8_t *
bytes(enum ge_boost_objective objective, int jobs, size_t *len)
{
	struct ge_boost_opts o;
	struct ge_boost_data *d;
	struct ge_boost *b;
	struct ge_err e = { 0 };
	uint8_t *buf = NULL;

	ge_boost_opts_init(&o);
	o.objective = objective;
	o.classes = 3;
	o.jobs = jobs;
	o.subsample = 0.7;
	o.colsample = 0.6;
	o.base = objective == GE_SQUARED ? 5000 : 0;
	d = ge_boost_data_new(x, Q, NULL, N, category, &o, &e);
	b = learn(d, objective == GE_SQUARED ? far : objective == GE_SOFTMAX ? c :
	    y, w, &o, 5);
	if (b == NULL || ge_boost_save(b, NULL, &buf, len, &e) == -1)
		printf("# %s\n", e.msg);
	ge_boost_free(b);
	ge_boost_data_free(d);
	return (buf);
}

static void
test_jobs(void)
{
	static const char *const name[] = { "two classes: the same bytes on 1, "
	    "2, 3 and 8 threads", "three classes: the same", "values: the same" };
	static const int jobs[] = { 2, 3, 8 };
	uint8_t *one, *more;
	size_t len, n, i;
	int k, good;

	for (k = GE_LOGISTIC; k <= GE_SQUARED; k++) {
		one = bytes((enum ge_boost_objective)k, 1, &len);
		good = one != NULL;
		for (i = 0; good && i < 3; i++) {
			more = bytes((enum ge_boost_objective)k, jobs[i], &n);
			good = more != NULL && n == len &&
			    memcmp(one, more, len) == 0;
			ge_free(more);
		}
		ge_free(one);
		check(good, name[k]);
	}
}

/* Share of rows right, or of variance explained, of those that were held out. */
static double
score(struct ge_boost *b, const double *t)
{
	const struct ge_boost_opts *o = ge_boost_opts_of(b);
	struct ge_err e;
	const float *m = ge_boost_fitted(b, &e);
	double p[3], good = 0, n = 0, sum = 0, square = 0, left = 0;
	size_t i, k = ge_boost_k(o);

	for (i = 0; i < N; i += 5) {
		n++;
		sum += t[i];
		square += t[i] * t[i];
		left += (t[i] - (double)m[i]) * (t[i] - (double)m[i]);
		if (o->objective == GE_SQUARED)
			continue;
		ge_boost_probability(o, m + i * k, p);
		if (k == 1)
			good += (p[1] > p[0]) == (t[i] == 1);
		else
			good += p[(int)t[i]] > p[((int)t[i] + 1) % 3] &&
			    p[(int)t[i]] > p[((int)t[i] + 2) % 3];
	}
	return (o->objective == GE_SQUARED ? 1 - left / (square - sum * sum / n) :
	    good / n);
}

/* What is saved and read back says the same, and contributions add up to it. */
static int
again(struct ge_boost *b)
{
	struct ge_err e = { 0 };
	size_t len, i, j, k = ge_boost_k(ge_boost_opts_of(b));
	float *m, *n, *s, sum;
	struct ge_boost *r;
	uint8_t *buf;
	int good;

	m = ge_alloc(N * k * sizeof(float), &e);
	n = ge_alloc(N * k * sizeof(float), &e);
	s = ge_alloc(100 * k * (Q + 1) * sizeof(float), &e);
	good = ge_boost_save(b, NULL, &buf, &len, &e) == 0 &&
	    (r = ge_boost_parse(buf, len, Q, 2, &e)) != NULL;
	if (!good) {
		printf("# %s\n", e.msg);
		return (0);
	}
	good = ge_boost_margins(b, x, N, m, &e) == 0 &&
	    ge_boost_margins(r, x, N, n, &e) == 0 &&
	    memcmp(m, n, N * k * sizeof(float)) == 0 &&
	    ge_boost_shap(r, x, 100, s, &e) == 0 &&
	    ge_boost_rounds(r) == ge_boost_rounds(b);
	for (i = 0; i < 100 * k; i++) {
		for (sum = 0, j = 0; j <= Q; j++)
			sum += s[i * (Q + 1) + j];
		good &= fabsf(sum - n[i]) <= 1e-4f * (1 + fabsf(n[i]));
		good &= s[i * (Q + 1) + 4] == 0;
	}
	good &= strstr((char *)buf, "NaN") == NULL;
	ge_boost_free(r);
	ge_free(buf);
	ge_free(m);
	ge_free(n);
	ge_free(s);
	return (good);
}

static void
test_learns(void)
{
	struct ge_boost_opts o;
	struct ge_boost_data *d;
	struct ge_boost *b;
	struct ge_err e = { 0 };
	double gain[Q];

	ge_boost_opts_init(&o);
	d = ge_boost_data_new(x, Q, NULL, N, category, &o, &e);
	o.base = 5000;
	b = learn(d, z, w, &o, 30);
	check(b != NULL && score(b, z) > 0.98, "values of rows held out");
	check(b != NULL && again(b), "saved, read, explained");
	check(b != NULL && ge_boost_gain(b, gain, &e) == 0 && gain[0] > 100 *
	    gain[2] && gain[3] > 100 * gain[2] && gain[4] == 0, "gains");
	ge_boost_free(b);
	o.base = 0;
	o.objective = GE_LOGISTIC;
	b = learn(d, y, w, &o, 30);
	check(b != NULL && score(b, y) > 0.85, "two classes of rows held out");
	check(b != NULL && again(b), "two classes: saved, read, explained");
	ge_boost_free(b);
	o.objective = GE_SOFTMAX;
	o.classes = 3;
	b = learn(d, c, w, &o, 30);
	check(b != NULL && score(b, c) > 0.93, "three classes of rows held out");
	check(b != NULL && again(b), "three classes: saved, read, explained");
	ge_boost_free(b);
	ge_boost_data_free(d);
}

/* Rows chosen by place are those rows; units of the target do not matter. */
static void
test_same(void)
{
	static uint32_t row[N];
	static double t[N];
	struct ge_boost_opts o;
	struct ge_boost_data *d;
	struct ge_boost *b;
	struct ge_err e = { 0 };
	const float *m;
	double r[4], unit[] = { 1, 1e-9, 1e9 };
	size_t i, k;

	for (i = 0; i < N; i++)
		row[i] = (uint32_t)(N - 1 - i);
	ge_boost_opts_init(&o);
	d = ge_boost_data_new(x, Q, row, N, category, &o, &e);
	for (i = 0; i < N; i++)
		t[i] = z[row[i]];
	o.base = 5000;
	b = learn(d, t, NULL, &o, 30);
	check(b != NULL && score(b, t) > 0.98, "rows by their places");
	ge_boost_free(b);
	ge_boost_data_free(d);
	d = ge_boost_data_new(x, Q, NULL, N, category, &o, &e);
	for (k = 0; k < 3; k++) {
		for (i = 0; i < N; i++)
			t[i] = (z[i] - 5000) * unit[k];
		o.base = 0;
		b = learn(d, t, w, &o, 30);
		r[k] = b != NULL ? score(b, t) : 0;
		ge_boost_free(b);
	}
	check(r[0] > 0.98 && fabs(r[1] - r[0]) < 0.005 &&
	    fabs(r[2] - r[0]) < 0.005, "targets in any unit");
	/* Row sampling and column sampling leave it learning. */
	o.subsample = 0.5;
	o.colsample = 0.6;
	o.base = 5000;
	b = learn(d, z, w, &o, 60);
	check(b != NULL && score(b, z) > 0.9, "with half of the rows a round");
	m = b != NULL ? ge_boost_fitted(b, &e) : NULL;
	check(m != NULL && isfinite(m[0]), "margins of rows of weight 0");
	ge_boost_free(b);
	ge_boost_data_free(d);
}

/* Margins after some rounds are those there were then, at rest too. */
static void
test_rest(void)
{
	static float then[N], now[N];
	struct ge_boost_opts o;
	struct ge_boost_data *d;
	struct ge_boost *b;
	struct ge_err e = { 0 };
	const float *m;
	double worst = 0;
	size_t i;
	int k, good;

	ge_boost_opts_init(&o);
	d = ge_boost_data_new(x, Q, NULL, N, category, &o, &e);
	b = learn(d, z, NULL, &o, 7);
	good = b != NULL && (m = ge_boost_fitted(b, &e)) != NULL;
	if (good)
		memcpy(then, m, sizeof(then));
	for (k = 0; good && k < 5; k++)
		good = ge_boost_round(b, &e) == 0;
	good = good && ge_boost_rest(b, &e) == 0 && ge_boost_rounds(b) == 12;
	ge_boost_data_free(d);
	good = good && ge_boost_margins_at(b, x, N, 7, now, &e) == 0;
	for (i = 0; good && i < N; i++)
		worst = fmax(worst, fabs((double)(then[i] - now[i])));
	check(good && worst <= 1e-6 * 1e4, "margins after fewer rounds");
	good = good && ge_boost_margins(b, x, N, now, &e) == 0 &&
	    memcmp(then, now, sizeof(then)) != 0;
	check(good, "and after all");
	ge_boost_free(b);
}

static void
test_refused(void)
{
	struct ge_boost_opts o;
	struct ge_err e = { 0 };
	float bad_x[4] = { 1, 2, INFINITY, 3 };
	static const uint8_t cat[1] = { 1 };

	ge_boost_opts_init(&o);
	check(ge_boost_data_new(bad_x, 1, NULL, 4, NULL, &o, &e) == NULL &&
	    e.code == GE_EREFUSED, "an infinity");
	bad_x[2] = 1.5f;
	check(ge_boost_data_new(bad_x, 1, NULL, 4, cat, &o, &e) == NULL &&
	    e.code == GE_EREFUSED, "half a category");
	check(ge_boost_value(1e300) == 1e38f && ge_boost_value(-INFINITY) ==
	    -1e38f && isnan(ge_boost_value(NAN)) && ge_boost_value(2) == 2,
	    "what is out of range is at its end");
}

/* A model of one split, with a piece put in place of another. */
static int
refused(const char *old, const char *new)
{
	static const char good[] = "{\"learner\":{\"attributes\":{},"
	    "\"feature_names\":[],\"feature_types\":[],\"gradient_booster\":"
	    "{\"model\":{\"gbtree_model_param\":{\"num_parallel_tree\":\"1\","
	    "\"num_trees\":\"1\",\"size_leaf_vector\":\"0\"},\"tree_info\":[0],"
	    "\"trees\":[{\"base_weights\":[0E0,-1E0,1E0],\"categories\":[0,2],"
	    "\"categories_nodes\":[0],\"categories_segments\":[0],"
	    "\"categories_sizes\":[2],\"default_left\":[0,0,0],\"id\":0,"
	    "\"left_children\":[1,-1,-1],\"loss_changes\":[1E1,0E0,0E0],"
	    "\"parents\":[2147483647,0,0],\"right_children\":[2,-1,-1],"
	    "\"split_conditions\":[0E0,-1E0,1E0],\"split_indices\":[1,0,0],"
	    "\"split_type\":[1,0,0],\"sum_hessian\":[4E0,2E0,2E0],"
	    "\"tree_param\":{\"num_deleted\":\"0\",\"num_feature\":\"2\","
	    "\"num_nodes\":\"3\",\"size_leaf_vector\":\"0\"}}]},\"name\":"
	    "\"gbtree\"},\"learner_model_param\":{\"base_score\":\"5E-1\","
	    "\"boost_from_average\":\"1\",\"num_class\":\"0\",\"num_feature\":"
	    "\"2\",\"num_target\":\"1\"},\"objective\":{\"name\":"
	    "\"reg:squarederror\",\"reg_loss_param\":{\"scale_pos_weight\":"
	    "\"1\"}}},\"version\":[1,7,4]}";
	char text[2 * sizeof(good)];
	const char *at = strstr(good, old);
	struct ge_boost *b;
	struct ge_err e = { 0 };

	if (at == NULL)
		return (0);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, new,
	    at + strlen(old));
	b = ge_boost_parse((const uint8_t *)text, strlen(text), 2, 1, &e);
	ge_boost_free(b);
	return (b == NULL && e.code == GE_EREFUSED);
}

static void
test_check(void)
{
	static const struct {
		const char *old, *new, *name;
	} row[] = {
		{ "{\"learner\"", " {\"learner\"", "a blank in front" },
		{ "[1,7,4]}", "[1,7,4]", "no end" },
		{ "[1,7,4]}", "[1,7,4]}}", "more than an end" },
		{ "\"tree_info\":[0]", "\"tree_info\":[1]", "a class too many" },
		{ "\"tree_info\":[0]", "\"tree_info\":[0,0]", "a class more" },
		{ "\"num_trees\":\"1\"", "\"num_trees\":\"2\"", "a tree less" },
		{ "left_children\":[1,", "left_children\":[0,", "a loop" },
		{ "left_children\":[1,", "left_children\":[3,", "no such child" },
		{ "left_children\":[1,", "left_children\":[2,", "twins" },
		{ "left_children\":[1,", "left_children\":[-2,", "child -2" },
		{ "left_children\":[1,-1,-1]", "left_children\":[1,-1]",
		    "an array too short" },
		{ "[2147483647,0,0]", "[2147483647,0,1]", "another parent" },
		{ "[2147483647,0,0]", "[0,0,0]", "a root with a parent" },
		{ "split_indices\":[1,", "split_indices\":[2,",
		    "no such feature" },
		{ "split_indices\":[1,", "split_indices\":[-1,",
		    "feature -1" },
		{ "\"categories\":[0,2]", "\"categories\":[0,70000]",
		    "a category too large" },
		{ "\"categories_sizes\":[2]", "\"categories_sizes\":[3]",
		    "a set too long" },
		{ "\"categories_nodes\":[0]", "\"categories_nodes\":[1]",
		    "a set of a leaf" },
		{ "\"split_type\":[1,", "\"split_type\":[0,", "a set too many" },
		{ "-1E0,1E0],\"split_i", "NaN,1E0],\"split_i", "a leaf of NaN" },
		{ "\"id\":0", "\"id\":1", "another id" },
		{ "\"id\":0", "\"id\":0,\"id\":0", "a member twice" },
		{ "\"id\":0", "\"id\":0,\"\\u0069d\":1", "a name spelt so" },
		{ "\"num_nodes\":\"3\"", "\"num_nodes\":\"4\"", "nodes" },
		{ "\"num_deleted\":\"0\"", "\"num_deleted\":\"1\"", "deleted" },
		{ "\"gbtree\"", "\"dart\"", "a kind that is not ours" },
		{ "reg:squarederror", "rank:ndcg", "a loss that is not ours" },
		{ "\"num_class\":\"0\"", "\"num_class\":\"3\"", "classes" },
		{ "\"5E-1\"", "\"inf\"", "base score" },
		{ "5E-1\",\"boost_from_average\":\"1\",\"num_class\":\"0\","
		    "\"num_feature\":\"2\",\"num_target\":\"1\"},"
		    "\"objective\":{\"name\":\"reg:squarederror",
		    "0E0\",\"boost_from_average\":\"1\",\"num_class\":\"0\","
		    "\"num_feature\":\"2\",\"num_target\":\"1\"},"
		    "\"objective\":{\"name\":\"binary:logistic",
		    "a base score that is no probability" },
		{ "\"num_feature\":\"2\",\"num_target", "\"num_feature\":\"1\","
		    "\"num_target", "features" },
	};
	size_t i;

	check(!refused("\"id\":0", "\"id\":0"), "a good model is taken");
	check(!refused("\"version\":[1,7,4]", "\"version\":[1,7,4],\"more\":"
	    "{\"a\":[1,{\"b\":null}]}"), "more members are passed over");
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		check(refused(row[i].old, row[i].new), row[i].name);
}

int
main(void)
{

	make();
	test_learns();
	test_same();
	test_jobs();
	test_rest();
	test_refused();
	test_check();
	return (bad);
}
