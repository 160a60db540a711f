/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature: the cryptography of DKIM and ARC (RFC 6376 3.3, RFC 8463) with OpenSSL: digests of bodies that
 * stream, whether signatures verify, and the making of signatures.
 *
 * core/trust decides what is hashed, verified and signed; here it is done. Hashing and verifying touch no
 * file and no secret.
 */
#ifndef MAILBOAT_IO_SIGNATURE_H
#define MAILBOAT_IO_SIGNATURE_H

#include "base/error.h"
#include "core/trust/dkim.h"

struct evp_md_ctx_st;
struct evp_pkey_st;

/* ---- bodies ---- */

enum { SIGNATURE_BODIES_MAX = DKIM_BODIES_MAX + 1 }; /* DKIM has so many, and ARC one */

/* The digests of a body that a message's signatures need; all-zero: none, and nothing to free. */
struct body_hashes {
    struct body_hash {
        struct canon_body canon;
        struct evp_md_ctx_st *context;
    } of[SIGNATURE_BODIES_MAX];
    size_t count;
};

/* Begins the digests of `count` canonical forms, at most SIGNATURE_BODIES_MAX: those of struct dkim,
 * struct arc or struct judgement. */
void signature_hash_start(struct body_hashes *hashes, const struct dkim_body *bodies, size_t count);
/* Adds octets of the body, in any pieces. */
void signature_hash_add(struct body_hashes *hashes, struct bytes octets);
/* Ends them: fills facts[0 to count) and frees what they used. */
void signature_hash_finish(struct body_hashes *hashes, struct dkim_body_fact *facts);
/* Frees what they used, without a digest. */
void signature_hash_free(struct body_hashes *hashes);

/* ---- verifying ---- */

/* Reads what OpenSSL otherwise reads from a file when it verifies for the first time: before the sandbox. */
void signature_prepare(void);

/* True if the signature is of this input, by this key. A key that OpenSSL does not take is false. */
bool signature_verify(const struct signature_check *check);
/* Verifies all signatures that the facts lack, and adds the answers; true if there were any. */
bool signature_answer(struct signature_facts *facts);

/* ---- signing ---- */

/* A private key. */
struct signing_key {
    enum dkim_algorithm algorithm;
    unsigned bits;
    struct evp_pkey_st *key;
};

/* Reads a private key in PEM (PKCS #8, or PKCS #1 for RSA): RSA of 1024 to 8192 bits, or Ed25519. `name` is
 * for the error. */
bool signature_key_read(struct signing_key *key, struct bytes pem, const char *name, struct error *error);
/* Makes a new key; `bits` is for RSA. */
bool signature_key_make(struct signing_key *key, enum dkim_algorithm algorithm, unsigned bits,
                        struct error *error);
/* Appends the private key in PEM (PKCS #8). The buffer holds a secret: buffer_wipe(). */
void signature_key_write(const struct signing_key *key, struct buffer *pem);
/* Appends the p= of its record: base64 (RFC 6376 3.6.1, RFC 8463 4.2). */
void signature_key_publish(const struct signing_key *key, struct buffer *out);
void signature_key_free(struct signing_key *key);
/* Appends the octets of the signature of this input; false, and nothing, if the key does not sign. Threads
 * may share a key. */
bool signature_sign(const struct signing_key *key, struct bytes input, struct buffer *signature);

#endif
