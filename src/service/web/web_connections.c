/* SPDX-License-Identifier: Apache-2.0 */
#include "service/web/web_connections.h"

#include <netinet/in.h>
#include <string.h>

/* Returns the first octets of an address, with their number, so that network sizes differ. */
static uint64_t first_octets(const unsigned char *address, size_t count)
{
    uint64_t octets = 0;
    for (size_t i = 0; i < count; i++)
        octets = octets << 8 | address[i];
    return octets * 31 + count;
}

static void place(struct web_connection *caller, const struct sockaddr *from)
{
    const unsigned char *address =
        (const unsigned char *)&((const struct sockaddr_in *)(const void *)from)->sin_addr;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    bool four = from->sa_family == AF_INET;
    if (!four && IN6_IS_ADDR_V4MAPPED(six)) {
        four = true;
        address = &six->s6_addr[12];
    }
    caller->address = four ? first_octets(address, 4) : first_octets(six->s6_addr, 8);
    caller->network = four ? first_octets(address, 3) : first_octets(six->s6_addr, 6);
}

void web_connections_add(struct web_connections *callers, struct web_connection *caller,
                         const struct sockaddr *from)
{
    place(caller, from);
    caller->older = callers->newest;
    caller->newer = NULL;
    *(callers->newest == NULL ? &callers->oldest : &callers->newest->newer) = caller;
    callers->newest = caller;
    callers->count++;
}

void web_connections_remove(struct web_connections *callers, struct web_connection *caller)
{
    *(caller->older == NULL ? &callers->oldest : &caller->older->newer) = caller->newer;
    *(caller->newer == NULL ? &callers->newest : &caller->newer->older) = caller->older;
    callers->count--;
}

bool web_connections_are_too_many(const struct web_connections *callers, const struct sockaddr *from)
{
    struct web_connection one;
    size_t of_address = 0, of_network = 0;
    place(&one, from);
    for (const struct web_connection *caller = callers->oldest; caller != NULL; caller = caller->newer) {
        of_address += caller->address == one.address;
        of_network += caller->network == one.network;
    }
    return of_address >= WEB_CONNECTIONS_PER_CLIENT_MAX || of_network >= WEB_CONNECTIONS_PER_NETWORK_MAX;
}

static size_t count_of(const struct web_connections *callers, uint64_t network)
{
    size_t count = 0;
    for (const struct web_connection *caller = callers->oldest; caller != NULL; caller = caller->newer)
        count += caller->network == network;
    return count;
}

struct web_connection *web_connections_to_close(const struct web_connections *callers)
{
    struct web_connection *chosen = NULL, *caller = callers->oldest;
    size_t most = 0;
    if (callers->count < WEB_CONNECTIONS_MAX)
        return NULL;
    for (int i = 0; caller != NULL && i < WEB_CONNECTIONS_ASKED_MAX; i++, caller = caller->newer) {
        size_t count = count_of(callers, caller->network);
        if (count <= most)
            continue;
        most = count;
        chosen = caller;
    }
    return chosen;
}
