#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "tables.h"
#include "families.h"
#include "model/monrun.h"
#include "util/mem.h"
#include "util/num.h"

struct options {
	struct ge_mon_opts mon;
	struct table_options tables;
	const char *out;
	char *mark;			/* made of -O nominal= */
	char **file;
	int force, try, nfiles;
};

/* 'A-B', from 1. */
static int
set_rows(struct ge_mon_opts *o, const char *v, struct ge_err *e)
{
	const char *dash = strchr(v, '-');

	if (dash == NULL || ge_num_parse(v, (size_t)(dash - v), &o->first) ==
	    -1 || ge_num_parse(dash + 1, strlen(dash + 1), &o->last) == -1 ||
	    o->first == 0 || o->last < o->first)
		return (ge_fail(e, GE_EUSAGE, "rows '%s': not a range like "
		    "1-500", v));
	return (0);
}

/* A number a row, or '0.5/day'. */
static int
set_far(struct ge_mon_opts *o, const char *v, struct ge_err *e)
{
	const char *slash = strchr(v, '/');
	char number[32];

	o->daily = slash != NULL && strcmp(slash, "/day") == 0;
	if (!o->daily)
		return (cli_fraction("far", v, 1e-9, 0.09, &o->far, e));
	snprintf(number, sizeof(number), "%.*s", (int)(slash - v), v);
	return (cli_fraction("far", number, 1e-9, 1e9, &o->far, e));
}

/* 'COLUMN' or 'COLUMN:VALUE'. */
static int
set_nominal(struct options *o, const char *v, struct ge_err *e)
{
	char *colon;

	ge_free(o->mark);
	if ((o->mark = ge_strdup(v, e)) == NULL)
		return (-1);
	o->mon.mark = o->mark;
	o->mon.value = "1";
	if ((colon = strrchr(o->mark, ':')) != NULL) {
		*colon = '\0';
		o->mon.value = colon + 1;
	}
	return (0);
}

static int
set_most(const char *name, const char *v, int min, int max, size_t *to,
    struct ge_err *e)
{
	int n;

	if (cli_number(name, v, min, max, &n, e) == -1)
		return (-1);
	*to = (size_t)n;
	return (0);
}

static int
set(struct options *o, const char *arg, struct ge_err *e)
{
	static const char *const bools[] = { "no", "yes" };
	struct ge_mon_opts *m = &o->mon;
	const char *v;
	int rc;

	if ((rc = tables_option(&o->tables, arg, e)) != 0)
		return (rc == 1 ? 0 : -1);
	if ((v = strchr(arg, '=')) != NULL && cli_needs(arg, v + 1, e) == -1)
		return (-1);
	if ((v = cli_option(arg, "far")) != NULL)
		return (set_far(m, v, e));
	if ((v = cli_option(arg, "gco2")) != NULL)
		return (cli_fraction("gco2", v, 0, 1e6, &m->gco2, e));
	if ((v = cli_option(arg, "hinges")) != NULL)
		return (cli_word("hinges", v, bools, 2, &m->hinges, e));
	if ((v = cli_option(arg, "hold")) != NULL)
		return (cli_fraction("hold", v, 0, 0.5, &m->hold, e));
	if ((v = cli_option(arg, "lags")) != NULL)
		return (set_most("lags", v, 0, GE_MONITOR_LAGS, &m->lags, e));
	if ((v = cli_option(arg, "modes")) != NULL)
		return (set_most("modes", v, 1, GE_MONITOR_MODES, &m->modes,
		    e));
	if ((v = cli_option(arg, "nominal")) != NULL)
		return (set_nominal(o, v, e));
	if ((v = cli_option(arg, "rows")) != NULL)
		return (set_rows(m, v, e));
	return (cli_unknown(arg, e));
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
			if (cli_number("-j", optarg, 1, 64, &o->mon.jobs, e) ==
			    -1)
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
	if (cli_order(argc, argv, e) == -1)
		return (-1);
	o->file = argv + optind;
	o->nfiles = argc - optind;
	if (o->out == NULL && !o->force && !o->try && isatty(1))
		return (ge_fail(e, GE_EUSAGE, "standard output is a terminal: "
		    "redirect it, or use -o"));
	return (0);
}

static const struct ge_mon *told;	/* by progress */

static void
progress(char *out, size_t cap)
{

	snprintf(out, cap, "%s", told == NULL ? "reading" : told->stage);
}

static void
tell_table(const struct ge_mon *r)
{

	if (cli_is_quiet())
		return;
	cli_say("%zu row%s, %" PRIu64 " nominal, %zu variable%s", r->n,
	    cli_plural(r->n), r->count[GE_MON_LEARN] + r->count[GE_MON_HELD],
	    r->p, cli_plural(r->p));
}

static void
tell_method(const struct ge_mon *r, const struct ge_mon_method *m)
{
	const struct ge_mon_tally *t = &m->tally;
	double day = ge_mon_a_day(r, t);
	char text[256] = "", *s = text, *end = text + sizeof(text);

	if (t->nominal > 0)
		s += snprintf(s, (size_t)(end - s), "false alarms %" PRIu64
		    " of %" PRIu64 " rows (%.2f %%), ", t->wrong, t->nominal,
		    100 * (double)t->wrong / (double)t->nominal);
	if (!isnan(day))
		s += snprintf(s, (size_t)(end - s), "%.3g a day, ", day);
	if (t->faulty > 0)
		s += snprintf(s, (size_t)(end - s), "detected %.1f %%, F1 "
		    "%.3f, ", 100 * (double)t->right / (double)t->faulty,
		    ge_mon_f1(t));
	if (t->found > 0)
		s += snprintf(s, (size_t)(end - s), "after %.1f rows, ",
		    t->delay / (double)t->found);
	cli_say("%s: %s%.2f s, %.3g J", m->name, text, m->seconds, m->joules);
}

static void
tell_result(const struct ge_mon *r)
{
	const struct ge_monitor *m = &r->m;
	size_t i;

	if (cli_is_quiet())
		return;
	cli_say("%zu lag%s, %zu mode%s, %s, limit %.3g for %.3g false alarms a "
	    "row", m->lags, cli_plural(m->lags), m->modes,
	    cli_plural(m->modes), m->hinges ? "piecewise linear" : "linear",
	    (double)m->bound, r->far);
	if (!ge_mon_measured(r))
		cli_say("nothing was held out to measure on: %s", r->o.hold >
		    0 ? "too few nominal rows" : "-O hold=");
	for (i = 0; i < GE_MON_BASELINES; i++)
		if (r->base[i].name != NULL)
			tell_method(r, &r->base[i]);
	tell_method(r, &r->self);
	if (r->o.gco2 > 0)
		cli_say("%.3g g of CO2", r->joules / 3.6e6 * r->o.gco2);
}

/* -t */
static int
try(struct ge_mon *r, struct ge_err *e)
{
	struct ge_mon_cost c;
	char b[32], when[32];

	if (ge_mon_try(r, &c, e) == -1)
		return (-1);
	printf("#part\tbytes\n");
	printf("table\t%" PRIu64 "\n", c.table);
	printf("models\t%" PRIu64 "\n", c.fit.models);
	printf("products\t%" PRIu64 "\n", c.fit.products);
	printf("samples\t%" PRIu64 "\n", c.fit.samples);
	if (!cli_is_quiet())
		cli_say("%s of memory; about %s, %.3g J (%s)", cli_bytes(b,
		    c.table + c.fit.models + c.fit.products + c.fit.samples),
		    cli_duration(when, c.seconds), c.joules,
		    ge_energy_method(&r->energy));
	return (0);
}

static int
run(struct options *o, struct ge_err *e)
{
	struct ge_outdir *out = NULL;
	struct ge_mon r;
	int rc = -1;

	o->mon.time = o->tables.roles.time;
	o->mon.group = o->tables.roles.group;
	o->mon.digest = o->tables.digest;
	o->tables.roles.mark = o->mon.mark;
	ge_mon_open(&r, &o->mon);
	told = &r;
	if ((o->mon.said = r.o.said = tables_said(&o->tables, e)) == NULL ||
	    (!o->try && (out = ge_outdir_new(o->out, o->out == NULL ?
	    cli_stdout() : -1, o->force, e)) == NULL) ||
	    tables_frame(&r.frame, &o->tables, o->file, o->nfiles, e) == -1)
		goto out;
	memcpy(r.data, o->tables.sha256, sizeof(r.data));
	if (ge_mon_ready(&r, e) == -1)
		goto out;
	tell_table(&r);
	if (o->try) {
		rc = try(&r, e);
		goto out;
	}
	if (ge_mon_fit(&r, e) == -1 || ge_mon_measure(&r, e) == -1 ||
	    ge_mon_save(&r, out, e) == -1 || ge_outdir_commit(out, e) == -1)
		goto out;
	tell_result(&r);
	rc = 0;
out:
	told = NULL;
	ge_outdir_free(out);
	json_decref(o->mon.said);
	ge_mon_release(&r);
	return (rc);
}

int
monitor_main(int argc, char **argv)
{
	struct options o = { 0 };
	struct ge_err e = { 0 };
	int rc;

	tables_options_init(&o.tables);
	o.mon.version = cli_version();
	o.mon.value = "1";
	o.mon.far = 0.001;
	o.mon.lags = 3;
	o.mon.modes = GE_MONITOR_MODES;
	o.mon.hinges = 1;
	o.mon.hold = 0.2;
	o.mon.jobs = cli_jobs();
	cli_progress(progress);
	rc = parse(&o, argc, argv, &e);
	if (rc == 0)
		rc = run(&o, &e);
	ge_free(o.mark);
	tables_options_release(&o.tables);
	return (cli_end(rc, &e));
}
