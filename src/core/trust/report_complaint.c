/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report_complaint.h"

#include "base/buffer.h"
#include "base/white_space.h"
#include "core/message/address_list.h"
#include "core/smtp/address.h"
#include "core/trust/report_mail.h"

/* Fields of the message that name its recipient, the most certain first. */
static const char *const recipient_fields[] = {"X-HmXmrOriginalRecipient", "Delivered-To", "To"};

static struct bytes text_of(struct arena *arena, struct bytes value)
{
    struct buffer clean = {0};
    buffer_add_clean(&clean, bytes_first(white_space_trim(value), COMPLAINT_TEXT_MAX), true);
    struct bytes text = arena_copy(arena, buffer_bytes(&clean));
    buffer_free(&clean);
    return text;
}

/* Returns the first address of a field's value, in canonical form; empty if it has no valid one. */
static struct bytes address_in(struct arena *arena, struct bytes value)
{
    struct buffer scratch = {0}, canonical = {0};
    struct address_list_entry entry;
    struct address address;
    struct bytes found = bytes_none();
    if (address_list_next(&value, &scratch, &entry) && address_parse(entry.address, true, &address)) {
        address_canonical(&canonical, &address);
        if (!bytes_has_control_character(buffer_bytes(&canonical)))
            found = arena_copy(arena, buffer_bytes(&canonical));
    }
    buffer_free(&scratch);
    buffer_free(&canonical);
    return found;
}

static struct bytes domain_of(struct bytes address)
{
    struct bytes local, domain;
    return address_split(address, &local, &domain) ? domain : bytes_none();
}

/* The type is a token (RFC 5965 3.1). */
static struct bytes type_of(struct arena *arena, struct bytes value)
{
    struct buffer type = {0};
    value = white_space_trim(value);
    for (size_t i = 0; i < value.length && i < COMPLAINT_TYPE_MAX; i++) {
        char c = ascii_lower(value.at[i]);
        if (!ascii_is_alnum(c) && c != '-')
            break;
        buffer_add_octet(&type, c);
    }
    struct bytes text = arena_copy(arena, buffer_bytes(&type));
    buffer_free(&type);
    return text;
}

/* Takes from the message itself; `header` may be all of it. */
static void take_message(struct arena *arena, struct bytes header, struct report_complaint *complaint)
{
    struct bytes author = address_in(arena, report_mail_field(header, "From"));
    for (size_t i = 0; i < ARRAY_LENGTH(recipient_fields) && complaint->address.length == 0; i++)
        complaint->address = address_in(arena, report_mail_field(header, recipient_fields[i]));
    complaint->message_id = text_of(arena, report_mail_field(header, "Message-ID"));
    if (author.length > 0)
        complaint->domain = text_of(arena, domain_of(author));
}

bool report_complaint_read(struct bytes message, struct arena *arena, struct report_complaint *complaint)
{
    static const char *const copies[] = {"message/rfc822", "message/global", "text/rfc822-headers",
                                         "message/global-headers"};
    struct bytes report, copy;
    uint64_t incidents;
    if (!report_mail_part(message, "message/feedback-report", arena, &report))
        return false;
    report = white_space_trim(report);
    *complaint = (struct report_complaint){
        .type = type_of(arena, report_mail_field(report, "Feedback-Type")),
        .address = address_in(arena, report_mail_field(report, "Original-Rcpt-To")),
        .sender = address_in(arena, report_mail_field(report, "Original-Mail-From")),
        .domain = text_of(arena, report_mail_field(report, "Reported-Domain")),
        .source = text_of(arena, report_mail_field(report, "Source-IP")),
        .reporter = address_in(arena, report_mail_field(message, "From")),
        .incidents = 1,
    };
    if (complaint->type.length == 0)
        return false; /* RFC 5965 3.1: required */
    if (bytes_to_u64(white_space_trim(report_mail_field(report, "Incidents")), UINT32_MAX, &incidents) &&
        incidents > 0)
        complaint->incidents = incidents;
    for (size_t i = 0; i < ARRAY_LENGTH(copies); i++)
        if (report_mail_part(message, copies[i], arena, &copy)) {
            take_message(arena, copy, complaint);
            break;
        }
    if (complaint->domain.length == 0)
        complaint->domain = text_of(arena, domain_of(complaint->sender));
    return true;
}
