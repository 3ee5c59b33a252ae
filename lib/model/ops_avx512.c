#if defined(__x86_64__)
#define OPS ge_ops_avx512
#define VARIANT "avx512"

#include "model/ops_int.h"
#include "model/ops_body.h"
#endif
