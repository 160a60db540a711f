/* SPDX-License-Identifier: Apache-2.0 */
/* port_connect_facts: what a port_connect saw, as the evidence of a diagnosis. */
#include "core/diagnosis/address_kind.h"
#include "dial/port_connect.h"

/* ---- DNS ---- */

/* The worse of two answers, none of which has an address. */
static enum fact_dns dns_of(enum dns_status six, enum dns_status four)
{
    static const struct {
        enum dns_status status;
        enum fact_dns fact;
    } table[] = {{DNS_NXDOMAIN, FACT_DNS_NO_SUCH_NAME},
                 {DNS_BOGUS, FACT_DNS_FAILS},
                 {DNS_SERVER_FAILURE, FACT_DNS_FAILS},
                 {DNS_UNKNOWN, FACT_DNS_TIMED_OUT},
                 {DNS_NO_DATA, FACT_DNS_NO_ADDRESS_RECORD}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (six == table[i].status || four == table[i].status)
            return table[i].fact;
    return FACT_DNS_UNKNOWN;
}

/* Where DNS gave no answer about the name, the resolvers' own state counts. */
static enum fact_dns dns_at(const struct host_lookup *lookup)
{
    enum fact_dns fact = dns_of(lookup->status[0], lookup->status[1]);
    if (fact != FACT_DNS_FAILS && fact != FACT_DNS_TIMED_OUT)
        return fact;
    switch (lookup->resolver) {
    case RESOLVER_NONE: return FACT_DNS_NO_RESOLVER;
    case RESOLVER_UNREACHABLE:
    case RESOLVER_SILENT: return FACT_DNS_TIMED_OUT;
    case RESOLVER_REFUSES: return FACT_DNS_REFUSES;
    case RESOLVER_FAILS: return FACT_DNS_FAILS;
    case RESOLVER_ANSWERS: /* about other names: the lookup of this one failed */
    case RESOLVER_UNKNOWN: break;
    }
    return fact;
}

static void fill_address(struct fact_address *fact, const struct route_address *address)
{
    struct buffer text = {0};
    route_address_text(&text, address);
    *fact = (struct fact_address){.six = address->six, .kind = address_kind(address)};
    client_record_text(fact->text, sizeof fact->text, buffer_bytes(&text), false);
    buffer_free(&text);
}

static void add_addresses(const struct host_lookup *lookup, const char *host, struct diagnosis_facts *facts)
{
    struct route_address literal;
    if (!lookup->done)
        return;
    facts->dns = host_lookup_read_address(host, &literal) ? FACT_DNS_IS_ADDRESS
                 : lookup->address_count > 0              ? FACT_DNS_HAS_ADDRESS
                                                          : dns_at(lookup);
    if (facts->dns >= FACT_DNS_FAILS && facts->machine.resolver[0] == '\0')
        client_record_text(facts->machine.resolver, sizeof facts->machine.resolver,
                           bytes_of_text(lookup->resolver_text), false);
    _Static_assert((int)HOST_LOOKUP_ADDRESSES_MAX <= (int)FACTS_ADDRESSES_MAX, "all addresses have a place");
    facts->address_count = lookup->address_count;
    for (size_t i = 0; i < lookup->address_count; i++)
        fill_address(&facts->addresses[i], &lookup->addresses[i]);
}

/* ---- attempts ---- */

static bool is_of_the_web(const struct port_connect *port_connect, const struct race_attempt *attempt)
{
    return attempt->port->port == port_connect->options.last_resort && attempt->verdict != PORT_OPEN;
}

void port_connect_facts(const struct port_connect *port_connect, struct diagnosis_facts *facts)
{
    facts->attempt_count = facts->web_count = 0;
    add_addresses(&port_connect->lookup, port_connect->options.host, facts);
    for (size_t i = 0; port_connect->has_race && i < port_connect->race.attempt_count; i++) {
        const struct race_attempt *attempt = &port_connect->race.attempts[i];
        struct fact_attempt *place = NULL;
        if (attempt->withdrawn)
            continue;
        if (is_of_the_web(port_connect, attempt))
            place = facts->web_count < ARRAY_LENGTH(facts->web) ? &facts->web[facts->web_count++] : NULL;
        else if (facts->attempt_count < FACTS_ATTEMPTS_MAX)
            place = &facts->attempts[facts->attempt_count++];
        if (place != NULL)
            attempt_facts_fill(place, attempt, &port_connect->lines[i].evidence);
    }
}
