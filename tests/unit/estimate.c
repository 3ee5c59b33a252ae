/*
 * lib/model/estimate.c, ge_train_bytes: what a training is said to take against
 * what a process takes that does it.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/estimate.h"
#include "model/sizes.h"

#define UNIT "estimate"
#include "check.h"

enum {
	TOKENS = 5000
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURED	0		/* memory of its own everywhere */
#else
#define MEASURED	1
#endif

static double
peak(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return ((double)r.ru_maxrss * 1024);
}

/* In a process of its own: bytes that a step needs more than nothing does. */
static double
measure(const struct ge_train_opts *o)
{
	static int32_t v[TOKENS];
	struct ge_tokens data = { v, TOKENS, 1 };
	struct ge_train *t;
	struct ge_err e;
	double bytes = 0;
	int fd[2];
	pid_t pid;

	if (pipe(fd) == -1 || (pid = fork()) == -1) {
		perror("estimate");
		exit(1);
	}
	if (pid == 0) {
		bytes = peak();
		if ((t = ge_train_new(o, &data, NULL, &e)) == NULL ||
		    ge_train_step(t, &e) == -1) {
			fprintf(stderr, "estimate: %s\n", e.msg);
			_exit(1);
		}
		bytes = peak() - bytes;
		_exit(write(fd[1], &bytes, sizeof(bytes)) != sizeof(bytes));
	}
	close(fd[1]);
	if (read(fd[0], &bytes, sizeof(bytes)) != sizeof(bytes))
		bytes = 0;
	close(fd[0]);
	waitpid(pid, NULL, 0);
	return (bytes);
}

static void
test(const char *name, const struct ge_train_opts *o)
{
	struct ge_train_size z;
	double said, took;

	ge_train_bytes(o, NULL, &z);
	said = (double)(z.weights + z.gradients + z.moments + z.activations);
	took = measure(o);
	printf("# %s: %.1f + %.1f + %.1f + %.1f = %.1f MB, took %.1f\n", name,
	    (double)z.weights / 1e6, (double)z.gradients / 1e6,
	    (double)z.moments / 1e6, (double)z.activations / 1e6, said / 1e6,
	    took / 1e6);
	check(took > 0.8 * said && took < 1.2 * said, name);
}

int
main(void)
{
	struct ge_train_opts o = {
		.prec = GE_F32, .seed = 1, .batch = 4, .len = 256,
		.shards = 2, .steps = 10, .warmup = 1, .lr = 1e-3f,
		.b1 = 0.9f, .b2 = 0.95f, .eps = 1e-8f
	};
	struct ge_train_size z;

	if (ge_size_find("3m", 0, &o.dims) == -1)
		return (1);
	ge_train_bytes(&o, NULL, &z);
	check(z.weights == 4 * 3279104 && z.gradients == 2 * z.weights &&
	    z.moments == 2 * z.weights && z.activations > z.weights,
	    "bytes of weights, gradients and moments");
	check(ge_train_flops(&o) == 6.0 * 3279104 + 12.0 * 4 * 256 * 256,
	    "operations a token");
	o.dims.tied = 0;
	check(ge_train_flops(&o) == 6.0 * 3279104 + 12.0 * 4 * 256 * 256,
	    "an embedding alone is not multiplied");
	o.dims.tied = 1;
	if (!MEASURED)
		return (bad);
	test("memory", &o);
	o.prec = GE_BF16;
	o.outer = 10;
	o.shards = 4;
	test("memory in bf16 and with DiLoCo", &o);
	o.outer = 0;
	o.lora = (struct ge_lora){ 16, 32 };
	test("memory with LoRA", &o);
	o.lora.rank = 0;
	o.batch = 16;
	o.shards = 1;
	o.dims.layers = 1;
	test("memory where activations are the most", &o);
	return (bad);
}
