#include <string.h>

#include "cli.h"
#include "families.h"

static const char usage[] =
    "lm [-fqtv] [-i base] [-j n] [-O name=value]... [-o model] [file ...]\n"
    "       getrain monitor [-fqtv] [-j n] [-O name=value]... [-o model] "
    "[file ...]\n"
    "       getrain trees [-fqtv] [-j n] [-O name=value]... [-o model] "
    "[file ...]";

static const struct family {
	const char *name;
	int (*main)(int argc, char **argv);
} families[] = {
	{ "lm", lm_main },
	{ "monitor", monitor_main },
	{ "trees", trees_main }
};

int
main(int argc, char **argv)
{
	size_t i;
	struct ge_err e;

	cli_init(argc, argv, usage);
	if (argc < 2 || argv[1][0] == '-')
		cli_usage(0);
	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (strcmp(argv[1], families[i].name) == 0) {
			argv[1] = argv[0];
			return (families[i].main(argc - 1, argv + 1));
		}
	ge_fail(&e, GE_EUSAGE, "'%s': no such family of models", argv[1]);
	return (cli_end(-1, &e));
}
