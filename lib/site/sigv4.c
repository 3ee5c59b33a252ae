#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "site/sigv4_int.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/sha256.h"

enum {
	MAC = 32
};

static void
add(struct ge_sha256 *h, const char *s)
{

	ge_sha256_add(h, s, strlen(s));
}

static int
mac(uint8_t out[MAC], const void *key, size_t len, const char *s)
{

	return (HMAC(EVP_sha256(), key, (int)len, (const unsigned char *)s,
	    strlen(s), out, NULL) != NULL ? 0 : -1);
}

/* The names of the headers: "host;x-amz-date".  0, or -1: no room. */
static int
names(char *out, size_t cap, const char *const *header)
{
	size_t n = 0, len;

	for (; *header != NULL; header++) {
		len = strcspn(*header, ":");
		if (n + len + 2 > cap)
			return (-1);
		if (n > 0)
			out[n++] = ';';
		memcpy(out + n, *header, len);
		n += len;
	}
	out[n] = '\0';
	return (0);
}

void
ge_sigv4_date(char out[GE_SIGV4_DATE], int64_t now)
{
	time_t t = (time_t)now;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, GE_SIGV4_DATE,
	    "%Y%m%dT%H%M%SZ", &tm) == 0)
		snprintf(out, GE_SIGV4_DATE, "19700101T000000Z");
}

int
ge_sigv4_sign(char *out, size_t cap, const struct ge_sigv4 *r)
{
	const char *const *p;
	struct ge_sha256 h;
	uint8_t digest[MAC], key[MAC];
	char hex[2 * MAC + 1], scope[160], list[256], text[320], first[8200];
	int n, rc = -1;

	if (names(list, sizeof(list), r->header) == -1)
		return (-1);
	ge_sha256_init(&h);
	add(&h, r->method);
	add(&h, "\n");
	add(&h, r->path);
	add(&h, "\n");
	add(&h, r->query);
	add(&h, "\n");
	for (p = r->header; *p != NULL; p++) {
		add(&h, *p);
		add(&h, "\n");
	}
	add(&h, "\n");
	add(&h, list);
	add(&h, "\n");
	add(&h, r->sha);
	ge_sha256_end(&h, digest);

	n = snprintf(scope, sizeof(scope), "%.8s/%s/%s/aws4_request", r->date,
	    r->region, r->service);
	if (n < 0 || (size_t)n >= sizeof(scope))
		return (-1);
	snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", r->date,
	    scope, ge_hex(hex, digest, MAC));

	n = snprintf(first, sizeof(first), "AWS4%s", r->secret);
	if (n < 0 || (size_t)n >= sizeof(first))
		goto out;
	snprintf(hex, sizeof(hex), "%.8s", r->date);
	if (mac(key, first, (size_t)n, hex) == -1 ||
	    mac(key, key, MAC, r->region) == -1 ||
	    mac(key, key, MAC, r->service) == -1 ||
	    mac(key, key, MAC, "aws4_request") == -1 ||
	    mac(digest, key, MAC, text) == -1)
		goto out;
	n = snprintf(out, cap, "AWS4-HMAC-SHA256 Credential=%s/%s, "
	    "SignedHeaders=%s, Signature=%s", r->id, scope, list,
	    ge_hex(hex, digest, MAC));
	if (n > 0 && (size_t)n < cap)
		rc = 0;
out:
	ge_wipe(first, sizeof(first));
	ge_wipe(key, sizeof(key));
	return (rc);
}
