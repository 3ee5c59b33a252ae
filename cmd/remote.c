#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "remote.h"
#include "seal/seal.h"
#include "util/hook.h"
#include "util/mem.h"

int
remote_option(struct remote *r, int c, struct ge_err *e)
{

	switch (c) {
	case 'j':
		return (cli_number("-j", optarg, 1, 64, &r->jobs, e) == -1 ?
		    -1 : 1);
	case 'S':
		if (cli_once("-S", r->signkey, e) == -1 || (r->signkey =
		    ge_secret_alloc(GE_KEY, e)) == NULL)
			return (-1);
		return (ge_pem_ed25519_private(r->signkey, optarg, e) == -1 ?
		    -1 : 1);
	case 's':
		if (cli_once("-s", r->path, e) == -1)
			return (-1);
		r->path = optarg;
		return (strcmp(optarg, "-") == 0 ? ge_fail(e, GE_EUSAGE,
		    "-s -: the sites file is never the standard input") : 1);
	case 'V':
		r->st.pins.has_signer = 1;
		return (ge_pem_ed25519_public(r->st.pins.signer, optarg, e) ==
		    -1 ? -1 : 1);
	case 'x':
		if (r->naway == sizeof(r->away) / sizeof(r->away[0]))
			return (ge_fail(e, GE_EUSAGE, "-x: too many sites"));
		r->away[r->naway++] = optarg;
		return (1);
	}
	return (0);
}

/* An empty path is a variable that was not set, not the root. */
static int
named(const char *opt, const char *path, struct ge_err *e)
{

	return (path[0] == '\0' ? ge_fail(e, GE_EUSAGE, "%s: its path is "
	    "missing", opt) : 1);
}

int
remote_writer(struct remote *r, const char *arg, struct ge_err *e)
{

	if (strcmp(arg, "s3-unsigned") != 0)
		return (remote_rare(r, arg, e));
	r->conf.s3unsigned = 1;
	return (1);
}

int
remote_rare(struct remote *r, const char *arg, struct ge_err *e)
{
	static const struct {
		const char *name;
		size_t at;
		double min, max;
	} seconds[] = {
		{ "connect", offsetof(struct ge_net_conf, connect), 0.1, 3600 },
		{ "stall", offsetof(struct ge_net_conf, stall), 0.1, 3600 },
		{ "total", offsetof(struct ge_net_conf, total), 1, 1e6 }
	};
	const char *v;
	size_t i;
	int rc;

	if ((rc = cli_pin(&r->st.pins, arg, e)) != 0)
		return (rc);
	for (i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
		if ((v = cli_option(arg, seconds[i].name)) != NULL)
			return (cli_fraction(seconds[i].name, v,
			    seconds[i].min, seconds[i].max,
			    (double *)(void *)((char *)&r->conf +
			    seconds[i].at), e) == -1 ? -1 : 1);
	if ((v = cli_option(arg, "ca")) != NULL) {
		r->conf.ca = v;
		return (named("ca", v, e));
	}
	if ((v = cli_option(arg, "state")) != NULL) {
		r->state = v;
		return (named("state", v, e));
	}
	if ((v = cli_option(arg, "tries")) != NULL)
		return (cli_number("tries", v, 1, 20, &r->conf.tries, e) == -1 ?
		    -1 : 1);
	return (0);
}

/*
 * Where serials are remembered: as the XDG base directories say.  A home that is
 * not there is not made.
 */
static int
state_dir(struct remote *r, struct ge_err *e)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const char *base = r->state, *below = "";
	char *dir;
	size_t len;

	if (base == NULL && xdg != NULL && xdg[0] == '/') {
		base = xdg;
		below = "/getools";
	} else if (base == NULL && home != NULL && home[0] == '/' &&
	    access(home, F_OK) == 0) {
		base = home;
		below = "/.local/state/getools";
	}
	if (base == NULL) {
		ge_note(GE_WARN, "an older manifest will not be noticed: "
		    "neither XDG_STATE_HOME nor HOME is a place to remember "
		    "serials (or name one with -O state=dir)");
		return (0);
	}
	len = strlen(base) + strlen(below) + 1;
	if ((dir = ge_alloc(len, e)) == NULL)
		return (-1);
	snprintf(dir, len, "%s%s", base, below);
	r->st.state = dir;
	return (0);
}

int
remote_open(struct remote *r, struct ge_err *e)
{
	size_t i;
	int site;

	if (r->path == NULL)
		return (ge_fail(e, GE_EUSAGE, "-s sites: which sites?"));
	if (ge_sites_read(&r->sites, r->path, e) == -1)
		return (-1);
	r->st.sites = &r->sites;
	r->st.signkey = r->signkey;
	if ((r->st.gone = ge_alloc(r->sites.n, e)) == NULL)
		return (-1);
	for (i = 0; i < r->naway; i++) {
		if ((site = ge_sites_find(&r->sites, r->away[i])) == -1)
			return (ge_fail(e, GE_EUSAGE, "-x '%s': '%s' has no "
			    "such site", r->away[i], r->path));
		r->st.gone[site] = 1;
	}
	if (state_dir(r, e) == -1)
		return (-1);
	r->conf.jobs = r->jobs != 0 ? r->jobs :
	    r->sites.n < 32 ? 2 * (int)r->sites.n : 64;
	return ((r->st.net = ge_net_open(&r->sites, &r->conf, e)) == NULL ?
	    -1 : 0);
}

void
remote_close(struct remote *r)
{

	if (r->st.net != NULL)
		ge_net_close(r->st.net);
	ge_sites_release(&r->sites);
	ge_free(r->st.gone);
	ge_free((void *)(uintptr_t)r->st.state);
	if (r->signkey != NULL)
		ge_secret_free(r->signkey, GE_KEY);
	memset(r, 0, sizeof(*r));
}
