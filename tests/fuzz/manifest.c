/*
 * Manifests: what is accepted keeps the limits of gefrag(5), and comes out as the
 * same bytes but for signatures; what a writer could have written, from it too.  So that changes get past
 * the digest and the signature, both are put right in a copy.
 */
#include <string.h>

#include "frag/frag.h"
#include "fuzz.h"
#include "seal/seal.h"
#include "util/mem.h"
#include "util/num.h"

static void
check_limits(const struct ge_manifest *m)
{
	uint64_t i, total = 0;
	uint8_t digest[32];

	must(m->nsegments >= 1 && m->nsegments <= UINT32_MAX, "segments");
	for (i = 0; i < m->nsegments; i++) {
		must(m->segment[i].ulen <= GE_SEGMENT_MAX &&
		    (m->segment[i].ulen > 0 || m->nsegments == 1), "segment");
		total += m->segment[i].ulen;
	}
	must(total == m->length, "length");
	must(m->k >= (m->mode == GE_PLAIN ? 1 : 2) && m->k <= m->n &&
	    m->n <= GE_N_MAX && m->code == 1 && m->alpha == 1, "code");
	must(m->block >= GE_BLOCK_MIN && m->block <= GE_BLOCK_MAX &&
	    (m->block & (m->block - 1)) == 0, "block");
	must(m->nrecipients <= (m->mode == GE_PLAIN ? 0 : GE_WRAPS_MAX),
	    "recipients");
	must(m->name == NULL || strlen(m->name) < GE_NAME_ROOM + 4096,
	    "name");
	ge_set_digest(digest, m->setid, m->segment, m->nsegments);
	must(memcmp(digest, m->digest, 32) == 0, "digest");
}

static void
check_places(const struct ge_manifest *m)
{
	const struct ge_place *pl;
	size_t i, j, at = 0;

	for (i = 0; i < m->nplaces; i++) {
		pl = &m->place[i];
		must(pl->n >= 1 && pl->n <= m->n && pl->first <= pl->last &&
		    pl->last < m->nsegments && pl->at == at, "place");
		for (j = at; j < at + pl->n; j++)
			must(m->placeindex[j] < m->n && m->placesite[j] <
			    m->nsitenames && (j == at || m->placeindex[j - 1] <
			    m->placeindex[j]), "pair");
		at += pl->n;
	}
	must(at == m->npairs, "pairs");
	for (i = 0; i < m->nsitenames && i < 100; i++)
		for (j = 0; j < i; j++)
			must(strcmp(m->sitename[i], m->sitename[j]) != 0,
			    "names");
}

/* Formatted as it is. */
static void
check_round(struct ge_manifest *m, const uint8_t *buf, size_t len)
{
	uint8_t body[32];
	struct ge_err e;
	char *text;
	size_t n;

	memcpy(body, m->body, 32);
	must(ge_manifest_format(m, NULL, &text, &n, &e) == 0, "format");
	must(n <= len && memcmp(text, buf, n) == 0 && (n == len ?
	    m->nsigners == 0 : m->nsigners > 0 && len - n > 10 &&
	    memcmp(buf + n, "signature ", 10) == 0), "the same text");
	must(memcmp(body, m->body, 32) == 0, "body");
	ge_free(text);
}

static void
check_again(struct ge_manifest *m, const uint8_t *buf, size_t len)
{
	const char *created;
	struct ge_err e;
	char *text;
	size_t n;

	must(ge_manifest_write(m, NULL, &text, &n, &e) == 0, "write");
	/* All but the moment. */
	created = strstr(text, "\ncreated ");
	must(created != NULL && n == len, "length of the text");
	n = (size_t)(created - text) + 9;
	must(memcmp(text, buf, n) == 0 &&
	    memcmp(text + n + 20, buf + n + 20, len - n - 20) == 0, "text");
	ge_free(text);
}

static int
check(const uint8_t *buf, size_t len)
{
	struct ge_manifest m;
	struct ge_err e;
	int rc;

	if ((rc = ge_manifest_parse(&m, buf, len, &e)) == 0) {
		check_limits(&m);
		check_places(&m);
		check_round(&m, buf, len);
		if (m.serial == 0 && m.nplaces == 0 && m.nsigners == 0)
			check_again(&m, buf, len);
	} else {
		must(e.code == GE_EREFUSED, "code of a bad manifest");
	}
	ge_manifest_release(&m);
	return (rc == 0);
}

/* The n-th next line that begins so, or NULL; text ends with a NUL. */
static char *
line(char *text, const char *word)
{
	char *p;

	for (p = text; p != NULL && *p != '\0'; p++) {
		if (strncmp(p, word, strlen(word)) == 0)
			return (p);
		if ((p = strchr(p, '\n')) == NULL)
			break;
	}
	return (NULL);
}

static void
mend_digest(char *text)
{
	static struct ge_manseg seg[64];
	uint8_t setid[GE_SETID], digest[32];
	char *p, *at, hex[65];
	size_t n = 0;

	if ((at = line(text, "digest ")) == NULL || strlen(at) < 71 ||
	    (p = line(text, "set ")) == NULL || strlen(p) < 36 ||
	    ge_unhex(setid, p + 4, GE_SETID) == -1)
		return;
	for (p = text; n < 64 && (p = line(p, "segment ")) != NULL; n++) {
		unsigned long number, ulen;
		int used = 0;

		if (sscanf(p, "segment %9lu %10lu %n", &number, &ulen,
		    &used) != 2 || strlen(p + used) < 64 ||
		    ge_unhex(seg[n].root, p + used, 32) == -1)
			return;
		seg[n].ulen = (uint32_t)ulen;
		p += used;
	}
	ge_set_digest(digest, setid, seg, n);
	memcpy(at + 7, ge_hex(hex, digest, 32), 64);
}

static void
mend_signature(char *text)
{
	static const char prefix[] = "gefrag/v1 manifest";
	static const uint8_t key[32] = { 7 };
	uint8_t sig[64], public[32], *msg;
	struct ge_err e;
	char *at, hex[129];
	size_t len;

	if ((at = line(text, "signature ed25519 ")) == NULL ||
	    strlen(at) < 18 + 64 + 1 + 128)
		return;
	len = sizeof(prefix) + (size_t)(at - text);
	msg = malloc(len);
	must(msg != NULL, "malloc");
	memcpy(msg, prefix, sizeof(prefix));
	memcpy(msg + sizeof(prefix), text, len - sizeof(prefix));
	must(ge_sign_make(sig, public, key, msg, len, &e) == 0, "sign");
	memcpy(at + 18, ge_hex(hex, public, 32), 64);
	at[82] = ' ';
	memcpy(at + 83, ge_hex(hex, sig, 64), 128);
	free(msg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	char *text;

	if (check(buf, len) || len > 65536)
		return (0);
	text = malloc(len + 1);
	must(text != NULL, "malloc");
	memcpy(text, buf, len);
	text[len] = '\0';
	mend_digest(text);
	if (!check((uint8_t *)text, len)) {
		mend_signature(text);
		(void)check((uint8_t *)text, len);
	}
	free(text);
	return (0);
}
