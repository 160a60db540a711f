/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dkim_key: the public keys that domains publish for their signatures (RFC 6376 3.6.1, RFC 8301, RFC 8463),
 * also those of ARC.
 *
 * A record is parsed, then compared with what a signature wants of it. The key itself is only measured here:
 * the shell that has a library for cryptography gets its octets.
 */
#ifndef MAILBOAT_CORE_TRUST_DKIM_KEY_H
#define MAILBOAT_CORE_TRUST_DKIM_KEY_H

#include "base/arena.h"

enum dkim_key_limit {
    DKIM_RSA_BITS_MIN = 1024, /* RFC 8301 3.2 */
    DKIM_RSA_BITS_MAX = 8192,
    DKIM_RSA_EXPONENT_BITS_MAX = 64, /* larger ones make verifying slow; no key has one */
    DKIM_ED25519_OCTETS = 32,
};

enum dkim_algorithm { DKIM_RSA_SHA256, DKIM_ED25519_SHA256, DKIM_ALGORITHMS };

enum dkim_key_fault {
    DKIM_KEY_FINE,
    DKIM_KEY_MALFORMED,  /* not a list of tags, or without p= */
    DKIM_KEY_VERSION,    /* v= is there and not DKIM1, or not the first tag */
    DKIM_KEY_ALGORITHM,  /* k= is not the signature's */
    DKIM_KEY_HASH,       /* h= does not have sha256 */
    DKIM_KEY_SERVICE,    /* s= has neither email nor * */
    DKIM_KEY_REVOKED,    /* p= is empty */
    DKIM_KEY_NOT_BASE64, /* p= */
    DKIM_KEY_NOT_A_KEY,  /* the octets of p= are not a key of that kind */
    DKIM_KEY_TOO_SHORT,  /* below DKIM_RSA_BITS_MIN */
    DKIM_KEY_TOO_LONG,   /* above DKIM_RSA_BITS_MAX, or its exponent above its limit */
    DKIM_KEY_FAULTS
};

struct dkim_key {
    enum dkim_algorithm algorithm;
    /* RSA: RSAPublicKey in DER (RFC 8017 A.1.1), also where the record has a SubjectPublicKeyInfo around it;
     * Ed25519: the 32 octets (RFC 8463 4). Lives in the arena. */
    struct bytes octets;
    unsigned bits; /* RSA: of the modulus; Ed25519: 256 */
    bool testing;  /* t=y */
    bool strict;   /* t=s: i= has no subdomain of d= */
};

/* Parses the record for a signature of this algorithm. With DKIM_KEY_TOO_SHORT and DKIM_KEY_TOO_LONG
 * *key is filled as well. */
enum dkim_key_fault dkim_key_parse(struct dkim_key *key, struct bytes record, enum dkim_algorithm algorithm,
                                   struct arena *arena);
/* Returns the reason for people: "key revoked". */
const char *dkim_key_fault_reason(enum dkim_key_fault fault);

/* Decodes base64 with white space in it, and with or without its padding (RFC 6376 2.10), into the arena;
 * false if malformed or empty. */
bool dkim_base64(struct bytes text, struct arena *arena, struct bytes *octets);

#endif
