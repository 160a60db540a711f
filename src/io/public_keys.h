/* SPDX-License-Identifier: Apache-2.0 */
/*
 * public_keys: the public keys that signatures were verified with, parsed and made ready: a sender's next
 * message costs half. A cache with a fixed number of places, by what the key is; a new key takes the place of
 * another. Its lock is held while a signature is verified, which takes 20 us with RSA of 2,048 bits.
 */
#ifndef MAILBOAT_IO_PUBLIC_KEYS_H
#define MAILBOAT_IO_PUBLIC_KEYS_H

#include "core/trust/dkim.h"

enum public_keys_limit {
    PUBLIC_KEYS_MAX = 256,        /* that are kept, each of some KiB */
    PUBLIC_KEYS_ASIDE = 4,        /* places that one key can be at */
    PUBLIC_KEY_OCTETS_MAX = 1200, /* of a key: RSA-8192 has some 1,040 */
};

/* True if the signature is of this SHA-256 digest, by this key (as in struct dkim_key). A key that OpenSSL
 * does not take, or over PUBLIC_KEY_OCTETS_MAX, is false. Leaves no error of OpenSSL behind. */
bool public_keys_verify(enum dkim_algorithm algorithm, struct bytes key,
                        const unsigned char digest[DKIM_DIGEST], struct bytes signature);
/* Number of keys that are kept. */
size_t public_keys_count(void);
/* Forgets all. */
void public_keys_clear(void);

#endif
