#ifndef GE_HOOK_H
#define GE_HOOK_H

#include <stdint.h>

#include "util/err.h"

/*
 * How the program hears from a library at work (progress) and stops it (a
 * signal came, another thread failed).  The library never handles signals: the
 * program's handler calls ge_hook_poke, which wakes what waits for data or room
 * in ge_read and ge_write; those call the hook, and it says whether to go on.
 */

/*
 * ge_hook_open(fn, e):
 * Install fn, called from any thread, one at a time: it may print progress;
 * nonzero stops the work in hand with GE_EFAIL "interrupted".
 */
int ge_hook_open(int (*fn)(void), struct ge_err *e);

/* ge_hook_poke(): wake what is blocked.  Async-signal-safe. */
void ge_hook_poke(void);

/* ge_hook_tick(n, e): n more bytes of user data done.  0, or -1 to stop. */
int ge_hook_tick(uint64_t n, struct ge_err *e);

/* ge_hook_done(): bytes ticked so far. */
uint64_t ge_hook_done(void);

/*
 * ge_note(level, fmt, ...):
 * Tell the person: GE_WARN unless quiet, GE_SAY with -v, GE_DETAIL with -vv.
 * The line goes to the function that ge_note_open installed; there are no
 * secrets in it.
 */
enum {
	GE_WARN = 0,
	GE_SAY = 1,
	GE_DETAIL = 2
};
void ge_note_open(void (*fn)(int level, const char *line));
void ge_note(int level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* For io.c and par.c: the descriptor to poll (-1 if none); and stop reads. */
int ge_hook_fd(void);
void ge_hook_drain(void);
void ge_hook_cancel(int on);
int ge_hook_cancelled(void);

#endif
