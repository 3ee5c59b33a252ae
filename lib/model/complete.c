#include <string.h>

#include "data/text.h"
#include "model/complete.h"
#include "util/hook.h"
#include "util/mem.h"

enum {
	PIECE = 96			/* tokens between looks at the hook */
};

/* Could more bytes make a character of these?  They do not begin with one. */
static int
unfinished(const uint8_t *s, size_t len)
{
	size_t need = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
	uint8_t t[4];

	if (len >= need)
		return (0);
	memcpy(t, s, len);
	memset(t + len, 0x80, need - len);
	if (ge_utf8_check(t, need) == need)
		return (1);
	memset(t + len, 0xbf, need - len);
	return (ge_utf8_check(t, need) == need);
}

/* Characters from raw to text; what cannot become one is U+FFFD. */
static int
take(struct ge_completer *c, struct ge_err *e)
{
	size_t n, at = 0;

	if (c->nraw == 0)
		return (0);
	for (;;) {
		n = ge_utf8_check(c->raw + at, c->nraw - at);
		if (ge_append(&c->text, &c->len, &c->captext, c->raw + at, n, e) ==
		    -1)
			return (-1);
		at += n;
		if (at == c->nraw || unfinished(c->raw + at, c->nraw - at))
			break;
		if (ge_append(&c->text, &c->len, &c->captext, "\xef\xbf\xbd", 3,
		    e) == -1)
			return (-1);
		for (n = 1; at + n < c->nraw && unfinished(c->raw + at, n + 1);
		    n++)
			;
		at += n;
	}
	memmove(c->raw, c->raw + at, c->nraw - at);
	c->nraw -= at;
	return (0);
}

/* Cut text, of which what is behind `from` is new, at a stop: is there one? */
static int
stopped(struct ge_completer *c, size_t from)
{
	size_t i, at, first = c->len + 1, len;

	for (i = 0; i < c->nstop; i++) {
		len = c->stop[i].len;
		for (at = from < len ? 0 : from - len + 1;
		    at + len <= c->len && at < first; at++)
			if (memcmp(c->text + at, c->stop[i].s, len) == 0)
				first = at;
	}
	if (first > c->len)
		return (0);
	c->len = first;
	return (1);
}

/* Emit what can be no part of a stop; at the end all. */
static int
emit(struct ge_completer *c, int end, struct ge_err *e)
{
	size_t hold = 0, i, upto;

	if (c->emit == NULL)
		return (0);
	for (i = 0; i < c->nstop && !end; i++)
		if (c->stop[i].len > hold + 1)
			hold = c->stop[i].len - 1;
	for (upto = c->len > hold ? c->len - hold : 0; upto > 0 &&
	    upto < c->len && (c->text[upto] & 0xc0) == 0x80; upto--)
		;
	if (upto <= c->emitted)
		return (0);
	i = c->emitted;
	c->emitted = upto;
	return (c->emit(c->arg, c->text + i, upto - i, e));
}

static int
push(struct ge_completer *c, int32_t token, struct ge_err *e)
{

	if (ge_grow(&c->token, &c->cap, c->n + 1, sizeof(*c->token), e) == -1)
		return (-1);
	c->token[c->n++] = token;
	return (0);
}

/* Of n tokens behind the first ones keep the last. */
static void
keep_last(struct ge_completer *c, size_t keep)
{
	size_t head = c->first >= 0;

	memmove(c->token + head, c->token + c->n - keep,
	    keep * sizeof(*c->token));
	c->n = head + keep;
}

static int
feed(struct ge_completer *c, size_t from, const float **logits,
    struct ge_err *e)
{
	size_t n;

	for (; from < c->n; from += n) {
		if (ge_hook_tick(0, e) == -1)
			return (-1);
		n = c->n - from < PIECE ? c->n - from : PIECE;
		*logits = ge_infer_feed(c->infer, c->token + from, n);
	}
	return (0);
}

static int
begin(struct ge_completer *c, const uint8_t *prompt, size_t len,
    const float **logits, struct ge_err *e)
{
	size_t head = c->first >= 0;

	c->n = c->nraw = c->len = c->emitted = c->tokens = 0;
	if (c->p == NULL && (c->p = ge_alloc(c->vocab * sizeof(*c->p), e)) ==
	    NULL)
		return (-1);
	if (c->order == NULL && (c->order = ge_alloc(c->vocab *
	    sizeof(*c->order), e)) == NULL)
		return (-1);
	if (c->first >= 0 && push(c, c->first, e) == -1)
		return (-1);
	if (ge_bpe_encode(c->bpe, prompt, len, &c->token, &c->n, &c->cap, e) ==
	    -1)
		return (-1);
	if (c->n == 0 && c->empty < 0)
		return (ge_fail(e, GE_EUSAGE, "an empty prompt, and the model "
		    "has no token that begins a text"));
	if (c->n == 0 && push(c, c->empty, e) == -1)
		return (-1);
	if (c->n >= c->ctx) {
		ge_note(GE_WARN, "a prompt of %zu tokens: only its last %zu "
		    "are used", c->n - head, c->ctx - 1 - head);
		keep_last(c, c->ctx - 1 - head);
	}
	ge_infer_reset(c->infer);
	return (feed(c, 0, logits, e));
}

/* The token behind those there are. */
static int
go_on(struct ge_completer *c, int32_t token, const float **logits,
    struct ge_err *e)
{

	if (push(c, token, e) == -1)
		return (-1);
	if (c->n <= c->ctx)
		return (feed(c, c->n - 1, logits, e));
	keep_last(c, c->ctx / 2);
	ge_infer_reset(c->infer);
	return (feed(c, 0, logits, e));
}

int
ge_complete(struct ge_completer *c, const uint8_t *prompt, size_t len,
    uint64_t number, struct ge_err *e)
{
	const struct ge_bpe_token *y;
	const float *logits = NULL;
	int32_t t;
	size_t from;

	ge_sampling_seed(&c->sampler, c->seed, number);
	if (begin(c, prompt, len, &logits, e) == -1)
		return (-1);
	for (c->why = GE_WHY_LENGTH; c->tokens < c->length; ) {
		t = ge_sampling_next(&c->sampler, logits, c->vocab, c->p,
		    c->order);
		if (t == -1)
			return (ge_fail(e, GE_EREFUSED, "what the model says "
			    "is not a number"));
		c->tokens++;
		y = &c->bpe->token[t];
		if (y->special) {
			c->why = GE_WHY_END;
			break;
		}
		from = c->len;
		if (ge_append(&c->raw, &c->nraw, &c->capraw, c->bpe->bytes +
		    y->off, y->len, e) == -1 || take(c, e) == -1)
			return (-1);
		if (stopped(c, from)) {
			c->why = GE_WHY_STOP;
			break;
		}
		if (emit(c, 0, e) == -1 || ge_hook_tick(y->len, e) == -1)
			return (-1);
		if (c->tokens < c->length && go_on(c, t, &logits, e) == -1)
			return (-1);
	}
	return (emit(c, 1, e));
}

void
ge_complete_release(struct ge_completer *c)
{

	ge_free(c->text);
	ge_free(c->raw);
	ge_free(c->token);
	ge_free(c->p);
	ge_free(c->order);
	c->text = c->raw = NULL;
	c->token = NULL;
	c->p = NULL;
	c->order = NULL;
	c->captext = c->capraw = c->cap = 0;
}

/* The tokens of a text, behind head others. */
static int
encode(struct ge_completer *c, int32_t head, const uint8_t *text, size_t len,
    struct ge_err *e)
{

	c->n = 0;
	if (head >= 0 && push(c, head, e) == -1)
		return (-1);
	return (ge_bpe_encode(c->bpe, text, len, &c->token, &c->n, &c->cap, e));
}

/* One window: c->token[at..at + n), the tokens behind its first skip ones scored. */
static int
score_window(struct ge_completer *c, int32_t *token, int32_t *target,
    size_t at, size_t n, size_t skip, struct ge_score *out, struct ge_err *e)
{
	size_t i, j, len;

	for (i = 0; i + 1 < n; i++) {
		target[i] = i < skip ? -1 : c->token[at + i + 1];
		if (i < skip)
			continue;
		out->tokens++;
		out->bytes += c->bpe->token[target[i]].len;
	}
	memcpy(token, c->token + at, n * sizeof(*token));
	ge_infer_reset(c->infer);
	for (i = 0; i + 1 < n; i += len) {
		len = n - 1 - i < PIECE ? n - 1 - i : PIECE;
		out->nats += ge_infer_loss(c->infer, token + i, target + i,
		    len);
		for (j = i; j < i + len; j++)
			if (target[j] >= 0 && ge_hook_tick(c->bpe->token[
			    target[j]].len, e) == -1)
				return (-1);
	}
	return (0);
}

int
ge_score(struct ge_completer *c, enum ge_rule rule, const uint8_t *text,
    size_t len, struct ge_score *out, struct ge_err *e)
{
	int32_t head = c->first >= 0 || rule == GE_RULE_LLAMACPP ? c->first :
	    c->empty, *token, *target, keep;
	size_t at, n, half = c->ctx / 2, done;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	token = ge_alloc((c->ctx + 1) * sizeof(*token), e);
	target = token == NULL ? NULL : ge_alloc((c->ctx + 1) *
	    sizeof(*target), e);
	if (target == NULL || encode(c, head, text, len, e) == -1)
		goto out;
	if (rule == GE_RULE_LLAMACPP && c->n < c->ctx) {
		ge_fail(e, GE_EUSAGE, "a text of %zu tokens is shorter than "
		    "the context of %zu", c->n, c->ctx);
		goto out;
	}
	for (at = 0; rule == GE_RULE_LLAMACPP && at + c->ctx <= c->n;
	    at += c->ctx) {
		keep = c->token[at];
		if (head >= 0)
			c->token[at] = head;
		if (score_window(c, token, target, at, c->ctx, half, out, e) ==
		    -1)
			goto out;
		c->token[at] = keep;
	}
	/* done: tokens behind the first that are scored. */
	for (done = 0; rule == GE_RULE_HALF && done + 1 < c->n; ) {
		at = done == 0 ? 0 : done - half;
		n = c->n - at < c->ctx + 1 ? c->n - at : c->ctx + 1;
		if (score_window(c, token, target, at, n, done - at, out, e) ==
		    -1)
			goto out;
		done = at + n - 1;
	}
	rc = 0;
out:
	ge_free(token);
	ge_free(target);
	return (rc);
}
