/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_connections: those who are connected to the web's ports, the oldest first. One
 * address (of IPv6 a /64) has so many connections, the network around it (of
 * IPv4 the /24, of IPv6 the /48) some more; and where all places are taken,
 * the oldest of a network that has many makes room, so that a crowd keeps
 * nobody out.
 */
#ifndef MAILBOAT_SERVICE_WEB_WEB_CONNECTIONS_H
#define MAILBOAT_SERVICE_WEB_WEB_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    WEB_CONNECTIONS_MAX = 500,
    WEB_CONNECTIONS_PER_CLIENT_MAX = 20,
    WEB_CONNECTIONS_PER_NETWORK_MAX = 80,
    WEB_CONNECTIONS_ASKED_MAX = 32, /* of the oldest, when one has to make room */
};

struct web_connection {
    struct web_connection *older, *newer;
    uint64_t address, network;
};

struct web_connections {
    struct web_connection *oldest, *newest;
    size_t count;
};

void web_connections_add(struct web_connections *callers, struct web_connection *caller,
                         const struct sockaddr *from);
void web_connections_remove(struct web_connections *callers, struct web_connection *caller);
/* One more from there is too many, however much room there is. */
bool web_connections_are_too_many(const struct web_connections *callers, const struct sockaddr *from);
/* Who makes room for one more; NULL: there is room. */
struct web_connection *web_connections_to_close(const struct web_connections *callers);

#endif
