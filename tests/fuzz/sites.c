/*
 * Sites files: what is accepted keeps the limits of gesites(5), and what is not
 * is the user's mistake, told in one line.
 */
#include <string.h>

#include "fuzz.h"
#include "site/site.h"

static void
check_path(const struct ge_site *t)
{
	size_t len = strlen(t->path);
	const char *p;

	must(len <= 800 && (len == 0 || (t->path[0] == '/' &&
	    t->path[len - 1] != '/')), "ends of the path");
	must(strstr(t->path, "//") == NULL && strstr(t->path, "/./") == NULL &&
	    strstr(t->path, "/../") == NULL, "parts of the path");
	must(len < 3 || strcmp(t->path + len - 3, "/..") != 0, "'..'");
	for (p = t->path; *p != '\0'; p++)
		must((unsigned char)*p >= 0x20 && *p != 0x7f, "control byte");
}

static void
check_site(const struct ge_sites *s, const struct ge_site *t)
{
	size_t i, len = strlen(t->name);

	must(len >= 1 && len <= 63 && strchr("._-", t->name[0]) == NULL,
	    "name");
	must(&s->site[ge_sites_find(s, t->name)] == t, "name twice");
	must((t->host == NULL) == (t->transport == GE_SITE_FILE), "host");
	must(t->user == NULL || t->transport == GE_SITE_SFTP, "user");
	must(t->port >= 0 && t->port <= 65535, "port");
	must(t->weight >= 0 && t->weight <= 1e6, "weight");
	must(t->part == 0 || t->part >= 65536, "part");
	check_path(t);
	for (i = 0; i < s->ndomains; i++)
		must(ge_site_label(t, s->domain[i]) != NULL, "domain");
	must(s->nwithin == 0 || strlen(ge_site_label(t, "country")) == 2,
	    "country");
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct ge_sites s;
	struct ge_err e;
	size_t i;

	e.code = 0;
	if (ge_sites_parse(&s, (const char *)buf, len, &e) == 0) {
		must(s.n >= 1 && s.n <= GE_SITES_MAX, "number of sites");
		for (i = 0; i < s.n; i++)
			check_site(&s, &s.site[i]);
	} else {
		must(e.code == GE_EUSAGE && e.msg[0] != '\0',
		    "code of a bad file");
	}
	ge_sites_release(&s);
	return (0);
}
