#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "remote.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"

static const char usage[] =
    "-s sites [-qtv] [-j n] [-O name[=value]] [-S file] [-x site]...\n"
    "              [file | dir ...]";

enum {
	LISTED = 20			/* fragments named that are not placed */
};

struct options {
	struct remote r;
	struct ge_push p;
	uint64_t unplaced;
};

static int
rare(struct options *o, const char *arg, struct ge_err *e)
{
	const char *v;
	int rc;

	if ((v = cli_option(arg, "quorum")) != NULL)
		return (cli_number("quorum", v, 1, GE_N_MAX, &o->p.quorum, e));
	if ((v = cli_option(arg, "verify")) != NULL) {
		if (strcmp(v, "full") != 0)
			return (ge_fail(e, GE_EUSAGE, "verify '%s': full, or "
			    "leave it out", v));
		o->p.full = 1;
		return (0);
	}
	if ((rc = remote_writer(&o->r, arg, e)) == 0)
		return (cli_unknown(arg, e));
	return (rc == 1 ? 0 : -1);
}

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c, rc;

	while ((c = getopt(argc, argv, ":j:O:qS:s:tvx:")) != -1) {
		switch (c) {
		case 'O':
			if (rare(o, optarg, e) == -1)
				return (-1);
			break;
		case 'q':
			cli_quiet();
			break;
		case 't':
			o->p.dry = 1;
			break;
		case 'v':
			cli_verbose();
			break;
		default:
			if ((rc = remote_option(&o->r, c, e)) == -1)
				return (-1);
			if (rc == 0)
				cli_usage(c);
		}
	}
	if (cli_order(argc, argv, e) == -1)
		return (-1);
	o->p.operand = (const char *const *)(argv + optind);
	o->p.noperands = (size_t)(argc - optind);
	if (argc == optind && isatty(0))
		return (ge_fail(e, GE_EUSAGE, "standard input is a terminal: "
		    "pipe a fragment stream into it, or name folders"));
	return (0);
}

static void
found(void *arg, const struct ge_finding *f)
{
	struct options *o = arg;
	char id[2 * GE_SETID + 1];

	if (o->p.dry && f->site[0] != '-') {
		printf("%s\t%s\t%lu\t%d\t%s\t%s\n", f->state == GE_STATE_OK ?
		    "keep" : "put", ge_hex(id, f->setid, GE_SETID),
		    (unsigned long)f->segment, f->index, f->site, f->detail);
		return;
	}
	if (f->state == GE_STATE_OK) {
		if (cli_verbosity() > 0)
			cli_say("segment %lu index %d: %s: %s",
			    (unsigned long)f->segment, f->index, f->site,
			    f->detail);
		return;
	}
	if (++o->unplaced <= LISTED && !cli_is_quiet())
		cli_say("segment %lu index %d is not placed: %s",
		    (unsigned long)f->segment, f->index, f->detail);
}

static void
summary(const struct options *o)
{
	const struct ge_push *p = &o->p;
	char id[2 * GE_SETID + 1], sent[32];

	if (p->fragments == 0 || p->dry)
		return;
	cli_say("set %s: %llu of %llu fragments placed, %llu of them were "
	    "there before; %s sent", ge_hex(id, p->setid, GE_SETID),
	    (unsigned long long)p->placed, (unsigned long long)p->fragments,
	    (unsigned long long)p->resumed, cli_bytes(sent, p->sent));
}

/* When not all went as it was planned: how far that is from loss. */
static void
after_failures(const struct ge_push *p)
{

	if (p->text == NULL || p->spare_sites < 0)
		return;
	if (p->worst_label != NULL)
		cli_say("%d site%s given up; %d more may vanish, whichever "
		    "they are; or %d more value%s of %s", p->given_up,
		    p->given_up == 1 ? " was" : "s were", p->spare_sites,
		    p->spare_domains, p->spare_domains == 1 ? "" : "s",
		    p->worst_label);
	else
		cli_say("%d site%s given up; %d more may vanish, whichever "
		    "they are", p->given_up, p->given_up == 1 ? " was" :
		    "s were", p->spare_sites);
}

static int
run(struct options *o, struct ge_err *e)
{
	struct ge_err late = { 0, 0, "" };
	int rc = -1;

	if (remote_open(&o->r, e) == -1)
		goto out;
	o->p.found = found;
	o->p.arg = o;
	if (o->p.dry)
		printf("#action\tset\tsegment\tindex\tsite\tbytes\n");
	rc = ge_push_run(&o->p, &o->r.st, e);
	if (o->unplaced > LISTED && !cli_is_quiet())
		cli_say("and %llu more", (unsigned long long)
		    (o->unplaced - LISTED));
	if (cli_verbosity() > 0)
		summary(o);
	if (o->p.given_up > 0 && !cli_is_quiet())
		after_failures(&o->p);
	/* What could be proved is told also when that is not enough. */
	if (o->p.text != NULL && ge_write(cli_stdout(), o->p.text, o->p.len,
	    &late) == -1 && rc == 0) {
		*e = late;
		rc = ge_within(e, "standard output");
	}
out:
	ge_free(o->p.text);
	remote_close(&o->r);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct ge_err e = { 0, 0, "" };

	cli_init(argc, argv, usage);
	memset(&o, 0, sizeof(o));
	if (parse(&o, argc, argv, &e) == -1)
		return (cli_end(-1, &e));
	return (cli_end(run(&o, &e), &e));
}
