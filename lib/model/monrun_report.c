#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "model/card.h"
#include "model/monrun.h"
#include "util/buf.h"
#include "util/mem.h"

enum {
	CARD_GROUPS = 50,		/* most of the card; run.json has all */
	LINES = GE_MON_BASELINES + 1,
	TABLES = 2
};

/* What run.json and the card are made of. */
struct report {
	struct ge_card card;
	struct ge_card_line line[LINES], mode[GE_MONITOR_MODES];
	char mode_name[GE_MONITOR_MODES][8];
	struct ge_card_line *group;	/* [ngroups], or NULL */
	struct ge_card_table table[TABLES];
	char title[64], on[256];
	char *about, *data;
};

static const char *const metrics[] = {
	"nominal_rows", "false_alarm_rate", "false_alarms_begun",
	"false_alarms_a_day", "faulty_rows", "detected", "faults",
	"faults_found", "mean_delay_rows", "f1"
};

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
	if (j != NULL && o->said != NULL)
		json_object_update(j, o->said);
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
	    "s:I, s:f, s:f}",
	    "lags", (json_int_t)m->lags, "modes", (json_int_t)m->modes,
	    "hinges", m->hinges, "ridge", m->ridge[0], m->ridge[1],
	    "held_out_nats", m->held[0], m->held[1],
	    "variables_judged", (json_int_t)judged,
	    "variables_that_wander", (json_int_t)wander,
	    "outliers", (json_int_t)m->dropped,
	    "outliers_learnt", (json_int_t)m->recurring,
	    "far", r->far, "limit", (double)m->bound));
}

static double
share(double part, uint64_t all)
{

	return (all > 0 ? part / (double)all : NAN);
}

/* In the order of metrics. */
static void
line_of(struct ge_card_line *l, const struct ge_mon *r, const char *name,
    const struct ge_mon_tally *t)
{
	const int faulty = t->faulty > 0, nominal = t->nominal > 0;
	const double v[] = {
		(double)t->nominal, share((double)t->wrong, t->nominal),
		nominal ? (double)t->events : NAN, ge_mon_a_day(r, t),
		(double)t->faulty, share((double)t->right, t->faulty),
		faulty ? (double)t->faults : NAN,
		faulty ? (double)t->found : NAN, share(t->delay, t->found),
		faulty ? ge_mon_f1(t) : NAN
	};

	l->name = name;
	l->rows = l->seconds = l->joules = NAN;
	memcpy(l->value, v, sizeof(v));
}

static void
set_lines(struct report *p, const struct ge_mon *r)
{
	const struct ge_mon_method *m;
	size_t i;

	for (i = 0; i < LINES; i++) {
		m = i < GE_MON_BASELINES ? &r->base[i] : &r->self;
		if (m->name == NULL)
			continue;
		line_of(&p->line[p->card.nlines], r, m->name, &m->tally);
		p->line[p->card.nlines].seconds = m->seconds;
		p->line[p->card.nlines++].joules = m->joules;
	}
	p->card.line = p->line;
}

static int
set_groups(struct report *p, const struct ge_mon *r, size_t most,
    struct ge_err *e)
{
	struct ge_card_table *t = &p->table[p->card.ntables];
	size_t g;

	if (r->name == NULL)
		return (0);
	if ((p->group = ge_alloc(r->ngroups * sizeof(*p->group), e)) == NULL)
		return (-1);
	t->by = r->o.group;
	t->n = r->ngroups < most ? r->ngroups : most;
	for (g = 0; g < t->n; g++)
		line_of(&p->group[g], r, r->name[g], &r->by_group[g]);
	t->line = p->group;
	p->card.ntables++;
	return (0);
}

static void
set_modes(struct report *p, const struct ge_mon *r)
{
	struct ge_card_table *t = &p->table[p->card.ntables];
	size_t i;

	if (r->m.modes < 2)
		return;
	t->by = "mode of operation";
	for (i = 0; i < GE_MONITOR_MODES; i++) {
		if (r->by_mode[i].nominal + r->by_mode[i].faulty == 0)
			continue;
		snprintf(p->mode_name[i], sizeof(p->mode_name[i]), "%zu",
		    i + 1);
		line_of(&p->mode[t->n++], r, p->mode_name[i], &r->by_mode[i]);
	}
	t->line = p->mode;
	p->card.ntables++;
}

static int
set_results(struct report *p, const struct ge_mon *r, size_t most,
    struct ge_err *e)
{

	if (!ge_mon_measured(r))
		return (0);
	snprintf(p->on, sizeof(p->on), "rows that were not learnt from%s",
	    r->tried ? ", by a model of the first of the nominal rows of each "
	    "group (all but the share hold); this one is of all of them" : "");
	p->card.on = p->on;
	p->card.metric = metrics;
	p->card.nmetrics = sizeof(metrics) / sizeof(metrics[0]);
	set_lines(p, r);
	if (set_groups(p, r, most, e) == -1)
		return (-1);
	set_modes(p, r);
	p->card.table = p->table;
	return (0);
}

static int
set_words(struct report *p, const struct ge_mon *r, struct ge_err *e)
{
	const struct ge_monitor *m = &r->m;
	struct ge_buf about = { .e = e }, data = { .e = e };

	snprintf(p->title, sizeof(p->title), "A monitor of %zu variable%s",
	    r->p, r->p == 1 ? "" : "s");
	ge_buf_put(&about, "It knows how a process at work as it should be "
	    "looks, and tells rows that do not, with the variables that left "
	    "their relation to the others first.\n\nEach variable is explained "
	    "by the others now and in %zu row%s before, and by the past of all "
	    "of them; %s; %zu mode%s of operation. The limit is set for %.3g "
	    "false alarms a row.", m->lags, m->lags == 1 ? "" : "s",
	    m->hinges ? "piecewise linear" : "linear", m->modes,
	    m->modes == 1 ? "" : "s", r->far);
	ge_buf_put(&data, "%" PRIu64 " rows are nominal, %" PRIu64 " are not; "
	    "%zu group%s; %zu variables (schema.json).",
	    r->count[GE_MON_LEARN] + r->count[GE_MON_HELD],
	    r->count[GE_MON_FAULT], r->ngroups, r->ngroups == 1 ? "" : "s",
	    r->p);
	if (ge_buf_done(&about, &p->about, NULL) == -1 ||
	    ge_buf_done(&data, &p->data, NULL) == -1)
		return (-1);
	p->card.title = p->title;
	p->card.about = p->about;
	p->card.data = p->data;
	p->card.use = "`gepredict MODEL` reads rows as they come, with the "
	    "same columns in any order.";
	p->card.limits = "What it was not shown as nominal it takes for a "
	    "fault: a new product, a repaired sensor or a season that the rows "
	    "do not hold needs a new model. The variable that it blames is "
	    "where to look first, not proof of a cause.";
	return (0);
}

static int
fill(struct report *p, const struct ge_mon *r, size_t most, struct ge_err *e)
{
	struct ge_card *c = &p->card;

	memset(p, 0, sizeof(*p));
	c->family = "monitor";
	c->version = r->o.version;
	memcpy(c->digest, r->data, sizeof(c->digest));
	c->set = r->o.digest;
	c->rows = r->n;
	c->cols = r->schema.ncols;
	c->started = r->started;
	c->seconds = r->seconds;
	c->joules = r->joules;
	c->gco2 = r->o.gco2 > 0 ? r->o.gco2 : NAN;
	c->energy = ge_energy_method(&r->energy);
	return (set_words(p, r, e) == -1 ? -1 : set_results(p, r, most, e));
}

static void
release(struct report *p)
{

	ge_free(p->group);
	ge_free(p->about);
	ge_free(p->data);
}

/* What a monitor's data have besides. */
static void
more_data(const struct ge_mon *r, json_t *j)
{

	json_object_set_new(j, "nominal", json_integer((json_int_t)
	    (r->count[GE_MON_LEARN] + r->count[GE_MON_HELD])));
	json_object_set_new(j, "held_out", json_integer((json_int_t)
	    r->count[GE_MON_HELD]));
	json_object_set_new(j, "faulty", json_integer((json_int_t)
	    r->count[GE_MON_FAULT]));
	json_object_set_new(j, "variables", json_integer((json_int_t)r->p));
	json_object_set_new(j, "groups", json_integer((json_int_t)
	    r->ngroups));
	if (r->step > 0)
		json_object_set_new(j, "step_seconds", json_real(r->step));
}

char *
ge_mon_report(const struct ge_mon *r, struct ge_err *e)
{
	struct report p;
	json_t *j = NULL, *o = options(r);
	char *text = NULL;

	if (fill(&p, r, SIZE_MAX, e) == 0) {
		p.card.options = o;
		j = ge_card_run(&p.card, e);
	}
	if (j != NULL) {
		more_data(r, json_object_get(j, "data"));
		json_object_set_new(j, "model", model(r));
		text = ge_card_text(j, e);
	}
	json_decref(j);
	json_decref(o);
	release(&p);
	return (text);
}

char *
ge_mon_card(const struct ge_mon *r, struct ge_err *e)
{
	struct report p;
	char *text = NULL;

	if (fill(&p, r, CARD_GROUPS, e) == 0)
		text = ge_card_print(&p.card, e);
	release(&p);
	return (text);
}
