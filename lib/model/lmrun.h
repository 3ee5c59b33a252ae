#ifndef GE_LMRUN_H
#define GE_LMRUN_H

#include <stddef.h>
#include <stdint.h>

#include "data/corpus.h"
#include "data/docs.h"
#include "data/outdir.h"
#include "data/safetensors.h"
#include "model/checkpoint.h"
#include "model/model.h"
#include "model/ngram.h"
#include "model/ranks.h"
#include "model/train.h"
#include "util/energy.h"
#include "util/err.h"
#include "util/pool.h"

/*
 * A language model from documents to files: what `getrain lm` does, in the order in
 * which it does it.
 */
struct ge_lm_opts {
	const char *version;		/* of the program */

	/* What is read. */
	const char *const *path;	/* [npaths]; none: standard input */
	size_t npaths;
	struct ge_docs_caps caps;
	double val;			/* share of documents that are held out */
	const char *digest;		/* the user's name of the data, or NULL */

	/* The model. */
	const char *size;		/* NULL: 3m */
	const char *base, *tokenizer;	/* or NULL */
	enum ge_split split;
	size_t vocab;			/* 0: 8192 */
	struct ge_llama_dims dims;	/* a field of 0 is as `size` has it */
	int tied;			/* -1: as `size` has it */

	/* Training: 0 in lr, warmup and len is a default of the size's. */
	struct ge_train_opts train;
	uint64_t together;		/* of DiLoCo; UINT64_MAX: a tenth of all steps,
					   none from a base */
	int jobs;

	/* When it stops, at the first of these; 0: no such limit. */
	uint64_t steps, tokens;
	double epochs, minutes, joules;
	uint64_t course;		/* steps of the schedule; 0: those planned */
	uint64_t eval;			/* steps between looks at what was held out */

	/* Checkpoints: a folder, or NULL for none. */
	const char *checkpoints, *command;
	uint64_t every;			/* steps; 0: about ten minutes of them */
	int resume;
	int anew;			/* those of another training may go */

	/* What is written. */
	enum ge_dtype dtype;
	int gguf, adapter;
	double gco2;			/* grams a kilowatt-hour; 0: not told */
};

/* How far it is, and how far it goes. */
struct ge_lm_state {
	struct ge_progress p;
	uint64_t steps;			/* in all */
	double speed;			/* tokens a second, lately */
	float lr;
	double eta;			/* seconds left */
	int evaluated;			/* p.val is of this step */
};

struct ge_lm {
	struct ge_lm_opts o;
	struct ge_ranks *ranks;		/* NULL: alone */
	char *dir;			/* of this rank's checkpoints, or NULL */
	struct ge_pool *pool;
	struct ge_corpus corpus;
	struct ge_model model;		/* params: NULL until ge_lm_finish */
	struct ge_token_file train_file, val_file;
	struct ge_tokens train, val;
	struct ge_train *t;
	struct ge_energy energy;
	struct ge_lm_state s;
	double step_seconds, step_joules;	/* estimated, of one step */
	struct ge_baseline base[GE_BASELINES];
	double base_watts;		/* while they were made */
	uint8_t ident[32];
	uint8_t data[32], tokenizer[32];	/* digests */
	double before_seconds, before_joules;	/* of the runs before */
	double began;			/* by ge_clock */
	int64_t started;		/* seconds since 1970 */
	const char *stopped;		/* by what: "steps", "minutes", ... */
};

/*
 * Started by mpirun, all processes make the same calls; only the first reads, and has
 * something to save.  A failure is the same everywhere.
 *
 * ge_lm_open(lm, o, e): o is copied, what it points to borrowed.
 * ge_lm_release: of what is zeroed as well.
 *
 * ge_lm_read(lm, e): documents, tokenizer, tokens.
 *
 * ge_lm_ready(lm, e): the weights, or those of the last checkpoint, and what the rest
 * will take: lm->s.steps, lm->step_seconds, lm->step_joules.
 *
 * ge_lm_train(lm, tell, arg, e):
 * Until the first limit; tell is called after each step.  If the program is to stop
 * (util/hook.h), a checkpoint is written first.
 *
 * ge_lm_compare(lm, e): what simpler models reach on what was held out.
 *
 * ge_lm_save(lm, out, e): everything into out, which the caller commits.
 *
 * ge_lm_bits(lm, nats): bits a byte of the text held out, of so many nats a token.
 */
int ge_lm_open(struct ge_lm *lm, const struct ge_lm_opts *o, struct ge_err *e);
void ge_lm_release(struct ge_lm *lm);
int ge_lm_read(struct ge_lm *lm, struct ge_err *e);
int ge_lm_ready(struct ge_lm *lm, struct ge_err *e);
int ge_lm_train(struct ge_lm *lm, void (*tell)(void *arg,
    const struct ge_lm_state *s), void *arg, struct ge_err *e);
int ge_lm_compare(struct ge_lm *lm, struct ge_err *e);
int ge_lm_save(struct ge_lm *lm, struct ge_outdir *out, struct ge_err *e);
double ge_lm_bits(const struct ge_lm *lm, double nats);

/*
 * ge_lm_report(lm, e): run.json, and ge_lm_card(lm, e): the model card; text that
 * the caller frees with ge_free, or NULL.
 */
char *ge_lm_report(const struct ge_lm *lm, struct ge_err *e);
char *ge_lm_card(const struct ge_lm *lm, struct ge_err *e);

#endif
