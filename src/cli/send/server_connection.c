/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/send/server_connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/dns/host.h"
#include "core/port/port_facts.h"
#include "dial/sasl_client.h"

enum {
    OUTPUT_LOW = 64 * 1024,
    DEADLINE_MAX_S = 600,
};

/* ---- options ---- */

bool server_connection_target(struct target *target, const char *text, struct error *error)
{
    char typed[sizeof target->host];
    if (!target_read(target, text, error))
        return false;
    memcpy(typed, target->host, sizeof typed);
    return bytes_is_ascii(bytes_of_text(typed)) || dns_ascii_name(typed, target->host, sizeof target->host) ||
           error_set(error, EX_DATAERR, "%s is not a valid host name", typed);
}

/* Parses "587", "465:tls", "10587:starttls". *known: the TLS mode is certain. */
static bool read_port(struct bytes text, struct race_port *port, bool *known)
{
    uint64_t number;
    struct bytes mode = text;
    struct bytes digits = bytes_split(&mode, ':');
    if (!bytes_to_u64(digits, 65535, &number) || number == 0)
        return false;
    *port = (struct race_port){(uint16_t)number, port_tls((uint16_t)number)};
    *known = mode.length > 0 || port_facts_of(port->port) != NULL;
    if (bytes_is(mode, "tls"))
        port->tls = CLIENT_TLS_IMPLICIT;
    else if (bytes_is(mode, "starttls"))
        port->tls = CLIENT_TLS_REQUIRED;
    return mode.length == 0 || bytes_is(mode, "tls") || bytes_is(mode, "starttls");
}

bool server_connection_ports(struct server_connection_options *options, const char *list, struct error *error)
{
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;) {
        struct bytes one = bytes_trim(bytes_split(&rest, ','));
        struct race_port port;
        bool known;
        if (!read_port(one, &port, &known))
            return error_set(error, EX_USAGE, "'%.*s' is not a port; use 587, 587:starttls or 465:tls",
                             BYTES_ARG(one));
        if (options->port_count + (known ? 1 : 2) > RACE_PORTS_MAX)
            return error_set(
                error, EX_USAGE,
                "too many ports: at most %d, and a port without a TLS mode of its own counts as two",
                RACE_PORTS_MAX);
        options->ports[options->port_count++] = port;
        if (!known) /* both modes race; the wrong one costs a stagger */
            options->ports[options->port_count++] = (struct race_port){
                port.port, port.tls == CLIENT_TLS_IMPLICIT ? CLIENT_TLS_REQUIRED : CLIENT_TLS_IMPLICIT};
    }
    return options->port_count > 0 || error_set(error, EX_USAGE, "no port is named");
}

void server_connection_order(struct server_connection_options *options, const uint16_t *ports, size_t count)
{
    assert(options->port_count + count <= RACE_PORTS_MAX);
    for (size_t i = 0; i < count; i++)
        options->ports[options->port_count++] = (struct race_port){ports[i], port_tls(ports[i])};
}

void server_connection_last_resort(struct server_connection_options *options)
{
    for (size_t i = 0; i < options->port_count; i++)
        if (options->ports[i].port == PORT_LAST_RESORT)
            return;
    if (options->port_count == RACE_PORTS_MAX)
        return;
    options->ports[options->port_count++] = (struct race_port){PORT_LAST_RESORT, CLIENT_TLS_IMPLICIT};
    options->last_resort = PORT_LAST_RESORT;
}

bool server_connection_deadline(const char *text, uint32_t *deadline_ms, struct error *error)
{
    uint64_t seconds;
    if (!bytes_to_u64(bytes_of_text(text), DEADLINE_MAX_S, &seconds) || seconds == 0)
        return error_set(error, EX_USAGE, "--deadline is a number of seconds from 1 to %d, not '%s'",
                         DEADLINE_MAX_S, text);
    *deadline_ms = (uint32_t)seconds * 1000;
    return true;
}

/* ---- events ---- */

static void on_decided(void *owner)
{
    struct server_connection *connection = owner;
    connection->decided = true;
    loop_stop(&connection->loop);
}

static void on_line(void *owner)
{
    struct server_connection *connection = owner;
    loop_stop(&connection->loop); /* server_connection_next() continues */
}

static void on_line_end(void *owner, const char *why)
{
    struct server_connection *connection = owner;
    snprintf(connection->why, sizeof connection->why, "%s", why);
    connection->ended = true;
    loop_stop(&connection->loop);
}

static void on_progress(void *owner)
{
    struct server_connection *connection = owner;
    if (connection->options.on_progress != NULL)
        connection->options.on_progress(connection->options.owner, &connection->connect);
}

static const struct port_connect_events port_connect_events = {
    .on_decided = on_decided, .on_line = on_line, .on_line_end = on_line_end, .on_progress = on_progress};

static void on_local_end(void *owner, enum conn_end end)
{
    struct server_connection *connection = owner;
    on_line_end(connection,
                connection->local.why[0] != '\0' ? connection->local.why : "the connection ended");
}

static void on_local_timeout(void *owner)
{
    struct server_connection *connection = owner;
    char why[80];
    snprintf(why, sizeof why, "timed out during %s",
             client_step_name(client_session_step(connection->session)));
    on_line_end(connection, why);
}

static const struct conn_events local_events = {.on_connected = on_line,
                                                .on_input = on_line,
                                                .on_drained = on_line,
                                                .on_tls = on_line,
                                                .on_end = on_local_end,
                                                .on_timeout = on_local_timeout};

/* ---- connecting ---- */

static bool prepare(struct server_connection *connection, struct error *error)
{
    if (gethostname(connection->hostname, sizeof connection->hostname - 1) != 0 ||
        !host_is_name(bytes_of_text(connection->hostname), true))
        snprintf(connection->hostname, sizeof connection->hostname, "localhost");
    connection->has_loop = loop_start(&connection->loop, error);
    return connection->has_loop;
}

static bool fail_lost(struct server_connection *connection, struct error *error)
{
    struct buffer words = {0};
    if (connection->connect.outcome == PORT_CONNECT_UNRESOLVED)
        return host_lookup_explain(&connection->connect.lookup, connection->options.host, error);
    race_explain(&connection->connect.race, &words);
    error_set(error, race_is_for_later(&connection->connect.race) ? EX_TEMPFAIL : EX_UNAVAILABLE, "%s: %s",
              connection->options.host, buffer_text(&words));
    buffer_free(&words);
    return false;
}

bool server_connection_race(struct server_connection *connection,
                            const struct server_connection_options *options, struct error *error)
{
    *connection = (struct server_connection){.options = *options};
    if (!prepare(connection, error) || !host_check(bytes_of_text(options->host), error) ||
        !tls_client_open(&connection->tls, options->ca_file, error))
        return false;
    connection->has_tls = true;
    connection->dns = dns_open(NULL, 0, error);
    if (connection->dns == NULL || !dns_start(connection->dns, &connection->loop, error))
        return false;
    /* without a full name our address tells more (RFC 5321 4.1.3) */
    bool has_name = strchr(connection->hostname, '.') != NULL;
    struct port_connect_options way = {.host = connection->options.host,
                                       .port_count = options->port_count,
                                       .helo = has_name ? bytes_of_text(connection->hostname) : bytes_none(),
                                       .needs_auth = options->needs_auth,
                                       .by_token = options->by_token,
                                       .remembered = options->remembered,
                                       .last_resort = options->last_resort,
                                       .round_trip_ms = options->round_trip_ms,
                                       .examine = options->examine,
                                       .own_ca = options->ca_file != NULL,
                                       .deadline_ms = options->deadline_ms};
    memcpy(way.ports, options->ports, sizeof way.ports);
    connection->dialled = true;
    port_connect_start(&connection->connect, &connection->loop, &connection->tls, connection->dns, &way,
                       &port_connect_events, connection);
    while (!connection->decided)
        loop_run(&connection->loop);
    if (connection->connect.outcome != PORT_CONNECT_WON)
        return fail_lost(connection, error);
    connection->conn = &connection->connect.line->conn;
    connection->session = port_connect_session(&connection->connect);
    return true;
}

bool server_connection_local(struct server_connection *connection, const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *connection = (struct server_connection){.options.host = "localhost"};
    if (!prepare(connection, error))
        return false;
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >= (int)sizeof address.sun_path)
        return error_set(error, EX_CONFIG, "%s is too long for a socket", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_TEMPFAIL,
                        "cannot reach the server on this machine at %s (is `mailboat serve` running? or name "
                        "another with --host)",
                        path);
        if (descriptor >= 0)
            close(descriptor);
        return false;
    }
    evutil_make_socket_nonblocking(descriptor);
    connection->conn = &connection->local;
    conn_start(&connection->local, &connection->loop, descriptor, &local_events, connection);
    struct client_options options = {.helo = bytes_of_text(connection->hostname), .tls = CLIENT_TLS_NEVER};
    client_session_start(&connection->own_session, &options);
    connection->session = &connection->own_session;
    return true;
}

/* ---- the session ---- */

void server_connection_next(struct server_connection *connection, struct client_action *action)
{
    bool waits = false; /* since the last reply; single octets do not extend it */
    for (;;) {
        while (client_session_action(connection->session, action)) {
            if (action->kind == CLIENT_SEND)
                conn_write(connection->conn, action->bytes);
            else if (!sasl_client_answer(connection->session, action, connection->conn))
                return;
        }
        size_t used = client_session_feed(connection->session, conn_input(connection->conn));
        if (used > 0) {
            conn_consume(connection->conn, used);
            waits = false;
        } else if (connection->ended) {
            client_session_failed(connection->session, client_session_step(connection->session),
                                  bytes_of_text(connection->why));
            if (!client_session_action(connection->session, action))
                *action = (struct client_action){.kind = CLIENT_CLOSE};
            return;
        } else if (!client_session_action(connection->session, action)) {
            if (!waits)
                conn_set_deadline(connection->conn, client_session_timeout_ms(connection->session));
            waits = true;
            loop_run(&connection->loop);
        } else if (action->kind == CLIENT_SEND) {
            conn_write(connection->conn, action->bytes);
        } else if (!sasl_client_answer(connection->session, action, connection->conn)) {
            return;
        }
    }
}

void server_connection_drain(struct server_connection *connection)
{
    while (conn_unsent(connection->conn) > OUTPUT_LOW && !connection->ended)
        loop_run(&connection->loop);
}

void server_connection_end(struct server_connection *connection)
{
    if (connection->dialled)
        port_connect_end(&connection->connect);
    if (connection->conn == &connection->local && client_session_may_quit(connection->session)) {
        conn_write(&connection->local, BYTES("QUIT\r\n"));
        conn_flush(&connection->local);
    }
    if (connection->conn == &connection->local)
        conn_close(&connection->local);
    if (connection->session == &connection->own_session)
        client_session_free(&connection->own_session);
    if (connection->dns != NULL)
        dns_close(connection->dns);
    if (connection->has_tls)
        tls_close(&connection->tls);
    if (connection->has_loop)
        loop_free(&connection->loop);
}
