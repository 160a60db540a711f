/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trust/zone.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/dns/dns_name.h"
#include "core/route/ip.h"

enum { ALIASES_MAX = 8 };

static uint64_t next_random(struct zone *zone)
{
    zone->seed = zone->seed * 6364136223846793005u + 1442695040888963407u;
    return zone->seed >> 33;
}

/* Undoes \DDD, so that a name is compared octet by octet. */
static struct bytes unescaped(struct arena *arena, struct bytes name)
{
    char *plain = arena_text(arena, name);
    size_t length = 0;
    for (size_t i = 0; i < name.length; i++) {
        uint64_t octet;
        if (name.at[i] == '\\' && i + 3 < name.length &&
            bytes_to_u64(bytes_of(name.at + i + 1, 3), 255, &octet)) {
            plain[length++] = (char)octet;
            i += 3;
        } else {
            plain[length++] = name.at[i];
        }
    }
    return bytes_of(plain, length);
}

static struct bytes text_of(const json_t *value)
{
    return bytes_of(json_string_value(value), json_string_length(value));
}

static const json_t *entry_of(const struct zone *zone, struct bytes name)
{
    const char *key;
    json_t *entry;
    json_object_foreach((json_t *)zone->names, key, entry)
    {
        if (dns_name_equal(dns_name_without_dot(bytes_of_text(key)), name))
            return entry;
    }
    return NULL;
}

static bool has_names_below(const struct zone *zone, struct bytes name)
{
    const char *key;
    json_t *entry;
    json_object_foreach((json_t *)zone->names, key, entry)
    {
        struct bytes other = bytes_of_text(key);
        if (other.length > name.length + 1 && other.at[other.length - name.length - 1] == '.' &&
            dns_name_equal(bytes_from(other, other.length - name.length), name))
            return true;
    }
    return false;
}

/* The wildcard of the closest name above (RFC 4592). */
static const json_t *wildcard_of(const struct zone *zone, struct bytes name, struct arena *arena)
{
    size_t dot;
    while ((dot = bytes_find(name, '.')) != SIZE_MAX) {
        name = bytes_from(name, dot + 1);
        const json_t *entry = entry_of(zone, bytes_of_text(arena_format(arena, "*.%.*s", BYTES_ARG(name))));
        if (entry != NULL || entry_of(zone, name) != NULL)
            return entry;
    }
    return NULL;
}

static void read_txt(struct dns_record *record, const json_t *value, struct arena *arena)
{
    struct buffer all = {0};
    if (json_is_string(value))
        buffer_add(&all, text_of(value));
    for (size_t i = 0; i < json_array_size(value); i++)
        buffer_add(&all, text_of(json_array_get(value, i)));
    record->data = arena_copy(arena, buffer_bytes(&all));
    buffer_free(&all);
}

static void read_address(struct dns_record *record, const json_t *value)
{
    struct route_address address = route_literal(text_of(value));
    memcpy(record->address, address.octets, sizeof(record->address));
}

static struct dns_record record_of(enum dns_type type, const json_t *value, struct arena *arena)
{
    struct dns_record record = {0};
    if (type == DNS_TXT) {
        read_txt(&record, value, arena);
    } else if (type == DNS_A || type == DNS_AAAA) {
        read_address(&record, value);
    } else if (type == DNS_MX) {
        record.preference = (uint16_t)json_integer_value(json_array_get(value, 0));
        record.name = dns_name_without_dot(text_of(json_array_get(value, 1)));
        if (bytes_is(record.name, "."))
            record.name = bytes_none();
    } else {
        record.name = dns_name_without_dot(text_of(value));
    }
    return record;
}

/* A type has a list of records, one text (CNAME), or {"fail": ...}. */
static void answer_from(struct dns_answer *answer, enum dns_type type, const json_t *entry,
                        struct arena *arena)
{
    const json_t *values = json_object_get(entry, dns_type_name(type));
    bool fails = json_is_object(values) || (values == NULL && json_object_get(entry, "fail") != NULL);
    size_t count = json_is_array(values) ? json_array_size(values) : json_is_string(values);
    struct dns_record *records = ARENA_ARRAY(arena, struct dns_record, count + 1);
    for (size_t i = 0; i < count; i++)
        records[i] = record_of(type, json_is_array(values) ? json_array_get(values, i) : values, arena);
    answer->records = records;
    answer->count = count;
    answer->status = fails ? DNS_SERVER_FAILURE : count > 0 ? DNS_FOUND : DNS_NO_DATA;
}

struct dns_answer zone_look_up(const struct zone *zone, struct dns_fact_key key, struct arena *arena)
{
    struct dns_answer answer = {.status = DNS_SERVER_FAILURE};
    enum dns_type type = key.type;
    struct bytes name = unescaped(arena, key.name);
    for (int alias = 0; alias < ALIASES_MAX; alias++) {
        const json_t *entry = entry_of(zone, name);
        if (entry == NULL && !has_names_below(zone, name))
            entry = wildcard_of(zone, name, arena);
        if (entry == NULL) {
            answer.status = has_names_below(zone, name) ? DNS_NO_DATA : DNS_NXDOMAIN;
            return answer;
        }
        const json_t *target = json_object_get(entry, "CNAME");
        if (json_is_array(target))
            target = json_array_get(target, 0);
        if (target == NULL || type == DNS_CNAME) {
            answer_from(&answer, type, entry, arena);
            return answer;
        }
        name = answer.canonical = dns_name_without_dot(text_of(target));
    }
    return answer;
}

static void answer_one(struct zone *zone, struct dns_facts *facts, struct dns_fact_key key)
{
    struct dns_answer answer = zone_look_up(zone, key, facts->arena);
    if (zone->asked != NULL)
        json_array_append_new(zone->asked,
                              json_sprintf("%s %.*s", dns_type_name(key.type), BYTES_ARG(key.name)));
    dns_facts_add(facts, key, &answer);
}

bool zone_answer(struct zone *zone, struct dns_facts *facts)
{
    struct dns_fact_key keys[DNS_LACKED_MAX];
    size_t count = facts->lacked_count;
    memcpy(keys, facts->lacked, sizeof(keys));
    if (zone->seed != 0) {
        for (size_t i = count; i > 1; i--) {
            size_t other = next_random(zone) % i;
            struct dns_fact_key key = keys[i - 1];
            keys[i - 1] = keys[other];
            keys[other] = key;
        }
    }
    size_t answered = zone->seed == 0 || count == 0 ? count : 1 + next_random(zone) % count;
    for (size_t i = 0; i < answered; i++)
        answer_one(zone, facts, keys[i]);
    return count > 0;
}
