/*
 * Headers of safetensors: the tensors of what is taken cover the data, and a
 * header written of them is the same once more.  An input is a file; and, if it
 * begins with a number and a line feed, also a header before so many bytes.
 */
#include <string.h>

#include "data/safetensors.h"
#include "fuzz.h"
#include "util/mem.h"
#include "util/num.h"

static int
writable(const struct ge_st *st)
{
	const char *s;
	size_t i;

	for (i = 0; i < st->ntensors; i++) {
		for (s = st->tensor[i].name; *s != '\0'; s++)
			if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
				return (0);
		if (st->tensor[i].dtype == GE_DTYPE_OTHER)
			return (0);
	}
	return (1);
}

static void
again(struct ge_st *st, uint64_t data)
{
	struct ge_st other;
	struct ge_err e;
	uint8_t *head;
	size_t len, i;

	must(ge_st_header(st, &head, &len, &e) == 0, "header");
	must(len % 8 == 0 && ge_st_parse(&other, head, len, len + data, &e) ==
	    0 && other.header == len && other.ntensors == st->ntensors,
	    "parsed again");
	for (i = 0; i < st->ntensors; i++) {
		const struct ge_st_tensor *a = &st->tensor[i];
		const struct ge_st_tensor *b = ge_st_find(&other, a->name);

		must(b != NULL && a->dtype == b->dtype &&
		    a->ndims == b->ndims && memcmp(a->dim, b->dim, (size_t)a->ndims *
		    sizeof(a->dim[0])) == 0 && a->off == b->off && a->len ==
		    b->len, "the same tensor");
	}
	ge_st_release(&other);
	ge_free(head);
}

static void
check(const uint8_t *buf, size_t len, uint64_t total)
{
	struct ge_st st;
	struct ge_err e;
	uint64_t at = 0;
	size_t i;

	if (ge_st_parse(&st, buf, len, total, &e) == -1) {
		must(e.code == GE_EREFUSED, "code");
		ge_st_release(&st);
		return;
	}
	must(st.header <= len && st.header <= total, "header within the file");
	for (i = 0; i < st.ntensors; i++) {
		must(st.tensor[i].off == at && st.tensor[i].ndims <= GE_ST_DIMS,
		    "no gap");
		at += st.tensor[i].len;
	}
	must(st.header + at == total, "nothing left over");
	if (writable(&st))
		again(&st, at);
	ge_st_release(&st);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	const uint8_t *lf = len > 0 ? memchr(buf, '\n', len) : NULL;
	uint8_t *file;
	uint64_t data;
	size_t n;

	check(buf, len, len);
	if (lf == NULL || ge_num_parse((const char *)buf, (size_t)(lf - buf),
	    &data) == -1 || data > (uint64_t)1 << 62)
		return (0);
	n = len - (size_t)(lf + 1 - buf);
	must((file = malloc(n + 8)) != NULL, "malloc");
	ge_put64(file, n);
	memcpy(file + 8, lf + 1, n);
	check(file, n + 8, n + 8 + data);
	free(file);
	return (0);
}
