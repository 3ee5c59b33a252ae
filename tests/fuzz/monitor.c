/*
 * A model and the state of a watch from untrusted bytes: refused, or good enough to
 * watch rows with, whatever they hold.
 */
#include <string.h>

#include "data/safetensors.h"
#include "fuzz.h"
#include "model/monitor.h"
#include "util/mem.h"

enum {
	P = 3, N = 100
};

static struct ge_monitor good;
static double rows[N * P];

static void
learn(void)
{
	struct ge_monitor_opts o;
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
	must(ge_monitor_fit(&good, rows, N, P, &o, &e) == 0, "fit");
}

static void
watch(const struct ge_monitor *m, const uint8_t *state, size_t len)
{
	struct ge_monitor_verdict v;
	struct ge_err e;
	struct ge_watch *w;
	double row[GE_MONITOR_COLS];
	uint8_t *buf;
	size_t n, i, k;

	must((w = ge_watch_new(m, &e)) != NULL, "watch");
	if (state != NULL && ge_watch_resume(w, state, len, &e) == -1)
		must(e.code == GE_EREFUSED, "code of a bad state");
	for (i = 0; i < 20; i++) {
		for (k = 0; k < m->p; k++)
			row[k] = rows[(i * 7 + k) % (N * P)] *
			    (i > 10 ? 1e200 : 1);
		ge_watch_step(w, row, i == 5, &v);
		must(v.ncauses <= GE_MONITOR_CAUSES && v.limit > 0 &&
		    v.alarm == (v.score > v.limit), "verdict");
		for (k = 0; k < v.ncauses; k++)
			must(v.cause[k].col < m->p && v.cause[k].share >= 0 &&
			    v.cause[k].share <= 1, "cause");
	}
	must(ge_watch_save(w, &buf, &n, &e) == 0, "save");
	ge_free(buf);
	ge_watch_free(w);
}

/* The state of a good watch with some bytes changed. */
static void
change_state(const uint8_t *buf, size_t len)
{
	struct ge_err e;
	struct ge_watch *w;
	uint8_t *s;
	size_t n, i;

	must((w = ge_watch_new(&good, &e)) != NULL &&
	    ge_watch_save(w, &s, &n, &e) == 0, "save");
	for (i = 0; i + 3 <= len; i += 3)
		s[(buf[i] | (size_t)buf[i + 1] << 8) % n] = buf[i + 2];
	watch(&good, s, n);
	watch(&good, buf, len);
	ge_free(s);
	ge_watch_free(w);
}

/* The arrays of a good model with some numbers changed. */
static void
change_model(const uint8_t *buf, size_t len)
{
	struct ge_monitor_array a[GE_MONITOR_ARRAYS];
	struct ge_monitor m;
	struct ge_err e;
	float set[16], *v[GE_MONITOR_ARRAYS], x;
	size_t i, k, n;

	ge_monitor_arrays(&good, set, a);
	for (i = 0; i < GE_MONITOR_ARRAYS; i++) {
		n = a[i].dim[0] * a[i].dim[1];
		must((v[i] = malloc(n * sizeof(float))) != NULL, "malloc");
		memcpy(v[i], a[i].v, n * sizeof(float));
		a[i].v = v[i];
	}
	for (i = 0; i + 6 <= len; i += 6) {
		k = buf[i] % GE_MONITOR_ARRAYS;
		n = a[k].dim[0] * a[k].dim[1];
		memcpy(&x, buf + i + 2, 4);
		v[k][buf[i + 1] % n] = x;
	}
	if (ge_monitor_load(&m, a, GE_MONITOR_ARRAYS, &e) == 0)
		watch(&m, NULL, 0);
	else
		must(e.code == GE_EREFUSED, "code of a bad model");
	ge_monitor_release(&m);
	for (i = 0; i < GE_MONITOR_ARRAYS; i++)
		free(v[i]);
}

/* A good model as a file: the header, and numbers behind it. */
static uint8_t *
file_of(size_t *len)
{
	struct ge_monitor_array a[GE_MONITOR_ARRAYS];
	struct ge_st_tensor t[GE_MONITOR_ARRAYS];
	struct ge_st st = { .tensor = t, .ntensors = GE_MONITOR_ARRAYS };
	struct ge_err e;
	float set[16];
	uint8_t *head, *all;
	size_t i, n, sum = 0;

	ge_monitor_arrays(&good, set, a);
	memset(t, 0, sizeof(t));
	for (i = 0; i < GE_MONITOR_ARRAYS; i++) {
		t[i].name = (char *)(uintptr_t)a[i].name;
		t[i].ndims = a[i].ndims;
		t[i].dim[0] = a[i].dim[0];
		t[i].dim[1] = a[i].dim[1];
		t[i].len = a[i].dim[0] * a[i].dim[1] * 4;
		sum += t[i].len;
	}
	must(ge_st_header(&st, &head, &n, &e) == 0, "header");
	must((all = malloc(n + sum)) != NULL, "malloc");
	memcpy(all, head, n);
	for (i = 0; i < GE_MONITOR_ARRAYS; i++)
		memcpy(all + n + t[i].off, a[i].v, t[i].len);
	*len = n + sum;
	ge_free(head);
	return (all);
}

static void
change_file(const uint8_t *buf, size_t len)
{
	struct ge_monitor m;
	struct ge_err e;
	uint8_t *all;
	size_t n, i;

	all = file_of(&n);
	for (i = 0; i + 3 <= len; i += 3)
		all[(buf[i] | (size_t)buf[i + 1] << 8) % n] = buf[i + 2];
	if (ge_monitor_parse(&m, all, n, &e) == 0)
		watch(&m, NULL, 0);
	else
		must(len >= 3 && e.code == GE_EREFUSED, "code of a bad file");
	ge_monitor_release(&m);
	free(all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{

	if (good.p == 0)
		learn();
	if (len < 1)
		return (0);
	if (buf[0] & 2)
		change_file(buf + 1, len - 1);
	else if (buf[0] & 1)
		change_state(buf + 1, len - 1);
	else
		change_model(buf + 1, len - 1);
	return (0);
}
