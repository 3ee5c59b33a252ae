/*
 * schema.json, and behind a NUL a table that is read by it, as gepredict does: what is taken is the same
 * when written and read again, and a row's values are of its types.
 */
#include <math.h>
#include <string.h>

#include "data/schema.h"
#include "fuzz.h"

struct reader {
	struct ge_bind b;
	struct ge_table t;
	double *v;
	int bound;
};

static int
take(void *arg, const struct ge_row *row, struct ge_err *e)
{
	struct reader *r = arg;
	const struct ge_schema *s = r->b.s;
	size_t j;

	if (!r->bound && ge_bind_table(&r->b, &r->t, e) == -1)
		return (-1);
	r->bound = 1;
	if (ge_bind_row(&r->b, row, r->v, e) == -1)
		return (-1);
	for (j = 0; j < s->ncols; j++) {
		must(r->b.from[j] == SIZE_MAX || r->b.from[j] < row->n,
		    "a cell of the row");
		must(s->col[j].type != GE_FRAME_CATEGORY || isnan(r->v[j]) ||
		    s->col[j].role == GE_ROLE_GROUP || (r->v[j] >= 0 &&
		    r->v[j] < (double)s->col[j].nwords), "a word");
	}
	return (0);
}

static void
read_by(const struct ge_schema *s, const uint8_t *buf, size_t len)
{
	struct ge_table_opts o;
	struct ge_err e = { 0 };
	struct reader r;
	char **known;

	memset(&r, 0, sizeof(r));
	ge_table_opts_init(&o);
	known = malloc(s->ncols * sizeof(*known));
	must(known != NULL, "malloc");
	for (; s->header && o.nknown < s->ncols; o.nknown++)
		known[o.nknown] = s->col[o.nknown].name;
	o.known = known;
	o.width = s->width;
	must(ge_bind_init(&r.b, s, 0, &e) == 0 && ge_table_init(&r.t, &o,
	    "f", take, &r, &e) == 0, "init");
	r.v = malloc(s->ncols * sizeof(*r.v));
	must(r.v != NULL, "malloc");
	if (ge_table_push(&r.t, buf, len, &e) == -1 ||
	    ge_table_end(&r.t, &e) == -1)
		must(e.code == GE_EREFUSED || e.code == GE_EUSAGE, "status");
	free(r.v);
	free(known);
	ge_table_release(&r.t);
	ge_bind_release(&r.b);
}

/* Written and read again: the same, written again. */
static void
again(const struct ge_schema *s)
{
	json_t *o = ge_schema_json(s), *all, *p;
	struct ge_schema t;
	struct ge_err e;
	char *text;

	must(o != NULL && (text = json_dumps(o, 0)) != NULL, "written");
	must(ge_schema_parse(&t, (uint8_t *)text, strlen(text), &all, &e) ==
	    0 && (p = ge_schema_json(&t)) != NULL && json_equal(o, all) &&
	    json_equal(o, p), "the same again");
	json_decref(o);
	json_decref(all);
	json_decref(p);
	ge_schema_release(&t);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	const uint8_t *nul = memchr(buf, 0, len);
	size_t n = nul != NULL ? (size_t)(nul - buf) : len;
	struct ge_schema s;
	struct ge_err e = { 0 };
	json_t *all;

	if (ge_schema_parse(&s, buf, n, &all, &e) == -1) {
		must(e.code == GE_EREFUSED && e.msg[0] != '\0' && all == NULL,
		    "status");
		return (0);
	}
	again(&s);
	if (nul != NULL)
		read_by(&s, nul + 1, len - n - 1);
	json_decref(all);
	ge_schema_release(&s);
	return (0);
}
