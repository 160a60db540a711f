/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account_client: what subcommands ask of the accounts. The auth process of the running
 * server is asked, through its control socket; where none runs, a process of our own does
 * auth's part, as auth's user and with its lock (service/auth/account_store.h). Nothing
 * is written as root, and each change is done as a whole or not at all.
 */
#ifndef MAILBOAT_CLI_ACCOUNTS_ACCOUNT_CLIENT_H
#define MAILBOAT_CLI_ACCOUNTS_ACCOUNT_CLIENT_H

#include "base/buffer.h"
#include "config/config.h"
#include "ipc/ipc_message.h"
#include "store/accounts.h"

/* What came of a change. */
struct account_outcome {
    uint64_t count;       /* targets that were not there before */
    struct buffer secret; /* the application password that was made */
    struct buffer user;   /* whose application password was revoked */
};

/* False with a reason: 69 when the accounts are another process's just now, 77 without
 * the permission, else as the accounts say. `outcome` may be NULL. */
bool account_client_change(const struct config *config, const struct ipc_account_change *asked,
                           struct account_outcome *outcome, struct error *error);
/* Wipes what was secret. */
void account_outcome_free(struct account_outcome *outcome);

/* Row after row of a list. `of`: whose, for LIST_ACCOUNT and LIST_DOMAIN; else empty. */
bool account_client_each(const struct config *config, enum accounts_list list, struct bytes of,
                         accounts_row *each, void *owner, struct error *error);

/* The same, where what is missing is not made: for those who only look. */
bool account_client_look(const struct config *config, enum accounts_list list, accounts_row *each,
                         void *owner, struct error *error);

/* Is it hosted by the accounts? False too where they cannot be read. */
bool account_client_is_hosted(const struct config *config, struct bytes domain);

/* Becomes the user who writes the accounts, for good, in a process that ends; what is
 * missing of the data directory is made before, where `makes`. `config` is a copy: where
 * the data directory is may be another name afterwards. */
bool account_client_become_writer(struct config *config, bool makes, struct error *error);

#endif
