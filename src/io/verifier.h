/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier: the cryptography of SCRAM (RFC 5802 3, with SHA-256 as in RFC 7677).
 *
 * A server stores only a stored key and a server key: they can verify a proof, but not make one. A client
 * derives the client key from the password, proves that it has it, and checks by the server's signature
 * that the server knew the password too.
 */
#ifndef MAILBOAT_IO_VERIFIER_H
#define MAILBOAT_IO_VERIFIER_H

#include "core/sasl/scram.h"

enum {
    VERIFIER_SALT = 16,          /* octets */
    VERIFIER_ITERATIONS = 50000, /* for new passwords: some 20 ms for a client, once per connection */
};

/* The record stored in accounts.db. */
struct verifier {
    uint8_t stored_key[SCRAM_KEY], server_key[SCRAM_KEY];
};

struct verifier_keys {
    uint8_t client_key[SCRAM_KEY];
    struct verifier verifier;
};

/* Slow on purpose: PBKDF2. The password must be prepared: see saslprep.h. */
void verifier_derive(struct verifier_keys *keys, struct bytes password, struct bytes salt,
                     uint32_t iterations);

/* ---- server side ---- */
bool verifier_accepts(const struct verifier *verifier, struct bytes message, const uint8_t proof[SCRAM_KEY]);
void verifier_sign(const struct verifier *verifier, struct bytes message, uint8_t signature[SCRAM_KEY]);

/* ---- client side ---- */
void verifier_prove(const struct verifier_keys *keys, struct bytes message, uint8_t proof[SCRAM_KEY]);

/* Derives the salt of a name: always the same, whether the user exists or not. */
void verifier_salt(uint8_t salt[VERIFIER_SALT], struct bytes secret, struct bytes name);

#endif
