/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harvest_table: who names recipients that do not exist, by client address and the
 * networks around it; of those who have signed in, by account. What is due is
 * decided in server/harvest.h; here are the counts, in a table of a fixed size
 * that all smtpd processes share, and the slow answers.
 *
 * A refusal that is slow keeps its connection. So only few wait at a time, and
 * under pressure none: who would have to wait then is told to come later.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_HARVEST_TABLE_H
#define MAILBOAT_SERVICE_SMTPD_HARVEST_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct smtpd;
struct counted_network;
struct smtp_connection;
struct envelope;

enum {
    HARVEST_NAMED_MIN = 60,     /* so long a recipient that a client named is no new one */
    HARVEST_ROW = 4,            /* slots where a client may stand */
    HARVEST_ACCOUNT_FACTOR = 4, /* an account may err more often than an address */
    HELD_PART = 50,             /* one part of so many of all connections may wait for a slow answer */
};

/* Minutes for which a client is shut out of port 25; 0: it is not. */
uint32_t harvest_table_blocked_min(const struct smtpd *smtpd, const struct counted_network *network);
/* The same of a connection: no recipient is looked up for it. */
bool harvest_table_is_blocked(const struct smtp_connection *connection);
/* A recipient does not exist. The same one again, within an hour, tells nothing new and does
 * not count: a list with some that are gone may be used every minute. True: it is not to be told now, and was
 * seen to. */
bool harvest_table_refused(struct smtp_connection *connection, struct bytes address);
/* The answer has waited long enough. */
void harvest_table_release(struct smtp_connection *connection);
/* Its message was stored. */
void harvest_table_accepted(struct smtp_connection *connection, const struct envelope *envelope);

#endif
