/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_warning: tells a user that the mailbox is nearly full.
 *
 * The process that delivers into a mailbox knows its size before and after; quota_warning_passed() says
 * whether that crossed a threshold, and then quota_warning_compose() writes the warning. A threshold warns
 * when it is crossed, and again only after the mailbox was below it.
 */
#ifndef MAILBOAT_CORE_MESSAGE_QUOTA_WARNING_H
#define MAILBOAT_CORE_MESSAGE_QUOTA_WARNING_H

#include "base/buffer.h"

enum { QUOTA_WARNING_FIRST = 80, QUOTA_WARNING_LAST = 95 }; /* thresholds, percent of the limit */

/* Returns the highest threshold crossed between `before` and now; 0: none. No limit (0) has no thresholds. */
unsigned quota_warning_passed(uint64_t before, uint64_t now, uint64_t limit);
/* Returns the usage in whole percent, rounded down; 0 without a limit. */
unsigned quota_warning_percent(uint64_t octets, uint64_t limit);
/* Appends "820 octets", "1.5 KiB", "20 MiB": two digits at least, rounded down. */
void quota_warning_add_size(struct buffer *out, uint64_t octets);

struct quota_warning {
    struct bytes user; /* owner of the mailbox; an address */
    uint64_t octets, limit;
    struct bytes message_id; /* without brackets */
    uint64_t date_ms;
};
/* Appends the message, from the postmaster of the user's domain, with CRLF. */
void quota_warning_compose(struct buffer *out, const struct quota_warning *warning);

#endif
