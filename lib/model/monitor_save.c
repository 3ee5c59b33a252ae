#include <string.h>

#include "data/safetensors.h"
#include "model/monitor.h"
#include "util/mem.h"

enum {
	SETTINGS = 16
};

int
ge_monitor_save(const struct ge_monitor *m, struct ge_outdir *out,
    const char *name, struct ge_err *e)
{
	struct ge_monitor_array a[GE_MONITOR_ARRAYS];
	struct ge_st_tensor t[GE_MONITOR_ARRAYS];
	struct ge_st st = { .tensor = t, .ntensors = GE_MONITOR_ARRAYS };
	const float *data[GE_MONITOR_ARRAYS];
	char names[GE_MONITOR_ARRAYS][16];
	float settings[SETTINGS];
	size_t i;

	ge_monitor_arrays(m, settings, a);
	memset(t, 0, sizeof(t));
	for (i = 0; i < GE_MONITOR_ARRAYS; i++) {
		t[i].name = strcpy(names[i], a[i].name);
		t[i].dtype = GE_DTYPE_F32;
		t[i].ndims = a[i].ndims;
		t[i].dim[0] = a[i].dim[0];
		t[i].dim[1] = a[i].dim[1];
		data[i] = a[i].v;
	}
	return (ge_st_write(&st, data, out, name, e));
}

/* A tensor of two dimensions at most, in floats of its own. */
static int
array(struct ge_monitor_array *a, const struct ge_st_tensor *t,
    const uint8_t *data, struct ge_err *e)
{
	size_t n;

	if (t->dtype != GE_DTYPE_F32 || t->ndims < 1 || t->ndims > 2)
		return (ge_fail(e, GE_EREFUSED,
		    "array '%s' is not of a monitor", t->name));
	n = (size_t)(t->len / 4);
	a->name = t->name;
	a->ndims = t->ndims;
	a->dim[0] = (size_t)t->dim[0];
	a->dim[1] = t->ndims == 2 ? (size_t)t->dim[1] : 1;
	if ((a->v = ge_alloc(n * sizeof(float), e)) == NULL)
		return (-1);
	ge_st_floats(a->v, data + t->off, n, t->dtype);
	return (0);
}

int
ge_monitor_parse(struct ge_monitor *m, const uint8_t *buf, size_t len,
    struct ge_err *e)
{
	struct ge_monitor_array a[GE_MONITOR_ARRAYS];
	struct ge_st st;
	size_t i;
	int rc = -1;

	memset(m, 0, sizeof(*m));
	memset(&st, 0, sizeof(st));
	memset(a, 0, sizeof(a));
	if (ge_st_parse(&st, buf, len, len, e) == -1)
		goto out;
	if (st.ntensors != GE_MONITOR_ARRAYS) {
		ge_fail(e, GE_EREFUSED, "%zu arrays are not a monitor",
		    st.ntensors);
		goto out;
	}
	for (i = 0; i < st.ntensors; i++)
		if (array(a + i, st.tensor + i, buf + st.header, e) == -1)
			goto out;
	rc = ge_monitor_load(m, a, st.ntensors, e);
out:
	for (i = 0; i < GE_MONITOR_ARRAYS; i++)
		ge_free(a[i].v);
	ge_st_release(&st);
	return (rc);
}
