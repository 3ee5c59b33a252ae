#include "site/net_int.h"

static enum ge_verdict
step(struct ge_op_int *x)
{

	return (ge_x_end(x, GE_OP_DENIED, "dav is not built in"));
}

const struct ge_way ge_way_dav = { NULL, step, NULL };
