#include <string.h>

#include "data/schema.h"
#include "util/mem.h"

enum {
	COLS = 65536			/* most columns */
};

static const char *const types[] = { "number", "time", "category", "text" };
static const char *const roles[] = { "input", "time", "group", "target",
    "weight", "mark", "none" };

enum {
	TYPES = sizeof(types) / sizeof(types[0]),
	ROLES = sizeof(roles) / sizeof(roles[0])
};

void
ge_schema_release(struct ge_schema *s)
{
	struct ge_schema_col *c;
	size_t i, j;

	for (j = 0; s->col != NULL && j < s->ncols; j++) {
		c = s->col + j;
		for (i = 0; c->word != NULL && i < c->nwords; i++)
			ge_free(c->word[i]);
		ge_free(c->word);
		ge_free(c->name);
		ge_free(c->unit);
	}
	ge_free(s->col);
	ge_free(s->family);
	memset(s, 0, sizeof(*s));
}

size_t
ge_schema_find(const struct ge_schema *s, enum ge_role role)
{
	size_t j;

	for (j = 0; j < s->ncols; j++)
		if (s->col[j].role == role)
			return (j);
	return (SIZE_MAX);
}

/* What stands in brackets or parentheses at the end of a name; NULL: nothing. */
static int
unit_of(const char *name, char **unit, struct ge_err *e)
{
	size_t len = strlen(name);
	const char *from;

	if (len < 3 || (name[len - 1] != ']' && name[len - 1] != ')') ||
	    (from = strrchr(name, name[len - 1] == ']' ? '[' : '(')) == NULL ||
	    from == name || from + 2 == name + len)
		return (0);
	if ((*unit = ge_strdup(from + 1, e)) == NULL)
		return (-1);
	(*unit)[name + len - from - 2] = '\0';
	return (0);
}

static int
words_of(struct ge_schema_col *c, const struct ge_frame_col *from,
    struct ge_err *e)
{

	if (c->role == GE_ROLE_GROUP || from->nwords == 0)
		return (0);
	if ((c->word = ge_alloc(from->nwords * sizeof(*c->word), e)) == NULL)
		return (-1);
	for (; c->nwords < from->nwords; c->nwords++)
		if ((c->word[c->nwords] = ge_strdup(from->word[c->nwords],
		    e)) == NULL)
			return (-1);
	return (0);
}

static int
column_of(struct ge_schema_col *c, const struct ge_frame_col *from,
    struct ge_err *e)
{

	c->type = from->type;
	c->place = from->place;
	if (c->role == GE_ROLE_INPUT && (from->aside || c->type ==
	    GE_FRAME_TEXT || c->type == GE_FRAME_TIME))
		c->role = GE_ROLE_NONE;
	if ((c->name = ge_strdup(from->name, e)) == NULL)
		return (-1);
	return (unit_of(c->name, &c->unit, e) == -1 ||
	    words_of(c, from, e) == -1 ? -1 : 0);
}

/* A column that the user named gets its role. */
static int
give_role(struct ge_schema *s, const struct ge_frame *f, const char *name,
    enum ge_role role, struct ge_err *e)
{
	enum ge_frame_type type;
	size_t j;

	if (name == NULL)
		return (0);
	if ((j = ge_frame_find(f, name)) == SIZE_MAX)
		return (ge_fail(e, GE_EUSAGE, "-O %s=: no column '%s'",
		    roles[role], name));
	if (s->col[j].role != GE_ROLE_INPUT)
		return (ge_fail(e, GE_EUSAGE, "column '%s' cannot be %s and %s",
		    name, roles[s->col[j].role], roles[role]));
	type = f->col[j].type;
	if (role == GE_ROLE_GROUP && type == GE_FRAME_TEXT)
		return (ge_fail(e, GE_EUSAGE, "column '%s': words too long to "
		    "be groups", name));
	if (role == GE_ROLE_TIME && type != GE_FRAME_NUMBER &&
	    type != GE_FRAME_TIME)
		return (ge_fail(e, GE_EUSAGE, "column '%s': neither times of "
		    "ISO 8601 nor numbers: %s", name, f->col[j].first));
	if (role == GE_ROLE_WEIGHT && type != GE_FRAME_NUMBER)
		return (ge_fail(e, GE_EUSAGE, "column '%s': weights are "
		    "numbers", name));
	s->col[j].role = role;
	return (0);
}

int
ge_schema_of(struct ge_schema *s, const char *family,
    const struct ge_frame *f, const struct ge_roles *r, struct ge_err *e)
{
	size_t j;

	memset(s, 0, sizeof(*s));
	s->header = f->header;
	s->width = f->width;
	if ((s->family = ge_strdup(family, e)) == NULL ||
	    (s->col = ge_alloc(f->ncols * sizeof(*s->col), e)) == NULL)
		goto fail;
	s->ncols = f->ncols;
	if (give_role(s, f, r->time, GE_ROLE_TIME, e) == -1 ||
	    give_role(s, f, r->group, GE_ROLE_GROUP, e) == -1 ||
	    give_role(s, f, r->target, GE_ROLE_TARGET, e) == -1 ||
	    give_role(s, f, r->weight, GE_ROLE_WEIGHT, e) == -1 ||
	    give_role(s, f, r->mark, GE_ROLE_MARK, e) == -1)
		goto fail;
	for (j = 0; j < s->ncols; j++)
		if (column_of(s->col + j, f->col + j, e) == -1)
			goto fail;
	return (0);
fail:
	ge_schema_release(s);
	return (-1);
}

static json_t *
words_json(const struct ge_schema_col *c)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; a != NULL && i < c->nwords; i++)
		if (json_array_append_new(a, json_string(c->word[i])) == -1) {
			json_decref(a);
			return (NULL);
		}
	return (a);
}

static json_t *
column_json(const struct ge_schema_col *c)
{
	json_t *o = json_pack("{s:s, s:I, s:s, s:s}", "name", c->name,
	    "place", (json_int_t)c->place, "type", types[c->type], "role",
	    roles[c->role]);

	if (o == NULL)
		return (NULL);
	if ((c->unit != NULL && json_object_set_new(o, "unit",
	    json_string(c->unit)) == -1) || (c->nwords > 0 &&
	    json_object_set_new(o, "categories", words_json(c)) == -1)) {
		json_decref(o);
		return (NULL);
	}
	return (o);
}

json_t *
ge_schema_json(const struct ge_schema *s)
{
	json_t *a = json_array(), *o;
	size_t j;

	for (j = 0; a != NULL && j < s->ncols; j++)
		if (json_array_append_new(a, column_json(s->col + j)) == -1) {
			json_decref(a);
			return (NULL);
		}
	o = json_pack("{s:i, s:s, s:b, s:I, s:o}", "getools",
	    GE_SCHEMA_VERSION, "family", s->family, "header", s->header,
	    "width", (json_int_t)s->width, "columns", a);
	return (o);
}

/* Untrusted from here on. */

static int
wrong(struct ge_err *e, size_t j, const char *what)
{

	return (ge_fail(e, GE_EREFUSED, "column %zu of the schema: %s", j + 1,
	    what));
}

/* A member that is a number from min to max; 0: it is none. */
static size_t
counted(const json_t *o, const char *member, size_t min, size_t max)
{
	json_int_t n = json_integer_value(json_object_get(o, member));

	return (n < (json_int_t)min || n > (json_int_t)max ? 0 : (size_t)n);
}

/* The place of a member's text in a list; -1: none. */
static int
listed(const json_t *o, const char *member, const char *const *list, int n)
{
	const char *s = json_string_value(json_object_get(o, member));
	int i;

	for (i = 0; s != NULL && i < n; i++)
		if (strcmp(s, list[i]) == 0)
			return (i);
	return (-1);
}

static int
parse_words(struct ge_schema_col *c, size_t j, const json_t *a,
    struct ge_err *e)
{
	struct ge_words index;
	size_t i, twice, n = json_array_size(a);
	const char *s;
	int rc;

	if (a == NULL)
		return (0);
	if (!json_is_array(a) || c->type != GE_FRAME_CATEGORY || n > GE_FRAME_WORDS)
		return (wrong(e, j, "no list of categories"));
	if ((c->word = ge_alloc((n + 1) * sizeof(*c->word), e)) == NULL)
		return (-1);
	for (i = 0; i < n; i++) {
		if ((s = json_string_value(json_array_get(a, i))) == NULL ||
		    *s == '\0')
			return (wrong(e, j, "a category that is no text"));
		if ((c->word[i] = ge_strdup(s, e)) == NULL)
			return (-1);
		c->nwords++;
	}
	rc = ge_words_index(&index, c->word, n, &twice, e);
	ge_words_release(&index);
	return (rc == 0 ? wrong(e, j, "a category twice") : rc == -1 ? -1 : 0);
}

/* Its role suits the type. */
static int
suits(const struct ge_schema_col *c)
{

	switch (c->role) {
	case GE_ROLE_INPUT:
		return (c->type == GE_FRAME_NUMBER ||
		    c->type == GE_FRAME_CATEGORY);
	case GE_ROLE_TIME:
		return (c->type == GE_FRAME_NUMBER ||
		    c->type == GE_FRAME_TIME);
	case GE_ROLE_WEIGHT:
		return (c->type == GE_FRAME_NUMBER);
	case GE_ROLE_GROUP:
	case GE_ROLE_TARGET:
	case GE_ROLE_MARK:
	case GE_ROLE_NONE:
		break;
	}
	return (1);
}

static int
parse_column(struct ge_schema_col *c, size_t j, size_t after,
    const json_t *o, struct ge_err *e)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const json_t *unit = json_object_get(o, "unit");
	int type = listed(o, "type", types, TYPES);
	int role = listed(o, "role", roles, ROLES);

	if (name == NULL || *name == '\0')
		return (wrong(e, j, "no name"));
	if ((c->place = counted(o, "place", after + 1, COLS)) == 0)
		return (wrong(e, j, "no place behind the column before"));
	if (type == -1)
		return (wrong(e, j, "no type that is known"));
	if (role == -1)
		return (wrong(e, j, "no role that is known"));
	c->type = (enum ge_frame_type)type;
	c->role = (enum ge_role)role;
	if (!suits(c))
		return (wrong(e, j, "a role that its type cannot have"));
	if (unit != NULL && !json_is_string(unit))
		return (wrong(e, j, "a unit that is no text"));
	if ((c->name = ge_strdup(name, e)) == NULL || (unit != NULL &&
	    (c->unit = ge_strdup(json_string_value(unit), e)) == NULL))
		return (-1);
	return (parse_words(c, j, json_object_get(o, "categories"), e));
}

/* No name twice, and no role that only one can have. */
static int
distinct(const struct ge_schema *s, struct ge_err *e)
{
	struct ge_words index;
	char **name;
	size_t j, twice = 0, n[ROLES] = { 0 };
	int rc;

	if ((name = ge_alloc(s->ncols * sizeof(*name), e)) == NULL)
		return (-1);
	for (j = 0; j < s->ncols; j++)
		name[j] = s->col[j].name;
	rc = ge_words_index(&index, name, s->ncols, &twice, e);
	ge_words_release(&index);
	ge_free(name);
	if (rc != 1)
		return (rc == 0 ? wrong(e, twice, "a name twice") : -1);
	for (j = 0; j < s->ncols; j++)
		if (n[s->col[j].role]++ > 0 && s->col[j].role !=
		    GE_ROLE_INPUT && s->col[j].role != GE_ROLE_NONE)
			return (wrong(e, j, "a role twice"));
	return (0);
}

static int
parse_object(struct ge_schema *s, const json_t *o, struct ge_err *e)
{
	const json_t *version = json_object_get(o, "getools");
	const json_t *cols = json_object_get(o, "columns");
	const json_t *header = json_object_get(o, "header");
	const char *family = json_string_value(json_object_get(o, "family"));
	size_t j, n = json_array_size(cols);

	if (!json_is_integer(version))
		return (ge_fail(e, GE_EREFUSED, "no schema of Getools"));
	if (json_integer_value(version) != GE_SCHEMA_VERSION)
		return (ge_fail(e, GE_EREFUSED, "a schema of another version: "
		    "%" JSON_INTEGER_FORMAT, json_integer_value(version)));
	if (family == NULL || *family == '\0' || !json_is_boolean(header))
		return (ge_fail(e, GE_EREFUSED, "a schema without its family "
		    "or header"));
	if (n < 1 || n > COLS)
		return (ge_fail(e, GE_EREFUSED, "a schema without columns, or "
		    "of too many"));
	s->header = json_is_true(header);
	if ((s->family = ge_strdup(family, e)) == NULL ||
	    (s->col = ge_alloc(n * sizeof(*s->col), e)) == NULL)
		return (-1);
	s->ncols = n;
	for (j = 0; j < n; j++)
		if (parse_column(s->col + j, j, j > 0 ? s->col[j - 1].place :
		    0, json_array_get(cols, j), e) == -1)
			return (-1);
	s->width = counted(o, "width", s->col[n - 1].place, COLS);
	if (s->width == 0)
		return (ge_fail(e, GE_EREFUSED, "a schema whose width cannot "
		    "be"));
	return (distinct(s, e));
}

int
ge_schema_parse(struct ge_schema *s, const uint8_t *buf, size_t len,
    json_t **all, struct ge_err *e)
{
	json_error_t why;

	memset(s, 0, sizeof(*s));
	*all = NULL;
	if (len > GE_SCHEMA_MAX)
		return (ge_fail(e, GE_EREFUSED, "a schema of more than %d "
		    "bytes", GE_SCHEMA_MAX));
	*all = json_loadb((const char *)buf, len, JSON_REJECT_DUPLICATES,
	    &why);
	if (*all == NULL)
		return (ge_fail(e, GE_EREFUSED, "line %d: %s", why.line,
		    why.text));
	if (parse_object(s, *all, e) == 0)
		return (0);
	json_decref(*all);
	*all = NULL;
	ge_schema_release(s);
	return (-1);
}
