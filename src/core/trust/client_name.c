/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/client_name.h"

#include <assert.h>

#include "core/dns/dns_name.h"

struct route_address client_name_address(struct route_address client)
{
    static const uint8_t PREFIX[12] = {[10] = 0xff, [11] = 0xff};
    if (client.six && memcmp(client.octets, PREFIX, sizeof(PREFIX)) == 0) {
        memcpy(client.octets, client.octets + 12, 4);
        client.six = false;
    }
    return client;
}

static bool is_below(struct bytes name, struct bytes domain)
{
    if (domain.length == 0 || dns_name_equal(name, domain))
        return true;
    return name.length > domain.length && name.at[name.length - domain.length - 1] == '.' &&
           dns_name_equal(bytes_from(name, name.length - domain.length), domain);
}

static bool answer_has(const struct dns_answer *answer, const struct route_address *client)
{
    for (size_t i = 0; i < answer->count; i++)
        if (memcmp(answer->records[i].address, client->octets, client->six ? 16 : 4) == 0)
            return true;
    return false;
}

static void validate(const struct route_address *client, struct bytes name, struct dns_facts *facts,
                     struct client_names *names)
{
    const struct dns_answer *answer = dns_facts_look_up(facts, client->six ? DNS_AAAA : DNS_A, name);
    if (answer->status == DNS_UNKNOWN)
        names->lacking = true;
    else if (!dns_status_is_told(answer->status))
        names->failed++;
    else if (answer_has(answer, client))
        names->names[names->count++] = name;
}

void client_name_find(const struct route_address *client, struct bytes below, struct dns_facts *facts,
                      struct client_names *names)
{
    const struct dns_answer *answer = dns_facts_look_up(facts, DNS_PTR,
                                                        route_reverse_name(client, facts->texts));
    *names = (struct client_names){.status = answer->status, .lacking = answer->status == DNS_UNKNOWN};
    for (size_t i = 0; i < answer->count && i < CLIENT_NAMES_MAX; i++)
        if (is_below(answer->records[i].name, below))
            validate(client, answer->records[i].name, facts, names);
    assert(names->count + names->failed <= CLIENT_NAMES_MAX);
}

struct bytes client_name_best(const struct client_names *names, struct bytes domain)
{
    assert(names->count > 0);
    for (size_t i = 0; i < names->count; i++)
        if (dns_name_equal(names->names[i], domain))
            return names->names[i];
    for (size_t i = 0; i < names->count; i++)
        if (is_below(names->names[i], domain))
            return names->names[i];
    return names->names[0];
}
