/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_records: what DNS must say about a domain whose mail is here, and what to
 * make of what it says. Pure: facts in, records and findings out.
 *
 * domain_records() names them all, each with what it is for. Then for each
 * the shell asks DNS for its name and type, and domain_compare() judges the
 * answer. Records are compared by what they mean, not by their text: an SPF
 * record is right when it lets this server send, whatever else it says.
 */
#ifndef MAILBOAT_CORE_DOMAIN_DNS_RECORDS_H
#define MAILBOAT_CORE_DOMAIN_DNS_RECORDS_H

#include "base/arena.h"
#include "core/route/route.h"

enum { DOMAIN_RECORDS_MAX = 48, DOMAIN_ADDRESSES_MAX = 8, TLSA_KEY_DIGEST = 32 };

struct domain_facts {
    struct bytes domain, hostname;                        /* A-labels, lower case */
    struct route_address addresses[DOMAIN_ADDRESSES_MAX]; /* of this server, as others see them */
    size_t address_count;
    uint16_t starttls[4], implicit[2]; /* ports of submission, the best first; 0 ends */
    uint16_t imap, imaps, pop3, pop3s; /* 0: not served */
    const uint8_t *key_digest;         /* SHA-256 of the certificate's key (TLSA 3 1 1); NULL: none */
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
    struct bytes value;           /* as a zone file has it */
    bool needed;                  /* without it mail is lost or refused; else it is better to have it */
    struct route_address address; /* ADDRESS, PTR */
    uint16_t port;                /* SRV */
};

const char *domain_subject_name(enum domain_subject subject); /* "MX" */
const char *domain_subject_use(enum domain_subject subject);  /* what it is for, in words */

/* Texts live in `arena`. `records` has room for DOMAIN_RECORDS_MAX. */
size_t domain_records(const struct domain_facts *facts, struct arena *arena, struct domain_record *records);

enum domain_verdict {
    RECORD_RIGHT,
    RECORD_MISSING,
    RECORD_DIFFERENT, /* it says something else: see `found` and `hint` */
    RECORD_UNSURE,    /* it may be right: see `hint` */
    RECORD_UNKNOWN,   /* DNS gave no answer that can be believed */
    DOMAIN_VERDICTS,
};
const char *domain_verdict_name(enum domain_verdict verdict);

struct domain_finding {
    enum domain_verdict verdict;
    struct bytes found, hint; /* in `arena`; may be empty */
};
struct domain_finding domain_compare(const struct domain_facts *facts, const struct domain_record *record,
                                     const struct dns_answer *said, struct arena *arena);

/* The name under which an address is looked up backwards: "1.2.0.192.in-addr.arpa". */
struct bytes domain_reverse_name(const struct route_address *address, struct arena *arena);
/* "192.0.2.1", "2001:db8::1" written out in full groups. */
struct bytes domain_address_text(const struct route_address *address, struct arena *arena);
/* Can others reach it? Not private, loopback, link-local or shared (RFC 1918, 4193, 6598). */
bool domain_address_is_public(const struct route_address *address);
/* The text of an MTA-STS policy (RFC 8461 3.2) for this server. */
struct bytes domain_sts_policy(const struct domain_facts *facts, struct arena *arena);

#endif
