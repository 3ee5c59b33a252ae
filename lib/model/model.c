#include <sys/stat.h>

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/tokenizer.h"
#include "model/config.h"
#include "model/model.h"
#include "util/file.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/num.h"

enum {
	SHARDS = 256,			/* at most; each is an open file */
	INDEX_MAX = 16 << 20,
	CHUNK = 1 << 18			/* numbers read at a time */
};

#define INDEX "model.safetensors.index.json"

struct shard {
	const char *name;		/* borrowed of the index */
	int fd;
	struct ge_st st;
};

/* A tensor that the model has, and where it was found. */
struct wanted {
	struct ge_tensor t;
	const struct shard *in;
	const struct ge_st_tensor *at;
};

struct load {
	const char *dir;
	const struct ge_llama_dims *d;
	json_t *index, *map;		/* NULL: there is one file */
	struct shard *shard;
	size_t nshards;
	struct wanted *want;		/* last the head, if it is tied */
	size_t nwant, found;
	float *buf;			/* [CHUNK] */
	uint8_t *raw;			/* [CHUNK * 4] */
};

static int
slurp(const char *dir, const char *name, size_t max, char **buf, size_t *len,
    struct ge_err *e)
{
	char *path = ge_path_join(dir, name, e);
	uint8_t *p = NULL;
	int rc;

	*buf = NULL;
	if (path == NULL)
		return (-1);
	rc = ge_slurp(path, max, &p, len, e);
	*buf = (char *)p;
	ge_free(path);
	return (rc);
}

/* A tensor's name for a message. */
static const char *
shown(char out[128], const char *name)
{

	if (ge_percent(out, 128, name, strlen(name), 1) == -1)
		snprintf(out, 128, "...");
	return (out);
}

/* The file's header; its length is believed when so much is there. */
static int
head(struct shard *s, uint64_t size, struct ge_err *e)
{
	uint8_t len[8], *buf;
	uint64_t n = 0;
	size_t got;
	int rc;

	if (ge_pread(s->fd, len, sizeof(len), 0, &got, e) == -1)
		return (-1);
	if (got == sizeof(len))
		n = ge_get64(len);
	if (n > GE_ST_HEADER_MAX || n + sizeof(len) > size)
		n = 0;
	n += sizeof(len);
	if ((buf = ge_alloc((size_t)n, e)) == NULL)
		return (-1);
	if ((rc = ge_pread(s->fd, buf, (size_t)n, 0, &got, e)) == 0)
		rc = ge_st_parse(&s->st, buf, got, size, e);
	ge_free(buf);
	return (rc);
}

static int
open_shard(struct load *l, const char *name, struct ge_err *e)
{
	struct shard *s = &l->shard[l->nshards];
	char *path = ge_path_join(l->dir, name, e);
	struct stat st;
	int rc = -1;

	if (path == NULL)
		return (-1);
	s->name = name;
	if ((s->fd = ge_input_open(path, e)) == -1)
		goto out;
	l->nshards++;
	if (fstat(s->fd, &st) == -1)
		ge_failsys(e, "'%s'", path);
	else if (head(s, (uint64_t)st.st_size, e) == -1)
		ge_within(e, "'%s'", path);
	else
		rc = 0;
out:
	ge_free(path);
	return (rc);
}

/* Plain names only: no file outside the directory is read. */
static int
plain(const char *name)
{

	return (name != NULL && name[0] != '\0' && name[0] != '.' &&
	    strchr(name, '/') == NULL);
}

static int
open_all(struct load *l, struct ge_err *e)
{
	const char *key, *name;
	json_error_t why;
	json_t *v;
	char *buf;
	size_t len, i;

	if (slurp(l->dir, INDEX, INDEX_MAX, &buf, &len, e) == -1)
		return (-1);
	l->index = json_loadb(buf, len, JSON_REJECT_DUPLICATES, &why);
	ge_free(buf);
	l->map = json_object_get(l->index, "weight_map");
	if (!json_is_object(l->map))
		return (ge_fail(e, GE_EREFUSED, "no 'weight_map'"));
	json_object_foreach(l->map, key, v) {
		if (!plain(name = json_string_value(v)))
			return (ge_fail(e, GE_EREFUSED, "a file of it is no "
			    "name in this folder"));
		for (i = 0; i < l->nshards; i++)
			if (strcmp(l->shard[i].name, name) == 0)
				break;
		if (i < l->nshards)
			continue;
		if (l->nshards == SHARDS)
			return (ge_fail(e, GE_EREFUSED, "more than %d files",
			    SHARDS));
		if (open_shard(l, name, e) == -1)
			return (-1);
	}
	return (0);
}

static int
open_weights(struct load *l, struct ge_err *e)
{
	char *one = ge_path_join(l->dir, "model.safetensors", e);
	char *index = ge_path_join(l->dir, INDEX, e);
	int rc = -1;

	if (one == NULL || index == NULL ||
	    (l->shard = ge_alloc(SHARDS * sizeof(*l->shard), e)) == NULL)
		goto out;
	/* Where both are, transformers takes the one file. */
	if (access(one, F_OK) == 0 || access(index, F_OK) == -1)
		rc = open_shard(l, "model.safetensors", e);
	else if ((rc = open_all(l, e)) == -1)
		ge_within(e, "'%s'", index);
out:
	ge_free(one);
	ge_free(index);
	return (rc);
}

static int
list(struct load *l, struct ge_err *e)
{
	struct ge_tensor t;
	size_t i;

	while (ge_llama_tensor(l->d, l->nwant, &t))
		l->nwant++;
	if ((l->want = ge_alloc((l->nwant + 1) * sizeof(*l->want), e)) == NULL)
		return (-1);
	for (i = 0; ge_llama_tensor(l->d, i, &l->want[i].t); i++)
		;
	if (!l->d->tied)
		return (0);
	/* It need not be there; where it is it has to be the embedding. */
	l->want[i].t = l->want[0].t;
	snprintf(l->want[i].t.name, sizeof(l->want[i].t.name),
	    "lm_head.weight");
	l->nwant++;
	return (0);
}

static int
take(struct load *l, const struct shard *s, const struct ge_st_tensor *t,
    struct ge_err *e)
{
	static const char skip[] = ".rotary_emb.inv_freq";
	size_t i, len = strlen(t->name);
	const char *in;
	char name[128];

	if (l->map != NULL) {
		in = json_string_value(json_object_get(l->map, t->name));
		if (in == NULL || strcmp(in, s->name) != 0)
			return (ge_fail(e, GE_EREFUSED, "tensor '%s' is not "
			    "where the index says", shown(name, t->name)));
	}
	if (l->found++ > l->nwant + l->d->layers)
		return (ge_fail(e, GE_EREFUSED, "more tensors than the model "
		    "of its config.json has"));
	if (len >= sizeof(skip) && strcmp(t->name + len + 1 - sizeof(skip),
	    skip) == 0)
		return (0);
	for (i = 0; i < l->nwant; i++)
		if (strcmp(l->want[i].t.name, t->name) == 0)
			break;
	if (i == l->nwant)
		return (ge_fail(e, GE_EREFUSED, "the model of its config.json "
		    "has no tensor '%s'", shown(name, t->name)));
	l->want[i].in = s;
	l->want[i].at = t;
	return (0);
}

static void
shape(char out[GE_ST_DIMS * 24], const uint64_t *dim, int n)
{
	size_t at = 0;
	int i;

	out[0] = '\0';
	for (i = 0; i < n; i++)
		at += (size_t)sprintf(out + at, "%s%" PRIu64, i > 0 ? "x" : "",
		    dim[i]);
}

static int
check(const struct wanted *w, struct ge_err *e)
{
	const uint64_t dim[2] = { w->t.rows, w->t.cols };
	char is[GE_ST_DIMS * 24], want[GE_ST_DIMS * 24];
	int n = w->t.cols > 0 ? 2 : 1;

	if (w->at == NULL)
		return (ge_fail(e, GE_EREFUSED, "there is no tensor '%s'",
		    w->t.name));
	if (w->at->ndims != n || memcmp(w->at->dim, dim, (size_t)n *
	    sizeof(dim[0])) != 0) {
		shape(is, w->at->dim, w->at->ndims);
		shape(want, dim, n);
		return (ge_fail(e, GE_EREFUSED, "tensor '%s' is %s, by its "
		    "config.json %s", w->t.name, is, want));
	}
	if (w->at->dtype == GE_DTYPE_OTHER)
		return (ge_fail(e, GE_EREFUSED, "tensor '%s' is of a type that "
		    "is not known here", w->t.name));
	return (0);
}

static int
finite(const float *v, size_t n)
{
	union { uint32_t u; float f; } x;
	uint32_t worst = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		x.f = v[i];
		x.u &= 0x7f800000;
		worst = x.u > worst ? x.u : worst;
	}
	return (worst != 0x7f800000);
}

/* Into dst; or, if `same`, it has to be what is there. */
static int
read_tensor(struct load *l, const struct wanted *w, float *dst, int same,
    struct ge_err *e)
{
	size_t size = ge_st_size(w->at->dtype), n = (size_t)w->at->len / size;
	uint64_t from = w->in->st.header + w->at->off;
	size_t at, now, got;

	for (at = 0; at < n; at += now) {
		now = n - at < CHUNK ? n - at : CHUNK;
		if (ge_pread(w->in->fd, l->raw, now * size, from + at * size,
		    &got, e) == -1)
			return (-1);
		if (got < now * size)
			return (ge_fail(e, GE_EREFUSED, "it became shorter"));
		ge_st_floats(l->buf, l->raw, now, w->at->dtype);
		if (!finite(l->buf, now))
			return (ge_fail(e, GE_EREFUSED, "a weight is no "
			    "number"));
		if (!same)
			memcpy(dst + at, l->buf, now * sizeof(*dst));
		else if (memcmp(dst + at, l->buf, now * sizeof(*dst)) != 0)
			return (ge_fail(e, GE_EREFUSED, "it is not the "
			    "embedding, to which its config.json ties it"));
	}
	return (0);
}

static int
weights(struct load *l, float **params, struct ge_err *e)
{
	const struct wanted *w;
	const struct shard *s;
	size_t i, k;

	if (list(l, e) == -1)
		return (-1);
	for (i = 0; i < l->nshards; i++) {
		s = &l->shard[i];
		for (k = 0; k < s->st.ntensors; k++)
			if (take(l, s, &s->st.tensor[k], e) == -1)
				return (ge_within(e, "'%s/%s'", l->dir,
				    s->name));
	}
	if (l->d->tied && l->want[l->nwant - 1].at == NULL)
		l->nwant--;
	for (i = 0; i < l->nwant; i++)
		if (check(&l->want[i], e) == -1)
			return (ge_within(e, "'%s'", l->dir));
	if ((l->buf = ge_alloc(CHUNK * sizeof(*l->buf), e)) == NULL ||
	    (l->raw = ge_alloc(CHUNK * 4, e)) == NULL ||
	    (*params = ge_block_alloc(ge_llama_params(l->d) * sizeof(float),
	    e)) == NULL)
		return (-1);
	for (i = 0; i < l->nwant; i++) {
		w = &l->want[i];
		if (read_tensor(l, w, *params + w->t.off, i > 0 && w->t.off ==
		    0, e) == -1)
			return (ge_within(e, "'%s/%s': tensor '%s'", l->dir,
			    w->in->name, w->t.name));
	}
	return (0);
}

static int
load_weights(struct ge_model *m, const char *dir, struct ge_err *e)
{
	struct load l = { .dir = dir, .d = &m->dims };
	size_t i;
	int rc = -1;

	if (open_weights(&l, e) == 0)
		rc = weights(&l, &m->params, e);
	for (i = 0; i < l.nshards; i++) {
		close(l.shard[i].fd);
		ge_st_release(&l.shard[i].st);
	}
	json_decref(l.index);
	ge_free(l.shard);
	ge_free(l.want);
	ge_free(l.buf);
	ge_free(l.raw);
	return (rc);
}

static int
load_config(struct ge_model *m, const char *dir, struct ge_err *e)
{
	char *buf;
	size_t len;
	int rc;

	if (slurp(dir, "config.json", GE_CONFIG_MAX, &buf, &len, e) == -1)
		return (-1);
	if ((rc = ge_config_parse(&m->dims, &m->bos, &m->eos, buf, len, e)) ==
	    -1)
		ge_within(e, "'%s/config.json'", dir);
	ge_free(buf);
	return (rc);
}

/* What one of them does not say of the first and last token the other may. */
static int
agree(struct ge_model *m, struct ge_err *e)
{
	size_t n = m->bpe.ntokens;

	if (n > m->dims.vocab)
		return (ge_fail(e, GE_EREFUSED, "%zu tokens, by its "
		    "config.json %zu", n, m->dims.vocab));
	if (m->bos == -1)
		m->bos = m->bpe.begin;
	if (m->eos == -1)
		m->eos = m->bpe.end;
	if (m->eos != -1 && ((size_t)m->eos >= n ||
	    m->bpe.token[m->eos].len == 0))
		return (ge_fail(e, GE_EREFUSED, "no token %" PRId32 ", the "
		    "'eos_token_id' of its config.json", m->eos));
	m->bpe.end = m->eos;
	return (0);
}

static int
load_tokenizer(struct ge_model *m, const char *dir, struct ge_err *e)
{
	char *buf;
	size_t len;
	int rc;

	if (slurp(dir, "tokenizer.json", GE_TOKENIZER_MAX, &buf, &len, e) ==
	    -1)
		return (-1);
	if ((rc = ge_tokenizer_parse(&m->bpe, buf, len, e)) == 0)
		rc = agree(m, e);
	if (rc == -1)
		ge_within(e, "'%s/tokenizer.json'", dir);
	ge_free(buf);
	return (rc);
}

int
ge_model_load(struct ge_model *m, const char *dir, struct ge_err *e)
{

	memset(m, 0, sizeof(*m));
	if (load_config(m, dir, e) == 0 && load_tokenizer(m, dir, e) == 0 &&
	    load_weights(m, dir, e) == 0)
		return (0);
	ge_model_release(m);
	return (-1);
}

void
ge_model_release(struct ge_model *m)
{

	ge_block_free(m->params);
	ge_bpe_release(&m->bpe);
	memset(m, 0, sizeof(*m));
}
