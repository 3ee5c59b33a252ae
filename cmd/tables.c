#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "tables.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

void
tables_options_init(struct table_options *o)
{

	memset(o, 0, sizeof(*o));
	ge_table_opts_init(&o->table);
	ge_docs_caps_init(&o->caps);
}

static void
free_list(char **list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		ge_free(list[i]);
	ge_free(list);
}

void
tables_options_release(struct table_options *o)
{

	free_list(o->skip, o->nskip);
	free_list(o->only, o->nonly);
	o->skip = o->only = NULL;
	o->nskip = o->nonly = 0;
}

/* The members of a list between commas. */
static int
add_list(char ***list, size_t *n, size_t *room, const char *arg,
    const char *v, struct ge_err *e)
{
	char *s;
	size_t len;

	for (;; v += len + 1) {
		len = strcspn(v, ",");
		if (len == 0)
			return (ge_fail(e, GE_EUSAGE, "-O '%s': a name is "
			    "missing", arg));
		if (ge_grow(list, room, *n + 1, sizeof(**list), e) == -1 ||
		    (s = ge_alloc(len + 1, e)) == NULL)
			return (-1);
		memcpy(s, v, len);
		(*list)[(*n)++] = s;
		if (v[len] == '\0')
			return (0);
	}
}

/* A text of the user: 1; 0 if arg is none of these; -1. */
static int
text_option(struct table_options *o, const char *arg, struct ge_err *e)
{
	const struct { const char *name, **to; } text[] = {
		{ "digest", &o->digest }, { "group", &o->roles.group },
		{ "target", &o->roles.target }, { "time", &o->roles.time },
		{ "weight", &o->roles.weight }
	};
	const char *v;
	size_t i;

	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		if ((v = cli_option(arg, text[i].name)) == NULL)
			continue;
		if (cli_needs(arg, v, e) == -1)
			return (-1);
		*text[i].to = v;
		return (1);
	}
	return (0);
}

/* A bound of what is unpacked, likewise. */
static int
cap_option(struct table_options *o, const char *arg, struct ge_err *e)
{
	const struct { const char *name; uint64_t *to; } cap[] = {
		{ "entries", &o->caps.entries }, { "ratio", &o->caps.ratio },
		{ "unpacked", &o->caps.bytes }
	};
	const char *v;
	size_t i;

	for (i = 0; i < sizeof(cap) / sizeof(cap[0]); i++)
		if ((v = cli_option(arg, cap[i].name)) != NULL)
			return (cli_size(cap[i].name, v, 1, INT64_MAX,
			    cap[i].to, e) == -1 ? -1 : 1);
	return (0);
}

static const char *const headers[] = { "no", "yes", "auto" };
static const char *const seps[] = { "comma", "semicolon", "tab", "space",
    "auto" };
static const char marks[] = ",;\t ";

int
tables_option(struct table_options *o, const char *arg, struct ge_err *e)
{
	const char *v;
	int i = 0, n = 0;

	if ((v = cli_option(arg, "header")) != NULL) {
		i = cli_word("header", v, headers, 3, &n, e);
		o->table.header = n == 0 ? GE_HEADER_NO : n == 1 ?
		    GE_HEADER_YES : GE_HEADER_AUTO;
	} else if ((v = cli_option(arg, "sep")) != NULL) {
		i = cli_word("sep", v, seps, 5, &n, e);
		o->table.sep = marks[n];
	} else if ((v = cli_option(arg, "skip")) != NULL) {
		i = add_list(&o->skip, &o->nskip, &o->room[0], arg, v, e);
	} else if ((v = cli_option(arg, "only")) != NULL) {
		i = add_list(&o->only, &o->nonly, &o->room[1], arg, v, e);
	} else {
		i = text_option(o, arg, e);
		return (i != 0 ? i : cap_option(o, arg, e));
	}
	return (i == -1 ? -1 : 1);
}

static int
say_list(json_t *j, const char *name, char *const *list, size_t n)
{
	json_t *a;
	size_t i;
	int rc = 0;

	if (n == 0)
		return (0);
	if ((a = json_array()) == NULL)
		return (-1);
	for (i = 0; i < n; i++)
		rc |= json_array_append_new(a, json_string(list[i]));
	return (json_object_set_new(j, name, a) | rc);
}

json_t *
tables_said(const struct table_options *o, struct ge_err *e)
{
	json_t *j = json_pack("{s:s*, s:s*, s:s*, s:s*}", "time",
	    o->roles.time, "group", o->roles.group, "target",
	    o->roles.target, "weight", o->roles.weight);
	int rc = j == NULL ? -1 : 0;

	if (rc == 0 && o->table.header != GE_HEADER_AUTO)
		rc = json_object_set_new(j, "header", json_string(
		    headers[o->table.header == GE_HEADER_YES]));
	if (rc == 0 && o->table.sep != '\0')
		rc = json_object_set_new(j, "sep", json_string(
		    seps[strchr(marks, o->table.sep) - marks]));
	if (rc != 0 || say_list(j, "only", o->only, o->nonly) != 0 ||
	    say_list(j, "skip", o->skip, o->nskip) != 0) {
		ge_fail(e, GE_EFAIL, "out of memory");
		json_decref(j);
		return (NULL);
	}
	return (j);
}

/* What comes of the tables goes here: the frame, and the digest. */
struct sink {
	struct ge_frame *f;
	struct ge_sha256 hash;
	uint64_t len;
};

static int
begin_table(void *arg, const char *name, struct ge_err *e)
{
	struct sink *s = arg;

	s->len = 0;
	return (ge_frame_begin(s->f, name, e));
}

static int
push_table(void *arg, const void *buf, size_t len, struct ge_err *e)
{
	struct sink *s = arg;

	ge_sha256_add(&s->hash, buf, len);
	s->len += len;
	return (ge_frame_push(s->f, buf, len, e));
}

static int
end_table(void *arg, struct ge_err *e)
{
	struct sink *s = arg;
	uint8_t len[8];

	ge_put64(len, s->len);
	ge_sha256_add(&s->hash, len, sizeof(len));
	return (ge_frame_end_table(s->f, e));
}

static int
read_operand(struct sink *s, const struct table_options *o, const char *path,
    struct ge_err *e)
{
	static const struct ge_tables_fn fn = { begin_table, push_table,
	    end_table };
	int in = strcmp(path, "-") == 0, fd, rc;

	if ((fd = in ? STDIN_FILENO : ge_input_open(path, e)) == -1)
		return (-1);
	rc = ge_tables_read(fd, in ? "standard input" : path, &o->caps, &fn, s,
	    e);
	if (!in)
		close(fd);
	return (rc);
}

static int
read_operands(struct ge_frame *f, struct table_options *o, char **file, int n,
    struct ge_err *e)
{
	static char dash[] = "-";
	char *in[] = { dash };
	struct sink s = { .f = f };
	int i;

	ge_sha256_init(&s.hash);
	if (n == 0) {
		file = in;
		n = 1;
	}
	for (i = 0; i < n; i++)
		if (read_operand(&s, o, file[i], e) == -1)
			return (-1);
	ge_sha256_end(&s.hash, o->sha256);
	return (ge_frame_end(f, e));
}

int
tables_frame(struct ge_frame *f, struct table_options *o, char **file, int n,
    struct ge_err *e)
{
	const struct ge_roles *r = &o->roles;
	const char *const role[] = { r->time, r->group, r->target, r->weight,
	    r->mark };
	const char *keep[sizeof(role) / sizeof(role[0])];
	struct ge_frame_opts fo;
	size_t i;

	ge_frame_opts_init(&fo);
	fo.table = o->table;
	fo.group = r->group;
	fo.only = (const char *const *)o->only;
	fo.nonly = o->nonly;
	fo.skip = (const char *const *)o->skip;
	fo.nskip = o->nskip;
	fo.aside = o->aside;
	fo.naside = o->naside;
	fo.keep = keep;
	for (i = 0; i < sizeof(role) / sizeof(role[0]); i++)
		if (role[i] != NULL)
			keep[fo.nkeep++] = role[i];
	ge_frame_init(f, &fo);
	return (read_operands(f, o, file, n, e));
}
