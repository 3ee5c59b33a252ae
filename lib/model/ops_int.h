#ifndef GE_OPS_INT_H
#define GE_OPS_INT_H

#include "model/ops.h"

extern const struct ge_ops ge_ops_plain, ge_ops_avx2, ge_ops_avx512;

#endif
