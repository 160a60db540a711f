/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn_check: finds clients that send before it is their turn: commands before the greeting, a message before
 * the reply to DATA. Only octets that are there before the reply is written count, so a client that waits is
 * never hit, however slow or fast the network is.
 */
#include "core/route/proxy_header.h"
#include "io/conn_unread.h"
#include "io/log.h"
#include "service/smtpd/smtpd.h"

enum { PEEKED_MAX = 16 }; /* octets: enough to tell TLS, a PROXY header and HTTP from commands */

/* Logs one line for a session that is served all the same. */
static void log_served(struct smtp_connection *connection, const char *reason, const char *hint)
{
    if (connection->out_of_turn)
        return;
    connection->out_of_turn = true;
    log_event(LOG_EVENT_INFO, "input_out_of_turn", LOG_TEXT("reason", reason),
              LOG_BYTES("client", connection->session.origin.client_address),
              LOG_U64("port", connection->listener->port),
              LOG_BYTES("account", connection->session.origin.account), LOG_TEXT("hint", hint));
}

/* Programs that use the local socket are not checked: no other server ever talks to them. */
static bool is_checked(const struct smtp_connection *connection)
{
    return connection->listener->policy.role != ROLE_LOCAL;
}

void turn_check_greeting(struct smtp_connection *connection)
{
    char room[PEEKED_MAX];
    struct bytes octets = is_checked(connection) ? conn_unread_peek(&connection->conn, room, sizeof room)
                                                 : bytes_none();
    bool tls = octets.length > 0 && octets.at[0] == 0x16;
    if (octets.length == 0 || tls || proxy_header_begins(octets)) /* on_input() names these two */
        return;
    if (server_session_heard_early(&connection->session, octets))
        return;
    if (connection->session.policy->role != ROLE_MX) /* there it is HTTP, which is refused in its own words */
        log_served(connection, "the client sent commands before the greeting",
                   "the program should wait for the greeting; port 25 of other servers refuses its mail");
}

void turn_check_content(struct smtp_connection *connection)
{
    char room[PEEKED_MAX];
    if (!is_checked(connection) || (conn_input(&connection->conn).length == 0 &&
                                    conn_unread_peek(&connection->conn, room, sizeof room).length == 0))
        return;
    if (!server_session_heard_content(&connection->session))
        log_served(connection, "the client sent the message before the reply to DATA",
                   "the program should wait for 354; port 25 of other servers refuses its mail");
}
