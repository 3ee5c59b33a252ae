#include <string.h>

#include "util/num.h"

int
ge_num_parse(const char *s, size_t len, uint64_t *out)
{
	uint64_t v = 0, d;
	size_t i;

	if (len == 0 || (len > 1 && s[0] == '0'))
		return (-1);
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return (-1);
		d = (uint64_t)(s[i] - '0');
		if (v > (UINT64_MAX - d) / 10)
			return (-1);
		v = 10 * v + d;
	}
	*out = v;
	return (0);
}

int
ge_size_parse(const char *s, uint64_t *out)
{
	static const char units[] = "kmgt";
	size_t len = strspn(s, "0123456789");
	const char *u;
	uint64_t v;
	int shift = 0;

	/* "08" is eight to a user; only the manifest is strict. */
	while (len > 1 && s[0] == '0') {
		s++;
		len--;
	}
	if (ge_num_parse(s, len, &v) == -1)
		return (-1);
	if (s[len] != '\0') {
		if (s[len + 1] != '\0' ||
		    (u = strchr(units, s[len] | 0x20)) == NULL || *u == '\0')
			return (-1);
		shift = 10 * (int)(u - units + 1);
	}
	if (v > (uint64_t)INT64_MAX >> shift)
		return (-1);
	*out = v << shift;
	return (0);
}

char *
ge_hex(char *out, const uint8_t *buf, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[buf[i] >> 4];
		out[2 * i + 1] = digits[buf[i] & 15];
	}
	out[2 * len] = '\0';
	return (out);
}

static int
nibble(char c)
{

	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	return (-1);
}

int
ge_unhex(uint8_t *out, const char *s, size_t len)
{
	size_t i;
	int hi, lo;

	for (i = 0; i < len; i++) {
		if ((hi = nibble(s[2 * i])) == -1 ||
		    (lo = nibble(s[2 * i + 1])) == -1)
			return (-1);
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return (0);
}

int
ge_percent(char *out, size_t cap, const char *s, size_t len, int keepblank)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i, o = 0;
	unsigned char c;

	for (i = 0; i < len; i++) {
		c = (unsigned char)s[i];
		if ((c > 0x20 && c < 0x7f && c != '%') ||
		    (c == 0x20 && keepblank)) {
			if (cap - o < 2)
				return (-1);
			out[o++] = (char)c;
			continue;
		}
		if (cap - o < 4)
			return (-1);
		out[o++] = '%';
		out[o++] = digits[c >> 4];
		out[o++] = digits[c & 15];
	}
	if (o >= cap)
		return (-1);
	out[o] = '\0';
	return (0);
}
