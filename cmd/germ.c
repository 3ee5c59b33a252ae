#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "remote.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/num.h"

static const char usage[] =
    "-s sites [-fqtv] [-j n] [-O name[=value]] [-V file] [-x site]...\n"
    "            set | label | manifest ...";

struct options {
	struct remote r;
	int force, dry, shares;
	int tty;			/* -1: not asked */
	/* Of the set in hand. */
	char id[2 * GE_SETID + 1];
	const char *label;		/* or NULL */
	struct ge_err err;		/* the question could not be asked */
};

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c, rc;

	while ((c = getopt(argc, argv, ":fj:O:qs:tV:vx:")) != -1) {
		rc = 1;
		switch (c) {
		case 'f':
			o->force = 1;
			break;
		case 'O':
			if (strcmp(optarg, "shares") == 0)
				o->shares = 1;
			else if ((rc = remote_rare(&o->r, optarg, e)) == 0)
				rc = cli_unknown(optarg, e);
			break;
		case 'q':
			cli_quiet();
			break;
		case 't':
			o->dry = 1;
			break;
		case 'v':
			cli_verbose();
			break;
		default:
			if ((rc = remote_option(&o->r, c, e)) == 0)
				cli_usage(c);
		}
		if (rc == -1)
			return (-1);
	}
	if (cli_order(argc, argv, e) == -1)
		return (-1);
	if (optind == argc) {
		optopt = 0;
		cli_usage(0);
	}
	return (0);
}

static void
removed(void *arg, const char *site, const char *name, const char *why)
{
	struct options *o = arg;
	char detail[1024];

	if (why == NULL && !o->dry && cli_verbosity() == 0)
		return;
	if (why == NULL)
		strcpy(detail, "-");
	else if (ge_percent(detail, sizeof(detail), why, strlen(why), 1) == -1)
		strcpy(detail, "?");
	printf("%s\t%s\t%s\t%s\t%s\n", why != NULL ? "left" : o->dry ?
	    "listed" : "removed", o->id, site, name, detail);
}

/* The first letter of what is typed. */
static int
answer(const struct options *o, struct ge_err *e)
{
	char c = '\n', first = '\n';
	size_t got;

	do {
		if (ge_read(o->tty, &c, 1, &got, e) == -1)
			return (-1);
		if (first == '\n' && got == 1)
			first = c;
	} while (got == 1 && c != '\n');
	return (first);
}

/* What there is to lose, before the question. */
static void
tell_terminal(const struct options *o, const struct ge_erase *r)
{
	const struct ge_sites *sites = &o->r.sites;
	char bytes[32];
	size_t i;

	dprintf(o->tty, "set %s", o->id);
	if (o->label != NULL)
		dprintf(o->tty, " '%s'", o->label);
	dprintf(o->tty, ": %llu fragment%s, %s, at %d site%s",
	    (unsigned long long)r->found, cli_plural(r->found),
	    cli_bytes(bytes, r->bytes), r->sites,
	    cli_plural((uint64_t)r->sites));
	for (i = 0; i < sites->n; i++)
		if (r->holds[i])
			dprintf(o->tty, " %s", sites->site[i].name);
	if (r->unanswered > 0)
		dprintf(o->tty, "; sites that did not answer, and keep what "
		    "they hold: %d", r->unanswered);
	dprintf(o->tty, "\n");
}

static int
ask(void *arg, const struct ge_erase *r)
{
	struct options *o = arg;
	const char *question = o->shares ? "make it unreadable for good? "
	    "[y/N] " : "remove it for good? [y/N] ";
	int c;

	cli_flush();
	tell_terminal(o, r);
	if (ge_write(o->tty, question, strlen(question), &o->err) == -1 ||
	    (c = answer(o, &o->err)) == -1)
		return (0);
	return (c == 'y' || c == 'Y');
}

static int
run_one(struct options *o, const char *operand, struct ge_err *e)
{
	const struct ge_pins *pins = &o->r.st.pins;
	struct ge_known kn;
	struct ge_erase er;
	int rc = -1;

	memset(&er, 0, sizeof(er));
	if (ge_known_find(&o->r.st, operand, &kn, e) == -1) {
		/* What is named in full goes, whatever its manifests say. */
		if (e->code != GE_EREFUSED || pins->has_signer ||
		    pins->has_digest || !kn.full)
			goto out;
		ge_note(GE_WARN, "set %s: %s", ge_hex(o->id, kn.setid,
		    GE_SETID), e->msg);
	} else {
		er.k = kn.has ? kn.m.k : 0;
		er.n = kn.has ? kn.m.n : 0;
		o->label = kn.has ? kn.m.name : NULL;
	}
	if (pins->has_set && memcmp(kn.setid, pins->set, GE_SETID) != 0) {
		ge_fail(e, GE_EREFUSED, "'%s': another set than the one named",
		    operand);
		goto out;
	}
	ge_hex(o->id, kn.setid, GE_SETID);
	er.dry = o->dry;
	er.shares = o->shares;
	er.ask = o->force || o->dry ? NULL : ask;
	er.removed = removed;
	er.arg = o;
	rc = ge_erase_run(&er, &o->r.st, kn.setid, e);
	cli_flush();
	if (rc == -1 && o->err.code != 0)
		*e = o->err;
	if (er.found == 0 && er.sites == 0 && rc == 0)
		ge_note(GE_WARN, "set %s: no site lists anything of it", o->id);
	else if (rc == 0)
		ge_note(GE_SAY, "set %s: %s: %llu", o->id, o->dry ?
		    "would be removed" : "objects removed",
		    (unsigned long long)(o->dry ? er.found : er.objects));
out:
	o->label = NULL;
	ge_known_release(&kn);
	return (rc);
}

static int
run(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct ge_err one = { 0, 0, "" };
	int i, rc = -1, failed = 0;

	if (!o->force && !o->dry && (o->tty = open("/dev/tty",
	    O_RDWR | O_CLOEXEC | O_NOCTTY)) == -1) {
		ge_fail(e, GE_EUSAGE, "not a terminal: -f removes without "
		    "asking");
		goto out;
	}
	if (remote_open(&o->r, e) == -1)
		goto out;
	printf("#status\tset\tsite\tobject\tdetail\n");
	for (i = 0; i < argc; i++) {
		if (run_one(o, argv[i], &one) == 0)
			continue;
		/* The last message is main's. */
		if (failed++ > 0)
			cli_say("%s", e->msg);
		if (cli_worse(e->code, one.code))
			one.code = e->code;
		*e = one;
		if (ge_hook_tick(0, &one) == -1)
			break;
	}
	rc = failed > 0 ? -1 : 0;
out:
	remote_close(&o->r);
	if (o->tty != -1)
		close(o->tty);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct ge_err e = { 0, 0, "" };

	cli_init(argc, argv, usage);
	memset(&o, 0, sizeof(o));
	o.tty = -1;
	if (parse(&o, argc, argv, &e) == -1) {
		remote_close(&o.r);
		return (cli_end(-1, &e));
	}
	return (cli_end(run(&o, argc - optind, argv + optind, &e), &e));
}
