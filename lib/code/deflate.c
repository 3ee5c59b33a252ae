#include <isa-l/igzip_lib.h>

#include <assert.h>
#include <stdint.h>
#include <zlib.h>

#include "code/code.h"
#include "util/mem.h"

enum {
	LEVEL = 2,
	LEVELBUF = ISAL_DEF_LVL2_DEFAULT,
	MOST = 1 << 30			/* ISA-L counts in 32 bits */
};

/*
 * A full flush ends a chunk that is not the last: it forgets the history and
 * ends on a byte, with an empty stored block.
 */
int
ge_deflate(uint8_t *dst, size_t cap, const uint8_t *src, size_t len,
    int last, size_t *outlen, struct ge_err *e)
{
	struct isal_zstream *z;
	enum isal_zstate_state end;
	int rc = -1;

	assert(len <= MOST);
	if ((z = ge_alloc(sizeof(*z) + LEVELBUF, e)) == NULL)
		goto out;
	isal_deflate_init(z);
	z->level = LEVEL;
	z->level_buf = (uint8_t *)(z + 1);
	z->level_buf_size = LEVELBUF;
	z->flush = last ? NO_FLUSH : FULL_FLUSH;
	z->end_of_stream = last != 0;
	z->next_in = (uint8_t *)(uintptr_t)src;
	z->avail_in = (uint32_t)len;
	z->next_out = dst;
	z->avail_out = cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX;
	end = last ? ZSTATE_END : ZSTATE_NEW_HDR;
	if (isal_deflate(z) != COMP_OK) {
		ge_fail(e, GE_EFAIL, "deflate failed");
		goto out;
	}
	rc = z->avail_in == 0 && z->internal_state.state == end;
	if (rc == 1)
		*outlen = z->total_out;
out:
	ge_free(z);
	return (rc);
}

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
 * By zlib, since ISA-L's inflate accepts what is not DEFLATE: incomplete codes
 * and codes without an end of block.
 *
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
