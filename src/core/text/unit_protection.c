/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/unit_protection.h"

#include <assert.h>

static bool is_below(struct bytes path, struct bytes folder)
{
    while (folder.length > 1 && folder.at[folder.length - 1] == '/')
        folder.length--;
    return bytes_equal(bytes_first(path, folder.length), folder) &&
           (path.length == folder.length || folder.length == 1 || path.at[folder.length] == '/');
}

static bool is_below_any(struct bytes path, const char *const *folders, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_below(path, bytes_of_text(folders[i])))
            return true;
    return false;
}

static bool is_yes(struct bytes value)
{
    static const char *const words[] = {"true", "yes", "on", "1"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (bytes_is_nocase(value, words[i]))
            return true;
    return false;
}

/* Adds the words of a list; an empty value clears the list. Prefixes "-" and "+" belong to the path, and
 * what follows ":" is the name of a second link. */
static void add_paths(struct unit_protection *protection, const char *folder, struct bytes value)
{
    if (value.length == 0 && folder[0] == '\0')
        buffer_clear(&protection->writable);
    while (value.length > 0) {
        struct bytes word = bytes_split(&value, ' ');
        while (word.length > 0 && (word.at[0] == '-' || word.at[0] == '+'))
            word = bytes_from(word, 1);
        word = bytes_first(word, bytes_find(word, ':'));
        if (word.length == 0)
            continue;
        buffer_add_text(&protection->writable, folder);
        buffer_add(&protection->writable, word);
        buffer_add_octet(&protection->writable, '\n');
    }
}

static void take(struct unit_protection *protection, struct bytes key, struct bytes value)
{
    static const struct {
        const char *key, *folder;
    } lists[] = {{"ReadWritePaths", ""},
                 {"StateDirectory", "/var/lib/"},
                 {"CacheDirectory", "/var/cache/"},
                 {"LogsDirectory", "/var/log/"},
                 {"RuntimeDirectory", "/run/"}};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        if (bytes_is(key, lists[i].key))
            add_paths(protection, lists[i].folder, value);
    if (bytes_is(key, "ProtectSystem"))
        protection->strict = bytes_is(value, "strict");
    else if (bytes_is(key, "ProtectHome")) {
        protection->shows_home = bytes_is(value, "read-only");
        protection->hides_home = is_yes(value) || bytes_is(value, "tmpfs");
    } else if (bytes_is(key, "PrivateTmp"))
        protection->private_tmp = is_yes(value);
}

void unit_protection_read(struct unit_protection *protection, struct bytes text)
{
    while (text.length > 0) {
        struct bytes value = bytes_trim(bytes_split(&text, '\n'));
        struct bytes key = bytes_trim(bytes_split(&value, '='));
        if (key.length > 0 && key.at[0] != '#' && key.at[0] != ';')
            take(protection, key, bytes_trim(value));
    }
}

static bool is_listed(const struct unit_protection *protection, struct bytes path)
{
    struct bytes rest = buffer_bytes(&protection->writable);
    while (rest.length > 0)
        if (is_below(path, bytes_split(&rest, '\n')))
            return true;
    return false;
}

bool unit_protection_allows_read(const struct unit_protection *protection, struct bytes path)
{
    static const char *const homes[] = {"/home", "/root", "/run/user"}, *const temporary[] = {"/tmp",
                                                                                              "/var/tmp"};
    assert(path.length > 0 && path.at[0] == '/');
    return !(protection->hides_home && is_below_any(path, homes, ARRAY_LENGTH(homes))) &&
           !(protection->private_tmp && is_below_any(path, temporary, ARRAY_LENGTH(temporary)));
}

bool unit_protection_allows_write(const struct unit_protection *protection, struct bytes path)
{
    static const char *const homes[] = {"/home", "/root", "/run/user"};
    if (!unit_protection_allows_read(protection, path))
        return false;
    if (is_listed(protection, path))
        return true;
    return !protection->strict && !(protection->shows_home && is_below_any(path, homes, ARRAY_LENGTH(homes)));
}

void unit_protection_free(struct unit_protection *protection)
{
    buffer_free(&protection->writable);
}
