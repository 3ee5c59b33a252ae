#ifndef GE_DOCS_H
#define GE_DOCS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * The documents of a stream: plain text, JSON lines, or an archive of such, in any
 * format and compression that libarchive reads by itself.
 */

/* What a stream may hold at most; 0 is no bound, but of doc. */
struct ge_docs_caps {
	uint64_t bytes;			/* unpacked, at all levels together */
	uint64_t entries;		/* of archives, likewise */
	uint64_t ratio;			/* unpacked / packed, behind 64 MiB */
	size_t doc;			/* bytes of text behind which it is cut */
};

/* ge_docs_caps_init(c): 1 TiB, 10 million, 200, 16 KiB. */
void ge_docs_caps_init(struct ge_docs_caps *c);

/*
 * ge_docs_read(fd, name, caps, fn, arg, e):
 * Read fd to its end and give each document to fn, in order, len > 0; its bytes are
 * borrowed until fn returns, 0 or -1 to stop.
 *
 *	fd	a file, from where it is read now on, or a pipe
 *	name	for messages, and its ending
 *
 * An archive is walked entry by entry, and an entry that is an archive or compressed
 * is opened once more.  Nothing is extracted: names are only names, and what is no
 * regular file is passed over, as are, with a note, entries with a NUL in the first
 * 8 KiB that are nothing known.  Zip and 7z have their table at the end; from a pipe,
 * and inside of others, they are spooled first (ge_spool_open).
 *
 * Text whose name ends in .jsonl, .ndjson or .json-lines, before the ending of a
 * compression, or whose first line is an object with a string "text", is JSON lines:
 * a document a line, blank lines passed over.  A line has at most 1024 times caps->doc
 * bytes.  Other text is a document, and if it is longer than caps->doc it is cut
 * behind the first empty line from there to 4 times that, or else behind the first
 * line, or else, at a character, at 16 times that.  So no document is longer; one of
 * JSON lines that would be is cut likewise.
 * A byte order mark at the beginning goes; all else stays as it is.
 *
 * 0, or -1: GE_EUSAGE if there is no text at all; GE_EREFUSED if text is not UTF-8 or a
 * line not JSON ('NAME:LINE'), an archive is cut or damaged, the stream is binary, or
 * beyond a cap, which is named by its option: -O unpacked=, entries=, ratio= or
 * document=; GE_EFAIL.  Memory: twice 1024 times caps->doc at most, and only for such a
 * line, otherwise 128 times and a few MiB, and what libarchive takes.  Bytes of text are
 * ticked (ge_hook_tick).
 */
int ge_docs_read(int fd, const char *name, const struct ge_docs_caps *caps,
    int (*fn)(void *arg, const uint8_t *s, size_t len, struct ge_err *e),
    void *arg, struct ge_err *e);

#endif
