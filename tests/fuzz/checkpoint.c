/*
 * Heads of checkpoints: what is accepted keeps its limits, and lies behind the
 * head; what is not is refused, in one line.
 */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "model/checkpoint.h"

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct ge_checkpoint c;
	struct ge_err e;
	uint64_t at = 0;
	size_t i;

	e.code = 0;
	e.msg[0] = '\0';
	if (ge_checkpoint_parse(&c, buf, len, len, &e) == 0) {
		must(c.st.header <= 8 + GE_CHECKPOINT_HEADER_MAX &&
		    GE_CHECKPOINT_DIGEST + 64 < c.st.header, "its length");
		must(memcmp(buf + GE_CHECKPOINT_DIGEST - 10, "\"sha256\":\"",
		    10) == 0, "where the digest is");
		must(c.b1t >= 0 && c.b1t <= 1 && c.b2t >= 0 && c.b2t <= 1,
		    "powers of the moments");
		must(isfinite(c.progress.seconds) && c.progress.seconds >= 0 &&
		    isfinite(c.progress.joules) && c.progress.joules >= 0,
		    "what it took");
		for (i = 0; i < c.st.ntensors; i++) {
			must(c.st.tensor[i].off == at, "order of tensors");
			at += c.st.tensor[i].len;
		}
		must(c.st.header + at == len, "all of the file");
	} else {
		must(e.code == GE_EREFUSED && e.msg[0] != '\0',
		    "code of a bad file");
	}
	ge_checkpoint_release(&c);
	return (0);
}
