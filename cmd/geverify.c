#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "remote.h"
#include "tally.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/thread.h"
#include "util/world.h"

static const char usage[] =
    "[-fqv] [-c conf] [-j n] [-m file] [-O name[=value]] [-o file]\n"
    "                [-V file] [path ...]\n"
    "       geverify -s sites [-fqv] [-c conf] [-j n] [-m file] "
    "[-O name[=value]]\n"
    "                [-o file] [-V file] [-x site]... "
    "[manifest | set | label ...]";

enum format {
	TEXT, JSON, PROMETHEUS
};

struct options {
	struct ge_audit a;
	struct remote r;
	struct ge_check c;
	struct assumptions as;
	int flags, force, all, away;
	enum format format;
	const char *outfile;
	const char **set;		/* [nsets] -m and operands */
	size_t nsets;

	FILE *out;
	uint8_t *silent;		/* [sites.n] did not answer for the set */
	struct tally *tally;		/* [ntallies] */
	size_t ntallies, captallies;
};

static int
format(struct options *o, const char *v, struct ge_err *e)
{
	static const char *const name[] = { "text", "json", "prometheus" };
	int n = 0, rc = cli_word("format", v, name, 3, &n, e);

	o->format = (enum format)n;
	return (rc);
}

static int
rare(struct options *o, const char *arg, struct ge_err *e)
{
	const char *v;
	int rc;

	if (strcmp(arg, "all") == 0)
		o->all = o->away = 1;
	else if (strcmp(arg, "alone") == 0)
		o->a.alone = 1;
	else if (strcmp(arg, "blind") == 0)
		o->flags |= GE_PILE_NOSHARES;
	else if ((v = cli_option(arg, "format")) != NULL)
		return (format(o, v, e));
	else if ((v = cli_option(arg, "loss")) != NULL)
		return (cli_fraction("loss", v, 1e-9, 0.5, &o->a.share, e));
	else if ((v = cli_option(arg, "afr")) != NULL)
		return (cli_fraction("afr", v, 0, 0.99, &o->as.afr, e));
	else if ((v = cli_option(arg, "repair-days")) != NULL)
		return (cli_fraction("repair-days", v, 0.01, 365,
		    &o->as.days, e));
	else if ((v = cli_option(arg, "common")) != NULL)
		return (cli_fraction("common", v, 0, 0.99, &o->as.common, e));
	else if ((rc = cli_pin(&o->r.st.pins, arg, e)) != 0)
		return (rc == 1 ? 0 : -1);
	else if ((rc = remote_rare(&o->r, arg, e)) == 1)
		o->away = 1;
	else
		return (rc == -1 ? -1 : cli_unknown(arg, e));
	return (0);
}

static int
consistent(struct options *o, struct ge_err *e)
{
	const struct ge_pins *pins = &o->a.pins;

	if (o->a.alone && (pins->has_set || pins->has_digest ||
	    pins->manifest != NULL || pins->has_signer || o->a.confidence > 0))
		return (ge_fail(e, GE_EUSAGE, "-O alone judges no set: not "
		    "with -c, -m, -V, -O set or -O digest"));
	if (o->r.path == NULL)
		return (o->away ? ge_fail(e, GE_EUSAGE, "-x and some of -O are "
		    "for sites only: -s is missing") : 0);
	if (o->a.alone)
		return (ge_fail(e, GE_EUSAGE, "-O alone is not for sites"));
	if (o->all && o->nsets > 0)
		return (ge_fail(e, GE_EUSAGE, "-O all audits every set: name "
		    "none"));
	if (!o->all && o->nsets == 0 && isatty(0))
		return (ge_fail(e, GE_EUSAGE, "which set? name a manifest, a "
		    "set or a label"));
	return (0);
}

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c, rc;

	if ((o->set = ge_alloc((size_t)argc * sizeof(*o->set), e)) == NULL)
		return (-1);
	while ((c = getopt(argc, argv, ":c:fj:m:O:o:qs:V:vx:")) != -1) {
		switch (c) {
		case 'c':
			if (cli_fraction("-c", optarg, 0.5, 0.999999999,
			    &o->a.confidence, e) == -1)
				return (-1);
			break;
		case 'f':
			o->force = 1;
			break;
		case 'm':
			o->a.pins.manifest = optarg;
			o->set[o->nsets++] = optarg;
			break;
		case 'O':
			if (rare(o, optarg, e) == -1)
				return (-1);
			break;
		case 'o':
			o->outfile = optarg;
			break;
		case 'q':
			cli_quiet();
			break;
		case 'v':
			cli_verbose();
			break;
		default:
			if ((rc = remote_option(&o->r, c, e)) == -1)
				return (-1);
			if (rc == 0)
				cli_usage(c);
			o->away |= c == 'x';
		}
	}
	if (cli_order(argc, argv, e) == -1)
		return (-1);
	if (o->r.jobs > 0)
		o->a.jobs = o->r.jobs;
	o->r.st.pins.manifest = o->a.pins.manifest;
	o->a.pins = o->r.st.pins;
	o->r.st.pins.manifest = NULL;
	for (c = optind; o->r.path != NULL && c < argc; c++)
		o->set[o->nsets++] = argv[c];
	return (consistent(o, e));
}

static void
found(void *arg, const struct ge_finding *f)
{
	struct options *o = arg;
	int site;

	tally_finding(&o->tally[o->ntallies], f);
	if (o->silent != NULL && f->state == GE_STATE_UNREACHABLE &&
	    (site = ge_sites_find(&o->r.sites, f->site)) != -1)
		o->silent[site] = 1;
	if (f->state == GE_STATE_OK && cli_verbosity() == 0)
		return;
	if (o->format == TEXT)
		cli_finding(o->out, f);
	else if (o->format == JSON)
		json_finding(o->out, f);
}

static struct tally *
begin(struct options *o, const char *what, struct ge_err *e)
{
	struct tally *t;

	if (ge_grow(&o->tally, &o->captallies, o->ntallies + 1,
	    sizeof(*o->tally), e) == -1)
		return (NULL);
	t = &o->tally[o->ntallies];
	memset(t, 0, sizeof(*t));
	t->what = what;
	t->confidence = o->a.confidence;
	t->blind = (o->flags & GE_PILE_NOSHARES) != 0;
	t->spare = t->spare_sites = t->spare_domains = -1;
	t->seconds = ge_clock();
	return (t);
}

static void
end(struct options *o, int rc, const struct ge_err *e)
{
	struct tally *t = &o->tally[o->ntallies++];

	t->seconds = ge_clock() - t->seconds;
	t->time = ge_now();
	if (rc == -1) {
		t->status = e->code;
		snprintf(t->message, sizeof(t->message), "%s", e->msg);
	}
	if (o->format == JSON)
		json_tally(o->out, t);
	cli_flush();
	if (!cli_is_quiet())
		tally_summary(t, &o->as);
}

static int
here(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct ge_audit *a = &o->a;
	struct ge_pile *p = NULL;
	struct tally *t;
	int rc = -1;

	if ((t = begin(o, NULL, e)) == NULL ||
	    (p = ge_pile_new(o->flags, &a->pins, e)) == NULL ||
	    cli_operands(p, argc, argv, e) == -1)
		goto out;
	if (o->format == TEXT)
		cli_finding_header(o->out);
	a->found = found;
	a->arg = o;
	rc = ge_audit_run(a, p, e);
	if (rc == -1 && (e->code == GE_EUSAGE || (e->code == GE_EFAIL &&
	    a->unreachable == 0)))
		goto out;
	if (a->alone && !cli_is_quiet())
		cli_say("%llu fragments, each by its own table: %llu not whole",
		    (unsigned long long)a->fragments,
		    (unsigned long long)a->bad);
	t->chosen = a->chosen;
	memcpy(t->setid, a->setid, GE_SETID);
	t->k = a->k;
	t->n = a->n;
	t->nsegments = a->nsegments;
	t->length = a->length;
	t->stored = a->stored;
	t->blocks = a->blocks;
	t->checked = a->checked;
	t->spare = a->spare;
	t->worst = a->worst;
	end(o, rc, e);
out:
	ge_pile_free(p);
	return (rc);
}

/* Who is to blame that it is not known. */
static void
name_silent(const struct options *o, struct ge_err *e)
{
	char silent[GE_SITE_NAMES];
	size_t len = strlen(e->msg);

	(void)ge_site_names(silent, &o->r.sites, o->silent);
	if (e->code == GE_EFAIL && silent[0] != '\0')
		snprintf(e->msg + len, sizeof(e->msg) - len,
		    "; no answer from%s", silent);
}

/* The set that an operand means, or of that id. */
static int
check(struct options *o, const char *what, const uint8_t *setid,
    struct ge_err *e)
{
	struct ge_check *c = &o->c;
	struct ge_known kn;
	struct tally *t;
	struct ge_err ignored;
	char id[2 * GE_SETID + 1];
	int rc = -1;

	memset(&kn, 0, sizeof(kn));
	memset(c, 0, sizeof(*c));
	c->confidence = o->a.confidence;
	c->share = o->a.share;
	c->noshares = (o->flags & GE_PILE_NOSHARES) != 0;
	c->found = found;
	c->arg = o;
	if ((t = begin(o, what, e)) == NULL)
		return (-1);
	rc = setid != NULL ? ge_known_load(&o->r.st, setid, &kn, e) :
	    ge_known_find(&o->r.st, what, &kn, e);
	if (rc == 0) {
		memset(o->silent, 0, o->r.sites.n);
		if ((rc = ge_check_run(c, &o->r.st, &kn, e)) == -1)
			name_silent(o, e);
		t->chosen = t->remote = 1;
		memcpy(t->setid, kn.setid, GE_SETID);
		if (kn.has && kn.m.name != NULL && (t->label =
		    ge_strdup(kn.m.name, &ignored)) == NULL)
			ge_note(GE_WARN, "%s", ignored.msg);
		t->confidence = c->confidence;
		t->k = c->k;
		t->n = c->n;
		t->nsegments = c->nsegments;
		t->length = c->length;
		t->stored = c->stored;
		t->blocks = c->blocks;
		t->checked = c->checked;
		t->spare = c->spare;
		t->worst = c->worst;
		t->received = c->received;
		t->manifests = c->manifests;
		t->strays = c->strays;
		t->spare_sites = c->spare_sites;
		t->spare_domains = c->spare_domains;
		t->worst_label = c->worst_label;
	}
	end(o, rc, e);
	/* There is no summary that names it. */
	if (rc == -1 && t->chosen && cli_is_quiet())
		(void)ge_within(e, "set %s", ge_hex(id, kn.setid, GE_SETID));
	ge_known_release(&kn);
	return (rc);
}

struct ids {
	uint8_t (*id)[GE_SETID];
	size_t n, cap;
};

static int
entry(void *arg, const struct ge_entry *en, struct ge_err *e)
{
	struct ids *ids = arg;

	if (ge_grow(&ids->id, &ids->cap, ids->n + 1, sizeof(*ids->id), e) == -1)
		return (-1);
	memcpy(ids->id[ids->n++], en->setid, GE_SETID);
	return (0);
}

static int
sites(struct options *o, struct ge_err *e)
{
	static const char *const input[] = { "-" };
	struct ids ids = { NULL, 0, 0 };
	struct ge_inventory iv = { .entry = entry, .arg = &ids };
	struct ge_err one, worst = { 0, 0, "" }, rest = { 0, 0, "" };
	size_t i, n = o->nsets, bad = 0;
	int all = 0, rc = -1;

	if (remote_open(&o->r, e) == -1 ||
	    (o->silent = ge_alloc(o->r.sites.n, e)) == NULL)
		goto out;
	if (o->all) {
		all = ge_inventory_run(&iv, &o->r.st, &rest);
		if (ge_hook_tick(0, e) == -1)
			goto out;
		n = ids.n;
	} else if (n == 0) {
		o->set[0] = input[0];
		n = 1;
	}
	if (o->format == TEXT)
		cli_finding_header(o->out);
	for (i = 0; i < n; i++) {
		memset(&one, 0, sizeof(one));
		if (check(o, o->all ? NULL : o->set[i], o->all ? ids.id[i] :
		    NULL, &one) == 0)
			continue;
		if (ge_hook_tick(0, e) == -1)
			goto out;
		if (n > 1 || all == -1)
			cli_say("%s", one.msg);
		bad++;
		if (cli_worse(one.code, worst.code))
			worst = one;
	}
	if (all == -1 && cli_worse(rest.code, worst.code))
		*e = rest;
	else if (bad > 0 && n == 1)
		*e = worst;
	else if (bad > 0)
		ge_fail(e, worst.code, "sets that are not whole: %zu of %zu",
		    bad, n);
	else
		rc = 0;
out:
	ge_free(ids.id);
	ge_free(o->silent);
	return (rc);
}

static int
run(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct ge_file file = GE_FILE_NONE;
	struct ge_err late;
	size_t i;
	int fd, rc = -1;

	o->out = stdout;
	if (o->outfile != NULL) {
		if (ge_file_open(&file, o->outfile, o->force, e) == -1)
			goto out;
		if ((fd = dup(file.fd)) == -1 ||
		    (o->out = fdopen(fd, "w")) == NULL) {
			ge_failsys(e, "'%s'", o->outfile);
			goto out;
		}
	}
	rc = o->r.path != NULL ? sites(o, e) : here(o, argc, argv, e);
	if (o->ntallies > 0 && o->format == PROMETHEUS)
		prometheus(o->out, o->tally, o->ntallies);
	if (o->outfile == NULL)
		goto out;
	if (fflush(o->out) == EOF || ferror(o->out)) {
		rc = ge_failsys(e, "cannot write '%s'", o->outfile);
		goto out;
	}
	/* A report of what is bad is a report. */
	if (o->ntallies > 0 && ge_hook_tick(0, &late) == 0 &&
	    ge_file_commit(&file, o->force, &late) == -1) {
		rc = -1;
		*e = late;
	}
out:
	if (o->out != NULL && o->out != stdout)
		fclose(o->out);
	ge_file_release(&file);
	for (i = 0; i < o->ntallies; i++)
		ge_free(o->tally[i].label);
	ge_free(o->tally);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct ge_err e = { 0, 0, "" };
	int rc;

	cli_init(argc, argv, usage);
	memset(&o, 0, sizeof(o));
	o.a.jobs = cli_jobs();
	o.a.share = 0.001;
	o.as.afr = 0.05;
	o.as.days = 7;
	o.as.common = 1e-6;
	rc = parse(&o, argc, argv, &e);
	if (rc == 0)
		rc = run(&o, argc - optind, argv + optind, &e);
	remote_close(&o.r);
	ge_free(o.set);
	return (cli_end(rc, &e));
}
