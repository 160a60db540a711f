/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account_store: the accounts for their only writer: DATA/accounts, locked, and DATA/quotas, which is
 * updated with each change. Requests and answers are the same for clients of the auth process and for a
 * subcommand that replaces it while no server runs (cli/accounts/account_client.h): account_store_change()
 * and _list().
 *
 * The writer holds DATA/accounts/lock: auth for its whole life.
 */
#ifndef MAILBOAT_SERVICE_AUTH_ACCOUNT_STORE_H
#define MAILBOAT_SERVICE_AUTH_ACCOUNT_STORE_H

#include "config/config.h"
#include "ipc/ipc_message.h"
#include "store/accounts.h"

enum account_store_limit {
    ACCOUNT_PAGE_ROWS = 1000,          /* of a list, per answer */
    ACCOUNT_TARGETS_PAGE = 2000,       /* of an alias, per request */
    ACCOUNT_TARGETS_OCTETS = 64 << 20, /* of an alias, per change: their memory */
    ACCOUNT_LOCK_WAIT_MS = 10 * 1000,  /* wait for a subcommand that is changing accounts */
};

#define ACCOUNTS_FOLDER "accounts"
#define QUOTAS_FOLDER "quotas"

struct account_store {
    struct accounts *accounts;
    int lock, quotas; /* descriptors */
};

/* To be called as the user who owns the folders. Waits at most `wait_ms` for the lock; EX_UNAVAILABLE if
 * another process still holds it. Creates the accounts if missing, and writes the quotas. On failure
 * nothing stays open. */
bool account_store_open(struct account_store *store, const struct config *config, uint32_t wait_ms,
                        struct error *error);
void account_store_close(struct account_store *store);
/* Moves the accounts of an earlier release, DATA/accounts.db, to DATA/accounts and its owner; with
 * privileges, while no server runs. Does nothing if there are none. */
bool account_store_move_here(const struct config *config, struct error *error);
/* Returns DATA/accounts, in `arena`. */
char *account_store_folder(struct arena *arena, const char *data_dir);

/* Makes one change and its answer, whose texts are in `arena`: it can contain a secret. Exit code 0 means
 * that the change is on disk. */
void account_store_change(struct account_store *store, const struct ipc_account_change *asked,
                          struct arena *arena, struct ipc_account_changed *answer);

/* Returns a page of a list; texts are in `arena`. */
void account_store_list(struct accounts *accounts, const struct ipc_account_list *asked, struct arena *arena,
                        struct ipc_account_rows *answer);

#endif
