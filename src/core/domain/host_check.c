/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dns/dns_name.h"
#include "core/domain/row_check.h"
#include "core/trust/iprev.h"

static const struct dns_answer *look_up(struct domain_check *check, enum domain_area area,
                                        const struct domain_record *record)
{
    return dns_facts_look_up(&check->dns[area], record->type, record->name);
}

static struct domain_finding finding(struct domain_check *check, enum domain_fault fault,
                                     const struct dns_answer *answer, enum dns_type type)
{
    struct domain_finding made = domain_finding_of(fault);
    if (made.verdict != RECORD_RIGHT)
        made.found = found_text_of(answer, type, check->arena);
    return made;
}

static bool is_host(const struct domain_check *check, struct bytes name)
{
    return dns_name_equal(name, check->facts.hostname);
}

struct domain_finding host_check_address(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    const struct dns_answer *answer = look_up(check, AREA_HOST, record);
    struct domain_finding made = domain_finding_of_answer(answer, &has);
    size_t length = record->type == DNS_AAAA ? 16 : 4;
    if (!has)
        return made;
    for (size_t i = 0; i < answer->count; i++)
        if (memcmp(answer->records[i].address, record->address.octets, length) == 0)
            return made;
    return finding(check, FAULT_OTHER_ADDRESS, answer, record->type);
}

/* The reverse name must lead back (FCrDNS), and should be the name in EHLO. */
struct domain_finding host_check_reverse(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    struct dns_facts *facts = &check->dns[AREA_REVERSE];
    struct client_names names;
    const struct dns_answer *answer = look_up(check, AREA_REVERSE, record);
    struct domain_finding made = domain_finding_of_answer(answer, &has);
    if (!has)
        return made;
    client_name_find(&record->address, bytes_none(), facts, &names);
    for (size_t i = 0; i < names.count; i++)
        if (is_host(check, names.names[i]))
            return made;
    switch (iprev_judge(&record->address, facts).result) {
    case IPREV_PASS: return finding(check, FAULT_REVERSE_OTHER_NAME, answer, DNS_PTR);
    case IPREV_TEMPERROR: return finding(check, FAULT_NO_ANSWER, answer, DNS_PTR);
    case IPREV_FAIL:
    case IPREV_PERMERROR: break;
    }
    return finding(check, FAULT_REVERSE_NOT_BACK, answer, DNS_PTR);
}

struct domain_finding host_check_mx(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    const struct dns_answer *answer = look_up(check, AREA_HOST, record);
    struct domain_finding made = domain_finding_of_answer(answer, &has);
    if (!has)
        return made;
    for (size_t i = 0; i < answer->count; i++)
        if (is_host(check, answer->records[i].name))
            return made;
    bool null = answer->count == 1 && answer->records[0].name.length == 0;
    return finding(check, null ? FAULT_MX_NULL : FAULT_MX_ELSEWHERE, answer, DNS_MX);
}

struct domain_finding host_check_srv(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    const struct dns_answer *answer = look_up(check, AREA_HOST, record);
    struct domain_finding made = domain_finding_of_answer(answer, &has);
    if (!has)
        return made;
    for (size_t i = 0; i < answer->count; i++)
        if (is_host(check, answer->records[i].name) && answer->records[i].port == record->port)
            return made;
    return finding(check, FAULT_SRV_ELSEWHERE, answer, DNS_SRV);
}

struct domain_finding host_check_tlsa(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    const struct dns_answer *answer = look_up(check, AREA_POLICY, record);
    struct domain_finding made = domain_finding_of_answer(answer, &has);
    struct bytes digest = bytes_of(check->facts.key_digest, TLSA_KEY_DIGEST);
    if (!has)
        return made;
    for (size_t i = 0; i < answer->count; i++) {
        const struct dns_record *r = &answer->records[i];
        if (r->usage == 3 && r->selector == 1 && r->matching == 1 && bytes_equal(r->data, digest))
            return answer->secure ? made : finding(check, FAULT_TLSA_UNSIGNED, answer, DNS_TLSA);
    }
    return finding(check, FAULT_TLSA_OTHER_KEY, answer, DNS_TLSA);
}
