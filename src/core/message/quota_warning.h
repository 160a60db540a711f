/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_warning: a mailbox that fills up, told to the one who can make room.
 *
 * Whoever puts mail into a mailbox knows what it held before and holds now;
 * quota_warning_passed() says whether that went past a mark, and then
 * quota_warning_compose() writes the warning. Each mark is told of when it is
 * passed, and again only after the mailbox was below it.
 */
#ifndef MAILBOAT_CORE_MESSAGE_QUOTA_WARNING_H
#define MAILBOAT_CORE_MESSAGE_QUOTA_WARNING_H

#include "base/buffer.h"

enum { QUOTA_WARNING_FIRST = 80, QUOTA_WARNING_LAST = 95 }; /* the marks, percent of the limit */

/* The highest mark that was not reached before and is now; 0: none. No limit (0) has no marks. */
unsigned quota_warning_passed(uint64_t before, uint64_t now, uint64_t limit);
/* How full it is, in whole percent, rounded down; 0 without a limit. */
unsigned quota_warning_percent(uint64_t octets, uint64_t limit);
/* Appends "820 octets", "1.5 KiB", "20 MiB": two digits at least, rounded down. */
void quota_warning_add_size(struct buffer *out, uint64_t octets);

struct quota_warning {
    struct bytes user; /* whose mailbox; an address */
    uint64_t octets, limit;
    struct bytes message_id; /* without brackets */
    uint64_t date_ms;
};
/* Appends the message, from the postmaster of the user's domain, with CRLF. */
void quota_warning_compose(struct buffer *out, const struct quota_warning *warning);

#endif
