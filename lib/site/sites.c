#include <sys/socket.h>
#include <sys/stat.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "site/site.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	LINE_BYTES = 8192,
	NAME_BYTES = 63,
	HOST_BYTES = 253,
	USER_BYTES = 64,
	PATH_BYTES = 800,	/* S3 has 1024 for prefix and name */
	LABEL_BYTES = 32,	/* of a label's key */
	DOMAINS_MAX = 16,
	WEIGHT_MAX = 1000000
};

#define PART_MIN ((uint64_t)64 << 10)
#define PART_MAX ((uint64_t)5 << 30)

/* Labels that need not be in .domains to be known. */
static const char *const labels[] = {
	"operator", "region", "country", "jurisdiction", "credential",
	"provider"
};

/* What an option fits: transports, or any with TLS. */
enum {
	FITS_SFTP = 1 << GE_SITE_SFTP,
	FITS_S3 = 1 << GE_SITE_S3,
	FITS_DAV = 1 << GE_SITE_DAV,
	FITS_ALL = 1 << GE_SITE_FILE | FITS_SFTP | FITS_S3 | FITS_DAV,
	FITS_TLS = FITS_ALL + 1
};

enum option {
	O_WEIGHT, O_PROFILE, O_AWSREGION, O_CA, O_KEY, O_KNOWNHOSTS, O_NETRC,
	O_PART, O_NONE
};

static const struct {
	const char *name;
	int fits;
	const char *only;
} options[O_NONE] = {
	[O_WEIGHT] = { "weight", FITS_ALL, NULL },
	[O_PROFILE] = { "profile", FITS_S3, "s3+https and s3+http" },
	[O_AWSREGION] = { "aws-region", FITS_S3, "s3+https and s3+http" },
	[O_CA] = { "ca", FITS_TLS, "s3+https and davs" },
	[O_KEY] = { "key", FITS_SFTP, "sftp" },
	[O_KNOWNHOSTS] = { "known-hosts", FITS_SFTP, "sftp" },
	[O_NETRC] = { "netrc", FITS_DAV, "davs and dav" },
	[O_PART] = { "part", FITS_S3, "s3+https and s3+http" }
};

static const struct {
	const char *name;
	enum ge_transport transport;
	int tls, port;
} schemes[] = {
	{ "file", GE_SITE_FILE, 0, 0 },
	{ "sftp", GE_SITE_SFTP, 0, 22 },
	{ "s3+https", GE_SITE_S3, 1, 443 },
	{ "s3+http", GE_SITE_S3, 0, 80 },
	{ "davs", GE_SITE_DAV, 1, 443 },
	{ "dav", GE_SITE_DAV, 0, 80 }
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A piece of the text. */
struct word {
	const char *p;
	size_t len;
};

struct reader {
	const char *at, *end;		/* rest of the text */
	const char *p, *stop;		/* rest of the current line */
	unsigned long line;
};

static int
is_alnum(char c)
{

	return ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z'));
}

static int
is(struct word w, const char *s)
{

	return (strlen(s) == w.len && memcmp(w.p, s, w.len) == 0);
}

/* A copy with a NUL. */
static int
keep(char **out, struct word w, struct ge_err *e)
{

	if ((*out = ge_alloc(w.len + 1, e)) == NULL)
		return (-1);
	memcpy(*out, w.p, w.len);
	return (0);
}

/* Go to the next line: 1, or 0 at the end of the text, or -1. */
static int
next_line(struct reader *r, struct ge_err *e)
{
	const char *nl, *q;

	if (r->at == r->end)
		return (0);
	r->line++;
	nl = memchr(r->at, '\n', (size_t)(r->end - r->at));
	r->p = r->at;
	r->stop = nl != NULL ? nl : r->end;
	r->at = nl != NULL ? nl + 1 : r->end;
	if (r->stop - r->p > LINE_BYTES)
		return (ge_fail(e, GE_EUSAGE, "longer than %d bytes",
		    LINE_BYTES));
	for (q = r->p; q < r->stop; q++) {
		if (*q == '\r' && q + 1 == r->stop && nl != NULL)
			return (ge_fail(e, GE_EUSAGE,
			    "ends with CRLF, not with LF alone"));
		if (*q != '\t' && ((unsigned char)*q < 0x20 || *q == 0x7f))
			return (ge_fail(e, GE_EUSAGE, *q == '\0' ?
			    "has a NUL byte" : "has a control character"));
	}
	return (1);
}

/* The next word of the line: 1, or 0 if there is none before a comment. */
static int
next_word(struct reader *r, struct word *w)
{

	while (r->p < r->stop && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
	if (r->p == r->stop || *r->p == '#')
		return (0);
	w->p = r->p;
	while (r->p < r->stop && *r->p != ' ' && *r->p != '\t')
		r->p++;
	w->len = (size_t)(r->p - w->p);
	return (1);
}

static int
country_ok(struct word w)
{

	return (w.len == 2 && w.p[0] >= 'a' && w.p[0] <= 'z' &&
	    w.p[1] >= 'a' && w.p[1] <= 'z');
}

static enum option
option_of(struct word w)
{
	int o;

	for (o = 0; o < O_NONE; o++)
		if (is(w, options[o].name))
			break;
	return ((enum option)o);
}

static int
label_ok(struct word w)
{
	size_t i;

	for (i = 0; i < w.len; i++)
		if ((w.p[i] < 'a' || w.p[i] > 'z') && (i == 0 ||
		    ((w.p[i] < '0' || w.p[i] > '9') && w.p[i] != '-')))
			return (0);
	return (w.len >= 1 && w.len <= LABEL_BYTES && option_of(w) == O_NONE);
}

static int
within_line(struct ge_sites *s, struct reader *r, struct ge_err *e)
{
	size_t cap = 0, i;
	struct word w;

	if (s->nwithin > 0)
		return (ge_fail(e, GE_EUSAGE, "a second .within"));
	while (next_word(r, &w)) {
		if (!country_ok(w))
			return (ge_fail(e, GE_EUSAGE, ".within takes countries "
			    "of two lower-case letters"));
		for (i = 0; i < s->nwithin; i++)
			if (is(w, s->within[i]))
				return (ge_fail(e, GE_EUSAGE, "'%s' twice",
				    s->within[i]));
		if (ge_grow(&s->within, &cap, s->nwithin + 1,
		    sizeof(*s->within), e) == -1 ||
		    keep(&s->within[s->nwithin], w, e) == -1)
			return (-1);
		s->nwithin++;
	}
	if (s->nwithin == 0)
		return (ge_fail(e, GE_EUSAGE, ".within names no country"));
	return (0);
}

static int
add_domain(struct ge_sites *s, struct word w, struct ge_err *e)
{

	if (s->domain == NULL && (s->domain = ge_alloc(DOMAINS_MAX *
	    sizeof(*s->domain), e)) == NULL)
		return (-1);
	if (keep(&s->domain[s->ndomains], w, e) == -1)
		return (-1);
	s->ndomains++;
	return (0);
}

static int
domains_line(struct ge_sites *s, struct reader *r, struct ge_err *e)
{
	int any = 0, site = 0;
	struct word w;
	size_t i;

	for (; next_word(r, &w); any = 1) {
		if (!label_ok(w))
			return (ge_fail(e, GE_EUSAGE, ".domains takes labels"));
		/* Each site is a domain in any case. */
		if (is(w, "site")) {
			if (site++)
				return (ge_fail(e, GE_EUSAGE, "'site' twice"));
			continue;
		}
		for (i = 0; i < s->ndomains; i++)
			if (is(w, s->domain[i]))
				return (ge_fail(e, GE_EUSAGE, "'%s' twice",
				    s->domain[i]));
		if (s->ndomains == DOMAINS_MAX)
			return (ge_fail(e, GE_EUSAGE, "more than %d domains",
			    DOMAINS_MAX));
		if (add_domain(s, w, e) == -1)
			return (-1);
	}
	if (!any)
		return (ge_fail(e, GE_EUSAGE, ".domains names no label"));
	return (0);
}

/*
 * The first way through the text: that it is text, and the policy, on which the
 * lines of sites depend.
 */
static int
read_policy(struct ge_sites *s, struct reader *r, struct ge_err *e)
{
	static const struct word usual[] = {
		{ "operator", 8 }, { "region", 6 }
	};
	int rc, domains = 0;
	struct word w;
	size_t i;

	while ((rc = next_line(r, e)) == 1) {
		if (!next_word(r, &w) || w.p[0] != '.')
			continue;
		if (is(w, ".within")) {
			if (within_line(s, r, e) == -1)
				return (-1);
		} else if (is(w, ".domains")) {
			if (domains++)
				return (ge_fail(e, GE_EUSAGE,
				    "a second .domains"));
			if (domains_line(s, r, e) == -1)
				return (-1);
		} else {
			return (ge_fail(e, GE_EUSAGE,
			    "neither .within nor .domains"));
		}
	}
	if (rc == -1)
		return (-1);
	for (i = 0; !domains && i < COUNT(usual); i++)
		if (add_domain(s, usual[i], e) == -1)
			return (-1);
	return (0);
}

static int
hex_digit(char c)
{

	if (c >= '0' && c <= '9')
		return (c - '0');
	c |= 0x20;
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/*
 * Decode %XX in place.  What would be a control character, or a "/" that
 * divides nothing, is -1.
 */
static int
decode(char *s)
{
	char *o = s;
	int hi, lo;

	for (; *s != '\0'; s++) {
		if (*s != '%') {
			*o++ = *s;
			continue;
		}
		if ((hi = hex_digit(s[1])) == -1 ||
		    (lo = hex_digit(s[2])) == -1)
			return (-1);
		hi = hi << 4 | lo;
		if (hi < 0x20 || hi == 0x7f || hi == '/')
			return (-1);
		*o++ = (char)hi;
		s += 2;
	}
	*o = '\0';
	return (0);
}

/* Messages about a URL never show it: there may be a secret in it. */
static int
bad_url(struct ge_err *e, const char *why)
{

	return (ge_fail(e, GE_EUSAGE, "bad URL: %s", why));
}

static int
secret_in_url(const struct ge_site *t, struct ge_err *e)
{

	switch (t->transport) {
	case GE_SITE_SFTP:
		return (bad_url(e, "it holds a password; sftp takes the keys "
		    "of ~/.ssh, an agent's, or key=FILE"));
	case GE_SITE_S3:
		return (bad_url(e, "it holds credentials; they belong in "
		    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or with "
		    "profile=NAME in ~/.aws/credentials"));
	default:
		return (bad_url(e, "it holds credentials; they belong in "
		    "~/.netrc or netrc=FILE"));
	}
}

static int
user_part(struct ge_site *t, struct word w, struct ge_err *e)
{
	const char *p;

	if (t->transport != GE_SITE_SFTP || memchr(w.p, ':', w.len) != NULL)
		return (secret_in_url(t, e));
	if (keep(&t->user, w, e) == -1)
		return (-1);
	if (decode(t->user) == -1 || t->user[0] == '\0' ||
	    strlen(t->user) > USER_BYTES)
		return (bad_url(e, "the user"));
	if (strchr(t->user, ':') != NULL)
		return (secret_in_url(t, e));
	for (p = t->user; *p != '\0'; p++)
		if (*p == ' ' || (unsigned char)*p >= 0x80)
			return (bad_url(e, "the user"));
	return (0);
}

/* One spelling of an address, so that equal ones are seen. */
static int
host6(struct ge_site *t, struct word w, struct ge_err *e)
{
	char text[INET6_ADDRSTRLEN + 2];
	struct in6_addr a;

	if (w.len - 2 >= INET6_ADDRSTRLEN)
		return (bad_url(e, "the address"));
	memcpy(text, w.p + 1, w.len - 2);
	text[w.len - 2] = '\0';
	if (inet_pton(AF_INET6, text, &a) != 1 || inet_ntop(AF_INET6, &a,
	    text + 1, INET6_ADDRSTRLEN) == NULL)
		return (bad_url(e, "the address"));
	text[0] = '[';
	memcpy(text + strlen(text), "]", 2);
	return (keep(&t->host, (struct word){ text, strlen(text) }, e));
}

static int
host4(struct ge_site *t, struct word w, struct ge_err *e)
{
	size_t i;
	char *p;

	if (w.len == 0)
		return (bad_url(e, "no host"));
	if (w.len > HOST_BYTES)
		return (bad_url(e, "the host"));
	for (i = 0; i < w.len; i++) {
		if (is_alnum(w.p[i]) || (i > 0 && w.p[i - 1] != '.' &&
		    (w.p[i] == '-' || w.p[i] == '_' ||
		    (w.p[i] == '.' && i + 1 < w.len))))
			continue;
		return (bad_url(e, "the host"));
	}
	if (keep(&t->host, w, e) == -1)
		return (-1);
	for (p = t->host; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	return (0);
}

/* [user@]host[:port] */
static int
authority(struct ge_site *t, struct word w, struct ge_err *e)
{
	const char *p, *stop = w.p + w.len;
	uint64_t port;

	for (p = stop; p > w.p && p[-1] != '@'; p--)
		;
	if (p > w.p) {
		if (user_part(t, (struct word){ w.p, (size_t)(p - w.p) - 1 },
		    e) == -1)
			return (-1);
		w.len = (size_t)(stop - p);
		w.p = p;
	}
	if (w.len > 0 && w.p[0] == '[') {
		if ((p = memchr(w.p, ']', w.len)) == NULL)
			return (bad_url(e, "the address"));
		p++;
		if (host6(t, (struct word){ w.p, (size_t)(p - w.p) }, e) == -1)
			return (-1);
	} else {
		if ((p = memchr(w.p, ':', w.len)) == NULL)
			p = stop;
		if (host4(t, (struct word){ w.p, (size_t)(p - w.p) }, e) == -1)
			return (-1);
	}
	if (p == stop)
		return (0);
	if (*p != ':' || ge_num_parse(p + 1, (size_t)(stop - p) - 1, &port) ==
	    -1 || port < 1 || port > 65535)
		return (bad_url(e, "the port"));
	t->port = (int)port;
	return (0);
}

static int
bucket_ok(const char *s)
{
	size_t len = strcspn(s, "/"), i;

	for (i = 0; i < len; i++)
		if (!is_alnum(s[i]) && (i == 0 || (s[i] != '.' &&
		    s[i] != '-' && s[i] != '_')))
			return (0);
	return (len >= 1 && len <= 63);
}

/* The path, which is empty or begins with "/". */
static int
path_part(struct ge_site *t, struct word w, struct ge_err *e)
{
	const char *p;
	size_t len;

	if (w.len > 0 && w.p[w.len - 1] == '/')
		w.len--;
	if (keep(&t->path, w, e) == -1)
		return (-1);
	if (decode(t->path) == -1)
		return (bad_url(e, "an escape that is none, or not allowed"));
	if (strlen(t->path) > PATH_BYTES)
		return (bad_url(e, "the path is too long"));
	for (p = t->path; *p == '/'; p += len) {
		len = strcspn(++p, "/");
		if (len == 0)
			return (bad_url(e, "'//' in the path"));
		if (strncmp(p, "..", len) == 0 && len <= 2)
			return (bad_url(e, "'.' or '..' in the path"));
	}
	if (t->transport == GE_SITE_FILE && t->path[0] == '\0')
		return (bad_url(e, "a folder below '/' is wanted"));
	if (t->transport == GE_SITE_S3 && t->path[0] == '\0')
		return (bad_url(e, "no bucket"));
	if (t->transport == GE_SITE_S3 && !bucket_ok(t->path + 1))
		return (bad_url(e, "the name of the bucket"));
	return (0);
}

static int
url(struct ge_site *t, struct word w, struct ge_err *e)
{
	const char *stop = w.p + w.len, *p, *q;
	size_t i;

	for (p = w.p; p < stop && *p != ':'; p++)
		;
	for (i = 0; i < COUNT(schemes); i++)
		if (is((struct word){ w.p, (size_t)(p - w.p) },
		    schemes[i].name))
			break;
	if (i == COUNT(schemes) || stop - p < 3 || p[1] != '/' || p[2] != '/')
		return (bad_url(e, "it begins with none of file:// sftp:// "
		    "s3+https:// s3+http:// davs:// dav://"));
	t->transport = schemes[i].transport;
	t->tls = schemes[i].tls;
	p += 3;
	for (q = p; q < stop && *q != '/' && *q != '?' && *q != '#'; q++)
		;
	if (t->transport != GE_SITE_FILE) {
		if (authority(t, (struct word){ p, (size_t)(q - p) }, e) == -1)
			return (-1);
	} else if (q != p || q == stop) {
		return (bad_url(e, "a folder is file:///path, without a host"));
	}
	if (memchr(q, '?', (size_t)(stop - q)) != NULL)
		return (bad_url(e, "it has a query ('?' is written %3F)"));
	if (memchr(q, '#', (size_t)(stop - q)) != NULL)
		return (bad_url(e, "it has a fragment ('#' is written %23)"));
	return (path_part(t, (struct word){ q, (size_t)(stop - q) }, e));
}

/* Digits, or digits "." one to six digits. */
static int
weight(double *out, struct word w)
{
	size_t whole = 0, frac;
	uint64_t v, f = 0;
	double unit = 1;

	while (whole < w.len && w.p[whole] != '.')
		whole++;
	if (ge_num_parse(w.p, whole, &v) == -1)
		return (-1);
	if (whole < w.len) {
		if (w.len - whole < 2 || w.len - whole > 7)
			return (-1);
		for (frac = whole + 1; frac < w.len; frac++) {
			if (w.p[frac] < '0' || w.p[frac] > '9')
				return (-1);
			f = 10 * f + (uint64_t)(w.p[frac] - '0');
			unit *= 10;
		}
	}
	if (v > WEIGHT_MAX || (v == WEIGHT_MAX && f > 0))
		return (-1);
	*out = (double)v + (double)f / unit;
	return (0);
}

static char **
option_slot(struct ge_site *t, enum option o)
{

	switch (o) {
	case O_PROFILE:
		return (&t->profile);
	case O_AWSREGION:
		return (&t->awsregion);
	case O_CA:
		return (&t->ca);
	case O_KEY:
		return (&t->key);
	case O_KNOWNHOSTS:
		return (&t->knownhosts);
	case O_NETRC:
		return (&t->netrc);
	default:
		return (NULL);
	}
}

static int
set_option(struct ge_site *t, enum option o, struct word w, unsigned int *seen,
    struct ge_err *e)
{
	const char *name = options[o].name;
	int fits = 1 << t->transport | (t->tls ? FITS_TLS : 0);
	char **slot, *text;
	size_t i;
	int rc;

	if ((options[o].fits & fits) == 0)
		return (ge_fail(e, GE_EUSAGE, "%s= is for %s only", name,
		    options[o].only));
	if (*seen & 1u << o)
		return (ge_fail(e, GE_EUSAGE, "%s= twice", name));
	*seen |= 1u << o;
	if (o == O_WEIGHT) {
		if (weight(&t->weight, w) == -1)
			return (ge_fail(e, GE_EUSAGE, "weight= takes a number "
			    "from 0 to %d", WEIGHT_MAX));
		return (0);
	}
	if (o == O_PART) {
		if (keep(&text, w, e) == -1)
			return (-1);
		rc = ge_size_parse(text, &t->part);
		ge_free(text);
		if (rc == -1 || t->part < PART_MIN || t->part > PART_MAX)
			return (ge_fail(e, GE_EUSAGE,
			    "part= takes a size from 64k to 5g"));
		return (0);
	}
	if (o == O_AWSREGION)
		for (i = 0; i < w.len; i++)
			if (!is_alnum(w.p[i]) && w.p[i] != '-')
				return (ge_fail(e, GE_EUSAGE,
				    "aws-region= takes letters, digits and -"));
	slot = option_slot(t, o);
	return (keep(slot, w, e));
}

static int
label_known(const struct ge_sites *s, struct word key)
{
	size_t i;

	for (i = 0; i < COUNT(labels); i++)
		if (is(key, labels[i]))
			return (1);
	for (i = 0; i < s->ndomains; i++)
		if (is(key, s->domain[i]))
			return (1);
	return (0);
}

static int
add_label(const struct ge_sites *s, struct ge_site *t, struct word key,
    struct word value, struct ge_err *e)
{
	struct ge_label *l;
	size_t i;

	if (!label_known(s, key)) {
		/* Its name only: the value may be what nobody should see. */
		return (ge_fail(e, GE_EUSAGE, "unknown key '%.*s'",
		    key.len > 64 ? 64 : (int)key.len, key.p));
	}
	for (i = 0; i < t->nlabels; i++)
		if (is(key, t->label[i].key))
			return (ge_fail(e, GE_EUSAGE, "%s= twice",
			    t->label[i].key));
	if (is(key, "country") && !country_ok(value))
		return (ge_fail(e, GE_EUSAGE,
		    "country= takes two lower-case letters"));
	/* No more than there are known ones. */
	if (t->label == NULL && (t->label = ge_alloc((COUNT(labels) +
	    DOMAINS_MAX) * sizeof(*t->label), e)) == NULL)
		return (-1);
	l = &t->label[t->nlabels++];
	if (keep(&l->key, key, e) == -1 || keep(&l->value, value, e) == -1)
		return (-1);
	return (0);
}

static int
pair(const struct ge_sites *s, struct ge_site *t, struct word w,
    unsigned int *seen, struct ge_err *e)
{
	const char *eq = memchr(w.p, '=', w.len);
	struct word key, value;
	enum option o;

	if (eq == NULL || eq == w.p)
		return (ge_fail(e, GE_EUSAGE,
		    "after the URL comes what is not key=value"));
	key = (struct word){ w.p, (size_t)(eq - w.p) };
	value = (struct word){ eq + 1, w.len - key.len - 1 };
	o = option_of(key);
	if (value.len == 0 && (o != O_NONE || label_known(s, key)))
		return (ge_fail(e, GE_EUSAGE, "%.*s= is empty", (int)key.len,
		    key.p));
	if (o != O_NONE)
		return (set_option(t, o, value, seen, e));
	return (add_label(s, t, key, value, e));
}

static int
name_ok(struct word w)
{
	size_t i;

	for (i = 0; i < w.len; i++)
		if (!is_alnum(w.p[i]) && (i == 0 || (w.p[i] != '.' &&
		    w.p[i] != '_' && w.p[i] != '-')))
			return (0);
	return (w.len >= 1 && w.len <= NAME_BYTES);
}

static int
port_of(const struct ge_site *t)
{
	size_t i;

	for (i = 0; t->port == 0 && i < COUNT(schemes); i++)
		if (schemes[i].transport == t->transport &&
		    schemes[i].tls == t->tls)
			return (schemes[i].port);
	return (t->port);
}

/* Is a's folder b's, or around it? */
static int
around(const struct ge_site *a, const struct ge_site *b)
{
	size_t len = strlen(a->path);

	return (strncmp(a->path, b->path, len) == 0 &&
	    (b->path[len] == '\0' || b->path[len] == '/'));
}

/*
 * A site against those before it.  A plain loop: there are GE_SITES_MAX at
 * most.
 */
static int
differs(const struct ge_sites *s, const struct ge_site *t, struct ge_err *e)
{
	const struct ge_site *o;
	size_t i;

	for (i = 0; i < s->n; i++) {
		o = &s->site[i];
		if (strcmp(o->name, t->name) == 0)
			return (ge_fail(e, GE_EUSAGE,
			    "site '%s' is already on line %lu", t->name,
			    o->line));
		if (o->transport != t->transport || port_of(o) != port_of(t) ||
		    (o->host != NULL && strcmp(o->host, t->host) != 0))
			continue;
		if (strcmp(o->path, t->path) == 0)
			return (ge_fail(e, GE_EUSAGE, "site '%s' is where "
			    "'%s' of line %lu is", t->name, o->name, o->line));
		if (around(o, t) || around(t, o))
			return (ge_fail(e, GE_EUSAGE, "site '%s' lies %s "
			    "'%s' of line %lu", t->name, around(o, t) ?
			    "inside" : "around", o->name, o->line));
	}
	return (0);
}

/* The line of a site; w is its first word. */
static int
site_line(const struct ge_sites *s, struct ge_site *t, struct word w,
    struct reader *r, struct ge_err *e)
{
	unsigned int seen = 0;
	size_t i;

	t->line = r->line;
	t->weight = 1;
	if (!name_ok(w))
		return (ge_fail(e, GE_EUSAGE, "the name of a site has 1 to %d "
		    "of A-Z a-z 0-9 . _ -, a letter or digit first",
		    NAME_BYTES));
	if (keep(&t->name, w, e) == -1)
		return (-1);
	if (!next_word(r, &w))
		return (ge_fail(e, GE_EUSAGE, "site '%s' has no URL",
		    t->name));
	if (url(t, w, e) == -1)
		return (-1);
	while (next_word(r, &w))
		if (pair(s, t, w, &seen, e) == -1)
			return (-1);
	for (i = 0; i < s->ndomains; i++)
		if (ge_site_label(t, s->domain[i]) == NULL)
			return (ge_fail(e, GE_EUSAGE, "site '%s' lacks %s",
			    t->name, s->domain[i]));
	if (s->nwithin > 0 && ge_site_label(t, "country") == NULL)
		return (ge_fail(e, GE_EUSAGE, "site '%s' lacks country",
		    t->name));
	return (differs(s, t, e));
}

static int
read_sites(struct ge_sites *s, struct reader *r, struct ge_err *e)
{
	size_t cap = 0;
	struct word w;
	int rc;

	while ((rc = next_line(r, e)) == 1) {
		if (!next_word(r, &w) || w.p[0] == '.')
			continue;
		if (s->n == GE_SITES_MAX)
			return (ge_fail(e, GE_EUSAGE, "more than %d sites",
			    GE_SITES_MAX));
		if (ge_grow(&s->site, &cap, s->n + 1, sizeof(*s->site), e) ==
		    -1)
			return (-1);
		memset(&s->site[s->n], 0, sizeof(*s->site));
		rc = site_line(s, &s->site[s->n], w, r, e);
		s->n++;
		if (rc == -1)
			return (-1);
	}
	return (rc);
}

int
ge_sites_parse(struct ge_sites *s, const char *buf, size_t len,
    struct ge_err *e)
{
	struct reader r;
	int rc;

	memset(s, 0, sizeof(*s));
	if (len > GE_SITES_BYTES)
		return (ge_fail(e, GE_EUSAGE, "longer than %d bytes",
		    GE_SITES_BYTES));
	r = (struct reader){ .at = buf, .end = buf + len };
	if ((rc = read_policy(s, &r, e)) == 0) {
		r = (struct reader){ .at = buf, .end = buf + len };
		rc = read_sites(s, &r, e);
	}
	if (rc == -1 && e->code == GE_EUSAGE)
		ge_within(e, "line %lu", r.line);
	if (rc == 0 && s->n == 0)
		return (ge_fail(e, GE_EUSAGE, "no site in it"));
	return (rc);
}

/* "~/x" is x in the home. */
static int
expand(char **path, struct ge_err *e)
{
	const char *home;
	size_t len;
	char *p;

	if (*path == NULL || strncmp(*path, "~/", 2) != 0)
		return (0);
	if ((home = getenv("HOME")) == NULL || home[0] != '/')
		return (ge_fail(e, GE_EUSAGE, "'%s': HOME is not set", *path));
	len = strlen(home);
	if ((p = ge_alloc(len + strlen(*path), e)) == NULL)
		return (-1);
	memcpy(p, home, len);
	memcpy(p + len, *path + 1, strlen(*path));
	ge_free(*path);
	*path = p;
	return (0);
}

static int
secret_file(const char *path, struct ge_err *e)
{
	struct stat st;

	if (path == NULL)
		return (0);
	if (stat(path, &st) == -1) {
		ge_failsys(e, "'%s'", path);
		e->code = GE_EUSAGE;
		return (-1);
	}
	if (st.st_mode & (S_IRGRP | S_IROTH))
		return (ge_fail(e, GE_EUSAGE, "'%s' is readable for others "
		    "(chmod 600)", path));
	return (0);
}

int
ge_sites_read(struct ge_sites *s, const char *path, struct ge_err *e)
{
	struct ge_site *t;
	uint8_t *buf;
	size_t len, i;
	int rc = -1;

	memset(s, 0, sizeof(*s));
	if (ge_slurp(path, GE_SITES_BYTES, &buf, &len, e) == -1)
		return (-1);
	if (ge_sites_parse(s, (const char *)buf, len, e) == -1) {
		ge_within(e, "'%s'", path);
		goto out;
	}
	if ((s->file = ge_strdup(path, e)) == NULL)
		goto out;
	for (i = 0; i < s->n; i++) {
		t = &s->site[i];
		if (expand(&t->ca, e) == -1 || expand(&t->key, e) == -1 ||
		    expand(&t->knownhosts, e) == -1 ||
		    expand(&t->netrc, e) == -1 ||
		    secret_file(t->key, e) == -1 ||
		    secret_file(t->netrc, e) == -1) {
			ge_within(e, "'%s': line %lu", path, t->line);
			goto out;
		}
	}
	rc = 0;
out:
	ge_free(buf);
	return (rc);
}

static void
release_words(char **w, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		ge_free(w[i]);
	ge_free(w);
}

void
ge_sites_release(struct ge_sites *s)
{
	struct ge_site *t;
	size_t i, j;

	for (i = 0; i < s->n; i++) {
		t = &s->site[i];
		for (j = 0; j < t->nlabels; j++) {
			ge_free(t->label[j].key);
			ge_free(t->label[j].value);
		}
		ge_free(t->label);
		ge_free(t->name);
		ge_free(t->user);
		ge_free(t->host);
		ge_free(t->path);
		ge_free(t->profile);
		ge_free(t->awsregion);
		ge_free(t->ca);
		ge_free(t->key);
		ge_free(t->knownhosts);
		ge_free(t->netrc);
	}
	ge_free(s->site);
	ge_free(s->file);
	release_words(s->domain, s->ndomains);
	release_words(s->within, s->nwithin);
	memset(s, 0, sizeof(*s));
}

int
ge_sites_find(const struct ge_sites *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->site[i].name, name) == 0)
			return ((int)i);
	return (-1);
}

const char *
ge_site_label(const struct ge_site *s, const char *key)
{
	size_t i;

	for (i = 0; i < s->nlabels; i++)
		if (strcmp(s->label[i].key, key) == 0)
			return (s->label[i].value);
	return (NULL);
}
