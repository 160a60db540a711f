/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_connections: the connections to the web ports, oldest first. Limits apply per address (IPv6: per
 * /64) and, higher, per network around it (IPv4: /24, IPv6: /48); when all places are in use, the oldest
 * connection of a network with many is closed, so that a flood keeps no other client out.
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
    WEB_CONNECTIONS_ASKED_MAX = 32, /* of the oldest, examined to close one */
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
/* True if another connection from there exceeds a limit, regardless of free places. */
bool web_connections_are_too_many(const struct web_connections *callers, const struct sockaddr *from);
/* Returns the connection to close for another one; NULL: a place is free. */
struct web_connection *web_connections_to_close(const struct web_connections *callers);

#endif
