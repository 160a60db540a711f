/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate: what is wrong with a server's certificate: dates, names, chain. For `config check` and the
 * server's start by its files, for `doctor` by what a port serves.
 */
#ifndef MAILBOAT_IO_CERTIFICATE_H
#define MAILBOAT_IO_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

enum certificate_fault {
    CERTIFICATE_EXPIRED,
    CERTIFICATE_NOT_YET_VALID,
    CERTIFICATE_OTHER_NAME,
    CERTIFICATE_SELF_SIGNED,
    CERTIFICATE_CHAIN_INCOMPLETE, /* the issuer is neither sent nor trusted by this machine */
    CERTIFICATE_UNTRUSTED,        /* another reason not to trust the chain */
    CERTIFICATE_EXPIRES_SOON,
    CERTIFICATE_FAULTS
};

enum { CERTIFICATE_WARN_DAYS = 14 };

/* Faults in the order of their weight, as bits (1 << fault), and the days that are left (negative: since
 * when it has expired). `chain` are the certificates that come with it, with or without itself; may be
 * NULL. `authorities`: PEM file of trusted CA certificates; NULL: those of this machine. */
unsigned certificate_faults(X509 *certificate, STACK_OF(X509) * chain, const char *hostname,
                            const char *authorities, int *days);
enum { CERTIFICATE_WORDS_SIZE = 160 };
/* "has expired", for "the certificate ...". Of one that is not valid yet it says from when on, and what this
 * machine's clock says. */
const char *certificate_fault_words(enum certificate_fault fault, const X509 *certificate,
                                    char words[CERTIFICATE_WORDS_SIZE]);
const char *certificate_fault_hint(enum certificate_fault fault);

/* Opens a certificate and its key as the server would. False with a reason (EX_CONFIG) if the server could
 * not use them: unreadable, not PEM, an encrypted key, a key of another certificate. Otherwise appends one
 * line with "\n" to `warnings` for each fault that clients will see, and for a key that all users of this
 * machine can read. */
bool certificate_check_files(const char *certificate_file, const char *key_file, const char *hostname,
                             const char *authorities, struct buffer *warnings, struct error *error);

#endif
