#ifndef GE_MODEL_INT_H
#define GE_MODEL_INT_H

#include "model/model.h"

/* model.gguf for llama.cpp, of this name and type. */
int ge_model_gguf(const struct ge_model *m, const char *name,
    enum ge_dtype dtype, struct ge_outdir *out, struct ge_err *e);

#endif
