#include <isa-l/crc.h>

#include <stdint.h>

#include "code/code.h"

/* ISA-L leaves the complement before and after to the caller. */
uint32_t
ge_crc32c(uint32_t crc, const void *buf, size_t len)
{
	enum {
		MOST = 1 << 30		/* ISA-L counts in int */
	};
	unsigned char *p = (unsigned char *)(uintptr_t)buf;
	size_t now;

	crc = ~crc;
	for (; len > 0; p += now, len -= now) {
		now = len < MOST ? len : MOST;
		crc = crc32_iscsi(p, (int)now, crc);
	}
	return (~crc);
}
