/* SPDX-License-Identifier: Apache-2.0 */
/* turn: clients that send before it is their turn: commands before the greeting, a message before 354. */
#include "core/server/server_state.h"

#define EARLY_COMMANDS  \
    REPLY(554, "5.5.0", \
          "SMTP synchronization error: wait for the greeting before sending commands; closing connection")
#define EARLY_CONTENT                                                                                 \
    REPLY(554, "5.5.0",                                                                               \
          "SMTP synchronization error: wait for the reply to DATA (354) before sending the message; " \
          "closing connection")

/* Refuses in place of the reply that waits. */
static bool refuse_in_place(struct server_session *session, struct server_reply reply)
{
    struct server_state *state = session->state;
    assert(state->action_count == 1 && state->actions[0] == SERVER_REPLY && state->refusal_count == 0);
    if (session->policy->role != ROLE_MX)
        return false;
    state->action_count = 0;
    buffer_clear(&state->replies);
    server_session_reply_and_close(session, reply);
    return true;
}

bool server_session_heard_early(struct server_session *session, struct bytes octets)
{
    return !server_session_is_http(octets) && refuse_in_place(session, EARLY_COMMANDS);
}

bool server_session_heard_content(struct server_session *session)
{
    assert(session->state->phase == PHASE_DATA);
    return refuse_in_place(session, EARLY_CONTENT);
}

bool server_session_refuses_early_data(struct server_session *session)
{
    if (session->policy->role != ROLE_MX)
        return false;
    server_session_reply_and_close(session, EARLY_CONTENT); /* whatever the reply to DATA would be */
    return true;
}
