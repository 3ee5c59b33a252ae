#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/monrun_int.h"
#include "util/buf.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/thread.h"
#include "util/world.h"

enum {
	PIECE = 4096			/* rows to try with */
};

void
ge_mon_open(struct ge_mon *r, const struct ge_mon_opts *o)
{

	memset(r, 0, sizeof(*r));
	r->o = *o;
	r->started = ge_now();
	r->began = ge_clock();
	r->stage = "reading";
	ge_energy_start(&r->energy);
}

void
ge_mon_release(struct ge_mon *r)
{
	size_t g;

	for (g = 0; r->name != NULL && g < r->ngroups; g++)
		ge_free(r->name[g]);
	ge_free(r->name);
	ge_free(r->row);
	ge_free(r->use);
	ge_free(r->fresh);
	ge_free(r->group);
	ge_free(r->by_group);
	ge_monitor_release(&r->m);
	ge_monitor_release(&r->trial);
	ge_schema_release(&r->schema);
	ge_frame_release(&r->frame);
	memset(r, 0, sizeof(*r));
}

/*
 * Learning.
 */

/* The rows of these uses, and whether they follow each other. */
static void
rows_of(struct ge_mon *r, int held, uint32_t *row, uint8_t *fresh, size_t *n)
{
	size_t k;
	int gap = 0;

	for (*n = 0, k = 0; k < r->n; k++) {
		gap |= r->fresh[k];
		if (r->use[k] == GE_MON_LEARN ||
		    (held && r->use[k] == GE_MON_HELD)) {
			fresh[*n] = (uint8_t)gap;
			row[(*n)++] = r->row[k];
			gap = 0;
		} else {
			gap |= GE_MONITOR_LATER;
		}
	}
}

static void
options(const struct ge_mon *r, struct ge_monitor_opts *o)
{

	ge_monitor_opts_init(o);
	o->far = r->far;
	o->lags = r->o.lags;
	o->modes = r->o.modes;
	o->hinges = r->o.hinges;
	o->jobs = r->o.jobs;
}

int
ge_mon_learn(struct ge_mon *r, int held, int (*fit)(void *arg,
    const double *rows, size_t n, size_t p, const struct ge_monitor_opts *o,
    struct ge_err *e), void *arg, struct ge_err *e)
{
	struct ge_monitor_opts o;
	uint32_t *row = NULL;
	uint8_t *fresh = NULL;
	size_t n;
	int rc = -1;

	if ((row = ge_alloc(r->n * sizeof(*row), e)) == NULL ||
	    (fresh = ge_alloc(r->n, e)) == NULL)
		goto out;
	rows_of(r, held, row, fresh, &n);
	options(r, &o);
	o.fresh = fresh;
	o.row = row;
	rc = fit(arg, r->frame.v, n, r->p, &o, e);
out:
	ge_free(fresh);
	ge_free(row);
	return (rc);
}

int
ge_mon_self(void *arg, const double *rows, size_t n, size_t p,
    const struct ge_monitor_opts *o, struct ge_err *e)
{

	return (ge_monitor_fit(arg, rows, n, p, o, e));
}

/* Learning from the first rows only; seconds of it into arg. */
struct piece {
	size_t rows;
	double seconds;
};

static int
fit_piece(void *arg, const double *rows, size_t n, size_t p,
    const struct ge_monitor_opts *o, struct ge_err *e)
{
	struct piece *a = arg;
	struct ge_monitor m;
	double began = ge_clock();

	if (ge_monitor_fit(&m, rows, n < a->rows ? n : a->rows, p, o, e) == -1)
		return (-1);
	a->seconds = ge_clock() - began;
	ge_monitor_release(&m);
	return (0);
}

/* Seconds are taken to grow evenly with the rows behind those of a piece. */
int
ge_mon_try(struct ge_mon *r, struct ge_mon_cost *c, struct ge_err *e)
{
	const double n = (double)(r->count[GE_MON_LEARN] +
	    (r->apart ? 0 : r->count[GE_MON_HELD]));
	struct piece a = { .rows = PIECE }, b = { .rows = 2 * PIECE };
	double j = ge_energy_joules(&r->energy), s = ge_clock();
	struct ge_monitor_opts o;

	r->stage = "trying";
	options(r, &o);
	c->table = r->frame.n * r->p * sizeof(double) +
	    r->n * (2 * sizeof(uint32_t) + 3);
	ge_monitor_bytes(&c->fit, (size_t)n, r->p, &o);
	if (ge_mon_learn(r, !r->apart, fit_piece, &a, e) == -1)
		return (-1);
	c->seconds = a.seconds;
	if (n > 2 * PIECE) {
		if (ge_mon_learn(r, !r->apart, fit_piece, &b, e) == -1)
			return (-1);
		c->seconds += fmax(b.seconds - a.seconds, 0) * (n - PIECE) /
		    PIECE;
	}
	s = ge_clock() - s;
	j = ge_energy_joules(&r->energy) - j;
	if (r->tried)
		c->seconds *= 2 - r->o.hold;
	c->joules = s > 0 ? c->seconds * j / s : 0;
	return (0);
}

/* Variables of which these rows do not tell what is normal. */
static int
tell_unwatched(const struct ge_mon *r, struct ge_err *e)
{
	struct ge_buf list = { .e = e };
	size_t i = 0, j, n = 0;
	char *s;

	for (j = 0; j < r->schema.ncols; j++) {
		if (r->schema.col[j].role != GE_ROLE_INPUT)
			continue;
		if (r->m.used[i] <= 0 && r->m.used[r->p + i] <= 0 &&
		    n++ < GE_MON_NAMED)
			ge_buf_put(&list, "%s'%s'", n > 1 ? ", " : "",
			    r->schema.col[j].name);
		i++;
	}
	if (n == 0)
		return (0);
	if (n > GE_MON_NAMED)
		ge_buf_put(&list, " and %zu more", n - GE_MON_NAMED);
	if (ge_buf_done(&list, &s, NULL) == -1)
		return (-1);
	ge_note(GE_WARN, "not watched, since these rows do not tell how they "
	    "spread: %s", s);
	ge_free(s);
	return (0);
}

/* Are these rows too few to keep the stated rate of false alarms? */
static int
few(const struct ge_monitor *m)
{

	return (m->rows < GE_MONITOR_FEW || (m->rows < GE_MONITOR_MANY &&
	    m->rows < GE_MONITOR_EACH * m->p));
}

int
ge_mon_fit(struct ge_mon *r, struct ge_err *e)
{
	double s = ge_clock(), j = ge_energy_joules(&r->energy);

	r->stage = "learning";
	if (ge_mon_learn(r, !r->apart, ge_mon_self, &r->m, e) == -1)
		return (-1);
	if (tell_unwatched(r, e) == -1)
		return (-1);
	if (few(&r->m))
		ge_note(GE_WARN, "%zu nominal rows are few for %zu variable%s: "
		    "there may be more than %.3g false alarms a row",
		    r->m.rows, r->p, r->p == 1 ? "" : "s", r->far);
	if (r->m.recurring > 0)
		ge_note(GE_WARN, "%zu nominal rows are far off, but too many or "
		    "too spread to be left out: like them there is no alarm",
		    r->m.recurring);
	r->self.name = "this";
	r->self.seconds = ge_clock() - s;
	r->self.joules = ge_energy_joules(&r->energy) - j;
	return (0);
}

int
ge_mon_measured(const struct ge_mon *r)
{

	return (r->self.tally.nominal > 0 || r->self.tally.faulty > 0);
}

/*
 * Files.
 */

static int
save_schema(const struct ge_mon *r, struct ge_outdir *out, struct ge_err *e)
{
	json_t *j = ge_schema_json(&r->schema);
	char *text = NULL;
	int rc = -1;

	if (j != NULL && json_object_set_new(j, "monitor", json_pack(
	    "{s:f, s:f}", "far", r->far, "step", r->step)) == 0)
		text = json_dumps(j, JSON_INDENT(2) |
		    JSON_REAL_PRECISION(17));
	if (text == NULL)
		ge_fail(e, GE_EFAIL, "out of memory");
	else
		rc = ge_outdir_file(out, "schema.json", text, strlen(text), e);
	free(text);
	json_decref(j);
	return (rc);
}

static int
save_text(char *text, const char *name, struct ge_outdir *out, struct ge_err *e)
{
	int rc;

	if (text == NULL)
		return (-1);
	rc = ge_outdir_file(out, name, text, strlen(text), e);
	ge_free(text);
	return (rc);
}

int
ge_mon_save(struct ge_mon *r, struct ge_outdir *out, struct ge_err *e)
{

	r->stage = "writing";
	r->seconds = ge_clock() - r->began;
	r->joules = ge_energy_joules(&r->energy);
	if (ge_monitor_save(&r->m, out, "monitor.safetensors", e) == -1 ||
	    save_schema(r, out, e) == -1 ||
	    save_text(ge_mon_report(r, e), "run.json", out, e) == -1)
		return (-1);
	return (save_text(ge_mon_card(r, e), "README.md", out, e));
}
