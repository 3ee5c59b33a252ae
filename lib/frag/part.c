#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>

#include "code/code.h"
#include "frag/frag.h"
#include "frag/part_int.h"
#include "seal/seal.h"
#include "util/mem.h"
#include "util/sha256.h"
#include "util/world.h"

void
ge_blocks_hold(const struct ge_hdr *h, const uint8_t *hdr, const uint8_t dh[32],
    int index, const uint32_t *stripe, const uint8_t *const *body, int n,
    uint8_t *good)
{
	uint8_t head[GE_BATCH][64], hash[GE_BATCH][32];
	int j;

	assert(n > 0 && n <= GE_BATCH);
	for (j = 0; j < n; j++)
		ge_hash_head(head[j], index, stripe[j], dh);
	ge_sha256_blocks(hash, (const uint8_t (*)[64])head, body,
	    ge_hdr_block(h, stripe[0]), (size_t)n);
	for (j = 0; j < n; j++)
		good[j] = memcmp(hash[j], hdr + h->table + 32 *
		    ((size_t)h->n * stripe[j] + (size_t)index), 32) == 0;
}

uint32_t
ge_blocks_check(const struct ge_hdr *h, const uint8_t *hdr,
    const uint8_t dh[32], int index, uint32_t first, uint32_t n,
    const uint8_t *buf, uint8_t *good)
{
	const uint8_t *body[GE_BATCH];
	uint32_t stripe[GE_BATCH], at, i, count = 0;
	int batch;

	assert(n <= h->nstripes && first <= h->nstripes - n);
	for (at = 0; at < n; at += (uint32_t)batch) {
		/* Blocks of a batch have the same length. */
		for (batch = 0; batch < GE_BATCH &&
		    at + (uint32_t)batch < n; batch++) {
			i = at + (uint32_t)batch;
			stripe[batch] = first + i;
			body[batch] = buf + (size_t)i * h->block;
			if (batch > 0 && ge_hdr_block(h, first + i) !=
			    ge_hdr_block(h, first + at))
				break;
		}
		ge_blocks_hold(h, hdr, dh, index, stripe, body, batch,
		    good + at);
	}
	for (i = 0; i < n; i++)
		count += good[i];
	return (count);
}

int
ge_payload_rebuild(int k, int n, const uint8_t *have,
    const uint8_t *const *src, const uint8_t *want, int nwant,
    uint8_t *const *dst, size_t len, struct ge_err *e)
{
	struct ge_rs rs = { 0 };
	struct ge_rs_plan plan = { 0 };
	int rc = -1;

	if (ge_rs_init(&rs, k, n, e) == -1 ||
	    ge_rs_plan_init(&plan, &rs, have, want, nwant, e) == -1)
		goto out;
	/* Each byte of a block is coded by itself: so is a run of blocks. */
	ge_rs_rebuild(&plan, src, dst, len);
	rc = 0;
out:
	ge_rs_plan_release(&plan);
	ge_rs_release(&rs);
	return (rc);
}

void
ge_hdr_stamp(uint8_t *hdr, const struct ge_hdr *h, int index, int epoch,
    const uint8_t *share)
{
	struct ge_hdr own = *h;

	assert(h->mode != GE_PLAIN || (epoch == 0 && share == NULL));
	own.index = index;
	own.epoch = epoch;
	own.has_share = share != NULL;
	ge_hdr_write(hdr, &own);
	ge_hdr_seal(hdr, &own);
	if (share != NULL)
		memcpy(hdr + own.share, share, GE_KEY);
	else
		memset(hdr + own.share, 0, own.len - own.share);
}

int
ge_share_valid(const struct ge_hdr *h, const uint8_t *hdr, const uint8_t dh[32])
{
	uint8_t hash[32];

	if (!h->has_share)
		return (0);
	ge_hash_share(hash, dh, h->epoch, h->index, hdr + h->share);
	return (memcmp(hash, hdr + h->records + 32 * (size_t)h->index, 32) ==
	    0);
}

/* Is this K_thr, of a set that has no other key, that of the commitment? */
static int
fits(const struct ge_hdr *h, const uint8_t commitment[32],
    const uint8_t dh[32], const uint8_t secret[GE_KEY], struct ge_err *e)
{
	static const uint8_t norcp[GE_KEY];
	uint8_t should[32], *key;
	int rc;

	assert(h->nwraps == 0);
	if ((key = ge_secret_alloc(GE_KEY, e)) == NULL)
		return (-1);
	rc = ge_key_derive(key, should, secret, norcp, dh, e);
	ge_secret_free(key, GE_KEY);
	return (rc == -1 ? -1 : CRYPTO_memcmp(should, commitment, 32) == 0);
}

int
ge_shares_open(const struct ge_hdr *h, const uint8_t commitment[32],
    const uint8_t dh[32], const uint8_t *idx, const uint8_t (*some)[GE_KEY],
    uint8_t (*record)[32], uint8_t secret[GE_KEY], struct ge_err *e)
{
	uint8_t *share;
	int i;

	assert(h->mode != GE_PLAIN);
	if ((share = ge_secret_alloc(GE_KEY, e)) == NULL)
		return (-1);
	for (i = 0; i < h->n; i++) {
		ge_share_at(share, i + 1, idx, some, h->k);
		ge_hash_share(record[i], dh, h->epoch, i, share);
	}
	ge_secret_free(share, GE_KEY);
	ge_share_at(secret, 0, idx, some, h->k);
	return (h->nwraps > 0 ? 1 : fits(h, commitment, dh, secret, e));
}

int
ge_shares_all(const struct ge_hdr *h, const uint8_t *hdr,
    const uint8_t dh[32], const uint8_t *idx, const uint8_t (*some)[GE_KEY],
    uint8_t (*all)[GE_KEY], struct ge_err *e)
{
	uint8_t hash[32], *secret;
	int i, rc;

	assert(h->mode != GE_PLAIN);
	for (i = 0; i < h->n; i++) {
		ge_share_at(all[i], i + 1, idx, some, h->k);
		ge_hash_share(hash, dh, h->epoch, i, all[i]);
		if (memcmp(hash, hdr + h->records + 32 * (size_t)i, 32) != 0)
			return (0);
	}
	if (h->nwraps > 0)
		return (1);
	if ((secret = ge_secret_alloc(GE_KEY, e)) == NULL)
		return (-1);
	ge_share_at(secret, 0, idx, some, h->k);
	rc = fits(h, hdr + h->commitment, dh, secret, e);
	ge_secret_free(secret, GE_KEY);
	return (rc);
}

int
ge_shares_refresh(const struct ge_hdr *h, uint8_t *hdr, const uint8_t dh[32],
    const uint8_t *idx, const uint8_t (*some)[GE_KEY], int epoch,
    uint8_t (*all)[GE_KEY], struct ge_err *e)
{
	const size_t room = (size_t)h->k * GE_KEY;
	uint8_t (*secret)[GE_KEY];	/* K_thr, k - 1 coefficients */
	int i, rc = -1;

	assert(epoch > h->epoch && epoch <= 255);
	if ((secret = ge_secret_alloc(room, e)) == NULL)
		goto out;
	/* New shares of a wrong key would be the end of the segment. */
	if ((i = ge_shares_all(h, hdr, dh, idx, some, all, e)) != 1) {
		if (i == 0)
			ge_fail(e, GE_EREFUSED, "segment %lu: the shares "
			    "contradict the header", (unsigned long)h->segment);
		goto out;
	}
	ge_share_at(secret[0], 0, idx, some, h->k);
	if (ge_random(secret[1], room - GE_KEY, e) == -1)
		goto out;
	ge_share_split(all, secret[0],
	    (const uint8_t (*)[GE_KEY])&secret[1], h->k, h->n);
	for (i = 0; i < h->n; i++)
		ge_hash_share(hdr + h->records + 32 * (size_t)i, dh, epoch, i,
		    all[i]);
	ge_hdr_stamp(hdr, h, h->index, epoch, NULL);
	rc = 0;
out:
	if (secret != NULL)
		ge_secret_free(secret, room);
	return (rc);
}
