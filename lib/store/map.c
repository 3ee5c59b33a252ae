#include <string.h>

#include "store/store_int.h"
#include "util/hook.h"
#include "util/mem.h"

enum {
	LINES_MAX = 1 << 24		/* lines times the segments they cover */
};

uint64_t
ge_map_lines(const struct ge_manifest *m, uint64_t max)
{
	uint64_t n = 0;
	size_t p;

	for (p = 0; p < m->nplaces && n <= max; p++)
		n += m->place[p].last - m->place[p].first + 1;
	return (n);
}

/* Of each manifest, the number in the sites file of each name it uses. */
static int
resolve(struct ge_map *map, struct ge_err *e)
{
	const struct ge_manifest *m;
	size_t i, j;

	for (i = 0; i < map->nfrom; i++) {
		m = map->from[i];
		map->site[i] = ge_alloc(m->nsitenames * sizeof(int16_t), e);
		if (map->site[i] == NULL)
			return (-1);
		for (j = 0; j < m->nsitenames; j++) {
			map->site[i][j] = (int16_t)ge_sites_find(map->sites,
			    m->sitename[j]);
			if (map->site[i][j] != -1)
				continue;
			map->unknown++;
			ge_note(GE_SAY, "site '%s' of the manifest is not in "
			    "the sites file", m->sitename[j]);
		}
	}
	return (0);
}

int
ge_map_init(struct ge_map *map, const struct ge_sites *sites,
    const struct ge_known *kn, struct ge_err *e)
{
	size_t i, p, s;
	uint64_t total;
	const struct ge_manifest *m;
	const struct ge_place *pl;
	uint8_t *epoch = NULL;		/* [nsegs][n] */
	uint32_t *at;
	size_t f;
	int q, rc = -1;

	memset(map, 0, sizeof(*map));
	map->sites = sites;
	map->nsegs = (size_t)kn->m.nsegments;
	map->n = kn->m.n;
	if ((map->at = ge_alloc(map->nsegs * (size_t)map->n *
	    sizeof(*map->at), e)) == NULL ||
	    (map->epoch = ge_alloc(map->nsegs, e)) == NULL ||
	    (epoch = ge_alloc(map->nsegs * (size_t)map->n, e)) == NULL ||
	    (map->first = ge_alloc((map->nsegs + 2) * sizeof(*map->first),
	    e)) == NULL ||
	    (map->from = ge_alloc((1 + kn->nalso) * sizeof(*map->from), e)) ==
	    NULL || (map->site = ge_alloc((1 + kn->nalso) *
	    sizeof(*map->site), e)) == NULL)
		goto out;
	if ((total = ge_map_lines(&kn->m, LINES_MAX)) > LINES_MAX) {
		ge_fail(e, GE_EREFUSED, "too many place lines in the manifest");
		goto out;
	}
	map->from[map->nfrom++] = &kn->m;
	for (i = 0; i < kn->nalso; i++) {
		map->from[map->nfrom++] = &kn->also[i];
		total += ge_map_lines(&kn->also[i], LINES_MAX);
	}
	if (resolve(map, e) == -1)
		goto out;
	for (i = 0; i < map->nsegs * (size_t)map->n; i++)
		map->at[i] = -1;
	/* first[s + 2] counts, then first[s + 1] runs, then it is done. */
	for (i = 0; i < map->nfrom; i++)
		for (p = 0; p < map->from[i]->nplaces; p++) {
			pl = &map->from[i]->place[p];
			for (s = pl->first; s <= pl->last && s < map->nsegs;
			    s++)
				map->first[s + 2]++;
		}
	for (s = 2; s <= map->nsegs + 1; s++)
		map->first[s] += map->first[s - 1];
	if ((map->line = ge_alloc(total * sizeof(*map->line), e)) == NULL)
		goto out;
	at = map->first + 1;
	for (i = 0; i < map->nfrom; i++) {
		m = map->from[i];
		for (p = 0; p < m->nplaces; p++) {
			pl = &m->place[p];
			for (s = pl->first; s <= pl->last && s < map->nsegs;
			    s++) {
				map->line[at[s]].place = (uint32_t)p;
				map->line[at[s]++].from = (uint16_t)i;
				if (i > 0)
					continue;
				for (q = 0; q < pl->n; q++) {
					f = s * (size_t)map->n + m->placeindex[
					    pl->at + (size_t)q];
					map->at[f] = map->site[0][m->placesite[
					    pl->at + (size_t)q]];
					epoch[f] = pl->epoch;
				}
			}
		}
	}
	/* A line of the past may be of a newer epoch, that came to nothing. */
	for (f = 0; f < map->nsegs * (size_t)map->n; f++)
		if (epoch[f] > map->epoch[f / (size_t)map->n])
			map->epoch[f / (size_t)map->n] = epoch[f];
	rc = 0;
out:
	ge_free(epoch);
	return (rc);
}

void
ge_map_release(struct ge_map *map)
{

	size_t i;

	for (i = 0; i < map->nfrom; i++)
		ge_free(map->site[i]);
	ge_free(map->site);
	ge_free(map->at);
	ge_free(map->epoch);
	ge_free(map->from);
	ge_free(map->first);
	ge_free(map->line);
	memset(map, 0, sizeof(*map));
}

void
ge_map_ever(const struct ge_map *map, size_t segment, int epoch, uint64_t *ever)
{
	const struct ge_manifest *m;
	const struct ge_place *pl;
	uint32_t i;
	int q, site;

	memset(ever, 0, map->sites->n * sizeof(*ever));
	if (segment >= map->nsegs)
		return;
	for (i = map->first[segment]; i < map->first[segment + 1]; i++) {
		m = map->from[map->line[i].from];
		pl = &m->place[map->line[i].place];
		if (pl->epoch != epoch)
			continue;
		for (q = 0; q < pl->n; q++) {
			site = map->site[map->line[i].from][
			    m->placesite[pl->at + (size_t)q]];
			if (site != -1)
				ever[site] |= (uint64_t)1 <<
				    m->placeindex[pl->at + (size_t)q];
		}
	}
}
