/* SPDX-License-Identifier: Apache-2.0 */
/* listing: rows of facts for people (columns) or for programs (--json: one array of objects). */
#ifndef MAILBOAT_CLI_LISTING_H
#define MAILBOAT_CLI_LISTING_H

#include "cli/command.h"
#include "config/config.h"
#include "store/accounts.h"

struct listing {
    /* of the columns; a name that ends in '?' is a yes or no, in '#' octets, 0 for no limit */
    const char *const *names;
    size_t count;
    bool json, begun;
};

void listing_begin(struct listing *listing);
void listing_row(struct listing *listing, const char *const *columns);
void listing_end(struct listing *listing);

/* All of one kind of account; the subcommands' `list`. */
int listing_accounts(const struct command *command, const char *config_file, enum accounts_list list,
                     const char *const *names, size_t count, bool json);

/* Does the domain stand under `domains:` in the configuration? */
bool listing_is_configured(const struct config *config, const char *domain);

#endif
