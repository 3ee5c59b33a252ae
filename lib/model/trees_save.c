#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/card.h"
#include "model/trees_int.h"
#include "util/buf.h"
#include "util/mem.h"

/*
 * What is told of a model, in files.
 */

static json_t *
words(const char *const *word, size_t n)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		if (json_array_append_new(a, json_string(word[i])) == -1) {
			json_decref(a);
			return (NULL);
		}
	return (a);
}

json_t *
ge_trees_meaning_json(const struct ge_trees_meaning *m)
{

	if (m->k > 0)
		return (json_pack("{s:s, s:o, s:o, s:o, s:o?}", "task",
		    "classes", "classes", words((const char *const *)m->word, m->k), "calibration",
		    ge_calibration_json(&m->calibration), "decide",
		    ge_decide_json(&m->decide), "conformal",
		    m->conformal.kind == GE_CONFORMAL_NONE ? NULL :
		    ge_conformal_json(&m->conformal)));
	return (json_pack("{s:s, s:f, s:b, s:o?, s:o?}", "task", "number",
	    "shift", m->shift, "life", m->life, "cap", m->life &&
	    isfinite(m->cap) ? json_real(m->cap) : NULL, "conformal", m->conformal.kind == GE_CONFORMAL_NONE ? NULL :
	    ge_conformal_json(&m->conformal)));
}

static int
refuse(const char *what, struct ge_err *e)
{

	return (ge_fail(e, GE_EREFUSED, "trees of schema.json: %s", what));
}

static int
parse_classes(struct ge_trees_meaning *m, const json_t *j, struct ge_err *e)
{
	const json_t *a = json_object_get(j, "classes"), *c;
	size_t i, n = json_array_size(a);

	if (n < 2 || n > GE_BOOST_CLASSES)
		return (refuse("no classes", e));
	if ((m->word = ge_alloc(n * sizeof(char *), e)) == NULL)
		return (-1);
	m->k = n;
	for (i = 0; i < n; i++) {
		c = json_array_get(a, i);
		if (!json_is_string(c) || strlen(json_string_value(c)) !=
		    json_string_length(c))
			return (refuse("a class is no word", e));
		if ((m->word[i] = ge_strdup(json_string_value(c), e)) == NULL)
			return (-1);
	}
	if (ge_calibration_parse(&m->calibration, json_object_get(j,
	    "calibration"), n, e) == -1)
		return (-1);
	return (ge_decide_parse(&m->decide, json_object_get(j, "decide"), n,
	    e));
}

/* Of classes there is none. */
static int
parse_shift(struct ge_trees_meaning *m, const json_t *j, struct ge_err *e)
{
	const json_t *shift = json_object_get(j, "shift");

	if (shift == NULL)
		return (0);
	m->shift = json_number_value(shift);
	return (m->k == 0 && json_is_number(shift) && fabs(m->shift) <= 1e16 ?
	    0 : refuse("a shift that is none", e));
}

static int
parse_life(struct ge_trees_meaning *m, const json_t *j, struct ge_err *e)
{
	const json_t *cap = json_object_get(j, "cap");

	m->life = json_is_true(json_object_get(j, "life"));
	m->cap = json_is_number(cap) ? json_number_value(cap) : INFINITY;
	return (m->cap > 0 ? 0 : refuse("a cap that is not above 0", e));
}

int
ge_trees_meaning_parse(struct ge_trees_meaning *m, const json_t *all,
    struct ge_err *e)
{
	const json_t *j = json_object_get(all, "trees");
	const char *task = json_string_value(json_object_get(j, "task"));
	int rc = 0;

	memset(m, 0, sizeof(*m));
	if (task == NULL)
		return (refuse("no task", e));
	if (strcmp(task, "classes") == 0)
		rc = parse_classes(m, j, e);
	else if (strcmp(task, "number") != 0)
		rc = refuse("no task that there is", e);
	if (rc == 0)
		rc = parse_shift(m, j, e);
	if (rc == 0)
		rc = parse_life(m, j, e);
	if (rc == 0)
		rc = ge_conformal_parse(&m->conformal, json_object_get(j,
		    "conformal"), m->k, e);
	if (rc == -1)
		ge_trees_meaning_release(m);
	return (rc);
}

double
ge_trees_number(const struct ge_trees_meaning *m, double x)
{

	return (m->life ? fmin(fmax(x, 0), m->cap) : x);
}

void
ge_trees_meaning_release(struct ge_trees_meaning *m)
{
	size_t i;

	for (i = 0; m->word != NULL && i < m->k; i++)
		ge_free(m->word[i]);
	ge_free(m->word);
	ge_calibration_release(&m->calibration);
	ge_conformal_release(&m->conformal);
	memset(m, 0, sizeof(*m));
}

static json_t *
list(const char *const *word, size_t n)
{

	return (n > 0 ? words(word, n) : NULL);
}

static json_t *
above_0(double x)
{

	return (x > 0 ? json_real(x) : NULL);
}

static json_t *
rule(const struct ge_decide *d)
{
	json_t *j = ge_decide_json(d), *name = json_object_get(j, "rule");

	json_incref(name);
	json_decref(j);
	return (name);
}

/* How rounds and meaning were found: with what was found, trees are the same without. */
static json_t *
held_out(const struct ge_trees *t)
{
	const struct ge_trees_opts *o = &t->o;

	return (json_pack("{s:o*, s:o*, s:i, s:i, s:i, s:i, s:f, s:o*, s:o*, "
	    "s:o*, s:o*}", "hold", above_0(o->hold), "folds", o->hold > 0 ?
	    NULL : json_integer(t->folds), "rounds", o->rounds, "patience",
	    o->patience, "search", o->search, "searched", t->tried, "coverage",
	    o->coverage, "decide", o->decide.rule == GE_DECIDE_GIVEN ? NULL :
	    rule(&o->decide), "minutes", above_0(o->minutes), "joules",
	    above_0(o->joules), "by", list(o->by, o->nby)));
}

static json_t *
options(const struct ge_trees *t)
{
	const struct ge_boost_opts *b = &t->o.boost;
	json_t *j;

	j = json_pack("{s:I, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, "
	    "s:I, s:s*, s:o*, s:o*, s:o*, s:o*, s:o*, s:s, s:s*}",
	    "seed", (json_int_t)t->o.seed, "rounds", t->rounds, "depth",
	    b->depth, "bins", b->bins, "eta", b->eta, "lambda", b->lambda,
	    "alpha", b->alpha, "gamma", b->gamma, "min-child", b->min_child,
	    "subsample", b->subsample, "colsample", b->colsample,
	    "combine", (json_int_t)t->o.combine, "lags", t->o.lags,
	    "balance", t->o.balance ? json_true() : NULL, "life", t->o.life ?
	    json_true() : NULL, "cap", t->o.life && isfinite(t->o.cap) ?
	    json_real(t->o.cap) : NULL, "decide", t->o.decide.rule ==
	    GE_DECIDE_GIVEN ? json_real(t->o.decide.threshold) : NULL,
	    "held_out", t->nheld > 0 ? held_out(t) : NULL, "task",
	    t->meaning.k > 0 ? "classes" : "number", "positive",
	    t->o.positive);
	if (j != NULL && t->o.said != NULL &&
	    json_object_update(j, t->o.said) == -1) {
		json_decref(j);
		j = NULL;
	}
	return (j);
}

static const char *
kind_of(const struct ge_trees *t)
{

	if (t->unit != NULL)
		return ("groups");
	if (!t->forward)
		return ("rows");
	return (ge_schema_find(&t->schema, GE_ROLE_TIME) != SIZE_MAX ?
	    "blocks of time" : "blocks of rows");
}

/* The numbers of the card, borrowed from t and made here. */
struct told {
	struct ge_card_line line[GE_TREES_SCORES];
	struct ge_card_table *table;
	struct ge_card_line **group;
	char *about, *data, *use, *limits;
	char on[128];
	json_t *options;
};

static void
told_free(struct told *o, const struct ge_trees *t)
{
	size_t i;

	for (i = 0; o->group != NULL && i < t->work->nby; i++)
		ge_free(o->group[i]);
	ge_free(o->group);
	ge_free(o->table);
	ge_free(o->about);
	ge_free(o->data);
	ge_free(o->use);
	ge_free(o->limits);
	json_decref(o->options);
}

static size_t
nmetrics(const struct ge_trees *t)
{

	return (t->meaning.k > 0 ? (size_t)GE_CLASS_SCORES :
	    (size_t)GE_NUMBER_SCORES - !t->o.life);
}

static int
tell_groups(const struct ge_trees *t, struct told *o, struct ge_err *e)
{
	const struct ge_trees_by *b;
	size_t i, g;

	o->table = ge_alloc((t->work->nby + 1) * sizeof(*o->table), e);
	o->group = ge_alloc((t->work->nby + 1) * sizeof(*o->group), e);
	if (o->table == NULL || o->group == NULL)
		return (-1);
	for (i = 0; i < t->work->nby; i++) {
		b = &t->work->by[i];
		if (b->value == NULL)
			continue;
		if ((o->group[i] = ge_alloc((b->n + 1) * sizeof(**o->group),
		    e)) == NULL)
			return (-1);
		for (g = 0; g < b->n; g++) {
			o->group[i][g].name = b->word[g];
			o->group[i][g].rows = b->rows[g];
			o->group[i][g].seconds = o->group[i][g].joules = NAN;
			memcpy(o->group[i][g].value, b->value[g],
			    nmetrics(t) * sizeof(double));
		}
		o->table[i].by = b->name;
		o->table[i].n = b->n;
		o->table[i].line = o->group[i];
	}
	return (0);
}

static int
tell_texts(const struct ge_trees *t, struct told *o, struct ge_err *e)
{
	struct ge_buf about = { .e = e }, data = { .e = e }, use = { .e = e },
	    limits = { .e = e };
	int rc;

	ge_buf_put(&about, "%d rounds of gradient-boosted trees on %zu features: "
	    "`model.json` is XGBoost's own, and what its numbers mean "
	    "(columns, features, calibration, sets or intervals) stands in "
	    "`schema.json`.", t->rounds, ge_trees_view(t, -1)->q);
	if (t->dropped > 0)
		ge_buf_put(&data, "%zu rows without a target were left out.",
		    t->dropped);
	if (t->nheld > 0)
		ge_buf_put(&data, "%sSets and intervals at %g %% held %.1f %% of "
		    "the rows that they were not learnt from, with %.3g %s.",
		    t->dropped > 0 ? " " : "", 100 * t->o.coverage,
		    100 * t->held.coverage, t->held.size, t->meaning.k > 0 ?
		    "classes a set" : "of width");
	else
		ge_buf_put(&data, "%sNothing was held out: nothing is known of "
		    "how good it is.", t->dropped > 0 ? " " : "");
	ge_buf_put(&use, "    gepredict -v %s <table.csv", "MODEL");
	ge_buf_put(&limits, "It repeats what was so in the rows that it learnt "
	    "from. Sets and intervals hold as often as told only for rows that "
	    "are like those.%s", t->tried > 0 ? " Its settings are the best of "
	    "several on the same held-out rows, so that the scores are a "
	    "little too good." : "");
	rc = ge_buf_done(&about, &o->about, NULL);
	rc |= ge_buf_done(&data, &o->data, NULL);
	rc |= ge_buf_done(&use, &o->use, NULL);
	rc |= ge_buf_done(&limits, &o->limits, NULL);
	return (rc);
}

static int
tell(const struct ge_trees *t, struct told *o, struct ge_err *e)
{
	size_t i;

	memset(o, 0, sizeof(*o));
	for (i = 0; i < t->nscores; i++) {
		o->line[i].name = t->score[i].name;
		o->line[i].rows = NAN;
		o->line[i].seconds = t->score[i].seconds;
		o->line[i].joules = t->score[i].joules;
		memcpy(o->line[i].value, t->score[i].value,
		    nmetrics(t) * sizeof(double));
	}
	if (t->o.hold > 0)
		snprintf(o->on, sizeof(o->on), "%zu rows held out once",
		    t->nheld);
	else
		snprintf(o->on, sizeof(o->on), "%zu rows in %d folds of %s, each "
		    "held out once", t->nheld, t->folds, kind_of(t));
	if ((o->options = options(t)) == NULL)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	return (tell_groups(t, o, e) == -1 ? -1 : tell_texts(t, o, e));
}

static void
card_of(const struct ge_trees *t, const struct told *o,
    const uint8_t *digest, const char *set, struct ge_card *c)
{
	size_t target = ge_schema_find(&t->schema, GE_ROLE_TARGET);

	memset(c, 0, sizeof(*c));
	c->family = "trees";
	c->version = t->o.version;
	c->library = "xgboost";
	c->task = t->meaning.k > 0 ? "tabular-classification" :
	    "tabular-regression";
	c->title = target != SIZE_MAX ? t->schema.col[target].name :
	    "Remaining life";
	c->about = o->about;
	memcpy(c->digest, digest, sizeof(c->digest));
	c->set = set;
	c->rows = t->n - t->dropped;
	c->cols = t->schema.ncols;
	c->data = o->data;
	c->started = t->started;
	c->seed = &t->o.seed;
	c->seconds = t->seconds;
	c->joules = t->joules;
	c->gco2 = t->o.gco2 > 0 ? t->o.gco2 : NAN;
	c->energy = ge_energy_method(&t->energy);
	c->stopped = t->stopped;
	c->options = o->options;
	c->on = t->nscores > 0 ? o->on : NULL;
	c->metric = t->meaning.k > 0 ? ge_class_score_name :
	    ge_number_score_name;
	c->nmetrics = t->nscores > 0 ? nmetrics(t) : 0;
	c->line = o->line;
	c->nlines = t->nscores;
	c->table = o->table;
	c->ntables = t->nscores > 0 ? t->work->nby : 0;
	c->use = o->use;
	c->limits = o->limits;
}

static json_t *
schema(const struct ge_trees *t)
{
	json_t *j = ge_schema_json(&t->schema);

	if (j == NULL || json_object_set_new(j, "features",
	    ge_features_json(&ge_trees_view(t, -1)->features)) == -1 ||
	    json_object_set_new(j, "trees", ge_trees_meaning_json(
	    &t->meaning)) == -1) {
		json_decref(j);
		return (NULL);
	}
	return (j);
}

static int
save_text(struct ge_outdir *out, const char *name, char *text,
    struct ge_err *e)
{
	int rc = -1;

	if (text != NULL)
		rc = ge_outdir_file(out, name, text, strlen(text), e);
	ge_free(text);
	return (rc);
}

static int
save_schema(const struct ge_trees *t, struct ge_outdir *out,
    struct ge_err *e)
{
	json_t *j = schema(t);
	char *text = j != NULL ? json_dumps(j, JSON_INDENT(1) |
	    JSON_REAL_PRECISION(17)) : NULL;
	int rc;

	rc = text == NULL ? ge_fail(e, GE_EFAIL, "out of memory") :
	    ge_outdir_file(out, "schema.json", text, strlen(text), e);
	free(text);
	json_decref(j);
	return (rc);
}

static int
save_model(struct ge_trees *t, struct ge_outdir *out, struct ge_err *e)
{
	const struct ge_features *F = &ge_trees_view(t, -1)->features;
	const char **name;
	uint8_t *buf = NULL;
	size_t i, len;
	int rc = -1;

	if ((name = ge_alloc(F->n * sizeof(*name), e)) == NULL)
		return (-1);
	for (i = 0; i < F->n; i++)
		name[i] = F->f[i].name;
	if (ge_boost_save(t->model, name, &buf, &len, e) == 0)
		rc = ge_outdir_file(out, "model.json", buf, len, e);
	ge_free(buf);
	ge_free(name);
	return (rc);
}

int
ge_trees_save(struct ge_trees *t, const uint8_t *digest, const char *set,
    struct ge_outdir *out, struct ge_err *e)
{
	struct ge_card c;
	struct told o;
	json_t *run = NULL;
	int rc = -1;

	if (tell(t, &o, e) == -1)
		goto out;
	card_of(t, &o, digest, set, &c);
	if (save_model(t, out, e) == -1 || save_schema(t, out, e) == -1 ||
	    (run = ge_card_run(&c, e)) == NULL ||
	    save_text(out, "run.json", ge_card_text(run, e), e) == -1 ||
	    save_text(out, "README.md", ge_card_print(&c, e), e) == -1)
		goto out;
	rc = 0;
out:
	json_decref(run);
	told_free(&o, t);
	return (rc);
}
