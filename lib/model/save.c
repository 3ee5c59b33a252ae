#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "data/tokenizer.h"
#include "model/config.h"
#include "model/model.h"
#include "model/model_int.h"
#include "util/mem.h"

static int
put(struct ge_outdir *out, const char *name, char *buf, size_t len,
    struct ge_err *e)
{
	int rc = ge_outdir_file(out, name, buf, len, e);

	ge_free(buf);
	return (rc);
}

static int
texts(const struct ge_model *m, const struct ge_save *s,
    struct ge_outdir *out, struct ge_err *e)
{
	char *buf, ids[128];
	size_t len;
	int n;

	if (ge_config_print(&m->dims, m->bos, m->eos, s->dtype, &buf, &len,
	    e) == -1 || put(out, "config.json", buf, len, e) == -1)
		return (-1);
	n = snprintf(ids, sizeof(ids), "{\n");
	if (m->bos >= 0)
		n += snprintf(ids + n, sizeof(ids) - (size_t)n,
		    "  \"bos_token_id\": %" PRId32 ",\n", m->bos);
	if (m->eos >= 0)
		n += snprintf(ids + n, sizeof(ids) - (size_t)n,
		    "  \"eos_token_id\": %" PRId32 ",\n", m->eos);
	n += snprintf(ids + n, sizeof(ids) - (size_t)n,
	    "  \"_from_model_config\": true\n}\n");
	if (ge_outdir_file(out, "generation_config.json", ids, (size_t)n,
	    e) == -1)
		return (-1);
	if (ge_tokenizer_print(&m->bpe, &buf, &len, e) == -1 ||
	    put(out, "tokenizer.json", buf, len, e) == -1 ||
	    ge_tokenizer_config_print(&m->bpe, m->dims.ctx, &buf, &len, e) ==
	    -1 || put(out, "tokenizer_config.json", buf, len, e) == -1)
		return (-1);
	if (s->card != NULL && ge_outdir_file(out, "README.md", s->card,
	    strlen(s->card), e) == -1)
		return (-1);
	if (s->run != NULL && ge_outdir_file(out, "run.json", s->run,
	    strlen(s->run), e) == -1)
		return (-1);
	return (0);
}

static int
weights(const struct ge_model *m, enum ge_dtype dtype, struct ge_outdir *out,
    struct ge_err *e)
{
	struct ge_st st = { 0 };
	const float **data = NULL;
	struct ge_st_tensor *y;
	struct ge_tensor t;
	size_t n = 0;
	int rc = -1;

	while (ge_llama_tensor(&m->dims, n, &t))
		n++;
	if ((st.tensor = ge_alloc(n * sizeof(*st.tensor), e)) == NULL ||
	    (data = ge_alloc(n * sizeof(*data), e)) == NULL)
		goto out;
	for (; ge_llama_tensor(&m->dims, st.ntensors, &t); st.ntensors++) {
		y = &st.tensor[st.ntensors];
		if ((y->name = ge_strdup(t.name, e)) == NULL)
			goto out;
		y->dtype = dtype;
		y->ndims = t.cols > 0 ? 2 : 1;
		y->dim[0] = t.rows;
		y->dim[1] = t.cols;
		data[st.ntensors] = m->params + t.off;
	}
	rc = ge_st_write(&st, data, out, "model.safetensors", e);
out:
	ge_st_release(&st);
	ge_free(data);
	return (rc);
}

int
ge_model_save(const struct ge_model *m, const struct ge_save *s,
    struct ge_outdir *out, struct ge_err *e)
{

	if (texts(m, s, out, e) == -1 || weights(m, s->dtype, out, e) == -1)
		return (-1);
	if (s->gguf && ge_model_gguf(m, s->name != NULL ? s->name : "model",
	    s->dtype, out, e) == -1)
		return (e->code == GE_EREFUSED ? ge_within(e, "model.gguf") :
		    -1);
	return (0);
}
