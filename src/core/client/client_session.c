/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "core/client/client_state.h"
#include "core/route/tls_fallback.h"
#include "core/smtp/status.h"

const char *client_step_name(enum client_step step)
{
    static const char *const names[] = {"dns",  "connect", "greeting", "ehlo", "tls",
                                        "auth", "mail",    "rcpt",     "data", "quit"};
    return names[step];
}

enum client_step client_session_step(const struct client_session *session)
{
    static const enum client_step steps[] = {
        [PHASE_GREETING] = STEP_GREETING,
        [PHASE_EHLO] = STEP_EHLO,
        [PHASE_HELO] = STEP_EHLO,
        [PHASE_STARTTLS] = STEP_TLS,
        [PHASE_HANDSHAKE] = STEP_TLS,
        [PHASE_AUTH_PLAIN] = STEP_AUTH,
        [PHASE_AUTH_LOGIN] = STEP_AUTH,
        [PHASE_AUTH_LOGIN_USER] = STEP_AUTH,
        [PHASE_AUTH_LOGIN_PASSWORD] = STEP_AUTH,
        [PHASE_AUTH_TOKEN] = STEP_AUTH,
        [PHASE_AUTH_ASKING] = STEP_AUTH,
        [PHASE_AUTH_SCRAM_FIRST] = STEP_AUTH,
        [PHASE_AUTH_SCRAM_FINAL] = STEP_AUTH,
        [PHASE_AUTH_SCRAM_END] = STEP_AUTH,
        [PHASE_READY] = STEP_MAIL,
        [PHASE_MAIL] = STEP_MAIL,
        [PHASE_RCPT] = STEP_RCPT,
        [PHASE_DATA] = STEP_DATA,
        [PHASE_CONTENT] = STEP_DATA,
        [PHASE_CHUNK] = STEP_DATA,
        [PHASE_END] = STEP_DATA,
        [PHASE_EMPTY_END] = STEP_DATA,
        [PHASE_RSET] = STEP_MAIL,
        [PHASE_QUIT] = STEP_QUIT,
        [PHASE_OVER] = STEP_QUIT,
    };
    return steps[session->state->phase];
}

/* ---- what holds ---- */

/* Of the transaction that is open. */
static bool transaction_is_sound(const struct client_state *state)
{
    const enum client_phase phase = state->phase;
    if (state->envelope == NULL || state->results == NULL || state->stages == NULL || state->offered == NULL)
        return false;
    if (state->offered_count == 0 || state->offered_count > state->envelope->recipient_count)
        return false;
    if (state->next > state->offered_count || state->accepted > state->next)
        return false;
    if (phase == PHASE_RCPT && state->next == state->offered_count)
        return false;
    if ((phase == PHASE_DATA || phase == PHASE_CONTENT) && state->next < state->offered_count)
        return false;
    if (phase == PHASE_CONTENT || phase == PHASE_CHUNK || phase == PHASE_END)
        return state->accepted > 0 && (phase != PHASE_CHUNK || state->by_chunks) &&
               (phase != PHASE_END || !state->by_chunks);
    return phase != PHASE_EMPTY_END || (state->accepted == 0 && state->data_sent_ahead);
}

/* Once it is over there is nothing left but to say so. */
static bool is_over_soundly(const struct client_state *state)
{
    for (size_t i = 0; i < state->action_count; i++)
        if (state->actions[i] != CLIENT_SENT && state->actions[i] != CLIENT_FAILED &&
            state->actions[i] != CLIENT_CLOSE)
            return false;
    return true;
}

bool client_session_is_sound(const struct client_session *session)
{
    const struct client_state *state = session->state;
    const enum client_phase phase = state->phase;
    const bool signs_in = phase >= PHASE_AUTH_PLAIN && phase <= PHASE_AUTH_SCRAM_END;
    if (phase > PHASE_OVER || state->action_count > CLIENT_ACTIONS_MAX)
        return false;
    if (state->secured &&
        (session->options.tls == CLIENT_TLS_NEVER || phase == PHASE_STARTTLS || phase == PHASE_HANDSHAKE))
        return false;
    if (signs_in && (state->mechanism == 0 || (state->mechanism & (state->mechanism - 1)) != 0))
        return false;
    if (state->by_chunks ? state->data_sent_ahead || state->transfer_encoding != NULL : state->last_chunk)
        return false;
    if (phase > PHASE_READY && phase <= PHASE_RSET)
        return transaction_is_sound(state);
    return phase != PHASE_OVER || is_over_soundly(state);
}

uint32_t client_session_timeout_ms(const struct client_session *session)
{
    enum { MINUTE_MS = 60 * 1000 };
    switch (session->state->phase) { /* RFC 5321 4.5.3.2 */
    case PHASE_DATA: return 2 * MINUTE_MS;
    case PHASE_CONTENT: return 3 * MINUTE_MS;
    case PHASE_END:
    case PHASE_CHUNK:
    case PHASE_EMPTY_END: return 10 * MINUTE_MS;
    case PHASE_QUIT: return MINUTE_MS / 6; /* its reply is not needed */
    case PHASE_STARTTLS: return STARTTLS_REPLY_MS;
    case PHASE_HANDSHAKE: return HANDSHAKE_MS;
    case PHASE_EHLO: return client_session_is_securing(session) ? EHLO_AGAIN_MS : 5 * MINUTE_MS;
    default: return 5 * MINUTE_MS;
    }
}

/* ---- actions and results ---- */

void client_push(struct client_session *session, enum client_action_kind action)
{
    struct client_state *state = session->state;
    if (action == CLIENT_SEND && state->action_count > 0 &&
        state->actions[state->action_count - 1] == CLIENT_SEND)
        return;
    assert(state->action_count < CLIENT_ACTIONS_MAX);
    state->actions[state->action_count++] = action;
}

static struct buffer *out_buffer(struct client_session *session)
{
    if (session->state->out_pulled)
        buffer_clear(&session->state->out);
    session->state->out_pulled = false;
    client_push(session, CLIENT_SEND);
    return &session->state->out;
}

void client_out(struct client_session *session, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    buffer_add_va(out_buffer(session), format, arguments);
    va_end(arguments);
    buffer_add(&session->state->out, BYTES("\r\n"));
}

bool client_session_action(struct client_session *session, struct client_action *action)
{
    struct client_state *state = session->state;
    *action = (struct client_action){.kind = CLIENT_NOTHING};
    if (state->action_count == 0)
        return false;
    action->kind = state->actions[0];
    state->action_count--;
    memmove(state->actions, state->actions + 1, state->action_count * sizeof state->actions[0]);
    if (action->kind == CLIENT_SEND) {
        action->bytes = buffer_bytes(&state->out);
        state->out_pulled = true;
    } else if (action->kind == CLIENT_ASK_PROOF) {
        action->scram = client_auth_scram(session);
    } else if (action->kind == CLIENT_WANT_CONTENT) {
        action->begins = !state->content_begun;
    } else if (action->kind == CLIENT_SENT) {
        action->results = state->results;
        action->result_count = state->envelope->recipient_count;
    } else if (action->kind == CLIENT_FAILED) {
        action->failure = state->failure;
    }
    return true;
}

struct delivery_result client_result_of(struct arena *arena, enum client_step step,
                                        const struct smtp_reply *reply)
{
    struct buffer text = {0};
    reply_text(&text, reply);
    struct delivery_result result = {.outcome = reply->code < 300   ? OUTCOME_DELIVERED
                                                : reply->code < 500 ? OUTCOME_DEFERRED
                                                                    : OUTCOME_FAILED,
                                     .step = step,
                                     .code = reply->code,
                                     .enhanced = arena_copy(arena, reply_enhanced(reply)),
                                     .text = arena_copy(arena, buffer_bytes(&text))};
    buffer_free(&text);
    return result;
}

struct delivery_result client_result_said(struct arena *arena, enum client_step step,
                                          enum client_outcome outcome, const char *enhanced,
                                          struct bytes text)
{
    return (struct delivery_result){.outcome = outcome,
                                    .step = step,
                                    .enhanced = bytes_of_text(enhanced),
                                    .text = arena_copy(arena, text)};
}

static bool waits_to_be_pulled(const struct client_state *state, enum client_action_kind action)
{
    for (size_t i = 0; i < state->action_count; i++)
        if (state->actions[i] == action)
            return true;
    return false;
}

void client_fail(struct client_session *session, struct delivery_result why)
{
    struct client_state *state = session->state;
    if (state->phase == PHASE_OVER)
        return;
    bool in_transaction = state->phase > PHASE_READY && state->phase <= PHASE_RSET,
         sent = waits_to_be_pulled(state, CLIENT_SENT);
    state->phase = PHASE_OVER;
    state->action_count = 0;
    state->failure = why;
    if (sent) /* keeps the first decision */
        client_push(session, CLIENT_SENT);
    if (in_transaction)
        client_transaction_abort(session, &why);
    client_push(session, CLIENT_FAILED);
}

void client_fail_said(struct client_session *session, enum client_step step, enum client_outcome outcome,
                      const char *enhanced, const char *text)
{
    client_fail(session, client_result_said(&session->state->session_arena, step, outcome, enhanced,
                                            bytes_of_text(text)));
}

void client_fail_reply(struct client_session *session, enum client_step step, const struct smtp_reply *reply)
{
    struct delivery_result why = client_result_of(&session->state->session_arena, step, reply);
    if (why.outcome == OUTCOME_DELIVERED) /* a 2xx that is not valid there */
        why.outcome = OUTCOME_DEFERRED;
    client_fail(session, why);
}

/* ---- life ---- */

void client_session_start(struct client_session *session, const struct client_options *options)
{
    *session = (struct client_session){.options = *options, .state = memory_new(sizeof(struct client_state))};
    session->state->phase = PHASE_GREETING;
    session->state->secured = options->tls == CLIENT_TLS_IMPLICIT;
    assert(client_session_is_sound(session));
}

void client_session_free(struct client_session *session)
{
    struct client_state *state = session->state;
    if (state == NULL)
        return;
    if (state->out.at != NULL)
        explicit_bzero(state->out.at, state->out.capacity); /* may have held a password */
    buffer_free(&state->out);
    client_auth_forget(session);
    client_transaction_end_encoding(state);
    arena_clear(&state->session_arena);
    arena_clear(&state->transaction_arena);
    free(state);
    session->state = NULL;
}

void client_session_failed(struct client_session *session, enum client_step step, struct bytes why)
{
    session->state->listens = false;
    client_fail(session, client_result_said(&session->state->session_arena, step, OUTCOME_DEFERRED,
                                            step == STEP_TLS ? "4.7.5" : "4.4.2", why));
    assert(client_session_is_sound(session));
}

void client_session_quit(struct client_session *session)
{
    if (session->state->phase == PHASE_OVER)
        return;
    session->state->phase = PHASE_QUIT;
    client_out(session, "QUIT");
    assert(client_session_is_sound(session));
}

bool client_session_is_ready(const struct client_session *session)
{
    return session->state->phase == PHASE_READY && session->state->action_count == 0;
}

bool client_session_may_quit(const struct client_session *session)
{
    bool failed_by_reply = session->state->phase == PHASE_OVER && session->state->listens;
    return failed_by_reply || client_session_is_ready(session);
}

bool client_session_is_securing(const struct client_session *session)
{
    enum client_phase phase = session->state->phase;
    bool by_starttls = session->state->secured && session->options.tls != CLIENT_TLS_IMPLICIT;
    return phase == PHASE_STARTTLS || phase == PHASE_HANDSHAKE || (phase == PHASE_EHLO && by_starttls);
}

bool client_session_is_secured(const struct client_session *session)
{
    return session->state->secured;
}

struct bytes client_session_clear_reason(const struct client_session *session)
{
    return session->state->clear_reason;
}

static void say_hello(struct client_session *session)
{
    session->state->phase = PHASE_EHLO;
    client_out(session, "%s %.*s", session->options.lmtp ? "LHLO" : "EHLO", BYTES_ARG(session->options.helo));
}

void client_become_ready(struct client_session *session)
{
    session->state->phase = PHASE_READY;
    client_push(session, CLIENT_READY);
}

/* ---- greeting, EHLO, STARTTLS ---- */

static void after_hello(struct client_session *session)
{
    const struct client_options *options = &session->options;
    bool may_start = !session->state->secured && options->tls != CLIENT_TLS_NEVER;
    if (may_start && !session->capabilities.starttls && session->state->clear_reason.length == 0)
        session->state->clear_reason = BYTES("the server does not offer STARTTLS");
    if (may_start && session->capabilities.starttls) {
        session->state->phase = PHASE_STARTTLS;
        if (options->record != NULL)
            options->record->starttls_asked = true;
        client_out(session, "STARTTLS");
    } else if (may_start && options->tls == CLIENT_TLS_REQUIRED) {
        client_fail_said(session, STEP_TLS, OUTCOME_DEFERRED, "4.7.4",
                         "the server does not offer STARTTLS, or a device on the path removes it");
    } else if (options->user.length > 0 && !options->probe_only) {
        client_auth_begin(session);
    } else {
        client_become_ready(session);
    }
}

static void hello_reply(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    if (reply->code / 100 == 2) {
        if (state->phase == PHASE_EHLO)
            capabilities_read(&session->capabilities, reply);
        after_hello(session);
        return;
    }
    bool may_fall_back = state->phase == PHASE_EHLO && reply->code / 100 == 5 && !session->options.lmtp &&
                         !state->secured && session->options.tls != CLIENT_TLS_REQUIRED &&
                         session->options.user.length == 0;
    if (!may_fall_back) {
        client_fail_reply(session, STEP_EHLO, reply);
        return;
    }
    state->phase = PHASE_HELO;
    client_out(session, "HELO %.*s", BYTES_ARG(session->options.helo));
}

static struct bytes starttls_refusal(struct client_session *session, const struct smtp_reply *reply)
{
    struct buffer text = {0}, words = {0};
    reply_text(&words, reply);
    buffer_add_text(&text, "the server rejected STARTTLS: ");
    status_add_said(&text, reply->code, reply_enhanced(reply), buffer_bytes(&words));
    struct bytes kept = arena_copy(&session->state->session_arena, buffer_bytes(&text));
    buffer_free(&text);
    buffer_free(&words);
    return kept;
}

static void starttls_reply(struct client_session *session, const struct smtp_reply *reply)
{
    if (reply->code == 220) {
        session->state->phase = PHASE_HANDSHAKE;
        client_push(session, CLIENT_STARTTLS);
    } else if (session->options.tls == CLIENT_TLS_REQUIRED) {
        struct delivery_result why = client_result_of(&session->state->session_arena, STEP_TLS, reply);
        why.outcome = OUTCOME_DEFERRED;
        client_fail(session, why);
    } else { /* opportunistic: a rejection counts as not offered */
        session->capabilities.starttls = false;
        session->state->clear_reason = starttls_refusal(session, reply);
        after_hello(session);
    }
}

void client_session_tls_started(struct client_session *session)
{
    assert(session->state->phase == PHASE_HANDSHAKE);
    session->state->secured = true;
    session->capabilities = (struct client_capabilities){0}; /* RFC 3207 4.2 */
    say_hello(session);
    assert(client_session_is_sound(session));
}

/* ---- input ---- */

/* Four octets are enough to see that it is not a reply; there may be no more yet. */
static enum client_peer peer_of(struct bytes input)
{
    if (bytes_starts_nocase(input, "HTTP") || bytes_starts_nocase(input, "<!DO") ||
        bytes_starts_nocase(input, "<htm"))
        return CLIENT_PEER_WEB;
    if (input.length > 2 && (input.at[0] == 0x16 || input.at[0] == 0x15) && input.at[1] == 3)
        return CLIENT_PEER_TLS;
    return bytes_starts_nocase(input, "SSH-") ? CLIENT_PEER_SSH : CLIENT_PEER_UNKNOWN;
}

static void malformed(struct client_session *session, struct bytes input)
{
    static const char *const texts[] = {
        [CLIENT_PEER_UNKNOWN] = "the server did not reply in SMTP",
        [CLIENT_PEER_TLS] = "the server speaks TLS here from the first byte",
        [CLIENT_PEER_WEB] = "a web server answers here, not a mail server",
        [CLIENT_PEER_SSH] = "an SSH server answers here, not a mail server",
    };
    session->peer = peer_of(input);
    if (session->options.record != NULL)
        client_record_nonsense(session->options.record, input);
    client_fail_said(session, client_session_step(session), OUTCOME_DEFERRED, "4.5.0", texts[session->peer]);
}

static void record_reply(const struct client_session *session, const struct smtp_reply *reply)
{
    struct client_record *record = session->options.record;
    struct client_capabilities announced = {0};
    switch (record == NULL ? PHASE_OVER : session->state->phase) {
    case PHASE_GREETING: client_record_greeting(record, reply); break;
    case PHASE_EHLO:
        if (reply->code / 100 == 2)
            capabilities_read(&announced, reply);
        client_record_ehlo(record, reply, announced.starttls, announced.masked);
        break;
    case PHASE_STARTTLS: client_record_starttls(record, reply); break;
    default: break;
    }
}

/* After 221 and 421 the server closes; after 3xx, and after STARTTLS unless it was refused, it does not
 * expect a command. */
static bool listens_after(const struct client_state *state, const struct smtp_reply *reply)
{
    if (reply->code >= 400)
        return reply->code != 421 && state->phase < PHASE_READY;
    return reply->code / 100 == 2 && reply->code != 221 && state->phase < PHASE_READY &&
           state->phase != PHASE_STARTTLS;
}

static void take_reply(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    state->listens = listens_after(state, reply);
    record_reply(session, reply);
    if (reply->code == 421 && state->phase != PHASE_QUIT) {
        client_fail_reply(session, client_session_step(session), reply);
        return;
    }
    switch (state->phase) {
    case PHASE_GREETING:
        if (reply->code == 220)
            say_hello(session);
        else
            client_fail_reply(session, STEP_GREETING, reply);
        break;
    case PHASE_EHLO:
    case PHASE_HELO: hello_reply(session, reply); break;
    case PHASE_STARTTLS: starttls_reply(session, reply); break;
    case PHASE_AUTH_PLAIN:
    case PHASE_AUTH_LOGIN:
    case PHASE_AUTH_LOGIN_USER:
    case PHASE_AUTH_LOGIN_PASSWORD:
    case PHASE_AUTH_TOKEN:
    case PHASE_AUTH_SCRAM_FIRST:
    case PHASE_AUTH_SCRAM_FINAL:
    case PHASE_AUTH_SCRAM_END: client_auth_reply(session, reply); break;
    case PHASE_MAIL:
    case PHASE_RCPT:
    case PHASE_DATA:
    case PHASE_CHUNK:
    case PHASE_END:
    case PHASE_EMPTY_END:
    case PHASE_RSET: client_transaction_reply(session, reply); break;
    case PHASE_QUIT:
        state->phase = PHASE_OVER;
        client_push(session, CLIENT_CLOSE);
        break;
    case PHASE_HANDSHAKE:
    case PHASE_AUTH_ASKING:
    case PHASE_READY:
    case PHASE_CONTENT:
        client_fail_said(session, client_session_step(session), OUTCOME_DEFERRED, "4.5.0",
                         "the server sent an unexpected reply");
        break;
    case PHASE_OVER: break;
    }
}

/* True if all commands are answered, and the client sends next. */
static bool is_our_turn(const struct client_state *state)
{
    return state->phase != PHASE_OVER &&
           (waits_to_be_pulled(state, CLIENT_SEND) || waits_to_be_pulled(state, CLIENT_WANT_CONTENT) ||
            waits_to_be_pulled(state, CLIENT_READY));
}

size_t client_session_feed(struct client_session *session, struct bytes input)
{
    struct client_state *state = session->state;
    struct smtp_reply reply;
    size_t used = 0;
    assert(client_session_is_sound(session));
    if (state->phase == PHASE_OVER || state->action_count > 0 || input.length == 0)
        return 0;
    state->listens = false;
    if (state->phase == PHASE_HANDSHAKE) {
        client_fail_said(session, STEP_TLS, OUTCOME_DEFERRED, "4.7.0", CLEAR_TEXT_AFTER_STARTTLS);
        return 0;
    }
    switch (reply_parse(input, &reply, &used)) {
    case REPLY_INCOMPLETE: return 0;
    case REPLY_MALFORMED: malformed(session, input); return input.length;
    case REPLY_COMPLETE: break;
    }
    take_reply(session, &reply);
    /* otherwise its next reply would be taken for the reply to the next command */
    if (input.length > used && is_our_turn(state)) {
        state->listens = false;
        client_fail_said(session, client_session_step(session), OUTCOME_DEFERRED, "4.5.0",
                         "the server sent an unexpected reply");
    }
    assert(client_session_is_sound(session));
    return used;
}
