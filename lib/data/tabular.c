#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "data/tabular.h"
#include "data/unpack_int.h"
#include "util/hook.h"

enum {
	LEVELS = 2			/* archives in one another */
};

struct tables {
	struct ge_flow_sums sums;
	const struct ge_tables_fn *fn;
	void *arg;
	int told;			/* the error says where */
	uint64_t given, passed;
	char first[256];		/* entry that was passed over */
};

static int
ends(const char *name, size_t *len, const char *ending)
{
	size_t n = strlen(ending);

	if (*len <= n || strncasecmp(name + *len - n, ending, n) != 0)
		return (0);
	*len -= n;
	return (1);
}

/* Is the entry called as tables are? */
static int
named_table(const char *name)
{
	static const char *const packed[] = { ".gz", ".bz2", ".xz", ".zst",
	    ".lz4", ".lzma", ".lz", ".Z" };
	static const char *const table[] = { ".csv", ".tsv", ".tab", ".txt",
	    ".dat", ".data" };
	size_t len = strlen(name), i;

	for (i = 0; i < sizeof(packed) / sizeof(packed[0]); i++)
		if (ends(name, &len, packed[i]))
			break;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (ends(name, &len, table[i]))
			return (1);
	return (0);
}

static int
pass_over(struct tables *t, const char *name)
{

	ge_note(GE_SAY, "'%s': no table: passed over", name);
	if (t->passed++ == 0)
		snprintf(t->first, sizeof(t->first), "%s", name);
	return (0);
}

static int
told(struct tables *t, int rc)
{

	t->told |= rc == -1;
	return (rc);
}

static int
read_table(struct tables *t, struct ge_flow *f, const char *name,
    struct ge_err *e)
{
	const uint8_t *p;
	size_t n;

	t->given++;
	if (told(t, t->fn->begin(t->arg, name, e)) == -1)
		return (-1);
	for (;;) {
		if (ge_flow_pull(f, &p, &n, e) == -1)
			return (-1);
		if (n == 0)
			return (told(t, t->fn->end(t->arg, e)));
		if (told(t, t->fn->push(t->arg, p, n, e)) == -1 ||
		    told(t, ge_hook_tick(n, e)) == -1)
			return (-1);
	}
}

/* Text that a NUL is in only behind a whole line: whoever reads it says where. */
static int
broken_text(const struct ge_flow *f)
{
	const uint8_t *nul = memchr(f->head, 0, f->nhead);
	size_t n = nul != NULL ? (size_t)(nul - f->head) : f->nhead;

	return (nul == NULL || (memchr(f->head, '\n', n) != NULL &&
	    ge_flow_text(f->head, n)));
}

/* What is neither text at first sight nor an archive. */
static int
read_other(struct tables *t, struct ge_flow *f, const char *name, int level,
    struct ge_err *e)
{

	if (!f->hole && broken_text(f))
		return (read_table(t, f, name, e));
	if (level > 0)
		return (pass_over(t, name));
	return (ge_fail(e, GE_EREFUSED, "neither a table nor an archive"));
}

static int read_flow(struct tables *t, struct ge_flow *f, const char *name,
    int level, struct ge_err *e);

static int
read_archive(struct tables *t, struct ge_flow *f, const char *name, int level,
    struct ge_err *e)
{
	struct ge_unpack u;
	int rc;

	rc = ge_unpack_open(&u, f, e) == -1 ? -1 : ge_unpack_next(&u, e);
	for (; rc == 1; rc = rc == 0 ? ge_unpack_next(&u, e) : -1) {
		if (ge_unpack_raw(&u))
			rc = ge_flow_peek(&u.flow, e) == -1 ? -1 :
			    read_other(t, &u.flow, name, level, e);
		else
			rc = read_flow(t, &u.flow, ge_unpack_name(&u),
			    level + 1, e);
	}
	if (rc == 0 && level > 0 && u.entries == 0)
		rc = pass_over(t, name);
	ge_unpack_release(&u);
	return (rc);
}

/* level: of archives around it. */
static int
read_flow(struct tables *t, struct ge_flow *f, const char *name, int level,
    struct ge_err *e)
{
	int rc = -1;

	if (ge_flow_peek(f, e) == 0) {
		if (!f->hole && ge_flow_text(f->head, f->nhead))
			rc = level == 0 || named_table(name) ?
			    read_table(t, f, name, e) : pass_over(t, name);
		else if (!f->hole && level < LEVELS)
			rc = read_archive(t, f, name, level, e);
		else
			rc = read_other(t, f, name, level, e);
	}
	if (rc == -1 && !t->told) {
		ge_within(e, "'%s'", name);
		t->told = 1;
	}
	return (rc);
}

int
ge_tables_read(int fd, const char *name, const struct ge_docs_caps *caps,
    const struct ge_tables_fn *fn, void *arg, struct ge_err *e)
{
	struct tables t = { .sums = { .caps = caps }, .fn = fn, .arg = arg };
	struct ge_flow f;
	int rc;

	if (ge_flow_open(&f, &t.sums, fd, e) == -1)
		return (-1);
	f.live = f.pipe;
	rc = read_flow(&t, &f, name, 0, e);
	/* What writes to a pipe may go on behind the archive's end. */
	if (rc == 0 && f.pipe && (rc = ge_flow_drain(&f, e)) == -1)
		ge_within(e, "'%s'", name);
	if (rc == 0 && t.passed > 0)
		ge_note(GE_WARN, "'%s': entries passed over, as they are no "
		    "tables: %lu, the first '%s'", name,
		    (unsigned long)t.passed, t.first);
	if (rc == 0 && t.given == 0)
		rc = ge_fail(e, GE_EUSAGE, "'%s': no table", name);
	ge_flow_release(&f);
	return (rc);
}
