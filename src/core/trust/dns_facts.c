/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dns_facts.h"

#include <assert.h>
#include <string.h>

#include "core/dns/dns_name.h"
#include "core/dns/host.h"

static const struct dns_answer ANSWER_UNKNOWN = {.status = DNS_UNKNOWN};
static const struct dns_answer ANSWER_NO_SUCH_NAME = {.status = DNS_NXDOMAIN};
static const struct dns_answer ANSWER_FAILED = {.status = DNS_SERVER_FAILURE};

static void assert_dns_facts(const struct dns_facts *facts)
{
    assert(facts->arena != NULL && facts->texts != NULL);
    assert(facts->known_count <= DNS_FACTS_MAX && facts->large_octets <= DNS_FACTS_LARGE_OCTETS);
    assert(facts->lacked_count <= DNS_LACKED_MAX);
}

void dns_facts_start(struct dns_facts *facts, struct arena *arena)
{
    *facts = (struct dns_facts){.arena = arena, .texts = arena};
    assert_dns_facts(facts);
}

void dns_facts_begin(struct dns_facts *facts)
{
    assert_dns_facts(facts);
    facts->lacked_count = 0;
}

/* True if DNS can have the name (RFC 1035 2.3.4): labels of 1 to 63 octets, 253 in all. */
static bool name_is_possible(struct bytes name)
{
    if (name.length == 0 || name.length > DOMAIN_NAME_MAX)
        return false;
    for (struct bytes rest = name; rest.at != NULL;) {
        size_t dot = bytes_find(rest, '.');
        size_t label = dot == SIZE_MAX ? rest.length : dot;
        if (label == 0 || label > LABEL_MAX)
            return false;
        rest = dot == SIZE_MAX ? bytes_none() : bytes_from(rest, dot + 1);
    }
    return true;
}

bool dns_fact_key_answers(struct dns_fact_key known, struct dns_fact_key asked)
{
    assert(known.prefix == NULL || known.type == DNS_TXT);
    assert(asked.prefix == NULL || asked.type == DNS_TXT);
    bool all = known.prefix == NULL || (asked.prefix != NULL && strcmp(known.prefix, asked.prefix) == 0);
    return known.type == asked.type && all && dns_name_equal(known.name, asked.name);
}

static struct bytes lower_copy(struct arena *arena, struct bytes name)
{
    char *copy = arena_text(arena, name);
    for (size_t i = 0; i < name.length; i++)
        copy[i] = ascii_lower(copy[i]);
    return bytes_of(copy, name.length);
}

static const struct dns_answer *known_answer(const struct dns_facts *facts, struct dns_fact_key key)
{
    for (size_t i = 0; i < facts->known_count; i++)
        if (dns_fact_key_answers(facts->known[i]->key, key))
            return &facts->known[i]->answer;
    return NULL;
}

static struct dns_fact_key copy_key(struct arena *arena, struct dns_fact_key key)
{
    return (struct dns_fact_key){key.type, lower_copy(arena, key.name), key.prefix};
}

static void note_as_lacked(struct dns_facts *facts, struct dns_fact_key key)
{
    for (size_t i = 0; i < facts->lacked_count; i++)
        if (dns_fact_key_answers(facts->lacked[i], key))
            return;
    if (facts->lacked_count < DNS_LACKED_MAX)
        facts->lacked[facts->lacked_count++] = copy_key(facts->texts, key);
}

static const struct dns_answer *look_up(struct dns_facts *facts, struct dns_fact_key key)
{
    assert_dns_facts(facts);
    key.name = dns_name_without_dot(key.name);
    if (!name_is_possible(key.name))
        return &ANSWER_NO_SUCH_NAME;
    const struct dns_answer *known = known_answer(facts, key);
    if (known != NULL)
        return known;
    if (facts->known_count == DNS_FACTS_MAX)
        return &ANSWER_FAILED;
    note_as_lacked(facts, key);
    return &ANSWER_UNKNOWN;
}

const struct dns_answer *dns_facts_look_up(struct dns_facts *facts, enum dns_type type, struct bytes name)
{
    return look_up(facts, (struct dns_fact_key){.type = type, .name = name});
}

const struct dns_answer *dns_facts_look_up_text(struct dns_facts *facts, struct bytes name,
                                                const char *prefix)
{
    return look_up(facts, (struct dns_fact_key){.type = DNS_TXT, .name = name, .prefix = prefix});
}

/* Returns the octets that a copy takes. */
static size_t octets_of(const struct dns_answer *answer)
{
    size_t octets = answer->canonical.length + answer->count * sizeof answer->records[0];
    for (size_t i = 0; i < answer->count; i++)
        octets += answer->records[i].name.length + answer->records[i].data.length;
    return octets;
}

/* Counts an answer; false if there is no room for it. */
static bool fits(struct dns_facts *facts, const struct dns_answer *answer)
{
    size_t octets = octets_of(answer);
    if (octets <= DNS_FACT_SMALL_OCTETS)
        return true;
    if (octets > DNS_FACTS_LARGE_OCTETS - facts->large_octets)
        return false;
    facts->large_octets += octets;
    return true;
}

static void copy_record(struct arena *arena, struct dns_record *copy, const struct dns_record *record)
{
    *copy = *record;
    copy->name = arena_copy(arena, record->name);
    copy->data = arena_copy(arena, record->data);
}

void dns_facts_add(struct dns_facts *facts, struct dns_fact_key key, const struct dns_answer *answer)
{
    assert_dns_facts(facts);
    key.name = dns_name_without_dot(key.name);
    if (facts->known_count == DNS_FACTS_MAX || known_answer(facts, key) != NULL)
        return;
    if (!fits(facts, answer))
        answer = &ANSWER_FAILED;
    struct dns_record *records = ARENA_ARRAY(facts->arena, struct dns_record, answer->count + 1);
    for (size_t i = 0; i < answer->count; i++)
        copy_record(facts->arena, &records[i], &answer->records[i]);
    struct dns_answer copy = *answer;
    copy.records = records;
    copy.canonical = arena_copy(facts->arena, answer->canonical);
    if (copy.status == DNS_UNKNOWN)
        copy.status = DNS_SERVER_FAILURE;
    struct dns_fact *fact = ARENA_NEW(facts->arena, struct dns_fact);
    *fact = (struct dns_fact){.key = copy_key(facts->arena, key), .answer = copy};
    facts->known[facts->known_count++] = fact;
    assert_dns_facts(facts);
}
