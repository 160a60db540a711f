/* SPDX-License-Identifier: Apache-2.0 */
/*
 * learned_verifier: a verifier for SCRAM that auth made when a password was right, on
 * its way into accounts.db, which auth reads and does not write.
 *
 * auth calls learned_send(); the supervisor gets a pipe with it (IPC_LEARN),
 * reads nothing of it, and hands it to learned_keep(), which writes it in a
 * process of its own: neither a hash nor a verifier is ever in the memory
 * of the supervisor, which all others are forked from.
 */
#ifndef MAILBOAT_SERVICE_LEARNED_VERIFIER_H
#define MAILBOAT_SERVICE_LEARNED_VERIFIER_H

#include "run/child.h"

enum { LEARNED_MAX = 2048 }; /* octets, less than a pipe takes at once (PIPE_BUF) */

/* As accounts_learn() takes it. */
struct learned {
    struct bytes address, key, password_hash, verifier;
};

/* False when it cannot be told now; the next password that is right tells it again. */
bool learned_send(struct child *child, const struct learned *learned);

/* Takes what is in the pipe into accounts.db, and logs how that went. Closes
 * the pipe; -1: there was no descriptor free for it. */
void learned_keep(const char *data_dir, int pipe);

#endif
