#ifndef GE_ESTIMATE_H
#define GE_ESTIMATE_H

#include "model/train.h"

/*
 * ge_train_flops(o): of a step, a token: 6 for each parameter that is multiplied, and
 * 12 a layer for each number of a head and position (forward once, backward twice).
 */
double ge_train_flops(const struct ge_train_opts *o);

#endif
