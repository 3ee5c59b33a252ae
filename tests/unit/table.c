/*
 * lib/data/table.c and decimal.c: numbers and times as the C library has them, tables
 * by hand, and the same rows however the bytes come.
 */
#define _DEFAULT_SOURCE			/* timegm */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/decimal.h"
#include "data/table.h"
#include "util/mem.h"

static int bad;

static void
check(int good, const char *name)
{

	printf("%s table: %s\n", good ? "ok" : "not ok", name);
	bad |= !good;
}

static uint64_t
draw(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (x);
}

static int
as_strtod(const char *s)
{
	double x = 1, want;
	const char *p;
	char *end;

	want = strtod(s, &end);
	p = ge_decimal(s, &x);
	if (p == end && memcmp(&x, &want, sizeof(x)) == 0)
		return (1);
	printf("# %s: %.17g, not %.17g\n", s, x, want);
	return (0);
}

static void
decimals(void)
{
	static const char *const fixed[] = {
		"0", "-0", "+0.0", "1", "-1.", ".5", "1e3", "1E+3", "1e-3",
		"9007199254740993", "9007199254740992.5", "9223372036854775807",
		"9223372036854775808", "18446744073709551615",
		"9999999999999999999", "10000000000000000000",
		"123456789012345678901234567890", "0.1", "0.3", "2.5e22",
		"1e22", "1e23", "8.5e-27", "8.5e-28", "9999999999999999999e27",
		"9999999999999999999e-27", "1e308", "1.7976931348623157e308",
		"1e309", "-1e999999999999", "1e-324", "4.9e-324", "2.4e-324",
		"1e-999999999999", "2.2250738585072011e-308",
		"0.000000000000000000000000000000000001",
		"0000000000000000000000000000000000000012", "1e", "1e+", "1.e2",
		"9007199254740993e-5", "4503599627370497.5",
		"4503599627370496.5", "36028797018963966e0",
		"0.00000000000000000000000000000000000000000000000000000e9"
	};
	char s[64];
	union { uint64_t u; double d; } x;
	size_t i;
	int good = 1;
	double d;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		good &= as_strtod(fixed[i]);
	check(good, "numbers as strtod reads them");
	for (i = 0; i < 300000 && good; i++) {
		x.u = draw();
		if (!isfinite(x.d))
			continue;
		snprintf(s, sizeof(s), "%.*g", (int)(draw() % 20), x.d);
		good &= as_strtod(s);
		snprintf(s, sizeof(s), "%.*f", (int)(draw() % 12),
		    (double)(int64_t)draw() / (double)(1ll << draw() % 62));
		good &= as_strtod(s);
		snprintf(s, sizeof(s), "%" PRIu64 "e%d", draw() >>
		    draw() % 60, (int)(draw() % 70) - 35);
		good &= as_strtod(s);
		/* halves between neighbours, of 54 bits */
		snprintf(s, sizeof(s), "%" PRIu64 ".5", ((uint64_t)1 << 52) +
		    draw() % ((uint64_t)1 << 52));
		good &= as_strtod(s);
	}
	check(good, "a million of them drawn");
	check(ge_decimal("", &d) == NULL && ge_decimal("-", &d) == NULL &&
	    ge_decimal(".", &d) == NULL && ge_decimal("e5", &d) == NULL &&
	    ge_decimal("inf", &d) == NULL && ge_decimal(" 1", &d) == NULL,
	    "and what is none");
}

static void
instants(void)
{
	static const char *const none[] = {
		"", "2024", "2024-1-1", "2024-13-01", "2024-00-10",
		"2023-02-29", "2100-02-29", "2024-01-01T", "2024-01-01T24:00",
		"2024-01-01T10", "2024-01-01T10:60", "2024-01-01T10:00:61",
		"2024-01-01T10:00:00.", "2024-01-01T10:00:00+", "20240101",
		"2024-01-01T10:00:00Z1", "2024-01-01 10:00:00 ", "24-01-01",
		"2024-01-01T10:00:00+24:00", "2024/01/01"
	};
	struct tm tm;
	char s[64];
	double x, y;
	size_t i;
	int good = 1;
	time_t t;

	for (i = 0; i < 20000 && good; i++) {
		t = (time_t)(draw() % 8000000000u) - 2000000000;
		good &= gmtime_r(&t, &tm) != NULL;
		strftime(s, sizeof(s), i % 2 ? "%Y-%m-%dT%H:%M:%SZ" :
		    "%Y-%m-%d %H:%M:%S", &tm);
		good &= ge_instant(s, strlen(s), &x) == 0 && x == (double)t;
	}
	check(good, "times as gmtime writes them");
	check(ge_instant("2024-02-29", 10, &x) == 0 && x == 1709164800 &&
	    ge_instant("2024-03-01T10:15:02.25+01:00", 28, &x) == 0 &&
	    ge_instant("2024-03-01T09:15:02.25", 22, &y) == 0 && x == y &&
	    x - floor(x) == 0.25 &&
	    ge_instant("2024-03-01T04:45-0430", 21, &y) == 0 &&
	    y == floor(x) - 2, "fractions and offsets");
	for (good = 1, i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (ge_instant(none[i], strlen(none[i]), &x) == 0) {
			printf("# taken: %s\n", none[i]);
			good = 0;
		}
	check(good, "and what is none");
}

/* Rows as text: cells between bars, n12 a number, t a text, - missing. */
struct page {
	char text[4096];
	size_t len, fail;
};

static int
write_row(void *arg, const struct ge_row *r, struct ge_err *e)
{
	struct page *p = arg;
	const struct ge_cell *c;
	size_t i;

	if (p->fail > 0 && --p->fail == 0)
		return (ge_fail(e, GE_EFAIL, "enough"));
	p->len += (size_t)snprintf(p->text + p->len, sizeof(p->text) - p->len,
	    "%d:", (int)r->line);
	for (i = 0; i < r->n; i++) {
		c = &r->cell[i];
		p->len += (size_t)(c->kind == GE_CELL_NUMBER ?
		    snprintf(p->text + p->len, sizeof(p->text) - p->len,
		    "%.17g|", c->num) : c->kind == GE_CELL_MISSING ?
		    snprintf(p->text + p->len, sizeof(p->text) - p->len,
		    "-|") : snprintf(p->text + p->len, sizeof(p->text) -
		    p->len, "'%.*s'|", (int)c->len, c->s));
	}
	p->text[p->len++] = '/';
	p->text[p->len] = '\0';
	return (0);
}

static int
read_in(struct page *p, const char *s, size_t len, size_t step, int header,
    char *names, struct ge_err *e)
{
	struct ge_table t;
	struct ge_table_opts o;
	size_t i, n;
	int rc = 0;

	p->len = 0;
	p->text[0] = '\0';
	ge_table_opts_init(&o);
	o.header = header;
	if (ge_table_init(&t, &o, "f.csv", write_row, p, e) == -1)
		return (-1);
	for (i = 0; i < len && rc == 0; i += n) {
		n = len - i < step ? len - i : step;
		rc = ge_table_push(&t, s + i, n, e);
	}
	if (rc == 0)
		rc = ge_table_end(&t, e);
	for (names[0] = '\0', i = 0; rc == 0 && i < t.ncols; i++)
		strcat(strcat(names, t.names[i]), " ");
	ge_table_release(&t);
	return (rc);
}

static void
want(const char *name, const char *s, size_t len, int header,
    const char *names, const char *text)
{
	struct page p = { .len = 0 };
	struct ge_err e = { 0 };
	char got[256];
	size_t step;
	int good = 1;

	for (step = 1; step < 12 && good; step++) {
		good = read_in(&p, s, len, step == 11 ? len : step, header,
		    got, &e) == 0;
		good = good && strcmp(got, names) == 0 &&
		    strcmp(p.text, text) == 0;
	}
	if (!good)
		printf("# %s: %s%s (%s)\n", name, got, p.text, e.msg);
	check(good, name);
}

#define WANT(name, s, header, names, text) \
	want(name, s, sizeof(s) - 1, header, names, text)

static void
refused(const char *name, const char *s, size_t len, const char *msg)
{
	struct page p = { .len = 0 };
	struct ge_err e = { 0 };
	char got[256];
	size_t step;
	int good = 1;

	for (step = 1; step < 12 && good; step++)
		good = read_in(&p, s, len, step == 11 ? len : step, 1, got,
		    &e) == -1 && strcmp(e.msg, msg) == 0;
	if (!good)
		printf("# %s\n", e.msg);
	check(good, name);
}

#define REFUSED(name, s, msg)	refused(name, s, sizeof(s) - 1, msg)

static void
tables(void)
{

	WANT("numbers", "a,b\n1,2.5\n-3e2,+4\n", 1, "a b ",
	    "2:1|2.5|/3:-300|4|/");
	WANT("no line feed at the end", "a,b\n1,2", 1, "a b ", "2:1|2|/");
	WANT("CR LF", "a,b\r\n1,2\r\n3,x\r\n", 1, "a b ",
	    "2:1|2|/3:3|'x'|/");
	WANT("CR LF to the end", "a,b\r\n1,\"2\"\r", 1, "a b ", "2:1|2|/");
	WANT("byte order mark, semicolons", "\xef\xbb\xbf" "a;b,c;d\n1;2,5;3\n",
	    1, "a b,c d ", "2:1|'2,5'|3|/");
	WANT("tabs", "a\tb\n1\t \n", 1, "a b ", "2:1|-|/");
	WANT("quotes", "\"a\",\"b,\"\"c\"\n\"x\ny\",\" 7 \"\n8,\"\"\n", 1,
	    "a b,\"c ", "2:'x\ny'|7|/4:8|-|/");
	WANT("quotes of quotes", "a\n\"\"\"\"\n\"\"\"x\"\n\"x\"\"\"\n", 1,
	    "a ", "2:'\"'|/3:'\"x'|/4:'x\"'|/");
	WANT("missing values", "a,b,c,d\n,NA,nan,null\nN/A,?,None, \n", 1,
	    "a b c d ", "2:-|-|-|-|/3:-|-|-|-|/");
	WANT("nearly numbers", "a,b,c\n1.2.3,0x10,1e\n--1,1 2,1e5x\n", 1,
	    "a b c ", "2:'1.2.3'|'0x10'|'1e'|/3:'--1'|'1 2'|'1e5x'|/");
	WANT("large ones", "a,b,c\n1e308,-inf,Infinity\n", 1, "a b c ",
	    "2:1e+308|-inf|inf|/");
	WANT("empty lines", "\n\na,b\n\n1,2\n\n", 1, "a b ", "5:1|2|/");
	WANT("one column", "a\n1\n\n3\n", 1, "a ", "2:1|/3:-|/4:3|/");
	WANT("no header", "1,x\n2,y\n", 0, "1 2 ", "1:1|'x'|/2:2|'y'|/");
	WANT("names that are missing", "a,,c\n1,2,3\n", 1, "a 2 c ",
	    "2:1|2|3|/");
	WANT("blanks", "  1.0  -2 3e0 \n4 5 6\n", GE_HEADER_AUTO, "1 2 3 ",
	    "1:1|-2|3|/2:4|5|6|/");
	WANT("blanks with CR LF", "1  2  \r\n  3 4\r\n", GE_HEADER_AUTO,
	    "1 2 ", "1:1|2|/2:3|4|/");
	WANT("one number is no table of blanks", " 1 \n2\n", GE_HEADER_AUTO,
	    "1 ", "1:1|/2:2|/");
	WANT("words between blanks are one", "a b\n1\n", GE_HEADER_AUTO,
	    "a b ", "2:1|/");
	WANT("numbers alone", "1,-2.5\n3,4\n", GE_HEADER_AUTO, "1 2 ",
	    "1:1|-2.5|/2:3|4|/");
	WANT("numbers and what is missing", "1,,NA\n3,4,5\n",
	    GE_HEADER_AUTO, "1 2 3 ", "1:1|-|-|/2:3|4|5|/");
	WANT("a word makes a header", "1,x\n3,4\n", GE_HEADER_AUTO, "1 x ",
	    "2:3|4|/");
	WANT("only a header", "a,b\n", 1, "a b ", "");
	REFUSED("nothing", "", "'f.csv': no table");
	REFUSED("only empty lines", "\n\r\n\n", "'f.csv': no table");
	REFUSED("a short row", "a,b\n1,2\n3\n",
	    "'f.csv:3:2': 1 field in a table of 2 columns");
	REFUSED("a long row", "a,b\n1,22,333\n",
	    "'f.csv:2:6': 3 fields in a table of 2 columns");
	REFUSED("NUL", "a,b\n1,2\0003\n", "'f.csv:2:4': a NUL byte");
	REFUSED("NUL in quotes", "a,b\n1,\"\0\"\n",
	    "'f.csv:2:3': a NUL byte in a quoted field");
	REFUSED("CR alone", "a,b\n1\r,2\n",
	    "'f.csv:2:2': a carriage return without a line feed");
	REFUSED("a quote that does not end", "a,b\n1,\"2\n3,4\n",
	    "'f.csv:2:3': a quote that does not end");
	REFUSED("text behind one", "a,b\n\"x\ny\"z,1\n",
	    "'f.csv:3:3': text behind a closing quote");
	REFUSED("a quote inside", "a,b\n1,x\"y\"\n",
	    "'f.csv:2:4': a quote inside a field");
	REFUSED("a name twice", "a,b,a\n1,2,3\n",
	    "'f.csv:1:5': column 'a' is there twice");
	REFUSED("a name of other characters", "a,caf\xe9\n1,2\n",
	    "'f.csv:1:3': a name that is not UTF-8");
	REFUSED("a name that a number takes", "2,\n1,2\n",
	    "'f.csv:1:3': column '2' is there twice");
}

static int
nothing(void *arg, const struct ge_row *r, struct ge_err *e)
{

	(void)e;
	*(double *)arg += r->cell[0].num;
	return (0);
}

/* Blanks between fields because the user says so. */
static void
told_blanks(void)
{
	static const char text[] = " a \"b c\"\td\n1   x  \"y \"  \n\n2 3 4";
	struct ge_table t;
	struct ge_table_opts o;
	struct ge_err e = { 0 };
	struct page p = { .len = 0 };
	size_t step, i, len = sizeof(text) - 1;
	int good = 1;

	ge_table_opts_init(&o);
	o.sep = ' ';
	for (step = 1; step < 9; step++) {
		p.len = 0;
		good &= ge_table_init(&t, &o, "f", write_row, &p, &e) == 0;
		for (i = 0; i < len; i += step)
			good &= ge_table_push(&t, text + i, len - i < step ?
			    len - i : step, &e) == 0;
		good &= ge_table_end(&t, &e) == 0 && t.ncols == 3 &&
		    strcmp(t.names[1], "b c") == 0 && strcmp(p.text,
		    "2:1|'x'|'y'|/4:2|3|4|/") == 0;
		ge_table_release(&t);
	}
	check(good, "blanks that the user asks for");
}

static void
caps(void)
{
	struct ge_table t;
	struct ge_table_opts o;
	struct ge_err e = { 0 };
	struct page p = { .len = 0, .fail = 2 };
	char got[64], *s;
	size_t i, n = 10 << 20;
	double sum = 0;
	int rc;

	if ((s = malloc(n)) == NULL)
		return;
	memset(s, 'x', n);
	ge_table_opts_init(&o);
	ge_table_init(&t, &o, "f", nothing, &sum, &e);
	rc = ge_table_push(&t, s, n, &e) | ge_table_end(&t, &e);
	check(rc == -1 && e.code == GE_EREFUSED, "a field of 10 MB");
	ge_table_release(&t);
	memset(s, '7', n);
	s[3 << 19] = '\n';
	ge_table_init(&t, &o, "f", nothing, &sum, &e);
	rc = ge_table_push(&t, s, n, &e) | ge_table_end(&t, &e);
	check(rc == -1 && strcmp(e.msg,
	    "'f:1:1': a field longer than is taken") == 0, "of digits");
	ge_table_release(&t);
	memset(s, 'x', n);
	s[0] = '"';
	ge_table_init(&t, &o, "f", nothing, &sum, &e);
	rc = ge_table_push(&t, s, n, &e);
	check(rc == -1 && strcmp(e.msg,
	    "'f:1:1': a field longer than is taken") == 0, "in quotes");
	check(t.cap <= 4u << 20, "which is not held whole");
	ge_table_release(&t);
	memset(s, ',', n);
	ge_table_init(&t, &o, "f", nothing, &sum, &e);
	rc = ge_table_push(&t, s, n, &e);
	check(rc == -1 && strcmp(e.msg,
	    "'f:1:65537': more columns than are taken") == 0,
	    "ten million columns");
	ge_table_release(&t);
	check(read_in(&p, "a\n1\n2\n3\n", 8, 1, 1, got, &e) == -1 &&
	    strcmp(e.msg, "enough") == 0, "a failure of who takes the rows");
	for (i = 0; i + 10 <= n; i += 10)
		memcpy(s + i, i == 0 ? "column001\n" : "1.2345678\n", 10);
	ge_table_init(&t, &o, "f", nothing, &sum, &e);
	rc = ge_table_push(&t, s, i, &e) | ge_table_end(&t, &e);
	check(rc == 0 && t.rows == i / 10 - 1 && t.cap < 1 << 20 &&
	    fabs(sum / (double)t.rows - 1.2345678) < 1e-9,
	    "a million rows in memory of one");
	ge_table_release(&t);
	free(s);
}

/* Rows of any length are handed on with the piece that ends them. */
static void
live(void)
{
	static char s[150000];
	struct ge_table t;
	struct ge_table_opts o;
	struct ge_err e = { 0 };
	double sum = 0;
	size_t i, k, n, late = 0;

	ge_table_opts_init(&o);
	ge_table_init(&t, &o, "f", nothing, &sum, &e);
	late += ge_table_push(&t, "a,b\n", 4, &e) == -1;
	for (k = 1; k <= 6; k++) {
		n = k * 24000;
		memset(s, 'x', n);
		for (i = 1; i < n; i += 999)
			s[i] = k % 2 ? '\n' : '_';
		s[0] = s[n - 3] = k % 2 ? '"' : 'x';
		memcpy(s + n - 2, ",1", 2);
		for (i = 0; i < n; i += 4000)
			late += ge_table_push(&t, s + i, 4000, &e) == -1 ||
			    t.rows != 2 * (k - 1);
		late += ge_table_push(&t, "\r\n2,3\n\"4", 8, &e) == -1 ||
		    t.rows != 2 * k;
		late += ge_table_push(&t, "\",5\n", 4, &e) == -1 ||
		    t.rows != 2 * k + 1;
		t.rows--;
	}
	check(late == 0, "a row as soon as it is whole");
	ge_table_release(&t);
}

int
main(void)
{

	decimals();
	instants();
	tables();
	told_blanks();
	caps();
	live();
	return (bad);
}
