/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: the meaning of a reply's codes (RFC 5321 4.2.1, RFC 3463): whether a rejected recipient belongs
 * into another transaction, and the status for a report.
 *
 * A server's codes are stored as sent, even if the two contradict each other or one is missing; only this
 * file draws conclusions from them. The basic code decides between "temporary" and "permanent", the
 * enhanced code gives the subject.
 */
#ifndef MAILBOAT_CORE_SMTP_STATUS_H
#define MAILBOAT_CORE_SMTP_STATUS_H

#include "base/buffer.h"

enum rcpt_verdict {
    RCPT_DEFERRED,
    RCPT_REJECTED,
    RCPT_TOO_MANY, /* this transaction is full: send the recipient in the next one */
};

/* Classifies a reply to RCPT that is not 2xx (RFC 5321 4.5.3.1.10). `enhanced`: as the server gave it,
 * empty if absent. `any_taken`: the server accepted a recipient of this transaction before; if it accepted
 * none, the next transaction would be no shorter, and the reply is taken literally. */
enum rcpt_verdict status_rcpt_verdict(uint32_t code, struct bytes enhanced, struct bytes text,
                                      bool any_taken);

/* Appends the Status field's value (RFC 3464 2.3.4) of the class '2', '4' or '5' with the server's subject
 * and detail; "4.0.0" if it gave none. */
void status_add(struct buffer *out, char class, uint32_t code, struct bytes enhanced);

/* Appends "550 5.1.1 no such user" without absent parts. */
void status_add_said(struct buffer *out, uint32_t code, struct bytes enhanced, struct bytes text);

#endif
