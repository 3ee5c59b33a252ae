#include <stdlib.h>
#include <string.h>

#include "model/ops_int.h"

const struct ge_ops *
ge_ops(void)
{
	const char *cpu = getenv("GE_CPU");

	if (cpu != NULL && (strcmp(cpu, "plain") == 0 ||
	    strcmp(cpu, "portable") == 0))
		return (&ge_ops_plain);
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports(
	    "avx512dq") && (cpu == NULL || strcmp(cpu, "avx2") != 0))
		return (&ge_ops_avx512);
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return (&ge_ops_avx2);
#endif
	return (&ge_ops_plain);
}
