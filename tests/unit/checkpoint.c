/*
 * lib/model/checkpoint.c: a training that stops and goes on gives the same
 * bytes; damage of any byte is seen; killed, or failed, at every system call it
 * leaves the last good state.
 *
 * checkpoint train KIND DIR STEPS goes on from DIR until so many steps are
 * done, with a checkpoint after each.
 */
#define _GNU_SOURCE		/* mkdtemp, setrlimit */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/checkpoint.h"
#include "util/file.h"
#include "util/hook.h"
#include "util/mem.h"

enum {
	VOCAB = 11, TOKENS = 400, STEPS = 7
};

static const uint8_t ident[32] = { 1, 2, 3, 0xff };
static const char *self;
static char top[4096], warned[1024];
static int32_t token[TOKENS];
static int bad, warnings;

static void
check(int good, const char *name)
{

	printf("%s checkpoint: %s\n", good ? "ok" : "not ok", name);
	bad |= !good;
}

static void
die(const char *what)
{

	fprintf(stderr, "checkpoint: %s\n", what);
	exit(1);
}

static void
warn(int level, const char *line)
{

	if (level == GE_WARN)
		warnings++;
	snprintf(warned, sizeof(warned), "%s", line);
}

static const char *
in(const char *name)
{
	static char path[8][4400];
	static int turn;

	turn = (turn + 1) % 8;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", top, name);
	return (path[turn]);
}

/* A status as a shell has it. */
static int
shell(const char *fmt, ...)
{
	char cmd[16384];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	rc = system(cmd);
	return (WIFEXITED(rc) ? WEXITSTATUS(rc) : 128 + WTERMSIG(rc));
}

/* The weights themselves, LoRA, or DiLoCo of one. */
static struct ge_train *
begin(const char *kind)
{
	struct ge_train_opts o = {
		.dims = { VOCAB, 8, 2, 2, 1, 4, 12, 16, 1, 10000, 1e-5f },
		.prec = GE_F32, .seed = 5, .batch = 4, .len = 16, .shards = 2,
		.steps = 100, .warmup = 2, .lr = 0.01f, .lr_end = 0.001f,
		.b1 = 0.9f, .b2 = 0.95f, .eps = 1e-8f, .decay = 0.1f,
		.clip = 1
	};
	struct ge_tokens data = { token, TOKENS, VOCAB - 1 };
	struct ge_train *t;
	struct ge_err e;
	size_t i;

	for (i = 0; i < TOKENS; i++)
		token[i] = (int32_t)(i * i / 7 % VOCAB);
	if (strcmp(kind, "lora") == 0)
		o.lora = (struct ge_lora){ 2, 4 };
	if (strcmp(kind, "outer") == 0) {
		o.outer = 3;
		o.outer_lr = 0.7f;
		o.outer_momentum = 0.9f;
	}
	if ((t = ge_train_new(&o, &data, NULL, &e)) == NULL)
		die(e.msg);
	return (t);
}

static struct ge_progress
progress(const struct ge_train *t)
{

	return ((struct ge_progress){ t->step, 100, t->step * 64,
	    0.1 * (double)t->step, 3 * (double)t->step, t->loss, NAN });
}

static void
save(const struct ge_train *t, const char *dir)
{
	struct ge_progress p = progress(t);
	struct ge_err e;

	if (ge_checkpoint_write(dir, t, ident, &p, &e) == -1)
		die(e.msg);
}

static void
step(struct ge_train *t)
{
	struct ge_err e;

	if (ge_train_step(t, &e) == -1)
		die(e.msg);
}

static int
train(const char *kind, const char *dir, uint64_t steps)
{
	struct ge_progress p;
	struct ge_err e = { 0, 0, "" };
	struct ge_train *t = begin(kind);
	int rc;

	rc = ge_checkpoint_resume(dir, t, ident, &p, &e);
	if (rc == 1)
		rc = ge_train_changed(t, &e);
	while (rc != -1 && t->step < steps) {
		step(t);
		p = progress(t);
		rc = ge_checkpoint_write(dir, t, ident, &p, &e);
	}
	ge_train_free(t);
	if (rc == -1)
		fprintf(stderr, "%s\n", e.msg);
	return (rc == -1 ? e.code : 0);
}

/* Is t what so many steps make of it? */
static int
same(const struct ge_train *t, const char *kind, uint64_t steps)
{
	struct ge_train *u = begin(kind);
	size_t len = t->ntheta * sizeof(float);
	int good;

	while (u->step < steps)
		step(u);
	good = t->step == steps && memcmp(t->theta, u->theta, len) == 0 &&
	    memcmp(t->m, u->m, len) == 0 && memcmp(t->v, u->v, len) == 0 &&
	    memcmp(t->params, u->params, t->nparams * sizeof(float)) == 0 &&
	    t->b1t == u->b1t && t->b2t == u->b2t;
	if (t->outer != NULL)
		good &= memcmp(t->outer, u->outer, len) == 0 &&
		    memcmp(t->outer_m, u->outer_m, len) == 0;
	ge_train_free(u);
	return (good);
}

/* What resuming finds: the step; -1. */
static int
found(const char *kind, const char *dir, struct ge_err *e)
{
	struct ge_train *t = begin(kind);
	struct ge_progress p;
	int rc;

	warnings = 0;
	e->code = 0;
	rc = ge_checkpoint_resume(dir, t, ident, &p, e);
	if (rc == 1) {
		if (ge_train_changed(t, e) == -1)
			die(e->msg);
		rc = (int)t->step;
		if (!same(t, kind, t->step) || p.step != t->step ||
		    p.steps != 100 || p.tokens != t->step * 64 ||
		    p.seconds != 0.1 * (double)p.step ||
		    p.joules != 3 * (double)p.step ||
		    !isfinite(p.loss) || !isnan(p.val))
			rc = -2;
	}
	ge_train_free(t);
	return (rc);
}

static void
test_same(const char *kind)
{
	char name[64];
	int good;

	shell("rm -rf '%s' '%s'", in("straight"), in("parts"));
	good = shell("'%s' train %s '%s' %d", self, kind, in("straight"),
	    STEPS) == 0 && shell("for n in 1 4 5 %d; do '%s' train %s '%s' "
	    "$n || exit 1; done", STEPS, self, kind, in("parts")) == 0 &&
	    shell("diff -r '%s' '%s'", in("straight"), in("parts")) == 0;
	snprintf(name, sizeof(name), "the same bytes in parts: %s", kind);
	check(good, name);
}

static uint8_t *
slurp(const char *path, size_t *len)
{
	struct ge_err e;
	uint8_t *buf;

	if (ge_slurp(path, 1 << 24, &buf, len, &e) == -1)
		die(e.msg);
	return (buf);
}

static void
spill(const char *path, const uint8_t *buf, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(buf, 1, len, f) != len || fclose(f) != 0)
		die(path);
}

static void
test_kept(void)
{
	struct ge_train *t = begin("full");
	struct ge_progress p;
	struct ge_err e;
	int good;

	good = found("full", in("k"), &e) == 0 && mkdir(in("k"), 0777) == 0 &&
	    found("full", in("k"), &e) == 0;
	check(good, "no folder and an empty one have none");
	for (good = 1; t->step < 4;) {
		step(t);
		save(t, in("k"));
		good &= found("full", in("k"), &e) == (int)t->step &&
		    warnings == 0;
	}
	good &= shell("test \"$(ls -A '%s')\" = 'checkpoint-00000003."
	    "safetensors\ncheckpoint-00000004.safetensors'", in("k")) == 0;
	check(good, "the last two are kept");

	spill(in("k/checkpoint-9.safetensors"), ident, 32);
	spill(in("k/checkpoint-000000009.safetensors"), ident, 32);
	spill(in("k/checkpoint-00000009.safetensors.bad"), ident, 32);
	spill(in("k/.checkpoint-00000009.safetensors.7-1.tmp"), ident, 32);
	good = found("full", in("k"), &e) == 4 && warnings == 0;
	save(t, in("k"));
	good &= shell("test \"$(ls -A '%s' | wc -l)\" = 5 && "
	    "! ls -A '%s' | grep -q tmp", in("k"), in("k")) == 0;
	check(good, "other names stay, what a killed process has left does "
	    "not");
	good = ge_checkpoint_resume_at(in("k"), 3, t, ident, &p, &e) == 1 &&
	    t->step == 3 && p.step == 3 && ge_checkpoint_resume_at(in("k"), 2,
	    t, ident, &p, &e) == 0;
	check(good, "the newest of at most so many steps");
	ge_train_free(t);
}

static void
test_damage(void)
{
	struct ge_train *t = begin("full");
	struct ge_err e;
	uint8_t *buf;
	size_t len, i, header;
	char path[4400], want[8192];
	int good = 1;

	snprintf(path, sizeof(path), "%s/d/checkpoint-00000002.safetensors",
	    top);
	step(t);
	save(t, in("d"));
	step(t);
	save(t, in("d"));
	ge_train_free(t);
	buf = slurp(path, &len);
	header = 8 + (size_t)buf[0] + 256 * (size_t)buf[1];
	for (i = 0; i < len; i += i < header ? 1 : 997) {
		buf[i] ^= i % 3 == 0 ? 1 : 0x80;
		spill(path, buf, len);
		good &= found("full", in("d"), &e) == 1 && warnings == 1;
		buf[i] ^= i % 3 == 0 ? 1 : 0x80;
	}
	check(good, "any byte damaged: the one before, and a warning");
	for (good = 1, i = 0; i < len; i += i < header ? 7 : 1009) {
		spill(path, buf, i);
		good &= found("full", in("d"), &e) == 1 && warnings == 1;
	}
	buf = ge_resize(buf, len + 1, &e);
	buf[len] = 0;
	spill(path, buf, len + 1);
	good &= found("full", in("d"), &e) == 1 && warnings == 1;
	check(good, "cut short or longer: the one before, and a warning");

	spill(in("d/checkpoint-00000001.safetensors"), buf, 100);
	good = found("full", in("d"), &e) == -1 && e.code == GE_EREFUSED &&
	    warnings == 1;
	snprintf(want, sizeof(want), "checkpoint '%s': not safetensors: the "
	    "length of its header", in("d/checkpoint-00000001.safetensors"));
	good &= strcmp(e.msg, want) == 0;
	check(good, "all damaged: refused");
	if (!good)
		printf("# %s\n", e.msg);
	spill(path, buf, len);
	good = found("full", in("d"), &e) == 2 && warnings == 0;
	check(good, "whole again: taken");
	ge_free(buf);
}

static void
test_other(void)
{
	struct ge_train *t = begin("full"), *u = begin("lora");
	uint8_t other[32];
	struct ge_progress p;
	struct ge_err e;
	char want[8192];
	int good;

	memcpy(other, ident, 32);
	other[31] ^= 1;
	step(t);
	save(t, in("o"));
	warnings = 0;
	good = ge_checkpoint_resume(in("o"), t, other, &p, &e) == -1 &&
	    e.code == GE_EREFUSED && warnings == 0;
	snprintf(want, sizeof(want), "checkpoint '%s' is of other data or "
	    "options", in("o/checkpoint-00000001.safetensors"));
	good &= strcmp(e.msg, want) == 0;
	check(good, "of other data or options: refused");
	good = ge_checkpoint_resume(in("o"), u, ident, &p, &e) == -1 &&
	    e.code == GE_EREFUSED && strstr(e.msg, "tensor 'theta' is "
	    "missing or of another size") != NULL;
	check(good, "of other sizes: refused");
	step(t);
	save(t, in("p"));
	rename(in("p/checkpoint-00000002.safetensors"),
	    in("p/checkpoint-00000007.safetensors"));
	memset(&p, 0, sizeof(p));
	good = ge_checkpoint_write(in("p"), t, other, &p, &e) == 0 &&
	    ge_checkpoint_resume(in("p"), t, other, &p, &e) == 1 &&
	    p.step == 2 && warnings == 1;
	check(good, "below one of another run: found");
	ge_train_free(t);
	ge_train_free(u);
}

/* As when the disk is full, of any size. */
static void
test_full(void)
{
	struct rlimit was, less;
	struct ge_train *t = begin("full");
	struct ge_progress p;
	struct ge_err e;
	uint8_t *buf;
	size_t len, i;
	int good = 1;

	for (i = 0; i < 2; i++) {
		step(t);
		save(t, in("f"));
	}
	buf = slurp(in("f/checkpoint-00000002.safetensors"), &len);
	ge_free(buf);
	step(t);
	p = progress(t);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	for (i = 0; i < len; i += 500) {
		less = was;
		less.rlim_cur = i;
		setrlimit(RLIMIT_FSIZE, &less);
		good &= ge_checkpoint_write(in("f"), t, ident, &p, &e) == -1 &&
		    e.code == GE_EFAIL && e.sys == EFBIG;
		setrlimit(RLIMIT_FSIZE, &was);
		good &= found("full", in("f"), &e) == 2 && warnings == 0;
	}
	good &= shell("test \"$(ls -A '%s')\" = 'checkpoint-00000001."
	    "safetensors\ncheckpoint-00000002.safetensors'", in("f")) == 0;
	check(good, "no room: an error, nothing left, the older ones intact");
	ge_train_free(t);
}

/* Processes that end before, or fail at, each system call of theirs. */
static void
test_faults(const char *how, const char *preload, const char *name)
{
	const char *build = getenv("GE_BUILD"), *san = getenv("GE_SAN");
	struct ge_train *t = begin("full");
	struct ge_err e;
	int n, rc, was, got, good = 1;

	if (build == NULL || (san != NULL && *san != '\0')) {
		ge_train_free(t);
		return;
	}
	for (n = 1; good; n++) {
		shell("rm -rf '%s'; mkdir '%s'", in("s"), in("s"));
		while (t->step < 2)
			step(t);
		save(t, in("s"));
		rc = shell("%s '%s/fault/sysfault' -n %d %s -o '%s' '%s' "
		    "train full '%s' 4 2>'%s'", preload, build, n, how,
		    in("hit"), self, in("s"), in("err"));
		if (shell("test -s '%s'", in("hit")) != 0)
			break;
		was = found("full", in("s"), &e);
		good &= was >= 2 && was <= 4 && warnings == 0;
		good &= rc == 0 ? was == 4 : *how == '-' && how[1] == 'k' ?
		    rc == 137 : rc == 1 || rc == 127;
		/* What a user does next. */
		good &= shell("'%s' train full '%s' 4", self, in("s")) == 0;
		got = found("full", in("s"), &e);
		good &= got == 4;
		if (!good)
			printf("# call %d: status %d, step %d, then %d: %s\n",
			    n, rc, was, got, e.msg);
	}
	printf("# %d calls\n", n - 1);
	check(good && n > 30 && rc == 0, name);
	ge_train_free(t);
}

/* Each allocation of ours fails in turn. */
static void
test_memory(void)
{
	struct ge_err e;
	int i, rc = 1, was, good = 1;

	for (i = 1; rc != 0; i++) {
		shell("rm -rf '%s'", in("a"));
		if (shell("'%s' train full '%s' 1", self, in("a")) != 0)
			die("cannot begin");
		rc = shell("GE_FAILALLOC=%d '%s' train full '%s' 2 2>'%s'", i,
		    self, in("a"), in("err"));
		was = found("full", in("a"), &e);
		good &= (rc == 0 && was == 2) || (rc == 1 && was >= 1);
	}
	printf("# %d allocations\n", i - 2);
	check(good && i > 20, "without memory: an error, and the last good "
	    "state");
}

static int
pipes(const char *command, const char *want)
{
	const char *path = in("p/checkpoint-00000001.safetensors");
	struct ge_err e = { 0, 0, "" };
	int rc = ge_checkpoint_pipe(command, path, &e);

	if (want == NULL)
		return (rc == 0);
	return (rc == -1 && e.code == GE_EFAIL && strcmp(e.msg, want) == 0);
}

static void
test_pipe(void)
{
	struct ge_train *t = begin("full");
	struct ge_err e;
	char cmd[8192];
	int good;

	step(t);
	save(t, in("p"));
	ge_train_free(t);
	snprintf(cmd, sizeof(cmd), "cat >'%s'", in("copy"));
	good = pipes(cmd, NULL) && shell("cmp '%s' '%s'", in("copy"),
	    in("p/checkpoint-00000001.safetensors")) == 0;
	check(good, "a command has the file as its input");
	check(pipes("exit 3", "'exit 3': status 3") && pipes("kill -9 $$",
	    "'kill -9 $$': ended by signal 9") && pipes("true", NULL) &&
	    pipes("exec <&-", NULL), "its status; it need not read");
	signal(SIGPIPE, SIG_IGN);
	check(pipes("kill -PIPE $$", "'kill -PIPE $$': ended by signal 13"),
	    "what is ignored here is not ignored there");
	signal(SIGPIPE, SIG_DFL);
	good = ge_checkpoint_pipe("true", in("p/none"), &e) == -1 &&
	    e.code == GE_EFAIL && e.sys == ENOENT;
	check(good, "no file");
	/* Standard output is the product of the program. */
	good = shell("'%s' pipe 'echo words' '%s' >'%s' 2>'%s' && test ! -s "
	    "'%s' && grep -qx words '%s'", self,
	    in("p/checkpoint-00000001.safetensors"), in("out"), in("err"),
	    in("out"), in("err")) == 0;
	check(good, "what it prints goes to standard error");
}

int
main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR"), *build = getenv("GE_BUILD");
	char preload[4400];
	struct ge_err e;

	if (argc == 5 && strcmp(argv[1], "train") == 0)
		return (train(argv[2], argv[3], (uint64_t)atoi(argv[4])));
	if (argc == 4 && strcmp(argv[1], "pipe") == 0)
		return (ge_checkpoint_pipe(argv[2], argv[3], &e) == -1);
	self = argv[0];
	snprintf(top, sizeof(top), "%s/ge-checkpoint.XXXXXX",
	    tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	if (mkdtemp(top) == NULL)
		die(top);
	ge_note_open(warn);
	test_same("full");
	test_same("lora");
	test_same("outer");
	test_kept();
	test_damage();
	test_other();
	test_full();
	test_pipe();
	test_memory();
	test_faults("-k", "", "killed before each system call");
	test_faults("-e ENOSPC", "", "each system call fails");
	snprintf(preload, sizeof(preload), "LD_PRELOAD='%s/fault/notmpfile.so'",
	    build != NULL ? build : "");
	test_faults("-k", preload, "killed, without nameless files");
	return (shell("rm -rf '%s'", top) != 0 || bad);
}
