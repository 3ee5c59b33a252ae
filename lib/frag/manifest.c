#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "frag/frag.h"
#include "seal/seal.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"
#include "util/world.h"

enum {
	FILE_MAX = 64 << 20,
	LINE_MAX_BYTES = 8192
};

static const char signed_prefix[] = "gefrag/v1 manifest";

void
ge_set_digest(uint8_t out[32], const uint8_t *setid,
    const struct ge_manseg *seg, uint64_t nseg)
{
	uint8_t head[1 + GE_SETID + 16] = { 6 };
	struct ge_sha256 sha;
	uint64_t i, total = 0;

	for (i = 0; i < nseg; i++)
		total += seg[i].ulen;
	memcpy(head + 1, setid, GE_SETID);
	ge_put64(head + 17, nseg);
	ge_put64(head + 25, total);
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, head, sizeof(head));
	for (i = 0; i < nseg; i++)
		ge_sha256_add(&sha, seg[i].root, 32);
	ge_sha256_end(&sha, out);
}

/*
 * The text is read with a cursor over the current line.  A step that does not
 * find what it wants returns -1; the line number tells the user where.
 */
struct reader {
	const char *at, *end;		/* rest of the text */
	const char *p, *stop;		/* rest of the current line */
	unsigned long line;
};

/* Go to the next line; 0 at the end of the text, -1 if it has no newline. */
static int
next_line(struct reader *r)
{
	const char *nl;

	r->line++;
	if (r->at == r->end)
		return (0);
	nl = memchr(r->at, '\n', (size_t)(r->end - r->at));
	if (nl == NULL || nl - r->at > LINE_MAX_BYTES)
		return (-1);
	r->p = r->at;
	r->stop = nl;
	r->at = nl + 1;
	return (1);
}

static int
literal(struct reader *r, const char *s)
{
	size_t len = strlen(s);

	if ((size_t)(r->stop - r->p) < len || memcmp(r->p, s, len) != 0)
		return (-1);
	r->p += len;
	return (0);
}

static int
at_end(const struct reader *r)
{

	return (r->p == r->stop ? 0 : -1);
}

/* Is the next line, not yet begun, one of this kind? */
static int
comes(const struct reader *r, const char *word)
{
	size_t len = strlen(word);

	return ((size_t)(r->end - r->at) > len &&
	    memcmp(r->at, word, len) == 0 && r->at[len] == ' ');
}

static int
number(struct reader *r, uint64_t max, uint64_t *out)
{
	const char *q = r->p;

	while (q < r->stop && *q >= '0' && *q <= '9')
		q++;
	if (q - r->p > 20 ||
	    ge_num_parse(r->p, (size_t)(q - r->p), out) == -1 || *out > max)
		return (-1);
	r->p = q;
	return (0);
}

static int
hex(struct reader *r, uint8_t *out, size_t len)
{

	if ((size_t)(r->stop - r->p) < 2 * len ||
	    ge_unhex(out, r->p, len) == -1)
		return (-1);
	r->p += 2 * len;
	return (0);
}

/* One whole line "word SP number". */
static int
number_line(struct reader *r, const char *word, uint64_t max, uint64_t *out)
{

	if (next_line(r) != 1 || literal(r, word) == -1 ||
	    literal(r, " ") == -1 || number(r, max, out) == -1)
		return (-1);
	return (at_end(r));
}

static int
hex_line(struct reader *r, const char *word, uint8_t *out, size_t len)
{

	if (next_line(r) != 1 || literal(r, word) == -1 ||
	    literal(r, " ") == -1 || hex(r, out, len) == -1)
		return (-1);
	return (at_end(r));
}

static int
upper_hex(char c)
{

	if (c >= '0' && c <= '9')
		return (c - '0');
	return (c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1);
}

/* RFC 3629, no surrogates, no overlong forms. */
static int
utf8_ok(const uint8_t *s, size_t len)
{
	uint32_t c, min;
	size_t i = 0;
	int more;

	while (i < len) {
		c = s[i++];
		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c <= 0xdf) {
			more = 1;
			c &= 0x1f;
			min = 0x80;
		} else if (c >= 0xe0 && c <= 0xef) {
			more = 2;
			c &= 0x0f;
			min = 0x800;
		} else if (c >= 0xf0 && c <= 0xf4) {
			more = 3;
			c &= 0x07;
			min = 0x10000;
		} else {
			return (0);
		}
		for (; more > 0; more--) {
			if (i == len || (s[i] & 0xc0) != 0x80)
				return (0);
			c = c << 6 | (s[i++] & 0x3f);
		}
		if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return (0);
	}
	return (1);
}

int
ge_label_check(const char *name, struct ge_err *e)
{
	char escaped[GE_NAME_ROOM];
	size_t len = strlen(name);

	if (len == 0)
		return (ge_fail(e, GE_EUSAGE, "empty label"));
	if (!utf8_ok((const uint8_t *)name, len))
		return (ge_fail(e, GE_EUSAGE, "label is not UTF-8"));
	if (len > GE_NAME_MAX || ge_percent(escaped, sizeof(escaped), name, len,
	    1) == -1)
		return (ge_fail(e, GE_EUSAGE, "label too long"));
	return (0);
}

static int
name_line(struct reader *r, struct ge_manifest *m, struct ge_err *e)
{
	uint8_t raw[GE_NAME_MAX];
	size_t len, i, o = 0, units = 0;
	int hi, lo;

	if (next_line(r) != 1 || literal(r, "name ") == -1)
		return (-1);
	len = (size_t)(r->stop - r->p);
	for (i = 0; i < len; i++, units++) {
		char c = r->p[i];

		if (units == GE_NAME_MAX)
			return (-1);
		if (c == '%') {
			if (len - i < 3 || (hi = upper_hex(r->p[i + 1])) == -1 ||
			    (lo = upper_hex(r->p[i + 2])) == -1)
				return (-1);
			raw[o++] = (uint8_t)(hi << 4 | lo);
			i += 2;
		} else if (c >= 0x20 && c <= 0x7e) {
			raw[o++] = (uint8_t)c;
		} else {
			return (-1);
		}
	}
	if (o == 0 || !utf8_ok(raw, o))
		return (-1);
	if ((m->name = ge_alloc(len + 1, e)) == NULL)
		return (-2);
	memcpy(m->name, r->p, len);
	return (0);
}

static int
created_line(struct reader *r, struct ge_manifest *m)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
	size_t i;

	if (next_line(r) != 1 || literal(r, "created ") == -1 ||
	    (size_t)(r->stop - r->p) != sizeof(form) - 1)
		return (-1);
	for (i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == 'd' ? r->p[i] < '0' || r->p[i] > '9' :
		    r->p[i] != form[i])
			return (-1);
	memcpy(m->created, r->p, sizeof(form) - 1);
	m->created[sizeof(form) - 1] = '\0';
	return (0);
}

static int
code_line(struct reader *r, struct ge_manifest *m)
{
	static const uint64_t max[5] = { 1, GE_N_MAX, GE_N_MAX, GE_BLOCK_MAX,
	    1 };
	uint64_t v[5];
	int i;

	if (next_line(r) != 1 || literal(r, "mode ") == -1)
		return (-1);
	if (literal(r, "encrypted") == 0)
		m->mode = 0;
	else if (literal(r, "plain") == 0)
		m->mode = GE_PLAIN;
	else
		return (-1);
	if (at_end(r) == -1 || next_line(r) != 1 || literal(r, "code") == -1)
		return (-1);
	for (i = 0; i < 5; i++)
		if (literal(r, " ") == -1 || number(r, max[i], &v[i]) == -1)
			return (-1);
	if (at_end(r) == -1 || v[0] != 1 || v[4] != 1 || v[1] > v[2] ||
	    v[1] < (m->mode == GE_PLAIN ? 1 : 2) || v[3] < GE_BLOCK_MIN ||
	    (v[3] & (v[3] - 1)) != 0)
		return (-1);
	m->code = 1;
	m->k = (int)v[1];
	m->n = (int)v[2];
	m->block = (uint32_t)v[3];
	m->alpha = 1;
	return (0);
}

static int
recipient_lines(struct reader *r, struct ge_manifest *m)
{
	int type;

	while (comes(r, "recipient")) {
		if (next_line(r) != 1 || literal(r, "recipient ") == -1)
			return (-1);
		if (literal(r, "x25519") == 0)
			type = GE_WRAP_X25519;
		else if (literal(r, "passphrase") == 0)
			type = GE_WRAP_PASS;
		else
			return (-1);
		if (at_end(r) == -1 || m->mode == GE_PLAIN ||
		    m->nrecipients == GE_WRAPS_MAX)
			return (-1);
		m->recipient[m->nrecipients++] = (uint8_t)type;
		if (memchr(m->recipient, GE_WRAP_PASS,
		    (size_t)m->nrecipients) != NULL && m->nrecipients != 1)
			return (-1);
	}
	return (0);
}

static int
segment_lines(struct reader *r, struct ge_manifest *m, struct ge_err *e)
{
	uint64_t i, v, total = 0;

	if (number_line(r, "length", (uint64_t)INT64_MAX, &m->length) == -1 ||
	    number_line(r, "segments", UINT32_MAX, &m->nsegments) == -1 ||
	    m->nsegments == 0 ||
	    /* A line has at least 74 bytes: believe no more than there are. */
	    m->nsegments > (uint64_t)(r->end - r->at) / 74)
		return (-1);
	m->segment = ge_alloc(m->nsegments * sizeof(*m->segment), e);
	if (m->segment == NULL)
		return (-2);
	for (i = 0; i < m->nsegments; i++) {
		if (next_line(r) != 1 || literal(r, "segment ") == -1 ||
		    number(r, UINT32_MAX, &v) == -1 || v != i ||
		    literal(r, " ") == -1 ||
		    number(r, GE_SEGMENT_MAX, &v) == -1 ||
		    literal(r, " ") == -1 ||
		    hex(r, m->segment[i].root, 32) == -1 || at_end(r) == -1 ||
		    (v == 0 && m->nsegments != 1))
			return (-1);
		m->segment[i].ulen = (uint32_t)v;
		total += v;
	}
	return (total == m->length ? 0 : -1);
}

static int
site_ok(const char *s, const char *stop)
{
	const char *p;

	for (p = s; p < stop; p++) {
		if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
		    (*p >= 'a' && *p <= 'z'))
			continue;
		if (p == s || (*p != '.' && *p != '_' && *p != '-'))
			return (0);
	}
	return (stop > s && stop - s <= 63);
}

static int
place_lines(struct reader *r, struct ge_manifest *m)
{
	uint64_t epoch, first, last, idx, least;
	const char *q;

	while (comes(r, "place")) {
		if (next_line(r) != 1 || literal(r, "place ") == -1 ||
		    number(r, 255, &epoch) == -1 || literal(r, " ") == -1 ||
		    number(r, m->nsegments - 1, &first) == -1 ||
		    literal(r, "-") == -1 ||
		    number(r, m->nsegments - 1, &last) == -1 || first > last ||
		    at_end(r) == 0)
			return (-1);
		for (least = 0; at_end(r) == -1; least = idx + 1) {
			if (literal(r, " ") == -1 ||
			    number(r, (uint64_t)m->n - 1, &idx) == -1 ||
			    idx < least || literal(r, "=") == -1)
				return (-1);
			for (q = r->p; q < r->stop && *q != ' '; q++)
				;
			if (!site_ok(r->p, q))
				return (-1);
			r->p = q;
		}
		m->nplaces++;
	}
	return (0);
}

static int
signature_lines(struct reader *r, struct ge_manifest *m, const uint8_t *buf,
    struct ge_err *e)
{
	size_t len = (size_t)(r->at - (const char *)buf), cap = 0;
	uint8_t *text = NULL, sig[64];
	struct ge_sha256 sha;
	int rc = -2;

	ge_sha256_init(&sha);
	ge_sha256_add(&sha, buf, len);
	ge_sha256_end(&sha, m->body);
	if (!comes(r, "signature"))
		return (0);
	if ((text = ge_alloc(sizeof(signed_prefix) + len, e)) == NULL)
		goto out;
	memcpy(text, signed_prefix, sizeof(signed_prefix));
	memcpy(text + sizeof(signed_prefix), buf, len);
	while (comes(r, "signature")) {
		rc = -1;
		if (m->nsigners == GE_SIGNERS_MAX)
			goto out;
		rc = -2;
		if (ge_grow(&m->signer, &cap, (size_t)m->nsigners + 1,
		    sizeof(*m->signer), e) == -1)
			goto out;
		rc = -1;
		if (next_line(r) != 1 ||
		    literal(r, "signature ed25519 ") == -1 ||
		    hex(r, m->signer[m->nsigners], 32) == -1 ||
		    literal(r, " ") == -1 || hex(r, sig, 64) == -1 ||
		    at_end(r) == -1)
			goto out;
		switch (ge_sign_verify(sig, m->signer[m->nsigners], text,
		    sizeof(signed_prefix) + len, e)) {
		case 0:
			goto out;
		case -1:
			rc = -2;
			goto out;
		}
		m->nsigners++;
	}
	rc = 0;
out:
	ge_free(text);
	return (rc);
}

/* 0, -1: the line that r->line counts is malformed, -2: e says why. */
static int
parse(struct ge_manifest *m, struct reader *r, const uint8_t *buf,
    struct ge_err *e)
{
	uint8_t digest[32];
	int rc;

	if (next_line(r) != 1 || literal(r, "gefrag-manifest 1") == -1 ||
	    at_end(r) == -1 ||
	    hex_line(r, "set", m->setid, GE_SETID) == -1 ||
	    number_line(r, "serial", UINT64_MAX, &m->serial) == -1)
		return (-1);
	if (m->serial == 0) {
		if (next_line(r) != 1 || literal(r, "previous -") == -1 ||
		    at_end(r) == -1)
			return (-1);
	} else if (hex_line(r, "previous", m->previous, 32) == -1) {
		return (-1);
	}
	if (comes(r, "name") && (rc = name_line(r, m, e)) != 0)
		return (rc);
	if (created_line(r, m) == -1 || code_line(r, m) == -1 ||
	    recipient_lines(r, m) == -1)
		return (-1);
	if ((rc = segment_lines(r, m, e)) != 0)
		return (rc);
	if (hex_line(r, "digest", m->digest, 32) == -1)
		return (-1);
	ge_set_digest(digest, m->setid, m->segment, m->nsegments);
	if (memcmp(digest, m->digest, 32) != 0)
		return (-1);
	if (place_lines(r, m) == -1)
		return (-1);
	if ((rc = signature_lines(r, m, buf, e)) != 0)
		return (rc);
	return (next_line(r) == 0 ? 0 : -1);
}

int
ge_manifest_parse(struct ge_manifest *m, const uint8_t *buf, size_t len,
    struct ge_err *e)
{
	struct reader r = { .at = (const char *)buf,
	    .end = (const char *)buf + len };
	struct ge_sha256 sha;

	memset(m, 0, sizeof(*m));
	if (len > FILE_MAX)
		return (ge_fail(e, GE_EREFUSED, "manifest too long"));
	switch (parse(m, &r, buf, e)) {
	case -2:
		return (-1);
	case -1:
		return (ge_fail(e, GE_EREFUSED,
		    "malformed manifest, line %lu", r.line));
	}
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, buf, len);
	ge_sha256_end(&sha, m->hash);
	return (0);
}

void
ge_manifest_release(struct ge_manifest *m)
{

	ge_free(m->name);
	ge_free(m->segment);
	ge_free(m->signer);
	memset(m, 0, sizeof(*m));
}

/* Text that grows. */
struct text {
	char *buf;
	size_t len, cap;
};

static int
put(struct text *t, struct ge_err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int
put(struct text *t, struct ge_err *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (ge_grow(&t->buf, &t->cap, t->len + LINE_MAX_BYTES, 1, e) == -1)
		return (-1);
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
	return (0);
}

int
ge_manifest_write(struct ge_manifest *m, const uint8_t *key, char **out,
    size_t *len, struct ge_err *e)
{
	char id[2 * GE_SETID + 1], root[65], pub[65], sig[129];
	uint8_t rawsig[64], rawpub[32], *text = NULL;
	struct text t = { NULL, 0, 0 };
	time_t now = (time_t)ge_now();
	struct tm tm;
	uint64_t i;
	int r, rc = -1;

	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&now, &tm);
	if (strftime(m->created, sizeof(m->created), "%Y-%m-%dT%H:%M:%SZ",
	    &tm) != sizeof(m->created) - 1) {
		ge_fail(e, GE_EFAIL, "the clock shows no year of four digits");
		goto out;
	}
	m->length = 0;
	for (i = 0; i < m->nsegments; i++)
		m->length += m->segment[i].ulen;
	ge_set_digest(m->digest, m->setid, m->segment, m->nsegments);
	if (put(&t, e, "gefrag-manifest 1\nset %s\nserial 0\nprevious -\n",
	    ge_hex(id, m->setid, GE_SETID)) == -1 ||
	    (m->name != NULL && put(&t, e, "name %s\n", m->name) == -1) ||
	    put(&t, e, "created %s\nmode %s\ncode 1 %d %d %lu 1\n", m->created,
	    m->mode == GE_PLAIN ? "plain" : "encrypted", m->k, m->n,
	    (unsigned long)m->block) == -1)
		goto out;
	for (r = 0; r < m->nrecipients; r++)
		if (put(&t, e, "recipient %s\n", m->recipient[r] ==
		    GE_WRAP_PASS ? "passphrase" : "x25519") == -1)
			goto out;
	if (put(&t, e, "length %llu\nsegments %llu\n",
	    (unsigned long long)m->length,
	    (unsigned long long)m->nsegments) == -1)
		goto out;
	for (i = 0; i < m->nsegments; i++)
		if (put(&t, e, "segment %llu %lu %s\n", (unsigned long long)i,
		    (unsigned long)m->segment[i].ulen,
		    ge_hex(root, m->segment[i].root, 32)) == -1)
			goto out;
	if (put(&t, e, "digest %s\n", ge_hex(root, m->digest, 32)) == -1)
		goto out;
	if (key != NULL) {
		text = ge_alloc(sizeof(signed_prefix) + t.len, e);
		if (text == NULL)
			goto out;
		memcpy(text, signed_prefix, sizeof(signed_prefix));
		memcpy(text + sizeof(signed_prefix), t.buf, t.len);
		if (ge_sign_make(rawsig, rawpub, key, text,
		    sizeof(signed_prefix) + t.len, e) == -1 ||
		    put(&t, e, "signature ed25519 %s %s\n",
		    ge_hex(pub, rawpub, 32), ge_hex(sig, rawsig, 64)) == -1)
			goto out;
	}
	if (t.len > FILE_MAX) {
		ge_fail(e, GE_EFAIL, "too many segments for a manifest");
		goto out;
	}
	*out = t.buf;
	*len = t.len;
	t.buf = NULL;
	rc = 0;
out:
	ge_free(text);
	ge_free(t.buf);
	return (rc);
}
