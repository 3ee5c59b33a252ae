/*
 * corpus DIR FILE ...: write the inputs of the fuzz targets, DIR/TARGET/NAME,
 * from test vectors (FILE.vec) and seeds (FILE.txt), so that none of them need
 * be kept as opaque bytes.
 *
 * From a vector come its fragments (header), manifests (manifest) and all of
 * it as a stream (stream).  TARGET.txt holds seeds: "file: NAME", then lines of
 * base64 that begin with a space, or of text that begin with "=".  Recipes are
 * counted out.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROOM = 32 << 20		/* for a file, for a stream */
};

static const char *top;
static uint8_t *file, *tar;
static size_t filelen, tarlen;

static void
die(const char *what)
{

	fprintf(stderr, "corpus: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
put(const char *target, const char *name, const void *buf, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top, target);
	if (mkdir(path, 0777) == -1 && errno != EEXIST)
		die(path);
	snprintf(path, sizeof(path), "%s/%s/%s", top, target, name);
	if ((f = fopen(path, "wb")) == NULL ||
	    fwrite(buf, 1, len, f) != len || fclose(f) != 0)
		die(path);
}

static void
add(const void *buf, size_t len)
{

	if (filelen + len > ROOM) {
		errno = EFBIG;
		die("a file");
	}
	memcpy(file + filelen, buf, len);
	filelen += len;
}

static void
base64(const char *s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *d;
	uint32_t v = 0;
	uint8_t byte;
	int bits = 0;

	for (; *s != '\0' && (d = strchr(digits, *s)) != NULL; s++) {
		v = v << 6 | (uint32_t)(d - digits);
		if ((bits += 6) >= 8) {
			bits -= 8;
			byte = (uint8_t)(v >> bits);
			add(&byte, 1);
		}
	}
}

/* The file as an entry of the stream that the vector's files make. */
static void
entry(void)
{
	uint8_t *h = tar + tarlen;
	unsigned int sum = 0;
	size_t i, pad = (512 - filelen % 512) % 512;

	if (tarlen + filelen + 2048 > ROOM) {
		errno = EFBIG;
		die("a stream");
	}
	memset(h, 0, 512);
	memcpy(h, "x", 1);
	memcpy(h + 100, "0000644", 7);
	memcpy(h + 108, "0000000", 7);
	memcpy(h + 116, "0000000", 7);
	snprintf((char *)h + 124, 12, "%011lo", (unsigned long)filelen);
	memcpy(h + 136, "00000000000", 11);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (i = 0; i < 512; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
	memcpy(h + 512, file, filelen);
	memset(h + 512 + filelen, 0, pad);
	tarlen += 512 + filelen + pad;
}

/* A file of a vector has come to its end. */
static void
end_file(const char *base, const char *name)
{
	char as[512];

	if (name[0] == '\0')
		return;
	snprintf(as, sizeof(as), "%s.%s", base,
	    strncmp(name, "in/", 3) == 0 ? name + 3 : name);
	if (filelen >= 8 && memcmp(file, "GEFRAG1\n", 8) == 0)
		put("header", as, file, filelen < 16384 ? filelen : 16384);
	if (filelen >= 16 && memcmp(file, "gefrag-manifest ", 16) == 0)
		put("manifest", as, file, filelen);
	if (strcmp(name, "stream.tar") == 0)
		put("stream", as, file, filelen);
	else if (strncmp(name, "in/", 3) == 0)
		entry();
}

static void
read_file(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
	char base[256], name[256] = "", line[16384];
	int vector = dot != NULL && strcmp(dot, ".vec") == 0;
	FILE *f;

	if ((f = fopen(path, "r")) == NULL)
		die(path);
	slash = slash == NULL ? path : slash + 1;
	snprintf(base, sizeof(base), "%.*s",
	    dot != NULL && dot > slash ? (int)(dot - slash) : 255, slash);
	filelen = tarlen = 0;
	for (;;) {
		char *got = fgets(line, sizeof(line), f);

		if (got == NULL || strncmp(line, "file: ", 6) == 0) {
			if (vector)
				end_file(base, name);
			else if (name[0] != '\0')
				put(base, name, file, filelen);
			filelen = 0;
			if (got == NULL)
				break;
			snprintf(name, sizeof(name), "%.*s",
			    (int)strcspn(line + 6, "\n"), line + 6);
			if (strstr(name, "..") != NULL ||
			    (!vector && strchr(name, '/') != NULL)) {
				errno = EINVAL;
				die(name);
			}
		} else if (line[0] == ' ') {
			base64(line + 1);
		} else if (line[0] == '=' && !vector) {
			add(line + 1, strlen(line + 1));
		}
	}
	fclose(f);
	if (vector && tarlen > 0) {
		memset(tar + tarlen, 0, 1024);
		put("stream", base, tar, tarlen + 1024);
	}
}

/*
 * Each operation of tests/fuzz/recipe.h on each fragment, in each world, under
 * each pin, as files and as a stream, with numbers that are where it matters:
 * in the header, in the table, in the payload.
 */
static void
recipes(void)
{
	static const uint16_t where[] = { 0, 57, 63, 64, 100, 300, 415, 416,
	    500, 4500, 8000 };
	unsigned int world, op, i, count = 0;
	uint8_t r[16];
	char name[64];

	for (world = 0; world < 4; world++)
		for (op = 0; op < 12; op++)
			for (i = 0; i < 12; i++, count++) {
				uint16_t at = where[(count + i) %
				    (sizeof(where) / sizeof(where[0]))];

				memset(r, 0, sizeof(r));
				r[0] = (uint8_t)world;
				r[1] = (uint8_t)((count & 3) | (i & 1) << 2 |
				    (count / 5 & 1) << 3 | (i & 2) << 4);
				r[2] = (uint8_t)op;
				r[3] = (uint8_t)i;
				r[4] = (uint8_t)at;
				r[5] = (uint8_t)(at >> 8);
				r[6] = (uint8_t)(i * 64 + 1);
				r[7] = (uint8_t)(1 + i);
				/* Then some other loss. */
				r[9] = (uint8_t)(count % 3 == 0 ? 0 : 3);
				r[10] = (uint8_t)(i + 1);
				r[11] = (uint8_t)(count * 7);
				r[12] = (uint8_t)(count % 2);
				r[13] = 128;
				r[14] = 1;
				snprintf(name, sizeof(name), "w%u-op%02u-%02u",
				    world, op, i);
				put("join", name, r, i % 4 == 3 ? 15 : 9);
				put("mend", name, r, i % 4 == 3 ? 15 : 9);
			}
}

/*
 * Ranges that begin and end around the ends of the two segments, one fragment
 * lost.  Lengths as in tests/fuzz/recipe.h.
 */
static void
ranges(void)
{
	static const unsigned int full[4] = { 16352, 16352, 12272, 8192 };
	unsigned int world, i, j, off, len;
	uint8_t r[8];
	char name[64];

	for (world = 0; world < 4; world++)
		for (i = 0; i < 8; i++)
			for (j = 0; j < 6; j++) {
				off = i == 0 ? 0 : i == 1 ? 4097 :
				    i < 6 ? full[world] + i - 4 :
				    full[world] + 93 + i;
				len = j < 3 ? j : j == 3 ? full[world] - 1 :
				    j == 4 ? full[world] + 1 : 100;
				if (off + len > full[world] + 100)
					len = full[world] + 100 - off;
				r[0] = (uint8_t)world;
				r[1] = (uint8_t)(16 | (i + j) % 4 | (j & 1) << 2);
				r[2] = (uint8_t)off;
				r[3] = (uint8_t)(off >> 8);
				r[4] = (uint8_t)len;
				r[5] = (uint8_t)(len >> 8);
				r[6] = 0;
				r[7] = (uint8_t)i;
				snprintf(name, sizeof(name), "w%u-range-%u-%u",
				    world, off, len);
				put("join", name, r, sizeof(r));
			}
}

int
main(int argc, char **argv)
{
	int i;

	if (argc < 2) {
		fputs("usage: corpus dir file ...\n", stderr);
		return (2);
	}
	top = argv[1];
	if (mkdir(top, 0777) == -1 && errno != EEXIST)
		die(top);
	if ((file = malloc(ROOM)) == NULL || (tar = malloc(ROOM)) == NULL)
		die("memory");
	for (i = 2; i < argc; i++)
		read_file(argv[i]);
	recipes();
	ranges();
	free(file);
	free(tar);
	return (0);
}
