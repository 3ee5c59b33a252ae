/*
 * sysfault: run a program and make its N-th system call fail.
 *
 *	sysfault -c [-o file] [-t name,...] cmd arg ...	   count the calls
 *	sysfault -l [-o file] [-t name,...] cmd arg ...	   list them
 *	sysfault -n N -e EIO [-a] [...] cmd arg ...	   N-th fails
 *	sysfault -n N -S half [...] cmd arg ...		   N-th is short
 *	sysfault -n N -k [...] cmd arg ...		   killed before N-th
 *
 * Counting starts at the program's entry point, behind the dynamic loader,
 * takes in all its threads, and leaves out the calls that cannot fail, or
 * whose failure the C library cannot report; -t counts just the calls it
 * names.  -S counts just those that move more bytes than they would when short:
 * half, or the number given.  -a: the N-th and all after it.  The call that was
 * struck is written to -o as "N name"; the file stays empty if there was none.
 *
 * Descriptors 0 to 2 are the program's own.  Its status is ours, 128+N if
 * signal N ended it; 125 is a failure of ours, 127 a program that will not run.
 * Children it forks run free.
 */
#define _GNU_SOURCE
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NARGS = 6,
	MAXCALL = 1024,
	FAILED = 125
};

/* What the kernel returns inside when it will run a call again. */
enum {
	RESTARTSYS = -512,
	RESTART_BLOCK = -516
};

/*
 * The machine: where a call's number, arguments and result are.
 */
typedef struct user_regs_struct regs;

#if defined(__x86_64__)
#define TRAP	0xccUL
#define TRAPMASK 0xffUL
enum { TRAPLEN = 1 };		/* pc moves past the breakpoint */

static long
reg_nr(const regs *r)
{
	return ((long)r->orig_rax);
}

static unsigned long long *
reg_arg(regs *r, int i)
{
	unsigned long long *a[NARGS] = {
		&r->rdi, &r->rsi, &r->rdx, &r->r10, &r->r8, &r->r9
	};

	return (a[i]);
}

static unsigned long long *
reg_ret(regs *r)
{
	return (&r->rax);
}

static unsigned long long *
reg_pc(regs *r)
{
	return (&r->rip);
}
#elif defined(__aarch64__)
#define TRAP	0xd4200000UL
#define TRAPMASK 0xffffffffUL
enum { TRAPLEN = 0 };

static long
reg_nr(const regs *r)
{
	return ((long)r->regs[8]);
}

static unsigned long long *
reg_arg(regs *r, int i)
{
	return (&r->regs[i]);
}

static unsigned long long *
reg_ret(regs *r)
{
	return (&r->regs[0]);
}

static unsigned long long *
reg_pc(regs *r)
{
	return (&r->pc);
}
#else
#error "sysfault knows x86_64 and aarch64"
#endif

static const struct {
	int nr;
	const char *name;
} calls[] = {
#include "names.h"
	{ -1, NULL }
};

#define E(x) { x, #x }
static const struct {
	int no;
	const char *name;
} errors[] = {
	E(EACCES), E(EAGAIN), E(EBADF), E(EBUSY), E(ECONNREFUSED),
	E(ECONNRESET), E(EDQUOT), E(EEXIST), E(EFAULT), E(EFBIG),
	E(EHOSTUNREACH), E(EINTR), E(EINVAL), E(EIO), E(EISDIR), E(ELOOP),
	E(EMFILE), E(EMLINK), E(ENAMETOOLONG), E(ENETUNREACH), E(ENFILE),
	E(ENODEV), E(ENOENT), E(ENOMEM), E(ENOSPC), E(ENOSYS), E(ENOTDIR),
	E(ENOTEMPTY), E(ENOTSUP), E(ENOTTY), E(ENXIO), E(EPERM), E(EPIPE),
	E(EROFS), E(ESPIPE), E(ESTALE), E(ETIMEDOUT), E(EXDEV), E(0)
};
#undef E

/*
 * Not counted unless -t names them: they cannot fail, or not in a way that a
 * program gets to see.
 */
static const char quiet[] =
    "alarm,arch_prctl,brk,clock_getres,clock_gettime,clock_nanosleep,exit,"
    "exit_group,futex,getcpu,getegid,geteuid,getgid,getpgrp,getpid,getppid,"
    "gettid,gettimeofday,getuid,madvise,membarrier,munmap,nanosleep,pause,"
    "restart_syscall,rseq,rt_sigaction,rt_sigprocmask,rt_sigreturn,"
    "rt_sigsuspend,sched_yield,set_robust_list,set_tid_address,sigaltstack,"
    "sync,tgkill,time,times,umask";

/* The calls that -S shortens: which argument is the length. */
static const struct {
	const char *name;
	int arg;
	int vector;		/* a count of iovecs, the iovecs before it */
} shorts[] = {
	{ "read", 2, 0 }, { "write", 2, 0 }, { "pread64", 2, 0 },
	{ "pwrite64", 2, 0 }, { "recvfrom", 2, 0 }, { "sendto", 2, 0 },
	{ "readv", 2, 1 }, { "writev", 2, 1 }, { "preadv", 2, 1 },
	{ "pwritev", 2, 1 }, { "preadv2", 2, 1 }, { "pwritev2", 2, 1 },
	{ "getrandom", 1, 0 }, { "sendfile", 3, 0 },
	{ "copy_file_range", 4, 0 }, { "splice", 4, 0 }, { NULL, 0, 0 }
};

enum mode {
	NONE, COUNT, LIST, FAIL, SHORT, KILL
};

struct thread {
	pid_t tid;
	int inside;		/* between a call's two stops */
	int struck;		/* this call is the one */
	regs regs;		/* at the start of the last call */
	int restart;		/* the kernel will run this one again: */
	int again;		/* was it struck? */
	regs held;		/* its start */
	unsigned long iovlen;	/* where a length was changed, or 0 */
	unsigned long iovwas;
};

static struct {
	enum mode mode;
	int error;
	int all;
	unsigned long n;
	unsigned long bytes;	/* 0: half */
	int out;
	unsigned char counts[MAXCALL];
	signed char length[MAXCALL];	/* argument of the length, or -1 */
	unsigned char vector[MAXCALL];
} opt;

static pid_t child;
static unsigned long ncalls;
static int done;
static struct thread *threads;
static size_t nthreads;

static void die(const char *, ...) __attribute__((format(printf, 1, 2),
    noreturn));

static void
die(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	fprintf(stderr, "sysfault: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (saved != 0)
		fprintf(stderr, ": %s", strerror(saved));
	fputc('\n', stderr);
	exit(FAILED);
}

static void
usage(void)
{
	fprintf(stderr, "usage: sysfault -c | -l | -n N -e error | "
	    "-n N -S half|bytes | -n N -k\n"
	    "       [-a] [-o file] [-t name,...] cmd [arg ...]\n");
	exit(FAILED);
}

static const char *
call_name(long nr)
{
	size_t i;

	for (i = 0; calls[i].name != NULL; i++)
		if (calls[i].nr == nr)
			return (calls[i].name);
	return ("?");
}

static int
call_number(const char *name, size_t len)
{
	size_t i;

	for (i = 0; calls[i].name != NULL; i++)
		if (strlen(calls[i].name) == len &&
		    memcmp(calls[i].name, name, len) == 0)
			return (calls[i].nr);
	return (-1);
}

/* Let the calls of a list count, or not; names unknown here may be all right. */
static void
set_counts(const char *list, unsigned char value, int strict)
{
	const char *p = list;
	size_t len;
	int nr;

	for (;; p += len + 1) {
		len = strcspn(p, ",");
		nr = call_number(p, len);
		if (nr >= 0 && nr < MAXCALL)
			opt.counts[nr] = value;
		else if (strict) {
			errno = 0;
			die("no system call '%.*s' here", (int)len, p);
		}
		if (p[len] == '\0')
			return;
	}
}

static void
set_lengths(void)
{
	size_t i;
	int nr;

	memset(opt.length, -1, sizeof(opt.length));
	for (i = 0; shorts[i].name != NULL; i++) {
		nr = call_number(shorts[i].name, strlen(shorts[i].name));
		if (nr < 0 || nr >= MAXCALL)
			continue;
		opt.length[nr] = (signed char)shorts[i].arg;
		opt.vector[nr] = (unsigned char)shorts[i].vector;
	}
}

static unsigned long
number(const char *s)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (!isdigit((unsigned char)*s) || *end != '\0' || errno != 0 || v == 0) {
		errno = 0;
		die("not a number from 1: '%s'", s);
	}
	return (v);
}

static int
error_number(const char *s)
{
	size_t i;

	for (i = 0; errors[i].no != 0; i++)
		if (strcmp(errors[i].name, s) == 0)
			return (errors[i].no);
	if (!isdigit((unsigned char)*s)) {
		errno = 0;
		die("unknown error '%s'", s);
	}
	return ((int)number(s));
}

/*
 * The tracee.  A thread may be gone at any moment (SIGKILL, exit_group in
 * another); that is no failure: waitpid will tell.
 */
static int
get_regs(pid_t tid, regs *r)
{
	struct iovec iov = { r, sizeof(*r) };

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov) == 0)
		return (0);
	if (errno != ESRCH)
		die("cannot read registers");
	return (-1);
}

static void
set_regs(pid_t tid, regs *r)
{
	struct iovec iov = { r, sizeof(*r) };

	if (ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &iov) == -1 &&
	    errno != ESRCH)
		die("cannot write registers");
}

/* At the start of a call: write registers that make it no call. */
static void
skip_call(pid_t tid, const regs *was)
{
	regs r = *was;
#if defined(__aarch64__)
	int none = -1;
	struct iovec iov = { &none, sizeof(none) };

	if (ptrace(PTRACE_SETREGSET, tid, (void *)NT_ARM_SYSTEM_CALL,
	    &iov) == -1 && errno != ESRCH)
		die("cannot skip a call");
	(void)r;
#else
	r.orig_rax = (unsigned long long)-1;
	set_regs(tid, &r);
#endif
}

static void
go_on(enum __ptrace_request how, pid_t tid, int sig)
{
	if (ptrace(how, tid, NULL, (void *)(intptr_t)sig) == -1 &&
	    errno != ESRCH)
		die("cannot continue the program");
}

static unsigned long
peek(pid_t tid, unsigned long addr)
{
	long v;

	errno = 0;
	v = ptrace(PTRACE_PEEKDATA, tid, (void *)addr, NULL);
	if (errno != 0)
		die("cannot read memory of the program");
	return ((unsigned long)v);
}

static void
poke(pid_t tid, unsigned long addr, unsigned long v)
{
	if (ptrace(PTRACE_POKEDATA, tid, (void *)addr, (void *)v) == -1 &&
	    errno != ESRCH)
		die("cannot write memory of the program");
}

static struct thread *
thread_of(pid_t tid)
{
	size_t i;

	for (i = 0; i < nthreads; i++)
		if (threads[i].tid == tid)
			return (&threads[i]);
	if ((threads = realloc(threads, (nthreads + 1) *
	    sizeof(*threads))) == NULL)
		die("out of memory");
	memset(&threads[nthreads], 0, sizeof(*threads));
	threads[nthreads].tid = tid;
	return (&threads[nthreads++]);
}

static void
thread_gone(pid_t tid)
{
	size_t i;

	for (i = 0; i < nthreads; i++)
		if (threads[i].tid == tid) {
			threads[i] = threads[--nthreads];
			return;
		}
}

/*
 * The address where the program starts when the loader is done.
 */
static unsigned long
entry_point(pid_t pid)
{
	unsigned long pair[2], entry = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/auxv", (long)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		die("cannot open '%s'", path);
	while (entry == 0 && read(fd, pair, sizeof(pair)) == sizeof(pair))
		if (pair[0] == AT_ENTRY)
			entry = pair[1];
	close(fd);
	if (entry == 0) {
		errno = 0;
		die("no entry point in '%s'", path);
	}
	return (entry);
}

/* Wait for the child alone; if it ended, so do we. */
static int
wait_child(void)
{
	int status;

	while (waitpid(child, &status, __WALL) == -1)
		if (errno != EINTR)
			die("cannot wait");
	if (WIFEXITED(status))
		exit(WEXITSTATUS(status));
	if (WIFSIGNALED(status))
		exit(128 + WTERMSIG(status));
	return (status);
}

/*
 * Start the program and bring it, untouched, to its entry point.
 */
static void
start(char **argv)
{
	unsigned long entry, word;
	int status, sig, p[2];
	char c = 0;
	regs r;

	if (pipe2(p, O_CLOEXEC) == -1)
		die("cannot make a pipe");
	if ((child = fork()) == -1)
		die("cannot fork");
	if (child == 0) {
		close(p[1]);
		if (read(p[0], &c, 1) != 1)
			_exit(FAILED);
		execvp(argv[0], argv);
		fprintf(stderr, "sysfault: cannot run '%s': %s\n", argv[0],
		    strerror(errno));
		_exit(127);
	}
	signal(SIGCHLD, SIG_DFL);
	close(p[0]);
	if (ptrace(PTRACE_SEIZE, child, NULL, (void *)(PTRACE_O_EXITKILL |
	    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
	    PTRACE_O_TRACEEXEC)) == -1)
		die("cannot trace");
	if (write(p[1], &c, 1) != 1)
		die("cannot write to a pipe");
	close(p[1]);

	for (;;) {
		status = wait_child();
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8))
			break;
		go_on(PTRACE_CONT, child,
		    status >> 16 == 0 ? WSTOPSIG(status) : 0);
	}
	entry = entry_point(child);
	word = peek(child, entry);
	poke(child, entry, (word & ~TRAPMASK) | TRAP);
	for (sig = 0;;) {
		go_on(PTRACE_CONT, child, sig);
		status = wait_child();
		sig = status >> 16 == 0 ? WSTOPSIG(status) : 0;
		if (sig == SIGTRAP && get_regs(child, &r) == 0 &&
		    *reg_pc(&r) == entry + TRAPLEN)
			break;
	}
	poke(child, entry, word);
	*reg_pc(&r) = entry;
	set_regs(child, &r);
	thread_of(child);
}

/* What a call moves, in bytes or, if several, iovecs; 0 if -S is not for it. */
static unsigned long
length_of(struct thread *t, long nr, unsigned long *addr)
{
	unsigned long count;

	*addr = 0;
	if (opt.length[nr] == -1)
		return (0);
	count = (unsigned long)*reg_arg(&t->regs, opt.length[nr]);
	if (!opt.vector[nr] || count != 1)
		return (count);
	*addr = (unsigned long)*reg_arg(&t->regs, opt.length[nr] - 1) +
	    sizeof(void *);
	return (peek(t->tid, *addr));
}

static unsigned long
shortened(struct thread *t, long nr, unsigned long *addr)
{
	unsigned long len = length_of(t, nr, addr);

	if (opt.bytes == 0 || (opt.vector[nr] && *addr == 0))
		return (len < 2 ? 0 : len / 2);
	return (len <= opt.bytes ? 0 : opt.bytes);
}

/* Do we count this call? */
static int
is_counted(struct thread *t, long nr)
{
	unsigned long addr;

	if (nr < 0 || nr >= MAXCALL || !opt.counts[nr])
		return (0);
	return (opt.mode != SHORT || shortened(t, nr, &addr) != 0);
}

/* Is this the call that a signal interrupted, once more? */
static int
is_restart(struct thread *t)
{
	long nr = reg_nr(&t->regs);
	int i;

	if (!t->restart)
		return (0);
#ifdef SYS_restart_syscall
	if (nr == SYS_restart_syscall)
		return (1);
#endif
	if (nr != reg_nr(&t->held) || *reg_pc(&t->regs) != *reg_pc(&t->held))
		return (0);
	for (i = 0; i < NARGS; i++)
		if (*reg_arg(&t->regs, i) != *reg_arg(&t->held, i))
			return (0);
	return (1);
}

static void
strike(struct thread *t, long nr)
{
	unsigned long len;
	regs r = t->regs;

	t->struck = 1;
	switch (opt.mode) {
	case KILL:
		skip_call(t->tid, &t->regs);
		kill(child, SIGKILL);
		done = 1;
		break;
	case FAIL:
		skip_call(t->tid, &t->regs);
		break;
	default:
		len = shortened(t, nr, &t->iovlen);
		if (t->iovlen != 0) {
			t->iovwas = peek(t->tid, t->iovlen);
			poke(t->tid, t->iovlen, len);
		} else {
			*reg_arg(&r, opt.length[nr]) = len;
			set_regs(t->tid, &r);
		}
		break;
	}
}

static void
call_begins(struct thread *t)
{
	long nr;

	t->inside = 1;
	t->struck = 0;
	if (get_regs(t->tid, &t->regs) == -1)
		return;
	nr = reg_nr(&t->regs);
	if (is_restart(t)) {
		t->restart = 0;
		if (t->again)
			strike(t, nr);
		return;
	}
	if (!is_counted(t, nr))
		return;
	ncalls++;
	if (opt.mode == COUNT || ncalls < opt.n)
		return;
	if (ncalls == opt.n || opt.all || opt.mode == LIST)
		dprintf(opt.out, "%lu %s\n", ncalls, call_name(nr));
	if (opt.mode != LIST && (ncalls == opt.n || opt.all))
		strike(t, nr);
}

static void
call_ends(struct thread *t)
{
	int i, again, struck = t->struck;
	unsigned long long ret;
	regs r;

	t->inside = 0;
	t->struck = 0;
	if (get_regs(t->tid, &r) == -1)
		return;
	ret = *reg_ret(&r);
	again = (long)ret <= RESTARTSYS && (long)ret >= RESTART_BLOCK;
	if (again) {
		t->restart = 1;
		t->again = struck;
		t->held = t->regs;
	} else if (reg_nr(&t->regs) == SYS_rt_sigreturn &&
	    (long)ret == -EINTR)
		t->restart = 0;		/* its handler does not want that */
	if (!struck)
		return;

	/* The program finds its registers and memory as it left them. */
	if (t->iovlen != 0)
		poke(t->tid, t->iovlen, t->iovwas);
	t->iovlen = 0;
	for (i = 0; i < NARGS; i++)
		*reg_arg(&r, i) = *reg_arg(&t->regs, i);
	*reg_ret(&r) = opt.mode == FAIL ?
	    (unsigned long long)-opt.error : ret;
	set_regs(t->tid, &r);
	if (!again && !opt.all)
		done = 1;
}

/*
 * Follow the program to its end; once the fault is in, let each thread go where
 * it next stops.
 */
static int
follow(void)
{
	struct thread *t;
	int status, sig, event;
	pid_t tid;

	go_on(PTRACE_SYSCALL, child, 0);
	for (;;) {
		if ((tid = waitpid(-1, &status, __WALL)) == -1) {
			if (errno == EINTR)
				continue;
			die("cannot wait");
		}
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (tid == child)
				break;
			thread_gone(tid);
			continue;
		}
		if (!WIFSTOPPED(status))
			continue;
		t = thread_of(tid);
		sig = WSTOPSIG(status);
		event = status >> 16;
		if (sig == (SIGTRAP | 0x80)) {
			sig = 0;
			if (t->inside)
				call_ends(t);
			else if (!done)
				call_begins(t);
		} else if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
			if (!done) {
				go_on(PTRACE_LISTEN, tid, 0);
				continue;
			}
			sig = 0;
		} else if (event != 0)
			sig = 0;
		go_on(done && !t->struck ? PTRACE_DETACH : PTRACE_SYSCALL, tid,
		    sig);
	}
	return (WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status));
}

static void
set_mode(enum mode mode)
{
	if (opt.mode != NONE)
		usage();
	opt.mode = mode;
}

int
main(int argc, char **argv)
{
	const char *only = NULL;
	int c, rc;

	opt.out = STDERR_FILENO;
	while ((c = getopt(argc, argv, "+ace:kln:o:S:t:")) != -1)
		switch (c) {
		case 'a':
			opt.all = 1;
			break;
		case 'c':
			set_mode(COUNT);
			break;
		case 'e':
			set_mode(FAIL);
			opt.error = error_number(optarg);
			break;
		case 'k':
			set_mode(KILL);
			break;
		case 'l':
			set_mode(LIST);
			break;
		case 'n':
			opt.n = number(optarg);
			break;
		case 'o':
			if ((opt.out = open(optarg, O_WRONLY | O_CREAT |
			    O_TRUNC | O_CLOEXEC, 0666)) == -1)
				die("cannot open '%s'", optarg);
			break;
		case 'S':
			set_mode(SHORT);
			if (strcmp(optarg, "half") != 0)
				opt.bytes = number(optarg);
			break;
		case 't':
			only = optarg;
			break;
		default:
			usage();
		}
	argc -= optind;
	argv += optind;
	if (argc == 0 || opt.mode == NONE ||
	    (opt.n == 0) != (opt.mode == COUNT || opt.mode == LIST))
		usage();
	set_lengths();
	memset(opt.counts, only == NULL, sizeof(opt.counts));
	if (only != NULL)
		set_counts(only, 1, 1);
	else
		set_counts(quiet, 0, 0);

	start(argv);
	rc = follow();
	if (opt.mode == COUNT)
		dprintf(opt.out, "%lu\n", ncalls);
	return (rc);
}
