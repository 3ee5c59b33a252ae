#include <string.h>

#include "store/heal_int.h"

/*
 * New shares of which no manifest tells: a repair was killed, or not all sites took
 * theirs.  The names that sites list are no proof, nor is a record with shares that
 * match it, which anybody can make; k shares that give the segment's key are, and
 * then the others can be made.
 */
enum {
	LISTED = 4			/* epochs of a segment that are looked at */
};

/* Where a survey lists each index in an epoch; how many. */
static int
spread(const struct healer *hl, uint32_t segment, int epoch, int16_t *site)
{
	const struct ge_seen *seen;
	size_t n, i;
	int idx, listed = 0;

	for (idx = 0; idx < hl->map.n; idx++) {
		site[idx] = -1;
		seen = ge_survey_find(&hl->sv, segment, idx, &n);
		for (i = 0; i < n && site[idx] == -1; i++)
			if (seen[i].epoch == epoch)
				site[idx] = seen[i].site;
		listed += site[idx] != -1;
	}
	return (listed);
}

int
heal_resume(struct healer *hl, uint32_t segment, int least, int *epoch,
    int16_t *site, struct ge_err *e)
{
	uint8_t record[32];
	int ep, rc, looked = 0;

	if (least < hl->kn->m.k)
		least = hl->kn->m.k;
	for (ep = heal_newest(hl, segment); ep > hl->map.epoch[segment] &&
	    looked < LISTED; ep--) {
		if (spread(hl, segment, ep, site) < least)
			continue;
		looked++;
		if ((rc = heal_proved(hl, segment, ep, least, site, record,
		    e)) == -1)
			return (-1);
		if (rc == 0)
			continue;
		*epoch = ep;
		return (1);
	}
	return (0);
}
