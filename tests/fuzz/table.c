/*
 * Tables: the same rows and the same end whether the bytes come at once or one by
 * one, numbers as strtod has them, and every row of as many cells as the first.
 */
#include <math.h>
#include <string.h>

#include "data/decimal.h"
#include "data/frame.h"
#include "data/table.h"
#include "fuzz.h"

struct seen {
	uint64_t hash, rows;
	size_t cols;
};

static void
mix(struct seen *s, const void *buf, size_t len)
{
	const unsigned char *b = buf;

	for (; len > 0; len--)
		s->hash = (s->hash ^ *b++) * 0x100000001b3u;
}

static void
number(const struct ge_cell *c)
{
	char *copy = malloc(c->len + 1), *end;
	double x;

	must(copy != NULL, "malloc");
	memcpy(copy, c->s, c->len);
	copy[c->len] = '\0';
	x = strtod(copy, &end);
	must(end == copy + c->len && memcmp(&x, &c->num, sizeof(x)) == 0,
	    "a number as strtod has it");
	free(copy);
}

static int
take(void *arg, const struct ge_row *r, struct ge_err *e)
{
	struct seen *s = arg;
	const struct ge_cell *c;
	size_t i;
	double at;

	(void)e;
	must(s->cols == 0 || r->n == s->cols, "as many cells as the first");
	s->cols = r->n;
	s->rows++;
	mix(s, &r->line, sizeof(r->line));
	for (i = 0; i < r->n; i++) {
		c = &r->cell[i];
		must(memchr(c->s, '\0', c->len) == NULL, "no NUL");
		if (c->kind == GE_CELL_NUMBER)
			number(c);
		else
			must(isnan(c->num), "no number");
		mix(s, &c->kind, sizeof(c->kind));
		mix(s, &c->col, sizeof(c->col));
		mix(s, c->s, c->len);
		if (ge_instant(c->s, c->len, &at) == 0)
			must(at > -6.3e10 && at < 2.6e11, "a time");
	}
	return (0);
}

static void
run(const uint8_t *buf, size_t len, size_t step, enum ge_header header,
    char sep, struct seen *s, struct ge_err *e)
{
	struct ge_table t;
	struct ge_table_opts o;
	size_t i, n;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	memset(e, 0, sizeof(*e));
	ge_table_opts_init(&o);
	o.header = header;
	o.sep = sep;
	o.field = 4096;
	o.cols = 300;
	must(ge_table_init(&t, &o, "f", take, s, e) == 0, "init");
	for (i = 0; i < len && rc == 0; i += n) {
		n = len - i < step ? len - i : step;
		rc = ge_table_push(&t, buf + i, n, e);
	}
	if (rc == 0)
		rc = ge_table_end(&t, e);
	must(rc == 0 ? t.rows == s->rows : e->code == GE_EREFUSED ||
	    e->code == GE_EUSAGE, "status");
	ge_table_release(&t);
}

/* Held as numbers: each is of its type. */
static void
hold(const uint8_t *buf, size_t len, enum ge_header header)
{
	struct ge_frame f;
	struct ge_frame_opts o;
	struct ge_err e = { 0 };
	size_t i, j;
	double x;

	ge_frame_opts_init(&o);
	o.table.header = header;
	o.words = 5;
	ge_frame_init(&f, &o);
	must(ge_frame_begin(&f, "f", &e) == 0, "begin");
	if (ge_frame_push(&f, buf, len, &e) == -1 ||
	    ge_frame_end_table(&f, &e) == -1 || ge_frame_end(&f, &e) == -1)
		must(e.code == GE_EREFUSED || e.code == GE_EUSAGE, "status");
	else
		for (i = 0; i < f.n; i++)
			for (j = 0; j < f.ncols; j++) {
				x = f.v[i * f.ncols + j];
				must(f.col[j].type != GE_FRAME_CATEGORY ||
				    isnan(x) || (x >= 0 &&
				    x < (double)f.col[j].nwords), "a word");
				must(f.col[j].type != GE_FRAME_TEXT ||
				    isnan(x), "text holds nothing");
			}
	ge_frame_release(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct seen a, b;
	struct ge_err e, f;
	char sep;

	if (len < 1 || len > 3000)
		return (0);
	sep = buf[0] >= 'A' ? ' ' : 0;
	hold(buf + 1, len - 1, buf[0] % 3);
	run(buf + 1, len - 1, len, buf[0] % 3, sep, &a, &e);
	run(buf + 1, len - 1, 1 + buf[0] / 2 % 7, buf[0] % 3, sep, &b, &f);
	must(memcmp(&a, &b, sizeof(a)) == 0 && strcmp(e.msg, f.msg) == 0,
	    "the same however the bytes come");
	return (0);
}
