/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_connection: a way to an outgoing server for a subcommand, which may block: by
 * the race of process/dial, or by the socket of the server on this machine.
 *
 * server_connection_race() blocks until there is a winner or every port has its verdict;
 * server_connection_local() connects to a local socket. Then server_connection_next() gives the
 * session's actions that are the caller's: READY, WANT_CONTENT, SENT,
 * FAILED, CLOSE. server_connection_end() in any case.
 */
#ifndef MAILBOAT_CLI_SEND_SERVER_CONNECTION_H
#define MAILBOAT_CLI_SEND_SERVER_CONNECTION_H

#include "dial/port_connect.h"

struct server_connection_options {
    const char *host; /* a name or an address */
    struct race_port ports[RACE_PORTS_MAX];
    size_t port_count;
    const char *ca_file;  /* CA certificates to trust instead of the system's, or NULL */
    uint16_t last_resort; /* as in struct race_options */
    bool needs_auth, by_token, examine;
    uint32_t deadline_ms; /* 0: the race's own */
    /* while it races; may be NULL */
    void (*on_progress)(void *owner, const struct port_connect *port_connect);
    void *owner;
};

struct server_connection {
    struct server_connection_options options;
    struct loop loop;
    struct tls_context tls;
    struct dns *dns;
    struct port_connect connect; /* the race, and what it found */
    bool dialled, decided, has_tls, has_loop;
    char hostname[256]; /* ours, as EHLO says it */
    /* The session: */
    struct conn local, *conn; /* conn: the winner's, or the local one */
    struct client_session *session, own_session;
    bool ended;
    char why[200];
};

/* The ports of --order and --ports: "587,2525,465", with ":tls" or ":starttls"
 * behind one where it does not follow from the port. False with a reason. */
bool server_connection_ports(struct server_connection_options *options, const char *list,
                             struct error *error);
/* 443 behind them all, where it is not among them. */
void server_connection_last_resort(struct server_connection_options *options);
/* Is it a name or an address that can be? 222.501.285.45 is not; the error says why. */
bool server_connection_check_host(const char *host, struct error *error);
/* A number of seconds as --deadline has it. */
bool server_connection_deadline(const char *text, uint32_t *deadline_ms, struct error *error);

/* True when a port won. Otherwise `error` tells why in words (exit code 69 or 75). */
bool server_connection_race(struct server_connection *connection,
                            const struct server_connection_options *options, struct error *error);
bool server_connection_local(struct server_connection *connection, const char *socket_path,
                             struct error *error);

void server_connection_next(struct server_connection *connection, struct client_action *action);
/* Lets what was written leave before more is made. */
void server_connection_drain(struct server_connection *connection);
void server_connection_end(struct server_connection *connection);

#endif
