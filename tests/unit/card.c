/*
 * lib/model/card.c: the card of a small model word for word, run.json by its members;
 * names out of a table are no mark-up; what is not there is left out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/card.h"
#include "util/mem.h"

#define UNIT "card"
#include "check.h"

static const char *const metric[] = { "f1", "auc" };

static const struct ge_card_line line[] = {
	{ "constant", NAN, { 0, 0.5 }, 0.001, 0.012 },
	{ "linear", NAN, { 0.75, 0.8125 }, 0.25, 3 },
	{ "this", NAN, { 0.875, 0.9375 }, 2.5, 30 }
}, group[] = {
	{ "a|b", 60, { 0.5, 0.25 }, NAN, NAN },
	{ "<i>_\n", 40, { 0.125, NAN }, NAN, NAN }
};

static const uint64_t seed = 7;
static const struct ge_card_table table[] = { { "ward*", 2, group } };

static struct ge_card
example(void)
{
	struct ge_card c = {
		.family = "trees", .version = "1.0", .library = "xgboost",
		.task = "tabular-classification", .title = "who is ill",
		.about = "Trees.", .set = "records", .rows = 100, .cols = 7,
		.data = "3 rows have no target.", .started = 86400,
		.seed = &seed, .seconds = 2.5, .joules = 36, .gco2 = 50,
		.energy = "model", .stopped = "rounds",
		.on = "5 folds", .metric = metric, .nmetrics = 2,
		.line = line, .nlines = 3, .table = table, .ntables = 1,
		.use = "gepredict model <rows.csv", .limits = "Few rows."
	};

	memset(c.digest, 0xab, 32);
	return (c);
}

static const char want[] =
    "---\nlibrary_name: xgboost\npipeline_tag: tabular-classification\n"
    "tags:\n- trees\n- getools\n---\n\n# who is ill\n\nTrees.\n\n"
    "## Data\n\n100 rows of 7 columns; SHA-256 `"
    "abababababababababababababababababababababababababababababababab"
    "`; fragment set `records`. 3 rows have no target.\n\n"
    "## Fit\n\nBy getools 1.0, seed 7; stopped by: rounds. All options are in "
    "run.json.\n\nIt took 2.5 seconds and 36 joules (method: model), 0.0005 "
    "grams of CO2 at 50 grams a kilowatt-hour.\n\n"
    "## Results\n\nOn 5 folds:\n\n"
    "| model | f1 | auc | seconds | joules |\n|---|---|---|---|---|\n"
    "| constant | 0 | 0.5 | 0.001 | 0.012 |\n"
    "| linear | 0.75 | 0.8125 | 0.25 | 3 |\n"
    "| this | 0.875 | 0.9375 | 2.5 | 30 |\n\n"
    "By ward\\*:\n\n| ward\\* | rows | f1 | auc |\n|---|---|---|---|\n"
    "| a\\|b | 60 | 0.5 | 0.25 |\n| \\<i\\>\\_  | 40 | 0.125 | |\n\n"
    "## Use\n\ngepredict model <rows.csv\n\n## Limits\n\nFew rows.\n\n";

static int
prints(const struct ge_card *c, const char *text)
{
	struct ge_err e = { 0, 0, "" };
	char *s = ge_card_print(c, &e);
	int good = s != NULL && strcmp(s, text) == 0;

	if (!good)
		fprintf(stderr, "%s\n", s != NULL ? s : e.msg);
	ge_free(s);
	return (good);
}

static double
real(json_t *j, const char *a, const char *b)
{

	return (json_number_value(json_object_get(json_object_get(j, a), b)));
}

static void
run_json(void)
{
	struct ge_card c = example();
	struct ge_err e = { 0, 0, "" };
	json_t *j, *r, *g, *back;
	char *s;

	c.options = json_pack("{s:i}", "rounds", 9);
	j = ge_card_run(&c, &e);
	r = json_object_get(j, "result");
	check(strcmp(json_string_value(json_object_get(j, "program")),
	    "getools 1.0") == 0 && real(j, "options", "rounds") == 9 &&
	    real(j, "data", "rows") == 100, "run.json: the run");
	check(real(r, "metrics", "auc") == 0.9375 &&
	    json_array_size(json_object_get(r, "baselines")) == 2 &&
	    json_real_value(json_object_get(r, "joules")) == 36,
	    "run.json: the result");
	g = json_array_get(json_object_get(json_object_get(r, "groups"),
	    "ward*"), 1);
	check(real(g, "metrics", "f1") == 0.125 &&
	    json_object_get(json_object_get(g, "metrics"), "auc") == NULL &&
	    json_object_get(g, "seconds") == NULL, "run.json: groups");
	s = ge_card_text(j, &e);
	back = json_loads(s, 0, NULL);
	check(s[strlen(s) - 1] == '\n' && json_equal(back, j),
	    "run.json: text and back");
	ge_free(s);
	json_decref(back);
	json_decref(j);
	json_decref(c.options);
}

static void
little(void)
{
	struct ge_card c = example();
	struct ge_err e = { 0, 0, "" };
	json_t *j;

	c.gco2 = NAN;
	c.set = c.data = c.use = c.limits = c.about = c.library = c.task =
	    c.stopped = c.on = NULL;
	c.seed = NULL;
	c.nmetrics = c.nlines = c.ntables = 0;
	check(prints(&c, "---\ntags:\n- trees\n- getools\n---\n\n# who is ill\n\n"
	    "## Data\n\n100 rows of 7 columns; SHA-256 `"
	    "abababababababababababababababababababababababababababababababab"
	    "`.\n\n## Fit\n\nBy getools 1.0. All options are in "
	    "run.json.\n\nIt took 2.5 seconds and 36 joules (method: model).\n\n"),
	    "what is not there is left out");
	j = ge_card_run(&c, &e);
	check(json_object_size(json_object_get(j, "result")) == 3 &&
	    json_object_get(j, "options") == NULL &&
	    json_object_get(j, "seed") == NULL, "of run.json too");
	json_decref(j);
	check(ge_card_text(NULL, &e) == NULL, "nothing is no text");
}

int
main(void)
{
	struct ge_card c = example();

	check(prints(&c, want), "word for word");
	run_json();
	little();
	return (bad);
}
