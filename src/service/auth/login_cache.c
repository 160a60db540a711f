/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/login_cache.h"

#include "base/buffer.h"
#include "base/arena.h"
#include "io/random.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

void remembered_start(struct remembered *remembered)
{
    random_fill(remembered->key, sizeof remembered->key);
    remembered->slots = memory_new(REMEMBERED_SLOTS * sizeof *remembered->slots);
}

void remembered_free(struct remembered *remembered)
{
    explicit_bzero(remembered->key, sizeof remembered->key);
    free(remembered->slots);
    remembered->slots = NULL;
}

/* No two triples give the same text: lengths stand before the parts. */
static void digest(const struct remembered *remembered, struct bytes user, struct bytes password, struct bytes hash,
                   unsigned char out[REMEMBERED_DIGEST])
{
    struct buffer text = {0};
    unsigned length = REMEMBERED_DIGEST;
    buffer_add_format(&text, "%zu %zu ", user.length, password.length);
    buffer_add(&text, user);
    buffer_add(&text, password);
    buffer_add(&text, hash);
    const unsigned char *done = HMAC(EVP_sha256(), remembered->key, sizeof remembered->key, (const unsigned char *)buffer_text(&text), text.length, out, &length);
    assert(done != NULL && length == REMEMBERED_DIGEST);
    explicit_bzero(text.at, text.capacity);
    buffer_free(&text);
}

static size_t slot_of(const unsigned char digest_octets[REMEMBERED_DIGEST])
{
    return ((size_t)digest_octets[0] << 8 | digest_octets[1]) % REMEMBERED_SLOTS;
}

bool remembered_has(const struct remembered *remembered, struct bytes user, struct bytes password, struct bytes hash, uint64_t now_ms)
{
    unsigned char wanted[REMEMBERED_DIGEST];
    digest(remembered, user, password, hash, wanted);
    size_t slot = slot_of(wanted);
    return remembered->slots[slot].until_ms > now_ms && CRYPTO_memcmp(remembered->slots[slot].digest, wanted, sizeof wanted) == 0;
}

void remembered_add(struct remembered *remembered, struct bytes user, struct bytes password, struct bytes hash, uint64_t now_ms)
{
    unsigned char made[REMEMBERED_DIGEST];
    digest(remembered, user, password, hash, made);
    size_t slot = slot_of(made);
    memcpy(remembered->slots[slot].digest, made, sizeof made);
    remembered->slots[slot].until_ms = now_ms + REMEMBERED_MS;
}
