#ifndef GE_CONFIG_H
#define GE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "data/safetensors.h"
#include "model/llama.h"
#include "util/err.h"

/*
 * config.json of a model directory, as Hugging Face's transformers read and
 * write it.
 */
enum {
	GE_CONFIG_MAX = 1 << 20		/* bytes of one */
};

/*
 * ge_config_parse(d, bos, eos, buf, len, e):
 * The dimensions of a Llama, and the tokens at the beginning and end of a text,
 * of several the first; -1: none.  What it does not say is as in LlamaConfig.
 *
 *	buf  untrusted; at most GE_CONFIG_MAX
 *
 * 0, or -1 with GE_EREFUSED and the name of what is wrong, or cannot be done
 * here.
 *
 * ge_config_print(d, bos, eos, dtype, buf, len, e):
 * The config.json that says so, of weights in this type.  *buf is
 * NUL-terminated behind *len bytes; ge_free.
 */
int ge_config_parse(struct ge_llama_dims *d, int32_t *bos, int32_t *eos,
    const char *buf, size_t len, struct ge_err *e);
int ge_config_print(const struct ge_llama_dims *d, int32_t bos, int32_t eos,
    enum ge_dtype dtype, char **buf, size_t *len, struct ge_err *e);

#endif
