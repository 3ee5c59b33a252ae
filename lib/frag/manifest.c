#include <assert.h>
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
	LINE_MAX_BYTES = 8192,
	NAMES_MAX = 1 << 18		/* of sites in the places of a file */
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

/*
 * Where to look for a name first.  The sum of keys times words is universal, and
 * the key is a hash of all the text: who chooses the names cannot also choose
 * that they collide.
 */
static uint64_t
name_hash(const struct ge_manifest *m, const char name[64])
{
	uint64_t key, sum = 0;
	size_t i;
	uint32_t word;

	for (i = 0; i < 16; i++) {
		memcpy(&word, name + 4 * i, 4);
		if (word == 0)
			break;
		/* The i-th key by Steele, Lea, Flood (2014): SplitMix64. */
		key = m->namekey + (i + 1) * 0x9e3779b97f4a7c15;
		key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9;
		key = (key ^ key >> 27) * 0x94d049bb133111eb;
		sum += (key ^ key >> 31) * word;
	}
	return (sum >> 32);
}

/* The slot of a name, or the free one where it belongs. */
static uint32_t *
name_slot(const struct ge_manifest *m, const char name[64])
{
	size_t mask = m->nnameslots - 1, i = name_hash(m, name) & mask;

	while (m->nameslot[i] != 0 &&
	    memcmp(m->sitename[m->nameslot[i] - 1], name, 64) != 0)
		i = (i + 1) & mask;
	return (&m->nameslot[i]);
}

/* Never more than half full. */
static int
more_slots(struct ge_manifest *m, struct ge_err *e)
{
	size_t i, n = m->nnameslots == 0 ? 64 : 2 * m->nnameslots;
	uint32_t *slot;

	if (2 * (m->nsitenames + 1) <= m->nnameslots)
		return (0);
	if ((slot = ge_alloc(n * sizeof(*slot), e)) == NULL)
		return (-1);
	ge_free(m->nameslot);
	m->nameslot = slot;
	m->nnameslots = n;
	for (i = 0; i < m->nsitenames; i++)
		*name_slot(m, m->sitename[i]) = (uint32_t)i + 1;
	return (0);
}

/* The number of a site's name, new or known. */
static int
intern(struct ge_manifest *m, const char *s, size_t len, uint32_t *number,
    struct ge_err *e)
{
	char name[64] = { 0 };
	uint32_t *slot;

	assert(len < sizeof(name));
	memcpy(name, s, len);
	if (more_slots(m, e) == -1)
		return (-1);
	slot = name_slot(m, name);
	if (*slot == 0) {
		if (ge_grow(&m->sitename, &m->capsitenames, m->nsitenames + 1,
		    sizeof(*m->sitename), e) == -1)
			return (-1);
		memcpy(m->sitename[m->nsitenames], name, sizeof(name));
		*slot = (uint32_t)++m->nsitenames;
	}
	*number = *slot - 1;
	return (0);
}

/* Begin a place line, of no pairs yet. */
static int
add_place(struct ge_manifest *m, int epoch, uint32_t first, uint32_t last,
    struct ge_err *e)
{
	struct ge_place *pl;

	if (ge_grow(&m->place, &m->capplaces, m->nplaces + 1,
	    sizeof(*m->place), e) == -1)
		return (-1);
	pl = &m->place[m->nplaces++];
	pl->first = first;
	pl->last = last;
	pl->epoch = (uint8_t)epoch;
	pl->n = 0;
	pl->at = (uint32_t)m->npairs;
	return (0);
}

/* Add a pair to the last place line. */
static int
add_pair(struct ge_manifest *m, int index, const char *site, size_t len,
    struct ge_err *e)
{

	/* " 0=x" is the shortest in the text. */
	if (m->npairs >= GE_MANIFEST_MAX / 4)
		return (ge_fail(e, GE_EFAIL, "too many places for a manifest"));
	if (ge_grow(&m->placeindex, &m->cappairs, m->npairs + 1,
	    sizeof(*m->placeindex), e) == -1 ||
	    ge_grow(&m->placesite, &m->cappairsites, m->npairs + 1,
	    sizeof(*m->placesite), e) == -1 ||
	    intern(m, site, len, &m->placesite[m->npairs], e) == -1)
		return (-1);
	m->placeindex[m->npairs++] = (uint8_t)index;
	m->place[m->nplaces - 1].n++;
	return (0);
}

static int
place_lines(struct reader *r, struct ge_manifest *m, struct ge_err *e)
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
		if (add_place(m, (int)epoch, (uint32_t)first, (uint32_t)last,
		    e) == -1)
			return (-2);
		for (least = 0; at_end(r) == -1; least = idx + 1) {
			if (literal(r, " ") == -1 ||
			    number(r, (uint64_t)m->n - 1, &idx) == -1 ||
			    idx < least || literal(r, "=") == -1)
				return (-1);
			for (q = r->p; q < r->stop && *q != ' '; q++)
				;
			if (!site_ok(r->p, q))
				return (-1);
			if (add_pair(m, (int)idx, r->p, (size_t)(q - r->p),
			    e) == -1)
				return (-2);
			if (m->nsitenames > NAMES_MAX)
				return (-1);
			r->p = q;
		}
	}
	m->settled = m->nplaces;
	return (0);
}

/* Are the last two place lines one? */
static int
follows_on(const struct ge_manifest *m)
{
	const struct ge_place *a = &m->place[m->nplaces - 2], *b = a + 1;

	return (a->epoch == b->epoch && a->n == b->n &&
	    a->last != UINT32_MAX && a->last + 1 == b->first &&
	    memcmp(m->placeindex + a->at, m->placeindex + b->at, a->n) == 0 &&
	    memcmp(m->placesite + a->at, m->placesite + b->at,
	    a->n * sizeof(*m->placesite)) == 0);
}

int
ge_manifest_place(struct ge_manifest *m, int epoch, uint32_t first,
    uint32_t last, uint64_t indices, const char *const *site,
    struct ge_err *e)
{
	size_t nplaces = m->nplaces, npairs = m->npairs;
	int i;

	assert(epoch >= 0 && epoch <= 255 && first <= last && indices != 0);
	if (add_place(m, epoch, first, last, e) == -1)
		return (-1);
	for (i = 0; i < GE_N_MAX; i++)
		if ((indices >> i & 1) != 0 &&
		    add_pair(m, i, site[i], strlen(site[i]), e) == -1) {
			m->nplaces = nplaces;
			m->npairs = npairs;
			return (-1);
		}
	if (nplaces > m->settled && follows_on(m)) {
		m->place[nplaces - 1].last = last;
		m->nplaces = nplaces;
		m->npairs = npairs;
	}
	return (0);
}

int
ge_manifest_next(struct ge_manifest *m, struct ge_err *e)
{

	if (m->serial == UINT64_MAX)
		return (ge_fail(e, GE_EREFUSED, "no serial comes after that of "
		    "the manifest"));
	m->serial++;
	memcpy(m->previous, m->hash, 32);
	m->nsigners = 0;
	m->settled = m->nplaces;
	return (0);
}

/* What a signature covers, of a text up to its signature lines, or NULL. */
static uint8_t *
covered(const void *buf, size_t len, struct ge_err *e)
{
	uint8_t *text;

	if ((text = ge_alloc(sizeof(signed_prefix) + len, e)) != NULL) {
		memcpy(text, signed_prefix, sizeof(signed_prefix));
		memcpy(text + sizeof(signed_prefix), buf, len);
	}
	return (text);
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
	if ((text = covered(buf, len, e)) == NULL)
		goto out;
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
	if ((rc = place_lines(r, m, e)) != 0)
		return (rc);
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
	if (len > GE_MANIFEST_MAX)
		return (ge_fail(e, GE_EREFUSED, "manifest too long"));
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, buf, len);
	ge_sha256_end(&sha, m->hash);
	m->namekey = ge_get64(m->hash);
	switch (parse(m, &r, buf, e)) {
	case -2:
		return (-1);
	case -1:
		return (ge_fail(e, GE_EREFUSED,
		    "malformed manifest, line %lu", r.line));
	}
	return (0);
}

void
ge_manifest_shed(struct ge_manifest *m)
{

	ge_free(m->segment);
	ge_free(m->place);
	ge_free(m->placeindex);
	ge_free(m->placesite);
	ge_free(m->sitename);
	ge_free(m->nameslot);
	m->segment = NULL;
	m->place = NULL;
	m->placeindex = NULL;
	m->placesite = m->nameslot = NULL;
	m->sitename = NULL;
	m->nplaces = m->capplaces = m->settled = 0;
	m->npairs = m->cappairs = m->cappairsites = 0;
	m->nsitenames = m->capsitenames = m->nnameslots = 0;
}

void
ge_manifest_release(struct ge_manifest *m)
{

	ge_manifest_shed(m);
	ge_free(m->name);
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
	if (t->len > GE_MANIFEST_MAX)
		return (ge_fail(e, GE_EFAIL, "too long for a manifest"));
	return (0);
}

static int
put_places(struct text *t, const struct ge_manifest *m, struct ge_err *e)
{
	const struct ge_place *pl;
	size_t i, j;

	for (i = 0; i < m->nplaces; i++) {
		pl = &m->place[i];
		if (put(t, e, "place %d %lu-%lu", pl->epoch,
		    (unsigned long)pl->first, (unsigned long)pl->last) == -1)
			return (-1);
		for (j = pl->at; j < (size_t)pl->at + pl->n; j++)
			if (put(t, e, " %d=%s", m->placeindex[j],
			    m->sitename[m->placesite[j]]) == -1)
				return (-1);
		if (put(t, e, "\n") == -1)
			return (-1);
	}
	return (0);
}

/* All that a signature covers. */
static int
put_body(struct text *t, const struct ge_manifest *m, struct ge_err *e)
{
	char hex64[65];
	uint64_t i;
	int r;

	if (put(t, e, "gefrag-manifest 1\nset %s\nserial %llu\n",
	    ge_hex(hex64, m->setid, GE_SETID),
	    (unsigned long long)m->serial) == -1 ||
	    put(t, e, "previous %s\n", m->serial == 0 ? "-" :
	    ge_hex(hex64, m->previous, 32)) == -1 ||
	    (m->name != NULL && put(t, e, "name %s\n", m->name) == -1) ||
	    put(t, e, "created %s\nmode %s\ncode 1 %d %d %lu 1\n", m->created,
	    m->mode == GE_PLAIN ? "plain" : "encrypted", m->k, m->n,
	    (unsigned long)m->block) == -1)
		return (-1);
	for (r = 0; r < m->nrecipients; r++)
		if (put(t, e, "recipient %s\n", m->recipient[r] ==
		    GE_WRAP_PASS ? "passphrase" : "x25519") == -1)
			return (-1);
	if (put(t, e, "length %llu\nsegments %llu\n",
	    (unsigned long long)m->length,
	    (unsigned long long)m->nsegments) == -1)
		return (-1);
	for (i = 0; i < m->nsegments; i++)
		if (put(t, e, "segment %llu %lu %s\n", (unsigned long long)i,
		    (unsigned long)m->segment[i].ulen,
		    ge_hex(hex64, m->segment[i].root, 32)) == -1)
			return (-1);
	if (put(t, e, "digest %s\n", ge_hex(hex64, m->digest, 32)) == -1)
		return (-1);
	return (put_places(t, m, e));
}

int
ge_manifest_signed(const struct ge_manifest *m, const uint8_t *key,
    struct ge_err *e)
{
	uint8_t sig[64], pub[GE_KEY];
	int i;

	if (ge_sign_make(sig, pub, key, (const uint8_t *)"", 0, e) == -1)
		return (-1);
	for (i = 0; i < m->nsigners; i++)
		if (memcmp(m->signer[i], pub, GE_KEY) == 0)
			return (1);
	return (0);
}

int
ge_manifest_format(struct ge_manifest *m, const uint8_t *key, char **out,
    size_t *len, struct ge_err *e)
{
	uint8_t rawsig[64], rawpub[32], *text = NULL;
	struct text t = { NULL, 0, 0 };
	struct ge_sha256 sha, body;
	char pub[65], sig[129];
	size_t bodylen;
	uint64_t i;
	int rc = -1;

	m->length = 0;
	for (i = 0; i < m->nsegments; i++)
		m->length += m->segment[i].ulen;
	ge_set_digest(m->digest, m->setid, m->segment, m->nsegments);
	if (put_body(&t, m, e) == -1)
		goto out;
	bodylen = t.len;
	if (key != NULL) {
		if ((text = covered(t.buf, bodylen, e)) == NULL ||
		    ge_sign_make(rawsig, rawpub, key, text,
		    sizeof(signed_prefix) + bodylen, e) == -1 ||
		    put(&t, e, "signature ed25519 %s %s\n",
		    ge_hex(pub, rawpub, 32), ge_hex(sig, rawsig, 64)) == -1)
			goto out;
	}
	ge_sha256_init(&sha);
	ge_sha256_add(&sha, t.buf, bodylen);
	body = sha;
	ge_sha256_end(&body, m->body);
	ge_sha256_add(&sha, t.buf + bodylen, t.len - bodylen);
	ge_sha256_end(&sha, m->hash);
	*out = t.buf;
	*len = t.len;
	t.buf = NULL;
	rc = 0;
out:
	ge_free(text);
	ge_free(t.buf);
	return (rc);
}

int
ge_manifest_write(struct ge_manifest *m, const uint8_t *key, char **out,
    size_t *len, struct ge_err *e)
{
	time_t now = (time_t)ge_now();
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&now, &tm);
	if (strftime(m->created, sizeof(m->created), "%Y-%m-%dT%H:%M:%SZ",
	    &tm) != sizeof(m->created) - 1)
		return (ge_fail(e, GE_EFAIL,
		    "the clock shows no year of four digits"));
	m->serial = 0;
	return (ge_manifest_format(m, key, out, len, e));
}
