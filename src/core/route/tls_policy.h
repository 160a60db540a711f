/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_policy: whether mail may go to a host, and how secured, decided from
 * facts alone: DANE (RFC 7671, RFC 7672), MTA-STS (RFC 8461), REQUIRETLS
 * (RFC 8689), and what the configuration says about the domain.
 *
 * tls_policy_next() is called with the facts known so far, again from the
 * top with one fact more, until it decides. DANE wins over MTA-STS.
 */
#ifndef MAILBOAT_CORE_ROUTE_TLS_POLICY_H
#define MAILBOAT_CORE_ROUTE_TLS_POLICY_H

#include "core/route/sts.h"

/* What the configuration wishes for a domain. */
enum tls_wish {
    WISH_MAY,     /* TLS where it is offered, nobody checked; what the domain publishes does not count */
    WISH_AUTO,    /* what the domain publishes: DANE, else MTA-STS, else as MAY */
    WISH_ENCRYPT, /* TLS or not at all; nobody is checked */
    WISH_VERIFY,  /* TLS with a certificate that is valid for the host */
    WISH_DANE,    /* DANE or not at all */
    WISH_NONE,    /* in clear */
};

/* What a connection must have. */
enum tls_demand {
    DEMAND_MAY,
    DEMAND_ENCRYPT,
    DEMAND_VERIFY, /* a certificate valid for the host's name, from a CA that is trusted */
    DEMAND_DANE,   /* one that matches a TLSA record */
    DEMAND_CLEAR,
    DEMAND_REFUSE, /* the host is not talked with */
};

/* By what it was decided, in the words of Postfix' security levels. */
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
const char *tls_level_name(enum tls_level level); /* "dane", "sts-testing" ...; "" while undecided */

enum {
    TLSA_BASES = 2,
    TLSA_RECORDS_MAX = 100, /* that can be used, of one name; those behind do not count */
};

struct tls_facts {
    enum tls_wish wish;
    bool requiretls; /* the message */
    bool literal;    /* the destination is an address, about which nothing is published */
    bool mx_secure, address_secure;
    /* names below which TLSA records may be: where the host's aliases lead, the host; empty where the same */
    struct bytes bases[TLSA_BASES];
    struct dns_answer tlsa[TLSA_BASES];
    enum dns_status alias; /* of the host's own CNAME, asked for where aliases lead out of DNSSEC */
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
    size_t base; /* of bases: to ask for; of DEMAND_DANE */
    enum tls_demand demand;
    bool final; /* REFUSE: REQUIRETLS cannot be had there */
    enum tls_level level;
    const char *reason; /* a clause: why */
};

struct tls_policy tls_policy_next(const struct tls_facts *facts);

/* May this record be used for mail (RFC 7672 3.1)? */
bool tls_policy_tlsa_is_usable(const struct dns_record *record);

#endif
