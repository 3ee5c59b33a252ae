#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "model/trees.h"
#include "predict.h"
#include "tables.h"
#include "util/hook.h"
#include "util/mem.h"

enum format {
	TABLE, JSON
};

enum {
	MODEL_MAX = GE_BOOST_BYTES,
	BATCH = 1024,			/* rows predicted at once, at most, */
	CELLS = 1 << 20,		/* and numbers about them */
	CAUSES = 10,			/* told of a row, unless all are asked for */
	FULL = 64 << 10			/* of a report that is to go out */
};

struct options {
	enum format format;
	struct table_options tables;
};

struct run {
	const struct options *o;
	const struct predict *p;
	struct ge_schema schema;
	struct ge_trees_meaning meaning;
	struct ge_features features;
	struct ge_series *series;
	struct ge_boost *boost;
	struct report report;
	size_t q, k;			/* features; margins a row */
	size_t batch, n;		/* rows held at most; now */
	uint64_t row;			/* of the input, the last one predicted */
	float *x;			/* [batch][q] */
	float *margin;			/* [batch][k] */
	float *part;			/* [batch][k][q + 1] contributions, or NULL */
	double *chance;			/* [classes] */
	unsigned char *in;		/* [classes] of the set */
	struct cause {
		double value;
		size_t feature;
	} *cause;			/* [q] */
};

static int
rare(struct options *o, const char *arg, struct ge_err *e)
{
	static const char *const format[] = { "tsv", "json" };
	const char *v;
	int n = 0, rc;

	if ((v = cli_option(arg, "format")) != NULL) {
		rc = cli_word("format", v, format, 2, &n, e);
		o->format = (enum format)n;
		return (rc);
	}
	rc = tables_option(&o->tables, arg, e);
	return (rc == 0 ? cli_unknown(arg, e) : rc == 1 ? 0 : -1);
}

/*
 * The model.
 */

static int
load_schema(struct run *y, struct ge_sha256 *sha, struct ge_err *e)
{
	uint8_t *buf = NULL;
	json_t *all = NULL;
	size_t len;
	int rc = -1;

	if (predict_slurp(y->p, "schema.json", GE_SCHEMA_MAX, &buf, &len, sha,
	    e) == -1)
		return (-1);
	if (ge_schema_parse(&y->schema, buf, len, &all, e) == 0) {
		if (strcmp(y->schema.family, "trees") != 0)
			ge_fail(e, GE_EREFUSED, "of a model that is no trees");
		else if (ge_trees_meaning_parse(&y->meaning, all, e) == 0)
			rc = ge_features_parse(&y->features,
			    json_object_get(all, "features"), &y->schema, e);
	}
	if (rc == -1)
		ge_within(e, "'%s/schema.json'", y->p->model);
	json_decref(all);
	ge_free(buf);
	return (rc);
}

static int
load_boost(struct run *y, struct ge_sha256 *sha, struct ge_err *e)
{
	uint8_t *buf = NULL;
	size_t len;

	if (predict_slurp(y->p, "model.json", MODEL_MAX, &buf, &len, sha, e) ==
	    -1)
		return (-1);
	y->boost = ge_boost_parse(buf, len, y->features.n, y->p->jobs, e);
	ge_free(buf);
	if (y->boost == NULL)
		return (ge_within(e, "'%s/model.json'", y->p->model));
	return (fabs(y->meaning.shift) > 0 ? ge_boost_rebase(y->boost, 0, e) :
	    0);
}

/* Do the trees say what the schema says that they do? */
static int
agree(const struct run *y, struct ge_err *e)
{
	const struct ge_boost_opts *o = ge_boost_opts_of(y->boost);
	size_t k = y->meaning.k;

	if (o->objective == (k == 0 ? GE_SQUARED : k == 2 ? GE_LOGISTIC :
	    GE_SOFTMAX) && (k <= 2 || (size_t)o->classes == k))
		return (0);
	return (ge_fail(e, GE_EREFUSED, "'%s': the classes of schema.json are "
	    "not those of model.json", y->p->model));
}

static int
make_room(struct run *y, struct ge_err *e)
{
	size_t each, k = y->meaning.k;
	int why = cli_verbosity() > 0;

	y->q = y->features.n;
	y->k = ge_boost_k(ge_boost_opts_of(y->boost));
	each = y->q + (why ? y->k * (y->q + 1) : y->k);
	y->batch = CELLS / each > BATCH ? BATCH : CELLS / each + 1;
	if ((y->x = ge_alloc(y->batch * y->q * sizeof(*y->x), e)) == NULL ||
	    (y->margin = ge_alloc(y->batch * y->k * sizeof(*y->margin), e)) ==
	    NULL || (y->chance = ge_alloc((k + 1) * sizeof(*y->chance), e)) ==
	    NULL || (y->in = ge_alloc(k + 1, e)) == NULL)
		return (-1);
	if (why && ((y->part = ge_alloc(y->batch * y->k * (y->q + 1) *
	    sizeof(*y->part), e)) == NULL ||
	    (y->cause = ge_alloc(y->q * sizeof(*y->cause), e)) == NULL))
		return (-1);
	return (0);
}

static int
load(struct run *y, struct ge_err *e)
{
	struct ge_sha256 sha;

	ge_sha256_init(&sha);
	if (load_schema(y, &sha, e) == -1 || load_boost(y, &sha, e) == -1 ||
	    agree(y, e) == -1 || make_room(y, e) == -1)
		return (-1);
	if (ge_features_in_time(&y->features) &&
	    (y->series = ge_series_new(&y->features, e)) == NULL)
		return (-1);
	return (0);
}

/*
 * A line of the report.
 */

/* What is said of a row. */
struct verdict {
	const float *margin;
	size_t class;			/* of classes */
	double number, low, high;	/* of numbers */
	size_t ncauses;
};

static int
by_size(const void *a, const void *b)
{
	const struct cause *p = a, *q = b;
	double x = fabs(p->value), y = fabs(q->value);

	return (x > y ? -1 : x < y ? 1 : (p->feature > q->feature) -
	    (p->feature < q->feature));
}

/* What each feature adds to the margin of what is said, the most first. */
static size_t
find_causes(struct run *y, size_t i, size_t class)
{
	size_t k = y->k > 1 ? class : 0, j, n = 0;
	const float *part = y->part + (i * y->k + k) * (y->q + 1);
	double sign = y->meaning.k == 2 && class == 0 ? -1 : 1;

	for (j = 0; j < y->q; j++)
		if (part[j] > 0 || part[j] < 0)
			y->cause[n++] = (struct cause){ sign * (double)part[j],
			    j };
	qsort(y->cause, n, sizeof(*y->cause), by_size);
	return (n > CAUSES && cli_verbosity() < 2 ? CAUSES : n);
}

/* Digits that tell the bounds apart, and the prediction from them. */
static int
digits(const struct verdict *v)
{
	double far = fmax(fabs(v->low), fabs(v->high));
	double n = ceil(log10(far / (v->high - v->low))) + 4;

	return (!isfinite(n) || n < 9 ? 9 : n > 17 ? 17 : (int)n);
}

/* way: 0, or where a bound may be rounded to, so that it holds what it held: -1, 1. */
static void
put_number(struct report *o, double x, int n, int way, const char *none)
{
	char text[40];
	double to = x;

	if (!isfinite(x)) {
		ge_buf_put(&o->b, "%s", none);
		return;
	}
	for (;;) {
		snprintf(text, sizeof(text), "%.*g", n, to);
		if (!(way * strtod(text, NULL) < way * x))
			break;
		to += way * fabs(x) * pow(10, -n);
	}
	ge_buf_put(&o->b, "%s", text);
}

static void
put_word(struct run *y, size_t class,
    void (*put)(struct report *o, const char *s, size_t len))
{
	const char *s = y->meaning.word[class];

	put(&y->report, s, strlen(s));
}

/* The classes of the set, with commas between. */
static void
put_set(struct run *y, const char *comma,
    void (*put)(struct report *o, const char *s, size_t len))
{
	size_t k, n = 0;

	for (k = 0; k < y->meaning.k; k++) {
		if (!y->in[k])
			continue;
		ge_buf_put(&y->report.b, "%s", n++ > 0 ? comma : "");
		put_word(y, k, put);
	}
}

static void
tsv_row(struct run *y, const struct verdict *v)
{
	struct report *o = &y->report;
	const char *name;
	size_t i;

	report_count(o, y->row);
	report_put(o, "\t", 1);
	if (y->meaning.k > 0) {
		put_word(y, v->class, report_name);
		report_put(o, "\t", 1);
		report_fixed(o, y->chance[v->class]);
		report_put(o, "\t", 1);
		put_set(y, ",", report_name);
		report_put(o, "\t\t", 2);
	} else {
		put_number(o, v->number, digits(v), 0, "");
		report_put(o, "\t\t", 2);
		put_number(o, v->low, digits(v), -1, "");
		report_put(o, "\t", 1);
		put_number(o, v->high, digits(v), 1, "");
		report_put(o, "\t", 1);
	}
	for (i = 0; i < v->ncauses; i++) {
		name = y->features.f[y->cause[i].feature].name;
		report_put(o, ",", i > 0);
		report_name(o, name, strlen(name));
		ge_buf_put(&o->b, ":%.4g", y->cause[i].value);
	}
	report_put(o, "\n", 1);
}

static void
json_causes(struct run *y, const struct verdict *v)
{
	struct report *o = &y->report;
	const char *name;
	size_t i;

	ge_buf_put(&o->b, ", \"causes\": [");
	for (i = 0; i < v->ncauses; i++) {
		name = y->features.f[y->cause[i].feature].name;
		ge_buf_put(&o->b, "%s{\"name\": ", i > 0 ? ", " : "");
		report_quoted(o, name, strlen(name));
		ge_buf_put(&o->b, ", \"contribution\": %.4g}",
		    y->cause[i].value);
	}
	ge_buf_put(&o->b, "]");
}

static void
json_row(struct run *y, const struct verdict *v)
{
	struct report *o = &y->report;

	ge_buf_put(&o->b, "{\"row\": %llu, \"prediction\": ",
	    (unsigned long long)y->row);
	if (y->meaning.k > 0) {
		put_word(y, v->class, report_quoted);
		ge_buf_put(&o->b, ", \"probability\": ");
		report_fixed(o, y->chance[v->class]);
		if (y->meaning.conformal.kind != GE_CONFORMAL_NONE) {
			ge_buf_put(&o->b, ", \"set\": [");
			put_set(y, ", ", report_quoted);
			ge_buf_put(&o->b, "]");
		}
	} else {
		put_number(o, v->number, digits(v), 0, "null");
		ge_buf_put(&o->b, ", \"low\": ");
		put_number(o, v->low, digits(v), -1, "null");
		ge_buf_put(&o->b, ", \"high\": ");
		put_number(o, v->high, digits(v), 1, "null");
	}
	if (y->part != NULL)
		json_causes(y, v);
	ge_buf_put(&o->b, "}\n");
}

/* Row i of those held. */
static void
tell(struct run *y, size_t i)
{
	const struct ge_trees_meaning *m = &y->meaning;
	struct verdict v = { .margin = y->margin + i * y->k, .low = NAN,
	    .high = NAN };

	if (m->k > 0) {
		ge_calibration_apply(&m->calibration, v.margin, y->chance);
		v.class = ge_decide(&m->decide, y->chance);
		if (m->conformal.kind == GE_CONFORMAL_SETS)
			ge_conformal_in(&m->conformal, v.margin, y->in);
	} else {
		v.number = ge_trees_number(m, (double)*v.margin);
		if (m->conformal.kind == GE_CONFORMAL_INTERVAL) {
			ge_conformal_bounds(&m->conformal, v.number, &v.low,
			    &v.high);
			v.low = ge_trees_number(m, v.low) + m->shift;
			v.high = ge_trees_number(m, v.high) + m->shift;
		}
		v.number += m->shift;
	}
	if (y->part != NULL)
		v.ncauses = find_causes(y, i, v.class);
	y->row++;
	if (y->o->format == JSON)
		json_row(y, &v);
	else
		tsv_row(y, &v);
}

/* The rows held become lines. */
static int
predict_held(struct run *y, struct ge_err *e)
{
	size_t n = y->n, i;

	y->n = 0;
	y->report.b.e = e;
	if (n == 0)
		return (0);
	if (ge_boost_margins(y->boost, y->x, n, y->margin, e) == -1 ||
	    (y->part != NULL && ge_boost_shap(y->boost, y->x, n, y->part, e) ==
	    -1))
		return (-1);
	for (i = 0; i < n; i++)
		tell(y, i);
	return (y->report.b.rc == -1 || y->report.b.len >= FULL ?
	    report_flush(&y->report, e) : 0);
}

static int
each_row(void *arg, const struct predict_row *r, struct ge_err *e)
{
	struct run *y = arg;

	if (r->first && y->series != NULL && y->features.group == GE_F_NONE)
		ge_series_restart(y->series);
	if (ge_features_row(&y->features, y->series, r->v, y->x + y->n * y->q,
	    e) == -1)
		return (e->code == GE_EREFUSED ? ge_within(e, "row %llu",
		    (unsigned long long)(y->row + y->n + 1)) : -1);
	return (++y->n < y->batch ? 0 : predict_held(y, e));
}

static int
paused(void *arg, struct ge_err *e)
{
	struct run *y = arg;

	return (predict_held(y, e) == -1 ? -1 : report_flush(&y->report, e));
}

/* What was made of the input before it failed goes out. */
static void
give_up(struct run *y)
{
	struct ge_err e = { 0, 0, "" };

	if (y->report.b.rc == -1 || y->row + y->n == 0)
		return;
	if (ge_hook_tick(0, &e) == -1)
		(void)report_last(&y->report);
	else if (predict_held(y, &e) == -1 ||
	    report_flush(&y->report, &e) == -1)
		cli_say("%s", e.msg);
}

static void
tell_forgotten(const struct run *y)
{
	uint64_t n = y->series != NULL ? ge_series_forgotten(y->series) : 0;

	if (n > 0)
		ge_note(GE_WARN, "too many groups: %llu time%s that which was "
		    "not seen for longest was forgotten", (unsigned long long)n,
		    cli_plural(n));
}

static int
work(struct run *y, struct ge_err *e)
{
	const struct predict_fn fn = { each_row, paused, y };
	unsigned int want = 0;

	y->report.fd = cli_stdout();
	y->report.b.e = e;
	if (load(y, e) == -1)
		return (-1);
	if (y->series != NULL)
		want = 1u << GE_ROLE_TIME | 1u << GE_ROLE_GROUP;
	if (y->o->format == TABLE)
		ge_buf_put(&y->report.b, "#row\tprediction\tprobability\tlow\t"
		    "high\tcauses\n");
	if (predict_rows(y->p, &y->schema, want, &y->o->tables, &fn, e) == -1) {
		give_up(y);
		return (-1);
	}
	tell_forgotten(y);
	return (paused(y, e));
}

static void
release(struct run *y)
{

	report_release(&y->report);
	ge_series_free(y->series);
	ge_boost_free(y->boost);
	ge_features_release(&y->features);
	ge_trees_meaning_release(&y->meaning);
	ge_schema_release(&y->schema);
	ge_free(y->x);
	ge_free(y->margin);
	ge_free(y->part);
	ge_free(y->chance);
	ge_free(y->in);
	ge_free(y->cause);
}

static int
run(const struct predict *p, struct ge_err *e)
{
	struct options o;
	struct run y = { .o = &o, .p = p };
	size_t i;
	int rc = 0;

	memset(&o, 0, sizeof(o));
	tables_options_init(&o.tables);
	for (i = 0; i < p->nopts && rc == 0; i++)
		rc = rare(&o, p->opt[i], e);
	if (rc == 0)
		rc = work(&y, e);
	release(&y);
	tables_options_release(&o.tables);
	return (rc);
}

static const char *const names[] = {
	"entries", "format", "header", "ratio", "sep", "unpacked", NULL
};

const struct predict_family predict_trees = { "model.json", names, run };
