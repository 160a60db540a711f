/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_records: the DNS records of a domain hosted here, and their comparison with DNS. Pure: facts in,
 * records and findings out.
 *
 * domain_records() lists them all, each with its purpose. For each the caller queries DNS by name and
 * type, and domain_compare() checks the answer. Records are compared by meaning, not by text: an SPF
 * record is right if it authorizes this server, whatever else it says.
 */
#ifndef MAILBOAT_CORE_DOMAIN_DNS_RECORDS_H
#define MAILBOAT_CORE_DOMAIN_DNS_RECORDS_H

#include "base/arena.h"
#include "core/route/route.h"

enum { DOMAIN_RECORDS_MAX = 48, DOMAIN_ADDRESSES_MAX = 8, TLSA_KEY_DIGEST = 32 };

struct domain_facts {
    struct bytes domain, hostname;                        /* A-labels, lower case */
    struct route_address addresses[DOMAIN_ADDRESSES_MAX]; /* public addresses of this server */
    size_t address_count;
    uint16_t starttls[4], implicit[2]; /* ports of submission, most preferred first; 0 ends the list */
    uint16_t imap, imaps, pop3, pop3s; /* 0: not served */
    const uint8_t *key_digest;         /* SHA-256 of the certificate's key (TLSA 3 1 1); NULL if none */
};

enum domain_subject {
    SUBJECT_ADDRESS,
    SUBJECT_PTR,
    SUBJECT_MX,
    SUBJECT_SPF,
    SUBJECT_DMARC,
    SUBJECT_MTA_STS,
    SUBJECT_TLS_RPT,
    SUBJECT_TLSA,
    SUBJECT_SRV,
    DOMAIN_SUBJECTS,
};

struct domain_record {
    enum domain_subject subject;
    struct bytes name; /* owner, without its final dot */
    enum dns_type type;
    struct bytes value;           /* in zone file syntax */
    bool needed;                  /* without it mail is lost or rejected; otherwise recommended */
    struct route_address address; /* ADDRESS, PTR */
    uint16_t port;                /* SRV */
};

const char *domain_subject_name(enum domain_subject subject); /* "MX" */
const char *domain_subject_use(enum domain_subject subject);  /* its purpose, in words */

/* Lists the records. Texts live in `arena`. `records` has room for DOMAIN_RECORDS_MAX. */
size_t domain_records(const struct domain_facts *facts, struct arena *arena, struct domain_record *records);

enum domain_verdict {
    RECORD_RIGHT,
    RECORD_MISSING,
    RECORD_DIFFERENT, /* the value differs: see `found` and `hint` */
    RECORD_UNSURE,    /* possibly right: see `hint` */
    RECORD_UNKNOWN,   /* DNS gave no trustworthy answer */
    DOMAIN_VERDICTS,
};
const char *domain_verdict_name(enum domain_verdict verdict);

struct domain_finding {
    enum domain_verdict verdict;
    struct bytes found, hint; /* in `arena`; may be empty */
};
struct domain_finding domain_compare(const struct domain_facts *facts, const struct domain_record *record,
                                     const struct dns_answer *said, struct arena *arena);

/* Returns "192.0.2.1", or "2001:db8::1" in full groups. */
struct bytes domain_address_text(const struct route_address *address, struct arena *arena);
/* True if the address is reachable from outside: not private, loopback, link-local or shared (RFC 1918,
 * 4193, 6598). */
bool domain_address_is_public(const struct route_address *address);
/* Returns the text of an MTA-STS policy (RFC 8461 3.2) for this server. */
struct bytes domain_sts_policy(const struct domain_facts *facts, struct arena *arena);

#endif
