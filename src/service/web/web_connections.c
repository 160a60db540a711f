/* SPDX-License-Identifier: Apache-2.0 */
#include "service/web/web_connections.h"

#include <netinet/in.h>
#include <string.h>

enum { THIS_MACHINE = 0 }; /* as an address: not limited */

/* Returns the first octets of an address, with their number, so that network sizes differ. */
static uint64_t first_octets(const unsigned char *address, size_t count)
{
    uint64_t octets = 0;
    for (size_t i = 0; i < count; i++)
        octets = octets << 8 | address[i];
    return octets * 31 + count;
}

static void place(struct web_connection *connection, const struct sockaddr_storage *from)
{
    const unsigned char *address =
        (const unsigned char *)&((const struct sockaddr_in *)(const void *)from)->sin_addr;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    bool four = from->ss_family == AF_INET;
    if (!four && IN6_IS_ADDR_V4MAPPED(six)) {
        four = true;
        address = &six->s6_addr[12];
    }
    connection->address = four ? first_octets(address, 4) : first_octets(six->s6_addr, 8);
    connection->network = four ? first_octets(address, 3) : first_octets(six->s6_addr, 6);
    if (four ? address[0] == 127 : IN6_IS_ADDR_LOOPBACK(six))
        connection->address = connection->network = THIS_MACHINE;
}

void web_connections_add(struct web_connections *connections, struct web_connection *connection,
                         const struct sockaddr_storage *from)
{
    place(connection, from);
    connection->older = connections->newest;
    connection->newer = NULL;
    *(connections->newest == NULL ? &connections->oldest : &connections->newest->newer) = connection;
    connections->newest = connection;
    connections->count++;
}

void web_connections_remove(struct web_connections *connections, struct web_connection *connection)
{
    *(connection->older == NULL ? &connections->oldest : &connection->older->newer) = connection->newer;
    *(connection->newer == NULL ? &connections->newest : &connection->newer->older) = connection->older;
    connections->count--;
}

bool web_connections_are_too_many(const struct web_connections *connections,
                                  const struct sockaddr_storage *from, uint32_t per_client_max)
{
    struct web_connection one;
    uint64_t of_address = 0, of_network = 0;
    place(&one, from);
    if (one.address == THIS_MACHINE)
        return false;
    for (const struct web_connection *other = connections->oldest; other != NULL; other = other->newer) {
        of_address += other->address == one.address;
        of_network += other->network == one.network;
    }
    return of_address >= per_client_max ||
           of_network >= (uint64_t)per_client_max * WEB_CONNECTIONS_WIDE_TIMES;
}

static size_t count_of(const struct web_connections *connections, uint64_t network)
{
    size_t count = 0;
    for (const struct web_connection *other = connections->oldest; other != NULL; other = other->newer)
        count += other->network == network;
    return count;
}

struct web_connection *web_connections_to_close(const struct web_connections *connections)
{
    struct web_connection *chosen = NULL, *other = connections->oldest;
    size_t most = 0;
    if (connections->count < WEB_CONNECTIONS_MAX)
        return NULL;
    for (int i = 0; other != NULL && i < WEB_CONNECTIONS_ASKED_MAX; i++, other = other->newer) {
        size_t count = count_of(connections, other->network);
        if (count <= most)
            continue;
        most = count;
        chosen = other;
    }
    return chosen;
}
