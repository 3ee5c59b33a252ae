#ifndef GE_TABLES_H
#define GE_TABLES_H

#include <jansson.h>

#include "data/schema.h"
#include "data/tabular.h"

/*
 * What the families that learn from tables share of the command line.
 */
struct table_options {
	struct ge_roles roles;		/* -O time= group= target= weight=; mark
					   is the family's to set */
	char **skip, **only;		/* -O skip= only=: [nskip], [nonly] */
	size_t nskip, nonly;
	const char *const *aside;	/* [naside] columns held in any case, as no
					   inputs if skip or only leave them out;
					   the family's to set */
	size_t naside;
	struct ge_table_opts table;	/* -O header= sep= */
	struct ge_docs_caps caps;	/* -O unpacked= entries= ratio= */
	const char *digest;		/* -O digest=: the user's name of it all */
	uint8_t sha256[32];		/* out of tables_frame: of the bytes of
					   tables, unpacked */
	/* private */
	size_t room[2];
};

/*
 * tables_options_init(o), tables_options_release(o).
 *
 * tables_option(o, arg, e): an -O of the above: 1; 0 if it is none; -1 GE_EUSAGE.
 * Lists are parted by commas and add up.
 *
 * tables_frame(f, o, file, n, e): the tables of the operands, or of standard input if
 * there are none or one is "-", as a frame (ge_frame_release, on failure too).  Columns of
 * roles are held whatever -O only= says.
 *
 * tables_said(o, e): those given that bear on the model, as an object of names and texts
 * or lists of them, for run.json; json_decref.  NULL without memory.
 */
void tables_options_init(struct table_options *o);
void tables_options_release(struct table_options *o);
int tables_option(struct table_options *o, const char *arg, struct ge_err *e);
json_t *tables_said(const struct table_options *o, struct ge_err *e);
int tables_frame(struct ge_frame *f, struct table_options *o, char **file,
    int n, struct ge_err *e);

#endif
