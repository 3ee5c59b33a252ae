#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "model/sentry.h"
#include "predict.h"
#include "tables.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/thread.h"

enum format {
	TABLE, JSON, PROMETHEUS, TEXT
};

enum {
	MODEL_MAX = 1 << 30,
	STATE_MAX = 1 << 28,
	FULL = 64 << 10,		/* of a report that is to go out */
	SHARE = 1000,			/* parts that shares are told in */
	NAMED = 8			/* most names in a line */
};

struct options {
	enum format format;
	const char *state;
	struct table_options tables;
};

struct run {
	const struct options *o;
	const struct predict *p;
	struct ge_schema schema;
	struct ge_monitor monitor;
	struct ge_sentry *sentry;
	struct report report;
	struct ge_file state;		/* where it will be saved */
	size_t *col;			/* [monitor.p] its columns of the schema */
	char **name, **quoted;		/* [monitor.p] in lists; in JSON */
	double *x;			/* [monitor.p] */
	char limit[32];
	size_t time, group;		/* columns of the schema, or SIZE_MAX */
	int begun;			/* there was a row */
	double last;			/* score of the last row, or NaN */
	size_t missing;			/* variables without a value in it */
};

static int
rare(struct options *o, const char *arg, struct ge_err *e)
{
	static const char *const format[] = { "tsv", "json", "prometheus",
	    "text" };
	const char *v;
	int n = 0, rc;

	if ((v = cli_option(arg, "format")) != NULL) {
		rc = cli_word("format", v, format, 4, &n, e);
		o->format = (enum format)n;
		return (rc);
	}
	if ((v = cli_option(arg, "state")) != NULL) {
		o->state = v;
		return (*v != '\0' ? 0 : ge_fail(e, GE_EUSAGE,
		    "state: which file?"));
	}
	rc = tables_option(&o->tables, arg, e);
	return (rc == 0 ? cli_unknown(arg, e) : rc == 1 ? 0 : -1);
}

/* A name as put writes it; NULL without memory. */
static char *
written(void (*put)(struct report *o, const char *s, size_t len),
    const char *name, struct ge_err *e)
{
	struct report o = { .b = { .e = e } };
	char *s;

	put(&o, name, strlen(name));
	report_put(&o, "", 1);
	(void)ge_buf_done(&o.b, &s, NULL);
	return (s);
}

/* The columns that the monitor watches, and what the report calls them. */
static int
columns(struct run *y, struct ge_err *e)
{
	const struct ge_schema *s = &y->schema;
	const size_t p = y->monitor.p;
	size_t i = 0, j;

	for (j = 0; j < s->ncols; j++)
		i += s->col[j].role == GE_ROLE_INPUT;
	if (i != p)
		return (ge_fail(e, GE_EREFUSED, "'%s': %zu inputs in "
		    "schema.json, %zu in monitor.safetensors", y->p->model, i,
		    p));
	if ((y->col = ge_alloc(p * sizeof(*y->col), e)) == NULL ||
	    (y->name = ge_alloc(p * sizeof(*y->name), e)) == NULL ||
	    (y->quoted = ge_alloc(p * sizeof(*y->quoted), e)) == NULL ||
	    (y->x = ge_alloc(p * sizeof(*y->x), e)) == NULL)
		return (-1);
	for (i = j = 0; j < s->ncols; j++) {
		if (s->col[j].role != GE_ROLE_INPUT)
			continue;
		if (s->col[j].type != GE_FRAME_NUMBER)
			return (ge_fail(e, GE_EREFUSED, "'%s/schema.json': input "
			    "'%s' is no number", y->p->model, s->col[j].name));
		if ((y->name[i] = written(report_name, s->col[j].name, e)) ==
		    NULL || (y->quoted[i] = written(report_quoted,
		    s->col[j].name, e)) == NULL)
			return (-1);
		y->col[i++] = j;
	}
	y->time = ge_schema_find(s, GE_ROLE_TIME);
	y->group = ge_schema_find(s, GE_ROLE_GROUP);
	return (0);
}

/* The time between rows that the model learnt from, 0 if it had none. */
static int
step_of(const struct run *y, const json_t *all, double *step, struct ge_err *e)
{
	const json_t *m = json_object_get(all, "monitor");
	const json_t *j = json_object_get(m, "step");

	*step = json_number_value(j);
	if (!json_is_number(j) || !(*step >= 0))
		return (ge_fail(e, GE_EREFUSED, "'%s/schema.json': no step of "
		    "a monitor", y->p->model));
	return (0);
}

static int
load(struct run *y, struct ge_err *e)
{
	struct ge_sha256 sha;
	uint8_t *buf = NULL, digest[32];
	json_t *all = NULL;
	double step;
	size_t len;
	int rc = -1;

	ge_sha256_init(&sha);
	if (predict_slurp(y->p, "monitor.safetensors", MODEL_MAX, &buf, &len,
	    &sha, e) == -1)
		goto out;
	if (ge_monitor_parse(&y->monitor, buf, len, e) == -1) {
		ge_within(e, "'%s/monitor.safetensors'", y->p->model);
		goto out;
	}
	ge_free(buf);
	buf = NULL;
	if (predict_slurp(y->p, "schema.json", GE_SCHEMA_MAX, &buf, &len, &sha,
	    e) == -1)
		goto out;
	if (ge_schema_parse(&y->schema, buf, len, &all, e) == -1) {
		ge_within(e, "'%s/schema.json'", y->p->model);
		goto out;
	}
	if (strcmp(y->schema.family, "monitor") != 0) {
		ge_fail(e, GE_EREFUSED, "'%s/schema.json': of a model that is "
		    "no monitor", y->p->model);
		goto out;
	}
	ge_sha256_end(&sha, digest);
	if (columns(y, e) == -1 || step_of(y, all, &step, e) == -1)
		goto out;
	y->sentry = ge_sentry_new(&y->monitor, step, digest, e);
	rc = y->sentry == NULL ? -1 : 0;
out:
	json_decref(all);
	ge_free(buf);
	return (rc);
}

/*
 * The state, if there is one; and room for the new one beside it, so that what stands
 * in its way is told now and not after a week.
 */
static int
resume(struct run *y, struct ge_err *e)
{
	uint8_t *buf = NULL;
	size_t len;
	int rc;

	if (ge_file_open(&y->state, y->o->state, GE_OVER_FILE, e) == -1)
		return (-1);
	if (y->state.direct)
		return (ge_fail(e, GE_EUSAGE, "state '%s': not a plain file",
		    y->o->state));
	if (access(y->o->state, F_OK) == -1)
		return (0);
	if (ge_slurp(y->o->state, STATE_MAX, &buf, &len, e) == -1)
		return (-1);
	if ((rc = ge_sentry_resume(y->sentry, buf, len, e)) == -1)
		ge_within(e, "'%s'", y->o->state);
	ge_free(buf);
	return (rc);
}

/* ge_pwrite, since a signal stops what else writes. */
static int
save(struct run *y, struct ge_err *e)
{
	uint8_t *buf;
	size_t len;
	int rc;

	if (y->o->state == NULL)
		return (0);
	if (ge_sentry_save(y->sentry, &buf, &len, e) == -1)
		return (-1);
	rc = ge_pwrite(y->state.fd, buf, len, 0, e);
	ge_free(buf);
	if (rc == -1)
		return (ge_within(e, "'%s'", y->o->state));
	return (ge_file_commit(&y->state, GE_OVER_FILE, e));
}

/* A row and its time, as a sentence has them. */
static void
put_when(struct ge_buf *b, uint64_t row, const char *time, size_t len)
{

	if (len > 0)
		ge_buf_put(b, "%.*s", (int)len, time);
	else
		ge_buf_put(b, "row %llu", (unsigned long long)row);
}

/* The same of an earlier one, without the date if that is the same. */
static void
put_since(struct ge_buf *b, const struct ge_stamp *t, const char *now,
    size_t len)
{
	const char *time = t->time;

	if (len > 11 && strlen(time) > 11 && memcmp(now, time, 11) == 0 &&
	    now[4] == '-' && now[7] == '-' && (now[10] == 'T' ||
	    now[10] == ' '))
		time += 11;
	put_when(b, t->row, time, strlen(time));
}

static void
put_first(struct ge_buf *b, const struct run *y, const struct ge_sight *g)
{
	const struct ge_monitor_cause *c;
	size_t i;

	for (i = 0; i < g->norder; i++) {
		c = &g->v.cause[g->order[i]];
		ge_buf_put(b, " %s %s %+.1fs", i == 0 ? "first" : "then",
		    y->name[c->col], c->sigma);
	}
}

/* The row that something is said of, and its group. */
static void
put_row(struct report *o, const struct run *y, const struct predict_row *r,
    const struct ge_sight *g)
{

	put_when(&o->b, g->row, r->time, r->timelen);
	if (y->group == SIZE_MAX)
		return;
	report_put(o, " ", 1);
	report_name(o, r->group, r->grouplen);
}

/* What an operator is told of an event. */
static void
sentence(struct report *o, const struct run *y, const struct predict_row *r,
    const struct ge_sight *g)
{

	put_row(o, y, r, g);
	ge_buf_put(&o->b, g->event == GE_EVENT_END ? " end of drift since " :
	    " drift since ");
	put_since(&o->b, &g->since, r->time, r->timelen);
	if (g->event == GE_EVENT_END)
		ge_buf_put(&o->b, " limit x%.1f at most", g->most);
	else
		ge_buf_put(&o->b, " limit x%.1f", g->v.score / g->v.limit);
	put_first(&o->b, y, g);
}

/* The same on standard error, with -v. */
static int
say(const struct run *y, const struct predict_row *r,
    const struct ge_sight *g, struct ge_err *e)
{
	struct report o = { .b = { .e = e } };
	char *s;

	sentence(&o, y, r, g);
	report_put(&o, "", 1);
	if (ge_buf_done(&o.b, &s, NULL) == -1)
		return (-1);
	cli_say("%s", s);
	ge_free(s);
	return (0);
}

/* Variables that have no value any more (gone), or one again. */
static int
warn(const struct run *y, const struct predict_row *r,
    const struct ge_sight *g, int gone, struct ge_err *e)
{
	struct report o = { .b = { .e = e } };
	char *s;
	size_t i, n = 0;

	put_row(&o, y, r, g);
	ge_buf_put(&o.b, gone ? ": no value for %d rows:" :
	    ": values again behind %d rows and more:", GE_SENTRY_GONE);
	for (i = 0; i < g->nturned; i++)
		if (ge_sentry_gone(y->sentry, g->turned[i]) == gone &&
		    n++ < NAMED)
			ge_buf_put(&o.b, " %s", y->name[g->turned[i]]);
	if (n > NAMED)
		ge_buf_put(&o.b, " and %zu more", n - NAMED);
	report_put(&o, "", 1);
	if (ge_buf_done(&o.b, &s, NULL) == -1)
		return (-1);
	if (n > 0)
		ge_note(GE_WARN, "%s", s);
	ge_free(s);
	return (0);
}

/* A row with nothing in it has no score. */
static int
blind(const struct run *y, const struct ge_sight *g)
{

	return (g->missing == y->monitor.p && !g->v.alarm);
}

static void
tsv_row(struct report *o, const struct run *y, const struct predict_row *r,
    const struct ge_sight *g)
{
	const struct ge_monitor_cause *c = g->v.cause;
	size_t i;

	report_count(o, g->row);
	report_put(o, "\t", 1);
	report_put(o, r->time, r->timelen);
	report_put(o, g->v.alarm ? "\t1\t" : "\t0\t", 3);
	if (!blind(y, g))
		report_fixed(o, g->v.score);
	report_put(o, y->limit, strlen(y->limit));
	for (i = 0; i < g->v.ncauses; i++) {
		report_put(o, ",", i > 0);
		report_put(o, y->name[c[i].col], strlen(y->name[c[i].col]));
		report_put(o, ":", 1);
		report_fixed(o, round(c[i].share * SHARE) / SHARE);
	}
	if (y->group != SIZE_MAX) {
		report_put(o, "\t", 1);
		report_name(o, r->group, r->grouplen);
	}
	report_put(o, "\n", 1);
}

static void
json_row(struct report *o, const struct run *y, const struct predict_row *r,
    const struct ge_sight *g)
{
	const struct ge_monitor_cause *c = g->v.cause;
	const struct ge_stamp *left;
	size_t i;

	ge_buf_put(&o->b, "{\"row\": %llu, \"time\": ",
	    (unsigned long long)g->row);
	if (y->time == SIZE_MAX)
		ge_buf_put(&o->b, "null");
	else
		report_quoted(o, r->time, r->timelen);
	if (y->group != SIZE_MAX) {
		ge_buf_put(&o->b, ", \"group\": ");
		report_quoted(o, r->group, r->grouplen);
	}
	ge_buf_put(&o->b, ", \"alarm\": %d, \"score\": ", g->v.alarm);
	if (blind(y, g))
		ge_buf_put(&o->b, "null");
	else
		report_fixed(o, g->v.score);
	ge_buf_put(&o->b, ", \"limit\": %s, \"causes\": [", y->limit);
	for (i = 0; i < g->v.ncauses; i++) {
		ge_buf_put(&o->b, "%s{\"name\": %s, \"share\": %.3f, "
		    "\"spreads\": %.1f", i > 0 ? ", " : "",
		    y->quoted[c[i].col], c[i].share, c[i].sigma);
		left = ge_sentry_left(y->sentry, c[i].col);
		if (left->row > 0)
			ge_buf_put(&o->b, ", \"since\": %llu",
			    (unsigned long long)left->row);
		report_put(o, "}", 1);
	}
	report_put(o, "]}\n", 3);
}

static int
tell(struct run *y, const struct predict_row *r, const struct ge_sight *g,
    struct ge_err *e)
{
	struct report *o = &y->report;

	y->last = blind(y, g) ? (double)NAN : g->v.score;
	y->missing = g->missing;
	if (g->nturned > 0 && (warn(y, r, g, 1, e) == -1 ||
	    warn(y, r, g, 0, e) == -1))
		return (-1);
	if (g->event != GE_EVENT_NONE && cli_verbosity() > 0 &&
	    say(y, r, g, e) == -1)
		return (-1);
	switch (y->o->format) {
	case TABLE:
		if (g->v.alarm || !cli_is_quiet())
			tsv_row(o, y, r, g);
		break;
	case JSON:
		if (g->v.alarm || !cli_is_quiet())
			json_row(o, y, r, g);
		break;
	case TEXT:
		if (g->event == GE_EVENT_NONE)
			break;
		sentence(o, y, r, g);
		report_put(o, "\n", 1);
		break;
	case PROMETHEUS:
		break;
	}
	o->b.e = e;
	return (o->b.rc == -1 || o->b.len >= FULL ? report_flush(o, e) : 0);
}

static int
each_row(void *arg, const struct predict_row *r, struct ge_err *e)
{
	struct run *y = arg;
	struct ge_sentry_row x = { .x = y->x, .t = (double)NAN,
	    .time = r->time, .timelen = r->timelen, .group = r->key,
	    .grouplen = r->keylen };
	struct ge_sight g;
	size_t i;

	for (i = 0; i < y->monitor.p; i++)
		y->x[i] = r->v[y->col[i]];
	if (y->time != SIZE_MAX)
		x.t = r->v[y->time];
	else if (r->first && y->begun)
		ge_sentry_break(y->sentry);
	y->begun = 1;
	if (ge_sentry_step(y->sentry, &x, &g, e) == -1)
		return (-1);
	return (tell(y, r, &g, e));
}

static int
paused(void *arg, struct ge_err *e)
{
	struct run *y = arg;

	return (report_flush(&y->report, e));
}

static void
metric(struct report *o, const char *name, const char *type, const char *help,
    double v)
{

	ge_buf_put(&o->b, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help,
	    name, type, name, v);
}

static void
metrics(struct run *y, double seconds)
{
	struct report *o = &y->report;

	metric(o, "ge_monitor_rows_total", "counter", "Rows that were watched.",
	    (double)ge_sentry_rows(y->sentry));
	metric(o, "ge_monitor_alarm_rows_total", "counter",
	    "Rows with an alarm.", (double)ge_sentry_alarms(y->sentry));
	metric(o, "ge_monitor_alarms", "gauge", "Processes with an alarm now.",
	    (double)ge_sentry_raised(y->sentry));
	metric(o, "ge_monitor_score", "gauge", "Score of the last row.",
	    y->last);
	metric(o, "ge_monitor_limit", "gauge",
	    "What a score above is an alarm.", (double)y->monitor.bound);
	metric(o, "ge_monitor_missing", "gauge",
	    "Variables without a value in the last row.", (double)y->missing);
	metric(o, "ge_monitor_seconds", "gauge", "Seconds that this run took.",
	    seconds);
}

static int
begin(struct run *y, struct ge_err *e)
{
	struct report *o = &y->report;

	o->fd = cli_stdout();
	o->b.e = e;
	if (load(y, e) == -1 || (y->o->state != NULL && resume(y, e) == -1))
		return (-1);
	snprintf(y->limit, sizeof(y->limit), y->o->format == TABLE ?
	    "\t%.6g\t" : "%.6g", (double)y->monitor.bound);
	if (y->o->format == TABLE)
		ge_buf_put(&o->b, "#row\ttime\talarm\tscore\tlimit\tcauses%s\n",
		    y->group != SIZE_MAX ? "\tgroup" : "");
	return (o->b.rc);
}

/*
 * What was made of the input before it failed goes out, and if it was a signal that ended
 * it, or a row that is none (refused), into the state.
 */
static void
give_up(struct run *y, int refused)
{
	struct ge_err e = { 0, 0, "" };

	if (!y->begun)
		return;
	if (ge_hook_tick(0, &e) == 0) {
		if ((report_flush(&y->report, &e) == -1 ||
		    (refused && save(y, &e) == -1)) && e.code != 0)
			cli_say("%s", e.msg);
	} else if (report_last(&y->report) == 0) {
		if (save(y, &e) == -1)
			cli_say("%s", e.msg);
	} else if (y->o->state != NULL) {
		cli_say("'%s': not saved: nobody took the report",
		    y->o->state);
	}
}

static void
summary(const struct run *y, uint64_t before, double seconds)
{
	uint64_t n = ge_sentry_rows(y->sentry) - before;

	if (cli_verbosity() > 0 && !cli_is_quiet())
		cli_say("%llu row%s, %.0f rows/s", (unsigned long long)n,
		    cli_plural(n), seconds > 0 ? (double)n / seconds : 0);
}

static int
watch(struct run *y, struct ge_err *e)
{
	const struct predict_fn fn = { each_row, paused, y };
	const unsigned int want = 1u << GE_ROLE_TIME | 1u << GE_ROLE_GROUP;
	const uint64_t before = ge_sentry_rows(y->sentry);
	double began = ge_clock();

	if (predict_rows(y->p, &y->schema, want, &y->o->tables, &fn, e) == -1) {
		give_up(y, e->code == GE_EREFUSED);
		return (-1);
	}
	if (y->o->format == PROMETHEUS)
		metrics(y, ge_clock() - began);
	if (report_flush(&y->report, e) == -1 || save(y, e) == -1)
		return (-1);
	summary(y, before, ge_clock() - began);
	return (0);
}

static void
free_names(char **name, size_t n)
{

	while (name != NULL && n > 0)
		ge_free(name[--n]);
	ge_free(name);
}

static void
release(struct run *y)
{

	ge_file_release(&y->state);
	report_release(&y->report);
	ge_sentry_free(y->sentry);
	free_names(y->name, y->monitor.p);
	free_names(y->quoted, y->monitor.p);
	ge_free(y->col);
	ge_free(y->x);
	ge_monitor_release(&y->monitor);
	ge_schema_release(&y->schema);
}

static int
run(const struct predict *p, struct ge_err *e)
{
	struct options o;
	struct run y = { .o = &o, .p = p, .state = GE_FILE_NONE };
	size_t i;
	int rc = 0;

	memset(&o, 0, sizeof(o));
	tables_options_init(&o.tables);
	for (i = 0; i < p->nopts && rc == 0; i++)
		rc = rare(&o, p->opt[i], e);
	if (rc == 0 && (rc = begin(&y, e)) == 0)
		rc = watch(&y, e);
	release(&y);
	tables_options_release(&o.tables);
	return (rc);
}

static const char *const names[] = {
	"entries", "format", "header", "ratio", "sep", "state", "unpacked",
	NULL
};

const struct predict_family predict_monitor = { "monitor.safetensors", names,
	run };
