#define OPS ge_ops_plain
#define VARIANT "plain"

#include "model/ops_int.h"
#include "model/ops_body.h"
