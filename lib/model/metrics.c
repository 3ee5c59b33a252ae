#include <float.h>
#include <math.h>

#include "model/metrics.h"
#include "model/order.h"
#include "util/mem.h"

enum {
	BINS = 15
};

const char *const ge_class_score_name[GE_CLASS_SCORES] = {
	"logloss", "brier", "accuracy", "precision", "recall", "f1", "auc",
	"average_precision", "ece"
};

const char *const ge_number_score_name[GE_NUMBER_SCORES] = {
	"rmse", "mae", "r2", "nasa_score"
};

static size_t
row_of(const struct ge_judge_classes *j, size_t i)
{

	return (j->row != NULL ? j->row[i] : i);
}

static double
weight(const float *w, size_t row)
{

	return (w != NULL ? w[row] : 1);
}

static size_t
class_of(const struct ge_judge_classes *j, size_t row)
{

	return ((size_t)j->y[row]);
}

static size_t
likeliest(const struct ge_judge_classes *j, size_t row)
{
	const double *p = j->p + row * j->k;
	size_t c, best = 0;

	for (c = 1; c < j->k; c++)
		if (p[c] > p[best])
			best = c;
	return (best);
}

static size_t
said(const struct ge_judge_classes *j, size_t row)
{

	return (j->said != NULL ? j->said[row] : likeliest(j, row));
}

static double
squares(const struct ge_judge_classes *j, size_t row)
{
	const double *p = j->p + row * j->k;
	double d, sum = 0;
	size_t c;

	for (c = 0; c < j->k; c++) {
		d = p[c] - (c == class_of(j, row));
		sum += d * d;
	}
	return (j->k == 2 ? sum / 2 : sum);
}

/* How sure, of what, and whether it is so: as the calibration error sees it. */
static double
claim(const struct ge_judge_classes *j, size_t row, int *hit)
{
	size_t c = j->k == 2 ? j->positive : likeliest(j, row);

	*hit = class_of(j, row) == c;
	return (j->p[row * j->k + c]);
}

static size_t
bin_of(double p)
{
	double b = ceil(p * BINS);

	return (!(b >= 1) ? 0 : b > BINS ? BINS - 1 : (size_t)b - 1);
}

static void
judge_rows(const struct ge_judge_classes *j, double *out)
{
	double off[BINS] = { 0 }, w, p, sum = 0, loss = 0, brier = 0, ece = 0;
	size_t i, row;
	int hit;

	for (i = 0; i < j->n; i++) {
		row = row_of(j, i);
		w = weight(j->w, row);
		sum += w;
		p = j->p[row * j->k + class_of(j, row)];
		loss -= w * log(fmin(fmax(p, DBL_EPSILON), 1 - DBL_EPSILON));
		brier += w * squares(j, row);
		p = claim(j, row, &hit);
		off[bin_of(p)] += w * (p - hit);
	}
	for (i = 0; i < BINS; i++)
		ece += fabs(off[i]);
	out[GE_SCORE_LOGLOSS] = loss / sum;
	out[GE_SCORE_BRIER] = brier / sum;
	out[GE_SCORE_ECE] = ece / sum;
}

/* Weights of a class: truly of it, said to be, and both. */
struct tally {
	double is, said, both;
};

static void
judge_tally(const struct ge_judge_classes *j, const struct tally *t,
    double *out)
{
	double precision = 0, recall = 0, f1 = 0, right = 0, all = 0;
	size_t c, n = 0;

	for (c = 0; c < j->k; c++) {
		right += t[c].both;
		all += t[c].is;
		if ((j->k == 2 && c != j->positive) || (j->k > 2 &&
		    t[c].is + t[c].said <= 0))
			continue;
		n++;
		precision += t[c].said > 0 ? t[c].both / t[c].said : 0;
		recall += t[c].is > 0 ? t[c].both / t[c].is : 0;
		f1 += t[c].is + t[c].said > 0 ? 2 * t[c].both / (t[c].is +
		    t[c].said) : 0;
	}
	out[GE_SCORE_ACCURACY] = right / all;
	out[GE_SCORE_PRECISION] = precision / (double)n;
	out[GE_SCORE_RECALL] = recall / (double)n;
	out[GE_SCORE_F1] = f1 / (double)n;
}

static int
judge_said(const struct ge_judge_classes *j, double *out, struct ge_err *e)
{
	struct tally *t;
	size_t i, row;
	double w;

	if ((t = ge_alloc(j->k * sizeof(*t), e)) == NULL)
		return (-1);
	for (i = 0; i < j->n; i++) {
		row = row_of(j, i);
		w = weight(j->w, row);
		t[class_of(j, row)].is += w;
		t[said(j, row)].said += w;
		if (class_of(j, row) == said(j, row))
			t[class_of(j, row)].both += w;
	}
	judge_tally(j, t, out);
	ge_free(t);
	return (0);
}

/* Areas under the curves of class c against the rest; equal ones count as one. */
static void
areas(const struct ge_judge_classes *j, struct ge_order *o, size_t c,
    double *auc, double *ap)
{
	double in = 0, out = 0, in0 = 0, out0 = 0, area = 0, sum = 0, w;
	size_t i, row;

	for (i = 0; i < j->n; i++) {
		row = row_of(j, i);
		o[i] = (struct ge_order){ j->p[row * j->k + c], (uint32_t)row };
	}
	qsort(o, j->n, sizeof(*o), ge_order_falling);
	for (i = 0; i < j->n; i++) {
		w = weight(j->w, o[i].i);
		if (class_of(j, o[i].i) == c)
			in += w;
		else
			out += w;
		if (i + 1 < j->n && o[i + 1].x >= o[i].x)
			continue;
		area += (out - out0) * (in + in0) / 2;
		sum += in > in0 ? (in - in0) * in / (in + out) : 0;
		in0 = in;
		out0 = out;
	}
	*auc = in > 0 && out > 0 ? area / in / out : NAN;
	*ap = in > 0 ? sum / in : NAN;
}

static int
judge_order(const struct ge_judge_classes *j, double *out, struct ge_err *e)
{
	struct ge_order *o;
	double auc, ap, sums[2] = { 0, 0 };
	size_t c, n = 0;

	if ((o = ge_alloc(j->n * sizeof(*o), e)) == NULL)
		return (-1);
	for (c = 0; c < j->k; c++) {
		if (j->k == 2 && c != j->positive)
			continue;
		areas(j, o, c, &auc, &ap);
		if (j->k > 2 && isnan(ap))
			continue;
		sums[0] += auc;
		sums[1] += ap;
		n++;
	}
	out[GE_SCORE_AUC] = sums[0] / (double)n;
	out[GE_SCORE_AP] = sums[1] / (double)n;
	ge_free(o);
	return (0);
}

int
ge_judge_classes(const struct ge_judge_classes *j, double out[GE_CLASS_SCORES],
    struct ge_err *e)
{
	size_t i;

	for (i = 0; i < GE_CLASS_SCORES; i++)
		out[i] = NAN;
	if (j->n == 0)
		return (0);
	judge_rows(j, out);
	return (judge_said(j, out, e) == -1 || judge_order(j, out, e) == -1 ?
	    -1 : 0);
}

static double
nasa(double d)
{

	return (d < 0 ? expm1(-d / 13) : expm1(d / 10));
}

void
ge_judge_numbers(const struct ge_judge_numbers *j,
    double out[GE_NUMBER_SCORES])
{
	double w, d, sum = 0, mean = 0, sq = 0, ab = 0, late = 0, var = 0;
	size_t i, row;

	for (i = 0; i < j->n; i++) {
		row = j->row != NULL ? j->row[i] : i;
		w = weight(j->w, row);
		sum += w;
		mean += w * j->y[row];
		d = j->p[row] - j->y[row];
		sq += w * d * d;
		ab += w * fabs(d);
		late += w * nasa(d);
	}
	mean /= sum;
	for (i = 0; i < j->n; i++) {
		row = j->row != NULL ? j->row[i] : i;
		d = j->y[row] - mean;
		var += weight(j->w, row) * d * d;
	}
	out[GE_SCORE_RMSE] = sqrt(sq / sum);
	out[GE_SCORE_MAE] = ab / sum;
	out[GE_SCORE_R2] = var > 0 ? 1 - sq / var : NAN;
	out[GE_SCORE_NASA] = j->n > 0 ? late : NAN;
}
