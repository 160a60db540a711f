/* SPDX-License-Identifier: Apache-2.0 */
/* data: DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030), and the content's end. */
#include "base/count.h"
#include "core/server/server_state.h"

static struct server_reply check_transaction(const struct server_state *state)
{
    if (!state->in_transaction)
        return REPLY(503, "5.5.1", "Bad sequence of commands; send MAIL and RCPT first");
    if (state->recipients_accepted == 0)
        return state->recipients_tried == 0
                   ? REPLY(503, "5.5.1", "Bad sequence of commands; send RCPT first")
                   : REPLY(554, "5.5.1", "No valid recipients; see the replies to RCPT");
    return NO_REPLY;
}

static void begin_content(struct server_session *session)
{
    struct server_state *state = session->state;
    bool fix = session->policy->fix_bare_newlines && session->policy->role != ROLE_MX;
    content_start(&state->content, session->policy->message_size_max, state->envelope.body == BODY_BINARYMIME,
                  fix);
    struct gate_options options = {.checks_header = session->policy->checks_header,
                                   .utf8_allowed = state->envelope.smtputf8,
                                   .repairs = true,
                                   .author_required = session->policy->role == ROLE_SUBMISSION &&
                                                      state->envelope.sender.length == 0,
                                   .sender = state->envelope.sender,
                                   .domain = session->policy->domain};
    gate_start(&state->gate, &options);
    state->arrival = ARRIVAL_RUNS;
    server_session_push(session, SERVER_CONTENT_BEGIN);
}

void server_session_stamp(struct server_session *session, uint64_t now_ms, struct bytes message_id)
{
    struct server_state *state = session->state;
    /* A message without From gets the envelope's sender, which was verified. */
    gate_stamp(&state->gate,
               &(struct header_stamp){.now_ms = now_ms,
                                      .message_id = arena_copy(&state->transaction_arena, message_id),
                                      .from = state->envelope.sender});
}

static struct server_reply start_data(struct server_session *session)
{
    begin_content(session);
    session->state->phase = PHASE_DATA;
    return REPLY(354, NULL, "Start mail input; end with <CRLF>.<CRLF>");
}

static struct server_reply start_chunk(struct server_session *session);

/* The envelope is complete: starts the content, or first asks about sending limits. */
static struct server_reply begin_or_ask(struct server_session *session)
{
    if (session->policy->limits_sending) {
        server_session_ask(session, SERVER_ASK_LIMIT);
        return NO_REPLY;
    }
    return session->state->transfer == TRANSFER_BDAT ? start_chunk(session) : start_data(session);
}

static struct server_reply limit_reply(struct server_session *session, enum limit_verdict verdict,
                                       uint32_t number)
{
    switch (verdict) {
    case LIMIT_REACHED: return mail_limited_reply(session, number);
    case LIMIT_TOO_MANY:
        return server_reply_format(
            session, 550, "5.7.1", "Message with %s exceeds the hourly limit of %s; send it to fewer",
            COUNT_OF(session->state->envelope.recipient_count, "recipient"), COUNT_OF(number, "recipient"));
    case LIMIT_FINE:
    case LIMIT_UNAVAILABLE: break;
    }
    return REPLY(451, "4.3.0", "Temporary failure to check the account's limits; try again in a minute");
}

void server_session_answer_limit(struct server_session *session, enum limit_verdict verdict, uint32_t number)
{
    struct server_state *state = session->state;
    server_session_take_answer(session, SERVER_ASK_LIMIT);
    state->phase = PHASE_COMMAND;
    if (verdict == LIMIT_FINE && !state->signed_out) {
        server_session_reply(session,
                             state->transfer == TRANSFER_BDAT ? start_chunk(session) : start_data(session));
        return;
    }
    bool swallow = state->transfer == TRANSFER_BDAT && state->chunk_left > 0;
    if (!state->signed_out)
        server_session_reply(session, limit_reply(session, verdict, number));
    server_session_reset(session);
    if (swallow && !state->signed_out) {
        state->chunk = CHUNK_REFUSED;
        state->phase = PHASE_CHUNK;
    }
    server_session_close_if_signed_out(session);
}

struct server_reply server_data(struct server_session *session, struct bytes argument)
{
    struct server_state *state = session->state;
    struct server_reply reply = check_transaction(state);
    if (argument.length > 0)
        return REPLY(501, "5.5.4", "Syntax: DATA (no argument)");
    if (reply.code != 0)
        return reply;
    if (state->arrival != ARRIVAL_NONE)
        return REPLY(503, "5.5.1", "DATA and BDAT cannot be mixed in one transaction");
    if (state->envelope.body == BODY_BINARYMIME)
        return REPLY(503, "5.5.1", "BODY=BINARYMIME needs BDAT");
    state->transfer = TRANSFER_DATA;
    return begin_or_ask(session);
}

static struct server_reply fault_reply(struct server_session *session, enum content_fault fault)
{
    switch (fault) {
    case CONTENT_FINE: return NO_REPLY;
    case CONTENT_BARE_NEWLINE:
        if (session->state->content.binary)
            return REPLY(550, "5.6.0", "Message header contains a bare LF; lines must end in CRLF");
        if (session->policy->role == ROLE_SUBMISSION && !session->policy->fix_bare_newlines)
            return REPLY(550, "5.6.0",
                         "Message contains a bare CR or LF; lines must end in CRLF (for a program that "
                         "cannot: submission.fix_bare_newlines on the server)");
        return REPLY(550, "5.6.0", "Message contains a bare CR or LF; lines must end in CRLF");
    case CONTENT_NUL:
        if (session->state->content.binary)
            return REPLY(550, "5.6.0", "Message header contains a NUL byte; remove it");
        return REPLY(550, "5.6.0",
                     "Message contains a NUL byte; remove it, encode the part (base64), or use "
                     "BODY=BINARYMIME and BDAT");
    case CONTENT_TOO_LARGE:
        return server_reply_format(session, 552, "5.3.4", "Message size exceeds the limit of %llu bytes",
                                   (unsigned long long)session->policy->message_size_max);
    case CONTENT_LINE_TOO_LONG:
        return server_reply_format(session, 550, "5.6.0", "Line too long (limit %u bytes)",
                                   (unsigned)DATA_LINE_MAX);
    case CONTENT_LOOPS: break;
    }
    return server_reply_format(session, 554, "5.4.6", "Too many hops (%u); mail loop detected",
                               (unsigned)RECEIVED_FIELDS_MAX);
}

#define CREDENTIALS_CHANGED \
    REPLY(                  \
        451, "4.7.0",       \
        "Credentials changed or revoked during the transaction; authenticate again and resend the message")

static struct server_reply bad_header_reply(struct server_session *session)
{
    if (session->state->gate.header.fault == HEADER_BROKEN)
        return server_reply_format(session, 550, "5.6.0",
                                   "Malformed message header at line %zu (expected Name: value)",
                                   session->state->gate.header.line);
    return REPLY(550, "5.6.0", header_fault_sentence(session->state->gate.header.fault));
}

static struct server_reply forged_reply(struct server_session *session)
{
    if (session->policy->role == ROLE_LOCAL)
        return server_reply_format(session, 550, "5.7.1",
                                   "From or Sender header rejected: %.*s may not be used by local user "
                                   "%.*s; add it to senders in submission.local.users",
                                   BYTES_ARG(reply_address(session->state->gate.author)),
                                   BYTES_ARG(session->origin.account));
    return server_reply_format(
        session, 550, "5.7.1",
        "From or Sender header rejected: %.*s may not be used by %.*s; send as yourself",
        BYTES_ARG(reply_address(session->state->gate.author)), BYTES_ARG(session->origin.account));
}

/* Returns why the content is rejected, or code 0. */
static struct server_reply refusal(struct server_session *session)
{
    const struct server_state *state = session->state;
    if (state->signed_out)
        return CREDENTIALS_CHANGED;
    if (state->content.fault != CONTENT_FINE)
        return fault_reply(session, state->content.fault);
    switch (state->gate.fault) {
    case GATE_FINE: break;
    case GATE_BAD_HEADER: return bad_header_reply(session);
    case GATE_FORGED: return forged_reply(session);
    case GATE_UNKNOWN: return SENDER_LOOKUP_FAILED;
    }
    return NO_REPLY;
}

static bool is_refused(const struct server_state *state)
{
    return state->signed_out || state->content.fault != CONTENT_FINE || state->gate.fault != GATE_FINE;
}

/* Rejects the message. After bare newlines another server may have seen the end elsewhere: the following
 * input may be part of the message, and is ignored. */
static void refuse_content(struct server_session *session)
{
    struct server_state *state = session->state;
    bool ambiguous = state->content.fault == CONTENT_BARE_NEWLINE && state->transfer == TRANSFER_DATA;
    struct server_reply reply = refusal(session);
    if (ambiguous || state->signed_out) {
        server_session_reset(session);
        server_session_reply(session, reply);
        server_session_reply_and_close(
            session, state->signed_out
                         ? SIGNED_OUT
                         : REPLY(421, "4.7.0", "Message contained bare CR or LF; closing connection"));
    } else {
        server_session_reply(session, reply);
        server_session_reset(session);
    }
}

static void end_content(struct server_session *session)
{
    struct server_state *state = session->state;
    state->phase = PHASE_COMMAND;
    if (is_refused(state)) {
        refuse_content(session);
        return;
    }
    assert(state->gate.stage == GATE_ENDED);
    state->envelope.size = state->gate.size;
    state->envelope.long_lines = state->content.long_lines;
    /* Drops SMTPUTF8 if only the client's caution set it, so that servers without it accept the message;
     * addresses are checked separately. */
    state->envelope.smtputf8 = state->envelope.smtputf8 && state->content.header_utf8;
    server_session_ask(session, session->policy->asks_trust ? SERVER_ASK_TRUST : SERVER_ASK_STORE);
}

void server_session_observe(struct server_session *session, struct gate_observer observer)
{
    assert(session->state->arrival == ARRIVAL_RUNS);
    gate_observe(&session->state->gate, observer);
}

void server_session_answer_trust(struct server_session *session, const struct trust_answer *answer)
{
    struct server_state *state = session->state;
    server_session_take_answer(session, SERVER_ASK_TRUST);
    assert(state->arrival == ARRIVAL_RUNS && state->gate.stage == GATE_ENDED);
    if (answer->accepted) {
        server_session_ask(session, SERVER_ASK_STORE);
        return;
    }
    assert(answer->code >= 400 && answer->code <= 599 && answer->enhanced.length < sizeof state->enhanced);
    memcpy(state->enhanced, answer->enhanced.at, answer->enhanced.length);
    state->enhanced[answer->enhanced.length] = '\0';
    state->phase = PHASE_COMMAND;
    struct server_reply reply = server_reply_format(session, answer->code, state->enhanced, "%.*s",
                                                    BYTES_ARG(answer->text));
    if (state->draining) {
        server_session_reply(session, reply);
        server_session_reply_and_close(session, GOING_DOWN);
        return;
    }
    server_session_reply(session, reply);
    server_session_reset(session);
}

/* ---- gate ---- */

/* Acts on the gate's verdict: stores its run, or asks auth its question. */
static void obey_gate(struct server_session *session, enum gate_verdict verdict, struct bytes run)
{
    switch (verdict) {
    case GATE_PASS:
        if (run.length > 0) {
            session->state->run = run;
            server_session_push(session, SERVER_CONTENT);
        }
        break;
    case GATE_ASK: server_session_ask(session, SERVER_ASK_SENDER); break;
    case GATE_HOLD:
    case GATE_REFUSE: break; /* the client gets the reply at the end of the content */
    }
}

static void give_run(struct server_session *session, const struct content_run *run)
{
    struct server_state *state = session->state;
    struct bytes passes;
    if (is_refused(state) || run->octets.length == 0)
        return;
    enum gate_verdict verdict = gate_feed(&state->gate, run->octets, &passes);
    obey_gate(session, verdict, passes);
}

static void end_chunk(struct server_session *session);

/* Ends DATA or a chunk. The content of a rejected one is only skipped. */
static void end_of_run(struct server_session *session)
{
    struct server_state *state = session->state;
    bool by_chunks = state->phase == PHASE_CHUNK || state->transfer == TRANSFER_BDAT;
    struct bytes passes;
    if (!gate_is_asking(&state->gate) && !is_refused(state) && (!by_chunks || state->chunk == CHUNK_LAST)) {
        enum gate_verdict verdict = gate_end(&state->gate, &passes);
        obey_gate(session, verdict, passes);
    }
    if (gate_is_asking(&state->gate))
        state->arrival = ARRIVAL_END_WAITS;
    else if (by_chunks)
        end_chunk(session);
    else
        end_content(session);
}

static enum gate_author author_of(enum sender_verdict verdict)
{
    switch (verdict) {
    case SENDER_ALLOWED: return GATE_AUTHOR_ALLOWED;
    case SENDER_FORBIDDEN: return GATE_AUTHOR_FORBIDDEN;
    case SENDER_UNAVAILABLE:
    case SENDER_SIGNED_OUT: break; /* no more content passes */
    }
    return GATE_AUTHOR_UNKNOWN;
}

void data_author_answered(struct server_session *session, enum sender_verdict verdict)
{
    struct server_state *state = session->state;
    struct bytes passes;
    state->signed_out = state->signed_out || verdict == SENDER_SIGNED_OUT;
    state->phase = state->transfer == TRANSFER_BDAT ? PHASE_CHUNK : PHASE_DATA;
    enum gate_author author = state->signed_out ? GATE_AUTHOR_UNKNOWN : author_of(verdict);
    enum gate_verdict said = gate_answer(&state->gate, author, &passes);
    obey_gate(session, said, passes);
    if (state->arrival == ARRIVAL_END_WAITS && !gate_is_asking(&state->gate)) {
        state->arrival = ARRIVAL_RUNS;
        end_of_run(session);
    }
}

size_t data_feed(struct server_session *session, struct bytes input)
{
    struct content_run run;
    size_t used = content_feed_data(&session->state->content, input, &session->state->changed, &run);
    give_run(session, &run);
    if (session->state->run.at != session->state->changed.at) /* the run was not pulled */
        buffer_free(&session->state->changed);
    if (run.ended)
        end_of_run(session);
    return used;
}

/* ---- BDAT ---- */

void data_swallow_bdat(struct server_session *session, struct bytes argument)
{
    struct server_state *state = session->state;
    bool last;
    if (!command_parse_bdat(argument, &state->chunk_left, &last) || state->chunk_left == 0)
        return;
    state->chunk = CHUNK_REFUSED;
    state->phase = PHASE_CHUNK;
}

static struct server_reply check_bdat(const struct server_state *state)
{
    struct server_reply reply = check_transaction(state);
    if (reply.code == 0 && state->arrival != ARRIVAL_NONE && state->transfer != TRANSFER_BDAT)
        return REPLY(503, "5.5.1", "DATA and BDAT cannot be mixed in one transaction");
    return reply;
}

static void end_chunk(struct server_session *session)
{
    struct server_state *state = session->state;
    state->phase = PHASE_COMMAND;
    if (state->chunk == CHUNK_REFUSED) /* the rejection was sent when BDAT came */
        return;
    if (is_refused(state)) {
        /* RFC 3030 2: the transaction has failed; further chunks are skipped. */
        refuse_content(session);
        return;
    }
    if (state->chunk == CHUNK_LAST)
        end_content(session);
    else
        server_session_reply(session, server_reply_format(session, 250, "2.0.0", "OK, %s received so far",
                                                          COUNT_OF(state->content.size, "byte")));
}

static struct server_reply start_chunk(struct server_session *session)
{
    struct server_state *state = session->state;
    if (state->arrival == ARRIVAL_NONE)
        begin_content(session);
    state->phase = PHASE_CHUNK;
    if (state->chunk_left == 0) {
        struct content_run none;
        content_feed_chunk(&state->content, bytes_none(), state->chunk == CHUNK_LAST, &none);
        end_of_run(session);
    }
    return NO_REPLY;
}

struct server_reply server_bdat(struct server_session *session, struct bytes argument)
{
    struct server_state *state = session->state;
    uint64_t size;
    bool last;
    if (!command_parse_bdat(argument, &size, &last))
        return REPLY(501, "5.5.4", "Syntax: BDAT 1234 or BDAT 1234 LAST");
    struct server_reply reply = check_bdat(state);
    if (reply.code != 0) {
        data_swallow_bdat(session, argument);
        return reply;
    }
    state->transfer = TRANSFER_BDAT;
    state->chunk = last ? CHUNK_LAST : CHUNK_MORE;
    state->chunk_left = size;
    return state->arrival != ARRIVAL_NONE ? start_chunk(session) : begin_or_ask(session);
}

size_t data_feed_chunk(struct server_session *session, struct bytes input)
{
    struct server_state *state = session->state;
    size_t used = input.length < state->chunk_left ? input.length : (size_t)state->chunk_left;
    state->chunk_left -= used;
    if (state->chunk != CHUNK_REFUSED) {
        struct content_run run;
        content_feed_chunk(&state->content, bytes_first(input, used),
                           state->chunk == CHUNK_LAST && state->chunk_left == 0, &run);
        give_run(session, &run);
    }
    if (state->chunk_left == 0)
        end_of_run(session);
    return used;
}

void server_session_answer_store(struct server_session *session, enum store_verdict verdict, struct bytes id)
{
    struct server_state *state = session->state;
    server_session_take_answer(session, SERVER_ASK_STORE);
    if (verdict == STORE_DONE) {
        state->idle_commands = state->recipients_since = 0;
        state->recipients_served += state->recipients_fresh;
        state->progress.messages++;
    }
    state->phase = PHASE_COMMAND;
    state->arrival = ARRIVAL_NONE; /* stored, or dropped by the shell: nothing is left to drop */
    switch (verdict) {
    case STORE_DONE:
        server_session_reply(session,
                             server_reply_format(session, 250, "2.0.0", "OK: queued as %.*s", BYTES_ARG(id)));
        break;
    case STORE_FULL:
        server_session_reply(session, REPLY(452, "4.3.1", "Insufficient system storage; try again later"));
        break;
    case STORE_LOOPED:
        server_session_reply(
            session,
            REPLY(554, "5.4.6",
                  "Message returned to an address that has already forwarded it; mail loop detected"));
        break;
    case STORE_UNREACHABLE:
    case STORE_FAILED:
        server_session_reply(
            session, REPLY(451, "4.3.0", "Temporary failure to store the message; try again in a minute"));
        break;
    case STORE_FORBIDDEN:
        server_session_reply(
            session,
            server_reply_format(
                session, 550, "5.7.1",
                "Sender address rejected: user %.*s may no longer send as %.*s; use your own address",
                BYTES_ARG(session->origin.account), BYTES_ARG(reply_address(state->envelope.sender))));
        break;
    case STORE_SIGNED_OUT:
        server_session_reply(session, CREDENTIALS_CHANGED);
        state->signed_out = true;
        break;
    }
    if (state->signed_out)
        server_session_reply_and_close(session, SIGNED_OUT);
    else if (state->draining)
        server_session_reply_and_close(session, GOING_DOWN);
    else
        server_session_reset(session);
}
