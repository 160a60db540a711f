/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: what SMTP says about a message besides its content (RFC 5321
 * 2.3.1): the sender, the recipients and the parameters of MAIL and RCPT.
 *
 * The server session makes one, the queue keeps it, the client session says
 * it again to the next hop. All text is borrowed; the arena of whoever made
 * the envelope owns it.
 */
#ifndef MAILBOAT_CORE_SMTP_ENVELOPE_H
#define MAILBOAT_CORE_SMTP_ENVELOPE_H

#include "base/bytes.h"

/* BODY= of MAIL (RFC 6152, RFC 3030). */
enum body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

/* RET= of MAIL (RFC 3461 4.3): what a report gives back of the message. */
enum dsn_ret { RET_UNSAID, RET_HEADERS, RET_FULL };

/* NOTIFY= of RCPT (RFC 3461 4.1), a set; 0 when it was not said. */
enum dsn_notify {
    NOTIFY_UNSAID = 0,
    NOTIFY_NEVER = 1,
    NOTIFY_SUCCESS = 2,
    NOTIFY_FAILURE = 4,
    NOTIFY_DELAY = 8
};

/* Does an address of ours stand for others that nobody has asked for yet? The
 * queue does, page by page, and puts them in its place: queue/expansion.c. */
enum recipient_expands {
    EXPANDS_NOT,
    EXPANDS_ALIAS, /* an alias; "@example.org" is the domain's catch-all */
    EXPANDS_USER,  /* a user whose mail is forwarded */
    EXPANDS_KINDS
};

enum { VIA_MAX = 2000 }; /* octets of `via`; what comes behind them is not noted */

struct recipient {
    struct bytes address;  /* where it goes, without angle brackets: "ada@example.org" */
    struct bytes original; /* what RCPT said, where an alias or +tag made something else of it */
    struct bytes orcpt;    /* ORCPT= as given: "rfc822;ada@example.org" in xtext; empty when unsaid */
    uint8_t notify;        /* enum dsn_notify, or'ed */
    bool local;            /* goes into a mailbox of ours */
    bool away;             /* whose user wants an answer sent: message/vacation.h */
    uint8_t expands;       /* enum recipient_expands */
    /* addresses of ours that sent it on to here, first to last,
     * with spaces between: message/loop_detection.h */
    struct bytes via;
};

struct envelope {
    struct bytes sender; /* without angle brackets; empty is the null reverse-path */
    struct bytes envid;  /* ENVID= as given, in xtext; empty when unsaid */
    enum body_type body;
    enum dsn_ret ret;
    bool smtputf8;   /* RFC 6531: said with MAIL; of an accepted message: its header is not all ASCII */
    bool requiretls; /* RFC 8689 */
    uint64_t size;   /* octets of the content, 0 while not known */
    struct recipient *recipients;
    size_t recipient_count;
};

/* Where a message came from: for the Received field, the log and people. */
struct origin {
    struct bytes account;        /* who signed in; empty on port 25 */
    struct bytes client_address; /* "192.0.2.1", "2001:db8::1" or "local" */
    struct bytes client_helo;    /* what EHLO or HELO said */
    /* SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, UTF8SMTPSA ... (RFC 3848, RFC 6531 4.3) */
    struct bytes protocol;
    struct bytes tls; /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty in clear */
    uint32_t port;    /* the port of ours it came in by; 0 for the local socket */
};

#endif
