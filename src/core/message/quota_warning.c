/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/quota_warning.h"

#include "base/count.h"
#include "core/message/mime.h"

unsigned quota_warning_percent(uint64_t octets, uint64_t limit)
{
    if (limit == 0)
        return 0;
    /* Avoids overflow of the product: for limits that large, hundredths are precise enough. */
    uint64_t percent = limit >= UINT64_MAX / 100 || octets >= UINT64_MAX / 100
                           ? octets / (limit / 100 > 0 ? limit / 100 : 1)
                           : octets * 100 / limit;
    return percent > 100000 ? 100000 : (unsigned)percent;
}

unsigned quota_warning_passed(uint64_t before, uint64_t now, uint64_t limit)
{
    static const unsigned marks[] = {QUOTA_WARNING_LAST, QUOTA_WARNING_FIRST};
    for (size_t i = 0; i < ARRAY_LENGTH(marks) && limit > 0; i++)
        if (quota_warning_percent(before, limit) < marks[i] && quota_warning_percent(now, limit) >= marks[i])
            return marks[i];
    return 0;
}

void quota_warning_add_size(struct buffer *out, uint64_t octets)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint64_t unit = 1024;
    size_t i = 0;
    if (octets < unit) {
        buffer_add_format(out, "%s", COUNT_OF(octets, "byte"));
        return;
    }
    for (; i + 1 < ARRAY_LENGTH(units) && octets / 1024 >= unit; i++)
        unit *= 1024;
    if (octets / unit >= 10 || octets % unit == 0)
        buffer_add_format(out, "%llu %s", (unsigned long long)(octets / unit), units[i]);
    else
        buffer_add_format(out, "%llu.%u %s", (unsigned long long)(octets / unit),
                          (unsigned)(octets % unit * 10 / unit), units[i]);
}

static void add_text(struct buffer *out, const struct quota_warning *w, struct bytes postmaster)
{
    buffer_add_format(out, "The mailbox %.*s uses ", BYTES_ARG(w->user));
    quota_warning_add_size(out, w->octets);
    buffer_add_text(out, " of its quota of ");
    quota_warning_add_size(out, w->limit);
    buffer_add_format(out, " (%u%% full).\n\n", quota_warning_percent(w->octets, w->limit));
    buffer_add_text(out, "When the mailbox is full, new messages are returned to their senders as\n"
                         "undeliverable.\n"
                         "\n"
                         "To make room, delete messages you no longer need and empty the trash. All\n"
                         "folders count, including Sent. Messages with large attachments free the most\n"
                         "space.\n"
                         "\n");
    buffer_add_format(out, "If you need a larger mailbox, write to %.*s.\n", BYTES_ARG(postmaster));
}

void quota_warning_compose(struct buffer *out, const struct quota_warning *warning)
{
    struct mime mime;
    struct buffer text = {0}, subject = {0}, postmaster = {0};
    size_t at = bytes_find_last(warning->user, '@');
    buffer_add_text(&postmaster, "postmaster");
    buffer_add(&postmaster, at == SIZE_MAX ? bytes_none() : bytes_from(warning->user, at));
    add_text(&text, warning, buffer_bytes(&postmaster));
    buffer_add_format(&subject, "Your mailbox is %u%% full",
                      quota_warning_percent(warning->octets, warning->limit));
    struct mime_input input = {.from = buffer_bytes(&postmaster),
                               .to = &warning->user,
                               .to_count = 1,
                               .subject = buffer_bytes(&subject),
                               .text = buffer_bytes(&text),
                               .message_id = warning->message_id,
                               .date_ms = warning->date_ms};
    buffer_add_text(out, "Auto-Submitted: auto-generated\r\n"); /* RFC 3834 5 */
    mime_begin(&mime, out, &input);
    mime_end(&mime, out);
    buffer_free(&text);
    buffer_free(&subject);
    buffer_free(&postmaster);
}
