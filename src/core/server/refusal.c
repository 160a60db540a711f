/* SPDX-License-Identifier: Apache-2.0 */
/* refusal: 4xx and 5xx replies as facts for the log, with the addresses that they concern. */
#include "core/server/server_state.h"

void refusal_forget_said(struct server_state *state)
{
    state->sender_said = false;
    state->said_sender = state->said_recipient = bytes_none();
}

static size_t add_address(struct buffer *out, struct bytes address)
{
    size_t length = out->length;
    buffer_add(out, bytes_first(address, REFUSED_ADDRESS_MAX));
    return out->length - length;
}

static struct bytes sender_of(const struct server_state *state)
{
    struct bytes sender = state->sender_said ? state->said_sender : state->envelope.sender;
    bool any = state->sender_said || state->in_transaction;
    return any && sender.length == 0 ? BYTES("<>") : sender;
}

void refusal_note(struct server_state *state, const struct server_reply *reply, size_t text_at)
{
    if (state->refusal_count == REFUSALS_MAX)
        return;
    size_t said_at = state->refused.length;
    size_t sender_length = add_address(&state->refused, sender_of(state));
    size_t recipient_length = add_address(&state->refused, state->said_recipient);
    state->refusals[state->refusal_count++] = (struct waiting_refusal){
        .meaning = reply->meaning,
        .code = reply->code,
        .enhanced = reply->enhanced,
        .text_at = text_at,
        .said_at = said_at,
        .sender_length = sender_length,
        .recipient_length = recipient_length,
        .text_length = state->replies.length - text_at - 2}; /* without CRLF */
}

struct server_refusal server_session_refusal(const struct server_session *session, size_t i)
{
    const struct server_state *state = session->state;
    assert(state->replies_pulled && i < state->refusal_count);
    const struct waiting_refusal *refusal = &state->refusals[i];
    struct bytes text = bytes_from(buffer_bytes(&state->replies), refusal->text_at);
    struct bytes said = bytes_from(buffer_bytes(&state->refused), refusal->said_at);
    struct bytes behind = bytes_from(said, refusal->sender_length);
    return (struct server_refusal){.meaning = refusal->meaning,
                                   .code = refusal->code,
                                   .enhanced = bytes_of_text(refusal->enhanced),
                                   .text = bytes_first(text, refusal->text_length),
                                   .sender = bytes_first(said, refusal->sender_length),
                                   .recipient = bytes_first(behind, refusal->recipient_length)};
}
