#include <zlib.h>

#include <assert.h>
#include <stdint.h>

#include "code/code.h"
#include "util/mem.h"

/*
 * By zlib both ways, though ISA-L is some five times as fast: what its deflate
 * makes depends, if rarely, on the addresses of its buffers, so that the same
 * input does not always give the same bytes; and its inflate accepts what is not
 * DEFLATE (incomplete codes, codes without an end of block).
 */
enum {
	LEVEL = 1,			/* the fastest: 48 MiB wait for it */
	WINDOW = -15,			/* raw, 32 KiB */
	MEMLEVEL = 9,
	MOST = 1 << 30			/* zlib counts in 32 bits */
};

static void *
zalloc(void *e, unsigned int n, unsigned int size)
{

	return (ge_alloc((size_t)n * size, e));
}

static void
zfree(void *e, void *p)
{

	(void)e;
	ge_free(p);
}

/*
 * A full flush ends a chunk that is not the last: it forgets the history and
 * ends on a byte, with an empty stored block.
 */
int
ge_deflate(uint8_t *dst, size_t cap, const uint8_t *src, size_t len,
    int last, size_t *outlen, struct ge_err *e)
{
	z_stream z = { .zalloc = zalloc, .zfree = zfree, .opaque = e };
	int rc;

	assert(len <= MOST);
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW, MEMLEVEL,
	    Z_DEFAULT_STRATEGY) != Z_OK)
		return (ge_fail(e, GE_EFAIL, "out of memory"));
	z.next_in = (uint8_t *)(uintptr_t)src;
	z.avail_in = (unsigned int)len;
	z.next_out = dst;
	z.avail_out = cap < UINT32_MAX ? (unsigned int)cap : UINT32_MAX;
	rc = deflate(&z, last ? Z_FINISH : Z_FULL_FLUSH);
	/* A flush that fills dst to the last byte may not be through. */
	rc = last ? rc == Z_STREAM_END :
	    rc == Z_OK && z.avail_in == 0 && z.avail_out > 0;
	if (rc == 1)
		*outlen = z.total_out;
	(void)deflateEnd(&z);
	return (rc);
}

/*
 * Once dst is full the stream goes on into a byte of our own: a stream that
 * writes it is too long.
 */
int
ge_inflate(uint8_t *dst, size_t len, const struct ge_piece *src,
    size_t npieces, struct ge_err *e)
{
	z_stream z = { .zalloc = zalloc, .zfree = zfree, .opaque = e };
	size_t at = 0, given = 0, inlen = 0, now, off = 0, i;
	uint8_t spare;
	int rc = -1, r;

	for (i = 0; i < npieces; i++)
		inlen += src[i].len;
	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return (ge_fail(e, GE_EFAIL, "inflate: out of memory"));
	do {
		while (z.avail_in == 0 && at < npieces) {
			now = src[at].len - off;
			now = now < MOST ? now : MOST;
			z.next_in = (Bytef *)(uintptr_t)src[at].buf + off;
			z.avail_in = (uInt)now;
			off += now;
			if (off == src[at].len) {
				at++;
				off = 0;
			}
		}
		if (z.avail_out == 0 && given < len) {
			now = len - given < MOST ? len - given : MOST;
			z.next_out = dst + given;
			z.avail_out = (uInt)now;
			given += now;
		} else if (z.avail_out == 0) {
			z.next_out = &spare;
			z.avail_out = 1;
		}
		r = inflate(&z, Z_NO_FLUSH);
	} while (r == Z_OK && z.total_out <= len);
	if (r == Z_MEM_ERROR)
		ge_fail(e, GE_EFAIL, "inflate: out of memory");
	else if (r != Z_STREAM_END || z.total_in != inlen ||
	    z.total_out != len)
		ge_fail(e, GE_EREFUSED, "not the DEFLATE stream of %zu bytes",
		    len);
	else
		rc = 0;
	inflateEnd(&z);
	return (rc);
}
