/*
 * lib/site: the sites file, good and bad, with the line and the words of each
 * refusal.
 */
#include <sys/stat.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "site/site.h"
#include "util/mem.h"

#define UNIT "sites"
#include "check.h"

static void
die(const char *what)
{

	perror(what);
	exit(1);
}

static int
same(const char *a, const char *b)
{

	return (a == NULL || b == NULL ? a == b : strcmp(a, b) == 0);
}

#define L " operator=o region=r"

struct refusal {
	const char *text, *msg;
};

/* Is each refused, in these words? */
static int
refused(const struct refusal *c, size_t n)
{
	struct ge_sites s;
	struct ge_err e;
	int good = 1, rc;
	size_t i;

	for (i = 0; i < n; i++) {
		memset(&e, 0, sizeof(e));
		rc = ge_sites_parse(&s, c[i].text, strlen(c[i].text), &e);
		ge_sites_release(&s);
		if (rc == -1 && e.code == GE_EUSAGE && same(e.msg, c[i].msg))
			continue;
		printf("'%s': %s\n", c[i].text, rc == -1 ? e.msg : "taken");
		good = 0;
	}
	return (good);
}

#define REFUSED(c) refused(c, sizeof(c) / sizeof((c)[0]))

static void
test_example(void)
{
	static const char text[] =
	    "# the region\n"
	    "\n"
	    "adista s3+https://S3.adista.example/ge operator=adista"
	    " region=nancy country=fr profile=adista part=8m\t# ours\n"
	    "  sdv\tsftp://ge@sftp.sdv.example:2222/srv/g%65/  operator=sdv"
	    " region=strasbourg country=de key=~/.ssh/k known-hosts=kh\n"
	    "hexanet davs://dav.hexanet.example operator=hexanet region=reims"
	    " country=fr weight=2.25 ca=/ca.pem netrc=n provider=x=y\n"
	    ".within fr\tde # and no other\n"
	    "9.a_b-c file:///srv/ge operator=us region=attic country=fr"
	    " weight=0 jurisdiction=eu credential=c\n"
	    "six dav://[2001:DB8:0::1]:8080/d%20e/ operator=o region=r"
	    " country=lu aws=amber\n"
	    ".domains operator region aws\n";
	static const char fine[] =
	    "six dav://[2001:DB8:0::1]:8080/d%20e/ operator=o region=r";
	struct ge_sites s;
	struct ge_site *t;
	struct ge_err e;
	int good;

	/* The others lack aws. */
	good = ge_sites_parse(&s, text, sizeof(text) - 1, &e) == -1 &&
	    same(e.msg, "line 3: site 'adista' lacks aws");
	ge_sites_release(&s);
	check(good, "a label named at the end counts from the first line on");

	good = ge_sites_parse(&s, text, (size_t)(strstr(text, "six") - text),
	    &e) == 0 && s.n == 4 && s.nwithin == 2 && s.ndomains == 2 &&
	    same(s.within[0], "fr") && same(s.within[1], "de") &&
	    same(s.domain[0], "operator") && same(s.domain[1], "region");
	check(good, "a file is taken");
	if (!good) {
		printf("%s\n", e.msg);
		return;
	}
	t = &s.site[0];
	check(same(t->name, "adista") && t->line == 3 && t->tls &&
	    t->transport == GE_SITE_S3 && t->user == NULL && t->port == 0 &&
	    same(t->host, "s3.adista.example") && same(t->path, "/ge") &&
	    same(t->profile, "adista") && t->part == 8 << 20 &&
	    t->weight == 1 && t->awsregion == NULL && t->nlabels == 3 &&
	    same(ge_site_label(t, "region"), "nancy") &&
	    ge_site_label(t, "provider") == NULL, "an S3 site");
	t = &s.site[1];
	check(same(t->name, "sdv") && t->line == 4 && !t->tls &&
	    t->transport == GE_SITE_SFTP && same(t->user, "ge") &&
	    same(t->host, "sftp.sdv.example") && t->port == 2222 &&
	    same(t->path, "/srv/ge") && same(t->key, "~/.ssh/k") &&
	    same(t->knownhosts, "kh"), "an SFTP site");
	t = &s.site[2];
	check(t->transport == GE_SITE_DAV && t->tls && same(t->path, "") &&
	    t->weight == 2.25 && same(t->ca, "/ca.pem") &&
	    same(t->netrc, "n") && same(ge_site_label(t, "provider"), "x=y"),
	    "a WebDAV site");
	t = &s.site[3];
	check(t->transport == GE_SITE_FILE && t->host == NULL && t->line == 7 &&
	    same(t->path, "/srv/ge") && t->weight == 0 && t->nlabels == 5,
	    "a folder");
	check(ge_sites_find(&s, "sdv") == 1 &&
	    ge_sites_find(&s, "9.a_b-c") == 3 &&
	    ge_sites_find(&s, "SDV") == -1 && ge_sites_find(&s, "") == -1,
	    "sites are found by their names");
	ge_sites_release(&s);

	good = ge_sites_parse(&s, fine, sizeof(fine) - 1, &e) == 0 &&
	    s.n == 1 && same(s.site[0].host, "[2001:db8::1]") &&
	    s.site[0].port == 8080 && same(s.site[0].path, "/d e") &&
	    s.nwithin == 0;
	ge_sites_release(&s);
	check(good, "an IPv6 address; a last line without newline");
	good = ge_sites_parse(&s, ".domains site\nx file:///x\n", 26, &e) ==
	    0 && s.ndomains == 0;
	ge_sites_release(&s);
	check(good, "'.domains site': each site stands for itself");
}

static void
test_text(void)
{
	static const struct refusal c[] = {
		{ "", "no site in it" },
		{ "\n# x\n\n", "no site in it" },
		{ ".within fr\n", "no site in it" },
		{ "a file:///a" L "\r\n",
		    "line 1: ends with CRLF, not with LF alone" },
		{ "\n#\r\n", "line 2: ends with CRLF, not with LF alone" },
		{ "#\n#\v\n", "line 2: has a control character" },
		{ "#\r#\n", "line 1: has a control character" },
		{ "#\177", "line 1: has a control character" },
		{ "#\r", "line 1: has a control character" },
		{ "a file:///a" L "\n.with fr\n",
		    "line 2: neither .within nor .domains" },
		{ ". fr\n", "line 1: neither .within nor .domains" },
		{ ".within\n", "line 1: .within names no country" },
		{ ".within FR\n", "line 1: .within takes countries of two "
		    "lower-case letters" },
		{ ".within fr fra\n", "line 1: .within takes countries of two "
		    "lower-case letters" },
		{ ".within fr de fr\n", "line 1: 'fr' twice" },
		{ ".within fr\n.within de\n", "line 2: a second .within" },
		{ ".domains #x\n", "line 1: .domains names no label" },
		{ ".domains a a\n", "line 1: 'a' twice" },
		{ ".domains site site\n", "line 1: 'site' twice" },
		{ ".domains site\n.domains site\n",
		    "line 2: a second .domains" },
		{ ".domains weight\n", "line 1: .domains takes labels" },
		{ ".domains A\n", "line 1: .domains takes labels" },
		{ ".domains 1a\n", "line 1: .domains takes labels" },
		{ ".domains a b c d e f g h i j k l m n o p q\n",
		    "line 1: more than 16 domains" },
		{ "a\n", "line 1: site 'a' has no URL" },
		{ "a # file:///a\n", "line 1: site 'a' has no URL" },
		{ "a file:///a" L "\n\na file:///b" L,
		    "line 3: site 'a' is already on line 1" },
		{ "a file:///a" L "\nb file:///b",
		    "line 2: site 'b' lacks operator" },
		{ "a file:///a operator=o", "line 1: site 'a' lacks region" },
		{ ".within fr\na file:///a" L,
		    "line 2: site 'a' lacks country" },
		{ "a file:///a" L "\n.within fr",
		    "line 1: site 'a' lacks country" }
	};
	static const char *const names[] = {
		"-a", "_a", "a/b", "a:b", "a=b", "caf\xc3\xa9",
		"a123456789012345678901234567890123456789"
		"012345678901234567890123"
	};
	struct ge_sites s;
	struct ge_err e;
	char line[256];
	size_t i;
	int good;

	check(REFUSED(c), "lines that are refused");
	for (good = 1, i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(line, sizeof(line), "%s file:///a" L, names[i]);
		good &= refused(&(struct refusal){ line, "line 1: the name of "
		    "a site has 1 to 63 of A-Z a-z 0-9 . _ -, a letter or "
		    "digit first" }, 1);
	}
	check(good, "names that are refused");
	good = ge_sites_parse(&s, "#\n#\0\n", 5, &e) == -1 &&
	    same(e.msg, "line 2: has a NUL byte");
	ge_sites_release(&s);
	check(good, "a NUL byte");
}

static void
test_url(void)
{
	static const struct {
		const char *url, *msg;
	} c[] = {
#define BEGIN "it begins with none of file:// sftp:// s3+https:// " \
    "s3+http:// davs:// dav://"
		{ "/srv/ge", BEGIN }, { "file:", BEGIN }, { "file:/a", BEGIN },
		{ "FILE:///a", BEGIN }, { "http://h/", BEGIN },
		{ "s3://h/bucket", BEGIN }, { "://a", BEGIN },
		{ "file://", "a folder is file:///path, without a host" },
		{ "file://h/a", "a folder is file:///path, without a host" },
		{ "file:///", "a folder below '/' is wanted" },
		{ "file:////a", "'//' in the path" },
		{ "file:///a//b", "'//' in the path" },
		{ "file:///a//", "'//' in the path" },
		{ "file:///a/.", "'.' or '..' in the path" },
		{ "file:///a/../b", "'.' or '..' in the path" },
		{ "file:///%2e%2E/b", "'.' or '..' in the path" },
		{ "file:///a%00b",
		    "an escape that is none, or not allowed" },
		{ "file:///a%0a",
		    "an escape that is none, or not allowed" },
		{ "file:///a%2fb",
		    "an escape that is none, or not allowed" },
		{ "file:///a%2",
		    "an escape that is none, or not allowed" },
		{ "file:///a%", "an escape that is none, or not allowed" },
		{ "file:///a%g0",
		    "an escape that is none, or not allowed" },
		{ "file:///a?b", "it has a query ('?' is written %3F)" },
		{ "file:///a#b", "it has a fragment ('#' is written %23)" },
		{ "davs://h?b", "it has a query ('?' is written %3F)" },
		{ "sftp://", "no host" }, { "sftp:///a", "no host" },
		{ "sftp://u@/a", "no host" }, { "sftp://@h/a", "the user" },
		{ "sftp://%20@h/a", "the user" },
		{ "sftp://-h/a", "the host" }, { "sftp://h./a", "the host" },
		{ "sftp://a..b/a", "the host" },
		{ "sftp://h\xc3\xa9/a", "the host" },
		{ "sftp://h%20/a", "the host" },
		{ "sftp://h:/a", "the port" }, { "sftp://h:0/a", "the port" },
		{ "sftp://h:65536/a", "the port" },
		{ "sftp://h:022/a", "the port" },
		{ "sftp://h:22x/a", "the port" },
		{ "sftp://[::1/a", "the address" },
		{ "sftp://[]/a", "the address" },
		{ "sftp://[::1%251]/a", "the address" },
		{ "sftp://[1.2.3.4]/a", "the address" },
		{ "sftp://[::1]x/a", "the port" },
		{ "s3+https://h", "no bucket" },
		{ "s3+https://h/", "no bucket" },
		{ "s3+https://h/_ab", "the name of the bucket" },
		{ "s3+https://h/b%20c/x", "the name of the bucket" },
		{ "s3+https://h/-bc/x", "the name of the bucket" }
	};
	static const char *const fine[] = {
		"file:///a", "file:///a/", "file:///a/...", "file:///a/..b",
		"file:///a%23%3f", "file:///caf\xc3\xa9", "file:///a=b",
		"sftp://h", "sftp://h/", "sftp://u@h:65535/~/x",
		"sftp://u@[::1]:22/a@b", "sftp://1.2.3.4/a", "davs://h",
		"dav://h_1/a:b", "s3+http://h/a.b-c_d", "s3+https://h/abc/d/"
	};
	char text[256], want[256];
	struct ge_sites s;
	struct ge_err e;
	int good = 1;
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		snprintf(text, sizeof(text), "#\nx %s" L "\n", c[i].url);
		snprintf(want, sizeof(want), "line 2: bad URL: %s", c[i].msg);
		good &= refused(&(struct refusal){ text, want }, 1);
	}
	check(good, "URLs that are refused");
	for (good = 1, i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		snprintf(text, sizeof(text), "x %s" L, fine[i]);
		if (ge_sites_parse(&s, text, strlen(text), &e) == -1) {
			printf("%s: %s\n", fine[i], e.msg);
			good = 0;
		}
		ge_sites_release(&s);
	}
	check(good, "URLs that are taken");
}

/* No message repeats what may be a secret. */
static void
test_secret(void)
{
	static const char *const c[] = {
		"x sftp://ge:hunter2@h/a" L, "x sftp://ge:hun/ter2@h/a" L,
		"x sftp://ge%3ahunter2@h/a" L, "x sftp://hunter2:@h/a" L,
		"x s3+https://AK:hunter2@h/abc" L,
		"x s3+https://hunter2@h/abc" L, "x davs://u:hunter2@h/" L,
		"x davs://hunter2@h/" L, "x http://u:hunter2@h/" L,
		"davs://u:hunter2@h/" L, "x davs://h/ hunter2" L,
		"x davs://h/" L " password=hunter2", "x davs://h:hunter2" L,
		"x file://hunter2@h/a" L
	};
	static const struct refusal where[] = {
		{ "x sftp://ge:hunter2@h/a" L, "line 1: bad URL: it holds a "
		    "password; sftp takes the keys of ~/.ssh, an agent's, or "
		    "key=FILE" },
		{ "x s3+https://AK:hunter2@h/abc" L, "line 1: bad URL: it "
		    "holds credentials; they belong in AWS_ACCESS_KEY_ID and "
		    "AWS_SECRET_ACCESS_KEY, or with profile=NAME in "
		    "~/.aws/credentials" },
		{ "x dav://u@h/" L, "line 1: bad URL: it holds credentials; "
		    "they belong in ~/.netrc or netrc=FILE" }
	};
	struct ge_sites s;
	struct ge_err e;
	int good = 1;
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		if (ge_sites_parse(&s, c[i], strlen(c[i]), &e) == 0 ||
		    strstr(e.msg, "hunter2") != NULL ||
		    strstr(e.msg, "ter2") != NULL) {
			printf("'%s': %s\n", c[i], e.msg);
			good = 0;
		}
		ge_sites_release(&s);
	}
	check(good, "secrets are refused and not repeated");
	check(REFUSED(where), "and where they belong is said");
}

static void
test_keys(void)
{
	static const struct refusal c[] = {
		{ "x file:///a" L " colour=red",
		    "line 1: unknown key 'colour'" },
		{ "x file:///a" L " Region=x",
		    "line 1: unknown key 'Region'" },
		{ "x file:///a" L " site=x", "line 1: unknown key 'site'" },
		{ "x file:///a" L " region=s", "line 1: region= twice" },
		{ "x file:///a" L " weight=1 weight=1",
		    "line 1: weight= twice" },
		{ "x file:///a operator= region=r",
		    "line 1: operator= is empty" },
		{ "x file:///a" L " weight=", "line 1: weight= is empty" },
		{ "x file:///a" L " word", "line 1: after the URL comes what "
		    "is not key=value" },
		{ "x file:///a" L " =v", "line 1: after the URL comes what "
		    "is not key=value" },
		{ "x file:///a" L " country=FR",
		    "line 1: country= takes two lower-case letters" },
		{ "x file:///a" L " profile=p",
		    "line 1: profile= is for s3+https and s3+http only" },
		{ "x davs://h" L " aws-region=p",
		    "line 1: aws-region= is for s3+https and s3+http only" },
		{ "x sftp://h" L " part=8m",
		    "line 1: part= is for s3+https and s3+http only" },
		{ "x sftp://h" L " ca=f",
		    "line 1: ca= is for s3+https and davs only" },
		{ "x dav://h" L " ca=f",
		    "line 1: ca= is for s3+https and davs only" },
		{ "x file:///a" L " ca=f",
		    "line 1: ca= is for s3+https and davs only" },
		{ "x s3+https://h/abc" L " key=f",
		    "line 1: key= is for sftp only" },
		{ "x davs://h/abc" L " known-hosts=f",
		    "line 1: known-hosts= is for sftp only" },
		{ "x s3+https://h/abc" L " netrc=f",
		    "line 1: netrc= is for davs and dav only" },
		{ "x s3+https://h/abc" L " aws-region=eu/1", "line 1: "
		    "aws-region= takes letters, digits and -" },
		{ "x s3+https://h/abc" L " part=65535",
		    "line 1: part= takes a size from 64k to 5g" },
		{ "x s3+https://h/abc" L " part=6g",
		    "line 1: part= takes a size from 64k to 5g" },
		{ "x s3+https://h/abc" L " part=8x",
		    "line 1: part= takes a size from 64k to 5g" }
	};
	static const char *const weights[] = {
		"-1", "+1", "1e3", "1.", ".5", "01", "1000001", "1000000.1",
		"0.0000001", "inf", "nan", "0x1", "1,5", "1.5.5"
	};
	static const struct {
		const char *s;
		double v;
	} fine[] = {
		{ "0", 0 }, { "0.0", 0 }, { "1000000", 1e6 }, { "0.5", 0.5 },
		{ "3.125", 3.125 }, { "1000000.000000", 1e6 }
	};
	struct ge_sites s;
	struct ge_err e;
	char text[256];
	int good = 1;
	size_t i;

	check(REFUSED(c), "keys and values that are refused");
	for (i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
		snprintf(text, sizeof(text), "x file:///a" L " weight=%s",
		    weights[i]);
		good &= refused(&(struct refusal){ text, "line 1: weight= "
		    "takes a number from 0 to 1000000" }, 1);
	}
	check(good, "weights that are refused");
	for (good = 1, i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		snprintf(text, sizeof(text), "x file:///a" L " weight=%s",
		    fine[i].s);
		good &= ge_sites_parse(&s, text, strlen(text), &e) == 0 &&
		    s.site[0].weight == fine[i].v;
		ge_sites_release(&s);
	}
	check(good, "weights");
}

static void
test_twice(void)
{
	static const struct {
		const char *a, *b, *word;	/* NULL: both are fine */
	} c[] = {
		{ "file:///a", "file:///a/", "is where" },
		{ "file:///a", "file:///%61", "is where" },
		{ "file:///a", "file:///a/b", "lies inside" },
		{ "file:///a/b/c", "file:///a", "lies around" },
		{ "file:///a", "file:///ab", NULL },
		{ "file:///a", "sftp://h/a", NULL },
		{ "sftp://h/a", "sftp://h:22/a", "is where" },
		{ "sftp://u@h/a", "sftp://v@H/a", "is where" },
		{ "sftp://h/a", "sftp://h:23/a", NULL },
		{ "sftp://h/a", "sftp://h/b", NULL },
		{ "sftp://h", "sftp://h/b", "lies inside" },
		{ "s3+https://h/abc", "s3+https://h:443/abc/", "is where" },
		{ "s3+https://h/abc", "s3+http://h:443/abc", "is where" },
		{ "s3+https://h/abc", "s3+https://h/abc/d", "lies inside" },
		{ "s3+https://h/abc", "s3+https://h/abd", NULL },
		{ "s3+https://h/abc", "davs://h/abc", NULL },
		{ "davs://[::1]/a", "davs://[0:0::1]/a", "is where" },
		{ "davs://h", "dav://h", NULL }
	};
	char text[256], want[256];
	struct ge_sites s;
	struct ge_err e;
	int good = 1;
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		snprintf(text, sizeof(text), "\na %s" L "\nz file:///zz" L
		    "\nb %s" L "\n", c[i].a, c[i].b);
		if (c[i].word == NULL) {
			good &= ge_sites_parse(&s, text, strlen(text), &e) ==
			    0;
			ge_sites_release(&s);
			continue;
		}
		snprintf(want, sizeof(want), "line 4: site 'b' %s 'a' of line 2"
		    "%s", c[i].word, c[i].word[0] == 'i' ? " is" : "");
		good &= refused(&(struct refusal){ text, want }, 1);
	}
	check(good, "a place is no two sites");
}

static void
test_limits(void)
{
	static char text[GE_SITES_BYTES + 1];
	struct ge_sites s;
	struct ge_err e;
	size_t len = 0, i, full = 0;
	int good;

	for (i = 0; i < 1000000 && len < sizeof(text) - 64; i++) {
		if (i == GE_SITES_MAX)
			full = len;
		len += (size_t)snprintf(text + len, 64,
		    "s%zu file:///s%zu" L "\n", i, i);
	}
	good = ge_sites_parse(&s, text, len, &e) == -1 &&
	    same(e.msg, "line 1025: more than 1024 sites");
	ge_sites_release(&s);
	good &= ge_sites_parse(&s, text, full, &e) == 0 &&
	    s.n == GE_SITES_MAX && ge_sites_find(&s, "s1023") == 1023;
	ge_sites_release(&s);
	memset(text, '\n', sizeof(text));
	good &= ge_sites_parse(&s, text, sizeof(text), &e) == -1 &&
	    same(e.msg, "longer than 4194304 bytes");
	ge_sites_release(&s);
	good &= ge_sites_parse(&s, text, sizeof(text) - 1, &e) == -1 &&
	    same(e.msg, "no site in it");
	ge_sites_release(&s);
	memset(text, '#', 8194);
	text[0] = '\n';
	text[8193] = '\n';
	memcpy(text + 8194, "x file:///x" L, 31);
	good &= ge_sites_parse(&s, text, 8194 + 31, &e) == 0;
	ge_sites_release(&s);
	text[8193] = '#';
	text[8194] = '\n';
	good &= ge_sites_parse(&s, text, 8194 + 31, &e) == -1 &&
	    same(e.msg, "line 2: longer than 8192 bytes");
	ge_sites_release(&s);
	check(good, "too many sites, too many bytes, too long a line");
}

static void
write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd == -1 || write(fd, text, strlen(text)) !=
	    (ssize_t)strlen(text) || fchmod(fd, mode) == -1 || close(fd) == -1)
		die(name);
}

static int
reads(const char *text, const char *want)
{
	struct ge_sites s;
	struct ge_err e;
	int good;

	write_file("sites", text, 0644);
	if (ge_sites_read(&s, "sites", &e) == -1) {
		good = want != NULL && e.code == GE_EUSAGE &&
		    same(e.msg, want);
		if (!good)
			printf("%s\n", e.msg);
	} else {
		good = want == NULL;
	}
	ge_sites_release(&s);
	return (good);
}

/* The example that gesites(5) shows. */
static void
test_contrib(void)
{
	const char *top = getenv("GE_TOP");
	struct ge_sites s;
	struct ge_err e;
	char path[4096];

	snprintf(path, sizeof(path), "%s/contrib/sites.example",
	    top != NULL ? top : ".");
	memset(&e, 0, sizeof(e));
	check(ge_sites_read(&s, path, &e) == 0 && s.n == 9 &&
	    s.ndomains == 2, "contrib/sites.example");
	ge_sites_release(&s);
}

static void
test_read(void)
{
	const char *t = getenv("TMPDIR");
	struct ge_sites s;
	struct ge_err e;
	char dir[4096], want[8192];
	int good;

	snprintf(dir, sizeof(dir), "%s/sites.XXXXXX", t != NULL ? t : "/tmp");
	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		die("mkdtemp");
	if (setenv("HOME", dir, 1) == -1)
		die("setenv");
	write_file("secret", "x", 0600);
	write_file("group", "x", 0640);
	write_file("others", "x", 0604);
	check(reads("#\nx sftp://h" L " key=secret", NULL) &&
	    reads("x davs://h" L " netrc=~/secret known-hosts=no",
	    "'sites': line 1: known-hosts= is for sftp only") &&
	    reads("x davs://h" L " netrc=secret ca=others", NULL) &&
	    reads("x sftp://h" L " known-hosts=none", NULL),
	    "a file is read with what it names");
	check(reads("#\nx sftp://h" L " key=group",
	    "'sites': line 2: 'group' is readable for others (chmod 600)") &&
	    reads("x dav://h" L " netrc=others",
	    "'sites': line 1: 'others' is readable for others (chmod 600)") &&
	    reads("a file:///a" L "\nx dav://h" L " netrc=none",
	    "'sites': line 2: 'none': No such file or directory"),
	    "a secret that others can read, or nobody");
	snprintf(want, sizeof(want), "%s/secret", dir);
	write_file("sites", "x sftp://h" L " key=~/secret", 0644);
	good = ge_sites_read(&s, "sites", &e) == 0 &&
	    same(s.site[0].key, want);
	ge_sites_release(&s);
	unsetenv("HOME");
	good &= reads("x sftp://h" L " key=~/secret",
	    "'sites': line 1: '~/secret': HOME is not set") &&
	    reads("x davs://h" L " ca=~/c",
	    "'sites': line 1: '~/c': HOME is not set");
	check(good, "~/ is the home");
	unlink("sites");
	good = ge_sites_read(&s, "sites", &e) == -1 && e.code == GE_EUSAGE &&
	    same(e.msg, "cannot open 'sites': No such file or directory");
	ge_sites_release(&s);
	check(good, "no sites file");
	unlink("secret");
	unlink("group");
	unlink("others");
	if (chdir("/") == -1 || rmdir(dir) == -1)
		die(dir);
}

int
main(void)
{

	test_example();
	test_text();
	test_url();
	test_secret();
	test_keys();
	test_twice();
	test_limits();
	test_contrib();
	test_read();
	return (bad);
}
