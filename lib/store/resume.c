#include <string.h>

#include "store/heal_int.h"

/*
 * New shares of which no manifest tells: a repair was killed, or not all sites took
 * theirs.  The names that sites list are no proof; k headers of one record with
 * good shares are, and then the others can be made.
 */
enum {
	LISTED = 4			/* epochs of a segment that are looked at */
};

/* Where a survey lists each index in an epoch; how many; by how many sites. */
static int
spread(const struct healer *hl, uint32_t segment, int epoch, int16_t *site,
    int *nsites)
{
	const struct ge_seen *seen;
	size_t n, i;
	int idx, other, listed = 0;

	*nsites = 0;
	for (idx = 0; idx < hl->map.n; idx++) {
		site[idx] = -1;
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		for (i = 0; i < n && site[idx] == -1; i++)
			if (seen[i].epoch == epoch)
				site[idx] = seen[i].site;
		for (other = 0; other < idx && site[other] != site[idx];
		    other++)
			;
		*nsites += site[idx] != -1 && other == idx;
		listed += site[idx] != -1;
	}
	return (listed);
}

/* The most of one record: how many; site[] is -1 for the others. */
static int
agreeing(int n, uint64_t good, uint8_t (*record)[32], int16_t *site)
{
	int i, j, count, most = 0, best = -1;

	for (i = 0; i < n; i++) {
		for (j = count = 0; j < n && (good >> i & 1) != 0; j++)
			count += (good >> j & 1) != 0 &&
			    memcmp(record[i], record[j], 32) == 0;
		if (count > most) {
			most = count;
			best = i;
		}
	}
	for (i = 0; i < n; i++)
		if (best == -1 || (good >> i & 1) == 0 ||
		    memcmp(record[i], record[best], 32) != 0)
			site[i] = -1;
	return (most);
}

int
heal_resume(struct healer *hl, uint32_t segment, int least, int *epoch,
    int16_t *site, struct ge_err *e)
{
	const struct ge_manifest *m = &hl->kn->m;
	uint8_t record[GE_N_MAX][32];
	uint64_t good;
	int ep, nsites, looked = 0;

	if (least < m->k)
		least = m->k;
	for (ep = heal_newest(hl, segment); ep > hl->map.epoch[segment] &&
	    looked < LISTED; ep--) {
		if (spread(hl, segment, ep, site, &nsites) < least ||
		    nsites < 2)
			continue;
		looked++;
		if (heal_heads(hl, segment, ep, site, m->segment[segment].root,
		    record, &good, e) == -1)
			return (-1);
		if (agreeing(m->n, good, record, site) < least)
			continue;
		*epoch = ep;
		return (1);
	}
	return (0);
}
