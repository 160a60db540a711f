/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_answer: what DNS says to one question, as plain facts: the status, the
 * records, and whether DNSSEC vouches for them.
 *
 * io/dns fills it from libunbound's answer, a test or a simulation by hand; the
 * machines that need DNS (route, tls_policy, discovery, dns_records) read it.
 * Types and statuses have the names and numbers of RFC 1035 and its kin.
 */
#ifndef MAILBOAT_CORE_DNS_DNS_ANSWER_H
#define MAILBOAT_CORE_DNS_DNS_ANSWER_H

#include "base/bytes.h"

enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_TLSA = 52
};

enum dns_status {
    DNS_UNKNOWN, /* not asked yet */
    DNS_FOUND,
    DNS_NO_DATA,        /* the name is there, without such a record */
    DNS_NXDOMAIN,       /* the name is not there */
    DNS_SERVER_FAILURE, /* nobody can tell now */
    DNS_BOGUS,          /* DNSSEC says it is forged */
};

struct dns_record {
    uint16_t preference;   /* MX; SRV: priority */
    uint16_t weight, port; /* SRV (RFC 2782) */
    /* MX, SRV, PTR, CNAME: the host, without its final dot; "" is the null MX, or a service that is not there
     */
    struct bytes name;
    uint8_t address[16]; /* A (4 octets), AAAA (16) */
    struct bytes data;   /* TXT: its strings as one (RFC 7208 3.3); TLSA: what the certificate must match */
    uint8_t usage, selector, matching; /* TLSA (RFC 6698 2.1) */
};

/* Texts and records are borrowed: of io/dns, for as long as the call that hands it over. */
struct dns_answer {
    enum dns_status status;
    bool secure;            /* validated by DNSSEC, each alias on the way too */
    struct bytes canonical; /* the name at the end of the aliases; empty where there are none */
    const struct dns_record *records;
    size_t count;
};

const char *dns_type_name(enum dns_type type); /* "MX" */
/* Did a server of the zone tell what is there, or that nothing is? Else the question failed, or was not
 * asked. */
bool dns_status_is_told(enum dns_status status);

#endif
