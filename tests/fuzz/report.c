/*
 * Lines of a report: one that names a fragment begins with just what was read.
 */
#include <string.h>

#include "frag/frag.h"
#include "fuzz.h"
#include "util/num.h"

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	const char *p = (const char *)buf, *end = p + len, *stop;
	char again[128], id[2 * GE_SETID + 1];
	struct ge_report_line l;
	struct ge_err e;
	size_t n;
	int rc;

	for (; p < end; p = stop + 1) {
		if ((stop = memchr(p, '\n', (size_t)(end - p))) == NULL)
			stop = end;
		e.code = 0;
		rc = ge_report_parse(&l, p, (size_t)(stop - p), &e);
		must(rc == 1 || rc == 0 || (rc == -1 && e.code == GE_EUSAGE),
		    "status");
		if (rc != 1)
			continue;
		must(l.index >= 0 && l.index < GE_N_MAX, "index");
		n = (size_t)snprintf(again, sizeof(again), "%s\t%s\t%lu\t%d\t",
		    ge_state_name(l.state), ge_hex(id, l.setid, GE_SETID),
		    (unsigned long)l.segment, l.index);
		must((size_t)(stop - p) >= n && memcmp(p, again, n) == 0,
		    "the same line again");
	}
	return (0);
}
