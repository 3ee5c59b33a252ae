/*
 * config.json: what is taken are dimensions that a model can have, and the same
 * when written and read again.
 */
#include <string.h>

#include "fuzz.h"
#include "model/config.h"
#include "util/mem.h"

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct ge_llama_dims d, other;
	int32_t bos, eos, b, s;
	struct ge_err e;
	char *text;
	size_t n, i;
	double a;

	if (ge_config_parse(&d, &bos, &eos, (const char *)buf, len, &e) == -1) {
		must(e.code == GE_EREFUSED && e.msg[0] != '\0', "code");
		return (0);
	}
	must(ge_llama_check(&d, &e) == 0, "dimensions");
	must(bos >= -1 && eos >= -1 && (bos < 0 || (size_t)bos < d.vocab) &&
	    (eos < 0 || (size_t)eos < d.vocab), "tokens");
	must(d.eps > 0 && d.theta >= 1, "numbers");
	for (i = 0; i < d.hd / 2; i++) {
		a = ge_llama_angle(&d, i);
		must(a >= 0 && a <= 1, "angle");
	}
	must(ge_config_print(&d, bos, eos, GE_DTYPE_F32, &text, &n, &e) == 0 &&
	    n == strlen(text), "printed");
	must(ge_config_parse(&other, &b, &s, text, n, &e) == 0 && memcmp(&d,
	    &other, sizeof(d)) == 0 && b == bos && s == eos, "the same again");
	ge_free(text);
	return (0);
}
