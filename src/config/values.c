/* SPDX-License-Identifier: Apache-2.0 */
/* values: parses single values with their units and bounds, and reports errors. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "config/config_reader.h"
#include "core/dns/host.h"
#include "core/text/near_word.h"
#include "core/text/quantity.h"

/* ---- errors: FILE:LINE: what; hint ---- */

bool config_read_fail(const struct config_reader *reader, const yaml_node_t *node, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t line = node == NULL ? 1 : node->start_mark.line + 1;
    return error_set(reader->error, EX_CONFIG, "%s:%zu: %s", reader->name, line, text);
}

struct bytes config_read_text(const yaml_node_t *node)
{
    return bytes_of(node->data.scalar.value, node->data.scalar.length);
}

/* Returns the next part of a key's path after `prefix`, empty if the path differs. */
static struct bytes part_behind(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(path, prefix, length) != 0)
        return bytes_none();
    struct bytes rest = bytes_of_text(path + length);
    return bytes_split(&rest, '.');
}

bool config_read_fail_unknown(const struct config_reader *reader, const yaml_node_t *node,
                              const struct config_key *keys, size_t count, const char *prefix)
{
    struct bytes said = config_read_text(node), best = bytes_none();
    unsigned least = 4;
    for (size_t i = 0; i < count; i++) {
        struct bytes part = part_behind(keys[i].path, prefix);
        unsigned away = part.length == 0 ? UINT_MAX : near_word_slips(said, part);
        if (away < least) {
            least = away;
            best = part;
        }
    }
    if (best.length > 0)
        return config_read_fail(reader, node, "unknown key '%s%.*s'; did you mean '%.*s'?", prefix,
                                BYTES_ARG(bytes_first(said, 80)), BYTES_ARG(best));
    return config_read_fail(reader, node, "unknown key '%s%.*s'; mailboat.conf(5) lists all keys", prefix,
                            BYTES_ARG(bytes_first(said, 80)));
}

/* ---- values ---- */

static bool fail_bounds(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key)
{
    return config_read_fail(reader, node, "%s: %.*s is out of range: %llu to %llu%s", key->path,
                            BYTES_ARG(bytes_first(config_read_text(node), 80)), (unsigned long long)key->min,
                            (unsigned long long)key->max,
                            key->type == KEY_SIZE       ? " octets"
                            : key->type == KEY_DURATION ? " ms"
                                                        : "");
}

static bool read_number(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key, void *at)
{
    static const char *const forms[] = {[KEY_SIZE] = "a size such as 50MiB",
                                        [KEY_DURATION] = "a time such as 30s, 5m, 4h or 5d",
                                        [KEY_NUMBER] = "a whole number",
                                        [KEY_PORT] = "a port number",
                                        [KEY_PORT_AUTO] = "auto, or a port number"};
    struct bytes text = config_read_text(node);
    uint64_t value = 0;
    if (key->type == KEY_PORT_AUTO && bytes_is_nocase(text, "auto")) {
        *(uint16_t *)at = 0;
        return true;
    }
    if (key->type == KEY_DURATION && key->choices != NULL && bytes_is_nocase(text, key->choices[0])) {
        *(uint64_t *)at = 0;
        return true;
    }
    bool read = key->type == KEY_SIZE       ? quantity_size(text, &value)
                : key->type == KEY_DURATION ? quantity_duration(text, &value)
                                            : bytes_to_u64(text, UINT64_MAX, &value);
    if (!read)
        return config_read_fail(reader, node, "%s: '%.*s' is not %s%s%s", key->path,
                                BYTES_ARG(bytes_first(text, 80)), forms[key->type],
                                key->choices == NULL ? "" : ", or ",
                                key->choices == NULL ? "" : key->choices[0]);
    if (value < key->min || value > key->max)
        return fail_bounds(reader, node, key);
    if (key->type == KEY_NUMBER)
        *(uint32_t *)at = (uint32_t)value;
    else if (key->type == KEY_PORT || key->type == KEY_PORT_AUTO)
        *(uint16_t *)at = (uint16_t)value;
    else
        *(uint64_t *)at = value;
    return true;
}

static bool read_factor(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key, double *at)
{
    char text[32] = "", *end;
    struct bytes said = config_read_text(node);
    if (said.length < sizeof text)
        memcpy(text, said.at, said.length);
    *at = strtod(text, &end);
    if (text[0] == '\0' || *end != '\0' || !(*at >= (double)key->min && *at <= (double)key->max))
        return config_read_fail(reader, node, "%s: '%.*s' is not a number from %llu to %llu", key->path,
                                BYTES_ARG(bytes_first(said, 80)), (unsigned long long)key->min,
                                (unsigned long long)key->max);
    return true;
}

bool config_read_choice(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key, int *at)
{
    struct bytes text = config_read_text(node);
    struct buffer all = {0};
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (bytes_is_nocase(text, key->choices[i])) {
            *at = i;
            buffer_free(&all);
            return true;
        }
        buffer_add_format(&all, "%s%s", i == 0 ? "" : ", ", key->choices[i]);
    }
    config_read_fail(reader, node, "%s: '%.*s' is not one of: %s", key->path,
                     BYTES_ARG(bytes_first(text, 80)), buffer_text(&all));
    buffer_free(&all);
    return false;
}

static bool read_flag(const struct config_reader *reader, const yaml_node_t *node,
                      const struct config_key *key, bool *at)
{
    struct bytes text = config_read_text(node);
    *at = bytes_is_nocase(text, "true") || bytes_is_nocase(text, "yes") || bytes_is_nocase(text, "on");
    bool off = bytes_is_nocase(text, "false") || bytes_is_nocase(text, "no") || bytes_is_nocase(text, "off");
    return *at || off ||
           config_read_fail(reader, node, "%s: '%.*s' is neither true nor false", key->path,
                            BYTES_ARG(bytes_first(text, 80)));
}

static bool read_text(const struct config_reader *reader, const yaml_node_t *node,
                      const struct config_key *key, const char **at)
{
    struct bytes text = config_read_text(node);
    if (text.length == 0 || bytes_has_control(text))
        return config_read_fail(reader, node, "%s: expected a string", key->path);
    if (key->type == KEY_HOST) {
        enum host_kind kind = host_parse(text, true);
        if (kind == HOST_IMPOSSIBLE_ADDRESS)
            return config_read_fail(reader, node, "%s: %.*s looks like an IP address but is not valid",
                                    key->path, BYTES_ARG(bytes_first(text, 80)));
        if (kind == HOST_INVALID)
            return config_read_fail(reader, node, "%s: '%.*s' is not a host name: %s", key->path,
                                    BYTES_ARG(bytes_first(text, 80)), host_fault(text, true));
    }
    *at = arena_text(&reader->config->arena, text);
    return true;
}

bool config_read_scalar(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key, void *at)
{
    if (node->type != YAML_SCALAR_NODE)
        return config_read_fail(reader, node, "%s: expected a single value, not a list or a map", key->path);
    switch (key->type) {
    case KEY_TEXT:
    case KEY_HOST: return read_text(reader, node, key, at);
    case KEY_SIZE:
    case KEY_DURATION:
    case KEY_NUMBER:
    case KEY_PORT:
    case KEY_PORT_AUTO: return read_number(reader, node, key, at);
    case KEY_FACTOR: return read_factor(reader, node, key, at);
    case KEY_FLAG: return read_flag(reader, node, key, at);
    case KEY_CHOICE: return config_read_choice(reader, node, key, at);
    case KEY_LIST:
    case KEY_NETWORKS:
    case KEY_TLS:
    case KEY_ROUTES:
    case KEY_LOCAL_USERS:
    case KEY_RELAY_DOMAINS:
    case KEY_LISTENERS: break;
    }
    return false;
}
