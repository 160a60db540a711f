/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account_client: requests of subcommands about the accounts. They go to the auth process of the running
 * server, through its control socket; without a server, a child process replaces auth, as auth's user and
 * with its lock (service/auth/account_store.h). Nothing is written as root, and each change is atomic.
 */
#ifndef MAILBOAT_CLI_ACCOUNTS_ACCOUNT_CLIENT_H
#define MAILBOAT_CLI_ACCOUNTS_ACCOUNT_CLIENT_H

#include "base/buffer.h"
#include "config/config.h"
#include "ipc/ipc_message.h"
#include "store/accounts.h"

/* The result of a change. */
struct account_outcome {
    uint64_t count;       /* new targets */
    struct buffer secret; /* the new application password */
    struct buffer user;   /* owner of the revoked application password */
};

/* False with a reason: 69 if another process has locked the accounts, 77 without permission, otherwise
 * from the accounts. `outcome` may be NULL. */
bool account_client_change(const struct config *config, const struct ipc_account_change *asked,
                           struct account_outcome *outcome, struct error *error);
/* Wipes the secret. */
void account_outcome_free(struct account_outcome *outcome);

/* Calls back for each row of a list. `of`: the account or domain, for LIST_ACCOUNT and LIST_DOMAIN; else
 * empty. */
bool account_client_each(const struct config *config, enum accounts_list list, struct bytes of,
                         accounts_row *each, void *owner, struct error *error);

/* The same, without creating missing files. */
bool account_client_look(const struct config *config, enum accounts_list list, accounts_row *each,
                         void *owner, struct error *error);

/* True if the accounts host the domain. False also if they cannot be read. */
bool account_client_is_hosted(const struct config *config, struct bytes domain);

/* Permanently becomes the user who writes the accounts, in a short-lived process; with `makes` first
 * creates missing parts of the data directory. `config` is a copy: the path of the data directory may
 * change. */
bool account_client_become_writer(struct config *config, bool makes, struct error *error);

#endif
