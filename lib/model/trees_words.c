#include "model/trees_int.h"
#include "util/hook.h"

enum {
	TOLD = 8,			/* columns of a kind */
	FEW = 20			/* words that no rows are too few for */
};

/* Words among numbers: most likely one value is wrong, not the column. */
static int
stray(const struct ge_frame *f, const struct ge_frame_col *c)
{

	return (c->first != NULL && 2 * c->numbers > f->n - c->missing);
}

static int
like_names(const struct ge_frame *f, const struct ge_frame_col *c)
{

	return (c->nwords > FEW && 2 * c->nwords > f->n - c->missing);
}

void
ge_trees_words(const struct ge_trees *t)
{
	const struct ge_schema_col *s = t->schema.col;
	const struct ge_frame_col *c;
	size_t j, strays = 0, names = 0;

	for (j = 0; j < t->schema.ncols; j++) {
		c = &t->f->col[j];
		if (s[j].type != GE_FRAME_CATEGORY || (s[j].role !=
		    GE_ROLE_INPUT && s[j].role != GE_ROLE_TARGET))
			continue;
		if (stray(t->f, c) && strays++ < TOLD)
			ge_note(GE_WARN, "column '%s': %llu numbers, but %s: "
			    "taken as words", c->name, (unsigned long long)
			    c->numbers, c->first);
		else if (like_names(t->f, c) && s[j].role == GE_ROLE_INPUT &&
		    names++ < TOLD)
			ge_note(GE_WARN, "column '%s': another word in most "
			    "rows, of which nothing can be learnt for others",
			    c->name);
	}
	if (strays > TOLD)
		ge_note(GE_WARN, "numbers taken as words in %zu columns more",
		    strays - TOLD);
	if (names > TOLD)
		ge_note(GE_WARN, "another word in most rows in %zu columns "
		    "more", names - TOLD);
}
