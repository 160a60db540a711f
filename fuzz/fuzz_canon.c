/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical forms read twice: by the streaming machine in any pieces and blocks, and by a slow reading line
 * by line, written from the text of RFC 6376 3.4. The octets are the same, also when l= cuts them, and their
 * number is right. Canonical text is canonical. The first line of an input stands for a header field.
 */
#include "choices.h"
#include "core/trust/canon.h"

/* One line without its line end, with white space reduced and removed at its end (RFC 6376 3.4.4). */
static void slow_line(struct buffer *out, struct bytes line, enum canon_form form)
{
    struct buffer reduced = {0};
    for (size_t i = 0; i < line.length; i++) {
        bool blank = line.at[i] == ' ' || line.at[i] == '\t';
        if (form == CANON_SIMPLE || !blank)
            buffer_add_octet(&reduced, line.at[i]);
        else if (i == 0 || (line.at[i - 1] != ' ' && line.at[i - 1] != '\t'))
            buffer_add_octet(&reduced, ' ');
    }
    struct bytes text = buffer_bytes(&reduced);
    if (form == CANON_RELAXED && text.length > 0 && text.at[text.length - 1] == ' ')
        text.length--;
    buffer_add(out, text);
    buffer_free(&reduced);
}

static void slow_body(struct buffer *out, struct bytes body, enum canon_form form)
{
    static const struct bytes line_end = BYTES("\r\n");
    while (body.length > 0) {
        size_t end = bytes_search(body, line_end);
        slow_line(out, bytes_first(body, end), form);
        buffer_add(out, line_end); /* also where it is missing at the end */
        body = end == SIZE_MAX ? bytes_none() : bytes_from(body, end + 2);
    }
    while (out->length >= 2 && memcmp(out->at + out->length - 2, "\r\n", 2) == 0)
        out->length -= 2;
    if (out->length > 0 || form == CANON_SIMPLE)
        buffer_add(out, line_end);
}

static void fast_body(struct buffer *out, struct canon_body *body, struct bytes text, struct choices *choices)
{
    char block[64];
    size_t count;
    while (text.length > 0) {
        struct bytes piece = bytes_first(text, 1 + choose(choices, 40));
        text = bytes_from(text, piece.length);
        while ((count = canon_body_fill(body, &piece, block, CANON_ROOM_MIN + choose(choices, 48))) > 0)
            buffer_add(out, bytes_of(block, count));
        INSIST(piece.length == 0);
    }
    while ((count = canon_body_finish(body, block, CANON_ROOM_MIN)) > 0)
        buffer_add(out, bytes_of(block, count));
}

static void check_body(struct bytes text, enum canon_form form, uint64_t limit, struct choices *choices)
{
    struct buffer slow = {0}, fast = {0};
    struct canon_body body;
    canon_body_start(&body, form, limit);
    slow_body(&slow, text, form);
    fast_body(&fast, &body, text, choices);
    INSIST(body.length == slow.length);
    INSIST(bytes_equal(buffer_bytes(&fast), bytes_first(buffer_bytes(&slow), (size_t)limit)));
    buffer_free(&slow);
    buffer_free(&fast);
}

/* True if CR and LF are only in pairs, as in a header off the wire. */
static bool has_whole_line_ends(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        bool pair = text.at[i] == '\r' && i + 1 < text.length && text.at[i + 1] == '\n';
        if (!pair && (text.at[i] == '\r' || text.at[i] == '\n'))
            return false;
        i += pair;
    }
    return true;
}

static void check_field(struct bytes text, enum canon_form form, struct choices *choices)
{
    struct buffer once = {0}, twice = {0}, signature = {0};
    canon_field(&once, text, form);
    canon_field(&twice, buffer_bytes(&once), form);
    INSIST(!has_whole_line_ends(text) || bytes_equal(buffer_bytes(&once), buffer_bytes(&twice)));
    size_t colon = bytes_find(text, ':');
    if (colon != SIZE_MAX) {
        canon_signature_field(&signature, text, bytes_of(text.at + colon + 1, 0), form);
        INSIST(signature.length + 2 == once.length && memcmp(signature.at, once.at, signature.length) == 0);
        struct bytes value = bytes_from(text, colon + 1);
        size_t skipped = choose(choices, 9) % (value.length + 1);
        buffer_clear(&signature);
        canon_signature_field(&signature, text, bytes_from(value, skipped), form);
        INSIST(!has_whole_line_ends(text) || signature.length <= once.length);
    }
    buffer_free(&once);
    buffer_free(&twice);
    buffer_free(&signature);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct bytes text = choices_start(&choices, data, size);
    uint64_t limit = choose(&choices, 200);
    for (enum canon_form form = CANON_SIMPLE; form <= CANON_RELAXED; form++) {
        check_body(text, form, CANON_WHOLE, &choices);
        check_body(text, form, limit, &choices);
        check_field(text, form, &choices);
    }
    return 0;
}
