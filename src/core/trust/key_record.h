/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_record: the DNS record of a key that we sign with (RFC 6376 3.6), as people publish it, and what DNS
 * shows of it.
 *
 * A record is shown in three forms: as one line; as strings of at most 255 octets for zone files; and as name
 * and value for a provider's web form. key_record_compare() judges an answer of DNS by meaning: a record may
 * have other tags and another order.
 */
#ifndef MAILBOAT_CORE_TRUST_KEY_RECORD_H
#define MAILBOAT_CORE_TRUST_KEY_RECORD_H

#include "base/buffer.h"
#include "core/dns/dns_answer.h"
#include "core/trust/dkim_key.h"

enum key_record_limit {
    KEY_SELECTOR_MAX = 63,       /* octets */
    KEY_RECORD_STRING_MAX = 255, /* octets of a string of a TXT record (RFC 1035 3.3) */
    KEY_RECORD_CUT_MIN = 8,      /* octets of base64 from which on a beginning counts as our key's */
};

/* The public half of a key and where it is published; all texts are borrowed. */
struct key_record {
    struct bytes domain, selector; /* in A-labels */
    enum dkim_algorithm algorithm;
    struct bytes public_key; /* base64, without white space: p= */
};

/* Returns "rsa" or "ed25519": k= of the record, and the word in the configuration. */
const char *key_record_algorithm(enum dkim_algorithm algorithm);
/* Sets *algorithm from that word in any case; false if it is another. */
bool key_record_algorithm_named(struct bytes word, enum dkim_algorithm *algorithm);

/* Appends "SELECTOR._domainkey.DOMAIN". */
void key_record_name(const struct key_record *record, struct buffer *out);
/* Appends "v=DKIM1; k=rsa; p=...". */
void key_record_value(const struct key_record *record, struct buffer *out);
/* Appends the value of a key that is no longer valid: "v=DKIM1; p=" (RFC 6376 3.6.1). */
void key_record_revoked_value(struct buffer *out);
/* Appends `value` as quoted strings of at most KEY_RECORD_STRING_MAX octets each: "..." "...". */
void key_record_strings(struct bytes value, struct buffer *out);

/* Appends a selector: `base` if it is not empty, else one of this server with algorithm and month,
 * "mb-rsa-202611"; from the second attempt on with its number: "mb-rsa-202611-2". */
void key_record_selector(struct bytes base, enum dkim_algorithm algorithm, uint64_t now_s, unsigned attempt,
                         struct buffer *out);

/* The place of the record as DNS shows it. */
enum key_seen {
    KEY_SEEN_UNKNOWN,   /* not asked, or DNS gave no answer */
    KEY_SEEN_OURS,      /* the record, whatever else it says */
    KEY_SEEN_MISSING,   /* no such name, or no TXT record there */
    KEY_SEEN_ALIAS,     /* an alias (CNAME) that leads to no TXT record */
    KEY_SEEN_NO_DOMAIN, /* the domain itself has no DNS */
    KEY_SEEN_REVOKED,   /* p= is empty */
    KEY_SEEN_CUT,       /* the beginning of our key: most often the first 255 octets */
    KEY_SEEN_QUOTED,    /* quotation marks are part of the text */
    KEY_SEEN_SEVERAL,   /* more than one TXT record: which is used is undefined (RFC 6376 3.6.2.2) */
    KEY_SEEN_OTHER,     /* another valid key */
    KEY_SEEN_BROKEN,    /* a record that no receiver takes for a key */
    KEY_SEEN_KINDS
};

/* Judges the answer to a TXT query for key_record_name(). Never KEY_SEEN_ALIAS or KEY_SEEN_NO_DOMAIN: those
 * need other queries. */
enum key_seen key_record_compare(const struct key_record *record, const struct dns_answer *answer);
/* True if DNS has said that the key cannot be used: all but KEY_SEEN_UNKNOWN and KEY_SEEN_OURS. */
bool key_seen_is_wrong(enum key_seen seen);
/* Returns the word of stored states and of JSON: "ours", "missing". */
const char *key_seen_name(enum key_seen seen);
bool key_seen_named(struct bytes name, enum key_seen *seen);
/* Returns what is wrong and what to do, as a clause with its own subject: "the record is cut ..."; for
 * KEY_SEEN_OURS and KEY_SEEN_UNKNOWN what is so. */
const char *key_seen_words(enum key_seen seen);

#endif
