#include <sys/stat.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "remote.h"
#include "util/hook.h"
#include "util/io.h"
#include "util/mem.h"

static const char usage[] =
    "[-qtv] [-j n] [-m file] [-O name[=value]] [-V file] dir ...\n"
    "       gerepair -s sites [-qtv] [-j n] [-m file] [-O name[=value]] [-S file]\n"
    "                [-V file] [-x site]... [manifest | set | label]";

enum {
	LINE_MAX_BYTES = 16384
};

struct options {
	struct ge_mend m;
	int flags;
	struct remote r;		/* with -s */
	struct ge_heal h;
	int jobs;			/* -j was given */
	const char *set;		/* operand */
	const char *needs;		/* an option that wants -s */
};

static int
parse(struct options *o, int argc, char **argv, struct ge_err *e)
{
	int c, rc;

	while ((c = getopt(argc, argv, ":j:m:O:qS:s:tV:vx:")) != -1) {
		switch (c) {
		case 'O':
			if ((rc = cli_pin(&o->m.pins, optarg, e)) == -1)
				return (-1);
			if (rc == 1)
				break;
			if (strcmp(optarg, "blind") == 0) {
				o->m.blind = o->h.blind = 1;
				o->flags |= GE_PILE_NOSHARES;
				break;
			}
			if ((rc = remote_writer(&o->r, optarg, e)) != 1)
				return (rc == -1 ? -1 : cli_unknown(optarg, e));
			o->needs = "-O";
			break;
		case 'S':
		case 'x':
			o->needs = c == 'S' ? "-S" : "-x";
			/* FALLTHROUGH */
		case 's':
			if (remote_option(&o->r, c, e) == -1)
				return (-1);
			break;
		case 't':
			o->m.dry = o->h.dry = 1;
			break;
		case 'j':
			o->jobs = 1;
			/* FALLTHROUGH */
		default:
			if (cli_reader(c, &o->m.pins, &o->m.jobs, e) == -1)
				return (-1);
		}
	}
	if (cli_order(argc, argv, e) == -1)
		return (-1);
	if (o->r.path == NULL) {
		if (o->needs != NULL)
			return (ge_fail(e, GE_EUSAGE, "%s is for sites: name "
			    "them with -s", o->needs));
		if (optind == argc)
			return (ge_fail(e, GE_EUSAGE, "which folders? or name "
			    "sites with -s"));
		return (0);
	}
	if (cli_one_set(o->m.pins.manifest, argc - optind, e) == -1)
		return (-1);
	o->set = argc > optind ? argv[optind] : o->m.pins.manifest;
	if (o->jobs)
		o->r.jobs = o->m.jobs;
	return (0);
}

struct report {
	struct ge_report_line *line;
	size_t n, cap;
	int headed;			/* the first line was a report's */
};

static int
report_line(struct report *r, const char *line, size_t len, struct ge_err *e)
{
	struct ge_report_line l;
	int rc;

	if (!r->headed) {
		if (len < 7 || memcmp(line, "#status", 7) != 0)
			return (ge_fail(e, GE_EUSAGE, "not a report of "
			    "geverify (give </dev/null if none is meant)"));
		r->headed = 1;
		return (0);
	}
	if ((rc = ge_report_parse(&l, line, len, e)) != 1)
		return (rc);
	if (l.state == GE_STATE_OK)
		return (0);
	if (ge_grow(&r->line, &r->cap, r->n + 1, sizeof(l), e) == -1)
		return (-1);
	r->line[r->n++] = l;
	return (0);
}

/* The report on standard input, if that is a pipe or a file. */
static int
read_report(struct report *r, struct ge_err *e)
{
	char buf[LINE_MAX_BYTES], *nl;
	struct pollfd in = { .fd = 0, .events = POLLIN };
	size_t have = 0, got, len;
	struct stat st;

	if (fstat(0, &st) == -1 ||
	    (!S_ISFIFO(st.st_mode) && !S_ISREG(st.st_mode)))
		return (0);
	/* A file that is no report is somebody else's standard input. */
	if (S_ISREG(st.st_mode) &&
	    (pread(0, buf, 7, lseek(0, 0, SEEK_CUR)) != 7 ||
	    memcmp(buf, "#status", 7) != 0))
		return (0);
	if (S_ISFIFO(st.st_mode) && poll(&in, 1, 2000) == 0)
		ge_note(GE_WARN, "waiting for a report on standard input "
		    "(give </dev/null if none is meant)");
	do {
		if (ge_read(0, buf + have, sizeof(buf) - have, &got, e) == -1)
			return (-1);
		have += got;
		while ((nl = memchr(buf, '\n', have)) != NULL) {
			len = (size_t)(nl - buf);
			if (report_line(r, buf, len, e) == -1)
				return (-1);
			have -= len + 1;
			memmove(buf, nl + 1, have);
		}
		if (have == sizeof(buf))
			return (ge_fail(e, GE_EUSAGE, "line too long"));
	} while (got > 0);
	if (have > 0)
		return (ge_fail(e, GE_EUSAGE, "the report is cut short"));
	return (0);
}

static int
by_place(const void *a, const void *b)
{
	const struct ge_report_line *x = a, *y = b;

	if (x->segment != y->segment)
		return (x->segment < y->segment ? -1 : 1);
	return (x->index - y->index);
}

/* A report is about one set: that is a pin like any other. */
static int
pin_report(struct options *o, const struct report *r, struct ge_err *e)
{
	struct ge_pins *pins = &o->m.pins;
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (!pins->has_set) {
			memcpy(pins->set, r->line[i].setid, GE_SETID);
			pins->has_set = 1;
		} else if (memcmp(pins->set, r->line[i].setid, GE_SETID) != 0) {
			return (ge_fail(e, GE_EREFUSED, "the report is of "
			    "another set than the one named, or of several"));
		}
	}
	return (0);
}

/*
 * A report without a fragment says that all is whole, or that geverify was
 * refused, or killed: that is for us to find out.
 */
static int
take_report(struct options *o, struct report *r, struct ge_err *e)
{

	if (read_report(r, e) == -1)
		return (ge_within(e, "standard input"));
	if (r->n == 0)
		return (0);
	if (pin_report(o, r, e) == -1)
		return (-1);
	qsort(r->line, r->n, sizeof(*r->line), by_place);
	o->m.report = o->h.report = r->line;
	o->m.nreport = o->h.nreport = r->n;
	return (0);
}

static void
tell_done(const struct ge_heal *h)
{
	char bytes[32];

	if (h->audited > 0)
		cli_say("audit: %s read", cli_bytes(bytes, h->audited));
	if (h->adopted > 0)
		cli_say("%llu fragments were found at another place",
		    (unsigned long long)h->adopted);
	cli_say("%llu fragments rebuilt, %llu copied, %llu segments given new "
	    "shares", (unsigned long long)h->rebuilt,
	    (unsigned long long)h->copied, (unsigned long long)h->refreshed);
	if (h->destroyed > 0)
		cli_say("%llu old shares destroyed",
		    (unsigned long long)h->destroyed);
	cli_say("%llu bytes read, %llu written", (unsigned long long)h->read,
	    (unsigned long long)h->written);
}

static int
at_sites(struct options *o, struct ge_err *e)
{
	struct ge_known kn;
	int rc = -1;

	memset(&kn, 0, sizeof(kn));
	o->r.st.pins = o->m.pins;
	if (remote_open(&o->r, e) == -1)
		goto out;
	if (o->set == NULL && !o->m.pins.has_set) {
		ge_fail(e, GE_EUSAGE, "which set? name a manifest, a set or a "
		    "label, or pipe a report in");
		goto out;
	}
	if ((o->set != NULL ? ge_known_find(&o->r.st, o->set, &kn, e) :
	    ge_known_load(&o->r.st, o->m.pins.set, &kn, e)) == -1)
		goto out;
	if (o->h.dry)
		cli_finding_header(NULL);
	o->h.planned = cli_finding;
	rc = ge_heal_run(&o->h, &o->r.st, &kn, e);
	if (o->h.text != NULL && fwrite(o->h.text, 1, o->h.len, stdout) !=
	    o->h.len && rc == 0)
		rc = ge_failsys(e, "cannot write standard output");
	cli_flush();
	if (cli_verbosity() > 0 && !o->h.dry)
		tell_done(&o->h);
out:
	ge_free(o->h.text);
	ge_known_release(&kn);
	return (rc);
}

static int
in_folders(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct ge_pile *p;
	char bytes[32];
	int rc = -1;

	if ((p = ge_pile_new(o->flags | GE_PILE_DIRS, &o->m.pins, e)) == NULL ||
	    cli_operands(p, argc, argv, e) == -1)
		goto out;
	if (o->m.dry)
		cli_finding_header(NULL);
	o->m.planned = cli_finding;
	rc = ge_mend_run(&o->m, p, e);
	if (cli_verbosity() > 0 && (rc == 0 || e->code == GE_EDEGRADED))
		cli_say("%llu fragments rebuilt, %s written",
		    (unsigned long long)o->m.rebuilt,
		    cli_bytes(bytes, o->m.bytes));
out:
	ge_pile_free(p);
	return (rc);
}

static int
run(struct options *o, int argc, char **argv, struct ge_err *e)
{
	struct report r = { NULL, 0, 0, 0 };
	int rc = -1;

	if (take_report(o, &r, e) == 0)
		rc = o->r.path != NULL ? at_sites(o, e) :
		    in_folders(o, argc, argv, e);
	remote_close(&o->r);
	ge_free(r.line);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct ge_err e = { 0, 0, "" };

	cli_init(argc, argv, usage);
	memset(&o, 0, sizeof(o));
	o.m.jobs = cli_jobs();
	if (parse(&o, argc, argv, &e) == -1)
		return (cli_end(-1, &e));
	return (cli_end(run(&o, argc - optind, argv + optind, &e), &e));
}
