#include <string.h>
#include <strings.h>

#include "data/tabular.h"
#include "data/walk_int.h"
#include "util/hook.h"

struct tables {
	struct ge_walk walk;
	const struct ge_tables_fn *fn;
	void *arg;
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

/* Whoever is called says where. */
static int
told(struct tables *t, int rc)
{

	if (rc == -1)
		t->walk.told = GE_WALK_STOPPED;
	return (rc);
}

static int
read_table(void *arg, struct ge_flow *f, const char *name, struct ge_err *e)
{
	struct tables *t = arg;
	const uint8_t *p;
	size_t n;

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

int
ge_tables_read(int fd, const char *name, const struct ge_docs_caps *caps,
    const struct ge_tables_fn *fn, void *arg, struct ge_err *e)
{
	struct tables t = { .fn = fn, .arg = arg, .walk = {
		.sums = { .caps = caps }, .a = "a table", .none = "no table",
		.live = 1, .read = read_table, .perhaps = broken_text,
		.wanted = named_table
	} };

	t.walk.arg = &t;
	return (ge_walk_read(&t.walk, fd, name, e));
}
