/* SPDX-License-Identifier: Apache-2.0 */
#include "core/import/alias_target.h"

#include <assert.h>

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Returns the octets of a comment in parentheses, nested or not ended. */
static size_t comment_length(struct bytes text)
{
    size_t depth = 0;
    assert(text.length > 0 && text.at[0] == '(');
    for (size_t i = 0; i < text.length; i++) {
        depth += text.at[i] == '(';
        depth -= text.at[i] == ')';
        if (depth == 0)
            return i + 1;
    }
    return text.length;
}

static void skip_separators(struct bytes *rest)
{
    while (rest->length > 0)
        if (rest->at[0] == '(')
            *rest = bytes_from(*rest, comment_length(*rest));
        else if (is_separator(rest->at[0]))
            *rest = bytes_from(*rest, 1);
        else
            return;
}

/* Returns the end of a quoted text that begins at `from`: the octet behind the last quote. */
static size_t quoted_end(struct bytes text, size_t from)
{
    assert(from < text.length && text.at[from] == '"');
    for (size_t i = from + 1; i < text.length; i++)
        if (text.at[i] == '\\')
            i++;
        else if (text.at[i] == '"')
            return i + 1;
    return text.length;
}

/* Returns the octets up to a separator, or for `whole` up to a comma. */
static size_t word_length(struct bytes text, bool whole)
{
    size_t i = 0;
    while (i < text.length) {
        if (text.at[i] == '"')
            i = quoted_end(text, i);
        else if (text.at[i] == '\\')
            i += 2;
        else if (whole ? text.at[i] == ',' : is_separator(text.at[i]) || text.at[i] == '(')
            break;
        else
            i++;
    }
    return i < text.length ? i : text.length;
}

/* "Ada Lovelace <ada@example.org>": the part in the angle brackets, if the item up to the comma has one. */
static bool take_angle(struct bytes *rest, struct bytes *word)
{
    struct bytes item = bytes_first(*rest, word_length(*rest, true));
    size_t i = 0;
    while (i < item.length && item.at[i] != '<')
        i = item.at[i] == '"' ? quoted_end(item, i) : i + 1;
    if (i >= item.length)
        return false;
    size_t end = bytes_find(bytes_from(item, i), '>');
    if (end == SIZE_MAX)
        return false;
    *word = bytes_first(bytes_from(item, i + 1), end - 1);
    *rest = bytes_from(*rest, item.length);
    return true;
}

/* A word that is quoted as a whole: its content, without backslashes before octets. */
static struct bytes unquoted(struct bytes word, struct buffer *room)
{
    buffer_clear(room);
    if (word.length < 2 || word.at[0] != '"' || quoted_end(word, 0) != word.length ||
        word.at[word.length - 1] != '"')
        return word;
    for (size_t i = 1; i + 1 < word.length; i++) {
        i += word.at[i] == '\\' && i + 2 < word.length;
        buffer_add_octet(room, word.at[i]);
    }
    return buffer_bytes(room);
}

static const char list[] = ":include:";

/* ":include:/path", ":include: /path", ":include:\"/a path\"" */
static struct alias_target take_list(struct bytes *rest, struct buffer *room)
{
    *rest = bytes_trim(bytes_from(*rest, sizeof list - 1));
    struct bytes path = bytes_first(*rest, word_length(*rest, false));
    *rest = bytes_from(*rest, path.length);
    return (struct alias_target){ALIAS_TO_LIST, unquoted(path, room)};
}

static struct alias_target target_of(struct bytes text)
{
    if (text.length > 0 && text.at[0] == '|')
        return (struct alias_target){ALIAS_TO_PROGRAM, bytes_trim(bytes_from(text, 1))};
    if (bytes_starts_nocase(text, list))
        return (struct alias_target){ALIAS_TO_LIST, bytes_trim(bytes_from(text, sizeof list - 1))};
    if (bytes_is(text, "/dev/null"))
        return (struct alias_target){ALIAS_TO_NOTHING, text};
    if (text.length > 0 && text.at[0] == '/' && bytes_find(text, '@') == SIZE_MAX)
        return (struct alias_target){ALIAS_TO_FILE, text};
    if (text.length > 0 && text.at[0] == '@')
        return (struct alias_target){ALIAS_TO_DOMAIN, text};
    if (text.length > 0 && text.at[0] == '\\')
        text = bytes_from(text, 1);
    bool is_address = bytes_find(text, '@') != SIZE_MAX;
    return (struct alias_target){is_address ? ALIAS_TO_ADDRESS : ALIAS_TO_NAME, text};
}

bool alias_target_next(struct bytes *rest, struct buffer *room, struct alias_target *target)
{
    for (skip_separators(rest); rest->length > 0; skip_separators(rest)) {
        struct bytes word;
        bool runs = rest->at[0] == '|';
        if (bytes_starts_nocase(*rest, list)) {
            *target = take_list(rest, room);
            return true;
        }
        if (runs || !take_angle(rest, &word)) {
            word = bytes_first(*rest, word_length(*rest, runs));
            *rest = bytes_from(*rest, word.length);
        }
        word = unquoted(bytes_trim(word), room);
        if (word.length == 0)
            continue;
        *target = target_of(word);
        assert(target->kind != ALIAS_TO_DOMAIN || target->text.at[0] == '@');
        return true;
    }
    return false;
}
