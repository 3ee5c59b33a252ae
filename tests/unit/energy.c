/*
 * lib/util/energy.c: counters in a folder that looks like /sys/class/powercap;
 * the model against the limits that getrusage sets.
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/energy.h"
#include "util/thread.h"

#define UNIT "energy"
#include "check.h"

static char root[4096];

static void
put(const char *zone, const char *file, const char *value)
{
	char path[4400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, zone);
	(void)mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", root, zone, file);
	if ((f = fopen(path, "w")) == NULL || fprintf(f, "%s\n", value) < 0 ||
	    fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void
zone(const char *name, const char *what, const char *range, const char *uj)
{

	put(name, "name", what);
	put(name, "max_energy_range_uj", range);
	put(name, "energy_uj", uj);
}

static void
drop(const char *name, const char *file)
{
	char path[4400];

	snprintf(path, sizeof(path), "%s/%s/%s", root, name, file);
	if (remove(path) == -1) {
		perror(path);
		exit(1);
	}
}

static int
near(double a, double b)
{

	return (fabs(a - b) < 1e-9);
}

static int
is(const struct ge_energy *g, const char *method)
{

	return (strcmp(ge_energy_method(g), method) == 0);
}

/* Two packages with memory, and what is not to be counted. */
static void
machine(void)
{

	zone("intel-rapl:0", "package-0", "262143328850", "1000000");
	zone("intel-rapl:0:0", "core", "262143328850", "5");
	zone("intel-rapl:0:1", "dram", "65712999613", "65712000000");
	zone("intel-rapl:1", "package-1-die-0", "262143328850",
	    "262143000000");
	zone("intel-rapl:2", "psys", "262143328850", "7");
	zone("intel-rapl-mmio:0", "package-0", "262143328850", "1000000");
}

static void
test_counters(void)
{
	struct ge_energy g;
	int good;

	ge_energy_start_at(&g, root);
	good = is(&g, "rapl") && g.nzones == 3 &&
	    near(ge_energy_joules(&g), 0);
	put("intel-rapl:0", "energy_uj", "3500000");
	put("intel-rapl:0:0", "energy_uj", "99000000");
	put("intel-rapl:2", "energy_uj", "99000000");
	put("intel-rapl-mmio:0", "energy_uj", "99000000");
	good &= near(ge_energy_joules(&g), 2.5) &&
	    near(ge_energy_joules(&g), 2.5);
	check(good, "packages and their memory are counted, nothing else");

	put("intel-rapl:0:1", "energy_uj", "387");	/* by 1 J */
	put("intel-rapl:1", "energy_uj", "1671150");	/* by 2 J */
	good = near(ge_energy_joules(&g), 5.5);
	put("intel-rapl:0:1", "energy_uj", "1000387");
	good &= near(ge_energy_joules(&g), 6.5) && is(&g, "rapl");
	check(good, "a counter wraps");

	drop("intel-rapl:0:1", "energy_uj");
	good = ge_energy_joules(&g) >= 0 && is(&g, "model");
	check(good, "a counter that fails in between leaves the model");
}

static void
test_unreadable(void)
{
	struct ge_energy g;
	char path[4400];
	int good;

	ge_energy_start_at(&g, root);
	good = is(&g, "model") && ge_energy_joules(&g) >= 0;
	put("intel-rapl:0:1", "energy_uj", "1 2");
	ge_energy_start_at(&g, root);
	good &= is(&g, "model");
	put("intel-rapl:0:1", "energy_uj", "12");
	ge_energy_start_at(&g, root);
	good &= is(&g, "rapl");
	check(good, "one counter without a number leaves the model");

	/* As the kernel has it for all but root, whom no mode keeps out. */
	snprintf(path, sizeof(path), "%s/intel-rapl:0/energy_uj", root);
	if (geteuid() != 0) {
		chmod(path, 0);
	} else {
		drop("intel-rapl:0", "energy_uj");
		(void)mkdir(path, 0777);
	}
	ge_energy_start_at(&g, root);
	check(is(&g, "model"), "without permission it is the model");
	snprintf(path, sizeof(path), "%s/none", root);
	ge_energy_start_at(&g, path);
	check(is(&g, "model"), "without such a folder it is the model");
}

static double
cpu(int who)
{
	struct rusage r;

	getrusage(who, &r);
	return ((double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 *
	    (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec));
}

static void
burn(double seconds)
{
	double end = cpu(RUSAGE_SELF) + seconds;

	while (cpu(RUSAGE_SELF) < end)
		;
}

static void
test_model(void)
{
	double before, after, clock0, most, j, again;
	struct ge_energy g;
	struct rusage r;
	pid_t pid;

	clock0 = ge_clock();
	before = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN);
	ge_energy_start_at(&g, "/nowhere");
	burn(0.05);
	if ((pid = fork()) == 0) {
		burn(0.05);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	j = ge_energy_joules(&g);
	after = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN);
	getrusage(RUSAGE_SELF, &r);
	most = GE_ENERGY_CORE * (after - before) + GE_ENERGY_GIB *
	    (double)r.ru_maxrss / 0x1p20 * (ge_clock() - clock0);
	again = ge_energy_joules(&g);
	check(j >= GE_ENERGY_CORE * 0.1 && j <= most * 1.01 && again >= j &&
	    g.gibs > 0, "the model: seconds of this process and of its "
	    "children, and memory");
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char cmd[4400];

	snprintf(root, sizeof(root), "%s/ge-energy.XXXXXX",
	    tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	if (mkdtemp(root) == NULL) {
		perror(root);
		return (1);
	}
	machine();
	test_counters();
	test_unreadable();
	test_model();
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", root);
	return (system(cmd) != 0 || bad);
}
