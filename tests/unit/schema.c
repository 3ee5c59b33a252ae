/*
 * lib/data/schema.c and bind.c: a schema of a table, written and read back, what is
 * refused, and further rows as it has them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/schema.h"
#include "util/mem.h"

#define UNIT "schema"
#include "check.h"

static const char table[] =
    "t,unit no,Air [K],colour,speed (rpm),y,w,born\n"
    "2024-01-01,7,300.5,red,1500,no,1,1970-01-01\n"
    "2024-01-02,8,301,blue,,yes,2,1980-01-01\n"
    "2024-01-03,x,301,red,1600,no,0.5,1990-01-01\n";

static const struct ge_roles roles = { "t", "unit no", "y", "w", NULL };

static const char *const passed[] = { "passed" };

static int
frame_of(struct ge_frame *f, const char *s, struct ge_err *e)
{
	struct ge_frame_opts o;

	ge_frame_opts_init(&o);
	if (strstr(s, passed[0]) != NULL) {
		o.skip = passed;
		o.nskip = 1;
	}
	ge_frame_init(f, &o);
	return (ge_frame_begin(f, "f", e) == -1 || ge_frame_push(f, s,
	    strlen(s), e) == -1 || ge_frame_end_table(f, e) == -1 ||
	    ge_frame_end(f, e) == -1 ? -1 : 0);
}

static int
schema_of(struct ge_schema *s, const char *text, const struct ge_roles *r,
    struct ge_err *e)
{
	struct ge_frame f;
	int rc;

	rc = frame_of(&f, text, e) == -1 ? -1 :
	    ge_schema_of(s, "monitor", &f, r, e);
	ge_frame_release(&f);
	return (rc);
}

static int
column_is(const struct ge_schema *s, size_t j, const char *name,
    const char *unit, enum ge_frame_type type, enum ge_role role,
    size_t nwords)
{
	const struct ge_schema_col *c = s->col + j;

	return (strcmp(c->name, name) == 0 && (unit == NULL ? c->unit == NULL :
	    c->unit != NULL && strcmp(c->unit, unit) == 0) &&
	    c->type == type && c->role == role && c->nwords == nwords);
}

static int
is_that(const struct ge_schema *s)
{

	return (strcmp(s->family, "monitor") == 0 && s->ncols == 8 &&
	    s->header && column_is(s, 0, "t", NULL, GE_FRAME_TIME,
	    GE_ROLE_TIME, 0) && column_is(s, 1, "unit no", NULL,
	    GE_FRAME_CATEGORY, GE_ROLE_GROUP, 0) &&
	    column_is(s, 2, "Air [K]", "K", GE_FRAME_NUMBER, GE_ROLE_INPUT,
	    0) && column_is(s, 3, "colour", NULL, GE_FRAME_CATEGORY,
	    GE_ROLE_INPUT, 2) && column_is(s, 4, "speed (rpm)", "rpm",
	    GE_FRAME_NUMBER, GE_ROLE_INPUT, 0) && column_is(s, 5, "y", NULL,
	    GE_FRAME_CATEGORY, GE_ROLE_TARGET, 2) && column_is(s, 6, "w",
	    NULL, GE_FRAME_NUMBER, GE_ROLE_WEIGHT, 0) && column_is(s, 7,
	    "born", NULL, GE_FRAME_TIME, GE_ROLE_NONE, 0));
}

static void
written(void)
{
	struct ge_schema s, t;
	struct ge_err e = { 0 };
	json_t *o, *all;
	char *text;

	if (schema_of(&s, table, &roles, &e) == -1) {
		check(0, e.msg);
		return;
	}
	check(is_that(&s) && strcmp(s.col[3].word[1], "blue") == 0 &&
	    ge_schema_find(&s, GE_ROLE_TARGET) == 5 &&
	    ge_schema_find(&s, GE_ROLE_MARK) == SIZE_MAX,
	    "types, roles, units and categories");
	o = ge_schema_json(&s);
	text = json_dumps(o, JSON_INDENT(1));
	check(ge_schema_parse(&t, (const uint8_t *)text, strlen(text), &all,
	    &e) == 0 && is_that(&t) && json_equal(o, all),
	    "read back as written");
	ge_schema_release(&t);
	json_decref(all);
	json_decref(o);
	free(text);
	ge_schema_release(&s);
}

static int
refused(const struct ge_roles *r, const char *text, int code,
    const char *msg)
{
	struct ge_schema s;
	struct ge_err e = { 0 };

	if (schema_of(&s, text, r, &e) == -1 && e.code == code &&
	    strcmp(e.msg, msg) == 0 && s.col == NULL)
		return (1);
	printf("# %d %s\n", e.code, e.msg);
	return (0);
}

static void
misused(void)
{
	static const struct ge_roles absent = { .target = "z" };
	static const struct ge_roles both = { .time = "a", .target = "a" };
	static const struct ge_roles word = { .time = "b" };
	static const struct ge_roles heavy = { .weight = "b" };
	static const struct ge_roles group = { .group = "a" };
	char text[1200] = "a,b\n1,x\n";

	check(refused(&absent, text, GE_EUSAGE, "-O target=: no column 'z'") &&
	    refused(&both, text, GE_EUSAGE,
	    "column 'a' cannot be time and target") && refused(&word, text,
	    GE_EUSAGE, "column 'b': neither times of ISO 8601 nor numbers: "
	    "'f:2:3': 'x'") &&
	    refused(&heavy, text, GE_EUSAGE, "column 'b': weights are numbers"),
	    "roles that cannot be");
	memset(text + 4, 'x', 1100);
	memcpy(text, "a\ny\n", 4);
	memcpy(text + 1104, "\n", 2);
	check(refused(&group, text, GE_EUSAGE, "column 'a': words too "
	    "long to be groups"), "text as a group");
}

static int
hostile(const char *text, const char *msg)
{
	struct ge_schema s;
	struct ge_err e = { 0 };
	json_t *all;

	if (ge_schema_parse(&s, (const uint8_t *)text, strlen(text), &all,
	    &e) == -1 && e.code == GE_EREFUSED && strcmp(e.msg, msg) == 0 &&
	    all == NULL && s.col == NULL && s.family == NULL)
		return (1);
	printf("# %s: %d %s\n", text, e.code, e.msg);
	return (0);
}

#define HEAD	"{\"getools\":1,\"family\":\"trees\",\"header\":true," \
	"\"width\":2,\"columns\":"
#define AT(p, n, t, r)	"{\"name\":" n ",\"place\":" p ",\"type\":" t \
	",\"role\":" r
#define COL(n, t, r)	AT("1", n, t, r)
#define COL2(n, t, r)	AT("2", n, t, r)

static void
damaged(void)
{

	check(hostile("", "line 1: '[' or '{' expected near end of file") &&
	    hostile("{}", "no schema of Getools") &&
	    hostile("[1]", "no schema of Getools") &&
	    hostile("{\"getools\":2,\"family\":7}",
	    "a schema of another version: 2") &&
	    hostile("{\"getools\":1}", "a schema without its family or header"),
	    "no schema, and one of another version");
	check(hostile(HEAD "[]}", "a schema without columns, or of too many") &&
	    hostile(HEAD "7}", "a schema without columns, or of too many") &&
	    hostile(HEAD "[7]}", "column 1 of the schema: no name") &&
	    hostile(HEAD "[" COL("\"a\"", "\"int\"", "\"input\"") "}]}",
	    "column 1 of the schema: no type that is known") &&
	    hostile(HEAD "[" COL("\"a\"", "\"number\"", "7") "}]}",
	    "column 1 of the schema: no role that is known") &&
	    hostile(HEAD "[" COL("\"a\"", "\"text\"", "\"input\"") "}]}",
	    "column 1 of the schema: a role that its type cannot have"),
	    "columns that are none");
	check(hostile(HEAD "[" COL("\"a\"", "\"number\"", "\"input\"")
	    ",\"unit\":1}]}",
	    "column 1 of the schema: a unit that is no text") &&
	    hostile(HEAD "[" COL("\"a\"", "\"number\"", "\"input\"")
	    ",\"categories\":[]}]}",
	    "column 1 of the schema: no list of categories") &&
	    hostile(HEAD "[" COL("\"a\"", "\"category\"", "\"input\"")
	    ",\"categories\":[\"x\",\"\"]}]}",
	    "column 1 of the schema: a category that is no text") &&
	    hostile(HEAD "[" COL("\"a\"", "\"category\"", "\"input\"")
	    ",\"categories\":[\"x\",\"y\",\"x\"]}]}",
	    "column 1 of the schema: a category twice"),
	    "units and categories that are none");
	check(hostile(HEAD "[" COL("\"a\"", "\"number\"", "\"input\"") "},"
	    COL2("\"a\"", "\"number\"", "\"none\"") "}]}",
	    "column 2 of the schema: a name twice") &&
	    hostile(HEAD "[" COL("\"a\"", "\"number\"", "\"time\"") "},"
	    COL2("\"b\"", "\"number\"", "\"time\"") "}]}",
	    "column 2 of the schema: a role twice"), "twice the same");
	check(hostile(HEAD "[" COL("\"a\"", "\"number\"", "\"input\"") "},"
	    COL("\"b\"", "\"number\"", "\"input\"") "}]}",
	    "column 2 of the schema: no place behind the column before") &&
	    hostile(HEAD "[" AT("-1", "\"a\"", "\"number\"", "\"input\"")
	    "}]}",
	    "column 1 of the schema: no place behind the column before") &&
	    hostile(HEAD "[" AT("3", "\"a\"", "\"number\"", "\"input\"")
	    "}]}", "a schema whose width cannot be"), "places that cannot be");
}

/* Rows of a table by the schema, each value as text. */
struct rows {
	struct ge_bind b;
	struct ge_table t;
	char text[1024];
	int bound;
};

static int
take(void *arg, const struct ge_row *row, struct ge_err *e)
{
	struct rows *r = arg;
	double v[8];
	char s[32];
	size_t j;

	if (!r->bound && ge_bind_table(&r->b, &r->t, e) == -1)
		return (-1);
	r->bound = 1;
	if (ge_bind_row(&r->b, row, v, e) == -1)
		return (-1);
	for (j = 0; j < r->b.s->ncols; j++) {
		snprintf(s, sizeof(s), isnan(v[j]) ? "-|" : "%.17g|", v[j]);
		strcat(r->text, s);
	}
	strcat(r->text, "/");
	return (0);
}

enum {
	TAIL = 1 << 30			/* the end of a table, maybe no names */
};

static int
rows_of(struct rows *r, const struct ge_schema *s, unsigned int want,
    const char *text, struct ge_err *e)
{
	struct ge_table_opts o;
	char *known[8];
	int rc;

	memset(r, 0, sizeof(*r));
	ge_table_opts_init(&o);
	if (want == TAIL) {
		want = 0;
		for (; o.nknown < s->ncols; o.nknown++)
			known[o.nknown] = s->col[o.nknown].name;
		o.known = known;
		o.width = s->width;
	}
	if (ge_bind_init(&r->b, s, want, e) == -1 || ge_table_init(&r->t, &o,
	    "g", take, r, e) == -1)
		return (-1);
	rc = ge_table_push(&r->t, text, strlen(text), e) == -1 ||
	    ge_table_end(&r->t, e) == -1 ? -1 : 0;
	ge_table_release(&r->t);
	return (rc);
}

static int
bound(const struct ge_schema *s, const char *text, const char *want,
    uint64_t unseen)
{
	struct ge_err e = { 0 };
	struct rows r;
	int good;

	good = rows_of(&r, s, 0, text, &e) == 0 && strcmp(r.text, want) == 0 &&
	    r.b.unseen == unseen;
	if (!good)
		printf("# %s (%s)\n", r.text, e.msg);
	ge_bind_release(&r.b);
	return (good);
}

static int
unfit(const struct ge_schema *s, unsigned int want, const char *text,
    const char *msg)
{
	struct ge_err e = { 0 };
	struct rows r;
	int good;

	good = rows_of(&r, s, want, text, &e) == -1 && e.code ==
	    GE_EREFUSED && strcmp(e.msg, msg) == 0;
	if (!good)
		printf("# %s\n", e.msg);
	ge_bind_release(&r.b);
	return (good);
}

static void
bindings(void)
{
	static const struct ge_roles r = { .time = "t", .target = "y" };
	static const char text[] = "a,t,k,y\n1,2024-01-01,red,no\n"
	    "2,2024-01-02,2.50,yes\n";
	struct ge_schema s;
	struct ge_err e = { 0 };

	if (schema_of(&s, text, &r, &e) == -1) {
		check(0, e.msg);
		return;
	}
	check(bound(&s, "k;other;a\nred;7;5\n2.5;x;NA\n",
	    "5|-|0|-|/-|-|1|-|/", 0), "columns in another order, others passed "
	    "over");
	check(bound(&s, "a,k,t,y\n1,blue,1970-01-02,maybe\n,,,\n",
	    "1|86400|-|-|/-|-|-|-|/", 1),
	    "a word never seen is missing and counted");
	check(unfit(&s, 0, "a,t\n1,2\n",
	    "'g': no column 'k', which the model reads") &&
	    unfit(&s, 1u << GE_ROLE_TIME, "a,k\n1,red\n",
	    "'g': no column 't', which the model reads"),
	    "a column that is missing");
	check(unfit(&s, 0, "a,k\n1,red\nx,red\n",
	    "'g:3:1': 'x' where column 'a' has numbers") &&
	    unfit(&s, 0, "a,k,t\n1,red,7\n",
	    "'g:2:7': '7' where column 't' has times") &&
	    unfit(&s, 0, "a;k\n1,5;red\n",
	    "'g:2:1': '1,5' where column 'a' has numbers"),
	    "a word where numbers belong");
	ge_schema_release(&s);
}

/* The end of a table that is still written: no names, but as many columns. */
static void
tails(void)
{
	static const struct ge_roles r = { .target = "y" };
	struct ge_schema s;
	struct ge_err e = { 0 };
	struct rows got;
	char want[] = "1|2|-|/";

	if (schema_of(&s, "passed,a,b,y\nx,1,2,no\n", &r, &e) == -1) {
		check(0, e.msg);
		return;
	}
	check(s.ncols == 3 && s.width == 4 && s.col[0].place == 2 &&
	    rows_of(&got, &s, TAIL, "word,1,2,other\n", &e) == 0 &&
	    strcmp(got.text, want) == 0, "columns without names by place");
	ge_bind_release(&got.b);
	check(rows_of(&got, &s, TAIL, "b,z,y,a\n2,7,,1\n", &e) == 0 &&
	    strcmp(got.text, want) == 0, "a known name makes a header");
	ge_bind_release(&got.b);
	check(rows_of(&got, &s, TAIL, "1,2,3\n", &e) == 0 && got.bound == 0,
	    "and another width");
	ge_bind_release(&got.b);
	check(rows_of(&got, &s, TAIL, "1,2,3\n4,5,6\n", &e) == -1 &&
	    strcmp(e.msg, "'g': no column 'a', which the model reads") == 0,
	    "which has not what is read");
	ge_bind_release(&got.b);
	ge_schema_release(&s);
}

/* Groups are compared: numbers by value, words by what they are. */
static void
groups(void)
{
	static const struct ge_roles r = { .group = "g" };
	struct ge_schema s;
	struct ge_err e = { 0 };
	struct rows got;
	double a, b, c;

	if (schema_of(&s, "g,a\nu1,1\nu2,2\n", &r, &e) == -1) {
		check(0, e.msg);
		return;
	}
	check(rows_of(&got, &s, 0, "a,g\n1,u9\n1,u8\n1,u9\n", &e) == 0 &&
	    sscanf(got.text, "%lf|1|/%lf|1|/%lf|1|/", &a, &b, &c) == 3 &&
	    a >= c && a <= c && (a < b || a > b) && floor(a) >= a,
	    "groups never seen are told apart");
	ge_bind_release(&got.b);
	ge_schema_release(&s);
}

/* Each allocation failing in turn, in a process of its own. */
static int
starve(const char *i)
{
	struct ge_schema s;
	struct ge_err e = { 0 };
	struct rows r;

	setenv("GE_FAILALLOC", i, 1);
	memset(&r, 0, sizeof(r));
	if (schema_of(&s, table, &roles, &e) == -1)
		return (e.code);
	if (rows_of(&r, &s, 0, "colour,speed (rpm),Air [K]\nred,1,2\n", &e) ==
	    0)
		e.code = 0;
	ge_bind_release(&r.b);
	ge_schema_release(&s);
	return (e.code);
}

static void
starved(void)
{
	char number[24];
	int i, status, seen = 0, good = 1;

	for (i = 1; i < 120 && good; i++) {
		fflush(stdout);
		snprintf(number, sizeof(number), "%d", i);
		switch (fork()) {
		case -1:
			good = 0;
			continue;
		case 0:
			_exit(starve(number));
		}
		if (wait(&status) == -1 || !WIFEXITED(status))
			good = 0;
		else if (WEXITSTATUS(status) == GE_EFAIL)
			seen++;
		else if (WEXITSTATUS(status) != 0)
			good = 0;
	}
	check(good && seen > 30, "each allocation may fail");
}

int
main(void)
{

	starved();
	written();
	misused();
	damaged();
	bindings();
	tails();
	groups();
	return (bad);
}
