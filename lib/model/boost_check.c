#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/decimal.h"
#include "model/boost.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * model.json is read from its begin to its end once, tree after tree, so that no more
 * is held than one of them.
 */
enum {
	NEST = 64,			/* what is passed over may nest so deep */
	WORD = 32			/* bytes of a name or text that matters */
};

/* The arrays of a tree. */
enum array {
	LEFT, RIGHT, PARENT, FEATURE, DEFAULT, KIND, CATEGORY, CAT_NODE,
	CAT_FROM, CAT_SIZE, INTS,
	THRESHOLD = INTS, WEIGHT, GAIN, COVER, ARRAYS
};

static const char *const array_name[ARRAYS] = { "left_children",
    "right_children", "parents", "split_indices", "default_left", "split_type",
    "categories", "categories_nodes", "categories_segments",
    "categories_sizes", "split_conditions", "base_weights", "loss_changes",
    "sum_hessian" };

struct input {
	const uint8_t *p, *end;		/* the byte at end - 1 is '}' */
	struct ge_err *e;
	struct ge_boost_shape *s;
	/* The tree at hand. */
	int32_t *i[INTS];
	float *f[ARRAYS - INTS];
	size_t n[ARRAYS], cap[ARRAYS];
	unsigned int have;		/* bits of arrays */
	uint64_t nodes;			/* as it says */
	int32_t id;
	uint8_t *depth;
	size_t depth_cap;
	/* So far. */
	int nest;
	char word[WORD], objective[WORD];
	size_t ninfo;
	uint64_t trees_said, classes_said, features_said;
	uint64_t most_group, most_feature;
	double base;
};

static int
refuse(struct input *in, const char *what)
{

	return (ge_fail(in->e, GE_EREFUSED, "not trees of XGBoost: %s", what));
}

static uint8_t
look(struct input *in)
{

	while (in->p < in->end && (*in->p == ' ' || *in->p == '\n' ||
	    *in->p == '\t' || *in->p == '\r'))
		in->p++;
	return (in->p < in->end ? *in->p : 0);
}

static int
take(struct input *in, uint8_t c)
{

	if (look(in) != c)
		return (refuse(in, "bad JSON"));
	in->p++;
	return (0);
}

/*
 * A string; into word, empty if it does not fit there.  What matters is written without
 * escapes: two spellings of one name would be two members to us and one to XGBoost.
 */
static int
string(struct input *in, char word[WORD])
{
	size_t n = 0;

	if (take(in, '"') == -1)
		return (-1);
	for (; in->p < in->end && *in->p != '"'; in->p++) {
		if (*in->p < 0x20)
			return (refuse(in, "bad JSON"));
		if (*in->p == '\\' && (word != NULL || ++in->p == in->end))
			break;
		if (word != NULL && n < WORD)
			word[n++] = (char)*in->p;
	}
	if (in->p == in->end || *in->p != '"')
		return (refuse(in, "bad JSON"));
	in->p++;
	if (word != NULL)
		word[n < WORD ? n : 0] = '\0';
	return (0);
}

/*
 * The members of an object: fn takes the value of the one called in->word, and says
 * by its bit which it was, 0: none that matters, so that none comes twice.
 */
static int
object(struct input *in, int (*fn)(struct input *in))
{
	unsigned int seen = 0;
	int bit;

	if (take(in, '{') == -1)
		return (-1);
	if (look(in) == '}') {
		in->p++;
		return (0);
	}
	do {
		if (string(in, in->word) == -1 || take(in, ':') == -1 ||
		    (bit = fn(in)) == -1)
			return (-1);
		if ((seen & (unsigned int)bit) != 0)
			return (refuse(in, "a member comes twice"));
		seen |= (unsigned int)bit;
		if (look(in) != ',')
			break;
		in->p++;
	} while (1);
	return (take(in, '}'));
}

/* The elements of an array. */
static int
array(struct input *in, int (*fn)(struct input *in, void *arg), void *arg)
{

	if (take(in, '[') == -1)
		return (-1);
	if (look(in) == ']') {
		in->p++;
		return (0);
	}
	do {
		if (fn(in, arg) == -1)
			return (-1);
		if (look(in) != ',')
			break;
		in->p++;
	} while (1);
	return (take(in, ']'));
}

static int
literal(struct input *in, const char *s)
{
	size_t len = strlen(s);

	if ((size_t)(in->end - in->p) < len || memcmp(in->p, s, len) != 0)
		return (-1);
	in->p += len;
	return (0);
}

static int
real(struct input *in, double *v)
{
	const char *end;

	look(in);
	if (literal(in, "NaN") == 0) {
		*v = NAN;
		return (0);
	}
	if ((end = ge_decimal((const char *)in->p, v)) == NULL)
		return (refuse(in, "a number is none"));
	in->p = (const uint8_t *)end;
	return (0);
}

static int
whole(struct input *in, int32_t *v)
{
	int64_t n = 0;
	int minus;

	look(in);
	if (literal(in, "true") == 0 || literal(in, "false") == 0) {
		*v = in->p[-2] == 'u';
		return (0);
	}
	if ((minus = *in->p == '-') != 0)
		in->p++;
	if (*in->p < '0' || *in->p > '9')
		return (refuse(in, "a number is none"));
	for (; *in->p >= '0' && *in->p <= '9'; in->p++)
		if ((n = 10 * n + *in->p - '0') > INT32_MAX)
			return (refuse(in, "a number is too large"));
	if (*in->p == '.' || *in->p == 'e' || *in->p == 'E')
		return (refuse(in, "a number is not whole"));
	*v = (int32_t)(minus ? -n : n);
	return (0);
}

static int pass_over(struct input *in);

static int
pass_element(struct input *in, void *arg)
{

	(void)arg;
	return (pass_over(in));
}

static int
pass_value(struct input *in)
{
	double v;

	switch (look(in)) {
	case '{':
		return (object(in, pass_over));
	case '[':
		return (array(in, pass_element, NULL));
	case '"':
		return (string(in, NULL));
	case 't':
	case 'f':
	case 'n':
		return (literal(in, "true") == 0 || literal(in, "false") == 0 ||
		    literal(in, "null") == 0 ? 0 : refuse(in, "bad JSON"));
	default:
		return (real(in, &v));
	}
}

static int
pass_over(struct input *in)
{
	int rc;

	if (in->nest == NEST)
		return (refuse(in, "nested too deep"));
	in->nest++;
	rc = pass_value(in);
	in->nest--;
	return (rc);
}

/* A number that is written as text, as XGBoost writes its settings. */
static int
number_text(struct input *in, uint64_t most, uint64_t *v)
{

	if (string(in, in->word) == -1)
		return (-1);
	if (ge_num_parse(in->word, strlen(in->word), v) == -1 || *v > most)
		return (refuse(in, "a setting is out of range"));
	return (0);
}

static int
is(const struct input *in, const char *name)
{

	return (strcmp(in->word, name) == 0);
}

/* What XGBoost must find as this number. */
static int
fixed(struct input *in, uint64_t want, int bit)
{
	uint64_t v;

	if (number_text(in, INT32_MAX, &v) == -1)
		return (-1);
	return (v == want ? bit : refuse(in, "of a kind that is not ours"));
}

/* Zero or one: XGBoost has written both for nothing. */
static int
nothing(struct input *in, int bit)
{
	uint64_t v;

	return (number_text(in, 1, &v) == -1 ? -1 : bit);
}

static int
tree_param(struct input *in)
{
	uint64_t v;

	if (is(in, "num_nodes"))
		return (number_text(in, INT32_MAX, &in->nodes) == -1 ? -1 : 1);
	if (is(in, "num_feature")) {
		if (number_text(in, GE_BOOST_COLS, &v) == -1)
			return (-1);
		if (v > in->most_feature)
			in->most_feature = v;
		return (2);
	}
	if (is(in, "num_deleted"))
		return (fixed(in, 0, 4));
	if (is(in, "size_leaf_vector"))
		return (nothing(in, 8));
	return (pass_over(in));
}

static int
add_int(struct input *in, void *arg)
{
	enum array a = *(enum array *)arg;

	if (ge_grow(&in->i[a], &in->cap[a], in->n[a] + 1, sizeof(int32_t),
	    in->e) == -1)
		return (-1);
	return (whole(in, &in->i[a][in->n[a]++]));
}

static int
add_real(struct input *in, void *arg)
{
	enum array a = *(enum array *)arg;
	double v;

	if (ge_grow(&in->f[a - INTS], &in->cap[a], in->n[a] + 1, sizeof(float),
	    in->e) == -1 || real(in, &v) == -1)
		return (-1);
	in->f[a - INTS][in->n[a]++] = fabs(v) <= 3e38 ? (float)v : NAN;
	return (0);
}

static int
tree_member(struct input *in)
{
	enum array a;

	if (is(in, "tree_param"))
		return (object(in, tree_param) == -1 ? -1 : 1 << ARRAYS);
	if (is(in, "id"))
		return (whole(in, &in->id) == -1 ? -1 : 2 << ARRAYS);
	for (a = 0; a < ARRAYS; a++) {
		if (!is(in, array_name[a]))
			continue;
		in->have |= 1u << a;
		return (array(in, a < INTS ? add_int : add_real, &a) == -1 ?
		    -1 : 1 << a);
	}
	return (pass_over(in));
}

/* The sets of categories: those of each node that asks for one, back to back. */
static int
check_sets(struct input *in)
{
	size_t i, nodes = (size_t)in->nodes, n = in->n[CAT_NODE], at = 0;
	size_t asking = 0;

	for (i = 0; i < nodes; i++)
		asking += in->n[KIND] > 0 && in->i[KIND][i] == 1 &&
		    in->i[LEFT][i] != -1;
	if (asking != n || in->n[CAT_FROM] != n || in->n[CAT_SIZE] != n)
		return (refuse(in, "sets of categories do not match"));
	for (i = 0; i < n; i++) {
		if ((uint32_t)in->i[CAT_NODE][i] >= nodes ||
		    in->i[KIND][in->i[CAT_NODE][i]] != 1 ||
		    in->i[LEFT][in->i[CAT_NODE][i]] == -1 ||
		    (i > 0 && in->i[CAT_NODE][i] <= in->i[CAT_NODE][i - 1]) ||
		    (size_t)in->i[CAT_FROM][i] != at || in->i[CAT_SIZE][i] < 1)
			return (refuse(in, "sets of categories do not match"));
		at += (size_t)in->i[CAT_SIZE][i];
	}
	if (at != in->n[CATEGORY])
		return (refuse(in, "sets of categories do not match"));
	for (i = 0; i < at; i++)
		if ((uint32_t)in->i[CATEGORY][i] >= GE_BOOST_WORDS)
			return (refuse(in, "a category is out of range"));
	return (0);
}

static int
check_child(struct input *in, size_t i, int32_t c)
{

	if (c <= (int32_t)i || (uint64_t)c >= in->nodes ||
	    in->i[PARENT][c] != (int32_t)i)
		return (refuse(in, "a child is not its parent's"));
	if ((in->depth[c] = in->depth[i] + 1) > GE_BOOST_DEPTH)
		return (refuse(in, "a tree is too deep"));
	return (0);
}

static int
check_node(struct input *in, size_t i)
{
	int32_t l = in->i[LEFT][i], r = in->i[RIGHT][i];
	int set = in->n[KIND] > 0 && in->i[KIND][i] == 1;

	if (in->i[FEATURE][i] < 0 || (uint32_t)in->i[DEFAULT][i] > 1)
		return (refuse(in, "a split is out of range"));
	if (!isfinite(in->f[WEIGHT - INTS][i]) ||
	    !isfinite(in->f[GAIN - INTS][i]) ||
	    !(in->f[COVER - INTS][i] >= 0))
		return (refuse(in, "a node has numbers that are none"));
	if (!(set && l != -1) && !isfinite(in->f[THRESHOLD - INTS][i]))
		return (refuse(in, "a threshold is no number"));
	if (l == -1 && r == -1)
		return (0);
	if ((uint64_t)in->i[FEATURE][i] + 1 > in->most_feature)
		in->most_feature = (uint64_t)in->i[FEATURE][i] + 1;
	return (l == r ? refuse(in, "a child comes twice") :
	    check_child(in, i, l) == -1 || check_child(in, i, r) == -1 ? -1 :
	    0);
}

/*
 * Each node but the root is the child that its parent names, and comes behind it: so
 * there are twice as many links as parents, and none is left over.
 */
static int
check_tree(struct input *in)
{
	const unsigned int must = (1u << LEFT | 1u << RIGHT | 1u << PARENT |
	    1u << FEATURE | 1u << DEFAULT | 1u << THRESHOLD | 1u << WEIGHT |
	    1u << GAIN | 1u << COVER);
	const unsigned int sets = (1u << KIND | 1u << CATEGORY |
	    1u << CAT_NODE | 1u << CAT_FROM | 1u << CAT_SIZE);
	size_t i, inner = 0, nodes = (size_t)in->nodes;
	enum array a;

	if ((in->have & must) != must || nodes == 0 ||
	    ((in->have & sets) != 0 && (in->have & sets) != sets))
		return (refuse(in, "a tree lacks an array"));
	for (a = 0; a < ARRAYS; a++)
		if (((must | 1u << KIND) & in->have & 1u << a) != 0 &&
		    in->n[a] != nodes)
			return (refuse(in, "an array is not as long as its "
			    "tree"));
	if (ge_grow(&in->depth, &in->depth_cap, nodes, 1, in->e) == -1)
		return (-1);
	in->depth[0] = 0;
	if (in->i[PARENT][0] != INT32_MAX)
		return (refuse(in, "a root has a parent"));
	for (i = 0; i < nodes; i++) {
		if (check_node(in, i) == -1)
			return (-1);
		inner += in->i[LEFT][i] != -1;
	}
	if (2 * inner + 1 != nodes)
		return (refuse(in, "a node is no child"));
	return (check_sets(in));
}

static int
tree(struct input *in, void *arg)
{

	(void)arg;
	in->have = 0;
	in->nodes = 0;
	in->id = -1;
	memset(in->n, 0, sizeof(in->n));
	if (object(in, tree_member) == -1 || check_tree(in) == -1)
		return (-1);
	if ((size_t)in->id != in->s->trees)
		return (refuse(in, "trees are not in order"));
	in->s->trees++;
	return (0);
}

static int
group(struct input *in, void *arg)
{
	int32_t g;

	(void)arg;
	if (whole(in, &g) == -1)
		return (-1);
	if (g < 0)
		return (refuse(in, "a class is out of range"));
	if ((uint64_t)g > in->most_group)
		in->most_group = (uint64_t)g;
	in->ninfo++;
	return (0);
}

static int
trees_param(struct input *in)
{

	if (is(in, "num_trees"))
		return (number_text(in, INT32_MAX, &in->trees_said) == -1 ?
		    -1 : 1);
	if (is(in, "num_parallel_tree"))
		return (fixed(in, 1, 2));
	if (is(in, "size_leaf_vector"))
		return (nothing(in, 4));
	return (pass_over(in));
}

static int
trees_member(struct input *in)
{

	if (is(in, "gbtree_model_param"))
		return (object(in, trees_param) == -1 ? -1 : 1);
	if (is(in, "tree_info"))
		return (array(in, group, NULL) == -1 ? -1 : 2);
	if (is(in, "trees"))
		return (array(in, tree, NULL) == -1 ? -1 : 4);
	return (pass_over(in));
}

static int
booster_member(struct input *in)
{

	if (is(in, "name")) {
		if (string(in, in->word) == -1)
			return (-1);
		return (is(in, "gbtree") ? 1 : refuse(in, "no plain trees"));
	}
	if (is(in, "model"))
		return (object(in, trees_member) == -1 ? -1 : 2);
	return (pass_over(in));
}

static int
softmax_param(struct input *in)
{
	uint64_t v;

	if (!is(in, "num_class"))
		return (pass_over(in));
	if (number_text(in, GE_BOOST_CLASSES, &v) == -1)
		return (-1);
	in->s->classes = (int)v;
	return (1);
}

static int
objective_member(struct input *in)
{

	if (is(in, "name"))
		return (string(in, in->objective) == -1 ? -1 : 1);
	if (is(in, "softmax_multiclass_param"))
		return (object(in, softmax_param) == -1 ? -1 : 2);
	return (pass_over(in));
}

static int
learner_param(struct input *in)
{
	const char *end;

	if (is(in, "base_score")) {
		if (string(in, in->word) == -1)
			return (-1);
		end = ge_decimal(in->word, &in->base);
		return (end != NULL && *end == '\0' && fabs(in->base) < 1e38 ?
		    1 : refuse(in, "the base score is no number"));
	}
	if (is(in, "num_class"))
		return (number_text(in, GE_BOOST_CLASSES, &in->classes_said) ==
		    -1 ? -1 : 2);
	if (is(in, "num_feature"))
		return (number_text(in, GE_BOOST_COLS, &in->features_said) ==
		    -1 ? -1 : 4);
	if (is(in, "num_target"))
		return (fixed(in, 1, 8));
	return (pass_over(in));
}

static int
learner_member(struct input *in)
{

	if (is(in, "learner_model_param"))
		return (object(in, learner_param) == -1 ? -1 : 1);
	if (is(in, "gradient_booster"))
		return (object(in, booster_member) == -1 ? -1 : 2);
	if (is(in, "objective"))
		return (object(in, objective_member) == -1 ? -1 : 4);
	return (pass_over(in));
}

static int
member(struct input *in)
{

	if (is(in, "learner"))
		return (object(in, learner_member) == -1 ? -1 : 1);
	return (pass_over(in));
}

/* What stands in different places says the same. */
static int
check_whole(struct input *in)
{
	struct ge_boost_shape *s = in->s;
	uint64_t k;

	if (strcmp(in->objective, "binary:logistic") == 0)
		s->objective = GE_LOGISTIC;
	else if (strcmp(in->objective, "multi:softprob") == 0)
		s->objective = GE_SOFTMAX;
	else if (strcmp(in->objective, "reg:squarederror") == 0)
		s->objective = GE_SQUARED;
	else
		return (refuse(in, "an objective that is not ours"));
	if (s->objective == GE_LOGISTIC && !((float)in->base > 0 &&
	    (float)in->base < 1))
		return (refuse(in, "the base score is no probability"));
	if (s->objective != GE_SOFTMAX) {
		s->classes = 1;
		if (in->classes_said > 1)
			return (refuse(in, "too many classes"));
	} else if (s->classes < 2 || (uint64_t)s->classes !=
	    in->classes_said) {
		return (refuse(in, "classes do not match"));
	}
	k = (uint64_t)s->classes;
	if (in->ninfo != s->trees || in->trees_said != s->trees ||
	    s->trees % k != 0 || in->most_group >= k)
		return (refuse(in, "trees and classes do not match"));
	if (in->features_said == 0 || in->most_feature > in->features_said)
		return (refuse(in, "a feature is out of range"));
	s->features = (size_t)in->features_said;
	return (0);
}

int
ge_boost_check(const uint8_t *buf, size_t len, struct ge_boost_shape *s,
    struct ge_err *e)
{
	struct input in = { .p = buf, .e = e, .s = s };
	size_t i;
	int rc = -1;

	memset(s, 0, sizeof(*s));
	while (len > 0 && strchr(" \n\t\r", buf[len - 1]) != NULL &&
	    buf[len - 1] != '\0')
		len--;
	in.end = buf + len;
	/* By its second byte XGBoost tells JSON from formats that it trusts. */
	if (len < 3 || memcmp(buf, "{\"", 2) != 0 || buf[len - 1] != '}') {
		refuse(&in, "no JSON object");
		goto out;
	}
	if (object(&in, member) == -1)
		goto out;
	rc = in.p == in.end ? check_whole(&in) : refuse(&in, "bad JSON");
out:
	for (i = 0; i < INTS; i++)
		ge_free(in.i[i]);
	for (i = 0; i < ARRAYS - INTS; i++)
		ge_free(in.f[i]);
	ge_free(in.depth);
	return (rc);
}
