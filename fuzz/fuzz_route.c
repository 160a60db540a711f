/* SPDX-License-Identifier: Apache-2.0 */
/* For any DNS answers a route ends, and never leads to this machine. */
#include "choices.h"
#include "core/route/route.h"

enum { RECORDS_MAX = 200 };
static const enum dns_status statuses[] = {DNS_FOUND,    DNS_FOUND,          DNS_FOUND, DNS_NO_DATA,
                                           DNS_NXDOMAIN, DNS_SERVER_FAILURE, DNS_BOGUS};

/* Records from the stream: an octet for the preference, then a name up to a space. */
static size_t make_records(struct choices *choices, struct bytes *stream, struct dns_record *records)
{
    size_t count = choose(choices, RECORDS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        records[i] = (struct dns_record){.preference = (uint16_t)choose(choices, 4),
                                         .name = bytes_split(stream, ' ')};
        records[i].address[0] = (uint8_t)choose(choices, 256);
        records[i].address[15] = (uint8_t)i;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct bytes stream = choices_start(&choices, data, size);
    struct bytes domain = bytes_split(&stream, ' ');
    struct dns_record records[RECORDS_MAX];
    struct route route;
    size_t asked = 0, tried = 0, rewinds = choose(&choices, 3);
    bool smarthost = choose(&choices, 4) == 0;
    const struct route_address ours[] = {{.octets = {192}}, {.octets = {32}, .six = true}};
    const struct own_addresses own = {ours, ARRAY_LENGTH(ours)};
    route_start(&route, domain, BYTES("self"), smarthost, choose(&choices, 256));
    route_know_own(&route, &own);
    for (;;) {
        struct route_answer answer = route_next(&route);
        if (answer.kind == ROUTE_ASK) {
            INSIST(++asked <= 1 + 2 * ROUTE_HOSTS_MAX);
            enum dns_status status = statuses[choose(&choices, ARRAY_LENGTH(statuses))];
            route_learn(&route, answer.type, status, records, make_records(&choices, &stream, records));
        } else if (answer.kind == ROUTE_TRY) {
            INSIST(++tried <= 3 * (ROUTE_ADDRESSES_MAX + ROUTE_HOSTS_MAX * ROUTE_ADDRESSES_EACH));
            INSIST(smarthost || route_reach(&answer.address, &own) == REACH_SERVER);
            INSIST(smarthost || !bytes_is_nocase(answer.name, "self"));
        } else if (rewinds-- == 0 || answer.reason != NULL) {
            INSIST((answer.reason == NULL) == (tried > 0));
            break;
        } else {
            route_rewind(&route);
        }
    }
    route_free(&route);
    return 0;
}
