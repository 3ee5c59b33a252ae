#include <xgboost/c_api.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/boost.h"
#include "model/draw.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/pool.h"

enum {
	CHUNK = 1 << 14,		/* rows a job */
	BATCH = 1 << 16,		/* rows gathered at a time */
	CELLS = 1 << 16,		/* that a thread is worth starting for */
	SHAP_STEPS = 64			/* that a tree's contributions take */
};

struct ge_boost_data {
	DMatrixHandle m;
	size_t n, q;
};

struct ge_boost {
	BoosterHandle h;
	struct ge_boost_opts o;
	size_t q, k;
	int rounds, jobs;		/* threads that it works with now */
	/* What it is learnt from. */
	struct ge_boost_data *d;
	const double *y;
	const float *w;
	double scale;			/* of the loss */
	float *grad, *hess;		/* [n][k] */
	double *most;			/* [chunks][2] largest of them */
	struct ge_pool *pool;
};

void
ge_boost_opts_init(struct ge_boost_opts *o)
{

	*o = (struct ge_boost_opts){ .objective = GE_SQUARED, .depth = 6,
	    .bins = 256, .jobs = 1, .eta = 0.3, .lambda = 1, .min_child = 1,
	    .subsample = 1, .colsample = 1, .seed = 1 };
}

size_t
ge_boost_k(const struct ge_boost_opts *o)
{

	return (o->objective == GE_SOFTMAX ? (size_t)o->classes : 1);
}

/* What XGBoost says, without the place in its source and the stack behind it. */
static int
failed(const char *what, struct ge_err *e)
{
	const char *s = XGBGetLastError(), *p;

	if (strstr(s, "bad_alloc") != NULL)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	if (*s == '[' && (p = strstr(s, ": ")) != NULL)
		s = p + 2;
	return (ge_fail(e, GE_EFAIL, "xgboost cannot %s: %.*s", what,
	    (int)strcspn(s, "\n"), s));
}

static void
hush(const char *line)
{

	(void)line;
}

/* These settings are a thread's. */
static int
quiet(struct ge_err *e)
{

	if (XGBRegisterLogCallback(hush) != 0 ||
	    XGBSetGlobalConfig("{\"verbosity\": 0}") != 0)
		return (failed("be configured", e));
	return (0);
}

/* How XGBoost is told of floats [n][q]. */
static void
interface(char out[160], const float *x, size_t n, size_t q)
{

	snprintf(out, 160, "{\"data\": [%llu, true], \"shape\": [%zu, %zu], "
	    "\"typestr\": \"<f4\", \"version\": 3}",
	    (unsigned long long)(uintptr_t)x, n, q);
}

/*
 * The matrix is made from batches that XGBoost asks for, several times over.
 */
struct batches {
	const float *x;
	size_t q, n, at;
	const uint32_t *row;
	float *room;			/* [BATCH][q] of rows that are gathered */
	DMatrixHandle proxy;
};

static void
rewind_batches(DataIterHandle h)
{

	((struct batches *)h)->at = 0;
}

static int
next_batch(DataIterHandle h)
{
	struct batches *b = h;
	char text[160];
	size_t i, n = b->n - b->at;

	if (n == 0)
		return (0);
	if (b->row == NULL) {
		interface(text, b->x, n, b->q);
	} else {
		if (n > BATCH)
			n = BATCH;
		for (i = 0; i < n; i++)
			memcpy(b->room + i * b->q,
			    b->x + b->row[b->at + i] * b->q,
			    b->q * sizeof(float));
		interface(text, b->room, n, b->q);
	}
	b->at += n;
	return (XGProxyDMatrixSetDataDense(b->proxy, text) == 0);
}

static int
check_value(float v, int category)
{

	if (isnan(v))
		return (0);
	if (category)
		return (v >= 0 && v < GE_BOOST_WORDS && v == truncf(v) ? 0 :
		    -1);
	return (fabsf(v) <= GE_BOOST_FAR ? 0 : -1);
}

static int
check_values(const struct batches *b, const uint8_t *category,
    struct ge_err *e)
{
	const float *x;
	size_t i, j;

	for (i = 0; i < b->n; i++) {
		x = b->x + (b->row != NULL ? b->row[i] : i) * b->q;
		for (j = 0; j < b->q; j++)
			if (check_value(x[j], category != NULL &&
			    category[j]) == -1)
				return (ge_fail(e, GE_EREFUSED, "row %zu: %g: "
				    "no value of feature %zu", i + 1,
				    (double)x[j], j + 1));
	}
	return (0);
}

static int
set_types(const struct batches *b, const uint8_t *category, struct ge_err *e)
{
	const char **type;
	size_t j;
	int rc;

	if (category == NULL)
		return (0);
	if ((type = ge_alloc(b->q * sizeof(*type), e)) == NULL)
		return (-1);
	for (j = 0; j < b->q; j++)
		type[j] = category[j] ? "c" : "q";
	rc = XGDMatrixSetStrFeatureInfo(b->proxy, "feature_type", type, b->q);
	ge_free(type);
	return (rc != 0 ? failed("take types", e) : 0);
}

/* Threads that wait for each other too often are slower than one. */
static int
threads(const struct ge_boost_opts *o, size_t cells)
{

	return (cells / CELLS + 1 < (size_t)o->jobs ? (int)(cells / CELLS) + 1 :
	    o->jobs);
}

struct ge_boost_data *
ge_boost_data_new(const float *x, size_t q, const uint32_t *row, size_t nrows,
    const uint8_t *category, const struct ge_boost_opts *o, struct ge_err *e)
{
	struct batches b = { .x = x, .q = q, .n = nrows, .row = row };
	struct ge_boost_data *d = NULL;
	char text[96];

	if (quiet(e) == -1 || check_values(&b, category, e) == -1)
		return (NULL);
	if (row != NULL && (b.room = ge_alloc((nrows < BATCH ? nrows : BATCH) *
	    q * sizeof(float), e)) == NULL)
		return (NULL);
	if (XGProxyDMatrixCreate(&b.proxy) != 0) {
		failed("begin", e);
		goto out;
	}
	if (set_types(&b, category, e) == -1 ||
	    (d = ge_alloc(sizeof(*d), e)) == NULL)
		goto out;
	d->n = nrows;
	d->q = q;
	snprintf(text, sizeof(text), "{\"missing\": NaN, \"nthread\": %d, "
	    "\"max_bin\": %d}", threads(o, nrows * q), o->bins);
	if (XGQuantileDMatrixCreateFromCallback(&b, b.proxy, NULL,
	    rewind_batches, next_batch, text, &d->m) != 0) {
		failed("take the table", e);
		ge_free(d);
		d = NULL;
	}
out:
	if (b.proxy != NULL)
		XGDMatrixFree(b.proxy);
	ge_free(b.room);
	return (d);
}

void
ge_boost_data_free(struct ge_boost_data *d)
{

	if (d == NULL)
		return;
	XGDMatrixFree(d->m);
	ge_free(d);
}

static int
set_text(struct ge_boost *b, const char *name, const char *value,
    struct ge_err *e)
{

	return (XGBoosterSetParam(b->h, name, value) != 0 ?
	    failed("be set up", e) : 0);
}

static int
set_number(struct ge_boost *b, const char *name, double v, struct ge_err *e)
{
	char text[40];

	snprintf(text, sizeof(text), "%.9g", v);
	return (set_text(b, name, text, e));
}

static int
set_objective(struct ge_boost *b, struct ge_err *e)
{
	static const char *const name[] = {
		[GE_LOGISTIC] = "binary:logistic",
		[GE_SOFTMAX] = "multi:softprob",
		[GE_SQUARED] = "reg:squarederror"
	};
	double base = b->o.base, p[2];
	float margin = (float)base;

	if (b->o.objective == GE_LOGISTIC) {
		ge_boost_probability(&b->o, &margin, p);
		base = p[1];
	}
	if (set_text(b, "objective", name[b->o.objective], e) == -1 ||
	    set_number(b, "base_score", base, e) == -1)
		return (-1);
	return (b->k == 1 ? 0 : set_number(b, "num_class", b->o.classes, e));
}

static int
set_up(struct ge_boost *b, struct ge_err *e)
{
	const struct ge_boost_opts *o = &b->o;

	if (set_objective(b, e) == -1 ||
	    set_text(b, "tree_method", "hist", e) == -1 ||
	    set_number(b, "nthread", o->jobs, e) == -1 ||
	    set_number(b, "max_depth", o->depth, e) == -1 ||
	    set_number(b, "max_bin", o->bins, e) == -1 ||
	    set_number(b, "eta", o->eta, e) == -1 ||
	    set_number(b, "lambda", o->lambda * b->scale, e) == -1 ||
	    set_number(b, "alpha", o->alpha * b->scale, e) == -1 ||
	    set_number(b, "gamma", o->gamma * b->scale, e) == -1 ||
	    set_number(b, "min_child_weight", o->min_child * b->scale, e) ==
	    -1 ||
	    set_number(b, "colsample_bytree", o->colsample, e) == -1)
		return (-1);
	return (0);
}

/*
 * XGBoost makes no split that gains less than 1e-6, and its gains are floats: targets
 * of tiny or huge spread are learnt from as if in other units.  Losses, and all that
 * is weighed against them, times a power of 2 are the same trees.
 */
static double
scale_of(const double *y, size_t n)
{
	double sum = 0, square = 0, var;
	size_t i;
	int k;

	for (i = 0; i < n; i++)
		sum += y[i];
	for (i = 0; i < n; i++)
		square += (y[i] - sum / (double)n) * (y[i] - sum / (double)n);
	var = square / (double)n;
	if (!(var > 0) || (var > 1e-2 && var < 1e12))
		return (1);
	frexp(var, &k);
	return (ldexp(1, k > 60 ? -60 : k < -60 ? 60 : -k));
}

static struct ge_boost *
start(const struct ge_boost_opts *o, size_t n, size_t q, DMatrixHandle *m,
    struct ge_err *e)
{
	struct ge_boost *b;

	if (quiet(e) == -1 || (b = ge_alloc(sizeof(*b), e)) == NULL)
		return (NULL);
	b->o = *o;
	b->o.jobs = b->jobs = threads(o, n * q);
	b->q = q;
	b->k = ge_boost_k(o);
	b->scale = 1;
	if (XGBoosterCreate(m, m != NULL, &b->h) != 0) {
		failed("begin", e);
		ge_free(b);
		return (NULL);
	}
	return (b);
}

struct ge_boost *
ge_boost_new(struct ge_boost_data *d, const double *y, const float *w,
    const struct ge_boost_opts *o, struct ge_err *e)
{
	struct ge_boost *b = start(o, d->n, d->q, &d->m, e);
	size_t cells, chunks = (d->n + CHUNK - 1) / CHUNK;

	if (b == NULL)
		return (NULL);
	b->d = d;
	b->y = y;
	b->w = w;
	if (o->objective == GE_SQUARED)
		b->scale = scale_of(y, d->n);
	cells = d->n * b->k * sizeof(float);
	if ((b->grad = ge_block_alloc(cells, e)) == NULL ||
	    (b->hess = ge_block_alloc(cells, e)) == NULL ||
	    (b->most = ge_alloc(2 * chunks * sizeof(double), e)) == NULL ||
	    (b->o.jobs > 1 && (b->pool = ge_pool_new(b->o.jobs, e)) ==
	    NULL) ||
	    set_up(b, e) == -1) {
		ge_boost_free(b);
		return (NULL);
	}
	return (b);
}

static void
forget(struct ge_boost *b)
{

	ge_pool_free(b->pool);
	ge_block_free(b->grad);
	ge_block_free(b->hess);
	ge_free(b->most);
	b->pool = NULL;
	b->grad = b->hess = NULL;
	b->most = NULL;
	b->d = NULL;
	b->y = NULL;
	b->w = NULL;
}

void
ge_boost_free(struct ge_boost *b)
{

	if (b == NULL)
		return;
	XGBoosterFree(b->h);
	forget(b);
	ge_free(b);
}

/* XGBoost keeps what it needs to go on, of all rows: but not in what it writes. */
int
ge_boost_rest(struct ge_boost *b, struct ge_err *e)
{
	BoosterHandle h = NULL;
	const char *s;
	bst_ulong n;

	if (XGBoosterSaveModelToBuffer(b->h, "{\"format\": \"ubj\"}", &n,
	    &s) != 0 || XGBoosterCreate(NULL, 0, &h) != 0 ||
	    XGBoosterLoadModelFromBuffer(h, s, n) != 0) {
		failed("keep the trees", e);
		if (h != NULL)
			XGBoosterFree(h);
		return (-1);
	}
	XGBoosterFree(b->h);
	b->h = h;
	forget(b);
	b->jobs = b->o.jobs;
	return (set_number(b, "nthread", b->jobs, e));
}

/* e to the x, of the same bits everywhere: the C library's depend on the processor. */
static double
exponential(double x)
{
	static const double part[] = { 1.0 / 39916800, 1.0 / 3628800,
	    1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
	    1.0 / 24, 1.0 / 6, 0.5, 1, 1 };
	union { uint64_t i; double d; } two;
	double k, r, s = part[0];
	size_t i;

	x = x > 700 ? 700 : x < -700 ? -700 : x;
	k = x * 1.4426950408889634 + 0x1.8p52 - 0x1.8p52;
	r = x - k * 0x1.62e42fep-1 - k * 0x1.efa39ef35793cp-33;
	for (i = 1; i < sizeof(part) / sizeof(part[0]); i++)
		s = s * r + part[i];
	two.i = (uint64_t)((int64_t)k + 1023) << 52;
	return (s * two.d);
}

void
ge_boost_probability(const struct ge_boost_opts *o, const float *margin,
    double *p)
{
	size_t i, k = ge_boost_k(o);
	double sum = 0;
	float most = margin[0];

	if (o->objective != GE_SOFTMAX) {
		p[1] = 1 / (1 + exponential(-(double)margin[0]));
		p[0] = 1 / (1 + exponential((double)margin[0]));
		return;
	}
	for (i = 1; i < k; i++)
		most = margin[i] > most ? margin[i] : most;
	for (i = 0; i < k; i++)
		sum += p[i] = exponential((double)(margin[i] - most));
	for (i = 0; i < k; i++)
		p[i] /= sum;
}

/* First and second derivative of the loss by each margin, of one row of weight w. */
static void
derive(const struct ge_boost *b, size_t i, const float *margin, double w)
{
	float *g = b->grad + i * b->k, *h = b->hess + i * b->k;
	double p[GE_BOOST_CLASSES], v;
	size_t c;

	switch (b->o.objective) {
	case GE_SQUARED:
		g[0] = (float)(((double)margin[0] - b->y[i]) * w);
		h[0] = (float)w;
		break;
	case GE_LOGISTIC:
		v = 1 / (1 + exponential(-(double)margin[0]));
		g[0] = (float)((v - b->y[i]) * w);
		h[0] = (float)(v * (1 - v) * w);
		break;
	case GE_SOFTMAX:
		ge_boost_probability(&b->o, margin, p);
		for (c = 0; c < b->k; c++) {
			v = (double)c == b->y[i];
			g[c] = (float)((p[c] - v) * w);
			h[c] = (float)(2 * p[c] * (1 - p[c]) * w);
		}
		break;
	}
}

struct pass {
	struct ge_boost *b;
	const float *margin;
	uint64_t seed, least;		/* a draw below it leaves the row out */
	double unit[2];
};

/* The weight of a row in this round. */
static double
weight(const struct pass *p, size_t i)
{
	uint64_t s = p->seed + i * 0x9e3779b97f4a7c15u;

	if (p->least > 0 && ge_draw(&s) < p->least)
		return (0);
	return (p->b->scale * (p->b->w != NULL ? (double)p->b->w[i] : 1));
}

static void
differentiate(void *arg, size_t chunk, int worker)
{
	struct pass *p = arg;
	struct ge_boost *b = p->b;
	size_t i, from = chunk * CHUNK, to = from + CHUNK;
	double g = 0, h = 0;

	(void)worker;
	if (to > b->d->n)
		to = b->d->n;
	for (i = from; i < to; i++)
		derive(b, i, p->margin + i * b->k, weight(p, i));
	for (i = from * b->k; i < to * b->k; i++) {
		g = fmax(g, fabs((double)b->grad[i]));
		h = fmax(h, (double)b->hess[i]);
	}
	b->most[2 * chunk] = g;
	b->most[2 * chunk + 1] = h;
}

/* Adding and taking away 1.5 * 2^52 units leaves whole units. */
static void
blunt(float *v, size_t n, double unit)
{
	double big = 0x1.8p52 * unit;
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = (float)((double)v[i] + big - big);
}

static void
blunt_chunk(void *arg, size_t chunk, int worker)
{
	struct pass *p = arg;
	struct ge_boost *b = p->b;
	size_t from = chunk * CHUNK, n = b->d->n - from;

	(void)worker;
	if (n > CHUNK)
		n = CHUNK;
	blunt(b->grad + from * b->k, n * b->k, p->unit[0]);
	blunt(b->hess + from * b->k, n * b->k, p->unit[1]);
}

/* The unit in which n values of at most `most` add up to less than 2^53. */
static double
unit_of(double most, size_t n)
{
	int e, rows = 2;

	while ((size_t)1 << rows < n)
		rows++;
	frexp(most, &e);
	return (ldexp(1, e + rows - 53));
}

static int
gradients(struct ge_boost *b, const float *margin, struct ge_err *e)
{
	struct pass p = { .b = b, .margin = margin };
	size_t i, chunks = (b->d->n + CHUNK - 1) / CHUNK;
	double most[2] = { 0, 0 };

	p.seed = b->o.seed + (uint64_t)b->rounds * 0xd1342543de82ef95u;
	p.seed = ge_draw(&p.seed);
	if (b->o.subsample < 1)
		p.least = (uint64_t)((1 - b->o.subsample) * 0x1p63) << 1;
	ge_pool_run(b->pool, chunks, differentiate, &p);
	for (i = 0; i < 2 * chunks; i++)
		most[i % 2] = fmax(most[i % 2], b->most[i]);
	if (!isfinite(most[0] + most[1]))
		return (ge_fail(e, GE_EFAIL, "round %d: the loss is no number",
		    b->rounds + 1));
	for (i = 0; i < 2; i++)
		p.unit[i] = unit_of(most[i], b->d->n);
	ge_pool_run(b->pool, chunks, blunt_chunk, &p);
	return (0);
}

int
ge_boost_round(struct ge_boost *b, struct ge_err *e)
{
	const float *margin;

	if (ge_hook_tick(0, e) == -1 ||
	    (margin = ge_boost_fitted(b, e)) == NULL ||
	    gradients(b, margin, e) == -1)
		return (-1);
	/* The draw of the features is a matter of the seed and the round alone. */
	if (b->o.colsample < 1 && set_number(b, "seed",
	    (double)((b->o.seed * 1000003 + (uint64_t)b->rounds) & 0xffffff),
	    e) == -1)
		return (-1);
	if (XGBoosterBoostOneIter(b->h, b->d->m, b->grad, b->hess,
	    b->d->n * b->k) != 0)
		return (failed("grow a tree", e));
	b->rounds++;
	return (0);
}

int
ge_boost_rounds(const struct ge_boost *b)
{

	return (b->rounds);
}

/* Predictions of a matrix, of a type that XGBoost numbers. */
static const float *
predict(struct ge_boost *b, DMatrixHandle m, int type, struct ge_err *e)
{
	const bst_ulong *shape;
	const float *out;
	bst_ulong dims;
	char text[160];

	snprintf(text, sizeof(text), "{\"type\": %d, \"training\": %s, "
	    "\"iteration_begin\": 0, \"iteration_end\": 0, "
	    "\"strict_shape\": true}", type, type == 1 ? "true" : "false");
	if (XGBoosterPredictFromDMatrix(b->h, m, text, &shape, &dims, &out) !=
	    0) {
		failed("predict", e);
		return (NULL);
	}
	return (out);
}

const float *
ge_boost_fitted(struct ge_boost *b, struct ge_err *e)
{

	return (predict(b, b->d->m, 1, e));
}

/* As many threads as steps from node to node are worth. */
static int
set_jobs(struct ge_boost *b, size_t steps, struct ge_err *e)
{
	int jobs = threads(&b->o, steps);

	if (jobs == b->jobs)
		return (0);
	b->jobs = jobs;
	return (set_number(b, "nthread", jobs, e));
}

int
ge_boost_margins_at(struct ge_boost *b, const float *x, size_t n, int rounds,
    float *out, struct ge_err *e)
{
	const bst_ulong *shape;
	const float *v;
	bst_ulong dims;
	char text[160], config[192];

	if (n == 0)
		return (0);
	if (b->d == NULL && set_jobs(b, n * b->k * (size_t)rounds, e) == -1)
		return (-1);
	interface(text, x, n, b->q);
	snprintf(config, sizeof(config), "{\"type\": 1, \"training\": false, "
	    "\"iteration_begin\": 0, \"iteration_end\": %d, "
	    "\"strict_shape\": true, \"cache_id\": 0, \"missing\": NaN}",
	    rounds);
	if (XGBoosterPredictFromDense(b->h, text, config, NULL, &shape, &dims,
	    &v) != 0)
		return (failed("predict", e));
	memcpy(out, v, n * b->k * sizeof(float));
	return (0);
}

int
ge_boost_margins(struct ge_boost *b, const float *x, size_t n, float *out,
    struct ge_err *e)
{

	return (ge_boost_margins_at(b, x, n, b->rounds, out, e));
}

int
ge_boost_shap(struct ge_boost *b, const float *x, size_t n, float *out,
    struct ge_err *e)
{
	DMatrixHandle m;
	const float *v;
	char text[160], config[64];

	if (n == 0)
		return (0);
	if (b->d == NULL && set_jobs(b, n * b->k * (size_t)b->rounds *
	    SHAP_STEPS, e) == -1)
		return (-1);
	interface(text, x, n, b->q);
	snprintf(config, sizeof(config), "{\"missing\": NaN, \"nthread\": %d}",
	    b->jobs);
	if (XGDMatrixCreateFromDense(text, config, &m) != 0)
		return (failed("take rows", e));
	if ((v = predict(b, m, 2, e)) != NULL)
		memcpy(out, v, n * b->k * (b->q + 1) * sizeof(float));
	XGDMatrixFree(m);
	return (v != NULL ? 0 : -1);
}

int
ge_boost_gain(struct ge_boost *b, double *gain, struct ge_err *e)
{
	const bst_ulong *shape;
	const char **name;
	const float *v;
	bst_ulong n, dims, i;
	unsigned long at;

	memset(gain, 0, b->q * sizeof(*gain));
	if (XGBoosterFeatureScore(b->h, "{\"importance_type\": \"total_gain\"}",
	    &n, &name, &dims, &shape, &v) != 0)
		return (failed("tell gains", e));
	for (i = 0; i < n; i++)
		if ((at = strtoul(name[i] + 1, NULL, 10)) < b->q)
			gain[at] = (double)v[i] / b->scale;
	return (0);
}

/*
 * Of a split by category XGBoost writes NaN as its threshold, which is no JSON; it
 * looks at no number there.
 */
static void
drop_nan(uint8_t *s, size_t len)
{
	size_t i;
	int quoted = 0;

	for (i = 0; i + 3 < len; i++)
		if (s[i] == '"')
			quoted = !quoted;
		else if (quoted && s[i] == '\\')
			i++;
		else if (!quoted && s[i] == 'N')
			memcpy(s + i, "0E0", 3);
}

int
ge_boost_rebase(struct ge_boost *b, double base, struct ge_err *e)
{

	b->o.base = base;
	return (set_number(b, "base_score", base, e));
}

/* Of values less a shift XGBoost is told to begin from it. */
static int
shift(struct ge_boost *b, double by, struct ge_err *e)
{

	return (fabs(by) > 0 ? ge_boost_rebase(b, b->o.base + by, e) : 0);
}

int
ge_boost_save(struct ge_boost *b, const char *const *names, uint8_t **buf,
    size_t *len, struct ge_err *e)
{
	const char *s;
	bst_ulong n;
	int rc;

	/* XGBoost wants the pointers to be writable, and does not write. */
	if (names != NULL && XGBoosterSetStrFeatureInfo(b->h, "feature_name",
	    (const char **)(uintptr_t)names, b->q) != 0)
		return (failed("take names", e));
	if (shift(b, b->o.shift, e) == -1)
		return (-1);
	rc = XGBoosterSaveModelToBuffer(b->h, "{\"format\": \"json\"}", &n, &s);
	if (rc == 0) {
		*buf = NULL;
		if (n > GE_BOOST_BYTES)
			ge_fail(e, GE_EUSAGE, "the trees take %llu MiB, of %d "
			    "at most: fewer rounds, or less depth",
			    (unsigned long long)n >> 20, GE_BOOST_BYTES >> 20);
		else if ((*buf = ge_alloc(n + 1, e)) != NULL) {
			memcpy(*buf, s, n);
			drop_nan(*buf, n);
			*len = n;
		}
		rc = *buf != NULL ? 0 : -1;
	} else {
		failed("save", e);
	}
	if (names != NULL)
		XGBoosterSetStrFeatureInfo(b->h, "feature_name", NULL, 0);
	if (rc == 0 && shift(b, -b->o.shift, e) == -1) {
		ge_free(*buf);
		*buf = NULL;
		rc = -1;
	}
	return (rc == 0 ? 0 : -1);
}

const struct ge_boost_opts *
ge_boost_opts_of(const struct ge_boost *b)
{

	return (&b->o);
}

/* XGBoost looks at some members only when it predicts: does it believe them? */
static int
walks(struct ge_boost *b, struct ge_err *e)
{
	float *x = ge_alloc((b->q + b->k) * sizeof(*x), e);
	int rc;

	if (x == NULL)
		return (-1);
	if ((rc = ge_boost_margins(b, x, 1, x + b->q, e)) == -1)
		e->code = GE_EREFUSED;
	ge_free(x);
	return (rc);
}

struct ge_boost *
ge_boost_parse(const uint8_t *buf, size_t len, size_t q, int jobs,
    struct ge_err *e)
{
	struct ge_boost_opts o;
	struct ge_boost_shape s;
	struct ge_boost *b;

	if (ge_boost_check(buf, len, &s, e) == -1)
		return (NULL);
	if (s.features != q) {
		ge_fail(e, GE_EREFUSED, "trees of %zu features, not %zu",
		    s.features, q);
		return (NULL);
	}
	ge_boost_opts_init(&o);
	o.objective = s.objective;
	o.classes = s.classes;
	o.jobs = jobs;
	if ((b = start(&o, SIZE_MAX / q, q, NULL, e)) == NULL)
		return (NULL);
	b->rounds = (int)(s.trees / b->k);
	if (XGBoosterLoadModelFromBuffer(b->h, buf, len) != 0) {
		failed("read the trees", e);
		e->code = GE_EREFUSED;
	} else if (set_number(b, "nthread", jobs, e) == 0 && walks(b, e) == 0) {
		return (b);
	}
	ge_boost_free(b);
	return (NULL);
}
