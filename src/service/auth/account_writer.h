/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account_writer: the thread that writes the accounts. It has its own handle (account_store.h), so that
 * neither a slow hash nor a sync delays the event loop; the loop's handle only reads. Jobs are done in
 * order; after each change the accounts' version is bumped (accounts_version.h), before any answer is
 * sent.
 */
#ifndef MAILBOAT_SERVICE_AUTH_ACCOUNT_WRITER_H
#define MAILBOAT_SERVICE_AUTH_ACCOUNT_WRITER_H

#include "service/accounts_version.h"
#include "service/auth/account_store.h"

/* A requested change, or a SCRAM verifier made after a password, or with `key` an application password,
 * was verified. Texts are in `arena`, or live as long. */
struct account_job {
    struct account_job *next;
    struct arena arena; /* for the request and the answer; wiped with the job */
    struct ipc_account_change asked;
    struct ipc_account_changed answer;
    size_t targets_capacity; /* of asked.targets */
    bool learns;
    struct bytes address, key, password_hash;
    struct verifier verifier;
    void *owner; /* waits for the answer; NULL: disconnected */
};

struct account_writer;

/* Starts the thread, which uses `store` from then on. `descriptor` becomes readable when jobs are done.
 * NULL with a reason. */
struct account_writer *account_writer_open(struct account_store *store, struct accounts_version *version,
                                           int *descriptor, struct error *error);
void account_writer_give(struct account_writer *writer, struct account_job *job);
/* Returns the next finished job, or NULL; the caller calls account_job_free(). */
struct account_job *account_writer_take(struct account_writer *writer);

struct account_job *account_job_new(void);
void account_job_free(struct account_job *job);

#endif
