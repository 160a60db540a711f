/* SPDX-License-Identifier: Apache-2.0 */
/* report_mailbox: do the addresses to which others report exist here? */
#ifndef MAILBOAT_CLI_SETUP_REPORT_MAILBOX_H
#define MAILBOAT_CLI_SETUP_REPORT_MAILBOX_H

#include "config/config.h"
#include "core/domain/domain_check.h"

/* Answers for each address that is not answered yet: users, aliases, a catch-all, and postmaster, which goes
 * to a user of any domain that has one. */
void report_mailbox_answer(const struct config *config, struct domain_mailbox *mailboxes, size_t count);

#endif
