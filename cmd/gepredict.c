#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "predict.h"
#include "util/file.h"
#include "util/mem.h"

static const char usage[] =
    "[-qv] [-j n] [-O name=value]... model [file ...]";

static const struct predict_family *const families[] = {
	&predict_lm, &predict_monitor, &predict_trees
};

enum {
	FAMILIES = sizeof(families) / sizeof(families[0])
};

static int
takes(const struct predict_family *f, const char *arg)
{
	size_t i;

	for (i = 0; f->names[i] != NULL; i++)
		if (cli_option(arg, f->names[i]) != NULL)
			return (1);
	return (0);
}

/* An option that some family takes. */
static int
keep(struct predict *p, size_t *cap, char *arg, struct ge_err *e)
{
	size_t i;

	for (i = 0; i < FAMILIES && !takes(families[i], arg); i++)
		;
	if (i == FAMILIES)
		return (cli_unknown(arg, e));
	if (ge_grow(&p->opt, cap, p->nopts + 1, sizeof(*p->opt), e) == -1)
		return (-1);
	p->opt[p->nopts++] = arg;
	return (0);
}

static int
parse(struct predict *p, int argc, char **argv, struct ge_err *e)
{
	size_t cap = 0;
	int c;

	while ((c = getopt(argc, argv, ":j:O:qv")) != -1) {
		switch (c) {
		case 'j':
			if (cli_number("-j", optarg, 1, 64, &p->jobs, e) == -1)
				return (-1);
			break;
		case 'O':
			if (keep(p, &cap, optarg, e) == -1)
				return (-1);
			break;
		case 'q':
			cli_quiet();
			break;
		case 'v':
			cli_verbose();
			break;
		default:
			cli_usage(c);
		}
	}
	if (optind == argc)
		return (ge_fail(e, GE_EUSAGE, "which model?"));
	p->model = argv[optind];
	p->file = argv + optind + 1;
	p->n = argc - optind - 1;
	return (cli_order(argc, argv, e));
}

static int
run(const struct predict *p, const struct predict_family *f, struct ge_err *e)
{
	size_t i;

	for (i = 0; i < p->nopts; i++)
		if (!takes(f, p->opt[i]))
			return (ge_fail(e, GE_EUSAGE, "-O '%s': not with a "
			    "model that has '%s'", p->opt[i], f->file));
	return (f->run(p, e));
}

/* The family whose file is in the folder; NULL and no failure: none. */
static int
family(const char *model, const struct predict_family **f, struct ge_err *e)
{
	char *path;
	size_t i;

	*f = NULL;
	if (access(model, F_OK) == -1) {
		ge_failsys(e, "cannot open '%s'", model);
		e->code = GE_EUSAGE;
		return (-1);
	}
	for (i = 0; i < FAMILIES && *f == NULL; i++) {
		if ((path = ge_path_join(model, families[i]->file, e)) == NULL)
			return (-1);
		if (access(path, F_OK) == 0)
			*f = families[i];
		ge_free(path);
	}
	return (*f != NULL ? 0 : ge_fail(e, GE_EUSAGE, "'%s': not the folder "
	    "of a model: it has no config.json, monitor.safetensors or "
	    "model.json", model));
}

int
main(int argc, char **argv)
{
	const struct predict_family *f;
	struct predict p;
	struct ge_err e = { 0, 0, "" };
	int rc;

	cli_init(argc, argv, usage);
	memset(&p, 0, sizeof(p));
	p.jobs = cli_jobs();
	if ((rc = parse(&p, argc, argv, &e)) == 0 &&
	    (rc = family(p.model, &f, &e)) == 0)
		rc = run(&p, f, &e);
	ge_free(p.opt);
	return (cli_end(rc, &e));
}
