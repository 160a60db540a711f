/* SPDX-License-Identifier: Apache-2.0 */
/* rcpt: RCPT (RFC 5321 4.1.1.3); the shell resolves each recipient. */
#include "core/server/server_state.h"

static struct server_reply argument_reply(enum argument_verdict verdict)
{
    switch (verdict) {
    case ARGUMENT_FINE: return NO_REPLY;
    case ARGUMENT_ADDRESS:
    case ARGUMENT_LOCAL:
        return REPLY(501, "5.1.3", "Bad recipient address syntax; expected RCPT TO:<them@example.org>");
    case ARGUMENT_UNKNOWN: return REPLY(555, "5.5.4", "RCPT TO parameter not recognized or not implemented");
    case ARGUMENT_VALUE: return REPLY(501, "5.5.4", "RCPT TO parameter has an invalid value");
    case ARGUMENT_TWICE: return REPLY(501, "5.5.4", "Duplicate RCPT TO parameter");
    case ARGUMENT_NEEDS_UTF8:
        return REPLY(553, "5.6.7", "Internationalized address requires SMTPUTF8 in the MAIL command");
    case ARGUMENT_SYNTAX: break;
    }
    return REPLY(501, "5.5.4", "Syntax: RCPT TO:<them@example.org>");
}

/* Clients that use NOTIFY although DSN is not offered are accepted; no success is reported. */
static uint8_t notify_heeded(const struct server_session *session, uint8_t notify)
{
    uint8_t left = (uint8_t)(notify & ~NOTIFY_SUCCESS);
    if (policy_offers_dsn(session) || left == notify)
        return notify;
    return left == NOTIFY_UNSAID ? NOTIFY_NEVER : left; /* only reports of failure were excluded */
}

struct server_reply server_rcpt(struct server_session *session, struct bytes argument)
{
    struct server_state *state = session->state;
    struct rcpt_argument rcpt;
    if (!state->in_transaction)
        return REPLY(503, "5.5.1", "Bad sequence of commands; send MAIL first");
    if (state->arrival != ARRIVAL_NONE)
        return REPLY(503, "5.5.1", "Bad sequence of commands; recipients come before the message");
    state->recipients_tried++;
    enum argument_verdict verdict = command_parse_rcpt(argument, state->envelope.smtputf8, &rcpt);
    struct server_reply reply = argument_reply(server_complete_name(session, verdict, &rcpt.address));
    if (reply.code != 0)
        return reply;
    state->said_recipient = rcpt.address;
    if (rcpt.has_parameters && !state->esmtp)
        return REPLY(555, "5.5.4", "Parameters require EHLO, not HELO");
    /* Rejected recipients use memory too. */
    if (state->recipients_accepted >= session->policy->recipients_max ||
        state->recipients_asked >= 2 * session->policy->recipients_max)
        return server_reply_format(
            session, 452, "4.5.3",
            "Too many recipients (limit %u per message); send the rest in another message",
            (unsigned)session->policy->recipients_max);
    state->asked_address = arena_copy(&state->transaction_arena, rcpt.address);
    state->said_recipient = state->asked_address;
    state->asked_orcpt = arena_copy(&state->transaction_arena, rcpt.orcpt);
    state->asked_notify = notify_heeded(session, rcpt.notify);
    state->recipients_asked++;
    server_session_ask(session, SERVER_ASK_RECIPIENT);
    return NO_REPLY;
}

static bool has_recipient(const struct envelope *envelope, const struct recipient *wanted)
{
    for (size_t i = 0; i < envelope->recipient_count; i++)
        if (envelope->recipients[i].local == wanted->local &&
            envelope->recipients[i].expands == wanted->expands &&
            bytes_equal(envelope->recipients[i].address, wanted->address) &&
            bytes_equal(envelope->recipients[i].forwarder, wanted->forwarder))
            return true;
    return false;
}

enum { RECIPIENT_FIELDS = 64 }; /* octets of a recipient besides its texts, approximately */

/* True if all members of an alias fit, or else none is added. */
static bool fits(struct server_state *state, const struct recipient *targets, size_t count)
{
    size_t octets = 0;
    for (size_t i = 0; i < count; i++)
        octets += targets[i].address.length + targets[i].via.length + targets[i].forwarder.length +
                  targets[i].sent_as.length + state->asked_address.length + state->asked_orcpt.length +
                  RECIPIENT_FIELDS;
    if (octets > RECIPIENTS_OCTETS_MAX - state->recipients_octets)
        return false;
    state->recipients_octets += octets;
    return true;
}

static void add_target(struct server_state *state, const struct recipient *target)
{
    struct envelope *envelope = &state->envelope;
    struct arena *arena = &state->transaction_arena;
    if (has_recipient(envelope, target))
        return;
    if (envelope->recipient_count == state->recipients_capacity) {
        size_t capacity = state->recipients_capacity == 0 ? 1 : state->recipients_capacity * 4;
        struct recipient *larger = ARENA_ARRAY(arena, struct recipient, capacity);
        if (envelope->recipient_count > 0)
            memcpy(larger, envelope->recipients, envelope->recipient_count * sizeof *larger);
        envelope->recipients = larger;
        state->recipients_capacity = capacity;
    }
    envelope->recipients[envelope->recipient_count++] = (struct recipient){
        .address = arena_copy(arena, target->address),
        .original = bytes_equal(target->address, state->asked_address) ? bytes_none() : state->asked_address,
        .orcpt = state->asked_orcpt,
        .notify = state->asked_notify,
        .local = target->local,
        .away = target->away,
        .reports = target->reports,
        .expands = target->expands,
        .via = arena_copy(arena, target->via),
        .forwarder = arena_copy(arena, target->forwarder),
        .sent_as = arena_copy(arena, target->sent_as),
    };
}

/* Repeating the same recipient is no progress. */
static void add_all(struct server_session *session, const struct recipient *targets, size_t count)
{
    struct server_state *state = session->state;
    size_t before = state->envelope.recipient_count;
    for (size_t i = 0; i < count; i++)
        add_target(state, &targets[i]);
    state->recipients_accepted++;
    if (state->envelope.recipient_count == before)
        return;
    state->recipients_fresh++;
    if (state->recipients_since++ < session->policy->recipients_max)
        state->progress.recipients++;
}

/* True if the number of unknown recipients indicates a harvest attack, not a list with some dead
 * addresses. */
static bool guesses(const struct server_state *state)
{
    uint64_t reached = state->recipients_served + state->recipients_fresh;
    return state->recipients_refused >= RECIPIENTS_REFUSED_MAX + reached / 2;
}

/* Programs on this machine expect a server on port 25 that takes mail to anywhere. */
static struct server_reply foreign_reply(const struct server_session *session)
{
    struct bytes client = session->origin.client_address;
    if (bytes_starts_nocase(client, "127.") || bytes_is(client, "::1"))
        return REPLY(550, "5.7.1",
                     "Relay access denied; sign in on port 587, 2525 or 465, use sendmail, or allow programs "
                     "on this machine by submission.trusted");
    return REPLY(550, "5.7.1",
                 "Relay access denied; to send mail use port 587 (STARTTLS), 2525 or 465 (TLS) and sign in");
}

/* A bounce of mail that was forwarded, and not one that is accepted. */
static struct server_reply bounce_reply(struct server_session *session, enum recipient_verdict verdict)
{
    struct bytes address = reply_address(session->state->asked_address);
    if (verdict == RECIPIENT_FORGED)
        return server_reply_format(session, 550, "5.1.1",
                                   "<%.*s>: User unknown; this server did not make this bounce address",
                                   BYTES_ARG(address));
    if (verdict == RECIPIENT_EXPIRED)
        return server_reply_format(session, 550, "5.1.1", "<%.*s>: User unknown; this bounce address expired",
                                   BYTES_ARG(address));
    return server_reply_format(session, 550, "5.1.1",
                               "<%.*s>: User unknown; this address accepts only bounces (MAIL FROM:<>)",
                               BYTES_ARG(address));
}

void server_session_answer_recipient(struct server_session *session, enum recipient_verdict verdict,
                                     const struct recipient *targets, size_t target_count)
{
    struct server_state *state = session->state;
    server_session_take_answer(session, SERVER_ASK_RECIPIENT);
    state->phase = PHASE_COMMAND;
    struct server_reply reply = REPLY(451, "4.3.0",
                                      "Temporary lookup failure for the recipient; try again in a minute");
    switch (verdict) {
    case RECIPIENT_KNOWN:
        if (!fits(state, targets, target_count)) {
            reply = REPLY(452, "4.5.3",
                          "Too many recipients after alias expansion; send the rest in another message");
            break;
        }
        add_all(session, targets, target_count);
        reply = REPLY(250, "2.1.5", "Recipient OK");
        break;
    case RECIPIENT_UNKNOWN:
        reply = server_reply_format(session, 550, "5.1.1", "<%.*s>: User unknown",
                                    BYTES_ARG(reply_address(state->asked_address)));
        break;
    case RECIPIENT_FOREIGN: reply = foreign_reply(session); break;
    case RECIPIENT_FORGED:
    case RECIPIENT_EXPIRED:
    case RECIPIENT_BOUNCES_ONLY: reply = bounce_reply(session, verdict); break;
    case RECIPIENT_FULL:
        reply = server_reply_format(session, 552, "5.2.2", "<%.*s>: Mailbox full (over quota)",
                                    BYTES_ARG(reply_address(state->asked_address)));
        break;
    case RECIPIENT_UNAVAILABLE: break;
    }
    server_session_reply(session, reply);
    if (state->signed_out) {
        server_session_close_if_signed_out(session);
        return;
    }
    bool refused = verdict == RECIPIENT_UNKNOWN || verdict == RECIPIENT_FOREIGN ||
                   verdict == RECIPIENT_FORGED;
    state->recipients_refused += refused;
    if (refused && guesses(state))
        server_session_reply_and_close(
            session, REPLY(421, "4.7.0", "Too many rejected recipients; closing connection"));
}

void server_session_answer_guessed(struct server_session *session)
{
    server_session_take_answer(session, SERVER_ASK_RECIPIENT);
    server_session_reply_and_close(session, REPLY(421, "4.7.0",
                                                  "Too many unknown recipients from your address or network; "
                                                  "closing connection, try again later"));
}
