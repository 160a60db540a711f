/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quotas: the quotas of mailboxes, for the programs that deliver into them. They are stored in
 * accounts.db, which the local process may not read and Dovecot cannot: the accounts' writer
 * (auth/account_store.h) writes all individual quotas into DATA/quotas/users, in the format of Dovecot's
 * passwd-file. The local process rereads it when it changes; other mailboxes have the configured default.
 */
#ifndef MAILBOAT_SERVICE_QUOTAS_H
#define MAILBOAT_SERVICE_QUOTAS_H

#include <sys/stat.h>

#include "base/arena.h"
#include "base/map.h"
#include "config/config.h"
#include "store/accounts.h"

/* Writes the quotas of all current accounts; replaces the file in `folder`, DATA/quotas, as a whole. Only
 * for the accounts' writer. False with a reason. */
bool quotas_write(int folder, struct accounts *accounts, struct error *error);
/* Returns DATA/quotas/users. */
char *quotas_path(struct arena *arena, const char *data_dir);

struct quotas {
    const char *folder; /* path that the process must be able to read */
    int folder_file;
    uint64_t of_all;  /* configured default, octets; 0: no limit */
    struct stat seen; /* of the file that was read */
    struct arena arena;
    struct map own; /* address -> uint64_t */
};

/* False with a reason if the folder cannot be opened. */
bool quotas_open(struct quotas *quotas, const struct config *config, uint64_t seed, struct error *error);
void quotas_close(struct quotas *quotas);
/* Rereads the file if it changed: one system call if not. On failure returns false and keeps the known
 * quotas. */
bool quotas_look(struct quotas *quotas);
/* Returns the octets that this user's mailbox may hold; 0: no limit. */
uint64_t quotas_of(const struct quotas *quotas, struct bytes address);

#endif
