/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quotas: how much the mailboxes may hold, for those who fill them. The truth
 * is in accounts.db, which the local process may not read and Dovecot cannot:
 * the accounts' writer (auth/account_store.h) writes the quotas of all that have
 * their own into DATA/quotas/users, in the form of Dovecot's passwd-file. The local
 * process reads it anew when it is another one; the rest have the configuration's.
 */
#ifndef MAILBOAT_SERVICE_QUOTAS_H
#define MAILBOAT_SERVICE_QUOTAS_H

#include <sys/stat.h>

#include "base/arena.h"
#include "base/map.h"
#include "config/config.h"
#include "store/accounts.h"

/* Of all accounts as they are now; the file in `folder`, DATA/quotas, is replaced as a
 * whole. For the accounts' one writer. False with a reason. */
bool quotas_write(int folder, struct accounts *accounts, struct error *error);
/* DATA/quotas/users. */
char *quotas_path(struct arena *arena, const char *data_dir);

struct quotas {
    const char *folder; /* what the process must be able to read */
    int folder_file;
    uint64_t of_all;  /* the configuration's, octets; 0: no limit */
    struct stat seen; /* the file that was read */
    struct arena arena;
    struct map own; /* address -> uint64_t */
};

/* False with a reason when the folder cannot be opened. */
bool quotas_open(struct quotas *quotas, const struct config *config, uint64_t seed, struct error *error);
void quotas_close(struct quotas *quotas);
/* Reads the file anew where it changed: one system call where it did not.
 * What was known stays where it cannot be read; false then. */
bool quotas_look(struct quotas *quotas);
/* Octets that this user's mailbox may hold; 0: no limit. */
uint64_t quotas_of(const struct quotas *quotas, struct bytes address);

#endif
