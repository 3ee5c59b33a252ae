#ifndef GE_CLI_H
#define GE_CLI_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What the programs share: start and end, options, messages, progress.
 */

enum {
	CLI_PASS_MAX = 4096,
	CLI_KEYS_MAX = 16		/* GE_WRAPS_MAX */
};

/* Of frag/frag.h, which not all who print know. */
struct ge_finding;
struct ge_pile;
struct ge_pins;

/*
 * cli_init(argc, argv, usage):
 * First call of main.  Answers --help and --version and exits; makes the secure
 * heap; forbids core dumps; opens closed standard descriptors so that nothing
 * else takes their numbers; catches signals.  `usage` is the synopsis without
 * the program's name.
 */
void cli_init(int argc, char **argv, const char *usage);

/*
 * cli_end(rc, e):
 * Last call of main: print the one message if rc is -1, see that standard
 * output took everything, die of the signal that came, if any.  Returns the exit
 * status.
 */
int cli_end(int rc, const struct ge_err *e);

/*
 * cli_flush(): the product so far, before something is said of it.  A failure is
 * cli_end's to tell.
 */
void cli_flush(void);

/*
 * cli_usage(c): print the synopsis and exit 2; before it what is wrong, if c is
 * getopt's '?' or ':'.
 */
void cli_usage(int c) __attribute__((noreturn));

/*
 * cli_order(argc, argv, e): after getopt: -1, GE_EUSAGE, for an operand that looks
 * like an option and is no file, unless "--" stands before the operands.
 */
int cli_order(int argc, char **argv, struct ge_err *e);

/* cli_once(opt, before, e): -1, GE_EUSAGE, if the option had a value before. */
int cli_once(const char *opt, const void *before, struct ge_err *e);

/*
 * cli_one_set(manifest, n, e): -1, GE_EUSAGE, if -m and n operands name more than
 * one set.
 */
int cli_one_set(const char *manifest, int n, struct ge_err *e);

/*
 * cli_worse(a, b): is status a the worse one of several sets?  Loss hides no
 * refusal, no site hides a loss.
 */
int cli_worse(int a, int b);

/* cli_quiet(): -q; cli_verbose(): -v, once more each time. */
void cli_quiet(void);
void cli_verbose(void);
int cli_is_quiet(void);
int cli_verbosity(void);

/*
 * cli_progress(fn): progress is what fn writes into out[cap], not bytes done.
 */
void cli_progress(void (*fn)(char *out, size_t cap));

/* cli_version(): of the programs. */
const char *cli_version(void);

/* cli_plural(n): "s", or "" of one. */
const char *cli_plural(uint64_t n);

/* cli_say(fmt, ...): a line on standard error, the program's name in front. */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Option arguments.  0, or -1 with GE_EUSAGE naming option and argument.
 */
int cli_number(const char *opt, const char *arg, int min, int max, int *out,
    struct ge_err *e);
int cli_size(const char *opt, const char *arg, uint64_t min, uint64_t max,
    uint64_t *out, struct ge_err *e);
int cli_fraction(const char *opt, const char *arg, double min, double max,
    double *out, struct ge_err *e);
int cli_range(const char *opt, const char *arg, uint64_t *off, uint64_t *len,
    struct ge_err *e);
int cli_hex(const char *opt, const char *arg, uint8_t *out, size_t len,
    struct ge_err *e);

/* cli_word(opt, arg, word, n, out, e): one of n words; *out is its place. */
int cli_word(const char *opt, const char *arg, const char *const *word,
    size_t n, int *out, struct ge_err *e);

/*
 * cli_option(arg, name):
 * If arg is "name=value" return value, "name" return "", else NULL.
 */
const char *cli_option(const char *arg, const char *name);

/*
 * cli_reader(c, pins, jobs, e):
 * An option that all who read fragments share: -j, -m, -q, -V, -v; what getopt
 * does not know ends the program here.  0, or -1.
 */
int cli_reader(int c, struct ge_pins *pins, int *jobs, struct ge_err *e);

/* cli_pin(pins, arg, e): -O set= and digest=.  1 if it was one, 0, -1. */
int cli_pin(struct ge_pins *pins, const char *arg, struct ge_err *e);

/* cli_needs(arg, v, e): -1, GE_EUSAGE, if v, the value of -O arg, is empty. */
int cli_needs(const char *arg, const char *v, struct ge_err *e);

/* cli_unknown(arg, e): an -O that nobody knows. */
int cli_unknown(const char *arg, struct ge_err *e);

/* cli_jobs(): processors online. */
int cli_jobs(void);

/*
 * cli_pass(path, pass, len, e): a passphrase file into secret memory
 * [CLI_PASS_MAX] (free with ge_secret_free); one newline at its end is not part
 * of it.
 */
int cli_pass(const char *path, uint8_t **pass, size_t *len, struct ge_err *e);

/*
 * cli_operands(p, argc, argv, e): add the operands to the pile, "-" if none.
 */
int cli_operands(struct ge_pile *p, int argc, char **argv, struct ge_err *e);

/*
 * cli_stdout():
 * Standard output, by a descriptor of its own that does not block if it is a
 * pipe, so that a reader that has stopped reading does not make us deaf.
 */
int cli_stdout(void);

/* cli_finding(to, f): one line of a report to a FILE; NULL: standard output. */
void cli_finding_header(void *to);
void cli_finding(void *to, const struct ge_finding *f);

/* cli_bytes(out, n): "1.4 GiB". */
char *cli_bytes(char out[32], uint64_t n);

/* cli_duration(out, s): of seconds, "3 h 20 min". */
const char *cli_duration(char out[32], double s);

#endif
