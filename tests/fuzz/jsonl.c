/*
 * Lines of JSON: what we take jansson takes, and the other way round, and the string is
 * the same.
 */
#include <jansson.h>
#include <string.h>

#include "data/jsonl.h"
#include "data/text.h"
#include "fuzz.h"

/* It gives up where we have nothing to hold: large numbers, deep nests, odd keys. */
static int
cannot(const json_error_t *e)
{
	enum json_error_code c = json_error_code(e);

	return (c == json_error_numeric_overflow ||
	    c == json_error_stack_overflow ||
	    c == json_error_null_byte_in_key || c == json_error_out_of_memory);
}

static void
compare(const uint8_t *line, size_t len)
{
	const uint8_t *at = NULL;
	struct ge_err e = { 0, 0, "" };
	json_error_t no;
	const json_t *text;
	uint8_t *plain;
	json_t *j;
	size_t n = 0;
	int rc;

	rc = ge_jsonl_find(line, len, &at, &n, &e);
	must(rc == 1 || rc == 0 || (rc == -1 && e.code == GE_EREFUSED &&
	    e.msg[0] != '\0'), "status");
	must(rc != 1 || (at > line && at + n < line + len), "within the line");
	j = json_loadb((const char *)line, len, JSON_ALLOW_NUL |
	    JSON_REJECT_DUPLICATES, &no);
	text = json_object_get(j, "text");
	if (rc == 1) {
		must((plain = malloc(n + 1)) != NULL, "malloc");
		n = ge_jsonl_plain(plain, at, n);
		must(ge_utf8_check(plain, n) == n, "the text is UTF-8");
		must(j != NULL ? json_is_string(text) &&
		    json_string_length(text) == n &&
		    memcmp(json_string_value(text), plain, n) == 0 :
		    cannot(&no) || json_error_code(&no) ==
		    json_error_duplicate_key, "as jansson has it");
		free(plain);
	} else
		must(!json_is_string(text) || strcmp(e.msg, "nested too deep")
		    == 0, "what jansson takes");
	json_decref(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	const uint8_t *end = buf + len, *stop;

	for (; buf < end; buf = stop + 1) {
		if ((stop = memchr(buf, '\n', (size_t)(end - buf))) == NULL)
			stop = end;
		if (ge_utf8_check(buf, (size_t)(stop - buf)) ==
		    (size_t)(stop - buf))
			compare(buf, (size_t)(stop - buf));
	}
	return (0);
}
