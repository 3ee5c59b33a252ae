#define _DEFAULT_SOURCE		/* ru_maxrss's unit is Linux's */
#include <sys/resource.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/energy.h"
#include "util/err.h"
#include "util/io.h"
#include "util/num.h"
#include "util/thread.h"

/* The first line of a small file.  0, -1. */
static int
line(char *buf, size_t cap, const char *root, const char *zone,
    const char *file)
{
	char path[4096];
	struct ge_err e;
	size_t got;
	int fd, n, rc;

	n = snprintf(path, sizeof(path), "%s/%s/%s", root, zone, file);
	if (n < 0 || (size_t)n >= sizeof(path) ||
	    (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	rc = ge_pread(fd, buf, cap - 1, 0, &got, &e);
	close(fd);
	if (rc == -1)
		return (-1);
	buf[got] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return (0);
}

static int
number(const char *root, const char *zone, const char *file, uint64_t *v)
{
	char buf[32];

	return (line(buf, sizeof(buf), root, zone, file) == -1 ? -1 :
	    ge_num_parse(buf, strlen(buf), v));
}

/*
 * "core" and "uncore" are parts of a package, "psys" holds packages, and
 * intel-rapl-mmio:0 is a second way to the same counter.
 */
static int
counts(const char *root, const char *name)
{
	char buf[32];

	return (strncmp(name, "intel-rapl:", 11) == 0 &&
	    line(buf, sizeof(buf), root, name, "name") == 0 &&
	    (strncmp(buf, "package-", 8) == 0 || strcmp(buf, "dram") == 0));
}

/* 0 if every counter that there is was read, -1. */
static int
find(struct ge_energy *g)
{
	struct ge_energy_zone *z;
	struct dirent *d;
	DIR *dir;
	size_t len;
	int rc = 0;

	if ((dir = opendir(g->root)) == NULL)
		return (-1);
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (!counts(g->root, d->d_name))
			continue;
		len = strlen(d->d_name);
		if (g->nzones == GE_ENERGY_ZONES || len >= sizeof(z->name)) {
			rc = -1;
			break;
		}
		z = &g->zone[g->nzones++];
		memcpy(z->name, d->d_name, len + 1);
		rc = number(g->root, z->name, "max_energy_range_uj",
		    &z->range);
		if (rc == 0)
			rc = number(g->root, z->name, "energy_uj", &z->last);
	}
	closedir(dir);
	return (rc);
}

static double
cpu_seconds(void)
{
	static const int who[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
	struct rusage r;
	double sum = 0;
	int i;

	for (i = 0; i < 2; i++)
		if (getrusage(who[i], &r) == 0)
			sum += (double)(r.ru_utime.tv_sec +
			    r.ru_stime.tv_sec) + 1e-6 *
			    (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
	return (sum);
}

/* What is resident now; without /proc, what was at most. */
static double
resident(void)
{
	char buf[128], *s;
	struct rusage r;
	uint64_t pages;

	if (line(buf, sizeof(buf), "/proc", "self", "statm") == 0 &&
	    (s = strchr(buf, ' ')) != NULL &&
	    ge_num_parse(s + 1, strcspn(s + 1, " "), &pages) == 0)
		return ((double)pages * (double)sysconf(_SC_PAGESIZE) /
		    0x1p30);
	return (getrusage(RUSAGE_SELF, &r) == 0 ?
	    (double)r.ru_maxrss / 0x1p20 : 0);
}

static void
look(struct ge_energy *g)
{
	double now = ge_clock(), gib = resident();

	g->cpu = cpu_seconds();
	g->gibs += (g->gib + gib) / 2 * (now - g->seconds);
	g->gib = gib;
	g->seconds = now;
}

void
ge_energy_start_at(struct ge_energy *g, const char *root)
{

	memset(g, 0, sizeof(*g));
	g->root = root;
	if (find(g) == -1)
		g->nzones = 0;
	g->seconds = ge_clock();
	g->gib = resident();
	g->cpu0 = g->cpu = cpu_seconds();
}

void
ge_energy_start(struct ge_energy *g)
{

	ge_energy_start_at(g, "/sys/class/powercap");
}

double
ge_energy_joules(struct ge_energy *g)
{
	struct ge_energy_zone *z;
	uint64_t now;
	int i;

	look(g);
	for (i = 0; i < g->nzones; i++) {
		z = &g->zone[i];
		if (number(g->root, z->name, "energy_uj", &now) == -1) {
			g->nzones = 0;
			break;
		}
		g->joules += 1e-6 * (double)(now >= z->last ? now - z->last :
		    now + (z->range > z->last ? z->range - z->last : 0));
		z->last = now;
	}
	return (g->nzones > 0 ? g->joules : (g->cpu - g->cpu0) *
	    GE_ENERGY_CORE + g->gibs * GE_ENERGY_GIB);
}

const char *
ge_energy_method(const struct ge_energy *g)
{

	return (g->nzones > 0 ? "rapl" : "model");
}
