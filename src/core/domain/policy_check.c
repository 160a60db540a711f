/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "core/domain/row_check.h"
#include "core/route/sts.h"

static struct bytes policy_host(const struct domain_check *check)
{
    return bytes_of_text(arena_format(check->arena, "mta-sts.%.*s", BYTES_ARG(check->facts.domain)));
}

static void add_addresses(struct domain_check *check, const struct dns_answer *answer, bool six)
{
    for (size_t i = 0; i < answer->count && check->policy_address_count < DOMAIN_ADDRESSES_MAX; i++) {
        struct route_address *address = &check->policy_addresses[check->policy_address_count++];
        *address = (struct route_address){.six = six};
        memcpy(address->octets, answer->records[i].address, six ? 16 : 4);
    }
}

void policy_check_learn(struct domain_check *check)
{
    struct sts_policy policy;
    struct bytes host = policy_host(check);
    const struct dns_answer *six = dns_facts_look_up(&check->dns[AREA_POLICY], DNS_AAAA, host),
                            *four = dns_facts_look_up(&check->dns[AREA_POLICY], DNS_A, host);
    check->policy_address_count = 0;
    add_addresses(check, six, true);
    add_addresses(check, four, false);
    bool told = dns_status_is_told(four->status) && dns_status_is_told(six->status);
    check->policy_wanted = check->policy.state == POLICY_UNASKED && told && check->policy_address_count > 0;
    if (told && check->policy_address_count == 0) {
        check->policy.state = POLICY_FAILED;
        check->policy.text = bytes_of_text(
            arena_format(check->arena, "%.*s has no address in DNS", BYTES_ARG(host)));
    }
    if (check->policy.state == POLICY_FETCHED && sts_read_policy(check->policy.text, &policy))
        check->facts.sts_served = check->policy.text;
}

struct domain_finding policy_check_host(struct domain_check *check)
{
    bool has;
    struct bytes host = policy_host(check);
    const struct dns_answer *six = dns_facts_look_up(&check->dns[AREA_POLICY], DNS_AAAA, host),
                            *four = dns_facts_look_up(&check->dns[AREA_POLICY], DNS_A, host);
    if (check->policy_address_count > 0)
        return domain_finding_of(FAULT_NONE);
    return domain_finding_of_answer(dns_status_is_told(four->status) ? six : four, &has);
}

/* Returns a server of the domain's MX that the policy does not list; empty if all are listed. */
static struct bytes unlisted(struct domain_check *check, const struct sts_policy *policy)
{
    const struct dns_answer *mx = dns_facts_look_up(&check->dns[AREA_HOST], DNS_MX, check->facts.domain);
    for (size_t i = 0; i < mx->count; i++)
        if (!sts_lists(policy, mx->records[i].name))
            return mx->records[i].name;
    return bytes_none();
}

static struct domain_finding check_policy(struct domain_check *check)
{
    struct sts_policy policy;
    struct domain_finding made;
    const struct domain_policy_file *file = &check->policy;
    if (file->state == POLICY_UNASKED)
        return domain_finding_of(FAULT_NO_ANSWER);
    if (file->state == POLICY_FAILED) {
        made = domain_finding_of(FAULT_STS_NOT_SERVED);
        made.detail = found_text_clean(file->text, check->arena);
        return made;
    }
    if (!sts_read_policy(file->text, &policy))
        return domain_finding_of(FAULT_STS_POLICY);
    struct bytes host = policy.mode == STS_NONE ? bytes_none() : unlisted(check, &policy);
    made = domain_finding_of(host.length > 0              ? FAULT_STS_MX
                             : policy.mode != STS_ENFORCE ? FAULT_STS_NOT_ENFORCED
                                                          : FAULT_NONE);
    if (host.length > 0)
        made.detail = found_text_clean(host, check->arena);
    else if (policy.mode != STS_ENFORCE)
        made.detail = bytes_of_text(sts_mode_name(policy.mode));
    return made;
}

struct domain_finding policy_check_record(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    struct bytes id;
    const struct dns_answer *answer = dns_facts_look_up(&check->dns[AREA_POLICY], DNS_TXT, record->name);
    struct domain_finding made = domain_finding_of_answer(answer, &has);
    if (!has)
        return made;
    struct bytes found = found_text_with(answer, "v=STSv1", check->arena);
    if (found.length == 0)
        return domain_finding_of(FAULT_MISSING);
    made = sts_read_records(answer->records, answer->count, &id) ? check_policy(check)
                                                                 : domain_finding_of(FAULT_STS_RECORD);
    if (made.verdict != RECORD_RIGHT)
        made.found = found;
    return made;
}

bool policy_check_announced(struct domain_check *check, struct domain_row *row)
{
    if (check->facts.sts_served.length > 0)
        return false;
    char *name = arena_format(check->arena, "_mta-sts.%.*s", BYTES_ARG(check->facts.domain));
    *row = (struct domain_row){
        .record = {.subject = SUBJECT_MTA_STS, .name = bytes_of_text(name), .type = DNS_TXT}};
    row->finding = policy_check_record(check, &row->record);
    return row->finding.verdict != RECORD_MISSING;
}
