/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply_meaning: what a 4xx or 5xx reply of another server says: its class, whom it is about, how to go on,
 * and sentences for the sender and the operator. The queue asks once per reply, when an attempt has ended;
 * explain, queue show and reports ask again with the stored reply, and get the same.
 *
 * The text of a reply is from a stranger. It is read here and nowhere else, by a table (reply_rows.json) in
 * this order of precedence: tokens of one provider, telling text, enhanced codes, weak text, basic codes. The
 * basic code alone decides whether a reply is final (RFC 5321 4.2.1): no meaning makes a 5xx be retried, or a
 * 4xx final.
 */
#ifndef MAILBOAT_CORE_REPLY_REPLY_MEANING_H
#define MAILBOAT_CORE_REPLY_REPLY_MEANING_H

#include "base/bytes.h"

enum reply_limit_of_meaning { REPLY_OWN_MAX = 6 }; /* names of a transaction that its reply may repeat */

/* These orders are those of compile_rows.py and of the names. */
enum reply_class {
    CLASS_NO_SUCH_USER,     /* no such mailbox */
    CLASS_DISABLED,         /* the mailbox is disabled */
    CLASS_INACTIVE,         /* it has been unused for a long time */
    CLASS_BAD_ADDRESS,      /* the syntax of the address is not accepted */
    CLASS_BAD_DOMAIN,       /* the domain does not accept mail */
    CLASS_MAILBOX_FULL,     /* */
    CLASS_RECIPIENT_POLICY, /* the recipient or their organization rejects this sender */
    CLASS_AUTH,             /* SPF, DKIM or DMARC missing or failing */
    CLASS_REPUTATION,       /* the receiver's own rating */
    CLASS_RBL,              /* a DNS block list */
    CLASS_RATE,             /* too much, too fast, too many connections or recipients */
    CLASS_GREYLIST,         /* unknown sender: retry later */
    CLASS_SPAM,             /* the content */
    CLASS_VIRUS,            /* malware or a forbidden file */
    CLASS_FORMAT,           /* the message is malformed (RFC 5322) */
    CLASS_SIZE,             /* the message is too large */
    CLASS_TLS,              /* encryption required or failed */
    CLASS_DNS,              /* reverse DNS, EHLO name, or the sender's domain does not resolve */
    CLASS_RELAY,            /* not responsible for the domain */
    CLASS_LOGIN,            /* credentials, or an account that may not send */
    CLASS_PROTOCOL,         /* the two servers misunderstood each other */
    CLASS_SYSTEM,           /* a fault or shortage at the receiver */
    CLASS_LOOP,             /* mail loop */
    CLASS_POLICY,           /* rejected without a reason */
    CLASS_COUNT
};

enum reply_about {
    ABOUT_RECIPIENT,
    ABOUT_SENDER_ADDRESS, /* the envelope sender */
    ABOUT_SENDER_DOMAIN,
    ABOUT_SENDER_ACCOUNT,
    ABOUT_SENDING_IP,
    ABOUT_MESSAGE,
    ABOUT_PATH,     /* the connection between the two servers */
    ABOUT_RECEIVER, /* the other server */
};

/* How to go on. On a 5xx, SLOW_DOWN, STOP and OTHER_SOURCE concern other messages to the destination; SOON
 * and SLOWLY: a new message of the sender may succeed later. */
enum reply_retry {
    REPLY_RETRY_NO,
    REPLY_RETRY_SOON,         /* after minutes */
    REPLY_RETRY_SLOWLY,       /* after half an hour or more */
    REPLY_RETRY_SLOW_DOWN,    /* fewer deliveries to the destination */
    REPLY_RETRY_STOP,         /* none for a while, then one to probe */
    REPLY_RETRY_OTHER_SOURCE, /* as STOP: this server has one source for a destination */
};

/* Whether a list of addresses that get no automatic mail may count this reply. */
enum reply_suppress { REPLY_SUPPRESS_NEVER, REPLY_SUPPRESS_AFTER_REPEAT, REPLY_SUPPRESS_NOW };

/* Static; sentences end with a full stop. */
struct reply_meaning {
    const char *row; /* its row in reply_rows.json: "g-28rate" */
    enum reply_class class;
    enum reply_about about;
    enum reply_retry retry;
    enum reply_suppress suppress; /* before the guards of reply_meaning_suppress() */
    bool sure;                    /* by the receiver's own page or source, or by several collections */
    const char *reason;
    const char *sender_hint, *operator_hint;
};

/* Borrowed; empty: unknown. Any octets of any length. */
struct reply_facts {
    uint32_t code;         /* the basic code; 0: there was no reply */
    struct bytes enhanced; /* as the server gave it */
    struct bytes text;     /* its lines joined by spaces */
    struct bytes peer;     /* the server's name in DNS: "mx.example.net", or "mx.example.net[192.0.2.1]:25" */
    /* Names of the transaction: addresses, domains, host names, queue ids. What the reply repeats of them,
     * and all other addresses, decide nothing. */
    struct bytes own[REPLY_OWN_MAX];
};

/* Returns what the reply means; NULL if its code is not 400 to 599. */
const struct reply_meaning *reply_meaning_find(const struct reply_facts *facts);

/* "no_such_user", "sending_ip", "slow-down": for programs and the log. */
const char *reply_meaning_class_name(enum reply_class class);
const char *reply_meaning_about_name(enum reply_about about);
const char *reply_meaning_retry_name(enum reply_retry retry);
const char *reply_meaning_suppress_name(enum reply_suppress suppress);

/* Where a reply came, as far as a suppression depends on it. */
struct reply_circumstances {
    bool at_rcpt, at_data; /* in reply to RCPT of this recipient, or to DATA or the content */
    uint32_t recipients;   /* of the transaction, accepted until then */
    bool peer_is_mx;       /* an MX of the recipient's domain; false: a smarthost or a route */
};

/* Returns what one reply may do to its recipient on such a list: NOW counts as AFTER_REPEAT where the
 * enhanced code's subject is 7. `meaning` is that of `facts`. */
enum reply_suppress reply_meaning_suppress(const struct reply_meaning *meaning,
                                           const struct reply_facts *facts,
                                           const struct reply_circumstances *circumstances);

#endif
