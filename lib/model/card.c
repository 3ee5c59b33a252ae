#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "model/card.h"
#include "util/buf.h"
#include "util/mem.h"
#include "util/num.h"

/* Words of a table as text of a cell: no mark-up, one line. */
static void
put_plain(struct ge_buf *t, const char *s)
{

	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			ge_buf_put(t, " ");
		else if (strchr("\\`*_[]<>|#~&", *s) != NULL)
			ge_buf_put(t, "\\%c", *s);
		else
			ge_buf_put(t, "%c", *s);
	}
}

static void
put_section(struct ge_buf *t, const char *head, const char *text)
{

	if (text != NULL && *text != '\0')
		ge_buf_put(t, "## %s\n\n%s\n\n", head, text);
}

static void
put_number(struct ge_buf *t, int digits, double v)
{

	if (isfinite(v))
		ge_buf_put(t, " %.*g |", digits, v);
	else
		ge_buf_put(t, " |");
}

static int
any(const struct ge_card_line *line, size_t n, size_t off)
{
	double v;
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(&v, (const char *)(line + i) + off, sizeof(v));
		if (isfinite(v))
			return (1);
	}
	return (0);
}

static void
put_table(struct ge_buf *t, const struct ge_card *c, const char *first,
    const struct ge_card_line *line, size_t n)
{
	int rows = any(line, n, offsetof(struct ge_card_line, rows));
	int cost = any(line, n, offsetof(struct ge_card_line, seconds));
	size_t i, k;

	ge_buf_put(t, "| ");
	put_plain(t, first);
	ge_buf_put(t, " |%s", rows ? " rows |" : "");
	for (k = 0; k < c->nmetrics; k++)
		ge_buf_put(t, " %s |", c->metric[k]);
	ge_buf_put(t, "%s\n|---|%s", cost ? " seconds | joules |" : "",
	    rows ? "---|" : "");
	for (k = 0; k < c->nmetrics; k++)
		ge_buf_put(t, "---|");
	ge_buf_put(t, "%s\n", cost ? "---|---|" : "");
	for (i = 0; i < n; i++) {
		ge_buf_put(t, "| ");
		put_plain(t, line[i].name);
		ge_buf_put(t, " |");
		if (rows)
			put_number(t, 15, line[i].rows);
		for (k = 0; k < c->nmetrics; k++)
			put_number(t, 4, line[i].value[k]);
		if (cost) {
			put_number(t, 3, line[i].seconds);
			put_number(t, 3, line[i].joules);
		}
		ge_buf_put(t, "\n");
	}
	ge_buf_put(t, "\n");
}

static void
put_results(struct ge_buf *t, const struct ge_card *c)
{
	const struct ge_card_table *g;
	size_t i;

	if (c->nmetrics == 0 || c->nlines == 0)
		return;
	ge_buf_put(t, "## Results\n\n");
	if (c->on != NULL)
		ge_buf_put(t, "On %s:\n\n", c->on);
	put_table(t, c, "model", c->line, c->nlines);
	for (i = 0; i < c->ntables; i++) {
		g = &c->table[i];
		if (g->n == 0)
			continue;
		ge_buf_put(t, "By ");
		put_plain(t, g->by);
		ge_buf_put(t, ":\n\n");
		put_table(t, c, g->by, g->line, g->n);
	}
}

static void
put_head(struct ge_buf *t, const struct ge_card *c)
{

	ge_buf_put(t, "---\n");
	if (c->library != NULL)
		ge_buf_put(t, "library_name: %s\n", c->library);
	if (c->task != NULL)
		ge_buf_put(t, "pipeline_tag: %s\n", c->task);
	ge_buf_put(t, "tags:\n- %s\n- getools\n---\n\n# ", c->family);
	put_plain(t, c->title);
	ge_buf_put(t, "\n\n");
	if (c->about != NULL)
		ge_buf_put(t, "%s\n\n", c->about);
}

static double
grams(const struct ge_card *c)
{

	return (c->joules / 3.6e6 * c->gco2);
}

static void
put_fit(struct ge_buf *t, const struct ge_card *c)
{
	char hex[65];

	ge_buf_put(t, "## Data\n\n%" PRIu64 " rows of %" PRIu64 " columns; SHA-256 "
	    "`%s`", c->rows, c->cols, ge_hex(hex, c->digest, 32));
	if (c->set != NULL)
		ge_buf_put(t, "; fragment set `%s`", c->set);
	ge_buf_put(t, ".%s%s\n\n", c->data != NULL ? " " : "",
	    c->data != NULL ? c->data : "");
	ge_buf_put(t, "## Fit\n\nBy getools %s", c->version);
	if (c->seed != NULL)
		ge_buf_put(t, ", seed %" PRIu64, *c->seed);
	ge_buf_put(t, "%s%s. All options are in run.json.\n\nIt took %.3g "
	    "seconds and %.3g joules (method: %s)", c->stopped != NULL ?
	    "; stopped by: " : "", c->stopped != NULL ? c->stopped : "",
	    c->seconds, c->joules, c->energy);
	if (isfinite(c->gco2))
		ge_buf_put(t, ", %.3g grams of CO2 at %g grams a kilowatt-hour",
		    grams(c), c->gco2);
	ge_buf_put(t, ".\n\n");
}

char *
ge_card_print(const struct ge_card *c, struct ge_err *e)
{
	struct ge_buf t = { .e = e };
	char *card;

	put_head(&t, c);
	put_fit(&t, c);
	put_results(&t, c);
	put_section(&t, "Use", c->use);
	put_section(&t, "Limits", c->limits);
	(void)ge_buf_done(&t, &card, NULL);
	return (card);
}

/*
 * run.json.
 */

/* JSON knows no number that is none. */
static void
set_real(json_t *j, const char *name, double v)
{

	if (isfinite(v))
		json_object_set_new(j, name, json_real(v));
}

static void
set_text(json_t *j, const char *name, const char *s)
{

	if (s != NULL)
		json_object_set_new(j, name, json_string(s));
}

static json_t *
metrics(const struct ge_card *c, const struct ge_card_line *line)
{
	json_t *j = json_object();
	size_t k;

	for (k = 0; k < c->nmetrics; k++)
		set_real(j, c->metric[k], line->value[k]);
	return (j);
}

static json_t *
lines(const struct ge_card *c, const struct ge_card_line *line, size_t n)
{
	json_t *a = json_array(), *j;
	size_t i;

	for (i = 0; i < n; i++) {
		j = json_object();
		set_text(j, "name", line[i].name);
		set_real(j, "rows", line[i].rows);
		json_object_set_new(j, "metrics", metrics(c, &line[i]));
		set_real(j, "seconds", line[i].seconds);
		set_real(j, "joules", line[i].joules);
		json_array_append_new(a, j);
	}
	return (a);
}

static json_t *
groups(const struct ge_card *c)
{
	json_t *j = json_object();
	size_t i;

	for (i = 0; i < c->ntables; i++)
		json_object_set_new(j, c->table[i].by, lines(c,
		    c->table[i].line, c->table[i].n));
	return (j);
}

static json_t *
result(const struct ge_card *c)
{
	json_t *j = json_object();

	set_real(j, "seconds", c->seconds);
	set_real(j, "joules", c->joules);
	set_text(j, "energy_method", c->energy);
	set_text(j, "stopped_by", c->stopped);
	set_real(j, "gco2", grams(c));
	if (c->nmetrics == 0 || c->nlines == 0)
		return (j);
	set_text(j, "measured_on", c->on);
	json_object_set_new(j, "metrics", metrics(c,
	    &c->line[c->nlines - 1]));
	json_object_set_new(j, "baselines", lines(c, c->line, c->nlines - 1));
	if (c->ntables > 0)
		json_object_set_new(j, "groups", groups(c));
	return (j);
}

static json_t *
data(const struct ge_card *c)
{
	char hex[65];
	json_t *j;

	j = json_pack("{s:s, s:I, s:I}", "sha256", ge_hex(hex, c->digest, 32),
	    "rows", (json_int_t)c->rows, "columns", (json_int_t)c->cols);
	set_text(j, "set_digest", c->set);
	return (j);
}

json_t *
ge_card_run(const struct ge_card *c, struct ge_err *e)
{
	json_t *j;

	j = json_pack("{s:s, s:s+, s:I, s:o, s:O*}",
	    "family", c->family, "program", "getools ", c->version,
	    "started", (json_int_t)c->started, "data", data(c),
	    "options", c->options);
	if (c->seed != NULL)
		json_object_set_new(j, "seed", json_integer((json_int_t)
		    *c->seed));
	if (json_object_set_new(j, "result", result(c)) == 0)
		return (j);
	json_decref(j);
	ge_fail(e, GE_EFAIL, "out of memory");
	return (NULL);
}

char *
ge_card_text(const json_t *j, struct ge_err *e)
{
	struct ge_buf t = { .e = e };
	char *text, *out;

	if (j == NULL)
		return (NULL);
	text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
	if (text == NULL) {
		ge_fail(e, GE_EFAIL, "out of memory");
		return (NULL);
	}
	ge_buf_put(&t, "%s\n", text);
	free(text);
	(void)ge_buf_done(&t, &out, NULL);
	return (out);
}
