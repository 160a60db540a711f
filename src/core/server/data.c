/* SPDX-License-Identifier: Apache-2.0 */
/* data: DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030), and the content's end. */
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
    state->content_begun = true;
    state->gathers_header = session->policy->checks_header;
    server_session_push(session, SERVER_CONTENT_BEGIN);
}

void server_session_stamp(struct server_session *session, uint64_t now_ms, struct bytes message_id)
{
    struct server_state *state = session->state;
    /* Who writes no From is who sends: the envelope's sender was checked. */
    state->stamp = (struct header_stamp){.now_ms = now_ms,
                                         .message_id = arena_copy(&state->transaction_arena, message_id),
                                         .from = state->envelope.sender};
}

static struct server_reply start_data(struct server_session *session)
{
    begin_content(session);
    session->state->phase = PHASE_DATA;
    return REPLY(354, NULL, "Start mail input; end with <CRLF>.<CRLF>");
}

static struct server_reply start_chunk(struct server_session *session);

/* The envelope is complete: may it be sent? */
static struct server_reply begin_or_ask(struct server_session *session)
{
    if (session->policy->limits_sending) {
        server_session_ask(session, SERVER_ASK_LIMIT);
        return NO_REPLY;
    }
    return session->state->by_chunks ? start_chunk(session) : start_data(session);
}

static struct server_reply limit_reply(struct server_session *session, enum limit_verdict verdict,
                                       uint32_t number)
{
    switch (verdict) {
    case LIMIT_REACHED: return mail_limited_reply(session, number);
    case LIMIT_TOO_MANY:
        return server_reply_format(
            session, 550, "5.7.1",
            "Message with %zu recipients exceeds the hourly limit of %u recipients; send it to fewer",
            session->state->envelope.recipient_count, (unsigned)number);
    case LIMIT_FINE:
    case LIMIT_UNAVAILABLE: break;
    }
    return REPLY(451, "4.3.0", "Temporary failure to check the account's limits; try again in a minute");
}

void server_session_answer_limit(struct server_session *session, enum limit_verdict verdict, uint32_t number)
{
    struct server_state *state = session->state;
    assert(state->question == SERVER_ASK_LIMIT);
    state->question = SERVER_NOTHING;
    state->phase = PHASE_COMMAND;
    if (verdict == LIMIT_FINE && !state->signed_out) {
        server_session_reply(session, state->by_chunks ? start_chunk(session) : start_data(session));
        return;
    }
    bool swallow = state->by_chunks && state->chunk_left > 0;
    if (!state->signed_out)
        server_session_reply(session, limit_reply(session, verdict, number));
    server_session_reset(session);
    if (swallow && !state->signed_out) {
        state->chunk_refused = true;
        state->chunk_last = false;
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
    if (state->content_begun)
        return REPLY(503, "5.5.1", "DATA and BDAT cannot be mixed in one transaction");
    if (state->envelope.body == BODY_BINARYMIME)
        return REPLY(503, "5.5.1", "BODY=BINARYMIME needs BDAT");
    state->by_chunks = false;
    return begin_or_ask(session);
}

static struct server_reply fault_reply(struct server_session *session, enum content_fault fault)
{
    switch (fault) {
    case CONTENT_FINE: return NO_REPLY;
    case CONTENT_BARE_NEWLINE:
        if (session->state->content.binary)
            return REPLY(550, "5.6.0", "Message header contains a bare LF; lines must end in CRLF");
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
    case CONTENT_HEADER:
        if (session->state->header.fault == HEADER_BROKEN)
            return server_reply_format(session, 550, "5.6.0",
                                       "Malformed message header at line %zu (expected Name: value)",
                                       session->state->header.line);
        return REPLY(550, "5.6.0", header_fault_sentence(session->state->header.fault));
    case CONTENT_FORGED:
        if (session->policy->role == ROLE_LOCAL)
            return server_reply_format(session, 550, "5.7.1",
                                       "From or Sender header rejected: %.*s may not be used by local user "
                                       "%.*s; add it to senders in submission.local.users",
                                       BYTES_ARG(session->state->author), BYTES_ARG(session->origin.account));
        return server_reply_format(
            session, 550, "5.7.1",
            "From or Sender header rejected: %.*s may not be used by %.*s; send as yourself",
            BYTES_ARG(session->state->author), BYTES_ARG(session->origin.account));
    case CONTENT_SIGNED_OUT:
        return REPLY(451, "4.7.0",
                     "Credentials changed or revoked during the transaction; authenticate again and resend "
                     "the message");
    case CONTENT_LOOPS: break;
    }
    return server_reply_format(session, 554, "5.4.6", "Too many hops (%u); mail loop detected",
                               (unsigned)RECEIVED_FIELDS_MAX);
}

/* Where newlines are bare, another server may have seen the end elsewhere than
 * we: what stands behind it may be part of the message, and is not listened to. */
static void refuse_content(struct server_session *session)
{
    struct server_state *state = session->state;
    bool ambiguous = state->content.fault == CONTENT_BARE_NEWLINE && !state->by_chunks;
    struct server_reply reply = fault_reply(session, state->content.fault);
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

void data_signed_out(struct server_session *session)
{
    struct server_state *state = session->state;
    if (!state->chunk_refused || !state->by_chunks)
        state->content.fault = CONTENT_SIGNED_OUT;
}

static void end_content(struct server_session *session)
{
    struct server_state *state = session->state;
    state->phase = PHASE_COMMAND;
    if (state->content.fault != CONTENT_FINE) {
        refuse_content(session);
        return;
    }
    state->envelope.size = state->content.size;
    /* Who said it out of caution is not refused by servers that lack it; addresses speak for themselves. */
    state->envelope.smtputf8 = state->envelope.smtputf8 && state->content.header_utf8;
    server_session_ask(session, SERVER_ASK_STORE);
}

/* ---- the header of what is submitted ---- */

/* What was gathered goes to the shell, mended; the rest passes by. */
static void release_header(struct server_session *session)
{
    struct server_state *state = session->state;
    buffer_clear(&state->fixed);
    header_fix(&state->header, &state->stamp, &state->fixed);
    state->content.size = state->content.size - state->header.text.length + state->fixed.length;
    header_free(&state->header);
    state->run = buffer_bytes(&state->fixed);
    if (state->run.length > 0)
        server_session_push(session, SERVER_CONTENT);
}

/* Asks about the next author who is not the sender that was asked about; false when there is none. */
static bool ask_author(struct server_session *session)
{
    struct server_state *state = session->state;
    do
        state->author = header_author(&state->header, &state->author_at);
    while (state->author.length > 0 && bytes_equal_nocase(state->author, state->envelope.sender));
    if (state->author.length == 0)
        return false;
    state->asks_author = true;
    server_session_ask(session, SERVER_ASK_SENDER);
    return true;
}

static void check_header(struct server_session *session)
{
    struct server_state *state = session->state;
    struct header_rules rules = {.utf8_allowed = state->envelope.smtputf8};
    state->gathers_header = false;
    state->author_at = 0;
    if (header_check(&state->header, &rules) != HEADER_FINE) {
        if (state->content.fault == CONTENT_FINE)
            state->content.fault = CONTENT_HEADER;
        return;
    }
    if (!ask_author(session))
        release_header(session);
}

static void gather_header(struct server_session *session, const struct content_run *run)
{
    struct server_state *state = session->state;
    header_add(&state->header, run->octets);
    if (header_is_whole(&state->header))
        check_header(session);
}

static void end_chunk(struct server_session *session);

/* The end of DATA, or of a chunk. One that was refused is nothing but swallowed. */
static void end_of_run(struct server_session *session, bool chunk)
{
    struct server_state *state = session->state;
    bool is_last = !chunk || (state->chunk_last && !state->chunk_refused);
    if (state->gathers_header && is_last && state->content.fault == CONTENT_FINE) {
        header_finish(&state->header);
        check_header(session);
    }
    if (state->asks_author)
        state->end_waits = true;
    else if (chunk)
        end_chunk(session);
    else
        end_content(session);
}

void data_author_answered(struct server_session *session, enum sender_verdict verdict)
{
    struct server_state *state = session->state;
    state->asks_author = false;
    state->phase = state->by_chunks ? PHASE_CHUNK : PHASE_DATA;
    if (state->signed_out)
        state->content.fault = CONTENT_SIGNED_OUT;
    else if (verdict != SENDER_ALLOWED)
        state->content.fault = CONTENT_FORGED;
    else if (ask_author(session))
        return;
    else
        release_header(session);
    if (state->end_waits) {
        state->end_waits = false;
        end_of_run(session, state->by_chunks);
    }
}

static void give_run(struct server_session *session, const struct content_run *run)
{
    struct server_state *state = session->state;
    if (state->gathers_header && state->content.fault == CONTENT_FINE) {
        gather_header(session, run);
        return;
    }
    state->run = run->octets;
    if (run->octets.length > 0)
        server_session_push(session, SERVER_CONTENT);
}

size_t data_feed(struct server_session *session, struct bytes input)
{
    struct content_run run;
    size_t used = content_feed_data(&session->state->content, input, &session->state->changed, &run);
    give_run(session, &run);
    if (session->state->run.at != session->state->changed.at) /* nobody pulls it */
        buffer_free(&session->state->changed);
    if (run.ended)
        end_of_run(session, false);
    return used;
}

/* ---- BDAT ---- */

void data_swallow_bdat(struct server_session *session, struct bytes argument)
{
    struct server_state *state = session->state;
    bool last;
    if (!command_parse_bdat(argument, &state->chunk_left, &last) || state->chunk_left == 0)
        return;
    state->chunk_refused = true;
    state->chunk_last = false;
    state->phase = PHASE_CHUNK;
}

static struct server_reply check_bdat(const struct server_state *state)
{
    struct server_reply reply = check_transaction(state);
    if (reply.code == 0 && state->content_begun && !state->by_chunks)
        return REPLY(503, "5.5.1", "DATA and BDAT cannot be mixed in one transaction");
    return reply;
}

static void end_chunk(struct server_session *session)
{
    struct server_state *state = session->state;
    state->phase = PHASE_COMMAND;
    if (state->chunk_refused) /* its refusal was said when BDAT came */
        return;
    if (state->content.fault != CONTENT_FINE) {
        /* RFC 3030 2: the transaction has failed; what follows is swallowed. */
        refuse_content(session);
        return;
    }
    if (state->chunk_last)
        end_content(session);
    else
        server_session_reply(session,
                             server_reply_format(session, 250, "2.0.0", "OK, %llu bytes received so far",
                                                 (unsigned long long)state->content.size));
}

static struct server_reply start_chunk(struct server_session *session)
{
    struct server_state *state = session->state;
    if (!state->content_begun)
        begin_content(session);
    state->phase = PHASE_CHUNK;
    if (state->chunk_left == 0) {
        struct content_run none;
        content_feed_chunk(&state->content, bytes_none(), state->chunk_last, &none);
        end_of_run(session, true);
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
    state->by_chunks = true;
    state->chunk_refused = false;
    state->chunk_left = size;
    state->chunk_last = last;
    return state->content_begun ? start_chunk(session) : begin_or_ask(session);
}

size_t data_feed_chunk(struct server_session *session, struct bytes input)
{
    struct server_state *state = session->state;
    size_t used = input.length < state->chunk_left ? input.length : (size_t)state->chunk_left;
    state->chunk_left -= used;
    if (!state->chunk_refused) {
        struct content_run run;
        content_feed_chunk(&state->content, bytes_first(input, used),
                           state->chunk_last && state->chunk_left == 0, &run);
        give_run(session, &run);
    }
    if (state->chunk_left == 0)
        end_of_run(session, true);
    return used;
}

void server_session_answer_store(struct server_session *session, enum store_verdict verdict, struct bytes id)
{
    struct server_state *state = session->state;
    assert(state->question == SERVER_ASK_STORE);
    if (verdict == STORE_DONE) {
        state->idle_commands = state->recipients_since = 0;
        state->recipients_served += state->recipients_fresh;
        state->progress.messages++;
    }
    state->question = SERVER_NOTHING;
    state->phase = PHASE_COMMAND;
    state->content_begun = false; /* it was stored, or dropped by the shell: nothing is left to drop */
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
                BYTES_ARG(session->origin.account), BYTES_ARG(state->envelope.sender)));
        break;
    case STORE_SIGNED_OUT:
        server_session_reply(session, fault_reply(session, CONTENT_SIGNED_OUT));
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
