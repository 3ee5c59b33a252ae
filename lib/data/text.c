#include <string.h>

#include "data/text.h"
#include "data/unicode_table.h"

size_t
ge_utf8_check(const uint8_t *s, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	uint64_t eight;
	size_t i = 0, j, n;

	while (i < len) {
		if (s[i] < 0x80) {
			i++;
			for (; len - i >= 8; i += 8) {
				memcpy(&eight, s + i, 8);
				if ((eight & 0x8080808080808080u) != 0)
					break;
			}
			continue;
		}
		n = (s[i] & 0xe0) == 0xc0 ? 2 : (s[i] & 0xf0) == 0xe0 ? 3 :
		    (s[i] & 0xf8) == 0xf0 ? 4 : 0;
		if (n == 0 || n > len - i)
			break;
		c = s[i] & (0x7fu >> n);
		for (j = 1; j < n && (s[i + j] & 0xc0) == 0x80; j++)
			c = c << 6 | (s[i + j] & 0x3f);
		if (j < n || c < least[n] || c > 0x10ffff ||
		    (c >= 0xd800 && c < 0xe000))
			break;
		i += n;
	}
	return (i);
}

size_t
ge_utf8_next(const uint8_t *s, size_t len, uint32_t *c)
{
	size_t n, j;

	n = s[0] < 0xc0 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n > len)
		n = 1;
	*c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (j = 1; j < n; j++)
		*c = *c << 6 | (s[j] & 0x3f);
	return (n);
}

enum class {		/* may be joined */
	SPACE = 1, BREAK = 2, LETTER = 4, NUMBER = 8, OTHER = 16
};

static int
within(const uint32_t (*v)[2], size_t n, uint32_t c)
{
	size_t lo = 0, mid;

	while (lo < n) {
		mid = lo + (n - lo) / 2;
		if (c < v[mid][0])
			n = mid;
		else if (c > v[mid][1])
			lo = mid + 1;
		else
			return (1);
	}
	return (0);
}

static enum class
wide_class(uint32_t c)
{

	if (c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <=
	    0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	    c == 0x205f || c == 0x3000)
		return (SPACE);
	if (within(letters, sizeof(letters) / sizeof(letters[0]), c))
		return (LETTER);
	if (within(numbers, sizeof(numbers) / sizeof(numbers[0]), c))
		return (NUMBER);
	return (OTHER);
}

#define L4 LETTER, LETTER, LETTER, LETTER
#define N4 NUMBER, NUMBER, NUMBER, NUMBER
#define O4 OTHER, OTHER, OTHER, OTHER
#define S4 SPACE, SPACE | BREAK, SPACE, SPACE

static const uint8_t ascii[128] = {
	O4, O4, OTHER, S4, SPACE | BREAK, OTHER, OTHER,
	O4, O4, O4, O4,
	SPACE, OTHER, OTHER, OTHER, O4, O4, O4,
	N4, N4, NUMBER, NUMBER, OTHER, OTHER, O4,
	OTHER, LETTER, LETTER, LETTER, L4, L4, L4,
	L4, L4, LETTER, LETTER, LETTER, OTHER, O4,
	OTHER, LETTER, LETTER, LETTER, L4, L4, L4,
	L4, L4, LETTER, LETTER, LETTER, OTHER, O4
};

/* The class of the character at i; *n its bytes.  0 at the end. */
static inline enum class
class_at(const uint8_t *s, size_t len, size_t i, size_t *n)
{
	uint32_t c;

	*n = 0;
	if (i >= len)
		return (0);
	*n = 1;
	if (s[i] < 0x80)
		return (ascii[s[i]]);
	*n = ge_utf8_next(s + i, len - i, &c);
	return (wide_class(c));
}

/* The end of characters of these classes from i on, at most so many. */
static size_t
run(const uint8_t *s, size_t len, size_t i, int classes, size_t most)
{
	size_t n;

	while (most-- > 0 && ((int)class_at(s, len, i, &n) & classes) != 0)
		i += n;
	return (i);
}

/* Bytes of an English ending behind an apostrophe, with it; 0 if there is none. */
static size_t
contraction(const uint8_t *s, size_t len, int anycase)
{
	static const char *const end[] = { "re", "ve", "ll", "s", "t", "m",
	    "d" };
	size_t i, j, n;

	if (len < 2 || s[0] != '\'')
		return (0);
	/* A long s is an s of another case. */
	if (anycase && len > 2 && s[1] == 0xc5 && s[2] == 0xbf)
		return (3);
	for (i = 0; i < sizeof(end) / sizeof(end[0]); i++) {
		n = strlen(end[i]);
		for (j = 0; j < n && j + 1 < len && (s[1 + j] | (anycase ?
		    0x20 : 0)) == end[i][j]; j++)
			;
		if (j == n)
			return (1 + n);
	}
	return (0);
}

/* \s+(?!\S)|\s+, where text also ends at characters of the classes `end`. */
static size_t
blanks(const uint8_t *s, size_t len, int end)
{
	size_t i = 0, n, last = 0;
	int c;

	while (((c = (int)class_at(s, len, i, &n)) & SPACE) != 0) {
		last = i;
		i += n;
	}
	return (c != 0 && (c & end) == 0 && last > 0 ? last : i);
}

static size_t
gpt2(const uint8_t *s, size_t len, int end)
{
	size_t n, at;
	int c;

	if ((n = contraction(s, len, 0)) > 0)
		return (n);
	at = s[0] == ' ';
	c = (int)class_at(s, len, at, &n);
	if (c != 0 && (c & (SPACE | end)) == 0)
		return (run(s, len, at + n, c, SIZE_MAX));
	return (blanks(s, len, end));
}

static size_t
smollm(const uint8_t *s, size_t len)
{
	size_t n;

	return (class_at(s, len, 0, &n) == NUMBER ? n : gpt2(s, len, NUMBER));
}

static size_t
llama3(const uint8_t *s, size_t len)
{
	size_t n, m, at, i;
	int c, d;

	if ((n = contraction(s, len, 1)) > 0)
		return (n);
	c = (int)class_at(s, len, 0, &n);
	d = (int)class_at(s, len, n, &m);
	if (c == LETTER || ((c & (BREAK | NUMBER)) == 0 && d == LETTER))
		return (run(s, len, n, LETTER, SIZE_MAX));
	if (c == NUMBER)
		return (run(s, len, n, NUMBER, 2));
	at = s[0] == ' ';
	i = run(s, len, at, OTHER, SIZE_MAX);
	if (i > at)
		return (run(s, len, i, BREAK, SIZE_MAX));
	/* \s*[\r\n]+: up to the last line break among the blanks. */
	for (i = at = 0; ((c = (int)class_at(s, len, i, &n)) & SPACE) != 0;
	    i += n)
		if ((c & BREAK) != 0)
			at = i + n;
	return (at > 0 ? at : blanks(s, len, 0));
}

size_t
ge_split_next(enum ge_split kind, const uint8_t *s, size_t len)
{

	if (kind == GE_SPLIT_GPT2)
		return (gpt2(s, len, 0));
	return (kind == GE_SPLIT_LLAMA3 ? llama3(s, len) : smollm(s, len));
}
