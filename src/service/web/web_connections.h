/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_connections: the connections to both web ports, oldest first: those whose ClientHello is awaited
 * (alpn_demux.c) and those that speak HTTP (http_connection.c). Limits apply per address (IPv6: per /64) and,
 * higher, per network around it (IPv4: /24, IPv6: /48); not for this machine itself, where a proxy may speak
 * for everybody. When all places are in use, the oldest connection of a network with many is closed, so that
 * a flood keeps no other client out.
 */
#ifndef MAILBOAT_SERVICE_WEB_WEB_CONNECTIONS_H
#define MAILBOAT_SERVICE_WEB_WEB_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    WEB_CONNECTIONS_MAX = 1000,     /* of all addresses together */
    WEB_CONNECTIONS_WIDE_TIMES = 4, /* factor of limits.connections_per_client for a network */
    WEB_CONNECTIONS_ASKED_MAX = 32, /* of the oldest, examined to close one */
};

struct web_connection;

/* Called for what a connection is embedded in. */
struct web_connection_kind {
    void (*end)(struct web_connection *connection);   /* to make room: removes itself */
    void (*drain)(struct web_connection *connection); /* the process ends soon; may be NULL */
};

struct web_connection {
    const struct web_connection_kind *kind;
    struct web_connection *older, *newer;
    uint64_t address, network;
};

struct web_connections {
    struct web_connection *oldest, *newest;
    size_t count;
};

void web_connections_add(struct web_connections *connections, struct web_connection *connection,
                         const struct sockaddr_storage *from);
void web_connections_remove(struct web_connections *connections, struct web_connection *connection);
/* True if another connection from there exceeds the limit of an address, or that of its network, regardless
 * of free places. */
bool web_connections_are_too_many(const struct web_connections *connections,
                                  const struct sockaddr_storage *from, uint32_t per_client_max);
/* Returns the connection to close for another one; NULL: a place is free. */
struct web_connection *web_connections_to_close(const struct web_connections *connections);

#endif
