/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust_deferrals: since when a client's messages of a sender have got 451 because DNS does not say whether
 * they are forged. After a day they are accepted: DNS that is dead for ever loses no mail.
 *
 * The table is shared by all smtpd processes, has a fixed size, and forgets the oldest (base/slots.h). A
 * client is an IPv4 /24 or an IPv6 /64, since large senders try again from a neighbour.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_TRUST_DEFERRALS_H
#define MAILBOAT_SERVICE_SMTPD_TRUST_DEFERRALS_H

#include <stdbool.h>

#include "base/slots.h"

struct smtpd;
struct smtp_connection;

enum trust_deferrals_limit {
    TRUST_DEFERRALS_DAY_MIN = 24 * 60,        /* minutes until they are accepted */
    TRUST_DEFERRALS_FORGET_MIN = 5 * 24 * 60, /* minutes after which it begins anew */
};

/* True if the sender of the current message has been deferred for a day. */
bool trust_deferrals_is_enough(const struct smtpd *smtpd, const struct smtp_connection *connection);
/* Notes that it is deferred now. */
void trust_deferrals_note(struct smtpd *smtpd, const struct smtp_connection *connection);

/* ---- the table, with the time in minutes as an argument ---- */
bool trust_deferrals_has_enough(const struct slots *table, uint64_t key, uint32_t minute);
void trust_deferrals_add(const struct slots *table, uint64_t key, uint32_t minute);
struct slots trust_deferrals_table(void *at, size_t count);

#endif
