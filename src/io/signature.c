/* SPDX-License-Identifier: Apache-2.0 */
#include "io/signature.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sysexits.h>

#include "core/smtp/base64.h"
#include "io/public_keys.h"

enum {
    BLOCK = 16 * 1024, /* octets that are hashed in one go */
    RAW_KEY = DKIM_ED25519_OCTETS,
};

/* ---- SHA-256 ---- */

static const EVP_MD *fetched;

static void fetch_sha256(void)
{
    const EVP_MD *found = EVP_MD_fetch(NULL, "SHA256", NULL);
    fetched = found != NULL ? found : EVP_sha256();
}

/* Each use of EVP_sha256() would look for an implementation, with locks. */
static const EVP_MD *sha256(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_sha256);
    return fetched;
}

/* ---- bodies ---- */

void signature_hash_start(struct body_hashes *hashes, const struct dkim_body *bodies, size_t count)
{
    assert(count <= SIGNATURE_BODIES_MAX);
    hashes->count = count;
    for (size_t i = 0; i < count; i++) {
        struct body_hash *hash = &hashes->of[i];
        canon_body_start(&hash->canon, bodies[i].form, bodies[i].limit);
        hash->context = EVP_MD_CTX_new();
        bool started = hash->context != NULL && EVP_DigestInit_ex(hash->context, sha256(), NULL) == 1;
        assert(started);
    }
}

static void hash_block(struct body_hash *hash, const char *block, size_t length)
{
    int done = EVP_DigestUpdate(hash->context, block, length);
    assert(done == 1);
}

void signature_hash_add(struct body_hashes *hashes, struct bytes octets)
{
    char block[BLOCK];
    size_t length;
    for (size_t i = 0; i < hashes->count; i++) {
        struct bytes in = octets;
        while ((length = canon_body_fill(&hashes->of[i].canon, &in, block, sizeof(block))) > 0)
            hash_block(&hashes->of[i], block, length);
    }
}

void signature_hash_finish(struct body_hashes *hashes, struct dkim_body_fact *facts)
{
    char block[CANON_ROOM_MIN];
    size_t length;
    for (size_t i = 0; i < hashes->count; i++) {
        struct body_hash *hash = &hashes->of[i];
        while ((length = canon_body_finish(&hash->canon, block, sizeof(block))) > 0)
            hash_block(hash, block, length);
        int done = EVP_DigestFinal_ex(hash->context, facts[i].digest, NULL);
        assert(done == 1);
        facts[i].length = hash->canon.length;
    }
    signature_hash_free(hashes);
}

void signature_hash_free(struct body_hashes *hashes)
{
    for (size_t i = 0; i < hashes->count; i++)
        EVP_MD_CTX_free(hashes->of[i].context);
    hashes->count = 0;
}

/* ---- verifying ---- */

static void digest_of(struct bytes input, unsigned char digest[DKIM_DIGEST])
{
    int done = EVP_Digest(input.at, input.length, digest, NULL, sha256(), NULL);
    assert(done == 1);
}

void signature_prepare(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* a faulty one is as none: EVP has its defaults */
}

bool signature_verify(const struct signature_check *check)
{
    unsigned char digest[DKIM_DIGEST];
    digest_of(check->input, digest);
    return public_keys_verify(check->algorithm, check->key, digest, check->signature);
}

bool signature_answer(struct signature_facts *facts)
{
    for (size_t i = 0; i < facts->lacked_count; i++)
        signature_facts_add(facts, facts->lacked[i].number, signature_verify(&facts->lacked[i]));
    return facts->lacked_count > 0;
}

/* ---- signing ---- */

static bool measure(struct signing_key *key)
{
    int kind = EVP_PKEY_get_base_id(key->key);
    key->bits = (unsigned)EVP_PKEY_get_bits(key->key);
    key->algorithm = kind == EVP_PKEY_ED25519 ? DKIM_ED25519_SHA256 : DKIM_RSA_SHA256;
    if (kind == EVP_PKEY_ED25519)
        return true;
    return kind == EVP_PKEY_RSA && key->bits >= DKIM_RSA_BITS_MIN && key->bits <= DKIM_RSA_BITS_MAX;
}

/* An encrypted key has nobody here to type its passphrase. */
static int no_passphrase(char *at, int room, int writing, void *context)
{
    return -1;
}

bool signature_key_read(struct signing_key *key, struct bytes pem, const char *name, struct error *error)
{
    BIO *in = BIO_new_mem_buf(pem.at, (int)pem.length);
    *key = (struct signing_key){.key = in == NULL ? NULL
                                                  : PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL)};
    BIO_free(in);
    ERR_clear_error();
    if (key->key == NULL)
        return error_set(error, EX_DATAERR, "%s is not an unencrypted private key in PEM form", name);
    if (measure(key))
        return true;
    signature_key_free(key);
    return error_set(error, EX_DATAERR, "%s is neither an RSA key of %d to %d bits nor an Ed25519 key", name,
                     DKIM_RSA_BITS_MIN, DKIM_RSA_BITS_MAX);
}

bool signature_key_make(struct signing_key *key, enum dkim_algorithm algorithm, unsigned bits,
                        struct error *error)
{
    assert(algorithm == DKIM_ED25519_SHA256 || (bits >= DKIM_RSA_BITS_MIN && bits <= DKIM_RSA_BITS_MAX));
    EVP_PKEY *made = algorithm == DKIM_RSA_SHA256 ? EVP_RSA_gen(bits)
                                                  : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    *key = (struct signing_key){.algorithm = algorithm, .key = made};
    if (made == NULL || !measure(key)) {
        signature_key_free(key);
        return error_set(error, EX_SOFTWARE, "OpenSSL cannot make a key: %s",
                         ERR_reason_error_string(ERR_peek_last_error()));
    }
    return true;
}

void signature_key_write(const struct signing_key *key, struct buffer *pem)
{
    char *text = NULL;
    BIO *out = BIO_new(BIO_s_secmem());
    int done = out == NULL ? 0 : PEM_write_bio_PKCS8PrivateKey(out, key->key, NULL, NULL, 0, NULL, NULL);
    assert(done == 1);
    long length = BIO_get_mem_data(out, &text);
    buffer_add(pem, bytes_of(text, (size_t)length));
    BIO_free(out);
}

void signature_key_publish(const struct signing_key *key, struct buffer *out)
{
    unsigned char raw[RAW_KEY], *der = NULL;
    size_t length = sizeof(raw);
    if (key->algorithm == DKIM_ED25519_SHA256) {
        int done = EVP_PKEY_get_raw_public_key(key->key, raw, &length);
        assert(done == 1 && length == sizeof(raw));
        base64_encode(out, bytes_of(raw, length));
        return;
    }
    int octets = i2d_PUBKEY(key->key, &der);
    assert(octets > 0);
    base64_encode(out, bytes_of(der, (size_t)octets));
    OPENSSL_free(der);
}

void signature_key_free(struct signing_key *key)
{
    EVP_PKEY_free(key->key);
    *key = (struct signing_key){0};
}

static bool rsa_context(EVP_PKEY_CTX *context)
{
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1;
}

static bool sign_rsa(EVP_PKEY *key, const unsigned char digest[DKIM_DIGEST], unsigned char *at,
                     size_t *length)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool done = context != NULL && EVP_PKEY_sign_init(context) == 1 && rsa_context(context) &&
                EVP_PKEY_sign(context, at, length, digest, DKIM_DIGEST) == 1;
    EVP_PKEY_CTX_free(context);
    return done;
}

static bool sign_ed25519(EVP_PKEY *key, const unsigned char digest[DKIM_DIGEST], unsigned char *at,
                         size_t *length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, at, length, digest, DKIM_DIGEST) == 1;
    EVP_MD_CTX_free(context);
    return done;
}

bool signature_sign(const struct signing_key *key, struct bytes input, struct buffer *signature)
{
    unsigned char digest[DKIM_DIGEST];
    size_t length = (size_t)EVP_PKEY_get_size(key->key);
    unsigned char *at = (unsigned char *)buffer_reserve(signature, length);
    digest_of(input, digest);
    bool done = key->algorithm == DKIM_RSA_SHA256 ? sign_rsa(key->key, digest, at, &length)
                                                  : sign_ed25519(key->key, digest, at, &length);
    ERR_clear_error();
    buffer_written(signature, done ? length : 0);
    return done;
}
