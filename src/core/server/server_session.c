/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "core/server/server_state.h"

/* ---- replies ---- */

struct server_reply server_reply_format(struct server_session *session, unsigned code, const char *enhanced,
                                        const char *format, ...)
{
    struct buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    buffer_add_va(&text, format, arguments);
    va_end(arguments);
    size_t length = text.length < REPLY_TEXT_MAX - 1 ? text.length : REPLY_TEXT_MAX - 1;
    session->state->text = memory_resize(session->state->text, length + 1);
    memcpy(session->state->text, buffer_text(&text), length);
    session->state->text[length] = '\0';
    buffer_free(&text);
    return REPLY(code, enhanced, session->state->text);
}

enum { REPLY_LINE_TEXT_MAX = 480 }; /* octets of text: a line stays within 512 (RFC 5321 4.5.3.1.5) */

/* Appends untrusted text to a reply without characters that could forge one. */
static void add_reply_text(struct buffer *out, struct bytes text)
{
    text = bytes_first(text, REPLY_LINE_TEXT_MAX);
    char *room = buffer_reserve(out, text.length);
    for (size_t i = 0; i < text.length; i++)
        room[i] = (unsigned char)text.at[i] < 32 || (unsigned char)text.at[i] > 126 ? '?' : text.at[i];
    buffer_written(out, text.length);
}

void server_session_push(struct server_session *session, enum server_action_kind action)
{
    struct server_state *state = session->state;
    if (action == SERVER_REPLY && state->action_count > 0 &&
        state->actions[state->action_count - 1] == SERVER_REPLY)
        return; /* consecutive replies are one action */
    assert(state->action_count < ACTIONS_MAX);
    state->actions[state->action_count++] = action;
}

void server_session_reply(struct server_session *session, struct server_reply reply)
{
    struct server_state *state = session->state;
    struct buffer *out = &state->replies;
    struct bytes rest = bytes_of_text(reply.text);
    size_t text_at;
    if (reply.code == 0)
        return;
    if (state->replies_pulled) {
        buffer_clear(out);
        buffer_clear(&state->refused);
        state->refusal_count = 0;
    }
    state->replies_pulled = false;
    do {
        struct bytes line = bytes_split(&rest, '\n');
        buffer_add_format(out, "%03u%c", reply.code, rest.length > 0 ? '-' : ' ');
        if (reply.enhanced != NULL)
            buffer_add_format(out, "%s ", reply.enhanced);
        text_at = out->length;
        add_reply_text(out, line);
        buffer_add_text(out, "\r\n");
    } while (rest.length > 0);
    if (reply.code >= 400)
        refusal_note(state, &reply, text_at);
    server_session_push(session, SERVER_REPLY);
}

void server_session_ask(struct server_session *session, enum server_action_kind question)
{
    session->state->question = question;
    session->state->phase = PHASE_ASKING;
    server_session_push(session, question);
}

void server_session_close(struct server_session *session)
{
    session->state->phase = PHASE_CLOSED;
}

/* ---- invariants ---- */

static bool content_holds(const struct server_state *state)
{
    bool arrives = state->arrival != ARRIVAL_NONE;
    return (!arrives || (state->in_transaction && state->recipients_accepted > 0 &&
                         state->transfer != TRANSFER_NONE && state->gate.stage != GATE_CLOSED)) &&
           (state->arrival != ARRIVAL_END_WAITS || gate_is_asking(&state->gate)) &&
           (!gate_is_asking(&state->gate) || state->question == SERVER_ASK_SENDER);
}

static bool phase_holds(const struct server_state *state)
{
    switch (state->phase) {
    case PHASE_DATA: return state->transfer == TRANSFER_DATA && state->arrival == ARRIVAL_RUNS;
    case PHASE_CHUNK: return state->chunk == CHUNK_REFUSED || state->arrival == ARRIVAL_RUNS;
    case PHASE_AUTH:
    case PHASE_TLS:
    case PHASE_CLOSED: return !state->in_transaction;
    case PHASE_COMMAND:
    case PHASE_ASKING: break;
    }
    return true;
}

void server_session_check(const struct server_session *session)
{
    const struct server_state *state = session->state;
    assert((state->question != SERVER_NOTHING) == (state->phase == PHASE_ASKING));
    assert(phase_holds(state));
    assert(content_holds(state));
    assert(state->action_count <= ACTIONS_MAX);
    assert(state->greeted || !state->in_transaction);
    assert(state->in_transaction || state->envelope.recipient_count == 0);
    assert(state->recipients_accepted <= state->recipients_asked &&
           state->recipients_asked <= state->recipients_tried);
    assert(state->envelope.recipient_count <= state->recipients_capacity);
}

void server_session_take_answer(struct server_session *session, enum server_action_kind question)
{
    server_session_check(session);
    assert(session->state->question == question);
    session->state->question = SERVER_NOTHING;
}

/* ---- life ---- */

static struct server_reply greeting(struct server_session *session)
{
    static const char *const roles[] = {[ROLE_MX] = "mail for local users",
                                        [ROLE_SUBMISSION] = "submission; authentication required",
                                        [ROLE_LOCAL] = "local submission"};
    const char *role = session->policy->tls_expected
                           ? "submission; this port expects TLS from the first byte (SSL/TLS), or STARTTLS"
                           : roles[session->policy->role];
    return server_reply_format(session, 220, NULL, "%.*s ESMTP Mailboat, %s",
                               BYTES_ARG(session->policy->hostname), role);
}

void server_session_start(struct server_session *session, const struct server_policy *policy,
                          struct bytes client_address, uint32_t port, struct bytes tls, struct bytes account)
{
    struct server_state *state = memory_new(sizeof *state);
    *session = (struct server_session){.policy = policy, .state = state};
    state->session_arena.block_size = SESSION_ARENA_BLOCK;
    session->origin.kind = policy->role == ROLE_LOCAL && !policy->is_trusted_host ? ORIGIN_LOCAL
                                                                                  : ORIGIN_NETWORK;
    session->origin.client_address = arena_copy(&state->session_arena, client_address);
    session->origin.tls = arena_copy(&state->session_arena, tls);
    session->origin.account = arena_copy(&state->session_arena, account);
    session->origin.port = port;
    state->secured = tls.length > 0;
    state->signed_in = policy->role == ROLE_LOCAL;
    server_session_update_protocol(session);
    server_session_reply(session, greeting(session));
}

void server_session_free(struct server_session *session)
{
    struct server_state *state = session->state;
    if (state == NULL)
        return;
    server_auth_forget(session);
    arena_clear(&state->session_arena);
    arena_clear(&state->transaction_arena);
    buffer_free(&state->replies);
    buffer_free(&state->refused);
    buffer_free(&state->helo);
    buffer_free(&state->changed);
    gate_free(&state->gate);
    free(state->text);
    free(state);
    session->state = NULL;
}

void server_session_reset(struct server_session *session)
{
    struct server_state *state = session->state;
    if (state->arrival != ARRIVAL_NONE)
        server_session_push(session, SERVER_CONTENT_DROP);
    state->in_transaction = false;
    state->transfer = TRANSFER_NONE;
    state->arrival = ARRIVAL_NONE;
    gate_free(&state->gate);
    state->envelope = (struct envelope){0};
    state->recipients_capacity = state->recipients_octets = 0;
    state->recipients_tried = state->recipients_asked = state->recipients_accepted = 0;
    state->recipients_fresh = 0;
    state->content_octets = 0;
    state->asked_address = state->asked_orcpt = bytes_none();
    refusal_forget_said(state);
    arena_clear(&state->transaction_arena);
    server_session_update_protocol(session);
}

void server_session_update_protocol(struct server_session *session)
{
    const struct server_state *state = session->state;
    /* [UTF8SMTP or ESMTP][S][A] */
    static const char *const names[2][4] = {{"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"},
                                            {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"}};
    const char *name = names[state->envelope.smtputf8][(state->secured ? 1 : 0) + (state->signed_in ? 2 : 0)];
    session->origin.protocol = bytes_of_text(state->esmtp ? name : "SMTP");
}

/* ---- actions ---- */

static void fill_action(struct server_session *session, struct server_action *action)
{
    struct server_state *state = session->state;
    switch (action->kind) {
    case SERVER_REPLY:
        action->bytes = buffer_bytes(&state->replies);
        action->refusal_count = state->refusal_count;
        state->replies_pulled = true;
        break;
    case SERVER_CONTENT:
        action->bytes = state->run;
        state->run = bytes_none();
        state->run_pulled = true;
        break;
    case SERVER_ASK_PASSWORD:
        action->user = buffer_bytes(&state->auth_user);
        action->password = buffer_bytes(&state->auth_password);
        break;
    case SERVER_ASK_PROOF:
        action->message = buffer_bytes(&state->scram_message);
        action->proof = bytes_of(state->scram_proof, SCRAM_KEY);
        action->user = buffer_bytes(&state->auth_user);
        break;
    case SERVER_ASK_SALT:
        action->user = buffer_bytes(&state->auth_user);
        action->binding = buffer_bytes(&state->scram_type);
        break;
    case SERVER_ASK_SENDER:
        action->account = session->origin.account;
        action->address = gate_is_asking(&state->gate) ? state->gate.author : state->envelope.sender;
        break;
    case SERVER_ASK_RECIPIENT:
        action->account = session->origin.account;
        action->address = state->asked_address;
        action->sender = state->envelope.sender;
        break;
    case SERVER_ASK_LIMIT:
        action->account = session->origin.account;
        action->envelope = &state->envelope;
        break;
    case SERVER_CONTENT_BEGIN:
        action->envelope = &state->envelope;
        action->awaits_turn = state->transfer == TRANSFER_DATA;
        break;
    case SERVER_ASK_TRUST:
    case SERVER_ASK_STORE: action->envelope = &state->envelope; break;
    case SERVER_NOTHING:
    case SERVER_STARTTLS:
    case SERVER_CONTENT_DROP:
    case SERVER_CLOSE: break;
    }
}

bool server_session_action(struct server_session *session, struct server_action *action)
{
    struct server_state *state = session->state;
    server_session_check(session);
    *action = (struct server_action){.kind = SERVER_NOTHING};
    if (state->run_pulled) { /* its octets were valid until now; a client that pauses holds no memory */
        buffer_free(&state->changed);
        state->run_pulled = false;
    }
    if (state->action_count == 0) {
        if (state->phase != PHASE_CLOSED || state->close_reported)
            return false;
        state->close_reported = true;
        action->kind = SERVER_CLOSE;
        return true;
    }
    action->kind = state->actions[0];
    state->action_count--;
    if (action->kind != SERVER_CONTENT && !(state->transfer == TRANSFER_BDAT && action->kind == SERVER_REPLY))
        state->steps++; /* a chunk of one octet is not a step */
    memmove(state->actions, state->actions + 1, state->action_count * sizeof state->actions[0]);
    fill_action(session, action);
    return true;
}

/* ---- input ---- */

static void reply_error(struct server_session *session, struct server_reply reply)
{
    struct server_state *state = session->state;
    server_session_reply(session, reply);
    if (++state->bad_commands < BAD_COMMANDS_MAX)
        return;
    server_session_reply_and_close(session, REPLY(421, "4.7.0", "Too many errors; closing connection"));
}

/* Closes on HTTP: a web page can make a browser send requests here, and what follows the request header is
 * under the page's control. */
bool server_session_is_http(struct bytes line)
{
    static const char *const methods[] = {"GET ",     "POST ",   "PUT ",   "HEAD ", "OPTIONS ",
                                          "CONNECT ", "DELETE ", "PATCH ", "TRACE "};
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
        if (bytes_starts_nocase(line, methods[i]))
            return true;
    return bytes_ends_nocase(line, " HTTP/1.1") || bytes_ends_nocase(line, " HTTP/1.0") ||
           bytes_ends_nocase(line, " HTTP/2.0");
}

#define NOT_A_WEB_SERVER REPLY(421, "4.7.0", "This is a mail server, not a web server")

static void unknown_command(struct server_session *session, struct bytes line)
{
    if (server_session_is_http(line))
        server_session_reply_and_close(session, NOT_A_WEB_SERVER);
    else
        reply_error(session, REPLY(500, "5.5.2", "Command not recognized; send HELP for a list"));
}

/* True if too many commands came without a message. Recipients have limits of their own; chunks are
 * subject to the pace. */
static bool idles(struct server_session *session, enum verb verb)
{
    struct server_state *state = session->state;
    bool counted = verb != VERB_QUIT && verb != VERB_BDAT &&
                   (verb != VERB_RCPT ||
                    state->recipients_tried >= 2 * session->policy->recipients_max + IDLE_COMMANDS_MAX);
    return counted && ++state->idle_commands > IDLE_COMMANDS_MAX;
}

static void run_command(struct server_session *session, struct bytes line)
{
    struct server_state *state = session->state;
    struct bytes argument;
    enum verb verb = command_verb(line, &argument);
    refusal_forget_said(state);
    if (state->signed_out) {
        server_session_reply_and_close(session, SIGNED_OUT);
        return;
    }
    if (state->draining && !state->in_transaction) {
        server_session_reply_and_close(session, GOING_DOWN);
        return;
    }
    if (verb == VERB_UNKNOWN) {
        unknown_command(session, line);
        return;
    }
    if (idles(session, verb)) {
        server_session_reply_and_close(
            session, REPLY(421, "4.7.0", "Too many commands without a message; closing connection"));
        return;
    }
    if (verb == VERB_DATA && state->more_input && server_session_refuses_early_data(session))
        return;
    struct server_reply reply = policy_check(session, verb);
    bool forbidden = reply.code != 0;
    if (forbidden && verb == VERB_BDAT)
        data_swallow_bdat(session, argument);
    if (!forbidden)
        reply = policy_verb(verb)(session, argument);
    if ((reply.code >= 500 && reply.code <= 504) || reply.code == 530)
        reply_error(session, reply);
    else
        server_session_reply(session, reply);
    if (state->question == SERVER_NOTHING)
        refusal_forget_said(state);
    if (reply.code == 535)
        server_auth_count_failure(session);
    if (state->phase == PHASE_TLS)
        server_session_push(session, SERVER_STARTTLS);
}

static void run_line(struct server_session *session, struct bytes line)
{
    if (session->state->phase != PHASE_AUTH) {
        run_command(session, line);
        return;
    }
    session->state->phase = PHASE_COMMAND;
    struct server_reply reply = server_auth_response(session, line);
    if (reply.code == 501)
        reply_error(session, reply);
    else
        server_session_reply(session, reply);
    if (reply.code == 535)
        server_auth_count_failure(session);
}

/* 5.5.6 is only for an AUTH line (RFC 4954 6). */
static struct server_reply too_long_reply(const struct server_state *state, bool auth)
{
    return auth || state->phase == PHASE_AUTH ? REPLY(500, "5.5.6", "Authentication exchange line too long")
                                              : REPLY(500, "5.5.2", "Line too long");
}

/* Returns why this line is not a command, or code 0. */
static struct server_reply check_line(const struct server_state *state, struct bytes line, bool crlf,
                                      size_t line_max)
{
    if (line.length + 2 > line_max)
        return too_long_reply(state, bytes_starts_nocase(line, "AUTH "));
    if (!crlf)
        return REPLY(500, "5.5.2", "Lines must end in CRLF");
    for (size_t i = 0; i < line.length; i++)
        if (((unsigned char)line.at[i] < 32 && line.at[i] != '\t') || line.at[i] == 127)
            return REPLY(500, "5.5.2", "Invalid characters in command");
    return NO_REPLY;
}

static size_t feed_line(struct server_session *session, struct bytes input)
{
    struct server_state *state = session->state;
    size_t line_max = state->phase == PHASE_AUTH ? AUTH_LINE_MAX : COMMAND_LINE_MAX;
    /* the limit for "AUTH PLAIN response" is that of a response */
    if (bytes_starts_nocase(input, "AUTH ") && state->secured)
        line_max = AUTH_LINE_MAX;
    size_t newline = bytes_find(input, '\n');
    if (newline == SIZE_MAX) {
        if (!state->skipping_line && input.length < line_max)
            return 0;
        if (!state->skipping_line) {
            state->skipping_http = server_session_is_http(input);
            state->skipping_auth = bytes_starts_nocase(input, "AUTH ");
        }
        state->skipping_line = true;
        return input.length;
    }
    bool crlf = newline > 0 && input.at[newline - 1] == '\r';
    struct bytes line = bytes_first(input, crlf ? newline - 1 : newline);
    struct server_reply reply = state->skipping_line ? too_long_reply(state, state->skipping_auth)
                                                     : check_line(state, line, crlf, line_max);
    bool http = reply.code != 0 &&
                (state->skipping_line ? state->skipping_http : server_session_is_http(line));
    state->skipping_line = false;
    if (http) {
        server_session_reply_and_close(session, NOT_A_WEB_SERVER);
    } else if (reply.code != 0) {
        if (state->phase == PHASE_AUTH) {
            server_auth_forget(session);
            state->phase = PHASE_COMMAND;
        }
        reply_error(session, reply);
    } else {
        state->more_input = newline + 1 < input.length;
        run_line(session, line);
    }
    return newline + 1;
}

/* Counts content as steps, by octets. */
static size_t keep_pace(struct server_state *state, uint64_t message_size_max, size_t used)
{
    state->pace_octets += (uint32_t)used;
    if (state->pace_octets >= CONTENT_PACE_OCTETS) {
        state->pace_octets = 0;
        state->steps++;
    }
    /* Skipped or excess content is not progress. */
    bool swallows = state->phase == PHASE_CHUNK && state->chunk == CHUNK_REFUSED;
    bool counts = state->arrival != ARRIVAL_NONE && !swallows;
    state->content_octets += used;
    if (counts && state->content_octets <= message_size_max)
        state->progress.octets += used;
    return used;
}

size_t server_session_feed(struct server_session *session, struct bytes input)
{
    struct server_state *state = session->state;
    server_session_check(session);
    if (state->action_count > 0 || input.length == 0)
        return 0;
    switch (state->phase) {
    case PHASE_COMMAND:
    case PHASE_AUTH: return feed_line(session, input);
    case PHASE_DATA: return keep_pace(state, session->policy->message_size_max, data_feed(session, input));
    case PHASE_CHUNK:
        return keep_pace(state, session->policy->message_size_max, data_feed_chunk(session, input));
    case PHASE_TLS:
    case PHASE_ASKING:
    case PHASE_CLOSED: break;
    }
    return 0;
}

/* ---- time ---- */

uint32_t server_session_timeout_ms(const struct server_session *session)
{
    const struct server_state *state = session->state;
    return state->arrival != ARRIVAL_NONE || state->phase == PHASE_CHUNK ? CONTENT_TIMEOUT_MS
                                                                         : SESSION_TIMEOUT_MS;
}

uint64_t server_session_steps(const struct server_session *session)
{
    return session->state->steps;
}

struct server_progress server_session_progress(const struct server_session *session)
{
    const struct server_state *state = session->state;
    struct server_progress progress = state->progress;
    progress.steps = state->steps;
    progress.fresh = state->recipients_fresh;
    progress.signed_in = state->signed_in && session->policy->role == ROLE_SUBMISSION;
    progress.in_transaction = state->in_transaction;
    return progress;
}

void server_session_reply_and_close(struct server_session *session, struct server_reply reply)
{
    server_session_reply(session, reply);
    server_session_reset(session);
    server_session_close(session);
}

void server_session_timed_out(struct server_session *session)
{
    if (session->state->phase != PHASE_CLOSED && session->state->question == SERVER_NOTHING)
        server_session_reply_and_close(session, REPLY(421, "4.4.2", "Timeout exceeded; closing connection"));
}

void server_session_expel(struct server_session *session, enum server_expulsion why)
{
    assert(session->state->question == SERVER_NOTHING);
    if (session->state->phase == PHASE_CLOSED)
        return;
    if (why == EXPELLED_FOR_ROOM)
        server_session_reply_and_close(session, REPLY(421, "4.3.2",
                                                      "Too many connections and other clients are waiting; "
                                                      "closing connection, try again in a minute"));
    else
        server_session_reply_and_close(
            session, REPLY(421, "4.4.2", "Timeout exceeded without a message; closing connection"));
}

void server_session_drain(struct server_session *session)
{
    struct server_state *state = session->state;
    state->draining = true;
    if (server_session_is_idle(session) && state->phase == PHASE_COMMAND)
        server_session_reply_and_close(session, GOING_DOWN);
}

/* ---- revoked authentication ---- */

void server_session_close_if_signed_out(struct server_session *session)
{
    if (session->state->signed_out && session->state->phase != PHASE_CLOSED)
        server_session_reply_and_close(session, SIGNED_OUT);
}

void server_session_sign_out(struct server_session *session)
{
    struct server_state *state = session->state;
    state->signed_out = true;
    switch (state->phase) {
    case PHASE_COMMAND:
    case PHASE_AUTH: server_session_reply_and_close(session, SIGNED_OUT); break;
    case PHASE_DATA: /* the message is rejected at its end */
    case PHASE_CHUNK:
    case PHASE_ASKING: /* the function that takes the answer checks it */
    case PHASE_TLS:
    case PHASE_CLOSED: break;
    }
}

bool server_session_is_idle(const struct server_session *session)
{
    const struct server_state *state = session->state;
    return !state->in_transaction && state->phase != PHASE_AUTH && state->question == SERVER_NOTHING &&
           state->action_count == 0;
}
