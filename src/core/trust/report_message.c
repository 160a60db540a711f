/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report_message.h"

#include "core/message/date.h"
#include "core/smtp/base64.h"

enum { DAY_S = 24 * 3600, LINE_OCTETS = 57 /* 76 characters of base64 */ };

static const struct report_form_row {
    const char *name, *subject, *top, *part, *ending, *words;
} forms[REPORT_KINDS] = {[REPORT_KIND_TLS] = {"tls", "TLS", "multipart/report; report-type=\"tlsrpt\"",
                                              "application/tlsrpt+gzip", "json",
                                              "on the TLS of mail that this server sent to"},
                         [REPORT_KIND_DMARC] = {"dmarc", "DMARC", "multipart/mixed", "application/gzip",
                                                "xml", "on mail that claimed to be from"}};

const char *report_kind_name(enum report_kind kind)
{
    return forms[kind].name;
}

void report_message_add_id(struct buffer *out, uint32_t day, struct bytes domain, struct bytes hostname)
{
    buffer_add_format(out, "%u.%.*s@%.*s", (unsigned)day, BYTES_ARG(domain), BYTES_ARG(hostname));
}

static void add_header(struct buffer *out, const struct report_message *message, const char *boundary)
{
    const struct report_form_row *form = &forms[message->kind];
    buffer_add_text(out, "Date: ");
    date_add(out, message->date_ms);
    buffer_add_format(out, "\r\nFrom: <%.*s>\r\nTo: <%.*s>\r\n", BYTES_ARG(message->from),
                      BYTES_ARG(message->to));
    buffer_add_format(out, "Subject: Report Domain: %.*s\r\n Submitter: %.*s\r\n Report-ID: <%.*s>\r\n",
                      BYTES_ARG(message->domain), BYTES_ARG(message->hostname), BYTES_ARG(message->id));
    buffer_add_format(out, "Message-ID: <%s.%.*s>\r\n", form->name, BYTES_ARG(message->id));
    if (message->kind == REPORT_KIND_TLS)
        buffer_add_format(out, "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\n",
                          BYTES_ARG(message->domain), BYTES_ARG(message->hostname));
    buffer_add_format(out,
                      "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                      "Content-Type: %s;\r\n\tboundary=\"%s\"\r\n\r\n",
                      form->top, boundary);
}

static void add_packed(struct buffer *out, struct bytes packed)
{
    while (packed.length > 0) {
        struct bytes line = bytes_first(packed, LINE_OCTETS);
        base64_encode(out, line);
        buffer_add_text(out, "\r\n");
        packed = bytes_from(packed, line.length);
    }
}

/* Its name: RFC 8460 5.1, RFC 9990 4.2. */
static void add_part(struct buffer *out, const struct report_message *message)
{
    const struct report_form_row *form = &forms[message->kind];
    struct buffer name = {0};
    unsigned long long begin = (unsigned long long)message->day * DAY_S;
    buffer_add_format(&name, "%.*s!%.*s!%llu!%llu.%s.gz", BYTES_ARG(message->hostname),
                      BYTES_ARG(message->domain), begin, begin + DAY_S - 1, form->ending);
    buffer_add_format(out,
                      "Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n"
                      "Content-Disposition: attachment;\r\n\tfilename=\"%s\"\r\n\r\n",
                      form->part, buffer_text(&name));
    add_packed(out, message->packed);
    buffer_free(&name);
}

void report_message_write(struct buffer *out, const struct report_message *message)
{
    const struct report_form_row *form = &forms[message->kind];
    static const char boundary[] = "=_mailboat_report"; /* not in base64, nor in a domain */
    add_header(out, message, boundary);
    buffer_add_format(out,
                      "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
                      "This is a %s report %s\r\n%.*s on ",
                      boundary, form->subject, form->words, BYTES_ARG(message->domain));
    date_add_day(out, message->day * (uint64_t)DAY_S * 1000);
    buffer_add_format(out,
                      " (UTC). It was made by a program: see the attached file.\r\n\r\n"
                      "--%s\r\n",
                      boundary);
    add_part(out, message);
    buffer_add_format(out, "--%s--\r\n", boundary);
}
