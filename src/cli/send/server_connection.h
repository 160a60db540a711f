/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_connection: a blocking connection to an outgoing server for a subcommand: by the race of
 * dial/port_connect, or by the socket of the server on this machine.
 *
 * server_connection_race() blocks until there is a winner or every port has its verdict;
 * server_connection_local() connects to a local socket. Then server_connection_next() returns the
 * session's actions for the caller: READY, WANT_CONTENT, SENT, FAILED, CLOSE. server_connection_end() in
 * any case.
 */
#ifndef MAILBOAT_CLI_SEND_SERVER_CONNECTION_H
#define MAILBOAT_CLI_SEND_SERVER_CONNECTION_H

#include "core/text/target.h"
#include "dial/port_connect.h"

struct server_connection_options {
    const char *host; /* a name or an address */
    struct race_port ports[RACE_PORTS_MAX];
    size_t port_count;
    const char *ca_file;    /* CA certificates to trust instead of the system's, or NULL */
    uint16_t remembered;    /* as in struct race_options */
    uint16_t last_resort;   /* as in struct race_options */
    uint32_t round_trip_ms; /* as in struct race_options */
    bool needs_auth, by_token, examine;
    uint32_t deadline_ms; /* 0: the race's default */
    /* during the race; may be NULL */
    void (*on_progress)(void *owner, const struct port_connect *port_connect);
    void *owner;
};

struct server_connection {
    struct server_connection_options options;
    struct loop loop;
    struct tls_context tls;
    struct dns *dns;
    struct port_connect connect; /* the race, and its result */
    bool dialled, decided, has_tls, has_loop;
    char hostname[256]; /* of this host, for EHLO */
    /* The session: */
    struct conn local, *conn; /* conn: the winner's, or the local one */
    struct client_session *session, own_session;
    bool ended;
    char why[200];
};

/* Parses the ports of --order and --ports: "587,2525,465", with a suffix ":tls" or ":starttls" where the
 * port does not imply it. False with a reason. */
bool server_connection_ports(struct server_connection_options *options, const char *list,
                             struct error *error);
/* Appends ports of core/port/port_order.h, each with the TLS mode of its number. */
void server_connection_order(struct server_connection_options *options, const uint16_t *ports, size_t count);
/* Appends 443, unless listed. */
void server_connection_last_resort(struct server_connection_options *options);
/* Parses the target as target_read() does, and turns its host into A-labels (RFC 5891 4.4). */
bool server_connection_target(struct target *target, const char *text, struct error *error);
/* Parses the seconds of --deadline. */
bool server_connection_deadline(const char *text, uint32_t *deadline_ms, struct error *error);

/* True if a port won. Otherwise `error` has the reason (exit code 69 or 75). */
bool server_connection_race(struct server_connection *connection,
                            const struct server_connection_options *options, struct error *error);
bool server_connection_local(struct server_connection *connection, const char *socket_path,
                             struct error *error);

void server_connection_next(struct server_connection *connection, struct client_action *action);
/* Waits until written data is sent before more is written. */
void server_connection_drain(struct server_connection *connection);
void server_connection_end(struct server_connection *connection);

#endif
