/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_records: the DNS records of a domain hosted here. Pure: facts in, records out.
 *
 * domain_records() lists them all, each with its purpose, as lines for a zone file and as fields for a web
 * form. domain_check.h compares them with what DNS says.
 */
#ifndef MAILBOAT_CORE_DOMAIN_DNS_RECORDS_H
#define MAILBOAT_CORE_DOMAIN_DNS_RECORDS_H

#include "base/arena.h"
#include "core/domain/sts_settings.h"
#include "core/route/route.h"
#include "core/trust/key_state.h"

enum {
    DOMAIN_RECORDS_MAX = 64,
    DOMAIN_ADDRESSES_MAX = 8,
    DOMAIN_KEYS_MAX = 8, /* of one domain; further ones are not shown */
    TLSA_KEY_DIGEST = 32,
};

/* A key for signing mail of the domain, prepared to retired: of a removed one no record is needed. */
struct domain_key {
    struct key_record record;
    enum key_stage stage;
};

struct domain_facts {
    struct bytes domain, hostname;                        /* A-labels, lower case */
    struct route_address addresses[DOMAIN_ADDRESSES_MAX]; /* public addresses of this server */
    size_t address_count;
    struct bytes smarthost;            /* all mail leaves through it; empty: directly */
    uint16_t starttls[4], implicit[2]; /* ports of submission, most preferred first; 0 ends the list */
    uint16_t imap, imaps, pop3, pop3s; /* 0: not served */
    const uint8_t *key_digest;         /* SHA-256 of the certificate's key (TLSA 3 1 1); NULL if none */
    struct domain_key keys[DOMAIN_KEYS_MAX];
    size_t key_count;
    struct bytes keys_unreadable; /* why the keys could not be read; empty: they are all of them */
    struct sts_settings sts;      /* of the policy that this server publishes */
    bool passed_on;               /* its mail goes on to another server: report_address.h is not read here */
    bool web;                     /* this server answers HTTPS on the port of the web */
    struct bytes sts_served;      /* the policy of the domain, as it was fetched; empty: there is none */
};

enum domain_subject {
    SUBJECT_ADDRESS,
    SUBJECT_PTR,
    SUBJECT_MX,
    SUBJECT_SPF,
    SUBJECT_HELO_SPF,
    SUBJECT_DKIM,
    SUBJECT_DMARC,
    SUBJECT_STS_HOST,
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
    struct bytes value;              /* in zone file syntax: TXT as strings of at most 255 octets */
    struct bytes text;               /* the same for a web form: TXT on one line, a host without its dot */
    bool needed;                     /* without it mail is lost or rejected; otherwise recommended */
    struct route_address address;    /* ADDRESS, PTR */
    uint16_t priority, weight, port; /* MX, SRV */
    const struct domain_key *key;    /* DKIM */
};

const char *domain_subject_name(enum domain_subject subject); /* "MX" */
const char *domain_subject_use(enum domain_subject subject);  /* its purpose, in words */

/* Lists the records. Texts live in `arena`. `records` has room for DOMAIN_RECORDS_MAX. MTA-STS is among them
 * only while its policy is served. */
size_t domain_records(const struct domain_facts *facts, struct arena *arena, struct domain_record *records);
/* Returns the owner's name as a web form of the domain's provider wants it: "@", "_dmarc"; whole, with its
 * final dot, where the record is in another zone. */
struct bytes domain_record_form_name(const struct domain_facts *facts, const struct domain_record *record,
                                     struct arena *arena);

/* Returns "192.0.2.1" or "2001:db8::1" (RFC 5952). */
struct bytes domain_address_text(const struct route_address *address, struct arena *arena);
/* True if the address is reachable from outside: not private, loopback, link-local or shared (RFC 1918,
 * 4193, 6598). */
bool domain_address_is_public(const struct route_address *address);

#endif
