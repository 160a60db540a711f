/* SPDX-License-Identifier: Apache-2.0 */
#include "core/domain/domain_check.h"

#include <assert.h>

#include "core/dns/dns_name.h"
#include "core/domain/row_check.h"

static void assert_domain_check(const struct domain_check *check)
{
    assert(check->arena != NULL && check->given != NULL);
    assert(check->row_count <= DOMAIN_ROWS_MAX);
    assert(check->mailbox_count <= DOMAIN_MAILBOXES_MAX);
    assert(check->facts.address_count <= DOMAIN_ADDRESSES_MAX);
}

void domain_check_start(struct domain_check *check, const struct domain_facts *facts, struct arena *arena)
{
    *check = (struct domain_check){.given = facts, .facts = *facts, .arena = arena};
    for (size_t i = 0; i < DOMAIN_AREAS; i++)
        dns_facts_start(&check->dns[i], arena);
    assert_domain_check(check);
}

/* Behind NAT, and in a container, mail leaves from the addresses of the server's name. */
static void learn_addresses(struct domain_check *check)
{
    struct domain_facts *facts = &check->facts;
    const struct dns_answer *answers[] = {
        dns_facts_look_up(&check->dns[AREA_HOST], DNS_A, facts->hostname),
        dns_facts_look_up(&check->dns[AREA_HOST], DNS_AAAA, facts->hostname)};
    check->addresses_from_dns = facts->address_count == 0;
    for (size_t six = 0; check->addresses_from_dns && six < ARRAY_LENGTH(answers); six++)
        for (size_t i = 0; i < answers[six]->count && facts->address_count < DOMAIN_ADDRESSES_MAX; i++) {
            struct route_address *address = &facts->addresses[facts->address_count++];
            *address = (struct route_address){.six = six == 1};
            memcpy(address->octets, answers[six]->records[i].address, six == 1 ? 16 : 4);
        }
}

static struct domain_finding compare(struct domain_check *check, const struct domain_record *record)
{
    switch (record->subject) {
    case SUBJECT_ADDRESS: return host_check_address(check, record);
    case SUBJECT_PTR: return host_check_reverse(check, record);
    case SUBJECT_MX: return host_check_mx(check, record);
    case SUBJECT_SPF:
    case SUBJECT_HELO_SPF: return sender_check_spf(check, record);
    case SUBJECT_DKIM: return sender_check_key(check, record);
    case SUBJECT_DMARC: return report_check_dmarc(check, record);
    case SUBJECT_STS_HOST: return policy_check_host(check);
    case SUBJECT_MTA_STS: return policy_check_record(check, record);
    case SUBJECT_TLS_RPT: return report_check_tls(check, record);
    case SUBJECT_TLSA: return host_check_tlsa(check, record);
    case SUBJECT_SRV: return host_check_srv(check, record);
    case DOMAIN_SUBJECTS: break;
    }
    return domain_finding_of(FAULT_NO_ANSWER);
}

static struct domain_row *next_row(struct domain_check *check)
{
    assert(check->row_count < DOMAIN_ROWS_MAX);
    return &check->rows[check->row_count];
}

static void check_rows(struct domain_check *check)
{
    struct domain_record records[DOMAIN_RECORDS_MAX];
    size_t count = domain_records(&check->facts, check->arena, records);
    for (size_t i = 0; i < count; i++) {
        if (records[i].subject == SUBJECT_DMARC) /* where those of the keys would be */
            check->row_count += sender_check_no_key(check, next_row(check));
        *next_row(check) = (struct domain_row){.record = records[i]};
        next_row(check)->finding = compare(check, &records[i]);
        check->row_count++;
    }
    check->row_count += policy_check_announced(check, next_row(check));
}

static bool lacks(const struct domain_check *check)
{
    bool lacking = check->policy_wanted;
    for (size_t i = 0; i < DOMAIN_AREAS; i++)
        lacking = lacking || check->dns[i].lacked_count > 0;
    for (size_t i = 0; i < check->mailbox_count; i++)
        lacking = lacking || check->mailboxes[i].state == MAILBOX_UNASKED;
    return lacking;
}

bool domain_check_run(struct domain_check *check)
{
    assert_domain_check(check);
    for (size_t i = 0; i < DOMAIN_AREAS; i++)
        dns_facts_begin(&check->dns[i]);
    check->facts = *check->given;
    check->row_count = 0;
    policy_check_learn(check);
    if (!check->policy_alone) {
        learn_addresses(check);
        check_rows(check);
    }
    assert_domain_check(check);
    return check->gave_up || !lacks(check);
}

size_t domain_check_lacked(const struct domain_check *check, struct dns_fact_key *keys)
{
    size_t count = 0;
    for (size_t area = 0; area < DOMAIN_AREAS; area++)
        for (size_t i = 0; i < check->dns[area].lacked_count; i++) {
            const struct dns_fact_key *key = &check->dns[area].lacked[i];
            bool known = false;
            for (size_t k = 0; k < count; k++)
                known = known || (keys[k].type == key->type && dns_name_equal(keys[k].name, key->name));
            if (!known) /* all TXT of a name is looked at, whatever it begins with */
                keys[count++] = (struct dns_fact_key){.type = key->type, .name = key->name};
        }
    assert(count <= DOMAIN_LACKED_MAX);
    return count;
}

void domain_check_answer(struct domain_check *check, struct dns_fact_key key, const struct dns_answer *answer)
{
    for (size_t area = 0; area < DOMAIN_AREAS; area++) {
        struct dns_facts *facts = &check->dns[area];
        for (size_t i = 0; i < facts->lacked_count; i++)
            if (facts->lacked[i].type == key.type && dns_name_equal(facts->lacked[i].name, key.name)) {
                dns_facts_add(facts, key, answer);
                break;
            }
    }
}

void domain_check_give_policy(struct domain_check *check, bool fetched, struct bytes text)
{
    assert(check->policy.state == POLICY_UNASKED);
    check->policy.state = fetched ? POLICY_FETCHED : POLICY_FAILED;
    check->policy.text = arena_copy(check->arena, text);
    check->policy_wanted = false;
}

void domain_check_give_up(struct domain_check *check)
{
    check->gave_up = true;
}

struct bytes domain_row_should(const struct domain_row *row)
{
    const struct domain_finding *finding = &row->finding;
    if (finding->should.length > 0)
        return finding->should;
    return domain_fault_is_of_value(finding->fault) ? row->record.value : bytes_none();
}
