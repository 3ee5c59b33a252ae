#ifndef GE_MODEL_H
#define GE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "data/bpe.h"
#include "data/outdir.h"
#include "data/safetensors.h"
#include "model/llama.h"
#include "util/err.h"

/*
 * A model as a directory, of the Llama architecture, as Hugging Face's
 * transformers has it.
 */
struct ge_model {
	struct ge_llama_dims dims;
	float *params;			/* [ge_llama_params]; ge_block_alloc */
	struct ge_bpe bpe;
	int32_t bos, eos;		/* -1: none */
};

/*
 * ge_model_load(m, dir, e):
 * config.json; tokenizer.json; model.safetensors, or the files of
 * model.safetensors.index.json: weights in f32, f16 or bf16.  m->bpe.end is
 * eos.
 *
 * 0; -1 GE_EUSAGE if a file is not there; GE_EREFUSED if one is damaged, they
 * do not agree, a weight is no number, or it is a model that is not known here.
 *
 * ge_model_release: of what is zeroed as well.
 */
int ge_model_load(struct ge_model *m, const char *dir, struct ge_err *e);
void ge_model_release(struct ge_model *m);

struct ge_save {
	enum ge_dtype dtype;		/* not OTHER */
	int gguf;			/* model.gguf as well */
	const char *name;		/* of the model, in that; or NULL */
	const char *run, *card;		/* run.json, README.md; or NULL */
};

/*
 * ge_model_save(m, s, out, e):
 * config.json, generation_config.json, tokenizer.json, tokenizer_config.json,
 * model.safetensors, and what s names.  The caller commits.
 *
 * -1: GE_EREFUSED if a weight is no number, or too large for its type, or if
 * llama.cpp knows no such tokenizer.
 */
int ge_model_save(const struct ge_model *m, const struct ge_save *s,
    struct ge_outdir *out, struct ge_err *e);

#endif
