/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_scram: the server side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677). The exchange
 * is part of the session and ends with it; the salt and the check of the proof come from auth.
 */
#include "core/server/server_state.h"
#include "core/smtp/base64.h"

#define WRONG_FORM REPLY(501, "5.5.2", "Malformed SCRAM message")

void server_scram_forget(struct server_session *session)
{
    struct server_state *state = session->state;
    buffer_free(&state->scram_header);
    buffer_free(&state->scram_type);
    buffer_free(&state->scram_binding);
    buffer_free(&state->scram_nonce);
    buffer_free(&state->scram_message);
    memset(state->scram_proof, 0, sizeof state->scram_proof);
}

/* A PLUS mechanism requires a channel binding; flag y means that the client supports PLUS but did not see
 * it offered: a downgrade (RFC 5802 6). */
static struct server_reply check_binding(const struct server_session *session,
                                         const struct scram_client_first *first)
{
    bool binds = session->state->auth_binds;
    if (binds != (first->flag == 'p') && first->flag != 'y')
        return WRONG_FORM;
    if (first->flag == 'y')
        return REPLY(535, "5.7.8",
                     "Authentication failed: the client was not shown SCRAM-SHA-256-PLUS, which this server "
                     "offers; possible downgrade attack");
    if (binds && !bytes_is(first->binding, SCRAM_TLS_EXPORTER) &&
        !bytes_is(first->binding, SCRAM_TLS_SERVER_END_POINT))
        return REPLY(535, "5.7.8", "Unknown channel binding; use tls-exporter or tls-server-end-point");
    return NO_REPLY;
}

struct server_reply server_scram_first(struct server_session *session, struct bytes message)
{
    struct server_state *state = session->state;
    struct scram_client_first first;
    struct buffer authorize = {0};
    if (!scram_read_client_first(message, &first) || !scram_name_read(&state->auth_user, first.user))
        return server_auth_give_up(session, WRONG_FORM);
    struct server_reply refusal = check_binding(session, &first);
    if (refusal.code != 0)
        return server_auth_give_up(session, refusal);
    bool for_another = first.authorize.length > 0 &&
                       (!scram_name_read(&authorize, first.authorize) ||
                        !bytes_equal(buffer_bytes(&authorize), buffer_bytes(&state->auth_user)));
    buffer_free(&authorize);
    if (for_another)
        return server_auth_give_up(session,
                                   REPLY(535, "5.7.8", "Authorization as another user is not supported"));
    buffer_add(&state->scram_header, first.header);
    buffer_add(&state->scram_type, first.binding);
    buffer_add(&state->scram_nonce, first.nonce);
    buffer_add(&state->scram_message, first.bare);
    buffer_add_octet(&state->scram_message, ',');
    server_session_ask(session, SERVER_ASK_SALT);
    return NO_REPLY;
}

void server_session_answer_salt(struct server_session *session, struct bytes salt, uint32_t iterations,
                                struct bytes nonce, struct bytes binding)
{
    struct server_state *state = session->state;
    struct buffer ours = {0}, challenge = {0};
    server_session_take_answer(session, SERVER_ASK_SALT);
    if (salt.length == 0) {
        server_auth_decide(session, PASSWORD_UNAVAILABLE, bytes_none());
        return;
    }
    if (state->auth_binds && binding.length == 0) {
        server_session_reply(
            session,
            server_auth_give_up(session,
                                REPLY(535, "5.7.8", "Channel binding is not available on this connection")));
        server_auth_count_failure(session);
        return;
    }
    buffer_add(&state->scram_binding, binding);
    scram_write_server_first(&ours, buffer_bytes(&state->scram_nonce), nonce, salt, iterations);
    base64_encode(&state->scram_nonce, nonce);
    buffer_add(&state->scram_message, buffer_bytes(&ours));
    buffer_add_octet(&state->scram_message, ',');
    base64_encode(&challenge, buffer_bytes(&ours));
    server_session_reply(session, server_auth_challenge(session, AUTH_SCRAM_FINAL, buffer_text(&challenge)));
    buffer_free(&challenge);
    buffer_free(&ours);
}

struct server_reply server_scram_final(struct server_session *session, struct bytes message)
{
    struct server_state *state = session->state;
    struct scram_client_final final;
    if (!scram_read_client_final(message, &final) ||
        !bytes_equal(final.nonce, buffer_bytes(&state->scram_nonce)))
        return server_auth_give_up(session, WRONG_FORM);
    if (!scram_binding_is(final.binding, buffer_bytes(&state->scram_header),
                          buffer_bytes(&state->scram_binding)))
        return server_auth_give_up(session, REPLY(535, "5.7.8",
                                                  "Authentication failed: channel binding mismatch; possible "
                                                  "man in the middle, or a client error"));
    buffer_add(&state->scram_message, final.unproved);
    memcpy(state->scram_proof, final.proof, sizeof state->scram_proof);
    server_session_ask(session, SERVER_ASK_PROOF);
    return NO_REPLY;
}

/* After a correct proof the client verifies the server, answers with an empty line, and only then is
 * authenticated (RFC 4954 4: a mechanism's last message is a challenge). */
void server_session_answer_proof(struct server_session *session, enum password_verdict verdict,
                                 struct bytes account, struct bytes signature)
{
    struct server_state *state = session->state;
    struct buffer ours = {0}, challenge = {0};
    server_session_take_answer(session, SERVER_ASK_PROOF);
    if (verdict != PASSWORD_RIGHT) {
        server_auth_decide(session, verdict, account);
        return;
    }
    buffer_clear(&state->auth_user);
    buffer_add(&state->auth_user, account);
    buffer_add_text(&ours, "v=");
    base64_encode(&ours, signature);
    base64_encode(&challenge, buffer_bytes(&ours));
    server_session_reply(session, server_auth_challenge(session, AUTH_SCRAM_END, buffer_text(&challenge)));
    buffer_free(&challenge);
    buffer_free(&ours);
}
