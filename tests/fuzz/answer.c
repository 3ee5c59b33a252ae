/*
 * What servers answer and what files of credentials say: the first byte chooses
 * which, the second how long the pieces are.  Names lie within the text, a value
 * fits its room.
 */
#include <string.h>

#include "fuzz.h"
#include "site/answer_int.h"
#include "site/site.h"

static size_t budget;

static int
entry(void *arg, const char *name, size_t len, uint64_t size, int folder)
{
	volatile char last;

	(void)arg;
	(void)size;
	must(name != NULL && len > 0, "a name");
	must(folder == 0 || folder == 1, "folder");
	must(len <= 8192, "length of a name");
	last = name[len - 1];
	(void)last;
	must(budget-- > 0, "more entries than bytes");
	return (len == 13);
}

static void
listing(int kind, const char *base, const uint8_t *buf, size_t len,
    size_t piece)
{
	struct ge_answer *a;
	const char *token = NULL;
	struct ge_err e;
	size_t at, n;
	int rc = 0;

	budget = len + 1;
	a = ge_answer_new((enum ge_answer_kind)kind, base, entry, NULL, &e);
	must(a != NULL, "memory");
	for (at = 0; rc == 0 && at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		rc = ge_answer_feed(a, buf + at, n, &e);
	}
	if (rc != -1) {
		rc = ge_answer_end(a, &token, &e);
		must(rc == 0 || rc == -1, "end");
		must(token == NULL || strlen(token) < 1100, "token");
	} else {
		must(ge_answer_feed(a, "x", 1, &e) == -1, "fails again");
	}
	ge_answer_free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	char out[32], pw[32], *text;
	uint64_t a, b, c;
	double s;
	size_t piece, n;
	int which;

	if (len < 2)
		return (0);
	which = buf[0] % 8;
	piece = buf[1] == '0' ? 65536 : buf[1];
	piece = piece == 0 ? 1 : piece;
	buf += 2;
	len -= 2;
	text = malloc(len + 1);
	must(text != NULL, "malloc");
	memcpy(text, buf, len);
	text[len] = '\0';
	switch (which) {
	case 0:
		listing(GE_ANSWER_S3, "p/", buf, len, piece);
		break;
	case 1:
		listing(GE_ANSWER_DAV, "/x/", buf, len, piece);
		break;
	case 2:
		listing(GE_ANSWER_LS, "", buf, len, piece);
		break;
	case 3:
		if (ge_answer_text((const char *)buf, len, "Error", "Code",
		    out, sizeof(out)))
			must(strlen(out) < sizeof(out), "text");
		break;
	case 4:
		if (ge_answer_range(text, &a, &b, &c) == 0)
			must(a > b || b < c, "range");
		if (ge_answer_retry(text, &s) == 0)
			must(s >= 0 && s <= 86400, "retry");
		break;
	case 5:
		if (ge_answer_ini((const char *)buf, len, "p", "key", out,
		    sizeof(out)) == 1)
			must(strlen(out) < sizeof(out), "value");
		break;
	case 6:
		if (ge_answer_netrc((const char *)buf, len, "h", NULL, out,
		    sizeof(out), pw, sizeof(pw)) == 1)
			must(strlen(out) < sizeof(out) &&
			    strlen(pw) < sizeof(pw), "netrc");
		break;
	case 7:
		n = ge_answer_unpercent(text, len, 1);
		must(n <= len, "percent");
		break;
	}
	free(text);
	return (0);
}
