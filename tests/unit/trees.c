/*
 * lib/model/trees*.c: how rows are dealt to folds, what a target is taken for, and that
 * the meaning of a model is read as it was written.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/frame.h"
#include "model/trees_int.h"
#include "util/hook.h"
#include "util/mem.h"

#define UNIT "trees"
#include "check.h"

enum {
	N = 400
};

static struct ge_frame frame;
static struct ge_trees t;
static char warning[512], error[512];

static void
note(int level, const char *line)
{

	(void)level;
	snprintf(warning, sizeof(warning), "%s", line);
}

/* A table of N rows whose last columns are as fn writes them. */
static int
table(const char *header, int (*fn)(char *out, size_t cap, size_t i))
{
	struct ge_frame_opts o;
	struct ge_err e;
	char line[256];
	size_t i;

	ge_frame_opts_init(&o);
	ge_frame_init(&frame, &o);
	if (ge_frame_begin(&frame, "t", &e) == -1 ||
	    ge_frame_push(&frame, header, strlen(header), &e) == -1)
		return (-1);
	for (i = 0; i < N; i++)
		if (ge_frame_push(&frame, line, (size_t)fn(line, sizeof(line),
		    i), &e) == -1)
			return (-1);
	return (ge_frame_end_table(&frame, &e) == -1 ? -1 :
	    ge_frame_end(&frame, &e));
}

static int
open_trees(const struct ge_roles *r, const struct ge_trees_opts *o)
{
	struct ge_err e = { 0 };

	warning[0] = '\0';
	if (ge_trees_open(&t, &frame, r, o, &e) == 0)
		return (0);
	printf("# %s\n", e.msg);
	snprintf(error, sizeof(error), "%s", e.code == GE_EUSAGE ? e.msg : "");
	return (-1);
}

static void
done(void)
{

	ge_trees_release(&t);
	ge_frame_release(&frame);
}

/* a: number; c: a in 10 rows, b in 90, then c; g: groups of 7; t: backwards. */
static int
row(char *out, size_t cap, size_t i)
{

	return (snprintf(out, cap, "%u,%s,%zu,%d,%.3f\n", draw(100),
	    i < 10 ? "a" : i < 100 ? "b" : "c", i / 7, N - (int)i / 2,
	    draw_part()));
}

static const char header[] = "x,c,g,t,y\n";

/* Rows of class k in fold f, and the size of the fold. */
static void
count(int f, size_t *of, size_t *all)
{
	size_t i;

	memset(of, 0, 3 * sizeof(*of));
	for (*all = i = 0; i < t.n; i++)
		if (t.fold[i] == f) {
			(*all)++;
			of[(size_t)t.y[i]]++;
		}
}

static void
test_rows(void)
{
	struct ge_roles r = { .target = "c" };
	struct ge_trees_opts o;
	size_t of[3], all;
	int f, good;

	ge_trees_opts_init(&o);
	good = table(header, row) == 0 && open_trees(&r, &o) == 0 &&
	    t.folds == 5 && t.nheld == N && t.meaning.k == 3 &&
	    strcmp(t.meaning.word[0], "a") == 0 && warning[0] == '\0';
	for (f = 0; good && f < 5; f++) {
		count(f, of, &all);
		good = of[0] == 2 && of[1] == 18 && of[2] == 60;
	}
	check(good, "each fold has its share of every class");
	done();
	o.hold = 0.25;
	good = table(header, row) == 0 && open_trees(&r, &o) == 0;
	if (good)
		count(0, of, &all);
	check(good && of[0] == 3 && of[1] == 23 && of[2] == 75,
	    "and so has one part");
	done();
	o.hold = 0;
	o.folds = 20;
	good = table(header, row) == 0 && open_trees(&r, &o) == 0;
	check(good && strstr(warning, "class 'a' is in 10 rows, for 20 folds") !=
	    NULL, "a class that is rarer than folds is told");
	done();
}

static void
test_groups(void)
{
	struct ge_roles r = { .target = "c", .group = "g" };
	struct ge_trees_opts o;
	size_t of[3], all, i;
	int good, f;

	ge_trees_opts_init(&o);
	good = table(header, row) == 0 && open_trees(&r, &o) == 0 &&
	    t.nunits == 58 && t.nheld == N;
	for (i = 1; good && i < N; i++)
		good = t.unit[i] != t.unit[i - 1] || t.fold[i] == t.fold[i - 1];
	check(good, "a group is in one fold");
	for (f = 0; good && f < 5; f++) {
		count(f, of, &all);
		good = all > 65 && all < 95 && of[1] >= 7;
	}
	check(good, "folds of groups are alike");
	done();
}

static void
test_time(void)
{
	struct ge_roles r = { .target = "y", .time = "t" };
	struct ge_trees_opts o;
	size_t i, j, never = 0;
	int good;

	ge_trees_opts_init(&o);
	o.folds = 4;
	good = table(header, row) == 0 && open_trees(&r, &o) == 0 &&
	    t.forward && t.meaning.k == 0;
	for (i = 0; good && i < N; i++) {
		never += t.fold[i] == -1;
		for (j = 0; good && j < N; j++)
			if (frame.v[i * 5 + 3] <= frame.v[j * 5 + 3])
				good = t.fold[i] <= t.fold[j];
	}
	check(good && never == 80, "blocks of time, the first never held out");
	check(good && ge_trees_learns(&t, N - 1, 0) &&
	    !ge_trees_learns(&t, 0, 3) && !ge_trees_learns(&t, 0, 0) &&
	    ge_trees_learns(&t, 0, -1), "a fold learns from what is before it");
	done();
}

/* g: 5 groups, each of a class of its own; h: 2, of which the second has no target. */
static int
pure(char *out, size_t cap, size_t i)
{

	return (snprintf(out, cap, "%u,c%zu,%zu,%s,%zu,%zu\n", draw(100), i / 80,
	    i / 80, i < 200 ? i % 2 ? "u" : "v" : "", i / 200, i / 133));
}

/* Each fold holds out some rows and learns from two or more. */
static int
folds_are_whole(void)
{
	size_t held, learnt, i;
	int f;

	for (f = 0; f < t.folds; f++) {
		for (held = learnt = i = 0; i < t.n; i++) {
			held += t.fold[i] == f;
			learnt += ge_trees_learns(&t, i, f) != 0;
		}
		if (held == 0 || learnt < 2)
			return (0);
	}
	return (t.folds > 0);
}

/* How many folds there are of pure rows, or 0. */
static int
deal_pure(const char *target, const char *group, const char *time,
    double hold)
{
	struct ge_roles r = { .target = target, .group = group, .time = time };
	struct ge_trees_opts o;
	int n = 0;

	ge_trees_opts_init(&o);
	o.hold = hold;
	error[0] = '\0';
	if (table("x,c,g,y,h,year\n", pure) == 0 && open_trees(&r, &o) == 0 &&
	    folds_are_whole())
		n = t.folds;
	return (n);
}

static void
test_whole(void)
{
	static const double share[] = { 0.001, 0.2, 0.4, 0.6, 0.7, 0.9 };
	size_t i;
	int good;

	check(deal_pure("c", "g", NULL, 0) == 5,
	    "groups of one class each are in as many folds");
	done();
	check(deal_pure("y", "h", NULL, 0) == 0 && strstr(error,
	    "one group") != NULL, "a group without targets is none");
	done();
	check(deal_pure("x", NULL, "year", 0) == 3 && t.nheld == 267,
	    "of four times three are held out");
	done();
	check(deal_pure("x", NULL, "h", 0) == 1 && t.nheld == 200,
	    "of two times one");
	done();
	for (good = 1, i = 0; i < sizeof(share) / sizeof(*share); i++) {
		good = deal_pure("x", "g", NULL, share[i]) == 1 && good;
		good = good && fabs((double)t.nheld - 400 * share[i]) <= 80;
		done();
	}
	check(good, "groups held out once are of the share asked for");
	check(deal_pure("c", NULL, NULL, 0.9) == 1 && t.nheld == 360,
	    "most rows held out once");
	done();
	check(deal_pure("c", NULL, NULL, 0.999) == 1 && t.nheld == 395,
	    "one row of each class is learnt from");
	done();
	check(deal_pure("x", NULL, NULL, 0.001) == 0 && error[0] != '\0',
	    "a share that holds out nothing is refused");
	done();
	check(deal_pure("c", NULL, "x", 0.001) == 0 && error[0] != '\0',
	    "and so with times");
	done();
}

/* y is missing in every tenth row; w as it must not count. */
static int
weighty(char *out, size_t cap, size_t i)
{

	return (i % 10 == 3 ? snprintf(out, cap, "%u,,1\n", draw(9)) :
	    snprintf(out, cap, "%u,%d,%d\n", draw(9), i % 4 == 0,
	    i % 4 == 0 ? 1 : 2));
}

static void
test_weights(void)
{
	struct ge_roles r = { .target = "y", .weight = "w" };
	struct ge_trees_opts o;
	double sum[2] = { 0, 0 };
	size_t i;
	int good;

	ge_trees_opts_init(&o);
	o.balance = 1;
	good = table("x,y,w\n", weighty) == 0 && open_trees(&r, &o) == 0 &&
	    t.dropped == 40 && t.nheld == 360 && t.meaning.k == 2 &&
	    strcmp(t.meaning.word[1], "1") == 0;
	for (i = 0; good && i < N; i++) {
		good = (t.wfit[i] > 0) == (i % 10 != 3) && (t.fold[i] >= 0) ==
		    (i % 10 != 3);
		sum[(size_t)t.y[i]] += (double)t.wfit[i];
	}
	check(good && fabs(sum[0] / sum[1] - 1) < 1e-4,
	    "balanced classes weigh the same; no target, no weight");
	done();
}

static void
test_meaning(void)
{
	struct ge_roles r = { .target = "c" };
	struct ge_trees_opts o;
	struct ge_trees_meaning m;
	struct ge_err e = { 0 };
	json_t *all;
	int good;

	ge_trees_opts_init(&o);
	o.rounds = 5;
	good = table(header, row) == 0 && open_trees(&r, &o) == 0 &&
	    ge_trees_fit(&t, &e) == 0;
	all = json_pack("{s:o?}", "trees", good ?
	    ge_trees_meaning_json(&t.meaning) : NULL);
	good = good && ge_trees_meaning_parse(&m, all, &e) == 0;
	check(good && m.k == 3 && strcmp(m.word[2], "c") == 0 &&
	    m.calibration.kind == t.meaning.calibration.kind &&
	    m.conformal.kind == GE_CONFORMAL_SETS && m.decide.k == 3,
	    "a meaning is read as it was written");
	if (good)
		ge_trees_meaning_release(&m);
	json_decref(all);
	done();
	all = json_pack("{s:{s:s}}", "trees", "task", "ranks");
	check(ge_trees_meaning_parse(&m, all, &e) == -1 && e.code ==
	    GE_EREFUSED, "a task that there is not");
	json_decref(all);
}

/* The round of one curve is read off the others. */
static void
test_rounds(void)
{
	double a[] = { 9, 5, 6 }, b[] = { 8, 7, 4, 3, 5 }, c[] = { 6, 8 }, loss;
	struct ge_trees_curve k[] = {
		{ .sum = a, .n = 3, .weight = 3 },
		{ .sum = b, .n = 5, .weight = 1 },
		{ .sum = c, .n = 2, .weight = 2 },
		{ .n = 0 }
	};

	/* All: 23 20 18 17 19; without b: 15 13 14. */
	check(ge_trees_rounds(k, 4, SIZE_MAX, &loss) == 4 && loss == 17.0 / 6,
	    "the round that is best for all curves");
	check(ge_trees_rounds(k, 4, 1, &loss) == 2 && loss == 13.0 / 5,
	    "the round that is best for the others");
	check(ge_trees_rounds(k, 4, 0, &loss) == 4 && loss == 11.0 / 3,
	    "a curve that has stopped keeps its last value");
	check(ge_trees_rounds(k, 1, 0, &loss) == 1, "no other curve");
}

static int
noise(char *out, size_t cap, size_t i)
{

	if (i >= 80)
		return (0);
	return (snprintf(out, cap, "%.4f,%.4f,%.4f,%.4f,%s,%.4f\n", draw_part(),
	    draw_part(), draw_part(), draw_part(), draw(2) ? "p" : "q",
	    draw_part()));
}

/* The mean of what is told of 20 tables where the target follows from nothing. */
static double
told_of_noise(const char *target, int score, double hold)
{
	struct ge_roles r = { .target = target };
	struct ge_trees_opts o;
	struct ge_err e = { 0 };
	double sum = 0;
	int i;

	ge_trees_opts_init(&o);
	o.hold = hold;
	for (i = 0; i < 20; i++) {
		if (table("a,b,c,d,k,y\n", noise) == 0 &&
		    open_trees(&r, &o) == 0 && ge_trees_fit(&t, &e) == 0)
			sum += t.score[2].value[score];
		else
			sum = NAN;
		done();
	}
	return (sum / 20);
}

static void
test_noise(void)
{
	double folds = told_of_noise("k", GE_SCORE_AUC, 0);
	double r2 = told_of_noise("y", GE_SCORE_R2, 0);
	double part = told_of_noise("k", GE_SCORE_AUC, 0.5);

	printf("# AUC %.3f, of one part %.3f, R2 %.3f\n", folds, part, r2);
	check(fabs(folds - 0.5) <= 0.03, "of noise nothing is foretold");
	check(fabs(part - 0.5) <= 0.05, "nor of one part held out");
	check(r2 < 0, "nor are numbers");
}

static int
far(char *out, size_t cap, size_t i)
{

	return (snprintf(out, cap, "%zu,%.1f\n", i, i % 10 == 3 ? NAN :
	    2e6 + 0.5 * (double)i));
}

static int
tiny(char *out, size_t cap, size_t i)
{

	return (snprintf(out, cap, "%zu,%zue-30\n", i, i));
}

static void
test_shift(void)
{
	struct ge_roles r = { .target = "y" };
	struct ge_trees_opts o;
	struct ge_trees_meaning m = { 0 };
	struct ge_err e = { 0 };
	json_t *all;
	double sum = 0;
	size_t i;
	int good;

	ge_trees_opts_init(&o);
	good = table("x,y\n", far) == 0 && open_trees(&r, &o) == 0 &&
	    t.meaning.k == 0;
	for (i = 0; good && i < N; i++) {
		sum += (double)t.wfit[i] * t.y[i];
		good = !(t.wfit[i] > 0) || fabs(t.y[i] + t.meaning.shift -
		    2e6 - 0.5 * (double)i) < 1e-9;
	}
	check(good && fabs(sum / 360) < 0.125 && t.meaning.shift > 2e6,
	    "numbers far from 0 are learnt less their mean");
	all = json_pack("{s:o}", "trees", ge_trees_meaning_json(&t.meaning));
	check(ge_trees_meaning_parse(&m, all, &e) == 0 && fabs(m.shift -
	    t.meaning.shift) <= 0, "a shift is read as it was written");
	json_object_set_new(json_object_get(all, "trees"), "shift",
	    json_real(1e300));
	check(ge_trees_meaning_parse(&m, all, &e) == -1 && e.code ==
	    GE_EREFUSED, "a shift that cannot be");
	json_decref(all);
	done();
	good = table("x,y\n", tiny);
	check(good == 0 && ge_trees_open(&t, &frame, &r, &o, &e) == -1 &&
	    e.code == GE_EUSAGE, "what varies too little to be learnt");
	done();
}

/* Limits that are over at once: a round of each, and it is said. */
static void
test_limits(void)
{
	struct ge_roles r = { .target = "y" };
	struct ge_trees_opts o;
	struct ge_err e = { 0 };
	int good;

	ge_trees_opts_init(&o);
	o.minutes = 1e-9;
	o.combine = 8;
	good = table("a,b,c,d,k,y\n", noise) == 0 && open_trees(&r, &o) == 0 &&
	    ge_trees_fit(&t, &e) == 0;
	check(good && t.rounds == 1 && strcmp(t.stopped, "minutes") == 0,
	    "no time for more than a round");
	check(strcmp(warning, "-O minutes= cut short proposals and folds: "
	    "1 round") == 0, "and it is said");
	done();
}

int
main(void)
{

	ge_note_open(note);
	test_rows();
	test_groups();
	test_time();
	test_whole();
	test_weights();
	test_meaning();
	test_rounds();
	test_noise();
	test_shift();
	test_limits();
	return (bad);
}
