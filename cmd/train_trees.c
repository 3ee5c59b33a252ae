#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "tables.h"
#include "families.h"
#include "data/outdir.h"
#include "model/digits.h"
#include "model/trees.h"
#include "util/mem.h"
#include "util/num.h"

struct options {
	struct ge_trees_opts trees;
	struct table_options tables;
	const char *out;
	unsigned int given;		/* 1u << GE_TREES_... or below */
	int force, try;
};

/* What is of rows held out. */
enum {
	FOLDS = GE_TREES_SETTINGS, HOLD, PATIENCE, COVERAGE, SEARCH, OTHER
};

/* An option of -O: a number into what `to` points to. */
struct setting {
	const char *name;
	enum { WHOLE, LONG, REAL } kind;
	double min, max;
	void *to;
	int is;				/* GE_TREES_... or above */
};

static int
set_number(struct options *o, const struct setting *s, const char *v,
    struct ge_err *e)
{
	uint64_t n;

	o->given |= 1u << s->is;
	if (s->kind == REAL) {
		if (cli_fraction(s->name, v, s->min, s->max, s->to, e) == -1)
			return (-1);
		*(double *)s->to = ge_digits(*(double *)s->to);
		return (0);
	}
	if (ge_size_parse(v, &n) == -1 || (double)n < s->min ||
	    (double)n > s->max)
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not a number from %.0f "
		    "to %.0f", s->name, v, s->min, s->max));
	if (s->kind == WHOLE)
		*(int *)s->to = (int)n;
	else
		*(uint64_t *)s->to = n;
	return (0);
}

/* A number: 1; 0 if arg is none; -1. */
static int
number_option(struct options *o, const char *arg, struct ge_err *e)
{
	struct ge_trees_opts *t = &o->trees;
	struct ge_boost_opts *b = &t->boost;
	const struct setting table[] = {
		{ "alpha", REAL, 0, 1e9, &b->alpha, OTHER },
		{ "bins", WHOLE, 2, 65535, &b->bins, OTHER },
		{ "cap", REAL, 1e-9, 1e15, &t->cap, OTHER },
		{ "colsample", REAL, 1e-3, 1, &b->colsample,
		    GE_TREES_COLSAMPLE },
		{ "combine", LONG, 0, 1000, &t->combine, OTHER },
		{ "coverage", REAL, 0.01, 0.999, &t->coverage, COVERAGE },
		{ "depth", WHOLE, 1, GE_BOOST_DEPTH, &b->depth,
		    GE_TREES_DEPTH },
		{ "eta", REAL, 1e-6, 1, &b->eta, GE_TREES_ETA },
		{ "folds", WHOLE, 0, GE_TREES_FOLDS, &t->folds, FOLDS },
		{ "gamma", REAL, 0, 1e9, &b->gamma, OTHER },
		{ "gco2", REAL, 0, 1e6, &t->gco2, OTHER },
		{ "hold", REAL, 0.001, 0.9, &t->hold, HOLD },
		{ "joules", REAL, 1e-9, 1e18, &t->joules, OTHER },
		{ "lambda", REAL, 0, 1e9, &b->lambda, GE_TREES_LAMBDA },
		{ "min-child", REAL, 0, 1e9, &b->min_child,
		    GE_TREES_MIN_CHILD },
		{ "minutes", REAL, 1e-9, 1e9, &t->minutes, OTHER },
		{ "patience", WHOLE, 1, 1e6, &t->patience, PATIENCE },
		{ "rounds", WHOLE, 1, 1e6, &t->rounds, OTHER },
		{ "search", WHOLE, 0, 1e5, &t->search, SEARCH },
		{ "seed", LONG, 0, 1e18, &t->seed, OTHER },
		{ "subsample", REAL, 0.01, 1, &b->subsample,
		    GE_TREES_SUBSAMPLE },
	};
	const char *v;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if ((v = cli_option(arg, table[i].name)) == NULL)
			continue;
		if (cli_needs(arg, v, e) == -1)
			return (-1);
		return (set_number(o, &table[i], v, e) == -1 ? -1 : 1);
	}
	return (0);
}

static int
flag(const char *arg, const char *v, int *to, struct ge_err *e)
{

	if (*v != '\0')
		return (ge_fail(e, GE_EUSAGE, "-O '%s': takes no value", arg));
	*to = 1;
	return (0);
}

static int
set_task(const char *v, enum ge_trees_task *to, struct ge_err *e)
{

	if (strcmp(v, "classes") == 0)
		*to = GE_TREES_CLASSES;
	else if (strcmp(v, "number") == 0)
		*to = GE_TREES_NUMBER;
	else
		return (ge_fail(e, GE_EUSAGE, "task '%s': neither 'classes' nor "
		    "'number'", v));
	return (0);
}

/* Windows, or the most rows of those that are proposed. */
static int
set_lags(const char *v, const char **to, struct ge_err *e)
{
	uint64_t n;

	*to = v;
	if (ge_num_parse(v, strlen(v), &n) == -1)
		return (ge_features_lags_check(v, e));
	return (n >= 1 && n <= GE_FEATURES_ROWS ? 0 : ge_fail(e, GE_EUSAGE,
	    "lags '%s': not from 1 to %d rows", v, GE_FEATURES_ROWS));
}

static int
set(struct options *o, const char *arg, struct ge_err *e)
{
	struct ge_trees_opts *t = &o->trees;
	const char *v;
	int rc;

	if ((rc = tables_option(&o->tables, arg, e)) != 0 ||
	    (rc = number_option(o, arg, e)) != 0)
		return (rc == -1 ? -1 : 0);
	if ((v = cli_option(arg, "balance")) != NULL)
		return (flag(arg, v, &t->balance, e));
	if ((v = cli_option(arg, "life")) != NULL)
		return (flag(arg, v, &t->life, e));
	if ((v = cli_option(arg, "task")) != NULL)
		return (set_task(v, &t->task, e));
	if ((v = cli_option(arg, "lags")) != NULL && *v != '\0')
		return (set_lags(v, &t->lags, e));
	if ((v = cli_option(arg, "positive")) != NULL) {
		t->positive = v;
	} else if ((v = cli_option(arg, "by")) != NULL) {
		if (t->nby == GE_TREES_BY)
			return (ge_fail(e, GE_EUSAGE, "-O by: more than %d "
			    "columns", GE_TREES_BY));
		t->by[t->nby++] = v;
	} else if ((v = cli_option(arg, "decide")) != NULL) {
		if (ge_decide_named(v, &t->decide) == -1)
			return (ge_fail(e, GE_EUSAGE, "decide '%s': neither "
			    "'likely', 'accuracy', 'f1', 'balanced' nor a "
			    "number from 0 to 1", v));
	} else {
		return (cli_unknown(arg, e));
	}
	return (0);
}

/* With nothing held out. */
static int
check_alone(const struct options *o, struct ge_err *e)
{
	const struct ge_trees_opts *t = &o->trees;
	const char *name = NULL;

	if (t->nby > 0)
		name = "by";
	if ((o->given & 1u << COVERAGE) != 0)
		name = "coverage";
	if (t->decide.rule != GE_DECIDE_LIKELY &&
	    t->decide.rule != GE_DECIDE_GIVEN)
		name = "decide";
	if ((o->given & 1u << PATIENCE) != 0)
		name = "patience";
	if (t->search > 0)
		name = "search";
	return (name == NULL ? 0 : ge_fail(e, GE_EUSAGE, "-O %s= needs rows "
	    "held out, not -O folds=0", name));
}

/* What excludes what. */
static int
check(const struct options *o, struct ge_err *e)
{
	const struct ge_trees_opts *t = &o->trees;
	const struct ge_roles *r = &o->tables.roles;

	if (t->life && r->target != NULL)
		return (ge_fail(e, GE_EUSAGE, "-O life is a target of its own: "
		    "-O target= cannot be given"));
	if (t->life && r->time == NULL)
		return (ge_fail(e, GE_EUSAGE, "-O life needs -O time="));
	if (!t->life && r->target == NULL)
		return (ge_fail(e, GE_EUSAGE, "what is to be foretold? "
		    "-O target=column, or -O life"));
	if (isfinite(t->cap) && !t->life)
		return (ge_fail(e, GE_EUSAGE, "-O cap= is of -O life"));
	if (t->folds == 1)
		return (ge_fail(e, GE_EUSAGE, "folds '1': 0, or 2 at least; "
		    "one part is held out by -O hold="));
	if ((o->given & 1u << FOLDS) != 0 && (o->given & 1u << HOLD) != 0)
		return (ge_fail(e, GE_EUSAGE, "-O folds= and -O hold= exclude "
		    "each other"));
	if (t->folds == 0 && check_alone(o, e) == -1)
		return (-1);
	if (o->out == NULL && !o->force && !o->try && isatty(1))
		return (ge_fail(e, GE_EUSAGE, "standard output is a terminal: "
		    "redirect it, or use -o"));
	return (0);
}

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c;

	while ((c = getopt(argc, argv, ":fj:O:o:qtv")) != -1) {
		switch (c) {
		case 'f':
			o->force = 1;
			break;
		case 'j':
			if (cli_number("-j", optarg, 1, 64, &o->trees.jobs,
			    e) == -1)
				return (-1);
			break;
		case 'O':
			if (set(o, optarg, e) == -1)
				return (-1);
			break;
		case 'o':
			o->out = optarg;
			break;
		case 'q':
			cli_quiet();
			break;
		case 't':
			o->try = 1;
			break;
		case 'v':
			cli_verbose();
			break;
		default:
			cli_usage(c);
		}
	}
	return (cli_order(argc, argv, e) == -1 ? -1 : check(o, e));
}

/* Where it is, for a terminal and for SIGUSR1. */
static const struct ge_trees_state *at;

static void
progress(char *out, size_t cap)
{

	if (at == NULL)
		snprintf(out, cap, "reading");
	else if (at->fold == -1)
		snprintf(out, cap, "all rows: round %d of %d", at->round,
		    at->rounds);
	else
		snprintf(out, cap, "fold %d of %d, round %d, loss %.5g%s",
		    at->fold + 1, at->folds, at->round, at->loss,
		    at->search > 0 ? ", searching" : "");
}

static void
tell(void *arg, const struct ge_trees_state *s)
{

	(void)arg;
	at = s;
	if (cli_verbosity() > 1 && !cli_is_quiet())
		cli_say("%d\t%d\t%d\t%.6g", s->tried, s->fold + 1, s->round,
		    s->loss);
}

static void
tell_table(const struct ge_trees *t)
{
	size_t i, inputs = 0;

	if (cli_is_quiet())
		return;
	for (i = 0; i < t->schema.ncols; i++)
		inputs += t->schema.col[i].role == GE_ROLE_INPUT;
	if (t->meaning.k > 0)
		cli_say("%zu rows, %zu input%s, %zu classes ('%s' ... '%s')",
		    t->n - t->dropped, inputs, cli_plural(inputs), t->meaning.k,
		    t->meaning.word[0], t->meaning.word[t->meaning.k - 1]);
	else
		cli_say("%zu rows, %zu input%s, a number to foretell",
		    t->n - t->dropped, inputs, cli_plural(inputs));
	if (t->dropped > 0)
		cli_say("%zu row%s without a target: left out", t->dropped,
		    cli_plural(t->dropped));
}

/* -t: what it would take of memory. */
static void
tell_memory(const struct ge_trees *t)
{
	struct ge_trees_size z;
	char b[32];

	ge_trees_bytes(t, &z);
	printf("#part\tbytes\n");
	printf("table\t%" PRIu64 "\n", z.table);
	printf("features\t%" PRIu64 "\n", z.features);
	printf("matrix\t%" PRIu64 "\n", z.matrix);
	printf("gradients\t%" PRIu64 "\n", z.gradients);
	if (!cli_is_quiet())
		cli_say("%s of memory", cli_bytes(b, z.features +
		    (z.table > z.matrix + z.gradients ? z.table : z.matrix +
		    z.gradients)));
}

static void
tell_score(const struct ge_trees *t, const struct ge_trees_score *s)
{
	const double *v = s->value;

	if (t->meaning.k > 0)
		cli_say("%s: log loss %.4f, accuracy %.4f, F1 %.4f, ROC AUC "
		    "%.4f, average precision %.4f; %.2f s, %.3g J", s->name,
		    v[GE_SCORE_LOGLOSS], v[GE_SCORE_ACCURACY], v[GE_SCORE_F1],
		    v[GE_SCORE_AUC], v[GE_SCORE_AP], s->seconds, s->joules);
	else
		cli_say("%s: RMSE %.6g, MAE %.6g, R2 %.4f; %.2f s, %.3g J",
		    s->name, v[GE_SCORE_RMSE], v[GE_SCORE_MAE],
		    v[GE_SCORE_R2], s->seconds, s->joules);
}

static void
tell_result(const struct ge_trees *t)
{
	size_t i;

	if (cli_is_quiet())
		return;
	for (i = 0; i < t->nscores; i++)
		tell_score(t, &t->score[i]);
	if (t->nscores == 0)
		cli_say("%d round%s, nothing held out; %.2f s, %.3g J (%s)",
		    t->rounds, cli_plural((uint64_t)t->rounds), t->seconds, t->joules,
		    ge_energy_method(&t->energy));
	else
		cli_say("%d round%s; at %g %%: held %.1f %%, %.3g %s; energy "
		    "by %s", t->rounds, cli_plural((uint64_t)t->rounds),
		    100 * t->o.coverage,
		    100 * t->held.coverage, t->held.size, t->meaning.k > 0 ?
		    "classes a set" : "wide", ge_energy_method(&t->energy));
	if (t->o.gco2 > 0)
		cli_say("%.3g g of CO2", t->joules / 3.6e6 * t->o.gco2);
}

static int
fit(struct options *o, struct ge_trees *t, struct ge_frame *f,
    struct ge_outdir *out, struct ge_err *e)
{

	if (ge_trees_open(t, f, &o->tables.roles, &o->trees, e) == -1)
		return (-1);
	tell_table(t);
	if (o->try) {
		tell_memory(t);
		return (0);
	}
	t->tell = tell;
	if (ge_trees_fit(t, e) == -1 || ge_trees_save(t, o->tables.sha256,
	    o->tables.digest, out, e) == -1 || ge_outdir_commit(out, e) == -1)
		return (-1);
	tell_result(t);
	return (0);
}

static int
run(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct ge_trees t = { 0 };
	struct ge_frame f = { 0 };
	struct ge_outdir *out = NULL;
	int rc = -1;

	if (!o->try && (out = ge_outdir_new(o->out, o->out == NULL ?
	    cli_stdout() : -1, o->force, e)) == NULL)
		return (-1);
	if (tables_frame(&f, &o->tables, argv, argc, e) == 0 &&
	    (o->trees.said = tables_said(&o->tables, e)) != NULL)
		rc = fit(o, &t, &f, out, e);
	at = NULL;
	ge_outdir_free(out);
	json_decref(o->trees.said);
	ge_trees_release(&t);
	ge_frame_release(&f);
	return (rc);
}

/*
 * Threads of XGBoost (OpenMP's) spin while they wait for each other, which on a busy
 * machine made two of them take twenty times as long as one.  That they sleep can
 * only be said before the program starts: start it again.
 */
static void
wait_asleep(char **argv)
{
	static char family[] = "trees";

	if (cli_jobs() == 1 || getenv("OMP_WAIT_POLICY") != NULL ||
	    setenv("OMP_WAIT_POLICY", "passive", 0) == -1)
		return;
	argv[0] = family;
	execv("/proc/self/exe", argv - 1);
	argv[0] = argv[-1];
}

int
trees_main(int argc, char **argv)
{
	struct options o = { 0 };
	struct ge_err e = { 0 };
	int rc;

	wait_asleep(argv);
	ge_trees_opts_init(&o.trees);
	tables_options_init(&o.tables);
	o.trees.version = cli_version();
	o.trees.jobs = cli_jobs();
	cli_progress(progress);
	rc = parse(&o, argc, argv, &e);
	o.trees.fixed = o.given;
	o.tables.aside = o.trees.by;
	o.tables.naside = o.trees.nby;
	if (rc == 0)
		rc = run(&o, argc - optind, argv + optind, &e);
	tables_options_release(&o.tables);
	return (cli_end(rc, &e));
}
