/* SPDX-License-Identifier: Apache-2.0 */
/* simple_commands: the verbs that are a reply and little else (RFC 5321 4.1.1.5 to 4.1.1.10). */
#include "core/server/server_state.h"

struct server_reply server_rset(struct server_session *session, struct bytes argument)
{
    server_session_reset(session);
    return REPLY(250, "2.0.0", "Forgotten");
}

struct server_reply server_noop(struct server_session *session, struct bytes argument)
{
    return REPLY(250, "2.0.0", "Here");
}

struct server_reply server_vrfy(struct server_session *session, struct bytes argument)
{
    if (argument.length == 0)
        return REPLY(501, "5.5.4", "VRFY wants a name");
    return REPLY(252, "2.1.5", "Not verified here; say RCPT and see");
}

struct server_reply server_expn(struct server_session *session, struct bytes argument)
{
    return REPLY(502, "5.5.1", "Lists are not shown here");
}

struct server_reply server_help(struct server_session *session, struct bytes argument)
{
    if (session->policy->role == ROLE_MX)
        return REPLY(214, "2.0.0",
                     "This port takes mail for local users from other servers.\n"
                     "To send mail use port 587 with STARTTLS, 2525, or 465 with TLS.\n"
                     "EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
    return REPLY(214, "2.0.0",
                 "This port takes mail from users who have signed in, to anywhere.\n"
                 "First TLS, then your full mail address and password.\n"
                 "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
}

struct server_reply server_quit(struct server_session *session, struct bytes argument)
{
    server_session_reset(session);
    server_session_close(session);
    return REPLY(221, "2.0.0", "Goodbye");
}
