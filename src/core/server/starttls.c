/* SPDX-License-Identifier: Apache-2.0 */
/* starttls: STARTTLS (RFC 3207). */
#include "core/server/server_state.h"

struct server_reply server_starttls(struct server_session *session, struct bytes argument)
{
    if (session->state->secured)
        return REPLY(503, "5.5.1", "TLS is already active");
    if (session->policy->tls != TLS_STARTTLS)
        return REPLY(502, "5.5.1", "STARTTLS is not available on this port");
    if (argument.length > 0)
        return REPLY(501, "5.5.4", "Syntax: STARTTLS (no argument)");
    session->state->phase = PHASE_TLS;
    return REPLY(220, "2.0.0", "Go ahead");
}

void server_session_tls_started(struct server_session *session, struct bytes tls)
{
    struct server_state *state = session->state;
    server_session_reset(session);
    /* RFC 3207 4.2: the server discards what it learned before. */
    state->greeted = state->esmtp = state->signed_in = false;
    session->origin.client_helo = session->origin.account = bytes_none();
    session->origin.tls = arena_copy(&state->session_arena, tls);
    state->secured = true;
    state->phase = PHASE_COMMAND;
    server_session_update_protocol(session);
}
