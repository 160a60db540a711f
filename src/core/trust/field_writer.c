/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/field_writer.h"

#include <assert.h>

#include "core/smtp/base64.h"

static size_t column(const struct field_writer *writer)
{
    assert(writer->out->length >= writer->line);
    return writer->out->length - writer->line;
}

static void break_line(struct field_writer *writer)
{
    buffer_add_text(writer->out, "\r\n");
    writer->line = writer->out->length;
    buffer_add_text(writer->out, "\t");
}

/* Begins a tag whose first word has this length; a ";" follows each word at the end. `on_new_line`: values
 * that are broken begin a line, so that where they are broken does not depend on what is before them: the
 * signature, which is not known when it is made. */
static void begin_tag(struct field_writer *writer, const char *tag, size_t word, bool on_new_line)
{
    size_t wanted = strlen(tag) + 1 + word + 1;
    if (writer->any)
        buffer_add_octet(writer->out, ';');
    bool full = column(writer) + 1 + wanted > FIELD_WRITER_COLUMNS_MAX;
    if ((full || on_new_line) && writer->any)
        break_line(writer);
    else
        buffer_add_octet(writer->out, ' ');
    buffer_add_text(writer->out, tag);
    buffer_add_octet(writer->out, '=');
    writer->any = true;
}

void field_writer_start(struct field_writer *writer, struct buffer *out, const char *name, bool folds_values)
{
    *writer = (struct field_writer){.out = out, .line = out->length, .folds_values = folds_values};
    buffer_add_text(out, name);
    buffer_add_octet(out, ':');
}

void field_writer_word(struct field_writer *writer, const char *tag, struct bytes value)
{
    begin_tag(writer, tag, value.length, false);
    buffer_add(writer->out, value);
}

void field_writer_number(struct field_writer *writer, const char *tag, uint64_t value)
{
    struct buffer digits = {0};
    buffer_add_format(&digits, "%llu", (unsigned long long)value);
    field_writer_word(writer, tag, buffer_bytes(&digits));
    buffer_free(&digits);
}

void field_writer_list(struct field_writer *writer, const char *tag, struct bytes value)
{
    if (!writer->folds_values) {
        field_writer_word(writer, tag, value);
        return;
    }
    size_t first = bytes_find(value, ':');
    begin_tag(writer, tag, first == SIZE_MAX ? value.length : first + 1, true);
    while (value.length > 0) {
        size_t colon = bytes_find(value, ':');
        struct bytes word = bytes_first(value, colon == SIZE_MAX ? value.length : colon + 1);
        if (column(writer) + word.length + 1 > FIELD_WRITER_COLUMNS_MAX && column(writer) > 4)
            break_line(writer);
        buffer_add(writer->out, word);
        value = bytes_from(value, word.length);
    }
}

void field_writer_base64(struct field_writer *writer, const char *tag, struct bytes octets)
{
    struct buffer text = {0};
    base64_encode(&text, octets);
    struct bytes rest = buffer_bytes(&text);
    begin_tag(writer, tag, writer->folds_values ? 1 : rest.length, writer->folds_values);
    while (rest.length > 0) {
        size_t room = FIELD_WRITER_COLUMNS_MAX - 1 - column(writer);
        bool full = column(writer) + 1 >= FIELD_WRITER_COLUMNS_MAX;
        struct bytes piece = bytes_first(rest, !writer->folds_values ? rest.length : full ? 0 : room);
        buffer_add(writer->out, piece);
        rest = bytes_from(rest, piece.length);
        if (rest.length > 0)
            break_line(writer);
    }
    buffer_free(&text);
}

void field_writer_end(struct field_writer *writer)
{
    buffer_add_text(writer->out, "\r\n");
}
