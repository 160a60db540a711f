/* SPDX-License-Identifier: Apache-2.0 */
/* write: writes the effective configuration as YAML that parses back equally. */
#include "config/keys.h"

/* Returns the octets of the character at the start of `b` if YAML cannot contain it, or treats it as a
 * line end (YAML 1.1, 5.1 and 5.4); else 0. Parsed text has none below U+0080: these take two or three
 * octets. */
static size_t unwritable_length(struct bytes b)
{
    bool no_character = bytes_starts_nocase(b, "\xEF\xBF\xBE") || bytes_starts_nocase(b, "\xEF\xBF\xBF");
    return no_character ? 3 : bytes_control_length(b);
}

static unsigned number_of_character(struct bytes b)
{
    unsigned number = (unsigned char)b.at[0] & (b.length == 2 ? 0x1F : 0x0F);
    for (size_t i = 1; i < b.length; i++)
        number = number << 6 | ((unsigned char)b.at[i] & 0x3F);
    return number;
}

/* Appends double-quoted text, so that it is not parsed as another type. */
static void add_text(struct buffer *out, const char *text)
{
    buffer_add_octet(out, '"');
    for (struct bytes rest = bytes_of_text(text); rest.length > 0;) {
        size_t length = unwritable_length(rest);
        if (length > 1) {
            buffer_add_format(out, "\\u%04X", number_of_character(bytes_first(rest, length)));
        } else {
            length = 1;
            if (rest.at[0] == '"' || rest.at[0] == '\\')
                buffer_add_octet(out, '\\');
            buffer_add_octet(out, rest.at[0]);
        }
        rest = bytes_from(rest, length);
    }
    buffer_add_octet(out, '"');
}

static void add_duration(struct buffer *out, uint64_t ms)
{
    static const struct {
        uint64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (ms % units[i].ms != 0)
        i++;
    buffer_add_format(out, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].unit);
}

static void add_size(struct buffer *out, uint64_t octets)
{
    bool mebi = octets % 1048576 == 0;
    buffer_add_format(out, "%llu%s", (unsigned long long)(mebi ? octets / 1048576 : octets),
                      mebi ? "MiB" : "");
}

static void add_list(struct buffer *out, const char *const *texts, size_t count)
{
    buffer_add_octet(out, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_add_text(out, i == 0 ? "" : ", ");
        add_text(out, texts[i]);
    }
    buffer_add_octet(out, ']');
}

static void add_listeners(struct buffer *out, const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *l = &config->listeners[i];
        buffer_add_text(out, "\n  - {");
        if (l->address != NULL) {
            buffer_add_text(out, "address: ");
            add_text(out, l->address);
            buffer_add_text(out, ", ");
        }
        buffer_add_format(out, "port: %u, role: %s, tls: %s", (unsigned)l->port,
                          listener_keys[2].choices[l->role], listener_keys[3].choices[l->tls]);
        if (l->proxy_count > 0) {
            buffer_add_text(out, ", proxy: ");
            add_list(out, l->proxies, l->proxy_count);
        }
        if (l->old_tls_count > 0) {
            buffer_add_text(out, ", old_tls: ");
            add_list(out, l->old_tls, l->old_tls_count);
        }
        buffer_add_octet(out, '}');
    }
}

static void add_tls(struct buffer *out, const struct config *config)
{
    buffer_add_octet(out, '{');
    for (size_t i = 0; i < config->relay.tls_count; i++) {
        buffer_add_text(out, i == 0 ? "" : ", ");
        add_text(out, config->relay.tls[i].domain);
        buffer_add_format(out, ": %s", tls_wishes[config->relay.tls[i].wish]);
    }
    buffer_add_octet(out, '}');
}

static void add_routes(struct buffer *out, const struct config *config)
{
    for (size_t i = 0; i < config->relay.route_count; i++) {
        const struct route_rule *r = &config->relay.routes[i];
        buffer_add_text(out, "\n    - {domain: ");
        add_text(out, r->domain);
        if (r->via == RELAY_HOST) {
            buffer_add_text(out, ", host: ");
            add_text(out, r->host);
            buffer_add_format(out, ", port: %u, tls: %s", (unsigned)r->port, route_keys[4].choices[r->tls]);
        } else {
            buffer_add_format(out, ", via: %s", route_keys[1].choices[r->via]);
        }
        if (r->connections > 0)
            buffer_add_format(out, ", connections: %u", r->connections);
        if (r->rate > 0)
            buffer_add_format(out, ", rate: %u", r->rate);
        buffer_add_octet(out, '}');
    }
    if (config->relay.route_count == 0)
        buffer_add_text(out, " []");
}

static void add_relay_domains(struct buffer *out, const struct config *config)
{
    for (size_t i = 0; i < config->relay.domain_count; i++) {
        const struct config_relay_domain *relayed = &config->relay.domains[i];
        buffer_add_text(out, "\n    - {domain: ");
        add_text(out, relayed->domain);
        if (relayed->recipient_count > 0) {
            buffer_add_text(out, ", recipients: ");
            add_list(out, relayed->recipients, relayed->recipient_count);
        }
        if (relayed->recipients_file != NULL) {
            buffer_add_text(out, ", recipients_file: ");
            add_text(out, relayed->recipients_file);
        }
        buffer_add_octet(out, '}');
    }
    if (config->relay.domain_count == 0)
        buffer_add_text(out, " []");
}

static void add_local_users(struct buffer *out, const struct config *config)
{
    for (size_t i = 0; i < config->submission.local.user_count; i++) {
        const struct config_local_user *user = &config->submission.local.users[i];
        buffer_add_text(out, "\n      - {user: ");
        add_text(out, user->user);
        buffer_add_format(out, ", messages_per_hour: %u, recipients_per_hour: %u", user->messages_per_hour,
                          user->recipients_per_hour);
        if (user->sender_count > 0) {
            buffer_add_text(out, ", senders: ");
            add_list(out, user->senders, user->sender_count);
        }
        buffer_add_octet(out, '}');
    }
    if (config->submission.local.user_count == 0)
        buffer_add_text(out, " []");
}

static void add_value(struct buffer *out, const struct config *config, const struct config_key *key)
{
    const void *at = (const char *)config + key->offset;
    switch (key->type) {
    case KEY_TEXT:
    case KEY_HOST: add_text(out, *(const char *const *)at); break;
    case KEY_SIZE: add_size(out, *(const uint64_t *)at); break;
    case KEY_DURATION:
        if (*(const uint64_t *)at == 0 && key->choices != NULL)
            buffer_add_text(out, key->choices[0]);
        else
            add_duration(out, *(const uint64_t *)at);
        break;
    case KEY_NUMBER: buffer_add_format(out, "%u", *(const uint32_t *)at); break;
    case KEY_PORT: buffer_add_format(out, "%u", *(const uint16_t *)at); break;
    case KEY_PORT_AUTO:
        if (*(const uint16_t *)at == 0)
            buffer_add_text(out, "auto");
        else
            buffer_add_format(out, "%u", *(const uint16_t *)at);
        break;
    case KEY_FACTOR: buffer_add_format(out, "%g", *(const double *)at); break;
    case KEY_FLAG: buffer_add_text(out, *(const bool *)at ? "true" : "false"); break;
    case KEY_CHOICE: buffer_add_text(out, key->choices[*(const int *)at]); break;
    case KEY_LIST:
    case KEY_NETWORKS:
        add_list(out, *(const char *const *const *)at,
                 *(const size_t *)(const void *)((const char *)at + sizeof(char **)));
        break;
    case KEY_LISTENERS: add_listeners(out, config); break;
    case KEY_TLS: add_tls(out, config); break;
    case KEY_ROUTES: add_routes(out, config); break;
    case KEY_LOCAL_USERS: add_local_users(out, config); break;
    case KEY_RELAY_DOMAINS: add_relay_domains(out, config); break;
    }
}

static bool is_said(const struct config *config, const struct config_key *key)
{
    bool pointer = key->type == KEY_TEXT || key->type == KEY_HOST;
    return !pointer || *(const char *const *)(const void *)((const char *)config + key->offset) != NULL;
}

/* Opens the groups of `path` that are not in `before`. */
static size_t add_groups(struct buffer *out, const char *before, const char *path)
{
    size_t depth = 0, start = 0;
    bool same = true;
    for (size_t i = 0; path[i] != '\0'; i++) {
        if (path[i] != '.')
            continue;
        same = same && strncmp(before, path, i + 1) == 0;
        if (!same)
            buffer_add_format(out, "%*s%.*s:\n", (int)(2 * depth), "", (int)(i - start), path + start);
        start = i + 1;
        depth++;
    }
    buffer_add_format(out, "%*s%s:", (int)(2 * depth), "", path + start);
    return depth;
}

void config_write(const struct config *config, struct buffer *out)
{
    const char *before = "";
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (!is_said(config, key))
            continue;
        add_groups(out, before, key->path);
        before = key->path;
        if (key->type != KEY_LISTENERS && key->type != KEY_ROUTES && key->type != KEY_LOCAL_USERS &&
            key->type != KEY_RELAY_DOMAINS)
            buffer_add_octet(out, ' ');
        add_value(out, config, key);
        buffer_add_octet(out, '\n');
    }
}
