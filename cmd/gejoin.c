#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "frag/frag.h"
#include "seal/seal.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/num.h"

static const char usage[] =
    "[-fqv] [-i file]... [-j n] [-m file] [-O name=value] [-o file]\n"
    "              [-P file] [-R off:len] [-V file] [path ...]";

struct options {
	struct ge_join j;
	int force;
	const char *outfile, *passfile;
	const char *identity[CLI_KEYS_MAX];
};

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c, rc;

	while ((c = getopt(argc, argv, ":fi:j:m:O:o:P:qR:V:v")) != -1) {
		switch (c) {
		case 'f':
			o->force = 1;
			break;
		case 'i':
			if (o->j.nidentities == CLI_KEYS_MAX)
				return (ge_fail(e, GE_EUSAGE, "-i '%s': more "
				    "than %d identities", optarg,
				    CLI_KEYS_MAX));
			o->identity[o->j.nidentities++] = optarg;
			break;
		case 'O':
			if ((rc = cli_pin(&o->j.pins, optarg, e)) == -1)
				return (-1);
			if (rc == 0)
				return (cli_unknown(optarg, e));
			break;
		case 'o':
			o->outfile = optarg;
			break;
		case 'P':
			o->passfile = optarg;
			break;
		case 'R':
			o->j.ranged = 1;
			if (cli_range("-R", optarg, &o->j.off, &o->j.len, e) ==
			    -1)
				return (-1);
			break;
		default:
			if (cli_reader(c, &o->j.pins, &o->j.jobs, e) == -1)
				return (-1);
		}
	}
	return (cli_order(argc, argv, e));
}

static int
run(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct ge_pile *p = NULL;
	const enum ge_over over = o->force ? GE_OVER_FILE : GE_OVER_NOTHING;
	struct ge_file out = GE_FILE_NONE;
	uint8_t (*identity)[GE_KEY] = NULL, *pass = NULL;
	size_t idlen = (size_t)o->j.nidentities * GE_KEY;
	char size[32];
	int i, rc = -1;

	if (idlen > 0 && (identity = ge_secret_alloc(idlen, e)) == NULL)
		goto out;
	for (i = 0; i < o->j.nidentities; i++)
		if (ge_pem_x25519_private(identity[i], o->identity[i], e) == -1)
			goto out;
	o->j.identity = (const uint8_t (*)[GE_KEY])identity;
	if (o->passfile != NULL &&
	    cli_pass(o->passfile, &pass, &o->j.passlen, e) == -1)
		goto out;
	o->j.pass = pass;
	o->j.out = cli_stdout();
	if (o->outfile != NULL) {
		if (ge_file_open(&out, o->outfile, over, e) == -1)
			goto out;
		o->j.out = out.fd;
	}
	if ((p = ge_pile_new(0, &o->j.pins, e)) == NULL ||
	    cli_operands(p, argc, argv, e) == -1 ||
	    ge_join_run(&o->j, p, e) == -1)
		goto out;
	if (o->outfile != NULL && ge_file_commit(&out, over, e) == -1)
		goto out;
	if (cli_verbosity() > 0)
		cli_say("%s out", cli_bytes(size, o->j.written));
	rc = 0;
out:
	ge_pile_free(p);
	ge_file_release(&out);
	if (pass != NULL)
		ge_secret_free(pass, CLI_PASS_MAX);
	if (identity != NULL)
		ge_secret_free(identity, idlen);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct ge_err e = { 0, 0, "" };

	cli_init(argc, argv, usage);
	memset(&o, 0, sizeof(o));
	o.j.jobs = cli_jobs();
	if (parse(&o, argc, argv, &e) == -1)
		return (cli_end(-1, &e));
	return (cli_end(run(&o, argc - optind, argv + optind, &e), &e));
}
