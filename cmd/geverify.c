#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "util/num.h"

static const char usage[] =
    "[-qv] [-c conf] [-j n] [-m file] [-O name=value] [-V file]\n"
    "                [file | dir ...]";

struct options {
	struct ge_audit a;
	int flags;
	double afr, days, common;
};

static int
rare(struct options *o, const char *arg, struct ge_err *e)
{
	const char *v;
	int rc;

	if ((rc = cli_pin(&o->a.pins, arg, e)) != 0)
		return (rc == 1 ? 0 : -1);
	if (strcmp(arg, "alone") == 0) {
		o->a.alone = 1;
		return (0);
	}
	if (strcmp(arg, "blind") == 0) {
		o->flags |= GE_PILE_NOSHARES;
		return (0);
	}
	if ((v = cli_option(arg, "loss")) != NULL)
		return (cli_fraction("loss", v, 1e-9, 0.5, &o->a.share, e));
	if ((v = cli_option(arg, "afr")) != NULL)
		return (cli_fraction("afr", v, 0, 0.99, &o->afr, e));
	if ((v = cli_option(arg, "repair-days")) != NULL)
		return (cli_fraction("repair-days", v, 0.01, 365, &o->days, e));
	if ((v = cli_option(arg, "common")) != NULL)
		return (cli_fraction("common", v, 0, 0.99, &o->common, e));
	return (cli_unknown(arg, e));
}

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c;

	while ((c = getopt(argc, argv, ":c:j:m:O:qV:v")) != -1) {
		switch (c) {
		case 'c':
			if (cli_fraction("-c", optarg, 0.5, 0.999999999,
			    &o->a.confidence, e) == -1)
				return (-1);
			break;
		case 'O':
			if (rare(o, optarg, e) == -1)
				return (-1);
			break;
		default:
			if (cli_reader(c, &o->a.pins, &o->a.jobs, e) == -1)
				return (-1);
		}
	}
	if (o->a.alone && (o->a.pins.has_set || o->a.pins.has_digest ||
	    o->a.pins.manifest != NULL || o->a.pins.has_signer ||
	    o->a.confidence > 0))
		return (ge_fail(e, GE_EUSAGE, "-O alone judges no set: not "
		    "with -c, -m, -V, -O set or -O digest"));
	return (0);
}

static void
found(void *unused, const struct ge_finding *f)
{

	if (f->state != GE_STATE_OK || cli_verbosity() > 0)
		cli_finding(unused, f);
}

static void
summary(const struct options *o)
{
	const struct ge_audit *a = &o->a;
	char id[2 * GE_SETID + 1], length[32], stored[32];
	double share, p;

	if (a->alone) {
		cli_say("%llu fragments, each by its own table: %llu not whole",
		    (unsigned long long)a->fragments,
		    (unsigned long long)a->bad);
		return;
	}
	if (!a->chosen || a->n == 0)
		return;
	cli_say("set %s: %s in %llu segments, any %d of %d fragments",
	    ge_hex(id, a->setid, GE_SETID), cli_bytes(length, a->length),
	    (unsigned long long)a->nsegments, a->k, a->n);
	if (a->checked < a->blocks && a->confidence > 0)
		cli_say("sampled %llu of %llu blocks; %llu of %llu fragments "
		    "showed no damage in them", (unsigned long long)a->checked,
		    (unsigned long long)a->blocks, (unsigned long long)
		    (a->fragments - a->bad - a->unreachable),
		    (unsigned long long)a->fragments);
	else
		cli_say("%llu of %llu fragments whole; %s blocks read: %llu "
		    "of %llu", (unsigned long long)
		    (a->fragments - a->bad - a->unreachable),
		    (unsigned long long)a->fragments,
		    a->checked < a->blocks ? "good" : "all",
		    (unsigned long long)a->checked,
		    (unsigned long long)a->blocks);
	if ((o->flags & GE_PILE_NOSHARES) != 0)
		cli_say("key shares were not checked");
	if (a->confidence > 0 && a->checked < a->blocks) {
		share = -expm1(log1p(-a->confidence) / (double)a->checked);
		cli_say("had %.3g %% of the blocks been damaged, this sample "
		    "would have shown it with probability %g", 100 * share,
		    a->confidence);
	}
	if (a->spare < 0) {
		cli_say("LOST: some segments cannot be rebuilt from what is "
		    "here");
		return;
	}
	cli_say("%d more of the %d fragments of each segment may be lost; "
	    "%s stored, %.2f times the data (three replicas: 3.00)",
	    a->spare, a->n, cli_bytes(stored, a->stored), a->length > 0 ?
	    (double)a->stored / (double)a->length : 0.0);
	p = ge_durability(a->k, a->n, a->worst, o->afr, o->days, o->common);
	cli_say("durability of the weakest segment: %.1f nines (chance of loss "
	    "in a year %.1e), if each of its fragments has a site of its own, "
	    "a site is lost at %g a year, losses are repaired every %g days, "
	    "and a common cause ends all at %g a year",
	    -log10(p), p, o->afr, o->days, o->common);
}

static int
run(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct ge_pile *p = NULL;
	int rc = -1;

	if ((p = ge_pile_new(o->flags, &o->a.pins, e)) == NULL ||
	    cli_operands(p, argc, argv, e) == -1)
		goto out;
	cli_finding_header();
	o->a.found = found;
	rc = ge_audit_run(&o->a, p, e);
	if (!cli_is_quiet() && (rc == 0 || e->code != GE_EFAIL ||
	    o->a.unreachable > 0))
		summary(o);
out:
	ge_pile_free(p);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct ge_err e = { 0, 0, "" };

	cli_init(argc, argv, usage);
	memset(&o, 0, sizeof(o));
	o.a.jobs = cli_jobs();
	o.a.share = 0.001;
	o.afr = 0.05;
	o.days = 7;
	o.common = 1e-6;
	if (parse(&o, argc, argv, &e) == -1)
		return (cli_end(-1, &e));
	return (cli_end(run(&o, argc - optind, argv + optind, &e), &e));
}
