/*
 * The body of every variant: a file that includes this says OPS, the name of its
 * table, and VARIANT, and is compiled for its processor.
 */
#include <math.h>
#include <string.h>

#include "model/ops.h"

enum {
	LANES = 16
};

#define LANE(i) for (i = 0; i < LANES; i++)

static inline float
fma1(float a, float b, float c)
{

	return (__builtin_fmaf(a, b, c));
}

static inline float
fold(const float s[LANES])
{
	float t[LANES];
	size_t i, n;

	memcpy(t, s, sizeof(t));
	for (n = LANES / 2; n > 0; n /= 2)
		for (i = 0; i < n; i++)
			t[i] += t[i + n];
	return (t[0]);
}

/* Within 1 ulp or so; 0 below -87.3, and not above e^88. */
static inline float
exp1(float x)
{
	const float round = 12582912;	/* 1.5 * 2^23 */
	union { float f; uint32_t u; } t, two;
	float n, r, p;

	x = x > 88 ? 88 : x;
	r = x < -87.3f ? 0 : x;
	t.f = fma1(r, 1.44269504f, round);
	n = t.f - round;
	two.u = (t.u << 23) + 0x3f800000;
	r = fma1(n, -0.693359375f, r);
	r = fma1(n, 2.12194440e-4f, r);
	p = 1.9875691500e-4f;
	p = fma1(p, r, 1.3981999507e-3f);
	p = fma1(p, r, 8.3334519073e-3f);
	p = fma1(p, r, 4.1665795894e-2f);
	p = fma1(p, r, 1.6666665459e-1f);
	p = fma1(p, r, 5.0000001201e-1f);
	p = fma1(p, r * r, r) + 1;
	p *= two.f;
	return (x < -87.3f ? 0 : p);
}

static float
op_dot(const float *x, const float *y, size_t n)
{
	float s[LANES] = { 0 };
	size_t i, j;

	for (j = 0; j + LANES <= n; j += LANES)
		LANE(i)
			s[i] = fma1(x[j + i], y[j + i], s[i]);
	for (i = 0; j + i < n; i++)
		s[i] = fma1(x[j + i], y[j + i], s[i]);
	return (fold(s));
}

static float
op_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
	float rstd = 1 / sqrtf(op_dot(x, x, n) / (float)n + eps);
	size_t i;

	for (i = 0; i < n; i++)
		y[i] = x[i] * rstd * w[i];
	return (rstd);
}

static void
op_norm_back(float *restrict dx, float *restrict dw, const float *restrict dy,
    const float *restrict x, const float *restrict w, float rstd, size_t n)
{
	float s[LANES] = { 0 }, a, t;
	size_t i, j;

	for (j = 0; j + LANES <= n; j += LANES)
		LANE(i)
			s[i] = fma1(dy[j + i] * w[j + i], x[j + i], s[i]);
	for (i = 0; j + i < n; i++)
		s[i] = fma1(dy[j + i] * w[j + i], x[j + i], s[i]);
	a = -fold(s) * rstd * rstd * rstd / (float)n;
	for (i = 0; i < n; i++) {
		t = dy[i] * rstd;
		dx[i] = fma1(a, x[i], fma1(t, w[i], dx[i]));
		dw[i] = fma1(t, x[i], dw[i]);
	}
}

static void
op_rope(float *restrict x, const float *restrict cs, const float *restrict sn,
    size_t n, int back)
{
	float *restrict y = x + n / 2, a, b, turn = back ? -1 : 1;
	size_t i;

	for (i = 0; i < n / 2; i++) {
		a = x[i];
		b = y[i];
		x[i] = fma1(a, cs[i], -(b * (turn * sn[i])));
		y[i] = fma1(b, cs[i], a * (turn * sn[i]));
	}
}

static void
op_swiglu(float *restrict h, const float *restrict g, const float *restrict u,
    size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		h[i] = g[i] / (1 + exp1(-g[i])) * u[i];
}

static void
op_swiglu_back(float *dg, float *du, const float *dh, const float *g,
    const float *u, size_t n)
{
	float sg, x, d, y;
	size_t i;

#pragma GCC ivdep
	for (i = 0; i < n; i++) {
		x = g[i];
		y = u[i];
		d = dh[i];
		sg = 1 / (1 + exp1(-x));
		du[i] = d * (x * sg);
		dg[i] = d * y * (sg * fma1(x, 1 - sg, 1));
	}
}

static float
op_most(const float *x, size_t n)
{
	float m[LANES], most = -INFINITY;
	size_t i, j;

	LANE(i)
		m[i] = -INFINITY;
	for (j = 0; j + LANES <= n; j += LANES)
		LANE(i)
			m[i] = x[j + i] > m[i] ? x[j + i] : m[i];
	for (; j < n; j++)
		most = x[j] > most ? x[j] : most;
	LANE(i)
		most = m[i] > most ? m[i] : most;
	return (most);
}

/* x = exp(scale * x - less), and the sum of that. */
static float
op_exps(float *x, size_t n, float scale, float less)
{
	float s[LANES] = { 0 };
	size_t i, j;

	for (j = 0; j + LANES <= n; j += LANES)
		LANE(i) {
			x[j + i] = exp1(fma1(x[j + i], scale, -less));
			s[i] += x[j + i];
		}
	for (i = 0; j + i < n; i++) {
		x[j + i] = exp1(fma1(x[j + i], scale, -less));
		s[i] += x[j + i];
	}
	return (fold(s));
}

static float
op_softmax(float *x, size_t n, float scale)
{
	float most = op_most(x, n) * scale, sum, part;
	size_t i;

	sum = op_exps(x, n, scale, most);
	part = 1 / sum;
	for (i = 0; i < n; i++)
		x[i] *= part;
	return (most + logf(sum));
}

static void
op_softmax_again(float *p, size_t n, float scale, float lse)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = exp1(fma1(p[i], scale, -lse));
}

static void
op_softmax_back(float *restrict dp, const float *restrict p, size_t n,
    float d, float scale)
{
	size_t i;

	for (i = 0; i < n; i++)
		dp[i] = p[i] * (dp[i] - d) * scale;
}

static float
op_loss(float *x, size_t n, size_t target, float scale)
{
	float most = op_most(x, n), own = x[target] - most, sum, part;
	size_t i;

	sum = op_exps(x, n, 1, most);
	part = scale / sum;
	for (i = 0; i < n; i++)
		x[i] *= part;
	x[target] -= scale;
	return (logf(sum) - own);
}

static void
op_add(float *restrict y, const float *restrict x, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		y[i] += x[i];
}

static void
op_scaled(float *restrict y, const float *restrict x, size_t n, float a)
{
	size_t i;

	for (i = 0; i < n; i++)
		y[i] = fma1(a, x[i], y[i]);
}

static void
op_adamw(float *restrict w, float *restrict m, float *restrict v,
    const float *restrict g, size_t n, const struct ge_adamw *o)
{
	const float b1 = o->b1, b2 = o->b2, c1 = 1 / o->c1, c2 = 1 / o->c2;
	const float lr = o->lr, keep = 1 - o->lr * o->decay, eps = o->eps;
	float x;
	size_t i;

	for (i = 0; i < n; i++) {
		x = g[i] * o->clip;
		m[i] = fma1(b1, m[i] - x, x);
		v[i] = fma1(b2, v[i] - x * x, x * x);
		w[i] = fma1(-lr, m[i] * c1 / (sqrtf(v[i] * c2) + eps),
		    w[i] * keep);
	}
}

static void
op_mix(float *restrict y, const float *restrict w, const float *restrict x,
    const uint32_t *restrict at, size_t n)
{
	float s[LANES] = { 0 }, t[LANES] = { 0 }, a;
	const float *v;
	size_t i, j;

	for (j = 0; j < n; j++) {
		a = x[at[j]];
		v = w + at[j] * 2 * LANES;
		LANE(i)
			s[i] = fma1(a, v[i], s[i]);
		LANE(i)
			t[i] = fma1(a, v[LANES + i], t[i]);
	}
	memcpy(y, s, sizeof(s));
	memcpy(y + LANES, t, sizeof(t));
}

#if defined(OPS)
const struct ge_ops OPS = {
	VARIANT, op_norm, op_norm_back, op_rope, op_swiglu, op_swiglu_back,
	op_softmax, op_softmax_again, op_softmax_back, op_loss, op_dot, op_add,
	op_scaled, op_adamw, op_mix
};
#endif
