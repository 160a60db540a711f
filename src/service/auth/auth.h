/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth: shared declarations of the auth process. auth.c is the process, and answers questions about
 * senders; recipient_lookup.c those about recipients; login.c authenticates clients.
 */
#ifndef MAILBOAT_SERVICE_AUTH_AUTH_H
#define MAILBOAT_SERVICE_AUTH_AUTH_H

#include "io/timer.h"
#include "io/watch.h"
#include "run/child.h"
#include "service/auth/auth_control.h"
#include "service/auth/forward_sender.h"
#include "service/auth/local_users.h"
#include "service/auth/login_cache.h"
#include "service/auth/login_queue.h"
#include "service/auth/login_throttle.h"
#include "service/auth/password_check.h"
#include "service/auth/rate_limit.h"
#include "service/auth/running_checks.h"
#include "service/recipient_cache.h"
#include "store/accounts.h"

struct login;

/* Memory that outlives the process. */
struct auth_kept {
    struct login_throttle_kept throttle;
    struct rate_limits_kept rate_limits;
};

struct auth {
    struct child *child;
    struct accounts_version *accounts_version;
    struct accounts *accounts;  /* for reading, in the event loop */
    struct account_store store; /* for writing, by account_writer */
    struct account_writer *writer;
    struct watch written_watch;
    struct worker_threads *workers;
    struct watch done_watch;
    struct login_throttle throttle;
    struct auth_control control;
    struct login_cache login_cache;
    struct recipient_cache recipient_cache;
    struct forward_keys forward_keys;
    struct buffer key;         /* of the current question */
    struct login *logins;      /* in progress, and waiting */
    struct login_queue queue;  /* of the waiting ones */
    struct timer turn;         /* for those waiting for a time */
    unsigned threads, running; /* that check passwords; those busy now */
    struct running_checks running_checks;
    struct local_users local_users;
    struct rate_limits rate_limits;
    struct map noted; /* counted messages in progress, by asker and question */
    bool draining;
};

/* ---- auth.c ---- */
/* Ends a draining process once no answer is pending. */
void auth_end_if_drained(struct auth *auth);

/* ---- recipient_lookup.c: recipients ---- */
/* Answers immediately. */
void recipient_lookup_ask(struct auth *auth, struct channel *asker, const struct ipc_recipient *asked);
void recipient_lookup_expand(struct auth *auth, struct channel *asker, const struct ipc_expand *asked);

/* ---- login.c: authentication ---- Each question is answered once, immediately or later, unless its asker
 * is forgotten. */
bool login_open(struct auth *auth, struct error *error);
void login_password(struct auth *auth, struct channel *asker, const struct ipc_password *asked);
void login_salt(struct auth *auth, struct channel *asker, const struct ipc_salt *asked);
void login_proof(struct auth *auth, struct channel *asker, const struct ipc_proof *asked);
void login_credential(struct auth *auth, struct channel *asker, const struct ipc_credential *asked);
void login_forget(struct auth *auth, const struct channel *asker); /* the asker is gone */
/* Accepts no more logins: waiting ones get a temporary failure, and the process ends after those in
 * progress. */
void login_drain(struct auth *auth);

/* ---- sending_limits.c: rate limits of accounts ---- */
void sending_limits_start(struct auth *auth, struct rate_limits_kept *kept);
void sending_limits_ask(struct auth *auth, struct channel *asker, const struct ipc_limit *asked);
void sending_limits_ended(struct auth *auth, struct channel *asker, const struct ipc_limit_end *ended);
void sending_limits_forget(struct auth *auth, const struct channel *asker); /* the asker is gone */

#endif
