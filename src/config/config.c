/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "keys.h"
#include "smtp/host.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <yaml.h>

enum {
    FILE_SIZE_MAX = 1024 * 1024, /* octets of a configuration file */
    LISTENER_TEXT_MAX = 64,
};

/* What reading needs at hand. */
struct reading {
    struct config *config;
    const char *name; /* of the file, for errors */
    yaml_document_t *document;
    struct error *error;
    bool as_anybody; /* the files that it names are not looked at */
    const yaml_node_t *seen[64]; /* where each key of config_keys was said; NULL: not */
};

/* ---- errors: FILE:LINE: what; mend ---- */

static bool fail_at(const struct reading *reading, const yaml_node_t *node, const char *format, ...) __attribute__((format(printf, 3, 4)));

static bool fail_at(const struct reading *reading, const yaml_node_t *node, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t line = node == NULL ? 1 : node->start_mark.line + 1;
    return error_set(reading->error, EX_CONFIG, "%s:%zu: %s", reading->name, line, text);
}

static struct bytes scalar_text(const yaml_node_t *node)
{
    return bytes_of(node->data.scalar.value, node->data.scalar.length);
}

/* How many single changes lead from one word to the other, for "did you mean". */
static size_t distance(struct bytes a, struct bytes b)
{
    enum { WORD_MAX = 40 };
    size_t row[WORD_MAX + 1];
    if (a.length > WORD_MAX || b.length > WORD_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= b.length; i++)
        row[i] = i;
    for (size_t i = 1; i <= a.length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b.length; k++) {
            size_t change = diagonal + (a.at[i - 1] == b.at[k - 1] ? 0 : 1);
            size_t shorter = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            diagonal = row[k];
            row[k] = change < shorter ? change : shorter;
        }
    }
    return row[b.length];
}

/* The next part of a key's path behind `prefix`, empty when it is elsewhere. */
static struct bytes part_behind(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(path, prefix, length) != 0)
        return bytes_none();
    struct bytes rest = bytes_of_text(path + length);
    return bytes_split(&rest, '.');
}

static bool fail_unknown(const struct reading *reading, const yaml_node_t *node, const struct key *keys, size_t count, const char *prefix)
{
    struct bytes said = scalar_text(node), best = bytes_none();
    size_t least = 4;
    for (size_t i = 0; i < count; i++) {
        struct bytes part = part_behind(keys[i].path, prefix);
        size_t away = part.length == 0 ? SIZE_MAX : distance(said, part);
        if (away < least) {
            least = away;
            best = part;
        }
    }
    if (best.length > 0)
        return fail_at(reading, node, "unknown key '%s%.*s'; did you mean '%.*s'?", prefix, BYTES_ARG(bytes_first(said, 80)), BYTES_ARG(best));
    return fail_at(reading, node, "unknown key '%s%.*s'; see mailboat.conf(5) for those there are", prefix, BYTES_ARG(bytes_first(said, 80)));
}

/* ---- values ---- */

static bool read_unit(struct bytes text, const char *const *units, const uint64_t *factors, uint64_t *value)
{
    size_t digits = 0;
    while (digits < text.length && ascii_is_digit(text.at[digits]))
        digits++;
    struct bytes unit = bytes_from(text, digits);
    uint64_t number;
    if (!bytes_to_u64(bytes_first(text, digits), UINT64_MAX, &number))
        return false;
    for (size_t i = 0; units[i] != NULL; i++)
        if (bytes_is_nocase(unit, units[i]))
            return !__builtin_mul_overflow(number, factors[i], value);
    return false;
}

static bool read_size(struct bytes text, uint64_t *value)
{
    static const char *const units[] = {"", "B", "K", "KiB", "KB", "M", "MiB", "MB", "G", "GiB", "GB", NULL};
    static const uint64_t factors[] = {1, 1, 1024, 1024, 1000, 1048576, 1048576, 1000000, 1073741824, 1073741824, 1000000000};
    return read_unit(text, units, factors, value);
}

bool config_duration(struct bytes text, uint64_t *value)
{
    static const char *const units[] = {"ms", "s", "m", "h", "d", "w", NULL};
    static const uint64_t factors[] = {1, 1000, 60000, 3600000, 86400000, 604800000};
    return read_unit(text, units, factors, value);
}

static bool fail_bounds(const struct reading *reading, const yaml_node_t *node, const struct key *key)
{
    return fail_at(reading, node, "%s: %.*s is out of bounds; from %llu to %llu%s", key->path, BYTES_ARG(bytes_first(scalar_text(node), 80)),
                   (unsigned long long)key->min, (unsigned long long)key->max,
                   key->type == KEY_SIZE ? " octets" : key->type == KEY_DURATION ? " ms" : "");
}

static bool read_number(const struct reading *reading, const yaml_node_t *node, const struct key *key, void *at)
{
    static const char *const forms[] = {[KEY_SIZE] = "a size like 50MiB", [KEY_DURATION] = "a time like 30s, 5m, 4h or 5d",
                                        [KEY_NUMBER] = "a whole number", [KEY_PORT] = "a port number", [KEY_PORT_AUTO] = "auto, or a port number"};
    struct bytes text = scalar_text(node);
    uint64_t value = 0;
    if (key->type == KEY_PORT_AUTO && bytes_is_nocase(text, "auto")) {
        *(uint16_t *)at = 0;
        return true;
    }
    bool read = key->type == KEY_SIZE ? read_size(text, &value) : key->type == KEY_DURATION ? config_duration(text, &value)
                                                                                            : bytes_to_u64(text, UINT64_MAX, &value);
    if (!read)
        return fail_at(reading, node, "%s: '%.*s' is not %s", key->path, BYTES_ARG(bytes_first(text, 80)), forms[key->type]);
    if (value < key->min || value > key->max)
        return fail_bounds(reading, node, key);
    if (key->type == KEY_NUMBER)
        *(uint32_t *)at = (uint32_t)value;
    else if (key->type == KEY_PORT || key->type == KEY_PORT_AUTO)
        *(uint16_t *)at = (uint16_t)value;
    else
        *(uint64_t *)at = value;
    return true;
}

static bool read_factor(const struct reading *reading, const yaml_node_t *node, const struct key *key, double *at)
{
    char text[32] = "", *end;
    struct bytes said = scalar_text(node);
    if (said.length < sizeof text)
        memcpy(text, said.at, said.length);
    *at = strtod(text, &end);
    if (text[0] == '\0' || *end != '\0' || !(*at >= (double)key->min && *at <= (double)key->max))
        return fail_at(reading, node, "%s: '%.*s' is not a number from %llu to %llu", key->path, BYTES_ARG(bytes_first(said, 80)),
                       (unsigned long long)key->min, (unsigned long long)key->max);
    return true;
}

static bool read_choice(const struct reading *reading, const yaml_node_t *node, const struct key *key, int *at)
{
    struct bytes text = scalar_text(node);
    struct buffer all = {0};
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (bytes_is_nocase(text, key->choices[i])) {
            *at = i;
            buffer_free(&all);
            return true;
        }
        buffer_add_format(&all, "%s%s", i == 0 ? "" : ", ", key->choices[i]);
    }
    fail_at(reading, node, "%s: '%.*s' is none of: %s", key->path, BYTES_ARG(bytes_first(text, 80)), buffer_text(&all));
    buffer_free(&all);
    return false;
}

static bool read_flag(const struct reading *reading, const yaml_node_t *node, const struct key *key, bool *at)
{
    struct bytes text = scalar_text(node);
    *at = bytes_is_nocase(text, "true") || bytes_is_nocase(text, "yes") || bytes_is_nocase(text, "on");
    bool off = bytes_is_nocase(text, "false") || bytes_is_nocase(text, "no") || bytes_is_nocase(text, "off");
    return *at || off || fail_at(reading, node, "%s: '%.*s' is neither true nor false", key->path, BYTES_ARG(bytes_first(text, 80)));
}

static bool read_text(const struct reading *reading, const yaml_node_t *node, const struct key *key, const char **at)
{
    struct bytes text = scalar_text(node);
    if (text.length == 0 || bytes_has_control(text))
        return fail_at(reading, node, "%s: a text is wanted", key->path);
    if (key->type == KEY_HOST) {
        enum host_kind kind = host_parse(text, true);
        if (kind == HOST_IMPOSSIBLE_ADDRESS)
            return fail_at(reading, node, "%s: %.*s looks like an address, but is none", key->path, BYTES_ARG(bytes_first(text, 80)));
        if (kind == HOST_INVALID)
            return fail_at(reading, node, "%s: '%.*s' is not a host name", key->path, BYTES_ARG(bytes_first(text, 80)));
    }
    *at = arena_text(&reading->config->arena, text);
    return true;
}

static bool read_scalar(const struct reading *reading, const yaml_node_t *node, const struct key *key, void *at)
{
    if (node->type != YAML_SCALAR_NODE)
        return fail_at(reading, node, "%s: one value is wanted here, not a list or a group of keys", key->path);
    switch (key->type) {
    case KEY_TEXT:
    case KEY_HOST: return read_text(reading, node, key, at);
    case KEY_SIZE:
    case KEY_DURATION:
    case KEY_NUMBER:
    case KEY_PORT:
    case KEY_PORT_AUTO: return read_number(reading, node, key, at);
    case KEY_FACTOR: return read_factor(reading, node, key, at);
    case KEY_FLAG: return read_flag(reading, node, key, at);
    case KEY_CHOICE: return read_choice(reading, node, key, at);
    case KEY_LIST:
    case KEY_TLS:
    case KEY_ROUTES:
    case KEY_LISTENERS: break;
    }
    return false;
}

/* ---- lists ---- */

static bool is_list(const struct reading *reading, const yaml_node_t *node, const struct key *key, size_t *count)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_at(reading, node, "%s: a list is wanted: [one, two]", key->path);
    *count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    return *count <= key->max || fail_at(reading, node, "%s: at most %llu entries", key->path, (unsigned long long)key->max);
}

static const yaml_node_t *list_entry(const struct reading *reading, const yaml_node_t *node, size_t i)
{
    return yaml_document_get_node(reading->document, node->data.sequence.items.start[i]);
}

struct text_list {
    const char **texts;
    size_t count;
};
static_assert(offsetof(struct config, domain_count) - offsetof(struct config, domains) == offsetof(struct text_list, count),
              "a list and its count stand side by side");

static bool read_list(const struct reading *reading, const yaml_node_t *node, const struct key *key, struct text_list *list)
{
    size_t count;
    if (!is_list(reading, node, key, &count))
        return false;
    list->texts = ARENA_ARRAY(&reading->config->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        struct key entry = *key;
        entry.type = KEY_TEXT;
        if (!read_scalar(reading, list_entry(reading, node, i), &entry, &list->texts[i]))
            return false;
    }
    list->count = count;
    return true;
}

/* ---- listeners ---- */

/* Role and TLS mode follow from the port. */
static bool complete_listener(const struct reading *reading, const yaml_node_t *node, struct config_listener *listener, bool role_said, bool tls_said)
{
    bool known = listener->port == 25 || listener->port == 587 || listener->port == 465 || listener->port == 2525;
    if (listener->port == 0)
        return fail_at(reading, node, "listeners: the port is missing");
    if (!role_said && !known)
        return fail_at(reading, node, "listeners: port %u needs its role: relay or submission", (unsigned)listener->port);
    if (!role_said)
        listener->role = listener->port == 25 ? ROLE_MX : ROLE_SUBMISSION;
    if (!tls_said)
        listener->tls = listener->port == 465 ? TLS_IMPLICIT : TLS_STARTTLS;
    if (listener->role == ROLE_LOCAL)
        return fail_at(reading, node, "listeners: role local is for the socket in the data folder alone; use relay or submission");
    if (listener->address != NULL && !host_is_ipv4(bytes_of_text(listener->address)) && !host_is_ipv6(bytes_of_text(listener->address)))
        return fail_at(reading, node, "listeners: address %s is not an IP address", listener->address);
    if (listener->role == ROLE_SUBMISSION && listener->tls == TLS_NONE)
        return fail_at(reading, node, "listeners: submission on port %u without TLS would send passwords in clear; use starttls or implicit", (unsigned)listener->port);
    return true;
}

/* An entry of a list into its struct; `said` gets which of `keys` it says. */
static bool read_entry(const struct reading *reading, const yaml_node_t *node, const char *list, const struct key *keys, size_t count, void *into, bool *said)
{
    if (node->type != YAML_MAPPING_NODE)
        return fail_at(reading, node, "%s: each is a group of keys: {%s: ...}", list, keys[0].path);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(reading->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(reading->document, pair->value);
        size_t i = 0;
        while (i < count && !(name->type == YAML_SCALAR_NODE && bytes_is(scalar_text(name), keys[i].path)))
            i++;
        if (i == count)
            return name->type == YAML_SCALAR_NODE ? fail_unknown(reading, name, keys, count, "") : fail_at(reading, name, "%s: a key is wanted", list);
        if (said[i])
            return fail_at(reading, name, "%s is said twice", keys[i].path);
        said[i] = true;
        if (!read_scalar(reading, value, &keys[i], (char *)into + keys[i].offset))
            return false;
    }
    return true;
}

static bool read_listener(const struct reading *reading, const yaml_node_t *node, struct config_listener *listener)
{
    bool said[8] = {false};
    return read_entry(reading, node, "listeners", listener_keys, listener_key_count, listener, said) &&
           complete_listener(reading, node, listener, said[2], said[3]);
}

static bool same_listener(const struct config_listener *a, const struct config_listener *b)
{
    bool same_address = a->address == NULL || b->address == NULL || strcmp(a->address, b->address) == 0;
    return a->port == b->port && same_address;
}

static bool read_listeners(const struct reading *reading, const yaml_node_t *node, const struct key *key)
{
    struct config *config = reading->config;
    size_t count;
    if (!is_list(reading, node, key, &count))
        return false;
    config->listeners = ARENA_ARRAY(&config->arena, struct config_listener, count);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *entry = list_entry(reading, node, i);
        if (!read_listener(reading, entry, &config->listeners[i]))
            return false;
        for (size_t k = 0; k < i; k++)
            if (same_listener(&config->listeners[i], &config->listeners[k]))
                return fail_at(reading, entry, "listeners: port %u is listed twice", (unsigned)config->listeners[i].port);
    }
    config->listener_count = count;
    return true;
}

/* ---- routes ---- */

static bool complete_route(const struct reading *reading, const yaml_node_t *node, struct route_rule *route, const bool *said)
{
    enum { DOMAIN, VIA, HOST, PORT, TLS }; /* of route_keys */
    struct bytes domain = bytes_of_text(route->domain);
    struct bytes name = bytes_starts_nocase(domain, "*.") ? bytes_from(domain, 2) : domain;
    if (!said[DOMAIN])
        return fail_at(reading, node, "relay.routes: the domain is missing: {domain: example.com, ...}; * means all others");
    if (!bytes_is(name, "*") && (!host_is_name(name, true) || host_is_ipv4(name)))
        return fail_at(reading, node, "relay.routes: '%s' is not a domain; write example.com, \"*.example.com\" or \"*\"", route->domain);
    if (said[VIA] && said[HOST])
        return fail_at(reading, node, "relay.routes: %s: give host or via, not both", route->domain);
    if ((said[PORT] || said[TLS]) && !said[HOST])
        return fail_at(reading, node, "relay.routes: %s: %s is for a route with host%s", route->domain, said[PORT] ? "port" : "tls", said[TLS] ? "; for MX hosts there is relay.tls" : "");
    char *lower = arena_text(&reading->config->arena, domain);
    for (char *c = lower; *c != '\0'; c++)
        *c = ascii_lower(*c);
    route->domain = lower;
    if (said[HOST])
        route->via = RELAY_HOST;
    return true;
}

static bool read_routes(const struct reading *reading, const yaml_node_t *node, const struct key *key)
{
    struct config *config = reading->config;
    size_t count;
    if (!is_list(reading, node, key, &count))
        return false;
    config->relay.routes = ARENA_ARRAY(&config->arena, struct route_rule, count);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *entry = list_entry(reading, node, i);
        struct route_rule *route = &config->relay.routes[i];
        bool said[8] = {false};
        *route = (struct route_rule){.via = RELAY_UNSAID};
        if (!read_entry(reading, entry, key->path, route_keys, route_key_count, route, said) || !complete_route(reading, entry, route, said))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(route->domain, config->relay.routes[k].domain) == 0)
                return fail_at(reading, entry, "relay.routes: %s is listed twice", route->domain);
    }
    config->relay.route_count = count;
    return true;
}

struct route_rules config_rules(const struct config *config)
{
    return (struct route_rules){.via = config->relay.via, .rules = config->relay.routes, .count = config->relay.route_count,
                                .smarthost_connections = config->relay.smarthost.connections, .smarthost_rate = config->relay.smarthost.rate};
}

/* ---- domains and their policies ---- */

static bool read_domain(const struct reading *reading, const yaml_node_t *node, const struct key *key, const char **at)
{
    struct bytes text = node->type == YAML_SCALAR_NODE ? scalar_text(node) : bytes_none();
    if (!bytes_is(text, "*") && (!host_is_name(text, true) || host_is_ipv4(text)))
        return fail_at(reading, node, "%s: '%.*s' is not a domain name; write {example.com: dane}, and * for all others", key->path, BYTES_ARG(bytes_first(text, 80)));
    char *lower = arena_text(&reading->config->arena, text);
    for (char *c = lower; *c != '\0'; c++)
        *c = ascii_lower(*c);
    *at = lower;
    return true;
}

static bool read_tls(const struct reading *reading, const yaml_node_t *node, const struct key *key)
{
    struct config *config = reading->config;
    if (node->type != YAML_MAPPING_NODE)
        return fail_at(reading, node, "%s: domains with their policies are wanted: {example.com: dane}", key->path);
    size_t count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    if (count > key->max)
        return fail_at(reading, node, "%s: at most %llu entries", key->path, (unsigned long long)key->max);
    config->relay.tls = ARENA_ARRAY(&config->arena, struct config_tls, count);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        struct config_tls *entry = &config->relay.tls[config->relay.tls_count];
        const yaml_node_t *name = yaml_document_get_node(reading->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(reading->document, pair->value);
        int wish = 0;
        if (!read_domain(reading, name, key, &entry->domain))
            return false;
        if (value->type != YAML_SCALAR_NODE)
            return fail_at(reading, value, "%s: one word is wanted for %s: dane, verify, encrypt, may, none or auto", key->path, entry->domain);
        if (!read_choice(reading, value, key, &wish))
            return false;
        for (size_t i = 0; i < config->relay.tls_count; i++)
            if (strcmp(config->relay.tls[i].domain, entry->domain) == 0)
                return fail_at(reading, name, "%s: %s is listed twice", key->path, entry->domain);
        entry->wish = (enum tls_wish)wish;
        config->relay.tls_count++;
    }
    return true;
}

enum tls_wish config_tls_wish(const struct config *config, struct bytes domain)
{
    enum tls_wish others = WISH_AUTO;
    for (size_t i = 0; i < config->relay.tls_count; i++) {
        const struct config_tls *entry = &config->relay.tls[i];
        if (bytes_is_nocase(domain, entry->domain))
            return entry->wish;
        others = strcmp(entry->domain, "*") == 0 ? entry->wish : others;
    }
    return others;
}

/* ---- the tree of keys ---- */

static bool is_group(const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < config_key_count; i++)
        if (strncmp(config_keys[i].path, path, length) == 0 && config_keys[i].path[length] == '.')
            return true;
    return false;
}

static bool read_key(struct reading *reading, const yaml_node_t *name, const yaml_node_t *value, size_t i)
{
    const struct key *key = &config_keys[i];
    void *at = (char *)reading->config + key->offset;
    if (reading->seen[i] != NULL)
        return fail_at(reading, name, "%s is said twice", key->path);
    reading->seen[i] = value;
    if (key->type == KEY_LIST)
        return read_list(reading, value, key, at);
    if (key->type == KEY_TLS)
        return read_tls(reading, value, key);
    if (key->type == KEY_ROUTES)
        return read_routes(reading, value, key);
    return key->type == KEY_LISTENERS ? read_listeners(reading, value, key) : read_scalar(reading, value, key, at);
}

static bool read_group(struct reading *reading, const yaml_node_t *node, const char *prefix)
{
    if (node->type != YAML_MAPPING_NODE)
        return fail_at(reading, node, "%s keys are wanted here", prefix);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(reading->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(reading->document, pair->value);
        if (name->type != YAML_SCALAR_NODE)
            return fail_at(reading, name, "a key is wanted here");
        char *path = arena_format(&reading->config->arena, "%s%.*s", prefix, BYTES_ARG(bytes_first(scalar_text(name), 200)));
        size_t i = 0;
        while (i < config_key_count && strcmp(config_keys[i].path, path) != 0)
            i++;
        if (i < config_key_count) {
            if (!read_key(reading, name, value, i))
                return false;
        } else if (!is_group(path)) {
            return fail_unknown(reading, name, config_keys, config_key_count, prefix);
        } else if (value->type == YAML_MAPPING_NODE || !(value->type == YAML_SCALAR_NODE && scalar_text(value).length == 0)) {
            if (!read_group(reading, value, arena_format(&reading->config->arena, "%s.", path)))
                return false;
        }
    }
    return true;
}

/* ---- what follows from it, and checks over several keys ---- */

static const yaml_node_t *said_at(const struct reading *reading, const char *path)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].path, path) == 0)
            return reading->seen[i];
    return NULL;
}

/* Every default, from the table's own text. */
static void fill_defaults(struct reading *reading)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct key *key = &config_keys[i];
        if (reading->seen[i] != NULL || key->otherwise == NULL || key->type == KEY_LIST)
            continue;
        yaml_node_t node = {.type = YAML_SCALAR_NODE};
        node.data.scalar.value = (yaml_char_t *)(uintptr_t)key->otherwise;
        node.data.scalar.length = strlen(key->otherwise);
        bool read = read_scalar(reading, &node, key, (char *)reading->config + key->offset);
        assert(read);
    }
}

static void fill_listeners(struct config *config)
{
    static const struct config_listener standard[] = {
        {NULL, 25, ROLE_MX, TLS_STARTTLS}, {NULL, 587, ROLE_SUBMISSION, TLS_STARTTLS},
        {NULL, 465, ROLE_SUBMISSION, TLS_IMPLICIT}, {NULL, 2525, ROLE_SUBMISSION, TLS_STARTTLS}};
    config->listeners = ARENA_ARRAY(&config->arena, struct config_listener, ARRAY_LENGTH(standard));
    memcpy(config->listeners, standard, sizeof standard);
    config->listener_count = ARRAY_LENGTH(standard);
}

static bool check_file(const struct reading *reading, const char *path, const char *file)
{
    if (file == NULL || reading->as_anybody || access(file, R_OK) == 0)
        return true;
    return fail_at(reading, said_at(reading, path), "%s: cannot read %s (%s); give a file that is there, or leave the key out", path, file, strerror(errno));
}

static bool check_tls(const struct reading *reading)
{
    const struct config *config = reading->config;
    if ((config->tls.certificate == NULL) != (config->tls.key == NULL))
        return fail_at(reading, said_at(reading, config->tls.key == NULL ? "tls.certificate" : "tls.key"),
                       "tls.certificate and tls.key belong together; give both or neither");
    return check_file(reading, "tls.certificate", config->tls.certificate) && check_file(reading, "tls.key", config->tls.key);
}

static bool read_password(const struct reading *reading)
{
    struct config *config = reading->config;
    const char *file = config->relay.smarthost.password_file;
    char line[1024] = "";
    if (file == NULL || reading->as_anybody)
        return true;
    FILE *opened = fopen(file, "re");
    if (opened == NULL || fgets(line, sizeof line, opened) == NULL) {
        if (opened != NULL)
            fclose(opened);
        return fail_at(reading, said_at(reading, "relay.smarthost.password_file"), "relay.smarthost.password_file: cannot read a password from %s", file);
    }
    fclose(opened);
    line[strcspn(line, "\r\n")] = '\0';
    config->relay.smarthost.password = arena_text(&config->arena, bytes_of_text(line));
    explicit_bzero(line, sizeof line);
    return true;
}

static bool check_relay(const struct reading *reading)
{
    const struct config *config = reading->config;
    const char *host = config->relay.smarthost.host;
    const yaml_node_t *via = said_at(reading, "relay.via");
    if (config->relay.via != RELAY_MX && host == NULL)
        return fail_at(reading, via, "relay.via: %s needs relay.smarthost.host", config->relay.via == RELAY_AUTO ? "auto" : "smarthost");
    for (size_t i = 0; i < config->relay.route_count; i++)
        if (host == NULL && (config->relay.routes[i].via == RELAY_SMARTHOST || config->relay.routes[i].via == RELAY_AUTO))
            return fail_at(reading, said_at(reading, "relay.routes"), "relay.routes: %s: via: %s needs relay.smarthost.host", config->relay.routes[i].domain,
                           config->relay.routes[i].via == RELAY_AUTO ? "auto" : "smarthost");
    bool loopback = host != NULL && host_is_loopback(bytes_of_text(host));
    if ((int)config->relay.smarthost.tls == SMARTHOST_TLS_NONE && !loopback)
        return fail_at(reading, said_at(reading, "relay.smarthost.tls"),
                       "relay.smarthost.tls: none is for a smarthost on loopback alone; use starttls or implicit");
    const char *secrets[] = {config->relay.smarthost.password_file, config->relay.smarthost.password_command, config->relay.smarthost.token_command};
    static const char *const names[] = {"relay.smarthost.password_file", "relay.smarthost.password_command", "relay.smarthost.token_command"};
    const char *said = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
        if (secrets[i] != NULL && said != NULL)
            return fail_at(reading, said_at(reading, names[i]), "relay.smarthost: give one of password_file, password_command and token_command");
        said = secrets[i] != NULL ? names[i] : said;
    }
    if ((config->relay.smarthost.user == NULL) != (said == NULL))
        return fail_at(reading, said_at(reading, said == NULL ? "relay.smarthost.user" : said), "relay.smarthost: user and password_file (or password_command, or token_command) belong together");
    return check_file(reading, "relay.ca_file", config->relay.ca_file) && check_file(reading, "resolver.trust_anchor", config->resolver.trust_anchor) &&
           read_password(reading);
}

static bool check_domains(const struct reading *reading)
{
    struct config *config = reading->config;
    for (size_t i = 0; i < config->domain_count; i++) {
        struct bytes domain = bytes_of_text(config->domains[i]);
        if (!host_is_name(domain, true) || host_is_ipv4(domain))
            return fail_at(reading, said_at(reading, "domains"), "domains: '%s' is not a domain name", config->domains[i]);
        char *lower = arena_text(&config->arena, domain);
        for (char *c = lower; *c != '\0'; c++)
            *c = ascii_lower(*c);
        config->domains[i] = lower;
    }
    return true;
}

static bool check_send_as(const struct reading *reading)
{
    const struct config *config = reading->config;
    for (size_t i = 0; i < config->submission.send_as_count; i++) {
        struct bytes rest = bytes_of_text(config->submission.send_as[i]);
        struct bytes account = bytes_split(&rest, ' ');
        rest = bytes_trim(rest);
        if (bytes_find(account, '@') == SIZE_MAX || bytes_find(rest, '@') == SIZE_MAX || bytes_find(rest, ' ') != SIZE_MAX)
            return fail_at(reading, said_at(reading, "submission.send_as"), "submission.send_as: '%s' is not an account and an address; write: ada@example.org *@example.org",
                           config->submission.send_as[i]);
    }
    return true;
}

/* "127.0.0.1:24", "[::1]:24", "localhost:24": an address, as the process that calls it has no DNS. */
static bool read_lmtp_address(struct config *config, struct bytes text)
{
    size_t colon = bytes_find_last(text, ':');
    uint64_t port;
    if (colon == SIZE_MAX || !bytes_to_u64(bytes_from(text, colon + 1), UINT16_MAX, &port) || port == 0)
        return false;
    struct bytes host = bytes_first(text, colon);
    bool bracketed = host.length > 2 && host.at[0] == '[' && host.at[host.length - 1] == ']';
    if (bytes_is_nocase(host, "localhost"))
        host = BYTES("127.0.0.1");
    else if (bracketed)
        host = bytes_first(bytes_from(host, 1), host.length - 2);
    if (bracketed ? !host_is_ipv6(host) : !host_is_ipv4(host))
        return false;
    config->mailboxes.lmtp_at.address = arena_text(&config->arena, host);
    config->mailboxes.lmtp_at.port = (uint16_t)port;
    return true;
}

static bool check_mailboxes(const struct reading *reading)
{
    struct config *config = reading->config;
    if (config->mailboxes.lmtp == NULL)
        config->mailboxes.lmtp = arena_format(&config->arena, "unix:%s/dovecot/lmtp/socket", config->data_dir);
    struct bytes lmtp = bytes_of_text(config->mailboxes.lmtp);
    const yaml_node_t *said = said_at(reading, "mailboxes.lmtp");
    if (!bytes_starts_nocase(lmtp, "unix:"))
        return read_lmtp_address(config, lmtp) ||
               fail_at(reading, said, "mailboxes.lmtp: '%s' is neither a socket nor an address; write unix:/run/dovecot/lmtp, or 127.0.0.1:24", config->mailboxes.lmtp);
    config->mailboxes.lmtp_at.path = config->mailboxes.lmtp + strlen("unix:");
    bool fits = lmtp.length - strlen("unix:") <= SOCKET_PATH_MAX || (said == NULL && config->mailboxes.deliver != DELIVER_LMTP);
    return (config->mailboxes.lmtp_at.path[0] == '/' && fits) ||
           fail_at(reading, said, "mailboxes.lmtp: '%s' is not a socket; write unix: and its path, %d octets at most: unix:/run/dovecot/lmtp", config->mailboxes.lmtp, SOCKET_PATH_MAX);
}

static bool complete(struct reading *reading)
{
    struct config *config = reading->config;
    fill_defaults(reading);
    if (config->hostname == NULL)
        return fail_at(reading, NULL, "hostname is missing; give the name of this server: hostname: mail.example.org");
    if (config->listener_count == 0)
        fill_listeners(config);
    for (size_t i = 0; i < config->relay.route_count; i++) {
        struct route_rule *route = &config->relay.routes[i];
        route->via = route->via == RELAY_UNSAID ? config->relay.via : route->via;
        route->port = route->port == 0 ? config->relay.port : route->port;
    }
    if (config->smtpd_count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        config->smtpd_count = cores < 1 ? 1 : cores > 64 ? 64 : (uint32_t)cores;
    }
    if (config->data_dir[0] != '/')
        return fail_at(reading, said_at(reading, "data_dir"), "data_dir: '%s' must be a whole path, from / on", config->data_dir);
    if (config->queue.first_ms > config->queue.max_ms)
        return fail_at(reading, said_at(reading, "queue.retry.first"), "queue.retry: first is longer than max");
    return check_domains(reading) && check_tls(reading) && check_relay(reading) && check_send_as(reading) && check_mailboxes(reading);
}

/* ---- life ---- */

static bool read_document(struct reading *reading, yaml_parser_t *parser)
{
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document))
        return error_set(reading->error, EX_CONFIG, "%s:%zu: this is not YAML: %s", reading->name, parser->problem_mark.line + 1,
                         parser->problem == NULL ? "unknown reason" : parser->problem);
    reading->document = &document;
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    bool read = root == NULL ? fail_at(reading, NULL, "the file is empty; begin with hostname: mail.example.org")
                             : read_group(reading, root, "") && complete(reading);
    yaml_document_delete(&document);
    return read;
}

static bool parse(struct config *config, const char *name, struct bytes text, bool as_anybody, struct error *error)
{
    yaml_parser_t parser;
    *config = (struct config){0};
    if (text.length > FILE_SIZE_MAX)
        return error_set(error, EX_CONFIG, "%s:1: the file is larger than %d octets", name, FILE_SIZE_MAX);
    if (!yaml_parser_initialize(&parser))
        return error_set(error, EX_OSERR, "%s: there is no memory to read it", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.at == NULL ? "" : text.at), text.length);
    struct reading reading = {.config = config, .name = name, .error = error, .as_anybody = as_anybody};
    config->file = arena_text(&config->arena, bytes_of_text(name));
    bool read = read_document(&reading, &parser);
    yaml_parser_delete(&parser);
    if (!read)
        config_free(config);
    return read;
}

bool config_parse(struct config *config, const char *name, struct bytes text, struct error *error)
{
    return parse(config, name, text, false, error);
}

static bool load(struct config *config, const char *file, bool as_anybody, struct error *error)
{
    struct buffer text = {0};
    const char *name = file == NULL ? CONFIG_DEFAULT_FILE : file;
    FILE *opened = fopen(name, "re");
    *config = (struct config){0};
    if (opened == NULL)
        return error_set(error, EX_CONFIG, "%s: cannot read the configuration (%s); make it, or name another with --config", name, strerror(errno));
    size_t got = 1;
    while (got > 0 && text.length <= FILE_SIZE_MAX) {
        got = fread(buffer_reserve(&text, 65536), 1, 65536, opened);
        buffer_written(&text, got);
    }
    bool failed = ferror(opened) != 0;
    fclose(opened);
    bool read = failed ? error_set(error, EX_CONFIG, "%s: cannot be read; is it a file?", name) : parse(config, name, buffer_bytes(&text), as_anybody, error);
    buffer_free(&text);
    return read;
}

bool config_load(struct config *config, const char *file, struct error *error)
{
    return load(config, file, false, error);
}

bool config_load_as_anybody(struct config *config, const char *file, struct error *error)
{
    return load(config, file, true, error);
}

void config_free(struct config *config)
{
    arena_clear(&config->arena);
    *config = (struct config){0};
}

void config_submission_ports(const struct config *config, uint16_t starttls[CONFIG_STARTTLS_PORTS], uint16_t implicit[CONFIG_IMPLICIT_PORTS])
{
    static const uint16_t usual[] = {587, 2525}; /* those that everybody knows come first */
    size_t starttls_count = 0, implicit_count = 0;
    for (size_t pass = 0; pass <= ARRAY_LENGTH(usual); pass++)
        for (size_t i = 0; i < config->listener_count; i++) {
            const struct config_listener *l = &config->listeners[i];
            bool is_usual = l->port == usual[0] || l->port == usual[1], now = pass < ARRAY_LENGTH(usual) ? l->port == usual[pass] : !is_usual;
            if (l->role != ROLE_SUBMISSION || !now)
                continue;
            if (l->tls == TLS_IMPLICIT && implicit_count < CONFIG_IMPLICIT_PORTS)
                implicit[implicit_count++] = l->port;
            else if (l->tls == TLS_STARTTLS && starttls_count < CONFIG_STARTTLS_PORTS)
                starttls[starttls_count++] = l->port;
        }
}
