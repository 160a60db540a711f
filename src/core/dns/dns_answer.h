/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_answer: DNS's answer to one question, as plain facts: the status, the records, and whether DNSSEC
 * validated them.
 *
 * io/dns fills it from libunbound's answer, a test or a simulation by hand; the machines that need DNS
 * (route, tls_policy, discovery, dns_records) read it. Types and statuses have the names and numbers of
 * RFC 1035 and related RFCs.
 */
#ifndef MAILBOAT_CORE_DNS_DNS_ANSWER_H
#define MAILBOAT_CORE_DNS_DNS_ANSWER_H

#include "base/bytes.h"

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_TLSA = 52
};

enum dns_status {
    DNS_UNKNOWN, /* not looked up yet */
    DNS_FOUND,
    DNS_NO_DATA,        /* the name exists, without such a record */
    DNS_NXDOMAIN,       /* the name does not exist */
    DNS_SERVER_FAILURE, /* temporary failure */
    DNS_BOGUS,          /* DNSSEC validation failed */
};

struct dns_record {
    uint16_t preference;   /* MX; SRV: priority */
    uint16_t weight, port; /* SRV (RFC 2782) */
    /* MX, SRV, PTR, CNAME, NS: the host, without its final dot; "" is the null MX, or a service that is not
     * there
     */
    struct bytes name;
    uint8_t address[16]; /* A (4 octets), AAAA (16) */
    /* TXT: its strings concatenated (RFC 7208 3.3); TLSA: the certificate association data */
    struct bytes data;
    uint8_t usage, selector, matching; /* TLSA (RFC 6698 2.1) */
};

/* Texts and records are borrowed: from io/dns, during the call that passes it. */
struct dns_answer {
    enum dns_status status;
    bool unanswered; /* SERVER_FAILURE: no resolver of this machine answers; it tells nothing about the name
                      */
    bool secure;     /* validated by DNSSEC, including each alias */
    bool cut;        /* there are more records than these: DNS_RECORDS_MAX, DNS_RECORDS_OCTETS_MAX */
    uint32_t ttl_s;  /* how long it may be remembered (RFC 1035 3.2.1, RFC 2308 5); 0: not at all */
    struct bytes canonical; /* the target of aliases; empty if there are none */
    const struct dns_record *records;
    size_t count;
};

const char *dns_type_name(enum dns_type type); /* "MX" */
/* True if a server of the zone answered, with records or that none exist. Otherwise the query failed, or
 * was not sent. */
bool dns_status_is_told(enum dns_status status);

#endif
