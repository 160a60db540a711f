/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/listing.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/accounts/account_client.h"
#include "cli/options.h"
#include "cli/queue/format.h"
#include "core/message/quota_warning.h"

void listing_begin(struct listing *listing)
{
    listing->begun = false;
    if (listing->json)
        fputs("[", stdout);
}

static json_t *value_of(const char *name, const char *text)
{
    if (name[strlen(name) - 1] == '?')
        return json_boolean(text != NULL && strcmp(text, "0") != 0);
    if (name[strlen(name) - 1] == '#' && text != NULL)
        return json_integer((json_int_t)strtoull(text, NULL, 10));
    return text == NULL ? json_null() : json_string(text);
}

static void row_as_json(const struct listing *listing, const char *const *columns)
{
    json_t *row = json_object();
    char name[64];
    for (size_t i = 0; i < listing->count; i++) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(listing->names[i], "?#"), listing->names[i]);
        json_object_set_new(row, name, value_of(listing->names[i], columns[i]));
    }
    fputs(listing->begun ? ",\n " : "", stdout);
    json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(row);
}

/* Formats "(quota 1 GiB)", "(quota none)". */
static void size_as_text(const char *name, const char *text)
{
    struct buffer size = {0};
    uint64_t octets = strtoull(text, NULL, 10);
    if (octets > 0)
        quota_warning_add_size(&size, octets);
    printf("(%.*s %s)", (int)strlen(name) - 1, name, octets > 0 ? buffer_text(&size) : "none");
    buffer_free(&size);
}

static void row_as_text(const struct listing *listing, const char *const *columns)
{
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->names[i];
        bool flag = name[strlen(name) - 1] == '?',
             set = flag && columns[i] != NULL && strcmp(columns[i], "0") != 0;
        if ((flag && !set) || columns[i] == NULL)
            continue;
        fputs(i > 0 ? "  " : "", stdout);
        if (flag)
            printf("(%.*s)", (int)strlen(name) - 1, name);
        else if (name[strlen(name) - 1] == '#')
            size_as_text(name, columns[i]);
        else
            format_print(bytes_of_text(columns[i] == NULL ? "" : columns[i])); /* safe for a terminal */
    }
    putchar('\n');
}

void listing_row(struct listing *listing, const char *const *columns)
{
    if (listing->json)
        row_as_json(listing, columns);
    else
        row_as_text(listing, columns);
    listing->begun = true;
}

void listing_end(struct listing *listing)
{
    if (listing->json)
        fputs("]\n", stdout);
}

/* Starts with the first row, so that nothing is printed if the list fails. */
static void each_row(void *owner, const char *const *columns, size_t count)
{
    struct listing *listing = owner;
    if (!listing->begun)
        listing_begin(listing);
    listing_row(listing, columns);
}

/* ---- domains ---- */

struct listed_domains {
    const struct config *config;
    struct buffer *names; /* of the accounts: each NUL-terminated */
};

static void note_domain(void *owner, const char *const *columns, size_t count)
{
    struct listed_domains *domains = owner;
    if (!listing_is_configured(domains->config, columns[0]))
        buffer_add(domains->names, bytes_of(columns[0], strlen(columns[0]) + 1));
}

bool listing_add_other_domains(const struct config *config, enum listing_way way, struct buffer *names,
                               struct error *error)
{
    struct listed_domains domains = {config, names};
    return way == LISTING_LOOKS
               ? account_client_look(config, LIST_DOMAINS, note_domain, &domains, error)
               : account_client_each(config, LIST_DOMAINS, bytes_none(), note_domain, &domains, error);
}

/* Lists those of the configuration first. */
static bool list_domains(const struct config *config, struct listing *listing, struct error *error)
{
    struct buffer names = {0};
    bool done = listing_add_other_domains(config, LISTING_MAKES, &names, error);
    for (size_t i = 0; done && i < config->domain_count; i++)
        each_row(listing, (const char *const[]){config->domains[i], "1"}, 2);
    for (struct bytes left = buffer_bytes(&names); done && left.length > 0; bytes_split(&left, '\0'))
        each_row(listing, (const char *const[]){left.at, "0"}, 2);
    buffer_free(&names);
    return done;
}

bool listing_is_configured(const struct config *config, const char *domain)
{
    struct buffer wanted = {0}, name = {0};
    bool found = false;
    bool is_domain = accounts_domain(&wanted, bytes_of_text(domain));
    for (size_t i = 0; is_domain && !found && i < config->domain_count; i++) {
        buffer_clear(&name);
        found = accounts_domain(&name, bytes_of_text(config->domains[i])) &&
                bytes_equal(buffer_bytes(&name), buffer_bytes(&wanted));
    }
    buffer_free(&wanted);
    buffer_free(&name);
    return found;
}

int listing_accounts(const struct command *command, const char *config_file, enum accounts_list list,
                     const char *const *names, size_t count, bool json)
{
    struct config config;
    struct listing listing = {.names = names, .count = count, .json = json};
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(command, config_file, &config, &exit_code))
        return exit_code;
    bool done = list == LIST_DOMAINS
                    ? list_domains(&config, &listing, &error)
                    : account_client_each(&config, list, bytes_none(), each_row, &listing, &error);
    if (done && !listing.begun)
        listing_begin(&listing);
    if (done)
        listing_end(&listing);
    if (!done)
        exit_code = command_fail(command, &error);
    config_free(&config);
    return exit_code;
}
