/*
 * lib/data/corpus.c: documents come back as they were, are split by what they hold, and
 * become the tokens that each of them alone becomes.
 */
#define _DEFAULT_SOURCE		/* wait4 */
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/corpus.h"
#include "data/docs.h"
#include "util/mem.h"

#define UNIT "corpus"
#include "check.h"

/* Documents of words; every 50th is long, some are twice there, some empty. */
enum {
	NDOCS = 3000
};

static uint8_t *some;
static size_t from[NDOCS + 1];

static void
make_docs(void)
{
	static const char *const word[] = { "le ", "chat ", "noir", "\n\n",
	    "\xc3\xa9t\xc3\xa9 ", "the ", "dog", " 1234", "'s ", "a" };
	size_t at = 0, i, n;
	const char *w;

	if ((some = malloc((size_t)8 << 20)) == NULL)
		abort();
	for (i = 0; i < NDOCS; i++) {
		from[i] = at;
		n = i == 1234 ? 1300000 : i % 50 == 0 ? 60000 : draw(300);
		if (i % 50 == 7 && i > 50) {
			memcpy(some + at, some + from[i - 50], from[i - 49] -
			    from[i - 50]);
			at += from[i - 49] - from[i - 50];
			continue;
		}
		while (at < from[i] + n) {
			w = word[draw(10)];
			memcpy(some + at, w, strlen(w));
			at += strlen(w);
		}
	}
	from[NDOCS] = at;
}

static int
fill(struct ge_corpus *c, double val, const size_t *order, struct ge_err *e)
{
	size_t i, k;

	if (ge_corpus_open(c, val, e) == -1)
		return (-1);
	for (i = 0; i < NDOCS; i++) {
		k = order != NULL ? order[i] : i;
		if (ge_corpus_add(c, some + from[k], from[k + 1] - from[k],
		    e) == -1)
			return (-1);
	}
	return (ge_corpus_done(c, e));
}

static void
test_kept(void)
{
	struct ge_corpus c;
	struct ge_err e;
	uint8_t digest[32], *all = malloc((size_t)9 << 20);
	uint64_t n = 0, nval = 0;
	size_t i, len, l, at = 0;
	const uint8_t *s;
	int good, val, j;

	good = all != NULL && fill(&c, 0.1, NULL, &e) == 0;
	for (i = 0; i < NDOCS && good; i++) {
		if ((len = from[i + 1] - from[i]) == 0)
			continue;
		s = ge_corpus_doc(&c, n++, &l, &val);
		good &= l == len && memcmp(s, some + from[i], len) == 0;
		nval += (uint64_t)val;
		for (j = 0; j < 8; j++)
			all[at++] = (uint8_t)((uint64_t)len >> 8 * j);
		memcpy(all + at, s, len);
		at += len;
	}
	good &= EVP_Digest(all, at, digest, NULL, EVP_sha256(), NULL);
	free(all);
	check(good && n == c.ndocs && n < NDOCS && nval == c.nval &&
	    c.bytes == from[NDOCS], "documents come back, empty ones do not");
	check(good && memcmp(digest, c.digest, 32) == 0,
	    "the digest is that of lengths and bytes");
	check(good && c.nval > c.ndocs / 20 && c.nval < c.ndocs / 5,
	    "a tenth is for validation, more or less");
	ge_corpus_release(&c);
}

/* SHA-256 of "abc" begins with ba7816bf 8f01cfea (FIPS 180-4). */
static void
test_hash(void)
{
	static const struct { double val; uint64_t nval; } some_val[] = {
		{ 0, 0 }, { 0.7283, 0 },
		{ 0xba7816bf8f01cp-52, 0 }, { 0xba7816bf8f01dp-52, 1 },
		{ 0.7284, 1 }, { 1, 1 }
	};
	struct ge_corpus c;
	struct ge_err e;
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof(some_val) / sizeof(some_val[0]); i++) {
		good &= ge_corpus_open(&c, some_val[i].val, &e) == 0 &&
		    ge_corpus_add(&c, (const uint8_t *)"abc", 3, &e) == 0 &&
		    ge_corpus_done(&c, &e) == 0 && c.ndocs == 1 &&
		    c.nval == some_val[i].nval;
		ge_corpus_release(&c);
	}
	check(good, "validation is what the hash is below");
}

static uint64_t
sum(const uint8_t *s, size_t len)
{
	uint64_t h = len;

	while (len-- > 0)
		h = (h ^ *s++) * 0x100000001b3u;
	return (h * 0x9e3779b97f4a7c15u);
}

/* A sum over the documents of one side, whatever their order. */
static uint64_t
side(const struct ge_corpus *c, int which)
{
	uint64_t i, h = 0;
	const uint8_t *s;
	size_t len;
	int val;

	for (i = 0; i < c->ndocs; i++) {
		s = ge_corpus_doc(c, i, &len, &val);
		h += val == which ? sum(s, len) : 0;
	}
	return (h);
}

static void
test_order(void)
{
	struct ge_corpus a, b;
	static size_t order[NDOCS];
	struct ge_err e;
	size_t i, k, was;
	int good;

	for (i = 0; i < NDOCS; i++)
		order[i] = i;
	for (i = NDOCS - 1; i > 0; i--) {
		k = draw((unsigned int)i + 1);
		was = order[i];
		order[i] = order[k];
		order[k] = was;
	}
	good = fill(&a, 0.25, NULL, &e) == 0 && fill(&b, 0.25, order, &e) == 0;
	check(good && a.ndocs == b.ndocs && a.nval == b.nval &&
	    a.bytes == b.bytes && side(&a, 0) == side(&b, 0) &&
	    side(&a, 1) == side(&b, 1) && side(&a, 0) != side(&a, 1),
	    "the split is the same in another order");
	check(good && memcmp(a.digest, b.digest, 32) != 0,
	    "the digest is not");
	ge_corpus_release(&a);
	ge_corpus_release(&b);
}

static int
learn(struct ge_bpe *b, const struct ge_corpus *c, struct ge_err *e)
{
	struct ge_bpe_count *count;
	int rc;

	memset(b, 0, sizeof(*b));
	if ((count = ge_bpe_count_new(GE_SPLIT_GPT2, e)) == NULL)
		return (-1);
	rc = ge_corpus_count(c, count, e) == -1 ? -1 :
	    ge_bpe_train(b, count, 300, e);
	ge_bpe_count_free(count);
	return (rc);
}

/* By definition: a document after the other. */
static int
as_alone(const struct ge_corpus *c, const struct ge_bpe *b,
    const struct ge_token_file f[2])
{
	uint64_t i, at[2] = { 0, 0 }, bytes[2] = { 0, 0 };
	struct ge_err e;
	const uint8_t *s;
	int32_t *v = NULL;
	size_t len, n, cap = 0;
	int k, good = 1;

	for (i = 0; i < c->ndocs && good; i++) {
		s = ge_corpus_doc(c, i, &len, &k);
		n = 0;
		good = ge_bpe_encode(b, s, len, &v, &n, &cap, &e) == 0 &&
		    at[k] + n < f[k].n && memcmp(f[k].v + at[k], v,
		    n * sizeof(*v)) == 0 && f[k].v[at[k] + n] == b->end;
		at[k] += n + 1;
		bytes[k] += len;
	}
	free(v);
	return (good && at[0] == f[0].n && at[1] == f[1].n &&
	    bytes[0] == f[0].bytes && bytes[1] == f[1].bytes);
}

static void
test_tokens(void)
{
	static const int jobs[] = { 1, 2, 5, 0 };
	struct ge_token_file f[2];
	struct ge_bpe_count *count;
	struct ge_corpus c, t;
	struct ge_bpe b, again;
	struct ge_err e;
	uint64_t i;
	const uint8_t *s;
	size_t len, j;
	int val, good;

	good = fill(&c, 0.2, NULL, &e) == 0 && learn(&b, &c, &e) == 0;
	for (j = 0; j < 4 && good; j++) {
		good = ge_corpus_tokens(&c, &b, jobs[j], &f[0], &f[1], &e) == 0;
		good = good && as_alone(&c, &b, f);
		ge_token_file_release(&f[0]);
		ge_token_file_release(&f[1]);
	}
	check(good, "tokens are those of each document, whatever the jobs");
	/* Only what is trained on is counted. */
	good = ge_corpus_open(&t, 0, &e) == 0;
	for (i = 0; i < c.ndocs; i++) {
		s = ge_corpus_doc(&c, i, &len, &val);
		good &= val || ge_corpus_add(&t, s, len, &e) == 0;
	}
	good = good && ge_corpus_done(&t, &e) == 0 && t.nval == 0 &&
	    learn(&again, &t, &e) == 0 && again.ntokens == b.ntokens &&
	    again.nbytes == b.nbytes &&
	    memcmp(again.bytes, b.bytes, b.nbytes) == 0;
	check(good, "pairs are learnt from what is trained on");
	good = ge_corpus_tokens(&t, &b, 2, &f[0], &f[1], &e) == 0;
	check(good && f[1].n == 0 && f[1].v == NULL && f[1].bytes == 0 &&
	    f[0].bytes == t.bytes, "a side may be empty");
	ge_token_file_release(&f[0]);
	ge_token_file_release(&f[1]);
	ge_bpe_release(&again);
	ge_corpus_release(&t);
	good = ge_corpus_open(&t, 0, &e) == 0 && ge_corpus_done(&t, &e) == 0 &&
	    ge_corpus_tokens(&t, &b, 2, &f[0], &f[1], &e) == 0;
	check(good && t.ndocs == 0 && f[0].n == 0, "or both");
	count = ge_bpe_count_new(GE_SPLIT_GPT2, &e);
	check(count != NULL && ge_corpus_count(&t, count, &e) == 0,
	    "nothing is counted");
	ge_bpe_count_free(count);
	ge_corpus_release(&t);
	ge_corpus_release(&c);
	ge_bpe_release(&b);
}

/* All of it once: its status, and its message into msg. */
static int
once(char *msg, size_t cap)
{
	struct ge_token_file f[2];
	struct ge_docs_caps caps;
	struct ge_corpus c;
	struct ge_bpe b;
	struct ge_err e = { 0, 0, "" };
	int fd[2], rc = -1;

	memset(f, 0, sizeof(f));
	memset(&b, 0, sizeof(b));
	ge_docs_caps_init(&caps);
	caps.doc = 500;
	if (pipe(fd) == -1 || write(fd[1], some, 40000) != 40000)
		abort();
	close(fd[1]);
	if (ge_corpus_open(&c, 0.2, &e) == 0 &&
	    ge_docs_read(fd[0], "in", &caps, ge_corpus_add, &c, &e) == 0 &&
	    ge_corpus_done(&c, &e) == 0 && learn(&b, &c, &e) == 0)
		rc = ge_corpus_tokens(&c, &b, 1, &f[0], &f[1], &e);
	close(fd[0]);
	if (rc == -1 && (f[0].v != NULL || f[1].v != NULL || f[0].n != 0))
		e.code = 0;
	ge_token_file_release(&f[0]);
	ge_token_file_release(&f[1]);
	ge_bpe_release(&b);
	ge_corpus_release(&c);
	snprintf(msg, cap, "%s", e.msg);
	return (rc == -1 ? e.code : rc == 0 ? GE_OK : 99);
}

/* In a child, that the first allocation of its own be the first. */
static int
child(int (*fn)(long arg), long arg, struct rusage *use)
{
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == -1)
		abort();
	if (pid == 0)
		exit(fn(arg));
	if (wait4(pid, &status, 0, use) == -1)
		abort();
	return (WIFEXITED(status) ? WEXITSTATUS(status) : 100);
}

/* 0 as it should be, 1 it failed well, 2 not so. */
static int
fail_alloc(long i)
{
	char number[32], msg[600];
	int rc;

	snprintf(number, sizeof(number), "%ld", i);
	setenv("GE_FAILALLOC", number, 1);
	rc = once(msg, sizeof(msg));
	if (rc == GE_EFAIL && strncmp(msg, "out of memory", 13) != 0 &&
	    strncmp(msg, "'in': out of memory", 19) != 0)
		printf("# allocation %ld: %s\n", i, msg);
	return (rc == GE_OK ? 0 : rc == GE_EFAIL && strstr(msg,
	    "out of memory") != NULL ? 1 : 2);
}

static void
test_alloc(void)
{
	long i;
	int rc = 1;

	for (i = 1; rc == 1; i++)
		rc = child(fail_alloc, i, NULL);
	check(rc == 0 && i > 30, "each allocation may fail");
}

static int
no_folder(long arg)
{
	char msg[600];

	(void)arg;
	setenv("TMPDIR", "/nonexistent/folder", 1);
	return (once(msg, sizeof(msg)) == GE_EFAIL && strstr(msg, "cannot make "
	    "a temporary file in '/nonexistent/folder': ") == msg ? 0 : 2);
}

/* No more than so many bytes fit: as on a full disk, but that errno differs. */
static int
no_room(long bytes)
{
	struct rlimit l = { (rlim_t)bytes, (rlim_t)bytes };
	char msg[600];

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &l) == -1)
		return (3);
	return (once(msg, sizeof(msg)) == GE_EFAIL && strstr(msg,
	    "a temporary file (TMPDIR): cannot write: ") == msg ? 0 : 2);
}

static void
test_room(void)
{

	check(child(no_folder, 0, NULL) == 0,
	    "a TMPDIR that is not there is named");
	/* The text, then the tokens, some of which are of one byte. */
	check(child(no_room, 1000, NULL) == 0 &&
	    child(no_room, 39999, NULL) == 0 &&
	    child(no_room, 40000, NULL) == 0, "a full TMPDIR is an error");
}

/* A line that is longer than all the memory that reading it takes. */
static int
long_line(long mib)
{
	struct ge_docs_caps caps;
	struct ge_corpus c;
	struct ge_err e;
	int fd[2], rc;

	if (pipe(fd) == -1)
		return (3);
	if (fork() == 0) {
		memset(some, 'a', 1 << 20);
		close(fd[0]);
		for (; mib > 0; mib--)
			if (write(fd[1], some, 1 << 20) == -1)
				break;
		_exit(0);
	}
	close(fd[1]);
	ge_docs_caps_init(&caps);
	rc = ge_corpus_open(&c, 0, &e) == 0 &&
	    ge_docs_read(fd[0], "in", &caps, ge_corpus_add, &c, &e) == 0 &&
	    ge_corpus_done(&c, &e) == 0 && c.bytes == (uint64_t)mib << 20;
	ge_corpus_release(&c);
	wait(NULL);
	return (rc ? 0 : 2);
}

static void
test_memory(void)
{
	struct rusage one, many;
	int good;

	good = child(long_line, 1, &one) == 0 &&
	    child(long_line, 256, &many) == 0;
	check(good && many.ru_maxrss - one.ru_maxrss < 8 << 10,
	    "memory does not grow with what is read");
}

int
main(void)
{

	make_docs();
	test_alloc();
	test_room();
	test_memory();
	test_kept();
	test_hash();
	test_order();
	test_tokens();
	free(some);
	return (bad);
}
