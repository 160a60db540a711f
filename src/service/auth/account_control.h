/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account_control: requests of subcommands about the accounts, on auth's control socket. Lists are
 * answered immediately, one page at a time; a change goes to the writer and is answered once it is on
 * disk. A client has one change in progress: further requests wait in its socket. Hanging up does not undo
 * a completely received change.
 */
#ifndef MAILBOAT_SERVICE_AUTH_ACCOUNT_CONTROL_H
#define MAILBOAT_SERVICE_AUTH_ACCOUNT_CONTROL_H

#include "service/auth/auth_control.h"

/* False if the client must be disconnected. */
bool account_control_change(struct auth_control_client *client, const struct ipc_account_change *asked);
bool account_control_list(struct auth_control_client *client, const struct ipc_account_list *asked);
/* The client has disconnected. */
void account_control_lost(struct auth_control_client *client);
/* A job of account_control_change() is done: answers it, and frees it. */
void account_control_done(struct account_job *job);

#endif
