/*
 * lib/model/sentry.c: processes in turns are watched as each alone; what is told of an
 * alarm; a state goes on as if there had been no pause.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT "sentry"
#include "check.h"
#include "model/sentry.h"
#include "util/mem.h"

enum {
	P = 4, N = 1200, ROWS = 400, MACHINES = 3
};

static const uint8_t digest[32] = { 1, 2, 3 };
static struct ge_monitor m;
static double nominal[N * P], rows[MACHINES][ROWS * P];
static struct ge_err e;

static double
normal(void)
{
	double s = 0;
	int i;

	for (i = 0; i < 12; i++)
		s += draw_part();
	return (s - 6);
}

static void
process(double *x, size_t n)
{
	double f = 0;
	size_t i, j;

	for (i = 0; i < n; i++) {
		f = 0.8 * f + normal();
		for (j = 0; j < P; j++)
			x[i * P + j] = 50 + f * (double)(j + 1) +
			    0.3 * normal();
	}
}

static struct ge_sentry *
sentry(void)
{

	return (ge_sentry_new(&m, 10, digest, &e));
}

/* Row i of machine k, whose rows come again behind the last. */
static void
step(struct ge_sentry *s, size_t k, size_t i, const char *group,
    struct ge_sight *g)
{
	char time[32];
	struct ge_sentry_row r = { .x = rows[k] + i % ROWS * P,
	    .t = 10 * (double)i, .time = time, .group = group,
	    .grouplen = strlen(group) };

	r.timelen = (size_t)snprintf(time, sizeof(time), "t%zu", i);
	if (ge_sentry_step(s, &r, g, &e) == -1)
		check(0, "a step");
}

static int
same(const struct ge_sight *a, const struct ge_sight *b)
{
	size_t i;

	if (a->v.alarm != b->v.alarm || a->v.score != b->v.score ||
	    a->v.ncauses != b->v.ncauses || a->event != b->event ||
	    a->norder != b->norder)
		return (0);
	for (i = 0; i < a->v.ncauses; i++)
		if (a->v.cause[i].col != b->v.cause[i].col ||
		    a->v.cause[i].share != b->v.cause[i].share)
			return (0);
	return (a->event == GE_EVENT_NONE ||
	    (strcmp(a->since.time, b->since.time) == 0 &&
	    a->most == b->most));
}

static void
in_turns(void)
{
	static const char *const name[] = { "a", "b", "" };
	struct ge_sentry *all = sentry(), *alone[MACHINES];
	struct ge_sight x, y;
	size_t i, k, differ = 0, wrong = 0;

	for (k = 0; k < MACHINES; k++)
		alone[k] = sentry();
	for (i = 0; i < ROWS; i++)
		for (k = 0; k < MACHINES; k++) {
			step(all, k, i, name[k], &x);
			step(alone[k], k, i, "", &y);
			differ += !same(&x, &y);
			wrong += x.row != i * MACHINES + k + 1 ||
			    y.row != i + 1;
		}
	check(differ == 0, "in turns as each alone");
	check(wrong == 0, "rows are counted over all");
	check(ge_sentry_raised(all) == 1 && ge_sentry_raised(alone[1]) == 1 &&
	    ge_sentry_raised(alone[0]) == 0, "who has an alarm now");
	ge_sentry_free(all);
	for (k = 0; k < MACHINES; k++)
		ge_sentry_free(alone[k]);
}

static int
blamed(const struct ge_sight *g)
{

	return (g->norder > 0 && g->v.cause[g->order[0]].col == 2 &&
	    g->since.row >= 201 && g->since.row <= 203 &&
	    g->since.time[0] == 't' &&
	    atoi(g->since.time + 1) == (int)g->since.row - 1);
}

/* Machine 1 is off in variable 2 from row 200 on. */
static void
events(void)
{
	struct ge_sentry *s = sentry();
	struct ge_sight g;
	size_t i, n[4] = { 0 }, row = 0;
	int right = 0;

	for (i = 0; i < ROWS; i++) {
		step(s, 1, i, "", &g);
		if (g.event == GE_EVENT_NONE)
			continue;
		if (n[g.event]++ == 0 && g.event == GE_EVENT_BEGIN)
			row = i;
		right = blamed(&g);
	}
	check(n[GE_EVENT_BEGIN] == 1 && row >= 200 && row < 206 &&
	    n[GE_EVENT_END] == 0, "it begins once");
	check(right, "who was the first, and when");
	check(n[GE_EVENT_CHANGE] < 3, "and that stays so");
	/* Machine 0 is as it should be. */
	for (n[GE_EVENT_END] = 0, i = ROWS; i < 2 * ROWS; i++) {
		step(s, 0, i, "", &g);
		n[GE_EVENT_END] += g.event == GE_EVENT_END;
	}
	check(n[GE_EVENT_END] == 1 && ge_sentry_raised(s) == 0,
	    "and ends once");
	ge_sentry_free(s);
}

/* Behind a fault, rows that do not follow are as if they were the first. */
static void
anew(void)
{
	struct ge_sentry *s, *alone;
	struct ge_sight x, y;
	size_t i, k, from, differ = 0, ends = 0;

	for (k = 0; k < 2; k++) {
		s = sentry();
		alone = sentry();
		for (i = 0; i < ROWS; i++)
			step(s, 1, i, "", &x);
		check(ge_sentry_raised(s) == 1, "a fault");
		if (k == 0)
			ge_sentry_break(s);
		from = k == 0 ? ROWS : 2 * ROWS;
		for (i = from; i < from + ROWS; i++) {
			step(s, 0, i, "", &x);
			step(alone, 0, i, "", &y);
			ends += i == from && x.event == GE_EVENT_END;
			differ += x.v.score != y.v.score ||
			    x.v.alarm != y.v.alarm ||
			    (i > from && x.event != y.event);
		}
		ge_sentry_free(s);
		ge_sentry_free(alone);
	}
	check(differ == 0, "another table or a gap: as alone");
	check(ends == 2, "and what was before has ended");
}

/* Saved and resumed behind each row. */
static void
pauses(void)
{
	struct ge_sentry *s = sentry(), *t = sentry(), *next;
	struct ge_sight x, y;
	uint8_t *a, *b;
	size_t i, k, na, nb, differ = 0;

	for (i = 150; i < 260; i++)
		for (k = 0; k < 2; k++) {
			step(s, k, i, k ? "b" : "a", &x);
			step(t, k, i, k ? "b" : "a", &y);
			differ += !same(&x, &y);
			ge_sentry_save(t, &a, &na, &e);
			ge_sentry_free(t);
			next = sentry();
			if (ge_sentry_resume(next, a, na, &e) == -1)
				differ++;
			ge_sentry_save(next, &b, &nb, &e);
			differ += na != nb || memcmp(a, b, na) != 0;
			t = next;
			ge_free(a);
			ge_free(b);
		}
	check(differ == 0, "a pause behind each row changes nothing");
	check(ge_sentry_alarms(s) > 50 &&
	    ge_sentry_alarms(s) == ge_sentry_alarms(t), "alarms are counted");
	ge_sentry_free(s);
	ge_sentry_free(t);
}

static void
gaps(void)
{
	struct ge_sentry_row r = { .x = rows[0], .time = "", .group = "" };
	struct ge_sight g;
	struct ge_sentry *s = sentry();
	static const struct { double t; int follows; } at[] = {
		{ 1000, 0 }, { 1010, 1 }, { 1060, 1 }, { 1111, 0 },
		{ 1111, 1 }, { 1110, 0 }, { NAN, 1 }, { 1120, 1 },
		{ 1e300, 0 }, { -1e300, 0 }
	};
	size_t i, k, bad_rows = 0;

	/* A row that follows has a score; behind another it takes lags + 2. */
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		r.t = at[i].t;
		(void)ge_sentry_step(s, &r, &g, &e);
		bad_rows += (g.v.score > 0) != at[i].follows && i > m.lags + 1;
		for (k = 0; !at[i].follows && k < m.lags + 2; k++)
			(void)ge_sentry_step(s, &r, &g, &e);
	}
	check(bad_rows == 0, "gaps and times that run backwards");
	ge_sentry_break(s);
	(void)ge_sentry_step(s, &r, &g, &e);
	check(g.v.score == 0, "a break is a gap");
	ge_sentry_free(s);
}

static void
refusals(void)
{
	static const uint8_t other[32] = { 9 };
	struct ge_sentry *s = sentry(), *t;
	struct ge_sight g;
	uint8_t *buf;
	size_t i, len, taken = 0;

	step(s, 0, 0, "one", &g);
	ge_sentry_save(s, &buf, &len, &e);
	for (i = 0; i < len; i++) {
		t = sentry();
		taken += ge_sentry_resume(t, buf, i, &e) == 0 ||
		    e.code != GE_EREFUSED;
		ge_sentry_free(t);
		t = sentry();
		buf[i] ^= 1;
		taken += ge_sentry_resume(t, buf, len, &e) == 0 ||
		    e.code != GE_EREFUSED;
		buf[i] ^= 1;
		ge_sentry_free(t);
	}
	check(taken == 0, "cut or with a bit turned, it is refused");
	t = ge_sentry_new(&m, 10, other, &e);
	check(ge_sentry_resume(t, buf, len, &e) == -1 &&
	    e.code == GE_EREFUSED &&
	    strcmp(e.msg, "the state of another model") == 0,
	    "and of another model");
	ge_sentry_free(t);
	ge_sentry_free(s);
	ge_free(buf);
}

/* Who comes back too late is a stranger. */
static void
crowd(void)
{
	struct ge_sentry *s = sentry();
	struct ge_sight g;
	char name[300];
	size_t i;

	for (i = 0; i < 10; i++)
		step(s, 0, i, "early", &g);
	check(g.v.score > 0, "one is watched");
	for (i = 0; i < GE_SENTRY_GROUPS - 1; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		step(s, 1, i % ROWS, name, &g);
	}
	step(s, 0, 10, "early", &g);
	check(g.v.score > 0, "among as many as there is room for");
	for (i = 0; i < 2 * GE_SENTRY_GROUPS; i++) {
		snprintf(name, sizeof(name), "more %zu", i);
		step(s, 1, i % ROWS, name, &g);
	}
	step(s, 0, 11, "early", &g);
	check(g.v.score == 0, "among more it is forgotten");
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (i = 0; i < 10; i++)
		step(s, 0, i, name, &g);
	check(g.v.score > 0, "a long name");
	name[sizeof(name) - 2] = 'y';
	step(s, 0, 10, name, &g);
	check(g.v.score == 0, "and one that differs at its end");
	ge_sentry_free(s);
}

/* Variable 1 is lost for a while, all are in one row; told once each. */
static void
lost(void)
{
	struct ge_sentry_row r = { .t = NAN, .time = "", .group = "" };
	struct ge_sentry *s = sentry(), *t;
	struct ge_sight g;
	double x[P];
	uint8_t *buf;
	size_t i, k, len, wrong = 0;

	for (i = 0; i < 3 * GE_SENTRY_GONE; i++) {
		memcpy(x, rows[0] + i * P, sizeof(x));
		if (i >= 10 && i < 10 + 2 * GE_SENTRY_GONE)
			x[1] = i % 2 ? NAN : INFINITY;
		for (k = 0; i == 50 && k < P; k++)
			x[k] = NAN;
		r.x = x;
		(void)ge_sentry_step(s, &r, &g, &e);
		wrong += g.missing != (i == 50 ? P : isfinite(x[1]) ? 0 : 1);
		if (i == 9 + GE_SENTRY_GONE || i == 10 + 2 * GE_SENTRY_GONE)
			wrong += g.nturned != 1 || g.turned[0] != 1 ||
			    ge_sentry_gone(s, 1) != (i == 9 + GE_SENTRY_GONE);
		else
			wrong += g.nturned != 0;
		if (i % 50 != 0)
			continue;
		(void)ge_sentry_save(s, &buf, &len, &e);
		t = sentry();
		wrong += ge_sentry_resume(t, buf, len, &e) == -1;
		ge_free(buf);
		ge_sentry_free(s);
		s = t;
	}
	check(wrong == 0, "a variable is lost, and is back");
	ge_sentry_free(s);
}

int
main(void)
{
	struct ge_monitor_opts o;
	size_t i, k;

	process(nominal, N);
	for (k = 0; k < MACHINES; k++)
		process(rows[k], ROWS);
	for (i = 200; i < ROWS; i++)
		rows[1][i * P + 2] += 12;
	ge_monitor_opts_init(&o);
	o.jobs = 1;
	if (ge_monitor_fit(&m, nominal, N, P, &o, &e) == -1) {
		check(0, e.msg);
		return (1);
	}
	in_turns();
	events();
	anew();
	pauses();
	gaps();
	refusals();
	crowd();
	lost();
	ge_monitor_release(&m);
	return (bad);
}
