#ifndef GE_ESTIMATE_H
#define GE_ESTIMATE_H

#include "model/train.h"

/*
 * ge_train_flops(o): operations of a step, a token: 6 for each parameter that
 * is multiplied, 12 a layer for each number of a head and position (two
 * forward, four backward; of keys and of values).  Memory is ge_train_bytes.
 */
double ge_train_flops(const struct ge_train_opts *o);

#endif
