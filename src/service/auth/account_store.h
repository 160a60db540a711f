/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account_store: the accounts as their one writer has them: DATA/accounts, locked, and
 * DATA/quotas, which follows each change. What may be asked, and what is answered, is
 * the same for who asks the auth process and for a subcommand that takes its part while
 * no server runs (cli/accounts/account_client.h): account_store_change() and _list().
 *
 * DATA/accounts/lock is held by who may write: auth for as long as it lives.
 */
#ifndef MAILBOAT_SERVICE_AUTH_ACCOUNT_STORE_H
#define MAILBOAT_SERVICE_AUTH_ACCOUNT_STORE_H

#include "config/config.h"
#include "ipc/ipc_message.h"
#include "store/accounts.h"

enum account_store_limit {
    ACCOUNT_PAGE_ROWS = 1000,          /* of a list, in one answer */
    ACCOUNT_TARGETS_PAGE = 2000,       /* of an alias, in one question */
    ACCOUNT_TARGETS_OCTETS = 64 << 20, /* of an alias, in one change: memory that they may take */
    ACCOUNT_LOCK_WAIT_MS = 10 * 1000,  /* for a subcommand that is at its change */
};

#define ACCOUNTS_FOLDER "accounts"
#define QUOTAS_FOLDER "quotas"

struct account_store {
    struct accounts *accounts;
    int lock, quotas; /* descriptors */
};

/* As the user whose the folders are. Waits at most `wait_ms` for the lock; EX_UNAVAILABLE
 * when another process holds it still. The accounts are made where they are missing, and
 * the quotas written. Nothing is left open when it fails. */
bool account_store_open(struct account_store *store, const struct config *config, uint32_t wait_ms,
                        struct error *error);
void account_store_close(struct account_store *store);
/* The accounts of an earlier release, DATA/accounts.db, go to DATA/accounts and its owner;
 * with privileges, while no server runs. Does nothing where there are none. */
bool account_store_move_here(const struct config *config, struct error *error);
/* DATA/accounts, in `arena`. */
char *account_store_folder(struct arena *arena, const char *data_dir);

/* One change, from the question to the answer, whose texts are in `arena`: it can hold a
 * secret. What is answered with exit code 0 is on disk. */
void account_store_change(struct account_store *store, const struct ipc_account_change *asked,
                          struct arena *arena, struct ipc_account_changed *answer);

/* A page of a list; texts are in `arena`. */
void account_store_list(struct accounts *accounts, const struct ipc_account_list *asked, struct arena *arena,
                        struct ipc_account_rows *answer);

#endif
