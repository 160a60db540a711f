/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail_event: what happened in the life of a message, as one struct. The queue and
 * those who submit to it make one where the outcome is decided; the log line,
 * the numbers of `queue stats` and the reports are made from it, so that
 * nothing has to be read back from text.
 *
 * An event has an id, unique and growing (core/queue/queue_id.h), a form as
 * octets that can be kept with what it tells of, and one row in two tables:
 * its kind (name, line in the log, fields of that line) and its fields (name,
 * type, tag in the octets).
 */
#ifndef MAILBOAT_CORE_EVENT_MAIL_EVENT_H
#define MAILBOAT_CORE_EVENT_MAIL_EVENT_H

#include "base/buffer.h"

enum event_limit {
    EVENT_VERSION = 1,     /* of the octets */
    EVENT_TEXT_MAX = 2048, /* octets of a text that are kept; longer ones are cut */
    EVENT_SHOWN_MAX = 20,  /* fields of a line */
};

/* These numbers are kept on disk: a new kind gets a new one, and none is used again. */
enum event_kind {
    EVENT_RECEIVED = 1,  /* a message was accepted */
    EVENT_REFUSED = 2,   /* a client was told 4xx or 5xx */
    EVENT_DEFERRED = 3,  /* a recipient, until `retry_in_ms` */
    EVENT_DELIVERED = 4, /* into a mailbox, or to the next server */
    EVENT_FORWARDED = 5, /* to another server, for an address of ours that sends it on */
    EVENT_BOUNCED = 6,   /* failed for good: an answer of 5xx */
    EVENT_EXPIRED = 7,   /* failed for good: its time was over */
    EVENT_LOOPED = 8,    /* failed for good: it came back to an address that had sent it on */
    EVENT_DISCARDED = 9, /* a report that nobody can get */
    EVENT_REQUEUED = 10, /* a report that goes on as the message `other` to the mailboxes behind its address
                          */
    EVENT_EXPANDED = 11, /* an address was replaced by its members, or by some of them */
    EVENT_RETRIED = 12,  /* operator actions, as those that follow */
    EVENT_HELD = 13,
    EVENT_RELEASED = 14,
    EVENT_REMOVED = 15,
};

/* Borrowed texts; what is 0 or empty is not known, or does not apply. */
struct mail_event {
    enum event_kind kind;
    uint64_t id;    /* unique; a later one of the same maker is greater; 0: it is only logged */
    uint64_t at_ms; /* since the epoch, of the maker's clock */

    uint64_t message; /* its queue id */
    uint64_t number;  /* the recipient's place in the envelope as it was accepted */
    struct bytes sender, recipient;
    struct bytes destination; /* under which the recipient waits: "example.org", "@local" */
    uint64_t recipients;      /* how many it is about; 0: the one in `recipient` */
    uint64_t size;            /* octets of the message */
    uint64_t other;           /* REQUEUED: the new message */

    /* RECEIVED, REFUSED: where it came from (struct origin) */
    struct bytes client, protocol, account;
    uint64_t port;
    uint64_t own; /* 1: made here, a report or an answer of somebody who is away */

    /* an attempt */
    struct bytes peer; /* "mx1.example.net[192.0.2.1]:25"; empty: nobody was reached */
    struct bytes tls, tls_policy, tls_reason;
    uint64_t attempt;            /* 1 the first time */
    uint64_t code;               /* of the reply; 0: there was none */
    struct bytes enhanced, text; /* of the reply, or our own sentence */
    struct bytes step;           /* what the attempt was at: "rcpt" */
    uint64_t mailbox;            /* 1: into a mailbox of ours */
    uint64_t delay_ms;           /* since the message was accepted */
    uint64_t retry_in_ms;        /* DEFERRED: until the next attempt */

    /* EXPANDED: members that were added, those that the message had already, and those that are not there */
    uint64_t members, known_already, missing;
    uint64_t more; /* 1: and more follow */
};

/* Does it have a kind, an id and a time? Asserted where one is kept. */
bool mail_event_is_sound(const struct mail_event *event);

/* "delivered"; this and what mail_event_class() says is for programs. */
const char *mail_event_kind_name(enum event_kind kind);

/* What a kind means for the recipient it is about. */
enum event_class {
    EVENT_CLASS_NONE,      /* it waits as before, or there is none */
    EVENT_CLASS_DEFERRED,  /* it waits for another attempt */
    EVENT_CLASS_DELIVERED, /* the end */
    EVENT_CLASS_FAILED,    /* the end, and its sender may want to know */
    EVENT_CLASS_GONE,      /* the end, and nobody is told */
};
enum event_class mail_event_class(enum event_kind kind);

/* ---- as a line of the log ---- */

enum event_type {
    EVENT_TYPE_TEXT,
    EVENT_TYPE_COUNT, /* a number that is shown also where it is 0; all else only where it is something */
    EVENT_TYPE_NUMBER,
    EVENT_TYPE_FLAG,
    EVENT_TYPE_QUEUE_ID,
};

/* A field with its value; `name` is the log's key. */
struct event_value {
    const char *name;
    enum event_type type;
    struct bytes text; /* TEXT */
    uint64_t number;   /* all others */
};

/* The word that begins its line, and whether that is a warning. */
const char *mail_event_log_name(enum event_kind kind);
bool mail_event_is_warning(enum event_kind kind);
/* What its line shows, in order; returns how many. */
size_t mail_event_shown(const struct mail_event *event, struct event_value values[EVENT_SHOWN_MAX]);

/* ---- as octets ---- */

/* Appends it: version, kind, the length of what follows in four octets, least
 * first; then each field that is something: its tag, and a number in base 128
 * (LEB128) or the length of a text and the text. The same event gives the same octets. */
void mail_event_encode(struct buffer *out, const struct mail_event *event);
/* Takes one off the front of `in`, whose octets its texts borrow. False, and
 * nothing is taken, where it is of another version or not as mail_event_encode() writes it. */
bool mail_event_decode(struct bytes *in, struct mail_event *event);

#endif
