/* SPDX-License-Identifier: Apache-2.0 */
/* listing: prints rows as columns, or as JSON (--json: one array of objects). */
#ifndef MAILBOAT_CLI_LISTING_H
#define MAILBOAT_CLI_LISTING_H

#include "cli/command.h"
#include "config/config.h"
#include "store/accounts.h"

struct listing {
    /* of the columns; suffix '?' marks a boolean, '#' octets, 0 for no limit */
    const char *const *names;
    size_t count;
    bool json, begun;
};

void listing_begin(struct listing *listing);
void listing_row(struct listing *listing, const char *const *columns);
void listing_end(struct listing *listing);

/* Prints all accounts of one kind; the subcommands' `list`. */
int listing_accounts(const struct command *command, const char *config_file, enum accounts_list list,
                     const char *const *names, size_t count, bool json);

/* Appends the domains of the accounts that are not in the configuration, each with its NUL. */
enum listing_way {
    LISTING_MAKES, /* creates the accounts if they are missing */
    LISTING_LOOKS,
};
bool listing_add_other_domains(const struct config *config, enum listing_way way, struct buffer *names,
                               struct error *error);
/* True if the domain is listed under `domains:` in the configuration. */
bool listing_is_configured(const struct config *config, const char *domain);

#endif
