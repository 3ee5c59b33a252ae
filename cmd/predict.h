#ifndef GE_PREDICT_H
#define GE_PREDICT_H

#include <stddef.h>

#include "util/err.h"

/*
 * What gepredict is told: the model's folder, the operands behind it (none: standard
 * input) and what was given to -O, in order, which is the family's to take apart.
 */
struct predict {
	const char *model;
	int jobs;
	char **opt;
	size_t nopts;
	char **file;
	int n;
};

/*
 * A family of models: the file of its folder that it is known by, the names that
 * its -O takes [ends with NULL], and what is done with a model of it.
 */
struct predict_family {
	const char *file;
	const char *const *names;
	int (*run)(const struct predict *p, struct ge_err *e);
};

extern const struct predict_family predict_lm;

#endif
