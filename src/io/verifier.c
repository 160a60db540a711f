/* SPDX-License-Identifier: Apache-2.0 */
#include "io/verifier.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static void hmac(uint8_t out[SCRAM_KEY], struct bytes key, struct bytes message)
{
    const void *done = HMAC(EVP_sha256(), key.at, (int)key.length, (const unsigned char *)message.at,
                            message.length, out, NULL);
    assert(done != NULL);
}

static void hash(uint8_t out[SCRAM_KEY], const uint8_t in[SCRAM_KEY])
{
    int done = EVP_Digest(in, SCRAM_KEY, out, NULL, EVP_sha256(), NULL);
    assert(done == 1);
}

void verifier_derive(struct verifier_keys *keys, struct bytes password, struct bytes salt,
                     uint32_t iterations)
{
    uint8_t salted[SCRAM_KEY];
    int done = PKCS5_PBKDF2_HMAC(password.at == NULL ? "" : password.at, (int)password.length,
                                 (const unsigned char *)salt.at, (int)salt.length, (int)iterations,
                                 EVP_sha256(), SCRAM_KEY, salted);
    assert(done == 1);
    hmac(keys->client_key, bytes_of(salted, SCRAM_KEY), BYTES("Client Key"));
    hash(keys->verifier.stored_key, keys->client_key);
    hmac(keys->verifier.server_key, bytes_of(salted, SCRAM_KEY), BYTES("Server Key"));
    explicit_bzero(salted, sizeof salted);
}

bool verifier_accepts(const struct verifier *verifier, struct bytes message, const uint8_t proof[SCRAM_KEY])
{
    uint8_t key[SCRAM_KEY], hashed[SCRAM_KEY];
    hmac(key, bytes_of(verifier->stored_key, SCRAM_KEY), message);
    for (size_t i = 0; i < SCRAM_KEY; i++)
        key[i] ^= proof[i];
    hash(hashed, key);
    bool same = CRYPTO_memcmp(hashed, verifier->stored_key, SCRAM_KEY) == 0;
    explicit_bzero(key, sizeof key); /* the client's key, if correct */
    return same;
}

void verifier_sign(const struct verifier *verifier, struct bytes message, uint8_t signature[SCRAM_KEY])
{
    hmac(signature, bytes_of(verifier->server_key, SCRAM_KEY), message);
}

void verifier_prove(const struct verifier_keys *keys, struct bytes message, uint8_t proof[SCRAM_KEY])
{
    hmac(proof, bytes_of(keys->verifier.stored_key, SCRAM_KEY), message);
    for (size_t i = 0; i < SCRAM_KEY; i++)
        proof[i] ^= keys->client_key[i];
}

void verifier_salt(uint8_t salt[VERIFIER_SALT], struct bytes secret, struct bytes name)
{
    uint8_t whole[SCRAM_KEY];
    hmac(whole, secret, name);
    memcpy(salt, whole, VERIFIER_SALT);
}
