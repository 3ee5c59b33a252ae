#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/linear.h"
#include "model/trees_int.h"
#include "util/mem.h"
#include "util/thread.h"

enum {
	PARTS = 5			/* of what one split has held out */
};

/* The rows held out, one behind the other. */
struct held {
	size_t n, k;			/* k: classes, or 1 */
	uint32_t *row;			/* [n] places in the table */
	uint32_t *part;			/* [n] the fold; of one split every fifth */
	uint32_t parts;
	double *y;			/* [n] */
	float *w;			/* [n] or NULL */
	float *margin;			/* [n][margins a row] */
	double *p;			/* [n][k] probabilities, or numbers */
	uint32_t *said;			/* [n] classes */
};

static void
held_free(struct held *h)
{

	ge_free(h->row);
	ge_free(h->part);
	ge_free(h->y);
	ge_free(h->w);
	ge_free(h->margin);
	ge_free(h->p);
	ge_free(h->said);
}

static int
held_alloc(struct held *h, const struct ge_trees *t, struct ge_err *e)
{
	size_t n = t->nheld;

	h->k = t->meaning.k > 0 ? t->meaning.k : 1;
	h->row = ge_alloc(n * sizeof(*h->row), e);
	h->part = ge_alloc(n * sizeof(*h->part), e);
	h->y = ge_alloc(n * sizeof(*h->y), e);
	h->w = t->w != NULL ? ge_alloc(n * sizeof(*h->w), e) : NULL;
	h->margin = ge_alloc(n * t->work->k * sizeof(*h->margin), e);
	h->p = ge_alloc(n * h->k * sizeof(*h->p), e);
	h->said = ge_alloc(n * sizeof(*h->said), e);
	return (h->row == NULL || h->part == NULL || h->y == NULL ||
	    (t->w != NULL && h->w == NULL) || h->margin == NULL ||
	    h->p == NULL || h->said == NULL ? -1 : 0);
}

static int
held_make(struct held *h, const struct ge_trees *t, struct ge_err *e)
{
	size_t i, k = t->work->k;

	if (held_alloc(h, t, e) == -1)
		return (-1);
	h->parts = t->folds > 1 ? (uint32_t)t->folds : PARTS;
	for (i = 0; i < t->n; i++) {
		if (t->fold[i] < 0)
			continue;
		h->row[h->n] = (uint32_t)i;
		h->part[h->n] = t->folds > 1 ? (uint32_t)t->fold[i] :
		    (uint32_t)(h->n % PARTS);
		h->y[h->n] = t->y[i];
		if (t->w != NULL)
			h->w[h->n] = t->w[i];
		memcpy(h->margin + h->n * k, t->work->margin + i * k,
		    k * sizeof(float));
		h->n++;
	}
	return (0);
}

static struct ge_margins
margins(const struct held *h)
{

	return ((struct ge_margins){ .n = h->n, .k = h->k,
	    .margin = h->margin, .y = h->y, .w = h->w, .fold = h->part });
}

/* Those of other parts, into `to` of as much room as h has. */
static void
others(const struct held *h, uint32_t part, size_t k, struct held *to)
{
	size_t i;

	to->n = 0;
	to->k = h->k;
	for (i = 0; i < h->n; i++) {
		if (h->part[i] == part)
			continue;
		to->part[to->n] = h->part[i];
		to->y[to->n] = h->y[i];
		if (h->w != NULL)
			to->w[to->n] = h->w[i];
		memcpy(to->margin + to->n * k, h->margin + i * k,
		    k * sizeof(float));
		memcpy(to->p + to->n * h->k, h->p + i * h->k,
		    h->k * sizeof(double));
		to->n++;
	}
}

/*
 * Probabilities of each part by a calibration of the kind of c learnt from the others,
 * so that what is told of them is not of rows that they were learnt from.
 */
static int
calibrate_across(const struct ge_trees *t, struct held *h,
    struct held *room, struct ge_err *e)
{
	struct ge_calibration c;
	struct ge_margins m;
	uint32_t part;
	size_t i;
	int rc;

	for (part = 0; part < h->parts; part++) {
		others(h, part, t->work->k, room);
		m = margins(room);
		rc = ge_calibration_as(&c, t->meaning.calibration.kind, &m, e);
		for (i = 0; rc != -1 && i < h->n; i++)
			if (h->part[i] == part)
				ge_calibration_apply(&c, h->margin + i *
				    t->work->k, h->p + i * h->k);
		ge_calibration_release(&c);
		if (rc == -1)
			return (-1);
	}
	return (0);
}

/* What is said of each row, by thresholds of the other parts. */
static int
decide_across(const struct ge_trees *t, struct held *h, struct held *room,
    struct ge_err *e)
{
	struct ge_decide d;
	uint32_t part;
	size_t i;

	for (part = 0; part < h->parts; part++) {
		d = t->meaning.decide;
		others(h, part, t->work->k, room);
		if (h->k == 2 && ge_decide_fit(&d, room->p, room->y, room->w,
		    room->n, e) == -1)
			return (-1);
		for (i = 0; i < h->n; i++)
			if (h->part[i] == part)
				h->said[i] = (uint32_t)ge_decide(&d,
				    h->p + i * h->k);
	}
	return (0);
}

/* The meaning of the margins of the model of all rows. */
static int
mean_classes(struct ge_trees *t, struct held *h, struct held *room,
    struct ge_err *e)
{
	struct ge_trees_meaning *m = &t->meaning;
	struct ge_margins g = margins(h);
	size_t i;

	if (ge_calibration_fit(&m->calibration, &g, e) == -1 ||
	    ge_conformal_sets(&m->conformal, t->o.coverage, &g, &t->held, e) ==
	    -1)
		return (-1);
	for (i = 0; i < h->n; i++)
		ge_calibration_apply(&m->calibration, h->margin + i *
		    t->work->k, h->p + i * h->k);
	if (h->k == 2 && ge_decide_fit(&m->decide, h->p, h->y, h->w, h->n,
	    e) == -1)
		return (-1);
	return (calibrate_across(t, h, room, e) == -1 ? -1 :
	    decide_across(t, h, room, e));
}

static int
mean_numbers(struct ge_trees *t, struct held *h, struct ge_err *e)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		h->p[i] = ge_trees_number(&t->meaning, (double)h->margin[i]);
	return (ge_conformal_interval(&t->meaning.conformal, t->o.coverage,
	    h->p, h->y, h->part, h->n, &t->held, e));
}

/* All scores of the predictions in h, of the rows in `row` or of all. */
static int
judge(const struct ge_trees *t, const struct held *h, const uint32_t *said,
    const uint32_t *row, size_t n, double *value, struct ge_err *e)
{
	struct ge_judge_classes c = { .k = h->k,
	    .positive = t->meaning.decide.positive, .p = h->p, .y = h->y,
	    .w = h->w, .said = said, .row = row, .n = n };
	struct ge_judge_numbers g = { .p = h->p, .y = h->y, .w = h->w,
	    .row = row, .n = n };

	if (t->meaning.k > 0)
		return (ge_judge_classes(&c, value, e));
	ge_judge_numbers(&g, value);
	return (0);
}

static int
judge_groups(struct ge_trees *t, const struct held *h,
    struct ge_trees_by *b, struct ge_err *e)
{
	uint32_t *row, g;
	size_t i, n;
	int rc = 0;

	b->value = ge_alloc((b->n + 1) * sizeof(*b->value), e);
	b->rows = ge_alloc((b->n + 1) * sizeof(*b->rows), e);
	row = ge_alloc(h->n * sizeof(*row), e);
	if (b->value == NULL || b->rows == NULL || row == NULL)
		rc = -1;
	for (g = 0; rc == 0 && g < b->n; g++) {
		for (n = i = 0; i < h->n; i++)
			if (b->of[h->row[i]] == g)
				row[n++] = (uint32_t)i;
		b->rows[g] = (double)n;
		rc = judge(t, h, t->meaning.k > 0 ? h->said : NULL, row, n,
		    b->value[g], e);
	}
	ge_free(row);
	return (rc);
}

/* The shares of the classes, or the mean, of what fold f learns from: p [k]. */
static void
constant(const struct ge_trees *t, int f, double *p, size_t k)
{
	double all = 0, w;
	size_t i;

	memset(p, 0, k * sizeof(*p));
	for (i = 0; i < t->n; i++) {
		if (!ge_trees_learns(t, i, f))
			continue;
		w = t->w != NULL ? (double)t->w[i] : 1;
		all += w;
		if (t->meaning.k > 0)
			p[(size_t)t->y[i]] += w;
		else
			p[0] += w * t->y[i];
	}
	for (i = 0; i < k; i++)
		p[i] /= all;
}

static int
foretell_constant(struct ge_trees *t, struct held *h, int f,
    struct ge_err *e)
{
	double *p;
	size_t i;

	if ((p = ge_alloc(h->k * sizeof(*p), e)) == NULL)
		return (-1);
	constant(t, f, p, h->k);
	for (i = 0; i < h->n; i++)
		if (t->fold[h->row[i]] == f)
			memcpy(h->p + i * h->k, p, h->k * sizeof(*p));
	ge_free(p);
	return (0);
}

/* Words of each feature [q], 0: it is a number; NULL without memory. */
static uint32_t *
count_words(const struct ge_trees *t, const struct ge_features *F,
    struct ge_err *e)
{
	uint8_t *category = ge_alloc(F->n, e);
	uint32_t *n = ge_alloc(F->n * sizeof(*n), e);
	size_t j;

	if (category != NULL && n != NULL) {
		ge_features_categories(F, &t->schema, category);
		for (j = 0; j < F->n; j++)
			if (category[j])
				n[j] = (uint32_t)t->schema.col[F->f[j].a].nwords;
	} else {
		ge_free(n);
		n = NULL;
	}
	ge_free(category);
	return (n);
}

static int
foretell_linear(struct ge_trees *t, struct held *h, int f, struct ge_err *e)
{
	const struct ge_trees_view *v = ge_trees_view(t, f);
	struct ge_linear_opts o = { .classes = t->meaning.k, .ridge = 1,
	    .pool = t->pool };
	struct ge_linear_data d = { .q = v->q, .y = t->y, .w = t->w };
	struct ge_linear *l = NULL;
	uint32_t *row, *many;
	size_t i;

	if (ge_trees_hold(t, f, e) == -1)
		return (-1);
	d.x = v->x;
	row = ge_alloc(t->n * sizeof(*row), e);
	many = count_words(t, &v->features, e);
	if (row != NULL && many != NULL) {
		for (i = 0; i < t->n; i++)
			if (ge_trees_learns(t, i, f))
				row[d.n++] = (uint32_t)i;
		d.row = row;
		d.words = many;
		l = ge_linear_new(&o, &d, e);
	}
	for (i = 0; l != NULL && i < h->n; i++)
		if (t->fold[h->row[i]] == f)
			ge_linear_predict(l, v->x + h->row[i] * v->q,
			    h->p + i * h->k);
	ge_free(row);
	ge_free(many);
	i = l != NULL;
	ge_linear_free(l);
	return (i ? 0 : -1);
}

/*
 * Areas under the curves of constants: folds whose constants differ make a curve of
 * rows that has no meaning, so these are means over the folds.
 */
static int
judge_constant(const struct ge_trees *t, const struct held *h, double *value,
    struct ge_err *e)
{
	static const int area[] = { GE_SCORE_AUC, GE_SCORE_AP };
	double one[GE_CLASS_SCORES], sum[2] = { 0, 0 };
	int f, a, n[2] = { 0, 0 };
	size_t i, rows;
	uint32_t *row;

	if ((row = ge_alloc(h->n * sizeof(*row), e)) == NULL)
		return (-1);
	for (f = 0; f < t->folds; f++) {
		for (rows = i = 0; i < h->n; i++)
			if (t->fold[h->row[i]] == f)
				row[rows++] = (uint32_t)i;
		if (judge(t, h, NULL, row, rows, one, e) == -1) {
			ge_free(row);
			return (-1);
		}
		for (a = 0; a < 2; a++)
			if (!isnan(one[area[a]])) {
				sum[a] += one[area[a]];
				n[a]++;
			}
	}
	for (a = 0; a < 2; a++)
		value[area[a]] = n[a] > 0 ? sum[a] / n[a] : NAN;
	ge_free(row);
	return (0);
}

/* A simpler model on the same folds, with what it takes. */
static int
baseline(struct ge_trees *t, struct held *h, const char *name,
    int (*foretell)(struct ge_trees *t, struct held *h, int f,
    struct ge_err *e), struct ge_err *e)
{
	struct ge_trees_score *s = &t->score[t->nscores++];
	double began = ge_clock(), joules = ge_energy_joules(&t->energy);
	int f;

	s->name = name;
	for (f = 0; f < t->folds; f++)
		if (foretell(t, h, f, e) == -1)
			return (-1);
	s->seconds = ge_clock() - began;
	s->joules = ge_energy_joules(&t->energy) - joules;
	if (judge(t, h, NULL, NULL, h->n, s->value, e) == -1)
		return (-1);
	return (t->meaning.k > 0 && foretell == foretell_constant ?
	    judge_constant(t, h, s->value, e) : 0);
}

static int
judge_trees(struct ge_trees *t, struct held *h, struct held *room,
    struct ge_err *e)
{
	struct ge_trees_score *s = &t->score[t->nscores++];
	size_t i;

	s->name = "trees";
	s->seconds = t->seconds;
	s->joules = t->joules;
	if ((t->meaning.k > 0 ? mean_classes(t, h, room, e) :
	    mean_numbers(t, h, e)) == -1 || judge(t, h, t->meaning.k > 0 ?
	    h->said : NULL, NULL, h->n, s->value, e) == -1)
		return (-1);
	for (i = 0; i < t->work->nby; i++)
		if (judge_groups(t, h, &t->work->by[i], e) == -1)
			return (-1);
	return (0);
}

int
ge_trees_judge(struct ge_trees *t, struct ge_err *e)
{
	struct held h = { 0 }, room = { 0 };
	int rc = -1;

	if (held_make(&h, t, e) == 0 && held_alloc(&room, t, e) == 0 &&
	    baseline(t, &h, "constant", foretell_constant, e) == 0 &&
	    baseline(t, &h, "linear", foretell_linear, e) == 0 &&
	    judge_trees(t, &h, &room, e) == 0)
		rc = 0;
	held_free(&h);
	held_free(&room);
	return (rc);
}
