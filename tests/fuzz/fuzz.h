#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * What the fuzz targets share.  replay.c and libFuzzer call the one function of
 * a target; it ends the program when a promise is broken.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static inline void
must(int good, const char *what)
{

	if (!good) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

#endif
