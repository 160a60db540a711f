/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any header, in any pieces: what is fine has authors that are addresses; what
 * is stored is the same however it came, has no Bcc, and read once more is
 * fine, has the same authors, and needs nothing.
 */
#include "choices.h"
#include "core/message/header.h"
#include "core/smtp/address.h"

static const struct header_rules rules = {.utf8_allowed = true, .repairs = true, .adds_sender = true};
static const struct header_stamp stamp = {
    .now_ms = 1795435200000u, .message_id = BYTES("1@mx.example.org"), .from = BYTES("ada@example.org")};

static void gather(struct header *header, struct bytes text, struct choices *choices)
{
    while (text.length > 0 && !header_is_whole(header)) {
        struct bytes piece = choices == NULL ? text : bytes_first(text, 1 + choose(choices, 30));
        header_add(header, piece);
        text = bytes_from(text, piece.length);
    }
    header_finish(header);
    buffer_add(&header->text, header->over ? bytes_none() : text); /* the body */
}

static void check_authors(const struct header *header, const struct header *again)
{
    struct address address;
    size_t at = 0, other = 0;
    for (;;) {
        struct bytes author = header_author(header, &at), same = header_author(again, &other);
        if (author.length == 0 && header->needs_sender) {
            INSIST(again->has_sender && bytes_equal(same, stamp.from));
            return;
        }
        INSIST(bytes_equal(author, same));
        if (author.length == 0)
            return;
        INSIST(address_parse(author, true, &address));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct bytes text = choices_start(&choices, data, size);
    struct header pieces = {0}, whole = {0}, again = {0};
    struct buffer mended = {0}, other = {0}, third = {0};
    gather(&pieces, text, &choices);
    gather(&whole, text, NULL);
    enum header_fault fault = header_check(&pieces, &rules);
    INSIST(header_check(&whole, &rules) == fault && pieces.length == whole.length);
    if (fault == HEADER_FINE) {
        header_fix(&pieces, &stamp, &mended);
        header_fix(&whole, &stamp, &other);
        INSIST(bytes_equal(buffer_bytes(&mended), buffer_bytes(&other)));
        gather(&again, buffer_bytes(&mended), NULL);
        INSIST(header_check(&again, &rules) == HEADER_FINE);
        INSIST(again.has_from && again.has_date && again.has_message_id && !again.has_blind &&
               !again.needs_sender);
        if (pieces.has_from)
            check_authors(&pieces, &again);
        header_fix(&again, &stamp, &third);
        INSIST(bytes_equal(buffer_bytes(&mended), buffer_bytes(&third)));
    }
    header_free(&pieces);
    header_free(&whole);
    header_free(&again);
    buffer_free(&mended);
    buffer_free(&other);
    buffer_free(&third);
    return 0;
}
