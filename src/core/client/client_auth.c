/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_auth: authentication (RFC 4954) with the best mechanism that both sides support. With a password:
 * SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN, LOGIN; with a token: OAUTHBEARER, XOAUTH2. If a server rejects
 * SCRAM, the next mechanism is tried: the server may have no verifier for this account yet, and a server
 * trusted with PLAIN by its certificate could have offered only PLAIN.
 */
#include <assert.h>

#include "core/client/client_state.h"
#include "core/smtp/base64.h"

enum {
    PASSWORD_MECHANISMS = MECHANISM_PLAIN | MECHANISM_LOGIN | MECHANISM_SCRAM_SHA_256 |
                          MECHANISM_SCRAM_SHA_256_PLUS,
    SCRAM_MECHANISMS = MECHANISM_SCRAM_SHA_256 | MECHANISM_SCRAM_SHA_256_PLUS,
    TOKEN_MECHANISMS = MECHANISM_XOAUTH2 | MECHANISM_OAUTHBEARER,
    /* octets of a command without CRLF (RFC 5321 4.5.3.1.4): a longer response is sent after the challenge */
    COMMAND_MAX = 510,
};

bool client_can_sign_in(uint32_t mechanisms, bool by_token)
{
    return (mechanisms & (by_token ? TOKEN_MECHANISMS : PASSWORD_MECHANISMS)) != 0;
}

/* ---- buffers with secrets ---- */

static void wipe(struct buffer *buffer)
{
    if (buffer->at != NULL)
        explicit_bzero(buffer->at, buffer->capacity);
    buffer_free(buffer);
}

void client_auth_forget(struct client_session *session)
{
    struct client_state *state = session->state;
    wipe(&state->response);
    wipe(&state->scram_header);
    wipe(&state->scram_bare);
    wipe(&state->scram_nonce);
    wipe(&state->scram_binding);
    wipe(&state->scram_message);
    wipe(&state->scram_final);
}

static void say_encoded(struct client_session *session, struct bytes octets)
{
    struct buffer line = {0};
    base64_encode(&line, octets);
    client_out(session, "%s", buffer_text(&line));
    wipe(&line);
}

/* Sends "AUTH NAME RESPONSE" if it fits into a command, else the response separately. */
static void say_auth(struct client_session *session, enum client_phase phase, const char *name,
                     struct bytes response)
{
    struct client_state *state = session->state;
    struct buffer line = {0};
    base64_encode(&line, response);
    state->phase = phase;
    wipe(&state->response);
    if (strlen("AUTH  ") + strlen(name) + line.length <= COMMAND_MAX) {
        client_out(session, "AUTH %s %s", name, buffer_text(&line));
    } else {
        client_out(session, "AUTH %s", name);
        buffer_add(&state->response, buffer_bytes(&line));
    }
    wipe(&line);
}

/* ---- PLAIN (RFC 4616), XOAUTH2, OAUTHBEARER (RFC 7628) ---- */

static void say_plain(struct client_session *session)
{
    struct buffer response = {0};
    buffer_add_octet(&response, '\0');
    buffer_add(&response, session->options.user);
    buffer_add_octet(&response, '\0');
    buffer_add(&response, session->options.password);
    say_auth(session, PHASE_AUTH_PLAIN, "PLAIN", buffer_bytes(&response));
    wipe(&response);
}

static void say_token(struct client_session *session)
{
    const struct client_options *options = &session->options;
    struct buffer response = {0};
    bool standard = session->state->mechanism == MECHANISM_OAUTHBEARER;
    buffer_add_text(&response, standard ? "n,a=" : "user=");
    if (standard)
        scram_name_write(&response, options->user);
    else
        buffer_add(&response, options->user);
    buffer_add_text(&response, standard ? ",\1auth=Bearer " : "\1auth=Bearer ");
    buffer_add(&response, options->token);
    buffer_add_text(&response, "\1\1");
    say_auth(session, PHASE_AUTH_TOKEN, standard ? "OAUTHBEARER" : "XOAUTH2", buffer_bytes(&response));
    wipe(&response);
}

/* ---- SCRAM ---- */

void client_session_answer_nonce(struct client_session *session, struct bytes nonce,
                                 struct bytes binding_name, struct bytes binding)
{
    struct client_state *state = session->state;
    assert(state->phase == PHASE_AUTH_ASKING && state->scram_challenge.iterations == 0);
    bool offered = (state->mechanisms & MECHANISM_SCRAM_SHA_256_PLUS) != 0,
         bound = offered && binding.length > 0;
    struct buffer first = {0};
    state->mechanism = bound ? MECHANISM_SCRAM_SHA_256_PLUS : MECHANISM_SCRAM_SHA_256;
    state->mechanisms &= ~(uint32_t)SCRAM_MECHANISMS;
    if (bound)
        buffer_add_format(&state->scram_header, "p=%.*s,,", BYTES_ARG(binding_name));
    else
        buffer_add_text(&state->scram_header, binding.length > 0 ? "y,," : "n,,");
    buffer_add(&state->scram_binding, bound ? binding : bytes_none());
    base64_encode(&state->scram_nonce, nonce);
    buffer_add_text(&state->scram_bare, "n=");
    scram_name_write(&state->scram_bare, session->options.user);
    buffer_add_format(&state->scram_bare, ",r=%s", buffer_text(&state->scram_nonce));
    buffer_add(&first, buffer_bytes(&state->scram_header));
    buffer_add(&first, buffer_bytes(&state->scram_bare));
    say_auth(session, PHASE_AUTH_SCRAM_FIRST, bound ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256",
             buffer_bytes(&first));
    buffer_free(&first);
    assert(client_session_is_sound(session));
}

static void take_challenge(struct client_session *session, struct bytes challenge)
{
    struct client_state *state = session->state;
    struct scram_server_first *first = &state->scram_challenge;
    struct bytes ours = buffer_bytes(&state->scram_nonce);
    struct buffer header = {0};
    if (!scram_read_server_first(challenge, first) || first->nonce.length <= ours.length ||
        !bytes_equal(bytes_first(first->nonce, ours.length), ours)) {
        client_fail_said(session, STEP_AUTH, OUTCOME_DEFERRED, "4.5.0",
                         "the server's challenge is not a valid SCRAM-SHA-256 challenge, or requests too few "
                         "or too many iterations");
        return;
    }
    buffer_add(&header, buffer_bytes(&state->scram_header));
    buffer_add(&header, buffer_bytes(&state->scram_binding));
    buffer_add_text(&state->scram_final, "c=");
    base64_encode(&state->scram_final, buffer_bytes(&header));
    buffer_add_format(&state->scram_final, ",r=%.*s", BYTES_ARG(first->nonce));
    buffer_add(&state->scram_message, buffer_bytes(&state->scram_bare));
    buffer_add_octet(&state->scram_message, ',');
    buffer_add(&state->scram_message, challenge);
    buffer_add_octet(&state->scram_message, ',');
    buffer_add(&state->scram_message, buffer_bytes(&state->scram_final));
    first->nonce = bytes_none(); /* it borrows from the reply */
    buffer_free(&header);
    state->phase = PHASE_AUTH_ASKING;
    client_push(session, CLIENT_ASK_PROOF);
}

struct client_scram client_auth_scram(const struct client_session *session)
{
    const struct client_state *state = session->state;
    return (struct client_scram){
        .password = session->options.password,
        .salt = bytes_of(state->scram_challenge.salt, state->scram_challenge.salt_length),
        .message = buffer_bytes(&state->scram_message),
        .iterations = state->scram_challenge.iterations};
}

void client_session_answer_proof(struct client_session *session, const uint8_t *proof,
                                 const uint8_t *signature)
{
    struct client_state *state = session->state;
    assert(state->phase == PHASE_AUTH_ASKING && state->scram_challenge.iterations != 0);
    memcpy(state->scram_signature, signature, SCRAM_KEY);
    buffer_add_text(&state->scram_final, ",p=");
    base64_encode(&state->scram_final, bytes_of(proof, SCRAM_KEY));
    state->phase = PHASE_AUTH_SCRAM_FINAL;
    say_encoded(session, buffer_bytes(&state->scram_final));
    assert(client_session_is_sound(session));
}

/* Verifies the server's signature: a server that does not know the password is an impostor. */
static void take_signature(struct client_session *session, struct bytes message)
{
    uint8_t signature[SCRAM_KEY];
    if (!scram_read_server_final(message, signature) ||
        memcmp(signature, session->state->scram_signature, SCRAM_KEY) != 0) {
        client_fail_said(
            session, STEP_AUTH, OUTCOME_FAILED, "5.7.0",
            "the server could not prove that it knows the password (SCRAM); it may be an impostor");
        return;
    }
    session->state->phase = PHASE_AUTH_SCRAM_END;
    client_out(session, "%s", "");
}

/* ---- selection ---- */

static void try_next(struct client_session *session)
{
    struct client_state *state = session->state;
    static const uint32_t order[] = {MECHANISM_OAUTHBEARER,   MECHANISM_XOAUTH2, MECHANISM_SCRAM_SHA_256_PLUS,
                                     MECHANISM_SCRAM_SHA_256, MECHANISM_PLAIN,   MECHANISM_LOGIN};
    size_t i = 0;
    while (i < ARRAY_LENGTH(order) && (state->mechanisms & order[i]) == 0)
        i++;
    assert(i < ARRAY_LENGTH(order));
    state->mechanism = order[i];
    state->mechanisms &= ~order[i];
    if ((order[i] & TOKEN_MECHANISMS) != 0) {
        say_token(session);
    } else if ((order[i] & SCRAM_MECHANISMS) != 0) {
        state->mechanisms |= order[i]; /* the connection decides between the two */
        state->phase = PHASE_AUTH_ASKING;
        client_push(session, CLIENT_ASK_NONCE);
    } else if (order[i] == MECHANISM_PLAIN) {
        say_plain(session);
    } else {
        state->phase = PHASE_AUTH_LOGIN;
        client_out(session, "AUTH LOGIN");
    }
}

void client_auth_begin(struct client_session *session)
{
    struct client_state *state = session->state;
    bool by_token = session->options.token.length > 0;
    state->mechanisms = session->capabilities.mechanisms &
                        (by_token ? (uint32_t)TOKEN_MECHANISMS : (uint32_t)PASSWORD_MECHANISMS);
    /* PLUS without its plain form violates the standard */
    if ((state->mechanisms & SCRAM_MECHANISMS) == MECHANISM_SCRAM_SHA_256_PLUS)
        state->mechanisms &= ~(uint32_t)SCRAM_MECHANISMS;
    if (!state->secured && session->options.tls != CLIENT_TLS_NEVER)
        client_fail_said(session, STEP_AUTH, OUTCOME_FAILED, "5.7.0",
                         "the connection has no TLS: the password was not sent");
    else if (state->mechanisms != 0)
        try_next(session);
    else
        client_fail_said(
            session, STEP_AUTH, OUTCOME_FAILED, "5.7.4",
            !session->capabilities.auth ? "the server does not offer authentication on this port"
            : by_token
                ? "the server does not accept OAuth 2 tokens (OAUTHBEARER or XOAUTH2)"
                : "the server offers no supported authentication mechanism (SCRAM-SHA-256, PLAIN or LOGIN)");
}

void client_session_sign_in(struct client_session *session, struct bytes user, struct bytes password,
                            struct bytes token)
{
    assert(client_session_is_ready(session) && session->options.probe_only);
    session->options.user = user;
    session->options.password = password;
    session->options.token = token;
    session->options.probe_only = false;
    client_auth_begin(session);
    assert(client_session_is_sound(session));
}

/* ---- replies ---- */

static void take_text(struct client_session *session, const struct smtp_reply *reply,
                      void (*take)(struct client_session *session, struct bytes message))
{
    struct buffer text = {0}, octets = {0};
    reply_text(&text, reply);
    take(session, base64_decode(&octets, buffer_bytes(&text)) ? buffer_bytes(&octets) : bytes_none());
    buffer_free(&text);
    buffer_free(&octets);
}

static void make_no_sense(struct client_session *session)
{
    client_fail_said(session, STEP_AUTH, OUTCOME_DEFERRED, "4.5.0",
                     "the server's reply to AUTH is not valid");
}

static void take_continuation(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    if (state->response.length > 0) { /* the response that did not fit into the command */
        client_out(session, "%s", buffer_text(&state->response));
        wipe(&state->response);
        return;
    }
    switch (state->phase) {
    case PHASE_AUTH_LOGIN:
        state->phase = PHASE_AUTH_LOGIN_USER;
        say_encoded(session, session->options.user);
        break;
    case PHASE_AUTH_LOGIN_USER:
        state->phase = PHASE_AUTH_LOGIN_PASSWORD;
        say_encoded(session, session->options.password);
        break;
    case PHASE_AUTH_TOKEN: /* the reason of a rejection; the rejection itself follows (RFC 7628 3.2.3) */
        state->phase = PHASE_AUTH_LOGIN_PASSWORD;
        client_out(session, "%s", state->mechanism == MECHANISM_OAUTHBEARER ? "AQ==" : "");
        break;
    case PHASE_AUTH_SCRAM_FIRST: take_text(session, reply, take_challenge); break;
    case PHASE_AUTH_SCRAM_FINAL: take_text(session, reply, take_signature); break;
    default: make_no_sense(session); break;
    }
}

/* True if 235 is valid now: after the whole exchange. */
static bool is_complete(const struct client_state *state)
{
    return state->response.length == 0 &&
           (state->phase == PHASE_AUTH_PLAIN || state->phase == PHASE_AUTH_TOKEN ||
            state->phase == PHASE_AUTH_LOGIN_PASSWORD || state->phase == PHASE_AUTH_SCRAM_END);
}

void client_auth_reply(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    bool in_scram = state->phase == PHASE_AUTH_SCRAM_FIRST || state->phase == PHASE_AUTH_SCRAM_FINAL;
    if (reply->code == 235 && is_complete(state)) {
        client_auth_forget(session);
        client_become_ready(session);
    } else if (reply->code == 235 && state->phase == PHASE_AUTH_SCRAM_FINAL) {
        take_signature(session, bytes_none());
    } else if (reply->code == 334) {
        take_continuation(session, reply);
    } else if (reply->code >= 500 && in_scram && state->mechanisms != 0) {
        client_auth_forget(session);
        try_next(session);
    } else if (reply->code >= 400) {
        client_fail_reply(session, STEP_AUTH, reply);
    } else {
        make_no_sense(session);
    }
}
