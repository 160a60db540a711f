/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: the SMTP envelope of a message (RFC 5321 2.3.1): the sender, the recipients and the parameters
 * of MAIL and RCPT.
 *
 * The server session makes one, the queue stores it, the client session sends it to the next hop. All text
 * is borrowed; the arena of the envelope's maker owns it.
 */
#ifndef MAILBOAT_CORE_SMTP_ENVELOPE_H
#define MAILBOAT_CORE_SMTP_ENVELOPE_H

#include "base/bytes.h"

/* BODY= of MAIL (RFC 6152, RFC 3030). */
enum body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

enum { LINE_OCTETS_MAX = 998 }; /* of a line of content, without its CRLF (RFC 5321 4.5.3.1.6) */

/* RET= of MAIL (RFC 3461 4.3): the part of the message that a report returns. */
enum dsn_ret { RET_UNSAID, RET_HEADERS, RET_FULL };

/* NOTIFY= of RCPT (RFC 3461 4.1), a set; 0 if not given. */
enum dsn_notify {
    NOTIFY_UNSAID = 0,
    NOTIFY_NEVER = 1,
    NOTIFY_SUCCESS = 2,
    NOTIFY_FAILURE = 4,
    NOTIFY_DELAY = 8
};

/* Kinds of local addresses that stand for others which are not resolved yet. The queue expands them page
 * by page: queue/expansion.c. */
enum recipient_expands {
    EXPANDS_NOT,
    EXPANDS_ALIAS, /* an alias; "@example.org" is the domain's catch-all */
    EXPANDS_USER,  /* a user whose mail is forwarded */
    EXPANDS_KINDS
};

enum { VIA_MAX = 2000 }; /* octets of `via`; addresses beyond them are not recorded */

struct recipient {
    struct bytes address;  /* the delivery address, without angle brackets: "ada@example.org" */
    struct bytes original; /* the address of RCPT, if an alias or +tag changed it */
    struct bytes orcpt;    /* ORCPT= as given: "rfc822;ada@example.org" in xtext; empty if not given */
    uint8_t notify;        /* enum dsn_notify, or'ed */
    bool local;            /* delivered to a local mailbox */
    bool away;             /* the user has a vacation reply: message/vacation.h */
    bool reports;          /* local, and read by the process `report`: trust/report_address.h */
    uint8_t expands;       /* enum recipient_expands */
    /* local addresses that forwarded the message, first to last, separated by spaces:
     * message/loop_detection.h */
    struct bytes via;
    /* the user whose mail is forwarded to this address; empty: none. The queue knows it only while it
     * accepts the message: a message for the Junk folder stays in the user's mailbox */
    struct bytes forwarder;
    /* sender of this copy, if it is not the envelope's: that of a message which is forwarded for another
     * domain, so that SPF passes at the next server (trust/srs.h) */
    struct bytes sent_as;
};

struct envelope {
    struct bytes sender; /* without angle brackets; empty is the null reverse-path */
    struct bytes envid;  /* ENVID= as given, in xtext; empty if not given */
    enum body_type body;
    enum dsn_ret ret;
    bool smtputf8;   /* RFC 6531: given with MAIL; of an accepted message: its header is not all ASCII */
    bool requiretls; /* RFC 8689 */
    bool long_lines; /* of an accepted message: a line has more than LINE_OCTETS_MAX octets */
    uint64_t size;   /* octets of the content, 0 if not known */
    struct recipient *recipients;
    size_t recipient_count;
};

/* How a message arrived. These numbers are stored on disk. */
enum origin_kind {
    ORIGIN_UNKNOWN = 0,      /* stored by an earlier version */
    ORIGIN_NETWORK = 1,      /* a client at one of the ports */
    ORIGIN_LOCAL = 2,        /* a local program, by the socket or the drop directory */
    ORIGIN_REPORT = 3,       /* a delivery report of this server */
    ORIGIN_VACATION = 4,     /* a vacation reply of this server */
    ORIGIN_TLS_REPORT = 5,   /* a report of this server to another domain, on its TLS */
    ORIGIN_DMARC_REPORT = 6, /* the same, on mail that claims to be from it */
    ORIGIN_KINDS
};

/* The known author of a message: decides whether this server signs it. */
enum message_author {
    AUTHOR_STRANGER,  /* anybody: it came from another server, whatever its From says */
    AUTHOR_SUBMITTED, /* a user or program that may send here, and as its From */
    AUTHOR_SERVER,    /* this server */
    MESSAGE_AUTHORS
};

/* The origin of a message: for the Received field, the log and reports. */
struct origin {
    enum origin_kind kind;
    struct bytes account;        /* authenticated account; empty on port 25 */
    struct bytes client_address; /* "192.0.2.1", "2001:db8::1" or "local" */
    struct bytes client_helo;    /* argument of EHLO or HELO */
    /* SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, UTF8SMTPSA ... (RFC 3848, RFC 6531 4.3) */
    struct bytes protocol;
    struct bytes tls; /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty without TLS */
    uint32_t port;    /* local port of the connection; 0 for the local socket */
};

#endif
