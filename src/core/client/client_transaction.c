/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_transaction: sends one message in a ready session: MAIL, RCPT and DATA at once if the peer
 * supports PIPELINING, one by one otherwise; BDAT for content that needs it. Each recipient has its own
 * result. Recipients that the peer rejects as too many go into the next transaction, which sends the
 * message again; each transaction decides at least one recipient.
 *
 * If the peer lacks 8BITMIME or BINARYMIME the content is encoded; lacking REQUIRETLS is a failure, and
 * lacking SMTPUTF8 is one only for recipients that need it, unless the sender or the header does.
 */
#include <assert.h>
#include <stdlib.h>

#include "core/client/client_state.h"
#include "core/smtp/command.h"
#include "core/smtp/status.h"

static void decide(struct client_state *state, size_t i, struct delivery_result result)
{
    if (state->stages[i] == RECIPIENT_DECIDED)
        return;
    state->stages[i] = RECIPIENT_DECIDED;
    state->results[i] = result;
}

static void decide_all(struct client_state *state, struct delivery_result result)
{
    for (size_t i = 0; i < state->envelope->recipient_count; i++)
        decide(state, i, result);
}

/* Decides the accepted recipients. */
static void decide_taken(struct client_state *state, struct delivery_result result)
{
    for (size_t i = 0; i < state->envelope->recipient_count; i++)
        if (state->stages[i] == RECIPIENT_TAKEN)
            decide(state, i, result);
}

void client_transaction_abort(struct client_session *session, const struct delivery_result *why)
{
    struct delivery_result result = *why;
    result.outcome = OUTCOME_DEFERRED;
    decide_all(session->state, result);
    client_push(session, CLIENT_SENT);
}

static bool any_waits(const struct client_state *state)
{
    for (size_t i = 0; i < state->envelope->recipient_count; i++)
        if (state->stages[i] == RECIPIENT_WAITS)
            return true;
    return false;
}

static void begin(struct client_session *session);

/* Ends the transaction: starts the next one, or reports the results and becomes ready. Failures are
 * reported after the reply to RSET: only then is it certain that the replies matched their commands. */
static void finish(struct client_session *session, bool reset)
{
    struct client_state *state = session->state;
    if (reset) {
        state->phase = PHASE_RSET;
        client_out(session, "RSET");
        return;
    }
    if (!state->stop && any_waits(state)) {
        begin(session);
        return;
    }
    client_push(session, CLIENT_SENT);
    state->phase = PHASE_READY;
    client_push(session, CLIENT_READY);
}

/* ---- beginning ---- */

/* True if the message needs SMTPUTF8 independent of its recipients. */
static bool message_needs_utf8(const struct envelope *envelope)
{
    return envelope->smtputf8 || !bytes_is_ascii(envelope->sender);
}

static bool needs_utf8(const struct envelope *envelope)
{
    bool needed = message_needs_utf8(envelope);
    for (size_t i = 0; i < envelope->recipient_count && !needed; i++)
        needed = !bytes_is_ascii(envelope->recipients[i].address);
    return needed;
}

/* Over LMTP the message is delivered as it is: its octets go into the mailbox, with or without SMTPUTF8. */
static bool knows_utf8(const struct client_session *session)
{
    return session->capabilities.smtputf8 || session->options.lmtp;
}

/* Returns why this peer cannot accept the message, or NULL. */
static const char *lacking(const struct client_session *session, const char **enhanced)
{
    const struct client_capabilities *peer = &session->capabilities;
    const struct envelope *envelope = session->state->envelope;
    if (peer->size_known && peer->size_max > 0 && envelope->size > peer->size_max)
        return *enhanced = "5.3.4", "the message exceeds the server's size limit";
    if (message_needs_utf8(envelope) && !knows_utf8(session))
        return *enhanced = "5.6.7",
               "the message has internationalized addresses, which the server does not support (SMTPUTF8)";
    if (envelope->requiretls && !peer->requiretls)
        return *enhanced = "5.7.30",
               "the message requires TLS (REQUIRETLS), which the server does not support";
    return NULL;
}

/* Sends MAIL with only the parameters that the peer supports. */
static void say_mail(struct client_session *session)
{
    const struct client_capabilities *peer = &session->capabilities;
    struct envelope said = *session->state->envelope;
    struct buffer line = {0};
    said.smtputf8 = needs_utf8(&said) && peer->smtputf8;
    said.size = peer->size_known && session->state->transfer_encoding == NULL
                    ? said.size + session->state->top.length
                    : 0;
    if (session->state->transfer_encoding != NULL && !session->state->transfer_encoding->eight_passes)
        said.body = BODY_7BIT;
    if (!peer->dsn) {
        said.ret = RET_UNSAID;
        said.envid = bytes_none();
    }
    command_add_mail(&line, &said);
    client_out(session, "%s", buffer_text(&line));
    buffer_free(&line);
}

static void say_rcpt(struct client_session *session, size_t i)
{
    struct recipient said = session->state->envelope->recipients[i];
    struct buffer line = {0};
    if (!session->capabilities.dsn) {
        said.notify = NOTIFY_UNSAID;
        said.orcpt = bytes_none();
    }
    command_add_rcpt(&line, &said);
    client_out(session, "%s", buffer_text(&line));
    buffer_free(&line);
}

struct content_form client_session_form(const struct client_session *session, const struct envelope *envelope)
{
    const struct client_capabilities *peer = &session->capabilities;
    bool binary = envelope->body == BODY_BINARYMIME, eight = envelope->body == BODY_8BITMIME;
    bool unfit = (binary && !(peer->binarymime && peer->chunking)) || (eight && !peer->eightbitmime);
    bool too_long = envelope->long_lines && !binary && !session->options.lmtp;
    if (!unfit && !too_long)
        return (struct content_form){.raw = binary};
    return (struct content_form){
        .encodes = true, .binary = binary, .short_lines = too_long, .eight_passes = !unfit};
}

/* Selects the encoding for a peer that does not accept the content unchanged. */
static void choose_encoding(struct client_session *session)
{
    const struct client_capabilities *peer = &session->capabilities;
    struct client_state *state = session->state;
    struct content_form form = client_session_form(session, state->envelope);
    client_transaction_end_encoding(state);
    if (form.encodes) {
        state->transfer_encoding = memory_new(sizeof *state->transfer_encoding);
        content_form_start_encoding(form, state->transfer_encoding);
    }
    state->by_chunks = peer->chunking && !form.encodes &&
                       (form.raw || state->envelope->size > CONTENT_RUN_MAX);
    state->encoder = (struct encoder){.chunks = state->by_chunks};
    state->last_chunk = false;
}

void client_transaction_end_encoding(struct client_state *state)
{
    if (state->transfer_encoding == NULL)
        return;
    transfer_encoding_free(state->transfer_encoding);
    free(state->transfer_encoding);
    state->transfer_encoding = NULL;
}

static bool has_forgery(const struct envelope *envelope)
{
    bool forged = bytes_has_control(envelope->sender) || bytes_has_control(envelope->envid);
    for (size_t i = 0; i < envelope->recipient_count && !forged; i++)
        forged = bytes_has_control(envelope->recipients[i].address) ||
                 bytes_has_control(envelope->recipients[i].orcpt);
    return forged;
}

/* Selects the recipients of this transaction: waiting ones, up to the peer's limit. */
static void offer(struct client_session *session)
{
    struct client_state *state = session->state;
    size_t most = session->capabilities.recipients_max;
    state->offered_count = 0;
    for (size_t i = 0; i < state->envelope->recipient_count; i++) {
        bool fits = most == 0 || state->offered_count < most;
        if (state->stages[i] != RECIPIENT_WAITS || !fits)
            continue;
        state->stages[i] = RECIPIENT_OFFERED;
        state->offered[state->offered_count++] = i;
    }
}

static void begin(struct client_session *session)
{
    struct client_state *state = session->state;
    const struct client_capabilities *peer = &session->capabilities;
    offer(session);
    assert(state->offered_count > 0);
    state->next = state->accepted = 0;
    state->content_begun = false;
    choose_encoding(session);
    state->phase = PHASE_MAIL;
    state->data_sent_ahead = peer->pipelining && !state->by_chunks;
    say_mail(session);
    if (!peer->pipelining)
        return;
    for (size_t i = 0; i < state->offered_count; i++)
        say_rcpt(session, state->offered[i]);
    if (state->data_sent_ahead)
        client_out(session, "DATA");
}

/* Fails only the recipients with international addresses. */
static void refuse_international(struct client_session *session)
{
    static const char why[] =
        "the address is internationalized, which the server does not support (SMTPUTF8)";
    struct client_state *state = session->state;
    struct delivery_result result = client_result_said(&state->transaction_arena, STEP_RCPT, OUTCOME_FAILED,
                                                       "5.6.7", bytes_of_text(why));
    for (size_t i = 0; i < state->envelope->recipient_count; i++)
        if (!bytes_is_ascii(state->envelope->recipients[i].address))
            decide(state, i, result);
}

void client_session_send(struct client_session *session, const struct envelope *envelope)
{
    client_session_send_below(session, envelope, bytes_none());
}

void client_session_send_below(struct client_session *session, const struct envelope *envelope,
                               struct bytes top)
{
    struct client_state *state = session->state;
    const char *enhanced = NULL;
    assert(state->phase == PHASE_READY && envelope->recipient_count > 0);
    assert(!has_forgery(envelope)); /* the grammar excludes them */
    arena_clear(&state->transaction_arena);
    state->envelope = envelope;
    state->top = arena_copy(&state->transaction_arena, top);
    state->results = ARENA_ARRAY(&state->transaction_arena, struct delivery_result,
                                 envelope->recipient_count);
    state->stages = ARENA_ARRAY(&state->transaction_arena, enum recipient_stage, envelope->recipient_count);
    state->offered = ARENA_ARRAY(&state->transaction_arena, size_t, envelope->recipient_count);
    state->stop = false;
    static const char waits[] = "the server accepts fewer recipients per transaction; the rest follow";
    struct delivery_result unoffered = client_result_said(&state->transaction_arena, STEP_RCPT,
                                                          OUTCOME_DEFERRED, "4.5.3", bytes_of_text(waits));
    for (size_t i = 0; i < envelope->recipient_count; i++)
        state->results[i] = unoffered;
    const char *why = lacking(session, &enhanced);
    if (why != NULL) {
        decide_all(state, client_result_said(&state->transaction_arena, STEP_MAIL, OUTCOME_FAILED, enhanced,
                                             bytes_of_text(why)));
        finish(session, false);
        return;
    }
    if (!knows_utf8(session))
        refuse_international(session);
    if (any_waits(state))
        begin(session);
    else
        finish(session, false);
    assert(client_session_is_sound(session));
}

/* ---- replies ---- */

static void want_content(struct client_session *session)
{
    session->state->phase = PHASE_CONTENT;
    client_push(session, CLIENT_WANT_CONTENT);
}

/* Continues once MAIL and all RCPT are answered. */
static void after_recipients(struct client_session *session)
{
    struct client_state *state = session->state;
    if (state->data_sent_ahead) {
        state->phase = PHASE_DATA;
    } else if (state->accepted == 0) {
        finish(session, true);
    } else if (state->by_chunks) {
        want_content(session);
    } else {
        state->phase = PHASE_DATA;
        client_out(session, "DATA");
    }
}

/* True for a reply that is invalid for its command: replies and commands are out of step, so that no reply
 * can be trusted. */
static bool makes_no_sense(struct client_session *session, enum client_step step,
                           const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    bool wants_3xx = state->phase == PHASE_DATA;
    /* 503 for a correct sequence: an earlier reply is missing. */
    bool open = state->phase == PHASE_RCPT ? state->stages[state->offered[state->next]] == RECIPIENT_OFFERED
                                           : state->phase == PHASE_DATA && state->accepted > 0;
    bool lost_count = reply->code == 503 && open;
    if (!lost_count && (reply->code >= 400 || (wants_3xx ? reply->code == 354 : reply->code / 100 == 2)))
        return false;
    struct delivery_result why = client_result_of(&state->transaction_arena, step, reply);
    why.outcome = OUTCOME_DEFERRED;
    /* then the content was requested */
    bool in_order = state->phase == PHASE_END || state->phase == PHASE_CHUNK;
    for (size_t i = 0; i < state->offered_count && !in_order; i++)
        state->stages[state->offered[i]] = RECIPIENT_OFFERED;
    client_fail(session, why);
    return true;
}

static void mail_reply(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    state->phase = PHASE_RCPT;
    if (reply->code / 100 != 2) {
        struct delivery_result result = client_result_of(&state->transaction_arena, STEP_MAIL, reply);
        decide_all(state, result);
        if (!session->capabilities.pipelining) {
            finish(session, true);
            return;
        }
    } else if (!session->capabilities.pipelining) {
        say_rcpt(session, state->offered[0]);
    }
}

/* Decides one recipient by its reply to RCPT. */
static void refuse(struct client_state *state, size_t i, struct delivery_result result)
{
    if (state->stages[i] == RECIPIENT_DECIDED)
        return;
    switch (status_rcpt_verdict(result.code, result.enhanced, result.text, state->accepted > 0)) {
    case RCPT_DEFERRED:
    case RCPT_REJECTED: decide(state, i, result); break;
    case RCPT_TOO_MANY:
        result.outcome = OUTCOME_DEFERRED; /* where no further transaction follows */
        state->results[i] = result;
        state->stages[i] = RECIPIENT_WAITS;
        break;
    }
}

static void rcpt_reply(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    size_t i = state->offered[state->next++];
    if (reply->code / 100 != 2) {
        refuse(state, i, client_result_of(&state->transaction_arena, STEP_RCPT, reply));
    } else if (state->stages[i] == RECIPIENT_OFFERED) {
        state->stages[i] = RECIPIENT_TAKEN;
        state->accepted++;
    }
    if (state->next == state->offered_count)
        after_recipients(session);
    else if (!session->capabilities.pipelining)
        say_rcpt(session, state->offered[state->next]);
}

static void data_reply(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    bool any = state->accepted > 0;
    if (reply->code == 354 && any) {
        want_content(session);
        /* DATA was pipelined, but no recipient was accepted: ends it without content */
    } else if (reply->code == 354) {
        state->phase = PHASE_EMPTY_END;
        client_out(session, ".");
    } else {
        struct delivery_result result = client_result_of(&state->transaction_arena, STEP_DATA, reply);
        assert(reply->code >= 400); /* makes_no_sense() handles the others */
        state->stop = any && result.outcome == OUTCOME_DEFERRED;
        decide_taken(state, result);
        finish(session, true);
    }
}

/* Handles a reply after the content: one, or with LMTP one per accepted recipient. */
static void end_reply(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    struct delivery_result result = client_result_of(&state->transaction_arena, STEP_DATA, reply);
    result.peer_reports = session->capabilities.dsn && !session->options.lmtp &&
                          result.outcome == OUTCOME_DELIVERED;
    if (!session->options.lmtp) {
        state->stop = result.outcome == OUTCOME_DEFERRED;
        decide_taken(state, result);
        finish(session, false);
        return;
    }
    size_t i = 0;
    while (state->stages[i] != RECIPIENT_TAKEN)
        i++;
    decide(state, i, result);
    if (--state->accepted == 0)
        finish(session, false);
}

static void chunk_reply(struct client_session *session, const struct smtp_reply *reply)
{
    struct client_state *state = session->state;
    if (state->last_chunk) {
        end_reply(session, reply);
    } else if (reply->code / 100 == 2) {
        want_content(session);
    } else {
        struct delivery_result result = client_result_of(&state->transaction_arena, STEP_DATA, reply);
        state->stop = result.outcome == OUTCOME_DEFERRED;
        decide_taken(state, result);
        finish(session, true);
    }
}

void client_transaction_reply(struct client_session *session, const struct smtp_reply *reply)
{
    static const enum client_step steps[] = {
        [PHASE_MAIL] = STEP_MAIL,  [PHASE_RCPT] = STEP_RCPT, [PHASE_DATA] = STEP_DATA,
        [PHASE_CHUNK] = STEP_DATA, [PHASE_END] = STEP_DATA,  [PHASE_EMPTY_END] = STEP_DATA,
        [PHASE_RSET] = STEP_DATA};
    if (makes_no_sense(session, steps[session->state->phase], reply))
        return;
    switch (session->state->phase) {
    case PHASE_MAIL: mail_reply(session, reply); break;
    case PHASE_RCPT: rcpt_reply(session, reply); break;
    case PHASE_DATA: data_reply(session, reply); break;
    case PHASE_CHUNK: chunk_reply(session, reply); break;
    case PHASE_END: end_reply(session, reply); break;
    case PHASE_EMPTY_END:
    case PHASE_RSET: finish(session, false); break;
    default: assert(false);
    }
}

/* ---- content ---- */

static void add_encoded(struct client_state *state, struct bytes run, bool last)
{
    struct buffer encoded = {0};
    if (state->transfer_encoding == NULL) {
        encoder_add(&state->encoder, &state->out, run);
        return;
    }
    transfer_encoding_add(state->transfer_encoding, &encoded, run);
    if (last)
        transfer_encoding_end(state->transfer_encoding, &encoded);
    encoder_add(&state->encoder, &state->out, buffer_bytes(&encoded));
    buffer_free(&encoded);
}

/* Sends a chunk; only content declared binary passes octet by octet. */
static void add_chunk(struct client_state *state, struct bytes run, bool last)
{
    struct buffer mended = {0};
    if (state->envelope->body != BODY_BINARYMIME && !encoder_is_clean(&state->encoder, run)) {
        encoder_add(&state->encoder, &mended, run);
        if (last)
            encoder_end(&state->encoder, &mended);
        run = buffer_bytes(&mended);
    }
    buffer_add_format(&state->out, "BDAT %llu%s\r\n", (unsigned long long)run.length, last ? " LAST" : "");
    buffer_add(&state->out, run);
    buffer_free(&mended);
}

/* A chunk that begins with the fields on top of the content, if there are any. */
static void add_first_chunk(struct client_state *state, struct bytes top, struct bytes run, bool last)
{
    struct buffer whole = {0};
    if (top.length > 0) {
        buffer_add(&whole, top);
        buffer_add(&whole, run);
        run = buffer_bytes(&whole);
    }
    add_chunk(state, run, last);
    buffer_free(&whole);
}

void client_session_content(struct client_session *session, struct bytes run, bool last)
{
    struct client_state *state = session->state;
    struct bytes top = state->content_begun ? bytes_none() : state->top;
    assert(state->phase == PHASE_CONTENT && run.length <= CONTENT_RUN_MAX);
    state->content_begun = true;
    if (state->out_pulled)
        buffer_clear(&state->out);
    state->out_pulled = false;
    if (state->by_chunks) {
        add_first_chunk(state, top, run, last);
        state->last_chunk = last;
        state->phase = PHASE_CHUNK;
    } else {
        encoder_add(&state->encoder, &state->out, top); /* in the peer's form already */
        add_encoded(state, run, last);
        if (last) {
            encoder_end(&state->encoder, &state->out);
            state->phase = PHASE_END;
        }
    }
    if (state->out.length > 0)
        client_push(session, CLIENT_SEND);
    if (!last && !state->by_chunks)
        client_push(session, CLIENT_WANT_CONTENT);
    assert(client_session_is_sound(session));
}
