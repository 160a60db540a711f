/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier: SCRAM's arithmetic (RFC 5802 3, with SHA-256 as RFC 7677 has it).
 *
 * A server keeps of a password its stored key and its server key: with these
 * it can check a proof, and make none. A client derives the client key from
 * the password, proves that it has it, and sees by the server's signature
 * that the server knew the password too.
 */
#ifndef MAILBOAT_IO_VERIFIER_H
#define MAILBOAT_IO_VERIFIER_H

#include "core/sasl/scram.h"

enum {
    VERIFIER_SALT = 16,          /* octets */
    VERIFIER_ITERATIONS = 50000, /* of ours: some 20 ms for a client, once a connection */
};

/* What is kept in accounts.db. */
struct verifier {
    uint8_t stored_key[SCRAM_KEY], server_key[SCRAM_KEY];
};

struct verifier_keys {
    uint8_t client_key[SCRAM_KEY];
    struct verifier verifier;
};

/* Slow on purpose: PBKDF2. The password is prepared: see saslprep.h. */
void verifier_derive(struct verifier_keys *keys, struct bytes password, struct bytes salt,
                     uint32_t iterations);

/* ---- the server's side ---- */
bool verifier_accepts(const struct verifier *verifier, struct bytes message, const uint8_t proof[SCRAM_KEY]);
void verifier_sign(const struct verifier *verifier, struct bytes message, uint8_t signature[SCRAM_KEY]);

/* ---- the client's side ---- */
void verifier_prove(const struct verifier_keys *keys, struct bytes message, uint8_t proof[SCRAM_KEY]);

/* The salt of a name: the same one each time, whether there is such a user or not. */
void verifier_salt(uint8_t salt[VERIFIER_SALT], struct bytes secret, struct bytes name);

#endif
