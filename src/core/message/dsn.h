/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn: a report on a delivery as a message (RFC 3464 in RFC 6522's
 * multipart/report): a sentence for the person who sent the mail, the facts
 * for programs, and the header of the message it is about.
 *
 * The queue calls dsn_add() for the recipients of one attempt that failed
 * for good, or were delivered and asked to be told. What peers said is
 * written so that it can forge nothing, and as they said it: only the Status
 * field's class is that of the action, whatever the server's codes are, and
 * words that no server said are never shown as one's.
 */
#ifndef MAILBOAT_CORE_MESSAGE_DSN_H
#define MAILBOAT_CORE_MESSAGE_DSN_H

#include "base/buffer.h"
#include "core/smtp/envelope.h"

enum { DSN_RETURNED_MAX = 16 * 1024 }; /* octets of the message that a report gives back */

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED }; /* RFC 3464 2.3.3 */

struct dsn_recipient {
    const struct recipient *recipient;
    enum dsn_action action;
    struct bytes enhanced; /* "5.1.1" as the peer gave it, or ours; empty: none */
    uint32_t code;         /* of the peer's reply; 0 when there was none */
    struct bytes text;     /* its text, or our own sentence */
    struct bytes peer;     /* who said so; empty when nobody was reached */
};

struct dsn {
    struct bytes hostname;           /* ours */
    uint64_t id, now_ms;             /* the report's own */
    const struct envelope *envelope; /* of the message it is about: sender, ENVID, RET */
    uint64_t about_id, arrived_ms;   /* id 0: it never got one */
    uint64_t expires_ms;             /* how long a delayed one is tried; 0: not known */
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    struct bytes content; /* the message, or its beginning */
    bool content_is_whole;
};

/* Appends the whole message, CRLF lines. False and nothing where nobody may
 * be told: the null sender, or recipients that want no report (NOTIFY). */
bool dsn_add(struct buffer *out, const struct dsn *dsn);

/* Does this recipient want to hear of it? RFC 3461 4.1: unsaid is FAILURE and DELAY. */
bool dsn_wanted(const struct recipient *recipient, enum dsn_action action);

#endif
