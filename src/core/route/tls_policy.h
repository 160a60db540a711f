/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_policy: decides whether mail may go to a host, and with which security, from facts alone: DANE (RFC
 * 7671, RFC 7672), MTA-STS (RFC 8461), REQUIRETLS (RFC 8689), and the domain's configuration.
 *
 * tls_policy_next() is called with the facts known so far, again from the start with one more fact, until
 * it decides. DANE has precedence over MTA-STS.
 */
#ifndef MAILBOAT_CORE_ROUTE_TLS_POLICY_H
#define MAILBOAT_CORE_ROUTE_TLS_POLICY_H

#include "core/route/sts.h"

/* The policy configured for a domain. */
enum tls_wish {
    WISH_MAY,     /* TLS if offered, unverified; ignores the domain's published policy */
    WISH_AUTO,    /* the published policy: DANE, else MTA-STS, else as MAY */
    WISH_ENCRYPT, /* TLS required; unverified */
    WISH_VERIFY,  /* TLS with a certificate valid for the host */
    WISH_DANE,    /* DANE required */
    WISH_NONE,    /* no TLS */
};

/* The requirement for a connection. */
enum tls_demand {
    DEMAND_MAY,
    DEMAND_ENCRYPT,
    DEMAND_VERIFY, /* a certificate valid for the host's name, from a trusted CA */
    DEMAND_DANE,   /* one that matches a TLSA record */
    DEMAND_CLEAR,
    DEMAND_REFUSE, /* the host is not contacted */
};

/* The source of the decision, named like Postfix' security levels. */
enum tls_level {
    TLS_LEVEL_UNDECIDED,
    TLS_LEVEL_NONE,
    TLS_LEVEL_MAY,
    TLS_LEVEL_ENCRYPT,
    TLS_LEVEL_VERIFY,
    TLS_LEVEL_DANE,
    TLS_LEVEL_DANE_UNUSABLE,
    TLS_LEVEL_STS,
    TLS_LEVEL_STS_TESTING,
    TLS_LEVEL_REQUIRETLS,
};
const char *tls_level_name(enum tls_level level); /* "dane", "sts-testing" ...; "" before a decision */

enum {
    TLSA_BASES = 2,
    TLSA_RECORDS_MAX = 100, /* usable records of one name; further ones are ignored */
};

struct tls_facts {
    enum tls_wish wish;
    bool requiretls; /* the message */
    bool literal;    /* the destination is an address, which has no published policy */
    bool mx_secure, address_secure;
    /* base names of TLSA records: the target of the host's aliases, the host; empty if the same */
    struct bytes bases[TLSA_BASES];
    struct dns_answer tlsa[TLSA_BASES];
    enum dns_status alias; /* of the host's own CNAME, looked up if aliases lead out of DNSSEC */
    bool alias_secure;
    struct bytes host;
    bool sts_known;
    const struct sts_policy *sts; /* NULL: the domain has none */
};

enum tls_policy_kind {
    TLS_POLICY_DECIDED,
    TLS_POLICY_ASK_TLSA,
    TLS_POLICY_ASK_ALIAS /* the CNAME of host */,
    TLS_POLICY_ASK_STS
};
struct tls_policy {
    enum tls_policy_kind kind;
    size_t base; /* index into bases: to look up; of DEMAND_DANE */
    enum tls_demand demand;
    bool final;      /* REFUSE: REQUIRETLS is impossible there */
    bool lacks_dane; /* REFUSE: the configuration requires DANE, and the host has no secure TLSA records */
    enum tls_level level;
    const char *reason; /* a clause: why */
};

struct tls_policy tls_policy_next(const struct tls_facts *facts);

/* True if this record is usable for SMTP (RFC 7672 3.1). */
bool tls_policy_tlsa_is_usable(const struct dns_record *record);

#endif
