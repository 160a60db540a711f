/* SPDX-License-Identifier: Apache-2.0 */
/* auth: AUTH PLAIN and LOGIN (RFC 4954, RFC 4616), under TLS only. */
#include "server/state.h"

#include "smtp/base64.h"

static void wipe(struct buffer *buffer)
{
    if (buffer->at != NULL)
        explicit_bzero(buffer->at, buffer->capacity);
    buffer_free(buffer);
}

void auth_forget(struct server_session *session)
{
    wipe(&session->state->auth_user);
    wipe(&session->state->auth_password);
}

static struct reply challenge(struct server_session *session, enum auth_step step, const char *text)
{
    session->state->auth_step = step;
    session->state->phase = PHASE_AUTH;
    return REPLY(334, NULL, text);
}

static struct reply give_up(struct server_session *session, struct reply reply)
{
    auth_forget(session);
    session->state->phase = PHASE_COMMAND;
    return reply;
}

static struct reply ask_password(struct server_session *session)
{
    session_ask(session, SERVER_ASK_PASSWORD);
    return NO_REPLY;
}

/* authorize NUL authenticate NUL password (RFC 4616 2). To act for another
 * is not possible, so the first must be empty or the same as the second. */
static struct reply plain_response(struct server_session *session, struct buffer *decoded)
{
    struct server_state *state = session->state;
    struct bytes rest = buffer_bytes(decoded);
    struct bytes authorize = bytes_split(&rest, '\0');
    struct bytes user = bytes_split(&rest, '\0');
    if (user.length == 0 || rest.length == 0 || bytes_find(rest, '\0') != SIZE_MAX || !bytes_is_utf8(user))
        return give_up(session, REPLY(501, "5.5.2", "That is not a PLAIN response"));
    if (authorize.length > 0 && !bytes_equal(authorize, user))
        return give_up(session, REPLY(535, "5.7.8", "Signing in for another account is not possible"));
    buffer_add(&state->auth_user, user);
    buffer_add(&state->auth_password, rest);
    return ask_password(session);
}

static struct reply take_response(struct server_session *session, struct buffer *decoded)
{
    struct server_state *state = session->state;
    struct bytes value = buffer_bytes(decoded);
    switch (state->auth_step) {
    case AUTH_PLAIN_RESPONSE:
        return plain_response(session, decoded);
    case AUTH_LOGIN_USER:
        if (value.length == 0 || !bytes_is_utf8(value) || bytes_find(value, '\0') != SIZE_MAX)
            return give_up(session, REPLY(501, "5.5.2", "That is not a user name"));
        buffer_add(&state->auth_user, value);
        return challenge(session, AUTH_LOGIN_PASSWORD, "UGFzc3dvcmQ6"); /* "Password:" */
    case AUTH_LOGIN_PASSWORD:
        if (value.length == 0 || bytes_find(value, '\0') != SIZE_MAX)
            return give_up(session, REPLY(501, "5.5.2", "That is not a password"));
        buffer_add(&state->auth_password, value);
        return ask_password(session);
    }
    return NO_REPLY;
}

struct reply auth_response(struct server_session *session, struct bytes line)
{
    struct buffer decoded = {0};
    if (bytes_is(line, "*"))
        return give_up(session, REPLY(501, "5.7.0", "Authentication was cancelled"));
    if (!base64_decode(&decoded, line)) {
        wipe(&decoded);
        return give_up(session, REPLY(501, "5.5.2", "That is not base64"));
    }
    struct reply reply = take_response(session, &decoded);
    wipe(&decoded);
    return reply;
}

struct reply server_auth(struct server_session *session, struct bytes argument)
{
    struct bytes initial = argument;
    struct bytes mechanism = bytes_split(&initial, ' ');
    initial = bytes_trim(initial);
    if (session->state->signed_in)
        return REPLY(503, "5.5.1", "You are signed in already");
    bool plain = bytes_is_nocase(mechanism, "PLAIN");
    if (!plain && !bytes_is_nocase(mechanism, "LOGIN"))
        return REPLY(504, "5.5.4", "There are PLAIN and LOGIN; both are safe here, under TLS");
    auth_forget(session);
    session->state->auth_step = plain ? AUTH_PLAIN_RESPONSE : AUTH_LOGIN_USER;
    if (initial.length == 0)
        return plain ? challenge(session, AUTH_PLAIN_RESPONSE, "") : challenge(session, AUTH_LOGIN_USER, "VXNlcm5hbWU6"); /* "Username:" */
    /* "=" is an empty initial response (RFC 4954 4). */
    return auth_response(session, bytes_is(initial, "=") ? bytes_none() : initial);
}

static struct reply password_reply(struct server_session *session, enum password_verdict verdict)
{
    switch (verdict) {
    case PASSWORD_RIGHT:
        return REPLY(235, "2.7.0", "Signed in");
    case PASSWORD_WRONG:
        return REPLY(535, "5.7.8", "User name or password is wrong; the user name is the full mail address");
    case PASSWORD_LOCKED:
        return REPLY(454, "4.7.0", "Too many wrong passwords; wait a few minutes and try again");
    case PASSWORD_UNAVAILABLE:
        break;
    }
    return REPLY(454, "4.7.0", "The password cannot be checked just now; try again in a minute");
}

void server_session_answer_password(struct server_session *session, enum password_verdict verdict, struct bytes account)
{
    struct server_state *state = session->state;
    assert(state->question == SERVER_ASK_PASSWORD);
    state->question = SERVER_NOTHING;
    state->phase = PHASE_COMMAND;
    auth_forget(session);
    if (verdict == PASSWORD_RIGHT) {
        state->signed_in = true;
        session->origin.account = arena_copy(&state->session_arena, account);
        session_update_protocol(session);
    }
    session_say(session, password_reply(session, verdict));
    if ((verdict == PASSWORD_WRONG || verdict == PASSWORD_LOCKED) && ++state->auth_failures >= AUTH_FAILURES_MAX)
        session_leave(session, REPLY(421, "4.7.0", "Too many failures; goodbye"));
}
