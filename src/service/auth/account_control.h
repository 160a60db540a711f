/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account_control: what subcommands ask of the accounts, on auth's control socket. Lists
 * are answered at once, a page at a time; a change is given to the writer and answered
 * when it is on disk. A client has one change under way: what it says meanwhile waits in
 * its socket. Whoever hangs up does not undo a change that was asked for whole.
 */
#ifndef MAILBOAT_SERVICE_AUTH_ACCOUNT_CONTROL_H
#define MAILBOAT_SERVICE_AUTH_ACCOUNT_CONTROL_H

#include "service/auth/auth_control.h"

/* False: the client is not to be served any more. */
bool account_control_change(struct auth_control_client *client, const struct ipc_account_change *asked);
bool account_control_list(struct auth_control_client *client, const struct ipc_account_list *asked);
/* The client is gone. */
void account_control_lost(struct auth_control_client *client);
/* A job of account_control_change() is done: answers it, and frees it. */
void account_control_done(struct account_job *job);

#endif
