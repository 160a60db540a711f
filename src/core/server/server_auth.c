/* SPDX-License-Identifier: Apache-2.0 */
/* server_auth: AUTH PLAIN and LOGIN (RFC 4954, RFC 4616), only under TLS; SCRAM is in server_scram.c. */
#include "core/server/server_state.h"
#include "core/smtp/base64.h"

static void wipe(struct buffer *buffer)
{
    if (buffer->at != NULL)
        explicit_bzero(buffer->at, buffer->capacity);
    buffer_free(buffer);
}

void server_auth_forget(struct server_session *session)
{
    wipe(&session->state->auth_user);
    wipe(&session->state->auth_password);
    server_scram_forget(session);
}

struct server_reply server_auth_challenge(struct server_session *session, enum auth_step step,
                                          const char *text)
{
    session->state->auth_step = step;
    session->state->phase = PHASE_AUTH;
    return REPLY(334, NULL, text);
}

struct server_reply server_auth_give_up(struct server_session *session, struct server_reply reply)
{
    server_auth_forget(session);
    session->state->phase = PHASE_COMMAND;
    return reply;
}

static struct server_reply ask_password(struct server_session *session)
{
    server_session_ask(session, SERVER_ASK_PASSWORD);
    return NO_REPLY;
}

/* Parses authorize NUL authenticate NUL password (RFC 4616 2). Acting for another user is not supported,
 * so the first must be empty or equal the second. */
static struct server_reply plain_response(struct server_session *session, struct buffer *decoded)
{
    struct server_state *state = session->state;
    struct bytes rest = buffer_bytes(decoded);
    struct bytes authorize = bytes_split(&rest, '\0');
    struct bytes user = bytes_split(&rest, '\0');
    if (user.length == 0 || rest.length == 0 || bytes_find(rest, '\0') != SIZE_MAX || !bytes_is_utf8(user))
        return server_auth_give_up(session, REPLY(501, "5.5.2", "Malformed PLAIN response"));
    if (authorize.length > 0 && !bytes_equal(authorize, user))
        return server_auth_give_up(session,
                                   REPLY(535, "5.7.8", "Authorization as another user is not supported"));
    buffer_add(&state->auth_user, user);
    buffer_add(&state->auth_password, rest);
    return ask_password(session);
}

static struct server_reply take_response(struct server_session *session, struct buffer *decoded)
{
    struct server_state *state = session->state;
    struct bytes value = buffer_bytes(decoded);
    switch (state->auth_step) {
    case AUTH_PLAIN_RESPONSE: return plain_response(session, decoded);
    case AUTH_LOGIN_USER:
        if (value.length == 0 || !bytes_is_utf8(value) || bytes_find(value, '\0') != SIZE_MAX)
            return server_auth_give_up(session, REPLY(501, "5.5.2", "Malformed user name"));
        buffer_add(&state->auth_user, value);
        return server_auth_challenge(session, AUTH_LOGIN_PASSWORD, "UGFzc3dvcmQ6"); /* "Password:" */
    case AUTH_LOGIN_PASSWORD:
        if (value.length == 0 || bytes_find(value, '\0') != SIZE_MAX)
            return server_auth_give_up(session, REPLY(501, "5.5.2", "Malformed password"));
        buffer_add(&state->auth_password, value);
        return ask_password(session);
    case AUTH_SCRAM_FIRST: return server_scram_first(session, value);
    case AUTH_SCRAM_FINAL: return server_scram_final(session, value);
    case AUTH_SCRAM_END:
        if (value.length > 0)
            return server_auth_give_up(session,
                                       REPLY(501, "5.5.2", "Malformed response; expected an empty line"));
        server_auth_decide(
            session, PASSWORD_RIGHT,
            arena_copy(&session->state->session_arena, buffer_bytes(&session->state->auth_user)));
        return NO_REPLY;
    }
    return NO_REPLY;
}

struct server_reply server_auth_response(struct server_session *session, struct bytes line)
{
    struct buffer decoded = {0};
    if (bytes_is(line, "*"))
        return server_auth_give_up(session, REPLY(501, "5.7.0", "Authentication cancelled"));
    if (!base64_decode(&decoded, line)) {
        wipe(&decoded);
        return server_auth_give_up(session, REPLY(501, "5.5.2", "Invalid base64 data"));
    }
    struct server_reply reply = take_response(session, &decoded);
    wipe(&decoded);
    return reply;
}

/* The first challenge of each mechanism, for clients without an initial response. */
static const struct server_mechanism {
    const char *name, *challenge;
    enum auth_step step;
    bool binds;
} mechanisms[] = {
    {"PLAIN", "", AUTH_PLAIN_RESPONSE, false},
    {"LOGIN", "VXNlcm5hbWU6", AUTH_LOGIN_USER, false}, /* "Username:" */
    {"SCRAM-SHA-256", "", AUTH_SCRAM_FIRST, false},
    {"SCRAM-SHA-256-PLUS", "", AUTH_SCRAM_FIRST, true},
};

struct server_reply server_auth(struct server_session *session, struct bytes argument)
{
    struct bytes initial = argument;
    struct bytes name = bytes_split(&initial, ' ');
    const struct server_mechanism *mechanism = mechanisms;
    initial = bytes_trim(initial);
    if (session->state->signed_in)
        return REPLY(503, "5.5.1", "Already authenticated");
    while (mechanism < mechanisms + ARRAY_LENGTH(mechanisms) && !bytes_is_nocase(name, mechanism->name))
        mechanism++;
    if (mechanism == mechanisms + ARRAY_LENGTH(mechanisms))
        return REPLY(
            504, "5.5.4",
            "Unrecognized authentication mechanism; use PLAIN, LOGIN, SCRAM-SHA-256 or SCRAM-SHA-256-PLUS");
    server_auth_forget(session);
    session->state->auth_step = mechanism->step;
    session->state->auth_binds = mechanism->binds;
    session->state->auth_mechanism = mechanism->name;
    if (initial.length == 0)
        return server_auth_challenge(session, mechanism->step, mechanism->challenge);
    /* "=" is an empty initial response (RFC 4954 4). */
    return server_auth_response(session, bytes_is(initial, "=") ? bytes_none() : initial);
}

const char *server_session_mechanism(const struct server_session *session)
{
    return session->state->auth_mechanism == NULL ? "" : session->state->auth_mechanism;
}

#define WRONG_PASSWORD                                                                                \
    ((struct server_reply){                                                                           \
        535, "5.7.8",                                                                                 \
        "Authentication failed: wrong user name or password; the user name is the full mail address", \
        MEANING_WRONG_PASSWORD})

struct server_reply server_auth_verdict_reply(enum password_verdict verdict)
{
    switch (verdict) {
    case PASSWORD_RIGHT: return REPLY(235, "2.7.0", "Authentication successful");
    case PASSWORD_WRONG: return WRONG_PASSWORD;
    case PASSWORD_LOCKED: return REPLY(454, "4.7.0", "Too many failed logins; try again in a few minutes");
    case PASSWORD_UNAVAILABLE: break;
    }
    return REPLY(454, "4.7.0", "Temporary authentication failure; try again in a minute");
}

void server_auth_count_failure(struct server_session *session)
{
    if (++session->state->auth_failures >= AUTH_FAILURES_MAX)
        server_session_reply_and_close(
            session, REPLY(421, "4.7.0", "Too many authentication failures; closing connection"));
}

void server_auth_decide(struct server_session *session, enum password_verdict verdict, struct bytes account)
{
    struct server_state *state = session->state;
    state->phase = PHASE_COMMAND;
    server_auth_forget(session);
    if (verdict == PASSWORD_RIGHT) {
        state->signed_in = true;
        session->origin.account = arena_copy(&state->session_arena, account);
        server_session_update_protocol(session);
    }
    server_session_reply(session, server_auth_verdict_reply(verdict));
    if (verdict == PASSWORD_WRONG || verdict == PASSWORD_LOCKED)
        server_auth_count_failure(session);
}

void server_session_answer_password(struct server_session *session, enum password_verdict verdict,
                                    struct bytes account)
{
    server_session_take_answer(session, SERVER_ASK_PASSWORD);
    server_auth_decide(session, verdict, account);
}
