/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paper_zone: DNS on paper, for tests: lines of a type, a name and its data. A name with a CNAME is followed;
 * the data "!" is a server that fails, "!bogus" an answer that DNSSEC does not believe.
 */
#ifndef MAILBOAT_TESTS_PAPER_ZONE_H
#define MAILBOAT_TESTS_PAPER_ZONE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "core/dns/dns_answer.h"
#include "core/dns/dns_name.h"
#include "core/route/ip.h"

enum { PAPER_RECORDS_MAX = 16, PAPER_ALIASES_MAX = 4 };

struct paper_line {
    enum dns_type type;
    const char *name, *data; /* A 192.0.2.1; MX "10 host"; SRV "0 1 587 host"; TXT as it is; NULL: no line */
};

struct paper_zone {
    const struct paper_line *lines;   /* up to one without a name */
    const struct paper_line *changes; /* the same: for their type and name they stand in for `lines` */
};

static inline bool paper_is(const struct paper_line *line, enum dns_type type, struct bytes name)
{
    return line->type == type && dns_name_equal(bytes_of_text(line->name), name);
}

static inline bool paper_is_changed(const struct paper_zone *zone, enum dns_type type, struct bytes name)
{
    for (const struct paper_line *line = zone->changes; line != NULL && line->name != NULL; line++)
        if (paper_is(line, type, name))
            return true;
    return false;
}

static inline void paper_record(const struct paper_line *line, struct dns_record *record)
{
    unsigned a = 0, b = 0, c = 0;
    int at = 0;
    struct route_address address;
    *record = (struct dns_record){.name = bytes_of_text(line->data), .data = bytes_of_text(line->data)};
    switch (line->type) {
    case DNS_A:
    case DNS_AAAA:
        address = route_literal(bytes_of_text(line->data));
        memcpy(record->address, address.octets, sizeof record->address);
        break;
    case DNS_MX: sscanf(line->data, "%u %n", &a, &at); break;
    case DNS_SRV: sscanf(line->data, "%u %u %u %n", &a, &b, &c, &at); break;
    case DNS_TLSA: sscanf(line->data, "%u %u %u %n", &a, &b, &c, &at); break;
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
    case DNS_TXT: break;
    }
    record->name = bytes_of_text(line->data + at);
    record->data = bytes_of_text(line->data + at);
    record->preference = (uint16_t)a;
    record->weight = (uint16_t)b;
    record->port = (uint16_t)c;
    record->usage = (uint8_t)a;
    record->selector = (uint8_t)b;
    record->matching = (uint8_t)c;
}

/* Adds the records of one table; *exists: the name has any. */
static inline void paper_look(const struct paper_zone *zone, bool changed, enum dns_type type,
                              struct bytes name, struct dns_answer *answer, struct dns_record *records,
                              bool *exists)
{
    const struct paper_line *line = changed ? zone->changes : zone->lines;
    for (; line != NULL && line->name != NULL; line++) {
        if (!dns_name_equal(bytes_of_text(line->name), name) || line->data == NULL ||
            (!changed && paper_is_changed(zone, line->type, name)))
            continue;
        *exists = true;
        if (line->type != type)
            continue;
        if (line->data[0] == '!')
            answer->status = strcmp(line->data, "!bogus") == 0 ? DNS_BOGUS : DNS_SERVER_FAILURE;
        else if (answer->count < PAPER_RECORDS_MAX)
            paper_record(line, &records[answer->count++]);
    }
}

/* Answers a question; the records live in `arena`. */
static inline struct dns_answer paper_zone_answer(const struct paper_zone *zone, enum dns_type type,
                                                  struct bytes name, struct arena *arena)
{
    struct dns_answer answer = {.status = DNS_UNKNOWN};
    struct dns_record *records = ARENA_ARRAY(arena, struct dns_record, PAPER_RECORDS_MAX);
    answer.records = records;
    for (int aliases = 0; aliases < PAPER_ALIASES_MAX; aliases++) {
        bool exists = false;
        paper_look(zone, false, type, name, &answer, records, &exists);
        paper_look(zone, true, type, name, &answer, records, &exists);
        if (answer.status == DNS_UNKNOWN && answer.count == 0 && type != DNS_CNAME) {
            struct dns_answer alias = paper_zone_answer(zone, DNS_CNAME, name, arena);
            if (alias.count > 0) {
                name = answer.canonical = alias.records[0].name;
                continue;
            }
        }
        if (answer.status == DNS_UNKNOWN)
            answer.status = answer.count > 0 ? DNS_FOUND : exists ? DNS_NO_DATA : DNS_NXDOMAIN;
        return answer;
    }
    answer.status = DNS_SERVER_FAILURE;
    return answer;
}

#endif
