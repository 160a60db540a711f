/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail_event: one event in the life of a message, as a struct. The queue and the processes that submit to
 * it create an event where the outcome is decided; the log line, the numbers of `queue stats` and the
 * reports are made from it, so that no text is parsed back.
 *
 * A connection that is rejected before its session is not an event: it concerns no message, and its log
 * line (`connection_rejected` with `times=`, by the listener of smtpd and by web) stands for many connections
 * of one client, so that it could not be counted.
 *
 * An event has a unique, increasing id (core/queue/queue_id.h), an encoding for storage, and one row in
 * two tables: its kind (name, log line, fields of that line) and its fields (name, type, tag in the
 * encoding).
 */
#ifndef MAILBOAT_CORE_EVENT_MAIL_EVENT_H
#define MAILBOAT_CORE_EVENT_MAIL_EVENT_H

#include "base/buffer.h"
#include "core/trust/trust_record.h"

enum event_limit {
    EVENT_VERSION = 1,     /* version of the encoding */
    EVENT_TEXT_MAX = 2048, /* octets of a text that are stored; longer ones are cut */
    EVENT_SHOWN_MAX = 20,  /* fields of a line */
};

/* These numbers are stored on disk: a new kind gets a new number, and no number is reused. */
enum event_kind {
    EVENT_RECEIVED = 1,  /* a message was accepted */
    EVENT_REFUSED = 2,   /* a client got a 4xx or 5xx reply */
    EVENT_DEFERRED = 3,  /* a recipient, until `retry_in_ms` */
    EVENT_DELIVERED = 4, /* into a mailbox, or to the next server */
    EVENT_FORWARDED = 5, /* to another server, for a local address with a forwarding */
    EVENT_BOUNCED = 6,   /* permanent failure: a 5xx reply, or a dropped message for an unknown mailbox */
    EVENT_EXPIRED = 7,   /* permanent failure: the message expired */
    EVENT_LOOPED = 8, /* permanent failure, or refused by smtpd: it came back to an address that had forwarded
                         it */
    EVENT_DISCARDED = 9, /* a report without a deliverable recipient */
    EVENT_REQUEUED = 10, /* a report that continues as the message `other` to the mailboxes of its address */
    EVENT_EXPANDED = 11, /* an address was replaced by all or some of its members */
    EVENT_RETRIED = 12,  /* an operator action, as the following */
    EVENT_HELD = 13,
    EVENT_RELEASED = 14,
    EVENT_REMOVED = 15,
    EVENT_NOT_STORED = 16, /* a message could not be stored: the submitter still has it */
};

/* Borrowed texts; 0 or empty: unknown or not applicable. */
struct mail_event {
    enum event_kind kind;
    uint64_t id;    /* unique and increasing per maker; 0: only logged */
    uint64_t at_ms; /* since the epoch, by the maker's clock */

    uint64_t message; /* its queue id */
    uint64_t number;  /* the recipient's index in the accepted envelope */
    struct bytes sender, recipient;
    struct bytes destination; /* the recipient's queue destination: "example.org", "@local" */
    uint64_t recipients;      /* number of recipients; 0: only the one in `recipient` */
    uint64_t size;            /* octets of the message */
    uint64_t other;           /* REQUEUED: the new message */

    /* RECEIVED, NOT_STORED, REFUSED, and a failure that a submitter decides: the origin (struct origin) */
    struct bytes client, protocol, account;
    struct bytes helo; /* REFUSED: the client's EHLO or HELO */
    uint64_t port;
    uint64_t own; /* 1: made here, a report or a vacation reply */

    /* RECEIVED and REFUSED: findings of mail authentication, by mail_event_set_trust() */
    uint64_t trust;             /* trust_record_code(); 0: not checked */
    struct bytes author, story; /* the domain in From; the reasoning */
    struct bytes evidence;      /* for reports on DMARC, as in struct trust_record */

    /* an attempt */
    struct bytes peer; /* "mx1.example.net[192.0.2.1]:25"; empty: no server reached */
    struct bytes tls, tls_policy, tls_reason;
    uint64_t attempt;            /* 1 for the first */
    uint64_t code;               /* of the reply; 0: none */
    struct bytes enhanced, text; /* of the reply, or this server's own reason */
    struct bytes reply_class;    /* class of a peer's reply: "mailbox_full" (core/reply/reply_meaning.h) */
    struct bytes reply_about;    /* whom that reply is about: "recipient" */
    struct bytes step;           /* SMTP step of the attempt: "rcpt" */
    uint64_t mailbox;            /* 1: into a local mailbox */
    uint64_t delay_ms;           /* since the message was accepted */
    uint64_t retry_in_ms;        /* DEFERRED: until the next attempt */
    struct bytes sent_as;        /* the copy's rewritten sender; empty: it was that of the message */

    /* EXPANDED: members that were added, were already recipients, or do not exist */
    uint64_t members, known_already, missing;
    uint64_t more; /* 1: more pages follow */
};

/* RECEIVED or NOT_STORED: the message `id`, with what its envelope and origin say. The event borrows their
 * texts. The sender of a report is "<>". */
struct envelope;
struct origin;
struct mail_event mail_event_of_message(enum event_kind kind, uint64_t id, const struct envelope *envelope,
                                        const struct origin *origin);

/* Sets the findings of mail authentication; the event borrows the record's texts. */
void mail_event_set_trust(struct mail_event *event, const struct trust_record *record);
/* Returns them; all zero if nothing was checked. */
struct trust_record mail_event_trust(const struct mail_event *event);

/* True if it has a kind, an id and a time; asserted before one is stored. */
bool mail_event_is_sound(const struct mail_event *event);

/* "delivered"; this and the name of mail_event_class() are for programs. */
const char *mail_event_kind_name(enum event_kind kind);

/* The consequence of a kind for its recipient. */
enum event_class {
    EVENT_CLASS_NONE,      /* no change of state */
    EVENT_CLASS_DEFERRED,  /* it waits for another attempt */
    EVENT_CLASS_DELIVERED, /* final */
    EVENT_CLASS_FAILED,    /* final, and the sender may get a report */
    EVENT_CLASS_GONE,      /* final, without a report */
};
enum event_class mail_event_class(enum event_kind kind);

/* ---- as a line of the log ---- */

enum event_type {
    EVENT_TYPE_TEXT,
    EVENT_TYPE_COUNT, /* a number shown even if 0; all other types only if set */
    EVENT_TYPE_NUMBER,
    EVENT_TYPE_FLAG,
    EVENT_TYPE_TRUST, /* shown as texts */
    EVENT_TYPE_QUEUE_ID,
};

/* A field with its value; `name` is the log's key. */
struct event_value {
    const char *name;
    enum event_type type;
    struct bytes text; /* TEXT */
    uint64_t number;   /* all others */
};

/* Returns the event name of its log line, and whether that is a warning. */
const char *mail_event_log_name(enum event_kind kind);
bool mail_event_is_warning(enum event_kind kind);
/* Lists the fields of its log line in order; returns their number. */
size_t mail_event_shown(const struct mail_event *event, struct event_value values[EVENT_SHOWN_MAX]);

/* ---- as octets ---- */

/* Appends the encoding: version, kind, the length of the rest in four octets, least significant first;
 * then each set field: its tag, and a number in base 128 (LEB128) or the length of a text and the text.
 * The encoding is deterministic. */
void mail_event_encode(struct buffer *out, const struct mail_event *event);
/* Decodes one from the front of `in`, whose octets its texts borrow. False, with `in` unchanged, if the
 * version differs or mail_event_encode() would not write it so. */
bool mail_event_decode(struct bytes *in, struct mail_event *event);

#endif
