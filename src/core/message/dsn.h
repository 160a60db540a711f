/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn: a delivery report as a message (RFC 3464 in RFC 6522's multipart/report): a sentence for the
 * sender, the facts for programs, and the header of the original message.
 *
 * The queue calls dsn_add() for the recipients of one attempt that failed permanently, or were delivered
 * with a report requested. Peers' replies are quoted without allowing injection, and verbatim: only the
 * class of the Status field is that of the action, and this server's own words are never shown as a
 * server's.
 */
#ifndef MAILBOAT_CORE_MESSAGE_DSN_H
#define MAILBOAT_CORE_MESSAGE_DSN_H

#include "base/buffer.h"
#include "core/reply/reply_meaning.h"
#include "core/smtp/envelope.h"

enum { DSN_RETURNED_MAX = 16 * 1024 }; /* octets of the message that a report returns */

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED }; /* RFC 3464 2.3.3 */

struct dsn_recipient {
    const struct recipient *recipient;
    enum dsn_action action;
    struct bytes enhanced;               /* "5.1.1" as the peer or this server gave it; empty: none */
    uint32_t code;                       /* of the peer's reply; 0: none */
    struct bytes text;                   /* its text, or this server's reason */
    struct bytes peer;                   /* source of the text; empty: no server reached */
    const struct reply_meaning *meaning; /* of the peer's reply; NULL: unknown */
};

struct dsn {
    struct bytes hostname;           /* of this server */
    uint64_t id, now_ms;             /* the report's own */
    const struct envelope *envelope; /* of the original message: sender, ENVID, RET */
    uint64_t about_id, arrived_ms;   /* id 0: it never got one */
    uint64_t expires_ms;             /* how long delivery is attempted; 0: not known */
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    struct bytes content; /* the message, or its beginning */
    bool content_is_whole;
};

/* Appends the whole message, CRLF lines. False, and appends nothing, if no report is allowed: the null
 * sender, or no recipient requested one (NOTIFY). */
bool dsn_add(struct buffer *out, const struct dsn *dsn);

/* True if the recipient requested a report on this action. RFC 3461 4.1: the default is FAILURE and DELAY. */
bool dsn_wanted(const struct recipient *recipient, enum dsn_action action);

#endif
