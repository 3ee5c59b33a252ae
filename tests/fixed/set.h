#ifndef SET_H
#define SET_H

#include <sys/mman.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frag/frag.h"

/*
 * A small set of fragments in memory, for tests: split from bytes, kept as they
 * left in the stream.  Files are memory too (memfd_create, so define
 * _GNU_SOURCE first); a path names one by its descriptor.  What fails here
 * ends the program.
 */
enum {
	SET_PATH = 32,		/* room for the path of a descriptor */
	SET_FRAGS = 256
};

struct set_file {
	uint8_t *buf;
	size_t len;
	uint32_t segment;
	int index;
};

struct set {
	struct ge_split split;		/* what it was made with, and results */
	const uint8_t *data;
	size_t len;
	struct set_file frag[SET_FRAGS];
	size_t nfrags;
	struct set_file manifest;
};

static inline void
set_must(int good, const char *what)
{

	if (!good) {
		fprintf(stderr, "set: %s\n", what);
		abort();
	}
}

/* A file of these bytes, to be read from its beginning. */
static inline int
set_open(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	ssize_t n;
	int fd = memfd_create("set", MFD_CLOEXEC);

	set_must(fd != -1, "memfd_create");
	for (; len > 0; p += n, len -= (size_t)n) {
		n = write(fd, p, len);
		set_must(n > 0, "write");
	}
	set_must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
	return (fd);
}

static inline const char *
set_path(char path[SET_PATH], int fd)
{

	snprintf(path, SET_PATH, "/proc/self/fd/%d", fd);
	return (path);
}

/* All that was written to a descriptor of set_open; the caller frees it. */
static inline uint8_t *
set_read(int fd, size_t *len)
{
	off_t end = lseek(fd, 0, SEEK_END);
	uint8_t *buf;
	ssize_t n;
	size_t at;

	set_must(end >= 0, "lseek");
	*len = (size_t)end;
	buf = malloc(*len + 1);
	set_must(buf != NULL, "malloc");
	for (at = 0; at < *len; at += (size_t)n) {
		n = pread(fd, buf + at, *len - at, (off_t)at);
		set_must(n > 0, "pread");
	}
	return (buf);
}

/*
 * Split `data` as s->split says (k, n, mode, block, stripes, deflate; jobs is 1
 * and in, out are set here); borrows data.
 */
static inline void
set_make(struct set *s, const void *data, size_t len)
{
	struct ge_err e = { 0, 0, "" };
	struct ge_hdr h;
	struct set_file *f;
	uint8_t *tar;
	size_t at, size, tarlen;

	s->data = data;
	s->len = len;
	s->split.jobs = 1;
	s->split.in = set_open(data, len);
	s->split.out = set_open("", 0);
	set_must(ge_split_run(&s->split, &e) == 0, e.msg);
	tar = set_read(s->split.out, &tarlen);
	close(s->split.in);
	close(s->split.out);
	for (at = 0; at + 512 <= tarlen && tar[at] != '\0';
	    at += 512 + (size + 511) / 512 * 512) {
		size = strtoul((char *)tar + at + 124, NULL, 8);
		set_must(at + 512 + size <= tarlen, "odd stream");
		if (ge_hdr_parse(&h, tar + at + 512, size, 0, &e) == 0) {
			set_must(s->nfrags < SET_FRAGS, "too many fragments");
			f = &s->frag[s->nfrags++];
			f->segment = h.segment;
			f->index = h.index;
		} else {
			f = &s->manifest;
		}
		f->len = size;
		f->buf = malloc(size);
		set_must(f->buf != NULL, "malloc");
		memcpy(f->buf, tar + at + 512, size);
	}
	set_must(s->nfrags == s->split.nsegments * (size_t)s->split.n &&
	    s->manifest.buf != NULL, "odd stream");
	free(tar);
}

static inline void
set_release(struct set *s)
{
	size_t i;

	for (i = 0; i < s->nfrags; i++)
		free(s->frag[i].buf);
	free(s->manifest.buf);
	s->nfrags = 0;
	s->manifest.buf = NULL;
}

#endif
