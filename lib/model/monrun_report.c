#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/monrun.h"
#include "util/buf.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	CARD_GROUPS = 50		/* most of the card; run.json has all */
};

static json_t *
tally(const struct ge_mon *r, const struct ge_mon_tally *t)
{
	json_t *j = json_object();
	double day = ge_mon_a_day(r, t);

	if (t->nominal > 0) {
		json_object_set_new(j, "nominal_rows",
		    json_integer((json_int_t)t->nominal));
		json_object_set_new(j, "false_alarms",
		    json_integer((json_int_t)t->wrong));
		json_object_set_new(j, "false_alarm_rate",
		    json_real((double)t->wrong / (double)t->nominal));
		json_object_set_new(j, "false_alarms_begun",
		    json_integer((json_int_t)t->events));
		if (!isnan(day))
			json_object_set_new(j, "false_alarms_a_day",
			    json_real(day));
	}
	if (t->faulty > 0) {
		json_object_set_new(j, "faulty_rows",
		    json_integer((json_int_t)t->faulty));
		json_object_set_new(j, "detected",
		    json_real((double)t->right / (double)t->faulty));
		json_object_set_new(j, "faults",
		    json_integer((json_int_t)t->faults));
		json_object_set_new(j, "faults_found",
		    json_integer((json_int_t)t->found));
		json_object_set_new(j, "f1", json_real(ge_mon_f1(t)));
	}
	if (t->found > 0)
		json_object_set_new(j, "mean_delay_rows",
		    json_real(t->delay / (double)t->found));
	return (j);
}

static json_t *
method(const struct ge_mon *r, const struct ge_mon_method *m)
{
	json_t *j = tally(r, &m->tally);

	json_object_set_new(j, "name", json_string(m->name));
	json_object_set_new(j, "seconds", json_real(m->seconds));
	json_object_set_new(j, "joules", json_real(m->joules));
	return (j);
}

static json_t *
data(const struct ge_mon *r)
{
	char hex[65];
	json_t *j;

	j = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "sha256", ge_hex(hex, r->data, 32), "rows", (json_int_t)r->n,
	    "nominal", (json_int_t)(r->count[GE_MON_LEARN] +
	    r->count[GE_MON_HELD]),
	    "held_out", (json_int_t)r->count[GE_MON_HELD],
	    "faulty", (json_int_t)r->count[GE_MON_FAULT],
	    "columns", (json_int_t)r->schema.ncols,
	    "variables", (json_int_t)r->p,
	    "groups", (json_int_t)r->ngroups);
	if (j != NULL && r->step > 0)
		json_object_set_new(j, "step_seconds", json_real(r->step));
	if (j != NULL && r->o.digest != NULL)
		json_object_set_new(j, "set_digest",
		    json_string(r->o.digest));
	return (j);
}

static json_t *
options(const struct ge_mon *r)
{
	const struct ge_mon_opts *o = &r->o;
	json_t *j;

	j = json_pack("{s:f, s:b, s:I, s:I, s:b, s:f, s:s*, s:s*, s:s*}",
	    "far", o->far, "a_day", o->daily, "lags", (json_int_t)o->lags,
	    "modes", (json_int_t)o->modes, "hinges", o->hinges,
	    "hold", o->hold, "time", o->time, "group", o->group, "mark",
	    o->mark);
	if (j != NULL && o->mark != NULL)
		json_object_set_new(j, "value", json_string(o->value));
	if (j != NULL && o->last > 0)
		json_object_set_new(j, "rows", json_pack("[I, I]",
		    (json_int_t)o->first, (json_int_t)o->last));
	return (j);
}

static json_t *
model(const struct ge_mon *r)
{
	const struct ge_monitor *m = &r->m;
	size_t i, judged = 0, wander = 0;

	for (i = 0; i < r->p; i++) {
		judged += m->used[i] > 0 || m->used[r->p + i] > 0;
		wander += m->wander[i] > 0;
	}
	return (json_pack("{s:I, s:I, s:b, s:[f, f], s:[f, f], s:I, s:I, s:I, "
	    "s:f, s:f}",
	    "lags", (json_int_t)m->lags, "modes", (json_int_t)m->modes,
	    "hinges", m->hinges, "ridge", m->ridge[0], m->ridge[1],
	    "held_out_nats", m->held[0], m->held[1],
	    "variables_judged", (json_int_t)judged,
	    "variables_that_wander", (json_int_t)wander,
	    "outliers", (json_int_t)m->dropped,
	    "far", r->far, "limit", (double)m->bound));
}

static json_t *
baselines(const struct ge_mon *r)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < GE_MON_BASELINES; i++)
		if (r->base[i].name != NULL)
			json_array_append_new(a, method(r, &r->base[i]));
	return (a);
}

static json_t *
by_group(const struct ge_mon *r)
{
	json_t *a = json_array(), *j;
	size_t g;

	for (g = 0; g < r->ngroups; g++) {
		j = tally(r, &r->by_group[g]);
		json_object_set_new(j, "group", json_string(r->name[g]));
		json_array_append_new(a, j);
	}
	return (a);
}

static json_t *
by_mode(const struct ge_mon *r)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < GE_MONITOR_MODES; i++)
		json_array_append_new(a, tally(r, &r->by_mode[i]));
	return (a);
}

static json_t *
result(const struct ge_mon *r)
{
	json_t *j;

	j = json_pack("{s:f, s:f, s:s}", "seconds", r->seconds,
	    "joules", r->joules, "energy_method",
	    ge_energy_method(&r->energy));
	if (j != NULL && r->o.gco2 > 0)
		json_object_set_new(j, "gco2", json_real(r->joules / 3.6e6 *
		    r->o.gco2));
	if (j == NULL || !ge_mon_measured(r))
		return (j);
	json_object_set_new(j, "this", method(r, &r->self));
	json_object_set_new(j, "baselines", baselines(r));
	if (r->name != NULL)
		json_object_set_new(j, "by_group", by_group(r));
	if (r->m.modes > 1)
		json_object_set_new(j, "by_mode", by_mode(r));
	return (j);
}

char *
ge_mon_report(const struct ge_mon *r, struct ge_err *e)
{
	char *text = NULL, *out = NULL;
	json_t *j;

	j = json_pack("{s:s, s:s+, s:I, s:o?, s:o?, s:o?, s:o?}",
	    "family", "monitor", "program", "getools ", r->o.version,
	    "started", (json_int_t)r->started, "data", data(r),
	    "options", options(r), "model", model(r), "result", result(r));
	if (j != NULL)
		text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
	if (text == NULL)
		ge_fail(e, GE_EFAIL, "out of memory");
	else if ((out = ge_alloc(strlen(text) + 2, e)) != NULL)
		sprintf(out, "%s\n", text);
	json_decref(j);
	free(text);
	return (out);
}

/*
 * The card.
 */

static void
share(struct ge_buf *t, uint64_t part, uint64_t all)
{

	if (all == 0)
		ge_buf_put(t, " - |");
	else
		ge_buf_put(t, " %.2f %% |", 100 * (double)part / (double)all);
}

/* False alarms, detected, faults, F1, delay. */
static void
put_tally(struct ge_buf *t, const struct ge_mon *r, const struct ge_mon_tally *a)
{
	double day = ge_mon_a_day(r, a);

	share(t, a->wrong, a->nominal);
	if (isnan(day))
		ge_buf_put(t, " - |");
	else
		ge_buf_put(t, " %.3g |", day);
	share(t, a->right, a->faulty);
	if (a->faulty == 0) {
		ge_buf_put(t, " - | - | - |");
		return;
	}
	ge_buf_put(t, " %" PRIu64 " of %" PRIu64 " | %.3f |", a->found,
	    a->faults, ge_mon_f1(a));
	if (a->found > 0)
		ge_buf_put(t, " %.1f |", a->delay / (double)a->found);
	else
		ge_buf_put(t, " - |");
}

#define HEAD "false alarms | a day | detected | faults found | F1 | delay, rows |"
#define RULE "---|---|---|---|---|---|"

static void
put_method(struct ge_buf *t, const struct ge_mon *r,
    const struct ge_mon_method *m)
{

	ge_buf_put(t, "| %s |", m->name);
	put_tally(t, r, &m->tally);
	ge_buf_put(t, " %.2f | %.3g |\n", m->seconds, m->joules);
}

static void
put_groups(struct ge_buf *t, const struct ge_mon *r)
{
	size_t g;

	ge_buf_put(t, "## By group\n\n| group | nominal rows | " HEAD
	    "\n|---|---|" RULE "\n");
	for (g = 0; g < r->ngroups && g < CARD_GROUPS; g++) {
		ge_buf_put(t, "| %s | %" PRIu64 " |", r->name[g],
		    r->by_group[g].nominal);
		put_tally(t, r, &r->by_group[g]);
		ge_buf_put(t, "\n");
	}
	if (g < r->ngroups)
		ge_buf_put(t, "\n%zu more groups are in run.json.\n",
		    r->ngroups - g);
	ge_buf_put(t, "\n");
}

static void
put_modes(struct ge_buf *t, const struct ge_mon *r)
{
	size_t i;

	ge_buf_put(t, "## By mode of operation\n\n| mode | nominal rows | " HEAD
	    "\n|---|---|" RULE "\n");
	for (i = 0; i < GE_MONITOR_MODES; i++) {
		if (r->by_mode[i].nominal + r->by_mode[i].faulty == 0)
			continue;
		ge_buf_put(t, "| %zu | %" PRIu64 " |", i + 1,
		    r->by_mode[i].nominal);
		put_tally(t, r, &r->by_mode[i]);
		ge_buf_put(t, "\n");
	}
	ge_buf_put(t, "\n");
}

static void
put_results(struct ge_buf *t, const struct ge_mon *r)
{
	size_t i;

	ge_buf_put(t, "## Results\n\nMeasured on rows that were not learnt "
	    "from: %" PRIu64 " nominal and %" PRIu64 " marked as not nominal",
	    r->self.tally.nominal, r->self.tally.faulty);
	if (r->tried)
		ge_buf_put(t, ", by a model of the first %.0f %% of the "
		    "nominal rows of each group; this one is of all of them",
		    100 * (1 - r->o.hold));
	ge_buf_put(t, ".\n\n| model | " HEAD " seconds | joules |\n|---|" RULE
	    "---|---|\n");
	for (i = 0; i < GE_MON_BASELINES; i++)
		if (r->base[i].name != NULL)
			put_method(t, r, &r->base[i]);
	put_method(t, r, &r->self);
	ge_buf_put(t, "\n");
	if (r->name != NULL)
		put_groups(t, r);
	if (r->m.modes > 1)
		put_modes(t, r);
}

char *
ge_mon_card(const struct ge_mon *r, struct ge_err *e)
{
	const struct ge_monitor *m = &r->m;
	struct ge_buf t = { .e = e };
	char hex[65], *card;

	ge_buf_put(&t, "---\nlibrary_name: getools\ntags:\n- anomaly-detection\n"
	    "- tabular\n- getools\n---\n\n# A monitor of %zu variables\n\n"
	    "It knows how a process at work as it should be looks like, and "
	    "tells rows that do not, with the variables that left their "
	    "relation to the others first: `gepredict MODEL`.\n\n", r->p);
	ge_buf_put(&t, "Each variable is explained by the others now and in "
	    "%zu rows before, and by the past of all of them; %s; %zu mode%s "
	    "of operation. Limit %.3g, set for %.3g false alarms a row.\n\n",
	    m->lags, m->hinges ? "piecewise linear" : "linear", m->modes,
	    m->modes == 1 ? "" : "s", (double)m->bound, r->far);
	ge_buf_put(&t, "## Data\n\n%zu rows, of them %" PRIu64 " nominal, in %zu "
	    "group%s; %zu of %zu columns are variables (schema.json); SHA-256 "
	    "`%s`%s%s%s.\n\n", r->n, r->count[GE_MON_LEARN] +
	    r->count[GE_MON_HELD], r->ngroups, r->ngroups == 1 ? "" : "s",
	    r->p, r->schema.ncols, ge_hex(hex, r->data, 32),
	    r->o.digest != NULL ? "; fragment set `" : "",
	    r->o.digest != NULL ? r->o.digest : "",
	    r->o.digest != NULL ? "`" : "");
	ge_buf_put(&t, "## Training\n\nBy getools %s; all options are in "
	    "run.json. It took %.1f seconds and %.3g joules (method: %s)",
	    r->o.version, r->seconds, r->joules,
	    ge_energy_method(&r->energy));
	if (r->o.gco2 > 0)
		ge_buf_put(&t, ", %.3g grams of CO2 at %g grams a "
		    "kilowatt-hour", r->joules / 3.6e6 * r->o.gco2, r->o.gco2);
	ge_buf_put(&t, ".\n\n");
	if (ge_mon_measured(r))
		put_results(&t, r);
	ge_buf_put(&t, "## Limits\n\nWhat it was not shown as nominal it takes "
	    "for a fault: a new product, a repaired sensor or a season that "
	    "the rows do not hold needs a new model. The cause that it "
	    "tells is the variable that left its relation first, which is "
	    "where to look, not proof.\n");
	(void)ge_buf_done(&t, &card, NULL);
	return (card);
}
