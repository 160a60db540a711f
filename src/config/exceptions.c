/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exceptions: what the configuration allows for a few: mail of a domain that is passed on to its own server,
 * for the recipients that exist there; TLS 1.0 and 1.1 for the devices that know no other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config/config_reader.h"
#include "core/dns/host.h"
#include "core/import/table_text.h"
#include "core/route/ip_network.h"

/* ---- domains that are passed on ---- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *lowered(struct arena *arena, struct bytes text)
{
    char *lower = arena_text(arena, text);
    for (char *c = lower; *c != '\0'; c++)
        *c = ascii_lower(*c);
    return lower;
}

/* Adds a recipient's local part; `place` is the line of a file, or 0. */
static bool add_recipient(const struct config_reader *reader, const yaml_node_t *node,
                          struct config_relay_domain *relayed, struct bytes recipient, size_t line)
{
    size_t at = bytes_find_last(recipient, '@');
    struct bytes local = bytes_first(recipient, at);
    bool own = at == SIZE_MAX || bytes_is_nocase(bytes_from(recipient, at + 1), relayed->domain);
    if (!own || local.length == 0 || bytes_find(recipient, '*') != SIZE_MAX)
        return config_read_fail(reader, node,
                                line > 0 ? "relay.domains: %s, line %zu: '%.*s' is not an address of %s"
                                         : "relay.domains: %s%.0zu: '%.*s' is not an address of %s; all are "
                                           "listed, one by one",
                                line > 0 ? relayed->recipients_file : relayed->domain, line,
                                BYTES_ARG(bytes_first(recipient, 80)), relayed->domain);
    if (relayed->accepted_count == CONFIG_RELAY_RECIPIENTS_MAX)
        return config_read_fail(reader, node, "relay.domains: %s: more than %d recipients", relayed->domain,
                                CONFIG_RELAY_RECIPIENTS_MAX);
    if (relayed->accepted_count == relayed->accepted_capacity) {
        size_t room = relayed->accepted_capacity == 0 ? 64 : 2 * relayed->accepted_capacity;
        const char **larger = ARENA_ARRAY(&reader->config->arena, const char *, room);
        if (relayed->accepted_count > 0)
            memcpy(larger, relayed->accepted, relayed->accepted_count * sizeof *larger);
        relayed->accepted = larger;
        relayed->accepted_capacity = room;
    }
    relayed->accepted[relayed->accepted_count++] = lowered(&reader->config->arena, local);
    return true;
}

/* A file of addresses, one per line; a second word, as in Postfix's relay_recipient_maps, is ignored. */
static bool read_recipients(const struct config_reader *reader, const yaml_node_t *node,
                            struct config_relay_domain *relayed)
{
    struct buffer text = {0};
    struct table_text table;
    struct bytes line, key, rest;
    size_t number, got = 0;
    errno = 0;
    struct stat facts;
    bool is_file = stat(relayed->recipients_file, &facts) == 0 && S_ISREG(facts.st_mode);
    FILE *file = is_file ? fopen(relayed->recipients_file, "re") : NULL;
    if (file == NULL)
        return config_read_fail(reader, node, "relay.domains: cannot read %s (%s)", relayed->recipients_file,
                                errno != 0 ? strerror(errno) : "it is not a file");
    do {
        got = fread(buffer_reserve(&text, 1 << 16), 1, 1 << 16, file);
        buffer_written(&text, got);
    } while (got > 0 && text.length < CONFIG_RELAY_FILE_MAX);
    fclose(file);
    bool done = text.length < CONFIG_RELAY_FILE_MAX ||
                config_read_fail(reader, node, "relay.domains: %s is too large", relayed->recipients_file);
    table_text_start(&table, buffer_bytes(&text));
    while (done && table_text_next(&table, &line, &number)) {
        table_text_split(line, &key, &rest);
        done = add_recipient(reader, node, relayed, key, number);
    }
    table_text_free(&table);
    buffer_free(&text);
    return done;
}

static bool complete_relay_domain(const struct config_reader *reader, const yaml_node_t *node,
                                  struct config_relay_domain *relayed)
{
    struct bytes domain = bytes_of_text(relayed->domain);
    bool listed = relayed->recipient_count > 0 || relayed->recipients_file != NULL;
    if (relayed->domain == NULL || !host_is_name(domain, false) || host_is_ipv4(domain))
        return config_read_fail(
            reader, node,
            "relay.domains: the domain is missing: {domain: example.com, recipients_file: "
            "/etc/mailboat/example.com.recipients}");
    relayed->domain = lowered(&reader->config->arena, domain);
    if (!listed)
        return config_read_fail(
            reader, node,
            "relay.domains: %s: recipients or recipients_file is missing; without them this "
            "server would accept mail for addresses that do not exist, and send reports to "
            "forged senders",
            relayed->domain);
    for (size_t i = 0; i < relayed->recipient_count; i++)
        if (!add_recipient(reader, node, relayed, bytes_of_text(relayed->recipients[i]), 0))
            return false;
    if (relayed->recipients_file != NULL && !reader->as_anybody && !read_recipients(reader, node, relayed))
        return false;
    if (relayed->accepted_count > 0)
        qsort(relayed->accepted, relayed->accepted_count, sizeof *relayed->accepted, compare_texts);
    return true;
}

bool config_read_relay_domains(const struct config_reader *reader, const yaml_node_t *node,
                               const struct config_key *key)
{
    struct config *config = reader->config;
    size_t count;
    if (!config_read_is_list(reader, node, key, &count))
        return false;
    config->relay.domains = ARENA_ARRAY(&config->arena, struct config_relay_domain, count);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *entry = config_read_list_entry(reader, node, i);
        struct config_relay_domain *relayed = &config->relay.domains[i];
        bool said[8] = {false};
        if (!config_read_entry(reader, entry, key->path, relay_domain_keys, relay_domain_key_count, relayed,
                               said) ||
            !complete_relay_domain(reader, entry, relayed))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(relayed->domain, config->relay.domains[k].domain) == 0)
                return config_read_fail(reader, entry, "relay.domains: %s is listed twice", relayed->domain);
    }
    config->relay.domain_count = count;
    return true;
}

enum config_relayed config_relayed(const struct config *config, struct bytes canonical)
{
    size_t at = bytes_find_last(canonical, '@');
    char name[CONFIG_LOCAL_PART_MAX + 1];
    const char *key = name;
    for (size_t i = 0; at != SIZE_MAX && i < config->relay.domain_count; i++) {
        const struct config_relay_domain *relayed = &config->relay.domains[i];
        if (!bytes_is_nocase(bytes_from(canonical, at + 1), relayed->domain))
            continue;
        size_t plus = bytes_find(bytes_first(canonical, at), '+');
        const size_t lengths[] = {at, plus == SIZE_MAX || plus == 0 ? at : plus};
        for (size_t k = 0; k < ARRAY_LENGTH(lengths) && at < sizeof name; k++) {
            memcpy(name, canonical.at, lengths[k]);
            name[lengths[k]] = '\0';
            if (strcmp(name, "postmaster") == 0 || /* RFC 5321 4.5.1 */
                bsearch(&key, relayed->accepted, relayed->accepted_count, sizeof *relayed->accepted,
                        compare_texts) != NULL)
                return CONFIG_RELAYED;
        }
        return CONFIG_RELAYED_NOT_FOR;
    }
    return CONFIG_NOT_RELAYED;
}

/* ---- old versions of TLS ---- */

bool config_complete_old_tls(const struct config_reader *reader, const yaml_node_t *node,
                             struct config_listener *listener)
{
    for (size_t i = 0; i < listener->old_tls_count; i++) {
        struct ip_network network;
        const char *why;
        if (!ip_network_parse(bytes_of_text(listener->old_tls[i]), &network, &why))
            return config_read_fail(reader, node, "listeners: old_tls: %s %s", listener->old_tls[i], why);
        unsigned least = CONFIG_OLD_TLS_BITS_MIN * (network.address.six ? 2 : 1);
        if (network.bits < least)
            return config_read_fail(
                reader, node,
                "listeners: old_tls: %s is too large a network for an exception; name the "
                "devices, or a network of at least /%u",
                listener->old_tls[i], least);
    }
    return listener->old_tls_count == 0 || listener->tls != TLS_NONE ||
           config_read_fail(reader, node, "listeners: old_tls needs a listener with TLS");
}
