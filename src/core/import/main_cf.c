/* SPDX-License-Identifier: Apache-2.0 */
#include "core/import/main_cf.h"

#include <assert.h>

#include "core/import/table_text.h"
#include "core/port/port_order.h"

static const struct {
    const char *name, *value;
} defaults[] = {{"alias_maps", "$alias_database"},
                {"alias_database", "hash:/etc/aliases"},
                {"config_directory", "/etc/postfix"},
                {"data_directory", "/var/lib/postfix"},
                {"default_database_type", "hash"},
                {"mydestination", "$myhostname, localhost.$mydomain, localhost"},
                {"myorigin", "$myhostname"},
                {"virtual_alias_maps", "$virtual_maps"},
                {"virtual_alias_domains", "$virtual_alias_maps"},
                {"virtual_mailbox_domains", "$virtual_mailbox_maps"}};

/* ---- reading ---- */

static void put(struct main_cf *main_cf, struct bytes name, struct bytes value)
{
    assert(main_cf->arena != NULL);
    struct bytes *kept = ARENA_NEW(main_cf->arena, struct bytes);
    *kept = arena_copy(main_cf->arena, value);
    map_put(&main_cf->values, name, kept);
}

void main_cf_read(struct main_cf *main_cf, struct arena *arena, struct bytes text)
{
    struct table_text table;
    struct bytes line, name, value;
    size_t number;
    main_cf->arena = arena;
    map_start(&main_cf->values, 0); /* trusted keys: the administrator's */
    table_text_start(&table, text);
    while (table_text_next(&table, &line, &number))
        if (table_text_split_parameter(line, &name, &value))
            put(main_cf, name, value);
    table_text_free(&table);
}

void main_cf_free(struct main_cf *main_cf)
{
    map_free(&main_cf->values);
}

bool main_cf_has(const struct main_cf *main_cf, const char *name)
{
    return map_get(&main_cf->values, bytes_of_text(name)) != NULL;
}

void main_cf_set_default(struct main_cf *main_cf, const char *name, struct bytes value)
{
    if (!main_cf_has(main_cf, name))
        put(main_cf, bytes_of_text(name), value);
}

/* ---- expanding ---- */

static struct bytes raw_value(const struct main_cf *main_cf, struct bytes name)
{
    const struct bytes *set = map_get(&main_cf->values, name);
    if (set != NULL)
        return *set;
    for (size_t i = 0; i < ARRAY_LENGTH(defaults); i++)
        if (bytes_is(name, defaults[i].name))
            return bytes_of_text(defaults[i].value);
    return bytes_none();
}

static bool is_name(char c)
{
    return ascii_is_alnum(c) || c == '_';
}

static size_t name_length(struct bytes text)
{
    size_t length = 0;
    while (length < text.length && is_name(text.at[length]))
        length++;
    return length;
}

/* Returns the octets of a text up to its closing bracket, or all of it. */
static size_t bracket_length(struct bytes text, char open, char close)
{
    size_t depth = 1;
    for (size_t i = 0; i < text.length; i++) {
        depth += text.at[i] == open;
        depth -= text.at[i] == close;
        if (depth == 0)
            return i;
    }
    return text.length;
}

static void expand(const struct main_cf *main_cf, struct bytes text, unsigned depth, struct buffer *out);

/* "{text}" as a choice is its text. */
static struct bytes choice_of(struct bytes text)
{
    text = bytes_trim(text);
    bool braced = text.length >= 2 && text.at[0] == '{' && text.at[text.length - 1] == '}';
    return braced ? bytes_first(bytes_from(text, 1), text.length - 2) : text;
}

/* The content of ${...}: a name, or a name and a choice by whether it has a value. */
static void expand_reference(const struct main_cf *main_cf, struct bytes content, unsigned depth,
                             struct buffer *out)
{
    struct bytes name = bytes_first(content, name_length(content));
    assert(depth > 0 && depth <= MAIN_CF_DEPTH_MAX + 1);
    struct bytes rest = bytes_from(content, name.length);
    struct bytes value = raw_value(main_cf, name);
    if (rest.length == 0) {
        expand(main_cf, value, depth, out);
    } else if (rest.at[0] == '?' || rest.at[0] == ':') {
        struct bytes choice = bytes_from(rest, 1), other = bytes_none();
        if (rest.at[0] == '?' && choice.length > 0 && choice.at[0] == '{') { /* ${name?{one}:{other}} */
            size_t end = bracket_length(bytes_from(choice, 1), '{', '}') + 2;
            end = end > choice.length ? choice.length : end;
            other = bytes_from(choice, end);
            other = other.length > 0 && other.at[0] == ':' ? bytes_from(other, 1) : bytes_none();
            choice = bytes_first(choice, end);
        }
        bool taken = (value.length > 0) == (rest.at[0] == '?');
        expand(main_cf, choice_of(taken ? choice : other), depth, out);
    }
}

static void expand(const struct main_cf *main_cf, struct bytes text, unsigned depth, struct buffer *out)
{
    if (depth > MAIN_CF_DEPTH_MAX)
        return;
    while (text.length > 0 && out->length < MAIN_CF_VALUE_MAX) {
        size_t dollar = bytes_find(text, '$');
        buffer_add(out, bytes_first(text, dollar));
        text = dollar == SIZE_MAX ? bytes_none() : bytes_from(text, dollar + 1);
        if (text.length == 0)
            return;
        char open = text.at[0];
        size_t skip = 0, length = 1;
        if (open == '$') {
            buffer_add_octet(out, '$');
        } else if (open == '{' || open == '(') {
            struct bytes inside = bytes_from(text, 1);
            length = bracket_length(inside, open, open == '{' ? '}' : ')');
            expand_reference(main_cf, bytes_first(inside, length), depth + 1, out);
            skip = 1;
            length += length < inside.length; /* the bracket */
        } else {
            length = name_length(text);
            expand(main_cf, raw_value(main_cf, bytes_first(text, length)), depth + 1, out);
        }
        text = bytes_from(text, skip + length);
    }
}

struct bytes main_cf_value(const struct main_cf *main_cf, const char *name)
{
    struct buffer out = {0};
    expand(main_cf, raw_value(main_cf, bytes_of_text(name)), 0, &out);
    struct bytes value = arena_copy(main_cf->arena, bytes_first(buffer_bytes(&out), MAIN_CF_VALUE_MAX));
    buffer_free(&out);
    return bytes_trim(value);
}

/* ---- lists ---- */

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool main_cf_next(struct bytes *list, struct main_cf_entry *entry)
{
    size_t length = 0, depth = 0;
    while (list->length > 0 && is_separator(list->at[0]))
        *list = bytes_from(*list, 1);
    for (; length < list->length && (depth > 0 || !is_separator(list->at[length])); length++) {
        depth += list->at[length] == '{';
        depth -= list->at[length] == '}' && depth > 0;
    }
    struct bytes text = bytes_first(*list, length);
    *list = bytes_from(*list, length);
    assert(depth == 0 || list->length == 0);
    while (bytes_starts_nocase(text, "proxy:"))
        text = bytes_from(text, strlen("proxy:"));
    size_t colon = text.length > 0 && text.at[0] != '[' && text.at[0] != '/' ? bytes_find(text, ':')
                                                                             : SIZE_MAX;
    *entry = (struct main_cf_entry){.name = text};
    if (colon != SIZE_MAX) {
        entry->type = bytes_first(text, colon);
        entry->name = bytes_from(text, colon + 1);
    }
    return length > 0;
}

bool main_cf_is_text(const struct main_cf_entry *entry)
{
    static const char *const types[] = {"hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash"};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        if (bytes_is(entry->type, types[i]))
            return entry->name.length > 0 && entry->name.at[0] == '/';
    return false;
}

/* ---- next hops ---- */

bool main_cf_read_hop(struct bytes text, struct main_cf_hop *hop)
{
    uint64_t port = 0;
    struct bytes number = bytes_none();
    *hop = (struct main_cf_hop){.is_domain = true};
    text = bytes_trim(text);
    if (text.length > 0 && text.at[0] == '[') {
        size_t end = bytes_find(text, ']');
        if (end == SIZE_MAX)
            return false;
        hop->host = bytes_first(bytes_from(text, 1), end - 1);
        hop->is_domain = false;
        number = bytes_from(text, end + 1);
        if (number.length > 0 && number.at[0] != ':')
            return false;
        number = number.length > 0 ? bytes_from(number, 1) : number;
    } else {
        number = text;
        hop->host = bytes_split(&number, ':');
    }
    if (bytes_starts_nocase(hop->host, "ipv6:"))
        hop->host = bytes_from(hop->host, strlen("ipv6:"));
    static const struct {
        const char *name;
        uint16_t port;
    } services[] = {{"smtp", PORT_SMTP},
                    {"submission", PORT_SUBMISSION},
                    {"smtps", PORT_SUBMISSIONS},
                    {"submissions", PORT_SUBMISSIONS}};
    for (size_t i = 0; i < ARRAY_LENGTH(services); i++)
        if (bytes_is_nocase(number, services[i].name))
            hop->port = services[i].port;
    if (number.length == 0 || hop->port != 0)
        return true;
    bool fine = bytes_to_u64(number, UINT16_MAX, &port) && port > 0;
    hop->port = (uint16_t)port;
    return fine;
}
