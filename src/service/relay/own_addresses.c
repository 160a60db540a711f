/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_addresses: the addresses of this machine on which the server accepts mail for its domains: mail for
 * other domains that DNS directs to them would loop, so core/route skips them. These are the listeners'
 * addresses, and those of all interfaces if a listener has no address. Interfaces change: the list is
 * refreshed when a delivery begins and it is older than OWN_FRESH_MS.
 *
 * An address that exists only on a router (NAT) is not known here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/relay/relay.h"

static void add(struct own_list *own, const struct route_address *address)
{
    buffer_add(&own->octets, bytes_of(address, sizeof *address));
}

static void add_interface(struct own_list *own, const struct sockaddr *from)
{
    struct route_address address = {.six = from->sa_family == AF_INET6};
    if (from->sa_family == AF_INET)
        memcpy(address.octets, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    else if (from->sa_family == AF_INET6)
        memcpy(address.octets, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    else
        return;
    add(own, &address);
}

/* Adds the listeners' addresses; true if one of them listens on all. */
static bool add_listeners(struct own_list *own, const struct config *config)
{
    bool every = false;
    for (size_t i = 0; i < config->listener_count; i++) {
        struct bytes text = bytes_of_text(config->listeners[i].address);
        if (config->listeners[i].role != ROLE_MX) /* another server may accept mail on this machine */
            continue;
        every = every || text.length == 0 || bytes_is(text, "0.0.0.0") || bytes_is(text, "::");
        if (text.length > 0) { /* an address, validated by config */
            struct route_address address = route_literal(text);
            add(own, &address);
        }
    }
    return every;
}

/* False if the kernel gives no answer; the previous list still applies. */
static bool read_own(struct own_list *own, const struct config *config)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return false;
    buffer_clear(&own->octets);
    bool every = add_listeners(own, config);
    for (const struct ifaddrs *one = all; one != NULL && every; one = one->ifa_next)
        if (one->ifa_addr != NULL)
            add_interface(own, one->ifa_addr);
    freeifaddrs(all);
    return true;
}

const struct own_addresses *own_addresses_now(struct relay *relay)
{
    struct own_list *own = &relay->own;
    uint64_t now_ms = clock_now_ms();
    if (own->read_ms != 0 && now_ms - own->read_ms < OWN_FRESH_MS)
        return &own->list;
    own->read_ms = now_ms;
    bool known = read_own(own, relay->child->config);
    if (!known && !own->failed)
        log_event(LOG_EVENT_WARN, "own_addresses_unknown", LOG_TEXT("error", strerror(errno)));
    own->failed = !known;
    own->list = (struct own_addresses){(const void *)buffer_bytes(&own->octets).at,
                                       own->octets.length / sizeof(struct route_address)};
    return &own->list;
}
