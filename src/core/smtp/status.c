/* SPDX-License-Identifier: Apache-2.0 */
#include "core/smtp/status.h"

/* "2.2" of "5.2.2". */
static struct bytes subject_and_detail(struct bytes enhanced)
{
    return enhanced.length > 2 ? bytes_from(enhanced, 2) : bytes_none();
}

static bool has_nocase(struct bytes text, const char *words)
{
    for (; text.length > 0; text = bytes_from(text, 1))
        if (bytes_starts_nocase(text, words))
            return true;
    return false;
}

/* For servers without enhanced codes; "552" alone is mostly a full mailbox. */
static bool says_too_many(struct bytes text)
{
    static const char *const words[] = {"too many", "maximum", "limit", "exceed"};
    bool many = has_nocase(text, "too many rcpt");
    for (size_t i = 0; i < ARRAY_LENGTH(words) && !many; i++)
        many = has_nocase(text, words[i]) && has_nocase(text, "recipients");
    return many;
}

static bool is_too_many(uint32_t code, struct bytes enhanced, struct bytes text)
{
    if (enhanced.length > 0) /* X.5.3: too many recipients (RFC 3463 3.6) */
        return bytes_is(subject_and_detail(enhanced), "5.3");
    return code == 452 || (code == 552 && says_too_many(text));
}

enum rcpt_verdict status_rcpt_verdict(uint32_t code, struct bytes enhanced, struct bytes text, bool any_taken)
{
    if (any_taken && code != 421 && is_too_many(code, enhanced, text))
        return RCPT_TOO_MANY;
    return code < 500 ? RCPT_DEFERRED : RCPT_REJECTED;
}

void status_add(struct buffer *out, char class, uint32_t code, struct bytes enhanced)
{
    struct bytes rest = subject_and_detail(enhanced);
    /* A positive code where none is valid: a protocol error. */
    bool out_of_place = code > 0 && code < 400 && class != '2';
    if (out_of_place)
        rest = BYTES("5.0");
    buffer_add_octet(out, class);
    buffer_add_octet(out, '.');
    buffer_add(out, rest.length > 0 ? rest : BYTES("0.0"));
}

void status_add_said(struct buffer *out, uint32_t code, struct bytes enhanced, struct bytes text)
{
    const size_t before = out->length;
    if (code > 0)
        buffer_add_format(out, "%u", (unsigned)code);
    if (enhanced.length > 0)
        buffer_add_format(out, "%s%.*s", out->length > before ? " " : "", BYTES_ARG(enhanced));
    if (text.length > 0)
        buffer_add_format(out, "%s%.*s", out->length > before ? " " : "", BYTES_ARG(text));
}
