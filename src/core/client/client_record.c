/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client/client_record.h"

void client_record_text(char *field, size_t size, struct bytes text, bool lines)
{
    size_t used = 0;
    bool utf8 = bytes_is_utf8(text);
    while (text.length > 0) {
        size_t control = bytes_control_length(text), length = control > 0 ? control : 1;
        while (control == 0 && utf8 && length < text.length &&
               ((unsigned char)text.at[length] & 0xc0) == 0x80)
            length++;
        if (used + length >= size)
            break;
        if (control > 0 || (!utf8 && (unsigned char)text.at[0] > 127)) {
            field[used++] = lines && text.at[0] == '\n' ? '\n' : ' ';
        } else {
            memcpy(field + used, text.at, length);
            used += length;
        }
        text = bytes_from(text, length);
    }
    field[used] = '\0';
}

static void keep_reply(char *field, size_t size, const struct smtp_reply *reply, bool lines)
{
    struct bytes raw = reply->raw, text;
    struct buffer all = {0};
    while (reply_next_line(&raw, &text)) {
        if (all.length > 0)
            buffer_add_octet(&all, lines ? '\n' : ' ');
        buffer_add(&all, bytes_trim(text));
    }
    client_record_text(field, size, buffer_bytes(&all), lines);
    buffer_free(&all);
}

/* "220 ****************0*2******": at least half of it is covered. */
static bool is_covered(const char *text)
{
    enum { COVERED_MIN = 8 };
    size_t covered = 0, all = 0;
    for (; *text != '\0'; text++) {
        covered += *text == '*';
        all += *text != ' ' && *text != '\n';
    }
    return covered >= COVERED_MIN && 2 * covered >= all;
}

void client_record_greeting(struct client_record *record, const struct smtp_reply *reply)
{
    record->greeting_code = reply->code;
    keep_reply(record->greeting, sizeof record->greeting, reply, true);
    record->greeting_masked = is_covered(record->greeting);
}

void client_record_ehlo(struct client_record *record, const struct smtp_reply *reply, bool starttls,
                        bool masked)
{
    if (record->ehlo_code != 0)
        return;
    record->ehlo_code = reply->code;
    keep_reply(record->ehlo, sizeof record->ehlo, reply, true);
    record->starttls_offered = starttls;
    record->ehlo_masked = masked;
}

void client_record_starttls(struct client_record *record, const struct smtp_reply *reply)
{
    record->starttls_code = reply->code;
    keep_reply(record->starttls_said, sizeof record->starttls_said, reply, false);
}

void client_record_nonsense(struct client_record *record, struct bytes octets)
{
    if (record->greeting_code == 0)
        client_record_text(record->greeting, sizeof record->greeting, octets, true);
    else if (record->ehlo_code == 0)
        client_record_text(record->ehlo, sizeof record->ehlo, octets, true);
    else if (record->starttls_asked && record->starttls_code == 0)
        client_record_text(record->starttls_said, sizeof record->starttls_said, octets, false);
}
