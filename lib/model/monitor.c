#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/monitor_int.h"
#include "util/mem.h"

enum {
	SETTINGS = 16
};

/* What the numbers of a model stay within, so that those of a watch do. */
#define LARGEST 2e30f
#define LARGE 1e6f
#define SMALL 1e-4f

static size_t
rounded(size_t n)
{

	return ((n + LANES - 1) / LANES * LANES);
}

void
ge_monitor_extent(struct ge_monitor *m)
{

	m->lin = rounded(m->p * (m->lags + 1) + 1);
	m->width = m->lin + (m->hinges ? rounded(2 * m->p) : 0);
	m->stride = rounded(m->p);
}

int
ge_monitor_shape(struct ge_monitor *m, struct ge_err *e)
{
	const size_t p = m->p;

	ge_monitor_extent(m);
	if ((m->centre = ge_alloc(2 * p * sizeof(float), e)) == NULL ||
	    (m->inverse = ge_alloc(p * sizeof(float), e)) == NULL ||
	    (m->wander = ge_alloc(p * sizeof(float), e)) == NULL ||
	    (m->mode = ge_alloc(m->modes * p * sizeof(float), e)) == NULL ||
	    (m->relation = ge_alloc(p * m->width * sizeof(float), e)) ==
	    NULL ||
	    (m->innovation = ge_alloc(p * m->width * sizeof(float), e)) ==
	    NULL ||
	    (m->used = ge_alloc(2 * p * sizeof(float), e)) == NULL ||
	    (m->middle = ge_alloc(GE_MONITOR_STATS * sizeof(float), e)) ==
	    NULL ||
	    (m->limit = ge_alloc(GE_MONITOR_STATS * sizeof(float), e)) ==
	    NULL ||
	    (m->reach = ge_alloc(p * sizeof(float), e)) == NULL ||
	    (m->across = ge_alloc(2 * m->width * m->stride * sizeof(float),
	    e)) == NULL)
		return (-1);
	return (0);
}

void
ge_monitor_release(struct ge_monitor *m)
{

	ge_free(m->centre);
	ge_free(m->inverse);
	ge_free(m->wander);
	ge_free(m->mode);
	ge_free(m->relation);
	ge_free(m->innovation);
	ge_free(m->used);
	ge_free(m->middle);
	ge_free(m->limit);
	ge_free(m->reach);
	ge_free(m->across);
	memset(m, 0, sizeof(*m));
}

float *
ge_monitor_across(const struct ge_monitor *m, size_t c, size_t i, size_t j)
{

	return (m->across + ((c * m->stride + i) / LANES * m->width + j) *
	    LANES + i % LANES);
}

void
ge_monitor_ready(struct ge_monitor *m)
{
	const size_t p = m->p;
	float x;
	size_t i, j;

	for (i = 0; i < p; i++)
		for (j = 0; j < m->width; j++) {
			*ge_monitor_across(m, 0, i, j) = m->used[i] *
			    m->relation[i * m->width + j];
			*ge_monitor_across(m, 1, i, j) = m->used[p + i] *
			    m->innovation[i * m->width + j];
		}
	if (m->reach == NULL)
		return;
	memset(m->reach, 0, p * sizeof(float));
	for (j = 0; j < p; j++)
		for (i = 0; i < p; i++) {
			x = *ge_monitor_across(m, 0, i, j);
			m->reach[j] += x * x;
		}
}

void
ge_monitor_arrays(const struct ge_monitor *m, float *settings,
    struct ge_monitor_array a[GE_MONITOR_ARRAYS])
{
	const size_t p = m->p, s = GE_MONITOR_STATS;
	const struct ge_monitor_array all[GE_MONITOR_ARRAYS] = {
		{ "settings", 1, { SETTINGS, 1 }, settings },
		{ "centre", 2, { 2, p }, m->centre },
		{ "inverse", 1, { p, 1 }, m->inverse },
		{ "wander", 1, { p, 1 }, m->wander },
		{ "mode", 2, { m->modes, p }, m->mode },
		{ "relation", 2, { p, m->width }, m->relation },
		{ "innovation", 2, { p, m->width }, m->innovation },
		{ "used", 2, { 2, p }, m->used },
		{ "middle", 1, { s, 1 }, m->middle },
		{ "limit", 1, { s, 1 }, m->limit },
		{ "bound", 1, { 1, 1 }, (float *)(uintptr_t)&m->bound }
	};
	const float set[SETTINGS] = { 1, (float)p, (float)m->lags,
	    (float)m->modes, (float)m->hinges, (float)m->far,
	    (float)m->baseline, m->clip, (float)m->ridge[0],
	    (float)m->ridge[1], (float)m->held[0], (float)m->held[1],
	    (float)m->rows, (float)m->dropped };

	memcpy(settings, set, sizeof(set));
	memcpy(a, all, sizeof(all));
}

static const struct ge_monitor_array *
find(const struct ge_monitor_array *a, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(a[i].name, name) == 0)
			return (a + i);
	return (NULL);
}

/* A whole number of settings, low..high. */
static int
whole(float x, size_t low, size_t high, size_t *out)
{

	if (!(x >= (float)low && x <= (float)high) || x != floorf(x))
		return (-1);
	*out = (size_t)x;
	return (0);
}

static int
settings_in(struct ge_monitor *m, const float *s)
{
	size_t hinges;

	if (s[0] != 1 || whole(s[1], 1, GE_MONITOR_COLS, &m->p) == -1 ||
	    whole(s[2], 0, GE_MONITOR_LAGS, &m->lags) == -1 ||
	    whole(s[3], 1, GE_MONITOR_MODES, &m->modes) == -1 ||
	    whole(s[4], 0, 1, &hinges) == -1 || !(s[5] > 0 && s[5] < 1) ||
	    !(s[6] > 0 && s[6] < 1) || !(s[7] > 0 && s[7] <= 1000))
		return (-1);
	m->hinges = (int)hinges;
	m->far = (double)s[5];
	m->baseline = (double)s[6];
	m->clip = s[7];
	m->ridge[0] = (double)s[8];
	m->ridge[1] = (double)s[9];
	m->held[0] = (double)s[10];
	m->held[1] = (double)s[11];
	m->rows = s[12] >= 0 && s[12] < 1e18f ? (size_t)s[12] : 0;
	m->dropped = s[13] >= 0 && s[13] < 1e18f ? (size_t)s[13] : 0;
	return (0);
}

static int
copy_in(const struct ge_monitor *m, const struct ge_monitor_array *to,
    const struct ge_monitor_array *a, size_t n, struct ge_err *e)
{
	const struct ge_monitor_array *from = find(a, n, to->name);
	const float bound = to->v == m->centre || to->v == m->inverse ?
	    LARGEST : LARGE;
	size_t i, count = to->dim[0] * to->dim[1];

	if (from == NULL || from->ndims != to->ndims ||
	    from->dim[0] != to->dim[0] ||
	    (to->ndims == 2 && from->dim[1] != to->dim[1]))
		return (ge_fail(e, GE_EREFUSED, "array '%s' is missing or of "
		    "another shape", to->name));
	for (i = 0; i < count; i++)
		if (!(fabsf(from->v[i]) < bound))
			return (ge_fail(e, GE_EREFUSED,
			    "array '%s' holds what is no number", to->name));
	memcpy(to->v, from->v, count * sizeof(float));
	return (0);
}

static int
sound(const struct ge_monitor *m)
{
	const size_t next = m->width + 1;
	size_t i;

	for (i = 0; i < m->p; i++)
		if (m->inverse[i] < 0 || m->relation[i * next] < SMALL ||
		    m->innovation[i * next] < SMALL)
			return (0);
	for (i = 0; i < 2 * m->p; i++)
		if (m->used[i] != 0 && m->used[i] != 1)
			return (0);
	for (i = 0; i < GE_MONITOR_STATS; i++)
		if (!(m->limit[i] - m->middle[i] > SMALL / 1000))
			return (0);
	return (m->bound > SMALL);
}

int
ge_monitor_load(struct ge_monitor *m, const struct ge_monitor_array *a,
    size_t n, struct ge_err *e)
{
	const struct ge_monitor_array *s = find(a, n, "settings");
	struct ge_monitor_array to[GE_MONITOR_ARRAYS];
	float scratch[SETTINGS];
	size_t i;

	memset(m, 0, sizeof(*m));
	if (s == NULL || s->ndims != 1 || s->dim[0] != SETTINGS ||
	    settings_in(m, s->v) == -1)
		return (ge_fail(e, GE_EREFUSED,
		    "array 'settings' is missing or not of this version"));
	if (ge_monitor_shape(m, e) == -1)
		goto out;
	ge_monitor_arrays(m, scratch, to);
	for (i = 1; i < GE_MONITOR_ARRAYS; i++)
		if (copy_in(m, to + i, a, n, e) == -1)
			goto out;
	if (!sound(m)) {
		ge_fail(e, GE_EREFUSED, "limits that cannot be");
		goto out;
	}
	ge_monitor_ready(m);
	return (0);
out:
	ge_monitor_release(m);
	return (-1);
}
