/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue/store_copy.h"

static struct origin copy_origin(struct arena *arena, const struct origin *from)
{
    return (struct origin){.kind = from->kind,
                           .account = arena_copy(arena, from->account),
                           .client_address = arena_copy(arena, from->client_address),
                           .client_helo = arena_copy(arena, from->client_helo),
                           .protocol = arena_copy(arena, from->protocol),
                           .tls = arena_copy(arena, from->tls),
                           .port = from->port};
}

struct recipient store_copy_recipient(struct arena *arena, const struct recipient *from)
{
    return (struct recipient){.address = arena_copy(arena, from->address),
                              .original = arena_copy(arena, from->original),
                              .orcpt = arena_copy(arena, from->orcpt),
                              .notify = from->notify,
                              .local = from->local,
                              .away = from->away,
                              .reports = from->reports,
                              .expands = from->expands,
                              .via = arena_copy(arena, from->via),
                              .sent_as = arena_copy(arena, from->sent_as)};
}

/* Without recipients and content. */
struct store_message store_copy_message(struct arena *arena, const struct store_message *from)
{
    struct store_message message = {
        .id = from->id, .arrived_ms = from->arrived_ms, .expires_ms = from->expires_ms, .large = from->large};
    message.envelope = from->envelope;
    message.envelope.sender = arena_copy(arena, from->envelope.sender);
    message.envelope.envid = arena_copy(arena, from->envelope.envid);
    message.envelope.recipients = NULL;
    message.envelope.recipient_count = 0;
    message.prefix = arena_copy(arena, from->prefix);
    message.origin = copy_origin(arena, &from->origin);
    message.trust = from->trust;
    message.trust.author = arena_copy(arena, from->trust.author);
    message.trust.story = arena_copy(arena, from->trust.story);
    message.trust.evidence = bytes_none();
    return message;
}

struct store_recipient store_copy_row(struct arena *arena, const struct store_recipient *from)
{
    struct store_recipient row = *from;
    row.destination = arena_copy(arena, from->destination);
    row.recipient = store_copy_recipient(arena, &from->recipient);
    row.progress = arena_copy(arena, from->progress);
    row.last.enhanced = arena_copy(arena, from->last.enhanced);
    row.last.text = arena_copy(arena, from->last.text);
    row.last.peer = arena_copy(arena, from->last.peer);
    row.last.tls = arena_copy(arena, from->last.tls);
    return row;
}
