/* SPDX-License-Identifier: Apache-2.0 */
/* simple_commands: verbs with little more than a reply (RFC 5321 4.1.1.5 to 4.1.1.10). */
#include "core/server/server_state.h"

struct server_reply server_rset(struct server_session *session, struct bytes argument)
{
    server_session_reset(session);
    return REPLY(250, "2.0.0", "OK");
}

struct server_reply server_noop(struct server_session *session, struct bytes argument)
{
    return REPLY(250, "2.0.0", "OK");
}

struct server_reply server_vrfy(struct server_session *session, struct bytes argument)
{
    if (argument.length == 0)
        return REPLY(501, "5.5.4", "Syntax: VRFY address");
    return REPLY(252, "2.0.0", "Cannot verify user; try RCPT");
}

struct server_reply server_expn(struct server_session *session, struct bytes argument)
{
    return REPLY(502, "5.5.1", "EXPN is not available");
}

struct server_reply server_help(struct server_session *session, struct bytes argument)
{
    if (session->policy->role == ROLE_MX)
        return REPLY(214, "2.0.0",
                     "This port accepts mail for local users from other servers.\n"
                     "To send mail use port 587 (STARTTLS), 2525 or 465 (TLS).\n"
                     "EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
    return REPLY(214, "2.0.0",
                 "This port accepts mail to any destination from authenticated users.\n"
                 "Start TLS, then authenticate with your full mail address and password.\n"
                 "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
}

struct server_reply server_quit(struct server_session *session, struct bytes argument)
{
    server_session_reset(session);
    server_session_close(session);
    return REPLY(221, "2.0.0", "Goodbye");
}
