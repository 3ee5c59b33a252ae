#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/quote.h"

static const char control[] = "\\\a\b\f\n\r\t\v", letter[] = "\\abfnrtv";

static int
is_control(uint8_t c)
{

	return (c < 0x20 || c == 0x7f);
}

int
ge_quote_line(const uint8_t *s, size_t len, uint8_t **to, size_t *n,
    size_t *cap, struct ge_err *e)
{
	const char *at;
	char t[8];
	size_t i, k;

	for (i = 0; i < len; i++) {
		t[0] = (char)s[i];
		k = 1;
		if (s[i] != '\0' && (at = strchr(control, s[i])) != NULL) {
			t[0] = '\\';
			t[1] = letter[at - control];
			k = 2;
		} else if (is_control(s[i])) {
			k = (size_t)snprintf(t, sizeof(t), "\\0%03o", s[i]);
		}
		if (ge_append(to, n, cap, t, k, e) == -1)
			return (-1);
	}
	return (0);
}

int
ge_quote_json(const uint8_t *s, size_t len, uint8_t **to, size_t *n,
    size_t *cap, struct ge_err *e)
{
	char t[8];
	size_t i, k;

	if (ge_append(to, n, cap, "\"", 1, e) == -1)
		return (-1);
	for (i = 0; i < len; i++) {
		if (s[i] == '\n')
			k = (size_t)snprintf(t, sizeof(t), "\\n");
		else if (s[i] == '"' || s[i] == '\\')
			k = (size_t)snprintf(t, sizeof(t), "\\%c", s[i]);
		else if (is_control(s[i]))
			k = (size_t)snprintf(t, sizeof(t), "\\u%04x", s[i]);
		else {
			t[0] = (char)s[i];
			k = 1;
		}
		if (ge_append(to, n, cap, t, k, e) == -1)
			return (-1);
	}
	return (ge_append(to, n, cap, "\"", 1, e));
}

static int
octal(const char *s)
{

	return (s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' &&
	    s[2] >= '0' && s[2] <= '7');
}

size_t
ge_unquote(const char *s, uint8_t *out)
{
	const char *at;
	size_t n = 0;

	for (; *s != '\0'; s++) {
		if (*s != '\\' || s[1] == '\0') {
			out[n++] = (uint8_t)*s;
		} else if ((at = strchr(letter, s[1])) != NULL) {
			out[n++] = (uint8_t)control[at - letter];
			s++;
		} else if (s[1] == '0' && octal(s + 2)) {
			out[n++] = (uint8_t)((s[2] - '0') * 64 + (s[3] - '0') *
			    8 + (s[4] - '0'));
			s += 4;
		} else {
			out[n++] = (uint8_t)*s;
		}
	}
	return (n);
}
