/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound_message: the message of an outbound connection: taken from queue's request, read piece by piece
 * as the peer accepts it, freed once answered.
 */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "io/clock.h"
#include "service/relay/relay.h"

/* An address that is international only in its domain is sent in ASCII, which every server accepts (RFC
 * 5890 2.3.2.1). */
static struct bytes copy_address(struct arena *arena, struct bytes address)
{
    char domain[DOMAIN_MAX + 1], name[DOMAIN_MAX + 1];
    size_t at = bytes_find_last(address, '@');
    if (bytes_is_ascii(address) || at == SIZE_MAX || !bytes_is_ascii(bytes_first(address, at)) ||
        address.length - at > DOMAIN_MAX)
        return arena_copy(arena, address);
    snprintf(domain, sizeof domain, "%.*s", BYTES_ARG(bytes_from(address, at + 1)));
    if (!dns_ascii_name(domain, name, sizeof name))
        return arena_copy(arena, address);
    return bytes_of_text(arena_format(arena, "%.*s%s", BYTES_ARG(bytes_first(address, at + 1)), name));
}

static struct envelope copy_envelope(struct arena *arena, const struct envelope *from)
{
    struct envelope to = *from;
    to.sender = copy_address(arena, from->sender);
    to.envid = arena_copy(arena, from->envid);
    to.recipients = ARENA_ARRAY(arena, struct recipient, from->recipient_count);
    for (size_t i = 0; i < from->recipient_count; i++) {
        to.recipients[i] = from->recipients[i];
        to.recipients[i].address = copy_address(arena, from->recipients[i].address);
        to.recipients[i].original = arena_copy(arena, from->recipients[i].original);
        to.recipients[i].orcpt = arena_copy(arena, from->recipients[i].orcpt);
    }
    return to;
}

void outbound_message_take(struct outbound_message *message, struct channel *from,
                           const struct ipc_deliver *deliver, int content)
{
    assert(message->number == 0 && deliver->delivery != 0);
    arena_clear(&message->arena);
    *message = (struct outbound_message){.arena = message->arena,
                                         .number = deliver->delivery,
                                         .id = deliver->id,
                                         .from = from,
                                         .author = (enum message_author)deliver->author,
                                         .any_tls = deliver->any_tls != 0,
                                         .chain = (enum arc_result)deliver->chain,
                                         .file = content,
                                         .began_ms = clock_now_ms()};
    message->envelope = copy_envelope(&message->arena, &deliver->envelope);
    message->front = arena_copy(&message->arena, deliver->prefix);
    if (content < 0)
        message->content = arena_copy(&message->arena, deliver->content);
}

void outbound_message_let_go(struct outbound_message *message)
{
    if (message->number != 0 && message->file >= 0)
        close(message->file);
    message->file = -1;
    message->number = 0;
}

struct signature_message outbound_message_to_sign(const struct outbound_message *message)
{
    return (struct signature_message){.id = message->id,
                                      .author = message->author,
                                      .chain = message->chain,
                                      .front = message->front,
                                      .content = message->content,
                                      .file = message->file,
                                      .size = message->envelope.size};
}

void outbound_message_rewind(struct outbound_message *message)
{
    message->given = message->progress = 0;
}

bool outbound_message_read(struct outbound_message *message, char buffer[CONTENT_READ_MAX], struct bytes *run,
                           bool *last)
{
    size_t front = message->front.length;
    if (message->given < front) {
        *run = bytes_from(message->front, message->given);
        *last = message->envelope.size == front;
    } else if (message->file < 0) {
        *run = bytes_first(bytes_from(message->content, message->given - front), CONTENT_RUN_MAX);
        *last = message->given + run->length == front + message->content.length;
    } else {
        ssize_t count = pread(message->file, buffer, CONTENT_READ_MAX, (off_t)(message->given - front));
        if (count <= 0)
            return false;
        *run = bytes_of(buffer, (size_t)count);
        *last = message->given + run->length >= message->envelope.size;
    }
    message->given += run->length;
    message->given_all = message->given_all || *last;
    return true;
}
