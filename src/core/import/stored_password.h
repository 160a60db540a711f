/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stored_password: a password as other servers keep it: "{SHA512-CRYPT}$6$salt$hash" of Dovecot, or the hash
 * of crypt(5) alone. Says whether crypt(3) can check it; checks the form, so that a hash that was cut is not
 * stored as one that no password matches.
 */
#ifndef MAILBOAT_CORE_IMPORT_STORED_PASSWORD_H
#define MAILBOAT_CORE_IMPORT_STORED_PASSWORD_H

#include "base/bytes.h"

enum stored_password_kind {
    STORED_NOT,     /* not in a stored form: a password as a person types it */
    STORED_PLAIN,   /* {PLAIN}, {CLEARTEXT}: `value` is the password itself */
    STORED_HASH,    /* `value` is a hash that crypt(3) can check */
    STORED_FOREIGN, /* a hash of a scheme that cannot be checked here, such as {ARGON2ID} */
    STORED_DAMAGED, /* the form of a scheme for crypt(3), but not a whole hash */
};

enum { STORED_HASH_MAX = 383 }; /* octets: CRYPT_OUTPUT_SIZE without its NUL */

struct stored_password {
    enum stored_password_kind kind;
    struct bytes scheme; /* "SHA512-CRYPT", as written; for a bare hash the name of its method */
    struct bytes value;
};

/* Texts are borrowed. A bare text is a hash only if it has the whole form of a "$" method; `crypt_default`:
 * also if it has the 13 characters of traditional crypt, as in a file whose default scheme is CRYPT. */
struct stored_password stored_password_read(struct bytes text, bool crypt_default);

#endif
