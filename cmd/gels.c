#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "remote.h"
#include "util/num.h"

static const char usage[] =
    "-s sites [-qv] [-j n] [-O name=value] [-V file] [-x site]...\n"
    "            [manifest | set | label ...]";

struct options {
	struct remote r;
	uint64_t health[GE_HEALTH_UNKNOWN + 1];	/* sets of each */
	uint64_t stored;
};

static const char *const word[] = {
	"whole", "degraded", "lost", "partial", "unknown"
};

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c, rc;

	while ((c = getopt(argc, argv, ":j:O:qs:V:vx:")) != -1) {
		switch (c) {
		case 'O':
			if ((rc = remote_rare(&o->r, optarg, e)) == 0)
				rc = cli_unknown(optarg, e);
			break;
		case 'q':
			cli_quiet();
			rc = 1;
			break;
		case 'v':
			cli_verbose();
			rc = 1;
			break;
		default:
			if ((rc = remote_option(&o->r, c, e)) == 0)
				cli_usage(c);
		}
		if (rc == -1)
			return (-1);
	}
	return (cli_order(argc, argv, e));
}

/* A number, or "-" if it is not known. */
static void
number(uint64_t v, int known)
{

	if (known)
		printf("%llu\t", (unsigned long long)v);
	else
		printf("-\t");
}

static int
entry(void *arg, const struct ge_entry *en, struct ge_err *e)
{
	struct options *o = arg;
	char id[2 * GE_SETID + 1];

	o->health[en->health]++;
	o->stored += en->stored;
	printf("%s\t%s\t", ge_hex(id, en->setid, GE_SETID),
	    en->created != NULL ? en->created : "-");
	number(en->length, en->length != GE_OP_UNKNOWN);
	number(en->stored, 1);
	if (en->n > 0)
		printf("%d/%d\t", en->k, en->n);
	else
		printf("-\t");
	printf("%llu/", (unsigned long long)en->listed);
	number(en->expected, en->expected > 0);
	printf("%d\t%s\t%llu\t%s\n", en->nsites, word[en->health],
	    (unsigned long long)en->leftovers, en->name != NULL ? en->name :
	    "-");
	return (ferror(stdout) ? ge_fail(e, GE_EFAIL, "%s", "") : 0);
}

static void
summary(const struct options *o, const struct ge_inventory *iv)
{
	char stored[32];
	size_t i;

	cli_say("%llu set%s, %s stored", (unsigned long long)iv->sets,
	    cli_plural(iv->sets), cli_bytes(stored, o->stored));
	for (i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (o->health[i] > 0)
			cli_say("%s: %llu", word[i],
			    (unsigned long long)o->health[i]);
}

static int
run(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct ge_inventory iv;
	int rc = -1;

	memset(&iv, 0, sizeof(iv));
	iv.operand = (const char *const *)argv;
	iv.noperands = (size_t)argc;
	iv.entry = entry;
	iv.arg = o;
	if (remote_open(&o->r, e) == -1)
		goto out;
	printf("#set\tcreated\tbytes\tstored\tcode\tfragments\t"
	    "sites\thealth\tleftovers\tlabel\n");
	rc = ge_inventory_run(&iv, &o->r.st, e);
	cli_flush();
	if (cli_verbosity() > 0 && !cli_is_quiet())
		summary(o, &iv);
out:
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
	if (parse(&o, argc, argv, &e) == -1) {
		remote_close(&o.r);
		return (cli_end(-1, &e));
	}
	return (cli_end(run(&o, argc - optind, argv + optind, &e), &e));
}
