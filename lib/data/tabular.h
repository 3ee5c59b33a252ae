#ifndef GE_TABULAR_H
#define GE_TABULAR_H

#include "data/docs.h"

/*
 * The tables of a stream: one that is text, compressed or not, or those of an archive,
 * in any format and compression that libarchive reads by itself.
 *
 *	begin	the next one; name is of messages, borrowed until end is called
 *	push	its next bytes, borrowed until push returns
 *	end	there are no more of them
 *
 * Each 0, or -1 to stop; their errors name the place themselves.
 */
struct ge_tables_fn {
	int (*begin)(void *arg, const char *name, struct ge_err *e);
	int (*push)(void *arg, const void *buf, size_t len, struct ge_err *e);
	int (*end)(void *arg, struct ge_err *e);
};

/*
 * ge_tables_read(fd, name, caps, fn, arg, e):
 * Read fd to its end, as ge_docs_read does; caps->doc is not looked at.  Entries of
 * archives whose names do not end as those of tables (.csv, .tsv, .tab, .txt, .dat,
 * .data, before the ending of a compression) are passed over, and so are those that
 * are no text, with a note.
 *
 * From a pipe text is handed on as it comes, once its first line is whole.
 *
 * 0, or -1: GE_EUSAGE if there is no table at all; GE_EREFUSED if an archive is cut or
 * damaged, the stream is binary, or beyond a cap; GE_EFAIL.  Memory: a few MiB, and
 * what libarchive takes.  Bytes of tables are ticked (ge_hook_tick).
 */
int ge_tables_read(int fd, const char *name, const struct ge_docs_caps *caps,
    const struct ge_tables_fn *fn, void *arg, struct ge_err *e);

#endif
