/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/config_reader.h"
#include "config/readers.h"
#include "config/yaml_memory.h"
#include "core/port/port_order.h"

enum {
    FILE_SIZE_MAX = 1024 * 1024, /* octets of a configuration file */
};

/* ---- the tree of keys ---- */

static bool is_group(const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < config_key_count; i++)
        if (strncmp(config_keys[i].path, path, length) == 0 && config_keys[i].path[length] == '.')
            return true;
    return false;
}

static bool read_key(struct config_reader *reader, const yaml_node_t *name, const yaml_node_t *value,
                     size_t i)
{
    const struct config_key *key = &config_keys[i];
    void *at = (char *)reader->config + key->offset;
    if (reader->seen[i] != NULL)
        return config_read_fail(reader, name, "duplicate key %s", key->path);
    reader->seen[i] = value;
    if (key->type == KEY_LIST || key->type == KEY_NETWORKS)
        return config_read_list(reader, value, key, at);
    if (key->type == KEY_TLS)
        return config_read_tls(reader, value, key);
    if (key->type == KEY_ROUTES)
        return config_read_routes(reader, value, key);
    if (key->type == KEY_RELAY_DOMAINS)
        return config_read_relay_domains(reader, value, key);
    if (key->type == KEY_LOCAL_USERS)
        return config_read_local_users(reader, value, key);
    return key->type == KEY_LISTENERS ? config_read_listeners(reader, value, key)
                                      : config_read_scalar(reader, value, key, at);
}

static bool read_group(struct config_reader *reader, const yaml_node_t *node, const char *prefix)
{
    if (node->type != YAML_MAPPING_NODE)
        return config_read_fail(reader, node, "expected %s keys", prefix);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *name = yaml_document_get_node(reader->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
        if (name->type != YAML_SCALAR_NODE)
            return config_read_fail(reader, name, "expected a key");
        char *path = arena_format(&reader->config->arena, "%s%.*s", prefix,
                                  BYTES_ARG(bytes_first(config_read_text(name), 200)));
        size_t i = 0;
        while (i < config_key_count && strcmp(config_keys[i].path, path) != 0)
            i++;
        if (i < config_key_count) {
            if (!read_key(reader, name, value, i))
                return false;
        } else if (!is_group(path)) {
            return config_read_fail_unknown(reader, name, config_keys, config_key_count, prefix);
        } else if (value->type == YAML_MAPPING_NODE ||
                   !(value->type == YAML_SCALAR_NODE && config_read_text(value).length == 0)) {
            if (!read_group(reader, value, arena_format(&reader->config->arena, "%s.", path)))
                return false;
        }
    }
    return true;
}

/* ---- life ---- */

static bool read_document(struct config_reader *reader, yaml_parser_t *parser)
{
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document))
        return error_set(reader->error, EX_CONFIG, "%s:%zu: this is not YAML: %s", reader->name,
                         parser->problem_mark.line + 1,
                         parser->problem == NULL ? "unknown reason" : parser->problem);
    reader->document = &document;
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    bool read = root == NULL ? config_read_fail(reader, NULL,
                                                "the file is empty; begin with hostname: mail.example.org")
                             : read_group(reader, root, "") && config_complete(reader);
    yaml_document_delete(&document);
    return read;
}

static bool parse(struct config *config, const char *name, struct bytes text, bool as_anybody,
                  struct error *error)
{
    yaml_parser_t parser;
    *config = (struct config){0};
    if (text.length > FILE_SIZE_MAX)
        return error_set(error, EX_CONFIG, "%s:1: the file is larger than %d bytes", name, FILE_SIZE_MAX);
    if (!yaml_memory_parser(&parser, text))
        return error_set(error, EX_OSERR, "%s: out of memory", name);
    assert(config_key_count <= CONFIG_KEYS_MAX);
    struct config_reader reader = {.config = config, .name = name, .error = error, .as_anybody = as_anybody};
    config->file = arena_text(&config->arena, bytes_of_text(name));
    bool read = read_document(&reader, &parser);
    yaml_parser_delete(&parser);
    if (!read)
        config_free(config);
    return read;
}

bool config_parse(struct config *config, const char *name, struct bytes text, struct error *error)
{
    return parse(config, name, text, false, error);
}

/* Reads the whole file, or one octet more than the limit. Into a buffer that never grows, so that it can
 * be wiped, and without stdio. */
static bool read_text(int file, struct buffer *text)
{
    enum { WANTED = FILE_SIZE_MAX + 1 };
    ssize_t got = 1;
    buffer_reserve(text, WANTED);
    while (got > 0 && text->length < WANTED) {
        got = read(file, text->at + text->length, WANTED - text->length);
        if (got > 0)
            buffer_written(text, (size_t)got);
        else if (got < 0 && errno == EINTR)
            got = 1;
    }
    return got >= 0;
}

static bool load(struct config *config, const char *file, bool as_anybody, struct error *error)
{
    struct buffer text = {0};
    const char *name = file == NULL ? CONFIG_DEFAULT_FILE : file;
    int opened = open(name, O_RDONLY | O_CLOEXEC);
    *config = (struct config){0};
    char readers[READERS_MAX];
    if (opened < 0 && errno == EACCES && readers_explain(name, readers, sizeof readers))
        return error_set(error, EX_NOPERM, "%s; run the command as root (sudo)", readers);
    if (opened < 0)
        return error_set(error, EX_CONFIG,
                         "%s: cannot read the configuration (%s); create it, or name another with --config",
                         name, strerror(errno));
    bool failed = !read_text(opened, &text);
    close(opened);
    bool read = failed ? error_set(error, EX_CONFIG, "%s: cannot be read; is it a file?", name)
                       : parse(config, name, buffer_bytes(&text), as_anybody, error);
    explicit_bzero(text.at, text.length);
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
    arena_wipe(&config->arena);
    *config = (struct config){0};
}

void config_forget_secrets(struct config *config)
{
    const char *const texts[] = {config->relay.smarthost.password_command,
                                 config->relay.smarthost.token_command};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (texts[i] != NULL)
            /* in the arena, which this module owns */
            explicit_bzero((char *)(uintptr_t)texts[i], strlen(texts[i]));
}

/* ---- queries ---- */

static bool is_usual(uint16_t port)
{
    return port != PORT_LAST_RESORT && port_order_of(port) != NULL;
}

void config_submission_ports(const struct config *config, uint16_t starttls[CONFIG_STARTTLS_PORTS],
                             uint16_t implicit[CONFIG_IMPLICIT_PORTS])
{
    size_t starttls_count = 0, implicit_count = 0;
    /* ports that everybody knows come first, in their order, then all others */
    for (size_t pass = 0; pass <= PORT_ORDER_USUAL; pass++)
        for (size_t i = 0; i < config->listener_count; i++) {
            const struct config_listener *l = &config->listeners[i];
            bool now = pass < PORT_ORDER_USUAL ? l->port == port_order[pass].port : !is_usual(l->port);
            if (l->role != ROLE_SUBMISSION || !now)
                continue;
            if (l->tls == TLS_IMPLICIT && implicit_count < CONFIG_IMPLICIT_PORTS)
                implicit[implicit_count++] = l->port;
            else if (l->tls == TLS_STARTTLS && starttls_count < CONFIG_STARTTLS_PORTS)
                starttls[starttls_count++] = l->port;
        }
}

struct route_rules config_rules(const struct config *config)
{
    return (struct route_rules){.via = config->relay.via,
                                .rules = config->relay.routes,
                                .count = config->relay.route_count,
                                .smarthost_connections = config->relay.smarthost.connections,
                                .smarthost_rate = config->relay.smarthost.rate};
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
