#ifndef GE_ENERGY_H
#define GE_ENERGY_H

#include <stdint.h>

/*
 * The energy that a computation takes.  Measured where Linux lets us read the
 * processor's own counters (RAPL): every package and its memory, and so all
 * that the machine does meanwhile, idling too.  Else a model of this process
 * and of its children that have ended:
 *
 *	CPU-seconds * GE_ENERGY_CORE + resident GiB * seconds * GE_ENERGY_GIB
 *
 * The two constants are those of Green Algorithms (Lannelongue, Grealey and
 * Inouye, 2021): 12 W for a core of no known kind, 0.3725 W for a GB of
 * memory.  Neither method knows of power supplies, disks or cooling.
 */
#define GE_ENERGY_CORE	12.0		/* watts of a busy core */
#define GE_ENERGY_GIB	0.4		/* watts of a GiB of memory */

enum {
	GE_ENERGY_ZONES = 64		/* packages and memories at most */
};

struct ge_energy {
	const char *root;
	int nzones;			/* 0: the model */
	struct ge_energy_zone {
		char name[24];		/* "intel-rapl:0:1" */
		uint64_t last, range;	/* microjoules */
	} zone[GE_ENERGY_ZONES];
	double joules;			/* measured so far */
	double seconds, cpu, gib;	/* at the last look */
	double cpu0, gibs;		/* at the start; GiB * seconds so far */
};

/*
 * ge_energy_start(g): begin at 0.  Where the counters cannot be read it is the
 * model.
 *
 * ge_energy_joules(g): since the start.  A counter wraps, after some minutes at
 * full load: ask every minute.  If a counter fails in between, the model counts
 * from the start.
 *
 * ge_energy_method(g): "rapl" or "model".
 *
 * ge_energy_start_at(g, root): of counters in a folder like
 * /sys/class/powercap; root is borrowed.
 */
void ge_energy_start(struct ge_energy *g);
double ge_energy_joules(struct ge_energy *g);
const char *ge_energy_method(const struct ge_energy *g);
void ge_energy_start_at(struct ge_energy *g, const char *root);

#endif
