/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: what the codes of a reply mean (RFC 5321 4.2.1, RFC 3463): whether
 * a recipient that RCPT rejects belongs into another transaction, and the
 * status that a report gives.
 *
 * What a server said is kept as it said it, also where its two codes
 * contradict each other or one of them is missing; what follows from it is
 * decided here and nowhere else. The basic code decides between "temporary"
 * and "permanent", the enhanced code says what about.
 */
#ifndef MAILBOAT_CORE_SMTP_STATUS_H
#define MAILBOAT_CORE_SMTP_STATUS_H

#include "base/buffer.h"

enum rcpt_verdict {
    RCPT_DEFERRED,
    RCPT_REJECTED,
    RCPT_TOO_MANY, /* this transaction is full: the recipient goes in the next one */
};

/* Of a reply to RCPT that is not 2xx (RFC 5321 4.5.3.1.10). `enhanced`: as
 * the server gave it, empty where it gave none. `any_taken`: the server
 * accepted a recipient of this transaction before; where it took none the
 * next transaction would be no shorter, and the reply means what it says. */
enum rcpt_verdict status_rcpt_verdict(uint32_t code, struct bytes enhanced, struct bytes text,
                                      bool any_taken);

/* Appends the Status field's value (RFC 3464 2.3.4) of the class '2', '4' or
 * '5': subject and detail as the server said; "4.0.0" where it said none. */
void status_add(struct buffer *out, char class, uint32_t code, struct bytes enhanced);

/* Appends "550 5.1.1 no such user" without the parts that were not said. */
void status_add_said(struct buffer *out, uint32_t code, struct bytes enhanced, struct bytes text);

#endif
