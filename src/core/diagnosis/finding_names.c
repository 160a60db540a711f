/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/finding_group.h"

static bool has_kind(const struct diagnosis_facts *facts, enum finding_family family,
                     enum fact_address_kind kind)
{
    for (size_t i = 0; i < facts->address_count; i++)
        if (facts->addresses[i].kind == kind &&
            (family == FAMILY_BOTH || facts->addresses[i].six == (family == FAMILY_6)))
            return true;
    return false;
}

static bool is_localhost(const char *host)
{
    struct bytes name = bytes_of_text(host);
    return bytes_is_nocase(name, "localhost") || bytes_is_nocase(name, "localhost.localdomain") ||
           bytes_starts_nocase(name, "127.") || bytes_is_nocase(name, "::1") ||
           bytes_is_nocase(name, "[::1]");
}

static bool is_inside(enum fact_address_kind kind)
{
    return kind == ADDRESS_PRIVATE || kind == ADDRESS_SHARED || kind == ADDRESS_LINK_LOCAL;
}

/* All its addresses are of this kind, and it has some. */
static bool are_all(const struct diagnosis_facts *facts, bool (*is)(enum fact_address_kind kind))
{
    for (size_t i = 0; i < facts->address_count; i++)
        if (!is(facts->addresses[i].kind))
            return false;
    return facts->address_count > 0;
}

static bool is_loopback(enum fact_address_kind kind)
{
    return kind == ADDRESS_LOOPBACK;
}

static void find_addresses(struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    enum finding_family family = group->findings->family;
    bool asked = facts->dns == FACT_DNS_HAS_ADDRESS, is_local = is_localhost(facts->host);
    bool impossible = has_kind(facts, family, ADDRESS_UNSPECIFIED) ||
                      has_kind(facts, family, ADDRESS_DOCUMENTATION) ||
                      has_kind(facts, family, ADDRESS_MULTICAST) ||
                      (asked && !is_local && has_kind(facts, family, ADDRESS_LOOPBACK) &&
                       facts->host_is_own != KNOWN_YES);
    finding_set(group, FINDING_ADDRESS_IMPOSSIBLE, asked && impossible);
    finding_set(group, FINDING_ADDRESS_PRIVATE,
                asked &&
                    (has_kind(facts, family, ADDRESS_PRIVATE) || has_kind(facts, family, ADDRESS_SHARED) ||
                     has_kind(facts, family, ADDRESS_LINK_LOCAL)));
    finding_set(group, FINDING_ADDRESS_FAKE, asked && has_kind(facts, family, ADDRESS_BENCHMARK));
    finding_set(group, FINDING_ADDRESS_CLOUDFLARE,
                asked && facts->provider == NULL && has_kind(facts, family, ADDRESS_CLOUDFLARE));
    finding_set(group, FINDING_NAMED_LOCALHOST, is_local);
    finding_set(group, FINDING_PRIVATE_HOST, are_all(facts, is_inside) && facts->host_is_own != KNOWN_YES);
    finding_set(group, FINDING_NAMED_TO_LOOPBACK, asked && !is_local && are_all(facts, is_loopback));
    finding_set(group, FINDING_NAMED_BY_ADDRESS, facts->dns == FACT_DNS_IS_ADDRESS && !is_local);
    finding_set(group, FINDING_HOST_OWN, facts->host_is_own == KNOWN_YES || is_local);
    finding_set(group, FINDING_SMARTHOST_SET, facts->smarthost_is_set == KNOWN_YES);
}

/* The address did not come from DNS. Where another resolver gives the same, the line does no harm. */
static bool is_from_hosts_file(const struct diagnosis_facts *facts)
{
    const char *line = facts->machine.hosts_address;
    if (facts->dns != FACT_DNS_HAS_ADDRESS || line[0] == '\0' || is_localhost(facts->host) ||
        facts->other_dns_agrees == KNOWN_YES)
        return false;
    for (size_t i = 0; i < facts->address_count; i++)
        if (strcmp(facts->addresses[i].text, line) == 0)
            return true;
    return false;
}

/* Another resolver's word counts where this one has none, or gives an address that looks put there. */
static void find_other_resolver(struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    if (facts->other_dns == FACT_DNS_UNKNOWN)
        return;
    bool knows = facts->other_dns == FACT_DNS_HAS_ADDRESS,
         denies = facts->other_dns == FACT_DNS_NO_SUCH_NAME ||
                  facts->other_dns == FACT_DNS_NO_ADDRESS_RECORD || facts->other_dns == FACT_DNS_FAILS;
    finding_set(group, FINDING_OTHER_RESOLVER_KNOWS, knows && facts->dns != FACT_DNS_HAS_ADDRESS);
    finding_set(group, FINDING_OTHER_RESOLVER_FAILS, denies && facts->dns != FACT_DNS_HAS_ADDRESS);
    bool disagrees = facts->dns == FACT_DNS_HAS_ADDRESS && facts->other_dns_agrees == KNOWN_NO &&
                     (knows || facts->other_dns == FACT_DNS_NO_SUCH_NAME);
    /* an own server's private address is no lie, unless all other names lead astray as well */
    bool split = disagrees && facts->provider == NULL && are_all(facts, is_inside) &&
                 !findings_say(group->findings, FINDING_CONTROL_ALL_FAIL) &&
                 !findings_say(group->findings, FINDING_CONTROL_FOREIGN) &&
                 !findings_say(group->findings, FINDING_CONTROL_HTTP);
    finding_set(group, FINDING_OTHER_RESOLVER_DISAGREES, disagrees && !split);
    finding_set(group, FINDING_SPLIT_NAME, split);
    finding_set(group, FINDING_NAME_INVENTED,
                disagrees && !knows && facts->provider == NULL && !are_all(facts, is_inside));
}

/* "There is no such name" is an answer from a network, unless it is this machine's own resolver or a local
 * network without a way out that gives it. */
static bool resolver_answers(const struct diagnosis_facts *facts)
{
    struct bytes resolver = bytes_of_text(facts->machine.resolver);
    bool own = resolver.length == 0 || bytes_starts_nocase(resolver, "127.") ||
               bytes_starts_nocase(resolver, "::1");
    bool no_way_out = facts->machine.route_4 == KNOWN_NO && facts->machine.route_6 == KNOWN_NO;
    return !own && !no_way_out &&
           (facts->dns == FACT_DNS_NO_SUCH_NAME || facts->dns == FACT_DNS_NO_ADDRESS_RECORD);
}

void finding_names(struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    if (facts->dns != FACT_DNS_UNKNOWN) {
        finding_set(group, FINDING_NAME_UNKNOWN, facts->dns == FACT_DNS_NO_SUCH_NAME);
        finding_set(group, FINDING_NAME_WELL_KNOWN, /* without a host those that this program chose */
                    facts->dns == FACT_DNS_NO_SUCH_NAME &&
                        (facts->provider != NULL || facts->host[0] == '\0'));
        finding_set(group, FINDING_NAME_WITHOUT_ADDRESS, facts->dns == FACT_DNS_NO_ADDRESS_RECORD);
        finding_set(group, FINDING_NAME_FAILS, facts->dns == FACT_DNS_FAILS);
        finding_set(group, FINDING_NAME_TIMED_OUT, facts->dns == FACT_DNS_TIMED_OUT);
        finding_set(group, FINDING_NAME_REFUSED, facts->dns == FACT_DNS_REFUSES);
        finding_set(group, FINDING_NO_RESOLVER, facts->dns == FACT_DNS_NO_RESOLVER);
        finding_set(group, FINDING_RESOLVER_ANSWERS, resolver_answers(facts));
    }
    finding_set(group, FINDING_NEAR_PROVIDER, facts->near_provider[0] != '\0');
    finding_set_known(group, FINDING_MAIL_DOMAIN, facts->host_in_mail_domain);
    finding_set(group, FINDING_KNOWN_PROVIDER, facts->provider != NULL);
    finding_set(group, FINDING_KNOWN_MX, provider_by_mx(bytes_of_text(facts->host)) != NULL);
    find_addresses(group);
    finding_set(group, FINDING_FROM_HOSTS_FILE, is_from_hosts_file(facts));
    find_other_resolver(group);
}
