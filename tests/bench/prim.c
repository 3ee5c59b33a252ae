/*
 * prim [jobs [rounds]]: what the machine allows.  Each of `jobs` threads goes
 * round 32 stripes of its own, 6 data and 3 parity blocks of 256 KiB: too much
 * for L2, as in the programs.  Prints "name<TAB>MB/s of user data<TAB>jobs", the
 * medians of 7 rounds; what names joined by "+" mean is done one after the other
 * for each stripe.
 */
#include <openssl/evp.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "code/code.h"
#include "util/mem.h"
#include "util/sha256.h"

enum {
	K = 6, N = 9, LEN = 256 << 10, STRIPES = 32,
	ROUNDS = 99, JOBS = 64
};

#define SECONDS	0.2		/* a round */

enum {
	SEAL = 1, OPEN = 2, ENCODE = 4, REBUILD = 8,
	OPENSSL9 = 16, BLOCKS9 = 32, BLOCKS6 = 64
};

static const struct {
	const char *name;
	int what;
} tests[] = {
	{ "aes-256-gcm", SEAL },
	{ "rs encode 6+3", ENCODE },
	{ "rs rebuild 3 of 6", REBUILD },
	{ "sha256 openssl 1.5x", OPENSSL9 },
	{ "sha256 blocks 1.5x", BLOCKS9 },
	{ "split: aes+encode+sha", SEAL | ENCODE | BLOCKS9 },
	{ "join: aes+rebuild", OPEN | REBUILD },
	{ "join: aes+rebuild+sha 1x", OPEN | REBUILD | BLOCKS6 }
};

struct job {
	int what;
	uint8_t *mem;		/* [STRIPES][N][LEN] */
	EVP_CIPHER_CTX *aes;
	double speed;
};

static struct ge_rs code;
static struct ge_rs_plan plan;
static pthread_barrier_t start;

static void
die(const char *msg)
{
	fprintf(stderr, "prim: %s\n", msg);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec * 1e-9);
}

static void
stripe(struct job *j, uint8_t *mem)
{
	static const uint8_t key[32], iv[12], head[N][64];
	const uint8_t *have[K], *block[N];
	uint8_t *place[N], out[N][32];
	int i, n;

	for (i = 0; i < N; i++)
		block[i] = place[i] = mem + (size_t)i * LEN;
	for (i = 0; i < K; i++)
		have[i] = block[i + 3];
	if (j->what & (SEAL | OPEN) && (!EVP_CipherInit_ex(j->aes,
	    EVP_aes_256_gcm(), NULL, key, iv, (j->what & SEAL) != 0) ||
	    !EVP_CipherUpdate(j->aes, mem, &n, mem, K * LEN)))
		die("AES failed");
	if (j->what & ENCODE)
		ge_rs_encode(&code, block, place + K, LEN);
	if (j->what & REBUILD)
		ge_rs_rebuild(&plan, have, place, LEN);
	if (j->what & OPENSSL9)
		for (i = 0; i < N; i++)
			EVP_Digest(block[i], LEN, out[i], NULL, EVP_sha256(),
			    NULL);
	if (j->what & BLOCKS9)
		ge_sha256_blocks(out, head, block, LEN, N);
	if (j->what & BLOCKS6)
		ge_sha256_blocks(out, head, have, LEN, K);
}

static void *
work(void *arg)
{
	struct job *j = arg;
	double begin, t;
	size_t n = 0;

	pthread_barrier_wait(&start);
	begin = now();
	do {
		stripe(j, j->mem + n % STRIPES * N * LEN);
		n++;
	} while ((t = now() - begin) < SECONDS);
	j->speed = (double)n * K * LEN / t / 1e6;
	return (NULL);
}

static int
ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return ((*x > *y) - (*x < *y));
}

int
main(int argc, char **argv)
{
	static const uint8_t have[K] = { 3, 4, 5, 6, 7, 8 };
	static const uint8_t want[3] = { 0, 1, 2 };
	static struct job job[JOBS];
	pthread_t thread[JOBS];
	double speed[ROUNDS];
	struct ge_err e;
	size_t t;
	int i, jobs, r, rounds;

	jobs = argc > 1 ? atoi(argv[1]) : 1;
	rounds = argc > 2 ? atoi(argv[2]) : 7;
	if (jobs < 1 || jobs > JOBS || rounds < 1 || rounds > ROUNDS)
		die("jobs: 1 to 64; rounds: 1 to 99");
	if (ge_rs_init(&code, K, N, &e) == -1 ||
	    ge_rs_plan_init(&plan, &code, have, want, 3, &e) == -1 ||
	    pthread_barrier_init(&start, NULL, (unsigned int)jobs) != 0)
		die("cannot begin");
	for (i = 0; i < jobs; i++) {
		job[i].mem = ge_block_alloc((size_t)STRIPES * N * LEN, &e);
		job[i].aes = EVP_CIPHER_CTX_new();
		if (job[i].mem == NULL || job[i].aes == NULL)
			die("no memory");
		memset(job[i].mem, i + 1, (size_t)STRIPES * N * LEN);
	}
	for (t = 0; t < sizeof(tests) / sizeof(tests[0]); t++) {
		for (r = 0; r < rounds; r++) {
			for (i = 0; i < jobs; i++) {
				job[i].what = tests[t].what;
				if (pthread_create(&thread[i], NULL, work,
				    &job[i]) != 0)
					die("no thread");
			}
			speed[r] = 0;
			for (i = 0; i < jobs; i++) {
				pthread_join(thread[i], NULL);
				speed[r] += job[i].speed;
			}
		}
		qsort(speed, (size_t)rounds, sizeof(speed[0]), ascending);
		printf("%s\t%.0f\t%d\n", tests[t].name, speed[rounds / 2],
		    jobs);
	}
	return (0);
}
