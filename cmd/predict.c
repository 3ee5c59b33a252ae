#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "data/decimal.h"
#include "predict.h"
#include "tables.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

/* The tables at work, and what is made of each row. */
struct rows {
	const struct ge_schema *s;
	const struct predict_fn *fn;
	struct ge_table_opts opts;
	struct ge_table table;
	struct ge_bind bind;
	size_t time, group;		/* columns of s, or SIZE_MAX */
	char **known;			/* [s->ncols] */
	char number[32];		/* of a group */
	int bound;			/* the names of this table suit */
	int begins;			/* no row of it was handed on */
	double *v;			/* [s->ncols] */
};

int
predict_slurp(const struct predict *p, const char *name, size_t max,
    uint8_t **buf, size_t *len, struct ge_sha256 *sha, struct ge_err *e)
{
	char *path;
	uint8_t size[8];
	int rc;

	if ((path = ge_path_join(p->model, name, e)) == NULL)
		return (-1);
	if ((rc = ge_slurp(path, max, buf, len, e)) == 0) {
		ge_put64(size, *len);
		ge_sha256_add(sha, size, sizeof(size));
		ge_sha256_add(sha, *buf, *len);
	} else if (*len > max) {
		e->code = GE_EREFUSED;
	}
	ge_free(path);
	return (rc);
}

static void
cell(const struct rows *r, const struct ge_row *row, size_t col,
    const char **s, size_t *len)
{
	const struct ge_cell *c;

	*s = "";
	*len = 0;
	if (col == SIZE_MAX || r->bind.from[col] == SIZE_MAX)
		return;
	c = &row->cell[r->bind.from[col]];
	*s = c->s;
	*len = c->len;
}

/* A group as training compares it: a number by its value. */
static void
set_key(struct rows *r, const struct ge_row *row, struct predict_row *x)
{
	const struct ge_cell *c;

	x->key = x->group;
	x->keylen = x->grouplen;
	if (x->grouplen == 0)
		return;
	c = &row->cell[r->bind.from[r->group]];
	if (c->kind == GE_CELL_MISSING)
		x->keylen = 0;
	if (c->kind != GE_CELL_NUMBER)
		return;
	x->key = ge_decimal_print(r->number, c->num);
	x->keylen = strlen(x->key);
}

/* The names again, as where a file that is followed begins anew. */
static int
names_again(const struct rows *r, const struct ge_row *row)
{
	const struct ge_cell *c;
	size_t j, n = 0;

	for (j = 0; j < r->s->ncols; j++) {
		if (r->bind.from[j] == SIZE_MAX)
			continue;
		c = &row->cell[r->bind.from[j]];
		if (strlen(r->known[j]) != c->len ||
		    memcmp(r->known[j], c->s, c->len) != 0)
			return (0);
		n++;
	}
	return (n > 0);
}

/* As soon as the table has names. */
static int
bind(struct rows *r, struct ge_err *e)
{

	if (r->bound || r->table.ncols == 0)
		return (0);
	r->bound = 1;
	return (ge_bind_table(&r->bind, &r->table, e));
}

/* A report of a table that is refused is none. */
static int
pause_rows(struct rows *r, struct ge_err *e)
{

	return (bind(r, e) == -1 ? -1 : r->bound ?
	    r->fn->pause(r->fn->arg, e) : 0);
}

static int
take_row(void *arg, const struct ge_row *row, struct ge_err *e)
{
	struct rows *r = arg;
	struct predict_row x;

	if (bind(r, e) == -1)
		return (-1);
	if (ge_bind_row(&r->bind, row, r->v, e) == -1)
		return (r->s->header && names_again(r, row) ? 0 : -1);
	x.v = r->v;
	x.first = r->begins;
	r->begins = 0;
	cell(r, row, r->time, &x.time, &x.timelen);
	cell(r, row, r->group, &x.group, &x.grouplen);
	set_key(r, row, &x);
	return (r->fn->row(r->fn->arg, &x, e));
}

static int
begin_table(void *arg, const char *name, struct ge_err *e)
{
	struct rows *r = arg;

	r->begins = 1;
	r->bound = 0;
	return (ge_table_init(&r->table, &r->opts, name, take_row, r, e));
}

static int
push_table(void *arg, const void *buf, size_t len, struct ge_err *e)
{
	struct rows *r = arg;

	return (ge_table_push(&r->table, buf, len, e) == -1 ? -1 :
	    pause_rows(r, e));
}

static int
end_table(void *arg, struct ge_err *e)
{
	struct rows *r = arg;
	int rc = ge_table_end(&r->table, e);

	if (rc == 0)
		rc = pause_rows(r, e);
	ge_table_release(&r->table);
	return (rc);
}

static int
read_operand(struct rows *r, const char *path, const struct ge_docs_caps *caps,
    struct ge_err *e)
{
	static const struct ge_tables_fn fn = { begin_table, push_table,
	    end_table };
	int in = strcmp(path, "-") == 0, fd, rc;

	if ((fd = in ? STDIN_FILENO : ge_input_open(path, e)) == -1)
		return (-1);
	rc = ge_tables_read(fd, in ? "standard input" : path, caps, &fn, r, e);
	if (!in)
		close(fd);
	return (rc);
}

static int
prepare(struct rows *r, struct ge_err *e)
{
	const struct ge_schema *s = r->s;
	size_t j;

	r->time = ge_schema_find(s, GE_ROLE_TIME);
	r->group = ge_schema_find(s, GE_ROLE_GROUP);
	if ((r->v = ge_alloc(s->ncols * sizeof(*r->v), e)) == NULL ||
	    (r->known = ge_alloc(s->ncols * sizeof(*r->known), e)) == NULL)
		return (-1);
	for (j = 0; j < s->ncols; j++)
		r->known[j] = s->col[j].name;
	r->opts.known = r->known;
	r->opts.nknown = s->ncols;
	r->opts.width = s->width;
	if (!s->header && r->opts.header == GE_HEADER_AUTO)
		r->opts.header = GE_HEADER_NO;
	return (0);
}

int
predict_rows(const struct predict *p, const struct ge_schema *s,
    unsigned int want, const struct table_options *o,
    const struct predict_fn *fn, struct ge_err *e)
{
	struct rows r = { .s = s, .fn = fn, .opts = o->table };
	int i, rc;

	rc = ge_bind_init(&r.bind, s, want, e);
	if (rc == 0)
		rc = prepare(&r, e);
	for (i = 0; rc == 0 && i < (p->n > 0 ? p->n : 1); i++)
		rc = read_operand(&r, p->n > 0 ? p->file[i] : "-", &o->caps,
		    e);
	if (rc == 0 && r.bind.unseen > 0)
		ge_note(GE_WARN, "%llu word%s that the model never saw %s taken "
		    "as missing", (unsigned long long)r.bind.unseen,
		    cli_plural(r.bind.unseen), r.bind.unseen == 1 ? "was" :
		    "were");
	ge_table_release(&r.table);
	ge_bind_release(&r.bind);
	ge_free(r.known);
	ge_free(r.v);
	return (rc);
}
