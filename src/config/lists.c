/* SPDX-License-Identifier: Apache-2.0 */
/* lists: values with several entries: listeners, routes, policies per domain. */
#include <assert.h>
#include <stdio.h>

#include "config/config_reader.h"
#include "core/dns/host.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "core/route/ip_network.h"

/* ---- lists ---- */

bool config_read_is_list(const struct config_reader *reader, const yaml_node_t *node,
                         const struct config_key *key, size_t *count)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return config_read_fail(reader, node, "%s: expected a list: [one, two]", key->path);
    *count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    return *count <= key->max || config_read_fail(reader, node, "%s: at most %llu entries", key->path,
                                                  (unsigned long long)key->max);
}

const yaml_node_t *config_read_list_entry(const struct config_reader *reader, const yaml_node_t *node,
                                          size_t i)
{
    return yaml_document_get_node(reader->document, node->data.sequence.items.start[i]);
}

static_assert(offsetof(struct config, domain_count) - offsetof(struct config, domains) ==
                  offsetof(struct text_list, count),
              "a list and its count stand side by side");

static bool check_network(const struct config_reader *reader, const yaml_node_t *node,
                          const struct config_key *key, const char *text)
{
    struct ip_network network;
    const char *why;
    return ip_network_parse(bytes_of_text(text), &network, &why) ||
           config_read_fail(reader, node, "%s: '%.60s' %s; use 192.0.2.1, 10.0.0.0/8 or fd00::/8", key->path,
                            text, why);
}

bool config_read_list(const struct config_reader *reader, const yaml_node_t *node,
                      const struct config_key *key, struct text_list *list)
{
    size_t count;
    if (!config_read_is_list(reader, node, key, &count))
        return false;
    list->texts = ARENA_ARRAY(&reader->config->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        struct config_key entry = *key;
        entry.type = KEY_TEXT;
        if (!config_read_scalar(reader, config_read_list_entry(reader, node, i), &entry, &list->texts[i]) ||
            (key->type == KEY_NETWORKS &&
             !check_network(reader, config_read_list_entry(reader, node, i), key, list->texts[i])))
            return false;
    }
    list->count = count;
    return true;
}

/* ---- listeners ---- */

/* "relay" is the place after the roles in the table of keys: an older spelling of mx. */
#define ROLE_RELAY ((enum server_role)(ROLE_LOCAL + 1))

/* Derives role and TLS mode from the port. */
static bool complete_listener(const struct config_reader *reader, const yaml_node_t *node,
                              struct config_listener *listener, bool role_said, bool tls_said)
{
    const struct port_facts *known = port_facts_of(listener->port);
    if (listener->port == 0)
        return config_read_fail(reader, node, "listeners: the port is missing");
    if (!role_said && known == NULL)
        return config_read_fail(reader, node, "listeners: port %u needs its role: mx or submission",
                                (unsigned)listener->port);
    if (listener->role == ROLE_RELAY)
        listener->role = ROLE_MX;
    if (!role_said)
        listener->role = listener->port == PORT_SMTP ? ROLE_MX : ROLE_SUBMISSION;
    if (!tls_said)
        listener->tls = known != NULL && known->tls == CLIENT_TLS_IMPLICIT ? TLS_IMPLICIT : TLS_STARTTLS;
    if (listener->role == ROLE_LOCAL)
        return config_read_fail(reader, node,
                                "listeners: role local is reserved for the socket in the data directory; use "
                                "mx or submission");
    if (listener->address != NULL && !host_is_ipv4(bytes_of_text(listener->address)) &&
        !host_is_ipv6(bytes_of_text(listener->address)))
        return config_read_fail(reader, node, "listeners: address %s is not an IP address",
                                listener->address);
    if (listener->role == ROLE_SUBMISSION && listener->tls == TLS_NONE)
        return config_read_fail(
            reader, node,
            "listeners: submission on port %u without TLS would expose passwords; use starttls or implicit",
            (unsigned)listener->port);
    return true;
}

bool config_read_entry(const struct config_reader *reader, const yaml_node_t *node, const char *list,
                       const struct config_key *keys, size_t count, void *into, bool *said)
{
    if (node->type != YAML_MAPPING_NODE)
        return config_read_fail(reader, node, "%s: expected a list of maps: {%s: ...}", list, keys[0].path);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *name = yaml_document_get_node(reader->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
        size_t i = 0;
        while (i < count &&
               !(name->type == YAML_SCALAR_NODE && bytes_is(config_read_text(name), keys[i].path)))
            i++;
        if (i == count)
            return name->type == YAML_SCALAR_NODE
                       ? config_read_fail_unknown(reader, name, keys, count, "")
                       : config_read_fail(reader, name, "%s: expected a key", list);
        if (said[i])
            return config_read_fail(reader, name, "duplicate key %s", keys[i].path);
        said[i] = true;
        void *at = (char *)into + keys[i].offset;
        if (keys[i].type == KEY_LIST || keys[i].type == KEY_NETWORKS
                ? !config_read_list(reader, value, &keys[i], at)
                : !config_read_scalar(reader, value, &keys[i], at))
            return false;
    }
    return true;
}

static bool read_listener(const struct config_reader *reader, const yaml_node_t *node,
                          struct config_listener *listener)
{
    bool said[8] = {false};
    return config_read_entry(reader, node, "listeners", listener_keys, listener_key_count, listener, said) &&
           complete_listener(reader, node, listener, said[2], said[3]) &&
           config_complete_old_tls(reader, node, listener);
}

static bool same_listener(const struct config_listener *a, const struct config_listener *b)
{
    bool same_address = a->address == NULL || b->address == NULL || strcmp(a->address, b->address) == 0;
    return a->port == b->port && same_address;
}

bool config_read_listeners(const struct config_reader *reader, const yaml_node_t *node,
                           const struct config_key *key)
{
    struct config *config = reader->config;
    size_t count;
    if (!config_read_is_list(reader, node, key, &count))
        return false;
    config->listeners = ARENA_ARRAY(&config->arena, struct config_listener, count);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *entry = config_read_list_entry(reader, node, i);
        if (!read_listener(reader, entry, &config->listeners[i]))
            return false;
        for (size_t k = 0; k < i; k++)
            if (same_listener(&config->listeners[i], &config->listeners[k]))
                return config_read_fail(reader, entry, "listeners: port %u is listed twice",
                                        (unsigned)config->listeners[i].port);
    }
    config->listener_count = count;
    return true;
}

/* ---- routes ---- */

static bool complete_route(const struct config_reader *reader, const yaml_node_t *node,
                           struct route_rule *route, const bool *said)
{
    enum { DOMAIN, VIA, HOST, PORT, TLS }; /* of route_keys */
    struct bytes domain = bytes_of_text(route->domain);
    struct bytes name = bytes_starts_nocase(domain, "*.") ? bytes_from(domain, 2) : domain;
    if (!said[DOMAIN])
        return config_read_fail(
            reader, node,
            "relay.routes: the domain is missing: {domain: example.com, ...}; * is for all others");
    if (!bytes_is(name, "*") && (!host_is_name(name, true) || host_is_ipv4(name)))
        return config_read_fail(
            reader, node, "relay.routes: '%s' is not a domain; use example.com, \"*.example.com\" or \"*\"",
            route->domain);
    if (said[VIA] && said[HOST])
        return config_read_fail(reader, node, "relay.routes: %s: host and via exclude each other",
                                route->domain);
    if ((said[PORT] || said[TLS]) && !said[HOST])
        return config_read_fail(reader, node, "relay.routes: %s: %s requires a route with host%s",
                                route->domain, said[PORT] ? "port" : "tls",
                                said[TLS] ? "; for MX hosts use relay.tls" : "");
    char *lower = arena_text(&reader->config->arena, domain);
    for (char *c = lower; *c != '\0'; c++)
        *c = ascii_lower(*c);
    route->domain = lower;
    if (said[HOST])
        route->via = RELAY_HOST;
    return true;
}

bool config_read_routes(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key)
{
    struct config *config = reader->config;
    size_t count;
    if (!config_read_is_list(reader, node, key, &count))
        return false;
    config->relay.routes = ARENA_ARRAY(&config->arena, struct route_rule, count);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *entry = config_read_list_entry(reader, node, i);
        struct route_rule *route = &config->relay.routes[i];
        bool said[8] = {false};
        *route = (struct route_rule){.via = RELAY_UNSAID};
        if (!config_read_entry(reader, entry, key->path, route_keys, route_key_count, route, said) ||
            !complete_route(reader, entry, route, said))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(route->domain, config->relay.routes[k].domain) == 0)
                return config_read_fail(reader, entry, "relay.routes: %s is listed twice", route->domain);
    }
    config->relay.route_count = count;
    return true;
}

/* ---- local users ---- */

static_assert(offsetof(struct config_local_user, sender_count) -
                      offsetof(struct config_local_user, senders) ==
                  offsetof(struct text_list, count),
              "a list and its count stand side by side");

/* "*", "*@example.org" or an address. */
static bool is_sender_pattern(struct bytes text)
{
    size_t at = bytes_find_last(text, '@');
    if (bytes_is(text, "*"))
        return true;
    return at != SIZE_MAX && at > 0 && host_is_name(bytes_from(text, at + 1), true) &&
           (bytes_find(text, '*') == SIZE_MAX || bytes_is(bytes_first(text, at), "*"));
}

static bool complete_local_user(const struct config_reader *reader, const yaml_node_t *node,
                                const struct config_local_user *user)
{
    if (user->user == NULL)
        return config_read_fail(reader, node,
                                "submission.local.users: the user is missing: {user: www-data, ...}");
    for (size_t i = 0; i < user->sender_count; i++)
        if (!is_sender_pattern(bytes_of_text(user->senders[i])))
            return config_read_fail(reader, node,
                                    "submission.local.users: %s: '%s' is not a sender; use shop@example.org, "
                                    "\"*@example.org\" or \"*\"",
                                    user->user, user->senders[i]);
    return true;
}

/* Limits not set in an entry are inherited later, once the general ones are known (complete.c). */
bool config_read_local_users(const struct config_reader *reader, const yaml_node_t *node,
                             const struct config_key *key)
{
    struct config *config = reader->config;
    size_t count;
    if (!config_read_is_list(reader, node, key, &count))
        return false;
    config->submission.local.users = ARENA_ARRAY(&config->arena, struct config_local_user, count);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *entry = config_read_list_entry(reader, node, i);
        struct config_local_user *user = &config->submission.local.users[i];
        bool said[8] = {false};
        *user = (struct config_local_user){.messages_per_hour = CONFIG_AS_ALL,
                                           .recipients_per_hour = CONFIG_AS_ALL};
        if (!config_read_entry(reader, entry, key->path, local_user_keys, local_user_key_count, user, said) ||
            !complete_local_user(reader, entry, user))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(user->user, config->submission.local.users[k].user) == 0)
                return config_read_fail(reader, entry, "submission.local.users: %s is listed twice",
                                        user->user);
    }
    config->submission.local.user_count = count;
    return true;
}

/* ---- domains and their policies ---- */

static bool read_domain(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key, const char **at)
{
    struct bytes text = node->type == YAML_SCALAR_NODE ? config_read_text(node) : bytes_none();
    if (!bytes_is(text, "*") && (!host_is_name(text, true) || host_is_ipv4(text)))
        return config_read_fail(
            reader, node, "%s: '%.*s' is not a domain name; use {example.com: dane}, and * for all others",
            key->path, BYTES_ARG(bytes_first(text, 80)));
    char *lower = arena_text(&reader->config->arena, text);
    for (char *c = lower; *c != '\0'; c++)
        *c = ascii_lower(*c);
    *at = lower;
    return true;
}

bool config_read_tls(const struct config_reader *reader, const yaml_node_t *node,
                     const struct config_key *key)
{
    struct config *config = reader->config;
    if (node->type != YAML_MAPPING_NODE)
        return config_read_fail(reader, node, "%s: expected domains with their policies: {example.com: dane}",
                                key->path);
    size_t count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    if (count > key->max)
        return config_read_fail(reader, node, "%s: at most %llu entries", key->path,
                                (unsigned long long)key->max);
    config->relay.tls = ARENA_ARRAY(&config->arena, struct config_tls, count);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
         pair++) {
        struct config_tls *entry = &config->relay.tls[config->relay.tls_count];
        const yaml_node_t *name = yaml_document_get_node(reader->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
        int wish = 0;
        if (!read_domain(reader, name, key, &entry->domain))
            return false;
        if (value->type != YAML_SCALAR_NODE)
            return config_read_fail(reader, value,
                                    "%s: expected one value for %s: dane, verify, encrypt, may, none or auto",
                                    key->path, entry->domain);
        if (!config_read_choice(reader, value, key, &wish))
            return false;
        for (size_t i = 0; i < config->relay.tls_count; i++)
            if (strcmp(config->relay.tls[i].domain, entry->domain) == 0)
                return config_read_fail(reader, name, "%s: %s is listed twice", key->path, entry->domain);
        entry->wish = (enum tls_wish)wish;
        config->relay.tls_count++;
    }
    return true;
}
