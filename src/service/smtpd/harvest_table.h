/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harvest_table: counts unknown recipients, per client address and the networks around it; for
 * authenticated clients, per account. The rules are in server/harvest.h, the counts in a table that all smtpd
 * processes share (harvest_entry.h); this module has the keys, and the delayed replies.
 *
 * A delayed reply occupies its connection. So only few are delayed at a time, and none under pressure: the
 * client then gets a temporary failure instead.
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
    HARVEST_NAMED_MIN = 60,     /* time for which a named recipient does not count again */
    HARVEST_ACCOUNT_FACTOR = 4, /* an account is allowed more errors than an address */
    HELD_PART = 50,             /* one part in so many of all connections may wait for a delayed reply */
};

/* Returns the minutes for which a client is blocked on port 25; 0: not blocked. */
uint32_t harvest_table_blocked_min(const struct smtpd *smtpd, const struct counted_network *network);
/* The same for a connection: no recipient is looked up for it. */
bool harvest_table_is_blocked(const struct smtp_connection *connection);
/* Counts an unknown recipient. The same one again, within an hour, does not count: a list with some dead
 * addresses may be used every minute. True if the reply is delayed. */
bool harvest_table_refused(struct smtp_connection *connection, struct bytes address);
/* Sends a delayed reply. */
void harvest_table_release(struct smtp_connection *connection);
/* Counts a stored message. */
void harvest_table_accepted(struct smtp_connection *connection, const struct envelope *envelope);

#endif
