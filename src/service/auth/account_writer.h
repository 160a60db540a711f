/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account_writer: the thread that writes the accounts. It has a handle of its own
 * (account_store.h), so that neither a slow hash nor a sync keeps the event loop waiting;
 * the loop's handle only reads. Jobs are done one after the other, in the order in which
 * they were given; after each that changed something the accounts' version is bumped
 * (accounts_version.h), before anybody is told.
 */
#ifndef MAILBOAT_SERVICE_AUTH_ACCOUNT_WRITER_H
#define MAILBOAT_SERVICE_AUTH_ACCOUNT_WRITER_H

#include "service/accounts_version.h"
#include "service/auth/account_store.h"

/* A change that was asked for, or a verifier for SCRAM that was made when a password, or
 * with `key` an application password, was right. Texts are in `arena`, or live as long. */
struct account_job {
    struct account_job *next;
    struct arena arena; /* the question's, and the answer's; wiped with the job */
    struct ipc_account_change asked;
    struct ipc_account_changed answer;
    size_t targets_capacity; /* of asked.targets */
    bool learns;
    struct bytes address, key, password_hash;
    struct verifier verifier;
    void *owner; /* who waits for it; NULL: nobody any more */
};

struct account_writer;

/* Starts the thread, which has `store` from here on. `descriptor` becomes readable when
 * jobs are done. NULL with a reason. */
struct account_writer *account_writer_open(struct account_store *store, struct accounts_version *version,
                                           int *descriptor, struct error *error);
void account_writer_give(struct account_writer *writer, struct account_job *job);
/* The next job that is done, or NULL: account_job_free() is the caller's. */
struct account_job *account_writer_take(struct account_writer *writer);

struct account_job *account_job_new(void);
void account_job_free(struct account_job *job);

#endif
