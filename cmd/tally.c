#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "tally.h"
#include "util/num.h"

void
tally_finding(struct tally *t, const struct ge_finding *f)
{

	t->count[f->state]++;
}

static uint64_t
fragments(const struct tally *t)
{
	uint64_t sum = 0;
	int s;

	for (s = 0; s < GE_STATES; s++)
		sum += t->count[s];
	return (sum);
}

static void
summary_sites(const struct tally *t)
{
	char got[32];

	if (t->strays > 0)
		cli_say("names at the sites that are nothing of the set: %"
		    PRIu64, t->strays);
	cli_say("%s received", cli_bytes(got, t->received));
	if (t->spare < 0 || t->spare_sites < 0)
		return;
	cli_say("%d more site%s may vanish, whichever they are",
	    t->spare_sites, cli_plural((uint64_t)t->spare_sites));
	if (t->worst_label != NULL && t->spare_domains >= 0)
		cli_say("all sites of %d more domain%s (%s) may vanish",
		    t->spare_domains, cli_plural((uint64_t)t->spare_domains),
		    t->worst_label);
}

void
tally_summary(const struct tally *t, const struct assumptions *as)
{
	uint64_t all = fragments(t), whole;
	char id[2 * GE_SETID + 1], length[32], stored[32];
	double share, p;

	if (!t->chosen || t->n == 0)
		return;
	whole = t->count[GE_STATE_OK] + t->count[GE_STATE_MISPLACED];
	cli_say("set %s: %s in %" PRIu64 " segment%s, any %d of %d fragments",
	    ge_hex(id, t->setid, GE_SETID), cli_bytes(length, t->length),
	    t->nsegments, cli_plural(t->nsegments), t->k, t->n);
	if (t->checked < t->blocks && t->confidence > 0)
		cli_say("sampled %" PRIu64 " of %" PRIu64 " blocks; %" PRIu64
		    " of %" PRIu64 " fragments showed no damage in them",
		    t->checked, t->blocks, whole, all);
	else
		cli_say("%" PRIu64 " of %" PRIu64 " fragments whole; %"
		    PRIu64 " of %" PRIu64 " blocks read", whole, all,
		    t->checked, t->blocks);
	if (t->count[GE_STATE_MISPLACED] > 0)
		cli_say("whole, but not where they should be: %" PRIu64,
		    t->count[GE_STATE_MISPLACED]);
	if (t->blind)
		cli_say("key shares were not checked");
	if (t->confidence > 0 && t->checked > 0 && t->checked < t->blocks) {
		share = -expm1(log1p(-t->confidence) / (double)t->checked);
		cli_say("had %.3g %% of the blocks been damaged, this sample "
		    "would have shown it with probability %g", 100 * share,
		    t->confidence);
	}
	if (t->remote)
		summary_sites(t);
	if (t->spare < 0) {
		cli_say(t->status == GE_EFAIL ? "some segments cannot be "
		    "rebuilt from what can be reached now" : "LOST: some "
		    "segments cannot be rebuilt from what is here");
		return;
	}
	cli_say("%d more of the %d fragments of each segment may be lost; "
	    "%s stored, %.2f times the data (three replicas: 3.00)",
	    t->spare, t->n, cli_bytes(stored, t->stored), t->length > 0 ?
	    (double)t->stored / (double)t->length : 0.0);
	p = ge_durability(t->k, t->n, t->worst, as->afr, as->days, as->common);
	cli_say("durability of the weakest segment: %.1f nines (chance of loss "
	    "in a year %.1e), if each of its fragments has a site of its own, "
	    "a site is lost at %g a year, losses are repaired every %g days, "
	    "and a common cause ends all at %g a year",
	    -log10(p), p, as->afr, as->days, as->common);
}

/* A string in quotes: JSON knows only Unicode, and we may not. */
static void
json_string(FILE *out, const char *s)
{

	putc('"', out);
	for (; *s != '\0'; s++)
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s < ' ' || *s > '~')
			fputs("\\ufffd", out);
		else
			putc(*s, out);
	putc('"', out);
}

static void
json_escaped(FILE *out, const char *s, int keepblank)
{
	char buf[4096];

	if (ge_percent(buf, sizeof(buf), s, strlen(s), keepblank) == -1)
		strcpy(buf, "?");
	json_string(out, buf);
}

void
json_finding(FILE *out, const struct ge_finding *f)
{
	char id[2 * GE_SETID + 1];

	fprintf(out, "{\"type\":\"fragment\",\"status\":\"%s\"",
	    ge_state_name(f->state));
	if (f->known)
		fprintf(out, ",\"set\":\"%s\",\"segment\":%lu,\"index\":%d",
		    ge_hex(id, f->setid, GE_SETID), (unsigned long)f->segment,
		    f->index);
	fputs(",\"site\":", out);
	json_escaped(out, f->site, 0);
	fputs(",\"detail\":", out);
	json_escaped(out, f->detail, 1);
	fputs("}\n", out);
}

void
json_tally(FILE *out, const struct tally *t)
{
	char id[2 * GE_SETID + 1];
	int s;

	fprintf(out, "{\"type\":\"set\",\"status\":%d", t->status);
	if (t->message[0] != '\0') {
		fputs(",\"message\":", out);
		json_string(out, t->message);
	}
	fprintf(out, ",\"time\":%" PRId64 ",\"seconds\":%.3f", t->time,
	    t->seconds);
	if (t->what != NULL) {
		fputs(",\"named\":", out);
		json_escaped(out, t->what, 1);
	}
	if (!t->chosen) {
		fputs("}\n", out);
		return;
	}
	fprintf(out, ",\"set\":\"%s\"", ge_hex(id, t->setid, GE_SETID));
	if (t->label != NULL) {
		fputs(",\"label\":", out);
		json_string(out, t->label);
	}
	fprintf(out, ",\"k\":%d,\"n\":%d,\"segments\":%" PRIu64 ",\"length\":%"
	    PRIu64 ",\"stored\":%" PRIu64 ",\"fragments\":{", t->k, t->n,
	    t->nsegments, t->length, t->stored);
	for (s = 0; s < GE_STATES; s++)
		fprintf(out, "%s\"%s\":%" PRIu64, s > 0 ? "," : "",
		    ge_state_name((enum ge_state)s), t->count[s]);
	fprintf(out, "},\"blocks\":%" PRIu64 ",\"checked\":%" PRIu64
	    ",\"spare\":%d", t->blocks, t->checked, t->spare);
	if (t->confidence > 0)
		fprintf(out, ",\"confidence\":%g", t->confidence);
	if (t->remote) {
		fprintf(out, ",\"spare_sites\":%d", t->spare_sites);
		if (t->worst_label != NULL) {
			fprintf(out, ",\"spare_domains\":%d,\"domain\":",
			    t->spare_domains);
			json_string(out, t->worst_label);
		}
		fprintf(out, ",\"manifests_missing\":%" PRIu64
		    ",\"leftovers\":%" PRIu64 ",\"received\":%" PRIu64,
		    t->manifests, t->strays, t->received);
	}
	fputs("}\n", out);
}

/*
 * Prometheus: all samples of a metric stand together.
 */
enum metric {
	STATUS, TIME, SECONDS,
	FRAGMENTS,			/* from here on of sets that are known */
	SPARE, LENGTH, STORED, BLOCKS, CHECKED,
	SITES,				/* from here on at the sites */
	DOMAINS, MANIFESTS, LEFTOVERS, RECEIVED
};

static const struct {
	const char *name, *help;
} metric[] = {
	{ "ge_audit_status", "Exit status of the audit, as in ge(7)." },
	{ "ge_audit_timestamp_seconds", "When the audit ended." },
	{ "ge_audit_duration_seconds", "How long the audit took." },
	{ "ge_fragments", "Fragments by what the audit found them to be." },
	{ "ge_spare_fragments", "Fragments of the worst segment that may "
	    "still be lost, -1 if it is." },
	{ "ge_data_bytes", "Length of the data." },
	{ "ge_stored_bytes", "Length of all fragments." },
	{ "ge_blocks", "Blocks of the fragments that were found." },
	{ "ge_blocks_checked", "Blocks read and checked." },
	{ "ge_spare_sites", "Sites that may still vanish, whichever they "
	    "are." },
	{ "ge_spare_domains", "Values of the worst domain label that may "
	    "still vanish." },
	{ "ge_manifests_missing", "Sites that answer and lack the manifest." },
	{ "ge_leftovers", "Names at the sites that are nothing of the set." },
	{ "ge_received_bytes", "Bytes fetched from the sites." }
};

static double
value(const struct tally *t, enum metric m)
{

	switch (m) {
	case STATUS:
		return (t->status);
	case TIME:
		return ((double)t->time);
	case SECONDS:
		return (t->seconds);
	case SPARE:
		return (t->spare);
	case LENGTH:
		return ((double)t->length);
	case STORED:
		return ((double)t->stored);
	case BLOCKS:
		return ((double)t->blocks);
	case CHECKED:
		return ((double)t->checked);
	case SITES:
		return (t->spare_sites);
	case DOMAINS:
		return (t->spare_domains);
	case MANIFESTS:
		return ((double)t->manifests);
	case LEFTOVERS:
		return ((double)t->strays);
	case RECEIVED:
		return ((double)t->received);
	case FRAGMENTS:
		break;
	}
	return (0);
}

static void
prometheus_text(FILE *out, const char *name, const char *v)
{

	fprintf(out, "%s=\"", name);
	for (; *v != '\0'; v++) {
		if (*v == '"' || *v == '\\')
			putc('\\', out);
		putc(*v, out);
	}
	putc('"', out);
}

static void
prometheus_sample(FILE *out, const struct tally *t, enum metric m,
    const char *label, const char *lv, double v)
{
	char id[2 * GE_SETID + 1] = "", what[4096] = "";

	if (t->chosen)
		ge_hex(id, t->setid, GE_SETID);
	else if (t->what != NULL && ge_percent(what, sizeof(what), t->what,
	    strlen(t->what), 1) == -1)
		strcpy(what, "?");
	fprintf(out, "%s{", metric[m].name);
	prometheus_text(out, "set", id);
	putc(',', out);
	/* The manifest's label is escaped already. */
	prometheus_text(out, "label", t->label != NULL ? t->label : what);
	if (label != NULL) {
		putc(',', out);
		prometheus_text(out, label, lv);
	}
	fprintf(out, "} %.15g\n", v);
}

void
prometheus(FILE *out, const struct tally *t, size_t n)
{
	size_t i;
	int m, s, any;

	for (m = STATUS; m <= RECEIVED; m++) {
		for (any = 0, i = 0; i < n; i++) {
			if ((m >= FRAGMENTS && !t[i].chosen) ||
			    (m >= SITES && !t[i].remote) ||
			    (m == DOMAINS && t[i].worst_label == NULL))
				continue;
			if (!any++)
				fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n",
				    metric[m].name, metric[m].help,
				    metric[m].name);
			if (m == DOMAINS)
				prometheus_sample(out, &t[i], DOMAINS,
				    "domain", t[i].worst_label,
				    value(&t[i], DOMAINS));
			else if (m != FRAGMENTS)
				prometheus_sample(out, &t[i], (enum metric)m,
				    NULL, NULL, value(&t[i], (enum metric)m));
			for (s = 0; m == FRAGMENTS && s < GE_STATES; s++)
				prometheus_sample(out, &t[i], FRAGMENTS,
				    "state", ge_state_name((enum ge_state)s),
				    (double)t[i].count[s]);
		}
	}
}
