/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srs: the Sender Rewriting Scheme. A message that is forwarded to another domain leaves with an envelope
 * sender of ours, so that SPF passes at the next server; only bounces to it come back, to whom it names.
 *
 * SRS0=HASH=TIME=DOMAIN=LOCAL@us is made of a foreign sender; SRS1=HASH=FIRST==HASH=TIME=DOMAIN=LOCAL@us of
 * one that another forwarder has made, to which a bounce goes back. The hash is an HMAC. This room computes
 * none: it says what to hash, the shell hashes (two-step, no callback):
 *
 *     srs_plan(&plan, sender, now_s)   ->  plan.signed_text for the HMAC
 *     srs_write(&plan, mac, domain, out)
 *
 *     srs_read(&reading, local_part)   ->  reading.signed_text for the HMAC
 *     srs_open(&reading, mac, now_s, out)
 *
 * The forms are those of Shevek's paper of 2004, which other forwarders read.
 */
#ifndef MAILBOAT_CORE_TRUST_SRS_H
#define MAILBOAT_CORE_TRUST_SRS_H

#include "base/buffer.h"

enum srs_limit {
    SRS_DAYS_MAX = 21,   /* a bounce is accepted for so long */
    SRS_MAC_OCTETS = 5,  /* of the HMAC that are used; more would make addresses too long for some servers */
    SRS_HASH_LENGTH = 8, /* characters of the hash in an address: base32 in any case */
    SRS_LOCAL_MAX = 256, /* octets of a local part that is made or read; over 64 RFC 5321 leaves it to servers
                          */
    SRS_SIGNED_MAX = 600, /* octets of the text that is hashed */
};

enum srs_form { SRS_FORM_0, SRS_FORM_1 };

/* A text for the HMAC-SHA-256 with the key of this server; the first SRS_MAC_OCTETS of the result are used.
 */
struct srs_signed {
    char at[SRS_SIGNED_MAX];
    size_t length;
};

struct srs_plan {
    enum srs_form form;
    char time[2];               /* days since the epoch, modulo 1024, in base32 */
    struct bytes local, domain; /* SRS0: of the sender; SRS1: what follows, and the first forwarder */
    bool quoted;                /* the local part needs quotes; `local` is what is between them */
    struct srs_signed signed_text;
};

/* Plans the rewriting of a sender ("local@domain", a valid address, not null). False: it cannot be
 * rewritten, since its local part is empty or would be longer than SRS_LOCAL_MAX, or its domain is an address
 * literal; then it is forwarded as it is. Borrows from `sender`. */
bool srs_plan(struct srs_plan *plan, struct bytes sender, uint64_t now_s);
/* Appends the new sender. `domain` is ours; `mac` has SRS_MAC_OCTETS. */
void srs_write(const struct srs_plan *plan, const uint8_t *mac, struct bytes domain, struct buffer *out);

struct srs_reading {
    enum srs_form form;
    struct bytes hash;
    char time[2];
    struct bytes local, domain; /* as in struct srs_plan */
    bool quoted;
    struct srs_signed signed_text;
};

/* True if a local part has the form of a sender that srs_write() made, in any case of letters. Borrows from
 * it. */
bool srs_read(struct srs_reading *reading, struct bytes local);

enum srs_result {
    SRS_OPENED,
    SRS_FORGED,  /* the hash is not ours */
    SRS_EXPIRED, /* made more than SRS_DAYS_MAX days ago, or over a day in the future */
};
/* Checks the hash and the age, and with SRS_OPENED appends the address that the bounce goes to. */
enum srs_result srs_open(const struct srs_reading *reading, const uint8_t *mac, uint64_t now_s,
                         struct buffer *out);

#endif
