#define _GNU_SOURCE		/* prctl, sigaction */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "frag/frag.h"
#include "seal/seal.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	SECURE_HEAP = 1 << 18
};

_Static_assert((int)CLI_KEYS_MAX == (int)GE_WRAPS_MAX, "so many are asked for");

static const char *prog, *usage_text;
static char **words;			/* argv */
static int quiet, verbosity;
static volatile sig_atomic_t stop_signal, want_progress;
static int on_terminal, line_shown;
static int out_errno;			/* why standard output failed, or 0 */
static struct timespec began, shown;

static void
on_signal(int sig)
{

	if (sig == SIGUSR1)
		want_progress = 1;
	else
		stop_signal = sig;
	ge_hook_poke();
}

static double
since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((double)(now.tv_sec - t->tv_sec) +
	    (double)(now.tv_nsec - t->tv_nsec) / 1e9);
}

char *
cli_bytes(char out[32], uint64_t n)
{
	static const char *unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double v = (double)n;
	int u = 0;

	while (v >= 1024 && u < 5) {
		v /= 1024;
		u++;
	}
	snprintf(out, 32, u == 0 ? "%.0f %s" : "%.1f %s", v, unit[u]);
	return (out);
}

const char *
cli_duration(char out[32], double s)
{

	if (s < 90)
		snprintf(out, 32, "%.0f s", s);
	else if (s < 5400)
		snprintf(out, 32, "%.0f min", s / 60);
	else
		snprintf(out, 32, "%.0f h %.0f min", s / 3600,
		    (s - 3600 * (double)(long)(s / 3600)) / 60);
	return (out);
}

static void
bytes_done(char *out, size_t cap)
{
	char done[32], rate[32];

	cli_bytes(done, ge_hook_done());
	cli_bytes(rate, (uint64_t)((double)ge_hook_done() / (since(&began) +
	    1e-9)));
	snprintf(out, cap, "%s, %s/s", done, rate);
}

static void (*far)(char *, size_t) = bytes_done;

void
cli_progress(void (*fn)(char *out, size_t cap))
{

	far = fn;
}

/* The library calls this now and then, one thread at a time. */
static int
tick(void)
{
	char text[256];
	double t;
	int ask = want_progress;

	if (stop_signal != 0)
		return (1);
	if (!ask && (!on_terminal || quiet))
		return (0);
	t = since(&began);
	if (!ask && (t < 1 || since(&shown) < 0.25))
		return (0);
	want_progress = 0;
	clock_gettime(CLOCK_MONOTONIC, &shown);
	far(text, sizeof(text));
	if (on_terminal) {
		fprintf(stderr, "\r%s: %s, %.0f s \033[K%s", prog, text, t,
		    ask ? "\n" : "");
		line_shown = !ask;
	} else {
		fprintf(stderr, "%s: %s, %.0f s\n", prog, text, t);
	}
	return (0);
}

static void
clear_line(void)
{

	if (line_shown)
		fputs("\r\033[K", stderr);
	line_shown = 0;
}

static void
note(int level, const char *line)
{

	if (quiet || level > verbosity)
		return;
	clear_line();
	fprintf(stderr, "%s: %s\n", prog, line);
}

const char *
cli_version(void)
{

	return (GE_VERSION);
}

const char *
cli_plural(uint64_t n)
{

	return (n == 1 ? "" : "s");
}

void
cli_say(const char *fmt, ...)
{
	va_list ap;

	clear_line();
	fprintf(stderr, "%s: ", prog);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/*
 * A closed descriptor is filled with one that fails the same way when used, so
 * that no file of ours becomes standard output.
 */
static void
fill_descriptors(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) == -1 && errno == EBADF &&
		    open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
			_exit(GE_EFAIL);
}

void
cli_init(int argc, char **argv, const char *usage)
{
	static const int fatal[] = { SIGHUP, SIGINT, SIGTERM, SIGXCPU };
	static const struct rlimit nocore = { 0, 0 };
	struct sigaction sa, old;
	struct ge_err e;
	size_t i;

	fill_descriptors();
	prog = strrchr(argv[0] != NULL ? argv[0] : "", '/');
	prog = prog != NULL ? prog + 1 : argv[0] != NULL ? argv[0] : "ge";
	usage_text = usage;
	words = argv;
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		printf("usage: %s %s\n", prog, usage);
		exit(cli_end(0, NULL));
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("%s (getools) %s\n", prog, GE_VERSION);
		exit(cli_end(0, NULL));
	}
	(void)setrlimit(RLIMIT_CORE, &nocore);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)CRYPTO_secure_malloc_init(SECURE_HEAP, 32);
	on_terminal = isatty(2);
	clock_gettime(CLOCK_MONOTONIC, &began);
	shown = began;

	ge_note_open(note);
	if (ge_hook_open(tick, &e) == -1)
		exit(cli_end(-1, &e));
	/* If it has no memory for this, OpenSSL 3.0 crashes later. */
	if (OSSL_LIB_CTX_get0_global_default() == NULL) {
		ge_fail(&e, GE_EFAIL, "out of memory");
		exit(cli_end(-1, &e));
	}
	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = on_signal;
	for (i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		/* What the caller ignores (nohup) stays ignored. */
		if (sigaction(fatal[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			(void)sigaction(fatal[i], &sa, NULL);
	}
	/* This one must not cost a line of output. */
	sa.sa_flags = SA_RESTART;
	(void)sigaction(SIGUSR1, &sa, NULL);
	/* A reader that has gone is an error like any other: EPIPE. */
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);
	(void)sigaction(SIGXFSZ, &sa, NULL);
}

void
cli_flush(void)
{

	errno = 0;
	if ((fflush(stdout) == EOF || ferror(stdout)) && out_errno == 0)
		out_errno = errno != 0 ? errno : EIO;
}

int
cli_end(int rc, const struct ge_err *e)
{
	int status = rc == 0 ? GE_OK : e->code, sig = stop_signal;

	clear_line();
	if (sig != 0) {
		(void)signal(sig, SIG_DFL);
		(void)raise(sig);
	}
	/* The product before the verdict, where both come to one place. */
	cli_flush();
	if (close(1) == -1 && errno != EBADF && out_errno == 0)
		out_errno = errno;
	if (rc == -1 && e->msg[0] != '\0')
		fprintf(stderr, "%s: %s\n", prog, e->msg);
	if (out_errno != 0) {
		fprintf(stderr, "%s: cannot write standard output: %s\n", prog,
		    strerror(out_errno));
		if (status == GE_OK || status == GE_EDEGRADED)
			status = GE_EFAIL;
	}
	return (status);
}

/* What getopt(3) does not know; of a long one it has seen two hyphens. */
static void
unknown_option(void)
{
	const char *word = words[optind];
	struct ge_err e;

	if (optopt != '-' || word == NULL || strncmp(word, "--", 2) != 0)
		ge_fail(&e, GE_EUSAGE, "-%c: no such option", optopt);
	else if (strcmp(word, "--help") == 0 || strcmp(word, "--version") == 0)
		ge_fail(&e, GE_EUSAGE, "'%s' stands alone", word);
	else
		ge_fail(&e, GE_EUSAGE, "'%s': no such option", word);
	fprintf(stderr, "%s: %s\n", prog, e.msg);
}

void
cli_usage(int c)
{

	if (c == ':')
		fprintf(stderr, "%s: -%c: its argument is missing\n", prog,
		    optopt);
	else if (c != 0 && optopt > ' ' && optopt < 0x7f)
		unknown_option();
	fprintf(stderr, "usage: %s %s\n", prog, usage_text);
	exit(GE_EUSAGE);
}

int
cli_order(int argc, char **argv, struct ge_err *e)
{
	int i;

	if (optind > 1 && strcmp(argv[optind - 1], "--") == 0)
		return (0);
	for (i = optind; i < argc; i++)
		if (argv[i][0] == '-' && argv[i][1] != '\0' &&
		    access(argv[i], F_OK) == -1)
			return (ge_fail(e, GE_EUSAGE, "'%s': options come "
			    "before operands", argv[i]));
	return (0);
}

int
cli_once(const char *opt, const void *before, struct ge_err *e)
{

	return (before != NULL ? ge_fail(e, GE_EUSAGE, "%s: given twice", opt) :
	    0);
}

int
cli_one_set(const char *manifest, int n, struct ge_err *e)
{

	if (n > 1)
		return (ge_fail(e, GE_EUSAGE, "one set at a time: operands "
		    "given: %d", n));
	return (manifest != NULL && n > 0 ? ge_fail(e, GE_EUSAGE, "-m and an "
	    "operand both name the set: give one of them") : 0);
}

int
cli_worse(int a, int b)
{
	static const int order[] = { GE_OK, GE_EFAIL, GE_EDEGRADED, GE_ELOST,
	    GE_EREFUSED, GE_EUSAGE };
	size_t i, x = 0, y = 0;

	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i] == a)
			x = i;
		if (order[i] == b)
			y = i;
	}
	return (x > y);
}

void
cli_quiet(void)
{

	quiet = 1;
}

void
cli_verbose(void)
{

	verbosity++;
}

int
cli_is_quiet(void)
{

	return (quiet);
}

int
cli_verbosity(void)
{

	return (verbosity);
}

int
cli_number(const char *opt, const char *arg, int min, int max, int *out,
    struct ge_err *e)
{
	uint64_t v;

	if (ge_num_parse(arg, strlen(arg), &v) == -1 || v > INT32_MAX ||
	    (int)v < min || (int)v > max)
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not a number from %d "
		    "to %d", opt, arg, min, max));
	*out = (int)v;
	return (0);
}

int
cli_size(const char *opt, const char *arg, uint64_t min, uint64_t max,
    uint64_t *out, struct ge_err *e)
{
	char lo[32], hi[32];

	if (ge_size_parse(arg, out) == -1)
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not a size (digits "
		    "and k, m, g or t)", opt, arg));
	if (*out < min || *out > max)
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not from %s to %s",
		    opt, arg, cli_bytes(lo, min), cli_bytes(hi, max)));
	return (0);
}

int
cli_fraction(const char *opt, const char *arg, double min, double max,
    double *out, struct ge_err *e)
{
	char *end;

	errno = 0;
	*out = strtod(arg, &end);
	if (end == arg || *end != '\0' || errno != 0 || !isfinite(*out) ||
	    !(*out >= min && *out <= max))
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not a number from "
		    "%.9g to %.9g", opt, arg, min, max));
	return (0);
}

int
cli_word(const char *opt, const char *arg, const char *const *word, size_t n,
    int *out, struct ge_err *e)
{
	char all[256];
	size_t i, at = 0;

	for (i = 0; i < n; i++) {
		if (strcmp(arg, word[i]) == 0) {
			*out = (int)i;
			return (0);
		}
		if (at < sizeof(all))
			at += (size_t)snprintf(all + at, sizeof(all) - at,
			    "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ",
			    word[i]);
	}
	return (ge_fail(e, GE_EUSAGE, "%s '%s': not %s", opt, arg, all));
}

int
cli_range(const char *opt, const char *arg, uint64_t *off, uint64_t *len,
    struct ge_err *e)
{
	char first[32];
	const char *colon = strchr(arg, ':');

	if (colon == NULL || (size_t)(colon - arg) >= sizeof(first))
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not off:len", opt,
		    arg));
	memcpy(first, arg, (size_t)(colon - arg));
	first[colon - arg] = '\0';
	if (ge_size_parse(first, off) == -1 ||
	    ge_size_parse(colon + 1, len) == -1)
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not off:len", opt,
		    arg));
	return (0);
}

int
cli_hex(const char *opt, const char *arg, uint8_t *out, size_t len,
    struct ge_err *e)
{

	if (strlen(arg) != 2 * len || ge_unhex(out, arg, len) == -1)
		return (ge_fail(e, GE_EUSAGE, "%s '%s': not %zu lower-case "
		    "hex digits", opt, arg, 2 * len));
	return (0);
}

const char *
cli_option(const char *arg, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(arg, name, len) != 0)
		return (NULL);
	if (arg[len] == '=')
		return (arg + len + 1);
	return (arg[len] == '\0' ? arg + len : NULL);
}

int
cli_needs(const char *arg, const char *v, struct ge_err *e)
{

	return (*v == '\0' ? ge_fail(e, GE_EUSAGE, "-O '%s': its value is "
	    "missing", arg) : 0);
}

int
cli_pin(struct ge_pins *pins, const char *arg, struct ge_err *e)
{
	const char *v;

	if ((v = cli_option(arg, "set")) != NULL) {
		pins->has_set = 1;
		return (cli_hex("set", v, pins->set, GE_SETID, e) == -1 ? -1 :
		    1);
	}
	if ((v = cli_option(arg, "digest")) != NULL) {
		pins->has_digest = 1;
		return (cli_hex("digest", v, pins->digest, 32, e) == -1 ? -1 :
		    1);
	}
	return (0);
}

int
cli_reader(int c, struct ge_pins *pins, int *jobs, struct ge_err *e)
{

	switch (c) {
	case 'j':
		return (cli_number("-j", optarg, 1, 64, jobs, e));
	case 'm':
		pins->manifest = optarg;
		return (0);
	case 'q':
		cli_quiet();
		return (0);
	case 'V':
		pins->has_signer = 1;
		return (ge_pem_ed25519_public(pins->signer, optarg, e));
	case 'v':
		cli_verbose();
		return (0);
	}
	cli_usage(c);
}

int
cli_unknown(const char *arg, struct ge_err *e)
{

	return (ge_fail(e, GE_EUSAGE, "-O '%s': no such option", arg));
}

int
cli_jobs(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return (n < 1 ? 1 : n > 64 ? 64 : (int)n);
}

int
cli_pass(const char *path, uint8_t **pass, size_t *len, struct ge_err *e)
{

	if ((*pass = ge_secret_alloc(CLI_PASS_MAX, e)) == NULL)
		return (-1);
	if (ge_slurp_into(path, *pass, CLI_PASS_MAX, len, e) == -1)
		return (-1);
	if (*len > 0 && (*pass)[*len - 1] == '\n')
		--*len;
	if (*len == 0)
		return (ge_fail(e, GE_EUSAGE, "'%s': empty passphrase", path));
	return (0);
}

int
cli_operands(struct ge_pile *p, int argc, char **argv, struct ge_err *e)
{
	int i;

	if (argc == 0) {
		if (isatty(0))
			return (ge_fail(e, GE_EUSAGE, "standard input is a "
			    "terminal: name files or folders"));
		return (ge_pile_add(p, "-", e));
	}
	for (i = 0; i < argc; i++)
		if (ge_pile_add(p, argv[i], e) == -1)
			return (-1);
	return (0);
}

int
cli_stdout(void)
{
	struct stat st;
	int fd;

	if (fstat(1, &st) == 0 && S_ISFIFO(st.st_mode) && (fd = open(
	    "/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC)) != -1)
		return (fd);
	return (1);
}

void
cli_finding_header(void *to)
{
	FILE *out = to != NULL ? to : stdout;

	fprintf(out, "#status\tset\tsegment\tindex\tsite\tdetail\n");
}

void
cli_finding(void *to, const struct ge_finding *f)
{
	FILE *out = to != NULL ? to : stdout;
	char id[2 * GE_SETID + 1], site[4096], detail[1024];

	if (ge_percent(site, sizeof(site), f->site, strlen(f->site), 0) == -1)
		strcpy(site, "?");
	if (ge_percent(detail, sizeof(detail), f->detail, strlen(f->detail),
	    1) == -1)
		strcpy(detail, "?");
	if (f->known)
		fprintf(out, "%s\t%s\t%lu\t%d\t%s\t%s\n", ge_state_name(f->state),
		    ge_hex(id, f->setid, GE_SETID), (unsigned long)f->segment,
		    f->index, site, detail);
	else
		fprintf(out, "%s\t-\t-\t-\t%s\t%s\n", ge_state_name(f->state), site,
		    detail);
}
