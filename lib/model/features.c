#include <stdlib.h>
#include <string.h>

#include "model/features.h"
#include "util/buf.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	NAMES = 64 << 20		/* bytes of all names */
};

/* What an op is called, and which of its members it has. */
static const struct kind {
	const char *name;
	int numbers;			/* columns of numbers: a, or a and b */
	int rows, first;		/* least w; is b a number of rows? */
} kind[GE_F_OPS] = {
	[GE_F_COLUMN] = { "column", 0, 0, 0 },
	[GE_F_PRODUCT] = { "product", 2, 0, 0 },
	[GE_F_RATIO] = { "ratio", 2, 0, 0 },
	[GE_F_DIFFERENCE] = { "difference", 2, 0, 0 },
	[GE_F_LAG] = { "lag", 1, 1, 0 },
	[GE_F_MEAN] = { "mean", 1, 1, 0 },
	[GE_F_SLOPE] = { "slope", 1, 2, 0 },
	[GE_F_SPREAD] = { "spread", 1, 2, 0 },
	[GE_F_START] = { "start", 1, 1, 1 },
	[GE_F_AGE] = { "age", 0, 0, 0 },
};

static enum ge_feature_op
kind_of(const char *name, size_t len)
{
	enum ge_feature_op op = GE_F_COLUMN;

	while (op < GE_F_OPS && (strlen(kind[op].name) != len ||
	    memcmp(kind[op].name, name, len) != 0))
		op++;
	return (op);
}

static int
numeric(const struct ge_schema *s, uint32_t j)
{

	return (j < s->ncols && s->col[j].role == GE_ROLE_INPUT &&
	    s->col[j].type != GE_FRAME_CATEGORY &&
	    s->col[j].type != GE_FRAME_TEXT);
}

static int
sound(const struct ge_features *F, const struct ge_schema *s,
    const struct ge_feature *f)
{
	const struct kind *k = &kind[f->op];

	if (f->op == GE_F_COLUMN)
		return (f->a < s->ncols && s->col[f->a].role == GE_ROLE_INPUT);
	if (f->op == GE_F_AGE)
		return (f->a == F->time);
	if (!numeric(s, f->a) || (k->numbers == 2 && !numeric(s, f->b)))
		return (0);
	if (k->rows > 0 && (f->w < (uint32_t)k->rows ||
	    f->w > GE_FEATURES_ROWS))
		return (0);
	return (!k->first || (f->b >= 1 && f->b <= GE_FEATURES_ROWS));
}

static int
name_put(struct ge_feature *f, const struct ge_schema *s, struct ge_err *e)
{
	const struct kind *k = &kind[f->op];
	const char *a = f->op == GE_F_AGE ? "" : s->col[f->a].name;
	struct ge_buf b = { .e = e };

	if (f->op == GE_F_COLUMN)
		ge_buf_put(&b, "%s", a);
	else if (f->op == GE_F_AGE)
		ge_buf_put(&b, "age");
	else if (k->numbers == 2)
		ge_buf_put(&b, "%s %c %s", a, f->op == GE_F_PRODUCT ? '*' :
		    f->op == GE_F_RATIO ? '/' : '-', s->col[f->b].name);
	else if (k->first)
		ge_buf_put(&b, "%s%u/%u(%s)", k->name, f->w, f->b, a);
	else
		ge_buf_put(&b, "%s%u(%s)", k->name, f->w, a);
	return (ge_buf_done(&b, &f->name, NULL));
}

/* Cells that a group is remembered by, at most, with one more such op. */
static size_t
cells(const struct ge_feature *f)
{

	return (kind[f->op].rows > 0 ? (size_t)f->w + 4 : 0);
}

static int
room(const struct ge_features *F, const struct ge_feature *f,
    const struct ge_schema *s, struct ge_err *e)
{
	size_t bytes = 64;

	if (f->op != GE_F_AGE)
		bytes += strlen(s->col[f->a].name);
	if (kind[f->op].numbers == 2)
		bytes += strlen(s->col[f->b].name);
	if (F->n >= GE_FEATURES_MOST ||
	    cells(f) > GE_FEATURES_CELLS - F->cells)
		return (ge_fail(e, GE_EUSAGE, "too many features"));
	if (bytes > NAMES - F->names)
		return (ge_fail(e, GE_EUSAGE, "names of columns are too long"));
	return (0);
}

int
ge_features_add(struct ge_features *F, const struct ge_schema *s,
    enum ge_feature_op op, uint32_t a, uint32_t b, uint32_t w,
    struct ge_err *e)
{
	struct ge_feature f = { op, a, b, w, NULL };

	if (op >= GE_F_OPS || !sound(F, s, &f))
		return (ge_fail(e, GE_EUSAGE, "no such feature: %s of column "
		    "%lu", op < GE_F_OPS ? kind[op].name : "?",
		    (unsigned long)a + 1));
	if (room(F, &f, s, e) == -1 ||
	    ge_grow(&F->f, &F->cap, F->n + 1, sizeof(*F->f), e) == -1 ||
	    name_put(&f, s, e) == -1)
		return (-1);
	F->cells += cells(&f);
	F->names += strlen(f.name);
	F->f[F->n++] = f;
	return (0);
}

static uint32_t
role(const struct ge_schema *s, enum ge_role r)
{
	size_t j = ge_schema_find(s, r);

	return (j == SIZE_MAX ? GE_F_NONE : (uint32_t)j);
}

static void
begin(struct ge_features *F, const struct ge_schema *s)
{

	memset(F, 0, sizeof(*F));
	F->ncols = (uint32_t)s->ncols;
	F->time = role(s, GE_ROLE_TIME);
	F->group = role(s, GE_ROLE_GROUP);
}

int
ge_features_plain(struct ge_features *F, const struct ge_schema *s,
    struct ge_err *e)
{
	uint32_t j;

	begin(F, s);
	for (j = 0; j < s->ncols; j++)
		if (s->col[j].role == GE_ROLE_INPUT &&
		    ge_features_add(F, s, GE_F_COLUMN, j, 0, 0, e) == -1)
			return (-1);
	return (0);
}

int
ge_features_age(struct ge_features *F, const struct ge_schema *s,
    struct ge_err *e)
{
	size_t i;

	for (i = 0; i < F->n; i++)
		if (F->f[i].op == GE_F_AGE)
			return (0);
	return (ge_features_add(F, s, GE_F_AGE, F->time, 0, 0, e));
}

int
ge_features_copy(struct ge_features *to, const struct ge_features *F,
    const struct ge_schema *s, struct ge_err *e)
{
	const struct ge_feature *f;

	begin(to, s);
	for (f = F->f; f < F->f + F->n; f++)
		if (ge_features_add(to, s, f->op, f->a, f->b, f->w, e) == -1)
			return (-1);
	return (0);
}

void
ge_features_release(struct ge_features *F)
{
	size_t i;

	for (i = 0; i < F->n; i++)
		ge_free(F->f[i].name);
	ge_free(F->f);
	memset(F, 0, sizeof(*F));
}

int
ge_features_in_time(const struct ge_features *F)
{
	size_t i;

	for (i = 0; i < F->n; i++)
		if (F->f[i].op >= GE_F_LAG)
			return (1);
	return (0);
}

void
ge_features_categories(const struct ge_features *F,
    const struct ge_schema *s, uint8_t *is)
{
	size_t i;

	for (i = 0; i < F->n; i++)
		is[i] = F->f[i].op == GE_F_COLUMN &&
		    s->col[F->f[i].a].type == GE_FRAME_CATEGORY;
}

/* Digits from *s up to the character stop: a number of rows, or 0. */
static uint32_t
rows(const char *s, size_t len)
{
	uint64_t v;

	return (ge_num_parse(s, len, &v) == 0 && v <= GE_FEATURES_ROWS ?
	    (uint32_t)v : 0);
}

/* One word of a spec: OP:W, OP:W/B. */
static int
window_parse(const char *word, size_t len, struct ge_feature *f,
    struct ge_err *e)
{
	const char *colon = memchr(word, ':', len), *slash;
	const char *end = word + len;

	*f = (struct ge_feature){ .op = kind_of(word, colon == NULL ? len :
	    (size_t)(colon - word)) };
	if (f->op == GE_F_AGE && colon == NULL)
		return (0);
	if (f->op == GE_F_OPS || kind[f->op].rows == 0 || colon == NULL)
		goto bad;
	slash = memchr(colon, '/', (size_t)(end - colon));
	if (kind[f->op].first != (slash != NULL))
		goto bad;
	f->w = rows(colon + 1, (size_t)((slash == NULL ? end : slash) -
	    colon - 1));
	if (slash != NULL)
		f->b = rows(slash + 1, (size_t)(end - slash - 1));
	if (f->w >= (uint32_t)kind[f->op].rows && (slash == NULL || f->b > 0))
		return (0);
bad:
	return (ge_fail(e, GE_EUSAGE, "no such window: '%.*s'", (int)len,
	    word));
}

static int
window_add(struct ge_features *F, const struct ge_schema *s,
    const struct ge_feature *f, struct ge_err *e)
{
	uint32_t j;

	if (f->op == GE_F_AGE)
		return (ge_features_age(F, s, e));
	for (j = 0; j < s->ncols; j++)
		if (numeric(s, j) &&
		    ge_features_add(F, s, f->op, j, f->b, f->w, e) == -1)
			return (-1);
	return (0);
}

/* F may be NULL: is it a spec? */
static int
windows(struct ge_features *F, const struct ge_schema *s, const char *spec,
    struct ge_err *e)
{
	struct ge_feature f;
	size_t len;

	for (;; spec += len + 1) {
		len = strcspn(spec, ",");
		if (window_parse(spec, len < 64 ? len : 64, &f, e) == -1 ||
		    (F != NULL && window_add(F, s, &f, e) == -1))
			return (-1);
		if (spec[len] == '\0')
			return (0);
	}
}

int
ge_features_lags(struct ge_features *F, const struct ge_schema *s,
    const char *spec, struct ge_err *e)
{

	return (windows(F, s, spec, e));
}

int
ge_features_lags_check(const char *spec, struct ge_err *e)
{

	return (windows(NULL, NULL, spec, e));
}

static json_t *
columns(const struct ge_feature *f)
{

	if (f->op == GE_F_AGE)
		return (json_array());
	if (kind[f->op].numbers == 2)
		return (json_pack("[I,I]", (json_int_t)f->a,
		    (json_int_t)f->b));
	return (json_pack("[I]", (json_int_t)f->a));
}

static json_t *
feature_json(const struct ge_feature *f)
{
	json_t *o = json_pack("{s:s, s:s, s:o}", "name", f->name, "op",
	    kind[f->op].name, "of", columns(f));

	if (o == NULL || kind[f->op].rows == 0)
		return (o);
	if (json_object_set_new(o, "rows", json_integer(f->w)) == -1 ||
	    (kind[f->op].first && json_object_set_new(o, "first",
	    json_integer(f->b)) == -1)) {
		json_decref(o);
		return (NULL);
	}
	return (o);
}

json_t *
ge_features_json(const struct ge_features *F)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; a != NULL && i < F->n; i++)
		if (json_array_append_new(a, feature_json(&F->f[i])) == -1) {
			json_decref(a);
			return (NULL);
		}
	return (a);
}

static int
whole(const json_t *v, uint32_t *out)
{

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) >= GE_F_NONE)
		return (-1);
	*out = (uint32_t)json_integer_value(v);
	return (0);
}

static int
feature_parse(struct ge_features *F, const json_t *o,
    const struct ge_schema *s, struct ge_err *e)
{
	const json_t *op = json_object_get(o, "op");
	const json_t *of = json_object_get(o, "of");
	struct ge_feature f = { .a = F->time };
	const struct kind *k;

	f.op = json_is_string(op) ? kind_of(json_string_value(op),
	    json_string_length(op)) : GE_F_OPS;
	if (f.op == GE_F_OPS)
		return (-1);
	k = &kind[f.op];
	if (json_array_size(of) != (f.op == GE_F_AGE ? 0 :
	    k->numbers == 2 ? 2 : 1))
		return (-1);
	if (f.op != GE_F_AGE && whole(json_array_get(of, 0), &f.a) == -1)
		return (-1);
	if (k->numbers == 2 && whole(json_array_get(of, 1), &f.b) == -1)
		return (-1);
	if (k->rows > 0 && whole(json_object_get(o, "rows"), &f.w) == -1)
		return (-1);
	if (k->first && whole(json_object_get(o, "first"), &f.b) == -1)
		return (-1);
	return (ge_features_add(F, s, f.op, f.a, f.b, f.w, e));
}

int
ge_features_parse(struct ge_features *F, const json_t *a,
    const struct ge_schema *s, struct ge_err *e)
{
	size_t i;

	begin(F, s);
	e->code = GE_OK;
	for (i = 0; i < json_array_size(a); i++)
		if (feature_parse(F, json_array_get(a, i), s, e) == -1)
			break;
	if (F->n > 0 && i == json_array_size(a))
		return (0);
	ge_features_release(F);
	if (e->code == GE_EFAIL)
		return (-1);
	return (ge_fail(e, GE_EREFUSED, "'features': damaged or not of this "
	    "schema"));
}
