/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/received.h"

#include "core/dns/host.h"
#include "core/message/date.h"
#include "core/queue/queue_id.h"

/* Appends untrusted text inside a field, without parentheses that would end a comment. */
static void add_clean(struct buffer *out, struct bytes text, bool in_comment)
{
    size_t from = out->length;
    buffer_add_clean(out, text, true);
    char *at = out->at + out->start;
    for (size_t i = from; in_comment && i < out->length; i++)
        if (strchr("()\\", at[i]) != NULL)
            at[i] = '?';
}

static void add_client(struct buffer *out, const struct origin *origin)
{
    struct bytes address = origin->client_address;
    buffer_add_text(out, "Received: from ");
    add_clean(out, origin->client_helo.length == 0 ? BYTES("unknown") : origin->client_helo, true);
    if (origin->kind == ORIGIN_LOCAL) {
        buffer_add_text(out, origin->account.length > 0 ? " (local, by " : " (local");
        add_clean(out, origin->account, true);
        buffer_add_text(out, ")");
        return;
    }
    buffer_add_format(out, " ([%s%.*s])", bytes_find(address, ':') != SIZE_MAX ? "IPv6:" : "",
                      BYTES_ARG(address));
}

void received_add(struct buffer *out, const struct origin *origin, const struct envelope *envelope,
                  struct bytes hostname, uint64_t id, uint64_t epoch_ms)
{
    char id_text[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(id, id_text);
    add_client(out, origin);
    buffer_add_format(out, "\r\n\tby %.*s (Mailboat) with %.*s id %s", BYTES_ARG(hostname),
                      BYTES_ARG(origin->protocol), id_text);
    if (origin->tls.length > 0) {
        buffer_add_text(out, "\r\n\t(");
        add_clean(out, origin->tls, true);
        buffer_add_text(out, ")");
    }
    if (envelope->recipient_count == 1) {
        const struct recipient *only = &envelope->recipients[0];
        buffer_add_text(out, "\r\n\tfor <");
        add_clean(out, only->original.length > 0 ? only->original : only->address, false);
        buffer_add_text(out, ">");
    }
    buffer_add_text(out, ";\r\n\t");
    date_add(out, epoch_ms);
    buffer_add_text(out, "\r\n");
}

void received_add_original(struct buffer *out, struct bytes original, const char *newline)
{
    if (original.length == 0)
        return;
    buffer_add_text(out, "X-Original-To: ");
    add_clean(out, original, false);
    buffer_add_text(out, newline);
}

void received_add_delivery_fields(struct buffer *out, struct bytes sender, struct bytes original,
                                  struct bytes delivered_to, const char *newline)
{
    buffer_add_text(out, "Return-Path: <");
    add_clean(out, sender, false);
    buffer_add_format(out, ">%s", newline);
    received_add_original(out, original, newline);
    buffer_add_text(out, "Delivered-To: ");
    add_clean(out, delivered_to, false);
    buffer_add_text(out, newline);
}
