#include <stdio.h>

#include "data/walk_int.h"
#include "util/hook.h"

enum {
	LEVELS = 2			/* archives in one another */
};

static int
pass_over(struct ge_walk *w, const char *name)
{

	ge_note(GE_SAY, "'%s': %s: passed over", name, w->none);
	if (w->passed++ == 0)
		snprintf(w->first, sizeof(w->first), "%s", name);
	return (0);
}

static int
read_text(struct ge_walk *w, struct ge_flow *f, const char *name,
    struct ge_err *e)
{

	w->given++;
	return (w->read(w->arg, f, name, e));
}

/* What is neither text at first sight nor an archive. */
static int
read_other(struct ge_walk *w, struct ge_flow *f, const char *name, int level,
    struct ge_err *e)
{

	if (!f->hole && w->perhaps(f))
		return (read_text(w, f, name, e));
	if (level > 0)
		return (pass_over(w, name));
	return (ge_fail(e, GE_EREFUSED, "neither %s nor an archive", w->a));
}

static int read_flow(struct ge_walk *w, struct ge_flow *f, const char *name,
    int level, struct ge_err *e);

static int
read_archive(struct ge_walk *w, struct ge_flow *f, const char *name,
    int level, struct ge_err *e)
{
	struct ge_unpack u;
	int rc;

	rc = ge_unpack_open(&u, f, e) == -1 ? -1 : ge_unpack_next(&u, e);
	for (; rc == 1; rc = rc == 0 ? ge_unpack_next(&u, e) : -1) {
		if (ge_unpack_raw(&u))
			rc = ge_flow_peek(&u.flow, e) == -1 ? -1 :
			    read_other(w, &u.flow, name, level, e);
		else
			rc = read_flow(w, &u.flow, ge_unpack_name(&u),
			    level + 1, e);
	}
	if (rc == 0 && level > 0 && u.entries == 0)
		rc = pass_over(w, name);
	ge_unpack_release(&u);
	return (rc);
}

/* level: of archives around it. */
static int
read_flow(struct ge_walk *w, struct ge_flow *f, const char *name, int level,
    struct ge_err *e)
{
	int rc = -1;

	if (ge_flow_peek(f, e) == 0) {
		if (!f->hole && ge_flow_text(f->head, f->nhead))
			rc = level == 0 || w->wanted == NULL ||
			    w->wanted(name) ? read_text(w, f, name, e) :
			    pass_over(w, name);
		else if (!f->hole && level < LEVELS)
			rc = read_archive(w, f, name, level, e);
		else
			rc = read_other(w, f, name, level, e);
	}
	if (rc == -1 && w->told == GE_WALK_NOT)
		ge_within(e, "'%s'", name);
	if (w->told == GE_WALK_NAMED)
		w->told = GE_WALK_NOT;
	return (rc);
}

int
ge_walk_read(struct ge_walk *w, int fd, const char *name, struct ge_err *e)
{
	struct ge_flow f;
	int rc;

	if (ge_flow_open(&f, &w->sums, fd, e) == -1)
		return (-1);
	f.live = w->live && f.pipe;
	rc = read_flow(w, &f, name, 0, e);
	/* What writes to a pipe may go on behind the archive's end. */
	if (rc == 0 && f.pipe && (rc = ge_flow_drain(&f, e)) == -1)
		ge_within(e, "'%s'", name);
	if (rc == 0 && w->passed > 0)
		ge_note(GE_WARN, "'%s': entries passed over, as %s: %lu, the "
		    "first '%s'", name, w->none, (unsigned long)w->passed,
		    w->first);
	if (rc == 0 && w->given == 0)
		rc = ge_fail(e, GE_EUSAGE, "'%s': %s", name, w->none);
	ge_flow_release(&f);
	return (rc);
}
