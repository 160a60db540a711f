/* SPDX-License-Identifier: Apache-2.0 */
#include "io/public_keys.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "io/random.h"

/* A key, and for RSA what verifies with it, of which each use finds the modulus prepared. */
struct public_key {
    enum dkim_algorithm algorithm;
    EVP_PKEY *key; /* NULL: the place is free */
    EVP_PKEY_CTX *ready;
    size_t length;
    char octets[PUBLIC_KEY_OCTETS_MAX];
};

static struct {
    pthread_mutex_t lock;
    struct public_key *places[PUBLIC_KEYS_MAX]; /* NULL: was never used */
    uint64_t seed;                              /* 0: not chosen yet; others cannot tell who shares a place */
    size_t turn;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static EVP_PKEY *parse(enum dkim_algorithm algorithm, struct bytes key)
{
    const unsigned char *at = (const unsigned char *)key.at;
    if (algorithm == DKIM_ED25519_SHA256)
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, at, key.length);
    return d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)key.length);
}

static EVP_PKEY_CTX *prepare(EVP_PKEY *key)
{
    EVP_PKEY_CTX *ready = EVP_PKEY_CTX_new(key, NULL);
    if (ready != NULL && EVP_PKEY_verify_init(ready) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ready, RSA_PKCS1_PADDING) == 1 &&
        EVP_PKEY_CTX_set_signature_md(ready, EVP_sha256()) == 1)
        return ready;
    EVP_PKEY_CTX_free(ready);
    return NULL;
}

static void release(struct public_key *key)
{
    EVP_PKEY_CTX_free(key->ready);
    EVP_PKEY_free(key->key);
    key->ready = NULL;
    key->key = NULL;
}

/* Fills it, but for the octets; false if OpenSSL does not take the key. */
static bool read_key(struct public_key *into, enum dkim_algorithm algorithm, struct bytes octets)
{
    into->algorithm = algorithm;
    into->key = parse(algorithm, octets);
    into->ready = into->key != NULL && algorithm == DKIM_RSA_SHA256 ? prepare(into->key) : NULL;
    if (into->key != NULL && (algorithm != DKIM_RSA_SHA256 || into->ready != NULL))
        return true;
    release(into);
    return false;
}

/* The digest is the message that Ed25519 signs (RFC 8463 3). */
static bool verify(const struct public_key *key, const unsigned char digest[DKIM_DIGEST],
                   struct bytes signature)
{
    const unsigned char *at = (const unsigned char *)signature.at;
    if (key->algorithm == DKIM_RSA_SHA256)
        return EVP_PKEY_verify(key->ready, at, signature.length, digest, DKIM_DIGEST) == 1;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->key) == 1 &&
                EVP_DigestVerify(context, at, signature.length, digest, DKIM_DIGEST) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static bool is_key(const struct public_key *place, enum dkim_algorithm algorithm, struct bytes octets)
{
    return place != NULL && place->key != NULL && place->algorithm == algorithm &&
           bytes_equal(bytes_of(place->octets, place->length), octets);
}

/* Returns the first of the places at which the key can be. */
static size_t first_place(struct bytes octets)
{
    while (cache.seed == 0)
        cache.seed = random_u64();
    return bytes_hash(octets, cache.seed) % (PUBLIC_KEYS_MAX / PUBLIC_KEYS_ASIDE) * PUBLIC_KEYS_ASIDE;
}

/* Returns the key, which is read if it is not kept; NULL if OpenSSL does not take it. */
static const struct public_key *find(enum dkim_algorithm algorithm, struct bytes octets)
{
    size_t first = first_place(octets), at = first + cache.turn++ % PUBLIC_KEYS_ASIDE;
    for (size_t i = first; i < first + PUBLIC_KEYS_ASIDE; i++)
        if (is_key(cache.places[i], algorithm, octets))
            return cache.places[i];
    for (size_t i = first; i < first + PUBLIC_KEYS_ASIDE; i++)
        if (cache.places[i] == NULL || cache.places[i]->key == NULL)
            at = i;
    struct public_key *place = cache.places[at];
    if (place == NULL)
        place = cache.places[at] = memory_new(sizeof *place);
    release(place);
    if (!read_key(place, algorithm, octets))
        return NULL;
    memcpy(place->octets, octets.at, octets.length);
    place->length = octets.length;
    return place;
}

bool public_keys_verify(enum dkim_algorithm algorithm, struct bytes key,
                        const unsigned char digest[DKIM_DIGEST], struct bytes signature)
{
    if (key.length == 0 || key.length > PUBLIC_KEY_OCTETS_MAX)
        return false;
    pthread_mutex_lock(&cache.lock);
    const struct public_key *known = find(algorithm, key);
    bool good = known != NULL && verify(known, digest, signature);
    pthread_mutex_unlock(&cache.lock);
    ERR_clear_error();
    return good;
}

size_t public_keys_count(void)
{
    size_t count = 0;
    pthread_mutex_lock(&cache.lock);
    for (size_t i = 0; i < PUBLIC_KEYS_MAX; i++)
        count += cache.places[i] != NULL && cache.places[i]->key != NULL;
    pthread_mutex_unlock(&cache.lock);
    return count;
}

void public_keys_clear(void)
{
    pthread_mutex_lock(&cache.lock);
    for (size_t i = 0; i < PUBLIC_KEYS_MAX; i++) {
        if (cache.places[i] != NULL)
            release(cache.places[i]);
        free(cache.places[i]);
        cache.places[i] = NULL;
    }
    pthread_mutex_unlock(&cache.lock);
}
