/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/authres_write.h"

#include <assert.h>

#include "core/smtp/base64.h"

enum {
    COLUMNS_MAX = 77,
    SIGNATURE_OCTETS = 6, /* of header.b: eight characters of base64 (RFC 6008 4) */
};

static bool is_token(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_alnum(text.at[i]) && strchr("!#$%&'*+-.^_`{|}~", text.at[i]) == NULL)
            return false;
    return text.length > 0;
}

/* True for what a property may have without quotes beside a token: [local-part] "@" domain-name. */
static bool is_address(struct bytes text)
{
    size_t at = bytes_find(text, '@');
    if (at == SIZE_MAX)
        return false;
    struct bytes local = bytes_first(text, at), domain = bytes_from(text, at + 1);
    for (size_t i = 0; i < domain.length; i++)
        if (!ascii_is_alnum(domain.at[i]) && domain.at[i] != '-' && domain.at[i] != '.')
            return false;
    return domain.length > 0 && (local.length == 0 || is_token(local));
}

/* The value without control characters and broken UTF-8. */
static struct buffer cleaned(struct bytes value)
{
    struct buffer clean = {0};
    buffer_add_clean(&clean, bytes_first(value, AUTHRES_VALUE_MAX), true);
    return clean;
}

static void add_quoted(struct buffer *out, struct bytes text)
{
    buffer_add_octet(out, '"');
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\')
            buffer_add_octet(out, '\\');
        buffer_add_octet(out, text.at[i]);
    }
    buffer_add_octet(out, '"');
}

/* Appends "value" of the grammar: in quotes if it is no token. */
static void add_value(struct buffer *out, struct bytes value)
{
    struct buffer clean = cleaned(value);
    struct bytes text = buffer_bytes(&clean);
    if (is_token(text))
        buffer_add(out, text);
    else
        add_quoted(out, text);
    buffer_free(&clean);
}

/* Appends "pvalue" of the grammar: an address needs no quotes either. */
static void add_property_value(struct buffer *out, struct bytes value)
{
    struct buffer clean = cleaned(value);
    struct bytes text = buffer_bytes(&clean);
    if (is_token(text) || is_address(text))
        buffer_add(out, text);
    else
        add_quoted(out, text);
    buffer_free(&clean);
}

static void break_line(struct authres_writer *writer)
{
    buffer_add_text(&writer->text, "\r\n");
    writer->line = writer->text.length;
    buffer_add_octet(&writer->text, '\t');
}

/* Begins a word of this length, on a new line if it does not fit. */
static void begin_word(struct authres_writer *writer, size_t length)
{
    if (writer->text.length - writer->line + 1 + length > COLUMNS_MAX)
        break_line(writer);
    else
        buffer_add_octet(&writer->text, ' ');
}

/* Takes back a result that does not fit; otherwise it is kept. */
static void keep_or_drop(struct authres_writer *writer)
{
    writer->over = writer->over || writer->text.length > AUTHRES_WRITE_MAX;
    if (!writer->over)
        writer->whole = writer->text.length;
}

void authres_write_start(struct authres_writer *writer, struct bytes id)
{
    assert(id.length > 0);
    *writer = (struct authres_writer){0};
    add_value(&writer->text, id);
    writer->whole = writer->text.length;
}

void authres_write_result(struct authres_writer *writer, const char *method, const char *result,
                          const char *reason)
{
    keep_or_drop(writer);
    if (writer->over)
        return;
    buffer_add_octet(&writer->text, ';');
    break_line(writer);
    buffer_add_format(&writer->text, "%s=%s", method, result);
    writer->any = true;
    if (reason == NULL)
        return;
    struct buffer word = {0};
    add_value(&word, bytes_of_text(reason));
    begin_word(writer, strlen("reason=") + word.length + 1);
    buffer_add_text(&writer->text, "reason=");
    buffer_add(&writer->text, buffer_bytes(&word));
    buffer_free(&word);
}

void authres_write_property(struct authres_writer *writer, const char *type, const char *name,
                            struct bytes value)
{
    struct buffer word = {0};
    if (writer->over)
        return;
    buffer_add_format(&word, "%s.%s=", type, name);
    add_property_value(&word, value);
    begin_word(writer, word.length + 1);
    buffer_add(&writer->text, buffer_bytes(&word));
    buffer_free(&word);
}

static void write_signature(struct authres_writer *writer, const struct dkim_signature *signature)
{
    const struct dkim_field *field = &signature->field;
    struct buffer start = {0};
    authres_write_result(writer, "dkim", dkim_result_word(signature->result),
                         signature->reason == NULL && signature->testing ? "key is for testing"
                                                                         : signature->reason);
    if (field->domain.length > 0)
        authres_write_property(writer, "header", "d", field->domain);
    if (field->identity.length > 0)
        authres_write_property(writer, "header", "i", field->identity);
    if (field->selector.length > 0)
        authres_write_property(writer, "header", "s", field->selector);
    if (field->algorithm_name.length > 0)
        authres_write_property(writer, "header", "a", field->algorithm_name);
    base64_encode(&start, bytes_first(field->signature, SIGNATURE_OCTETS));
    if (start.length > 0)
        authres_write_property(writer, "header", "b", buffer_bytes(&start));
    buffer_free(&start);
}

void authres_write_dkim(struct authres_writer *writer, const struct dkim *dkim)
{
    if (dkim->count == 0)
        authres_write_result(writer, "dkim", "none", NULL);
    for (int looked_at = 1; looked_at >= 0; looked_at--)
        for (size_t i = 0; i < dkim->count; i++)
            if (dkim->signatures[i].looked_at == (looked_at == 1))
                write_signature(writer, &dkim->signatures[i]);
}

void authres_write_end(struct authres_writer *writer, const char *prefix, struct buffer *out)
{
    keep_or_drop(writer);
    buffer_add_text(out, prefix);
    buffer_add(out, bytes_first(buffer_bytes(&writer->text), writer->whole));
    buffer_add_text(out, writer->any ? "\r\n" : "; none\r\n");
    buffer_free(&writer->text);
}
