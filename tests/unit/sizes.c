/*
 * lib/model/sizes.c: each name holds what it says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/sizes.h"

#define UNIT "sizes"
#include "check.h"

/* 256 numbers share the scales of a block. */
static int
quantises(const struct ge_llama_dims *d)
{
	struct ge_tensor t;
	size_t i;

	for (i = 0; ge_llama_tensor(d, i, &t); i++)
		if (t.cols % 256 != 0)
			return (0);
	return (1);
}

int
main(void)
{
	struct ge_llama_dims d;
	const struct ge_size *s;
	struct ge_err e;
	int whole = 1, named = 1, quants = 1, n = 0;
	double params, want, last = 0;
	char names[256] = "";

	for (s = ge_sizes; s->name != NULL; s++, n++) {
		whole &= ge_size_find(s->name, 0, &d) == 0 &&
		    ge_llama_check(&d, &e) == 0 && d.vocab == s->vocab &&
		    d.heads * d.hd == d.dim && d.heads % d.kv == 0;
		quants &= quantises(&d);
		snprintf(names + strlen(names), sizeof(names) - strlen(names),
		    "%s%s", n == 0 ? "" : s[1].name == NULL ? " and " : ", ",
		    s->name);
		params = (double)ge_llama_params(&d);
		want = 1e6 * atof(s->name);
		printf("# %s: %.0f with a vocabulary of %zu\n", s->name,
		    params, d.vocab);
		named &= params > 0.9 * want && params < 1.1 * want &&
		    params > last;
		last = params;
		whole &= ge_size_find(s->name, 777, &d) == 0 &&
		    d.vocab == 777;
	}
	check(whole && n == 7, "all are models");
	check(named, "parameters as the name says, the smallest first");
	check(quants, "rows of 256 numbers, or some times as many");
	check(strcmp(names, ge_size_names()) == 0, "their names in words");
	check(ge_size_find("2m", 0, &d) == -1 && ge_size_find("", 0, &d) ==
	    -1, "no other names");
	return (bad);
}
