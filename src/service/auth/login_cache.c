/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/login_cache.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slots.h"
#include "io/random.h"

void login_cache_start(struct login_cache *login_cache)
{
    random_fill(login_cache->key, sizeof login_cache->key);
    login_cache->slots = memory_new(LOGIN_CACHE_SLOTS * sizeof *login_cache->slots);
}

void login_cache_free(struct login_cache *login_cache)
{
    explicit_bzero(login_cache->key, sizeof login_cache->key);
    free(login_cache->slots);
    login_cache->slots = NULL;
}

/* Lengths before the parts make the text of each triple unique. */
static void digest(const struct login_cache *login_cache, struct bytes user, struct bytes password,
                   struct bytes hash, unsigned char out[LOGIN_CACHE_DIGEST])
{
    struct buffer text = {0};
    unsigned length = LOGIN_CACHE_DIGEST;
    buffer_add_format(&text, "%zu %zu ", user.length, password.length);
    buffer_add(&text, user);
    buffer_add(&text, password);
    buffer_add(&text, hash);
    const unsigned char *done = HMAC(EVP_sha256(), login_cache->key, sizeof login_cache->key,
                                     (const unsigned char *)buffer_text(&text), text.length, out, &length);
    assert(done != NULL && length == LOGIN_CACHE_DIGEST);
    explicit_bzero(text.at, text.capacity);
    buffer_free(&text);
}

static struct slots table_of(const struct login_cache *login_cache)
{
    return (struct slots){.at = login_cache->slots,
                          .count = LOGIN_CACHE_SLOTS,
                          .row = LOGIN_CACHE_ROW,
                          .size = sizeof *login_cache->slots};
}

/* Of a digest: nobody outside knows the key that it was made with. */
static uint64_t key_of(const unsigned char digest_octets[LOGIN_CACHE_DIGEST])
{
    uint64_t key;
    memcpy(&key, digest_octets, sizeof key);
    return key;
}

static uint64_t weigh(const struct slots *slots, const void *slot, const void *context)
{
    return ((const struct login_cache_slot *)slot)->until_ms;
}

bool login_cache_has(const struct login_cache *login_cache, struct bytes user, struct bytes password,
                     struct bytes hash, uint64_t now_ms)
{
    unsigned char wanted[LOGIN_CACHE_DIGEST];
    struct slots slots = table_of(login_cache);
    digest(login_cache, user, password, hash, wanted);
    const struct login_cache_slot *slot = slots_find(&slots, key_of(wanted));
    return slot != NULL && slot->until_ms > now_ms && CRYPTO_memcmp(slot->digest, wanted, sizeof wanted) == 0;
}

void login_cache_add(struct login_cache *login_cache, struct bytes user, struct bytes password,
                     struct bytes hash, uint64_t now_ms)
{
    unsigned char made[LOGIN_CACHE_DIGEST];
    struct slots slots = table_of(login_cache);
    digest(login_cache, user, password, hash, made);
    struct login_cache_slot *slot = slots_claim(&slots, key_of(made), weigh, NULL);
    memcpy(slot->digest, made, sizeof made);
    slot->until_ms = now_ms + LOGIN_CACHE_MS;
}
