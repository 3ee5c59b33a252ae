#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "frag/frag.h"
#include "seal/seal.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/num.h"

static const char usage[] =
    "[-fpqvz] [-b size] [-d dir] [-j n] [-k n] [-N label] [-n n]\n"
    "              [-O name=value] [-o file] [-P file] [-r file]... [-S file]"
    " [file]";

struct options {
	struct ge_split s;
	uint64_t payload;
	int force;
	const char *outfile, *passfile, *signfile, *infile;
	const char *recipient[CLI_KEYS_MAX];
	int nrecipients;
};

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	const char *v;
	uint64_t size;
	int c;

	while ((c = getopt(argc, argv, ":b:d:fj:k:N:n:O:o:P:pqr:S:vz")) != -1) {
		switch (c) {
		case 'b':
			if (cli_size("-b", optarg, GE_BLOCK_MIN, GE_BLOCK_MAX,
			    &size, e) == -1)
				return (-1);
			if ((size & (size - 1)) != 0)
				return (ge_fail(e, GE_EUSAGE, "-b '%s': not a "
				    "power of two", optarg));
			o->s.block = (uint32_t)size;
			break;
		case 'd':
			o->s.dir = optarg;
			break;
		case 'f':
			o->force = 1;
			break;
		case 'j':
			if (cli_number("-j", optarg, 1, 64, &o->s.jobs, e) == -1)
				return (-1);
			break;
		case 'k':
			if (cli_number("-k", optarg, 1, GE_N_MAX, &o->s.k, e) ==
			    -1)
				return (-1);
			break;
		case 'N':
			o->s.name = optarg;
			if (ge_label_check(optarg, e) == -1)
				return (ge_within(e, "-N"));
			break;
		case 'n':
			if (cli_number("-n", optarg, 1, GE_N_MAX, &o->s.n, e) ==
			    -1)
				return (-1);
			break;
		case 'O':
			if ((v = cli_option(optarg, "payload")) == NULL)
				return (cli_unknown(optarg, e));
			if (cli_size("payload", v, GE_BLOCK_MIN, (uint64_t)1 <<
			    30, &o->payload, e) == -1)
				return (-1);
			break;
		case 'o':
			o->outfile = optarg;
			break;
		case 'P':
			o->passfile = optarg;
			break;
		case 'p':
			o->s.mode = GE_PLAIN;
			break;
		case 'q':
			cli_quiet();
			break;
		case 'r':
			if (o->nrecipients == CLI_KEYS_MAX)
				return (ge_fail(e, GE_EUSAGE, "-r '%s': more "
				    "than %d recipients", optarg,
				    CLI_KEYS_MAX));
			o->recipient[o->nrecipients++] = optarg;
			break;
		case 'S':
			if (cli_once("-S", o->signfile, e) == -1)
				return (-1);
			o->signfile = optarg;
			break;
		case 'v':
			cli_verbose();
			break;
		case 'z':
			o->s.deflate = 1;
			break;
		default:
			cli_usage(c);
		}
	}
	if (cli_order(argc, argv, e) == -1)
		return (-1);
	if (argc - optind > 1)
		cli_usage(0);
	if (argc - optind == 1 && strcmp(argv[optind], "-") != 0)
		o->infile = argv[optind];
	if (o->s.mode == GE_PLAIN && (o->passfile != NULL || o->nrecipients > 0))
		return (ge_fail(e, GE_EUSAGE,
		    "-p keeps nothing secret: not with -P or -r"));
	if (o->passfile != NULL && o->nrecipients > 0)
		return (ge_fail(e, GE_EUSAGE, "-P and -r exclude each other"));
	if (o->s.dir != NULL && o->outfile != NULL)
		return (ge_fail(e, GE_EUSAGE, "-d and -o exclude each other"));
	if (o->s.k > o->s.n)
		return (ge_fail(e, GE_EUSAGE, "-k %d is more than -n %d",
		    o->s.k, o->s.n));
	if (o->s.k == 1 && o->s.mode != GE_PLAIN)
		return (ge_fail(e, GE_EUSAGE, "-k 1 keeps no secret: only "
		    "with -p"));
	return (0);
}

/* As many stripes as the payload gives, at least one, within the limits. */
static void
choose_stripes(struct options *o)
{
	uint64_t stripes = o->payload / o->s.block, most;

	most = (uint64_t)GE_SEGMENT_MAX / ((uint64_t)o->s.k * o->s.block);
	if (stripes == 0)
		stripes = 1;
	if (stripes > GE_STRIPES_MAX)
		stripes = GE_STRIPES_MAX;
	if (stripes > most)
		stripes = most;
	o->s.stripes = (uint32_t)stripes;
}

static int
run(struct options *o, struct ge_err *e)
{
	const enum ge_over over = o->force ? GE_OVER_FILE : GE_OVER_NOTHING;
	struct ge_file out = GE_FILE_NONE;
	uint8_t (*recipient)[32] = NULL, *pass = NULL, *signkey = NULL;
	char id[2 * GE_SETID + 1], digest[65], from[32], to[32];
	int i, rc = -1;

	o->s.in = 0;
	choose_stripes(o);
	if (o->nrecipients > 0 && (recipient = ge_alloc(
	    (size_t)o->nrecipients * sizeof(*recipient), e)) == NULL)
		goto out;
	for (i = 0; i < o->nrecipients; i++)
		if (ge_pem_x25519_public(recipient[i], o->recipient[i], e) ==
		    -1)
			goto out;
	o->s.recipient = (const uint8_t (*)[32])recipient;
	o->s.nrecipients = o->nrecipients;
	if (o->passfile != NULL &&
	    cli_pass(o->passfile, &pass, &o->s.passlen, e) == -1)
		goto out;
	o->s.pass = pass;
	if (o->signfile != NULL &&
	    ((signkey = ge_secret_alloc(GE_KEY, e)) == NULL ||
	    ge_pem_ed25519_private(signkey, o->signfile, e) == -1))
		goto out;
	o->s.signkey = signkey;
	if (o->infile != NULL && (o->s.in = ge_input_open(o->infile, e)) == -1)
		goto out;
	o->s.out = -1;
	if (o->s.dir == NULL && o->outfile == NULL) {
		o->s.out = cli_stdout();
		if (isatty(1) && !o->force) {
			ge_fail(e, GE_EUSAGE, "standard output is a terminal: "
			    "redirect it, or use -d or -o");
			goto out;
		}
	} else if (o->outfile != NULL) {
		if (ge_file_open(&out, o->outfile, over, e) == -1)
			goto out;
		o->s.out = out.fd;
	}
	if (ge_split_run(&o->s, e) == -1)
		goto out;
	if (o->outfile != NULL && ge_file_commit(&out, over, e) == -1)
		goto out;
	if (cli_verbosity() > 0) {
		cli_say("set %s", ge_hex(id, o->s.setid, GE_SETID));
		cli_say("digest %s", ge_hex(digest, o->s.digest, 32));
		cli_say("%s in, %s out, %llu segment%s, any %d of %d fragments",
		    cli_bytes(from, o->s.length), cli_bytes(to, o->s.stored),
		    (unsigned long long)o->s.nsegments,
		    cli_plural(o->s.nsegments), o->s.k, o->s.n);
	}
	rc = 0;
out:
	ge_file_release(&out);
	if (o->s.in > 0)
		close(o->s.in);
	if (pass != NULL)
		ge_secret_free(pass, CLI_PASS_MAX);
	if (signkey != NULL)
		ge_secret_free(signkey, GE_KEY);
	ge_free(recipient);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct options o = {
		.s = { .k = 6, .n = 9, .block = 256 << 10 },
		.payload = 8 << 20
	};
	struct ge_err e = { 0, 0, "" };

	cli_init(argc, argv, usage);
	o.s.jobs = cli_jobs();
	if (parse(&o, argc, argv, &e) == -1)
		return (cli_end(-1, &e));
	return (cli_end(run(&o, &e), &e));
}
