/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/tls_policy.h"

const char *tls_level_name(enum tls_level level)
{
    static const char *const names[] = {[TLS_LEVEL_UNDECIDED] = "",
                                        [TLS_LEVEL_NONE] = "none",
                                        [TLS_LEVEL_MAY] = "may",
                                        [TLS_LEVEL_ENCRYPT] = "encrypt",
                                        [TLS_LEVEL_VERIFY] = "verify",
                                        [TLS_LEVEL_DANE] = "dane",
                                        [TLS_LEVEL_DANE_UNUSABLE] = "dane-unusable",
                                        [TLS_LEVEL_STS] = "sts",
                                        [TLS_LEVEL_STS_TESTING] = "sts-testing",
                                        [TLS_LEVEL_REQUIRETLS] = "requiretls"};
    return names[level];
}

static struct tls_policy decided(enum tls_demand demand, enum tls_level level, const char *reason)
{
    return (struct tls_policy){
        .kind = TLS_POLICY_DECIDED, .demand = demand, .level = level, .reason = reason};
}

static struct tls_policy requiretls_impossible(const char *reason)
{
    struct tls_policy policy = decided(DEMAND_REFUSE, TLS_LEVEL_REQUIRETLS, reason);
    policy.final = true;
    return policy;
}

/* ---- DANE ---- */

bool tls_policy_tlsa_is_usable(const struct dns_record *record)
{
    enum { DANE_TA = 2, DANE_EE = 3, FULL = 0, SHA_256 = 1, SHA_512 = 2 };
    /* PKIX-TA and PKIX-EE are not used for SMTP */
    bool usage = record->usage == DANE_TA || record->usage == DANE_EE;
    bool fits = (record->matching == FULL && record->data.length > 0) ||
                (record->matching == SHA_256 && record->data.length == 32) ||
                (record->matching == SHA_512 && record->data.length == 64);
    return usage && record->selector <= 1 && fits;
}

static bool any_usable(const struct dns_answer *tlsa)
{
    for (size_t i = 0; i < tlsa->count; i++)
        if (tls_policy_tlsa_is_usable(&tlsa->records[i]))
            return true;
    return false;
}

static struct tls_policy by_records(const struct tls_facts *facts, size_t base)
{
    struct tls_policy policy = decided(DEMAND_DANE, TLS_LEVEL_DANE,
                                       "DANE: the host has DNSSEC-validated TLSA records");
    policy.base = base;
    if (any_usable(&facts->tlsa[base]))
        return policy;
    if (facts->requiretls)
        return requiretls_impossible(
            "the message requires TLS (REQUIRETLS), but none of the host's TLSA records is usable");
    if (facts->wish == WISH_DANE)
        return decided(DEMAND_REFUSE, TLS_LEVEL_DANE,
                       "relay.tls requires DANE, but none of the host's TLSA records is usable for mail");
    /* RFC 7672 2.2 */
    return decided(
        DEMAND_ENCRYPT, TLS_LEVEL_DANE_UNUSABLE,
        "DANE: none of the host's TLSA records is usable for mail; encrypted, certificate not checked");
}

/* RFC 7672 2.1.2: hiding DNS answers must not disable TLS. */
static bool is_hidden(enum dns_status status, const char *forged, const char *unknown,
                      struct tls_policy *policy)
{
    if (status != DNS_SERVER_FAILURE && status != DNS_BOGUS)
        return false;
    *policy = decided(DEMAND_REFUSE, TLS_LEVEL_DANE, status == DNS_BOGUS ? forged : unknown);
    return true;
}

/* RFC 7672 2.2.2: an alias in a signed zone may lead into an unsigned one. TLSA records under its target
 * are then ignored; those under the host's own name apply if the alias itself is signed. True as for
 * dane(). */
static bool leaves_dnssec(const struct tls_facts *facts, bool *vouched, struct tls_policy *policy)
{
    bool is_alias = facts->bases[0].length > 0;
    *vouched = facts->address_secure || (is_alias && facts->alias == DNS_FOUND && facts->alias_secure);
    if (facts->address_secure || !is_alias)
        return false;
    if (facts->alias == DNS_UNKNOWN) {
        *policy = (struct tls_policy){.kind = TLS_POLICY_ASK_ALIAS};
        return true;
    }
    return is_hidden(facts->alias, "DNSSEC validation failed for the host's CNAME record",
                     "temporary DNS failure for the host's CNAME record", policy);
}

/* True if DANE decides, or needs another fact. */
static bool dane(const struct tls_facts *facts, struct tls_policy *policy)
{
    bool vouched;
    if (!facts->mx_secure || facts->literal)
        return false;
    if (leaves_dnssec(facts, &vouched, policy))
        return true;
    for (size_t i = facts->address_secure ? 0 : 1; vouched && i < TLSA_BASES; i++) {
        const struct dns_answer *tlsa = &facts->tlsa[i];
        if (facts->bases[i].length == 0)
            continue;
        if (tlsa->status == DNS_UNKNOWN) {
            *policy = (struct tls_policy){.kind = TLS_POLICY_ASK_TLSA, .base = i};
            return true;
        }
        if (is_hidden(tlsa->status, "DNSSEC validation failed for the host's TLSA records",
                      "temporary DNS failure for the host's TLSA records", policy))
            return true;
        if (tlsa->status == DNS_FOUND && tlsa->secure) {
            *policy = by_records(facts, i);
            return true;
        }
    }
    return false;
}

static struct tls_policy dane_lacking(const char *reason)
{
    struct tls_policy policy = decided(DEMAND_REFUSE, TLS_LEVEL_DANE, reason);
    policy.lacks_dane = true;
    return policy;
}

static const char *why_no_dane(const struct tls_facts *facts)
{
    if (facts->literal)
        return "relay.tls requires DANE, which is not possible for an IP address";
    if (!facts->mx_secure)
        return "relay.tls requires DANE, but the domain's MX records are not DNSSEC-validated";
    return facts->address_secure
               ? "relay.tls requires DANE, but the host has no DNSSEC-validated TLSA records"
               : "relay.tls requires DANE, but the host's addresses are not DNSSEC-validated";
}

/* ---- MTA-STS, REQUIRETLS, and the rest ---- */

/* RFC 8689 4.2.1: a trusted source must have named the server. */
static struct tls_policy by_requiretls(const struct tls_facts *facts)
{
    bool listed = facts->sts != NULL && facts->sts->mode != STS_NONE && sts_lists(facts->sts, facts->host);
    if (facts->mx_secure || listed)
        return decided(DEMAND_VERIFY, TLS_LEVEL_REQUIRETLS, "the message requires TLS (REQUIRETLS)");
    return requiretls_impossible("the message requires TLS (REQUIRETLS), but neither DNSSEC nor MTA-STS "
                                 "authenticates the server name");
}

static struct tls_policy by_sts(const struct tls_facts *facts)
{
    bool lists = sts_lists(facts->sts, facts->host);
    if (facts->sts->mode == STS_TESTING)
        return decided(DEMAND_MAY, TLS_LEVEL_STS_TESTING,
                       lists ? "MTA-STS (testing): the policy lists the host"
                             : "MTA-STS (testing): the policy does not list the host");
    return lists ? decided(DEMAND_VERIFY, TLS_LEVEL_STS, "MTA-STS (enforce): the policy lists the host")
                 : decided(DEMAND_REFUSE, TLS_LEVEL_STS,
                           "MTA-STS (enforce): the policy does not list the host");
}

static struct tls_policy as_published(const struct tls_facts *facts)
{
    if (!facts->literal && !facts->sts_known)
        return (struct tls_policy){.kind = TLS_POLICY_ASK_STS};
    bool has_policy = facts->sts != NULL && facts->sts->mode != STS_NONE;
    if (has_policy && (facts->sts->mode == STS_ENFORCE || !facts->requiretls))
        return by_sts(facts);
    if (facts->requiretls)
        return by_requiretls(facts);
    return decided(DEMAND_MAY, TLS_LEVEL_MAY, "the domain publishes neither DANE nor MTA-STS");
}

struct tls_policy tls_policy_next(const struct tls_facts *facts)
{
    struct tls_policy policy;
    bool looks_for_dane = facts->wish == WISH_AUTO || facts->wish == WISH_DANE ||
                          (facts->requiretls && facts->wish != WISH_VERIFY && facts->wish != WISH_NONE);
    if (looks_for_dane && dane(facts, &policy))
        return policy;
    switch (facts->wish) {
    case WISH_DANE: return dane_lacking(why_no_dane(facts));
    case WISH_VERIFY: return decided(DEMAND_VERIFY, TLS_LEVEL_VERIFY, "set by relay.tls");
    case WISH_NONE:
        return facts->requiretls ? requiretls_impossible("the message requires TLS (REQUIRETLS), but "
                                                         "relay.tls disables TLS for this next hop")
                                 : decided(DEMAND_CLEAR, TLS_LEVEL_NONE, "set by relay.tls");
    case WISH_ENCRYPT:
        if (!facts->requiretls)
            return decided(DEMAND_ENCRYPT, TLS_LEVEL_ENCRYPT, "set by relay.tls");
        break;
    case WISH_MAY:
        if (!facts->requiretls)
            return decided(DEMAND_MAY, TLS_LEVEL_MAY, "set by relay.tls");
        break;
    case WISH_AUTO: break;
    }
    return as_published(facts);
}
