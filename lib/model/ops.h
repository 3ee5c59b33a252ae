#ifndef GE_OPS_H
#define GE_OPS_H

#include <stddef.h>
#include <stdint.h>

struct ge_adamw {
	float lr, b1, b2, eps, decay, clip;
	float c1, c2;			/* 1 - b1^t, 1 - b2^t */
};

/*
 * What a transformer does to rows of numbers beside products.  Each variant gives
 * the same bits: sums run in 16 lanes, folded by halves in the end, and only the
 * multiply-adds that are written as such are fused.
 */
struct ge_ops {
	const char *name;

	/* y = x * rstd * w, rstd = 1 / sqrt(mean of squares + eps), returned. */
	float (*norm)(float *y, const float *x, const float *w, size_t n,
	    float eps);
	/*
	 * dx += what dy at y means for x; dw += what it means for w.
	 */
	void (*norm_back)(float *dx, float *dw, const float *dy,
	    const float *x, const float *w, float rstd, size_t n);
	/* Turn pairs (x[i], x[i + n / 2]) by cos[i], sin[i]; back: the other way. */
	void (*rope)(float *x, const float *cos, const float *sin, size_t n,
	    int back);
	/* h = g / (1 + exp(-g)) * u */
	void (*swiglu)(float *h, const float *g, const float *u, size_t n);
	/* dg and du from dh; they may be g and u themselves. */
	void (*swiglu_back)(float *dg, float *du, const float *dh,
	    const float *g, const float *u, size_t n);
	/*
	 * x = exp(scale * x - most) / sum; returns scale * most + ln(sum), so that
	 * exp(scale * x - that) gives the same again.
	 */
	float (*softmax)(float *x, size_t n, float scale);
	/* p = exp(scale * p - lse) */
	void (*softmax_again)(float *p, size_t n, float scale, float lse);
	/* ds = p * (dp - d) * scale, into dp */
	void (*softmax_back)(float *dp, const float *p, size_t n, float d,
	    float scale);
	/*
	 * The loss of a row of logits, -ln softmax(x)[target]; with scale > 0 x
	 * becomes its gradient times scale.
	 */
	float (*loss)(float *x, size_t n, size_t target, float scale);
	float (*dot)(const float *x, const float *y, size_t n);
	void (*add)(float *y, const float *x, size_t n);
	/* y += a * x */
	void (*scaled)(float *y, const float *x, size_t n, float a);
	/*
	 * AdamW (Loshchilov and Hutter, 2019), gradients times clip:
	 *
	 *	m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g g
	 *	w -= lr (m / c1 / (sqrt(v / c2) + eps) + decay w)
	 */
	void (*adamw)(float *w, float *m, float *v, const float *g, size_t n,
	    const struct ge_adamw *o);
	/* y[32] = sum of x[at[j]] w[at[j]], w of rows of 32. */
	void (*mix)(float *y, const float *w, const float *x,
	    const uint32_t *at, size_t n);
};

/* ge_ops(): the best here; GE_CPU as of ge_gemm_variant. */
const struct ge_ops *ge_ops(void);

#endif
