/* SPDX-License-Identifier: Apache-2.0 */
/* The small readers and writers of text: queue ids, what others wrote made
 * clean, errors in one line, header fields of ours, the history of attempts. */
#include <errno.h>

#include "base/error.h"
#include "choices.h"
#include "core/message/received.h"
#include "core/queue/queue_id.h"
#include "store/queue/attempt_history.h"

/* The clock is what the input says, and runs back as well. */
static void check_next_ids(struct bytes clock)
{
    uint8_t first = clock.length > 0 ? (uint8_t)clock.at[0] : 0;
    struct queue_id_maker maker = {.slot = first, .node = first % QUEUE_ID_NODES};
    uint64_t last = 0, now_us = 1795435200000000u;
    for (size_t i = 0; i < clock.length && i < 16; i++) {
        uint64_t id = queue_id_next(&maker, now_us += (uint64_t)(int64_t)(signed char)clock.at[i]);
        INSIST(id > last && id % QUEUE_ID_SLOTS == maker.slot);
        last = id;
    }
}

/* One line, cut where it is too long, with what was added before and behind. */
static void check_error(struct bytes text)
{
    struct error error = {0};
    INSIST(!error_set(&error, 65, "%.*s", BYTES_ARG(text)) && error.exit_code == 65 && error.number == 0);
    INSIST(!error_prefix(&error, "%.*s", BYTES_ARG(text)) && !bytes_has_control(bytes_of_text(error.text)) &&
           error.exit_code == 65);
    errno = ENOSPC;
    INSIST(!error_set_errno(&error, 73, "%.*s", BYTES_ARG(text)) && error.number == ENOSPC &&
           !bytes_has_control(bytes_of_text(error.text)));
    INSIST(strlen(error.text) < ERROR_TEXT_MAX && !error_set(NULL, 65, "x") && !error_prefix(NULL, "x") &&
           !error_set_errno(NULL, 65, "x"));
}

static void check_id(struct bytes text)
{
    uint64_t id, again;
    char written[QUEUE_ID_TEXT_LENGTH + 1];
    if (!queue_id_parse(text, &id))
        return;
    queue_id_text(id, written);
    INSIST(bytes_equal_nocase(bytes_of_text(written), text));
    INSIST(queue_id_parse(bytes_of_text(written), &again) && again == id);
}

static void check_clean(struct bytes text)
{
    for (int utf8 = 0; utf8 <= 1; utf8++) {
        struct buffer out = {0}, twice = {0};
        buffer_add_clean(&out, text, utf8);
        INSIST(!bytes_has_control_character(buffer_bytes(&out)) && out.length <= text.length);
        INSIST(utf8 ? bytes_is_utf8(buffer_bytes(&out)) : bytes_is_ascii(buffer_bytes(&out)));
        buffer_add_clean(&twice, buffer_bytes(&out), utf8);
        INSIST(bytes_equal(buffer_bytes(&out), buffer_bytes(&twice)));
        buffer_free(&out);
        buffer_free(&twice);
    }
}

/* A field of ours is one field: each line but the first begins with a tab. */
static void check_received(struct bytes helo, struct bytes address)
{
    struct origin origin = {.kind = helo.length % 2 == 0 ? ORIGIN_NETWORK : ORIGIN_LOCAL,
                            .client_address = BYTES("192.0.2.1"),
                            .client_helo = helo,
                            .protocol = BYTES("ESMTP"),
                            .account = helo,
                            .tls = address,
                            .port = 25};
    struct recipient recipient = {.address = address};
    struct envelope envelope = {.sender = address, .recipients = &recipient, .recipient_count = 1};
    struct buffer out = {0};
    received_add(&out, &origin, &envelope, BYTES("mx.example.org"), 1, 1795435200000u);
    struct bytes rest = buffer_bytes(&out);
    for (size_t lines = 0; rest.length > 0; lines++) {
        size_t end = bytes_search(rest, BYTES("\r\n"));
        INSIST(end != SIZE_MAX && end > 0 && (lines == 0) == (rest.at[0] != '\t') &&
               !bytes_has_control_character(bytes_from(bytes_first(rest, end), 1)));
        rest = bytes_from(rest, end + 2);
    }
    buffer_clear(&out);
    received_add_delivery_fields(&out, address, address, address, "\n");
    rest = buffer_bytes(&out);
    INSIST(bytes_starts_nocase(bytes_split(&rest, '\n'), "Return-Path: <") &&
           (address.length == 0 || bytes_starts_nocase(bytes_split(&rest, '\n'), "X-Original-To: ")) &&
           bytes_starts_nocase(bytes_split(&rest, '\n'), "Delivered-To: ") && rest.length == 0);
    buffer_free(&out);
}

static void check_history(struct bytes before, struct bytes said)
{
    struct attempt_record found[STORE_ATTEMPTS_MAX],
        last = {
            .when_ms = 7, .code = 550, .enhanced = BYTES("5.1.1"), .text = said, .peer = said, .tls = said};
    struct buffer out = {0};
    struct buffer lines = {0}; /* what is there was written whole */
    buffer_add(&lines, before);
    buffer_add_text(&lines, "\n");
    size_t count = attempt_history_read(before, found);
    INSIST(count < STORE_ATTEMPTS_MAX);
    attempt_history_add(&out, buffer_bytes(&lines), &last);
    count = attempt_history_read(buffer_bytes(&out), found);
    INSIST(count > 0 && count < STORE_ATTEMPTS_MAX && found[count - 1].when_ms == 7 &&
           found[count - 1].code == 550);
    INSIST(bytes_is(found[count - 1].enhanced, "5.1.1") &&
           found[count - 1].text.length == bytes_first(said, STORE_PAST_REPLY_MAX).length);
    buffer_free(&lines);
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct bytes first = bytes_split(&rest, '\0');
    check_id(first);
    check_next_ids(first);
    check_error(first);
    check_clean(bytes_of(data, size));
    check_received(first, rest);
    check_history(first, rest);
    return 0;
}
