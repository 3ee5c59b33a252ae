#include <string.h>

#include "model/trees.h"
#include "util/mem.h"

static json_t *
words_json(const struct ge_trees_meaning *m)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < m->k; i++)
		json_array_append_new(a, json_string(m->word[i]));
	return (a);
}

json_t *
ge_trees_meaning_json(const struct ge_trees_meaning *m)
{

	if (m->k == 0)
		return (json_pack("{s:s, s:b, s:o*}", "task", "number", "life",
		    m->life, "conformal", ge_conformal_json(&m->conformal)));
	return (json_pack("{s:s, s:o, s:o, s:o, s:o*}", "task", "classes",
	    "classes", words_json(m), "calibration",
	    ge_calibration_json(&m->calibration), "decide",
	    ge_decide_json(&m->decide), "conformal",
	    ge_conformal_json(&m->conformal)));
}

static int
parse_words(struct ge_trees_meaning *m, const json_t *a, struct ge_err *e)
{
	size_t n = json_array_size(a), i;
	const char *s;

	if (n < 2 || n > GE_CLASSES)
		return (ge_fail(e, GE_EREFUSED, "'trees': %zu class%s", n,
		    n == 1 ? "" : "es"));
	if ((m->word = ge_alloc(n * sizeof(*m->word), e)) == NULL)
		return (-1);
	for (i = 0; i < n; i++) {
		if ((s = json_string_value(json_array_get(a, i))) == NULL)
			return (ge_fail(e, GE_EREFUSED, "'trees': a class that "
			    "is no text"));
		if ((m->word[i] = ge_strdup(s, e)) == NULL)
			return (-1);
		m->k++;
	}
	return (0);
}

static int
parse(struct ge_trees_meaning *m, const json_t *t, struct ge_err *e)
{
	const char *task = json_string_value(json_object_get(t, "task"));

	if (task == NULL || (strcmp(task, "number") != 0 &&
	    strcmp(task, "classes") != 0))
		return (ge_fail(e, GE_EREFUSED, "'trees': no task that is "
		    "known"));
	m->life = json_is_true(json_object_get(t, "life"));
	if (strcmp(task, "classes") == 0 &&
	    (parse_words(m, json_object_get(t, "classes"), e) == -1 ||
	    ge_calibration_parse(&m->calibration, json_object_get(t,
	    "calibration"), m->k, e) == -1 || ge_decide_parse(&m->decide,
	    json_object_get(t, "decide"), m->k, e) == -1))
		return (-1);
	return (ge_conformal_parse(&m->conformal, json_object_get(t,
	    "conformal"), m->k, e));
}

int
ge_trees_meaning_parse(struct ge_trees_meaning *m, const json_t *all,
    struct ge_err *e)
{

	memset(m, 0, sizeof(*m));
	if (parse(m, json_object_get(all, "trees"), e) == 0)
		return (0);
	ge_trees_meaning_release(m);
	return (-1);
}

void
ge_trees_meaning_release(struct ge_trees_meaning *m)
{
	size_t i;

	for (i = 0; m->word != NULL && i < m->k; i++)
		ge_free(m->word[i]);
	ge_free(m->word);
	ge_calibration_release(&m->calibration);
	ge_conformal_release(&m->conformal);
	memset(m, 0, sizeof(*m));
}
