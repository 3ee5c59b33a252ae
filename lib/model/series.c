#include <math.h>
#include <string.h>

#include "model/draw.h"
#include "model/features.h"
#include "model/order.h"
#include "util/hook.h"
#include "util/mem.h"

#define LARGEST 1e38

enum {
	NOBODY = UINT32_MAX
};

/* A group: its last rows in rings, one a column, then sums of its first ones. */
struct group {
	uint64_t key, rows;
	uint32_t chain;			/* next of the same bucket */
	uint32_t newer, older;		/* by when it was seen last */
	double begun, last;		/* times of its first and last row */
	double *cell;
};

struct ge_series {
	const struct ge_features *F;
	uint32_t nslots;
	uint32_t *slot;			/* [ncols] ring of a column, or NOBODY */
	uint32_t *col, *depth, *at;	/* [nslots] its column, rows, first cell */
	uint32_t *first;		/* [F->n] cells of GE_F_START */
	size_t ncells;
	struct group *group;
	size_t n, cap, most;
	uint32_t *bucket;
	size_t nbuckets;
	uint32_t newest, oldest;
	uint64_t forgotten;
};

static uint32_t
depth(const struct ge_feature *f)
{

	return (f->op == GE_F_LAG ? f->w + 1 : f->w);
}

static int
windowed(const struct ge_feature *f)
{

	return (f->op >= GE_F_LAG && f->op != GE_F_AGE);
}

/* Which columns have rings, and where the cells of all lie. */
static void
lay(struct ge_series *S)
{
	const struct ge_features *F = S->F;
	const struct ge_feature *f;
	uint32_t i, k;

	for (f = F->f; f < F->f + F->n; f++) {
		if (!windowed(f))
			continue;
		if (S->slot[f->a] == NOBODY) {
			S->col[S->nslots] = f->a;
			S->slot[f->a] = S->nslots++;
		}
		k = S->slot[f->a];
		if (S->depth[k] < depth(f))
			S->depth[k] = depth(f);
	}
	for (k = 0; k < S->nslots; k++) {
		S->at[k] = (uint32_t)S->ncells;
		S->ncells += S->depth[k];
	}
	for (i = 0; i < F->n; i++)
		if (F->f[i].op == GE_F_START) {
			S->first[i] = (uint32_t)S->ncells;
			S->ncells += 2;
		}
}

void
ge_series_restart(struct ge_series *S)
{
	size_t i;

	for (i = 0; i < S->n; i++)
		ge_free(S->group[i].cell);
	S->n = 0;
	S->newest = S->oldest = NOBODY;
	memset(S->bucket, 0xff, S->nbuckets * sizeof(*S->bucket));
}

/* Of no more groups than many. */
static struct ge_series *
series_new(const struct ge_features *F, size_t many, struct ge_err *e)
{
	struct ge_series *S;

	if ((S = ge_alloc(sizeof(*S), e)) == NULL)
		return (NULL);
	S->F = F;
	if ((S->slot = ge_alloc((F->ncols + 1) * sizeof(*S->slot), e)) ==
	    NULL ||
	    (S->col = ge_alloc((F->n + 1) * sizeof(*S->col), e)) == NULL ||
	    (S->depth = ge_alloc((F->n + 1) * sizeof(*S->depth), e)) == NULL ||
	    (S->at = ge_alloc((F->n + 1) * sizeof(*S->at), e)) == NULL ||
	    (S->first = ge_alloc((F->n + 1) * sizeof(*S->first), e)) == NULL)
		goto bad;
	memset(S->slot, 0xff, F->ncols * sizeof(*S->slot));
	lay(S);
	S->most = GE_SERIES_BYTES / (sizeof(struct group) +
	    (S->ncells + 8) * sizeof(double));
	if (S->most > many)
		S->most = many;
	if (S->most == 0)
		S->most = 1;
	for (S->nbuckets = 1; S->nbuckets < S->most; S->nbuckets *= 2)
		;
	if ((S->bucket = ge_alloc(S->nbuckets * sizeof(*S->bucket), e)) ==
	    NULL)
		goto bad;
	ge_series_restart(S);
	return (S);
bad:
	ge_series_free(S);
	return (NULL);
}

struct ge_series *
ge_series_new(const struct ge_features *F, struct ge_err *e)
{

	return (series_new(F, GE_SERIES_GROUPS, e));
}

void
ge_series_free(struct ge_series *S)
{
	size_t i;

	if (S == NULL)
		return;
	for (i = 0; i < S->n; i++)
		ge_free(S->group[i].cell);
	ge_free(S->group);
	ge_free(S->bucket);
	ge_free(S->first);
	ge_free(S->at);
	ge_free(S->depth);
	ge_free(S->col);
	ge_free(S->slot);
	ge_free(S);
}

uint64_t
ge_series_forgotten(const struct ge_series *S)
{

	return (S->forgotten);
}

/* One key a value, all that are missing being the same. */
static uint64_t
key_of(double v)
{
	uint64_t bits;

	v = isnan(v) ? NAN : v + 0.0;
	memcpy(&bits, &v, sizeof(bits));
	return (isnan(v) ? UINT64_MAX : bits);
}

static uint32_t *
bucket(struct ge_series *S, uint64_t key)
{

	return (&S->bucket[ge_draw(&key) & (S->nbuckets - 1)]);
}

static void
unlink_age(struct ge_series *S, uint32_t i)
{
	struct group *g = &S->group[i];

	*(g->newer == NOBODY ? &S->newest : &S->group[g->newer].older) =
	    g->older;
	*(g->older == NOBODY ? &S->oldest : &S->group[g->older].newer) =
	    g->newer;
}

static void
link_age(struct ge_series *S, uint32_t i)
{
	struct group *g = &S->group[i];

	g->newer = NOBODY;
	g->older = S->newest;
	*(S->newest == NOBODY ? &S->oldest : &S->group[S->newest].newer) = i;
	S->newest = i;
}

/* The group seen longest ago goes; its place and memory are for another. */
static uint32_t
forget(struct ge_series *S)
{
	uint32_t i = S->oldest, *p = bucket(S, S->group[i].key);

	while (*p != i)
		p = &S->group[*p].chain;
	*p = S->group[i].chain;
	unlink_age(S, i);
	S->forgotten++;
	return (i);
}

static int
place(struct ge_series *S, uint32_t *i, struct ge_err *e)
{
	double *cell;

	if (S->n == S->most) {
		*i = forget(S);
		return (0);
	}
	if (ge_grow(&S->group, &S->cap, S->n + 1, sizeof(*S->group), e) == -1 ||
	    (cell = ge_alloc((S->ncells + 1) * sizeof(*cell), e)) == NULL)
		return (-1);
	S->group[S->n].cell = cell;
	*i = (uint32_t)S->n++;
	return (0);
}

static struct group *
group_of(struct ge_series *S, uint64_t key, struct ge_err *e)
{
	struct group *g;
	uint32_t *b = bucket(S, key), i = *b;

	while (i != NOBODY && S->group[i].key != key)
		i = S->group[i].chain;
	if (i != NOBODY) {
		unlink_age(S, i);
	} else {
		if (place(S, &i, e) == -1)
			return (NULL);
		g = &S->group[i];
		memset(g->cell, 0, S->ncells * sizeof(*g->cell));
		g->key = key;
		g->rows = 0;
		g->begun = g->last = NAN;
		g->chain = *b;
		*b = i;
	}
	link_age(S, i);
	return (&S->group[i]);
}

static void
remember(const struct ge_series *S, struct group *g, const double *v)
{
	const struct ge_features *F = S->F;
	double *first, x;
	uint32_t i, k;

	for (k = 0; k < S->nslots; k++)
		g->cell[S->at[k] + g->rows % S->depth[k]] = v[S->col[k]];
	for (i = 0; i < F->n; i++) {
		if (F->f[i].op != GE_F_START || g->rows >= F->f[i].b)
			continue;
		x = v[F->f[i].a];
		first = g->cell + S->first[i];
		if (!isnan(x)) {
			first[0] += x;
			first[1]++;
		}
	}
	if (F->time != GE_F_NONE && !isnan(v[F->time])) {
		if (isnan(g->begun))
			g->begun = v[F->time];
		g->last = v[F->time];
	}
	g->rows++;
}

static int
in_order(const struct ge_features *F, const struct group *g, const double *v,
    struct ge_err *e)
{

	if (F->time == GE_F_NONE || !(v[F->time] < g->last))
		return (0);
	return (ge_fail(e, GE_EREFUSED, F->group == GE_F_NONE ?
	    "time runs back" : "time runs back in its group"));
}

/* The value of column slot k, i rows ago; NaN before the group's first. */
static double
ago(const struct ge_series *S, const struct group *g, uint32_t k, uint32_t i)
{

	if (i >= g->rows)
		return (NAN);
	return (g->cell[S->at[k] + (g->rows - 1 - i) % S->depth[k]]);
}

/* What is known of a window: x is rows ago. */
struct moments {
	double n, x, v, xx, xv, vv;	/* means, then central sums */
};

static void
moments(const struct ge_series *S, const struct group *g,
    const struct ge_feature *f, struct moments *t)
{
	uint32_t i, k = S->slot[f->a];
	double v;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < f->w && i < g->rows; i++) {
		if (isnan(v = ago(S, g, k, i)))
			continue;
		t->n++;
		t->x += i;
		t->v += v;
	}
	t->x /= t->n;
	t->v /= t->n;
	if (f->op != GE_F_SLOPE && f->op != GE_F_SPREAD)
		return;
	for (i = 0; i < f->w && i < g->rows; i++) {
		if (isnan(v = ago(S, g, k, i)))
			continue;
		t->xx += (i - t->x) * (i - t->x);
		t->xv += (i - t->x) * (v - t->v);
		t->vv += (v - t->v) * (v - t->v);
	}
}

static double
in_time(const struct ge_series *S, const struct group *g, uint32_t i,
    const double *v)
{
	const struct ge_feature *f = &S->F->f[i];
	const double *first = g->cell + S->first[i];
	struct moments t;

	if (f->op == GE_F_AGE)
		return (f->a == GE_F_NONE ? (double)(g->rows - 1) :
		    v[f->a] - g->begun);
	if (f->op == GE_F_LAG)
		return (ago(S, g, S->slot[f->a], f->w));
	moments(S, g, f, &t);
	switch (f->op) {
	case GE_F_SLOPE:
		return (t.n < 2 ? NAN : -t.xv / t.xx);
	case GE_F_SPREAD:
		return (t.n < 2 ? NAN : sqrt(t.vv / t.n));
	case GE_F_START:
		return (t.v - first[0] / first[1]);
	default:
		return (t.v);
	}
}

static double
of_row(const struct ge_feature *f, const double *v)
{

	switch (f->op) {
	case GE_F_PRODUCT:
		return (v[f->a] * v[f->b]);
	case GE_F_RATIO:
		return (v[f->b] == 0 ? NAN : v[f->a] / v[f->b]);
	case GE_F_DIFFERENCE:
		return (v[f->a] - v[f->b]);
	default:
		return (v[f->a]);
	}
}

static float
bounded(double x)
{

	return ((float)(x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x));
}

/* The row v is the next of its group, *to. */
static int
come(struct ge_series *S, const double *v, struct group **to,
    struct ge_err *e)
{
	const struct ge_features *F = S->F;

	if ((*to = group_of(S, F->group == GE_F_NONE ? 0 :
	    key_of(v[F->group]), e)) == NULL ||
	    in_order(F, *to, v, e) == -1)
		return (-1);
	remember(S, *to, v);
	return (0);
}

int
ge_features_row(const struct ge_features *F, struct ge_series *S,
    const double *v, float *out, struct ge_err *e)
{
	struct group *g = NULL;
	uint32_t i;

	if (S != NULL && come(S, v, &g, e) == -1)
		return (-1);
	for (i = 0; i < F->n; i++)
		out[i] = bounded(F->f[i].op < GE_F_LAG ? of_row(&F->f[i], v) :
		    g != NULL ? in_time(S, g, i, v) : NAN);
	return (0);
}

/* A table, and the rows of it that are wanted. */
struct walk {
	const struct ge_features *F;
	const double *v;
	const uint8_t *fresh;
	const uint32_t *row;		/* [nrows] or NULL */
	size_t n, nrows;
	float *out;
};

/* Its place among those that are wanted, or SIZE_MAX. */
static size_t
wanted(const struct walk *w, size_t i)
{
	size_t low = 0, high = w->nrows - 1, mid;

	if (w->row == NULL)
		return (i);
	while (low < high) {
		mid = low + (high - low) / 2;
		if (w->row[mid] < i)
			low = mid + 1;
		else
			high = mid;
	}
	return (w->row[low] == i ? low : SIZE_MAX);
}

static int
walk_row(const struct walk *w, struct ge_series *S, size_t i,
    struct ge_err *e)
{
	const double *v = w->v + i * w->F->ncols;
	struct group *g;
	size_t k = wanted(w, i);

	if ((k == SIZE_MAX ? come(S, v, &g, e) : ge_features_row(w->F, S, v,
	    w->out + k * w->F->n, e)) == 0)
		return (0);
	return (e->code == GE_EREFUSED ? ge_within(e, "row %zu", i + 1) : -1);
}

static int
tick(size_t i, struct ge_err *e)
{

	return (i % 4096 == 0 ? ge_hook_tick(0, e) : 0);
}

/* Of features that need no row but their own. */
static int
walk_alone(const struct walk *w, struct ge_err *e)
{
	size_t k;

	for (k = 0; k < w->nrows; k++)
		if (tick(k, e) == -1 || walk_row(w, NULL, w->row != NULL ?
		    w->row[k] : k, e) == -1)
			return (-1);
	return (0);
}

static int
walk_tables(const struct walk *w, struct ge_series *S, struct ge_err *e)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (w->fresh != NULL && w->fresh[i])
			ge_series_restart(S);
		if (tick(i, e) == -1 || walk_row(w, S, i, e) == -1)
			return (-1);
	}
	return (0);
}

/* A group behind the other, so that few need to be remembered of many. */
static int
walk_groups(const struct walk *w, struct ge_series *S, struct ge_err *e)
{
	struct ge_order *o;
	size_t i;
	double x;
	int rc = 0;

	if ((o = ge_alloc(w->n * sizeof(*o), e)) == NULL)
		return (-1);
	for (i = 0; i < w->n; i++) {
		x = w->v[i * w->F->ncols + w->F->group];
		o[i].x = isnan(x) ? INFINITY : x;
		o[i].i = (uint32_t)i;
	}
	qsort(o, w->n, sizeof(*o), ge_order_rising);
	for (i = 0; rc == 0 && i < w->n; i++)
		if ((rc = tick(i, e)) == 0)
			rc = walk_row(w, S, o[i].i, e);
	ge_free(o);
	return (rc);
}

int
ge_features_rows(const struct ge_features *F, const double *v, size_t n,
    const uint8_t *fresh, const uint32_t *row, size_t nrows, float *out,
    struct ge_err *e)
{
	struct walk w = { F, v, fresh, row, n, nrows, out };
	struct ge_series *S;
	int rc;

	if (nrows == 0)
		return (0);
	if (!ge_features_in_time(F))
		return (walk_alone(&w, e));
	w.n = row != NULL ? (size_t)row[nrows - 1] + 1 : nrows;
	/* Two, since rows of no group lie among those of infinity. */
	if ((S = series_new(F, 2, e)) == NULL)
		return (-1);
	rc = F->group == GE_F_NONE ? walk_tables(&w, S, e) :
	    walk_groups(&w, S, e);
	ge_series_free(S);
	return (rc);
}
