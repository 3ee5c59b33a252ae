/*
 * The state of a sentry from untrusted bytes: refused, or good enough to go on from.
 * The first byte tells what becomes of the rest: 0, it is the state; else its
 * checksum is made right, and it is changes of a good one, three bytes each: place
 * and value.
 */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "model/sentry.h"
#include "util/mem.h"
#include "util/sha256.h"

enum {
	P = 3, N = 100
};

static struct ge_monitor m;
static double rows[N * P];
static uint8_t *good;
static size_t ngood;

static struct ge_sentry *
sentry(void)
{
	static const uint8_t digest[32] = { 1 };
	struct ge_sentry *s;
	struct ge_err e;

	must((s = ge_sentry_new(&m, 10, digest, &e)) != NULL, "sentry");
	return (s);
}

static void
feed(struct ge_sentry *s)
{
	static const char *const group[] = { "a", "b", "", "c" };
	struct ge_sentry_row r = { 0 };
	struct ge_sight g;
	struct ge_err e;
	char time[] = "2024-03-01T00:00:00";
	double x[P];
	size_t i, k;

	for (i = 0; i < 40; i++) {
		for (k = 0; k < P; k++)
			x[k] = rows[(i * P + k) % (N * P)] * (i > 20 ? 9 : 1);
		r.x = x;
		r.t = (double)i * (i == 30 ? 100 : 10);
		r.time = time;
		r.timelen = sizeof(time) - 1;
		time[sizeof(time) - 2] = (char)('0' + i % 10);
		r.group = group[i % 4];
		r.grouplen = strlen(r.group);
		must(ge_sentry_step(s, &r, &g, &e) == 0, "step");
		must(g.norder <= g.v.ncauses && g.row == ge_sentry_rows(s),
		    "sight");
		must(isfinite(g.v.score) && g.v.score >= 0, "score");
		for (k = 0; k < g.norder; k++)
			must(g.order[k] < g.v.ncauses, "order");
		must(strlen(g.since.time) < GE_SENTRY_STAMP, "time");
		for (k = 0; k < P; k++)
			must(ge_sentry_left(s, k)->row <= g.row, "left");
	}
}

static void
learn(void)
{
	struct ge_monitor_opts o;
	struct ge_sentry *s;
	struct ge_err e;
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < N * P; i++) {
		x = x * 1664525 + 1013904223;
		rows[i] = (double)(x >> 8) / (1 << 24) +
		    (i >= P ? 0.5 * rows[i - P] : 0);
	}
	ge_monitor_opts_init(&o);
	o.lags = 1;
	must(ge_monitor_fit(&m, rows, N, P, &o, &e) == 0, "fit");
	s = sentry();
	feed(s);
	must(ge_sentry_save(s, &good, &ngood, &e) == 0, "save");
	ge_sentry_free(s);
}

static void
judge(const uint8_t *buf, size_t len)
{
	struct ge_sentry *s = sentry();
	struct ge_err e;
	uint8_t *out;
	size_t n;

	if (ge_sentry_resume(s, buf, len, &e) == 0) {
		feed(s);
		must(ge_sentry_save(s, &out, &n, &e) == 0, "save");
		ge_free(out);
	} else {
		must(e.code == GE_EREFUSED, "code of a bad state");
	}
	ge_sentry_free(s);
}

static void
change(const uint8_t *buf, size_t len)
{
	struct ge_sha256 h;
	uint8_t *s;
	size_t i, n = ngood - 32;

	must((s = malloc(ngood)) != NULL, "malloc");
	memcpy(s, good, ngood);
	for (i = 0; i + 3 <= len; i += 3)
		s[(buf[i] | (size_t)buf[i + 1] << 8) % n] = buf[i + 2];
	ge_sha256_init(&h);
	ge_sha256_add(&h, s, n);
	ge_sha256_end(&h, s + n);
	judge(s, ngood);
	free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{

	if (m.p == 0)
		learn();
	if (len < 1)
		return (0);
	if (buf[0] == 0)
		judge(buf + 1, len - 1);
	else
		change(buf + 1, len - 1);
	return (0);
}
