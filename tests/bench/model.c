/*
 * model peak|gemm|train ...: what the processor can multiply, what the kernels of
 * lib/model do beside it and beside oneDNN, and what a step of training does.
 *
 *	model peak JOBS
 *	model gemm small|gpt2 f32|bf16 JOBS ROUNDS
 *	model train small|gpt2 f32|bf16 JOBS ROUNDS SHARDS
 *
 * Every round measures all that a line compares, one right after the other; the
 * lines give medians of rounds and of the ratios within rounds.  "cpu" counts
 * processor seconds, so that what else runs here counts less.
 */
#define _GNU_SOURCE		/* RTLD_DEFAULT of old C libraries */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__has_include)
#if __has_include(<dnnl.h>)
#include <dnnl.h>
#define HAVE_DNNL
#endif
#endif

#include "model/gemm.h"
#include "model/train.h"
#include "util/mem.h"
#include "util/pool.h"

enum {
	ROUNDS = 99,
	TURNS = 400000,			/* of a loop of peak */
	TILE = 24			/* sums in registers */
};

struct shape {
	const char *name;
	struct ge_llama_dims dims;
	size_t batch, len;
};

static const struct shape shapes[] = {
	{ "small", { .vocab = 4096, .dim = 288, .layers = 6, .heads = 6,
	    .kv = 6, .hd = 48, .ff = 768, .ctx = 256, .tied = 1,
	    .theta = 10000, .eps = 1e-5f }, 16, 256 },
	{ "gpt2", { .vocab = 50304, .dim = 768, .layers = 12, .heads = 12,
	    .kv = 12, .hd = 64, .ff = 3072, .ctx = 256, .tied = 1,
	    .theta = 10000, .eps = 1e-5f }, 4, 256 }
};

static void
die(const char *msg)
{
	fprintf(stderr, "model: %s\n", msg);
	exit(1);
}

struct span {
	double wall, cpu;
};

static double
clock_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec * 1e-9);
}

static struct span
since(struct span from)
{
	struct span s = { clock_of(CLOCK_MONOTONIC) - from.wall,
	    clock_of(CLOCK_PROCESS_CPUTIME_ID) - from.cpu };

	return (s);
}

static struct span
now(void)
{
	struct span none = { 0, 0 };

	return (since(none));
}

static int
ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return ((*x > *y) - (*x < *y));
}

static double
median(double *v, int n)
{

	qsort(v, (size_t)n, sizeof(*v), ascending);
	return (v[n / 2]);
}

/* A loop that multiplies and adds in registers; what it leaves is of no use. */
#if defined(__x86_64__)
#define PEAK(isa, name, vec, xvec, ZERO, XSET, MULADD, ADD, n)		\
__attribute__((target(isa)))						\
static void								\
name(float *out)							\
{									\
	vec s[n];							\
	xvec x = XSET, y = XSET;					\
	size_t i;							\
	int r;								\
									\
	_Pragma("GCC unroll 24")					\
	for (r = 0; r < n; r++) {					\
		s[r] = ZERO();						\
		/* The compiler is not to see that they are equal. */	\
		__asm__ volatile("" : "+v"(s[r]));			\
	}								\
	for (i = 0; i < TURNS; i++) {					\
		__asm__ volatile("" : "+v"(x), "+v"(y));		\
		_Pragma("GCC unroll 24")				\
		for (r = 0; r < n; r++)					\
			s[r] = MULADD(x, y, s[r]);			\
	}								\
	_Pragma("GCC unroll 24")					\
	for (r = 1; r < n; r++)						\
		s[0] = ADD(s[0], s[r]);					\
	memcpy(out, s, sizeof(*out));					\
}
#define DPBF16(x, y, s) _mm512_dpbf16_ps(s, (__m512bh)(x), (__m512bh)(y))

PEAK("avx2,fma", peak_avx2, __m256, __m256, _mm256_setzero_ps,
    _mm256_set1_ps(1), _mm256_fmadd_ps, _mm256_add_ps, 12)
PEAK("avx512f", peak_avx512, __m512, __m512, _mm512_setzero_ps,
    _mm512_set1_ps(1), _mm512_fmadd_ps, _mm512_add_ps, TILE)
PEAK("avx512f,avx512bf16", peak_bf16, __m512, __m512i, _mm512_setzero_ps,
    _mm512_set1_epi32(0x3f803f80), DPBF16, _mm512_add_ps, TILE)
#endif

struct peak {
	const char *name;
	void (*fn)(float *);
	double flops;			/* a call */
};

/* Where bfloat16 has no product of its own, f32 is the peak of both. */
static struct peak
peak_of(enum ge_prec prec)
{
	struct peak p = { NULL, NULL, 0 };
#if defined(__x86_64__)
	if (prec == GE_BF16 && __builtin_cpu_supports("avx512bf16"))
		return ((struct peak){ "vdpbf16ps", peak_bf16, 64.0 * TILE *
		    TURNS });
	if (__builtin_cpu_supports("avx512f"))
		return ((struct peak){ "vfmadd, 16 wide", peak_avx512,
		    32.0 * TILE * TURNS });
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return ((struct peak){ "vfmadd, 8 wide", peak_avx2,
		    16.0 * 12 * TURNS });
#endif
	(void)prec;
	return (p);
}

static void
peak_task(void *arg, size_t i, int worker)
{
	const struct peak *p = arg;
	float out;

	(void)i;
	(void)worker;
	p->fn(&out);
}

/* GFLOP/s, by the wall and a processor second. */
static struct span
peak_speed(const struct peak *p, struct ge_pool *pool)
{
	size_t n = (size_t)ge_pool_jobs(pool) * 4;
	double flops = p->flops * (double)n / 1e9;
	struct span s;

	if (p->fn == NULL)
		return ((struct span){ 0, 0 });
	s = now();
	ge_pool_run(pool, n, peak_task, (void *)(uintptr_t)p);
	s = since(s);
	return ((struct span){ flops / s.wall, flops / s.cpu });
}

static void
peak(struct ge_pool *pool)
{
	double wall[9], cpu[9];
	enum ge_prec prec;
	struct peak p;
	struct span s;
	int r;

	for (prec = GE_F32; prec <= GE_BF16; prec++) {
		p = peak_of(prec);
		for (r = 0; r < 9; r++) {
			s = peak_speed(&p, pool);
			wall[r] = s.wall;
			cpu[r] = s.cpu;
		}
		printf("peak %s, %-16s %d threads %7.1f GFLOP/s, %6.1f a "
		    "processor second\n", prec == GE_F32 ? "f32 " : "bf16",
		    p.name, ge_pool_jobs(pool), median(wall, 9),
		    median(cpu, 9));
	}
}

static const struct shape *
shape_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (strcmp(shapes[i].name, name) == 0)
			return (&shapes[i]);
	die("no such model");
	return (NULL);
}

static enum ge_prec
prec_of(const char *name)
{

	return (strcmp(name, "f32") == 0 ? GE_F32 : GE_BF16);
}

/*
 * The product of oneDNN: factors and layouts as ours, except that it is given
 * bfloat16 that is there already, and ours makes it.
 */
struct rival {
	int there;
#if defined(HAVE_DNNL)
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	dnnl_primitive_t product;
	dnnl_memory_t a, b, c;
	__typeof__(dnnl_primitive_execute) *execute;
	__typeof__(dnnl_stream_wait) *wait;
#endif
};

#if defined(HAVE_DNNL)
#define GET(f) __typeof__(f) *p_##f = (__typeof__(f) *)dlsym(lib, #f)

static void
rival_matrix(void *lib, const struct rival *y, dnnl_memory_desc_t *d,
    dnnl_memory_t *memory, size_t rows, size_t cols, size_t rs, size_t cs,
    enum ge_prec prec, void *v)
{
	GET(dnnl_memory_desc_init_by_strides);
	GET(dnnl_memory_create);
	dnnl_dims_t dims = { (int64_t)rows, (int64_t)cols };
	dnnl_dims_t strides = { (int64_t)rs, (int64_t)cs };

	if (p_dnnl_memory_desc_init_by_strides(d, 2, dims, prec == GE_F32 ?
	    dnnl_f32 : dnnl_bf16, strides) != dnnl_success ||
	    p_dnnl_memory_create(memory, d, y->engine, v) != dnnl_success)
		die("oneDNN: no memory");
}

static void
rival_new(struct rival *y, enum ge_prec prec, size_t m, size_t n, size_t k,
    struct ge_mat a, struct ge_mat b, float *c, int add)
{
	static void *lib;
	dnnl_memory_desc_t ad, bd, cd;
	dnnl_matmul_desc_t what;
	dnnl_primitive_desc_t pd;
	dnnl_primitive_attr_t attr;
	dnnl_post_ops_t ops;

	y->there = 0;
	if (lib == NULL && (lib = dlopen("libdnnl.so.2", RTLD_NOW)) == NULL)
		return;
	GET(dnnl_engine_create);
	GET(dnnl_stream_create);
	GET(dnnl_matmul_desc_init);
	GET(dnnl_primitive_desc_create);
	GET(dnnl_primitive_create);
	GET(dnnl_primitive_attr_create);
	GET(dnnl_primitive_attr_set_post_ops);
	GET(dnnl_post_ops_create);
	GET(dnnl_post_ops_append_sum);
	y->execute = (__typeof__(dnnl_primitive_execute) *)dlsym(lib,
	    "dnnl_primitive_execute");
	y->wait = (__typeof__(dnnl_stream_wait) *)dlsym(lib,
	    "dnnl_stream_wait");
	if (p_dnnl_engine_create(&y->engine, dnnl_cpu, 0) != dnnl_success ||
	    p_dnnl_stream_create(&y->stream, y->engine,
	    dnnl_stream_default_flags) != dnnl_success)
		die("oneDNN: no engine");
	rival_matrix(lib, y, &ad, &y->a, m, k, a.rs, a.cs, prec,
	    (void *)(uintptr_t)a.v);
	rival_matrix(lib, y, &bd, &y->b, k, n, b.rs, b.cs, prec,
	    (void *)(uintptr_t)b.v);
	rival_matrix(lib, y, &cd, &y->c, m, n, n, 1, GE_F32, c);
	if (p_dnnl_primitive_attr_create(&attr) != dnnl_success ||
	    p_dnnl_post_ops_create(&ops) != dnnl_success ||
	    (add && p_dnnl_post_ops_append_sum(ops, 1) != dnnl_success) ||
	    p_dnnl_primitive_attr_set_post_ops(attr, ops) != dnnl_success ||
	    p_dnnl_matmul_desc_init(&what, &ad, &bd, NULL, &cd) !=
	    dnnl_success || p_dnnl_primitive_desc_create(&pd, &what, attr,
	    y->engine, NULL) != dnnl_success ||
	    p_dnnl_primitive_create(&y->product, pd) != dnnl_success)
		die("oneDNN: no product");
	y->there = 1;
}

static void
rival_run(struct rival *y)
{
	dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, y->a },
	    { DNNL_ARG_WEIGHTS, y->b }, { DNNL_ARG_DST, y->c } };

	if (!y->there)
		return;
	if (y->execute(y->product, y->stream, 3, args) != dnnl_success ||
	    y->wait(y->stream) != dnnl_success)
		die("oneDNN: no result");
}
#else
static void
rival_new(struct rival *y, enum ge_prec prec, size_t m, size_t n, size_t k,
    struct ge_mat a, struct ge_mat b, float *c, int add)
{

	(void)prec, (void)m, (void)n, (void)k, (void)a, (void)b, (void)c;
	(void)add;
	y->there = 0;
}

static void
rival_run(struct rival *y)
{

	(void)y;
}
#endif

struct product {
	size_t m, n, k;
	struct ge_mat a, b;
	int add;
};

/* ratios[]: of all products of a model, ours to oneDNN's, by processor time. */
static void
gemm_line(const char *layer, const char *pass, const struct product *y,
    enum ge_prec prec, struct ge_pool *pool, int rounds, double time[3])
{
	double ours[ROUNDS], rival[ROUNDS], part[ROUNDS], ratio[ROUNDS];
	double flops = 2 * (double)y->m * (double)y->n * (double)y->k / 1e9;
	size_t size = y->m * y->n, times = (size_t)(4 / flops) + 1, i;
	struct peak top = peak_of(prec);
	struct ge_gemm *g;
	struct rival other;
	struct ge_err e;
	struct span s, p;
	float *c;
	int r;

	c = ge_block_alloc(size * sizeof(*c), &e);
	g = ge_gemm_new(pool, prec, (y->m + 64) * (y->k + 2) + (y->n + 64) *
	    (y->k + 2), &e);
	if (c == NULL || g == NULL)
		die("no memory");
	memset(c, 0, size * sizeof(*c));
	rival_new(&other, prec, y->m, y->n, y->k, y->a, y->b, c, y->add);
	for (r = -1; r < rounds; r++) {
		p = peak_speed(&top, pool);
		s = now();
		for (i = 0; i < times; i++)
			ge_gemm(g, y->m, y->n, y->k, y->a, y->b, c, y->n,
			    y->add);
		s = since(s);
		if (r >= 0) {
			ours[r] = flops * (double)times / s.cpu;
			part[r] = ours[r] / p.cpu;
		}
		s = now();
		for (i = 0; i < times; i++)
			rival_run(&other);
		s = since(s);
		if (r >= 0) {
			rival[r] = other.there ? flops * (double)times / s.cpu :
			    0;
			ratio[r] = other.there ? ours[r] / rival[r] : 0;
		}
	}
	time[0] += flops / median(ours, rounds);
	time[1] += flops / median(rival, rounds);
	time[2] += flops;
	printf("%-5s %-9s %5zu x%6zu x%6zu %8.1f %6.2f %8.1f %6.2f\n", layer,
	    pass, y->m, y->n, y->k, median(ours, rounds),
	    median(part, rounds), median(rival, rounds),
	    median(ratio, rounds));
	fflush(stdout);
	ge_gemm_free(g);
	ge_block_free(c);
}

static void
gemm(const struct shape *h, enum ge_prec prec, struct ge_pool *pool,
    int rounds)
{
	const struct ge_llama_dims *d = &h->dims;
	size_t qw = d->heads * d->hd, rows = h->batch * h->len, i, j, most = 0;
	const struct {
		const char *name;
		size_t rows, in, out;
	} all[] = {
		{ "qkv", rows, d->dim, qw + 2 * d->kv * d->hd },
		{ "o", rows, qw, d->dim },
		{ "gu", rows, d->dim, 2 * d->ff },
		{ "down", rows, d->ff, d->dim },
		{ "head", d->vocab > 1 << 13 ? 512 : rows, d->dim, d->vocab }
	};
	const size_t len = sizeof(all) / sizeof(all[0]);
	double time[3] = { 0, 0, 0 };
	struct product y;
	struct ge_err e;
	float *x, *w;

	for (i = 0; i < len; i++)
		for (j = all[i].rows * (all[i].in + all[i].out) + all[i].in *
		    all[i].out; j > most; most = j)
			;
	x = ge_block_alloc(2 * most * sizeof(*x), &e);
	if (x == NULL)
		die("no memory");
	w = x + most;
	for (i = 0; i < 2 * most; i++)
		x[i] = (float)((i * 2654435761u >> 8) % 1000) * 1e-3f - 0.5f;
	printf("%-5s %-9s %22s %8s %6s %8s %6s\n", h->name,
	    prec == GE_F32 ? "f32" : "bf16", "rows x columns x inner",
	    "GFLOP/s", "peak", "oneDNN", "ratio");
	for (i = 0; i < len; i++) {
		y.m = all[i].rows;
		y.n = all[i].out;
		y.k = all[i].in;
		y.add = 0;
		y.a = (struct ge_mat){ x, y.k, 1 };
		y.b = (struct ge_mat){ w, 1, y.k };
		gemm_line(all[i].name, "forward", &y, prec, pool, rounds, time);
		y.n = all[i].in;
		y.k = all[i].out;
		y.a = (struct ge_mat){ x, y.k, 1 };
		y.b = (struct ge_mat){ w, y.n, 1 };
		gemm_line(all[i].name, "data", &y, prec, pool, rounds, time);
		y.m = all[i].out;
		y.n = all[i].in;
		y.k = all[i].rows;
		y.add = 1;
		y.a = (struct ge_mat){ x, 1, y.m };
		y.b = (struct ge_mat){ w, y.n, 1 };
		gemm_line(all[i].name, "weights", &y, prec, pool, rounds, time);
	}
	printf("%-5s %-9s %22s %8.1f %6s %8.1f %6.2f\n", "all", "", "",
	    time[2] / time[0], "", time[1] > 0 ? time[2] / time[1] : 0,
	    time[1] / time[0]);
	ge_block_free(x);
}

/* Tokens at random, a document of 400. */
static int32_t *
make_tokens(size_t n, size_t vocab)
{
	uint64_t x = 88172645463325252u;
	struct ge_err e;
	int32_t *v;
	size_t i;

	if ((v = ge_alloc(n * sizeof(*v), &e)) == NULL)
		die("no memory");
	for (i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v[i] = i % 400 == 399 ? 0 : 1 + (int32_t)((x >> 33) % (vocab -
		    1));
	}
	return (v);
}

static void
train(const struct shape *h, enum ge_prec prec, struct ge_pool *pool,
    int rounds, size_t shards)
{
	struct ge_train_opts o = { .dims = h->dims, .prec = prec, .seed = 1,
	    .batch = h->batch, .len = h->len, .shards = shards, .steps = 1000,
	    .warmup = 10, .lr = 1e-3f, .lr_end = 1e-4f, .b1 = 0.9f,
	    .b2 = 0.95f, .eps = 1e-8f, .decay = 0.1f, .clip = 1 };
	double n = (double)ge_llama_params(&h->dims), flops, tokens;
	double speed[ROUNDS], ratio[ROUNDS], part[ROUNDS];
	struct peak top = peak_of(prec);
	struct ge_tokens data;
	struct ge_train *t;
	struct rusage u;
	struct ge_err e;
	struct span s, p;
	int32_t *v;
	int r;

	tokens = (double)(h->batch * h->len);
	flops = tokens * (6 * n + 12 * (double)(h->dims.layers * h->len *
	    h->dims.dim)) / 1e9;
	v = make_tokens(1 << 18, h->dims.vocab);
	data = (struct ge_tokens){ v, 1 << 18, 0 };
	if ((t = ge_train_new(&o, &data, pool, &e)) == NULL)
		die(e.msg);
	if (ge_train_step(t, &e) == -1)
		die(e.msg);
	for (r = 0; r < rounds; r++) {
		p = peak_speed(&top, pool);
		s = now();
		if (ge_train_step(t, &e) == -1)
			die(e.msg);
		s = since(s);
		speed[r] = tokens / s.wall;
		ratio[r] = flops / s.wall / p.wall;
		part[r] = flops / s.cpu / p.cpu;
	}
	getrusage(RUSAGE_SELF, &u);
	printf("getools %-5s %s N=%.1fM %zu x %zu in %zu shards, %d threads: "
	    "%.0f tokens/s, %.3f of the peak (cpu: %.3f); loss %.4f; %ld MiB\n",
	    h->name, prec == GE_F32 ? "f32 " : "bf16", n / 1e6, h->batch,
	    h->len, shards, ge_pool_jobs(pool), median(speed, rounds),
	    median(ratio, rounds), median(part, rounds), t->loss,
	    u.ru_maxrss / 1024);
	ge_train_free(t);
	ge_free(v);
}

int
main(int argc, char **argv)
{
	struct ge_pool *pool;
	struct ge_err e;
	int rounds = argc > 5 ? atoi(argv[5]) : 1;

	if (argc < 3 || (strcmp(argv[1], "peak") != 0 && argc < 6) ||
	    rounds < 1 || rounds > ROUNDS)
		die("peak JOBS; gemm|train MODEL PREC JOBS ROUNDS [SHARDS]");
	pool = ge_pool_new(atoi(argv[argc > 4 ? 4 : 2]), &e);
	if (strcmp(argv[1], "peak") == 0)
		peak(pool);
	else if (strcmp(argv[1], "gemm") == 0)
		gemm(shape_of(argv[2]), prec_of(argv[3]), pool, rounds);
	else
		train(shape_of(argv[2]), prec_of(argv[3]), pool, rounds,
		    argc > 6 ? (size_t)atoi(argv[6]) : 1);
	ge_pool_free(pool);
	return (0);
}
