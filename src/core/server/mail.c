/* SPDX-License-Identifier: Apache-2.0 */
/* mail: MAIL (RFC 5321 4.1.1.2), where a transaction begins. */
#include "core/server/server_state.h"

static struct server_reply argument_reply(enum argument_verdict verdict)
{
    switch (verdict) {
    case ARGUMENT_FINE: return NO_REPLY;
    case ARGUMENT_ADDRESS:
    case ARGUMENT_LOCAL:
        return REPLY(501, "5.1.7", "Bad sender address syntax; expected MAIL FROM:<you@example.org>");
    case ARGUMENT_UNKNOWN:
        return REPLY(555, "5.5.4", "MAIL FROM parameter not recognized or not implemented");
    case ARGUMENT_VALUE: return REPLY(501, "5.5.4", "MAIL FROM parameter has an invalid value");
    case ARGUMENT_TWICE: return REPLY(501, "5.5.4", "Duplicate MAIL FROM parameter");
    case ARGUMENT_NEEDS_UTF8: return REPLY(553, "5.6.7", "Internationalized address requires SMTPUTF8");
    case ARGUMENT_SYNTAX: break;
    }
    return REPLY(501, "5.5.4", "Syntax: MAIL FROM:<you@example.org>");
}

enum argument_verdict server_complete_name(struct server_session *session, enum argument_verdict verdict,
                                           struct bytes *address)
{
    struct bytes domain = session->policy->domain;
    if (verdict != ARGUMENT_LOCAL || domain.length == 0)
        return verdict;
    assert(session->policy->role == ROLE_LOCAL);
    *address = bytes_of_text(arena_format(&session->state->transaction_arena, "%.*s@%.*s",
                                          BYTES_ARG(*address), BYTES_ARG(domain)));
    return ARGUMENT_FINE;
}

static struct server_reply check_mail(struct server_session *session, const struct mail_argument *mail)
{
    const struct server_state *state = session->state;
    if (mail->has_parameters && !state->esmtp)
        return REPLY(555, "5.5.4", "Parameters require EHLO, not HELO");
    if (mail->parameters.size > session->policy->message_size_max)
        return server_reply_format(session, 552, "5.3.4", "Message size exceeds the limit of %llu bytes",
                                   (unsigned long long)session->policy->message_size_max);
    if (mail->parameters.requiretls && !state->secured) /* RFC 8689 4.1 */
        return REPLY(555, "5.5.4", "REQUIRETLS is available only over TLS; send STARTTLS first");
    return NO_REPLY;
}

static struct server_reply begin(struct server_session *session)
{
    session->state->in_transaction = true;
    server_session_update_protocol(session);
    return REPLY(250, "2.1.0", "Sender OK");
}

struct server_reply server_mail(struct server_session *session, struct bytes argument)
{
    struct server_state *state = session->state;
    struct mail_argument mail;
    if (state->in_transaction)
        return REPLY(503, "5.5.1", "Nested MAIL command; finish the transaction or send RSET");
    enum argument_verdict verdict = command_parse_mail(argument, &mail);
    struct server_reply reply = argument_reply(server_complete_name(session, verdict, &mail.sender));
    if (reply.code == 0) {
        state->sender_said = true;
        state->said_sender = mail.sender;
        reply = check_mail(session, &mail);
    }
    if (reply.code != 0)
        return reply;
    if (++state->transactions > TRANSACTIONS_MAX) {
        server_session_close(session);
        return REPLY(421, "4.7.0",
                     "Too many messages on one connection; closing connection, please reconnect");
    }
    struct arena *arena = &state->transaction_arena;
    state->envelope = mail.parameters;
    state->envelope.envid = arena_copy(arena, mail.parameters.envid);
    state->envelope.sender = arena_copy(arena, mail.sender);
    state->said_sender = state->envelope.sender;
    if (session->policy->role == ROLE_MX)
        return begin(session);
    server_session_ask(session, SERVER_ASK_SENDER);
    return NO_REPLY;
}

struct server_reply mail_limited_reply(struct server_session *session, uint32_t wait_s)
{
    unsigned minutes = (unsigned)(wait_s / 60 + 1);
    if (session->policy->role == ROLE_LOCAL)
        return server_reply_format(session, 450, "4.7.1",
                                   "Hourly sending limit of local user %.*s reached; try again in %u min "
                                   "(submission.local sets the limit)",
                                   BYTES_ARG(session->origin.account), minutes);
    return server_reply_format(session, 450, "4.7.1", "Hourly sending limit reached; try again in %u min",
                               minutes);
}

void server_session_answer_limited(struct server_session *session, uint32_t wait_s)
{
    assert(!gate_is_asking(&session->state->gate));
    server_session_take_answer(session, SERVER_ASK_SENDER);
    session->state->phase = PHASE_COMMAND;
    server_session_reply(session, mail_limited_reply(session, wait_s));
    server_session_reset(session);
    server_session_close_if_signed_out(session);
}

static struct server_reply forbidden_reply(struct server_session *session)
{
    struct bytes account = session->origin.account, sender = session->state->envelope.sender;
    if (session->policy->role == ROLE_LOCAL)
        return server_reply_format(session, 550, "5.7.1",
                                   "Sender address rejected: local user %.*s may not send as %.*s; add it to "
                                   "senders in submission.local.users",
                                   BYTES_ARG(account), BYTES_ARG(reply_address(sender)));
    return server_reply_format(
        session, 550, "5.7.1",
        "Sender address rejected: user %.*s may not send as %.*s; use your own address", BYTES_ARG(account),
        BYTES_ARG(reply_address(sender)));
}

void server_session_answer_sender(struct server_session *session, enum sender_verdict verdict)
{
    struct server_state *state = session->state;
    server_session_take_answer(session, SERVER_ASK_SENDER);
    if (gate_is_asking(&state->gate)) {
        data_author_answered(session, verdict);
        return;
    }
    state->phase = PHASE_COMMAND;
    struct server_reply reply = SENDER_LOOKUP_FAILED;
    if (verdict == SENDER_ALLOWED)
        reply = begin(session);
    else if (verdict == SENDER_FORBIDDEN)
        reply = forbidden_reply(session);
    else if (verdict == SENDER_SIGNED_OUT)
        state->signed_out = true;
    if (!state->signed_out)
        server_session_reply(session, reply);
    if (verdict != SENDER_ALLOWED)
        server_session_reset(session);
    server_session_close_if_signed_out(session);
}
