#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "remote.h"
#include "util/num.h"

static const char usage[] =
    "-s sites [-qv] [-j n] [-m file] [-O name=value] [-R off:len] [-V file]\n"
    "              [-x site]... [manifest | set | label]";

struct options {
	struct remote r;
	struct ge_pull p;
	const char *set;
};

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c, rc;

	while ((c = getopt(argc, argv, ":j:m:O:qR:s:V:vx:")) != -1) {
		switch (c) {
		case 'm':
			o->set = optarg;
			break;
		case 'O':
			if ((rc = remote_rare(&o->r, optarg, e)) != 1)
				return (rc == -1 ? -1 : cli_unknown(optarg, e));
			break;
		case 'q':
			cli_quiet();
			break;
		case 'R':
			o->p.ranged = 1;
			if (cli_range("-R", optarg, &o->p.off, &o->p.len, e) ==
			    -1)
				return (-1);
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
	if (cli_one_set(o->set, argc - optind, e) == -1)
		return (-1);
	if (argc > optind)
		o->set = argv[optind];
	if (isatty(1))
		return (ge_fail(e, GE_EUSAGE, "standard output is a terminal: "
		    "pipe it into gejoin"));
	if (o->set == NULL && isatty(0))
		return (ge_fail(e, GE_EUSAGE, "which set? name a manifest, a "
		    "set or a label"));
	return (0);
}

static int
run(struct options *o, struct ge_err *e)
{
	char moved[32];
	struct ge_known kn;
	int rc = -1;

	memset(&kn, 0, sizeof(kn));
	if (remote_open(&o->r, e) == -1 ||
	    ge_known_find(&o->r.st, o->set != NULL ? o->set : "-", &kn, e) ==
	    -1)
		goto out;
	ge_known_forget(&kn);
	o->p.out = cli_stdout();
	rc = ge_pull_run(&o->p, &o->r.st, &kn, e);
	if (cli_verbosity() > 0)
		cli_say("%s received, %llu segment%s; damaged blocks: %llu, "
		    "asked for twice: %llu", cli_bytes(moved, o->p.received),
		    (unsigned long long)o->p.segments,
		    cli_plural(o->p.segments),
		    (unsigned long long)o->p.damaged,
		    (unsigned long long)o->p.hedged);
out:
	ge_known_release(&kn);
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
