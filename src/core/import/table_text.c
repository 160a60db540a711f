/* SPDX-License-Identifier: Apache-2.0 */
#include "core/import/table_text.h"

#include <assert.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct bytes trim(struct bytes text)
{
    while (text.length > 0 && is_space(text.at[0]))
        text = bytes_from(text, 1);
    while (text.length > 0 && is_space(text.at[text.length - 1]))
        text.length--;
    return text;
}

void table_text_start(struct table_text *table, struct bytes text)
{
    *table = (struct table_text){.left = text};
}

void table_text_free(struct table_text *table)
{
    buffer_free(&table->line);
}

static bool counts(struct bytes line)
{
    struct bytes text = trim(line);
    return text.length > 0 && text.at[0] != '#';
}

/* Adds the lines that continue this one; comments between them are skipped. */
static void add_continuations(struct table_text *table)
{
    while (table->left.length > 0) {
        struct bytes rest = table->left, line = bytes_split(&rest, '\n');
        if (counts(line) && !is_space(line.at[0]))
            return;
        table->left = rest;
        table->read++;
        if (!counts(line))
            continue;
        buffer_add_octet(&table->line, ' ');
        buffer_add(&table->line, trim(line));
    }
}

bool table_text_next(struct table_text *table, struct bytes *line, size_t *number)
{
    while (table->left.length > 0) {
        struct bytes first = bytes_split(&table->left, '\n');
        table->read++;
        if (!counts(first))
            continue;
        *number = table->read;
        buffer_clear(&table->line);
        buffer_add(&table->line, trim(first));
        add_continuations(table);
        *line = buffer_bytes(&table->line);
        assert(line->length > 0 && *number <= table->read);
        return true;
    }
    return false;
}

/* ---- splitting ---- */

/* Returns the octets of a quoted text at the front, with its quotes; 1 if it has no end. */
static size_t quoted_length(struct bytes text)
{
    assert(text.length > 0 && text.at[0] == '"');
    for (size_t i = 1; i < text.length; i++)
        if (text.at[i] == '\\')
            i++;
        else if (text.at[i] == '"')
            return i + 1;
    return 1;
}

/* Takes a name at the front, up to a space or one of the ends that is not quoted or behind a backslash. */
static struct bytes take_name(struct bytes *rest, const char *ends)
{
    size_t length = 0;
    while (length < rest->length && !is_space(rest->at[length]) && strchr(ends, rest->at[length]) == NULL)
        if (rest->at[length] == '"')
            length += quoted_length(bytes_from(*rest, length));
        else
            length += rest->at[length] == '\\' && length + 1 < rest->length ? 2 : 1;
    struct bytes name = bytes_first(*rest, length);
    *rest = trim(bytes_from(*rest, length));
    bool quoted = name.length >= 2 && name.at[0] == '"' && quoted_length(name) == name.length;
    return quoted && bytes_find(name, '\\') == SIZE_MAX ? bytes_of(name.at + 1, name.length - 2) : name;
}

struct bytes table_text_unquoted(struct bytes name, struct buffer *room)
{
    buffer_clear(room);
    for (size_t i = 0; i < name.length; i++) {
        if (name.at[i] == '"')
            continue;
        i += name.at[i] == '\\' && i + 1 < name.length;
        buffer_add_octet(room, name.at[i]);
    }
    return buffer_bytes(room);
}

bool table_text_split(struct bytes line, struct bytes *key, struct bytes *value)
{
    line = trim(line);
    *key = take_name(&line, "");
    *value = trim(line);
    return key->length > 0 && value->length > 0;
}

static bool split_at(struct bytes line, const char *separator, struct bytes *name, struct bytes *value)
{
    line = trim(line);
    *name = take_name(&line, separator);
    line = trim(line);
    if (name->length == 0 || line.length == 0 || line.at[0] != *separator)
        return false;
    *value = trim(bytes_from(line, 1));
    return true;
}

bool table_text_split_alias(struct bytes line, struct bytes *name, struct bytes *value)
{
    return split_at(line, ":", name, value);
}

bool table_text_split_parameter(struct bytes line, struct bytes *name, struct bytes *value)
{
    return split_at(line, "=", name, value);
}
